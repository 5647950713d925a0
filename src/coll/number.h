/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_NUMBER_H
#define CHI_COLL_NUMBER_H

/*
 * number.h - one number of the codec, as the built-in reducers see it.
 *
 * Numbers without a dtype (those of Python) are promoted in the order of the
 * kinds; whole ones never overflow. One that meets an element of an array
 * takes its dtype, if that is of the same or a later kind; otherwise the
 * element becomes a number without a dtype. Elements of different dtypes do
 * not fit together.
 */

#include <chare.h>

#include "coll/bigint.h"

enum chi_number_kind {
    CHI_NUMBER_BOOL,
    CHI_NUMBER_INT,
    CHI_NUMBER_BIG,
    CHI_NUMBER_FLOAT,
    CHI_NUMBER_COMPLEX,
    CHI_NUMBER_ELEMENT, /* with a dtype, not BOOL */
};

enum {
    CHI_NUMBER_ELEMENT_BYTES_MAX = 16
};

struct chi_number {
    enum chi_number_kind kind;
    chare_dtype dtype;     /* ELEMENT */
    struct chi_bigint big; /* BIG; else all zeros */
    union {
        int64_t integer; /* BOOL, INT */
        struct {
            double real; /* FLOAT, COMPLEX */
            double imag; /* COMPLEX */
        };
        unsigned char element[CHI_NUMBER_ELEMENT_BYTES_MAX]; /* ELEMENT */
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
    };
};

/* Whether a value is a number at all. */
bool chi_number_is(const chare_value *value);

/* Whether it is complex, and so has no order. */
bool chi_number_is_complex(const chare_value *value);

/*
 * Read a number as a reducer starts with it: for SUM and PRODUCT a bool is an
 * int, for AND, OR and XOR any number is a bool. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_number_load(struct chi_number *out,
                                              uint32_t reducer,
                                              const chare_value *value);

/* Accepts a number whose load failed. */
void chi_number_fini(struct chi_number *number);

/*
 * a = a OP b; b may be converted.
 * Errors: CHARE_ERR_INVALID   - they do not fit together.
 *         CHARE_ERR_TOO_LARGE - one does not fit the other's type.
 *         CHARE_ERR_NO_MEMORY
 */
CHARE_MUST_CHECK chare_status chi_number_fold(uint32_t reducer,
                                              struct chi_number *a_inout,
                                              struct chi_number *b_inout);

/* Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_number_put(const struct chi_number *number,
                                             chare_encoder *encoder);

#endif /* CHI_COLL_NUMBER_H */
