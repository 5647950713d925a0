/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_ENTRY_REGISTRY_H
#define CHI_ENTRY_REGISTRY_H

/*
 * registry.h - what every PE has registered in the same order: types, entry
 * methods, functions, maps. Ids are positions, so they are equal everywhere;
 * a digest of the names is compared at the start.
 */

#include <stdint.h>

#include <chare.h>

enum {
    CHI_REGISTRY_ITEMS_MAX = 1 << 20, /* of each kind */
    CHI_MAP_CUSTOM_FIRST = 16,        /* ids of registered maps */
};

struct chi_type {
    chare_type_ops ops; /* ops.name is owned here */
    void *context;
};

struct chi_entry {
    char *name; /* "Type.method" */
    uint32_t type;
    chare_entry_fn function;
    void *context;
};

struct chi_function {
    char *name;
    chare_function_fn function;
    void *context;
};

struct chi_index_map {
    chare_map_fn function;
    void *context;
};

struct chi_registry {
    struct chi_type *types;
    struct chi_entry *entries;
    struct chi_function *functions;
    struct chi_index_map *maps;
    uint32_t type_count;
    uint32_t entry_count;
    uint32_t function_count;
    uint32_t map_count;
    uint64_t digest; /* of everything registered so far, in order */
};

void chi_registry_init(struct chi_registry *registry);
void chi_registry_fini(struct chi_registry *registry);

/* As the public functions of these names; the id goes to *id_out. */
CHARE_MUST_CHECK chare_status
chi_registry_add_type(struct chi_registry *registry, const chare_type_ops *ops,
                      void *context, uint32_t *id_out);
CHARE_MUST_CHECK chare_status chi_registry_add_entry(
    struct chi_registry *registry, uint32_t type, const char *name,
    chare_entry_fn function, void *context, uint32_t *id_out);
CHARE_MUST_CHECK chare_status chi_registry_add_function(
    struct chi_registry *registry, const char *name,
    chare_function_fn function, void *context, uint32_t *id_out);
CHARE_MUST_CHECK chare_status
chi_registry_add_map(struct chi_registry *registry, chare_map_fn function,
                     void *context, uint32_t *id_out);

/* Mix a name registered elsewhere (a reducer) into the digest. */
void chi_registry_note(struct chi_registry *registry, const char *kind,
                       const char *name);

/* A type by its name; CHARE_ERR_NOT_FOUND. */
CHARE_MUST_CHECK chare_status chi_registry_find_type(
    const struct chi_registry *registry, const char *name, uint32_t *id_out);

/* A type's entry by its name, without the type's; 0: there is none. */
uint32_t chi_registry_entry_named(const struct chi_registry *registry,
                                  uint32_t type, const char *name);

/* "Type.method", or "?" for no entry. */
const char *chi_registry_entry_name(const struct chi_registry *registry,
                                    uint32_t id);
const char *chi_registry_type_name(const struct chi_registry *registry,
                                   uint32_t id);

#endif /* CHI_ENTRY_REGISTRY_H */
