/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_WHEN_H
#define CHARE_PY_WHEN_H

/*
 * when.h - messages and coroutines that wait for a condition on the state of
 * their chare; included by state.h. when.c says how.
 */

enum {
    CORE_CONDITIONS_MAX = 1024, /* compiled ones that a method, or class, keeps
                                   of those made while the program runs */
};

/* Run a method whose message has waited; 'reply' may be NULL. */
void core_execute(struct core_pe *pe, const struct core_entry *entry,
                  struct core_chare *chare, PyObject **slots,
                  Py_ssize_t arg_count, const chare_reply *reply);

/* Answer a call; 'value' may be None. */
void core_reply(struct core_pe *pe, const struct core_entry *entry,
                const chare_reply *reply, PyObject *value);

/* What a condition looks at. */
enum core_condition_kind {
    CORE_CONDITION_CALL = 0,  /* nothing that we know: a callable */
    CORE_CONDITION_STATE = 1, /* self */
    CORE_CONDITION_ARGS = 2,  /* self and the arguments */
    CORE_CONDITION_TAG = 3,   /* whether self.attribute == an argument */
};

/* A compiled condition; chare/_when.py makes them. */
struct core_condition {
    PyObject_HEAD
    PyObject *text;
    PyObject *function;  /* of self and the arguments, or as 'kind' says */
    PyObject *attribute; /* TAG; or NULL */
    Py_ssize_t param;    /* TAG: which argument, without self */
    enum core_condition_kind kind;
    bool swapped; /* TAG: argument == self.attribute */
};

extern PyType_Spec core_condition_spec;

/* Whether what a TAG looks at was given, and not left to a default. */
bool core_condition_is_given(const struct core_condition *condition,
                             const struct core_entry *entry,
                             Py_ssize_t arg_count);

/*
 * Whether both conditions of a message hold, or the one of a wait, whose entry
 * is NULL: 1, 0, or -1 with an Error that names it. slots[0] is the chare.
 */
int core_condition_both_hold(struct core_pe *pe,
                             const struct core_condition *own,
                             const struct core_condition *sent,
                             const struct core_entry *entry, PyObject **slots,
                             Py_ssize_t arg_count);

/*
 * A compiled condition from a cache, a dict or NULL at first; borrowed. If it
 * is not there, the function 'compiler' of chare/_support.py makes it of the
 * text and 'subject', what it belongs to.
 */
struct core_condition *
core_condition_cached(struct core_state *state, PyObject **cache_inout,
                      const char *compiler, PyObject *text, PyObject *subject);

/* The condition of a call with when=text; borrowed, NULL with an exception. */
struct core_condition *core_when_sent(struct core_state *state,
                                      struct core_entry *entry,
                                      PyObject *text);

/*
 * A message for a method with a condition: run it, or keep it. slots[0] is
 * free for self; the others are borrowed. 'reply' and 'sent', which came with
 * the message, may be NULL.
 */
void core_when_arrived(struct core_pe *pe, const struct core_entry *entry,
                       struct core_chare *chare, const chare_reply *reply,
                       PyObject **slots, Py_ssize_t arg_count,
                       struct core_condition *sent);

/* The C entry function of calls with when=. */
void core_when_invoke(void *object, const chare_call *call, void *context);

/* self.wait(condition); None, or a future to be awaited. */
PyObject *core_when_wait(struct core_pe *pe, struct core_chare *chare,
                         PyObject *condition);

/* Something ran that may have changed the chare: look again at what waits,
 * as soon as the scheduler has control. */
void core_when_touch(struct core_pe *pe, struct core_chare *chare);

static inline void
core_when_changed(struct core_pe *pe, struct core_chare *chare)
{
    if (core_chare_held(chare) != NULL && pe->flush_auto) {
        core_when_touch(pe, chare);
    }
}

/* The same after a coroutine's step. */
static inline void
core_when_stepped(struct core_pe *pe, const struct core_waiter *waiter)
{
    if (pe->held_count > 0 && pe->flush_auto && waiter->chare != NULL) {
        core_when_touch(pe, waiter->chare);
    }
}

/* Let go one of what waits; false: no condition holds. By the scheduler. */
bool core_when_run_one(struct core_pe *pe);

/*
 * The chare is destroyed: what its held messages wanted is answered by an
 * Error; one that nobody waits for ends the job, as any that comes too late.
 */
void core_when_abandon(struct core_pe *pe, struct core_chare *chare);

/* [(method or None, condition)] of what waits in a chare, for reports. */
PyObject *core_when_list(struct core_chare *chare);

/* For a chare that moves: a list of what is held, the oldest first; and back.
 * NULL, or -1, with an exception. */
PyObject *core_when_pack(struct core_pe *pe, struct core_chare *chare);
int core_when_unpack(struct core_pe *pe, struct core_chare *chare,
                     PyObject *list);
bool core_when_is_touched(const struct core_chare *chare);

void core_when_clear(struct core_chare *chare);
int core_when_visit(struct core_chare *chare, visitproc visit, void *arg);
void core_when_close(struct core_pe *pe);

#endif /* CHARE_PY_WHEN_H */
