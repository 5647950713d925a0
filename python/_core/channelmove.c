/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channelmove.c - channels of a chare that moves.
 *
 * They go as a list of peers, (name, ends made, [ends]), before the state. A
 * Channel in the state is the name of its other end and a number.
 */
#include "migrate.h"

/* ---- leaving */

/* [(sequence, is a value, value)...], of what has come too early. */
static PyObject *
early_pack(const struct core_channel *end)
{
    PyObject *list = PyList_New(0);

    for (const struct core_early *early = end->early;
         list != NULL && early != NULL; early = early->next) {
        PyObject *item =
            Py_BuildValue("(KOO)", (unsigned long long)early->sequence,
                          early->value != NULL ? Py_True : Py_False,
                          early->value != NULL ? early->value : Py_None);

        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

/* What nobody has read: first what was given back. */
static PyObject *
unread_pack(const struct core_channel *end)
{
    PyObject *list = PyList_New(0);

    for (const struct core_early *at = end->returned;
         list != NULL && at != NULL; at = at->next) {
        if (PyList_Append(list, at->value) < 0) {
            Py_CLEAR(list);
        }
    }
    for (uint32_t i = 0; list != NULL && i < end->unread.count; i++) {
        if (PyList_Append(list, end->unread.at[(end->unread.first + i) &
                                               (end->unread.room - 1)]) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
channel_pack(const struct core_channel *end)
{
    PyObject *unread = unread_pack(end);
    PyObject *early = unread != NULL ? early_pack(end) : NULL;

    if (early == NULL) {
        Py_XDECREF(unread);
        return NULL;
    }
    return Py_BuildValue(
        "(KKKiiNN)", (unsigned long long)end->number,
        (unsigned long long)end->sent, (unsigned long long)end->received,
        (int)end->closed_here, (int)end->closed_there, unread, early);
}

/* (name of the peer, ends made, [ends], oldest first). */
static PyObject *
peer_pack(const struct core_peer *peer)
{
    PyObject *ends = PyList_New(0);

    for (const struct core_channel *end = peer->channels;
         ends != NULL && end != NULL; end = end->next) {
        PyObject *packed = channel_pack(end);

        if (packed == NULL || PyList_Insert(ends, 0, packed) < 0) {
            Py_CLEAR(ends);
        }
        Py_XDECREF(packed);
    }
    return ends == NULL ? NULL
                        : Py_BuildValue("(y#KN)", (const char *)&peer->element,
                                        (Py_ssize_t)sizeof(peer->element),
                                        (unsigned long long)peer->made, ends);
}

PyObject *
core_channels_pack(const struct core_chare *chare)
{
    const struct core_channels *channels =
        chare->rare != NULL ? chare->rare->channels : NULL;
    PyObject *list;

    if (channels == NULL) {
        return Py_NewRef(Py_None);
    }
    list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < channels->room; i++) {
        for (const struct core_peer *peer = channels->slots[i];
             list != NULL && peer != NULL; peer = peer->next) {
            PyObject *packed = peer_pack(peer);

            if (packed == NULL || PyList_Append(list, packed) < 0) {
                Py_CLEAR(list);
            }
            Py_XDECREF(packed);
        }
    }
    return list;
}

/* ---- arriving */

static int
channel_unpack(struct core_state *state, struct core_peer *peer,
               PyObject *packed)
{
    unsigned long long number;
    unsigned long long sent;
    unsigned long long received;
    struct core_channel *end;
    PyObject *unread;
    PyObject *early;
    int closed_here;
    int closed_there;

    if (!PyArg_ParseTuple(packed, "KKKiiO!O!", &number, &sent, &received,
                          &closed_here, &closed_there, &PyList_Type, &unread,
                          &PyList_Type, &early)) {
        return -1;
    }
    end = core_channel_new(state, peer, number); /* the peer owns it */
    if (end == NULL) {
        return -1;
    }
    end->sent = sent;
    end->received = received;
    end->closed_here = closed_here != 0;
    end->closed_there = closed_there != 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(unread); i++) {
        core_ring_push(&end->unread, PyList_GET_ITEM(unread, i));
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(early); i++) {
        unsigned long long sequence;
        PyObject *value;
        int is_value;

        if (!PyArg_ParseTuple(PyList_GET_ITEM(early, i), "KpO", &sequence,
                              &is_value, &value)) {
            return -1;
        }
        core_channel_arrived(state, end, sequence, is_value ? value : NULL);
    }
    return 0;
}

int
core_channels_unpack(struct core_state *state, struct core_chare *chare,
                     PyObject *list)
{
    for (Py_ssize_t i = 0; list != Py_None && i < PyList_GET_SIZE(list); i++) {
        unsigned long long made;
        const char *bytes;
        Py_ssize_t len;
        PyObject *ends;
        chare_element element;
        struct core_peer *peer;

        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "y#KO!", &bytes, &len,
                              &made, &PyList_Type, &ends) ||
            len != sizeof(element)) {
            return -1;
        }
        memcpy(&element, bytes, sizeof(element));
        peer = core_peer_get(chare, &element);
        if (peer == NULL) {
            return -1;
        }
        peer->made = made;
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(ends); k++) {
            if (channel_unpack(state, peer, PyList_GET_ITEM(ends, k)) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* ---- channels in the state */

PyObject *
core_channel_reduce(PyObject *op, PyTypeObject *defining_class,
                    PyObject *const *args, Py_ssize_t arg_count,
                    PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = core_pe_get(state);
    PyObject *loader;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (pe == NULL) {
        return NULL;
    }
    if (pe->moving == NULL || self->chare != pe->moving) {
        PyErr_SetString(PyExc_TypeError,
                        "a Channel belongs to its chare and cannot be sent; "
                        "send what comes out of it");
        return NULL;
    }
    loader = PyObject_GetAttrString(PyType_GetModule(defining_class),
                                    "_channel_load");
    return loader == NULL ? NULL
                          : Py_BuildValue("(N(OK))", loader, self->remote,
                                          (unsigned long long)self->number);
}

/* _channel_load(remote, number): an end of the chare that is being made. */
static PyObject *
migrate_channel_load(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    unsigned long long number;
    struct core_channel *end;
    struct core_peer *peer;
    PyObject *remote;

    if (pe == NULL || !PyArg_ParseTuple(args, "OK", &remote, &number)) {
        return NULL;
    }
    if (pe->moving == NULL || !core_is_proxy(state, remote)) {
        PyErr_SetString(PyExc_TypeError, "a Channel cannot be sent");
        return NULL;
    }
    peer = core_peer_get(pe->moving, &((struct core_proxy *)remote)->element);
    end = peer != NULL ? core_channel_find(peer, number) : NULL;
    if (end == NULL) {
        if (peer != NULL) {
            PyErr_SetString(state->Error, "a channel did not come along");
        }
        return NULL;
    }
    if (end->chare != NULL) {
        return Py_NewRef((PyObject *)end);
    }
    end->chare = (struct core_chare *)Py_NewRef((PyObject *)pe->moving);
    end->remote = Py_NewRef(remote);
    return (PyObject *)end; /* the peer's reference */
}

PyMethodDef core_migrate_functions[] = {
    {"_channel_load", migrate_channel_load, METH_VARARGS,
     PyDoc_STR("For pickle.")},
    {NULL, NULL, 0, NULL},
};
