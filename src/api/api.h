/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_API_API_H
#define CHI_API_API_H

/*
 * api.h - what the public functions share: they check what the user gave, and
 * hand down.
 */

#include <chare.h>

#include "rt/runtime.h"

/* Whether messages can be sent. */
static inline bool
chi_api_started(const chare_runtime *runtime)
{
    return runtime->state == CHI_RT_STARTED ||
           runtime->state == CHI_RT_CLOSING;
}

#endif /* CHI_API_API_H */
