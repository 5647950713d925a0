/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gossip.c - balancing without a central step: what there is, who is done,
 * and who is told where objects are. borrow.c has how PEs balance each other.
 *
 * Invariants:
 *  G1  an object's name is held by one PE; what a PE lends it still holds, and
 *      does not touch until it is returned;
 *  G2  a PE that has too much changes nothing unless the fullest of those that
 *      take part is better off then;
 *  G3  rounds are the depth of what depends on each other, and are bounded by
 *      CHI_GOSSIP_ROUNDS_MAX; who is busy refuses at once, and nobody waits
 *      for one that waits: so this ends;
 *  G4  a PE reports to its parent in the tree when it has nothing to do, is
 *      not lent, and all that it has borrowed from after their reports have
 *      released it, which they do when they have nothing to do. So when the
 *      root has all reports, nobody has anything to do;
 *  G5  each owner hears, once for each of its objects that is elsewhere, where
 *      it is: it knows how many that are;
 *  G6  PEs borrow when all have ended the coarse part, where there is one.
 */
#include "config.h"

#include "lb/gossip.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "lb/gossip_private.h"

enum {
    IS_EVEN = 2, /* in what tells the goal, next to whether it was measured */
};

/* ---- small things */

double
chi_gossip_time(const struct chi_gossip *g)
{
    const double own = g->port.speed > 0 ? g->work / (double)g->port.speed : 0;

    /* A PE of no speed is to be rid of everything. */
    if (!(g->port.speed > 0) && g->count > 0) {
        return 1e30;
    }
    return own + (double)g->port.background;
}

void
chi_gossip_put(struct chi_gossip *g, uint32_t to, const void *bytes,
               size_t len)
{
    g->messages++;
    g->bytes += len;
    g->port.send(g->port.context, to, bytes, len);
}

void
chi_gossip_put_kind(struct chi_gossip *g, uint32_t to, enum kind kind)
{
    const uint8_t byte = (uint8_t)kind;

    chi_gossip_put(g, to, &byte, sizeof(byte));
}

static void
put_down(struct chi_gossip *g, const void *bytes, size_t len)
{
    for (uint32_t i = 0; i < g->port.child_count; i++) {
        chi_gossip_put(g, g->port.children[i], bytes, len);
    }
}

static chare_status
items_room(struct chi_gossip *g, uint32_t room)
{
    struct chi_lb_item *items;

    if (room <= g->room) {
        return CHARE_OK;
    }
    room += room / 4;
    items = realloc(g->items, room * sizeof(*items));
    if (items == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    g->items = items;
    g->room = room;
    return CHARE_OK;
}

bool
chi_gossip_item_ok(const struct chi_gossip *g, const struct chi_lb_item *item)
{
    return item->owner < g->port.size && isfinite(item->work) &&
           item->work >= 0;
}

static chare_status
take(struct chi_gossip *g, const struct chi_lb_item *item)
{
    const chare_status status = chi_gossip_item_ok(g, item)
                                    ? items_room(g, g->count + 1)
                                    : CHARE_ERR_FORMAT;

    if (status == CHARE_OK) {
        g->items[g->count++] = *item;
        g->work += (double)item->work;
    }
    return status;
}

chare_status
chi_gossip_take_all(struct chi_gossip *g, struct chi_reader *reader)
{
    while (chi_reader_left(reader) > 0) {
        struct chi_lb_item item;
        chare_status status;

        chi_read(reader, &item, sizeof(item));
        status = reader->bad ? CHARE_ERR_FORMAT : take(g, &item);
        if (status != CHARE_OK) {
            return status;
        }
    }
    return CHARE_OK;
}

struct chi_lb_item
chi_gossip_drop(struct chi_gossip *g, uint32_t at)
{
    const struct chi_lb_item item = g->items[at];

    g->work -= (double)item.work;
    g->items[at] = g->items[--g->count];
    if (g->count == 0) {
        g->work = 0; /* no rest of rounding */
    }
    return item;
}

static int
by_owner(const void *a, const void *b)
{
    const struct chi_lb_item *x = a;
    const struct chi_lb_item *y = b;

    if (x->owner != y->owner) {
        return x->owner < y->owner ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static int
by_work(const void *a, const void *b)
{
    const struct chi_lb_item *x = a;
    const struct chi_lb_item *y = b;

    if (x->work != y->work) {
        return x->work > y->work ? -1 : 1;
    }
    return by_owner(a, b);
}

void
chi_gossip_sort(struct chi_gossip *g)
{
    if (g->count > 1) {
        qsort(g->items, g->count, sizeof(*g->items), by_work);
    }
}

void
chi_gossip_count_memory(struct chi_gossip *g, size_t bytes)
{
    g->memory_most = bytes > g->memory_most ? bytes : g->memory_most;
}

/* ---- when all is decided */

static void
over_if_known(struct chi_gossip *g)
{
    if (g->finish_seen && g->gone == 0) {
        g->state = CHI_GOSSIP_OVER;
    }
}

/* Tell the owner of items [first, end) that they are here. */
static void
tell_owner(struct chi_gossip *g, uint32_t first, uint32_t end)
{
    unsigned char bytes[8 + sizeof(uint32_t) * PLACED_ITEMS_MAX];

    while (first < end) {
        struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
        const uint32_t count =
            end - first < PLACED_ITEMS_MAX ? end - first : PLACED_ITEMS_MAX;

        chi_write_u8(&writer, KIND_PLACED);
        for (uint32_t i = 0; i < count; i++) {
            chi_write_u32(&writer, g->items[first + i].id);
        }
        chi_assert(!writer.bad);
        chi_gossip_put(g, g->items[first].owner, bytes,
                       (size_t)(writer.at - bytes));
        first += count;
    }
}

static chare_status
finish(struct chi_gossip *g)
{
    uint32_t own_here = 0;

    chi_assert(g->state == CHI_GOSSIP_IDLE && !g->is_lent && g->engaged == 0);
    for (uint32_t i = 0; i < g->port.child_count; i++) {
        chi_gossip_put_kind(g, g->port.children[i], KIND_FINISH);
    }
    g->state = CHI_GOSSIP_PLACING;
    if (g->count > 1) {
        qsort(g->items, g->count, sizeof(*g->items), by_owner);
    }
    for (uint32_t i = 0, end; i < g->count; i = end) {
        for (end = i + 1;
             end < g->count && g->items[end].owner == g->items[i].owner;
             end++) {
        }
        if (g->items[i].owner == g->port.rank) {
            own_here = end - i;
        } else {
            tell_owner(g, i, end);
        }
    }
    /* PLACED may have come before: then 'gone' is below 0, modulo 2^32. */
    g->gone += g->own_count - own_here;
    g->finish_seen = true;
    over_if_known(g);
    return CHARE_OK;
}

static chare_status
placed(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    while (chi_reader_left(reader) >= sizeof(uint32_t)) {
        const uint32_t id = chi_read_u32(reader);

        if (id >= g->own_count || g->move_count == g->own_count) {
            return CHARE_ERR_FORMAT;
        }
        if (g->moves == NULL) {
            g->moves = malloc(g->own_count * sizeof(*g->moves));
        }
        if (g->moves == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        g->moves[g->move_count++] = (struct chi_gossip_move){id, from};
        g->gone--;
    }
    over_if_known(g);
    return CHARE_OK;
}

/* ---- termination, G4 */

chare_status
chi_gossip_look(struct chi_gossip *g)
{
    if (g->state != CHI_GOSSIP_IDLE || g->is_lent || g->engaged > 0) {
        return CHARE_OK;
    }
    if (g->engager != UINT32_MAX) {
        const uint32_t engager = g->engager;

        g->engager = UINT32_MAX;
        chi_gossip_put_kind(g, engager, KIND_RELEASE);
    }
    if (g->reported || g->reports > 0) {
        return CHARE_OK;
    }
    g->reported = true;
    if (chi_gossip_is_root(g)) {
        return finish(g);
    }
    chi_gossip_put_kind(g, g->port.parent, KIND_REPORT);
    return CHARE_OK;
}

/* ---- the coarse part, G6 */

static chare_status
fine(struct chi_gossip *g)
{
    put_down(g, &(uint8_t){KIND_FINE}, 1);
    chi_line_fini(g);
    chi_diffuse_fini(g);
    return chi_borrow_go_on(g);
}

static chare_status
coarse_look(struct chi_gossip *g)
{
    if (!g->coarse_done || g->coarse_missing > 0) {
        return CHARE_OK;
    }
    if (chi_gossip_is_root(g)) {
        return fine(g);
    }
    chi_gossip_put_kind(g, g->port.parent, KIND_GIVEN);
    return CHARE_OK;
}

chare_status
chi_gossip_coarse_over(struct chi_gossip *g)
{
    chi_assert(!g->coarse_done);
    g->coarse_done = true;
    return coarse_look(g);
}

/* ---- the beginning: what there is in all */

static chare_status
goal_known(struct chi_gossip *g)
{
    unsigned char bytes[16];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const bool measured = g->totals.measured > 0;

    if (g->port.may_count && !measured) {
        g->port.background = 0;
    }
    chi_write_u8(&writer, KIND_GOAL);
    chi_write_u8(&writer, (uint8_t)(measured | (g->is_even ? IS_EVEN : 0)));
    chi_write(&writer, &g->goal, sizeof(g->goal));
    chi_write(&writer, &g->looser, sizeof(g->looser));
    put_down(g, bytes, (size_t)(writer.at - bytes));
    g->state = CHI_GOSSIP_COARSE;
    switch (g->port.spread) {
    case CHI_LB_HIERARCHICAL:
        return chi_line_start(g);
    case CHI_LB_DIFFUSION:
        return chi_diffuse_start(g);
    default:
        return chi_borrow_go_on(g);
    }
}

/* At the root: whether the background of PEs without objects counts. */
static void
count_maybe(struct chi_gossip_totals *totals)
{
    if (totals->measured > 0) {
        totals->work += totals->work_maybe;
        totals->most = fmaxf(totals->most, totals->most_maybe);
        totals->stuck = fmaxf(totals->stuck, totals->most_maybe);
    }
}

static chare_status
sums_done(struct chi_gossip *g)
{
    unsigned char bytes[64];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const struct chi_gossip_totals *totals = &g->totals;

    if (g->sums_missing > 0) {
        return CHARE_OK;
    }
    if (chi_gossip_is_root(g)) {
        double mean;
        double least;

        count_maybe(&g->totals);
        mean = totals->speed > 0 ? totals->work / totals->speed : 0;
        least = totals->fastest > 0
                    ? (double)totals->largest / (double)totals->fastest
                    : 0;
        least = fmax(least, (double)totals->stuck);

        /* 'goal' holds the tolerance until here. */
        g->looser = (float)(mean > least ? mean : least);
        g->bound = g->looser; /* known to the root only */
        g->goal = g->looser * (1 + g->goal);
        g->looser *= 1.045f;
        g->looser = g->looser > g->goal ? g->looser : g->goal;
        g->is_even = totals->most <= g->goal && totals->stranded == 0;
        return goal_known(g);
    }
    chi_write_u8(&writer, KIND_SUM);
    chi_write(&writer, totals, sizeof(*totals));
    chi_assert(!writer.bad);
    chi_gossip_put(g, g->port.parent, bytes, (size_t)(writer.at - bytes));
    return CHARE_OK;
}

static chare_status
sum_came(struct chi_gossip *g, struct chi_reader *reader)
{
    struct chi_gossip_totals *totals = &g->totals;
    struct chi_gossip_totals more;

    chi_read(reader, &more, sizeof(more));
    if (reader->bad || g->sums_missing == 0) {
        return CHARE_ERR_FORMAT;
    }
    totals->work += more.work;
    totals->speed += more.speed;
    totals->objects += more.objects;
    totals->work_maybe += more.work_maybe;
    totals->measured |= more.measured;
    totals->stranded |= more.stranded;
    totals->most_maybe = fmaxf(totals->most_maybe, more.most_maybe);
    totals->most = fmaxf(totals->most, more.most);
    totals->stuck = fmaxf(totals->stuck, more.stuck);
    totals->largest =
        more.largest > totals->largest ? more.largest : totals->largest;
    totals->fastest =
        more.fastest > totals->fastest ? more.fastest : totals->fastest;
    g->sums_missing--;
    return sums_done(g);
}

static chare_status
goal_came(struct chi_gossip *g, struct chi_reader *reader)
{
    unsigned told;

    told = chi_read_u8(reader);
    g->totals.measured = (told & ~(unsigned)IS_EVEN) != 0;
    g->is_even = (told & IS_EVEN) != 0;
    chi_read(reader, &g->goal, sizeof(g->goal));
    chi_read(reader, &g->looser, sizeof(g->looser));
    if (reader->bad || g->state != CHI_GOSSIP_SUMMING) {
        return CHARE_ERR_FORMAT;
    }
    return goal_known(g);
}

/* ---- doors */

chare_status
chi_gossip_start(struct chi_gossip *g, const struct chi_lb_port *port,
                 const float *work, uint32_t count, float tolerance)
{
    chare_status status;

    *g = (struct chi_gossip){
        .port = *port,
        .own_count = count,
        .goal = tolerance,
        .engager = UINT32_MAX,
        .sums_missing = port->child_count,
        .coarse_missing = port->child_count,
        .reports = port->child_count,
    };
    status = items_room(g, count);
    if (status != CHARE_OK) {
        return status;
    }
    chi_prng_init(&g->prng, port->seed ^ chi_mix64(port->rank + 1));
    for (uint32_t i = 0; i < count; i++) {
        g->items[i] = (struct chi_lb_item){work[i], port->rank, i};
        g->work += (double)work[i];
        g->totals.largest =
            work[i] > g->totals.largest ? work[i] : g->totals.largest;
    }
    g->count = count;
    g->totals.work = g->work + (double)(port->background * port->speed);
    g->totals.speed = (double)port->speed;
    g->totals.fastest = port->speed;
    g->totals.objects = port->objects;
    g->totals.most = port->speed > 0 ? (float)chi_gossip_time(g) : 0;
    g->totals.stuck = port->background;
    g->totals.measured = port->measured;
    g->totals.stranded = !(port->speed > 0) && count > 0;
    if (port->may_count) {
        g->totals.work_maybe = g->totals.work;
        g->totals.most_maybe = g->totals.most;
        g->totals.work = 0;
        g->totals.most = 0;
        g->totals.stuck = 0;
    }
    return sums_done(g);
}

static chare_status
coarse_receive(struct chi_gossip *g, unsigned kind, uint32_t from,
               struct chi_reader *reader)
{
    switch (kind) {
    case KIND_TIME:
    case KIND_FLOW:
        return chi_diffuse_receive(g, kind, from, reader);
    case KIND_GIVEN:
        if (g->coarse_missing == 0) {
            return CHARE_ERR_FORMAT;
        }
        g->coarse_missing--;
        return coarse_look(g);
    case KIND_FINE:
        return fine(g);
    default:
        return chi_line_receive(g, kind, from, reader);
    }
}

chare_status
chi_gossip_receive(struct chi_gossip *g, uint32_t from, const void *bytes,
                   size_t len)
{
    struct chi_reader reader = chi_reader_of(bytes, len);
    const unsigned kind = chi_read_u8(&reader);

    if (from >= g->port.size) {
        return CHARE_ERR_FORMAT;
    }
    if (kind >= KIND_SIDES && kind <= KIND_FINE) {
        return coarse_receive(g, kind, from, &reader);
    }
    switch (kind) {
    case KIND_SUM:
        return sum_came(g, &reader);
    case KIND_GOAL:
        return goal_came(g, &reader);
    case KIND_BORROW:
        return chi_borrow_asked(g, from);
    case KIND_LEND:
        return chi_borrow_lent(g, from, &reader);
    case KIND_RETURN:
        return chi_borrow_returned(g, &reader);
    case KIND_RELEASE:
        if (g->engaged == 0) {
            return CHARE_ERR_FORMAT;
        }
        g->engaged--;
        return chi_gossip_look(g);
    case KIND_REPORT:
        if (g->reports == 0) {
            return CHARE_ERR_FORMAT;
        }
        g->reports--;
        return chi_gossip_look(g);
    case KIND_FINISH:
        return g->state == CHI_GOSSIP_IDLE && !g->is_lent && g->engaged == 0
                   ? finish(g)
                   : CHARE_ERR_FORMAT;
    case KIND_PLACED:
        return placed(g, from, &reader);
    default:
        return CHARE_ERR_FORMAT;
    }
}

void
chi_gossip_fini(struct chi_gossip *g)
{
    chi_line_fini(g);
    chi_diffuse_fini(g);
    chi_borrow_fini(g);
    free(g->items);
    free(g->moves);
}

size_t
chi_gossip_bytes(const struct chi_gossip *g)
{
    return sizeof(*g) + g->room * sizeof(*g->items) + g->memory_most +
           (g->moves == NULL ? 0 : g->own_count * sizeof(*g->moves));
}
