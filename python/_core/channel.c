/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.c - the Channel type: an ordered stream between two chares.
 *
 * There is no handshake: the k-th channel that chare A makes to chare B is the
 * other end of the k-th that B makes to A. A message says who sent it, which
 * of their channels it is for, and its place in the stream; it is a call of
 * the hidden method _chare_channel. One that comes before its end was made
 * waits in a Channel without a chare, which becomes that end.
 *
 *   peers of a chare --> channels to that peer, the one used last in front
 *
 * The list of peers does not own the ends that were made: they own the chare.
 * A message for an end that is gone is dropped: nobody can receive it.
 */
#include "element.h"
#include "state.h"

enum {
    RING_ROOM_MIN = 8,  /* a power of two */
    PEERS_ROOM_MIN = 8, /* likewise */
};

const char core_channel_what_recv[] = "Channel.recv()";
const char core_channel_what_recv_into[] = "Channel.recv_into()";
const char core_channel_what_next[] = "the next of a channel";

/* ---- rings */

void
core_ring_push(struct core_ring *ring, PyObject *item)
{
    if (ring->count == ring->room) {
        uint32_t room = ring->room == 0 ? RING_ROOM_MIN : ring->room * 2;
        PyObject **at = PyMem_Malloc(room * sizeof(*at));

        if (at == NULL || room < ring->room) {
            Py_FatalError("chare: out of memory for what a channel holds");
        }
        for (uint32_t i = 0; i < ring->count; i++) {
            at[i] = ring->at[(ring->first + i) & (ring->room - 1)];
        }
        PyMem_Free(ring->at);
        ring->at = at;
        ring->room = room;
        ring->first = 0;
    }
    ring->at[(ring->first + ring->count++) & (ring->room - 1)] =
        Py_NewRef(item);
}

PyObject *
core_ring_pop(struct core_ring *ring)
{
    PyObject *item = ring->at[ring->first];

    ring->first = (ring->first + 1) & (ring->room - 1);
    ring->count--;
    return item;
}

void
core_ring_clear(struct core_ring *ring)
{
    while (ring->count > 0) {
        Py_DECREF(core_ring_pop(ring));
    }
    PyMem_Free(ring->at);
    memset(ring, 0, sizeof(*ring));
}

int
core_ring_visit(const struct core_ring *ring, visitproc visit, void *arg)
{
    for (uint32_t i = 0; i < ring->count; i++) {
        Py_VISIT(ring->at[(ring->first + i) & (ring->room - 1)]);
    }
    return 0;
}

/* ---- peers */

static uint32_t
element_slot(const chare_element *element, uint32_t room)
{
    return (uint32_t)(core_element_hash(element) >> 7) & (room - 1);
}

static int
peers_grow(struct core_channels *channels)
{
    uint32_t room = channels->room == 0 ? PEERS_ROOM_MIN : channels->room * 2;
    struct core_peer **slots = PyMem_Calloc(room, sizeof(*slots));

    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < channels->room; i++) {
        while (channels->slots[i] != NULL) {
            struct core_peer *peer = channels->slots[i];
            uint32_t slot = element_slot(&peer->element, room);

            channels->slots[i] = peer->next;
            peer->next = slots[slot];
            slots[slot] = peer;
        }
    }
    PyMem_Free(channels->slots);
    channels->slots = slots;
    channels->room = room;
    return 0;
}

struct core_peer *
core_peer_get(struct core_chare *chare, const chare_element *element)
{
    struct core_rare *rare = core_chare_rare(chare);
    struct core_channels *channels;
    struct core_peer *peer;
    uint32_t slot;

    if (rare == NULL) {
        return NULL;
    }
    channels = rare->channels;
    if (channels == NULL) {
        channels = PyMem_Calloc(1, sizeof(*channels));
        if (channels == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        rare->channels = channels;
    }
    if (channels->count >= channels->room && peers_grow(channels) < 0) {
        return NULL;
    }
    slot = element_slot(element, channels->room);
    for (peer = channels->slots[slot]; peer != NULL; peer = peer->next) {
        if (core_element_equal(&peer->element, element)) {
            return peer;
        }
    }
    peer = PyMem_Calloc(1, sizeof(*peer));
    if (peer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    peer->element = *element;
    peer->next = channels->slots[slot];
    channels->slots[slot] = peer;
    channels->count++;
    return peer;
}

static void
channel_link(struct core_channel *self, struct core_peer *peer)
{
    self->peer = peer;
    self->prev = NULL;
    self->next = peer->channels;
    if (peer->channels != NULL) {
        peer->channels->prev = self;
    }
    peer->channels = self;
}

void
core_channel_unlink(struct core_channel *self)
{
    if (self->peer == NULL) {
        return;
    }
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        self->peer->channels = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    self->next = NULL;
    self->prev = NULL;
    self->peer = NULL;
}

struct core_channel *
core_channel_find(struct core_peer *peer, uint64_t number)
{
    struct core_channel *self = peer->channels;

    while (self != NULL && self->number != number) {
        self = self->next;
    }
    if (self != NULL && self != peer->channels) {
        core_channel_unlink(self);
        channel_link(self, peer);
    }
    return self;
}

struct core_channel *
core_channel_new(struct core_state *state, struct core_peer *peer,
                 uint64_t number)
{
    struct core_channel *self =
        PyObject_GC_New(struct core_channel, state->ChannelType);

    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->number = number;
    channel_link(self, peer);
    PyObject_GC_Track(self);
    return self;
}

static void
peer_free(struct core_peer *peer)
{
    while (peer->channels != NULL) {
        struct core_channel *self = peer->channels;

        core_channel_unlink(self);
        if (self->chare == NULL) {
            Py_DECREF(self); /* ours: no end was made of it */
        }
    }
    PyMem_Free(peer);
}

static int
peer_visit(const struct core_peer *peer, visitproc visit, void *arg)
{
    for (struct core_channel *self = peer->channels; self != NULL;
         self = self->next) {
        if (self->chare == NULL) {
            Py_VISIT(self);
        }
    }
    return 0;
}

void
core_channels_clear(struct core_chare *chare)
{
    struct core_channels *channels =
        chare->rare != NULL ? chare->rare->channels : NULL;

    if (channels == NULL) {
        return;
    }
    chare->rare->channels = NULL;
    for (uint32_t i = 0; i < channels->room; i++) {
        while (channels->slots[i] != NULL) {
            struct core_peer *peer = channels->slots[i];

            channels->slots[i] = peer->next;
            peer_free(peer);
        }
    }
    PyMem_Free(channels->slots);
    PyMem_Free(channels);
}

int
core_channels_visit(struct core_chare *chare, visitproc visit, void *arg)
{
    const struct core_channels *channels =
        chare->rare != NULL ? chare->rare->channels : NULL;

    for (uint32_t i = 0; channels != NULL && i < channels->room; i++) {
        for (struct core_peer *peer = channels->slots[i]; peer != NULL;
             peer = peer->next) {
            int result = peer_visit(peer, visit, arg);

            if (result != 0) {
                return result;
            }
        }
    }
    return 0;
}

/* ---- receiving */

void
core_channel_receive_end(struct core_state *state, struct core_future *future)
{
    PyObject *kind = future->what == core_channel_what_next
                         ? PyExc_StopAsyncIteration
                         : state->ChannelClosed;
    PyObject *error = PyObject_CallFunction(
        kind, "s", "the other end of the channel was closed");

    if (error == NULL) {
        error = core_exception_take();
    }
    (void)core_future_complete(future, error);
}

void
core_channel_receive(struct core_channel *self, struct core_future *future,
                     uint64_t sequence, PyObject *value)
{
    if (future->into != NULL) {
        struct core_state *state = future->pe->state;
        PyObject *message = Py_NewRef(value);

        value = core_receive_into(self, state, future->into, sequence, value);
        if (value != future->into) { /* an exception: the message is back */
            Py_DECREF(message);
            (void)core_future_complete(future, value);
            return;
        }
        Py_SETREF(future->into, message);
    }
    /* An exception that was sent is a value like any other. */
    future->received = true;
    future->sequence = sequence;
    if (future->keeps == NULL) {
        future->keeps = Py_NewRef((PyObject *)self);
    }
    (void)core_future_complete(future, value);
}

/* The oldest receiver that still waits; new reference or NULL. */
static struct core_future *
receiver_next(struct core_channel *self)
{
    while (self->receivers.count > 0) {
        struct core_future *future =
            (struct core_future *)core_ring_pop(&self->receivers);

        if (!core_future_is_complete(future)) {
            future->queued = false;
            return future;
        }
        self->receivers_ended--; /* its time was up */
        Py_DECREF(future);
    }
    return NULL;
}

void
core_channel_receiver_ended(struct core_channel *self)
{
    struct core_ring *ring = &self->receivers;
    const uint32_t count = ring->count;

    if (++self->receivers_ended <= count / 2) {
        return;
    }
    self->receivers_ended = 0;
    for (uint32_t i = 0; i < count && ring->count > 0; i++) {
        PyObject *future = core_ring_pop(ring);

        if (!core_future_is_complete((struct core_future *)future)) {
            core_ring_push(ring, future);
        }
        Py_DECREF(future);
    }
}

/* Keep a message in the order of the stream. */
static void
early_insert(struct core_early **at, uint64_t sequence, PyObject *value)
{
    struct core_early *early = PyMem_Malloc(sizeof(*early));

    if (early == NULL) {
        Py_FatalError("chare: out of memory for a channel's message");
    }
    while (*at != NULL && (*at)->sequence < sequence) {
        at = &(*at)->next;
    }
    early->sequence = sequence;
    early->value = Py_XNewRef(value);
    early->next = *at;
    *at = early;
}

PyObject *
core_channel_take(struct core_channel *self, uint64_t *sequence_out)
{
    struct core_early *returned = self->returned;
    PyObject *value;

    if (returned != NULL) {
        value = returned->value;
        *sequence_out = returned->sequence;
        self->returned = returned->next;
        PyMem_Free(returned);
        return value;
    }
    if (self->unread.count == 0) {
        return NULL;
    }
    *sequence_out = self->received - self->closed_there - self->unread.count;
    return core_ring_pop(&self->unread);
}

static void
channel_tell_watcher(struct core_channel *self)
{
    struct core_future *future = self->watcher;

    if (future != NULL) {
        self->watcher = NULL;
        (void)core_future_complete(future, Py_NewRef(Py_None));
        Py_DECREF(future);
    }
}

void
core_channel_return(struct core_channel *self, uint64_t sequence,
                    PyObject *value)
{
    struct core_future *future;

    if (self->peer == NULL) {
        return; /* the chare is gone */
    }
    future = receiver_next(self);
    if (future != NULL) {
        core_channel_receive(self, future, sequence, Py_NewRef(value));
        Py_DECREF(future);
        return;
    }
    early_insert(&self->returned, sequence, value);
    channel_tell_watcher(self);
}

/* The next of the stream; NULL: its end. */
static void
channel_deliver(struct core_state *state, struct core_channel *self,
                PyObject *value)
{
    struct core_future *future;

    self->received++;
    if (value == NULL) {
        self->closed_there = true;
        while ((future = receiver_next(self)) != NULL) {
            core_channel_receive_end(state, future);
            Py_DECREF(future);
        }
        channel_tell_watcher(self);
        return;
    }
    future = receiver_next(self);
    if (future != NULL) {
        core_channel_receive(self, future, self->received - 1,
                             Py_NewRef(value));
        Py_DECREF(future);
        return;
    }
    core_ring_push(&self->unread, value);
    channel_tell_watcher(self);
}

void
core_channel_arrived(struct core_state *state, struct core_channel *self,
                     uint64_t sequence, PyObject *value)
{
    if (sequence != self->received) {
        early_insert(&self->early, sequence, value);
        return;
    }
    Py_INCREF(self);
    channel_deliver(state, self, value);
    while (self->early != NULL && self->early->sequence == self->received) {
        struct core_early *early = self->early;

        self->early = early->next;
        channel_deliver(state, self, early->value);
        Py_XDECREF(early->value);
        PyMem_Free(early);
    }
    Py_DECREF(self);
}
