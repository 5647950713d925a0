/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pack.c - what comes out of a pack that a wire brought.
 *
 * Goal:   the calls of a pack come out whole and in order; of any other bytes
 *         come calls that make sense by themselves, or none, and nothing is
 *         read outside of the pack or left over.
 * Method: packs of random calls, as they are and with bytes changed, cut or
 *         drawn at random; the sanitizers watch.
 */
#include "config.h"

#include "base/prng.h"
#include "pe/pe.h"
#include "tap/tap.h"

enum {
    ROUNDS = 20000,
    CALLS_MAX = 6,
    CALL_BYTES_MAX = 100,
};

static const struct chi_log silent = {.level = CHI_LOG_ERROR};

/* A PE as far as opening packs needs one; what it got. */
struct taker {
    struct chi_pe pe;
    uint32_t count;
    bool wrong;
    uint64_t lens[CALLS_MAX];
    bool known;
};

static void
taken(struct chi_pe *pe, struct chi_msg *msg)
{
    struct taker *taker = (struct taker *)(void *)pe;

    if (!chi_msg_wire_ok(chi_msg_wire(msg), chi_msg_wire_len(msg)) ||
        msg->env.handler != CHI_HANDLER_INVOKE) {
        taker->wrong = true;
    }
    if (taker->known &&
        (taker->count >= CALLS_MAX || msg->env.key != taker->count ||
         msg->env.len != taker->lens[taker->count])) {
        taker->wrong = true;
    }
    for (uint64_t i = 0; taker->known && i < msg->env.len; i++) {
        taker->wrong = taker->wrong || msg->bytes[i] != (uint8_t)(i + 1);
    }
    taker->count++;
    chi_msg_release(msg);
}

static uint64_t
pack_random(struct taker *taker, struct chi_prng *prng, uint8_t *bytes,
            uint32_t count)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct chi_envelope env = {
            .version = CHI_MSG_WIRE_VERSION,
            .handler = CHI_HANDLER_INVOKE,
            .key = i,
            .len = chi_prng_below(prng, CALL_BYTES_MAX),
        };

        taker->lens[i] = env.len;
        memcpy(bytes + at, &env, sizeof(env));
        at += sizeof(env);
        for (uint64_t j = 0; j < env.len; j++) {
            bytes[at + j] = (uint8_t)(j + 1);
        }
        at += (env.len + 15) / 16 * 16;
    }
    return at;
}

static void
open_pack(struct taker *taker, const uint8_t *bytes, uint64_t len, bool known)
{
    struct chi_msg *pack = chi_pe_msg(&taker->pe, CHI_HANDLER_PACK, len);

    taker->count = 0;
    taker->known = known;
    memcpy(pack->bytes, bytes, len);
    chi_pack_open(&taker->pe, pack, taken);
}

static void
any_bytes_are_safe(void)
{
    uint8_t bytes[CALLS_MAX * (CALL_BYTES_MAX + 80)];
    struct taker taker = {.pe.options.log = &silent};
    struct chi_prng prng;
    uint32_t fewer = 0;

    chi_prng_init(&prng, 1);
    CHECK(chi_msg_pool_create(&taker.pe.pool) == CHARE_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t count = (uint32_t)chi_prng_below(&prng, CALLS_MAX + 1);
        uint64_t len;

        memset(bytes, 0, sizeof(bytes));
        len = pack_random(&taker, &prng, bytes, count);
        open_pack(&taker, bytes, len, true);
        CHECK_EQ(taker.count, count);
        for (uint64_t i = 1 + chi_prng_below(&prng, 3); i > 0 && len > 0;
             i--) {
            bytes[chi_prng_below(&prng, len)] = (uint8_t)chi_prng_next(&prng);
        }
        if (chi_prng_below(&prng, 3) == 0) {
            len = chi_prng_below(&prng, len + 1);
        }
        open_pack(&taker, bytes, len, false);
        fewer += taker.count < count;
        CHECK_EQ(chi_msg_pool_live(taker.pe.pool), 0);
        CHECK(!taker.wrong);
    }
    CHECK(fewer > ROUNDS / 20);
    chi_msg_pool_destroy(taker.pe.pool);
}

TAP_MAIN(TAP_CASE(any_bytes_are_safe))
