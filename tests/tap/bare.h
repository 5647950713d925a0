/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_TAP_BARE_H
#define CHARE_TESTS_TAP_BARE_H

/*
 * bare.h - hooks of chares without a state of their own: their object is the
 * context of their type, which is the test, and nothing of it moves.
 */

#include <chare.h>

/* Both .create and .unpack. */
static inline chare_status
bare_create(const chare_call *call, void *context, void **object_out)
{
    (void)call;
    *object_out = context;
    return CHARE_OK;
}

static inline chare_status
bare_pack(void *object, void *context, chare_encoder *encoder)
{
    (void)object;
    (void)context;
    chare_put_none(encoder);
    return encoder->status;
}

#endif /* CHARE_TESTS_TAP_BARE_H */
