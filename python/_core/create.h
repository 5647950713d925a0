/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_CREATE_H
#define CHARE_PY_CREATE_H

/*
 * create.h - what create.c offers: making chares and collections.
 */

#include "state.h"

PyObject *core_single_create(PyObject *module, PyObject *args);
PyObject *core_group_create(PyObject *module, PyObject *args);
PyObject *core_array_create(PyObject *module, PyObject *args);
PyObject *core_single_new(struct core_state *state, PyObject *cls,
                          PyObject *args, long pe, enum core_flavour flavour);
PyObject *core_proxy_insert(PyObject *self, PyTypeObject *defining_class,
                            PyObject *const *args, Py_ssize_t arg_count,
                            PyObject *kwnames);
PyObject *core_proxy_insert_done(PyObject *self, PyTypeObject *defining_class,
                                 PyObject *const *args, Py_ssize_t arg_count,
                                 PyObject *kwnames);

#endif /* CHARE_PY_CREATE_H */
