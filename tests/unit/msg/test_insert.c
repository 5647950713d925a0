/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_insert.c - an array whose elements lie in a buffer already.
 *
 * Goal: the values in front of it, the array and those behind it are got as
 * they were put, at the address where the elements were if there is room
 * around them; else they are copied; nothing is lost and nothing is left.
 * Method: every position of the elements in the buffer, with values of many
 * lengths on both sides, an aligned array among them; broken arguments.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "msg/buffer.h"
#include "msg/codec.h"
#include "tap/tap.h"

enum {
    COUNT = 100, /* elements */
    TEXT_MAX = 40,
};

static const char text[] = "in front of it, and behind it, in many lengths";

struct made {
    struct chi_msg_pool *pool;
    chare_encoder encoder;
    chare_buffer *buffer;
    int64_t shape[2];
    chare_value array;
};

/* A buffer of 'room' bytes with the elements at 'at'. */
static bool
made_open(struct made *made, size_t room, size_t at)
{
    unsigned char *bytes;

    if (chi_msg_pool_create(&made->pool) != CHARE_OK ||
        chi_encoder_init(&made->encoder, made->pool, 16) != CHARE_OK ||
        chi_buffer_alloc(made->pool, room, &made->buffer) != CHARE_OK) {
        return false;
    }
    bytes = chare_buffer_bytes(made->buffer, NULL);
    memset(bytes, 0xee, room);
    for (int i = 0; i < COUNT; i++) {
        bytes[at + (size_t)i] = (unsigned char)i;
    }
    made->shape[0] = 4;
    made->shape[1] = COUNT / 4;
    made->array.tag = CHARE_TAG_ARRAY;
    made->array.as.array.dtype = CHARE_DTYPE_U8;
    made->array.as.array.flags = CHARE_ARRAY_FORTRAN_ORDER;
    made->array.as.array.ndims = 2;
    made->array.as.array.shape = made->shape;
    made->array.as.array.data = bytes + at;
    made->array.as.array.len = COUNT;
    return true;
}

static bool
made_close(struct made *made)
{
    const bool clean = chi_msg_pool_live(made->pool) == 0;

    if (clean) {
        chi_msg_pool_destroy(made->pool);
    }
    return clean;
}

static bool
text_is(chare_decoder *decoder, size_t len)
{
    chare_value value;

    return chare_get(decoder, &value) == CHARE_OK &&
           value.tag == CHARE_TAG_STR && value.as.bytes.len == len &&
           memcmp(value.as.bytes.at, text, len) == 0;
}

static bool
array_is(chare_decoder *decoder, const void **data_out)
{
    chare_value value;
    const unsigned char *data;
    bool right;

    if (chare_get(decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_ARRAY || value.as.array.len != COUNT) {
        return false;
    }
    data = value.as.array.data;
    right = value.as.array.dtype == CHARE_DTYPE_U8 &&
            value.as.array.flags == CHARE_ARRAY_FORTRAN_ORDER &&
            value.as.array.ndims == 2 && value.as.array.shape[0] == 4 &&
            value.as.array.shape[1] == COUNT / 4;
    for (int i = 0; right && i < COUNT; i++) {
        right = data[i] == i;
    }
    *data_out = data;
    return right;
}

/* Texts and an array around it; returns whether all was got. */
static bool
around(struct made *made, size_t front, size_t behind, bool *here_out)
{
    const void *at = made->array.as.array.data;
    const int64_t three = 3;
    const void *data = NULL;
    chare_decoder decoder;
    chare_buffer *buffer;
    chare_value value;
    size_t position;
    size_t len;
    bool right;

    chare_put_str(&made->encoder, text, front);
    position = (size_t)(made->encoder.at - (unsigned char *)chare_buffer_bytes(
                                               made->encoder.buffer, NULL));
    if (behind > 0) {
        double *more;

        chare_put_str(&made->encoder, text, behind);
        more = chare_put_array(&made->encoder, CHARE_DTYPE_F64, 0, 1, &three,
                               3 * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        more[0] = more[1] = more[2] = 0.5;
    }
    *here_out = chare_put_array_of(&made->encoder, position, &made->array,
                                   made->buffer);
    chare_put_int(&made->encoder, 1234567); /* it goes on */
    if (chare_encoder_take(&made->encoder, &buffer) != CHARE_OK) {
        return false;
    }
    chare_decoder_init(&decoder, chare_buffer_bytes(buffer, &len), 0);
    chare_decoder_init(&decoder, decoder.start, len);
    right = text_is(&decoder, front) && array_is(&decoder, &data) &&
            (data == at) == *here_out;
    if (behind > 0) {
        right = right && text_is(&decoder, behind) &&
                chare_get(&decoder, &value) == CHARE_OK &&
                value.tag == CHARE_TAG_ARRAY && value.as.array.len == 24 &&
                ((const double *)value.as.array.data)[2] == 0.5;
    }
    right = right && chare_get(&decoder, &value) == CHARE_OK &&
            value.tag == CHARE_TAG_INT && value.as.integer == 1234567 &&
            chare_get(&decoder, &value) == CHARE_OK &&
            value.tag == CHARE_TAG_END;
    chare_buffer_release(buffer);
    return right;
}

static void
it_stays_where_there_is_room(void)
{
    for (size_t front = 0; front < TEXT_MAX; front++) {
        for (size_t behind = 0; behind < TEXT_MAX; behind += 3) {
            struct made made;
            bool here = false;

            CHECK(made_open(&made, 512, 128));
            CHECK(around(&made, front, behind, &here));
            CHECK(here);
            CHECK(made_close(&made));
        }
    }
}

static void
it_is_copied_where_there_is_none(void)
{
    int stayed = 0;
    int copied = 0;

    for (size_t at = 0; at < 128; at++) {
        for (size_t behind = 0; behind < TEXT_MAX; behind += 13) {
            struct made made;
            bool here = false;

            CHECK(made_open(&made, at + COUNT, at));
            CHECK(around(&made, at % TEXT_MAX, behind, &here));
            CHECK(!here || at % 16 == 0);
            stayed += here;
            copied += !here;
            CHECK(made_close(&made));
        }
    }
    CHECK(stayed > 0);
    CHECK(copied > stayed);
}

static void
a_shared_buffer_is_copied(void)
{
    struct made made;
    struct chi_msg *msg;
    bool here = true;

    CHECK(made_open(&made, 512, 128));
    msg = chi_msg_ref(chi_msg_of_buffer(made.buffer));
    CHECK(around(&made, 5, 5, &here));
    CHECK(!here);
    CHECK_EQ(msg->bytes[127], 0xee); /* not touched */
    chi_msg_release(msg);
    CHECK(made_close(&made));
}

static void
what_cannot_be_is_refused(void)
{
    chare_buffer *buffer;
    struct made made;

    CHECK(made_open(&made, 512, 128));
    made.array.as.array.len++;
    CHECK(!chare_put_array_of(&made.encoder, 0, &made.array, made.buffer));
    CHECK_EQ(chare_encoder_take(&made.encoder, &buffer), CHARE_ERR_INVALID);
    CHECK(made_close(&made));

    CHECK(made_open(&made, 512, 128));
    made.array.tag = CHARE_TAG_BYTES;
    CHECK(!chare_put_array_of(&made.encoder, 0, &made.array, made.buffer));
    CHECK_EQ(chare_encoder_take(&made.encoder, &buffer), CHARE_ERR_INVALID);
    CHECK(made_close(&made));
}

TAP_MAIN(TAP_CASE(it_stays_where_there_is_room),
         TAP_CASE(it_is_copied_where_there_is_none),
         TAP_CASE(a_shared_buffer_is_copied),
         TAP_CASE(what_cannot_be_is_refused))
