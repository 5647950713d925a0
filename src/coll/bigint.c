/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bigint.c - sums, products and order of whole numbers of any size.
 *
 * A number stands for its limbs and endless copies of its sign after them.
 * The product is taken as if both were without a sign; a negative a then
 * counts 2^(32 * its limbs) too much, which is corrected by subtracting b in
 * front of it, and the same for b.
 */
#include "config.h"

#include "coll/bigint.h"

#include <stdlib.h>

enum {
    LIMB_BITS = 32
};

static uint32_t
sign_limb(const struct chi_bigint *big)
{
    return big->limbs[big->count - 1] >> (LIMB_BITS - 1) ? UINT32_MAX : 0;
}

static uint32_t
limb_at(const struct chi_bigint *big, size_t i)
{
    return i < big->count ? big->limbs[i] : sign_limb(big);
}

/* Drop the limbs that only repeat the sign. */
static void
bigint_trim(struct chi_bigint *big)
{
    const uint32_t sign = sign_limb(big);

    while (big->count > 1 && big->limbs[big->count - 1] == sign &&
           (big->limbs[big->count - 2] ^ sign) >> (LIMB_BITS - 1) == 0) {
        big->count--;
    }
}

static chare_status
bigint_alloc(struct chi_bigint *out, size_t count)
{
    out->limbs = calloc(count, sizeof(*out->limbs));
    out->count = count;
    return out->limbs == NULL ? CHARE_ERR_NO_MEMORY : CHARE_OK;
}

chare_status
chi_bigint_set_int(struct chi_bigint *out, int64_t value)
{
    chare_status status = bigint_alloc(out, 2);

    if (status == CHARE_OK) {
        out->limbs[0] = (uint32_t)(uint64_t)value;
        out->limbs[1] = (uint32_t)((uint64_t)value >> LIMB_BITS);
        bigint_trim(out);
    }
    return status;
}

chare_status
chi_bigint_set_bytes(struct chi_bigint *out, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    const bool negative = len > 0 && at[len - 1] >> 7;
    chare_status status = bigint_alloc(out, len / sizeof(uint32_t) + 1);

    if (status != CHARE_OK) {
        return status;
    }
    for (size_t i = 0; i < out->count * sizeof(uint32_t); i++) {
        const uint32_t byte = i < len ? at[i] : negative ? 0xffu : 0;

        out->limbs[i / 4] |= byte << (i % 4 * 8);
    }
    bigint_trim(out);
    return CHARE_OK;
}

void
chi_bigint_fini(struct chi_bigint *big)
{
    free(big->limbs);
    *big = (struct chi_bigint){0};
}

/* 'result' takes the place of 'a'. */
static void
bigint_replace(struct chi_bigint *a, struct chi_bigint *result)
{
    bigint_trim(result);
    free(a->limbs);
    *a = *result;
}

chare_status
chi_bigint_add(struct chi_bigint *a_inout, const struct chi_bigint *b)
{
    const size_t longer =
        a_inout->count > b->count ? a_inout->count : b->count;
    struct chi_bigint result;
    chare_status status = bigint_alloc(&result, longer + 1);
    uint64_t carry = 0;

    if (status != CHARE_OK) {
        return status;
    }
    for (size_t i = 0; i < result.count; i++) {
        carry += (uint64_t)limb_at(a_inout, i) + limb_at(b, i);
        result.limbs[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    bigint_replace(a_inout, &result);
    return CHARE_OK;
}

/* Subtract 'from' from the limbs of 'result' that start at 'shift'. */
static void
subtract_shifted(struct chi_bigint *result, const struct chi_bigint *from,
                 size_t shift)
{
    uint64_t borrow = 0;

    for (size_t i = 0; i < from->count; i++) {
        const uint64_t difference =
            (uint64_t)result->limbs[shift + i] - from->limbs[i] - borrow;

        result->limbs[shift + i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

chare_status
chi_bigint_multiply(struct chi_bigint *a_inout, const struct chi_bigint *b)
{
    const struct chi_bigint *a = a_inout;
    struct chi_bigint result;
    chare_status status = bigint_alloc(&result, a->count + b->count);

    if (status != CHARE_OK) {
        return status;
    }
    for (size_t i = 0; i < a->count; i++) {
        uint64_t carry = 0;

        for (size_t k = 0; k < b->count; k++) {
            carry += (uint64_t)a->limbs[i] * b->limbs[k] + result.limbs[i + k];
            result.limbs[i + k] = (uint32_t)carry;
            carry >>= LIMB_BITS;
        }
        result.limbs[i + b->count] = (uint32_t)carry;
    }
    if (sign_limb(a) != 0) {
        subtract_shifted(&result, b, a->count);
    }
    if (sign_limb(b) != 0) {
        subtract_shifted(&result, a, b->count);
    }
    bigint_replace(a_inout, &result);
    return CHARE_OK;
}

int
chi_bigint_compare(const struct chi_bigint *a, const struct chi_bigint *b)
{
    const uint32_t sign = sign_limb(a);

    if (sign != sign_limb(b)) {
        return sign != 0 ? -1 : 1;
    }
    for (size_t i = a->count > b->count ? a->count : b->count; i-- > 0;) {
        if (limb_at(a, i) != limb_at(b, i)) {
            return limb_at(a, i) < limb_at(b, i) ? -1 : 1;
        }
    }
    return 0;
}

double
chi_bigint_to_double(const struct chi_bigint *big)
{
    double result = sign_limb(big) != 0 ? -1 : 0;

    for (size_t i = big->count; i-- > 0;) {
        result = result * 4294967296.0 + big->limbs[i];
    }
    return result;
}

bool
chi_bigint_to_int(const struct chi_bigint *big, int64_t *out)
{
    *out = (int64_t)((uint64_t)limb_at(big, 1) << LIMB_BITS | limb_at(big, 0));
    return big->count <= 2;
}

bool
chi_bigint_to_unsigned(const struct chi_bigint *big, uint64_t *out)
{
    *out = (uint64_t)limb_at(big, 1) << LIMB_BITS | limb_at(big, 0);
    return sign_limb(big) == 0 &&
           (big->count <= 2 || (big->count == 3 && big->limbs[2] == 0));
}

chare_status
chi_bigint_put(const struct chi_bigint *big, chare_encoder *encoder)
{
    const size_t len = big->count * sizeof(uint32_t);
    unsigned char *bytes;
    int64_t value;

    if (chi_bigint_to_int(big, &value)) {
        chare_put_int(encoder, value);
        return CHARE_OK;
    }
    bytes = malloc(len);
    if (bytes == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(big->limbs[i / 4] >> (i % 4 * 8));
    }
    chare_put_bigint(encoder, bytes, len);
    free(bytes);
    return CHARE_OK;
}
