/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * entry.c - what is known of an entry method, and binding arguments to it.
 *
 * A call that only has positional arguments of the right number needs none of
 * this. The others are resolved at the call site, so that a mistake is a
 * TypeError there and not a report on another PE.
 */
#include "state.h"

int
core_entry_init(struct core_entry *entry, struct core_class *owner,
                PyObject *description)
{
    PyObject *when;
    int any_keyword;

    if (!PyArg_ParseTuple(description, "UOIO!O!nnO!pO!nhO", &entry->name,
                          &entry->function, &entry->flags, &PyTuple_Type,
                          &entry->params, &PyTuple_Type, &entry->defaults,
                          &entry->args_min, &entry->args_max,
                          &PyFrozenSet_Type, &entry->keywords, &any_keyword,
                          &PyTuple_Type, &entry->required,
                          &entry->positional_only, &entry->priority, &when)) {
        memset(entry, 0, sizeof(*entry));
        return -1;
    }
    Py_INCREF(entry->required);
    entry->when = when != Py_None ? Py_NewRef(when) : NULL;
    Py_INCREF(entry->name);
    Py_INCREF(entry->function);
    Py_INCREF(entry->params);
    Py_INCREF(entry->defaults);
    Py_INCREF(entry->keywords);
    entry->any_keyword = any_keyword != 0;
    entry->plain = PyFunction_Check(entry->function) && entry->when == NULL &&
                   (entry->flags & (CORE_ENTRY_SUSPENDS | CORE_ENTRY_NO_SELF |
                                    CORE_ENTRY_KEYWORDS)) == 0;
    entry->owner = owner;
    entry->fullname = PyUnicode_FromFormat("%U.%U", owner->name, entry->name);
    return entry->fullname != NULL ? 0 : -1;
}

void
core_entry_fini(struct core_entry *entry)
{
    Py_CLEAR(entry->name);
    Py_CLEAR(entry->function);
    Py_CLEAR(entry->params);
    Py_CLEAR(entry->defaults);
    Py_CLEAR(entry->keywords);
    Py_CLEAR(entry->required);
    Py_CLEAR(entry->when);
    Py_CLEAR(entry->sent);
    Py_CLEAR(entry->method);
    Py_CLEAR(entry->fullname);
}

int
core_entry_visit(struct core_entry *entry, visitproc visit, void *arg)
{
    Py_VISIT(entry->function);
    Py_VISIT(entry->defaults);
    Py_VISIT(entry->when);
    Py_VISIT(entry->sent);
    Py_VISIT(entry->method);
    return 0;
}

/* Where a name is from 'at' on, behind what was given by position; or -1. */
static Py_ssize_t
argument_position(const char *const *names, Py_ssize_t at, PyObject *name)
{
    while (names[at] != NULL &&
           PyUnicode_CompareWithASCIIString(name, names[at]) != 0) {
        at++;
    }
    return names[at] != NULL ? at : -1;
}

int
core_arguments_parse(const char *function, const char *const *names,
                     Py_ssize_t required, PyObject *const *args,
                     Py_ssize_t arg_count, PyObject *kwnames,
                     PyObject **values)
{
    Py_ssize_t count = 0;

    while (names[count] != NULL) {
        count++;
    }
    if (arg_count > count) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %zd arguments (%zd given)", function,
                     count, arg_count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < arg_count; i++) {
        values[i] = args[i];
    }
    count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        const Py_ssize_t at = argument_position(names, arg_count, name);

        if (at < 0) {
            PyErr_Format(PyExc_TypeError, "%s(): unexpected argument '%U'",
                         function, name);
            return -1;
        }
        values[at] = args[arg_count + i];
    }
    for (Py_ssize_t i = 0; i < required; i++) {
        if (values[i] == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%s() missing a required argument: '%s'", function,
                         names[i]);
            return -1;
        }
    }
    return 0;
}

static void
args_clear(PyObject **args, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_CLEAR(args[i]);
    }
}

/* Put keyword arguments where they belong; others into *rest. */
static int
bind_keyword(const struct core_entry *entry, PyObject **args, PyObject **rest,
             PyObject *name, PyObject *value)
{
    for (Py_ssize_t i = entry->positional_only;
         i < PyTuple_GET_SIZE(entry->params); i++) {
        PyObject *param = PyTuple_GET_ITEM(entry->params, i);

        if (param != name && PyUnicode_Compare(param, name) != 0) {
            continue;
        }
        if (args[i] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%U() got multiple values for argument '%U'",
                         entry->fullname, name);
            return -1;
        }
        args[i] = Py_NewRef(value);
        return 0;
    }
    if (!entry->any_keyword && PySet_Contains(entry->keywords, name) != 1) {
        PyErr_Format(PyExc_TypeError,
                     "%U() got an unexpected keyword argument '%U'",
                     entry->fullname, name);
        return -1;
    }
    if (*rest == NULL) {
        *rest = PyDict_New();
        if (*rest == NULL) {
            return -1;
        }
    }
    return PyDict_SetItem(*rest, name, value);
}

/* Fill the gaps with defaults; how many arguments there are then, or -1. */
static Py_ssize_t
bind_defaults(const struct core_entry *entry, PyObject **args,
              Py_ssize_t arg_count)
{
    Py_ssize_t param_count = PyTuple_GET_SIZE(entry->params);
    Py_ssize_t first_default = param_count - PyTuple_GET_SIZE(entry->defaults);
    Py_ssize_t last = arg_count;

    for (Py_ssize_t i = arg_count; i < param_count; i++) {
        if (args[i] != NULL) {
            last = i + 1;
        }
    }
    if (last < first_default) {
        last = first_default;
    }
    for (Py_ssize_t i = 0; i < last && i < param_count; i++) {
        if (args[i] != NULL) {
            continue;
        }
        if (i < first_default) {
            PyErr_Format(PyExc_TypeError,
                         "%U() missing a required argument: '%U'",
                         entry->fullname, PyTuple_GET_ITEM(entry->params, i));
            return -1;
        }
        args[i] =
            Py_NewRef(PyTuple_GET_ITEM(entry->defaults, i - first_default));
    }
    return last;
}

static bool
name_is(PyObject *name, PyObject *ours)
{
    return name == ours || PyUnicode_Compare(name, ours) == 0;
}

enum core_keyword
core_entry_keyword(struct core_state *state, const struct core_entry *entry,
                   PyObject *name)
{
    if (name_is(name, state->name_ret)) {
        return CORE_KEYWORD_RET;
    }
    if (name_is(name, state->name_awaitable)) {
        return CORE_KEYWORD_AWAITABLE;
    }
    if ((entry->flags & CORE_ENTRY_HAS_PRIORITY) == 0 &&
        name_is(name, state->name_priority)) {
        return CORE_KEYWORD_PRIORITY;
    }
    if ((entry->flags & CORE_ENTRY_HAS_WHEN) == 0 &&
        name_is(name, state->name_when)) {
        return CORE_KEYWORD_WHEN;
    }
    return CORE_KEYWORD_NONE;
}

/* Whether all keywords that must be given are in 'rest', a dict or NULL. */
static int
bind_required(const struct core_entry *entry, PyObject *rest)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(entry->required); i++) {
        PyObject *name = PyTuple_GET_ITEM(entry->required, i);

        if (rest == NULL || PyDict_Contains(rest, name) != 1) {
            PyErr_Format(PyExc_TypeError,
                         "%U() missing a required keyword argument: '%U'",
                         entry->fullname, name);
            return -1;
        }
    }
    return 0;
}

/* Append the signature to the TypeError that is set. */
static void
show_signature(const struct core_entry *entry)
{
    PyObject *function;
    PyObject *error;
    PyObject *text = NULL;

    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return;
    }
    error = core_exception_take();
    function = core_support(entry->owner->state, "signature");
    if (function != NULL) {
        text = PyObject_CallFunctionObjArgs(
            function, entry->fullname, entry->function,
            (entry->flags & CORE_ENTRY_NO_SELF) != 0 ? Py_False : Py_True,
            NULL);
        Py_DECREF(function);
    }
    if (text != NULL) {
        PyErr_Format(PyExc_TypeError, "%S; the signature is %S", error, text);
    } else {
        PyErr_SetObject(PyExc_TypeError, error);
    }
    Py_XDECREF(text);
    Py_DECREF(error);
}

static Py_ssize_t
bind(struct core_state *state, const struct core_entry *entry, PyObject **out,
     PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    Py_ssize_t keyword_count = kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0;
    PyObject *rest = NULL;
    Py_ssize_t count;

    for (Py_ssize_t i = 0; i < arg_count; i++) {
        out[i] = Py_NewRef(args[i]);
    }
    for (Py_ssize_t i = 0; i < keyword_count; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);

        if (core_entry_keyword(state, entry, name) == CORE_KEYWORD_NONE &&
            bind_keyword(entry, out, &rest, name, args[arg_count + i]) < 0) {
            Py_XDECREF(rest);
            return -1;
        }
    }
    count = bind_defaults(entry, out, arg_count);
    if (count < 0 || bind_required(entry, rest) < 0) {
        Py_XDECREF(rest);
        return -1;
    }
    if ((entry->flags & CORE_ENTRY_KEYWORDS) != 0) {
        out[count++] = rest != NULL ? rest : Py_NewRef(Py_None);
    }
    return count;
}

Py_ssize_t
core_entry_bind(struct core_state *state, const struct core_entry *entry,
                PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames,
                PyObject ***args_out)
{
    Py_ssize_t param_count = PyTuple_GET_SIZE(entry->params);
    Py_ssize_t room = (arg_count > param_count ? arg_count : param_count) + 1;
    PyObject **out;
    Py_ssize_t count;

    if (arg_count > entry->args_max) {
        PyErr_Format(PyExc_TypeError,
                     "%U() takes at most %zd arguments (%zd given)",
                     entry->fullname, entry->args_max, arg_count);
        show_signature(entry);
        return -1;
    }
    out = PyMem_Calloc((size_t)room, sizeof(*out));
    if (out == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    count = bind(state, entry, out, args, arg_count, kwnames);
    if (count < 0) {
        args_clear(out, room);
        PyMem_Free(out);
        show_signature(entry);
        return -1;
    }
    *args_out = out;
    return count;
}
