/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * marks.c - where callgrind is to count; loaded by paths.py through ctypes.
 *
 * Without valgrind's headers these do nothing, and marks_here() says so.
 */
#if defined __has_include
#if __has_include(<valgrind/callgrind.h>)
#define HAVE_CALLGRIND 1
#include <valgrind/callgrind.h>
#endif
#endif

int marks_here(void);
void marks_start(void);
void marks_stop(const char *name);

int
marks_here(void)
{
#ifdef HAVE_CALLGRIND
    return 1;
#else
    return 0;
#endif
}

/* Count from here, from zero. */
void
marks_start(void)
{
#ifdef HAVE_CALLGRIND
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
#endif
}

/* Count no further, and write what has been counted to a file. */
void
marks_stop(const char *name)
{
#ifdef HAVE_CALLGRIND
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
#else
    (void)name;
#endif
}
