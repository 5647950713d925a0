/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_GROUP_H
#define CHI_LB_GROUP_H

/*
 * group.h - a few PEs, and who of them should have which objects.
 *
 * What one PE decides for itself and those that lent it their objects. Few
 * objects change place: those above the goal give up what is too much, and
 * what does not fit elsewhere makes room for itself by what is smaller.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    CHI_GROUP_MEMBERS_MAX = 33,
};

struct chi_group_item {
    float work;
    uint16_t from; /* the member that has it */
    uint16_t at;   /* the member that should */
    uint32_t index;
};

struct chi_group {
    uint32_t member_count;
    double times[CHI_GROUP_MEMBERS_MAX];  /* seconds, with all items */
    double speeds[CHI_GROUP_MEMBERS_MAX]; /* 0: it is to get nothing */
    struct chi_group_item *items;         /* are sorted */
    uint32_t item_count;
};

/*
 * Set 'at' of the items, and 'times', so that nobody has more than 'goal', or
 * than all would have if they were alike. False: that makes the fullest no
 * better, and everything stays.
 */
bool chi_group_balance(struct chi_group *group, double goal);

#endif /* CHI_LB_GROUP_H */
