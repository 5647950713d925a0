/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_CHECK_H
#define CHI_BASE_CHECK_H

/*
 * check.h - assertions that stay on.
 *
 * A failed chi_assert() is a bug of ours, never of the user: it prints where
 * and what, and aborts. NDEBUG does not remove it. CHI_ASSERT_SLOW marks what
 * costs more than the code it guards; --enable-slow-checks turns it on.
 */

#include <assert.h> /* static_assert */

__attribute__((noreturn, cold)) void chi_check_failed(const char *condition,
                                                      const char *file,
                                                      int line,
                                                      const char *function);

#define chi_likely(condition)   __builtin_expect(!!(condition), 1)
#define chi_unlikely(condition) __builtin_expect(!!(condition), 0)

#define chi_assert(condition) \
    (chi_likely(condition)    \
         ? (void)0            \
         : chi_check_failed(#condition, __FILE__, __LINE__, __func__))

#if CHI_SLOW_CHECKS
#define CHI_ASSERT_SLOW(condition) chi_assert(condition)
#else
#define CHI_ASSERT_SLOW(condition) ((void)0)
#endif

#endif /* CHI_BASE_CHECK_H */
