/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.c - a PE's edges: those of its node, if it is the node's head, and
 * then those in its node.
 */
#include "config.h"

#include "topo/tree.h"

#include <stdbool.h>

#include "base/check.h"
#include "topo/hier.h"
#include "topo/layout_def.h"

static_assert((int)CHI_HIER_CHILDREN_MAX == (int)CHI_TREE_CHILDREN_MAX,
              "edges of a hierarchy fit");
static_assert((int)CHI_PLACE_SWITCH_LEVELS_MAX <= (int)CHI_HIER_LEVELS_MAX &&
                  (int)CHI_SPOT_LEVELS <= (int)CHI_HIER_LEVELS_MAX,
              "the levels of a place fit");
/* Two children at each level are always allowed. */
static_assert(CHI_TREE_FANOUT_MIN * (CHI_PLACE_SWITCH_LEVELS_MAX + 1 +
                                     CHI_SPOT_LEVELS + 1) <=
                  CHI_TREE_CHILDREN_MAX,
              "the smallest fan-out keeps the limit");

/* The most children a head at all of these levels can have. */
static uint32_t
children_bound(const uint32_t *parts_max, uint32_t fanout)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i <= CHI_HIER_LEVELS_MAX; i++) {
        if (parts_max[i] > 1) {
            sum += parts_max[i] - 1 < fanout ? parts_max[i] - 1 : fanout;
        }
    }
    return sum;
}

/* The largest fan-out up to 'fanout' that leaves 'reserved' children free. */
static uint32_t
fanout_fit(const uint32_t *parts_max, uint32_t fanout, uint32_t reserved)
{
    while (fanout > CHI_TREE_FANOUT_MIN &&
           children_bound(parts_max, fanout) + reserved >
               CHI_TREE_CHILDREN_MAX) {
        fanout--;
    }
    return fanout;
}

void
chi_tree_plan(struct chi_layout *layout)
{
    const uint32_t *network_parts = layout->network->parts_max;
    uint32_t local_parts[CHI_HIER_LEVELS_MAX + 1] = {0};

    for (uint32_t i = 0; i < layout->shape_count; i++) {
        const struct chi_hier *hier = layout->shapes[i].hier;

        for (uint32_t level = 0; level <= CHI_HIER_LEVELS_MAX; level++) {
            if (hier->parts_max[level] > local_parts[level]) {
                local_parts[level] = hier->parts_max[level];
            }
        }
    }
    for (uint32_t k = CHI_TREE_FANOUT_MIN; k <= CHI_TREE_FANOUT_MAX; k++) {
        const uint32_t network =
            fanout_fit(network_parts, k,
                       children_bound(local_parts, CHI_TREE_FANOUT_MIN));
        const uint32_t local =
            fanout_fit(local_parts, k, children_bound(network_parts, network));

        layout->fanouts[k].network = (uint8_t)network;
        layout->fanouts[k].local = (uint8_t)local;
    }
}

void
chi_tree_fanouts(const struct chi_layout *layout, uint32_t fanout,
                 uint32_t *network_out, uint32_t *local_out)
{
    const uint32_t k = fanout == 0 ? CHI_TREE_FANOUT_DEFAULT : fanout;

    chi_assert(k >= CHI_TREE_FANOUT_MIN);
    chi_assert(k <= CHI_TREE_FANOUT_MAX);
    *network_out = layout->fanouts[k].network;
    *local_out = layout->fanouts[k].local;
}

/* The PE by which a tree from 'root' enters a node. */
static uint32_t
node_head(const struct chi_layout *layout, uint32_t root, uint32_t node_index)
{
    const struct chi_node *node = &layout->nodes[node_index];

    if (layout->node_of[root] == node_index) {
        return root;
    }
    return layout
        ->pes[node->first + chi_hier_head(layout->shapes[node->shape].hier)];
}

void
chi_tree_edges(const struct chi_layout *layout, uint32_t root, uint32_t pe,
               uint32_t fanout, struct chi_tree_edges *edges_out)
{
    const uint32_t node_index = chi_layout_node_of(layout, pe);
    const struct chi_node *node = &layout->nodes[node_index];
    const struct chi_hier *local = layout->shapes[node->shape].hier;
    const uint32_t *pes = &layout->pes[node->first];
    const uint32_t head = node_head(layout, root, node_index);
    struct chi_hier_edges edges;
    uint32_t network_fanout;
    uint32_t local_fanout;
    uint32_t count = 0;

    chi_assert(root < layout->pe_count);
    chi_tree_fanouts(layout, fanout, &network_fanout, &local_fanout);
    edges_out->parent = root;
    if (pe == head) {
        chi_hier_edges(layout->network, layout->node_of[root], node_index,
                       network_fanout, &edges);
        for (uint32_t i = 0; i < edges.child_count; i++) {
            edges_out->children[count++] =
                node_head(layout, root, edges.children[i]);
        }
        if (edges.parent != UINT32_MAX) {
            edges_out->parent = node_head(layout, root, edges.parent);
        }
    }
    chi_hier_edges(local, chi_layout_index_on_node(layout, head),
                   chi_layout_index_on_node(layout, pe), local_fanout, &edges);
    chi_assert(count + edges.child_count <= CHI_TREE_CHILDREN_MAX);
    for (uint32_t i = 0; i < edges.child_count; i++) {
        edges_out->children[count++] = pes[edges.children[i]];
    }
    if (edges.parent != UINT32_MAX) {
        edges_out->parent = pes[edges.parent];
    }
    edges_out->child_count = count;
}
