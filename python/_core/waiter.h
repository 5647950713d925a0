/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_WAITER_H
#define CHARE_PY_WAITER_H

/*
 * waiter.h - what waits, and how it goes on; included by state.h.
 *
 * A *waiter* is a greenlet coroutine (Coroutine) or a native one (Task). It
 * waits for one future at a time; whatever the wait is for, a message of a
 * channel, a condition, a timer, somebody completes that future. Functions
 * that block follow one rule, which core_future_await() is:
 *
 *   in a @coro method          suspend, and return the value;
 *   in an 'async def' method   return the future, to be awaited;
 *   elsewhere                  NotThreadedError, unless it is complete.
 *
 * So a blocking function is: make a local future, see to it that somebody
 * calls core_future_complete(), and return core_future_await().
 *
 * Completing a future runs no user code: who waits for it is put in the PE's
 * ready queue, which runs when the scheduler has control again. Whatever the
 * runtime calls, and that may run Python code, therefore begins with
 * core_enter() and ends with core_leave().
 */

enum { /* core_waiter.listed; 0: it is not */
    CORE_LISTED = 1,
    CORE_LISTED_KEPT = 2,
};

/* The head of Coroutine and Task. */
struct core_waiter {
    PyObject_HEAD
    struct core_pe *pe;       /* NULL: the PE is closed */
    struct core_waiter *next; /* in pe->waiting from when it first suspends to
                                 its end; owned there */
    struct core_waiter *prev;
    struct core_waiter *same_next; /* likewise, of the same chare */
    struct core_waiter *same_prev;
    PyObject *awaited;     /* the future it is suspended for, or NULL */
    PyObject *interrupted; /* raised where it is suspended, or NULL */
    const struct core_entry *entry; /* its entry method, or NULL */
    struct core_chare *chare;       /* whose method runs, or NULL */
    uint32_t at;    /* its place in the future's list of waiters */
    uint8_t listed; /* it is in pe->waiting; CORE_LISTED_KEPT: and has kept its
                       chare from moving, which was counted */
    bool suspended; /* it is to be resumed */
    bool ready;     /* it is in the ready queue */
    bool builds;    /* it runs a constructor for which calls wait */
};

static inline bool
core_is_waiter(const struct core_state *state, PyObject *object)
{
    return Py_IS_TYPE(object, state->CoroutineType) ||
           Py_IS_TYPE(object, state->TaskType);
}

/* Before Python code runs for the scheduler, and after it. */
static inline void
core_enter(struct core_pe *pe)
{
    pe->state->current = pe;
}

void core_ready_run(struct core_pe *pe);

static inline void
core_leave(struct core_pe *pe)
{
    if (pe->ready_count > 0 || pe->touched != NULL) {
        core_ready_run(pe);
    }
}

/*
 * Let a waiter go on, or call a function without arguments, as soon as the
 * scheduler has control. From anywhere on the PE's thread.
 */
void core_resume(struct core_pe *pe, PyObject *waiter);

/* Raise an exception where a waiter is suspended, or will suspend. */
void core_waiter_interrupt(struct core_waiter *waiter, PyObject *error);

/* It waits no longer, and is not to go on. */
void core_waiter_stop(struct core_waiter *waiter);

/* Bookkeeping of what suspends: around the switch away and back. */
void core_waiter_suspended(struct core_waiter *waiter, PyObject *awaited);
void core_waiter_resumed(struct core_waiter *waiter);
void core_waiter_init(struct core_waiter *waiter, struct core_pe *pe);

/* It runs an entry method of a chare, or (both NULL) something else. */
static inline void
core_waiter_runs(struct core_waiter *waiter, const struct core_entry *entry,
                 struct core_chare *chare)
{
    waiter->entry = entry;
    if (chare != NULL) {
        waiter->chare = (struct core_chare *)Py_NewRef((PyObject *)chare);
        /* Calls that were held run while the chare is still building. */
        waiter->builds = chare->building && entry == &chare->owner->init;
    }
}

/* What it ran has ended: it waits for nothing any more. */
void core_waiter_ended(struct core_waiter *waiter);
void core_waiter_fini(struct core_waiter *waiter);

/* All that waits on this PE is forgotten. */
void core_waiters_close(struct core_pe *pe);

/*
 * A future that the same PE completes: no name in the runtime, unless it is
 * sent somewhere, and so as cheap as any small object. Who is to complete it
 * keeps a reference. 'what' names the blocking function, "Channel.recv()", for
 * reports; it is static.
 */
struct core_future *core_future_new_local(struct core_pe *pe,
                                          const char *what);

/*
 * Complete a future of this PE with a value, which is stolen; an exception
 * object makes the wait raise it. From anywhere on the PE's thread; runs no
 * user code. False: it was complete, or cancelled, and the value is dropped.
 */
bool core_future_complete(struct core_future *future, PyObject *value);

static inline bool
core_future_is_complete(const struct core_future *future)
{
    return future->arrived >= future->value_count;
}

/* Whether it was made for one wait, and is of no use without. */
static inline bool
core_future_is_for_one(const struct core_future *future)
{
    return future->local && (future->what != NULL || future->source != NULL);
}

/*
 * The end of a blocking function, see above: the value or the future. Takes
 * the reference to the future. 'what' is for NotThreadedError.
 */
PyObject *core_future_await(struct core_pe *pe, struct core_future *future,
                            const char *what);

/* Whether something could wait here: a coroutine or a task is running. */
static inline bool
core_can_wait(const struct core_pe *pe)
{
    return pe->task != NULL || pe->coroutine != NULL;
}

/* Set NotThreadedError: 'what' cannot wait here. */
void core_raise_cannot_wait(struct core_pe *pe, const char *what);

#endif /* CHARE_PY_WAITER_H */
