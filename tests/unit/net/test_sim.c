/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim.c - the simulated net's own promises.
 *
 * Goal:   a seed is a run; delays shuffle what nobody promised an order for;
 *         credit, loss and planted bugs are exactly what the options say.
 * Method: routes of several PEs (sim_job.h), whose checks of what arrives
 *         are shown to catch each planted bug.
 */
#include "config.h"

#include "sim_job.h"

enum {
    SEEDS = 200
};

/* Small and large messages among four PEs; the rest is up to 'options'. */
static bool
run(struct sim_job *job, const struct chi_sim_options *options)
{
    sim_job_init(job, options->seed);
    if (!sim_job_open(job, options)) {
        return false;
    }
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t from = (uint32_t)sim_job_below(job, 4);
        const uint32_t to = (from + 1 + (uint32_t)sim_job_below(job, 3)) % 4;
        const uint64_t len = sim_job_below(job, i % 10 == 0 ? 20000 : 200);

        if (sim_job_send(&job->pes[from], to, len) != CHARE_OK) {
            return false;
        }
        (void)sim_job_step(job, 4);
    }
    sim_job_settle(job);
    return true;
}

static struct chi_sim_options
run_options(uint64_t seed)
{
    return (struct chi_sim_options){
        .seed = seed,
        .pe_count = 4,
        .delay_ns_max = 5000,
        .pair_credit = 1 + (uint32_t)seed % 8,
        .rma = seed % 2 == 0,
    };
}

static void
a_seed_is_a_run(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS, &seed);
    uint64_t before = 0;

    for (; count > 0; count--, seed++) {
        const struct chi_sim_options options = run_options(seed);
        struct chi_sim_stats stats[2];
        uint64_t traces[2];
        uint64_t ends_ns[2];

        for (int i = 0; i < 2; i++) {
            struct sim_job job;

            CHECK(run(&job, &options));
            traces[i] = chi_sim_world_trace(job.world);
            ends_ns[i] = chi_clock_now_ns(chi_sim_world_clock(job.world));
            chi_sim_world_stats(job.world, &stats[i]);
            CHECK_SEED(&job, job.received == 100);
            CHECK_SEED(&job, sim_job_close(&job));
            CHECK_SEED(&job, job.wrong[0] == '\0');
        }
        CHECK(traces[0] == traces[1]);
        CHECK(ends_ns[0] == ends_ns[1]);
        CHECK(memcmp(&stats[0], &stats[1], sizeof(stats[0])) == 0);
        CHECK(traces[0] != before);
        before = traces[0];
    }
}

/* Whether the checks of sim_job.h saw anything wrong. */
static bool
seen(struct sim_job *job)
{
    return job->wrong[0] != '\0' || job->received != 100 ||
           sim_job_dropped(job) != 0;
}

/* Each kind of bug, in ordinary messages and in pieces of large ones. */
static void
planted_bugs_are_seen(void)
{
    static const enum chi_handler handlers[] = {
        CHI_HANDLER_FUNCTION, CHI_HANDLER_BULK, CHI_HANDLER_BULK_OFFER};
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS, &seed);
    uint32_t done = 0;

    for (const uint64_t end = seed + count; seed < end; seed++) {
        for (uint32_t kind = 0; kind < 9; kind++) {
            struct chi_sim_options options = run_options(seed);
            struct sim_job job;
            bool bug_done;

            options.bug = CHI_SIM_BUG_DROP + (enum chi_sim_bug)(kind % 3);
            options.bug_handler = handlers[kind / 3];
            options.bug_at = seed % 13;
            CHECK(run(&job, &options));
            bug_done = chi_sim_world_bug_done(job.world);
            done += bug_done;
            CHECK_SEED(&job, bug_done == seen(&job));
            CHECK_SEED(&job, sim_job_close(&job));
        }
    }
    CHECK(done > count); /* of 9 tries with each seed */
}

/* Who came first at PE 3, of two that sent one message each, 1 before 2? */
static uint64_t
first_at_three(struct sim_job *job, uint64_t seed, bool in_order)
{
    const struct chi_sim_options options = {.seed = seed,
                                            .pe_count = 4,
                                            .delay_ns_max = 1000,
                                            .in_order = in_order};
    uint64_t first = 0;

    sim_job_init(job, seed);
    if (!sim_job_open(job, &options) ||
        sim_job_send(&job->pes[1], 3, 8) != CHARE_OK ||
        sim_job_send(&job->pes[2], 3, 8) != CHARE_OK) {
        return 0;
    }
    if (chi_sim_world_step(job->world, NULL) &&
        sim_job_progress(&job->pes[3], 1) == 1) {
        first = job->pes[3].received[1] == 1 ? 1 : 2;
    }
    sim_job_settle(job);
    return sim_job_close(job) ? first : 0;
}

static void
pairs_overtake_each_other(void)
{
    uint32_t firsts[3] = {0};

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct sim_job job;

        firsts[first_at_three(&job, seed, false)]++;
        CHECK_EQ(first_at_three(&job, seed, true), 1);
    }
    CHECK_EQ(firsts[0], 0);
    CHECK(firsts[1] > 50);
    CHECK(firsts[2] > 50);
}

static void
clock_moves_to_what_is_due(void)
{
    const struct chi_sim_options options = {
        .seed = 3, .pe_count = 2, .delay_ns_max = 1000};
    const struct chi_clock *clock;
    struct sim_job job;
    uint64_t next_ns;

    sim_job_init(&job, 3);
    CHECK(sim_job_open(&job, &options));
    clock = chi_sim_world_clock(job.world);
    CHECK_EQ(chi_sim_world_next_ns(job.world) == UINT64_MAX, true);
    CHECK(!chi_sim_world_step(job.world, NULL));
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
    }
    CHECK_EQ(chi_sim_world_in_flight(job.world), 10);
    next_ns = chi_sim_world_next_ns(job.world);
    CHECK(next_ns >= 1 && next_ns <= 1000);
    CHECK_EQ(chi_clock_now_ns(clock), 0);
    CHECK_EQ(sim_job_progress(&job.pes[1], 9), 0);
    CHECK(chi_sim_world_step(job.world, NULL));
    CHECK_EQ(chi_clock_now_ns(clock), next_ns);
    CHECK_EQ(sim_job_progress(&job.pes[1], 9), 1);
    chi_sim_world_advance(job.world, 5000);
    CHECK_EQ(chi_clock_now_ns(clock), 5000);
    CHECK_EQ(chi_sim_world_due(job.world), 9);
    CHECK_EQ(sim_job_progress(&job.pes[1], 20), 9);
    CHECK_EQ(chi_sim_world_in_flight(job.world), 0);
    CHECK(sim_job_close(&job));
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

static void
credit_is_exact(void)
{
    const struct chi_sim_options options = {
        .seed = 1, .pe_count = 4, .credit = 5, .pair_credit = 3};
    struct chi_sim_stats stats;
    struct sim_job job;

    sim_job_init(&job, 1);
    CHECK(sim_job_open(&job, &options));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
        CHECK_EQ(chi_route_queued_bytes(job.pes[0].route), 0);
    }
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
    CHECK_EQ(chi_route_queued_bytes_to(job.pes[0].route, 1), 56);
    CHECK_EQ(sim_job_send(&job.pes[0], 2, 8), CHARE_OK);
    CHECK_EQ(sim_job_send(&job.pes[0], 3, 8), CHARE_OK);
    CHECK_EQ(chi_route_queued_bytes(job.pes[0].route), 56);
    CHECK_EQ(sim_job_send(&job.pes[0], 2, 8), CHARE_OK);
    CHECK_EQ(chi_route_queued_bytes_to(job.pes[0].route, 2), 56);
    CHECK_EQ(chi_sim_world_in_flight(job.world), 5);
    chi_sim_world_stats(job.world, &stats);
    CHECK_EQ(stats.refused, 2);
    CHECK_EQ(stats.sent[CHI_HANDLER_FUNCTION], 5);
    sim_job_settle(&job);
    CHECK_EQ(job.received, 7);
    chi_sim_world_stats(job.world, &stats);
    CHECK_EQ(stats.sent[CHI_HANDLER_FUNCTION], 7);
    CHECK_EQ(stats.arrived[CHI_HANDLER_FUNCTION], 7);
    CHECK_EQ(stats.bytes[CHI_HANDLER_FUNCTION], 7 * 56);
    CHECK(sim_job_close(&job));
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* Without a driver: progress() alone lets time pass. */
static void
a_world_can_drive_itself(void)
{
    struct chi_sim_options options = run_options(5);
    struct sim_job job;

    options.self_driving = true;
    sim_job_init(&job, 5);
    CHECK(sim_job_open(&job, &options));
    for (uint32_t i = 0; i < 40; i++) {
        CHECK_EQ(sim_job_send(&job.pes[i % 4], (i + 1) % 4, i * 1000),
                 CHARE_OK);
    }
    for (uint32_t idle = 0; idle < 2000;) {
        idle = sim_job_progress_all(&job, 8) > 0 ? 0 : idle + 1;
    }
    CHECK_EQ(job.received, 40);
    CHECK(chi_clock_now_ns(chi_sim_world_clock(job.world)) > 0);
    CHECK(sim_job_drained(&job));
    CHECK(sim_job_close(&job));
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

/* A process that ends too early takes its last messages with it. */
static void
undrained_messages_die_with_their_net(void)
{
    for (int drained = 0; drained < 2; drained++) {
        const struct chi_sim_options options = {.seed = 1, .pe_count = 2};
        struct sim_job job;

        sim_job_init(&job, 1);
        CHECK(sim_job_open(&job, &options));
        CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
        CHECK(!chi_route_drained(job.pes[0].route));
        if (drained != 0) {
            CHECK_EQ(sim_job_progress(&job.pes[0], 1), 0);
            CHECK(chi_route_drained(job.pes[0].route));
        }
        chi_route_close(job.pes[0].route);
        job.pes[0].route = NULL;
        sim_job_settle(&job);
        CHECK_EQ(job.received, drained);
        CHECK(sim_job_close(&job));
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

static void
lost_peer_is_silent(void)
{
    const struct chi_sim_options options = {
        .seed = 1, .pe_count = 3, .delay_ns_max = 100};
    struct sim_job job;

    sim_job_init(&job, 1);
    CHECK(sim_job_open(&job, &options));
    CHECK_EQ(sim_job_send(&job.pes[0], 1, 8), CHARE_OK);
    CHECK_EQ(sim_job_send(&job.pes[1], 0, 8), CHARE_OK);
    CHECK_EQ(sim_job_send(&job.pes[0], 2, 8), CHARE_OK);
    chi_sim_world_lose(job.world, 1);
    chi_sim_world_lose(job.world, 1);
    CHECK(chi_sim_world_lost(job.world, 1));
    CHECK(!chi_sim_world_lost(job.world, 0));
    /* Nobody was told yet, but a send may notice. */
    if (sim_job_send(&job.pes[0], 1, 8) != CHARE_OK) {
        CHECK_EQ(job.pes[0].lost[1], 0);
    }
    CHECK_EQ(sim_job_send(&job.pes[1], 2, 8), CHARE_OK);
    sim_job_settle(&job);
    CHECK_EQ(job.received, 1);
    CHECK_EQ(job.pes[2].received[0], 1);
    CHECK_EQ(job.pes[0].lost[1], 1);
    CHECK_EQ(job.pes[2].lost[1], 1);
    CHECK_EQ(job.pes[1].lost[0] + job.pes[1].lost[2], 0);
    CHECK_EQ(sim_job_send(&job.pes[2], 1, 8), CHARE_ERR_PEER_LOST);
    CHECK(sim_job_close(&job));
    CHECK_SEED(&job, job.wrong[0] == '\0');
}

TAP_MAIN(TAP_CASE(a_seed_is_a_run), TAP_CASE(planted_bugs_are_seen),
         TAP_CASE(pairs_overtake_each_other),
         TAP_CASE(clock_moves_to_what_is_due), TAP_CASE(credit_is_exact),
         TAP_CASE(a_world_can_drive_itself),
         TAP_CASE(undrained_messages_die_with_their_net),
         TAP_CASE(lost_peer_is_silent))
