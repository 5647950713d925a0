/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * array.c - NumPy arrays and scalars as values of the codec.
 *
 * NumPy is looked up only when it is loaded anyway, or when an array arrives.
 * Its headers are not used: arrays show their memory by its C interface, as
 * ndarray.h knows it, or else by the buffer protocol.
 * An array in C or Fortran order is copied as it lies; any other one arrives
 * in C order. What has no chare_dtype (structured, object, dates, text) is
 * left to pickle.
 */
#include "gather.h"
#include "ndarray.h"
#include "state.h"

enum {
    PICKLE_IT = 1,
};

/* NumPy's name of each chare_dtype. */
static const char *const dtype_names[CORE_DTYPE_COUNT] = {
    NULL, "?",  "i1", "i2", "i4", "i8", "u1",  "u2",
    "u4", "u8", "f2", "f4", "f8", "c8", "c16",
};

/* Fill in the tables of dtypes; every entry is set, or an exception is. */
static int
numpy_dtypes(struct core_numpy *numpy, PyObject *module)
{
    PyObject *dtype = PyObject_GetAttrString(module, "dtype");

    numpy->dtype_codes = PyDict_New();
    if (dtype == NULL || numpy->dtype_codes == NULL) {
        Py_XDECREF(dtype);
        return -1;
    }
    for (int i = 1; i < CORE_DTYPE_COUNT; i++) {
        PyObject *type;
        PyObject *code;
        int failed;

        numpy->dtypes[i] = PyObject_CallFunction(dtype, "s", dtype_names[i]);
        if (numpy->dtypes[i] == NULL) {
            break;
        }
        numpy->swapped[i] =
            PyObject_CallMethod(numpy->dtypes[i], "newbyteorder", "s", "S");
        type = PyObject_GetAttrString(numpy->dtypes[i], "type");
        code = PyLong_FromLong(i);
        failed = numpy->swapped[i] == NULL || type == NULL || code == NULL ||
                 PyDict_SetItem(numpy->dtype_codes, type, code) < 0;
        Py_XDECREF(type);
        Py_XDECREF(code);
        if (failed) {
            break;
        }
    }
    Py_DECREF(dtype);
    return PyErr_Occurred() ? -1 : 0;
}

static int
numpy_load(struct core_numpy *numpy, PyObject *module)
{
    PyObject *ndarray = PyObject_GetAttrString(module, "ndarray");

    numpy->generic = PyObject_GetAttrString(module, "generic");
    numpy->empty = PyObject_GetAttrString(module, "empty");
    if (ndarray == NULL || numpy->generic == NULL || numpy->empty == NULL ||
        numpy_dtypes(numpy, module) < 0) {
        Py_XDECREF(ndarray);
        core_numpy_clear(numpy);
        return -1;
    }
    numpy->ndarray = ndarray; /* it says that the others are there */
    core_ndarray_open(numpy);
    return 0;
}

/* Import NumPy if that has not happened; -1 with an exception. */
static int
numpy_need(struct core_state *state)
{
    PyObject *module;
    int result;

    if (state->numpy.ndarray != NULL) {
        return 0;
    }
    module = PyImport_ImportModule("numpy");
    if (module == NULL) {
        return -1;
    }
    result = numpy_load(&state->numpy, module);
    Py_DECREF(module);
    return result;
}

void
core_numpy_clear(struct core_numpy *numpy)
{
    Py_CLEAR(numpy->ndarray);
    Py_CLEAR(numpy->generic);
    Py_CLEAR(numpy->empty);
    Py_CLEAR(numpy->dtype_codes);
    numpy->interface = NULL;
    for (int i = 0; i < CORE_DTYPE_COUNT; i++) {
        Py_CLEAR(numpy->dtypes[i]);
        Py_CLEAR(numpy->swapped[i]);
    }
}

int
core_numpy_visit(struct core_numpy *numpy, visitproc visit, void *arg)
{
    Py_VISIT(numpy->ndarray);
    Py_VISIT(numpy->generic);
    Py_VISIT(numpy->empty);
    Py_VISIT(numpy->dtype_codes);
    for (int i = 0; i < CORE_DTYPE_COUNT; i++) {
        Py_VISIT(numpy->dtypes[i]);
        Py_VISIT(numpy->swapped[i]);
    }
    return 0;
}

char
core_numpy_kind(struct core_state *state, PyObject *object)
{
    struct core_numpy *numpy = &state->numpy;
    int found;

    if (numpy->ndarray == NULL) {
        PyObject *modules = PyImport_GetModuleDict();
        PyObject *module = PyDict_GetItemString(modules, "numpy");

        if (module == NULL || !PyObject_HasAttrString(module, "ndarray")) {
            return 0;
        }
        if (numpy_load(numpy, module) < 0) {
            PyErr_Clear();
            return 0;
        }
    }
    if ((PyObject *)Py_TYPE(object) == numpy->ndarray) {
        return 'a';
    }
    found = PyDict_Contains(numpy->dtype_codes, (PyObject *)Py_TYPE(object));
    if (found < 0) { /* a class whose metaclass gives it no hash */
        PyErr_Clear();
    }
    return found == 1 ? 's' : 0;
}

/* The chare_dtype for a kind letter and a size, or NONE. */
static chare_dtype
dtype_of(char letter, Py_ssize_t size)
{
    int log2 = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;

    if (size != 1 && size != 2 && size != 4 && size != 8) {
        return CHARE_DTYPE_NONE;
    }
    if (strchr("bhilq", letter) != NULL) {
        return (chare_dtype)(CHARE_DTYPE_I8 + log2);
    }
    if (strchr("BHILQ", letter) != NULL) {
        return (chare_dtype)(CHARE_DTYPE_U8 + log2);
    }
    if (letter == '?' && size == 1) {
        return CHARE_DTYPE_BOOL;
    }
    if (strchr("efd", letter) != NULL && size >= 2) {
        return (chare_dtype)(CHARE_DTYPE_F16 + log2 - 1);
    }
    return CHARE_DTYPE_NONE;
}

/* Understand a buffer's format; NONE: it has no chare_dtype. */
static chare_dtype
format_parse(const char *format, Py_ssize_t item_size, bool *swapped_out)
{
    static const uint16_t one = 1;
    bool little = *(const unsigned char *)&one == 1;

    *swapped_out = false;
    if (format == NULL) {
        return CHARE_DTYPE_U8;
    }
    if (*format == '<') {
        *swapped_out = !little;
        format++;
    } else if (*format == '>' || *format == '!') {
        *swapped_out = little;
        format++;
    } else if (*format == '@' || *format == '=') {
        format++;
    }
    if (format[0] == 'Z' && format[1] != '\0' && format[2] == '\0') {
        return item_size == 8    ? CHARE_DTYPE_C64
               : item_size == 16 ? CHARE_DTYPE_C128
                                 : CHARE_DTYPE_NONE;
    }
    if (format[0] == '\0' || format[1] != '\0') {
        return CHARE_DTYPE_NONE;
    }
    return dtype_of(format[0], item_size);
}

/* Write the elements of a buffer whose form is known. */
static int
array_put(struct core_state *state, chare_encoder *encoder, Py_buffer *view,
          chare_dtype dtype, uint32_t flags)
{
    int64_t shape[CHARE_ARRAY_DIMS_MAX];
    char order = 'C';
    void *room;

    for (int i = 0; i < view->ndim; i++) {
        shape[i] = view->shape[i];
    }
    if (!PyBuffer_IsContiguous(view, 'C') &&
        PyBuffer_IsContiguous(view, 'F')) {
        flags |= CHARE_ARRAY_FORTRAN_ORDER;
        order = 'F';
    }
    room = chare_put_array(encoder, dtype, flags, (uint32_t)view->ndim, shape,
                           (size_t)view->len);
    if (room == NULL) {
        return 0; /* encoder->status says why */
    }
    if (PyBuffer_IsContiguous(view, order)) {
        if (state->near) {
            memcpy(room, view->buf, (size_t)view->len);
        } else {
            chare_copy(room, view->buf, (size_t)view->len);
        }
        return 0;
    }
    if (view->len > 0 && view->suboffsets == NULL) {
        core_gather(room, view->buf, view->ndim, view->shape, view->strides,
                    (size_t)view->itemsize);
        return 0;
    }
    return PyBuffer_ToContiguous(room, view, view->len, 'C');
}

/* The chare_dtype of one of NumPy's own dtypes in the machine's byte order; or
 * NONE. */
static inline chare_dtype
dtype_find(struct core_numpy *numpy, const PyObject *dtype)
{
    if (numpy->dtypes[numpy->recent] == dtype) {
        return (chare_dtype)numpy->recent;
    }
    for (int i = 1; i < CORE_DTYPE_COUNT; i++) {
        if (numpy->dtypes[i] == dtype) {
            numpy->recent = i;
            return (chare_dtype)i;
        }
    }
    return CHARE_DTYPE_NONE;
}

/* Write a small array of a usual dtype; false: it is not one, or empty. */
static bool
array_put_simple(struct core_numpy *numpy, chare_encoder *encoder,
                 const struct core_ndarray *array)
{
    const chare_dtype dtype = dtype_find(numpy, array->dtype);
    const int order =
        array->flags & (CORE_NDARRAY_C_ORDER | CORE_NDARRAY_F_ORDER);
    uint32_t flags = 0;
    int64_t shape[CHARE_ARRAY_DIMS_MAX];
    size_t len;
    void *room;

    if (dtype == CHARE_DTYPE_NONE || array->ndim > CHARE_ARRAY_DIMS_MAX ||
        (array->flags & CORE_NDARRAY_WARN_ON_WRITE) != 0) {
        return false;
    }
    flags |= order == CORE_NDARRAY_F_ORDER ? CHARE_ARRAY_FORTRAN_ORDER : 0u;
    flags |=
        array->flags & CORE_NDARRAY_WRITEABLE ? 0u : CHARE_ARRAY_READ_ONLY;
    len = chare_dtype_bytes(dtype);
    for (int i = 0; i < array->ndim; i++) {
        shape[i] = array->shape[i];
        len *= (size_t)shape[i];
    }
    if (len - 1 >= CORE_KEEP_BYTES_MIN - 1) {
        return false; /* a large one, or an empty one */
    }
    room = chare_put_array(encoder, dtype, flags, (uint32_t)array->ndim, shape,
                           len);
    if (room == NULL) {
        return true; /* encoder->status says why */
    }
    if (order != 0) {
        memcpy(room, array->data, len);
    } else {
        core_gather(room, array->data, array->ndim, array->shape,
                    array->strides, chare_dtype_bytes(dtype));
    }
    return true;
}

bool
core_array_is_writeable(const struct core_numpy *numpy, PyObject *array)
{
    return numpy->interface != NULL &&
           (((const struct core_ndarray *)array)->flags &
            CORE_NDARRAY_WRITEABLE) != 0;
}

/* A base is what keeps an array's memory, and this one's is its own. */
void
core_array_set_spent(const struct core_state *state, PyObject *object,
                     bool spent)
{
    struct core_ndarray *array = (struct core_ndarray *)object;

    if (state->numpy.interface == NULL) {
        return;
    }
    if (spent && array->base == NULL) {
        array->base = Py_NewRef((PyObject *)state->MovedType);
    } else if (!spent && core_array_is_spent(state, object)) {
        Py_CLEAR(array->base);
    }
}

bool
core_array_is_spent(const struct core_state *state, PyObject *array)
{
    return state->numpy.interface != NULL &&
           ((const struct core_ndarray *)array)->base ==
               (PyObject *)state->MovedType;
}

int
core_array_encode(struct core_state *state, chare_encoder *encoder,
                  PyObject *array)
{
    if (state->numpy.interface != NULL &&
        array_put_simple(&state->numpy, encoder,
                         (const struct core_ndarray *)array)) {
        return 0;
    }
    if (core_array_is_spent(state, array) && encoder != state->pe->luggage) {
        return core_moved_refuse();
    }
    return core_buffer_encode(state, encoder, array);
}

int
core_buffer_encode(struct core_state *state, chare_encoder *encoder,
                   PyObject *object)
{
    Py_buffer view;
    chare_dtype dtype;
    bool swapped;
    int result = PICKLE_IT;

    if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear(); /* dates, for example, show no memory */
        return PICKLE_IT;
    }
    dtype = format_parse(view.format, view.itemsize, &swapped);
    if (dtype != CHARE_DTYPE_NONE && view.ndim <= CHARE_ARRAY_DIMS_MAX) {
        result = array_put(state, encoder, &view, dtype,
                           (view.readonly ? CHARE_ARRAY_READ_ONLY : 0u) |
                               (swapped ? CHARE_ARRAY_SWAPPED : 0u));
    }
    PyBuffer_Release(&view);
    return result;
}

bool
core_array_describe(PyObject *array, chare_value *value, int64_t *shape)
{
    Py_buffer view;
    bool swapped = false;
    bool fortran;
    bool result;

    if (PyObject_GetBuffer(array, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        return false;
    }
    fortran = !PyBuffer_IsContiguous(&view, 'C');
    value->tag = CHARE_TAG_ARRAY;
    value->as.array.dtype = format_parse(view.format, view.itemsize, &swapped);
    value->as.array.ndims = (uint32_t)view.ndim;
    value->as.array.flags = (fortran ? CHARE_ARRAY_FORTRAN_ORDER : 0u) |
                            (view.readonly ? CHARE_ARRAY_READ_ONLY : 0u) |
                            (swapped ? CHARE_ARRAY_SWAPPED : 0u);
    value->as.array.data = view.buf;
    value->as.array.len = (size_t)view.len;
    value->as.array.shape = shape;
    result = value->as.array.dtype != CHARE_DTYPE_NONE &&
             view.ndim <= CHARE_ARRAY_DIMS_MAX &&
             (!fortran || PyBuffer_IsContiguous(&view, 'F'));
    for (int i = 0; result && i < view.ndim; i++) {
        shape[i] = view.shape[i];
    }
    PyBuffer_Release(&view);
    return result;
}

int
core_scalar_encode(struct core_state *state, chare_encoder *encoder,
                   PyObject *scalar)
{
    PyObject *code = PyDict_GetItemWithError(state->numpy.dtype_codes,
                                             (PyObject *)Py_TYPE(scalar));
    Py_buffer view;

    if (code == NULL) {
        return PyErr_Occurred() ? -1 : PICKLE_IT;
    }
    if (PyObject_GetBuffer(scalar, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        return PICKLE_IT;
    }
    chare_put_scalar(encoder, (chare_dtype)PyLong_AsLong(code), view.buf);
    PyBuffer_Release(&view);
    return 0;
}

/* The shape as a tuple. */
static PyObject *
shape_build(const chare_value *value)
{
    PyObject *shape = PyTuple_New((Py_ssize_t)value->as.array.ndims);

    for (uint32_t i = 0; shape != NULL && i < value->as.array.ndims; i++) {
        PyObject *length = PyLong_FromLongLong(value->as.array.shape[i]);

        if (length == NULL) {
            Py_CLEAR(shape);
        } else {
            PyTuple_SET_ITEM(shape, (Py_ssize_t)i, length);
        }
    }
    return shape;
}

/* An array that owns a copy of the elements. */
static PyObject *
array_copy(struct core_numpy *numpy, PyObject *shape, PyObject *dtype,
           PyObject *order, const chare_value *value)
{
    PyObject *const args[] = {shape, dtype, order};
    PyObject *array = PyObject_Vectorcall(numpy->empty, args, 3, NULL);
    Py_buffer view;

    if (array == NULL || value->as.array.len == 0) {
        return array;
    }
    if (PyObject_GetBuffer(array, &view,
                           PyBUF_WRITABLE | PyBUF_ANY_CONTIGUOUS) < 0) {
        Py_DECREF(array);
        return NULL;
    }
    assert((size_t)view.len == value->as.array.len);
    memcpy(view.buf, value->as.array.data, (size_t)view.len);
    PyBuffer_Release(&view);
    return array;
}

/*
 * What an array can view instead of a copy: the message, if it is for this
 * call alone, or if nobody can write to the array. NULL: it is copied, or
 * there is an exception.
 */
static PyObject *
reader_memory(struct core_reader *reader, bool read_only)
{
    struct core_state *state = reader->pe->state;
    chare_buffer *buffer;

    if (reader->call == NULL) {
        return NULL;
    }
    if (!reader->asked) {
        reader->asked = true;
        buffer = chare_call_take_buffer(reader->call);
        if (buffer != NULL) {
            reader->memory = core_memory_new(state, buffer, false);
            return reader->memory;
        }
    }
    if (reader->memory == NULL && read_only) {
        buffer = chare_call_share_buffer(reader->call);
        if (buffer != NULL) {
            reader->memory = core_memory_new(state, buffer, true);
            reader->shared = true;
        }
    }
    return reader->shared && !read_only ? NULL : reader->memory;
}

/* An array on top of the message that brought it. */
static PyObject *
array_view(struct core_reader *reader, PyObject *shape, PyObject *dtype,
           PyObject *order, const chare_value *value)
{
    Py_buffer whole;
    PyObject *offset;
    PyObject *array;
    Py_ssize_t at;

    if (PyObject_GetBuffer(reader->memory, &whole, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    at = (const char *)value->as.array.data - (const char *)whole.buf;
    PyBuffer_Release(&whole);
    assert(at >= 0 && at <= whole.len);
    offset = PyLong_FromSsize_t(at);
    if (offset == NULL) {
        return NULL;
    }
    {
        PyObject *const args[] = {shape,  dtype,   reader->memory,
                                  offset, Py_None, order};

        array = PyObject_Vectorcall(reader->pe->state->numpy.ndarray, args, 6,
                                    NULL);
    }
    Py_DECREF(offset);
    return array;
}

static int
array_set_read_only(PyObject *array)
{
    PyObject *result = PyObject_CallMethod(array, "setflags", "O", Py_False);

    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* The same by the C interface. */
static PyObject *
array_make(const struct core_numpy *numpy, PyObject *dtype,
           const chare_value *value)
{
    const uint32_t flags = value->as.array.flags;
    Py_ssize_t shape[CHARE_ARRAY_DIMS_MAX];
    PyObject *array;

    for (uint32_t i = 0; i < value->as.array.ndims; i++) {
        shape[i] = (Py_ssize_t)value->as.array.shape[i];
    }
    array = core_ndarray_new(numpy, dtype, (int)value->as.array.ndims, shape,
                             (flags & CHARE_ARRAY_FORTRAN_ORDER) != 0);
    if (array != NULL) {
        memcpy(((struct core_ndarray *)array)->data, value->as.array.data,
               value->as.array.len);
        if ((flags & CHARE_ARRAY_READ_ONLY) != 0) {
            ((struct core_ndarray *)array)->flags &= ~CORE_NDARRAY_WRITEABLE;
        }
    }
    return array;
}

PyObject *
core_array_decode(struct core_reader *reader, const chare_value *value)
{
    struct core_numpy *numpy = &reader->pe->state->numpy;
    uint32_t flags = value->as.array.flags;
    const bool read_only = (flags & CHARE_ARRAY_READ_ONLY) != 0;
    PyObject *dtype;
    PyObject *shape;
    PyObject *order;
    PyObject *array = NULL;

    reader->has_arrays = true;
    if (numpy_need(reader->pe->state) < 0) {
        return NULL;
    }
    dtype =
        (flags & CHARE_ARRAY_SWAPPED ? numpy->swapped
                                     : numpy->dtypes)[value->as.array.dtype];
    if (numpy->interface != NULL &&
        value->as.array.len < CORE_KEEP_BYTES_MIN) {
        return array_make(numpy, dtype, value);
    }
    shape = shape_build(value);
    order =
        PyUnicode_FromString(flags & CHARE_ARRAY_FORTRAN_ORDER ? "F" : "C");
    if (shape != NULL && order != NULL) {
        if (value->as.array.len >= CORE_KEEP_BYTES_MIN &&
            reader_memory(reader, read_only) != NULL) {
            array = array_view(reader, shape, dtype, order, value);
        } else if (!PyErr_Occurred()) {
            array = array_copy(numpy, shape, dtype, order, value);
        }
    }
    Py_XDECREF(shape);
    Py_XDECREF(order);
    if (array != NULL && read_only && array_set_read_only(array) < 0) {
        Py_CLEAR(array);
    }
    return array;
}

PyObject *
core_scalar_decode(struct core_reader *reader, const chare_value *value)
{
    struct core_numpy *numpy = &reader->pe->state->numpy;
    PyObject *bytes;
    PyObject *array;
    PyObject *scalar;

    if (numpy_need(reader->pe->state) < 0) {
        return NULL;
    }
    bytes = PyBytes_FromStringAndSize(value->as.bytes.at,
                                      (Py_ssize_t)value->as.bytes.len);
    if (bytes == NULL) {
        return NULL;
    }
    {
        PyObject *const args[] = {reader->pe->state->no_args,
                                  numpy->dtypes[value->as.bytes.dtype], bytes};

        array = PyObject_Vectorcall(numpy->ndarray, args, 3, NULL);
    }
    Py_DECREF(bytes);
    if (array == NULL) {
        return NULL;
    }
    scalar = PyObject_GetItem(array, reader->pe->state->no_args);
    Py_DECREF(array);
    return scalar;
}
