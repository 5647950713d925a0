/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtual.c - distributed strategies on many PEs in one thread.
 */
#include "config.h"

#include "lb/virtual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "lb/gossip.h"

enum {
    DELAY_MAX = 3, /* steps that a message takes, at most */
    BUCKETS = DELAY_MAX + 1,
    FANOUT = 8,
    BUCKET_FIRST = 1 << 16,
};

struct head {
    uint32_t from;
    uint32_t to;
    uint32_t len;
    uint32_t reserved;
};

/* Messages that arrive in one step. */
struct bucket {
    unsigned char *bytes;
    size_t len;
    size_t room;
};

struct virtual_pe {
    struct chi_gossip gossip;
    struct world *world;
    uint32_t children[FANOUT];
};

struct world {
    const struct chi_lb_problem *problem;
    struct virtual_pe *pes;
    uint32_t *ids;    /* objects by the PE they are on */
    uint32_t *starts; /* of each PE, and one more */
    float *work;
    struct bucket buckets[BUCKETS];
    uint32_t now;
    uint64_t under_way;
    struct chi_prng prng;
    bool no_memory;
    enum chi_lb_spread spread;
};

static void
world_send(void *context, uint32_t to, const void *bytes, size_t len)
{
    struct virtual_pe *pe = context;
    struct world *world = pe->world;
    const uint32_t delay =
        1 + (uint32_t)chi_prng_below(&world->prng, DELAY_MAX);
    struct bucket *bucket = &world->buckets[(world->now + delay) % BUCKETS];
    const struct head head = {pe->gossip.port.rank, to, (uint32_t)len, 0};
    const size_t need = bucket->len + sizeof(head) + len;

    if (need > bucket->room) {
        const size_t room =
            need < BUCKET_FIRST ? BUCKET_FIRST : need + need / 2;
        unsigned char *grown = realloc(bucket->bytes, room);

        if (grown == NULL) {
            world->no_memory = true;
            return;
        }
        bucket->bytes = grown;
        bucket->room = room;
    }
    memcpy(bucket->bytes + bucket->len, &head, sizeof(head));
    memcpy(bucket->bytes + bucket->len + sizeof(head), bytes, len);
    bucket->len = need;
    world->under_way++;
}

/* The movable objects of each PE; what others have counts as background. */
static void
sort_objects(struct world *world, float *background)
{
    const struct chi_lb_problem *problem = world->problem;
    uint32_t *starts = world->starts;

    memset(starts, 0, (problem->pe_count + 1) * sizeof(*starts));
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        background[pe] = chi_lb_background(problem, pe);
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        const uint32_t pe = problem->from[i];

        if (chi_lb_movable(problem, i)) {
            starts[pe + 1]++;
        } else if (chi_lb_speed(problem, pe) > 0) {
            background[pe] += problem->work[i] / chi_lb_speed(problem, pe);
        }
    }
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        starts[pe + 1] += starts[pe];
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (chi_lb_movable(problem, i)) {
            const uint32_t at = starts[problem->from[i]]++;

            world->ids[at] = (uint32_t)i;
            world->work[at] = problem->work[i];
        }
    }
    for (uint32_t pe = problem->pe_count; pe > 0; pe--) {
        starts[pe] = starts[pe - 1];
    }
    starts[0] = 0;
}

static chare_status
pe_start(struct world *world, uint32_t rank, float background)
{
    const struct chi_lb_problem *problem = world->problem;
    struct virtual_pe *pe = &world->pes[rank];
    struct chi_lb_port port = {
        .rank = rank,
        .size = problem->pe_count,
        .parent = rank == 0 ? 0 : (rank - 1) / FANOUT,
        .children = pe->children,
        .speed = chi_lb_speed(problem, rank),
        .background = background,
        .seed = problem->seed,
        .objects = world->starts[rank + 1] - world->starts[rank],
        .spread = world->spread,
        .send = world_send,
        .context = pe,
    };
    const uint32_t first = world->starts[rank];

    for (uint64_t child = (uint64_t)rank * FANOUT + 1;
         child <= (uint64_t)rank * FANOUT + FANOUT && child < port.size;
         child++) {
        pe->children[port.child_count++] = (uint32_t)child;
    }
    pe->world = world;
    pe->gossip.port.rank = rank;
    return chi_gossip_start(&pe->gossip, &port, world->work + first,
                            world->starts[rank + 1] - first,
                            chi_lb_tolerance(problem));
}

/* Deliver what arrives in this step. */
static chare_status
step(struct world *world)
{
    struct bucket *bucket = &world->buckets[world->now % BUCKETS];
    chare_status status = CHARE_OK;

    for (size_t at = 0; at < bucket->len && status == CHARE_OK;) {
        struct head head;

        memcpy(&head, bucket->bytes + at, sizeof(head));
        status =
            chi_gossip_receive(&world->pes[head.to].gossip, head.from,
                               bucket->bytes + at + sizeof(head), head.len);
        at += sizeof(head) + head.len;
        world->under_way--;
    }
    bucket->len = 0;
    return status;
}

static chare_status
run(struct world *world, const float *background)
{
    const uint32_t pes = world->problem->pe_count;
    chare_status status = CHARE_OK;

    /* From the leaves on: nobody gets a message before it has started. */
    for (uint32_t pe = pes; pe > 0 && status == CHARE_OK; pe--) {
        status = pe_start(world, pe - 1, background[pe - 1]);
    }
    while (status == CHARE_OK && world->under_way > 0) {
        world->now++;
        status = step(world);
    }
    if (world->no_memory) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t pe = 0; pe < pes && status == CHARE_OK; pe++) {
        if (!chi_gossip_over(&world->pes[pe].gossip)) {
            status = CHARE_ERR_STATE;
        }
    }
    return status;
}

static void
collect(const struct world *world, uint32_t *to, struct chi_virtual_cost *cost)
{
    const uint32_t pes = world->problem->pe_count;

    *cost = (struct chi_virtual_cost){.steps = world->now};
    for (uint32_t pe = 0; pe < pes; pe++) {
        const struct chi_gossip *gossip = &world->pes[pe].gossip;
        const uint64_t memory = chi_gossip_bytes(gossip);

        for (uint32_t i = 0; i < gossip->move_count; i++) {
            to[world->ids[world->starts[pe] + gossip->moves[i].id]] =
                gossip->moves[i].to;
        }
        cost->messages += gossip->messages;
        cost->bytes += gossip->bytes;
        cost->bytes_mean += (double)memory / pes;
        cost->bytes_most =
            memory > cost->bytes_most ? memory : cost->bytes_most;
        cost->sent_most = gossip->messages > cost->sent_most ? gossip->messages
                                                             : cost->sent_most;
        cost->rounds = gossip->rounds_max > cost->rounds ? gossip->rounds_max
                                                         : cost->rounds;
    }
}

chare_status
chi_virtual_spread(const struct chi_lb_problem *problem,
                   enum chi_lb_spread spread, uint32_t *to,
                   struct chi_virtual_cost *cost_out)
{
    const size_t pes = problem->pe_count;
    struct world world = {
        .problem = problem,
        .spread = spread,
        .pes = calloc(pes, sizeof(*world.pes)),
        .ids = malloc((problem->object_count + 1) * sizeof(*world.ids)),
        .starts = malloc((pes + 1) * sizeof(*world.starts)),
        .work = malloc((problem->object_count + 1) * sizeof(*world.work)),
    };
    float *background = malloc(pes * sizeof(*background));
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (world.pes != NULL && world.ids != NULL && world.starts != NULL &&
        world.work != NULL && background != NULL) {
        chi_prng_init(&world.prng, problem->seed);
        sort_objects(&world, background);
        status = run(&world, background);
        if (status == CHARE_OK) {
            collect(&world, to, cost_out);
        }
        for (size_t pe = 0; pe < pes; pe++) {
            chi_gossip_fini(&world.pes[pe].gossip);
        }
    }
    for (int i = 0; i < BUCKETS; i++) {
        free(world.buckets[i].bytes);
    }
    free(world.pes);
    free(world.ids);
    free(world.starts);
    free(world.work);
    free(background);
    return status;
}

static chare_status
decide(const struct chi_lb_problem *problem, enum chi_lb_spread spread,
       uint32_t *to, char *text)
{
    struct chi_virtual_cost cost;
    const chare_status status = chi_virtual_spread(problem, spread, to, &cost);

    if (status == CHARE_ERR_STATE || status == CHARE_ERR_FORMAT) {
        snprintf(text, CHI_LB_TEXT_BYTES, "the protocol did not end: %s",
                 chare_status_name(status));
    }
    return status;
}

static chare_status
gossip_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    return decide(problem, CHI_LB_GOSSIP, to, text);
}

static chare_status
hierarchical_decide(const struct chi_lb_problem *problem, uint32_t *to,
                    char *text)
{
    return decide(problem, CHI_LB_HIERARCHICAL, to, text);
}

static chare_status
diffusion_decide(const struct chi_lb_problem *problem, uint32_t *to,
                 char *text)
{
    return decide(problem, CHI_LB_DIFFUSION, to, text);
}

const struct chi_lb_strategy chi_lb_gossip = {
    .name = "gossip",
    .help = "no central step: PEs with too much ask others by chance",
    .spread = CHI_LB_GOSSIP,
    .decide = gossip_decide,
};

const struct chi_lb_strategy chi_lb_tree = {
    .name = "tree",
    .help = "no central step: by the sums of a tree, then among near PEs",
    .spread = CHI_LB_HIERARCHICAL,
    .decide = hierarchical_decide,
};

const struct chi_lb_strategy chi_lb_diffusion = {
    .name = "diffusion",
    .help = "no central step: surplus flows to neighbours",
    .spread = CHI_LB_DIFFUSION,
    .decide = diffusion_decide,
};
