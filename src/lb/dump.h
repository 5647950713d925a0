/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_DUMP_H
#define CHI_LB_DUMP_H

/*
 * dump.h - a run's loads as a text file.
 *
 * One thing a line, words separated by blanks; '#' starts a comment:
 *
 *     chare-load 1                     first line: the format's version
 *     pes 4 objects=9 talks=1 seed=3   how many; before what follows
 *     pe 2 node=0 speed=0.5 background=1.25e-3
 *     object 0 pe=2 load=1.5e-3 bytes=800 at=0.25,1 fixed=1 name=Cell[3,4]
 *     talk 0 1 4096 messages=4         bytes between two objects
 *
 * Of a PE 'package=', 'numa=', 'cache=', 'core=', and 'switch=1.4', outermost
 * first, say how far it is from others (spots.h).
 *
 * Where 'objects' and 'talks' are said, so many have to follow, each in a line
 * with an end: so a file that was cut off is found out. 'seed' is what chance
 * began with, 'noise' the part of the time that had to be won, or strategies
 * that keep what is good enough moved nothing.
 *
 * Numbers of objects count from 0, in order. 'load' is seconds of work on a PE
 * of speed 1; what is left out is: speed 1, background 0, bytes 0, not fixed.
 * What sensors of a PE said is written as mhz=, celsius= and watts=.
 * A word 'key=value' whose key is unknown is passed over.
 */

#include <stdio.h>

#include "lb/problem.h"

enum {
    CHI_DUMP_VERSION = 1,
    CHI_DUMP_LINE_BYTES_MAX = 4096,
    CHI_DUMP_ERROR_BYTES = CHI_LB_TEXT_BYTES + CHI_DUMP_LINE_BYTES_MAX,
};

/*
 * Read a dump; 'out' gets allocated arrays (chi_lb_problem_free()). 'error'
 * has room for CHI_DUMP_ERROR_BYTES and says "NAME:LINE: what" when it fails.
 * Errors: CHARE_ERR_FORMAT, CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_dump_read(FILE *file, const char *name,
                                            struct chi_lb_problem *out,
                                            char *error);

/*
 * Write one. 'names' may be NULL; names have no blanks.
 * Errors: CHARE_ERR_SYSTEM.
 */
CHARE_MUST_CHECK chare_status chi_dump_write(
    FILE *file, const struct chi_lb_problem *problem, char *const *names);

#endif /* CHI_LB_DUMP_H */
