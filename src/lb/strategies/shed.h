/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_SHED_H
#define CHI_LB_STRATEGIES_SHED_H

/*
 * shed.h - what the strategies that avoid moves share: PEs above a goal give
 * up few objects, which find other places.
 */

#include "lb/strategies/strategy.h"

struct chi_shed {
    const struct chi_lb_problem *problem;
    uint32_t *to;
    double bound;
    double goal;      /* seconds that no PE should exceed */
    double *times;    /* of PEs, under 'to' */
    uint32_t *list;   /* objects that can move: by PE, then by falling work */
    uint32_t *starts; /* of each PE in 'list', and one more */
    uint32_t *order;  /* the same objects by falling work */
    size_t count;
    uint32_t *pool; /* objects that were given up */
    size_t pool_count;

    /* The best of what was offered; at first where all objects are, unless
     * some have to move. */
    uint32_t *best;
    double best_time; /* seconds of the fullest, or the goal */
    bool may_stay;    /* no object is on a PE without speed */
    uint64_t best_moves;
};

/*
 * Decide by `steps`, which starts where all objects are ('to') and the goal
 * is set; the best of what it offers is the answer. Errors:
 * CHARE_ERR_NO_MEMORY, and those of `steps`.
 */
CHARE_MUST_CHECK chare_status
chi_shed_decide(const struct chi_lb_problem *problem, uint32_t *to,
                chare_status (*steps)(struct chi_shed *shed));

/* List the objects of each PE, as 'to' now is. */
void chi_shed_list(struct chi_shed *shed);

/*
 * PEs without speed give up all, and with 'some' each PE above the goal the
 * largest objects that do not take it far below; they are in the pool
 * afterwards, by falling work, and out of 'times'.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_shed_give_up(struct chi_shed *shed,
                                               bool some);

/*
 * Objects of the pool go to the PE that ends them first; with 'fit', only if
 * that keeps to the goal, and else back. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_shed_place(struct chi_shed *shed, bool fit);

/*
 * Giving up and placing, turn by turn, until nobody is above the goal; each
 * turn is offered. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_shed_turns(struct chi_shed *shed);

/* The seconds of the PE that has most. */
double chi_shed_makespan(const struct chi_shed *shed);

/* Begin anew at another answer: 'to' and 'times'. */
void chi_shed_begin(struct chi_shed *shed, const uint32_t *at);

/* Keep 'to' if it is better than the best; of what is at the goal, that with
 * the fewest moves. */
void chi_shed_offer(struct chi_shed *shed);

/* The best is at the goal. */
bool chi_shed_is_enough(const struct chi_shed *shed);

#endif /* CHI_LB_STRATEGIES_SHED_H */
