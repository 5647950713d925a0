/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * live.c - a session in which the PEs decide among themselves.
 *
 * Invariants:
 *  V1  how a session decides is said by PE 0 when it calls;
 *  V2  a message that comes before this PE takes part, or even before it has
 *      heard that the last session is over, is kept until it does: it is a
 *      child's sum, for nobody knows the goal before all take part;
 *  V3  a PE moves its chares when it knows where all of them go; others may
 *      then still decide: what arrives there was no part of it;
 *  V4  what comes when this PE's part is over does not matter (L4).
 */
#include "config.h"

#include "lb/live.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "lb/gossip.h"
#include "lb/lb_private.h"

/* A message that came too early. */
struct chi_lb_early {
    struct chi_lb_early *next;
    uint64_t session;
    uint32_t from;
    size_t len;
    unsigned char bytes[];
};

/* What a subtree tells when it is done. On the wire. */
struct result {
    uint64_t moves;
    double most; /* seconds of the fullest */
};

struct chi_lb_live {
    struct chi_gossip gossip;
    bool on;           /* between start and the end of deciding */
    uint32_t *numbers; /* of what may move, in plans */
    float *work;
    struct chi_tree_edges edges;
    struct result result;
    uint64_t start_ns;
};

static struct chi_lb_live *
live_of(struct chi_lb *lb)
{
    if (lb->live == NULL) {
        lb->live = calloc(1, sizeof(*lb->live));
    }
    if (lb->live == NULL) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
    return lb->live;
}

enum chi_lb_spread
chi_lb_live_spread(const struct chi_lb *lb)
{
    return lb->user == NULL && lb->strategy != NULL ? lb->strategy->spread
                                                    : CHI_LB_CENTRAL;
}

static void
check(struct chi_lb *lb, chare_status status)
{
    if (status != CHARE_OK) {
        chi_pe_die(lb->pe, "load balancing: %s", chare_status_text(status));
    }
}

/* ---- the port */

static void
live_send(void *context, uint32_t to, const void *bytes, size_t len)
{
    struct chi_lb *lb = context;
    struct chi_msg *msg = chi_lb_message(lb, CHI_LB_SPREAD, len);

    memcpy(msg->bytes, bytes, len);
    chi_pe_send(lb->pe, to, msg);
}

static struct chi_lb_port
port_of(struct chi_lb *lb, const struct chi_lb_pe *pe, float fixed)
{
    const struct chi_lb_live *live = lb->live;

    return (struct chi_lb_port){
        .rank = lb->pe->rank,
        .size = lb->pe->size,
        .parent = live->edges.parent,
        .child_count = live->edges.child_count,
        .children = live->edges.children,
        .speed = lb->speed,
        .background = pe->background + (lb->speed > 0 ? fixed / lb->speed : 0),
        .measured = pe->measured != 0,
        .may_count = pe->count == 0,
        .seed = chi_mix64(lb->session + 1),
        .objects = lb->record_count,
        .spread = lb->spread,
        .send = live_send,
        .context = lb,
    };
}

/* ---- deciding */

/* What came from another PE; what makes no sense is dropped. */
static void
receive(struct chi_lb *lb, uint32_t from, const void *bytes, size_t len)
{
    const chare_status status =
        chi_gossip_receive(&lb->live->gossip, from, bytes, len);

    if (status == CHARE_ERR_FORMAT) {
        chi_log_warn(lb->pe->options.log,
                     "dropped a malformed message of load balancing from PE "
                     "%" PRIu32,
                     from);
    } else {
        check(lb, status);
    }
}

/* Where this PE's chares go is known: they do. */
static void
look(struct chi_lb *lb)
{
    struct chi_lb_live *live = lb->live;
    struct chi_gossip *gossip = &live->gossip;

    if (!live->on || !chi_gossip_over(gossip)) {
        return;
    }
    live->on = false;
    for (uint32_t i = 0; i < gossip->move_count; i++) {
        struct chi_lb_plan *plan =
            &lb->plans[live->numbers[gossip->moves[i].id]];

        plan->to = gossip->moves[i].to;
        plan->leaves = true;
    }
    live->result.moves += gossip->move_count;
    if (lb->speed > 0 && chi_gossip_time(gossip) > live->result.most) {
        live->result.most = chi_gossip_time(gossip);
    }
    if (lb->pe->rank == 0) {
        lb->report.decision_ns =
            chi_clock_now_ns(&chi_clock_real) - live->start_ns;
        lb->report.objects = gossip->totals.objects;
        lb->report.time_before = gossip->totals.most;
        lb->report.bound = (double)gossip->bound;
    }
    free(live->numbers);
    free(live->work);
    live->numbers = NULL;
    live->work = NULL;
    chi_gossip_fini(gossip);
    chi_lb_start_moving(lb);
}

static void
take_early(struct chi_lb *lb)
{
    struct chi_lb_early **at = &lb->early;

    while (*at != NULL) {
        struct chi_lb_early *early = *at;

        if (early->session == lb->session) {
            *at = early->next;
            receive(lb, early->from, early->bytes, early->len);
            free(early);
        } else {
            at = &early->next;
        }
    }
}

void
chi_lb_live_start(struct chi_lb *lb, const struct chi_lb_pe *pe)
{
    struct chi_lb_live *live = live_of(lb);
    const size_t room = lb->record_count + 1;
    struct chi_lb_port port;
    uint32_t count = 0;
    float fixed = 0;

    lb->state = CHI_LB_SPREADING;
    live->edges = *chi_coll_edges(lb->coll, 0);
    live->numbers = malloc(room * sizeof(*live->numbers));
    live->work = malloc(room * sizeof(*live->work));
    live->start_ns = chi_clock_now_ns(&chi_clock_real);
    if (live->numbers == NULL || live->work == NULL) {
        check(lb, CHARE_ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < lb->record_count; i++) {
        const struct chi_lb_record *record = &lb->records[i];
        const bool good = isfinite(record->work) && record->work > 0;

        if (good && record->fixed != 0) {
            fixed += record->work;
        } else if (good) {
            live->numbers[count] = record->number;
            live->work[count++] = record->work;
        }
    }
    port = port_of(lb, pe, fixed);
    live->on = true;
    check(lb, chi_gossip_start(&live->gossip, &port, live->work, count,
                               CHI_LB_TOLERANCE));
    take_early(lb);
    look(lb);
}

void
chi_lb_live_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    struct chi_lb_early *early;

    if (msg->env.key == lb->session && lb->state == CHI_LB_SPREADING) {
        receive(lb, msg->env.source_pe, msg->bytes, msg->env.len);
        look(lb);
        return;
    }
    if (msg->env.key == lb->session && lb->state != CHI_LB_RUNNING &&
        lb->state != CHI_LB_CALLED) {
        return; /* V4 */
    }
    early = malloc(sizeof(*early) + msg->env.len);
    if (early == NULL) {
        check(lb, CHARE_ERR_NO_MEMORY);
    }
    early->session = msg->env.key;
    early->from = msg->env.source_pe;
    early->len = msg->env.len;
    early->next = lb->early;
    memcpy(early->bytes, msg->bytes, msg->env.len);
    lb->early = early;
}

/* ---- the end */

void
chi_lb_live_child_done(struct chi_lb *lb, const struct chi_msg *msg)
{
    struct result result;

    if (lb->spread == CHI_LB_CENTRAL ||
        msg->env.len != sizeof(lb->spent) + sizeof(result)) {
        return;
    }
    memcpy(&result, msg->bytes + sizeof(lb->spent), sizeof(result));
    live_of(lb)->result.moves += result.moves;
    if (result.most > lb->live->result.most) {
        lb->live->result.most = result.most;
    }
}

struct chi_msg *
chi_lb_live_done(struct chi_lb *lb)
{
    const bool live = lb->spread != CHI_LB_CENTRAL;
    struct chi_msg *msg =
        chi_lb_message(lb, CHI_LB_DONE,
                       sizeof(lb->spent) + (live ? sizeof(struct result) : 0));

    memcpy(msg->bytes, &lb->spent, sizeof(lb->spent));
    if (live) {
        memcpy(msg->bytes + sizeof(lb->spent), &lb->live->result,
               sizeof(lb->live->result));
        lb->live->result = (struct result){0};
    }
    return msg;
}

void
chi_lb_live_report(struct chi_lb *lb)
{
    /* Of the strategy that it began with; the user may have changed it. */
    static const char *const names[] = {
        [CHI_LB_CENTRAL] = "none",
        [CHI_LB_GOSSIP] = "gossip",
        [CHI_LB_HIERARCHICAL] = "tree",
        [CHI_LB_DIFFUSION] = "diffusion",
    };
    const struct chi_lb_live *live = lb->live;

    if (lb->spread == CHI_LB_CENTRAL) {
        return;
    }
    snprintf(lb->report.strategy, sizeof(lb->report.strategy), "%s",
             names[lb->spread]);
    lb->report.moves += live->result.moves;
    chi_lb_talk_unknown(lb);
    lb->report.time_after = live->result.most;
    lb->live->result = (struct result){0};
    chi_log_info(lb->pe->options.log,
                 "load balancing %" PRIu64 " by %s: %" PRIu64
                 " chares, the fullest PE has %.4g s, then %.4g s; at best "
                 "%.4g s",
                 lb->session, names[lb->spread], lb->report.objects,
                 lb->report.time_before, lb->report.time_after,
                 lb->report.bound);
}

void
chi_lb_live_fini(struct chi_lb *lb)
{
    while (lb->early != NULL) {
        struct chi_lb_early *early = lb->early;

        lb->early = early->next;
        free(early);
    }
    if (lb->live != NULL) {
        if (lb->live->on) {
            chi_gossip_fini(&lb->live->gossip);
        }
        free(lb->live->numbers);
        free(lb->live->work);
        free(lb->live);
    }
}
