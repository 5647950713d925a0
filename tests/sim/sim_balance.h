/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_SIM_BALANCE_H
#define CHARE_TESTS_SIM_SIM_BALANCE_H

/*
 * sim_balance.h - what test_sim_balance and test_sim_timed share: what chares
 * cost, where they end, and that those that said AtSync go on as they should.
 */

#include "sim_job.h"

/* Heavy where the index is low: all of it begins on few PEs. */
static inline double
sim_balance_work(uint32_t chares, int64_t at)
{
    return at < chares / 4 ? 4 : 1;
}

/* The work of the PE that has most. */
static inline double
sim_balance_most(struct sim_job *job, chare_collection array, uint32_t chares,
                 bool even)
{
    double most = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        double work = 0;

        for (uint32_t i = 0; i < chares; i++) {
            const chare_element element = chare_element_1d(array, i);

            if (chare_local(sim_rt(job, pe), &element) != NULL) {
                work += even ? 1 : sim_balance_work(chares, i);
            }
        }
        most = work > most ? work : most;
    }
    return most;
}

static inline void
sim_balance_use(struct sim_job *job, const char *strategy)
{
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        SIM_OK(job, chare_lb_use(sim_rt(job, pe), strategy));
    }
}

/* An array whose chares follow those of another one. */
static inline chare_collection
sim_balance_bind(struct sim_job *job, uint32_t type, chare_collection to,
                 bool at_sync)
{
    const chare_array_options options = {.size = sizeof(options),
                                         .type = type,
                                         .ndims = 1,
                                         .bind_to = to,
                                         .at_sync = at_sync};
    chare_collection bound = 0;

    sim_job_settle(job);
    SIM_OK(job, chare_array_create(sim_any(job), &options, NULL, &bound));
    return bound;
}

/* Chare 'at' has gone on: as often as it has said that it may be balanced, and
 * not before 'count' of all have, if they are waited for. */
static inline void
sim_balance_resumed(struct sim_job *job, int64_t at, uint32_t *resumed,
                    const uint32_t *synced, uint32_t count)
{
    if (++resumed[at] != synced[at]) {
        SIM_WRONG(job, "chare %d resumed %u times, synced %u", (int)at,
                  resumed[at], synced[at]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (synced[i] < resumed[at]) {
            SIM_WRONG(job, "resumed before chare %u was there", i);
        }
    }
}

#endif /* CHARE_TESTS_SIM_SIM_BALANCE_H */
