/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_ARRANGE_H
#define CHI_LB_STRATEGIES_ARRANGE_H

/*
 * arrange.h - parts that talk to each other go to PEs that are near.
 */

#include "lb/problem.h"

enum {
    CHI_LB_ARRANGE_PES_MAX = 8192, /* beyond, parts are only exchanged */

    /* Distances that are looked at, at most, before exchanging ends; it may
     * begin twice. An edge is between two parts, in one direction. */
    CHI_LB_ARRANGE_LOOKS_FIRST = 1 << 20,
    CHI_LB_ARRANGE_LOOKS_PER_PE = 1 << 13,
    CHI_LB_ARRANGE_LOOKS_PER_EDGE = 32,
};

/*
 * 'to' says which PE's part each object is in. Exchange whole parts between
 * PEs of one speed so that fewer bytes go far; objects that cannot move stay.
 * Nothing changes where all PEs are as near, or nothing is won.
 * *looks_out: distances that were looked at to exchange parts. Errors:
 * CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_lb_arrange(
    const struct chi_lb_problem *problem, uint32_t *to, uint64_t *looks_out);

#endif /* CHI_LB_STRATEGIES_ARRANGE_H */
