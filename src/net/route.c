/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route.c - which net reaches which rank, and what waits for it.
 *
 * A rank costs nine bytes until something has to wait for it: a *way* of one
 * byte, all that the fast path of chi_route_send() looks at, and a pointer.
 * The way is the index of the rank's net while an ordinary message can go
 * straight to the net. It is a larger number when there is no net, when the
 * rank is lost, and while something is before the message: queued messages, a
 * large message that still goes in pieces, an offer that is open.
 *
 * Invariants, numbered as in the README:
 *
 *  1. A peer with something that the net might take is in the busy list; one
 *     that waits for a CHI_HANDLER_BULK_DONE only is not.
 *  2. queued_bytes is the sum over the entries of all queues.
 *  3. While a peer has entries, a stream, a refused piece or an open offer, no
 *     ordinary message goes straight to its net.
 *  4. An acknowledgement never waits behind anything but acknowledgements.
 */
#include "config.h"

#include "net/route.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "msg/msg.h"
#include "net/bulk.h"

enum {
    WAY_SLOW = 0x10, /* set: something is before the message */
    WAY_LOST = 0x20,
    WAY_NONE = 0x40, /* no net reaches this rank */
    WAY_NET = 0x0f,  /* mask: index of the net */
    BURST_MAX = 32,  /* pieces that one send() starts with */
    ENTRIES_PER_SLAB = 254,
};

/* One net, and what the route needs of it. */
struct slot {
    uint64_t eager_bytes; /* largest wire length sent at once */
    struct chi_net *net;
    chare_status (*send)(struct chi_net *net, uint32_t rank,
                         struct chi_msg *msg); /* net->ops->send */
    struct chi_route *route;
    bool rma;
};

/* A message that waits. Not linked by itself: others may hold it too. */
struct entry {
    struct entry *next;
    struct chi_msg *msg;
};

struct entry_slab {
    struct entry_slab *next;
    struct entry entries[ENTRIES_PER_SLAB];
};

/* What is known of a rank for which something had to wait once. */
struct peer {
    struct peer *next;  /* in the busy list */
    struct peer **prev; /* NULL: not in it */
    uint32_t rank;
    bool broken; /* the net says that it is lost; not yet reported */
    struct entry *head;
    struct entry *tail;
    uint64_t queued_bytes;
    struct chi_msg_queue acks; /* CHI_HANDLER_BULK_DONE, before all else */
    struct chi_bulk_out out;
    struct chi_bulk_in in;
};

struct chi_route {
    struct slot slots[CHI_ROUTE_NETS_MAX];
    uint32_t slot_count;
    uint32_t rank;
    uint32_t size;
    uint32_t turn; /* of progress(), so that each gets its share */
    bool in_progress;
    uint8_t *ways;       /* by rank */
    struct peer **peers; /* by rank */
    struct peer *busy;   /* see invariant 1 */
    struct peer **busy_end;
    uint32_t busy_count;
    struct entry *free_entries;
    struct entry_slab *slabs;
    uint64_t queued_bytes;
    uint64_t queue_bytes_max;
    uint64_t open; /* peers with a stream, a piece or an offer */
    struct chi_route_sink sink;
    struct chi_bulk bulk;
    struct chi_net_options options;
};

/* ---- peers and their queues */

static struct peer *
peer_get(struct chi_route *route, uint32_t rank)
{
    struct peer *peer = route->peers[rank];

    if (peer != NULL) {
        return peer;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer != NULL) {
        peer->rank = rank;
        peer->in.rank = rank;
        peer->in.net = route->slots[route->ways[rank] & WAY_NET].net;
        route->peers[rank] = peer;
    }
    return peer;
}

static void
peer_list(struct chi_route *route, struct peer *peer)
{
    if (peer->prev != NULL) {
        return;
    }
    peer->next = NULL;
    peer->prev = route->busy_end;
    *route->busy_end = peer;
    route->busy_end = &peer->next;
    route->busy_count++;
}

static void
peer_unlist(struct chi_route *route, struct peer *peer)
{
    if (peer->prev == NULL) {
        return;
    }
    *peer->prev = peer->next;
    if (peer->next == NULL) {
        route->busy_end = peer->prev;
    } else {
        peer->next->prev = peer->prev;
    }
    peer->next = NULL;
    peer->prev = NULL;
    route->busy_count--;
}

static struct entry *
entry_alloc(struct chi_route *route)
{
    struct entry *entry = route->free_entries;

    if (entry == NULL) {
        struct entry_slab *slab = malloc(sizeof(*slab));

        if (slab == NULL) {
            return NULL;
        }
        slab->next = route->slabs;
        route->slabs = slab;
        for (int i = ENTRIES_PER_SLAB - 1; i >= 0; i--) {
            slab->entries[i].next = entry;
            entry = &slab->entries[i];
        }
    }
    route->free_entries = entry->next;
    return entry;
}

static chare_status
queue_push(struct chi_route *route, struct peer *peer, struct chi_msg *msg)
{
    const uint64_t len = chi_msg_wire_len(msg);
    struct entry *entry;

    /* One message may be larger than the bound, if it waits alone. */
    if (route->queued_bytes > 0 &&
        (route->queued_bytes >= route->queue_bytes_max ||
         len > route->queue_bytes_max - route->queued_bytes)) {
        return CHARE_ERR_TOO_LARGE;
    }
    entry = entry_alloc(route);
    if (entry == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    entry->next = NULL;
    entry->msg = msg;
    if (peer->head == NULL) {
        peer->head = entry;
    } else {
        peer->tail->next = entry;
    }
    peer->tail = entry;
    peer->queued_bytes += len;
    route->queued_bytes += len;
    return CHARE_OK;
}

/* Take the first entry off; its message is the caller's. */
static struct chi_msg *
queue_pop(struct chi_route *route, struct peer *peer, uint64_t len)
{
    struct entry *entry = peer->head;
    struct chi_msg *msg = entry->msg;

    chi_assert(peer->queued_bytes >= len);
    chi_assert(route->queued_bytes >= len);
    peer->head = entry->next;
    peer->queued_bytes -= len;
    route->queued_bytes -= len;
    entry->next = route->free_entries;
    route->free_entries = entry;
    return msg;
}

/* ---- sending */

static bool
peer_open(const struct peer *peer)
{
    return !chi_bulk_out_ready(&peer->out) || peer->out.offer_count > 0;
}

/*
 * Start the next message of a peer whose 'out' is ready. CHARE_ERR_AGAIN: not
 * now, because of the net, or (*parked_out) until a BULK_DONE comes.
 */
static chare_status
peer_start(struct chi_route *route, struct peer *peer, struct chi_msg *msg,
           bool *parked_out)
{
    struct slot *slot = &route->slots[route->ways[peer->rank] & WAY_NET];
    struct chi_bulk_out *out = &peer->out;
    const bool large = chi_msg_wire_len(msg) > slot->eager_bytes;
    chare_status status;

    if (!large && out->offer_count == 0) {
        return chi_net_send(slot->net, peer->rank, msg);
    }
    if (large && slot->rma) {
        if (out->offer_count == CHI_BULK_OFFERS_MAX) {
            *parked_out = true;
            return CHARE_ERR_AGAIN;
        }
        status = chi_bulk_out_offer(&route->bulk, out, slot->net, msg);
        if (status == CHARE_OK || status == CHARE_ERR_AGAIN ||
            status == CHARE_ERR_PEER_LOST) {
            return status;
        }
        /* What cannot be exposed goes in pieces. */
    }
    if (out->offer_count > 0 &&
        out->behind_bytes >= CHI_BULK_BEHIND_BYTES_MAX) {
        *parked_out = true;
        return CHARE_ERR_AGAIN;
    }
    chi_bulk_out_stream(out, msg);
    return CHARE_OK;
}

static chare_status
peer_send_acks(struct slot *slot, struct peer *peer, uint32_t events_max,
               uint32_t *events_inout)
{
    while (peer->acks.head != NULL && *events_inout < events_max) {
        struct chi_msg *ack = chi_msg_queue_pop(&peer->acks);
        chare_status status = chi_net_send(slot->net, peer->rank, ack);

        if (status == CHARE_OK) {
            (*events_inout)++;
            continue;
        }
        /* Back to the front. */
        ack->next = peer->acks.head;
        peer->acks.head = ack;
        if (ack->next == NULL) {
            peer->acks.tail = ack;
        }
        peer->acks.count++;
        return status;
    }
    return peer->acks.head == NULL ? CHARE_OK : CHARE_ERR_AGAIN;
}

/*
 * One step: a piece leaves, or the next message starts. CHARE_ERR_NOT_FOUND:
 * there is nothing to do.
 */
static chare_status
peer_step(struct chi_route *route, struct peer *peer, bool *parked_out)
{
    struct slot *slot = &route->slots[route->ways[peer->rank] & WAY_NET];
    struct chi_msg *msg;
    uint64_t len;
    chare_status status;

    if (!chi_bulk_out_ready(&peer->out)) {
        return chi_bulk_out_push(&route->bulk, &peer->out, slot->net,
                                 slot->eager_bytes, peer->rank);
    }
    if (peer->head == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    msg = peer->head->msg;
    len = chi_msg_wire_len(msg); /* the net may release it */
    status = peer_start(route, peer, msg, parked_out);
    if (status == CHARE_OK) {
        (void)queue_pop(route, peer, len);
    }
    return status;
}

/*
 * Send what the net takes, in at most 'events_max' steps, and set the peer's
 * way and place in the busy list by what is left.
 */
static uint32_t
peer_move(struct chi_route *route, struct peer *peer, uint32_t events_max)
{
    struct slot *slot = &route->slots[route->ways[peer->rank] & WAY_NET];
    const bool was_open = peer_open(peer);
    uint32_t events = 0;
    bool parked = false;
    chare_status status;

    status = peer_send_acks(slot, peer, events_max, &events);
    while (status == CHARE_OK && events < events_max) {
        status = peer_step(route, peer, &parked);
        events += status == CHARE_OK;
    }
    if (status == CHARE_ERR_PEER_LOST || status == CHARE_ERR_FABRIC) {
        peer->broken = true;
    }
    route->open += peer_open(peer);
    route->open -= was_open;
    if (peer->head != NULL || peer_open(peer)) {
        route->ways[peer->rank] |= WAY_SLOW;
    } else {
        route->ways[peer->rank] &= (uint8_t)~WAY_SLOW;
    }
    if (!parked && status != CHARE_ERR_NOT_FOUND) {
        peer_list(route, peer);
    } else {
        peer_unlist(route, peer);
    }
    return events;
}

/* Send where something may be before the message, or where it is large. */
static chare_status
send_slow(struct chi_route *route, uint32_t rank, struct chi_msg *msg,
          bool try_now)
{
    struct peer *peer;
    bool parked = false;
    chare_status status = CHARE_ERR_AGAIN;

    chi_assert((route->ways[rank] & WAY_NONE) == 0);
    if ((route->ways[rank] & WAY_LOST) != 0) {
        return CHARE_ERR_PEER_LOST;
    }
    if (chi_msg_wire_len(msg) > CHI_BULK_BYTES_MAX) {
        return CHARE_ERR_TOO_LARGE;
    }
    peer = peer_get(route, rank);
    if (peer == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (peer->broken) {
        return CHARE_ERR_PEER_LOST;
    }
    if (try_now && peer->head == NULL && chi_bulk_out_ready(&peer->out)) {
        const bool was_open = peer_open(peer);

        status = peer_start(route, peer, msg, &parked);
        route->open += peer_open(peer);
        route->open -= was_open;
    }
    if (status == CHARE_ERR_AGAIN) {
        status = queue_push(route, peer, msg);
        try_now = false;
    }
    if (status != CHARE_OK) {
        return status;
    }
    if (try_now) {
        (void)peer_move(route, peer, BURST_MAX);
        return CHARE_OK;
    }
    route->ways[rank] |= WAY_SLOW;
    if (!parked) {
        peer_list(route, peer);
    }
    return CHARE_OK;
}

chare_status
chi_route_send(struct chi_route *route, uint32_t rank, struct chi_msg *msg)
{
    uint32_t way;

    chi_assert(rank < route->size);
    chi_assert(msg->payload_ops == NULL); /* encoded */
    way = route->ways[rank];
    if (chi_likely(way < CHI_ROUTE_NETS_MAX)) {
        const struct slot *slot = &route->slots[way];

        CHI_ASSERT_SLOW(msg->env.handler < CHI_HANDLER_BULK);
        if (chi_likely(chi_msg_wire_len(msg) <= slot->eager_bytes)) {
            chare_status status = slot->send(slot->net, rank, msg);

            if (chi_likely(status != CHARE_ERR_AGAIN)) {
                return status;
            }
            return send_slow(route, rank, msg, false);
        }
    }
    return send_slow(route, rank, msg, true);
}

/* ---- losing a peer */

static void
peer_drop(struct chi_route *route, struct peer *peer)
{
    struct slot *slot = &route->slots[route->ways[peer->rank] & WAY_NET];

    while (peer->head != NULL) {
        chi_msg_release(
            queue_pop(route, peer, chi_msg_wire_len(peer->head->msg)));
    }
    route->open -= peer_open(peer);
    chi_msg_queue_clear(&peer->acks);
    chi_bulk_out_unexpose(&peer->out, slot->net);
    chi_bulk_out_clear(&peer->out);
    chi_bulk_in_lose(&route->bulk, &peer->in);
    peer_unlist(route, peer);
}

/* Drop all that is for and from this rank, and report it, once. */
static void
route_lose(struct chi_route *route, uint32_t rank, chare_status why)
{
    chi_assert(route->in_progress); /* upcalls come from nowhere else */
    if ((route->ways[rank] & WAY_LOST) != 0) {
        return;
    }
    route->ways[rank] |= WAY_LOST;
    if (route->peers[rank] != NULL) {
        peer_drop(route, route->peers[rank]);
    }
    route->sink.peer_lost(route->sink.context, rank, why);
}

/* ---- what the nets and the large messages report */

/* The rank that sent this bulk message over this net, or NULL. */
static struct peer *
bulk_peer(struct slot *slot, const struct chi_msg *msg)
{
    struct chi_route *route = slot->route;
    const uint32_t rank = msg->env.source_pe;
    uint8_t way;

    if (rank >= route->size || rank == route->rank) {
        return NULL;
    }
    way = route->ways[rank];
    if ((way & (WAY_NONE | WAY_LOST)) != 0 ||
        &route->slots[way & WAY_NET] != slot) {
        return NULL;
    }
    return peer_get(route, rank);
}

/* A BULK_DONE: the peer may go on. */
static void
done_arrived(struct chi_route *route, struct peer *peer, struct chi_msg *msg)
{
    struct slot *slot = &route->slots[route->ways[peer->rank] & WAY_NET];
    const bool was_open = peer_open(peer);

    if (!chi_bulk_out_done(&route->bulk, &peer->out, slot->net, msg)) {
        return;
    }
    route->open += peer_open(peer);
    route->open -= was_open;
    if (peer->head != NULL) {
        peer_list(route, peer);
    } else if (!peer_open(peer)) {
        route->ways[peer->rank] &= (uint8_t)~WAY_SLOW;
    }
}

static void
net_arrived_bulk(struct slot *slot, struct chi_msg *msg)
{
    struct chi_route *route = slot->route;
    struct peer *peer = bulk_peer(slot, msg);

    if (peer == NULL) {
        route->bulk.dropped++;
        chi_msg_release(msg);
    } else if (msg->env.handler == CHI_HANDLER_BULK_DONE) {
        done_arrived(route, peer, msg);
    } else {
        chi_bulk_in_arrived(&route->bulk, &peer->in, msg);
    }
}

static void
net_arrived(void *context, struct chi_msg *msg)
{
    struct slot *slot = context;

    chi_assert(slot->route->in_progress);
    if (chi_unlikely(msg->env.handler >= CHI_HANDLER_BULK)) {
        net_arrived_bulk(slot, msg);
        return;
    }
    slot->route->sink.arrived(slot->route->sink.context, msg);
}

static void
net_peer_lost(void *context, uint32_t rank, chare_status why)
{
    struct slot *slot = context;

    chi_assert(rank < slot->route->size);
    route_lose(slot->route, rank, why);
}

static void
net_got(void *context, uint64_t token, chare_status status)
{
    struct chi_route *route = ((struct slot *)context)->route;

    chi_assert(token < route->size);
    chi_assert(route->peers[token] != NULL);
    chi_bulk_in_got(&route->bulk, &route->peers[token]->in, status);
}

static void
bulk_arrived(void *context, struct chi_msg *msg)
{
    struct chi_route *route = context;

    chi_assert(route->in_progress);
    route->sink.arrived(route->sink.context, msg);
}

/* Invariant 4: or two PEs could wait for each other's acknowledgement. */
static void
bulk_done(void *context, uint32_t rank, struct chi_msg *msg)
{
    struct chi_route *route = context;
    struct peer *peer = route->peers[rank];
    struct slot *slot = &route->slots[route->ways[rank] & WAY_NET];
    chare_status status = CHARE_ERR_AGAIN;

    if (peer->acks.head == NULL) {
        status = chi_net_send(slot->net, rank, msg);
    }
    if (status == CHARE_OK) {
        return;
    }
    if (status != CHARE_ERR_AGAIN) {
        peer->broken = true;
    }
    chi_msg_queue_push(&peer->acks, msg);
    peer_list(route, peer);
}

static void
bulk_failed(void *context, uint32_t rank, chare_status why)
{
    struct chi_route *route = context;

    chi_log_error(route->options.log,
                  "cannot fetch a large message from PE %" PRIu32 ": %s", rank,
                  chare_status_text(why));
    route_lose(route, rank, why);
}

/* ---- progress */

/* Once round the busy peers; who still has something goes to the end. */
static uint32_t
move_busy(struct chi_route *route, uint32_t events_max)
{
    uint32_t events = 0;

    for (uint32_t left = route->busy_count;
         left > 0 && route->busy != NULL && events < events_max; left--) {
        struct peer *peer = route->busy;

        peer_unlist(route, peer);
        if (!peer->broken) {
            events += peer_move(route, peer, events_max - events);
        }
        if (peer->broken) {
            route_lose(route, peer->rank, CHARE_ERR_PEER_LOST);
        }
    }
    return events;
}

static uint32_t
poll_nets(struct chi_route *route, uint32_t events_max)
{
    const uint32_t count = route->slot_count;
    uint32_t events = 0;

    for (uint32_t i = 0; i < count && events < events_max; i++) {
        struct slot *slot = &route->slots[(route->turn + i) % count];

        events += chi_net_progress(slot->net, events_max - events);
    }
    return events;
}

static uint32_t
move_waiting(struct chi_route *route, uint32_t events_max)
{
    uint32_t events = 0;

    if (route->busy != NULL) {
        events = move_busy(route, events_max);
    }
    if (route->bulk.serve_head != NULL && events < events_max) {
        events += chi_bulk_serve(&route->bulk, events_max - events);
    }
    return events;
}

uint32_t
chi_route_progress(struct chi_route *route, uint32_t events_max)
{
    uint32_t events = 0;

    chi_assert(events_max > 0);
    chi_assert(!route->in_progress);
    route->in_progress = true;
    route->turn++;
    /* Who is first alternates, so that none can use up all events forever. */
    if (route->turn % 2 == 0) {
        events = move_waiting(route, events_max);
    }
    if (events < events_max) {
        events += poll_nets(route, events_max - events);
    }
    if (route->turn % 2 == 1 && events < events_max) {
        events += move_waiting(route, events_max - events);
    }
    route->in_progress = false;
    return events;
}

/* ---- life */

chare_status
chi_route_open(const struct chi_net_options *options,
               const struct chi_route_sink *sink, struct chi_route **route_out)
{
    struct chi_route *route;

    chi_assert(options->rank < options->size);
    route = calloc(1, sizeof(*route));
    if (route == NULL) {
        goto out;
    }
    route->ways = malloc(options->size);
    if (route->ways == NULL) {
        goto free_route;
    }
    route->peers = calloc(options->size, sizeof(struct peer *));
    if (route->peers == NULL) {
        goto free_ways;
    }
    memset(route->ways, WAY_NONE, options->size);
    route->options = *options;
    route->sink = *sink;
    route->rank = options->rank;
    route->size = options->size;
    route->busy_end = &route->busy;
    route->queue_bytes_max = options->settings->queue_bytes;
    route->bulk = (struct chi_bulk){
        .sink = {route, bulk_arrived, bulk_done, bulk_failed},
        .log = options->log,
        .pool = options->pool,
        .rank = options->rank,
    };
    *route_out = route;
    return CHARE_OK;

free_ways:
    free(route->ways);
free_route:
    free(route);
out:
    return CHARE_ERR_NO_MEMORY;
}

static void
peer_free(struct chi_route *route, struct peer *peer)
{
    while (peer->head != NULL) {
        chi_msg_release(
            queue_pop(route, peer, chi_msg_wire_len(peer->head->msg)));
    }
    chi_msg_queue_clear(&peer->acks);
    chi_bulk_out_clear(&peer->out);
    chi_bulk_in_clear(&peer->in);
    free(peer);
}

void
chi_route_close(struct chi_route *route)
{
    if (route == NULL) {
        return;
    }
    chi_assert(!route->in_progress);
    for (uint32_t rank = 0; rank < route->size; rank++) {
        if (route->peers[rank] != NULL) {
            chi_bulk_out_unexpose(&route->peers[rank]->out,
                                  route->peers[rank]->in.net);
        }
    }
    /* First the nets: they may still write to messages that are fetched. */
    for (uint32_t i = 0; i < route->slot_count; i++) {
        chi_net_close(route->slots[i].net);
    }
    for (uint32_t rank = 0; rank < route->size; rank++) {
        if (route->peers[rank] != NULL) {
            peer_free(route, route->peers[rank]);
        }
    }
    chi_assert(route->queued_bytes == 0);
    while (route->slabs != NULL) {
        struct entry_slab *slab = route->slabs;

        route->slabs = slab->next;
        free(slab);
    }
    free(route->peers);
    free(route->ways);
    free(route);
}

chare_status
chi_route_open_net(struct chi_route *route, const struct chi_net_ops *ops,
                   struct chi_net **net_out)
{
    struct slot *slot = &route->slots[route->slot_count];
    const uint64_t eager_set = route->options.settings->eager_bytes;
    const struct chi_net_sink sink = {slot, net_arrived, net_peer_lost,
                                      net_got};
    struct chi_net_limits limits;
    chare_status status;

    chi_assert(route->slot_count < CHI_ROUTE_NETS_MAX);
    status = chi_net_open(ops, &route->options, &sink, &slot->net);
    if (status != CHARE_OK) {
        return status;
    }
    chi_net_limits(slot->net, &limits);
    slot->route = route;
    slot->send = ops->send;
    slot->rma = limits.rma;
    slot->eager_bytes = limits.eager_bytes;
    if (eager_set != 0 && eager_set < slot->eager_bytes) {
        /* Room for a piece with its head must be left. */
        slot->eager_bytes =
            eager_set > CHI_ROUTE_EAGER_MIN ? eager_set : CHI_ROUTE_EAGER_MIN;
    }
    route->slot_count++;
    *net_out = slot->net;
    return CHARE_OK;
}

chare_status
chi_route_connect(struct chi_route *route, struct chi_net *net,
                  uint64_t job_key, const struct chi_net_peer *peers,
                  uint32_t peer_count)
{
    uint8_t way = 0;
    chare_status status;

    while (way < route->slot_count && route->slots[way].net != net) {
        way++;
    }
    chi_assert(way < route->slot_count);
    status = chi_net_connect(net, job_key, peers, peer_count);
    if (status != CHARE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < peer_count; i++) {
        chi_assert(peers[i].rank != route->rank);
        chi_assert(route->ways[peers[i].rank] == WAY_NONE);
        route->ways[peers[i].rank] = way;
    }
    return CHARE_OK;
}

/* ---- queries */

const struct chi_net *
chi_route_net(const struct chi_route *route, uint32_t rank)
{
    const uint8_t way = route->ways[rank];

    return (way & WAY_NONE) != 0 ? NULL : route->slots[way & WAY_NET].net;
}

bool
chi_route_drained(const struct chi_route *route)
{
    if (route->busy != NULL || route->open > 0 || route->queued_bytes > 0) {
        return false;
    }
    for (uint32_t i = 0; i < route->slot_count; i++) {
        if (!chi_net_drained(route->slots[i].net)) {
            return false;
        }
    }
    return true;
}

uint64_t
chi_route_queued_bytes(const struct chi_route *route)
{
    return route->queued_bytes;
}

uint64_t
chi_route_queued_bytes_to(const struct chi_route *route, uint32_t rank)
{
    const struct peer *peer = route->peers[rank];

    return peer == NULL ? 0 : peer->queued_bytes;
}

uint64_t
chi_route_foreign_dropped(const struct chi_route *route)
{
    uint64_t dropped = route->bulk.dropped;

    for (uint32_t i = 0; i < route->slot_count; i++) {
        dropped += route->slots[i].net->foreign_dropped;
    }
    return dropped;
}

/* ---- sleeping */

uint32_t
chi_route_wait_fds(const struct chi_route *route, int *fds_out,
                   bool *polled_out)
{
    uint32_t count = 0;

    *polled_out = false;
    for (uint32_t i = 0; i < route->slot_count; i++) {
        int fd = chi_net_wait_fd(route->slots[i].net);

        if (fd < 0) {
            *polled_out = true;
        } else {
            fds_out[count++] = fd;
        }
    }
    return count;
}

chare_status
chi_route_wait_begin(struct chi_route *route)
{
    if (route->busy != NULL || route->bulk.serve_head != NULL) {
        return CHARE_ERR_AGAIN;
    }
    for (uint32_t i = 0; i < route->slot_count; i++) {
        chare_status status = chi_net_wait_begin(route->slots[i].net);

        if (status == CHARE_OK) {
            continue;
        }
        while (i-- > 0) {
            chi_net_wait_end(route->slots[i].net);
        }
        return status;
    }
    return CHARE_OK;
}

void
chi_route_wait_end(struct chi_route *route)
{
    for (uint32_t i = 0; i < route->slot_count; i++) {
        chi_net_wait_end(route->slots[i].net);
    }
}
