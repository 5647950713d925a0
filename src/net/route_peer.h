/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_ROUTE_PEER_H
#define CHI_NET_ROUTE_PEER_H

/*
 * route_peer.h - what a route is made of; for route.c and route_peer.c only.
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

#include "msg/msg.h"
#include "net/bulk.h"
#include "net/route.h"

enum {
    CHI_WAY_SLOW = 0x10, /* set: something is before the message */
    CHI_WAY_LOST = 0x20,
    CHI_WAY_NONE = 0x40, /* no net reaches this rank */
    CHI_WAY_NET = 0x0f,  /* mask: index of the net */
};

/* One net, and what the route needs of it. */
struct chi_route_slot {
    uint64_t eager_bytes; /* largest wire length sent at once */
    struct chi_net *net;
    chare_status (*send)(struct chi_net *net, uint32_t rank,
                         struct chi_msg *msg); /* net->ops->send */
    struct chi_route *route;
    bool rma;
};

/* A message that waits. Not linked by itself: others may hold it too. */
struct chi_route_entry {
    struct chi_route_entry *next;
    struct chi_msg *msg;
};

/* What is known of a rank for which something had to wait once. */
struct chi_route_peer {
    struct chi_route_peer *next;  /* in the busy list */
    struct chi_route_peer **prev; /* NULL: not in it */
    uint32_t rank;
    bool broken;     /* its net says that it is lost; it stays listed */
    uint32_t waited; /* messages that had to wait, ever; may wrap */
    struct chi_route_entry *head;
    struct chi_route_entry *tail;
    uint64_t queued_bytes;
    struct chi_msg_queue acks; /* CHI_HANDLER_BULK_DONE, before all else */
    struct chi_bulk_out out;
    struct chi_bulk_in in;
};

struct chi_route {
    struct chi_route_slot slots[CHI_ROUTE_NETS_MAX];
    uint32_t slot_count;
    uint32_t rank;
    uint32_t size;
    uint32_t turn; /* of progress(), so that each gets its share */
    bool in_progress;
    bool broken;                   /* some peer is, and not yet reported */
    uint8_t *ways;                 /* by rank */
    struct chi_route_peer **peers; /* by rank */
    struct chi_route_peer *busy;   /* see invariant 1 */
    struct chi_route_peer **busy_end;
    uint32_t busy_count;
    struct chi_route_entry *free_entries;
    struct chi_route_slab *slabs;
    uint64_t queued_bytes;
    uint64_t queue_bytes_max;
    uint64_t open; /* peers with a stream, a piece or an offer */
    struct chi_route_sink sink;
    struct chi_bulk bulk;
    struct chi_net_options options;
};

/* The peer's state, made when it is first needed; NULL: out of memory. */
struct chi_route_peer *chi_route_peer_get(struct chi_route *route,
                                          uint32_t rank);

/* Put it into the busy list, and take it out; both as often as you like. */
void chi_route_peer_list(struct chi_route *route, struct chi_route_peer *peer);
void chi_route_peer_unlist(struct chi_route *route,
                           struct chi_route_peer *peer);

/* It has a stream, a refused piece, or an open offer. */
bool chi_route_peer_open(const struct chi_route_peer *peer);

/* Its net says that it is lost; progress() reports it. */
static inline void
chi_route_peer_break(struct chi_route *route, struct chi_route_peer *peer)
{
    peer->broken = true;
    route->broken = true;
}

/*
 * Send what the net takes, in at most 'events_max' steps, and set the peer's
 * way and place in the busy list by what is left.
 */
uint32_t chi_route_peer_move(struct chi_route *route,
                             struct chi_route_peer *peer, uint32_t events_max);

/* It is lost: drop all that waits for it or came from it in part. */
void chi_route_peer_drop(struct chi_route *route, struct chi_route_peer *peer);

/* The nets are closed: free it. */
void chi_route_peer_destroy(struct chi_route *route,
                            struct chi_route_peer *peer);

/* No peer is left: free the memory of all queues. */
void chi_route_entries_fini(struct chi_route *route);

#endif /* CHI_NET_ROUTE_PEER_H */
