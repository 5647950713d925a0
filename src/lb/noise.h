/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_NOISE_H
#define CHI_LB_NOISE_H

/*
 * noise.h - by how much PEs are fuller or emptier than was expected.
 *
 * What was measured once is partly chance. Who moves chares because of it
 * makes a balanced program worse, and pays for that: what is won has to be
 * more than what loads differ by from one session to the next anyway.
 *
 * Invariants:
 *  N1  the times of PEs, over their mean, are expected to be next time what
 *      they are by the decision; the surprise is the largest difference, and
 *      the noise an average of surprises, in which the last counts half; a
 *      look tells of the fullest PE only, and what it saw is expected then: so
 *      what stays as it is ceases to count as chance;
 *  N2  a gain of more than CHI_LB_NOISE_MAX of the time is worth it always,
 *      but for N5;
 *  N3  costs that chares say are no chance: then there is no noise, nor in the
 *      first sessions, in which a program starts;
 *  N4  what was expected counts only for the session after it: not when that
 *      was decided elsewhere, or by another strategy;
 *  N5  who balances unasked doubts more: at first, what is not more than
 *      CHI_LB_DOUBT_MAX of the time may be chance, then half of that with each
 *      measurement that can be compared; and what has come up only now, and is
 *      more than usual, waits until the next one confirms it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lb/problem.h"

#define CHI_LB_NOISE_MAX 0.1
#define CHI_LB_DOUBT_MAX 0.25

struct chi_lb_noise {
    double *expected;  /* the time of each PE over the mean; or NULL */
    double fullest;    /* of them, or seen since; 0: unknown */
    uint32_t compared; /* measurements, with what was expected */
    double level;      /* of surprises */
    double sudden;     /* the last surprise, if it was larger than usual */
    bool said;         /* N3 */
    bool seen;         /* by a look, what a session that follows measures */
};

void chi_lb_noise_fini(struct chi_lb_noise *noise);

/* A session: what was measured; 'measured': not all chares say what they cost.
 */
void chi_lb_noise_look(struct chi_lb_noise *noise,
                       const struct chi_lb_problem *problem, bool measured);

/* A look, which a session of what it saw may follow: the fullest PE has so
 * many times the mean. */
void chi_lb_noise_see(struct chi_lb_noise *noise, double fullest);

/* All chares say what they cost (N3). */
void chi_lb_noise_said(struct chi_lb_noise *noise);

/* Nothing is expected any more (N4). */
void chi_lb_noise_forget(struct chi_lb_noise *noise);

/* What was decided. Without memory nothing is expected. */
void chi_lb_noise_expect(struct chi_lb_noise *noise,
                         const struct chi_lb_problem *problem,
                         const uint32_t *to);

/* The part of the fullest PE's time that has to be won at least. */
double chi_lb_noise_least(const struct chi_lb_noise *noise);

/* The same, if nobody has asked for a balance (N5). */
double chi_lb_noise_doubt(const struct chi_lb_noise *noise);

#endif /* CHI_LB_NOISE_H */
