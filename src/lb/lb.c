/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb.c - balancing of a running job: when chares say so.
 *
 * Invariants:
 *  A1  a session begins when PE 0 hears that on some PE all chares of arrays
 *      with at_sync have said that they may be balanced; each PE has its part
 *      in it when that is so there;
 *  A2  PE 0 knows the loads of all PEs when it decides; each PE hears all that
 *      moves, once;
 *  A3  a PE is done when for each of its chares that was to move it has heard
 *      of its arrival from the other PE, or found that it does not move;
 *  A4  chares go on when all PEs are done: so all have arrived;
 *  A5  a chare is told to go on by the PE where it said that it may be
 *      balanced, once, wherever it is then;
 *  A6  sessions have numbers; a message of one that is over is dropped.
 */
#include "config.h"

#include "lb/lb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "lb/lb_private.h"
#include "lb/live.h"
#include "msg/buffer.h"

static void
die_of_memory(struct chi_lb *lb)
{
    chi_pe_die(lb->pe, "out of memory for load balancing");
}

/* Room for one more item of 'bytes' in an array. */
static void *
grow(struct chi_lb *lb, void *array, size_t count, size_t *room, size_t bytes)
{
    if (count < *room) {
        return array;
    }
    *room = *room == 0 ? 16 : 2 * *room;
    array = realloc(array, *room * bytes);
    if (array == NULL) {
        die_of_memory(lb);
    }
    return array;
}

struct chi_msg *
chi_lb_message(struct chi_lb *lb, enum chi_lb_kind kind, size_t len)
{
    struct chi_msg *msg = chi_pe_msg(lb->pe, CHI_HANDLER_LB, len);

    msg->env.entry = (uint32_t)kind;
    msg->env.key = lb->session;
    return msg;
}

static uint32_t
parent_of(struct chi_lb *lb)
{
    return chi_coll_edges(lb->coll, 0)->parent;
}

/* ---- the beginning: a PE whose chares may all be balanced */

/* Look at all: chares may have moved, or ceased to exist. */
static bool
is_ready(struct chi_lb *lb)
{
    uint64_t count;
    uint64_t synced;

    chi_obj_at_sync_count(lb->obj, lb->session, &count, &synced);
    lb->unsynced = count - synced;
    for (size_t i = 0; lb->unsynced == 0 && i < lb->array_count; i++) {
        if (!chi_obj_is_populated(lb->obj, lb->arrays[i])) {
            return false;
        }
    }
    return lb->unsynced == 0;
}

chare_status
chi_lb_at_sync(struct chi_lb *lb, const chare_element *self,
               const chare_callback *resume)
{
    /* One that was resumed from another PE may be ahead of this one, which is
     * yet to hear that the session is over. */
    const bool ahead = lb->state == CHI_LB_WAITING &&
                       chi_obj_is_synced(lb->obj, self, lb->session);
    struct chi_lb_list *list = ahead ? &lb->next : &lb->synced;
    chare_status status = chi_obj_sync(lb->obj, self, lb->session + ahead);

    if (status != CHARE_OK) {
        return status;
    }
    list->items =
        grow(lb, list->items, list->count, &list->room, sizeof(*list->items));
    list->items[list->count++] =
        resume != NULL ? *resume : (chare_callback){0};
    if (ahead) {
        return CHARE_OK;
    }
    /* 'unsynced' was right when it was counted: it tells when to look. */
    if (lb->unsynced > 0) {
        lb->unsynced--;
    }
    if (lb->unsynced == 0) {
        chi_lb_look(lb);
    }
    return CHARE_OK;
}

/* To PE 0: all may be balanced here; and of which arrays. */
static void
want(struct chi_lb *lb)
{
    chare_collection *arrays;
    size_t count;
    struct chi_msg *msg;

    if (chi_obj_at_sync_arrays(lb->obj, &arrays, &count) != CHARE_OK) {
        die_of_memory(lb);
    }
    msg = chi_lb_message(lb, CHI_LB_WANT, count * sizeof(*arrays));
    memcpy(msg->bytes, arrays, count * sizeof(*arrays));
    free(arrays);
    lb->wanted = true;
    chi_pe_send(lb->pe, 0, msg);
}

/* What this PE has may have changed: tell PE 0, or take part. */
void
chi_lb_look(struct chi_lb *lb)
{
    if (lb->state == CHI_LB_RUNNING) {
        if (!lb->wanted && lb->synced.count > 0 && is_ready(lb)) {
            want(lb);
        }
    } else if (lb->state == CHI_LB_CALLED && is_ready(lb)) {
        chi_lb_take_part(lb);
    } else if (lb->state == CHI_LB_MOVING) {
        chi_lb_moves_look(lb);
    }
}

/* Down the tree of PE 0, from there; a message that has come, or a new one. */
static void
pass_down(struct chi_lb *lb, const struct chi_msg *msg)
{
    chi_coll_send_down(lb->coll, 0, msg);
}

static void
called(struct chi_lb *lb, const struct chi_msg *msg)
{
    const struct chi_tree_edges *edges = chi_coll_edges(lb->coll, 0);
    const size_t count = msg->env.len / sizeof(*lb->arrays);

    free(lb->arrays);
    lb->arrays = malloc((count + 1) * sizeof(*lb->arrays));
    if (lb->arrays == NULL) {
        die_of_memory(lb);
    }
    memcpy(lb->arrays, msg->bytes, count * sizeof(*lb->arrays));
    lb->array_count = count;

    lb->state = CHI_LB_CALLED;
    lb->spread = (enum chi_lb_spread)msg->env.spare;
    lb->missing = edges->child_count;
    lb->stats_len = 0;
    chi_lb_look(lb);
}

/* ---- what this PE has */

static void
put_stats(struct chi_lb *lb, const void *bytes, size_t len)
{
    if (len == 0) {
        return; /* 'bytes' may be NULL */
    }
    while (lb->stats_len + len > lb->stats_room) {
        lb->stats_room = lb->stats_room == 0 ? 1024 : 2 * lb->stats_room;
        lb->stats = realloc(lb->stats, lb->stats_room);
        if (lb->stats == NULL) {
            die_of_memory(lb);
        }
    }
    memcpy(lb->stats + lb->stats_len, bytes, len);
    lb->stats_len += len;
}

struct summing {
    struct chi_lb *lb;
    double ticks;
    bool said; /* all chares say themselves what they cost */
};

/* The planned move of a chare that is to leave, and has not arrived. */
static struct chi_lb_plan *
find_leaving(struct chi_lb *lb, const chare_element *element)
{
    for (size_t i = 0; lb->leaving > 0 && i < lb->plan_count; i++) {
        if (lb->plans[i].leaves &&
            memcmp(&lb->plans[i].element, element, sizeof(*element)) == 0) {
            return &lb->plans[i];
        }
    }
    return NULL;
}

static void
add_load(void *context, const struct chi_obj_load *load)
{
    struct summing *summing = context;
    struct chi_lb *lb = summing->lb;
    struct chi_lb_record record = {.fixed = !load->can_move};

    if (load->synced != lb->session + 1) {
        return;
    }
    summing->ticks += (double)load->ticks;
    if (load->work >= 0) {
        record.work = load->work;
    } else {
        summing->said = false;
        record.work =
            (float)((double)load->ticks * lb->sec_per_tick) * lb->speed;
    }
    record.dims = load->element.index.ndims < CHI_LB_DIMS_MAX
                      ? load->element.index.ndims
                      : CHI_LB_DIMS_MAX;
    for (uint32_t dim = 0; dim < record.dims; dim++) {
        record.at[dim] = (float)load->element.index.at[dim];
    }
    record.number = (uint32_t)lb->plan_count;
    lb->plans = grow(lb, lb->plans, lb->plan_count, &lb->plan_room,
                     sizeof(*lb->plans));
    lb->plans[lb->plan_count++] =
        (struct chi_lb_plan){.element = load->element};
    lb->records = grow(lb, lb->records, lb->record_count, &lb->record_room,
                       sizeof(*lb->records));
    lb->records[lb->record_count++] = record;
}

/* Seconds that this PE was busy with other things, since the last session. */
static float
background_of(struct chi_lb *lb, const struct summing *summing)
{
    const uint64_t now = chi_clock_ticks();
    const double all = (double)(now - lb->since_ticks);
    const double rest =
        all - (double)lb->pe->meter.idle_ticks - summing->ticks;

    lb->since_ticks = now;
    lb->pe->meter.idle_ticks = 0;
    if (summing->said || !lb->pe->meter.on || rest < 0) {
        return 0;
    }
    return (float)(rest * lb->sec_per_tick);
}

void
chi_lb_take_part(struct chi_lb *lb)
{
    struct summing summing = {.lb = lb, .said = true};
    struct chi_lb_pe pe = {.rank = lb->pe->rank, .speed = lb->speed};

    lb->record_count = 0;
    lb->plan_count = 0;
    chi_obj_each_load(lb->obj, true, add_load, &summing);
    pe.count = (uint32_t)lb->record_count;
    pe.background = background_of(lb, &summing);
    if (lb->spread != CHI_LB_CENTRAL) {
        chi_lb_live_start(lb, pe.background);
        return;
    }
    put_stats(lb, &pe, sizeof(pe));
    put_stats(lb, lb->records, lb->record_count * sizeof(*lb->records));
    lb->state = CHI_LB_COLLECTING;
    chi_lb_stats_look(lb);
}

/* All of this PE's subtree has told: pass it up, or decide. */
void
chi_lb_stats_look(struct chi_lb *lb)
{
    struct chi_msg *msg;

    if (lb->state != CHI_LB_COLLECTING || lb->missing > 0) {
        return;
    }
    lb->state = CHI_LB_WAITING;
    if (lb->pe->rank == 0) {
        chi_lb_root_decide(lb);
        return;
    }
    msg = chi_lb_message(lb, CHI_LB_STATS, lb->stats_len);
    memcpy(msg->bytes, lb->stats, lb->stats_len);
    chi_pe_send(lb->pe, parent_of(lb), msg);
}

/* ---- the root */

void
chi_lb_root_tell(struct chi_lb *lb, enum chi_lb_kind kind, const void *bytes,
                 size_t len)
{
    struct chi_msg *msg = chi_lb_message(lb, kind, len);

    if (len > 0) {
        memcpy(msg->bytes, bytes, len);
    }
    msg->env.spare =
        kind == CHI_LB_CALL ? (uint16_t)chi_lb_live_spread(lb) : 0;
    chi_pe_send(lb->pe, 0, msg);
}

/* ---- moving */

static void
moves_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    const struct chi_lb_move *moves = (const void *)msg->bytes;
    const size_t count = msg->env.len / sizeof(*moves);

    lb->missing = chi_coll_edges(lb->coll, 0)->child_count;
    for (size_t i = 0; i < count; i++) {
        if (moves[i].from != lb->pe->rank) {
            continue;
        }
        chi_assert(moves[i].number < lb->plan_count);
        lb->plans[moves[i].number].to = moves[i].to;
        lb->plans[moves[i].number].leaves = true;
    }
    chi_lb_start_moving(lb);
}

void
chi_lb_start_moving(struct chi_lb *lb)
{
    lb->state = CHI_LB_MOVING;
    lb->leaving = 0;
    for (size_t i = 0; i < lb->plan_count; i++) {
        lb->leaving += lb->plans[i].leaves;
    }
    for (size_t i = 0; i < lb->plan_count; i++) {
        struct chi_lb_plan *plan = &lb->plans[i];

        if (plan->leaves &&
            (!chi_obj_is_here(lb->obj, &plan->element) ||
             lb->move(lb->obj, &plan->element, plan->to) != CHARE_OK)) {
            chi_lb_stays(lb, plan);
        }
    }
    chi_lb_moves_look(lb);
}

/* A chare that was to move does not. */
void
chi_lb_stays(struct chi_lb *lb, struct chi_lb_plan *plan)
{
    plan->leaves = false;
    lb->leaving--;
    lb->report.refused++;
}

void
chi_lb_moved(void *context, const chare_element *element, uint32_t from,
             uint32_t to, bool came)
{
    struct chi_lb *lb = context;
    struct chi_lb_plan *plan;
    struct chi_msg *msg;

    if (!chi_obj_is_at_sync(lb->obj, element->collection)) {
        return;
    }
    if (came) {
        lb->report.arrived++;
        msg = chi_lb_message(lb, CHI_LB_ARRIVED, sizeof(*element));
        memcpy(msg->bytes, element, sizeof(*element));
        chi_pe_send(lb->pe, from, msg);
    } else {
        plan = find_leaving(lb, element);
        if (plan != NULL && plan->to != to) {
            chi_lb_stays(lb, plan); /* the user wanted it elsewhere */
        }
    }
    lb->unsynced = 0; /* not known: the next one looks */
    chi_lb_look(lb);
}

static void
arrived(struct chi_lb *lb, const struct chi_msg *msg)
{
    struct chi_lb_plan *plan;
    chare_element element;

    if (msg->env.len != sizeof(element)) {
        return;
    }
    memcpy(&element, msg->bytes, sizeof(element));
    plan = find_leaving(lb, &element);
    if (plan != NULL && plan->to == msg->env.source_pe) {
        plan->leaves = false;
        lb->leaving--;
        chi_lb_look(lb);
    }
}

void
chi_lb_moves_look(struct chi_lb *lb)
{
    if (lb->state != CHI_LB_MOVING || lb->leaving > 0 || lb->missing > 0) {
        return;
    }
    lb->state = CHI_LB_WAITING;
    if (lb->pe->rank == 0) {
        chi_lb_live_report(lb);
        chi_lb_root_tell(lb, CHI_LB_RESUME, NULL, 0);
    } else {
        chi_pe_send(lb->pe, parent_of(lb), chi_lb_live_done(lb));
    }
}

/* ---- the end of a session */

static void
resume(struct chi_lb *lb)
{
    struct chi_lb_list synced = lb->synced;

    lb->synced = lb->next;
    lb->next = (struct chi_lb_list){0};
    lb->state = CHI_LB_RUNNING;
    lb->wanted = false;
    lb->session++;
    lb->report.sessions++;
    lb->array_count = 0;
    lb->unsynced = 0;
    for (size_t i = 0; i < synced.count; i++) {
        chi_cb_call_or_die(lb->cb, &synced.items[i], NULL);
    }
    free(synced.items);
    chi_lb_look(lb);
}

/* ---- messages */

static void
stats_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    put_stats(lb, msg->bytes, msg->env.len);
    chi_assert(lb->missing > 0);
    lb->missing--;
    chi_lb_stats_look(lb);
}

static void
came(struct chi_lb *lb, struct chi_msg *msg)
{
    switch ((enum chi_lb_kind)msg->env.entry) {
    case CHI_LB_WANT:
        if (lb->state == CHI_LB_RUNNING && !lb->called) {
            lb->called = true;
            chi_lb_root_tell(lb, CHI_LB_CALL, msg->bytes, msg->env.len);
        }
        break;
    case CHI_LB_CALL:
        pass_down(lb, msg);
        called(lb, msg);
        break;
    case CHI_LB_STATS:
        stats_came(lb, msg);
        break;
    case CHI_LB_MOVES:
        pass_down(lb, msg);
        moves_came(lb, msg);
        break;
    case CHI_LB_ARRIVED:
        arrived(lb, msg);
        break;
    case CHI_LB_DONE:
        chi_assert(lb->missing > 0);
        lb->missing--;
        chi_lb_live_child_done(lb, msg);
        chi_lb_look(lb);
        break;
    case CHI_LB_SPREAD:
        chi_lb_live_came(lb, msg);
        break;
    case CHI_LB_RESUME:
        pass_down(lb, msg);
        lb->called = false;
        resume(lb);
        break;
    }
}

static void
lb_execute(void *context, struct chi_msg *msg)
{
    struct chi_lb *lb = context;

    const bool early =
        msg->env.entry == CHI_LB_SPREAD && msg->env.key == lb->session + 1;

    if (msg->env.key == lb->session || early) { /* A6, V2 */
        came(lb, msg);
    }
    chi_msg_release(msg);
}

/* Nothing to do here: what was to move and cannot, stays. */
static void
lb_idle(void *context)
{
    struct chi_lb *lb = context;

    if (lb->chained_idle != NULL) {
        lb->chained_idle(lb->chained_context);
    }
    if (lb->state == CHI_LB_MOVING && lb->leaving > 0) {
        for (size_t i = 0; i < lb->plan_count; i++) {
            struct chi_lb_plan *plan = &lb->plans[i];

            /* One that has left, but has not arrived, is not here; one that
             * is here without a wish to move was told by the user to stay. */
            if (!plan->leaves || !chi_obj_is_here(lb->obj, &plan->element)) {
                continue;
            }
            if (!chi_obj_is_moving(lb->obj, &plan->element)) {
                chi_lb_stays(lb, plan);
            } else if (!chi_obj_can_move(lb->obj, &plan->element)) {
                (void)!lb->move(lb->obj, &plan->element, lb->pe->rank);
                chi_lb_stays(lb, plan);
            }
        }
        chi_lb_moves_look(lb);
    } else if (lb->state == CHI_LB_RUNNING || lb->state == CHI_LB_CALLED) {
        chi_lb_look(lb);
    }
}

/* ---- life */

chare_status
chi_lb_create(struct chi_pe *pe, struct chi_cb *cb, struct chi_coll *coll,
              struct chi_obj *obj, struct chi_lb **out)
{
    struct chi_lb *lb = calloc(1, sizeof(*lb));

    if (lb == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    lb->pe = pe;
    lb->cb = cb;
    lb->coll = coll;
    lb->obj = obj;
    lb->move = chi_obj_migrate;
    chi_obj_set_on_move(obj, chi_lb_moved, lb);
    lb->chained_idle = pe->on_idle;
    lb->chained_context = pe->on_idle_context;
    pe->on_idle = lb_idle;
    pe->on_idle_context = lb;
    chi_pe_set_handler(pe, CHI_HANDLER_LB, lb_execute, lb);
    chi_lb_set_speed(lb);
    *out = lb;
    return CHARE_OK;
}

void
chi_lb_destroy(struct chi_lb *lb)
{
    if (lb == NULL) {
        return;
    }
    for (size_t i = 0; i < lb->user_count; i++) {
        free(lb->users[i].name);
    }
    free(lb->users);
    chi_lb_live_fini(lb);
    free(lb->synced.items);
    free(lb->next.items);
    free(lb->plans);
    free(lb->arrays);
    free(lb->records);
    free(lb->stats);
    free(lb);
}

void
chi_lb_measure(struct chi_lb *lb, bool on)
{
    if (lb->sec_per_tick <= 0) {
        lb->sec_per_tick = 1 / (double)chi_clock_ticks_of_ns(CHI_NS_PER_SEC);
    }
    lb->since_ticks = chi_clock_ticks();
    chi_obj_measure(lb->obj, on);
}

bool
chi_lb_is_on(const struct chi_lb *lb)
{
    return lb->strategy != NULL || lb->user != NULL;
}

void
chi_lb_report(const struct chi_lb *lb, chare_lb_report *out)
{
    const size_t size = out->size;

    memcpy(out, &lb->report,
           size < sizeof(lb->report) ? size : sizeof(lb->report));
    out->size = size;
}
