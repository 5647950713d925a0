/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.c - where a failed assertion ends.
 */
#include "config.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
chi_check_failed(const char *condition, const char *file, int line,
                 const char *function)
{
    fprintf(stderr,
            "chare: internal error: %s:%d: %s: '%s' does not hold; "
            "this is a bug in chare, please report it\n",
            file, line, function, condition);
    abort();
}
