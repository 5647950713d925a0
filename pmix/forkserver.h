/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_FORKSERVER_H
#define CHI_PMIX_FORKSERVER_H

/*
 * forkserver.h - ranks as forks of one interpreter that has its modules.
 *
 * The fork server (python/chare/_forkserver.py) imports what the program will,
 * forks all ranks and ends; then they are the launcher's children, as if it
 * had started them itself, and go on.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <chare.h>

#include "pmix/spawn.h"

struct chi_forkserver {
    struct chi_spawn *spawn;
    pid_t pid;
    int fd;         /* pids come from it, the word to go on goes there */
    pid_t *pids;    /* of the ranks, the first 'count' of them */
    uint32_t count; /* of ranks that were forked */
    bool ended;     /* nothing will come any more */
};

/*
 * Start the server; fds[i] are where rank i's output and errors go, which stay
 * the caller's. Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_WIREUP,
 * CHARE_ERR_SYSTEM; nothing is there then, and nothing was said: ranks can be
 * started one by one.
 */
CHARE_MUST_CHECK chare_status chi_forkserver_start(
    struct chi_forkserver *server, struct chi_spawn *spawn, int (*fds)[2]);

/* Take what has come, without waiting. */
void chi_forkserver_heed(struct chi_forkserver *server);

/* All ranks are there, and wait for chi_forkserver_stop(). */
bool chi_forkserver_ready(const struct chi_forkserver *server);

/* The end of the server: its ranks go on, or end at once. */
void chi_forkserver_stop(struct chi_forkserver *server, bool go_on);

#endif /* CHI_PMIX_FORKSERVER_H */
