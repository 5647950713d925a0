/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_meter.c - what chares cost, and what a PE was busy with.
 *
 * Goal:   what an execution took is its chare's; what a chare of a bound array
 *         cost, or says that it costs, is that of the one it follows, whether
 *         or not it is of an array with at_sync, and is counted once however
 *         often it is asked; each of them counts as what it says, or else as
 *         what was measured of it; a PE reports what it was busy with, its
 *         speed and its sensors, and knows no other PE.
 * Method: one real PE, whose chares run until the clock has moved; what they
 *         cost is compared with 0 only.
 */
#include "config.h"

#include <chare.h>

#include <math.h>

#include "lb/lb_private.h"
#include "rt/runtime.h"
#include "tap/bare.h"
#include "tap/tap.h"

enum {
    CHARES = 4,
    BUSY = 2, /* the one that has something to do */
    ROUNDS_MAX = 1000,
};

struct test {
    chare_runtime *rt;
    uint32_t type;
    uint32_t entry;
    chare_collection array;
    chare_collection bound;
    chare_collection bound_twice; /* to 'bound' */
    uint32_t calls;
    float busy; /* of the array: of chare BUSY, and of all others */
    float others;
    float follower; /* of 'bound', all together */
    uint64_t ticks; /* of all */
    bool all_said;
    bool followers_said_so;
};

static void
run_on(void *object, const chare_call *call, void *context)
{
    const uint64_t start = chi_clock_ticks();

    (void)object;
    (void)call;
    while (chi_clock_ticks() == start) {
    }
    ((struct test *)context)->calls++;
}

static bool
settle(struct test *test, uint32_t calls)
{
    for (uint32_t i = 0; i < ROUNDS_MAX; i++) {
        const chare_status status = chare_progress(test->rt, 100);

        if (status != CHARE_OK && status != CHARE_ERR_AGAIN) {
            return false;
        }
    }
    return test->calls == calls;
}

static bool
open_one(struct test *test, bool at_sync)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Runner",
        .create = bare_create,
        .pack = bare_pack,
        .unpack = bare_create,
    };
    chare_array_options array = {
        .size = sizeof(array),
        .ndims = 1,
        .dense = true,
        .at_sync = true,
    };
    chare_array_options bound = {.size = sizeof(bound), .ndims = 1};
    bool good =
        chare_open(&options, &test->rt) == CHARE_OK &&
        chare_type_register(test->rt, &ops, test, &test->type) == CHARE_OK &&
        chare_entry_register(test->rt, test->type, "run", run_on, test,
                             &test->entry) == CHARE_OK &&
        chare_start(test->rt) == CHARE_OK;

    array.type = test->type;
    array.dims[0] = CHARES;
    bound.type = test->type;
    bound.at_sync = at_sync;
    good = good && chare_array_create(test->rt, &array, NULL, &test->array) ==
                       CHARE_OK;
    bound.bind_to = test->array;
    good =
        good && settle(test, 0) &&
        chare_array_create(test->rt, &bound, NULL, &test->bound) == CHARE_OK;
    bound.bind_to = test->bound;
    return good && settle(test, 0) &&
           chare_array_create(test->rt, &bound, NULL, &test->bound_twice) ==
               CHARE_OK &&
           settle(test, 0);
}

static void
sum(void *context, const struct chi_obj_load *load)
{
    struct test *test = context;
    const float work = chi_lb_work(test->rt->lb, load);

    test->ticks += load->ticks;
    test->all_said &= load->is_said || load->element.index.at[0] != BUSY;
    if (load->element.collection != test->array) {
        test->follower += work;
        test->followers_said_so |= load->can_move;
    } else if (load->element.index.at[0] == BUSY) {
        test->busy += work;
    } else {
        test->others += work;
    }
}

static void
ask(struct test *test, bool reset)
{
    test->busy = test->others = test->follower = 0;
    test->ticks = 0;
    test->all_said = true;
    chi_obj_each_load(test->rt->obj, CHI_LOAD_SYNCED, reset, sum, test);
}

static void
run_and_ask(bool at_sync)
{
    struct test test = {0};
    chare_element self;

    CHECK(open_one(&test, at_sync));
    chare_lb_measure(test.rt, true);
    self = chare_element_1d(test.bound, BUSY);
    CHECK_EQ(chare_send(test.rt, &self, test.entry, NULL, NULL), CHARE_OK);
    self = chare_element_1d(test.bound_twice, BUSY);
    CHECK_EQ(chare_send(test.rt, &self, test.entry, NULL, NULL), CHARE_OK);
    CHECK(settle(&test, 2));
    ask(&test, false);
    CHECK(test.busy > 0);
    CHECK(test.others <= 0 && test.follower <= 0);
    ask(&test, true);
    CHECK(test.busy > 0);
    CHECK(!test.followers_said_so);
    ask(&test, true);
    CHECK(test.busy <= 0 && test.follower <= 0);

    for (uint32_t i = 0; i < 2; i++) { /* what they say stays */
        self = chare_element_1d(test.bound, BUSY);
        CHECK_EQ(chare_lb_set_load(test.rt, &self, 2), CHARE_OK);
        self = chare_element_1d(test.bound_twice, BUSY);
        CHECK_EQ(chare_lb_set_load(test.rt, &self, 3), CHARE_OK);
        ask(&test, true);
        CHECK(fabsf(test.busy - 5) < 1e-5F);
        CHECK(test.others <= 0 && test.follower <= 0);
    }
    self = chare_element_1d(test.array, BUSY);
    CHECK_EQ(chare_lb_set_load(test.rt, &self, 1), CHARE_OK);
    ask(&test, true);
    CHECK(fabsf(test.busy - 6) < 1e-5F);
    chare_close(test.rt);
}

/* What was measured of one that says what it costs does not count, but is no
 * background; what was measured of another one does, whatever that says. */
static void
each_says_or_is_measured(void)
{
    struct test test = {0};
    chare_element anchor;
    chare_element first;
    chare_element second;

    CHECK(open_one(&test, true));
    chare_lb_measure(test.rt, true);
    anchor = chare_element_1d(test.array, BUSY);
    first = chare_element_1d(test.bound, BUSY);
    second = chare_element_1d(test.bound_twice, BUSY);

    CHECK_EQ(chare_lb_set_load(test.rt, &first, 0), CHARE_OK);
    CHECK_EQ(chare_send(test.rt, &first, test.entry, NULL, NULL), CHARE_OK);
    CHECK(settle(&test, 1));
    ask(&test, false);
    CHECK(test.busy <= 0 && test.ticks > 0 && !test.all_said);

    CHECK_EQ(chare_lb_set_load(test.rt, &anchor, 0), CHARE_OK);
    ask(&test, false);
    CHECK(test.busy <= 0 && test.ticks > 0 && test.all_said);

    CHECK_EQ(chare_send(test.rt, &second, test.entry, NULL, NULL), CHARE_OK);
    CHECK(settle(&test, 2));
    for (uint32_t i = 0; i < 2; i++) {
        ask(&test, i == 1);
        CHECK(test.busy > 0 && test.busy < 1 && !test.all_said);
    }
    ask(&test, true);
    CHECK(test.busy <= 0 && test.ticks == 0 && test.all_said);

    CHECK_EQ(chare_lb_set_load(test.rt, &first, 2), CHARE_OK);
    CHECK_EQ(chare_send(test.rt, &anchor, test.entry, NULL, NULL), CHARE_OK);
    CHECK_EQ(chare_lb_set_load(test.rt, &anchor, -1), CHARE_OK);
    CHECK(settle(&test, 3));
    ask(&test, true);
    CHECK(test.busy >= 2 && test.busy < 3 && !test.all_said);
    CHECK(test.others <= 0 && test.follower <= 0);
    chare_close(test.rt);
}

static void
who_follows_costs_its_anchor(void)
{
    run_and_ask(false);
}

static void
with_at_sync_too(void)
{
    run_and_ask(true);
}

static void
a_pe_reports(void)
{
    struct test test = {0};
    chare_lb_pe pe = {.size = sizeof(pe)};
    chare_lb_pe cut = {.size = offsetof(chare_lb_pe, busy), .busy = 7};
    chare_element self;

    CHECK(open_one(&test, false));
    CHECK_EQ(chare_lb_pe_get(test.rt, 0, &pe), CHARE_OK);
    CHECK_EQ(pe.size, sizeof(pe));
    CHECK(pe.period <= 0 && pe.busy <= 0 && fabs(pe.speed - 1) < 1e-9);
    CHECK(isnan(pe.mhz) || pe.mhz > 0);
    CHECK_EQ(chare_lb_pe_get(test.rt, 1, &pe), CHARE_ERR_INVALID);

    CHECK_EQ(chare_lb_use(test.rt, "greedy"), CHARE_OK);
    for (int64_t i = 0; i < CHARES; i++) {
        self = chare_element_1d(test.array, i);
        CHECK_EQ(chare_send(test.rt, &self, test.entry, NULL, NULL), CHARE_OK);
    }
    CHECK(settle(&test, CHARES));
    for (int64_t i = 0; i < CHARES; i++) {
        self = chare_element_1d(test.array, i);
        CHECK_EQ(chare_at_sync(test.rt, &self, NULL), CHARE_OK);
    }
    CHECK(settle(&test, CHARES));
    CHECK_EQ(chare_lb_pe_get(test.rt, 0, &pe), CHARE_OK);
    CHECK_EQ(pe.chares, CHARES);
    CHECK(pe.busy > 0 && pe.idle > 0 && pe.background > 0);
    CHECK(fabs(pe.busy + pe.idle + pe.background - pe.period) <
          1e-4 * pe.period);
    CHECK(pe.speed > 0 && pe.share > 0 && pe.share <= 1);
    CHECK_EQ(chare_lb_pe_get(test.rt, 0, &cut), CHARE_OK);
    CHECK(cut.period > 0 && fabs(cut.busy - 7) < 1e-9);
    chare_close(test.rt);
}

/* Its chares are not those that a look is about. */
static void
a_look_sees_a_pe_without_chares(void)
{
    struct test test = {0};
    const struct chi_lb_sum *sum;

    CHECK(open_one(&test, false));
    CHECK_EQ(chare_lb_every(test.rt, 0.001), CHARE_OK);
    while (test.rt->lb->report.looks == 0 && settle(&test, 0)) {
    }
    sum = &test.rt->lb->sum;
    CHECK_EQ(test.rt->lb->report.looks, 1);
    CHECK_EQ(sum->count, 0);
    CHECK(sum->empty_background > 0 && sum->empty_most > 0);
    CHECK(sum->background <= 0 && sum->measured == 0);
    chare_close(test.rt);
}

TAP_MAIN(TAP_CASE(who_follows_costs_its_anchor), TAP_CASE(with_at_sync_too),
         TAP_CASE(each_says_or_is_measured), TAP_CASE(a_pe_reports),
         TAP_CASE(a_look_sees_a_pe_without_chares))
