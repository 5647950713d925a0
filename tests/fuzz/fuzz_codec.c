/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_codec.c - any bytes are safe to read, and what was read can be written.
 *
 * Properties: a reader stops with the end or an error, moves forward with each
 * item and never past the end; chare_skip() passes over exactly the items that
 * chare_get() would read; items that were read, written again and read again
 * are equal, and writing those gives the same bytes.
 */
#include "config.h"

#include <chare.h>

#include "fuzz/fuzz.h"
#include "msg/codec.h"

static bool
blobs_equal(const chare_value *a, const chare_value *b)
{
    return a->as.bytes.len == b->as.bytes.len &&
           (a->as.bytes.len == 0 ||
            memcmp(a->as.bytes.at, b->as.bytes.at, a->as.bytes.len) == 0);
}

static bool
arrays_equal(const chare_value *a, const chare_value *b)
{
    return a->as.array.dtype == b->as.array.dtype &&
           a->as.array.flags == b->as.array.flags &&
           a->as.array.ndims == b->as.array.ndims &&
           a->as.array.len == b->as.array.len &&
           memcmp(a->as.array.shape, b->as.array.shape,
                  a->as.array.ndims * sizeof(int64_t)) == 0 &&
           memcmp(a->as.array.data, b->as.array.data, a->as.array.len) == 0;
}

static bool
elements_equal(const chare_element *a, const chare_element *b)
{
    return a->collection == b->collection &&
           a->index.ndims == b->index.ndims && a->index.reserved == 0 &&
           b->index.reserved == 0 &&
           memcmp(a->index.at, b->index.at, sizeof(a->index.at)) == 0;
}

static bool
futures_equal(const chare_future *a, const chare_future *b)
{
    return a->id == b->id && a->pe == b->pe && a->reserved == 0 &&
           b->reserved == 0;
}

static bool
values_equal(const chare_value *a, const chare_value *b)
{
    if (a->tag != b->tag) {
        return false;
    }
    switch (a->tag) {
    case CHARE_TAG_END:
    case CHARE_TAG_NONE:
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        return true;
    case CHARE_TAG_INT:
        return a->as.integer == b->as.integer;
    case CHARE_TAG_FLOAT:
        return memcmp(&a->as.real, &b->as.real, sizeof(double)) == 0;
    case CHARE_TAG_COMPLEX:
        return memcmp(&a->as.pair, &b->as.pair, 2 * sizeof(double)) == 0;
    case CHARE_TAG_BIGINT:
    case CHARE_TAG_STR:
    case CHARE_TAG_BYTES:
    case CHARE_TAG_BYTEARRAY:
        return blobs_equal(a, b);
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_DICT:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
    case CHARE_TAG_ERROR:
        return a->as.count == b->as.count;
    case CHARE_TAG_ARRAY:
        return arrays_equal(a, b);
    case CHARE_TAG_SCALAR:
        return a->as.bytes.dtype == b->as.bytes.dtype && blobs_equal(a, b);
    case CHARE_TAG_EXTERN:
        return a->as.bytes.kind == b->as.bytes.kind && blobs_equal(a, b);
    case CHARE_TAG_ELEMENT:
        return elements_equal(&a->as.element, &b->as.element);
    case CHARE_TAG_FUTURE:
        return futures_equal(&a->as.future, &b->as.future);
    case CHARE_TAG_CALLBACK:
        return a->as.callback.kind == b->as.callback.kind &&
               a->as.callback.entry == b->as.callback.entry &&
               futures_equal(&a->as.callback.future, &b->as.callback.future) &&
               elements_equal(&a->as.callback.element,
                              &b->as.callback.element);
    case CHARE_TAG_PROXY:
        return a->as.proxy.kind == b->as.proxy.kind &&
               a->as.proxy.type == b->as.proxy.type &&
               a->as.proxy.part_count == b->as.proxy.part_count &&
               elements_equal(&a->as.proxy.element, &b->as.proxy.element) &&
               (a->as.proxy.part_count == 0 ||
                memcmp(a->as.proxy.parts, b->as.proxy.parts,
                       a->as.proxy.part_count * sizeof(uint32_t)) == 0);
    }
    return false;
}

/* An error without its items, which come by themselves. */
static void
write_error_head(chare_encoder *encoder, size_t count)
{
    FUZZ_CHECK(chare_encoder_grow(encoder, 2));
    *encoder->at++ = CHARE_TAG_ERROR;
    *encoder->at++ = (unsigned char)count;
}

static void
write_array(chare_encoder *encoder, const chare_value *value)
{
    void *data = chare_put_array(encoder, value->as.array.dtype,
                                 value->as.array.flags, value->as.array.ndims,
                                 value->as.array.shape, value->as.array.len);

    FUZZ_CHECK(data != NULL);
    FUZZ_CHECK((uintptr_t)value->as.array.data % 16 == 0);
    memcpy(data, value->as.array.data, value->as.array.len);
}

static void
write_blob(chare_encoder *encoder, const chare_value *value)
{
    const void *at = value->as.bytes.at;
    const size_t len = value->as.bytes.len;

    switch (value->tag) {
    case CHARE_TAG_BIGINT:
        chare_put_bigint(encoder, at, len);
        break;
    case CHARE_TAG_STR:
        chare_put_str(encoder, at, len);
        break;
    case CHARE_TAG_BYTES:
        chare_put_bytes(encoder, at, len);
        break;
    case CHARE_TAG_BYTEARRAY:
        chare_put_bytearray(encoder, at, len);
        break;
    case CHARE_TAG_SCALAR:
        chare_put_scalar(encoder, value->as.bytes.dtype, at);
        break;
    default:
        chare_put_extern(encoder, value->as.bytes.kind, at, len);
        break;
    }
}

static void
write_item(chare_encoder *encoder, const chare_value *value)
{
    switch (value->tag) {
    case CHARE_TAG_END:
        abort();
    case CHARE_TAG_NONE:
        chare_put_none(encoder);
        break;
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        chare_put_bool(encoder, value->tag == CHARE_TAG_TRUE);
        break;
    case CHARE_TAG_INT:
        chare_put_int(encoder, value->as.integer);
        break;
    case CHARE_TAG_FLOAT:
        chare_put_float(encoder, value->as.real);
        break;
    case CHARE_TAG_COMPLEX:
        chare_put_complex(encoder, value->as.pair.real, value->as.pair.imag);
        break;
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_DICT:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
        chare_put_container(encoder, value->tag, value->as.count);
        break;
    case CHARE_TAG_ERROR:
        write_error_head(encoder, value->as.count);
        break;
    case CHARE_TAG_ARRAY:
        write_array(encoder, value);
        break;
    case CHARE_TAG_ELEMENT:
        chare_put_element(encoder, &value->as.element);
        break;
    case CHARE_TAG_FUTURE:
        chare_put_future(encoder, &value->as.future);
        break;
    case CHARE_TAG_CALLBACK:
        chare_put_callback(encoder, &value->as.callback);
        break;
    case CHARE_TAG_PROXY:
        chare_put_proxy(encoder, &value->as.proxy);
        break;
    default:
        write_blob(encoder, value);
        break;
    }
}

/* Write again what can be read, up to the end or the first bad item. */
static chare_buffer *
rewrite(struct chi_msg_pool *pool, const void *bytes, size_t size)
{
    chare_decoder decoder;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_value value;

    FUZZ_CHECK(chi_encoder_init(&encoder, pool, 0) == CHARE_OK);
    chare_decoder_init(&decoder, bytes, size);
    for (;;) {
        const unsigned char *before = decoder.at;

        if (chare_get(&decoder, &value) != CHARE_OK) {
            FUZZ_CHECK(decoder.at == before);
            break;
        }
        FUZZ_CHECK(decoder.at <= decoder.end);
        if (value.tag == CHARE_TAG_END) {
            FUZZ_CHECK(decoder.at == decoder.end);
            break;
        }
        FUZZ_CHECK(decoder.at > before);
        FUZZ_CHECK(chi_value_items(&value) <= (size_t)(decoder.end - before));
        write_item(&encoder, &value);
    }
    FUZZ_CHECK(chare_encoder_take(&encoder, &buffer) == CHARE_OK);
    return buffer;
}

/*
 * Items that claim more items than follow are read one by one in the original
 * and refused in the copy, which ends earlier; so compare while both go on.
 */
static void
compare(const void *bytes, size_t size, chare_buffer *copy)
{
    chare_decoder decoders[2];
    chare_value values[2];
    size_t len;
    void *copied = chare_buffer_bytes(copy, &len);

    chare_decoder_init(&decoders[0], bytes, size);
    chare_decoder_init(&decoders[1], copied, len);
    do {
        if (chare_get(&decoders[0], &values[0]) != CHARE_OK ||
            chare_get(&decoders[1], &values[1]) != CHARE_OK) {
            return;
        }
        FUZZ_CHECK(values_equal(&values[0], &values[1]));
    } while (values[0].tag != CHARE_TAG_END);
}

/* Pass over whole values, and over the same values item by item. */
static void
skip_like_get(const void *bytes, size_t size)
{
    chare_decoder skipping;
    chare_decoder getting;
    chare_value value;

    chare_decoder_init(&skipping, bytes, size);
    getting = skipping;
    while (chare_skip(&skipping) == CHARE_OK) {
        size_t missing = 1;

        while (missing > 0) {
            FUZZ_CHECK(chare_get(&getting, &value) == CHARE_OK);
            FUZZ_CHECK(value.tag != CHARE_TAG_END);
            missing += chi_value_items(&value) - 1;
        }
        FUZZ_CHECK(getting.at == skipping.at);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chi_msg_pool *pool;
    uint8_t *bytes = fuzz_copy(data, size);
    chare_decoder decoder;
    chare_buffer *once;
    size_t len;
    void *written;

    FUZZ_CHECK(chi_msg_pool_create(&pool) == CHARE_OK);
    skip_like_get(bytes, size);
    once = rewrite(pool, bytes, size);
    compare(bytes, size, once);
    /* Whole values survive, and writing them twice changes nothing more. */
    chare_decoder_init(&decoder, bytes, size);
    if (chare_skip(&decoder) == CHARE_OK) {
        const size_t used = (size_t)(decoder.at - bytes);
        chare_buffer *first = rewrite(pool, bytes, used);
        chare_buffer *again;
        size_t len_again;
        void *written_again;

        written = chare_buffer_bytes(first, &len);
        chare_decoder_init(&decoder, written, len);
        FUZZ_CHECK(chare_skip(&decoder) == CHARE_OK);
        FUZZ_CHECK(decoder.at == decoder.end);
        again = rewrite(pool, written, len);
        written_again = chare_buffer_bytes(again, &len_again);
        FUZZ_CHECK(len == len_again &&
                   memcmp(written, written_again, len) == 0);
        chare_buffer_release(first);
        chare_buffer_release(again);
    }
    chare_buffer_release(once);
    FUZZ_CHECK(chi_msg_pool_live(pool) == 0);
    chi_msg_pool_destroy(pool);
    free(bytes);
    return 0;
}
