/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * index.c - indices as keys, as positions in dense arrays, and as text.
 *
 * A key holds all dimensions, each in 64 / ndims bits, two's complement. What
 * does not fit is "wide": its key is a hash, and the index travels along.
 */
#include "config.h"

#include <stdio.h>

#include "base/prng.h"
#include "obj/obj_private.h"

static const unsigned key_bits[CHARE_DIMS_MAX + 1] = {0,  64, 32, 21,
                                                      16, 12, 10};

bool
chi_index_pack(const chare_index *index, uint64_t *key_out)
{
    const unsigned bits = key_bits[index->ndims];
    uint64_t key = 0;

    if (chi_likely(index->ndims == 1)) {
        *key_out = (uint64_t)index->at[0];
        return true;
    }
    for (uint32_t i = 0; i < index->ndims; i++) {
        const int64_t limit = (int64_t)1 << (bits - 1);

        if (index->at[i] < -limit || index->at[i] >= limit) {
            key = index->ndims;
            for (uint32_t j = 0; j < index->ndims; j++) {
                key = chi_mix64(key ^ (uint64_t)index->at[j]);
            }
            *key_out = key;
            return false;
        }
        key = key << bits | ((uint64_t)index->at[i] & ((1ull << bits) - 1));
    }
    *key_out = key;
    return true;
}

void
chi_index_unpack(uint64_t key, uint32_t ndims, chare_index *out)
{
    const unsigned bits = key_bits[ndims];

    *out = (chare_index){.ndims = ndims};
    for (uint32_t i = ndims; i-- > 0;) {
        out->at[i] = (int64_t)(key << (64 - bits)) >> (64 - bits);
        key = bits == 64 ? 0 : key >> bits;
    }
}

bool
chi_index_position(const struct chi_collection_spec *spec,
                   const chare_index *index, uint64_t *position_out)
{
    uint64_t position = 0;

    for (uint32_t i = 0; i < spec->ndims; i++) {
        if (index->at[i] < 0 || index->at[i] >= spec->dims[i]) {
            return false;
        }
        position = position * (uint64_t)spec->dims[i] + (uint64_t)index->at[i];
    }
    *position_out = position;
    return true;
}

void
chi_index_at_position(const struct chi_collection_spec *spec,
                      uint64_t position, chare_index *out)
{
    *out = (chare_index){.ndims = spec->ndims};
    for (uint32_t i = spec->ndims; i-- > 0;) {
        out->at[i] = (int64_t)(position % (uint64_t)spec->dims[i]);
        position /= (uint64_t)spec->dims[i];
    }
}

static uint32_t
hash_home(const chare_index *index, uint32_t pe_count)
{
    uint64_t hash = index->ndims;

    for (uint32_t i = 0; i < index->ndims; i++) {
        hash = chi_mix64(hash ^ (uint64_t)index->at[i]);
    }
    return (uint32_t)(hash % pe_count);
}

/* The first 'count % pe_count' PEs have one more than the others. */
static uint32_t
block_home(uint64_t position, uint64_t count, uint32_t pe_count)
{
    const uint64_t few = count / pe_count;
    const uint64_t longer = count % pe_count;
    const uint64_t in_longer = longer * (few + 1);

    if (position < in_longer) {
        return (uint32_t)(position / (few + 1));
    }
    return (uint32_t)(longer + (position - in_longer) / few);
}

uint32_t
chi_collection_home(const struct chi_obj *obj,
                    const struct chi_collection *collection,
                    const chare_index *index)
{
    const uint32_t pe_count = obj->pe->size;
    const uint32_t map = collection->spec.map;
    uint64_t position;

    if (collection->kind != CHI_KIND_ARRAY) {
        return (uint32_t)index->at[0];
    }
    if (map >= CHI_MAP_CUSTOM_FIRST) {
        const struct chi_index_map *custom =
            &obj->registry->maps[map - CHI_MAP_CUSTOM_FIRST];

        return custom->function(index, pe_count, custom->context) % pe_count;
    }
    if (map == CHARE_MAP_HASH || !collection->spec.dense ||
        !chi_index_position(&collection->spec, index, &position)) {
        return hash_home(index, pe_count);
    }
    if (map == CHARE_MAP_ROUND_ROBIN) {
        return (uint32_t)(position % pe_count);
    }
    return block_home(position, collection->dense_count, pe_count);
}

void
chi_element_text(const struct chi_obj *obj, const chare_element *element,
                 char *out, size_t room)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, element->collection);
    size_t len;

    len = (size_t)snprintf(
        out, room, "%s",
        collection == NULL
            ? "unknown collection"
            : chi_registry_type_name(obj->registry, collection->spec.type));
    for (uint32_t i = 0; i < element->index.ndims && len < room; i++) {
        len += (size_t)snprintf(out + len, room - len, "%s%lld",
                                i == 0 ? "[" : ",",
                                (long long)element->index.at[i]);
    }
    if (element->index.ndims > 0 && len < room) {
        snprintf(out + len, room - len, "]");
    }
}
