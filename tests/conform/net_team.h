/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TEST_NET_TEAM_H
#define CHARE_TEST_NET_TEAM_H

/*
 * net_team.h - one node in each of several forked processes.
 *
 * The parent has no net: it collects the addresses, hands out the table, and
 * lets the members end together, each making progress until all are done.
 */

#include "conform/net_world.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TEAM_WAIT_MS = 60000
};

struct team_member {
    struct node node;
    uint32_t size;
    uint32_t idle;
    int parent; /* a socket */
};

struct team_card {
    uint64_t len;
    unsigned char address[CHI_NET_ADDRESS_BYTES_MAX];
};

/* The whole of a record, or false after TEAM_WAIT_MS of nothing. */
static inline bool
team_read(int fd, void *out, size_t len)
{
    unsigned char *at = out;

    while (len > 0) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&pollfd, 1, TEAM_WAIT_MS) <= 0) {
            return false;
        }
        got = read(fd, at, len);
        if (got <= 0) {
            return false;
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static inline bool
team_write(int fd, const void *bytes, size_t len)
{
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool
member_pump(struct team_member *member)
{
    member->idle = node_progress(&member->node) > 0 ? 0 : member->idle + 1;
    if (member->idle > IDLE_ROUNDS_BUSY) {
        (void)poll(NULL, 0, 1);
    }
    return member->node.wrong == NULL && member->idle < IDLE_ROUNDS_MAX;
}

#define MEMBER_UNTIL(member, condition)               \
    __extension__({                                   \
        (member)->idle = 0;                           \
        while (!(condition) && member_pump(member)) { \
        }                                             \
        (condition);                                  \
    })

static inline bool
member_send(struct team_member *member, uint32_t rank, uint64_t len)
{
    chare_status status;

    member->idle = 0;
    while ((status = node_send(&member->node, rank, len)) == CHARE_ERR_AGAIN) {
        if (!member_pump(member)) {
            return false;
        }
    }
    return status == CHARE_OK;
}

/* A broken expectation in a member: says where, and makes it return false. */
#define MEMBER_CHECK(member, condition)                          \
    do {                                                         \
        if (!(condition)) {                                      \
            printf("# %s:%d: rank %u: %s\n", __FILE__, __LINE__, \
                   (member)->node.rank, #condition);             \
            return false;                                        \
        }                                                        \
    } while (0)

static inline bool
member_connect(struct team_member *member)
{
    struct team_card cards[RANKS_MAX];
    struct team_card mine = {.len = sizeof(mine.address)};
    struct chi_net_peer peers[RANKS_MAX];
    size_t len = sizeof(mine.address);
    uint32_t count = 0;

    MEMBER_CHECK(member, chi_net_address(member->node.net, mine.address,
                                         &len) == CHARE_OK);
    mine.len = len;
    MEMBER_CHECK(member, team_write(member->parent, &mine, sizeof(mine)));
    MEMBER_CHECK(member, team_read(member->parent, cards,
                                   member->size * sizeof(cards[0])));
    for (uint32_t i = 0; i < member->size; i++) {
        if (i != member->node.rank) {
            peers[count++] = (struct chi_net_peer){
                .rank = i, .address = cards[i].address, .len = cards[i].len};
        }
    }
    MEMBER_CHECK(member, chi_net_connect(member->node.net, 77, peers, count) ==
                             CHARE_OK);
    return true;
}

/* Tell the parent, and go on until it says that all are done. */
static inline bool
member_finish(struct team_member *member)
{
    struct pollfd pollfd = {.fd = member->parent, .events = POLLIN};
    char byte = 1;

    MEMBER_CHECK(member, team_write(member->parent, &byte, 1));
    member->idle = 0;
    while (poll(&pollfd, 1, 0) == 0) {
        MEMBER_CHECK(member, member_pump(member));
    }
    return read(member->parent, &byte, 1) == 1;
}

static inline bool
member_main(const struct net_conform *conform, uint32_t rank, uint32_t size,
            int parent, bool (*body)(struct team_member *))
{
    static struct team_member member;
    uint64_t live;

    member.size = size;
    member.parent = parent;
    if (node_open(&member.node, conform, rank, size, NULL) != CHARE_OK) {
        printf("# rank %u: open failed\n", rank);
        return false;
    }
    if (!member_connect(&member) || !body(&member) ||
        !member_finish(&member)) {
        if (member.node.wrong != NULL) {
            printf("# rank %u saw %s\n", rank, member.node.wrong);
        }
        return false;
    }
    live = node_close(&member.node);
    MEMBER_CHECK(&member, live == 0);
    MEMBER_CHECK(&member, member.node.wrong == NULL);
    return true;
}

struct team {
    uint32_t size;
    uint32_t victim; /* a rank that kills itself; size: none */
    pid_t pids[RANKS_MAX];
    int fds[RANKS_MAX];
};

static inline bool
team_start(struct team *team, const struct net_conform *conform,
           bool (*body)(struct team_member *))
{
    const pid_t parent = getpid();

    (void)fflush(stdout);
    for (uint32_t rank = 0; rank < team->size; rank++) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
            return false;
        }
        team->fds[rank] = fds[0];
        team->pids[rank] = fork();
        if (team->pids[rank] == 0) {
            bool good;

            /* A member never outlives the test. */
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) {
                _exit(1);
            }
            for (uint32_t i = 0; i <= rank; i++) {
                (void)close(team->fds[i]);
            }
            good = member_main(conform, rank, team->size, fds[1], body);
            (void)fflush(stdout);
            _exit(good ? 0 : 1);
        }
        (void)close(fds[1]);
        if (team->pids[rank] < 0) {
            return false;
        }
    }
    return true;
}

static inline bool
team_lead(const struct team *team)
{
    struct team_card cards[RANKS_MAX];
    char byte = 1;

    for (uint32_t i = 0; i < team->size; i++) {
        if (!team_read(team->fds[i], &cards[i], sizeof(cards[i]))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < team->size; i++) {
        if (!team_write(team->fds[i], cards, team->size * sizeof(cards[0]))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < team->size; i++) {
        if (i != team->victim && !team_read(team->fds[i], &byte, 1)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < team->size; i++) {
        if (i != team->victim && !team_write(team->fds[i], &byte, 1)) {
            return false;
        }
    }
    return true;
}

/*
 * Run 'body' in each of 'size' processes; 'victim' is the rank that is to die
 * by SIGKILL (size: none). True when all ended as they should.
 */
static inline bool
team_run(const struct net_conform *conform, uint32_t size, uint32_t victim,
         bool (*body)(struct team_member *))
{
    struct team team = {.size = size, .victim = victim};
    bool good = team_start(&team, conform, body) && team_lead(&team);

    for (uint32_t i = 0; i < size && team.pids[i] > 0; i++) {
        int status = 0;

        if (!good) {
            (void)kill(team.pids[i], SIGKILL);
        }
        (void)waitpid(team.pids[i], &status, 0);
        (void)close(team.fds[i]);
        if (i == victim ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL
                        : status != 0) {
            printf("# rank %u ended with wait status %#x\n", i,
                   (unsigned)status);
            good = false;
        }
    }
    return good;
}

#endif /* CHARE_TEST_NET_TEAM_H */
