/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ofi_large.c - large messages between nodes: one copy, the wire's own.
 *
 * Goal:   a large message is read from the sender's message itself straight
 *         into the message that the receiver gets, on every provider with
 *         RMA; also when nets refuse most calls for now; and who is lost while
 *         it is fetched is reported once, and leaves no memory behind. Who
 *         fetches can close at any time: all of its net if the sender answers,
 *         and if it does not, only what libfabric survives.
 * Method: two routes in one thread, on the loopback interface. The sender's
 *         bytes are changed after send() took them, which only a reader of
 *         that memory can see; a net whose get() is watched tells where to.
 *         Whether an endpoint was closed is seen by its sockets.
 */
#include "config.h"

#include "ofi/ofi.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/route.h"
#include "tap/ofi_leaks.h"
#include "tap/tap.h"

enum {
    LARGE_BYTES = 3 * 1024 * 1024 + 77,
    ENDS = 2,
    HALF_BYTES = 64 * 1024 * 1024, /* more than sockets hold */
    HALF_STEPS = 5,
    REFUSE_MOST = 4, /* one of so many calls is not refused */
};

#define JOB_KEY     UINT64_C(0x1234)
#define PATIENCE_NS (30000 * CHI_NS_PER_MS)

/* What the watched net has seen; one thread, one test at a time. */
static struct {
    const unsigned char *into; /* of the first get() */
    uint64_t bytes;            /* of all */
    uint32_t gets;
    uint32_t refuse; /* 0: nothing, else as REFUSE_MOST */
    uint32_t calls;
} watched;

static struct chi_net_ops ops;

static bool
refused(void)
{
    return watched.refuse > 0 && ++watched.calls % watched.refuse != 0;
}

static chare_status
watched_open(const struct chi_net_options *options,
             const struct chi_net_sink *sink, struct chi_net **net_out)
{
    const chare_status status = chi_net_ofi_ops.open(options, sink, net_out);

    if (status == CHARE_OK) {
        (*net_out)->ops = &ops;
    }
    return status;
}

static chare_status
watched_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    return refused() ? CHARE_ERR_AGAIN : chi_net_ofi_ops.send(net, rank, msg);
}

static chare_status
watched_get(struct chi_net *net, uint32_t rank, const void *key,
            size_t key_len, uint64_t offset, void *into, uint64_t len,
            uint64_t token)
{
    chare_status status = CHARE_ERR_AGAIN;

    if (!refused()) {
        status = chi_net_ofi_ops.get(net, rank, key, key_len, offset, into,
                                     len, token);
    }
    if (status == CHARE_OK) {
        watched.into = watched.into == NULL ? into : watched.into;
        watched.bytes += len;
        watched.gets++;
    }
    return status;
}

/* ---- two ends */

struct end {
    struct chi_route *route;
    struct chi_net *net;
    struct chi_msg_pool *pool;
    struct chi_msg *got;
    uint32_t lost;
};

struct pair {
    struct chi_log log;
    struct chi_settings settings;
    struct end ends[ENDS];
};

static void
arrived(void *context, struct chi_msg *msg)
{
    struct end *end = context;

    if (end->got != NULL) {
        chi_msg_release(end->got);
    }
    end->got = msg;
}

static void
peer_lost(void *context, uint32_t rank, chare_status why)
{
    struct end *end = context;

    (void)rank;
    (void)why;
    end->lost++;
}

static chare_status
end_open(struct pair *pair, uint32_t rank)
{
    struct end *end = &pair->ends[rank];
    const struct chi_route_sink sink = {end, arrived, peer_lost, NULL, NULL};
    struct chi_net_options options = {
        .log = &pair->log,
        .settings = &pair->settings,
        .clock = &chi_clock_real,
        .rank = rank,
        .size = ENDS,
    };
    chare_status status = chi_msg_pool_create(&end->pool);

    if (status == CHARE_OK) {
        options.pool = end->pool;
        status = chi_route_open(&options, &sink, &end->route);
    }
    if (status == CHARE_OK) {
        status = chi_route_open_net(end->route, &ops, &end->net);
    }
    return status;
}

static void
end_close(struct end *end)
{
    chi_route_close(end->route);
    end->route = NULL;
    if (end->got != NULL) {
        chi_msg_release(end->got);
        end->got = NULL;
    }
}

/* False: this provider is not here, or has no RMA. */
static bool
pair_open(struct pair *pair, const char *provider)
{
    unsigned char addresses[ENDS][CHI_NET_ADDRESS_BYTES_MAX];
    size_t lens[ENDS];
    struct chi_net_limits limits = {0};
    char error[200];

    memset(pair, 0, sizeof(*pair));
    pair->log = (struct chi_log)CHI_LOG_INIT;
    if (chi_settings_read(&pair->settings, error, sizeof(error)) != CHARE_OK) {
        return false;
    }
    (void)snprintf(pair->settings.ofi_provider,
                   sizeof(pair->settings.ofi_provider), "%s", provider);
    (void)snprintf(pair->settings.ofi_interface,
                   sizeof(pair->settings.ofi_interface), "lo");
    ops = chi_net_ofi_ops;
    ops.open = watched_open;
    ops.send = watched_send;
    ops.get = watched_get;
    memset(&watched, 0, sizeof(watched));
    for (uint32_t i = 0; i < ENDS; i++) {
        if (end_open(pair, i) != CHARE_OK) {
            return false;
        }
        lens[i] = sizeof(addresses[i]);
        if (chi_net_address(pair->ends[i].net, addresses[i], &lens[i]) !=
            CHARE_OK) {
            return false;
        }
        chi_net_limits(pair->ends[i].net, &limits);
    }
    for (uint32_t i = 0; i < ENDS; i++) {
        const struct chi_net_peer peer = {1 - i, addresses[1 - i],
                                          lens[1 - i]};

        if (chi_route_connect(pair->ends[i].route, pair->ends[i].net, JOB_KEY,
                              &peer, 1) != CHARE_OK) {
            return false;
        }
    }
    return limits.rma;
}

/* False: memory is left. */
static bool
pair_close(struct pair *pair)
{
    bool clean = true;

    for (uint32_t i = 0; i < ENDS; i++) {
        struct end *end = &pair->ends[i];

        end_close(end);
        if (end->pool != NULL) {
            clean = clean && chi_msg_pool_live(end->pool) == 0;
            chi_msg_pool_close(end->pool);
        }
    }
    return clean;
}

static void
pump(struct pair *pair)
{
    for (uint32_t i = 0; i < ENDS; i++) {
        if (pair->ends[i].route != NULL) {
            (void)chi_route_progress(pair->ends[i].route, 16);
        }
    }
}

static bool
pump_until(struct pair *pair, bool (*come)(const struct pair *))
{
    const uint64_t end_ns = chi_clock_now_ns(&chi_clock_real) + PATIENCE_NS;

    while (!come(pair) && chi_clock_now_ns(&chi_clock_real) < end_ns) {
        pump(pair);
    }
    return come(pair);
}

static bool
it_arrived(const struct pair *pair)
{
    return pair->ends[1].got != NULL;
}

static bool
it_left(const struct pair *pair)
{
    return chi_route_drained(pair->ends[0].route);
}

static bool
a_fetch_began(const struct pair *pair)
{
    (void)pair;
    return watched.bytes > 0;
}

static bool
a_loss_was_told(const struct pair *pair)
{
    return pair->ends[0].lost + pair->ends[1].lost > 0;
}

/* A message of this length from end 0; the caller has a reference too. */
static struct chi_msg *
send_from_0(struct pair *pair, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(pair->ends[0].pool, len);

    if (msg == NULL) {
        return NULL;
    }
    msg->env.handler = CHI_HANDLER_INVOKE;
    msg->env.source_pe = 0;
    memset(msg->bytes, 'a', len);
    (void)chi_msg_ref(msg);
    if (chi_route_send(pair->ends[0].route, 1, msg) != CHARE_OK) {
        chi_msg_release(msg);
        chi_msg_release(msg);
        return NULL;
    }
    return msg;
}

static bool
holds(const struct chi_msg *msg, unsigned char first, unsigned char rest)
{
    uint64_t right = msg->bytes[0] == first;

    for (uint64_t i = 1; i < msg->env.len; i++) {
        right += msg->bytes[i] == rest;
    }
    return right == msg->env.len && msg->env.len == LARGE_BYTES;
}

/* ---- cases */

static void
one_copy(const char *provider, uint32_t refuse)
{
    struct pair pair;
    struct chi_msg *mine;
    const struct chi_msg *theirs;

    if (!pair_open(&pair, provider)) {
        (void)pair_close(&pair);
        SKIP("the provider is not here, or has no RMA");
    }
    watched.refuse = refuse;
    mine = send_from_0(&pair, LARGE_BYTES);
    CHECK(mine != NULL);
    mine->bytes[0] = 'z'; /* an offer went, and no byte of the message */
    CHECK(pump_until(&pair, it_arrived));
    theirs = pair.ends[1].got;
    CHECK(holds(theirs, 'z', 'a'));
    CHECK(watched.into == chi_msg_wire((struct chi_msg *)(uintptr_t)theirs));
    CHECK_EQ(watched.bytes, chi_msg_wire_len(theirs)); /* each byte once */
    chi_msg_release(mine);
    CHECK(pump_until(&pair, it_left));
    CHECK_EQ(chi_msg_pool_live(pair.ends[0].pool), 0);
    CHECK(pair_close(&pair));
}

static void
one_copy_over_rxm(void)
{
    one_copy("tcp;ofi_rxm", 0);
}

static void
one_copy_over_net(void)
{
    one_copy("net", 0);
}

static void
one_copy_over_sockets(void)
{
    one_copy("sockets", 0);
}

static void
one_copy_in_a_storm_over_rxm(void)
{
    one_copy("tcp;ofi_rxm", REFUSE_MOST);
}

static void
one_copy_in_a_storm_over_net(void)
{
    one_copy("net", REFUSE_MOST);
}

/* With its envelope: the rest would cost a round trip and two messages. */
static void
a_mebibyte_is_one_read(void)
{
    struct pair pair;
    struct chi_msg *mine;

    if (!pair_open(&pair, "tcp;ofi_rxm")) {
        (void)pair_close(&pair);
        SKIP("the provider is not here, or has no RMA");
    }
    mine = send_from_0(&pair, 1 << 20);
    CHECK(mine != NULL);
    chi_msg_release(mine);
    CHECK(pump_until(&pair, it_arrived));
    CHECK_EQ(watched.gets, 1);
    CHECK(pump_until(&pair, it_left));
    CHECK(pair_close(&pair));
}

/* End 'gone' goes when the first get() was asked for. */
static void
lost_while_it_is_fetched(const char *provider, uint32_t gone)
{
    struct pair pair;
    struct chi_msg *mine;
    struct end *left;

    if (!pair_open(&pair, provider)) {
        (void)pair_close(&pair);
        SKIP("the provider is not here, or has no RMA");
    }
    left = &pair.ends[1 - gone];
    mine = send_from_0(&pair, LARGE_BYTES);
    CHECK(mine != NULL);
    chi_msg_release(mine);
    CHECK(pump_until(&pair, a_fetch_began));
    end_close(&pair.ends[gone]);
    /* Who reads notices by itself; who is read is told by the watch. */
    if (gone == 0) {
        CHECK(pump_until(&pair, a_loss_was_told));
        CHECK_EQ(left->lost, 1);
        CHECK(left->got == NULL);
    }
    for (int i = 0; i < 1000; i++) {
        pump(&pair);
    }
    CHECK(left->lost <= 1);
    CHECK(pair_close(&pair));
}

static void
a_sender_is_lost_over_rxm(void)
{
    lost_while_it_is_fetched("tcp;ofi_rxm", 0);
}

static void
a_sender_is_lost_over_net(void)
{
    lost_while_it_is_fetched("net", 0);
}

static void
a_receiver_is_lost_over_rxm(void)
{
    lost_while_it_is_fetched("tcp;ofi_rxm", 1);
}

static void
a_receiver_is_lost_over_net(void)
{
    lost_while_it_is_fetched("net", 1);
}

/* Like a PE of its own: end 0 goes on while end 1 closes. */
struct answerer {
    struct pair *pair;
    atomic_bool over; /* relaxed: the thread is joined */
};

static void *
answer(void *context)
{
    struct answerer *answerer = context;

    while (!atomic_load_explicit(&answerer->over, memory_order_relaxed)) {
        (void)chi_route_progress(answerer->pair->ends[0].route, 16);
    }
    return NULL;
}

static bool
a_byte_came(const struct pair *pair)
{
    static const size_t behind_envelope = 4096;

    (void)pair;
    return watched.into != NULL && watched.into[behind_envelope] == 'a';
}

/* The sockets of this process. */
static uint32_t
socket_count(void)
{
    static const char mark[] = "socket:";
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint32_t count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char text[sizeof(mark) - 1] = "";

        count += readlinkat(dirfd(folder), entry->d_name, text,
                            sizeof(text)) == sizeof(text) &&
                 memcmp(text, mark, sizeof(text)) == 0;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count;
}

/* End 1 closes 'steps' looks after the first bytes of an answer came. An
 * answer that stops leaves its endpoint open: closing it would free a read
 * twice. */
static void
closed_in_an_answer(const char *provider, bool answered, int steps)
{
    struct pair pair;
    struct chi_msg *mine;
    struct answerer answerer = {.pair = &pair};
    pthread_t thread;
    uint32_t sockets;

    if (!pair_open(&pair, provider)) {
        (void)pair_close(&pair);
        SKIP("the provider is not here, or has no RMA");
    }
    mine = send_from_0(&pair, HALF_BYTES);
    CHECK(mine != NULL);
    chi_msg_release(mine);
    CHECK(pump_until(&pair, a_byte_came));
    for (int i = 0; i < steps && !it_arrived(&pair); i++) {
        pump(&pair);
    }
    sockets = socket_count();
    CHECK(sockets > 0);
    if (answered) {
        CHECK_EQ(pthread_create(&thread, NULL, answer, &answerer), 0);
    } else {
        CHECK(!it_arrived(&pair)); /* so something is to be answered */
    }
    end_close(&pair.ends[1]);
    if (answered) {
        atomic_store_explicit(&answerer.over, true, memory_order_relaxed);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(socket_count() < sockets);
    } else {
        CHECK(socket_count() >= sockets);
    }
    for (int i = 0; i < 1000; i++) {
        pump(&pair);
    }
    CHECK(pair_close(&pair));
}

static void
closed_in_an_answer_over_rxm(void)
{
    for (int steps = 0; steps < HALF_STEPS; steps++) {
        closed_in_an_answer("tcp;ofi_rxm", true, steps);
    }
}

static void
closed_in_an_answer_over_net(void)
{
    closed_in_an_answer("net", true, 1);
}

static void
closed_in_an_answer_that_stops_over_rxm(void)
{
    closed_in_an_answer("tcp;ofi_rxm", false, 1);
}

TAP_MAIN(TAP_CASE(one_copy_over_rxm), TAP_CASE(one_copy_over_net),
         TAP_CASE(one_copy_over_sockets),
         TAP_CASE(one_copy_in_a_storm_over_rxm),
         TAP_CASE(one_copy_in_a_storm_over_net),
         TAP_CASE(a_mebibyte_is_one_read), TAP_CASE(a_sender_is_lost_over_rxm),
         TAP_CASE(a_sender_is_lost_over_net),
         TAP_CASE(a_receiver_is_lost_over_rxm),
         TAP_CASE(a_receiver_is_lost_over_net),
         TAP_CASE(closed_in_an_answer_over_rxm),
         TAP_CASE(closed_in_an_answer_over_net),
         TAP_CASE(closed_in_an_answer_that_stops_over_rxm))
