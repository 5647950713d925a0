/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arrive.c - chares that come from another PE; see migrate.c.
 */
#include "config.h"

#include <stdlib.h>

#include "msg/codec.h"
#include "obj/migrate.h"
#include "obj/section.h"

enum {
    /* So many broadcasts may have run where a chare was and not yet here: a
     * chare skips each of them. */
    CASTS_AHEAD_MAX = 1 << 24,
};

static bool
luggage_read(const struct chi_msg *msg, struct chi_luggage *out,
             const unsigned char **more_out, uint64_t *data_len_out)
{
    const uint64_t len = chi_msg_data_len(msg);
    uint64_t data_len;
    uint64_t at;

    if (msg->env.trailer_len != sizeof(data_len)) {
        return false;
    }
    memcpy(&data_len, chi_msg_trailer(msg), sizeof(data_len));
    at = (data_len + 7) / 8 * 8;
    if (data_len > len || at > len || len - at < sizeof(*out)) {
        return false;
    }
    memcpy(out, msg->bytes + at, sizeof(*out));
    *more_out = msg->bytes + at + sizeof(*out);
    *data_len_out = data_len;
    return len - at - sizeof(*out) ==
               out->cast_count * sizeof(uint64_t) +
                   out->member_count * sizeof(struct chi_far_member) &&
           out->self.collection == msg->env.collection &&
           out->self.index.ndims >= 1 &&
           out->self.index.ndims <= CHARE_DIMS_MAX;
}

/* Whether a chare like this can live here, and does not yet. */
static bool
luggage_ok(const struct chi_obj *obj, const struct chi_collection *collection,
           const struct chi_luggage *luggage,
           const struct chi_far_member *members)
{
    const bool is_guest = (luggage->flags & CHI_LUGGAGE_GUEST) != 0;
    const uint32_t type = is_guest ? luggage->type : collection->spec.type;

    for (uint32_t i = 0; i < luggage->member_count; i++) {
        if (!chi_section_id_ok(obj, members[i].id) ||
            members[i].pe >= obj->pe->size) {
            return false;
        }
    }
    return collection->kind == CHI_KIND_ARRAY &&
           luggage->self.index.ndims == collection->spec.ndims &&
           type < obj->registry->type_count &&
           obj->registry->types[type].ops.unpack != NULL &&
           luggage->from < obj->pe->size &&
           (luggage->casts_below <= collection->casts_below ||
            luggage->casts_below - collection->casts_below <=
                CASTS_AHEAD_MAX) &&
           chi_element_find_index(collection, &luggage->self.index) == NULL;
}

/* Make the object, from what its type's pack hook wrote; false: there is none,
 * and the job ends. */
static bool
unpack(struct chi_obj *obj, struct chi_element *element,
       const chare_element *self, struct chi_msg *msg, uint64_t data_len)
{
    const struct chi_type *type = chi_element_type(obj, element);
    chare_status status;
    chare_call call;

    chi_cb_call_of_msg(obj->cb, msg, &call);
    call.self = self;
    call.len = data_len;
    call.wants_reply = false;
    status = type->ops.unpack(&call, type->context, &element->object);
    if (status == CHARE_OK && element->object == NULL) {
        status = CHARE_ERR_FORMAT;
    }
    if (status == CHARE_OK) {
        return true;
    }
    chi_move_failed(obj, element, "could not be made where it moved to",
                    status);
    element->object = NULL; /* it goes with its collection */
    /* Where the hook has asked for the end, nobody misses the chare in the
     * meantime: no call is executed here any more. */
    obj->pe->closing = true;
    return false;
}

/* False: it was dropped. */
static bool
element_come(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);
    const struct chi_far_member *members;
    const unsigned char *more;
    struct chi_element *element;
    const uint64_t start = obj->times_moves ? chi_clock_ticks() : 0;
    struct chi_msg *answer;
    struct chi_luggage luggage;
    uint64_t data_len;

    if (!luggage_read(msg, &luggage, &more, &data_len)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed chare");
        return false;
    }
    members = (const void *)(more + luggage.cast_count * sizeof(uint64_t));
    if (!luggage_ok(obj, collection, &luggage, members)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed chare");
        return false;
    }
    chi_collection_scatter(obj, collection);
    element = chi_element_link_new(obj, collection, &luggage.self.index);
    element->reduction_next = luggage.reduction_next;
    element->fixed = (luggage.flags & CHI_LUGGAGE_FIXED) != 0;
    collection->spec.at_sync |= (luggage.flags & CHI_LUGGAGE_AT_SYNC) != 0;
    if ((luggage.flags & CHI_LUGGAGE_GUEST) != 0) {
        chi_element_set_type(element, luggage.type);
    }
    chi_load_unpack(collection, element, luggage.synced, luggage.work,
                    data_len);
    chi_members_arrive(obj, element, members, luggage.member_count);
    answer = chi_casts_arrive(obj, collection, element, luggage.casts_below,
                              (const void *)more, luggage.cast_count);
    memcpy(answer->bytes, &luggage.self, sizeof(luggage.self));
    answer->env.collection = collection->spec.id;
    chi_coll_arrive(obj->coll, &collection->set, element->reduction_next);
    chi_loc_came(obj->loc, &luggage.self,
                 chi_collection_home(obj, collection, &luggage.self.index));
    chi_pe_send(obj->pe, luggage.from, answer);
    if (!unpack(obj, element, &luggage.self, msg, data_len)) {
        return false;
    }
    if (obj->on_move != NULL) {
        obj->on_move(obj->on_move_context, &luggage.self, luggage.from,
                     obj->pe->rank, true);
    }
    if (obj->times_moves) {
        obj->move_ticks += chi_clock_ticks() - start;
        obj->move_count++;
    }
    return true;
}

/* All of a step are here: tell them. */
static void
element_came(struct chi_obj *obj, const struct chi_msg *msg)
{
    struct chi_luggage luggage;
    const unsigned char *more;
    uint64_t data_len;
    struct chi_collection *collection;
    struct chi_element *element;
    const struct chi_type *type;

    if (obj->pe->closing || !luggage_read(msg, &luggage, &more, &data_len)) {
        return; /* one of the step could not be made */
    }
    collection = chi_collection_find(obj, luggage.self.collection);
    element = chi_element_find_index(collection, &luggage.self.index);
    type = chi_element_type(obj, element);
    if (type->ops.migrated != NULL) {
        type->ops.migrated(element->object, type->context);
    }
    if (collection->spec.bound_to != 0 &&
        chi_move_anchor(obj, element) == element) {
        chi_move_follow(obj, element);
    }
}

/* Take the messages of a PE's step that came before its last one, which is
 * 'last', and put that behind them. */
static void
step_take(struct chi_obj *obj, struct chi_msg *last, struct chi_msg_queue *out)
{
    struct chi_msg_queue others = {0};
    struct chi_msg *msg;

    while ((msg = chi_msg_queue_pop(&obj->moving_in)) != NULL) {
        chi_msg_queue_push(
            msg->env.source_pe == last->env.source_pe ? out : &others, msg);
    }
    obj->moving_in = others;
    chi_msg_queue_push(out, last);
}

/* Keep a step of which some collection is not populated here yet: all wait for
 * that one, in this order. */
static bool
step_keep(struct chi_obj *obj, struct chi_msg_queue *step)
{
    struct chi_collection *missing = NULL;
    chare_collection id = 0;
    struct chi_msg *msg;

    for (msg = step->head; msg != NULL && id == 0; msg = msg->next) {
        missing = chi_collection_find(obj, msg->env.collection);
        if (missing == NULL || !missing->populated) {
            id = msg->env.collection;
        }
    }
    if (id == 0) {
        return false;
    }
    while ((msg = chi_msg_queue_pop(step)) != NULL) {
        if (missing == NULL) {
            chi_keep_step(obj, id, msg);
        } else {
            chi_keep_for_population(obj, missing, msg);
        }
    }
    return true;
}

void
chi_move_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_msg_queue step = {0};
    struct chi_msg_queue came = {0};
    struct chi_msg *one;

    /* A bound array is populated after the one it is bound to, so the last
     * collection of a step decides; its message comes last. */
    if ((msg->env.spare & CHI_MOVE_MORE) != 0) {
        chi_pe_hold(obj->pe, msg);
        chi_msg_queue_push(&obj->moving_in, msg);
        return;
    }
    if (obj->moving_in.head == NULL) { /* nearly always */
        if (chi_collection_ready(obj, msg) == NULL) {
            return; /* the message was kept */
        }
        if (element_come(obj, msg)) {
            element_came(obj, msg);
        }
        chi_msg_release(msg);
        return;
    }
    step_take(obj, msg, &step);
    if (step_keep(obj, &step)) {
        chi_pe_hold(obj->pe, msg); /* it is executing; the others did before */
        return;
    }
    while ((one = chi_msg_queue_pop(&step)) != NULL) {
        obj->pe->counted_done += one != msg;
        if (element_come(obj, one)) {
            chi_msg_queue_push(&came, one);
        } else {
            chi_msg_release(one);
        }
    }
    while ((one = chi_msg_queue_pop(&came)) != NULL) {
        element_came(obj, one);
        chi_msg_release(one);
    }
}
