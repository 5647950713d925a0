/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_CHANNEL_H
#define CHARE_PY_CHANNEL_H

/*
 * channel.h - ordered streams between two chares; included by state.h.
 * channel.c says how they work, wire.c sends, channeltype.c is the type.
 */

/* A queue of references. */
struct core_ring {
    PyObject **at;
    uint32_t first;
    uint32_t count;
    uint32_t room;
};

/* A message that overtook another one, or that was given back. */
struct core_early {
    struct core_early *next;
    uint64_t sequence;
    PyObject *value; /* NULL: the end of the stream */
};

struct core_channel {
    PyObject_HEAD
    struct core_chare *chare;  /* NULL: it was not made here yet */
    PyObject *remote;          /* the proxy of the other end, or NULL */
    struct core_peer *peer;    /* NULL: the chare is gone */
    struct core_channel *next; /* of this peer */
    struct core_channel *prev;
    uint64_t number; /* which of the channels to this peer */
    uint64_t sent;
    uint64_t received; /* in the stream's order, read or not */
    uint64_t encodings;
    struct core_ring unread;
    struct core_early *returned; /* by sequence; before all in 'unread' */
    struct core_ring receivers;  /* futures */
    uint32_t receivers_ended;    /* so many of them wait no longer */
    struct core_future *watcher; /* told that something is there; or NULL */
    struct core_early *early;    /* by sequence */
    PyObject *weakrefs;
    bool closed_here;
    bool closed_there; /* all that was sent has come */
};

/* A chare that this one has channels to. */
struct core_peer {
    struct core_peer *next; /* in its slot */
    chare_element element;
    struct core_channel *channels;
    uint64_t made; /* how many ends were made here */
};

struct core_channels {
    struct core_peer **slots;
    uint32_t room;
    uint32_t count;
};

extern PyType_Spec core_channel_spec;

/* For recv() and for iterations: what its future is for. */
extern const char core_channel_what_recv[];
extern const char core_channel_what_recv_into[];
extern const char core_channel_what_next[];

/* ---- channel.c */

void core_ring_push(struct core_ring *ring, PyObject *item);
PyObject *core_ring_pop(struct core_ring *ring);
void core_ring_clear(struct core_ring *ring);
int core_ring_visit(const struct core_ring *ring, visitproc visit, void *arg);

/* The peer of a name, made if need be; NULL with MemoryError. */
struct core_peer *core_peer_get(struct core_chare *chare,
                                const chare_element *element);

/* The channel of a number, brought to the front; borrowed or NULL. */
struct core_channel *core_channel_find(struct core_peer *peer,
                                       uint64_t number);

/* A channel without a chare; new reference, NULL with an exception. */
struct core_channel *core_channel_new(struct core_state *state,
                                      struct core_peer *peer, uint64_t number);

/* Its peer forgets it. */
void core_channel_unlink(struct core_channel *channel);

/* One of the receivers does not wait any more: it will not be the next. */
void core_channel_receiver_ended(struct core_channel *channel);

/* Whether recv() would not wait. */
static inline bool
core_channel_is_ready(const struct core_channel *channel)
{
    return channel->unread.count > 0 || channel->returned != NULL ||
           channel->closed_there;
}

/* The oldest message, or NULL; a new reference. */
PyObject *core_channel_take(struct core_channel *channel,
                            uint64_t *sequence_out);

/* A message was taken, and not seen: the next receiver is to have it. */
void core_channel_return(struct core_channel *channel, uint64_t sequence,
                         PyObject *value);

/* Complete a receiver's future: with a message, which is stolen, or because
 * the stream has ended. */
void core_channel_receive(struct core_channel *channel,
                          struct core_future *future, uint64_t sequence,
                          PyObject *value);
void core_channel_receive_end(struct core_state *state,
                              struct core_future *future);

/* A message of the stream, in any order; NULL: its end. */
void core_channel_arrived(struct core_state *state,
                          struct core_channel *channel, uint64_t sequence,
                          PyObject *value);

/* All channels of a chare that goes. */
void core_channels_clear(struct core_chare *chare);
int core_channels_visit(struct core_chare *chare, visitproc visit, void *arg);

/* ---- recvinto.c */

/* Whether an array can be received into; -1 with an exception. */
int core_receive_check(struct core_state *state, PyObject *array);

/* Copy the array of a message that was taken, which is stolen: 'array', or
 * NULL with an exception, and then the message is back in the stream. */
PyObject *core_receive_into(struct core_channel *channel,
                            struct core_state *state, PyObject *array,
                            uint64_t sequence, PyObject *value);

/* ---- wire.c */

/* Send a message, or the last one; -1 with an exception. */
int core_channel_send(struct core_pe *pe, struct core_channel *channel,
                      bool close, PyObject *const *args, Py_ssize_t arg_count);

/* The C entry function of what channels send. */
void core_channel_invoke(void *object, const chare_call *call, void *context);

#endif /* CHARE_PY_CHANNEL_H */
