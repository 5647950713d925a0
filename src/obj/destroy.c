/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * destroy.c - the end of one chare, and of all chares of a collection.
 *
 * A destruction goes the way of a call, so that calls made before by the same
 * PE are executed before it. Then the chare is gone at once:
 *
 *  D1  what comes for it later comes back as an error, like a call to a chare
 *      that never was; in a sparse array that is still open it waits at the
 *      home, for the index may be inserted again;
 *  D2  it has contributed to all reductions below its own count of them, and
 *      is expected in no other (chi_coll_leave()); of broadcasts that run
 *      here later, its PE tells that it has no part in them
 *      (chi_coll_absent()): the census counts every chare that ever was, so
 *      that both stay exact;
 *  D3  its home has forgotten it before anybody is told that it is gone;
 *  D4  a chare that still drains (loc) is destroyed when it has drained, and a
 *      member of a section that is not formed yet when that is formed. Calls
 *      that come behind its destruction wait for that, too.
 *
 * A collection is destroyed by a broadcast; its record stays on every PE, as
 * that of a collection whose chares are all gone, until it is buried (bury.c).
 * A single chare leaves only its name. A section is destroyed in the same way,
 * down its own tree: its members leave it, and live on.
 */
#include "config.h"

#include <stdlib.h>

#include "obj/migrate.h"
#include "obj/section.h"

/* ---- asking for it */

chare_status
chi_obj_destroy_element(struct chi_obj *obj, const chare_element *target,
                        const chare_callback *done)
{
    const struct chi_collection *collection =
        chi_collection_find(obj, target->collection);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = done};
    struct chi_msg *msg;
    chare_status status;

    if (!chi_target_ok(obj, collection, target)) {
        return CHARE_ERR_INVALID;
    }
    status = chi_message_for(obj, target, 0, NULL, &options, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.handler = CHI_HANDLER_DESTROY;
    chi_pe_count(obj->pe, msg);
    chi_dispatch_to(obj, target, msg);
    return CHARE_OK;
}

/* ---- chares that must stay for a while */

static bool
must_stay(const struct chi_element *element)
{
    return element->draining || element->asked || element->behind ||
           chi_members_stay(element) || chi_far_members_hold(element);
}

void
chi_destroy_retry(struct chi_obj *obj)
{
    struct chi_msg_queue waiting = obj->destructions;

    /* Not dispatched: for others that must stay, they are to wait again. */
    obj->destructions = (struct chi_msg_queue){0};
    chi_queue_return(&obj->pe->queue, &waiting);
}

/* Wait until some chare may go; then it is executed anew. */
static void
wait_here(struct chi_obj *obj, struct chi_msg *msg)
{
    chi_pe_hold(obj->pe, msg);
    chi_msg_queue_push(&obj->destructions, msg);
}

bool
chi_destroy_holds(struct chi_obj *obj, const struct chi_element *element,
                  struct chi_msg *msg)
{
    if (!element->dying || !must_stay(element)) {
        return false; /* a smaller priority runs before the destruction */
    }
    wait_here(obj, msg); /* D4 */
    return true;
}

/* ---- doing it */

/* Unlink and free one chare; its collection's engine is not told. */
static void
element_end(struct chi_obj *obj, struct chi_collection *collection,
            struct chi_element *element)
{
    const struct chi_type *type = chi_element_type(obj, element);

    chi_assert(!must_stay(element));
    chi_move_drop(obj, element);
    chi_casts_destroyed(collection, element);
    chi_members_leave(obj, element);
    chi_element_unlink(collection, element);
    collection->gone++;
    if (type->ops.destroy != NULL) {
        type->ops.destroy(element->object, type->context);
    }
    if (obj->on_move != NULL && collection->kind == CHI_KIND_ARRAY &&
        !obj->pe->ended) {
        chare_element self;

        chi_element_self(element, &self);
        obj->on_move(obj->on_move_context, &self, obj->pe->rank, UINT32_MAX,
                     false);
    }
    free(element);
}

/* A single chare leaves its name, and that of its type. */
static void
single_end(struct chi_obj *obj, struct chi_collection *collection)
{
    chi_tomb_make(obj, &collection->spec);
    chi_map_remove(&obj->collections, collection->spec.id);
    obj->recent = NULL;
    chi_collection_free(obj, collection);
}

static void
destroy_one(struct chi_obj *obj, struct chi_collection *collection,
            struct chi_element *element, const chare_callback *done)
{
    const uint64_t tag = element->reduction_next;
    chare_element self;
    uint32_t home;

    chi_element_self(element, &self);
    home = chi_collection_home(obj, collection, &self.index);
    element_end(obj, collection, element);
    if (collection->kind == CHI_KIND_SINGLE) {
        single_end(obj, collection);
        chi_cb_call_or_die(obj->cb, done, NULL);
        return;
    }
    chi_coll_leave(obj->coll, &collection->set, tag, 1); /* D2 */
    if (home == obj->pe->rank) {
        chi_cb_call_or_die(obj->cb, done, NULL);
    } else {
        chi_loc_gone(obj->loc, &self, home, done); /* D3 */
    }
}

bool
chi_destroy_waits_for(struct chi_obj *obj, struct chi_element *element,
                      struct chi_msg *msg)
{
    if (!must_stay(element)) {
        return false;
    }
    element->dying = true;
    wait_here(obj, msg); /* D4 */
    return true;
}

void
chi_destroy_now(struct chi_obj *obj, struct chi_element *element)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};

    destroy_one(obj, element->collection, element, &nobody);
}

void
chi_destroy_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_element *element = chi_target_here(obj, msg);
    chare_callback done = {.kind = CHARE_CALLBACK_NONE};

    if (element == NULL || chi_destroy_waits_for(obj, element, msg)) {
        return;
    }
    (void)chi_msg_reply(msg, &done);
    chi_msg_release(msg);
    destroy_one(obj, element->collection, element, &done);
}

/* ---- a whole collection */

/* Destroy all chares here; what the engine hears is one sum for each tag. */
static void
destroy_here(struct chi_obj *obj, struct chi_collection *collection)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};

    while (collection->count > 0 && !obj->pe->ended) {
        const uint64_t tag =
            collection->elements[collection->count - 1]->reduction_next;
        uint32_t same = 0;

        while (collection->count > 0) {
            struct chi_element *element =
                collection->elements[collection->count - 1];
            chare_element self;
            uint32_t home;

            if (element->reduction_next != tag) {
                break;
            }
            chi_element_self(element, &self);
            home = chi_collection_home(obj, collection, &self.index);
            element_end(obj, collection, element);
            same++;
            if (home != obj->pe->rank) {
                chi_loc_gone(obj->loc, &self, home, &nobody);
            }
        }
        chi_coll_leave(obj->coll, &collection->set, tag, same);
    }
}

static bool
destroy_waits(struct chi_obj *obj, struct chi_collection *collection,
              struct chi_msg *msg)
{
    for (size_t i = 0; i < collection->count; i++) {
        if (must_stay(collection->elements[i])) {
            wait_here(obj, msg); /* D4 */
            return true;
        }
    }
    return false;
}

void
chi_destroy_all_execute(struct chi_obj *obj, struct chi_collection *collection,
                        struct chi_msg *msg)
{
    const bool is_section = collection->kind == CHI_KIND_SECTION;

    if (!is_section && destroy_waits(obj, collection, msg)) {
        return;
    }
    chi_broadcast_expect(obj, collection, msg); /* E1: accepted */
    if (is_section) {
        chi_section_end(obj, collection);
    } else {
        destroy_here(obj, collection);
    }
    collection->destroyed = true;
    if (!is_section) {
        chi_collection_complete(obj, collection);
    }
    if (collection->set.is_root) {
        chi_coll_close(obj->coll, &collection->set);
    }
    chi_broadcast_ran(obj, collection, msg, 0,
                      is_section ? collection->gone
                                 : chi_casts_absent(collection, msg->env.key));
    if (!is_section) {
        chi_casts_ran(obj, collection, msg);
    }
    chi_msg_release(msg);
}
