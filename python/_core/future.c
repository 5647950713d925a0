/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.c - futures: their life, names, values and who waits for them.
 *
 * An incomplete future of this PE is in the list of the PE, which owns it as
 * soon as somebody may send to it, for the runtime holds its address; one that
 * nobody else knows goes when its user, and who waits for it, drop it. Sent
 * elsewhere, its name arrives there as a Future with no 'pe', good for send()
 * only; back here it is found again in pe->known as long as it lives.
 *
 * A local future has no name until it is sent; then it gets one and is like
 * any other. A *view* is a local future that completes as its source does, or
 * before that by a timeout. Waiters are woken through the ready queue.
 *
 * An exception that nobody has retrieved when its future goes is reported.
 */
#include "state.h"

/* ---- life */

static void
pending_add(struct core_future *self)
{
    struct core_pe *pe = self->pe;

    self->prev = NULL;
    self->next = pe->pending;
    if (pe->pending != NULL) {
        pe->pending->prev = self;
    }
    pe->pending = self;
    self->listed = true;
}

void
core_future_own(struct core_future *self)
{
    if (self->listed && !self->owned) {
        self->owned = true;
        Py_INCREF(self);
    }
}

static void
pending_remove(struct core_future *self)
{
    const bool owned = self->owned;

    self->owned = false;
    self->listed = false;
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        self->pe->pending = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    self->next = NULL;
    self->prev = NULL;
    if (owned) {
        Py_DECREF(self);
    }
}

void
core_future_drop(struct core_future *self)
{
    if (self->listed) {
        chare_future_release(self->pe->runtime, &self->name, false);
        pending_remove(self);
    }
}

/* All fields are 0. */
static inline struct core_future *
future_alloc(struct core_state *state)
{
    struct core_future *self = state->futures;

    if (self != NULL) {
        state->futures = self->next;
        state->future_count--;
        (void)PyObject_Init((PyObject *)self, state->FutureType);
    } else {
        self = PyObject_GC_New(struct core_future, state->FutureType);
        if (self == NULL) {
            return NULL;
        }
    }
    /* A constant size of that many bytes would become microcode. */
    memset((char *)self + sizeof(PyObject), 0,
           (size_t)state->FutureType->tp_basicsize - sizeof(PyObject));
    PyObject_GC_Track(self);
    return self;
}

bool
core_future_keep(struct core_state *state, struct core_future *self)
{
    /* The collector calls a finalizer once in the life of some memory. */
    if (state->future_count >= CORE_FUTURES_KEPT_MAX ||
        !Py_IS_TYPE(self, state->FutureType) ||
        PyObject_GC_IsFinalized((PyObject *)self)) {
        return false;
    }
    self->next = state->futures;
    state->futures = self;
    state->future_count++;
    return true;
}

void
core_futures_free(struct core_state *state)
{
    while (state->futures != NULL) {
        struct core_future *self = state->futures;

        state->futures = self->next;
        PyObject_GC_Del(self);
    }
    state->future_count = CORE_FUTURES_KEPT_MAX; /* no more are kept */
}

static void
future_arrived(const chare_call *call, void *context)
{
    struct core_future *self = (struct core_future *)context;
    struct core_pe *pe = chare_user(call->runtime);
    PyObject *value;

    core_enter(pe);
    value = core_decode_data(pe, call);
    if (value == NULL) {
        value = core_exception_take();
    }
    core_future_deliver(self, value);
    core_leave(pe);
}

struct core_future *
core_future_new_unknown(struct core_pe *pe, int64_t value_count)
{
    struct core_future *self = future_alloc(pe->state);
    chare_status status;

    if (self == NULL) {
        return NULL;
    }
    status =
        chare_future_create(pe->runtime, future_arrived, self, &self->name);
    if (status != CHARE_OK) {
        Py_DECREF(self);
        core_raise(pe->state, status, "cannot create a future");
        return NULL;
    }
    self->pe = pe;
    self->value_count = value_count;
    pending_add(self);
    return self;
}

struct core_future *
core_future_new(struct core_pe *pe, int64_t value_count)
{
    struct core_future *self = core_future_new_unknown(pe, value_count);

    if (self != NULL) {
        core_future_own(self);
    }
    return self;
}

struct core_future *
core_future_new_adopted(struct core_pe *pe, const chare_future *name)
{
    struct core_future *self = future_alloc(pe->state);

    if (self != NULL) {
        self->pe = pe;
        self->name = *name;
        self->value_count = 1;
        self->adopted = true;
    }
    return self;
}

struct core_future *
core_future_new_local(struct core_pe *pe, const char *what)
{
    struct core_future *self = future_alloc(pe->state);

    if (self != NULL) {
        self->pe = pe;
        self->value_count = 1;
        self->local = true;
        self->what = what;
    }
    return self;
}

void
core_future_cancel(struct core_future *self)
{
    chare_future_release(self->pe->runtime, &self->name, true);
    self->arrived = self->value_count;
    pending_remove(self);
}

void
core_futures_close(struct core_pe *pe)
{
    while (pe->pending != NULL) {
        struct core_future *self = pe->pending;

        Py_INCREF(self); /* its waiters may own it */
        Py_CLEAR(self->waiter);
        if (self->listed) {
            pending_remove(self);
        }
        Py_DECREF(self);
    }
    Py_CLEAR(pe->known);
}

/* ---- names */

/* A local future is to be sent. */
static int
future_make_name(struct core_future *self)
{
    struct core_pe *pe = self->pe;
    chare_status status =
        chare_future_create(pe->runtime, future_arrived, self, &self->name);

    if (status != CHARE_OK) {
        core_raise(pe->state, status, "cannot send a future");
        return -1;
    }
    if (core_future_is_complete(self)) {
        chare_future_release(pe->runtime, &self->name, false);
    } else {
        pending_add(self);
        core_future_own(self);
    }
    return 0;
}

int
core_future_name(struct core_pe *pe, struct core_future *self,
                 chare_future *name_out)
{
    PyObject *key;
    PyObject *address;
    int result = -1;

    if (self->pe == pe && self->name.id == 0 && future_make_name(self) < 0) {
        return -1;
    }
    *name_out = self->name;
    core_future_own(self);
    if (self->pe != pe || self->known || self->adopted) {
        return 0;
    }
    if (pe->known == NULL && (pe->known = PyDict_New()) == NULL) {
        return -1;
    }
    key = PyLong_FromUnsignedLongLong(self->name.id);
    address = PyLong_FromVoidPtr(self);
    if (key != NULL && address != NULL) {
        result = PyDict_SetItem(pe->known, key, address);
    }
    Py_XDECREF(key);
    Py_XDECREF(address);
    self->known = result == 0;
    return result;
}

void
core_future_forget_name(struct core_future *self)
{
    PyObject *key;

    if (!self->known || self->pe->known == NULL) {
        return;
    }
    self->known = false;
    key = PyLong_FromUnsignedLongLong(self->name.id);
    if (key == NULL || PyDict_DelItem(self->pe->known, key) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(key);
}

PyObject *
core_future_find(struct core_pe *pe, uint64_t id)
{
    PyObject *key;
    PyObject *address;

    if (pe->known == NULL) {
        return NULL;
    }
    key = PyLong_FromUnsignedLongLong(id);
    if (key == NULL) {
        return NULL;
    }
    address = PyDict_GetItemWithError(pe->known, key);
    Py_DECREF(key);
    if (address == NULL) {
        return NULL;
    }
    return Py_NewRef((PyObject *)PyLong_AsVoidPtr(address));
}

PyObject *
core_future_of(struct core_pe *pe, const chare_future *name)
{
    struct core_future *self;

    if (name->pe == pe->rank) {
        PyObject *found = core_future_find(pe, name->id);

        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    self = future_alloc(pe->state);
    if (self != NULL) {
        self->name = *name;
        self->value_count = 1;
    }
    return (PyObject *)self;
}

PyObject *
core_future_load(PyObject *module, PyObject *args)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    unsigned long long id;
    unsigned where;
    chare_future name = {0, 0, 0};
    int along = 0;

    if (pe == NULL || !PyArg_ParseTuple(args, "KI|p", &id, &where, &along)) {
        return NULL;
    }
    name.id = id;
    name.pe = where;
    return along ? core_future_adopt_name(pe, &name)
                 : core_future_of(pe, &name);
}

/* ---- values */

PyObject *
core_future_outcome(struct core_future *self)
{
    self->retrieved = true;
    self->forgotten = false;
    if (self->error != NULL) {
        return self->error;
    }
    return self->value != NULL ? self->value : Py_None;
}

void
core_future_wake(struct core_future *self, PyObject *waiter)
{
    struct core_pe *pe = self->pe;

    if (Py_IS_TYPE(waiter, pe->state->FutureType)) {
        core_future_complete((struct core_future *)waiter,
                             Py_NewRef(core_future_outcome(self)));
        return;
    }
    core_resume(pe, waiter);
}

/* A view needs its source and its timer no longer. */
static void
view_end(struct core_future *self)
{
    if (self->timer != NULL) {
        core_timer_stop(self->timer);
        self->timer = NULL;
    }
    if (self->source != NULL) {
        core_future_remove_waiter(self->source, (PyObject *)self);
        Py_CLEAR(self->source);
    }
}

/* drop: values that are still to come are dropped in silence. */
static void
future_finish(struct core_future *self, bool drop)
{
    PyObject *waiter = self->waiter;

    self->waiter = NULL;
    Py_INCREF(self);
    if (self->name.id != 0 && !self->adopted) {
        chare_future_release(self->pe->runtime, &self->name, drop);
    }
    if (self->listed) {
        pending_remove(self);
    }
    view_end(self);
    Py_CLEAR(self->runs);
    if (self->keeps != NULL) {
        if (self->queued) {
            core_channel_receiver_ended((struct core_channel *)self->keeps);
        }
        if (!self->received) {
            Py_CLEAR(self->keeps);
        }
    }
    if (waiter != NULL && PyDict_CheckExact(waiter)) {
        Py_ssize_t at = 0;
        PyObject *one;

        self->shared = true;
        while (PyDict_Next(waiter, &at, NULL, &one)) {
            core_future_wake(self, one);
        }
    } else if (waiter != NULL) {
        core_future_wake(self, waiter);
    }
    Py_XDECREF(waiter);
    Py_DECREF(self);
}

void
core_future_return(struct core_future *self)
{
    PyObject *channel = self->keeps;

    if (!self->received || self->retrieved || channel == NULL ||
        !core_future_is_complete(self)) {
        return;
    }
    self->keeps = NULL;
    self->retrieved = true;
    self->error = PyObject_CallFunction(self->pe->state->CancelledError, "s",
                                        "the future was cancelled");
    if (self->error == NULL) {
        self->error = core_exception_take();
    }
    if (self->into != NULL) { /* the message, and not the user's array */
        Py_SETREF(self->value, Py_NewRef(self->into));
    }
    core_channel_return((struct core_channel *)channel, self->sequence,
                        self->value);
    Py_CLEAR(self->value);
    Py_DECREF(channel);
}

bool
core_future_complete(struct core_future *self, PyObject *value)
{
    if (self->pe == NULL || self->pe->runtime == NULL ||
        core_future_is_complete(self)) {
        Py_DECREF(value);
        return false;
    }
    self->arrived = self->value_count - 1;
    core_future_deliver(self, value);
    return true;
}

bool
core_future_abandon(struct core_future *self)
{
    PyObject *runs;
    PyObject *error;

    if (self->pe == NULL || self->pe->runtime == NULL ||
        core_future_is_complete(self)) {
        return false;
    }
    error = PyObject_CallFunction(self->pe->state->CancelledError, "s",
                                  "the future was cancelled");
    if (error == NULL) {
        error = core_exception_take();
    }
    Py_XSETREF(self->error, error);
    Py_CLEAR(self->value);
    self->retrieved = true; /* who cancels knows */
    self->arrived = self->value_count;
    runs = Py_XNewRef(self->runs);
    future_finish(self, true);
    if (runs != NULL) {
        core_waiter_interrupt((struct core_waiter *)runs, error);
        Py_DECREF(runs);
    }
    return true;
}

void
core_future_deliver(struct core_future *self, PyObject *value)
{
    if (self->gathers && self->error == NULL) {
        self->error = core_error_among(self->pe, value);
    }
    self->arrived++;
    if (PyExceptionInstance_Check(value) && self->error == NULL &&
        !self->received) {
        self->error = Py_NewRef(value);
    }
    if (self->discard) {
        Py_SETREF(value, Py_NewRef(Py_None));
    }
    if (self->value_count == 1) {
        Py_XSETREF(self->value, value);
    } else {
        if (self->value == NULL) {
            self->value = PyList_New(0);
        }
        if (self->value == NULL || PyList_Append(self->value, value) < 0) {
            core_failed_in(self->pe, "a value for a future");
        }
        Py_DECREF(value);
    }
    if (core_future_is_complete(self)) {
        future_finish(self, false);
    }
}

/* Add to a dict of waiters. */
static int
waiters_add(PyObject *waiters, PyObject *waiter)
{
    char *address = (char *)waiter;
    PyObject *key = NULL;
    int found;

    do { /* a function may be there more than once */
        Py_XSETREF(key, PyLong_FromVoidPtr(address++));
        found = key != NULL ? PyDict_Contains(waiters, key) : -1;
    } while (found > 0);
    if (found == 0) {
        found = PyDict_SetItem(waiters, key, waiter);
    }
    Py_XDECREF(key);
    return found;
}

int
core_future_add_waiter(struct core_future *self, PyObject *waiter)
{
    PyObject *waiters;

    if (self->waiter == NULL) {
        self->waiter = Py_NewRef(waiter);
        return 0;
    }
    if (PyDict_CheckExact(self->waiter)) {
        return waiters_add(self->waiter, waiter);
    }
    waiters = PyDict_New();
    if (waiters == NULL || waiters_add(waiters, self->waiter) < 0 ||
        waiters_add(waiters, waiter) < 0) {
        Py_XDECREF(waiters);
        return -1;
    }
    Py_SETREF(self->waiter, waiters);
    return 0;
}

void
core_future_remove_waiter(struct core_future *self, PyObject *waiter)
{
    PyObject *key;

    if (self->waiter == waiter) {
        Py_CLEAR(self->waiter);
        return;
    }
    if (self->waiter == NULL || !PyDict_CheckExact(self->waiter)) {
        return;
    }
    key = PyLong_FromVoidPtr(waiter);
    if (key == NULL || PyDict_GetItemWithError(self->waiter, key) != waiter ||
        PyDict_DelItem(self->waiter, key) < 0) {
        PyErr_Clear(); /* it was not among them */
    }
    Py_XDECREF(key);
    if (PyDict_GET_SIZE(self->waiter) == 0) {
        Py_CLEAR(self->waiter);
    }
}

struct core_future *
core_future_view(struct core_future *self, double timeout_s)
{
    struct core_future *view = core_future_new_local(self->pe, NULL);

    if (view == NULL) {
        return NULL;
    }
    if (core_future_add_waiter(self, (PyObject *)view) < 0) {
        Py_DECREF(view);
        return NULL;
    }
    view->source = (struct core_future *)Py_NewRef((PyObject *)self);
    view->timer = core_timer_expire(self->pe, view, timeout_s);
    if (view->timer == NULL) {
        view_end(view);
        Py_CLEAR(view);
    }
    return view;
}

bool
core_future_is_here(struct core_state *state, struct core_future *self)
{
    if (self->pe != NULL && self->pe == state->current) {
        return true;
    }
    PyErr_Format(state->Error,
                 "only on PE %u, where this future was created, can its "
                 "value be seen",
                 (unsigned)self->name.pe);
    return false;
}

PyObject *
core_future_result(struct core_future *self)
{
    self->retrieved = true;
    if (self->error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
        return NULL;
    }
    return Py_NewRef(core_future_outcome(self));
}

/* Wait in a coroutine on a greenlet. */
static PyObject *
future_wait(struct core_pe *pe, struct core_future *self)
{
    while (!core_future_is_complete(self)) {
        if (core_future_add_waiter(self, (PyObject *)pe->coroutine) < 0 ||
            core_coroutine_suspend(pe, (PyObject *)self) < 0) {
            return NULL;
        }
    }
    return core_future_result(self);
}

PyObject *
core_future_await(struct core_pe *pe, struct core_future *self,
                  const char *what)
{
    PyObject *result = NULL;

    if (pe->task != NULL) {
        self->forgotten = true;
        return (PyObject *)self;
    }
    if (core_future_is_complete(self)) {
        result = core_future_result(self);
    } else if (pe->coroutine != NULL) {
        result = future_wait(pe, self);
    } else {
        core_raise_cannot_wait(pe, what);
    }
    Py_DECREF(self);
    return result;
}
