/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TEST_NET_CONFORM_H
#define CHARE_TEST_NET_CONFORM_H

/*
 * net_conform.h - what every net provider must do: the contract of net/net.h.
 *
 * Goal:   rules 1 to 5 of net.h, limits, back-pressure, waiting, RMA, and that
 *         nothing leaks, whatever the moment of the close.
 * Method: the same cases for every provider, in worlds (several nets in one
 *         thread) and teams (forked processes). Every message is checked for
 *         contents and order as it arrives, and pools count what lives.
 *
 * A provider's test is a few lines:
 *
 *     #include "config.h"
 *     #include "conform/net_conform.h"
 *     #include "net/sim.h"
 *
 *     static const struct net_conform conform = {
 *         .ops = &chi_net_sim_ops, ...};
 *     NET_CONFORM_MAIN(&conform)
 *
 * A provider whose open() says CHARE_ERR_NOT_FOUND is skipped as a whole.
 */

#include "conform/net_processes.h"

#include "base/prng.h"

/* Lengths of data that are worth trying: all small ones, then the edges. */
static inline uint64_t
size_after(uint64_t len, uint64_t len_max)
{
    uint64_t power;

    if (len < 300) {
        return len + 1;
    }
    if (len >= len_max - 2) {
        return len + 1;
    }
    /* One below, at and one above each power of two, with and without the
     * envelope. */
    for (power = 256; power <= len_max; power *= 2) {
        for (int i = -2; i <= 2; i++) {
            const uint64_t bare = power + (uint64_t)i;
            const uint64_t wire = bare - sizeof(struct chi_envelope);

            if (wire > len && wire < len_max) {
                return wire;
            }
            if (bare > len && bare < len_max) {
                return bare;
            }
        }
    }
    return len_max - 2;
}

/* ---- cases */

static inline void
address_needs_room(void)
{
    unsigned char bytes[CHI_NET_ADDRESS_BYTES_MAX];
    unsigned char again[CHI_NET_ADDRESS_BYTES_MAX];
    const uint32_t rank = 0;
    struct world world;
    size_t len = sizeof(bytes);
    size_t room;

    CHECK(world_open_ranks(&world, net_conform, 1, &rank, 1));
    CHECK_EQ(chi_net_address(world.nodes[0].net, bytes, &len), CHARE_OK);
    CHECK(len > 0);
    room = len;
    CHECK_EQ(chi_net_address(world.nodes[0].net, again, &room), CHARE_OK);
    CHECK_EQ(room, len);
    CHECK(memcmp(bytes, again, len) == 0);
    room = len - 1;
    CHECK_EQ(chi_net_address(world.nodes[0].net, again, &room),
             CHARE_ERR_TOO_LARGE);
    room = 0;
    CHECK_EQ(chi_net_address(world.nodes[0].net, again, &room),
             CHARE_ERR_TOO_LARGE);
    CHECK(world_close(&world));
}

static inline void
limits_are_constant(void)
{
    struct chi_net_limits before;
    struct chi_net_limits after;
    struct world world;
    int fd;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    chi_net_limits(world.nodes[0].net, &before);
    CHECK(before.eager_bytes >= 1024);
    fd = chi_net_wait_fd(world.nodes[0].net);
    CHECK(world_send(&world, &world.nodes[0], world_last(&world)->rank, 8));
    CHECK(WORLD_UNTIL(&world, world_last(&world)->arrived == 1));
    chi_net_limits(world.nodes[0].net, &after);
    CHECK_EQ(after.eager_bytes, before.eager_bytes);
    CHECK_EQ(after.rma, before.rma);
    CHECK_EQ(chi_net_wait_fd(world.nodes[0].net), fd);
    CHECK(world_close(&world));
}

static inline void
every_size_arrives(void)
{
    struct world world;
    struct node *to;
    uint64_t sent = 0;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    for (uint64_t len = 0; len <= node_data_max(to);
         len = size_after(len, node_data_max(to))) {
        CHECK(world_send(&world, &world.nodes[0], to->rank, len));
        sent++;
        CHECK(WORLD_UNTIL(&world, to->arrived == sent));
    }
    CHECK(world_close(&world));
}

static inline void
ranks_may_have_gaps(void)
{
    static const uint32_t ranks[] = {1, 3, 6};
    static const uint64_t keys[] = {9, 9, 9};
    struct world world;

    NEEDS_TOGETHER();
    if (net_conform->alone || net_conform->dense_ranks) {
        SKIP("the provider connects all ranks");
    }
    CHECK(world_open_ranks(&world, net_conform, 3, ranks, 8));
    CHECK(world_connect(&world, keys));
    for (int i = 0; i < 10; i++) {
        for (uint32_t from = 0; from < 3; from++) {
            CHECK(world_send(&world, &world.nodes[from], ranks[(from + 1) % 3],
                             20));
            CHECK(world_send(&world, &world.nodes[from], ranks[(from + 2) % 3],
                             20));
        }
    }
    CHECK(WORLD_UNTIL(&world, world.nodes[0].arrived == 20 &&
                                  world.nodes[1].arrived == 20 &&
                                  world.nodes[2].arrived == 20));
    CHECK(world_close(&world));
}

static inline void
too_large_stays_with_the_caller(void)
{
    struct world world;
    struct node *from;
    struct chi_msg *msg;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    from = &world.nodes[0];
    msg = node_msg(from, world_last(&world)->rank, node_data_max(from) + 1);
    CHECK(msg != NULL);
    CHECK_EQ(node_send_msg(from, world_last(&world)->rank, msg),
             CHARE_ERR_TOO_LARGE);
    chi_msg_release(msg);
    msg = node_msg(from, world_last(&world)->rank, 4 * node_data_max(from));
    CHECK(msg != NULL);
    CHECK_EQ(node_send_msg(from, world_last(&world)->rank, msg),
             CHARE_ERR_TOO_LARGE);
    chi_msg_release(msg);
    CHECK(world_send(&world, from, world_last(&world)->rank, 8));
    CHECK(WORLD_UNTIL(&world, world_last(&world)->arrived == 1));
    CHECK(world_close(&world));
}

/* Send without a receiver's progress until there is no room. */
static inline bool
fill(struct node *from, uint32_t rank, uint64_t len, uint64_t *sent_out)
{
    uint64_t bytes = 0;
    uint64_t sent = 0;
    chare_status status;

    while ((status = node_send(from, rank, len)) == CHARE_OK) {
        bytes += sizeof(struct chi_envelope) + len;
        sent++;
        if (sent > BACKLOG_MESSAGES_MAX || bytes > BACKLOG_BYTES_MAX) {
            printf("# no back-pressure after %llu messages of %llu bytes\n",
                   (unsigned long long)sent, (unsigned long long)len);
            return false;
        }
    }
    *sent_out = sent;
    return status == CHARE_ERR_AGAIN;
}

static inline void
back_pressure_is_bounded(void)
{
    struct world world;
    struct node *to;
    uint64_t total = 0;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    for (int round = 0; round < 6; round++) {
        const uint64_t len = round % 2 == 0 ? node_data_max(to)
                             : round == 1   ? 8
                                            : 100;
        struct chi_msg *msg;
        uint64_t sent;

        CHECK(fill(&world.nodes[0], to->rank, len, &sent));
        CHECK(sent > 0);
        total += sent;
        /* The same message, refused again and again, passes in the end. */
        msg = node_msg(&world.nodes[0], to->rank, len);
        CHECK(msg != NULL);
        world.idle = 0;
        while (node_send_msg(&world.nodes[0], to->rank, msg) != CHARE_OK) {
            CHECK(world_pump(&world));
        }
        total++;
        CHECK(WORLD_UNTIL(&world, to->arrived == total));
    }
    CHECK(world_close(&world));
}

static inline void
order_holds_in_a_flood(void)
{
    struct chi_prng prng;
    struct world world;
    uint32_t count;

    NEEDS_TOGETHER();
    chi_prng_init(&prng, 1);
    CHECK(world_open(&world, net_conform, NODES_MAX));
    count = world.count;
    for (uint32_t i = 0; i < FLOOD_MESSAGES; i++) {
        for (uint32_t pair = 0; pair < count * count; pair++) {
            struct node *from = &world.nodes[pair / count];
            const uint32_t to = pair % count;
            const uint64_t most = i % 64 == 0 ? node_data_max(from) : 200;

            if (count == 1 || from->rank != to) {
                CHECK(world_send(&world, from, to,
                                 chi_prng_below(&prng, most + 1)));
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t want =
            (uint64_t)FLOOD_MESSAGES * (count == 1 ? 1 : count - 1);

        CHECK(WORLD_UNTIL(&world, world.nodes[i].arrived >= want));
        CHECK_EQ(world.nodes[i].arrived, want);
    }
    CHECK(world_close(&world));
}

static inline void
an_upcall_may_send(void)
{
    struct world world;
    struct node *from;
    struct node *to;

    NEEDS_TOGETHER();
    if (net_conform->alone) {
        SKIP("needs two");
    }
    CHECK(world_open(&world, net_conform, 2));
    from = &world.nodes[0];
    to = &world.nodes[1];
    to->echo = true;
    for (uint64_t i = 0; i < ROUND_TRIPS; i++) {
        CHECK(world_send(&world, from, 1, i % 300));
    }
    CHECK(WORLD_UNTIL(&world, from->arrived == ROUND_TRIPS));
    from->echo = true;
    CHECK(world_send(&world, from, 1, 8));
    CHECK(WORLD_UNTIL(&world, from->arrived == 2 * ROUND_TRIPS));
    CHECK(world_close(&world));
}

static inline void
events_are_limited(void)
{
    struct world world;
    struct node *to;
    uint64_t sent = 0;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    while (sent < 50 && node_send(&world.nodes[0], to->rank, 8) == CHARE_OK) {
        sent++;
    }
    CHECK(sent > 0);
    world.idle = 0;
    while (to->arrived < sent) {
        const uint64_t before = to->arrived;
        const bool other_than_to = &world.nodes[0] != to;
        uint32_t events;

        to->in_progress = true;
        events = chi_net_progress(to->net, 1);
        to->in_progress = false;
        CHECK(events <= 1);
        CHECK(to->arrived - before <= 1);
        CHECK(!other_than_to || world_pump_but(&world, to));
    }
    CHECK(world_close(&world));
}

static inline void
drained_tells_the_truth(void)
{
    struct world world;
    struct node *to;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    for (int round = 0; round < 20; round++) {
        struct node *from = &world.nodes[0];

        for (int i = 0; i < 20; i++) {
            CHECK(world_send(&world, from, to->rank,
                             (uint64_t)round * 50 % node_data_max(from)));
        }
        CHECK(WORLD_UNTIL(&world, chi_net_drained(from->net)));
        /* From now on the sender does nothing, and yet all arrives. */
        world.idle = 0;
        while (to->arrived < from->sent_to[to->rank]) {
            CHECK(world_pump_but(&world, from == to ? NULL : from));
        }
    }
    CHECK(world_close(&world));
}

static inline void
close_frees_what_is_in_flight(void)
{
    NEEDS_TOGETHER();
    NEEDS_SURVIVORS();
    for (int round = 0; round < 8; round++) {
        struct world world;
        struct node *first;

        CHECK(world_open(&world, net_conform, 2));
        for (uint32_t i = 0; i < 30; i++) {
            const chare_status status =
                node_send(&world.nodes[0], world_last(&world)->rank,
                          i * 40 % node_data_max(&world.nodes[0]));

            CHECK(status == CHARE_OK || status == CHARE_ERR_AGAIN);
        }
        for (int i = 0; i < round / 2 * 10; i++) {
            CHECK(world_pump(&world));
        }
        /* The sender first, or the receiver. */
        first = round % 2 == 0 ? &world.nodes[0] : world_last(&world);
        CHECK_EQ(node_close(first), 0);
        if (world.count > 1) {
            for (int i = 0; i < 10; i++) {
                CHECK(world_pump(&world));
            }
        }
        CHECK(world_close(&world));
    }
}

static inline void
a_closed_receiver_does_no_harm(void)
{
    struct world world;

    NEEDS_TOGETHER();
    NEEDS_SURVIVORS();
    if (net_conform->alone) {
        SKIP("needs two");
    }
    CHECK(world_open(&world, net_conform, 3));
    CHECK(world_send(&world, &world.nodes[0], 2, 8));
    CHECK(WORLD_UNTIL(&world, world.nodes[2].arrived == 1));
    CHECK_EQ(node_close(&world.nodes[2]), 0);
    for (uint32_t i = 0; i < 500; i++) {
        const chare_status status = node_send(&world.nodes[0], 2, 8);

        CHECK(status == CHARE_OK || status == CHARE_ERR_AGAIN ||
              status == CHARE_ERR_PEER_LOST);
        CHECK(world_send(&world, &world.nodes[0], 1, 8));
    }
    CHECK(WORLD_UNTIL(&world, world.nodes[1].arrived == 500));
    CHECK(world_close(&world));
}

static inline void
malformed_is_dropped_and_counted(void)
{
    struct world world;
    struct node *from;
    struct node *to;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    from = &world.nodes[0];
    to = world_last(&world);
    for (uint32_t i = 0; i < 12; i++) {
        struct chi_msg *msg = node_msg(from, to->rank, 8);

        CHECK(msg != NULL);
        if (i % 3 == 0) {
            msg->env.version++;
        } else if (i % 3 == 1) {
            msg->env.handler = (uint8_t)(CHI_HANDLER_COUNT + i);
        } else {
            msg->env.trailer_len = 9; /* of 8 bytes */
        }
        world.idle = 0;
        while (chi_net_send(from->net, to->rank, msg) != CHARE_OK) {
            CHECK(world_pump(&world));
        }
    }
    CHECK(WORLD_UNTIL(&world, to->net->foreign_dropped == 12));
    CHECK_EQ(to->arrived, 0);
    CHECK(world_send(&world, from, to->rank, 8));
    CHECK(WORLD_UNTIL(&world, to->arrived == 1));
    CHECK(world_close(&world));
}

static inline void
foreign_input_is_dropped_and_counted(void)
{
    struct world world;
    struct node *to;
    uint64_t count = 0;

    NEEDS_TOGETHER();
    if (net_conform->inject == NULL) {
        SKIP("the provider names no way in for strangers");
    }
    CHECK(world_open(&world, net_conform, 2));
    to = world_last(&world);
    for (int i = 0; i < 20; i++) {
        count += net_conform->inject(to->net);
        CHECK(WORLD_UNTIL(&world, to->net->foreign_dropped >= count));
        CHECK(world_send(&world, &world.nodes[0], to->rank, 8));
    }
    CHECK(WORLD_UNTIL(&world, to->arrived == 20));
    CHECK_EQ(to->net->foreign_dropped, count);
    CHECK(world_close(&world));
}

static inline void
another_job_is_kept_out(void)
{
    static const uint32_t ranks[] = {0, 1, 2};
    static const uint64_t keys[] = {9, 9, 10};
    struct world world;
    struct node *to;

    NEEDS_TOGETHER();
    if (net_conform->alone || net_conform->key_unused) {
        SKIP("the provider keeps strangers out by other means");
    }
    CHECK(world_open_ranks(&world, net_conform, 3, ranks, 3));
    CHECK(world_connect(&world, keys));
    to = &world.nodes[1];
    for (int i = 0; i < 10; i++) {
        chare_status status = node_send(&world.nodes[2], 1, 8);

        CHECK(status == CHARE_OK || status == CHARE_ERR_AGAIN ||
              status == CHARE_ERR_PEER_LOST);
        CHECK(world_send(&world, &world.nodes[0], 1, 8));
    }
    CHECK(WORLD_UNTIL(&world, to->arrived_from[0] == 10));
    CHECK(WORLD_UNTIL(&world, to->net->foreign_dropped > 0 ||
                                  world.nodes[2].lost > 0));
    CHECK_EQ(to->arrived, 10);
    CHECK(world_close(&world));
}

static inline void
rma_is_refused(struct node *owner, uint32_t peer)
{
    unsigned char key[CHI_NET_RMA_KEY_BYTES_MAX] = {0};
    size_t key_len = sizeof(key);
    uint64_t handle;

    CHECK_EQ(chi_net_expose(owner->net, key, 1, key, &key_len, &handle),
             CHARE_ERR_STATE);
    CHECK_EQ(chi_net_get(owner->net, peer, key, sizeof(key), 0, key, 1, 1),
             CHARE_ERR_STATE);
}

static inline void
rma_reads_what_is_exposed(void)
{
    static const uint64_t sizes[] = {1, 4096, (1 << 20) + 3, 24 << 20};
    struct chi_net_limits limits;
    struct world world;
    struct node *owner;
    struct node *reader;

    NEEDS_TOGETHER();
    CHECK(world_open(&world, net_conform, 2));
    owner = &world.nodes[0];
    reader = world_last(&world);
    chi_net_limits(owner->net, &limits);
    if (!limits.rma) {
        rma_is_refused(owner, reader->rank);
        CHECK(world_close(&world));
        SKIP("the provider has no RMA");
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char key[CHI_NET_RMA_KEY_BYTES_MAX];
        unsigned char *bytes = malloc(sizes[i]);
        unsigned char *into = calloc(1, sizes[i] + 1);
        const uint64_t half = sizes[i] / 2;
        const uint64_t begins[] = {0, half, sizes[i]};
        size_t key_len = sizeof(key);
        uint64_t handle;

        CHECK(bytes != NULL && into != NULL);
        for (uint64_t j = 0; j < sizes[i]; j++) {
            bytes[j] = pattern_byte(1, sizes[i], j);
        }
        CHECK_EQ(chi_net_expose(owner->net, bytes, sizes[i], key, &key_len,
                                &handle),
                 CHARE_OK);
        /* The second half, then the first. */
        for (int part = 1; part >= 0; part--) {
            const uint64_t begin = begins[part];
            const uint64_t len = begins[part + 1] - begin;
            const uint64_t want = reader->got_count + 1;
            const uint64_t token = i * 10 + (uint64_t)part;
            chare_status status;

            if (len == 0) {
                continue;
            }
            world.idle = 0;
            while ((status = chi_net_get(reader->net, owner->rank, key,
                                         key_len, begin, into + begin, len,
                                         token)) == CHARE_ERR_AGAIN) {
                CHECK(world_pump(&world));
            }
            CHECK_EQ(status, CHARE_OK);
            CHECK(WORLD_UNTIL(&world, reader->got_count == want));
            CHECK_EQ(reader->got_status, CHARE_OK);
            CHECK_EQ(reader->got_token, token);
        }
        CHECK(memcmp(bytes, into, sizes[i]) == 0);
        CHECK_EQ(into[sizes[i]], 0); /* not beyond the end */
        chi_net_unexpose(owner->net, handle);
        free(bytes);
        free(into);
    }
    CHECK(world_close(&world));
}

/* ---- main */

static inline int
net_conform_run(const struct net_conform *conform, int argc, char **argv)
{
    static const struct tap_case cases[] = {
        TAP_CASE(address_needs_room),
        TAP_CASE(limits_are_constant),
        TAP_CASE(every_size_arrives),
        TAP_CASE(ranks_may_have_gaps),
        TAP_CASE(too_large_stays_with_the_caller),
        TAP_CASE(back_pressure_is_bounded),
        TAP_CASE(order_holds_in_a_flood),
        TAP_CASE(an_upcall_may_send),
        TAP_CASE(events_are_limited),
        TAP_CASE(drained_tells_the_truth),
        TAP_CASE(close_frees_what_is_in_flight),
        TAP_CASE(a_closed_receiver_does_no_harm),
        TAP_CASE(malformed_is_dropped_and_counted),
        TAP_CASE(foreign_input_is_dropped_and_counted),
        TAP_CASE(another_job_is_kept_out),
        TAP_CASE(rma_reads_what_is_exposed),
        TAP_CASE(no_sleep_with_something_to_do),
        TAP_CASE(a_sleeper_is_woken),
        TAP_CASE(sleepers_never_miss_each_other),
        TAP_CASE(bursts_wake_a_sleeper),
        TAP_CASE(many_sleepers_go_round),
        TAP_CASE(a_nudge_ends_a_nap),
        TAP_CASE(two_processes_flood_each_other),
        TAP_CASE(four_processes_flood_each_other),
        TAP_CASE(a_killed_peer_does_no_harm),
    };
    struct node probe;
    void *shared = NULL;
    chare_status status;

    net_conform = conform;
    if (conform->world_open != NULL) {
        shared = conform->world_open(1);
    }
    status = node_open(&probe, conform, 0, 1, shared);
    if (status == CHARE_OK) {
        (void)node_close(&probe);
    }
    if (shared != NULL && conform->world_close != NULL) {
        conform->world_close(shared);
    }
    if (status == CHARE_ERR_NOT_FOUND) {
        printf("1..0 # SKIP %s is not available here\n", conform->ops->name);
        return EXIT_SUCCESS;
    }
    return tap_run(cases, (int)(sizeof(cases) / sizeof(cases[0])), argc, argv);
}

#define NET_CONFORM_MAIN(conform)                    \
    int main(int argc, char **argv)                  \
    {                                                \
        return net_conform_run(conform, argc, argv); \
    }

#endif /* CHARE_TEST_NET_CONFORM_H */
