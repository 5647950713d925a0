/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_KEEPER_H
#define CHI_PMIX_KEEPER_H

/*
 * keeper.h - two processes that clear up after each other.
 *
 * 'chare run' forks at once: the child is the launcher, with all that belongs
 * to the job, and the parent, whose pid the user knows, is its keeper. It
 * passes signals on and returns the launcher's exit code. Both are subreapers.
 * A keeper whose launcher is killed inherits what is left of the job, kills it
 * and removes the job's directory; a launcher whose keeper is killed ends the
 * job and does the same.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <chare.h>

#include "base/log.h"

enum {
    CHI_KEEPER_PATH_BYTES = 512
};

#define CHI_KEEPER_PREFIX "chare-run-" /* of the directory's name */

/* Per rank, in shared memory. */
struct chi_keeper_rank {
    pid_t group;    /* process group to end; 0: none */
    int exec_error; /* errno of a failed exec in the rank; 0: none */
};

struct chi_keeper_page {
    char directory[CHI_KEEPER_PATH_BYTES]; /* the job's, private to the user */
    uint32_t rank_count;
    struct chi_keeper_rank ranks[];
};

struct chi_keeper {
    struct chi_keeper_page *page;
    size_t page_bytes;
    pid_t pid;
    int directory_fd; /* locked as long as the launcher lives */
};

/*
 * Fork, and return in the child only, which is the launcher; then make the
 * job's directory in $TMPDIR or /tmp. Removes directories that killed jobs of
 * this user have left. 'signals' are those that the keeper passes on, SIGCHLD
 * among them; they are blocked. To be called before the process has other
 * threads. Errors: CHARE_ERR_SYSTEM; logged.
 */
CHARE_MUST_CHECK chare_status chi_keeper_start(struct chi_keeper *keeper,
                                               const struct chi_log *log,
                                               const sigset_t *signals,
                                               uint32_t rank_count);

/* In the launcher: nobody waits for the job any more. SIGCONT comes then. */
bool chi_keeper_has_died(const struct chi_keeper *keeper);

/* Remove the directory. */
void chi_keeper_stop(struct chi_keeper *keeper);

#endif /* CHI_PMIX_KEEPER_H */
