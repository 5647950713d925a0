/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TEST_NET_PROCESSES_H
#define CHARE_TEST_NET_PROCESSES_H

/*
 * net_processes.h - the cases of net_conform.h about waiting and processes.
 *
 * Method: a wake-up counts as lost when poll() on the net's descriptor says
 *         nothing for WAKE_TIMEOUT_MS although the other side has sent.
 */

#include "conform/net_team.h"
#include "conform/net_world.h"

#include "base/prng.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum {
    FLOOD_MESSAGES = 3000, /* from each to each */
    WAKE_ROUNDS = 3000,
    WAKE_TIMEOUT_MS = 20000, /* a wake-up that takes longer was lost */
    ROUND_TRIPS = 2000,
    BACKLOG_MESSAGES_MAX = 1 << 20,
    BACKLOG_BYTES_MAX = 256 << 20,
};

/* The provider under test; set once, before the first case. */
static const struct net_conform *net_conform;

#define NEEDS_TOGETHER()                                       \
    do {                                                       \
        if (net_conform->no_together) {                        \
            SKIP("the provider has one net for each process"); \
        }                                                      \
    } while (0)

#define NEEDS_SURVIVORS()                                    \
    do {                                                     \
        if (net_conform->no_survivors) {                     \
            SKIP("nets of one process are closed together"); \
        }                                                    \
    } while (0)

#define NEEDS_FORKS()                                      \
    do {                                                   \
        if (net_conform->no_forks || net_conform->alone) { \
            SKIP("the provider stays within one process"); \
        }                                                  \
    } while (0)

static inline struct node *
world_last(struct world *world)
{
    return &world->nodes[world->count - 1];
}

/* ---- waiting */

static inline void
no_sleep_with_something_to_do(void)
{
    struct world world;
    struct node *to;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    for (int i = 1; i <= 50; i++) {
        chare_status status;

        CHECK(world_send(&world, &world.nodes[0], to->rank, 8));
        CHECK(WORLD_UNTIL(&world, chi_net_drained(world.nodes[0].net)));
        /* Either it is seen, or the descriptor will tell. */
        status = chi_net_wait_begin(to->net);
        if (status == CHARE_OK) {
            struct pollfd pollfd = {.fd = chi_net_wait_fd(to->net),
                                    .events = POLLIN};

            if (pollfd.fd >= 0 && to->arrived < (uint64_t)i) {
                CHECK_EQ(poll(&pollfd, 1, WAKE_TIMEOUT_MS), 1);
            }
            chi_net_wait_end(to->net);
        } else {
            CHECK_EQ(status, CHARE_ERR_AGAIN);
        }
        CHECK(WORLD_UNTIL(&world, to->arrived == (uint64_t)i));
    }
    CHECK(world_close(&world));
}

static inline void
a_sleeper_is_woken(void)
{
    struct world world;
    struct node *from;
    struct node *to;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    from = &world.nodes[0];
    to = world_last(&world);
    if (chi_net_wait_fd(to->net) < 0 || net_conform->alone) {
        CHECK(world_close(&world));
        SKIP("there is no descriptor, or nobody else");
    }
    for (uint64_t i = 1; i <= 200; i++) {
        struct pollfd pollfd = {.fd = chi_net_wait_fd(to->net),
                                .events = POLLIN};

        world.idle = 0;
        while (chi_net_wait_begin(to->net) != CHARE_OK) {
            CHECK(world_pump(&world));
        }
        CHECK_EQ(node_send(from, to->rank, 8), CHARE_OK);
        world.idle = 0;
        while (poll(&pollfd, 1, 0) == 0) {
            CHECK(world_pump_but(&world, to));
        }
        chi_net_wait_end(to->net);
        CHECK(WORLD_UNTIL(&world, to->arrived == i));
    }
    CHECK(world_close(&world));
}

/* Sleep on the descriptor once; false: a wake-up was lost. */
static inline bool
member_sleep(struct team_member *member)
{
    struct chi_net *net = member->node.net;
    struct pollfd pollfd = {.fd = chi_net_wait_fd(net), .events = POLLIN};
    int ready;

    if (chi_net_wait_begin(net) != CHARE_OK) {
        return true;
    }
    ready =
        pollfd.fd >= 0 ? poll(&pollfd, 1, WAKE_TIMEOUT_MS) : poll(NULL, 0, 1);
    chi_net_wait_end(net);
    return pollfd.fd < 0 || ready != 0;
}

/* The same in the net itself. */
static inline bool
member_nap(struct team_member *member)
{
    struct chi_net *net = member->node.net;
    chare_status status;

    if (chi_net_ready(net) || chi_net_nap_begin(net) != CHARE_OK) {
        return true;
    }
    status = chi_net_nap(net, WAKE_TIMEOUT_MS * CHI_NS_PER_MS);
    chi_net_wait_end(net);
    return status != CHARE_ERR_TIMEOUT;
}

/* Whatever is open to the net, in turn: both are mixed. */
static inline bool
member_sleep_either(struct team_member *member)
{
    return chi_net_can_nap(member->node.net) &&
                   member->node.arrived / 16 % 2 == 0
               ? member_nap(member)
               : member_sleep(member);
}

/* Sleep until so much has come in; false: a wake-up was lost. */
static inline bool
member_sleep_until(struct team_member *member, uint64_t arrived)
{
    struct node *node = &member->node;

    while (node->arrived < arrived) {
        const uint64_t before = node->arrived;
        bool awake;

        MEMBER_CHECK(member, node->wrong == NULL);
        awake = member_sleep_either(member);
        (void)node_progress(node);
        MEMBER_CHECK(member, awake);
        MEMBER_CHECK(member, node->arrived >= before);
    }
    return true;
}

static inline bool
sleepers_ping_pong(struct team_member *member)
{
    const uint32_t other = 1 - member->node.rank;

    for (uint64_t i = 1; i <= WAKE_ROUNDS; i++) {
        if (member->node.rank == 0) {
            MEMBER_CHECK(member, member_send(member, other, i % 100));
        }
        MEMBER_CHECK(member, member_sleep_until(member, i));
        if (member->node.rank == 1) {
            MEMBER_CHECK(member, member_send(member, other, i % 100));
        }
    }
    return true;
}

static inline void
sleepers_never_miss_each_other(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 2, 2, sleepers_ping_pong));
}

/* Each sends to the next, and sleeps until the one before has sent. */
static inline bool
sleepers_in_a_ring(struct team_member *member)
{
    const uint32_t next = (member->node.rank + 1) % member->size;

    for (uint64_t i = 1; i <= WAKE_ROUNDS / 4; i++) {
        MEMBER_CHECK(member, member_send(member, next, i % 100));
        MEMBER_CHECK(member, member_sleep_until(member, i));
    }
    return true;
}

/* More than there are processors. */
static inline void
many_sleepers_go_round(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 8, 8, sleepers_in_a_ring));
}

/* Ranks 1 and up send in bursts; rank 0 sleeps whenever it may. */
static inline bool
bursts_at_a_sleeper(struct team_member *member)
{
    struct chi_prng prng;

    chi_prng_init(&prng, member->node.rank);
    if (member->node.rank == 0) {
        return member_sleep_until(member,
                                  (uint64_t)WAKE_ROUNDS * (member->size - 1));
    }
    for (uint32_t i = 0; i < WAKE_ROUNDS; i++) {
        MEMBER_CHECK(member, member_send(member, 0, 8));
        for (uint64_t spin = chi_prng_below(&prng, 4000); spin-- > 0;) {
            __asm__ volatile("" ::: "memory");
        }
    }
    return true;
}

static inline void
bursts_wake_a_sleeper(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 3, 3, bursts_at_a_sleeper));
}

/* ---- a thread that calls a napping PE */

struct caller {
    struct chi_net *net;
    _Atomic uint64_t
        called; /* written before nudge(); read after nap_begin() */
    _Atomic uint64_t seen;
};

static inline void *
caller_run(void *context)
{
    struct caller *caller = context;

    for (uint64_t i = 1; i <= WAKE_ROUNDS; i++) {
        atomic_store(&caller->called, i);
        chi_net_nudge(caller->net);
        while (i % 3 == 0 && atomic_load(&caller->seen) < i) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static inline void
a_nudge_ends_a_nap(void)
{
    struct caller caller = {0};
    struct world world;
    pthread_t thread;
    uint64_t seen = 0;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    caller.net = world_last(&world)->net;
    if (!chi_net_can_nap(caller.net)) {
        CHECK(world_close(&world));
        SKIP("nobody naps in it");
    }
    CHECK_EQ(pthread_create(&thread, NULL, caller_run, &caller), 0);
    while (seen < WAKE_ROUNDS) {
        chare_status status = CHARE_OK;

        CHECK_EQ(chi_net_nap_begin(caller.net), CHARE_OK);
        if (atomic_load(&caller.called) == seen) {
            status = chi_net_nap(caller.net, WAKE_TIMEOUT_MS * CHI_NS_PER_MS);
        }
        chi_net_wait_end(caller.net);
        CHECK(status != CHARE_ERR_TIMEOUT);
        seen = atomic_load(&caller.called);
        atomic_store(&caller.seen, seen);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(world_close(&world));
}

/* ---- processes */

static inline bool
all_flood_all(struct team_member *member)
{
    struct node *node = &member->node;
    struct chi_prng prng;

    chi_prng_init(&prng, node->rank);
    for (uint32_t i = 0; i < FLOOD_MESSAGES; i++) {
        for (uint32_t to = 0; to < member->size; to++) {
            const uint64_t most = i % 64 == 0 ? node_data_max(node) : 100;

            if (to != node->rank) {
                MEMBER_CHECK(
                    member,
                    member_send(member, to, chi_prng_below(&prng, most + 1)));
            }
        }
    }
    MEMBER_CHECK(member, MEMBER_UNTIL(member, node->arrived ==
                                                  (uint64_t)FLOOD_MESSAGES *
                                                      (member->size - 1)));
    return MEMBER_UNTIL(member, chi_net_drained(node->net));
}

static inline void
two_processes_flood_each_other(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 2, 2, all_flood_all));
}

static inline void
four_processes_flood_each_other(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 4, 4, all_flood_all));
}

static inline bool
one_dies(struct team_member *member)
{
    struct node *node = &member->node;
    const uint32_t other = 1 - node->rank;

    if (node->rank == 2) {
        /* Not before both others are connected. */
        MEMBER_CHECK(member,
                     MEMBER_UNTIL(member, node->arrived_from[0] > 0 &&
                                              node->arrived_from[1] > 0));
        for (int i = 0; i < 200; i++) {
            MEMBER_CHECK(member, member_send(member, 0, 100));
            MEMBER_CHECK(member, member_send(member, 1, 100));
        }
        (void)raise(SIGKILL);
    }
    MEMBER_CHECK(member, member_send(member, 2, 8));
    for (uint64_t i = 1; i <= ROUND_TRIPS; i++) {
        const chare_status status = node_send(node, 2, 8);

        MEMBER_CHECK(member, status == CHARE_OK || status == CHARE_ERR_AGAIN ||
                                 status == CHARE_ERR_PEER_LOST);
        MEMBER_CHECK(member, member_send(member, other, 8));
        MEMBER_CHECK(member,
                     MEMBER_UNTIL(member, node->arrived_from[other] >= i));
    }
    return true;
}

static inline void
a_killed_peer_does_no_harm(void)
{
    NEEDS_FORKS();
    CHECK(team_run(net_conform, 3, 2, one_dies));
}

#endif /* CHARE_TEST_NET_PROCESSES_H */
