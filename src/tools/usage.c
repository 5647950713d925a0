/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage.c - how a wrong command line is answered.
 */
#include "config.h"

#include "tools/tools.h"

#include <stdarg.h>
#include <stdio.h>

#include "pmix/launch.h"

int
chi_tools_misused(const char *command, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "chare%s%s: %s\nTry 'chare%s%s --help'.\n",
            command[0] != '\0' ? " " : "", command, text,
            command[0] != '\0' ? " " : "", command);
    return CHI_EXIT_USAGE;
}
