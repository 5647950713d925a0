/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * search.c - step by step, the fullest PE moves an object to another one, or
 * swaps it for a smaller one of that.
 *
 * (As RefineLB of Charm++: L. V. Kale and S. Krishnan, OOPSLA 1993; G. Zheng,
 * PhD thesis, UIUC 2005, section 3; with swaps.) What is too much on two PEs,
 * squared, falls with each step, so no PE becomes as full as the fullest was,
 * and it ends. One object that does is preferred to a swap, for that is two
 * moves. Pairs of objects are found by two fingers on sorted lists, and what
 * is looked at has a bound.
 */
#include "config.h"

#include "lb/strategies/search.h"

#include <stdlib.h>

enum {
    NONE = -1,
    LOOKS_PER_OBJECT = 16, /* objects looked at, at most, in all steps */
    LOOKS_FIRST = 1 << 16,
    LOOKS_FEW = 64,    /* for each object where there are few */
    PARTNERS_MAX = 32, /* that the fullest tries in a step */
    FEW = 4096,        /* objects: trying one more way costs little */
    TINY = 32,         /* likewise: nor does moving most of them */
};

/* What is won by less of what is too much is rounding. */
#define LITTLE 1e-6

struct search {
    struct chi_shed *shed;
    uint32_t *fullest;  /* heap of PEs, binary */
    uint32_t *emptiest; /* another one; both of those with a speed */
    uint32_t *at_full;  /* where a PE is in them */
    uint32_t *at_empty;
    uint32_t pes;
    int32_t *head; /* first object of a PE, the largest */
    int32_t *next; /* of an object */
    size_t looks;
    size_t looks_max;
};

/* An object of the fullest PE goes to another one, and one comes back. */
struct swap {
    int32_t item;
    int32_t back; /* NONE: nothing does */
    uint32_t with;
    bool enough; /* both are at the goal then */
    double most; /* time of the fuller of both then */
    double gain; /* for each move */
};

/* ---- two heaps over the same PEs */

static bool
goes_before(const struct search *search, bool full, uint32_t a, uint32_t b)
{
    const double *times = search->shed->times;

    if (times[a] != times[b]) {
        return full ? times[a] > times[b] : times[a] < times[b];
    }
    return a < b;
}

static void
heap_set(struct search *search, bool full, uint32_t at, uint32_t pe)
{
    (full ? search->fullest : search->emptiest)[at] = pe;
    (full ? search->at_full : search->at_empty)[pe] = at;
}

static void
heap_fix(struct search *search, bool full, uint32_t at)
{
    uint32_t *heap = full ? search->fullest : search->emptiest;
    const uint32_t pe = heap[at];

    while (at > 0 && goes_before(search, full, pe, heap[(at - 1) / 2])) {
        heap_set(search, full, at, heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < search->pes &&
            goes_before(search, full, heap[child + 1], heap[child])) {
            child++;
        }
        if (child >= search->pes ||
            !goes_before(search, full, heap[child], pe)) {
            break;
        }
        heap_set(search, full, at, heap[child]);
        at = child;
    }
    heap_set(search, full, at, pe);
}

static void
pe_changed(struct search *search, uint32_t pe)
{
    heap_fix(search, true, search->at_full[pe]);
    heap_fix(search, false, search->at_empty[pe]);
}

/* ---- what to swap */

/* What is above the goal counts by its square. */
static double
squared(double more)
{
    return more > 0 ? more * more : 0;
}

static double
work_of(const struct search *search, int32_t object)
{
    return object == NONE ? 0 : (double)search->shed->problem->work[object];
}

/* The fullest PE and another one; times in goals, above the goal. */
struct pair {
    uint32_t full;
    uint32_t with;
    double here;
    double there;
    double per_here; /* work to time */
    double per_there;
    double wanted; /* work that makes them alike if it moves */
    double before; /* what is too much */
};

static struct pair
pair_of(const struct search *search, uint32_t full, uint32_t with)
{
    const struct chi_shed *shed = search->shed;
    const double goal = shed->goal;
    struct pair pair = {
        .full = full,
        .with = with,
        .here = shed->times[full] / goal - 1,
        .there = shed->times[with] / goal - 1,
        .per_here = 1 / ((double)chi_lb_speed(shed->problem, full) * goal),
        .per_there = 1 / ((double)chi_lb_speed(shed->problem, with) * goal),
    };

    pair.wanted = (pair.here - pair.there) / (pair.per_here + pair.per_there);
    pair.before = squared(pair.here) + squared(pair.there);
    return pair;
}

static bool
is_better(const struct swap *a, const struct swap *b)
{
    if (a->enough != b->enough) {
        return a->enough;
    }
    if (!a->enough) {
        return a->gain > b->gain;
    }
    if ((a->back == NONE) != (b->back == NONE)) {
        return a->back == NONE;
    }
    return a->most < b->most;
}

static void
try_swap(const struct search *search, const struct pair *pair, int32_t item,
         int32_t back, struct swap *best)
{
    const double less = work_of(search, item) - work_of(search, back);
    const double here = pair->here - less * pair->per_here;
    const double there = pair->there + less * pair->per_there;
    const double most = here > there ? here : there;
    const double gain = (pair->before - squared(here) - squared(there)) /
                        (back == NONE ? 1 : 2);
    const struct swap swap = {item, back, pair->with, most <= 0, most, gain};

    if (less > 0 && gain > LITTLE * pair->before && is_better(&swap, best)) {
        *best = swap;
    }
}

/*
 * What it is best to swap with this PE: each object of the fullest alone, and
 * with the two that bring what it is rid of nearest to what is wanted.
 */
static void
find_swap(struct search *search, const struct pair *pair, struct swap *best)
{
    int32_t back = search->head[pair->with];
    int32_t before = NONE; /* the one before 'back' */

    for (int32_t item = search->head[pair->full]; item != NONE;
         item = search->next[item]) {
        const double most = work_of(search, item) - pair->wanted;

        search->looks++;
        try_swap(search, pair, item, NONE, best);
        while (back != NONE && work_of(search, back) > most) {
            search->looks++;
            before = back;
            back = search->next[back];
        }
        if (before != NONE) {
            try_swap(search, pair, item, before, best);
        }
        if (back != NONE) {
            try_swap(search, pair, item, back, best);
        }
    }
}

/* ---- steps */

static void
take_out(struct search *search, uint32_t pe, int32_t object)
{
    struct chi_shed *shed = search->shed;
    int32_t *link = &search->head[pe];

    while (*link != object) {
        link = &search->next[*link];
    }
    *link = search->next[object];
    shed->times[pe] -=
        work_of(search, object) / (double)chi_lb_speed(shed->problem, pe);
}

static void
put_in(struct search *search, uint32_t pe, int32_t object)
{
    struct chi_shed *shed = search->shed;
    int32_t *link = &search->head[pe];

    while (*link != NONE && work_of(search, *link) > work_of(search, object)) {
        link = &search->next[*link];
    }
    search->next[object] = *link;
    *link = object;
    shed->to[object] = pe;
    shed->times[pe] +=
        work_of(search, object) / (double)chi_lb_speed(shed->problem, pe);
}

/* One swap; false: nothing helps. */
static bool
step(struct search *search)
{
    const uint32_t full = search->fullest[0];
    struct swap best = {.with = full, .back = NONE};

    for (uint32_t i = 0; i < search->pes && i < PARTNERS_MAX; i++) {
        const uint32_t with = search->emptiest[i];

        if (with != full) {
            const struct pair pair = pair_of(search, full, with);

            find_swap(search, &pair, &best);
        }
        if (best.enough && best.back == NONE) {
            break;
        }
    }
    if (best.with == full) {
        return false;
    }
    take_out(search, full, best.item);
    if (best.back != NONE) {
        take_out(search, best.with, best.back);
        put_in(search, full, best.back);
    }
    put_in(search, best.with, best.item);
    pe_changed(search, full);
    pe_changed(search, best.with);
    return true;
}

static void
fill(struct search *search)
{
    const struct chi_shed *shed = search->shed;
    uint32_t count = 0;

    for (uint32_t pe = 0; pe < shed->problem->pe_count; pe++) {
        search->head[pe] = NONE;
        if (chi_lb_speed(shed->problem, pe) > 0) {
            heap_set(search, true, count, pe);
            heap_set(search, false, count, pe);
            count++;
        }
    }
    for (size_t i = shed->count; i-- > 0;) {
        const uint32_t object = shed->order[i];
        const uint32_t pe = shed->to[object];

        search->next[object] = search->head[pe];
        search->head[pe] = (int32_t)object;
    }
    for (search->pes = 1; search->pes < count; search->pes++) {
        heap_fix(search, true, search->pes);
        heap_fix(search, false, search->pes);
    }
}

chare_status
chi_lb_search(struct chi_shed *shed)
{
    const size_t pes = shed->problem->pe_count;
    struct search search = {
        .shed = shed,
        .fullest = malloc(pes * sizeof(uint32_t)),
        .emptiest = malloc(pes * sizeof(uint32_t)),
        .at_full = malloc(pes * sizeof(uint32_t)),
        .at_empty = malloc(pes * sizeof(uint32_t)),
        .head = malloc(pes * sizeof(int32_t)),
        .next = malloc(shed->problem->object_count * sizeof(int32_t)),
        .looks_max = shed->count <= FEW
                         ? (shed->count + 1) * LOOKS_FEW
                         : LOOKS_FIRST + shed->count * LOOKS_PER_OBJECT,
    };
    chare_status status = CHARE_ERR_NO_MEMORY;

    if (search.fullest != NULL && search.emptiest != NULL &&
        search.at_full != NULL && search.at_empty != NULL &&
        search.head != NULL && search.next != NULL) {
        fill(&search);
        while (search.looks < search.looks_max &&
               shed->times[search.fullest[0]] > shed->goal && step(&search)) {
        }
        status = CHARE_OK;
    }
    free(search.fullest);
    free(search.emptiest);
    free(search.at_full);
    free(search.at_empty);
    free(search.head);
    free(search.next);
    return status;
}

/* From where 'to' and 'times' are. */
static chare_status
search_on(struct chi_shed *shed)
{
    const chare_status status = chi_lb_search(shed);

    if (status == CHARE_OK) {
        chi_shed_offer(shed);
    }
    return status;
}

/* From where objects are, but for those that have to move. */
static chare_status
search_anew(struct chi_shed *shed)
{
    chare_status status = CHARE_OK;

    chi_shed_begin(shed, shed->problem->from);
    if (!shed->may_stay) {
        chi_shed_list(shed);
        status = chi_shed_give_up(shed, false);
        if (status == CHARE_OK) {
            status = chi_shed_place(shed, false);
        }
    }
    return status == CHARE_OK ? search_on(shed) : status;
}

/* What is decided by one move is not looked for again; nor does greedy, which
 * moves nearly all, have to mend what is near to the goal. */
chare_status
chi_lb_search_again(struct chi_shed *shed, bool anywhere)
{
    const double far =
        shed->goal * (shed->count <= TINY
                          ? 1
                          : 1 + (double)chi_lb_tolerance(shed->problem));
    chare_status status = CHARE_OK;

    if (!chi_shed_is_enough(shed)) {
        chi_shed_begin(shed, shed->best);
        status = search_on(shed);
    }
    if (shed->count > FEW) {
        return status;
    }
    if (status == CHARE_OK && shed->best_moves > 1) {
        status = search_anew(shed);
    }
    if (anywhere && status == CHARE_OK && shed->best_time > far) {
        char text[CHI_LB_TEXT_BYTES];

        status = chi_lb_decide(&chi_lb_greedy, shed->problem, shed->to, text);
        if (status == CHARE_OK) {
            chi_shed_begin(shed, shed->to);
            status = search_on(shed);
        }
    }
    return status;
}
