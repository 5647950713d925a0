/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * subset.c - a spanning tree over some of the PEs.
 *
 * The places of these PEs alone are a layout of their own, and its tree is the
 * one wanted: all that tree.h says of trees holds for it.
 */
#include "config.h"

#include <stdlib.h>

#include "base/check.h"
#include "topo/tree.h"

/* What a walk through the tree needs. */
struct walk {
    const struct chi_layout *layout;
    const uint32_t *pes; /* the layout's PEs, by their real numbers */
    uint32_t root;
    uint32_t fanout;
    chare_tree_vertex *vertices;
    uint32_t count;
};

/* Recursion ends at CHI_TREE_DEPTH_MAX. Returns the PEs in the subtree. */
static uint32_t
walk_subtree(struct walk *walk, uint32_t pe)
{
    const uint32_t at = walk->count++;
    struct chi_tree_edges edges;
    uint32_t subtree = 1;

    chi_tree_edges(walk->layout, walk->root, pe, walk->fanout, &edges);
    for (uint32_t i = 0; i < edges.child_count; i++) {
        subtree += walk_subtree(walk, edges.children[i]);
    }
    walk->vertices[at].pe = walk->pes == NULL ? pe : walk->pes[pe];
    walk->vertices[at].subtree_count = subtree;
    return subtree;
}

static uint32_t
index_of(const uint32_t *pes, uint32_t pe_count, uint32_t pe)
{
    uint32_t low = 0;
    uint32_t high = pe_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (pes[middle] < pe) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    chi_assert(low < pe_count && pes[low] == pe);
    return low;
}

chare_status
chi_tree_subset(const struct chi_layout *layout, uint32_t root,
                const uint32_t *pes, uint32_t pe_count, uint32_t fanout,
                chare_tree_vertex *vertices_out)
{
    struct walk walk = {
        .layout = layout,
        .root = root,
        .fanout = fanout,
        .vertices = vertices_out,
    };
    struct chi_layout *subset = NULL;
    struct chi_place *places;
    chare_status status;

    chi_assert(pe_count > 0);
    if (pe_count == 1) {
        vertices_out[0] = (chare_tree_vertex){root, 1};
        return CHARE_OK;
    }
    if (pe_count < chi_layout_pe_count(layout)) {
        places = malloc(pe_count * sizeof(*places));
        if (places == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        for (uint32_t i = 0; i < pe_count; i++) {
            chi_assert(i == 0 || pes[i - 1] < pes[i]);
            chi_layout_place(layout, pes[i], &places[i]);
        }
        status = chi_layout_create(places, pe_count, &subset);
        free(places);
        if (status != CHARE_OK) {
            return status;
        }
        walk.layout = subset;
        walk.pes = pes;
        walk.root = index_of(pes, pe_count, root);
    }
    (void)walk_subtree(&walk, walk.root);
    chi_assert(walk.count == pe_count);
    chi_layout_destroy(subset);
    return CHARE_OK;
}
