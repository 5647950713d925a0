/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - the first steps of a program, and counting where its time goes.
 *
 * Messages of the main function to other PEs are held until it has suspended
 * or returned, for by then readonlies are complete, and are to arrive before.
 */
#include "state.h"

/* hold(truth): keep messages to other PEs back, or let them go */
static PyObject *
start_hold(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int hold = PyObject_IsTrue(object);

    if (pe == NULL || hold < 0) {
        return NULL;
    }
    chare_hold(pe->runtime, hold != 0);
    Py_RETURN_NONE;
}

/* flush(): calls that travel together leave now */
static PyObject *
start_flush(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    chare_flush(pe->runtime);
    Py_RETURN_NONE;
}

/* insert_again(truth): whether insertions at taken indices are dropped. */
static PyObject *
start_insert_again(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int dropped = PyObject_IsTrue(object);

    if (pe == NULL || dropped < 0) {
        return NULL;
    }
    chare_insert_again(pe->runtime, dropped != 0);
    Py_RETURN_NONE;
}

/* Send to all of a collection before all else; a Future for the end. */
static PyObject *
start_call_first(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_send_options options = {
        .size = sizeof(options),
        .priority = CHARE_PRIORITY_MIN,
    };
    struct core_future *future;
    chare_callback target;
    chare_callback reply;
    chare_status status;
    chare_data data;
    PyObject *callback;
    PyObject *value;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO", &callback, &value) ||
        core_callback_get(state, callback, &target) < 0) {
        return NULL;
    }
    future = core_future_new(pe, 1);
    if (future == NULL) {
        return NULL;
    }
    future->discard = true;
    reply = chare_callback_future(future->name);
    options.reply = &reply;
    if (core_data_args(pe, false, &value, 1, &data) < 0) {
        goto cancel;
    }
    status = chare_broadcast(pe->runtime, target.element.collection,
                             target.entry, &data, &options);
    if (status != CHARE_OK) {
        core_data_drop(&data);
        core_raise(state, status, "cannot send to all PEs");
        goto cancel;
    }
    return (PyObject *)future;

cancel:
    core_future_cancel(future);
    Py_DECREF(future);
    return NULL;
}

/* Run a callable as a coroutine until it suspends or ends. */
static PyObject *
start_coroutine(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    PyObject *function;
    PyObject *function_args;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO!", &function, &PyTuple_Type,
                                        &function_args)) {
        return NULL;
    }
    if (pe->coroutine != NULL) {
        PyErr_SetString(state->Error, "only the scheduler starts coroutines");
        return NULL;
    }
    core_coroutine_start(pe, NULL, function,
                         ((PyTupleObject *)function_args)->ob_item,
                         PyTuple_GET_SIZE(function_args), NULL, NULL);
    core_leave(pe); /* what it returned may be a native coroutine */
    Py_RETURN_NONE;
}

/* profile(truth): measure entry methods from now on, or not */
static PyObject *
start_profile(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int on = PyObject_IsTrue(object);

    if (pe == NULL || on < 0) {
        return NULL;
    }
    chare_stats_measure(pe->runtime, on != 0);
    pe->profiling = on != 0;
    Py_RETURN_NONE;
}

/* profiled(): whether entry methods are measured */
static PyObject *
start_profiled(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    return pe != NULL ? PyBool_FromLong(chare_stats_measured(pe->runtime))
                      : NULL;
}

/* stats(print): a Future of the statistics of all PEs, or of None when PE 0
 * has printed them */
static PyObject *
start_stats(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int print = PyObject_IsTrue(object);
    struct core_future *future;
    chare_callback callback;
    chare_status status;

    if (pe == NULL || print < 0) {
        return NULL;
    }
    future = core_future_new(pe, 1);
    if (future == NULL) {
        return NULL;
    }
    callback = chare_callback_future(future->name);
    status = print ? chare_stats_print(pe->runtime, &callback)
                   : chare_stats_get(pe->runtime, &callback);
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "no statistics");
        core_future_cancel(future);
        Py_DECREF(future);
        return NULL;
    }
    return (PyObject *)future;
}

PyMethodDef core_start_functions[] = {
    {"hold", start_hold, METH_O,
     PyDoc_STR("Keep messages to other PEs back, or let them go.")},
    {"flush", start_flush, METH_NOARGS,
     PyDoc_STR("Let calls that travel together leave now.")},
    {"insert_again", start_insert_again, METH_O,
     PyDoc_STR("Whether insertions at taken indices are dropped.")},
    {"call_first", start_call_first, METH_VARARGS,
     PyDoc_STR("Call (method of a collection's proxy, argument) on all, "
               "before all else; a Future.")},
    {"coroutine_start", start_coroutine, METH_VARARGS,
     PyDoc_STR("Run (callable, args) as a coroutine until it suspends.")},
    {"profile", start_profile, METH_O,
     PyDoc_STR("Measure entry methods from now on, or not.")},
    {"profiled", start_profiled, METH_NOARGS,
     PyDoc_STR("Whether entry methods are measured.")},
    {"stats", start_stats, METH_O,
     PyDoc_STR("A Future of the statistics of all PEs; if true, of their "
               "being printed.")},
    {NULL, NULL, 0, NULL},
};
