/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_NATIVE_H
#define CHARE_PY_NATIVE_H

/*
 * native.h - classes of chares in C; part of state.h.
 */

#include <Python.h>

#include <stdbool.h>

#include <chare.h>

struct core_pe;
struct core_state;

extern PyMethodDef core_native_functions[];

/* The TypeError for the argument of state->strict that has no form in C; -1.
 * The encoder is of no use afterwards. */
int core_native_refuse(struct core_pe *pe, chare_encoder *encoder,
                       PyObject *const *args, Py_ssize_t arg_count);

/* Whether a chare is on this PE, and one in C. */
bool core_native_is(struct core_state *state, chare_runtime *runtime,
                    const chare_element *name);

#endif /* CHARE_PY_NATIVE_H */
