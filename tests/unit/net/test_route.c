/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_route.c - all ways from one PE to its peers.
 *
 * Goal:   whatever the sizes, limits, credits and delays, every message
 *         arrives once, whole and in its pair's order; waiting is bounded; a
 *         lost peer is reported once and leaves nothing behind.
 * Method: several routes over a simulated world; each seed draws the world's
 *         limits, the messages and when who makes progress. Pools count what
 *         was never released.
 */
#include "config.h"

#include <sys/resource.h>

#include "net/route_peer.h"
#include "sim_job.h"

enum {
    SEEDS = 150,
    SEEDS_LOST = 300, /* seed 285: a loss known before what was sent came */
};

/* A length around what matters to a net with this eager limit. */
static uint64_t
draw_len(struct sim_job *job, uint64_t eager_bytes)
{
    const uint64_t eager = eager_bytes - sizeof(struct chi_envelope);

    switch (sim_job_below(job, 16)) {
    case 0:
        return 0;
    case 1:
        return eager - 1;
    case 2:
        return eager;
    case 3:
        return eager + 1;
    case 4:
        return eager + sim_job_below(job, 8 * eager);
    case 5:
        return sim_job_below(job, 150000);
    case 6:
        return sim_job_below(job, 40) == 0 ? sim_job_below(job, 5u << 20) : 8;
    default:
        return sim_job_below(job, 200);
    }
}

static struct chi_sim_options
draw_options(struct sim_job *job)
{
    static const uint32_t credits[] = {0, 0, 1, 2, 3, 10};
    static const uint64_t eagers[] = {1024, 1040, 4096, 65536, 300000};
    static const uint64_t delays[] = {0, 10, 1000, 100000};

    return (struct chi_sim_options){
        .seed = job->seed,
        .pe_count = 2 + (uint32_t)sim_job_below(job, 4),
        .delay_ns_max = delays[sim_job_below(job, 4)],
        .in_order = sim_job_below(job, 8) == 0,
        .credit = credits[sim_job_below(job, 6)],
        .pair_credit = credits[sim_job_below(job, 6)],
        .eager_bytes = eagers[sim_job_below(job, 5)],
        .rma = sim_job_below(job, 2) == 0,
        .expose_max = credits[sim_job_below(job, 6)],
    };
}

/* To whom 'from' may send. */
static uint32_t
draw_other(struct sim_job *job, uint32_t from)
{
    const uint32_t n = job->pe_count;

    return (from + 1 + (uint32_t)sim_job_below(job, n - 1)) % n;
}

/* Random sends between random progress. */
static void
mixture_send(struct sim_job *job, uint64_t eager_bytes, uint32_t messages)
{
    const uint32_t events_max = 1 + (uint32_t)sim_job_below(job, 16);

    while (messages > 0) {
        const uint32_t from = (uint32_t)sim_job_below(job, job->pe_count);
        const uint32_t to = draw_other(job, from);
        chare_status status;

        if (sim_job_below(job, 3) == 0) {
            (void)sim_job_step(job, events_max);
            continue;
        }
        status = sim_job_send(&job->pes[from], to, draw_len(job, eager_bytes));
        if (status != CHARE_OK && (status != CHARE_ERR_PEER_LOST ||
                                   !chi_sim_world_lost(job->world, to))) {
            SIM_JOB_WRONG(job, "send: %s", chare_status_name(status));
        }
        messages--;
    }
}

/* What must hold when nothing happens any more. */
static void
settled_check(struct sim_job *job)
{
    for (uint32_t i = 0; i < job->pe_count; i++) {
        for (uint32_t j = 0; j < job->pe_count; j++) {
            if (chi_sim_world_lost(job->world, i) ||
                chi_sim_world_lost(job->world, j)) {
                continue;
            }
            if (job->pes[i].sent[j] != job->pes[j].received[i]) {
                SIM_JOB_WRONG(
                    job, "%u to %u: %" PRIu64 " sent, %" PRIu64 " came", i, j,
                    job->pes[i].sent[j], job->pes[j].received[i]);
            }
        }
        if (!chi_sim_world_lost(job->world, i) &&
            (chi_route_queued_bytes(job->pes[i].route) != 0 ||
             chi_sim_world_exposed(job->world, i) != 0)) {
            SIM_JOB_WRONG(job, "%u still has a queue or an offer", i);
        }
    }
    if (!sim_job_drained(job)) {
        SIM_JOB_WRONG(job, "not drained");
    }
}

static void
mixture_arrives_whole_and_in_order(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;
        struct chi_sim_options options;

        sim_job_init(&job, seed);
        options = draw_options(&job);
        job.settings.eager_bytes = sim_job_below(&job, 4) == 0 ? 2000 : 0;
        CHECK_SEED(&job, sim_job_open(&job, &options));
        mixture_send(&job, options.eager_bytes, 120);
        sim_job_settle(&job);
        settled_check(&job);
        CHECK_SEED(&job, sim_job_dropped(&job) == 0);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* In the middle of streams and fetches, seed by seed at another step. */
static void
lost_peer_is_reported_once_and_forgotten(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS_LOST, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;
        struct chi_sim_options options;
        uint32_t lost;

        sim_job_init(&job, seed);
        options = draw_options(&job);
        lost = (uint32_t)sim_job_below(&job, options.pe_count);
        options.lost_rank = lost;
        options.lose_step = 1 + sim_job_below(&job, 250);
        CHECK_SEED(&job, sim_job_open(&job, &options));
        mixture_send(&job, options.eager_bytes, 80);
        chi_sim_world_lose(job.world, lost); /* if it was not yet */
        sim_job_settle(&job);
        settled_check(&job);
        for (uint32_t i = 0; i < job.pe_count; i++) {
            if (i != lost) {
                CHECK_SEED(&job, job.pes[i].lost[lost] == 1);
                CHECK_SEED(&job, sim_job_send(&job.pes[i], lost, 9) ==
                                     CHARE_ERR_PEER_LOST);
                CHECK_SEED(&job, sim_job_send(&job.pes[i], lost, 400000) ==
                                     CHARE_ERR_PEER_LOST);
            }
        }
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* Close in the middle of everything: only the pools' counts are checked. */
static void
close_releases_everything(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS / 3, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;
        struct chi_sim_options options;

        sim_job_init(&job, seed);
        options = draw_options(&job);
        CHECK_SEED(&job, sim_job_open(&job, &options));
        mixture_send(&job, options.eager_bytes,
                     (uint32_t)sim_job_below(&job, 100));
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* Two PEs that send all they have before either makes progress. */
static void
flood_both_ways_with_one_credit(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS / 10, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;
        const struct chi_sim_options options = {
            .seed = seed,
            .pe_count = 2,
            .delay_ns_max = 100,
            .credit = 1,
            .eager_bytes = 1024,
            .rma = seed % 2 == 0,
        };

        sim_job_init(&job, seed);
        CHECK_SEED(&job, sim_job_open(&job, &options));
        for (uint32_t i = 0; i < 1000; i++) {
            for (uint32_t from = 0; from < 2; from++) {
                const uint64_t len =
                    i % 20 == 7 ? 977 + sim_job_below(&job, 20000) : 100;

                CHECK_SEED(&job, sim_job_send(&job.pes[from], 1 - from, len) ==
                                     CHARE_OK);
            }
        }
        CHECK_SEED(&job, !sim_job_drained(&job));
        sim_job_settle(&job);
        settled_check(&job);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

static bool
plain_job_open(struct sim_job *job, uint32_t pe_count, uint32_t credit,
               bool rma, uint64_t queue_bytes)
{
    const struct chi_sim_options options = {
        .seed = 1,
        .pe_count = pe_count,
        .credit = credit,
        .eager_bytes = 1024,
        .rma = rma,
    };

    sim_job_init(job, 1);
    job->settings.queue_bytes = queue_bytes;
    return sim_job_open(job, &options);
}

static void
waiting_bytes_are_bounded(void)
{
    struct sim_job job;
    struct chi_route *route;
    uint64_t queued = 0;

    CHECK(plain_job_open(&job, 3, 1, false, 10000));
    route = job.pes[0].route;
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 52), CHARE_OK);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(chi_route_queued_bytes(route), queued);
        CHECK_EQ(sim_job_send(&job.pes[0], 1 + i % 2, 52), CHARE_OK);
        queued += 100;
    }
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 52), CHARE_ERR_TOO_LARGE);
    CHECK_EQ(sim_job_send(&job.pes[0], 2, 0), CHARE_ERR_TOO_LARGE);
    CHECK_EQ(chi_route_queued_bytes(route), 10000);
    CHECK_EQ(chi_route_queued_bytes_to(route, 1), 5000);
    CHECK_EQ(chi_route_queued_bytes_to(route, 2), 5000);
    CHECK_EQ(chi_route_wait_begin(route), CHARE_ERR_AGAIN);

    sim_job_settle(&job);
    CHECK_EQ(chi_route_queued_bytes(route), 0);
    CHECK_EQ(chi_route_wait_begin(route), CHARE_OK);
    chi_route_wait_end(route);
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 52), CHARE_OK);
    sim_job_settle(&job);
    settled_check(&job);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* Else it could never be sent at all. */
static void
one_message_over_the_bound_passes(void)
{
    for (int rma = 0; rma < 2; rma++) {
        struct sim_job job;

        CHECK(plain_job_open(&job, 2, 1, rma, 10000));
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 50000), CHARE_OK);
        sim_job_settle(&job);
        settled_check(&job);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* While the receiver sleeps, the sender must not fill its memory. */
static void
little_is_sent_behind_open_offers(void)
{
    struct sim_job job;
    struct chi_sim_stats stats;
    const uint32_t count = 40000;

    CHECK(plain_job_open(&job, 2, 0, true, 1u << 30));
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 5000), CHARE_OK);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 80), CHARE_OK);
    }
    for (int i = 0; i < 100; i++) {
        (void)sim_job_progress(&job.pes[0], 100);
    }
    /* What waits for an acknowledgement does not keep the PE awake. */
    CHECK(!chi_route_drained(job.pes[0].route));
    CHECK_EQ(chi_route_wait_begin(job.pes[0].route), CHARE_OK);
    chi_route_wait_end(job.pes[0].route);
    chi_sim_world_stats(job.world, &stats);
    CHECK_EQ(stats.sent[CHI_HANDLER_BULK_OFFER], 1);
    CHECK(stats.sent[CHI_HANDLER_BULK] > 1000);
    CHECK(stats.sent[CHI_HANDLER_BULK] < 10000);
    CHECK_EQ(stats.sent[CHI_HANDLER_FUNCTION], 0);
    sim_job_settle(&job);
    settled_check(&job);
    chi_sim_world_stats(job.world, &stats);
    CHECK(stats.sent[CHI_HANDLER_FUNCTION] > count / 2);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* One message, several holders; what waits must not be linked through it. */
static void
shared_message_goes_to_several(void)
{
    for (uint32_t variant = 0; variant < 8; variant++) {
        const uint64_t len = variant % 2 == 0 ? 100 : 9000;
        struct sim_job job;
        struct chi_msg *msg;

        CHECK(plain_job_open(&job, 4, variant / 4 % 2, variant / 2 % 2,
                             1u << 30));
        msg = sim_job_message(&job.pes[0], 0, len);
        msg->env.caller = SIM_JOB_SHARED;
        for (uint32_t to = 1; to < 4; to++) {
            for (int twice = 0; twice < 2; twice++) {
                CHECK_EQ(
                    chi_route_send(job.pes[0].route, to, chi_msg_ref(msg)),
                    CHARE_OK);
            }
        }
        chi_msg_release(msg);
        sim_job_settle(&job);
        CHECK_EQ(job.shared, 6);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* The sender ends before its message was fetched. */
static void
failed_fetch_loses_the_peer(void)
{
    struct sim_job job;

    CHECK(plain_job_open(&job, 2, 0, true, 1u << 30));
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 9u << 20), CHARE_OK);
    while (sim_job_progress(&job.pes[1], 1) == 0) {
        (void)sim_job_progress(&job.pes[0], 1);
        CHECK(chi_sim_world_step(job.world, NULL));
    }
    CHECK(chi_msg_pool_live(job.pes[1].pool) > 0); /* being fetched */
    chi_route_close(job.pes[0].route);
    job.pes[0].route = NULL;
    sim_job_settle(&job);
    CHECK_EQ(job.pes[1].lost[0], 1);
    CHECK_EQ(job.pes[1].lost_why, CHARE_ERR_FABRIC);
    CHECK_EQ(chi_msg_pool_live(job.pes[1].pool), 0);
    CHECK(chi_route_drained(job.pes[1].route));
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* More senders than messages that are fetched at a time. */
static void
many_senders_wait_for_their_turn(void)
{
    const uint32_t pe_count = CHI_BULK_FETCHES_MAX + 4;
    const uint64_t len = 3u << 20;
    uint32_t fetches_max = 0;
    struct sim_job job;

    CHECK(plain_job_open(&job, pe_count, 0, true, 1u << 30));
    for (uint32_t i = 1; i < pe_count; i++) {
        CHECK_EQ(sim_job_send(&job.pes[i], 0, len), CHARE_OK);
        CHECK_EQ(sim_job_send(&job.pes[i], 0, 5), CHARE_OK);
    }
    while (sim_job_step(&job, 1)) {
        const uint32_t fetches = job.pes[0].route->bulk.fetches;

        fetches_max = fetches > fetches_max ? fetches : fetches_max;
    }
    settled_check(&job);
    CHECK_EQ(fetches_max, CHI_BULK_FETCHES_MAX);
    CHECK_EQ(job.pes[0].route->bulk.fetches, 0);
    CHECK_EQ(job.received, 2 * (pe_count - 1));
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* Offers that come next are fetched at the same time; what lies between two
 * of them is not passed by. */
static void
offers_are_fetched_ahead(void)
{
    const uint64_t len = 3u << 20;
    uint32_t fetches_max = 0;
    struct sim_job job;

    CHECK(plain_job_open(&job, 2, 0, true, 1u << 30));
    for (uint32_t i = 0; i < 20; i++) {
        CHECK_EQ(sim_job_send(&job.pes[1], 0, len), CHARE_OK);
        if (i % 7 == 6) {
            CHECK_EQ(sim_job_send(&job.pes[1], 0, 5), CHARE_OK);
        }
    }
    while (sim_job_step(&job, 1)) {
        const uint32_t fetches = job.pes[0].route->bulk.fetches;

        fetches_max = fetches > fetches_max ? fetches : fetches_max;
    }
    settled_check(&job);
    CHECK_EQ(fetches_max, CHI_BULK_AHEAD_MAX);
    CHECK_EQ(job.pes[0].route->bulk.fetches, 0);
    CHECK_EQ(job.received, 22);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

#ifdef __SANITIZE_ADDRESS__
static void
message_without_memory_is_dropped(void)
{
    SKIP("the sanitizer ends a process that gets no memory");
}

static void
next_message_waits_for_memory(void)
{
    SKIP("the sanitizer ends a process that gets no memory");
}

static void
what_is_to_be_executed_gives_memory_back(void)
{
    SKIP("the sanitizer ends a process that gets no memory");
}

static void
what_comes_later_is_not_waited_for(void)
{
    SKIP("the sanitizer ends a process that gets no memory");
}

static void
what_others_send_gives_memory_back(void)
{
    SKIP("the sanitizer ends a process that gets no memory");
}
#else
/* The process may have this much more memory than it has now. */
static bool
limit_memory(uint64_t more, struct rlimit *before_out)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    bool ok = statm != NULL && fscanf(statm, "%lu", &pages) == 1;

    if (statm != NULL) {
        (void)fclose(statm);
    }
    if (!ok || getrlimit(RLIMIT_AS, before_out) != 0) {
        return false;
    }
    limit = *before_out;
    limit.rlim_cur = pages * 4096 + more;
    return setrlimit(RLIMIT_AS, &limit) == 0;
}

/* It is dropped, told and counted; what comes behind it arrives. */
static void
message_without_memory_is_dropped(void)
{
    for (int rma = 0; rma < 2; rma++) {
        const uint64_t len = 128u << 20;
        struct sim_job job;
        struct rlimit before;
        struct chi_msg *msg;

        CHECK(plain_job_open(&job, 2, 4, rma, 1u << 30));
        msg = chi_msg_alloc(job.pes[0].pool, len);
        CHECK(msg != NULL);
        msg->env.handler = CHI_HANDLER_FUNCTION;
        CHECK_EQ(chi_route_send(job.pes[0].route, 1, msg), CHARE_OK);
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 5), CHARE_OK);
        if (!limit_memory(32u << 20, &before)) {
            SKIP("the memory of a process cannot be limited here");
        }
        sim_job_settle(&job);
        CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
        settled_check(&job);
        CHECK_EQ(job.received, 1);
        CHECK_EQ(sim_job_dropped(&job), 1);
        CHECK_EQ(job.without_memory, 1);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

/* What cannot be fetched ahead is, when what is before it was used up. */
static void
next_message_waits_for_memory(void)
{
    const uint32_t count = 3;
    struct sim_job job;
    struct rlimit before;

    CHECK(plain_job_open(&job, 2, 4, true, 1u << 30));
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 20u << 20), CHARE_OK);
    }
    if (!limit_memory(32u << 20, &before)) {
        SKIP("the memory of a process cannot be limited here");
    }
    sim_job_settle(&job);
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    settled_check(&job);
    CHECK_EQ(job.received, count);
    CHECK_EQ(job.without_memory, 0);
    CHECK_EQ(sim_job_dropped(&job), 0);
    CHECK_EQ(job.pes[1].route->bulk.fetches, 0);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* A message is given up only when all before it were executed. The sender's
 * memory does not come back here. */
static void
what_is_to_be_executed_gives_memory_back(void)
{
    const uint32_t count = 3;
    struct chi_msg *sent[3];
    struct sim_job job;
    struct sim_job_pe *pe = &job.pes[1];
    struct rlimit before;

    CHECK(plain_job_open(&job, 2, 4, true, 1u << 30));
    for (uint32_t i = 0; i < count; i++) {
        sent[i] = sim_job_message(&job.pes[0], 1, (i < 2 ? 20u : 40u) << 20);
        (void)chi_msg_ref(sent[i]);
        CHECK_EQ(chi_route_send(job.pes[0].route, 1, sent[i]), CHARE_OK);
        job.pes[0].sent[1] += i < 2;
    }
    if (!limit_memory(32u << 20, &before)) {
        SKIP("the memory of a process cannot be limited here");
    }
    pe->keeps = true;
    for (uint32_t came = 1; came < count; came++) {
        sim_job_settle(&job);
        CHECK_EQ(job.received, came);
        CHECK_EQ(job.without_memory, 0);
        sim_job_execute(pe);
    }
    sim_job_settle(&job); /* for the last one there never is any */
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    settled_check(&job);
    CHECK_EQ(job.received, count - 1);
    CHECK_EQ(job.without_memory, 1);
    CHECK_EQ(pe->route->bulk.fetches, 0);
    for (uint32_t i = 0; i < count; i++) {
        chi_msg_release(sent[i]);
    }
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* A PE that always has something to execute, as chares that call themselves
 * make it, gives a message up all the same. */
static void
what_comes_later_is_not_waited_for(void)
{
    const uint32_t waiting = 3;
    struct sim_job job;
    struct sim_job_pe *pe = &job.pes[1];
    struct rlimit before;
    uint32_t executed = 0;

    CHECK(plain_job_open(&job, 2, 4, true, 1u << 30));
    pe->keeps = true;
    for (uint32_t i = 0; i < waiting; i++) {
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 5), CHARE_OK);
    }
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 128u << 20), CHARE_OK);
    job.pes[0].sent[1]--; /* it never comes */
    if (!limit_memory(32u << 20, &before)) {
        SKIP("the memory of a process cannot be limited here");
    }
    sim_job_settle(&job);
    while (job.without_memory == 0 && executed < 10 * waiting) {
        chi_msg_queue_push(&pe->kept, chi_msg_alloc(pe->pool, 8));
        sim_job_execute(pe);
        executed++;
        sim_job_settle(&job);
    }
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_EQ(job.without_memory, 1);
    CHECK_EQ(executed, waiting);
    settled_check(&job);
    chi_msg_queue_clear(&pe->kept);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* Nothing is to be executed yet when the second finds no memory. */
static void
what_others_send_gives_memory_back(void)
{
    struct chi_msg *sent[3];
    struct sim_job job;
    struct sim_job_pe *pe = &job.pes[0];
    struct rlimit before;

    CHECK(plain_job_open(&job, 3, 4, true, 1u << 30));
    for (uint32_t i = 1; i < 3; i++) {
        sent[i] = sim_job_message(&job.pes[i], 0, 60u << 20);
        (void)chi_msg_ref(sent[i]);
        CHECK_EQ(chi_route_send(job.pes[i].route, 0, sent[i]), CHARE_OK);
        job.pes[i].sent[0]++;
    }
    if (!limit_memory(70u << 20, &before)) {
        SKIP("the memory of a process cannot be limited here");
    }
    pe->keeps = true;
    for (uint32_t came = 1; came < 3; came++) {
        sim_job_settle(&job);
        CHECK_EQ(job.received, came);
        sim_job_execute(pe);
    }
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    settled_check(&job);
    CHECK_EQ(job.without_memory, 0);
    CHECK_EQ(pe->route->bulk.fetches, 0);
    for (uint32_t i = 1; i < 3; i++) {
        chi_msg_release(sent[i]);
    }
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}
#endif

/* ---- what makes no sense */

struct bad {
    const char *what;
    enum chi_handler handler;
    uint32_t source;
    uint64_t words[3];
    uint64_t data; /* bytes behind the words */
};

static bool
inject(struct sim_job *job, const struct bad *bad)
{
    union {
        struct {
            struct chi_envelope env;
            uint64_t words[3];
        } head;
        unsigned char bytes[2048];
    } wire = {0};

    wire.head.env.version = CHI_MSG_WIRE_VERSION;
    wire.head.env.handler = (uint8_t)bad->handler;
    wire.head.env.source_pe = bad->source;
    wire.head.env.len = sizeof(bad->words) + bad->data;
    memcpy(wire.head.words, bad->words, sizeof(bad->words));
    return chi_sim_world_inject(job->world, 0, 1, 77, wire.bytes,
                                sizeof(wire.head) + bad->data) == CHARE_OK;
}

static void
malformed_pieces_are_dropped_and_counted(void)
{
    /* words: sequence, total, and offset or length of the key */
    static const struct bad bads[] = {
        {"no data", CHI_HANDLER_BULK, 0, {0, 1000, 0}, 0},
        {"less than an envelope", CHI_HANDLER_BULK, 0, {0, 47, 0}, 40},
        {"impossible total", CHI_HANDLER_BULK, 0, {0, UINT64_MAX, 0}, 40},
        {"hostile total", CHI_HANDLER_BULK, 0, {0, 1ull << 41, 0}, 40},
        {"over the total", CHI_HANDLER_BULK, 0, {0, 48, 0}, 49},
        {"not the first", CHI_HANDLER_BULK, 0, {0, 1000, 8}, 40},
        {"not the next", CHI_HANDLER_BULK, 0, {1, 1000, 0}, 40},
        {"from nobody", CHI_HANDLER_BULK, 3, {0, 1000, 0}, 40},
        {"from far", CHI_HANDLER_BULK, 0xffffffff, {0, 1000, 0}, 40},
        {"from itself", CHI_HANDLER_BULK, 1, {0, 1000, 0}, 40},
        {"whole, but no message", CHI_HANDLER_BULK, 0, {0, 100, 0}, 100},
        {"key too long", CHI_HANDLER_BULK_OFFER, 0, {1, 1000, 65}, 65},
        {"key too short", CHI_HANDLER_BULK_OFFER, 0, {1, 1000, 17}, 16},
        {"offer of nothing", CHI_HANDLER_BULK_OFFER, 0, {1, 0, 16}, 16},
        {"not the next offer", CHI_HANDLER_BULK_OFFER, 0, {9, 999, 16}, 16},
        {"done too long", CHI_HANDLER_BULK_DONE, 0, {0, 0, 0}, 0},
        {"done of nothing", CHI_HANDLER_BULK_DONE, 2, {0, 0, 0}, 0},
    };
    const uint64_t count = sizeof(bads) / sizeof(bads[0]);
    struct sim_job job;

    CHECK(plain_job_open(&job, 3, 0, true, 1u << 30));
    for (uint64_t i = 0; i < count; i++) {
        CHECK(inject(&job, &bads[i]));
        sim_job_settle(&job);
        if (chi_route_foreign_dropped(job.pes[1].route) != i + 1) {
            printf("# %s\n", bads[i].what);
        }
        CHECK_EQ(chi_route_foreign_dropped(job.pes[1].route), i + 1);
    }
    /* The pair 2 to 1 was not touched. */
    CHECK_EQ(sim_job_send(&job.pes[2], 1, 5000), CHARE_OK);
    sim_job_settle(&job);
    CHECK_EQ(job.pes[1].received[2], 1);
    CHECK_EQ(job.received, 1);
    (void)sim_job_close(&job);
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* Anything from a process of the job, between real messages. */
static void
random_pieces_do_no_harm(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;

        CHECK(plain_job_open(&job, 3, 4, seed % 2 == 0, 1u << 30));
        chi_prng_init(&job.prng, seed);
        for (int i = 0; i < 100; i++) {
            const struct bad bad = {
                .handler = CHI_HANDLER_BULK +
                           (enum chi_handler)sim_job_below(&job, 3),
                .source = (uint32_t)sim_job_below(&job, 2) * 2,
                .words = {sim_job_below(&job, 3), sim_job_below(&job, 2000),
                          sim_job_below(&job, 3) * 16},
                .data = sim_job_below(&job, 100),
            };

            CHECK_SEED(&job, inject(&job, &bad));
            (void)sim_job_send(&job.pes[2 * (i % 2)], 1, i * 30);
            sim_job_settle(&job);
            job.wrong[0] = '\0'; /* contents may be anything */
        }
        CHECK_SEED(&job, sim_job_close(&job));
    }
}

TAP_MAIN(TAP_CASE(mixture_arrives_whole_and_in_order),
         TAP_CASE(lost_peer_is_reported_once_and_forgotten),
         TAP_CASE(close_releases_everything),
         TAP_CASE(flood_both_ways_with_one_credit),
         TAP_CASE(waiting_bytes_are_bounded),
         TAP_CASE(one_message_over_the_bound_passes),
         TAP_CASE(little_is_sent_behind_open_offers),
         TAP_CASE(shared_message_goes_to_several),
         TAP_CASE(failed_fetch_loses_the_peer),
         TAP_CASE(many_senders_wait_for_their_turn),
         TAP_CASE(offers_are_fetched_ahead),
         TAP_CASE(message_without_memory_is_dropped),
         TAP_CASE(next_message_waits_for_memory),
         TAP_CASE(what_is_to_be_executed_gives_memory_back),
         TAP_CASE(what_comes_later_is_not_waited_for),
         TAP_CASE(what_others_send_gives_memory_back),
         TAP_CASE(malformed_pieces_are_dropped_and_counted),
         TAP_CASE(random_pieces_do_no_harm))
