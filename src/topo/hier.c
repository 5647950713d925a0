/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hier.c - hierarchies: sorted once by path, then cut into groups.
 *
 * Depth of a tree: let W be the weight of a group and w that of its part
 * number i, counted from 0. Heaviest first means w <= W / (i + 1), and the
 * place i of a k-ary heap is at depth d(i) < 1 + log_k(i + 1). So a step from
 * the head of the group to the head of the part costs less than
 * 1 + log_k(W / w), the logarithms of the steps down to a leaf add up to
 * log_k(leaves), and the whole depth is at most ceil(log_k(leaves)) plus the
 * number of levels that branch, less one. The root's part comes first without
 * being the heaviest; then w <= W / i for the others, and d(i) <= 1 + log_k(i)
 * keeps the bound, for it holds with equality at most once on a path.
 */
#include "config.h"

#include "topo/hier.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define NO_VERTEX UINT32_MAX

struct rank {
    uint32_t weight;
    uint32_t lowest; /* leaf */
    uint32_t vertex;
};

/* What chi_hier_create() needs on its way. */
struct build {
    struct chi_hier *hier;
    const uint64_t *keys;
    uint32_t levels;
    uint32_t parts_used;
    uint32_t *order;    /* leaves, sorted by path, then by number */
    struct rank *ranks; /* side by side with chi_hier.parts */
};

static const uint64_t *
keys_of(const struct build *build, uint32_t leaf)
{
    return build->keys + (size_t)leaf * build->levels;
}

static int
path_compare(const void *a, const void *b, void *context)
{
    const struct build *build = context;
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    const uint64_t *left_keys = keys_of(build, left);
    const uint64_t *right_keys = keys_of(build, right);

    for (uint32_t i = 0; i < build->levels; i++) {
        if (left_keys[i] != right_keys[i]) {
            return left_keys[i] < right_keys[i] ? -1 : 1;
        }
    }
    return left < right ? -1 : left > right;
}

static int
rank_compare(const void *a, const void *b)
{
    const struct rank *left = a;
    const struct rank *right = b;

    if (left->weight != right->weight) {
        return left->weight > right->weight ? -1 : 1;
    }
    return left->lowest < right->lowest ? -1 : left->lowest > right->lowest;
}

/* Sort, unless the numbers are in the order of the paths already. */
static void
order_fill(struct build *build)
{
    const uint32_t count = build->hier->leaf_count;
    bool sorted = true;

    for (uint32_t i = 0; i < count; i++) {
        build->order[i] = i;
        sorted =
            sorted && (i == 0 || path_compare(&build->order[i - 1],
                                              &build->order[i], build) < 0);
    }
    if (!sorted) {
        qsort_r(build->order, count, sizeof(*build->order), path_compare,
                build);
    }
}

/* The end of the run of equal keys at 'level' that starts at 'low'. */
static uint32_t
run_end(const struct build *build, uint32_t low, uint32_t high, uint32_t level)
{
    uint32_t at = low + 1;

    if (level == build->levels) {
        return at; /* a run is one leaf */
    }
    while (at < high && keys_of(build, build->order[at])[level] ==
                            keys_of(build, build->order[low])[level]) {
        at++;
    }
    return at;
}

static struct rank group_build(struct build *build, uint32_t low,
                               uint32_t high, uint32_t level);

/* Put the parts of a new group in their order; returns the lowest leaf. */
static uint32_t
parts_fill(struct build *build, uint32_t group, uint32_t low, uint32_t high,
           uint32_t level)
{
    struct chi_hier *hier = build->hier;
    const uint32_t first = hier->groups[group].first;
    const uint32_t count = hier->groups[group].count;
    const uint32_t child_level = level < build->levels ? level + 1 : level;
    uint32_t lowest = UINT32_MAX;
    bool sorted = true;

    for (uint32_t i = 0, at = low; i < count; i++) {
        const uint32_t end = run_end(build, at, high, level);
        const struct rank rank = group_build(build, at, end, child_level);

        build->ranks[first + i] = rank;
        lowest = rank.lowest < lowest ? rank.lowest : lowest;
        sorted =
            sorted && (i == 0 || rank_compare(&build->ranks[first + i - 1],
                                              &build->ranks[first + i]) < 0);
        at = end;
    }
    if (!sorted) {
        qsort(build->ranks + first, count, sizeof(*build->ranks),
              rank_compare);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t vertex = build->ranks[first + i].vertex;

        hier->parts[first + i] = vertex;
        hier->up[vertex].parent = hier->leaf_count + group;
        hier->up[vertex].index = i;
    }
    return lowest;
}

/* Make the vertex of order[low..high), all alike before 'level'. */
static struct rank
group_build(struct build *build, uint32_t low, uint32_t high, uint32_t level)
{
    struct chi_hier *hier = build->hier;
    uint32_t group;
    uint32_t first;
    uint32_t count = 0;
    uint32_t lowest;

    if (high - low == 1) {
        return (struct rank){1, build->order[low], build->order[low]};
    }
    while (level < build->levels && run_end(build, low, high, level) == high) {
        level++;
    }
    for (uint32_t at = low; at < high; count++) {
        at = run_end(build, at, high, level);
    }
    group = hier->group_count++;
    first = build->parts_used;
    build->parts_used += count;
    hier->groups[group].first = first;
    hier->groups[group].count = count;
    if (count > hier->parts_max[level]) {
        hier->parts_max[level] = count;
    }
    lowest = parts_fill(build, group, low, high, level);
    hier->groups[group].head =
        hier->parts[first] < hier->leaf_count
            ? hier->parts[first]
            : hier->groups[hier->parts[first] - hier->leaf_count].head;
    return (struct rank){high - low, lowest, hier->leaf_count + group};
}

/* Give back what a hierarchy with fewer groups than leaves does not need. */
static void
hier_shrink(struct chi_hier *hier, uint32_t parts_used)
{
    const size_t vertices = (size_t)hier->leaf_count + hier->group_count;
    void *smaller;

    smaller = realloc(hier->up, vertices * sizeof(*hier->up));
    hier->up = smaller != NULL ? smaller : hier->up;
    smaller = realloc(hier->groups,
                      (hier->group_count + 1u) * sizeof(*hier->groups));
    hier->groups = smaller != NULL ? smaller : hier->groups;
    smaller = realloc(hier->parts, (parts_used + 1u) * sizeof(*hier->parts));
    hier->parts = smaller != NULL ? smaller : hier->parts;
}

chare_status
chi_hier_create(const uint64_t *keys, uint32_t leaf_count, uint32_t levels,
                struct chi_hier **hier_out)
{
    /* Every group branches, so there are fewer groups than leaves. */
    const size_t vertices_max = 2 * (size_t)leaf_count;
    struct build build = {.keys = keys, .levels = levels};
    struct chi_hier *hier;
    chare_status status = CHARE_ERR_NO_MEMORY;
    struct rank top;

    chi_assert(keys != NULL);
    chi_assert(leaf_count > 0);
    chi_assert(levels <= CHI_HIER_LEVELS_MAX);
    hier = calloc(1, sizeof(*hier));
    if (hier == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    hier->leaf_count = leaf_count;
    hier->up = malloc(vertices_max * sizeof(*hier->up));
    hier->groups = malloc(leaf_count * sizeof(*hier->groups));
    hier->parts = malloc(vertices_max * sizeof(*hier->parts));
    build.hier = hier;
    build.order = malloc(leaf_count * sizeof(*build.order));
    build.ranks = malloc(vertices_max * sizeof(*build.ranks));
    if (hier->up == NULL || hier->groups == NULL || hier->parts == NULL ||
        build.order == NULL || build.ranks == NULL) {
        goto free_build;
    }
    order_fill(&build);
    top = group_build(&build, 0, leaf_count, 0);
    hier->up[top.vertex].parent = NO_VERTEX;
    hier->up[top.vertex].index = 0;
    chi_assert(build.parts_used < vertices_max);
    hier_shrink(hier, build.parts_used);
    *hier_out = hier;
    hier = NULL;
    status = CHARE_OK;

free_build:
    free(build.order);
    free(build.ranks);
    chi_hier_destroy(hier);
    return status;
}

void
chi_hier_destroy(struct chi_hier *hier)
{
    if (hier == NULL) {
        return;
    }
    free(hier->up);
    free(hier->groups);
    free(hier->parts);
    free(hier);
}

uint32_t
chi_hier_head(const struct chi_hier *hier)
{
    return hier->group_count == 0 ? 0 : hier->groups[0].head;
}

size_t
chi_hier_bytes(const struct chi_hier *hier)
{
    const size_t vertices = (size_t)hier->leaf_count + hier->group_count;

    return sizeof(*hier) + vertices * (sizeof(*hier->up) + sizeof(uint32_t)) +
           hier->group_count * sizeof(*hier->groups);
}

/* One group that a leaf, as the head of one of its parts, works in. */
struct stage {
    const struct chi_hier_group *group;
    uint32_t lead; /* index of the part that holds the root, or 0 */
    bool root_inside;
    uint32_t position; /* of the part in the heap; the lead's is 0 */
};

/* The part at index 'lead' is at position 0; the others keep their order. */
static uint32_t
position_of(uint32_t index, uint32_t lead)
{
    if (index == lead) {
        return 0;
    }
    return index < lead ? index + 1 : index;
}

static uint32_t
index_at(uint32_t position, uint32_t lead)
{
    if (position == 0) {
        return lead;
    }
    return position <= lead ? position - 1 : position;
}

static uint32_t
head_at(const struct chi_hier *hier, const struct stage *stage,
        uint32_t position)
{
    const uint32_t index = index_at(position, stage->lead);
    const uint32_t part = hier->parts[stage->group->first + index];

    return part < hier->leaf_count
               ? part
               : hier->groups[part - hier->leaf_count].head;
}

/* The stage of the part 'vertex' in its group. */
static struct stage
stage_of(const struct chi_hier *hier, uint32_t root, uint32_t vertex)
{
    const uint32_t parent = hier->up[vertex].parent;
    struct stage stage = {.group = &hier->groups[parent - hier->leaf_count]};

    for (uint32_t v = root; v != NO_VERTEX; v = hier->up[v].parent) {
        if (hier->up[v].parent == parent) {
            stage.lead = hier->up[v].index;
            stage.root_inside = true;
        }
    }
    stage.position = position_of(hier->up[vertex].index, stage.lead);
    return stage;
}

static void
children_add(const struct chi_hier *hier, const struct stage *stage,
             uint32_t fanout, struct chi_hier_edges *edges)
{
    const uint64_t first = (uint64_t)stage->position * fanout + 1;

    for (uint64_t at = first; at < first + fanout && at < stage->group->count;
         at++) {
        chi_assert(edges->child_count < CHI_HIER_CHILDREN_MAX);
        edges->children[edges->child_count++] =
            head_at(hier, stage, (uint32_t)at);
    }
}

void
chi_hier_edges(const struct chi_hier *hier, uint32_t root, uint32_t leaf,
               uint32_t fanout, struct chi_hier_edges *edges_out)
{
    struct stage stages[CHI_HIER_LEVELS_MAX + 1];
    uint32_t count = 0;
    uint32_t vertex = leaf;

    chi_assert(root < hier->leaf_count);
    chi_assert(leaf < hier->leaf_count);
    edges_out->parent = UINT32_MAX;
    edges_out->child_count = 0;
    while (hier->up[vertex].parent != NO_VERTEX) {
        struct stage *stage = &stages[count++];

        *stage = stage_of(hier, root, vertex);
        if (stage->position != 0) {
            const uint32_t above = (stage->position - 1) / fanout;

            edges_out->parent = above == 0 && stage->root_inside
                                    ? root
                                    : head_at(hier, stage, above);
            break;
        }
        vertex = hier->up[vertex].parent;
    }
    while (count > 0) {
        children_add(hier, &stages[--count], fanout, edges_out);
    }
}
