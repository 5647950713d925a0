/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pe.c - sending, arriving, executing.
 *
 * Counting for quiescence: a message that counts is 'made' once, where it is
 * sent, and 'done' once, where it was executed. A handler that keeps a message
 * takes its 'done' back.
 */
#include "config.h"

#include "pe/pe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "msg/buffer.h"
#include "msg/codec.h"
#include "net/route.h"

enum {
    CLOCK_EVERY = 8,     /* executions, while they are short */
    LOOKS_FIRST = 1024,  /* at the clock, after every execution */
    LOOKS_MAX = 1 << 12, /* the same, earned by long ones */
    LOOK_SHIFT = 10,     /* so many ticks of long executions buy a look */
};

chare_status
chi_pe_open(const struct chi_pe_options *options, struct chi_pe **out)
{
    struct chi_pe *pe = calloc(1, sizeof(*pe));

    if (pe == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    pe->options = *options;
    pe->rank = options->rank;
    pe->size = options->size;
    pe->pool = options->pool;
    pe->simulated = options->clock != &chi_clock_real;
    pe->spin_ns = options->settings->spin_ns;
    pe->yield_ns = options->settings->yield_ns;
    pe->poll_ticks = chi_clock_ticks_of_ns(options->settings->poll_ns);
    pe->looks_left = LOOKS_FIRST;
    pe->arrival_flags = CHI_ENV_PACK;
    chi_queue_init(&pe->queue);
    chi_timers_init(&pe->timers);
    pe->bell_fd = -1;
    if (!pe->simulated) {
        pe->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (pe->bell_fd < 0) {
            chi_log_error(options->log, "cannot make a bell: %s",
                          strerror(errno));
            chi_pe_close(pe);
            return CHARE_ERR_SYSTEM;
        }
        pe->wait_fds[0] = (struct pollfd){pe->bell_fd, POLLIN, 0};
        pe->wait_fd_count = 1;
    }
    *out = pe;
    return CHARE_OK;
}

void
chi_pe_close(struct chi_pe *pe)
{
    if (pe == NULL) {
        return;
    }
    chi_msg_queue_clear(&pe->held);
    chi_pack_fini(pe);
    chi_stats_fini(pe);
    chi_queue_fini(&pe->queue);
    chi_timers_fini(&pe->timers);
    if (pe->bell_fd >= 0) {
        close(pe->bell_fd);
    }
    free(pe);
}

static_assert(CHI_PE_WAIT_FDS_MAX >= CHI_ROUTE_NETS_MAX + 1,
              "the bell, and one descriptor for each net");

chare_status
chi_pe_attach(struct chi_pe *pe, struct chi_route *route)
{
    int fds[CHI_ROUTE_NETS_MAX];
    uint32_t count;

    pe->route = route;
    if (pe->simulated) {
        return CHARE_OK;
    }
    if (chi_route_can_nap(route)) {
        atomic_store(&pe->naps_in, route); /* pairs with the load in ring() */
        return CHARE_OK;
    }
    count = chi_route_wait_fds(route, fds, &pe->wait_polled);
    for (uint32_t i = 0; i < count; i++) {
        pe->wait_fds[pe->wait_fd_count++] = (struct pollfd){fds[i], POLLIN, 0};
    }
    return CHARE_OK;
}

void
chi_pe_set_handler(struct chi_pe *pe, enum chi_handler handler,
                   chi_handler_fn fn, void *context)
{
    chi_assert(pe->handlers[handler].fn == NULL);
    pe->handlers[handler].fn = fn;
    pe->handlers[handler].context = context;
}

void
chi_pe_change_handler(struct chi_pe *pe, enum chi_handler handler,
                      chi_handler_fn fn)
{
    chi_assert(pe->handlers[handler].fn != NULL && fn != NULL);
    pe->handlers[handler].fn = fn;
}

void
chi_pe_die(struct chi_pe *pe, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    chi_log_error(pe->options.log, "%s", text);
    exit(1);
}

struct chi_msg *
chi_pe_msg(struct chi_pe *pe, enum chi_handler handler, uint64_t data_len)
{
    struct chi_msg *msg = chi_msg_alloc(pe->pool, data_len);

    if (chi_unlikely(msg == NULL)) {
        chi_pe_die(pe, "out of memory for a message of %llu bytes",
                   (unsigned long long)data_len);
    }
    msg->env.handler = (uint8_t)handler;
    return msg;
}

/* ---- sending */

__attribute__((noreturn)) static void
die_of_queue(struct chi_pe *pe, uint32_t to)
{
    chi_pe_die(pe,
               "more than %llu bytes of messages wait at PE %u for PE %u, "
               "which does not take them; send less at a time, or raise "
               "CHARE_QUEUE_BYTES",
               (unsigned long long)pe->options.settings->queue_bytes, pe->rank,
               to);
}

static void
keep_back(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    pe->held_bytes += chi_msg_wire_len(msg);
    if (pe->held_bytes > pe->options.settings->queue_bytes) {
        die_of_queue(pe, to);
    }
    msg->sequence = to;
    chi_msg_queue_push(&pe->held, msg);
}

/* True: the message waits here. */
static bool
waits_here(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    if (pe->holding && msg->env.priority > CHARE_PRIORITY_MIN) {
        keep_back(pe, to, msg);
        return true;
    }
    return chi_pack_take(pe, to, msg);
}

void
chi_pe_send_now(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    const uint64_t wire_len = chi_msg_wire_len(msg);
    const unsigned handler = msg->env.handler;
    chare_status status;

    status = chi_route_send(pe->route, to, msg);
    if (chi_likely(status == CHARE_OK)) {
        pe->bytes_sent += wire_len;
        return;
    }
    chi_msg_release(msg);
    if (status == CHARE_ERR_PEER_LOST || pe->ended) {
        return; /* reported by peer_lost; the job is ending */
    }
    if (status == CHARE_ERR_TOO_LARGE) {
        die_of_queue(pe, to);
    }
    chi_pe_die(pe, "cannot send a message (kind %u, %llu bytes) to PE %u: %s",
               handler, (unsigned long long)wire_len, to,
               chare_status_text(status));
}

static inline void
send_remote(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    chi_assert(to < pe->size);
    chi_assert(msg->payload_ops == NULL);
    if (chi_likely(!pe->detour) || !waits_here(pe, to, msg)) {
        chi_pe_send_now(pe, to, msg);
    }
}

void
chi_pe_forward(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    if (to == pe->rank) {
        chi_queue_push(&pe->queue, msg);
    } else {
        send_remote(pe, to, msg);
    }
}

void
chi_pe_hold_out(struct chi_pe *pe, bool hold)
{
    struct chi_msg *msg;

    pe->holding = hold;
    pe->detour = hold || pe->packs.entries != NULL;
    if (hold) {
        return;
    }
    pe->held_bytes = 0;
    while ((msg = chi_msg_queue_pop(&pe->held)) != NULL) {
        send_remote(pe, (uint32_t)msg->sequence, msg);
    }
}

void
chi_pe_resend(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    const uint32_t source_pe = msg->env.source_pe;

    chi_pe_count(pe, msg);
    msg->env.source_pe = source_pe;
    chi_pe_forward(pe, to, msg);
}

void
chi_pe_send(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    chi_pe_count(pe, msg);
    chi_pe_forward(pe, to, msg);
}

void
chi_pe_hold(struct chi_pe *pe, const struct chi_msg *msg)
{
    pe->counted_done -= (msg->env.flags & CHI_ENV_UNCOUNTED) == 0;
}

chare_status
chi_pe_encode(struct chi_pe *pe, struct chi_msg **msg_inout)
{
    struct chi_msg *msg = *msg_inout;
    struct chi_msg *encoded;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_status status;

    chi_assert(msg->payload_ops != NULL);
    chi_assert(msg->env.trailer_len == msg->env.len); /* no other data */
    status = chi_encoder_init(&encoder, pe->pool, 128);
    if (status != CHARE_OK) {
        return status;
    }
    status = msg->payload_ops->encode(msg->payload, &encoder);
    if (status != CHARE_OK) {
        chare_encoder_fini(&encoder);
        return status;
    }
    status = chare_encoder_take(&encoder, &buffer);
    if (status != CHARE_OK) {
        return status;
    }
    encoded = chi_msg_of_buffer(buffer);
    {
        const uint64_t data_len = encoded->env.len;
        const uint64_t trailer_len = msg->env.trailer_len;

        status = chi_msg_resize(&encoded, data_len + trailer_len);
        if (status != CHARE_OK) {
            chi_msg_release(encoded);
            return status;
        }
        memcpy(encoded->bytes + data_len, msg->bytes, trailer_len);
        encoded->env = msg->env;
        encoded->env.len = data_len + trailer_len;
        encoded->env.format = (uint8_t)msg->payload_ops->format;
    }
    chi_msg_release(msg);
    *msg_inout = encoded;
    return CHARE_OK;
}

/* ---- arriving: upcalls of the route */

/* A message that has one of the arrival flags; true: it was taken. */
static bool
looked_at(struct chi_pe *pe, struct chi_msg *msg)
{
    return pe->arrival != NULL && pe->arrival(pe->arrival_context, msg);
}

/* A call that came in a pack. */
static void
call_arrived(struct chi_pe *pe, struct chi_msg *msg)
{
    if ((msg->env.flags & pe->arrival_flags) == 0 || !looked_at(pe, msg)) {
        chi_queue_push(&pe->queue, msg);
    }
}

static void
route_arrived(void *context, struct chi_msg *msg)
{
    struct chi_pe *pe = context;

    pe->bytes_received += chi_msg_wire_len(msg);
    if (chi_unlikely(pe->ended)) {
        /* It executes nothing more, but is still a branch of others' trees. */
        if (msg->env.handler == CHI_HANDLER_ABORT) {
            pe->handlers[CHI_HANDLER_ABORT].fn(
                pe->handlers[CHI_HANDLER_ABORT].context, msg);
        } else {
            chi_msg_release(msg);
        }
        return;
    }
    if (chi_unlikely(msg->env.flags & pe->arrival_flags)) {
        if (msg->env.handler == CHI_HANDLER_PACK) {
            chi_pack_open(pe, msg, call_arrived);
            return;
        }
        if (looked_at(pe, msg)) {
            return;
        }
    }
    chi_queue_push(&pe->queue, msg);
}

static void
route_peer_lost(void *context, uint32_t rank, chare_status why)
{
    struct chi_pe *pe = context;

    if (pe->peer_lost != NULL) {
        pe->peer_lost(pe->upcall_context, rank, why);
    }
}

static void
route_dropped(void *context, uint32_t rank)
{
    struct chi_pe *pe = context;

    if (pe->message_lost != NULL) {
        pe->message_lost(pe->upcall_context, rank);
    }
}

/* Until as many were executed as were in the queue at first: there may always
 * be new ones in it. Nothing is executed any more once it has ended. */
static bool
route_has_backlog(void *context, uint64_t *until)
{
    const struct chi_pe *pe = context;

    if (pe->ended || chi_queue_is_empty(&pe->queue)) {
        return false;
    }
    if (*until == 0) {
        *until = pe->executed + chi_queue_count(&pe->queue);
    }
    return pe->executed < *until;
}

struct chi_route_sink
chi_pe_route_sink(struct chi_pe *pe)
{
    return (struct chi_route_sink){
        .context = pe,
        .arrived = route_arrived,
        .peer_lost = route_peer_lost,
        .dropped = route_dropped,
        .has_backlog = route_has_backlog,
    };
}

/* ---- executing */

/* A message was executed, and is gone. */
static void
meter_executed(struct chi_pe *pe, const struct chi_msg *msg, unsigned handler)
{
    if (handler != CHI_HANDLER_INVOKE) {
        (void)chi_pe_lap(pe); /* no chare's: background */
    }
    if (pe->meter.stamped == msg) {
        pe->meter.stamped = NULL;
    }
    if (pe->stats.on) {
        chi_stats_stamp(pe);
    }
}

static inline void
execute(struct chi_pe *pe, struct chi_msg *msg)
{
    const unsigned handler = msg->env.handler;
    const bool counted = (msg->env.flags & CHI_ENV_UNCOUNTED) == 0;

    if (chi_unlikely(pe->handlers[handler].fn == NULL)) {
        chi_log_warn(pe->options.log, "a message of kind %u is not for a PE",
                     handler);
        pe->meter.stamped = NULL;
        chi_msg_release(msg);
        return;
    }
    if (chi_unlikely(pe->closing) && handler != CHI_HANDLER_EXIT &&
        handler != CHI_HANDLER_ABORT) {
        pe->meter.stamped = NULL;
        chi_msg_release(msg);
        return;
    }
    pe->executed++;
    pe->handlers[handler].fn(pe->handlers[handler].context, msg);
    pe->counted_done += counted;
    if (chi_unlikely(pe->meter.laps)) {
        meter_executed(pe, msg, handler);
    }
}

/* The PE looks for messages again: how long was there nothing to do? */
static void
meter_resume(struct chi_pe *pe)
{
    const uint64_t lap = chi_pe_lap(pe);

    if (pe->meter.idle) {
        pe->meter.idle_ticks += lap;
        pe->meter.idle = false;
    }
    if (pe->stats.on) {
        chi_stats_stamp(pe);
    }
}

static void
poll_outside(struct chi_pe *pe)
{
    if (pe->route != NULL) {
        (void)chi_route_progress(pe->route, CHI_PE_POLL_EVENTS_MAX);
    }
    if (chi_unlikely(pe->packs.open_count > 0)) {
        chi_pack_look(pe);
    }
    if (chi_unlikely(
            atomic_load_explicit(&pe->lost_rank_plus_1,
                                 memory_order_relaxed) != 0 ||
            atomic_load_explicit(&pe->posted, memory_order_relaxed))) {
        chi_pe_take_posted(pe);
    }
    if (pe->timers.count > 0 && !pe->closing) {
        (void)chi_timers_fire(&pe->timers,
                              chi_clock_now_ns(pe->options.clock));
    }
    if (chi_unlikely(pe->deadline_ns != 0) && !pe->ended &&
        chi_clock_now_ns(pe->options.clock) >= pe->deadline_ns) {
        pe->deadline_ns = 0;
        pe->late(pe->upcall_context);
    }
}

static void
earn_looks(struct chi_pe *pe, uint64_t ticks)
{
    uint64_t looks = pe->looks_left;

    if (ticks > 2 * pe->poll_ticks) {
        looks += 1 + ((ticks - 2 * pe->poll_ticks) >> LOOK_SHIFT);
    }
    pe->looks_left = looks < LOOKS_MAX ? (uint32_t)looks : LOOKS_MAX;
}

uint64_t
chi_pe_next_alarm_ns(const struct chi_pe *pe)
{
    const uint64_t timer_ns =
        pe->closing ? CHI_TIMERS_NONE : chi_timers_next_ns(&pe->timers);

    return pe->deadline_ns != 0 && pe->deadline_ns < timer_ns ? pe->deadline_ns
                                                              : timer_ns;
}

/*
 * After an execution: poll when it is time. A look at the clock costs a fifth
 * of a short execution, so there is one in CLOCK_EVERY of them. Where long
 * ones come, more will: each pays, by a hundredth of its time, for looks after
 * every execution, so that what arrives waits for no more than one of them.
 */
static inline void
poll_in_time(struct chi_pe *pe)
{
    uint64_t ticks;

    if (chi_likely(--pe->until_clock > 0)) {
        return;
    }
    /* While there are laps, one has ended just now. */
    ticks = chi_unlikely(pe->meter.laps) ? pe->meter.last : chi_clock_ticks();
    if (chi_unlikely(ticks - pe->last_poll_ticks > pe->poll_ticks)) {
        earn_looks(pe, ticks - pe->last_poll_ticks);
        pe->last_poll_ticks = ticks;
        poll_outside(pe);
        if (chi_unlikely(pe->meter.laps)) {
            meter_resume(pe);
        }
    }
    pe->until_clock = pe->looks_left > 0 ? 1 : CLOCK_EVERY;
    pe->looks_left -= pe->looks_left > 0;
}

/* The queue is empty. Nothing waits for company beyond this (K3). */
static void
become_idle(struct chi_pe *pe)
{
    if (chi_unlikely(pe->packs.open_count > 0)) {
        chi_pack_flush(pe);
    }
    if (pe->on_idle != NULL) {
        pe->on_idle(pe->on_idle_context);
        if (chi_unlikely(pe->packs.open_count > 0)) { /* it made calls */
            chi_pack_flush(pe);
        }
    }
}

/*
 * The queue is empty: is something in the net already? Then the PE was not
 * idle, and all that becoming idle and going on again takes is saved. Not
 * while laps are taken, which tell idling from work.
 */
static inline bool
more_has_come(struct chi_pe *pe)
{
    if (pe->route == NULL || pe->simulated || pe->meter.laps ||
        pe->packs.open_count > 0) {
        return false;
    }
    return chi_route_progress(pe->route, CHI_PE_POLL_EVENTS_MAX) > 0 &&
           !chi_queue_is_empty(&pe->queue);
}

uint32_t
chi_pe_progress(struct chi_pe *pe, uint32_t messages_max)
{
    uint32_t done = 0;

    if (pe->polled) {
        pe->polled = false; /* while idle, just now */
    } else {
        poll_outside(pe);
    }
    pe->until_clock = 1;
    if (!pe->simulated) {
        pe->last_poll_ticks = chi_clock_ticks();
    }
    if (chi_unlikely(pe->meter.laps)) {
        meter_resume(pe);
    }
    while (done < messages_max && !pe->ended) {
        struct chi_msg *msg = chi_queue_pop(&pe->queue);

        if (msg == NULL) {
            if (more_has_come(pe)) {
                continue;
            }
            if (chi_unlikely(pe->meter.laps)) {
                (void)chi_pe_lap(pe);
                pe->meter.idle = true;
            }
            become_idle(pe);
            break;
        }
        execute(pe, msg);
        done++;
        if (pe->simulated) {
            poll_outside(pe);
            if (chi_unlikely(pe->meter.laps)) {
                meter_resume(pe);
            }
        } else {
            poll_in_time(pe);
        }
    }
    return done;
}

bool
chi_pe_is_idle(const struct chi_pe *pe)
{
    return chi_queue_is_empty(&pe->queue) && pe->packs.open_count == 0 &&
           (pe->route == NULL || chi_route_queued_bytes(pe->route) == 0);
}

void
chi_pe_end(struct chi_pe *pe, chare_status why)
{
    if (!pe->ended) {
        pe->ended = true;
        pe->end_status = why;
    }
}

/* The PE is to look at its doors; from any thread. */
static void
ring(struct chi_pe *pe)
{
    /* Pairs with the store in chi_pe_attach(). Sequentially consistent, as
     * that is and both doors are: a thread that misses the route here has
     * written to its door before the PE looks there. */
    struct chi_route *route = atomic_load(&pe->naps_in);
    const uint64_t one = 1;
    ssize_t n;

    if (route != NULL) {
        chi_route_nudge(route);
        return;
    }
    n = write(pe->bell_fd, &one, sizeof(one));
    (void)n; /* full: it rings already */
}

void
chi_pe_post_lost(struct chi_pe *pe, uint32_t rank)
{
    /* Pairs with the acquire in chi_pe_take_posted(): the rank is seen by the
     * PE that the bell wakes. */
    atomic_store(&pe->lost_rank_plus_1, rank + 1);
    ring(pe);
}

void
chi_pe_post(struct chi_pe *pe)
{
    /* Pairs with the acquire in chi_pe_take_posted(): what the thread wrote
     * before is seen by the hook. */
    if (!atomic_exchange(&pe->posted, true)) {
        ring(pe);
    }
}

void
chi_pe_take_posted(struct chi_pe *pe)
{
    uint32_t rank_plus_1;
    uint64_t rings;

    /* Before the doors are emptied: who comes to one later rings anew. */
    if (atomic_load_explicit(&pe->naps_in, memory_order_relaxed) == NULL) {
        ssize_t n = read(pe->bell_fd, &rings, sizeof(rings));

        (void)n;
    }
    rank_plus_1 = atomic_exchange_explicit(&pe->lost_rank_plus_1, 0,
                                           memory_order_acquire);
    if (atomic_exchange_explicit(&pe->posted, false, memory_order_acquire) &&
        !pe->closing && pe->options.hooks != NULL &&
        pe->options.hooks->posted != NULL) {
        pe->options.hooks->posted(pe->options.hooks_context);
    }
    if (rank_plus_1 != 0) {
        route_peer_lost(pe, rank_plus_1 - 1, CHARE_ERR_PEER_LOST);
    }
}
