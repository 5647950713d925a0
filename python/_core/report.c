/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.c - what a chare holds, for the report of a job that is stuck.
 */
#include "state.h"

/* Append (index of the other end, items that nobody can read, receivers that
 * nothing has come for); -1 with an exception. */
static int
append_channel(PyObject *list, const struct core_peer *peer,
               const struct core_channel *channel)
{
    PyObject *item;
    int result;

    if (channel->chare != NULL &&
        (channel->received > 0 || channel->receivers.count == 0)) {
        return 0;
    }
    item = Py_BuildValue(
        "(NII)", core_index_build(&peer->element.index),
        channel->chare == NULL ? (unsigned)channel->unread.count : 0,
        (unsigned)channel->receivers.count);
    result = item != NULL ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return result;
}

/* Those to one other chare; -1 with an exception. */
static int
append_peer(PyObject *list, const struct core_peer *peer)
{
    for (const struct core_channel *channel = peer->channels; channel != NULL;
         channel = channel->next) {
        if (append_channel(list, peer, channel) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The ends of channels whose other end does not match. */
static PyObject *
list_channels(const struct core_chare *chare)
{
    const struct core_channels *channels =
        chare->rare != NULL ? chare->rare->channels : NULL;
    PyObject *list = PyList_New(0);

    for (uint32_t i = 0; channels != NULL && i < channels->room; i++) {
        for (const struct core_peer *peer = channels->slots[i];
             list != NULL && peer != NULL; peer = peer->next) {
            if (append_peer(list, peer) < 0) {
                Py_CLEAR(list);
            }
        }
    }
    return list;
}

static PyObject *
report_held(PyObject *module, PyObject *object)
{
    struct core_state *state = core_state_get(module);
    PyObject *held;
    PyObject *channels;

    if (!PyObject_TypeCheck(object, state->ChareType)) {
        PyErr_SetString(PyExc_TypeError, "a chare is needed");
        return NULL;
    }
    held = core_when_list((struct core_chare *)object);
    channels = list_channels((struct core_chare *)object);
    if (held == NULL || channels == NULL) {
        Py_XDECREF(held);
        Py_XDECREF(channels);
        return NULL;
    }
    return Py_BuildValue("(NN)", held, channels);
}

PyMethodDef core_report_functions[] = {
    {"held", report_held, METH_O,
     PyDoc_STR("([(method or None, condition)], [(index of the other end,\n"
               "unread, receivers)]) of what waits in a chare.")},
    {NULL, NULL, 0, NULL},
};
