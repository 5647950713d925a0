/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * strategy.c - the list of strategies, and the simplest ones.
 */
#include "config.h"

#include "lb/strategies/strategy.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"

static const struct chi_lb_strategy *const all[] = {
    &chi_lb_none,         &chi_lb_rotate,        &chi_lb_random,
    &chi_lb_greedy,       &chi_lb_greedy_refine, &chi_lb_refine,
    &chi_lb_hierarchical, &chi_lb_bisect,        &chi_lb_graph,
    &chi_lb_scotch,       &chi_lb_gossip,        &chi_lb_tree,
    &chi_lb_diffusion,
};

enum {
    STRATEGY_COUNT = sizeof(all) / sizeof(all[0]),
};

/* Names that programs of Charm4py give after +balancer. */
static const struct {
    const char *name;
    const struct chi_lb_strategy *strategy;
} others[] = {
    {"DummyLB", &chi_lb_none},
    {"RotateLB", &chi_lb_rotate},
    {"RandCentLB", &chi_lb_random},
    {"RandomLB", &chi_lb_random},
    {"GreedyLB", &chi_lb_greedy},
    {"GreedyCommLB", &chi_lb_greedy},
    {"GreedyRefineLB", &chi_lb_greedy_refine},
    {"RefineLB", &chi_lb_refine},
    {"TreeLB", &chi_lb_hierarchical},
    {"HybridLB", &chi_lb_hierarchical},
    {"hier", &chi_lb_hierarchical},
    {"OrbLB", &chi_lb_bisect},
    {"rcb", &chi_lb_bisect},
    {"MetisLB", &chi_lb_graph},
    {"ScotchLB", &chi_lb_scotch},
    {"ScotchTopoLB", &chi_lb_scotch},
    {"metis", &chi_lb_graph},
    {"DistributedLB", &chi_lb_gossip},
    {"GrapevineLB", &chi_lb_gossip},
    {"TemperedLB", &chi_lb_gossip},
    {"DiffusionLB", &chi_lb_diffusion},
    {"NeighborLB", &chi_lb_diffusion},
    {"lpt", &chi_lb_greedy},
};

const struct chi_lb_strategy *
chi_lb_strategy_at(size_t index)
{
    return index < STRATEGY_COUNT ? all[index] : NULL;
}

static char
plain(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '_' ? '-' : c;
}

static bool
same_name(const char *a, const char *b)
{
    while (*a != '\0' && plain(*a) == plain(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

const struct chi_lb_strategy *
chi_lb_strategy_find(const char *name)
{
    for (size_t i = 0; i < STRATEGY_COUNT; i++) {
        if (same_name(name, all[i]->name)) {
            return all[i];
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (same_name(name, others[i].name)) {
            return others[i].strategy;
        }
    }
    return NULL;
}

/* Whether what could be won is less than what loads differ by anyway. */
static chare_status
look_at_noise(const struct chi_lb_problem *problem, bool *is_noise_out)
{
    struct chi_lb_quality now;
    const chare_status status = chi_lb_evaluate(problem, problem->from, &now);

    *is_noise_out =
        status == CHARE_OK && now.stranded == 0 &&
        now.makespan - now.bound <= (double)problem->noise * now.makespan;
    return status;
}

chare_status
chi_lb_decide(const struct chi_lb_strategy *strategy,
              const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    chare_status status;
    bool is_noise = false;

    text[0] = '\0';
    status = chi_lb_problem_check(problem, text);
    if (status != CHARE_OK) {
        return status;
    }
    if (strategy->needs_places && problem->coordinates == NULL) {
        snprintf(text, CHI_LB_TEXT_BYTES, "%s needs the places of the objects",
                 strategy->name);
        return CHARE_ERR_INVALID;
    }
    if (strategy->needs_edges && problem->edge_first == NULL) {
        snprintf(text, CHI_LB_TEXT_BYTES, "%s needs to know who talks to whom",
                 strategy->name);
        return CHARE_ERR_INVALID;
    }
    if (problem->object_count == 0) {
        return CHARE_OK;
    }
    memcpy(to, problem->from, problem->object_count * sizeof(*to));
    if (strategy->keeps && problem->noise > 0) {
        status = look_at_noise(problem, &is_noise);
    }
    if (status == CHARE_OK && !is_noise) {
        status = strategy->decide(problem, to, text);
    }
    if (status == CHARE_ERR_NO_MEMORY) {
        snprintf(text, CHI_LB_TEXT_BYTES, "out of memory for %zu objects",
                 problem->object_count);
    }
    return status;
}

/* ---- none, rotate, random */

static chare_status
none_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    (void)problem;
    (void)to;
    (void)text;
    return CHARE_OK;
}

const struct chi_lb_strategy chi_lb_none = {
    .name = "none",
    .help = "nothing moves",
    .decide = none_decide,
};

/* The next PE that can work. */
static uint32_t
next_pe(const struct chi_lb_problem *problem, uint32_t pe)
{
    do {
        pe = pe + 1 < problem->pe_count ? pe + 1 : 0;
    } while (!(chi_lb_speed(problem, pe) > 0));
    return pe;
}

static bool
can_move(const struct chi_lb_problem *problem, size_t object)
{
    return problem->fixed == NULL || problem->fixed[object] == 0;
}

static chare_status
rotate_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    (void)text;
    for (size_t i = 0; i < problem->object_count; i++) {
        if (can_move(problem, i)) {
            to[i] = next_pe(problem, problem->from[i]);
        }
    }
    return CHARE_OK;
}

const struct chi_lb_strategy chi_lb_rotate = {
    .name = "rotate",
    .help = "everything moves to the next PE: a test of migration",
    .decide = rotate_decide,
};

/* A PE by chance, in proportion to speed: by rejection. */
static chare_status
random_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    struct chi_prng prng;
    float fastest = 0;

    (void)text;
    chi_prng_init(&prng, problem->seed);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const float speed = chi_lb_speed(problem, pe);

        fastest = speed > fastest ? speed : fastest;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        uint32_t pe;
        float chance;

        if (!can_move(problem, i)) {
            continue;
        }
        do {
            pe = (uint32_t)chi_prng_below(&prng, problem->pe_count);
            chance = (float)chi_prng_below(&prng, 1 << 20) / (1 << 20);
        } while (!(chance * fastest < chi_lb_speed(problem, pe)));
        to[i] = pe;
    }
    return CHARE_OK;
}

const struct chi_lb_strategy chi_lb_random = {
    .name = "random",
    .help = "to PEs by chance, as their speeds are",
    .decide = random_decide,
};
