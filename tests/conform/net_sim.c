/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_sim.c - the simulated net passes the suite of all net providers.
 *
 * In a world with delays, little credit and RMA. Foreign input here is what a
 * process could send that has the job key or has not: bytes that are no
 * envelope, and an envelope with another job's key.
 */
#include "config.h"

#include "conform/net_conform.h"
#include "net/sim.h"

/* What the nets of one process share; the injection needs it, too. */
static void *
open_world(uint32_t size)
{
    const struct chi_sim_options options = {
        .seed = 4711,
        .pe_count = size,
        .delay_ns_max = 1000,
        .credit = 50,
        .pair_credit = 40,
        .rma = true,
    };
    struct chi_sim_world *world;

    return chi_sim_world_create(&options, &world) == CHARE_OK ? world : NULL;
}

static void
close_world(void *world)
{
    chi_sim_world_destroy(world);
}

static const struct chi_clock *
clock_of_world(void *world)
{
    return chi_sim_world_clock(world);
}

/* Several, so that a burst does not take as many rounds as it has messages. */
static void
step_world(void *world)
{
    for (int i = 0; i < 8 && chi_sim_world_step(world, NULL); i++) {
    }
}

static uint32_t
inject(struct chi_net *net)
{
    struct chi_sim_world *world = net->options.provider_options;
    const uint32_t rank = net->options.rank;
    const struct chi_envelope env = {.version = CHI_MSG_WIRE_VERSION,
                                     .handler = CHI_HANDLER_INVOKE};
    static const unsigned char garbage[100] = {0xff, 0xee, 0xdd};
    uint32_t count = 0;

    count += chi_sim_world_inject(world, 0, rank, 77, garbage, 0) == CHARE_OK;
    count += chi_sim_world_inject(world, 0, rank, 77, garbage, 47) == CHARE_OK;
    count +=
        chi_sim_world_inject(world, 0, rank, 77, garbage, 100) == CHARE_OK;
    count += chi_sim_world_inject(world, 0, rank, 78, &env, sizeof(env)) ==
             CHARE_OK;
    return count;
}

static const struct net_conform conform = {
    .ops = &chi_net_sim_ops,
    .no_forks = true,
    .world_open = open_world,
    .world_close = close_world,
    .world_clock = clock_of_world,
    .world_step = step_world,
    .inject = inject,
};

NET_CONFORM_MAIN(&conform)
