/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recvinto.c - Channel.recv_into(): the next array of a stream, into another.
 *
 * The elements are copied when the message is there, or as soon as it comes.
 * What does not fit goes back to its place in the stream.
 */
#include "state.h"

static PyObject *
attribute_text(PyObject *array, const char *name)
{
    PyObject *attribute = PyObject_GetAttrString(array, name);
    PyObject *text = attribute != NULL ? PyObject_Str(attribute) : NULL;

    Py_XDECREF(attribute);
    return text;
}

static void
raise_unlike(PyObject *array, PyObject *value)
{
    PyObject *texts[] = {
        attribute_text(value, "shape"), attribute_text(value, "dtype"),
        attribute_text(array, "shape"), attribute_text(array, "dtype")};

    if (texts[0] != NULL && texts[1] != NULL && texts[2] != NULL &&
        texts[3] != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "recv_into(): the next message is an array of shape %U "
                     "and dtype %U, the given one has shape %U and dtype %U; "
                     "the message stays the next one",
                     texts[0], texts[1], texts[2], texts[3]);
    }
    for (int i = 0; i < 4; i++) {
        Py_XDECREF(texts[i]);
    }
}

/* 1: an attribute of both is equal; 0: it is not; -1 with an exception. */
static int
attribute_equal(PyObject *a, PyObject *b, const char *name)
{
    PyObject *of_a = PyObject_GetAttrString(a, name);
    PyObject *of_b = of_a != NULL ? PyObject_GetAttrString(b, name) : NULL;
    int result = -1;

    if (of_b != NULL) {
        result = PyObject_RichCompareBool(of_a, of_b, Py_EQ);
    }
    Py_XDECREF(of_a);
    Py_XDECREF(of_b);
    return result;
}

/* Copy a message's array into it; -1 with an exception. */
static int
receive_copy(struct core_state *state, PyObject *array, PyObject *value)
{
    int equal;

    if (core_numpy_kind(state, value) != 'a') {
        PyErr_Format(PyExc_TypeError,
                     "recv_into(): the next message is no array but of type "
                     "%.200s; it stays the next one",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    equal = attribute_equal(array, value, "shape");
    if (equal > 0) {
        equal = attribute_equal(array, value, "dtype");
    }
    if (equal == 0) {
        raise_unlike(array, value);
    }
    return equal > 0 ? PyObject_SetItem(array, Py_Ellipsis, value) : -1;
}

int
core_receive_check(struct core_state *state, PyObject *array)
{
    Py_buffer view;

    if (core_numpy_kind(state, array) != 'a') {
        PyErr_Format(PyExc_TypeError,
                     "recv_into() is for a NumPy array, not %.200s",
                     Py_TYPE(array)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(array, &view, PyBUF_STRIDED | PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        PyErr_SetString(PyExc_TypeError,
                        "recv_into(): the array is not writable");
        return -1;
    }
    PyBuffer_Release(&view);
    return 0;
}

PyObject *
core_receive_into(struct core_channel *self, struct core_state *state,
                  PyObject *array, uint64_t sequence, PyObject *value)
{
    PyObject *error;

    if (receive_copy(state, array, value) == 0) {
        Py_DECREF(value);
        return Py_NewRef(array);
    }
    error = core_exception_take();
    core_channel_return(self, sequence, value);
    Py_DECREF(value);
    return error;
}
