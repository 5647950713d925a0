/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.c - reading values from bytes that may come from anywhere.
 *
 * Each reader moves a cursor of its own; the decoder moves when the whole item
 * was read, so a failed call leaves it where it was. Nothing is read that was
 * not first compared with the bytes left.
 */
#include "config.h"

#include "msg/codec.h"

#include <string.h>

struct cursor {
    const unsigned char *at;
    const unsigned char *end;
    const unsigned char *start;
};

size_t
chare_dtype_bytes(chare_dtype dtype)
{
    static const unsigned char bytes[] = {
        [CHARE_DTYPE_BOOL] = 1, [CHARE_DTYPE_I8] = 1,    [CHARE_DTYPE_I16] = 2,
        [CHARE_DTYPE_I32] = 4,  [CHARE_DTYPE_I64] = 8,   [CHARE_DTYPE_U8] = 1,
        [CHARE_DTYPE_U16] = 2,  [CHARE_DTYPE_U32] = 4,   [CHARE_DTYPE_U64] = 8,
        [CHARE_DTYPE_F16] = 2,  [CHARE_DTYPE_F32] = 4,   [CHARE_DTYPE_F64] = 8,
        [CHARE_DTYPE_C64] = 8,  [CHARE_DTYPE_C128] = 16,
    };

    return (unsigned)dtype < sizeof(bytes) ? bytes[dtype] : 0;
}

/* As chi_array_bytes(), for any number of dimensions. */
static bool
array_bytes_any(chare_dtype dtype, uint32_t ndims, const int64_t *shape,
                size_t *bytes_out)
{
    /* Dimensions of 0 are left out of the product, so that others cannot be
     * larger than any array that has elements. */
    size_t product = chare_dtype_bytes(dtype);
    bool empty = false;

    if (product == 0 || ndims > CHARE_ARRAY_DIMS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < ndims; i++) {
        if (shape[i] < 0) {
            return false;
        }
        if (shape[i] == 0) {
            empty = true;
        } else if (__builtin_mul_overflow(product, (size_t)shape[i],
                                          &product)) {
            return false;
        }
    }
    *bytes_out = empty ? 0 : product;
    return product <= SIZE_MAX / 2;
}

bool
chi_array_bytes(chare_dtype dtype, uint32_t ndims, const int64_t *shape,
                size_t *bytes_out)
{
    if (chi_likely(ndims == 1 && shape[0] >= 0 && shape[0] <= INT32_MAX)) {
        *bytes_out = chare_dtype_bytes(dtype) * (size_t)shape[0];
        return chare_dtype_bytes(dtype) > 0;
    }
    return array_bytes_any(dtype, ndims, shape, bytes_out);
}

size_t
chi_value_items(const chare_value *value)
{
    switch (value->tag) {
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
    case CHARE_TAG_ERROR:
        return value->as.count;
    case CHARE_TAG_DICT:
        return 2 * value->as.count;
    default:
        return 0;
    }
}

/* ---- pieces: false when there are not enough bytes */

static inline size_t
left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline bool
read_bytes(struct cursor *cursor, void *out, size_t len)
{
    if (left(cursor) < len) {
        return false;
    }
    memcpy(out, cursor->at, len);
    cursor->at += len;
    return true;
}

/* A length or count, not yet compared with anything. */
static inline bool
read_len(struct cursor *cursor, size_t *out)
{
    unsigned char byte;
    uint32_t len_4;
    uint64_t len_8;

    if (!read_bytes(cursor, &byte, 1)) {
        return false;
    }
    if (chi_likely(byte < CHI_CODE_LEN_4)) {
        *out = byte;
        return true;
    }
    if (byte == CHI_CODE_LEN_4) {
        if (!read_bytes(cursor, &len_4, sizeof(len_4))) {
            return false;
        }
        *out = len_4;
        return true;
    }
    if (!read_bytes(cursor, &len_8, sizeof(len_8)) || len_8 > SIZE_MAX) {
        return false;
    }
    *out = (size_t)len_8;
    return true;
}

/* 'len' bytes in place. */
static inline bool
read_span(struct cursor *cursor, size_t len, chare_value *out)
{
    if (left(cursor) < len) {
        return false;
    }
    out->as.bytes.at = cursor->at;
    out->as.bytes.len = len;
    cursor->at += len;
    return true;
}

static bool
read_blob(struct cursor *cursor, chare_value *out)
{
    size_t len;

    return read_len(cursor, &len) && read_span(cursor, len, out);
}

/* Move to a multiple of 'alignment' from the start. */
static bool
read_pad(struct cursor *cursor, size_t alignment)
{
    const size_t past = (size_t)(cursor->at - cursor->start) & (alignment - 1);
    const size_t pad = past == 0 ? 0 : alignment - past;

    if (left(cursor) < pad) {
        return false;
    }
    cursor->at += pad;
    return true;
}

/* ---- items; the code byte has been read */

static bool
read_container(struct cursor *cursor, unsigned each_min, chare_value *out)
{
    return read_len(cursor, &out->as.count) &&
           out->as.count <= left(cursor) / each_min;
}

static bool
read_array(struct cursor *cursor, chare_value *out)
{
    unsigned char head[3]; /* dtype, flags, ndims */
    size_t shape_bytes;

    if ((uintptr_t)cursor->start % CHI_CODEC_ALIGNMENT != 0 ||
        !read_bytes(cursor, head, sizeof(head)) ||
        !read_pad(cursor, sizeof(int64_t))) {
        return false;
    }
    out->as.array.dtype = (chare_dtype)head[0];
    out->as.array.flags = head[1];
    out->as.array.ndims = head[2];
    out->as.array.shape = (const void *)cursor->at;
    shape_bytes = head[2] * sizeof(int64_t);
    if (head[1] > (CHARE_ARRAY_FORTRAN_ORDER | CHARE_ARRAY_READ_ONLY |
                   CHARE_ARRAY_SWAPPED) ||
        shape_bytes > left(cursor) ||
        !chi_array_bytes(out->as.array.dtype, head[2], out->as.array.shape,
                         &out->as.array.len)) {
        return false;
    }
    cursor->at += shape_bytes;
    if (!read_pad(cursor, CHI_CODEC_ALIGNMENT) ||
        out->as.array.len > left(cursor)) {
        return false;
    }
    out->as.array.data = cursor->at;
    cursor->at += out->as.array.len;
    return true;
}

static bool
read_scalar(struct cursor *cursor, chare_value *out)
{
    unsigned char dtype;
    size_t len;

    if (!read_bytes(cursor, &dtype, 1)) {
        return false;
    }
    out->as.bytes.dtype = (chare_dtype)dtype;
    len = chare_dtype_bytes(out->as.bytes.dtype);
    return len > 0 && read_span(cursor, len, out);
}

static bool
read_element(struct cursor *cursor, chare_element *out)
{
    unsigned char ndims;

    *out = (chare_element){0};
    if (!read_bytes(cursor, &out->collection, sizeof(out->collection)) ||
        !read_bytes(cursor, &ndims, 1) || ndims < 1 ||
        ndims > CHARE_DIMS_MAX) {
        return false;
    }
    out->index.ndims = ndims;
    return read_bytes(cursor, out->index.at, ndims * sizeof(out->index.at[0]));
}

static bool
read_future(struct cursor *cursor, chare_future *out)
{
    *out = (chare_future){0};
    return read_bytes(cursor, &out->id, sizeof(out->id)) &&
           read_bytes(cursor, &out->pe, sizeof(out->pe)) &&
           out->pe < CHARE_PES_MAX;
}

static bool
read_callback(struct cursor *cursor, chare_callback *out)
{
    chare_collection *collection = &out->element.collection;
    unsigned char kind;

    *out = (chare_callback){0};
    if (!read_bytes(cursor, &kind, 1) ||
        !read_bytes(cursor, &out->entry, sizeof(out->entry))) {
        return false;
    }
    out->kind = (chare_callback_kind)kind;
    switch (kind) {
    case CHARE_CALLBACK_NONE:
        return true;
    case CHARE_CALLBACK_FUTURE:
    case CHARE_CALLBACK_FUNCTION:
        return read_future(cursor, &out->future);
    case CHARE_CALLBACK_ELEMENT:
        return read_element(cursor, &out->element);
    case CHARE_CALLBACK_BROADCAST:
        return read_bytes(cursor, collection, sizeof(*collection));
    default:
        return false;
    }
}

static bool
read_proxy(struct cursor *cursor, chare_proxy *out)
{
    chare_index *index = &out->element.index;
    unsigned char head[3];
    unsigned char ndims;
    size_t parts;

    *out = (chare_proxy){0};
    if (!read_bytes(cursor, head, sizeof(head)) ||
        !read_bytes(cursor, &out->type, sizeof(out->type)) ||
        !read_bytes(cursor, &out->element.collection,
                    sizeof(out->element.collection)) ||
        !read_bytes(cursor, &ndims, 1) || ndims > CHARE_DIMS_MAX ||
        head[0] < CHARE_PROXY_SINGLE || head[0] > CHARE_PROXY_SECTION ||
        head[1] > CHARE_DIMS_MAX || head[2] > CHARE_PROXY_PARTS_MAX) {
        return false;
    }
    index->ndims = ndims;
    out->kind = head[0];
    out->ndims = head[1];
    out->part_count = head[2];
    parts = out->part_count * sizeof(uint32_t);
    if (!read_bytes(cursor, index->at, ndims * sizeof(index->at[0])) ||
        left(cursor) < parts) {
        return false;
    }
    out->parts = parts > 0 ? cursor->at : NULL;
    cursor->at += parts;
    return true;
}

static bool
read_error(struct cursor *cursor, chare_value *out)
{
    unsigned char count;

    if (!read_bytes(cursor, &count, 1) || count < 3 || count > 4) {
        return false;
    }
    out->as.count = count;
    return count <= left(cursor);
}

static inline bool
read_int_1(struct cursor *cursor, chare_value *out)
{
    int8_t value = 0;
    const bool ok = read_bytes(cursor, &value, sizeof(value));

    out->tag = CHARE_TAG_INT;
    out->as.integer = value;
    return ok;
}

static inline bool
read_int_2(struct cursor *cursor, chare_value *out)
{
    int16_t value = 0;
    const bool ok = read_bytes(cursor, &value, sizeof(value));

    out->tag = CHARE_TAG_INT;
    out->as.integer = value;
    return ok;
}

static inline bool
read_int_4(struct cursor *cursor, chare_value *out)
{
    int32_t value = 0;
    const bool ok = read_bytes(cursor, &value, sizeof(value));

    out->tag = CHARE_TAG_INT;
    out->as.integer = value;
    return ok;
}

static inline bool
read_complex(struct cursor *cursor, chare_value *out)
{
    return read_bytes(cursor, &out->as.pair.real, sizeof(double)) &&
           read_bytes(cursor, &out->as.pair.imag, sizeof(double));
}

/* What follows a code that is a tag, or an int of some size. */
static inline bool
read_tagged(struct cursor *cursor, unsigned code, chare_value *out)
{
    out->tag = (chare_tag)code;
    switch (code) {
    case CHARE_TAG_NONE:
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        return true;
    case CHI_CODE_INT_1:
        return read_int_1(cursor, out);
    case CHI_CODE_INT_2:
        return read_int_2(cursor, out);
    case CHI_CODE_INT_4:
        return read_int_4(cursor, out);
    case CHARE_TAG_INT:
        return read_bytes(cursor, &out->as.integer, sizeof(int64_t));
    case CHARE_TAG_FLOAT:
        return read_bytes(cursor, &out->as.real, sizeof(double));
    case CHARE_TAG_COMPLEX:
        return read_complex(cursor, out);
    case CHARE_TAG_BIGINT:
        return read_blob(cursor, out) && out->as.bytes.len > 0;
    case CHARE_TAG_STR:
    case CHARE_TAG_BYTES:
    case CHARE_TAG_BYTEARRAY:
        return read_blob(cursor, out);
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
        return read_container(cursor, 1, out);
    case CHARE_TAG_DICT:
        return read_container(cursor, 2, out);
    case CHARE_TAG_ARRAY:
        return read_array(cursor, out);
    case CHARE_TAG_SCALAR:
        return read_scalar(cursor, out);
    case CHARE_TAG_EXTERN:
        return read_bytes(cursor, &out->as.bytes.kind, sizeof(uint32_t)) &&
               read_blob(cursor, out);
    case CHARE_TAG_ELEMENT:
        return read_element(cursor, &out->as.element);
    case CHARE_TAG_FUTURE:
        return read_future(cursor, &out->as.future);
    case CHARE_TAG_CALLBACK:
        return read_callback(cursor, &out->as.callback);
    case CHARE_TAG_PROXY:
        return read_proxy(cursor, &out->as.proxy);
    case CHARE_TAG_ERROR:
        return read_error(cursor, out);
    default:
        return false;
    }
}

/* Read an item that is not one of the few that chare_get() reads itself. */
static __attribute__((noinline)) chare_status
get_any(chare_decoder *decoder, chare_value *out)
{
    struct cursor cursor = {decoder->at, decoder->end, decoder->start};
    unsigned code = CHI_CODE_PAD;

    while (cursor.at < cursor.end && *cursor.at == CHI_CODE_PAD) {
        cursor.at++;
    }
    if (cursor.at == cursor.end) {
        decoder->at = cursor.at;
        out->tag = CHARE_TAG_END;
        return CHARE_OK;
    }
    if (cursor.at > decoder->at) {
        chare_decoder behind = {cursor.start, cursor.at, cursor.end};
        const chare_status status = chare_get(&behind, out);

        decoder->at = status == CHARE_OK ? behind.at : decoder->at;
        return status;
    }
    code = *cursor.at++;
    if (code >= CHI_CODE_LIST || !read_tagged(&cursor, code, out)) {
        return CHARE_ERR_FORMAT;
    }
    decoder->at = cursor.at;
    return CHARE_OK;
}

/*
 * The items that most arguments are made of are read here, without a cursor,
 * whose address would keep it out of registers.
 */
chare_status
chare_get(chare_decoder *decoder, chare_value *value_out)
{
    const unsigned char *at = decoder->at;
    const size_t room = (size_t)(decoder->end - at);
    const unsigned code = chi_likely(room > 0) ? *at : CHI_CODE_PAD;

    if (code >= CHI_CODE_INT) {
        value_out->tag = CHARE_TAG_INT;
        value_out->as.integer = (int)code - CHI_CODE_INT + CHI_CODE_INT_MIN;
        decoder->at = at + 1;
        return CHARE_OK;
    }
    if (code >= CHI_CODE_STR && room > code - CHI_CODE_STR) {
        value_out->tag = CHARE_TAG_STR;
        value_out->as.bytes.at = at + 1;
        value_out->as.bytes.len = code - CHI_CODE_STR;
        decoder->at = at + 1 + (code - CHI_CODE_STR);
        return CHARE_OK;
    }
    if (code >= CHI_CODE_LIST && code < CHI_CODE_STR &&
        room > code % (CHI_CODE_COUNT_MAX + 1)) {
        value_out->tag =
            code >= CHI_CODE_TUPLE ? CHARE_TAG_TUPLE : CHARE_TAG_LIST;
        value_out->as.count = code % (CHI_CODE_COUNT_MAX + 1);
        decoder->at = at + 1;
        return CHARE_OK;
    }
    if (code == CHARE_TAG_FLOAT && room > sizeof(double)) {
        value_out->tag = CHARE_TAG_FLOAT;
        memcpy(&value_out->as.real, at + 1, sizeof(double));
        decoder->at = at + 1 + sizeof(double);
        return CHARE_OK;
    }
    return get_any(decoder, value_out);
}

chare_status
chare_skip(chare_decoder *decoder)
{
    uint64_t missing[CHARE_CODEC_DEPTH_MAX]; /* items, at each depth */
    chare_decoder ahead = *decoder;
    chare_value value;
    uint32_t depth = 0;

    do {
        chare_status status = chare_get(&ahead, &value);
        size_t items;

        if (status != CHARE_OK) {
            return status;
        }
        if (value.tag == CHARE_TAG_END) {
            return CHARE_ERR_FORMAT;
        }
        if (depth > 0) {
            missing[depth - 1]--;
        }
        items = chi_value_items(&value);
        if (items > 0) {
            if (depth == CHARE_CODEC_DEPTH_MAX) {
                return CHARE_ERR_FORMAT;
            }
            missing[depth++] = items;
        }
        while (depth > 0 && missing[depth - 1] == 0) {
            depth--;
        }
    } while (depth > 0);
    decoder->at = ahead.at;
    return CHARE_OK;
}

/* ---- elements */

bool
chi_dtype_whole(chare_dtype dtype, const void *at, int64_t *out)
{
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } as = {.u64 = 0};
    const size_t bytes = chare_dtype_bytes(dtype);

    memcpy(&as, at, bytes < sizeof(as) ? bytes : sizeof(as));
    switch (dtype) {
    case CHARE_DTYPE_I8:
        *out = as.i8;
        return true;
    case CHARE_DTYPE_I16:
        *out = as.i16;
        return true;
    case CHARE_DTYPE_I32:
        *out = as.i32;
        return true;
    case CHARE_DTYPE_I64:
        *out = as.i64;
        return true;
    case CHARE_DTYPE_BOOL:
    case CHARE_DTYPE_U8:
        *out = as.u8;
        return true;
    case CHARE_DTYPE_U16:
        *out = as.u16;
        return true;
    case CHARE_DTYPE_U32:
        *out = as.u32;
        return true;
    case CHARE_DTYPE_U64:
        *out = as.i64;
        return as.u64 <= INT64_MAX;
    default:
        return false;
    }
}
