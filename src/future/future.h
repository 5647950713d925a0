/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_FUTURE_FUTURE_H
#define CHI_FUTURE_FUTURE_H

/*
 * future.h - places that values can be sent to, from any PE.
 */

#include "cb/callback.h"

struct chi_futures;

/* 'fatal' ends the job when a value comes for a future that is gone. */
CHARE_MUST_CHECK chare_status
chi_futures_create(struct chi_pe *pe, struct chi_cb *cb,
                   void (*fatal)(void *context, const char *text),
                   void *fatal_context, struct chi_futures **out);
void chi_futures_destroy(struct chi_futures *futures);

/* As the public functions of these names. */
CHARE_MUST_CHECK chare_status chi_future_create(struct chi_futures *futures,
                                                chare_function_fn function,
                                                void *context,
                                                chare_future *future_out);
CHARE_MUST_CHECK chare_status chi_future_set(struct chi_futures *futures,
                                             const chare_future *future,
                                             const chare_data *data);
void chi_future_release(struct chi_futures *futures,
                        const chare_future *future, bool drop);

#endif /* CHI_FUTURE_FUTURE_H */
