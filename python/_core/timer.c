/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer.c - what happens later: timers, sleeping, quiescence.
 */
#include "state.h"

#include <math.h>

struct core_timer {
    struct core_pe *pe;
    PyObject *target;        /* a callable, or a coroutine to resume */
    PyObject *args;          /* tuple */
    bool coroutine;          /* run the callable as one */
    struct core_timer *next; /* in pe->timers */
    struct core_timer *prev;
};

static void
timer_unlink(struct core_timer *timer)
{
    if (timer->prev != NULL) {
        timer->prev->next = timer->next;
    } else {
        timer->pe->timers = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    }
}

static void
timer_release(struct core_timer *timer)
{
    Py_XDECREF(timer->target);
    Py_XDECREF(timer->args);
    PyMem_Free(timer);
}

static void
timer_run(struct core_pe *pe, struct core_timer *timer)
{
    PyObject *result;

    if (Py_IS_TYPE(timer->target, pe->state->CoroutineType)) {
        core_coroutine_resume(pe, timer->target);
        return;
    }
    if (timer->coroutine) {
        core_coroutine_start(pe, NULL, timer->target,
                             ((PyTupleObject *)timer->args)->ob_item,
                             PyTuple_GET_SIZE(timer->args), NULL, NULL, NULL);
        return;
    }
    result = PyObject_Call(timer->target, timer->args, NULL);
    if (result == NULL) {
        core_failed_in_function(pe, timer->target);
    }
    Py_XDECREF(result);
}

static void
timer_fired(const chare_call *call, void *context)
{
    struct core_timer *timer = (struct core_timer *)context;
    struct core_pe *pe = chare_user(call->runtime);

    pe->state->current = pe;
    timer_unlink(timer);
    timer_run(pe, timer);
    timer_release(timer);
}

enum {
    NS_PER_S = 1000000000
};

/* -1 with an exception. */
static int
timer_start(struct core_pe *pe, PyObject *target, PyObject *args,
            double seconds, bool coroutine)
{
    struct core_timer *timer;
    chare_status status;

    if (isnan(seconds) || seconds > 1e9) {
        PyErr_SetString(PyExc_ValueError, "that is no time to wait");
        return -1;
    }
    timer = PyMem_Calloc(1, sizeof(*timer));
    if (timer == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    timer->pe = pe;
    timer->target = Py_NewRef(target);
    timer->args = Py_NewRef(args);
    timer->coroutine = coroutine;
    status = chare_timer_start(
        pe->runtime, seconds > 0 ? (uint64_t)(seconds * NS_PER_S) : 0,
        timer_fired, timer, NULL);
    if (status != CHARE_OK) {
        timer_release(timer);
        core_raise(pe->state, status, "cannot start a timer");
        return -1;
    }
    timer->next = pe->timers;
    if (pe->timers != NULL) {
        pe->timers->prev = timer;
    }
    pe->timers = timer;
    return 0;
}

void
core_timers_close(struct core_pe *pe)
{
    while (pe->timers != NULL) {
        struct core_timer *timer = pe->timers;

        timer_unlink(timer);
        timer_release(timer);
    }
}

/* timer_start(callable, seconds, args tuple, as coroutine) */
PyObject *
core_timer_start(PyObject *module, PyObject *args)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    PyObject *target;
    PyObject *target_args;
    double seconds;
    int coroutine;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "OdO!p", &target, &seconds, &PyTuple_Type,
                          &target_args, &coroutine) ||
        timer_start(pe, target, target_args, seconds, coroutine != 0) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
core_sleep(PyObject *module, PyObject *seconds)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    double number = PyFloat_AsDouble(seconds);
    PyObject *coroutine;

    if (pe == NULL || (number == -1 && PyErr_Occurred())) {
        return NULL;
    }
    coroutine = core_coroutine_current(pe, "sleep()");
    if (coroutine == NULL ||
        timer_start(pe, coroutine, state->no_args, number, false) < 0 ||
        core_coroutine_suspend(pe, "sleep()") < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
core_quiescence(PyObject *module, PyObject *callback)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_callback target;
    chare_status status;

    if (pe == NULL || core_callback_get(state, callback, &target) < 0) {
        return NULL;
    }
    status = chare_quiescence(pe->runtime, &target);
    if (status != CHARE_OK) {
        return core_raise(state, status, "cannot detect quiescence");
    }
    Py_RETURN_NONE;
}
