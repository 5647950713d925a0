/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refine.c - what fits is moved, then the fullest PE gives to the emptiest,
 * step by step (search.c).
 */
#include "config.h"

#include "lb/strategies/search.h"

/*
 * What fits, goes, and the search mends the rest. Where that ends too high,
 * since large objects stand in each other's way: placing them without regard
 * to the goal, and then the search.
 */
static chare_status
decide(struct chi_shed *shed)
{
    chare_status status;

    chi_shed_list(shed);
    status = chi_shed_give_up(shed, true);
    if (status == CHARE_OK) {
        status = chi_shed_place(shed, true);
    }
    if (status == CHARE_OK && chi_shed_makespan(shed) > shed->goal) {
        status = chi_lb_search(shed);
    }
    if (status != CHARE_OK) {
        return status;
    }
    chi_shed_offer(shed);
    if (!chi_shed_is_enough(shed)) {
        chi_shed_begin(shed, shed->problem->from);
        status = chi_shed_turns(shed);
    }
    return status == CHARE_OK ? chi_lb_search_again(shed, true) : status;
}

static chare_status
refine_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    (void)text;
    return chi_shed_decide(problem, to, decide);
}

const struct chi_lb_strategy chi_lb_refine = {
    .name = "refine",
    .help = "from the fullest PE to the emptiest, as few moves as it takes",
    .keeps = true,
    .decide = refine_decide,
};
