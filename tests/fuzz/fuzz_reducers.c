/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_reducers.c - any contributions give a value or an error value.
 *
 * The first byte chooses the reducer and how many parts the rest is cut into.
 * Properties: the result is exactly one well-formed value, an error value if
 * and only if the status says so; the result can be a part again.
 */
#include "config.h"

#include "coll/reducers.h"
#include "fuzz/fuzz.h"
#include "msg/codec.h"

enum {
    PARTS_MAX = 4,
    REDUCERS = CHARE_REDUCE_XOR - CHARE_REDUCE_SUM + 1
};

static chare_status
combine(struct chi_msg_pool *pool, uint32_t reducer, const chare_part *parts,
        size_t count, chare_buffer **out)
{
    chare_encoder encoder;
    chare_decoder decoder;
    chare_value value;
    chare_status status;
    size_t len;
    void *bytes;

    FUZZ_CHECK(chi_encoder_init(&encoder, pool, 0) == CHARE_OK);
    status = chi_reducer_combine(reducer, parts, count, &encoder);
    FUZZ_CHECK(status == CHARE_OK || status == CHARE_ERR_FORMAT);
    FUZZ_CHECK(chare_encoder_take(&encoder, out) == CHARE_OK);
    bytes = chare_buffer_bytes(*out, &len);
    chare_decoder_init(&decoder, bytes, len);
    FUZZ_CHECK(chare_skip(&decoder) == CHARE_OK);
    FUZZ_CHECK(decoder.at == decoder.end);
    chare_decoder_init(&decoder, bytes, len);
    FUZZ_CHECK(chare_get(&decoder, &value) == CHARE_OK);
    FUZZ_CHECK((value.tag == CHARE_TAG_ERROR) == (status != CHARE_OK));
    return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chi_msg_pool *pool;
    chare_part parts[PARTS_MAX];
    uint8_t *copies[PARTS_MAX];
    chare_buffer *results[2];
    const unsigned choice = size > 0 ? data[0] : 0;
    const uint32_t reducer = CHARE_REDUCE_SUM + choice % REDUCERS;
    const size_t count = 1 + choice / REDUCERS % PARTS_MAX;
    const size_t each = size > 0 ? (size - 1) / count : 0;

    FUZZ_CHECK(chi_msg_pool_create(&pool) == CHARE_OK);
    for (size_t i = 0; i < count; i++) {
        copies[i] = fuzz_copy(size > 0 ? data + 1 + i * each : data, each);
        parts[i] = (chare_part){CHARE_FORMAT_VALUE, copies[i], each, 0};
    }
    if (combine(pool, reducer, parts, count, &results[0]) == CHARE_OK) {
        parts[0].bytes = chare_buffer_bytes(results[0], &parts[0].len);
        (void)combine(pool, reducer, parts, count, &results[1]);
        chare_buffer_release(results[1]);
    }
    chare_buffer_release(results[0]);
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
    }
    FUZZ_CHECK(chi_msg_pool_live(pool) == 0);
    chi_msg_pool_destroy(pool);
    return 0;
}
