/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn.c - fork, settle in, exec.
 *
 * Everything that allocates is done before fork(): libpmix has threads, whose
 * locks the child would find as they were. The child only makes system calls.
 */
#include "config.h"

#include "pmix/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;

enum {
    OWN_VARIABLES = 4,
    NUMBER_BYTES = 32
};

/*
 * What another launcher has set for us is not for our ranks: they belong to
 * our server. Parameters of the library are the user's and stay.
 */
static bool
variable_kept(const char *variable)
{
    return strncmp(variable, "PMIX_", 5) != 0 ||
           strncmp(variable, "PMIX_MCA_", 9) == 0;
}

void
chi_spawn_environment_release(char **environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        free(environment[i]);
    }
    free(environment);
}

static bool
variable_set(char **environment, size_t *count_inout, const char *name,
             const char *value)
{
    size_t name_len = strlen(name);
    size_t bytes = name_len + strlen(value) + 2;
    char *variable = malloc(bytes);
    size_t i = 0;

    if (variable == NULL) {
        return false;
    }
    snprintf(variable, bytes, "%s=%s", name, value);
    while (i < *count_inout && (strncmp(environment[i], name, name_len) != 0 ||
                                environment[i][name_len] != '=')) {
        i++;
    }
    if (i < *count_inout) {
        free(environment[i]);
    } else {
        ++*count_inout;
    }
    environment[i] = variable;
    return true;
}

/* The launcher's environment with our own variables; NULL: no memory. */
static char **
environment_create(const struct chi_spawn *spawn)
{
    size_t count = 0;
    size_t kept = 0;
    char **environment;
    char size[NUMBER_BYTES];
    bool good = true;

    while (environ[count] != NULL) {
        count++;
    }
    environment = calloc(count + OWN_VARIABLES + 1, sizeof(*environment));
    if (environment == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count && good; i++) {
        if (variable_kept(environ[i])) {
            environment[kept] = strdup(environ[i]);
            good = environment[kept] != NULL;
            kept += good;
        }
    }
    snprintf(size, sizeof(size), "%u", spawn->options->rank_count);
    good = good && variable_set(environment, &kept, "CHARE_LAUNCHER", "run");
    good = good && variable_set(environment, &kept, "CHARE_NODE_SIZE", size);
    if (spawn->options->bind == CHI_LAUNCH_BIND_NONE) {
        good = good && variable_set(environment, &kept, "CHARE_BIND", "none");
    }
    if (!good) {
        chi_spawn_environment_release(environment);
        return NULL;
    }
    return environment;
}

/* ---- in the child ---- */

static void
child_signals(const struct chi_spawn *spawn)
{
    struct sigaction preset = {.sa_handler = SIG_DFL};

    sigaction(SIGPIPE, &preset, NULL);
    sigaction(SIGCHLD, &preset, NULL);
    sigprocmask(SIG_SETMASK, &spawn->signals, NULL);
}

static void
child_bind(const struct chi_cores *cores, uint32_t rank)
{
    if (cores->count > 0) {
        (void)sched_setaffinity(0, sizeof(cores->sets[0]),
                                &cores->sets[rank % cores->count]);
    }
}

/* What is executed, and with what: a rank, or the fork server. */
struct child {
    uint32_t rank;
    const int *fds;  /* where output and errors go */
    const int *keep; /* descriptors for it, and -1; NULL: no others */
    char *const *argv;
    char **environment;
};

__attribute__((noreturn)) static void
child_main(const struct chi_spawn *spawn, const struct child *child,
           pid_t launcher)
{
    /* The signal comes when the launcher dies after this line ... */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launcher) {
        _exit(CHI_EXIT_FAILED); /* ... and it died before */
    }
    (void)setsid();
    if (child->rank > 0) {
        (void)dup2(spawn->null_fd, STDIN_FILENO);
    }
    (void)dup2(child->fds[0], STDOUT_FILENO);
    (void)dup2(child->fds[1], STDERR_FILENO);
    for (const int *fd = child->keep; fd != NULL && *fd >= 0; fd++) {
        (void)fcntl(*fd, F_SETFD, 0);
    }
    (void)setrlimit(RLIMIT_NOFILE, &spawn->files);
    child_bind(&spawn->cores, child->rank);
    child_signals(spawn);
    (void)execve(spawn->options->path, child->argv, child->environment);
    spawn->page->ranks[child->rank].exec_error = errno;
    _exit(errno == ENOENT ? CHI_EXIT_NOT_FOUND : CHI_EXIT_NOT_EXECUTABLE);
}

/* ---- in the launcher ---- */

static chare_status
spawn_child(const struct chi_spawn *spawn, const struct child *child,
            pid_t *pid_out)
{
    const pid_t launcher = getpid();
    const pid_t pid = fork();

    if (pid == 0) {
        child_main(spawn, child, launcher);
    }
    if (pid < 0) {
        return CHARE_ERR_SYSTEM;
    }
    /* Known to the keeper at once; the child becomes its leader by itself. */
    spawn->page->ranks[child->rank].group = pid;
    *pid_out = pid;
    return CHARE_OK;
}

chare_status
chi_spawn_environment_alloc(const struct chi_spawn *spawn, uint32_t rank,
                            char ***environment_out)
{
    char **environment = environment_create(spawn);
    chare_status status;

    if (environment == NULL) {
        chi_log_error(spawn->options->log, "no memory to start rank %u", rank);
        return CHARE_ERR_NO_MEMORY;
    }
    status = chi_server_environment(spawn->server, rank, &environment);
    if (status != CHARE_OK) {
        chi_spawn_environment_release(environment);
        return status;
    }
    *environment_out = environment;
    return CHARE_OK;
}

chare_status
chi_spawn_rank(const struct chi_spawn *spawn, uint32_t rank, int out_fd,
               int err_fd, pid_t *pid_out)
{
    const int fds[2] = {out_fd, err_fd};
    struct child child = {
        .rank = rank,
        .fds = fds,
        .argv = spawn->options->argv,
    };
    chare_status status =
        chi_spawn_environment_alloc(spawn, rank, &child.environment);

    if (status != CHARE_OK) {
        return status;
    }
    status = spawn_child(spawn, &child, pid_out);
    if (status != CHARE_OK) {
        chi_log_error(spawn->options->log, "cannot start rank %u: fork: %s",
                      rank, strerror(errno));
    }
    chi_spawn_environment_release(child.environment);
    return status;
}

chare_status
chi_spawn_forkserver(const struct chi_spawn *spawn, const int fds[2],
                     const int *keep, char **environment, pid_t *pid_out)
{
    const struct child child = {
        .fds = fds,
        .keep = keep,
        .argv = spawn->options->forkserver_argv,
        .environment = environment,
    };

    return spawn_child(spawn, &child, pid_out);
}
