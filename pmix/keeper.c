/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.c - the keeper process, and the job's directory.
 *
 * A directory is in use as long as somebody holds a lock on it. The kernel
 * drops the lock with the launcher's last breath, so that the next launcher
 * knows what is stale, whatever pid namespaces and reused pids there are.
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KEEPER_FD = 3,      /* where the keeper has its end of the pipe */
    TREE_FDS_MAX = 8,   /* descriptors to remove a directory with */
    MAKE_TRIES_MAX = 8, /* another launcher may take ours for a stale one */
    CLOSE_FD_MAX = 1024,
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
directory_make(const char *parent, char *path, size_t room)
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

/* Hold nothing of the launcher's: its pipes would stay open with us. */
static void
keeper_let_go(int pipe_fd)
{
    int null = open("/dev/null", O_RDWR);
    bool closed = false;

    if (pipe_fd != KEEPER_FD) {
        (void)dup2(pipe_fd, KEEPER_FD);
    }
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
#ifdef SYS_close_range
    closed = syscall(SYS_close_range, KEEPER_FD + 1, ~0u, 0) == 0;
#endif
    for (int fd = KEEPER_FD + 1; !closed && fd < CLOSE_FD_MAX; fd++) {
        close(fd);
    }
    (void)!chdir("/");
}

__attribute__((noreturn)) static void
keeper_main(const struct chi_keeper_page *page, int pipe_fd)
{
    sigset_t all;
    char word;
    ssize_t got;

    (void)setsid(); /* out of reach of the terminal's signals */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    (void)prctl(PR_SET_NAME, "chare-keeper");
    keeper_let_go(pipe_fd);
    do {
        got = read(KEEPER_FD, &word, 1);
    } while (got < 0 && errno == EINTR);
    if (got != 1) {
        for (uint32_t rank = 0; rank < page->rank_count; rank++) {
            if (page->ranks[rank].group > 0) {
                (void)kill(-page->ranks[rank].group, SIGKILL);
            }
        }
        remove_tree(page->directory);
    }
    _exit(0);
}

/*
 * Fork twice, so that the keeper is not the launcher's child: the launcher
 * takes every child for a part of the job.
 */
static bool
keeper_fork(const struct chi_keeper *keeper, int read_fd)
{
    pid_t pid = fork();
    int status;

    if (pid < 0) {
        return false;
    }
    if (pid == 0) {
        pid = fork();
        if (pid == 0) {
            keeper_main(keeper->page, read_fd);
        }
        _exit(pid < 0 ? 1 : 0);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return status == 0;
}

chare_status
chi_keeper_start(struct chi_keeper *keeper, const struct chi_log *log,
                 uint32_t rank_count)
{
    const char *parent = temporary_directory();
    int ends[2];

    *keeper = (struct chi_keeper){.directory_fd = -1, .pipe_fd = -1};
    remove_stale(parent);
    keeper->page_bytes =
        sizeof(*keeper->page) + rank_count * sizeof(keeper->page->ranks[0]);
    keeper->page = mmap(NULL, keeper->page_bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (keeper->page == MAP_FAILED) {
        chi_log_error(log, "cannot map %zu bytes: %s", keeper->page_bytes,
                      strerror(errno));
        goto fail;
    }
    keeper->page->rank_count = rank_count;
    keeper->directory_fd = directory_make(parent, keeper->page->directory,
                                          sizeof(keeper->page->directory));
    if (keeper->directory_fd < 0) {
        chi_log_error(log,
                      "cannot make a directory in %s: %s. Set TMPDIR to where "
                      "there is room.",
                      parent, strerror(errno));
        goto unmap;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        chi_log_error(log, "cannot make a pipe: %s", strerror(errno));
        goto remove_directory;
    }
    keeper->pipe_fd = ends[1];
    if (!keeper_fork(keeper, ends[0])) {
        chi_log_error(log, "cannot start a process: %s", strerror(errno));
        goto close_pipe;
    }
    close(ends[0]);
    return CHARE_OK;

close_pipe:
    close(ends[0]);
    close(ends[1]);
remove_directory:
    remove_tree(keeper->page->directory);
    close(keeper->directory_fd);
unmap:
    munmap(keeper->page, keeper->page_bytes);
fail:
    return CHARE_ERR_SYSTEM;
}

void
chi_keeper_stop(struct chi_keeper *keeper)
{
    remove_tree(keeper->page->directory);
    (void)!write(keeper->pipe_fd, "k", 1);
    close(keeper->pipe_fd);
    close(keeper->directory_fd);
    munmap(keeper->page, keeper->page_bytes);
}
