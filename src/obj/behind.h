/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_BEHIND_H
#define CHI_OBJ_BEHIND_H

/*
 * behind.h - chares that have missed broadcasts, for cast.c.
 *
 * A chare that came to a PE is *behind* until what it has missed there has
 * come (B2 of cast.c). Meanwhile later broadcasts to it are held, so that it
 * has all in the order of their numbers. Until then it
 * stays, and does not end: its flag 'behind' says so.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct chi_collection;
struct chi_element;
struct chi_msg;
struct chi_obj;

struct chi_behinds {
    struct chi_map chares; /* chi_element -> struct behind */
};

/* A chare has missed a broadcast, which will come. Errors:
 * CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_behind_owe(struct chi_behinds *behinds,
                                             struct chi_element *element,
                                             uint64_t number);

/* A broadcast has come to a chare that is behind: hold it, with a reference
 * of its own. 'own': it runs here for all chares. */
CHARE_MUST_CHECK chare_status chi_behind_hold(struct chi_behinds *behinds,
                                              struct chi_element *element,
                                              uint64_t number,
                                              struct chi_msg *msg, bool own);

/* Set 'skips' of those here that must not have this broadcast yet, and hold
 * it for them; how many. Those that have 'skips' set have no part in it. */
CHARE_MUST_CHECK chare_status chi_behind_mark(struct chi_behinds *behinds,
                                              uint64_t number,
                                              struct chi_msg *msg,
                                              uint64_t *count_out);

/* The next broadcast of a chare, which is the caller's; NULL: it has not come,
 * or the chare is behind no more. */
struct chi_msg *chi_behind_next(struct chi_behinds *behinds,
                                struct chi_element *element, bool *own_out);

/* cast.c: a broadcast is to run here. It is held for those that must not have
 * it yet, and they are marked as by chi_casts_skipped(), which comes first;
 * how many. */
uint64_t chi_casts_held(struct chi_obj *obj, struct chi_collection *collection,
                        struct chi_msg *msg);

void chi_behinds_init(struct chi_behinds *behinds);
void chi_behinds_fini(struct chi_behinds *behinds);

#endif /* CHI_OBJ_BEHIND_H */
