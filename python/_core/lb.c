/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb.c - load balancing: AtSync(), what chares say they cost, strategies in
 * Python.
 */
#include "object.h"
#include "state.h"

#include <math.h>

/* ---- chares */

/* The entry id of resumeFromSync(); 0: the class has none. */
static uint32_t
resume_entry(const struct core_class *cls)
{
    for (Py_ssize_t i = 0; i < cls->entry_count; i++) {
        if (PyUnicode_CompareWithASCIIString(cls->entries[i].name,
                                             "resumeFromSync") == 0) {
            return cls->entries[i].id;
        }
    }
    return 0;
}

PyObject *
core_chare_at_sync(PyObject *op, PyObject *unused)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = self->owner->state;
    struct core_pe *pe = core_pe_get(state);
    const uint32_t entry = resume_entry(self->owner);
    chare_callback resume;
    chare_element name;
    chare_status status;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    core_chare_name(self, &name);
    resume = chare_callback_element(name, entry);
    status = chare_at_sync(pe->runtime, &name, entry != 0 ? &resume : NULL);
    if (status == CHARE_ERR_INVALID) {
        PyErr_Format(state->Error,
                     "%R: AtSync() is for chares of arrays that were created "
                     "with useAtSync=True, or whose chares were inserted so",
                     op);
        return NULL;
    }
    if (status == CHARE_ERR_STATE) {
        PyErr_Format(state->Error,
                     "%R called AtSync() before, and was not resumed yet", op);
        return NULL;
    }
    if (status != CHARE_OK) {
        return core_raise(state, status, "AtSync()");
    }
    Py_RETURN_NONE;
}

/* (chare, seconds) */
static PyObject *
lb_set_load(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    PyObject *object;
    chare_element name;
    chare_status status;
    double seconds;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "O!d", state->ChareType, &object, &seconds)) {
        return NULL;
    }
    core_chare_name((struct core_chare *)object, &name);
    status = chare_lb_set_load(pe->runtime, &name, seconds);
    if (status == CHARE_ERR_INVALID) {
        PyErr_Format(PyExc_ValueError, "a load of %S seconds",
                     PyTuple_GET_ITEM(args, 1));
        return NULL;
    }
    if (status != CHARE_OK) {
        return core_raise(state, status, "set_load()");
    }
    Py_RETURN_NONE;
}

/* ---- strategies */

static PyObject *
floats_build(const float *values, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *value = PyFloat_FromDouble((double)values[i]);

        if (value == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, value);
    }
    return list;
}

/* Both kinds are numbers of PEs, or truth values. */
static PyObject *
numbers_build(const uint32_t *numbers, const uint8_t *truths, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *value = numbers != NULL ? PyLong_FromUnsignedLong(numbers[i])
                                          : PyBool_FromLong(truths[i]);

        if (value == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, value);
    }
    return list;
}

/* The PEs that a strategy answers with, as many as there are objects. */
static bool
answer_parse(PyObject *answer, size_t count, uint32_t *to)
{
    PyObject *items =
        PySequence_Fast(answer, "a strategy returns a sequence of PEs");
    bool good = items != NULL;

    if (good && PySequence_Fast_GET_SIZE(items) != (Py_ssize_t)count) {
        PyErr_Format(PyExc_ValueError,
                     "a strategy returned %zd PEs for %zu objects",
                     PySequence_Fast_GET_SIZE(items), count);
        good = false;
    }
    for (size_t i = 0; good && i < count; i++) {
        PyObject *number =
            PyNumber_Index(PySequence_Fast_GET_ITEM(items, (Py_ssize_t)i));
        const unsigned long pe =
            number != NULL ? PyLong_AsUnsignedLong(number) : 0;

        Py_XDECREF(number);
        good = !PyErr_Occurred();
        to[i] = pe < CHARE_ANY_PE ? (uint32_t)pe : CHARE_ANY_PE;
    }
    Py_XDECREF(items);
    return good;
}

static PyObject *
ask(PyObject *strategy, const chare_lb_problem *problem)
{
    const size_t objects = problem->object_count;
    const size_t pes = problem->pe_count;
    PyObject *asked =
        Py_BuildValue("(NNNNN)", floats_build(problem->work, objects),
                      numbers_build(problem->from, NULL, objects),
                      numbers_build(NULL, problem->fixed, objects),
                      floats_build(problem->speeds, pes),
                      floats_build(problem->background, pes));
    PyObject *answer =
        asked != NULL ? PyObject_CallObject(strategy, asked) : NULL;

    Py_XDECREF(asked);
    return answer;
}

/* What it raised is said once: it may be asked often. */
static void
strategy_failed(struct core_pe *pe, PyObject *strategy)
{
    if (pe->strategy_failed) {
        PyErr_Clear();
    } else {
        PyErr_WriteUnraisable(strategy);
    }
    pe->strategy_failed = true;
}

static chare_status
decide(void *context, const chare_lb_problem *problem, uint32_t *to)
{
    struct core_pe *pe = context;
    PyObject *strategy = pe->strategy;
    PyObject *answer;
    bool good;

    core_enter(pe);
    pe->asked = problem;
    answer = ask(strategy, problem);
    pe->asked = NULL;
    good = answer != NULL && answer_parse(answer, problem->object_count, to);
    if (!good && !core_error_travels()) { /* the job is to end */
        core_failed_in_function(pe, strategy);
        memcpy(to, problem->from, problem->object_count * sizeof(*to));
        good = true;
    } else if (!good) {
        strategy_failed(pe, strategy);
    }
    Py_XDECREF(answer);
    core_leave(pe);
    return good ? CHARE_OK : CHARE_ERR_INVALID;
}

/* While a strategy is asked: [(object, object, bytes), ...], or None. */
static PyObject *
lb_talks(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const chare_lb_problem *asked = pe != NULL ? pe->asked : NULL;
    PyObject *list;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    if (asked == NULL) {
        PyErr_SetString(pe->state->Error,
                        "charm.lb.talks() is for strategies, while they are "
                        "asked");
        return NULL;
    }
    if (asked->edge_first == NULL) {
        Py_RETURN_NONE;
    }
    list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < asked->object_count; i++) {
        for (size_t e = asked->edge_first[i];
             list != NULL && e < asked->edge_first[i + 1]; e++) {
            PyObject *talk =
                asked->edge_to[e] < i
                    ? Py_NewRef(Py_None)
                    : Py_BuildValue("(nId)", (Py_ssize_t)i, asked->edge_to[e],
                                    (double)asked->edge_bytes[e]);

            if (talk == NULL ||
                (talk != Py_None && PyList_Append(list, talk) < 0)) {
                Py_CLEAR(list);
            }
            Py_XDECREF(talk);
        }
    }
    return list;
}

/* {"Class.method": how often it kept its chare from moving}, on this PE. */
static PyObject *
lb_kept(PyObject *module, PyObject *unused)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    PyObject *kept = pe != NULL ? PyDict_New() : NULL;

    (void)unused;
    for (uint32_t id = 0; kept != NULL && id < state->entry_room; id++) {
        const uint64_t times = chare_stats_kept(pe->runtime, id);
        PyObject *count;

        if (times == 0 || state->entries[id] == NULL) {
            continue;
        }
        count = PyLong_FromUnsignedLongLong(times);
        if (count == NULL ||
            PyDict_SetItem(kept, state->entries[id]->fullname, count) < 0) {
            Py_CLEAR(kept);
        }
        Py_XDECREF(count);
    }
    return kept;
}

/* (name, callable); one for each PE. */
static PyObject *
lb_register(PyObject *module, PyObject *args)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    PyObject *function;
    const char *name;
    chare_status status;

    if (pe == NULL || !PyArg_ParseTuple(args, "sO", &name, &function)) {
        return NULL;
    }
    status = chare_lb_register(pe->runtime, name, decide, pe);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, name);
    }
    Py_XSETREF(pe->strategy, Py_NewRef(function));
    pe->strategy_failed = false;
    Py_RETURN_NONE;
}

/* The name of a strategy, "" for none. */
static PyObject *
lb_use(PyObject *module, PyObject *name)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const char *text = PyUnicode_AsUTF8(name);

    if (pe == NULL || text == NULL) {
        return NULL;
    }
    if (chare_lb_use(pe->runtime, text) != CHARE_OK) {
        PyErr_Format(pe->state->Error,
                     "there is no load balancing strategy %R; 'chare lb "
                     "--list' shows them",
                     name);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
lb_measure(PyObject *module, PyObject *on)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const int truth = PyObject_IsTrue(on);

    if (pe == NULL || truth < 0) {
        return NULL;
    }
    chare_lb_measure(pe->runtime, truth != 0);
    Py_RETURN_NONE;
}

/* (seconds) */
static PyObject *
lb_every(PyObject *module, PyObject *number)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const double seconds = pe != NULL ? PyFloat_AsDouble(number) : -1;
    chare_status status;

    if (pe == NULL || (seconds == -1 && PyErr_Occurred())) {
        return NULL;
    }
    status = chare_lb_every(pe->runtime, seconds);
    if (status == CHARE_ERR_INVALID) {
        PyErr_Format(PyExc_ValueError,
                     "charm.lb.every(%S): a period is from 0 (never) to 1e6 "
                     "seconds",
                     number);
        return NULL;
    }
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "charm.lb.every()");
    }
    Py_RETURN_NONE;
}

/* (every) */
static PyObject *
lb_count_calls(PyObject *module, PyObject *number)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    int overflow = 0;
    const long every =
        pe != NULL ? PyLong_AsLongAndOverflow(number, &overflow) : 0;

    if (pe == NULL || (every == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (overflow != 0 || every < 0 || every > UINT32_MAX ||
        chare_lb_count_calls(pe->runtime, (uint32_t)every) != CHARE_OK) {
        PyErr_Format(PyExc_ValueError,
                     "one call in %S is to be counted; it is at most one in "
                     "1048576",
                     number);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* (file name) */
static PyObject *
lb_history(PyObject *module, PyObject *name)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const char *text = PyUnicode_AsUTF8(name);
    chare_status status;

    if (pe == NULL || text == NULL) {
        return NULL;
    }
    status = chare_lb_history(pe->runtime, text);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, text);
    }
    Py_RETURN_NONE;
}

static PyObject *
lb_report(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    chare_lb_report report = {.size = sizeof(report)};

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    chare_lb_report_get(pe->runtime, &report);
    return Py_BuildValue(
        "{sKsKsKsKsKsdsdsdsdsKsdsdsssdsdsdsdsdsdsd}", "sessions",
        (unsigned long long)report.sessions, "moves",
        (unsigned long long)report.moves, "refused",
        (unsigned long long)report.refused, "arrived",
        (unsigned long long)report.arrived, "objects",
        (unsigned long long)report.objects, "decision",
        (double)report.decision_ns * 1e-9, "bound", report.bound,
        "time_before", report.time_before, "time_after", report.time_after,
        "looks", (unsigned long long)report.looks, "gain", report.gain, "cost",
        report.cost, "strategy", report.strategy, "talk_messages",
        report.talk_messages, "talk_bytes", report.talk_bytes, "talk_lost",
        report.talk_lost, "cut_before", report.cut_before, "cut_after",
        report.cut_after, "hops_before", report.hops_before, "hops_after",
        report.hops_after);
}

/* What nobody knows is None. */
static PyObject *
number_build(double value)
{
    return isnan(value) ? Py_NewRef(Py_None) : PyFloat_FromDouble(value);
}

/* (PE); None: nothing is known of it here. */
static PyObject *
lb_pe(PyObject *module, PyObject *number)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const unsigned long which = pe != NULL ? PyLong_AsUnsignedLong(number) : 0;
    chare_lb_pe found = {.size = sizeof(found)};

    if (pe == NULL || PyErr_Occurred()) {
        return NULL;
    }
    if (which >= CHARE_ANY_PE ||
        chare_lb_pe_get(pe->runtime, (uint32_t)which, &found) != CHARE_OK) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue(
        "{sKsdsdsdsdsdsdsNsNsN}", "chares", (unsigned long long)found.chares,
        "period", found.period, "busy", found.busy, "idle", found.idle,
        "background", found.background, "speed", found.speed, "share",
        found.share, "mhz", number_build(found.mhz), "celsius",
        number_build(found.celsius), "watts", number_build(found.watts));
}

PyMethodDef core_lb_functions[] = {
    {"lb_set_load", lb_set_load, METH_VARARGS,
     PyDoc_STR("What a chare says it costs: (chare, seconds).")},
    {"lb_use", lb_use, METH_O, PyDoc_STR("Choose a strategy by its name.")},
    {"lb_register", lb_register, METH_VARARGS,
     PyDoc_STR("Make a strategy known: (name, callable).")},
    {"lb_measure", lb_measure, METH_O,
     PyDoc_STR("Measure what chares cost, or not.")},
    {"lb_every", lb_every, METH_O,
     PyDoc_STR("Balance by the clock: seconds, or 0.")},
    {"lb_talks", lb_talks, METH_NOARGS,
     PyDoc_STR("Who talks to whom, while a strategy is asked.")},
    {"lb_count_calls", lb_count_calls, METH_O,
     PyDoc_STR("Count who calls whom: one call in so many, or 0.")},
    {"lb_history", lb_history, METH_O,
     PyDoc_STR("Keep what happens, for a file at the end: its name.")},
    {"lb_kept", lb_kept, METH_NOARGS,
     PyDoc_STR("How often suspended methods kept chares here, as a dict.")},
    {"lb_report", lb_report, METH_NOARGS,
     PyDoc_STR("What balancing has done, as a dict.")},
    {"lb_pe", lb_pe, METH_O,
     PyDoc_STR("What a PE was busy with, as a dict, or None.")},
    {NULL, NULL, 0, NULL},
};
