/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * payload.c - arguments and values that reach a chare on the same PE as the
 * Python objects they are.
 *
 * Only objects that nobody can change are handed over like that; everything
 * else is encoded, so that sender and receiver never share. Payloads come
 * from free lists, one for each number of arguments.
 */
#include <string.h>

#include "state.h"

/*
 * Whether an array is read-only, and nobody can write what it views: it owns
 * its elements, or bytes or a message do. Its sender may not make it writable
 * again.
 */
static bool
is_fixed_array(struct core_state *state, PyObject *object)
{
    PyObject *base;
    Py_buffer view;
    bool fixed;

    if (core_numpy_kind(state, object) != 'a' ||
        core_array_is_writeable(&state->numpy, object)) {
        return false;
    }
    if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        return false;
    }
    fixed = view.readonly && view.format != NULL &&
            strchr(view.format, 'O') == NULL;
    PyBuffer_Release(&view);
    if (!fixed) {
        return false;
    }
    base = PyObject_GetAttrString(object, "base");
    fixed = base == Py_None ||
            (base != NULL && (PyBytes_CheckExact(base) ||
                              Py_IS_TYPE(base, state->MemoryType)));
    if (base == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(base);
    return fixed;
}

bool
core_is_simple_other(const PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);

    return type == &PyFloat_Type || type == &PyUnicode_Type ||
           object == Py_None || type == &PyBool_Type || type == &PyBytes_Type;
}

bool
core_is_plain(struct core_state *state, PyObject *object, int depth)
{
    const PyTypeObject *type = Py_TYPE(object);

    if (core_is_simple(object)) {
        return true;
    }
    if (type == &PyTuple_Type) {
        if (depth >= CORE_PLAIN_DEPTH_MAX) {
            return false;
        }
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++) {
            if (!core_is_plain(state, PyTuple_GET_ITEM(object, i),
                               depth + 1)) {
                return false;
            }
        }
        return true;
    }
    return type == &PyComplex_Type || core_is_proxy(state, object) ||
           (type == state->FutureType &&
            !((struct core_future *)object)->adopted) ||
           type == state->CallbackType || is_fixed_array(state, object);
}

static struct core_payload *
payload_alloc(struct core_state *state, Py_ssize_t arg_count)
{
    struct core_payload *payload = state->payloads[arg_count];

    if (payload != NULL) {
        state->payloads[arg_count] = payload->next;
        state->payload_counts[arg_count]--;
        return payload;
    }
    payload = PyMem_Malloc(sizeof(*payload) +
                           ((size_t)arg_count + 1) * sizeof(PyObject *));
    if (payload == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    payload->state = state;
    payload->arg_count = arg_count;
    return payload;
}

static void
payload_release(void *opaque)
{
    struct core_payload *payload = (struct core_payload *)opaque;
    struct core_state *state = payload->state;
    Py_ssize_t arg_count = payload->arg_count;

    for (Py_ssize_t i = 1; i <= arg_count; i++) {
        Py_DECREF(payload->slots[i]);
    }
    if (state->payload_counts[arg_count] >= CORE_PAYLOADS_KEPT_MAX) {
        PyMem_Free(payload);
        return;
    }
    payload->next = state->payloads[arg_count];
    state->payloads[arg_count] = payload;
    state->payload_counts[arg_count]++;
}

/* The runtime wants bytes after all: the target is not here any more. */
static chare_status
payload_encoded(struct core_payload *payload, chare_encoder *encoder,
                int failed)
{
    if (failed) {
        PyErr_WriteUnraisable((PyObject *)payload->state->MethodType);
        return CHARE_ERR_INVALID;
    }
    return encoder->status;
}

size_t
core_plain_bytes(PyObject *object, int depth)
{
    size_t bytes = sizeof(int64_t);

    if (PyBytes_CheckExact(object)) {
        bytes += (size_t)PyBytes_GET_SIZE(object);
    } else if (PyUnicode_CheckExact(object)) {
        bytes += (size_t)PyUnicode_GET_LENGTH(object);
    } else if (PyTuple_CheckExact(object)) {
        for (Py_ssize_t i = 0;
             i < PyTuple_GET_SIZE(object) && depth < CORE_PLAIN_DEPTH_MAX;
             i++) {
            bytes += core_plain_bytes(PyTuple_GET_ITEM(object, i), depth + 1);
        }
    } else if (PyObject_CheckBuffer(object)) {
        Py_buffer view;

        if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) == 0) {
            bytes += (size_t)view.len;
            PyBuffer_Release(&view);
        } else {
            PyErr_Clear();
        }
    }
    return bytes;
}

static size_t
payload_bytes(void *opaque)
{
    const struct core_payload *payload = (struct core_payload *)opaque;
    size_t bytes = 0;

    for (Py_ssize_t i = 1; i <= payload->arg_count; i++) {
        bytes += core_plain_bytes(payload->slots[i], 0);
    }
    return bytes;
}

static chare_status
args_encode(void *opaque, chare_encoder *encoder)
{
    struct core_payload *payload = (struct core_payload *)opaque;

    payload->state->current->encodings++;
    return payload_encoded(payload, encoder,
                           core_encode_args(payload->state->current, encoder,
                                            payload->slots + 1,
                                            payload->arg_count));
}

static chare_status
value_encode(void *opaque, chare_encoder *encoder)
{
    struct core_payload *payload = (struct core_payload *)opaque;

    return payload_encoded(
        payload, encoder,
        core_encode(payload->state->current, encoder, payload->slots[1]));
}

/* For readers in C. */
static size_t
payload_count(void *opaque)
{
    return (size_t)((struct core_payload *)opaque)->arg_count;
}

static bool
item_number(PyObject *object, chare_value *value_out)
{
    int overflow;

    value_out->tag = CHARE_TAG_INT;
    value_out->as.integer = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow == 0;
}

static bool
item_text(PyObject *object, chare_value *value_out)
{
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(object, &len);

    if (text == NULL) {
        PyErr_Clear(); /* lone surrogates */
        return false;
    }
    value_out->tag = CHARE_TAG_STR;
    value_out->as.bytes.at = text;
    value_out->as.bytes.len = (size_t)len;
    return true;
}

static bool
payload_item(void *opaque, size_t i, chare_value *value_out)
{
    PyObject *object = ((struct core_payload *)opaque)->slots[i + 1];
    const PyTypeObject *type = Py_TYPE(object);

    if (type == &PyLong_Type) {
        return item_number(object, value_out);
    }
    if (type == &PyFloat_Type) {
        value_out->tag = CHARE_TAG_FLOAT;
        value_out->as.real = PyFloat_AS_DOUBLE(object);
        return true;
    }
    if (type == &PyUnicode_Type) {
        return item_text(object, value_out);
    }
    if (type == &PyBytes_Type) {
        value_out->tag = CHARE_TAG_BYTES;
        value_out->as.bytes.at = PyBytes_AS_STRING(object);
        value_out->as.bytes.len = (size_t)PyBytes_GET_SIZE(object);
        return true;
    }
    value_out->tag = object == Py_None    ? CHARE_TAG_NONE
                     : object == Py_True  ? CHARE_TAG_TRUE
                     : object == Py_False ? CHARE_TAG_FALSE
                                          : CHARE_TAG_END;
    return value_out->tag != CHARE_TAG_END;
}

const chare_payload_ops core_args_ops = {
    .size = sizeof(chare_payload_ops),
    .format = CHARE_FORMAT_ARGS,
    .encode = args_encode,
    .release = payload_release,
    .bytes = payload_bytes,
    .count = payload_count,
    .item = payload_item,
};

const chare_payload_ops core_value_ops = {
    .size = sizeof(chare_payload_ops),
    .format = CHARE_FORMAT_VALUE,
    .encode = value_encode,
    .release = payload_release,
    .bytes = payload_bytes,
    .count = payload_count,
    .item = payload_item,
};

/*
 * Fill in a payload, or return false: not plain, or an exception. Tuples for C
 * are none: they are encoded in the end, and then nobody would know for whom.
 */
static bool
payload_make(struct core_state *state, PyObject *const *args,
             Py_ssize_t arg_count, const chare_payload_ops *ops,
             chare_data *data_out)
{
    struct core_payload *payload;
    int depth = state->strict == NULL ? 0 : CORE_PLAIN_DEPTH_MAX;

    for (Py_ssize_t i = 0; i < arg_count; i++) {
        if (!core_is_plain(state, args[i], depth)) {
            return false;
        }
    }
    payload = payload_alloc(state, arg_count);
    if (payload == NULL) {
        return false;
    }
    for (Py_ssize_t i = 0; i < arg_count; i++) {
        payload->slots[i + 1] = Py_NewRef(args[i]);
    }
    *data_out = chare_data_payload(payload, ops);
    return true;
}

/* End an encoding as data, or drop it. */
static int
encoded(struct core_pe *pe, chare_encoder *encoder, int failed,
        chare_format format, chare_data *data_out)
{
    chare_buffer *buffer;
    chare_status status;

    if (failed) {
        chare_encoder_fini(encoder);
        return -1;
    }
    status = chare_encoder_take(encoder, &buffer);
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "encoding failed");
        return -1;
    }
    *data_out = chare_data_buffer(format, buffer);
    return 0;
}

enum {
    ROOM_BYTES = 128
}; /* what most messages need */

static inline int
args_encoded(struct core_pe *pe, PyObject *const *args, Py_ssize_t arg_count,
             chare_data *data_out)
{
    chare_encoder encoder;
    chare_status status =
        chare_encoder_init(&encoder, pe->runtime, ROOM_BYTES);

    if (status != CHARE_OK) {
        core_raise(pe->state, status, "no room for arguments");
        return -1;
    }
    return encoded(pe, &encoder,
                   core_encode_args(pe, &encoder, args, arg_count),
                   CHARE_FORMAT_ARGS, data_out);
}

int
core_data_args(struct core_pe *pe, bool local, PyObject *const *args,
               Py_ssize_t arg_count, chare_data *data_out)
{
    int result;

    if (local && arg_count <= CORE_PAYLOAD_ARGS_MAX) {
        if (payload_make(pe->state, args, arg_count, &core_args_ops,
                         data_out)) {
            return 0;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
        pe->state->near = true;
        result = args_encoded(pe, args, arg_count, data_out);
        pe->state->near = false;
        return result;
    }
    return args_encoded(pe, args, arg_count, data_out);
}

int
core_data_value(struct core_pe *pe, bool local, PyObject *value,
                chare_data *data_out)
{
    chare_encoder encoder;
    chare_status status;

    if (local) {
        if (payload_make(pe->state, &value, 1, &core_value_ops, data_out)) {
            return 0;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    status = chare_encoder_init(&encoder, pe->runtime, ROOM_BYTES);
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "no room for a value");
        return -1;
    }
    if (PyExceptionInstance_Check(value)) {
        return encoded(pe, &encoder, core_error_encode(pe, &encoder, value),
                       CHARE_FORMAT_ERROR, data_out);
    }
    return encoded(pe, &encoder, core_encode(pe, &encoder, value),
                   CHARE_FORMAT_VALUE, data_out);
}

void
core_data_drop(chare_data *data)
{
    if (data->payload != NULL) {
        data->payload_ops->release(data->payload);
    }
    chare_buffer_release(data->buffer);
}

void
core_payloads_free(struct core_state *state)
{
    for (int i = 0; i <= CORE_PAYLOAD_ARGS_MAX; i++) {
        while (state->payloads[i] != NULL) {
            struct core_payload *payload = state->payloads[i];

            state->payloads[i] = payload->next;
            PyMem_Free(payload);
        }
    }
}
