/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_strategies.c - every strategy against the lower bound, on loads of
 * several kinds, and at the edges of what can be asked.
 *
 * Method: made-up loads from fixed seeds; the quality is evaluated by code
 * that no strategy uses. What is demanded: greedy within 1 % of the bound (or
 * of Graham's guarantee where few objects are large), greedy-refine and refine
 * within 5 % with at most a third of greedy's moves.
 */
#include "config.h"

#include <math.h>

#include "base/prng.h"
#include "lb/strategies/strategy.h"
#include "lb/synth.h"
#include "tap/tap.h"

enum {
    SEEDS = 3,
    SMALL_PES = 64,
    SMALL_OBJECTS = 4000,
};

static struct chi_lb_quality
quality_of(const struct chi_lb_strategy *strategy,
           const struct chi_lb_problem *problem)
{
    uint32_t *to = calloc(problem->object_count + 1, sizeof(*to));
    struct chi_lb_quality quality = {.makespan = INFINITY};
    char text[CHI_LB_TEXT_BYTES];

    if (to != NULL && chi_lb_decide(strategy, problem, to, text) == CHARE_OK &&
        chi_lb_evaluate(problem, to, &quality) != CHARE_OK) {
        quality.makespan = INFINITY;
    }
    free(to);
    return quality;
}

static void
check_shape(enum chi_synth_shape shape, size_t objects, uint32_t pes)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct chi_lb_problem problem;
        struct chi_lb_quality greedy;
        struct chi_lb_quality greedy_refine;
        struct chi_lb_quality refine;

        CHECK(chi_synth_make(shape, objects, pes, seed, &problem) == CHARE_OK);
        greedy = quality_of(&chi_lb_greedy, &problem);
        greedy_refine = quality_of(&chi_lb_greedy_refine, &problem);
        refine = quality_of(&chi_lb_refine, &problem);
        printf("# %s: greedy %.4f (%llu moves), greedy-refine %.4f (%llu), "
               "refine %.4f (%llu)\n",
               chi_synth_names[shape], greedy.makespan / greedy.bound,
               (unsigned long long)greedy.moves,
               greedy_refine.makespan / greedy.bound,
               (unsigned long long)greedy_refine.moves,
               refine.makespan / refine.bound,
               (unsigned long long)refine.moves);
        chi_lb_problem_free(&problem);
        CHECK(greedy.makespan <= 1.01 * greedy.bound);
        CHECK(greedy_refine.makespan <= 1.05 * greedy.bound);
        CHECK(refine.makespan <= 1.05 * greedy.bound);
        CHECK(3 * greedy_refine.moves <= greedy.moves);
        CHECK(3 * refine.moves <= greedy.moves);
    }
}

static void
uniform_load(void)
{
    check_shape(CHI_SYNTH_UNIFORM, 20000, 1000);
    check_shape(CHI_SYNTH_UNIFORM, SMALL_OBJECTS, SMALL_PES);
}

static void
lognormal_load(void)
{
    check_shape(CHI_SYNTH_LOGNORMAL, 20000, 1000);
    check_shape(CHI_SYNTH_LOGNORMAL, SMALL_OBJECTS, SMALL_PES);
}

static void
onehot_load(void)
{
    check_shape(CHI_SYNTH_ONEHOT, 20000, 1000);
    check_shape(CHI_SYNTH_ONEHOT, SMALL_OBJECTS, SMALL_PES);
}

static void
clustered_load(void)
{
    check_shape(CHI_SYNTH_CLUSTERED, 20000, 1000);
    check_shape(CHI_SYNTH_CLUSTERED, SMALL_OBJECTS, SMALL_PES);
}

/* ---- all strategies */

/* The library is looked for when it is asked. */
static bool
has_scotch(void)
{
    struct chi_lb_problem problem;
    uint32_t to[16];
    char text[CHI_LB_TEXT_BYTES];
    chare_status status;

    if (chi_synth_make(CHI_SYNTH_UNIFORM, 16, 2, 3, &problem) != CHARE_OK) {
        return false;
    }
    status = chi_lb_decide(&chi_lb_scotch, &problem, to, text);
    chi_lb_problem_free(&problem);
    return status != CHARE_ERR_NOT_FOUND;
}

static const struct chi_lb_strategy *
usable(size_t index)
{
    const struct chi_lb_strategy *strategy = chi_lb_strategy_at(index);

#if !CHI_WITH_METIS
    if (strategy == &chi_lb_graph) {
        return &chi_lb_none;
    }
#endif
    if (strategy == &chi_lb_scotch && !has_scotch()) {
        return &chi_lb_none;
    }
    return strategy;
}

static bool
balances(const struct chi_lb_strategy *strategy)
{
    return strategy != &chi_lb_none && strategy != &chi_lb_rotate &&
           strategy != &chi_lb_random;
}

static void
all_balance(void)
{
    for (size_t i = 0; usable(i) != NULL; i++) {
        for (int shape = 0; shape < CHI_SYNTH_COUNT; shape++) {
            struct chi_lb_problem problem;
            struct chi_lb_quality quality;

            CHECK(chi_synth_make((enum chi_synth_shape)shape, 4000, 50, 7,
                                 &problem) == CHARE_OK);
            quality = quality_of(usable(i), &problem);
            printf("# %s %s %.4f, %llu moves, cut %.0f\n", usable(i)->name,
                   chi_synth_names[shape], quality.makespan / quality.bound,
                   (unsigned long long)quality.moves, quality.cut_bytes);
            chi_lb_problem_free(&problem);
            CHECK(isfinite(quality.makespan));
            /* Cuts of space fall between objects, whatever their size. */
            CHECK(!balances(usable(i)) ||
                  quality.makespan <= (usable(i)->needs_places ||
                                               usable(i)->needs_edges ||
                                               usable(i) == &chi_lb_gossip
                                           ? 1.6
                                           : 1.05) *
                                          quality.bound);
        }
    }
}

static void
same_seed_same_answer(void)
{
    static uint32_t first[1000];
    static uint32_t second[1000];
    struct chi_lb_problem problem;
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_synth_make(CHI_SYNTH_LOGNORMAL, 1000, 20, 3, &problem) ==
          CHARE_OK);
    for (size_t i = 0; usable(i) != NULL; i++) {
        CHECK(chi_lb_decide(usable(i), &problem, first, text) == CHARE_OK);
        CHECK(chi_lb_decide(usable(i), &problem, second, text) == CHARE_OK);
        CHECK(memcmp(first, second, sizeof(first)) == 0);
    }
    chi_lb_problem_free(&problem);
}

/* Speeds 1, 2 and 4: each PE gets work in proportion. */
static void
speeds_count(void)
{
    static float speeds[12];
    static double times[12];
    static uint32_t to[6000];
    struct chi_lb_problem problem;
    char text[CHI_LB_TEXT_BYTES];

    for (int pe = 0; pe < 12; pe++) {
        speeds[pe] = (float)(1 << pe % 3);
    }
    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 6000, 12, 3, &problem) ==
          CHARE_OK);
    problem.speeds = speeds;
    for (size_t i = 0; usable(i) != NULL; i++) {
        double least = INFINITY;
        double most = 0;

        if (!balances(usable(i))) {
            continue;
        }
        CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
        chi_lb_times(&problem, to, times);
        for (int pe = 0; pe < 12; pe++) {
            least = fmin(least, times[pe]);
            most = fmax(most, times[pe]);
        }
        printf("# %s: %.3f to %.3f\n", usable(i)->name, least, most);
        CHECK(most <= 1.1 * least ||
              ((usable(i)->needs_edges || usable(i) == &chi_lb_gossip) &&
               most <= 1.25 * least));
    }
    problem.speeds = NULL;
    chi_lb_problem_free(&problem);
}

/* As many speeds as PEs: they share heaps, and yet the bound is near. */
static void
many_speeds(void)
{
    static float speeds[200];
    struct chi_lb_problem problem;
    struct chi_lb_quality quality;

    for (int pe = 0; pe < 200; pe++) {
        speeds[pe] = 0.5f + (float)pe / 100;
    }
    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 20000, 200, 3, &problem) ==
          CHARE_OK);
    problem.speeds = speeds;
    quality = quality_of(&chi_lb_greedy, &problem);
    problem.speeds = NULL;
    chi_lb_problem_free(&problem);
    CHECK(quality.makespan <= 1.02 * quality.bound);
}

static void
speed_zero_gets_nothing(void)
{
    static float speeds[8] = {1, 1, 0, 1, 1, 1, 0, 1};
    static uint32_t to[800];
    struct chi_lb_problem problem;
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 800, 8, 3, &problem) == CHARE_OK);
    problem.speeds = speeds;
    for (size_t i = 1; usable(i) != NULL; i++) {
        if (usable(i) == &chi_lb_none) {
            continue;
        }
        CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
        for (int object = 0; object < 800; object++) {
            CHECK(speeds[to[object]] > 0);
        }
    }
    problem.speeds = NULL;
    chi_lb_problem_free(&problem);
}

static void
background_counts(void)
{
    static float background[4] = {100, 0, 0, 0};
    struct chi_lb_problem problem;
    struct chi_lb_quality quality;

    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 400, 4, 3, &problem) == CHARE_OK);
    problem.background = background;
    for (size_t i = 0; usable(i) != NULL; i++) {
        if (balances(usable(i))) {
            quality = quality_of(usable(i), &problem);
            printf("# %s %.3f\n", usable(i)->name,
                   quality.makespan / quality.bound);
            /* METIS and Scotch know of no background. */
            CHECK(usable(i)->needs_edges ||
                  quality.makespan <= 1.05 * quality.bound);
        }
    }
    problem.background = NULL;
    chi_lb_problem_free(&problem);
}

static void
fixed_stay(void)
{
    static uint8_t fixed[600];
    static uint32_t to[600];
    struct chi_lb_problem problem;
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_synth_make(CHI_SYNTH_CLUSTERED, 600, 6, 3, &problem) ==
          CHARE_OK);
    for (int i = 0; i < 600; i += 3) {
        fixed[i] = 1;
    }
    problem.fixed = fixed;
    for (size_t i = 0; usable(i) != NULL; i++) {
        CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
        for (int object = 0; object < 600; object += 3) {
            CHECK_EQ(to[object], problem.from[object]);
        }
    }
    problem.fixed = NULL;
    chi_lb_problem_free(&problem);
}

/* Scotch puts what talks much on near PEs: with the nodes shuffled, the same
 * parts would send more bytes over far ways. */
static void
talkers_are_near(void)
{
    static uint32_t nodes[32];
    static uint32_t to[4000];
    struct chi_lb_problem problem;
    struct chi_lb_quality near;
    struct chi_lb_quality far;
    char text[CHI_LB_TEXT_BYTES];

    if (!has_scotch()) {
        SKIP("there is no Scotch");
    }
    for (uint32_t pe = 0; pe < 32; pe++) {
        nodes[pe] = pe / 4;
    }
    CHECK(chi_synth_make(CHI_SYNTH_LOGNORMAL, 4000, 32, 3, &problem) ==
          CHARE_OK);
    problem.nodes = nodes;
    CHECK(chi_lb_decide(&chi_lb_scotch, &problem, to, text) == CHARE_OK);
    CHECK(chi_lb_evaluate(&problem, to, &near) == CHARE_OK);
    for (int i = 0; i < 4000; i++) {
        to[i] = to[i] * 11 % 32;
    }
    CHECK(chi_lb_evaluate(&problem, to, &far) == CHARE_OK);
    problem.nodes = NULL;
    chi_lb_problem_free(&problem);
    printf("# %.0f bytes cut, times hops %.0f; shuffled %.0f\n",
           near.cut_bytes, near.hop_bytes, far.hop_bytes);
    CHECK(near.cut_bytes == far.cut_bytes);
    CHECK(near.hop_bytes < 0.8 * far.hop_bytes);
}

/* ---- edges */

static void
no_objects_one_pe(void)
{
    static uint32_t to[10];
    struct chi_lb_problem problem;
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 0, 5, 3, &problem) == CHARE_OK);
    for (size_t i = 0; usable(i) != NULL; i++) {
        CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
    }
    chi_lb_problem_free(&problem);
    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 10, 1, 3, &problem) == CHARE_OK);
    for (size_t i = 0; usable(i) != NULL; i++) {
        CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
        for (int object = 0; object < 10; object++) {
            CHECK_EQ(to[object], 0);
        }
    }
    chi_lb_problem_free(&problem);
}

static void
no_work_no_moves(void)
{
    static const float work[9];
    static const uint32_t from[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static uint32_t to[9];
    const struct chi_lb_problem problem = {
        .object_count = 9, .pe_count = 3, .work = work, .from = from};
    char text[CHI_LB_TEXT_BYTES];

    for (size_t i = 0; usable(i) != NULL; i++) {
        if (balances(usable(i)) && !usable(i)->needs_places &&
            !usable(i)->needs_edges) {
            CHECK(chi_lb_decide(usable(i), &problem, to, text) == CHARE_OK);
            CHECK(memcmp(to, from, sizeof(to)) == 0);
        }
    }
}

static void
nonsense_is_refused(void)
{
    static float work[2] = {1, 1};
    static uint32_t from[2] = {0, 1};
    static float speeds[2] = {1, 1};
    static uint32_t to[2];
    const struct chi_lb_problem problem = {.object_count = 2,
                                           .pe_count = 2,
                                           .work = work,
                                           .from = from,
                                           .speeds = speeds};
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) == CHARE_OK);
    work[1] = NAN;
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) ==
          CHARE_ERR_INVALID);
    CHECK(strstr(text, "object 1") != NULL);
    work[1] = -1;
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) ==
          CHARE_ERR_INVALID);
    work[1] = INFINITY;
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) ==
          CHARE_ERR_INVALID);
    work[1] = 1;
    from[0] = 2;
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) ==
          CHARE_ERR_INVALID);
    from[0] = 0;
    speeds[0] = 0;
    speeds[1] = 0;
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) ==
          CHARE_ERR_INVALID);
    CHECK(chi_lb_decide(&chi_lb_bisect, &problem, to, text) ==
          CHARE_ERR_INVALID);
}

/* One PE has all: everybody gets a part, with few objects and with many. */
static void
all_on_one(void)
{
    static float work[5000];
    static uint32_t from[5000];
    struct chi_prng prng;

    chi_prng_init(&prng, 5);
    for (int i = 0; i < 5000; i++) {
        work[i] = 0.1f + (float)chi_prng_below(&prng, 1000) / 1000;
    }
    for (size_t i = 0; usable(i) != NULL; i++) {
        for (uint32_t pes = 2; pes <= 50; pes += 16) {
            const struct chi_lb_problem problem = {.object_count = 5000,
                                                   .pe_count = pes,
                                                   .work = work,
                                                   .from = from};
            struct chi_lb_quality quality;

            if (!balances(usable(i)) || usable(i)->needs_places ||
                usable(i)->needs_edges) {
                continue;
            }
            quality = quality_of(usable(i), &problem);
            printf("# %s on %u: %.4f\n", usable(i)->name, pes,
                   quality.makespan / quality.bound);
            CHECK(quality.makespan <=
                  (usable(i)->spread != CHI_LB_CENTRAL ? 1.07 : 1.05) *
                      quality.bound);
        }
    }
}

static void
names(void)
{
    CHECK(chi_lb_strategy_find("greedy") == &chi_lb_greedy);
    CHECK(chi_lb_strategy_find("GreedyLB") == &chi_lb_greedy);
    CHECK(chi_lb_strategy_find("GreedyRefineLB") == &chi_lb_greedy_refine);
    CHECK(chi_lb_strategy_find("greedy_refine") == &chi_lb_greedy_refine);
    CHECK(chi_lb_strategy_find("RandCentLB") == &chi_lb_random);
    CHECK(chi_lb_strategy_find("gree") == NULL);
    CHECK(chi_lb_strategy_find("") == NULL);
}

TAP_MAIN(TAP_CASE(uniform_load), TAP_CASE(lognormal_load),
         TAP_CASE(onehot_load), TAP_CASE(clustered_load),
         TAP_CASE(all_balance), TAP_CASE(same_seed_same_answer),
         TAP_CASE(speeds_count), TAP_CASE(many_speeds),
         TAP_CASE(speed_zero_gets_nothing), TAP_CASE(background_counts),
         TAP_CASE(fixed_stay), TAP_CASE(talkers_are_near),
         TAP_CASE(no_objects_one_pe), TAP_CASE(no_work_no_moves),
         TAP_CASE(nonsense_is_refused), TAP_CASE(all_on_one), TAP_CASE(names))
