/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_INFO_H
#define CHI_PMIX_INFO_H

/*
 * info.h - fill PMIx's attribute structures, the same way for all versions.
 *
 * Strings are not copied: such an attribute is for passing on at once, and is
 * never given to PMIX_INFO_FREE().
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pmix.h>
#include <pmix_version.h>

static inline pmix_value_t *
chi_pmix_info_init(pmix_info_t *info, const char *key, pmix_data_type_t type)
{
    memset(info, 0, sizeof(*info));
    snprintf(info->key, sizeof(info->key), "%s", key);
    info->value.type = type;
    return &info->value;
}

static inline void
chi_pmix_info_bool(pmix_info_t *info, const char *key, bool value)
{
    chi_pmix_info_init(info, key, PMIX_BOOL)->data.flag = value;
}

static inline void
chi_pmix_info_int(pmix_info_t *info, const char *key, int value)
{
    chi_pmix_info_init(info, key, PMIX_INT)->data.integer = value;
}

static inline void
chi_pmix_info_u16(pmix_info_t *info, const char *key, uint16_t value)
{
    chi_pmix_info_init(info, key, PMIX_UINT16)->data.uint16 = value;
}

static inline void
chi_pmix_info_u32(pmix_info_t *info, const char *key, uint32_t value)
{
    chi_pmix_info_init(info, key, PMIX_UINT32)->data.uint32 = value;
}

static inline void
chi_pmix_info_rank(pmix_info_t *info, const char *key, pmix_rank_t value)
{
    chi_pmix_info_init(info, key, PMIX_PROC_RANK)->data.rank = value;
}

static inline void
chi_pmix_info_text(pmix_info_t *info, const char *key, char *value)
{
    chi_pmix_info_init(info, key, PMIX_STRING)->data.string = value;
}

static inline void
chi_pmix_proc_set(pmix_proc_t *proc, const char *nspace, pmix_rank_t rank)
{
    memset(proc, 0, sizeof(*proc));
    snprintf(proc->nspace, sizeof(proc->nspace), "%s", nspace);
    proc->rank = rank;
}

/* Does a fence say that some of its processes have gone? */
static inline bool
chi_pmix_partial(pmix_status_t rc)
{
#if PMIX_VERSION_MAJOR >= 4
    return rc == PMIX_ERR_PARTIAL_SUCCESS || rc == PMIX_ERR_LOST_CONNECTION;
#else
    return rc == PMIX_ERR_LOST_PEER_CONNECTION;
#endif
}

#endif /* CHI_PMIX_INFO_H */
