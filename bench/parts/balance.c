/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * balance.c - how long a decision takes, and how good it is.
 *
 *     balance STRATEGY|peer SHAPE [OBJECTS [PES [TIMES]]]
 *
 * One line of JSON: the median processor time of one decision, which waits for
 * nothing; the fullest PE over the lower bound; the part of objects that move.
 */
#include "config.h"

#include "balance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb/strategies/strategy.h"
#include "lb/synth.h"

enum {
    OBJECTS_PRESET = 1000000,
    PES_PRESET = 100000,
    TIMES_PRESET = 5,
    TIMES_MAX = 100,
    SEED = 1,
};

static int
compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t
cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One decision; false, with a complaint: it failed. */
static bool
decide(const char *name, const struct chi_lb_problem *problem, uint32_t *to)
{
    const struct chi_lb_strategy *strategy = chi_lb_strategy_find(name);
    char text[CHI_LB_TEXT_BYTES] = "there is no such strategy";

    if (strcmp(name, "peer") == 0) {
        peer_greedy(problem->work, problem->object_count, problem->pe_count,
                    to);
        return true;
    }
    if (strategy == NULL ||
        chi_lb_decide(strategy, problem, to, text) != CHARE_OK) {
        fprintf(stderr, "balance: %s: %s\n", name, text);
        return false;
    }
    return true;
}

static int
measure(const char *name, const char *shape,
        const struct chi_lb_problem *problem, uint32_t *to, unsigned times)
{
    struct chi_lb_quality quality;
    uint64_t took_ns[TIMES_MAX];

    for (unsigned i = 0; i < times; i++) {
        const uint64_t start_ns = cpu_ns();

        if (!decide(name, problem, to)) {
            return 1;
        }
        took_ns[i] = cpu_ns() - start_ns;
    }
    qsort(took_ns, times, sizeof(took_ns[0]), compare);
    if (chi_lb_evaluate(problem, to, &quality) != CHARE_OK) {
        return 1;
    }
    printf("{\"what\": \"%s %s\", \"p50_ns\": %" PRIu64
           ", \"over_bound\": %.5f, \"moved\": %.5f}\n",
           name, shape, took_ns[times / 2], quality.makespan / quality.bound,
           (double)quality.moves / (double)problem->object_count);
    return 0;
}

int
main(int argc, char **argv)
{
    const size_t objects =
        argc > 3 ? strtoull(argv[3], NULL, 10) : OBJECTS_PRESET;
    const uint32_t pes =
        argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : PES_PRESET;
    const unsigned times =
        argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : TIMES_PRESET;
    uint32_t *to = calloc(objects + 1, sizeof(*to));
    struct chi_lb_problem problem;
    enum chi_synth_shape shape;
    int result;

    if (argc < 3 || !chi_synth_find(argv[2], &shape) || times == 0 ||
        times > TIMES_MAX || pes == 0) {
        fprintf(stderr, "usage: balance STRATEGY|peer SHAPE [OBJECTS [PES "
                        "[TIMES]]]\n");
        return 2;
    }
    if (to == NULL ||
        chi_synth_make(shape, objects, pes, SEED, &problem) != CHARE_OK) {
        fprintf(stderr, "balance: out of memory\n");
        return 1;
    }
    result = measure(argv[1], argv[2], &problem, to, times);
    chi_lb_problem_free(&problem);
    free(to);
    return result;
}
