/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_GOSSIP_PRIVATE_H
#define CHI_LB_GOSSIP_PRIVATE_H

/*
 * gossip_private.h - what the files of the distributed protocol share: its
 * messages, bounds, and the PE's items.
 */

#include "base/bytes.h"
#include "lb/gossip.h"

enum {
    LEND_ITEMS_MAX = 32,    /* that a PE shows to one that borrows */
    GIVE_ITEMS_MAX = 1024,  /* in one message */
    PLACED_ITEMS_MAX = 256, /* in one message */
    ROUND_LATE = 7,         /* from here on, 'looser' will do */
};

enum kind {
    KIND_SUM = 1, /* up: what there is */
    KIND_GOAL,    /* down */
    KIND_SIDES,   /* up, line.c: what is too much, what is missing */
    KIND_PLACES,  /* down: where these begin */
    KIND_HOLD,    /* to a host: who misses what */
    KIND_GIVE,    /* to a host: items for who misses it */
    KIND_HAND,    /* from a host: items */
    KIND_TAKEN,   /* to who gave them */
    KIND_TIME,    /* diffuse.c: to neighbours, each turn */
    KIND_FLOW,    /* items for a neighbour */
    KIND_GIVEN,   /* up: the coarse part is over here */
    KIND_FINE,    /* down */
    KIND_BORROW,
    KIND_LEND,
    KIND_RETURN,
    KIND_RELEASE,
    KIND_REPORT,
    KIND_FINISH,
    KIND_PLACED,
};

/* gossip.c */
void chi_gossip_put(struct chi_gossip *g, uint32_t to, const void *bytes,
                    size_t len);
void chi_gossip_put_kind(struct chi_gossip *g, uint32_t to, enum kind kind);
/* What came can be an item. */
bool chi_gossip_item_ok(const struct chi_gossip *g,
                        const struct chi_lb_item *item);
/* Take the items that are left to read; those before a wrong one stay. */
CHARE_MUST_CHECK chare_status chi_gossip_take_all(struct chi_gossip *g,
                                                  struct chi_reader *reader);
/* Take out an item; the last one comes to its place. */
struct chi_lb_item chi_gossip_drop(struct chi_gossip *g, uint32_t at);
/* Sort by falling work. */
void chi_gossip_sort(struct chi_gossip *g);
/* The coarse part is over on this PE. */
CHARE_MUST_CHECK chare_status chi_gossip_coarse_over(struct chi_gossip *g);
/* Report, or release, if there is nothing left to do. */
CHARE_MUST_CHECK chare_status chi_gossip_look(struct chi_gossip *g);
void chi_gossip_count_memory(struct chi_gossip *g, size_t bytes);

static inline bool
chi_gossip_is_root(const struct chi_gossip *g)
{
    return g->port.parent == g->port.rank;
}

/* borrow.c */
CHARE_MUST_CHECK chare_status chi_borrow_go_on(struct chi_gossip *g);
CHARE_MUST_CHECK chare_status chi_borrow_asked(struct chi_gossip *g,
                                               uint32_t from);
CHARE_MUST_CHECK chare_status chi_borrow_lent(struct chi_gossip *g,
                                              uint32_t from,
                                              struct chi_reader *reader);
CHARE_MUST_CHECK chare_status chi_borrow_returned(struct chi_gossip *g,
                                                  struct chi_reader *reader);
void chi_borrow_fini(struct chi_gossip *g);

/* line.c */
CHARE_MUST_CHECK chare_status chi_line_start(struct chi_gossip *g);
CHARE_MUST_CHECK chare_status chi_line_receive(struct chi_gossip *g,
                                               unsigned kind, uint32_t from,
                                               struct chi_reader *reader);
void chi_line_fini(struct chi_gossip *g);

/* diffuse.c */
CHARE_MUST_CHECK chare_status chi_diffuse_start(struct chi_gossip *g);
CHARE_MUST_CHECK chare_status chi_diffuse_receive(struct chi_gossip *g,
                                                  unsigned kind, uint32_t from,
                                                  struct chi_reader *reader);
void chi_diffuse_fini(struct chi_gossip *g);

#endif /* CHI_LB_GOSSIP_PRIVATE_H */
