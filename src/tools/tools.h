/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOOLS_TOOLS_H
#define CHI_TOOLS_TOOLS_H

/*
 * tools.h - the sub-commands of 'chare'.
 */

/*
 * Each gets its own name in argv[0] and returns the exit code of the command.
 */
int chi_tools_info(int argc, char **argv);
int chi_tools_lb(int argc, char **argv);
int chi_tools_run(int argc, char **argv);

/* "chare WHAT: message", then where to find help; returns CHI_EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int
chi_tools_misused(const char *command, const char *format, ...);

#endif /* CHI_TOOLS_TOOLS_H */
