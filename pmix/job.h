/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_JOB_H
#define CHI_PMIX_JOB_H

/*
 * job.h - a running job: its ranks, how they end, and what that means.
 *
 * launch.c starts the job and waits for things to happen; job.c decides.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pmix/deaths.h"
#include "pmix/keeper.h"
#include "pmix/launch.h"
#include "pmix/output.h"
#include "pmix/server.h"
#include "pmix/spawn.h"

enum {
    CHI_JOB_HOST_BYTES = 256
};

enum chi_job_fault {
    CHI_JOB_RETURNED, /* a code that is not 0 */
    CHI_JOB_ABORTED,
    CHI_JOB_LOST, /* aborted, since 'lost' is gone, says 'rank' */
};

/*
 * The first rank that returned a code or aborted the job. It counts a moment
 * later: whoever has seen another rank die may say so before that one, which
 * is the cause, has finished dying.
 */
struct chi_job_verdict {
    uint64_t at_ns;    /* when it counts; 0: there is none */
    uint64_t since_ns; /* when it was found */
    enum chi_job_fault fault;
    uint32_t rank;
    uint32_t lost;
    int code;
    char text[CHI_SERVER_TEXT_BYTES]; /* of the abort */
};

struct chi_job_rank {
    pid_t pid;
    int pidfd; /* in 'deaths', or -1 */
    bool alive;
    int code; /* that it returned, or -1 */
    struct chi_stream streams[2];
};

struct chi_job {
    const struct chi_launch_options *options;
    const struct chi_log *log;
    struct chi_keeper keeper;
    struct chi_server *server;
    struct chi_spawn spawn;
    struct chi_output outputs[2];
    struct chi_deaths deaths;
    struct chi_job_rank *ranks;
    struct pollfd *polls; /* POLLS_FIXED, then two for each rank */
    int signal_fd;
    int forks_fd; /* of the fork server, while it is there; or -1 */
    uint32_t alive_count;
    uint32_t unwired; /* a rank that returned 0 without wire-up, or count */
    bool childless;   /* no descendant is left */
    bool decided;     /* 'code' is final */
    int code;
    int signal;             /* last one passed on that ends processes */
    uint32_t signal_count;  /* of such */
    uint64_t signal_at_ns;  /* when the last of them came */
    uint64_t timeout_at_ns; /* 0: never */
    uint64_t kill_at_ns;    /* 0: not ending */
    uint32_t kill_rounds;
    struct chi_job_verdict verdict;
    char host[CHI_JOB_HOST_BYTES];
};

/* A line of the launcher's own on standard error. */
__attribute__((format(printf, 2, 3))) void
chi_job_say(struct chi_job *job, const char *format, ...);

/* Send a signal to the process groups of all ranks. */
void chi_job_signal(struct chi_job *job, int signal);

/*
 * Fix the exit code, unless it is, and end the job: TERM now, KILL in a while.
 * True for the first failure, which is then to be told.
 */
bool chi_job_decide(struct chi_job *job, int code);

/* See who has ended or aborted, and what follows from it. */
void chi_job_look(struct chi_job *job);

/* KILL, if it is time. */
void chi_job_kill_late(struct chi_job *job, uint64_t now_ns);

#endif /* CHI_PMIX_JOB_H */
