/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock.c - the monotonic clock, and one that stands still.
 */
#include "config.h"

#include "base/clock.h"

#include <time.h>

static uint64_t
real_now_ns(const struct chi_clock *clock)
{
    struct timespec now;

    (void)clock;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CHI_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

const struct chi_clock chi_clock_real = {.now_ns = real_now_ns};

static uint64_t
manual_now_ns(const struct chi_clock *clock)
{
    return ((const struct chi_clock_manual *)clock)->now_ns;
}

void
chi_clock_manual_init(struct chi_clock_manual *manual, uint64_t now_ns)
{
    manual->clock.now_ns = manual_now_ns;
    manual->now_ns = now_ns;
}

uint64_t
chi_clock_ticks_of_ns(uint64_t ns)
{
    const uint64_t start_ns = chi_clock_now_ns(&chi_clock_real);
    const uint64_t start = chi_clock_ticks();
    uint64_t end_ns;

    do {
        end_ns = chi_clock_now_ns(&chi_clock_real);
    } while (end_ns - start_ns < 50 * CHI_NS_PER_US);
    return ns * (chi_clock_ticks() - start) / (end_ns - start_ns);
}
