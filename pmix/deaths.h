/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_DEATHS_H
#define CHI_PMIX_DEATHS_H

/*
 * deaths.h - in which order processes have ended.
 *
 * wait() gives ended children in the order in which they were started, which
 * says nothing of who was the first. Descriptors of processes in an epoll are
 * given in the order in which they became readable, so in that of the deaths.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct chi_deaths {
    int epoll_fd; /* -1: nothing is known */
};

/* Never fails: without descriptors of processes, nothing is known. */
void chi_deaths_open(struct chi_deaths *deaths);
void chi_deaths_close(struct chi_deaths *deaths);

/* Watch a child. The descriptor for it, or -1: its end will not be told. */
int chi_deaths_add(struct chi_deaths *deaths, pid_t pid, uint32_t rank);

/* The child was waited for: close its descriptor, which may be -1. */
void chi_deaths_forget(struct chi_deaths *deaths, int fd);

/* The rank that ended first among those that are not forgotten. */
bool chi_deaths_first(const struct chi_deaths *deaths, uint32_t *rank_out);

/*
 * Is this process about to end? Others may have seen its connections close,
 * but it cannot be waited for yet.
 */
bool chi_deaths_is_near(pid_t pid);

#endif /* CHI_PMIX_DEATHS_H */
