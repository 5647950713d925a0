/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_GOSSIP_H
#define CHI_LB_GOSSIP_H

/*
 * gossip.h - balancing without a central step: PEs that have too much ask
 * others by chance, offer objects to those that have room, and learn from
 * them who else has.
 *
 * After H. Menon and L. V. Kale, "A distributed dynamic load balancer for
 * iterative applications", SC13 (Grapevine), and J. Lifflander et al.,
 * "Optimizing distributed load balancing for workloads with time-varying
 * imbalance", CLUSTER 2021 (Temper: large objects may lift a PE above the
 * mean, which then sheds others). Unlike them, PEs in need pull what they want
 * to know, and an offer may be refused, so that nobody is overrun.
 *
 * Only names of objects travel; they move when all is decided. README.md has
 * the states, the messages and why it ends.
 */

#include <stdbool.h>

#include <chare.h>

#include "base/prng.h"
#include "lb/port.h"

enum {
    CHI_GOSSIP_KNOWN_MAX = 32, /* PEs with room that a PE remembers */
    CHI_GOSSIP_ROUNDS_MAX = 12,
};

enum chi_gossip_state {
    CHI_GOSSIP_SUMMING,  /* up the tree: what there is in all */
    CHI_GOSSIP_IDLE,     /* it has no more than it should */
    CHI_GOSSIP_OFFERING, /* waits for answers */
    CHI_GOSSIP_PLACING,  /* all is decided; owners are told */
    CHI_GOSSIP_OVER,
};

struct chi_gossip_known {
    uint32_t pe;
    float time;
    float speed;
};

struct chi_gossip_totals {
    double work; /* with background */
    double speed;
    float largest;
    float fastest;
};

/* Where an owner's object goes. */
struct chi_gossip_move {
    uint32_t id;
    uint32_t to;
};

struct chi_gossip {
    struct chi_lb_port port;
    enum chi_gossip_state state;
    struct chi_prng prng;

    struct chi_lb_item *items; /* here now */
    struct chi_lb_item *spare; /* items that are offered, by peer */
    uint32_t count;
    uint32_t pending; /* more of them, in 'spare' */
    uint32_t room;
    uint32_t own_count; /* objects of this PE, wherever they are */

    double work;  /* of items, those offered included */
    float goal;   /* seconds nobody should exceed */
    float looser; /* seconds that will do in late rounds */
    struct chi_gossip_totals totals;
    uint32_t sums_missing;

    uint32_t round;   /* of this PE: the depth of what led here */
    uint32_t answers; /* that it waits for */
    struct chi_gossip_offer *offers;

    /* Termination: who is engaged by whom (Dijkstra and Scholten). */
    uint32_t engaged; /* PEs that this one has set to work again */
    uint32_t engager; /* who did that here; UINT32_MAX: nobody */
    uint32_t reports; /* children of the tree that are not done */
    bool reported;    /* to the parent */
    uint32_t gone;    /* own objects on other PEs that have not said so */
    bool finish_seen;

    struct chi_gossip_move *moves; /* of own objects, when it is over */
    uint32_t move_count;

    struct chi_gossip_known known[CHI_GOSSIP_KNOWN_MAX];
    uint32_t known_count;

    /* What it cost, for those who count. */
    uint64_t messages;
    uint64_t bytes;
    uint32_t rounds_max; /* of this PE */
};

/*
 * Begin, on each PE once; messages may have come before, see
 * chi_gossip_receive(). 'items' is copied; owner and id are set here: ids
 * count from 0. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_gossip_start(
    struct chi_gossip *gossip, const struct chi_lb_port *port,
    const float *work, const uint32_t *bytes, uint32_t count, float tolerance);

/* A message has come. The caller keeps what comes before the start. Errors:
 * CHARE_ERR_NO_MEMORY, CHARE_ERR_FORMAT - it is none of these. */
CHARE_MUST_CHECK chare_status chi_gossip_receive(struct chi_gossip *gossip,
                                                 uint32_t from,
                                                 const void *bytes,
                                                 size_t len);

/* The moves of own objects are known. */
static inline bool
chi_gossip_over(const struct chi_gossip *gossip)
{
    return gossip->state == CHI_GOSSIP_OVER;
}

void chi_gossip_fini(struct chi_gossip *gossip);

/* Memory of one PE, now. */
size_t chi_gossip_bytes(const struct chi_gossip *gossip);

#endif /* CHI_LB_GOSSIP_H */
