/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_ROUNDS_H
#define CHI_LB_STRATEGIES_ROUNDS_H

/*
 * rounds.h - largest first without a heap, where PEs are alike.
 */

#include "lb/strategies/heaps.h"

/*
 * Place objects of falling work, 'works' in the order 'order', on the PEs of
 * the only heap, as long as that goes in rounds. Returns how many it has
 * placed; the heap is one again, for the rest. '*most_inout' rises to the
 * latest time given. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_rounds_place(
    struct chi_heaps *heaps, const uint32_t *order, const float *works,
    size_t count, uint32_t *to, uint64_t *most_inout, size_t *placed_out);

#endif /* CHI_LB_STRATEGIES_ROUNDS_H */
