/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_speed.c - how fast a PE is, and what balancing makes of it.
 *
 * Goal:   a speed is found at the first look, follows a change within three,
 *         and stays where what is measured only trembles; PEs that are alike
 *         have equal speeds, also after one was disturbed; looks take at most
 *         a hundredth of the time; a PE whose processor is shared is slow, one
 *         that hardly wants to run is not known to be. With measured speeds,
 *         and loads that were measured on PEs of such speeds, each strategy
 *         gives work in proportion, at once, again when speeds change, and
 *         then ceases to move anything. PEs that share too few processors are
 *         alike, and by what is measured of chares there, however the kernel
 *         spreads PEs over processors, each PE gets as much work.
 * Method: a made-up source of measurements, and a clock that stands still. A
 *         loop of measuring, deciding and moving, over many seeds: what a
 *         chare costs is its work over the true speed of its PE, with noise.
 */
#include "config.h"

#include "lb/speed.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/prng.h"
#include "lb/problem.h"
#include "lb/strategies/strategy.h"
#include "lb/virtual.h"
#include "tap/tap.h"

enum {
    SEEDS = 2000,
    CROWD_SEEDS = 500,
    PES_MAX = 8,
    OBJECTS_MAX = 200,
    ROUNDS = 6, /* of balancing, before and after a change */
    LOOKS_AT_MOST = 40,
};

static const double UNIT_NS = 8000;
static const double NOISE = 0.02;
static const double HALF_STEP = 0.03;

/* One PE as the source tells it. */
struct fake {
    struct chi_speed speed;
    struct chi_speed_source source;
    struct chi_clock_manual clock;
    struct chi_prng *prng; /* NULL: without noise */
    double pace;           /* of its processor */
    double share;          /* that it gets of it */
    double wants;          /* of the time, to run */
    double ran_ns;
    double waited_ns;
    uint64_t cost_ns;
    uint32_t looks;
};

static double
noise(struct chi_prng *prng)
{
    return prng == NULL
               ? 1
               : 1 + NOISE *
                         (2 * (double)chi_prng_below(prng, 1000) / 999 - 1);
}

static double
fake_work_ns(void *context)
{
    struct fake *fake = context;

    fake->looks++;
    fake->clock.now_ns += fake->cost_ns;
    return UNIT_NS / fake->pace * noise(fake->prng);
}

static bool
fake_share(void *context, uint64_t *ran_ns, uint64_t *waited_ns)
{
    const struct fake *fake = context;

    *ran_ns = (uint64_t)fake->ran_ns;
    *waited_ns = (uint64_t)fake->waited_ns;
    return fake->share > 0;
}

static void
fake_init(struct fake *fake, struct chi_prng *prng)
{
    *fake = (struct fake){
        .source = {fake_work_ns, fake_share, fake},
        .prng = prng,
        .pace = 1,
        .share = 1,
        .wants = 1,
    };
    chi_clock_manual_init(&fake->clock, CHI_NS_PER_SEC);
    chi_speed_init(&fake->speed, &fake->source);
    chi_speed_mark(&fake->speed, &fake->clock.clock);
}

/* Time passes; then look. */
static double
look_after(struct fake *fake, uint64_t ms)
{
    const double wanted_ns = (double)(ms * CHI_NS_PER_MS) * fake->wants;
    const double share = fmin(fake->share * noise(fake->prng), 1);

    fake->ran_ns += share * wanted_ns;
    fake->waited_ns += (1 - share) * wanted_ns;
    fake->clock.now_ns += ms * CHI_NS_PER_MS;
    return chi_speed_look(&fake->speed, &fake->clock.clock, UNIT_NS);
}

static bool
is_near(double value, double wanted, double part)
{
    return fabs(value - wanted) <= part * wanted;
}

/* ---- a PE */

static void
it_is_found_and_follows(void)
{
    struct fake fake;

    fake_init(&fake, NULL);
    fake.pace = 0.5;
    CHECK(is_near(look_after(&fake, 100), 0.5, HALF_STEP));
    fake.pace = 2;
    CHECK(is_near(look_after(&fake, 100), 0.5,
                  HALF_STEP)); /* one may be wrong */
    CHECK(is_near(look_after(&fake, 100), 2, HALF_STEP));
    fake.pace = 0.1;
    CHECK(is_near(look_after(&fake, 100), 2, HALF_STEP));
    fake.pace = 2;
    CHECK(is_near(look_after(&fake, 100), 2, HALF_STEP)); /* it was */
    fake.pace = 2.08;
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(is_near(look_after(&fake, 100), 2, HALF_STEP)); /* it trembles */
    }
    fake.pace = 1e6;
    for (uint32_t i = 0; i < 3; i++) {
        (void)look_after(&fake, 100);
    }
    CHECK(is_near(fake.speed.used, CHI_SPEED_MAX, HALF_STEP));
    CHECK(fake.speed.used <= CHI_SPEED_MAX);
}

/* PEs that are alike have the same speed, also after one was disturbed. */
static void
alike_are_equal(void)
{
    static const double paces[] = {1, 0.997, 1.003, 0.99, 1.01, 0.8, 0.7, 1.3};
    struct fake fake;

    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
        for (uint32_t off = 0; off < 100; off++) {
            fake_init(&fake, NULL);
            fake.share = 0;
            fake.pace = paces[i];
            (void)look_after(&fake, 100);
            fake.pace = 0.5 + 0.01 * off;
            (void)look_after(&fake, 100);
            (void)look_after(&fake, 100);
            fake.pace = off % 2 == 0 ? 0.997 : 1.003;
            (void)look_after(&fake, 100);
            CHECK((float)look_after(&fake, 100) == 1);
        }
    }
    for (uint32_t i = 0; i < 2; i++) { /* of another speed than PE 0 */
        fake_init(&fake, NULL);
        fake.share = 0;
        fake.pace = i == 0 ? 0.499 : 0.501;
        CHECK((float)look_after(&fake, 100) ==
              (float)pow(CHI_SPEED_STEP, -12));
    }
}

static void
a_shared_processor_is_slow(void)
{
    struct fake fake;

    fake_init(&fake, NULL);
    fake.share = 0.5;
    CHECK(
        is_near(look_after(&fake, 10), 1, HALF_STEP)); /* too short to tell */
    CHECK(is_near(look_after(&fake, 90), 0.5, 0.01));
    CHECK(is_near(fake.speed.share, 0.5, 0.01));
    fake.share = 1;
    for (uint32_t i = 0; i < CHI_SPEED_LOOKS; i++) {
        (void)look_after(&fake, 100);
    }
    CHECK(is_near(fake.speed.used, 1, 0.01));

    fake_init(&fake, NULL);
    fake.share = 0; /* the kernel does not say */
    fake.pace = 0.7;
    CHECK(is_near(look_after(&fake, 100), 0.7, HALF_STEP));
}

/* What is idle gets a processor at once, also where it would have to share. */
static void
who_does_not_run_is_not_known(void)
{
    struct fake fake;
    uint32_t looks = 0;

    fake_init(&fake, NULL);
    fake.share = 0.5;
    (void)look_after(&fake, 1000);
    fake.share = 1;
    fake.wants = 0.01;
    for (uint32_t i = 0; i < 4; i++) {
        (void)look_after(&fake, 1000);
    }
    CHECK(fake.speed.used < 0.7);
    while (fake.speed.used < 0.85 && looks < LOOKS_AT_MOST) {
        (void)look_after(&fake, 1000);
        looks++;
    }
    CHECK(looks < LOOKS_AT_MOST); /* slowly */
}

static void
looks_take_little(void)
{
    struct fake fake;

    fake_init(&fake, NULL);
    fake.cost_ns = 50 * CHI_NS_PER_US;
    for (uint32_t ms = 0; ms < 1000; ms++) {
        (void)look_after(&fake, 1);
    }
    CHECK(fake.looks > 100);
    CHECK(fake.looks * fake.cost_ns <=
          1000 * CHI_NS_PER_MS / CHI_SPEED_COST_SHARE + fake.cost_ns);
}

static void
what_only_trembles_stays(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct chi_prng prng;
        struct fake fake;
        uint32_t changes = 0;
        double last;

        chi_prng_init(&prng, seed);
        fake_init(&fake, &prng);
        fake.share = 0; /* of which nothing is known: so one noise */
        fake.pace = 0.3 + (double)chi_prng_below(&prng, 1000) / 500;
        last = look_after(&fake, 100);
        for (uint32_t i = 0; i < 50; i++) {
            changes += look_after(&fake, 100) != last;
            last = fake.speed.used;
        }
        if (changes > 1) { /* away from 1, if it began just beside it */
            printf("# seed %" PRIu64 ": %u changes\n", seed, changes);
            CHECK(false);
            return;
        }
    }
    CHECK(true);
}

/* S4 */
static void
who_shares_too_few_processors_is_like_the_others(void)
{
    static const double shares[] = {1, 0.3, 0.5, 1, 0.2, 0.4, 1, 1};
    struct fake fake;

    fake_init(&fake, NULL);
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 10, 90), 1, 1e-9));
    chi_speed_crowd(&fake.speed, 2, 2);
    CHECK(is_near(fake.speed.crowd, 1, 1e-9));
    chi_speed_crowd(&fake.speed, 2, 4);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        fake.share = shares[i];
        CHECK(is_near(look_after(&fake, 100), 0.5, HALF_STEP));
    }
    CHECK(is_near(fake.speed.share, 1, 0.01)); /* as reports say */

    /* It has waited for half of the time: as it is expected to. */
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 50, 50), 1, 1e-9));
    /* Not at all; and some of it has slept, which is no waiting. */
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 100, 0), 2, 1e-9));
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 40, 0), 2, 1e-9));
    /* While it was idle it waited much longer. */
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 50, 900), 1, 1e-9));
    CHECK(is_near(chi_speed_scale(&fake.speed, 100, 120, 900), 2, 1e-9));
    CHECK(is_near(chi_speed_scale(&fake.speed, 0, 0, 0), 1, 1e-9));
}

static void
the_real_source_tells(void)
{
    struct chi_speed speed;
    uint64_t ran_ns;
    uint64_t waited_ns;

    chi_speed_init(&speed, &chi_speed_real);
    chi_speed_mark(&speed, &chi_clock_real);
    CHECK(chi_speed_look(&speed, &chi_clock_real, 0) > 0);
    CHECK(speed.work_ns > 100 && speed.work_ns < 1e9);
    if (speed.has_marks) {
        CHECK(speed.source->share(NULL, &ran_ns, &waited_ns));
    }
}

/* ---- a job */

struct world {
    struct chi_prng prng;
    struct fake pes[PES_MAX];
    uint32_t pe_count;
    size_t object_count;
    double work[OBJECTS_MAX]; /* true */
    uint32_t at[OBJECTS_MAX];
    float measured[OBJECTS_MAX];
    float speeds[PES_MAX];
    float background[PES_MAX];
    uint64_t moves;
    uint32_t processors; /* that PEs share; 0: each has its own */
};

static double
true_speed(const struct fake *fake)
{
    return fake->pace * fake->share;
}

static void
draw_speeds(struct world *world)
{
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        struct fake *fake = &world->pes[pe];

        fake->pace = 0.4 + (double)chi_prng_below(&world->prng, 100) / 100;
        fake->share = chi_prng_below(&world->prng, 3) == 0 ? 0.5 : 1;
    }
}

static void
world_init(struct world *world, uint64_t seed)
{
    chi_prng_init(&world->prng, seed);
    world->pe_count = 2 + (uint32_t)chi_prng_below(&world->prng, PES_MAX - 1);
    world->object_count = world->pe_count * 25;
    world->moves = 0;
    world->processors = 0;
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        fake_init(&world->pes[pe], &world->prng);
        world->background[pe] = 0;
    }
    draw_speeds(world);
    for (size_t i = 0; i < world->object_count; i++) {
        world->work[i] =
            0.001 * (1 + (double)chi_prng_below(&world->prng, 100) / 100);
        world->at[i] = (uint32_t)(i * world->pe_count / world->object_count);
    }
}

/* Seconds of the fullest PE over what could be at best. */
static double
over_best(const struct world *world)
{
    double times[PES_MAX] = {0};
    double work = 0;
    double speeds = 0;
    double most = 0;

    for (size_t i = 0; i < world->object_count; i++) {
        times[world->at[i]] +=
            world->work[i] / true_speed(&world->pes[world->at[i]]);
        work += world->work[i];
    }
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        most = fmax(most, times[pe]);
        speeds += true_speed(&world->pes[pe]);
    }
    return most / (work / speeds);
}

/* A period is measured where each PE has a processor. */
static void
measure(struct world *world)
{
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        world->speeds[pe] = (float)look_after(&world->pes[pe], 100);
    }
    for (size_t i = 0; i < world->object_count; i++) {
        const uint32_t pe = world->at[i];
        const double seconds = world->work[i] / true_speed(&world->pes[pe]);

        world->measured[i] =
            (float)(seconds * noise(&world->prng)) * world->speeds[pe];
    }
}

/* A period where PEs share processors, as the kernel has just spread them:
 * those of one run by turns, until they have nothing to do. */
static void
measure_crowd(struct world *world)
{
    double ran[PES_MAX] = {0};
    double wall[PES_MAX] = {0};
    double scale[PES_MAX];
    uint32_t on[PES_MAX];

    for (size_t i = 0; i < world->object_count; i++) {
        ran[world->at[i]] += world->work[i] * CHI_NS_PER_SEC;
    }
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        on[pe] = (uint32_t)chi_prng_below(&world->prng, world->processors);
    }
    for (uint32_t pe = 0; pe < world->pe_count; pe++) {
        struct fake *fake = &world->pes[pe];
        double waited;

        for (uint32_t other = 0; other < world->pe_count; other++) {
            wall[pe] += on[other] == on[pe] ? fmin(ran[pe], ran[other]) : 0;
        }
        /* Some more while it is idle, and lets the others run. */
        waited = wall[pe] - ran[pe] +
                 (double)chi_prng_below(&world->prng, 4 * CHI_NS_PER_MS);
        scale[pe] = chi_speed_scale(&fake->speed, wall[pe], ran[pe], waited);
        fake->ran_ns += ran[pe];
        fake->waited_ns += waited;
        fake->clock.now_ns += CHI_NS_PER_SEC;
        world->speeds[pe] =
            (float)chi_speed_look(&fake->speed, &fake->clock.clock, UNIT_NS);
    }
    for (size_t i = 0; i < world->object_count; i++) {
        const uint32_t pe = world->at[i];

        world->measured[i] =
            (float)(world->work[i] * wall[pe] / fmax(ran[pe], 1) *
                    noise(&world->prng) * scale[pe]) *
            world->speeds[pe];
    }
}

/* A period is measured, and chares move. */
static bool
balance(struct world *world, const struct chi_lb_strategy *strategy)
{
    struct chi_lb_problem problem = {
        .object_count = world->object_count,
        .pe_count = world->pe_count,
        .work = world->measured,
        .from = world->at,
        .speeds = world->speeds,
        .background = world->background,
        .seed = chi_prng_next(&world->prng),
    };
    uint32_t to[OBJECTS_MAX];
    char text[CHI_LB_TEXT_BYTES];

    if (world->processors > 0) {
        measure_crowd(world);
    } else {
        measure(world);
    }
    if (chi_lb_decide(strategy, &problem, to, text) != CHARE_OK) {
        return false;
    }
    world->moves = 0;
    for (size_t i = 0; i < world->object_count; i++) {
        world->moves += to[i] != world->at[i];
        world->at[i] = to[i];
    }
    return true;
}

/* Some rounds; in the last ones hardly anything moves. */
static bool
settles(struct world *world, const struct chi_lb_strategy *strategy,
        bool restless)
{
    uint64_t late = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        if (!balance(world, strategy)) {
            return false;
        }
        late += round >= ROUNDS - 2 ? world->moves : 0;
    }
    if (over_best(world) > 1.2) {
        printf("# %s: %.3f times the best\n", strategy->name,
               over_best(world));
        return false;
    }
    if (!restless && late > world->object_count / 5) {
        printf("# %s: %" PRIu64 " late moves of %zu\n", strategy->name, late,
               world->object_count);
        return false;
    }
    return true;
}

static void
work_is_in_proportion(void)
{
    static const char *const names[] = {
        "refine", "greedy-refine", "hierarchical", "gossip",
        "tree",   "diffusion",     "greedy"};
    const size_t count = sizeof(names) / sizeof(names[0]);

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const struct chi_lb_strategy *strategy =
            chi_lb_strategy_find(names[seed % count]);
        const bool restless = seed % count == count - 1;
        struct world world;
        bool good;

        world_init(&world, seed);
        good = settles(&world, strategy, restless);
        draw_speeds(&world);
        good = good && settles(&world, strategy, restless);
        if (!good) {
            printf("# seed %" PRIu64 "\n", seed);
            CHECK(false);
            return;
        }
    }
    CHECK(true);
}

/* PEs on fewer processors, and whether they know: how often that settles. */
static uint32_t
settled_crowds(bool know, uint32_t seeds)
{
    static const char *const names[] = {"refine", "greedy-refine",
                                        "hierarchical", "gossip", "tree"};
    uint32_t good = 0;

    for (uint64_t seed = 0; seed < seeds; seed++) {
        const struct chi_lb_strategy *strategy = chi_lb_strategy_find(
            names[seed % (sizeof(names) / sizeof(names[0]))]);
        struct world world;

        world_init(&world, seed);
        world.pe_count = 4 + (uint32_t)(seed % (PES_MAX - 3));
        world.object_count = world.pe_count * 25;
        world.processors = 2 + (uint32_t)(seed % 2);
        for (uint32_t pe = 0; pe < world.pe_count; pe++) {
            fake_init(&world.pes[pe], NULL);
            world.background[pe] = 0;
            if (know) {
                chi_speed_crowd(&world.pes[pe].speed, world.processors,
                                world.pe_count);
            }
        }
        for (size_t i = 0; i < world.object_count; i++) {
            world.work[i] =
                0.01 * (1 + (double)chi_prng_below(&world.prng, 100) / 100);
            world.at[i] =
                (uint32_t)(i * world.pe_count / world.object_count / 2);
        }
        good += settles(&world, strategy, false);
    }
    return good;
}

static void
a_crowd_settles(void)
{
    CHECK_EQ(settled_crowds(true, CROWD_SEEDS), CROWD_SEEDS);
    CHECK(settled_crowds(false, CROWD_SEEDS / 10) < CROWD_SEEDS / 20);
}

TAP_MAIN(TAP_CASE(it_is_found_and_follows), TAP_CASE(alike_are_equal),
         TAP_CASE(a_shared_processor_is_slow),
         TAP_CASE(who_does_not_run_is_not_known), TAP_CASE(looks_take_little),
         TAP_CASE(what_only_trembles_stays), TAP_CASE(the_real_source_tells),
         TAP_CASE(work_is_in_proportion),
         TAP_CASE(who_shares_too_few_processors_is_like_the_others),
         TAP_CASE(a_crowd_settles))
