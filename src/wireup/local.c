/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * local.c - one process alone: the exchange gives back its own blob.
 */
#include "config.h"

#include "wireup/local.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HOST_BYTES = 256
};

struct local_wireup {
    struct chi_wireup wireup; /* first */
    char host[HOST_BYTES];
    unsigned char *blob;
    size_t offsets[2];
};

static chare_status
local_open(const struct chi_wireup_options *options, struct chi_wireup **out)
{
    struct local_wireup *local = calloc(1, sizeof(*local));

    (void)options;
    if (local == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (gethostname(local->host, sizeof(local->host) - 1) != 0) {
        strcpy(local->host, "localhost");
    }
    local->wireup = (struct chi_wireup){
        .ops = &chi_wireup_local_ops,
        .rank = 0,
        .size = 1,
        .local_size = 1,
        .launcher = "none",
        .job = "local",
        .host = local->host,
    };
    *out = &local->wireup;
    return CHARE_OK;
}

static void
local_close(struct chi_wireup *wireup)
{
    struct local_wireup *local = (struct local_wireup *)wireup;

    free(local->blob);
    free(local);
}

static chare_status
local_exchange(struct chi_wireup *wireup, const void *blob, size_t len,
               struct chi_wireup_table *out)
{
    struct local_wireup *local = (struct local_wireup *)wireup;

    free(local->blob);
    local->blob = malloc(len);
    if (local->blob == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(local->blob, blob, len);
    local->offsets[1] = len;
    *out = (struct chi_wireup_table){
        .count = 1,
        .offsets = local->offsets,
        .bytes = local->blob,
    };
    return CHARE_OK;
}

static void
local_abort(struct chi_wireup *wireup, int code, const char *text)
{
    (void)wireup;
    (void)code;
    (void)text; /* there is nobody else to end */
}

const struct chi_wireup_ops chi_wireup_local_ops = {
    .name = "local",
    .abi = CHI_WIREUP_ABI,
    .open = local_open,
    .close = local_close,
    .exchange = local_exchange,
    .abort = local_abort,
};
