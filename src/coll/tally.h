/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_TALLY_H
#define CHI_COLL_TALLY_H

/*
 * tally.h - contributions that are single plain numbers, combined as they
 * come, with the result that chi_reducer_combine() has of all in this order.
 */

#include <chare.h>

#include "pe/pe.h"

struct chi_tally {
    chare_tag tag; /* INT or FLOAT; END: there is nothing */
    union {
        int64_t integer;
        double real;
    } as;
};

static inline bool
chi_tally_is_empty(const struct chi_tally *tally)
{
    return tally->tag == CHARE_TAG_END;
}

/* False, and nothing is changed: it does not go together with the tally so
 * far, or would overflow, or the reducer is none of SUM to MAX. */
bool chi_tally_add(struct chi_tally *tally, uint32_t reducer,
                   const chare_value *number);

/* What has been added, as a part from this PE; the tally is empty then. */
struct chi_msg *chi_tally_take(struct chi_tally *tally, struct chi_pe *pe);

/* An INT or a FLOAT as a part from this PE. */
struct chi_msg *chi_tally_part(struct chi_pe *pe, const chare_value *number);

#endif /* CHI_COLL_TALLY_H */
