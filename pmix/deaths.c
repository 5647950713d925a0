/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deaths.c - in which order processes have ended.
 *
 * A watched child stays in the epoll until it is forgotten, so that the first
 * one is told again and again until somebody has waited for it.
 */
#include "config.h"

#include "pmix/deaths.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    STAT_BYTES = 512,
    FLAG_EXITING = 0x4, /* PF_EXITING: in all versions of Linux */
};

void
chi_deaths_open(struct chi_deaths *deaths)
{
    deaths->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

void
chi_deaths_close(struct chi_deaths *deaths)
{
    if (deaths->epoll_fd >= 0) {
        close(deaths->epoll_fd);
    }
}

int
chi_deaths_add(struct chi_deaths *deaths, pid_t pid, uint32_t rank)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = rank}};
    int fd = -1;

#ifdef SYS_pidfd_open
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
    if (fd >= 0 &&
        epoll_ctl(deaths->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void
chi_deaths_forget(struct chi_deaths *deaths, int fd)
{
    if (fd >= 0) {
        /* A child that has not executed its program yet may hold a copy. */
        (void)epoll_ctl(deaths->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
    }
}

bool
chi_deaths_first(const struct chi_deaths *deaths, uint32_t *rank_out)
{
    struct epoll_event event;

    if (epoll_wait(deaths->epoll_fd, &event, 1, 0) != 1) {
        return false;
    }
    *rank_out = event.data.u32;
    return true;
}

bool
chi_deaths_is_near(pid_t pid)
{
    char path[64];
    char text[STAT_BYTES];
    const char *after;
    unsigned flags;
    size_t len;
    char state;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    after = strrchr(text, ')'); /* the name before may have any characters */
    if (after == NULL ||
        sscanf(after, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) {
        return false;
    }
    return state == 'Z' || (flags & (unsigned)FLAG_EXITING) != 0;
}
