/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats.c - what entry methods cost.
 */
#include "config.h"

#include "api/api.h"

void
chare_stats_measure(chare_runtime *runtime, bool on)
{
    chi_stats_measure(runtime->pe, on);
}

bool
chare_stats_measured(const chare_runtime *runtime)
{
    return runtime->pe->stats.on;
}

void
chare_stats_charge(chare_runtime *runtime, uint32_t entry)
{
    if (runtime->pe->stats.on && entry == 0) {
        chi_stats_begin(runtime->pe);
    } else if (runtime->pe->stats.on) {
        chi_stats_charge(runtime->pe, entry);
    }
}

void
chare_stats_keep(chare_runtime *runtime, uint32_t entry)
{
    struct chi_stats_item *item =
        entry == 0 || entry >= runtime->registry.entry_count
            ? NULL
            : chi_stats_entry(&runtime->pe->stats, entry);

    if (item != NULL) {
        item->kept++;
    }
}

uint64_t
chare_stats_kept(const chare_runtime *runtime, uint32_t entry)
{
    const struct chi_stats *stats = &runtime->pe->stats;

    return entry < stats->entry_room ? stats->entries[entry].kept : 0;
}

chare_status
chare_stats_get(chare_runtime *runtime, const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (callback == NULL || !chi_cb_ok(&runtime->cb, callback)) {
        return CHARE_ERR_INVALID;
    }
    return chi_rt_stats_get(runtime, callback);
}

chare_status
chare_stats_print(chare_runtime *runtime, const chare_callback *done)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, done)) {
        return CHARE_ERR_INVALID;
    }
    return chi_rt_stats_print(runtime, done);
}
