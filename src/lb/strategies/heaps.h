/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_HEAPS_H
#define CHI_LB_STRATEGIES_HEAPS_H

/*
 * heaps.h - objects by falling work, and PEs by rising time.
 *
 * Times are whole numbers of a unit that is a tiny part of the lower bound, so
 * that sums are exact and the same on every machine. A PE in a heap is one
 * 64-bit number, its time above its rank: comparing is one instruction, and
 * equal times are in the order of ranks.
 *
 * PEs of about the same speed share a heap: the PE that would end first with
 * one more object is the top of some heap.
 */

#include <assert.h>

#include "lb/problem.h"

enum {
    CHI_HEAPS_MAX = 32,
    CHI_HEAPS_PE_BITS = 24,
    CHI_HEAPS_TIME_BITS = 40,
};

static_assert(1 << CHI_HEAPS_PE_BITS >= CHARE_PES_MAX, "a rank fits");

#define CHI_HEAPS_TIME_MAX ((UINT64_C(1) << CHI_HEAPS_TIME_BITS) - 1)

struct chi_heap {
    uint64_t *keys; /* 4-ary, the least first */
    uint32_t count;
    double per_work; /* units of time for 1 of work; 0: see speeds */
};

struct chi_heaps {
    struct chi_heap heaps[CHI_HEAPS_MAX];
    uint32_t count;
    uint64_t *keys;      /* of all heaps */
    const float *speeds; /* of PEs, where those of a heap differ */
    double per_second;
};

/*
 * The movable objects by falling work, those of equal work in their order:
 * radix sort of the bits of their floats. 'order' and 'works', which may be
 * NULL, have room for all; *count_out: how many there are.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_lb_sort(const struct chi_lb_problem *problem,
                                          uint32_t *order, float *works,
                                          size_t *count_out);

/* The same for 'count' chosen objects, in place. */
CHARE_MUST_CHECK chare_status chi_lb_sort_some(
    const struct chi_lb_problem *problem, uint32_t *objects, size_t count);

/*
 * All PEs that have a speed, with the seconds in 'times'; 'bound' is the lower
 * bound, for the unit. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status
chi_heaps_init(struct chi_heaps *heaps, const struct chi_lb_problem *problem,
               const double *times, double bound);
void chi_heaps_fini(struct chi_heaps *heaps);

/* Keys were changed in place: make it a heap again. */
void chi_heaps_mend(struct chi_heap *heap);

/* When a PE of this heap, by its key, would end with so much more; the speeds
 * of its PEs are alike. */
uint64_t chi_heaps_time(const struct chi_heap *heap, uint64_t key, float work);

/* The heap whose top would be the first to end with so much more work, and
 * when that is, in units. */
uint32_t chi_heaps_best(const struct chi_heaps *heaps, float work,
                        uint64_t *time_out);

/* The rank at the top of a heap, whose time becomes 'time'. */
uint32_t chi_heaps_give(struct chi_heaps *heaps, uint32_t heap, uint64_t time);

#endif /* CHI_LB_STRATEGIES_HEAPS_H */
