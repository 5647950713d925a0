/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_TREE_H
#define CHI_TOPO_TREE_H

/*
 * tree.h - spanning trees over all PEs, as pure functions of a layout.
 *
 * A tree enters each switch, each node, each package (NUMA node, cache) once:
 * by its head, the lowest PE there, or the root where the root is inside. The
 * heads of one level form a tree of limited fan-out below their parent's head.
 */

#include "topo/layout.h"

enum {
    CHI_TREE_CHILDREN_MAX = 32, /* fan-in of any PE, all levels together */
    CHI_TREE_FANOUT_DEFAULT = 4,
};

struct chi_tree_edges {
    uint32_t parent; /* the root's is the root itself */
    uint32_t child_count;
    uint32_t children[CHI_TREE_CHILDREN_MAX];
};

/*
 * The place of 'pe' in the tree with this root. 'fanout' 0: the default for
 * each level; else 2 to 8.
 */
void chi_tree_edges(const struct chi_layout *layout, uint32_t root,
                    uint32_t pe, uint32_t fanout,
                    struct chi_tree_edges *edges_out);

#endif /* CHI_TOPO_TREE_H */
