/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * invoke.c - calls: sending them, executing them, answering them; also those
 * that broadcasts make.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/buffer.h"
#include "msg/codec.h"
#include "obj/migrate.h"
#include "obj/section.h"
#include "obj/talk.h"
#include "obj/usual.h"

enum {
    WIDE_BYTES = sizeof(int64_t) * CHARE_DIMS_MAX,
};

/* One execution; the call is what user code sees of it. */
struct invocation {
    chare_call call; /* its 'execution' is this */
    struct chi_obj *obj;
    struct chi_msg *msg;
    bool shared; /* the message has other targets too */
    bool reply_taken;
    bool buffer_taken;
    uint64_t stamp;     /* the message's, when its buffer was taken */
    chare_element self; /* call.self */
    chare_reply reply;  /* when the message, which names it, was taken first */
};

/* ---- sending to one chare */

bool
chi_msg_target(const struct chi_collection *collection,
               const struct chi_msg *msg, chare_element *element_out,
               const chare_index **wide_out)
{
    *element_out = (chare_element){.collection = msg->env.collection};
    *wide_out = NULL;
    if ((msg->env.flags & CHI_ENV_WIDE) == 0) {
        chi_index_unpack(msg->env.key, collection->spec.ndims,
                         &element_out->index);
        return true;
    }
    if (msg->env.trailer_len < WIDE_BYTES) {
        return false;
    }
    element_out->index.ndims = collection->spec.ndims;
    memcpy(element_out->index.at, chi_msg_trailer(msg), WIDE_BYTES);
    *wide_out = &element_out->index;
    return true;
}

/* Send a message away from this PE, which needs its data in bytes. */
static void
send_away(struct chi_obj *obj, struct chi_collection *collection,
          const chare_element *element, uint32_t home, struct chi_msg *msg)
{
    if (collection == NULL || collection->kind != CHI_KIND_ARRAY) {
        chi_pe_forward(obj->pe, home, msg);
    } else {
        if (collection->spec.dense) {
            msg->env.flags |= CHI_ENV_MOVABLE; /* at home, unless it moved */
        }
        chi_loc_send(obj->loc, element, home, msg);
    }
}

void
chi_encode_or_die(struct chi_obj *obj, struct chi_msg **msg_inout)
{
    if ((*msg_inout)->payload_ops != NULL &&
        chi_pe_encode(obj->pe, msg_inout) != CHARE_OK) {
        chi_pe_die(
            obj->pe,
            "the arguments of a call to %s, which have to go "
            "to another PE, cannot be encoded",
            chi_registry_entry_name(obj->registry, (*msg_inout)->env.entry));
    }
}

/* Dispatch a call; true: it is to be executed here. */
static bool
dispatch_call(struct chi_obj *obj, struct chi_collection *collection,
              struct chi_msg *msg)
{
    const struct chi_element *here;
    const chare_index *wide;
    chare_element element;
    uint32_t home;

    if (!chi_msg_target(collection, msg, &element, &wide)) {
        chi_msg_release(msg);
        return false;
    }
    here = chi_element_find(collection, msg->env.key, wide);
    if (here != NULL && !here->draining) {
        return true;
    }
    home = chi_collection_home(obj, collection, &element.index);
    if (home == obj->pe->rank && !collection->populated) {
        if (collection->populating) {
            return true; /* O4: behind what its siblings have sent */
        }
        chi_keep_for_population(obj, collection, msg);
        return false;
    }
    if (home == obj->pe->rank &&
        (collection->kind != CHI_KIND_ARRAY ||
         (collection->spec.dense && !chi_loc_knows(obj->loc, &element)))) {
        return true; /* the handler sees what is the matter */
    }
    if (here == NULL) {
        chi_encode_or_die(obj, &msg);
    }
    send_away(obj, collection, &element, home, msg);
    return false;
}

void
chi_dispatch(struct chi_obj *obj, struct chi_msg *msg,
             struct chi_msg_queue *here)
{
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);
    bool is_here = true;

    if (msg->env.handler == CHI_HANDLER_CREATE ||
        msg->env.handler == CHI_HANDLER_MOVE) {
        chi_pe_enqueue(obj->pe, msg); /* it waited for another collection */
        return;
    }
    if (collection == NULL) {
        chi_keep_for_collection(obj, msg);
        return;
    }
    if (msg->env.handler == CHI_HANDLER_INVOKE ||
        msg->env.handler == CHI_HANDLER_ENLIST ||
        msg->env.handler == CHI_HANDLER_DESTROY ||
        msg->env.handler == CHI_HANDLER_MIGRATE ||
        msg->env.handler == CHI_HANDLER_CAST) {
        is_here = dispatch_call(obj, collection, msg);
    } else if (msg->env.handler == CHI_HANDLER_INSERT) {
        is_here = chi_insert_dispatch(obj, collection, msg);
    } else if (msg->env.handler == CHI_HANDLER_LOC_FENCE) {
        is_here = !chi_loc_arrived(obj->loc, msg);
    }
    if (!is_here) {
        return;
    }
    if (here == NULL) {
        chi_pe_enqueue(obj->pe, msg);
    } else {
        chi_msg_queue_push(here, msg);
    }
}

void
chi_dispatch_to(struct chi_obj *obj, const chare_element *target,
                struct chi_msg *msg)
{
    if (chi_collection_find(obj, target->collection) == NULL &&
        chi_collection_kind(target->collection) != CHI_KIND_ARRAY) {
        chi_pe_forward(
            obj->pe,
            chi_group_pe(obj, target->collection, target->index.at[0]), msg);
    } else {
        chi_dispatch(obj, msg, NULL);
    }
}

void
chi_dispatch_kept(struct chi_obj *obj, struct chi_msg_queue *kept)
{
    struct chi_msg_queue here = {0};
    struct chi_msg *msg;

    while ((msg = chi_msg_queue_pop(kept)) != NULL) {
        chi_dispatch(obj, msg, &here);
    }
    chi_queue_return(&obj->pe->queue, &here);
}

/* Add the parts of a message that few have. */
static chare_status
add_trailer(struct chi_msg **msg_inout, const chare_index *wide,
            const chare_callback *reply)
{
    unsigned char trailer[WIDE_BYTES + CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));
    chare_status status;
    uint8_t flags = 0;

    if (wide != NULL) {
        chi_write(&writer, wide->at, WIDE_BYTES);
        flags |= CHI_ENV_WIDE;
    }
    if (reply != NULL) {
        chi_callback_write(&writer, reply);
        flags |= CHI_ENV_REPLY;
    }
    chi_assert(!writer.bad);
    status = chi_msg_add_trailer(msg_inout, trailer,
                                 (uint16_t)(writer.at - trailer));
    (*msg_inout)->env.flags |= flags;
    return status;
}

void
chi_give_data_back(struct chi_msg *msg, const chare_data *data)
{
    if (data != NULL && data->buffer != NULL) {
        msg->env.len -= msg->env.trailer_len;
        msg->env.trailer_len = 0;
        return;
    }
    msg->payload_ops = NULL;
    chi_msg_release(msg);
}

/* The usual trailer, a future for the reply; false: it has to be another. */
static inline bool
add_future(struct chi_msg *msg, const chare_callback *reply)
{
    unsigned char *at;

    if (reply == NULL || reply->kind != CHARE_CALLBACK_FUTURE) {
        return false;
    }
    at = chi_msg_trailer_room(msg, CHI_CALLBACK_FUTURE_BYTES);
    if (at == NULL) {
        return false;
    }
    chi_callback_write_future(at, &reply->future);
    msg->env.flags |= CHI_ENV_REPLY;
    return true;
}

static inline chare_status
message_for(struct chi_obj *obj, const chare_element *target, uint32_t entry,
            const chare_data *data, const chare_send_options *options,
            struct chi_msg **msg_out)
{
    const chare_callback *reply = options == NULL ? NULL : options->reply;
    struct chi_msg *msg;
    chare_status status;
    bool packed = true;

    if (reply != NULL && reply->kind == CHARE_CALLBACK_NONE) {
        reply = NULL;
    }
    status = chi_cb_data_msg(obj->pe, CHI_HANDLER_INVOKE, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.collection = target->collection;
    if (chi_likely(target->index.ndims == 1)) {
        msg->env.key = (uint64_t)target->index.at[0];
    } else {
        packed = chi_index_pack(&target->index, &msg->env.key);
    }
    msg->env.entry = entry;
    msg->env.priority = options == NULL ? 0 : options->priority;
    if (chi_unlikely(!packed) || (reply != NULL && !add_future(msg, reply))) {
        status = chi_cb_ok(obj->cb, reply)
                     ? add_trailer(&msg, packed ? NULL : &target->index, reply)
                     : CHARE_ERR_INVALID;
        if (status != CHARE_OK) {
            chi_give_data_back(msg, data);
            return status;
        }
    }
    *msg_out = msg;
    return CHARE_OK;
}

chare_status
chi_message_for(struct chi_obj *obj, const chare_element *target,
                uint32_t entry, const chare_data *data,
                const chare_send_options *options, struct chi_msg **msg_out)
{
    return message_for(obj, target, entry, data, options, msg_out);
}

static inline bool
target_ok(const struct chi_obj *obj, const struct chi_collection *collection,
          const chare_element *target)
{
    if (chi_likely(collection != NULL && collection->kind == CHI_KIND_ARRAY)) {
        return target->index.ndims == collection->spec.ndims;
    }
    return chi_target_ok(obj, collection, target);
}

/* Send one that is to be looked at; its target is 'element', or not here. */
static __attribute__((noinline, cold)) void
send_looked(struct chi_obj *obj, const struct chi_element *element,
            const chare_element *target, struct chi_msg *msg)
{
    chi_talk_look(obj, msg);
    if (element == NULL) {
        chi_usual_elsewhere(obj, chi_collection_find(obj, target->collection),
                            target, msg);
    } else if (element->draining) {
        chi_dispatch(obj, msg, NULL);
    } else {
        chi_pe_enqueue(obj->pe, msg);
    }
}

/* Not inline: what a call needs for itself is saved only for this. */
static __attribute__((noinline)) chare_status
send_any(struct chi_obj *obj, struct chi_collection *collection,
         const chare_element *target, uint32_t entry, const chare_data *data,
         const chare_send_options *options)
{
    struct chi_element *element = NULL;
    struct chi_msg *msg;
    chare_status status;

    if (!target_ok(obj, collection, target)) {
        return CHARE_ERR_INVALID;
    }
    status = message_for(obj, target, entry, data, options, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (collection != NULL) {
        element = chi_element_find(
            collection, msg->env.key,
            msg->env.flags & CHI_ENV_WIDE ? &target->index : NULL);
    }
    if (element == NULL && msg->payload_ops != NULL) {
        status = chi_pe_encode(obj->pe, &msg);
        if (status != CHARE_OK) {
            chi_give_data_back(msg, data);
            return status;
        }
    }
    chi_pe_count(obj->pe, msg);
    if (chi_likely(element != NULL && --obj->calls_left > 0)) {
        chi_pe_enqueue(obj->pe, msg);
    } else if (element != NULL || --obj->calls_left == 0) {
        send_looked(obj, element, target, msg);
    } else {
        chi_usual_elsewhere(obj, collection, target, msg);
    }
    return CHARE_OK;
}

chare_status
chi_obj_send(struct chi_obj *obj, const chare_element *target, uint32_t entry,
             const chare_data *data, const chare_send_options *options)
{
    struct chi_collection *collection =
        chi_collection_find(obj, target->collection);

    if (chi_unlikely(entry == 0 || entry >= obj->registry->entry_count)) {
        return CHARE_ERR_INVALID;
    }
    if (chi_likely(collection != NULL && options == NULL) &&
        chi_usual_send(obj, collection, target, entry, data)) {
        return CHARE_OK;
    }
    return send_any(obj, collection, target, entry, data, options);
}

/* ---- executing on one chare */

/* All but 'self'. Not by an initializer: 'reply' is large and hardly ever
 * used. */
static inline void
run_fill(struct invocation *run, struct chi_obj *obj, struct chi_msg *msg,
         bool shared)
{
    chi_cb_call_of_msg(obj->cb, msg, &run->call);
    run->call.self = &run->self;
    run->call.execution = run;
    run->call.collection = msg->env.collection;
    run->obj = obj;
    run->msg = msg;
    run->shared = shared;
    run->reply_taken = false;
    run->buffer_taken = false;
}

static inline void
run_init(struct invocation *run, struct chi_obj *obj,
         const struct chi_element *element, struct chi_msg *msg, bool shared)
{
    run_fill(run, obj, msg, shared);
    chi_element_self(element, &run->self);
}

static inline void
run_entry(struct chi_obj *obj, struct invocation *run, void *object)
{
    const struct chi_entry *entry = &obj->registry->entries[run->call.entry];
    const uint32_t caller = obj->pe->caller;

    obj->pe->caller = run->call.entry;
    if (chi_likely(entry->function != NULL)) {
        entry->function(object, &run->call, entry->context);
    } else {
        const struct chi_type *type = &obj->registry->types[entry->type];

        type->ops.invoke(object, &run->call, type->context, entry->context);
    }
    obj->pe->caller = caller;
}

static void
reply_done(struct invocation *run)
{
    chare_reply reply;

    chi_obj_take_reply(&run->call, &reply);
    if (chi_obj_reply(run->obj, &reply, NULL) != CHARE_OK) {
        chi_pe_die(
            run->obj->pe, "the answer to a call of %s was lost",
            chi_registry_entry_name(run->obj->registry, run->call.entry));
    }
}

/* While statistics are kept, the lap is its entry's, too. */
static __attribute__((noinline)) void
charge_entry(struct chi_obj *obj, const struct chi_element *element,
             const struct invocation *run)
{
    struct chi_pe *pe = obj->pe;
    const uint64_t begin = pe->meter.last;
    struct chi_stats_item *item =
        pe->stats.on ? chi_stats_entry(&pe->stats, run->call.entry) : NULL;

    if (pe->meter.on) {
        chi_load_charge_slow(obj, element);
    } else {
        (void)chi_pe_lap(pe);
    }
    if (item != NULL) {
        chi_stats_item_add(item, run->call.len, begin, pe->meter.last,
                           run->buffer_taken ? run->stamp : run->msg->spare);
    }
}

/* The lap is the chare's, for who balances; of others it is nobody's. */
static __attribute__((noinline)) void
charge_slow(struct chi_obj *obj, const struct chi_element *element,
            const struct invocation *run)
{
    const struct chi_collection *collection = element->collection;

    if (chi_unlikely(!obj->pe->meter.plain ||
                     element->at >= collection->load_room)) {
        charge_entry(obj, element, run);
        return;
    }
    collection->loads[element->at].ticks += chi_pe_lap(obj->pe);
    collection->loads[element->at].calls++;
}

/* A chare has executed a call. */
static inline void
charge(struct chi_obj *obj, const struct chi_element *element,
       const struct invocation *run)
{
    if (chi_unlikely(obj->pe->meter.laps)) {
        charge_slow(obj, element, run);
    }
}

void
chi_refuse_entry(struct chi_obj *obj, const chare_element *target,
                 struct chi_msg *msg)
{
    char name[256];
    char text[512];

    chi_element_text(obj, target, name, sizeof(name));
    snprintf(text, sizeof(text),
             "PE %u called %s on %s, which is of another type",
             msg->env.source_pe,
             chi_registry_entry_name(obj->registry, msg->env.entry), name);
    obj->fatal(obj->fatal_context, text);
    chi_msg_release(msg);
}

/* One that is to be destroyed, or is of another type than its array's. */
static __attribute__((noinline)) void
execute_unusual(struct chi_obj *obj, struct chi_element *element,
                struct chi_msg *msg)
{
    struct invocation run;

    if (element->dying && chi_destroy_holds(obj, element, msg)) {
        return; /* kept behind the destruction */
    }
    run_init(&run, obj, element, msg, false);
    run.call.entry = chi_element_entry(obj, element, msg->env.entry);
    if (run.call.entry == 0) {
        chi_guest_refuse(obj, &run.call, msg->env.entry);
    } else {
        run_entry(obj, &run, element->object);
        charge(obj, element, &run);
    }
    if (run.call.wants_reply && !run.reply_taken) {
        reply_done(&run);
    }
    if (!run.buffer_taken) {
        chi_msg_release(msg);
    }
}

/* Not inline: what it needs for itself is saved only for calls that are not
 * usual. */
static __attribute__((noinline)) void
execute_any(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_collection *collection = chi_collection_ready(obj, msg);
    const chare_index *wide = NULL;
    struct invocation run;
    struct chi_element *element;
    chare_element target;

    if (chi_unlikely(collection == NULL)) {
        return; /* the message was kept */
    }
    if (chi_unlikely(msg->env.flags & CHI_ENV_WIDE) &&
        !chi_msg_target(collection, msg, &target, &wide)) {
        chi_msg_release(msg);
        return;
    }
    element = chi_element_find(collection, msg->env.key, wide);
    if (chi_unlikely(element == NULL)) {
        (void)chi_msg_target(collection, msg, &target, &wide);
        chi_missing(obj, collection, &target, msg);
        return;
    }
    if (chi_unlikely(element->dying | element->guest)) {
        execute_unusual(obj, element, msg);
        return;
    }
    if (chi_unlikely(!chi_entry_fits(obj, collection, msg->env.entry))) {
        chi_element_self(element, &target);
        chi_refuse_entry(obj, &target, msg);
        return;
    }
    run_init(&run, obj, element, msg, false);
    run_entry(obj, &run, element->object);
    charge(obj, element, &run);
    if (chi_unlikely(run.call.wants_reply) && !run.reply_taken) {
        reply_done(&run);
    }
    if (chi_likely(!run.buffer_taken)) {
        chi_msg_release(msg);
    }
}

/* The chare of a usual call, whose entry method is a function; NULL: look
 * closer. */
static inline struct chi_element *
usual_target(struct chi_obj *obj, const struct chi_msg *msg)
{
    const struct chi_collection *collection = obj->recent;
    struct chi_element *element;

    if (chi_unlikely(
            collection == NULL || collection->spec.id != msg->env.collection ||
            !collection->populated || collection->spec.ndims != 1 ||
            (msg->env.flags & CHI_ENV_WIDE) != 0 ||
            !chi_entry_fits(obj, collection, msg->env.entry) ||
            obj->registry->entries[msg->env.entry].function == NULL)) {
        return NULL;
    }
    element = chi_map_get(&collection->packed, msg->env.key);
    return chi_likely(element != NULL && !(element->dying | element->guest))
               ? element
               : NULL;
}

void
chi_invoke_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    const struct chi_element *element = usual_target(obj, msg);
    const uint32_t caller = obj->pe->caller;
    const struct chi_entry *entry;
    struct invocation run;

    if (chi_unlikely(element == NULL)) {
        execute_any(obj, msg);
        return;
    }
    entry = &obj->registry->entries[msg->env.entry];
    run_fill(&run, obj, msg, false);
    run.self =
        (chare_element){msg->env.collection, {1, 0, {(int64_t)msg->env.key}}};
    obj->pe->caller = msg->env.entry;
    entry->function(element->object, &run.call, entry->context);
    obj->pe->caller = caller;
    charge(obj, element, &run);
    if (chi_unlikely(run.call.wants_reply) && !run.reply_taken) {
        reply_done(&run);
    }
    if (chi_likely(!run.buffer_taken)) {
        chi_msg_release(msg);
    }
}

void
chi_broadcast_run(struct chi_obj *obj, struct chi_element *element,
                  struct chi_msg *msg, chare_collection called, uint64_t more)
{
    struct invocation run;

    run_init(&run, obj, element, msg, true);
    run.call.collection = called;
    run.call.more = more;
    if (chi_unlikely(element->guest)) {
        run.call.entry = chi_element_entry(obj, element, msg->env.entry);
        if (run.call.entry == 0) {
            chi_guest_refuse(obj, &run.call, msg->env.entry);
            return;
        }
    }
    if (chi_unlikely(obj->pe->meter.laps)) {
        chi_talk_enter(obj, element);
        run_entry(obj, &run, element->object);
        charge_slow(obj, element, &run);
        chi_talk_enter(obj, NULL);
    } else {
        run_entry(obj, &run, element->object);
    }
    if (run.call.wants_reply && !run.reply_taken) {
        reply_done(&run);
    }
}

/* ---- answering */

static void
reply_read_any(const struct invocation *run, chare_reply *out)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(run->msg), run->msg->env.trailer_len);

    *out = (chare_reply){
        .self = *run->call.self,
        .collection = run->msg->env.collection,
        .pe = run->obj->pe->rank,
    };
    if (run->msg->env.handler == CHI_HANDLER_BROADCAST) {
        (void)chi_broadcast_read_trailer(run->msg, out);
        return;
    }
    if (run->msg->env.handler == CHI_HANDLER_CAST) {
        (void)chi_cast_reply(run->obj, run->msg, out);
        out->self = *run->call.self;
        return;
    }
    if (run->msg->env.flags & CHI_ENV_WIDE) {
        (void)chi_read_bytes(&reader, WIDE_BYTES);
    }
    (void)chi_callback_read(&reader, &out->callback);
    out->kind = CHI_REPLY_CALLBACK;
}

static inline void
reply_read(const struct invocation *run, chare_reply *out)
{
    const struct chi_msg *msg = run->msg;

    if (chi_unlikely(msg->env.handler != CHI_HANDLER_INVOKE ||
                     (msg->env.flags & CHI_ENV_WIDE) != 0 ||
                     !chi_callback_read_future(chi_msg_trailer(msg),
                                               msg->env.trailer_len,
                                               &out->callback.future))) {
        reply_read_any(run, out);
        return;
    }
    out->tag = 0;
    out->kind = CHI_REPLY_CALLBACK;
    out->pe = run->obj->pe->rank;
    out->collection = msg->env.collection;
    out->callback.kind = CHARE_CALLBACK_FUTURE;
    out->callback.entry = 0;
    out->callback.element = (chare_element){0};
    out->self = *run->call.self;
}

void
chi_obj_take_reply(const chare_call *call, chare_reply *reply_out)
{
    struct invocation *run = call->execution;

    chi_assert(call->wants_reply);
    chi_assert(!run->reply_taken);
    run->reply_taken = true;
    if (run->buffer_taken) {
        *reply_out = run->reply;
    } else {
        reply_read(run, reply_out);
    }
}

bool
chi_obj_reply_taken(const chare_call *call)
{
    return ((const struct invocation *)call->execution)->reply_taken;
}

chare_buffer *
chi_obj_take_buffer(const chare_call *call)
{
    struct invocation *run = call->execution;

    if (run == NULL || run->shared || run->buffer_taken ||
        call->payload_ops != NULL) {
        return NULL;
    }
    if (call->wants_reply && !run->reply_taken) {
        reply_read(run, &run->reply);
    }
    run->buffer_taken = true;
    run->stamp = run->msg->spare;
    chi_msg_strip(run->msg);
    chi_msg_lend(run->msg);
    return chi_buffer_of_msg(run->msg);
}

chare_buffer *
chi_obj_share_buffer(const chare_call *call)
{
    const struct invocation *run = call->execution;

    if (run == NULL || !run->shared || call->payload_ops != NULL) {
        return NULL;
    }
    chi_msg_lend(run->msg);
    return chi_buffer_of_msg(chi_msg_ref(run->msg));
}

/* The value None, for a gathered result of a method that returned nothing. */
static struct chi_msg *
none_msg(struct chi_obj *obj)
{
    chare_encoder encoder;
    chare_buffer *buffer;

    if (chi_encoder_init(&encoder, obj->pe->pool, 16) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a result");
    }
    chare_put_none(&encoder);
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a result");
    }
    chi_msg_of_buffer(buffer)->env.format = CHARE_FORMAT_VALUE;
    return chi_msg_of_buffer(buffer);
}

chare_status
chi_obj_reply(struct chi_obj *obj, const chare_reply *reply,
              const chare_data *data)
{
    const uint32_t kind = reply->kind & CHI_REPLY_KINDS;
    struct chi_msg *msg;
    chare_status status;

    if (kind == CHI_REPLY_CALLBACK) {
        return chi_cb_call(obj->cb, &reply->callback, data);
    }
    if (reply->pe == obj->pe->rank &&
        chi_collection_find(obj, reply->collection) == NULL &&
        !chi_is_buried(obj, reply->collection)) {
        return CHARE_ERR_NOT_FOUND;
    }
    status = chi_value_msg(obj, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (kind == CHI_REPLY_GATHER && msg == NULL) {
        msg = none_msg(obj);
    } else if (kind == CHI_REPLY_REDUCTION && msg != NULL &&
               msg->env.format != CHARE_FORMAT_ERROR) {
        chi_msg_release(msg);
        msg = NULL;
    }
    chi_far_contribute(obj, reply, 0, msg);
    return CHARE_OK;
}
