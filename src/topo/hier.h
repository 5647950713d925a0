/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_HIER_H
#define CHI_TOPO_HIER_H

/*
 * hier.h - a hierarchy of groups over numbered leaves, and trees through it.
 *
 * Each leaf has a path of keys, outermost first; leaves with equal keys up to
 * some level are one group there. A group with one part only is left out, so
 * every group branches. The parts of a group are kept in the order of their
 * weight (the number of leaves, heaviest first), then of their lowest leaf.
 * The head of a group is the head of its first part.
 */

#include <stddef.h>
#include <stdint.h>

#include <chare.h>

enum {
    CHI_HIER_LEVELS_MAX = 6,
    CHI_HIER_CHILDREN_MAX = 32,
};

/* Where a vertex hangs; a vertex is a leaf, or leaf_count + its group. */
struct chi_hier_up {
    uint32_t parent; /* a vertex; UINT32_MAX at the top */
    uint32_t index;  /* among the parent's parts */
};

struct chi_hier_group {
    uint32_t first; /* of its parts, in chi_hier.parts */
    uint32_t count; /* at least 2 */
    uint32_t head;  /* a leaf */
};

struct chi_hier {
    uint32_t leaf_count;
    uint32_t group_count; /* group 0 is the top; none for a single leaf */
    struct chi_hier_up *up;
    struct chi_hier_group *groups;
    uint32_t *parts; /* vertices */
    /* The most parts of a group that branches at a level; 0: none does. The
     * level after the last one is that of the leaves. */
    uint32_t parts_max[CHI_HIER_LEVELS_MAX + 1];
};

/* One leaf's neighbours in a tree. */
struct chi_hier_edges {
    uint32_t parent; /* UINT32_MAX: the leaf is the root */
    uint32_t child_count;
    uint32_t children[CHI_HIER_CHILDREN_MAX]; /* outermost groups first */
};

/*
 * 'keys' (not NULL) holds 'levels' keys for each leaf, one leaf after the
 * other. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_hier_create(const uint64_t *keys,
                                              uint32_t leaf_count,
                                              uint32_t levels,
                                              struct chi_hier **hier_out);

/* Accepts NULL. */
void chi_hier_destroy(struct chi_hier *hier);

/* The leaf that stands for all of them. */
uint32_t chi_hier_head(const struct chi_hier *hier);

/* What the hierarchy occupies, in bytes. */
size_t chi_hier_bytes(const struct chi_hier *hier);

/*
 * The edges of 'leaf' in the tree from 'root': the heads of the parts of one
 * group form a tree of 'fanout' in the order of the parts, where the part that
 * holds the root comes first and has the root as its head.
 */
void chi_hier_edges(const struct chi_hier *hier, uint32_t root, uint32_t leaf,
                    uint32_t fanout, struct chi_hier_edges *edges_out);

#endif /* CHI_TOPO_HIER_H */
