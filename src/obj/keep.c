/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keep.c - messages that came too early, and those that can never arrive.
 *
 * A message waits for its array to be known, for the array to be populated on
 * this PE, or for its target to be inserted. All that waits is bounded by
 * CHARE_QUEUE_BYTES. When the array is complete, what still waits for a chare
 * is answered with an error.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "obj/migrate.h"

static void
keep(struct chi_obj *obj, struct chi_msg_queue *queue, struct chi_msg *msg)
{
    obj->kept_bytes += chi_msg_wire_len(msg);
    if (obj->kept_bytes > obj->pe->options.settings->queue_bytes) {
        chi_pe_die(obj->pe,
                   "more than %llu bytes of messages wait at PE %u for chares "
                   "that do not exist yet (the last one for %s, from PE %u); "
                   "create them first, or raise CHARE_QUEUE_BYTES",
                   (unsigned long long)obj->pe->options.settings->queue_bytes,
                   obj->pe->rank,
                   chi_registry_entry_name(obj->registry, msg->env.entry),
                   msg->env.source_pe);
    }
    chi_msg_queue_push(queue, msg);
}

static void
give_back(struct chi_obj *obj, struct chi_msg_queue *queue,
          struct chi_msg_queue *out)
{
    *out = *queue;
    *queue = (struct chi_msg_queue){0};
    for (const struct chi_msg *msg = out->head; msg != NULL; msg = msg->next) {
        obj->kept_bytes -= chi_msg_wire_len(msg);
    }
}

static void
keep_pending(struct chi_obj *obj, chare_collection id, struct chi_msg *msg)
{
    struct chi_pending *pending = chi_map_get(&obj->pending, id);

    if (pending == NULL) {
        pending = calloc(1, sizeof(*pending));
        if (pending == NULL ||
            chi_map_put(&obj->pending, id, pending) != CHARE_OK) {
            chi_pe_die(obj->pe, "out of memory for a message that waits");
        }
    }
    keep(obj, &pending->waiting, msg);
    obj->kept_count++;
}

uint64_t
chi_obj_kept_count(const struct chi_obj *obj)
{
    return obj->kept_count;
}

void
chi_obj_kept_add(struct chi_obj *obj, int change)
{
    chi_assert(change >= 0 || obj->kept_count > 0);
    obj->kept_count += (uint64_t)(int64_t)change;
}

void
chi_keep_for_collection(struct chi_obj *obj, struct chi_msg *msg)
{
    if (chi_is_buried(obj, msg->env.collection)) {
        chi_buried_take(obj, msg);
    } else {
        keep_pending(obj, msg->env.collection, msg);
    }
}

void
chi_keep_step(struct chi_obj *obj, chare_collection id, struct chi_msg *msg)
{
    keep_pending(obj, id, msg);
}

void
chi_keep_creation(struct chi_obj *obj, chare_collection id,
                  struct chi_msg *msg)
{
    chi_pe_hold(obj->pe, msg);
    keep_pending(obj, id, msg);
}

void
chi_kept_for_collection(struct chi_obj *obj, chare_collection id,
                        struct chi_msg_queue *out)
{
    struct chi_pending *pending = chi_map_remove(&obj->pending, id);

    *out = (struct chi_msg_queue){0};
    if (pending != NULL) {
        give_back(obj, &pending->waiting, out);
        obj->kept_count -= out->count;
        free(pending);
    }
}

void
chi_keep_for_population(struct chi_obj *obj, struct chi_collection *collection,
                        struct chi_msg *msg)
{
    keep(obj, &collection->waiting, msg);
    obj->kept_count++;
}

void
chi_kept_for_population(struct chi_obj *obj, struct chi_collection *collection,
                        struct chi_msg_queue *out)
{
    give_back(obj, &collection->waiting, out);
    obj->kept_count -= out->count;
}

void
chi_keep_for_late(struct chi_obj *obj, struct chi_collection *collection,
                  struct chi_msg *msg)
{
    keep(obj, &collection->late, msg);
}

void
chi_kept_late_drop(struct chi_obj *obj, struct chi_collection *collection)
{
    struct chi_msg_queue queue;

    give_back(obj, &collection->late, &queue);
    chi_msg_queue_clear(&queue);
}

void
chi_keep_until_ready(struct chi_obj *obj, struct chi_collection *collection,
                     struct chi_msg *msg)
{
    chi_pe_hold(obj->pe, msg);
    if (collection == NULL) {
        chi_keep_for_collection(obj, msg);
    } else {
        chi_keep_for_population(obj, collection, msg);
    }
}

static bool
is_if_alive(const struct chi_msg *msg)
{
    return msg->env.handler == CHI_HANDLER_INVOKE &&
           msg->env.spare == CHI_INVOKE_IF_ALIVE;
}

void
chi_keep_for_element(struct chi_obj *obj, struct chi_collection *collection,
                     const chare_element *element, struct chi_msg *msg)
{
    struct chi_missing *missing;
    uint64_t key;

    if (collection->complete || msg->env.handler == CHI_HANDLER_CAST ||
        is_if_alive(msg)) {
        chi_undeliverable(obj, element, msg);
        return;
    }
    (void)chi_index_pack(&element->index, &key);
    missing = chi_map_get(&collection->missing, key);
    while (missing != NULL &&
           memcmp(&missing->element, element, sizeof(*element)) != 0) {
        missing = missing->next;
    }
    if (missing == NULL) {
        missing = calloc(1, sizeof(*missing));
        if (missing == NULL) {
            chi_pe_die(obj->pe, "out of memory for a message that waits");
        }
        missing->element = *element;
        missing->next = chi_map_get(&collection->missing, key);
        if (chi_map_put(&collection->missing, key, missing) != CHARE_OK) {
            chi_pe_die(obj->pe, "out of memory for a message that waits");
        }
    }
    keep(obj, &missing->waiting, msg);
    obj->kept_count++;
}

void
chi_kept_for_element(struct chi_obj *obj, struct chi_collection *collection,
                     const chare_element *element, struct chi_msg_queue *out)
{
    struct chi_missing *chain;
    struct chi_missing **link;
    uint64_t key;

    *out = (struct chi_msg_queue){0};
    (void)chi_index_pack(&element->index, &key);
    chain = chi_map_remove(&collection->missing, key);
    for (link = &chain; *link != NULL; link = &(*link)->next) {
        struct chi_missing *missing = *link;

        if (memcmp(&missing->element, element, sizeof(*element)) == 0) {
            give_back(obj, &missing->waiting, out);
            obj->kept_count -= out->count;
            *link = missing->next;
            free(missing);
            break;
        }
    }
    if (chain != NULL) {
        /* Cannot fail: the slot of the key has just become free. */
        chare_status status = chi_map_put(&collection->missing, key, chain);

        chi_assert(status == CHARE_OK);
    }
}

void
chi_kept_is_lost(struct chi_obj *obj, struct chi_collection *collection)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    chi_assert(collection->complete);
    while (chi_map_next(&collection->missing, &cursor, &key, &value)) {
        struct chi_missing *missing = value;

        while (missing != NULL) {
            struct chi_missing *next = missing->next;
            struct chi_msg_queue queue;
            struct chi_msg *msg;

            give_back(obj, &missing->waiting, &queue);
            obj->kept_count -= queue.count;
            while ((msg = chi_msg_queue_pop(&queue)) != NULL) {
                chi_undeliverable(obj, &missing->element, msg);
            }
            free(missing);
            missing = next;
        }
    }
    chi_map_fini(&collection->missing);
}

void
chi_keep_clear_collection(struct chi_collection *collection)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    chi_msg_queue_clear(&collection->waiting);
    chi_msg_queue_clear(&collection->late);
    while (chi_map_next(&collection->missing, &cursor, &key, &value)) {
        struct chi_missing *missing = value;

        while (missing != NULL) {
            struct chi_missing *next = missing->next;

            chi_msg_queue_clear(&missing->waiting);
            free(missing);
            missing = next;
        }
    }
}

void
chi_keep_clear(struct chi_obj *obj)
{
    size_t cursor = 0;
    uint64_t id;
    void *value;

    while (chi_map_next(&obj->pending, &cursor, &id, &value)) {
        struct chi_pending *pending = value;

        chi_msg_queue_clear(&pending->waiting);
        free(pending);
    }
    chi_map_fini(&obj->pending);
}

/* ---- never */

bool
chi_msg_reply(const struct chi_msg *msg, chare_callback *out)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);

    if ((msg->env.flags & CHI_ENV_REPLY) == 0) {
        return false;
    }
    if (msg->env.flags & CHI_ENV_WIDE) {
        (void)chi_read_bytes(&reader, sizeof(int64_t) * CHARE_DIMS_MAX);
    }
    return chi_callback_read(&reader, out);
}

/* That there is no such chare, and why, if that is known. */
static void
missing_text(const struct chi_obj *obj, const chare_element *target, char *out,
             size_t room)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, target->collection);
    const char *why = "";
    char name[256];
    uint64_t position;

    chi_element_text(obj, target, name, sizeof(name));
    if (chi_is_buried(obj, target->collection)) {
        snprintf(out, room, "chare %s was destroyed", name);
        return;
    }
    if (collection != NULL && (collection->gone > 0 || collection->destroyed ||
                               collection->scattered)) {
        if (collection->kind != CHI_KIND_ARRAY ||
            (collection->spec.dense &&
             chi_index_position(&collection->spec, &target->index,
                                &position))) {
            snprintf(out, room, "chare %s was destroyed", name);
            return;
        }
        why = collection->spec.dense
                  ? ""
                  : " (it was destroyed, or never inserted)";
    }
    snprintf(out, room, "there is no chare %s%s", name, why);
}

void
chi_missing(struct chi_obj *obj, struct chi_collection *collection,
            const chare_element *target, struct chi_msg *msg)
{
    uint32_t home;

    chi_pe_hold(obj->pe, msg);
    if (collection->kind == CHI_KIND_ARRAY) {
        home = chi_collection_home(obj, collection, &target->index);
        if (home != obj->pe->rank || chi_loc_knows(obj->loc, target)) {
            chi_encode_or_die(obj, &msg);
        }
        if (chi_loc_reroute(obj->loc, target, home, msg)) {
            return;
        }
    }
    chi_keep_for_element(obj, collection, target, msg);
}

struct chi_element *
chi_target_here(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_collection *collection = chi_collection_ready(obj, msg);
    struct chi_element *element;
    const chare_index *wide;
    chare_element target;

    if (collection == NULL) {
        return NULL; /* the message was kept */
    }
    if (!chi_msg_target(collection, msg, &target, &wide)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed message");
        chi_msg_release(msg);
        return NULL;
    }
    element = chi_element_find(collection, msg->env.key, wide);
    if (element == NULL) {
        chi_missing(obj, collection, &target, msg);
    }
    return element;
}

void
chi_undeliverable(struct chi_obj *obj, const chare_element *target,
                  struct chi_msg *msg)
{
    char name[320];
    char what[256] = "it was named as a member of a section";
    char text[1024];
    chare_callback reply;

    if (msg->env.handler == CHI_HANDLER_LOC_FENCE) {
        /* Its array was destroyed; the way behind it is empty. */
        chi_pe_forward(obj->pe, msg->env.source_pe, msg);
        return;
    }
    if (msg->env.handler == CHI_HANDLER_CAST ||
        msg->env.handler == CHI_HANDLER_MIGRATE || is_if_alive(msg)) {
        /* A broadcast that nobody has; a wish to move that nobody feels. */
        if (msg->env.handler == CHI_HANDLER_CAST) {
            chi_cast_lost(obj, target, msg);
        }
        obj->pe->counted_done++;
        chi_msg_release(msg);
        return;
    }
    if (msg->env.handler != CHI_HANDLER_ENLIST) {
        snprintf(what, sizeof(what), "%s was called on it",
                 msg->env.handler == CHI_HANDLER_DESTROY
                     ? "its destruction"
                     : chi_registry_entry_name(obj->registry, msg->env.entry));
    }
    missing_text(obj, target, name, sizeof(name));
    if (msg->env.handler == CHI_HANDLER_INSERT) {
        snprintf(text, sizeof(text),
                 "%s; PE %u inserted the same index into an array that is "
                 "bound to its array",
                 name, msg->env.source_pe);
    } else {
        snprintf(text, sizeof(text), "%s; %s from PE %u (in %s)", name, what,
                 msg->env.source_pe,
                 msg->env.caller == 0 ? "no entry method"
                                      : chi_registry_entry_name(
                                            obj->registry, msg->env.caller));
    }
    if (chi_msg_reply(msg, &reply)) {
        chi_cb_call_error(obj->cb, &reply, "LookupError", text);
    } else if (!obj->pe->ended) {
        obj->fatal(obj->fatal_context, text);
    }
    obj->pe->counted_done++; /* it was sent, and will never be executed */
    chi_msg_release(msg);
}
