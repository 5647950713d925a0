/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cancel.c - scancel, found in PATH.
 */
#include "config.h"

#include "pmix/cancel.h"

#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    STEP_BYTES = 64,
    LOOK_MS = 20, /* between two looks at whether scancel has ended */
    LOOKS_MAX = 250,
};

static bool
is_our_step(const char *job)
{
    const char *job_id = getenv("SLURM_JOB_ID");
    const char *step_id = getenv("SLURM_STEP_ID");
    char step[STEP_BYTES];

    if (job_id == NULL || step_id == NULL) {
        return false;
    }
    snprintf(step, sizeof(step), "%s.%s", job_id, step_id);
    return strcmp(step, job) == 0;
}

bool
chi_pmix_cancel_step(const char *job)
{
    char name[] = "scancel";
    char quiet[] = "--quiet";
    char step[STEP_BYTES];
    char *argv[] = {name, quiet, step, NULL};
    int status = -1;
    pid_t pid;

    if (!is_our_step(job)) {
        return false;
    }
    snprintf(step, sizeof(step), "%s", job);
    if (posix_spawnp(&pid, name, NULL, NULL, argv, environ) != 0) {
        return false;
    }
    for (int i = 0; i < LOOKS_MAX; i++) {
        pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended != 0) {
            return ended == pid && status == 0;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return false;
}
