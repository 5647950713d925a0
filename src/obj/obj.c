/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * obj.c - the room's life, and what it does for the rooms below.
 */
#include "config.h"

#include <stdlib.h>

#include "obj/migrate.h"
#include "obj/obj_private.h"
#include "obj/section.h"
#include "obj/talk.h"

/* ---- for coll */

static struct chi_coll_set *
set_find(void *context, uint64_t id, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = chi_collection_find(obj, id);

    if (collection == NULL && chi_is_buried(obj, id)) {
        chi_msg_release(msg); /* E4 */
        return NULL;
    }
    if (collection == NULL) {
        chi_pe_hold(obj->pe, msg);
        chi_keep_for_collection(obj, msg);
        return NULL;
    }
    return &collection->set;
}

static void
census_done(void *context, struct chi_coll_set *set)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = (struct chi_collection *)set;

    chi_assert(!collection->spec.dense ||
               set->subtree_count == collection->dense_count);
    if (collection->has_created) {
        chi_cb_call_or_die(obj->cb, &collection->created, NULL);
    }
}

static void
set_over(void *context, struct chi_coll_set *set)
{
    struct chi_collection *collection = (struct chi_collection *)set;

    if (!collection->over) {
        collection->over = true;
        chi_bury_check(context, collection); /* E3 */
    }
}

static void
element_text(void *context, const chare_element *element, char *out,
             size_t room)
{
    chi_element_text(context, element, out, room);
}

static void
coll_fatal(void *context, const char *text)
{
    const struct chi_obj *obj = context;

    obj->fatal(obj->fatal_context, text);
}

static const struct chi_coll_ops coll_ops = {
    .find = set_find,
    .census_done = census_done,
    .over = set_over,
    .element_text = element_text,
    .fatal = coll_fatal,
};

/* ---- for loc */

static bool
loc_is_here(void *context, const chare_element *element)
{
    return chi_obj_local(context, element) != NULL;
}

static uint32_t
loc_home(void *context, const chare_element *element)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, element->collection);

    chi_assert(collection != NULL);
    return chi_collection_home(obj, collection, &element->index);
}

static void
loc_keep(void *context, const chare_element *element, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, element->collection);

    chi_assert(collection != NULL);
    chi_keep_for_element(obj, collection, element, msg);
}

static void
loc_placed(void *context, const chare_element *element, uint32_t pe)
{
    chi_insert_placed(context, element, pe);
}

static void
loc_gone(void *context, const chare_callback *done)
{
    struct chi_obj *obj = context;

    chi_cb_call_or_die(obj->cb, done, NULL);
}

static void
loc_placed_twice(void *context, const chare_element *element)
{
    chi_insert_fatal(context, element, "was inserted twice");
}

static bool
loc_known(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;

    if (chi_collection_find(obj, msg->env.collection) == NULL &&
        !chi_is_buried(obj, msg->env.collection)) {
        chi_keep_for_collection(obj, msg);
        return false;
    }
    return true;
}

static bool
loc_over(void *context, const chare_element *element)
{
    return chi_is_buried(context, element->collection);
}

static void
loc_drained(void *context, const chare_element *element)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, element->collection);
    struct chi_element *here =
        chi_element_find_index(collection, &element->index);

    chi_assert(here->draining && obj->draining > 0);
    here->draining = false;
    chi_talk_draining(obj, -1);
    chi_destroy_retry(obj);
    chi_moves_retry(obj);
}

static void
loc_granted(void *context, const chare_element *element)
{
    chi_move_granted(context, element);
}

static void
loc_changed(void *context)
{
    chi_lanes_forget(context);
}

static enum chi_loc_look
loc_target(void *context, struct chi_msg *msg, chare_element *element_out)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);
    const chare_index *wide;

    if (collection == NULL) {
        chi_keep_for_collection(obj, msg);
        return CHI_LOC_TAKEN;
    }
    if (chi_likely(collection->spec.dense && !collection->scattered)) {
        return CHI_LOC_HERE; /* what never left is at home */
    }
    if (msg->env.handler == CHI_HANDLER_INSERT
            ? !chi_insert_anchor(collection, msg, element_out)
            : !chi_msg_target(collection, msg, element_out, &wide)) {
        chi_msg_release(msg);
        return CHI_LOC_TAKEN;
    }
    /* Of a dense array, what is not here and not elsewhere never was, or was
     * destroyed: the handler says so. */
    return collection->spec.dense && !chi_loc_knows(obj->loc, element_out) &&
                   chi_collection_home(obj, collection, &element_out->index) ==
                       obj->pe->rank
               ? CHI_LOC_HERE
               : CHI_LOC_LOOK;
}

static const struct chi_loc_ops loc_ops = {
    .is_here = loc_is_here,
    .home = loc_home,
    .keep = loc_keep,
    .gone = loc_gone,
    .placed = loc_placed,
    .placed_twice = loc_placed_twice,
    .known = loc_known,
    .over = loc_over,
    .drained = loc_drained,
    .granted = loc_granted,
    .changed = loc_changed,
    .target = loc_target,
};

/* ---- for callbacks */

static chare_status
element_target(void *context, const chare_callback *callback,
               const chare_data *data)
{
    return chi_obj_send(context, &callback->element, callback->entry, data,
                        NULL);
}

static chare_status
broadcast_target(void *context, const chare_callback *callback,
                 const chare_data *data)
{
    return chi_obj_broadcast_result(context, callback, data);
}

/* ---- life */

chare_status
chi_obj_create(struct chi_pe *pe, struct chi_registry *registry,
               struct chi_cb *cb, struct chi_coll *coll, chi_fatal_fn fatal,
               void *fatal_context, struct chi_obj **out)
{
    struct chi_obj *obj = calloc(1, sizeof(*obj));
    chare_status status;

    if (obj == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    obj->pe = pe;
    obj->registry = registry;
    obj->cb = cb;
    obj->coll = coll;
    obj->fatal = fatal;
    obj->fatal_context = fatal_context;
    chi_map_init(&obj->collections);
    chi_map_init(&obj->pending);
    chi_map_init(&obj->alikes);
    chi_map_init(&obj->moves);
    obj->move_last = &obj->move_first;
    obj->lane_epoch = 1;
    chi_talk_init(obj);
    status =
        chi_registry_add_function(registry, "chare.section.roll",
                                  chi_roll_result, obj, &obj->roll_function);
    if (status != CHARE_OK) {
        free(obj);
        return status;
    }
    chi_tombs_init(&obj->tombs);
    chi_tombs_init(&obj->strangers);
    status = chi_loc_create(pe, &loc_ops, obj, &obj->loc);
    if (status != CHARE_OK) {
        free(obj);
        return status;
    }
    chi_coll_set_ops(coll, &coll_ops, obj);
    chi_coll_set_survey(coll, CHI_SURVEY_INSERTIONS, chi_insert_survey, obj);
    chi_cb_set_target(cb, CHARE_CALLBACK_ELEMENT, element_target, obj);
    chi_cb_set_target(cb, CHARE_CALLBACK_BROADCAST, broadcast_target, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_INVOKE, chi_invoke_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_DESTROY, chi_destroy_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_BROADCAST, chi_broadcast_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_BURY, chi_bury_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_MIGRATE, chi_migrate_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_MOVE, chi_move_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_MOVED, chi_moved_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_CAST, chi_cast_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_CONTRIBUTE, chi_far_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_ENLIST, chi_enlist_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_ROLL, chi_roll_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_SECTION, chi_section_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_CREATE, chi_create_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_INSERT, chi_insert_execute, obj);
    chi_pe_set_handler(pe, CHI_HANDLER_INSERT_DONE, chi_insert_done_execute,
                       obj);
    *out = obj;
    return CHARE_OK;
}

void
chi_obj_destroy(struct chi_obj *obj)
{
    size_t cursor = 0;
    uint64_t id;
    void *collection;

    if (obj == NULL) {
        return;
    }
    while (chi_map_next(&obj->collections, &cursor, &id, &collection)) {
        struct chi_collection *one = collection;

        chi_section_free(obj, one->section); /* before its members */
        one->section = NULL;
    }
    cursor = 0;
    while (chi_map_next(&obj->collections, &cursor, &id, &collection)) {
        chi_collection_free(obj, collection);
    }
    chi_map_fini(&obj->collections);
    chi_map_fini(&obj->alikes);
    chi_tombs_fini(&obj->tombs);
    chi_tombs_fini(&obj->strangers);
    chi_moves_free(obj);
    chi_msg_queue_clear(&obj->destructions);
    chi_keep_clear(obj);
    chi_loc_destroy(obj->loc);
    free(obj->lanes);
    chi_talk_fini(obj);
    free(obj);
}

chare_status
chi_obj_element_check(struct chi_obj *obj, const chare_element *element)
{
    const struct chi_collection *collection =
        chi_collection_find(obj, element->collection);
    uint64_t position;

    if (!chi_target_ok(obj, collection, element)) {
        return CHARE_ERR_INVALID;
    }
    if (collection != NULL &&
        ((collection->pes != NULL &&
          !chi_collection_on_pe(collection, (uint32_t)element->index.at[0])) ||
         (collection->kind == CHI_KIND_ARRAY && collection->spec.dense &&
          !chi_index_position(&collection->spec, &element->index,
                              &position)))) {
        return CHARE_ERR_NOT_FOUND;
    }
    return CHARE_OK;
}

void *
chi_obj_local(const struct chi_obj *obj, const chare_element *element)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, element->collection);
    const struct chi_element *found;

    if (collection == NULL || element->index.ndims != collection->spec.ndims) {
        return NULL;
    }
    found = chi_element_find_index(collection, &element->index);
    return found == NULL ? NULL : found->object;
}

void *
chi_obj_local_branch(const struct chi_obj *obj, chare_collection group)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, group);

    /* Of a group, a PE has one chare at most. */
    if (collection == NULL || collection->kind == CHI_KIND_ARRAY ||
        collection->count == 0) {
        return NULL;
    }
    return collection->elements[0]->object;
}

bool
chi_obj_is_dense(const struct chi_obj *obj, chare_collection array)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, array);

    return collection != NULL && collection->kind == CHI_KIND_ARRAY &&
           collection->spec.dense;
}
