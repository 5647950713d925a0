/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_TREE_H
#define CHI_TOPO_TREE_H

/*
 * tree.h - spanning trees over all or some PEs: pure functions of a layout.
 *
 * A tree enters each switch, each node, each package (NUMA node, cache, core)
 * once, by its head: the root where the root is inside, else the head of its
 * largest part (of equal ones, the part with the lowest PE). In a regular job
 * that is the lowest PE. The heads of the parts of one group form a tree of
 * limited fan-out below the head of the group, largest parts first. Children
 * are listed with the farthest first.
 *
 * Bounds, with k the fan-out between nodes and j the one in a node as
 * chi_tree_fanouts() tells, for N nodes with at most M PEs on one:
 *   hops between nodes on the way to any PE <= ceil(log_k N) + S, with S the
 *     number of switch levels at which some switch has more than one part;
 *   hops in all <= that + ceil(log_j M) + 4;
 *   children of any PE <= CHI_TREE_CHILDREN_MAX.
 */

#include "topo/layout.h"

enum {
    CHI_TREE_CHILDREN_MAX = 32, /* fan-in of any PE, all levels together */
    CHI_TREE_FANOUT_MIN = 2,
    CHI_TREE_FANOUT_MAX = 8,
    CHI_TREE_FANOUT_DEFAULT = 4,
    CHI_TREE_DEPTH_MAX = 64, /* hops, for any layout and fan-out */
};

struct chi_tree_edges {
    uint32_t parent; /* the root's is the root itself */
    uint32_t child_count;
    uint32_t children[CHI_TREE_CHILDREN_MAX];
};

/*
 * The place of 'pe' in the tree with this root. 'fanout' 0: the default for
 * each level; else CHI_TREE_FANOUT_MIN to _MAX. Takes less than 1 us, whatever
 * the number of PEs.
 */
void chi_tree_edges(const struct chi_layout *layout, uint32_t root,
                    uint32_t pe, uint32_t fanout,
                    struct chi_tree_edges *edges_out);

/*
 * The fan-outs that 'fanout' comes to. They are the one asked for, unless a
 * PE that is a head at all levels would have more than CHI_TREE_CHILDREN_MAX
 * children; at least 2.
 */
void chi_tree_fanouts(const struct chi_layout *layout, uint32_t fanout,
                      uint32_t *network_out, uint32_t *local_out);

/*
 * The tree from 'root' over some PEs only, which are given in ascending order,
 * 'root' among them; 'fanout' as above. A function of its arguments alone.
 * Takes O(n log n) and some 200 bytes for each PE while it runs.
 * 'vertices_out' has room for pe_count; 'pes' is not looked at when it is all.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_tree_subset(
    const struct chi_layout *layout, uint32_t root, const uint32_t *pes,
    uint32_t pe_count, uint32_t fanout, chare_tree_vertex *vertices_out);

#endif /* CHI_TOPO_TREE_H */
