/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOOLS_PROGRAM_H
#define CHI_TOOLS_PROGRAM_H

/*
 * program.h - which file is the program that the user means?
 */

#include <limits.h>

struct chi_program {
    char path[PATH_MAX]; /* the file to execute */
    char **argv;         /* malloc'ed array; the strings are the caller's */
    int exit_code;       /* why there is none: CHI_EXIT_NOT_FOUND, ... */
    char error[PATH_MAX + 128];
};

/*
 * Find argv[0] as a shell does: through PATH unless it has a slash. A Python
 * file (.py) that is no program by itself is given to the interpreter
 * $CHARE_PYTHON, or else python3. Returns 0, or -1 with 'error' set.
 */
int chi_program_find(struct chi_program *program, char **argv);
void chi_program_fini(struct chi_program *program);

#endif /* CHI_TOOLS_PROGRAM_H */
