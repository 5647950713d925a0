/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * encode.c - Python objects to values of the codec.
 *
 * Exact built-in types, NumPy arrays and scalars, proxies, bound methods and
 * futures have a form of their own. A value that holds anything else, holds
 * the same mutable object twice (or itself), or nests too deeply is pickled
 * as a whole, for only pickle keeps what is shared. Tuples and frozensets may
 * be written again and again, as nobody can tell; but of a message that has
 * many of them all but short flat ones are noted too, and what is written
 * again is counted: ((t, t), (t, t)) doubles with each level.
 *
 * put_object() therefore has three results: 0 done, -1 exception, and
 * PICKLE_IT, after which the caller rewinds.
 */
#include <stddef.h>

#include "proxy_name.h"
#include "state.h"

enum {
    PICKLE_IT = 1,
    WRITE_AGAIN = 2, /* only of seen_add(): of a tuple or frozenset */
    SEEN_INLINE = 16,
    DEPTH_MAX = CHARE_CODEC_DEPTH_MAX - 4, /* the runtime may wrap a value */
    AGAIN_BYTES_MAX = 1 << 24, /* what one message may have again */
    AGAIN_OF_OTHERS = 256,     /* bytes of a list, dict, set or array, for C */
    SHARED_MAX = 1024, /* tuples that others hold too, before all are noted */
    FLAT_ITEMS_MAX = 64, /* of a tuple that is not noted */
};

/* Mutable objects met so far: one, or an open hash set. */
struct seen {
    PyObject *first;
    PyObject **slots;
    size_t room; /* a power of two; 0: there is the first one, or none */
    size_t count;
    size_t again_bytes; /* written again; AGAIN_BYTES_MAX */
    PyObject *inline_slots[SEEN_INLINE];
    struct core_moves moves; /* a moved array counts as a mutable object */
};

struct writer {
    struct core_pe *pe;
    struct core_state *state;
    chare_encoder *encoder;
    struct seen seen;
    int depth;
    unsigned shared; /* tuples and frozensets that others hold too */
};

static int put_object(struct writer *writer, PyObject *object);

static size_t
encoder_offset(chare_encoder *encoder)
{
    return (size_t)(encoder->at - (unsigned char *)chare_buffer_bytes(
                                      encoder->buffer, NULL));
}

static size_t
seen_slot(const struct seen *seen, PyObject *object)
{
    size_t mask = seen->room - 1;
    size_t i = ((uintptr_t)object >> 4) * 0x9e3779b97f4a7c15u >> 20 & mask;

    while (seen->slots[i] != NULL && seen->slots[i] != object) {
        i = (i + 1) & mask;
    }
    return i;
}

static int
seen_grow(struct seen *seen)
{
    struct seen grown = {.room = seen->room * 4, .count = seen->count};

    grown.slots = PyMem_Calloc(grown.room, sizeof(PyObject *));
    if (grown.slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < seen->room; i++) {
        if (seen->slots[i] != NULL) {
            grown.slots[seen_slot(&grown, seen->slots[i])] = seen->slots[i];
        }
    }
    if (seen->slots != seen->inline_slots) {
        PyMem_Free(seen->slots);
    }
    seen->slots = grown.slots;
    seen->room = grown.room;
    return 0;
}

/* The second one has come. */
static void
seen_begin(struct seen *seen)
{
    seen->slots = seen->inline_slots;
    seen->room = SEEN_INLINE;
    memset(seen->inline_slots, 0, sizeof(seen->inline_slots));
    seen->slots[seen_slot(seen, seen->first)] = seen->first;
    seen->count = 1;
    seen->again_bytes = 0;
    seen->moves.first = NULL;
}

/* So much was written again: too much is pickled, or refused for C. */
static int
again_count(struct writer *writer, size_t bytes)
{
    const struct core_entry *strict = writer->state->strict;

    writer->seen.again_bytes += bytes;
    if (writer->seen.again_bytes <= AGAIN_BYTES_MAX) {
        return 0;
    }
    if (strict == NULL) {
        return PICKLE_IT;
    }
    PyErr_Format(
        PyExc_ValueError,
        "%U(): its arguments hold the same lists, dicts, sets, tuples "
        "or arrays too often; C would get each of these again: at "
        "most %d of them, or %d MiB of tuples",
        strict->fullname, AGAIN_BYTES_MAX / AGAIN_OF_OTHERS,
        AGAIN_BYTES_MAX >> 20);
    return -1;
}

/* One has come again. A tuple is written again for a while, and for C, which
 * knows no identity, all is. */
static int
seen_again(struct seen *seen, PyObject *object)
{
    struct writer *writer =
        (struct writer *)((char *)seen - offsetof(struct writer, seen));

    if (PyTuple_CheckExact(object) || PyFrozenSet_CheckExact(object)) {
        return WRITE_AGAIN;
    }
    if (writer->state->strict == NULL) {
        return PICKLE_IT;
    }
    return again_count(writer, AGAIN_OF_OTHERS);
}

static int
seen_add_next(struct seen *seen, PyObject *object)
{
    size_t i;

    if (seen->room == 0) {
        seen_begin(seen);
    }
    if (seen->count * 2 >= seen->room && seen_grow(seen) < 0) {
        return -1;
    }
    i = seen_slot(seen, object);
    if (seen->slots[i] == object) {
        return seen_again(seen, object);
    }
    seen->slots[i] = object;
    seen->count++;
    return 0;
}

/* Note an object; WRITE_AGAIN or PICKLE_IT when it was met before. */
static inline int
seen_add(struct seen *seen, PyObject *object)
{
    if (seen->first == NULL) {
        seen->first = object;
        return 0;
    }
    return seen_add_next(seen, object);
}

static void
seen_fini(struct seen *seen)
{
    if (seen->slots != seen->inline_slots) {
        PyMem_Free(seen->slots);
    }
}

/* An integer beyond 64 bits. */
static int
put_bigint(struct writer *writer, PyObject *object)
{
    PyObject *function = core_support(writer->state, "int_to_bytes");
    PyObject *bytes;

    if (function == NULL) {
        return -1;
    }
    bytes = PyObject_CallOneArg(function, object);
    Py_DECREF(function);
    if (bytes == NULL) {
        return -1;
    }
    chare_put_bigint(writer->encoder, PyBytes_AS_STRING(bytes),
                     (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

static int
put_int(struct writer *writer, PyObject *object)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);

    if (overflow != 0) {
        return put_bigint(writer, object);
    }
    chare_put_int(writer->encoder, value);
    return 0;
}

static int
put_str(struct writer *writer, PyObject *object)
{
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(object, &len);
    PyObject *bytes;

    if (text != NULL) {
        chare_put_str(writer->encoder, text, (size_t)len);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return -1;
    }
    PyErr_Clear(); /* lone surrogates */
    bytes = PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass");
    if (bytes == NULL) {
        return -1;
    }
    chare_put_str(writer->encoder, PyBytes_AS_STRING(bytes),
                  (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

/* Items that nobody can change: a tuple's, or arguments. */
static int
put_items(struct writer *writer, PyObject *const *items, Py_ssize_t count)
{
    chare_put_container(writer->encoder, CHARE_TAG_TUPLE, (size_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        int result = put_object(writer, items[i]);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/*
 * The items of a list or dict are held while they are written: a big integer,
 * for example, is written by Python code, in which another thread may run and
 * change what is being sent.
 */
static int
changed(PyObject *object)
{
    PyErr_Format(PyExc_RuntimeError, "%s changed size while it was being sent",
                 Py_TYPE(object)->tp_name);
    return -1;
}

static int
put_held(struct writer *writer, PyObject *item)
{
    int result;

    Py_INCREF(item);
    result = put_object(writer, item);
    Py_DECREF(item);
    return result;
}

static int
put_list(struct writer *writer, PyObject *object)
{
    const Py_ssize_t count = PyList_GET_SIZE(object);

    chare_put_container(writer->encoder, CHARE_TAG_LIST, (size_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        int result;

        if (PyList_GET_SIZE(object) != count) {
            return changed(object);
        }
        result = put_held(writer, PyList_GET_ITEM(object, i));
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int
put_dict(struct writer *writer, PyObject *object)
{
    const Py_ssize_t count = PyDict_GET_SIZE(object);
    Py_ssize_t position = 0;
    Py_ssize_t written = 0;
    PyObject *key;
    PyObject *value;
    int result;

    chare_put_container(writer->encoder, CHARE_TAG_DICT, (size_t)count);
    while (PyDict_Next(object, &position, &key, &value)) {
        Py_INCREF(value);
        result = put_held(writer, key);
        if (result == 0) {
            result = put_object(writer, value);
        }
        Py_DECREF(value);
        if (result != 0) {
            return result;
        }
        if (++written > count || PyDict_GET_SIZE(object) != count) {
            return changed(object);
        }
    }
    return written == count ? 0 : changed(object);
}

static int
put_set(struct writer *writer, PyObject *object, chare_tag tag)
{
    PyObject *iterator = PyObject_GetIter(object);
    PyObject *item;
    int result = 0;

    if (iterator == NULL) {
        return -1;
    }
    chare_put_container(writer->encoder, tag, (size_t)PySet_GET_SIZE(object));
    while (result == 0 && (item = PyIter_Next(iterator)) != NULL) {
        result = put_object(writer, item);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : result;
}

static int
put_proxy(struct writer *writer, PyObject *object)
{
    struct core_proxy_name name;
    chare_proxy proxy;

    core_proxy_name_get(object, &name);
    proxy = (chare_proxy){
        .element = name.element,
        .type = name.type == UINT32_MAX ? CHARE_NO_TYPE : name.type,
        .kind = name.flavour,
        .ndims = name.ndims,
        .part_count = (uint8_t)name.part_count,
        .parts = name.parts,
    };
    chare_put_proxy(writer->encoder, &proxy);
    return 0;
}

static int
put_moved(struct writer *writer, PyObject *object)
{
    struct seen *seen = &writer->seen;

    if (seen->first == NULL) {
        seen->first = object;
    }
    if (seen_add_next(seen, object) < 0) { /* at least, it has begun */
        return -1;
    }
    return core_move_put(writer->pe, &seen->moves, writer->encoder,
                         encoder_offset(writer->encoder), object);
}

/* The types that are rarer than the built-in ones. */
static int
put_other(struct writer *writer, PyObject *object)
{
    struct core_state *state = writer->state;
    int result;

    if (core_is_proxy(state, object)) {
        return put_proxy(writer, object);
    }
    if (Py_IS_TYPE(object, state->FutureType)) {
        chare_future name;

        if (writer->encoder == writer->pe->luggage &&
            core_future_comes_along(writer->pe,
                                    (struct core_future *)object)) {
            return core_future_follow(writer->pe, writer->encoder,
                                      (struct core_future *)object);
        }
        if (core_future_name(writer->pe, (struct core_future *)object, &name) <
            0) {
            return -1;
        }
        chare_put_future(writer->encoder, &name);
        return 0;
    }
    if (Py_IS_TYPE(object, state->CallbackType)) {
        chare_callback callback;

        if (core_callback_get(state, object, &callback) < 0) {
            return -1;
        }
        chare_put_callback(writer->encoder, &callback);
        return 0;
    }
    switch (core_numpy_kind(state, object)) {
    case 'a':
        result = seen_add(&writer->seen, object);
        if (result != 0) {
            return result;
        }
        return core_array_encode(state, writer->encoder, object);
    case 's':
        return core_scalar_encode(state, writer->encoder, object);
    default:
        return Py_IS_TYPE(object, state->MovedType) ? put_moved(writer, object)
                                                    : PICKLE_IT;
    }
}

/* A short tuple whose items cannot be written again with it. */
static bool
is_flat(PyObject *object)
{
    Py_ssize_t at = 0;

    if (!PyTuple_CheckExact(object) ||
        PyTuple_GET_SIZE(object) > FLAT_ITEMS_MAX) {
        return false;
    }
    while (at < PyTuple_GET_SIZE(object)) {
        PyObject *item = PyTuple_GET_ITEM(object, at++);

        if (PyTuple_CheckExact(item) || PyFrozenSet_CheckExact(item)) {
            return false;
        }
    }
    return true;
}

static int
put_frozen(struct writer *writer, PyObject *object)
{
    if (!PyTuple_CheckExact(object)) {
        return put_set(writer, object, CHARE_TAG_FROZENSET);
    }
    return put_items(writer, ((PyTupleObject *)object)->ob_item,
                     PyTuple_GET_SIZE(object));
}

/* A tuple or frozenset that something else holds too, perhaps this value. */
static int
put_shared(struct writer *writer, PyObject *object)
{
    chare_encoder *encoder = writer->encoder;
    size_t before;
    int again = 0;
    int result;

    if (++writer->shared > SHARED_MAX && !is_flat(object)) {
        again = seen_add(&writer->seen, object);
        if (again < 0) {
            return again;
        }
    }
    before = encoder_offset(encoder);
    result = put_frozen(writer, object);
    if (again == 0 || result != 0 || encoder->status != CHARE_OK) {
        return result;
    }
    return again_count(writer, encoder_offset(encoder) - before);
}

static int
put_container(struct writer *writer, PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);
    int result;

    if (type == &PyTuple_Type || type == &PyFrozenSet_Type) {
        return Py_REFCNT(object) > 1 ? put_shared(writer, object)
                                     : put_frozen(writer, object);
    }
    if (type != &PyList_Type && type != &PyDict_Type && type != &PySet_Type) {
        return put_other(writer, object);
    }
    result = seen_add(&writer->seen, object);
    if (result != 0) {
        return result;
    }
    if (type == &PyList_Type) {
        return put_list(writer, object);
    }
    if (type == &PyDict_Type) {
        return put_dict(writer, object);
    }
    return put_set(writer, object, CHARE_TAG_SET);
}

static int
put_object(struct writer *writer, PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);
    int result;

    if (type == &PyLong_Type) {
        return put_int(writer, object);
    }
    if (type == &PyFloat_Type) {
        chare_put_float(writer->encoder, PyFloat_AS_DOUBLE(object));
        return 0;
    }
    if (type == &PyUnicode_Type) {
        return put_str(writer, object);
    }
    if (object == Py_None) {
        chare_put_none(writer->encoder);
        return 0;
    }
    if (type == &PyBool_Type) {
        chare_put_bool(writer->encoder, object == Py_True);
        return 0;
    }
    if (type == &PyBytes_Type) {
        chare_put_bytes(writer->encoder, PyBytes_AS_STRING(object),
                        (size_t)PyBytes_GET_SIZE(object));
        return 0;
    }
    if (type == &PyComplex_Type) {
        chare_put_complex(writer->encoder, PyComplex_RealAsDouble(object),
                          PyComplex_ImagAsDouble(object));
        return 0;
    }
    if (type == &PyByteArray_Type) {
        result = seen_add(&writer->seen, object);
        if (result == 0) {
            chare_put_bytearray(writer->encoder, PyByteArray_AS_STRING(object),
                                (size_t)PyByteArray_GET_SIZE(object));
        }
        return result;
    }
    if (++writer->depth > DEPTH_MAX) {
        return PICKLE_IT;
    }
    result = put_container(writer, object);
    writer->depth--;
    return result;
}

/* Write one buffer that a pickle left out. */
static int
put_part(chare_encoder *encoder, PyObject *part)
{
    Py_buffer view;
    int64_t shape;
    void *room;

    if (PyObject_GetBuffer(part, &view, PyBUF_ANY_CONTIGUOUS) < 0) {
        return -1;
    }
    shape = view.len;
    room = chare_put_array(encoder, CHARE_DTYPE_U8,
                           view.readonly ? CHARE_ARRAY_READ_ONLY : 0, 1,
                           &shape, (size_t)view.len);
    if (room != NULL) {
        memcpy(room, view.buf, (size_t)view.len);
    }
    PyBuffer_Release(&view);
    return 0;
}

/* A value's pickle and its parts; NULL with an exception. */
static PyObject *
pickle_of(struct core_pe *pe, const chare_encoder *encoder, PyObject *value)
{
    PyObject *function = core_support(pe->state, "dumps");
    struct core_chare *moving = pe->moving;
    PyObject *pair;

    if (function == NULL) {
        return NULL;
    }
    if (encoder != pe->luggage) { /* F4 of follow.c */
        pe->moving = NULL;
    }
    pair = PyObject_CallOneArg(function, value);
    pe->moving = moving;
    Py_DECREF(function);
    return pair;
}

/* Write a value as a pickle. */
static int
put_pickle(struct core_pe *pe, chare_encoder *encoder, PyObject *value)
{
    PyObject *pair = pickle_of(pe, encoder, value);
    PyObject *pickle;
    PyObject *parts;
    int result = -1;

    if (pair == NULL) {
        return -1;
    }
    if (!PyArg_ParseTuple(pair, "SO!", &pickle, &PyList_Type, &parts)) {
        goto out;
    }
    if (PyList_GET_SIZE(parts) > 0) {
        chare_put_container(encoder, CHARE_TAG_TUPLE,
                            (size_t)PyList_GET_SIZE(parts) + 1);
    }
    chare_put_extern(encoder,
                     PyList_GET_SIZE(parts) > 0 ? CORE_EXTERN_PICKLE_PARTS
                                                : CORE_EXTERN_PICKLE,
                     PyBytes_AS_STRING(pickle),
                     (size_t)PyBytes_GET_SIZE(pickle));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        if (put_part(encoder, PyList_GET_ITEM(parts, i)) < 0) {
            goto out;
        }
    }
    result = 0;
out:
    Py_DECREF(pair);
    return result;
}

/* Back to where it began, to write a pickle. */
static void
writer_rewind(struct writer *writer, size_t offset)
{
    chare_encoder *encoder = writer->encoder;

    encoder->at =
        (unsigned char *)chare_buffer_bytes(encoder->buffer, NULL) + offset;
    if (writer->seen.room > 0) {
        core_moves_forget(&writer->seen.moves);
    }
}

static void
writer_init(struct writer *writer, struct core_pe *pe, chare_encoder *encoder)
{
    writer->pe = pe;
    writer->state = pe->state;
    writer->encoder = encoder;
    writer->seen.first = NULL;
    writer->seen.slots = NULL;
    writer->seen.room = 0;
    writer->seen.count = 0;
    writer->depth = 0;
    writer->shared = 0;
}

/* All is written, or (result below 0) nothing is to be sent. */
static int
writer_end_moves(struct writer *writer, int result)
{
    if (result < 0 || writer->encoder->status != CHARE_OK) {
        core_moves_forget(&writer->seen.moves);
        return result;
    }
    return core_moves_end(writer->pe, &writer->seen.moves, writer->encoder);
}

static int
writer_fini(struct writer *writer, int result)
{
    if (writer->seen.room > 0) {
        seen_fini(&writer->seen);
        if (writer->seen.moves.first != NULL) {
            result = writer_end_moves(writer, result);
        }
    }
    if (result >= 0 && writer->encoder->status != CHARE_OK) {
        core_raise(writer->state, writer->encoder->status,
                   "cannot encode a value");
        return -1;
    }
    return result;
}

int
core_encode(struct core_pe *pe, chare_encoder *encoder, PyObject *value)
{
    size_t start = encoder_offset(encoder);
    struct writer writer;
    int result;

    writer_init(&writer, pe, encoder);
    result = put_object(&writer, value);
    if (result == PICKLE_IT && encoder->status == CHARE_OK) {
        writer_rewind(&writer, start);
        result = put_pickle(pe, encoder, value);
    }
    return writer_fini(&writer, result);
}

int
core_encode_args(struct core_pe *pe, chare_encoder *encoder,
                 PyObject *const *args, Py_ssize_t arg_count)
{
    size_t start = encoder_offset(encoder);
    struct writer writer;
    PyObject *tuple;
    int result;

    writer_init(&writer, pe, encoder);
    result = put_items(&writer, args, arg_count);
    if (result == PICKLE_IT && encoder->status == CHARE_OK) {
        writer_rewind(&writer, start);
        tuple = pe->state->strict == NULL ? PyTuple_New(arg_count) : NULL;
        if (tuple == NULL) {
            if (pe->state->strict != NULL) {
                (void)core_native_refuse(pe, encoder, args, arg_count);
            }
            return writer_fini(&writer, -1);
        }
        for (Py_ssize_t i = 0; i < arg_count; i++) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
        }
        result = put_pickle(pe, encoder, tuple);
        Py_DECREF(tuple);
    }
    return writer_fini(&writer, result);
}

int
core_encode_strict(struct core_pe *pe, chare_encoder *encoder, PyObject *value)
{
    struct writer writer;
    int result;

    writer_init(&writer, pe, encoder);
    result = put_object(&writer, value);
    if (writer.seen.room > 0) { /* this is a trial: nothing is sent */
        core_moves_forget(&writer.seen.moves);
    }
    if (result == PICKLE_IT) {
        (void)writer_fini(&writer, -1);
        return 0;
    }
    return writer_fini(&writer, result) < 0 ? -1 : 1;
}
