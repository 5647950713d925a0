/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * graph.c - partition of the graph of who talks to whom, by METIS (G. Karypis
 * and V. Kumar, "A fast and high quality multilevel scheme for partitioning
 * irregular graphs", SIAM J. Sci. Comput. 20(1), 1998).
 *
 * Parts are given to the PEs that already have most of them, so that what need
 * not move does not; then parts that talk to each other are brought near
 * (arrange.c). Objects that cannot move are taken back at the end.
 */
#include "config.h"

#include "lb/strategies/strategy.h"

#include <stdio.h>

#include "lb/strategies/arrange.h"
#include "lb/strategies/weights.h"

#if CHI_WITH_METIS

#include <dlfcn.h>
#include <math.h>
#include <metis.h>
#include <stdlib.h>

/* So many objects, or edges, that each weighs 1 more. */
enum {
    COUNT_MAX = INT32_MAX - CHI_LB_WEIGHTS_MAX,
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
    uint32_t *pes; /* those with a speed */
    uint32_t pe_count;
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

static void
weights_init(struct graph *graph)
{
    const struct chi_lb_problem *problem = graph->problem;
    const size_t edges = problem->edge_first[problem->object_count];
    const double of_work = chi_lb_weight_scale(
        problem->work, problem->object_count, CHI_LB_WEIGHTS_MAX);
    const double of_bytes =
        chi_lb_weight_scale(problem->edge_bytes, edges, CHI_LB_WEIGHTS_MAX);
    double speeds = 0;

    for (size_t i = 0; i < problem->object_count; i++) {
        graph->first[i] = (idx_t)problem->edge_first[i];
        graph->weights[i] =
            of_work > 0 ? (idx_t)ceil((double)problem->work[i] * of_work) : 1;
    }
    graph->first[problem->object_count] = (idx_t)edges;
    for (size_t e = 0; e < edges; e++) {
        graph->to[e] = (idx_t)problem->edge_to[e];
        graph->edge_weights[e] =
            1 + (idx_t)((double)problem->edge_bytes[e] * of_bytes);
    }
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        if (chi_lb_speed(problem, pe) > 0) {
            graph->pes[graph->pe_count++] = pe;
            speeds += (double)chi_lb_speed(problem, pe);
        }
    }
    for (uint32_t i = 0; i < graph->pe_count; i++) {
        graph->shares[i] =
            (real_t)((double)chi_lb_speed(problem, graph->pes[i]) / speeds);
    }
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

static chare_status
partition(struct graph *graph, uint32_t *to, char *text)
{
    idx_t objects = (idx_t)graph->problem->object_count;
    idx_t constraints = 1;
    idx_t parts;
    idx_t cut;
    idx_t options[METIS_NOPTIONS];
    int result = METIS_OK;
    uint64_t looks;
    chare_status status;

    weights_init(graph);
    parts = (idx_t)graph->pe_count;
    graph->metis.set_defaults(options);
    options[METIS_OPTION_SEED] = (idx_t)(graph->problem->seed & 0x7fffffff);
    options[METIS_OPTION_UFACTOR] =
        (idx_t)(1000 * (double)chi_lb_tolerance(graph->problem)) + 1;
    if (parts > 1) {
        result = graph->metis.partition(
            &objects, &constraints, graph->first, graph->to, graph->weights,
            NULL, graph->edge_weights, &parts, graph->shares, NULL, options,
            &cut, graph->part);
    } else {
        for (idx_t i = 0; i < objects; i++) {
            graph->part[i] = 0;
        }
    }
    if (result != METIS_OK) {
        snprintf(text, CHI_LB_TEXT_BYTES, "METIS failed, code %d", result);
        return CHARE_ERR_SYSTEM;
    }
    status = assign(graph, to);
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
               graph.pes != NULL) {
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
