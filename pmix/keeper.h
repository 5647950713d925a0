/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_KEEPER_H
#define CHI_PMIX_KEEPER_H

/*
 * keeper.h - a small process that clears up when the launcher is killed.
 *
 * It sleeps on a pipe whose other end the launcher alone holds. When that end
 * closes without a word, the launcher is dead: the keeper kills what is left
 * of the ranks' process groups and removes the job's directory. Launcher and
 * keeper share a page of memory that says what there is to do.
 */

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
    int pipe_fd;      /* the launcher's end */
    int directory_fd; /* locked as long as the launcher lives */
};

/*
 * Make the job's directory in $TMPDIR or /tmp and start the keeper. Removes
 * directories that killed jobs of this user have left. To be called before the
 * process has other threads. Errors: CHARE_ERR_SYSTEM; logged.
 */
CHARE_MUST_CHECK chare_status chi_keeper_start(struct chi_keeper *keeper,
                                               const struct chi_log *log,
                                               uint32_t rank_count);

/* Remove the directory and send the keeper home. */
void chi_keeper_stop(struct chi_keeper *keeper);

#endif /* CHI_PMIX_KEEPER_H */
