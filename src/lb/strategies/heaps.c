/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heaps.c - radix sort of objects, 4-ary heaps of PEs.
 *
 * Sorting: three passes over 11 bits each of the floats, which for numbers not
 * below 0 are ordered as their bits are (Knuth, TAOCP 5.2.5). Heaps with four
 * children: half as many levels, and the children of a PE share a cache line
 * (LaMarca and Ladner, "The influence of caches on the performance of heaps",
 * ACM JEA 1, 1996). Few objects are sorted by insertion, for the digits alone
 * cost as much as some hundreds of them.
 */
#include "config.h"

#include "lb/strategies/heaps.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
    PASSES = 3,
    FEW = 128, /* objects that are sorted by insertion */
    HEAP_ALIGN = 64,
    HEAP_PAD = 8, /* numbers of a cache line */
};

/* ---- objects by falling work */

static uint64_t
sort_key(float work, uint32_t object)
{
    uint32_t bits;

    memcpy(&bits, &work, sizeof(bits));
    return (uint64_t)~bits << 32 | object; /* inverted: the largest first */
}

static void
sort_pass(const uint64_t *in, uint64_t *out, size_t count, size_t *starts,
          unsigned shift)
{
    size_t at = 0;

    for (size_t digit = 0; digit < DIGITS; digit++) {
        const size_t here = starts[digit];

        starts[digit] = at;
        at += here;
    }
    for (size_t i = 0; i < count; i++) {
        out[starts[in[i] >> shift & (DIGITS - 1)]++] = in[i];
    }
}

/* Sorted keys are in 'b' afterwards. */
static void
sort_keys(uint64_t *a, uint64_t *b, size_t count, size_t (*counts)[DIGITS])
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned pass = 0; pass < PASSES; pass++) {
            counts[pass][a[i] >> (32 + pass * DIGIT_BITS) & (DIGITS - 1)]++;
        }
    }
    for (unsigned pass = 0; pass < PASSES; pass++) {
        uint64_t *t = a;

        sort_pass(a, b, count, counts[pass], 32 + pass * DIGIT_BITS);
        a = b;
        b = t;
    }
}

/* The same for few; where they are equal, their order stays. */
static void
sort_few(const uint64_t *a, uint64_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;

        while (at > 0 && b[at - 1] >> 32 > a[i] >> 32) {
            b[at] = b[at - 1];
            at--;
        }
        b[at] = a[i];
    }
}

static float
work_of_key(uint64_t key)
{
    const uint32_t bits = ~(uint32_t)(key >> 32);
    float work;

    memcpy(&work, &bits, sizeof(work));
    return work;
}

static chare_status
sort_objects(const struct chi_lb_problem *problem, uint32_t *objects,
             size_t count, float *works)
{
    uint64_t *keys = malloc((2 * count + 1) * sizeof(*keys));
    size_t(*counts)[DIGITS] =
        count <= FEW ? NULL : calloc(PASSES, sizeof(*counts));
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (keys != NULL && (counts != NULL || count <= FEW)) {
        for (size_t i = 0; i < count; i++) {
            keys[i] = sort_key(problem->work[objects[i]], objects[i]);
        }
        if (count <= FEW) {
            sort_few(keys, keys + count, count);
        } else {
            sort_keys(keys, keys + count, count, counts);
        }
        for (size_t i = 0; i < count; i++) {
            objects[i] = (uint32_t)keys[count + i];
        }
        for (size_t i = 0; works != NULL && i < count; i++) {
            works[i] = work_of_key(keys[count + i]);
        }
        status = CHARE_OK;
    }
    free(counts);
    free(keys);
    return status;
}

chare_status
chi_lb_sort_some(const struct chi_lb_problem *problem, uint32_t *objects,
                 size_t count)
{
    return sort_objects(problem, objects, count, NULL);
}

chare_status
chi_lb_sort(const struct chi_lb_problem *problem, uint32_t *order,
            float *works, size_t *count_out)
{
    size_t count = 0;

    for (size_t i = 0; i < problem->object_count; i++) {
        if (chi_lb_movable(problem, i)) {
            order[count++] = (uint32_t)i;
        }
    }
    *count_out = count;
    return sort_objects(problem, order, count, works);
}

/* ---- PEs by rising time */

static uint64_t
time_units(double units)
{
    return units < (double)CHI_HEAPS_TIME_MAX ? (uint64_t)units
                                              : CHI_HEAPS_TIME_MAX;
}

/* Let keys[at] sink to where it belongs. */
static void
sink(uint64_t *keys, uint32_t count, uint32_t at, uint64_t key)
{
    for (;;) {
        const uint32_t child = 4 * at + 1;
        uint32_t least = child;

        if (child + 3 < count) { /* all four, without branches */
            const uint32_t a = child + (keys[child + 1] < keys[child]);
            const uint32_t b = child + 2 + (keys[child + 3] < keys[child + 2]);

            least = keys[b] < keys[a] ? b : a;
        } else if (child >= count) {
            break;
        } else {
            for (uint32_t i = child + 1; i < count; i++) {
                least = keys[i] < keys[least] ? i : least;
            }
        }
        if (key <= keys[least]) {
            break;
        }
        keys[at] = keys[least];
        at = least;
    }
    keys[at] = key;
}

void
chi_heaps_mend(struct chi_heap *heap)
{
    for (uint32_t at = heap->count / 4 + 1; at-- > 0;) {
        if (at < heap->count) {
            sink(heap->keys, heap->count, at, heap->keys[at]);
        }
    }
}

/* Which heap a speed belongs to: exact when there are few speeds. */
struct speed_classes {
    float speeds[CHI_HEAPS_MAX];
    uint32_t count;
    bool exact;
    float least;
    float ratio; /* of one class to the next, when not exact */
};

static bool
classes_add(struct speed_classes *classes, float speed)
{
    for (uint32_t i = 0; i < classes->count; i++) {
        if (classes->speeds[i] == speed) {
            return true;
        }
    }
    if (classes->count == CHI_HEAPS_MAX) {
        return false;
    }
    classes->speeds[classes->count++] = speed;
    return true;
}

static void
classes_find(struct speed_classes *classes,
             const struct chi_lb_problem *problem)
{
    float least = 0;
    float most = 0;

    *classes = (struct speed_classes){.exact = true};
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const float speed = chi_lb_speed(problem, pe);

        if (!(speed > 0)) {
            continue;
        }
        least = least > 0 && least < speed ? least : speed;
        most = most > speed ? most : speed;
        classes->exact = classes->exact && classes_add(classes, speed);
    }
    if (!classes->exact) {
        classes->count = CHI_HEAPS_MAX;
        classes->least = least;
        classes->ratio = (most - least) / CHI_HEAPS_MAX;
    }
}

static uint32_t
class_of(const struct speed_classes *classes, float speed)
{
    uint32_t i = 0;

    if (classes->exact) {
        while (classes->speeds[i] != speed) {
            i++;
        }
        return i;
    }
    i = (uint32_t)((speed - classes->least) / classes->ratio);
    return i < CHI_HEAPS_MAX ? i : CHI_HEAPS_MAX - 1;
}

/* So that the four children of a PE lie in one cache line, keys[1] does. */
static uint64_t *
heap_start(uint64_t *keys)
{
    const uintptr_t at = (uintptr_t)(keys + 1);
    const uintptr_t aligned =
        (at + HEAP_ALIGN - 1) & ~(uintptr_t)(HEAP_ALIGN - 1);

    return keys + (aligned - at) / sizeof(*keys);
}

static void
heaps_fill(struct chi_heaps *heaps, const struct chi_lb_problem *problem,
           const double *times, const struct speed_classes *classes)
{
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const float speed = chi_lb_speed(problem, pe);
        struct chi_heap *heap;

        if (!(speed > 0)) {
            continue;
        }
        heap = &heaps->heaps[class_of(classes, speed)];
        heap->keys[heap->count++] = time_units(times[pe] * heaps->per_second)
                                        << CHI_HEAPS_PE_BITS |
                                    pe;
    }
    for (uint32_t i = 0; i < heaps->count; i++) {
        chi_heaps_mend(&heaps->heaps[i]);
    }
}

chare_status
chi_heaps_init(struct chi_heaps *heaps, const struct chi_lb_problem *problem,
               const double *times, double bound)
{
    struct speed_classes classes;
    uint32_t counts[CHI_HEAPS_MAX] = {0};
    uint64_t *keys;

    *heaps = (struct chi_heaps){0};
    classes_find(&classes, problem);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        if (chi_lb_speed(problem, pe) > 0) {
            counts[class_of(&classes, chi_lb_speed(problem, pe))]++;
        }
    }
    keys = malloc((problem->pe_count + 2 * HEAP_PAD * CHI_HEAPS_MAX) *
                  sizeof(*keys));
    if (keys == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    heaps->keys = keys;
    heaps->count = classes.count;
    heaps->speeds = problem->speeds;
    /* A time eight times the bound still has a number of its own. */
    heaps->per_second =
        bound > 0 ? (double)(CHI_HEAPS_TIME_MAX >> 3) / bound : 1;
    for (uint32_t i = 0; i < classes.count; i++) {
        heaps->heaps[i].keys = heap_start(keys);
        heaps->heaps[i].per_work =
            classes.exact ? heaps->per_second / (double)classes.speeds[i] : 0;
        keys = heaps->heaps[i].keys + counts[i];
    }
    heaps_fill(heaps, problem, times, &classes);
    return CHARE_OK;
}

uint64_t
chi_heaps_time(const struct chi_heap *heap, uint64_t key, float work)
{
    const uint64_t time = (key >> CHI_HEAPS_PE_BITS) +
                          time_units((double)work * heap->per_work) + 1;

    return time < CHI_HEAPS_TIME_MAX ? time : CHI_HEAPS_TIME_MAX;
}

void
chi_heaps_fini(struct chi_heaps *heaps)
{
    free(heaps->keys);
}

static uint64_t
time_with(const struct chi_heaps *heaps, const struct chi_heap *heap,
          float work)
{
    const uint64_t pe =
        heap->keys[0] & ((UINT64_C(1) << CHI_HEAPS_PE_BITS) - 1);
    const double per_work =
        heap->per_work > 0 ? heap->per_work
                           : heaps->per_second / (double)heaps->speeds[pe];
    const uint64_t time = (heap->keys[0] >> CHI_HEAPS_PE_BITS) +
                          time_units((double)work * per_work) + 1;

    return time < CHI_HEAPS_TIME_MAX ? time : CHI_HEAPS_TIME_MAX;
}

uint32_t
chi_heaps_best(const struct chi_heaps *heaps, float work, uint64_t *time_out)
{
    uint64_t least = UINT64_MAX;
    uint32_t best = 0;

    for (uint32_t i = 0; i < heaps->count; i++) {
        if (heaps->heaps[i].count > 0) {
            const uint64_t time = time_with(heaps, &heaps->heaps[i], work);

            if (time < least) {
                least = time;
                best = i;
            }
        }
    }
    *time_out = least;
    return best;
}

uint32_t
chi_heaps_give(struct chi_heaps *heaps, uint32_t heap, uint64_t time)
{
    struct chi_heap *h = &heaps->heaps[heap];
    const uint64_t pe = h->keys[0] & ((UINT64_C(1) << CHI_HEAPS_PE_BITS) - 1);

    sink(h->keys, h->count, 0, time << CHI_HEAPS_PE_BITS | pe);
    return (uint32_t)pe;
}
