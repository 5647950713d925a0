/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_MAP_H
#define CHI_BASE_MAP_H

/*
 * map.h - a hash map from 64-bit keys to pointers.
 *
 * Open addressing with linear probing and backward-shift deletion (Knuth,
 * TAOCP 6.4, algorithm R), so there are no tombstones and a look-up touches
 * one cache line nearly always. Values are not NULL. Not for threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/prng.h"

struct chi_map_slot {
    uint64_t key;
    void *value; /* NULL: the slot is free */
};

struct chi_map {
    struct chi_map_slot *slots;
    size_t mask; /* slots - 1; slots is a power of two */
    size_t count;
    unsigned shift; /* 64 - log2(slots) */
};

/* An empty map; allocates nothing until the first put. */
void chi_map_init(struct chi_map *map);

/* Free the slots; the values belong to the caller. Accepts an empty map. */
void chi_map_fini(struct chi_map *map);

/* Set or replace. Errors: CHARE_ERR_NO_MEMORY, and then nothing changed. */
CHARE_MUST_CHECK chare_status chi_map_put(struct chi_map *map, uint64_t key,
                                          void *value);

/* Remove; returns the value, or NULL when there was none. */
void *chi_map_remove(struct chi_map *map, uint64_t key);

/*
 * Walk all pairs: start with *cursor_inout = 0; false at the end. The map must
 * not change during a walk, except that the pair just returned may be removed
 * if the walk then restarts from 0.
 */
bool chi_map_next(const struct chi_map *map, size_t *cursor_inout,
                  uint64_t *key_out, void **value_out);

static inline size_t
chi_map_home(const struct chi_map *map, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15ull) >> map->shift);
}

/* The value of 'key', or NULL. */
static inline void *
chi_map_get(const struct chi_map *map, uint64_t key)
{
    if (map->count == 0) {
        return NULL;
    }
    for (size_t i = chi_map_home(map, key);; i = (i + 1) & map->mask) {
        const struct chi_map_slot *slot = &map->slots[i];

        if (slot->value == NULL || slot->key == key) {
            return slot->value;
        }
    }
}

#endif /* CHI_BASE_MAP_H */
