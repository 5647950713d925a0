/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_subset.c - spanning trees over some of the PEs.
 *
 * Goal:   a subset's tree has each of its PEs once and no other, its preorder
 *         fits together, it enters each node once, fan-in and depth keep
 *         their bounds, and the tree over all PEs is the one of tree.h.
 * Method: invented machines and subsets drawn by seed; the preorder is walked,
 *         and every edge is judged by the places alone.
 */
#include "config.h"

#include "topo/tree.h"

#include <string.h>

#include "tap/tap.h"
#include "unit/topo/synth.h"

enum {
    SEEDS = 300
};

struct subset {
    struct chi_place *places;
    struct chi_layout *layout;
    uint32_t machine_pes;
    uint32_t *pes;
    uint32_t count;
    uint32_t root;
    chare_tree_vertex *tree;
};

static void
subset_open(struct subset *subset, uint64_t seed)
{
    struct chi_prng prng;
    struct synth synth = {
        .seed = seed,
        .node_pes = 1 + (uint32_t)(seed % 7),
        .node_count = 1 + (uint32_t)(seed % 23),
        .unequal = seed % 2 == 0,
        .levels = (uint16_t)(seed % 4),
        .width = 2 + (uint32_t)(seed % 3),
        .order = (enum synth_order)(seed % 3),
        .spots = (enum synth_spots)(seed % 4),
        .packages = 2,
        .numas = 1,
        .caches = 2,
        .cores = 4,
    };

    chi_prng_init(&prng, seed);
    memset(subset, 0, sizeof(*subset));
    subset->places = synth_places(&synth, &subset->machine_pes);
    CHECK_EQ(chi_layout_create(subset->places, subset->machine_pes,
                               &subset->layout),
             CHARE_OK);
    subset->pes = calloc(subset->machine_pes, sizeof(*subset->pes));
    subset->tree = calloc(subset->machine_pes, sizeof(*subset->tree));
    for (uint32_t pe = 0; pe < subset->machine_pes; pe++) {
        if (chi_prng_below(&prng, 1 + seed % 5) == 0) {
            subset->pes[subset->count++] = pe;
        }
    }
    if (subset->count == 0) {
        subset->count = 1;
    }
    subset->root = subset->pes[chi_prng_below(&prng, subset->count)];
}

static void
subset_close(struct subset *subset)
{
    chi_layout_destroy(subset->layout);
    free(subset->places);
    free(subset->pes);
    free(subset->tree);
}

static bool
has(const struct subset *subset, uint32_t pe)
{
    for (uint32_t i = 0; i < subset->count; i++) {
        if (subset->pes[i] == pe) {
            return true;
        }
    }
    return false;
}

/* Walk a subtree; counts the edges that enter each node. */
static void
walk(const struct subset *subset, uint32_t at, uint32_t depth, uint32_t *seen,
     uint32_t *entered)
{
    const uint32_t end = at + subset->tree[at].subtree_count;
    const uint32_t pe = subset->tree[at].pe;
    uint32_t children = 0;

    CHECK(depth <= CHI_TREE_DEPTH_MAX);
    CHECK(end <= subset->count);
    CHECK(has(subset, pe));
    seen[pe]++;
    for (uint32_t child = at + 1; child < end;
         child += subset->tree[child].subtree_count) {
        const uint32_t there =
            chi_layout_node_of(subset->layout, subset->tree[child].pe);

        CHECK(subset->tree[child].subtree_count > 0);
        children++;
        entered[there] += there != chi_layout_node_of(subset->layout, pe);
        walk(subset, child, depth + 1, seen, entered);
    }
    CHECK(children <= CHI_TREE_CHILDREN_MAX);
}

static void
check(struct subset *subset, uint32_t fanout)
{
    uint32_t *seen = calloc(subset->machine_pes, sizeof(*seen));
    uint32_t *entered = calloc(subset->machine_pes, sizeof(*entered));
    const uint32_t home = chi_layout_node_of(subset->layout, subset->root);

    CHECK_EQ(chi_tree_subset(subset->layout, subset->root, subset->pes,
                             subset->count, fanout, subset->tree),
             CHARE_OK);
    CHECK_EQ(subset->tree[0].pe, subset->root);
    CHECK_EQ(subset->tree[0].subtree_count, subset->count);
    walk(subset, 0, 0, seen, entered);
    for (uint32_t i = 0; i < subset->count; i++) {
        CHECK_EQ(seen[subset->pes[i]], 1);
    }
    for (uint32_t node = 0; node < subset->machine_pes; node++) {
        CHECK(entered[node] <= (node != home));
    }
    free(seen);
    free(entered);
}

static void
drawn_subsets_are_right(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct subset subset;

        subset_open(&subset, seed);
        check(&subset, (uint32_t[]){0, 2, 3, 8}[seed % 4]);
        subset_close(&subset);
    }
}

/* All PEs: the edges of tree.h. */
static void
the_whole_is_no_exception(void)
{
    for (uint64_t seed = 5; seed <= 100; seed += 5) {
        struct subset subset;

        subset_open(&subset, seed);
        subset.count = subset.machine_pes;
        for (uint32_t pe = 0; pe < subset.count; pe++) {
            subset.pes[pe] = pe;
        }
        check(&subset, 0);
        for (uint32_t at = 0; at < subset.count; at++) {
            struct chi_tree_edges edges;
            uint32_t child = at + 1;

            chi_tree_edges(subset.layout, subset.root, subset.tree[at].pe, 0,
                           &edges);
            for (uint32_t i = 0; i < edges.child_count; i++) {
                CHECK_EQ(subset.tree[child].pe, edges.children[i]);
                child += subset.tree[child].subtree_count;
            }
            CHECK_EQ(child, at + subset.tree[at].subtree_count);
        }
        subset_close(&subset);
    }
}

static void
many_pes(void)
{
    const struct synth synth = {
        .node_count = 1000,
        .node_pes = 64,
        .levels = 2,
        .width = 10,
        .spots = SYNTH_COMPACT,
        .packages = 2,
        .numas = 2,
        .caches = 2,
        .cores = 8,
    };
    struct subset subset = {0};

    subset.places = synth_places(&synth, &subset.machine_pes);
    CHECK_EQ(
        chi_layout_create(subset.places, subset.machine_pes, &subset.layout),
        CHARE_OK);
    subset.pes = calloc(subset.machine_pes, sizeof(*subset.pes));
    subset.tree = calloc(subset.machine_pes, sizeof(*subset.tree));
    for (uint32_t pe = 0; pe < subset.machine_pes; pe += 2) {
        subset.pes[subset.count++] = pe;
    }
    CHECK_EQ(chi_tree_subset(subset.layout, subset.pes[77], subset.pes,
                             subset.count, 0, subset.tree),
             CHARE_OK);
    CHECK_EQ(subset.tree[0].subtree_count, subset.count);
    subset_close(&subset);
}

TAP_MAIN(TAP_CASE(drawn_subsets_are_right),
         TAP_CASE(the_whole_is_no_exception), TAP_CASE(many_pes))
