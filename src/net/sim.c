/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim.c - a simulated net: many PEs in one thread, from one seed.
 *
 * Whatever is under way is an *event* for one rank: a message, the end of a
 * get(), the loss of a peer. Events in flight are in one binary heap by (time,
 * sequence); a step moves the first into its rank's list of due events, from
 * which that rank's progress() reports.
 *
 * Invariants, numbered as in the README:
 *
 *  1. Events of one pair are due in the order in which they were made.
 *  2. A message in flight belongs to the pool of its receiver.
 *  3. in_flight of a net, and of a pair, counts its messages and get()s in the
 *     heap and in the due lists.
 *  4. Nothing depends on addresses, on time or on chance but the seed's.
 */
#include "config.h"

#include "net/sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/prng.h"

enum {
    EAGER_BYTES_PRESET = 8192,
    EAGER_BYTES_MIN = 1024,
    EVENTS_PER_SLAB = 64,
};

enum event_kind {
    EVENT_MESSAGE,
    EVENT_GOT,
    EVENT_LOST,
};

struct event {
    struct event *next; /* in a due list, or free */
    enum event_kind kind;
    uint32_t rank;   /* whom it happens to */
    uint32_t source; /* who caused it; got: whose memory is read */
    bool credited;   /* counts in in_flight of source, or of the getter */
    uint64_t job_key;
    struct chi_msg *msg;
    void *into; /* from here on: a get() */
    uint64_t len;
    uint64_t offset;
    uint64_t token;
    uint64_t handle;
    uint64_t secret;
};

struct event_slab {
    struct event_slab *next;
    struct event events[EVENTS_PER_SLAB];
};

struct heap_item {
    uint64_t when_ns;
    uint64_t sequence;
    struct event *event;
};

/* From one rank to another. */
struct pair {
    uint64_t last_ns; /* when the latest event of the pair is due */
    uint32_t in_flight;
    bool known_lost; /* the first was told that the second is lost */
};

/* Memory that peers may read. */
struct exposure {
    const unsigned char *bytes;
    uint64_t len;
    uint64_t secret;
    uint32_t rank;
};

struct sim_key {
    uint64_t handle;
    uint64_t secret;
};

struct sim_net {
    struct chi_net net;
    struct chi_sim_world *world;
    struct pair *pairs; /* to each rank; allocated at the first send */
    struct event *due_head;
    struct event *due_tail;
    uint64_t job_key;
    uint64_t sent_sequence; /* of the latest message */
    uint64_t left_sequence; /* of the latest one that has left */
    uint32_t in_flight;
    bool connected;
};

struct chi_sim_world {
    struct chi_clock_manual clock;
    struct chi_sim_options options;
    struct chi_prng prng;
    struct sim_net **nets; /* by rank; NULL: not open */
    bool *lost;            /* by rank */
    struct heap_item *heap;
    size_t heap_count;
    size_t heap_room;
    struct event *free_events;
    struct event_slab *slabs;
    uint64_t sequence;
    uint64_t due_count;
    struct chi_map exposures;
    uint64_t next_handle;
    uint64_t bug_seen;       /* messages that the bug might befall, so far */
    struct event *bug_event; /* to be swapped with the next of its pair */
    bool bug_done;
    uint64_t trace;
    struct chi_sim_stats stats;
};

/* ---- events in flight */

static bool
item_before(const struct heap_item *a, const struct heap_item *b)
{
    return a->when_ns < b->when_ns ||
           (a->when_ns == b->when_ns && a->sequence < b->sequence);
}

static void
heap_sift_up(struct heap_item *heap, size_t at)
{
    const struct heap_item item = heap[at];

    while (at > 0 && item_before(&item, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = item;
}

static void
heap_sift_down(struct heap_item *heap, size_t count, size_t at)
{
    const struct heap_item item = heap[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && item_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!item_before(&heap[child], &item)) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static bool
heap_reserve(struct chi_sim_world *world)
{
    const size_t room = world->heap_room * 2 + 64;
    struct heap_item *heap;

    if (world->heap_count < world->heap_room) {
        return true;
    }
    heap = realloc(world->heap, room * sizeof(*heap));
    if (heap == NULL) {
        return false;
    }
    world->heap = heap;
    world->heap_room = room;
    return true;
}

static struct event *
event_alloc(struct chi_sim_world *world, enum event_kind kind, uint32_t source,
            uint32_t rank)
{
    struct event *event = world->free_events;

    if (!heap_reserve(world)) {
        return NULL;
    }
    if (event == NULL) {
        struct event_slab *slab = malloc(sizeof(*slab));

        if (slab == NULL) {
            return NULL;
        }
        slab->next = world->slabs;
        world->slabs = slab;
        for (int i = EVENTS_PER_SLAB - 1; i >= 0; i--) {
            slab->events[i].next = event;
            event = &slab->events[i];
        }
    }
    world->free_events = event->next;
    *event = (struct event){.kind = kind, .rank = rank, .source = source};
    return event;
}

static void
event_free(struct chi_sim_world *world, struct event *event)
{
    if (event == world->bug_event) {
        world->bug_event = NULL;
    }
    event->next = world->free_events;
    world->free_events = event;
}

/* The net and the pair that the event is charged to, once it is over. */
static void
event_uncharge(struct chi_sim_world *world, const struct event *event)
{
    const bool got = event->kind == EVENT_GOT;
    struct sim_net *net = world->nets[got ? event->rank : event->source];
    struct pair *pair;

    if (!event->credited || net == NULL) {
        return;
    }
    pair = &net->pairs[got ? event->source : event->rank];
    chi_assert(net->in_flight > 0);
    chi_assert(pair->in_flight > 0);
    net->in_flight--;
    pair->in_flight--;
}

/* Forget an event that will never be reported. */
static void
event_vanish(struct chi_sim_world *world, struct event *event)
{
    event_uncharge(world, event);
    if (event->msg != NULL) {
        chi_msg_release(event->msg);
        world->stats.vanished++;
    }
    event_free(world, event);
}

/* Put the event on its way, no sooner than what the pair sent before. */
static void
event_push(struct chi_sim_world *world, struct event *event, struct pair *pair)
{
    const uint64_t span = world->options.delay_ns_max;
    uint64_t when_ns = world->clock.now_ns + 1;

    if (world->options.in_order) {
        when_ns += span;
    } else if (span > 1) {
        when_ns += chi_prng_below(&world->prng, span);
    }
    if (pair != NULL) {
        if (when_ns < pair->last_ns) {
            when_ns = pair->last_ns;
        }
        pair->last_ns = when_ns;
    }
    chi_assert(world->heap_count < world->heap_room);
    world->heap[world->heap_count] =
        (struct heap_item){when_ns, ++world->sequence, event};
    heap_sift_up(world->heap, world->heap_count++);
}

static struct heap_item
heap_pop(struct chi_sim_world *world)
{
    const struct heap_item first = world->heap[0];

    chi_assert(world->heap_count > 0);
    world->heap[0] = world->heap[--world->heap_count];
    if (world->heap_count > 1) {
        heap_sift_down(world->heap, world->heap_count, 0);
    }
    return first;
}

/* Forget the events in flight for which 'gone' says so. */
static void
heap_filter(struct chi_sim_world *world,
            bool (*gone)(const struct heap_item *item, uint32_t rank,
                         uint64_t sequence),
            uint32_t rank, uint64_t sequence)
{
    size_t kept = 0;

    for (size_t i = 0; i < world->heap_count; i++) {
        if (gone(&world->heap[i], rank, sequence)) {
            event_vanish(world, world->heap[i].event);
        } else {
            world->heap[kept++] = world->heap[i];
        }
    }
    world->heap_count = kept;
    for (size_t i = kept / 2; i-- > 0;) {
        heap_sift_down(world->heap, kept, i);
    }
}

static void
due_push(struct chi_sim_world *world, struct event *event)
{
    struct sim_net *net = world->nets[event->rank];

    if (event == world->bug_event) {
        world->bug_event = NULL; /* too late to swap it */
    }
    if (net == NULL || world->lost[event->rank]) {
        event_vanish(world, event);
        return;
    }
    event->next = NULL;
    if (net->due_head == NULL) {
        net->due_head = event;
    } else {
        net->due_tail->next = event;
    }
    net->due_tail = event;
    world->due_count++;
}

static struct event *
due_pop(struct sim_net *net)
{
    struct event *event = net->due_head;

    net->due_head = event->next;
    net->world->due_count--;
    return event;
}

static void
due_clear(struct sim_net *net)
{
    while (net->due_head != NULL) {
        event_vanish(net->world, due_pop(net));
    }
}

/* ---- the world */

chare_status
chi_sim_world_create(const struct chi_sim_options *options,
                     struct chi_sim_world **world_out)
{
    struct chi_sim_world *world;

    if (options->pe_count == 0 || options->pe_count > CHARE_PES_MAX ||
        (options->eager_bytes != 0 &&
         options->eager_bytes < EAGER_BYTES_MIN)) {
        return CHARE_ERR_INVALID;
    }
    world = calloc(1, sizeof(*world));
    if (world == NULL) {
        goto out;
    }
    world->nets = calloc(options->pe_count, sizeof(struct sim_net *));
    if (world->nets == NULL) {
        goto free_world;
    }
    world->lost = calloc(options->pe_count, sizeof(bool));
    if (world->lost == NULL) {
        goto free_nets;
    }
    world->options = *options;
    if (world->options.eager_bytes == 0) {
        world->options.eager_bytes = EAGER_BYTES_PRESET;
    }
    chi_clock_manual_init(&world->clock, 0);
    chi_prng_init(&world->prng, options->seed);
    chi_map_init(&world->exposures);
    *world_out = world;
    return CHARE_OK;

free_nets:
    free(world->nets);
free_world:
    free(world);
out:
    return CHARE_ERR_NO_MEMORY;
}

void
chi_sim_world_destroy(struct chi_sim_world *world)
{
    if (world == NULL) {
        return;
    }
    for (uint32_t rank = 0; rank < world->options.pe_count; rank++) {
        chi_assert(world->nets[rank] == NULL);
    }
    chi_assert(world->exposures.count == 0);
    chi_assert(world->due_count == 0);
    while (world->slabs != NULL) {
        struct event_slab *slab = world->slabs;

        world->slabs = slab->next;
        free(slab);
    }
    chi_map_fini(&world->exposures);
    free(world->heap);
    free(world->lost);
    free(world->nets);
    free(world);
}

const struct chi_clock *
chi_sim_world_clock(const struct chi_sim_world *world)
{
    return &world->clock.clock;
}

bool
chi_sim_world_step(struct chi_sim_world *world, uint32_t *rank_out)
{
    struct heap_item item;

    if (world->heap_count == 0) {
        return false;
    }
    item = heap_pop(world);
    if (item.when_ns > world->clock.now_ns) {
        world->clock.now_ns = item.when_ns;
    }
    if (rank_out != NULL) {
        *rank_out = item.event->rank;
    }
    due_push(world, item.event);
    world->stats.steps++;
    if (world->stats.steps == world->options.lose_step) {
        chi_sim_world_lose(world, world->options.lost_rank);
    }
    return true;
}

void
chi_sim_world_advance(struct chi_sim_world *world, uint64_t now_ns)
{
    chi_assert(now_ns >= world->clock.now_ns);
    while (chi_sim_world_next_ns(world) <= now_ns) {
        (void)chi_sim_world_step(world, NULL);
    }
    world->clock.now_ns = now_ns;
}

uint64_t
chi_sim_world_next_ns(const struct chi_sim_world *world)
{
    return world->heap_count == 0 ? UINT64_MAX : world->heap[0].when_ns;
}

uint64_t
chi_sim_world_in_flight(const struct chi_sim_world *world)
{
    return world->heap_count + world->due_count;
}

uint64_t
chi_sim_world_due(const struct chi_sim_world *world)
{
    return world->due_count;
}

static bool
gone_with_rank(const struct heap_item *item, uint32_t rank, uint64_t sequence)
{
    const struct event *event = item->event;

    (void)sequence;
    return event->rank == rank ||
           (event->source == rank && event->kind == EVENT_MESSAGE);
}

void
chi_sim_world_lose(struct chi_sim_world *world, uint32_t rank)
{
    chi_assert(rank < world->options.pe_count);
    if (world->lost[rank]) {
        return;
    }
    heap_filter(world, gone_with_rank, rank, 0);
    if (world->nets[rank] != NULL) {
        due_clear(world->nets[rank]);
    }
    world->lost[rank] = true;
    for (uint32_t i = 0; i < world->options.pe_count; i++) {
        struct event *event;

        if (world->nets[i] == NULL || world->lost[i]) {
            continue;
        }
        event = event_alloc(world, EVENT_LOST, rank, i);
        chi_assert(event != NULL);
        event_push(world, event, NULL);
    }
}

bool
chi_sim_world_lost(const struct chi_sim_world *world, uint32_t rank)
{
    return world->lost[rank];
}

bool
chi_sim_world_bug_done(const struct chi_sim_world *world)
{
    return world->bug_done;
}

uint64_t
chi_sim_world_trace(const struct chi_sim_world *world)
{
    return world->trace;
}

uint64_t
chi_sim_world_draw(struct chi_sim_world *world, uint64_t limit)
{
    return chi_prng_below(&world->prng, limit);
}

void
chi_sim_world_stats(const struct chi_sim_world *world,
                    struct chi_sim_stats *out)
{
    *out = world->stats;
}

/* ---- sending */

/* A message event with a copy of these bytes; NULL: out of memory. */
static struct event *
message_event(struct chi_sim_world *world, uint32_t source, uint32_t rank,
              uint64_t job_key, const void *wire, uint64_t wire_len)
{
    struct event *event = event_alloc(world, EVENT_MESSAGE, source, rank);
    uint64_t room = wire_len;

    if (event == NULL) {
        return NULL;
    }
    if (room < sizeof(struct chi_envelope)) {
        room = sizeof(struct chi_envelope);
    }
    event->job_key = job_key;
    event->len = wire_len;
    event->msg = chi_msg_alloc_wire(world->nets[rank]->net.options.pool, room);
    if (event->msg == NULL) {
        event_free(world, event);
        return NULL;
    }
    memcpy(chi_msg_wire(event->msg), wire, wire_len);
    return event;
}

chare_status
chi_sim_world_inject(struct chi_sim_world *world, uint32_t source,
                     uint32_t rank, uint64_t job_key, const void *wire,
                     uint64_t wire_len)
{
    struct event *event;

    chi_assert(rank < world->options.pe_count);
    chi_assert(world->nets[rank] != NULL);
    event = message_event(world, source, rank, job_key, wire, wire_len);
    if (event == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    event_push(world, event, NULL);
    return CHARE_OK;
}

/* Let two messages of one pair change places: the armed one and this. */
static void
bug_swap(struct chi_sim_world *world, struct event *event)
{
    struct event *armed = world->bug_event;

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
bug_befalls(struct chi_sim_world *world, struct event *event,
            struct pair *pair)
{
    const enum chi_handler handler = world->options.bug_handler;
    struct event *twin;

    if (world->options.bug == CHI_SIM_BUG_NONE || world->bug_done ||
        (handler != CHI_HANDLER_NONE && event->msg->env.handler != handler) ||
        world->bug_seen++ < world->options.bug_at) {
        return false;
    }
    switch (world->options.bug) {
    case CHI_SIM_BUG_DROP:
        event_vanish(world, event);
        world->bug_done = true;
        return true;
    case CHI_SIM_BUG_TWICE:
        twin = message_event(world, event->source, event->rank, event->job_key,
                             chi_msg_wire(event->msg), event->len);
        if (twin != NULL) {
            event_push(world, twin, pair);
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
static struct pair *
sim_charge(struct sim_net *sim, uint32_t rank)
{
    const struct chi_sim_options *options = &sim->world->options;
    struct pair *pair;

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
sim_uncharge(struct sim_net *sim, uint32_t rank)
{
    sim->in_flight--;
    sim->pairs[rank].in_flight--;
}

static bool
sim_ready(struct sim_net *sim)
{
    if (sim->pairs == NULL) {
        sim->pairs = calloc(sim->world->options.pe_count, sizeof(*sim->pairs));
    }
    return sim->pairs != NULL;
}

static void
send_count(struct chi_sim_world *world, const struct chi_msg *msg)
{
    chi_assert(msg->env.handler < CHI_HANDLER_COUNT);
    world->stats.sent[msg->env.handler]++;
    world->stats.bytes[msg->env.handler] += chi_msg_wire_len(msg);
}

static chare_status
sim_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct sim_net *sim = (struct sim_net *)net;
    struct chi_sim_world *world = sim->world;
    const uint64_t wire_len = chi_msg_wire_len(msg);
    struct event *event;
    struct pair *pair;

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
    event = message_event(world, net->options.rank, rank, sim->job_key,
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
        chi_assert(heap_reserve(world));
        event_push(world, event, pair);
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
trace_event(struct chi_sim_world *world, const struct event *event)
{
    uint64_t words[sizeof(struct chi_envelope) / sizeof(uint64_t)];

    trace_add(world, world->clock.now_ns);
    trace_add(world, (uint64_t)event->rank << 32 | event->source);
    trace_add(world, (uint64_t)event->kind ^ event->token << 8);
    if (event->kind == EVENT_MESSAGE) {
        memcpy(words, &event->msg->env, sizeof(words));
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            trace_add(world, words[i]);
        }
    }
}

static void
report_message(struct sim_net *sim, struct event *event)
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
report_got(struct sim_net *sim, const struct event *event)
{
    struct chi_sim_world *world = sim->world;
    const struct exposure *exposure =
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
report(struct sim_net *sim, struct event *event)
{
    struct chi_sim_world *world = sim->world;

    trace_event(world, event);
    event_uncharge(world, event);
    switch (event->kind) {
    case EVENT_MESSAGE:
        report_message(sim, event);
        break;
    case EVENT_GOT:
        report_got(sim, event);
        break;
    case EVENT_LOST:
        if (sim_ready(sim)) {
            sim->pairs[event->source].known_lost = true;
        }
        sim->net.sink.peer_lost(sim->net.sink.context, event->source,
                                CHARE_ERR_PEER_LOST);
        break;
    }
    event_free(world, event);
}

static uint32_t
sim_progress(struct chi_net *net, uint32_t events_max)
{
    struct sim_net *sim = (struct sim_net *)net;
    struct chi_sim_world *world = sim->world;
    uint32_t events = 0;

    sim->left_sequence = sim->sent_sequence;
    if (world->options.self_driving && sim->due_head == NULL) {
        (void)chi_sim_world_step(world, NULL);
    }
    while (events < events_max && sim->due_head != NULL) {
        report(sim, due_pop(sim));
        events++;
    }
    return events;
}

static bool
sim_drained(const struct chi_net *net)
{
    const struct sim_net *sim = (const struct sim_net *)net;

    return sim->left_sequence == sim->sent_sequence;
}

/* ---- life */

static chare_status
sim_open(const struct chi_net_options *options,
         const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct chi_sim_world *world = options->provider_options;
    struct sim_net *sim;

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
gone_with_net(const struct heap_item *item, uint32_t rank, uint64_t sequence)
{
    const struct event *event = item->event;

    return event->rank == rank ||
           (event->source == rank && event->kind == EVENT_MESSAGE &&
            event->credited && item->sequence > sequence);
}

static void
sim_close(struct chi_net *net)
{
    struct sim_net *sim = (struct sim_net *)net;
    struct chi_sim_world *world = sim->world;
    const uint32_t rank = net->options.rank;
    size_t cursor = 0;
    uint64_t handle;
    void *exposure;

    heap_filter(world, gone_with_net, rank, sim->left_sequence);
    due_clear(sim);
    while (chi_map_next(&world->exposures, &cursor, &handle, &exposure)) {
        if (((struct exposure *)exposure)->rank == rank) {
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
        &((const struct sim_net *)net)->world->options;

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
    struct sim_net *sim = (struct sim_net *)net;

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
    const struct sim_net *sim = (const struct sim_net *)net;

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
    struct sim_net *sim = (struct sim_net *)net;
    struct chi_sim_world *world = sim->world;
    struct exposure *exposure;
    struct sim_key key;

    if (!world->options.rma) {
        return CHARE_ERR_STATE;
    }
    chi_assert(*key_len_inout >= sizeof(key));
    exposure = malloc(sizeof(*exposure));
    if (exposure == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    key.handle = ++world->next_handle;
    key.secret = chi_prng_next(&world->prng);
    *exposure = (struct exposure){bytes, len, key.secret, net->options.rank};
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
    struct sim_net *sim = (struct sim_net *)net;
    struct exposure *exposure = chi_map_remove(&sim->world->exposures, handle);

    chi_assert(exposure != NULL);
    chi_assert(exposure->rank == net->options.rank);
    free(exposure);
}

static chare_status
sim_get(struct chi_net *net, uint32_t rank, const void *key, size_t key_len,
        uint64_t offset, void *into, uint64_t len, uint64_t token)
{
    struct sim_net *sim = (struct sim_net *)net;
    struct chi_sim_world *world = sim->world;
    struct sim_key sim_key;
    struct event *event;

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
    event = event_alloc(world, EVENT_GOT, rank, net->options.rank);
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
    event_push(world, event, NULL);
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
