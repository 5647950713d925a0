/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_KERNELS_H
#define CHI_COLL_KERNELS_H

/*
 * kernels.h - the built-in reducers on elements of arrays.
 *
 * Whole numbers wrap around, as NumPy's do. MIN and MAX pass a NaN on. SUM of
 * BOOL is OR, its PRODUCT is AND. AND, OR and XOR give 0 or 1 in the dtype.
 */

#include <stdbool.h>
#include <stddef.h>

#include <chare.h>

/* a[i] = a[i] OP b[i] for 'count' elements; both aligned to an element. */
typedef void (*chi_kernel_fn)(void *a_inout, const void *b, size_t count);

/* NULL: there is none (MIN and MAX of complex). */
chi_kernel_fn chi_kernel_find(uint32_t reducer, chare_dtype dtype);

/*
 * a[i] = b[i] as the reducer starts: for logical reducers, and of BOOL, as 0
 * or 1.
 */
void chi_kernel_start(uint32_t reducer, chare_dtype dtype, void *a_out,
                      const void *b, size_t count);

/* float64 and the like, as NumPy names them. */
const char *chi_dtype_name(chare_dtype dtype);

/* Half floats; to a half is to the nearest, ties to even. */
float chi_float_of_half(uint16_t half);
uint16_t chi_half_of_float(float value);

#endif /* CHI_COLL_KERNELS_H */
