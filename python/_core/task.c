/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * task.c - native coroutines, 'async def', driven by the scheduler.
 *
 * A Task drives a coroutine object by PyIter_Send(). What reaches it through
 * the chain of awaits is the Future that the innermost await is for, since
 * a Future is its own iterator (future.c): the task then waits for it, and
 * sends the coroutine on when it is complete.
 *
 *   step --(yields a future)--> suspended --(complete)--> step
 *   step --(returns, raises)--> its reply, or its own future; gone
 *
 * 'return future.get()' means what it means in a @coro method: the value. The
 * task goes on with the future in the place of the coroutine.
 *
 * Only the scheduler steps: tasks do not nest.
 */
#include "state.h"

struct core_task {
    struct core_waiter base;
    PyObject *coroutine;
    struct core_future *result; /* completed at the end, or NULL */
    PyObject *args;             /* a movable method was called with; or NULL */
    chare_reply reply;
    bool replies;
};

static struct core_task *
task_new(struct core_pe *pe, PyObject *coroutine)
{
    struct core_task *self =
        PyObject_GC_New(struct core_task, pe->state->TaskType);

    if (self == NULL) {
        return NULL;
    }
    core_waiter_init(&self->base, pe);
    self->coroutine = Py_NewRef(coroutine);
    self->result = NULL;
    self->args = NULL;
    self->replies = false;
    PyObject_GC_Track(self);
    return self;
}

/* Its value goes to who asked; steals it. */
static void
task_returned(struct core_pe *pe, struct core_task *self, PyObject *value)
{
    if (self->result != NULL) {
        core_future_complete(self->result, value);
        return;
    }
    if (self->replies) {
        core_reply(pe, self->base.entry, &self->reply, value);
    }
    Py_DECREF(value);
}

/* Whether it is migrated(), which is no entry method. */
static bool
is_migrated(const struct core_task *self)
{
    PyObject *error;
    PyObject *name;
    bool is;

    if (self->base.chare == NULL ||
        self->base.entry != &self->base.chare->owner->init) {
        return false;
    }
    error = core_exception_take();
    name = PyObject_GetAttrString(self->coroutine, "__name__");
    is = name != NULL && PyUnicode_Check(name) &&
         PyUnicode_CompareWithASCIIString(name, "migrated") == 0;
    Py_XDECREF(name);
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return is;
}

/* An exception is set. */
static void
task_raised(struct core_pe *pe, struct core_task *self)
{
    chare_element name;

    if (self->result != NULL && core_error_travels()) {
        core_future_complete(self->result, core_exception_take());
    } else if (is_migrated(self)) {
        core_chare_name(self->base.chare, &name);
        core_failed_hook(pe, self->base.chare->owner, "migrated", &name);
    } else if (self->base.entry != NULL) {
        core_failed_of(pe, self->base.entry, self->base.chare,
                       self->replies ? &self->reply : NULL);
    } else {
        core_failed_in_function(pe, self->coroutine);
    }
}

/* throw() tells a return by StopIteration. */
static bool
task_returned_by_throw(PyObject **value_out)
{
    PyObject *stop;

    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return false;
    }
    stop = core_exception_take();
    *value_out = PyObject_GetAttrString(stop, "value");
    Py_DECREF(stop);
    return *value_out != NULL;
}

/* Raise the exception that interrupts it in the coroutine. */
static PySendResult
task_throw(struct core_task *self, PyObject **out)
{
    PyObject *error = self->base.interrupted;

    self->base.interrupted = NULL;
    if (!PyCoro_CheckExact(self->coroutine)) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
        return PYGEN_ERROR;
    }
    *out = PyObject_CallMethod(self->coroutine, "throw", "O", error);
    Py_DECREF(error);
    if (*out != NULL) {
        return PYGEN_NEXT;
    }
    return task_returned_by_throw(out) ? PYGEN_RETURN : PYGEN_ERROR;
}

/* The coroutine awaits what is not ours: tell it. */
static void
task_refuse(struct core_pe *pe, struct core_task *self, PyObject *foreign)
{
    PyObject *function = core_support(pe->state, "foreign_await");
    PyObject *error = NULL;

    if (function != NULL) {
        error = PyObject_CallFunctionObjArgs(function, self->coroutine,
                                             foreign, NULL);
        Py_DECREF(function);
    }
    if (error == NULL) {
        error = core_exception_take();
    }
    Py_XSETREF(self->base.interrupted, error);
}

/* Wait for what it awaits; false: it is to go on at once. */
static bool
task_wait(struct core_pe *pe, struct core_task *self, PyObject *awaited)
{
    if (!Py_IS_TYPE(awaited, pe->state->FutureType) ||
        ((struct core_future *)awaited)->pe != pe) {
        task_refuse(pe, self, awaited);
        return false;
    }
    if (self->base.interrupted != NULL ||
        core_future_is_complete((struct core_future *)awaited)) {
        return false;
    }
    if (core_future_add_waiter((struct core_future *)awaited,
                               (PyObject *)self) < 0) {
        Py_XSETREF(self->base.interrupted, core_exception_take());
        return false;
    }
    core_waiter_suspended(&self->base, awaited);
    return true;
}

/* What a blocking function has given was returned, instead of awaited. */
static bool
task_goes_on(struct core_pe *pe, struct core_task *self, PyObject *value)
{
    struct core_future *future = (struct core_future *)value;

    if (!Py_IS_TYPE(value, pe->state->FutureType) || !future->forgotten ||
        future->pe != pe) {
        return false;
    }
    future->forgotten = false;
    Py_SETREF(self->coroutine, value);
    return true;
}

void
core_task_step(struct core_pe *pe, PyObject *task)
{
    struct core_task *self = (struct core_task *)task;
    PySendResult result;
    PyObject *out = NULL;
    bool waits;

    if (self->base.pe != pe || self->coroutine == NULL) {
        return;
    }
    core_waiter_resumed(&self->base);
    do {
        pe->task = &self->base;
        result = self->base.interrupted != NULL
                     ? task_throw(self, &out)
                     : PyIter_Send(self->coroutine, Py_None, &out);
        pe->task = NULL;
        pe->state->current = pe;
        waits = true;
        if (result == PYGEN_NEXT) {
            waits = task_wait(pe, self, out);
            Py_DECREF(out);
        } else if (result == PYGEN_RETURN) {
            waits = !task_goes_on(pe, self, out);
        }
    } while (!waits);
    core_when_stepped(pe, &self->base);
    if (result == PYGEN_NEXT) {
        return;
    }
    if (result == PYGEN_RETURN) {
        task_returned(pe, self, out);
    } else {
        task_raised(pe, self);
    }
    core_waiter_ended(&self->base);
    Py_CLEAR(self->coroutine);
    Py_CLEAR(self->args);
}

/* Make its first step, now or when the scheduler has control. */
static void
task_begin(struct core_pe *pe, struct core_task *self)
{
    if (pe->coroutine == NULL && pe->task == NULL && pe->running == NULL) {
        core_task_step(pe, (PyObject *)self);
    } else {
        core_resume(pe, (PyObject *)self);
    }
}

void
core_task_start_movable(struct core_pe *pe, const struct core_entry *entry,
                        PyObject *coroutine, struct core_chare *chare,
                        const chare_reply *reply, PyObject *args)
{
    struct core_task *self = task_new(pe, coroutine);

    if (self == NULL) {
        core_failed_in(pe, "the start of a task");
        return;
    }
    core_waiter_runs(&self->base, entry, chare);
    self->args = Py_XNewRef(args);
    if (reply != NULL) {
        self->reply = *reply;
        self->replies = true;
    }
    task_begin(pe, self);
    Py_DECREF(self);
}

void
core_task_start(struct core_pe *pe, const struct core_entry *entry,
                PyObject *coroutine, struct core_chare *chare,
                const chare_reply *reply)
{
    core_task_start_movable(pe, entry, coroutine, chare, reply, NULL);
}

PyObject *
core_task_record(struct core_waiter *task)
{
    struct core_task *self = (struct core_task *)task;

    return Py_BuildValue("(IOy#)", self->base.entry->id, self->args,
                         (const char *)&self->reply,
                         self->replies ? (Py_ssize_t)sizeof(self->reply) : 0);
}

int
core_task_leave(struct core_pe *pe, struct core_waiter *task)
{
    struct core_task *self = (struct core_task *)task;
    PyObject *coroutine = self->coroutine;
    PyObject *closed;

    Py_INCREF(self);
    self->coroutine = NULL;
    core_waiter_stop(task);
    pe->running = task->entry; /* its 'finally' blocks may send */
    closed = PyCoro_CheckExact(coroutine)
                 ? PyObject_CallMethod(coroutine, "close", NULL)
                 : Py_NewRef(Py_None); /* a future that was returned */
    pe->running = NULL;
    core_waiter_ended(task);
    Py_DECREF(coroutine);
    Py_DECREF(self);
    Py_XDECREF(closed);
    return closed != NULL ? 0 : -1;
}

int
core_task_spawn(struct core_pe *pe, PyObject *coroutine,
                struct core_future *result)
{
    struct core_task *self = task_new(pe, coroutine);

    if (self == NULL) {
        return -1;
    }
    self->result = (struct core_future *)Py_NewRef((PyObject *)result);
    Py_XSETREF(result->runs, (PyObject *)self);
    core_resume(pe, (PyObject *)self);
    return 0;
}

/* spawn(function or coroutine, args): a future of the result. */
PyObject *
core_spawn(PyObject *module, PyObject *args)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    struct core_future *result;
    PyObject *function;
    PyObject *function_args;
    int status;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO!", &function, &PyTuple_Type,
                                        &function_args)) {
        return NULL;
    }
    result = core_future_new_local(pe, NULL);
    if (result == NULL) {
        return NULL;
    }
    if (PyCoro_CheckExact(function)) {
        status = core_task_spawn(pe, function, result);
    } else {
        status = core_coroutine_spawn(pe, function, function_args, result);
    }
    if (status < 0) {
        Py_CLEAR(result);
    }
    return (PyObject *)result;
}

PyObject *
core_task_coroutine(PyObject *task)
{
    return ((struct core_task *)task)->coroutine;
}

/* ---- the type */

static int
task_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_task *self = (struct core_task *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->base.awaited);
    Py_VISIT(self->base.interrupted);
    Py_VISIT(self->base.chare);
    Py_VISIT(self->coroutine);
    Py_VISIT(self->result);
    Py_VISIT(self->args);
    return 0;
}

static int
task_clear(PyObject *op)
{
    struct core_task *self = (struct core_task *)op;

    core_waiter_fini(&self->base);
    Py_CLEAR(self->coroutine);
    Py_CLEAR(self->result);
    Py_CLEAR(self->args);
    return 0;
}

static void
task_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)task_clear(op);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyType_Slot task_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What runs 'async def' methods.")},
    {Py_tp_dealloc, task_dealloc},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {0, NULL},
};

PyType_Spec core_task_spec = {
    .name = "chare._core.Task",
    .basicsize = sizeof(struct core_task),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = task_slots,
};
