/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * encode.c - writing values into a message.
 *
 * Invariant: encoder->at and ->end lie in the bytes of encoder->buffer, which
 * are 16-byte aligned, or all three are NULL. Every writer asks for the most
 * it can need before it writes. After an error at == end, so that each later
 * writer ends up in chare_encoder_grow(), which refuses.
 */
#include "config.h"

#include "msg/codec.h"

#include <string.h>

#include "msg/buffer.h"

enum {
    LEN_BYTES_MAX = 9, /* a length: one byte, and 8 if that says so */
    ARRAY_HEAD_BYTES = 4,
    ARRAY_FRONT_BYTES = 128, /* that a large array leaves in front of it */
    ELEMENT_BYTES_MAX = 8 + 1 + 8 * CHARE_DIMS_MAX,
    FUTURE_BYTES = 8 + 4,
    PROXY_HEAD_BYTES = 3 + 4,
    CALLBACK_BYTES_MAX = 1 + 4 + ELEMENT_BYTES_MAX,
};

chare_status
chi_encoder_init(chare_encoder *encoder, struct chi_msg_pool *pool,
                 size_t room)
{
    struct chi_msg *msg = chi_msg_alloc(pool, room);

    *encoder = (chare_encoder){0};
    if (msg == NULL) {
        encoder->status = CHARE_ERR_NO_MEMORY;
        return CHARE_ERR_NO_MEMORY;
    }
    encoder->buffer = chi_buffer_of_msg(msg);
    encoder->at = msg->bytes;
    encoder->end = msg->bytes + msg->room;
    return CHARE_OK;
}

static void
encoder_fail(chare_encoder *encoder, chare_status status)
{
    if (encoder->status == CHARE_OK) {
        encoder->status = status;
    }
    encoder->end = encoder->at;
}

void
chare_encoder_fini(chare_encoder *encoder)
{
    chare_buffer_release(encoder->buffer);
    encoder->buffer = NULL;
    encoder->at = NULL;
    encoder->end = NULL;
}

chare_status
chare_encoder_take(chare_encoder *encoder, chare_buffer **buffer_out)
{
    struct chi_msg *msg;

    if (encoder->buffer == NULL) {
        encoder_fail(encoder, CHARE_ERR_STATE);
    }
    if (encoder->status != CHARE_OK) {
        chare_encoder_fini(encoder);
        return encoder->status;
    }
    msg = chi_msg_of_buffer(encoder->buffer);
    msg->env.len = (uint64_t)(encoder->at - msg->bytes);
    chi_assert(msg->env.len <= msg->room);
    *buffer_out = encoder->buffer;
    encoder->buffer = NULL;
    encoder->at = NULL;
    encoder->end = NULL;
    return CHARE_OK;
}

bool
chare_encoder_grow(chare_encoder *encoder, size_t bytes)
{
    struct chi_msg *msg;
    chare_status status;
    size_t used;

    if (encoder->status != CHARE_OK) {
        return false;
    }
    if (encoder->buffer == NULL) {
        encoder_fail(encoder, CHARE_ERR_STATE);
        return false;
    }
    if ((size_t)(encoder->end - encoder->at) >= bytes) {
        return true;
    }
    msg = chi_msg_of_buffer(encoder->buffer);
    used = (size_t)(encoder->at - msg->bytes);
    msg->env.len = used;
    status = bytes > SIZE_MAX - used ? CHARE_ERR_NO_MEMORY
                                     : chi_msg_resize(&msg, used + bytes);
    if (status != CHARE_OK) {
        encoder_fail(encoder, status);
        return false;
    }
    encoder->buffer = chi_buffer_of_msg(msg);
    encoder->at = msg->bytes + used;
    encoder->end = msg->bytes + msg->room;
    return true;
}

/* Whether 'bytes' can be written at encoder->at. */
static inline bool
room_for(chare_encoder *encoder, size_t bytes)
{
    return chi_likely((size_t)(encoder->end - encoder->at) >= bytes) ||
           chare_encoder_grow(encoder, bytes);
}

/* ---- pieces; there is room for them already */

static inline void
write_byte(chare_encoder *encoder, unsigned byte)
{
    *encoder->at++ = (unsigned char)byte;
}

static inline void
write_bytes(chare_encoder *encoder, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(encoder->at, bytes, len);
        encoder->at += len;
    }
}

/* Less than 16 bytes: two overlapping moves are faster than a call. */
static inline void
write_few(chare_encoder *encoder, const char *bytes, size_t len)
{
    unsigned char *at = encoder->at;

    if (len >= 8) {
        memcpy(at, bytes, 8);
        memcpy(at + len - 8, bytes + len - 8, 8);
    } else if (len >= 4) {
        memcpy(at, bytes, 4);
        memcpy(at + len - 4, bytes + len - 4, 4);
    } else {
        for (size_t i = 0; i < len; i++) {
            at[i] = (unsigned char)bytes[i];
        }
    }
    encoder->at = at + len;
}

static inline void
write_len(chare_encoder *encoder, size_t len)
{
    if (len < CHI_CODE_LEN_4) {
        write_byte(encoder, (unsigned)len);
    } else if (len <= UINT32_MAX) {
        const uint32_t len_4 = (uint32_t)len;

        write_byte(encoder, CHI_CODE_LEN_4);
        write_bytes(encoder, &len_4, sizeof(len_4));
    } else {
        const uint64_t len_8 = len;

        write_byte(encoder, CHI_CODE_LEN_8);
        write_bytes(encoder, &len_8, sizeof(len_8));
    }
}

/* Zeros up to the next position that is a multiple of 'alignment'. */
static void
write_pad(chare_encoder *encoder, size_t alignment)
{
    const size_t past = (uintptr_t)encoder->at & (alignment - 1);
    const size_t pad = past == 0 ? 0 : alignment - past;

    memset(encoder->at, 0, pad);
    encoder->at += pad;
}

static void
write_element(chare_encoder *encoder, const chare_element *element)
{
    const chare_index *index = &element->index;

    write_bytes(encoder, &element->collection, sizeof(element->collection));
    write_byte(encoder, index->ndims);
    write_bytes(encoder, index->at, index->ndims * sizeof(index->at[0]));
}

static void
write_future(chare_encoder *encoder, const chare_future *future)
{
    write_bytes(encoder, &future->id, sizeof(future->id));
    write_bytes(encoder, &future->pe, sizeof(future->pe));
}

/* ---- scalars */

void
chare_put_none(chare_encoder *encoder)
{
    if (room_for(encoder, 1)) {
        write_byte(encoder, CHARE_TAG_NONE);
    }
}

void
chare_put_bool(chare_encoder *encoder, bool value)
{
    if (room_for(encoder, 1)) {
        write_byte(encoder, value ? CHARE_TAG_TRUE : CHARE_TAG_FALSE);
    }
}

void
chare_put_int(chare_encoder *encoder, int64_t value)
{
    if (!room_for(encoder, 1 + sizeof(value))) {
        return;
    }
    if (value >= CHI_CODE_INT_MIN && value <= CHI_CODE_INT_MAX) {
        write_byte(encoder,
                   (unsigned)(CHI_CODE_INT + (int)value - CHI_CODE_INT_MIN));
    } else if (value == (int8_t)value) {
        write_byte(encoder, CHI_CODE_INT_1);
        write_bytes(encoder, &(int8_t){(int8_t)value}, 1);
    } else if (value == (int16_t)value) {
        write_byte(encoder, CHI_CODE_INT_2);
        write_bytes(encoder, &(int16_t){(int16_t)value}, 2);
    } else if (value == (int32_t)value) {
        write_byte(encoder, CHI_CODE_INT_4);
        write_bytes(encoder, &(int32_t){(int32_t)value}, 4);
    } else {
        write_byte(encoder, CHARE_TAG_INT);
        write_bytes(encoder, &value, sizeof(value));
    }
}

void
chare_put_float(chare_encoder *encoder, double value)
{
    if (room_for(encoder, 1 + sizeof(value))) {
        write_byte(encoder, CHARE_TAG_FLOAT);
        write_bytes(encoder, &value, sizeof(value));
    }
}

void
chare_put_complex(chare_encoder *encoder, double real, double imag)
{
    if (room_for(encoder, 1 + sizeof(real) + sizeof(imag))) {
        write_byte(encoder, CHARE_TAG_COMPLEX);
        write_bytes(encoder, &real, sizeof(real));
        write_bytes(encoder, &imag, sizeof(imag));
    }
}

/* ---- bytes */

static void
put_blob(chare_encoder *encoder, chare_tag tag, const void *bytes, size_t len)
{
    if (len > SIZE_MAX / 2) {
        encoder_fail(encoder, CHARE_ERR_NO_MEMORY);
        return;
    }
    if (room_for(encoder, 1 + LEN_BYTES_MAX + len)) {
        write_byte(encoder, tag);
        write_len(encoder, len);
        write_bytes(encoder, bytes, len);
    }
}

void
chare_put_bigint(chare_encoder *encoder, const void *bytes, size_t len)
{
    if (len == 0) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    put_blob(encoder, CHARE_TAG_BIGINT, bytes, len);
}

void
chare_put_str(chare_encoder *encoder, const char *text, size_t len)
{
    if (len > CHI_CODE_STR_MAX) {
        put_blob(encoder, CHARE_TAG_STR, text, len);
    } else if (room_for(encoder, 1 + len)) {
        write_byte(encoder, CHI_CODE_STR + (unsigned)len);
        if (len < 16) {
            write_few(encoder, text, len);
        } else {
            write_bytes(encoder, text, len);
        }
    }
}

void
chare_put_bytes(chare_encoder *encoder, const void *bytes, size_t len)
{
    put_blob(encoder, CHARE_TAG_BYTES, bytes, len);
}

void
chare_put_bytearray(chare_encoder *encoder, const void *bytes, size_t len)
{
    put_blob(encoder, CHARE_TAG_BYTEARRAY, bytes, len);
}

void
chare_put_extern(chare_encoder *encoder, uint32_t kind, const void *bytes,
                 size_t len)
{
    if (len > SIZE_MAX / 2) {
        encoder_fail(encoder, CHARE_ERR_NO_MEMORY);
        return;
    }
    if (room_for(encoder, 1 + sizeof(kind) + LEN_BYTES_MAX + len)) {
        write_byte(encoder, CHARE_TAG_EXTERN);
        write_bytes(encoder, &kind, sizeof(kind));
        write_len(encoder, len);
        write_bytes(encoder, bytes, len);
    }
}

void
chi_encoder_splice(chare_encoder *encoder, const void *bytes, size_t len)
{
    if (len > SIZE_MAX / 2) {
        encoder_fail(encoder, CHARE_ERR_NO_MEMORY);
        return;
    }
    if (!room_for(encoder, CHI_CODEC_ALIGNMENT + len)) {
        return;
    }
    while (len >= CHI_CODEC_ARRAY_MIN &&
           (uintptr_t)encoder->at % CHI_CODEC_ALIGNMENT != 0) {
        write_byte(encoder, CHI_CODE_PAD);
    }
    write_bytes(encoder, bytes, len);
}

/* ---- containers and arrays */

void
chare_put_container(chare_encoder *encoder, chare_tag tag, size_t count)
{
    if (tag < CHARE_TAG_TUPLE || tag > CHARE_TAG_FROZENSET) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (!room_for(encoder, 1 + LEN_BYTES_MAX)) {
        return;
    }
    if (tag == CHARE_TAG_TUPLE && count <= CHI_CODE_COUNT_MAX) {
        write_byte(encoder, CHI_CODE_TUPLE + (unsigned)count);
    } else if (tag == CHARE_TAG_LIST && count <= CHI_CODE_COUNT_MAX) {
        write_byte(encoder, CHI_CODE_LIST + (unsigned)count);
    } else {
        write_byte(encoder, tag);
        write_len(encoder, count);
    }
}

/* Whoever receives a large array may send its message on, with other values
 * in front of it: see insert.c. */
static void
write_front(chare_encoder *encoder)
{
    const unsigned char *bytes = chi_msg_of_buffer(encoder->buffer)->bytes;
    const size_t used = (size_t)(encoder->at - bytes);

    if (used < ARRAY_FRONT_BYTES) {
        memset(encoder->at, CHI_CODE_PAD, ARRAY_FRONT_BYTES - used);
        encoder->at += ARRAY_FRONT_BYTES - used;
    }
}

void *
chare_put_array(chare_encoder *encoder, chare_dtype dtype, uint32_t flags,
                uint32_t ndims, const int64_t *shape, size_t len)
{
    const uint32_t known = CHARE_ARRAY_FORTRAN_ORDER | CHARE_ARRAY_READ_ONLY |
                           CHARE_ARRAY_SWAPPED;
    const size_t front = len >= CHARE_KEEP_BYTES_MIN ? ARRAY_FRONT_BYTES : 0;
    size_t wanted;
    void *data;

    if ((flags & ~known) != 0 ||
        !chi_array_bytes(dtype, ndims, shape, &wanted) || len != wanted) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return NULL;
    }
    if (!room_for(encoder, front + ARRAY_HEAD_BYTES + ndims * sizeof(*shape) +
                               2 * CHI_CODEC_ALIGNMENT + len)) {
        return NULL;
    }
    if (front > 0) {
        write_front(encoder);
    }
    write_byte(encoder, CHARE_TAG_ARRAY);
    write_byte(encoder, dtype);
    write_byte(encoder, flags);
    write_byte(encoder, ndims);
    write_pad(encoder, sizeof(*shape));
    write_bytes(encoder, shape, ndims * sizeof(*shape));
    write_pad(encoder, CHI_CODEC_ALIGNMENT);
    data = encoder->at;
    encoder->at += len;
    return data;
}

void
chi_value_array(chare_encoder *encoder, chare_dtype dtype, const void *values,
                size_t count)
{
    const size_t each = chare_dtype_bytes(dtype);
    const int64_t shape = (int64_t)count;
    void *data;

    if (each == 0 || count > SIZE_MAX / 2 / each) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    data = chare_put_array(encoder, dtype, CHARE_ARRAY_C_ORDER, 1, &shape,
                           count * each);
    if (data != NULL && count > 0) {
        memcpy(data, values, count * each);
    }
}

void
chare_put_scalar(chare_encoder *encoder, chare_dtype dtype,
                 const void *element)
{
    const size_t len = chare_dtype_bytes(dtype);

    if (len == 0) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (room_for(encoder, 2 + len)) {
        write_byte(encoder, CHARE_TAG_SCALAR);
        write_byte(encoder, dtype);
        write_bytes(encoder, element, len);
    }
}

/* ---- names of things */

static bool
element_ok(const chare_element *element)
{
    return element->index.ndims >= 1 && element->index.ndims <= CHARE_DIMS_MAX;
}

void
chare_put_element(chare_encoder *encoder, const chare_element *element)
{
    if (!element_ok(element)) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (room_for(encoder, 1 + ELEMENT_BYTES_MAX)) {
        write_byte(encoder, CHARE_TAG_ELEMENT);
        write_element(encoder, element);
    }
}

void
chare_put_future(chare_encoder *encoder, const chare_future *future)
{
    if (future->pe >= CHARE_PES_MAX) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (room_for(encoder, 1 + FUTURE_BYTES)) {
        write_byte(encoder, CHARE_TAG_FUTURE);
        write_future(encoder, future);
    }
}

static bool
callback_ok(const chare_callback *callback)
{
    switch (callback->kind) {
    case CHARE_CALLBACK_NONE:
    case CHARE_CALLBACK_BROADCAST:
        return true;
    case CHARE_CALLBACK_FUTURE:
    case CHARE_CALLBACK_FUNCTION:
        return callback->future.pe < CHARE_PES_MAX;
    case CHARE_CALLBACK_ELEMENT:
        return element_ok(&callback->element);
    }
    return false;
}

void
chare_put_callback(chare_encoder *encoder, const chare_callback *callback)
{
    const uint64_t collection = callback->element.collection;

    if (!callback_ok(callback)) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (!room_for(encoder, 1 + CALLBACK_BYTES_MAX)) {
        return;
    }
    write_byte(encoder, CHARE_TAG_CALLBACK);
    write_byte(encoder, callback->kind);
    write_bytes(encoder, &callback->entry, sizeof(callback->entry));
    if (callback->kind == CHARE_CALLBACK_ELEMENT) {
        write_element(encoder, &callback->element);
    } else if (callback->kind == CHARE_CALLBACK_BROADCAST) {
        write_bytes(encoder, &collection, sizeof(collection));
    } else if (callback->kind != CHARE_CALLBACK_NONE) {
        write_future(encoder, &callback->future);
    }
}

void
chare_put_proxy(chare_encoder *encoder, const chare_proxy *proxy)
{
    const size_t parts = proxy->part_count * sizeof(uint32_t);
    const chare_element *element = &proxy->element;

    if (element->index.ndims > CHARE_DIMS_MAX ||
        proxy->part_count > CHARE_PROXY_PARTS_MAX) {
        encoder_fail(encoder, CHARE_ERR_INVALID);
        return;
    }
    if (!room_for(encoder, 1 + PROXY_HEAD_BYTES + ELEMENT_BYTES_MAX + parts)) {
        return;
    }
    write_byte(encoder, CHARE_TAG_PROXY);
    write_byte(encoder, proxy->kind);
    write_byte(encoder, proxy->ndims);
    write_byte(encoder, proxy->part_count);
    write_bytes(encoder, &proxy->type, sizeof(proxy->type));
    write_element(encoder, element);
    write_bytes(encoder, proxy->parts, parts);
}

void
chare_put_error(chare_encoder *encoder, const char *kind, const char *message,
                const char *details, bool has_object)
{
    if (!room_for(encoder, 2)) {
        return;
    }
    write_byte(encoder, CHARE_TAG_ERROR);
    write_byte(encoder, has_object ? 4 : 3);
    chare_put_str(encoder, kind, strlen(kind));
    chare_put_str(encoder, message, strlen(message));
    chare_put_str(encoder, details, strlen(details));
}
