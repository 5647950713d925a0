/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * auto.c - whether it is worth it to balance, and by which strategy.
 *
 * Loads persist: what a chare has cost in the last period, it will cost in the
 * next ones (L. V. Kale, "Some essential techniques for developing efficient
 * petascale applications", 2008). For how many is learnt: the horizon doubles
 * when the period after a session was about as short as promised, and halves
 * when it was not. What is won is the time of the fullest PE before and after,
 * over the horizon; what it costs is deciding, telling and moving, as measured
 * last. Nothing moves unless more is won than CAUTION times the cost, and more
 * than NOISE of the time of the fullest PE, and than the doubt: what of that
 * time may be chance (noise.h, N5).
 */
#include "config.h"

#include "lb/auto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double HORIZON_FIRST = 8;
static const double HORIZON_MIN = 1;
static const double HORIZON_MAX = 256;
static const double CAUTION = 1.25;
static const double NOISE = 0.03;

/* Estimates, until they are measured. */
static const double DECIDE_FIRST_S = 1e-3;
static const double TELL_FIRST_S = 1e-3;
static const double MOVE_FIRST_S = 10e-6;
static const double BYTE_S = 0.5e-9; /* of a chare's state, on each side */
static const double TALK_BYTE_S = 0.2e-9; /* between two PEs, on each side */

/* How much of a new measurement is believed. */
static const double LEARN = 0.5;

static const struct chi_lb_strategy *const candidates[] = {
    &chi_lb_refine, &chi_lb_greedy_refine, &chi_lb_hierarchical,
    &chi_lb_greedy, &chi_lb_graph,
};

enum {
    CANDIDATE_COUNT = sizeof(candidates) / sizeof(candidates[0]),
};

void
chi_lb_auto_init(struct chi_lb_auto *self)
{
    *self = (struct chi_lb_auto){
        .horizon = HORIZON_FIRST,
        .decide_s = DECIDE_FIRST_S,
        .tell_s = TELL_FIRST_S,
        .move_s = MOVE_FIRST_S,
    };
}

/* ---- without knowing what each chare costs */

void
chi_lb_sum_add(struct chi_lb_sum *sum, const struct chi_lb_sum *more)
{
    sum->work += more->work;
    sum->background += more->background;
    sum->speeds += more->speeds;
    sum->most = fmax(sum->most, more->most);
    sum->stuck = fmax(sum->stuck, more->stuck);
    sum->period = fmax(sum->period, more->period);
    sum->largest = fmax(sum->largest, more->largest);
    sum->fastest = fmax(sum->fastest, more->fastest);
    sum->count += more->count;
    sum->empty_background += more->empty_background;
    sum->empty_most = fmax(sum->empty_most, more->empty_most);
    sum->empty_period = fmax(sum->empty_period, more->empty_period);
    sum->measured += more->measured;
}

void
chi_lb_sum_close(struct chi_lb_sum *sum)
{
    if (sum->measured > 0) {
        sum->background += sum->empty_background;
        sum->most = fmax(sum->most, sum->empty_most);
        sum->stuck = fmax(sum->stuck, sum->empty_most);
        sum->period = fmax(sum->period, sum->empty_period);
    }
}

double
chi_lb_sum_bound(const struct chi_lb_sum *sum)
{
    double bound = sum->stuck;

    if (sum->speeds > 0) {
        bound = fmax(bound, (sum->work + sum->background) / sum->speeds);
        bound = fmax(bound, sum->largest / sum->fastest);
    }
    return bound;
}

void
chi_lb_auto_doubt(struct chi_lb_auto *self, const struct chi_lb_noise *noise)
{
    self->noise = chi_lb_noise_least(noise);
    self->doubt = chi_lb_noise_doubt(noise);
}

/* More than a tremor, of the period, too, for a job that mostly waits; and
 * more than what the PEs' times differ by anyway. */
static bool
is_worth_more_than_noise(const struct chi_lb_auto *self, double before_s,
                         double after_s, double period_s)
{
    return before_s - after_s >
           fmax(NOISE * fmax(before_s, period_s), self->doubt * before_s);
}

bool
chi_lb_auto_promises(const struct chi_lb_auto *self,
                     const struct chi_lb_sum *sum)
{
    const double bound = chi_lb_sum_bound(sum);
    const double cost = self->decide_s + self->tell_s + self->move_s;

    return sum->count > 0 &&
           is_worth_more_than_noise(self, sum->most, bound, sum->period) &&
           (sum->most - bound) * self->horizon > CAUTION * cost;
}

bool
chi_lb_auto_would_promise(const struct chi_lb_auto *self,
                          const struct chi_lb_sum *sum)
{
    struct chi_lb_auto sure = *self;

    sure.doubt = self->noise;
    return !chi_lb_auto_promises(self, sum) &&
           chi_lb_auto_promises(&sure, sum);
}

/* ---- learning */

void
chi_lb_auto_confirm(struct chi_lb_auto *self, double most_s)
{
    if (!self->has_moved) {
        return;
    }
    self->has_moved = false;
    if (most_s - self->promise_s < 0.5 * (self->before_s - self->promise_s)) {
        self->horizon = fmin(2 * self->horizon, HORIZON_MAX);
    } else {
        self->horizon = fmax(self->horizon / 2, HORIZON_MIN);
    }
}

void
chi_lb_auto_learn(struct chi_lb_auto *self, uint64_t count, double seconds,
                  double tell_s)
{
    if (count > 0) {
        self->move_s += LEARN * (seconds / (double)count - self->move_s);
    }
    self->tell_s += LEARN * (tell_s - self->tell_s);
}

/* ---- trying strategies */

/* Seconds of the PE that sends and receives most. */
static double
cost_of_moves(const struct chi_lb_auto *self,
              const struct chi_lb_problem *problem, const uint32_t *to,
              double *per_pe)
{
    double most = 0;

    memset(per_pe, 0, problem->pe_count * sizeof(*per_pe));
    for (size_t i = 0; i < problem->object_count; i++) {
        if (to[i] != problem->from[i]) {
            const double bytes =
                problem->bytes == NULL ? 0 : (double)problem->bytes[i];
            const double cost = self->move_s + BYTE_S * bytes;

            per_pe[problem->from[i]] += cost;
            per_pe[to[i]] += cost;
        }
    }
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        most = fmax(most, per_pe[pe]);
    }
    return most;
}

struct attempt {
    double time_s;   /* of the fullest PE, and of what is said between PEs */
    double enough_s; /* what is less is no better: it is within the noise */
    double moves_s;  /* what the moves cost */
};

static chare_status
judge(const struct chi_lb_auto *self, const struct chi_lb_problem *problem,
      const uint32_t *to, double *per_pe, struct attempt *out)
{
    struct chi_lb_quality quality;
    chare_status status = chi_lb_evaluate(problem, to, &quality);

    if (status == CHARE_OK) {
        out->time_s = quality.makespan +
                      2 * TALK_BYTE_S * quality.cut_bytes / problem->pe_count;
        out->enough_s =
            quality.bound *
            (1 + fmax((double)chi_lb_tolerance(problem), self->noise / 2));
        out->moves_s = cost_of_moves(self, problem, to, per_pe);
    }
    return status;
}

static double
period_cost(const struct chi_lb_auto *self, const struct attempt *attempt)
{
    return self->horizon * fmax(attempt->time_s, attempt->enough_s) +
           CAUTION * attempt->moves_s;
}

static chare_status
try_all(const struct chi_lb_auto *self, const struct chi_lb_problem *problem,
        uint32_t *to, uint32_t *room, double *per_pe, struct attempt *best,
        struct chi_lb_choice *out)
{
    for (size_t i = 0; i < CANDIDATE_COUNT; i++) {
        struct attempt attempt;
        char text[CHI_LB_TEXT_BYTES];
        chare_status status;

        if (candidates[i]->needs_edges && problem->edge_first == NULL) {
            continue;
        }
        status = chi_lb_decide(candidates[i], problem, room, text);
        if (status == CHARE_OK) {
            status = judge(self, problem, room, per_pe, &attempt);
        }
        if (status == CHARE_ERR_NO_MEMORY) {
            return status;
        }
        if (status == CHARE_OK &&
            period_cost(self, &attempt) < period_cost(self, best)) {
            memcpy(to, room, problem->object_count * sizeof(*to));
            *best = attempt;
            out->strategy = candidates[i];
        }
    }
    return CHARE_OK;
}

chare_status
chi_lb_auto_decide(struct chi_lb_auto *self,
                   const struct chi_lb_problem *problem,
                   const struct chi_clock *clock, uint32_t *to,
                   struct chi_lb_choice *out, char *text)
{
    const uint64_t start_ns = chi_clock_now_ns(clock);
    uint32_t *room = malloc((problem->object_count + 1) * sizeof(*room));
    double *per_pe = malloc(problem->pe_count * sizeof(*per_pe));
    struct attempt stay = {0};
    struct attempt best;
    chare_status status = CHARE_ERR_NO_MEMORY;

    *out = (struct chi_lb_choice){0};
    text[0] = '\0';
    memcpy(to, problem->from, problem->object_count * sizeof(*to));
    if (room != NULL && per_pe != NULL) {
        status = chi_lb_problem_check(problem, text);
    }
    if (status == CHARE_OK) {
        status = judge(self, problem, to, per_pe, &stay);
    }
    best = stay;
    if (status == CHARE_OK) {
        status = try_all(self, problem, to, room, per_pe, &best, out);
    }
    free(room);
    free(per_pe);
    self->decide_s =
        (double)(chi_clock_now_ns(clock) - start_ns) / CHI_NS_PER_SEC;
    out->gain_s = self->horizon * (stay.time_s - best.time_s);
    out->cost_s = self->decide_s + self->tell_s + best.moves_s;
    if (status != CHARE_OK || out->strategy == NULL ||
        !is_worth_more_than_noise(self, stay.time_s, best.time_s, 0) ||
        !(out->gain_s > CAUTION * out->cost_s)) {
        out->strategy = NULL;
        memcpy(to, problem->from, problem->object_count * sizeof(*to));
        return status;
    }
    self->has_moved = true;
    self->before_s = stay.time_s;
    self->promise_s = best.time_s;
    return status;
}
