/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - sleeping until something happens.
 *
 * Some providers let a stranger, who has connected and written something,
 * keep their descriptor readable: a PE that sleeps on it would not sleep. So
 * theirs is put into an epoll of ours. When it has been readable a few times
 * in a row and nothing came of it, it is stuck: then only its changes wake
 * the PE, and a timer does, should a change be missed. Now and then it is
 * tried again.
 */
#include "config.h"

#include "ofi/state.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    ALARMS_MAX = 16,      /* then the descriptor is stuck */
    ALARMS_AGAIN = 12,    /* what is counted at once on the next try */
    TICK_MS = 10,         /* of the timer */
    STUCK_TICKS_MAX = 200 /* until the next try */
};

/* A get of which nothing is under way: no completion will move it on. */
static bool
get_waits(const struct chi_ofi *ofi)
{
    const struct chi_ofi_get *get = ofi->gets_active;

    while (get != NULL && get->under_way > 0) {
        get = get->next;
    }
    return get != NULL;
}

/* ---- a descriptor that cries wolf */

static void
doze_arm(struct chi_ofi_doze *doze, bool stuck)
{
    const struct timespec tick = {.tv_nsec =
                                      stuck ? TICK_MS * CHI_NS_PER_MS : 0};
    const struct itimerspec timer = {tick, tick};
    struct epoll_event event = {.events = EPOLLIN | (stuck ? EPOLLET : 0)};

    doze->stuck = stuck;
    doze->ticks = 0;
    doze->alarms = stuck ? ALARMS_MAX : ALARMS_AGAIN;
    (void)timerfd_settime(doze->timer_fd, 0, &timer, NULL);
    (void)epoll_ctl(doze->epoll_fd, EPOLL_CTL_MOD, doze->cq_fd, &event);
}

void
chi_ofi_doze_open(struct chi_ofi *ofi)
{
    struct chi_ofi_doze *doze = &ofi->doze;
    struct epoll_event event = {.events = EPOLLIN};

    if (!ofi->plan.sticky_fd) {
        return;
    }
    doze->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    doze->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    doze->cq_fd = ofi->wait_fd;
    if (doze->epoll_fd < 0 || doze->timer_fd < 0 ||
        epoll_ctl(doze->epoll_fd, EPOLL_CTL_ADD, doze->cq_fd, &event) != 0 ||
        epoll_ctl(doze->epoll_fd, EPOLL_CTL_ADD, doze->timer_fd, &event) !=
            0) {
        chi_ofi_doze_close(ofi); /* we can do without it */
        return;
    }
    ofi->wait_fd = doze->epoll_fd;
}

void
chi_ofi_doze_close(struct chi_ofi *ofi)
{
    struct chi_ofi_doze *doze = &ofi->doze;

    if (doze->cq_fd < 0) {
        return;
    }
    if (doze->epoll_fd >= 0) {
        (void)close(doze->epoll_fd);
    }
    if (doze->timer_fd >= 0) {
        (void)close(doze->timer_fd);
    }
    doze->cq_fd = -1;
}

static void
doze_look(struct chi_ofi *ofi)
{
    struct chi_ofi_doze *doze = &ofi->doze;
    struct pollfd pollfd = {.fd = doze->cq_fd, .events = POLLIN};

    if (doze->stuck) {
        if (doze->ticks >= STUCK_TICKS_MAX) {
            doze_arm(doze, false);
        }
        return;
    }
    if (doze->events != ofi->events || poll(&pollfd, 1, 0) == 0) {
        doze->events = ofi->events;
        doze->alarms = 0;
        return;
    }
    if (++doze->alarms < ALARMS_MAX) {
        return;
    }
    doze_arm(doze, true);
    if (!doze->told) {
        doze->told = true;
        chi_log_info(
            chi_ofi_log(ofi),
            "ofi: the descriptor of %s says that something came when "
            "nothing did (libfabric 1.17 does that by itself, and for "
            "strangers who write to its port); looking at it when it "
            "changes, and every %d ms",
            ofi->info->fabric_attr->prov_name, TICK_MS);
    }
}

/* Before progress looks: what changes from now on wakes the PE again. */
static void
doze_clear(struct chi_ofi_doze *doze)
{
    struct epoll_event events[2];
    uint64_t ticks = 0;

    (void)!epoll_wait(doze->epoll_fd, events, 2, 0);
    if (read(doze->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
        doze->ticks += ticks;
    }
}

/* ---- */

int
chi_ofi_wait_fd(const struct chi_net *net)
{
    return chi_ofi_of(net)->wait_fd;
}

chare_status
chi_ofi_wait_begin(struct chi_net *net)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    struct fid *fids[1] = {&ofi->cq->fid};

    if (ofi->arrived.head != NULL || ofi->lost != NULL ||
        ofi->gets_done != NULL || ofi->unposted != NULL ||
        ofi->stalled != NULL || get_waits(ofi)) {
        return CHARE_ERR_AGAIN;
    }
    if (ofi->wait_fd < 0) {
        return CHARE_OK;
    }
    /* Anything but success means that a sleep could miss something. */
    if (fi_trywait(ofi->fabric, fids, 1) != 0) {
        return CHARE_ERR_AGAIN;
    }
    if (ofi->doze.cq_fd >= 0) {
        doze_look(ofi);
    }
    return CHARE_OK;
}

void
chi_ofi_wait_end(struct chi_net *net)
{
    struct chi_ofi *ofi = chi_ofi_of(net);

    if (ofi->doze.stuck) {
        doze_clear(&ofi->doze);
    }
}
