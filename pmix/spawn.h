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
 * Start 'rank' with its output going to the write ends of two pipes. It leads
 * a session of its own, and dies when the calling thread does.
 * Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_WIREUP, CHARE_ERR_SYSTEM; logged.
 */
CHARE_MUST_CHECK chare_status chi_spawn_rank(const struct chi_spawn *spawn,
                                             uint32_t rank, int out_fd,
                                             int err_fd, pid_t *pid_out);

#endif /* CHI_PMIX_SPAWN_H */
