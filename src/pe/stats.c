/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats.c - calls, time, bytes and waiting of each entry method.
 *
 * While it is on, each execution ends a lap of the cycle counter, as for
 * load balancing (pe->meter): one reading for each message, which ends one
 * call and begins the next. Waiting takes no reading of its own: after each
 * lap, what has come into the queue since the last one is marked with it. So a
 * message waits from when the PE, having ended what it was at, could first
 * have executed it. With a priority it is marked as it comes, with the lap
 * before: the rest of the method that sent it is counted in.
 */
#include "config.h"

#include "pe/stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "pe/pe.h"

/* The item at 'at' of a table that grows; NULL: no memory. */
static struct chi_stats_item *
item_at(struct chi_stats_item **table, uint32_t *room, uint32_t at)
{
    if (chi_unlikely(at >= *room)) {
        const uint32_t wanted = 2 * at + 16;
        struct chi_stats_item *grown =
            realloc(*table, wanted * sizeof(*grown));

        if (grown == NULL) {
            return NULL;
        }
        memset(grown + *room, 0, (wanted - *room) * sizeof(*grown));
        *table = grown;
        *room = wanted;
    }
    return &(*table)[at];
}

struct chi_stats_item *
chi_stats_entry_slow(struct chi_stats *stats, uint32_t entry)
{
    return item_at(&stats->entries, &stats->entry_room, entry);
}

void
chi_stats_add_made(struct chi_stats *stats, uint32_t type, uint64_t bytes,
                   uint64_t begin, uint64_t end, uint64_t stamp)
{
    struct chi_stats_item *item =
        item_at(&stats->types, &stats->type_room, type);

    if (item != NULL) {
        chi_stats_item_add(item, bytes, begin, end, stamp);
    }
}

void
chi_stats_charge(struct chi_pe *pe, uint32_t entry)
{
    const uint64_t now = chi_clock_ticks();
    const uint64_t ticks = now - pe->stats.mark;
    struct chi_stats_item *item =
        entry == 0 || !pe->stats.on
            ? NULL
            : item_at(&pe->stats.entries, &pe->stats.entry_room, entry);

    pe->meter.last = now;
    if (item != NULL) {
        item->ticks += ticks;
        item->ticks_max = ticks > item->ticks_max ? ticks : item->ticks_max;
    }
}

void
chi_stats_begin(struct chi_pe *pe)
{
    pe->stats.mark = pe->meter.last;
    chi_stats_charge(pe, pe->caller);
    pe->stats.mark = pe->meter.last;
}

void
chi_stats_measure(struct chi_pe *pe, bool on)
{
    struct chi_stats *stats = &pe->stats;

    if (on == stats->on) {
        return;
    }
    stats->on = on;
    chi_pe_look_at_laps(pe);
    pe->meter.stamped = NULL;
    if (!on) {
        return;
    }
    (void)chi_pe_lap(pe);
    if (stats->since_ticks == 0) {
        stats->since_ticks = pe->meter.last;
        stats->since_ns = chi_clock_now_ns(pe->options.clock);
    }
    chi_stats_stamp(pe);
    for (size_t i = 0; i < pe->queue.heap_count; i++) {
        pe->queue.heap[i]->spare = pe->meter.last;
    }
}

double
chi_stats_ns_per_tick(const struct chi_pe *pe)
{
    const uint64_t ticks = chi_clock_ticks() - pe->stats.since_ticks;
    const uint64_t ns =
        chi_clock_now_ns(pe->options.clock) - pe->stats.since_ns;

    return pe->stats.since_ticks == 0 || ticks == 0
               ? 0
               : (double)ns / (double)ticks;
}

void
chi_stats_fini(struct chi_pe *pe)
{
    free(pe->stats.entries);
    free(pe->stats.types);
}
