/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_CB_CALLBACK_H
#define CHI_CB_CALLBACK_H

/*
 * callback.h - where a result goes, as a small value; and chare_data as a
 * message.
 *
 * This room does not know chares or futures: the rooms that do say how to
 * reach them, once, by chi_cb_set_target().
 */

#include <chare.h>

#include "base/bytes.h"
#include "entry/registry.h"
#include "msg/buffer.h"
#include "pe/pe.h"

enum {
    CHI_CALLBACK_WIRE_BYTES_MAX = 64,
    CHI_CALLBACK_FUTURE_BYTES = 1 + 8 + 4, /* of one that is a future */
};

/* Deliver 'data' to 'callback'; takes the data over on CHARE_OK. */
typedef chare_status (*chi_cb_target_fn)(void *context,
                                         const chare_callback *callback,
                                         const chare_data *data);

struct chi_cb {
    struct chi_pe *pe;
    const struct chi_registry *registry;
    chare_runtime *runtime; /* for calls into user code */
    struct {
        chi_cb_target_fn fn;
        void *context;
    } targets[CHARE_CALLBACK_FUNCTION + 1];
};

void chi_cb_init(struct chi_cb *cb, struct chi_pe *pe,
                 const struct chi_registry *registry, chare_runtime *runtime);
void chi_cb_set_target(struct chi_cb *cb, chare_callback_kind kind,
                       chi_cb_target_fn fn, void *context);

/* As chare_callback_call(). */
CHARE_MUST_CHECK chare_status chi_cb_call(struct chi_cb *cb,
                                          const chare_callback *callback,
                                          const chare_data *data);

/* The same for the runtime itself: a failure ends the job. */
void chi_cb_call_or_die(struct chi_cb *cb, const chare_callback *callback,
                        const chare_data *data);

/* Whether it can name something, as far as it is known here; NULL: nobody. A
 * user's callback is looked at before it is sent along. */
bool chi_cb_ok(const struct chi_cb *cb, const chare_callback *callback);

/* Whether two name the same target. */
bool chi_callback_equal(const chare_callback *a, const chare_callback *b);

/* What it is, for people. */
void chi_callback_text(const struct chi_cb *cb, const chare_callback *callback,
                       char *out, size_t room);

/* Deliver an error made of three texts. */
void chi_cb_call_error(struct chi_cb *cb, const chare_callback *callback,
                       const char *kind, const char *message);

enum { /* kind, entry, collection, how many dimensions, index */
    CHI_CALLBACK_BYTES_MAX = 1 + sizeof(uint32_t) + sizeof(uint64_t) + 1 +
                             sizeof(int64_t) * CHARE_DIMS_MAX,
};

void chi_callback_write(struct chi_writer *writer,
                        const chare_callback *callback);
/* False: malformed. */
bool chi_callback_read(struct chi_reader *reader, chare_callback *out);

/* The same of a future, the usual place for a reply. */
static inline void
chi_callback_write_future(unsigned char *out, const chare_future *future)
{
    out[0] = CHARE_CALLBACK_FUTURE;
    memcpy(out + 1, &future->id, sizeof(future->id));
    memcpy(out + 1 + sizeof(future->id), &future->pe, sizeof(future->pe));
}

/* False: it is something else. */
static inline bool
chi_callback_read_future(const unsigned char *bytes, size_t len,
                         chare_future *out)
{
    if (len != CHI_CALLBACK_FUTURE_BYTES ||
        bytes[0] != CHARE_CALLBACK_FUTURE) {
        return false;
    }
    memcpy(&out->id, bytes + 1, sizeof(out->id));
    memcpy(&out->pe, bytes + 1 + sizeof(out->id), sizeof(out->pe));
    out->reserved = 0;
    return true;
}

void chi_element_write(struct chi_writer *writer,
                       const chare_element *element);
bool chi_element_read(struct chi_reader *reader, chare_element *out);

/*
 * A message that carries 'data' (NULL: nothing). A payload stays one. On
 * CHARE_OK the data was taken over. Errors: CHARE_ERR_INVALID, _NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_cb_data_msg_slow(struct chi_pe *pe,
                                                   enum chi_handler handler,
                                                   const chare_data *data,
                                                   struct chi_msg **msg_out);

CHARE_MUST_CHECK static inline chare_status
chi_cb_data_msg(struct chi_pe *pe, enum chi_handler handler,
                const chare_data *data, struct chi_msg **msg_out)
{
    struct chi_msg *msg;

    if (chi_unlikely(data == NULL ||
                     (data->buffer == NULL && data->payload_ops == NULL) ||
                     (unsigned)data->format > CHARE_FORMAT_ERROR)) {
        return chi_cb_data_msg_slow(pe, handler, data, msg_out);
    }
    if (data->buffer != NULL) {
        msg = chi_msg_of_buffer(data->buffer);
        chi_assert(msg->references == 1);
        chi_msg_strip(msg);
        msg->env.format = (uint8_t)data->format;
    } else {
        msg = chi_msg_alloc(pe->pool, 0);
        if (chi_unlikely(msg == NULL)) {
            return CHARE_ERR_NO_MEMORY;
        }
        msg->payload_ops = data->payload_ops;
        msg->payload = data->payload;
        msg->env.format = (uint8_t)data->payload_ops->format;
    }
    msg->env.handler = (uint8_t)handler;
    msg->env.caller = pe->caller;
    *msg_out = msg;
    return CHARE_OK;
}

/*
 * What a message carries, for user code; 'call' is filled. Field by field: an
 * initializer of this size becomes a loop in microcode.
 */
static inline void
chi_cb_call_of_msg(const struct chi_cb *cb, const struct chi_msg *msg,
                   chare_call *call)
{
    call->runtime = cb->runtime;
    call->self = NULL;
    call->entry = msg->env.entry;
    call->source_pe = msg->env.source_pe;
    call->format = (chare_format)msg->env.format;
    call->priority = msg->env.priority;
    call->wants_reply = (msg->env.flags & CHI_ENV_REPLY) != 0;
    call->bytes = msg->bytes;
    call->len = chi_msg_data_len(msg);
    call->payload = msg->payload_ops == NULL ? NULL : msg->payload;
    call->payload_ops = msg->payload_ops;
    call->argument = 0;
    call->execution = NULL;
    call->collection = 0;
    call->more = 0;
}

#endif /* CHI_CB_CALLBACK_H */
