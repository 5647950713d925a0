/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.c - what a prompt needs: to know what a statement waits for, to
 * interrupt it, and to go on after errors that nobody asked for.
 */
#include "state.h"

/* The coroutine that runs, or None. */
static PyObject *
console_running(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_state_get(module)->current;

    (void)unused;
    return Py_NewRef(pe != NULL && pe->coroutine != NULL
                         ? (PyObject *)pe->coroutine
                         : Py_None);
}

static struct core_waiter *
waiter_of(struct core_state *state, PyObject *object)
{
    if (!core_is_waiter(state, object)) {
        PyErr_Format(PyExc_TypeError, "%R is no coroutine", object);
        return NULL;
    }
    return (struct core_waiter *)object;
}

/* awaited(coroutine): the future it is suspended for, and what made it wait;
 * or None. */
static PyObject *
console_awaited(PyObject *module, PyObject *object)
{
    struct core_waiter *waiter = waiter_of(core_state_get(module), object);
    const struct core_future *future;

    if (waiter == NULL) {
        return NULL;
    }
    if (!waiter->suspended || waiter->awaited == NULL) {
        Py_RETURN_NONE;
    }
    future = (struct core_future *)waiter->awaited;
    return Py_BuildValue("(Os)", waiter->awaited,
                         future->what != NULL ? future->what : "");
}

/* interrupt(coroutine, exception): raise it where it is suspended. */
static PyObject *
console_interrupt(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    struct core_waiter *waiter;
    PyObject *object;
    PyObject *error;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO", &object, &error)) {
        return NULL;
    }
    waiter = waiter_of(state, object);
    if (waiter == NULL) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "an exception is needed");
        return NULL;
    }
    if (waiter->pe == pe && waiter->suspended) {
        core_waiter_interrupt(waiter, error);
    }
    Py_RETURN_NONE;
}

/* waiters(chare): how many of its methods are suspended. */
static PyObject *
console_waiters(PyObject *module, PyObject *object)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    const struct core_rare *rare;
    long count = 0;

    if (pe == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(object, state->ChareType)) {
        PyErr_Format(PyExc_TypeError, "%R is no chare", object);
        return NULL;
    }
    rare = ((struct core_chare *)object)->rare;
    for (const struct core_waiter *waiter = rare != NULL ? rare->waiters
                                                         : NULL;
         waiter != NULL; waiter = waiter->same_next) {
        count += waiter->suspended;
    }
    return PyLong_FromLong(count);
}

/* forgive(truth): errors that nobody asked for do not end the job. */
static PyObject *
console_forgive(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int forgive = PyObject_IsTrue(object);

    if (pe == NULL || forgive < 0) {
        return NULL;
    }
    pe->forgives = forgive != 0;
    Py_RETURN_NONE;
}

PyMethodDef core_console_functions[] = {
    {"running", console_running, METH_NOARGS,
     PyDoc_STR("The coroutine that runs, or None.")},
    {"awaited", console_awaited, METH_O,
     PyDoc_STR("(future, what made it) that a coroutine waits for, or None.")},
    {"interrupt", console_interrupt, METH_VARARGS,
     PyDoc_STR("Raise an exception where a coroutine is suspended.")},
    {"waiters", console_waiters, METH_O,
     PyDoc_STR("How many methods of a chare are suspended.")},
    {"forgive", console_forgive, METH_O,
     PyDoc_STR("Whether uncaught exceptions leave the job alone.")},
    {NULL, NULL, 0, NULL},
};
