/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * providers.c - which providers there are, and which are tried: the only list.
 */
#include "config.h"

#include <string.h>

#include "net/shm.h"
#include "pmix/client.h"
#include "rt/runtime.h"
#include "wireup/local.h"
#if CHI_WITH_LIBFABRIC
#include "ofi/ofi.h"
#endif

chare_status
chi_rt_wireup_open(chare_runtime *runtime, bool single)
{
    const struct chi_wireup_options options = {
        .log = &runtime->log,
        .settings = &runtime->settings,
    };

    if (!single) {
        chare_status status =
            chi_wireup_open(&chi_wireup_pmix_ops, &options, &runtime->wireup);

        if (status != CHARE_ERR_NOT_FOUND) {
            return status;
        }
    }
    return chi_wireup_open(&chi_wireup_local_ops, &options, &runtime->wireup);
}

static chare_status
shm_open_net(chare_runtime *runtime)
{
    return chi_route_open_net(runtime->route, &chi_net_shm_ops, &runtime->shm);
}

static chare_status
ofi_open_net(chare_runtime *runtime)
{
#if CHI_WITH_LIBFABRIC
    return chi_route_open_net(runtime->route, &chi_net_ofi_ops, &runtime->ofi);
#else
    chi_log_error(&runtime->log,
                  "this job needs a fabric (it has several nodes, or "
                  "CHARE_NET=ofi), and chare was built without libfabric");
    return CHARE_ERR_NOT_FOUND;
#endif
}

chare_status
chi_rt_nets_open(chare_runtime *runtime)
{
    const char *net = runtime->settings.net;
    const struct chi_wireup *wireup = runtime->wireup;
    const bool one_node = wireup->local_size == wireup->size;
    chare_status status = CHARE_OK;

    if (strcmp(net, "auto") != 0 && strcmp(net, "shm") != 0 &&
        strcmp(net, "ofi") != 0) {
        chi_log_error(&runtime->log,
                      "CHARE_NET=%s: should be auto, shm or ofi", net);
        return CHARE_ERR_INVALID;
    }
    if (strcmp(net, "ofi") != 0) {
        status = shm_open_net(runtime);
    }
    if (status == CHARE_OK &&
        (strcmp(net, "ofi") == 0 || (strcmp(net, "auto") == 0 && !one_node))) {
        status = ofi_open_net(runtime);
    }
    return status;
}
