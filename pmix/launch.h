/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_LAUNCH_H
#define CHI_PMIX_LAUNCH_H

/*
 * launch.h - run one program as all ranks of a job, on this node.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

/* Exit codes that are the launcher's own. */
enum {
    CHI_EXIT_FAILED = 1,
    CHI_EXIT_USAGE = 2,
    CHI_EXIT_TIMEOUT = 124,
    CHI_EXIT_NOT_EXECUTABLE = 126,
    CHI_EXIT_NOT_FOUND = 127,
    CHI_EXIT_SIGNAL = 128, /* and the signal's number */
};

enum {
    CHI_LAUNCH_RANKS_MAX = 32768
}; /* local ranks have 16 bits in PMIx */

enum chi_launch_bind {
    CHI_LAUNCH_BIND_AUTO, /* each PE decides for itself */
    CHI_LAUNCH_BIND_CORE, /* rank i to core i, round and round */
    CHI_LAUNCH_BIND_NONE,
};

struct chi_launch_options {
    const struct chi_log *log;
    uint32_t rank_count;          /* 1 to CHI_LAUNCH_RANKS_MAX */
    const char *path;             /* of the file to execute */
    char *const *argv;            /* ends with NULL */
    char *const *forkserver_argv; /* for 'path' to fork the ranks; or NULL */
    enum chi_launch_bind bind;
    bool tag_output;
    uint64_t timeout_ns; /* 0: none */
};

/*
 * Run the job to its end and return the exit code for the launcher: 0 when all
 * ranks returned 0, else the first failure's. Takes over the process: signals,
 * children and file descriptor limits; call it once, before other threads, and
 * end by _exit(), for libpmix's thread is still there.
 */
int chi_launch_run(const struct chi_launch_options *options);

#endif /* CHI_PMIX_LAUNCH_H */
