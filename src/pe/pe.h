/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PE_PE_H
#define CHI_PE_PE_H

/*
 * pe.h - one processing element: its queue, its loop, its ways to the others.
 *
 * A PE executes one message at a time, to the end. Everything that happens in
 * the runtime is a message to some PE: the envelope's handler says which
 * room's function executes it. Nothing above this room sees a net.
 */

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "msg/msg.h"
#include "pe/pack.h"
#include "pe/queue.h"
#include "pe/stats.h"
#include "pe/timers.h"

struct chi_route;
struct chi_layout;

enum {
    CHI_PE_POLL_EVENTS_MAX = 64, /* arrivals between two executions */
    CHI_PE_WAIT_FDS_MAX = 4,
    CHI_PE_WAIT_MS_MAX = 100, /* then the interrupted hook is asked */
};

/* Execute a message; the handler owns it. */
typedef void (*chi_handler_fn)(void *context, struct chi_msg *msg);

/* Look at a message at its arrival; true: it was taken. */
typedef bool (*chi_arrival_fn)(void *context, struct chi_msg *msg);

struct chi_pe_options {
    uint32_t rank;
    uint32_t size;
    const struct chi_log *log;
    const struct chi_settings *settings;
    const struct chi_clock *clock;
    struct chi_msg_pool *pool;
    const chare_hooks *hooks;
    void *hooks_context;
};

struct chi_pe {
    struct chi_pe_options options;
    uint32_t rank;
    uint32_t size;
    struct chi_msg_pool *pool;
    struct chi_route *route; /* NULL: this PE is alone */
    struct chi_queue queue;
    struct chi_timers timers;

    uint32_t caller; /* the entry that is executing, or 0 */
    bool closing;    /* only messages about the end are executed */
    bool leaving;    /* the user has asked here for the end, in order */
    bool holding;    /* messages to others are kept back in 'held' */
    bool detour;     /* so they are, or some calls are packed: look closer */
    bool simulated;  /* never blocks, polls before each message */
    bool ended;      /* the loop is over */
    chare_status end_status;

    /* Kept back, in the order made; msg->sequence is the target. */
    struct chi_msg_queue held;
    uint64_t held_bytes;

    /* Calls that travel together. */
    struct chi_packs packs;

    /* Quiescence: messages that count, made here and executed here. */
    uint64_t counted_made;
    uint64_t counted_done;

    uint64_t executed;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t sent;
    uint64_t last_poll_ticks;
    uint64_t poll_ticks;  /* how long a busy PE leaves the net alone */
    uint32_t until_clock; /* executions until the next look at the clock */
    uint32_t looks_left;  /* at it after every execution */
    uint64_t spin_ns;
    uint64_t yield_ns;
    uint64_t yield_not_before_ns; /* others compute here: sleep instead */
    uint64_t yield_pause_ns;      /* how long that was */
    bool polled; /* while idle: there is something to execute first */
    bool quiet;  /* the last sleep was a whole one: go on sleeping */
    uint64_t last_interrupt_check_ns;
    uint64_t deadline_ns; /* the end must have come by then; 0: none */

    /* A cross-thread door: the watcher stores a lost rank + 1 here and then
     * rings, see ring(): both sequentially consistent. */
    _Atomic uint32_t lost_rank_plus_1;

    /* Another one: chi_pe_post() stores true and rings in the same way; the PE
     * takes it, and then calls the 'posted' hook. */
    _Atomic bool posted;
    int bell_fd;
    struct pollfd wait_fds[CHI_PE_WAIT_FDS_MAX]; /* bell, nets' */
    uint32_t wait_fd_count;
    bool wait_polled; /* some net has no descriptor */

    /* The route, where this PE naps in its only net instead of sleeping in
     * poll(): then both doors nudge it instead of ringing 'bell_fd'. Set
     * once, by chi_pe_attach(), before it looks at the doors; who comes to a
     * door stores there before reading this. All are sequentially consistent:
     * who reads NULL rings, and the PE looks at the doors later than that. */
    _Atomic(struct chi_route *) naps_in;

    void (*peer_lost)(void *context, uint32_t rank, chare_status why);
    void (*message_lost)(void *context, uint32_t rank); /* logged below */
    void (*late)(void *context);  /* the deadline has passed */
    void (*slept)(void *context); /* it was idle for a while; or NULL */
    void *upcall_context;         /* of all four */

    uint64_t outside; /* things going on elsewhere that will be posted */

    struct {
        chi_handler_fn fn;
        void *context;
    } handlers[CHI_HANDLER_COUNT];
    chi_arrival_fn arrival; /* of what has one of these flags */
    uint8_t arrival_flags;  /* enum chi_env_flags */
    void *arrival_context;

    /* What chares cost, see load.c in obj: laps of the cycle counter. */
    struct {
        bool laps; /* 'on', 'watched' or 'talk', or the statistics are */
        bool on;
        bool plain;              /* 'on', and the statistics are not */
        bool watched;            /* somebody wants to know 'idle_ticks' */
        bool talk;               /* calls are counted: who calls whom */
        bool idle;               /* the queue was empty when it last looked */
        uint64_t last;           /* what came before belongs to somebody */
        uint64_t idle_ticks;     /* since the meter was set to 0 */
        struct chi_msg *stamped; /* the last in the queue; NULL: none there */
    } meter;
    struct chi_stats stats;

    /* The queue has just become empty. */
    void (*on_idle)(void *context);
    void *on_idle_context;
};

CHARE_MUST_CHECK chare_status chi_pe_open(const struct chi_pe_options *options,
                                          struct chi_pe **out);
void chi_pe_close(struct chi_pe *pe);

/* From now on messages to others go through 'route', which stays the
 * caller's. Errors: CHARE_ERR_SYSTEM. */
CHARE_MUST_CHECK chare_status chi_pe_attach(struct chi_pe *pe,
                                            struct chi_route *route);

void chi_pe_set_handler(struct chi_pe *pe, enum chi_handler handler,
                        chi_handler_fn fn, void *context);

/* Another function for a handler that is set, by who has set it. */
void chi_pe_change_handler(struct chi_pe *pe, enum chi_handler handler,
                           chi_handler_fn fn);

/* A message for data_len bytes and this handler; ends the job when out of
 * memory: never NULL. */
struct chi_msg *chi_pe_msg(struct chi_pe *pe, enum chi_handler handler,
                           uint64_t data_len);

/*
 * Send a message to any PE, this one included. The PE owns it. It never fails:
 * what the wire does not take waits, and reaching the bound of that ends the
 * job. A local payload must have been encoded when 'to' is another PE.
 */
void chi_pe_send(struct chi_pe *pe, uint32_t to, struct chi_msg *msg);

/* The same for a copy of another PE's message: its source stays. */
void chi_pe_resend(struct chi_pe *pe, uint32_t to, struct chi_msg *msg);

/*
 * Pass on a message that was sent, and counted, before: by another PE, or here
 * by chi_pe_count().
 */
void chi_pe_forward(struct chi_pe *pe, uint32_t to, struct chi_msg *msg);

/*
 * Keep messages to other PEs back, but for those of CHARE_PRIORITY_MIN; or
 * send what was kept, in its order.
 */
void chi_pe_hold_out(struct chi_pe *pe, bool hold);

/* Send a message to another PE past all that keeps messages back. */
void chi_pe_send_now(struct chi_pe *pe, uint32_t to, struct chi_msg *msg);

/* A message was made, and will be forwarded later. */
static inline void
chi_pe_count(struct chi_pe *pe, struct chi_msg *msg)
{
    msg->env.source_pe = pe->rank;
    pe->counted_made += (msg->env.flags & CHI_ENV_UNCOUNTED) == 0;
    pe->sent++;
}

/*
 * The handler that executes this message keeps it for later, or forwards it:
 * quiescence goes on waiting for it.
 */
void chi_pe_hold(struct chi_pe *pe, const struct chi_msg *msg);

/* Queue a message that was counted before. */
static inline void
chi_pe_enqueue(struct chi_pe *pe, struct chi_msg *msg)
{
    chi_queue_push(&pe->queue, msg);
}

/*
 * Write the local payload of a message into its bytes, and let it go. The
 * message may move. Errors: what the payload's encode hook said.
 */
CHARE_MUST_CHECK chare_status chi_pe_encode(struct chi_pe *pe,
                                            struct chi_msg **msg_inout);

/* Execute up to 'messages_max' messages; returns how many. Polls the net and
 * fires timers; never blocks. */
uint32_t chi_pe_progress(struct chi_pe *pe, uint32_t messages_max);

/* The loop: until pe->ended. Errors: as chare_run(). */
CHARE_MUST_CHECK chare_status chi_pe_run(struct chi_pe *pe);

/* When this PE does something by itself, a timer or its deadline;
 * CHI_TIMERS_NONE: never. */
uint64_t chi_pe_next_alarm_ns(const struct chi_pe *pe);

/* End the loop; the first to say why is right. */
void chi_pe_end(struct chi_pe *pe, chare_status why);

/* Nothing queued here, nothing waiting for the wire. */
bool chi_pe_is_idle(const struct chi_pe *pe);

/* From any thread: rank is gone. */
void chi_pe_post_lost(struct chi_pe *pe, uint32_t rank);

/* From any thread: call the 'posted' hook soon. */
void chi_pe_post(struct chi_pe *pe);

/* The time since the last lap, in ticks; only while there are any. */
static inline uint64_t
chi_pe_lap(struct chi_pe *pe)
{
    const uint64_t now = chi_clock_ticks();
    const uint64_t lap = now - pe->meter.last;

    pe->meter.last = now;
    return lap;
}

/* After a change of what needs laps. */
static inline void
chi_pe_look_at_laps(struct chi_pe *pe)
{
    pe->meter.laps =
        pe->meter.on || pe->meter.watched || pe->meter.talk || pe->stats.on;
    pe->meter.plain = pe->meter.on && !pe->stats.on;
}

/* Know from now on how long the PE idles, whoever measures; or do not. */
static inline void
chi_pe_watch_idling(struct chi_pe *pe, bool on)
{
    pe->meter.watched = on;
    chi_pe_look_at_laps(pe);
    (void)chi_pe_lap(pe);
}

/* Mark what has come into the queue since the last time: it waits from the
 * last lap on (stats.c). */
static inline void
chi_stats_stamp(struct chi_pe *pe)
{
    const uint64_t now = pe->meter.last;
    struct chi_msg *msg = pe->meter.stamped != NULL ? pe->meter.stamped->next
                                                    : pe->queue.ordinary.head;

    pe->queue.stamp = now;
    for (; msg != NULL; msg = msg->next) {
        msg->spare = now;
        pe->meter.stamped = msg;
    }
}

/* What the route of this PE reports to (struct chi_route_sink, route.h). */
struct chi_route_sink chi_pe_route_sink(struct chi_pe *pe);

/* Wait until something may have happened (idle.c). Errors:
 * CHARE_ERR_INTERRUPTED. */
CHARE_MUST_CHECK chare_status chi_pe_idle(struct chi_pe *pe);

/* Ask the interrupted hook, at most every CHI_PE_WAIT_MS_MAX. */
bool chi_pe_interrupted(struct chi_pe *pe, bool now);

/* Take what the cross-thread door holds. */
void chi_pe_take_posted(struct chi_pe *pe);

/* The end of all: what nothing can save. Prints the text and aborts. */
__attribute__((noreturn, format(printf, 2, 3))) void
chi_pe_die(struct chi_pe *pe, const char *format, ...);

#endif /* CHI_PE_PE_H */
