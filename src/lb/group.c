/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group.c - balancing of a few PEs whose objects are all known.
 *
 * Largest first, in one pass: what is pulled out is placed where it ends
 * first, and if that is above the aim, smaller objects are pulled out there,
 * which the same pass comes to later. Then the fullest moves or swaps one
 * object with another PE, as long as that helps.
 */
#include "config.h"

#include "lb/group.h"

#include <math.h>
#include <stdlib.h>

enum {
    IN_HAND = 0xffff, /* an item that is on no member */
    SWAPS_MAX = 24,
};

/* A group that is above the goal fills its members to a bit above its mean. */
#define ROOM 1.01
/* What is not worth a change. */
#define LITTLE 0.999
/* Of a PE that is to have nothing. */
#define FULL 1e30

static int
by_work(const void *a, const void *b)
{
    const struct chi_group_item *x = a;
    const struct chi_group_item *y = b;

    if (x->work != y->work) {
        return x->work > y->work ? -1 : 1;
    }
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static void
pull(struct chi_group *group, uint32_t item)
{
    const uint32_t member = group->items[item].at;

    if (group->speeds[member] > 0) {
        group->times[member] -=
            (double)group->items[item].work / group->speeds[member];
    }
    group->items[item].at = IN_HAND;
}

static void
put(struct chi_group *group, uint32_t item, uint32_t member)
{
    group->items[item].at = (uint16_t)member;
    group->times[member] +=
        (double)group->items[item].work / group->speeds[member];
}

/*
 * Pull out items of a member, from 'first' on, until it is at the aim: the
 * largest that are not more than has to go; then one that is.
 */
static void
shed(struct chi_group *group, uint32_t member, double aim, uint32_t first)
{
    const double speed = group->speeds[member];
    double excess =
        speed > 0 ? (group->times[member] - aim) * speed : (double)INFINITY;
    uint32_t last = UINT32_MAX;

    for (uint32_t i = first; i < group->item_count && excess > 0; i++) {
        if (group->items[i].at != member) {
            continue;
        }
        if ((double)group->items[i].work > excess) {
            last = i;
        } else {
            excess -= (double)group->items[i].work;
            pull(group, i);
        }
    }
    if (excess > 0 && last != UINT32_MAX) {
        pull(group, last);
    }
}

/* The member that would be the first to end with so much more. */
static uint32_t
first_to_end(const struct chi_group *group, double work)
{
    uint32_t best = UINT32_MAX;
    double best_time = 0;

    for (uint32_t m = 0; m < group->member_count; m++) {
        if (group->speeds[m] > 0) {
            const double time = group->times[m] + work / group->speeds[m];

            if (best == UINT32_MAX || time < best_time) {
                best = m;
                best_time = time;
            }
        }
    }
    return best;
}

static uint32_t
fullest_of(const struct chi_group *group)
{
    uint32_t most = 0;

    for (uint32_t m = 1; m < group->member_count; m++) {
        most = group->times[m] > group->times[most] ? m : most;
    }
    return most;
}

/* A move, or a swap with an item 'back' (UINT32_MAX: nothing comes back). */
struct swap {
    uint32_t item;
    uint32_t back;
    uint32_t with;
    double time; /* of the fuller of the two, afterwards */
};

/* The next item of a member from 'at' on; item_count: there is none. */
static uint32_t
next_of(const struct chi_group *group, uint32_t member, uint32_t at)
{
    while (at < group->item_count && group->items[at].at != member) {
        at++;
    }
    return at;
}

static void
try_swap(const struct chi_group *group, uint32_t full, uint32_t item,
         uint32_t with, uint32_t back, struct swap *best)
{
    const double less =
        (double)group->items[item].work -
        (back == UINT32_MAX ? 0 : (double)group->items[back].work);
    const double here = group->times[full] - less / group->speeds[full];
    const double there = group->times[with] + less / group->speeds[with];
    const double time = here > there ? here : there;

    if (less > 0 && time < best->time) {
        *best = (struct swap){item, back, with, time};
    }
}

/* What it is best to swap with this member: two fingers on sorted lists. */
static void
find_swap(const struct chi_group *group, uint32_t full, uint32_t with,
          struct swap *best)
{
    const double wanted = (group->times[full] - group->times[with]) /
                          (1 / group->speeds[full] + 1 / group->speeds[with]);
    uint32_t back = next_of(group, with, 0);
    uint32_t before = UINT32_MAX; /* the one before 'back' */

    for (uint32_t item = next_of(group, full, 0); item < group->item_count;
         item = next_of(group, full, item + 1)) {
        const double work = (double)group->items[item].work;

        while (back < group->item_count &&
               (double)group->items[back].work > work - wanted) {
            before = back;
            back = next_of(group, with, back + 1);
        }
        if (before != UINT32_MAX) {
            try_swap(group, full, item, with, before, best);
        }
        try_swap(group, full, item, with,
                 back < group->item_count ? back : UINT32_MAX, best);
    }
}

/* Swaps of the fullest, as long as they help. */
static void
swap_some(struct chi_group *group, double aim)
{
    for (int swaps = 0; swaps < SWAPS_MAX; swaps++) {
        const uint32_t full = fullest_of(group);
        struct swap best = {.with = UINT32_MAX,
                            .time = group->times[full] * LITTLE};

        if (group->times[full] <= aim || !(group->speeds[full] > 0)) {
            return;
        }
        for (uint32_t m = 0; m < group->member_count; m++) {
            if (m != full && group->speeds[m] > 0) {
                find_swap(group, full, m, &best);
            }
        }
        if (best.with == UINT32_MAX) {
            return;
        }
        pull(group, best.item);
        put(group, best.item, best.with);
        if (best.back != UINT32_MAX) {
            pull(group, best.back);
            put(group, best.back, full);
        }
    }
}

/* What all would have if they were alike; FULL: nobody can have anything. */
static double
mean_of(const struct chi_group *group)
{
    double work = 0;
    double speeds = 0;

    for (uint32_t m = 0; m < group->member_count; m++) {
        work += group->speeds[m] > 0 ? group->times[m] * group->speeds[m] : 0;
        speeds += group->speeds[m];
    }
    for (uint32_t i = 0; i < group->item_count; i++) {
        if (!(group->speeds[group->items[i].from] > 0)) {
            work += (double)group->items[i].work;
        }
    }
    return speeds > 0 ? work / speeds : FULL;
}

bool
chi_group_balance(struct chi_group *group, double goal)
{
    const double mean = mean_of(group);
    const double aim = mean > goal ? mean * ROOM : goal;
    const double before = group->times[fullest_of(group)];

    if (aim >= FULL || before <= goal) {
        return false;
    }
    qsort(group->items, group->item_count, sizeof(*group->items), by_work);
    for (uint32_t m = 0; m < group->member_count; m++) {
        if (group->times[m] > aim || !(group->speeds[m] > 0)) {
            shed(group, m, aim, 0);
            group->times[m] = group->speeds[m] > 0 ? group->times[m] : 0;
        }
    }
    for (uint32_t i = 0; i < group->item_count; i++) {
        if (group->items[i].at == IN_HAND) {
            const uint32_t m =
                first_to_end(group, (double)group->items[i].work);

            put(group, i, m);
            if (group->times[m] > aim) {
                shed(group, m, aim, i + 1);
            }
        }
    }
    swap_some(group, aim);
    if (group->times[fullest_of(group)] < before * LITTLE) {
        return true;
    }
    for (uint32_t i = 0; i < group->item_count; i++) {
        group->items[i].at = group->items[i].from;
    }
    return false;
}
