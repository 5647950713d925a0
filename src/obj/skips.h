/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_SKIPS_H
#define CHI_OBJ_SKIPS_H

/*
 * skips.h - which chares of an array skip which broadcasts, for cast.c.
 *
 * A skip is in two lists, that of its broadcast and that of its chare, so each
 * function costs what it changes, however many skips there are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct chi_element;

struct chi_skip {
    struct chi_skip *next_cast; /* of the same broadcast */
    struct chi_skip **link_cast;
    struct chi_skip *next_chare; /* of the same chare */
    struct chi_skip **link_chare;
    struct chi_skip_cast *cast;
    struct chi_skip_chare *chare;
};

/* A broadcast that some skip; from the first skip until it has run. */
struct chi_skip_cast {
    uint64_t number;
    struct chi_skip *first;
    uint64_t count;     /* chares that are here */
    uint64_t destroyed; /* and such as are no more */
};

/* A chare that skips some. */
struct chi_skip_chare {
    struct chi_element *element;
    struct chi_skip *first;
    size_t count;
};

struct chi_skips {
    struct chi_map casts;  /* number -> struct chi_skip_cast */
    struct chi_map chares; /* chi_element -> struct chi_skip_chare */
    uint64_t visits;       /* skips that were looked at; tests bound it */
};

/* Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_skips_add(struct chi_skips *skips,
                                            struct chi_element *element,
                                            uint64_t number);

/* What is known of a broadcast; NULL: nobody skips it. */
static inline const struct chi_skip_cast *
chi_skips_cast(const struct chi_skips *skips, uint64_t number)
{
    return chi_map_get(&skips->casts, number);
}

/* How many a chare skips. */
size_t chi_skips_count(const struct chi_skips *skips,
                       const struct chi_element *element);

/* A chare leaves: its skips go, the numbers to *numbers_out, with room for
 * chi_skips_count(). */
void chi_skips_leave(struct chi_skips *skips,
                     const struct chi_element *element, uint64_t *numbers_out);

/* A chare is destroyed: its skips are counted as such. */
void chi_skips_destroyed(struct chi_skips *skips,
                         const struct chi_element *element);

/* Set 'skips' of those that skip a broadcast; how many. */
uint64_t chi_skips_mark(struct chi_skips *skips, uint64_t number);

/* A broadcast has run: its skips go. */
void chi_skips_ran(struct chi_skips *skips, uint64_t number);

void chi_skips_init(struct chi_skips *skips);
void chi_skips_fini(struct chi_skips *skips);

#endif /* CHI_OBJ_SKIPS_H */
