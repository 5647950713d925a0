/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reduce.c - contributing to reductions.
 *
 * Which of a built-in reducer's two forms is used depends only on whether the
 * data is an array, for all chares must name the same one.
 */
#include "state.h"

/* A list or tuple of numbers counts as an array. */
static PyObject *
data_prepare(struct core_state *state, struct core_reducer *reducer,
             struct core_chare *chare, PyObject *data)
{
    PyObject *function;
    PyObject *result;

    if (reducer->pre != NULL) {
        return PyObject_CallFunctionObjArgs(reducer->pre, data, chare, NULL);
    }
    if (reducer->builtin == UINT32_MAX || reducer->function == NULL ||
        !(PyList_CheckExact(data) || PyTuple_CheckExact(data))) {
        return Py_NewRef(data);
    }
    function = core_support(state, "as_array");
    if (function == NULL) {
        return NULL;
    }
    result = PyObject_CallOneArg(function, data);
    Py_DECREF(function);
    return result;
}

/* Whether what was written is an array that the runtime can combine. */
static bool
is_native_array(chare_encoder *encoder)
{
    unsigned char *start = chare_buffer_bytes(encoder->buffer, NULL);
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, start, (size_t)(encoder->at - start));
    return chare_get(&decoder, &value) == CHARE_OK &&
           value.tag == CHARE_TAG_ARRAY &&
           (value.as.array.flags & CHARE_ARRAY_SWAPPED) == 0;
}

/* Write the contribution; says which reducer is meant. */
static int
contribution_encode(struct core_pe *pe, struct core_reducer *reducer,
                    PyObject *data, const chare_callback *callback,
                    chare_encoder *encoder, uint32_t *id_out)
{
    *id_out = reducer->id;
    if (reducer->post != NULL) {
        chare_put_container(encoder, CHARE_TAG_TUPLE, 3);
        chare_put_callback(encoder, callback);
        chare_put_int(encoder, reducer->id);
    }
    if (core_encode(pe, encoder, data) < 0) {
        return -1;
    }
    if (reducer->builtin != UINT32_MAX && is_native_array(encoder)) {
        *id_out = reducer->builtin;
    }
    return 0;
}

static PyObject *
contribute_data(struct core_pe *pe, struct core_chare *chare,
                struct core_reducer *reducer, PyObject *prepared,
                const chare_callback *callback)
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
    if (contribution_encode(pe, reducer, prepared, callback, &encoder, &id) <
        0) {
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
    status =
        chare_contribute(pe->runtime, &chare->element, id, &data, &target);
    if (status != CHARE_OK) {
        core_data_drop(&data);
        return core_raise(pe->state, status, "cannot contribute");
    }
    Py_RETURN_NONE;
}

PyObject *
core_contribute_to(struct core_state *state, struct core_chare *chare,
                   PyObject *data, PyObject *object,
                   const chare_callback *callback)
{
    struct core_pe *pe = core_pe_get(state);
    struct core_reducer *reducer = (struct core_reducer *)object;
    chare_status status;
    PyObject *prepared;
    PyObject *result;

    if (pe == NULL) {
        return NULL;
    }
    if (object == Py_None || (Py_IS_TYPE(object, state->ReducerType) &&
                              reducer->builtin == CHARE_REDUCE_NOP)) {
        status = chare_contribute(pe->runtime, &chare->element,
                                  CHARE_REDUCE_NOP, NULL, callback);
        if (status != CHARE_OK) {
            return core_raise(state, status, "cannot contribute");
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
    prepared = data_prepare(state, reducer, chare, data);
    if (prepared == NULL) {
        return NULL;
    }
    result = contribute_data(pe, chare, reducer, prepared, callback);
    Py_DECREF(prepared);
    return result;
}

PyObject *
core_contribute(struct core_state *state, struct core_chare *chare,
                PyObject *data, PyObject *reducer, PyObject *callback)
{
    chare_callback target;

    if (core_callback_get(state, callback, &target) < 0) {
        return NULL;
    }
    return core_contribute_to(state, chare, data, reducer, &target);
}

/* The result of a reducer with 'post': (callback, reducer id, value). */
static PyObject *
post_deliver(struct core_pe *pe, PyObject *result)
{
    PyObject *callback;
    PyObject *id;
    PyObject *value;
    struct core_reducer *reducer;
    PyObject *done;

    if (PyExceptionInstance_Check(result)) {
        PyErr_SetObject((PyObject *)Py_TYPE(result), result);
        return NULL;
    }
    if (!PyArg_ParseTuple(result, "OOO", &callback, &id, &value)) {
        return NULL;
    }
    reducer = (struct core_reducer *)PyDict_GetItemWithError(
        pe->state->reducers, id);
    if (reducer == NULL || reducer->post == NULL) {
        return PyErr_Format(pe->state->Error, "there is no reducer %R", id);
    }
    value = PyObject_CallOneArg(reducer->post, value);
    if (value == NULL) {
        return NULL;
    }
    done = PyObject_CallOneArg(callback, value);
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
