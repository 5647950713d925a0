/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tree.c - spanning trees do what tree.h promises.
 *
 * Goal:   from any root every PE is reached exactly once, parents and children
 *         agree, depth and fan-in keep their bounds, and each switch, node,
 *         package, NUMA node, cache and core is entered at most once.
 * Method: invented machines, regular up to a million PEs and drawn by seed;
 *         the tree is walked from the root, and every edge is judged by the
 *         places alone, without the layout.
 */
#include "config.h"

#include "topo/tree.h"

#include "base/map.h"
#include "tap/tap.h"
#include "unit/topo/synth.h"

enum {
    LEVELS_MAX = CHI_PLACE_SWITCH_LEVELS_MAX + 5
};

struct world {
    uint32_t pe_count;
    struct chi_place *places;
    struct chi_layout *layout;
};

/* What a walk finds. */
struct walk {
    const char *fault; /* NULL: none */
    uint32_t network_depth;
    uint32_t depth;
    uint32_t fan_in;
};

/* For each PE on the way. */
struct visit {
    uint32_t pe;
    uint8_t depth;
    uint8_t network_depth;
};

static bool
world_open(struct world *world, const struct synth *synth)
{
    world->places = synth_places(synth, &world->pe_count);
    return chi_layout_create(world->places, world->pe_count, &world->layout) ==
           CHARE_OK;
}

static void
world_close(struct world *world)
{
    chi_layout_destroy(world->layout);
    free(world->places);
}

/* The smallest d with base^d >= x. */
static uint32_t
log_ceil(uint32_t base, uint32_t x)
{
    uint32_t d = 0;

    for (uint64_t power = 1; power < x; power *= base) {
        d++;
    }
    return d;
}

/*
 * A number for each of the groups a place is in: its switches (missing ones
 * too, to keep the levels), node, package, NUMA node, cache and core.
 */
static void
groups_of(const struct chi_place *place, uint64_t groups_out[LEVELS_MAX])
{
    const uint64_t spots[4] = {place->package, place->numa, place->cache,
                               place->core};
    uint64_t hash = 1;

    for (uint32_t i = 0; i < LEVELS_MAX; i++) {
        const uint64_t key =
            i < CHI_PLACE_SWITCH_LEVELS_MAX    ? place->switches[i]
            : i == CHI_PLACE_SWITCH_LEVELS_MAX ? place->node_id
                                               : spots[i - 7];

        hash = chi_mix64(hash ^ chi_mix64(key + i));
        groups_out[i] = hash;
    }
}

/* Levels of switches that branch, less one; the S of tree.h or less. */
static uint32_t
branching_levels(const struct world *world)
{
    uint32_t count = 0;

    for (uint32_t level = 0; level <= CHI_PLACE_SWITCH_LEVELS_MAX; level++) {
        struct chi_map first_parts;
        bool branches = false;

        chi_map_init(&first_parts);
        for (uint32_t pe = 0; pe < world->pe_count && !branches; pe++) {
            uint64_t groups[LEVELS_MAX];
            uint64_t above;
            void *first;

            groups_of(&world->places[pe], groups);
            above = level == 0 ? 0 : groups[level - 1];
            first = chi_map_get(&first_parts, above);
            if (first == NULL &&
                chi_map_put(&first_parts, above,
                            (void *)(uintptr_t)groups[level]) != CHARE_OK) {
                abort();
            }
            branches = first != NULL && (uintptr_t)first != groups[level];
        }
        chi_map_fini(&first_parts);
        count += branches;
    }
    return count > 0 ? count - 1 : 0;
}

/* Note that 'pe' is entered from 'from'; false: some group was before. */
static bool
enter(const struct world *world, struct chi_map *entered, uint32_t from,
      uint32_t pe)
{
    uint64_t from_groups[LEVELS_MAX];
    uint64_t groups[LEVELS_MAX];

    groups_of(&world->places[from], from_groups);
    groups_of(&world->places[pe], groups);
    for (uint32_t i = 0; i < LEVELS_MAX; i++) {
        if (from != pe && from_groups[i] == groups[i]) {
            continue;
        }
        if (chi_map_get(entered, groups[i]) != NULL ||
            chi_map_put(entered, groups[i], entered) != CHARE_OK) {
            return false;
        }
    }
    return true;
}

/* Visit the children of one PE; returns how many were added to the queue. */
static uint32_t
visit_children(const struct world *world, struct chi_map *entered,
               uint32_t root, uint32_t fanout, const struct visit *visit,
               struct visit *queue, struct walk *walk)
{
    struct chi_tree_edges edges;
    struct chi_tree_edges back;

    chi_tree_edges(world->layout, root, visit->pe, fanout, &edges);
    if (edges.child_count > walk->fan_in) {
        walk->fan_in = edges.child_count;
    }
    for (uint32_t i = 0; i < edges.child_count; i++) {
        const uint32_t child = edges.children[i];

        if (child >= world->pe_count || child == root) {
            walk->fault = "a child that cannot be one";
            return 0;
        }
        chi_tree_edges(world->layout, root, child, fanout, &back);
        if (back.parent != visit->pe) {
            walk->fault = "a child knows another parent";
            return 0;
        }
        if (!enter(world, entered, visit->pe, child)) {
            walk->fault = "a group is entered twice";
            return 0;
        }
        queue[i].pe = child;
        queue[i].depth = (uint8_t)(visit->depth + 1);
        queue[i].network_depth = (uint8_t)(visit->network_depth +
                                           (world->places[child].node_id !=
                                            world->places[visit->pe].node_id));
    }
    return edges.child_count;
}

/*
 * Each PE has one parent, and children are visited only where they agree, so
 * a PE that were reached twice would have to be twice a child of one PE; then
 * the count of visits is wrong, or 'seen' is set.
 */
static struct walk
walk_tree(const struct world *world, uint32_t root, uint32_t fanout)
{
    struct visit *queue =
        malloc((world->pe_count + CHI_TREE_CHILDREN_MAX) * sizeof(*queue));
    bool *seen = calloc(world->pe_count, sizeof(*seen));
    struct walk walk = {.fault = NULL};
    struct chi_map entered;
    struct chi_tree_edges edges;
    uint32_t count = 1;

    chi_map_init(&entered);
    enter(world, &entered, root, root);
    queue[0] = (struct visit){.pe = root};
    chi_tree_edges(world->layout, root, root, fanout, &edges);
    if (edges.parent != root) {
        walk.fault = "the root's parent";
    }
    for (uint32_t at = 0; at < count && walk.fault == NULL; at++) {
        const struct visit visit = queue[at];

        if (seen[visit.pe] || count > world->pe_count) {
            walk.fault = "a PE is reached twice";
            break;
        }
        seen[visit.pe] = true;
        walk.depth = visit.depth > walk.depth ? visit.depth : walk.depth;
        walk.network_depth = visit.network_depth > walk.network_depth
                                 ? visit.network_depth
                                 : walk.network_depth;
        count += visit_children(world, &entered, root, fanout, &visit,
                                queue + count, &walk);
    }
    if (walk.fault == NULL && count != world->pe_count) {
        walk.fault = "a PE is not reached";
    }
    chi_map_fini(&entered);
    free(queue);
    free(seen);
    return walk;
}

/* Walk and compare with the bounds; prints what is wrong. */
static bool
tree_right(const struct world *world, uint64_t seed, uint32_t root,
           uint32_t fanout, struct walk *walk_out)
{
    struct walk walk = walk_tree(world, root, fanout);
    const uint32_t nodes = chi_layout_node_count(world->layout);
    uint32_t node_pes_max = 0;
    uint32_t network_max;
    uint32_t local_max;
    uint32_t k;
    uint32_t j;

    for (uint32_t i = 0; i < nodes; i++) {
        const uint32_t count = chi_layout_node_pe_count(world->layout, i);

        node_pes_max = count > node_pes_max ? count : node_pes_max;
    }
    chi_tree_fanouts(world->layout, fanout, &k, &j);
    network_max = log_ceil(k, nodes) + branching_levels(world);
    local_max = node_pes_max == 1 ? 0 : log_ceil(j, node_pes_max) + 4;
    if (walk.fault == NULL && walk.network_depth > network_max) {
        walk.fault = "too many hops between nodes";
    } else if (walk.fault == NULL && walk.depth > network_max + local_max) {
        walk.fault = "too many hops";
    } else if (walk.fault == NULL && walk.fan_in > CHI_TREE_CHILDREN_MAX) {
        walk.fault = "too many children";
    }
    if (walk.fault != NULL) {
        printf("# seed %llu, root %u, fan-out %u (%u, %u): %s; depth %u (%u "
               "between nodes, at most %u)\n",
               (unsigned long long)seed, (unsigned)root, (unsigned)fanout,
               (unsigned)k, (unsigned)j, walk.fault, (unsigned)walk.depth,
               (unsigned)walk.network_depth, (unsigned)network_max);
    }
    *walk_out = walk;
    return walk.fault == NULL;
}

static void
drawn_trees_are_right(void)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        const struct synth synth = synth_draw(seed, seed % 8 == 0 ? 400 : 40);
        struct world world;
        struct chi_prng prng;
        struct walk walk;
        bool right = true;

        chi_prng_init(&prng, seed ^ 0x7265);
        CHECK(world_open(&world, &synth));
        for (int i = 0; i < 4 && right; i++) {
            const uint64_t chance = chi_prng_below(&prng, 8);

            right = tree_right(
                &world, seed, (uint32_t)chi_prng_below(&prng, world.pe_count),
                chance == 1 ? 0 : (uint32_t)chance + (chance == 0 ? 8 : 0),
                &walk);
        }
        world_close(&world);
        CHECK(right);
    }
}

static void
every_root_and_fanout_of_one_machine(void)
{
    const struct synth synth = {
        .seed = 5,
        .node_count = 13,
        .node_pes = 6,
        .unequal = true,
        .levels = 2,
        .width = 3,
        .order = SYNTH_RANDOM,
        .spots = SYNTH_SPREAD,
        .packages = 2,
        .numas = 1,
        .caches = 2,
        .cores = 2,
    };
    struct world world;
    struct walk walk;
    bool right = true;

    CHECK(world_open(&world, &synth));
    for (uint32_t root = 0; root < world.pe_count && right; root++) {
        right = tree_right(&world, synth.seed, root, 0, &walk);
        for (uint32_t fanout = CHI_TREE_FANOUT_MIN;
             fanout <= CHI_TREE_FANOUT_MAX && right; fanout++) {
            right = tree_right(&world, synth.seed, root, fanout, &walk);
        }
    }
    world_close(&world);
    CHECK(right);
}

/* A large machine from one root: the bounds that people count on. */
static void
large_machine(struct synth synth, uint32_t pe_count_min, uint32_t root)
{
    struct world world;
    struct walk walk;
    bool large;
    uint32_t limit;
    uint32_t k;
    uint32_t j;

    CHECK(world_open(&world, &synth));
    tree_right(&world, synth.seed, root, 0, &walk);
    chi_tree_fanouts(world.layout, 0, &k, &j);
    limit = log_ceil(CHI_TREE_FANOUT_DEFAULT, synth.node_count) + 2;
    printf("# %u PEs, %u nodes: %u hops between nodes (limit %u), %u in all, "
           "at most %u children\n",
           (unsigned)world.pe_count, (unsigned)synth.node_count,
           (unsigned)walk.network_depth, (unsigned)limit, (unsigned)walk.depth,
           (unsigned)walk.fan_in);
    large = world.pe_count >= pe_count_min;
    world_close(&world);
    CHECK(large);
    CHECK_EQ(k, CHI_TREE_FANOUT_DEFAULT);
    CHECK_EQ(j, CHI_TREE_FANOUT_DEFAULT);
    CHECK(walk.fault == NULL);
    CHECK(walk.network_depth <= limit);
    CHECK(walk.fan_in <= CHI_TREE_CHILDREN_MAX);
}

static void
a_million_pes_in_fat_nodes(void)
{
    large_machine(synth_million(), 1000000, 777777);
}

static void
a_million_nodes_without_switches(void)
{
    large_machine((struct synth){.seed = 2,
                                 .node_count = 1000000,
                                 .node_pes = 1,
                                 .order = SYNTH_BLOCK,
                                 .spots = SYNTH_UNBOUND},
                  1000000, 666667);
}

static void
many_pes_in_disorder(void)
{
    large_machine((struct synth){.seed = 3,
                                 .node_count = 4000,
                                 .node_pes = 50,
                                 .unequal = true,
                                 .odd_switches = true,
                                 .levels = 2,
                                 .width = 20,
                                 .order = SYNTH_RANDOM,
                                 .spots = SYNTH_SCATTER,
                                 .packages = 2,
                                 .numas = 4,
                                 .caches = 2,
                                 .cores = 8},
                  150000, 150000 / 7);
}

static void
one_huge_node(void)
{
    large_machine((struct synth){.seed = 4,
                                 .node_count = 1,
                                 .node_pes = 200000,
                                 .order = SYNTH_BLOCK,
                                 .spots = SYNTH_SPREAD,
                                 .packages = 8,
                                 .numas = 8,
                                 .caches = 8,
                                 .cores = 8},
                  200000, 199999);
}

/* Every level as wide as it can be: the fan-outs must give way. */
static void
fan_in_is_limited_at_any_fanout(void)
{
    const struct synth synth = {
        .seed = 6,
        .node_count = 3000,
        .node_pes = 40,
        .odd_switches = true,
        .levels = 6,
        .width = 9,
        .order = SYNTH_CYCLIC,
        .spots = SYNTH_SCATTER,
        .packages = 9,
        .numas = 9,
        .caches = 9,
        .cores = 9,
    };
    struct world world;
    struct walk walk;
    bool right = true;
    uint32_t k;
    uint32_t j;

    CHECK(world_open(&world, &synth));
    chi_tree_fanouts(world.layout, 8, &k, &j);
    for (uint32_t root = 0; root < 3 && right; root++) {
        right = tree_right(&world, synth.seed, root * 1000, 8, &walk);
    }
    world_close(&world);
    CHECK(k < 8);
    CHECK(j >= CHI_TREE_FANOUT_MIN);
    CHECK(right);
}

/* One switch with nearly all nodes, last in every order but by weight. */
static void
a_heavy_switch_is_entered_early(void)
{
    enum {
        LIGHT = 300,
        HEAVY = 1000,
        ALL = LIGHT + HEAVY
    };
    struct world world = {.pe_count = ALL};
    struct walk walk;

    world.places = calloc(ALL, sizeof(*world.places));
    for (uint32_t i = 0; i < ALL; i++) {
        world.places[i].node_id = i + 1;
        world.places[i].switch_levels = 1;
        world.places[i].switches[0] = i < LIGHT ? i + 1 : UINT64_MAX;
    }
    CHECK_EQ(chi_layout_create(world.places, ALL, &world.layout), CHARE_OK);
    walk = walk_tree(&world, 0, 4);
    world_close(&world);
    CHECK(walk.fault == NULL);
    CHECK_EQ(walk.network_depth, 6); /* 1 to the switch, 5 in it */
}

static void
two_pes_are_neighbours(void)
{
    const struct chi_place places[2] = {{.node_id = 1}, {.node_id = 1}};
    struct chi_layout *layout;
    struct chi_tree_edges edges;

    CHECK_EQ(chi_layout_create(places, 2, &layout), CHARE_OK);
    chi_tree_edges(layout, 1, 0, 0, &edges);
    CHECK_EQ(edges.parent, 1);
    CHECK_EQ(edges.child_count, 0);
    chi_tree_edges(layout, 1, 1, 0, &edges);
    CHECK_EQ(edges.parent, 1);
    CHECK_EQ(edges.child_count, 1);
    CHECK_EQ(edges.children[0], 0);
    chi_layout_destroy(layout);
}

TAP_MAIN(TAP_CASE(two_pes_are_neighbours),
         TAP_CASE(every_root_and_fanout_of_one_machine),
         TAP_CASE(drawn_trees_are_right),
         TAP_CASE(fan_in_is_limited_at_any_fanout),
         TAP_CASE(a_heavy_switch_is_entered_early),
         TAP_CASE(a_million_pes_in_fat_nodes),
         TAP_CASE(a_million_nodes_without_switches),
         TAP_CASE(many_pes_in_disorder), TAP_CASE(one_huge_node))
