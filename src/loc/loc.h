/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LOC_LOC_H
#define CHI_LOC_LOC_H

/*
 * loc.h - where an element is, when its index alone does not say so.
 *
 * Each element has a *home*, the PE its array's map names; the home knows
 * where the element is. Who has not heard of an element sends to its home,
 * which forwards; the element's PE then tells the sender, which from then on
 * sends there. README.md has the states and why order is kept.
 */

#include <chare.h>

#include "base/map.h"
#include "cb/callback.h"
#include "pe/pe.h"

enum {
    CHI_LOC_HOPS_MAX = 8
};

/* What is to be done with a message that has arrived. */
enum chi_loc_look {
    CHI_LOC_LOOK,  /* find out where its target is */
    CHI_LOC_HERE,  /* execute it: its target never left */
    CHI_LOC_TAKEN, /* nothing: it was kept, or dropped */
};

struct chi_loc;

/* What this room needs of the one that owns elements. */
struct chi_loc_ops {
    /* Whether the element is on this PE. */
    bool (*is_here)(void *context, const chare_element *element);

    /* The home of an element whose array is known here. */
    uint32_t (*home)(void *context, const chare_element *element);

    /* Keep a message for an element that nobody knows (yet). */
    void (*keep)(void *context, const chare_element *element,
                 struct chi_msg *msg);

    /* At the home: an element that was elsewhere is no more. */
    void (*gone)(void *context, const chare_callback *done);

    /* At the home: the element was placed elsewhere. */
    void (*placed)(void *context, const chare_element *element, uint32_t pe);

    /* At the home: the element was placed on 'pe', but exists already. */
    void (*placed_twice)(void *context, const chare_element *element);

    /* Whether the array that a message is about is known here; if not, the
     * message was kept. */
    bool (*known)(void *context, struct chi_msg *msg);

    /* Whether the element's array was destroyed and forgotten here. */
    bool (*over)(void *context, const chare_element *element);

    /* What was sent to this element, which is here, by way of its home has all
     * come back. */
    void (*drained)(void *context, const chare_element *element);

    /* This element, which is here and has asked, may leave now. */
    void (*granted)(void *context, const chare_element *element);

    /* Where messages to some element go has changed. */
    void (*changed)(void *context);

    /* The target of a ROUTED message, for CHI_LOC_LOOK. */
    enum chi_loc_look (*target)(void *context, struct chi_msg *msg,
                                chare_element *element_out);
};

CHARE_MUST_CHECK chare_status chi_loc_create(struct chi_pe *pe,
                                             const struct chi_loc_ops *ops,
                                             void *context,
                                             struct chi_loc **out);
void chi_loc_destroy(struct chi_loc *loc);

/*
 * Send a counted message to an element that is not here, whose home is 'home'.
 */
void chi_loc_send(struct chi_loc *loc, const chare_element *element,
                  uint32_t home, struct chi_msg *msg);

/*
 * The element was inserted here, and its home is another PE: tell it. What
 * this PE has sent to the element by way of the home comes back; until then
 * the element drains, and what this PE sends to it goes to chi_loc_send(),
 * too.
 */
void chi_loc_tell_home(struct chi_loc *loc, const chare_element *element,
                       uint32_t home);

/*
 * The element, which was here and has drained, is no more: tell its home,
 * which then tells 'done'.
 */
void chi_loc_gone(struct chi_loc *loc, const chare_element *element,
                  uint32_t home, const chare_callback *done);

/*
 * A message that has been in this PE's queue is for an element that is not
 * here: send it on its way. False: this is the home, and knows nothing of the
 * element.
 */
bool chi_loc_reroute(struct chi_loc *loc, const chare_element *element,
                     uint32_t home, struct chi_msg *msg);

/*
 * An element that is here wants to move. ops->granted() is called when it may,
 * always later; then one of the two that follow must be called at once.
 */
void chi_loc_ask(struct chi_loc *loc, const chare_element *element,
                 uint32_t home);
void chi_loc_stays(struct chi_loc *loc, const chare_element *element,
                   uint32_t home);
void chi_loc_left(struct chi_loc *loc, const chare_element *element,
                  uint32_t home);

/* An element that has left another PE is here. */
void chi_loc_came(struct chi_loc *loc, const chare_element *element,
                  uint32_t home);

/* Where an element is that is not here, as far as is known; false: not. */
bool chi_loc_where(const struct chi_loc *loc, const chare_element *element,
                   uint32_t *pe_out);

/* Messages forwarded at their arrival, and senders that were told where an
 * element is, so far. */
void chi_loc_counts(const struct chi_loc *loc, uint64_t *forwarded_out,
                    uint64_t *told_out);

/* How often a message had been forwarded, at most, when it was here. */
uint32_t chi_loc_hops_most(const struct chi_loc *loc);

/* At the home: the element was placed elsewhere. */
bool chi_loc_knows(const struct chi_loc *loc, const chare_element *element);

/*
 * A ROUTED message has come: true: it was taken, kept or forwarded; false: its
 * element is here, and it may be executed.
 */
bool chi_loc_arrived(struct chi_loc *loc, struct chi_msg *msg);

#endif /* CHI_LOC_LOC_H */
