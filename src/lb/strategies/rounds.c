/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rounds.c - largest first without a heap, where PEs are alike.
 *
 * In a round, PEs stand in the order of their times, and each gets one object,
 * until one that has already got one would be the first to end. Then all are
 * sorted anew. As objects become smaller, rounds last until nearly all PEs
 * have got one; so an object costs little more than its part of a radix sort,
 * which reads memory in order, while a heap jumps around in it. Where rounds
 * are short, as with few PEs that lag behind, the heap goes on.
 *
 * Sorting looks at 22 bits of the differences: PEs that differ by less than a
 * millionth of the largest difference may be in any order, the same each time.
 */
#include "config.h"

#include "lb/strategies/rounds.h"

#include <stdlib.h>
#include <string.h>

enum {
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
    SHORT = 16,    /* a round of fewer than 1 in so many PEs is short */
    PES_LEAST = 64 /* with fewer, a heap is as good */
};

static void
pass(const uint64_t *in, uint64_t *out, uint32_t count, uint64_t low,
     unsigned shift)
{
    uint32_t starts[DIGITS] = {0};
    uint32_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        starts[(in[i] - low) >> shift & (DIGITS - 1)]++;
    }
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        const uint32_t here = starts[digit];

        starts[digit] = at;
        at += here;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[starts[(in[i] - low) >> shift & (DIGITS - 1)]++] = in[i];
    }
}

/* By time; 'spare' is as large. */
static void
sort_pes(uint64_t *keys, uint64_t *spare, uint32_t count)
{
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    unsigned shift = 0;

    for (uint32_t i = 0; i < count; i++) {
        low = keys[i] < low ? keys[i] : low;
        high = keys[i] > high ? keys[i] : high;
    }
    while ((high - low) >> shift >> (2 * DIGIT_BITS) != 0) {
        shift++;
    }
    pass(keys, spare, count, low, shift);
    pass(spare, keys, count, low, shift + DIGIT_BITS);
}

chare_status
chi_rounds_place(struct chi_heaps *heaps, const uint32_t *order,
                 const float *works, size_t count, uint32_t *to,
                 uint64_t *most_inout, size_t *placed_out)
{
    struct chi_heap *heap = &heaps->heaps[0];
    const uint32_t pes = heap->count;
    const uint64_t pe_mask = (UINT64_C(1) << CHI_HEAPS_PE_BITS) - 1;
    uint64_t *spare;
    size_t placed = 0;
    uint64_t most = 0;
    uint32_t length = pes;

    *placed_out = 0;
    if (heaps->count != 1 || !(heap->per_work > 0) || pes < PES_LEAST) {
        return CHARE_OK;
    }
    spare = malloc(pes * sizeof(*spare));
    if (spare == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    while (placed < count && length >= pes / SHORT) {
        uint64_t next = UINT64_MAX; /* of those that have got one */

        sort_pes(heap->keys, spare, pes);
        for (length = 0; length < pes && placed < count; length++) {
            const uint64_t key = heap->keys[length];
            uint64_t time;

            if (key > next) {
                break;
            }
            time = chi_heaps_time(heap, key, works[placed]);
            to[order[placed++]] = (uint32_t)(key & pe_mask);
            most = time > most ? time : most;
            heap->keys[length] = time << CHI_HEAPS_PE_BITS | (key & pe_mask);
            next = heap->keys[length] < next ? heap->keys[length] : next;
        }
    }
    free(spare);
    chi_heaps_mend(heap);
    *most_inout = most > *most_inout ? most : *most_inout;
    *placed_out = placed;
    return CHARE_OK;
}
