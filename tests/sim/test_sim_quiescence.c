/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_quiescence.c - quiescence is told in time, and never early.
 *
 * Goal:   each request is answered exactly once, when no call is executing,
 *         queued, kept or under way on any PE; a quiet system needs at most
 *         three waves.
 * Method: random trees of calls, some of them to chares that are not created
 *         or inserted yet. The checker counts what is outstanding on all PEs
 *         together: made but not executed; there must have been nothing at
 *         some moment between request and answer. A planted early answer, and
 *         a call that waits for ever, show that it sees.
 */
#include "config.h"

#include "sim_job.h"

enum {
    SEEDS = 400,
    REQUESTS_MAX = 6,
    CALLS_MAX = 400,
    WAVES_WHEN_QUIET = 3,
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry;
    uint32_t function_quiet;
    uint32_t function_done;
    chare_collection group;
    chare_collection sparse;
    chare_collection late; /* a group that is created late; 0: not yet */
    uint32_t made;
    int64_t outstanding; /* calls, insertions and ends of insertions */
    uint64_t tick;       /* counts what this test does and sees */
    uint64_t last_zero;  /* when nothing was outstanding */
    uint64_t asked[REQUESTS_MAX];
    uint32_t requests;
    uint32_t told[REQUESTS_MAX];
};

static void make_calls(struct test *test, chare_runtime *runtime,
                       uint64_t count);

static void
change(struct test *test, int by)
{
    test->tick++;
    if (test->outstanding == 0) {
        test->last_zero = test->tick;
    }
    test->outstanding += by;
    test->tick++;
    if (test->outstanding == 0) {
        test->last_zero = test->tick;
    }
}

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;

    if (call->self->collection == test->sparse) {
        change(test, -1); /* the insertion */
    }
    *object_out = test;
    return CHARE_OK;
}

static void
execute(void *object, const chare_call *call, void *context)
{
    struct test *test = context;

    (void)object;
    change(test, -1);
    make_calls(test, call->runtime, sim_below(test->job, 3));
}

static void
make_calls(struct test *test, chare_runtime *runtime, uint64_t count)
{
    static const unsigned char bytes[3000];
    struct sim_job *job = test->job;

    while (count-- > 0 && test->made < CALLS_MAX) {
        const bool sparse = sim_below(job, 4) == 0;
        const chare_element target = chare_element_1d(
            sparse ? test->sparse
                   : (test->late != 0 && sim_below(job, 3) == 0 ? test->late
                                                                : test->group),
            (int64_t)sim_below(job, job->pe_count));
        const chare_data data = chare_data_bytes(
            bytes, sim_below(job, 6) == 0 ? sizeof(bytes) : 0);

        test->made++;
        change(test, 1);
        SIM_OK(job, chare_send(runtime, &target, test->entry, &data, NULL));
    }
}

static void
quiet(const chare_call *call, void *context)
{
    struct test *test = context;

    test->told[call->argument]++;
    change(test, 0);
    if (test->last_zero < test->asked[call->argument]) {
        SIM_WRONG(test->job,
                  "quiescence %u was told with %" PRId64 " outstanding",
                  (unsigned)call->argument, test->outstanding);
    }
    /* The system comes to life again. */
    if (sim_below(test->job, 2) == 0) {
        make_calls(test, call->runtime, 1 + sim_below(test->job, 3));
    }
}

static void
completed(const chare_call *call, void *context)
{
    struct test *test = context;

    (void)call;
    change(test, -1);
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Node",
        .create = create,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", execute, test,
                                &test->entry) == CHARE_OK &&
           chare_function_register(runtime, "quiet", quiet, test,
                                   &test->function_quiet) == CHARE_OK &&
           chare_function_register(runtime, "completed", completed, test,
                                   &test->function_done) == CHARE_OK;
}

static void
steps(struct sim_job *job, uint64_t count)
{
    while (count-- > 0) {
        (void)sim_job_step(job);
    }
}

static void
ask(struct test *test)
{
    struct sim_job *job = test->job;
    const chare_callback callback = chare_callback_function(
        test->function_quiet, (uint32_t)sim_below(job, job->pe_count),
        test->requests);

    if (test->requests < REQUESTS_MAX) {
        test->asked[test->requests++] = ++test->tick;
        SIM_OK(job, chare_quiescence(sim_any(job), &callback));
    }
}

/* Insert all, one after the other, and end it. */
static void
fill_sparse(struct test *test)
{
    struct sim_job *job = test->job;
    const chare_callback done = chare_callback_function(
        test->function_done, (uint32_t)sim_below(job, job->pe_count), 0);

    for (uint32_t i = 0; i < job->pe_count; i++) {
        const chare_element element = chare_element_1d(test->sparse, i);

        change(test, 1);
        SIM_OK(job,
               chare_insert(sim_any(job), &element,
                            (uint32_t)sim_below(job, job->pe_count), NULL));
        steps(job, sim_below(job, 4));
        if (sim_below(job, 8) == 0) {
            ask(test);
        }
    }
    change(test, 1);
    SIM_OK(job, chare_insert_done(sim_any(job), test->sparse, &done));
}

static bool
start(struct test *test, struct sim_job *job, uint64_t seed,
      const struct sim_options *options)
{
    const chare_array_options array = {
        .size = sizeof(array),
        .ndims = 1,
    };

    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return false;
    }
    SIM_OK(job, chare_group_create(sim_any(job), test->type, NULL, NULL,
                                   &test->group));
    SIM_OK(job, chare_array_create(sim_any(job), &array, NULL, &test->sparse));
    return true;
}

static void
run(struct test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    if (!start(test, job, seed, options)) {
        return;
    }
    for (uint64_t n = 1 + sim_below(job, 8); n > 0; n--) {
        make_calls(test, sim_any(job), sim_below(job, 5));
        steps(job, sim_below(job, 40));
        if (sim_below(job, 3) == 0) {
            ask(test);
        }
        if (test->late == 0 && sim_below(job, 4) == 0) {
            SIM_OK(job, chare_group_create(sim_any(job), test->type, NULL,
                                           NULL, &test->late));
        }
    }
    fill_sparse(test);
    ask(test);
    sim_job_settle(job);
    for (uint32_t i = 0; i < test->requests; i++) {
        if (test->told[i] != 1) {
            SIM_WRONG(job, "quiescence %u was told %u times", i,
                      test->told[i]);
        }
    }
    if (test->outstanding != 0) {
        SIM_WRONG(job, "%" PRId64 " calls are left", test->outstanding);
    }
    sim_job_check_clean(job);
}

static void
quiescence_is_told_in_time(void)
{
    const struct sim_options options = {0};
    struct test test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
ask_when_quiet(struct test *test)
{
    const struct chi_qd *qd = sim_rt(test->job, 0)->qd;
    const uint64_t waves = chi_qd_waves(qd);

    ask(test);
    sim_job_settle(test->job);
    if (chi_qd_waves(qd) - waves > WAVES_WHEN_QUIET) {
        SIM_WRONG(test->job, "too many waves");
    }
}

static void
a_quiet_job_needs_few_waves(void)
{
    const struct sim_options options = {0};
    struct test test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS / 4)
    {
        if (start(&test, &job, seed, &options)) {
            fill_sparse(&test);
            test.made = CALLS_MAX; /* no more calls */
            sim_job_settle(&job);
            for (uint32_t i = 0; i < 3; i++) {
                ask_when_quiet(&test);
            }
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* A call that PE 0 thinks was done though it is under way. */
static void
planted_bugs_are_seen(void)
{
    uint32_t early = 0;
    uint32_t never = 0;
    struct test test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        const struct sim_options options = {.pe_count = 4, .quiet = true};
        const bool over = seed % 2 == 0;

        if (start(&test, &job, seed, &options)) {
            /* One call waits for ever: nobody inserts its target. */
            test.made++;
            change(&test, 1);
            {
                const chare_element target = chare_element_1d(test.sparse, 1);

                SIM_OK(&job, chare_send(sim_rt(&job, 1), &target, test.entry,
                                        NULL, NULL));
            }
            sim_rt(&job, 3)->pe->counted_done += over;
            ask(&test);
            for (uint32_t i = 0; i < 20000 && test.told[0] == 0; i++) {
                (void)sim_job_step(&job);
            }
            early += over && test.told[0] == 1 && job.wrong[0] != '\0';
            never += !over && test.told[0] == 0 && job.wrong[0] == '\0';
        }
        sim_job_close(&job);
    }
    CHECK_EQ(early, 20);
    CHECK_EQ(never, 20);
}

TAP_MAIN(TAP_CASE(quiescence_is_told_in_time),
         TAP_CASE(a_quiet_job_needs_few_waves),
         TAP_CASE(planted_bugs_are_seen))
