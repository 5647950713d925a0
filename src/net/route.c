/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route.c - all ways from one PE: its nets, what they report, and progress.
 */
#include "config.h"

#include "net/route.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "net/route_peer.h"

/* Drop all that is for and from this rank, and report it, once. */
static void
route_lose(struct chi_route *route, uint32_t rank, chare_status why)
{
    chi_assert(route->in_progress); /* upcalls come from nowhere else */
    if ((route->ways[rank] & CHI_WAY_LOST) != 0) {
        return;
    }
    route->ways[rank] |= CHI_WAY_LOST;
    if (route->peers[rank] != NULL) {
        chi_route_peer_drop(route, route->peers[rank]);
    }
    route->sink.peer_lost(route->sink.context, rank, why);
}

/* ---- what the nets and the large messages report */

/* The rank that sent this bulk message over this net, or NULL. */
static struct chi_route_peer *
bulk_peer(struct chi_route_slot *slot, const struct chi_msg *msg)
{
    struct chi_route *route = slot->route;
    const uint32_t rank = msg->env.source_pe;
    uint8_t way;

    if (rank >= route->size || rank == route->rank) {
        return NULL;
    }
    way = route->ways[rank];
    if ((way & (CHI_WAY_NONE | CHI_WAY_LOST)) != 0 ||
        &route->slots[way & CHI_WAY_NET] != slot) {
        return NULL;
    }
    return chi_route_peer_get(route, rank);
}

/* A BULK_DONE: the peer may go on. */
static void
done_arrived(struct chi_route *route, struct chi_route_peer *peer,
             struct chi_msg *msg)
{
    struct chi_route_slot *slot =
        &route->slots[route->ways[peer->rank] & CHI_WAY_NET];
    const bool was_open = chi_route_peer_open(peer);

    if (!chi_bulk_out_done(&route->bulk, &peer->out, slot->net, msg)) {
        return;
    }
    route->open += chi_route_peer_open(peer);
    route->open -= was_open;
    if (peer->head != NULL) {
        chi_route_peer_list(route, peer);
    } else if (!chi_route_peer_open(peer)) {
        route->ways[peer->rank] &= (uint8_t)~CHI_WAY_SLOW;
    }
}

/* A message that the peer handed over, in order with all others. */
static void
block_arrived(struct chi_route_slot *slot, uint32_t rank,
              struct chi_msg *block)
{
    struct chi_route *route = slot->route;
    struct chi_msg *msg = chi_net_take_over(slot->net, rank, block);

    if (msg == NULL) {
        route->bulk.dropped++;
    } else {
        route->sink.arrived(route->sink.context, msg);
    }
}

static void
net_arrived_bulk(struct chi_route_slot *slot, struct chi_msg *msg)
{
    struct chi_route *route = slot->route;
    struct chi_route_peer *peer = bulk_peer(slot, msg);

    if (peer == NULL ||
        (msg->env.handler == CHI_HANDLER_BULK_OFFER && !slot->rma)) {
        route->bulk.dropped++;
        chi_msg_release(msg);
    } else if (msg->env.handler == CHI_HANDLER_BULK_DONE) {
        done_arrived(route, peer, msg);
    } else if (msg->env.handler == CHI_HANDLER_BLOCK) {
        block_arrived(slot, peer->rank, msg);
    } else {
        chi_bulk_in_arrived(&route->bulk, &peer->in, msg);
    }
}

static void
net_arrived(void *context, struct chi_msg *msg)
{
    struct chi_route_slot *slot = context;

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
    struct chi_route_slot *slot = context;

    chi_assert(rank < slot->route->size);
    route_lose(slot->route, rank, why);
}

static void
net_got(void *context, uint64_t token, chare_status status)
{
    struct chi_route *route = ((struct chi_route_slot *)context)->route;
    const uint32_t rank = chi_bulk_token_rank(token);

    chi_assert(rank < route->size);
    chi_assert(route->peers[rank] != NULL);
    chi_bulk_in_got(&route->bulk, &route->peers[rank]->in, token, status);
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
    struct chi_route_peer *peer = route->peers[rank];
    struct chi_route_slot *slot =
        &route->slots[route->ways[rank] & CHI_WAY_NET];
    chare_status status = CHARE_ERR_AGAIN;

    if (peer->acks.head == NULL) {
        status = chi_net_send(slot->net, rank, msg);
    }
    if (status == CHARE_OK) {
        return;
    }
    if (status != CHARE_ERR_AGAIN) {
        chi_route_peer_break(route, peer);
    }
    chi_msg_queue_push(&peer->acks, msg);
    chi_route_peer_list(route, peer);
}

static void
bulk_failed(void *context, uint32_t rank, chare_status why)
{
    struct chi_route *route = context;

    if (why != CHARE_ERR_PEER_LOST) { /* else its net has said it */
        chi_log_error(route->options.log,
                      "cannot fetch a large message from PE %" PRIu32 ": %s",
                      rank, chare_status_text(why));
    }
    route_lose(route, rank, why);
}

static void
bulk_dropped(void *context, uint32_t rank)
{
    struct chi_route *route = context;

    chi_assert(route->in_progress);
    if (route->sink.dropped != NULL) {
        route->sink.dropped(route->sink.context, rank);
    }
}

static bool
bulk_has_backlog(void *context, uint64_t *until)
{
    const struct chi_route *route = context;

    return route->sink.has_backlog != NULL &&
           route->sink.has_backlog(route->sink.context, until);
}

/* ---- progress */

/*
 * Report the broken peers, which are all in the busy list. Only when the nets
 * have nothing more to report: or what such a peer sent last would come after
 * its loss, and without the large messages before it.
 */
static __attribute__((noinline, cold)) void
lose_broken(struct chi_route *route)
{
    route->broken = false;
    for (uint32_t left = route->busy_count; left > 0 && route->busy != NULL;
         left--) {
        struct chi_route_peer *peer = route->busy;

        chi_route_peer_unlist(route, peer);
        if (peer->broken) {
            route_lose(route, peer->rank, CHARE_ERR_PEER_LOST);
        } else {
            chi_route_peer_list(route, peer);
        }
    }
}

/* Once round the busy peers; who still has something goes to the end. */
static uint32_t
move_busy(struct chi_route *route, uint32_t events_max)
{
    uint32_t events = 0;

    for (uint32_t left = route->busy_count;
         left > 0 && route->busy != NULL && events < events_max; left--) {
        struct chi_route_peer *peer = route->busy;

        chi_route_peer_unlist(route, peer);
        if (peer->broken) {
            chi_route_peer_list(route, peer);
        } else {
            events += chi_route_peer_move(route, peer, events_max - events);
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
        struct chi_route_slot *slot = &route->slots[(route->turn + i) % count];

        events += chi_net_progress(slot->net, events_max - events);
    }
    if (chi_unlikely(route->broken) && events < events_max) {
        lose_broken(route);
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
    route->peers = calloc(options->size, sizeof(struct chi_route_peer *));
    if (route->peers == NULL) {
        goto free_ways;
    }
    memset(route->ways, CHI_WAY_NONE, options->size);
    route->options = *options;
    route->sink = *sink;
    route->rank = options->rank;
    route->size = options->size;
    route->busy_end = &route->busy;
    route->queue_bytes_max = options->settings->queue_bytes;
    route->bulk = (struct chi_bulk){
        .sink = {route, bulk_arrived, bulk_done, bulk_failed, bulk_dropped,
                 bulk_has_backlog},
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
            chi_route_peer_destroy(route, route->peers[rank]);
        }
    }
    chi_assert(route->queued_bytes == 0);
    chi_route_entries_fini(route);
    free(route->peers);
    free(route->ways);
    free(route);
}

chare_status
chi_route_open_net(struct chi_route *route, const struct chi_net_ops *ops,
                   struct chi_net **net_out)
{
    struct chi_route_slot *slot = &route->slots[route->slot_count];
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

uint64_t
chi_route_eager_bytes(const struct chi_route *route)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < route->slot_count; i++) {
        if (route->slots[i].eager_bytes < least) {
            least = route->slots[i].eager_bytes;
        }
    }
    return least;
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
        chi_assert(route->ways[peers[i].rank] == CHI_WAY_NONE);
        route->ways[peers[i].rank] = way;
    }
    return CHARE_OK;
}

void
chi_route_close_all(struct chi_route *route)
{
    for (uint32_t rank = 0; rank < route->size; rank++) {
        route->ways[rank] |= CHI_WAY_LOST;
    }
}

/* ---- queries */

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
    const struct chi_route_peer *peer = route->peers[rank];

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

/* ---- napping */

bool
chi_route_can_nap(const struct chi_route *route)
{
    return route->slot_count == 1 && chi_net_can_nap(route->slots[0].net);
}

bool
chi_route_ready(const struct chi_route *route)
{
    return route->busy != NULL || route->bulk.serve_head != NULL ||
           chi_net_ready(route->slots[0].net);
}

chare_status
chi_route_nap_begin(struct chi_route *route)
{
    if (route->busy != NULL || route->bulk.serve_head != NULL) {
        return CHARE_ERR_AGAIN;
    }
    return chi_net_nap_begin(route->slots[0].net);
}

chare_status
chi_route_nap(struct chi_route *route, uint64_t timeout_ns)
{
    return chi_net_nap(route->slots[0].net, timeout_ns);
}

void
chi_route_nudge(struct chi_route *route)
{
    chi_net_nudge(route->slots[0].net);
}
