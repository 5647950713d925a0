/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TEST_NET_WORLD_H
#define CHARE_TEST_NET_WORLD_H

/*
 * net_world.h - several nets of one provider, for net_conform.h.
 *
 * A *node* is one net with its pool and a sink that checks all that arrives:
 * contents, order by source, and that no upcall comes from inside send(). A
 * *world* holds several nodes in one thread and drives them in turn. A *team*
 * (net_team.h) runs one node in each of several forked processes.
 *
 * No wait here is a matter of time: a wait ends when it has seen no event in
 * IDLE_ROUNDS_MAX rounds in a row, most of which rest for a millisecond.
 */

#include <poll.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/net.h"
#include "tap/tap.h"

enum {
    NODES_MAX = 4,
    RANKS_MAX = 8,
    IDLE_ROUNDS_MAX = 20000,
    IDLE_ROUNDS_BUSY = 200, /* of these, without a rest in between */
    PROGRESS_EVENTS = 32,
};

/* What a provider tells the suite; all but 'ops' may be left out. */
struct net_conform {
    const struct chi_net_ops *ops;

    /* What cannot be done. */
    bool alone;        /* one net only, which sends to itself */
    bool no_together;  /* not several nets in one process */
    bool no_forks;     /* not one net in each of several processes */
    bool no_survivors; /* of one process' nets, all are closed together */
    bool dense_ranks;  /* all ranks of a job are opened and connected */
    bool key_unused;   /* the job key is not what keeps strangers out */

    /* Change the settings; NULL: as the environment says. */
    void (*adjust)(struct chi_settings *settings);

    /* What all nets of one process share, for options.provider_options, and
     * its clock; NULL: nothing, and the real one. */
    void *(*world_open)(uint32_t size);
    void (*world_close)(void *world);
    const struct chi_clock *(*world_clock)(void *world);

    /* After each round of progress() of all nets: let simulated time pass. */
    void (*world_step)(void *world);

    /* Bring malformed or foreign input into 'net' by a way of the provider's
     * own; returns how many pieces must be counted as dropped. */
    uint32_t (*inject)(struct chi_net *net);
};

struct node {
    const struct net_conform *conform;
    struct chi_net *net;
    struct chi_msg_pool *pool;
    struct chi_log log;
    struct chi_settings settings;
    uint32_t rank;

    bool in_send;
    bool in_progress;
    const char *wrong; /* the first broken rule */

    uint64_t sent_to[RANKS_MAX];      /* accepted, by target */
    uint64_t arrived_from[RANKS_MAX]; /* by source */
    uint64_t arrived;
    uint64_t lost;
    uint64_t got_count;
    uint64_t got_token;
    chare_status got_status;

    bool echo; /* answer each message that arrives, from inside the upcall */
    struct chi_msg_queue answers; /* that send() did not take yet */
};

struct world {
    const struct net_conform *conform;
    void *shared;
    uint32_t count;
    uint32_t idle;
    struct node nodes[NODES_MAX];
};

/* ---- messages that can be checked */

static inline unsigned char
pattern_byte(uint32_t source, uint64_t sequence, uint64_t i)
{
    return (unsigned char)(source * 7 + sequence * 31 + i * 13 + (i >> 8));
}

/* A message from 'node' to 'rank'; NULL: out of memory. */
static inline struct chi_msg *
node_msg(struct node *node, uint32_t rank, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(node->pool, len);

    if (msg == NULL) {
        node->wrong = "out of memory";
        return NULL;
    }
    msg->env.handler = CHI_HANDLER_INVOKE;
    msg->env.source_pe = node->rank;
    msg->env.entry = rank;
    msg->env.collection = node->sent_to[rank];
    msg->env.key = ~node->sent_to[rank];
    for (uint64_t i = 0; i < len; i++) {
        msg->bytes[i] = pattern_byte(node->rank, node->sent_to[rank], i);
    }
    return msg;
}

static inline chare_status
node_send_msg(struct node *node, uint32_t rank, struct chi_msg *msg)
{
    const bool in_progress = node->in_progress;
    chare_status status;

    node->in_send = true;
    node->in_progress = false;
    status = chi_net_send(node->net, rank, msg);
    node->in_progress = in_progress;
    node->in_send = false;
    if (status == CHARE_OK) {
        node->sent_to[rank]++;
    }
    return status;
}

/* Send 'len' checkable bytes; what is refused is released here. */
static inline chare_status
node_send(struct node *node, uint32_t rank, uint64_t len)
{
    struct chi_msg *msg = node_msg(node, rank, len);
    chare_status status;

    if (msg == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = node_send_msg(node, rank, msg);
    if (status != CHARE_OK) {
        chi_msg_release(msg);
    }
    return status;
}

static inline const char *
node_judge(struct node *node, const struct chi_msg *msg)
{
    const uint32_t source = msg->env.source_pe;
    const uint64_t sequence = msg->env.collection;

    if (node->in_send || !node->in_progress) {
        return "an upcall outside progress()";
    }
    if (msg->env.handler != CHI_HANDLER_INVOKE ||
        msg->env.entry != node->rank || source >= RANKS_MAX ||
        msg->env.key != ~sequence || msg->pool != node->pool ||
        msg->references != 1 || msg->payload_ops != NULL) {
        return "a message that is not as it was sent";
    }
    if (sequence != node->arrived_from[source]) {
        return "a message lost, doubled or out of order";
    }
    for (uint64_t i = 0; i < msg->env.len; i++) {
        if (msg->bytes[i] != pattern_byte(source, sequence, i)) {
            return "contents that changed on the way";
        }
    }
    return NULL;
}

static inline void
node_answer(struct node *node, uint32_t rank, uint64_t len)
{
    if (node->answers.head != NULL || node_send(node, rank, len) != CHARE_OK) {
        struct chi_msg *msg = chi_msg_alloc(node->pool, len);

        if (msg != NULL) {
            msg->env.entry = rank;
            chi_msg_queue_push(&node->answers, msg);
        }
    }
}

static inline void
node_arrived(void *context, struct chi_msg *msg)
{
    struct node *node = context;
    const char *wrong = node_judge(node, msg);
    const uint32_t source = msg->env.source_pe;
    const uint64_t len = msg->env.len;

    if (wrong != NULL && node->wrong == NULL) {
        node->wrong = wrong;
    }
    node->arrived++;
    if (source < RANKS_MAX) {
        node->arrived_from[source]++;
    }
    chi_msg_release(msg);
    if (node->echo && wrong == NULL) {
        node_answer(node, source, len);
    }
}

static inline void
node_peer_lost(void *context, uint32_t rank, chare_status why)
{
    struct node *node = context;

    (void)rank;
    (void)why;
    node->lost++;
}

static inline void
node_got(void *context, uint64_t token, chare_status status)
{
    struct node *node = context;

    if (node->in_send || !node->in_progress) {
        node->wrong = "an upcall outside progress()";
    }
    node->got_count++;
    node->got_token = token;
    node->got_status = status;
}

/* One round of progress; sends the answers that wait. */
static inline uint32_t
node_progress(struct node *node)
{
    uint32_t events;

    node->in_progress = true;
    events = chi_net_progress(node->net, PROGRESS_EVENTS);
    node->in_progress = false;
    while (node->answers.head != NULL) {
        const struct chi_msg *msg = node->answers.head;

        if (node_send(node, msg->env.entry, msg->env.len) != CHARE_OK) {
            break;
        }
        chi_msg_release(chi_msg_queue_pop(&node->answers));
    }
    return events;
}

static inline uint64_t
node_data_max(const struct node *node)
{
    struct chi_net_limits limits;

    chi_net_limits(node->net, &limits);
    return limits.eager_bytes - sizeof(struct chi_envelope);
}

/* ---- life of a node */

static inline chare_status
node_open(struct node *node, const struct net_conform *conform, uint32_t rank,
          uint32_t size, void *shared)
{
    const struct chi_net_sink sink = {
        .context = node,
        .arrived = node_arrived,
        .peer_lost = node_peer_lost,
        .got = node_got,
    };
    struct chi_net_options options;
    char error[200];
    chare_status status;

    memset(node, 0, sizeof(*node));
    node->conform = conform;
    node->rank = rank;
    node->log = (struct chi_log){.level = CHI_LOG_ERROR, .pe = rank};
    status = chi_settings_read(&node->settings, error, sizeof(error));
    if (status != CHARE_OK) {
        return status;
    }
    if (conform->adjust != NULL) {
        conform->adjust(&node->settings);
    }
    status = chi_msg_pool_create(&node->pool);
    if (status != CHARE_OK) {
        return status;
    }
    options = (struct chi_net_options){
        .log = &node->log,
        .settings = &node->settings,
        .clock = conform->world_clock != NULL ? conform->world_clock(shared)
                                              : &chi_clock_real,
        .pool = node->pool,
        .rank = rank,
        .size = size,
        .provider_options = shared,
    };
    status = chi_net_open(conform->ops, &options, &sink, &node->net);
    if (status != CHARE_OK) {
        chi_msg_pool_destroy(node->pool);
        node->pool = NULL;
    }
    return status;
}

/* Returns how many messages leaked. */
static inline uint64_t
node_close(struct node *node)
{
    uint64_t live = 0;

    if (node->net != NULL) {
        chi_net_close(node->net);
    }
    chi_msg_queue_clear(&node->answers);
    if (node->pool != NULL) {
        live = chi_msg_pool_live(node->pool);
        if (live == 0) {
            chi_msg_pool_destroy(node->pool);
        }
    }
    node->net = NULL;
    node->pool = NULL;
    return live;
}

/* ---- worlds */

/* Close all; false when messages leaked or a rule was broken. */
static inline bool
world_close(struct world *world)
{
    bool good = true;

    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        const uint64_t live = node_close(node);

        if (live != 0) {
            printf("# rank %u leaked %llu messages\n", node->rank,
                   (unsigned long long)live);
            good = false;
        }
        if (node->wrong != NULL) {
            printf("# rank %u saw %s\n", node->rank, node->wrong);
            good = false;
        }
    }
    if (world->shared != NULL && world->conform->world_close != NULL) {
        world->conform->world_close(world->shared);
    }
    world->shared = NULL;
    return good;
}

/* Let every node reach every other, or itself when it is alone. */
static inline bool
world_connect(struct world *world, const uint64_t *job_keys)
{
    unsigned char bytes[NODES_MAX][CHI_NET_ADDRESS_BYTES_MAX];
    struct chi_net_peer peers[NODES_MAX];

    for (uint32_t i = 0; i < world->count; i++) {
        size_t len = sizeof(bytes[i]);

        if (chi_net_address(world->nodes[i].net, bytes[i], &len) != CHARE_OK) {
            return false;
        }
        peers[i] = (struct chi_net_peer){
            .rank = world->nodes[i].rank, .address = bytes[i], .len = len};
    }
    for (uint32_t i = 0; i < world->count; i++) {
        struct chi_net_peer others[NODES_MAX];
        uint32_t count = 0;

        for (uint32_t j = 0; j < world->count; j++) {
            if (j != i || world->count == 1) {
                others[count++] = peers[j];
            }
        }
        if (chi_net_connect(world->nodes[i].net, job_keys[i], others, count) !=
            CHARE_OK) {
            return false;
        }
    }
    return true;
}

/* 'count' nodes with the given ranks, not yet connected. */
static inline bool
world_open_ranks(struct world *world, const struct net_conform *conform,
                 uint32_t count, const uint32_t *ranks, uint32_t size)
{
    memset(world, 0, sizeof(*world));
    world->conform = conform;
    if (conform->world_open != NULL) {
        world->shared = conform->world_open(size);
    }
    for (uint32_t i = 0; i < count; i++) {
        const chare_status status = node_open(&world->nodes[i], conform,
                                              ranks[i], size, world->shared);

        if (status != CHARE_OK) {
            printf("# open of rank %u: %s\n", ranks[i],
                   chare_status_name(status));
            (void)world_close(world);
            return false;
        }
        world->count++;
    }
    return true;
}

/* At most 'count' nodes, connected; a lone provider gets one. */
static inline bool
world_open(struct world *world, const struct net_conform *conform,
           uint32_t count)
{
    static const uint32_t ranks[NODES_MAX] = {0, 1, 2, 3};
    static const uint64_t keys[NODES_MAX] = {77, 77, 77, 77};
    const uint32_t nodes = conform->alone ? 1 : count;

    if (!world_open_ranks(world, conform, nodes, ranks, nodes)) {
        return false;
    }
    if (!world_connect(world, keys)) {
        printf("# connect failed\n");
        (void)world_close(world);
        return false;
    }
    return true;
}

/* Progress of all nodes but 'asleep'; false: nothing happens any more. */
static inline bool
world_pump_but(struct world *world, const struct node *asleep)
{
    uint32_t events = 0;

    for (uint32_t i = 0; i < world->count; i++) {
        if (world->nodes[i].net != NULL && &world->nodes[i] != asleep) {
            events += node_progress(&world->nodes[i]);
        }
        if (world->nodes[i].wrong != NULL) {
            return false;
        }
    }
    if (world->conform->world_step != NULL) {
        world->conform->world_step(world->shared);
    }
    world->idle = events > 0 ? 0 : world->idle + 1;
    if (world->idle > IDLE_ROUNDS_BUSY) {
        (void)poll(NULL, 0, 1);
    }
    return world->idle < IDLE_ROUNDS_MAX;
}

static inline bool
world_pump(struct world *world)
{
    return world_pump_but(world, NULL);
}

/* Pump until 'condition' holds; false when it never does. */
#define WORLD_UNTIL(world, condition)               \
    __extension__({                                 \
        (world)->idle = 0;                          \
        while (!(condition) && world_pump(world)) { \
        }                                           \
        (condition);                                \
    })

/* Send for sure, pumping while there is no room. */
static inline bool
world_send(struct world *world, struct node *from, uint32_t rank, uint64_t len)
{
    chare_status status;

    world->idle = 0;
    while ((status = node_send(from, rank, len)) == CHARE_ERR_AGAIN) {
        if (!world_pump(world)) {
            return false;
        }
    }
    return status == CHARE_OK;
}

/* Both ways, so that both ends accept and connect. */
static inline bool
world_both_talk(struct world *world, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!world_send(world, &world->nodes[0], 1, i * 10) ||
            !world_send(world, &world->nodes[1], 0, i * 10)) {
            return false;
        }
    }
    return WORLD_UNTIL(
        world, world->nodes[0].arrived == world->nodes[1].sent_to[0] &&
                   world->nodes[1].arrived == world->nodes[0].sent_to[1]);
}

#endif /* CHARE_TEST_NET_WORLD_H */
