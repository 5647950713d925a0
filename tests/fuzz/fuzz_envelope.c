/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_envelope.c - what chi_msg_wire_ok() lets through is a message.
 *
 * Properties: any bytes at any address can be asked about; a message made of
 * accepted bytes has lengths that agree with them, and its data and trailer
 * lie inside.
 */
#include "config.h"

#include "fuzz/fuzz.h"
#include "msg/msg.h"

static void
take(const uint8_t *bytes, size_t size)
{
    struct chi_msg_pool *pool;
    struct chi_msg *msg;
    unsigned sum = 0;

    FUZZ_CHECK(chi_msg_pool_create(&pool) == CHARE_OK);
    msg = chi_msg_alloc_wire(pool, size);
    FUZZ_CHECK(msg != NULL);
    memcpy(chi_msg_wire(msg), bytes, size);
    FUZZ_CHECK(chi_msg_wire_len(msg) == size);
    FUZZ_CHECK(msg->env.len <= msg->room);
    FUZZ_CHECK(chi_msg_data_len(msg) + msg->env.trailer_len == msg->env.len);
    FUZZ_CHECK(msg->env.handler < CHI_HANDLER_COUNT);
    for (uint64_t i = 0; i < msg->env.len; i++) {
        sum += msg->bytes[i];
    }
    FUZZ_CHECK(sum <= 255 * msg->env.len);
    chi_msg_release(msg);
    FUZZ_CHECK(chi_msg_pool_live(pool) == 0);
    chi_msg_pool_destroy(pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = fuzz_copy(data, size);
    uint8_t *shifted = malloc(size + 1);
    const bool ok = chi_msg_wire_ok(bytes, size);

    FUZZ_CHECK(shifted != NULL);
    memcpy(shifted + 1, bytes, size);
    FUZZ_CHECK(chi_msg_wire_ok(shifted + 1, size) == ok);
    if (ok) {
        FUZZ_CHECK(size >= sizeof(struct chi_envelope));
        FUZZ_CHECK(!chi_msg_wire_ok(bytes, size - 1));
        take(bytes, size);
    }
    free(shifted);
    free(bytes);
    return 0;
}
