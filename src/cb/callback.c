/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * callback.c - callbacks on the wire, and the door to their targets.
 */
#include "config.h"

#include "cb/callback.h"

#include <stdio.h>
#include <string.h>

#include "msg/buffer.h"
#include "msg/codec.h"

/* ---- registered functions: the one target that lives here */

static chare_status
function_target(void *context, const chare_callback *callback,
                const chare_data *data)
{
    struct chi_cb *cb = context;
    struct chi_msg *msg;
    chare_status status;

    if (callback->entry >= cb->registry->function_count ||
        callback->future.pe >= cb->pe->size) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(cb->pe, CHI_HANDLER_FUNCTION, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.entry = callback->entry;
    msg->env.key = callback->future.id;
    if (msg->payload_ops != NULL && callback->future.pe != cb->pe->rank) {
        status = chi_pe_encode(cb->pe, &msg);
        if (status != CHARE_OK) {
            msg->payload_ops = NULL; /* the payload is the caller's again */
            chi_msg_release(msg);
            return status;
        }
    }
    chi_pe_send(cb->pe, callback->future.pe, msg);
    return CHARE_OK;
}

static void
function_execute(void *context, struct chi_msg *msg)
{
    struct chi_cb *cb = context;
    chare_call call;

    if (msg->env.entry < cb->registry->function_count) {
        const struct chi_function *function =
            &cb->registry->functions[msg->env.entry];

        chi_cb_call_of_msg(cb, msg, &call);
        call.argument = msg->env.key;
        function->function(&call, function->context);
    }
    chi_msg_release(msg);
}

void
chi_cb_init(struct chi_cb *cb, struct chi_pe *pe,
            const struct chi_registry *registry, chare_runtime *runtime)
{
    *cb = (struct chi_cb){
        .pe = pe,
        .registry = registry,
        .runtime = runtime,
    };
    chi_cb_set_target(cb, CHARE_CALLBACK_FUNCTION, function_target, cb);
    chi_pe_set_handler(pe, CHI_HANDLER_FUNCTION, function_execute, cb);
}

void
chi_cb_set_target(struct chi_cb *cb, chare_callback_kind kind,
                  chi_cb_target_fn fn, void *context)
{
    chi_assert(cb->targets[kind].fn == NULL);
    cb->targets[kind].fn = fn;
    cb->targets[kind].context = context;
}

/* ---- calling */

static bool
entry_ok(const struct chi_cb *cb, uint32_t entry)
{
    return entry != 0 && entry < cb->registry->entry_count;
}

bool
chi_cb_ok(const struct chi_cb *cb, const chare_callback *callback)
{
    if (callback == NULL) {
        return true;
    }
    switch (callback->kind) {
    case CHARE_CALLBACK_NONE:
        return true;
    case CHARE_CALLBACK_FUTURE:
        return callback->future.pe < cb->pe->size;
    case CHARE_CALLBACK_FUNCTION:
        return callback->entry < cb->registry->function_count &&
               callback->future.pe < cb->pe->size;
    case CHARE_CALLBACK_ELEMENT:
        return callback->element.index.ndims >= 1 &&
               callback->element.index.ndims <= CHARE_DIMS_MAX &&
               entry_ok(cb, callback->entry);
    case CHARE_CALLBACK_BROADCAST:
        return entry_ok(cb, callback->entry);
    }
    return false;
}

static void
data_drop(const chare_data *data)
{
    if (data != NULL && data->buffer != NULL) {
        chare_buffer_release(data->buffer);
    }
    if (data != NULL && data->payload_ops != NULL) {
        data->payload_ops->release(data->payload);
    }
}

chare_status
chi_cb_call(struct chi_cb *cb, const chare_callback *callback,
            const chare_data *data)
{
    if (callback->kind == CHARE_CALLBACK_NONE) {
        data_drop(data);
        return CHARE_OK;
    }
    if ((unsigned)callback->kind > CHARE_CALLBACK_FUNCTION) {
        return CHARE_ERR_INVALID;
    }
    chi_assert(cb->targets[callback->kind].fn != NULL);
    return cb->targets[callback->kind].fn(cb->targets[callback->kind].context,
                                          callback, data);
}

void
chi_cb_call_or_die(struct chi_cb *cb, const chare_callback *callback,
                   const chare_data *data)
{
    chare_status status = chi_cb_call(cb, callback, data);

    if (status != CHARE_OK) {
        chi_pe_die(cb->pe, "a result cannot be delivered to its callback: %s",
                   chare_status_text(status));
    }
}

void
chi_cb_call_error(struct chi_cb *cb, const chare_callback *callback,
                  const char *kind, const char *message)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;
    chare_status status;

    status = chi_encoder_init(&encoder, cb->pe->pool, 256);
    if (status == CHARE_OK) {
        chare_put_error(&encoder, kind, message, "", false);
        status = chare_encoder_take(&encoder, &buffer);
    }
    if (status != CHARE_OK) {
        chi_pe_die(cb->pe, "%s: %s", kind, message);
    }
    data = chare_data_buffer(CHARE_FORMAT_ERROR, buffer);
    chi_cb_call_or_die(cb, callback, &data);
}

bool
chi_callback_equal(const chare_callback *a, const chare_callback *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case CHARE_CALLBACK_FUNCTION:
        return a->entry == b->entry && a->future.pe == b->future.pe &&
               a->future.id == b->future.id;
    case CHARE_CALLBACK_FUTURE:
        return a->future.id == b->future.id && a->future.pe == b->future.pe;
    case CHARE_CALLBACK_ELEMENT:
        return a->entry == b->entry &&
               memcmp(&a->element, &b->element, sizeof(a->element)) == 0;
    case CHARE_CALLBACK_BROADCAST:
        return a->entry == b->entry &&
               a->element.collection == b->element.collection;
    case CHARE_CALLBACK_NONE:
        break;
    }
    return true;
}

void
chi_callback_text(const struct chi_cb *cb, const chare_callback *callback,
                  char *out, size_t room)
{
    const char *entry = chi_registry_entry_name(cb->registry, callback->entry);
    const chare_index *index = &callback->element.index;
    size_t len;

    switch (callback->kind) {
    case CHARE_CALLBACK_NONE:
        snprintf(out, room, "nobody");
        return;
    case CHARE_CALLBACK_FUNCTION:
        snprintf(out, room, "a function on PE %u", callback->future.pe);
        return;
    case CHARE_CALLBACK_FUTURE:
        snprintf(out, room, "future %llu of PE %u",
                 (unsigned long long)callback->future.id, callback->future.pe);
        return;
    case CHARE_CALLBACK_BROADCAST:
        snprintf(out, room, "%s of all chares", entry);
        return;
    case CHARE_CALLBACK_ELEMENT:
        break;
    }
    len = (size_t)snprintf(out, room, "%s of chare ", entry);
    for (uint32_t i = 0; i < index->ndims && len < room; i++) {
        len += (size_t)snprintf(out + len, room - len, "%s%lld%s",
                                i == 0 ? "[" : ",", (long long)index->at[i],
                                i + 1 == index->ndims ? "]" : "");
    }
}

/* ---- on the wire */

void
chi_element_write(struct chi_writer *writer, const chare_element *element)
{
    chi_write_u64(writer, element->collection);
    chi_write_u8(writer, (uint8_t)element->index.ndims);
    for (uint32_t i = 0; i < element->index.ndims; i++) {
        chi_write_i64(writer, element->index.at[i]);
    }
}

bool
chi_element_read(struct chi_reader *reader, chare_element *out)
{
    *out = (chare_element){.collection = chi_read_u64(reader)};
    out->index.ndims = chi_read_u8(reader);
    if (out->index.ndims > CHARE_DIMS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < out->index.ndims; i++) {
        out->index.at[i] = chi_read_i64(reader);
    }
    return !reader->bad;
}

void
chi_callback_write(struct chi_writer *writer, const chare_callback *callback)
{
    chi_write_u8(writer, (uint8_t)callback->kind);
    switch (callback->kind) {
    case CHARE_CALLBACK_NONE:
        break;
    case CHARE_CALLBACK_FUNCTION:
        chi_write_u32(writer, callback->entry);
        chi_write_u64(writer, callback->future.id);
        chi_write_u32(writer, callback->future.pe);
        break;
    case CHARE_CALLBACK_FUTURE:
        chi_write_u64(writer, callback->future.id);
        chi_write_u32(writer, callback->future.pe);
        break;
    case CHARE_CALLBACK_ELEMENT:
    case CHARE_CALLBACK_BROADCAST:
        chi_write_u32(writer, callback->entry);
        chi_element_write(writer, &callback->element);
        break;
    }
}

bool
chi_callback_read(struct chi_reader *reader, chare_callback *out)
{
    const uint8_t kind = chi_read_u8(reader);

    *out = (chare_callback){.kind = (chare_callback_kind)kind};
    switch (kind) {
    case CHARE_CALLBACK_NONE:
        break;
    case CHARE_CALLBACK_FUNCTION:
        out->entry = chi_read_u32(reader);
        out->future.id = chi_read_u64(reader);
        out->future.pe = chi_read_u32(reader);
        break;
    case CHARE_CALLBACK_FUTURE:
        out->future.id = chi_read_u64(reader);
        out->future.pe = chi_read_u32(reader);
        break;
    case CHARE_CALLBACK_ELEMENT:
    case CHARE_CALLBACK_BROADCAST:
        out->entry = chi_read_u32(reader);
        if (!chi_element_read(reader, &out->element)) {
            return false;
        }
        break;
    default:
        return false;
    }
    return !reader->bad;
}

/* ---- data and messages */

chare_status
chi_cb_data_msg_slow(struct chi_pe *pe, enum chi_handler handler,
                     const chare_data *data, struct chi_msg **msg_out)
{
    static const chare_data nothing;
    struct chi_msg *msg;

    if (data == NULL) {
        data = &nothing;
    }
    if ((unsigned)data->format > CHARE_FORMAT_ERROR ||
        (data->bytes == NULL && data->len > 0)) {
        return CHARE_ERR_INVALID;
    }
    msg = chi_msg_alloc(pe->pool, data->len);
    if (msg == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (data->len > 0) {
        memcpy(msg->bytes, data->bytes, data->len);
    }
    msg->env.format = (uint8_t)data->format;
    msg->env.handler = (uint8_t)handler;
    msg->env.caller = pe->caller;
    *msg_out = msg;
    return CHARE_OK;
}
