/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timer.c - what happens later: timers, sleeping, quiescence.
 */
#include "state.h"

#include <math.h>

/* What a timer does with its target. */
enum timer_kind {
    TIMER_CALLS,
    TIMER_RUNS_COROUTINE, /* calls it as one */
    TIMER_COMPLETES,      /* a future of this PE */
    TIMER_EXPIRES,        /* the same by a TimeoutError */
};

struct core_timer {
    struct core_pe *pe;
    PyObject *target; /* a callable or a future */
    PyObject *args;   /* tuple; NULL for a future */
    enum timer_kind kind;
    uint64_t id;             /* of the runtime */
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

/* A future's time has come. */
static void
timer_complete(struct core_timer *timer)
{
    PyObject *value = Py_NewRef(Py_None);

    if (timer->kind == TIMER_EXPIRES) {
        ((struct core_future *)timer->target)->timer = NULL; /* it is fired */
        Py_SETREF(value, PyObject_CallFunction(
                             PyExc_TimeoutError, "s",
                             "no value has come within the timeout"));
        if (value == NULL) {
            value = core_exception_take();
        }
    }
    core_future_complete((struct core_future *)timer->target, value);
}

static void
timer_run(struct core_pe *pe, struct core_timer *timer)
{
    PyObject *result;

    if (timer->kind == TIMER_COMPLETES || timer->kind == TIMER_EXPIRES) {
        timer_complete(timer);
        return;
    }
    if (timer->kind == TIMER_RUNS_COROUTINE) {
        core_coroutine_start(pe, NULL, timer->target,
                             ((PyTupleObject *)timer->args)->ob_item,
                             PyTuple_GET_SIZE(timer->args), NULL, NULL);
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

    core_enter(pe);
    timer_unlink(timer);
    timer_run(pe, timer);
    timer_release(timer);
    core_leave(pe);
}

enum {
    NS_PER_S = 1000000000
};

/* -1 with an exception. */
static int
timer_start(struct core_pe *pe, PyObject *target, PyObject *args,
            double seconds, enum timer_kind kind,
            struct core_timer **timer_out)
{
    struct core_timer *timer;
    chare_status status;

    if (isnan(seconds) || seconds > 1e9) {
        PyObject *given = PyFloat_FromDouble(seconds);

        if (given != NULL) {
            PyErr_Format(PyExc_ValueError,
                         "%S seconds are no time to wait: it is a number up "
                         "to 1e9; without a timeout, give None",
                         given);
            Py_DECREF(given);
        }
        return -1;
    }
    timer = PyMem_Calloc(1, sizeof(*timer));
    if (timer == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    timer->pe = pe;
    timer->target = Py_NewRef(target);
    timer->args = Py_XNewRef(args);
    timer->kind = kind;
    status = chare_timer_start(
        pe->runtime, seconds > 0 ? (uint64_t)(seconds * NS_PER_S) : 0,
        timer_fired, timer, &timer->id);
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
    if (timer_out != NULL) {
        *timer_out = timer;
    }
    return 0;
}

struct core_timer *
core_timer_expire(struct core_pe *pe, struct core_future *future,
                  double seconds)
{
    struct core_timer *timer;

    if (timer_start(pe, (PyObject *)future, NULL, seconds, TIMER_EXPIRES,
                    &timer) < 0) {
        return NULL;
    }
    return timer;
}

void
core_timer_stop(struct core_timer *timer)
{
    if (chare_timer_stop(timer->pe->runtime, timer->id)) {
        timer_unlink(timer);
        timer_release(timer);
    }
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
        timer_start(pe, target, target_args, seconds,
                    coroutine != 0 ? TIMER_RUNS_COROUTINE : TIMER_CALLS,
                    NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
core_timer_count(PyObject *module, PyObject *unused)
{
    const struct core_pe *pe = core_pe_get(core_state_get(module));
    unsigned long count = 0;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    for (const struct core_timer *timer = pe->timers; timer != NULL;
         timer = timer->next) {
        count++;
    }
    return PyLong_FromUnsignedLong(count);
}

PyObject *
core_sleep(PyObject *module, PyObject *seconds)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    double number = PyFloat_AsDouble(seconds);
    struct core_future *future;

    if (pe == NULL || (number == -1 && PyErr_Occurred())) {
        return NULL;
    }
    future = core_future_new_local(pe, "charm.sleep()");
    if (future == NULL) {
        return NULL;
    }
    if (timer_start(pe, (PyObject *)future, NULL, number, TIMER_COMPLETES,
                    NULL) < 0) {
        Py_DECREF(future);
        return NULL;
    }
    return core_future_await(pe, future, "charm.sleep()");
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
