/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_JOB_H
#define CHARE_TESTS_SIM_JOB_H

/*
 * sim_job.h - routes of several PEs over one simulated world, for tests.
 *
 * Each PE numbers what it sends to each other, and fills it with a pattern
 * made of sender, receiver and number; what arrives is compared. A failed
 * comparison is remembered as a text in job->wrong, and does not end the run.
 *
 * TEST_SEED=N runs one seed, CHARE_TEST_SEEDS=N that many.
 */

#include <errno.h> /* program_invocation_name */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/route.h"
#include "net/sim.h"
#include "tap/tap.h"

enum {
    SIM_JOB_PES_MAX = 24,
    SIM_JOB_SHARED = 99, /* env.caller of what goes to several PEs */
};

struct sim_job;

struct sim_job_pe {
    struct sim_job *job;
    uint32_t rank;
    struct chi_msg_pool *pool;
    struct chi_route *route;
    struct chi_net *net;
    uint64_t sent[SIM_JOB_PES_MAX];     /* by receiver */
    uint64_t received[SIM_JOB_PES_MAX]; /* by sender */
    uint32_t lost[SIM_JOB_PES_MAX];     /* times reported */
    chare_status lost_why;
    bool in_progress; /* the only time for upcalls */
    void (*on_arrived)(struct sim_job_pe *pe, const struct chi_msg *msg);
    bool keeps; /* what arrives, as if it had no time to execute it */
    struct chi_msg_queue kept;
    uint64_t executed; /* of those, by sim_job_execute() */
};

struct sim_job {
    uint64_t seed;
    struct chi_prng prng; /* for the test's own choices */
    struct chi_sim_world *world;
    struct chi_settings settings;
    struct chi_log log;
    uint32_t pe_count;
    struct sim_job_pe pes[SIM_JOB_PES_MAX];
    uint64_t received;
    uint64_t without_memory; /* messages that a route said it dropped */
    uint64_t shared; /* arrivals of messages that went to several PEs */
    char wrong[200]; /* empty: nothing */
};

#define SIM_JOB_WRONG(job, ...)                                        \
    do {                                                               \
        if ((job)->wrong[0] == '\0') {                                 \
            snprintf((job)->wrong, sizeof((job)->wrong), __VA_ARGS__); \
        }                                                              \
    } while (0)

/* As CHECK, and say which seed it was and how to run it again. */
#define CHECK_SEED(job, condition)                                \
    do {                                                          \
        const bool holds_ = (condition);                          \
        if (!holds_) {                                            \
            printf("# %s\n# seed %" PRIu64 "; TEST_SEED=%" PRIu64 \
                   " %s\n# %s\n",                                 \
                   (job)->wrong, (job)->seed, (job)->seed,        \
                   program_invocation_name, #condition);          \
        }                                                         \
        CHECK(holds_);                                            \
    } while (0)

static inline uint64_t
sim_job_env(const char *name, uint64_t preset)
{
    const char *text = getenv(name);

    return text == NULL ? preset : strtoull(text, NULL, 10);
}

/* The seeds to run: from *first_out on, this many. */
static inline uint64_t
sim_job_seeds(uint64_t preset, uint64_t *first_out)
{
    if (getenv("TEST_SEED") != NULL) {
        *first_out = sim_job_env("TEST_SEED", 1);
        return 1;
    }
    *first_out = 1;
    return sim_job_env("CHARE_TEST_SEEDS", preset);
}

static inline uint64_t
sim_job_below(struct sim_job *job, uint64_t limit)
{
    return chi_prng_below(&job->prng, limit);
}

static inline uint64_t
sim_job_pattern(uint32_t from, uint32_t to, uint64_t number)
{
    return chi_mix64(number << 16 | from << 8 | to);
}

/* The next message of a pair, with 'len' bytes. */
static inline struct chi_msg *
sim_job_message(struct sim_job_pe *pe, uint32_t to, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(pe->pool, len);
    const uint64_t number = pe->sent[to];
    uint64_t word = sim_job_pattern(pe->rank, to, number);

    msg->env.handler = CHI_HANDLER_FUNCTION;
    msg->env.collection = pe->rank;
    msg->env.key = number;
    msg->env.entry = to;
    for (uint64_t at = 0; at < len; at += 8, word += 0x9e3779b97f4a7c15ull) {
        memcpy(msg->bytes + at, &word, len - at < 8 ? len - at : 8);
    }
    return msg;
}

static inline bool
sim_job_contents_ok(const struct chi_msg *msg)
{
    uint64_t word = sim_job_pattern((uint32_t)msg->env.collection,
                                    msg->env.entry, msg->env.key);
    const uint64_t len = msg->env.len;

    for (uint64_t at = 0; at < len; at += 8, word += 0x9e3779b97f4a7c15ull) {
        if (memcmp(msg->bytes + at, &word, len - at < 8 ? len - at : 8) != 0) {
            return false;
        }
    }
    return true;
}

static inline chare_status
sim_job_send(struct sim_job_pe *pe, uint32_t to, uint64_t len)
{
    struct chi_msg *msg = sim_job_message(pe, to, len);
    chare_status status = chi_route_send(pe->route, to, msg);

    if (status == CHARE_OK) {
        pe->sent[to]++;
    } else {
        chi_msg_release(msg);
    }
    return status;
}

static inline void
sim_job_arrived(void *context, struct chi_msg *msg)
{
    struct sim_job_pe *pe = context;
    struct sim_job *job = pe->job;
    const uint64_t from = msg->env.collection;

    if (!pe->in_progress) {
        SIM_JOB_WRONG(job, "an upcall outside progress");
    } else if (msg->env.caller == SIM_JOB_SHARED) {
        job->shared++;
        if (!sim_job_contents_ok(msg)) {
            SIM_JOB_WRONG(job, "a shared message came damaged");
        }
    } else if (from >= job->pe_count || msg->env.entry != pe->rank) {
        SIM_JOB_WRONG(job, "a message from %" PRIu64 " to %u came to %u", from,
                      msg->env.entry, pe->rank);
    } else if (msg->env.key != pe->received[from]) {
        SIM_JOB_WRONG(job,
                      "%" PRIu64 " to %u: number %" PRIu64 " came, %" PRIu64
                      " was next",
                      from, pe->rank, msg->env.key, pe->received[from]);
    } else if (!sim_job_contents_ok(msg)) {
        SIM_JOB_WRONG(job,
                      "%" PRIu64 " to %u: number %" PRIu64 ", %" PRIu64
                      " bytes, came damaged",
                      from, pe->rank, msg->env.key, msg->env.len);
    } else {
        pe->received[from]++;
        job->received++;
        if (pe->on_arrived != NULL) {
            pe->on_arrived(pe, msg);
        }
    }
    if (pe->keeps) {
        chi_msg_queue_push(&pe->kept, msg);
    } else {
        chi_msg_release(msg);
    }
}

/* The first message that was kept. */
static inline void
sim_job_execute(struct sim_job_pe *pe)
{
    chi_msg_release(chi_msg_queue_pop(&pe->kept));
    pe->executed++;
}

static inline bool
sim_job_has_backlog(void *context, uint64_t *until)
{
    const struct sim_job_pe *pe = context;

    if (pe->kept.head == NULL) {
        return false;
    }
    if (*until == 0) {
        *until = pe->executed + pe->kept.count;
    }
    return pe->executed < *until;
}

static inline void
sim_job_peer_lost(void *context, uint32_t rank, chare_status why)
{
    struct sim_job_pe *pe = context;

    if (!pe->in_progress) {
        SIM_JOB_WRONG(pe->job, "a loss reported outside progress");
    }
    pe->lost[rank]++;
    pe->lost_why = why;
}

/* One message could not be taken. */
static inline void
sim_job_message_dropped(void *context, uint32_t rank)
{
    struct sim_job_pe *pe = context;

    (void)rank;
    pe->job->without_memory++;
}

static inline bool
sim_job_open_pe(struct sim_job *job, uint32_t rank)
{
    struct sim_job_pe *pe = &job->pes[rank];
    const struct chi_route_sink sink = {pe, sim_job_arrived, sim_job_peer_lost,
                                        sim_job_message_dropped,
                                        sim_job_has_backlog};
    struct chi_net_options options = {
        .log = &job->log,
        .settings = &job->settings,
        .clock = chi_sim_world_clock(job->world),
        .rank = rank,
        .size = job->pe_count,
        .provider_options = job->world,
    };

    pe->job = job;
    pe->rank = rank;
    if (chi_msg_pool_create(&pe->pool) != CHARE_OK) {
        return false;
    }
    options.pool = pe->pool;
    return chi_route_open(&options, &sink, &pe->route) == CHARE_OK &&
           chi_route_open_net(pe->route, &chi_net_sim_ops, &pe->net) ==
               CHARE_OK;
}

static inline bool
sim_job_connect_pe(struct sim_job *job, uint32_t rank)
{
    struct chi_net_peer peers[SIM_JOB_PES_MAX];
    uint32_t ranks[SIM_JOB_PES_MAX];
    uint32_t count = 0;
    struct sim_job_pe *pe = &job->pes[rank];

    for (uint32_t i = 0; i < job->pe_count; i++) {
        ranks[i] = i;
        if (i != rank) {
            peers[count++] = (struct chi_net_peer){i, &ranks[i], 4};
        }
    }
    return chi_route_connect(pe->route, pe->net, 77, peers, count) == CHARE_OK;
}

/* Routes for all PEs of a world. job->settings may be changed before. */
static inline bool
sim_job_open(struct sim_job *job, const struct chi_sim_options *options)
{
    bool ok;

    job->log = (struct chi_log){CHI_LOG_ERROR, CHI_LOG_NO_PE};
    job->pe_count = options->pe_count;
    ok = chi_sim_world_create(options, &job->world) == CHARE_OK;
    for (uint32_t i = 0; ok && i < job->pe_count; i++) {
        ok = sim_job_open_pe(job, i);
    }
    for (uint32_t i = 0; ok && i < job->pe_count; i++) {
        ok = sim_job_connect_pe(job, i);
    }
    return ok;
}

/* Close all routes; false: some message was never released. */
static inline bool
sim_job_close(struct sim_job *job)
{
    bool clean = true;

    for (uint32_t i = 0; i < job->pe_count; i++) {
        chi_route_close(job->pes[i].route);
        job->pes[i].route = NULL;
    }
    for (uint32_t i = 0; i < job->pe_count; i++) {
        if (job->pes[i].pool != NULL &&
            chi_msg_pool_live(job->pes[i].pool) != 0) {
            SIM_JOB_WRONG(job, "%" PRIu64 " messages of PE %u leaked",
                          chi_msg_pool_live(job->pes[i].pool), i);
            clean = false;
        } else {
            chi_msg_pool_destroy(job->pes[i].pool);
        }
        job->pes[i].pool = NULL;
    }
    chi_sim_world_destroy(job->world);
    job->world = NULL;
    return clean;
}

static inline uint32_t
sim_job_progress(struct sim_job_pe *pe, uint32_t events_max)
{
    uint32_t events;

    if (pe->route == NULL || chi_sim_world_lost(pe->job->world, pe->rank)) {
        return 0;
    }
    pe->in_progress = true;
    events = chi_route_progress(pe->route, events_max);
    pe->in_progress = false;
    if (events > events_max) {
        SIM_JOB_WRONG(pe->job, "%u events, at most %u were asked for", events,
                      events_max);
    }
    return events;
}

/* Let all PEs make progress, at most 'events_max' events each. */
static inline uint32_t
sim_job_progress_all(struct sim_job *job, uint32_t events_max)
{
    uint32_t events = 0;

    for (uint32_t i = 0; i < job->pe_count; i++) {
        events += sim_job_progress(&job->pes[i], events_max);
    }
    return events;
}

/* One thing happens; false: nothing can happen any more. */
static inline bool
sim_job_step(struct sim_job *job, uint32_t events_max)
{
    uint32_t rank = 0;
    bool stepped = chi_sim_world_step(job->world, &rank);

    if (stepped && sim_job_below(job, 4) != 0) {
        (void)sim_job_progress(&job->pes[rank], events_max);
        return true;
    }
    return sim_job_progress_all(job, events_max) > 0 || stepped;
}

/* Step until nothing happens for a while, or something is wrong. */
static inline void
sim_job_settle(struct sim_job *job)
{
    for (int idle = 0; idle < 8 && job->wrong[0] == '\0';) {
        idle = sim_job_step(job, 8) ? 0 : idle + 1;
    }
}

static inline void
sim_job_init(struct sim_job *job, uint64_t seed)
{
    memset(job, 0, sizeof(*job));
    job->seed = seed;
    chi_prng_init(&job->prng, seed ^ 0x5eed);
    job->settings.queue_bytes = 1u << 30;
}

static inline bool
sim_job_drained(struct sim_job *job)
{
    for (uint32_t i = 0; i < job->pe_count; i++) {
        if (job->pes[i].route != NULL && !chi_sim_world_lost(job->world, i) &&
            !chi_route_drained(job->pes[i].route)) {
            return false;
        }
    }
    return true;
}

static inline uint64_t
sim_job_dropped(struct sim_job *job)
{
    uint64_t dropped = 0;

    for (uint32_t i = 0; i < job->pe_count; i++) {
        dropped += chi_route_foreign_dropped(job->pes[i].route);
    }
    return dropped;
}

#endif /* CHARE_TESTS_SIM_JOB_H */
