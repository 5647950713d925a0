/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_VIRTUAL_H
#define CHI_LB_VIRTUAL_H

/*
 * virtual.h - the protocol code of distributed strategies on any number of
 * PEs in one thread: for what-if, tests and the bench.
 *
 * Messages take one to three steps by chance, so they overtake each other.
 */

#include "lb/strategies/strategy.h"

struct chi_virtual_cost {
    uint64_t messages;
    uint64_t bytes;
    uint32_t rounds;     /* what depends on each other, at most */
    uint32_t steps;      /* until all was over */
    uint64_t bytes_most; /* memory of the PE that used most */
    uint64_t sent_most;  /* messages of the PE that sent most */
    double bytes_mean;
};

/* Errors: CHARE_ERR_NO_MEMORY; CHARE_ERR_STATE - it ended before it was over,
 * a bug. */
CHARE_MUST_CHECK chare_status chi_virtual_spread(
    const struct chi_lb_problem *problem, enum chi_lb_spread spread,
    uint32_t *to, struct chi_virtual_cost *cost_out);

#endif /* CHI_LB_VIRTUAL_H */
