/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_REDUCER_H
#define CHARE_PY_REDUCER_H

/*
 * reducer.h - what reducer.c and reduce.c offer.
 */

#include "state.h"

enum {
    CORE_REDUCE_ITEMS = 3, /* of what a 'post' gets: see reducer.c */
};

struct core_reducer {
    PyObject_HEAD
    PyObject *name;
    PyObject *function; /* of a list of contributions; NULL: built in */
    PyObject *pre;      /* or NULL */
    PyObject *post;     /* or NULL */
    PyObject *joining;  /* the reducer for texts and lists instead, or NULL */
    struct core_state *state;
    uint32_t builtin; /* CHARE_REDUCE_*, for numbers; or UINT32_MAX */
    uint32_t id;      /* of the registered one; UINT32_MAX: not registered */
    bool ordered;     /* it sees all contributions at once, by index */
};

extern PyType_Spec core_reducer_spec;
PyObject *core_reducer_register(PyObject *module, PyObject *reducer);

/* One contribution; None, or NULL with an exception. */
PyObject *core_contribute(struct core_state *state, struct core_chare *chare,
                          PyObject *data, PyObject *reducer,
                          PyObject *callback, PyObject *section);
/* Section 0: of the chare's own collection. */
PyObject *core_contribute_to(struct core_state *state,
                             struct core_chare *chare, PyObject *data,
                             PyObject *reducer, const chare_callback *callback,
                             chare_collection section);
/* Take the result of a reducer with a 'post' and pass it on. */
int core_reduce_register(struct core_pe *pe);

#endif /* CHARE_PY_REDUCER_H */
