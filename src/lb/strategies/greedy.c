/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greedy.c - longest processing time first: the largest object to the PE that
 * would end it first (R. L. Graham, "Bounds on multiprocessing timing
 * anomalies", SIAM J. Appl. Math. 17(2), 1969; for PEs of different speeds T.
 * Gonzalez, O. H. Ibarra, S. Sahni, "Bounds for LPT schedules on uniform
 * processors", SIAM J. Comput. 6(1), 1977).
 */
#include "config.h"

#include <stdlib.h>

#include "lb/strategies/heaps.h"
#include "lb/strategies/strategy.h"

/* The seconds of PEs without the objects that can move. */
static void
fixed_times(const struct chi_lb_problem *problem, double *times)
{
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        times[pe] = (double)chi_lb_background(problem, pe);
    }
    if (problem->fixed == NULL) {
        return;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        const float speed = chi_lb_speed(problem, problem->from[i]);

        if (problem->fixed[i] != 0 && speed > 0) {
            times[problem->from[i]] +=
                (double)problem->work[i] / (double)speed;
        }
    }
}

static chare_status
greedy_place(const struct chi_lb_problem *problem, uint32_t *order,
             double *times, uint32_t *to)
{
    struct chi_heaps heaps;
    size_t count;
    double bound;
    double mean;
    chare_status status = chi_lb_sort(problem, order, &count);

    if (status == CHARE_OK) {
        status = chi_lb_bound(problem, &bound, &mean);
    }
    if (status == CHARE_OK) {
        fixed_times(problem, times);
        status = chi_heaps_init(&heaps, problem, times, bound);
    }
    if (status != CHARE_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t time;
        const uint32_t heap =
            chi_heaps_best(&heaps, problem->work[order[i]], &time);

        to[order[i]] = chi_heaps_give(&heaps, heap, time);
    }
    chi_heaps_fini(&heaps);
    return CHARE_OK;
}

static chare_status
greedy_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    uint32_t *order = malloc(problem->object_count * sizeof(*order));
    double *times = malloc(problem->pe_count * sizeof(*times));
    chare_status status = CHARE_ERR_NO_MEMORY;

    (void)text;
    if (order != NULL && times != NULL) {
        status = greedy_place(problem, order, times, to);
    }
    free(times);
    free(order);
    return status;
}

const struct chi_lb_strategy chi_lb_greedy = {
    .name = "greedy",
    .help = "the largest object to the PE that ends it first; nearly all move",
    .decide = greedy_decide,
};
