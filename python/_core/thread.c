/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.c - the door for other threads, and what a stuck job says.
 *
 * A thread appends a call to the PE's inbox and rings; the scheduler makes the
 * calls. The GIL guards the inbox.
 */
#include "state.h"

int
core_post(struct core_state *state, PyObject *function, PyObject *args)
{
    struct core_pe *pe = state->pe;
    PyObject *call;
    int result;

    if (pe == NULL || pe->runtime == NULL || pe->inbox == NULL) {
        PyErr_SetString(state->Error, "the runtime does not run");
        return -1;
    }
    call = PyTuple_Pack(2, function, args);
    if (call == NULL) {
        return -1;
    }
    result = PyList_Append(pe->inbox, call);
    Py_DECREF(call);
    if (result == 0) {
        chare_post(pe->runtime);
    }
    return result;
}

/* Hook: something was posted. */
void
core_posted(void *context)
{
    struct core_pe *pe = (struct core_pe *)context;
    PyObject *calls = pe->inbox;

    if (calls == NULL || PyList_GET_SIZE(calls) == 0) {
        return;
    }
    core_enter(pe);
    pe->inbox = PyList_New(0);
    if (pe->inbox == NULL) {
        Py_FatalError("chare: out of memory for calls of other threads");
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(calls); i++) {
        PyObject *call = PyList_GET_ITEM(calls, i);
        PyObject *function = PyTuple_GET_ITEM(call, 0);
        PyObject *result =
            PyObject_Call(function, PyTuple_GET_ITEM(call, 1), NULL);

        if (result == NULL) {
            core_failed_in_function(pe, function);
        }
        Py_XDECREF(result);
    }
    Py_DECREF(calls);
    core_leave(pe);
}

/* Call a function of the pure layer that returns a count. */
static uint64_t
ask(struct core_pe *pe, const char *name)
{
    PyObject *function = core_support(pe->state, name);
    PyObject *result = NULL;
    uint64_t count = 0;

    pe->state->current = pe;
    if (function != NULL) {
        result = PyObject_CallNoArgs(function);
        Py_DECREF(function);
    }
    if (result != NULL) {
        count = PyLong_AsUnsignedLongLong(result);
        Py_DECREF(result);
    }
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(NULL);
        count = 1;
    }
    return count;
}

uint64_t
core_outside(void *context)
{
    return ask((struct core_pe *)context, "outside");
}

uint64_t
core_stalled(void *context)
{
    return ask((struct core_pe *)context, "stalled");
}

static PyObject *
thread_post(PyObject *module, PyObject *args)
{
    PyObject *function;
    PyObject *function_args;

    if (!PyArg_ParseTuple(args, "OO!", &function, &PyTuple_Type,
                          &function_args) ||
        core_post(core_state_get(module), function, function_args) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
thread_outside(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int begins = PyObject_IsTrue(object);

    if (pe == NULL || begins < 0) {
        return NULL;
    }
    if (begins) {
        chare_outside_start(pe->runtime);
    } else {
        chare_outside_stop(pe->runtime);
    }
    Py_RETURN_NONE;
}

/* Whether its chare was to move, and stays for it. */
static bool
keeps_chare(const struct core_waiter *waiter)
{
    return waiter->chare != NULL && waiter->chare->rare->kept &&
           (waiter->entry == NULL ||
            (waiter->entry->flags & CORE_ENTRY_MOVABLE) == 0);
}

/* One that waits: (runs, function or None, method, index, for what, whether
 * it keeps its chare from moving). */
static PyObject *
describe_waiter(struct core_state *state, struct core_waiter *waiter)
{
    PyObject *runs;
    PyObject *function = NULL;
    PyObject *index = Py_NewRef(Py_None);
    PyObject *awaited = Py_NewRef(Py_None);

    if (Py_IS_TYPE(waiter, state->TaskType)) {
        runs = core_task_coroutine((PyObject *)waiter);
    } else {
        runs = core_coroutine_greenlet((PyObject *)waiter);
        function = core_coroutine_function((PyObject *)waiter);
    }
    if (waiter->chare != NULL) {
        chare_element name;

        core_chare_name(waiter->chare, &name);
        Py_SETREF(index, core_index_build(&name.index));
    }
    if (waiter->awaited != NULL) {
        Py_SETREF(awaited,
                  core_future_describe((struct core_future *)waiter->awaited));
    }
    return Py_BuildValue(
        "(OOONNO)", runs != NULL ? runs : Py_None,
        function != NULL ? function : Py_None,
        waiter->entry != NULL ? waiter->entry->fullname : Py_None, index,
        awaited, keeps_chare(waiter) ? Py_True : Py_False);
}

/* waiting(most): (how many wait here, [descriptions of the oldest]) */
static PyObject *
thread_waiting(PyObject *module, PyObject *most)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    Py_ssize_t left = PyLong_AsSsize_t(most);
    struct core_waiter *waiter;
    PyObject *list;

    if (pe == NULL || (left == -1 && PyErr_Occurred())) {
        return NULL;
    }
    list = PyList_New(0);
    waiter = pe->waiting;
    while (waiter != NULL && waiter->next != NULL) {
        waiter = waiter->next;
    }
    for (; list != NULL && waiter != NULL && left > 0; waiter = waiter->prev) {
        PyObject *item;

        if (!waiter->suspended) {
            continue;
        }
        left--;
        item = describe_waiter(state, waiter);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    if (list == NULL) {
        return NULL;
    }
    return Py_BuildValue("(KN)", (unsigned long long)pe->waiting_count, list);
}

PyMethodDef core_thread_functions[] = {
    {"post", thread_post, METH_VARARGS,
     PyDoc_STR("Call (function, args) soon on the PE; from any thread.")},
    {"outside", thread_outside, METH_O,
     PyDoc_STR("Something outside begins (True) or has ended (False).")},
    {"waiting", thread_waiting, METH_O,
     PyDoc_STR("(count, [descriptions]) of what is suspended here.")},
    {NULL, NULL, 0, NULL},
};
