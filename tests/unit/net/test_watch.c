/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_watch.c - a dead process is noticed by its neighbours, and only that.
 *
 * Goal:   a killed process is reported once by each neighbour, also when its
 *         child still holds its sockets; an orderly end, a stopped process
 *         and an expected end are not; strangers are turned away and counted.
 * Method: forked members, each with a watch, led over sockets by this process.
 *         That something is not reported is shown by a later event, which the
 *         same watcher's thread must have seen afterwards.
 */
#include "config.h"

#include "net/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "net/watch_socket.h"
#include "tap/tap.h"

enum {
    MEMBERS_MAX = 4,
    WAIT_MS = 30000,
    NONE_MS = 1500, /* longer than CHARE_LOST_TIMEOUT here, and keepalive */
    JOB_KEY = 4711,
};

enum what {
    DO_START = 1, /* value: same node; bytes: the next one's address */
    DO_CLOSE,
    DO_STOP,
    DO_COUNT, /* strangers */
    DO_FORK,  /* a child that lives on, holding all descriptors */
    SAY_ADDRESS,
    SAY_STATUS,
    SAY_LOST,
};

/* One datagram between leader and member. */
struct note {
    uint32_t what;
    int32_t value;
    size_t len;
    unsigned char bytes[CHI_WATCH_ADDRESS_BYTES_MAX];
};

struct member {
    pid_t pid;
    int fd;
    struct note address;
    int lost[MEMBERS_MAX]; /* times that it reported a rank lost */
};

struct ring {
    uint32_t size;
    struct member members[MEMBERS_MAX];
    int alive[2]; /* a pipe: children of DO_FORK end when it is closed */
};

/* ---- in the member */

static bool
note_send(int fd, uint32_t what, int32_t value, const void *bytes, size_t len)
{
    struct note note = {.what = what, .value = value, .len = len};

    if (len > 0) {
        memcpy(note.bytes, bytes, len);
    }
    return send(fd, &note, sizeof(note), MSG_NOSIGNAL) == sizeof(note);
}

static void
member_lost(void *context, uint32_t rank)
{
    const int *fd = context;

    (void)note_send(*fd, SAY_LOST, (int32_t)rank, NULL, 0);
}

static void
member_fork(const int *alive)
{
    char byte;

    if (fork() == 0) {
        (void)close(alive[1]);
        (void)read(alive[0], &byte, 1);
        _exit(0);
    }
}

static int
member_main(uint32_t rank, uint32_t size, int fd, const int *alive)
{
    const struct chi_log log = {.level = CHI_LOG_ERROR, .pe = rank};
    unsigned char address[CHI_WATCH_ADDRESS_BYTES_MAX];
    size_t len = sizeof(address);
    struct chi_settings settings;
    struct chi_watch_options options = {
        .log = &log,
        .settings = &settings,
        .rank = rank,
        .size = size,
        .lost = member_lost,
        .context = &fd,
    };
    struct chi_watch *watch;
    struct note note;
    char error[200];
    int32_t value;

    if (chi_settings_read(&settings, error, sizeof(error)) != CHARE_OK ||
        chi_watch_open(&options, &watch) != CHARE_OK ||
        chi_watch_address(watch, address, &len) != CHARE_OK ||
        !note_send(fd, SAY_ADDRESS, 0, address, len)) {
        return 1;
    }
    while (recv(fd, &note, sizeof(note), 0) == sizeof(note)) {
        value = CHARE_OK;
        if (note.what == DO_START) {
            value = chi_watch_start(watch, JOB_KEY, note.value != 0,
                                    note.bytes, note.len);
        } else if (note.what == DO_STOP) {
            chi_watch_stop(watch);
        } else if (note.what == DO_COUNT) {
            value = (int32_t)chi_watch_foreign_dropped(watch);
        } else if (note.what == DO_FORK) {
            member_fork(alive);
        } else if (note.what == DO_CLOSE) {
            chi_watch_close(watch);
            (void)note_send(fd, SAY_STATUS, CHARE_OK, NULL, 0);
            return 0;
        }
        if (!note_send(fd, SAY_STATUS, value, NULL, 0)) {
            return 1;
        }
    }
    return 1;
}

/* ---- the leader */

/* The next note that is no loss; losses are counted on the way. */
static bool
note_get(struct member *member, int wait_ms, struct note *out)
{
    struct pollfd pollfd = {.fd = member->fd, .events = POLLIN};

    while (poll(&pollfd, 1, wait_ms) == 1 &&
           recv(member->fd, out, sizeof(*out), MSG_DONTWAIT) == sizeof(*out)) {
        if (out->what != SAY_LOST) {
            return true;
        }
        member->lost[out->value % MEMBERS_MAX]++;
        if (wait_ms == 0) {
            continue;
        }
    }
    return false;
}

/* Wait until 'member' has said that 'rank' is lost. */
static bool
lost_wait(struct member *member, uint32_t rank)
{
    struct pollfd pollfd = {.fd = member->fd, .events = POLLIN};
    struct note note;

    while (member->lost[rank] == 0) {
        if (poll(&pollfd, 1, WAIT_MS) != 1 ||
            recv(member->fd, &note, sizeof(note), MSG_DONTWAIT) !=
                sizeof(note) ||
            note.what != SAY_LOST) {
            return false;
        }
        member->lost[note.value % MEMBERS_MAX]++;
    }
    return true;
}

/* Tell a member to do something; its answer. */
static int32_t
member_do(struct member *member, uint32_t what, int32_t value,
          const struct note *address)
{
    struct note answer;

    if (!note_send(member->fd, what, value,
                   address != NULL ? address->bytes : NULL,
                   address != NULL ? address->len : 0) ||
        !note_get(member, WAIT_MS, &answer) || answer.what != SAY_STATUS) {
        return INT32_MIN;
    }
    return answer.value;
}

static bool
member_start(struct ring *ring, uint32_t rank, bool same_node)
{
    const uint32_t next = (rank + 1) % ring->size;

    return member_do(&ring->members[rank], DO_START, same_node,
                     &ring->members[next].address) == CHARE_OK;
}

static void
member_kill(struct ring *ring, uint32_t rank)
{
    (void)kill(ring->members[rank].pid, SIGKILL);
    (void)waitpid(ring->members[rank].pid, NULL, 0);
    ring->members[rank].pid = -1;
}

/* Whether it closed in order. */
static bool
member_close(struct ring *ring, uint32_t rank)
{
    struct member *member = &ring->members[rank];
    int status = -1;
    const bool closed = member_do(member, DO_CLOSE, 0, NULL) == CHARE_OK;

    (void)waitpid(member->pid, &status, 0);
    member->pid = -1;
    return closed && status == 0;
}

/* Fork the members and learn their addresses. */
static bool
ring_open(struct ring *ring, uint32_t size)
{
    const pid_t leader = getpid();

    *ring = (struct ring){.size = size};
    (void)setenv("CHARE_LOST_TIMEOUT", "1", 1);
    (void)fflush(stdout);
    if (pipe(ring->alive) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < size; i++) {
        struct member *member = &ring->members[i];
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0) {
            return false;
        }
        member->pid = fork();
        if (member->pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != leader) {
                _exit(1);
            }
            for (uint32_t j = 0; j < i; j++) {
                (void)close(ring->members[j].fd);
            }
            (void)close(fds[0]);
            _exit(member_main(i, size, fds[1], ring->alive));
        }
        (void)close(fds[1]);
        member->fd = fds[0];
        if (!note_get(member, WAIT_MS, &member->address)) {
            return false;
        }
    }
    return true;
}

static bool
ring_start(struct ring *ring, bool same_node)
{
    for (uint32_t i = 0; i < ring->size; i++) {
        if (!member_start(ring, i, same_node)) {
            return false;
        }
    }
    return true;
}

static void
ring_close(struct ring *ring)
{
    (void)close(ring->alive[0]);
    (void)close(ring->alive[1]);
    for (uint32_t i = 0; i < ring->size; i++) {
        if (ring->members[i].pid > 0) {
            member_kill(ring, i);
        }
        (void)close(ring->members[i].fd);
    }
}

/* All that 'rank' has reported is that 'dead' is gone, once. */
static bool
reported_only(struct ring *ring, uint32_t rank, uint32_t dead)
{
    struct member *member = &ring->members[rank];
    struct note note;

    (void)note_get(member, 0, &note);
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        if (member->lost[i] != (i == dead ? 1 : 0)) {
            printf("# rank %u reported %u lost %d times\n", rank, i,
                   member->lost[i]);
            return false;
        }
    }
    return true;
}

/* ---- cases */

static void
kill_is_reported(bool same_node, uint32_t size)
{
    struct ring ring;

    CHECK(ring_open(&ring, size));
    CHECK(ring_start(&ring, same_node));
    member_kill(&ring, 1);
    CHECK(lost_wait(&ring.members[0], 1));
    CHECK(lost_wait(&ring.members[size == 2 ? 0 : 2], 1));
    CHECK(member_close(&ring, 0));
    CHECK(reported_only(&ring, 0, 1));
    if (size > 2) {
        CHECK(reported_only(&ring, 2, 1));
    }
    ring_close(&ring);
}

static void
killed_in_the_node(void)
{
    kill_is_reported(true, 3);
}

static void
killed_between_nodes(void)
{
    kill_is_reported(false, 3);
}

static void
killed_of_two(void)
{
    kill_is_reported(true, 2);
}

static void
killed_of_two_between_nodes(void)
{
    kill_is_reported(false, 2);
}

static void
killed_while_a_child_holds_its_sockets(void)
{
    struct ring ring;

    CHECK(ring_open(&ring, 3));
    CHECK(ring_start(&ring, true));
    /* Whether its links were accepted by then, or wait in a backlog that the
     * child keeps alive: both must do. */
    CHECK_EQ(member_do(&ring.members[1], DO_FORK, 0, NULL), CHARE_OK);
    member_kill(&ring, 1);
    CHECK(lost_wait(&ring.members[0], 1));
    CHECK(lost_wait(&ring.members[2], 1));
    CHECK(reported_only(&ring, 0, 1));
    CHECK(reported_only(&ring, 2, 1));
    ring_close(&ring);
}

static void
orderly_end_is_silent(bool same_node)
{
    struct ring ring;

    CHECK(ring_open(&ring, 4));
    CHECK(ring_start(&ring, same_node));
    CHECK(member_close(&ring, 1));
    member_kill(&ring, 3);
    CHECK(lost_wait(&ring.members[0], 3));
    CHECK(lost_wait(&ring.members[2], 3));
    CHECK(reported_only(&ring, 0, 3));
    CHECK(reported_only(&ring, 2, 3));
    ring_close(&ring);
}

static void
orderly_end_in_the_node(void)
{
    orderly_end_is_silent(true);
}

static void
orderly_end_between_nodes(void)
{
    orderly_end_is_silent(false);
}

/* Each ends as soon as it can, before or after it was accepted. */
static void
all_may_end_at_once(void)
{
    for (int round = 0; round < 20; round++) {
        struct ring ring;

        CHECK(ring_open(&ring, 2));
        CHECK(ring_start(&ring, round % 2 == 0));
        CHECK(member_close(&ring, (uint32_t)round / 2 % 2));
        CHECK(member_close(&ring, 1 - (uint32_t)round / 2 % 2));
        CHECK(reported_only(&ring, 0, MEMBERS_MAX));
        CHECK(reported_only(&ring, 1, MEMBERS_MAX));
        ring_close(&ring);
    }
}

static void
expected_end_is_silent(void)
{
    struct ring ring;

    CHECK(ring_open(&ring, 3));
    CHECK(ring_start(&ring, true));
    CHECK_EQ(member_do(&ring.members[0], DO_STOP, 0, NULL), CHARE_OK);
    member_kill(&ring, 1);
    CHECK(lost_wait(&ring.members[2], 1));
    CHECK(member_close(&ring, 0));
    CHECK(reported_only(&ring, 0, MEMBERS_MAX));
    ring_close(&ring);
}

static void
stopped_is_not_lost(bool same_node)
{
    struct ring ring;
    struct note note;

    CHECK(ring_open(&ring, 4));
    CHECK(ring_start(&ring, same_node));
    CHECK_EQ(kill(ring.members[1].pid, SIGSTOP), 0);
    /* Between nodes a silent peer is asked by keepalive: wait for that. */
    CHECK(same_node || !note_get(&ring.members[0], NONE_MS, &note));
    member_kill(&ring, 3);
    CHECK(lost_wait(&ring.members[0], 3));
    CHECK(lost_wait(&ring.members[2], 3));
    CHECK(reported_only(&ring, 0, 3));
    CHECK(reported_only(&ring, 2, 3));
    CHECK_EQ(kill(ring.members[1].pid, SIGCONT), 0);
    CHECK(member_close(&ring, 1));
    ring_close(&ring);
}

static void
stopped_in_the_node(void)
{
    stopped_is_not_lost(true);
}

static void
stopped_between_nodes(void)
{
    stopped_is_not_lost(false);
}

/* Connect to a member's watch as anybody could; the socket, or -1. */
static int
stranger_connect(const struct member *member, bool local)
{
    struct chi_watch_place place = {.count = 0};
    int fd = -1;
    int why;

    memcpy(&place, member->address.bytes, member->address.len);
    if (local) {
        return chi_watch_connect_local(&place, 1000000000, &fd, &why) ==
                       CHARE_OK
                   ? fd
                   : -1;
    }
    return chi_watch_connect_tcp(&place, 1000000000, &fd, &why) == CHARE_OK
               ? fd
               : -1;
}

/* Send 'words' and wait until the other end hangs up. */
static bool
stranger_is_turned_away(const struct member *member, bool local,
                        const uint64_t *words, size_t len)
{
    const int fd = stranger_connect(member, local);
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    char byte;
    bool away;

    if (fd < 0) {
        return false;
    }
    away = send(fd, words, len, MSG_NOSIGNAL) == (ssize_t)len &&
           poll(&pollfd, 1, WAIT_MS) == 1 && recv(fd, &byte, 1, 0) <= 0;
    (void)close(fd);
    return away;
}

static void
strangers_are_turned_away(void)
{
    const uint64_t magic = 0x3130575645524843ull;
    const uint64_t garbage[3] = {1, 2, 3};
    const uint64_t wrong_key[3] = {magic, JOB_KEY + 1, 1};
    const uint64_t wrong_rank[3] = {magic, JOB_KEY, 0};
    struct ring ring;
    struct member *member = &ring.members[0];
    int32_t count = 0;

    CHECK(ring_open(&ring, 2));
    CHECK(member_start(&ring, 0, true));
    for (int local = 0; local <= 1; local++) {
        CHECK(stranger_is_turned_away(member, local, garbage, 24));
        CHECK(stranger_is_turned_away(member, local, wrong_key, 24));
        CHECK(stranger_is_turned_away(member, local, wrong_rank, 24));
        /* Less than a hello: until the time is up. */
        CHECK(stranger_is_turned_away(member, local, wrong_key, 8));
        count += 4;
        CHECK_EQ(member_do(member, DO_COUNT, 0, NULL), count);
    }
    /* The right one still comes in, and is watched. */
    CHECK(member_start(&ring, 1, false));
    member_kill(&ring, 1);
    CHECK(lost_wait(member, 1));
    CHECK_EQ(member_do(member, DO_COUNT, 0, NULL), count);
    CHECK(reported_only(&ring, 0, 1));
    ring_close(&ring);
}

/* Many connections that say nothing do not keep the right one out. */
static void
silent_strangers_make_room(void)
{
    enum {
        STRANGERS = 12
    };
    struct ring ring;
    int fds[STRANGERS];

    CHECK(ring_open(&ring, 2));
    CHECK(member_start(&ring, 0, true));
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = stranger_connect(&ring.members[0], false);
        CHECK(fds[i] >= 0);
    }
    for (int i = 0; i < STRANGERS; i++) {
        struct pollfd pollfd = {.fd = fds[i], .events = POLLIN};

        CHECK_EQ(poll(&pollfd, 1, WAIT_MS), 1);
        (void)close(fds[i]);
    }
    CHECK(member_start(&ring, 1, true));
    member_kill(&ring, 1);
    CHECK(lost_wait(&ring.members[0], 1));
    CHECK_EQ(member_do(&ring.members[0], DO_COUNT, 0, NULL), STRANGERS);
    ring_close(&ring);
}

static void
nobody_there(bool same_node)
{
    struct ring ring;

    CHECK(ring_open(&ring, 2));
    member_kill(&ring, 1);
    CHECK_EQ(member_do(&ring.members[0], DO_START, same_node,
                       &ring.members[1].address),
             CHARE_ERR_PEER_LOST);
    CHECK(member_close(&ring, 0));
    ring_close(&ring);
}

static void
start_finds_nobody(void)
{
    nobody_there(true);
    nobody_there(false);
}

static void
never_lost(void *context, uint32_t rank)
{
    (void)context;
    (void)rank;
    abort();
}

static void
address_needs_room_and_one_needs_none(void)
{
    const struct chi_log log = {.level = CHI_LOG_ERROR, .pe = 0};
    unsigned char address[CHI_WATCH_ADDRESS_BYTES_MAX];
    size_t len = 3;
    struct chi_settings settings;
    struct chi_watch_options options = {
        .log = &log,
        .settings = &settings,
        .rank = 0,
        .size = 1,
        .lost = never_lost,
    };
    struct chi_watch *watch;
    char error[200];

    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
    CHECK_EQ(chi_watch_open(&options, &watch), CHARE_OK);
    CHECK_EQ(chi_watch_address(watch, address, &len), CHARE_ERR_TOO_LARGE);
    len = sizeof(address);
    CHECK_EQ(chi_watch_address(watch, address, &len), CHARE_OK);
    CHECK_EQ(chi_watch_start(watch, JOB_KEY, true, address, len), CHARE_OK);
    chi_watch_stop(watch);
    CHECK_EQ(chi_watch_foreign_dropped(watch), 0);
    chi_watch_close(watch);
    chi_watch_close(NULL);
}

static void
address_prefers_what_was_asked_for(void)
{
    struct chi_watch_place place = {.count = 0};
    const unsigned char loopback[4] = {127, 0, 0, 1};

    chi_watch_places("", &place);
    CHECK(place.count > 0);
    chi_watch_places("127.0.0.", &place);
    CHECK(place.count > 0);
    CHECK(memcmp(&place.at[0].s6_addr[12], loopback, 4) == 0);
    chi_watch_places("lo", &place);
    CHECK(memcmp(&place.at[0].s6_addr[12], loopback, 4) == 0);
    /* What matches nothing does not leave it without an address. */
    chi_watch_places("no-such-interface", &place);
    CHECK(place.count > 0);
}

TAP_MAIN(TAP_CASE(address_needs_room_and_one_needs_none),
         TAP_CASE(address_prefers_what_was_asked_for),
         TAP_CASE(killed_in_the_node), TAP_CASE(killed_between_nodes),
         TAP_CASE(killed_of_two), TAP_CASE(killed_of_two_between_nodes),
         TAP_CASE(killed_while_a_child_holds_its_sockets),
         TAP_CASE(orderly_end_in_the_node),
         TAP_CASE(orderly_end_between_nodes), TAP_CASE(all_may_end_at_once),
         TAP_CASE(expected_end_is_silent), TAP_CASE(stopped_in_the_node),
         TAP_CASE(stopped_between_nodes), TAP_CASE(strangers_are_turned_away),
         TAP_CASE(silent_strangers_make_room), TAP_CASE(start_finds_nobody))
