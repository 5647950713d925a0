/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_GATHER_H
#define CHARE_PY_GATHER_H

/*
 * gather.h - the elements of an array that lies in memory with gaps, in a row.
 */

#include <Python.h>

#include "chare.h"

/*
 * Copy the elements from 'from' on to 'out', in C order. 'strides' are in
 * bytes, of either sign, or 0; nothing of 'shape' is 0; ndim is at most
 * CHARE_ARRAY_DIMS_MAX, and may be 0.
 */
void core_gather(char *out, const char *from, int ndim,
                 const Py_ssize_t *shape, const Py_ssize_t *strides,
                 size_t item_size);

#endif
