/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_STRATEGY_H
#define CHI_LB_STRATEGIES_STRATEGY_H

/*
 * strategy.h - the interface of a strategy, and the list of them.
 *
 * A strategy is a function of the problem alone, its seed included: every PE
 * that asks the same gets the same.
 */

#include "lb/port.h"
#include "lb/problem.h"

struct chi_lb_strategy {
    const char *name;
    const char *help;  /* one line */
    bool needs_places; /* coordinates */
    bool needs_edges;
    bool keeps; /* what is good enough: only what has to move does */

    /* Live, PEs decide without a central step; decide() then runs all of them
     * in one thread (../virtual.c). */
    enum chi_lb_spread spread;

    /*
     * Write the PE of each object into 'to', which holds 'from' at first. The
     * problem has been checked. 'text', of CHI_LB_TEXT_BYTES, is set when it
     * fails.
     */
    chare_status (*decide)(const struct chi_lb_problem *problem, uint32_t *to,
                           char *text);
};

extern const struct chi_lb_strategy chi_lb_none;
extern const struct chi_lb_strategy chi_lb_rotate;
extern const struct chi_lb_strategy chi_lb_random;
extern const struct chi_lb_strategy chi_lb_greedy;
extern const struct chi_lb_strategy chi_lb_greedy_refine;
extern const struct chi_lb_strategy chi_lb_refine;
extern const struct chi_lb_strategy chi_lb_bisect;
extern const struct chi_lb_strategy chi_lb_hierarchical;
extern const struct chi_lb_strategy chi_lb_graph;
extern const struct chi_lb_strategy chi_lb_scotch;

extern const struct chi_lb_strategy chi_lb_gossip;
extern const struct chi_lb_strategy chi_lb_tree;
extern const struct chi_lb_strategy chi_lb_diffusion;

/* The index-th of all; NULL past the last. */
const struct chi_lb_strategy *chi_lb_strategy_at(size_t index);

/*
 * By its name, or by one that Charm4py's programs use (GreedyLB); letters of
 * either case, '-' or '_'. NULL: there is none.
 */
const struct chi_lb_strategy *chi_lb_strategy_find(const char *name);

/*
 * Check the problem and decide. 'text' has CHI_LB_TEXT_BYTES.
 * Errors: CHARE_ERR_INVALID - the problem makes no sense, or lacks what this
 * strategy needs; CHARE_ERR_NO_MEMORY; CHARE_ERR_NOT_FOUND - this build lacks
 * what it needs.
 */
CHARE_MUST_CHECK chare_status
chi_lb_decide(const struct chi_lb_strategy *strategy,
              const struct chi_lb_problem *problem, uint32_t *to, char *text);

#endif /* CHI_LB_STRATEGIES_STRATEGY_H */
