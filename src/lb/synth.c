/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synth.c - made-up loads.
 */
#include "config.h"

#include "lb/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

enum {
    CLUSTERS = 5,
    DIMS = 2,
    NEIGHBOURS = 4,
    HOT_TIMES = 20,
    CLUSTER_TIMES = 60,
};

const char *const chi_synth_names[CHI_SYNTH_COUNT] = {
    "uniform",
    "lognormal",
    "onehot",
    "clustered",
};

bool
chi_synth_find(const char *name, enum chi_synth_shape *shape_out)
{
    for (int i = 0; i < CHI_SYNTH_COUNT; i++) {
        if (strcmp(name, chi_synth_names[i]) == 0) {
            *shape_out = (enum chi_synth_shape)i;
            return true;
        }
    }
    return false;
}

/* In [0, 1). */
static float
chance(struct chi_prng *prng)
{
    return (float)(chi_prng_next(prng) >> 40) / (float)(1 << 24);
}

static float
normal(struct chi_prng *prng)
{
    const float radius = sqrtf(-2 * logf(1 - chance(prng)));

    return radius * cosf(6.2831853f * chance(prng));
}

struct maker {
    struct chi_lb_problem *problem;
    enum chi_synth_shape shape;
    size_t width; /* of the square of objects */
    size_t height;
    float clusters[CLUSTERS][DIMS];
    struct chi_prng prng;
};

static float
cluster_work(const struct maker *maker, float x, float y)
{
    float work = 0.1f;

    for (int i = 0; i < CLUSTERS; i++) {
        const float dx = x - maker->clusters[i][0];
        const float dy = y - maker->clusters[i][1];

        work += 0.1f * CLUSTER_TIMES * expf(-(dx * dx + dy * dy) * 400);
    }
    return work;
}

static float
make_work(struct maker *maker, float x, float y, bool hot)
{
    switch (maker->shape) {
    case CHI_SYNTH_LOGNORMAL:
        return expf(0.5f * normal(&maker->prng));
    case CHI_SYNTH_ONEHOT:
        return (0.5f + chance(&maker->prng)) * (hot ? HOT_TIMES : 1);
    case CHI_SYNTH_CLUSTERED:
        return cluster_work(maker, x, y) *
               (0.75f + 0.5f * chance(&maker->prng));
    default:
        return 2 * chance(&maker->prng);
    }
}

/*
 * The PE whose block of the square holds (x, y): the PEs are halved, and the
 * longer side with them.
 */
static uint32_t
block_of(const struct maker *maker, double x, double y)
{
    uint32_t first = 0;
    uint32_t count = maker->problem->pe_count;
    double width = (double)maker->width;
    double height = (double)maker->height;

    while (count > 1) {
        const uint32_t left = count / 2;
        const double share = (double)left / (double)count;
        double *at = width >= height ? &x : &y;
        double *length = width >= height ? &width : &height;

        if (*at < *length * share) {
            *length *= share;
            count = left;
        } else {
            *at -= *length * share;
            *length *= 1 - share;
            first += left;
            count -= left;
        }
    }
    return first;
}

static void
fill_objects(struct maker *maker)
{
    struct chi_lb_problem *problem = maker->problem;
    float *work = (float *)(uintptr_t)problem->work;
    float *at = (float *)(uintptr_t)problem->coordinates;
    uint32_t *from = (uint32_t *)(uintptr_t)problem->from;
    uint64_t *bytes = (uint64_t *)(uintptr_t)problem->bytes;

    for (size_t i = 0; i < problem->object_count; i++) {
        const size_t column = i % maker->width;
        const size_t row = i / maker->width;
        const float x = (float)column / (float)maker->width;
        const float y = (float)row / (float)maker->height;

        from[i] = block_of(maker, (double)column + 0.5, (double)row + 0.5);
        work[i] = make_work(maker, x, y, from[i] == problem->pe_count / 2);
        at[DIMS * i] = x;
        at[DIMS * i + 1] = y;
        bytes[i] = 1024 + (chi_prng_next(&maker->prng) & 1023);
    }
}

static size_t
add_edge(const struct chi_lb_problem *problem, size_t at, size_t other)
{
    if (other >= problem->object_count) {
        return at;
    }
    ((uint32_t *)(uintptr_t)problem->edge_to)[at] = (uint32_t)other;
    ((float *)(uintptr_t)problem->edge_bytes)[at] = 1000;
    return at + 1;
}

static void
fill_edges(struct maker *maker)
{
    const struct chi_lb_problem *problem = maker->problem;
    size_t *first = (size_t *)(uintptr_t)problem->edge_first;
    size_t at = 0;

    for (size_t i = 0; i < problem->object_count; i++) {
        const size_t column = i % maker->width;

        first[i] = at;
        at = i >= maker->width ? add_edge(problem, at, i - maker->width) : at;
        at = column > 0 ? add_edge(problem, at, i - 1) : at;
        at = column + 1 < maker->width ? add_edge(problem, at, i + 1) : at;
        at = add_edge(problem, at, i + maker->width);
    }
    first[problem->object_count] = at;
}

chare_status
chi_synth_make(enum chi_synth_shape shape, size_t objects, uint32_t pes,
               uint64_t seed, struct chi_lb_problem *out)
{
    struct maker maker = {.problem = out, .shape = shape};

    *out = (struct chi_lb_problem){
        .object_count = objects,
        .pe_count = pes,
        .dims = DIMS,
        .work = malloc((objects + 1) * sizeof(float)),
        .from = malloc((objects + 1) * sizeof(uint32_t)),
        .bytes = malloc((objects + 1) * sizeof(uint64_t)),
        .coordinates = malloc((objects + 1) * DIMS * sizeof(float)),
        .edge_first = malloc((objects + 1) * sizeof(size_t)),
        .edge_to = malloc((objects + 1) * NEIGHBOURS * sizeof(uint32_t)),
        .edge_bytes = malloc((objects + 1) * NEIGHBOURS * sizeof(float)),
        .seed = seed,
    };
    if (out->work == NULL || out->from == NULL || out->bytes == NULL ||
        out->coordinates == NULL || out->edge_first == NULL ||
        out->edge_to == NULL || out->edge_bytes == NULL) {
        chi_lb_problem_free(out);
        return CHARE_ERR_NO_MEMORY;
    }
    chi_prng_init(&maker.prng, seed);
    maker.width = (size_t)ceil(sqrt((double)objects));
    maker.width = maker.width > 0 ? maker.width : 1;
    maker.height = (objects + maker.width - 1) / maker.width;
    for (int i = 0; i < CLUSTERS; i++) {
        maker.clusters[i][0] = chance(&maker.prng);
        maker.clusters[i][1] = chance(&maker.prng);
    }
    fill_objects(&maker);
    fill_edges(&maker);
    return CHARE_OK;
}

void
chi_lb_problem_free(struct chi_lb_problem *problem)
{
    free((void *)(uintptr_t)problem->work);
    free((void *)(uintptr_t)problem->from);
    free((void *)(uintptr_t)problem->bytes);
    free((void *)(uintptr_t)problem->coordinates);
    free((void *)(uintptr_t)problem->fixed);
    free((void *)(uintptr_t)problem->speeds);
    free((void *)(uintptr_t)problem->background);
    free((void *)(uintptr_t)problem->nodes);
    free((void *)(uintptr_t)problem->spots);
    free((void *)(uintptr_t)problem->edge_first);
    free((void *)(uintptr_t)problem->edge_to);
    free((void *)(uintptr_t)problem->edge_bytes);
    free((void *)(uintptr_t)problem->edge_messages);
    *problem = (struct chi_lb_problem){0};
}
