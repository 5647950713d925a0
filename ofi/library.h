/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OFI_LIBRARY_H
#define CHI_OFI_LIBRARY_H

/*
 * library.h - libfabric, loaded when it is needed and not before.
 *
 * A libfabric with the PSM providers sleeps for 0.2 s while it is loaded
 * (each of the two PSM libraries measures the clock), which every process
 * would pay that is linked against it, jobs of one node included. The few
 * functions that are not inline are therefore found at run time.
 *
 * Libraries under libfabric also set signal handlers (PSM as it is loaded,
 * the provider shm for each endpoint), which would take Ctrl-C from Python:
 * whoever calls libfabric to load or open something saves the handlers
 * before and restores them after.
 */

#include <signal.h>

#include <chare.h>

#include <rdma/fabric.h>

#include "base/log.h"

/* The interface version that is asked for: the oldest that has all we use. */
#define CHI_OFI_API_VERSION FI_VERSION(1, 14)

struct chi_ofi_library {
    void *handle; /* of dlopen(); NULL: not loaded */
    uint32_t (*version)(void);
    int (*getinfo)(uint32_t version, const char *node, const char *service,
                   uint64_t flags, const struct fi_info *hints,
                   struct fi_info **info);
    void (*freeinfo)(struct fi_info *info);
    struct fi_info *(*dupinfo)(const struct fi_info *info);
    int (*fabric)(struct fi_fabric_attr *attr, struct fid_fabric **fabric,
                  void *context);
    const char *(*strerror)(int errnum);
};

enum {
    CHI_OFI_SIGNALS = 32, /* the classic ones, by number; 0 is none */
};

struct chi_ofi_signals {
    struct sigaction actions[CHI_OFI_SIGNALS];
    bool known[CHI_OFI_SIGNALS];
};

void chi_ofi_signals_save(struct chi_ofi_signals *signals);
void chi_ofi_signals_restore(const struct chi_ofi_signals *signals);

/* Errors: CHARE_ERR_NOT_FOUND, with the reason in the log. */
CHARE_MUST_CHECK chare_status chi_ofi_library_open(
    struct chi_ofi_library *library, const struct chi_log *log);

/* The library itself stays in the process: its threads may still end. */
void chi_ofi_library_close(struct chi_ofi_library *library);

#endif /* CHI_OFI_LIBRARY_H */
