/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_forget.c - what is created and destroyed leaves nothing.
 *
 * Goal:   after 10000 arrays and 10000 sections were made, used and destroyed
 *         the job has the memory that it had after 100, but for some bits.
 * Method: a job of 3 PEs; the bytes that are allocated, as the C library
 *         counts them, when all is quiet.
 */
#include "config.h"

#include <malloc.h>

#include "obj/obj_private.h"
#include "sim_job.h"

enum {
    FEW = 100,
    MANY = 10000,
    LEFT_BYTES = 2, /* of an array and a section, on three PEs: some bits */
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry;
    uint32_t function_told;
    uint32_t told;
    uint32_t alive;
};

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    (void)call;
    ((struct test *)context)->alive++;
    *object_out = context;
    return CHARE_OK;
}

static void
destroy(void *object, void *context)
{
    (void)object;
    ((struct test *)context)->alive--;
}

static void
hear(void *object, const chare_call *call, void *context)
{
    (void)object;
    (void)call;
    (void)context;
}

static void
told(const chare_call *call, void *context)
{
    struct test *test = context;

    if (call->format == CHARE_FORMAT_ERROR) {
        SIM_WRONG(test->job, "an error");
    }
    test->told++;
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {.size = sizeof(ops),
                                .name = "Mayfly",
                                .create = create,
                                .destroy = destroy};

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "hear", hear, test,
                                &test->entry) == CHARE_OK &&
           chare_function_register(runtime, "told", told, test,
                                   &test->function_told) == CHARE_OK;
}

/* Make an array and a section of it, use both, and destroy them. */
static void
live_and_die(struct test *test, uint64_t n)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_rt(job, (uint32_t)(n % job->pe_count));
    const chare_callback callback =
        chare_callback_function(test->function_told, 0, 0);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &callback};
    const chare_array_options array = {
        .size = sizeof(array),
        .type = test->type,
        .ndims = 1,
        .dense = true,
        .dims = {4},
    };
    const chare_slice slice = {.step = 1 + (int64_t)(n % 3)};
    chare_collection whole;
    chare_collection section;

    SIM_OK(job, chare_array_create(runtime, &array, NULL, &whole));
    SIM_OK(job,
           chare_section_slice(runtime, whole, &slice, 1, NULL, &section));
    SIM_OK(job, chare_broadcast(runtime, whole, test->entry, NULL, &options));
    SIM_OK(job,
           chare_broadcast(runtime, section, test->entry, NULL, &options));
    SIM_OK(job, chare_section_destroy(runtime, section, &callback));
    sim_job_settle(job); /* its members have joined */
    SIM_OK(job, chare_collection_destroy(runtime, whole, &callback));
    sim_job_settle(job);
    job->steps = 0;
}

static void
nothing_is_left(void)
{
    const struct sim_options options = {.pe_count = 3};
    struct test test = {0};
    struct mallinfo2 few = {0};
    struct mallinfo2 many;
    struct sim_job job;

#if defined(__SANITIZE_ADDRESS__)
    SKIP("the sanitizer's allocator does not count");
#endif
    test.job = &job;
    CHECK(sim_job_open(&job, 1, &options, register_all, &test));
    for (uint64_t n = 0; n < MANY && job.wrong[0] == '\0'; n++) {
        if (n == FEW) {
            few = mallinfo2();
        }
        live_and_die(&test, n);
    }
    many = mallinfo2();
    SIM_CHECK(&job, job.wrong[0] == '\0');
    CHECK_EQ(test.told, 4 * MANY);
    CHECK_EQ(test.alive, 0);
    printf("# %zu bytes after %d, %zu after %d\n", few.uordblks, FEW,
           many.uordblks, MANY);
    CHECK(many.uordblks <= few.uordblks + LEFT_BYTES * MANY);
    sim_job_check_clean(&job);
    sim_job_close(&job);
    SIM_CHECK(&job, job.wrong[0] == '\0');
}

TAP_MAIN(TAP_CASE(nothing_is_left))
