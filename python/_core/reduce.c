/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reduce.c - contributing to reductions.
 *
 * Numbers and arrays go to the runtime's own reducers, all else to Python's
 * (see reducer.c). Lists of numbers are arrays to Python, which promotes their
 * types; texts and other lists are joined in the order of the indices.
 */
#include <string.h>

#include "reducer.h"
#include "section.h"
#include "state.h"

/* Call a function of the pure layer with the data and the reducer's name. */
static PyObject *
call_support(struct core_state *state, const char *name, PyObject *data,
             struct core_reducer *reducer)
{
    PyObject *function = core_support(state, name);
    PyObject *result;

    if (function == NULL) {
        return NULL;
    }
    result = PyObject_CallFunctionObjArgs(function, data, reducer->name, NULL);
    Py_DECREF(function);
    return result;
}

/* A list, a tuple or an array.array, which may hold numbers. */
static bool
is_sequence(PyObject *data)
{
    return PyList_CheckExact(data) || PyTuple_CheckExact(data) ||
           strcmp(Py_TYPE(data)->tp_name, "array.array") == 0;
}

/* What is contributed: 'pre' is applied, a list of numbers is an array. */
static PyObject *
data_prepare(struct core_state *state, struct core_reducer *reducer,
             struct core_chare *chare, PyObject *data)
{
    if (reducer->pre != NULL) {
        return PyObject_CallFunctionObjArgs(reducer->pre, data, chare, NULL);
    }
    if (reducer->builtin == UINT32_MAX || reducer->function == NULL ||
        !is_sequence(data)) {
        return Py_NewRef(data);
    }
    return call_support(state, "as_array", data, reducer);
}

enum form {
    FORM_OBJECT,   /* for a Python function */
    FORM_NATIVE,   /* for the runtime's own reducer */
    FORM_SEQUENCE, /* to be joined */
    FORM_FOREIGN,  /* an array that must be converted first */
};

/* Which of them was written. */
static enum form
form_of(struct core_reducer *reducer, chare_encoder *encoder)
{
    const bool adds = reducer->builtin == CHARE_REDUCE_SUM ||
                      reducer->builtin == CHARE_REDUCE_PRODUCT;
    unsigned char *start = chare_buffer_bytes(encoder->buffer, NULL);
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, start, (size_t)(encoder->at - start));
    if (chare_get(&decoder, &value) != CHARE_OK) {
        return FORM_OBJECT;
    }
    switch (value.tag) {
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
    case CHARE_TAG_INT:
    case CHARE_TAG_BIGINT:
    case CHARE_TAG_FLOAT:
    case CHARE_TAG_COMPLEX:
        return FORM_NATIVE;
    case CHARE_TAG_SCALAR:
        return adds && value.as.bytes.dtype == CHARE_DTYPE_BOOL ? FORM_FOREIGN
                                                                : FORM_NATIVE;
    case CHARE_TAG_ARRAY:
        return (adds && value.as.array.dtype == CHARE_DTYPE_BOOL) ||
                       (value.as.array.flags & CHARE_ARRAY_SWAPPED) != 0
                   ? FORM_FOREIGN
                   : FORM_NATIVE;
    case CHARE_TAG_STR:
    case CHARE_TAG_BYTES:
    case CHARE_TAG_BYTEARRAY:
    case CHARE_TAG_LIST:
    case CHARE_TAG_TUPLE:
        return FORM_SEQUENCE;
    default:
        return FORM_OBJECT;
    }
}

/* Write arrays of bools, and of the other byte order, as what they count. */
static int
foreign_encode(struct core_pe *pe, struct core_reducer *reducer,
               PyObject *data, chare_encoder *encoder)
{
    struct core_reader reader;
    PyObject *native;
    PyObject *array = Py_NewRef(data);
    int result;

    if (Py_IS_TYPE(data, pe->state->MovedType)) {
        /* Its owner has it no longer: it is in what was written. */
        unsigned char *start = chare_buffer_bytes(encoder->buffer, NULL);

        core_reader_init(&reader, pe, start, (size_t)(encoder->at - start),
                         NULL);
        Py_SETREF(array, core_decode(&reader));
        core_reader_fini(&reader);
    }
    native = array == NULL
                 ? NULL
                 : call_support(pe->state, "as_native", array, reducer);
    encoder->at = chare_buffer_bytes(encoder->buffer, NULL);
    result = native != NULL ? core_encode(pe, encoder, native) : -1;
    if (Py_IS_TYPE(data, pe->state->MovedType) && result == 0) {
        pe->state->moved_into = encoder->buffer; /* it may have grown */
    } else if (Py_IS_TYPE(data, pe->state->MovedType) && array != NULL) {
        core_moved_return(pe, data, array);
    }
    Py_XDECREF(array);
    Py_XDECREF(native);
    return result;
}

/* Write the contribution; says which reducer is meant. */
static int
contribution_encode(struct core_pe *pe, struct core_reducer *reducer,
                    PyObject *data, const chare_callback *callback,
                    bool was_list, chare_encoder *encoder, uint32_t *id_out)
{
    enum form form;

    *id_out = reducer->id;
    if (reducer->post != NULL) {
        chare_put_container(encoder, CHARE_TAG_TUPLE, CORE_REDUCE_ITEMS);
        chare_put_callback(encoder, callback);
        chare_put_int(encoder, reducer->id);
    }
    if (core_encode(pe, encoder, data) < 0) {
        return -1;
    }
    if (reducer->builtin == UINT32_MAX || reducer->function == NULL) {
        return 0;
    }
    form = form_of(reducer, encoder);
    if (form == FORM_FOREIGN) {
        if (foreign_encode(pe, reducer, data, encoder) < 0) {
            return -1;
        }
        form = FORM_NATIVE;
    }
    if (form == FORM_NATIVE && !was_list) {
        *id_out = reducer->builtin;
    } else if (form == FORM_SEQUENCE && reducer->joining != NULL) {
        *id_out = ((struct core_reducer *)reducer->joining)->id;
    }
    return 0;
}

/* 'section' 0: to the chare's own collection. */
static chare_status
contribute(struct core_pe *pe, const struct core_chare *chare,
           chare_collection section, uint32_t reducer, const chare_data *data,
           const chare_callback *callback)
{
    chare_element name;

    core_chare_name(chare, &name);
    if (section == 0) {
        return chare_contribute(pe->runtime, &name, reducer, data, callback);
    }
    return chare_section_contribute(pe->runtime, &name, section, reducer, data,
                                    callback);
}

static PyObject *
contribute_failed(struct core_state *state, struct core_chare *chare,
                  chare_collection section, chare_status status)
{
    return section == 0 ? core_raise(state, status, "cannot contribute")
                        : core_section_refused(state, chare, section, status);
}

/* The arrays of a refused contribution go back to who moved them. */
static void
contribution_return(struct core_pe *pe, const struct core_reducer *reducer,
                    PyObject *sent, const chare_data *data)
{
    if (reducer->post == NULL) {
        core_moves_return_value(pe, sent, data);
    } else {
        PyObject *const items[CORE_REDUCE_ITEMS] = {Py_None, Py_None, sent};

        core_moves_return(pe, items, CORE_REDUCE_ITEMS, 0, data);
    }
}

static PyObject *
contribute_data(struct core_pe *pe, struct core_chare *chare,
                struct core_reducer *reducer, PyObject *prepared,
                bool was_list, const chare_callback *callback,
                chare_collection section)
{
    chare_callback target = *callback;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_status status;
    chare_data data;
    uint32_t id;

    status = chare_encoder_init(&encoder, pe->runtime, 128);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "no room for a contribution");
    }
    if (contribution_encode(pe, reducer, prepared, callback, was_list,
                            &encoder, &id) < 0) {
        chare_encoder_fini(&encoder);
        return NULL;
    }
    if (reducer->post != NULL) {
        target = chare_callback_function(
            pe->post,
            callback->kind == CHARE_CALLBACK_FUTURE ? callback->future.pe : 0,
            0);
    }
    status = chare_encoder_take(&encoder, &buffer);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "cannot encode a contribution");
    }
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    status = contribute(pe, chare, section, id, &data, &target);
    if (status != CHARE_OK) {
        contribution_return(pe, reducer, prepared, &data);
        core_data_drop(&data);
        return contribute_failed(pe->state, chare, section, status);
    }
    Py_RETURN_NONE;
}

/* Data without a reducer: a mistake, where it is not the custom. */
static bool
data_may_be_dropped(struct core_state *state, struct core_chare *chare,
                    PyObject *data)
{
    PyObject *function = core_support(state, "no_reducer");
    PyObject *error = NULL;
    bool may;

    if (function != NULL) {
        error = PyObject_CallFunctionObjArgs(function, chare, data, NULL);
        Py_DECREF(function);
    }
    may = error == Py_None;
    if (error != NULL && !may) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(error);
    return may;
}

/*
 * A float, or an int of 64 bits, for one of the runtime's own reducers. False:
 * it is something else.
 */
static bool
contribute_number(struct core_pe *pe, const struct core_chare *chare,
                  const struct core_reducer *reducer, PyObject *data,
                  const chare_callback *callback, chare_collection section,
                  chare_status *status_out)
{
    chare_element name;
    long long value;
    int overflow;

    if (reducer->builtin < CHARE_REDUCE_SUM ||
        reducer->builtin > CHARE_REDUCE_XOR || reducer->function == NULL ||
        reducer->pre != NULL || reducer->post != NULL) {
        return false;
    }
    core_chare_name(chare, &name);
    if (PyFloat_CheckExact(data)) {
        const double real = PyFloat_AS_DOUBLE(data);

        *status_out =
            section == 0
                ? chare_contribute_float(pe->runtime, &name, reducer->builtin,
                                         real, callback)
                : chare_section_contribute_float(pe->runtime, &name, section,
                                                 reducer->builtin, real,
                                                 callback);
        return true;
    }
    if (!PyLong_CheckExact(data)) {
        return false;
    }
    value = PyLong_AsLongLongAndOverflow(data, &overflow);
    if (overflow != 0) {
        return false;
    }
    *status_out =
        section == 0
            ? chare_contribute_int(pe->runtime, &name, reducer->builtin, value,
                                   callback)
            : chare_section_contribute_int(pe->runtime, &name, section,
                                           reducer->builtin, value, callback);
    return true;
}

PyObject *
core_contribute_to(struct core_state *state, struct core_chare *chare,
                   PyObject *data, PyObject *object,
                   const chare_callback *callback, chare_collection section)
{
    struct core_pe *pe = core_pe_get(state);
    struct core_reducer *reducer = (struct core_reducer *)object;
    chare_status status;
    PyObject *prepared;
    PyObject *result;

    if (pe == NULL) {
        return NULL;
    }
    if (object == Py_None && data != Py_None &&
        !data_may_be_dropped(state, chare, data)) {
        return NULL;
    }
    if (object == Py_None || (Py_IS_TYPE(object, state->ReducerType) &&
                              reducer->builtin == CHARE_REDUCE_NOP)) {
        status =
            contribute(pe, chare, section, CHARE_REDUCE_NOP, NULL, callback);
        if (status != CHARE_OK) {
            return contribute_failed(state, chare, section, status);
        }
        Py_RETURN_NONE;
    }
    if (!Py_IS_TYPE(object, state->ReducerType) || reducer->id == UINT32_MAX) {
        PyErr_Format(PyExc_TypeError,
                     "%R is no reducer: an attribute of Reducer is needed, "
                     "added before charm.start()",
                     object);
        return NULL;
    }
    if (contribute_number(pe, chare, reducer, data, callback, section,
                          &status)) {
        if (status != CHARE_OK) {
            return contribute_failed(state, chare, section, status);
        }
        Py_RETURN_NONE;
    }
    prepared = data_prepare(state, reducer, chare, data);
    if (prepared == NULL) {
        return NULL;
    }
    result = contribute_data(pe, chare, reducer, prepared, prepared != data,
                             callback, section);
    Py_DECREF(prepared);
    return result;
}

PyObject *
core_contribute(struct core_state *state, struct core_chare *chare,
                PyObject *data, PyObject *reducer, PyObject *callback,
                PyObject *section)
{
    chare_callback target;
    chare_collection id;

    if (core_callback_get(state, callback, &target) < 0 ||
        core_section_parse(state, chare, section, &id) < 0) {
        return NULL;
    }
    return core_contribute_to(state, chare, data, reducer, &target, id);
}

/* What 'post' makes of the result; an exception of its own or of another part
 * of the reducer becomes the result. */
static PyObject *
post_value(struct core_pe *pe, PyObject *id, PyObject *value, PyObject *error)
{
    struct core_reducer *reducer;
    PyObject *function;
    PyObject *result;

    reducer = (struct core_reducer *)PyDict_GetItemWithError(
        pe->state->reducers, id);
    if (reducer == NULL || reducer->post == NULL) {
        return PyErr_Format(pe->state->Error, "there is no reducer %R", id);
    }
    if (error != NULL) {
        return Py_NewRef(error);
    }
    result = PyObject_CallOneArg(reducer->post, value);
    if (result != NULL) {
        return result;
    }
    error = core_exception_take();
    function = core_support(pe->state, "reducer_failed");
    if (function != NULL) {
        result =
            PyObject_CallFunctionObjArgs(function, error, reducer->name, NULL);
        Py_DECREF(function);
    }
    Py_DECREF(error);
    return result;
}

/* The result of a reducer with 'post': (callback, reducer id, value). */
static PyObject *
post_deliver(struct core_pe *pe, PyObject *result)
{
    PyObject *callback;
    PyObject *id;
    PyObject *value;
    PyObject *error = NULL;
    PyObject *done = NULL;

    if (PyExceptionInstance_Check(result)) {
        PyErr_SetObject((PyObject *)Py_TYPE(result), result);
        return NULL;
    }
    if (!PyArg_ParseTuple(result, "OOO|O", &callback, &id, &value, &error)) {
        return NULL;
    }
    value = post_value(pe, id, value, error);
    if (value == NULL) {
        return NULL;
    }
    if (PyExceptionInstance_Check(value) &&
        !Py_IS_TYPE(callback, pe->state->FutureType)) {
        PyErr_SetObject((PyObject *)Py_TYPE(value), value);
    } else {
        done = PyObject_CallOneArg(callback, value);
    }
    Py_DECREF(value);
    return done;
}

static void
post_arrived(const chare_call *call, void *context)
{
    struct core_pe *pe = chare_user(call->runtime);
    PyObject *result;
    PyObject *done = NULL;

    (void)context;
    core_enter(pe);
    result = core_decode_data(pe, call);
    if (result != NULL) {
        done = post_deliver(pe, result);
        Py_DECREF(result);
    }
    if (done == NULL) {
        core_failed_in(pe, "the end of a reduction");
    }
    Py_XDECREF(done);
    core_leave(pe);
}

int
core_reduce_register(struct core_pe *pe)
{
    chare_status status = chare_function_register(
        pe->runtime, "chare.reduction.post", post_arrived, NULL, &pe->post);

    if (status != CHARE_OK) {
        core_raise(pe->state, status, "cannot register a function");
        return -1;
    }
    return 0;
}
