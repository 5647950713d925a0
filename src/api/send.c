/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send.c - calls, their answers, and what calls carry.
 */
#include "config.h"

#include "api/api.h"
#include "base/copy.h"
#include "msg/buffer.h"
#include "msg/codec.h"

static inline chare_status
check(const chare_runtime *runtime, const chare_send_options *options)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return options == NULL || options->size >= sizeof(*options)
               ? CHARE_OK
               : CHARE_ERR_INVALID;
}

chare_status
chare_send(chare_runtime *runtime, const chare_element *target, uint32_t entry,
           const chare_data *data, const chare_send_options *options)
{
    const chare_status status = check(runtime, options);

    if (status != CHARE_OK) {
        return status;
    }
    return chi_obj_send(runtime->obj, target, entry, data, options);
}

chare_status
chare_send_if_alive(chare_runtime *runtime, const chare_element *target,
                    uint32_t entry, const chare_data *data,
                    const chare_send_options *options)
{
    const chare_status status = check(runtime, options);

    if (status != CHARE_OK) {
        return status;
    }
    return chi_obj_call_if_alive(runtime->obj, target, entry, data, options);
}

chare_status
chare_broadcast(chare_runtime *runtime, chare_collection collection,
                uint32_t entry, const chare_data *data,
                const chare_send_options *options)
{
    const chare_status status = check(runtime, options);

    if (status != CHARE_OK) {
        return status;
    }
    return chi_obj_broadcast(runtime->obj, collection, entry, data, options);
}

void
chare_call_take_reply(const chare_call *call, chare_reply *reply_out)
{
    chi_obj_take_reply(call, reply_out);
}

chare_buffer *
chare_call_take_buffer(const chare_call *call)
{
    return chi_obj_take_buffer(call);
}

chare_buffer *
chare_call_share_buffer(const chare_call *call)
{
    return chi_obj_share_buffer(call);
}

chare_status
chare_reply_send(chare_runtime *runtime, const chare_reply *reply,
                 const chare_data *data)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_reply(runtime->obj, reply, data);
}

chare_status
chare_buffer_alloc(chare_runtime *runtime, size_t len,
                   chare_buffer **buffer_out)
{
    return chi_buffer_alloc(runtime->pool, len, buffer_out);
}

void
chare_copy(void *to, const void *from, size_t len)
{
    chi_copy_away(to, from, len);
}

chare_status
chare_encoder_init(chare_encoder *encoder, chare_runtime *runtime, size_t room)
{
    return chi_encoder_init(encoder, runtime->pool, room);
}
