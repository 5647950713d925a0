/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_BIGINT_H
#define CHI_COLL_BIGINT_H

/*
 * bigint.h - whole numbers of any size, as far as reducers need them.
 *
 * Two's complement in 32-bit limbs, little end first, never more limbs than
 * needed. They come from the heap: sums that leave 64 bits are rare.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

struct chi_bigint {
    uint32_t *limbs;
    size_t count; /* at least 1, once it has a value */
};

/* Make one; the caller ends it by chi_bigint_fini(). */
CHARE_MUST_CHECK chare_status chi_bigint_set_int(struct chi_bigint *out,
                                                 int64_t value);
CHARE_MUST_CHECK chare_status chi_bigint_set_bytes(struct chi_bigint *out,
                                                   const void *bytes,
                                                   size_t len);

/* Accepts one that is all zeros. */
void chi_bigint_fini(struct chi_bigint *big);

/* a = a + b and a = a * b. Errors: CHARE_ERR_NO_MEMORY; a is unchanged. */
CHARE_MUST_CHECK chare_status chi_bigint_add(struct chi_bigint *a_inout,
                                             const struct chi_bigint *b);
CHARE_MUST_CHECK chare_status chi_bigint_multiply(struct chi_bigint *a_inout,
                                                  const struct chi_bigint *b);

/* Negative, zero or positive, as a < b, a == b or a > b. */
int chi_bigint_compare(const struct chi_bigint *a, const struct chi_bigint *b);

/*
 * A double at most one unit in the last place away; an infinity when it is too
 * large for one.
 */
double chi_bigint_to_double(const struct chi_bigint *big);

/* False: it does not fit. */
bool chi_bigint_to_int(const struct chi_bigint *big, int64_t *out);
bool chi_bigint_to_unsigned(const struct chi_bigint *big, uint64_t *out);

/* As INT if it fits, else as BIGINT. Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_bigint_put(const struct chi_bigint *big,
                                             chare_encoder *encoder);

#endif /* CHI_COLL_BIGINT_H */
