/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_API_ARGS_H
#define CHI_API_ARGS_H

/*
 * args.h - arguments of calls, for plug-ins.
 */

#include "api/api.h"

/* Nothing is read yet, and nothing checked. */
void chi_args_init(chare_args *args, const chare_call *call,
                   const char *params);

/* chare_args_fail() with the text as for printf(). */
chare_status chi_args_fail(chare_args *args, const char *kind,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* CHI_API_ARGS_H */
