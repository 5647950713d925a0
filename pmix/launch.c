/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launch.c - one thread that watches over all ranks of a job.
 *
 * Invariants
 * 1. The exit code is decided once, by the first failure; what fails later
 *    fails because the job is being ended.
 * 2. The job is over when no descendant of the launcher is left: it is the
 *    subreaper, so that waitpid() says ECHILD only then. What ranks leave
 *    behind is ended like a rank that fails to end.
 * 3. A process group is signalled only while it is known to have members,
 *    since its number may be used again afterwards.
 *
 * States: running -> ending (TERM, at 'kill_at_ns' KILL) -> childless ->
 * finished, when all output is written. A job that ends well passes through
 * "ending" only if it leaves processes behind.
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
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "pmix/client.h"
#include "pmix/descend.h"
#include "pmix/keeper.h"
#include "pmix/output.h"
#include "pmix/server.h"
#include "pmix/spawn.h"

enum {
    HOST_BYTES = 256,
    FDS_PER_RANK = 4, /* two pipes, libpmix's socket, one to spare */
    FDS_OF_OUR_OWN = 64,
    KILL_DELAY_S = 2,     /* from TERM to KILL */
    KILL_AGAIN_MS = 50,   /* from KILL to KILL of what came after */
    KILL_ROUNDS_MAX = 40, /* then something cannot be killed */
    POLLS_FIXED = 4,      /* signals, server, two outputs */
};

struct rank {
    pid_t pid;
    bool alive;
    struct chi_stream streams[2];
};

struct launch {
    const struct chi_launch_options *options;
    const struct chi_log *log;
    struct chi_keeper keeper;
    struct chi_server *server;
    struct chi_spawn spawn;
    struct chi_output outputs[2];
    struct rank *ranks;
    struct pollfd *polls; /* POLLS_FIXED, then two for each rank */
    int signal_fd;
    uint32_t alive_count;
    uint32_t unwired; /* a rank that returned 0 without wire-up, or count */
    bool childless;   /* no descendant is left */
    bool decided;     /* 'code' is final */
    int code;
    int signal;             /* last one passed on that ends processes */
    uint32_t signal_count;  /* of such */
    uint64_t timeout_at_ns; /* 0: never */
    uint64_t kill_at_ns;    /* 0: not ending */
    uint32_t kill_rounds;
    char host[HOST_BYTES];
};

static const int passed_signals[] = {SIGHUP,  SIGINT,  SIGQUIT,
                                     SIGTERM, SIGUSR1, SIGUSR2,
                                     SIGCONT, SIGTSTP, SIGWINCH};

/* ---- words and decisions ---- */

__attribute__((format(printf, 2, 3))) static void
say(struct launch *launch, const char *format, ...)
{
    static const char who[] = "chare run: ";
    char line[CHI_LOG_LINE_BYTES_MAX];
    size_t len = sizeof(who) - 1;
    va_list args;
    int n;

    memcpy(line, who, len);
    va_start(args, format);
    n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    va_end(args);
    chi_assert(n >= 0);
    len = len + (size_t)n < sizeof(line) - 1 ? len + (size_t)n
                                             : sizeof(line) - 2;
    line[len++] = '\n';
    chi_output_add(&launch->outputs[1], line, len);
}

static void
group_signal(struct launch *launch, uint32_t rank, int signal)
{
    pid_t group = launch->keeper.page->ranks[rank].group;

    if (group == 0) {
        return;
    }
    /* A rank that has just been forked leads no group yet. */
    if (kill(-group, signal) != 0 && launch->ranks[rank].alive) {
        (void)kill(group, signal);
    }
}

static void
signal_all(struct launch *launch, int signal)
{
    for (uint32_t rank = 0; rank < launch->options->rank_count; rank++) {
        group_signal(launch, rank, signal);
    }
}

/* TERM now, KILL in a while. CONT, since what is stopped cannot end. */
static void
end_job(struct launch *launch)
{
    if (launch->kill_at_ns != 0) {
        return;
    }
    launch->kill_at_ns =
        chi_clock_now_ns(&chi_clock_real) + KILL_DELAY_S * CHI_NS_PER_SEC;
    signal_all(launch, SIGTERM);
    signal_all(launch, SIGCONT);
    if (launch->alive_count == 0) {
        chi_descend_signal(SIGTERM);
    }
}

/* True for the first failure, which is then to be told. */
static bool
decide(struct launch *launch, int code)
{
    bool first = !launch->decided;

    if (first) {
        launch->decided = true;
        launch->code = code;
    }
    end_job(launch);
    return first;
}

/* ---- ranks that end ---- */

/*
 * A rank that returns 0 without ever wiring up is no failure by itself: the
 * program may not use the library. But others that wait for it wait for ever.
 */
static void
check_wireup(struct launch *launch)
{
    uint32_t count = launch->options->rank_count;
    uint32_t unwired = launch->unwired;

    if (unwired == count) {
        return;
    }
    for (uint32_t rank = 0; rank < count; rank++) {
        if (launch->ranks[rank].alive &&
            chi_server_stage_get(launch->server, rank) ==
                CHI_SERVER_CONNECTED &&
            decide(launch, CHI_EXIT_FAILED)) {
            say(launch,
                "rank %u (host %s, pid %d) returned before the job was wired "
                "up, while rank %u waits for it; ending the job",
                unwired, launch->host, (int)launch->ranks[unwired].pid, rank);
            return;
        }
    }
}

static void
rank_succeeded(struct launch *launch, uint32_t rank)
{
    if (chi_server_stage_get(launch->server, rank) != CHI_SERVER_DONE) {
        launch->unwired = rank;
        check_wireup(launch);
    }
}

static const char *
others(const struct launch *launch)
{
    return launch->alive_count > 0 ? "; ending the others" : "";
}

static void
rank_exited(struct launch *launch, uint32_t rank, int code)
{
    int error = launch->keeper.page->ranks[rank].exec_error;

    if (code == 0) {
        rank_succeeded(launch, rank);
        return;
    }
    if (!decide(launch, code)) {
        return;
    }
    if (error != 0) {
        say(launch, "cannot run %s: %s", launch->options->path,
            strerror(error));
        return;
    }
    say(launch, "rank %u (host %s, pid %d) exited with code %d%s", rank,
        launch->host, (int)launch->ranks[rank].pid, code, others(launch));
}

static void
rank_killed(struct launch *launch, uint32_t rank, int signal)
{
    /* Whoever pressed Ctrl-C knows. */
    if (decide(launch, CHI_EXIT_SIGNAL + signal) && signal != launch->signal) {
        say(launch, "rank %u (host %s, pid %d) was killed by signal %d (%s)%s",
            rank, launch->host, (int)launch->ranks[rank].pid, signal,
            strsignal(signal), others(launch));
    }
}

/* Forget groups of ended ranks as soon as they are empty. */
static void
forget_empty_groups(struct launch *launch)
{
    for (uint32_t rank = 0; rank < launch->options->rank_count; rank++) {
        pid_t *group = &launch->keeper.page->ranks[rank].group;

        if (*group != 0 && !launch->ranks[rank].alive &&
            kill(-*group, 0) != 0 && errno == ESRCH) {
            *group = 0;
        }
    }
}

static void
reap(struct launch *launch)
{
    uint32_t count = launch->options->rank_count;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        uint32_t rank = 0;

        while (rank < count && (!launch->ranks[rank].alive ||
                                launch->ranks[rank].pid != pid)) {
            rank++;
        }
        if (rank == count) {
            continue; /* left behind by a rank */
        }
        launch->ranks[rank].alive = false;
        launch->alive_count--;
        if (WIFSIGNALED(status)) {
            rank_killed(launch, rank, WTERMSIG(status));
        } else {
            rank_exited(launch, rank, WEXITSTATUS(status));
        }
    }
    launch->childless = pid < 0 && errno == ECHILD;
    forget_empty_groups(launch);
}

/* All ranks have ended; what they left behind ends now as well. */
static void
check_leftovers(struct launch *launch)
{
    if (launch->alive_count > 0 || launch->childless) {
        return;
    }
    if (!launch->decided) {
        launch->decided = true;
        launch->code = 0;
    }
    end_job(launch);
}

/* ---- what happens ---- */

static void
heed_server(struct launch *launch)
{
    struct chi_server_abort aborted;

    chi_server_heed(launch->server);
    chi_server_abort_get(launch->server, &aborted);
    if (aborted.called) {
        int code = aborted.code & 0xff;

        if (decide(launch, code != 0 ? code : CHI_EXIT_FAILED)) {
            say(launch,
                "rank %u (host %s, pid %d) ended the job with code "
                "%d: %s",
                aborted.rank, launch->host,
                (int)launch->ranks[aborted.rank].pid, launch->code,
                aborted.text);
        }
    }
    check_wireup(launch);
}

/*
 * Ranks lead sessions of their own, which the terminal does not stop. They
 * would ignore TSTP, having no shell to continue them; STOP nobody ignores.
 */
static void
stop_with_ranks(struct launch *launch)
{
    signal_all(launch, SIGSTOP);
    (void)kill(getpid(), SIGSTOP);
    signal_all(launch, SIGCONT);
}

static void
pass_signal(struct launch *launch, int signal)
{
    if (signal == SIGTSTP) {
        stop_with_ranks(launch);
        return;
    }
    if (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT ||
        signal == SIGTERM) {
        launch->signal = signal;
        launch->signal_count++;
    }
    if (launch->signal_count > 1) {
        /* Asked twice: no more patience, also with who takes our output. */
        (void)decide(launch, CHI_EXIT_SIGNAL + signal);
        launch->kill_at_ns = 1;
    }
    signal_all(launch, signal);
    if (launch->alive_count == 0 && launch->signal_count > 0) {
        (void)decide(launch, CHI_EXIT_SIGNAL + signal);
        launch->outputs[0].error = EINTR;
        launch->outputs[1].error = EINTR;
    }
}

static void
heed_signals(struct launch *launch)
{
    struct signalfd_siginfo info;

    while (read(launch->signal_fd, &info, sizeof(info)) ==
           (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGCHLD) {
            pass_signal(launch, (int)info.ssi_signo);
        }
    }
    reap(launch);
}

static void
heed_clock(struct launch *launch)
{
    uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

    if (launch->timeout_at_ns != 0 && now_ns >= launch->timeout_at_ns) {
        launch->timeout_at_ns = 0;
        if (decide(launch, CHI_EXIT_TIMEOUT)) {
            say(launch,
                "the job did not end within %.10g s (--timeout); "
                "ending it",
                (double)launch->options->timeout_ns / (double)CHI_NS_PER_SEC);
        }
    }
    if (launch->kill_at_ns != 0 && now_ns >= launch->kill_at_ns &&
        !launch->childless) {
        signal_all(launch, SIGKILL);
        chi_descend_signal(SIGKILL);
        launch->kill_at_ns = now_ns + KILL_AGAIN_MS * CHI_NS_PER_MS;
        if (++launch->kill_rounds == KILL_ROUNDS_MAX) {
            say(launch, "a process of the job cannot be killed; leaving it");
            launch->alive_count = 0;
            launch->childless = true;
        }
    }
}

static void
heed_output(struct launch *launch)
{
    int error = launch->outputs[0].error;

    if (error == 0 || launch->decided) {
        return;
    }
    /* As any program does whose reader has gone: end without a word. */
    if (decide(launch,
               error == EPIPE ? CHI_EXIT_SIGNAL + SIGPIPE : CHI_EXIT_FAILED) &&
        error != EPIPE) {
        say(launch, "cannot write standard output: %s; ending the job",
            strerror(error));
    }
}

static bool
finished(const struct launch *launch)
{
    if (!launch->childless || chi_output_pending(&launch->outputs[0]) ||
        chi_output_pending(&launch->outputs[1])) {
        return false;
    }
    for (uint32_t rank = 0; rank < launch->options->rank_count; rank++) {
        if (!chi_stream_done(&launch->ranks[rank].streams[0]) ||
            !chi_stream_done(&launch->ranks[rank].streams[1])) {
            return false;
        }
    }
    return true;
}

/* ---- the loop ---- */

static struct chi_stream *
stream_at(const struct launch *launch, size_t index)
{
    return &launch->ranks[index / 2].streams[index % 2];
}

static int
poll_timeout_ms(const struct launch *launch)
{
    uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);
    uint64_t at_ns = launch->timeout_at_ns;
    uint64_t ms;

    if (launch->kill_at_ns != 0 && !launch->childless &&
        (at_ns == 0 || launch->kill_at_ns < at_ns)) {
        at_ns = launch->kill_at_ns;
    }
    if (at_ns == 0) {
        return -1;
    }
    ms = at_ns > now_ns ? (at_ns - now_ns) / CHI_NS_PER_MS + 1 : 0;
    return ms < 1000000 ? (int)ms : 1000000;
}

static void
poll_all(struct launch *launch)
{
    size_t count = (size_t)launch->options->rank_count * 2;
    struct pollfd *polls = launch->polls;

    polls[0] = (struct pollfd){.fd = launch->signal_fd, .events = POLLIN};
    polls[1] =
        (struct pollfd){.fd = chi_server_fd(launch->server), .events = POLLIN};
    for (size_t i = 0; i < 2; i++) {
        const struct chi_output *output = &launch->outputs[i];

        polls[2 + i] = (struct pollfd){
            .fd = chi_output_pending(output) ? output->fd : -1,
            .events = POLLOUT,
        };
    }
    for (size_t i = 0; i < count; i++) {
        const struct chi_stream *stream = stream_at(launch, i);

        polls[POLLS_FIXED + i] = (struct pollfd){
            .fd = chi_stream_wants(stream) ? stream->fd : -1,
            .events = POLLIN,
        };
    }
    if (poll(polls, POLLS_FIXED + count, poll_timeout_ms(launch)) < 0) {
        chi_assert(errno == EINTR || errno == ENOMEM);
        for (size_t i = 0; i < POLLS_FIXED + count; i++) {
            polls[i].revents = 0;
        }
    }
}

static void
move_output(struct launch *launch)
{
    size_t count = (size_t)launch->options->rank_count * 2;

    for (size_t i = 0; i < 2; i++) {
        if (launch->polls[2 + i].revents != 0) {
            chi_output_write(&launch->outputs[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct chi_stream *stream = stream_at(launch, i);

        if (launch->polls[POLLS_FIXED + i].revents != 0) {
            chi_stream_read(stream);
        } else if (launch->childless) {
            chi_stream_finish(stream);
        } else if (stream->len > 0) {
            chi_stream_pass(stream);
        }
    }
}

static void
watch(struct launch *launch)
{
    while (!finished(launch)) {
        poll_all(launch);
        if (launch->polls[1].revents != 0) {
            heed_server(launch);
        }
        if (launch->polls[0].revents != 0) {
            heed_signals(launch);
        }
        check_leftovers(launch);
        move_output(launch);
        heed_output(launch);
        heed_clock(launch);
    }
}

/* ---- start and end ---- */

static bool
start_rank(struct launch *launch, uint32_t rank)
{
    struct rank *self = &launch->ranks[rank];
    bool raw =
        launch->options->rank_count == 1 && !launch->options->tag_output;
    chare_status status;
    int out[2];
    int err[2];

    if (pipe2(out, O_CLOEXEC) != 0) {
        chi_log_error(launch->log, "cannot start rank %u: pipe: %s", rank,
                      strerror(errno));
        return false;
    }
    if (pipe2(err, O_CLOEXEC) != 0) {
        chi_log_error(launch->log, "cannot start rank %u: pipe: %s", rank,
                      strerror(errno));
        close(out[0]);
        close(out[1]);
        return false;
    }
    status = chi_spawn_rank(&launch->spawn, rank, out[1], err[1], &self->pid);
    close(out[1]);
    close(err[1]);
    for (size_t i = 0; i < 2; i++) {
        self->streams[i] = (struct chi_stream){
            .output = &launch->outputs[i],
            .fd = i == 0 ? out[0] : err[0],
            .rank = rank,
            .tagged = launch->options->tag_output,
            .raw = raw,
        };
        (void)fcntl(self->streams[i].fd, F_SETFL, O_NONBLOCK);
    }
    if (status != CHARE_OK) {
        return false;
    }
    self->alive = true;
    launch->alive_count++;
    return true;
}

static void
start_ranks(struct launch *launch)
{
    for (uint32_t rank = 0; rank < launch->options->rank_count; rank++) {
        if (!start_rank(launch, rank)) {
            (void)decide(launch, CHI_EXIT_FAILED);
            break;
        }
    }
    reap(launch); /* also finds out when none was started */
}

/* From here on signals are read from a descriptor, and SIGPIPE is an errno. */
static bool
take_signals(struct launch *launch)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t set;

    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = SIG_DFL; /* "ignored" would hide how children end */
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof(passed_signals) / sizeof(int); i++) {
        sigaddset(&set, passed_signals[i]);
    }
    sigprocmask(SIG_BLOCK, &set, &launch->spawn.signals);
    launch->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (launch->signal_fd < 0) {
        chi_log_error(launch->log, "cannot make a signalfd: %s",
                      strerror(errno));
        return false;
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return true;
}

/* What we open must not become standard output. */
static bool
take_files(struct launch *launch)
{
    rlim_t need =
        (rlim_t)launch->options->rank_count * FDS_PER_RANK + FDS_OF_OUR_OWN;
    struct rlimit limit;
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    launch->spawn.null_fd = fd;
    if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        chi_log_error(launch->log, "cannot open /dev/null: %s",
                      strerror(errno));
        return false;
    }
    launch->spawn.files = limit;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < need) {
        chi_log_error(launch->log,
                      "%u ranks need %llu open files, but the limit is %llu; "
                      "raise it (ulimit -Hn)",
                      launch->options->rank_count, (unsigned long long)need,
                      (unsigned long long)limit.rlim_cur);
        return false;
    }
    return true;
}

static bool
allocate(struct launch *launch)
{
    size_t count = launch->options->rank_count;

    launch->ranks = calloc(count, sizeof(*launch->ranks));
    launch->polls = calloc(POLLS_FIXED + 2 * count, sizeof(*launch->polls));
    if (launch->ranks == NULL || launch->polls == NULL ||
        !chi_output_init(&launch->outputs[0], STDOUT_FILENO) ||
        !chi_output_init(&launch->outputs[1], STDERR_FILENO)) {
        chi_log_error(launch->log, "no memory for %zu ranks", count);
        return false;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        stream_at(launch, i)->fd = -1;
    }
    launch->unwired = launch->options->rank_count;
    if (gethostname(launch->host, sizeof(launch->host) - 1) != 0) {
        strcpy(launch->host, "localhost");
    }
    return true;
}

static void
release(struct launch *launch)
{
    for (size_t i = 0;
         launch->ranks != NULL && i < 2 * (size_t)launch->options->rank_count;
         i++) {
        chi_stream_close(stream_at(launch, i));
    }
    chi_output_fini(&launch->outputs[0]);
    chi_output_fini(&launch->outputs[1]);
    free(launch->polls);
    free(launch->ranks);
}

/* The namespace has the name of the directory, which is unique. */
static chare_status
open_server(struct launch *launch)
{
    const char *directory = launch->keeper.page->directory;
    char job[CHI_KEEPER_PATH_BYTES];
    struct chi_server_options options = {
        .log = launch->log,
        .directory = directory,
        .host = launch->host,
        .job = job,
        .rank_count = launch->options->rank_count,
    };

    snprintf(job, sizeof(job), "%s%s", CHI_PMIX_RUN_NSPACE,
             strrchr(directory, '/') + 1 + strlen(CHI_KEEPER_PREFIX));
    return chi_server_open(&options, &launch->server);
}

static void
run_job(struct launch *launch)
{
    const struct chi_launch_options *options = launch->options;

    launch->spawn.options = options;
    launch->spawn.server = launch->server;
    launch->spawn.page = launch->keeper.page;
    if (options->bind == CHI_LAUNCH_BIND_CORE) {
        chi_cores_init(&launch->spawn.cores);
    }
    if (options->timeout_ns != 0) {
        launch->timeout_at_ns =
            chi_clock_now_ns(&chi_clock_real) + options->timeout_ns;
    }
    start_ranks(launch);
    watch(launch);
    chi_cores_fini(&launch->spawn.cores);
}

int
chi_launch_run(const struct chi_launch_options *options)
{
    struct launch launch = {
        .options = options,
        .log = options->log,
        .code = CHI_EXIT_FAILED,
    };

    chi_assert(options->rank_count > 0);
    chi_assert(options->rank_count <= CHI_LAUNCH_RANKS_MAX);
    if (!allocate(&launch) || !take_files(&launch)) {
        goto release_launch;
    }
    if (chi_keeper_start(&launch.keeper, launch.log, options->rank_count) !=
        CHARE_OK) {
        goto release_launch;
    }
    if (!take_signals(&launch)) {
        goto stop_keeper;
    }
    if (open_server(&launch) != CHARE_OK) {
        goto close_signals;
    }
    run_job(&launch);
    if (!launch.decided) {
        launch.code = 0;
    }
close_signals:
    close(launch.signal_fd);
stop_keeper:
    chi_keeper_stop(&launch.keeper);
release_launch:
    release(&launch);
    return launch.code;
}
