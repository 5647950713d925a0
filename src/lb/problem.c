/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * problem.c - whether a problem makes sense, and how good an answer is.
 */
#include "config.h"

#include "lb/problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "lb/spots.h"

static bool
is_amount(float value)
{
    return isfinite(value) && value >= 0;
}

static chare_status
check_pes(const struct chi_lb_problem *problem, char *text)
{
    bool some = false;

    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        if (!is_amount(chi_lb_speed(problem, pe))) {
            snprintf(text, CHI_LB_TEXT_BYTES,
                     "the speed of PE %" PRIu32 " is %g", pe,
                     (double)chi_lb_speed(problem, pe));
            return CHARE_ERR_INVALID;
        }
        if (!is_amount(chi_lb_background(problem, pe))) {
            snprintf(text, CHI_LB_TEXT_BYTES,
                     "the background load of PE %" PRIu32 " is %g", pe,
                     (double)chi_lb_background(problem, pe));
            return CHARE_ERR_INVALID;
        }
        some |= chi_lb_speed(problem, pe) > 0;
    }
    if (!some) {
        snprintf(text, CHI_LB_TEXT_BYTES, "no PE has a speed above 0");
        return CHARE_ERR_INVALID;
    }
    return CHARE_OK;
}

chare_status
chi_lb_problem_check(const struct chi_lb_problem *problem, char *text)
{
    if (problem->pe_count == 0 || problem->pe_count > CHARE_PES_MAX) {
        snprintf(text, CHI_LB_TEXT_BYTES, "%" PRIu32 " PEs",
                 problem->pe_count);
        return CHARE_ERR_INVALID;
    }
    if (problem->object_count > CHI_LB_OBJECTS_MAX) {
        snprintf(text, CHI_LB_TEXT_BYTES, "%zu objects are too many",
                 problem->object_count);
        return CHARE_ERR_INVALID;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (!is_amount(problem->work[i])) {
            snprintf(text, CHI_LB_TEXT_BYTES, "the load of object %zu is %g",
                     i, (double)problem->work[i]);
            return CHARE_ERR_INVALID;
        }
        if (problem->from[i] >= problem->pe_count) {
            snprintf(text, CHI_LB_TEXT_BYTES,
                     "object %zu is on PE %" PRIu32 " of %" PRIu32, i,
                     problem->from[i], problem->pe_count);
            return CHARE_ERR_INVALID;
        }
    }
    return check_pes(problem, text);
}

void
chi_lb_times(const struct chi_lb_problem *problem, const uint32_t *to,
             double *times)
{
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        times[pe] = 0;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        times[to[i]] += (double)problem->work[i];
    }
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const float speed = chi_lb_speed(problem, pe);

        times[pe] = (speed > 0 ? times[pe] / (double)speed : 0) +
                    (double)chi_lb_background(problem, pe);
    }
}

chare_status
chi_lb_bound(const struct chi_lb_problem *problem, double *bound_out,
             double *mean_out)
{
    double *stuck = calloc(problem->pe_count, sizeof(*stuck));
    double work = 0;
    double speeds = 0;
    double largest = 0;
    double fastest = 0;
    double bound;

    if (stuck == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        if (problem->fixed != NULL && problem->fixed[i] != 0) {
            if (!(chi_lb_speed(problem, problem->from[i]) > 0)) {
                continue; /* nobody does it, wherever the others are */
            }
            stuck[problem->from[i]] += (double)problem->work[i];
        }
        work += (double)problem->work[i];
        largest = fmax(largest, (double)problem->work[i]);
    }
    bound = 0;
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const double speed = (double)chi_lb_speed(problem, pe);
        const double background = (double)chi_lb_background(problem, pe);

        work += background * speed;
        speeds += speed;
        fastest = fmax(fastest, speed);
        bound = fmax(bound, background + (speed > 0 ? stuck[pe] / speed : 0));
    }
    free(stuck);
    *mean_out = work / speeds;
    bound = fmax(bound, *mean_out);
    *bound_out = fmax(bound, largest / fastest);
    return CHARE_OK;
}

static void
evaluate_objects(const struct chi_lb_problem *problem, const uint32_t *to,
                 struct chi_lb_quality *out)
{
    for (size_t i = 0; i < problem->object_count; i++) {
        if (to[i] != problem->from[i]) {
            out->moves++;
            out->moved_bytes += problem->bytes == NULL ? 0 : problem->bytes[i];
        }
        out->stranded +=
            problem->work[i] > 0 && !(chi_lb_speed(problem, to[i]) > 0);
        if (problem->edge_first == NULL) {
            continue;
        }
        for (size_t e = problem->edge_first[i]; e < problem->edge_first[i + 1];
             e++) {
            const uint32_t other = to[problem->edge_to[e]];

            if (other != to[i]) {
                const double bytes = (double)problem->edge_bytes[e] / 2;

                out->cut_bytes += bytes;
                out->hop_bytes += bytes * chi_lb_hops(problem, to[i], other);
            }
        }
    }
}

chare_status
chi_lb_evaluate(const struct chi_lb_problem *problem, const uint32_t *to,
                struct chi_lb_quality *out)
{
    double *times = calloc(problem->pe_count, sizeof(*times));
    chare_status status;

    *out = (struct chi_lb_quality){0};
    if (times == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_lb_times(problem, to, times);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        out->makespan = fmax(out->makespan, times[pe]);
    }
    free(times);
    evaluate_objects(problem, to, out);
    status = chi_lb_bound(problem, &out->bound, &out->mean);
    return status;
}
