/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * moves.c - what the balancer moves, until all has arrived or stays.
 *
 * A chare of the plan that 'leaves' has not left this PE, or (with 'left') is
 * on its way. It is settled (A3, T5) when the PE it goes to says ARRIVED, or
 * when it stays: it is elsewhere already, the user wants it elsewhere, it has
 * ceased to exist, or it cannot move. Settled is final: each is counted in
 * 'leaving' once.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "lb/history.h"
#include "lb/lb_private.h"
#include "lb/live.h"

static uint64_t
key_of(const chare_element *element)
{
    uint64_t key = chi_mix64(element->collection);

    for (uint32_t i = 0; i < element->index.ndims; i++) {
        key = chi_mix64(key ^ (uint64_t)element->index.at[i]);
    }
    return key;
}

static void
add_leaving(struct chi_lb *lb, struct chi_lb_plan *plan)
{
    const uint64_t key = key_of(&plan->element);

    plan->next = chi_map_get(&lb->leaving_by_key, key);
    lb->leaving++;
    if (chi_map_put(&lb->leaving_by_key, key, plan) != CHARE_OK) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
}

/* A chare that was to move does not; no wish of the balancer's is left. */
static void
give_up(struct chi_lb *lb, struct chi_lb_plan *plan)
{
    chi_assert(plan->leaves && lb->leaving > 0);
    plan->leaves = false;
    lb->leaving--;
    lb->report.refused++;
}

/* The same for one that was asked to move. */
static void
stays(struct chi_lb *lb, struct chi_lb_plan *plan)
{
    chi_obj_withdraw(lb->obj, &plan->element); /* T4 */
    give_up(lb, plan);
}

/* The planned move of a chare that is to leave, and has not arrived. */
static struct chi_lb_plan *
find_leaving(struct chi_lb *lb, const chare_element *element)
{
    struct chi_lb_plan *plan =
        lb->leaving == 0 ? NULL
                         : chi_map_get(&lb->leaving_by_key, key_of(element));

    while (plan != NULL && (!plan->leaves || memcmp(&plan->element, element,
                                                    sizeof(*element)) != 0)) {
        plan = plan->next;
    }
    return plan;
}

/* ---- looking at those that have not left */

/* Whether one that is here, and wanted elsewhere, is waited for no more. */
static bool
has_had_its_chance(struct chi_lb *lb, struct chi_lb_plan *plan)
{
    switch (chi_obj_wish(lb->obj, &plan->element)) {
    case CHI_WISH_GRANTED:
        return false; /* its home answers */
    case CHI_WISH_WAITS:
        if (!chi_obj_can_move(lb->obj, &plan->element) ||
            ++plan->looks > CHI_LB_LOOKS_MAX) {
            return true;
        }
        (void)!chi_obj_migrate_retry(lb->obj, &plan->element);
        return false;
    default: /* the user's, or none, for the user told it to stay */
        return true;
    }
}

void
chi_lb_plans_look(struct chi_lb *lb)
{
    for (size_t i = 0; lb->leaving > 0 && i < lb->plan_count; i++) {
        struct chi_lb_plan *plan = &lb->plans[i];

        if (!plan->leaves) {
            continue;
        }
        if (plan->left) {
            /* With its array it ends on the way. */
            if (chi_obj_is_over(lb->obj, plan->element.collection)) {
                stays(lb, plan);
            }
        } else if (!chi_obj_is_here(lb->obj, &plan->element) ||
                   has_had_its_chance(lb, plan)) {
            stays(lb, plan);
        }
    }
    chi_lb_moves_look(lb);
}

static void look_later(struct chi_lb *lb);

/* A busy PE is never idle, so that is not enough (T5). */
static void
look_again(const chare_call *call, void *context)
{
    struct chi_lb *lb = context;

    (void)call;
    lb->look_timer = 0;
    if (lb->state == CHI_LB_MOVING) {
        chi_lb_plans_look(lb);
        look_later(lb);
    }
}

static void
look_later(struct chi_lb *lb)
{
    if (lb->leaving > 0 && lb->look_timer == 0 &&
        chi_timers_add(&lb->pe->timers,
                       chi_clock_now_ns(lb->pe->options.clock) +
                           CHI_LB_LOOK_NS,
                       look_again, lb, &lb->look_timer) != CHARE_OK) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
}

/* ---- what PE 0 has decided */

/* Ask a chare to move; false: it stays. */
static bool
suggest(struct chi_lb *lb, const struct chi_lb_plan *plan)
{
    /* A chare that is asked at any time is not waited for (T3). */
    return (!lb->timed || chi_obj_can_move(lb->obj, &plan->element)) &&
           chi_obj_suggest(lb->obj, &plan->element, plan->to) == CHARE_OK;
}

void
chi_lb_moves_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    const struct chi_lb_move *moves = (const void *)msg->bytes;
    const size_t count = msg->env.len / sizeof(*moves);

    chi_assert(lb->state == CHI_LB_WAITING);
    lb->missing = chi_coll_edges(lb->coll, 0)->child_count;
    for (size_t i = 0; i < count; i++) {
        if (moves[i].from != lb->pe->rank) {
            continue;
        }
        if (moves[i].number >= lb->plan_count || moves[i].to >= lb->pe->size) {
            chi_log_warn(lb->pe->options.log,
                         "dropped a malformed move of load balancing");
            continue;
        }
        lb->plans[moves[i].number].to = moves[i].to;
        lb->plans[moves[i].number].leaves = true;
    }
    chi_lb_start_moving(lb);
}

void
chi_lb_start_moving(struct chi_lb *lb)
{
    chi_assert(lb->leaving == 0);
    lb->state = CHI_LB_MOVING;
    chi_obj_time_moves(lb->obj);
    for (size_t i = 0; i < lb->plan_count; i++) {
        if (lb->plans[i].leaves) {
            add_leaving(lb, &lb->plans[i]);
        }
    }
    for (size_t i = 0; i < lb->plan_count; i++) {
        if (lb->plans[i].leaves && !suggest(lb, &lb->plans[i])) {
            give_up(lb, &lb->plans[i]);
        }
    }
    look_later(lb);
    chi_lb_moves_look(lb);
}

/* ---- what has moved */

/* Where one ceases to exist, more may, and the caller is amid that: look once,
 * when they have. */
static void
look_after(struct chi_lb *lb)
{
    if (!lb->looks) {
        lb->looks = true;
        chi_pe_send(lb->pe, lb->pe->rank, chi_lb_message(lb, CHI_LB_LOOK, 0));
    }
}

void
chi_lb_moved(void *context, const chare_element *element, uint32_t from,
             uint32_t to, bool came)
{
    struct chi_lb *lb = context;
    struct chi_lb_plan *plan;
    struct chi_msg *msg;

    if (came) {
        lb->report.arrived++;
        chi_lb_history_came(lb, element, from);
    }
    /* Where the balancer has sent it from, a session is under way (T2, A2),
     * and so it is here. */
    if (came && lb->state != CHI_LB_RUNNING) {
        msg = chi_lb_message(lb, CHI_LB_ARRIVED, sizeof(*element));
        memcpy(msg->bytes, element, sizeof(*element));
        chi_pe_send(lb->pe, from, msg);
    } else if (!came) {
        plan = find_leaving(lb, element);
        if (plan != NULL && plan->to == to) {
            plan->left = true;
        } else if (plan != NULL) {
            stays(lb, plan); /* the user wanted it elsewhere */
        }
    }
    if (lb->state == CHI_LB_MOVING ||
        chi_obj_is_at_sync(lb->obj, element->collection)) {
        lb->unsynced = 0; /* not known: the next one looks */
        if (to == UINT32_MAX) {
            look_after(lb);
        } else {
            chi_lb_look(lb);
        }
    }
}

void
chi_lb_arrived(struct chi_lb *lb, const struct chi_msg *msg)
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

/* ---- all are done */

void
chi_lb_done(struct chi_lb *lb, const struct chi_msg *msg)
{
    struct chi_lb_spent spent;

    chi_assert(lb->missing > 0);
    lb->missing--;
    chi_lb_live_child_done(lb, msg);
    if (msg->env.len >= sizeof(spent)) {
        memcpy(&spent, msg->bytes, sizeof(spent));
        lb->spent.count += spent.count;
        lb->spent.seconds += spent.seconds;
    }
    chi_lb_look(lb);
}

void
chi_lb_moves_look(struct chi_lb *lb)
{
    uint64_t ticks;
    uint64_t count;

    if (lb->state != CHI_LB_MOVING || lb->leaving > 0 || lb->missing > 0 ||
        lb->dumps) {
        return;
    }
    chi_assert(chi_obj_suggestions(lb->obj) == 0); /* T4 */
    chi_map_fini(&lb->leaving_by_key);
    chi_obj_timed_moves(lb->obj, &count, &ticks);
    lb->spent.count += count;
    lb->spent.seconds += (double)ticks * lb->sec_per_tick;
    lb->state = CHI_LB_WAITING;
    if (lb->pe->rank == 0) {
        chi_lb_live_report(lb);
        chi_lb_root_tell(lb, CHI_LB_RESUME, NULL, 0);
    } else {
        chi_pe_send(lb->pe, chi_lb_parent(lb), chi_lb_live_done(lb));
    }
}
