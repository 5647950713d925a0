/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * python.c - which commands are a Python interpreter with a program.
 *
 * What is not understood for certain is started as it stands, each process by
 * itself: other programs, code on the command line, options that change what
 * comes after the program (-i) or before it (-S).
 */
#include "config.h"

#include "tools/python.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* An interpreter without chare, or with one that cannot do it, ends at once:
 * then the launcher starts the processes in the usual way. */
static const char bootstrap[] = "try:\n"
                                "    import sys\n"
                                "    if sys.path[:1] == ['']:\n"
                                "        del sys.path[0]\n"
                                "    from chare._forkserver import main\n"
                                "except BaseException:\n"
                                "    import os\n"
                                "    os._exit(0)\n"
                                "main()\n";

/* python, python3, python3.11 and so on. */
static bool
is_interpreter(const char *path)
{
    const char *name = strrchr(path, '/');

    name = name != NULL ? name + 1 : path;
    if (strncmp(name, "python", 6) != 0) {
        return false;
    }
    name += 6;
    return strspn(name, "0123456789.") == strlen(name);
}

/* How many words an option of the interpreter takes; 0: not one of these. */
static size_t
option_words(const char *word)
{
    if (strcmp(word, "-X") == 0 || strcmp(word, "-W") == 0) {
        return 2;
    }
    if (word[0] == '-' && (word[1] == 'X' || word[1] == 'W')) {
        return 1;
    }
    return word[0] == '-' && word[1] != '\0' &&
           strspn(word + 1, "bBdEIOPqsu") == strlen(word + 1);
}

char **
chi_python_forkserver(char *const *argv)
{
    size_t count = 0;
    size_t at = 1;
    size_t words;
    char **command;

    while (argv[count] != NULL) {
        count++;
    }
    while (at < count && (words = option_words(argv[at])) > 0) {
        at += words;
    }
    if (!is_interpreter(argv[0]) || at >= count ||
        (argv[at][0] == '-' &&
         (strcmp(argv[at], "-m") != 0 || at + 1 == count))) {
        return NULL;
    }
    command = calloc(count + 3, sizeof(*command));
    if (command != NULL) {
        memcpy(command, argv, at * sizeof(*argv));
        /* As of all words of an argv, nobody writes into these. */
        command[at] = (char *)(uintptr_t) "-c";
        command[at + 1] = (char *)(uintptr_t)bootstrap;
        memcpy(command + at + 2, argv + at, (count - at) * sizeof(*argv));
    }
    return command;
}
