/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table.c - the collections known here, and the chares that are here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "obj/migrate.h"
#include "obj/obj_private.h"
#include "obj/section.h"
#include "obj/talk.h"

/* ---- elements */

struct chi_element *
chi_element_find_slow(const struct chi_collection *from, uint64_t key,
                      const chare_index *index)
{
    struct chi_element *element = chi_map_get(&from->wide, key);

    while (element != NULL &&
           memcmp(element->index, index, sizeof(*index)) != 0) {
        element = element->next_wide;
    }
    return element;
}

void
chi_element_self_slow(const struct chi_element *element, chare_element *out)
{
    const struct chi_collection_spec *spec = &element->collection->spec;

    out->collection = spec->id;
    if (element->wide) {
        out->index = element->index[0];
    } else {
        chi_index_unpack(element->key, spec->ndims, &out->index);
    }
}

struct chi_element *
chi_element_find_index(const struct chi_collection *collection,
                       const chare_index *index)
{
    uint64_t key;
    const bool packed = chi_index_pack(index, &key);

    return chi_element_find(collection, key, packed ? NULL : index);
}

struct chi_element *
chi_element_here(struct chi_obj *obj, const chare_element *self)
{
    struct chi_collection *collection =
        chi_collection_find(obj, self->collection);

    return collection == NULL || self->index.ndims != collection->spec.ndims
               ? NULL
               : chi_element_find_index(collection, &self->index);
}

static chare_status
element_link(struct chi_collection *collection, struct chi_element *element)
{
    struct chi_map *map =
        element->wide ? &collection->wide : &collection->packed;

    if (collection->count == collection->room) {
        const size_t room = collection->room == 0 ? 4 : collection->room * 2;
        struct chi_element **grown =
            realloc(collection->elements, room * sizeof(struct chi_element *));

        if (grown == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        collection->elements = grown;
        collection->room = room;
    }
    element->next_wide = element->wide ? chi_map_get(map, element->key) : NULL;
    if (chi_map_put(map, element->key, element) != CHARE_OK) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_assert(collection->count < UINT32_MAX);
    element->at = (uint32_t)collection->count;
    collection->elements[collection->count++] = element;
    return CHARE_OK;
}

void
chi_element_unlink(struct chi_collection *collection,
                   struct chi_element *element)
{
    struct chi_map *map =
        element->wide ? &collection->wide : &collection->packed;
    struct chi_element *last = collection->elements[--collection->count];
    struct chi_element *chain = chi_map_remove(map, element->key);
    struct chi_element **link = &chain;

    chi_assert(collection->elements[element->at] == element);
    if (chi_unlikely(collection->loads != NULL)) {
        chi_load_unlink(collection, element->at);
    }
    collection->elements[element->at] = last;
    last->at = element->at;
    while (*link != element) {
        link = &(*link)->next_wide;
    }
    *link = element->next_wide;
    if (chain != NULL) {
        /* Cannot fail: the slot of the key has just become free. */
        chare_status status = chi_map_put(map, element->key, chain);

        chi_assert(status == CHARE_OK);
    }
}

static struct chi_element *
element_new(struct chi_obj *obj, struct chi_collection *collection,
            const chare_index *index)
{
    uint64_t key;
    const bool wide = !chi_index_pack(index, &key);
    struct chi_element *element =
        calloc(1, sizeof(*element) + (wide ? sizeof(*index) : 0));

    if (element == NULL) {
        chi_pe_die(obj->pe, "out of memory for a chare");
    }
    element->collection = collection;
    element->key = key;
    element->wide = wide;
    if (wide) {
        element->index[0] = *index;
    }
    return element;
}

struct chi_element *
chi_element_link_new(struct chi_obj *obj, struct chi_collection *collection,
                     const chare_index *index)
{
    struct chi_element *element = element_new(obj, collection, index);

    if (element_link(collection, element) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare");
    }
    return element;
}

struct chi_element *
chi_element_add(struct chi_obj *obj, struct chi_collection *collection,
                const chare_index *index, uint32_t home, uint32_t type_id,
                struct chi_msg *msg)
{
    const struct chi_type *type = &obj->registry->types[type_id];
    const chare_element self = {collection->spec.id, *index};
    struct chi_element *element = chi_element_link_new(obj, collection, index);
    chare_status status;
    chare_call call;

    chi_element_set_type(element, type_id);
    collection->born++;
    if (home != obj->pe->rank) {
        /* Before the create hook, which may already send to its chare. */
        element->draining = true;
        chi_talk_draining(obj, 1);
        chi_loc_tell_home(obj->loc, &self, home);
    }
    chi_cb_call_of_msg(obj->cb, msg, &call);
    call.self = &self;
    call.wants_reply = false;
    status = type->ops.create(&call, type->context, &element->object);
    if (chi_unlikely(obj->pe->stats.on)) {
        const uint64_t begin = obj->pe->meter.last;

        (void)chi_pe_lap(obj->pe);
        chi_stats_add_made(&obj->pe->stats, type_id, call.len, begin,
                           obj->pe->meter.last, msg->spare);
    }
    if (status == CHARE_OK && element->object != NULL) {
        if (chi_unlikely(obj->moves.count > 0)) { /* its constructor's wish */
            (void)!chi_obj_migrate_retry(obj, &self);
        }
        return element;
    }
    if (!obj->pe->ended) {
        char name[256];
        char text[512];

        chi_element_text(obj, &self, name, sizeof(name));
        snprintf(text, sizeof(text), "chare %s could not be created: %s", name,
                 status == CHARE_OK ? "its create hook made nothing"
                                    : chare_status_text(status));
        obj->fatal(obj->fatal_context, text);
    }
    chi_move_drop(obj, element);
    element->object = NULL; /* it goes with its collection, and what it has */
    return NULL;
}

/* ---- collections */

bool
chi_collection_on_pe(const struct chi_collection *collection, uint32_t pe)
{
    uint32_t low = 0;
    uint32_t high = collection->spec.pe_count;

    if (collection->pes == NULL) {
        return true;
    }
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (collection->pes[middle] == pe) {
            return true;
        }
        if (collection->pes[middle] < pe) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static void
dependent_add(struct chi_obj *obj, chare_collection id)
{
    struct chi_collection *other =
        id == 0 ? NULL : chi_map_get(&obj->collections, id);

    if (other != NULL) {
        chi_assert(other->dependents < UINT32_MAX);
        other->dependents++; /* E6 */
    }
}

struct chi_collection *
chi_collection_add(struct chi_obj *obj, const struct chi_collection_spec *spec)
{
    struct chi_collection *collection = calloc(1, sizeof(*collection));

    if (collection == NULL ||
        chi_map_put(&obj->collections, spec->id, collection) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a collection");
    }
    collection->spec = *spec;
    collection->kind = chi_collection_kind(spec->id);
    collection->complete = spec->dense != 0;
    collection->dense_count = 1;
    for (uint32_t i = 0; i < spec->ndims; i++) {
        collection->dense_count *= spec->dense ? (uint64_t)spec->dims[i] : 1;
    }
    chi_map_init(&collection->packed);
    chi_map_init(&collection->wide);
    chi_map_init(&collection->missing);
    if (collection->kind == CHI_KIND_SINGLE ||
        collection->kind == CHI_KIND_SECTION) {
        chi_coll_set_init_alone(&collection->set, spec->id);
    } else {
        chi_coll_set_init(obj->coll, &collection->set, spec->id,
                          chi_collection_creator(spec->id));
    }
    dependent_add(obj, spec->map_group);
    dependent_add(obj, spec->bound_to);
    obj->bound_count += spec->bound_to != 0;
    obj->recent = collection;
    return collection;
}

/* Sections need no notice: they go, too. */
static void
members_free(struct chi_element *element)
{
    while (element->members != NULL) {
        struct chi_member *member = element->members;

        element->members = member->next;
        chi_far_member_free(member);
    }
}

void
chi_collection_free(struct chi_obj *obj, struct chi_collection *collection)
{
    while (collection->count > 0) {
        struct chi_element *element =
            collection->elements[collection->count - 1];
        const struct chi_type *type = chi_element_type(obj, element);

        chi_element_unlink(collection, element);
        if (type->ops.destroy != NULL && element->object != NULL) {
            type->ops.destroy(element->object, type->context);
        }
        members_free(element);
        free(element);
    }
    obj->bound_count -= collection->spec.bound_to != 0;
    chi_keep_clear_collection(collection);
    chi_section_free(obj, collection->section);
    chi_casts_free(collection);
    chi_coll_set_fini(&collection->set);
    chi_map_fini(&collection->packed);
    chi_map_fini(&collection->wide);
    chi_map_fini(&collection->missing);
    free(collection->elements);
    free(collection->loads);
    free(collection->pes);
    free(collection->homes);
    free(collection);
}
