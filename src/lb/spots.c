/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spots.c - how far PEs are from each other.
 */
#include "config.h"

#include "lb/spots.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "topo/layout.h"

enum {
    HOPS_CACHE = 1,
    HOPS_NUMA = 2,
    HOPS_NODE = 3,
    HOPS_SWITCH = 2, /* each */
};

static_assert((int)CHI_LB_SWITCHES_MAX == (int)CHI_PLACE_SWITCH_LEVELS_MAX,
              "a spot holds the switches of a place");

static uint32_t
hops_between_nodes(const struct chi_lb_spot *a, const struct chi_lb_spot *b)
{
    const uint32_t levels = a->switch_levels > b->switch_levels
                                ? a->switch_levels
                                : b->switch_levels;
    uint32_t same = 0;

    while (same < levels && a->switches[same] == b->switches[same]) {
        same++;
    }
    return CHI_LB_HOPS_NODES + HOPS_SWITCH * (levels - same);
}

uint32_t
chi_lb_hops(const struct chi_lb_problem *problem, uint32_t a, uint32_t b)
{
    const struct chi_lb_spot *x;
    const struct chi_lb_spot *y;

    if (a == b) {
        return 0;
    }
    if (problem->spots == NULL) {
        return chi_lb_node(problem, a) == chi_lb_node(problem, b)
                   ? HOPS_CACHE
                   : CHI_LB_HOPS_NODES;
    }
    x = &problem->spots[a];
    y = &problem->spots[b];
    if (chi_lb_node(problem, a) != chi_lb_node(problem, b)) {
        return hops_between_nodes(x, y);
    }
    if (x->package != y->package || x->numa != y->numa) {
        return HOPS_NODE;
    }
    return x->cache != y->cache ? HOPS_NUMA : HOPS_CACHE;
}

/* ---- paths */

uint32_t
chi_lb_path_hops(const struct chi_lb_problem *problem, uint32_t level)
{
    uint32_t levels = 0;

    switch (level) {
    case CHI_LB_PATH_NODE:
        return CHI_LB_HOPS_NODES;
    case CHI_LB_PATH_NUMA:
        return HOPS_NODE;
    case CHI_LB_PATH_CACHE:
        return HOPS_NUMA;
    case CHI_LB_PATH_LEVELS:
        return HOPS_CACHE;
    default:
        break;
    }
    for (uint32_t pe = 0; problem->spots != NULL && pe < problem->pe_count;
         pe++) {
        if (problem->spots[pe].switch_levels > levels) {
            levels = problem->spots[pe].switch_levels;
        }
    }
    return CHI_LB_HOPS_NODES +
           HOPS_SWITCH * (levels > level ? levels - level : 0);
}

void
chi_lb_path(const struct chi_lb_problem *problem, uint32_t pe,
            struct chi_lb_path *out)
{
    *out = (struct chi_lb_path){0};
    out->names[CHI_LB_PATH_NODE] = chi_lb_node(problem, pe);
    if (problem->spots != NULL) {
        const struct chi_lb_spot *spot = &problem->spots[pe];

        for (uint32_t level = 0; level < spot->switch_levels; level++) {
            out->names[level] = spot->switches[level];
        }
        out->names[CHI_LB_PATH_NUMA] =
            (uint64_t)spot->package << 16 | spot->numa;
        out->names[CHI_LB_PATH_CACHE] = spot->cache;
    }
}

struct sorted {
    struct chi_lb_path path;
    uint32_t pe;
};

static int
by_path(const void *a, const void *b)
{
    const struct sorted *x = a;
    const struct sorted *y = b;

    for (uint32_t i = 0; i < CHI_LB_PATH_LEVELS; i++) {
        if (x->path.names[i] != y->path.names[i]) {
            return x->path.names[i] < y->path.names[i] ? -1 : 1;
        }
    }
    return x->pe < y->pe ? -1 : x->pe > y->pe;
}

chare_status
chi_lb_path_sort(const struct chi_lb_problem *problem, uint32_t *pes,
                 uint32_t count)
{
    struct sorted *sorted = malloc((count + 1) * sizeof(*sorted));

    if (sorted == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        sorted[i].pe = pes[i];
        chi_lb_path(problem, pes[i], &sorted[i].path);
    }
    qsort(sorted, count, sizeof(*sorted), by_path);
    for (uint32_t i = 0; i < count; i++) {
        pes[i] = sorted[i].pe;
    }
    free(sorted);
    return CHARE_OK;
}

/* ---- from a layout */

/* The number of a switch, from 1; 0: no memory. */
static uint32_t
number_of(struct chi_map *numbers, uint64_t name)
{
    uintptr_t number = (uintptr_t)chi_map_get(numbers, name);

    if (number == 0) {
        number = numbers->count + 1;
        if (chi_map_put(numbers, name, (void *)number) != CHARE_OK) {
            return 0;
        }
    }
    return (uint32_t)number;
}

chare_status
chi_lb_spots_of_layout(const struct chi_layout *layout,
                       struct chi_lb_spot *spots, uint32_t *nodes)
{
    struct chi_map numbers;
    bool good = true;

    chi_map_init(&numbers);
    for (uint32_t pe = 0; pe < chi_layout_pe_count(layout); pe++) {
        struct chi_place place;

        chi_layout_place(layout, pe, &place);
        nodes[pe] = chi_layout_node_of(layout, pe);
        spots[pe] = (struct chi_lb_spot){
            .package = place.package,
            .numa = place.numa,
            .cache = place.cache,
            .core = place.core,
            .switch_levels = place.switch_levels,
        };
        for (uint32_t i = 0; i < place.switch_levels; i++) {
            spots[pe].switches[i] = number_of(&numbers, place.switches[i]);
            good &= spots[pe].switches[i] != 0;
        }
    }
    chi_map_fini(&numbers);
    return good ? CHARE_OK : CHARE_ERR_NO_MEMORY;
}
