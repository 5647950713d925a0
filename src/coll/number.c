/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * number.c - sums, products and order of single numbers of mixed kinds.
 *
 * Two numbers are first brought to one kind, then combined. Elements are
 * combined by the loops for arrays, with a count of one.
 */
#include "config.h"

#include "coll/number.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "coll/kernels.h"
#include "msg/codec.h"

static bool
is_logical(uint32_t reducer)
{
    return reducer >= CHARE_REDUCE_AND && reducer <= CHARE_REDUCE_XOR;
}

bool
chi_number_is(const chare_value *value)
{
    switch (value->tag) {
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
    case CHARE_TAG_INT:
    case CHARE_TAG_BIGINT:
    case CHARE_TAG_FLOAT:
    case CHARE_TAG_COMPLEX:
    case CHARE_TAG_SCALAR:
        return true;
    default:
        return false;
    }
}

static bool
dtype_is_complex(chare_dtype dtype)
{
    return dtype == CHARE_DTYPE_C64 || dtype == CHARE_DTYPE_C128;
}

static bool
dtype_is_float(chare_dtype dtype)
{
    return dtype >= CHARE_DTYPE_F16 && dtype <= CHARE_DTYPE_F64;
}

bool
chi_number_is_complex(const chare_value *value)
{
    return value->tag == CHARE_TAG_COMPLEX ||
           (value->tag == CHARE_TAG_SCALAR &&
            dtype_is_complex(value->as.bytes.dtype));
}

void
chi_number_fini(struct chi_number *number)
{
    chi_bigint_fini(&number->big);
}

/* Any number that is not 0 is true. */
static bool
number_truth(const struct chi_number *number)
{
    switch (number->kind) {
    case CHI_NUMBER_BOOL:
    case CHI_NUMBER_INT:
        return number->integer != 0;
    case CHI_NUMBER_BIG:
        return true; /* 0 is an INT */
    case CHI_NUMBER_FLOAT:
        return number->real != 0;
    case CHI_NUMBER_COMPLEX:
        return number->real != 0 || number->imag != 0;
    case CHI_NUMBER_ELEMENT:
        break; /* keeps its dtype */
    }
    chi_assert(false);
    return false;
}

/* An element, aligned; one of BOOL becomes a bool. */
static void
load_element(struct chi_number *out, uint32_t reducer,
             const chare_value *value)
{
    _Alignas(16) unsigned char copy[CHI_NUMBER_ELEMENT_BYTES_MAX];

    memcpy(copy, value->as.bytes.at, value->as.bytes.len);
    if (value->as.bytes.dtype == CHARE_DTYPE_BOOL) {
        out->kind = CHI_NUMBER_BOOL;
        out->integer = copy[0] != 0;
    } else {
        out->kind = CHI_NUMBER_ELEMENT;
        out->dtype = value->as.bytes.dtype;
        chi_kernel_start(reducer, out->dtype, out->element, copy, 1);
    }
}

static chare_status
load_any(struct chi_number *out, uint32_t reducer, const chare_value *value)
{
    switch (value->tag) {
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        out->kind = CHI_NUMBER_BOOL;
        out->integer = value->tag == CHARE_TAG_TRUE;
        break;
    case CHARE_TAG_INT:
        out->kind = CHI_NUMBER_INT;
        out->integer = value->as.integer;
        break;
    case CHARE_TAG_BIGINT:
        out->kind = CHI_NUMBER_BIG;
        return chi_bigint_set_bytes(&out->big, value->as.bytes.at,
                                    value->as.bytes.len);
    case CHARE_TAG_FLOAT:
        out->kind = CHI_NUMBER_FLOAT;
        out->real = value->as.real;
        break;
    case CHARE_TAG_COMPLEX:
        out->kind = CHI_NUMBER_COMPLEX;
        out->real = value->as.pair.real;
        out->imag = value->as.pair.imag;
        break;
    default:
        chi_assert(value->tag == CHARE_TAG_SCALAR);
        load_element(out, reducer, value);
        break;
    }
    return CHARE_OK;
}

/* A BIG that fits an INT becomes one. */
static void
number_shrink(struct chi_number *number)
{
    int64_t value;

    if (number->kind == CHI_NUMBER_BIG &&
        chi_bigint_to_int(&number->big, &value)) {
        chi_bigint_fini(&number->big);
        number->kind = CHI_NUMBER_INT;
        number->integer = value;
    }
}

chare_status
chi_number_load(struct chi_number *out, uint32_t reducer,
                const chare_value *value)
{
    chare_status status;

    *out = (struct chi_number){0};
    status = load_any(out, reducer, value);
    if (status != CHARE_OK) {
        return status;
    }
    number_shrink(out);
    if (is_logical(reducer) && out->kind != CHI_NUMBER_ELEMENT) {
        const bool truth = number_truth(out);

        chi_bigint_fini(&out->big);
        out->kind = CHI_NUMBER_BOOL;
        out->integer = truth;
    } else if (out->kind == CHI_NUMBER_BOOL &&
               (reducer == CHARE_REDUCE_SUM ||
                reducer == CHARE_REDUCE_PRODUCT)) {
        out->kind = CHI_NUMBER_INT;
    }
    return CHARE_OK;
}

/* ---- conversion, always to a later kind */

static chare_status
to_float(struct chi_number *number)
{
    double real = number->real;

    if (number->kind <= CHI_NUMBER_INT) {
        real = (double)number->integer;
    } else if (number->kind == CHI_NUMBER_BIG) {
        real = chi_bigint_to_double(&number->big);
        if (isinf(real)) {
            return CHARE_ERR_TOO_LARGE;
        }
        chi_bigint_fini(&number->big);
    }
    number->kind = CHI_NUMBER_FLOAT;
    number->real = real;
    number->imag = 0;
    return CHARE_OK;
}

/* To a kind without a dtype. */
static chare_status
to_kind(struct chi_number *number, enum chi_number_kind kind)
{
    chare_status status = CHARE_OK;

    if (number->kind >= kind) {
        return CHARE_OK;
    }
    if (kind == CHI_NUMBER_BIG) {
        status = chi_bigint_set_int(&number->big, number->integer);
    } else if (kind > CHI_NUMBER_BIG && number->kind < CHI_NUMBER_FLOAT) {
        status = to_float(number);
    }
    if (status == CHARE_OK) {
        number->kind = kind;
    }
    return status;
}

/* What a dtype stands for among the kinds. */
static enum chi_number_kind
dtype_kind(chare_dtype dtype)
{
    return dtype_is_complex(dtype) ? CHI_NUMBER_COMPLEX
           : dtype_is_float(dtype) ? CHI_NUMBER_FLOAT
                                   : CHI_NUMBER_BIG;
}

/* The smallest and largest value of a dtype of whole numbers. */
static bool
fits_dtype(int64_t value, chare_dtype dtype)
{
    const unsigned bits = 8 * (unsigned)chare_dtype_bytes(dtype);

    if (dtype >= CHARE_DTYPE_U8) {
        return value >= 0 && (bits == 64 || value >> bits == 0);
    }
    return bits == 64 || (value >> (bits - 1) == (value < 0 ? -1 : 0));
}

/* A number without a dtype, whole, to an element of whole numbers. */
static chare_status
to_whole_element(struct chi_number *number, chare_dtype dtype)
{
    uint64_t bits = (uint64_t)number->integer;

    if (number->kind == CHI_NUMBER_BIG) {
        if (dtype != CHARE_DTYPE_U64 ||
            !chi_bigint_to_unsigned(&number->big, &bits)) {
            return CHARE_ERR_TOO_LARGE;
        }
        chi_bigint_fini(&number->big);
    } else if (!fits_dtype(number->integer, dtype)) {
        return CHARE_ERR_TOO_LARGE;
    }
    switch (chare_dtype_bytes(dtype)) {
    case 1:
        number->u8 = (uint8_t)bits;
        break;
    case 2:
        number->u16 = (uint16_t)bits;
        break;
    case 4:
        number->u32 = (uint32_t)bits;
        break;
    default:
        number->u64 = bits;
        break;
    }
    return CHARE_OK;
}

/* A number without a dtype to an element of floats or complex numbers. */
static chare_status
to_real_element(struct chi_number *number, chare_dtype dtype)
{
    chare_status status = to_kind(number, CHI_NUMBER_COMPLEX);
    const double pair[2] = {number->real, number->imag};
    const float floats[2] = {(float)pair[0], (float)pair[1]};

    if (status != CHARE_OK) {
        return status;
    }
    switch (dtype) {
    case CHARE_DTYPE_F16:
        number->u16 = chi_half_of_float(floats[0]);
        break;
    case CHARE_DTYPE_F32:
    case CHARE_DTYPE_C64:
        memcpy(number->element, floats, sizeof(floats));
        break;
    default:
        memcpy(number->element, pair, sizeof(pair));
        break;
    }
    return CHARE_OK;
}

static chare_status
to_element(struct chi_number *number, chare_dtype dtype)
{
    chare_status status = dtype_kind(dtype) == CHI_NUMBER_BIG
                              ? to_whole_element(number, dtype)
                              : to_real_element(number, dtype);

    if (status == CHARE_OK) {
        number->kind = CHI_NUMBER_ELEMENT;
        number->dtype = dtype;
    }
    return status;
}

/* An element, of whole numbers or floats, to FLOAT. */
static void
element_to_float(struct chi_number *number)
{
    double real;
    int64_t whole = 0;

    switch (number->dtype) {
    case CHARE_DTYPE_F16:
        real = (double)chi_float_of_half(number->u16);
        break;
    case CHARE_DTYPE_F32:
        real = (double)number->f32;
        break;
    case CHARE_DTYPE_F64:
        real = number->f64;
        break;
    case CHARE_DTYPE_U64:
        real = (double)number->u64;
        break;
    default:
        chi_assert(chi_dtype_whole(number->dtype, number->element, &whole));
        real = (double)whole;
        break;
    }
    number->kind = CHI_NUMBER_FLOAT;
    number->real = real;
    number->imag = 0;
}

/* Bring both to one kind, and elements to one dtype. */
static chare_status
unify(struct chi_number *a, struct chi_number *b)
{
    if (a->kind == CHI_NUMBER_ELEMENT && b->kind == CHI_NUMBER_ELEMENT) {
        return a->dtype == b->dtype ? CHARE_OK : CHARE_ERR_INVALID;
    }
    if (b->kind == CHI_NUMBER_ELEMENT) {
        return unify(b, a);
    }
    if (a->kind == CHI_NUMBER_ELEMENT) {
        if (b->kind <= dtype_kind(a->dtype)) {
            return to_element(b, a->dtype);
        }
        element_to_float(a);
    }
    chare_status status = to_kind(a, b->kind);

    return status == CHARE_OK ? to_kind(b, a->kind) : status;
}

/* ---- operations; both are of one kind */

static chare_status
fold_big(uint32_t reducer, struct chi_number *a, struct chi_number *b)
{
    chare_status status = CHARE_OK;
    bool take_b = false;

    switch (reducer) {
    case CHARE_REDUCE_SUM:
        status = chi_bigint_add(&a->big, &b->big);
        break;
    case CHARE_REDUCE_PRODUCT:
        status = chi_bigint_multiply(&a->big, &b->big);
        break;
    case CHARE_REDUCE_MIN:
        take_b = chi_bigint_compare(&b->big, &a->big) < 0;
        break;
    default:
        take_b = chi_bigint_compare(&b->big, &a->big) > 0;
        break;
    }
    if (take_b) {
        const struct chi_bigint swap = a->big;

        a->big = b->big;
        b->big = swap;
    }
    number_shrink(a);
    return status;
}

static chare_status
fold_int(uint32_t reducer, struct chi_number *a, struct chi_number *b)
{
    const int64_t x = a->integer;
    const int64_t y = b->integer;
    bool overflow = false;
    chare_status status;

    switch (reducer) {
    case CHARE_REDUCE_SUM:
        overflow = __builtin_add_overflow(x, y, &a->integer);
        break;
    case CHARE_REDUCE_PRODUCT:
        overflow = __builtin_mul_overflow(x, y, &a->integer);
        break;
    case CHARE_REDUCE_MIN:
        a->integer = y < x ? y : x;
        break;
    case CHARE_REDUCE_MAX:
        a->integer = y > x ? y : x;
        break;
    case CHARE_REDUCE_AND:
        a->integer = x & y;
        break;
    case CHARE_REDUCE_OR:
        a->integer = x | y;
        break;
    default:
        a->integer = x ^ y;
        break;
    }
    if (!overflow) {
        return CHARE_OK;
    }
    a->integer = x;
    status = to_kind(a, CHI_NUMBER_BIG);
    if (status == CHARE_OK) {
        status = to_kind(b, CHI_NUMBER_BIG);
    }
    return status == CHARE_OK ? fold_big(reducer, a, b) : status;
}

/* FLOAT and COMPLEX are elements of F64 and C128 without the name. */
static void
fold_element(uint32_t reducer, chare_dtype dtype, struct chi_number *a,
             const struct chi_number *b)
{
    chi_kernel_fn kernel = chi_kernel_find(reducer, dtype);

    chi_assert(kernel != NULL);
    kernel(a->element, b->element, 1);
}

chare_status
chi_number_fold(uint32_t reducer, struct chi_number *a_inout,
                struct chi_number *b_inout)
{
    chare_status status = unify(a_inout, b_inout);

    if (status != CHARE_OK) {
        return status;
    }
    chi_assert(a_inout->kind == b_inout->kind);
    switch (a_inout->kind) {
    case CHI_NUMBER_BOOL:
    case CHI_NUMBER_INT:
        return fold_int(reducer, a_inout, b_inout);
    case CHI_NUMBER_BIG:
        return fold_big(reducer, a_inout, b_inout);
    case CHI_NUMBER_FLOAT:
        fold_element(reducer, CHARE_DTYPE_F64, a_inout, b_inout);
        break;
    case CHI_NUMBER_COMPLEX:
        fold_element(reducer, CHARE_DTYPE_C128, a_inout, b_inout);
        break;
    case CHI_NUMBER_ELEMENT:
        fold_element(reducer, a_inout->dtype, a_inout, b_inout);
        break;
    }
    return CHARE_OK;
}

chare_status
chi_number_put(const struct chi_number *number, chare_encoder *encoder)
{
    switch (number->kind) {
    case CHI_NUMBER_BOOL:
        chare_put_bool(encoder, number->integer != 0);
        break;
    case CHI_NUMBER_INT:
        chare_put_int(encoder, number->integer);
        break;
    case CHI_NUMBER_BIG:
        return chi_bigint_put(&number->big, encoder);
    case CHI_NUMBER_FLOAT:
        chare_put_float(encoder, number->real);
        break;
    case CHI_NUMBER_COMPLEX:
        chare_put_complex(encoder, number->real, number->imag);
        break;
    case CHI_NUMBER_ELEMENT:
        chare_put_scalar(encoder, number->dtype, number->element);
        break;
    }
    return CHARE_OK;
}
