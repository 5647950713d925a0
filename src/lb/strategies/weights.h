/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_WEIGHTS_H
#define CHI_LB_STRATEGIES_WEIGHTS_H

/*
 * weights.h - amounts as weights of a library that counts in 32 bits.
 */

#include <math.h>
#include <stddef.h>

enum {
    CHI_LB_WEIGHT_MAX = 10000,    /* of the largest */
    CHI_LB_WEIGHTS_MAX = 1 << 30, /* of all, as long as none is rounded up */
};

/* What amounts are multiplied with, so that the largest is at most
 * CHI_LB_WEIGHT_MAX, and their sum at most 'all_max'. */
static inline double
chi_lb_weight_scale(const float *amounts, size_t count, double all_max)
{
    double all = 0;
    double largest = 0;

    for (size_t i = 0; i < count; i++) {
        all += (double)amounts[i];
        largest = fmax(largest, (double)amounts[i]);
    }
    return largest > 0 ? fmin(CHI_LB_WEIGHT_MAX / largest, all_max / all) : 0;
}

#endif /* CHI_LB_STRATEGIES_WEIGHTS_H */
