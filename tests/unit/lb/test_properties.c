/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_properties.c - what holds for each strategy, whatever it is asked.
 *
 * Method: thousands of random problems from fixed seeds, in which PEs have
 * several speeds or none, work of their own, objects that cannot move, and
 * loads over many orders of magnitude; then those that are known to be hard.
 * Answers are judged by code that no strategy uses: objects are on PEs that
 * there are, those that are fixed stay, PEs without speed get nothing and are
 * rid of all. Who avoids moves makes nothing worse, and moves nothing where
 * all is within the tolerance. Noise decides whether anything moves, not what.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "lb/strategies/strategy.h"
#include "tap/tap.h"

enum {
    SEEDS = 1500,
    PES_MAX = 40,
    OBJECTS_MAX = 160,
    MANY_PES = 100000,
};

struct instance {
    struct chi_lb_problem problem;
    struct chi_prng prng;
    float work[OBJECTS_MAX];
    uint32_t from[OBJECTS_MAX];
    uint8_t fixed[OBJECTS_MAX];
    float at[OBJECTS_MAX];
    float speeds[PES_MAX];
    float background[PES_MAX];
    uint32_t nodes[PES_MAX];
};

static uint32_t
below(struct instance *self, uint32_t limit)
{
    return (uint32_t)chi_prng_below(&self->prng, limit);
}

static float
chance(struct instance *self)
{
    return (float)(chi_prng_next(&self->prng) >> 40) / (float)(1 << 24);
}

enum kind {
    UNIFORM,
    EQUAL,
    WHOLE,     /* few numbers */
    WIDE,      /* over 9 orders of magnitude */
    DUST,      /* few large ones, and dust */
    DENORMAL,  /* all, or nearly all */
    SOME_ZERO, /* half of them */
    KINDS,
};

static float
make_work(struct instance *self, enum kind kind, size_t object)
{
    switch (kind) {
    case EQUAL:
        return 0.25f;
    case WHOLE:
        return (float)(1 + below(self, 5));
    case WIDE:
        return powf(10, 9 * chance(self) - 6);
    case DUST:
        return object % 20 == 0 ? 1 + chance(self) : 0.01f * chance(self);
    case DENORMAL:
        return 1e-45f * (float)(1 + below(self, 1000));
    case SOME_ZERO:
        return below(self, 2) == 0 ? 0 : chance(self);
    default:
        return 0.05f + chance(self);
    }
}

/* Where objects are: by chance, in blocks, or all on one PE. */
static void
make_places(struct instance *self)
{
    const uint32_t pes = self->problem.pe_count;
    const uint32_t way = below(self, 3);
    const uint32_t one = below(self, pes);

    for (size_t i = 0; i < self->problem.object_count; i++) {
        self->from[i] = way == 0 ? below(self, pes)
                        : way == 1
                            ? (uint32_t)(i * pes / self->problem.object_count)
                            : one;
        self->at[i] = chance(self);
    }
}

static void
make_pes(struct instance *self)
{
    static const float speeds[] = {1, 2, 16};
    const uint32_t pes = self->problem.pe_count;
    const uint32_t how = below(self, 4);

    for (uint32_t pe = 0; pe < pes; pe++) {
        self->speeds[pe] = how == 0   ? speeds[below(self, 3)]
                           : how == 1 ? 0.5f + chance(self)
                           : how == 2 ? (float)(below(self, 4) != 0)
                                      : 1;
        self->background[pe] = chance(self) * 3;
        self->nodes[pe] = below(self, 1 + pes / 3);
    }
    self->speeds[below(self, pes)] = 1;
    self->problem.speeds = below(self, 2) == 0 ? NULL : self->speeds;
    self->problem.background = below(self, 3) == 0 ? self->background : NULL;
    self->problem.nodes = below(self, 2) == 0 ? NULL : self->nodes;
}

static void
make(struct instance *self, uint64_t seed)
{
    enum kind kind;
    uint32_t one_in;

    *self = (struct instance){0};
    chi_prng_init(&self->prng, seed);
    kind = (enum kind)below(self, KINDS);
    one_in = below(self, 3) == 0 ? 1 + below(self, 5) : 0;
    self->problem = (struct chi_lb_problem){
        .object_count = below(self, OBJECTS_MAX + 1),
        .pe_count = 1 + below(self, PES_MAX),
        .dims = 1,
        .work = self->work,
        .from = self->from,
        .fixed = one_in > 0 ? self->fixed : NULL,
        .coordinates = self->at,
        .seed = seed,
    };
    for (size_t i = 0; i < self->problem.object_count; i++) {
        self->work[i] = make_work(self, kind, i);
        self->fixed[i] = one_in > 0 && below(self, one_in) == 0;
    }
    make_places(self);
    make_pes(self);
    self->problem.noise = below(self, 3) == 0 ? 0.5f * chance(self) : 0;
}

static bool
is_movable(const struct instance *self, size_t object)
{
    return (self->problem.fixed == NULL || self->fixed[object] == 0) &&
           self->work[object] > 0;
}

/* Of objects that can move. */
static uint32_t
stranded(const struct instance *self, const uint32_t *to)
{
    uint32_t count = 0;

    for (size_t i = 0; i < self->problem.object_count; i++) {
        count +=
            is_movable(self, i) && !(chi_lb_speed(&self->problem, to[i]) > 0);
    }
    return count;
}

static void
check_valid(const struct instance *self,
            const struct chi_lb_strategy *strategy, const uint32_t *to)
{
    const struct chi_lb_problem *problem = &self->problem;

    for (size_t i = 0; i < problem->object_count; i++) {
        CHECK(to[i] < problem->pe_count);
        CHECK(problem->fixed == NULL || self->fixed[i] == 0 ||
              to[i] == self->from[i]);
        CHECK(to[i] == self->from[i] || chi_lb_speed(problem, to[i]) > 0);
    }
    CHECK(strategy == &chi_lb_none || stranded(self, to) == 0);
}

static bool
avoids_moves(const struct chi_lb_strategy *strategy)
{
    return strategy->keeps || strategy->spread != CHI_LB_CENTRAL;
}

static void
check_instance(const struct instance *self,
               const struct chi_lb_strategy *strategy)
{
    static uint32_t to[OBJECTS_MAX];
    const struct chi_lb_problem *problem = &self->problem;
    char text[CHI_LB_TEXT_BYTES];
    struct chi_lb_quality before;
    struct chi_lb_quality after;

    CHECK(chi_lb_decide(strategy, problem, to, text) == CHARE_OK);
    CHECK(chi_lb_evaluate(problem, self->from, &before) == CHARE_OK);
    CHECK(chi_lb_evaluate(problem, to, &after) == CHARE_OK);
    check_valid(self, strategy, to);
    CHECK(stranded(self, to) > 0 || after.makespan >= after.bound * 0.99999);
    if (avoids_moves(strategy) && stranded(self, self->from) == 0) {
        CHECK(after.makespan <= before.makespan * 1.000001);
        CHECK(after.moves == 0 || before.makespan > before.bound * 1.0199);
    }
}

static void
check_noise(const struct instance *self,
            const struct chi_lb_strategy *strategy)
{
    static uint32_t noisy[OBJECTS_MAX];
    static uint32_t quiet[OBJECTS_MAX];
    const size_t bytes = self->problem.object_count * sizeof(*noisy);
    struct chi_lb_problem problem = self->problem;
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_lb_decide(strategy, &problem, noisy, text) == CHARE_OK);
    problem.noise = 0;
    CHECK(chi_lb_decide(strategy, &problem, quiet, text) == CHARE_OK);
    CHECK(memcmp(noisy, quiet, bytes) == 0 ||
          (strategy->keeps && memcmp(noisy, self->from, bytes) == 0));
}

/* What failed says of whom. */
static void
check_all(const struct instance *self, uint64_t seed)
{
    const bool failed_before = tap_failed;

    for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
        const struct chi_lb_strategy *strategy = chi_lb_strategy_at(i);

        if (strategy->needs_edges) {
            continue;
        }
        tap_failed = false;
        check_instance(self, strategy);
        if (self->problem.noise > 0) {
            check_noise(self, strategy);
        }
        if (tap_failed) {
            printf("# %s, problem %llu: %zu objects on %u PEs\n",
                   strategy->name, (unsigned long long)seed,
                   self->problem.object_count, self->problem.pe_count);
            break;
        }
    }
    tap_failed |= failed_before;
}

static void
random_problems(void)
{
    static struct instance instance;

    for (uint64_t seed = 1; seed <= SEEDS && !tap_failed; seed++) {
        make(&instance, seed);
        check_all(&instance, seed);
    }
}

/* ---- hard ones */

/* As many objects as PEs, one on each: nothing can be won. */
static void
one_object_on_each(void)
{
    static struct instance instance;

    for (uint32_t pes = 2; pes <= PES_MAX; pes++) {
        instance = (struct instance){0};
        chi_prng_init(&instance.prng, pes);
        instance.problem = (struct chi_lb_problem){.object_count = pes,
                                                   .pe_count = pes,
                                                   .dims = 1,
                                                   .work = instance.work,
                                                   .from = instance.from,
                                                   .coordinates = instance.at};
        for (uint32_t i = 0; i < pes; i++) {
            instance.work[i] = pes % 2 == 0 ? 1 : 1 + chance(&instance);
            instance.from[i] = i;
        }
        check_all(&instance, pes);
    }
}

/* Equal objects and an odd one: PEs differ by one, and cannot differ less. */
static void
equal_ones_and_an_odd_one(void)
{
    static struct instance instance;

    for (uint32_t objects = 3; objects <= 41; objects += 2) {
        for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
            static uint32_t to[OBJECTS_MAX];
            struct chi_lb_quality after;
            char text[CHI_LB_TEXT_BYTES];

            instance = (struct instance){0};
            instance.problem = (struct chi_lb_problem){.object_count = objects,
                                                       .pe_count = 2,
                                                       .work = instance.work,
                                                       .from = instance.from};
            for (uint32_t object = 0; object < objects; object++) {
                instance.work[object] = 1;
                instance.from[object] = 2 * object < objects;
            }
            if (!avoids_moves(chi_lb_strategy_at(i))) {
                continue;
            }
            CHECK(chi_lb_decide(chi_lb_strategy_at(i), &instance.problem, to,
                                text) == CHARE_OK);
            CHECK(chi_lb_evaluate(&instance.problem, to, &after) == CHARE_OK);
            CHECK(after.moves == 0 ||
                  (!chi_lb_strategy_at(i)->keeps && after.moves == 1));
        }
    }
}

/* Many PEs, and few objects, on one of them. */
static void
few_objects_on_many_pes(void)
{
    static const float work[] = {5, 4, 3, 2, 1};
    static const uint32_t from[] = {7, 7, 7, 7, 7};
    static uint32_t to[5];

    for (size_t objects = 1; objects <= 5; objects += 4) {
        const struct chi_lb_problem problem = {.object_count = objects,
                                               .pe_count = MANY_PES,
                                               .work = work,
                                               .from = from};

        for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
            const struct chi_lb_strategy *strategy = chi_lb_strategy_at(i);
            struct chi_lb_quality after;
            char text[CHI_LB_TEXT_BYTES];

            if (strategy->needs_edges || strategy->needs_places ||
                strategy->spread != CHI_LB_CENTRAL ||
                !(strategy->keeps || strategy == &chi_lb_greedy)) {
                continue;
            }
            CHECK(chi_lb_decide(strategy, &problem, to, text) == CHARE_OK);
            CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
            CHECK(after.makespan <= 5 * 1.0201);
            CHECK(!strategy->keeps || after.moves < objects);
        }
    }
}

/* A few large objects that no PE can share stand among dust. */
static void
few_large_ones_and_dust(void)
{
    enum {
        OBJECTS = 3000,
        PES = 30,
    };
    static float work[OBJECTS];
    static uint32_t from[OBJECTS];
    static uint32_t to[OBJECTS];
    static const struct chi_lb_strategy *const strategies[] = {
        &chi_lb_greedy, &chi_lb_greedy_refine, &chi_lb_refine,
        &chi_lb_hierarchical};

    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct chi_lb_problem problem = {.object_count = OBJECTS,
                                               .pe_count = PES,
                                               .work = work,
                                               .from = from};
        struct chi_prng prng;

        chi_prng_init(&prng, seed);
        for (uint32_t i = 0; i < OBJECTS; i++) {
            work[i] = i < 20 ? 1 + 0.1f * (float)i
                             : 1e-4f * (float)chi_prng_below(&prng, 50);
            from[i] = (uint32_t)chi_prng_below(&prng, PES);
        }
        for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]);
             i++) {
            struct chi_lb_quality after;
            char text[CHI_LB_TEXT_BYTES];

            CHECK(chi_lb_decide(strategies[i], &problem, to, text) ==
                  CHARE_OK);
            CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
            CHECK(after.makespan <= after.bound * 1.0201);
            CHECK(strategies[i] == &chi_lb_greedy || after.moves <= 200);
        }
    }
}

/* What cannot move, on a PE that does nothing, says nothing of the others. */
static void
what_nobody_does_is_no_bound(void)
{
    static const float work[] = {100, 1, 1, 1, 1};
    static const uint8_t fixed[] = {1, 0, 0, 0, 0};
    static const uint32_t from[] = {0, 1, 1, 1, 1};
    static const float speeds[] = {0, 1, 1};
    const struct chi_lb_problem problem = {.object_count = 5,
                                           .pe_count = 3,
                                           .work = work,
                                           .from = from,
                                           .fixed = fixed,
                                           .speeds = speeds};

    for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
        const struct chi_lb_strategy *strategy = chi_lb_strategy_at(i);
        struct chi_lb_quality after;
        uint32_t to[5];
        char text[CHI_LB_TEXT_BYTES];

        if (!avoids_moves(strategy) && strategy != &chi_lb_greedy) {
            continue;
        }
        CHECK(chi_lb_decide(strategy, &problem, to, text) == CHARE_OK);
        CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
        CHECK(after.bound == 2 && after.makespan == 2 && to[0] == 0);
    }
}

TAP_MAIN(TAP_CASE(random_problems), TAP_CASE(one_object_on_each),
         TAP_CASE(equal_ones_and_an_odd_one),
         TAP_CASE(few_objects_on_many_pes), TAP_CASE(few_large_ones_and_dust),
         TAP_CASE(what_nobody_does_is_no_bound))
