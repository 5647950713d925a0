/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - registering memory as the provider wants it.
 *
 * There is no cache of registrations: providers for which they are costly
 * keep one themselves, with a watch on munmap() that we do not have. What is
 * registered often (send and receive buffers) is registered once.
 */
#include "config.h"

#include <unistd.h>

#include "ofi/state.h"

/* Read one byte of each page, so that it is there. */
static void
touch(const void *bytes, uint64_t len)
{
    const volatile unsigned char *at = bytes;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint64_t i = 0; i < len; i += page) {
        (void)at[i];
    }
    (void)at[len - 1];
}

/* Write one too: a page that was only read may still be the shared zeros. */
static void
touch_for_writing(void *bytes, uint64_t len)
{
    volatile unsigned char *at = bytes;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint64_t i = 0; i < len; i += page) {
        at[i] = at[i];
    }
    at[len - 1] = at[len - 1];
}

chare_status
chi_ofi_memory_register(struct chi_ofi *ofi, const void *bytes, uint64_t len,
                        uint64_t access, struct fid_mr **mr_out)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, len};
    const struct fi_mr_attr attr = {
        .mr_iov = &iov,
        .iov_count = 1,
        .access = access,
        .requested_key = ofi->plan.provider_keys ? 0 : ofi->next_key,
    };
    struct fid_mr *mr = NULL;
    int rc;

    chi_assert(len > 0);
    if (ofi->plan.touch) {
        if ((access & (FI_RECV | FI_READ)) != 0) {
            touch_for_writing(iov.iov_base, len);
        } else {
            touch(bytes, len);
        }
    }
    rc = fi_mr_regattr(ofi->domain, &attr, 0, &mr);
    if (rc == 0 && ofi->plan.endpoint_mr) {
        rc = fi_mr_bind(mr, &ofi->ep->fid, 0);
        rc = rc != 0 ? rc : fi_mr_enable(mr);
    }
    if (rc == -FI_EAGAIN) {
        if (mr != NULL) {
            (void)fi_close(&mr->fid);
        }
        return CHARE_ERR_AGAIN;
    }
    if (rc != 0) {
        chi_log_error(chi_ofi_log(ofi), "ofi: cannot register %llu bytes: %s",
                      (unsigned long long)len, ofi->library.strerror(-rc));
        if (mr != NULL) {
            (void)fi_close(&mr->fid);
        }
        return CHARE_ERR_FABRIC;
    }
    /* Keys are not used again soon, even where they are few. */
    ofi->next_key = ofi->next_key == ofi->plan.key_max ? 1 : ofi->next_key + 1;
    *mr_out = mr;
    return CHARE_OK;
}
