/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_peer.c - the other processes of the node: finding, mapping, waking them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/futex.h"
#include "net/abstract.h"
#include "net/shm_private.h"

/* ---- doorbells */

/* The abstract name of an inbox's doorbell; returns the address length. */
socklen_t
chi_shm_doorbell_name(uint64_t nonce, struct sockaddr_un *out)
{
    return chi_abstract_name("chare", nonce, out);
}

/* Wake the owner of 'card'; 0, or the reason why it cannot be. */
static int
doorbell_ring(const struct chi_shm *shm, const struct chi_shm_card *card)
{
    struct sockaddr_un name;
    const socklen_t len = chi_shm_doorbell_name(card->nonce, &name);

    if (sendto(shm->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&name, len) >= 0 ||
        errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        return 0; /* a full queue is readable already */
    }
    return errno;
}

/* ---- peers */

static chare_status
peer_failed(const struct chi_shm *shm, const struct chi_shm_peer *peer,
            const char *what, int why)
{
    chi_log_error(shm->net.options.log,
                  "cannot reach PE %u (process %u) through shared memory: "
                  "%s: %s; CHARE_NET=ofi works without it",
                  peer->rank, peer->card.pid, what, strerror(why));
    return CHARE_ERR_SYSTEM;
}

/* Whether 'fd' is the very memory that the card speaks of. */
static bool
memory_is(int fd, const struct chi_shm_card *card)
{
    const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct stat stat;

    return fstat(fd, &stat) == 0 && stat.st_ino == card->inode &&
           (uint64_t)stat.st_size == chi_shm_inbox_bytes(card->slot_count) &&
           fcntl(fd, F_GET_SEALS) == want;
}

static chare_status
peer_map(const struct chi_shm *shm, struct chi_shm_peer *peer)
{
    const struct chi_shm_card *card = &peer->card;
    const size_t bytes = chi_shm_inbox_bytes(card->slot_count);
    struct chi_shm_inbox *inbox;
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%u/fd/%u", card->pid, card->fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return peer_failed(shm, peer, path, errno);
    }
    if (!memory_is(fd, card)) {
        (void)close(fd);
        return peer_failed(shm, peer, path, ESTALE);
    }
    inbox = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (inbox == MAP_FAILED) {
        return peer_failed(shm, peer, "mmap", errno);
    }
    if (inbox->magic != CHI_SHM_MAGIC || inbox->nonce != card->nonce ||
        inbox->slot_count != card->slot_count) {
        (void)munmap(inbox, bytes);
        return peer_failed(shm, peer, path, ESTALE);
    }
    chi_shm_ring_init(&peer->ring, inbox, card->slot_count);
    return CHARE_OK;
}

static chare_status
peer_init(const struct chi_shm *shm, struct chi_shm_peer *peer,
          const struct chi_net_peer *from)
{
    const struct chi_shm_card *card = &peer->card;
    int why;

    peer->rank = from->rank;
    if (from->len != sizeof(peer->card)) {
        return peer_failed(shm, peer, "its address", EINVAL);
    }
    memcpy(&peer->card, from->address, sizeof(peer->card));
    if (card->slot_count < CHI_SHM_SLOTS_MIN ||
        card->slot_count > CHI_SHM_SLOTS_MAX ||
        (card->slot_count & (card->slot_count - 1)) != 0) {
        return peer_failed(shm, peer, "its address", EINVAL);
    }
    if (card->nonce == shm->card.nonce) {
        peer->own = true;
        chi_shm_ring_init(&peer->ring, shm->ring.inbox, card->slot_count);
        return CHARE_OK;
    }
    if (card->arena.bytes > 0 && shm->net.options.arena != NULL &&
        chi_arena_attach(shm->net.options.arena, &card->arena, &peer->arena) !=
            CHARE_OK) {
        return peer_failed(shm, peer,
                           "its arena (CHARE_ARENA_BYTES=0 on all PEs: "
                           "without)",
                           errno);
    }
    /* One ring now shows whether waking it works at all: it does not from
     * one network namespace to another. */
    why = doorbell_ring(shm, card);
    if (why != 0) {
        return peer_failed(shm, peer, "its doorbell", why);
    }
    return peer_map(shm, peer);
}

static chare_status
index_create(struct chi_shm *shm, const struct chi_net_peer *peers,
             uint32_t peer_count)
{
    uint32_t span;

    shm->rank_min = peers[0].rank;
    shm->rank_max = peers[0].rank;
    for (uint32_t i = 1; i < peer_count; i++) {
        if (peers[i].rank < shm->rank_min) {
            shm->rank_min = peers[i].rank;
        }
        if (peers[i].rank > shm->rank_max) {
            shm->rank_max = peers[i].rank;
        }
    }
    span = shm->rank_max - shm->rank_min + 1;
    shm->peer_of = malloc(span * sizeof(shm->peer_of[0]));
    shm->peers = calloc(peer_count, sizeof(shm->peers[0]));
    if (shm->peer_of == NULL || shm->peers == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < span; i++) {
        shm->peer_of[i] = CHI_SHM_NO_PEER;
    }
    for (uint32_t i = 0; i < peer_count; i++) {
        shm->peer_of[peers[i].rank - shm->rank_min] = (int32_t)i;
    }
    return CHARE_OK;
}

chare_status
chi_shm_connect(struct chi_net *net, uint64_t job_key,
                const struct chi_net_peer *peers, uint32_t peer_count)
{
    struct chi_shm *shm = chi_shm_of(net);
    chare_status status;

    (void)job_key; /* the kernel keeps strangers out of the memory */
    chi_assert(shm->peers == NULL);
    if (peer_count == 0) {
        return CHARE_OK;
    }
    status = index_create(shm, peers, peer_count);
    if (status != CHARE_OK) {
        return status;
    }
    shm->peer_count = peer_count;
    for (uint32_t i = 0; i < peer_count; i++) {
        status = peer_init(shm, &shm->peers[i], &peers[i]);
        if (status != CHARE_OK) {
            return status;
        }
    }
    return CHARE_OK;
}

/* ---- waking */

__attribute__((noinline, cold)) void
chi_shm_peer_wake(struct chi_shm *shm, struct chi_shm_peer *peer, unsigned how)
{
    int why;

    if (how == CHI_SHM_FLAG_NAP &&
        chi_futex_wake(chi_shm_nap_word(peer->ring.inbox))) {
        return;
    }
    /* Nobody naps: the peer is about to and will notice, or it has died in
     * its sleep, which only the doorbell tells. */
    why = doorbell_ring(shm, &peer->card);
    if (why == ECONNREFUSED && !peer->refuses) {
        peer->refuses = true;
        shm->lost_pending = true;
    } else if (why != 0 && !peer->refuses) {
        peer->refuses = true;
        shm->lost_pending = true;
        (void)peer_failed(shm, peer, "its doorbell", why);
    }
}
