/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_SPOTS_H
#define CHI_LB_SPOTS_H

/*
 * spots.h - how far PEs are from each other.
 *
 *     same cache, or a node of which no more is known   1
 *     same NUMA node, other cache                       2
 *     same node, other NUMA node or package             3
 *     same leaf switch, or no switch is known           5
 *     each level of switches further out                2 more
 *
 * A PE's path names the groups that it is in, outermost first: its switches,
 * node, package and NUMA node, cache. PEs whose paths begin with the same
 * names are near.
 */

#include "lb/problem.h"

struct chi_layout;

enum {
    CHI_LB_PATH_NODE = CHI_LB_SWITCHES_MAX,
    CHI_LB_PATH_NUMA,
    CHI_LB_PATH_CACHE,
    CHI_LB_PATH_LEVELS,
};

struct chi_lb_path {
    uint64_t names[CHI_LB_PATH_LEVELS];
};

/* 0 from a PE to itself. */
uint32_t chi_lb_hops(const struct chi_lb_problem *problem, uint32_t a,
                     uint32_t b);

/* Hops between PEs whose paths differ at this level first; past the last
 * level, between those whose paths do not differ. */
uint32_t chi_lb_path_hops(const struct chi_lb_problem *problem,
                          uint32_t level);

void chi_lb_path(const struct chi_lb_problem *problem, uint32_t pe,
                 struct chi_lb_path *out);

/* PEs in the order of their paths, then of their numbers, into 'pes', of which
 * there are 'count'. Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_lb_path_sort(
    const struct chi_lb_problem *problem, uint32_t *pes, uint32_t count);

/* The spot of each PE of a layout; switches get numbers. Errors:
 * CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status
chi_lb_spots_of_layout(const struct chi_layout *layout,
                       struct chi_lb_spot *spots, uint32_t *nodes);

#endif /* CHI_LB_SPOTS_H */
