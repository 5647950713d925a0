/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * greedy.c - longest processing time first: the largest object to the PE that
 * would end it first (R. L. Graham, "Bounds on multiprocessing timing
 * anomalies", SIAM J. Appl. Math. 17(2), 1969; for PEs of different speeds T.
 * Gonzalez, O. H. Ibarra, S. Sahni, "Bounds for LPT schedules on uniform
 * processors", SIAM J. Comput. 6(1), 1977).
 *
 * Where that ends above ENOUGH times the bound, as it does with few objects
 * for each PE, the full PEs swap some with the empty ones (polish.c).
 */
#include "config.h"

#include <stdlib.h>

#include "lb/strategies/heaps.h"
#include "lb/strategies/polish.h"
#include "lb/strategies/rounds.h"
#include "lb/strategies/strategy.h"

#define ENOUGH 1.01
#define GOAL   1.008

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
             float *works, double *times, uint32_t *to)
{
    struct chi_heaps heaps;
    size_t count;
    size_t placed = 0;
    uint64_t most = 0;
    double bound;
    double mean;
    chare_status status = chi_lb_sort(problem, order, works, &count);

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
    status = chi_rounds_place(&heaps, order, works, count, to, &most, &placed);
    for (size_t i = placed; status == CHARE_OK && i < count; i++) {
        uint64_t time;
        const uint32_t heap = chi_heaps_best(&heaps, works[i], &time);

        to[order[i]] = chi_heaps_give(&heaps, heap, time);
        most = time > most ? time : most;
    }
    if (status == CHARE_OK &&
        (double)most > bound * ENOUGH * heaps.per_second) {
        status = chi_lb_polish(problem, &heaps, bound * GOAL, to);
    }
    chi_heaps_fini(&heaps);
    return status;
}

static chare_status
greedy_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    uint32_t *order = malloc(problem->object_count * sizeof(*order));
    float *works = malloc(problem->object_count * sizeof(*works));
    double *times = malloc(problem->pe_count * sizeof(*times));
    chare_status status = CHARE_ERR_NO_MEMORY;

    (void)text;
    if (order != NULL && works != NULL && times != NULL) {
        status = greedy_place(problem, order, works, times, to);
    }
    free(times);
    free(works);
    free(order);
    return status;
}

const struct chi_lb_strategy chi_lb_greedy = {
    .name = "greedy",
    .help = "the largest object to the PE that ends it first; nearly all move",
    .decide = greedy_decide,
};
