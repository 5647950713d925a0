/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_SWEEP_H
#define BENCH_SWEEP_H

/*
 * sweep.h - what all programs of Task Bench share: the kernel, and the sweep
 * over granularities that leads to METG(50 %).
 *
 * Task Bench (Slaughter et al., SC20) runs a grid of tasks, 'width' columns
 * times a number of steps; each task depends on those of the step before that
 * its pattern names. The granularity is the time of all processors divided by
 * the tasks; the efficiency is the FLOP/s reached as a part of the most that
 * the processors do with this kernel, all of them at once: what the best
 * quarter of the granularities reaches. METG(50 %) is the smallest granularity
 * at which the efficiency is still one half.
 *
 * A program asks sweep_next() what to run, runs it, tells how long it took by
 * sweep_took(), until there is nothing to run; then sweep_print().
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    SWEEP_POINTS_MAX = 32,
    SWEEP_WIDTH_PER_PE = 4, /* columns for each processor */
    SWEEP_RADIUS_MAX = 2
};

/* Columns on either side that a task depends on. */
enum {
    SWEEP_STENCIL_1D = 1,
    SWEEP_NEAREST_5 = 2
};

struct sweep_point {
    uint64_t iterations;
    uint64_t steps;
    uint64_t best_ns; /* of the tries */
    unsigned tries;
};

struct sweep {
    unsigned pes;
    unsigned width;
    uint64_t iterations; /* of the first point */
    double iteration_ns; /* of the kernel, on one processor, undisturbed */
    unsigned at;         /* the point that is run */
    unsigned point_count;
    struct sweep_point points[SWEEP_POINTS_MAX];
};

/* The work of a task: 128 floating-point operations an iteration. */
void kernel_run(uint64_t iterations);

/* The first tasks take about 'task_ns'. */
void sweep_start(struct sweep *sweep, unsigned pes, uint64_t task_ns);

/* What to run next; false: all is known. */
bool sweep_next(struct sweep *sweep, uint64_t *iterations_out,
                uint64_t *steps_out);

void sweep_took(struct sweep *sweep, uint64_t ns);

/* METG(50 %) in ns, or 0 when the efficiency never crossed one half. */
double sweep_metg_ns(const struct sweep *sweep);

/* A line of JSON, with the curve. */
void sweep_print(const struct sweep *sweep, const char *what);

#endif /* BENCH_SWEEP_H */
