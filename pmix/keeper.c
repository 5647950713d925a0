/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.c - the keeper process, and the job's directory.
 *
 * A directory is in use as long as somebody holds a lock on it. The kernel
 * drops the lock with the launcher's last breath, so that the next launcher
 * knows what is stale, whatever pid namespaces and reused pids there are.
 *
 * The keeper never touches what the launcher has: it knows the directory's
 * name from shared memory, where mkdtemp() writes it, so that there is no
 * moment at which a directory exists that the keeper would leave.
 */
#include "config.h"

#include "pmix/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pmix/descend.h"
#include "pmix/launch.h"

enum {
    TREE_FDS_MAX = 8,   /* descriptors to remove a directory with */
    MAKE_TRIES_MAX = 8, /* another launcher may take ours for a stale one */
    KILL_AGAIN_NS = 20000000,
    KILL_ROUNDS_MAX = 100, /* then something cannot be killed */
};

static int
remove_one(const char *path, const struct stat *info, int type,
           struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    (void)remove(path);
    return 0;
}

static void
remove_tree(const char *path)
{
    (void)nftw(path, remove_one, TREE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

static const char *
temporary_directory(void)
{
    const char *path = getenv("TMPDIR");

    return path != NULL && path[0] == '/' ? path : "/tmp";
}

/* The lock on a directory of ours, or -1: not ours, in use, or gone. */
static int
directory_lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &info) != 0 || info.st_uid != geteuid() ||
        flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void
remove_stale(const char *parent)
{
    char path[CHI_KEEPER_PATH_BYTES];
    struct dirent *entry;
    DIR *dir = opendir(parent);
    int fd;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, CHI_KEEPER_PREFIX,
                    strlen(CHI_KEEPER_PREFIX)) != 0 ||
            snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name) >=
                (int)sizeof(path)) {
            continue;
        }
        fd = directory_lock(path);
        if (fd >= 0) {
            remove_tree(path);
            close(fd);
        }
    }
    closedir(dir);
}

/* Between mkdtemp() and the lock, another launcher may have removed it. */
static int
directory_create(const char *parent, char *path, size_t room)
{
    struct stat info;
    int fd;

    for (int i = 0; i < MAKE_TRIES_MAX; i++) {
        if (snprintf(path, room, "%s/%s%d-XXXXXX", parent, CHI_KEEPER_PREFIX,
                     (int)getpid()) >= (int)room) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (mkdtemp(path) == NULL) {
            return -1;
        }
        fd = directory_lock(path);
        if (fd >= 0 && stat(path, &info) == 0) {
            return fd;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    errno = EBUSY;
    return -1;
}

/* ---- the keeper process ---- */

/* What the launcher is to the keeper. */
enum stage {
    RUNNING,
    STOPPING, /* asked to stop, with its ranks */
    ENDED,
};

struct charge {
    pid_t pid;
    enum stage stage;
    int status; /* of waitpid(), once it has ended */
};

/* Wait for whoever has ended; false: there is no child left. */
static bool
keeper_reap(struct charge *launcher)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != launcher->pid) {
            continue; /* of the job, which we inherited */
        }
        if (!WIFSTOPPED(status)) {
            launcher->stage = ENDED;
            launcher->status = status;
        } else if (launcher->stage == STOPPING) {
            /* The shell that stopped us continues us. */
            launcher->stage = RUNNING;
            (void)kill(getpid(), SIGSTOP);
        }
    }
    return pid == 0;
}

/*
 * The launcher was killed. Its ranks die with it; what they have started is
 * ours now, generation by generation, since we are the next subreaper.
 */
static void
keeper_kill(struct charge *launcher)
{
    const struct timespec pause = {.tv_nsec = KILL_AGAIN_NS};

    for (int round = 0; round < KILL_ROUNDS_MAX; round++) {
        chi_descend_signal(SIGKILL);
        if (!keeper_reap(launcher)) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
}

__attribute__((noreturn)) static void
keeper_main(const struct chi_keeper_page *page, pid_t pid,
            const sigset_t *signals)
{
    struct charge launcher = {.pid = pid};
    int signal;

    while (launcher.stage != ENDED) {
        if (sigwait(signals, &signal) != 0) {
            continue;
        }
        if (signal == SIGCHLD) {
            (void)keeper_reap(&launcher);
            continue;
        }
        if (signal == SIGTSTP) {
            launcher.stage = STOPPING;
        }
        (void)kill(launcher.pid, signal);
    }
    if (WIFEXITED(launcher.status)) {
        _exit(WEXITSTATUS(launcher.status));
    }
    keeper_kill(&launcher);
    remove_tree(page->directory);
    signal = WTERMSIG(launcher.status);
    (void)dprintf(STDERR_FILENO,
                  "chare run: the launcher (pid %d) was killed by signal %d "
                  "(%s), and the job with it\n",
                  (int)launcher.pid, signal, strsignal(signal));
    _exit(CHI_EXIT_SIGNAL + signal);
}

/*
 * Go on as the keeper's child. Its signals come from there alone, not from
 * the terminal a second time. SIGCONT tells that the keeper has died, which
 * also helps one who is stopped.
 */
static bool
keeper_leave(pid_t keeper)
{
    (void)setsid();
    (void)prctl(PR_SET_NAME, "chare-launcher");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGCONT);
    return getppid() == keeper;
}

bool
chi_keeper_has_died(const struct chi_keeper *keeper)
{
    return getppid() != keeper->pid;
}

chare_status
chi_keeper_start(struct chi_keeper *keeper, const struct chi_log *log,
                 const sigset_t *signals, uint32_t rank_count)
{
    const char *parent = temporary_directory();
    pid_t pid;

    *keeper = (struct chi_keeper){.directory_fd = -1, .pid = getpid()};
    keeper->page_bytes =
        sizeof(*keeper->page) + rank_count * sizeof(keeper->page->ranks[0]);
    keeper->page = mmap(NULL, keeper->page_bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (keeper->page == MAP_FAILED) {
        chi_log_error(log, "cannot map %zu bytes: %s", keeper->page_bytes,
                      strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    keeper->page->rank_count = rank_count;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = fork();
    if (pid > 0) {
        keeper_main(keeper->page, pid, signals);
    }
    if (pid < 0) {
        chi_log_error(log, "cannot start a process: %s", strerror(errno));
        goto unmap;
    }
    if (!keeper_leave(keeper->pid)) {
        goto unmap;
    }
    remove_stale(parent);
    keeper->directory_fd = directory_create(parent, keeper->page->directory,
                                            sizeof(keeper->page->directory));
    if (keeper->directory_fd < 0) {
        chi_log_error(log,
                      "cannot make a directory in %s: %s. Set TMPDIR to where "
                      "there is room.",
                      parent, strerror(errno));
        goto unmap;
    }
    return CHARE_OK;

unmap:
    munmap(keeper->page, keeper->page_bytes);
    return CHARE_ERR_SYSTEM;
}

void
chi_keeper_stop(struct chi_keeper *keeper)
{
    remove_tree(keeper->page->directory);
    close(keeper->directory_fd);
    munmap(keeper->page, keeper->page_bytes);
}
