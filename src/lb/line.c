/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * line.c - from where there is too much to where there is room, by the sums of
 * a tree.
 *
 * What PEs have above the goal is laid out on a line, in the order of the
 * tree, children from the nearest on; what they have room for on another. Each
 * inner PE knows only the sums of its children, and tells each where on the
 * lines its part begins. The one line is stretched to the other's length, and
 * what lies above each other goes there: so what is too much stays as near as
 * can be (nothing on a line can be moved less far, in all).
 *
 * Who has a place on the line of rooms is known to its host, the PE that a
 * cell of this line falls to; a cell is as long as the most room of any PE, so
 * that a host knows few, and few of them send to it. Objects are given by
 * their middles.
 *
 * Invariants:
 *  L1  amounts are whole numbers, so that places on a line are without gaps:
 *      each middle is in the room of one PE, and its host hears of it;
 *  L2  an item is held by who gave it until it is on its way, by one message
 *      at a time from then on, and by its host while that waits for the PE
 *      with the room; who gave it is done when all that it gave are taken;
 *  L3  room that is less than a part of the goal does not count;
 *  L4  nobody waits for a host to hear of room that nothing is given to: it
 *      may hear of it when all is over, and does not care.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "lb/gossip_private.h"

enum {
    UNITS = 1 << 20, /* of a goal */
    LITTLE = 64,     /* parts of a goal that do not count */
    GIVE_MAX = 64,   /* items in one message */
    ROUNDS = 3,      /* sums, places, giving */
    HAND_ROOM = 16 + GIVE_MAX * sizeof(struct chi_lb_item),
};

struct sides {
    uint64_t surplus;
    uint64_t room;
    uint64_t room_most; /* of one PE */
};

/* Where a part of the tree begins, and how long the lines are. */
struct places {
    struct sides all;
    uint64_t surplus_at;
    uint64_t room_at;
};

/* On the wire. */
struct given {
    struct chi_lb_item item;
    uint32_t giver;
    uint64_t at; /* on the line of rooms */
};

struct hold {
    uint64_t first;
    uint64_t end;
    uint64_t pe;
};

struct chi_line {
    struct sides own;
    struct sides sum; /* of the subtree */
    struct places places;
    uint32_t missing;
    uint32_t awaiting; /* items given and not yet taken */

    /* As a host. */
    struct hold *holds;
    uint32_t hold_count;
    struct given *waiting;
    uint32_t wait_count;
    uint32_t wait_room;

    struct sides children[]; /* as the port lists them */
};

/* ---- the sums */

static struct sides
own_sides(const struct chi_gossip *g)
{
    const double speed = (double)g->port.speed;
    const double unit = (double)g->goal / UNITS;
    const double more = (chi_gossip_time(g) - (double)g->goal) * speed;
    struct sides sides = {0};

    if (!(unit > 0)) {
        return sides;
    }
    if (!(speed > 0)) {
        sides.surplus = (uint64_t)(g->work / unit);
    } else if (more > (double)g->goal * speed / LITTLE) {
        sides.surplus = (uint64_t)(more / unit);
    } else if (-more > (double)g->goal * speed / LITTLE) {
        sides.room = (uint64_t)(-more / unit);
        sides.room_most = sides.room;
    }
    return sides;
}

static void
add_sides(struct sides *sum, const struct sides *more)
{
    sum->surplus += more->surplus;
    sum->room += more->room;
    sum->room_most =
        more->room_most > sum->room_most ? more->room_most : sum->room_most;
}

/* ---- giving */

static uint32_t
host_of(const struct chi_gossip *g, uint64_t at)
{
    const struct sides *all = &g->line->places.all;
    const uint64_t cells = (all->room - 1) / all->room_most + 1;

    return (uint32_t)(at / all->room_most * g->port.size / cells);
}

static void
tell_hosts(struct chi_gossip *g)
{
    const struct chi_line *line = g->line;
    const uint64_t cell = line->places.all.room_most;
    const struct hold hold = {line->places.room_at,
                              line->places.room_at + line->own.room,
                              g->port.rank};

    for (uint64_t at = hold.first; at < hold.end;
         at = (at / cell + 1) * cell) {
        unsigned char bytes[1 + sizeof(hold)];

        bytes[0] = KIND_HOLD;
        memcpy(bytes + 1, &hold, sizeof(hold));
        chi_gossip_put(g, host_of(g, at), bytes, sizeof(bytes));
    }
}

static void
send_given(struct chi_gossip *g, const struct given *given, uint32_t count)
{
    unsigned char bytes[1 + GIVE_MAX * sizeof(*given)];

    if (count > 0) {
        bytes[0] = KIND_GIVE;
        memcpy(bytes + 1, given, count * sizeof(*given));
        chi_gossip_put(g, host_of(g, given[0].at), bytes,
                       1 + count * sizeof(*given));
        g->line->awaiting += count;
    }
}

/* Where an amount from 'done' on has its middle, on the line of rooms. */
static uint64_t
middle_of(const struct chi_line *line, uint64_t done, uint64_t units)
{
    const struct sides *all = &line->places.all;
    const double at =
        (double)(line->places.surplus_at + done) + (double)units / 2;
    const uint64_t place =
        (uint64_t)(at / (double)all->surplus * (double)all->room);

    return place < all->room ? place : all->room - 1;
}

/* The largest that are not more than has to go, or by less than half. */
static void
give_all(struct chi_gossip *g)
{
    const struct chi_line *line = g->line;
    const double unit = (double)g->goal / UNITS;
    struct given batch[GIVE_MAX];
    uint32_t count = 0;
    uint32_t kept = 0;
    uint64_t done = 0;

    chi_gossip_sort(g);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct chi_lb_item item = g->items[i];
        const uint64_t units = (uint64_t)((double)item.work / unit);
        const uint64_t at = middle_of(line, done, units);

        if (done + units / 2 >= line->own.surplus || units == 0) {
            g->items[kept++] = item;
            continue;
        }
        if (count == GIVE_MAX ||
            (count > 0 && host_of(g, at) != host_of(g, batch[0].at))) {
            send_given(g, batch, count);
            count = 0;
        }
        batch[count++] = (struct given){item, g->port.rank, at};
        g->work -= (double)item.work;
        done += units;
    }
    g->count = kept;
    send_given(g, batch, count);
}

static chare_status
places_known(struct chi_gossip *g)
{
    struct chi_line *line = g->line;
    struct places next = line->places;
    unsigned char bytes[1 + sizeof(next)];
    const bool some =
        line->places.all.surplus > 0 && line->places.all.room > 0;

    bytes[0] = KIND_PLACES;
    next.surplus_at += line->own.surplus;
    next.room_at += line->own.room;
    /* The nearest child is the last one: what its part lacks lies next to what
     * is too much here. */
    for (uint32_t i = g->port.child_count; i-- > 0;) {
        memcpy(bytes + 1, &next, sizeof(next));
        chi_gossip_put(g, g->port.children[i], bytes, sizeof(bytes));
        next.surplus_at += line->children[i].surplus;
        next.room_at += line->children[i].room;
    }
    if (some && line->own.room > 0) {
        tell_hosts(g);
    }
    if (some && line->own.surplus > 0) {
        give_all(g);
    }
    return line->awaiting == 0 ? chi_gossip_coarse_over(g) : CHARE_OK;
}

static chare_status
places_came(struct chi_gossip *g, struct chi_reader *reader)
{
    struct places places;

    chi_read(reader, &places, sizeof(places));
    if (reader->bad || (places.all.room > 0 && places.all.room_most == 0)) {
        return CHARE_ERR_FORMAT;
    }
    g->line->places = places;
    return places_known(g);
}

static chare_status
sides_look(struct chi_gossip *g)
{
    struct chi_line *line = g->line;
    unsigned char bytes[1 + sizeof(line->sum)];

    if (line->missing > 0) {
        return CHARE_OK;
    }
    if (chi_gossip_is_root(g)) {
        line->places = (struct places){.all = line->sum};
        return places_known(g);
    }
    bytes[0] = KIND_SIDES;
    memcpy(bytes + 1, &line->sum, sizeof(line->sum));
    chi_gossip_put(g, g->port.parent, bytes, sizeof(bytes));
    return CHARE_OK;
}

static chare_status
sides_came(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    struct chi_line *line = g->line;
    struct sides sides;
    uint32_t child;

    chi_read(reader, &sides, sizeof(sides));
    for (child = 0;
         child < g->port.child_count && g->port.children[child] != from;
         child++) {
    }
    if (reader->bad || child == g->port.child_count || line->missing == 0) {
        return CHARE_ERR_FORMAT;
    }
    line->children[child] = sides;
    add_sides(&line->sum, &sides);
    line->missing--;
    return sides_look(g);
}

/* ---- hosts */

static void
count_memory(struct chi_gossip *g)
{
    const struct chi_line *line = g->line;

    chi_gossip_count_memory(
        g, sizeof(*line) + g->port.child_count * sizeof(line->children[0]) +
               line->hold_count * sizeof(*line->holds) +
               line->wait_room * sizeof(*line->waiting));
}

static void
send_hand(struct chi_gossip *g, uint32_t to, uint32_t giver,
          const struct chi_lb_item *items, uint32_t count)
{
    unsigned char bytes[HAND_ROOM];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    if (count > 0) {
        chi_write_u8(&writer, KIND_HAND);
        chi_write_u32(&writer, giver);
        chi_write(&writer, items, count * sizeof(*items));
        chi_assert(!writer.bad);
        chi_gossip_put(g, to, bytes, (size_t)(writer.at - bytes));
    }
}

/* Hand over what waits for this one. */
static void
hand_over(struct chi_gossip *g, const struct hold *hold)
{
    struct chi_line *line = g->line;
    struct chi_lb_item items[GIVE_MAX];
    uint32_t giver = 0;
    uint32_t count = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < line->wait_count; i++) {
        const struct given given = line->waiting[i];

        if (given.at < hold->first || given.at >= hold->end) {
            line->waiting[kept++] = given;
            continue;
        }
        if (count == GIVE_MAX || given.giver != giver) {
            send_hand(g, (uint32_t)hold->pe, giver, items, count);
            count = 0;
        }
        giver = given.giver;
        items[count++] = given.item;
    }
    send_hand(g, (uint32_t)hold->pe, giver, items, count);
    line->wait_count = kept;
}

static chare_status
hold_came(struct chi_gossip *g, struct chi_reader *reader)
{
    struct chi_line *line = g->line;
    struct hold *holds =
        realloc(line->holds, (line->hold_count + 1) * sizeof(*holds));

    if (holds == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    line->holds = holds;
    chi_read(reader, &holds[line->hold_count], sizeof(*holds));
    if (reader->bad || holds[line->hold_count].pe >= g->port.size) {
        return CHARE_ERR_FORMAT;
    }
    hand_over(g, &holds[line->hold_count++]);
    count_memory(g);
    return CHARE_OK;
}

static chare_status
given_came(struct chi_gossip *g, struct chi_reader *reader)
{
    struct chi_line *line = g->line;
    const uint32_t count =
        (uint32_t)(chi_reader_left(reader) / sizeof(*line->waiting));

    if (line->wait_count + count > line->wait_room) {
        const uint32_t room = line->wait_count + count;
        struct given *waiting =
            realloc(line->waiting, room * sizeof(*waiting));

        if (waiting == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        line->waiting = waiting;
        line->wait_room = room;
    }
    for (uint32_t i = 0; i < count; i++) {
        chi_read(reader, &line->waiting[line->wait_count],
                 sizeof(*line->waiting));
        if (line->waiting[line->wait_count++].giver >= g->port.size) {
            return CHARE_ERR_FORMAT;
        }
    }
    for (uint32_t i = 0; i < line->hold_count && line->wait_count > 0; i++) {
        hand_over(g, &line->holds[i]);
    }
    count_memory(g);
    return CHARE_OK;
}

/* ---- who has room */

static chare_status
hand_came(struct chi_gossip *g, struct chi_reader *reader)
{
    const uint32_t giver = chi_read_u32(reader);
    unsigned char bytes[8];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const uint32_t before = g->count;
    chare_status status;

    if (reader->bad || giver >= g->port.size) {
        return CHARE_ERR_FORMAT;
    }
    status = chi_gossip_take_all(g, reader);
    if (status != CHARE_OK) {
        return status;
    }
    chi_write_u8(&writer, KIND_TAKEN);
    chi_write_u32(&writer, g->count - before);
    chi_gossip_put(g, giver, bytes, (size_t)(writer.at - bytes));
    return CHARE_OK;
}

static chare_status
taken_came(struct chi_gossip *g, struct chi_reader *reader)
{
    const uint32_t count = chi_read_u32(reader);

    if (reader->bad || count == 0 || count > g->line->awaiting) {
        return CHARE_ERR_FORMAT;
    }
    g->line->awaiting -= count;
    return g->line->awaiting == 0 ? chi_gossip_coarse_over(g) : CHARE_OK;
}

/* ---- doors */

chare_status
chi_line_start(struct chi_gossip *g)
{
    struct chi_line *line = calloc(
        1, sizeof(*line) + g->port.child_count * sizeof(line->children[0]));

    if (line == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    g->line = line;
    g->coarse_rounds = ROUNDS;
    g->rounds_max = ROUNDS;
    line->missing = g->port.child_count;
    line->own = own_sides(g);
    line->sum = line->own;
    count_memory(g);
    return sides_look(g);
}

chare_status
chi_line_receive(struct chi_gossip *g, unsigned kind, uint32_t from,
                 struct chi_reader *reader)
{
    if (g->line == NULL) {
        return kind == KIND_HOLD ? CHARE_OK : CHARE_ERR_FORMAT; /* L4 */
    }
    switch (kind) {
    case KIND_SIDES:
        return sides_came(g, from, reader);
    case KIND_PLACES:
        return places_came(g, reader);
    case KIND_HOLD:
        return hold_came(g, reader);
    case KIND_GIVE:
        return given_came(g, reader);
    case KIND_HAND:
        return hand_came(g, reader);
    case KIND_TAKEN:
        return taken_came(g, reader);
    default:
        return CHARE_ERR_FORMAT;
    }
}

void
chi_line_fini(struct chi_gossip *g)
{
    if (g->line != NULL) {
        free(g->line->holds);
        free(g->line->waiting);
        free(g->line);
        g->line = NULL;
    }
}
