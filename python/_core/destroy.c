/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * destroy.c - the end of chares: asking for it; what becomes of coroutines.
 *
 * A coroutine of a destroyed chare ends: Destroyed is raised where it is
 * suspended, so that 'finally' blocks run. Who waits for its result gets an
 * Error. The object goes when nobody refers to it any more.
 */
#include "state.h"

/* Ask the runtime; takes nothing. */
static chare_status
destroy(struct core_pe *pe, const struct core_proxy *proxy,
        const chare_callback *done)
{
    if (core_proxy_is_element(proxy)) {
        return chare_destroy(pe->runtime, &proxy->element, done);
    }
    return chare_collection_destroy(pe->runtime, proxy->element.collection,
                                    done);
}

void
core_raise_called(struct core_state *state, chare_status status,
                  const struct core_proxy *proxy, const char *what)
{
    if (status != CHARE_ERR_NOT_FOUND || core_proxy_is_element(proxy)) {
        core_raise(state, status, what);
        return;
    }
    PyErr_Format(PyExc_LookupError, "%R was destroyed; %s was called on it",
                 (PyObject *)proxy, what);
}

PyObject *
core_proxy_destroy(PyObject *self, PyTypeObject *defining_class,
                   PyObject *const *args, Py_ssize_t arg_count,
                   PyObject *kwnames)
{
    static const char *const names[] = {"awaitable", NULL};
    struct core_state *state = core_state_of(defining_class);
    struct core_pe *pe = core_pe_get(state);
    PyObject *values[] = {Py_False};
    struct core_future *future = NULL;
    chare_callback done;
    chare_status status;

    if (pe == NULL || core_arguments_parse("ckDestroy", names, 0, args,
                                           arg_count, kwnames, values) < 0) {
        return NULL;
    }
    if (PyObject_IsTrue(values[0]) != 0) {
        if (PyErr_Occurred() || (future = core_future_new(pe, 1)) == NULL) {
            return NULL;
        }
        future->discard = true;
        done = chare_callback_future(future->name);
    }
    status =
        destroy(pe, (struct core_proxy *)self, future != NULL ? &done : NULL);
    if (status != CHARE_OK) {
        if (future != NULL) {
            core_future_cancel(future);
            Py_DECREF(future);
        }
        core_raise_called(state, status, (struct core_proxy *)self,
                          "ckDestroy()");
        return NULL;
    }
    if (future != NULL) {
        return (PyObject *)future;
    }
    Py_RETURN_NONE;
}

/* Interrupt the coroutines of a chare; they go on when the scheduler has
 * control. */
static void
interrupt_all(struct core_pe *pe, struct core_chare *chare)
{
    struct core_waiter *waiter =
        chare->rare != NULL ? chare->rare->waiters : NULL;
    PyObject *error;

    if (waiter == NULL) {
        return;
    }
    error = PyObject_CallFunction(
        pe->state->Destroyed, "N",
        PyUnicode_FromFormat("%R was destroyed", (PyObject *)chare));
    if (error == NULL) {
        PyErr_WriteUnraisable((PyObject *)chare);
        return;
    }
    for (; waiter != NULL; waiter = waiter->same_next) {
        if (waiter->suspended) {
            core_waiter_interrupt(waiter, error);
        }
    }
    Py_DECREF(error);
}

void
core_chare_destroyed(struct core_pe *pe, PyObject *object)
{
    core_enter(pe);
    core_build_abandon(pe, (struct core_chare *)object);
    core_when_abandon(pe, (struct core_chare *)object);
    if (!pe->exiting) {
        core_restarts_abandon(pe, (struct core_chare *)object);
        interrupt_all(pe, (struct core_chare *)object);
    }
    Py_DECREF(object);
    if (!pe->exiting) {
        core_leave(pe);
    }
}

bool
core_failed_destroyed(struct core_pe *pe, PyObject *error,
                      const chare_reply *reply)
{
    PyObject *answer;

    if (!PyErr_GivenExceptionMatches(error, pe->state->Destroyed)) {
        return false;
    }
    if (reply == NULL) {
        return true;
    }
    answer = PyObject_CallFunction(pe->state->Error, "N", PyObject_Str(error));
    if (answer == NULL || !core_error_reply(pe, answer, reply)) {
        PyErr_WriteUnraisable(error);
    }
    Py_XDECREF(answer);
    return true;
}
