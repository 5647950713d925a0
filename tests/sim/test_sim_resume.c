/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_resume.c - who is called when chares that are balanced go on.
 *
 * Goal:   what chares name is called, once: themselves, a single chare of
 *         another PE, a chare that is not inserted yet; a chare that has
 *         ceased to exist is not missed, nor is its array where others are
 *         waited for; a chare whose follower's type cannot be packed stays,
 *         and holds nobody up.
 * Method: few chares on 2 PEs, one after the other, in many orders of what
 *         comes when.
 */
#include "config.h"

#include "sim_balance.h"
#include "tap/bare.h"

enum {
    SEEDS = 100,
    PES = 2,
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_go;
    uint32_t entry_resume;
    uint32_t stone; /* a type that cannot be packed */
    chare_callback resume;
    bool by_name; /* 'resume' is what chares name; else it is themselves */
    uint32_t resumed[PES];
    uint32_t others; /* of other arrays */
    chare_collection array;
};

static void
go(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    const chare_callback itself =
        chare_callback_element(*call->self, test->entry_resume);

    (void)object;
    SIM_OK(test->job, chare_at_sync(call->runtime, call->self,
                                    test->by_name ? &test->resume : &itself));
}

static void
resume(void *object, const chare_call *call, void *context)
{
    struct test *test = context;

    (void)object;
    if (call->self->collection == test->array) {
        test->resumed[call->self->index.at[0]]++;
    } else {
        test->others++;
    }
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    chare_type_ops ops = {.size = sizeof(ops),
                          .name = "One",
                          .create = bare_create,
                          .pack = bare_pack,
                          .unpack = bare_create};
    const chare_type_ops stone = {
        .size = sizeof(stone), .name = "Stone", .create = bare_create};

    return chare_type_register(runtime, &stone, test, &test->stone) ==
               CHARE_OK &&
           chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "go", go, test,
                                &test->entry_go) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "resume", resume, test,
                                &test->entry_resume) == CHARE_OK;
}

static chare_collection
make(struct test *test, bool at_sync, bool dense)
{
    const chare_array_options array = {
        .size = sizeof(array),
        .type = test->type,
        .ndims = 1,
        .dense = dense,
        .dims = {dense ? PES : 0},
        .at_sync = at_sync,
    };
    chare_collection made = 0;

    SIM_OK(test->job,
           chare_array_create(sim_any(test->job), &array, NULL, &made));
    return made;
}

static bool
start(struct test *test, struct sim_job *job, uint64_t seed)
{
    const struct sim_options options = {.pe_count = PES};

    test->job = job;
    if (!sim_job_open(job, seed, &options, register_all, test)) {
        return false;
    }
    sim_balance_use(job, "rotate");
    test->array = make(test, true, true);
    return true;
}

static void
say(struct test *test, chare_collection array, int64_t at)
{
    const chare_element element = chare_element_1d(array, at);

    SIM_OK(test->job, chare_send(sim_any(test->job), &element, test->entry_go,
                                 NULL, NULL));
}

static void
say_all(struct test *test)
{
    sim_job_settle(test->job);
    for (int64_t i = 0; i < PES; i++) {
        say(test, test->array, i);
    }
    sim_job_settle(test->job);
}

static void
end(struct test *test, uint32_t own, uint32_t others)
{
    struct sim_job *job = test->job;

    for (uint32_t i = 0; i < PES; i++) {
        if (test->resumed[i] != own) {
            SIM_WRONG(job, "chare %u went on %u times", i, test->resumed[i]);
        }
    }
    if (test->others != others) {
        SIM_WRONG(job, "others were called %u times", test->others);
    }
    sim_job_check_clean(job);
}

static void
a_single_of_another_pe_is_called(void)
{
    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {.by_name = true};
        struct sim_job job;

        if (start(&test, &job, seed)) {
            chare_element single;

            SIM_OK(&job, chare_single_create(sim_any(&job), test.type, 1, NULL,
                                             NULL, &single));
            test.resume = chare_callback_element(single, test.entry_resume);
            say_all(&test);
            end(&test, 0, PES);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
one_that_is_inserted_later_is_called(void)
{
    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {.by_name = true};
        struct sim_job job;

        if (start(&test, &job, seed)) {
            const chare_element later =
                chare_element_1d(make(&test, false, false), 7);

            test.resume = chare_callback_element(later, test.entry_resume);
            say_all(&test);
            SIM_OK(&job,
                   chare_insert(sim_any(&job), &later, CHARE_ANY_PE, NULL));
            sim_job_settle(&job);
            end(&test, 0, PES);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* The session has begun, and waits for a chare, when an array is buried. */
static void
a_buried_array_is_not_waited_for(void)
{
    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {0};
        struct sim_job job;

        if (start(&test, &job, seed)) {
            const chare_collection mayfly = make(&test, true, true);

            sim_job_settle(&job);
            say(&test, test.array, 0);
            say(&test, mayfly, 0);
            say(&test, mayfly, 1);
            sim_job_settle(&job);
            SIM_OK(&job,
                   chare_collection_destroy(sim_any(&job), mayfly, NULL));
            sim_job_settle(&job);
            end(&test, 0, 0);
            say(&test, test.array, 1);
            sim_job_settle(&job);
            end(&test, 1, 0);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
check_nobody_moved(struct test *test)
{
    for (uint32_t pe = 0; pe < PES; pe++) {
        const chare_element self = chare_element_1d(test->array, pe);

        if (chare_local(sim_rt(test->job, pe), &self) == NULL) {
            SIM_WRONG(test->job, "chare %u has moved", pe);
        }
    }
}

static void
whom_a_stone_follows_stays(void)
{
    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {0};
        struct sim_job job;

        if (start(&test, &job, seed)) {
            (void)sim_balance_bind(&job, test.stone, test.array, false);
            say_all(&test);
            check_nobody_moved(&test);
            end(&test, 1, 0);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

TAP_MAIN(TAP_CASE(a_single_of_another_pe_is_called),
         TAP_CASE(one_that_is_inserted_later_is_called),
         TAP_CASE(a_buried_array_is_not_waited_for),
         TAP_CASE(whom_a_stone_follows_stays))
