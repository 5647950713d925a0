/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_shm.c - what a message costs on the shared-memory rings alone.
 *
 * Two processes, each pinned to a processor: ping-pong (half a round trip is
 * the latency) and a flood one way (with an answer at the end), at the net
 * interface, without a scheduler above. Best and median of several rounds; one
 * line for each size, as JSON.
 *
 *     net_shm [PROCESSOR PROCESSOR]
 */
#include "config.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/net.h"
#include "net/shm.h"

enum {
    ROUNDS = 11,
    PINGS = 20000,
    FLOOD_BYTES = 64 << 20,
    FLOOD_MESSAGES_MAX = 200000,
    BATCH = 64,
};

struct end {
    struct chi_net *net;
    struct chi_msg_pool *pool;
    uint32_t rank;
    uint64_t arrived;
};

static void
end_arrived(void *context, struct chi_msg *msg)
{
    struct end *end = context;

    end->arrived++;
    chi_msg_release(msg);
}

static void
end_lost(void *context, uint32_t rank, chare_status why)
{
    (void)context;
    (void)rank;
    (void)why;
    abort();
}

static void
end_got(void *context, uint64_t token, chare_status status)
{
    (void)context;
    (void)token;
    (void)status;
}

static void
end_send(struct end *end, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(end->pool, len);

    chi_assert(msg != NULL);
    msg->env.handler = CHI_HANDLER_INVOKE;
    msg->env.source_pe = end->rank;
    memset(msg->bytes, 1, len < 8 ? len : 8);
    while (chi_net_send(end->net, 1 - end->rank, msg) != CHARE_OK) {
        (void)chi_net_progress(end->net, BATCH);
        chi_cpu_relax();
    }
}

static void
end_wait(struct end *end, uint64_t arrived)
{
    while (end->arrived < arrived) {
        if (chi_net_progress(end->net, BATCH) == 0) {
            chi_cpu_relax();
        }
    }
}

static int
compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

/* Both ends run the same; rank 0 measures. Nanoseconds one way. */
static double
ping_pong(struct end *end, uint64_t len)
{
    const uint64_t base = end->arrived;
    const uint64_t begin = chi_clock_now_ns(&chi_clock_real);

    for (uint64_t i = 1; i <= PINGS; i++) {
        if (end->rank == 0) {
            end_send(end, len);
        }
        end_wait(end, base + i);
        if (end->rank == 1) {
            end_send(end, len);
        }
    }
    return (double)(chi_clock_now_ns(&chi_clock_real) - begin) / PINGS / 2;
}

/* Messages per second from rank 0 to rank 1. */
static double
flood(struct end *end, uint64_t len)
{
    const uint64_t most = FLOOD_BYTES / (len + 48);
    const uint64_t count =
        most < FLOOD_MESSAGES_MAX ? most : FLOOD_MESSAGES_MAX;
    const uint64_t base = end->arrived;
    const uint64_t begin = chi_clock_now_ns(&chi_clock_real);

    if (end->rank == 1) {
        end_wait(end, base + count);
        end_send(end, 0);
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        end_send(end, len);
    }
    end_wait(end, base + 1);
    return (double)count * 1e9 /
           (double)(chi_clock_now_ns(&chi_clock_real) - begin);
}

static void
measure(struct end *end)
{
    static const uint64_t lens[] = {8, 64, 256, 1024, 4096, 16000};

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        double latency[ROUNDS];
        double rate[ROUNDS];

        for (int round = 0; round < ROUNDS; round++) {
            latency[round] = ping_pong(end, lens[i]);
            rate[round] = flood(end, lens[i]);
        }
        qsort(latency, ROUNDS, sizeof(double), compare);
        qsort(rate, ROUNDS, sizeof(double), compare);
        if (end->rank == 0) {
            printf("{\"what\": \"net_shm\", \"bytes\": %llu, "
                   "\"latency_us_best\": %.3f, \"latency_us_median\": %.3f, "
                   "\"rate_m_best\": %.2f, \"rate_m_median\": %.2f}\n",
                   (unsigned long long)lens[i], latency[0] / 1e3,
                   latency[ROUNDS / 2] / 1e3, rate[ROUNDS - 1] / 1e6,
                   rate[ROUNDS / 2] / 1e6);
        }
    }
}

static void
end_run(uint32_t rank, int socket, int processor)
{
    const struct chi_log log = CHI_LOG_INIT;
    struct end end = {.rank = rank};
    const struct chi_net_sink sink = {&end, end_arrived, end_lost, end_got};
    unsigned char mine[CHI_NET_ADDRESS_BYTES_MAX] = {0};
    unsigned char theirs[CHI_NET_ADDRESS_BYTES_MAX];
    size_t len = sizeof(mine);
    struct chi_settings settings;
    struct chi_net_options options;
    struct chi_net_peer peer;
    char error[200];
    cpu_set_t set;
    bool ok;

    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
    ok = chi_settings_read(&settings, error, sizeof(error)) == CHARE_OK &&
         chi_msg_pool_create(&end.pool) == CHARE_OK;
    chi_assert(ok);
    options = (struct chi_net_options){
        .log = &log,
        .settings = &settings,
        .clock = &chi_clock_real,
        .pool = end.pool,
        .rank = rank,
        .size = 2,
    };
    ok = chi_net_open(&chi_net_shm_ops, &options, &sink, &end.net) ==
             CHARE_OK &&
         chi_net_address(end.net, mine, &len) == CHARE_OK &&
         write(socket, mine, sizeof(mine)) == sizeof(mine) &&
         recv(socket, theirs, sizeof(theirs), MSG_WAITALL) == sizeof(theirs);
    chi_assert(ok);
    peer = (struct chi_net_peer){1 - rank, theirs, len};
    ok = chi_net_connect(end.net, 1, &peer, 1) == CHARE_OK;
    chi_assert(ok);
    measure(&end);
    chi_net_close(end.net);
    chi_msg_pool_destroy(end.pool);
}

int
main(int argc, char **argv)
{
    const int first = argc == 3 ? atoi(argv[1]) : 0;
    const int second = argc == 3 ? atoi(argv[2]) : 1;
    int sockets[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) {
        return EXIT_FAILURE;
    }
    child = fork();
    if (child == 0) {
        end_run(1, sockets[1], second);
        _exit(0);
    }
    end_run(0, sockets[0], first);
    (void)waitpid(child, NULL, 0);
    return EXIT_SUCCESS;
}
