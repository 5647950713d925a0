/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_LAYOUT_DEF_H
#define CHI_TOPO_LAYOUT_DEF_H

/*
 * layout_def.h - what is inside a layout; for layout.c and tree.c only.
 */

#include "topo/hier.h"
#include "topo/layout.h"
#include "topo/tree.h"

enum {
    CHI_SPOT_LEVELS = 4
}; /* package, NUMA node, cache, core */

/* Where the PEs of a node sit, in ascending order; many nodes share one. */
struct chi_shape {
    uint32_t pe_count;
    uint64_t *spots;       /* the four indices of each PE, 16 bits each */
    struct chi_hier *hier; /* leaf: the PE's index on its node */
};

struct chi_node {
    uint64_t id;
    uint32_t first; /* of its PEs, in chi_layout.pes */
    uint32_t pe_count;
    uint32_t shape;
    uint32_t name; /* offset in chi_layout.names */
    uint32_t switch_levels;
};

/* What a fan-out asked for becomes, so that no PE has too many children. */
struct chi_fanout {
    uint8_t network; /* between nodes */
    uint8_t local;   /* in a node */
};

struct chi_layout {
    uint32_t pe_count;
    uint32_t node_count;
    uint32_t switch_levels;
    uint32_t shape_count;
    uint32_t *node_of; /* by PE */
    uint32_t *pes;     /* by node, ascending in each */
    struct chi_node *nodes;
    uint64_t *switches; /* switch_levels for each node, 0 past its own */
    char *names;
    size_t names_bytes;
    struct chi_shape *shapes;
    struct chi_hier *network; /* leaf: node */
    struct chi_fanout fanouts[CHI_TREE_FANOUT_MAX + 1];
};

/* Fill in 'fanouts'; all else is there. */
void chi_tree_plan(struct chi_layout *layout);

#endif /* CHI_TOPO_LAYOUT_DEF_H */
