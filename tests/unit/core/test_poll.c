/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_poll.c - a busy PE looks outside after each long execution.
 *
 * Goal:   what comes from outside while short and long executions alternate,
 *         here a timer, does not wait behind several long ones, also after
 *         very many short ones, during which the clock is hardly looked at.
 * Method: a PE alone, and messages to itself; executions are counted, not
 *         timed. A machine that is slow only makes it look earlier.
 */
#include "config.h"

#include "pe/pe.h"
#include "tap/tap.h"

enum {
    SHORT_COUNT = 200000,
    PAIRS_WARM = 16,
    PAIRS_COUNT = 64,
    LONG_NS = 300000,
    EXECUTIONS_MAX = 2, /* from the start of a timer to its end */
};

struct test {
    struct chi_pe *pe;
    uint32_t left;
    uint64_t executed;
    uint64_t started_at; /* 'executed' then; 0: no timer is under way */
    uint64_t worst;
    uint32_t fired;
    bool alternate;
};

static void
again(struct test *test)
{
    chi_pe_send(test->pe, 0, chi_pe_msg(test->pe, CHI_HANDLER_INVOKE, 0));
}

static void
timer_fired(const chare_call *call, void *context)
{
    struct test *test = context;
    const uint64_t waited = test->executed - test->started_at;

    (void)call;
    test->worst = waited > test->worst ? waited : test->worst;
    test->started_at = 0;
    test->fired++;
}

static void
work_long(void)
{
    const uint64_t start_ns = chi_clock_now_ns(&chi_clock_real);

    while (chi_clock_now_ns(&chi_clock_real) - start_ns < LONG_NS) {
    }
}

static void
start_timer(struct test *test)
{
    uint64_t id;

    test->started_at = test->executed;
    CHECK_EQ(chi_timers_add(&test->pe->timers, 1, timer_fired, test, &id),
             CHARE_OK);
}

static void
execute(void *context, struct chi_msg *msg)
{
    struct test *test = context;

    chi_msg_release(msg);
    test->executed++;
    if (test->alternate && test->left % 2 == 0) {
        work_long();
    } else if (test->alternate && test->started_at == 0 &&
               test->left < 2 * PAIRS_COUNT) {
        start_timer(test);
    }
    if (--test->left > 0) {
        again(test);
    }
}

static void
run(struct test *test, uint32_t count)
{
    test->left = count;
    again(test);
    while (test->left > 0) {
        (void)chi_pe_progress(test->pe, UINT32_MAX);
    }
}

static void
test_nothing_waits_behind_several_long_ones(void)
{
    struct chi_log log = CHI_LOG_INIT;
    struct chi_settings settings;
    struct chi_pe_options options = {
        .size = 1,
        .log = &log,
        .settings = &settings,
        .clock = &chi_clock_real,
    };
    struct test test = {.executed = 0};
    char error[256];

    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
    CHECK_EQ(chi_msg_pool_create(&options.pool), CHARE_OK);
    CHECK_EQ(chi_pe_open(&options, &test.pe), CHARE_OK);
    chi_pe_set_handler(test.pe, CHI_HANDLER_INVOKE, execute, &test);
    run(&test, SHORT_COUNT);
    test.alternate = true;
    run(&test, 2 * (PAIRS_WARM + PAIRS_COUNT));
    CHECK(test.fired >= PAIRS_COUNT / 2);
    CHECK(test.worst <= EXECUTIONS_MAX);
    chi_pe_close(test.pe);
    chi_msg_pool_destroy(options.pool);
}

TAP_MAIN(TAP_CASE(test_nothing_waits_behind_several_long_ones))
