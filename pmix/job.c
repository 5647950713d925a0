/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job.c - how ranks end, and how that ends the job.
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
 * States: running -> ending (TERM, at 'kill_at_ns' KILL) -> childless. A job
 * that ends well passes through "ending" only if it leaves processes behind.
 */
#include "config.h"

#include "pmix/job.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/clock.h"
#include "pmix/descend.h"
#include "wireup/wireup.h"

enum {
    KILL_DELAY_S = 2,       /* from TERM to KILL */
    KILL_AGAIN_MS = 50,     /* from KILL to KILL of what came after */
    KILL_ROUNDS_MAX = 40,   /* then something cannot be killed */
    VERDICT_DELAY_MS = 30,  /* see struct chi_job_verdict */
    ENDING_DELAY_MS = 2000, /* for a rank that is known to be dying */
};

/* ---- words and decisions ---- */

void
chi_job_say(struct chi_job *job, const char *format, ...)
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
    chi_output_add(&job->outputs[1], line, len);
}

static void
group_signal(struct chi_job *job, uint32_t rank, int signal)
{
    pid_t group = job->keeper.page->ranks[rank].group;

    if (group == 0) {
        return;
    }
    /* A rank that has just been forked leads no group yet. */
    if (kill(-group, signal) != 0 && job->ranks[rank].alive) {
        (void)kill(group, signal);
    }
}

void
chi_job_signal(struct chi_job *job, int signal)
{
    for (uint32_t rank = 0; rank < job->options->rank_count; rank++) {
        group_signal(job, rank, signal);
    }
}

/* TERM now, KILL in a while. CONT, since what is stopped cannot end. */
static void
end_job(struct chi_job *job)
{
    if (job->kill_at_ns != 0) {
        return;
    }
    job->kill_at_ns =
        chi_clock_now_ns(&chi_clock_real) + KILL_DELAY_S * CHI_NS_PER_SEC;
    chi_job_signal(job, SIGTERM);
    chi_job_signal(job, SIGCONT);
    if (job->alive_count == 0) {
        chi_descend_signal(SIGTERM);
    }
}

/* True for the first failure, which is then to be told. */
bool
chi_job_decide(struct chi_job *job, int code)
{
    bool first = !job->decided;

    if (first) {
        job->decided = true;
        job->code = code;
    }
    end_job(job);
    return first;
}

/* ---- ranks that end ---- */

/*
 * A rank that returns 0 without ever wiring up is no failure by itself: the
 * program may not use the library. But others that wait for it wait for ever.
 */
static void
check_wireup(struct chi_job *job)
{
    uint32_t count = job->options->rank_count;
    uint32_t unwired = job->unwired;

    if (unwired == count) {
        return;
    }
    for (uint32_t rank = 0; rank < count; rank++) {
        if (job->ranks[rank].alive &&
            chi_server_stage_get(job->server, rank) == CHI_SERVER_CONNECTED &&
            chi_job_decide(job, CHI_EXIT_FAILED)) {
            chi_job_say(
                job,
                "rank %u (host %s, pid %d) returned before the job was wired "
                "up, while rank %u waits for it; ending the job",
                unwired, job->host, (int)job->ranks[unwired].pid, rank);
            return;
        }
    }
}

static void
rank_succeeded(struct chi_job *job, uint32_t rank)
{
    if (chi_server_stage_get(job->server, rank) != CHI_SERVER_DONE) {
        job->unwired = rank;
        check_wireup(job);
    }
}

static const char *
others(const struct chi_job *job)
{
    return job->alive_count > 0 ? "; ending the others" : "";
}

/*
 * A failure that counts when no other has shown itself meanwhile. Who says
 * which rank is gone has more to say than who has only returned a code.
 */
static void
suspect(struct chi_job *job, const struct chi_job_verdict *verdict)
{
    const bool lost = verdict->fault == CHI_JOB_LOST;
    const uint64_t delay_ms = lost ? ENDING_DELAY_MS : VERDICT_DELAY_MS;

    if (job->decided || (job->verdict.at_ns != 0 &&
                         (!lost || job->verdict.fault != CHI_JOB_RETURNED))) {
        return;
    }
    job->verdict = *verdict;
    job->verdict.since_ns = chi_clock_now_ns(&chi_clock_real);
    job->verdict.at_ns = job->verdict.since_ns + delay_ms * CHI_NS_PER_MS;
}

static void
rank_exited(struct chi_job *job, uint32_t rank, int code)
{
    job->ranks[rank].code = code;
    if (code == 0) {
        rank_succeeded(job, rank);
    } else {
        suspect(job, &(struct chi_job_verdict){.rank = rank, .code = code});
    }
}

static void
judge(struct chi_job *job)
{
    const struct chi_job_verdict *verdict = &job->verdict;
    pid_t pid = job->ranks[verdict->rank].pid;
    int error = job->keeper.page->ranks[verdict->rank].exec_error;

    if (!chi_job_decide(job, verdict->code)) {
        return;
    }
    if (verdict->fault != CHI_JOB_RETURNED) {
        chi_job_say(
            job, "rank %u (host %s, pid %d) ended the job with code %d: %s",
            verdict->rank, job->host, (int)pid, verdict->code, verdict->text);
    } else if (error != 0) {
        chi_job_say(job, "cannot run %s: %s", job->options->path,
                    strerror(error));
    } else {
        chi_job_say(job, "rank %u (host %s, pid %d) exited with code %d%s",
                    verdict->rank, job->host, (int)pid, verdict->code,
                    others(job));
    }
}

/*
 * A rank that others have called lost has ended. What they did is no failure
 * of their own; and who returns 0 too early is not seen to fail otherwise.
 */
static void
judge_lost(struct chi_job *job)
{
    const uint32_t rank = job->verdict.lost;
    const int code = job->ranks[rank].code;

    if (code > 0) {
        job->verdict.fault = CHI_JOB_RETURNED;
        job->verdict.rank = rank;
        job->verdict.code = code;
        judge(job);
    } else if (chi_job_decide(job, CHI_EXIT_FAILED)) {
        chi_job_say(
            job,
            "rank %u (host %s, pid %d) left the job with code 0 before "
            "its end%s",
            rank, job->host, (int)job->ranks[rank].pid, others(job));
    }
}

static void
rank_killed(struct chi_job *job, uint32_t rank, int signal)
{
    const struct chi_job_verdict *verdict = &job->verdict;

    if (verdict->at_ns != 0 && verdict->fault == CHI_JOB_LOST &&
        verdict->lost != rank && job->ranks[verdict->lost].alive) {
        return; /* the one that went before it is still to be heard of */
    }
    if (chi_job_decide(job, CHI_EXIT_SIGNAL + signal)) {
        chi_job_say(
            job, "rank %u (host %s, pid %d) was killed by signal %d (%s)%s%s",
            rank, job->host, (int)job->ranks[rank].pid, signal,
            strsignal(signal),
            signal == job->signal ? ", which was sent to chare run" : "",
            others(job));
    }
}

/* Forget groups of ended ranks as soon as they are empty. */
static void
forget_empty_groups(struct chi_job *job)
{
    for (uint32_t rank = 0; rank < job->options->rank_count; rank++) {
        pid_t *group = &job->keeper.page->ranks[rank].group;

        if (*group != 0 && !job->ranks[rank].alive && kill(-*group, 0) != 0 &&
            errno == ESRCH) {
            *group = 0;
        }
    }
}

static uint32_t
rank_of_pid(const struct chi_job *job, pid_t pid)
{
    uint32_t rank = 0;

    while (rank < job->options->rank_count &&
           (!job->ranks[rank].alive || job->ranks[rank].pid != pid)) {
        rank++;
    }
    return rank;
}

/* The child to wait for, ranks in the order of their ends; 0: none has ended;
 * -1: there is none. */
static pid_t
first_dead(const struct chi_job *job)
{
    siginfo_t info = {.si_pid = 0};
    uint32_t rank;

    /* First who has ended at all, then who was the first: in this order, all
     * that the one sees are in the other. */
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return -1;
    }
    return info.si_pid > 0 && chi_deaths_first(&job->deaths, &rank)
               ? job->ranks[rank].pid
               : info.si_pid;
}

static void
reap(struct chi_job *job)
{
    int status;
    pid_t pid;

    while ((pid = first_dead(job)) > 0 &&
           waitpid(pid, &status, WNOHANG) == pid) {
        uint32_t rank = rank_of_pid(job, pid);

        if (rank == job->options->rank_count) {
            continue; /* left behind by a rank */
        }
        chi_deaths_forget(&job->deaths, job->ranks[rank].pidfd);
        job->ranks[rank].alive = false;
        job->alive_count--;
        if (WIFSIGNALED(status)) {
            rank_killed(job, rank, WTERMSIG(status));
        } else {
            rank_exited(job, rank, WEXITSTATUS(status));
        }
    }
    job->childless = pid < 0 && errno == ECHILD;
    forget_empty_groups(job);
}

/* All ranks have ended; what they left behind ends now as well. */
static void
check_leftovers(struct chi_job *job)
{
    if (job->alive_count > 0 || job->childless) {
        return;
    }
    if (!job->decided) {
        job->decided = true;
        job->code = 0;
    }
    end_job(job);
}

/* ---- looking ---- */

/* Which rank is gone, as an abort says; or the count of all. */
static uint32_t
lost_rank(const struct chi_job *job, const struct chi_server_abort *aborted)
{
    const uint32_t count = job->options->rank_count;
    unsigned lost;

    return sscanf(aborted->text, CHI_WIREUP_LOST_FORMAT, &lost) == 1 &&
                   lost < count && lost != aborted->rank
               ? lost
               : count;
}

static void
look_at_server(struct chi_job *job)
{
    struct chi_server_abort aborted;
    struct chi_job_verdict verdict = {.fault = CHI_JOB_ABORTED};
    int code;

    chi_server_heed(job->server);
    chi_server_abort_get(job->server, &aborted);
    if (aborted.called) {
        code = aborted.code & 0xff;
        verdict.rank = aborted.rank;
        verdict.lost = lost_rank(job, &aborted);
        if (verdict.lost < job->options->rank_count) {
            verdict.fault = CHI_JOB_LOST;
        }
        verdict.code = code != 0 ? code : CHI_EXIT_FAILED;
        memcpy(verdict.text, aborted.text, sizeof(verdict.text));
        suspect(job, &verdict);
    }
    check_wireup(job);
}

/* A rank that is dying may be what others have died of. */
static bool
somebody_is_dying(const struct chi_job *job)
{
    for (uint32_t rank = 0; rank < job->options->rank_count; rank++) {
        if (job->ranks[rank].alive &&
            chi_deaths_is_near(job->ranks[rank].pid)) {
            return true;
        }
    }
    return false;
}

static void
look_at_verdict(struct chi_job *job)
{
    struct chi_job_verdict *verdict = &job->verdict;
    const uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

    if (verdict->at_ns == 0 || job->decided) {
        return;
    }
    if (verdict->fault == CHI_JOB_LOST && !job->ranks[verdict->lost].alive) {
        judge_lost(job);
    } else if (job->alive_count == 0) {
        judge(job);
    } else if (now_ns >= verdict->at_ns) {
        if (now_ns - verdict->since_ns < ENDING_DELAY_MS * CHI_NS_PER_MS &&
            somebody_is_dying(job)) {
            verdict->at_ns = now_ns + VERDICT_DELAY_MS * CHI_NS_PER_MS;
        } else {
            judge(job);
        }
    }
}

void
chi_job_look(struct chi_job *job)
{
    look_at_server(job); /* first: who aborts may have exited since */
    reap(job);
    look_at_verdict(job);
    check_leftovers(job);
}

void
chi_job_kill_late(struct chi_job *job, uint64_t now_ns)
{
    if (job->kill_at_ns == 0 || now_ns < job->kill_at_ns || job->childless) {
        return;
    }
    chi_job_signal(job, SIGKILL);
    chi_descend_signal(SIGKILL);
    job->kill_at_ns = now_ns + KILL_AGAIN_MS * CHI_NS_PER_MS;
    if (++job->kill_rounds == KILL_ROUNDS_MAX) {
        chi_job_say(job, "a process of the job cannot be killed; leaving it");
        job->alive_count = 0;
        job->childless = true;
    }
}
