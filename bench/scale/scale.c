/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale.c - what the distributed strategy costs on very many PEs: the code of
 * src/lb/gossip.c itself, on virtual PEs in one thread (src/lb/virtual.c).
 *
 *     scale [PES [OBJECTS PER PE [SHAPE or STRATEGY...]]]
 *
 * Counts, no times: rounds of what depends on each other, messages and bytes
 * of a PE, memory of a PE, and quality against LPT. 'hierarchical' is decided
 * in one place, and has no messages; 'tree' is the same without that.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/strategies/strategy.h"
#include "lb/synth.h"
#include "lb/virtual.h"

enum {
    PES_PRESET = 100000,
    OBJECTS_PRESET = 20,
    SEED = 1,
};

static void
row(const struct chi_lb_problem *problem, const char *shape, const char *name,
    const uint32_t *to, double lpt, const struct chi_virtual_cost *cost)
{
    struct chi_lb_quality quality;

    if (chi_lb_evaluate(problem, to, &quality) != CHARE_OK) {
        return;
    }
    printf("| %" PRIu32 " | %s | %s | %.3f | %.3f | %.1f %% |",
           problem->pe_count, shape, name, quality.makespan / quality.bound,
           quality.makespan / lpt,
           100 * (double)quality.moves / (double)problem->object_count);
    if (cost == NULL) {
        printf(" | | | | |\n");
    } else {
        printf(" %" PRIu32 " | %.1f | %" PRIu64 " | %.0f | %.0f / %" PRIu64
               " |\n",
               cost->rounds, (double)cost->messages / problem->pe_count,
               cost->sent_most, (double)cost->bytes / problem->pe_count,
               cost->bytes_mean, cost->bytes_most);
    }
    fflush(stdout);
}

static double
decide(const struct chi_lb_strategy *strategy,
       const struct chi_lb_problem *problem, uint32_t *to)
{
    char text[CHI_LB_TEXT_BYTES];
    struct chi_lb_quality quality = {0};

    if (chi_lb_decide(strategy, problem, to, text) != CHARE_OK ||
        chi_lb_evaluate(problem, to, &quality) != CHARE_OK) {
        fprintf(stderr, "scale: %s: %s\n", strategy->name, text);
        exit(1);
    }
    return quality.makespan;
}

/* What is asked for on the command line; of what nobody names, all. */
struct wishes {
    char **names;
    int count;
};

static bool
is_shape(const char *name)
{
    enum chi_synth_shape shape;

    return chi_synth_find(name, &shape);
}

static bool
is_strategy(const char *name)
{
    return chi_lb_strategy_find(name) != NULL;
}

static bool
wanted(const struct wishes *wishes, const char *name,
       bool (*is)(const char *name))
{
    bool any = true;

    for (int i = 0; i < wishes->count; i++) {
        if (strcmp(wishes->names[i], name) == 0) {
            return true;
        }
        any = any && !is(wishes->names[i]);
    }
    return any;
}

static void
rows(enum chi_synth_shape shape, uint32_t pes, size_t objects,
     const struct wishes *wishes)
{
    static const struct chi_lb_strategy *const spread[] = {
        &chi_lb_gossip, &chi_lb_tree, &chi_lb_diffusion};
    const char *name = chi_synth_names[shape];
    struct chi_lb_problem problem;
    struct chi_virtual_cost cost;
    uint32_t *to = malloc((objects + 1) * sizeof(*to));
    double lpt;

    if (to == NULL ||
        chi_synth_make(shape, objects, pes, SEED, &problem) != CHARE_OK) {
        fprintf(stderr, "scale: out of memory\n");
        exit(1);
    }
    row(&problem, name, "none", problem.from,
        lpt = decide(&chi_lb_greedy, &problem, to), NULL);
    row(&problem, name, "greedy (LPT)", to, lpt, NULL);
    (void)decide(&chi_lb_hierarchical, &problem, to);
    row(&problem, name, "hierarchical", to, lpt, NULL);
    for (size_t i = 0; i < sizeof(spread) / sizeof(spread[0]); i++) {
        if (!wanted(wishes, spread[i]->name, is_strategy)) {
            continue;
        }
        memcpy(to, problem.from, objects * sizeof(*to));
        if (chi_virtual_spread(&problem, spread[i]->spread, to, &cost) !=
            CHARE_OK) {
            fprintf(stderr, "scale: %s did not end\n", spread[i]->name);
            exit(1);
        }
        row(&problem, name, spread[i]->name, to, lpt, &cost);
    }
    chi_lb_problem_free(&problem);
    free(to);
}

int
main(int argc, char **argv)
{
    const uint32_t pes =
        argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : PES_PRESET;
    const struct wishes wishes = {argv + 3, argc > 3 ? argc - 3 : 0};
    const size_t each =
        argc > 2 ? strtoull(argv[2], NULL, 10) : OBJECTS_PRESET;

    printf("| PEs | load | strategy | / bound | / LPT | moved | rounds | "
           "messages of a PE | most | bytes of a PE | memory, mean / most |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int shape = 0; shape < CHI_SYNTH_COUNT; shape++) {
        if (wanted(&wishes, chi_synth_names[shape], is_shape)) {
            rows((enum chi_synth_shape)shape, pes, each * pes, &wishes);
        }
    }
    return 0;
}
