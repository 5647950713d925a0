/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_NDARRAY_H
#define CHARE_PY_NDARRAY_H

/*
 * ndarray.h - arrays as NumPy's C interface has them, without its headers.
 *
 * NumPy keeps what is declared here from release to release, for programs
 * that were built with another one: the head of an array, some flags, and the
 * places of functions in a table. It is used if the table says it is of a
 * version that is known, and if arrays look as they should; else the buffer
 * protocol does the same, more slowly.
 */

#include <Python.h>

#include <stdbool.h>

/* The head of an array. */
struct core_ndarray {
    PyObject_HEAD
    char *data;
    int ndim;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    PyObject *base;
    PyObject *dtype;
    int flags;
};

enum { /* of flags, or-ed */
    CORE_NDARRAY_C_ORDER = 0x1,
    CORE_NDARRAY_F_ORDER = 0x2,
    CORE_NDARRAY_WRITEABLE = 0x400,
    CORE_NDARRAY_WARN_ON_WRITE = (int)0x80000000u,
};

struct core_numpy;

/* Find NumPy's table, when all else of 'numpy' is there; if it is of no use,
 * numpy->interface is NULL. Sets no exception. */
void core_ndarray_open(struct core_numpy *numpy);

/* An array whose elements are undefined; only with an interface. */
PyObject *core_ndarray_new(const struct core_numpy *numpy, PyObject *dtype,
                           int ndim, const Py_ssize_t *shape, bool fortran);

#endif /* CHARE_PY_NDARRAY_H */
