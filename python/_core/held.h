/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_HELD_H
#define CHARE_PY_HELD_H

/*
 * held.h - what waits in a chare, for when.c and heldmove.c.
 */

#include "state.h"

struct bucket {
    PyObject *key;
    struct waiting *head; /* linked by same_next */
    struct waiting *tail;
};

struct waiting {
    struct waiting *next; /* in its group */
    struct waiting *prev;
    struct waiting *same_next; /* in its bucket */
    struct waiting *same_prev;
    struct group *group;
    struct bucket *bucket; /* or NULL */
    uint64_t number;
    const struct core_entry *entry; /* NULL: a wait */
    struct core_condition *own;     /* the method's, or the wait's; or NULL */
    struct core_condition *sent;    /* or NULL */
    struct core_future *future;     /* of a wait; or NULL */
    chare_reply reply;
    bool replies;
    Py_ssize_t arg_count;
    PyObject *slots[]; /* slots[0] is free for self */
};

struct group {
    struct group *next;
    struct core_condition *condition; /* owned; NULL: the ARGS group */
    PyObject *buckets;                /* TAG: dict: key -> address; or NULL */
    struct waiting *head;
    struct waiting *tail;
    bool kept; /* also when it is empty */
};

struct core_held {
    struct group *groups;
    uint64_t next_number;
    uint64_t count;
    struct core_chare *next_touched;
    bool touched;
};

struct waiting *core_waiting_new(struct core_chare *chare,
                                 const struct core_entry *entry,
                                 Py_ssize_t arg_count);
void core_waiting_append(struct core_pe *pe, struct core_chare *chare,
                         struct waiting *waiting);
void core_waiting_free(struct waiting *waiting);

#endif /* CHARE_PY_HELD_H */
