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

bool
chi_target_ok(const struct chi_obj *obj,
              const struct chi_collection *collection,
              const chare_element *target)
{
    const uint32_t ndims = target->index.ndims;

    if (ndims < 1 || ndims > CHARE_DIMS_MAX) {
        return false;
    }
    switch (chi_collection_kind(target->collection)) {
    case CHI_KIND_GROUP:
        return ndims == 1 && target->index.at[0] >= 0 &&
               target->index.at[0] < obj->pe->size &&
               (collection != NULL ||
                chi_collection_creator(target->collection) < obj->pe->size);
    case CHI_KIND_SINGLE:
        return ndims == 1 && target->index.at[0] >= 0 &&
               target->index.at[0] < obj->pe->size;
    case CHI_KIND_NODE_GROUP:
        return ndims == 1 && target->index.at[0] >= 0 &&
               target->index.at[0] < chi_coll_node_count(obj->coll);
    case CHI_KIND_ARRAY:
        return collection == NULL
                   ? chi_collection_creator(target->collection) < obj->pe->size
                   : ndims == collection->spec.ndims;
    case CHI_KIND_SECTION:
        break;
    }
    return false;
}

void
chi_element_text(const struct chi_obj *obj, const chare_element *element,
                 char *out, size_t room)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, element->collection);
    const struct chi_grave *grave = chi_grave_find(obj, element->collection);
    const uint32_t ndims =
        chi_collection_kind(element->collection) == CHI_KIND_SINGLE &&
                collection == NULL
            ? 0
            : element->index.ndims;
    size_t len;

    if (collection == NULL && grave != NULL) {
        len = (size_t)snprintf(
            out, room, "%s",
            chi_registry_type_name(obj->registry, grave->type));
    } else if (collection == NULL) {
        len = (size_t)snprintf(
            out, room, "of number %llu of PE %u",
            (unsigned long long)(element->collection &
                                 ((1ull << CHI_COLLECTION_PE_SHIFT) - 1)),
            chi_collection_creator(element->collection));
    } else {
        len =
            (size_t)snprintf(out, room, "%s",
                             collection->kind == CHI_KIND_SECTION
                                 ? "section"
                                 : chi_registry_type_name(
                                       obj->registry, collection->spec.type));
    }
    for (uint32_t i = 0; i < ndims && len < room; i++) {
        len += (size_t)snprintf(out + len, room - len, "%s%lld",
                                i == 0 ? "[" : ",",
                                (long long)element->index.at[i]);
    }
    if (ndims > 0 && len < room) {
        snprintf(out + len, room - len, "]");
    }
}

void
chi_obj_text(const struct chi_obj *obj, const chare_element *element,
             char *out, size_t room)
{
    chi_element_text(obj, element, out, room);
}
