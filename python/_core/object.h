/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_OBJECT_H
#define CHARE_PY_OBJECT_H

/*
 * object.h - what a chare is in memory; part of state.h.
 */

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

struct core_build;
struct core_channels;
struct core_class;
struct core_held;
struct core_waiter;

/* Whether a chare's constructor has ended. */
enum core_building {
    CORE_BUILT = 0,
    CORE_BUILDING = 1,     /* it has not, and calls wait; build.h */
    CORE_BUILD_FAILED = 2, /* by an exception; failed.h */
};

/* What few chares have. */
struct core_rare {
    PyObject *results;         /* futures of allreduce() under way, or NULL */
    PyObject *section_results; /* dict: section -> such a list, or NULL */
    struct core_held *held;    /* what waits for conditions, or NULL */
    struct core_channels *channels; /* their ends here, or NULL */
    struct core_build *build;       /* calls that wait for its constructor */
    struct core_waiter *waiters;    /* that have suspended here; waiter.h */
    PyObject *restarts; /* list: methods to be begun again; restart.c */
    PyObject *adopted;  /* dict: futures that came along; follow.c */
    PyObject *failure;  /* the exception of its constructor, or NULL */
    uint32_t maker;     /* the PE that asked for it, while it is built */
    bool told;          /* somebody has got, or will get, the failure */
    bool kept;          /* it was to move, and what is suspended kept it */
    uint8_t stays;      /* enum core_stays */
};

/* Of a chare that was packed, and did not leave; restart.c. */
enum core_stays {
    CORE_STAYS_NOT = 0,
    CORE_STAYS_POSTED = 1, /* its methods are begun again soon */
    CORE_STAYS_ASKED = 2,  /* and then somebody is to ask it again */
};

/*
 * There may be millions: a chare's name is kept in few bytes, and made whole
 * when it is asked for.
 */
struct core_chare {
    PyObject_HEAD
    chare_collection collection;
    union {
        uint64_t packed;   /* the index, 64 / ndims bits for each dimension */
        chare_index *wide; /* one that does not fit; the chare's own */
    } at;
    uint8_t flavour; /* enum core_flavour */
    uint8_t ndims;
    bool is_wide;
    uint8_t building;         /* enum core_building */
    uint32_t host;            /* its array's type + 1, if that is another */
    struct core_class *owner; /* borrowed from the state; NULL: by hand */
    struct core_rare *rare;   /* or NULL */
    PyObject *weakrefs;
};

static inline struct core_held *
core_chare_held(const struct core_chare *chare)
{
    return chare->rare != NULL ? chare->rare->held : NULL;
}

extern PyType_Spec core_chare_spec;

/* Its part for what few have, made if there is none; NULL with an
 * exception. */
struct core_rare *core_chare_rare(struct core_chare *chare);

/* ---- name.c */

/* A chare's name, for a moment. */
PyObject *core_chare_at_sync(PyObject *op, PyObject *unused);
void core_chare_name(const struct core_chare *chare, chare_element *out);

/* Give a new chare its name; -1 with an exception. */
int core_chare_set_name(struct core_chare *chare, const chare_element *name);
void core_chare_free_name(struct core_chare *chare);

#endif /* CHARE_PY_OBJECT_H */
