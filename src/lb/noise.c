/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noise.c - by how much PEs are fuller or emptier than was expected.
 */
#include "config.h"

#include "lb/noise.h"

#include <math.h>
#include <stdlib.h>

enum {
    SESSIONS_FIRST = 2, /* in which a program starts */
};

static const double LEARN = 0.5;

/* Of two measurements both are partly chance. Where loads drift by so much in
 * each period, that is worth it each second time. */
static const double CAUTION = 1.5;

void
chi_lb_noise_fini(struct chi_lb_noise *noise)
{
    free(noise->expected);
    *noise = (struct chi_lb_noise){0};
}

void
chi_lb_noise_forget(struct chi_lb_noise *noise)
{
    free(noise->expected);
    noise->expected = NULL;
    noise->fullest = 0;
    noise->seen = false;
}

static void
learn(struct chi_lb_noise *noise, double surprise)
{
    const double known = fmin(surprise, 1);

    noise->sudden = known > CAUTION * noise->level ? known : 0;
    if (noise->compared++ >= SESSIONS_FIRST) {
        noise->level += LEARN * (known - noise->level);
    }
}

/* The times of PEs over their mean, in which fast ones count more: what all
 * would take if any work could be anywhere. False: there is no work. */
static bool
shares_of(const struct chi_lb_problem *problem, const uint32_t *to,
          double *shares)
{
    double speeds = 0;
    double mean = 0;

    chi_lb_times(problem, to, shares);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const double speed = (double)chi_lb_speed(problem, pe);

        mean += shares[pe] * speed;
        speeds += speed;
    }
    mean = speeds > 0 ? mean / speeds : 0;
    for (uint32_t pe = 0; mean > 0 && pe < problem->pe_count; pe++) {
        shares[pe] /= mean;
    }
    return mean > 0;
}

void
chi_lb_noise_said(struct chi_lb_noise *noise)
{
    chi_lb_noise_fini(noise);
    noise->said = true;
}

/* Of a session, with what was expected of each PE, or of the fullest. */
static double
surprise_of(const struct chi_lb_noise *noise, const double *shares,
            uint32_t pes)
{
    double surprise = 0;
    double fullest = 0;

    for (uint32_t pe = 0; pe < pes; pe++) {
        fullest = fmax(fullest, shares[pe]);
        if (noise->expected != NULL) {
            surprise = fmax(surprise, fabs(shares[pe] - noise->expected[pe]));
        }
    }
    return noise->expected != NULL ? surprise : fabs(fullest - noise->fullest);
}

void
chi_lb_noise_look(struct chi_lb_noise *noise,
                  const struct chi_lb_problem *problem, bool measured)
{
    double *shares = NULL;

    if (!measured) {
        chi_lb_noise_said(noise);
        return;
    }
    if (!noise->seen && noise->fullest > 0) {
        shares = malloc(problem->pe_count * sizeof(*shares));
    }
    if (shares != NULL && shares_of(problem, problem->from, shares)) {
        learn(noise, surprise_of(noise, shares, problem->pe_count));
    }
    noise->said = false;
    noise->seen = false;
    free(shares);
}

void
chi_lb_noise_see(struct chi_lb_noise *noise, double fullest)
{
    if (noise->fullest > 0) {
        learn(noise, fabs(fullest - noise->fullest));
    }
    chi_lb_noise_forget(noise);
    noise->fullest = fullest;
    noise->said = false;
    noise->seen = true;
}

void
chi_lb_noise_expect(struct chi_lb_noise *noise,
                    const struct chi_lb_problem *problem, const uint32_t *to)
{
    if (noise->expected == NULL) {
        noise->expected = malloc(problem->pe_count * sizeof(*noise->expected));
    }
    if (noise->expected != NULL && !shares_of(problem, to, noise->expected)) {
        chi_lb_noise_fini(noise);
    }
    noise->fullest = 0;
    for (uint32_t pe = 0; noise->expected != NULL && pe < problem->pe_count;
         pe++) {
        noise->fullest = fmax(noise->fullest, noise->expected[pe]);
    }
}

double
chi_lb_noise_least(const struct chi_lb_noise *noise)
{
    return fmin(CAUTION * noise->level, CHI_LB_NOISE_MAX);
}

double
chi_lb_noise_doubt(const struct chi_lb_noise *noise)
{
    const double first = ldexp(CHI_LB_DOUBT_MAX, -(int)noise->compared);
    const double doubt = fmax(first, fmin(noise->sudden, CHI_LB_DOUBT_MAX));

    return noise->said ? 0 : fmax(doubt, chi_lb_noise_least(noise));
}
