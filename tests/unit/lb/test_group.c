/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_group.c - a few PEs whose objects are all known are balanced: nothing
 * is lost, times are what they say, the fullest is never worse off, and full
 * PEs swap where nothing fits.
 */
#include "config.h"

#include <math.h>

#include "base/prng.h"
#include "lb/group.h"
#include "tap/tap.h"

enum {
    ITEMS_MAX = 300,
    SEEDS = 2000,
};

static struct chi_group_item items[ITEMS_MAX];

static void
add(struct chi_group *group, uint16_t member, float work)
{
    items[group->item_count] =
        (struct chi_group_item){work, member, member, group->item_count};
    group->item_count++;
    if (group->speeds[member] > 0) {
        group->times[member] += (double)work / group->speeds[member];
    }
}

static double
fullest(const struct chi_group *group)
{
    double most = 0;

    for (uint32_t m = 0; m < group->member_count; m++) {
        most = fmax(most, group->times[m]);
    }
    return most;
}

static void
never_worse(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct chi_group group = {.items = items};
        double times[CHI_GROUP_MEMBERS_MAX] = {0};
        struct chi_prng prng;
        double before;
        bool changed;

        chi_prng_init(&prng, seed);
        group.member_count =
            1 + (uint32_t)chi_prng_below(&prng, CHI_GROUP_MEMBERS_MAX);
        for (uint32_t m = 0; m < group.member_count; m++) {
            group.speeds[m] = 0.5 * (double)(1 + chi_prng_below(&prng, 4));
        }
        for (uint64_t n = chi_prng_below(&prng, ITEMS_MAX); n > 0; n--) {
            add(&group, (uint16_t)chi_prng_below(&prng, group.member_count),
                (float)(1 + chi_prng_below(&prng, 1000)) / 100);
        }
        before = fullest(&group);
        changed = chi_group_balance(&group, 10);
        for (uint32_t i = 0; i < group.item_count; i++) {
            CHECK(items[i].at < group.member_count);
            CHECK(changed || items[i].at == items[i].from);
            times[items[i].at] +=
                (double)items[i].work / group.speeds[items[i].at];
        }
        for (uint32_t m = 0; m < group.member_count; m++) {
            CHECK(!changed || fabs(times[m] - group.times[m]) < 1e-6);
            CHECK(times[m] <= before + 1e-6);
        }
    }
}

/* 5 + 4 and 4 + 3.5: nothing fits, but 5 for 4 does. */
static void
full_ones_swap(void)
{
    struct chi_group group = {
        .member_count = 2, .speeds = {1, 1}, .items = items};

    add(&group, 0, 5);
    add(&group, 0, 4);
    add(&group, 1, 4);
    add(&group, 1, 3.5f);
    CHECK(chi_group_balance(&group, 8.5));
    CHECK(fullest(&group) <= 8.5);
}

static void
speed_zero_is_rid_of_all(void)
{
    struct chi_group group = {
        .member_count = 3, .speeds = {0, 1, 1}, .items = items};

    group.times[0] = 1e30;
    for (int i = 0; i < 10; i++) {
        add(&group, 0, 1);
    }
    CHECK(chi_group_balance(&group, 5));
    for (uint32_t i = 0; i < group.item_count; i++) {
        CHECK(items[i].at != 0);
    }
    CHECK(fullest(&group) <= 5.5);
}

TAP_MAIN(TAP_CASE(never_worse), TAP_CASE(full_ones_swap),
         TAP_CASE(speed_zero_is_rid_of_all))
