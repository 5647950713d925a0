/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_SHM_PRIVATE_H
#define CHI_NET_SHM_PRIVATE_H

/*
 * shm_private.h - what shm.c and shm_peer.c share.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include "net/arena.h"
#include "net/net.h"
#include "net/shm_ring.h"

enum {
    CHI_SHM_NO_PEER = -1,
};

/* How to find an inbox; the provider's address. */
struct chi_shm_card {
    uint64_t nonce;
    uint64_t slot_count;
    uint64_t inode;
    uint32_t pid;
    uint32_t fd;
    struct chi_arena_card arena; /* all zero: none */
};

static_assert(sizeof(struct chi_shm_card) == 56, "the address has no padding");

struct chi_shm_peer {
    struct chi_shm_ring ring;
    struct chi_shm_card card;
    const struct chi_arena_view *arena; /* NULL: it has none */
    uint32_t rank;
    bool own;       /* this PE's own inbox: not mapped again */
    bool refuses;   /* its doorbell is gone */
    bool told_lost; /* reported to the sink */
};

struct chi_shm {
    struct chi_net net; /* first: a chi_net * is a chi_shm * */
    struct chi_shm_ring ring;
    uint64_t eager_bytes;
    bool asleep; /* between wait_begin() or nap_begin() and wait_end() */
    bool napping;
    bool lost_pending; /* some peer refuses and was not reported */
    struct chi_shm_card card;
    int memory;
    int doorbell; /* bound; readable when somebody rang */
    int bell;     /* not bound; rings the others' */

    struct chi_shm_peer *peers;
    uint32_t peer_count;
    int32_t *peer_of; /* by rank - rank_min; NO_PEER: none */
    uint32_t rank_min;
    uint32_t rank_max;
};

static inline struct chi_shm *
chi_shm_of(struct chi_net *net)
{
    return (struct chi_shm *)(void *)net;
}

static inline const struct chi_shm *
chi_shm_of_const(const struct chi_net *net)
{
    return (const struct chi_shm *)(const void *)net;
}

/* The abstract name of an inbox's doorbell; returns the address length. */
socklen_t chi_shm_doorbell_name(uint64_t nonce, struct sockaddr_un *out);

/* The peer does not look, and will not by itself: wake it, the way it sleeps
 * (one of CHI_SHM_FLAGS_ASLEEP). */
void chi_shm_peer_wake(struct chi_shm *shm, struct chi_shm_peer *peer,
                       unsigned how);

/* Waiting: shm_wait.c; as the slots of chi_net_ops. */
int chi_shm_wait_fd(const struct chi_net *net);
chare_status chi_shm_wait_begin(struct chi_net *net);
void chi_shm_wait_end(struct chi_net *net);
bool chi_shm_ready(const struct chi_net *net);
chare_status chi_shm_nap_begin(struct chi_net *net);
chare_status chi_shm_nap(struct chi_net *net, uint64_t timeout_ns);
void chi_shm_nudge_self(struct chi_net *net);

/* As chi_net_connect(). */
CHARE_MUST_CHECK chare_status chi_shm_connect(struct chi_net *net,
                                              uint64_t job_key,
                                              const struct chi_net_peer *peers,
                                              uint32_t peer_count);

/* NULL: no process of this node has this rank. */
static inline struct chi_shm_peer *
chi_shm_peer_find(struct chi_shm *shm, uint32_t rank)
{
    int32_t index = CHI_SHM_NO_PEER;

    if (shm->peers != NULL && rank >= shm->rank_min && rank <= shm->rank_max) {
        index = shm->peer_of[rank - shm->rank_min];
    }
    return index == CHI_SHM_NO_PEER ? NULL : &shm->peers[index];
}

static inline struct chi_shm_peer *
chi_shm_peer_get(struct chi_shm *shm, uint32_t rank)
{
    int32_t index;

    chi_assert(shm->peers != NULL && rank >= shm->rank_min &&
               rank <= shm->rank_max);
    index = shm->peer_of[rank - shm->rank_min];
    chi_assert(index != CHI_SHM_NO_PEER);
    return &shm->peers[index];
}

#endif /* CHI_NET_SHM_PRIVATE_H */
