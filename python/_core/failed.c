/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failed.c - chares whose constructor failed: who is told, and what becomes of
 * calls to them.
 */
#include "state.h"

/* ---- failing */

/* It is being told: calls that waited for it need wait no more. */
static void
failure_told(struct core_pe *pe, struct core_chare *chare)
{
    if (!chare->rare->told) {
        chare->rare->told = true;
        core_build_failed(pe, chare);
    }
}

/* Ask whether somebody waits; false: nobody can be asked. */
static bool
failure_ask(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *function = core_support(pe->state, "constructor_failed");
    PyObject *answer = NULL;
    chare_element name;
    bool asked;

    core_chare_name(chare, &name);
    if (function != NULL) {
        answer = PyObject_CallFunction(function, "OKNI", (PyObject *)chare,
                                       (unsigned long long)name.collection,
                                       core_index_build(&name.index),
                                       (unsigned)chare->rare->maker);
        Py_DECREF(function);
    }
    asked = answer == Py_True;
    Py_XDECREF(answer);
    PyErr_Clear();
    return asked;
}

/* Nobody waits: the job ends, unless it forgives. */
static void
failure_report(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *error = chare->rare->failure;

    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    core_failed_of(pe, &chare->owner->init, chare, NULL);
    failure_told(pe, chare);
}

bool
core_construction_failed(struct core_pe *pe, struct core_chare *chare)
{
    if (chare->building != CORE_BUILDING || pe->exiting || pe->forked ||
        !core_error_travels() ||
        PyErr_ExceptionMatches(pe->state->Destroyed)) {
        return false;
    }
    chare->building = CORE_BUILD_FAILED;
    chare->rare->failure = core_exception_take();
    if (core_build_is_awaited(chare)) {
        failure_told(pe, chare);
    } else if (!failure_ask(pe, chare)) {
        failure_report(pe, chare);
    }
    return true;
}

/* ---- calls */

/* Set the Error of what is asked of one that failed; 'what' is a text. */
static void
failure_raise(struct core_state *state, const struct core_chare *chare,
              PyObject *what)
{
    PyObject *function = core_support(state, "of_failed");
    PyObject *error = NULL;

    if (function != NULL) {
        error = PyObject_CallFunctionObjArgs(function, (PyObject *)chare, what,
                                             chare->rare->failure, NULL);
        Py_DECREF(function);
    }
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

int
core_failure_check(struct core_state *state, void *object, const char *what)
{
    const struct core_chare *chare = (const struct core_chare *)object;
    PyObject *text;

    if (chare == NULL || chare->building != CORE_BUILD_FAILED) {
        return 0;
    }
    text = PyUnicode_FromString(what);
    if (text != NULL) {
        failure_raise(state, chare, text);
        Py_DECREF(text);
    }
    return -1;
}

void
core_failure_answer(struct core_pe *pe, const struct core_entry *entry,
                    struct core_chare *chare, const chare_reply *reply)
{
    PyObject *error = chare->rare->failure;

    if (core_entry_is_ready(entry)) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        core_failed_of(pe, &chare->owner->init, chare, reply);
    } else {
        failure_raise(pe->state, chare, entry->fullname);
        core_failed_of(pe, entry, chare, reply);
    }
}

bool
core_failure_takes(struct core_pe *pe, const struct core_entry *entry,
                   struct core_chare *chare, const chare_call *call)
{
    chare_reply reply;

    if (!chare->rare->told && !core_entry_is_ready(entry)) {
        return false;
    }
    if (call->wants_reply) {
        chare_call_take_reply(call, &reply);
        core_failure_answer(pe, entry, chare, &reply);
    } else {
        core_failure_answer(pe, entry, chare, NULL);
    }
    failure_told(pe, chare);
    return true;
}

/* ---- functions of the module */

/* construction_unawaited(chare) */
static PyObject *
failed_unawaited(PyObject *module, PyObject *object)
{
    struct core_state *state = core_state_get(module);
    struct core_chare *chare = (struct core_chare *)object;
    struct core_pe *pe = core_pe_get(state);

    if (pe == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(object, state->ChareType) || chare->rare == NULL ||
        chare->rare->failure == NULL) {
        PyErr_SetString(PyExc_TypeError, "a chare that failed is needed");
        return NULL;
    }
    if (!chare->rare->told && !pe->exiting) {
        failure_report(pe, chare);
    }
    Py_RETURN_NONE;
}

/* construction_error(chare) */
static PyObject *
failed_error(PyObject *module, PyObject *object)
{
    struct core_state *state = core_state_get(module);
    const struct core_chare *chare = (const struct core_chare *)object;
    PyObject *error = Py_None;

    if (PyObject_TypeCheck(object, state->ChareType) && chare->rare != NULL &&
        chare->rare->failure != NULL) {
        error = chare->rare->failure;
    }
    return Py_NewRef(error);
}

/* creation_of(proxy) */
static PyObject *
failed_creation_of(PyObject *module, PyObject *object)
{
    const struct core_proxy *proxy = (const struct core_proxy *)object;
    PyObject *index;

    if (!core_is_proxy(core_state_get(module), object)) {
        PyErr_Format(PyExc_TypeError, "%R is no proxy", object);
        return NULL;
    }
    index = core_proxy_is_element(proxy)
                ? core_index_build(&proxy->element.index)
                : Py_NewRef(Py_None);
    return Py_BuildValue("(KN)", (unsigned long long)proxy->element.collection,
                         index);
}

PyMethodDef core_failed_functions[] = {
    {"construction_unawaited", failed_unawaited, METH_O,
     PyDoc_STR("Nobody waits for a chare whose constructor failed.")},
    {"construction_error", failed_error, METH_O,
     PyDoc_STR("What the constructor of a chare raised, or None.")},
    {"creation_of", failed_creation_of, METH_O,
     PyDoc_STR("(collection, index or None) of a proxy.")},
    {NULL, NULL, 0, NULL},
};
