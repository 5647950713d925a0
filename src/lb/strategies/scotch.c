/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scotch.c - the graph of who talks to whom is mapped onto the machine, by
 * Scotch (F. Pellegrini, "Static mapping by dual recursive bipartitioning of
 * process and architecture graphs", SHPCC 1994): what talks much is put on
 * near PEs, not only on the same.
 *
 * Where all PEs are of one speed, and all switches, nodes, NUMA nodes and
 * caches of a level have as many, the machine is a tree of them (spots.h);
 * else all PEs are as near, and weigh what their speeds say. Parts are
 * exchanged at the end where that wins (arrange.c).
 *
 * The library is loaded by who asks. Its header is not needed: its objects
 * are opaque, and it tells how long its numbers are. Its random numbers are
 * its own and are set back each time (B1); since version 7 it has threads too,
 * and a context to do without.
 */
#include "config.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lb/spots.h"
#include "lb/strategies/arrange.h"
#include "lb/strategies/strategy.h"
#include "lb/strategies/weights.h"

enum {
    HOPS_MAX = 32, /* no two PEs are as far; it sums up weights times hops */
    EDGES_MAX = CHI_LB_WEIGHTS_MAX / HOPS_MAX, /* and of their weights, to
                                                  each of which 1 is added */
    OBJECTS_MAX = INT32_MAX - CHI_LB_WEIGHTS_MAX,
    LEVELS_MAX = CHI_LB_PATH_LEVELS + 1, /* the last: PEs */
    DETERMINISTIC = 0,                   /* SCOTCH_OPTIONNUMDETERMINISTIC */
};

static const char *const libraries[] = {
    "libscotch-7.0.so",
    "libscotch.so.7.0",
    "libscotch-6.1.so",
    "libscotch.so",
};

static const char *const error_libraries[] = {
    "libscotcherr-7.0.so",
    "libscotcherr.so.7.0",
    "libscotcherr-6.1.so",
    "libscotcherr.so",
};

struct scotch {
    void *errors;
    void *library;
    int (*number_bytes)(void);
    void (*seed)(int);
    void (*reset)(void);
    void *(*graph_alloc)(void);
    int (*graph_init)(void *);
    int (*graph_build)(void *, int, int, const int *, const int *, const int *,
                       const int *, int, const int *, const int *);
    int (*graph_map)(void *, const void *, const void *, int *);
    void (*graph_exit)(void *);
    void *(*arch_alloc)(void);
    int (*arch_init)(void *);
    int (*arch_tree)(void *, int, const int *, const int *);
    int (*arch_weights)(void *, int, const int *);
    void (*arch_exit)(void *);
    void *(*strategy_alloc)(void);
    int (*strategy_init)(void *);
    int (*strategy_build)(void *, int, int, double);
    void (*strategy_exit)(void *);
    void (*mem_free)(void *);
    /* Of version 7; NULL in older ones. */
    void *(*context_alloc)(void);
    int (*context_init)(void *);
    int (*context_set)(void *, int, int);
    int (*context_threads)(void *, int, const int *);
    void (*context_seed)(void *, int);
    void (*context_reset)(void *);
    int (*context_bind)(void *, const void *, void *);
    void (*context_exit)(void *);
};

struct function {
    void *where;
    const char *name;
};

struct mapping {
    struct scotch scotch;
    const struct chi_lb_problem *problem;
    int *first;
    int *to;
    int *weights;
    int *edge_weights;
    int *part;
    int *pe_weights;
    uint32_t *pes; /* those with a speed, in the order of their paths */
    uint32_t pe_count;
};

/* The machine as a regular tree, from the root. */
struct tree {
    int levels; /* 0: it is none */
    int sizes[LEVELS_MAX];
    int costs[LEVELS_MAX]; /* two PEs are as far as the sum from here on */
};

/* ---- the library */

static void *
open_one_of(const char *const *names, size_t count, int how)
{
    void *library = NULL;

    for (size_t i = 0; i < count && library == NULL; i++) {
        library = dlopen(names[i], RTLD_NOW | how);
    }
    return library;
}

static void
scotch_close(struct scotch *scotch)
{
    if (scotch->library != NULL) {
        dlclose(scotch->library);
    }
    if (scotch->errors != NULL) {
        dlclose(scotch->errors);
    }
}

static bool
functions_find(void *library, const struct function *functions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *function = dlsym(library, functions[i].name);

        if (function == NULL) {
            return false;
        }
        *(void **)functions[i].where = function;
    }
    return true;
}

static bool
scotch_find(struct scotch *scotch)
{
    const struct function contexts[] = {
        {&scotch->context_init, "SCOTCH_contextInit"},
        {&scotch->context_set, "SCOTCH_contextOptionSetNum"},
        {&scotch->context_threads, "SCOTCH_contextThreadSpawn"},
        {&scotch->context_seed, "SCOTCH_contextRandomSeed"},
        {&scotch->context_reset, "SCOTCH_contextRandomReset"},
        {&scotch->context_bind, "SCOTCH_contextBindGraph"},
        {&scotch->context_exit, "SCOTCH_contextExit"},
        {&scotch->context_alloc, "SCOTCH_contextAlloc"}, /* the last */
    };
    const struct function functions[] = {
        {&scotch->number_bytes, "SCOTCH_numSizeof"},
        {&scotch->seed, "SCOTCH_randomSeed"},
        {&scotch->reset, "SCOTCH_randomReset"},
        {&scotch->graph_alloc, "SCOTCH_graphAlloc"},
        {&scotch->graph_init, "SCOTCH_graphInit"},
        {&scotch->graph_build, "SCOTCH_graphBuild"},
        {&scotch->graph_map, "SCOTCH_graphMap"},
        {&scotch->graph_exit, "SCOTCH_graphExit"},
        {&scotch->arch_alloc, "SCOTCH_archAlloc"},
        {&scotch->arch_init, "SCOTCH_archInit"},
        {&scotch->arch_tree, "SCOTCH_archTleaf"},
        {&scotch->arch_weights, "SCOTCH_archCmpltw"},
        {&scotch->arch_exit, "SCOTCH_archExit"},
        {&scotch->strategy_alloc, "SCOTCH_stratAlloc"},
        {&scotch->strategy_init, "SCOTCH_stratInit"},
        {&scotch->strategy_build, "SCOTCH_stratGraphMapBuild"},
        {&scotch->strategy_exit, "SCOTCH_stratExit"},
        {&scotch->mem_free, "SCOTCH_memFree"},
    };

    (void)functions_find(scotch->library, contexts,
                         sizeof(contexts) / sizeof(contexts[0]));
    return functions_find(scotch->library, functions,
                          sizeof(functions) / sizeof(functions[0])) &&
           scotch->number_bytes() == (int)sizeof(int);
}

static chare_status
scotch_open(struct scotch *scotch, char *text)
{
    /* It wants a function of the other library, without saying so. */
    scotch->errors =
        open_one_of(error_libraries, sizeof(error_libraries) / sizeof(char *),
                    RTLD_GLOBAL);
    scotch->library =
        open_one_of(libraries, sizeof(libraries) / sizeof(char *), RTLD_LOCAL);
    if (scotch->library == NULL) {
        snprintf(text, CHI_LB_TEXT_BYTES,
                 "Scotch is not here: install libscotch (or the like)");
        return CHARE_ERR_NOT_FOUND;
    }
    if (!scotch_find(scotch)) {
        snprintf(text, CHI_LB_TEXT_BYTES,
                 "Scotch: it lacks a function, or its numbers have not %zu "
                 "bytes",
                 sizeof(int));
        return CHARE_ERR_NOT_FOUND;
    }
    return CHARE_OK;
}

/* ---- the graph */

static void
objects_init(struct mapping *mapping)
{
    const struct chi_lb_problem *problem = mapping->problem;
    const double scale = chi_lb_weight_scale(
        problem->work, problem->object_count, CHI_LB_WEIGHTS_MAX);

    for (size_t i = 0; i < problem->object_count; i++) {
        mapping->first[i] = (int)problem->edge_first[i];
        mapping->weights[i] = 1 + (int)((double)problem->work[i] * scale);
    }
    mapping->first[problem->object_count] =
        (int)problem->edge_first[problem->object_count];
}

static void
edges_init(struct mapping *mapping)
{
    const struct chi_lb_problem *problem = mapping->problem;
    const size_t edges = problem->edge_first[problem->object_count];
    const double scale =
        chi_lb_weight_scale(problem->edge_bytes, edges, EDGES_MAX);

    for (size_t e = 0; e < edges; e++) {
        mapping->to[e] = (int)problem->edge_to[e];
        mapping->edge_weights[e] =
            1 + (int)((double)problem->edge_bytes[e] * scale);
    }
}

/* ---- the machine */

static chare_status
pes_init(struct mapping *mapping)
{
    const struct chi_lb_problem *problem = mapping->problem;
    float fastest = 0;
    chare_status status;

    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        fastest = fmaxf(fastest, chi_lb_speed(problem, pe));
        if (chi_lb_speed(problem, pe) > 0) {
            mapping->pes[mapping->pe_count++] = pe;
        }
    }
    status = chi_lb_path_sort(problem, mapping->pes, mapping->pe_count);
    for (uint32_t i = 0; i < mapping->pe_count; i++) {
        mapping->pe_weights[i] =
            (int)ceilf(chi_lb_speed(problem, mapping->pes[i]) / fastest *
                       CHI_LB_WEIGHT_MAX);
    }
    return status;
}

/* Levels at which the paths of two PEs are the same, from the root. */
static uint32_t
levels_shared(const struct mapping *mapping, uint32_t a, uint32_t b)
{
    struct chi_lb_path x;
    struct chi_lb_path y;
    uint32_t level = 0;

    chi_lb_path(mapping->problem, mapping->pes[a], &x);
    chi_lb_path(mapping->problem, mapping->pes[b], &y);
    while (level < CHI_LB_PATH_LEVELS && x.names[level] == y.names[level]) {
        level++;
    }
    return level;
}

/* shared[i]: levels that PE i shares with the one before it. PEs of each group
 * of a level; 0: groups differ. */
static uint32_t
group_pes(const struct mapping *mapping, const uint8_t *shared, uint32_t level)
{
    uint32_t each = 1;

    while (each < mapping->pe_count && shared[each] > level) {
        each++;
    }
    for (uint32_t i = 1; i < mapping->pe_count; i++) {
        if ((shared[i] <= level) != (i % each == 0)) {
            return 0;
        }
    }
    return mapping->pe_count % each == 0 ? each : 0;
}

static void
tree_init(const struct mapping *mapping, const uint8_t *shared,
          struct tree *tree)
{
    const struct chi_lb_problem *problem = mapping->problem;
    uint32_t above = mapping->pe_count; /* PEs of a group one level up */
    uint32_t hops[LEVELS_MAX + 1] = {0};

    *tree = (struct tree){0};
    for (uint32_t level = 0; level <= CHI_LB_PATH_LEVELS; level++) {
        const uint32_t each =
            level < CHI_LB_PATH_LEVELS ? group_pes(mapping, shared, level) : 1;

        if (each == 0 || above % each != 0) {
            tree->levels = 0;
            return;
        }
        if (each < above) {
            hops[tree->levels] = chi_lb_path_hops(problem, level);
            tree->sizes[tree->levels++] = (int)(above / each);
            above = each;
        }
    }
    for (int level = 0; level < tree->levels; level++) {
        tree->costs[level] = (int)(hops[level] - hops[level + 1]);
    }
}

static bool
same_speeds(const struct mapping *mapping)
{
    for (uint32_t i = 1; i < mapping->pe_count; i++) {
        if (mapping->pe_weights[i] != mapping->pe_weights[0]) {
            return false;
        }
    }
    return true;
}

static int
machine_init(const struct mapping *mapping, void *arch)
{
    const struct scotch *scotch = &mapping->scotch;
    uint8_t *shared = calloc(mapping->pe_count, 1);
    struct tree tree = {0};

    if (shared == NULL) {
        return 1;
    }
    for (uint32_t i = 1; i < mapping->pe_count; i++) {
        shared[i] = (uint8_t)levels_shared(mapping, i - 1, i);
    }
    if (same_speeds(mapping)) {
        tree_init(mapping, shared, &tree);
    }
    free(shared);
    return tree.levels > 1
               ? scotch->arch_tree(arch, tree.levels, tree.sizes, tree.costs)
               : scotch->arch_weights(arch, (int)mapping->pe_count,
                                      mapping->pe_weights);
}

/* ---- mapping */

/* In one thread, and with the problem's own seed. */
static int
map_graph(struct mapping *mapping, void *graph, const void *arch,
          const void *strategy)
{
    const struct scotch *scotch = &mapping->scotch;
    const int seed = (int)(mapping->problem->seed & 0x7fffffff);
    void *context;
    void *bound;
    int result = 1;

    if (scotch->context_alloc == NULL) {
        scotch->seed(seed);
        scotch->reset();
        return scotch->graph_map(graph, arch, strategy, mapping->part);
    }
    context = scotch->context_alloc();
    bound = scotch->graph_alloc();
    if (context != NULL && bound != NULL &&
        scotch->context_init(context) == 0) {
        scotch->context_seed(context, seed);
        scotch->context_reset(context);
        if (scotch->context_set(context, DETERMINISTIC, 1) == 0 &&
            scotch->context_threads(context, 1, NULL) == 0 &&
            scotch->graph_init(bound) == 0 &&
            scotch->context_bind(context, graph, bound) == 0) {
            result = scotch->graph_map(bound, arch, strategy, mapping->part);
            scotch->graph_exit(bound);
        }
        scotch->context_exit(context);
    }
    scotch->mem_free(bound);
    scotch->mem_free(context);
    return result;
}

static int
map(struct mapping *mapping, void *graph, void *arch, void *strategy)
{
    const struct scotch *scotch = &mapping->scotch;
    const struct chi_lb_problem *problem = mapping->problem;
    int result = scotch->graph_init(graph) | scotch->arch_init(arch) |
                 scotch->strategy_init(strategy);

    if (result == 0) {
        result = scotch->graph_build(graph, 0, (int)problem->object_count,
                                     mapping->first, mapping->first + 1,
                                     mapping->weights, NULL,
                                     mapping->first[problem->object_count],
                                     mapping->to, mapping->edge_weights);
    }
    if (result == 0) {
        result = machine_init(mapping, arch);
    }
    if (result == 0) {
        result = scotch->strategy_build(strategy, 0, (int)mapping->pe_count,
                                        (double)chi_lb_tolerance(problem));
    }
    if (result == 0) {
        result = map_graph(mapping, graph, arch, strategy);
    }
    scotch->strategy_exit(strategy);
    scotch->arch_exit(arch);
    scotch->graph_exit(graph);
    return result;
}

static chare_status
map_all(struct mapping *mapping, uint32_t *to, char *text)
{
    const struct scotch *scotch = &mapping->scotch;
    const struct chi_lb_problem *problem = mapping->problem;
    void *graph = scotch->graph_alloc();
    void *arch = scotch->arch_alloc();
    void *strategy = scotch->strategy_alloc();
    chare_status status;

    objects_init(mapping);
    edges_init(mapping);
    status = pes_init(mapping);
    if (graph == NULL || arch == NULL || strategy == NULL) {
        status = CHARE_ERR_NO_MEMORY;
    } else if (status == CHARE_OK && mapping->pe_count > 1) {
        status = map(mapping, graph, arch, strategy) == 0 ? CHARE_OK
                                                          : CHARE_ERR_SYSTEM;
        snprintf(text, CHI_LB_TEXT_BYTES, "Scotch failed");
    } /* else all is part 0 */
    for (size_t i = 0; status == CHARE_OK && i < problem->object_count; i++) {
        if (problem->fixed == NULL || problem->fixed[i] == 0) {
            to[i] = mapping->pes[mapping->part[i]];
        }
    }
    scotch->mem_free(graph);
    scotch->mem_free(arch);
    scotch->mem_free(strategy);
    return status;
}

static chare_status
scotch_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    const size_t objects = problem->object_count;
    const size_t edges = problem->edge_first[objects];
    struct mapping mapping = {
        .problem = problem,
        .first = malloc((objects + 1) * sizeof(int)),
        .to = malloc((edges + 1) * sizeof(int)),
        .weights = malloc((objects + 1) * sizeof(int)),
        .edge_weights = malloc((edges + 1) * sizeof(int)),
        .part = calloc(objects + 1, sizeof(int)),
        .pe_weights = malloc(problem->pe_count * sizeof(int)),
        .pes = malloc(problem->pe_count * sizeof(uint32_t)),
    };
    chare_status status = scotch_open(&mapping.scotch, text);
    uint64_t looks;

    if (status == CHARE_OK && (edges > EDGES_MAX || objects > OBJECTS_MAX)) {
        snprintf(text, CHI_LB_TEXT_BYTES, "too many objects for Scotch");
        status = CHARE_ERR_TOO_LARGE;
    }
    if (status == CHARE_OK) {
        const bool room = mapping.first != NULL && mapping.to != NULL &&
                          mapping.weights != NULL &&
                          mapping.edge_weights != NULL &&
                          mapping.part != NULL && mapping.pes != NULL &&
                          mapping.pe_weights != NULL;

        status = room ? map_all(&mapping, to, text) : CHARE_ERR_NO_MEMORY;
    }
    if (status == CHARE_OK) {
        status = chi_lb_arrange(problem, to, &looks);
    }
    scotch_close(&mapping.scotch);
    free(mapping.first);
    free(mapping.to);
    free(mapping.weights);
    free(mapping.edge_weights);
    free(mapping.part);
    free(mapping.pe_weights);
    free(mapping.pes);
    return status;
}

const struct chi_lb_strategy chi_lb_scotch = {
    .name = "scotch",
    .help = "few bytes over far ways: mapped onto nodes by Scotch",
    .needs_edges = true,
    .decide = scotch_decide,
};
