/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_FUTEX_H
#define CHI_BASE_FUTEX_H

/*
 * futex.h - sleeping on a word of memory that several processes map.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chare.h>

#include <linux/futex.h>

#include "base/clock.h"

/*
 * Sleep while *word is 'value', as the kernel sees it, until somebody wakes
 * it; CHARE_OK also when it is another value already, and now and then for
 * nothing. Errors: CHARE_ERR_TIMEOUT; CHARE_ERR_INTERRUPTED - by a signal.
 */
static inline chare_status
chi_futex_wait(const uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / CHI_NS_PER_SEC),
        .tv_nsec = (long)(timeout_ns % CHI_NS_PER_SEC),
    };

    if (syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0) == 0) {
        return CHARE_OK;
    }
    return errno == ETIMEDOUT ? CHARE_ERR_TIMEOUT
           : errno == EINTR   ? CHARE_ERR_INTERRUPTED
                              : CHARE_OK;
}

/* Wake one that sleeps there; false: nobody does. */
static inline bool
chi_futex_wake(const uint32_t *word)
{
    return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) > 0;
}

#endif /* CHI_BASE_FUTEX_H */
