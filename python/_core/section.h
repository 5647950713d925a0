/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_SECTION_H
#define CHARE_PY_SECTION_H

/*
 * section.h - what section.c offers: sections of chares.
 */

#include "state.h"

extern PyMethodDef core_section_functions[];

/* The class of a section's chares, of 'count' types in rising order; borrowed,
 * NULL with an exception. */
struct core_class *core_class_shared(struct core_state *state,
                                     const uint32_t *types, uint32_t count);
Py_ssize_t core_section_len(struct core_state *state,
                            const struct core_proxy *proxy);

/* section=: a proxy or None; 0 for the chare's own collection. -1 with
 * TypeError. */
int core_section_parse(struct core_state *state,
                       const struct core_chare *chare, PyObject *object,
                       chare_collection *section_out);

/* Make the exception of a refused contribution. */
PyObject *core_section_refused(struct core_state *state,
                               struct core_chare *chare,
                               chare_collection section, chare_status status);

#endif /* CHARE_PY_SECTION_H */
