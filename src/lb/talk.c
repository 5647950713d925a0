/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * talk.c - who talks to whom: whether it is counted, and what a PE tells of it
 * in a session.
 *
 * What chares of a PE have called goes with its loads to PE 0 and is forgotten
 * here; chares of both ends are named, for either may have moved meanwhile.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lb/lb_private.h"

/* "N", or "1/N": one call in N; 0: none. False: neither. */
static bool
parse(const char *text, uint32_t *every_out)
{
    const char *number = strncmp(text, "1/", 2) == 0 ? text + 2 : text;
    char *end;
    const unsigned long value = strtoul(number, &end, 10);

    *every_out = (uint32_t)value;
    return *number >= '0' && *number <= '9' && *end == '\0' &&
           value <= CHI_COMM_EVERY_MAX;
}

void
chi_lb_talk_init(struct chi_lb *lb)
{
    const char *text = lb->pe->options.settings->lb_comm;
    uint32_t every;

    if (text[0] == '\0') {
        return;
    }
    if (parse(text, &every)) {
        lb->counts_said = true;
        chi_obj_count_calls(lb->obj, every);
    } else {
        chi_log_warn(lb->pe->options.log,
                     "CHARE_LB_COMM=%s: should be 0, 1 or 1/N, up to 1/%d; "
                     "calls are counted where the strategy needs it",
                     text, CHI_COMM_EVERY_MAX);
    }
}

chare_status
chi_lb_count_calls(struct chi_lb *lb, uint32_t every)
{
    if (every > CHI_COMM_EVERY_MAX) {
        return CHARE_ERR_INVALID;
    }
    lb->counts_said = true;
    lb->counts_lacked = false;
    chi_obj_count_calls(lb->obj, every);
    return CHARE_OK;
}

void
chi_lb_talk_want(struct chi_lb *lb)
{
    if (!lb->counts_said) {
        chi_obj_count_calls(lb->obj,
                            lb->strategy != NULL && lb->strategy->needs_edges);
    }
}

/* ---- in a session */

static void
take_edge(void *context, const struct chi_comm_edge *edge)
{
    struct chi_lb *lb = context;

    lb->edges = chi_lb_grow(lb, lb->edges, lb->edge_count, &lb->edge_room,
                            sizeof(*lb->edges));
    lb->edges[lb->edge_count++] = *edge;
}

size_t
chi_lb_talk_pairs_max(uint32_t pes)
{
    const size_t share = CHI_LB_PAIRS_MAX / pes;

    return share > CHI_COMM_EDGES_MAX ? CHI_COMM_EDGES_MAX : share;
}

static int
heavier_first(const void *a, const void *b)
{
    const struct chi_comm_edge *x = a;
    const struct chi_comm_edge *y = b;

    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1)
                                : memcmp(x, y, sizeof(*x));
}

uint64_t
chi_lb_talk_thin(struct chi_comm_edge *edges, size_t *count, size_t max)
{
    uint64_t lost_bytes = 0;

    if (*count <= max) {
        return 0;
    }
    qsort(edges, *count, sizeof(*edges), heavier_first);
    while (*count > max) {
        lost_bytes += edges[--*count].bytes;
    }
    return lost_bytes;
}

void
chi_lb_talk_take(struct chi_lb *lb, enum chi_load_set set,
                 struct chi_lb_pe *pe)
{
    struct chi_comm_edge lost = {0};

    lb->edge_count = 0;
    if (chi_obj_counts_calls(lb->obj) == 0) {
        return;
    }
    lost.bytes = chi_obj_take_edges(lb->obj, set, take_edge, lb);
    lost.bytes += chi_lb_talk_thin(lb->edges, &lb->edge_count,
                                   chi_lb_talk_pairs_max(lb->pe->size));
    take_edge(lb, &lost);
    pe->edges = (uint32_t)lb->edge_count;
}

void
chi_lb_talk_put(struct chi_lb *lb, const struct chi_lb_pe *pe)
{
    if (pe->edges == 0) {
        return;
    }
    for (size_t i = 0; i < lb->plan_count; i++) {
        struct chi_comm_name name;

        (void)chi_obj_comm_name(&lb->plans[i].element, &name);
        chi_lb_put_stats(lb, &name, sizeof(name));
    }
    chi_lb_put_stats(lb, lb->edges, lb->edge_count * sizeof(*lb->edges));
}

/* ---- on PE 0 */

const struct chi_lb_strategy *
chi_lb_talk_choose(struct chi_lb *lb, const struct chi_lb_problem *problem)
{
    const struct chi_lb_strategy *strategy = lb->strategy;
    const size_t *first = problem->edge_first;

    if (strategy == NULL || !strategy->needs_edges) {
        return strategy;
    }
    if (strategy == lb->lacking) {
        return &chi_lb_greedy_refine;
    }
    if (first != NULL && first[problem->object_count] > 0) {
        return strategy;
    }
    if (first == NULL && !lb->counts_lacked) {
        lb->counts_lacked = true;
        chi_log_warn(lb->pe->options.log,
                     "load balancing by %s: nobody counts who talks to whom "
                     "(CHARE_LB_COMM=0?); greedy-refine decides instead",
                     strategy->name);
    } else if (first != NULL && problem->object_count > 0) {
        chi_log_info(lb->pe->options.log,
                     "load balancing by %s: nobody has talked; greedy-refine "
                     "decides instead",
                     strategy->name);
    }
    return &chi_lb_greedy_refine;
}

void
chi_lb_talk_lacks(struct chi_lb *lb, const char *text)
{
    lb->lacking = lb->strategy;
    chi_log_warn(lb->pe->options.log,
                 "load balancing by %s: %s; greedy-refine decides instead",
                 lb->strategy->name, text);
}

void
chi_lb_talk_unknown(struct chi_lb *lb)
{
    chare_lb_report *report = &lb->report;

    report->talk_bytes = 0;
    report->talk_messages = 0;
    report->talk_lost = 0;
    report->cut_before = 0;
    report->cut_after = 0;
    report->hops_before = 0;
    report->hops_after = 0;
}

void
chi_lb_talk_report(struct chi_lb *lb, const struct chi_lb_problem *problem,
                   const struct chi_lb_quality *before,
                   const struct chi_lb_quality *after)
{
    chare_lb_report *report = &lb->report;

    report->talk_bytes = 0;
    report->talk_messages = 0;
    for (size_t e = 0; problem->edge_first != NULL &&
                       e < problem->edge_first[problem->object_count];
         e++) {
        report->talk_bytes += (double)problem->edge_bytes[e] / 2;
        report->talk_messages += (double)problem->edge_messages[e] / 2;
    }
    report->cut_before = before->cut_bytes;
    report->cut_after = after->cut_bytes;
    report->hops_before = before->hop_bytes;
    report->hops_after = after->hop_bytes;
}
