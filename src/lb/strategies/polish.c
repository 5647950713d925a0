/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * polish.c - full PEs swap objects with empty ones, two and two.
 *
 * Largest first ends some percent above the bound where a PE has ten objects
 * and the smallest are not small: there is room, but nothing that fits. Two
 * PEs that are as much above the mean as below it have enough objects to be
 * made alike.
 */
#include "config.h"

#include "lb/strategies/polish.h"

#include <stdlib.h>

#include "lb/group.h"

enum {
    BINS = 4096, /* of times, to find the emptiest */
    FULL = 0,
    EMPTY = 1,
    PAIR = 2,
};

struct pairs {
    const struct chi_lb_problem *problem;
    const struct chi_heaps *heaps;
    uint64_t goal;   /* in the heaps' units */
    uint32_t *slots; /* of each PE: 2 * pair + FULL or EMPTY, and 1; 0: none */
    double *times;   /* by slot, from 0 */
    uint32_t *pes;   /* likewise */
    uint32_t count;  /* of pairs */
    size_t *starts;  /* of each pair's items */
    struct chi_group_item *items;
};

static uint64_t
time_of(uint64_t key)
{
    return key >> CHI_HEAPS_PE_BITS;
}

static void
add(struct pairs *pairs, uint64_t key, uint32_t slot)
{
    const uint32_t pe =
        (uint32_t)(key & ((UINT64_C(1) << CHI_HEAPS_PE_BITS) - 1));

    pairs->slots[pe] = slot + 1;
    pairs->pes[slot] = pe;
    pairs->times[slot] = (double)time_of(key) / pairs->heaps->per_second;
}

/* Those that are above the goal, one to a pair. */
static void
find_full(struct pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->heaps->count; i++) {
        const struct chi_heap *heap = &pairs->heaps->heaps[i];

        for (uint32_t at = 0; at < heap->count; at++) {
            if (time_of(heap->keys[at]) > pairs->goal) {
                add(pairs, heap->keys[at], PAIR * pairs->count++ + FULL);
            }
        }
    }
}

static uint32_t
bin_of(const struct pairs *pairs, uint64_t key)
{
    const uint64_t time = time_of(key);

    return time >= pairs->goal ? BINS : (uint32_t)(time * BINS / pairs->goal);
}

/* The emptiest, one to a pair, or to as many pairs as there are such. */
static void
find_empty(struct pairs *pairs)
{
    uint32_t counts[BINS + 1] = {0};
    uint32_t last = 0;
    uint32_t found = 0;

    for (uint32_t i = 0; i < pairs->heaps->count; i++) {
        const struct chi_heap *heap = &pairs->heaps->heaps[i];

        for (uint32_t at = 0; at < heap->count; at++) {
            counts[bin_of(pairs, heap->keys[at])]++;
        }
    }
    for (uint32_t sum = counts[0]; last + 1 < BINS && sum < pairs->count;) {
        sum += counts[++last];
    }
    for (uint32_t i = 0; i < pairs->heaps->count; i++) {
        const struct chi_heap *heap = &pairs->heaps->heaps[i];

        for (uint32_t at = 0; at < heap->count && found < pairs->count; at++) {
            if (bin_of(pairs, heap->keys[at]) <= last) {
                add(pairs, heap->keys[at], PAIR * found++ + EMPTY);
            }
        }
    }
    pairs->count = found; /* full ones without an empty one stay as they are */
}

/* The items of all pairs, each pair's together. */
static chare_status
collect(struct pairs *pairs, const uint32_t *to)
{
    const struct chi_lb_problem *problem = pairs->problem;

    for (int fill = 0; fill < 2; fill++) {
        for (size_t i = 0; i < problem->object_count; i++) {
            const uint32_t slot = pairs->slots[to[i]];
            const uint32_t pair = (slot - 1) / PAIR;
            const uint16_t member = (uint16_t)((slot - 1) % PAIR);

            if (slot == 0 || pair >= pairs->count ||
                !chi_lb_movable(problem, i)) {
                continue;
            }
            if (fill == 0) {
                pairs->starts[pair]++;
            } else {
                pairs->items[--pairs->starts[pair]] = (struct chi_group_item){
                    problem->work[i], member, member, (uint32_t)i};
            }
        }
        if (fill == 0) {
            for (uint32_t pair = 0; pair < pairs->count; pair++) {
                pairs->starts[pair + 1] += pairs->starts[pair];
            }
            pairs->items = malloc((pairs->starts[pairs->count] + 1) *
                                  sizeof(*pairs->items));
            if (pairs->items == NULL) {
                return CHARE_ERR_NO_MEMORY;
            }
        }
    }
    return CHARE_OK;
}

static void
balance_pair(const struct pairs *pairs, uint32_t pair, double goal,
             uint32_t *to)
{
    const uint32_t *pes = pairs->pes + (size_t)PAIR * pair;
    struct chi_group group = {
        .member_count = PAIR,
        .items = pairs->items + pairs->starts[pair],
        .item_count =
            (uint32_t)(pairs->starts[pair + 1] - pairs->starts[pair]),
    };

    for (uint32_t m = 0; m < PAIR; m++) {
        group.times[m] = pairs->times[PAIR * pair + m];
        group.speeds[m] = (double)chi_lb_speed(pairs->problem, pes[m]);
    }
    if (chi_group_balance(&group, goal)) {
        for (uint32_t i = 0; i < group.item_count; i++) {
            to[group.items[i].index] = pes[group.items[i].at];
        }
    }
}

chare_status
chi_lb_polish(const struct chi_lb_problem *problem,
              const struct chi_heaps *heaps, double goal, uint32_t *to)
{
    const size_t pes = problem->pe_count;
    struct pairs pairs = {
        .problem = problem,
        .heaps = heaps,
        .goal = (uint64_t)(goal * heaps->per_second),
        .slots = calloc(pes, sizeof(*pairs.slots)),
        .times = malloc(PAIR * pes * sizeof(*pairs.times)),
        .pes = malloc(PAIR * pes * sizeof(*pairs.pes)),
        .starts = calloc(pes + 1, sizeof(*pairs.starts)),
    };
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (pairs.slots != NULL && pairs.times != NULL && pairs.pes != NULL &&
        pairs.starts != NULL && pairs.goal > 0) {
        find_full(&pairs);
        find_empty(&pairs);
        status = collect(&pairs, to);
    }
    for (uint32_t pair = 0; status == CHARE_OK && pair < pairs.count; pair++) {
        balance_pair(&pairs, pair, goal, to);
    }
    free(pairs.slots);
    free(pairs.times);
    free(pairs.pes);
    free(pairs.starts);
    free(pairs.items);
    return status;
}
