/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waiter.c - the ready queue, and who is suspended.
 *
 * The queue is a ring of references; it grows and never shrinks, for its size
 * is how many waiters one message can wake.
 */
#include "migrate.h"
#include "object.h"
#include "state.h"

enum {
    READY_ROOM_MIN = 64, /* a power of two */
};

static void
ready_grow(struct core_pe *pe)
{
    const uint32_t room =
        pe->ready_room == 0 ? READY_ROOM_MIN : pe->ready_room * 2;
    PyObject **ready = PyMem_Malloc(room * sizeof(*ready));

    if (ready == NULL) {
        Py_FatalError("chare: out of memory for waking coroutines");
    }
    for (uint32_t i = 0; i < pe->ready_count; i++) {
        ready[i] = pe->ready[(pe->ready_first + i) & (pe->ready_room - 1)];
    }
    PyMem_Free(pe->ready);
    pe->ready = ready;
    pe->ready_room = room;
    pe->ready_first = 0;
}

void
core_resume(struct core_pe *pe, PyObject *waiter)
{
    if (core_is_waiter(pe->state, waiter)) {
        struct core_waiter *self = (struct core_waiter *)waiter;

        if (self->ready || self->pe != pe) {
            return;
        }
        self->ready = true;
    }
    if (pe->ready_count == pe->ready_room) {
        ready_grow(pe);
    }
    pe->ready[(pe->ready_first + pe->ready_count++) & (pe->ready_room - 1)] =
        Py_NewRef(waiter);
}

static PyObject *
ready_take(struct core_pe *pe)
{
    PyObject *waiter = pe->ready[pe->ready_first];

    pe->ready_first = (pe->ready_first + 1) & (pe->ready_room - 1);
    pe->ready_count--;
    return waiter;
}

/* Resume a coroutine or a task, and measure its entry method if asked. */
static void
waiter_run(struct core_pe *pe, PyObject *waiter)
{
    const struct core_entry *entry = ((struct core_waiter *)waiter)->entry;
    const struct core_chare *chare = ((struct core_waiter *)waiter)->chare;
    const bool charges = *pe->measuring && chare != NULL;
    chare_element self;
    struct core_chare *stays =
        pe->unmovable ? (struct core_chare *)Py_XNewRef(
                            (PyObject *)((struct core_waiter *)waiter)->chare)
                      : NULL;

    if (charges) {
        core_chare_name(chare, &self); /* it may cease to exist meanwhile */
        chare_lb_begin(pe->runtime, &self);
    }
    if (pe->profiling) { /* what has run before is another's */
        chare_stats_charge(pe->runtime, 0);
    }
    ((struct core_waiter *)waiter)->ready = false;
    if (Py_IS_TYPE(waiter, pe->state->CoroutineType)) {
        core_coroutine_resume(pe, waiter);
    } else {
        core_task_step(pe, waiter);
    }
    if (charges) {
        chare_lb_charge(pe->runtime, &self);
    }
    if (pe->profiling && entry != NULL && entry->id != 0) {
        chare_stats_charge(pe->runtime, entry->id);
    }
    if (stays != NULL) { /* it may have been what kept its chare here */
        core_chare_retry(pe, stays);
        Py_DECREF(stays);
    }
}

static void
ready_run_one(struct core_pe *pe, PyObject *waiter)
{
    PyObject *result;

    if (core_is_waiter(pe->state, waiter)) {
        waiter_run(pe, waiter);
        return;
    }
    result = PyObject_CallNoArgs(waiter);
    if (result == NULL) {
        core_failed_in_function(pe, waiter);
    }
    Py_XDECREF(result);
}

void
core_ready_run(struct core_pe *pe)
{
    /* Nested in something that runs, it is for that one's end. */
    if (pe->coroutine != NULL || pe->task != NULL || pe->running != NULL) {
        return;
    }
    do {
        while (pe->ready_count > 0 && !pe->exiting) {
            PyObject *waiter = ready_take(pe);

            ready_run_one(pe, waiter);
            Py_DECREF(waiter);
        }
    } while (!pe->exiting && core_when_run_one(pe));
}

/* ---- who is suspended */

/* The future of a blocking function is for this wait only: complete, it
 * takes no message that a later recv() would get. */
static void
stop_awaiting(struct core_waiter *self)
{
    struct core_future *awaited =
        (struct core_future *)Py_NewRef(self->awaited);

    if (core_future_is_complete(awaited)) {
        /* It was woken, and will not look at what it has got. */
        if (!awaited->shared) {
            core_future_return(awaited);
        }
        Py_DECREF(awaited);
        return;
    }
    core_future_remove_waiter(awaited, (PyObject *)self);
    if (core_future_is_for_one(awaited) && awaited->waiter == NULL) {
        (void)core_future_abandon(awaited);
    }
    Py_DECREF(awaited);
}

void
core_waiter_interrupt(struct core_waiter *self, PyObject *error)
{
    if (self->pe == NULL) {
        return;
    }
    Py_XSETREF(self->interrupted, Py_NewRef(error));
    if (self->suspended && self->awaited != NULL) {
        stop_awaiting(self);
    }
    if (self->suspended) {
        core_resume(self->pe, (PyObject *)self);
    }
}

void
core_waiter_stop(struct core_waiter *self)
{
    if (self->suspended && self->awaited != NULL) {
        stop_awaiting(self);
    }
    core_waiter_resumed(self);
}

void
core_waiter_init(struct core_waiter *self, struct core_pe *pe)
{
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->pe = pe;
}

void
core_waiter_fini(struct core_waiter *self)
{
    Py_CLEAR(self->awaited);
    Py_CLEAR(self->interrupted);
    Py_CLEAR(self->chare);
}

/* It suspends for the first time. */
static void
waiter_list(struct core_waiter *self)
{
    struct core_pe *pe = self->pe;

    self->prev = NULL;
    self->next = pe->waiting;
    if (pe->waiting != NULL) {
        pe->waiting->prev = self;
    }
    pe->waiting = self;
    self->listed = CORE_LISTED;
    Py_INCREF(self);
    if (self->chare != NULL) {
        struct core_rare *rare = core_chare_rare(self->chare);

        if (rare == NULL) {
            Py_FatalError("chare: out of memory for what is suspended");
        }
        self->same_prev = NULL;
        self->same_next = rare->waiters;
        if (rare->waiters != NULL) {
            rare->waiters->same_prev = self;
        }
        rare->waiters = self;
    }
}

static void
waiter_unlist(struct core_waiter *self)
{
    self->listed = 0;
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        self->pe->waiting = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    if (self->chare != NULL) {
        if (self->same_prev != NULL) {
            self->same_prev->same_next = self->same_next;
        } else {
            self->chare->rare->waiters = self->same_next;
        }
        if (self->same_next != NULL) {
            self->same_next->same_prev = self->same_prev;
        }
    }
    Py_DECREF(self);
}

void
core_waiter_suspended(struct core_waiter *self, PyObject *awaited)
{
    self->awaited = Py_XNewRef(awaited); /* it awaited nothing */
    self->pe->waiting_count++;
    self->suspended = true;
    if (!self->listed) {
        waiter_list(self);
    }
}

void
core_waiter_resumed(struct core_waiter *self)
{
    if (!self->suspended) {
        return;
    }
    self->suspended = false;
    self->pe->waiting_count--;
    Py_CLEAR(self->awaited);
}

/* The caller holds a reference. */
void
core_waiter_ended(struct core_waiter *self)
{
    if (self->listed) {
        waiter_unlist(self);
    }
    if (self->builds) {
        self->builds = false;
        core_build_end(self->pe, self->chare);
    }
    Py_CLEAR(self->interrupted);
    Py_CLEAR(self->chare);
    self->entry = NULL;
}

void
core_waiters_close(struct core_pe *pe)
{
    /* Their 'finally' blocks run, and may make others ready. */
    while (pe->ready_count > 0 || pe->waiting != NULL) {
        struct core_waiter *self = pe->waiting;

        if (pe->ready_count > 0) {
            PyObject *waiter = ready_take(pe);

            Py_DECREF(waiter);
            continue;
        }
        Py_INCREF(self);
        core_waiter_resumed(self);
        waiter_unlist(self);
        self->pe = NULL;
        Py_DECREF(self);
    }
    PyMem_Free(pe->ready);
    pe->ready = NULL;
    pe->ready_room = 0;
}

void
core_raise_cannot_wait(struct core_pe *pe, const char *what)
{
    PyErr_Format(pe->state->NotThreadedError,
                 "%s would suspend %U, which is not a coroutine: "
                 "decorate it with @coro, or make it 'async def' and await "
                 "it there",
                 what,
                 pe->running != NULL ? pe->running->fullname
                                     : pe->state->name_nobody);
}
