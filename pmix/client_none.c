/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_none.c - the PMIx wire-up of a build without PMIx: never there.
 */
#include "config.h"

#include "pmix/client.h"

#include "base/check.h"
#include "pmix/claim.h"

static chare_status
none_open(const struct chi_wireup_options *options, struct chi_wireup **out)
{
    struct chi_pmix_claim claim;

    (void)out;
    if (!chi_pmix_claim_find(&claim)) {
        return CHARE_ERR_NOT_FOUND;
    }
    chi_log_error(options->log,
                  "this is one of %llu processes (%s), but the library was "
                  "built without PMIx and cannot find the others. Configure "
                  "it with PMIx, or start one process.",
                  (unsigned long long)claim.size, claim.variable);
    return CHARE_ERR_WIREUP;
}

/* None of these is reached, for open() never succeeds. */

static void
none_close(struct chi_wireup *wireup)
{
    (void)wireup;
    chi_assert(false);
}

static chare_status
none_exchange(struct chi_wireup *wireup, const void *blob, size_t len,
              struct chi_wireup_table *out)
{
    (void)wireup;
    (void)blob;
    (void)len;
    (void)out;
    chi_assert(false);
    return CHARE_ERR_STATE;
}

static void
none_abort(struct chi_wireup *wireup, int code, const char *text)
{
    (void)wireup;
    (void)code;
    (void)text;
    chi_assert(false);
}

const struct chi_wireup_ops chi_wireup_pmix_ops = {
    .name = "pmix",
    .abi = CHI_WIREUP_ABI,
    .open = none_open,
    .close = none_close,
    .exchange = none_exchange,
    .abort = none_abort,
};
