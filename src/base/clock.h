/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_CLOCK_H
#define CHI_BASE_CLOCK_H

/*
 * clock.h - the only way to know the time.
 *
 * The real clock is monotonic; a simulated one stands still until the
 * simulator moves it, so that a seed replays a run exactly.
 */

#include <stdint.h>

#define CHI_NS_PER_SEC 1000000000ull
#define CHI_NS_PER_MS  1000000ull
#define CHI_NS_PER_US  1000ull

struct chi_clock {
    uint64_t (*now_ns)(const struct chi_clock *clock);
};

/* A clock that its owner sets. */
struct chi_clock_manual {
    struct chi_clock clock; /* first: a chi_clock * is a chi_clock_manual * */
    uint64_t now_ns;
};

extern const struct chi_clock chi_clock_real;

void chi_clock_manual_init(struct chi_clock_manual *manual, uint64_t now_ns);

static inline uint64_t
chi_clock_now_ns(const struct chi_clock *clock)
{
    return clock->now_ns(clock);
}

/*
 * A cheap counter that rises steadily, in ticks of its own (0.3 to 40 ns):
 * for "has it been long?" in loops, where a clock costs too much.
 */
static inline uint64_t
chi_clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return chi_clock_real.now_ns(&chi_clock_real);
#endif
}

/* Ticks in so many nanoseconds, roughly: it measures for 50 us. */
uint64_t chi_clock_ticks_of_ns(uint64_t ns);

#endif /* CHI_BASE_CLOCK_H */
