/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_SIM_JOB_H
#define CHARE_TESTS_SIM_SIM_JOB_H

/*
 * sim_job.h - a whole job in one thread: many runtimes over a simulated net.
 *
 * Everything is drawn from one seed: how many PEs, where they are, how slow,
 * narrow and fine-grained the net is, which PE makes progress next. A test
 * registers what it needs in each runtime, starts some work, lets the job
 * settle, and asks its checkers, which see all PEs.
 *
 * A checker that is not content calls SIM_WRONG(); the first text counts.
 * TEST_SEED=N runs one seed, CHARE_TEST_SEEDS=N that many of each case.
 */

#include <errno.h> /* program_invocation_name */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <chare.h>

#include "base/prng.h"
#include "base/settings.h"
#include "net/sim.h"
#include "rt/runtime.h"
#include "tap/tap.h"

enum {
    SIM_PES_MAX = 64,
    SIM_STEPS_MAX = 300000, /* a job that takes longer hangs */

    /* The same where a bug is planted, for few PEs, and often hangs. */
    SIM_STEPS_MAX_OF_BUG = 40000,
};

struct sim_options {
    uint32_t pe_count; /* 0: drawn */
    uint32_t pes_max;  /* of the draw; 0: SIM_PES_MAX */
    uint64_t queue_bytes;
    enum chi_sim_bug bug;
    enum chi_handler bug_handler;
    uint64_t bug_at;
    uint64_t lose_step;
    uint32_t lost_rank;
    const struct chi_cpus *cpus; /* that PEs may use, by PE; NULL: unknown */
    bool quiet;      /* errors of the job are expected: say nothing */
    bool aggregates; /* the test says which calls travel together; else that is
                        drawn, unless a bug is planted */
};

struct sim_pe {
    chare_runtime *runtime;
    bool ended;
    chare_status end_status;
};

struct sim_job {
    uint64_t seed;
    struct chi_prng prng; /* the test's and the driver's choices */
    struct sim_options options;
    struct chi_sim_world *world;
    struct chi_settings settings;
    uint32_t pe_count;
    struct sim_pe pes[SIM_PES_MAX];
    uint64_t steps;
    uint64_t executed;  /* by PEs that are closed; else sim_job_executed() */
    uint32_t batch_max; /* messages of a PE at a time */
    char wrong[400];    /* empty: nothing is */
    void (*watch)(struct sim_job *job); /* called after each progress */
    int stderr_fd; /* to be restored; -1: it was left alone */
    void *test;
};

/* Register in one runtime what all PEs have; false: it failed. */
typedef bool (*sim_register_fn)(struct sim_job *job, chare_runtime *runtime);

#define SIM_WRONG(job, ...)                                            \
    do {                                                               \
        if ((job)->wrong[0] == '\0') {                                 \
            snprintf((job)->wrong, sizeof((job)->wrong), __VA_ARGS__); \
        }                                                              \
    } while (0)

/* For calls that are to succeed. */
#define SIM_OK(job, call)                                                \
    do {                                                                 \
        const chare_status status_ = (call);                             \
        if (status_ != CHARE_OK) {                                       \
            SIM_WRONG(job, "%s: %s", #call, chare_status_name(status_)); \
        }                                                                \
    } while (0)

/* As CHECK, in a case; says which seed it was and how to run it again. */
#define SIM_CHECK(job, condition)                                           \
    do {                                                                    \
        const bool holds_ = (condition);                                    \
        if (!holds_) {                                                      \
            printf("# %s\n# seed %" PRIu64 ", %u PEs; again: TEST_SEED="    \
                   "%" PRIu64 " %s %s\n",                                   \
                   (job)->wrong, (job)->seed, (job)->pe_count, (job)->seed, \
                   program_invocation_name, __func__);                      \
        }                                                                   \
        CHECK(holds_);                                                      \
    } while (0)

/* Run a block for each seed. */
#define SIM_EACH_SEED(seed, preset)                                 \
    for (uint64_t seed, end_ = sim_seeds(preset, &(seed)) + (seed); \
         (seed) < end_; (seed)++)

/* The seeds to run: from *first_out on, this many. */
uint64_t sim_seeds(uint64_t preset, uint64_t *first_out);

/*
 * Open all runtimes of a job and let them meet. False: job->wrong says why;
 * sim_job_close() is to be called all the same.
 */
bool sim_job_open(struct sim_job *job, uint64_t seed,
                  const struct sim_options *options,
                  sim_register_fn register_fn, void *test);

/* Let one thing happen; false: nothing can. */
bool sim_job_step(struct sim_job *job);

/* Let so many things happen, or as many as can: once nothing can, only the
 * test makes anything happen. */
static inline void
sim_job_steps(struct sim_job *job, uint64_t count)
{
    while (count > 0 && sim_job_step(job)) {
        count--;
    }
}

/* Step until nothing can happen any more, timers included, or something is
 * wrong. */
void sim_job_settle(struct sim_job *job);

/* Step until all that counts for quiescence is done; what does not may be
 * under way. */
void sim_job_settle_counted(struct sim_job *job);

/* The job has settled: nothing must be left in any pool, and all that was
 * made must have been done. */
void sim_job_check_clean(struct sim_job *job);

/* End the job in order, if it has not ended, and close all runtimes. */
void sim_job_close(struct sim_job *job);

uint64_t sim_job_executed(const struct sim_job *job);

static inline uint64_t
sim_below(struct sim_job *job, uint64_t limit)
{
    return chi_prng_below(&job->prng, limit);
}

static inline chare_runtime *
sim_rt(struct sim_job *job, uint32_t pe)
{
    return job->pes[pe].runtime;
}

/* Any PE's runtime. */
static inline chare_runtime *
sim_any(struct sim_job *job)
{
    return sim_rt(job, (uint32_t)sim_below(job, job->pe_count));
}

/* Where an index is in the order of a dense array's. */
static inline uint32_t
sim_position(const int64_t *dims, const chare_index *index)
{
    uint32_t position = 0;

    for (uint32_t i = 0; i < index->ndims; i++) {
        position = position * (uint32_t)dims[i] + (uint32_t)index->at[i];
    }
    return position;
}

/* A number of 8 bytes, and a pattern that follows from it. */
void sim_fill(void *bytes, uint64_t number, size_t len);
bool sim_filled(const void *bytes, uint64_t number, size_t len);

#endif /* CHARE_TESTS_SIM_SIM_JOB_H */
