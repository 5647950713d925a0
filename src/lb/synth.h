/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_SYNTH_H
#define CHI_LB_SYNTH_H

/*
 * synth.h - made-up loads, for tests, what-if and the bench.
 *
 * Objects lie on a line, a square or a cube; each PE has a block of it, by
 * recursive halving, as a program that distributes space does. Mean work is 1
 * or so.
 */

#include "lb/problem.h"

enum chi_synth_shape {
    CHI_SYNTH_UNIFORM,   /* work by chance in [0, 2) */
    CHI_SYNTH_LOGNORMAL, /* exp(0.5 * normal) */
    CHI_SYNTH_ONEHOT,    /* [0.5, 1.5); the objects of one PE 20 times that */
    CHI_SYNTH_CLUSTERED, /* 0.1, and around a few places up to 60 times more */
    CHI_SYNTH_COUNT,
};

extern const char *const chi_synth_names[CHI_SYNTH_COUNT];

/* False: no such shape. */
bool chi_synth_find(const char *name, enum chi_synth_shape *shape_out);

/*
 * Fill in 'out' with allocated arrays of 'objects' objects on 'pes' PEs: work,
 * from, bytes, coordinates (2-D), and edges between neighbours. The same seed
 * gives the same. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_synth_make(enum chi_synth_shape shape,
                                             size_t objects, uint32_t pes,
                                             uint64_t seed,
                                             struct chi_lb_problem *out);
/* Free the arrays of a problem that were allocated one by one. */
void chi_lb_problem_free(struct chi_lb_problem *problem);

#endif /* CHI_LB_SYNTH_H */
