/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wireup.c - the checked calls into a provider.
 */
#include "config.h"

#include "wireup/wireup.h"

#include "base/check.h"

chare_status
chi_wireup_open(const struct chi_wireup_ops *ops,
                const struct chi_wireup_options *options,
                struct chi_wireup **out)
{
    struct chi_wireup *wireup = NULL;
    chare_status status;

    chi_assert(ops->abi == CHI_WIREUP_ABI);
    chi_assert(options->log != NULL);
    chi_assert(options->settings != NULL);
    status = ops->open(options, &wireup);
    if (status != CHARE_OK) {
        return status;
    }
    chi_assert(wireup->ops == ops);
    chi_assert(wireup->size > 0);
    chi_assert(wireup->rank < wireup->size);
    chi_assert(wireup->launcher != NULL);
    chi_assert(wireup->job != NULL);
    chi_assert(wireup->host != NULL);
    *out = wireup;
    return CHARE_OK;
}

void
chi_wireup_close(struct chi_wireup *wireup)
{
    if (wireup != NULL) {
        wireup->ops->close(wireup);
    }
}

chare_status
chi_wireup_exchange(struct chi_wireup *wireup, const void *blob, size_t len,
                    struct chi_wireup_table *out)
{
    chare_status status;

    chi_assert(blob != NULL);
    chi_assert(len > 0);
    status = wireup->ops->exchange(wireup, blob, len, out);
    chi_assert(status != CHARE_OK || out->count == wireup->size);
    return status;
}

void
chi_wireup_abort(struct chi_wireup *wireup, int code, const char *text)
{
    chi_assert(code != 0);
    wireup->ops->abort(wireup, code, text);
}
