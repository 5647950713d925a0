/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coroutine.c - coroutines on greenlets; the only file that knows them.
 *
 * A Coroutine is a greenlet that runs one task after another: when a task has
 * ended it parks, for starting a greenlet is dear and switching is not. All
 * switches are between the scheduler's greenlet and a coroutine:
 *
 *   parked --start--> running --suspend--> suspended --resume--> running
 *                     running --end of task--> parked (or gone)
 *
 * Only the scheduler starts and resumes. Nothing that is on the C stack of
 * one greenlet may be used from another, so a task lives in its object.
 */
#include "state.h"

/* The header alone would keep the interface in a static variable, which is
 * what it leaves out for greenlet itself: here it hangs off the state. */
#define GREENLET_MODULE
#define implementation_ptr_t void *
#include <greenlet.h>

typedef PyGreenlet *(*greenlet_current_fn)(void);
typedef PyGreenlet *(*greenlet_new_fn)(PyObject *run, PyGreenlet *parent);
typedef PyObject *(*greenlet_switch_fn)(PyGreenlet *greenlet, PyObject *args,
                                        PyObject *keywords);
typedef PyObject *(*greenlet_throw_fn)(PyGreenlet *greenlet, PyObject *type,
                                       PyObject *value, PyObject *traceback);

struct task {
    PyObject *function;
    PyObject **slots; /* inline_slots or allocated; slots[0] is self */
    Py_ssize_t arg_count;
    PyObject *inline_slots[CORE_ARGS_INLINE + 1];
    struct core_future *result; /* completed at the end, or NULL */
    chare_reply reply;
    bool replies;
};

struct core_coroutine {
    struct core_waiter base; /* entry NULL: the task is a plain callable */
    PyGreenlet *greenlet;
    PyGreenlet *suspended_in;           /* what suspended, or NULL */
    struct core_coroutine *next_parked; /* in pe->parked */
    bool new;                           /* its task has not begun */
    struct task task;
};

int
core_greenlet_import(struct core_state *state)
{
    /* PyCapsule_Import() makes an ImportError of an interrupt. */
    PyObject *module = PyImport_ImportModule("greenlet");

    if (module == NULL) {
        return -1;
    }
    Py_DECREF(module);
    state->greenlet = (void **)PyCapsule_Import("greenlet._C_API", 0);
    return state->greenlet != NULL ? 0 : -1;
}

static PyGreenlet *
greenlet_current(struct core_state *state)
{
    return ((greenlet_current_fn)state->greenlet[PyGreenlet_GetCurrent_NUM])();
}

/*
 * Greenlets take turns at the same addresses, and the address sanitizer does
 * not know of it: the marks that the library's frames left there are not for
 * the frames that are there now. Nothing is lost but some of its checks.
 */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

enum {
    STACK_MARKED_BYTES = 128 * 1024 /* the scheduler's frames are in there */
};

static void
stack_unmark(void)
{
    const char *here = __builtin_frame_address(0);

    __asan_unpoison_memory_region(here - STACK_MARKED_BYTES,
                                  STACK_MARKED_BYTES);
    __asan_handle_no_return(); /* those above */
}
#else
static void
stack_unmark(void)
{
}
#endif

static PyObject *
greenlet_switch(struct core_state *state, PyGreenlet *greenlet)
{
    PyObject *result =
        ((greenlet_switch_fn)state->greenlet[PyGreenlet_Switch_NUM])(
            greenlet, NULL, NULL);

    stack_unmark();
    return result;
}

static PyObject *
greenlet_exit(struct core_state *state)
{
    return (PyObject *)state->greenlet[PyExc_GreenletExit_NUM];
}

int
core_coroutine_scheduler(struct core_pe *pe)
{
    Py_XSETREF(pe->scheduler, (PyObject *)greenlet_current(pe->state));
    return pe->scheduler != NULL ? 0 : -1;
}

/* ---- tasks */

static int
task_init(struct task *task, PyObject *function, PyObject *const *args,
          Py_ssize_t arg_count, PyObject *self)
{
    task->slots = task->inline_slots;
    if (arg_count > CORE_ARGS_INLINE) {
        task->slots =
            PyMem_Malloc(((size_t)arg_count + 1) * sizeof(*task->slots));
        if (task->slots == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    task->function = Py_NewRef(function);
    task->arg_count = arg_count;
    task->slots[0] = Py_XNewRef(self);
    for (Py_ssize_t i = 0; i < arg_count; i++) {
        task->slots[i + 1] = Py_NewRef(args[i]);
    }
    return 0;
}

static void
task_fini(struct task *task)
{
    PyObject **slots = task->slots;

    if (slots == NULL) {
        return;
    }
    task->slots = NULL;
    Py_CLEAR(task->function);
    Py_CLEAR(task->result);
    for (Py_ssize_t i = 0; i <= task->arg_count; i++) {
        Py_XDECREF(slots[i]);
    }
    if (slots != task->inline_slots) {
        PyMem_Free(slots);
    }
}

void
core_coroutine_forget(struct core_pe *pe, PyObject *argument)
{
    struct task *task;

    if (pe->coroutine == NULL || pe->coroutine->task.slots == NULL) {
        return;
    }
    task = &pe->coroutine->task;
    for (Py_ssize_t i = 1; i <= task->arg_count; i++) {
        if (task->slots[i] == argument) {
            Py_SETREF(task->slots[i], Py_NewRef(Py_None));
        }
    }
}

/* Whether it is to raise an exception, which is set then. */
static bool
coroutine_is_interrupted(struct core_coroutine *self)
{
    PyObject *error = self->base.interrupted;

    if (error == NULL) {
        return false;
    }
    self->base.interrupted = NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return true;
}

/* Call the task's function; in the coroutine's greenlet. */
static PyObject *
task_call(struct core_coroutine *self)
{
    struct task *task = &self->task;

    if (coroutine_is_interrupted(self)) { /* before it began */
        return NULL;
    }
    if (self->base.entry != NULL) {
        return core_invoke_function(self->base.entry, task->slots,
                                    task->arg_count);
    }
    return PyObject_Vectorcall(task->function, task->slots + 1,
                               (size_t)task->arg_count, NULL);
}

static void
task_returned(struct core_coroutine *self, PyObject *result)
{
    struct core_pe *pe = self->base.pe;
    struct task *task = &self->task;

    if (PyCoro_CheckExact(result)) { /* an 'async def' in disguise */
        if (task->result != NULL) {
            if (core_task_spawn(pe, result, task->result) < 0) {
                core_future_complete(task->result, core_exception_take());
            }
        } else {
            core_task_start(pe, self->base.entry, result, self->base.chare,
                            task->replies ? &task->reply : NULL);
            self->base.builds = false; /* that one does now */
        }
    } else if (task->result != NULL) {
        core_future_complete(task->result, Py_NewRef(result));
    } else if (task->replies) {
        core_reply(pe, self->base.entry, &task->reply, result);
    }
}

/* An exception is set. */
static void
task_raised(struct core_coroutine *self)
{
    struct core_pe *pe = self->base.pe;
    struct task *task = &self->task;

    if (PyErr_ExceptionMatches(greenlet_exit(pe->state))) {
        return;
    }
    if (task->result != NULL && core_error_travels()) {
        core_future_complete(task->result, core_exception_take());
    } else if (self->base.entry == NULL) {
        core_failed_in_function(pe, task->function);
    } else {
        core_failed_of(pe, self->base.entry, self->base.chare,
                       task->replies ? &task->reply : NULL);
    }
}

/* Run the task to its end; in the coroutine's greenlet. */
static void
task_run(struct core_coroutine *self)
{
    PyObject *result = task_call(self);

    /* Without a PE it was closed, and nobody listens. */
    if (self->base.pe != NULL && result != NULL) {
        task_returned(self, result);
    } else if (self->base.pe != NULL) {
        task_raised(self);
    }
    Py_XDECREF(result);
}

/* ---- the greenlet's own function */

/* Leave the task's end for the scheduler; NULL: the greenlet is to die. */
static PyObject *
coroutine_park(struct core_coroutine *self)
{
    struct core_pe *pe = self->base.pe;

    self->next_parked = pe->parked;
    pe->parked = self; /* takes over the running reference */
    pe->parked_count++;
    return greenlet_switch(pe->state, (PyGreenlet *)pe->scheduler);
}

static PyObject *
coroutine_main(PyObject *op, PyObject *unused)
{
    struct core_coroutine *self = (struct core_coroutine *)op;
    PyObject *result;

    (void)unused;
    stack_unmark();
    for (;;) {
        task_run(self);
        task_fini(&self->task);
        if (self->base.pe == NULL || PyErr_Occurred() ||
            self->base.pe->parked_count >= CORE_COROUTINES_KEPT_MAX) {
            break;
        }
        result = coroutine_park(self);
        if (result == NULL) {
            return NULL; /* GreenletExit: the pool is emptied */
        }
        Py_DECREF(result);
    }
    /* The scheduler's running reference; the caller of this holds another. */
    Py_DECREF(self);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef coroutine_main_def = {"coroutine", coroutine_main,
                                         METH_NOARGS, NULL};

static struct core_coroutine *
coroutine_new(struct core_pe *pe)
{
    PyTypeObject *type = pe->state->CoroutineType;
    struct core_coroutine *self = PyObject_GC_New(struct core_coroutine, type);
    PyObject *function;

    if (self == NULL) {
        return NULL;
    }
    core_waiter_init(&self->base, pe);
    self->greenlet = NULL;
    self->suspended_in = NULL;
    self->new = false;
    self->next_parked = NULL;
    memset(&self->task, 0, sizeof(self->task));
    PyObject_GC_Track(self);
    function = PyCFunction_New(&coroutine_main_def, (PyObject *)self);
    if (function != NULL) {
        self->greenlet =
            ((greenlet_new_fn)pe->state->greenlet[PyGreenlet_New_NUM])(
                function, (PyGreenlet *)pe->scheduler);
        Py_DECREF(function);
    }
    if (self->greenlet == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

/* A coroutine without a task; the reference is the caller's. */
static struct core_coroutine *
coroutine_get(struct core_pe *pe)
{
    struct core_coroutine *self = pe->parked;

    if (self == NULL) {
        return coroutine_new(pe);
    }
    pe->parked = self->next_parked;
    pe->parked_count--;
    self->next_parked = NULL;
    return self;
}

/* Run a coroutine until it suspends, parks or ends. */
static void
coroutine_switch(struct core_pe *pe, struct core_coroutine *self,
                 PyGreenlet *greenlet)
{
    struct core_state *state = pe->state;
    PyObject *result;

    pe->coroutine = self;
    result = greenlet_switch(state, greenlet);
    pe->coroutine = NULL;
    state->current = pe;
    core_when_stepped(pe, &self->base);
    if (self->task.slots == NULL) {
        core_waiter_ended(&self->base);
    }
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)state->CoroutineType);
        return;
    }
    Py_DECREF(result);
}

void
core_coroutine_start(struct core_pe *pe, const struct core_entry *entry,
                     PyObject *function, PyObject *const *args,
                     Py_ssize_t arg_count, PyObject *self_object,
                     const chare_reply *reply)
{
    struct core_coroutine *self = coroutine_get(pe);

    if (self == NULL ||
        task_init(&self->task, function, args, arg_count, self_object) < 0) {
        Py_XDECREF(self);
        core_failed_in(pe, "the start of a coroutine");
        return;
    }
    core_waiter_runs(&self->base, entry, (struct core_chare *)self_object);
    self->task.replies = reply != NULL;
    if (reply != NULL) {
        self->task.reply = *reply;
    }
    /* Hold it across the switch: it may end, and be dropped, in there. */
    Py_INCREF(self);
    coroutine_switch(pe, self, self->greenlet);
    Py_DECREF(self);
}

int
core_coroutine_spawn(struct core_pe *pe, PyObject *function, PyObject *args,
                     struct core_future *result)
{
    struct core_coroutine *self = coroutine_get(pe);

    if (self == NULL ||
        task_init(&self->task, function, ((PyTupleObject *)args)->ob_item,
                  PyTuple_GET_SIZE(args), NULL) < 0) {
        Py_XDECREF(self);
        return -1;
    }
    self->task.replies = false;
    self->task.result = (struct core_future *)Py_NewRef((PyObject *)result);
    self->new = true;
    Py_XSETREF(result->runs, Py_NewRef((PyObject *)self));
    core_resume(pe, (PyObject *)self);
    return 0;
}

int
core_coroutine_suspend(struct core_pe *pe, PyObject *awaited)
{
    struct core_coroutine *self = pe->coroutine;
    PyObject *result;

    if (self->suspended_in != NULL) {
        PyErr_SetString(pe->state->Error, "the coroutine is suspended");
        return -1;
    }
    if (coroutine_is_interrupted(self)) {
        return -1;
    }
    /* Not always self->greenlet: users may run greenlets of their own. */
    self->suspended_in = greenlet_current(pe->state);
    core_waiter_suspended(&self->base, awaited);
    result = greenlet_switch(pe->state, (PyGreenlet *)pe->scheduler);
    Py_CLEAR(self->suspended_in);
    if (self->base.pe != NULL) {
        core_waiter_resumed(&self->base);
    }
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    if (self->base.pe == NULL) {
        PyErr_SetNone(greenlet_exit(pe->state));
        return -1;
    }
    return coroutine_is_interrupted(self) ? -1 : 0;
}

void
core_coroutine_resume(struct core_pe *pe, PyObject *coroutine)
{
    struct core_coroutine *self = (struct core_coroutine *)coroutine;

    if (self->base.pe != pe) {
        return;
    }
    if (self->new) {
        self->new = false;
        coroutine_switch(pe, self, self->greenlet);
        return;
    }
    if (self->suspended_in == NULL) {
        return;
    }
    Py_INCREF(self);
    Py_INCREF(self->suspended_in);
    {
        PyGreenlet *greenlet = self->suspended_in;

        coroutine_switch(pe, self, greenlet);
        Py_DECREF(greenlet);
    }
    Py_DECREF(self);
}

void
core_coroutines_close(struct core_pe *pe)
{
    while (pe->parked != NULL) {
        struct core_coroutine *self = coroutine_get(pe);
        PyObject *result =
            ((greenlet_throw_fn)pe->state->greenlet[PyGreenlet_Throw_NUM])(
                self->greenlet, greenlet_exit(pe->state), NULL, NULL);

        Py_XDECREF(result);
        PyErr_Clear();
        self->base.pe = NULL;
        Py_DECREF(self);
    }
}

PyObject *
core_coroutine_greenlet(PyObject *coroutine)
{
    return (PyObject *)((struct core_coroutine *)coroutine)->suspended_in;
}

PyObject *
core_coroutine_function(PyObject *coroutine)
{
    return ((struct core_coroutine *)coroutine)->task.function;
}

/* ---- the type */

static int
coroutine_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_coroutine *self = (struct core_coroutine *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->base.awaited);
    Py_VISIT(self->base.chare);
    Py_VISIT(self->greenlet);
    Py_VISIT(self->suspended_in);
    Py_VISIT(self->task.result);
    return 0;
}

static int
coroutine_clear(PyObject *op)
{
    struct core_coroutine *self = (struct core_coroutine *)op;

    core_waiter_fini(&self->base);
    Py_CLEAR(self->greenlet);
    Py_CLEAR(self->suspended_in);
    return 0;
}

static void
coroutine_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)coroutine_clear(op);
    task_fini(&((struct core_coroutine *)op)->task);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyType_Slot coroutine_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What runs @coro methods.")},
    {Py_tp_dealloc, coroutine_dealloc},
    {Py_tp_traverse, coroutine_traverse},
    {Py_tp_clear, coroutine_clear},
    {0, NULL},
};

PyType_Spec core_coroutine_spec = {
    .name = "chare._core.Coroutine",
    .basicsize = sizeof(struct core_coroutine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = coroutine_slots,
};
