/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * where.c - PEs, nodes and trees.
 */
#include "config.h"

#include "api/api.h"
#include "topo/tree.h"

uint32_t
chare_my_pe(const chare_runtime *runtime)
{
    return runtime->pe->rank;
}

uint32_t
chare_pe_count(const chare_runtime *runtime)
{
    return runtime->pe->size;
}

uint32_t
chare_node_count(const chare_runtime *runtime)
{
    return runtime->layout == NULL ? 1
                                   : chi_layout_node_count(runtime->layout);
}

uint32_t
chare_node_of(const chare_runtime *runtime, uint32_t pe)
{
    return runtime->layout == NULL || pe >= runtime->pe->size
               ? 0
               : chi_layout_node_of(runtime->layout, pe);
}

uint32_t
chare_node_pe_count(const chare_runtime *runtime, uint32_t node)
{
    return node >= chare_node_count(runtime) ? 0
           : runtime->layout == NULL
               ? 1
               : chi_layout_node_pe_count(runtime->layout, node);
}

uint32_t
chare_node_pe(const chare_runtime *runtime, uint32_t node, uint32_t index)
{
    return index >= chare_node_pe_count(runtime, node) ? CHARE_ANY_PE
           : runtime->layout == NULL
               ? 0
               : chi_layout_node_pe(runtime->layout, node, index);
}

const char *
chare_node_name(const chare_runtime *runtime, uint32_t node)
{
    if (node >= chare_node_count(runtime)) {
        return "?";
    }
    return runtime->layout == NULL
               ? runtime->place.node_name
               : chi_layout_node_name(runtime->layout, node);
}

chare_status
chare_tree_edges(const chare_runtime *runtime, uint32_t root, uint32_t pe,
                 uint32_t *parent_out, uint32_t *children_out, uint32_t room,
                 uint32_t *count_out)
{
    struct chi_tree_edges edges;

    if (runtime->layout == NULL) {
        return CHARE_ERR_STATE;
    }
    if (root >= runtime->pe->size || pe >= runtime->pe->size) {
        return CHARE_ERR_INVALID;
    }
    chi_tree_edges(runtime->layout, root, pe,
                   (uint32_t)runtime->settings.tree_fanout, &edges);
    *parent_out = edges.parent;
    *count_out = edges.child_count;
    for (uint32_t i = 0; i < edges.child_count && i < room; i++) {
        children_out[i] = edges.children[i];
    }
    return CHARE_OK;
}

/* In ascending order, within the job, and 'root' among them. */
static bool
pes_ok(const chare_runtime *runtime, uint32_t root, const uint32_t *pes,
       uint32_t pe_count)
{
    bool root_found = pes == NULL;

    for (uint32_t i = 0; pes != NULL && i < pe_count; i++) {
        if (pes[i] >= runtime->pe->size || (i > 0 && pes[i - 1] >= pes[i])) {
            return false;
        }
        root_found = root_found || pes[i] == root;
    }
    return root_found && root < runtime->pe->size && pe_count > 0 &&
           (pes != NULL || pe_count == runtime->pe->size);
}

chare_status
chare_tree_subset(const chare_runtime *runtime, uint32_t root,
                  const uint32_t *pes, uint32_t pe_count, uint32_t fanout,
                  chare_tree_vertex *vertices_out)
{
    if (runtime->layout == NULL) {
        return CHARE_ERR_STATE;
    }
    if (!pes_ok(runtime, root, pes, pe_count) || vertices_out == NULL ||
        (fanout != 0 &&
         (fanout < CHI_TREE_FANOUT_MIN || fanout > CHI_TREE_FANOUT_MAX))) {
        return CHARE_ERR_INVALID;
    }
    return chi_tree_subset(
        runtime->layout, root, pes == NULL ? &root : pes, pe_count,
        fanout == 0 ? (uint32_t)runtime->settings.tree_fanout : fanout,
        vertices_out);
}
