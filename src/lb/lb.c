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
 *  A6  sessions have numbers; a message of one that is over is dropped;
 *  A7  a chare that was on no PE when a session took place goes on at once
 *      when it says that it may be balanced: so all say so equally often;
 *  A8  a chare that ceases to exist is waited for no more at once, and nobody
 *      misses it when it should go on;
 *  A9  what a PE did before the first session, unless the user has said when
 *      to begin, is the program's start, and no background: it will not do so
 *      again.
 *
 * What moves is in moves.c, sessions that no chare has asked for in timed.c.
 */
#include "config.h"

#include "lb/lb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "lb/history.h"
#include "lb/lb_private.h"
#include "lb/live.h"
#include "msg/buffer.h"

static void
die_of_memory(struct chi_lb *lb)
{
    chi_pe_die(lb->pe, "out of memory for load balancing");
}

/* Room for one more item of 'bytes' in an array. */
void *
chi_lb_grow(struct chi_lb *lb, void *array, size_t count, size_t *room,
            size_t bytes)
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
    msg->env.key = kind < CHI_LB_EVERY ? lb->session : 0;
    if (lb->timed || kind >= CHI_LB_EVERY) {
        msg->env.flags = CHI_ENV_UNCOUNTED; /* T6 */
    }
    return msg;
}

uint32_t
chi_lb_parent(struct chi_lb *lb)
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

    chi_obj_at_sync_count(lb->obj, lb->synced_session, &count, &synced);
    lb->unsynced = count - synced;
    for (size_t i = 0; lb->unsynced == 0 && i < lb->array_count; i++) {
        if (!chi_obj_is_populated(lb->obj, lb->arrays[i])) {
            return false;
        }
    }
    return lb->unsynced == 0;
}

/* Until the timed session is over there is no quiescence: a chare waits for
 * the next session, and no message says so. */
static void
hold(struct chi_lb *lb)
{
    lb->pe->counted_made += !lb->holds;
    lb->holds = true;
}

/* The callback is a call of this chare. */
static bool
is_call_of(const chare_callback *callback, const chare_element *self)
{
    const chare_element *called = &callback->element;

    return callback->kind == CHARE_CALLBACK_ELEMENT &&
           called->collection == self->collection &&
           called->index.ndims == self->index.ndims &&
           memcmp(called->index.at, self->index.at,
                  self->index.ndims * sizeof(self->index.at[0])) == 0;
}

chare_status
chi_lb_at_sync(struct chi_lb *lb, const chare_element *self,
               const chare_callback *resume)
{
    /* One that was resumed from another PE may be ahead of this one, which is
     * yet to hear that the session is over. */
    const bool ahead = lb->state == CHI_LB_WAITING && !lb->timed &&
                       chi_obj_is_synced(lb->obj, self, lb->synced_session);
    const chare_callback after =
        resume != NULL ? *resume : (chare_callback){0};
    struct chi_lb_list *list = ahead ? &lb->next : &lb->synced;
    chare_status status;

    if (chi_obj_sync_missed(lb->obj, self)) { /* A7 */
        chi_cb_call_or_die(lb->cb, &after, NULL);
        return CHARE_OK;
    }
    status = chi_obj_sync(lb->obj, self, lb->synced_session + ahead);
    if (status != CHARE_OK) {
        return status;
    }
    if (lb->is_automatic && !lb->pe->meter.on) {
        chi_lb_meter(lb, true);
    }
    list->items = chi_lb_grow(lb, list->items, list->count, &list->room,
                              sizeof(*list->items));
    list->items[list->count++] = (struct chi_lb_waiting){
        .go_on = after, .calls_itself = is_call_of(&after, self)};
    if (lb->timed) {
        hold(lb);
    }
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
    size_t count = msg->env.len / sizeof(*lb->arrays);
    double unit_ns;

    chi_assert(count > 0); /* chi_lb_pes_call() */
    count--;
    memcpy(&unit_ns, msg->bytes, sizeof(unit_ns));
    chi_lb_pes_look(lb, unit_ns);
    free(lb->arrays);
    lb->arrays = malloc((count + 1) * sizeof(*lb->arrays));
    if (lb->arrays == NULL) {
        die_of_memory(lb);
    }
    memcpy(lb->arrays, msg->bytes + sizeof(unit_ns),
           count * sizeof(*lb->arrays));
    lb->array_count = count;

    lb->timed = (msg->env.spare & CHI_LB_SPARE_TIMED) != 0;
    lb->state = CHI_LB_CALLED;
    lb->spread =
        (enum chi_lb_spread)(msg->env.spare & CHI_LB_SPARE_SPREAD); /* V1 */
    lb->missing = edges->child_count;
    lb->stats_len = 0;
    chi_lb_pieces_start(lb, (msg->env.spare & CHI_LB_SPARE_DUMPS) != 0);
    lb->spent = (struct chi_lb_spent){0};
    if (lb->timed) {
        if (lb->synced.count > 0) {
            hold(lb);
        }
        chi_lb_take_part(lb); /* T1 */
    } else {
        chi_obj_sync_called(lb->obj, true);
        chi_lb_look(lb);
    }
}

/* ---- what this PE has */

void
chi_lb_put_stats(struct chi_lb *lb, const void *bytes, size_t len)
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

float
chi_lb_work(const struct chi_lb *lb, const struct chi_obj_load *load)
{
    /* What a PE of speed 0 has is to leave: it is work all the same. */
    return load->said + (float)((double)load->measured * lb->sec_per_tick) *
                            (lb->speed > 0 ? lb->speed : 1) * lb->scale;
}

void
chi_lb_since_now(struct chi_lb *lb, enum chi_load_set set)
{
    lb->since[set].ticks = chi_clock_ticks();
    lb->since[set].idle = lb->pe->meter.idle_ticks;
    chi_lb_pes_mark(lb, set);
}

float
chi_lb_other_work(struct chi_lb *lb, enum chi_load_set set, double ticks,
                  float *period_out)
{
    const double all = (double)(chi_clock_ticks() - lb->since[set].ticks);
    const double idle =
        (double)(lb->pe->meter.idle_ticks - lb->since[set].idle);
    const double rest = all - idle - ticks;

    *period_out = 0;
    if (!lb->pe->meter.on) {
        return 0;
    }
    *period_out = (float)(all * lb->sec_per_tick);
    lb->here.period = *period_out;
    lb->here.busy = (float)(ticks * lb->sec_per_tick);
    lb->here.idle = (float)(idle * lb->sec_per_tick);
    lb->here.background = rest > 0 ? (float)(rest * lb->sec_per_tick) : 0;
    return lb->here.background * lb->scale;
}

struct summing {
    struct chi_lb *lb;
    double ticks;
    bool said; /* all chares say themselves what they cost */
};

static void
add_load(void *context, const struct chi_obj_load *load)
{
    struct summing *summing = context;
    struct chi_lb *lb = summing->lb;
    struct chi_lb_record record = {.fixed = !load->can_move,
                                   .bytes = load->bytes,
                                   .work = chi_lb_work(lb, load)};

    if (!lb->timed && load->synced != lb->synced_session + 2) {
        return;
    }
    summing->ticks += (double)load->ticks;
    summing->said &= load->is_said;
    record.dims = load->element.index.ndims < CHI_LB_DIMS_MAX
                      ? load->element.index.ndims
                      : CHI_LB_DIMS_MAX;
    for (uint32_t dim = 0; dim < record.dims; dim++) {
        record.at[dim] = (float)load->element.index.at[dim];
    }
    record.number = (uint32_t)lb->plan_count;
    lb->plans = chi_lb_grow(lb, lb->plans, lb->plan_count, &lb->plan_room,
                            sizeof(*lb->plans));
    lb->plans[lb->plan_count++] =
        (struct chi_lb_plan){.element = load->element};
    lb->records = chi_lb_grow(lb, lb->records, lb->record_count,
                              &lb->record_room, sizeof(*lb->records));
    lb->records[lb->record_count++] = record;
}

/* All that is to be told of this PE. */
void
chi_lb_stats_put(struct chi_lb *lb, struct chi_lb_pe *pe)
{
    chi_lb_pes_sense(lb, pe);
    chi_lb_put_stats(lb, pe, sizeof(*pe));
    chi_lb_put_stats(lb, lb->records, lb->record_count * sizeof(*lb->records));
    chi_lb_talk_put(lb, pe);
}

void
chi_lb_take_part(struct chi_lb *lb)
{
    struct summing summing = {.lb = lb, .said = true};
    struct chi_lb_pe pe = {.rank = lb->pe->rank, .speed = lb->speed};
    const enum chi_load_set set = lb->timed ? CHI_LOAD_FREE : CHI_LOAD_SYNCED;
    float background;

    chi_obj_sync_called(lb->obj, false);
    lb->record_count = 0;
    lb->plan_count = 0;
    chi_lb_pes_scale(lb, set);
    chi_obj_each_load(lb->obj, set, true, add_load, &summing);
    pe.count = (uint32_t)lb->record_count;
    lb->here.count = pe.count;
    background = chi_lb_other_work(lb, set, summing.ticks, &pe.period);
    if (lb->timed && !lb->pe->meter.on) { /* it is over since the look */
        background = lb->watched_background_s;
        pe.period = lb->watched_s;
    }
    if (!lb->timed && !lb->begun) {
        background = 0; /* A9 */
        lb->begun = true;
    }
    /* Costs that are said have nothing to do with what was measured; of a PE
     * without chares PE 0 sees which of them the others have. */
    pe.background = summing.said && pe.count > 0 ? 0 : background;
    pe.measured = !summing.said;
    chi_lb_since_now(lb, set);
    chi_lb_talk_take(lb, set, &pe);
    if (lb->spread != CHI_LB_CENTRAL) {
        chi_lb_pieces_put(lb, &pe);
        chi_lb_live_start(lb, &pe);
        return;
    }
    chi_lb_stats_put(lb, &pe);
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
    chi_pe_send(lb->pe, chi_lb_parent(lb), msg);
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
    chi_pe_send(lb->pe, 0, msg);
}

/* ---- the end of a session */

/* A8: the chare itself may be no more; others are called as ever. */
static void
go_on(struct chi_lb *lb, const struct chi_lb_waiting *waiting)
{
    const chare_callback *callback = &waiting->go_on;

    if (!waiting->calls_itself ||
        chi_obj_call_if_alive(lb->obj, &callback->element, callback->entry,
                              NULL, NULL) != CHARE_OK) {
        chi_cb_call_or_die(lb->cb, callback, NULL);
    }
}

static void
resume(struct chi_lb *lb)
{
    const bool timed = lb->timed;
    struct chi_lb_list synced = {0};

    chi_assert(lb->leaving == 0);
    if (lb->pe->rank == 0) {
        chi_lb_history_over(lb);
    }
    if (!lb->timed) {
        synced = lb->synced;
        lb->synced = lb->next;
        lb->next = (struct chi_lb_list){0};
        chi_obj_sync_session(lb->obj, ++lb->synced_session);
    }
    lb->timed = false;
    lb->state = CHI_LB_RUNNING;
    lb->wanted = false;
    lb->session++;
    lb->report.sessions++;
    lb->array_count = 0;
    lb->unsynced = 0;
    for (size_t i = 0; i < synced.count; i++) {
        go_on(lb, &synced.items[i]);
    }
    free(synced.items);
    if (lb->pe->rank == 0) {
        lb->calls_timed = false;
        chi_lb_timed_over(lb, timed);
    }
    chi_lb_look(lb);
    lb->pe->counted_done += lb->holds;
    lb->holds = false;
}

/* ---- messages */

static void
stats_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    chi_lb_put_stats(lb, msg->bytes, msg->env.len);
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
            lb->called_ns = chi_clock_now_ns(lb->pe->options.clock);
            chi_lb_pes_call(lb, (uint16_t)chi_lb_live_spread(lb), msg->bytes,
                            msg->env.len);
        } else if (lb->calls_timed) {
            hold(lb); /* it is wanted again when this session is over */
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
        chi_lb_moves_came(lb, msg);
        break;
    case CHI_LB_ARRIVED:
        chi_lb_arrived(lb, msg);
        break;
    case CHI_LB_DONE:
        chi_lb_done(lb, msg);
        break;
    case CHI_LB_PIECE:
        chi_lb_piece_came(lb, msg);
        break;
    case CHI_LB_SPREAD:
        chi_lb_live_came(lb, msg);
        break;
    case CHI_LB_RESUME:
        pass_down(lb, msg);
        lb->called = false;
        resume(lb);
        break;
    default:
        break;
    }
}

static void
lb_execute(void *context, struct chi_msg *msg)
{
    struct chi_lb *lb = context;
    const bool early =
        msg->env.entry == CHI_LB_SPREAD && msg->env.key == lb->session + 1;

    if (msg->env.entry == CHI_LB_LOOK) {
        lb->looks = false;
        chi_lb_look(lb);
    } else if (msg->env.entry >= CHI_LB_EVERY) {
        chi_lb_timed_came(lb, msg);
    } else if (msg->env.key == lb->session || early) { /* A6, V2 */
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
    if (lb->state == CHI_LB_MOVING) {
        chi_lb_plans_look(lb);
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
    chi_obj_set_on_move(obj, chi_lb_moved, lb);
    lb->chained_idle = pe->on_idle;
    lb->chained_context = pe->on_idle_context;
    pe->on_idle = lb_idle;
    pe->on_idle_context = lb;
    chi_pe_set_handler(pe, CHI_HANDLER_LB, lb_execute, lb);
    chi_lb_set_speed(lb);
    chi_lb_talk_init(lb);
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
    chi_lb_history_close(lb);
    free(lb->automatic);
    chi_lb_noise_fini(&lb->noise[CHI_LOAD_SYNCED]);
    chi_lb_noise_fini(&lb->noise[CHI_LOAD_FREE]);
    chi_map_fini(&lb->leaving_by_key);
    free(lb->synced.items);
    free(lb->next.items);
    free(lb->plans);
    free(lb->pes);
    free(lb->arrays);
    free(lb->records);
    free(lb->edges);
    free(lb->stats);
    free(lb);
}

void
chi_lb_meter(struct chi_lb *lb, bool on)
{
    if (lb->sec_per_tick <= 0) {
        lb->sec_per_tick = 1 / (double)chi_clock_ticks_of_ns(CHI_NS_PER_SEC);
    }
    chi_obj_measure(lb->obj, on);
    chi_speed_mark(&lb->speed_of, lb->pe->options.clock);
    chi_lb_since_now(lb, CHI_LOAD_SYNCED);
    chi_lb_since_now(lb, CHI_LOAD_FREE);
}

void
chi_lb_measure(struct chi_lb *lb, bool on)
{
    chi_lb_meter(lb, on);
    lb->begun = on; /* A9 */
}

bool
chi_lb_is_on(const struct chi_lb *lb)
{
    return lb->strategy != NULL || lb->user != NULL || lb->is_automatic;
}

void
chi_lb_report(const struct chi_lb *lb, chare_lb_report *out)
{
    const size_t size = out->size;

    memcpy(out, &lb->report,
           size < sizeof(lb->report) ? size : sizeof(lb->report));
    out->size = size;
}
