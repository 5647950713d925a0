/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diffuse.c - surplus flows to neighbours, as heat does.
 *
 * After G. Cybenko, "Dynamic load balancing for distributed memory
 * multiprocessors", J. Parallel Distrib. Comput. 7(2), 1989; of second order,
 * which needs fewer turns, after S. Muthukrishnan, B. Ghosh, M. H. Schultz,
 * "First- and second-order diffusive methods for rapid, coarse, distributed
 * load balancing", Theory Comput. Syst. 31, 1998. Neighbours are those of a
 * ring and of a hypercube.
 *
 * First numbers flow, for some turns; then items do, once, as much as flowed
 * over each edge in all.
 *
 * Invariants:
 *  D1  both ends of an edge compute its flow from the same numbers by the same
 *      operations, but for the sign: so they agree who sends;
 *  D2  flows are differences of a potential, but for rounding, and what is
 *      less than a part of the goal does not flow: so there is no cycle. A PE
 *      sends when it has all that flows to it: so this ends;
 *  D3  a neighbour is at most one turn ahead;
 *  D4  messages overtake each other: of those with items the last says how
 *      many there are.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "lb/gossip_private.h"

enum {
    MORE = 0, /* in a message with items: it is not the last, */
    ONLY = 1, /* or the only one, */
    LAST = 2, /* or the last of so many */
};

enum {
    NEIGHBOURS_MAX = 2 + 24,
    TURNS = 24,
    LITTLE = 128, /* parts of a goal that do not flow */
    FLOW_ITEMS_MAX = 64,
};

struct neighbour {
    uint32_t pe;
    float times[2]; /* of even and of odd turns */
    bool came[2];
    bool has_sent; /* its last message with items has come */
    float speed;
    int32_t missing; /* such messages; below 0 until it is known how many */
    double last;     /* what flowed to it in the last turn */
    double flow;     /* in all */
};

struct chi_diffuse {
    uint32_t count;
    uint32_t turn;
    bool started;
    bool turned; /* all turns are over */
    float time;  /* as it was told to neighbours */
    double exact;
    uint32_t missing; /* neighbours' times of this turn */
    uint32_t came;    /* neighbours of whom all has come */
    uint32_t expected;
    double share;  /* of a difference, that flows */
    double second; /* the factor of second order */
    struct neighbour neighbours[];
};

/* ---- neighbours */

static uint32_t
list_neighbours(const struct chi_lb_port *port, uint32_t *list)
{
    const uint32_t size = port->size;
    uint32_t count = 0;

    for (uint32_t bit = 1; bit < size; bit *= 2) {
        if ((port->rank ^ bit) < size) {
            list[count++] = port->rank ^ bit;
        }
    }
    for (uint32_t step = 1; size > 2 && step < size; step += size - 2) {
        const uint32_t pe = (uint32_t)(((uint64_t)port->rank + step) % size);
        uint32_t i;

        for (i = 0; i < count && list[i] != pe; i++) {
        }
        if (i == count) {
            list[count++] = pe;
        }
    }
    chi_assert(count <= NEIGHBOURS_MAX);
    return count;
}

static chare_status
make(struct chi_gossip *g)
{
    uint32_t list[NEIGHBOURS_MAX + 8];
    const uint32_t count = list_neighbours(&g->port, list);
    struct chi_diffuse *diffuse =
        calloc(1, sizeof(*diffuse) + count * sizeof(diffuse->neighbours[0]));
    uint32_t degree = 3;
    double gamma;

    if (diffuse == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t bit = 1; bit < g->port.size; bit *= 2) {
        degree++;
    }
    diffuse->share = 1 / (double)degree;
    /* The second eigenvalue is that of a hypercube, or so. */
    gamma = 1 - 2 * diffuse->share;
    diffuse->second = 2 / (1 + sqrt(1 - gamma * gamma));
    diffuse->count = count;
    diffuse->missing = count;
    for (uint32_t i = 0; i < count; i++) {
        diffuse->neighbours[i].pe = list[i];
    }
    g->diffuse = diffuse;
    chi_gossip_count_memory(g, sizeof(*diffuse) +
                                   count * sizeof(diffuse->neighbours[0]));
    return CHARE_OK;
}

static struct neighbour *
find(struct chi_diffuse *diffuse, uint32_t pe)
{
    for (uint32_t i = 0; i < diffuse->count; i++) {
        if (diffuse->neighbours[i].pe == pe) {
            return &diffuse->neighbours[i];
        }
    }
    return NULL;
}

/* ---- turns */

static void
tell(struct chi_gossip *g)
{
    struct chi_diffuse *diffuse = g->diffuse;
    unsigned char bytes[16];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    diffuse->time = (float)diffuse->exact;
    chi_write_u8(&writer, KIND_TIME);
    chi_write_u8(&writer, (uint8_t)diffuse->turn);
    chi_write(&writer, &diffuse->time, sizeof(diffuse->time));
    chi_write(&writer, &g->port.speed, sizeof(g->port.speed));
    for (uint32_t i = 0; i < diffuse->count; i++) {
        chi_gossip_put(g, diffuse->neighbours[i].pe, bytes,
                       (size_t)(writer.at - bytes));
    }
}

static void
flow_once(struct chi_gossip *g)
{
    struct chi_diffuse *diffuse = g->diffuse;
    const uint32_t at = diffuse->turn % 2;
    const double speed = (double)g->port.speed;
    double out = 0;

    for (uint32_t i = 0; i < diffuse->count; i++) {
        struct neighbour *other = &diffuse->neighbours[i];
        const double least =
            (double)other->speed < speed ? (double)other->speed : speed;
        const double first =
            diffuse->share * least *
            ((double)diffuse->time - (double)other->times[at]);

        other->last = diffuse->turn == 0
                          ? first
                          : diffuse->second * first +
                                (diffuse->second - 1) * other->last;
        other->flow += other->last;
        out += other->last;
        other->came[at] = false;
    }
    diffuse->exact -= speed > 0 ? out / speed : 0;
}

/* ---- items */

static double
least_flow(const struct chi_gossip *g, const struct neighbour *other)
{
    return (double)g->goal / LITTLE *
           (double)(other->speed < g->port.speed ? other->speed
                                                 : g->port.speed);
}

/* A batch of items; 'sent': the batches before it. */
static void
send_items(struct chi_gossip *g, uint32_t to, const struct chi_lb_item *items,
           uint32_t count, uint32_t sent, bool last)
{
    unsigned char bytes[8 + FLOW_ITEMS_MAX * sizeof(*items)];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    chi_write_u8(&writer, KIND_FLOW);
    chi_write_u8(&writer, !last ? MORE : sent == 0 ? ONLY : LAST);
    if (last && sent > 0) {
        chi_write_u32(&writer, sent + 1);
    }
    chi_write(&writer, items, count * sizeof(*items));
    chi_assert(!writer.bad);
    chi_gossip_put(g, to, bytes, (size_t)(writer.at - bytes));
}

/* The neighbour to whom most has still to flow. */
static struct neighbour *
most_wanted(struct chi_diffuse *diffuse)
{
    struct neighbour *most = &diffuse->neighbours[0];

    for (uint32_t i = 1; i < diffuse->count; i++) {
        most = diffuse->neighbours[i].flow > most->flow
                   ? &diffuse->neighbours[i]
                   : most;
    }
    return most;
}

/*
 * The largest first, each to whom most has to flow, if it is less than twice
 * that. Those of one neighbour need not be together: one message for
 * each is dear, and names are small, so each has a batch.
 */
static chare_status
send_all(struct chi_gossip *g)
{
    struct chi_diffuse *diffuse = g->diffuse;
    struct batch {
        uint32_t count;
        uint32_t sent; /* batches before it */
        struct chi_lb_item items[FLOW_ITEMS_MAX];
    } *batches = calloc(diffuse->count, sizeof(*batches));
    bool sends[NEIGHBOURS_MAX];
    uint32_t kept = 0;

    if (batches == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < diffuse->count; i++) {
        struct neighbour *other = &diffuse->neighbours[i];

        sends[i] = other->flow > least_flow(g, other);
        other->flow = sends[i] ? other->flow : 0;
    }
    chi_gossip_sort(g);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct chi_lb_item item = g->items[i];
        struct neighbour *other = most_wanted(diffuse);
        struct batch *batch = &batches[other - diffuse->neighbours];

        if ((double)item.work >= 2 * other->flow) {
            g->items[kept++] = item;
            continue;
        }
        if (batch->count == FLOW_ITEMS_MAX) {
            send_items(g, other->pe, batch->items, batch->count, 0, false);
            batch->sent++;
            batch->count = 0;
        }
        other->flow -= (double)item.work;
        g->work -= (double)item.work;
        batch->items[batch->count++] = item;
    }
    g->count = kept;
    for (uint32_t i = 0; i < diffuse->count; i++) {
        if (sends[i]) {
            send_items(g, diffuse->neighbours[i].pe, batches[i].items,
                       batches[i].count, batches[i].sent, true);
        }
    }
    free(batches);
    return chi_gossip_coarse_over(g);
}

static chare_status
turns_over(struct chi_gossip *g)
{
    struct chi_diffuse *diffuse = g->diffuse;

    diffuse->turned = true;
    for (uint32_t i = 0; i < diffuse->count; i++) {
        const struct neighbour *other = &diffuse->neighbours[i];

        diffuse->expected += -other->flow > least_flow(g, other);
    }
    return diffuse->came == diffuse->expected ? send_all(g) : CHARE_OK;
}

/* Take turns, as long as all is there. */
static chare_status
turn_look(struct chi_gossip *g)
{
    struct chi_diffuse *diffuse = g->diffuse;

    while (diffuse->started && !diffuse->turned && diffuse->missing == 0) {
        flow_once(g);
        diffuse->turn++;
        if (diffuse->turn == TURNS) {
            return turns_over(g);
        }
        for (uint32_t i = 0; i < diffuse->count; i++) {
            diffuse->missing +=
                !diffuse->neighbours[i].came[diffuse->turn % 2];
        }
        tell(g);
    }
    return CHARE_OK;
}

static chare_status
time_came(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    struct chi_diffuse *diffuse = g->diffuse;
    const uint32_t turn = chi_read_u8(reader);
    struct neighbour *other = find(diffuse, from);

    if (reader->bad || other == NULL ||
        (turn != diffuse->turn && turn != diffuse->turn + 1)) {
        return CHARE_ERR_FORMAT;
    }
    chi_read(reader, &other->times[turn % 2], sizeof(other->times[0]));
    chi_read(reader, &other->speed, sizeof(other->speed));
    other->came[turn % 2] = true;
    diffuse->missing -= turn == diffuse->turn;
    return reader->bad ? CHARE_ERR_FORMAT : turn_look(g);
}

static chare_status
flow_came(struct chi_gossip *g, uint32_t from, struct chi_reader *reader)
{
    struct chi_diffuse *diffuse = g->diffuse;
    struct neighbour *other = find(diffuse, from);
    const unsigned what = chi_read_u8(reader);
    const uint32_t all = what == LAST   ? chi_read_u32(reader)
                         : what == ONLY ? 1
                                        : 0;
    chare_status status;

    if (reader->bad || other == NULL || what > LAST || all > INT32_MAX ||
        (what != MORE && other->has_sent)) {
        return CHARE_ERR_FORMAT;
    }
    status = chi_gossip_take_all(g, reader);
    if (status != CHARE_OK) {
        return status;
    }
    other->has_sent |= what != MORE;
    other->missing += (int32_t)all - 1;
    if (!other->has_sent || other->missing != 0) {
        return CHARE_OK;
    }
    diffuse->came++;
    return diffuse->turned && diffuse->came == diffuse->expected ? send_all(g)
                                                                 : CHARE_OK;
}

/* ---- doors */

chare_status
chi_diffuse_start(struct chi_gossip *g)
{
    chare_status status = CHARE_OK;

    if (g->port.size == 1 || g->is_even) {
        return chi_gossip_coarse_over(g);
    }
    if (g->diffuse == NULL) {
        status = make(g);
    }
    if (status == CHARE_OK) {
        g->diffuse->started = true;
        g->diffuse->exact = g->port.speed > 0 ? chi_gossip_time(g) : 0;
        g->coarse_rounds = TURNS + 1;
        g->rounds_max = TURNS + 1;
        tell(g);
        status = turn_look(g);
    }
    return status;
}

/* A neighbour may be first: it knows the goal already. */
chare_status
chi_diffuse_receive(struct chi_gossip *g, unsigned kind, uint32_t from,
                    struct chi_reader *reader)
{
    chare_status status = CHARE_OK;

    if (g->diffuse == NULL) {
        status = kind == KIND_TIME && g->state == CHI_GOSSIP_SUMMING
                     ? make(g)
                     : CHARE_ERR_FORMAT;
    }
    if (status != CHARE_OK) {
        return status;
    }
    return kind == KIND_TIME ? time_came(g, from, reader)
                             : flow_came(g, from, reader);
}

void
chi_diffuse_fini(struct chi_gossip *g)
{
    free(g->diffuse);
    g->diffuse = NULL;
}
