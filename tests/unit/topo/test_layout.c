/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_layout.c - the map of PEs and nodes.
 *
 * Goal:   nodes are numbered by their lowest PE, every place comes back as it
 *         was given, and a million PEs take little memory.
 * Method: invented machines, regular and drawn by seed; each answer compared
 *         with the places themselves.
 */
#include "config.h"

#include "topo/layout.h"

#include "tap/tap.h"
#include "unit/topo/synth.h"

/* NULL, or what is wrong with the layout. */
static const char *
layout_fault(const struct chi_layout *layout, const struct chi_place *places,
             uint32_t pe_count)
{
    uint32_t total = 0;
    uint32_t highest = 0; /* node met so far, + 1 */

    if (chi_layout_pe_count(layout) != pe_count) {
        return "the number of PEs";
    }
    for (uint32_t pe = 0; pe < pe_count; pe++) {
        const uint32_t node = chi_layout_node_of(layout, pe);
        const uint32_t index = chi_layout_index_on_node(layout, pe);
        struct chi_place place;

        if (node > highest) {
            return "a node's number is not by its lowest PE";
        }
        highest = node == highest ? highest + 1 : highest;
        if (chi_layout_node_pe(layout, node, index) != pe) {
            return "an index on a node";
        }
        chi_layout_place(layout, pe, &place);
        if (memcmp(&place, &places[pe], sizeof(place)) != 0) {
            return "a place";
        }
        if (strcmp(chi_layout_node_name(layout, node), places[pe].node_name) !=
            0) {
            return "a node's name";
        }
    }
    if (chi_layout_node_count(layout) != highest) {
        return "the number of nodes";
    }
    for (uint32_t node = 0; node < highest; node++) {
        const uint32_t count = chi_layout_node_pe_count(layout, node);

        for (uint32_t i = 1; i < count; i++) {
            if (chi_layout_node_pe(layout, node, i - 1) >=
                chi_layout_node_pe(layout, node, i)) {
                return "the order of PEs on a node";
            }
        }
        total += count;
    }
    return total == pe_count ? NULL : "the number of PEs on nodes";
}

/* Whether the layout of this machine is right. */
static bool
layout_right(const struct synth *synth)
{
    uint32_t pe_count;
    struct chi_place *places = synth_places(synth, &pe_count);
    struct chi_layout *layout;
    const char *fault = "no layout";

    if (chi_layout_create(places, pe_count, &layout) == CHARE_OK) {
        fault = layout_fault(layout, places, pe_count);
        chi_layout_destroy(layout);
    }
    if (fault != NULL) {
        printf("# seed %llu: wrong: %s\n", (unsigned long long)synth->seed,
               fault);
    }
    free(places);
    return fault == NULL;
}

static void
one_pe_is_a_layout(void)
{
    const struct chi_place place = {.node_name = "alone"};
    struct chi_layout *layout;

    CHECK_EQ(chi_layout_create(&place, 1, &layout), CHARE_OK);
    CHECK_EQ(chi_layout_node_count(layout), 1);
    CHECK_EQ(chi_layout_node_pe(layout, 0, 0), 0);
    CHECK(strcmp(chi_layout_node_name(layout, 0), "alone") == 0);
    chi_layout_destroy(layout);
    chi_layout_destroy(NULL);
}

static void
drawn_layouts_are_right(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const struct synth synth = synth_draw(seed, 60);

        CHECK(layout_right(&synth));
    }
}

static void
lowest_pe_speaks_for_its_node(void)
{
    struct chi_place places[3] = {
        {.node_id = 5, .node_name = "first", .switch_levels = 1},
        {.node_id = 5, .node_name = "other", .switch_levels = 0},
        {.node_id = 4, .node_name = "second", .switch_levels = 1},
    };
    struct chi_layout *layout;
    struct chi_place got;

    places[0].switches[0] = 11;
    places[2].switches[0] = 12;
    CHECK_EQ(chi_layout_create(places, 3, &layout), CHARE_OK);
    CHECK_EQ(chi_layout_node_count(layout), 2);
    chi_layout_place(layout, 1, &got);
    CHECK(strcmp(got.node_name, "first") == 0);
    CHECK_EQ(got.switches[0], 11);
    chi_layout_destroy(layout);
}

/* What a layout of this machine takes, in bytes; 0 without memory. */
static size_t
layout_size(const struct synth *synth, uint32_t *pe_count_out)
{
    struct chi_place *places = synth_places(synth, pe_count_out);
    struct chi_layout *layout;
    size_t bytes = 0;

    if (chi_layout_create(places, *pe_count_out, &layout) == CHARE_OK) {
        bytes = chi_layout_bytes(layout);
        chi_layout_destroy(layout);
    }
    free(places);
    printf("# %u PEs on %u nodes: %zu bytes\n", (unsigned)*pe_count_out,
           (unsigned)synth->node_count, bytes);
    return bytes;
}

static void
a_million_pes_take_little(void)
{
    const struct synth synth = synth_million();
    uint32_t pe_count;
    const size_t bytes = layout_size(&synth, &pe_count);

    CHECK(pe_count >= 1000000);
    CHECK(bytes > 0);
    CHECK(bytes <= 10 * (size_t)pe_count);
}

static void
odd_nodes_take_little_too(void)
{
    const struct synth synth = {
        .seed = 2,
        .node_count = 2000,
        .node_pes = 64,
        .unequal = true,
        .order = SYNTH_RANDOM,
        .spots = SYNTH_SCATTER,
        .packages = 2,
        .numas = 4,
        .caches = 2,
        .cores = 8,
    };
    uint32_t pe_count;
    const size_t bytes = layout_size(&synth, &pe_count);

    CHECK(bytes > 0);
    CHECK(bytes <= 64 * (size_t)pe_count);
}

TAP_MAIN(TAP_CASE(one_pe_is_a_layout), TAP_CASE(drawn_layouts_are_right),
         TAP_CASE(lowest_pe_speaks_for_its_node),
         TAP_CASE(a_million_pes_take_little),
         TAP_CASE(odd_nodes_take_little_too))
