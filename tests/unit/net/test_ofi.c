/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ofi.c - what the libfabric net promises beside its contract.
 *
 * Goal:   the process stays as it was (signal handlers, binding); what was
 *         asked for and is missing is an error; strangers on the port that a
 *         socket provider listens on disturb nobody.
 * Method: nets on the loopback interface; strangers are plain TCP sockets, and
 *         a net with another key and longer messages.
 */
#include "config.h"

#include "ofi/ofi.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/prng.h"
#include "conform/net_world.h"
#include "tap/ofi_leaks.h"

enum {
    STRANGERS = 20,
    GARBAGE_BYTES = 4096,
};

static const char *provider = "tcp;ofi_rxm";

static void
adjust(struct chi_settings *settings)
{
    (void)snprintf(settings->ofi_provider, sizeof(settings->ofi_provider),
                   "%s", provider);
    (void)snprintf(settings->ofi_interface, sizeof(settings->ofi_interface),
                   "lo");
}

static void
adjust_long(struct chi_settings *settings)
{
    adjust(settings);
    settings->eager_bytes = 200000;
}

static void
adjust_missing(struct chi_settings *settings)
{
    adjust(settings);
    (void)snprintf(settings->ofi_provider, sizeof(settings->ofi_provider),
                   "no-such-provider");
}

static void
adjust_elsewhere(struct chi_settings *settings)
{
    adjust(settings);
    (void)snprintf(settings->ofi_interface, sizeof(settings->ofi_interface),
                   "203.0.113.");
}

static const struct net_conform ordinary = {.ops = &chi_net_ofi_ops,
                                            .adjust = adjust};
static const struct net_conform longer = {.ops = &chi_net_ofi_ops,
                                          .adjust = adjust_long};
static const struct net_conform missing = {.ops = &chi_net_ofi_ops,
                                           .adjust = adjust_missing};
static const struct net_conform elsewhere = {.ops = &chi_net_ofi_ops,
                                             .adjust = adjust_elsewhere};

static bool
available(const char *name)
{
    struct node node;
    chare_status status;

    provider = name;
    status = node_open(&node, &ordinary, 0, 1, NULL);
    if (status == CHARE_OK) {
        (void)node_close(&node);
    }
    return status == CHARE_OK;
}

static void
handler(int number)
{
    (void)number;
}

static void
the_process_stays_as_it_was(void)
{
    static const char *const names[] = {"tcp;ofi_rxm", "shm"};
    struct sigaction mine = {.sa_handler = handler};
    struct sigaction before[SIGUSR2 + 1];
    cpu_set_t mask_before;
    cpu_set_t mask;

    CHECK_EQ(sigaction(SIGINT, &mine, NULL), 0);
    for (int i = 1; i <= SIGUSR2; i++) {
        CHECK_EQ(sigaction(i, NULL, &before[i]), 0);
    }
    CHECK_EQ(sched_getaffinity(0, sizeof(mask_before), &mask_before), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)available(names[i]);
        for (int j = 1; j <= SIGUSR2; j++) {
            struct sigaction now;

            CHECK_EQ(sigaction(j, NULL, &now), 0);
            CHECK(now.sa_handler == before[j].sa_handler);
        }
    }
    CHECK_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
    CHECK(CPU_EQUAL(&mask_before, &mask));
    mine.sa_handler = SIG_DFL;
    CHECK_EQ(sigaction(SIGINT, &mine, NULL), 0);
}

static void
what_is_missing_is_an_error(void)
{
    struct node node;

    provider = "tcp;ofi_rxm";
    CHECK_EQ(node_open(&node, &missing, 0, 1, NULL), CHARE_ERR_NOT_FOUND);
    CHECK_EQ(node_open(&node, &elsewhere, 0, 1, NULL), CHARE_ERR_NOT_FOUND);
}

struct lines {
    uint32_t count;
    uint32_t chosen;
};

static void
line_count(void *context, const char *text)
{
    struct lines *lines = context;

    lines->count++;
    lines->chosen += text[0] == '*' && strstr(text, "chosen") != NULL;
}

static void
the_report_names_one_as_chosen(void)
{
    struct chi_log log = CHI_LOG_INIT;
    struct chi_settings settings;
    struct lines lines = {.count = 0};
    char error[200];

    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
    CHECK_EQ(chi_ofi_report(&log, &settings, line_count, &lines), CHARE_OK);
    CHECK(lines.count >= 2);
    CHECK_EQ(lines.chosen, 1);
    adjust_missing(&settings);
    lines = (struct lines){.count = 0};
    CHECK_EQ(chi_ofi_report(&log, &settings, line_count, &lines),
             CHARE_ERR_NOT_FOUND);
    CHECK(lines.count >= 2);
    CHECK_EQ(lines.chosen, 0);
}

static void
another_provider_is_noticed(void)
{
    unsigned char bytes[CHI_NET_ADDRESS_BYTES_MAX];
    struct chi_net_peer peer = {.rank = 1, .address = bytes};
    struct node node;
    size_t len = sizeof(bytes);

    if (!available("tcp;ofi_rxm")) {
        SKIP("there is no tcp;ofi_rxm");
    }
    CHECK_EQ(node_open(&node, &ordinary, 0, 2, NULL), CHARE_OK);
    node.log.level = CHI_LOG_ERROR;
    CHECK_EQ(chi_net_address(node.net, bytes, &len), CHARE_OK);
    bytes[0] ^= 1;
    peer.len = len;
    CHECK_EQ(chi_net_connect(node.net, 1, &peer, 1), CHARE_ERR_FABRIC);
    peer.len = 3;
    CHECK_EQ(chi_net_connect(node.net, 1, &peer, 1), CHARE_ERR_FABRIC);
    CHECK_EQ(node_close(&node), 0);
}

/* A TCP connection to where 'node' listens; -1: none. */
static int
stranger_connect(const struct node *node)
{
    unsigned char bytes[CHI_NET_ADDRESS_BYTES_MAX];
    size_t len = sizeof(bytes);
    struct sockaddr_in address;
    int fd;

    if (chi_net_address(node->net, bytes, &len) != CHARE_OK ||
        len < sizeof(address)) {
        return -1;
    }
    memcpy(&address, bytes + len - sizeof(address), sizeof(address));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* A stranger that is still there must not keep a net awake. */
static bool
may_sleep(struct world *world, struct node *node)
{
    struct pollfd pollfd = {.fd = chi_net_wait_fd(node->net),
                            .events = POLLIN};

    world->idle = 0;
    while (world_pump(world)) {
        if (chi_net_wait_begin(node->net) == CHARE_OK) {
            const bool quiet = pollfd.fd < 0 || poll(&pollfd, 1, 1) == 0;

            chi_net_wait_end(node->net);
            if (quiet) {
                return true;
            }
        }
    }
    return false;
}

/* Strangers who connect; half of them send what is no message, if they may. */
static void
strangers_disturb_nobody(const char *name, bool they_write)
{
    unsigned char garbage[GARBAGE_BYTES];
    int fds[STRANGERS];
    struct chi_prng prng;
    struct world world;

    if (!available(name)) {
        SKIP(name);
    }
    chi_prng_init(&prng, 7);
    for (size_t i = 0; i < sizeof(garbage); i++) {
        garbage[i] = (unsigned char)chi_prng_next(&prng);
    }
    CHECK(world_open(&world, &ordinary, 2));
    /* Some come first and stay silent; the others write and stay or go. */
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = stranger_connect(&world.nodes[i % 2]);
        CHECK(fds[i] >= 0);
        if (i == STRANGERS / 2) {
            CHECK(world_both_talk(&world, 10));
        }
        if (they_write && i % 4 >= 2) {
            (void)send(fds[i], garbage, i % 8 < 4 ? 5 : sizeof(garbage),
                       MSG_NOSIGNAL);
        }
        if (i % 4 == 3) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
        CHECK(world_pump(&world));
    }
    CHECK(world_both_talk(&world, 100));
    CHECK(may_sleep(&world, &world.nodes[0]));
    CHECK(may_sleep(&world, &world.nodes[1]));
    CHECK(world_both_talk(&world, 100));
    CHECK(may_sleep(&world, &world.nodes[0]));
    CHECK_EQ(world.nodes[0].lost + world.nodes[1].lost, 0);
    CHECK(world_close(&world));
    for (int i = 0; i < STRANGERS; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

static void
strangers_disturb_nobody_on_tcp(void)
{
    strangers_disturb_nobody("tcp;ofi_rxm", true);
}

static void
strangers_disturb_nobody_on_net(void)
{
    strangers_disturb_nobody("net", true);
}

/* Garbage it may take for messages: see ofi/README.md. */
static void
silent_strangers_disturb_nobody_on_sockets(void)
{
    strangers_disturb_nobody("sockets", false);
}

/* Ranks 0 and 1 are of one job; the third knows neither its key nor how long
 * its messages are. */
static void
longer_messages_are_dropped(const char *name)
{
    static const uint64_t keys[] = {5, 5, 6};
    struct world world = {.conform = &ordinary};
    uint64_t sent = 0;

    if (!available(name)) {
        SKIP(name);
    }
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(node_open(&world.nodes[i], i < 2 ? &ordinary : &longer, i, 3,
                           NULL),
                 CHARE_OK);
        world.count++;
    }
    CHECK(world_connect(&world, keys));
    for (uint64_t i = 0; i < 10; i++) {
        const chare_status status = node_send(&world.nodes[2], 1, 150000);

        CHECK(status == CHARE_OK || status == CHARE_ERR_AGAIN ||
              status == CHARE_ERR_PEER_LOST);
        sent += status == CHARE_OK;
        CHECK(world_send(&world, &world.nodes[0], 1, 100));
    }
    CHECK(sent > 0);
    CHECK(WORLD_UNTIL(&world, world.nodes[1].arrived == 10));
    CHECK(WORLD_UNTIL(&world, world.nodes[1].net->foreign_dropped > 0 ||
                                  world.nodes[2].lost > 0));
    CHECK(world_send(&world, &world.nodes[0], 1, 100));
    CHECK(WORLD_UNTIL(&world, world.nodes[1].arrived == 11));
    CHECK(world_close(&world));
}

static void
longer_messages_are_dropped_on_tcp(void)
{
    longer_messages_are_dropped("tcp;ofi_rxm");
}

static void
longer_messages_are_dropped_on_net(void)
{
    longer_messages_are_dropped("net");
}

static void
longer_messages_are_dropped_on_sockets(void)
{
    longer_messages_are_dropped("sockets");
}

TAP_MAIN(TAP_CASE(the_process_stays_as_it_was),
         TAP_CASE(what_is_missing_is_an_error),
         TAP_CASE(the_report_names_one_as_chosen),
         TAP_CASE(another_provider_is_noticed),
         TAP_CASE(strangers_disturb_nobody_on_tcp),
         TAP_CASE(strangers_disturb_nobody_on_net),
         TAP_CASE(silent_strangers_disturb_nobody_on_sockets),
         TAP_CASE(longer_messages_are_dropped_on_tcp),
         TAP_CASE(longer_messages_are_dropped_on_net),
         TAP_CASE(longer_messages_are_dropped_on_sockets))
