/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bisect.c - recursive bisection of the objects' coordinates (M. J. Berger and
 * S. H. Bokhari, "A partitioning strategy for nonuniform problems on
 * multiprocessors", IEEE Trans. Computers C-36(5), 1987).
 *
 * The PEs are halved, and the objects along their longest dimension in
 * proportion to the speeds of the two halves: neighbours stay together.
 * Objects that cannot move, and background, count where they are.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "lb/strategies/strategy.h"

enum {
    DEPTH_MAX = 2 * 25, /* ranges that wait, for 2^24 PEs */
};

struct part {
    uint32_t pe_first;
    uint32_t pe_end;
    size_t first; /* of 'order' */
    size_t end;
};

struct bisect {
    const struct chi_lb_problem *problem;
    uint32_t *order;
    double *speeds_before; /* speed in time for work, of PEs below */
    double *busy_before;   /* work that PEs below have anyway */
    uint32_t *to;
    struct chi_prng prng;
};

static float
place_of(const struct bisect *bisect, uint32_t object, uint32_t dim)
{
    return bisect->problem
        ->coordinates[(size_t)object * bisect->problem->dims + dim];
}

static uint32_t
longest_dim(const struct bisect *bisect, const struct part *part)
{
    float best_length = -1;
    uint32_t best = 0;

    for (uint32_t dim = 0; dim < bisect->problem->dims; dim++) {
        float low = place_of(bisect, bisect->order[part->first], dim);
        float high = low;

        for (size_t i = part->first + 1; i < part->end; i++) {
            const float at = place_of(bisect, bisect->order[i], dim);

            low = at < low ? at : low;
            high = at > high ? at : high;
        }
        if (high - low > best_length) {
            best_length = high - low;
            best = dim;
        }
    }
    return best;
}

static bool
is_left(const struct bisect *bisect, uint32_t object, uint32_t dim,
        float pivot, uint32_t pivot_object)
{
    const float at = place_of(bisect, object, dim);

    return at < pivot || (at == pivot && object < pivot_object);
}

static double
work_of(const struct bisect *bisect, size_t first, size_t end)
{
    double work = 0;

    for (size_t i = first; i < end; i++) {
        work += (double)bisect->problem->work[bisect->order[i]];
    }
    return work;
}

/* Objects left of a random one of [first, end) first; returns where it is. */
static size_t
split_at_pivot(struct bisect *bisect, uint32_t dim, size_t first, size_t end)
{
    uint32_t *order = bisect->order;
    const size_t at =
        first + (size_t)chi_prng_below(&bisect->prng, end - first);
    const uint32_t object = order[at];
    const float pivot = place_of(bisect, object, dim);
    size_t middle = first;

    order[at] = order[end - 1];
    order[end - 1] = object;
    for (size_t i = first; i + 1 < end; i++) {
        const uint32_t other = order[i];

        if (is_left(bisect, other, dim, pivot, object)) {
            order[i] = order[middle];
            order[middle++] = other;
        }
    }
    order[end - 1] = order[middle];
    order[middle] = object;
    return middle;
}

/*
 * Order the objects of a part such that those before the returned place are
 * left of the others, and have about so much work: quickselect by weight.
 */
static size_t
split_objects(struct bisect *bisect, const struct part *part, double wanted)
{
    const uint32_t dim = longest_dim(bisect, part);
    size_t first = part->first;
    size_t end = part->end;

    while (end > first && wanted > 0) {
        const size_t middle = split_at_pivot(bisect, dim, first, end);
        const double left = work_of(bisect, first, middle);
        const double pivot =
            (double)bisect->problem->work[bisect->order[middle]];

        if (left >= wanted) {
            end = middle;
        } else if (left + pivot >= wanted) {
            /* The cut falls into the pivot: it goes where more of it is. */
            return 2 * (wanted - left) >= pivot ? middle + 1 : middle;
        } else {
            wanted -= left + pivot;
            first = middle + 1;
        }
    }
    return first;
}

static double
speeds_of(const struct bisect *bisect, uint32_t first, uint32_t end)
{
    return bisect->speeds_before[end] - bisect->speeds_before[first];
}

static double
busy_of(const struct bisect *bisect, uint32_t first, uint32_t end)
{
    return bisect->busy_before[end] - bisect->busy_before[first];
}

/* Where to halve the PEs of a part: near the middle, speed on both sides. */
static uint32_t
middle_pe(const struct bisect *bisect, const struct part *part)
{
    uint32_t middle = part->pe_first + (part->pe_end - part->pe_first) / 2;

    while (middle > part->pe_first + 1 &&
           !(speeds_of(bisect, part->pe_first, middle) > 0)) {
        middle--;
    }
    return middle;
}

static void
bisect_part(struct bisect *bisect, struct part part)
{
    struct part waiting[DEPTH_MAX];
    uint32_t count = 0;

    waiting[count++] = part;
    while (count > 0) {
        double work;
        double all;
        double share;
        uint32_t pe;
        size_t split;

        part = waiting[--count];
        if (part.end == part.first) {
            continue;
        }
        if (part.pe_end - part.pe_first == 1) {
            for (size_t i = part.first; i < part.end; i++) {
                bisect->to[bisect->order[i]] = part.pe_first;
            }
            continue;
        }
        pe = middle_pe(bisect, &part);
        work = work_of(bisect, part.first, part.end);
        all = work + busy_of(bisect, part.pe_first, part.pe_end);
        share = speeds_of(bisect, part.pe_first, pe) /
                speeds_of(bisect, part.pe_first, part.pe_end);
        share = all * share - busy_of(bisect, part.pe_first, pe);
        if (!(speeds_of(bisect, pe, part.pe_end) > 0)) {
            split = part.end;
        } else if (!(speeds_of(bisect, part.pe_first, pe) > 0) || share <= 0) {
            split = part.first;
        } else if (share >= work) {
            split = part.end;
        } else {
            split = split_objects(bisect, &part, share);
        }
        /* The larger half waits, so that few do. */
        waiting[count++] = (struct part){pe, part.pe_end, split, part.end};
        waiting[count++] = (struct part){part.pe_first, pe, part.first, split};
    }
}

static void
sums_init(struct bisect *bisect)
{
    const struct chi_lb_problem *problem = bisect->problem;
    const uint32_t pes = problem->pe_count;

    bisect->speeds_before[0] = 0;
    memset(bisect->busy_before, 0, (pes + 1) * sizeof(double));
    for (uint32_t pe = 0; pe < pes; pe++) {
        const double speed = (double)chi_lb_speed(problem, pe);

        bisect->speeds_before[pe + 1] = bisect->speeds_before[pe] + speed;
        bisect->busy_before[pe + 1] =
            (double)chi_lb_background(problem, pe) * speed;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (!chi_lb_movable(problem, i)) {
            bisect->busy_before[problem->from[i] + 1] +=
                (double)problem->work[i];
        }
    }
    for (uint32_t pe = 0; pe < pes; pe++) {
        bisect->busy_before[pe + 1] += bisect->busy_before[pe];
    }
}

static chare_status
bisect_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    const size_t pes = problem->pe_count;
    struct bisect bisect = {
        .problem = problem,
        .order = malloc(problem->object_count * sizeof(uint32_t)),
        .speeds_before = malloc((pes + 1) * sizeof(double)),
        .busy_before = malloc((pes + 1) * sizeof(double)),
        .to = to,
    };
    chare_status status = CHARE_ERR_NO_MEMORY;
    size_t count = 0;

    (void)text;
    if (bisect.order != NULL && bisect.speeds_before != NULL &&
        bisect.busy_before != NULL) {
        for (size_t i = 0; i < problem->object_count; i++) {
            if (chi_lb_movable(problem, i)) {
                bisect.order[count++] = (uint32_t)i;
            }
        }
        chi_prng_init(&bisect.prng, problem->seed);
        sums_init(&bisect);
        bisect_part(&bisect, (struct part){0, problem->pe_count, 0, count});
        status = CHARE_OK;
    }
    free(bisect.order);
    free(bisect.speeds_before);
    free(bisect.busy_before);
    return status;
}

const struct chi_lb_strategy chi_lb_bisect = {
    .name = "bisect",
    .help = "halves space again and again: neighbours stay together",
    .needs_places = true,
    .decide = bisect_decide,
};
