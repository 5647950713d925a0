/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load.c - what chares cost, for who balances.
 *
 * While the PE's meter is on, each execution ends a lap of the cycle counter,
 * which is charged to the chare: one reading for each message. What is charged
 * lies beside the table of the chares (collection->loads[element->at]), so
 * that it costs nothing where nobody measures.
 *
 * A chare costs what it says, or else what was measured of it; one of a bound
 * array is counted with the one that it follows, and only there. Nothing is
 * carried over for that: they are added up when somebody asks.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "obj/migrate.h"
#include "obj/obj_private.h"
#include "obj/talk.h"

/* The load of the chare at 'at'; NULL: no memory, and nothing is measured. */
static struct chi_load *
load_at(struct chi_collection *collection, uint32_t at)
{
    if (chi_unlikely(at >= collection->load_room)) {
        struct chi_load *grown = realloc(
            collection->loads, collection->room * sizeof(struct chi_load));

        if (grown == NULL) {
            return NULL;
        }
        for (size_t i = collection->load_room; i < collection->room; i++) {
            grown[i] = (struct chi_load){.work = -1};
        }
        collection->loads = grown;
        collection->load_room = collection->room;
    }
    return &collection->loads[at];
}

void
chi_load_charge_slow(struct chi_obj *obj, const struct chi_element *element)
{
    struct chi_load *load = load_at(element->collection, element->at);

    if (chi_likely(load != NULL)) {
        load->ticks += chi_pe_lap(obj->pe);
        load->calls++;
    }
}

void
chi_load_unlink(struct chi_collection *collection, uint32_t at)
{
    const size_t last = collection->count; /* it was counted down before */

    if (at >= collection->load_room) {
        return;
    }
    collection->loads[at] = last < collection->load_room
                                ? collection->loads[last]
                                : (struct chi_load){.work = -1};
    if (last < collection->load_room) {
        collection->loads[last] = (struct chi_load){.work = -1};
    }
}

void
chi_obj_measure(struct chi_obj *obj, bool on)
{
    obj->pe->meter.on = on && !obj->pe->simulated;
    chi_pe_look_at_laps(obj->pe);
    obj->pe->meter.idle = false;
    obj->pe->meter.idle_ticks = 0;
    chi_talk_meter(obj, on);
    (void)chi_pe_lap(obj->pe);
}

void
chi_obj_measure_pause(struct chi_obj *obj)
{
    obj->pe->meter.on = false;
    chi_pe_look_at_laps(obj->pe);
    chi_talk_meter(obj, false);
}

static bool
can_move(struct chi_obj *obj, struct chi_element *element)
{
    return !element->fixed &&
           chi_element_type(obj, element)->ops.pack != NULL &&
           chi_move_can(obj, element);
}

bool
chi_load_is_in(const struct chi_obj *obj,
               const struct chi_collection *collection, enum chi_load_set set)
{
    if (set == CHI_LOAD_SYNCED) {
        return collection->spec.at_sync;
    }
    return !collection->spec.at_sync && collection->kind == CHI_KIND_ARRAY &&
           collection->spec.bound_to == 0 && !collection->destroyed &&
           obj->registry->types[collection->spec.type].ops.pack != NULL;
}

/* A chare, and those that follow it, while they are added up. */
struct adding {
    struct chi_obj_load *told;
    bool reset;
};

/* Each counts as what it says, or else as what was measured of it. */
static void
add_one(void *context, struct chi_element *element)
{
    struct adding *adding = context;
    struct chi_obj_load *told = adding->told;
    struct chi_load *load = load_at(element->collection, element->at);

    if (load == NULL) {
        return;
    }
    told->ticks += load->ticks;
    told->calls += load->calls;
    if (load->work >= 0) {
        told->said += load->work;
    } else {
        told->measured += load->ticks;
        told->is_said &= load->ticks == 0;
    }
    if (adding->reset) {
        load->ticks = 0;
        load->calls = 0;
    }
}

/* What a chare costs; of one that follows another one that is told of, too,
 * nothing is left. */
static void
add_up(struct chi_obj *obj, struct chi_element *element, enum chi_load_set set,
       bool reset, struct chi_obj_load *told)
{
    struct adding adding = {told, reset};
    struct chi_element *anchor = chi_move_anchor(obj, element);
    const struct chi_load *load = load_at(element->collection, element->at);
    const float work = load != NULL ? load->work : -1;

    if (load != NULL) {
        told->synced = load->synced;
        told->bytes = load->bytes;
    }
    told->is_said = work >= 0;
    if (anchor == element) {
        told->can_move = can_move(obj, element);
        chi_move_each_with(obj, element, add_one, &adding);
    } else if (chi_load_is_in(obj, anchor->collection, set)) {
        told->is_said = true;
    } else {
        told->said = work > 0 ? work : 0; /* it is no background */
    }
}

void
chi_obj_each_load(struct chi_obj *obj, enum chi_load_set set, bool reset,
                  chi_obj_load_fn fn, void *context)
{
    size_t cursor = 0;
    uint64_t id;
    void *value;

    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        struct chi_collection *collection = value;

        if (!chi_load_is_in(obj, collection, set)) {
            continue;
        }
        for (size_t i = 0; i < collection->count; i++) {
            struct chi_obj_load told = {0};

            chi_element_self(collection->elements[i], &told.element);
            add_up(obj, collection->elements[i], set, reset, &told);
            fn(context, &told);
        }
    }
}

void
chi_obj_charge(struct chi_obj *obj, const chare_element *self)
{
    const struct chi_element *element =
        obj->pe->meter.on ? chi_element_here(obj, self) : NULL;

    if (element != NULL) {
        chi_load_charge_slow(obj, element);
    }
    chi_talk_leave(obj);
}

chare_status
chi_obj_set_load(struct chi_obj *obj, const chare_element *self,
                 double seconds)
{
    const struct chi_element *element = chi_element_here(obj, self);
    struct chi_load *load;

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (!isfinite(seconds) || seconds > (double)FLT_MAX) {
        return CHARE_ERR_INVALID;
    }
    load = load_at(element->collection, element->at);
    if (load == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    load->work = seconds < 0 ? -1 : (float)seconds;
    return CHARE_OK;
}

bool
chi_obj_is_here(struct chi_obj *obj, const chare_element *self)
{
    return chi_element_here(obj, self) != NULL;
}

bool
chi_obj_is_at_sync(struct chi_obj *obj, chare_collection id)
{
    const struct chi_collection *collection = chi_collection_find(obj, id);

    return collection != NULL && collection->spec.at_sync;
}

chare_status
chi_obj_call_if_alive(struct chi_obj *obj, const chare_element *target,
                      uint32_t entry, const chare_data *data,
                      const chare_send_options *options)
{
    const struct chi_collection *collection =
        chi_collection_find(obj, target->collection);
    struct chi_msg *msg;
    chare_status status;

    if (entry == 0 || entry >= obj->registry->entry_count ||
        !chi_target_ok(obj, collection, target)) {
        return CHARE_ERR_INVALID;
    }
    status = chi_message_for(obj, target, entry, data, options, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (msg->payload_ops != NULL && chi_element_here(obj, target) == NULL) {
        status = chi_pe_encode(obj->pe, &msg);
        if (status != CHARE_OK) {
            chi_give_data_back(msg, data);
            return status;
        }
    }
    msg->env.spare = CHI_INVOKE_IF_ALIVE;
    chi_pe_count(obj->pe, msg);
    chi_dispatch_to(obj, target, msg);
    return CHARE_OK;
}

bool
chi_obj_can_move(struct chi_obj *obj, const chare_element *self)
{
    struct chi_element *element = chi_element_here(obj, self);

    return element != NULL && can_move(obj, element);
}

void
chi_load_pack(const struct chi_obj *obj, struct chi_collection *collection,
              const struct chi_element *element, uint64_t *synced_out,
              float *work_out)
{
    *synced_out = 0;
    *work_out = -1;
    if (element->at < collection->load_room) {
        *synced_out = collection->loads[element->at].synced;
        *work_out = collection->loads[element->at].work;
    }
    if (*synced_out == 0) {
        *synced_out = obj->sync_session + 1; /* the next one is its first */
    }
}

void
chi_load_unpack(struct chi_collection *collection,
                const struct chi_element *element, uint64_t synced, float work,
                uint64_t bytes)
{
    struct chi_load *load = load_at(collection, element->at);

    if (load != NULL) {
        load->synced = synced;
        load->work = work;
        load->bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    }
}

void
chi_obj_at_sync_count(struct chi_obj *obj, uint64_t session,
                      uint64_t *count_out, uint64_t *synced_out)
{
    size_t cursor = 0;
    uint64_t id;
    void *value;

    *count_out = 0;
    *synced_out = 0;
    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        const struct chi_collection *collection = value;

        if (!collection->spec.at_sync) {
            continue;
        }
        *count_out += collection->count;
        for (size_t i = 0; i < collection->count && i < collection->load_room;
             i++) {
            *synced_out += collection->loads[i].synced == session + 2;
        }
    }
}

bool
chi_obj_is_synced(struct chi_obj *obj, const chare_element *self,
                  uint64_t session)
{
    const struct chi_element *element = chi_element_here(obj, self);

    return element != NULL && element->at < element->collection->load_room &&
           element->collection->loads[element->at].synced == session + 2;
}

void
chi_obj_sync_session(struct chi_obj *obj, uint64_t session)
{
    obj->sync_session = session;
}

void
chi_obj_sync_called(struct chi_obj *obj, bool called)
{
    obj->sync_called = called;
}

bool
chi_obj_sync_missed(struct chi_obj *obj, const chare_element *self)
{
    const struct chi_element *element = chi_element_here(obj, self);
    struct chi_load *load =
        element != NULL && element->at < element->collection->load_room
            ? &element->collection->loads[element->at]
            : NULL;

    if (load == NULL || load->synced == 0 ||
        load->synced > obj->sync_session) {
        return false;
    }
    load->synced++;
    return true;
}

chare_status
chi_obj_sync(struct chi_obj *obj, const chare_element *self, uint64_t session)
{
    const struct chi_element *element = chi_element_here(obj, self);
    struct chi_load *load;

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    load = load_at(element->collection, element->at);
    if (load == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (load->synced == session + 2) {
        return CHARE_ERR_STATE;
    }
    load->synced = session + 2;
    return CHARE_OK;
}

chare_status
chi_obj_at_sync_arrays(struct chi_obj *obj, chare_collection **arrays_out,
                       size_t *count_out)
{
    chare_collection *arrays =
        malloc((obj->collections.count + 1) * sizeof(*arrays));
    size_t cursor = 0;
    uint64_t id;
    void *value;

    if (arrays == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *count_out = 0;
    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        const struct chi_collection *collection = value;

        if (collection->spec.at_sync && !collection->destroyed) {
            arrays[(*count_out)++] = id;
        }
    }
    *arrays_out = arrays;
    return CHARE_OK;
}

bool
chi_obj_has_at_sync(const struct chi_obj *obj)
{
    size_t cursor = 0;
    uint64_t id;
    void *value;

    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        if (((const struct chi_collection *)value)->spec.at_sync) {
            return true;
        }
    }
    return false;
}

bool
chi_obj_is_over(struct chi_obj *obj, chare_collection id)
{
    const struct chi_collection *collection = chi_collection_find(obj, id);

    return collection == NULL || collection->destroyed;
}

bool
chi_obj_is_populated(struct chi_obj *obj, chare_collection id)
{
    const struct chi_collection *collection = chi_collection_find(obj, id);

    /* What is over here is not waited for: nothing of it comes any more. */
    return chi_is_buried(obj, id) ||
           (collection != NULL &&
            (collection->populated || collection->destroyed));
}
