/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_GOSSIP_H
#define CHI_LB_GOSSIP_H

/*
 * gossip.h - balancing without a central step: PEs that have too much ask
 * others to lend them their objects, decide for all of these together, and
 * return them; what is still too much is then too much on more PEs, which go
 * on likewise.
 *
 * After H. Menon and L. V. Kale, "A distributed dynamic load balancer for
 * iterative applications", SC13 (Grapevine: who has too much looks for others
 * by chance), J. Lifflander et al., "Optimizing distributed load balancing for
 * workloads with time-varying imbalance", CLUSTER 2021 (Temper: a PE may be
 * lifted above the mean, and then sheds others), and S. Boyd et al.,
 * "Randomized gossip algorithms", IEEE Trans. Inf. Theory 52(6), 2006 (the
 * mean of a few by chance is near to that of all, in few rounds).
 *
 * Before that, where the strategy says so, amounts go where they are missing:
 * line.c by the sums of a tree, diffuse.c between neighbours.
 *
 * Only names of objects travel; they move when all is decided. README.md has
 * the states, the messages and why it ends.
 */

#include <stdbool.h>

#include <chare.h>

#include "base/prng.h"
#include "lb/port.h"

enum {
    CHI_GOSSIP_ROUNDS_MAX = 12,
    CHI_GOSSIP_LENDERS_MAX = 32, /* that one PE asks at a time */
};

enum chi_gossip_state {
    CHI_GOSSIP_SUMMING,   /* up the tree: what there is in all */
    CHI_GOSSIP_COARSE,    /* by line.c or diffuse.c */
    CHI_GOSSIP_IDLE,      /* it has no more than it should, or is lent */
    CHI_GOSSIP_BORROWING, /* waits for answers */
    CHI_GOSSIP_PLACING,   /* all is decided; owners are told */
    CHI_GOSSIP_OVER,
};

struct chi_gossip_totals {
    double work; /* with background */
    double speed;
    float most;  /* seconds of the fullest */
    float stuck; /* of who has most that it cannot get rid of */
    uint64_t objects;
    float largest;
    float fastest;
    float most_maybe;  /* of PEs whose background may count, see port.h */
    uint16_t measured; /* not 0: some PE has measured */
    uint16_t stranded; /* not 0: some PE without speed has objects */
    double work_maybe;
};

/* Where an owner's object goes. */
struct chi_gossip_move {
    uint32_t id;
    uint32_t to;
};

struct chi_gossip_loan;
struct chi_line;
struct chi_diffuse;

struct chi_gossip {
    struct chi_lb_port port;
    enum chi_gossip_state state;
    struct chi_prng prng;

    struct chi_lb_item *items; /* here now */
    uint32_t count;
    uint32_t room;
    uint32_t own_count; /* objects of this PE, wherever they are */

    double work;  /* of items */
    float bound;  /* seconds: no way is better than this */
    float goal;   /* seconds nobody should exceed */
    float looser; /* seconds that will do in late rounds */
    bool is_even; /* at the goal from the beginning */
    struct chi_gossip_totals totals;
    uint32_t sums_missing;

    uint32_t round;               /* of this PE: the depth of what led here */
    struct chi_gossip_loan *loan; /* while it borrows */
    uint32_t lent;                /* the first items are lent; 0: none */
    bool is_lent;

    struct chi_line *line; /* while it goes on; likewise */
    struct chi_diffuse *diffuse;
    uint32_t coarse_missing; /* children that are at it */
    bool coarse_done;

    /* Termination: who is engaged by whom (Dijkstra and Scholten). */
    uint32_t engaged; /* PEs that this one has borrowed from, not released */
    uint32_t engager; /* who did that here; UINT32_MAX: nobody */
    uint32_t reports; /* children of the tree that are not done */
    bool reported;    /* to the parent */
    uint32_t gone;    /* own objects on other PEs that have not said so */
    bool finish_seen;

    struct chi_gossip_move *moves; /* of own objects, when it is over */
    uint32_t move_count;

    /* What it cost, for those who count. */
    uint64_t messages;
    uint64_t bytes;
    size_t memory_most;     /* of line, diffuse and loans */
    uint32_t coarse_rounds; /* before the first that borrows */
    uint32_t rounds_max;
};

/*
 * Begin, on each PE once; messages may have come before, see
 * chi_gossip_receive(). Owners and ids are set here: ids count from 0.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_gossip_start(struct chi_gossip *gossip,
                                               const struct chi_lb_port *port,
                                               const float *work,
                                               uint32_t count,
                                               float tolerance);

/* A message has come. The caller keeps what comes before the start. Errors:
 * CHARE_ERR_NO_MEMORY, CHARE_ERR_FORMAT - it is none of these. */
CHARE_MUST_CHECK chare_status chi_gossip_receive(struct chi_gossip *gossip,
                                                 uint32_t from,
                                                 const void *bytes,
                                                 size_t len);

/* The moves of own objects are known; messages that still come do not matter.
 */
static inline bool
chi_gossip_over(const struct chi_gossip *gossip)
{
    return gossip->state == CHI_GOSSIP_OVER;
}

/* Seconds of this PE with what it has now. */
double chi_gossip_time(const struct chi_gossip *gossip);

void chi_gossip_fini(struct chi_gossip *gossip);

/* Memory of one PE, now and with the most that it used besides. */
size_t chi_gossip_bytes(const struct chi_gossip *gossip);

#endif /* CHI_LB_GOSSIP_H */
