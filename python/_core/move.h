/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_MOVE_H
#define CHARE_PY_MOVE_H

/*
 * move.h - arrays that their sender gives up; included by codec.h.
 */

struct core_moved;

/* Those of one value or call that is being encoded. */
struct core_moves {
    struct core_moved *first;
    struct core_moved *inserted; /* by core_moves_end(), at 'behind' */
    size_t behind;
};

extern PyType_Spec core_moved_spec;

/* move() of the package, and memory for its empty(). */
PyObject *core_move(PyObject *module, PyObject *object);
PyObject *core_memory_create(PyObject *module, PyObject *bytes);

/*
 * Write one that is being moved, or see to it that core_moves_end() does.
 * Returns 0, -1 with an exception, or 1: pickle it.
 */
int core_move_put(struct core_pe *pe, struct core_moves *moves,
                  chare_encoder *encoder, size_t offset, PyObject *object);

/* All is written: their old owners have them no longer. -1 with an
 * exception. */
int core_moves_end(struct core_pe *pe, struct core_moves *moves,
                   chare_encoder *encoder);

/* A message of some arguments was refused: its arrays go back to their owners.
 * Its tuple has 'skip' values in front of them. No exception is left. */
void core_moves_return(struct core_pe *pe, PyObject *const *args,
                       Py_ssize_t arg_count, Py_ssize_t skip,
                       const chare_data *data);

/* The same of one value, which is all or the first of the data. */
void core_moves_return_value(struct core_pe *pe, PyObject *value,
                             const chare_data *data);

/* The same of the arguments of a constructor, as users give them: None, a
 * tuple or a list. */
void core_moves_return_init(struct core_pe *pe, PyObject *args,
                            Py_ssize_t skip, const chare_data *data);

/* The same of one that move() gave, whose elements are in 'value'; an
 * exception stays as it is. */
void core_moved_return(struct core_pe *pe, PyObject *moved, PyObject *value);

/* What one that is being moved is, or the object itself; borrowed. */
PyObject *core_moved_of(const struct core_state *state, PyObject *object);

/* Raise for an array that was moved before; returns -1. */
int core_moved_refuse(void);

/* Nothing is sent: their owners keep them. */
void core_moves_forget(struct core_moves *moves);

#endif /* CHARE_PY_MOVE_H */
