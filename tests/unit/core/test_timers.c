/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_timers.c - the timers of a PE.
 *
 * Goal:   each fires once, not before its time, in the order of times and then
 *         of starts; a stopped one never; one that is started by another
 *         fires in a later round.
 * Method: random starts, stops and jumps of a time that the test sets.
 */
#include "config.h"

#include "base/prng.h"
#include "pe/timers.h"
#include "tap/tap.h"

enum {
    TIMERS_MAX = 500
};

struct test {
    struct chi_timers timers;
    uint64_t now_ns;
    uint64_t last_ns; /* due time of what fired last in this round */
    uint64_t last_id;
    struct {
        uint64_t id;
        uint64_t due_ns;
        uint32_t fired;
        bool stopped;
    } each[TIMERS_MAX];
    uint32_t count;
    bool wrong;
};

static void
fired(const chare_call *call, void *context)
{
    struct test *test = context;

    for (uint32_t i = 0; i < test->count; i++) {
        if (test->each[i].id == call->argument) {
            const uint64_t due_ns = test->each[i].due_ns;

            test->wrong |=
                ++test->each[i].fired != 1 || test->each[i].stopped ||
                due_ns > test->now_ns || due_ns < test->last_ns ||
                (due_ns == test->last_ns && call->argument < test->last_id);
            test->last_ns = due_ns;
            test->last_id = call->argument;
            return;
        }
    }
    test->wrong = true;
}

static bool
run(uint64_t seed)
{
    static struct test test;
    struct chi_prng prng;

    memset(&test, 0, sizeof(test));
    chi_prng_init(&prng, seed);
    chi_timers_init(&test.timers);
    while (test.count < TIMERS_MAX && !test.wrong) {
        const uint64_t choice = chi_prng_below(&prng, 8);

        if (choice < 5) {
            test.each[test.count].due_ns =
                test.now_ns + chi_prng_below(&prng, 50);
            test.wrong |=
                chi_timers_add(&test.timers, test.each[test.count].due_ns,
                               fired, &test,
                               &test.each[test.count].id) != CHARE_OK;
            test.count++;
        } else if (choice == 5 && test.count > 0) {
            const uint64_t i = chi_prng_below(&prng, test.count);
            const bool open = test.each[i].fired == 0 && !test.each[i].stopped;

            test.wrong |=
                chi_timers_remove(&test.timers, test.each[i].id) != open;
            test.each[i].stopped |= open;
        } else {
            test.now_ns += chi_prng_below(&prng, 20);
            test.last_ns = 0;
            (void)chi_timers_fire(&test.timers, test.now_ns);
        }
    }
    test.now_ns += 100;
    test.last_ns = 0;
    (void)chi_timers_fire(&test.timers, test.now_ns);
    for (uint32_t i = 0; i < test.count; i++) {
        test.wrong |= test.each[i].fired + test.each[i].stopped != 1;
    }
    test.wrong |= chi_timers_next_ns(&test.timers) != CHI_TIMERS_NONE;
    chi_timers_fini(&test.timers);
    return !test.wrong;
}

static void
each_fires_once_in_order(void)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        CHECK(run(seed));
    }
}

static void
start_another(const chare_call *call, void *context)
{
    struct test *test = context;
    uint64_t id;

    (void)call;
    test->count++;
    if (chi_timers_add(&test->timers, 0, start_another, test, &id) !=
        CHARE_OK) {
        test->wrong = true;
    }
}

static void
what_a_timer_starts_comes_later(void)
{
    static struct test test;
    uint64_t id;

    chi_timers_init(&test.timers);
    CHECK(chi_timers_add(&test.timers, 5, start_another, &test, &id) ==
          CHARE_OK);
    CHECK_EQ(chi_timers_next_ns(&test.timers), 5);
    CHECK_EQ(chi_timers_fire(&test.timers, 4), 0);
    CHECK_EQ(chi_timers_fire(&test.timers, 5), 1);
    CHECK_EQ(chi_timers_fire(&test.timers, 5), 1);
    CHECK_EQ(test.count, 2);
    CHECK(!chi_timers_remove(&test.timers, id));
    CHECK(!test.wrong);
    chi_timers_fini(&test.timers);
}

static void
unused(const chare_call *call, void *context)
{
    (void)call;
    (void)context;
}

/* What waits for an hour and is stopped at once must not stay that long. */
static void
stopped_timers_do_not_pile_up(void)
{
    struct chi_timers timers;
    uint64_t ids[3];
    uint64_t id;

    chi_timers_init(&timers);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_EQ(chi_timers_add(&timers, 50 - i, unused, NULL, &ids[i]),
                 CHARE_OK);
    }
    for (uint64_t i = 0; i < 10000; i++) {
        CHECK_EQ(chi_timers_add(&timers, 100 + i % 7, unused, NULL, &id),
                 CHARE_OK);
        CHECK(chi_timers_remove(&timers, id));
        CHECK(timers.count < 200);
    }
    CHECK_EQ(chi_timers_next_ns(&timers), 48);
    CHECK_EQ(chi_timers_fire(&timers, 49), 2);
    CHECK_EQ(chi_timers_fire(&timers, 1000), 1);
    CHECK_EQ(timers.count, 0);
    chi_timers_fini(&timers);
}

TAP_MAIN(TAP_CASE(stopped_timers_do_not_pile_up),
         TAP_CASE(each_fires_once_in_order),
         TAP_CASE(what_a_timer_starts_comes_later))
