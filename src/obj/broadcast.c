/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broadcast.c - calls of all chares of a collection or section.
 *
 * A broadcast to a group starts on its source's PE and goes down the tree of
 * that; one to a section goes to the root first, and down its own tree; one to
 * an array goes to the creator, which numbers it (cast.c), and down its tree.
 * Each PE passes it on before it looks at it (E1: the root alone judges it).
 */
#include "config.h"

#include "msg/codec.h"
#include "obj/behind.h"
#include "obj/migrate.h"
#include "obj/section.h"

chare_status
chi_broadcast_add_trailer(struct chi_obj *obj, struct chi_msg **msg_inout,
                          enum chi_reply_kind kind,
                          const chare_callback *callback)
{
    unsigned char trailer[16 + CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));

    chi_write_u64(&writer,
                  CHI_COLL_TAG_CALL |
                      (uint64_t)obj->pe->rank << CHI_COLL_TAG_PE_SHIFT |
                      obj->calls++);
    chi_write_u32(&writer, (uint32_t)kind);
    chi_callback_write(&writer, callback);
    chi_assert(!writer.bad);
    (*msg_inout)->env.flags |= CHI_ENV_REPLY;
    return chi_msg_add_trailer(msg_inout, trailer,
                               (uint16_t)(writer.at - trailer));
}

bool
chi_broadcast_read_trailer(const struct chi_msg *msg, chare_reply *out)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);

    out->tag = chi_read_u64(&reader);
    out->kind = chi_read_u32(&reader);
    return chi_callback_read(&reader, &out->callback);
}

uint32_t
chi_reply_reducer(const chare_reply *reply)
{
    const uint32_t kind = reply->kind & CHI_REPLY_KINDS;

    return kind == CHI_REPLY_GATHER ? CHARE_REDUCE_GATHER
           : kind == CHI_REPLY_ROLL ? CHI_COLL_REDUCE_JOIN
                                    : CHARE_REDUCE_NOP;
}

/* O4: the creator's broadcasts to an array wait for its creation among the
 * creator's calls to single chares. */
static bool
waits_for_creation(struct chi_obj *obj, struct chi_msg *msg)
{
    const chare_collection id = msg->env.collection;
    struct chi_collection *collection = chi_collection_find(obj, id);

    if (collection == NULL) {
        if (chi_is_buried(obj, id)) {
            return false;
        }
        chi_pe_count(obj->pe, msg);
        chi_keep_for_collection(obj, msg);
        return true;
    }
    if (chi_likely(collection->populated) || collection->populating) {
        return false;
    }
    chi_pe_count(obj->pe, msg);
    chi_keep_for_population(obj, collection, msg);
    return true;
}

void
chi_broadcast_start(struct chi_obj *obj, struct chi_msg *msg)
{
    const chare_collection id = msg->env.collection;
    const enum chi_kind kind = chi_collection_kind(id);

    if (kind == CHI_KIND_ARRAY &&
        chi_collection_creator(id) == obj->pe->rank &&
        waits_for_creation(obj, msg)) {
        return;
    }
    chi_pe_send(obj->pe,
                kind == CHI_KIND_SECTION || kind == CHI_KIND_ARRAY
                    ? chi_collection_creator(id)
                    : obj->pe->rank,
                msg);
}

bool
chi_broadcast_ok(const struct chi_obj *obj, chare_collection id)
{
    const enum chi_kind kind = chi_collection_kind(id);

    return chi_collection_creator(id) < obj->pe->size &&
           (kind == CHI_KIND_GROUP || kind == CHI_KIND_ARRAY ||
            kind == CHI_KIND_NODE_GROUP || kind == CHI_KIND_SECTION);
}

/* It is known here that it is no more, or will not be. */
bool
chi_collection_is_over(struct chi_obj *obj, chare_collection id)
{
    const struct chi_collection *collection = chi_collection_find(obj, id);

    return collection != NULL ? collection->destroyed || collection->doomed
                              : chi_is_buried(obj, id);
}

/* Entry 0 destroys. */
static chare_status
broadcast(struct chi_obj *obj, chare_collection collection, uint32_t entry,
          const chare_data *data, const chare_send_options *options)
{
    struct chi_msg *msg;
    chare_status status;

    if (!chi_broadcast_ok(obj, collection) ||
        (options != NULL && !chi_cb_ok(obj->cb, options->reply))) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(obj->pe, CHI_HANDLER_BROADCAST, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (msg->payload_ops != NULL) {
        status = chi_pe_encode(obj->pe, &msg);
    }
    if (status == CHARE_OK && options != NULL && options->reply != NULL &&
        (options->reply->kind != CHARE_CALLBACK_NONE || entry == 0)) {
        status = chi_broadcast_add_trailer(
            obj, &msg,
            options->gather ? CHI_REPLY_GATHER : CHI_REPLY_REDUCTION,
            options->reply);
    }
    if (status != CHARE_OK) {
        chi_give_data_back(msg, data);
        return status;
    }
    msg->env.collection = collection;
    msg->env.entry = entry;
    msg->env.priority = options == NULL ? 0 : options->priority;
    chi_broadcast_start(obj, msg);
    return CHARE_OK;
}

chare_status
chi_obj_broadcast(struct chi_obj *obj, chare_collection collection,
                  uint32_t entry, const chare_data *data,
                  const chare_send_options *options)
{
    if (entry == 0 || entry >= obj->registry->entry_count) {
        return CHARE_ERR_INVALID;
    }
    if (chi_unlikely(chi_collection_is_over(obj, collection))) {
        return CHARE_ERR_NOT_FOUND;
    }
    return broadcast(obj, collection, entry, data, options);
}

chare_status
chi_obj_broadcast_result(struct chi_obj *obj, const chare_callback *callback,
                         const chare_data *data)
{
    if (callback->entry == 0 ||
        callback->entry >= obj->registry->entry_count) {
        return CHARE_ERR_INVALID;
    }
    return broadcast(obj, callback->element.collection, callback->entry, data,
                     NULL);
}

chare_status
chi_obj_destroy_collection(struct chi_obj *obj, chare_collection id,
                           const chare_callback *done)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};
    const chare_send_options options = {
        .size = sizeof(options), .reply = done != NULL ? done : &nobody};
    struct chi_collection *collection;

    if (chi_collection_is_over(obj, id)) {
        return CHARE_ERR_NOT_FOUND;
    }
    collection = chi_collection_find(obj, id);
    if (collection != NULL && chi_broadcast_ok(obj, id)) {
        collection->doomed = true;
    }
    return broadcast(obj, id, 0, NULL, &options);
}

void
chi_broadcast_expect(struct chi_obj *obj, struct chi_collection *collection,
                     const struct chi_msg *msg)
{
    chare_reply reply;

    if ((msg->env.flags & CHI_ENV_REPLY) != 0 && collection->set.is_root &&
        chi_broadcast_read_trailer(msg, &reply)) {
        chi_coll_expect(obj->coll, &collection->set, reply.tag,
                        chi_reply_reducer(&reply), &reply.callback);
    }
}

void
chi_broadcast_ran(struct chi_obj *obj, struct chi_collection *collection,
                  const struct chi_msg *msg, uint64_t awaited, uint64_t absent)
{
    chare_reply reply;

    if ((msg->env.flags & CHI_ENV_REPLY) &&
        chi_broadcast_read_trailer(msg, &reply)) {
        chi_coll_ran(obj->coll, &collection->set, reply.tag,
                     chi_reply_reducer(&reply), awaited, absent,
                     &reply.callback);
    }
}

/* Pass one to an array or a group on, once. False: it was refused, dropped, or
 * kept until its array is known. */
static bool
pass_on(struct chi_obj *obj, struct chi_msg *msg)
{
    const chare_collection id = msg->env.collection;
    uint32_t root = msg->env.source_pe;

    if (root >= obj->pe->size) {
        chi_msg_release(msg);
        return false;
    }
    if (chi_collection_kind(id) == CHI_KIND_ARRAY) {
        root = chi_collection_creator(id);
    }
    if (chi_collection_kind(id) == CHI_KIND_ARRAY && root == obj->pe->rank) {
        struct chi_collection *collection = chi_collection_find(obj, id);

        if ((collection == NULL || collection->destroyed) &&
            chi_broadcast_over(obj, collection, msg)) {
            return false;
        }
        if (collection == NULL) {
            chi_keep_until_ready(obj, NULL, msg);
            return false;
        }
        msg->env.key = collection->casts_made++;
    }
    chi_coll_send_down(obj->coll, root, msg);
    msg->env.spare = 1; /* passed on: it may have to wait here */
    return true;
}

struct chi_collection *
chi_broadcast_ready(struct chi_obj *obj, struct chi_msg *msg)
{
    const bool is_section =
        chi_collection_kind(msg->env.collection) == CHI_KIND_SECTION;
    struct chi_collection *collection;

    if (!is_section && msg->env.spare == 0 && !pass_on(obj, msg)) {
        return NULL;
    }
    collection = chi_collection_find(obj, msg->env.collection);
    if (chi_unlikely(collection == NULL || collection->destroyed) &&
        chi_broadcast_over(obj, collection, msg)) {
        return NULL;
    }
    if (is_section && !chi_section_known(obj, msg)) {
        return NULL;
    }
    collection = chi_collection_ready(obj, msg);
    if (is_section && collection != NULL) {
        chi_coll_send_along(obj->coll, collection->set.edges, msg);
    }
    return collection;
}

/* Run a broadcast on those that are here and have not had it elsewhere. */
static void
run_here(struct chi_obj *obj, struct chi_collection *collection,
         struct chi_msg *msg)
{
    const uint64_t skipped = chi_casts_skipped(collection, msg->env.key);
    const uint64_t held = chi_casts_held(obj, collection, msg);
    const uint64_t marked = skipped + held;
    const size_t count = collection->count;
    /* Of which type those are that follow is not to be promised. */
    const uint64_t one = collection->mixed ? 0 : 1;
    uint64_t left = (count - marked) * one;

    chi_assert(marked <= count);
    chi_broadcast_ran(obj, collection, msg, count - skipped,
                      chi_casts_absent(collection, msg->env.key));
    for (size_t i = 0; i < count && !obj->pe->ended; i++) {
        struct chi_element *element = collection->elements[i];

        if (marked == 0 || !chi_casts_skips(element)) {
            left -= one;
            chi_broadcast_run(obj, element, msg, msg->env.collection, left);
        }
    }
}

/* Execute a broadcast on all chares of a collection that are here. */
static void
broadcast_here(struct chi_obj *obj, struct chi_collection *collection,
               struct chi_msg *msg)
{
    if (!chi_entry_fits(obj, collection, msg->env.entry)) {
        const chare_element all = {.collection = collection->spec.id};

        chi_refuse_entry(obj, &all, msg);
        return;
    }
    chi_broadcast_expect(obj, collection, msg);
    run_here(obj, collection, msg);
    chi_casts_ran(obj, collection, msg);
    if (collection->complete || collection->spec.dense ||
        collection->kind != CHI_KIND_ARRAY) {
        chi_msg_release(msg);
    } else {
        chi_keep_for_late(obj, collection, msg);
    }
}

void
chi_broadcast_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = chi_broadcast_ready(obj, msg);

    if (collection == NULL) {
        return; /* the message was kept */
    }
    if (msg->env.entry == 0) {
        chi_destroy_all_execute(obj, collection, msg);
    } else if (collection->kind == CHI_KIND_SECTION) {
        chi_broadcast_expect(obj, collection, msg);
        chi_section_run(obj, collection, msg);
    } else {
        broadcast_here(obj, collection, msg);
    }
}

void
chi_broadcast_late(struct chi_obj *obj, struct chi_collection *collection,
                   struct chi_element *element)
{
    for (struct chi_msg *msg = collection->late.head;
         msg != NULL && !obj->pe->ended; msg = msg->next) {
        chi_broadcast_ran(obj, collection, msg, 1, 0);
        if (msg->env.handler == CHI_HANDLER_ROLL) {
            chi_roll_late(obj, collection, element, msg);
        } else {
            chi_broadcast_run(obj, element, msg, msg->env.collection, 0);
        }
    }
}
