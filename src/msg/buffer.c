/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * buffer.c - messages as users fill them.
 */
#include "config.h"

#include "msg/buffer.h"

chare_status
chi_buffer_alloc(struct chi_msg_pool *pool, size_t len,
                 chare_buffer **buffer_out)
{
    struct chi_msg *msg = chi_msg_alloc(pool, len);

    if (msg == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *buffer_out = chi_buffer_of_msg(msg);
    return CHARE_OK;
}

chare_status
chare_buffer_resize(chare_buffer **buffer_inout, size_t len)
{
    struct chi_msg *msg = chi_msg_of_buffer(*buffer_inout);
    chare_status status;

    chi_assert(msg->env.trailer_len == 0);
    status = chi_msg_resize(&msg, len);
    if (status == CHARE_OK) {
        *buffer_inout = chi_buffer_of_msg(msg);
    }
    return status;
}

void *
chare_buffer_bytes(chare_buffer *buffer, size_t *len_out)
{
    struct chi_msg *msg = chi_msg_of_buffer(buffer);

    if (len_out != NULL) {
        *len_out = chi_msg_data_len(msg);
    }
    return msg->bytes;
}

void
chare_buffer_keep(chare_buffer *buffer)
{
    chi_msg_lend(chi_msg_of_buffer(buffer));
}

void
chare_buffer_release(chare_buffer *buffer)
{
    if (buffer != NULL) {
        chi_msg_return(chi_msg_of_buffer(buffer));
    }
}
