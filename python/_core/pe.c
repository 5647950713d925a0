/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pe.c - the life of a runtime, as charm.start() lives it:
 * open, register, start, run, close.
 *
 * The GIL is given up only while the runtime blocks.
 */
#include "reducer.h"
#include "state.h"

enum {
    CHILD_RETURNED = -1,
    EXIT_CODE_MAX = 255,
};

/* ---- hooks */

static void
block_enter(void *context)
{
    ((struct core_pe *)context)->thread = PyEval_SaveThread();
}

static void
block_leave(void *context)
{
    PyEval_RestoreThread(((struct core_pe *)context)->thread);
}

static bool
interrupted(void *context)
{
    (void)context;
    return PyErr_CheckSignals() < 0;
}

static PyObject *
pe_open(PyObject *module, PyObject *unused)
{
    struct core_state *state = core_state_get(module);
    const chare_hooks hooks = {
        .size = sizeof(hooks),
        .block_enter = block_enter,
        .block_leave = block_leave,
        .interrupted = interrupted,
        .posted = core_posted,
        .outside = core_outside,
        .stalled = core_stalled,
    };
    chare_open_options options = {.size = sizeof(options), .hooks = &hooks};
    struct core_pe *pe;
    chare_status status;

    (void)unused;
    if (state->current != NULL || state->pe != NULL) {
        PyErr_SetString(state->Error, "the runtime was started before");
        return NULL;
    }
    pe = PyMem_Calloc(1, sizeof(*pe));
    if (pe == NULL) {
        return PyErr_NoMemory();
    }
    pe->state = state;
    pe->encodings = 1;
    pe->flush_auto = true;
    pe->owner = pthread_self();
    options.hooks_context = pe;
    status = chare_open(&options, &pe->runtime);
    if (status != CHARE_OK) {
        PyMem_Free(pe);
        return core_raise(state, status, "cannot open the runtime");
    }
    chare_set_user(pe->runtime, pe);
    pe->rank = chare_my_pe(pe->runtime);
    pe->measuring = chare_lb_meter(pe->runtime);
    pe->inbox = PyList_New(0);
    state->pe = pe;
    state->current = pe;
    if (core_reduce_register(pe) < 0 || core_follow_register(pe) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
pe_start(PyObject *module, PyObject *unused)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_status status;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    status = chare_start(pe->runtime);
    if (status != CHARE_OK) {
        return core_raise(state, status, "cannot start");
    }
    pe->started = true;
    if (core_coroutine_scheduler(pe) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/*
 * Deliver messages until the job ends; the exit code. In a child that some
 * method forked: what the child ends with, or CHILD_RETURNED.
 */
static PyObject *
pe_run(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    chare_status status;
    int code;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    status = chare_run(pe->runtime);
    while (status == CHARE_ERR_INTERRUPTED) {
        core_failed_in(pe, "the scheduler");
        status = chare_run(pe->runtime);
    }
    PyErr_Clear();
    code = chare_exit_code(pe->runtime);
    if (pe->forked) {
        code = pe->exiting ? code : CHILD_RETURNED;
    } else if (status != CHARE_OK && code == 0) {
        code = 1;
    }
    return PyLong_FromLong(code);
}

/* In a child of os.fork(), before it goes on. */
static PyObject *
pe_forked(PyObject *module, PyObject *unused)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = state->current;

    (void)unused;
    core_origin_forked(state->origin);
    if (pe != NULL && pe->runtime != NULL) {
        pe->forked = true;
        chare_forked(pe->runtime);
    }
    Py_RETURN_NONE;
}

static PyObject *
pe_close(PyObject *module, PyObject *unused)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = state->current;

    (void)unused;
    if (pe == NULL) {
        Py_RETURN_NONE;
    }
    if (core_can_wait(pe) || pe->running != NULL) {
        PyErr_SetString(state->Error,
                        "a chare cannot close the runtime it runs in");
        return NULL;
    }
    pe->exiting = true; /* nothing runs, and nobody is told, any more */
    core_shared_drop(&pe->shared);
    core_coroutines_close(pe);
    core_when_close(pe);
    /* 'finally' blocks run here, and may still call the runtime. */
    core_waiters_close(pe);
    core_timers_close(pe);
    core_futures_close(pe);
    chare_close(pe->runtime);
    /* What the destructors of chares have left. */
    core_timers_close(pe);
    core_futures_close(pe);
    core_waiters_close(pe);
    pe->runtime = NULL;
    Py_CLEAR(pe->inbox);
    Py_CLEAR(pe->strategy);
    state->current = NULL;
    Py_CLEAR(pe->scheduler);
    Py_RETURN_NONE;
}

static PyObject *
pe_exit(PyObject *module, PyObject *code)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    long number = PyLong_AsLong(code);

    if (pe == NULL || (number == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (number < 0 || number > EXIT_CODE_MAX) {
        /* Cut to eight bits, 256 would say that all is well. */
        PyErr_Format(PyExc_ValueError, "%ld: an exit code is 0 to %d", number,
                     EXIT_CODE_MAX);
        return NULL;
    }
    pe->exiting = true;
    chare_exit(pe->runtime, (int)number);
    Py_RETURN_NONE;
}

static PyObject *
pe_abort(PyObject *module, PyObject *args)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const char *text;
    int code;

    if (pe == NULL || !PyArg_ParseTuple(args, "is", &code, &text)) {
        return NULL;
    }
    pe->exiting = true;
    chare_abort(pe->runtime, code, text);
    Py_RETURN_NONE;
}

/* Whether something can wait here: 'g' on a greenlet, 'n' natively, or ''. */
static PyObject *
pe_waits(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    return PyUnicode_FromString(
        pe->task != NULL ? "n" : (pe->coroutine != NULL ? "g" : ""));
}

/* await_(future, what): the end of a blocking function, core_future_await();
 * 'what' is for NotThreadedError. */
static PyObject *
pe_await(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    PyObject *future;
    const char *what;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "O!s", state->FutureType, &future, &what)) {
        return NULL;
    }
    core_future_label((struct core_future *)future, PyTuple_GET_ITEM(args, 1));
    return core_future_await(pe, (struct core_future *)Py_NewRef(future),
                             what);
}

static PyObject *
pe_local_future(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    return pe != NULL ? (PyObject *)core_future_new_local(pe, NULL) : NULL;
}

/* Run a coroutine object until it suspends or ends; from a plain method. */
static PyObject *
pe_task_start(PyObject *module, PyObject *coroutine)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    if (pe == NULL) {
        return NULL;
    }
    if (core_can_wait(pe) || !PyCoro_CheckExact(coroutine)) {
        PyErr_SetString(pe->state->Error,
                        "a coroutine object is started from a plain method");
        return NULL;
    }
    core_task_start(pe, NULL, coroutine, NULL, NULL);
    Py_RETURN_NONE;
}

/* Whether conditions are looked at after each entry method. */
static PyObject *
pe_auto_flush(PyObject *module, PyObject *on)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int truth = PyObject_IsTrue(on);

    if (pe == NULL || truth < 0) {
        return NULL;
    }
    pe->flush_auto = truth != 0;
    Py_RETURN_NONE;
}

PyMethodDef core_pe_functions[] = {
    {"auto_flush", pe_auto_flush, METH_O,
     PyDoc_STR("Look at conditions after each entry method, or not.")},
    {"open", pe_open, METH_NOARGS, PyDoc_STR("Open the runtime.")},
    {"start", pe_start, METH_NOARGS, PyDoc_STR("Meet the other PEs.")},
    {"forked", pe_forked, METH_NOARGS,
     PyDoc_STR("forked()\n--\n\nThis process is a forked child: no PE.")},
    {"run", pe_run, METH_NOARGS,
     PyDoc_STR("Deliver messages until the job ends; the exit code.")},
    {"close", pe_close, METH_NOARGS, PyDoc_STR("Release the runtime.")},
    {"exit", pe_exit, METH_O, PyDoc_STR("End the job with a code.")},
    {"abort", pe_abort, METH_VARARGS,
     PyDoc_STR("End the job because of an error: (code, text).")},
    {"waits", pe_waits, METH_NOARGS,
     PyDoc_STR("How the caller can wait: 'g' suspends, 'n' awaits, '' not.")},
    {"await_", pe_await, METH_VARARGS,
     PyDoc_STR("The end of a blocking function: (future, its name).")},
    {"local_future", pe_local_future, METH_NOARGS,
     PyDoc_STR("A future that this PE completes, by _complete().")},
    {"task_start", pe_task_start, METH_O,
     PyDoc_STR("Run a coroutine object until it suspends or ends.")},
    {NULL, NULL, 0, NULL},
};
