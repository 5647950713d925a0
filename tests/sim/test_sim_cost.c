/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_cost.c - what many chares do at once costs what it changes.
 *
 * Goal:   the records that are looked at for broadcasts to chares that move,
 *         and for roll calls of chares that are inserted late, grow with the
 *         number of these and not with its square.
 * Method: counters in the library; mass moves between broadcasts, and many
 *         sections over an array that is not complete.
 */
#include "config.h"

#include "obj/migrate.h"
#include "obj/obj_private.h"
#include "sim_job.h"
#include "tap/bare.h"

enum {
    SEEDS = 10,
    CHARES = 400,
    CASTS = 6,
    SECTIONS = 300,
    LATE = 300,
    PES = 3,
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry;
    uint32_t function_told;
    chare_collection id;
    uint64_t told;
    uint64_t moved;
    uint8_t casts_seen[CHARES];
};

static void
destroy(void *object, void *context)
{
    (void)object;
    (void)context;
}

static chare_status
pack(void *object, void *context, chare_encoder *encoder)
{
    (void)object;
    (void)encoder;
    ((struct test *)context)->moved++;
    return CHARE_OK;
}

static void
hear(void *object, const chare_call *call, void *context)
{
    (void)object;
    ((struct test *)context)->casts_seen[call->self->index.at[0]]++;
}

static void
told(const chare_call *call, void *context)
{
    (void)call;
    ((struct test *)context)->told++;
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Nomad",
        .create = bare_create,
        .destroy = destroy,
        .pack = pack,
        .unpack = bare_create,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "hear", hear, test,
                                &test->entry) == CHARE_OK &&
           chare_function_register(runtime, "told", told, test,
                                   &test->function_told) == CHARE_OK;
}

static void
open_job(struct test *test, struct sim_job *job, uint64_t seed,
         const chare_array_options *like)
{
    const struct sim_options options = {.pe_count = PES};
    chare_array_options array = *like;

    memset(test, 0, sizeof(*test));
    test->job = job;
    CHECK(sim_job_open(job, seed, &options, register_all, test));
    array.size = sizeof(array);
    array.type = test->type;
    array.ndims = 1;
    SIM_OK(job, chare_array_create(sim_rt(job, 0), &array, NULL, &test->id));
    sim_job_settle(job);
}

static uint64_t
visits(const struct test *test)
{
    uint64_t sum = 0;

    for (uint32_t pe = 0; pe < PES; pe++) {
        sum += chi_casts_visits(
            chi_collection_find(sim_rt(test->job, pe)->obj, test->id));
    }
    return sum;
}

/* Let PE 0 alone do what it can. */
static void
progress_first(struct sim_job *job)
{
    for (uint32_t i = 0; i < CHARES; i++) {
        const chare_status status = chare_progress(sim_rt(job, 0), 1);

        if (status != CHARE_OK && status != CHARE_ERR_AGAIN) {
            SIM_WRONG(job, "progress: %s", chare_status_name(status));
        }
    }
}

/* Broadcasts that have run on one PE, from which all chares move then, and not
 * yet on the others, for which there is more urgent work. */
static void
move_all(struct test *test, uint64_t seed, uint64_t *visits_out)
{
    const chare_array_options like = {.dense = true, .dims = {CHARES}};
    const chare_send_options options = {.size = sizeof(options),
                                        .priority = CHARE_PRIORITY_MAX};
    struct sim_job *job = malloc(sizeof(*job));

    open_job(test, job, seed, &like);
    for (uint32_t n = 0; n < CASTS; n++) {
        SIM_OK(job, chare_broadcast(sim_rt(job, 0), test->id, test->entry,
                                    NULL, &options));
    }
    progress_first(job);
    for (uint32_t i = 0; i < CHARES; i++) {
        const chare_element element = chare_element_1d(test->id, i);

        SIM_OK(job, chare_migrate(sim_rt(job, 0), &element,
                                  1 + (uint32_t)sim_below(job, PES - 1)));
    }
    progress_first(job);
    sim_job_settle(job);
    for (uint32_t i = 0; i < CHARES; i++) {
        if (test->casts_seen[i] != CASTS) {
            SIM_WRONG(job, "chare %u had %u broadcasts", i,
                      test->casts_seen[i]);
        }
    }
    *visits_out = visits(test);
    sim_job_check_clean(job);
    sim_job_close(job);
    SIM_CHECK(job, job->wrong[0] == '\0');
    free(job);
}

/* A skip is made by a move, for a broadcast: it is looked at when it is used,
 * and when it goes. */
static void
mass_moves(void)
{
    struct test *test = malloc(sizeof(*test));
    uint64_t skips = 0;

    SIM_EACH_SEED(seed, SEEDS)
    {
        uint64_t sum;

        move_all(test, seed, &sum);
        printf("# %" PRIu64 " moves, %" PRIu64 " visits\n", test->moved, sum);
        CHECK(sum <= 2 * CASTS * test->moved);
        skips += sum;
    }
    CHECK(skips > (uint64_t)2 * CHARES); /* there were some at all */
    free(test);
}

static void
late_chares(void)
{
    const chare_array_options like = {.dense = false};
    struct test *test = malloc(sizeof(*test));
    struct sim_job job;
    chare_callback callback;
    chare_collection first;
    chare_element element;
    uint64_t sum = 0;

    open_job(test, &job, 1, &like);
    callback = chare_callback_function(test->function_told, 0, 0);
    element = chare_element_1d(test->id, 0);
    SIM_OK(&job, chare_section_open(sim_rt(&job, 0), SECTIONS, &first));
    SIM_OK(&job, chare_insert(sim_rt(&job, 0), &element, 0, NULL));
    sim_job_settle(&job);
    for (uint32_t i = 0; i < SECTIONS; i++) {
        SIM_OK(&job,
               chare_section_enlist(sim_rt(&job, 0), &element, first + i));
    }
    SIM_OK(&job, chare_section_close(sim_rt(&job, 0), first, SECTIONS,
                                     test->id, &callback));
    sim_job_settle(&job);
    for (uint32_t i = 1; i <= LATE; i++) {
        element = chare_element_1d(test->id, i);
        SIM_OK(&job, chare_insert(sim_rt(&job, 0), &element, i % PES, NULL));
    }
    SIM_OK(&job, chare_insert_done(sim_rt(&job, 0), test->id, NULL));
    sim_job_settle(&job);
    for (uint32_t pe = 0; pe < PES; pe++) {
        sum += sim_rt(&job, pe)->obj->roll_visits;
    }
    printf("# %" PRIu64 " sections looked at\n", sum);
    CHECK_EQ(test->told, 1);
    CHECK(sum >= SECTIONS);
    CHECK(sum <= SECTIONS + LATE);
    sim_job_check_clean(&job);
    sim_job_close(&job);
    SIM_CHECK(&job, job.wrong[0] == '\0');
    free(test);
}

TAP_MAIN(TAP_CASE(mass_moves), TAP_CASE(late_chares))
