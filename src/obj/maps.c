/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maps.c - which PE the chare of an index belongs to.
 *
 * A map is a built-in one, a function that every PE registered, or a group
 * whose chares are asked. The chares of such a group give the same answers on
 * every PE; those for a dense array are asked for once, when it is populated,
 * and kept, so that no user code runs when a call is made.
 *
 * The space-filling curve is that of Morton ("A computer oriented geodetic
 * data base and a new technique in file sequencing", IBM, 1966): the bits of
 * the coordinates, interleaved. In a box whose sides are no powers of two the
 * curve leaves and enters it; a chare's place is its rank among those of the
 * box, so that each PE has a run of equal length.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "obj/obj_private.h"

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

/*
 * How many chares of the box come before this one on the curve. At each bit
 * that is set, those are before it that agree with it so far and have no bit
 * there: a box again, clipped to the array.
 */
static uint64_t
curve_rank(const struct chi_collection_spec *spec, const chare_index *index)
{
    uint64_t low[CHARE_DIMS_MAX] = {0}; /* the corner that is agreed upon */
    unsigned bits = 0;
    uint64_t rank = 0;

    for (uint32_t i = 0; i < spec->ndims; i++) {
        while ((uint64_t)spec->dims[i] > (uint64_t)1 << bits) {
            bits++;
        }
    }
    for (unsigned bit = bits; bit-- > 0;) {
        for (uint32_t i = 0; i < spec->ndims; i++) {
            uint64_t before = 1;

            if (((uint64_t)index->at[i] >> bit & 1) == 0) {
                continue;
            }
            for (uint32_t j = 0; j < spec->ndims; j++) {
                const uint64_t side = (uint64_t)1 << (bit + (j > i));
                const uint64_t dim = (uint64_t)spec->dims[j];
                const uint64_t end = low[j] + side < dim ? low[j] + side : dim;

                before *= end > low[j] ? end - low[j] : 0;
            }
            rank += before;
            low[i] |= (uint64_t)1 << bit;
        }
    }
    return rank;
}

/* ---- maps that are groups */

bool
chi_spec_ready(struct chi_obj *obj, const struct chi_collection_spec *spec,
               chare_collection *missing_out)
{
    const chare_collection needed[] = {spec->map_group, spec->bound_to};

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        const struct chi_collection *other =
            needed[i] == 0 ? NULL : chi_collection_find(obj, needed[i]);

        if (needed[i] != 0 && (other == NULL || !other->populated)) {
            *missing_out = needed[i];
            return false;
        }
    }
    return true;
}

bool
chi_spec_bind(const struct chi_collection *other,
              struct chi_collection_spec *spec)
{
    if (other->kind != CHI_KIND_ARRAY || spec->ndims != other->spec.ndims) {
        return false;
    }
    spec->dense = other->spec.dense;
    spec->map = other->spec.map;
    spec->map_group = other->spec.map_group;
    memcpy(spec->dims, other->spec.dims, sizeof(spec->dims));
    return true;
}

/* Ask this PE's chare of the map group. */
static uint32_t
ask_map(const struct chi_obj *obj, const struct chi_collection *collection,
        const chare_index *index)
{
    const struct chi_collection *group =
        chi_map_get(&obj->collections, collection->spec.map_group);
    const struct chi_type *type =
        group == NULL ? NULL : &obj->registry->types[group->spec.type];
    const struct chi_element *element =
        group == NULL ? NULL : chi_element_find(group, obj->pe->rank, NULL);
    chare_status status = CHARE_ERR_NOT_FOUND;
    const chare_element self = {collection->spec.id, *index};
    uint32_t pe = 0;
    char name[256];
    char text[512];

    if (element != NULL && type->ops.place != NULL) {
        status = type->ops.place(element->object, index, type->context, &pe);
    }
    if (status == CHARE_OK && pe < obj->pe->size) {
        return pe;
    }
    if (!obj->pe->ended) {
        chi_element_text(obj, &self, name, sizeof(name));
        if (status == CHARE_OK) {
            snprintf(text, sizeof(text),
                     "map %s puts %s on PE %u, but there are %u PEs",
                     type->ops.name, name, pe, obj->pe->size);
        } else {
            snprintf(text, sizeof(text), "map %s gives no PE for %s: %s",
                     type == NULL ? "?" : type->ops.name, name,
                     element == NULL           ? "it has no chare on this PE"
                     : type->ops.place == NULL ? "its type has no place hook"
                                               : chare_status_text(status));
        }
        obj->fatal(obj->fatal_context, text);
    }
    return obj->pe->rank; /* the job is ending */
}

void
chi_collection_ask_homes(struct chi_obj *obj,
                         struct chi_collection *collection)
{
    uint32_t *homes;

    chi_assert(collection->spec.dense && collection->homes == NULL);
    homes = malloc(collection->dense_count * sizeof(*homes) + 1);
    if (homes == NULL) {
        chi_pe_die(obj->pe, "out of memory for the map of an array");
    }
    for (uint64_t i = 0; i < collection->dense_count && !obj->pe->ended; i++) {
        chare_index index;

        chi_index_at_position(&collection->spec, i, &index);
        homes[i] = ask_map(obj, collection, &index);
    }
    collection->homes = homes;
}

/* ---- all maps */

uint32_t
chi_group_pe(const struct chi_obj *obj, chare_collection group, int64_t at)
{
    return chi_collection_kind(group) == CHI_KIND_NODE_GROUP
               ? chi_coll_node_first_pe(obj->coll, (uint32_t)at)
               : (uint32_t)at;
}

uint32_t
chi_collection_home(const struct chi_obj *obj,
                    const struct chi_collection *collection,
                    const chare_index *index)
{
    const struct chi_collection_spec *spec = &collection->spec;
    const uint32_t pe_count = obj->pe->size;
    uint64_t position;

    if (collection->kind != CHI_KIND_ARRAY) {
        return chi_group_pe(obj, spec->id, index->at[0]);
    }
    if (spec->dense && !chi_index_position(spec, index, &position)) {
        return hash_home(index, pe_count); /* which answers that it is not */
    }
    if (spec->map_group != 0) {
        return collection->homes != NULL ? collection->homes[position]
                                         : ask_map(obj, collection, index);
    }
    if (spec->map >= CHI_MAP_CUSTOM_FIRST) {
        const struct chi_index_map *custom =
            &obj->registry->maps[spec->map - CHI_MAP_CUSTOM_FIRST];

        return custom->function(index, pe_count, custom->context) % pe_count;
    }
    if (spec->map == CHARE_MAP_HASH || !spec->dense) {
        return hash_home(index, pe_count);
    }
    if (spec->map == CHARE_MAP_ROUND_ROBIN) {
        return (uint32_t)(position % pe_count);
    }
    if (spec->map == CHARE_MAP_CURVE) {
        position = curve_rank(spec, index);
    }
    return block_home(position, collection->dense_count, pe_count);
}
