/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_codec.c - what was put is what is got, and nothing else is got.
 *
 * Goal: every kind of value survives a round trip at the borders of its wire
 * forms; arrays are aligned whatever precedes them; malformed bytes are
 * refused. Method: each case puts values through the public interface, hands
 * the bytes to the public reader and compares; for malformed input, valid
 * bytes are cut at each length and single bytes are set to each value. The
 * bytes are copied to a block of exactly their size, so that a sanitizer or
 * valgrind sees every read that is out of bounds.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "msg/buffer.h"
#include "msg/codec.h"
#include "tap/tap.h"

static struct chi_msg_pool *pool;

/* Exactly the bytes of a message, where nothing follows. */
struct image {
    unsigned char *bytes;
    size_t len;
};

static void
encoder_start(chare_encoder *encoder)
{
    if (chi_msg_pool_create(&pool) != CHARE_OK ||
        chi_encoder_init(encoder, pool, 0) != CHARE_OK) {
        abort();
    }
}

/* Take the bytes over into an image and end the pool. */
static struct image
encoder_stop(chare_encoder *encoder)
{
    struct image image = {NULL, 0};
    chare_buffer *buffer;
    void *bytes;

    if (chare_encoder_take(encoder, &buffer) == CHARE_OK) {
        bytes = chare_buffer_bytes(buffer, &image.len);
        image.bytes = malloc(image.len); /* 16-byte aligned */
        if (image.bytes == NULL && image.len > 0) {
            abort();
        }
        memcpy(image.bytes, bytes, image.len);
        chare_buffer_release(buffer);
    }
    if (chi_msg_pool_live(pool) != 0) {
        abort();
    }
    chi_msg_pool_destroy(pool);
    return image;
}

static chare_value
get(chare_decoder *decoder)
{
    chare_value value;

    if (chare_get(decoder, &value) != CHARE_OK) {
        value.tag = (chare_tag)-1;
    }
    return value;
}

static bool
text_is(const chare_value *value, chare_tag tag, const void *bytes, size_t len)
{
    return value->tag == tag && value->as.bytes.len == len &&
           memcmp(value->as.bytes.at, bytes, len) == 0;
}

static const int64_t integers[] = {
    0,
    1,
    -1,
    95,
    96,
    -32,
    -33,
    127,
    128,
    -128,
    -129,
    32767,
    32768,
    -32768,
    -32769,
    INT32_MAX,
    INT32_MIN,
    INT32_MAX + 1ll,
    INT32_MIN - 1ll,
    INT64_MAX,
    INT64_MIN,
};

enum {
    INTEGER_COUNT = sizeof(integers) / sizeof(integers[0])
};

static void
integers_round_trip(void)
{
    chare_encoder encoder;
    chare_decoder decoder;
    struct image image;

    encoder_start(&encoder);
    for (int i = 0; i < INTEGER_COUNT; i++) {
        chare_put_int(&encoder, integers[i]);
    }
    image = encoder_stop(&encoder);
    chare_decoder_init(&decoder, image.bytes, image.len);
    for (int i = 0; i < INTEGER_COUNT; i++) {
        chare_value value = get(&decoder);

        CHECK_EQ(value.tag, CHARE_TAG_INT);
        CHECK_EQ(value.as.integer, integers[i]);
    }
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
    free(image.bytes);
}

/* What the fast path of a call counts on. */
static void
small_things_are_small(void)
{
    static const int64_t values[] = {0, 7, -5, 95, 100000, INT32_MIN};

    for (int i = 0; i < 6; i++) {
        chare_encoder encoder;
        struct image image;

        encoder_start(&encoder);
        chare_put_container(&encoder, CHARE_TAG_TUPLE, 1);
        chare_put_int(&encoder, values[i]);
        image = encoder_stop(&encoder);
        CHECK(image.len <= 8);
        CHECK(i > 3 || image.len == 2);
        free(image.bytes);
    }
}

static void
floats_keep_their_bits(void)
{
    static const double reals[] = {
        0.0, -0.0, 1.5, DBL_MAX, DBL_MIN, 5e-324, INFINITY, -INFINITY, NAN};
    chare_encoder encoder;
    chare_decoder decoder;
    struct image image;

    encoder_start(&encoder);
    for (int i = 0; i < 9; i++) {
        chare_put_float(&encoder, reals[i]);
        chare_put_complex(&encoder, reals[i], reals[8 - i]);
    }
    image = encoder_stop(&encoder);
    chare_decoder_init(&decoder, image.bytes, image.len);
    for (int i = 0; i < 9; i++) {
        chare_value value = get(&decoder);

        CHECK_EQ(value.tag, CHARE_TAG_FLOAT);
        CHECK(memcmp(&value.as.real, &reals[i], 8) == 0);
        value = get(&decoder);
        CHECK_EQ(value.tag, CHARE_TAG_COMPLEX);
        CHECK(memcmp(&value.as.pair.real, &reals[i], 8) == 0);
        CHECK(memcmp(&value.as.pair.imag, &reals[8 - i], 8) == 0);
    }
    free(image.bytes);
}

static void
simple_tags_round_trip(void)
{
    static const double element = 2.5;
    chare_encoder encoder;
    chare_decoder decoder;
    struct image image;
    chare_value value;

    encoder_start(&encoder);
    chare_put_none(&encoder);
    chare_put_bool(&encoder, false);
    chare_put_bool(&encoder, true);
    chare_put_bigint(&encoder, "\1\2\3\4\5\6\7\10\11", 9);
    chare_put_bytearray(&encoder, "array", 5);
    chare_put_extern(&encoder, 0xdeadbeef, "pickle", 6);
    chare_put_scalar(&encoder, CHARE_DTYPE_F64, &element);
    image = encoder_stop(&encoder);
    chare_decoder_init(&decoder, image.bytes, image.len);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_NONE);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_FALSE);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_TRUE);
    value = get(&decoder);
    CHECK(text_is(&value, CHARE_TAG_BIGINT, "\1\2\3\4\5\6\7\10\11", 9));
    value = get(&decoder);
    CHECK(text_is(&value, CHARE_TAG_BYTEARRAY, "array", 5));
    value = get(&decoder);
    CHECK(text_is(&value, CHARE_TAG_EXTERN, "pickle", 6));
    CHECK_EQ(value.as.bytes.kind, 0xdeadbeef);
    value = get(&decoder);
    CHECK(text_is(&value, CHARE_TAG_SCALAR, &element, 8));
    CHECK_EQ(value.as.bytes.dtype, CHARE_DTYPE_F64);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
    free(image.bytes);
}

static void
texts_of_all_lengths(void)
{
    static const size_t lens[] = {0,   1,   62,  63,  64,    65,    252,
                                  253, 254, 255, 256, 65535, 65536, 300000};
    char *text = malloc(300000);

    CHECK(text != NULL);
    memset(text, 'x', 300000);
    for (int i = 0; i < 14; i++) {
        chare_encoder encoder;
        chare_decoder decoder;
        struct image image;
        chare_value value;

        encoder_start(&encoder);
        chare_put_str(&encoder, text, lens[i]);
        chare_put_bytes(&encoder, text, lens[i]);
        image = encoder_stop(&encoder);
        chare_decoder_init(&decoder, image.bytes, image.len);
        value = get(&decoder);
        CHECK(text_is(&value, CHARE_TAG_STR, text, lens[i]));
        value = get(&decoder);
        CHECK(text_is(&value, CHARE_TAG_BYTES, text, lens[i]));
        CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
        free(image.bytes);
    }
    free(text);
}

static void
containers_of_all_counts(void)
{
    static const size_t counts[] = {0, 1, 15, 16, 253, 254, 300};
    static const chare_tag tags[] = {CHARE_TAG_TUPLE, CHARE_TAG_LIST,
                                     CHARE_TAG_DICT, CHARE_TAG_SET,
                                     CHARE_TAG_FROZENSET};

    for (int i = 0; i < 7 * 5; i++) {
        const size_t count = counts[i % 7];
        const chare_tag tag = tags[i / 7];
        const size_t items = tag == CHARE_TAG_DICT ? 2 * count : count;
        chare_encoder encoder;
        chare_decoder decoder;
        struct image image;
        chare_value value;

        encoder_start(&encoder);
        chare_put_container(&encoder, tag, count);
        for (size_t k = 0; k < items; k++) {
            chare_put_none(&encoder);
        }
        image = encoder_stop(&encoder);
        chare_decoder_init(&decoder, image.bytes, image.len);
        value = get(&decoder);
        CHECK_EQ(value.tag, tag);
        CHECK_EQ(value.as.count, count);
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(chare_skip(&decoder), CHARE_OK);
        CHECK(decoder.at == decoder.end);
        if (items > 0) {
            chare_decoder_init(&decoder, image.bytes, image.len - 1);
            CHECK_EQ(chare_skip(&decoder), CHARE_ERR_FORMAT);
            CHECK(decoder.at == decoder.start);
        }
        free(image.bytes);
    }
}

/* Whatever stands in front, shape and data lie where C can read them. */
static void
arrays_are_aligned(void)
{
    for (uint32_t front = 0; front < 40; front++) {
        for (uint32_t ndims = 0; ndims <= 4; ndims++) {
            const int64_t shape[] = {2, 3, 1, 2};
            const size_t lens[] = {8, 16, 48, 48, 96};
            chare_encoder encoder;
            chare_decoder decoder;
            struct image image;
            chare_value value;
            void *data;

            encoder_start(&encoder);
            for (uint32_t i = 0; i < front; i++) {
                chare_put_none(&encoder);
            }
            data = chare_put_array(&encoder, CHARE_DTYPE_F64,
                                   CHARE_ARRAY_FORTRAN_ORDER |
                                       CHARE_ARRAY_READ_ONLY,
                                   ndims, shape, lens[ndims]);
            CHECK(data != NULL && (uintptr_t)data % 16 == 0);
            memset(data, 0x5a, lens[ndims]);
            chare_put_int(&encoder, 42);
            image = encoder_stop(&encoder);
            chare_decoder_init(&decoder, image.bytes, image.len);
            for (uint32_t i = 0; i < front; i++) {
                CHECK_EQ(get(&decoder).tag, CHARE_TAG_NONE);
            }
            value = get(&decoder);
            CHECK_EQ(value.tag, CHARE_TAG_ARRAY);
            CHECK_EQ(value.as.array.dtype, CHARE_DTYPE_F64);
            CHECK_EQ(value.as.array.flags, 3);
            CHECK_EQ(value.as.array.ndims, ndims);
            CHECK_EQ(value.as.array.len, lens[ndims]);
            CHECK((uintptr_t)value.as.array.data % 16 == 0);
            CHECK((uintptr_t)value.as.array.shape % 8 == 0);
            CHECK(memcmp(value.as.array.shape, shape, ndims * 8) == 0);
            CHECK_EQ(
                ((const unsigned char *)value.as.array.data)[lens[ndims] - 1],
                0x5a);
            CHECK_EQ(get(&decoder).as.integer, 42);
            free(image.bytes);
        }
    }
}

static void
arrays_that_cannot_be(void)
{
    static const int64_t huge[] = {INT64_MAX, 4, 0};
    static const int64_t negative[] = {-1};
    static const int64_t fine[] = {3};
    struct {
        chare_dtype dtype;
        uint32_t flags;
        uint32_t ndims;
        const int64_t *shape;
        size_t len;
    } bad[] = {
        {CHARE_DTYPE_F64, 0, 1, fine, 23},
        {CHARE_DTYPE_F64, 8, 1, fine, 24},
        {CHARE_DTYPE_NONE, 0, 1, fine, 0},
        {(chare_dtype)15, 0, 1, fine, 0},
        {CHARE_DTYPE_U8, 0, 1, negative, 0},
        {CHARE_DTYPE_U8, 0, 2, huge, SIZE_MAX - 3},
        {CHARE_DTYPE_U8, 0, 3, huge, 0},
        {CHARE_DTYPE_U8, 0, CHARE_ARRAY_DIMS_MAX + 1, fine, 0},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        chare_encoder encoder;
        chare_buffer *buffer;

        encoder_start(&encoder);
        CHECK(chare_put_array(&encoder, bad[i].dtype, bad[i].flags,
                              bad[i].ndims, bad[i].shape, bad[i].len) == NULL);
        chare_put_int(&encoder, 1); /* the first error sticks */
        CHECK_EQ(encoder.status, CHARE_ERR_INVALID);
        CHECK_EQ(chare_encoder_take(&encoder, &buffer), CHARE_ERR_INVALID);
        CHECK_EQ(chi_msg_pool_live(pool), 0);
        chi_msg_pool_destroy(pool);
    }
}

static void
empty_arrays(void)
{
    static const int64_t shape[] = {3, 0, 1ll << 40};
    chare_encoder encoder;
    chare_decoder decoder;
    struct image image;
    chare_value value;

    encoder_start(&encoder);
    CHECK(chare_put_array(&encoder, CHARE_DTYPE_I32, 0, 3, shape, 0) != NULL);
    chi_value_array(&encoder, CHARE_DTYPE_I32, NULL, 0);
    image = encoder_stop(&encoder);
    chare_decoder_init(&decoder, image.bytes, image.len);
    value = get(&decoder);
    CHECK_EQ(value.tag, CHARE_TAG_ARRAY);
    CHECK_EQ(value.as.array.len, 0);
    CHECK_EQ(value.as.array.shape[2], 1ll << 40);
    value = get(&decoder);
    CHECK_EQ(value.as.array.ndims, 1);
    CHECK_EQ(value.as.array.shape[0], 0);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
    free(image.bytes);
}

/* Encoded values that are put into others keep their arrays aligned. */
static void
spliced_values_keep_alignment(void)
{
    static const int32_t values[] = {1, 2, 3};

    for (int front = 0; front < 18; front++) {
        chare_encoder encoder;
        chare_decoder decoder;
        struct image inner;
        struct image image;
        chare_value value;

        encoder_start(&encoder);
        chi_value_array(&encoder, CHARE_DTYPE_I32, values, 3);
        inner = encoder_stop(&encoder);
        encoder_start(&encoder);
        chare_put_container(&encoder, CHARE_TAG_LIST, 3);
        chare_put_str(&encoder, "123456789abcdefgh", (size_t)front);
        chi_encoder_splice(&encoder, inner.bytes, inner.len);
        chi_encoder_splice(&encoder, "\3", 1);
        image = encoder_stop(&encoder);
        free(inner.bytes);
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(chare_skip(&decoder), CHARE_OK);
        CHECK(decoder.at == decoder.end);
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(get(&decoder).as.count, 3);
        CHECK_EQ(get(&decoder).tag, CHARE_TAG_STR);
        value = get(&decoder);
        CHECK_EQ(value.tag, CHARE_TAG_ARRAY);
        CHECK_EQ(value.as.array.shape[0], 3);
        CHECK(memcmp(value.as.array.data, values, 12) == 0);
        CHECK_EQ(get(&decoder).tag, CHARE_TAG_TRUE);
        free(image.bytes);
    }
}

static bool
elements_equal(const chare_element *a, const chare_element *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void
names_round_trip(void)
{
    const chare_future future = {0x123456789abcdefull, 77, 0};
    const chare_element element = {1ull << 40 | 9,
                                   {6, 0, {1, -2, 3, -4, 5, INT64_MIN}}};
    const chare_callback callbacks[] = {
        {CHARE_CALLBACK_NONE, 0, {0, 0, 0}, {0, {0, 0, {0}}}},
        chare_callback_future(future),
        chare_callback_element(element, 12),
        chare_callback_broadcast(31, 13),
        chare_callback_function(14, 15, 16),
    };
    chare_encoder encoder;
    chare_decoder decoder;
    struct image image;
    chare_value value;

    encoder_start(&encoder);
    chare_put_element(&encoder, &element);
    chare_put_future(&encoder, &future);
    for (int i = 0; i < 5; i++) {
        chare_put_callback(&encoder, &callbacks[i]);
    }
    image = encoder_stop(&encoder);
    chare_decoder_init(&decoder, image.bytes, image.len);
    value = get(&decoder);
    CHECK_EQ(value.tag, CHARE_TAG_ELEMENT);
    CHECK(elements_equal(&value.as.element, &element));
    value = get(&decoder);
    CHECK_EQ(value.tag, CHARE_TAG_FUTURE);
    CHECK(memcmp(&value.as.future, &future, sizeof(future)) == 0);
    for (int i = 0; i < 5; i++) {
        value = get(&decoder);
        CHECK_EQ(value.tag, CHARE_TAG_CALLBACK);
        CHECK_EQ(value.as.callback.kind, callbacks[i].kind);
        CHECK_EQ(value.as.callback.entry, callbacks[i].entry);
        CHECK(memcmp(&value.as.callback.future, &callbacks[i].future,
                     sizeof(future)) == 0);
        CHECK(
            elements_equal(&value.as.callback.element, &callbacks[i].element));
    }
    free(image.bytes);
}

static void
names_that_cannot_be(void)
{
    const chare_element flat = {1, {0, 0, {0}}};
    const chare_element wide = {1, {7, 0, {0}}};
    const chare_future lost = {1, CHARE_PES_MAX, 0};
    const chare_callback odd = {(chare_callback_kind)9, 0, lost, flat};

    for (int i = 0; i < 5; i++) {
        chare_encoder encoder;

        encoder_start(&encoder);
        switch (i) {
        case 0:
            chare_put_element(&encoder, &flat);
            break;
        case 1:
            chare_put_element(&encoder, &wide);
            break;
        case 2:
            chare_put_future(&encoder, &lost);
            break;
        case 3:
            chare_put_callback(&encoder, &odd);
            break;
        default:
            chare_put_container(&encoder, CHARE_TAG_STR, 1);
        }
        CHECK_EQ(encoder.status, CHARE_ERR_INVALID);
        chare_encoder_fini(&encoder);
        CHECK_EQ(chi_msg_pool_live(pool), 0);
        chi_msg_pool_destroy(pool);
    }
}

static void
errors_round_trip(void)
{
    for (int has_object = 0; has_object < 2; has_object++) {
        chare_encoder encoder;
        chare_decoder decoder;
        struct image image;
        chare_value value;

        encoder_start(&encoder);
        chare_put_error(&encoder, "ValueError", "bad", "", has_object != 0);
        if (has_object) {
            chare_put_int(&encoder, 5);
        }
        image = encoder_stop(&encoder);
        chare_decoder_init(&decoder, image.bytes, image.len);
        value = get(&decoder);
        CHECK_EQ(value.tag, CHARE_TAG_ERROR);
        CHECK_EQ(value.as.count, 3 + has_object);
        value = get(&decoder);
        CHECK(text_is(&value, CHARE_TAG_STR, "ValueError", 10));
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(chare_skip(&decoder), CHARE_OK);
        CHECK(decoder.at == decoder.end);
        free(image.bytes);
    }
}

/* Nested to the limit is skipped, one more is refused; nothing recurses. */
static void
nesting_is_limited(void)
{
    for (int extra = 0; extra < 2; extra++) {
        chare_encoder encoder;
        chare_decoder decoder;
        struct image image;

        encoder_start(&encoder);
        for (int i = 0; i < CHARE_CODEC_DEPTH_MAX + extra; i++) {
            chare_put_container(&encoder, CHARE_TAG_LIST, 1);
        }
        chare_put_none(&encoder);
        image = encoder_stop(&encoder);
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(chare_skip(&decoder), extra ? CHARE_ERR_FORMAT : CHARE_OK);
        free(image.bytes);
    }
}

/* One of everything. */
static struct image
menagerie(void)
{
    static const chare_element element = {5, {2, 0, {1, 2, 0, 0, 0, 0}}};
    static const int64_t shape[] = {2, 2};
    const chare_callback callback = chare_callback_element(element, 3);
    chare_encoder encoder;
    void *data;

    encoder_start(&encoder);
    chare_put_container(&encoder, CHARE_TAG_LIST, 11);
    chare_put_int(&encoder, 100000);
    chare_put_float(&encoder, 1.25);
    chare_put_str(&encoder, "chare", 5);
    chare_put_bigint(&encoder, "123456789", 9);
    chare_put_container(&encoder, CHARE_TAG_DICT, 1);
    chare_put_complex(&encoder, 1, 2);
    chare_put_extern(&encoder, 1, "x", 1);
    data = chare_put_array(&encoder, CHARE_DTYPE_I16, 0, 2, shape, 8);
    if (data != NULL) {
        memset(data, 1, 8);
    }
    chare_put_scalar(&encoder, CHARE_DTYPE_U16, "ab");
    chare_put_element(&encoder, &element);
    chare_put_callback(&encoder, &callback);
    chare_put_future(&encoder, &(chare_future){1, 2, 0});
    chare_put_error(&encoder, "E", "m", "d", false);
    return encoder_stop(&encoder);
}

/* Read items until the end or an error; touch all that is pointed to. */
static chare_status
read_all(const unsigned char *bytes, size_t len, unsigned *sum)
{
    chare_decoder decoder;
    chare_value value;
    chare_status status;

    chare_decoder_init(&decoder, bytes, len);
    while ((status = chare_get(&decoder, &value)) == CHARE_OK &&
           value.tag != CHARE_TAG_END) {
        const unsigned char *at = NULL;
        size_t count = 0;

        if (value.tag == CHARE_TAG_ARRAY) {
            at = value.as.array.data;
            count = value.as.array.len;
        } else if ((value.tag >= CHARE_TAG_STR &&
                    value.tag <= CHARE_TAG_BYTEARRAY) ||
                   value.tag == CHARE_TAG_EXTERN) {
            at = value.as.bytes.at;
            count = value.as.bytes.len;
        }
        for (size_t i = 0; i < count; i++) {
            *sum += at[i];
        }
    }
    return status;
}

static void
cut_bytes_are_refused(void)
{
    struct image image = menagerie();
    unsigned sum = 0;

    CHECK_EQ(read_all(image.bytes, image.len, &sum), CHARE_OK);
    for (size_t len = 0; len < image.len; len++) {
        unsigned char *exact = malloc(len);
        chare_decoder decoder;

        CHECK(exact != NULL || len == 0);
        memcpy(exact, image.bytes, len);
        chare_decoder_init(&decoder, exact, len);
        CHECK_EQ(chare_skip(&decoder), CHARE_ERR_FORMAT);
        (void)read_all(exact, len, &sum);
        free(exact);
    }
    free(image.bytes);
}

static void
any_byte_is_safe(void)
{
    struct image image = menagerie();
    unsigned sum = 0;

    for (size_t i = 0; i < image.len; i++) {
        const unsigned char was = image.bytes[i];

        for (unsigned byte = 0; byte < 256; byte++) {
            chare_decoder decoder;
            chare_status status;

            image.bytes[i] = (unsigned char)byte;
            status = read_all(image.bytes, image.len, &sum);
            CHECK(status == CHARE_OK || status == CHARE_ERR_FORMAT);
            chare_decoder_init(&decoder, image.bytes, image.len);
            status = chare_skip(&decoder);
            CHECK(status == CHARE_OK || status == CHARE_ERR_FORMAT);
            CHECK(decoder.at <= decoder.end);
        }
        image.bytes[i] = was;
    }
    free(image.bytes);
}

/* Lengths that lie: far beyond the bytes, and near the top of 64 bits. */
static void
lengths_that_lie(void)
{
    static const unsigned char tags[] = {
        CHARE_TAG_STR,  CHARE_TAG_BYTES, CHARE_TAG_BYTEARRAY, CHARE_TAG_BIGINT,
        CHARE_TAG_LIST, CHARE_TAG_DICT,  CHARE_TAG_SET,       CHARE_TAG_TUPLE,
    };

    for (size_t i = 0; i < sizeof(tags); i++) {
        for (uint64_t k = 0; k < 4; k++) {
            const uint64_t lens[] = {UINT64_MAX, UINT64_MAX - 9,
                                     UINT64_MAX / 2 + 1, 8};
            _Alignas(16) unsigned char bytes[16] = {tags[i], 0xff};
            chare_decoder decoder;
            chare_value value;

            memcpy(bytes + 2, &lens[k], 8);
            chare_decoder_init(&decoder, bytes, sizeof(bytes));
            CHECK_EQ(chare_get(&decoder, &value), CHARE_ERR_FORMAT);
            CHECK(decoder.at == bytes);
        }
    }
}

static void
arrays_need_an_aligned_start(void)
{
    struct image image = menagerie();
    unsigned char *block = aligned_alloc(16, 1024);
    unsigned sum = 0;

    CHECK(block != NULL && image.len < 1000);
    for (size_t shift = 0; shift < 16; shift++) {
        memcpy(block + shift, image.bytes, image.len);
        CHECK_EQ(read_all(block + shift, image.len, &sum),
                 shift == 0 ? CHARE_OK : CHARE_ERR_FORMAT);
    }
    free(block);
    free(image.bytes);
}

static void
no_bytes_are_the_end(void)
{
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, NULL, 0);
    CHECK_EQ(chare_get(&decoder, &value), CHARE_OK);
    CHECK_EQ(value.tag, CHARE_TAG_END);
    CHECK_EQ(chare_skip(&decoder), CHARE_ERR_FORMAT);
}

/* Padding may stand in front of anything; a failed read moves nothing. */
static void
padding_is_passed_over(void)
{
    static const unsigned char bytes[] = {CHI_CODE_PAD, CHI_CODE_PAD,
                                          CHARE_TAG_NONE, CHI_CODE_PAD, 0};
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, bytes, 5);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_NONE);
    CHECK_EQ(chare_get(&decoder, &value), CHARE_ERR_FORMAT);
    CHECK(decoder.at == bytes + 3);
    chare_decoder_init(&decoder, bytes, 4);
    CHECK_EQ(chare_skip(&decoder), CHARE_OK);
    CHECK_EQ(get(&decoder).tag, CHARE_TAG_END);
}

static void
an_empty_encoder_says_so(void)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    struct image image;

    encoder_start(&encoder);
    image = encoder_stop(&encoder);
    CHECK_EQ(image.len, 0);
    chare_put_int(&encoder, 1);
    chare_put_str(&encoder, "text", 4);
    CHECK_EQ(chare_encoder_take(&encoder, &buffer), CHARE_ERR_STATE);
    chare_encoder_fini(&encoder);
    free(image.bytes);
}

/* What cannot be had is an error that sticks, and leaks nothing. */
static void
too_much_is_no_memory(void)
{
    chare_encoder encoder;
    chare_buffer *buffer;

    encoder_start(&encoder);
    chare_put_int(&encoder, 1);
    CHECK(!chare_encoder_grow(&encoder, SIZE_MAX));
    CHECK(!chare_encoder_grow(&encoder, 1));
    chare_put_int(&encoder, 2);
    CHECK_EQ(chare_encoder_take(&encoder, &buffer), CHARE_ERR_NO_MEMORY);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

TAP_MAIN(TAP_CASE(integers_round_trip), TAP_CASE(small_things_are_small),
         TAP_CASE(floats_keep_their_bits), TAP_CASE(simple_tags_round_trip),
         TAP_CASE(texts_of_all_lengths), TAP_CASE(containers_of_all_counts),
         TAP_CASE(arrays_are_aligned), TAP_CASE(arrays_that_cannot_be),
         TAP_CASE(empty_arrays), TAP_CASE(spliced_values_keep_alignment),
         TAP_CASE(names_round_trip), TAP_CASE(names_that_cannot_be),
         TAP_CASE(errors_round_trip), TAP_CASE(nesting_is_limited),
         TAP_CASE(cut_bytes_are_refused), TAP_CASE(any_byte_is_safe),
         TAP_CASE(lengths_that_lie), TAP_CASE(arrays_need_an_aligned_start),
         TAP_CASE(no_bytes_are_the_end), TAP_CASE(padding_is_passed_over),
         TAP_CASE(an_empty_encoder_says_so), TAP_CASE(too_much_is_no_memory))
