/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gossip.c - balancing without a central step.
 *
 * Invariants:
 *  G1  an object's name is held by one PE, or is in one offer and then counts
 *      at the one who offers, which takes it back when it is refused;
 *  G2  a PE takes nothing that lifts it above the limit the offer names; the
 *      limit is the goal, or, where the other has several times that, a part
 *      of what it has: then it is set to work itself, with the next round;
 *  G3  rounds are the depth of what depends on each other, and are bounded by
 *      CHI_GOSSIP_ROUNDS_MAX, so this ends;
 *  G4  a PE reports to its parent in the tree when it has nothing to do, waits
 *      for no answer and nobody that it has set to work is still at it; one
 *      that is set to work after its report is waited for by who did it. So
 *      when the root has all reports, nobody has anything to do;
 *  G5  each owner hears, once for each of its objects that is elsewhere, where
 *      it is: it knows how many that are.
 */
#include "config.h"

#include "lb/gossip.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "lb/gossip_private.h"

/* ---- small things */

static double
time_of(const struct chi_gossip *g)
{
    const double own = g->port.speed > 0 ? g->work / (double)g->port.speed : 0;

    /* A PE of no speed is to be rid of everything. */
    if (!(g->port.speed > 0) && g->count + g->pending > 0) {
        return 1e30;
    }
    return own + (double)g->port.background;
}

static void
put(struct chi_gossip *g, uint32_t to, const void *bytes, size_t len)
{
    g->messages++;
    g->bytes += len;
    g->port.send(g->port.context, to, bytes, len);
}

static void
put_kind(struct chi_gossip *g, uint32_t to, enum kind kind)
{
    const uint8_t byte = (uint8_t)kind;

    put(g, to, &byte, sizeof(byte));
}

static chare_status
items_room(struct chi_gossip *g, uint32_t room)
{
    struct chi_lb_item *items;

    if (room <= g->room) {
        return CHARE_OK;
    }
    room += room / 2;
    items = realloc(g->items, room * sizeof(*items));
    if (items == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    g->items = items;
    items = realloc(g->spare, room * sizeof(*items));
    if (items == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    g->spare = items;
    g->room = room;
    return CHARE_OK;
}

static uint32_t
least_room(const struct chi_gossip *g)
{
    uint32_t least = 0;

    for (uint32_t i = 1; i < g->known_count; i++) {
        if (g->known[i].time > g->known[least].time) {
            least = i;
        }
    }
    return least;
}

static void
know(struct chi_gossip *g, uint32_t pe, float time, float speed)
{
    uint32_t at;

    if (pe == g->port.rank || !(speed > 0)) {
        return;
    }
    for (at = 0; at < g->known_count && g->known[at].pe != pe; at++) {
    }
    if (at == g->known_count) {
        if (time >= g->goal) {
            return; /* it has no room */
        }
        if (at < CHI_GOSSIP_KNOWN_MAX) {
            g->known_count++;
        } else if ((at = least_room(g)), g->known[at].time <= time) {
            return;
        }
    }
    g->known[at] = (struct chi_gossip_known){pe, time, speed};
    if (time >= g->goal) {
        g->known[at] = g->known[--g->known_count];
    }
}

/* ---- when all is decided */

static chare_status
over_if_known(struct chi_gossip *g)
{
    if (g->finish_seen && g->gone == 0) {
        g->state = CHI_GOSSIP_OVER;
    }
    return CHARE_OK;
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

/* Tell the owner of items [first, end) that they are here. */
static void
tell_owner(struct chi_gossip *g, uint32_t first, uint32_t end)
{
    unsigned char bytes[8 + sizeof(uint32_t) * OFFER_ITEMS_MAX];

    while (first < end) {
        struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
        const uint32_t count =
            end - first < OFFER_ITEMS_MAX ? end - first : OFFER_ITEMS_MAX;

        chi_write_u8(&writer, KIND_PLACED);
        for (uint32_t i = 0; i < count; i++) {
            chi_write_u32(&writer, g->items[first + i].id);
        }
        chi_assert(!writer.bad);
        put(g, g->items[first].owner, bytes, (size_t)(writer.at - bytes));
        first += count;
    }
}

static chare_status
finish(struct chi_gossip *g)
{
    uint32_t own_here = 0;

    chi_assert(g->state == CHI_GOSSIP_IDLE && g->answers == 0);
    for (uint32_t i = 0; i < g->port.child_count; i++) {
        put_kind(g, g->port.children[i], KIND_FINISH);
    }
    g->state = CHI_GOSSIP_PLACING;
    if (g->count > 0) {
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
    return over_if_known(g);
}

/* ---- termination, G4 */

static chare_status
report_if_done(struct chi_gossip *g)
{
    if (g->state != CHI_GOSSIP_IDLE || g->engaged > 0) {
        return CHARE_OK;
    }
    if (g->engager != UINT32_MAX) {
        const uint32_t engager = g->engager;

        g->engager = UINT32_MAX;
        put_kind(g, engager, KIND_RELEASE);
    }
    if (g->reported || g->reports > 0) {
        return CHARE_OK;
    }
    g->reported = true;
    if (g->port.parent == g->port.rank) {
        return finish(g);
    }
    put_kind(g, g->port.parent, KIND_REPORT);
    return CHARE_OK;
}

/* ---- offering */

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

/* Seconds that this PE wants to have, at most. */
static double
wanted_time(const struct chi_gossip *g)
{
    return (double)(g->round >= ROUND_LATE ? g->looser : g->goal);
}

/*
 * What it sheds to, in this round: those who have most go first, for room
 * that takes large objects is soon gone.
 */
static double
shed_time(const struct chi_gossip *g)
{
    const double wanted = wanted_time(g);

    return g->round < ROUND_EVEN
               ? wanted * (1 + 1 / (double)(UINT32_C(1) << g->round))
               : wanted;
}

/*
 * What others may be lifted to by an offer from here: somewhat above the goal
 * if this PE is far above it, for small objects are easier to pass on later.
 */
static double
limit_of(const struct chi_gossip *g)
{
    const double excess = time_of(g) - wanted_time(g);

    return excess < 1e29 && g->round < CHI_GOSSIP_ROUNDS_MAX
               ? wanted_time(g) + excess / PART
               : wanted_time(g);
}

/*
 * Someone for this object, from a random one of the known on; NOBODY: it fits
 * nowhere. An object that is large for any PE goes to one whom it lifts above
 * the goal, if that stays below what is here.
 */
static int
find_taker(struct chi_gossip *g, double work, double limit)
{
    const uint32_t count = g->known_count;
    const uint32_t start =
        count == 0 ? 0 : (uint32_t)chi_prng_below(&g->prng, count);
    int best = NOBODY;
    double best_time = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = start + i < count ? start + i : start + i - count;
        const struct chi_gossip_known *known = &g->known[at];
        const double time = (double)known->time + work / (double)known->speed;

        if (time <= limit) {
            return (int)at;
        }
        if ((g->round >= ROUND_SEARCH ||
             2 * work / (double)known->speed > limit) &&
            time < SWAP_GAIN * time_of(g) &&
            (best == NOBODY || time < best_time)) {
            best = (int)at;
            best_time = time;
        }
    }
    return best;
}

struct choosing {
    uint8_t offer_of[CHI_GOSSIP_KNOWN_MAX]; /* known -> offer + 1 */
    uint32_t known_of[OFFERS_MAX];
    uint32_t counts[OFFERS_MAX];
    float limits[OFFERS_MAX];
    uint32_t offer_count;
    uint32_t item_count;
    double excess;
};

/* Choose a taker for items[i] and mark it so; false: there is none. */
static bool
choose(struct chi_gossip *g, struct choosing *choosing, uint32_t i,
       uint8_t *chosen, double limit)
{
    const double work = (double)g->items[i].work;
    const int taker = find_taker(g, work, limit);
    uint32_t offer;

    if (taker == NOBODY) {
        return false;
    }
    offer = choosing->offer_of[taker];
    if (offer == 0) {
        if (choosing->offer_count == OFFERS_MAX) {
            return false;
        }
        choosing->known_of[choosing->offer_count] = (uint32_t)taker;
        choosing->counts[choosing->offer_count] = 0;
        choosing->limits[choosing->offer_count] = (float)limit;
        offer = ++choosing->offer_count;
        choosing->offer_of[taker] = (uint8_t)offer;
    }
    if (choosing->counts[offer - 1] == OFFER_ITEMS_MAX) {
        return false;
    }
    choosing->counts[offer - 1]++;
    chosen[i] = (uint8_t)offer;
    g->known[taker].time += (float)(work / (double)g->known[taker].speed);
    if ((double)g->known[taker].time > (double)choosing->limits[offer - 1]) {
        choosing->limits[offer - 1] = g->known[taker].time * 1.0001f;
    }
    choosing->excess -= work;
    choosing->item_count++;
    return true;
}

/* The largest objects that are not more than has to go; then one that is. */
static void
choose_all(struct chi_gossip *g, struct choosing *choosing, uint8_t *chosen)
{
    const double limit = limit_of(g);
    int last = NOBODY;

    memset(choosing, 0, sizeof(*choosing));
    choosing->excess = (time_of(g) - shed_time(g)) * (double)g->port.speed;
    if (!(g->port.speed > 0)) {
        choosing->excess = g->work;
    }
    for (uint32_t i = 0; i < g->count && choosing->excess > 0; i++) {
        if ((double)g->items[i].work > choosing->excess) {
            last = (int)i;
        } else if (g->items[i].work > 0) {
            (void)choose(g, choosing, i, chosen, limit);
        }
    }
    while (choosing->excess > 0 && last != NOBODY &&
           (chosen[last] != 0 ||
            !choose(g, choosing, (uint32_t)last, chosen, limit))) {
        last--; /* a larger one, or none */
    }
}

static void
send_offer(struct chi_gossip *g, uint32_t to, float limit, uint32_t first,
           uint32_t count)
{
    unsigned char bytes[OFFER_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const uint16_t tag = (uint16_t)g->answers;

    g->offers[g->answers++] =
        (struct chi_gossip_offer){to, first, (uint16_t)count, tag};
    chi_write_u8(&writer, KIND_OFFER);
    chi_write_u16(&writer, tag);
    chi_write_u8(&writer, (uint8_t)g->round);
    chi_write(&writer, &limit, sizeof(limit));
    chi_write(&writer, g->spare + first, count * sizeof(*g->spare));
    chi_assert(!writer.bad);
    put(g, to, bytes, (size_t)(writer.at - bytes));
}

/* Move what was chosen from 'items' to 'spare', by offer, and send it. */
static void
send_chosen(struct chi_gossip *g, const struct choosing *choosing,
            const uint8_t *chosen)
{
    uint32_t starts[OFFERS_MAX + 1];
    uint32_t kept = 0;
    uint32_t at = 0;

    for (uint32_t offer = 0; offer < choosing->offer_count; offer++) {
        starts[offer] = at;
        at += choosing->counts[offer];
    }
    for (uint32_t i = 0; i < g->count; i++) {
        if (chosen[i] != 0) {
            g->spare[starts[chosen[i] - 1]++] = g->items[i];
        } else {
            g->items[kept++] = g->items[i];
        }
    }
    g->pending = g->count - kept;
    g->count = kept;
    for (uint32_t offer = 0; offer < choosing->offer_count; offer++) {
        send_offer(
            g, g->known[choosing->known_of[offer]].pe, choosing->limits[offer],
            starts[offer] - choosing->counts[offer], choosing->counts[offer]);
    }
}

/* Ask PEs by chance; an offer of nothing. */
static void
ask_some(struct chi_gossip *g, uint32_t count)
{
    for (uint32_t i = 0; i < count && g->port.size > 1; i++) {
        uint32_t pe = (uint32_t)chi_prng_below(&g->prng, g->port.size - 1);

        send_offer(g, pe + (pe >= g->port.rank), 0, 0, 0);
    }
}

/*
 * How many to ask: more where there is more to give away; and the later it is,
 * the fewer need somebody, and the fewer have room.
 */
static uint32_t
asks_of(const struct chi_gossip *g)
{
    const double excess = time_of(g) / (double)g->goal - 1;
    uint32_t asks = ASKS;

    if (g->round >= ROUND_SEARCH) {
        asks += ASKS_MORE * (g->round - ROUND_SEARCH + 1);
    }
    if (excess > ASKS_MAX) {
        return ASKS_MAX;
    }
    asks += (uint32_t)(excess * ASKS_MORE);
    return asks < ASKS_MAX ? asks : ASKS_MAX;
}

static chare_status
work_on(struct chi_gossip *g)
{
    struct choosing choosing;
    uint8_t *chosen;

    g->state = CHI_GOSSIP_IDLE;
    if (time_of(g) <= wanted_time(g) || g->count == 0 ||
        g->round >= CHI_GOSSIP_ROUNDS_MAX) {
        return report_if_done(g);
    }
    chosen = calloc(g->count, 1);
    if (g->offers == NULL) {
        g->offers = malloc((OFFERS_MAX + ASKS_MAX) * sizeof(*g->offers));
    }
    if (chosen == NULL || g->offers == NULL) {
        free(chosen);
        return CHARE_ERR_NO_MEMORY;
    }
    g->round++;
    g->rounds_max = g->round > g->rounds_max ? g->round : g->rounds_max;
    g->state = CHI_GOSSIP_OFFERING;
    qsort(g->items, g->count, sizeof(*g->items), by_work);
    choose_all(g, &choosing, chosen);
    send_chosen(g, &choosing, chosen);
    /* What was known is old by then; the answers will be fresh. */
    g->known_count = 0;
    ask_some(g, asks_of(g));
    free(chosen);
    if (g->answers == 0) { /* nobody else is there */
        g->state = CHI_GOSSIP_IDLE;
        return report_if_done(g);
    }
    return CHARE_OK;
}

/* ---- being offered something */

static chare_status
take(struct chi_gossip *g, const struct chi_lb_item *item)
{
    const chare_status status = items_room(g, g->count + g->pending + 1);

    if (status == CHARE_OK) {
        g->items[g->count++] = *item;
        g->work += (double)item->work;
    }
    return status;
}

static void
answer(struct chi_gossip *g, uint32_t to, uint16_t tag, uint64_t taken,
       bool engaged)
{
    unsigned char bytes[64 + SHARED_MAX * sizeof(struct chi_gossip_known)];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    const float time = (float)time_of(g);
    const uint32_t start =
        g->known_count == 0
            ? 0
            : (uint32_t)chi_prng_below(&g->prng, g->known_count);

    chi_write_u8(&writer, KIND_ANSWER);
    chi_write_u16(&writer, tag);
    chi_write_u8(&writer, engaged);
    chi_write_u64(&writer, taken);
    chi_write(&writer, &time, sizeof(time));
    chi_write(&writer, &g->port.speed, sizeof(g->port.speed));
    for (uint32_t i = 0; i < SHARED_MAX && i < g->known_count; i++) {
        chi_write(&writer, &g->known[(start + i) % g->known_count],
                  sizeof(g->known[0]));
    }
    chi_assert(!writer.bad);
    put(g, to, bytes, (size_t)(writer.at - bytes));
}

static chare_status
offered(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    const uint16_t tag = chi_read_u16(reader);
    const uint32_t round = chi_read_u8(reader);
    const bool was_idle = g->state == CHI_GOSSIP_IDLE;
    bool to_work;
    bool engaged;
    uint64_t taken = 0;
    float limit;

    chi_read(reader, &limit, sizeof(limit));
    for (uint32_t i = 0; chi_reader_left(reader) > 0; i++) {
        struct chi_lb_item item;
        const double before = time_of(g);

        chi_read(reader, &item, sizeof(item));
        if (reader->bad || i >= OFFER_ITEMS_MAX) {
            return CHARE_ERR_FORMAT;
        }
        if (g->port.speed > 0 &&
            before + (double)item.work / (double)g->port.speed <=
                (double)limit) {
            const chare_status status = take(g, &item);

            if (status != CHARE_OK) {
                return status;
            }
            taken |= UINT64_C(1) << i;
        }
    }
    /* Set to work: by the first who does it; what comes later finds it so. */
    if (taken != 0) {
        g->round = round > g->round ? round : g->round;
    }
    to_work = taken != 0 && was_idle && time_of(g) > wanted_time(g);
    engaged = to_work && g->engager == UINT32_MAX && g->reported;
    if (engaged) {
        g->engager = from;
    }
    answer(g, from, tag, taken, engaged);
    return to_work ? work_on(g) : CHARE_OK;
}

static chare_status
answered(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    const uint16_t tag = chi_read_u16(reader);
    const bool engaged = chi_read_u8(reader) != 0;
    const uint64_t taken = chi_read_u64(reader);
    struct chi_gossip_known known;
    struct chi_gossip_offer *offer = NULL;

    chi_read(reader, &known.time, sizeof(known.time));
    chi_read(reader, &known.speed, sizeof(known.speed));
    for (uint32_t i = 0; i < g->answers && offer == NULL; i++) {
        offer = g->offers[i].tag == tag ? &g->offers[i] : NULL;
    }
    if (reader->bad || offer == NULL || offer->to != from) {
        return CHARE_ERR_FORMAT;
    }
    know(g, from, known.time, known.speed);
    while (chi_reader_left(reader) >= sizeof(known)) {
        chi_read(reader, &known, sizeof(known));
        know(g, known.pe, known.time, known.speed);
    }
    for (uint32_t i = 0; i < offer->count; i++) {
        const struct chi_lb_item *item = &g->spare[offer->first + i];

        if (taken >> i & 1) {
            g->work -= (double)item->work;
        } else {
            g->items[g->count++] = *item; /* its room was kept */
        }
    }
    g->pending -= offer->count;
    g->engaged += engaged;
    *offer = g->offers[--g->answers];
    return g->answers == 0 ? work_on(g) : CHARE_OK;
}

/* ---- the beginning: what there is in all */

static chare_status
sums_done(struct chi_gossip *g)
{
    unsigned char bytes[64];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    if (g->sums_missing > 0) {
        return CHARE_OK;
    }
    if (g->port.parent == g->port.rank) {
        const double mean =
            g->totals.speed > 0 ? g->totals.work / g->totals.speed : 0;
        const double largest =
            g->totals.fastest > 0
                ? (double)g->totals.largest / (double)g->totals.fastest
                : 0;

        /* 'goal' holds the tolerance until here. */
        g->looser = (float)(mean > largest ? mean : largest);
        g->goal = g->looser * (1 + g->goal);
        g->looser *= 1.045f;
        g->looser = g->looser > g->goal ? g->looser : g->goal;
        chi_write_u8(&writer, KIND_GOAL);
        chi_write(&writer, &g->goal, sizeof(g->goal));
        chi_write(&writer, &g->looser, sizeof(g->looser));
        for (uint32_t i = 0; i < g->port.child_count; i++) {
            put(g, g->port.children[i], bytes, (size_t)(writer.at - bytes));
        }
        return work_on(g);
    }
    chi_write_u8(&writer, KIND_SUM);
    chi_write(&writer, &g->totals, sizeof(g->totals));
    put(g, g->port.parent, bytes, (size_t)(writer.at - bytes));
    return CHARE_OK;
}

static chare_status
sum_came(struct chi_gossip *g, struct chi_reader *reader)
{
    struct chi_gossip_totals totals;

    chi_read(reader, &totals, sizeof(totals));
    if (reader->bad || g->sums_missing == 0) {
        return CHARE_ERR_FORMAT;
    }
    g->totals.work += totals.work;
    g->totals.speed += totals.speed;
    g->totals.largest = totals.largest > g->totals.largest ? totals.largest
                                                           : g->totals.largest;
    g->totals.fastest = totals.fastest > g->totals.fastest ? totals.fastest
                                                           : g->totals.fastest;
    g->sums_missing--;
    return sums_done(g);
}

static chare_status
goal_came(struct chi_gossip *g, struct chi_reader *reader)
{
    unsigned char bytes[16];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    chi_read(reader, &g->goal, sizeof(g->goal));
    chi_read(reader, &g->looser, sizeof(g->looser));
    if (reader->bad) {
        return CHARE_ERR_FORMAT;
    }
    chi_write_u8(&writer, KIND_GOAL);
    chi_write(&writer, &g->goal, sizeof(g->goal));
    chi_write(&writer, &g->looser, sizeof(g->looser));
    for (uint32_t i = 0; i < g->port.child_count; i++) {
        put(g, g->port.children[i], bytes, (size_t)(writer.at - bytes));
    }
    return work_on(g);
}

/* ---- the end */

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
    return over_if_known(g);
}

/* ---- doors */

chare_status
chi_gossip_start(struct chi_gossip *g, const struct chi_lb_port *port,
                 const float *work, const uint32_t *bytes, uint32_t count,
                 float tolerance)
{
    chare_status status;

    *g = (struct chi_gossip){
        .port = *port,
        .own_count = count,
        .goal = tolerance,
        .engager = UINT32_MAX,
        .sums_missing = port->child_count,
        .reports = port->child_count,
    };
    status = items_room(g, count);
    if (status != CHARE_OK) {
        return status;
    }
    chi_prng_init(&g->prng, port->seed ^ chi_mix64(port->rank + 1));
    for (uint32_t i = 0; i < count; i++) {
        g->items[i] = (struct chi_lb_item){work[i], port->rank, i,
                                           bytes == NULL ? 0 : bytes[i]};
        g->work += (double)work[i];
        g->totals.largest =
            work[i] > g->totals.largest ? work[i] : g->totals.largest;
    }
    g->count = count;
    g->totals.work = g->work + (double)(port->background * port->speed);
    g->totals.speed = (double)port->speed;
    g->totals.fastest = port->speed;
    return sums_done(g);
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
    switch (kind) {
    case KIND_SUM:
        return sum_came(g, &reader);
    case KIND_GOAL:
        return goal_came(g, &reader);
    case KIND_OFFER:
        return offered(g, from, &reader);
    case KIND_ANSWER:
        return answered(g, from, &reader);
    case KIND_RELEASE:
        g->engaged--;
        return report_if_done(g);
    case KIND_REPORT:
        g->reports--;
        return report_if_done(g);
    case KIND_FINISH:
        return finish(g);
    case KIND_PLACED:
        return placed(g, from, &reader);
    default:
        return CHARE_ERR_FORMAT;
    }
}

void
chi_gossip_fini(struct chi_gossip *g)
{
    free(g->items);
    free(g->spare);
    free(g->offers);
    free(g->moves);
}

size_t
chi_gossip_bytes(const struct chi_gossip *g)
{
    return sizeof(*g) + 2 * g->room * sizeof(*g->items) +
           (g->offers == NULL ? 0
                              : (OFFERS_MAX + ASKS_MAX) * sizeof(*g->offers)) +
           (g->moves == NULL ? 0 : g->own_count * sizeof(*g->moves));
}
