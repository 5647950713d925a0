/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idle.c - what a PE does when it has nothing to do.
 *
 * It polls for a while, since most waits are short, unless PEs outnumber
 * processors; then it lets others run between two looks, and at last it
 * sleeps, until something comes, a timer is due, or somebody is at a door:
 * it naps in its net, where that is the only one (shm_ring.h), or sleeps in
 * poll() on the nets' descriptors and the bell: not in an epoll, which would
 * cost something whenever a descriptor becomes ready, also while nobody
 * sleeps. README.md has the rules.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cpu.h"
#include "net/route.h"
#include "pe/pe.h"

enum {
    SPIN_ROUNDS_PER_CLOCK = 32,
    POLLED_WAIT_MS = 1, /* a net without a descriptor */

    /* Who gives the processor away for longer has met somebody who computes.
     * A sleeper that is woken gets the processor from them at once, one who
     * waits for its turn does not. */
    YIELD_LONG_NS = 200000,
    YIELD_PAUSE_NS_MIN = 4000000,
    YIELD_PAUSE_NS_MAX = 1024000000,
    YIELD_PAUSES_QUIET = 4, /* then it was by chance */
};

bool
chi_pe_interrupted(struct chi_pe *pe, bool now)
{
    const chare_hooks *hooks = pe->options.hooks;
    uint64_t time_ns;

    if (hooks == NULL || hooks->interrupted == NULL) {
        return false;
    }
    time_ns = chi_clock_now_ns(pe->options.clock);
    if (!now && time_ns - pe->last_interrupt_check_ns <
                    CHI_PE_WAIT_MS_MAX * CHI_NS_PER_MS) {
        return false;
    }
    pe->last_interrupt_check_ns = time_ns;
    return hooks->interrupted(pe->options.hooks_context);
}

/* The only net of this PE is one to nap in. */
static inline bool
can_nap(const struct chi_pe *pe)
{
    /* Relaxed: this thread has written it. */
    return atomic_load_explicit(&pe->naps_in, memory_order_relaxed) != NULL;
}

/*
 * Poll until nothing has moved for spin_ns: a large message comes and goes in
 * pieces that are not executed. True: there is something to execute.
 */
static bool
spin(struct chi_pe *pe)
{
    uint64_t start_ns = 0; /* not known: most waits end before it matters */

    if (pe->route == NULL) {
        return false; /* nothing comes while nobody is there to send it */
    }
    if (pe->spin_ns == 0 && can_nap(pe)) {
        return false; /* it was polled just now, and will be looked at */
    }
    for (;;) {
        uint32_t events = 0;
        uint64_t now_ns;

        for (int i = 0; i < SPIN_ROUNDS_PER_CLOCK; i++) {
            events += chi_route_progress(pe->route, CHI_PE_POLL_EVENTS_MAX);
            if (events > 0 && (!chi_queue_is_empty(&pe->queue) ||
                               pe->packs.open_count > 0)) {
                pe->polled = true;
                return true; /* calls may have been passed on */
            }
            chi_cpu_relax();
        }
        if (pe->spin_ns == 0) {
            return false;
        }
        now_ns = chi_clock_now_ns(pe->options.clock);
        if (events > 0 || start_ns == 0) {
            start_ns = now_ns;
        } else if (now_ns - start_ns >= pe->spin_ns) {
            return false;
        }
    }
}

/* The longest sleep: then the interrupted hook is to be asked. */
static inline uint64_t
wait_ns_max(const struct chi_pe *pe)
{
    return (uint64_t)(pe->wait_polled ? POLLED_WAIT_MS : CHI_PE_WAIT_MS_MAX) *
           CHI_NS_PER_MS;
}

/* Nanoseconds to sleep: until the next alarm, at most wait_ns_max(). */
static uint64_t
wait_ns(const struct chi_pe *pe)
{
    const uint64_t next_ns = chi_pe_next_alarm_ns(pe);
    const uint64_t most_ns = wait_ns_max(pe);
    uint64_t now_ns;

    if (next_ns == CHI_TIMERS_NONE) {
        return most_ns;
    }
    now_ns = chi_clock_now_ns(pe->options.clock);
    if (next_ns <= now_ns) {
        return 0;
    }
    return next_ns - now_ns < most_ns ? next_ns - now_ns : most_ns;
}

/* Somebody is at one of the doors for other threads. */
static inline bool
is_called(const struct chi_pe *pe)
{
    /* Sequentially consistent: see ring() in pe.c. */
    return atomic_load(&pe->lost_rank_plus_1) != 0 || atomic_load(&pe->posted);
}

/*
 * Somebody else had the processor for long: do not compete for a while, and
 * for longer each time when it comes soon again.
 */
static void
yield_pause(struct chi_pe *pe, uint64_t now_ns)
{
    const bool soon = now_ns - pe->yield_not_before_ns <
                      YIELD_PAUSES_QUIET * pe->yield_pause_ns;
    uint64_t pause_ns = soon ? 2 * pe->yield_pause_ns : YIELD_PAUSE_NS_MIN;

    if (pause_ns > YIELD_PAUSE_NS_MAX) {
        pause_ns = YIELD_PAUSE_NS_MAX;
    }
    pe->yield_pause_ns = pause_ns;
    pe->yield_not_before_ns = now_ns + pause_ns;
}

/*
 * Let others run between two looks, for at most 'max_ns'. True: there is
 * something to do. No messages are taken in here: the GIL may be released.
 */
static bool
yield(struct chi_pe *pe, uint64_t max_ns)
{
    uint64_t now_ns = chi_clock_now_ns(pe->options.clock);
    uint64_t end_ns;

    if (now_ns < pe->yield_not_before_ns) {
        return false;
    }
    end_ns = now_ns + (max_ns < pe->yield_ns ? max_ns : pe->yield_ns);
    while (now_ns < end_ns) {
        const uint64_t before_ns = now_ns;
        bool ready;

        (void)sched_yield();
        ready = chi_route_ready(pe->route) || is_called(pe);
        now_ns = chi_clock_now_ns(pe->options.clock);
        if (now_ns - before_ns > YIELD_LONG_NS) {
            yield_pause(pe, now_ns);
            return ready;
        }
        if (ready) {
            return true;
        }
    }
    return false;
}

/* Sleep in the only net. Returns as chi_route_nap(). */
static chare_status
nap(struct chi_pe *pe, uint64_t max_ns)
{
    chare_status status;

    if (!pe->quiet) {
        if (yield(pe, max_ns)) {
            return CHARE_OK;
        }
        max_ns = wait_ns(pe); /* less by what that took */
    }
    if (max_ns == 0 || chi_route_nap_begin(pe->route) != CHARE_OK) {
        return CHARE_OK; /* something came just now */
    }
    /* After nap_begin(): who comes to a door later ends the nap. */
    status = is_called(pe) ? CHARE_OK : chi_route_nap(pe->route, max_ns);
    chi_route_wait_end(pe->route);
    return status;
}

/* Sleep on the descriptors. Returns as chi_route_nap(). */
static chare_status
sleep_on_fds(struct chi_pe *pe, uint64_t max_ns)
{
    const uint64_t ms = (max_ns + CHI_NS_PER_MS - 1) / CHI_NS_PER_MS;
    chare_status status;
    uint64_t rings;
    int n;

    if (pe->route != NULL && chi_route_wait_begin(pe->route) != CHARE_OK) {
        return CHARE_OK; /* something came just now */
    }
    n = poll(pe->wait_fds, pe->wait_fd_count, (int)ms);
    if (n > 0 && pe->wait_fds[0].revents != 0) {
        /* A bell that rings after its call was taken would end every sleep.
         * The doors are looked at later than this, so no call is lost. */
        ssize_t got = read(pe->bell_fd, &rings, sizeof(rings));

        (void)got;
    }
    status = n > 0            ? CHARE_OK
             : n == 0         ? CHARE_ERR_TIMEOUT
             : errno == EINTR ? CHARE_ERR_INTERRUPTED
                              : CHARE_OK;
    if (pe->route != NULL) {
        chi_route_wait_end(pe->route);
    }
    return status;
}

chare_status
chi_pe_idle(struct chi_pe *pe)
{
    const chare_hooks *hooks = pe->options.hooks;
    chare_status status;
    uint64_t max_ns;

    if (!pe->quiet && spin(pe)) {
        return CHARE_OK;
    }
    max_ns = wait_ns(pe);
    if (max_ns == 0) {
        return CHARE_OK;
    }
    if (hooks != NULL && hooks->block_enter != NULL) {
        hooks->block_enter(pe->options.hooks_context);
    }
    status = can_nap(pe) ? nap(pe, max_ns) : sleep_on_fds(pe, max_ns);
    if (hooks != NULL && hooks->block_leave != NULL) {
        hooks->block_leave(pe->options.hooks_context);
    }
    /* A net without a descriptor ends no sleep by what comes. */
    pe->quiet = status == CHARE_ERR_TIMEOUT && !pe->wait_polled &&
                max_ns == wait_ns_max(pe);
    if (status == CHARE_ERR_TIMEOUT && pe->slept != NULL) {
        pe->slept(pe->upcall_context);
    }
    if (chi_pe_interrupted(pe, status == CHARE_ERR_INTERRUPTED)) {
        return CHARE_ERR_INTERRUPTED;
    }
    return CHARE_OK;
}

chare_status
chi_pe_run(struct chi_pe *pe)
{
    enum {
        BATCH = 1024
    };

    while (!pe->ended) {
        if (chi_pe_progress(pe, BATCH) == 0 && !pe->ended) {
            chare_status status = chi_pe_idle(pe);

            if (status != CHARE_OK) {
                return status;
            }
        } else if (chi_pe_interrupted(pe, false)) {
            return CHARE_ERR_INTERRUPTED;
        }
    }
    return pe->end_status;
}
