/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idle.c - what a PE does when it has nothing to do.
 *
 * It polls for a while, since most waits are short; then, and at once where
 * PEs outnumber processors, it yields; then it sleeps in one epoll on the
 * nets' descriptors and the bell, at most until the next timer.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "net/route.h"
#include "pe/pe.h"

enum {
    SPIN_ROUNDS_PER_CLOCK = 32,
    POLLED_WAIT_MS = 1, /* a net without a descriptor */
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

static inline void
cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/*
 * Poll until nothing has moved for spin_ns: a large message comes and goes in
 * pieces that are not executed. True: there is something to execute.
 */
static bool
spin(struct chi_pe *pe)
{
    uint64_t start_ns = chi_clock_now_ns(pe->options.clock);

    if (pe->route == NULL) {
        return false; /* nothing comes while nobody is there to send it */
    }
    for (;;) {
        uint32_t events = 0;
        uint64_t now_ns;

        for (int i = 0; i < SPIN_ROUNDS_PER_CLOCK; i++) {
            events += chi_route_progress(pe->route, CHI_PE_POLL_EVENTS_MAX);
            if (events > 0 && !chi_queue_is_empty(&pe->queue)) {
                return true;
            }
            cpu_relax();
        }
        if (pe->spin_ns == 0) {
            return false;
        }
        now_ns = chi_clock_now_ns(pe->options.clock);
        if (events > 0) {
            start_ns = now_ns;
        } else if (now_ns - start_ns >= pe->spin_ns) {
            return false;
        }
    }
}

/* Milliseconds until the next timer, at most CHI_PE_WAIT_MS_MAX. */
static int
wait_ms(const struct chi_pe *pe)
{
    const uint64_t next_ns = chi_pe_next_alarm_ns(pe);
    int ms = pe->wait_polled ? POLLED_WAIT_MS : CHI_PE_WAIT_MS_MAX;
    uint64_t now_ns;

    if (next_ns == CHI_TIMERS_NONE) {
        return ms;
    }
    now_ns = chi_clock_now_ns(pe->options.clock);
    if (next_ns <= now_ns) {
        return 0;
    }
    if (next_ns - now_ns < (uint64_t)ms * CHI_NS_PER_MS) {
        ms = (int)((next_ns - now_ns + CHI_NS_PER_MS - 1) / CHI_NS_PER_MS);
    }
    return ms;
}

chare_status
chi_pe_idle(struct chi_pe *pe)
{
    const chare_hooks *hooks = pe->options.hooks;
    struct epoll_event events[CHI_PE_WAIT_FDS_MAX];
    int ms;
    int n;

    if (spin(pe)) {
        return CHARE_OK;
    }
    ms = wait_ms(pe);
    if (ms == 0) {
        return CHARE_OK;
    }
    if (pe->route != NULL && chi_route_wait_begin(pe->route) != CHARE_OK) {
        return CHARE_OK; /* something came just now */
    }
    if (hooks != NULL && hooks->block_enter != NULL) {
        hooks->block_enter(pe->options.hooks_context);
    }
    n = epoll_wait(pe->epoll_fd, events, CHI_PE_WAIT_FDS_MAX, ms);
    if (hooks != NULL && hooks->block_leave != NULL) {
        hooks->block_leave(pe->options.hooks_context);
    }
    if (pe->route != NULL) {
        chi_route_wait_end(pe->route);
    }
    if (n == 0 && pe->slept != NULL) {
        pe->slept(pe->upcall_context);
    }
    if (chi_pe_interrupted(pe, n < 0 && errno == EINTR)) {
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
