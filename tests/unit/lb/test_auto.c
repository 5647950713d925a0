/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_auto.c - whether it is worth it to balance.
 *
 * Goal:   what is balanced, or wins less than it costs, is left alone; of what
 *         is worth it the cheapest moves are taken; promises that do not hold
 *         make it careful; what differs from session to session by chance
 *         moves hardly anything, while what is worth it moves as ever.
 * Method: made-up sums and problems, and a clock that stands still.
 */
#include "config.h"

#include "lb/auto.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/prng.h"
#include "lb/noise.h"
#include "tap/tap.h"

enum {
    PES = 4,
    OBJECTS = 64,
    SESSIONS = 60,
    SESSIONS_FIRST = 6,
};

static const double MOST = 1.12;
static const double MOST_MEAN = 1.12; /* of all seeds */

static const struct chi_lb_sum even = {.work = 4,
                                       .speeds = 4,
                                       .most = 1.02,
                                       .period = 1,
                                       .largest = 0.1,
                                       .fastest = 1,
                                       .count = OBJECTS};

static void
sums_tell_whether_to_look_closer(void)
{
    struct chi_lb_auto self;
    struct chi_lb_sum sum = even;

    chi_lb_auto_init(&self);
    CHECK(!chi_lb_auto_promises(&self, &sum)); /* 2 % */
    sum.most = 1.5;
    CHECK(chi_lb_auto_promises(&self, &sum));
    sum.largest = 1.5; /* it cannot be cut */
    CHECK(!chi_lb_auto_promises(&self, &sum));
    sum.largest = 0.1;
    sum.stuck = 1.5;
    CHECK(!chi_lb_auto_promises(&self, &sum));
    sum.stuck = 0;
    sum.period = 100; /* it mostly waits */
    CHECK(!chi_lb_auto_promises(&self, &sum));
    sum.period = 1;
    self.tell_s = 10;
    CHECK(!chi_lb_auto_promises(&self, &sum));
    sum.count = 0;
    self.tell_s = 0;
    CHECK(!chi_lb_auto_promises(&self, &sum));
}

/* One PE has all chares, the other none, and is as busy otherwise. */
static void
pes_without_chares_are_busy_if_any_was_measured(void)
{
    struct chi_lb_sum sum = {.work = 1,
                             .speeds = 1,
                             .most = 1,
                             .period = 1,
                             .largest = 0.1,
                             .fastest = 1,
                             .count = OBJECTS,
                             .measured = 1};
    const struct chi_lb_sum empty = {.speeds = 1,
                                     .fastest = 1,
                                     .empty_background = 1,
                                     .empty_most = 1,
                                     .empty_period = 1};
    struct chi_lb_sum said = sum;
    struct chi_lb_auto self;

    chi_lb_auto_init(&self);
    chi_lb_sum_add(&sum, &empty);
    chi_lb_sum_close(&sum);
    CHECK(!chi_lb_auto_promises(&self, &sum));
    said.measured = 0;
    chi_lb_sum_add(&said, &empty);
    chi_lb_sum_close(&said);
    CHECK(chi_lb_auto_promises(&self, &said));
}

static void
sums_add_up(void)
{
    struct chi_lb_sum sum = even;
    const struct chi_lb_sum more = {.work = 2,
                                    .speeds = 1,
                                    .background = 1,
                                    .most = 3,
                                    .fastest = 0.5,
                                    .largest = 0.2,
                                    .count = 1};

    chi_lb_sum_add(&sum, &more);
    CHECK(sum.work == 6 && sum.speeds == 5 && sum.most == 3);
    CHECK(sum.largest == 0.2 && sum.fastest == 1);
    CHECK_EQ(sum.count, OBJECTS + 1);
    CHECK(chi_lb_sum_bound(&sum) == 7.0 / 5);
}

struct loads {
    float work[OBJECTS];
    uint32_t from[OBJECTS];
    uint32_t to[OBJECTS];
    struct chi_lb_problem problem;
    struct chi_lb_choice choice;
};

/* All cost the same; 'extra' times that on PE 0. */
static void
decide(struct chi_lb_auto *self, struct loads *loads, float each, float extra)
{
    struct chi_clock_manual clock;
    char text[CHI_LB_TEXT_BYTES];

    chi_clock_manual_init(&clock, 0);
    loads->problem = (struct chi_lb_problem){.object_count = OBJECTS,
                                             .pe_count = PES,
                                             .work = loads->work,
                                             .from = loads->from};
    for (uint32_t i = 0; i < OBJECTS; i++) {
        loads->from[i] = i % PES;
        loads->work[i] = i % PES == 0 ? extra * each : each;
    }
    CHECK_EQ(chi_lb_auto_decide(self, &loads->problem, &clock.clock, loads->to,
                                &loads->choice, text),
             CHARE_OK);
}

static uint64_t
moves(const struct loads *loads)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        count += loads->to[i] != loads->from[i];
    }
    return count;
}

static void
what_wins_more_than_it_costs_moves(void)
{
    struct chi_lb_auto self;
    struct loads loads;

    chi_lb_auto_init(&self);
    decide(&self, &loads, 0.01f, 1);
    CHECK(loads.choice.strategy == NULL && moves(&loads) == 0);
    decide(&self, &loads, 0.01f, 2);
    CHECK(loads.choice.strategy != NULL);
    CHECK(moves(&loads) > 0 && moves(&loads) <= 12); /* not nearly all */
    CHECK(loads.choice.gain_s > loads.choice.cost_s);

    chi_lb_auto_init(&self);
    decide(&self, &loads, 1e-7f, 2); /* 1.6 us in a period */
    CHECK(loads.choice.strategy == NULL && moves(&loads) == 0);
    CHECK(loads.choice.gain_s < loads.choice.cost_s);
    chi_lb_auto_init(&self);
    self.move_s = 1;
    decide(&self, &loads, 0.01f, 2);
    CHECK(loads.choice.strategy == NULL && moves(&loads) == 0);
}

static void
promises_that_do_not_hold_make_it_careful(void)
{
    struct chi_lb_auto self;
    struct loads loads;
    double first;

    chi_lb_auto_init(&self);
    first = self.horizon;
    decide(&self, &loads, 0.01f, 2);
    chi_lb_auto_confirm(&self, self.promise_s * 1.01);
    CHECK(self.horizon == 2 * first);
    chi_lb_auto_confirm(&self, 1000); /* nothing was promised since */
    CHECK(self.horizon == 2 * first);
    for (uint32_t i = 0; i < 20; i++) {
        decide(&self, &loads, 0.01f, 2);
        chi_lb_auto_confirm(&self, self.before_s);
    }
    CHECK(self.horizon == 1);
    /* Over one period, 0.1 s of gain are less than moves that take 0.2. */
    self.move_s = 0.05;
    decide(&self, &loads, 0.01f, 2);
    CHECK(loads.choice.strategy == NULL);
    self.horizon = 100;
    decide(&self, &loads, 0.01f, 2);
    CHECK(loads.choice.strategy != NULL);
}

static void
costs_are_learnt(void)
{
    struct chi_lb_auto self;

    chi_lb_auto_init(&self);
    for (uint32_t i = 0; i < 20; i++) {
        chi_lb_auto_learn(&self, 100, 0.01, 0.5);
    }
    CHECK(self.move_s > 0.99e-4 && self.move_s < 1.01e-4);
    CHECK(self.tell_s > 0.49 && self.tell_s < 0.51);
    chi_lb_auto_learn(&self, 0, 0, 0.5);
    CHECK(self.move_s > 0.99e-4);
}

/* A program that is measured again and again: its chares stay or drift, and
 * each PE, and each chare, is off by some chance. */
struct program {
    struct loads loads;
    struct chi_lb_auto self;
    struct chi_lb_noise noise;
    struct chi_prng prng;
    double cost[OBJECTS]; /* true */
    bool careful;
    uint64_t early_moves;
    uint64_t late_moves;
    double fullest; /* mean */
};

static double
chance(struct program *program, double part)
{
    return 1 +
           part * (2 * (double)chi_prng_below(&program->prng, 1000) / 999 - 1);
}

static void
program_init(struct program *program, uint64_t seed, bool careful)
{
    *program = (struct program){.careful = careful};
    chi_prng_init(&program->prng, seed);
    chi_lb_auto_init(&program->self);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        program->loads.from[i] = i % PES;
        program->cost[i] = 0.01;
    }
}

static void
session(struct program *program, double pe_part)
{
    struct loads *loads = &program->loads;
    struct chi_clock_manual clock;
    char text[CHI_LB_TEXT_BYTES];
    double off[PES];

    chi_clock_manual_init(&clock, 0);
    loads->problem = (struct chi_lb_problem){.object_count = OBJECTS,
                                             .pe_count = PES,
                                             .work = loads->work,
                                             .from = loads->from};
    for (uint32_t pe = 0; pe < PES; pe++) {
        off[pe] = chance(program, pe_part);
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        loads->work[i] = (float)(program->cost[i] * off[loads->from[i]] *
                                 chance(program, 0.02));
    }
    chi_lb_noise_look(&program->noise, &loads->problem, true);
    if (program->careful) {
        chi_lb_auto_doubt(&program->self, &program->noise);
    }
    CHECK_EQ(chi_lb_auto_decide(&program->self, &loads->problem, &clock.clock,
                                loads->to, &loads->choice, text),
             CHARE_OK);
    chi_lb_noise_expect(&program->noise, &loads->problem, loads->to);
}

/* The true time of the fullest PE, over the mean. */
static double
fullest(const struct program *program, const uint32_t *at)
{
    double times[PES] = {0};
    double all = 0;
    double most = 0;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        times[at[i]] += program->cost[i];
        all += program->cost[i];
    }
    for (uint32_t pe = 0; pe < PES; pe++) {
        most = times[pe] > most ? times[pe] : most;
    }
    return most / (all / PES);
}

static void
all_sessions(struct program *program, double pe_part, bool drifts)
{
    double most = 0;

    for (uint32_t i = 0; i < SESSIONS; i++) {
        for (uint32_t object = 0; drifts && object < OBJECTS; object++) {
            const double off = (double)object - (double)i * OBJECTS / SESSIONS;

            program->cost[object] = 0.01 * (1 + 4 * exp(-off * off / 60));
        }
        session(program, pe_part);
        if (i < SESSIONS_FIRST) {
            program->early_moves += moves(&program->loads);
        } else {
            program->late_moves += moves(&program->loads);
            most += fullest(program, program->loads.from);
        }
        memcpy(program->loads.from, program->loads.to,
               sizeof(program->loads.from));
    }
    printf("# %" PRIu64 " late moves, fullest %.3f\n", program->late_moves,
           most / (SESSIONS - SESSIONS_FIRST));
    program->fullest = most / (SESSIONS - SESSIONS_FIRST);
    CHECK(program->fullest < MOST);
}

static void
chance_moves_hardly_anything(void)
{
    uint64_t careful = 0;
    uint64_t careless = 0;
    uint64_t early = 0;
    uint64_t careless_early = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct program program;

        program_init(&program, seed, true);
        all_sessions(&program, 0.08, false);
        careful += program.late_moves;
        early += program.early_moves;
        chi_lb_noise_fini(&program.noise);
        program_init(&program, seed, false);
        all_sessions(&program, 0.08, false);
        careless += program.late_moves;
        careless_early += program.early_moves;
        chi_lb_noise_fini(&program.noise);
    }
    CHECK(careless > 1000);
    CHECK(careful * 4 < careless);
    CHECK(early * 4 < careless_early); /* N5 */
}

static void
what_drifts_is_followed(void)
{
    struct program program;
    double most = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        program_init(&program, seed, true);
        for (uint32_t i = 0; i < OBJECTS; i++) {
            program.loads.from[i] = i / (OBJECTS / PES);
        }
        all_sessions(&program, 0, true);
        CHECK(program.late_moves > 10);
        most += program.fullest;
        chi_lb_noise_fini(&program.noise);
    }
    CHECK(most < 20 * MOST_MEAN);
}

/* Sessions until nothing is too much, if PE 0 has so many times the others'.
 */
static uint32_t
sessions_until_even(struct program *program, double times)
{
    uint32_t sessions = 0;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        program->cost[i] *= program->loads.from[i] == 0 ? times : 1;
    }
    while (sessions < SESSIONS &&
           fullest(program, program->loads.from) > 1.05) {
        session(program, 0.01);
        memcpy(program->loads.from, program->loads.to,
               sizeof(program->loads.from));
        sessions++;
    }
    return sessions;
}

/* N5: what is there from the start, and what comes up later. */
static void
what_is_confirmed_is_mended(void)
{
    struct program program;
    uint32_t sessions;

    for (uint64_t seed = 0; seed < 20; seed++) {
        program_init(&program, seed, true);
        CHECK_EQ(sessions_until_even(&program, 2), 1);
        chi_lb_noise_fini(&program.noise);

        program_init(&program, seed, true);
        CHECK_EQ(sessions_until_even(&program, 1.25), 2);
        for (uint32_t i = 0; i < SESSIONS_FIRST; i++) {
            session(&program, 0.01);
        }
        sessions = sessions_until_even(&program, 1.25);
        CHECK(sessions == 2 || sessions == 3);
        CHECK_EQ(sessions_until_even(&program, 1.8), 1);
        chi_lb_noise_fini(&program.noise);
    }
}

/* Sessions that come when PEs differ by much, and then a surplus that stays:
 * after some looks it is worth a session. */
static void
what_lasts_is_no_chance(void)
{
    struct program program;
    struct chi_lb_sum sum = even;
    uint32_t looks = 0;

    sum.most = 1.08;
    program_init(&program, 1, true);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        session(&program, 0.3);
    }
    chi_lb_auto_doubt(&program.self, &program.noise);
    CHECK(!chi_lb_auto_promises(&program.self, &sum));
    while (looks < 20 && !chi_lb_auto_promises(&program.self, &sum)) {
        chi_lb_noise_see(&program.noise, sum.most);
        chi_lb_auto_doubt(&program.self, &program.noise);
        looks++;
    }
    CHECK(looks >= 2 && looks <= 8);

    /* What goes up and down by as much all the time does not pay. */
    for (uint32_t i = 0; i < 20; i++) {
        sum.most = i % 2 == 0 ? 1 : 1.08;
        chi_lb_noise_see(&program.noise, sum.most);
    }
    chi_lb_auto_doubt(&program.self, &program.noise);
    CHECK(!chi_lb_auto_promises(&program.self, &sum));
    chi_lb_noise_fini(&program.noise);
}

/* N5: a long quiet time, and then a fifth more: it waits for the next look,
 * which comes soon. What stays as it is, or is too little, does not wait. */
static void
what_is_new_is_looked_at_again(void)
{
    struct chi_lb_auto self;
    struct chi_lb_noise noise = {0};
    struct chi_lb_sum sum = even;

    chi_lb_auto_init(&self);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        chi_lb_noise_see(&noise, sum.most);
    }
    chi_lb_auto_doubt(&self, &noise);
    CHECK(!chi_lb_auto_promises(&self, &sum));
    CHECK(!chi_lb_auto_would_promise(&self, &sum));

    sum.most = 1.22;
    chi_lb_noise_see(&noise, sum.most);
    chi_lb_auto_doubt(&self, &noise);
    CHECK(!chi_lb_auto_promises(&self, &sum));
    CHECK(chi_lb_auto_would_promise(&self, &sum));

    chi_lb_noise_see(&noise, sum.most);
    chi_lb_auto_doubt(&self, &noise);
    CHECK(chi_lb_auto_promises(&self, &sum));
    CHECK(!chi_lb_auto_would_promise(&self, &sum));
    chi_lb_noise_fini(&noise);
}

/* What was learnt stays when others decide; what was expected does not. */
static void
what_others_have_moved_is_no_surprise(void)
{
    struct program program;
    double least;

    program_init(&program, 1, true);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        session(&program, 0);
    }
    least = chi_lb_noise_least(&program.noise);
    CHECK(least < 0.03);
    chi_lb_noise_forget(&program.noise);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        program.loads.from[i] = 0;
    }
    session(&program, 0);
    CHECK(chi_lb_noise_least(&program.noise) <= least);
    session(&program, 0);
    CHECK(chi_lb_noise_least(&program.noise) > least);
    chi_lb_noise_fini(&program.noise);
}

/* N2, where most of the time is spent waiting. */
static void
who_mostly_waits_is_mended_too(void)
{
    const struct chi_lb_sum sum = {.work = 0.22,
                                   .speeds = 4,
                                   .most = 0.1,
                                   .period = 1,
                                   .largest = 0.01,
                                   .fastest = 1,
                                   .count = OBJECTS,
                                   .measured = 4};
    struct chi_lb_auto self;

    chi_lb_auto_init(&self);
    self.doubt = CHI_LB_DOUBT_MAX;
    CHECK(chi_lb_auto_promises(&self, &sum));
    self.doubt = 0.5;
    CHECK(!chi_lb_auto_promises(&self, &sum));
}

static void
what_is_large_is_mended_at_once(void)
{
    struct program program;

    program_init(&program, 1, true);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        session(&program, 0.3);
    }
    CHECK(chi_lb_noise_least(&program.noise) >= CHI_LB_NOISE_MAX);
    for (uint32_t i = 0; i < OBJECTS; i += PES) {
        program.cost[i] *= 1.5;
    }
    session(&program, 0);
    CHECK(fullest(&program, program.loads.to) < 1.05);

    /* What is said is no chance. */
    chi_lb_noise_look(&program.noise, &program.loads.problem, false);
    CHECK(chi_lb_noise_least(&program.noise) <= 0);
    chi_lb_noise_fini(&program.noise);
}

/* A look knows the mean by sums alone, and must mean the same. */
static void
pes_of_several_speeds_do_not_surprise(void)
{
    static const float work[] = {10, 4};
    static const float speeds[] = {1, 4};
    static const uint32_t from[] = {0, 1};
    const struct chi_lb_problem problem = {.object_count = 2,
                                           .pe_count = 2,
                                           .work = work,
                                           .from = from,
                                           .speeds = speeds};
    const double mean = (10. + 4) / (1 + 4);
    struct chi_lb_noise noise = {.compared = SESSIONS};

    chi_lb_noise_expect(&noise, &problem, from);
    chi_lb_noise_see(&noise, 10 / mean);
    CHECK(chi_lb_noise_least(&noise) < 1e-6);
    chi_lb_noise_fini(&noise);
}

TAP_MAIN(TAP_CASE(sums_tell_whether_to_look_closer),
         TAP_CASE(pes_without_chares_are_busy_if_any_was_measured),
         TAP_CASE(sums_add_up), TAP_CASE(what_wins_more_than_it_costs_moves),
         TAP_CASE(promises_that_do_not_hold_make_it_careful),
         TAP_CASE(costs_are_learnt), TAP_CASE(chance_moves_hardly_anything),
         TAP_CASE(what_drifts_is_followed),
         TAP_CASE(what_is_confirmed_is_mended),
         TAP_CASE(what_lasts_is_no_chance),
         TAP_CASE(what_is_new_is_looked_at_again),
         TAP_CASE(what_others_have_moved_is_no_surprise),
         TAP_CASE(who_mostly_waits_is_mended_too),
         TAP_CASE(what_is_large_is_mended_at_once),
         TAP_CASE(pes_of_several_speeds_do_not_surprise))
