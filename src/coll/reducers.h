/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_REDUCERS_H
#define CHI_COLL_REDUCERS_H

/*
 * reducers.h - the built-in reducers on codec values.
 *
 * Contributions are numbers; arrays of one dtype and shape; lists or tuples of
 * such, combined item by item; and for MIN and MAX also texts or bytes, by
 * their code points or bytes.
 */

#include <chare.h>

/*
 * Combine 'part_count' values, at least one, into one that is written to
 * 'out'. Floats are combined in the order of the parts. 'reducer' is one of
 * SUM, PRODUCT, MIN, MAX, AND, OR and XOR. With arrays, the bytes of parts
 * start 16-byte aligned.
 *
 * Errors: CHARE_ERR_FORMAT    - the parts do not fit together or are no such
 *                               values; instead of the result an error value
 *                               for the user was written, to be sent on with
 *                               CHARE_FORMAT_ERROR. Also when a part is an
 *                               error itself: then it is that one.
 *         CHARE_ERR_NO_MEMORY - what was written is undefined.
 */
CHARE_MUST_CHECK chare_status chi_reducer_combine(uint32_t reducer,
                                                  const chare_part *parts,
                                                  size_t part_count,
                                                  chare_encoder *out);

/* "sum" and the like, for messages to people; "?" for one not built in. */
const char *chi_reducer_name(uint32_t reducer);

#endif /* CHI_COLL_REDUCERS_H */
