/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_exit.c - the end of a job, in order and not.
 *
 * Goal:   after chare_exit() every PE ends with CHARE_OK and the code, and
 *         nothing is executed after a PE has ended; after chare_abort() every
 *         PE ends with the code of an abort; when a PE is lost, at any time,
 *         the others end in a bounded number of steps.
 * Method: a storm of calls that never ends by itself, and at a random step
 *         from random PEs the end.
 */
#include "config.h"

#include "sim_job.h"
#include "tap/bare.h"

enum {
    SEEDS = 120,
    STEPS_MAX = 60000, /* from the end to everybody's end */
};

struct storm {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry;
    chare_collection group;
    bool leaky; /* planted: one PE never ends */
    uint64_t after_end;
};

/* Each call makes another one, on a random PE; some a broadcast. */
static void
blow(void *object, const chare_call *call, void *context)
{
    struct storm *storm = context;
    struct sim_job *job = storm->job;
    const uint32_t me = chare_my_pe(call->runtime);
    const chare_element target =
        chare_element_1d(storm->group, (int64_t)sim_below(job, job->pe_count));
    static const unsigned char bytes[4000];
    const chare_data data =
        chare_data_bytes(bytes, sim_below(job, 8) == 0 ? sizeof(bytes) : 8);

    (void)object;
    if (job->pes[me].ended) {
        storm->after_end++;
    }
    SIM_OK(job, chare_send(call->runtime, &target, storm->entry, &data, NULL));
}

static void
timer(const chare_call *call, void *context)
{
    blow(NULL, call, context);
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct storm *storm = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Storm",
        .create = bare_create,
    };

    return chare_type_register(runtime, &ops, storm, &storm->type) ==
               CHARE_OK &&
           chare_entry_register(runtime, storm->type, "blow", blow, storm,
                                &storm->entry) == CHARE_OK;
}

static void
step(struct sim_job *job, uint64_t count)
{
    while (count-- > 0) {
        (void)sim_job_step(job);
    }
}

static bool
start(struct storm *storm, struct sim_job *job, uint64_t seed,
      const struct sim_options *options)
{
    memset(storm, 0, sizeof(*storm));
    storm->job = job;
    if (!sim_job_open(job, seed, options, register_all, storm)) {
        return false;
    }
    SIM_OK(job, chare_group_create(sim_any(job), storm->type, NULL, NULL,
                                   &storm->group));
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        SIM_OK(job, chare_timer_start(sim_rt(job, pe), sim_below(job, 9000),
                                      timer, storm, NULL));
    }
    step(job, sim_below(job, 400));
    return true;
}

static bool
all_ended(const struct sim_job *job)
{
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (!job->pes[pe].ended && !chi_sim_world_lost(job->world, pe)) {
            return false;
        }
    }
    return true;
}

/* Until all that are alive have ended. */
static void
wait_for_the_end(struct sim_job *job)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        if (all_ended(job)) {
            return;
        }
        (void)sim_job_step(job);
    }
    SIM_WRONG(job, "some PE does not end");
}

static void
check_ends(struct storm *storm, chare_status status, chare_status or_status,
           int code)
{
    struct sim_job *job = storm->job;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const chare_status end = job->pes[pe].end_status;

        if (chi_sim_world_lost(job->world, pe)) {
            continue;
        }
        if (end != status && end != or_status) {
            SIM_WRONG(job, "PE %u ended with %s", pe, chare_status_name(end));
        }
        if (chare_exit_code(sim_rt(job, pe)) != code) {
            SIM_WRONG(job, "PE %u: exit code %d", pe,
                      chare_exit_code(sim_rt(job, pe)));
        }
    }
    if (storm->after_end != 0) {
        SIM_WRONG(job, "calls were executed after the end");
    }
}

/* One or several PEs call chare_exit(); the first at PE 0 is right. */
static void
exit_ends_all(void)
{
    const struct sim_options options = {0};
    struct storm storm;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        const int code = (int)(seed % 256);

        if (start(&storm, &job, seed, &options)) {
            for (uint64_t n = 1 + sim_below(&job, 3); n > 0; n--) {
                chare_exit(sim_any(&job), code);
                (void)sim_job_step(&job);
            }
            wait_for_the_end(&job);
            check_ends(&storm, CHARE_OK, CHARE_OK, code);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* Several PEs abort at once, perhaps while the job ends in order. */
static void
abort_ends_all(void)
{
    const struct sim_options options = {.quiet = true};
    struct storm storm;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        const int code = (int)(1 + seed % 255);
        const bool ending = seed % 3 == 0;

        if (start(&storm, &job, seed, &options)) {
            if (ending) {
                chare_exit(sim_any(&job), code);
            }
            for (uint64_t n = 1 + sim_below(&job, 4); n > 0; n--) {
                chare_abort(sim_any(&job), code, "as planned");
                step(&job, sim_below(&job, 3));
            }
            wait_for_the_end(&job);
            check_ends(&storm, CHARE_ERR_STATE,
                       ending ? CHARE_OK : CHARE_ERR_STATE, code);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
a_lost_pe_ends_all(void)
{
    const struct sim_options options = {.quiet = true};
    struct storm storm;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        const bool ending = seed % 2 == 0;

        if (start(&storm, &job, seed, &options) && job.pe_count > 1) {
            if (ending) {
                chare_exit(sim_any(&job), 1);
                step(&job, sim_below(&job, 200));
            }
            chi_sim_world_lose(job.world,
                               (uint32_t)sim_below(&job, job.pe_count));
            wait_for_the_end(&job);
            check_ends(&storm, CHARE_ERR_PEER_LOST, CHARE_ERR_STATE, 1);
        }
        if (ending && strstr(job.wrong, "CHARE_OK") != NULL) {
            job.wrong[0] = '\0'; /* it was lost after all had stopped */
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* Two jobs, step by step in turns, run as each does alone. */
static void
two_jobs_do_not_meet(void)
{
    const struct sim_options options = {.pes_max = 10};
    struct storm storms[2];
    struct sim_job jobs[2];
    uint64_t traces[2];

    SIM_EACH_SEED(seed, 20)
    {
        for (int i = 0; i < 2; i++) {
            CHECK(start(&storms[0], &jobs[0], seed + 1000u * (unsigned)i,
                        &options));
            step(&jobs[0], 300);
            traces[i] = chi_sim_world_trace(jobs[0].world);
            sim_job_close(&jobs[0]);
        }
        for (int i = 0; i < 2; i++) {
            CHECK(start(&storms[i], &jobs[i], seed + 1000u * (unsigned)i,
                        &options));
        }
        for (int n = 0; n < 300; n++) {
            step(&jobs[0], 1);
            step(&jobs[1], 1);
        }
        for (int i = 0; i < 2; i++) {
            SIM_CHECK(&jobs[i],
                      chi_sim_world_trace(jobs[i].world) == traces[i]);
            sim_job_close(&jobs[i]);
            SIM_CHECK(&jobs[i], jobs[i].wrong[0] == '\0');
        }
    }
}

/* A lost order to stop, and a code that is not the one: both are seen. */
static void
planted_bugs_are_seen(void)
{
    uint32_t done = 0;
    uint32_t seen = 0;
    struct storm storm;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 30; seed++) {
        const struct sim_options options = {
            .pe_count = 4,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = CHI_HANDLER_EXIT,
            .bug_at = seed % 8,
            .quiet = true,
        };

        if (start(&storm, &job, seed, &options)) {
            chare_exit(sim_any(&job), 3);
            wait_for_the_end(&job);
            done += chi_sim_world_bug_done(job.world);
            seen += chi_sim_world_bug_done(job.world) && job.wrong[0] != '\0';
            check_ends(&storm, CHARE_OK, CHARE_OK, 4);
            CHECK(job.wrong[0] != '\0');
        }
        sim_job_close(&job);
    }
    CHECK(done > 20 && seen == done);
}

TAP_MAIN(TAP_CASE(exit_ends_all), TAP_CASE(abort_ends_all),
         TAP_CASE(a_lost_pe_ends_all), TAP_CASE(two_jobs_do_not_meet),
         TAP_CASE(planted_bugs_are_seen))
