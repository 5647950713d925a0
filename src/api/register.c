/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * register.c - types, entry methods, functions, maps and reducers.
 */
#include "config.h"

#include "api/api.h"

chare_status
chare_type_register(chare_runtime *runtime, const chare_type_ops *ops,
                    void *context, uint32_t *type_out)
{
    return chi_registry_add_type(&runtime->registry, ops, context, type_out);
}

chare_status
chare_entry_register(chare_runtime *runtime, uint32_t type, const char *name,
                     chare_entry_fn function, void *context,
                     uint32_t *entry_out)
{
    return chi_registry_add_entry(&runtime->registry, type, name, function,
                                  context, entry_out);
}

chare_status
chare_entry_aggregate(chare_runtime *runtime, uint32_t entry, bool on)
{
    if (entry == 0 || entry >= runtime->registry.entry_count) {
        return CHARE_ERR_INVALID;
    }
    return chi_pack_entry(runtime->pe, entry, on);
}

chare_status
chare_function_register(chare_runtime *runtime, const char *name,
                        chare_function_fn function, void *context,
                        uint32_t *function_out)
{
    return chi_registry_add_function(&runtime->registry, name, function,
                                     context, function_out);
}

chare_status
chare_map_register(chare_runtime *runtime, chare_map_fn function,
                   void *context, uint32_t *map_out)
{
    return chi_registry_add_map(&runtime->registry, function, context,
                                map_out);
}

chare_status
chare_reducer_register(chare_runtime *runtime, const char *name,
                       chare_combine_fn combine, bool ordered, void *context,
                       uint32_t *reducer_out)
{
    chare_status status = chi_coll_add_reducer(runtime->coll, name, combine,
                                               ordered, context, reducer_out);

    if (status == CHARE_OK) {
        chi_registry_note(&runtime->registry, "reducer", name);
    }
    return status;
}

chare_status
chare_type_find(const chare_runtime *runtime, const char *name,
                uint32_t *type_out)
{
    return chi_registry_find_type(&runtime->registry, name, type_out);
}

chare_status
chare_entry_find(const chare_runtime *runtime, uint32_t type, const char *name,
                 uint32_t *entry_out)
{
    const uint32_t found =
        type >= runtime->registry.type_count
            ? 0
            : chi_registry_entry_named(&runtime->registry, type, name);

    if (found == 0) {
        return CHARE_ERR_NOT_FOUND;
    }
    *entry_out = found;
    return CHARE_OK;
}

const char *
chare_entry_name(const chare_runtime *runtime, uint32_t entry)
{
    return chi_registry_entry_name(&runtime->registry, entry);
}
