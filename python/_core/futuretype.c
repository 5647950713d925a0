/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * futuretype.c - the Future type, as programs see it.
 *
 * A Future is its own iterator for 'await': a task that sends it on gets the
 * future itself, until it is complete, and then its value (task.c).
 */
#include <stddef.h>

#include "state.h"

#include <structmember.h>

static int
future_send_value(struct core_pe *pe, struct core_future *self,
                  PyObject *value)
{
    chare_status status;
    chare_data data;

    core_future_own(self);
    if (value == Py_None) {
        status = chare_future_set(pe->runtime, &self->name, NULL);
    } else {
        if (core_data_value(pe, self->name.pe == pe->rank, value, &data) < 0) {
            return -1;
        }
        status = chare_future_set(pe->runtime, &self->name, &data);
        if (status != CHARE_OK) {
            core_moves_return_value(pe, value, &data);
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

/* Remember the line that makes a future, for reports. */
static void
future_note_maker(struct core_future *self)
{
    PyFrameObject *frame = PyEval_GetFrame();

    if (frame != NULL) {
        self->made_in = (PyObject *)PyFrame_GetCode(frame);
#if PY_VERSION_HEX >= 0x030b0000
        self->made_at = PyFrame_GetLasti(frame); /* the line costs more */
#else
        self->made_at = PyFrame_GetLineNumber(frame);
#endif
    }
}

/* The line that made it. */
static int
future_made_line(const struct core_future *self)
{
#if PY_VERSION_HEX >= 0x030b0000
    return PyCode_Addr2Line((PyCodeObject *)self->made_in, self->made_at);
#else
    return self->made_at;
#endif
}

static PyObject *
future_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"num_vals", NULL};
    struct core_pe *pe = core_pe_get(core_state_of(type));
    struct core_future *self;
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
    self = core_future_new_unknown(pe, value_count);
    if (self != NULL) {
        future_note_maker(self);
    }
    return (PyObject *)self;
}

/* get(timeout=None) */
static PyObject *
future_get(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
           Py_ssize_t arg_count, PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;
    struct core_pe *pe = core_pe_get(state);
    PyObject *values[] = {Py_None};
    double timeout_s;

    if (pe == NULL || !core_future_is_here(state, self) ||
        core_arguments_parse("get", names, 0, args, arg_count, kwnames,
                             values) < 0) {
        return NULL;
    }
    if (values[0] == Py_None || core_future_is_complete(self)) {
        Py_INCREF(self);
        return core_future_await(pe, self, "Future.get()");
    }
    timeout_s = PyFloat_AsDouble(values[0]);
    if (timeout_s == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!core_can_wait(pe)) {
        core_raise_cannot_wait(pe, "Future.get()");
        return NULL;
    }
    self = core_future_view(self, timeout_s);
    return self != NULL ? core_future_await(pe, self, "Future.get()") : NULL;
}

static PyObject *
future_cancel(PyObject *op, PyTypeObject *defining_class,
              PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_future *self = (struct core_future *)op;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (core_pe_get(state) == NULL || !core_future_is_here(state, self)) {
        return NULL;
    }
    return PyBool_FromLong(core_future_abandon(self));
}

/* ---- await */

static PyObject *
future_await(PyObject *op)
{
    struct core_state *state = core_state_of(Py_TYPE(op));
    struct core_future *self = (struct core_future *)op;
    struct core_pe *pe = state->current;

    self->forgotten = false;
    if (pe != NULL && !core_pe_is_ours(pe)) {
        PyObject *function = core_support(state, "await_elsewhere");
        PyObject *result = NULL;

        if (function != NULL) {
            result = PyObject_CallOneArg(function, op);
            Py_DECREF(function);
        }
        return result;
    }
    if (core_pe_get(state) == NULL || !core_future_is_here(state, self)) {
        return NULL;
    }
    if (pe->task == NULL && !core_future_is_complete(self)) {
        PyErr_SetString(state->NotThreadedError,
                        "'await' of a chare future is for 'async def' entry "
                        "methods, which chare itself drives; asyncio can wait "
                        "for one within charm.asyncio()");
        return NULL;
    }
    self->awaited = true;
    return Py_NewRef(op);
}

/*
 * The 'yield from future.__await__()' of Python code wants to iterate over
 * what it got. A Future that nobody awaits cannot be iterated over: such
 * mistakes would pass in silence.
 */
static PyObject *
future_iter(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;

    if (!self->awaited) {
        PyErr_SetString(PyExc_TypeError,
                        "a Future cannot be iterated over: get() or 'await' "
                        "gives its value");
        return NULL;
    }
    self->awaited = false;
    return Py_NewRef(op);
}

static PySendResult
future_iterate(PyObject *op, PyObject *value, PyObject **result_out)
{
    struct core_future *self = (struct core_future *)op;

    (void)value;
    self->awaited = false;
    if (!core_future_is_complete(self)) {
        *result_out = Py_NewRef(op);
        return PYGEN_NEXT;
    }
    *result_out = core_future_result(self);
    return *result_out != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

/* What makes it an iterator; the interpreter calls the above instead. */
static PyObject *
future_next(PyObject *op)
{
    PyObject *value;
    PyObject *stop;

    if (future_iterate(op, Py_None, &value) == PYGEN_NEXT || value == NULL) {
        return value;
    }
    stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    Py_DECREF(value);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

/* ---- values */

/* send() in another thread: the PE's own is to do it. */
static PyObject *
future_post(struct core_state *state, PyObject *op, PyObject *value)
{
    PyObject *send = PyObject_GetAttrString(op, "send");
    PyObject *args = PyTuple_Pack(1, value);
    int result = -1;

    if (send != NULL && args != NULL) {
        result = core_post(state, send, args);
    }
    Py_XDECREF(send);
    Py_XDECREF(args);
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
future_send_to(struct core_state *state, PyObject *op, PyObject *value)
{
    struct core_pe *pe = state->current;

    if (pe != NULL && !core_pe_is_ours(pe)) {
        return future_post(state, op, value);
    }
    pe = core_pe_get(state);
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
    if (core_pe_get(state) == NULL || !core_future_is_here(state, self)) {
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
    if (core_pe_get(state) == NULL || !core_future_is_here(state, self)) {
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
    return Py_NewRef(core_future_outcome((struct core_future *)op));
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
    if (core_pe_get(state) == NULL || !core_future_is_here(state, self)) {
        return NULL;
    }
    self->forgotten = false;
    if (core_future_is_complete(self)) {
        core_future_wake(self, args[0]);
    } else if (core_future_add_waiter(self, args[0]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What _on_ready() was given is not to be called any more. */
static PyObject *
future_off_ready(PyObject *op, PyObject *function)
{
    core_future_remove_waiter((struct core_future *)op, function);
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
    bool along;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (pe == NULL) {
        return NULL;
    }
    along = core_future_comes_along(pe, (struct core_future *)op);
    if ((along && core_future_send_after(pe, (struct core_future *)op) < 0) ||
        core_future_name(pe, (struct core_future *)op, &name) < 0) {
        return NULL;
    }
    load = PyObject_GetAttrString(PyType_GetModule(defining_class),
                                  "_future_load");
    if (load == NULL) {
        return NULL;
    }
    return Py_BuildValue("N(KIi)", load, (unsigned long long)name.id,
                         (unsigned)name.pe, (int)along);
}

void
core_future_label(struct core_future *self, PyObject *text)
{
    if (self->local && self->made_in == NULL) {
        self->made_in = Py_NewRef(text);
    }
}

PyObject *
core_future_describe(const struct core_future *self)
{
    if (self->called != NULL) {
        return PyUnicode_FromFormat("the result of %U()",
                                    self->called->fullname);
    }
    if (self->what != NULL) {
        return PyUnicode_FromString(self->what);
    }
    if (self->source != NULL) {
        return core_future_describe(self->source);
    }
    if (self->made_in != NULL && PyUnicode_Check(self->made_in)) {
        return Py_NewRef(self->made_in);
    }
    if (self->made_in != NULL) {
        return PyUnicode_FromFormat(
            "the Future made at %U:%d",
            ((PyCodeObject *)self->made_in)->co_filename,
            future_made_line(self));
    }
    return PyUnicode_FromString("a Future");
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
    Py_VISIT(self->runs);
    Py_VISIT(self->source);
    Py_VISIT(self->keeps);
    Py_VISIT(self->into);
    return 0;
}

static int
future_clear(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;

    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->runs);
    Py_CLEAR(self->source);
    Py_CLEAR(self->keeps);
    Py_CLEAR(self->into);
    Py_CLEAR(self->made_in);
    Py_CLEAR(self->follower);
    return 0;
}

/* Say that its exception was never seen, or that it was never awaited. */
static void
future_complain(struct core_future *self)
{
    struct core_state *state = core_state_of(Py_TYPE(self));
    PyObject *function = core_support(state, "forgotten");
    PyObject *done = NULL;

    if (function != NULL) {
        PyObject *maker = core_future_describe(self);

        done = PyObject_CallFunction(
            function, "OzN", self->forgotten ? Py_None : self->error,
            self->what, maker != NULL ? maker : Py_NewRef(Py_None));
        Py_DECREF(function);
    }
    if (done == NULL) {
        PyErr_Clear(); /* the interpreter ends */
    }
    Py_XDECREF(done);
}

/* Whether nobody has seen what it has got, or awaited it. */
static inline bool
future_is_unseen(const struct core_future *self)
{
    return self->forgotten ||
           (!self->retrieved &&
            (self->error != NULL || (self->received && self->pe != NULL)));
}

/* Called by the garbage collector, before it breaks cycles, and below. */
static void
future_finalize(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;
    const bool returns =
        self->received && !self->retrieved && self->pe != NULL;
    PyObject *pending;

    if (!future_is_unseen(self)) {
        return;
    }
    /* It may go while an exception makes its way. */
    pending = PyErr_Occurred() ? core_exception_take() : NULL;
    if (returns) {
        core_future_return(self);
    }
    if ((self->error != NULL && !self->retrieved) || self->forgotten) {
        future_complain(self);
        self->retrieved = true;
        self->forgotten = false;
    }
    if (pending != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(pending), pending);
        Py_DECREF(pending);
    }
}

static void
future_dealloc(PyObject *op)
{
    struct core_future *self = (struct core_future *)op;
    PyTypeObject *type = Py_TYPE(op);
    struct core_state *state;

    PyObject_GC_UnTrack(op);
    if (self->listed) {
        core_future_drop(self);
    }
    if (future_is_unseen(self)) {
        future_finalize(op);
    }
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->known) {
        core_future_forget_name(self);
    }
    (void)future_clear(op);
    /* When the interpreter ends, the type may have lost its module. */
    state = core_state_of(type);
    if (state == NULL) {
        PyErr_Clear();
    }
    if (state == NULL || !core_future_keep(state, self)) {
        PyObject_GC_Del(op);
    }
    Py_DECREF(type);
}

PyDoc_STRVAR(future_doc, "Future(num_vals=1)\n--\n\n\
A place for a value that comes later, or for several.\n\
\n\
It can be sent to any chare, given to reductions, quiescence detection and\n\
timers. get() waits for it in a @coro method, 'await' in an 'async def' one,\n\
on the PE that created it; it can be created anywhere. Raises ValueError\n\
when num_vals is not positive.\n\
\n\
When a future goes away with an exception that nobody has seen, a report\n\
says so on stderr.\n\
\n\
Example: f = Future(); worker.work(f); print(f.get())");

PyDoc_STRVAR(get_doc, "get($self, timeout=None)\n--\n\n\
Wait for the value, in a coroutine of the PE that created the future.\n\
\n\
Returns the value; with num_vals > 1 a list, in the order of arrival. May be\n\
called again, and by any number of coroutines. In an 'async def' method it\n\
returns what is to be awaited; there 'await future' does the same.\n\
\n\
timeout is in seconds. When it has passed TimeoutError is raised, and that\n\
is all: the future goes on, a later get() finds what came meanwhile, and\n\
cancel() gives it up.\n\
\n\
Raises the first exception that came instead of a value, with its\n\
remote_traceback; CancelledError after cancel(); NotThreadedError outside of\n\
a coroutine when the value is not there; Error on another PE than the one\n\
that created the future.\n\
\n\
Example: value = future.get(timeout=2.5)");

PyDoc_STRVAR(cancel_doc, "cancel($self)\n--\n\n\
Give up waiting: get() raises CancelledError, for those who wait too.\n\
\n\
Values that are still to come are dropped in silence. What charm.spawn()\n\
runs for it gets the CancelledError where it waits; calls made go on.\n\
Returns False when the future was complete, and then does nothing.\n\
\n\
Example: stopped = future.cancel()");

PyDoc_STRVAR(send_doc, "send($self, value=None)\n--\n\n\
Send a value from any PE; an exception makes get() raise it. Also from other\n\
threads of the PE's process, which must not change the value afterwards.\n\
\n\
One value too many ends the job with an error.\n\
\n\
Example: done.send(numpy.zeros(3))");

PyDoc_STRVAR(ready_doc, "ready($self)\n--\n\n\
Whether all values have arrived: get() would not wait.\n\
\n\
Example: if future.ready(): total = future.get()");

static PyMethodDef future_methods[] = {
    {"get", (PyCFunction)(void (*)(void))future_get,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, get_doc},
    {"send", (PyCFunction)(void (*)(void))future_send,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"ready", (PyCFunction)(void (*)(void))future_ready,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, ready_doc},
    {"cancel", (PyCFunction)(void (*)(void))future_cancel,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, cancel_doc},
    {"_complete", (PyCFunction)(void (*)(void))future_complete,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_outcome", (PyCFunction)(void (*)(void))future_get_outcome,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_off_ready", future_off_ready, METH_O, NULL},
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
    {Py_tp_doc, (void *)future_doc},
    {Py_tp_new, future_new},
    {Py_tp_call, future_call},
    {Py_tp_dealloc, future_dealloc},
    {Py_tp_traverse, future_traverse},
    {Py_tp_clear, future_clear},
    {Py_tp_hash, future_hash},
    {Py_tp_richcompare, future_richcompare},
    {Py_tp_repr, future_repr},
    {Py_tp_methods, future_methods},
    {Py_tp_members, future_members},
    {Py_am_await, future_await},
    {Py_tp_finalize, future_finalize},
    {Py_tp_iter, future_iter},
    {Py_am_send, future_iterate},
    {Py_tp_iternext, future_next},
    {0, NULL},
};

PyType_Spec core_future_spec = {
    .name = "chare.Future",
    .basicsize = sizeof(struct core_future),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = future_slots,
};
