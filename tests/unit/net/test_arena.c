/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_arena.c - memory for large messages that other processes see.
 *
 * Goal:   blocks never overlap, come together again, and come back from those
 *         they were given to, no sooner; free memory goes back to the system;
 *         messages of any size arrive whole and in order through it, whether
 *         it has room or not, and nonsense is dropped.
 * Method: random work against a model; two arenas and two routes in one
 *         process, which map each other as two processes would; a fork.
 */
#include "config.h"

#include "net/arena.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/prng.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/route.h"
#include "net/shm.h"
#include "tap/tap.h"

#define ARENA_BYTES ((uint64_t)16 << 20)

enum {
    STEPS = 20000,
    HELD_MAX = 64,
};

static const struct chi_log silent = {.level = CHI_LOG_ERROR};

/* What blocks are multiples of on this machine. */
static uint64_t
unit_bytes(void)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return page > CHI_ARENA_BLOCK_BYTES_MIN ? page : CHI_ARENA_BLOCK_BYTES_MIN;
}

/* ---- one arena */

struct held {
    unsigned char *block;
    uint64_t bytes;
    unsigned char mark;
};

static bool
held_ok(const struct held *held)
{
    return held->block[0] == held->mark &&
           held->block[held->bytes - 1] == held->mark;
}

static void
blocks_do_not_overlap(void)
{
    struct held held[HELD_MAX] = {{NULL, 0, 0}};
    struct chi_arena *arena;
    struct chi_prng prng;
    uint64_t room;
    void *whole;
    bool ok = true;

    chi_prng_init(&prng, 1);
    CHECK_EQ(chi_arena_create(&silent, ARENA_BYTES, &arena), CHARE_OK);
    for (int i = 0; i < STEPS; i++) {
        struct held *one = &held[chi_prng_below(&prng, HELD_MAX)];

        if (one->block != NULL) {
            ok = ok && held_ok(one);
            chi_arena_release(arena, one->block);
            one->block = NULL;
            continue;
        }
        one->bytes =
            1 + (chi_prng_next(&prng) >> (40 + chi_prng_below(&prng, 24)));
        one->block = chi_arena_alloc(arena, one->bytes, &room);
        if (one->block != NULL) {
            ok = ok && room >= one->bytes && (uintptr_t)one->block % 64 == 0;
            one->mark = (unsigned char)i;
            one->block[0] = one->mark;
            one->block[one->bytes - 1] = one->mark;
        }
    }
    CHECK(ok);
    for (int i = 0; i < HELD_MAX; i++) {
        if (held[i].block != NULL) {
            chi_arena_release(arena, held[i].block);
        }
    }
    CHECK_EQ(chi_arena_used_bytes(arena), 0);
    whole = chi_arena_alloc(arena, ARENA_BYTES - CHI_ARENA_HEAD_BYTES, &room);
    CHECK(whole != NULL);
    CHECK(chi_arena_alloc(arena, 1, &room) == NULL);
    chi_arena_release(arena, whole);
    CHECK(chi_arena_alloc(arena, ARENA_BYTES, &room) == NULL);
    chi_arena_destroy(arena);
}

static void
free_memory_goes_back(void)
{
    struct chi_arena_card card;
    struct chi_arena *arena;
    unsigned char *blocks[8];
    struct stat stat;
    uint64_t room;

    CHECK_EQ(chi_arena_create(&silent, ARENA_BYTES, &arena), CHARE_OK);
    chi_arena_card(arena, &card);
    CHECK_EQ(fstat((int)card.fd, &stat), 0);
    CHECK(stat.st_blocks == 0); /* nothing is taken before it is used */
    for (int i = 0; i < 8; i++) {
        blocks[i] = chi_arena_alloc(arena, (1 << 20) + 1, &room);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, room);
    }
    CHECK_EQ(fstat((int)card.fd, &stat), 0);
    CHECK((uint64_t)stat.st_blocks * 512 > ARENA_BYTES / 2);
    for (int i = 0; i < 8; i++) {
        chi_arena_release(arena, blocks[i]);
    }
    CHECK_EQ(fstat((int)card.fd, &stat), 0);
    CHECK((uint64_t)stat.st_blocks * 512 <= ARENA_BYTES / 4);
    CHECK(stat.st_blocks > 0); /* some is kept */
    chi_arena_destroy(arena);
}

/* The system takes whole pages back: none may belong to two blocks. The pages
 * here may be smaller, so where blocks begin and end is looked at too. */
static void
large_pages_are_not_shared(void)
{
    enum {
        PAGE = 64 * 1024,
        BLOCKS = ARENA_BYTES / PAGE
    };
    unsigned char *blocks[BLOCKS];
    struct chi_arena *arena;
    uint64_t room;
    bool whole = true;
    bool kept = true;

    CHECK_EQ(chi_arena_create_paged(&silent, ARENA_BYTES, PAGE, &arena),
             CHARE_OK);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = chi_arena_alloc(arena, 1, &room);
        CHECK(blocks[i] != NULL && chi_arena_can_give(arena));
        whole = whole && (room + CHI_ARENA_HEAD_BYTES) % PAGE == 0 &&
                chi_arena_give(arena, blocks[i]) % PAGE == 0;
        chi_arena_take_back(arena, blocks[i]);
        memset(blocks[i], i | 1, room);
    }
    CHECK(whole);
    CHECK(chi_arena_alloc(arena, 1, &room) == NULL);
    for (int i = 0; i < BLOCKS; i += 2) { /* more than is kept */
        chi_arena_release(arena, blocks[i]);
    }
    for (int i = 1; i < BLOCKS; i += 2) {
        kept = kept && blocks[i][0] == (unsigned char)i &&
               memcmp(blocks[i], blocks[i] + 1, room - 1) == 0;
        chi_arena_release(arena, blocks[i]);
    }
    CHECK(kept);
    CHECK_EQ(chi_arena_used_bytes(arena), 0);
    chi_arena_destroy(arena);
}

static void
sizes_are_checked(void)
{
    struct chi_arena *arena = NULL;

    CHECK_EQ(chi_arena_create(&silent, (1 << 20) - 1, &arena),
             CHARE_ERR_INVALID);
    CHECK_EQ(chi_arena_create(&silent, 3 << 20, &arena), CHARE_ERR_INVALID);
    CHECK_EQ(chi_arena_create(&silent, UINT64_C(1) << 41, &arena),
             CHARE_ERR_INVALID);
    CHECK(arena == NULL);
    chi_arena_destroy(NULL);
}

/* ---- two of them */

struct two {
    struct chi_arena *owner;
    struct chi_arena *holder;
    const struct chi_arena_view *view;
};

static bool
two_open(struct two *two)
{
    struct chi_arena_card card;

    if (chi_arena_create(&silent, ARENA_BYTES, &two->owner) != CHARE_OK ||
        chi_arena_create(&silent, ARENA_BYTES, &two->holder) != CHARE_OK) {
        return false;
    }
    chi_arena_card(two->owner, &card);
    return chi_arena_attach(two->holder, &card, &two->view) == CHARE_OK;
}

static void
two_close(struct two *two)
{
    chi_arena_destroy(two->holder);
    chi_arena_destroy(two->owner);
}

static void
given_blocks_come_back(void)
{
    const uint64_t bytes = ARENA_BYTES / 2 - CHI_ARENA_HEAD_BYTES;
    unsigned char *block;
    unsigned char *taken;
    struct two two;
    uint64_t place;
    uint64_t room;

    CHECK(two_open(&two));
    block = chi_arena_alloc(two.owner, bytes, &room);
    CHECK(block != NULL);
    CHECK(chi_arena_owns(two.owner, block));
    CHECK(!chi_arena_owns(two.holder, block));
    memset(block, 7, bytes);
    CHECK(chi_arena_can_give(two.owner));
    place = chi_arena_give(two.owner, block);
    taken = chi_arena_take(two.view, place, bytes);
    CHECK(taken != NULL && taken != block);
    CHECK(taken[0] == 7 && taken[bytes - 1] == 7);
    CHECK(!chi_arena_owns(two.owner, taken));
    CHECK_EQ(chi_arena_used_bytes(two.owner), ARENA_BYTES / 2);
    CHECK(chi_arena_alloc(two.owner, bytes + 1, &room) == NULL);
    chi_arena_release(two.holder, taken);
    CHECK_EQ(chi_arena_used_bytes(two.owner), 0);

    /* Not sent after all. */
    block = chi_arena_alloc(two.owner, bytes, &room);
    CHECK(chi_arena_can_give(two.owner));
    (void)chi_arena_give(two.owner, block);
    chi_arena_take_back(two.owner, block);
    chi_arena_release(two.owner, block);
    CHECK_EQ(chi_arena_used_bytes(two.owner), 0);
    two_close(&two);
}

static void
places_are_checked(void)
{
    struct chi_arena_card card;
    const struct chi_arena_view *view = NULL;
    struct two two;

    CHECK(two_open(&two));
    CHECK(chi_arena_take(two.view, 1, 8) == NULL);
    CHECK(chi_arena_take(two.view, ARENA_BYTES, 8) == NULL);
    CHECK(chi_arena_take(two.view, UINT64_MAX - 65535, 8) == NULL);
    CHECK(chi_arena_take(two.view, 0, ARENA_BYTES) == NULL);
    CHECK(chi_arena_take(two.view, 0, UINT64_MAX) == NULL);
    CHECK(chi_arena_take(two.view, ARENA_BYTES / 2, ARENA_BYTES / 2 + 1) ==
          NULL);
    chi_arena_card(two.owner, &card);
    card.inode++;
    CHECK_EQ(chi_arena_attach(two.holder, &card, &view), CHARE_ERR_SYSTEM);
    card.inode--;
    card.bytes *= 2;
    CHECK_EQ(chi_arena_attach(two.holder, &card, &view), CHARE_ERR_SYSTEM);
    card.bytes = 1;
    CHECK_EQ(chi_arena_attach(two.holder, &card, &view), CHARE_ERR_SYSTEM);
    CHECK(view == NULL);
    two_close(&two);
}

/* All is held elsewhere: it is not looked at each time, but soon enough. */
static void
held_by_others_for_long(void)
{
    const int blocks = (int)(ARENA_BYTES / unit_bytes());
    unsigned char *block;
    unsigned char *taken[ARENA_BYTES / CHI_ARENA_BLOCK_BYTES_MIN];
    struct two two;
    uint64_t room;
    int tries = 0;

    CHECK(two_open(&two));
    for (int i = 0; i < blocks; i++) {
        block = chi_arena_alloc(two.owner, 8, &room);
        CHECK(block != NULL && chi_arena_can_give(two.owner));
        taken[i] =
            chi_arena_take(two.view, chi_arena_give(two.owner, block), 8);
    }
    for (int i = 0; i < 10; i++) {
        CHECK(chi_arena_alloc(two.owner, 8, &room) == NULL);
    }
    for (int i = 0; i < blocks; i++) {
        chi_arena_release(two.holder, taken[i]);
    }
    do { /* whole again */
        block = chi_arena_alloc(two.owner, ARENA_BYTES / 2, &room);
        tries++;
    } while (block == NULL && tries < blocks);
    CHECK(block != NULL);
    chi_arena_release(two.owner, block);
    CHECK_EQ(chi_arena_used_bytes(two.owner), 0);
    two_close(&two);
}

static void
forked_children_do_no_harm(void)
{
    unsigned char *own;
    unsigned char *taken;
    struct two two;
    uint64_t room;
    pid_t child;
    int ended = -1;

    CHECK(two_open(&two));
    own = chi_arena_alloc(two.owner, 100000, &room);
    CHECK(chi_arena_can_give(two.owner));
    taken = chi_arena_take(two.view, chi_arena_give(two.owner, own), 100000);
    CHECK(taken != NULL);
    child = fork();
    if (child == 0) {
        const bool none = chi_arena_alloc(two.owner, 8, &room) == NULL;

        chi_arena_release(two.holder, taken);
        _exit(none ? 0 : 1);
    }
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &ended, 0), child);
    CHECK_EQ(ended, 0);
    CHECK(chi_arena_used_bytes(two.owner) > 0); /* still taken */
    chi_arena_release(two.holder, taken);
    CHECK_EQ(chi_arena_used_bytes(two.owner), 0);
    two_close(&two);
}

/* ---- messages */

struct end {
    struct chi_msg_pool *pool;
    struct chi_arena *arena;
    struct chi_route *route;
    struct chi_net *net;
    struct chi_settings settings;
    uint64_t arrived;
    uint64_t damaged;
    struct chi_msg *kept[HELD_MAX]; /* as a user keeps an array */
};

static unsigned char
pattern(uint64_t number, uint64_t at)
{
    return (unsigned char)(number * 31 + at * 7 + (at >> 12));
}

static void
end_arrived(void *context, struct chi_msg *msg)
{
    struct end *end = context;
    const uint64_t number = end->arrived++;
    struct chi_msg **kept = &end->kept[number % HELD_MAX];

    end->damaged += msg->env.key != number;
    for (uint64_t at = 0; at < msg->env.len; at += 509) {
        end->damaged += msg->bytes[at] != pattern(msg->env.key, at);
    }
    if (*kept != NULL) {
        chi_msg_release(*kept);
    }
    *kept = msg;
}

static void
end_lost(void *context, uint32_t rank, chare_status why)
{
    struct end *end = context;

    (void)rank;
    (void)why;
    end->damaged++;
}

static void *
end_alloc(void *context, uint64_t bytes, uint64_t *room_out)
{
    return chi_arena_alloc(context, bytes, room_out);
}

static void
end_release(void *context, void *block)
{
    chi_arena_release(context, block);
}

static bool
end_open(struct end *end, uint32_t rank, uint64_t arena_bytes)
{
    char error[200];

    memset(end, 0, sizeof(*end));
    if (chi_settings_read(&end->settings, error, sizeof(error)) != CHARE_OK ||
        chi_msg_pool_create(&end->pool) != CHARE_OK) {
        return false;
    }
    if (arena_bytes > 0) {
        struct chi_msg_source source = {NULL, end_alloc, end_release, NULL};

        if (chi_arena_create(&silent, arena_bytes, &end->arena) != CHARE_OK) {
            return false;
        }
        source.context = end->arena;
        chi_msg_pool_set_source(end->pool, &source);
    }
    {
        const struct chi_net_options options = {
            .log = &silent,
            .settings = &end->settings,
            .clock = &chi_clock_real,
            .pool = end->pool,
            .arena = end->arena,
            .rank = rank,
            .size = 2,
        };
        const struct chi_route_sink sink = {end, end_arrived, end_lost, NULL,
                                            NULL};

        return chi_route_open(&options, &sink, &end->route) == CHARE_OK &&
               chi_route_open_net(end->route, &chi_net_shm_ops, &end->net) ==
                   CHARE_OK;
    }
}

static bool
end_connect(struct end *end, struct end *other, uint32_t other_rank)
{
    unsigned char address[CHI_NET_ADDRESS_BYTES_MAX];
    struct chi_net_peer peer = {other_rank, address, sizeof(address)};

    return chi_net_address(other->net, address, &peer.len) == CHARE_OK &&
           chi_route_connect(end->route, end->net, 1, &peer, 1) == CHARE_OK;
}

static bool
ends_open(struct end ends[2], uint64_t bytes_0, uint64_t bytes_1)
{
    return end_open(&ends[0], 0, bytes_0) && end_open(&ends[1], 1, bytes_1) &&
           end_connect(&ends[0], &ends[1], 1) &&
           end_connect(&ends[1], &ends[0], 0);
}

/* True: nothing is left of any message. */
static bool
ends_close(struct end ends[2])
{
    bool clean = true;

    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < HELD_MAX; j++) {
            if (ends[i].kept[j] != NULL) {
                chi_msg_release(ends[i].kept[j]);
            }
        }
        chi_route_close(ends[i].route);
        clean = clean && chi_msg_pool_live(ends[i].pool) == 0;
    }
    for (int i = 0; i < 2; i++) {
        clean = clean && (ends[i].arena == NULL ||
                          chi_arena_used_bytes(ends[i].arena) == 0);
    }
    for (int i = 0; i < 2; i++) {
        chi_msg_pool_destroy(ends[i].pool);
        chi_arena_destroy(ends[i].arena);
    }
    return clean;
}

static struct chi_msg *
message(struct end *from, uint64_t number, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(from->pool, len);

    if (msg != NULL) {
        msg->env.handler = CHI_HANDLER_FUNCTION;
        msg->env.key = number;
        for (uint64_t at = 0; at < len; at++) {
            msg->bytes[at] = pattern(number, at);
        }
    }
    return msg;
}

/* All sizes, one way, some to several holders; the receiver lags behind. */
static void
flow(uint64_t bytes_0, uint64_t bytes_1, uint64_t len_max, uint32_t count)
{
    struct end ends[2];
    struct chi_prng prng;

    chi_prng_init(&prng, bytes_0 + len_max);
    CHECK(ends_open(ends, bytes_0, bytes_1));
    for (uint64_t sent = 0; sent < count; sent++) {
        const uint64_t len = chi_prng_below(&prng, 3) == 0
                                 ? chi_prng_below(&prng, 300)
                                 : chi_prng_below(&prng, len_max);
        struct chi_msg *msg = message(&ends[0], sent, len);
        const bool shared = chi_prng_below(&prng, 4) == 0;

        CHECK(msg != NULL);
        if (shared) {
            (void)chi_msg_ref(msg);
        }
        CHECK_EQ(chi_route_send(ends[0].route, 1, msg), CHARE_OK);
        if (shared) {
            CHECK(msg->bytes[0] == pattern(sent, 0) || len == 0);
            chi_msg_release(msg);
        }
        if (chi_prng_below(&prng, 8) == 0) {
            (void)chi_route_progress(ends[1].route, 16);
            (void)chi_route_progress(ends[0].route, 16);
        }
    }
    for (int turns = 0; turns < 1000000 && ends[1].arrived < count; turns++) {
        (void)chi_route_progress(ends[0].route, 16);
        (void)chi_route_progress(ends[1].route, 16);
    }
    CHECK_EQ(ends[1].arrived, count);
    CHECK_EQ(ends[1].damaged, 0);
    CHECK(ends_close(ends));
}

static void
messages_arrive_while_there_is_room(void)
{
    flow(ARENA_BYTES * 16, ARENA_BYTES, 200000, 500);
}

static void
messages_arrive_when_there_is_none(void)
{
    flow((uint64_t)1 << 20, (uint64_t)1 << 20, 400000, 500);
    flow(0, ARENA_BYTES, 100000, 100);
    flow(ARENA_BYTES, 0, 100000, 100);
}

static void
only_their_place_is_sent(void)
{
    struct end ends[2];
    struct chi_msg *msg;
    const unsigned char *bytes;

    CHECK(ends_open(ends, ARENA_BYTES, ARENA_BYTES));
    msg = message(&ends[0], 0, 1 << 20);
    CHECK_EQ(chi_route_send(ends[0].route, 1, msg), CHARE_OK);
    CHECK_EQ(chi_msg_pool_live(ends[0].pool), 0);
    (void)chi_route_progress(ends[1].route, 16);
    CHECK_EQ(ends[1].arrived, 1);
    /* The sender's memory is what the receiver has: seen by writing. */
    bytes = msg->bytes;
    ends[1].kept[0]->bytes[12345] = 99;
    CHECK_EQ(bytes[12345], 99);
    CHECK(chi_arena_used_bytes(ends[0].arena) > 0);
    chi_msg_release(ends[1].kept[0]);
    ends[1].kept[0] = NULL;
    CHECK_EQ(chi_arena_used_bytes(ends[0].arena), 0);
    CHECK_EQ(chi_arena_used_bytes(ends[1].arena), 0);
    CHECK(ends_close(ends));
}

/* What came is sent on as it is: to its owner, who may send it again. */
static void
messages_are_passed_on(void)
{
    struct end ends[2];
    struct chi_msg *msg;

    CHECK(ends_open(ends, ARENA_BYTES, ARENA_BYTES));
    msg = message(&ends[0], 0, 1 << 20);
    CHECK_EQ(chi_route_send(ends[0].route, 1, msg), CHARE_OK);
    for (int to = 1; to < 6; to++) {
        struct end *here = &ends[to & 1];
        struct end *next = &ends[~to & 1];
        struct chi_msg *came;

        (void)chi_route_progress(here->route, 16);
        CHECK_EQ(here->damaged, 0);
        came = here->kept[(here->arrived - 1) % HELD_MAX];
        here->kept[(here->arrived - 1) % HELD_MAX] = NULL;
        CHECK(came != NULL);
        CHECK(came->room >= 1 << 20);
        CHECK((to & 1) == 1 || came == msg); /* the same memory */
        came->env.key = next->arrived;
        for (uint64_t at = 0; at < came->env.len; at++) {
            came->bytes[at] = pattern(next->arrived, at);
        }
        CHECK_EQ(chi_route_send(here->route, (uint32_t)(~to & 1), came),
                 CHARE_OK);
        CHECK_EQ(chi_arena_used_bytes(ends[1].arena), 0);
        CHECK_EQ(chi_arena_used_bytes(ends[0].arena),
                 (1 << 20) + unit_bytes());
    }
    CHECK(chi_msg_pool_live(ends[0].pool) == 0);
    (void)chi_route_progress(ends[0].route, 16);
    CHECK_EQ(ends[0].arrived + ends[1].arrived, 6);
    CHECK(ends_close(ends)); /* also when its owner releases it */
}

/* A block takes what it needs, and no power of two. */
static void
no_room_is_wasted(void)
{
    const uint64_t bytes = 5 * (1 << 20) + 1;
    struct chi_arena *arena;
    void *blocks[3];
    uint64_t room;

    CHECK_EQ(chi_arena_create(&silent, ARENA_BYTES, &arena), CHARE_OK);
    blocks[0] = chi_arena_alloc(arena, bytes, &room);
    CHECK(room >= bytes && room < bytes + unit_bytes());
    blocks[1] = chi_arena_alloc(arena, bytes, &room);
    blocks[2] = chi_arena_alloc(arena, bytes / 3, &room);
    CHECK(blocks[0] != NULL && blocks[1] != NULL && blocks[2] != NULL);
    CHECK(chi_arena_used_bytes(arena) <
          2 * bytes + bytes / 3 + 3 * unit_bytes());
    chi_arena_release(arena, blocks[1]);
    chi_arena_release(arena, blocks[0]);
    chi_arena_release(arena, blocks[2]);
    CHECK_EQ(chi_arena_used_bytes(arena), 0);
    blocks[0] =
        chi_arena_alloc(arena, ARENA_BYTES - CHI_ARENA_HEAD_BYTES, &room);
    CHECK(blocks[0] != NULL);
    chi_arena_release(arena, blocks[0]);
    chi_arena_destroy(arena);
}

/* Send a CHI_HANDLER_BLOCK with these words. */
static bool
send_words(struct end *end, uint64_t at, uint64_t wire_len, uint64_t room,
           uint64_t owner, uint64_t words)
{
    struct chi_msg *block = chi_msg_alloc(end->pool, words * 8);
    const uint64_t place[5] = {at, wire_len, room, owner, 0};

    if (block == NULL) {
        return false;
    }
    memcpy(block->bytes, place, words * 8);
    block->env.handler = CHI_HANDLER_BLOCK;
    block->env.source_pe = 0;
    return chi_net_send(end->net, 1, block) == CHARE_OK;
}

static void
nonsense_is_dropped(void)
{
    struct end ends[2];

    CHECK(ends_open(ends, ARENA_BYTES, ARENA_BYTES));
    CHECK(send_words(&ends[0], 0, 1000, 1000, 0, 2));
    CHECK(send_words(&ends[0], 0, 1000, 1000, 0, 5));
    CHECK(send_words(&ends[0], 0, 0, 1000, 0, 4));
    CHECK(send_words(&ends[0], 0, 1000, 900, 0, 4)); /* no room */
    CHECK(send_words(&ends[0], 8, 1000, 1000, 0, 4));
    CHECK(send_words(&ends[0], 0, UINT64_MAX, UINT64_MAX, 0, 4));
    CHECK(send_words(&ends[0], 0, 1000, UINT64_MAX - 100, 0, 4));
    CHECK(send_words(&ends[0], 0, 1000, ARENA_BYTES, 0, 4));
    CHECK(send_words(&ends[0], ARENA_BYTES, 1000, 1000, 0, 4));
    CHECK(send_words(&ends[0], 0, 1000, 1000, 0, 4)); /* no message there */
    CHECK(send_words(&ends[0], 0, 1000, 1000, 1, 4)); /* it was not given */
    CHECK(send_words(&ends[0], 0, 1000, 1000, 7, 4)); /* no such rank */
    CHECK_EQ(chi_route_send(ends[0].route, 1, message(&ends[0], 0, 8)),
             CHARE_OK);
    (void)chi_route_progress(ends[1].route, 64);
    CHECK_EQ(ends[1].arrived, 1);
    CHECK_EQ(ends[1].damaged, 0);
    CHECK_EQ(chi_route_foreign_dropped(ends[1].route), 12);
    CHECK(ends_close(ends));
}

TAP_MAIN(TAP_CASE(blocks_do_not_overlap), TAP_CASE(free_memory_goes_back),
         TAP_CASE(large_pages_are_not_shared), TAP_CASE(sizes_are_checked),
         TAP_CASE(given_blocks_come_back), TAP_CASE(places_are_checked),
         TAP_CASE(forked_children_do_no_harm),
         TAP_CASE(held_by_others_for_long),
         TAP_CASE(messages_arrive_while_there_is_room),
         TAP_CASE(messages_arrive_when_there_is_none),
         TAP_CASE(only_their_place_is_sent), TAP_CASE(messages_are_passed_on),
         TAP_CASE(no_room_is_wasted), TAP_CASE(nonsense_is_dropped))
