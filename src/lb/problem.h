/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_PROBLEM_H
#define CHI_LB_PROBLEM_H

/*
 * problem.h - what a strategy is asked, and how good an answer is.
 *
 * Arrays are by object, or by PE; those that may be NULL say what that means.
 * Work is in seconds on a PE of speed 1; a PE of speed 2 does it in half the
 * time. A PE of speed 0 is to be given nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

enum {
    CHI_LB_OBJECTS_MAX = 0x7fffffff,
    CHI_LB_DIMS_MAX = 3, /* coordinates that bisection looks at */
    CHI_LB_TEXT_BYTES = 256,
    CHI_LB_NODE_PES = 16,  /* on one node, where nobody says */
    CHI_LB_HOPS_NODES = 5, /* from node to node; see spots.h */
    CHI_LB_SWITCHES_MAX = 6,
    CHI_LB_SPOT_UNKNOWN = 0xffff,
};

/* Where a PE is in its node, and its node below switches. */
struct chi_lb_spot {
    uint16_t package; /* or CHI_LB_SPOT_UNKNOWN, as those that follow */
    uint16_t numa;
    uint16_t cache; /* last level */
    uint16_t core;
    uint16_t switch_levels;
    uint32_t switches[CHI_LB_SWITCHES_MAX]; /* numbers, outermost first */
};

/* Work above the lower bound that a strategy which avoids moves accepts. */
#define CHI_LB_TOLERANCE 0.02f

/* What a PE's sensors say, for dumps; NAN: nothing. See topo/sense.h. */
struct chi_lb_sensors {
    float mhz;
    float celsius;
    float watts;
};

struct chi_lb_problem {
    size_t object_count;
    uint32_t pe_count;
    uint32_t dims;            /* of coordinates, at most CHI_LB_DIMS_MAX */
    const float *work;        /* of each object */
    const uint32_t *from;     /* the PE that it is on */
    const uint64_t *bytes;    /* of its state; NULL: nobody knows, 0 */
    const float *coordinates; /* dims for each object in turn; or NULL */
    const uint8_t *fixed;     /* not 0: it cannot move; NULL: all can */
    const float *speeds;      /* NULL: 1 */
    const float *background;  /* a PE's own seconds; NULL: none */
    const uint32_t *nodes;    /* the node of each PE; NULL: CHI_LB_NODE_PES
                                 in turn on each */
    const struct chi_lb_spot *spots; /* NULL: unknown */

    /* Who talks to whom: for object i, edges edge_first[i] up to
     * edge_first[i + 1]; each in both directions. NULL: unknown. */
    const size_t *edge_first;
    const uint32_t *edge_to;
    const float *edge_bytes;
    const float *edge_messages; /* NULL: unknown */

    const struct chi_lb_sensors *sensors; /* of PEs; NULL: nobody knows */

    float tolerance; /* 0: CHI_LB_TOLERANCE */
    double goal;     /* seconds that are good enough; 0: as tolerance says */
    float noise;     /* the part of the time that has to be won, or strategies
                        that keep what is good enough move nothing; 0: any */
    uint64_t seed;
};

struct chi_lb_quality {
    double makespan; /* seconds of the PE that has most */
    double bound;    /* no assignment is better than this */
    double mean;     /* all work over all speeds, with background */
    uint64_t moves;
    uint64_t moved_bytes;
    double cut_bytes;  /* between objects on different PEs */
    double hop_bytes;  /* the same, by how far they go */
    uint64_t stranded; /* objects with work on PEs of speed 0 */
};

/*
 * Whether it can be asked at all. Errors: CHARE_ERR_INVALID, and 'text', of
 * CHI_LB_TEXT_BYTES, says why.
 */
CHARE_MUST_CHECK chare_status
chi_lb_problem_check(const struct chi_lb_problem *problem, char *text);

/* The seconds of each PE under an assignment, into 'times'. */
void chi_lb_times(const struct chi_lb_problem *problem, const uint32_t *to,
                  double *times);

/*
 * max((all work + background) / all speeds, the largest object on the fastest
 * PE, what some PE cannot get rid of).
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_lb_bound(
    const struct chi_lb_problem *problem, double *bound_out, double *mean_out);

/* Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status
chi_lb_evaluate(const struct chi_lb_problem *problem, const uint32_t *to,
                struct chi_lb_quality *out);

static inline float
chi_lb_speed(const struct chi_lb_problem *problem, uint32_t pe)
{
    return problem->speeds == NULL ? 1.0f : problem->speeds[pe];
}

static inline float
chi_lb_background(const struct chi_lb_problem *problem, uint32_t pe)
{
    return problem->background == NULL ? 0.0f : problem->background[pe];
}

static inline uint32_t
chi_lb_node(const struct chi_lb_problem *problem, uint32_t pe)
{
    return problem->nodes == NULL ? pe / CHI_LB_NODE_PES : problem->nodes[pe];
}

/*
 * Whether an object may be given to another PE. One without work stays: moving
 * it gains nothing.
 */
static inline bool
chi_lb_movable(const struct chi_lb_problem *problem, size_t object)
{
    return (problem->fixed == NULL || problem->fixed[object] == 0) &&
           problem->work[object] > 0;
}

static inline float
chi_lb_tolerance(const struct chi_lb_problem *problem)
{
    return problem->tolerance > 0 ? problem->tolerance : CHI_LB_TOLERANCE;
}

#endif /* CHI_LB_PROBLEM_H */
