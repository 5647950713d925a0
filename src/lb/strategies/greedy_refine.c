/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greedy_refine.c - greedy for what has to move only.
 *
 * PEs above the goal give up few objects; these are placed as by LPT. A large
 * object may lift its new PE above the goal; that one gives up small ones in
 * the next turn. Where that does not come to the goal, or there are few
 * objects, single moves and swaps are tried (search.c). The idea is
 * GreedyRefineLB's of Charm++ (a greedy assignment that prefers the PE an
 * object is on); this way around, an object that may stay is never looked at.
 */
#include "config.h"

#include "lb/strategies/search.h"

static chare_status
decide(struct chi_shed *shed)
{
    const chare_status status = chi_shed_turns(shed);

    return status == CHARE_OK ? chi_lb_search_again(shed, true) : status;
}

static chare_status
greedy_refine_decide(const struct chi_lb_problem *problem, uint32_t *to,
                     char *text)
{
    (void)text;
    return chi_shed_decide(problem, to, decide);
}

const struct chi_lb_strategy chi_lb_greedy_refine = {
    .name = "greedy-refine",
    .help = "as greedy, but only what has to move does",
    .keeps = true,
    .decide = greedy_refine_decide,
};
