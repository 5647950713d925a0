/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - sleeping until something happens.
 */
#include "config.h"

#include "ofi/state.h"

/* A get of which nothing is under way: no completion will move it on. */
static bool
get_waits(const struct chi_ofi *ofi)
{
    const struct chi_ofi_get *get = ofi->gets_active;

    while (get != NULL && get->under_way > 0) {
        get = get->next;
    }
    return get != NULL;
}

int
chi_ofi_wait_fd(const struct chi_net *net)
{
    return chi_ofi_of(net)->wait_fd;
}

chare_status
chi_ofi_wait_begin(struct chi_net *net)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    struct fid *fids[1] = {&ofi->cq->fid};

    if (ofi->arrived.head != NULL || ofi->lost != NULL ||
        ofi->gets_done != NULL || ofi->unposted != NULL ||
        ofi->stalled != NULL || get_waits(ofi)) {
        return CHARE_ERR_AGAIN;
    }
    if (ofi->wait_fd < 0) {
        return CHARE_OK;
    }
    /* Anything but success means that a sleep could miss something. */
    return fi_trywait(ofi->fabric, fids, 1) == 0 ? CHARE_OK : CHARE_ERR_AGAIN;
}

void
chi_ofi_wait_end(struct chi_net *net)
{
    (void)net;
}
