/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_SPAWN_H
#define CHI_PMIX_SPAWN_H

/*
 * spawn.h - one rank's process: its environment, its place, its start.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <chare.h>

#include "pmix/cores.h"
#include "pmix/keeper.h"
#include "pmix/launch.h"
#include "pmix/server.h"

struct chi_spawn {
    const struct chi_launch_options *options;
    struct chi_server *server;
    struct chi_keeper_page *page;
    struct chi_cores cores; /* empty unless bound */
    struct rlimit files;    /* the user's own limit, for the ranks */
    sigset_t signals;       /* the user's own mask, for the ranks */
    int null_fd;            /* /dev/null, standard input of rank 1 and up */
};

/*
 * The environment of a rank, or of the server of all; NULL at its end, to be
 * released. Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_WIREUP; logged.
 */
CHARE_MUST_CHECK chare_status chi_spawn_environment_alloc(
    const struct chi_spawn *spawn, uint32_t rank, char ***environment_out);
void chi_spawn_environment_release(char **environment);

/*
 * Start 'rank' with its output going to the write ends of two pipes. It leads
 * a session of its own, and dies when the calling thread does.
 * Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_WIREUP, CHARE_ERR_SYSTEM; logged.
 */
CHARE_MUST_CHECK chare_status chi_spawn_rank(const struct chi_spawn *spawn,
                                             uint32_t rank, int out_fd,
                                             int err_fd, pid_t *pid_out);

/*
 * Start the fork server in the same way, in the place of rank 0. It also gets
 * the descriptors of 'keep', which ends with -1. Errors: CHARE_ERR_SYSTEM.
 */
CHARE_MUST_CHECK chare_status
chi_spawn_forkserver(const struct chi_spawn *spawn, const int fds[2],
                     const int *keep, char **environment, pid_t *pid_out);

#endif /* CHI_PMIX_SPAWN_H */
