/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_SERVER_H
#define CHI_PMIX_SERVER_H

/*
 * server.h - a PMIx server for one job on this node, inside the launcher.
 *
 * libpmix answers the ranks on a thread of its own; this interface is for the
 * launcher's one thread. There can be one server in a process, since libpmix
 * allows no more. In a build without PMIx, it serves one process by doing
 * nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

#include "base/log.h"

enum {
    CHI_SERVER_TEXT_BYTES = 256
};

struct chi_server_options {
    const struct chi_log *log;
    const char *directory; /* of our own, for its sockets and files */
    const char *host;      /* this node's name */
    const char *job;       /* the namespace's name */
    uint32_t rank_count;
};

/* How far a rank has come. */
enum chi_server_stage {
    CHI_SERVER_NEVER,     /* has not connected */
    CHI_SERVER_CONNECTED, /* wires up, or waits for others to */
    CHI_SERVER_DONE,      /* has disconnected in good order */
};

struct chi_server_abort {
    bool called;
    uint32_t rank; /* who called */
    int code;
    char text[CHI_SERVER_TEXT_BYTES];
};

struct chi_server;

/*
 * There is no close: PMIx_server_finalize() of libpmix 4.2 can crash on what a
 * dead rank has left, so that the server lives until the process ends, and the
 * process ends by _exit().
 * Errors: CHARE_ERR_WIREUP, CHARE_ERR_NO_MEMORY, CHARE_ERR_SYSTEM; logged.
 */
CHARE_MUST_CHECK chare_status chi_server_open(
    const struct chi_server_options *options, struct chi_server **out);

/*
 * Add what 'rank' needs to find the server to an environment made of malloc'ed
 * strings. Errors: CHARE_ERR_WIREUP, CHARE_ERR_NO_MEMORY; logged.
 */
CHARE_MUST_CHECK chare_status chi_server_environment(
    struct chi_server *server, uint32_t rank, char ***environment_inout);

/* Readable when something below has changed; reading it is chi_server_heed. */
int chi_server_fd(const struct chi_server *server);
void chi_server_heed(struct chi_server *server);

enum chi_server_stage chi_server_stage_get(struct chi_server *server,
                                           uint32_t rank);
void chi_server_abort_get(struct chi_server *server,
                          struct chi_server_abort *out);

#endif /* CHI_PMIX_SERVER_H */
