/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_USUAL_H
#define CHI_OBJ_USUAL_H

/*
 * usual.h - the usual call, in one go: of a chare of an array with one
 * dimension, with data, and without options. invoke.c sends all others; where
 * those go whose chare is not here is at the end.
 */

#include "msg/buffer.h"
#include "obj/obj_private.h"

/* memcpy() of what is often one word or two. */
static inline void
chi_usual_copy(unsigned char *to, const void *from, uint64_t len)
{
    enum {
        WORD = sizeof(uint64_t)
    };

    if (len == WORD) {
        memcpy(to, from, WORD);
    } else if (len == 2 * (uint64_t)WORD) {
        memcpy(to, from, 2 * (size_t)WORD);
    } else {
        memcpy(to, from, len);
    }
}

/* The message of a usual call, and the length and format of its data; NULL:
 * the longer way makes it, or says why not. */
static inline struct chi_msg *
chi_usual_msg(struct chi_pe *pe, const chare_data *data, uint64_t *len_out,
              unsigned *format_out)
{
    struct chi_msg *msg;

    *len_out = 0;
    *format_out = data->format;
    if (data->buffer != NULL) {
        msg = chi_msg_of_buffer(data->buffer);
        chi_assert(msg->references == 1);
        *len_out = chi_msg_data_len(msg);
    } else if (data->payload_ops != NULL) {
        msg = chi_msg_take_least(pe->pool);
        if (chi_likely(msg != NULL)) {
            msg->payload_ops = data->payload_ops;
            msg->payload = data->payload;
            *format_out = data->payload_ops->format;
        }
    } else {
        if (data->len > CHI_MSG_LEAST_ROOM || data->bytes == NULL) {
            return NULL;
        }
        msg = chi_msg_take_least(pe->pool);
        if (chi_likely(msg != NULL)) {
            chi_usual_copy(msg->bytes, data->bytes, data->len);
            *len_out = data->len;
        }
    }
    return msg;
}

/* The envelope of a usual call, all of it in one go. */
static inline void
chi_usual_address(const struct chi_pe *pe, struct chi_msg *msg,
                  const chare_element *target, uint32_t entry, uint64_t len,
                  unsigned format)
{
    msg->env = (struct chi_envelope){
        .collection = target->collection,
        .key = (uint64_t)target->index.at[0],
        .len = len,
        .entry = entry,
        .source_pe = pe->rank,
        .caller = pe->caller,
        .version = CHI_MSG_WIRE_VERSION,
        .handler = CHI_HANDLER_INVOKE,
        .format = (uint8_t)format,
    };
}

/* The longer way takes the call, and takes it from 'calls_left' again. Not
 * inline: then what is left is counted down in memory, by one instruction. */
static __attribute__((noinline, cold)) bool
chi_usual_longer(struct chi_obj *obj)
{
    obj->calls_left++;
    return false;
}

/* Send a usual call, of a chare in 'collection'; false: it is none, and
 * nothing was done. */
static inline bool
chi_usual_send(struct chi_obj *obj, struct chi_collection *collection,
               const chare_element *target, uint32_t entry,
               const chare_data *data)
{
    struct chi_pe *pe = obj->pe;
    const struct chi_element *element;
    struct chi_msg *msg;
    unsigned format;
    uint64_t len;

    if (chi_unlikely(target->index.ndims != 1 || collection->spec.ndims != 1 ||
                     collection->kind != CHI_KIND_ARRAY || data == NULL ||
                     (unsigned)data->format > CHARE_FORMAT_ERROR)) {
        return false;
    }
    if (chi_unlikely(--obj->calls_left == 0)) {
        return chi_usual_longer(obj);
    }
    element = chi_map_get(&collection->packed, (uint64_t)target->index.at[0]);
    if (chi_unlikely(element == NULL && data->payload_ops != NULL)) {
        return chi_usual_longer(obj); /* it has to be encoded */
    }
    msg = chi_usual_msg(pe, data, &len, &format);
    if (chi_unlikely(msg == NULL)) {
        return chi_usual_longer(obj);
    }
    chi_usual_address(pe, msg, target, entry, len, format);
    pe->counted_made++;
    pe->sent++;
    if (chi_likely(element != NULL)) {
        chi_msg_queue_push(&pe->queue.ordinary, msg);
    } else if (!chi_lane_send(obj, collection, target, msg)) {
        chi_dispatch(obj, msg, NULL);
    }
    return true;
}

/* Send a counted call of a chare that is not here where it goes. */
static inline void
chi_usual_elsewhere(struct chi_obj *obj,
                    const struct chi_collection *collection,
                    const chare_element *target, struct chi_msg *msg)
{
    if (collection != NULL && chi_lane_send(obj, collection, target, msg)) {
        return;
    }
    if (collection == NULL &&
        chi_collection_kind(target->collection) != CHI_KIND_ARRAY) {
        chi_pe_forward(
            obj->pe,
            chi_group_pe(obj, target->collection, target->index.at[0]), msg);
        return;
    }
    chi_dispatch(obj, msg, NULL);
}

#endif /* CHI_OBJ_USUAL_H */
