/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - one line, one write.
 */
#include "config.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

bool
chi_log_level_parse(const char *text, enum chi_log_level *level_out)
{
    for (int level = CHI_LOG_ERROR; level <= CHI_LOG_DEBUG; level++) {
        if (strcmp(text, level_names[level]) == 0) {
            *level_out = (enum chi_log_level)level;
            return true;
        }
    }
    return false;
}

void
chi_log_write(const struct chi_log *log, enum chi_log_level level,
              const char *format, ...)
{
    char line[CHI_LOG_LINE_BYTES_MAX];
    size_t room = sizeof(line) - 1; /* the newline always fits */
    size_t len;
    ssize_t written;
    va_list args;
    int n;

    n = log->pe == CHI_LOG_NO_PE
            ? snprintf(line, room, "chare: %s: ", level_names[level])
            : snprintf(line, room, "chare[%u]: %s: ", log->pe,
                       level_names[level]);
    len = (size_t)n;
    va_start(args, format);
    n = vsnprintf(line + len, room - len, format, args);
    va_end(args);
    if (n > 0) {
        len += (size_t)n < room - len ? (size_t)n : room - len - 1;
    }
    line[len++] = '\n';
    written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere left to complain */
}
