/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim.c - the net provider of a simulated world.
 */
#include "config.h"

#include "net/sim.h"

#include <stdlib.h>
#include <string.h>

#include "net/sim_world.h"

struct sim_key {
    uint64_t handle;
    uint64_t secret;
};

/* ---- sending */

/* Let two messages of one pair change places: the armed one and this. */
static void
bug_swap(struct chi_sim_world *world, struct chi_sim_event *event)
{
    struct chi_sim_event *armed = world->bug_event;

    if (armed == NULL) {
        world->bug_event = event;
    } else if (armed->source == event->source && armed->rank == event->rank) {
        struct chi_msg *msg = armed->msg;
        const uint64_t len = armed->len;

        armed->msg = event->msg;
        armed->len = event->len;
        event->msg = msg;
        event->len = len;
        world->bug_event = NULL;
        world->bug_done = true;
    }
}

/* A message is sent: is it the one that the planted bug befalls? True: it is
 * not to be sent at all. */
static bool
bug_befalls(struct chi_sim_world *world, struct chi_sim_event *event,
            struct chi_sim_pair *pair)
{
    const enum chi_handler handler = world->options.bug_handler;
    struct chi_sim_event *twin;

    if (world->options.bug == CHI_SIM_BUG_NONE || world->bug_done ||
        (handler != CHI_HANDLER_NONE && event->msg->env.handler != handler) ||
        world->bug_seen++ < world->options.bug_at) {
        return false;
    }
    switch (world->options.bug) {
    case CHI_SIM_BUG_DROP:
        chi_sim_event_vanish(world, event);
        world->bug_done = true;
        return true;
    case CHI_SIM_BUG_TWICE:
        twin = chi_sim_message_event(world, event->source, event->rank,
                                     event->job_key, chi_msg_wire(event->msg),
                                     event->len);
        if (twin != NULL) {
            chi_sim_event_push(world, twin, pair);
            world->bug_done = true;
        }
        return false;
    case CHI_SIM_BUG_SWAP:
        bug_swap(world, event);
        return false;
    case CHI_SIM_BUG_NONE:
        break;
    }
    return false;
}

/* The pair to 'rank', charged for one more event; NULL: no credit. */
static struct chi_sim_pair *
sim_charge(struct chi_sim_net *sim, uint32_t rank)
{
    const struct chi_sim_options *options = &sim->world->options;
    struct chi_sim_pair *pair;

    if (options->credit != 0 && sim->in_flight >= options->credit) {
        return NULL;
    }
    pair = &sim->pairs[rank];
    if (options->pair_credit != 0 && pair->in_flight >= options->pair_credit) {
        return NULL;
    }
    sim->in_flight++;
    pair->in_flight++;
    return pair;
}

static void
sim_uncharge(struct chi_sim_net *sim, uint32_t rank)
{
    sim->in_flight--;
    sim->pairs[rank].in_flight--;
}

static bool
sim_ready(struct chi_sim_net *sim)
{
    if (sim->pairs == NULL) {
        sim->pairs = calloc(sim->world->options.pe_count, sizeof(*sim->pairs));
    }
    return sim->pairs != NULL;
}

/* What makes no sense is the receiver's to drop. */
static void
send_count(struct chi_sim_world *world, const struct chi_msg *msg)
{
    if (msg->env.handler < CHI_HANDLER_COUNT) {
        world->stats.sent[msg->env.handler]++;
        world->stats.bytes[msg->env.handler] += chi_msg_wire_len(msg);
    }
}

static chare_status
sim_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_world *world = sim->world;
    const uint64_t wire_len = chi_msg_wire_len(msg);
    struct chi_sim_event *event;
    struct chi_sim_pair *pair;

    chi_assert(sim->connected);
    if (wire_len > world->options.eager_bytes) {
        return CHARE_ERR_TOO_LARGE;
    }
    if (!sim_ready(sim)) {
        return CHARE_ERR_AGAIN;
    }
    if (sim->pairs[rank].known_lost) {
        return CHARE_ERR_PEER_LOST;
    }
    if (world->nets[rank] == NULL || world->lost[rank] ||
        world->lost[net->options.rank]) {
        chi_msg_release(msg);
        world->stats.vanished++;
        return CHARE_OK;
    }
    pair = sim_charge(sim, rank);
    if (pair == NULL) {
        world->stats.refused++;
        return CHARE_ERR_AGAIN;
    }
    event = chi_sim_message_event(world, net->options.rank, rank, sim->job_key,
                                  chi_msg_wire(msg), wire_len);
    if (event == NULL) {
        sim_uncharge(sim, rank);
        return CHARE_ERR_AGAIN;
    }
    event->credited = true;
    send_count(world, msg);
    chi_msg_release(msg);
    if (!bug_befalls(world, event, pair)) {
        /* The planted twin may have used up the room. */
        chi_assert(chi_sim_heap_reserve(world));
        chi_sim_event_push(world, event, pair);
        sim->sent_sequence = world->sequence;
    }
    return CHARE_OK;
}

/* ---- reporting */

static void
trace_add(struct chi_sim_world *world, uint64_t value)
{
    world->trace = chi_mix64(world->trace ^ value);
}

static void
trace_event(struct chi_sim_world *world, const struct chi_sim_event *event)
{
    uint64_t words[sizeof(struct chi_envelope) / sizeof(uint64_t)];

    trace_add(world, world->clock.now_ns);
    trace_add(world, (uint64_t)event->rank << 32 | event->source);
    trace_add(world, (uint64_t)event->kind ^ event->token << 8);
    if (event->kind == CHI_SIM_EVENT_MESSAGE) {
        memcpy(words, &event->msg->env, sizeof(words));
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            trace_add(world, words[i]);
        }
    }
}

static void
report_message(struct chi_sim_net *sim, struct chi_sim_event *event)
{
    struct chi_sim_world *world = sim->world;
    struct chi_msg *msg = event->msg;

    event->msg = NULL;
    if (event->job_key != sim->job_key ||
        !chi_msg_wire_ok(chi_msg_wire(msg), event->len)) {
        sim->net.foreign_dropped++;
        chi_msg_release(msg);
        return;
    }
    world->stats.arrived[msg->env.handler]++;
    sim->net.sink.arrived(sim->net.sink.context, msg);
}

/* Read as late as possible, so that memory taken back too early shows. */
static void
report_got(struct chi_sim_net *sim, const struct chi_sim_event *event)
{
    struct chi_sim_world *world = sim->world;
    const struct chi_sim_exposure *exposure =
        chi_map_get(&world->exposures, event->handle);
    chare_status status = CHARE_OK;

    if (world->lost[event->source]) {
        status = CHARE_ERR_PEER_LOST;
    } else if (exposure == NULL || exposure->rank != event->source ||
               exposure->secret != event->secret ||
               event->offset > exposure->len ||
               event->len > exposure->len - event->offset) {
        status = CHARE_ERR_FABRIC;
    } else {
        memcpy(event->into, exposure->bytes + event->offset, event->len);
        world->stats.got_bytes += event->len;
    }
    sim->net.sink.got(sim->net.sink.context, event->token, status);
}

static void
report(struct chi_sim_net *sim, struct chi_sim_event *event)
{
    struct chi_sim_world *world = sim->world;

    trace_event(world, event);
    chi_sim_event_uncharge(world, event);
    switch (event->kind) {
    case CHI_SIM_EVENT_MESSAGE:
        report_message(sim, event);
        break;
    case CHI_SIM_EVENT_GOT:
        report_got(sim, event);
        break;
    case CHI_SIM_EVENT_LOST:
        if (sim_ready(sim)) {
            sim->pairs[event->source].known_lost = true;
        }
        sim->net.sink.peer_lost(sim->net.sink.context, event->source,
                                CHARE_ERR_PEER_LOST);
        break;
    }
    chi_sim_event_free(world, event);
}

static uint32_t
sim_progress(struct chi_net *net, uint32_t events_max)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_world *world = sim->world;
    uint32_t events = 0;

    sim->left_sequence = sim->sent_sequence;
    if (world->options.self_driving && sim->due_head == NULL) {
        (void)chi_sim_world_step(world, NULL);
    }
    while (events < events_max && sim->due_head != NULL) {
        report(sim, chi_sim_due_pop(sim));
        events++;
    }
    return events;
}

static bool
sim_drained(const struct chi_net *net)
{
    const struct chi_sim_net *sim = (const struct chi_sim_net *)net;

    return sim->left_sequence == sim->sent_sequence;
}

/* ---- life */

static chare_status
sim_open(const struct chi_net_options *options,
         const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct chi_sim_world *world = options->provider_options;
    struct chi_sim_net *sim;

    chi_assert(world != NULL);
    chi_assert(options->size <= world->options.pe_count);
    chi_assert(world->nets[options->rank] == NULL);
    sim = calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    sim->net.ops = &chi_net_sim_ops;
    sim->net.sink = *sink;
    sim->net.options = *options;
    sim->world = world;
    world->nets[options->rank] = sim;
    *net_out = &sim->net;
    return CHARE_OK;
}

/* To the rank that closes, or from it and not left yet. */
static bool
gone_with_net(const struct chi_sim_item *item, uint32_t rank,
              uint64_t sequence)
{
    const struct chi_sim_event *event = item->event;

    return event->rank == rank ||
           (event->source == rank && event->kind == CHI_SIM_EVENT_MESSAGE &&
            event->credited && item->sequence > sequence);
}

static void
sim_close(struct chi_net *net)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_world *world = sim->world;
    const uint32_t rank = net->options.rank;
    size_t cursor = 0;
    uint64_t handle;
    void *exposure;

    chi_sim_heap_filter(world, gone_with_net, rank, sim->left_sequence);
    chi_sim_due_clear(sim);
    while (chi_map_next(&world->exposures, &cursor, &handle, &exposure)) {
        if (((struct chi_sim_exposure *)exposure)->rank == rank) {
            free(chi_map_remove(&world->exposures, handle));
            cursor = 0;
        }
    }
    world->nets[rank] = NULL;
    free(sim->pairs);
    free(sim);
}

static void
sim_limits(const struct chi_net *net, struct chi_net_limits *out)
{
    const struct chi_sim_options *options =
        &((const struct chi_sim_net *)net)->world->options;

    *out = (struct chi_net_limits){options->eager_bytes, options->rma};
}

static chare_status
sim_address(struct chi_net *net, void *out, size_t *len_inout)
{
    const uint32_t rank = net->options.rank;

    if (*len_inout < sizeof(rank)) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(out, &rank, sizeof(rank));
    *len_inout = sizeof(rank);
    return CHARE_OK;
}

static chare_status
sim_connect(struct chi_net *net, uint64_t job_key,
            const struct chi_net_peer *peers, uint32_t peer_count)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;

    chi_assert(!sim->connected);
    for (uint32_t i = 0; i < peer_count; i++) {
        uint32_t rank;

        chi_assert(peers[i].len == sizeof(rank));
        memcpy(&rank, peers[i].address, sizeof(rank));
        chi_assert(rank == peers[i].rank);
    }
    sim->job_key = job_key;
    sim->connected = true;
    return CHARE_OK;
}

/* ---- sleeping: there is nothing to sleep on */

static int
sim_wait_fd(const struct chi_net *net)
{
    (void)net;
    return -1;
}

static chare_status
sim_wait_begin(struct chi_net *net)
{
    const struct chi_sim_net *sim = (const struct chi_sim_net *)net;

    return sim->due_head != NULL ? CHARE_ERR_AGAIN : CHARE_OK;
}

static void
sim_wait_end(struct chi_net *net)
{
    (void)net;
}

/* ---- RMA */

static chare_status
sim_expose(struct chi_net *net, const void *bytes, uint64_t len, void *key_out,
           size_t *key_len_inout, uint64_t *handle_out)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_world *world = sim->world;
    struct chi_sim_exposure *exposure;
    struct sim_key key;

    if (!world->options.rma) {
        return CHARE_ERR_STATE;
    }
    if (world->options.expose_max != 0 &&
        world->exposures.count >= world->options.expose_max) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_assert(*key_len_inout >= sizeof(key));
    exposure = malloc(sizeof(*exposure));
    if (exposure == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    key.handle = ++world->next_handle;
    key.secret = chi_prng_next(&world->prng);
    *exposure =
        (struct chi_sim_exposure){bytes, len, key.secret, net->options.rank};
    if (chi_map_put(&world->exposures, key.handle, exposure) != CHARE_OK) {
        free(exposure);
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(key_out, &key, sizeof(key));
    *key_len_inout = sizeof(key);
    *handle_out = key.handle;
    return CHARE_OK;
}

static void
sim_unexpose(struct chi_net *net, uint64_t handle)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_exposure *exposure =
        chi_map_remove(&sim->world->exposures, handle);

    chi_assert(exposure != NULL);
    chi_assert(exposure->rank == net->options.rank);
    free(exposure);
}

static chare_status
sim_get(struct chi_net *net, uint32_t rank, const void *key, size_t key_len,
        uint64_t offset, void *into, uint64_t len, uint64_t token)
{
    struct chi_sim_net *sim = (struct chi_sim_net *)net;
    struct chi_sim_world *world = sim->world;
    struct sim_key sim_key;
    struct chi_sim_event *event;

    if (!world->options.rma) {
        return CHARE_ERR_STATE;
    }
    if (key_len != sizeof(sim_key)) {
        return CHARE_ERR_FABRIC;
    }
    memcpy(&sim_key, key, sizeof(sim_key));
    if (!sim_ready(sim)) {
        return CHARE_ERR_AGAIN;
    }
    if (sim->pairs[rank].known_lost) {
        return CHARE_ERR_PEER_LOST;
    }
    if (sim_charge(sim, rank) == NULL) {
        world->stats.refused++;
        return CHARE_ERR_AGAIN;
    }
    event =
        chi_sim_event_alloc(world, CHI_SIM_EVENT_GOT, rank, net->options.rank);
    if (event == NULL) {
        sim_uncharge(sim, rank);
        return CHARE_ERR_AGAIN;
    }
    event->credited = true;
    event->handle = sim_key.handle;
    event->secret = sim_key.secret;
    event->offset = offset;
    event->into = into;
    event->len = len;
    event->token = token;
    world->stats.gets++;
    chi_sim_event_push(world, event, NULL);
    return CHARE_OK;
}

const struct chi_net_ops chi_net_sim_ops = {
    .name = "sim",
    .abi = CHI_NET_ABI,
    .open = sim_open,
    .close = sim_close,
    .limits = sim_limits,
    .address = sim_address,
    .connect = sim_connect,
    .send = sim_send,
    .progress = sim_progress,
    .drained = sim_drained,
    .wait_fd = sim_wait_fd,
    .wait_begin = sim_wait_begin,
    .wait_end = sim_wait_end,
    .expose = sim_expose,
    .unexpose = sim_unexpose,
    .get = sim_get,
};
