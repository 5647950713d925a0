/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server_none.c - the server of a build without PMIx: one rank needs none.
 */
#include "config.h"

#include "pmix/server.h"

#include <stdlib.h>

struct chi_server {
    int fd; /* never readable: poll() passes over negative ones */
};

chare_status
chi_server_open(const struct chi_server_options *options,
                struct chi_server **out)
{
    struct chi_server *server;

    if (options->rank_count > 1) {
        chi_log_error(options->log,
                      "this chare was built without PMIx and can start one "
                      "process only. Configure it with PMIx for -n %u.",
                      options->rank_count);
        return CHARE_ERR_WIREUP;
    }
    server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    server->fd = -1;
    *out = server;
    return CHARE_OK;
}

chare_status
chi_server_environment(struct chi_server *server, uint32_t rank,
                       char ***environment_inout)
{
    (void)server;
    (void)rank;
    (void)environment_inout;
    return CHARE_OK;
}

int
chi_server_fd(const struct chi_server *server)
{
    return server->fd;
}

void
chi_server_heed(struct chi_server *server)
{
    (void)server;
}

enum chi_server_stage
chi_server_stage_get(struct chi_server *server, uint32_t rank)
{
    (void)server;
    (void)rank;
    return CHI_SERVER_DONE;
}

void
chi_server_abort_get(struct chi_server *server, struct chi_server_abort *out)
{
    (void)server;
    *out = (struct chi_server_abort){.called = false};
}
