/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_gossip.c - the distributed protocol on virtual PEs: it ends, no object
 * is lost or doubled, nobody needs more than the rounds allowed, and with ten
 * objects on a PE it ends within 5 % of LPT.
 *
 * Method: messages take one to three steps by chance, so they overtake each
 * other; many seeds on few PEs, few seeds on many.
 */
#include "config.h"

#include <math.h>

#include "lb/gossip.h"
#include "lb/gossip_private.h"
#include "lb/synth.h"
#include "lb/virtual.h"
#include "tap/tap.h"

enum {
    SEEDS = 300,
};

static const enum chi_lb_spread spreads[] = {
    CHI_LB_GOSSIP, CHI_LB_HIERARCHICAL, CHI_LB_DIFFUSION};

static void
ends_with_every_seed(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const enum chi_lb_spread spread = spreads[seed % 3];
        const uint32_t pes = 1 + (uint32_t)(seed * 7 % 40);
        const enum chi_synth_shape shape =
            (enum chi_synth_shape)(seed / 3 % CHI_SYNTH_COUNT);
        static uint32_t to[40 * 12];
        struct chi_lb_problem problem;
        struct chi_lb_quality before;
        struct chi_lb_quality after;
        struct chi_virtual_cost cost;

        CHECK(chi_synth_make(shape, pes * (seed % 12), pes, seed, &problem) ==
              CHARE_OK);
        memcpy(to, problem.from, problem.object_count * sizeof(*to));
        CHECK(chi_virtual_spread(&problem, spread, to, &cost) == CHARE_OK);
        CHECK(chi_lb_evaluate(&problem, problem.from, &before) == CHARE_OK);
        CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
        chi_lb_problem_free(&problem);
        CHECK(after.makespan <= before.makespan * 1.0001);
        CHECK(spread != CHI_LB_GOSSIP || cost.rounds <= CHI_GOSSIP_ROUNDS_MAX);
    }
}

static void
check_quality(enum chi_synth_shape shape, size_t objects,
              enum chi_lb_spread spread)
{
    struct chi_lb_problem problem;
    struct chi_lb_quality lpt;
    struct chi_lb_quality gossip;
    struct chi_virtual_cost cost;
    static uint32_t to[20000];
    char text[CHI_LB_TEXT_BYTES];

    CHECK(chi_synth_make(shape, objects, 1000, 3, &problem) == CHARE_OK);
    CHECK(chi_lb_decide(&chi_lb_greedy, &problem, to, text) == CHARE_OK);
    CHECK(chi_lb_evaluate(&problem, to, &lpt) == CHARE_OK);
    memcpy(to, problem.from, objects * sizeof(*to));
    CHECK(chi_virtual_spread(&problem, spread, to, &cost) == CHARE_OK);
    CHECK(chi_lb_evaluate(&problem, to, &gossip) == CHARE_OK);
    chi_lb_problem_free(&problem);
    printf("# %s: %.4f of LPT, %u rounds, %.1f messages for each PE\n",
           chi_synth_names[shape], gossip.makespan / lpt.makespan, cost.rounds,
           (double)cost.messages / 1000);
    CHECK(gossip.makespan <= 1.05 * lpt.makespan);
    CHECK(spread == CHI_LB_DIFFUSION || 3 * gossip.moves <= lpt.moves);
}

static void
near_lpt(void)
{
    for (int shape = 0; shape < CHI_SYNTH_COUNT; shape++) {
        for (int i = 0; i < 3; i++) {
            check_quality((enum chi_synth_shape)shape, 20000, spreads[i]);
            check_quality((enum chi_synth_shape)shape, 10000, spreads[i]);
        }
    }
}

/* A PE of speed 0 gets rid of what it has; a slow one keeps little. */
static void
speeds_count(void)
{
    static float speeds[20];
    static double times[20];
    static uint32_t to[2000];
    struct chi_lb_problem problem;
    struct chi_virtual_cost cost;

    for (int pe = 0; pe < 20; pe++) {
        speeds[pe] = pe == 7 ? 0 : pe % 2 == 0 ? 1 : 0.5f;
    }
    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 2000, 20, 3, &problem) ==
          CHARE_OK);
    problem.speeds = speeds;
    memcpy(to, problem.from, sizeof(to));
    CHECK(chi_virtual_spread(&problem, CHI_LB_GOSSIP, to, &cost) == CHARE_OK);
    chi_lb_times(&problem, to, times);
    for (int pe = 0; pe < 20; pe++) {
        CHECK(pe == 7 || times[pe] <= 1.06 * 2000 / 14.5 * 1.1);
    }
    for (int i = 0; i < 2000; i++) {
        CHECK(to[i] != 7);
    }
    problem.speeds = NULL;
    chi_lb_problem_free(&problem);
}

/* As much flows as does not fit one message: those with items overtake each
 * other, and none is lost. */
static void
much_flows(void)
{
    enum {
        OBJECTS = 500,
    };
    static float work[OBJECTS];
    static uint32_t from[OBJECTS];
    static uint32_t to[OBJECTS];

    for (uint32_t i = 0; i < OBJECTS; i++) {
        from[i] = 1; /* the root hears last of what it is given */
        work[i] = 1;
    }
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const struct chi_lb_problem problem = {.object_count = OBJECTS,
                                               .pe_count = 2,
                                               .work = work,
                                               .from = from,
                                               .seed = seed};
        struct chi_lb_quality after;
        struct chi_virtual_cost cost;

        memcpy(to, from, sizeof(to));
        CHECK(chi_virtual_spread(&problem, CHI_LB_DIFFUSION, to, &cost) ==
              CHARE_OK);
        CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
        CHECK(after.makespan <= 1.05 * after.bound);
    }
}

static void
drop_message(void *context, uint32_t to, const void *bytes, size_t len)
{
    (void)context;
    (void)to;
    (void)bytes;
    (void)len;
}

/* Ones behind what they are, and before there is anything to answer. */
static void
malformed_messages_are_refused(void)
{
    const struct chi_lb_port port = {.size = 2,
                                     .rank = 1,
                                     .speed = 1,
                                     .spread = CHI_LB_GOSSIP,
                                     .send = drop_message};
    static const enum kind kinds[] = {KIND_SUM,    KIND_PLACES,  KIND_LEND,
                                      KIND_RETURN, KIND_RELEASE, KIND_REPORT,
                                      KIND_FINISH, KIND_PLACED};
    const float work = 1;
    struct chi_gossip gossip;
    unsigned char bytes[64];

    CHECK(chi_gossip_start(&gossip, &port, &work, 1, 0.01f) == CHARE_OK);
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bytes[0] = (unsigned char)kinds[i];
        CHECK(chi_gossip_receive(&gossip, 0, bytes, sizeof(bytes)) ==
              CHARE_ERR_FORMAT);
    }
    CHECK(gossip.count == 1 && gossip.state == CHI_GOSSIP_SUMMING);
    chi_gossip_fini(&gossip);
}

TAP_MAIN(TAP_CASE(malformed_messages_are_refused),
         TAP_CASE(ends_with_every_seed), TAP_CASE(near_lpt),
         TAP_CASE(speeds_count), TAP_CASE(much_flows))
