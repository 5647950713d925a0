/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_SPEED_H
#define CHI_LB_SPEED_H

/*
 * speed.h - how fast a PE is, while the job runs.
 *
 * A speed is the product of two things that are measured: how long the
 * processor takes for a fixed piece of work when nobody interrupts it, which
 * shows clocks, throttling and power caps; and the share of a processor that
 * the PE's thread is given while it wants one, which shows other processes.
 * Speed 1 is that of PE 0 when it looked first.
 *
 * Invariants:
 *  S1  a look is a few files and some 50 us; it is passed over when less than
 *      a hundred times its cost has passed since the last: at most 1 % of the
 *      time goes into looks;
 *  S2  what is used is a power of 1.06, and changes only when the median of
 *      the last three looks is more than 5 % off, and then to the nearest: one
 *      wrong look changes nothing, what only trembles stays, and PEs that are
 *      alike have the same speed, again after one was disturbed (strategies
 *      ask whether speeds are equal);
 *  S3  a share is believed only of time in which the thread wanted to run; a
 *      PE that hardly does is thought to become free again, slowly;
 *  S4  where PEs have fewer processors than they are, by all the sets that
 *      they may use, equal or not (topo/crowd.h), the share of each of such a
 *      group is processors over PEs, whatever was measured: for what one
 *      waits there is what the others have to do, which balancing changes, and
 *      how the kernel has just spread them. So they are alike, and what is
 *      measured of their chares counts without the time that they have waited,
 *      as it would take at that share.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum {
    CHI_SPEED_LOOKS = 3, /* of which the median counts */
    CHI_SPEED_COST_SHARE = 100,
};

/* Between two steps, neither can be left for the other by looks that are 2 %
 * off; from one step to the other, the tremor is less. */
#define CHI_SPEED_STEP      1.06
#define CHI_SPEED_TREMOR    0.05
#define CHI_SPEED_WINDOW_NS (50 * CHI_NS_PER_MS) /* of wanting to run */
#define CHI_SPEED_MIN       (1.0 / 64)
#define CHI_SPEED_MAX       64.0

/* Where measurements come from; real, or a test's. */
struct chi_speed_source {
    /* Nanoseconds that a fixed piece of work takes at best; 0: unknown. */
    double (*work_ns)(void *context);

    /* What this thread has run, and waited for a processor, since it began;
     * false: the kernel does not say. */
    bool (*share)(void *context, uint64_t *ran_ns, uint64_t *waited_ns);
    void *context;
};

extern const struct chi_speed_source chi_speed_real;

struct chi_speed {
    const struct chi_speed_source *source; /* NULL: 'used' is what was said */
    double used;
    double work_ns; /* at the last look; 0: unknown */
    double share;   /* of a processor, at the last look that told */
    double crowd;   /* processors over PEs that share them, at most 1 */
    double looks[CHI_SPEED_LOOKS];
    uint32_t look_count;
    uint64_t look_ns; /* when the last one was */
    uint64_t cost_ns; /* what it took */
    bool knows_share;
    bool has_marks;
    uint64_t ran_ns; /* when 'share' was measured */
    uint64_t waited_ns;
    uint64_t mark_ns;
};

/* A PE of which nothing is known, and nothing will be if source is NULL. */
void chi_speed_init(struct chi_speed *speed,
                    const struct chi_speed_source *source);

/* So many PEs share so many processors, this one included (S4). */
void chi_speed_crowd(struct chi_speed *speed, uint32_t processors,
                     uint32_t pes);

/*
 * By what the time that a PE was busy with chares counts (S4), when it was not
 * idle for 'busy_ns', and in that time and while it was idle its thread ran,
 * and waited for a processor. What it waited while it was idle, letting others
 * run, is not taken for more than it can be.
 */
double chi_speed_scale(const struct chi_speed *speed, double busy_ns,
                       double ran_ns, double waited_ns);

/* The share of a processor is measured from now on, if it is not already. */
void chi_speed_mark(struct chi_speed *speed, const struct chi_clock *clock);

/*
 * Look, unless that was done just now. 'unit_ns' is what PE 0 took for the
 * work at first; 0: this is PE 0, or nobody knows. Returns the speed to use.
 */
double chi_speed_look(struct chi_speed *speed, const struct chi_clock *clock,
                      double unit_ns);

#endif /* CHI_LB_SPEED_H */
