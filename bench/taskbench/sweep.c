/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.c - the kernel and the sweep, see sweep.h.
 *
 * Each point is run some times and the best one counts: the machine may do
 * something else, and what a runtime costs is what it costs undisturbed. What
 * disturbs lasts longer than all tries of a point, one after the other, would:
 * when all points are known each gets a turn again, and another.
 */
#include "sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    PAIRS = 32,
    TRIES_TURN = 3, /* one after the other: the first warms up */
    TURNS = 3,
    TURNS_LONG = 1, /* of tries that take LONG_NS: a disturbance is less */
    LONG_NS = 100000000,
    POINT_NS = 10000000, /* a try of a point takes about this long */
    STEPS_MIN = 4,
    STEPS_MAX = 1000,
    CALIBRATE_ITERATIONS = 2000,
    CALIBRATE_TRIES = 50,
    PEAK_PART = 4 /* the best of so many points count as the peak */
};

static const double half = 0.5;
static const double end = 0.25; /* efficiency below which nothing is new */

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Written as vectors, so that it is the same code wherever it is compiled. */
typedef double pair __attribute__((vector_size(16)));

/*
 * Several in one go: of a loop as short as one of them it would depend on the
 * address, which differs between the programs, whether it fits one line of the
 * cache; and then it is twice as fast.
 */
static inline void
run_eight(pair *lanes, pair factor, pair addend)
{
    lanes[0] = lanes[0] * factor + addend;
    lanes[1] = lanes[1] * factor + addend;
    lanes[2] = lanes[2] * factor + addend;
    lanes[3] = lanes[3] * factor + addend;
    lanes[4] = lanes[4] * factor + addend;
    lanes[5] = lanes[5] * factor + addend;
    lanes[6] = lanes[6] * factor + addend;
    lanes[7] = lanes[7] * factor + addend;
}

void
kernel_run(uint64_t iterations)
{
    const pair factor = {0.999, 0.999};
    const pair addend = {0.001, 0.001};
    pair lanes[PAIRS];
    pair sum = {0, 0};
    volatile double sink;

    for (int i = 0; i < PAIRS; i++) {
        lanes[i] = (pair){1 + i, 2 + i};
    }
    for (uint64_t n = 0; n < iterations; n++) {
        for (int i = 0; i < PAIRS; i += 8) {
            run_eight(&lanes[i], factor, addend);
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        sum += lanes[i];
    }
    sink = sum[0] + sum[1];
    (void)sink;
}

/* The quickest that the kernel is here, for an iteration. */
static double
calibrate(void)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < CALIBRATE_TRIES; i++) {
        const uint64_t start = now_ns();
        uint64_t took;

        kernel_run(CALIBRATE_ITERATIONS);
        took = now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)best / CALIBRATE_ITERATIONS;
}

/*
 * So many steps that a try takes POINT_NS, by what is known already: a step
 * takes half of 'last_step_ns', of the point before, or what the work takes.
 */
static uint64_t
steps_for(const struct sweep *sweep, uint64_t iterations, double last_step_ns)
{
    const double ideal_ns =
        (double)iterations * sweep->iteration_ns * sweep->width / sweep->pes;
    const double step_ns =
        ideal_ns > last_step_ns / 2 ? ideal_ns : last_step_ns / 2;
    const double steps = POINT_NS / (step_ns < 1 ? 1 : step_ns);

    return steps < STEPS_MIN   ? STEPS_MIN
           : steps > STEPS_MAX ? STEPS_MAX
                               : (uint64_t)steps;
}

void
sweep_start(struct sweep *sweep, unsigned pes, uint64_t task_ns)
{
    memset(sweep, 0, sizeof(*sweep));
    sweep->pes = pes;
    sweep->width = pes * SWEEP_WIDTH_PER_PE;
    sweep->iteration_ns = calibrate();
    sweep->iterations = (uint64_t)((double)task_ns / sweep->iteration_ns) + 1;
}

/* What all processors spend on a task. */
static double
granularity_ns(const struct sweep *sweep, const struct sweep_point *point)
{
    return (double)point->best_ns * sweep->pes /
           ((double)sweep->width * (double)point->steps);
}

/* How much of that is the work of the task, had it a processor for itself. */
static double
efficiency(const struct sweep *sweep, const struct sweep_point *point)
{
    return (double)point->iterations * sweep->iteration_ns /
           granularity_ns(sweep, point);
}

/*
 * The peak, as such an efficiency: that of the point at the end of the best
 * quarter. The kernel alone is no measure, for processors may share what they
 * compute with, and neither is the best point, which may have had luck.
 */
static double
peak(const struct sweep *sweep)
{
    const unsigned rank = (sweep->point_count - 1) / PEAK_PART;
    double best[SWEEP_POINTS_MAX];

    for (unsigned i = 0; i < sweep->point_count; i++) {
        const double value = efficiency(sweep, &sweep->points[i]);
        unsigned at = i;

        for (; at > 0 && best[at - 1] < value; at--) {
            best[at] = best[at - 1];
        }
        best[at] = value;
    }
    return best[rank];
}

/* Whether a point is so fine that the next ones show nothing new. */
static bool
is_end(const struct sweep *sweep, unsigned at)
{
    return efficiency(sweep, &sweep->points[at]) < end * peak(sweep);
}

/* A finer point behind the last one; false: there is none, or it would show
 * nothing new: the last two were at the end, for one may be a disturbance. */
static bool
point_add(struct sweep *sweep)
{
    const unsigned count = sweep->point_count;
    uint64_t iterations = sweep->iterations;
    double last_step_ns = 0;

    if (count > 1 && is_end(sweep, count - 1) && is_end(sweep, count - 2)) {
        return false;
    }
    if (count > 0) {
        const struct sweep_point *last = &sweep->points[count - 1];

        iterations = last->iterations / 2;
        last_step_ns = (double)last->best_ns / (double)last->steps;
    }
    if (iterations == 0 || count == SWEEP_POINTS_MAX) {
        return false;
    }
    sweep->points[count] = (struct sweep_point){
        .iterations = iterations,
        .steps = steps_for(sweep, iterations, last_step_ns),
        .best_ns = UINT64_MAX,
    };
    sweep->point_count++;
    return true;
}

/* The point that has had the fewest turns; false: all have had enough. */
static bool
point_find(const struct sweep *sweep, unsigned *at_out)
{
    unsigned least = TURNS;

    for (unsigned i = 0; i < sweep->point_count; i++) {
        const struct sweep_point *point = &sweep->points[i];
        const unsigned turns = point->tries / TRIES_TURN;

        if (turns < least &&
            (turns < TURNS_LONG || point->best_ns <= LONG_NS)) {
            least = turns;
            *at_out = i;
        }
    }
    return least < TURNS;
}

bool
sweep_next(struct sweep *sweep, uint64_t *iterations_out, uint64_t *steps_out)
{
    const unsigned count = sweep->point_count;
    const bool again =
        count > 0 && sweep->points[sweep->at].tries % TRIES_TURN != 0;

    if (!again && point_add(sweep)) {
        sweep->at = count;
    } else if (!again && !point_find(sweep, &sweep->at)) {
        return false;
    }
    *iterations_out = sweep->points[sweep->at].iterations;
    *steps_out = sweep->points[sweep->at].steps;
    return true;
}

void
sweep_took(struct sweep *sweep, uint64_t ns)
{
    struct sweep_point *point = &sweep->points[sweep->at];

    point->best_ns = ns < point->best_ns ? ns : point->best_ns;
    point->tries++;
}

double
sweep_metg_ns(const struct sweep *sweep)
{
    for (unsigned i = sweep->point_count; i-- > 1;) {
        const struct sweep_point *fine = &sweep->points[i];
        const struct sweep_point *coarse = fine - 1;
        const double low = efficiency(sweep, fine) / peak(sweep);
        const double high = efficiency(sweep, coarse) / peak(sweep);

        if (low < half && high >= half) {
            const double part = (high - half) / (high - low);
            const double coarse_ns = granularity_ns(sweep, coarse);

            return exp(
                log(coarse_ns) +
                part * (log(granularity_ns(sweep, fine)) - log(coarse_ns)));
        }
    }
    return 0;
}

void
sweep_print(const struct sweep *sweep, const char *what)
{
    const double metg_ns = sweep_metg_ns(sweep);

    printf("{\"what\": \"%s\"", what);
    if (metg_ns > 0) {
        printf(", \"p50_ns\": %.1f", metg_ns);
    }
    printf(", \"iteration_ns\": %.2f, \"peak\": %.3f, \"curve\": [",
           sweep->iteration_ns, peak(sweep));
    for (unsigned i = 0; i < sweep->point_count; i++) {
        const struct sweep_point *point = &sweep->points[i];

        printf("%s[%.1f, %.4f]", i == 0 ? "" : ", ",
               granularity_ns(sweep, point),
               efficiency(sweep, point) / peak(sweep));
    }
    printf("]}\n");
    fflush(stdout);
}
