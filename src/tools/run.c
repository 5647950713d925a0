/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.c - 'chare run': the options of the local launcher.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "pmix/launch.h"
#include "tools/program.h"
#include "tools/python.h"
#include "tools/tools.h"

static const char help[] =
    "Usage: chare run [OPTION]... PROGRAM [ARGUMENT]...\n"
    "Start PROGRAM as the processes of one job on this machine.\n"
    "\n"
    "  -n, --np N       number of processes (default 1); may be more than\n"
    "                   there are processors\n"
    "  -b, --bind HOW   core: pin each process to a core, in turn; none: pin\n"
    "                   nothing (default: the runtime decides, CHARE_BIND)\n"
    "  -t, --tag-output put \"[rank] \" before each line\n"
    "  -T, --timeout S  end the job after S seconds, with exit code 124\n"
    "  -h, --help       show this text\n"
    "\n"
    "Output is passed on line by line, standard input goes to rank 0, "
    "signals\n"
    "go to all processes. A PROGRAM that ends in .py and is not executable "
    "is\n"
    "run by $CHARE_PYTHON, or python3. The processes of a Python program are\n"
    "forked from one that has imported chare and NumPy (CHARE_PRELOAD).\n"
    "\n"
    "Exit code: 0 when all processes return 0, else that of the first that\n"
    "fails (128 + N when killed by signal N), which ends the others; 124 "
    "after\n"
    "--timeout, 126 and 127 for a PROGRAM that cannot be run or is not "
    "there.\n";

static const struct option long_options[] = {
    {"np", required_argument, NULL, 'n'},
    {"bind", required_argument, NULL, 'b'},
    {"tag-output", no_argument, NULL, 't'},
    {"timeout", required_argument, NULL, 'T'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Each parser returns 0, or the exit code after it has complained. */

static int
parse_count(const char *text, uint32_t *out)
{
    char *end;
    unsigned long count;

    if (strcmp(text, "p") == 0) {
        return chi_tools_misused("run", "-np: write -n N or --np N");
    }
    errno = 0;
    count = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        count < 1 || count > CHI_LAUNCH_RANKS_MAX) {
        return chi_tools_misused(
            "run", "-n %s: should be a number of processes, 1 to %d", text,
            CHI_LAUNCH_RANKS_MAX);
    }
    *out = (uint32_t)count;
    return 0;
}

static int
parse_bind(const char *text, enum chi_launch_bind *out)
{
    if (strcmp(text, "core") == 0) {
        *out = CHI_LAUNCH_BIND_CORE;
    } else if (strcmp(text, "none") == 0) {
        *out = CHI_LAUNCH_BIND_NONE;
    } else {
        return chi_tools_misused("run", "--bind %s: should be core or none",
                                 text);
    }
    return 0;
}

static int
parse_timeout(const char *text, uint64_t *out)
{
    const double max_s = 1e9;
    char *end;
    double seconds = strtod(text, &end);

    if ((!isdigit((unsigned char)text[0]) && text[0] != '.') || *end != '\0' ||
        !(seconds > 0 && seconds <= max_s)) {
        return chi_tools_misused(
            "run", "--timeout %s: should be a number of seconds above 0",
            text);
    }
    *out = (uint64_t)(seconds * (double)CHI_NS_PER_SEC);
    *out += *out == 0; /* 0 would be "no timeout" */
    return 0;
}

/* 0: go on; else stop, with the exit code in *code_out. */
static int
parse_options(int argc, char **argv, struct chi_launch_options *out,
              int *code_out)
{
    int option;
    int code = 0;

    opterr = 0;
    /* '+': the program's options are its own; ':': tell what is missing. */
    while (code == 0 && (option = getopt_long(argc, argv, "+:n:b:tT:h",
                                              long_options, NULL)) != -1) {
        switch (option) {
        case 'n':
            code = parse_count(optarg, &out->rank_count);
            break;
        case 'b':
            code = parse_bind(optarg, &out->bind);
            break;
        case 't':
            out->tag_output = true;
            break;
        case 'T':
            code = parse_timeout(optarg, &out->timeout_ns);
            break;
        case 'h':
            fputs(help, stdout);
            *code_out = 0;
            return 1;
        case ':':
            code = chi_tools_misused("run", "option '%s' needs a value",
                                     argv[optind - 1]);
            break;
        default:
            code = chi_tools_misused("run", "unknown option '%s'",
                                     argv[optind - 1]);
            break;
        }
    }
    if (code == 0 && optind >= argc) {
        code = chi_tools_misused("run", "which program?");
    }
    *code_out = code;
    return code;
}

/* Ranks read the settings too, but then each complains. */
static bool
settings_good(struct chi_settings *settings, struct chi_log *log)
{
    char error[512];

    if (chi_settings_read(settings, error, sizeof(error)) != CHARE_OK) {
        fprintf(stderr, "chare run: %s\n", error);
        return false;
    }
    if (!chi_log_level_parse(settings->log_level, &log->level)) {
        fprintf(stderr,
                "chare run: CHARE_LOG=%s: should be error, warn, info or "
                "debug\n",
                settings->log_level);
        return false;
    }
    return true;
}

int
chi_tools_run(int argc, char **argv)
{
    struct chi_log log = CHI_LOG_INIT;
    struct chi_launch_options options = {.log = &log, .rank_count = 1};
    struct chi_program program = {.argv = NULL};
    struct chi_settings settings;
    int code;

    if (parse_options(argc, argv, &options, &code) != 0) {
        return code;
    }
    if (chi_program_find(&program, argv + optind) != 0) {
        (void)chi_tools_misused("run", "%s", program.error);
        code = program.exit_code;
    } else if (!settings_good(&settings, &log)) {
        code = CHI_EXIT_USAGE;
    } else {
        options.path = program.path;
        options.argv = program.argv;
        if (strcmp(settings.preload, "none") != 0) {
            options.forkserver_argv = chi_python_forkserver(program.argv);
        }
        code = chi_launch_run(&options);
        _exit(code);
    }
    chi_program_fini(&program);
    return code;
}
