/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_LAPS_H
#define BENCH_LAPS_H

/*
 * laps.h - how long groups of messages took: their median and their tail.
 *
 * The clock is read once in a lap, so that reading it, some 25 ns, does not
 * count: 10 round trips, where a hiccup of microseconds still shows, or 1000
 * messages that do not wait for each other. The median of the laps is what a
 * message takes while nobody takes the processor away; the mean has all.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    LAP_ROUNDS = 10,
    LAP_FLOOD = 1000
};

/* A flood's lap: a tenth of few messages. */
static inline unsigned
lap_flood(uint64_t count)
{
    return count >= 10 * LAP_FLOOD ? LAP_FLOOD
           : count >= 10           ? (unsigned)(count / 10)
                                   : 1;
}

struct laps {
    uint64_t *took_ns;
    size_t count;
    size_t room;
    uint64_t start_ns;
    uint64_t last_ns;
    unsigned length; /* rounds in a lap */
    unsigned round;
};

static inline uint64_t
laps_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Begin; 'rounds' is how many will come, at most; 'length' of them a lap. */
static inline void
laps_start(struct laps *laps, uint64_t rounds, unsigned length)
{
    laps->length = length;
    laps->room = rounds / length;
    laps->took_ns = calloc(laps->room + 1, sizeof(laps->took_ns[0]));
    if (laps->took_ns == NULL) {
        laps->room = 0;
    }
    laps->count = 0;
    laps->round = 0;
    laps->start_ns = laps_now_ns();
    laps->last_ns = laps->start_ns;
}

/* One round is over. */
static inline void
laps_round(struct laps *laps)
{
    if (++laps->round == laps->length) {
        const uint64_t now = laps_now_ns();

        laps->round = 0;
        if (laps->count < laps->room) {
            laps->took_ns[laps->count++] = now - laps->last_ns;
        }
        laps->last_ns = now;
    }
}

static inline int
laps_compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The p-th quantile of a step, of which a round has 'steps', in ns. */
static inline double
laps_quantile(const struct laps *laps, double p, unsigned steps)
{
    const size_t at = (size_t)(p * (double)(laps->count - 1));

    return (double)laps->took_ns[at] / laps->length / steps;
}

/* End: one line of JSON about 'count' steps of 'bytes' each. */
static inline void
laps_print(struct laps *laps, const char *what, uint64_t count, size_t bytes,
           unsigned steps)
{
    const double sec = (double)(laps_now_ns() - laps->start_ns) * 1e-9;

    printf("{\"what\": \"%s\", \"count\": %" PRIu64
           ", \"bytes\": %zu, \"seconds\": %.6f, \"ns_each\": %.2f",
           what, count, bytes, sec, sec * 1e9 / (double)count);
    if (laps->count > 0) {
        qsort(laps->took_ns, laps->count, sizeof(laps->took_ns[0]),
              laps_compare);
        printf(", \"p50_ns\": %.2f, \"p99_ns\": %.2f",
               laps_quantile(laps, 0.5, steps),
               laps_quantile(laps, 0.99, steps));
    }
    printf("}\n");
    fflush(stdout);
    free(laps->took_ns);
    laps->took_ns = NULL;
}

#endif /* BENCH_LAPS_H */
