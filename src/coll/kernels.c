/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kernels.c - one loop for each operation and element type.
 *
 * KERNEL makes a loop over blocks of a known length, which compilers turn into
 * vector code also where they do not care for the rest. The lists in front of
 * each group say what an operation is for that group. Whole numbers are added
 * and multiplied in an unsigned type that is no smaller than int, where
 * wrapping around is defined.
 */
#include "config.h"

#include "coll/kernels.h"

#include <string.h>

#include "base/check.h"

enum {
    BLOCK = 16, /* elements; a full vector of the smallest */
};

#define KERNEL(op, name, type, expression)                                 \
    static inline void op##_##name##_some(                                 \
        type *restrict a_at, const type *restrict b_at, size_t count)      \
    {                                                                      \
        for (size_t i = 0; i < count; i++) {                               \
            const type a = a_at[i];                                        \
            const type b = b_at[i];                                        \
                                                                           \
            (void)a;                                                       \
            a_at[i] = (type)(expression);                                  \
        }                                                                  \
    }                                                                      \
                                                                           \
    static void op##_##name(void *a_inout, const void *b_in, size_t count) \
    {                                                                      \
        type *a = a_inout;                                                 \
        const type *b = b_in;                                              \
        size_t i = 0;                                                      \
                                                                           \
        for (; count - i >= BLOCK; i += BLOCK) {                           \
            op##_##name##_some(a + i, b + i, BLOCK);                       \
        }                                                                  \
        op##_##name##_some(a + i, b + i, count - i);                       \
    }

#define LOGICAL_KERNELS(name, type, truth)       \
    KERNEL(start, name, type, truth(b))          \
    KERNEL(and, name, type, truth(a) & truth(b)) \
    KERNEL(or, name, type, truth(a) | truth(b))  \
    KERNEL(xor, name, type, truth(a) ^ truth(b))

#define TRUTH(x) ((x) != 0)

/* ---- bool */

LOGICAL_KERNELS(b8, unsigned char, TRUTH)

/* ---- whole numbers */

#define INTEGER_KERNELS(name, type, wide)         \
    KERNEL(sum, name, type, (wide)a + (wide)b)    \
    KERNEL(product, name, type, (wide)a *(wide)b) \
    KERNEL(min, name, type, a < b ? a : b)        \
    KERNEL(max, name, type, a > b ? a : b)        \
    LOGICAL_KERNELS(name, type, TRUTH)

INTEGER_KERNELS(i8, int8_t, uint32_t)
INTEGER_KERNELS(i16, int16_t, uint32_t)
INTEGER_KERNELS(i32, int32_t, uint32_t)
INTEGER_KERNELS(i64, int64_t, uint64_t)
INTEGER_KERNELS(u8, uint8_t, uint32_t)
INTEGER_KERNELS(u16, uint16_t, uint32_t)
INTEGER_KERNELS(u32, uint32_t, uint32_t)
INTEGER_KERNELS(u64, uint64_t, uint64_t)

/* ---- floats; a NaN in either is the result of min and max */

#define FLOAT_KERNELS(name, type)                         \
    KERNEL(sum, name, type, a + b)                        \
    KERNEL(product, name, type, a *b)                     \
    KERNEL(min, name, type, ((a < b) | (a != a)) ? a : b) \
    KERNEL(max, name, type, ((a > b) | (a != a)) ? a : b) \
    LOGICAL_KERNELS(name, type, TRUTH)

FLOAT_KERNELS(f32, float)
FLOAT_KERNELS(f64, double)

/* ---- half floats, computed as floats */

enum {
    HALF_SIGN = 0x8000,
    HALF_ONE = 0x3c00,
    HALF_INFINITY = 0x7c00,
    HALF_QUIET = 0x0200,
    HALF_SHIFT = 13, /* a float's fraction has so many bits more */
    FLOAT_BIAS_MORE = (127 - 15) << 10,
};

float
chi_float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & HALF_SIGN) << 16;
    const uint32_t rest = half & (HALF_SIGN - 1u);
    uint32_t bits;
    float value;

    if (rest < 0x0400) { /* zero or subnormal: a multiple of 2^-24 */
        value = (float)rest * 0x1p-24f;
        memcpy(&bits, &value, sizeof(bits));
    } else if (rest >= HALF_INFINITY) {
        bits = 0x7f800000u | (rest & 0x03ffu) << HALF_SHIFT;
    } else {
        bits = (rest + FLOAT_BIAS_MORE) << HALF_SHIFT;
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint16_t
chi_half_of_float(float value)
{
    uint32_t bits;
    uint32_t sign;
    uint32_t rest;

    memcpy(&bits, &value, sizeof(bits));
    sign = bits >> 16 & HALF_SIGN;
    rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) { /* NaN: keep what fits of its fraction */
        return (uint16_t)(sign | HALF_INFINITY | HALF_QUIET |
                          (rest >> HALF_SHIFT & 0x03ffu));
    }
    if (rest >= 0x477ff000u) { /* 65520 and above round to infinity */
        return (uint16_t)(sign | HALF_INFINITY);
    }
    if (rest < 0x38800000u) { /* below 2^-14: a multiple of 2^-24 */
        float magnitude;

        /* Adding 0.5 leaves 2^-24 as the last bit, rounded to nearest. */
        memcpy(&magnitude, &rest, sizeof(magnitude));
        magnitude += 0.5f;
        memcpy(&rest, &magnitude, sizeof(rest));
        return (uint16_t)(sign | (rest - 0x3f000000u));
    }
    rest += 0x0fffu + (rest >> HALF_SHIFT & 1u);
    return (uint16_t)(sign | ((rest >> HALF_SHIFT) - FLOAT_BIAS_MORE));
}

#define HALF(x)       chi_float_of_half(x)
#define HALF_TRUTH(x) (((x) & (HALF_SIGN - 1)) != 0 ? HALF_ONE : 0)

KERNEL(sum, f16, uint16_t, chi_half_of_float(HALF(a) + HALF(b)))
KERNEL(product, f16, uint16_t, chi_half_of_float(HALF(a) * HALF(b)))
KERNEL(min, f16, uint16_t, HALF(a) < HALF(b) || HALF(a) != HALF(a) ? a : b)
KERNEL(max, f16, uint16_t, HALF(a) > HALF(b) || HALF(a) != HALF(a) ? a : b)
LOGICAL_KERNELS(f16, uint16_t, HALF_TRUTH)

/* ---- complex; sums are those of twice as many floats */

struct c64 {
    float real;
    float imag;
};

struct c128 {
    double real;
    double imag;
};

#define COMPLEX_TRUTH(x) ((x).real != 0 || (x).imag != 0)

#define COMPLEX_KERNEL(op, name, type, real_part, imag_part)               \
    static void op##_##name(void *a_inout, const void *b_in, size_t count) \
    {                                                                      \
        type *restrict a_at = a_inout;                                     \
        const type *restrict b_at = b_in;                                  \
                                                                           \
        for (size_t i = 0; i < count; i++) {                               \
            const type a = a_at[i];                                        \
            const type b = b_at[i];                                        \
                                                                           \
            (void)a;                                                       \
            a_at[i].real = (real_part);                                    \
            a_at[i].imag = (imag_part);                                    \
        }                                                                  \
    }

#define COMPLEX_KERNELS(name, type)                                         \
    COMPLEX_KERNEL(sum, name, type, a.real + b.real, a.imag + b.imag)       \
    COMPLEX_KERNEL(product, name, type, a.real *b.real - a.imag * b.imag,   \
                   a.real * b.imag + a.imag * b.real)                       \
    COMPLEX_KERNEL(start, name, type, COMPLEX_TRUTH(b), 0)                  \
    COMPLEX_KERNEL(and, name, type, COMPLEX_TRUTH(a) & COMPLEX_TRUTH(b), 0) \
    COMPLEX_KERNEL(or, name, type, COMPLEX_TRUTH(a) | COMPLEX_TRUTH(b), 0)  \
    COMPLEX_KERNEL(xor, name, type, COMPLEX_TRUTH(a) ^ COMPLEX_TRUTH(b), 0)

COMPLEX_KERNELS(c64, struct c64)
COMPLEX_KERNELS(c128, struct c128)

/* ---- the table */

enum {
    START = 0 /* in the place of NOP */,
    REDUCERS = CHARE_REDUCE_XOR + 1
};

#define LOGICAL_ROW(name)                                    \
    [START] = start_##name, [CHARE_REDUCE_AND] = and_##name, \
    [CHARE_REDUCE_OR] = or_##name, [CHARE_REDUCE_XOR] = xor_##name

#define COMPLEX_ROW(name)                                           \
    {                                                               \
        [CHARE_REDUCE_SUM] = sum_##name,                            \
        [CHARE_REDUCE_PRODUCT] = product_##name, LOGICAL_ROW(name), \
    }

#define NUMBER_ROW(name)                                                  \
    {                                                                     \
        [CHARE_REDUCE_SUM] = sum_##name,                                  \
        [CHARE_REDUCE_PRODUCT] = product_##name,                          \
        [CHARE_REDUCE_MIN] = min_##name, [CHARE_REDUCE_MAX] = max_##name, \
        LOGICAL_ROW(name),                                                \
    }

static const chi_kernel_fn kernels[][REDUCERS] = {
    [CHARE_DTYPE_BOOL] = {[CHARE_REDUCE_SUM] = or_b8,
                          [CHARE_REDUCE_PRODUCT] = and_b8,
                          [CHARE_REDUCE_MIN] = and_b8,
                          [CHARE_REDUCE_MAX] = or_b8,
                          LOGICAL_ROW(b8)},
    [CHARE_DTYPE_I8] = NUMBER_ROW(i8),
    [CHARE_DTYPE_I16] = NUMBER_ROW(i16),
    [CHARE_DTYPE_I32] = NUMBER_ROW(i32),
    [CHARE_DTYPE_I64] = NUMBER_ROW(i64),
    [CHARE_DTYPE_U8] = NUMBER_ROW(u8),
    [CHARE_DTYPE_U16] = NUMBER_ROW(u16),
    [CHARE_DTYPE_U32] = NUMBER_ROW(u32),
    [CHARE_DTYPE_U64] = NUMBER_ROW(u64),
    [CHARE_DTYPE_F16] = NUMBER_ROW(f16),
    [CHARE_DTYPE_F32] = NUMBER_ROW(f32),
    [CHARE_DTYPE_F64] = NUMBER_ROW(f64),
    [CHARE_DTYPE_C64] = COMPLEX_ROW(c64),
    [CHARE_DTYPE_C128] = COMPLEX_ROW(c128),
};

chi_kernel_fn
chi_kernel_find(uint32_t reducer, chare_dtype dtype)
{
    chi_assert(reducer > START && reducer < REDUCERS);
    chi_assert(dtype > CHARE_DTYPE_NONE && dtype <= CHARE_DTYPE_C128);
    return kernels[dtype][reducer];
}

void
chi_kernel_start(uint32_t reducer, chare_dtype dtype, void *a_out,
                 const void *b, size_t count)
{
    chi_assert(dtype > CHARE_DTYPE_NONE && dtype <= CHARE_DTYPE_C128);
    if (count == 0) {
        return;
    }
    if (dtype == CHARE_DTYPE_BOOL || reducer >= CHARE_REDUCE_AND) {
        kernels[dtype][START](a_out, b, count);
    } else {
        memcpy(a_out, b, count * chare_dtype_bytes(dtype));
    }
}

const char *
chi_dtype_name(chare_dtype dtype)
{
    static const char *const names[] = {
        "nothing", "bool",    "int8",    "int16",     "int32",
        "int64",   "uint8",   "uint16",  "uint32",    "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    };

    chi_assert(dtype >= CHARE_DTYPE_NONE && dtype <= CHARE_DTYPE_C128);
    return names[dtype];
}
