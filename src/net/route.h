/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_ROUTE_H
#define CHI_NET_ROUTE_H

/*
 * route.h - all ways from one PE to its peers.
 *
 * A route knows which net reaches which rank, keeps what a net does not take
 * yet in a queue per rank, and carries messages larger than a net's eager
 * limit: in pieces, in order, through nets without RMA (a message to the same
 * rank waits behind), or by one offer that the receiver fetches by RMA
 * (later messages from that sender wait at the receiver). So to the PE a send
 * never fails for lack of room, and messages from one rank to another arrive
 * in the order sent, whatever their size.
 */

#include "net/net.h"

enum {
    CHI_ROUTE_NETS_MAX = 3,
    CHI_ROUTE_EAGER_MIN = 1024, /* CHARE_EAGER_BYTES below it counts as it */
};

struct chi_route;

struct chi_route_sink {
    void *context;

    /* A whole message, of any size, came in. The sink now owns it. */
    void (*arrived)(void *context, struct chi_msg *msg);
    void (*peer_lost)(void *context, uint32_t rank, chare_status why);

    /* A message of this rank could not be taken, for lack of memory; the
     * reason was logged. What comes behind it arrives. NULL: no matter. */
    void (*dropped)(void *context, uint32_t rank);

    /* Whether messages that arrived are still to be executed. What they hold
     * comes back then, so a message that is offered waits for memory.
     * '*until' is 0 when the sink is first asked about an offer, and the
     * sink's from then on: it notes which messages came before, and those
     * that come later do not count. NULL: there never are any. */
    bool (*has_backlog)(void *context, uint64_t *until);
};

/* 'options' is for the nets that are opened by chi_route_open_net(). */
CHARE_MUST_CHECK chare_status chi_route_open(
    const struct chi_net_options *options, const struct chi_route_sink *sink,
    struct chi_route **route_out);

/* Closes its nets too. Accepts NULL. */
void chi_route_close(struct chi_route *route);

/* Open one more net; it belongs to the route. As chi_net_open(). */
CHARE_MUST_CHECK chare_status chi_route_open_net(struct chi_route *route,
                                                 const struct chi_net_ops *ops,
                                                 struct chi_net **net_out);

/* Let 'net' be the way to these peers, and connect it. */
CHARE_MUST_CHECK chare_status chi_route_connect(
    struct chi_route *route, struct chi_net *net, uint64_t job_key,
    const struct chi_net_peer *peers, uint32_t peer_count);

/* From now on every send() fails with CHARE_ERR_PEER_LOST, unreported. */
void chi_route_close_all(struct chi_route *route);

/* Messages up to this wire length are sent in one piece, by all nets. */
uint64_t chi_route_eager_bytes(const struct chi_route *route);

/*
 * Send a message of any size to another rank; the route owns it on CHARE_OK.
 * Errors: CHARE_ERR_TOO_LARGE - settings->queue_bytes would be exceeded;
 *         CHARE_ERR_PEER_LOST; CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_route_send(struct chi_route *route,
                                             uint32_t rank,
                                             struct chi_msg *msg);

/* Move what can be moved; returns how many messages arrived or pieces left. */
uint32_t chi_route_progress(struct chi_route *route, uint32_t events_max);

/* Everything sent has left this process. */
bool chi_route_drained(const struct chi_route *route);

/* Bytes that wait here for a net to take them; and for one rank. */
uint64_t chi_route_queued_bytes(const struct chi_route *route);
uint64_t chi_route_queued_bytes_to(const struct chi_route *route,
                                   uint32_t rank);

/* Messages that were not of this job, in all nets. */
uint64_t chi_route_foreign_dropped(const struct chi_route *route);

/*
 * The descriptors to sleep on, at most CHI_ROUTE_NETS_MAX; returns how many.
 * *polled_out: some net has none and wants progress() now and then.
 */
uint32_t chi_route_wait_fds(const struct chi_route *route, int *fds_out,
                            bool *polled_out);

/* As the slots of chi_net_ops, for all nets. CHARE_ERR_AGAIN also when
 * messages are queued that progress() might move. */
CHARE_MUST_CHECK chare_status chi_route_wait_begin(struct chi_route *route);
void chi_route_wait_end(struct chi_route *route);

/*
 * As the slots of chi_net_ops, for a route of a single net that has them:
 * only if can_nap(). nap_begin() instead of wait_begin(), then nap(), then
 * wait_end(). nudge() is for any thread.
 */
bool chi_route_can_nap(const struct chi_route *route);
bool chi_route_ready(const struct chi_route *route);
CHARE_MUST_CHECK chare_status chi_route_nap_begin(struct chi_route *route);
CHARE_MUST_CHECK chare_status chi_route_nap(struct chi_route *route,
                                            uint64_t timeout_ns);
void chi_route_nudge(struct chi_route *route);

#endif /* CHI_NET_ROUTE_H */
