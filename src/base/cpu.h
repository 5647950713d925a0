/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_CPU_H
#define CHI_BASE_CPU_H

/*
 * cpu.h - hints to the processor; each may do nothing.
 */

enum {
    /* Two cache lines: adjacent-line prefetchers work on pairs. */
    CHI_CPU_APART_BYTES = 128,
};

/* In a loop that waits for another processor's store. */
static inline void
chi_cpu_relax(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* 'at' is about to be written. */
static inline void
chi_cpu_prefetch_write(const void *at)
{
#if defined(__x86_64__)
    /* The builtin would fetch a shared copy: PREFETCHW is not in the base
     * instruction set, yet all 64-bit processors take it, some as a no-op. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1, 3);
#endif
}

/* 'at' is about to be read. */
static inline void
chi_cpu_prefetch_read(const void *at)
{
    __builtin_prefetch(at, 0, 3);
}

#endif /* CHI_BASE_CPU_H */
