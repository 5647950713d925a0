/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_MSG_CODEC_H
#define CHI_MSG_CODEC_H

/*
 * codec.h - the wire form of values; src/msg/README.md has it as a table.
 *
 * A code byte below CODE_LIST is a chare_tag or one of the CODE_ values here;
 * from there on it carries a small count, length or number itself.
 */

#include <chare.h>

#include "msg/msg.h"

enum chi_code {
    CHI_CODE_INT_1 = 0x17, /* an int of so many bytes */
    CHI_CODE_INT_2 = 0x18,
    CHI_CODE_INT_4 = 0x19,
    CHI_CODE_PAD = 0x1f,      /* nothing; in front of any value */
    CHI_CODE_LIST = 0x20,     /* + count, 0 to 15 */
    CHI_CODE_TUPLE = 0x30,    /* + count, 0 to 15 */
    CHI_CODE_STR = 0x40,      /* + length, 0 to 63 */
    CHI_CODE_INT = 0x80,      /* + number - CHI_CODE_INT_MIN */
    CHI_CODE_INT_MIN = -32,   /* smallest number in a code byte */
    CHI_CODE_INT_MAX = 95,    /* largest */
    CHI_CODE_COUNT_MAX = 15,  /* of LIST and TUPLE */
    CHI_CODE_STR_MAX = 63,    /* of STR */
    CHI_CODE_LEN_4 = 0xfe,    /* a length: 4 bytes of it follow */
    CHI_CODE_LEN_8 = 0xff,    /* a length: 8 bytes of it follow */
    CHI_CODEC_ALIGNMENT = 16, /* of array data, and of where values start */
    CHI_CODEC_ARRAY_MIN = 16, /* nothing shorter contains an array */
};

/* chare_encoder_init() from a pool. Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_encoder_init(chare_encoder *encoder,
                                               struct chi_msg_pool *pool,
                                               size_t room);

/*
 * Put values that are already encoded, so that the arrays in them stay
 * aligned: this, and no plain copy, is how bytes of one message get into the
 * values of another. 'bytes' are those of a whole message or part.
 */
void chi_encoder_splice(chare_encoder *encoder, const void *bytes, size_t len);

/* Put a plain C array as a one-dimensional array value. */
void chi_value_array(chare_encoder *encoder, chare_dtype dtype,
                     const void *values, size_t count);

/* Bytes of elements in an array; false: no array can be so large. */
bool chi_array_bytes(chare_dtype dtype, uint32_t ndims, const int64_t *shape,
                     size_t *bytes_out);

/* An element as a whole number; false: it is none, or beyond 64 bits with a
 * sign. */
bool chi_dtype_whole(chare_dtype dtype, const void *at, int64_t *out);

/* How many items follow a value that was read; 0 if it is no container. */
size_t chi_value_items(const chare_value *value);

#endif /* CHI_MSG_CODEC_H */
