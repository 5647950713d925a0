/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode.c - values of the codec to Python objects.
 *
 * The bytes may be anything: a wrong tag, count or length is an exception,
 * and the depth is limited.
 */
#include "proxy_name.h"
#include "state.h"

void
core_reader_init(struct core_reader *reader, struct core_pe *pe,
                 const void *bytes, size_t len, const chare_call *call)
{
    reader->pe = pe;
    chare_decoder_init(&reader->decoder, bytes, len);
    reader->call = call;
    reader->memory = NULL;
    reader->asked = false;
    reader->has_arrays = false;
    reader->shared = false;
    reader->depth = 0;
}

void
core_reader_fini(struct core_reader *reader)
{
    Py_CLEAR(reader->memory);
}

static PyObject *
bad_format(struct core_reader *reader, const char *what)
{
    return core_raise(reader->pe->state, CHARE_ERR_FORMAT, what);
}

static PyObject *
call_support(struct core_reader *reader, const char *name, PyObject *arg)
{
    PyObject *function;
    PyObject *result = NULL;

    if (arg == NULL) {
        return NULL;
    }
    function = core_support(reader->pe->state, name);
    if (function != NULL) {
        result = PyObject_CallOneArg(function, arg);
        Py_DECREF(function);
    }
    Py_DECREF(arg);
    return result;
}

/* A pickle whose buffers are the other items of its tuple. */
static PyObject *
get_pickle_parts(struct core_reader *reader, const chare_value *first,
                 size_t item_count)
{
    PyObject *parts = PyTuple_New((Py_ssize_t)item_count);
    PyObject *item;

    if (parts == NULL) {
        return NULL;
    }
    item = PyBytes_FromStringAndSize(first->as.bytes.at,
                                     (Py_ssize_t)first->as.bytes.len);
    for (size_t i = 0; i < item_count; i++) {
        if (i > 0) {
            item = core_decode(reader);
        }
        if (item == NULL) {
            Py_DECREF(parts);
            return NULL;
        }
        PyTuple_SET_ITEM(parts, (Py_ssize_t)i, item);
    }
    return call_support(reader, "loads_parts", parts);
}

static PyObject *get_value(struct core_reader *reader,
                           const chare_value *value);

static PyObject *
get_tuple(struct core_reader *reader, size_t count)
{
    PyObject *tuple;
    chare_value value;

    if (count == 0) {
        return PyTuple_New(0);
    }
    if (chare_get(&reader->decoder, &value) != CHARE_OK) {
        return bad_format(reader, "cannot decode a tuple");
    }
    if (value.tag == CHARE_TAG_EXTERN &&
        value.as.bytes.kind == CORE_EXTERN_PICKLE_PARTS) {
        return get_pickle_parts(reader, &value, count);
    }
    tuple = PyTuple_New((Py_ssize_t)count);
    if (tuple == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *item =
            i == 0 ? get_value(reader, &value) : core_decode(reader);

        if (item == NULL) {
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, item);
    }
    return tuple;
}

static PyObject *
get_list(struct core_reader *reader, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);

    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *item = core_decode(reader);

        if (item == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

static PyObject *
get_dict(struct core_reader *reader, size_t count)
{
    PyObject *dict = PyDict_New();

    for (size_t i = 0; dict != NULL && i < count; i++) {
        PyObject *key = core_decode(reader);
        PyObject *value = key != NULL ? core_decode(reader) : NULL;

        if (value == NULL || PyDict_SetItem(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *
get_set(struct core_reader *reader, size_t count, bool frozen)
{
    PyObject *set = frozen ? PyFrozenSet_New(NULL) : PySet_New(NULL);

    for (size_t i = 0; set != NULL && i < count; i++) {
        PyObject *item = core_decode(reader);

        if (item == NULL || PySet_Add(set, item) < 0) {
            Py_CLEAR(set);
        }
        Py_XDECREF(item);
    }
    return set;
}

static PyObject *
get_container(struct core_reader *reader, chare_tag tag, size_t count)
{
    PyObject *result;

    if (++reader->depth > CHARE_CODEC_DEPTH_MAX) {
        return bad_format(reader, "values nest too deeply");
    }
    switch (tag) {
    case CHARE_TAG_TUPLE:
        result = get_tuple(reader, count);
        break;
    case CHARE_TAG_LIST:
        result = get_list(reader, count);
        break;
    case CHARE_TAG_DICT:
        result = get_dict(reader, count);
        break;
    case CHARE_TAG_ERROR:
        result = core_error_decode(reader, count);
        break;
    default:
        result = get_set(reader, count, tag == CHARE_TAG_FROZENSET);
        break;
    }
    reader->depth--;
    return result;
}

/*
 * An object from its pickle, which is read where it lies. The view of it is
 * closed then: frames in the traceback of an exception may keep it longer than
 * the message lives.
 */
static PyObject *
get_pickle(struct core_reader *reader, const chare_value *value)
{
    PyObject *view =
        PyMemoryView_FromMemory((char *)(uintptr_t)value->as.bytes.at,
                                (Py_ssize_t)value->as.bytes.len, PyBUF_READ);
    PyObject *released;
    PyObject *error = NULL;
    PyObject *object;

    if (view == NULL) {
        return NULL;
    }
    object = call_support(reader, "loads", Py_NewRef(view));
    if (object == NULL) {
        error = core_exception_take();
    }
    released = PyObject_CallMethod(view, "release", NULL);
    Py_DECREF(view);
    if (released == NULL) {
        Py_CLEAR(object);
    }
    Py_XDECREF(released);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return object;
}

static PyObject *
get_extern(struct core_reader *reader, const chare_value *value)
{
    switch (value->as.bytes.kind) {
    case CORE_EXTERN_PICKLE:
        return get_pickle(reader, value);
    case CORE_EXTERN_FUTURE:
        return core_future_adopt(reader->pe, value->as.bytes.at,
                                 value->as.bytes.len);
    default:
        return bad_format(reader, "cannot decode a foreign kind of value");
    }
}

static PyObject *
get_proxy(struct core_reader *reader, const chare_proxy *proxy)
{
    struct core_proxy_name name = {
        .element = proxy->element,
        .type = proxy->type == CHARE_NO_TYPE ? UINT32_MAX : proxy->type,
        .flavour = proxy->kind,
        .ndims = proxy->ndims,
        .part_count = proxy->part_count,
    };

    memcpy(name.parts, proxy->parts != NULL ? proxy->parts : name.parts,
           proxy->part_count * sizeof(name.parts[0]));
    return core_proxy_of_name(reader->pe->state, &name);
}

/* The values that are neither containers nor simple. */
static PyObject *
get_other(struct core_reader *reader, const chare_value *value)
{
    struct core_pe *pe = reader->pe;

    switch (value->tag) {
    case CHARE_TAG_BIGINT:
        return call_support(
            reader, "int_from_bytes",
            PyBytes_FromStringAndSize(value->as.bytes.at,
                                      (Py_ssize_t)value->as.bytes.len));
    case CHARE_TAG_ARRAY:
        return core_array_decode(reader, value);
    case CHARE_TAG_SCALAR:
        return core_scalar_decode(reader, value);
    case CHARE_TAG_EXTERN:
        return get_extern(reader, value);
    case CHARE_TAG_ELEMENT:
        return core_proxy_new(pe->state, NULL, &value->as.element,
                              CORE_FLAVOUR_ARRAY,
                              value->as.element.index.ndims);
    case CHARE_TAG_FUTURE:
        return core_future_of(pe, &value->as.future);
    case CHARE_TAG_PROXY:
        return get_proxy(reader, &value->as.proxy);
    case CHARE_TAG_CALLBACK:
        return core_callback_of(pe, &value->as.callback);
    default:
        return bad_format(reader, "cannot decode a value");
    }
}

static PyObject *
get_value(struct core_reader *reader, const chare_value *value)
{
    switch (value->tag) {
    case CHARE_TAG_NONE:
        return Py_NewRef(Py_None);
    case CHARE_TAG_FALSE:
        return Py_NewRef(Py_False);
    case CHARE_TAG_TRUE:
        return Py_NewRef(Py_True);
    case CHARE_TAG_INT:
        return PyLong_FromLongLong(value->as.integer);
    case CHARE_TAG_FLOAT:
        return PyFloat_FromDouble(value->as.real);
    case CHARE_TAG_COMPLEX:
        return PyComplex_FromDoubles(value->as.pair.real, value->as.pair.imag);
    case CHARE_TAG_STR:
        return PyUnicode_DecodeUTF8(value->as.bytes.at,
                                    (Py_ssize_t)value->as.bytes.len,
                                    "surrogatepass");
    case CHARE_TAG_BYTES:
        return PyBytes_FromStringAndSize(value->as.bytes.at,
                                         (Py_ssize_t)value->as.bytes.len);
    case CHARE_TAG_BYTEARRAY:
        return PyByteArray_FromStringAndSize(value->as.bytes.at,
                                             (Py_ssize_t)value->as.bytes.len);
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_DICT:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
    case CHARE_TAG_ERROR:
        return get_container(reader, value->tag, value->as.count);
    default:
        return get_other(reader, value);
    }
}

PyObject *
core_decode(struct core_reader *reader)
{
    chare_value value;

    if (chare_get(&reader->decoder, &value) != CHARE_OK) {
        return bad_format(reader, "cannot decode a value");
    }
    return get_value(reader, &value);
}

/* Arguments that came as one object: a pickled tuple, or a lone value. */
static Py_ssize_t
args_of_object(PyObject *object, bool is_tuple, PyObject **inline_args,
               Py_ssize_t room, PyObject ***args_out)
{
    Py_ssize_t count = is_tuple ? PyTuple_GET_SIZE(object) : 1;
    PyObject **args = inline_args;

    if (count > room) {
        args = PyMem_Malloc((size_t)count * sizeof(*args));
        if (args == NULL) {
            PyErr_NoMemory();
            Py_DECREF(object);
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        args[i] = Py_NewRef(is_tuple ? PyTuple_GET_ITEM(object, i) : object);
    }
    Py_DECREF(object);
    *args_out = args;
    return count;
}

/* The items of a tuple straight into an array, without making the tuple. */
static Py_ssize_t
args_of_items(struct core_reader *reader, Py_ssize_t count,
              PyObject **inline_args)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        inline_args[i] = core_decode(reader);
        if (inline_args[i] == NULL) {
            while (--i >= 0) {
                Py_DECREF(inline_args[i]);
            }
            return -1;
        }
    }
    return count;
}

static Py_ssize_t
args_read(struct core_reader *reader, PyObject **inline_args, Py_ssize_t room,
          PyObject ***args_out)
{
    chare_decoder start = reader->decoder;
    chare_decoder peek;
    chare_value value;
    PyObject *object;

    if (chare_get(&reader->decoder, &value) != CHARE_OK) {
        bad_format(reader, "cannot decode arguments");
        return -1;
    }
    if (value.tag == CHARE_TAG_TUPLE && (Py_ssize_t)value.as.count <= room) {
        chare_value first;

        peek = reader->decoder;
        if (value.as.count == 0 ||
            (chare_get(&peek, &first) == CHARE_OK &&
             !(first.tag == CHARE_TAG_EXTERN &&
               first.as.bytes.kind == CORE_EXTERN_PICKLE_PARTS))) {
            *args_out = inline_args;
            return args_of_items(reader, (Py_ssize_t)value.as.count,
                                 inline_args);
        }
    }
    reader->decoder = start;
    object = core_decode(reader);
    if (object == NULL) {
        return -1;
    }
    return args_of_object(object, PyTuple_CheckExact(object), inline_args,
                          room, args_out);
}

/* Whether the call has neither bytes nor a payload. */
static bool
call_is_empty(const chare_call *call)
{
    return call->payload == NULL && call->len == 0;
}

/* A payload of somebody else's: have it encoded. */
static chare_status
payload_bytes(struct core_pe *pe, const chare_call *call,
              chare_buffer **buffer_out)
{
    chare_encoder encoder;
    chare_status status = chare_encoder_init(&encoder, pe->runtime, 64);

    if (status != CHARE_OK) {
        return status;
    }
    status = call->payload_ops->encode(call->payload, &encoder);
    if (status != CHARE_OK) {
        chare_encoder_fini(&encoder);
        return status;
    }
    return chare_encoder_take(&encoder, buffer_out);
}

/* One object from whatever a call carries, in the format it says. */
static PyObject *
object_of_bytes(struct core_pe *pe, const chare_call *call, const void *bytes,
                size_t len, const chare_call *keep)
{
    struct core_reader reader;
    PyObject *result;

    if (call->format == CHARE_FORMAT_BYTES) {
        return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len);
    }
    core_reader_init(&reader, pe, bytes, len, keep);
    result = core_decode(&reader);
    core_reader_fini(&reader);
    return result;
}

static PyObject *
object_of_call(struct core_pe *pe, const chare_call *call)
{
    chare_buffer *buffer;
    const void *bytes;
    chare_status status;
    PyObject *result;
    size_t len;

    if (call->payload == NULL) {
        return object_of_bytes(pe, call, call->bytes, call->len, call);
    }
    status = payload_bytes(pe, call, &buffer);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "cannot read arguments");
    }
    bytes = chare_buffer_bytes(buffer, &len);
    result = object_of_bytes(pe, call, bytes, len, NULL);
    chare_buffer_release(buffer);
    return result;
}

Py_ssize_t
core_decode_args(struct core_pe *pe, const chare_call *call,
                 PyObject **inline_args, Py_ssize_t room, PyObject ***args_out)
{
    struct core_reader reader;
    PyObject *object;
    Py_ssize_t count;

    *args_out = inline_args;
    if (call_is_empty(call)) {
        return 0;
    }
    if (call->format == CHARE_FORMAT_ARGS && call->payload == NULL) {
        core_reader_init(&reader, pe, call->bytes, call->len, call);
        count = args_read(&reader, inline_args, room, args_out);
        if (reader.has_arrays) {
            core_reader_fini(&reader);
            pe->args = *args_out; /* which move() may be asked for */
            pe->arg_count = count < 0 ? 0 : count;
        }
        return count;
    }
    if (call->payload_ops == &core_value_ops && call->payload != NULL) {
        struct core_payload *payload = call->payload;

        inline_args[0] = Py_NewRef(payload->slots[1]);
        return 1;
    }
    object = object_of_call(pe, call);
    if (object == NULL) {
        return -1;
    }
    return args_of_object(object,
                          call->format == CHARE_FORMAT_ARGS &&
                              PyTuple_CheckExact(object),
                          inline_args, room, args_out);
}

PyObject *
core_decode_data(struct core_pe *pe, const chare_call *call)
{
    if (call_is_empty(call)) {
        return Py_NewRef(Py_None);
    }
    if (call->payload != NULL && call->payload_ops == &core_value_ops) {
        return Py_NewRef(((struct core_payload *)call->payload)->slots[1]);
    }
    return object_of_call(pe, call);
}
