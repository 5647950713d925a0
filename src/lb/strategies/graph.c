/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * graph.c - partition of the graph of who talks to whom, by METIS (G. Karypis
 * and V. Kumar, "A fast and high quality multilevel scheme for partitioning
 * irregular graphs", SIAM J. Sci. Comput. 20(1), 1998).
 *
 * METIS divides what is small against its parts: where it is left with a part
 * for nothing it complains on standard output, and places badly. So an object
 * that fills a PE gets one to itself, and METIS divides the others among the
 * other PEs; where these are few, greedy-refine decides.
 *
 * Parts are given to the PEs that already have most of them, so that what need
 * not move does not; PEs that got too much give up a few; then parts that talk
 * to each other are brought near (arrange.c). Objects that cannot move are
 * taken back at the end.
 */
#include "config.h"

#include "lb/strategies/strategy.h"

#include <stdio.h>

#include "lb/strategies/arrange.h"
#include "lb/strategies/search.h"
#include "lb/strategies/weights.h"

#if CHI_WITH_METIS

#include <dlfcn.h>
#include <math.h>
#include <metis.h>
#include <stdlib.h>
#include <string.h>

/* So many objects, or edges, that each weighs 1 more. */
enum {
    COUNT_MAX = INT32_MAX - CHI_LB_WEIGHTS_MAX,
    OBJECTS_MIN = 4, /* of a PE, on average, for METIS */
};

/* Loaded by who needs it, as few programs do. */
struct metis {
    void *library;
    int (*set_defaults)(idx_t *options);
    int (*partition)(idx_t *, idx_t *, idx_t *, idx_t *, idx_t *, idx_t *,
                     idx_t *, idx_t *, real_t *, real_t *, idx_t *, idx_t *,
                     idx_t *);
};

struct graph {
    struct metis metis;
    const struct chi_lb_problem *problem;
    idx_t *first;
    idx_t *to;
    idx_t *weights;
    idx_t *edge_weights;
    idx_t *part;
    real_t *shares;
    uint32_t *pes; /* those with a speed, fastest first */
    uint32_t pe_count;

    /* Objects by falling work. The first 'alone' have parts of the same
     * numbers; METIS knows the others by numbers[object]. */
    uint32_t *order;
    uint32_t *numbers;
    size_t alone;
    float *work;  /* of those */
    float *bytes; /* of their edges */
};

static chare_status
metis_open(struct metis *metis, char *text)
{
    metis->library = dlopen(CHI_METIS_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (metis->library == NULL) {
        snprintf(text, CHI_LB_TEXT_BYTES, "METIS: %s", dlerror());
        return CHARE_ERR_NOT_FOUND;
    }
    *(void **)&metis->set_defaults =
        dlsym(metis->library, "METIS_SetDefaultOptions");
    *(void **)&metis->partition = dlsym(metis->library, "METIS_PartGraphKway");
    if (metis->set_defaults == NULL || metis->partition == NULL) {
        snprintf(text, CHI_LB_TEXT_BYTES, "METIS: %s lacks a function",
                 CHI_METIS_LIBRARY);
        dlclose(metis->library);
        return CHARE_ERR_NOT_FOUND;
    }
    return CHARE_OK;
}

struct ranked {
    float value;
    uint32_t at;
};

static int
by_value(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;

    if (x->value != y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Numbers by falling values, of those that are above 'above'; how many. */
static size_t
rank(const float *values, size_t count, float above, struct ranked *room,
     uint32_t *out)
{
    size_t ranked = 0;

    for (size_t i = 0; i < count; i++) {
        const float value = values == NULL ? 1 : values[i];

        if (value > above) {
            room[ranked++] = (struct ranked){value, (uint32_t)i};
        }
    }
    qsort(room, ranked, sizeof(*room), by_value);
    for (size_t i = 0; i < ranked; i++) {
        out[i] = room[i].at;
    }
    return ranked;
}

/* Which objects fill a PE each. Errors: CHARE_ERR_NO_MEMORY. */
static chare_status
set_apart(struct graph *graph)
{
    const struct chi_lb_problem *problem = graph->problem;
    const size_t objects = problem->object_count;
    struct ranked *room =
        malloc((objects > problem->pe_count ? objects : problem->pe_count) *
               sizeof(*room));
    double work = 0;
    double speeds = 0;

    if (room == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    (void)rank(problem->work, objects, -1, room, graph->order);
    graph->pe_count = (uint32_t)rank(problem->speeds, problem->pe_count, 0,
                                     room, graph->pes);
    free(room);
    for (size_t i = 0; i < objects; i++) {
        work += (double)problem->work[i];
    }
    for (uint32_t i = 0; i < graph->pe_count; i++) {
        speeds += (double)chi_lb_speed(problem, graph->pes[i]);
    }
    /* One PE is left for the others. */
    while (graph->alone < objects && graph->alone + 1 < graph->pe_count) {
        const double next = (double)problem->work[graph->order[graph->alone]];
        const double speed =
            (double)chi_lb_speed(problem, graph->pes[graph->alone]);

        if (next <= 0 || next / speed < work / speeds) {
            break;
        }
        graph->part[graph->order[graph->alone]] = (idx_t)graph->alone;
        graph->alone++;
        work -= next;
        speeds -= speed;
    }
    return CHARE_OK;
}

/* The graph of the others, in the order of their numbers. */
static idx_t
edges_init(struct graph *graph)
{
    const struct chi_lb_problem *problem = graph->problem;
    idx_t objects = 0;
    idx_t edges = 0;

    for (size_t i = 0; i < problem->object_count; i++) {
        graph->numbers[i] = 0;
    }
    for (size_t i = 0; i < graph->alone; i++) {
        graph->numbers[graph->order[i]] = UINT32_MAX;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (graph->numbers[i] != UINT32_MAX) {
            graph->work[objects] = problem->work[i];
            graph->numbers[i] = (uint32_t)objects++;
        }
    }
    objects = 0;
    for (size_t i = 0; i < problem->object_count; i++) {
        if (graph->numbers[i] == UINT32_MAX) {
            continue;
        }
        graph->first[objects++] = edges;
        for (size_t e = problem->edge_first[i]; e < problem->edge_first[i + 1];
             e++) {
            const uint32_t to = problem->edge_to[e];

            if (graph->numbers[to] != UINT32_MAX && to != i) {
                graph->to[edges] = (idx_t)graph->numbers[to];
                graph->bytes[edges++] = problem->edge_bytes[e];
            }
        }
    }
    graph->first[objects] = edges;
    return objects;
}

/* Returns how many objects METIS is to divide. */
static idx_t
weights_init(struct graph *graph)
{
    const struct chi_lb_problem *problem = graph->problem;
    const idx_t objects = edges_init(graph);
    const idx_t edges = graph->first[objects];
    const double of_work =
        chi_lb_weight_scale(graph->work, (size_t)objects, CHI_LB_WEIGHTS_MAX);
    const double of_bytes =
        chi_lb_weight_scale(graph->bytes, (size_t)edges, CHI_LB_WEIGHTS_MAX);
    double speeds = 0;

    for (idx_t i = 0; i < objects; i++) {
        graph->weights[i] =
            of_work > 0 ? (idx_t)ceil((double)graph->work[i] * of_work) : 1;
    }
    for (idx_t e = 0; e < edges; e++) {
        graph->edge_weights[e] =
            1 + (idx_t)((double)graph->bytes[e] * of_bytes);
    }
    for (size_t i = graph->alone; i < graph->pe_count; i++) {
        speeds += (double)chi_lb_speed(problem, graph->pes[i]);
    }
    for (size_t i = graph->alone; i < graph->pe_count; i++) {
        graph->shares[i - graph->alone] =
            (real_t)((double)chi_lb_speed(problem, graph->pes[i]) / speeds);
    }
    return objects;
}

/* How much work of a part is on a PE already. */
struct overlap {
    float work;
    uint32_t part;
    uint32_t pe;
};

static int
by_place(const void *a, const void *b)
{
    const struct overlap *x = a;
    const struct overlap *y = b;

    if (x->part != y->part) {
        return x->part < y->part ? -1 : 1;
    }
    return x->pe < y->pe ? -1 : x->pe > y->pe;
}

static int
by_work(const void *a, const void *b)
{
    const struct overlap *x = a;
    const struct overlap *y = b;

    if (x->work != y->work) {
        return x->work > y->work ? -1 : 1;
    }
    return by_place(a, b);
}

/* One for each pair of part and PE; returns how many. */
static size_t
find_overlaps(const struct graph *graph, struct overlap *overlaps)
{
    const size_t objects = graph->problem->object_count;
    size_t count = 0;

    for (size_t i = 0; i < objects; i++) {
        overlaps[i] =
            (struct overlap){graph->problem->work[i], (uint32_t)graph->part[i],
                             graph->problem->from[i]};
    }
    qsort(overlaps, objects, sizeof(*overlaps), by_place);
    for (size_t i = 0; i < objects; i++) {
        if (count > 0 && by_place(&overlaps[count - 1], &overlaps[i]) == 0) {
            overlaps[count - 1].work += overlaps[i].work;
        } else {
            overlaps[count++] = overlaps[i];
        }
    }
    qsort(overlaps, count, sizeof(*overlaps), by_work);
    return count;
}

/*
 * names[part]: the PE for it. A part made for one speed goes to a PE of that
 * speed.
 */
static void
name_parts(const struct graph *graph, const struct overlap *overlaps,
           size_t count, uint32_t *names, uint8_t *taken)
{
    const struct chi_lb_problem *problem = graph->problem;
    uint32_t free_at = 0;

    for (uint32_t i = 0; i < graph->pe_count; i++) {
        names[i] = UINT32_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t part = overlaps[i].part;
        const uint32_t pe = overlaps[i].pe;

        if (names[part] == UINT32_MAX && taken[pe] == 0 &&
            chi_lb_speed(problem, pe) ==
                chi_lb_speed(problem, graph->pes[part])) {
            names[part] = pe;
            taken[pe] = 1;
        }
    }
    for (uint32_t i = 0; i < graph->pe_count; i++) {
        if (names[i] == UINT32_MAX && taken[graph->pes[i]] == 0) {
            names[i] = graph->pes[i];
            taken[graph->pes[i]] = 1;
        }
    }
    for (uint32_t i = 0; i < graph->pe_count; i++) {
        while (names[i] == UINT32_MAX && taken[graph->pes[free_at]] != 0) {
            free_at++;
        }
        if (names[i] == UINT32_MAX) {
            names[i] = graph->pes[free_at];
            taken[graph->pes[free_at]] = 1;
        }
    }
}

static chare_status
assign(const struct graph *graph, uint32_t *to)
{
    const struct chi_lb_problem *problem = graph->problem;
    struct overlap *overlaps =
        malloc(problem->object_count * sizeof(*overlaps));
    uint32_t *names = malloc(graph->pe_count * sizeof(*names));
    uint8_t *taken = calloc(problem->pe_count, 1);
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (overlaps != NULL && names != NULL && taken != NULL) {
        name_parts(graph, overlaps, find_overlaps(graph, overlaps), names,
                   taken);
        for (size_t i = 0; i < problem->object_count; i++) {
            if (problem->fixed == NULL || problem->fixed[i] == 0) {
                to[i] = names[graph->part[i]];
            }
        }
        status = CHARE_OK;
    }
    free(overlaps);
    free(names);
    free(taken);
    return status;
}

/* The others, whose parts begin where those of single objects end. */
static chare_status
divide(struct graph *graph, idx_t objects, char *text)
{
    const struct chi_lb_problem *problem = graph->problem;
    idx_t constraints = 1;
    idx_t parts = (idx_t)(graph->pe_count - graph->alone);
    idx_t cut;
    idx_t options[METIS_NOPTIONS];
    idx_t *part = malloc(((size_t)objects + 1) * sizeof(*part));
    int result = METIS_OK;

    if (part == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memset(part, 0, ((size_t)objects + 1) * sizeof(*part));
    graph->metis.set_defaults(options);
    options[METIS_OPTION_SEED] = (idx_t)(problem->seed & 0x7fffffff);
    options[METIS_OPTION_UFACTOR] =
        (idx_t)(1000 * (double)chi_lb_tolerance(problem)) + 1;
    if (parts > 1 && objects > 0) {
        result = graph->metis.partition(
            &objects, &constraints, graph->first, graph->to, graph->weights,
            NULL, graph->edge_weights, &parts, graph->shares, NULL, options,
            &cut, part);
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (graph->numbers[i] != UINT32_MAX) {
            graph->part[i] = (idx_t)graph->alone + part[graph->numbers[i]];
        }
    }
    free(part);
    if (result != METIS_OK) {
        snprintf(text, CHI_LB_TEXT_BYTES, "METIS failed, code %d", result);
        return CHARE_ERR_SYSTEM;
    }
    return CHARE_OK;
}

/* As greedy-refine does, but for what begins without the parts. */
static chare_status
mend_steps(struct chi_shed *shed)
{
    const chare_status status = chi_shed_turns(shed);

    return status == CHARE_OK ? chi_lb_search_again(shed, false) : status;
}

/* METIS misses the balance by far where objects differ much: then a few go
 * elsewhere. */
static chare_status
mend(const struct chi_lb_problem *problem, uint32_t *to)
{
    const size_t bytes = problem->object_count * sizeof(*to);
    struct chi_lb_problem divided = *problem;
    uint32_t *from = malloc(bytes);
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (from != NULL) {
        memcpy(from, to, bytes);
        divided.from = from;
        status = chi_shed_decide(&divided, to, mend_steps);
    }
    free(from);
    return status;
}

static chare_status
partition(struct graph *graph, uint32_t *to, char *text)
{
    uint64_t looks;
    idx_t objects;
    chare_status status = set_apart(graph);

    if (status != CHARE_OK) {
        return status;
    }
    objects = weights_init(graph);
    if (objects > 0 && graph->pe_count - graph->alone > 1 &&
        (uint64_t)objects <
            OBJECTS_MIN * (uint64_t)(graph->pe_count - graph->alone)) {
        status = chi_lb_greedy_refine.decide(graph->problem, to, text);
    } else {
        status = divide(graph, objects, text);
        status = status == CHARE_OK ? assign(graph, to) : status;
        status = status == CHARE_OK ? mend(graph->problem, to) : status;
    }
    return status == CHARE_OK ? chi_lb_arrange(graph->problem, to, &looks)
                              : status;
}

static chare_status
graph_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    const size_t objects = problem->object_count;
    const size_t edges = problem->edge_first[objects];
    struct graph graph = {
        .problem = problem,
        .first = malloc((objects + 1) * sizeof(idx_t)),
        .to = malloc((edges + 1) * sizeof(idx_t)),
        .weights = malloc(objects * sizeof(idx_t)),
        .edge_weights = malloc((edges + 1) * sizeof(idx_t)),
        .part = malloc(objects * sizeof(idx_t)),
        .shares = malloc(problem->pe_count * sizeof(real_t)),
        .pes = malloc(problem->pe_count * sizeof(uint32_t)),
        .order = malloc(objects * sizeof(uint32_t)),
        .numbers = malloc(objects * sizeof(uint32_t)),
        .work = malloc(objects * sizeof(float)),
        .bytes = malloc((edges + 1) * sizeof(float)),
    };
    chare_status status = metis_open(&graph.metis, text);

    if (status != CHARE_OK) {
        goto free_all;
    }
    status = CHARE_ERR_NO_MEMORY;
    if (objects > COUNT_MAX || edges > COUNT_MAX) {
        snprintf(text, CHI_LB_TEXT_BYTES, "too many objects for METIS");
        status = CHARE_ERR_TOO_LARGE;
    } else if (graph.first != NULL && graph.to != NULL &&
               graph.weights != NULL && graph.edge_weights != NULL &&
               graph.part != NULL && graph.shares != NULL &&
               graph.pes != NULL && graph.order != NULL &&
               graph.numbers != NULL && graph.work != NULL &&
               graph.bytes != NULL) {
        status = partition(&graph, to, text);
    }
    dlclose(graph.metis.library);
free_all:
    free(graph.first);
    free(graph.to);
    free(graph.weights);
    free(graph.edge_weights);
    free(graph.part);
    free(graph.shares);
    free(graph.pes);
    free(graph.order);
    free(graph.numbers);
    free(graph.work);
    free(graph.bytes);
    return status;
}

#else

static chare_status
graph_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    (void)problem;
    (void)to;
    snprintf(text, CHI_LB_TEXT_BYTES,
             "this build has no METIS: install libmetis-dev (or the like) and "
             "configure again");
    return CHARE_ERR_NOT_FOUND;
}

#endif

const struct chi_lb_strategy chi_lb_graph = {
    .name = "graph",
    .help = "few bytes between PEs: partition by METIS",
    .needs_edges = true,
    .decide = graph_decide,
};
