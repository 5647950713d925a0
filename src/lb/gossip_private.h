/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_GOSSIP_PRIVATE_H
#define CHI_LB_GOSSIP_PRIVATE_H

/*
 * gossip_private.h - the bounds of gossip.c, and its messages.
 */

#include "lb/gossip.h"

enum {
    ASKS = 6,      /* PEs asked by chance in an early round */
    ASKS_MORE = 5, /* in each later round, and for each goal of excess */
    ASKS_MAX = 32,
    ROUND_SEARCH = 4, /* the first of the later ones */
    OFFERS_MAX = 32,  /* PEs that are offered something at a time */
    OFFER_ITEMS_MAX = 64,
    SHARED_MAX = 4, /* known PEs in an answer */
    ROUND_LATE = 7, /* from here on, 'looser' will do */
    PART = 2,       /* of an excess, that others may have afterwards */
    ROUND_EVEN = 5, /* from here on, all are alike */
    NOBODY = -1,
};

enum kind {
    KIND_SUM = 1,
    KIND_GOAL,
    KIND_OFFER,
    KIND_ANSWER,
    KIND_RELEASE,
    KIND_REPORT,
    KIND_FINISH,
    KIND_PLACED,
};

/* An offer that lifts another PE above the goal has to be worth it. */
#define SWAP_GAIN 0.98

/* What was offered to one PE: items [first, first + count) of 'spare'. */
struct chi_gossip_offer {
    uint32_t to;
    uint32_t first;
    uint16_t count;
    uint16_t tag; /* comes back with the answer */
};

#define OFFER_BYTES_MAX (32 + OFFER_ITEMS_MAX * sizeof(struct chi_lb_item))

#endif /* CHI_LB_GOSSIP_PRIVATE_H */
