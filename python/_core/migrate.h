/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_MIGRATE_H
#define CHARE_PY_MIGRATE_H

/*
 * migrate.h - chares that move; migrate.c says how.
 */

#include "state.h"

/* Hooks of the runtime; the context is the Class. */
chare_status core_chare_pack(void *object, void *context,
                             chare_encoder *encoder);
chare_status core_chare_unpack(const chare_call *call, void *context,
                               void **object_out);
bool core_chare_movable(void *object, void *context);
void core_chare_depart(void *object, void *context);
void core_chare_migrated(void *object, void *context);

/* What kept a chare here may be over. */
void core_chare_retry(struct core_pe *pe, const struct core_chare *chare);

/* Chare.migrate(toPe), setMigratable(migratable), and migratable. */
PyObject *core_chare_migrate(PyObject *op, PyObject *pe);
PyObject *core_chare_set_migratable(PyObject *op, PyObject *truth);
PyObject *core_chare_get_migratable(PyObject *op, void *closure);
extern const char core_chare_migrate_doc[];
extern const char core_chare_set_migratable_doc[];

/* ---- channelmove.c */

/* A list, or None; NULL with an exception. And back; -1 with one. */
PyObject *core_channels_pack(const struct core_chare *chare);
int core_channels_unpack(struct core_state *state, struct core_chare *chare,
                         PyObject *list);

/* Channel.__reduce__(), for channels in the state of a chare that moves. */
PyObject *core_channel_reduce(PyObject *op, PyTypeObject *defining_class,
                              PyObject *const *args, Py_ssize_t arg_count,
                              PyObject *kwnames);

extern PyMethodDef core_migrate_functions[];

#endif /* CHARE_PY_MIGRATE_H */
