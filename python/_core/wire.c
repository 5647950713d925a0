/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.c - what a channel sends, and its arrival.
 *
 * Behind the value stands a footer, which is made when no code of a user can
 * run any more that may send, too: a bytes value of numbers of seven bits a
 * byte, the lowest first.
 *
 *   ndims + HEADER_CLOSE | collection | number | sequence | index ...
 *
 * On the same PE plain values stay Python objects, in a parcel.
 */
#include "state.h"

enum {
    VARINT_BYTES_MAX = 10,
    HEADER_BYTES_MAX = (4 + CHARE_DIMS_MAX) * VARINT_BYTES_MAX,
    HEADER_CLOSE = 8, /* beside ndims: the last message of the stream */
    ROOM_BYTES = 128, /* what most messages need */
};

/* What stands behind a value: who sent it, and what it is. */
struct header {
    chare_element sender;
    uint64_t number;
    uint64_t sequence;
    bool close;
};

/* A message to a chare on this PE. */
struct parcel {
    struct core_state *state;
    struct header header;
    PyObject *value; /* or NULL */
};

/* ---- headers */

static size_t
varint_put(unsigned char *at, uint64_t number)
{
    size_t len = 0;

    while (number >= 128) {
        at[len++] = (unsigned char)(number | 128);
        number >>= 7;
    }
    at[len++] = (unsigned char)number;
    return len;
}

/* False: the bytes end before the number does. */
static bool
varint_get(const unsigned char **at_inout, const unsigned char *end,
           uint64_t *number_out)
{
    uint64_t number = 0;

    for (unsigned shift = 0; *at_inout < end && shift < 64; shift += 7) {
        unsigned char byte = *(*at_inout)++;

        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *number_out = number;
            return true;
        }
    }
    return false;
}

static void
header_encode(const struct header *header, chare_encoder *encoder)
{
    const chare_index *index = &header->sender.index;
    unsigned char bytes[HEADER_BYTES_MAX];
    size_t len = 0;

    bytes[len++] =
        (unsigned char)(index->ndims | (header->close ? HEADER_CLOSE : 0));
    len += varint_put(bytes + len, header->sender.collection);
    len += varint_put(bytes + len, header->number);
    len += varint_put(bytes + len, header->sequence);
    for (uint32_t i = 0; i < index->ndims; i++) {
        uint64_t at = (uint64_t)index->at[i];

        /* Small numbers, also negative ones, in few bytes. */
        len += varint_put(bytes + len,
                          at << 1 ^ (index->at[i] < 0 ? UINT64_MAX : 0));
    }
    chare_put_bytes(encoder, bytes, len);
}

static bool
header_decode(chare_decoder *decoder, struct header *header)
{
    chare_index *index = &header->sender.index;
    const unsigned char *at;
    const unsigned char *end;
    chare_value value;

    memset(header, 0, sizeof(*header));
    if (chare_get(decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_BYTES || value.as.bytes.len == 0) {
        return false;
    }
    at = value.as.bytes.at;
    end = at + value.as.bytes.len;
    header->close = (*at & HEADER_CLOSE) != 0;
    index->ndims = *at++ & ~(unsigned)HEADER_CLOSE;
    if (index->ndims < 1 || index->ndims > CHARE_DIMS_MAX ||
        !varint_get(&at, end, &header->sender.collection) ||
        !varint_get(&at, end, &header->number) ||
        !varint_get(&at, end, &header->sequence)) {
        return false;
    }
    for (uint32_t i = 0; i < index->ndims; i++) {
        uint64_t number;

        if (!varint_get(&at, end, &number)) {
            return false;
        }
        index->at[i] =
            (int64_t)(number >> 1 ^ ((number & 1) != 0 ? UINT64_MAX : 0));
    }
    return at == end;
}

/* ---- sending */

static chare_status
parcel_encode(void *opaque, chare_encoder *encoder)
{
    struct parcel *parcel = opaque;
    struct core_pe *pe = parcel->state->current;

    pe->encodings++;
    if (core_encode(pe, encoder,
                    parcel->value != NULL ? parcel->value : Py_None) < 0) {
        PyErr_WriteUnraisable((PyObject *)parcel->state->ChannelType);
        return CHARE_ERR_INVALID;
    }
    header_encode(&parcel->header, encoder);
    return encoder->status;
}

static size_t
parcel_bytes(void *opaque)
{
    const struct parcel *parcel = opaque;

    return parcel->value == NULL ? 0 : core_plain_bytes(parcel->value, 0);
}

static void
parcel_release(void *opaque)
{
    struct parcel *parcel = opaque;

    Py_XDECREF(parcel->value);
    PyMem_Free(parcel);
}

static const chare_payload_ops parcel_ops = {
    .size = sizeof(chare_payload_ops),
    .format = CHARE_FORMAT_ARGS,
    .encode = parcel_encode,
    .release = parcel_release,
    .bytes = parcel_bytes,
};

/* One object stands for itself, any other number is a tuple. */
static PyObject *
value_of_args(PyObject *const *args, Py_ssize_t arg_count)
{
    PyObject *tuple;

    if (arg_count == 1) {
        return Py_NewRef(args[0]);
    }
    tuple = PyTuple_New(arg_count);
    for (Py_ssize_t i = 0; tuple != NULL && i < arg_count; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    return tuple;
}

/* A parcel, if the other end is here and all that is sent is plain; false:
 * no, or an exception. */
static bool
parcel_make(struct core_pe *pe, const struct header *header,
            PyObject *const *args, Py_ssize_t arg_count, chare_data *data_out)
{
    struct parcel *parcel;

    for (Py_ssize_t i = 0; i < arg_count; i++) {
        if (!core_is_plain(pe->state, args[i], 0)) {
            return false;
        }
    }
    parcel = PyMem_Malloc(sizeof(*parcel));
    if (parcel == NULL) {
        PyErr_NoMemory();
        return false;
    }
    parcel->state = pe->state;
    parcel->header = *header;
    parcel->value = value_of_args(args, arg_count);
    if (parcel->value == NULL) {
        PyMem_Free(parcel);
        return false;
    }
    *data_out = chare_data_payload(parcel, &parcel_ops);
    return true;
}

/* The arrays of a refused message go back to who moved them. */
static void
message_return(struct core_pe *pe, PyObject *const *args, Py_ssize_t arg_count,
               chare_buffer *buffer)
{
    const chare_data data = chare_data_buffer(CHARE_FORMAT_ARGS, buffer);

    if (arg_count == 1) {
        core_moves_return_value(pe, args[0], &data);
    } else {
        core_moves_return(pe, args, arg_count, 0, &data);
    }
}

static int
message_encode(struct core_pe *pe, struct core_channel *self,
               struct header *header, PyObject *const *args,
               Py_ssize_t arg_count, chare_data *data_out)
{
    chare_buffer *buffer;
    chare_encoder encoder;
    chare_status status =
        chare_encoder_init(&encoder, pe->runtime, ROOM_BYTES);
    int failed;

    if (status != CHARE_OK) {
        core_raise(pe->state, status, "no room for a channel's message");
        return -1;
    }
    failed = arg_count == 1 ? core_encode(pe, &encoder, args[0])
                            : core_encode_args(pe, &encoder, args, arg_count);
    if (failed) {
        chare_encoder_fini(&encoder);
        return -1;
    }
    /* The objects' own code may have sent, closed or ended this channel. */
    if (self->peer == NULL || (self->closed_here && !header->close)) {
        message_return(pe, args, arg_count, encoder.buffer);
        chare_encoder_fini(&encoder);
        PyErr_SetString(pe->state->ChannelClosed,
                        "this end was closed while the message was made");
        return -1;
    }
    header->sequence = self->sent;
    header_encode(header, &encoder);
    status = chare_encoder_take(&encoder, &buffer);
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "encoding failed");
        return -1;
    }
    *data_out = chare_data_buffer(CHARE_FORMAT_ARGS, buffer);
    return 0;
}

/* As is_local() of method.c: whether the other end was last seen here. */
static bool
channel_is_local(struct core_pe *pe, struct core_channel *self)
{
    if (self->encodings == pe->encodings) {
        return true;
    }
    if (!chare_is_local(pe->runtime, &self->peer->element)) {
        return false;
    }
    self->encodings = pe->encodings;
    return true;
}

int
core_channel_send(struct core_pe *pe, struct core_channel *self, bool close,
                  PyObject *const *args, Py_ssize_t arg_count)
{
    const struct core_class *owner =
        ((struct core_proxy *)self->remote)->owner;
    struct header header = {
        .number = self->number, .sequence = self->sent, .close = close};
    chare_status status;
    chare_data data;
    bool parcel;

    core_chare_name(self->chare, &header.sender);
    parcel = channel_is_local(pe, self) &&
             parcel_make(pe, &header, args, arg_count, &data);
    if (!parcel &&
        (PyErr_Occurred() ||
         message_encode(pe, self, &header, args, arg_count, &data) < 0)) {
        return -1;
    }
    status = chare_send(pe->runtime, &self->peer->element,
                        owner->entries[owner->channel_index].id, &data, NULL);
    if (status != CHARE_OK) {
        message_return(pe, args, arg_count, data.buffer);
        core_data_drop(&data);
        core_raise(pe->state, status, "Channel.send()");
        return -1;
    }
    self->sent++;
    return 0;
}

/* ---- arriving */

/* A message of the chare 'header->sender'; -1 with an exception. */
static int
message_arrived(struct core_pe *pe, struct core_chare *chare,
                const struct header *header, PyObject *value)
{
    struct core_peer *peer;
    struct core_channel *self;

    if (chare->building == CORE_BUILD_FAILED && chare->rare->told) {
        return core_failure_check(pe->state, chare, "Channel.send");
    }
    peer = core_peer_get(chare, &header->sender);
    if (peer == NULL) {
        return -1;
    }
    self = core_channel_find(peer, header->number);
    if (self == NULL && header->number < peer->made) {
        return 0; /* that end is gone */
    }
    if (self == NULL) {
        self = core_channel_new(pe->state, peer, header->number);
        if (self == NULL) {
            return -1;
        }
    }
    core_channel_arrived(pe->state, self, header->sequence,
                         header->close ? NULL : value);
    return 0;
}

void
core_channel_invoke(void *object, const chare_call *call, void *context)
{
    const struct core_entry *entry = (const struct core_entry *)context;
    struct core_pe *pe = chare_user(call->runtime);
    struct core_chare *chare = (struct core_chare *)object;
    struct core_reader reader;
    struct header header;
    PyObject *value = NULL;
    int result = -1;

    core_enter(pe);
    if (call->payload != NULL && call->payload_ops == &parcel_ops) {
        const struct parcel *parcel = call->payload;

        result = message_arrived(pe, chare, &parcel->header, parcel->value);
    } else if (call->payload == NULL) {
        core_reader_init(&reader, pe, call->bytes, call->len, call);
        value = core_decode(&reader);
        if (value != NULL && header_decode(&reader.decoder, &header)) {
            result = message_arrived(pe, chare, &header, value);
        }
        Py_XDECREF(value);
        core_reader_fini(&reader);
    }
    if (result < 0) {
        if (!PyErr_Occurred()) {
            core_raise(pe->state, CHARE_ERR_FORMAT, "a channel's message");
        }
        core_finish(pe, entry, chare, call, NULL);
    }
    core_leave(pe);
}
