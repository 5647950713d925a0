/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd.c - PEs of a node that have fewer processors than they are.
 *
 * A matching of PEs and processors, PE by PE. Who finds no processor, also
 * when others change to others of theirs, has looked at all that any of them
 * may use: these are full for good, and are not looked at again. So it takes
 * as many steps as there are pairs of a PE and a processor for each PE that
 * finds one, and as many for all others together. In the end the crowded PEs
 * are those that may use full processors only.
 */
#include "config.h"

#include "topo/crowd.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    BITS = 64,
};

#define NOBODY UINT32_MAX

/* ---- sets */

void
chi_cpus_encode(const struct chi_cpus *cpus, struct chi_writer *writer)
{
    const unsigned char *bytes = (const unsigned char *)cpus->words;
    size_t first = 0;
    size_t end = sizeof(cpus->words);

    while (end > 0 && bytes[end - 1] == 0) {
        end--;
    }
    while (first < end && bytes[first] == 0) {
        first++;
    }
    chi_write_u16(writer, (uint16_t)first);
    chi_write_u16(writer, (uint16_t)(end - first));
    chi_write(writer, bytes + first, end - first);
}

chare_status
chi_cpus_decode(struct chi_reader *reader, struct chi_cpus *cpus_out)
{
    const size_t first = chi_read_u16(reader);
    const size_t len = chi_read_u16(reader);
    const void *bytes;

    if (first + len > sizeof(cpus_out->words)) {
        reader->bad = true;
    }
    bytes = chi_read_bytes(reader, len);
    if (bytes == NULL) {
        return CHARE_ERR_FORMAT;
    }
    *cpus_out = (struct chi_cpus){{0}};
    memcpy((unsigned char *)cpus_out->words + first, bytes, len);
    return CHARE_OK;
}

static bool
cpus_meet(const struct chi_cpus *a, const struct chi_cpus *b)
{
    uint64_t both = 0;

    for (uint32_t i = 0; i < CHI_CPUS_WORDS; i++) {
        both |= a->words[i] & b->words[i];
    }
    return both != 0;
}

static bool
cpus_are_within(const struct chi_cpus *cpus, const struct chi_cpus *others)
{
    uint64_t beyond = 0;

    for (uint32_t i = 0; i < CHI_CPUS_WORDS; i++) {
        beyond |= cpus->words[i] & ~others->words[i];
    }
    return beyond == 0;
}

static void
cpus_join(struct chi_cpus *cpus, const struct chi_cpus *others)
{
    for (uint32_t i = 0; i < CHI_CPUS_WORDS; i++) {
        cpus->words[i] |= others->words[i];
    }
}

uint32_t
chi_cpus_count(const struct chi_cpus *cpus)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < CHI_CPUS_WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(cpus->words[i]);
    }
    return count;
}

/* ---- who has which processor to itself */

struct seats {
    const struct chi_cpus *cpus; /* by PE */
    struct chi_cpus full;
    uint32_t owner[CHI_CPUS_MAX]; /* the PE that has it, or NOBODY */
    uint32_t asker[CHI_CPUS_MAX]; /* the PE that asked for it last */
    uint32_t *seat;               /* by PE: its processor, or NOBODY */
    uint32_t *queue;              /* of PEs that look for another one */
    uint32_t queued;
};

/* A PE asks for all that it may use and nobody has asked for: one that is
 * free, or NOBODY; then their owners look for others. */
static uint32_t
ask(struct seats *seats, uint32_t pe, struct chi_cpus *asked)
{
    for (uint32_t i = 0; i < CHI_CPUS_WORDS; i++) {
        uint64_t fresh = seats->cpus[pe].words[i] & ~asked->words[i];

        asked->words[i] |= fresh;
        for (; fresh != 0; fresh &= fresh - 1) {
            const uint32_t cpu = i * BITS + (uint32_t)__builtin_ctzll(fresh);

            seats->asker[cpu] = pe;
            if (seats->owner[cpu] == NOBODY) {
                return cpu;
            }
            seats->queue[seats->queued++] = seats->owner[cpu];
        }
    }
    return NOBODY;
}

/* It goes to who asked for it, whose own goes to who asked for that. */
static void
pass_on(struct seats *seats, uint32_t cpu)
{
    while (cpu != NOBODY) {
        const uint32_t pe = seats->asker[cpu];
        const uint32_t before = seats->seat[pe];

        seats->owner[cpu] = pe;
        seats->seat[pe] = cpu;
        cpu = before;
    }
}

static void
seat_find(struct seats *seats, uint32_t pe)
{
    struct chi_cpus asked = seats->full;

    seats->queue[0] = pe;
    seats->queued = 1;
    for (uint32_t i = 0; i < seats->queued; i++) {
        const uint32_t cpu = ask(seats, seats->queue[i], &asked);

        if (cpu != NOBODY) {
            pass_on(seats, cpu);
            return;
        }
    }
    seats->full = asked;
}

/* The processors that crowded PEs may use. */
static chare_status
full_find(const struct chi_cpus *cpus, uint32_t pe_count,
          struct chi_cpus *full_out)
{
    struct seats *seats = malloc(sizeof(*seats));
    uint32_t *by_pe = calloc(2 * (size_t)pe_count, sizeof(*by_pe));
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (seats != NULL && by_pe != NULL) {
        seats->cpus = cpus;
        seats->full = (struct chi_cpus){{0}};
        seats->seat = by_pe;
        seats->queue = by_pe + pe_count;
        for (uint32_t cpu = 0; cpu < CHI_CPUS_MAX; cpu++) {
            seats->owner[cpu] = NOBODY;
        }
        for (uint32_t pe = 0; pe < pe_count; pe++) {
            seats->seat[pe] = NOBODY;
        }
        for (uint32_t pe = 0; pe < pe_count; pe++) {
            seat_find(seats, pe);
        }
        *full_out = seats->full;
        status = CHARE_OK;
    }
    free(by_pe);
    free(seats);
    return status;
}

/* ---- the group */

chare_status
chi_crowd_find(const struct chi_cpus *cpus, uint32_t pe_count, uint32_t pe,
               struct chi_crowd *crowd_out)
{
    struct chi_cpus group = cpus[pe];
    struct chi_cpus full;
    uint32_t pes = 0;
    uint32_t before;
    chare_status status;

    chi_assert(pe < pe_count);
    status = full_find(cpus, pe_count, &full);
    if (status != CHARE_OK) {
        return status;
    }
    if (chi_cpus_count(&group) == 0 || !cpus_are_within(&group, &full)) {
        *crowd_out = (struct chi_crowd){.pes = 1, .processors = 1};
        return CHARE_OK;
    }
    do {
        before = pes;
        pes = 0;
        for (uint32_t i = 0; i < pe_count; i++) {
            if (cpus_meet(&cpus[i], &group) &&
                cpus_are_within(&cpus[i], &full)) {
                cpus_join(&group, &cpus[i]);
                pes++;
            }
        }
    } while (pes > before);
    *crowd_out = (struct chi_crowd){pes, chi_cpus_count(&group)};
    chi_assert(crowd_out->processors < pes);
    return CHARE_OK;
}
