/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch.c - one thread that starts all ranks of a job, and waits.
 *
 * The job is finished when it is childless (job.c) and all its output is
 * written.
 */
#include "config.h"

#include "pmix/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "pmix/client.h"
#include "pmix/forkserver.h"
#include "pmix/job.h"
#include "pmix/keeper.h"
#include "pmix/output.h"
#include "pmix/server.h"
#include "pmix/spawn.h"

enum {
    /* Two pipes, both ends at first; later libpmix's socket and a pidfd. */
    FDS_PER_RANK = 5,
    FDS_OF_OUR_OWN = 64,
    POLLS_FIXED = 5, /* signals, server, two outputs, fork server */
};

/* A second signal so soon after the first means it. */
#define PATIENCE_NS (2 * UINT64_C(1000000000))

static const int passed_signals[] = {SIGHUP,  SIGINT,  SIGQUIT,
                                     SIGTERM, SIGUSR1, SIGUSR2,
                                     SIGCONT, SIGTSTP, SIGWINCH};

/* ---- what happens ---- */

/*
 * Ranks lead sessions of their own, which the terminal does not stop. They
 * would ignore TSTP, having no shell to continue them; STOP nobody ignores.
 */
static void
stop_with_ranks(struct chi_job *job)
{
    chi_job_signal(job, SIGSTOP);
    (void)kill(getpid(), SIGSTOP);
    chi_job_signal(job, SIGCONT);
}

static void
pass_signal(struct chi_job *job, int signal)
{
    if (signal == SIGTSTP) {
        stop_with_ranks(job);
        return;
    }
    if (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT ||
        signal == SIGTERM) {
        const uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

        if (now_ns - job->signal_at_ns > PATIENCE_NS) {
            job->signal_count = 0;
        }
        job->signal_at_ns = now_ns;
        job->signal = signal;
        job->signal_count++;
    }
    if (chi_keeper_has_died(&job->keeper)) {
        signal = SIGKILL;
        job->signal_count = 2;
        chi_output_give_up(&job->outputs[0]);
        chi_output_give_up(&job->outputs[1]);
    }
    if (job->signal_count > 1) {
        /* Asked twice: no more patience, also with who takes our output. */
        (void)chi_job_decide(job, CHI_EXIT_SIGNAL + signal);
        job->kill_at_ns = 1;
    }
    chi_job_signal(job, signal);
    if (job->alive_count == 0 && job->signal_count > 0) {
        (void)chi_job_decide(job, CHI_EXIT_SIGNAL + signal);
        chi_output_give_up(&job->outputs[0]);
        chi_output_give_up(&job->outputs[1]);
    }
}

static void
heed_signals(struct chi_job *job)
{
    struct signalfd_siginfo info;

    while (read(job->signal_fd, &info, sizeof(info)) ==
           (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGCHLD) {
            pass_signal(job, (int)info.ssi_signo);
        }
    }
}

static void
heed_clock(struct chi_job *job)
{
    uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

    if (job->timeout_at_ns != 0 && now_ns >= job->timeout_at_ns) {
        job->timeout_at_ns = 0;
        if (chi_job_decide(job, CHI_EXIT_TIMEOUT)) {
            chi_job_say(job,
                        "the job did not end within %.10g s (--timeout); "
                        "ending it",
                        (double)job->options->timeout_ns /
                            (double)CHI_NS_PER_SEC);
        }
    }
    chi_job_kill_late(job, now_ns);
}

static void
heed_output(struct chi_job *job)
{
    int error = job->outputs[0].error;

    if (error == 0 || job->decided) {
        return;
    }
    /* As any program does whose reader has gone: end without a word. */
    if (chi_job_decide(job, error == EPIPE ? CHI_EXIT_SIGNAL + SIGPIPE
                                           : CHI_EXIT_FAILED) &&
        error != EPIPE) {
        chi_job_say(job, "cannot write standard output: %s; ending the job",
                    strerror(error));
    }
}

static bool
finished(const struct chi_job *job)
{
    if (!job->childless || chi_output_pending(&job->outputs[0]) ||
        chi_output_pending(&job->outputs[1])) {
        return false;
    }
    for (uint32_t rank = 0; rank < job->options->rank_count; rank++) {
        if (!chi_stream_done(&job->ranks[rank].streams[0]) ||
            !chi_stream_done(&job->ranks[rank].streams[1])) {
            return false;
        }
    }
    return true;
}

/* ---- the loop ---- */

static struct chi_stream *
stream_at(const struct chi_job *job, size_t index)
{
    return &job->ranks[index / 2].streams[index % 2];
}

static uint64_t
earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns == 0 || (b_ns != 0 && b_ns < a_ns) ? b_ns : a_ns;
}

static int
poll_timeout_ms(const struct chi_job *job)
{
    uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);
    uint64_t at_ns = job->timeout_at_ns;
    uint64_t ms;

    if (!job->childless) {
        at_ns = earlier(at_ns, job->kill_at_ns);
    }
    if (!job->decided) {
        at_ns = earlier(at_ns, job->verdict.at_ns);
    }
    if (at_ns == 0) {
        return -1;
    }
    ms = at_ns > now_ns ? (at_ns - now_ns) / CHI_NS_PER_MS + 1 : 0;
    return ms < 1000000 ? (int)ms : 1000000;
}

static void
poll_all(struct chi_job *job)
{
    size_t count = (size_t)job->options->rank_count * 2;
    struct pollfd *polls = job->polls;

    polls[0] = (struct pollfd){.fd = job->signal_fd, .events = POLLIN};
    polls[1] =
        (struct pollfd){.fd = chi_server_fd(job->server), .events = POLLIN};
    for (size_t i = 0; i < 2; i++) {
        const struct chi_output *output = &job->outputs[i];

        polls[2 + i] = (struct pollfd){
            .fd = chi_output_pending(output) ? output->fd : -1,
            .events = POLLOUT,
        };
    }
    polls[4] = (struct pollfd){.fd = job->forks_fd, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        const struct chi_stream *stream = stream_at(job, i);

        polls[POLLS_FIXED + i] = (struct pollfd){
            .fd = chi_stream_wants(stream) ? stream->fd : -1,
            .events = POLLIN,
        };
    }
    if (poll(polls, POLLS_FIXED + count, poll_timeout_ms(job)) < 0) {
        chi_assert(errno == EINTR || errno == ENOMEM);
        for (size_t i = 0; i < POLLS_FIXED + count; i++) {
            polls[i].revents = 0;
        }
    }
}

static void
move_output(struct chi_job *job)
{
    size_t count = (size_t)job->options->rank_count * 2;

    for (size_t i = 0; i < 2; i++) {
        if (job->polls[2 + i].revents != 0) {
            chi_output_write(&job->outputs[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct chi_stream *stream = stream_at(job, i);

        if (job->polls[POLLS_FIXED + i].revents != 0) {
            chi_stream_read(stream);
        } else if (job->childless) {
            chi_stream_finish(stream);
        } else if (stream->len > 0) {
            chi_stream_pass(stream);
        }
    }
}

static void
watch(struct chi_job *job)
{
    while (!finished(job)) {
        poll_all(job);
        heed_signals(job);
        chi_job_look(job);
        move_output(job);
        heed_output(job);
        heed_clock(job);
    }
}

/* ---- start and end ---- */

/* Two pipes; what comes out of them is the rank's output. */
static bool
open_streams(struct chi_job *job, uint32_t rank, int fds_out[2])
{
    const bool raw =
        job->options->rank_count == 1 && !job->options->tag_output;

    for (size_t i = 0; i < 2; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) != 0) {
            chi_log_error(job->log, "cannot start rank %u: pipe: %s", rank,
                          strerror(errno));
            if (i > 0) {
                close(fds_out[0]);
            }
            return false;
        }
        fds_out[i] = ends[1];
        job->ranks[rank].streams[i] = (struct chi_stream){
            .output = &job->outputs[i],
            .fd = ends[0],
            .rank = rank,
            .tagged = job->options->tag_output,
            .raw = raw,
        };
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return true;
}

static void
rank_started(struct chi_job *job, uint32_t rank, pid_t pid)
{
    struct chi_job_rank *self = &job->ranks[rank];

    self->pid = pid;
    self->alive = true;
    self->code = -1;
    self->pidfd = chi_deaths_add(&job->deaths, pid, rank);
    job->alive_count++;
}

/* The ends that the rank has: before it opens what needs as many here. */
static void
close_ends(int fds[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

/* False: it cannot, or there is no need to; nothing was started. */
static bool
start_forked(struct chi_job *job, int (*fds)[2])
{
    struct chi_forkserver server;
    bool ready;

    if (job->options->forkserver_argv == NULL ||
        job->options->rank_count == 1 ||
        job->options->bind == CHI_LAUNCH_BIND_CORE ||
        chi_forkserver_start(&server, &job->spawn, fds) != CHARE_OK) {
        return false;
    }
    job->forks_fd = server.fd;
    while (!server.ended && !job->decided) {
        poll_all(job);
        heed_signals(job);
        chi_forkserver_heed(&server);
        move_output(job);
        heed_output(job);
        heed_clock(job);
    }
    job->forks_fd = -1;
    ready = chi_forkserver_ready(&server) && !job->decided;
    for (uint32_t rank = 0; ready && rank < server.count; rank++) {
        job->keeper.page->ranks[rank].group = server.pids[rank];
        rank_started(job, rank, server.pids[rank]);
        close_ends(fds[rank]);
    }
    chi_forkserver_stop(&server, ready);
    return ready;
}

static bool
start_one_by_one(struct chi_job *job, int (*fds)[2])
{
    for (uint32_t rank = 0; rank < job->options->rank_count; rank++) {
        pid_t pid;

        if (job->decided || chi_spawn_rank(&job->spawn, rank, fds[rank][0],
                                           fds[rank][1], &pid) != CHARE_OK) {
            return false;
        }
        rank_started(job, rank, pid);
        close_ends(fds[rank]);
    }
    return true;
}

static bool
start_ranks(struct chi_job *job)
{
    const uint32_t count = job->options->rank_count;
    int(*fds)[2] = calloc(count, sizeof(*fds));
    uint32_t opened = 0;
    bool started = false;

    if (fds == NULL) {
        chi_log_error(job->log, "no memory for %u ranks", count);
        return false;
    }
    while (opened < count && open_streams(job, opened, fds[opened])) {
        opened++;
    }
    if (opened == count) {
        started = start_forked(job, fds) || start_one_by_one(job, fds);
    }
    for (uint32_t rank = 0; rank < opened; rank++) {
        close_ends(fds[rank]);
    }
    free(fds);
    return started;
}

/* From here on signals are read from a descriptor, and SIGPIPE is an errno. */
static bool
take_signals(struct chi_job *job, sigset_t *set_out)
{
    struct sigaction action = {.sa_handler = SIG_IGN};

    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = SIG_DFL; /* "ignored" would hide how children end */
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(set_out);
    sigaddset(set_out, SIGCHLD);
    for (size_t i = 0; i < sizeof(passed_signals) / sizeof(int); i++) {
        sigaddset(set_out, passed_signals[i]);
    }
    sigprocmask(SIG_BLOCK, set_out, &job->spawn.signals);
    job->signal_fd = signalfd(-1, set_out, SFD_CLOEXEC | SFD_NONBLOCK);
    if (job->signal_fd < 0) {
        chi_log_error(job->log, "cannot make a signalfd: %s", strerror(errno));
        return false;
    }
    return true;
}

/* What we open must not become standard output. */
static bool
take_files(struct chi_job *job)
{
    rlim_t need =
        (rlim_t)job->options->rank_count * FDS_PER_RANK + FDS_OF_OUR_OWN;
    struct rlimit limit;
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    job->spawn.null_fd = fd;
    if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        chi_log_error(job->log, "cannot open /dev/null: %s", strerror(errno));
        return false;
    }
    job->spawn.files = limit;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < need) {
        chi_log_error(job->log,
                      "%u ranks need %llu open files, but the limit is %llu; "
                      "raise it (ulimit -Hn)",
                      job->options->rank_count, (unsigned long long)need,
                      (unsigned long long)limit.rlim_cur);
        return false;
    }
    return true;
}

static bool
allocate(struct chi_job *job)
{
    size_t count = job->options->rank_count;

    job->ranks = calloc(count, sizeof(*job->ranks));
    job->polls = calloc(POLLS_FIXED + 2 * count, sizeof(*job->polls));
    if (job->ranks == NULL || job->polls == NULL ||
        !chi_output_init(&job->outputs[0], STDOUT_FILENO) ||
        !chi_output_init(&job->outputs[1], STDERR_FILENO)) {
        chi_log_error(job->log, "no memory for %zu ranks", count);
        return false;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        stream_at(job, i)->fd = -1;
    }
    job->forks_fd = -1;
    job->unwired = job->options->rank_count;
    if (gethostname(job->host, sizeof(job->host) - 1) != 0) {
        strcpy(job->host, "localhost");
    }
    return true;
}

static void
release(struct chi_job *job)
{
    for (size_t i = 0;
         job->ranks != NULL && i < 2 * (size_t)job->options->rank_count; i++) {
        chi_stream_close(stream_at(job, i));
    }
    chi_output_fini(&job->outputs[0]);
    chi_output_fini(&job->outputs[1]);
    free(job->polls);
    free(job->ranks);
}

/* The namespace has the name of the directory, which is unique. */
static chare_status
open_server(struct chi_job *job)
{
    const char *directory = job->keeper.page->directory;
    char name[CHI_KEEPER_PATH_BYTES];
    struct chi_server_options options = {
        .log = job->log,
        .directory = directory,
        .host = job->host,
        .job = name,
        .rank_count = job->options->rank_count,
    };

    snprintf(name, sizeof(name), "%s%s", CHI_PMIX_RUN_NSPACE,
             strrchr(directory, '/') + 1 + strlen(CHI_KEEPER_PREFIX));
    return chi_server_open(&options, &job->server);
}

static void
run_job(struct chi_job *job)
{
    const struct chi_launch_options *options = job->options;

    job->spawn.options = options;
    job->spawn.server = job->server;
    job->spawn.page = job->keeper.page;
    if (options->bind == CHI_LAUNCH_BIND_CORE) {
        chi_cores_init(&job->spawn.cores);
    }
    if (options->timeout_ns != 0) {
        job->timeout_at_ns =
            chi_clock_now_ns(&chi_clock_real) + options->timeout_ns;
    }
    chi_deaths_open(&job->deaths);
    if (!start_ranks(job)) {
        (void)chi_job_decide(job, CHI_EXIT_FAILED);
    }
    chi_job_look(job); /* also finds out when none was started */
    watch(job);
    chi_deaths_close(&job->deaths);
    chi_cores_fini(&job->spawn.cores);
}

int
chi_launch_run(const struct chi_launch_options *options)
{
    struct chi_job job = {
        .options = options,
        .log = options->log,
        .code = CHI_EXIT_FAILED,
    };
    sigset_t signals;

    chi_assert(options->rank_count > 0);
    chi_assert(options->rank_count <= CHI_LAUNCH_RANKS_MAX);
    if (!allocate(&job) || !take_files(&job)) {
        goto release_job;
    }
    if (!take_signals(&job, &signals)) {
        goto release_job;
    }
    if (chi_keeper_start(&job.keeper, job.log, &signals,
                         options->rank_count) != CHARE_OK) {
        goto close_signals;
    }
    if (open_server(&job) != CHARE_OK) {
        goto stop_keeper;
    }
    run_job(&job);
    if (!job.decided) {
        job.code = 0;
    }
stop_keeper:
    chi_keeper_stop(&job.keeper);
close_signals:
    close(job.signal_fd);
release_job:
    release(&job);
    return job.code;
}
