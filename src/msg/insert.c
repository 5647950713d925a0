/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * insert.c - an array whose elements lie in a buffer already.
 *
 *     buffer  | in front | PAD ... | head, shape | elements | PAD | behind |
 *                                                 ^ 16-aligned, not moved
 *
 * The values in front and behind were written elsewhere, one after the other.
 * Those behind begin at the same place modulo 16 as they had, since arrays
 * among them are padded to multiples of 16.
 */
#include "config.h"

#include "msg/codec.h"

#include <string.h>

#include "base/copy.h"
#include "msg/buffer.h"

enum {
    HEAD_BYTES = 4,   /* code, dtype, flags, ndims; the shape is aligned */
    FRONT_BYTES = 64, /* that a copy leaves, so that it can be sent on */
};

/* Where the parts of the message are to lie. */
struct parts {
    size_t front; /* bytes of the values in front */
    size_t head_at;
    size_t data_at;
    size_t len;
    size_t behind_at;
    size_t behind;
};

static size_t
shape_bytes(const chare_value *array)
{
    return array->as.array.ndims * sizeof(int64_t);
}

/* Of an encoder with 'used' bytes, if the elements lie at 'data_at'. */
static struct parts
parts_of(size_t used, size_t front, const chare_value *array, size_t data_at)
{
    struct parts parts = {
        .front = front,
        .head_at = data_at - HEAD_BYTES - shape_bytes(array),
        .data_at = data_at,
        .len = array->as.array.len,
        .behind_at = data_at + array->as.array.len,
        .behind = used - front,
    };

    parts.behind_at += (front - parts.behind_at) & (CHI_CODEC_ALIGNMENT - 1);
    return parts;
}

/* Write all but the elements. */
static void
parts_write(unsigned char *bytes, const struct parts *parts,
            const chare_value *array, const unsigned char *written)
{
    const size_t end = parts->data_at + parts->len;
    unsigned char *head = bytes + parts->head_at;

    memcpy(bytes, written, parts->front);
    memset(bytes + parts->front, CHI_CODE_PAD, parts->head_at - parts->front);
    head[0] = CHARE_TAG_ARRAY;
    head[1] = (unsigned char)array->as.array.dtype;
    head[2] = (unsigned char)array->as.array.flags;
    head[3] = (unsigned char)array->as.array.ndims;
    if (array->as.array.ndims > 0) {
        memcpy(head + HEAD_BYTES, array->as.array.shape, shape_bytes(array));
    }
    if (parts->behind > 0) {
        memset(bytes + end, CHI_CODE_PAD, parts->behind_at - end);
        memcpy(bytes + parts->behind_at, written + parts->front,
               parts->behind);
    }
}

/* The encoder goes on in this message, which it takes over. */
static void
encoder_move(chare_encoder *encoder, struct chi_msg *msg,
             const struct parts *parts)
{
    chare_buffer_release(encoder->buffer);
    encoder->buffer = chi_buffer_of_msg(msg);
    encoder->at =
        msg->bytes + (parts->behind > 0 ? parts->behind_at + parts->behind
                                        : parts->data_at + parts->len);
    encoder->end = msg->bytes + msg->room;
}

static void
encoder_fail(chare_encoder *encoder, chare_status status)
{
    encoder->status = status;
    encoder->end = encoder->at;
}

/* Whether all fits around the elements where they lie. */
static bool
insert_here(chare_encoder *encoder, size_t front, const chare_value *array,
            struct chi_msg *msg)
{
    const unsigned char *written = chi_msg_of_buffer(encoder->buffer)->bytes;
    const size_t at =
        (size_t)((const unsigned char *)array->as.array.data - msg->bytes);
    struct parts parts;

    chi_assert(at + array->as.array.len <= msg->room);
    if (msg->references != 1 || at % CHI_CODEC_ALIGNMENT != 0 ||
        at < front + HEAD_BYTES + shape_bytes(array)) {
        return false;
    }
    parts = parts_of((size_t)(encoder->at - written), front, array, at);
    if (parts.behind > 0 && parts.behind_at + parts.behind > msg->room) {
        return false;
    }
    parts_write(msg->bytes, &parts, array, written);
    encoder_move(encoder, msg, &parts);
    return true;
}

static void
insert_copy(chare_encoder *encoder, size_t front, const chare_value *array)
{
    struct chi_msg *old = chi_msg_of_buffer(encoder->buffer);
    const size_t used = (size_t)(encoder->at - old->bytes);
    const size_t data_at = (front + FRONT_BYTES + HEAD_BYTES +
                            shape_bytes(array) + CHI_CODEC_ALIGNMENT - 1) &
                           ~(size_t)(CHI_CODEC_ALIGNMENT - 1);
    const struct parts parts = parts_of(used, front, array, data_at);
    struct chi_msg *msg =
        chi_msg_alloc(old->pool, parts.behind_at + parts.behind);

    if (msg == NULL) {
        encoder_fail(encoder, CHARE_ERR_NO_MEMORY);
        return;
    }
    parts_write(msg->bytes, &parts, array, old->bytes);
    chi_copy_away(msg->bytes + data_at, array->as.array.data, parts.len);
    encoder_move(encoder, msg, &parts);
}

bool
chare_put_array_of(chare_encoder *encoder, size_t behind,
                   const chare_value *array, chare_buffer *buffer)
{
    size_t len;
    bool here = false;

    if (encoder->status == CHARE_OK &&
        (encoder->buffer == NULL || array->tag != CHARE_TAG_ARRAY ||
         !chi_array_bytes(array->as.array.dtype, array->as.array.ndims,
                          array->as.array.shape, &len) ||
         len != array->as.array.len)) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
    }
    if (encoder->status == CHARE_OK) {
        here = insert_here(encoder, behind, array, chi_msg_of_buffer(buffer));
        if (here) {
            return true;
        }
        insert_copy(encoder, behind, array);
    }
    chare_buffer_release(buffer);
    return false;
}
