/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * set.c - what the engine keeps of a collection: its beginning and its end.
 */
#include "config.h"

#include <stdlib.h>

#include "coll/coll_private.h"

void
chi_coll_set_init(struct chi_coll *coll, struct chi_coll_set *set,
                  uint64_t collection, uint32_t root)
{
    *set = (struct chi_coll_set){.collection = collection};
    set->edges = chi_coll_edges(coll, root);
    set->is_root = root == coll->pe->rank;
    set->census_missing = set->edges->child_count;
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

void
chi_coll_set_init_alone(struct chi_coll_set *set, uint64_t collection)
{
    static const struct chi_tree_edges no_edges;

    *set = (struct chi_coll_set){
        .collection = collection,
        .edges = &no_edges,
        .is_root = true,
    };
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

static uint64_t
all_children(const struct chi_tree_edges *edges)
{
    return ((uint64_t)1 << edges->child_count) - 1;
}

void
chi_coll_set_init_known(struct chi_coll_set *set, uint64_t collection,
                        const struct chi_tree_edges *edges, bool is_root,
                        uint64_t local_count, uint64_t subtree_count)
{
    *set = (struct chi_coll_set){
        .collection = collection,
        .edges = edges,
        .is_root = is_root,
        .local_known = true,
        .census_known = true,
        .local_count = local_count,
        .subtree_count = subtree_count,
        .active = local_count > 0 || edges->child_count > 0,
        .children_active = all_children(edges),
        .children_born = all_children(edges),
    };
    chi_assert(local_count <= subtree_count);
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

void
chi_coll_set_fini(struct chi_coll_set *set)
{
    size_t cursor = 0;
    uint64_t tag;
    void *value;

    while (chi_map_next(&set->reductions, &cursor, &tag, &value)) {
        struct chi_reduction *reduction = value;

        chi_msg_queue_clear(&reduction->parts);
        free(reduction);
    }
    chi_map_fini(&set->reductions);
    chi_map_fini(&set->leaving);
    set->recent = NULL;
}

bool
chi_coll_stalled(const struct chi_coll_set *set, struct chi_coll_stalled *out)
{
    const struct chi_reduction *reduction =
        chi_map_get(&set->reductions, set->stream_next);

    if (reduction == NULL) {
        return false;
    }
    *out = (struct chi_coll_stalled){
        .number = reduction->tag,
        .arrived = reduction->count,
        .expected = set->subtree_count - set->left_count,
        .children = reduction->children_reported,
    };
    return true;
}
