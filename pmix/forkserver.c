/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forkserver.c - the launcher's end of the fork server.
 *
 * Invariants
 * 1. A rank runs nothing of the program before the launcher knows its pid, has
 *    told the keeper, and has said so (one byte to the server, which passes it
 *    on); without that byte it ends at once. So a server that fails or is
 *    killed half-way leaves no rank behind, and the launcher may start all of
 *    them in the usual way.
 * 2. A rank goes on when the server has ended and the launcher, the subreaper,
 *    is its parent, whose death is its own from then on.
 * 3. The server gets what ranks get: their environment (rank 0's), signal
 *    mask, limits, and rank 0's output.
 *
 * The order is a file: words that end in NUL. The descriptor of /dev/null and
 * the launcher's pid; then for each rank the descriptors of its output and its
 * errors, how many variables differ from rank 0's, and these.
 */
#include "config.h"

#include "pmix/forkserver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NUMBERS_BYTES = 64
};

/* ---- the order ---- */

static bool
is_among(char *const *environment, const char *variable)
{
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strcmp(environment[i], variable) == 0) {
            return true;
        }
    }
    return false;
}

static void
write_rank(FILE *file, char *const *first, char *const *own, const int fds[2])
{
    size_t count = 0;

    for (size_t i = 0; own[i] != NULL; i++) {
        count += !is_among(first, own[i]);
    }
    fprintf(file, "%d%c%d%c%zu%c", fds[0], 0, fds[1], 0, count, 0);
    for (size_t i = 0; own[i] != NULL; i++) {
        if (!is_among(first, own[i])) {
            fwrite(own[i], 1, strlen(own[i]) + 1, file);
        }
    }
}

static chare_status
write_order(FILE *file, struct chi_spawn *spawn, char **first, int (*fds)[2])
{
    fprintf(file, "%d%c%d%c", spawn->null_fd, 0, (int)getpid(), 0);
    for (uint32_t rank = 0; rank < spawn->options->rank_count; rank++) {
        char **own;
        chare_status status = chi_spawn_environment_alloc(spawn, rank, &own);

        if (status != CHARE_OK) {
            return status;
        }
        write_rank(file, first, own, fds[rank]);
        chi_spawn_environment_release(own);
    }
    return fflush(file) == 0 && !ferror(file) ? CHARE_OK : CHARE_ERR_SYSTEM;
}

/* A file without a name that has the order, from its start; or -1. */
static int
make_order(struct chi_spawn *spawn, char **first, int (*fds)[2])
{
    int fd = memfd_create("chare-forkserver", MFD_CLOEXEC);
    int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    FILE *file = copy >= 0 ? fdopen(copy, "w") : NULL;
    chare_status status = CHARE_ERR_SYSTEM;

    if (file != NULL) {
        status = write_order(file, spawn, first, fds);
        fclose(file);
    } else if (copy >= 0) {
        close(copy);
    }
    if (status != CHARE_OK || lseek(fd, 0, SEEK_SET) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* ---- the server ---- */

/* Say in the environment where the order and the channel are. */
static bool
add_variable(char ***environment_inout, int order_fd, int channel_fd)
{
    char **environment = *environment_inout;
    char text[NUMBERS_BYTES];
    size_t count = 0;

    while (environment[count] != NULL) {
        count++;
    }
    environment = realloc(environment, (count + 2) * sizeof(*environment));
    if (environment == NULL) {
        return false;
    }
    *environment_inout = environment;
    snprintf(text, sizeof(text), "CHARE_FORKSERVER=%d %d", order_fd,
             channel_fd);
    environment[count] = strdup(text);
    environment[count + 1] = NULL;
    return environment[count] != NULL;
}

static chare_status
start(struct chi_forkserver *server, char ***first_inout, int order_fd,
      int channel_fd, int (*fds)[2])
{
    struct chi_spawn *spawn = server->spawn;
    const size_t count = spawn->options->rank_count;
    int *keep = calloc(2 * count + 4, sizeof(*keep));
    chare_status status = CHARE_ERR_NO_MEMORY;
    size_t kept = 0;

    if (keep != NULL && add_variable(first_inout, order_fd, channel_fd)) {
        for (size_t i = 0; i < count; i++) {
            keep[kept++] = fds[i][0];
            keep[kept++] = fds[i][1];
        }
        keep[kept++] = order_fd;
        keep[kept++] = channel_fd;
        keep[kept++] = spawn->null_fd;
        keep[kept] = -1;
        status = chi_spawn_forkserver(spawn, fds[0], keep, *first_inout,
                                      &server->pid);
    }
    free(keep);
    return status;
}

chare_status
chi_forkserver_start(struct chi_forkserver *server, struct chi_spawn *spawn,
                     int (*fds)[2])
{
    const size_t count = spawn->options->rank_count;
    chare_status status;
    char **first;
    int order_fd;
    int pair[2];

    *server = (struct chi_forkserver){.spawn = spawn, .fd = -1};
    status = chi_spawn_environment_alloc(spawn, 0, &first);
    if (status != CHARE_OK) {
        return status;
    }
    status = CHARE_ERR_SYSTEM;
    order_fd = make_order(spawn, first, fds);
    if (order_fd < 0) {
        goto release_environment;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        goto close_order;
    }
    server->pids = calloc(count, sizeof(*server->pids));
    status = CHARE_ERR_NO_MEMORY;
    if (server->pids != NULL) {
        status = start(server, &first, order_fd, pair[1], fds);
    }
    close(pair[1]);
    server->fd = pair[0];
    if (status != CHARE_OK) {
        close(server->fd);
        free(server->pids);
    }
close_order:
    close(order_fd);
release_environment:
    chi_spawn_environment_release(first);
    return status;
}

void
chi_forkserver_heed(struct chi_forkserver *server)
{
    const uint32_t count = server->spawn->options->rank_count;
    int32_t pid;

    while (!server->ended && server->count < count) {
        ssize_t got = recv(server->fd, &pid, sizeof(pid), MSG_DONTWAIT);

        if (got == (ssize_t)sizeof(pid) && pid > 0) {
            server->pids[server->count++] = pid;
        } else if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
            server->ended = true; /* it has said why, or cannot do it */
        } else if (errno == EAGAIN) {
            return;
        }
    }
    server->ended = true;
}

bool
chi_forkserver_ready(const struct chi_forkserver *server)
{
    return server->count == server->spawn->options->rank_count;
}

void
chi_forkserver_stop(struct chi_forkserver *server, bool go_on)
{
    if (!go_on || send(server->fd, "g", 1, MSG_NOSIGNAL) != 1) {
        (void)kill(server->pid, SIGKILL);
    }
    close(server->fd);
    free(server->pids);
}
