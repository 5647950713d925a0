/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_world.c - a simulated world: its clock and what is under way in it.
 */
#include "config.h"

#include "net/sim_world.h"

#include <stdlib.h>
#include <string.h>

enum {
    EAGER_BYTES_PRESET = 8192,
    EAGER_BYTES_MIN = 1024,
    EVENTS_PER_SLAB = 64,
};

struct chi_sim_slab {
    struct chi_sim_slab *next;
    struct chi_sim_event events[EVENTS_PER_SLAB];
};

/* ---- events in flight */

static bool
item_before(const struct chi_sim_item *a, const struct chi_sim_item *b)
{
    return a->when_ns < b->when_ns ||
           (a->when_ns == b->when_ns && a->sequence < b->sequence);
}

static void
heap_sift_up(struct chi_sim_item *heap, size_t at)
{
    const struct chi_sim_item item = heap[at];

    while (at > 0 && item_before(&item, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = item;
}

static void
heap_sift_down(struct chi_sim_item *heap, size_t count, size_t at)
{
    const struct chi_sim_item item = heap[at];

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

bool
chi_sim_heap_reserve(struct chi_sim_world *world)
{
    const size_t room = world->heap_room * 2 + 64;
    struct chi_sim_item *heap;

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

struct chi_sim_event *
chi_sim_event_alloc(struct chi_sim_world *world, enum chi_sim_event_kind kind,
                    uint32_t source, uint32_t rank)
{
    struct chi_sim_event *event = world->free_events;

    if (!chi_sim_heap_reserve(world)) {
        return NULL;
    }
    if (event == NULL) {
        struct chi_sim_slab *slab = malloc(sizeof(*slab));

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
    *event =
        (struct chi_sim_event){.kind = kind, .rank = rank, .source = source};
    return event;
}

void
chi_sim_event_free(struct chi_sim_world *world, struct chi_sim_event *event)
{
    if (event == world->bug_event) {
        world->bug_event = NULL;
    }
    event->next = world->free_events;
    world->free_events = event;
}

/* The net and the pair that the event is charged to, once it is over. */
void
chi_sim_event_uncharge(struct chi_sim_world *world,
                       const struct chi_sim_event *event)
{
    const bool got = event->kind == CHI_SIM_EVENT_GOT;
    struct chi_sim_net *net = world->nets[got ? event->rank : event->source];
    struct chi_sim_pair *pair;

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
void
chi_sim_event_vanish(struct chi_sim_world *world, struct chi_sim_event *event)
{
    chi_sim_event_uncharge(world, event);
    if (event->msg != NULL) {
        chi_msg_release(event->msg);
        world->stats.vanished++;
    }
    chi_sim_event_free(world, event);
}

/* Put the event on its way, no sooner than what the pair sent before. */
void
chi_sim_event_push(struct chi_sim_world *world, struct chi_sim_event *event,
                   struct chi_sim_pair *pair)
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
        (struct chi_sim_item){when_ns, ++world->sequence, event};
    heap_sift_up(world->heap, world->heap_count++);
}

static struct chi_sim_item
heap_pop(struct chi_sim_world *world)
{
    const struct chi_sim_item first = world->heap[0];

    chi_assert(world->heap_count > 0);
    world->heap[0] = world->heap[--world->heap_count];
    if (world->heap_count > 1) {
        heap_sift_down(world->heap, world->heap_count, 0);
    }
    return first;
}

/* Forget the events in flight for which 'gone' says so. */
void
chi_sim_heap_filter(struct chi_sim_world *world,
                    bool (*gone)(const struct chi_sim_item *item,
                                 uint32_t rank, uint64_t sequence),
                    uint32_t rank, uint64_t sequence)
{
    size_t kept = 0;

    for (size_t i = 0; i < world->heap_count; i++) {
        if (gone(&world->heap[i], rank, sequence)) {
            chi_sim_event_vanish(world, world->heap[i].event);
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
due_push(struct chi_sim_world *world, struct chi_sim_event *event)
{
    struct chi_sim_net *net = world->nets[event->rank];

    if (event == world->bug_event) {
        world->bug_event = NULL; /* too late to swap it */
    }
    if (net == NULL || world->lost[event->rank]) {
        chi_sim_event_vanish(world, event);
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

struct chi_sim_event *
chi_sim_due_pop(struct chi_sim_net *net)
{
    struct chi_sim_event *event = net->due_head;

    net->due_head = event->next;
    net->world->due_count--;
    return event;
}

void
chi_sim_due_clear(struct chi_sim_net *net)
{
    while (net->due_head != NULL) {
        chi_sim_event_vanish(net->world, chi_sim_due_pop(net));
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
    world->nets = calloc(options->pe_count, sizeof(struct chi_sim_net *));
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
        struct chi_sim_slab *slab = world->slabs;

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
    struct chi_sim_item item;

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
gone_with_rank(const struct chi_sim_item *item, uint32_t rank,
               uint64_t sequence)
{
    const struct chi_sim_event *event = item->event;

    (void)sequence;
    return event->rank == rank ||
           (event->source == rank && event->kind == CHI_SIM_EVENT_MESSAGE);
}

void
chi_sim_world_lose(struct chi_sim_world *world, uint32_t rank)
{
    chi_assert(rank < world->options.pe_count);
    if (world->lost[rank]) {
        return;
    }
    chi_sim_heap_filter(world, gone_with_rank, rank, 0);
    if (world->nets[rank] != NULL) {
        chi_sim_due_clear(world->nets[rank]);
    }
    world->lost[rank] = true;
    for (uint32_t i = 0; i < world->options.pe_count; i++) {
        struct chi_sim_event *event;

        if (world->nets[i] == NULL || world->lost[i]) {
            continue;
        }
        if (world->nets[i]->pairs != NULL) {
            world->nets[i]->pairs[rank].known_lost =
                chi_prng_below(&world->prng, 2) == 0;
        }
        event = chi_sim_event_alloc(world, CHI_SIM_EVENT_LOST, rank, i);
        chi_assert(event != NULL);
        chi_sim_event_push(world, event, NULL);
    }
}

bool
chi_sim_world_lost(const struct chi_sim_world *world, uint32_t rank)
{
    return world->lost[rank];
}

uint64_t
chi_sim_world_exposed(const struct chi_sim_world *world, uint32_t rank)
{
    uint64_t count = 0;
    size_t cursor = 0;
    uint64_t handle;
    void *exposure;

    while (chi_map_next(&world->exposures, &cursor, &handle, &exposure)) {
        count += ((struct chi_sim_exposure *)exposure)->rank == rank;
    }
    return count;
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

void
chi_sim_world_stats(const struct chi_sim_world *world,
                    struct chi_sim_stats *out)
{
    *out = world->stats;
}

/* A message event with a copy of these bytes; NULL: out of memory. */
struct chi_sim_event *
chi_sim_message_event(struct chi_sim_world *world, uint32_t source,
                      uint32_t rank, uint64_t job_key, const void *wire,
                      uint64_t wire_len)
{
    struct chi_sim_event *event =
        chi_sim_event_alloc(world, CHI_SIM_EVENT_MESSAGE, source, rank);
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
        chi_sim_event_free(world, event);
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
    struct chi_sim_event *event;

    chi_assert(rank < world->options.pe_count);
    chi_assert(world->nets[rank] != NULL);
    event =
        chi_sim_message_event(world, source, rank, job_key, wire, wire_len);
    if (event == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_sim_event_push(world, event, NULL);
    return CHARE_OK;
}
