/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_AUTO_H
#define CHI_LB_AUTO_H

/*
 * auto.h - whether it is worth it to balance, and by which strategy.
 *
 * It knows no job: it is told what was measured, and answers. All times are in
 * seconds, those of loads in seconds of one period of measuring.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "lb/noise.h"
#include "lb/problem.h"
#include "lb/strategies/strategy.h"

/* What the PEs of a subtree have, without saying what each chare costs; a wire
 * format. */
struct chi_lb_sum {
    double work;       /* of all chares, on a PE of speed 1 */
    double background; /* of all PEs, each times its speed */
    double speeds;     /* of all PEs together */
    double most;       /* of the fullest PE */
    double stuck;      /* the most that a PE cannot get rid of */
    double period;     /* that was measured; 0: nobody knows */
    double largest;    /* work of one chare */
    double fastest;    /* PE */
    uint64_t count;    /* of chares */

    /* Of PEs without chares, whose background counts if any chare elsewhere
     * was measured: only then is it comparable. */
    double empty_background;
    double empty_most;
    double empty_period;
    uint64_t measured; /* PEs whose chares do not all say what they cost */
};

struct chi_lb_auto {
    double horizon;   /* periods that a decision is thought to hold for */
    double decide_s;  /* deciding, as measured */
    double tell_s;    /* gathering loads and telling moves */
    double move_s;    /* a PE's for one chare that leaves or comes */
    double noise;     /* the part of the time that is chance; noise.h */
    double doubt;     /* and that has to be won at least */
    bool has_moved;   /* last time; then: */
    double before_s;  /* the time of the fullest PE */
    double promise_s; /* what it was to be afterwards */
};

/* What was decided. */
struct chi_lb_choice {
    const struct chi_lb_strategy *strategy; /* NULL: nothing is to move */
    double gain_s;                          /* over the horizon */
    double cost_s;
};

void chi_lb_auto_init(struct chi_lb_auto *self);

void chi_lb_sum_add(struct chi_lb_sum *sum, const struct chi_lb_sum *more);

/* All have been added: whether the background of PEs without chares counts. */
void chi_lb_sum_close(struct chi_lb_sum *sum);

/* The time of the fullest PE, if all could be placed at will. */
double chi_lb_sum_bound(const struct chi_lb_sum *sum);

/* How much of what is measured may be chance. */
void chi_lb_auto_doubt(struct chi_lb_auto *self,
                       const struct chi_lb_noise *noise);

/* Whether it is worth it to gather what each chare costs, and to decide. */
bool chi_lb_auto_promises(const struct chi_lb_auto *self,
                          const struct chi_lb_sum *sum);

/* It is not, but would be if the next look found the same: only for what may
 * be chance because it is new (noise.h, N5). */
bool chi_lb_auto_would_promise(const struct chi_lb_auto *self,
                               const struct chi_lb_sum *sum);

/* A period has been measured: the fullest PE has this. What was decided last
 * has held, or has not. */
void chi_lb_auto_confirm(struct chi_lb_auto *self, double most_s);

/*
 * Try the strategies that decide in one place, and take the one by which most
 * is won. 'to' gets where objects are to be; where they are, if nothing is to
 * move. The clock tells how long that takes. Errors: CHARE_ERR_NO_MEMORY;
 * CHARE_ERR_INVALID - the problem makes no sense, 'text' says why.
 */
CHARE_MUST_CHECK chare_status chi_lb_auto_decide(
    struct chi_lb_auto *self, const struct chi_lb_problem *problem,
    const struct chi_clock *clock, uint32_t *to, struct chi_lb_choice *out,
    char *text);

/* So many chares have left and come, which took the PEs together this long;
 * and all of the session but that and deciding, this long. */
void chi_lb_auto_learn(struct chi_lb_auto *self, uint64_t count,
                       double seconds, double tell_s);

#endif /* CHI_LB_AUTO_H */
