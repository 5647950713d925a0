/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bury.c - destroyed collections and sections are forgotten.
 *
 * Invariants (README.md has the whole of it):
 *  E1  the root alone judges a broadcast, a roll call or a destruction: what
 *      it executes before the destruction is accepted, all else is refused
 *      with an error that names the collection and the caller;
 *  E3  a record is buried when the root says so, after all that it accepted
 *      has been completed;
 *  E4  what comes for a buried one is an error if it is a call, and dropped if
 *      it is what a refused broadcast has left behind.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "obj/section.h"

/* ---- names */

bool
chi_is_buried(const struct chi_obj *obj, chare_collection id)
{
    return chi_tombs_has(&obj->tombs, id) &&
           chi_map_get(&obj->collections, id) == NULL;
}

const struct chi_grave *
chi_grave_find(const struct chi_obj *obj, chare_collection id)
{
    const struct chi_grave *grave = &obj->graves[id % CHI_GRAVES];

    return grave->collection == id ? grave : NULL;
}

void
chi_collection_text(const struct chi_obj *obj, chare_collection id, char *out,
                    size_t room)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, id);
    const struct chi_grave *grave = chi_grave_find(obj, id);
    const enum chi_kind kind = chi_collection_kind(id);
    const char *type = "";

    if (kind != CHI_KIND_SECTION && collection != NULL) {
        type = chi_registry_type_name(obj->registry, collection->spec.type);
    } else if (kind != CHI_KIND_SECTION && grave != NULL) {
        type = chi_registry_type_name(obj->registry, grave->type);
    }
    snprintf(
        out, room, "%s%s%s, number %llu of PE %u",
        kind == CHI_KIND_SECTION ? "a section"
        : kind == CHI_KIND_ARRAY ? "the array"
                                 : "the group",
        type[0] == '\0' ? "" : " of ", type,
        (unsigned long long)(id & ((1ull << CHI_COLLECTION_PE_SHIFT) - 1)),
        chi_collection_creator(id));
}

void
chi_tomb_make(struct chi_obj *obj, const struct chi_collection_spec *spec)
{
    if (chi_tombs_add(&obj->tombs, spec->id) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for the name of a chare");
    }
    obj->graves[spec->id % CHI_GRAVES] = (struct chi_grave){
        .collection = spec->id, .type = spec->type, .ndims = spec->ndims};
}

/* ---- burying */

/* Something that the record depended on may have waited for its end. */
static void
dependent_gone(struct chi_obj *obj, chare_collection id)
{
    struct chi_collection *other =
        id == 0 ? NULL : chi_collection_find(obj, id);

    if (other != NULL) {
        chi_assert(other->dependents > 0);
        other->dependents--;
        chi_bury(obj, other);
    }
}

void
chi_bury(struct chi_obj *obj, struct chi_collection *collection)
{
    const struct chi_collection_spec spec = collection->spec;

    if (!collection->buried || collection->dependents > 0) {
        return; /* E6 */
    }
    chi_tomb_make(obj, &spec);
    chi_map_remove(&obj->collections, spec.id);
    obj->recent = NULL;
    chi_collection_free(obj, collection);
    dependent_gone(obj, spec.map_group);
    dependent_gone(obj, spec.bound_to);
}

void
chi_bury_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    const chare_collection id = msg->env.collection;
    struct chi_collection *collection = chi_collection_find(obj, id);

    if (collection == NULL || !collection->populated ||
        (collection->section == NULL ? collection->count
                                     : collection->section->count) > 0) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed burial");
        chi_msg_release(msg);
        return;
    }
    chi_coll_send_along(obj->coll, collection->set.edges, msg);
    chi_msg_release(msg);
    collection->destroyed = true;
    collection->buried = true;
    chi_bury(obj, collection);
}

void
chi_bury_check(struct chi_obj *obj, struct chi_collection *collection)
{
    struct chi_msg *msg;

    if (!collection->over || collection->in_survey) {
        return;
    }
    /* By a message: the engine still uses the record. */
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_BURY, 0);
    msg->env.collection = collection->spec.id;
    chi_pe_send(obj->pe, obj->pe->rank, msg);
}

/* ---- what comes too late */

/* The root refuses a broadcast that is executing; takes it. */
static void
refuse(struct chi_obj *obj, struct chi_msg *msg)
{
    chare_reply reply = {.callback = {.kind = CHARE_CALLBACK_NONE}};
    const bool wants_reply = (msg->env.flags & CHI_ENV_REPLY) != 0 &&
                             chi_broadcast_read_trailer(msg, &reply);
    char name[256];
    char text[1024];

    chi_collection_text(obj, msg->env.collection, name, sizeof(name));
    snprintf(
        text, sizeof(text), "%s, was destroyed; %s%s from PE %u (in %s)", name,
        msg->env.handler == CHI_HANDLER_ROLL
            ? "it was named as a part of a section"
        : msg->env.entry == 0
            ? "its destruction was asked for again"
            : chi_registry_entry_name(obj->registry, msg->env.entry),
        msg->env.entry == 0 ? "" : " was called on it", msg->env.source_pe,
        msg->env.caller == 0
            ? "no entry method"
            : chi_registry_entry_name(obj->registry, msg->env.caller));
    if (wants_reply && msg->env.handler != CHI_HANDLER_ROLL) {
        chi_cb_call_error(obj->cb, &reply.callback, "LookupError", text);
    } else if (!obj->pe->ended) {
        obj->fatal(obj->fatal_context, text);
    }
    chi_msg_release(msg);
}

bool
chi_broadcast_over(struct chi_obj *obj,
                   const struct chi_collection *collection,
                   struct chi_msg *msg)
{
    const chare_collection id = msg->env.collection;

    if (collection == NULL && !chi_is_buried(obj, id)) {
        return false;
    }
    if (chi_collection_creator(id) == obj->pe->rank) {
        refuse(obj, msg); /* E1 */
        return true;
    }
    if (collection == NULL) {
        chi_msg_release(msg); /* E4 */
        return true;
    }
    return false;
}

/* The index that a call was for, as far as it can be told. */
static void
target_of(const struct chi_obj *obj, const struct chi_msg *msg,
          chare_element *out)
{
    const struct chi_grave *grave = chi_grave_find(obj, msg->env.collection);

    *out = (chare_element){.collection = msg->env.collection};
    if (grave == NULL) {
        return;
    }
    if ((msg->env.flags & CHI_ENV_WIDE) == 0) {
        chi_index_unpack(msg->env.key, grave->ndims, &out->index);
    } else if (msg->env.trailer_len >= sizeof(out->index.at)) {
        out->index.ndims = grave->ndims;
        memcpy(out->index.at, chi_msg_trailer(msg), sizeof(out->index.at));
    }
}

void
chi_buried_take(struct chi_obj *obj, struct chi_msg *msg)
{
    chare_element target = {.collection = msg->env.collection};

    switch (msg->env.handler) {
    case CHI_HANDLER_INVOKE:
    case CHI_HANDLER_DESTROY:
    case CHI_HANDLER_ENLIST:
    case CHI_HANDLER_CAST:
        target_of(obj, msg, &target);
        chi_undeliverable(obj, &target, msg);
        return;
    case CHI_HANDLER_INSERT:
        if (msg->env.trailer_len >= sizeof(target)) {
            memcpy(&target, chi_msg_trailer(msg), sizeof(target));
        }
        if (!obj->pe->ended) {
            chi_insert_fatal(obj, &target,
                             "was inserted after its array was destroyed");
        }
        break;
    default:
        break; /* E4 */
    }
    obj->pe->counted_done += (msg->env.flags & CHI_ENV_UNCOUNTED) == 0;
    chi_msg_release(msg);
}
