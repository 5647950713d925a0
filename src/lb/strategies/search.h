/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_SEARCH_H
#define CHI_LB_STRATEGIES_SEARCH_H

/*
 * search.h - step by step, the fullest PE moves an object to another one, or
 * swaps it for a smaller one of that.
 */

#include "lb/strategies/shed.h"

/*
 * From where 'to' and 'times' are, until nobody is above the goal or no step
 * makes the fullest better. PEs without speed are left alone.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_lb_search(struct chi_shed *shed);

/*
 * Begin at the best, if that is not at the goal; where objects are few, also
 * where they all are, and with 'anywhere' where greedy has them. All are
 * offered.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_lb_search_again(struct chi_shed *shed,
                                                  bool anywhere);

#endif /* CHI_LB_STRATEGIES_SEARCH_H */
