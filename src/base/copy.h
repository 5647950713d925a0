/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_COPY_H
#define CHI_BASE_COPY_H

/*
 * copy.h - copying what another processor is going to read.
 */

#include <stddef.h>

enum {
    CHI_COPY_AWAY_BYTES_MIN = 16 * 1024, /* less: as memcpy() */
};

/*
 * As memcpy(). What is written leaves this processor's caches at once: whoever
 * reads it next, elsewhere, gets it from memory and not line by line out of
 * them, and the lines that it had of 'to' need not be fetched to be
 * overwritten. Complete when it returns, for all processors.
 */
void chi_copy_away(void *to, const void *from, size_t len);

#endif /* CHI_BASE_COPY_H */
