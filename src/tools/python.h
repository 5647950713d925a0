/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOOLS_PYTHON_H
#define CHI_TOOLS_PYTHON_H

/*
 * python.h - how to start a Python program's processes from one interpreter.
 */

/*
 * The command that makes argv[0], an interpreter, a fork server of the program
 * that `argv` runs (pmix/forkserver.h). A malloc'ed array of the caller's
 * strings, to be freed; NULL: `argv` is no such command, or there is no
 * memory.
 */
char **chi_python_forkserver(char *const *argv);

#endif /* CHI_TOOLS_PYTHON_H */
