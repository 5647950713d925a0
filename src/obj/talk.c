/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * talk.c - calls of chares on chares are counted, for who balances.
 *
 * What counts is a call of one chare of an array on another (a proxy's method,
 * chare_send(), channels): its message, with the envelope, in the table of the
 * PE that sends it. Broadcasts, multicasts of sections, reductions and results
 * do not: who is where changes little of what they take.
 *
 * Where nobody counts, nothing is paid for it, and one in N costs what one
 * does: each call takes one from 'calls_left', in place of a look whether some
 * chare drains, and the one that leaves none is looked at here. While a chare
 * drains that is each, as that has to be seen, too. Who calls is told by
 * another handler of calls.
 *
 * Pairs stay on the PE that counted them when a chare moves, and bear names;
 * PE 0 adds up what several PEs say of one.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "obj/talk.h"

/* A call is executed while calls are counted. */
static void
talk_execute(void *context, struct chi_msg *msg)
{
    struct chi_talk *talk = &((struct chi_obj *)context)->talk;

    talk->self = (struct chi_comm_name){msg->env.collection, msg->env.key};
    chi_invoke_execute(context, msg);
    talk->self.collection = 0;
}

/* ---- which call is looked at */

static void
calls_left_set(struct chi_obj *obj)
{
    obj->calls_left = obj->draining > 0 ? 1
                      : obj->talk.on    ? obj->talk.comm.left
                                        : UINT64_MAX;
}

void
chi_talk_draining(struct chi_obj *obj, int more)
{
    if (obj->draining == 0 && obj->talk.on) {
        obj->talk.comm.left = (uint32_t)obj->calls_left;
    }
    obj->draining += (uint64_t)(int64_t)more;
    calls_left_set(obj);
}

/* Count, or do not, as wishes and the meter are now. */
static void
talk_switch(struct chi_obj *obj)
{
    struct chi_talk *talk = &obj->talk;
    const bool on = talk->comm.every > 0 && talk->metered;

    if (on == talk->on) {
        return;
    }
    if (talk->on && obj->draining == 0) {
        talk->comm.left = (uint32_t)obj->calls_left; /* the meter may pause */
    }
    talk->on = on;
    talk->self.collection = 0;
    calls_left_set(obj);
    obj->pe->meter.talk = on; /* in a simulation the meter is off */
    chi_pe_look_at_laps(obj->pe);
    chi_pe_change_handler(obj->pe, CHI_HANDLER_INVOKE,
                          on ? talk_execute : chi_invoke_execute);
}

void
chi_talk_meter(struct chi_obj *obj, bool on)
{
    obj->talk.metered = on;
    talk_switch(obj);
}

void
chi_obj_count_calls(struct chi_obj *obj, uint32_t every)
{
    chi_comm_set_every(&obj->talk.comm, every);
    if (every == 0) {
        chi_comm_clear(&obj->talk.comm);
    }
    talk_switch(obj);
    calls_left_set(obj); /* how often was changed */
}

uint32_t
chi_obj_counts_calls(const struct chi_obj *obj)
{
    return obj->talk.comm.every;
}

void
chi_talk_init(struct chi_obj *obj)
{
    chi_comm_init(&obj->talk.comm, obj->pe->rank + 1);
    calls_left_set(obj);
}

void
chi_talk_fini(struct chi_obj *obj)
{
    chi_comm_fini(&obj->talk.comm);
}

/* ---- counting */

/* Bytes of a message; of a local payload, what it says it would take. */
static uint64_t
bytes_of(const struct chi_msg *msg)
{
    const chare_payload_ops *ops = msg->payload_ops;
    uint64_t bytes = chi_msg_wire_len(msg);

    if (ops != NULL && ops->size > offsetof(chare_payload_ops, bytes) &&
        ops->bytes != NULL) {
        bytes += ops->bytes(msg->payload);
    }
    return bytes;
}

static void
count(struct chi_obj *obj, const struct chi_msg *msg)
{
    struct chi_talk *talk = &obj->talk;
    const uint64_t every = talk->comm.every;
    struct chi_comm_edge edge;

    edge = (struct chi_comm_edge){
        .from = talk->self,
        .to = {msg->env.collection, msg->env.key},
        .messages = every,
    };
    if (chi_collection_kind(edge.from.collection) != CHI_KIND_ARRAY ||
        chi_collection_kind(edge.to.collection) != CHI_KIND_ARRAY ||
        memcmp(&edge.from, &edge.to, sizeof(edge.from)) == 0) {
        return;
    }
    edge.bytes = every * bytes_of(msg);
    chi_comm_add(&talk->comm, &edge);
}

void
chi_talk_look(struct chi_obj *obj, const struct chi_msg *msg)
{
    struct chi_comm *comm = &obj->talk.comm;

    chi_assert(obj->calls_left == 0);
    if (obj->talk.on && obj->draining == 0) {
        comm->left = 1; /* the others were not looked at */
    }
    if (obj->talk.on && chi_comm_due(comm)) {
        count(obj, msg);
    }
    calls_left_set(obj);
}

/* ---- who executes, outside of calls */

void
chi_talk_enter(struct chi_obj *obj, const struct chi_element *element)
{
    if (obj->talk.on && element != NULL) {
        obj->talk.self =
            (struct chi_comm_name){element->collection->spec.id, element->key};
    } else {
        obj->talk.self.collection = 0;
    }
}

void
chi_obj_begin(struct chi_obj *obj, const chare_element *self)
{
    struct chi_talk *talk = &obj->talk;

    if (!talk->on) {
        return;
    }
    talk->outer = talk->self;
    talk->has_outer = true;
    talk->self.collection = self->collection;
    (void)chi_index_pack(&self->index, &talk->self.key);
}

void
chi_talk_leave(struct chi_obj *obj)
{
    struct chi_talk *talk = &obj->talk;

    if (talk->has_outer) {
        talk->self = talk->outer;
        talk->has_outer = false;
    }
}

/* ---- telling */

/* What a chare of a bound array says and hears counts for its anchor, if that
 * is what is balanced. False: nothing is known of the array. */
static bool
to_anchor(struct chi_obj *obj, struct chi_comm_name *name,
          const struct chi_collection **out)
{
    *out = chi_collection_find(obj, name->collection);
    while (*out != NULL && (*out)->spec.bound_to != 0 &&
           !(*out)->spec.at_sync) {
        name->collection = (*out)->spec.bound_to;
        *out = chi_collection_find(obj, name->collection);
    }
    return *out != NULL;
}

/* Put it back, or tell it. */
static void
tell(struct chi_obj *obj, const struct chi_comm_edge *counted,
     enum chi_load_set set, chi_obj_edge_fn fn, void *context)
{
    struct chi_comm_edge edge = *counted;
    const struct chi_collection *from;
    const struct chi_collection *to;

    if (!to_anchor(obj, &edge.from, &from)) {
        return;
    }
    (void)to_anchor(obj, &edge.to, &to);
    if (!chi_load_is_in(obj, from, set)) {
        chi_comm_add(&obj->talk.comm, counted);
    } else if (memcmp(&edge.from, &edge.to, sizeof(edge.from)) != 0) {
        fn(context, &edge);
    }
}

uint64_t
chi_obj_take_edges(struct chi_obj *obj, enum chi_load_set set,
                   chi_obj_edge_fn fn, void *context)
{
    struct chi_comm *comm = &obj->talk.comm;
    const uint64_t lost_bytes = comm->lost_bytes;
    struct chi_comm_edge *edges;
    size_t count = 0;

    edges = malloc((comm->count + 1) * sizeof(*edges));
    if (edges == NULL) {
        chi_pe_die(obj->pe, "out of memory for load balancing");
    }
    for (size_t i = 0; i < comm->room; i++) {
        if (comm->slots[i].messages != 0) {
            edges[count++] = comm->slots[i];
        }
    }
    chi_comm_clear(comm);
    for (size_t i = 0; i < count; i++) {
        tell(obj, &edges[i], set, fn, context);
    }
    free(edges);
    return lost_bytes;
}

bool
chi_obj_comm_name(const chare_element *element, struct chi_comm_name *out)
{
    out->collection = element->collection;
    return chi_index_pack(&element->index, &out->key);
}
