/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_wait.c - the owner of an inbox sleeps.
 *
 * Either on its doorbell, a descriptor, among others; or it naps, on the word
 * of the inbox that producers change anyway: one system call to sleep and one
 * to wake it, where the doorbell needs three. shm_ring.h has the protocol,
 * and tests/unit/net/test_nap_model.c goes through all its interleavings.
 */
#include "config.h"

#include <sched.h>

#include "base/check.h"
#include "base/futex.h"
#include "net/shm_private.h"

enum {
    RINGS_DRAINED_MAX = 64, /* datagrams read by one wait_end() */
};

static void
doorbell_drain(const struct chi_shm *shm, int rings_max)
{
    char byte;

    for (int i = 0; i < rings_max; i++) {
        if (recv(shm->doorbell, &byte, 1, MSG_DONTWAIT) < 0) {
            break;
        }
    }
}

static chare_status
sleep_begin(struct chi_shm *shm, unsigned how)
{
    uint64_t len;

    chi_assert(!shm->asleep);
    if (shm->lost_pending) {
        return CHARE_ERR_AGAIN;
    }
    if (shm->ring.head != shm->ring.position) {
        chi_shm_give_back(&shm->ring);
    }
    if (!chi_shm_sleep(&shm->ring, how)) {
        /* Reserved but not there yet: its producer may need this processor
         * to go on. */
        if (!chi_shm_peek(&shm->ring, &len)) {
            (void)sched_yield();
        }
        return CHARE_ERR_AGAIN;
    }
    shm->asleep = true;
    shm->napping = how == CHI_SHM_FLAG_NAP;
    return CHARE_OK;
}

int
chi_shm_wait_fd(const struct chi_net *net)
{
    return chi_shm_of_const(net)->doorbell;
}

chare_status
chi_shm_wait_begin(struct chi_net *net)
{
    return sleep_begin(chi_shm_of(net), CHI_SHM_FLAG_SLEEP);
}

void
chi_shm_wait_end(struct chi_net *net)
{
    struct chi_shm *shm = chi_shm_of(net);
    bool woken;

    chi_assert(shm->asleep);
    shm->asleep = false;
    woken = chi_shm_wake(&shm->ring);
    /* Who took the flag rings once; maybe only after this: a wake-up for
     * nothing, later, and harmless. That, and what strangers have sent, is
     * taken away when nobody took the flag. */
    if (!shm->napping) {
        doorbell_drain(shm, woken ? 1 : RINGS_DRAINED_MAX);
    }
}

bool
chi_shm_ready(const struct chi_net *net)
{
    const struct chi_shm *shm = chi_shm_of_const(net);
    uint64_t len;

    return chi_shm_peek(&shm->ring, &len) || shm->lost_pending;
}

chare_status
chi_shm_nap_begin(struct chi_net *net)
{
    return sleep_begin(chi_shm_of(net), CHI_SHM_FLAG_NAP);
}

chare_status
chi_shm_nap(struct chi_net *net, uint64_t timeout_ns)
{
    const struct chi_shm *shm = chi_shm_of(net);

    chi_assert(shm->asleep && shm->napping);
    return chi_futex_wait(chi_shm_nap_word(shm->ring.inbox),
                          chi_shm_nap_value(&shm->ring), timeout_ns);
}

void
chi_shm_nudge_self(struct chi_net *net)
{
    const struct chi_shm *shm = chi_shm_of(net);

    if (chi_shm_nudge(&shm->ring)) {
        (void)chi_futex_wake(chi_shm_nap_word(shm->ring.inbox));
    }
}
