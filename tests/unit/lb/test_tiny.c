/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tiny.c - against the best that there is, where all can be tried: up to
 * 9 objects on 2 or 3 PEs.
 *
 * Method: for each number of moves the least time of the fullest PE, by trying
 * all ways. Greedy keeps Graham's guarantee. Who avoids moves makes nothing
 * worse; where one move or one swap comes to the goal, they come to it with no
 * more than that; and of all problems they miss few, with few moves more than
 * are needed.
 */
#include "config.h"

#include <math.h>

#include "base/prng.h"
#include "lb/strategies/strategy.h"
#include "tap/tap.h"

enum {
    OBJECTS_MAX = 9,
    PES_MAX = 3,
    SEEDS = 1000,
};

struct tiny {
    struct chi_lb_problem problem;
    float work[OBJECTS_MAX];
    uint32_t from[OBJECTS_MAX];
    double least[OBJECTS_MAX + 1]; /* by at most so many moves */
    double goal;
    double start;
    bool by_swap; /* one swap comes to the goal */
};

static void
make(struct tiny *self, uint64_t seed)
{
    struct chi_prng prng;
    uint64_t kind;
    bool together;

    *self = (struct tiny){0};
    chi_prng_init(&prng, seed);
    self->problem = (struct chi_lb_problem){
        .pe_count = 2 + (uint32_t)chi_prng_below(&prng, PES_MAX - 1),
        .work = self->work,
        .from = self->from,
    };
    self->problem.object_count =
        3 + chi_prng_below(&prng, self->problem.pe_count == 2
                                      ? OBJECTS_MAX - 2
                                      : OBJECTS_MAX - 4);
    kind = chi_prng_below(&prng, 3);
    together = chi_prng_below(&prng, 3) == 0;
    for (size_t i = 0; i < self->problem.object_count; i++) {
        const uint64_t chance = chi_prng_below(&prng, 1000);

        self->work[i] = kind == 0   ? 0.1f + (float)chance / 1000
                        : kind == 1 ? (float)(1 + chance % 6)
                        : i < 2     ? 3 + (float)chance / 1000
                                    : 0.2f + (float)chance / 3000;
        self->from[i] =
            together ? 0
                     : (uint32_t)chi_prng_below(&prng, self->problem.pe_count);
    }
}

/* One of two moves goes back where the other came from. */
static bool
is_swap(const struct tiny *self, const uint32_t *to)
{
    uint32_t a[2] = {0};
    uint32_t b[2] = {0};
    uint32_t count = 0;

    for (size_t i = 0; i < self->problem.object_count; i++) {
        if (to[i] != self->from[i]) {
            if (count == 2) {
                return false;
            }
            a[count] = self->from[i];
            b[count++] = to[i];
        }
    }
    return count == 2 && a[0] == b[1] && a[1] == b[0];
}

static double
fullest(const struct tiny *self, const uint32_t *to)
{
    double times[PES_MAX];
    double most = 0;

    chi_lb_times(&self->problem, to, times);
    for (uint32_t pe = 0; pe < self->problem.pe_count; pe++) {
        most = fmax(most, times[pe]);
    }
    return most;
}

static void
look_at(struct tiny *self, const uint32_t *to)
{
    const double most = fullest(self, to);
    uint32_t moves = 0;

    for (size_t i = 0; i < self->problem.object_count; i++) {
        moves += to[i] != self->from[i];
    }
    self->least[moves] = fmin(self->least[moves], most);
    self->by_swap |= most <= self->goal && is_swap(self, to);
}

static void
try_all(struct tiny *self)
{
    const size_t objects = self->problem.object_count;
    uint32_t to[OBJECTS_MAX] = {0};
    size_t at = 0;
    double mean;
    double bound = 0;

    CHECK(chi_lb_bound(&self->problem, &bound, &mean) == CHARE_OK);
    self->goal = bound * (1 + (double)CHI_LB_TOLERANCE) * 0.999999;
    self->start = fullest(self, self->from);
    for (size_t moves = 0; moves <= objects; moves++) {
        self->least[moves] = (double)INFINITY;
    }
    while (at < objects) {
        look_at(self, to);
        for (at = 0; at < objects; at++) {
            to[at] = (to[at] + 1) % self->problem.pe_count;
            if (to[at] != 0) {
                break;
            }
        }
    }
    for (size_t moves = 1; moves <= objects; moves++) {
        self->least[moves] = fmin(self->least[moves], self->least[moves - 1]);
    }
}

/* How many moves are needed to come to the goal, or to the best. */
static uint64_t
moves_needed(const struct tiny *self)
{
    const double wanted =
        fmax(self->goal, self->least[self->problem.object_count] * 1.000001);
    uint64_t moves = 0;

    while (self->least[moves] > wanted) {
        moves++;
    }
    return moves;
}

static void
greedy_keeps_its_guarantee(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct tiny tiny;
        uint32_t to[OBJECTS_MAX];
        char text[CHI_LB_TEXT_BYTES];
        double pes;

        make(&tiny, seed);
        try_all(&tiny);
        pes = tiny.problem.pe_count;
        CHECK(chi_lb_decide(&chi_lb_greedy, &tiny.problem, to, text) ==
              CHARE_OK);
        CHECK(fullest(&tiny, to) <= (4.0 / 3 - 1 / (3 * pes)) *
                                        tiny.least[tiny.problem.object_count] *
                                        1.000001);
    }
}

struct tally {
    uint64_t missed;
    uint64_t moves;
    uint64_t needed;
};

static void
check_keeper(const struct chi_lb_strategy *strategy, uint64_t seed,
             struct tally *tally)
{
    struct tiny tiny;
    struct chi_lb_quality after;
    uint32_t to[OBJECTS_MAX];
    char text[CHI_LB_TEXT_BYTES];

    make(&tiny, seed);
    try_all(&tiny);
    CHECK(chi_lb_decide(strategy, &tiny.problem, to, text) == CHARE_OK);
    CHECK(chi_lb_evaluate(&tiny.problem, to, &after) == CHARE_OK);
    CHECK(after.makespan <= tiny.start * 1.000001);
    CHECK(tiny.start > tiny.goal || after.moves == 0);
    if (strategy->keeps && tiny.least[1] <= tiny.goal) {
        CHECK(after.moves <= 1 && after.makespan <= tiny.goal * 1.00001);
    } else if (strategy->keeps && tiny.by_swap) {
        CHECK(after.moves <= 2 && after.makespan <= tiny.goal * 1.00001);
    }
    tally->missed +=
        after.makespan > fmax(tiny.goal * 1.00001,
                              tiny.least[tiny.problem.object_count] * 1.005);
    tally->moves += after.moves;
    tally->needed += moves_needed(&tiny);
}

static void
keepers_come_to_the_goal(void)
{
    for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
        const struct chi_lb_strategy *strategy = chi_lb_strategy_at(i);
        struct tally tally = {0};

        if (!strategy->keeps && strategy->spread == CHI_LB_CENTRAL) {
            continue;
        }
        for (uint64_t seed = 1; seed <= SEEDS && !tap_failed; seed++) {
            check_keeper(strategy, seed, &tally);
            if (tap_failed) {
                printf("# %s, problem %d\n", strategy->name, (int)seed);
            }
        }
        printf("# %s: misses %d of %d, %d moves of %d\n", strategy->name,
               (int)tally.missed, (int)SEEDS, (int)tally.moves,
               (int)tally.needed);
        if (strategy->keeps) {
            CHECK(tally.missed * 50 <= SEEDS);
            CHECK(tally.moves * 100 <= tally.needed * 115);
        }
    }
}

TAP_MAIN(TAP_CASE(greedy_keeps_its_guarantee),
         TAP_CASE(keepers_come_to_the_goal))
