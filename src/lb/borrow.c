/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrow.c - a PE that has too much asks others to lend it their objects,
 * decides who of them all should have what, and returns them.
 *
 * One that borrows, or is lent, refuses at once; the other then decides with
 * those who did not. If even all of them together have too much, they share it
 * alike, and each goes on: so what is in few places is on many after few
 * rounds.
 */
#include "config.h"

#include <stdlib.h>

#include "base/check.h"
#include "lb/gossip_private.h"
#include "lb/group.h"

enum {
    ASKS = 4,        /* PEs asked, at least */
    ASKS_EXCESS = 2, /* more for each goal of excess */
    ASKS_LATE = 3,   /* more in each round from ROUND_MORE on */
    ROUND_MORE = 6,
    TRIES = 4, /* to find another PE by chance, for each that is asked */
    NEAR = 64, /* ranks that are near in the first round, either way */
};

struct lender {
    uint32_t pe;
    float time;
    float speed;
    uint32_t first; /* of its items, in the loan's */
    uint16_t count;
    uint16_t member; /* of the group; 0: it lends nothing */
};

struct chi_gossip_loan {
    struct lender lenders[CHI_GOSSIP_LENDERS_MAX];
    uint32_t count;
    uint32_t answers; /* that are missing */
    struct chi_lb_item *items;
    uint32_t item_count;
    uint32_t item_room;
};

static_assert((int)CHI_GROUP_MEMBERS_MAX > (int)CHI_GOSSIP_LENDERS_MAX,
              "a PE and all that it asks are a group");
static_assert(LEND_ITEMS_MAX <= 32, "a mask of what is lent has 32 bits");

/* Seconds that this PE wants to have, at most. */
static double
wanted_time(const struct chi_gossip *g)
{
    return (double)(g->round >= ROUND_LATE ? g->looser : g->goal);
}

/* ---- asking */

static uint32_t
asks_of(const struct chi_gossip *g)
{
    const double excess = chi_gossip_time(g) / wanted_time(g) - 1;
    uint32_t asks = ASKS;

    if (g->round >= ROUND_MORE) {
        asks += ASKS_LATE * (g->round - ROUND_MORE + 1);
    }
    if (excess >= (double)CHI_GOSSIP_LENDERS_MAX / ASKS_EXCESS) {
        return CHI_GOSSIP_LENDERS_MAX;
    }
    asks += (uint32_t)(excess * ASKS_EXCESS);
    return asks < CHI_GOSSIP_LENDERS_MAX ? asks : CHI_GOSSIP_LENDERS_MAX;
}

/* Another PE by chance: gossip takes any, others take near ones first. */
static uint32_t
someone(struct chi_gossip *g)
{
    const uint32_t size = g->port.size;
    const uint64_t near = (uint64_t)NEAR << g->round;
    uint64_t distance;

    if (g->port.spread == CHI_LB_GOSSIP || 2 * near >= size) {
        distance = 1 + chi_prng_below(&g->prng, size - 1);
    } else {
        distance = 1 + chi_prng_below(&g->prng, 2 * near);
        distance = distance <= near ? distance : size - (distance - near);
    }
    return (uint32_t)((g->port.rank + distance) % size);
}

static void
choose_lenders(struct chi_gossip *g, struct chi_gossip_loan *loan)
{
    const uint32_t others = g->port.size - 1;
    const uint32_t asks = asks_of(g);

    if (others <= asks) {
        for (uint32_t i = 1; i <= others; i++) {
            loan->lenders[loan->count++].pe =
                (uint32_t)(((uint64_t)g->port.rank + i) % g->port.size);
        }
        return;
    }
    for (uint32_t n = 0; n < TRIES * asks && loan->count < asks; n++) {
        const uint32_t pe = someone(g);
        uint32_t i;

        for (i = 0; i < loan->count && loan->lenders[i].pe != pe; i++) {
        }
        if (i == loan->count) {
            loan->lenders[loan->count++].pe = pe;
        }
    }
}

chare_status
chi_borrow_go_on(struct chi_gossip *g)
{
    struct chi_gossip_loan *loan;

    g->state = CHI_GOSSIP_IDLE;
    if (g->is_lent || chi_gossip_time(g) <= wanted_time(g) || g->count == 0 ||
        g->round >= CHI_GOSSIP_ROUNDS_MAX || g->port.size == 1) {
        return chi_gossip_look(g);
    }
    chi_assert(g->loan == NULL);
    loan = calloc(1, sizeof(*loan));
    if (loan == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    g->loan = loan;
    choose_lenders(g, loan);
    g->round++;
    g->rounds_max = g->coarse_rounds + g->round;
    g->state = CHI_GOSSIP_BORROWING;
    loan->answers = loan->count;
    for (uint32_t i = 0; i < loan->count; i++) {
        chi_gossip_put_kind(g, loan->lenders[i].pe, KIND_BORROW);
    }
    return CHARE_OK;
}

/* ---- lending */

/* Of many items some of each size come to the front. */
static void
choose_lent(struct chi_gossip *g)
{
    if (g->count <= LEND_ITEMS_MAX) {
        g->lent = g->count;
        return;
    }
    chi_gossip_sort(g);
    for (uint32_t i = 0; i < LEND_ITEMS_MAX; i++) {
        const uint32_t at =
            (uint32_t)((uint64_t)i * g->count / LEND_ITEMS_MAX);
        const struct chi_lb_item item = g->items[at];

        g->items[at] = g->items[i];
        g->items[i] = item;
    }
    g->lent = LEND_ITEMS_MAX;
}

chare_status
chi_borrow_asked(struct chi_gossip *g, uint32_t from)
{
    unsigned char bytes[32 + LEND_ITEMS_MAX * sizeof(struct chi_lb_item)];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const bool lends =
        g->state < CHI_GOSSIP_BORROWING && !g->is_lent && g->port.speed > 0;
    const bool engaged = lends && g->reported && g->engager == UINT32_MAX;
    const float time = (float)chi_gossip_time(g);

    chi_write_u8(&writer, KIND_LEND);
    chi_write_u8(&writer, lends);
    chi_write_u8(&writer, engaged);
    if (lends) {
        choose_lent(g);
        g->is_lent = true;
        g->engager = engaged ? from : g->engager;
        chi_write(&writer, &time, sizeof(time));
        chi_write(&writer, &g->port.speed, sizeof(g->port.speed));
        chi_write(&writer, g->items, g->lent * sizeof(*g->items));
    }
    chi_assert(!writer.bad);
    chi_gossip_put(g, from, bytes, (size_t)(writer.at - bytes));
    return CHARE_OK;
}

chare_status
chi_borrow_returned(struct chi_gossip *g, struct chi_reader *reader)
{
    const uint32_t round = chi_read_u8(reader);
    const uint32_t taken = chi_read_u32(reader);
    chare_status status;

    if (reader->bad || !g->is_lent ||
        (g->lent < 32 && taken >> g->lent != 0)) {
        return CHARE_ERR_FORMAT;
    }
    for (uint32_t i = g->lent; i-- > 0;) {
        if (taken >> i & 1) {
            (void)chi_gossip_drop(g, i);
        }
    }
    g->is_lent = false;
    g->lent = 0;
    if (chi_reader_left(reader) > 0 && round > g->round) {
        g->round = round;
    }
    status = chi_gossip_take_all(g, reader);
    if (status != CHARE_OK) {
        return status;
    }
    return g->state == CHI_GOSSIP_IDLE ? chi_borrow_go_on(g) : CHARE_OK;
}

/* ---- deciding */

static void
add_items(struct chi_group *group, const struct chi_lb_item *items,
          uint32_t first, uint32_t count, uint32_t member)
{
    for (uint32_t i = 0; i < count; i++) {
        group->items[group->item_count++] =
            (struct chi_group_item){items[first + i].work, (uint16_t)member,
                                    (uint16_t)member, first + i};
    }
}

/* This PE and who lends; 'items' has room for all of their items. */
static void
make_group(struct chi_gossip *g, struct chi_group *group,
           struct chi_group_item *items)
{
    const struct chi_gossip_loan *loan = g->loan;

    *group = (struct chi_group){.member_count = 1, .items = items};
    group->times[0] = chi_gossip_time(g);
    group->speeds[0] = (double)g->port.speed;
    add_items(group, g->items, 0, g->count, 0);
    for (uint32_t i = 0; i < loan->count; i++) {
        const struct lender *lender = &loan->lenders[i];

        if (lender->member != 0) {
            group->times[lender->member] = (double)lender->time;
            group->speeds[lender->member] = (double)lender->speed;
            add_items(group, loan->items, lender->first, lender->count,
                      lender->member);
            group->member_count++;
        }
    }
}

/* What is too much for one message stays where it is. */
static void
bound_given(struct chi_group *group)
{
    uint32_t given[CHI_GROUP_MEMBERS_MAX] = {0};

    for (uint32_t i = 0; i < group->item_count; i++) {
        struct chi_group_item *item = &group->items[i];

        if (item->at != item->from && ++given[item->at] > GIVE_ITEMS_MAX) {
            item->at = item->from;
        }
    }
}

static const struct chi_lb_item *
item_of(const struct chi_gossip *g, const struct chi_group_item *item)
{
    return item->from == 0 ? &g->items[item->index]
                           : &g->loan->items[item->index];
}

static void
give_back(struct chi_gossip *g, const struct chi_group *group,
          const struct lender *lender, unsigned char *bytes, size_t room)
{
    struct chi_writer writer = chi_writer_of(bytes, room);
    uint32_t taken = 0;

    for (uint32_t i = 0; i < group->item_count; i++) {
        const struct chi_group_item *item = &group->items[i];

        if (item->from == lender->member && item->at != lender->member) {
            taken |= UINT32_C(1) << (item->index - lender->first);
        }
    }
    chi_write_u8(&writer, KIND_RETURN);
    chi_write_u8(&writer, (uint8_t)g->round);
    chi_write_u32(&writer, taken);
    for (uint32_t i = 0; i < group->item_count; i++) {
        const struct chi_group_item *item = &group->items[i];

        if (item->at == lender->member && item->from != lender->member) {
            chi_write(&writer, item_of(g, item), sizeof(struct chi_lb_item));
        }
    }
    chi_assert(!writer.bad);
    chi_gossip_put(g, lender->pe, bytes, (size_t)(writer.at - bytes));
}

/* What is this PE's from now on, into 'kept', largest first. */
static void
keep(struct chi_gossip *g, const struct chi_group *group,
     struct chi_lb_item *kept)
{
    uint32_t count = 0;
    double work = 0;

    for (uint32_t i = 0; i < group->item_count; i++) {
        if (group->items[i].at == 0) {
            kept[count] = *item_of(g, &group->items[i]);
            work += (double)kept[count++].work;
        }
    }
    free(g->items);
    g->items = realloc(kept, (count + 1) * sizeof(*kept));
    g->items = g->items == NULL ? kept : g->items;
    g->room = count;
    g->count = count;
    g->work = work;
}

static chare_status
settle(struct chi_gossip *g)
{
    struct chi_gossip_loan *loan = g->loan;
    const size_t all = g->count + loan->item_count;
    const size_t room = 16 + GIVE_ITEMS_MAX * sizeof(struct chi_lb_item);
    struct chi_group_item *items = malloc((all + 1) * sizeof(*items));
    struct chi_lb_item *kept = malloc((all + 1) * sizeof(*kept));
    unsigned char *bytes = malloc(room);
    struct chi_group group;
    bool changed;

    if (items == NULL || kept == NULL || bytes == NULL) {
        free(items);
        free(kept);
        free(bytes);
        return CHARE_ERR_NO_MEMORY;
    }
    make_group(g, &group, items);
    changed =
        group.member_count > 1 && chi_group_balance(&group, wanted_time(g));
    bound_given(&group);
    for (uint32_t i = 0; i < loan->count; i++) {
        if (loan->lenders[i].member != 0) {
            give_back(g, &group, &loan->lenders[i], bytes, room);
        }
    }
    if (changed) {
        keep(g, &group, kept); /* is the PE's now */
    } else {
        free(kept);
    }
    free(items);
    free(bytes);
    chi_borrow_fini(g);
    return chi_borrow_go_on(g);
}

/* ---- what lenders answer */

static chare_status
put_items(struct chi_gossip *g, struct lender *lender,
          struct chi_reader *reader)
{
    struct chi_gossip_loan *loan = g->loan;
    const size_t count = chi_reader_left(reader) / sizeof(*loan->items);

    if (count > LEND_ITEMS_MAX) {
        return CHARE_ERR_FORMAT;
    }
    if (loan->item_count + count > loan->item_room) {
        const uint32_t room =
            loan->item_count + (uint32_t)count + loan->item_room;
        struct chi_lb_item *items =
            realloc(loan->items, room * sizeof(*items));

        if (items == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        loan->items = items;
        loan->item_room = room;
    }
    lender->first = loan->item_count;
    lender->count = (uint16_t)count;
    if (count > 0) {
        chi_read(reader, loan->items + loan->item_count,
                 count * sizeof(*loan->items));
    }
    for (size_t i = 0; i < count; i++) {
        if (!chi_gossip_item_ok(g, &loan->items[lender->first + i])) {
            return CHARE_ERR_FORMAT;
        }
    }
    loan->item_count += (uint32_t)count;
    chi_gossip_count_memory(g, sizeof(*loan) +
                                   loan->item_room * sizeof(*loan->items));
    return CHARE_OK;
}

chare_status
chi_borrow_lent(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    struct chi_gossip_loan *loan = g->loan;
    const bool lends = chi_read_u8(reader) != 0;
    const bool engaged = chi_read_u8(reader) != 0;
    struct lender *lender = NULL;
    chare_status status = CHARE_OK;
    uint16_t member = 1;

    for (uint32_t i = 0; loan != NULL && i < loan->count; i++) {
        member = (uint16_t)(member + (loan->lenders[i].member != 0));
        lender = loan->lenders[i].pe == from ? &loan->lenders[i] : lender;
    }
    if (reader->bad || lender == NULL || loan->answers == 0) {
        return CHARE_ERR_FORMAT;
    }
    if (lends) {
        lender->member = member;
        chi_read(reader, &lender->time, sizeof(lender->time));
        chi_read(reader, &lender->speed, sizeof(lender->speed));
        status = reader->bad ? CHARE_ERR_FORMAT : put_items(g, lender, reader);
    }
    g->engaged += engaged;
    loan->answers--;
    return status == CHARE_OK && loan->answers == 0 ? settle(g) : status;
}

void
chi_borrow_fini(struct chi_gossip *g)
{
    if (g->loan != NULL) {
        free(g->loan->items);
        free(g->loan);
        g->loan = NULL;
    }
}
