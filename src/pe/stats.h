/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PE_STATS_H
#define CHI_PE_STATS_H

/*
 * stats.h - what the calls of each entry method cost on this PE; see stats.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct chi_pe;

/* Of one entry, or of the making of chares of one type. Times are ticks. */
struct chi_stats_item {
    uint64_t calls;
    uint64_t ticks;
    uint64_t ticks_max; /* of one call, or of a part between suspensions */
    uint64_t bytes;
    uint64_t wait;
    uint64_t wait_max;
    uint64_t kept; /* suspended, it kept its chare here; always counted */
};

struct chi_stats {
    bool on;
    struct chi_stats_item *entries; /* by id */
    struct chi_stats_item *types;   /* chares made, by type */
    uint32_t entry_room;
    uint32_t type_room;
    uint64_t since_ticks; /* when it was first on; 0: never */
    uint64_t since_ns;
    uint64_t mark; /* of chi_stats_begin() */
};

/* Measure from now on, or do not; what was measured stays. */
void chi_stats_measure(struct chi_pe *pe, bool on);
void chi_stats_fini(struct chi_pe *pe);

/* The making of a chare of a type has taken the last lap, which began at
 * 'begin'; its message has waited since 'stamp'. */
void chi_stats_add_made(struct chi_stats *stats, uint32_t type, uint64_t bytes,
                        uint64_t begin, uint64_t end, uint64_t stamp);

/*
 * Something else begins within an execution, whose time so far is charged; and
 * it has ended, and its time was this entry's. No call is counted.
 */
void chi_stats_begin(struct chi_pe *pe);
void chi_stats_charge(struct chi_pe *pe, uint32_t entry);

/* Ticks in nanoseconds, by all that has passed since it was first on. */
double chi_stats_ns_per_tick(const struct chi_pe *pe);

/* ---- inline */

/* The item of an entry that the table has no room for yet; NULL: no memory. */
struct chi_stats_item *chi_stats_entry_slow(struct chi_stats *stats,
                                            uint32_t entry);

static inline void
chi_stats_item_add(struct chi_stats_item *item, uint64_t bytes, uint64_t begin,
                   uint64_t end, uint64_t stamp)
{
    item->calls++;
    item->bytes += bytes;
    item->ticks += end - begin;
    item->wait += begin - stamp;
    if (chi_unlikely(end - begin > item->ticks_max)) {
        item->ticks_max = end - begin;
    }
    if (chi_unlikely(begin - stamp > item->wait_max)) {
        item->wait_max = begin - stamp;
    }
}

/* The item of an entry; NULL: no memory. */
static inline struct chi_stats_item *
chi_stats_entry(struct chi_stats *stats, uint32_t entry)
{
    return chi_likely(entry < stats->entry_room)
               ? &stats->entries[entry]
               : chi_stats_entry_slow(stats, entry);
}

#endif /* CHI_PE_STATS_H */
