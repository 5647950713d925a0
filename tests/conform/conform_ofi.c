/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform_ofi.c - the libfabric net keeps the contract of net/net.h.
 *
 * Goal:   every case of net_conform.h on one libfabric provider, named by
 *         OFI_PROVIDER; with OFI_FORCED, on the paths that only some hardware
 *         demands (own send buffers, registered memory, one buffer for each
 *         message, small chunks).
 * Method: one program for each provider, on the loopback interface.
 */
#include "config.h"

#include "conform/net_conform.h"
#include "ofi/ofi.h"
#include "tap/ofi_leaks.h"

static void
adjust(struct chi_settings *settings)
{
    (void)snprintf(settings->ofi_provider, sizeof(settings->ofi_provider),
                   "%s", OFI_PROVIDER);
    (void)snprintf(settings->ofi_interface, sizeof(settings->ofi_interface),
                   "lo");
}

#ifdef OFI_FORCED
static const struct chi_ofi_force force = {
    .bounce = true,
    .local_mr = true,
    .touch = true,
    .no_multi_recv = true,
    .no_wait_fd = true,
    .chunk_bytes = 100000,
};

static struct chi_net_ops ops;

static chare_status
open_forced(const struct chi_net_options *options,
            const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct chi_net_options changed = *options;
    chare_status status;

    changed.provider_options = (void *)(uintptr_t)&force;
    status = chi_net_ofi_ops.open(&changed, sink, net_out);
    if (status == CHARE_OK) {
        (*net_out)->ops = &ops;
    }
    return status;
}

static const struct net_conform conform = {.ops = &ops, .adjust = adjust};

int
main(int argc, char **argv)
{
    ops = chi_net_ofi_ops;
    ops.open = open_forced;
    return net_conform_run(&conform, argc, argv);
}
#else
static const struct net_conform conform = {
    .ops = &chi_net_ofi_ops,
    .adjust = adjust,
#ifdef OFI_NO_SURVIVORS
    /* The provider shm maps the memory of endpoints of its own process
     * directly and crashes once one of them is closed. */
    .no_survivors = true,
#endif
};

NET_CONFORM_MAIN(&conform)
#endif
