/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * registry.c - growing tables of registered things.
 *
 * Entry 0 is nobody's: it stands for "no entry", as the caller of a message
 * that was sent from outside any entry method.
 */
#include "config.h"

#include "entry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"

void
chi_registry_init(struct chi_registry *registry)
{
    *registry = (struct chi_registry){.digest = 1};
}

void
chi_registry_fini(struct chi_registry *registry)
{
    for (uint32_t i = 0; i < registry->type_count; i++) {
        free((void *)(uintptr_t)registry->types[i].ops.name);
    }
    for (uint32_t i = 0; i < registry->entry_count; i++) {
        free(registry->entries[i].name);
    }
    for (uint32_t i = 0; i < registry->function_count; i++) {
        free(registry->functions[i].name);
    }
    free(registry->types);
    free(registry->entries);
    free(registry->functions);
    free(registry->maps);
    chi_registry_init(registry);
}

void
chi_registry_note(struct chi_registry *registry, const char *kind,
                  const char *name)
{
    uint64_t digest = chi_mix64(registry->digest ^ (uint64_t)kind[0]);

    for (const char *c = name; *c != '\0'; c++) {
        digest = (digest ^ (unsigned char)*c) * 0x100000001b3ull;
    }
    registry->digest = chi_mix64(digest);
}

/*
 * Room for one more item: the array doubles at powers of two.
 */
static chare_status
table_grow(void **items_inout, uint32_t count, size_t item_bytes)
{
    void *grown;

    if (count == CHI_REGISTRY_ITEMS_MAX) {
        return CHARE_ERR_TOO_LARGE;
    }
    if ((count & (count - 1)) != 0) {
        return CHARE_OK; /* not a power of two: there is room */
    }
    grown = realloc(*items_inout,
                    (count == 0 ? 1 : 2 * (size_t)count) * item_bytes);
    if (grown == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *items_inout = grown;
    return CHARE_OK;
}

static bool
name_ok(const char *name)
{
    return name != NULL && name[0] != '\0' &&
           strlen(name) <= CHARE_NAME_BYTES_MAX;
}

chare_status
chi_registry_add_type(struct chi_registry *registry, const chare_type_ops *ops,
                      void *context, uint32_t *id_out)
{
    struct chi_type type = {.context = context};
    chare_status status;
    void *table = registry->types;

    if (ops == NULL) {
        return CHARE_ERR_INVALID;
    }
    memcpy(&type.ops, ops,
           ops->size < sizeof(type.ops) ? ops->size : sizeof(type.ops));
    if (!name_ok(type.ops.name) || type.ops.create == NULL ||
        (type.ops.pack == NULL) != (type.ops.unpack == NULL)) {
        return CHARE_ERR_INVALID;
    }
    status = table_grow(&table, registry->type_count, sizeof(type));
    registry->types = table;
    if (status != CHARE_OK) {
        return status;
    }
    type.ops.name = strdup(ops->name);
    if (type.ops.name == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_registry_note(registry, "type", ops->name);
    registry->types[registry->type_count] = type;
    *id_out = registry->type_count++;
    return CHARE_OK;
}

static chare_status
entry_place(struct chi_registry *registry, uint32_t type, char *name,
            chare_entry_fn function, void *context, uint32_t *id_out)
{
    void *table = registry->entries;
    chare_status status;

    status =
        table_grow(&table, registry->entry_count, sizeof(*registry->entries));
    registry->entries = table;
    if (status != CHARE_OK) {
        return status;
    }
    registry->entries[registry->entry_count] = (struct chi_entry){
        .name = name,
        .type = type,
        .function = function,
        .context = context,
    };
    *id_out = registry->entry_count++;
    return CHARE_OK;
}

chare_status
chi_registry_add_entry(struct chi_registry *registry, uint32_t type,
                       const char *name, chare_entry_fn function,
                       void *context, uint32_t *id_out)
{
    const char *type_name;
    char *full;
    size_t room;
    chare_status status;

    if (type >= registry->type_count || !name_ok(name) ||
        (function == NULL && registry->types[type].ops.invoke == NULL)) {
        return CHARE_ERR_INVALID;
    }
    if (registry->entry_count == 0) {
        uint32_t nobody;

        status = entry_place(registry, 0, NULL, NULL, NULL, &nobody);
        if (status != CHARE_OK) {
            return status;
        }
        chi_assert(nobody == 0);
    }
    type_name = registry->types[type].ops.name;
    room = strlen(type_name) + strlen(name) + 2;
    full = malloc(room);
    if (full == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    snprintf(full, room, "%s.%s", type_name, name);
    status = entry_place(registry, type, full, function, context, id_out);
    if (status != CHARE_OK) {
        free(full);
        return status;
    }
    chi_registry_note(registry, "entry", full);
    return CHARE_OK;
}

chare_status
chi_registry_add_function(struct chi_registry *registry, const char *name,
                          chare_function_fn function, void *context,
                          uint32_t *id_out)
{
    void *table = registry->functions;
    chare_status status;
    char *copy;

    if (!name_ok(name) || function == NULL) {
        return CHARE_ERR_INVALID;
    }
    status = table_grow(&table, registry->function_count,
                        sizeof(*registry->functions));
    registry->functions = table;
    if (status != CHARE_OK) {
        return status;
    }
    copy = strdup(name);
    if (copy == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_registry_note(registry, "function", name);
    registry->functions[registry->function_count] = (struct chi_function){
        .name = copy,
        .function = function,
        .context = context,
    };
    *id_out = registry->function_count++;
    return CHARE_OK;
}

chare_status
chi_registry_add_map(struct chi_registry *registry, chare_map_fn function,
                     void *context, uint32_t *id_out)
{
    void *table = registry->maps;
    chare_status status;

    if (function == NULL) {
        return CHARE_ERR_INVALID;
    }
    status = table_grow(&table, registry->map_count, sizeof(*registry->maps));
    registry->maps = table;
    if (status != CHARE_OK) {
        return status;
    }
    chi_registry_note(registry, "map", "");
    registry->maps[registry->map_count] = (struct chi_index_map){
        .function = function,
        .context = context,
    };
    *id_out = CHI_MAP_CUSTOM_FIRST + registry->map_count++;
    return CHARE_OK;
}

const char *
chi_registry_entry_name(const struct chi_registry *registry, uint32_t id)
{
    return id == 0 || id >= registry->entry_count ? "?"
                                                  : registry->entries[id].name;
}

const char *
chi_registry_type_name(const struct chi_registry *registry, uint32_t id)
{
    return id >= registry->type_count ? "?" : registry->types[id].ops.name;
}

chare_status
chi_registry_find_type(const struct chi_registry *registry, const char *name,
                       uint32_t *id_out)
{
    for (uint32_t i = 0; i < registry->type_count; i++) {
        if (strcmp(registry->types[i].ops.name, name) == 0) {
            *id_out = i;
            return CHARE_OK;
        }
    }
    return CHARE_ERR_NOT_FOUND;
}

uint32_t
chi_registry_entry_named(const struct chi_registry *registry, uint32_t type,
                         const char *name)
{
    const size_t skip = strlen(registry->types[type].ops.name) + 1;

    for (uint32_t i = 1; i < registry->entry_count; i++) {
        const struct chi_entry *entry = &registry->entries[i];

        if (entry->type == type && strcmp(entry->name + skip, name) == 0) {
            return i;
        }
    }
    return 0;
}
