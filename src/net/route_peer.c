/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route_peer.c - the peers of a route: sending, and what waits for it.
 */
#include "config.h"

#include "net/route_peer.h"

#include <stdlib.h>

enum {
    BURST_MAX = 32,  /* pieces that one send() starts with */
    MOVE_EVERY = 16, /* sends behind others, then one moves a burst of them */
    ENTRIES_PER_SLAB = 254,
};

struct chi_route_slab {
    struct chi_route_slab *next;
    struct chi_route_entry entries[ENTRIES_PER_SLAB];
};

/* ---- peers and their queues */

struct chi_route_peer *
chi_route_peer_get(struct chi_route *route, uint32_t rank)
{
    struct chi_route_peer *peer = route->peers[rank];

    if (peer != NULL) {
        return peer;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer != NULL) {
        peer->rank = rank;
        peer->in.rank = rank;
        peer->in.net = route->slots[route->ways[rank] & CHI_WAY_NET].net;
        route->peers[rank] = peer;
    }
    return peer;
}

void
chi_route_peer_list(struct chi_route *route, struct chi_route_peer *peer)
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

void
chi_route_peer_unlist(struct chi_route *route, struct chi_route_peer *peer)
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

static struct chi_route_entry *
entry_alloc(struct chi_route *route)
{
    struct chi_route_entry *entry = route->free_entries;

    if (entry == NULL) {
        struct chi_route_slab *slab = malloc(sizeof(*slab));

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
queue_push(struct chi_route *route, struct chi_route_peer *peer,
           struct chi_msg *msg)
{
    const uint64_t len = chi_msg_wire_len(msg);
    struct chi_route_entry *entry;

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
queue_pop(struct chi_route *route, struct chi_route_peer *peer, uint64_t len)
{
    struct chi_route_entry *entry = peer->head;
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

bool
chi_route_peer_open(const struct chi_route_peer *peer)
{
    return !chi_bulk_out_ready(&peer->out) || peer->out.offer_count > 0;
}

/*
 * Start the next message of a peer whose 'out' is ready. CHARE_ERR_AGAIN: not
 * now, because of the net, or (*parked_out) until a BULK_DONE comes.
 */
static chare_status
peer_start(struct chi_route *route, struct chi_route_peer *peer,
           struct chi_msg *msg, bool *parked_out)
{
    struct chi_route_slot *slot =
        &route->slots[route->ways[peer->rank] & CHI_WAY_NET];
    struct chi_bulk_out *out = &peer->out;
    const bool large = chi_msg_wire_len(msg) > slot->eager_bytes;
    chare_status status;

    if (!large && out->offer_count == 0) {
        return chi_net_send(slot->net, peer->rank, msg);
    }
    if (large && out->offer_count == 0) {
        status = chi_net_hand_over(slot->net, peer->rank, msg);
        if (status != CHARE_ERR_TOO_LARGE) {
            return status;
        }
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
peer_send_acks(struct chi_route_slot *slot, struct chi_route_peer *peer,
               uint32_t events_max, uint32_t *events_inout)
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
peer_step(struct chi_route *route, struct chi_route_peer *peer,
          bool *parked_out)
{
    struct chi_route_slot *slot =
        &route->slots[route->ways[peer->rank] & CHI_WAY_NET];
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
uint32_t
chi_route_peer_move(struct chi_route *route, struct chi_route_peer *peer,
                    uint32_t events_max)
{
    struct chi_route_slot *slot =
        &route->slots[route->ways[peer->rank] & CHI_WAY_NET];
    const bool was_open = chi_route_peer_open(peer);
    uint32_t events = 0;
    bool parked = false;
    chare_status status;

    status = peer_send_acks(slot, peer, events_max, &events);
    while (status == CHARE_OK && events < events_max) {
        status = peer_step(route, peer, &parked);
        events += status == CHARE_OK;
    }
    if (status == CHARE_ERR_PEER_LOST || status == CHARE_ERR_FABRIC) {
        chi_route_peer_break(route, peer);
    }
    route->open += chi_route_peer_open(peer);
    route->open -= was_open;
    if (peer->head != NULL || chi_route_peer_open(peer)) {
        route->ways[peer->rank] |= CHI_WAY_SLOW;
    } else {
        route->ways[peer->rank] &= (uint8_t)~CHI_WAY_SLOW;
    }
    if (!parked && status != CHARE_ERR_NOT_FOUND) {
        chi_route_peer_list(route, peer);
    } else {
        chi_route_peer_unlist(route, peer);
    }
    return events;
}

/* Send where something may be before the message, or where it is large. */
static chare_status
send_slow(struct chi_route *route, uint32_t rank, struct chi_msg *msg,
          bool try_now)
{
    struct chi_route_peer *peer;
    bool parked = false;
    chare_status status = CHARE_ERR_AGAIN;

    chi_assert((route->ways[rank] & CHI_WAY_NONE) == 0);
    if ((route->ways[rank] & CHI_WAY_LOST) != 0) {
        return CHARE_ERR_PEER_LOST;
    }
    if (chi_msg_wire_len(msg) > CHI_BULK_BYTES_MAX) {
        return CHARE_ERR_TOO_LARGE;
    }
    peer = chi_route_peer_get(route, rank);
    if (peer == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (peer->broken) {
        return CHARE_ERR_PEER_LOST;
    }
    if (try_now && peer->head == NULL && chi_bulk_out_ready(&peer->out)) {
        const bool was_open = chi_route_peer_open(peer);

        status = peer_start(route, peer, msg, &parked);
        route->open += chi_route_peer_open(peer);
        route->open -= was_open;
    }
    if (status == CHARE_ERR_AGAIN) {
        status = queue_push(route, peer, msg);
        /* A PE that only sends, from one entry method, must not fill its
         * memory while the net has room again. */
        try_now = ++peer->waited % MOVE_EVERY == 0;
    }
    if (status != CHARE_OK) {
        return status;
    }
    if (try_now) {
        (void)chi_route_peer_move(route, peer, BURST_MAX);
        return CHARE_OK;
    }
    route->ways[rank] |= CHI_WAY_SLOW;
    if (!parked) {
        chi_route_peer_list(route, peer);
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
        const struct chi_route_slot *slot = &route->slots[way];

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

/* ---- the end of a peer */

void
chi_route_peer_drop(struct chi_route *route, struct chi_route_peer *peer)
{
    struct chi_route_slot *slot =
        &route->slots[route->ways[peer->rank] & CHI_WAY_NET];

    while (peer->head != NULL) {
        chi_msg_release(
            queue_pop(route, peer, chi_msg_wire_len(peer->head->msg)));
    }
    route->open -= chi_route_peer_open(peer);
    chi_msg_queue_clear(&peer->acks);
    chi_bulk_out_unexpose(&peer->out, slot->net);
    chi_bulk_out_clear(&peer->out);
    chi_bulk_in_lose(&route->bulk, &peer->in);
    chi_route_peer_unlist(route, peer);
}

void
chi_route_peer_destroy(struct chi_route *route, struct chi_route_peer *peer)
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
chi_route_entries_fini(struct chi_route *route)
{
    chi_assert(route->queued_bytes == 0);
    while (route->slabs != NULL) {
        struct chi_route_slab *slab = route->slabs;

        route->slabs = slab->next;
        free(slab);
    }
}
