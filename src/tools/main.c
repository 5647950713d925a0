/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the 'chare' command: finds the sub-command.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/tools.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"run", chi_tools_run, "start a program as the processes of one job"},
    {"info", chi_tools_info, "show version, features and settings"},
    {"lb", chi_tools_lb, "replay the loads of a run through strategies"},
};

static int
show_help(void)
{
    printf("Usage: chare COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    }
    printf("\n'chare COMMAND --help' says more.\n"
           "chare --version prints the version, chare --help this text.\n");
    return 0;
}

/* A standard stream that is closed is as good as /dev/null; its number must
 * not become that of a socket, which processes of the job would inherit. */
static void
open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        }
    }
}

/* The exit code: an error if what was printed could not be written. */
static int
finish(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    fprintf(stderr, "chare: cannot write standard output: %s\n",
            errno != 0 ? strerror(errno) : "an error");
    return code != 0 ? code : 1;
}

static int
run_command(int argc, char **argv)
{
    if (argc < 2) {
        return chi_tools_misused("", "which command?");
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("chare %s\n", PACKAGE_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return show_help();
    }
    return chi_tools_misused("", "there is no %s '%s'",
                             argv[1][0] == '-' ? "option" : "command",
                             argv[1]);
}

int
main(int argc, char **argv)
{
    open_standard_streams();
    return finish(run_command(argc, argv));
}
