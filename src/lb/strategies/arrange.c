/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arrange.c - parts that talk to each other go to PEs that are near.
 *
 * The graph of the parts, whose edges are all that their objects say to each
 * other, is put onto the PEs in two ways. From where the parts are: pairs of
 * parts are exchanged as long as that wins, each part with those around the
 * parts that it talks to (B. Brandfass, T. Alrutz, T. Gerhold, "Rank
 * reordering for MPI communication optimization", Computers & Fluids 80,
 * 2013). And from nothing: the machine is divided from the outside in, and for
 * each of its groups as many parts are grown out of the graph as the group has
 * PEs, always by the part that talks most to those inside and least to those
 * outside (recursive division of both graphs, as F. Pellegrini's static
 * mapping does; growing as in G. Karypis and V. Kumar's METIS); then pairs are
 * exchanged there, too. The second way moves nearly all objects, so it has to
 * win a tenth more.
 */
#include "config.h"

#include "lb/strategies/arrange.h"

#include <stdlib.h>
#include <string.h>

#include "lb/spots.h"

enum {
    SWEEPS_MAX = 12,
    AROUND = 12,    /* PEs on each side, in the order of their paths */
    EDGES_MAX = 16, /* of a part, that are far, the heaviest: looked around */
};

static const double MUCH_BETTER = 0.9;

/* A part has the number of the PE whose part it is in 'to'. */
struct talk {
    uint32_t a;
    uint32_t b;
    float bytes;
};

struct arrangement {
    const struct chi_lb_problem *problem;
    uint32_t pe_count;
    uint32_t *pes;   /* in the order of their paths */
    uint32_t *at;    /* of each PE, in 'pes' */
    size_t *first;   /* of each part's edges */
    uint32_t *other; /* a part */
    float *bytes;
    uint32_t *where;   /* of each part: its PE */
    uint32_t *here;    /* of each PE: its part */
    uint32_t *kept;    /* another 'where' */
    uint32_t *set;     /* of each part, while they are divided */
    uint32_t *members; /* parts, by set */
    float *inside;     /* what a part says to the set that grows, twice, less
                          what it says to those that are left */
    uint32_t *seen;    /* of each part: when it was last thought of, counted */
    uint32_t searches; /* by these */
    uint64_t looks;    /* distances asked for, while exchanging */
    uint64_t looks_max;
};

/* ---- the graph of the parts */

static int
by_ends(const void *a, const void *b)
{
    const struct talk *x = a;
    const struct talk *y = b;

    if (x->a != y->a) {
        return x->a < y->a ? -1 : 1;
    }
    return x->b < y->b ? -1 : x->b > y->b;
}

/* Those of a part together, the heaviest first. */
static int
by_bytes(const void *a, const void *b)
{
    const struct talk *x = a;
    const struct talk *y = b;

    if (x->a != y->a || x->bytes == y->bytes) {
        return by_ends(a, b);
    }
    return x->bytes > y->bytes ? -1 : 1;
}

/* Each edge once for both directions it is in; returns how many. */
static size_t
collect_talks(const struct chi_lb_problem *problem, const uint32_t *to,
              struct talk *talks)
{
    size_t found = 0;
    size_t count = 0;

    for (size_t i = 0; i < problem->object_count; i++) {
        for (size_t e = problem->edge_first[i]; e < problem->edge_first[i + 1];
             e++) {
            const uint32_t other = to[problem->edge_to[e]];

            if (other != to[i]) {
                talks[found++] =
                    (struct talk){to[i], other, problem->edge_bytes[e]};
            }
        }
    }
    qsort(talks, found, sizeof(*talks), by_ends);
    for (size_t i = 0; i < found; i++) {
        if (count > 0 && by_ends(&talks[count - 1], &talks[i]) == 0) {
            talks[count - 1].bytes += talks[i].bytes;
        } else {
            talks[count++] = talks[i];
        }
    }
    qsort(talks, count, sizeof(*talks), by_bytes);
    return count;
}

static chare_status
make_graph(struct arrangement *self, const uint32_t *to)
{
    const struct chi_lb_problem *problem = self->problem;
    const size_t edges = problem->edge_first[problem->object_count];
    struct talk *talks = malloc((edges + 1) * sizeof(*talks));
    size_t count;

    if (talks == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    count = collect_talks(problem, to, talks);
    self->first = calloc((size_t)self->pe_count + 1, sizeof(*self->first));
    self->other = malloc((count + 1) * sizeof(*self->other));
    self->bytes = malloc((count + 1) * sizeof(*self->bytes));
    if (self->first == NULL || self->other == NULL || self->bytes == NULL) {
        free(talks);
        return CHARE_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        self->first[talks[i].a + 1]++;
        self->other[i] = talks[i].b;
        self->bytes[i] = talks[i].bytes;
    }
    for (uint32_t part = 0; part < self->pe_count; part++) {
        self->first[part + 1] += self->first[part];
    }
    free(talks);
    return CHARE_OK;
}

/* Bytes times hops, of all. */
static double
cost_of(const struct arrangement *self)
{
    double cost = 0;

    for (uint32_t part = 0; part < self->pe_count; part++) {
        for (size_t e = self->first[part]; e < self->first[part + 1]; e++) {
            cost += (double)self->bytes[e] *
                    chi_lb_hops(self->problem, self->where[part],
                                self->where[self->other[e]]);
        }
    }
    return cost;
}

/* ---- exchanging */

/* What a part says, times hops, if it were on 'pe' and 'swapped' where it is
 * now; what it says to that one stays as it is. */
static double
cost_at(const struct arrangement *self, uint32_t part, uint32_t pe,
        uint32_t swapped)
{
    double cost = 0;

    for (size_t e = self->first[part]; e < self->first[part + 1]; e++) {
        if (self->other[e] != swapped) {
            cost +=
                (double)self->bytes[e] *
                chi_lb_hops(self->problem, pe, self->where[self->other[e]]);
        }
    }
    return cost;
}

static double
gain_of(const struct arrangement *self, uint32_t a, uint32_t b)
{
    const uint32_t x = self->where[a];
    const uint32_t y = self->where[b];

    return cost_at(self, a, x, b) - cost_at(self, a, y, b) +
           cost_at(self, b, y, a) - cost_at(self, b, x, a);
}

static void
exchange(struct arrangement *self, uint32_t a, uint32_t b)
{
    const uint32_t x = self->where[a];

    self->where[a] = self->where[b];
    self->where[b] = x;
    self->here[self->where[a]] = a;
    self->here[self->where[b]] = b;
}

/* Whether there is room for the looks of gain_of(), which are counted. */
static bool
may_weigh(struct arrangement *self, uint32_t a, uint32_t b)
{
    const uint64_t looks = 2 * (self->first[a + 1] - self->first[a] +
                                self->first[b + 1] - self->first[b]);

    if (looks > self->looks_max - self->looks) {
        self->looks = self->looks_max;
        return false;
    }
    self->looks += looks;
    return true;
}

/* The part that it is best exchanged with, of those around 'pe' that this
 * search has not thought of. */
static void
look_around(struct arrangement *self, uint32_t part, uint32_t pe,
            uint32_t *best_inout, double *gain_inout)
{
    const uint32_t at = self->at[pe];
    const uint32_t end =
        at + AROUND < self->pe_count ? at + AROUND + 1 : self->pe_count;

    for (uint32_t i = at > AROUND ? at - AROUND : 0; i < end; i++) {
        const uint32_t other = self->here[self->pes[i]];
        double gain;

        if (other == part || self->seen[other] == self->searches ||
            chi_lb_speed(self->problem, self->pes[i]) !=
                chi_lb_speed(self->problem, self->where[part])) {
            continue;
        }
        self->seen[other] = self->searches;
        if (!may_weigh(self, part, other)) {
            return;
        }
        gain = gain_of(self, part, other);
        if (gain > *gain_inout) {
            *gain_inout = gain;
            *best_inout = other;
        }
    }
}

/* The part that it is best exchanged with, to come near to those that it
 * talks to; itself: none, if that wins no more than 'least'. */
static uint32_t
best_for(struct arrangement *self, uint32_t part, double least)
{
    uint32_t best = part;
    uint32_t around = 0;
    double gain = least;

    self->searches++;
    for (size_t e = self->first[part];
         e < self->first[part + 1] && around < EDGES_MAX &&
         self->looks < self->looks_max;
         e++) {
        const uint32_t pe = self->where[self->other[e]];

        self->looks++;
        if (chi_lb_hops(self->problem, self->where[part], pe) > 1) {
            look_around(self, part, pe, &best, &gain);
            around++;
        }
    }
    return best;
}

/* Exchange what wins, until nothing does, or enough was looked at. */
static void
improve(struct arrangement *self)
{
    const double least = 1e-6 * cost_of(self);
    bool better = true;

    self->looks_max =
        self->looks + CHI_LB_ARRANGE_LOOKS_FIRST +
        (uint64_t)self->pe_count * CHI_LB_ARRANGE_LOOKS_PER_PE +
        self->first[self->pe_count] * CHI_LB_ARRANGE_LOOKS_PER_EDGE;
    for (int sweep = 0; sweep < SWEEPS_MAX && better; sweep++) {
        better = false;
        for (uint32_t part = 0;
             part < self->pe_count && self->looks < self->looks_max; part++) {
            const uint32_t best = best_for(self, part, least);

            if (best != part) {
                exchange(self, part, best);
                better = true;
            }
        }
    }
}

/* ---- from nothing */

/* Set 'taken' is where 'part' goes: tell its neighbours in set 'from'. */
static void
take(struct arrangement *self, uint32_t part, uint32_t from, uint32_t taken)
{
    self->set[part] = taken;
    for (size_t e = self->first[part]; e < self->first[part + 1]; e++) {
        if (self->set[self->other[e]] == from) {
            /* It is inside now, and was outside. */
            self->inside[self->other[e]] += 2 * self->bytes[e];
        }
    }
}

/* Of members[low] to members[high], all in set 'from', as many as 'count' go
 * to the front, and into set 'taken'. */
static void
grow(struct arrangement *self, uint32_t low, uint32_t high, uint32_t count,
     uint32_t from, uint32_t taken)
{
    uint32_t *members = self->members;

    for (uint32_t i = low; i < high; i++) {
        const uint32_t part = members[i];

        self->inside[part] = 0;
        for (size_t e = self->first[part]; e < self->first[part + 1]; e++) {
            self->inside[part] -=
                self->set[self->other[e]] == from ? self->bytes[e] : 0;
        }
    }
    for (uint32_t i = low; i < low + count; i++) {
        uint32_t best = i;
        uint32_t part;

        for (uint32_t j = i + 1; j < high; j++) {
            if (self->inside[members[j]] > self->inside[members[best]]) {
                best = j;
            }
        }
        part = members[best];
        members[best] = members[i];
        members[i] = part;
        take(self, part, from, taken);
    }
}

static uint64_t
name_at(const struct arrangement *self, uint32_t at, uint32_t level)
{
    struct chi_lb_path path;

    chi_lb_path(self->problem, self->pes[at], &path);
    return path.names[level];
}

/* PEs pes[low] to pes[high] get members[low] to members[high], by the groups
 * of each level from 'level' on. *sets_inout counts names of sets. */
static void
divide(struct arrangement *self, uint32_t low, uint32_t high, uint32_t level,
       uint32_t set, uint32_t *sets_inout)
{
    while (low < high && level < CHI_LB_PATH_LEVELS) {
        const uint64_t name = name_at(self, low, level);
        uint32_t end = low + 1;

        while (end < high && name_at(self, end, level) == name) {
            end++;
        }
        if (end == high) { /* the last group, or the only one */
            level++;
            continue;
        }
        grow(self, low, high, end - low, set, ++*sets_inout);
        divide(self, low, end, level + 1, *sets_inout, sets_inout);
        low = end;
    }
    for (; low < high; low++) {
        self->where[self->members[low]] = self->pes[low];
        self->here[self->pes[low]] = self->members[low];
    }
}

static bool
is_uniform(const struct chi_lb_problem *problem)
{
    for (uint32_t pe = 1; pe < problem->pe_count; pe++) {
        if (chi_lb_speed(problem, pe) != chi_lb_speed(problem, 0)) {
            return false;
        }
    }
    return true;
}

/* Take the second way if it is much better than the first, which costs
 * 'cost'. */
static void
start_anew(struct arrangement *self, double cost)
{
    uint32_t sets = 0;

    memcpy(self->kept, self->where, self->pe_count * sizeof(*self->kept));
    for (uint32_t i = 0; i < self->pe_count; i++) {
        self->members[i] = i;
        self->set[i] = 0;
    }
    divide(self, 0, self->pe_count, 0, 0, &sets);
    improve(self);
    if (cost_of(self) > MUCH_BETTER * cost) {
        memcpy(self->where, self->kept, self->pe_count * sizeof(*self->kept));
    }
}

/* ---- all */

static bool
arrangement_alloc(struct arrangement *self)
{
    const size_t count = self->pe_count;

    self->pes = malloc(count * sizeof(uint32_t));
    self->at = malloc(count * sizeof(uint32_t));
    self->where = malloc(count * sizeof(uint32_t));
    self->here = malloc(count * sizeof(uint32_t));
    self->kept = malloc(count * sizeof(uint32_t));
    self->set = malloc(count * sizeof(uint32_t));
    self->members = malloc(count * sizeof(uint32_t));
    self->inside = malloc(count * sizeof(float));
    self->seen = calloc(count, sizeof(uint32_t));
    return self->pes != NULL && self->at != NULL && self->where != NULL &&
           self->here != NULL && self->kept != NULL && self->set != NULL &&
           self->members != NULL && self->inside != NULL && self->seen != NULL;
}

static void
arrangement_free(struct arrangement *self)
{
    free(self->pes);
    free(self->at);
    free(self->where);
    free(self->here);
    free(self->kept);
    free(self->set);
    free(self->members);
    free(self->inside);
    free(self->seen);
    free(self->first);
    free(self->other);
    free(self->bytes);
}

static chare_status
arrangement_init(struct arrangement *self, const uint32_t *to)
{
    chare_status status;

    for (uint32_t pe = 0; pe < self->pe_count; pe++) {
        self->pes[pe] = pe;
        self->where[pe] = pe;
        self->here[pe] = pe;
    }
    status = chi_lb_path_sort(self->problem, self->pes, self->pe_count);
    for (uint32_t i = 0; i < self->pe_count; i++) {
        self->at[self->pes[i]] = i;
    }
    return status == CHARE_OK ? make_graph(self, to) : status;
}

/* All PEs are in one cache, or nothing more is known. */
static bool
all_near(const struct arrangement *self)
{
    return chi_lb_hops(self->problem, self->pes[0],
                       self->pes[self->pe_count - 1]) <= 1;
}

static bool
is_fixed(const struct chi_lb_problem *problem, size_t object)
{
    return problem->fixed != NULL && problem->fixed[object] != 0;
}

/* Write it into 'to', unless objects that cannot move make it worse. */
static chare_status
apply(const struct arrangement *self, uint32_t *to)
{
    const struct chi_lb_problem *problem = self->problem;
    uint32_t *moved = malloc(problem->object_count * sizeof(*moved));
    struct chi_lb_quality before;
    struct chi_lb_quality after;
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (moved == NULL) {
        return status;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        moved[i] = is_fixed(problem, i) ? to[i] : self->where[to[i]];
    }
    status = chi_lb_evaluate(problem, to, &before);
    if (status == CHARE_OK) {
        status = chi_lb_evaluate(problem, moved, &after);
    }
    if (status == CHARE_OK && after.hop_bytes < before.hop_bytes) {
        memcpy(to, moved, problem->object_count * sizeof(*to));
    }
    free(moved);
    return status;
}

chare_status
chi_lb_arrange(const struct chi_lb_problem *problem, uint32_t *to,
               uint64_t *looks_out)
{
    struct arrangement self = {.problem = problem,
                               .pe_count = problem->pe_count};
    chare_status status = CHARE_ERR_NO_MEMORY;

    *looks_out = 0;
    if (problem->edge_first == NULL || problem->object_count == 0 ||
        problem->pe_count < 3) {
        return CHARE_OK;
    }
    if (arrangement_alloc(&self)) {
        status = arrangement_init(&self, to);
    }
    if (status == CHARE_OK && !all_near(&self)) {
        improve(&self);
        if (problem->pe_count <= CHI_LB_ARRANGE_PES_MAX &&
            is_uniform(problem)) {
            start_anew(&self, cost_of(&self));
        }
        status = apply(&self, to);
    }
    *looks_out = self.looks;
    arrangement_free(&self);
    return status;
}
