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

    /* The target of a ROUTED message; false: its array is not known here, and
     * the message was kept. */
    bool (*target)(void *context, struct chi_msg *msg,
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

/* At the home: the element was placed elsewhere. */
bool chi_loc_knows(const struct chi_loc *loc, const chare_element *element);

/*
 * A ROUTED message has come: true: it was taken, kept or forwarded; false: its
 * element is here, and it may be executed.
 */
bool chi_loc_arrived(struct chi_loc *loc, struct chi_msg *msg);

#endif /* CHI_LOC_LOC_H */
