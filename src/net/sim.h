/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_SIM_H
#define CHI_NET_SIM_H

/*
 * sim.h - a simulated net: many PEs in one thread, from one seed.
 *
 * A *world* holds the messages in flight, each with the time at which it is
 * due, and the clock. Each PE opens chi_net_sim_ops with the world as its
 * provider_options. Then the driver, again and again, asks the world for the
 * next thing that happens, and lets the PE that it happens to make progress:
 *
 *     while (chi_sim_world_step(world, &rank)) {
 *         chi_route_progress(routes[rank], 1);
 *     }
 *
 * Delays are drawn per message, so that messages of different pairs overtake
 * each other; within a pair the order is kept, for nets promise that. The
 * same options and the same calls give the same run, to the bit:
 * chi_sim_world_trace() shows it.
 *
 * Messages are copied into the receiver's pool when they are sent. A message
 * counts as sent out only at the sender's next progress(): a net that is
 * closed before (drained() says whether) takes its last messages with it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "msg/msg.h"
#include "net/net.h"

/* Broken promises of a net, planted to show that a checker sees them. */
enum chi_sim_bug {
    CHI_SIM_BUG_NONE,
    CHI_SIM_BUG_DROP,  /* one message vanishes */
    CHI_SIM_BUG_TWICE, /* one message arrives twice */
    CHI_SIM_BUG_SWAP,  /* two messages of one pair change places */
};

struct chi_sim_options {
    uint64_t seed;
    uint32_t pe_count;
    uint64_t delay_ns_max; /* each message takes 1 ns to this; 0: 1 ns */
    bool in_order;         /* all messages in the order sent, all pairs */
    uint32_t credit;       /* in flight from one PE; 0: any number */
    uint32_t pair_credit;  /* in flight from one PE to one; 0: any number */
    uint64_t eager_bytes;  /* limit of the net; 0: 8 KiB */
    bool rma;
    uint64_t expose_max; /* of all PEs at a time; 0: any number */
    bool self_driving;   /* progress() steps the world by itself when idle */

    /* After this many steps, lost_rank is gone; 0: never. */
    uint64_t lose_step;
    uint32_t lost_rank;

    /* The bug befalls the bug_at-th message, from 0, of those whose handler
     * is 'bug_handler' (CHI_HANDLER_NONE: any). */
    enum chi_sim_bug bug;
    uint64_t bug_at;
    enum chi_handler bug_handler;
};

/* What went over the wire, by handler. */
struct chi_sim_stats {
    uint64_t sent[CHI_HANDLER_COUNT];
    uint64_t arrived[CHI_HANDLER_COUNT];
    uint64_t bytes[CHI_HANDLER_COUNT]; /* sent, envelopes included */
    uint64_t refused;                  /* sends that got CHARE_ERR_AGAIN */
    uint64_t vanished; /* to and from PEs that are lost or closed */
    uint64_t gets;
    uint64_t got_bytes;
    uint64_t steps;
};

struct chi_sim_world;

extern const struct chi_net_ops chi_net_sim_ops;

/* Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_INVALID (no PE, eager_bytes tiny). */
CHARE_MUST_CHECK chare_status chi_sim_world_create(
    const struct chi_sim_options *options, struct chi_sim_world **world_out);

/* All its nets must be closed. Accepts NULL. */
void chi_sim_world_destroy(struct chi_sim_world *world);

/* The clock of all PEs; stands still except in the two calls below. */
const struct chi_clock *chi_sim_world_clock(const struct chi_sim_world *world);

/*
 * Let the next thing happen: move the clock to when it is due, and make it due
 * at one PE, whose rank is told (rank_out may be NULL) and whose progress()
 * then reports it. False: nothing is in flight.
 */
bool chi_sim_world_step(struct chi_sim_world *world, uint32_t *rank_out);

/* Move the clock to 'now_ns' (not back), with all that is due until then. */
void chi_sim_world_advance(struct chi_sim_world *world, uint64_t now_ns);

/* When the next thing in flight is due; UINT64_MAX: nothing is. */
uint64_t chi_sim_world_next_ns(const struct chi_sim_world *world);

/* Messages and other events under way, and of them those that are due. */
uint64_t chi_sim_world_in_flight(const struct chi_sim_world *world);
uint64_t chi_sim_world_due(const struct chi_sim_world *world);

/* 'rank' dies now: what is under way to and from it vanishes; the others are
 * told in time, some of them by a send() before. Its own net is silent. */
void chi_sim_world_lose(struct chi_sim_world *world, uint32_t rank);
bool chi_sim_world_lost(const struct chi_sim_world *world, uint32_t rank);

/* How much of the memory of 'rank' peers may read now: calls of expose() that
 * were not taken back. */
uint64_t chi_sim_world_exposed(const struct chi_sim_world *world,
                               uint32_t rank);

/* The planted bug has happened. */
bool chi_sim_world_bug_done(const struct chi_sim_world *world);

/*
 * Let a process with this key send these bytes to 'rank', whatever they are.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_sim_world_inject(
    struct chi_sim_world *world, uint32_t source, uint32_t rank,
    uint64_t job_key, const void *wire, uint64_t wire_len);

/* A hash over all that was reported so far: where, when, which envelope. */
uint64_t chi_sim_world_trace(const struct chi_sim_world *world);

void chi_sim_world_stats(const struct chi_sim_world *world,
                         struct chi_sim_stats *out);

#endif /* CHI_NET_SIM_H */
