/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OFI_OFI_H
#define CHI_OFI_OFI_H

/*
 * ofi.h - messages through libfabric.
 *
 * The provider of net/net.h for other nodes (and, if forced, for this one).
 * No name of libfabric appears here: only this folder knows it.
 */

#include "net/net.h"

extern const struct chi_net_ops chi_net_ofi_ops;

/*
 * For tests, as chi_net_options.provider_options: take the paths that some
 * hardware demands although the chosen provider does not. NULL or all false:
 * only what the provider says.
 */
struct chi_ofi_force {
    bool bounce;        /* send from our own buffers (FI_MR_LOCAL, prefixes) */
    bool local_mr;      /* register what is sent, received or read into */
    bool touch;         /* touch pages before registering (FI_MR_ALLOCATED) */
    bool no_multi_recv; /* one buffer for each message */
    bool no_rma;
    bool no_wait_fd;
    uint64_t chunk_bytes; /* of a get(); 0: what suits */
};

/*
 * What libfabric offers here, one line for each way it offers, and which one
 * chi_net_ofi_ops would choose and why; nothing is opened. For 'chare info'.
 * Errors: CHARE_ERR_NOT_FOUND - no libfabric, or nothing of use; said in the
 * lines too.
 */
CHARE_MUST_CHECK chare_status
chi_ofi_report(const struct chi_log *log, const struct chi_settings *settings,
               void (*line)(void *context, const char *text), void *context);

#endif /* CHI_OFI_OFI_H */
