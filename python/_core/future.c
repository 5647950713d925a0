/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.c - the Future type.
 *
 * Until it is complete a future of this PE is owned by the list of the PE
 * too, for the runtime holds its address. Sent elsewhere, its name arrives
 * there as a Future with no 'pe', good for send() only; back here it is found
 * again in pe->known as long as it lives.
 *
 * A local future has no name until it is sent; then it gets one and is like
 * any other. Its waiters are woken through the ready queue.
 */
#include <stddef.h>

#include "state.h"

#include <structmember.h>

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
    Py_INCREF(self);
}

static void
pending_remove(struct core_future *self)
{
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
    Py_DECREF(self);
}

static struct core_future *
future_alloc(struct core_state *state)
{
    struct core_future *self =
        PyObject_GC_New(struct core_future, state->FutureType);

    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    PyObject_GC_Track(self);
    return self;
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
core_future_new(struct core_pe *pe, int64_t value_count)
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

        Py_CLEAR(self->waiter);
        pending_remove(self);
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
    if (self->pe != pe || self->known) {
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

static void
future_forget(struct core_future *self)
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

/* One of our own that was sent and is back; new reference or NULL. */
static PyObject *
future_find(struct core_pe *pe, uint64_t id)
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
        PyObject *found = future_find(pe, name->id);

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

    if (pe == NULL || !PyArg_ParseTuple(args, "KI", &id, &where)) {
        return NULL;
    }
    name.id = id;
    name.pe = where;
    return core_future_of(pe, &name);
}

/* ---- values */

/* What a complete future has to say; borrowed. */
static PyObject *
future_outcome(const struct core_future *self)
{
    if (self->error != NULL) {
        return self->error;
    }
    return self->value != NULL ? self->value : Py_None;
}

static void
waiter_wake(struct core_future *self, PyObject *waiter)
{
    struct core_pe *pe = self->pe;

    if (Py_IS_TYPE(waiter, pe->state->FutureType)) {
        core_future_complete((struct core_future *)waiter,
                             Py_NewRef(future_outcome(self)));
        return;
    }
    core_resume(pe, waiter);
}

static void
future_finish(struct core_future *self)
{
    PyObject *waiter = self->waiter;

    self->waiter = NULL;
    Py_INCREF(self);
    if (self->name.id != 0) {
        chare_future_release(self->pe->runtime, &self->name, false);
        pending_remove(self);
    }
    if (waiter != NULL && PyList_CheckExact(waiter)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(waiter); i++) {
            waiter_wake(self, PyList_GET_ITEM(waiter, i));
        }
    } else if (waiter != NULL) {
        waiter_wake(self, waiter);
    }
    Py_XDECREF(waiter);
    Py_DECREF(self);
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

void
core_future_deliver(struct core_future *self, PyObject *value)
{
    if (self->gathers && self->error == NULL) {
        self->error = core_error_among(self->pe, value);
    }
    self->arrived++;
    if (PyExceptionInstance_Check(value) && self->error == NULL) {
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
        future_finish(self);
    }
}

int
core_future_add_waiter(struct core_future *self, PyObject *waiter)
{
    PyObject *list;

    if (self->waiter == NULL) {
        self->waiter = Py_NewRef(waiter);
        return 0;
    }
    if (PyList_CheckExact(self->waiter)) {
        return PyList_Append(self->waiter, waiter);
    }
    list = Py_BuildValue("[OO]", self->waiter, waiter);
    if (list == NULL) {
        return -1;
    }
    Py_SETREF(self->waiter, list);
    return 0;
}

/* Whether this PE may look at the value; false with an exception. */
static bool
future_is_here(struct core_state *state, struct core_future *self)
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

/* The value of a complete future; new reference, or NULL: its exception. */
static PyObject *
future_result(struct core_future *self)
{
    if (self->error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
        return NULL;
    }
    return Py_NewRef(future_outcome(self));
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
    return future_result(self);
}

PyObject *
core_future_await(struct core_pe *pe, struct core_future *self,
                  const char *what)
{
    PyObject *result = NULL;

    if (pe->task != NULL) {
        return (PyObject *)self;
    }
    if (core_future_is_complete(self)) {
        result = future_result(self);
    } else if (pe->coroutine != NULL) {
        result = future_wait(pe, self);
    } else {
        core_raise_cannot_wait(pe, what);
    }
    Py_DECREF(self);
    return result;
}

static int
future_send_value(struct core_pe *pe, struct core_future *self,
                  PyObject *value)
{
    chare_status status;
    chare_data data;

    if (value == Py_None) {
        status = chare_future_set(pe->runtime, &self->name, NULL);
    } else {
        if (core_data_value(pe, self->name.pe == pe->rank, value, &data) < 0) {
            return -1;
        }
        status = chare_future_set(pe->runtime, &self->name, &data);
        if (status != CHARE_OK) {
            core_data_drop(&data);
        }
    }
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "cannot send to a future");
        return -1;
    }
    return 0;
}

/* ---- the type */

static PyObject *
future_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"num_vals", NULL};
    struct core_pe *pe = core_pe_get(core_state_of(type));
    long long value_count = 1;

    if (pe == NULL || !PyArg_ParseTupleAndKeywords(args, keywords, "|L:Future",
                                                   (char **)(uintptr_t)names,
                                                   &value_count)) {
        return NULL;
    }
    if (value_count < 1) {
        PyErr_SetString(PyExc_ValueError,
                        "a future is for at least one value");
        return NULL;
    }
    return (PyObject *)core_future_new(pe, value_count);
}

static PyObject *
future_get(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
           Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;

    (void)args;
    if (arg_count != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "get() takes no arguments");
        return NULL;
    }
    if (core_pe_get(state) == NULL || !future_is_here(state, self)) {
        return NULL;
    }
    return core_future_await(
        state->current, (struct core_future *)Py_NewRef(op), "Future.get()");
}

static PyObject *
future_send_to(struct core_state *state, PyObject *op, PyObject *value)
{
    struct core_pe *pe = core_pe_get(state);

    if (pe == NULL ||
        future_send_value(pe, (struct core_future *)op, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
future_send(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
            Py_ssize_t arg_count, PyObject *kwnames)
{
    if (arg_count > 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "send() takes at most one value");
        return NULL;
    }
    return future_send_to(core_state_of(defining_class), op,
                          arg_count == 1 ? args[0] : Py_None);
}

static PyObject *
future_call(PyObject *op, PyObject *args, PyObject *keywords)
{
    PyObject *value = Py_None;

    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "a future takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "|O", &value)) {
        return NULL;
    }
    return future_send_to(core_state_of(Py_TYPE(op)), op, value);
}

static PyObject *
future_ready(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (core_pe_get(state) == NULL || !future_is_here(state, self)) {
        return NULL;
    }
    return PyBool_FromLong(core_future_is_complete(self));
}

/* Complete a future of this PE; false: it was complete. */
static PyObject *
future_complete(PyObject *op, PyTypeObject *defining_class,
                PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;

    if (arg_count != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "_complete() takes a value");
        return NULL;
    }
    if (core_pe_get(state) == NULL || !future_is_here(state, self)) {
        return NULL;
    }
    return PyBool_FromLong(core_future_complete(self, Py_NewRef(args[0])));
}

/* The value of a complete future, or its exception as an object. */
static PyObject *
future_get_outcome(PyObject *op, PyTypeObject *defining_class,
                   PyObject *const *args, Py_ssize_t arg_count,
                   PyObject *kwnames)
{
    (void)defining_class;
    (void)args;
    (void)arg_count;
    (void)kwnames;
    return Py_NewRef(future_outcome((struct core_future *)op));
}

/* Call a function when complete, soon if it is, or complete a future. */
static PyObject *
future_on_ready(PyObject *op, PyTypeObject *defining_class,
                PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;

    if (arg_count != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "_on_ready() takes a function");
        return NULL;
    }
    if (core_pe_get(state) == NULL || !future_is_here(state, self)) {
        return NULL;
    }
    if (core_future_is_complete(self)) {
        waiter_wake(self, args[0]);
    } else if (core_future_add_waiter(self, args[0]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
future_reduce(PyObject *op, PyTypeObject *defining_class,
              PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_pe *pe = core_pe_get(state);
    chare_future name;
    PyObject *load;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (pe == NULL ||
        core_future_name(pe, (struct core_future *)op, &name) < 0) {
        return NULL;
    }
    load = PyObject_GetAttrString(PyType_GetModule(defining_class),
                                  "_future_load");
    if (load == NULL) {
        return NULL;
    }
    return Py_BuildValue("N(KI)", load, (unsigned long long)name.id,
                         (unsigned)name.pe);
}

static Py_hash_t
future_hash(PyObject *op)
{
    const struct core_future *self = (struct core_future *)op;
    const chare_future *name = &self->name;
    Py_hash_t hash;

    if (self->local) { /* its name may come later */
        hash = (Py_hash_t)((uintptr_t)op >> 4);
        return hash;
    }
    hash = (Py_hash_t)(name->id * 0x9e3779b97f4a7c15u + name->pe);
    return hash == -1 ? -2 : hash;
}

static PyObject *
future_richcompare(PyObject *op, PyObject *other, int operation)
{
    const struct core_future *a = (struct core_future *)op;
    const struct core_future *b = (struct core_future *)other;
    bool equal;

    if ((operation != Py_EQ && operation != Py_NE) ||
        !Py_IS_TYPE(other, Py_TYPE(op))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    equal =
        op == other || (!a->local && !b->local && a->name.id == b->name.id &&
                        a->name.pe == b->name.pe);
    return PyBool_FromLong(equal == (operation == Py_EQ));
}

static PyObject *
future_repr(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;
    char number[CORE_ID_TEXT_BYTES];

    core_id_text(self->name.id, number);
    return PyUnicode_FromFormat(
        "<Future %s of PE %u%s>", number, (unsigned)self->name.pe,
        self->pe == NULL
            ? ""
            : (core_future_is_complete(self) ? ", complete" : ", incomplete"));
}

static int
future_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_future *self = (struct core_future *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->waiter);
    return 0;
}

static int
future_clear(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;

    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->waiter);
    return 0;
}

static void
future_dealloc(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->pe != NULL) {
        future_forget(self);
    }
    (void)future_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(future_doc, "Future(num_vals=1)\n--\n\n\
A place for a value that comes later, or for several.\n\
\n\
It can be sent to any chare, given to reductions, quiescence detection and\n\
timers, and get() waits for it in a coroutine.\n\
\n\
Example: f = Future(); worker.work(f); print(f.get())");

PyDoc_STRVAR(get_doc, "get($self)\n--\n\n\
Wait for the value, in a coroutine of the PE that created the future.\n\
\n\
Returns the value; with num_vals > 1 a list, in the order of arrival. May be\n\
called again. Raises the first exception that came instead of a value, with\n\
its remote_traceback; NotThreadedError outside of a coroutine when the value\n\
is not there.");

PyDoc_STRVAR(send_doc, "send($self, value=None)\n--\n\n\
Send a value from any PE; an exception makes get() raise it.\n\
\n\
One value too many ends the job with an error.");

PyDoc_STRVAR(ready_doc, "ready($self)\n--\n\n\
Whether all values have arrived.");

static PyMethodDef future_methods[] = {
    {"get", (PyCFunction)(void (*)(void))future_get,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, get_doc},
    {"send", (PyCFunction)(void (*)(void))future_send,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"ready", (PyCFunction)(void (*)(void))future_ready,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, ready_doc},
    {"_complete", (PyCFunction)(void (*)(void))future_complete,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_outcome", (PyCFunction)(void (*)(void))future_get_outcome,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_on_ready", (PyCFunction)(void (*)(void))future_on_ready,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"__reduce__", (PyCFunction)(void (*)(void))future_reduce,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef future_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct core_future, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot future_slots[] = {
    {Py_tp_doc, (void *)future_doc},   {Py_tp_new, future_new},
    {Py_tp_call, future_call},         {Py_tp_dealloc, future_dealloc},
    {Py_tp_traverse, future_traverse}, {Py_tp_clear, future_clear},
    {Py_tp_hash, future_hash},         {Py_tp_richcompare, future_richcompare},
    {Py_tp_repr, future_repr},         {Py_tp_methods, future_methods},
    {Py_tp_members, future_members},   {0, NULL},
};

PyType_Spec core_future_spec = {
    .name = "chare.Future",
    .basicsize = sizeof(struct core_future),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = future_slots,
};
