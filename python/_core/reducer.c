/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reducer.c - the Reducer type, and combining contributions.
 *
 * The built-in reducers exist twice: the runtime's own for arrays, and one
 * registered here for everything else. Numbers are combined in C; whatever
 * else users contribute goes to a Python function of a list.
 */
#include <stddef.h>

#include "state.h"

#include <structmember.h>

/* A running result of numbers. */
struct number {
    chare_tag tag; /* INT, FLOAT or FALSE (a truth value) */
    bool scalar;   /* NumPy's float64 */
    int64_t integer;
    double real;
};

/* Read a part as a number; false: it is none, or not in 64 bits. */
static bool
number_read(const chare_part *part, struct number *number_out)
{
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, part->bytes, part->len);
    if (chare_get(&decoder, &value) != CHARE_OK) {
        return false;
    }
    number_out->tag = value.tag;
    number_out->scalar = false;
    switch (value.tag) {
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        number_out->tag = CHARE_TAG_FALSE;
        number_out->integer = value.tag == CHARE_TAG_TRUE;
        return true;
    case CHARE_TAG_INT:
        number_out->integer = value.as.integer;
        return true;
    case CHARE_TAG_FLOAT:
        number_out->real = value.as.real;
        return true;
    case CHARE_TAG_SCALAR:
        number_out->tag = CHARE_TAG_FLOAT;
        number_out->scalar = true;
        memcpy(&number_out->real, value.as.bytes.at,
               value.as.bytes.dtype == CHARE_DTYPE_F64 ? sizeof(double) : 0);
        return value.as.bytes.dtype == CHARE_DTYPE_F64;
    default:
        return false;
    }
}

/* Truth values: only the logical reducers keep them as such. */
static bool
number_combine_bools(uint32_t operation, struct number *a,
                     const struct number *b)
{
    switch (operation) {
    case CHARE_REDUCE_AND:
        a->integer = a->integer && b->integer;
        return true;
    case CHARE_REDUCE_OR:
        a->integer = a->integer || b->integer;
        return true;
    case CHARE_REDUCE_XOR:
        a->integer = a->integer != b->integer;
        return true;
    default:
        return false;
    }
}

static bool
number_combine_ints(uint32_t operation, struct number *a,
                    const struct number *b)
{
    switch (operation) {
    case CHARE_REDUCE_SUM:
        return !__builtin_add_overflow(a->integer, b->integer, &a->integer);
    case CHARE_REDUCE_PRODUCT:
        return !__builtin_mul_overflow(a->integer, b->integer, &a->integer);
    case CHARE_REDUCE_MIN:
        a->integer = a->integer < b->integer ? a->integer : b->integer;
        return true;
    case CHARE_REDUCE_MAX:
        a->integer = a->integer > b->integer ? a->integer : b->integer;
        return true;
    default:
        return false;
    }
}

/* A NaN wins over any number, as in NumPy. */
static bool
number_combine_reals(uint32_t operation, struct number *a,
                     const struct number *b)
{
    a->scalar = a->scalar || b->scalar;
    switch (operation) {
    case CHARE_REDUCE_SUM:
        a->real += b->real;
        return true;
    case CHARE_REDUCE_PRODUCT:
        a->real *= b->real;
        return true;
    case CHARE_REDUCE_MIN:
        a->real = b->real < a->real || b->real != b->real ? b->real : a->real;
        return true;
    case CHARE_REDUCE_MAX:
        a->real = b->real > a->real || b->real != b->real ? b->real : a->real;
        return true;
    default:
        return false;
    }
}

static bool
number_combine(uint32_t operation, struct number *a, const struct number *b)
{
    if (a->tag != b->tag) {
        return false;
    }
    switch (a->tag) {
    case CHARE_TAG_FALSE:
        return number_combine_bools(operation, a, b);
    case CHARE_TAG_INT:
        return number_combine_ints(operation, a, b);
    default:
        return number_combine_reals(operation, a, b);
    }
}

/* Try without Python; false: nothing was written. */
static bool
combine_numbers(uint32_t operation, const chare_part *parts, size_t part_count,
                chare_encoder *encoder)
{
    struct number result;
    struct number next;

    if (part_count == 0 || !number_read(&parts[0], &result)) {
        return false;
    }
    for (size_t i = 1; i < part_count; i++) {
        if (!number_read(&parts[i], &next) ||
            !number_combine(operation, &result, &next)) {
            return false;
        }
    }
    if (result.tag == CHARE_TAG_FALSE) {
        chare_put_bool(encoder, result.integer != 0);
    } else if (result.tag == CHARE_TAG_INT) {
        chare_put_int(encoder, result.integer);
    } else if (result.scalar) {
        chare_put_scalar(encoder, CHARE_DTYPE_F64, &result.real);
    } else {
        chare_put_float(encoder, result.real);
    }
    return true;
}

/* ---- with Python */

/* Decode the parts; an exception among them is returned instead. */
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
        if (value != NULL && parts[i].format == CHARE_FORMAT_ERROR) {
            Py_DECREF(list);
            return value;
        }
        if (value == NULL || PyList_Append(list, value) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(value);
    }
    return list;
}

/*
 * Contributions of a reducer with 'post' are (callback, reducer id, value):
 * take the values out, and put the first two back around the result.
 */
static PyObject *
call_wrapped(struct core_reducer *self, PyObject *list)
{
    PyObject *first = PyList_GET_ITEM(list, 0);
    PyObject *values = PyList_New(0);
    PyObject *result;

    for (Py_ssize_t i = 0; values != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);

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
    return Py_BuildValue("(OON)", PyTuple_GET_ITEM(first, 0),
                         PyTuple_GET_ITEM(first, 1), result);
}

static PyObject *
combine_objects(struct core_reducer *self, struct core_pe *pe,
                const chare_part *parts, size_t part_count)
{
    PyObject *list = parts_decode(pe, parts, part_count);
    PyObject *result;

    if (list == NULL || PyExceptionInstance_Check(list)) {
        return list;
    }
    if (self->post != NULL) {
        result = call_wrapped(self, list);
    } else {
        result = PyObject_CallOneArg(self->function, list);
    }
    Py_DECREF(list);
    return result;
}

chare_status
core_combine(void *context, const chare_part *parts, size_t part_count,
             chare_encoder *encoder)
{
    struct core_reducer *self = (struct core_reducer *)context;
    struct core_pe *pe = self->state->current;
    PyObject *result;
    int failed;

    if (self->builtin != UINT32_MAX &&
        combine_numbers(self->builtin, parts, part_count, encoder)) {
        return encoder->status;
    }
    result = combine_objects(self, pe, parts, part_count);
    if (result == NULL) {
        result = core_exception_take();
    }
    if (PyExceptionInstance_Check(result)) {
        failed = core_error_encode(pe, encoder, result);
    } else {
        failed = core_encode(pe, encoder, result);
    }
    Py_DECREF(result);
    if (failed) {
        PyErr_WriteUnraisable((PyObject *)self);
        return CHARE_ERR_INVALID;
    }
    return encoder->status;
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
    status = chare_reducer_register(pe->runtime, PyUnicode_AsUTF8(self->name),
                                    core_combine, false, self, &self->id);
    if (status != CHARE_OK) {
        return core_raise(state, status, PyUnicode_AsUTF8(self->name));
    }
    return reducer_keep(state, self);
}

static PyObject *
reducer_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"name", "function", "builtin",
                                        "pre",  "post",     NULL};
    PyObject *name;
    PyObject *function = Py_None;
    PyObject *pre = Py_None;
    PyObject *post = Py_None;
    int builtin = -1;
    struct core_reducer *self;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "U|OiOO:ReducerType",
                                     (char **)(uintptr_t)names, &name,
                                     &function, &builtin, &pre, &post)) {
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
    return 0;
}

static int
reducer_clear(PyObject *op)
{
    struct core_reducer *self = (struct core_reducer *)op;

    Py_CLEAR(self->function);
    Py_CLEAR(self->pre);
    Py_CLEAR(self->post);
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
