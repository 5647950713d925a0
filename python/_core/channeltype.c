/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channeltype.c - the Channel type: what users do with one end.
 */
#include <stddef.h>

#include "element.h"
#include "migrate.h"
#include "state.h"

#include <structmember.h>

static const char what_ready[] = "Channel";

/* What both ends must be; -1 with an exception. */
static int
ends_check(struct core_state *state, PyObject *chare, PyObject *remote,
           PyObject *local)
{
    const struct core_proxy *proxy = (const struct core_proxy *)remote;
    chare_element self_name;

    if (!PyObject_TypeCheck(chare, state->ChareType) ||
        ((struct core_chare *)chare)->owner == NULL) {
        PyErr_Format(PyExc_TypeError,
                     "Channel(): the first argument is the chare that this "
                     "end is for, self, not %R",
                     chare);
        return -1;
    }
    if (!core_is_proxy(state, remote) || !core_proxy_is_element(proxy) ||
        proxy->owner == NULL) {
        PyErr_Format(PyExc_TypeError,
                     "Channel(): 'remote' is the proxy of one chare, such as "
                     "group[3], not %R",
                     remote);
        return -1;
    }
    if (proxy->owner->native) {
        PyErr_Format(PyExc_TypeError,
                     "Channel(): %R is of a class in C, which has no channels",
                     remote);
        return -1;
    }
    core_chare_name((struct core_chare *)chare, &self_name);
    if (local != Py_None &&
        (!core_is_proxy(state, local) ||
         !core_element_equal(&((struct core_proxy *)local)->element,
                             &self_name))) {
        PyErr_Format(PyExc_ValueError,
                     "Channel(): 'local' is the proxy of the chare itself, "
                     "if given, not %R",
                     local);
        return -1;
    }
    return 0;
}

static PyObject *
channel_make(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"chare", "remote", "local", NULL};
    struct core_state *state = core_state_of(type);
    PyObject *local = Py_None;
    PyObject *chare;
    PyObject *remote;
    struct core_channel *self;
    struct core_peer *peer;

    if (core_pe_get(state) == NULL ||
        !PyArg_ParseTupleAndKeywords(args, keywords, "OO|O:Channel",
                                     (char **)(uintptr_t)names, &chare,
                                     &remote, &local) ||
        ends_check(state, chare, remote, local) < 0) {
        return NULL;
    }
    peer = core_peer_get((struct core_chare *)chare,
                         &((struct core_proxy *)remote)->element);
    if (peer == NULL) {
        return NULL;
    }
    self = core_channel_find(peer, peer->made);
    if (self == NULL) {
        self = core_channel_new(state, peer, peer->made);
        if (self == NULL) {
            return NULL;
        }
    }
    peer->made++;
    self->chare = (struct core_chare *)Py_NewRef(chare);
    self->remote = Py_NewRef(remote);
    return (PyObject *)self;
}

/* The running PE, for a method of an end that can be used. */
static struct core_pe *
channel_pe(struct core_state *state, struct core_channel *self)
{
    if (self->peer == NULL || self->chare == NULL) {
        PyErr_SetString(state->Error, "the chare of this channel is gone");
        return NULL;
    }
    return core_pe_get(state);
}

static PyObject *
channel_send(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = channel_pe(state, self);

    if (pe == NULL) {
        return NULL;
    }
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0) {
        PyErr_SetString(PyExc_TypeError,
                        "Channel.send() takes no keyword arguments");
        return NULL;
    }
    if (self->closed_here) {
        PyErr_SetString(state->ChannelClosed, "this end was closed");
        return NULL;
    }
    if (core_channel_send(pe, self, false, args, arg_count) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
channel_close(PyObject *op, PyTypeObject *defining_class,
              PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = channel_pe(state, self);
    PyObject *none = Py_None;

    (void)args;
    if (pe == NULL) {
        return NULL;
    }
    if (arg_count != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "close() takes no arguments");
        return NULL;
    }
    if (!self->closed_here) {
        if (core_channel_send(pe, self, true, &none, 1) < 0) {
            return NULL;
        }
        self->closed_here = true; /* None runs no code of its own */
    }
    Py_RETURN_NONE;
}

/* A future for the next value, which is there or not. */
static PyObject *
channel_receive_future(struct core_pe *pe, struct core_channel *self,
                       const char *what, PyObject *into, double timeout_s)
{
    struct core_future *future = core_future_new_local(pe, what);
    uint64_t sequence;
    PyObject *value;

    if (future == NULL) {
        return NULL;
    }
    future->into = Py_XNewRef(into);
    value = core_channel_take(self, &sequence);
    if (value != NULL) {
        core_channel_receive(self, future, sequence, value);
    } else if (self->closed_there) {
        core_channel_receive_end(pe->state, future);
    } else {
        if (timeout_s >= 0) {
            future->timer = core_timer_expire(pe, future, timeout_s);
            if (future->timer == NULL) {
                Py_DECREF(future);
                return NULL;
            }
        }
        future->keeps = Py_NewRef((PyObject *)self);
        future->queued = true;
        core_ring_push(&self->receivers, (PyObject *)future);
    }
    return (PyObject *)future;
}

/* A message was taken: its elements into the array, or an exception. */
static PyObject *
received(struct core_state *state, struct core_channel *self, PyObject *into,
         uint64_t sequence, PyObject *value)
{
    PyObject *result = core_receive_into(self, state, into, sequence, value);

    if (result != into) {
        PyErr_SetObject((PyObject *)Py_TYPE(result), result);
        Py_CLEAR(result);
    }
    return result;
}

/* The next value where that can be waited for; see waiter.h. */
static PyObject *
channel_receive(struct core_pe *pe, struct core_channel *self,
                const char *what, PyObject *into, double timeout_s)
{
    PyObject *future;

    if (pe->task == NULL) {
        uint64_t sequence;
        PyObject *value = core_channel_take(self, &sequence);

        if (value != NULL) {
            return into == NULL
                       ? value
                       : received(pe->state, self, into, sequence, value);
        }
        if (self->closed_there) {
            PyErr_SetString(pe->state->ChannelClosed,
                            "the other end of the channel was closed");
            return NULL;
        }
        if (!core_can_wait(pe)) {
            core_raise_cannot_wait(pe, what);
            return NULL;
        }
    }
    future = channel_receive_future(pe, self, what, into, timeout_s);
    if (future == NULL) {
        return NULL;
    }
    return core_future_await(pe, (struct core_future *)future, what);
}

static int
timeout_parse(PyObject *value, double *timeout_s_out)
{
    *timeout_s_out = -1;
    if (value == Py_None) {
        return 0;
    }
    *timeout_s_out = PyFloat_AsDouble(value);
    if (*timeout_s_out == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (!(*timeout_s_out >= 0)) {
        PyErr_SetString(PyExc_ValueError, "a timeout is not negative");
        return -1;
    }
    return 0;
}

/* recv_into(array, timeout=None) */
static PyObject *
channel_recv_into(PyObject *op, PyTypeObject *defining_class,
                  PyObject *const *args, Py_ssize_t arg_count,
                  PyObject *kwnames)
{
    static const char *const names[] = {"array", "timeout", NULL};
    struct core_state *state = core_state_of(defining_class);
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = channel_pe(state, self);
    PyObject *values[] = {NULL, Py_None};
    double timeout_s;

    if (pe == NULL ||
        core_arguments_parse("recv_into", names, 1, args, arg_count, kwnames,
                             values) < 0 ||
        core_receive_check(state, values[0]) < 0 ||
        timeout_parse(values[1], &timeout_s) < 0) {
        return NULL;
    }
    return channel_receive(pe, self, core_channel_what_recv_into, values[0],
                           timeout_s);
}

/* recv(timeout=None) */
static PyObject *
channel_recv(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames)
{
    static const char *const names[] = {"timeout", NULL};
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = channel_pe(core_state_of(defining_class), self);
    PyObject *values[] = {Py_None};
    double timeout_s;

    if (pe == NULL ||
        core_arguments_parse("recv", names, 0, args, arg_count, kwnames,
                             values) < 0 ||
        timeout_parse(values[0], &timeout_s) < 0) {
        return NULL;
    }
    return channel_receive(pe, self, core_channel_what_recv, NULL, timeout_s);
}

static PyObject *
channel_ready(PyObject *op, PyObject *unused)
{
    struct core_channel *self = (struct core_channel *)op;

    (void)unused;
    return PyBool_FromLong(core_channel_is_ready(self));
}

/* For charm.iwait(): complete when recv() would not wait. */
static PyObject *
channel_ready_future(PyObject *op, PyTypeObject *defining_class,
                     PyObject *const *args, Py_ssize_t arg_count,
                     PyObject *kwnames)
{
    struct core_channel *self = (struct core_channel *)op;
    struct core_pe *pe = channel_pe(core_state_of(defining_class), self);
    struct core_future *future;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    if (pe == NULL) {
        return NULL;
    }
    /* One is enough for all who watch, and is dropped with none of them. */
    if (self->watcher != NULL && !core_future_is_complete(self->watcher)) {
        return Py_NewRef((PyObject *)self->watcher);
    }
    future = core_future_new_local(pe, what_ready);
    if (future == NULL) {
        return NULL;
    }
    if (core_channel_is_ready(self)) {
        (void)core_future_complete(future, Py_NewRef(Py_None));
    } else {
        future->keeps = Py_NewRef(op);
        Py_XSETREF(self->watcher,
                   (struct core_future *)Py_NewRef((PyObject *)future));
    }
    return (PyObject *)future;
}

/* for value in channel: until the other end is closed. */
static PyObject *
channel_iternext(PyObject *op)
{
    struct core_state *state = core_state_of(Py_TYPE(op));
    struct core_pe *pe = channel_pe(state, (struct core_channel *)op);
    PyObject *value;

    if (pe == NULL) {
        return NULL;
    }
    if (pe->task != NULL) {
        PyErr_SetString(state->NotThreadedError,
                        "in an 'async def' method iterate by 'async for'");
        return NULL;
    }
    value = channel_receive(pe, (struct core_channel *)op,
                            core_channel_what_recv, NULL, -1);
    if (value == NULL && PyErr_ExceptionMatches(state->ChannelClosed)) {
        PyErr_Clear(); /* the end of the loop */
    }
    return value;
}

static PyObject *
channel_anext(PyObject *op)
{
    struct core_pe *pe =
        channel_pe(core_state_of(Py_TYPE(op)), (struct core_channel *)op);

    if (pe == NULL) {
        return NULL;
    }
    return channel_receive_future(pe, (struct core_channel *)op,
                                  core_channel_what_next, NULL, -1);
}

static PyObject *
channel_repr(PyObject *op)
{
    struct core_channel *self = (struct core_channel *)op;
    char number[CORE_ID_TEXT_BYTES];

    core_id_text(self->number, number);
    return PyUnicode_FromFormat("<Channel %s between %R and %R>", number,
                                self->chare != NULL ? (PyObject *)self->chare
                                                    : Py_None,
                                self->remote != NULL ? self->remote : Py_None);
}

static int
channel_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_channel *self = (struct core_channel *)op;
    int result = core_ring_visit(&self->unread, visit, arg);

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->chare);
    Py_VISIT(self->watcher);
    for (struct core_early *at = self->early; at != NULL; at = at->next) {
        Py_VISIT(at->value);
    }
    for (struct core_early *at = self->returned; at != NULL; at = at->next) {
        Py_VISIT(at->value);
    }
    if (result == 0) {
        result = core_ring_visit(&self->receivers, visit, arg);
    }
    return result;
}

static void
early_clear(struct core_early **list)
{
    while (*list != NULL) {
        struct core_early *early = *list;

        *list = early->next;
        Py_XDECREF(early->value);
        PyMem_Free(early);
    }
}

static int
channel_clear(PyObject *op)
{
    struct core_channel *self = (struct core_channel *)op;

    core_channel_unlink(self);
    core_ring_clear(&self->unread);
    core_ring_clear(&self->receivers);
    Py_CLEAR(self->watcher);
    early_clear(&self->early);
    early_clear(&self->returned);
    Py_CLEAR(self->remote);
    Py_CLEAR(self->chare);
    return 0;
}

static void
channel_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (((struct core_channel *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)channel_clear(op);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(channel_doc, "Channel(chare, remote, local=None)\n--\n\n\
One end of an ordered stream between two chares, in both directions.\n\
\n\
chare is the chare itself, self; remote is the proxy of the other one, of\n\
any collection and class, which makes an end too: its first channel to this\n\
chare is the other end of the first one here, and so on. A chare's channel\n\
to itself has one end. What is sent before the other end was made waits\n\
there; what is sent to an end that was made and dropped is dropped. An end\n\
can be made anywhere; recv() is for coroutines. local may name the chare.\n\
\n\
'for value in channel' receives until the other end is closed; in an\n\
'async def' method 'async for value in channel'. charm.iwait() takes\n\
channels.\n\
\n\
Raises TypeError when remote is not the proxy of one chare.\n\
\n\
Example:\n\
    channel = Channel(self, remote=self.thisProxy[1])\n\
    channel.send(\"hello\", 5)\n\
    text, number = channel.recv()");

PyDoc_STRVAR(send_doc, "send($self, /, *args)\n--\n\n\
Send a message to the other end, without waiting.\n\
\n\
One argument arrives as it is, any other number as a tuple.\n\
\n\
Raises ChannelClosed after close().\n\
\n\
Example: channel.send(step, border)");

PyDoc_STRVAR(recv_doc, "recv($self, timeout=None)\n--\n\n\
The next message of the other end, in the order sent.\n\
\n\
Suspends a coroutine until it is there; to be awaited in an 'async def'\n\
method. Of several that wait the first gets the first. timeout is in\n\
seconds.\n\
\n\
Raises ChannelClosed when the other end was closed and all was received,\n\
TimeoutError when nothing came in time, NotThreadedError when it would\n\
have to wait outside of coroutines.\n\
\n\
Example: step, border = channel.recv()");

PyDoc_STRVAR(recv_into_doc, "recv_into($self, array, timeout=None)\n--\n\n\
The next message, an array, into the elements of another one.\n\
\n\
array is a writable NumPy array of any layout, of the shape and dtype that\n\
will come; timeout is in seconds. Waits as recv() does, and returns array.\n\
An array of 64 KiB or more is copied once, from the message, whose memory\n\
is free then; a smaller one is unpacked when it comes, and copied here.\n\
\n\
Raises ValueError when shape or dtype of the message are others, TypeError\n\
when it is no array: then it stays the next message, for recv() or another\n\
recv_into(). What has come into the array for a receiver that was cancelled\n\
goes back to the stream, too. TypeError also when array is no writable\n\
array, and what recv() raises.\n\
\n\
Example:\n\
    border = numpy.empty(1024)\n\
    channel.recv_into(border)");

PyDoc_STRVAR(close_doc, "close($self)\n--\n\n\
Send nothing any more: the other end raises ChannelClosed after all that\n\
was sent. What the other end sends can still be received.\n\
\n\
Example: channel.close()");

PyDoc_STRVAR(ready_doc, "ready($self)\n--\n\n\
Whether recv() would not wait: a message is there, or the other end closed.\n\
\n\
Example: while channel.ready(): self.take(channel.recv())");

static PyMethodDef channel_methods[] = {
    {"send", (PyCFunction)(void (*)(void))channel_send,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"recv", (PyCFunction)(void (*)(void))channel_recv,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, recv_doc},
    {"recv_into", (PyCFunction)(void (*)(void))channel_recv_into,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, recv_into_doc},
    {"close", (PyCFunction)(void (*)(void))channel_close,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, close_doc},
    {"ready", channel_ready, METH_NOARGS, ready_doc},
    {"__reduce__", (PyCFunction)(void (*)(void))core_channel_reduce,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_ready_future", (PyCFunction)(void (*)(void))channel_ready_future,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef channel_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct core_channel, weakrefs),
     READONLY, NULL},
    {"remote", T_OBJECT, offsetof(struct core_channel, remote), READONLY,
     PyDoc_STR("The proxy of the other chare.")},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)channel_doc},
    {Py_tp_new, channel_make},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},
    {Py_tp_repr, channel_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, channel_iternext},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, channel_anext},
    {Py_tp_methods, channel_methods},
    {Py_tp_members, channel_members},
    {0, NULL},
};

PyType_Spec core_channel_spec = {
    .name = "chare.Channel",
    .basicsize = sizeof(struct core_channel),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = channel_slots,
};
