/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_auto.c - whether it is worth it to balance.
 *
 * Goal:   what is balanced, or wins less than it costs, is left alone; of what
 *         is worth it the cheapest moves are taken; promises that do not hold
 *         make it careful.
 * Method: made-up sums and problems, and a clock that stands still.
 */
#include "config.h"

#include "lb/auto.h"
#include "tap/tap.h"

enum {
    PES = 4,
    OBJECTS = 64,
};

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

TAP_MAIN(TAP_CASE(sums_tell_whether_to_look_closer),
         TAP_CASE(pes_without_chares_are_busy_if_any_was_measured),
         TAP_CASE(sums_add_up), TAP_CASE(what_wins_more_than_it_costs_moves),
         TAP_CASE(promises_that_do_not_hold_make_it_careful),
         TAP_CASE(costs_are_learnt))
