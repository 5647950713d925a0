/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refine.c - from the fullest PE to the emptiest, step by step.
 *
 * First what PEs above the goal give up goes where it fits; then local search:
 * the object of the fullest PE that brings it nearest to the middle between
 * it and the emptiest one moves there, as long as the fullest gets better.
 * (As RefineLB of Charm++: L. V. Kale and S. Krishnan, OOPSLA 1993; G. Zheng,
 * PhD thesis, UIUC 2005, section 3.)
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lb/strategies/shed.h"

enum {
    NONE = -1,
    LOOKS_PER_OBJECT = 16, /* objects looked at, at most, in all steps */
    LOOKS_FIRST = 1 << 16,
};

struct refine {
    struct chi_shed *shed;
    uint32_t *fullest;  /* heap of PEs, binary */
    uint32_t *emptiest; /* another one, of those with a speed */
    uint32_t *at_full;  /* where a PE is in them */
    uint32_t *at_empty;
    uint32_t pes;
    int32_t *head; /* first object of a PE */
    int32_t *next; /* of an object */
};

/* ---- two heaps over the same PEs */

static bool
goes_before(const struct refine *refine, bool full, uint32_t a, uint32_t b)
{
    const double *times = refine->shed->times;

    if (times[a] != times[b]) {
        return full ? times[a] > times[b] : times[a] < times[b];
    }
    return a < b;
}

static void
heap_set(struct refine *refine, bool full, uint32_t at, uint32_t pe)
{
    (full ? refine->fullest : refine->emptiest)[at] = pe;
    (full ? refine->at_full : refine->at_empty)[pe] = at;
}

static void
heap_fix(struct refine *refine, bool full, uint32_t at)
{
    uint32_t *heap = full ? refine->fullest : refine->emptiest;
    const uint32_t pe = heap[at];

    while (at > 0 && goes_before(refine, full, pe, heap[(at - 1) / 2])) {
        heap_set(refine, full, at, heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < refine->pes &&
            goes_before(refine, full, heap[child + 1], heap[child])) {
            child++;
        }
        if (child >= refine->pes ||
            !goes_before(refine, full, heap[child], pe)) {
            break;
        }
        heap_set(refine, full, at, heap[child]);
        at = child;
    }
    heap_set(refine, full, at, pe);
}

static void
pe_changed(struct refine *refine, uint32_t pe)
{
    heap_fix(refine, true, refine->at_full[pe]);
    heap_fix(refine, false, refine->at_empty[pe]);
}

/* ---- steps */

/*
 * The object of 'pe' nearest to 'wanted' work that is below 'limit'; *link_out
 * points at it in the list of the PE. Looks at all of them.
 */
static int32_t
find_nearest(struct refine *refine, uint32_t pe, double wanted, double limit,
             int32_t **link_out, size_t *looks)
{
    const float *work = refine->shed->problem->work;
    double best_off = 0;
    int32_t best = NONE;

    for (int32_t *link = &refine->head[pe]; *link != NONE;
         link = &refine->next[*link]) {
        const double w = (double)work[*link];
        const double off = w > wanted ? w - wanted : wanted - w;

        (*looks)++;
        if (w < limit && (best == NONE || off < best_off)) {
            best = *link;
            best_off = off;
            *link_out = link;
        }
    }
    return best;
}

/* One object moves; false: nothing helps. */
static bool
step(struct refine *refine, size_t *looks)
{
    struct chi_shed *shed = refine->shed;
    const uint32_t high = refine->fullest[0];
    const uint32_t low = refine->emptiest[0];
    const double high_speed = (double)chi_lb_speed(shed->problem, high);
    const double low_speed = (double)chi_lb_speed(shed->problem, low);
    const double gap = shed->times[high] - shed->times[low];
    const double work_limit = gap * low_speed;
    const double excess = (shed->times[high] - shed->goal) * high_speed;
    double wanted = gap / (1 / high_speed + 1 / low_speed);
    int32_t *link = NULL;
    int32_t object;

    /* No more than has to move, if that fits. */
    if (excess < wanted) {
        wanted = excess;
    }
    object = find_nearest(refine, high, wanted, work_limit * (1 - 1e-6), &link,
                          looks);
    if (object == NONE) {
        return false;
    }
    *link = refine->next[object];
    refine->next[object] = refine->head[low];
    refine->head[low] = object;
    shed->to[object] = low;
    shed->times[high] -= (double)shed->problem->work[object] / high_speed;
    shed->times[low] += (double)shed->problem->work[object] / low_speed;
    pe_changed(refine, high);
    pe_changed(refine, low);
    return true;
}

static void
refine_init(struct refine *refine)
{
    const struct chi_shed *shed = refine->shed;
    uint32_t count = 0;

    for (uint32_t pe = 0; pe < shed->problem->pe_count; pe++) {
        refine->head[pe] = NONE;
        if (chi_lb_speed(shed->problem, pe) > 0) {
            heap_set(refine, true, count, pe);
            heap_set(refine, false, count, pe);
            count++;
        }
    }
    for (size_t i = shed->count; i-- > 0;) {
        const uint32_t object = shed->order[i];
        const uint32_t pe = shed->to[object];

        refine->next[object] = refine->head[pe];
        refine->head[pe] = (int32_t)object;
    }
    for (refine->pes = 1; refine->pes < count; refine->pes++) {
        heap_fix(refine, true, refine->pes);
        heap_fix(refine, false, refine->pes);
    }
}

static chare_status
search(struct chi_shed *shed)
{
    const size_t pes = shed->problem->pe_count;
    const size_t looks_max =
        LOOKS_FIRST + shed->problem->object_count * LOOKS_PER_OBJECT;
    struct refine refine = {
        .shed = shed,
        .fullest = malloc(pes * sizeof(uint32_t)),
        .emptiest = malloc(pes * sizeof(uint32_t)),
        .at_full = malloc(pes * sizeof(uint32_t)),
        .at_empty = malloc(pes * sizeof(uint32_t)),
        .head = malloc(pes * sizeof(int32_t)),
        .next = malloc(shed->problem->object_count * sizeof(int32_t)),
    };
    chare_status status = CHARE_ERR_NO_MEMORY;
    size_t looks = 0;

    if (refine.fullest != NULL && refine.emptiest != NULL &&
        refine.at_full != NULL && refine.at_empty != NULL &&
        refine.head != NULL && refine.next != NULL) {
        refine_init(&refine);
        while (looks < looks_max &&
               shed->times[refine.fullest[0]] > shed->goal &&
               step(&refine, &looks)) {
        }
        status = CHARE_OK;
    }
    free(refine.fullest);
    free(refine.emptiest);
    free(refine.at_full);
    free(refine.at_empty);
    free(refine.head);
    free(refine.next);
    return status;
}

/*
 * What fits, goes, and the search mends the rest. Where that ends too high,
 * since large objects stand in each other's way: placing them without regard
 * to the goal, and then the search.
 */
static chare_status
decide(struct chi_shed *shed)
{
    const struct chi_lb_problem *problem = shed->problem;
    chare_status status;

    chi_shed_list(shed);
    status = chi_shed_give_up(shed);
    if (status == CHARE_OK) {
        status = chi_shed_place(shed, true);
    }
    if (status == CHARE_OK && chi_shed_makespan(shed) > shed->goal) {
        status = search(shed);
    }
    if (status != CHARE_OK ||
        chi_shed_makespan(shed) <= shed->goal * (1 + 1e-6)) {
        return status;
    }
    memcpy(shed->to, problem->from, problem->object_count * sizeof(*shed->to));
    chi_lb_times(problem, shed->to, shed->times);
    status = chi_shed_turns(shed);
    if (status == CHARE_OK) {
        chi_lb_times(problem, shed->to, shed->times);
        status = search(shed);
    }
    return status;
}

static chare_status
refine_decide(const struct chi_lb_problem *problem, uint32_t *to, char *text)
{
    (void)text;
    return chi_shed_decide(problem, to, decide);
}

const struct chi_lb_strategy chi_lb_refine = {
    .name = "refine",
    .help = "from the fullest PE to the emptiest, as few moves as it takes",
    .keeps = true,
    .decide = refine_decide,
};
