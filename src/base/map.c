/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - growth and removal; look-up is in the header.
 *
 * Invariant: at most 3/4 of the slots are used, so a probe always ends.
 */
#include "config.h"

#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"

enum {
    MAP_SLOTS_MIN = 16
};

void
chi_map_init(struct chi_map *map)
{
    *map = (struct chi_map){.shift = 64};
}

void
chi_map_fini(struct chi_map *map)
{
    free(map->slots);
    chi_map_init(map);
}

/* Put a pair that is known to be absent into a map with a free slot. */
static void
map_place(struct chi_map *map, uint64_t key, void *value)
{
    size_t i = chi_map_home(map, key);

    while (map->slots[i].value != NULL) {
        i = (i + 1) & map->mask;
    }
    map->slots[i] = (struct chi_map_slot){.key = key, .value = value};
    map->count++;
}

static chare_status
map_grow(struct chi_map *map)
{
    const size_t slots_old = map->slots == NULL ? 0 : map->mask + 1;
    const size_t slots_new = slots_old == 0 ? MAP_SLOTS_MIN : slots_old * 2;
    struct chi_map grown;

    grown.slots = calloc(slots_new, sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    grown.mask = slots_new - 1;
    grown.shift = 64u - (unsigned)__builtin_ctzll(slots_new);
    grown.count = 0;
    for (size_t i = 0; i < slots_old; i++) {
        if (map->slots[i].value != NULL) {
            map_place(&grown, map->slots[i].key, map->slots[i].value);
        }
    }
    chi_assert(grown.count == map->count);
    free(map->slots);
    *map = grown;
    return CHARE_OK;
}

chare_status
chi_map_put(struct chi_map *map, uint64_t key, void *value)
{
    chi_assert(value != NULL);
    if (map->slots != NULL) {
        size_t i = chi_map_home(map, key);

        for (; map->slots[i].value != NULL; i = (i + 1) & map->mask) {
            if (map->slots[i].key == key) {
                map->slots[i].value = value;
                return CHARE_OK;
            }
        }
    }
    if (map->slots == NULL || (map->count + 1) * 4 > (map->mask + 1) * 3) {
        chare_status status = map_grow(map);

        if (status != CHARE_OK) {
            return status;
        }
    }
    map_place(map, key, value);
    return CHARE_OK;
}

void *
chi_map_remove(struct chi_map *map, uint64_t key)
{
    size_t hole;
    void *value;

    if (map->count == 0) {
        return NULL;
    }
    for (hole = chi_map_home(map, key); map->slots[hole].key != key;
         hole = (hole + 1) & map->mask) {
        if (map->slots[hole].value == NULL) {
            return NULL;
        }
    }
    value = map->slots[hole].value;
    if (value == NULL) {
        return NULL; /* a free slot whose stale key is the same */
    }
    for (size_t i = (hole + 1) & map->mask; map->slots[i].value != NULL;
         i = (i + 1) & map->mask) {
        const size_t home = chi_map_home(map, map->slots[i].key);

        /* Move it into the hole unless its home lies behind the hole. */
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct chi_map_slot){0};
    map->count--;
    return value;
}

bool
chi_map_next(const struct chi_map *map, size_t *cursor_inout,
             uint64_t *key_out, void **value_out)
{
    if (map->slots == NULL) {
        return false;
    }
    for (size_t i = *cursor_inout; i <= map->mask; i++) {
        if (map->slots[i].value != NULL) {
            *key_out = map->slots[i].key;
            *value_out = map->slots[i].value;
            *cursor_inout = i + 1;
            return true;
        }
    }
    return false;
}
