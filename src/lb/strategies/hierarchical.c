/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hierarchical.c - between the parts of the machine first, then inside each
 * (G. Zheng, A. Bhatele, E. Meneses, L. V. Kale, "Periodic hierarchical load
 * balancing for large supercomputers", IJHPCA 25(4), 2011).
 *
 * A part is as if it were one PE whose speed is that of its PEs together; only
 * what does not fit into a part leaves it. Parts are nodes, then their PEs;
 * where there are many nodes, groups of them come first. Each level decides by
 * greedy-refine, so few objects move, and few of them far. What comes from
 * elsewhere is on no part yet: it goes anywhere before what is there moves.
 * Where that ends above the goal, since there is room, but not for objects of
 * this size, greedy-refine goes on without regard to parts.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lb/strategies/strategy.h"

enum {
    GROUP_NODES = 32, /* nodes in a group of nodes */
    LEVELS = 3,
};

/* A level's view of the problem: PEs of it are the parts of some part. */
struct view {
    struct chi_lb_problem problem;
    float *work;
    uint32_t *from;
    uint32_t *to;
    uint8_t *fixed;
    float *speeds;
    float *background;
};

struct hierarchy {
    const struct chi_lb_problem *problem;
    uint32_t *to;
    double bound;
    /* For each level, the part that each PE is in, and at the last level the
     * PE itself; numbers rise from 0 in each level. */
    uint32_t *parts[LEVELS];
    uint32_t counts[LEVELS];
    uint32_t *objects; /* sorted by the part they are in */
    size_t *starts;
    struct view view;
};

static bool
view_alloc(struct view *view, size_t objects, uint32_t pes)
{
    *view = (struct view){
        .work = malloc(objects * sizeof(float)),
        .from = malloc(objects * sizeof(uint32_t)),
        .to = malloc(objects * sizeof(uint32_t)),
        .fixed = malloc(objects),
        /* One more, for what comes from elsewhere. */
        .speeds = malloc((pes + (size_t)1) * sizeof(float)),
        .background = malloc((pes + (size_t)1) * sizeof(float)),
    };
    return view->work != NULL && view->from != NULL && view->to != NULL &&
           view->fixed != NULL && view->speeds != NULL &&
           view->background != NULL;
}

static void
view_free(struct view *view)
{
    free(view->work);
    free(view->from);
    free(view->to);
    free(view->fixed);
    free(view->speeds);
    free(view->background);
}

/*
 * Work that is large for a PE does not fill a part to its brim: parts are
 * filled half way from what they would have at best to what a PE may have.
 */
static double
goal_of(const struct hierarchy *h, int level, double bound)
{
    const double goal = h->bound * (1 + (double)chi_lb_tolerance(h->problem) *
                                            (level + 1) / LEVELS);

    return level == LEVELS - 1 || bound > goal ? goal : (bound + goal) / 2;
}

static chare_status
decide_view(struct hierarchy *h, int level)
{
    struct view *view = &h->view;
    char text[CHI_LB_TEXT_BYTES];
    double bound;
    double mean;
    chare_status status = chi_lb_problem_check(&view->problem, text);

    if (status != CHARE_OK) {
        return CHARE_OK; /* no PE of this part has a speed */
    }
    status = chi_lb_bound(&view->problem, &bound, &mean);
    if (status != CHARE_OK) {
        return status;
    }
    view->problem.goal = goal_of(h, level, bound);
    return chi_lb_decide(&chi_lb_greedy_refine, &view->problem, view->to,
                         text);
}

/*
 * The objects of a view. Those that have left where they were are on one more
 * part, without speed; returns whether there are any.
 */
static bool
fill_objects(struct hierarchy *h, int level, uint32_t low, uint32_t part_count,
             const uint32_t *objects, size_t count)
{
    const struct chi_lb_problem *whole = h->problem;
    struct view *view = &h->view;
    bool some = false;

    for (size_t i = 0; i < count; i++) {
        const uint32_t object = objects[i];
        const bool is_new = h->to[object] != whole->from[object];

        some |= is_new;
        view->work[i] = whole->work[object];
        view->from[i] =
            is_new ? part_count : h->parts[level][h->to[object]] - low;
        view->to[i] = view->from[i];
        view->fixed[i] = whole->fixed == NULL ? 0 : whole->fixed[object];
    }
    view->speeds[part_count] = 0;
    view->background[part_count] = 0;
    return some;
}

/*
 * Decide in one part of the level above (its PEs are [pe_first, pe_end) of the
 * list 'pes'), into which part of this level its objects go. An object is in
 * to[]'s PE; when its part changes, it is put on the first PE with a speed of
 * the new one, for the next level to place.
 */
static chare_status
decide_in(struct hierarchy *h, int level, const uint32_t *pes,
          uint32_t pe_first, uint32_t pe_end, const uint32_t *objects,
          size_t count)
{
    const struct chi_lb_problem *whole = h->problem;
    const uint32_t *parts = h->parts[level];
    const uint32_t low = parts[pes[pe_first]];
    struct view *view = &h->view;
    uint32_t part_count = 0;

    for (uint32_t i = pe_first; i < pe_end; i++) {
        const uint32_t part = parts[pes[i]] - low;
        const float speed = chi_lb_speed(whole, pes[i]);

        if (part >= part_count) {
            part_count = part + 1;
            view->speeds[part] = 0;
            view->background[part] = 0;
        }
        view->speeds[part] += speed;
        view->background[part] += speed * chi_lb_background(whole, pes[i]);
    }
    for (uint32_t part = 0; part < part_count; part++) {
        if (view->speeds[part] > 0) {
            view->background[part] /= view->speeds[part];
        }
    }
    part_count += fill_objects(h, level, low, part_count, objects, count);
    view->problem = (struct chi_lb_problem){
        .object_count = count,
        .pe_count = part_count,
        .work = view->work,
        .from = view->from,
        .fixed = view->fixed,
        .speeds = view->speeds,
        .background = view->background,
        .tolerance = chi_lb_tolerance(whole),
        .seed = whole->seed,
    };
    return decide_view(h, level);
}

/* A PE with a speed in each part of this level, into 'firsts'. */
static void
find_firsts(const struct hierarchy *h, int level, uint32_t *firsts)
{
    for (uint32_t part = 0; part < h->counts[level]; part++) {
        firsts[part] = UINT32_MAX;
    }
    for (uint32_t pe = h->problem->pe_count; pe-- > 0;) {
        const uint32_t part = h->parts[level][pe];

        if (chi_lb_speed(h->problem, pe) > 0 || firsts[part] == UINT32_MAX) {
            firsts[part] = pe;
        }
    }
}

/* The objects by the part of the level above that they are in. */
static void
sort_objects(struct hierarchy *h, int level)
{
    const uint32_t count = level == 0 ? 1 : h->counts[level - 1];
    const uint32_t *parts = level == 0 ? NULL : h->parts[level - 1];

    memset(h->starts, 0, (count + 1) * sizeof(*h->starts));
    for (size_t i = 0; i < h->problem->object_count; i++) {
        h->starts[(parts == NULL ? 0 : parts[h->to[i]]) + 1]++;
    }
    for (uint32_t part = 0; part < count; part++) {
        h->starts[part + 1] += h->starts[part];
    }
    for (size_t i = h->problem->object_count; i-- > 0;) {
        const uint32_t part = parts == NULL ? 0 : parts[h->to[i]];

        h->objects[--h->starts[part + 1]] = (uint32_t)i;
    }
    for (uint32_t part = 0; part < count; part++) {
        h->starts[part] = h->starts[part + 1];
    }
    h->starts[count] = h->problem->object_count;
}

static chare_status
decide_level(struct hierarchy *h, int level, const uint32_t *pes,
             uint32_t *firsts)
{
    const uint32_t *above = level == 0 ? NULL : h->parts[level - 1];
    const uint32_t pe_count = h->problem->pe_count;
    chare_status status = CHARE_OK;

    find_firsts(h, level, firsts);
    sort_objects(h, level);
    for (uint32_t first = 0, end; first < pe_count && status == CHARE_OK;
         first = end) {
        const uint32_t part = above == NULL ? 0 : above[pes[first]];
        const uint32_t *objects = h->objects + h->starts[part];
        const size_t count = h->starts[part + 1] - h->starts[part];
        const uint32_t low = h->parts[level][pes[first]];

        for (end = first + 1;
             end < pe_count && above != NULL && above[pes[end]] == part;) {
            end++;
        }
        end = above == NULL ? pe_count : end;
        if (count == 0) {
            continue;
        }
        status = decide_in(h, level, pes, first, end, objects, count);
        for (size_t i = 0; i < count && status == CHARE_OK; i++) {
            if (h->view.to[i] != h->view.from[i]) {
                h->to[objects[i]] = firsts[low + h->view.to[i]];
            }
        }
    }
    return status;
}

/*
 * The PEs by their nodes, which get numbers from 0; groups of nodes likewise.
 * Nodes are numbers below the count of PEs or so; others wrap around.
 */
static void
parts_init(struct hierarchy *h, uint32_t *pes, uint32_t *firsts)
{
    const struct chi_lb_problem *problem = h->problem;
    const uint32_t pe_count = problem->pe_count;
    uint32_t *next = h->parts[LEVELS - 1]; /* PEs of a node, linked */
    uint32_t nodes = 0;
    uint32_t at = 0;

    for (uint32_t node = 0; node < pe_count; node++) {
        firsts[node] = UINT32_MAX;
    }
    for (uint32_t pe = pe_count; pe-- > 0;) {
        const uint32_t node = chi_lb_node(problem, pe) % pe_count;

        next[pe] = firsts[node];
        firsts[node] = pe;
    }
    for (uint32_t node = 0; node < pe_count; node++) {
        for (uint32_t pe = firsts[node]; pe != UINT32_MAX; pe = next[pe]) {
            pes[at++] = pe;
            h->parts[1][pe] = nodes;
            h->parts[0][pe] = nodes / GROUP_NODES;
        }
        nodes += firsts[node] != UINT32_MAX;
    }
    for (uint32_t i = 0; i < pe_count; i++) {
        h->parts[LEVELS - 1][pes[i]] = i;
    }
    h->counts[0] = (nodes + GROUP_NODES - 1) / GROUP_NODES;
    h->counts[1] = nodes;
    h->counts[LEVELS - 1] = pe_count;
}

/* All is at the goal, and nothing on a PE without speed. */
static bool
is_good(const struct hierarchy *h, double *times)
{
    const struct chi_lb_problem *problem = h->problem;
    const double goal = goal_of(h, LEVELS - 1, 0);

    chi_lb_times(problem, problem->from, times);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        if (times[pe] > goal) {
            return false;
        }
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (chi_lb_movable(problem, i) &&
            !(chi_lb_speed(problem, problem->from[i]) > 0)) {
            return false;
        }
    }
    return true;
}

/*
 * Parts that are full enough may be so of objects that PEs cannot hold. What
 * is then no better than it was stays as it was.
 */
static chare_status
finish(const struct hierarchy *h, uint32_t *room, char *text)
{
    const size_t bytes = h->problem->object_count * sizeof(*h->to);
    struct chi_lb_problem rest = *h->problem;
    struct chi_lb_quality before;
    struct chi_lb_quality after;
    chare_status status = chi_lb_evaluate(h->problem, h->to, &after);

    rest.from = h->to;
    rest.noise = 0; /* it was worth it, or nobody would decide */
    if (status == CHARE_OK &&
        after.makespan > goal_of(h, LEVELS - 1, 0) * 1.001) {
        status = chi_lb_decide(&chi_lb_greedy_refine, &rest, room, text);
        if (status == CHARE_OK) {
            memcpy(h->to, room, bytes);
            status = chi_lb_evaluate(h->problem, h->to, &after);
        }
    }
    if (status == CHARE_OK) {
        status = chi_lb_evaluate(h->problem, h->problem->from, &before);
    }
    if (status == CHARE_OK && before.stranded <= after.stranded &&
        after.makespan > before.makespan * 0.999 && after.moves > 0) {
        memcpy(h->to, h->problem->from, bytes);
    }
    return status;
}

static chare_status
decide(struct hierarchy *h, uint32_t *pes, uint32_t *firsts, char *text)
{
    chare_status status = CHARE_OK;

    parts_init(h, pes, firsts);
    for (int level = 0; level < LEVELS && status == CHARE_OK; level++) {
        status = decide_level(h, level, pes, firsts);
    }
    return status == CHARE_OK ? finish(h, h->view.to, text) : status;
}

static chare_status
hierarchical_decide(const struct chi_lb_problem *problem, uint32_t *to,
                    char *text)
{
    const uint32_t pes_count = problem->pe_count;
    const size_t pe_bytes = pes_count * sizeof(uint32_t);
    struct hierarchy h = {
        .problem = problem,
        .to = to,
        .parts = {malloc(pe_bytes), malloc(pe_bytes), malloc(pe_bytes)},
        .objects = malloc(problem->object_count * sizeof(uint32_t)),
        .starts = malloc((pes_count + 2) * sizeof(size_t)),
    };
    uint32_t *pes = malloc(pe_bytes);
    uint32_t *firsts = malloc(pe_bytes);
    double *times = malloc(pes_count * sizeof(*times));
    chare_status status = CHARE_ERR_NO_MEMORY;
    double mean;

    if (view_alloc(&h.view, problem->object_count, pes_count) &&
        h.parts[0] != NULL && h.parts[1] != NULL && h.parts[2] != NULL &&
        h.objects != NULL && h.starts != NULL && pes != NULL &&
        firsts != NULL && times != NULL) {
        status = chi_lb_bound(problem, &h.bound, &mean);
        if (status == CHARE_OK && !is_good(&h, times)) {
            status = decide(&h, pes, firsts, text);
        }
    }
    view_free(&h.view);
    for (int level = 0; level < LEVELS; level++) {
        free(h.parts[level]);
    }
    free(h.objects);
    free(h.starts);
    free(pes);
    free(firsts);
    free(times);
    return status;
}

const struct chi_lb_strategy chi_lb_hierarchical = {
    .name = "hierarchical",
    .help = "between nodes first, then inside them; few moves, few far",
    .keeps = true,
    .decide = hierarchical_decide,
};
