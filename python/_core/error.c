/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - exceptions: from statuses, to other PEs, and to the user.
 *
 * An exception that leaves an entry method goes to who asked for a reply;
 * when nobody did, one report goes to stderr and the job ends. SystemExit
 * ends the job with its code, KeyboardInterrupt with 130.
 */
#include <stdarg.h>

#include "state.h"

enum {
    EXIT_INTERRUPTED = 130
};

PyObject *
core_raise(struct core_state *state, chare_status status, const char *what)
{
    if (status == CHARE_ERR_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    PyErr_Format(state->Error, "%s: %s (%s)", what, chare_status_text(status),
                 chare_status_name(status));
    return NULL;
}

/* Set an exception object, which is given up. */
static void
exception_set(PyObject *error)
{
    if (error != NULL && PyExceptionInstance_Check(error)) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(error);
}

PyObject *
core_mistake(struct core_state *state, const char *format, ...)
{
    PyObject *function = core_support(state, "mistake");
    PyObject *error = NULL;
    PyObject *args;
    va_list list;

    va_start(list, format);
    args = function != NULL ? Py_VaBuildValue(format, list) : NULL;
    va_end(list);
    if (args != NULL) {
        error = PyObject_CallObject(function, args);
        Py_DECREF(args);
    }
    Py_XDECREF(function);
    exception_set(error);
    return NULL;
}

void
core_unsendable(struct core_state *state, PyObject *what, PyObject *names,
                PyObject *const *values, Py_ssize_t count)
{
    PyObject *error = core_exception_take();
    PyObject *list = PyTuple_New(count);

    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyTuple_SET_ITEM(list, i, Py_NewRef(values[i]));
    }
    if (list != NULL) {
        core_mistake(state, "(sOOOO)", "unsendable", error, what, names, list);
        Py_DECREF(list);
    }
    Py_XDECREF(error);
}

PyObject *
core_exception_take(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type;
    PyObject *value;
    PyObject *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* SystemExit: its code, as Python itself would understand it. */
static void
exit_with(struct core_pe *pe, PyObject *error)
{
    PyObject *function;
    PyObject *code = NULL;
    long number = 1;

    if (pe->exiting) {
        return; /* raised by charm.exit() itself */
    }
    function = core_support(pe->state, "exit_code");
    if (function != NULL) {
        code = PyObject_CallOneArg(function, error);
        Py_DECREF(function);
    }
    if (code != NULL) {
        number = PyLong_AsLong(code);
        Py_DECREF(code);
    }
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(error);
        number = 1;
    }
    pe->exiting = true;
    chare_exit(pe->runtime, (int)(number & 0xff));
}

/* The report alone, for the prompt's user. */
static void
tell_console(struct core_pe *pe, PyObject *text)
{
    PyObject *function = core_support(pe->state, "tell_console");
    PyObject *result = NULL;

    if (function != NULL) {
        result = PyObject_CallOneArg(function, text != NULL ? text : Py_None);
        Py_DECREF(function);
    }
    if (result == NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(result);
}

/* The report on stderr, and the end of the job. */
static void
abort_with(struct core_pe *pe, PyObject *error, const char *what,
           PyObject *index, int code)
{
    PyObject *function = core_support(pe->state, "report");
    PyObject *text = NULL;
    const char *utf8 = NULL;

    if (function != NULL) {
        text = PyObject_CallFunction(function, "OIsO", error,
                                     (unsigned)pe->rank, what, index);
        Py_DECREF(function);
    }
    if (text != NULL) {
        utf8 = PyUnicode_AsUTF8(text);
    }
    if (utf8 == NULL) {
        PyErr_WriteUnraisable(error);
        utf8 = "uncaught exception";
    }
    if (pe->forgives && code == 1) {
        tell_console(pe, text);
    } else {
        pe->exiting = true;
        chare_abort(pe->runtime, code, utf8);
    }
    Py_XDECREF(text);
}

static void
error_end_job(struct core_pe *pe, PyObject *error, const char *what,
              PyObject *index)
{
    if (PyErr_GivenExceptionMatches(error, PyExc_SystemExit)) {
        exit_with(pe, error);
    } else if (PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt)) {
        abort_with(pe, error, what, index, EXIT_INTERRUPTED);
    } else {
        abort_with(pe, error, what, index, 1);
    }
}

/* Whether the exception is for who asked, and not for the whole job. */
static bool
error_travels(PyObject *error)
{
    return !PyErr_GivenExceptionMatches(error, PyExc_SystemExit) &&
           !PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt);
}

bool
core_error_travels(void)
{
    return !PyErr_ExceptionMatches(PyExc_SystemExit) &&
           !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

bool
core_error_reply(struct core_pe *pe, PyObject *error, const chare_reply *reply)
{
    chare_data data;
    chare_status status;

    if (core_data_value(pe, false, error, &data) < 0) {
        PyErr_WriteUnraisable(error);
        return false;
    }
    status = chare_reply_send(pe->runtime, reply, &data);
    if (status != CHARE_OK) {
        core_data_drop(&data);
        return false;
    }
    return true;
}

/* Note in an exception which chare raised it; without it is no failure. */
static void
error_locate(struct core_pe *pe, PyObject *error,
             const struct core_entry *entry, PyObject *index)
{
    PyObject *function = core_support(pe->state, "locate");
    PyObject *done = NULL;

    if (function != NULL) {
        done = PyObject_CallFunctionObjArgs(function, error, entry->fullname,
                                            index, NULL);
        Py_DECREF(function);
    }
    if (done == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(done);
}

void
core_failed(struct core_pe *pe, const struct core_entry *entry,
            const chare_element *self, const chare_reply *reply)
{
    PyObject *error = core_exception_take();
    const char *what = PyUnicode_AsUTF8(entry->fullname);
    PyObject *index;

    if (error == NULL) {
        return;
    }
    if (core_failed_destroyed(pe, error, reply)) {
        Py_DECREF(error);
        return;
    }
    index = self != NULL ? core_index_build(&self->index) : Py_NewRef(Py_None);
    if (index == NULL) {
        PyErr_Clear();
        index = Py_NewRef(Py_None);
    }
    if (reply != NULL && error_travels(error) && !pe->forked) {
        error_locate(pe, error, entry, index);
        if (core_error_reply(pe, error, reply)) {
            Py_DECREF(index);
            Py_DECREF(error);
            return;
        }
    }
    error_end_job(pe, error, what != NULL ? what : "?", index);
    Py_DECREF(index);
    Py_DECREF(error);
}

void
core_failed_of(struct core_pe *pe, const struct core_entry *entry,
               const struct core_chare *chare, const chare_reply *reply)
{
    chare_element name;

    if (chare != NULL) {
        if (entry == &chare->owner->init && reply == NULL &&
            core_construction_failed(pe,
                                     (struct core_chare *)(uintptr_t)chare)) {
            return;
        }
        core_chare_name(chare, &name);
    }
    core_failed(pe, entry, chare != NULL ? &name : NULL, reply);
}

void
core_failed_in(struct core_pe *pe, const char *what)
{
    PyObject *error = core_exception_take();

    if (error == NULL) {
        return;
    }
    error_end_job(pe, error, what, Py_None);
    Py_DECREF(error);
}

void
core_failed_hook(struct core_pe *pe, const struct core_class *cls,
                 const char *hook, const chare_element *self)
{
    PyObject *error = core_exception_take();
    PyObject *index = core_index_build(&self->index);
    PyObject *what = PyUnicode_FromFormat("%U.%s", cls->name, hook);
    const char *text = what != NULL ? PyUnicode_AsUTF8(what) : NULL;

    PyErr_Clear();
    if (error != NULL && !core_failed_destroyed(pe, error, NULL)) {
        error_end_job(pe, error, text != NULL ? text : hook,
                      index != NULL ? index : Py_None);
    }
    Py_XDECREF(what);
    Py_XDECREF(index);
    Py_XDECREF(error);
}

void
core_failed_in_function(struct core_pe *pe, PyObject *function)
{
    PyObject *error = core_exception_take();
    PyObject *name = PyObject_GetAttrString(function, "__qualname__");
    const char *what = name != NULL && PyUnicode_Check(name)
                           ? PyUnicode_AsUTF8(name)
                           : "a scheduled callable";

    PyErr_Clear();
    if (error != NULL) {
        error_end_job(pe, error, what != NULL ? what : "?", Py_None);
        Py_DECREF(error);
    }
    Py_XDECREF(name);
}

int
core_error_encode(struct core_pe *pe, chare_encoder *encoder, PyObject *error)
{
    PyObject *function = core_support(pe->state, "describe");
    struct core_chare *moving = pe->moving;
    PyObject *parts;
    const char *kind;
    const char *message;
    const char *details;
    PyObject *pickle;
    int result = -1;

    if (function == NULL) {
        return -1;
    }
    pe->moving = NULL; /* F4 of follow.c */
    parts = PyObject_CallOneArg(function, error);
    pe->moving = moving;
    Py_DECREF(function);
    if (parts == NULL) {
        return -1;
    }
    if (PyArg_ParseTuple(parts, "sssO!", &kind, &message, &details,
                         &PyBytes_Type, &pickle)) {
        bool has_object = PyBytes_GET_SIZE(pickle) > 0;

        chare_put_error(encoder, kind, message, details, has_object);
        if (has_object) {
            chare_put_extern(encoder, CORE_EXTERN_PICKLE,
                             PyBytes_AS_STRING(pickle),
                             (size_t)PyBytes_GET_SIZE(pickle));
        }
        result = 0;
    }
    Py_DECREF(parts);
    return result;
}

PyObject *
core_error_decode(struct core_reader *reader, size_t item_count)
{
    PyObject *items = PyTuple_New(4);
    PyObject *function;
    PyObject *error = NULL;

    if (items == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < 4; i++) {
        PyObject *item = NULL;

        if (i < item_count) {
            item = core_decode(reader);
        }
        if (item == NULL && i < 3) {
            Py_DECREF(items);
            return NULL;
        }
        if (item == NULL) {
            /* An object that cannot be made here: its words must do. */
            PyErr_Clear();
            item = Py_NewRef(Py_None);
        }
        PyTuple_SET_ITEM(items, (Py_ssize_t)i, item);
    }
    function = core_support(reader->pe->state, "rebuild");
    if (function != NULL) {
        error = PyObject_Call(function, items, NULL);
        Py_DECREF(function);
    }
    Py_DECREF(items);
    return error;
}

PyObject *
core_error_among(struct core_pe *pe, PyObject *results)
{
    PyObject *function;
    PyObject *error = NULL;
    bool found = false;

    if (pe->state->error_items || !PyList_CheckExact(results)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; !found && i < PyList_GET_SIZE(results); i++) {
        found = PyExceptionInstance_Check(PyList_GET_ITEM(results, i));
    }
    if (!found) {
        return NULL;
    }
    function = core_support(pe->state, "broadcast_failed");
    if (function != NULL) {
        error = PyObject_CallOneArg(function, results);
        Py_DECREF(function);
    }
    if (error == NULL) {
        core_failed_in(pe, "the result of a broadcast");
    }
    return error;
}
