/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reducer.c - the Reducer type, and combining contributions.
 *
 * The built-in reducers exist twice: the runtime's own for numbers and arrays,
 * and one registered here under the same name for everything else, a Python
 * function of a list. Where both meet, the runtime uses the latter.
 */
#include <stddef.h>
#include <string.h>

#include "reducer.h"
#include "state.h"

#include <structmember.h>

/* Decode the parts into a list. Errors among them never come here. */
static PyObject *
parts_decode(struct core_pe *pe, const chare_part *parts, size_t part_count)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < part_count; i++) {
        struct core_reader reader;
        PyObject *value;

        core_reader_init(&reader, pe, parts[i].bytes, parts[i].len, NULL);
        value = core_decode(&reader);
        core_reader_fini(&reader);
        if (value == NULL || PyList_Append(list, value) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(value);
    }
    return list;
}

/*
 * Contributions of a reducer with 'post' are (callback, reducer id, value),
 * with an exception as the fourth item once there is one: take the values
 * out, and put the first two back around the result.
 */
static PyObject *
call_wrapped(struct core_reducer *self, PyObject *list)
{
    PyObject *values = PyList_New(0);
    PyObject *result;

    for (Py_ssize_t i = 0; values != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);

        if (PyTuple_GET_SIZE(item) == CORE_REDUCE_ITEMS + 1) {
            Py_DECREF(values);
            return Py_NewRef(item);
        }
        if (PyList_Append(values, PyTuple_GET_ITEM(item, 2)) < 0) {
            Py_CLEAR(values);
        }
    }
    if (values == NULL) {
        return NULL;
    }
    result = PyObject_CallOneArg(self->function, values);
    Py_DECREF(values);
    if (result == NULL) {
        return NULL;
    }
    return Py_BuildValue(
        "(OON)", PyTuple_GET_ITEM(PyList_GET_ITEM(list, 0), 0),
        PyTuple_GET_ITEM(PyList_GET_ITEM(list, 0), 1), result);
}

/* The exception that is set, with a note that names the reducer. */
static PyObject *
error_take(struct core_reducer *self, const chare_part *parts,
           size_t part_count)
{
    PyObject *error = core_exception_take();
    PyObject *function = core_support(self->state, "reducer_failed");
    PyObject *sources = PyList_New(0);
    PyObject *noted = NULL;

    for (size_t i = 0; sources != NULL && i < part_count; i++) {
        PyObject *pe = PyLong_FromLong((long)parts[i].source - 1);

        if (pe == NULL || PyList_Append(sources, pe) < 0) {
            Py_CLEAR(sources);
        }
        Py_XDECREF(pe);
    }
    if (function != NULL && sources != NULL) {
        noted = PyObject_CallFunctionObjArgs(function, error, self->name,
                                             sources, NULL);
    }
    Py_XDECREF(function);
    Py_XDECREF(sources);
    if (noted == NULL) {
        PyErr_Clear();
        return error;
    }
    Py_DECREF(error);
    return noted;
}

/* An error must find its way to the callback too. */
static PyObject *
error_wrap(PyObject *list, PyObject *error)
{
    PyObject *first = PyList_GET_ITEM(list, 0);

    return Py_BuildValue("(OOOO)", PyTuple_GET_ITEM(first, 0),
                         PyTuple_GET_ITEM(first, 1), Py_None, error);
}

/* Write the result, or the first part that is an error. */
static int
combine_write(struct core_reducer *self, struct core_pe *pe, PyObject *list,
              chare_encoder *encoder)
{
    PyObject *result = self->post != NULL
                           ? call_wrapped(self, list)
                           : PyObject_CallOneArg(self->function, list);
    int failed;

    if (result == NULL) {
        return -1;
    }
    failed = core_encode(pe, encoder, result);
    Py_DECREF(result);
    return failed;
}

/* Write the exception that is set; 'list' is NULL if there are no parts. */
static chare_status
combine_failed(struct core_reducer *self, struct core_pe *pe, PyObject *list,
               const chare_part *parts, size_t part_count,
               chare_encoder *encoder)
{
    PyObject *error = error_take(self, parts, part_count);
    PyObject *wrapped = NULL;
    int failed;

    if (list != NULL && self->post != NULL) {
        wrapped = error_wrap(list, error);
    }
    if (wrapped != NULL) {
        failed = core_encode(pe, encoder, wrapped);
        Py_DECREF(wrapped);
    } else {
        PyErr_Clear();
        failed = core_error_encode(pe, encoder, error);
    }
    if (failed) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_DECREF(error);
    return failed ? CHARE_ERR_INVALID
                  : (wrapped != NULL ? CHARE_OK : CHARE_ERR_FORMAT);
}

static chare_status
reducer_combine(void *context, const chare_part *parts, size_t part_count,
                chare_encoder *encoder)
{
    struct core_reducer *self = (struct core_reducer *)context;
    struct core_pe *pe = self->state->current;
    const size_t used =
        (size_t)(encoder->at -
                 (unsigned char *)chare_buffer_bytes(encoder->buffer, NULL));
    PyObject *list = parts_decode(pe, parts, part_count);
    chare_status status = CHARE_OK;

    if (list == NULL || combine_write(self, pe, list, encoder) < 0) {
        encoder->at =
            (unsigned char *)chare_buffer_bytes(encoder->buffer, NULL) + used;
        status = combine_failed(self, pe, list, parts, part_count, encoder);
    }
    Py_XDECREF(list);
    return encoder->status != CHARE_OK ? encoder->status : status;
}

/* ---- the type */

/* The runtime holds its address: keep it, and find it by its id. */
static PyObject *
reducer_keep(struct core_state *state, struct core_reducer *self)
{
    PyObject *key = PyLong_FromUnsignedLong(self->id);

    if (key == NULL ||
        PyDict_SetItem(state->reducers, key, (PyObject *)self) < 0) {
        Py_XDECREF(key);
        return NULL;
    }
    Py_DECREF(key);
    Py_RETURN_NONE;
}

PyObject *
core_reducer_register(PyObject *module, PyObject *reducer)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    struct core_reducer *self = (struct core_reducer *)reducer;
    chare_status status;
    const char *name;

    if (pe == NULL) {
        return NULL;
    }
    if (!Py_IS_TYPE(reducer, state->ReducerType)) {
        PyErr_SetString(PyExc_TypeError, "a reducer is needed");
        return NULL;
    }
    if (self->function == NULL) { /* wholly built in */
        self->id = self->builtin;
        Py_RETURN_NONE;
    }
    name = PyUnicode_AsUTF8(self->name);
    if (name == NULL) {
        return NULL;
    }
    if (self->builtin != UINT32_MAX && strncmp(name, "logical_", 8) == 0) {
        name += 8; /* what the runtime calls it */
    }
    status = chare_reducer_register(pe->runtime, name, reducer_combine,
                                    self->ordered, self, &self->id);
    if (status != CHARE_OK) {
        return core_raise(state, status, name);
    }
    return reducer_keep(state, self);
}

static PyObject *
reducer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"name", "function", "builtin", "pre",
                                        "post", "ordered",  "joining", NULL};
    PyObject *name;
    PyObject *function = Py_None;
    PyObject *pre = Py_None;
    PyObject *post = Py_None;
    PyObject *joining = Py_None;
    int builtin = -1;
    int ordered = 0;
    struct core_reducer *self;

    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "U|OiOOpO:ReducerType", (char **)(uintptr_t)names,
            &name, &function, &builtin, &pre, &post, &ordered, &joining)) {
        return NULL;
    }
    self = (struct core_reducer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->name = Py_NewRef(name);
    self->function = function == Py_None ? NULL : Py_NewRef(function);
    self->pre = pre == Py_None ? NULL : Py_NewRef(pre);
    self->post = post == Py_None ? NULL : Py_NewRef(post);
    self->ordered = ordered != 0;
    self->joining = Py_IS_TYPE(joining, type) ? Py_NewRef(joining) : NULL;
    self->builtin = builtin < 0 ? UINT32_MAX : (uint32_t)builtin;
    self->id = UINT32_MAX;
    self->state = core_state_of(type);
    return (PyObject *)self;
}

static int
reducer_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_reducer *self = (struct core_reducer *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->function);
    Py_VISIT(self->pre);
    Py_VISIT(self->post);
    Py_VISIT(self->joining);
    return 0;
}

static int
reducer_clear(PyObject *op)
{
    struct core_reducer *self = (struct core_reducer *)op;

    Py_CLEAR(self->function);
    Py_CLEAR(self->pre);
    Py_CLEAR(self->post);
    Py_CLEAR(self->joining);
    return 0;
}

static void
reducer_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)reducer_clear(op);
    Py_CLEAR(((struct core_reducer *)op)->name);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
reducer_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<reducer %U>",
                                ((struct core_reducer *)op)->name);
}

static PyMemberDef reducer_members[] = {
    {"name", T_OBJECT_EX, offsetof(struct core_reducer, name), READONLY,
     PyDoc_STR("Its name in Reducer.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot reducer_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("How contributions become one result.")},
    {Py_tp_new, reducer_new},
    {Py_tp_dealloc, reducer_dealloc},
    {Py_tp_traverse, reducer_traverse},
    {Py_tp_clear, reducer_clear},
    {Py_tp_repr, reducer_repr},
    {Py_tp_members, reducer_members},
    {0, NULL},
};

PyType_Spec core_reducer_spec = {
    .name = "chare._core.ReducerType",
    .basicsize = sizeof(struct core_reducer),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = reducer_slots,
};
