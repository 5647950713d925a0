/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * insert.c - filling a sparse array, from any PE.
 *
 * Invariants:
 *  I1  each PE counts the insertions it started, and each home those that it
 *      knows to be in place;
 *  I2  an array is complete when, after chare_insert_done(), the sums of both
 *      over all PEs are equal: all insertions were started before, so the
 *      first sum is final, and the second grows to it;
 *  I3  only then is the census taken, and what waits for a chare is
 *      undeliverable; until then quiescence waits;
 *  I4  a broadcast runs once on each chare of the array, whether it was
 *      inserted before or after: until the array is complete, broadcasts are
 *      kept for those that come late.
 */
#include "config.h"

#include <stdio.h>

#include "obj/obj_private.h"

enum {
    INSERT_DONE_ASK = 0,      /* env.spare: to the root */
    INSERT_DONE_COMPLETE = 1, /* from the root, down the tree */
};

/* What an insertion's message has in its trailer. */
struct insertion {
    chare_element element;
    uint32_t type; /* CHI_TYPE_OF_ARRAY: the array's */
    uint32_t flags;
};

enum {
    INSERTION_AT_SYNC = 1
};

static const char TOO_LATE[] =
    "was inserted after chare_insert_done(), in Python ckDoneInserting(), "
    "which says that no more will come: an array that changes goes without";

void
chi_insert_fatal(struct chi_obj *obj, const chare_element *element,
                 const char *what)
{
    char name[256];
    char text[512];

    chi_element_text(obj, element, name, sizeof(name));
    snprintf(text, sizeof(text), "chare %s %s", name, what);
    obj->fatal(obj->fatal_context, text);
}

chare_status
chi_obj_insert(struct chi_obj *obj, const chare_element *element,
               uint32_t type, bool at_sync, uint32_t pe,
               const chare_data *args)
{
    const struct insertion insertion = {*element, type,
                                        at_sync ? INSERTION_AT_SYNC : 0};
    struct chi_collection *collection =
        chi_collection_find(obj, element->collection);
    struct chi_msg *msg;
    chare_status status;

    if (chi_collection_kind(element->collection) != CHI_KIND_ARRAY ||
        !chi_broadcast_ok(obj, element->collection) ||
        (type != CHI_TYPE_OF_ARRAY && type >= obj->registry->type_count) ||
        (pe != CHARE_ANY_PE && pe >= obj->pe->size) ||
        element->index.ndims < 1 || element->index.ndims > CHARE_DIMS_MAX ||
        (collection != NULL &&
         (collection->spec.dense ||
          collection->spec.ndims != element->index.ndims))) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(obj->pe, CHI_HANDLER_INSERT, args, &msg);
    if (status == CHARE_OK && msg->payload_ops != NULL) {
        status = chi_pe_encode(obj->pe, &msg);
        if (status != CHARE_OK) {
            msg->payload_ops = NULL;
            chi_msg_release(msg);
        }
    }
    if (status == CHARE_OK) {
        status = chi_msg_add_trailer(&msg, &insertion, sizeof(insertion));
    }
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.collection = element->collection;
    msg->env.key = pe;
    chi_pe_count(obj->pe, msg);
    chi_dispatch(obj, msg, NULL);
    return CHARE_OK;
}

static bool
insertion_read(const struct chi_msg *msg, struct insertion *out)
{
    if (msg->env.trailer_len != sizeof(*out)) {
        return false;
    }
    memcpy(out, chi_msg_trailer(msg), sizeof(*out));
    return true;
}

static bool
insert_target(const struct chi_collection *collection,
              const struct chi_msg *msg, chare_element *out)
{
    struct insertion insertion;

    if (!insertion_read(msg, &insertion)) {
        return false;
    }
    *out = insertion.element;
    return out->collection == collection->spec.id &&
           out->index.ndims == collection->spec.ndims;
}

bool
chi_insert_anchor(const struct chi_collection *collection,
                  const struct chi_msg *msg, chare_element *anchor_out)
{
    if (!insert_target(collection, msg, anchor_out)) {
        return false;
    }
    chi_assert(collection->spec.bound_to != 0);
    anchor_out->collection = collection->spec.bound_to;
    return true;
}

/*
 * An insertion into a bound array goes the way of a call to the chare that the
 * new one follows, and waits for it like one. True: that chare is here.
 */
static bool
dispatch_bound(struct chi_obj *obj, struct chi_collection *collection,
               struct chi_msg *msg)
{
    struct chi_collection *other =
        chi_collection_find(obj, collection->spec.bound_to);
    chare_element anchor;

    chi_assert(other != NULL); /* chi_spec_ready(), E6 */
    if (msg->env.key != CHARE_ANY_PE) {
        (void)insert_target(collection, msg, &anchor);
        chi_insert_fatal(obj, &anchor,
                         "was inserted with a PE into a bound array, whose "
                         "chares are where the other array's are");
        chi_msg_release(msg);
        return false;
    }
    if (!chi_insert_anchor(collection, msg, &anchor)) {
        chi_msg_release(msg);
        return false;
    }
    if (chi_element_find_index(other, &anchor.index) != NULL) {
        return true;
    }
    chi_loc_send(obj->loc, &anchor,
                 chi_collection_home(obj, other, &anchor.index), msg);
    return false;
}

bool
chi_insert_dispatch(struct chi_obj *obj, struct chi_collection *collection,
                    struct chi_msg *msg)
{
    chare_element element;
    uint64_t pe = msg->env.key;

    if (!insert_target(collection, msg, &element)) {
        chi_msg_release(msg);
        return false;
    }
    if (msg->env.source_pe == obj->pe->rank && msg->env.hops == 0) {
        msg->env.hops = 1;
        collection->insertions_started++; /* I1 */
        if (collection->spec.bound_to != 0) {
            return dispatch_bound(obj, collection, msg);
        }
        if (pe == CHARE_ANY_PE) {
            pe = chi_collection_home(obj, collection, &element.index);
        }
        chi_pe_forward(obj->pe, (uint32_t)pe, msg);
        return false;
    }
    return collection->spec.bound_to == 0 ||
           dispatch_bound(obj, collection, msg);
}

/* At the home: the element is in place, here or on 'pe'. */
void
chi_insert_placed(struct chi_obj *obj, const chare_element *element,
                  uint32_t pe)
{
    struct chi_collection *collection =
        chi_collection_find(obj, element->collection);
    struct chi_msg_queue kept;
    struct chi_msg *msg;

    chi_assert(collection != NULL);
    if (collection->complete && !collection->destroyed) {
        chi_insert_fatal(obj, element, TOO_LATE);
        return;
    }
    collection->insertions_done++; /* I1 */
    chi_kept_for_element(obj, collection, element, &kept);
    if (pe == obj->pe->rank) {
        chi_queue_return(&obj->pe->queue, &kept);
        return;
    }
    while ((msg = chi_msg_queue_pop(&kept)) != NULL) {
        msg->env.hops = 1; /* it has waited: the count starts anew */
        chi_pe_forward(obj->pe, pe, msg);
    }
}

static void
insert(struct chi_obj *obj, struct chi_collection *collection,
       const chare_element *target, struct chi_msg *msg)
{
    const uint32_t home = chi_collection_home(obj, collection, &target->index);
    struct insertion insertion;
    struct chi_element *element;
    uint32_t type = collection->spec.type;

    if (insertion_read(msg, &insertion)) {
        if (insertion.type < obj->registry->type_count) {
            type = insertion.type;
        }
        collection->spec.at_sync |= (insertion.flags & INSERTION_AT_SYNC) != 0;
    }
    element =
        chi_element_add(obj, collection, &target->index, home, type, msg);
    if (element == NULL) {
        return; /* the job is ending */
    }
    chi_broadcast_late(obj, collection, element);
    if (home == obj->pe->rank) {
        chi_insert_placed(obj, target, home);
    }
}

/* An insertion into a bound array: the chare that the new one follows is not
 * here any more; true: it was sent after it. */
static bool
anchor_has_left(struct chi_obj *obj, const struct chi_collection *collection,
                const chare_element *target, struct chi_msg *msg)
{
    struct chi_collection *other =
        chi_collection_find(obj, collection->spec.bound_to);
    const chare_element anchor = {other->spec.id, target->index};

    if (chi_element_find_index(other, &anchor.index) != NULL) {
        return false;
    }
    chi_missing(obj, other, &anchor, msg);
    return true;
}

void
chi_insert_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = chi_collection_ready(obj, msg);
    chare_element target;

    if (collection == NULL) {
        return; /* the message was kept */
    }
    if (!insert_target(collection, msg, &target)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed insertion");
    } else if (collection->spec.bound_to != 0 &&
               anchor_has_left(obj, collection, &target, msg)) {
        return; /* sent after it */
    } else if (collection->complete) {
        chi_insert_fatal(obj, &target,
                         collection->destroyed
                             ? "was inserted after its array was destroyed"
                             : TOO_LATE);
    } else if (chi_element_find_index(collection, &target.index) != NULL ||
               (chi_collection_home(obj, collection, &target.index) ==
                    obj->pe->rank &&
                chi_loc_knows(obj->loc, &target))) {
        collection->insertions_done++; /* I1 */
        if (!obj->again_dropped) {
            chi_insert_fatal(obj, &target, "was inserted twice");
        }
    } else {
        insert(obj, collection, &target, msg);
    }
    chi_msg_release(msg);
}

void
chi_obj_insert_again(struct chi_obj *obj, bool dropped)
{
    obj->again_dropped = dropped;
}

/* ---- the end of insertions */

chare_status
chi_obj_insert_done(struct chi_obj *obj, chare_collection id,
                    const chare_callback *done)
{
    struct chi_collection *collection = chi_collection_find(obj, id);
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};
    unsigned char bytes[CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_msg *msg;

    if (chi_collection_kind(id) != CHI_KIND_ARRAY ||
        !chi_broadcast_ok(obj, id) ||
        (collection != NULL && collection->spec.dense)) {
        return CHARE_ERR_INVALID;
    }
    chi_callback_write(&writer, done == NULL ? &nobody : done);
    chi_assert(!writer.bad);
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_INSERT_DONE,
                     (uint64_t)(writer.at - bytes));
    memcpy(msg->bytes, bytes, (size_t)(writer.at - bytes));
    msg->env.collection = id;
    msg->env.spare = INSERT_DONE_ASK;
    chi_pe_send(obj->pe, chi_collection_creator(id), msg);
    return CHARE_OK;
}

bool
chi_insert_survey(void *context, uint64_t argument,
                  uint64_t words_out[CHI_SURVEY_WORDS])
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = chi_collection_find(obj, argument);

    if (collection == NULL) {
        return false; /* its creation is on the way */
    }
    words_out[0] = collection->insertions_started;
    words_out[1] = collection->insertions_done;
    return true;
}

static void survey_done(void *context, uint64_t argument,
                        const uint64_t sums[CHI_SURVEY_WORDS]);

/* Survey the array whose turn it is, if any. */
static void
survey_next(struct chi_obj *obj)
{
    if (obj->survey_head != NULL) {
        chi_coll_survey(obj->coll, CHI_SURVEY_INSERTIONS,
                        obj->survey_head->spec.id, survey_done, obj);
    }
}

/* One array at a time, in turns. */
static void
survey_enqueue(struct chi_obj *obj, struct chi_collection *collection)
{
    collection->survey_next = NULL;
    if (obj->survey_head == NULL) {
        obj->survey_head = collection;
    } else {
        obj->survey_tail->survey_next = collection;
    }
    obj->survey_tail = collection;
}

static void
survey_done(void *context, uint64_t argument,
            const uint64_t sums[CHI_SURVEY_WORDS])
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = obj->survey_head;
    struct chi_msg *msg;

    chi_assert(collection != NULL && collection->spec.id == argument);
    obj->survey_head = collection->survey_next;
    if (sums[0] != sums[1]) {
        survey_enqueue(obj, collection);
        survey_next(obj);
        return;
    }
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_INSERT_DONE, 0);
    msg->env.collection = argument;
    msg->env.spare = INSERT_DONE_COMPLETE;
    chi_pe_send(obj->pe, obj->pe->rank, msg);
    obj->pe->counted_done++; /* see start_survey() */
    collection->in_survey = false;
    chi_bury_check(obj, collection);
    survey_next(obj);
}

static void
start_survey(struct chi_obj *obj, struct chi_collection *collection,
             const struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);

    if (collection->surveying) {
        obj->fatal(obj->fatal_context,
                   "chare_insert_done() was called twice for one array");
        return;
    }
    collection->surveying = true;
    collection->in_survey = true;
    collection->has_created = chi_callback_read(&reader, &collection->created);
    if (collection->set.census_known) { /* it was destroyed meanwhile */
        collection->in_survey = false;
        chi_cb_call_or_die(obj->cb, &collection->created, NULL);
        return;
    }
    obj->pe->counted_made++; /* the survey itself does not count */
    survey_enqueue(obj, collection);
    if (obj->survey_head == collection) {
        survey_next(obj);
    }
}

void
chi_collection_complete(struct chi_obj *obj, struct chi_collection *collection)
{
    if (collection->complete) {
        return; /* it was destroyed meanwhile */
    }
    collection->complete = true;
    chi_kept_is_lost(obj, collection);
    chi_kept_late_drop(obj, collection);
    chi_coll_census(obj->coll, &collection->set, collection->born,
                    collection->count);
}

/* The array was destroyed, and with it all that could be waited for. */
static void
insert_done_late(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    chare_callback done;

    if (msg->env.spare != INSERT_DONE_ASK) {
        if (msg->env.source_pe < obj->pe->size) {
            chi_coll_send_down(obj->coll, msg->env.source_pe, msg);
        }
    } else if (chi_callback_read(&reader, &done)) {
        chi_cb_call_or_die(obj->cb, &done, NULL);
    }
    chi_msg_release(msg);
}

void
chi_insert_done_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection;

    if (chi_is_buried(obj, msg->env.collection)) {
        insert_done_late(obj, msg);
        return;
    }
    collection = chi_collection_ready(obj, msg);
    if (collection == NULL) {
        return; /* the message was kept */
    }
    if (msg->env.spare == INSERT_DONE_ASK) {
        start_survey(obj, collection, msg);
    } else {
        chi_coll_send_down(obj->coll, msg->env.source_pe, msg);
        chi_collection_complete(obj, collection); /* I3 */
    }
    chi_msg_release(msg);
}
