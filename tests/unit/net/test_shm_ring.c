/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shm_ring.c - the shared-memory inbox, step by step.
 *
 * Goal:   nothing is read before it is published, whatever is left in the
 *         slots; order is that of reservation; the sleep flag is seen by
 *         exactly one producer; a producer that stops in the middle, or lies,
 *         stops nobody but the ring.
 * Method: both ends in one thread, so that every interleaving that matters is
 *         written down; random sizes over many laps of the smallest ring.
 */
#include "config.h"

#include "net/shm_ring.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/prng.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "net/shm.h"
#include "tap/tap.h"

enum {
    SLOTS = CHI_SHM_SLOTS_MIN,
    RECORD_MAX = 2000
};

struct pair {
    void *memory;
    struct chi_shm_ring in;  /* a producer */
    struct chi_shm_ring out; /* the consumer */
};

static bool
pair_open(struct pair *pair)
{
    const size_t bytes = chi_shm_inbox_bytes(SLOTS);

    pair->memory = aligned_alloc(CHI_CPU_APART_BYTES, bytes);
    if (pair->memory == NULL) {
        return false;
    }
    memset(pair->memory, 0, bytes);
    chi_shm_ring_init(&pair->in, pair->memory, SLOTS);
    chi_shm_ring_init(&pair->out, pair->memory, SLOTS);
    return true;
}

static bool
put(struct pair *pair, const unsigned char *bytes, uint64_t len)
{
    uint64_t position;
    uint64_t before;
    unsigned wake;

    if (chi_shm_reserve(&pair->in, chi_shm_slots_of(len), &position, &wake) !=
        CHARE_OK) {
        return false;
    }
    chi_shm_fill(&pair->in, position, bytes, len, RECORD_MAX);
    /* The consumer, if it waits for this very record, does not see it. */
    if (pair->out.position == position && chi_shm_peek(&pair->out, &before)) {
        return false;
    }
    chi_shm_publish(&pair->in, position, len);
    return true;
}

static void
records_come_out_as_they_went_in(void)
{
    unsigned char bytes[RECORD_MAX + CHI_SHM_CHUNK_BYTES];
    unsigned char out[RECORD_MAX + CHI_SHM_CHUNK_BYTES];
    uint64_t lens[SLOTS];
    struct chi_prng prng;
    struct pair pair;
    uint64_t put_count = 0;
    uint64_t got_count = 0;

    chi_prng_init(&prng, 5);
    CHECK(pair_open(&pair));
    while (got_count < 20000) {
        const uint64_t most = put_count % 8 == 0 ? RECORD_MAX : 130;
        uint64_t len = 1 + chi_prng_below(&prng, most);
        bool room;

        /* Every word looks like a stamp of this lap or the next. */
        for (size_t i = 0; i + 8 <= sizeof(bytes); i += 8) {
            const uint64_t stamp = chi_shm_stamp(
                &pair.out, pair.out.position + (i % 16) * SLOTS / 8, 48);

            memcpy(bytes + i, &stamp, 8);
        }
        bytes[0] = (unsigned char)put_count;
        bytes[len - 1] = (unsigned char)put_count;
        room = chi_prng_below(&prng, 3) > 0 && put(&pair, bytes, len);
        if (room) {
            lens[put_count++ % SLOTS] = len;
            continue;
        }
        if (put_count == got_count) {
            CHECK(!chi_shm_peek(&pair.out, &len));
            continue;
        }
        CHECK(chi_shm_peek(&pair.out, &len));
        CHECK_EQ(len, lens[got_count % SLOTS]);
        chi_shm_take(&pair.out, out, len, sizeof(out));
        CHECK_EQ(out[0], got_count & 0xff);
        CHECK_EQ(out[len - 1], got_count & 0xff);
        chi_shm_step(&pair.out, chi_shm_slots_of(len));
        got_count++;
    }
    CHECK(pair.out.position > 100 * SLOTS);
    free(pair.memory);
}

static void
a_full_ring_says_again(void)
{
    unsigned char bytes[RECORD_MAX] = {0};
    struct pair pair;
    uint64_t len;

    CHECK(pair_open(&pair));
    for (uint64_t i = 0; i < SLOTS; i++) {
        CHECK(put(&pair, bytes, 8));
    }
    CHECK(!put(&pair, bytes, 8));
    /* Slots come back in portions, and all of them when asked. */
    for (uint64_t i = 0; i < SLOTS; i++) {
        CHECK(chi_shm_peek(&pair.out, &len));
        chi_shm_step(&pair.out, 1);
    }
    CHECK(!chi_shm_peek(&pair.out, &len));
    chi_shm_give_back(&pair.out);
    for (uint64_t i = 0; i < SLOTS; i++) {
        CHECK(put(&pair, bytes, 8));
    }
    CHECK(!put(&pair, bytes, 8));
    free(pair.memory);
}

static void
order_is_that_of_reservation(void)
{
    unsigned char bytes[RECORD_MAX] = {0};
    struct pair pair;
    uint64_t first;
    uint64_t second;
    uint64_t len;
    unsigned wake;

    CHECK(pair_open(&pair));
    CHECK_EQ(chi_shm_reserve(&pair.in, 2, &first, &wake), CHARE_OK);
    CHECK_EQ(chi_shm_reserve(&pair.in, 1, &second, &wake), CHARE_OK);
    chi_shm_fill(&pair.in, second, bytes, 50, sizeof(bytes));
    chi_shm_publish(&pair.in, second, 50);
    CHECK(!chi_shm_peek(&pair.out, &len));
    chi_shm_fill(&pair.in, first, bytes, 100, sizeof(bytes));
    chi_shm_publish(&pair.in, first, 100);
    CHECK(chi_shm_peek(&pair.out, &len));
    CHECK_EQ(len, 100);
    chi_shm_step(&pair.out, 2);
    CHECK(chi_shm_peek(&pair.out, &len));
    CHECK_EQ(len, 50);
    free(pair.memory);
}

static void
one_producer_wakes(unsigned how)
{
    struct pair pair;
    uint64_t position;
    unsigned wake;

    CHECK(pair_open(&pair));
    CHECK(chi_shm_sleep(&pair.out, how));
    CHECK_EQ(chi_shm_reserve(&pair.in, 1, &position, &wake), CHARE_OK);
    CHECK_EQ(wake, how);
    CHECK_EQ(chi_shm_reserve(&pair.in, 1, &position, &wake), CHARE_OK);
    CHECK_EQ(wake, 0);
    CHECK(chi_shm_wake(&pair.out));
    /* Something is reserved: no sleep. */
    CHECK(!chi_shm_sleep(&pair.out, how));
    pair.out.position += 2;
    CHECK(chi_shm_sleep(&pair.out, how));
    /* Who woke it by a ring, and who did not. */
    CHECK(!chi_shm_wake(&pair.out));
    CHECK_EQ(chi_shm_reserve(&pair.in, 1, &position, &wake), CHARE_OK);
    CHECK_EQ(wake, 0);
    CHECK_EQ(position, 2);
    free(pair.memory);
}

static void
one_producer_wakes_the_sleeper(void)
{
    one_producer_wakes(CHI_SHM_FLAG_SLEEP);
    one_producer_wakes(CHI_SHM_FLAG_NAP);
}

/* The word on which it naps differs as soon as there is a reason to wake. */
static void
a_nap_ends_with_its_word(void)
{
    struct pair pair;
    uint64_t position;
    unsigned wake;

    CHECK(pair_open(&pair));
    CHECK(!chi_shm_nudge(&pair.out));
    CHECK(chi_shm_sleep(&pair.out, CHI_SHM_FLAG_NAP));
    CHECK_EQ(*chi_shm_nap_word(pair.memory), chi_shm_nap_value(&pair.out));
    CHECK(chi_shm_nudge(&pair.out));
    CHECK(*chi_shm_nap_word(pair.memory) != chi_shm_nap_value(&pair.out));
    CHECK(!chi_shm_nudge(&pair.out));
    CHECK(chi_shm_wake(&pair.out));
    CHECK(chi_shm_sleep(&pair.out, CHI_SHM_FLAG_NAP));
    CHECK_EQ(chi_shm_reserve(&pair.in, 3, &position, &wake), CHARE_OK);
    CHECK(*chi_shm_nap_word(pair.memory) != chi_shm_nap_value(&pair.out));
    CHECK(!chi_shm_nudge(&pair.out));
    /* A sleeper on its doorbell is not nudged: it has a bell. */
    pair.out.position += 3;
    CHECK(chi_shm_wake(&pair.out));
    CHECK(chi_shm_sleep(&pair.out, CHI_SHM_FLAG_SLEEP));
    CHECK(!chi_shm_nudge(&pair.out));
    CHECK(!chi_shm_wake(&pair.out));
    free(pair.memory);
}

static void
a_closed_inbox_takes_nothing(void)
{
    struct pair pair;
    uint64_t position;
    unsigned wake;

    CHECK(pair_open(&pair));
    chi_shm_end(&pair.out);
    CHECK_EQ(chi_shm_reserve(&pair.in, 1, &position, &wake),
             CHARE_ERR_PEER_LOST);
    free(pair.memory);
}

/* ---- a net whose inbox somebody else writes */

struct victim {
    struct chi_net *net;
    struct chi_msg_pool *pool;
    struct chi_settings settings;
    struct chi_log log;
    struct chi_shm_ring ring; /* the other one's view */
    size_t bytes;
    uint64_t arrived;
};

static void
victim_arrived(void *context, struct chi_msg *msg)
{
    struct victim *victim = context;

    victim->arrived++;
    chi_msg_release(msg);
}

static void
victim_lost(void *context, uint32_t rank, chare_status why)
{
    (void)context;
    (void)rank;
    (void)why;
    abort();
}

static void
victim_got(void *context, uint64_t token, chare_status status)
{
    (void)context;
    (void)token;
    (void)status;
    abort();
}

static chare_status
victim_open(struct victim *victim, const char *ring_bytes)
{
    const struct chi_net_sink sink = {victim, victim_arrived, victim_lost,
                                      victim_got};
    struct chi_net_options options = {
        .log = &victim->log,
        .settings = &victim->settings,
        .clock = &chi_clock_real,
        .size = 1,
    };
    uint64_t address[7]; /* as shm.c writes it */
    size_t len = sizeof(address);
    char error[200];
    chare_status status;
    void *inbox;

    memset(victim, 0, sizeof(*victim));
    (void)setenv("CHARE_RING_BYTES", ring_bytes, 1);
    status = chi_settings_read(&victim->settings, error, sizeof(error));
    (void)unsetenv("CHARE_RING_BYTES");
    if (status != CHARE_OK || chi_msg_pool_create(&victim->pool) != CHARE_OK) {
        return CHARE_ERR_NO_MEMORY;
    }
    options.pool = victim->pool;
    status = chi_net_open(&chi_net_shm_ops, &options, &sink, &victim->net);
    if (status != CHARE_OK) {
        chi_msg_pool_destroy(victim->pool);
        return status;
    }
    status = chi_net_address(victim->net, address, &len);
    victim->bytes = chi_shm_inbox_bytes(address[1]);
    inbox = mmap(NULL, victim->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                 (int)(address[3] >> 32), 0);
    if (status != CHARE_OK || inbox == MAP_FAILED) {
        return CHARE_ERR_SYSTEM;
    }
    chi_shm_ring_init(&victim->ring, inbox, address[1]);
    return CHARE_OK;
}

static void
victim_close(struct victim *victim)
{
    (void)munmap(victim->ring.inbox, victim->bytes);
    chi_net_close(victim->net);
    chi_msg_pool_destroy(victim->pool);
}

static void
an_abandoned_reservation_is_waited_for_quietly(void)
{
    unsigned char bytes[RECORD_MAX] = {0};
    struct victim victim;
    uint64_t dead;
    uint64_t position;
    unsigned wake;

    CHECK_EQ(victim_open(&victim, "16k"), CHARE_OK);
    CHECK_EQ(chi_shm_reserve(&victim.ring, 3, &dead, &wake), CHARE_OK);
    /* Another producer goes on, until the ring is full. */
    while (chi_shm_reserve(&victim.ring, 1, &position, &wake) == CHARE_OK) {
        chi_shm_fill(&victim.ring, position, bytes, 48, sizeof(bytes));
        chi_shm_publish(&victim.ring, position, 48);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(chi_net_progress(victim.net, 64), 0);
        CHECK_EQ(chi_net_wait_begin(victim.net), CHARE_ERR_AGAIN);
    }
    CHECK_EQ(victim.net->foreign_dropped, 0);
    victim_close(&victim);
}

static void
a_forged_stamp_is_taken_away(void)
{
    struct victim victim;

    CHECK_EQ(victim_open(&victim, "16k"), CHARE_OK);
    /* Published without a reservation, with a length of nonsense. */
    for (int i = 0; i < 3; i++) {
        chi_shm_publish(&victim.ring, 0, 7);
        CHECK_EQ(chi_net_progress(victim.net, 64), 0);
        CHECK_EQ(victim.net->foreign_dropped, i + 1);
        CHECK_EQ(chi_net_progress(victim.net, 64), 0);
        CHECK_EQ(victim.net->foreign_dropped, i + 1);
    }
    CHECK_EQ(chi_net_wait_begin(victim.net), CHARE_OK);
    chi_net_wait_end(victim.net);
    victim_close(&victim);
}

static void
nonsense_in_the_ring_ends(void)
{
    struct chi_prng prng;
    struct victim victim;

    chi_prng_init(&prng, 11);
    CHECK_EQ(victim_open(&victim, "16k"), CHARE_OK);
    for (int round = 0; round < 2000; round++) {
        uint64_t *words = (uint64_t *)(void *)victim.ring.slots;
        const size_t word = chi_prng_below(&prng, 16384 / 8);

        if (round % 3 == 0) {
            /* A plausible stamp with any length. */
            chi_shm_publish(&victim.ring, chi_prng_below(&prng, 1024),
                            chi_prng_below(&prng, 5000));
        } else if (round % 50 == 1) {
            atomic_store(&victim.ring.inbox->tail, chi_prng_next(&prng) & ~2u);
        } else {
            words[word] = chi_prng_next(&prng);
        }
        (void)chi_net_progress(victim.net, 16);
    }
    victim_close(&victim);
}

static void
settings_that_make_no_sense_are_refused(void)
{
    struct victim victim;

    CHECK_EQ(victim_open(&victim, "100k"), CHARE_ERR_INVALID);
    CHECK_EQ(victim_open(&victim, "64"), CHARE_ERR_INVALID);
    CHECK_EQ(victim_open(&victim, "2g"), CHARE_ERR_INVALID);
    CHECK_EQ(victim_open(&victim, "1m"), CHARE_OK);
    victim_close(&victim);
}

static void
an_address_of_another_time_is_refused(void)
{
    uint64_t address[7];
    struct chi_net_peer peer = {.rank = 0, .len = sizeof(address)};
    struct victim victim;
    struct victim old;
    size_t len = sizeof(address);

    CHECK_EQ(victim_open(&victim, "16k"), CHARE_OK);
    CHECK_EQ(victim_open(&old, "16k"), CHARE_OK);
    CHECK_EQ(chi_net_address(old.net, address, &len), CHARE_OK);
    CHECK_EQ(len, peer.len);
    /* The process and the descriptor are there, but it is not that inbox. */
    address[0]++;
    peer.address = address;
    CHECK_EQ(chi_net_connect(victim.net, 1, &peer, 1), CHARE_ERR_SYSTEM);
    victim_close(&old);
    victim_close(&victim);
}

TAP_MAIN(TAP_CASE(records_come_out_as_they_went_in),
         TAP_CASE(a_full_ring_says_again),
         TAP_CASE(order_is_that_of_reservation),
         TAP_CASE(one_producer_wakes_the_sleeper),
         TAP_CASE(a_nap_ends_with_its_word),
         TAP_CASE(a_closed_inbox_takes_nothing),
         TAP_CASE(an_abandoned_reservation_is_waited_for_quietly),
         TAP_CASE(a_forged_stamp_is_taken_away),
         TAP_CASE(nonsense_in_the_ring_ends),
         TAP_CASE(settings_that_make_no_sense_are_refused),
         TAP_CASE(an_address_of_another_time_is_refused))
