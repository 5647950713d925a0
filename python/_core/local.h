/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_LOCAL_H
#define CHARE_PY_LOCAL_H

/*
 * local.h - chares that are on this PE, without a message; part of state.h.
 */

#include <Python.h>

#include <chare.h>

PyObject *core_proxy_local(PyObject *self, PyTypeObject *defining_class,
                           PyObject *const *args, Py_ssize_t arg_count,
                           PyObject *kwnames);
PyObject *core_proxy_local_branch(PyObject *self, PyTypeObject *defining_class,
                                  PyObject *const *args, Py_ssize_t arg_count,
                                  PyObject *kwnames);

/* The place hook of maps: the PE that procNum() gives. */
chare_status core_place(void *object, const chare_index *index, void *context,
                        uint32_t *pe_out);

#endif /* CHARE_PY_LOCAL_H */
