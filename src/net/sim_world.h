/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_SIM_WORLD_H
#define CHI_NET_SIM_WORLD_H

/*
 * sim_world.h - what a simulated world is made of; for sim.c only.
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

#include "base/map.h"
#include "base/prng.h"
#include "net/sim.h"

enum chi_sim_event_kind {
    CHI_SIM_EVENT_MESSAGE,
    CHI_SIM_EVENT_GOT,
    CHI_SIM_EVENT_LOST,
};

struct chi_sim_event {
    struct chi_sim_event *next; /* in a due list, or free */
    enum chi_sim_event_kind kind;
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

struct chi_sim_item {
    uint64_t when_ns;
    uint64_t sequence;
    struct chi_sim_event *event;
};

/* Memory that peers may read. */
struct chi_sim_exposure {
    const unsigned char *bytes;
    uint64_t len;
    uint64_t secret;
    uint32_t rank;
};

/* From one rank to another. */
struct chi_sim_pair {
    uint64_t last_ns; /* when the latest event of the pair is due */
    uint32_t in_flight;
    bool known_lost; /* the first was told that the second is lost */
};

struct chi_sim_net {
    struct chi_net net;
    struct chi_sim_world *world;
    struct chi_sim_pair *pairs; /* to each rank; allocated at the first send */
    struct chi_sim_event *due_head;
    struct chi_sim_event *due_tail;
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
    struct chi_sim_net **nets; /* by rank; NULL: not open */
    bool *lost;                /* by rank */
    struct chi_sim_item *heap;
    size_t heap_count;
    size_t heap_room;
    struct chi_sim_event *free_events;
    struct chi_sim_slab *slabs;
    uint64_t sequence;
    uint64_t due_count;
    struct chi_map exposures; /* by handle */
    uint64_t next_handle;
    uint64_t bug_seen; /* messages that the bug might befall, so far */
    struct chi_sim_event
        *bug_event; /* to be swapped with the next of its pair */
    bool bug_done;
    uint64_t trace;
    struct chi_sim_stats stats;
};

/* An event, to be pushed or freed next; NULL: out of memory. */
struct chi_sim_event *chi_sim_event_alloc(struct chi_sim_world *world,
                                          enum chi_sim_event_kind kind,
                                          uint32_t source, uint32_t rank);

/* The same, with a copy of these bytes. */
struct chi_sim_event *chi_sim_message_event(struct chi_sim_world *world,
                                            uint32_t source, uint32_t rank,
                                            uint64_t job_key, const void *wire,
                                            uint64_t wire_len);

/* Room for one more event in the heap; false: out of memory. */
bool chi_sim_heap_reserve(struct chi_sim_world *world);

/* Put the event on its way, no sooner than what the pair sent before; the pair
 * may be NULL. */
void chi_sim_event_push(struct chi_sim_world *world,
                        struct chi_sim_event *event,
                        struct chi_sim_pair *pair);

/* The event is over: give its credit back. */
void chi_sim_event_uncharge(struct chi_sim_world *world,
                            const struct chi_sim_event *event);

void chi_sim_event_free(struct chi_sim_world *world,
                        struct chi_sim_event *event);

/* Forget the events in flight for which 'gone' says so. */
void chi_sim_heap_filter(struct chi_sim_world *world,
                         bool (*gone)(const struct chi_sim_item *item,
                                      uint32_t rank, uint64_t sequence),
                         uint32_t rank, uint64_t sequence);

/* Forget an event that will never be reported. */
void chi_sim_event_vanish(struct chi_sim_world *world,
                          struct chi_sim_event *event);

/* The first due event of a net, which has one; and forget them all. */
struct chi_sim_event *chi_sim_due_pop(struct chi_sim_net *net);
void chi_sim_due_clear(struct chi_sim_net *net);

#endif /* CHI_NET_SIM_WORLD_H */
