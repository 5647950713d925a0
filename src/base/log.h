/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_LOG_H
#define CHI_BASE_LOG_H

/*
 * log.h - what the runtime says on standard error.
 *
 * One line is one write(), so lines of several processes never mix. A line is
 * written where a fact is first known; callers pass a status on in silence.
 * CHARE_LOG chooses the level: error, warn (the default), info, debug.
 */

#include <stdbool.h>
#include <stdint.h>

enum chi_log_level {
    CHI_LOG_ERROR,
    CHI_LOG_WARN,
    CHI_LOG_INFO,
    CHI_LOG_DEBUG,
};

enum {
    CHI_LOG_LINE_BYTES_MAX = 16384 /* a report with its tracebacks */
};                                 /* longer lines are cut */

#define CHI_LOG_NO_PE 0xffffffffu

struct chi_log {
    enum chi_log_level level;
    uint32_t pe; /* shown in front; CHI_LOG_NO_PE before it is known */
};

#define CHI_LOG_INIT                               \
    {                                              \
        .level = CHI_LOG_WARN, .pe = CHI_LOG_NO_PE \
    }

/* Read "error", "warn", "info" or "debug"; false when it is none of them. */
bool chi_log_level_parse(const char *text, enum chi_log_level *level_out);

__attribute__((format(printf, 3, 4))) void
chi_log_write(const struct chi_log *log, enum chi_log_level level,
              const char *format, ...);

#define chi_log_at(log, level_, ...)                                        \
    ((log)->level >= (level_) ? chi_log_write((log), (level_), __VA_ARGS__) \
                              : (void)0)
#define chi_log_error(log, ...) chi_log_at(log, CHI_LOG_ERROR, __VA_ARGS__)
#define chi_log_warn(log, ...)  chi_log_at(log, CHI_LOG_WARN, __VA_ARGS__)
#define chi_log_info(log, ...)  chi_log_at(log, CHI_LOG_INFO, __VA_ARGS__)
#define chi_log_debug(log, ...) chi_log_at(log, CHI_LOG_DEBUG, __VA_ARGS__)

#endif /* CHI_BASE_LOG_H */
