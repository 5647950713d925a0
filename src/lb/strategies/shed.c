/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shed.c - PEs above a goal give up few objects, which find other places.
 */
#include "config.h"

#include "lb/strategies/shed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lb/strategies/heaps.h"

enum {
    TURNS_MAX = 12,
};

/* What is this near to the goal is at it, but for rounding. */
#define NEAR 1.000001
/* Where nobody comes to the goal: what is not worth a move. */
#define LITTLE 0.995
/* What a PE may be below the goal if that takes fewer objects. */
#define SPARE 0.04

double
chi_shed_makespan(const struct chi_shed *shed)
{
    double most = 0;

    for (uint32_t pe = 0; pe < shed->problem->pe_count; pe++) {
        most = shed->times[pe] > most ? shed->times[pe] : most;
    }
    return most;
}

/* That of the fullest PE; what is at the goal is as good as the goal. */
static double
time_of(const struct chi_shed *shed)
{
    const double most = chi_shed_makespan(shed);

    return most <= shed->goal * NEAR ? shed->goal : most;
}

/* No object is on a PE without speed. */
static bool
may_stay(const struct chi_shed *shed)
{
    for (size_t i = 0; i < shed->count; i++) {
        if (!(chi_lb_speed(shed->problem, shed->to[shed->order[i]]) > 0)) {
            return false;
        }
    }
    return true;
}

static uint64_t
moves_of(const struct chi_shed *shed)
{
    const uint32_t *from = shed->problem->from;
    uint64_t moves = 0;

    for (size_t i = 0; i < shed->problem->object_count; i++) {
        moves += shed->to[i] != from[i];
    }
    return moves;
}

void
chi_shed_begin(struct chi_shed *shed, const uint32_t *at)
{
    if (at != shed->to) {
        memcpy(shed->to, at, shed->problem->object_count * sizeof(*at));
    }
    chi_lb_times(shed->problem, shed->to, shed->times);
}

void
chi_shed_offer(struct chi_shed *shed)
{
    const double time = time_of(shed);
    uint64_t moves;

    if (time > shed->best_time ||
        (time > shed->goal && time > shed->best_time * LITTLE)) {
        return;
    }
    moves = moves_of(shed);
    if (time < shed->best_time || moves < shed->best_moves) {
        memcpy(shed->best, shed->to,
               shed->problem->object_count * sizeof(*shed->to));
        shed->best_time = time;
        shed->best_moves = moves;
    }
}

bool
chi_shed_is_enough(const struct chi_shed *shed)
{
    return shed->best_time <= shed->goal;
}

static chare_status
shed_init(struct chi_shed *shed, const struct chi_lb_problem *problem,
          uint32_t *to)
{
    const size_t objects = problem->object_count;
    const size_t pes = problem->pe_count;
    chare_status status;
    double mean;

    *shed = (struct chi_shed){
        .problem = problem,
        .to = to,
        .times = malloc(pes * sizeof(*shed->times)),
        .list = malloc(objects * sizeof(*shed->list)),
        .starts = malloc((pes + 1) * sizeof(*shed->starts)),
        .order = malloc(objects * sizeof(*shed->order)),
        .pool = malloc(objects * sizeof(*shed->pool)),
        .best = malloc(objects * sizeof(*shed->best)),
    };
    if (shed->times == NULL || shed->list == NULL || shed->starts == NULL ||
        shed->order == NULL || shed->pool == NULL || shed->best == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = chi_lb_bound(problem, &shed->bound, &mean);
    if (status != CHARE_OK) {
        return status;
    }
    shed->goal = shed->bound * (1 + (double)chi_lb_tolerance(problem));
    if (problem->goal > 0) {
        shed->goal = fmax(problem->goal, shed->bound);
    }
    chi_shed_begin(shed, to);
    status = chi_lb_sort(problem, shed->order, NULL, &shed->count);
    memcpy(shed->best, to, objects * sizeof(*to));
    shed->may_stay = may_stay(shed);
    shed->best_time = shed->may_stay ? time_of(shed) : (double)INFINITY;
    return status;
}

static void
shed_fini(struct chi_shed *shed)
{
    free(shed->times);
    free(shed->list);
    free(shed->starts);
    free(shed->order);
    free(shed->pool);
    free(shed->best);
}

chare_status
chi_shed_decide(const struct chi_lb_problem *problem, uint32_t *to,
                chare_status (*steps)(struct chi_shed *shed))
{
    struct chi_shed shed;
    chare_status status = shed_init(&shed, problem, to);

    if (status == CHARE_OK) {
        status = steps(&shed);
    }
    if (status == CHARE_OK) {
        memcpy(to, shed.best, problem->object_count * sizeof(*to));
    }
    shed_fini(&shed);
    return status;
}

void
chi_shed_list(struct chi_shed *shed)
{
    const uint32_t pes = shed->problem->pe_count;
    uint32_t *starts = shed->starts;

    memset(starts, 0, (pes + 1) * sizeof(*starts));
    for (size_t i = 0; i < shed->count; i++) {
        starts[shed->to[shed->order[i]]]++;
    }
    for (uint32_t pe = 0, at = 0; pe <= pes; pe++) {
        const uint32_t here = starts[pe];

        starts[pe] = at;
        at += here;
    }
    for (size_t i = 0; i < shed->count; i++) {
        shed->list[starts[shed->to[shed->order[i]]]++] = shed->order[i];
    }
    for (uint32_t pe = pes; pe > 0; pe--) {
        starts[pe] = starts[pe - 1];
    }
    starts[0] = 0;
}

/* The object leaves its PE, for the pool. */
static void
take_out(struct chi_shed *shed, uint32_t pe, uint32_t object)
{
    const float speed = chi_lb_speed(shed->problem, pe);

    if (speed > 0) {
        shed->times[pe] -= (double)shed->problem->work[object] / (double)speed;
    }
    shed->pool[shed->pool_count++] = object;
}

/* All that a PE without speed has. */
static void
give_up_all(struct chi_shed *shed, uint32_t pe)
{
    for (uint32_t i = shed->starts[pe]; i < shed->starts[pe + 1]; i++) {
        take_out(shed, pe, shed->list[i]);
    }
}

static double
work_of(const struct chi_shed *shed, uint32_t at)
{
    return (double)shed->problem->work[shed->list[at]];
}

/*
 * The smallest object that suffices, if that takes it little below the goal or
 * all smaller ones do not suffice; else the largest of these, and so on.
 */
static void
give_up_some(struct chi_shed *shed, uint32_t pe)
{
    const double speed = (double)chi_lb_speed(shed->problem, pe);
    const uint32_t end = shed->starts[pe + 1];
    const double spare = SPARE * shed->goal * speed;
    double excess = (shed->times[pe] - shed->goal) * speed;
    double rest = 0;     /* work of those from 'i' on */
    uint32_t last = end; /* the smallest kept that was too large */

    for (uint32_t i = shed->starts[pe]; i < end; i++) {
        rest += work_of(shed, i);
    }
    for (uint32_t i = shed->starts[pe]; i < end && excess > 0; i++) {
        const double work = work_of(shed, i);

        if (work > excess) {
            last = i;
        } else if (last != end &&
                   (work_of(shed, last) <= excess + spare || rest < excess)) {
            break;
        } else {
            take_out(shed, pe, shed->list[i]);
            excess -= work;
        }
        rest -= work;
    }
    /* Rounding is no reason for a move. */
    if (excess > 1e-6 * shed->goal * speed && last != end) {
        take_out(shed, pe, shed->list[last]);
    }
}

chare_status
chi_shed_give_up(struct chi_shed *shed, bool some)
{
    shed->pool_count = 0;
    for (uint32_t pe = 0; pe < shed->problem->pe_count; pe++) {
        if (!(chi_lb_speed(shed->problem, pe) > 0)) {
            give_up_all(shed, pe);
        } else if (some && shed->times[pe] > shed->goal) {
            give_up_some(shed, pe);
        }
    }
    return chi_lb_sort_some(shed->problem, shed->pool, shed->pool_count);
}

static void
put_in(struct chi_shed *shed, uint32_t pe, uint32_t object)
{
    shed->to[object] = pe;
    shed->times[pe] += (double)shed->problem->work[object] /
                       (double)chi_lb_speed(shed->problem, pe);
}

chare_status
chi_shed_place(struct chi_shed *shed, bool fit)
{
    struct chi_heaps heaps;
    chare_status status =
        chi_heaps_init(&heaps, shed->problem, shed->times, shed->bound);

    if (status != CHARE_OK) {
        return status;
    }
    for (size_t i = 0; i < shed->pool_count; i++) {
        const uint32_t object = shed->pool[i];
        const uint32_t back = shed->to[object];
        uint64_t time;
        const uint32_t heap =
            chi_heaps_best(&heaps, shed->problem->work[object], &time);

        if (fit && (double)time > shed->goal * heaps.per_second &&
            chi_lb_speed(shed->problem, back) > 0) {
            put_in(shed, back, object);
        } else {
            put_in(shed, chi_heaps_give(&heaps, heap, time), object);
        }
    }
    chi_heaps_fini(&heaps);
    return CHARE_OK;
}

chare_status
chi_shed_turns(struct chi_shed *shed)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        chare_status status;

        chi_shed_list(shed);
        status = chi_shed_give_up(shed, true);
        if (status == CHARE_OK) {
            status = chi_shed_place(shed, false);
        }
        if (status != CHARE_OK) {
            return status;
        }
        chi_shed_offer(shed);
        if (chi_shed_makespan(shed) <= shed->goal * NEAR) {
            break;
        }
    }
    return CHARE_OK;
}
