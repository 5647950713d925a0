/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep.c - the kernel and the sweep, see sweep.h.
 *
 * Each point is run some times and the best one counts: the machine may do
 * something else, and what a runtime costs is what it costs undisturbed.
 */
#include "sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    PAIRS = 32,
    TRIES = 9,
    TRIES_LONG = 3, /* of a try that takes LONG_NS: a disturbance is less */
    LONG_NS = 100000000,
    POINT_NS = 10000000, /* a try of a point takes about this long */
    STEPS_MIN = 4,
    STEPS_MAX = 1000,
    CALIBRATE_ITERATIONS = 2000,
    CALIBRATE_TRIES = 50
};

static const double half = 0.5;
static const double disturbed = 0.8;
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
        for (int i = 0; i < PAIRS; i++) {
            lanes[i] = lanes[i] * factor + addend;
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

/* So many steps that a try takes POINT_NS, by what is known already. */
static uint64_t
steps_for(const struct sweep *sweep)
{
    const double ideal_ns = (double)sweep->iterations * sweep->iteration_ns *
                            sweep->width / sweep->pes;
    const double step_ns =
        ideal_ns > sweep->step_ns / 2 ? ideal_ns : sweep->step_ns / 2;
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
    sweep->steps = steps_for(sweep);
    sweep->best_ns = UINT64_MAX;
}

static double
most_efficient(const struct sweep *sweep)
{
    double most = 0;

    for (unsigned i = 0; i < sweep->point_count; i++) {
        if (sweep->points[i].efficiency > most) {
            most = sweep->points[i].efficiency;
        }
    }
    return most;
}

/*
 * What the efficiencies are to be multiplied by: the peak is what was
 * calibrated. Where the best point is above that, or below 'disturbed' of it
 * because others use the processors, it is what the best point reached.
 */
static double
scale_of(const struct sweep *sweep)
{
    const double most = most_efficient(sweep);

    return most > 1 || (most > 0 && most < disturbed) ? 1 / most : 1;
}

/* All tries of a point are over. */
static void
point_end(struct sweep *sweep)
{
    const double wall_ns = (double)sweep->best_ns;
    const double tasks = (double)sweep->width * (double)sweep->steps;
    const double work_ns =
        tasks * (double)sweep->iterations * sweep->iteration_ns;

    sweep->points[sweep->point_count++] = (struct sweep_point){
        .granularity_ns = wall_ns * sweep->pes / tasks,
        .efficiency = work_ns / (wall_ns * sweep->pes),
    };
    sweep->step_ns = wall_ns / (double)sweep->steps;
    sweep->iterations /= 2;
    sweep->steps = steps_for(sweep);
    sweep->tries = 0;
    sweep->best_ns = UINT64_MAX;
}

bool
sweep_next(struct sweep *sweep, uint64_t *iterations_out, uint64_t *steps_out)
{
    const unsigned count = sweep->point_count;

    *iterations_out = sweep->iterations;
    *steps_out = sweep->steps;
    return sweep->iterations > 0 && count < SWEEP_POINTS_MAX &&
           (count == 0 ||
            sweep->points[count - 1].efficiency * scale_of(sweep) >= end);
}

void
sweep_took(struct sweep *sweep, uint64_t ns)
{
    sweep->best_ns = ns < sweep->best_ns ? ns : sweep->best_ns;
    if (++sweep->tries >= (sweep->best_ns > LONG_NS ? TRIES_LONG : TRIES)) {
        point_end(sweep);
    }
}

double
sweep_metg_ns(const struct sweep *sweep)
{
    const double scale = scale_of(sweep);

    for (unsigned i = sweep->point_count; i-- > 1;) {
        const struct sweep_point *fine = &sweep->points[i];
        const struct sweep_point *coarse = fine - 1;
        const double low = fine->efficiency * scale;
        const double high = coarse->efficiency * scale;

        if (low < half && high >= half) {
            const double part = (high - half) / (high - low);

            return exp(log(coarse->granularity_ns) +
                       part * (log(fine->granularity_ns) -
                               log(coarse->granularity_ns)));
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
           sweep->iteration_ns, most_efficient(sweep));
    for (unsigned i = 0; i < sweep->point_count; i++) {
        printf("%s[%.1f, %.4f]", i == 0 ? "" : ", ",
               sweep->points[i].granularity_ns,
               sweep->points[i].efficiency * scale_of(sweep));
    }
    printf("]}\n");
    fflush(stdout);
}
