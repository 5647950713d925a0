/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_MSG_BUFFER_H
#define CHI_MSG_BUFFER_H

/*
 * buffer.h - a chare_buffer is a message in disguise.
 *
 * What a user fills is the data of a message that is sent without a copy. The
 * user's type is never defined, so nothing but these two casts joins them.
 */

#include "msg/msg.h"

static inline struct chi_msg *
chi_msg_of_buffer(chare_buffer *buffer)
{
    return (struct chi_msg *)(void *)buffer;
}

static inline chare_buffer *
chi_buffer_of_msg(struct chi_msg *msg)
{
    return (chare_buffer *)(void *)msg;
}

/* chare_buffer_alloc() from a pool. Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_buffer_alloc(struct chi_msg_pool *pool,
                                               size_t len,
                                               chare_buffer **buffer_out);

#endif /* CHI_MSG_BUFFER_H */
