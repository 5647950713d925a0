/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.c - places of all PEs, condensed.
 *
 * Nodes come in the order of their lowest PE, which is the order in which a
 * walk over all PEs meets them. A node's PEs are kept in ascending order; the
 * hierarchies (switches over nodes; package, NUMA node, cache, core over the
 * PEs of one shape) know the order in which trees go through them.
 */
#include "config.h"

#include "topo/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/prng.h"
#include "topo/layout_def.h"

/* What chi_layout_create() needs on its way. */
struct draft {
    struct chi_layout *layout;
    const struct chi_place *places;
    struct chi_map map; /* node ids, then hashes of shapes; value: index + 1 */
    uint32_t node_room;
    uint32_t shape_room;
    uint32_t node_pes_max;
    uint64_t *spots; /* of one node */
    uint64_t *keys;  /* of the hierarchy being made */
};

static void *
index_value(uint32_t index)
{
    return (void *)((uintptr_t)index + 1);
}

static uint32_t
value_index(void *value)
{
    return (uint32_t)((uintptr_t)value - 1);
}

/* Make room for one more in an array that doubles. */
static chare_status
array_grow(void **array_inout, uint32_t *room_inout, uint32_t count,
           size_t size)
{
    const uint32_t room = *room_inout == 0 ? 16 : 2 * *room_inout;
    void *larger;

    if (count < *room_inout) {
        return CHARE_OK;
    }
    larger = realloc(*array_inout, room * size);
    if (larger == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *array_inout = larger;
    *room_inout = room;
    return CHARE_OK;
}

static chare_status
node_add(struct draft *draft, uint32_t pe)
{
    struct chi_layout *layout = draft->layout;
    const struct chi_place *place = &draft->places[pe];
    void *nodes = layout->nodes;
    chare_status status = array_grow(
        &nodes, &draft->node_room, layout->node_count, sizeof(*layout->nodes));

    layout->nodes = nodes;
    if (status != CHARE_OK) {
        return status;
    }
    status = chi_map_put(&draft->map, place->node_id,
                         index_value(layout->node_count));
    if (status != CHARE_OK) {
        return status;
    }
    chi_assert(place->switch_levels <= CHI_PLACE_SWITCH_LEVELS_MAX);
    layout->nodes[layout->node_count++] = (struct chi_node){
        .id = place->node_id,
        .first = pe, /* the lowest PE, until nodes_place() */
        .switch_levels = place->switch_levels,
    };
    if (place->switch_levels > layout->switch_levels) {
        layout->switch_levels = place->switch_levels;
    }
    return CHARE_OK;
}

/* The number of the node that 'pe' is on; it may be new. */
static chare_status
node_find(struct draft *draft, uint32_t pe, uint32_t *node_out)
{
    void *value = chi_map_get(&draft->map, draft->places[pe].node_id);
    chare_status status;

    if (value != NULL) {
        *node_out = value_index(value);
        return CHARE_OK;
    }
    status = node_add(draft, pe);
    if (status == CHARE_OK) {
        *node_out = draft->layout->node_count - 1;
    }
    return status;
}

/* Number the nodes, and find each PE's. */
static chare_status
nodes_find(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    uint32_t node = 0; /* neighbours are on the same node, mostly */

    for (uint32_t pe = 0; pe < layout->pe_count; pe++) {
        if (pe == 0 || layout->nodes[node].id != draft->places[pe].node_id) {
            chare_status status = node_find(draft, pe, &node);

            if (status != CHARE_OK) {
                return status;
            }
        }
        layout->node_of[pe] = node;
        layout->nodes[node].pe_count++;
    }
    return CHARE_OK;
}

/* Copy what the lowest PE of each node says of it. */
static chare_status
nodes_describe(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    const uint32_t levels = layout->switch_levels;
    size_t at = 0;

    for (uint32_t i = 0; i < layout->node_count; i++) {
        at += 1 + strnlen(draft->places[layout->nodes[i].first].node_name,
                          CHI_PLACE_NODE_NAME_MAX - 1);
    }
    layout->names_bytes = at;
    layout->names = malloc(at);
    layout->switches = calloc((size_t)layout->node_count * levels + 1,
                              sizeof(*layout->switches));
    if (layout->names == NULL || layout->switches == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    at = 0;
    for (uint32_t i = 0; i < layout->node_count; i++) {
        struct chi_node *node = &layout->nodes[i];
        const struct chi_place *place = &draft->places[node->first];
        const size_t len =
            strnlen(place->node_name, CHI_PLACE_NODE_NAME_MAX - 1);

        node->name = (uint32_t)at;
        memcpy(layout->names + at, place->node_name, len);
        layout->names[at + len] = '\0';
        at += len + 1;
        memcpy(layout->switches + (size_t)i * levels, place->switches,
               place->switch_levels * sizeof(*layout->switches));
    }
    return CHARE_OK;
}

/* List the PEs by node. */
static void
nodes_place(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    uint32_t first = 0;

    for (uint32_t i = 0; i < layout->node_count; i++) {
        struct chi_node *node = &layout->nodes[i];

        node->first = first;
        first += node->pe_count;
        if (node->pe_count > draft->node_pes_max) {
            draft->node_pes_max = node->pe_count;
        }
        node->pe_count = 0; /* counted again below */
    }
    for (uint32_t pe = 0; pe < layout->pe_count; pe++) {
        struct chi_node *node = &layout->nodes[layout->node_of[pe]];

        layout->pes[node->first + node->pe_count++] = pe;
    }
}

static uint64_t
spot_pack(const struct chi_place *place)
{
    return (uint64_t)place->package << 48 | (uint64_t)place->numa << 32 |
           (uint64_t)place->cache << 16 | place->core;
}

/* One of the four indices; 0 is the package. */
static uint16_t
spot_index(uint64_t spot, uint32_t level)
{
    return (uint16_t)(spot >> (48 - 16 * level));
}

static chare_status
shape_add(struct draft *draft, uint32_t pe_count)
{
    struct chi_layout *layout = draft->layout;
    const size_t bytes = pe_count * sizeof(*draft->spots);
    void *shapes = layout->shapes;
    struct chi_shape *shape;
    chare_status status =
        array_grow(&shapes, &draft->shape_room, layout->shape_count,
                   sizeof(*layout->shapes));

    layout->shapes = shapes;
    if (status != CHARE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < pe_count; i++) {
        for (uint32_t level = 0; level < CHI_SPOT_LEVELS; level++) {
            draft->keys[(size_t)i * CHI_SPOT_LEVELS + level] =
                spot_index(draft->spots[i], level);
        }
    }
    shape = &layout->shapes[layout->shape_count];
    *shape = (struct chi_shape){.pe_count = pe_count, .spots = malloc(bytes)};
    if (shape->spots == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(shape->spots, draft->spots, bytes);
    layout->shape_count++;
    return chi_hier_create(draft->keys, pe_count, CHI_SPOT_LEVELS,
                           &shape->hier);
}

/* Find the shape of a node among those known, or add it. */
static chare_status
shape_find(struct draft *draft, struct chi_node *node)
{
    struct chi_layout *layout = draft->layout;
    uint64_t hash = node->pe_count;
    chare_status status;
    void *value;

    for (uint32_t i = 0; i < node->pe_count; i++) {
        draft->spots[i] =
            spot_pack(&draft->places[layout->pes[node->first + i]]);
        hash = chi_mix64(hash ^ draft->spots[i]);
    }
    for (;; hash++) {
        const struct chi_shape *shape;

        value = chi_map_get(&draft->map, hash);
        if (value == NULL) {
            break;
        }
        node->shape = value_index(value);
        shape = &layout->shapes[node->shape];
        if (shape->pe_count == node->pe_count &&
            memcmp(shape->spots, draft->spots,
                   node->pe_count * sizeof(*draft->spots)) == 0) {
            return CHARE_OK;
        }
    }
    node->shape = layout->shape_count;
    status = chi_map_put(&draft->map, hash, index_value(node->shape));
    return status == CHARE_OK ? shape_add(draft, node->pe_count) : status;
}

static chare_status
shapes_find(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    chare_status status = CHARE_OK;

    chi_map_fini(&draft->map);
    chi_map_init(&draft->map);
    draft->spots = malloc(draft->node_pes_max * sizeof(*draft->spots));
    draft->keys = malloc((size_t)draft->node_pes_max * CHI_SPOT_LEVELS *
                         sizeof(*draft->keys));
    if (draft->spots == NULL || draft->keys == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < layout->node_count && status == CHARE_OK; i++) {
        status = shape_find(draft, &layout->nodes[i]);
    }
    return status;
}

/* Give back the room that the growing arrays have left. */
static void
draft_shrink(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    void *smaller;

    smaller =
        realloc(layout->nodes, layout->node_count * sizeof(*layout->nodes));
    layout->nodes = smaller != NULL ? smaller : layout->nodes;
    smaller =
        realloc(layout->shapes, layout->shape_count * sizeof(*layout->shapes));
    layout->shapes = smaller != NULL ? smaller : layout->shapes;
}

static chare_status
layout_fill(struct draft *draft)
{
    struct chi_layout *layout = draft->layout;
    chare_status status;

    layout->node_of = malloc(layout->pe_count * sizeof(*layout->node_of));
    layout->pes = malloc(layout->pe_count * sizeof(*layout->pes));
    if (layout->node_of == NULL || layout->pes == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = nodes_find(draft);
    if (status != CHARE_OK) {
        return status;
    }
    status = nodes_describe(draft);
    if (status != CHARE_OK) {
        return status;
    }
    nodes_place(draft);
    status = shapes_find(draft);
    if (status != CHARE_OK) {
        return status;
    }
    draft_shrink(draft);
    return chi_hier_create(layout->switches, layout->node_count,
                           layout->switch_levels, &layout->network);
}

chare_status
chi_layout_create(const struct chi_place *places, uint32_t pe_count,
                  struct chi_layout **out)
{
    struct chi_layout *layout = calloc(1, sizeof(*layout));
    struct draft draft = {.layout = layout, .places = places};
    chare_status status;

    chi_assert(pe_count > 0);
    chi_assert(pe_count <= CHARE_PES_MAX);
    if (layout == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    layout->pe_count = pe_count;
    chi_map_init(&draft.map);
    status = layout_fill(&draft);
    chi_map_fini(&draft.map);
    free(draft.spots);
    free(draft.keys);
    if (status != CHARE_OK) {
        chi_layout_destroy(layout);
        return status;
    }
    chi_tree_plan(layout);
    *out = layout;
    return CHARE_OK;
}

void
chi_layout_destroy(struct chi_layout *layout)
{
    if (layout == NULL) {
        return;
    }
    for (uint32_t i = 0; i < layout->shape_count; i++) {
        free(layout->shapes[i].spots);
        chi_hier_destroy(layout->shapes[i].hier);
    }
    free(layout->shapes);
    chi_hier_destroy(layout->network);
    free(layout->node_of);
    free(layout->pes);
    free(layout->nodes);
    free(layout->switches);
    free(layout->names);
    free(layout);
}

uint32_t
chi_layout_pe_count(const struct chi_layout *layout)
{
    return layout->pe_count;
}

uint32_t
chi_layout_node_count(const struct chi_layout *layout)
{
    return layout->node_count;
}

uint32_t
chi_layout_node_of(const struct chi_layout *layout, uint32_t pe)
{
    chi_assert(pe < layout->pe_count);
    return layout->node_of[pe];
}

uint32_t
chi_layout_node_pe_count(const struct chi_layout *layout, uint32_t node)
{
    chi_assert(node < layout->node_count);
    return layout->nodes[node].pe_count;
}

uint32_t
chi_layout_node_pe(const struct chi_layout *layout, uint32_t node,
                   uint32_t index)
{
    chi_assert(node < layout->node_count);
    chi_assert(index < layout->nodes[node].pe_count);
    return layout->pes[layout->nodes[node].first + index];
}

uint32_t
chi_layout_index_on_node(const struct chi_layout *layout, uint32_t pe)
{
    const struct chi_node *node =
        &layout->nodes[chi_layout_node_of(layout, pe)];
    const uint32_t *pes = &layout->pes[node->first];
    const uint32_t guess = pe - pes[0]; /* right for a block of PEs */
    uint32_t low = 0;
    uint32_t high = node->pe_count;

    if (guess < node->pe_count && pes[guess] == pe) {
        return guess;
    }
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;

        if (pes[middle] <= pe) {
            low = middle;
        } else {
            high = middle;
        }
    }
    chi_assert(pes[low] == pe);
    return low;
}

const char *
chi_layout_node_name(const struct chi_layout *layout, uint32_t node)
{
    chi_assert(node < layout->node_count);
    return layout->names + layout->nodes[node].name;
}

void
chi_layout_place(const struct chi_layout *layout, uint32_t pe,
                 struct chi_place *place_out)
{
    const uint32_t node_index = chi_layout_node_of(layout, pe);
    const struct chi_node *node = &layout->nodes[node_index];
    const uint64_t spot = layout->shapes[node->shape]
                              .spots[chi_layout_index_on_node(layout, pe)];

    *place_out = (struct chi_place){
        .node_id = node->id,
        .switch_levels = (uint16_t)node->switch_levels,
        .package = spot_index(spot, 0),
        .numa = spot_index(spot, 1),
        .cache = spot_index(spot, 2),
        .core = spot_index(spot, 3),
    };
    memcpy(place_out->switches,
           layout->switches + (size_t)node_index * layout->switch_levels,
           node->switch_levels * sizeof(*layout->switches));
    strcpy(place_out->node_name, chi_layout_node_name(layout, node_index));
}

size_t
chi_layout_bytes(const struct chi_layout *layout)
{
    size_t bytes = sizeof(*layout) + layout->names_bytes +
                   chi_hier_bytes(layout->network);

    bytes +=
        layout->pe_count * (sizeof(*layout->node_of) + sizeof(*layout->pes));
    bytes += layout->node_count *
             (sizeof(*layout->nodes) +
              layout->switch_levels * sizeof(*layout->switches));
    for (uint32_t i = 0; i < layout->shape_count; i++) {
        bytes +=
            sizeof(layout->shapes[i]) +
            layout->shapes[i].pe_count * sizeof(*layout->shapes[i].spots) +
            chi_hier_bytes(layout->shapes[i].hier);
    }
    return bytes;
}
