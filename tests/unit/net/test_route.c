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

#include "sim_job.h"

enum {
    SEEDS = 300
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
    };
}

static void
job_init(struct sim_job *job, uint64_t seed)
{
    memset(job, 0, sizeof(*job));
    job->seed = seed;
    chi_prng_init(&job->prng, seed ^ 0x5eed);
    job->settings.queue_bytes = 1u << 30;
}

/* Random sends between random progress, then progress to the end. */
static void
mixture_run(struct sim_job *job, uint64_t eager_bytes, uint32_t messages)
{
    const uint32_t patience = 3000000;
    uint32_t events_max = 1 + (uint32_t)sim_job_below(job, 16);

    for (uint32_t sent = 0; sent < messages;) {
        if (sim_job_below(job, 3) != 0) {
            const uint32_t n = job->pe_count;
            uint32_t from = (uint32_t)sim_job_below(job, n);
            uint32_t to = (from + 1 + (uint32_t)sim_job_below(job, n - 1)) % n;

            if (sim_job_send(&job->pes[from], to,
                             draw_len(job, eager_bytes)) != CHARE_OK) {
                SIM_JOB_WRONG(job, "send failed");
            }
            sent++;
        } else {
            (void)sim_job_step(job, events_max);
        }
    }
    for (uint32_t i = 0; i < patience && job->wrong[0] == '\0'; i++) {
        if (job->received == messages && sim_job_drained(job)) {
            return;
        }
        (void)sim_job_step(job, events_max);
    }
    SIM_JOB_WRONG(job, "%" PRIu64 " of %u messages came", job->received,
                  messages);
}

static void
mixture_arrives_whole_and_in_order(void)
{
    uint64_t seed;
    uint64_t count = sim_job_seeds(SEEDS, &seed);

    for (; count > 0; count--, seed++) {
        struct sim_job job;
        struct chi_sim_options options;

        job_init(&job, seed);
        options = draw_options(&job);
        job.settings.eager_bytes = sim_job_below(&job, 4) == 0 ? 2000 : 0;
        CHECK_SEED(&job, sim_job_open(&job, &options));
        mixture_run(&job, options.eager_bytes, 120);
        CHECK_SEED(&job, job.wrong[0] == '\0');
        for (uint32_t i = 0; i < job.pe_count; i++) {
            CHECK_SEED(&job, chi_route_queued_bytes(job.pes[i].route) == 0);
        }
        CHECK_SEED(&job, sim_job_dropped(&job) == 0);
        (void)sim_job_close(&job);
        CHECK_SEED(&job, job.wrong[0] == '\0');
    }
}

TAP_MAIN(TAP_CASE(mixture_arrives_whole_and_in_order))
