/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_STRATEGIES_POLISH_H
#define CHI_LB_STRATEGIES_POLISH_H

/*
 * polish.h - what is left after greedy: full PEs swap with empty ones.
 */

#include "lb/strategies/heaps.h"

/*
 * All objects are placed, as 'to' says, and 'heaps' have the times. PEs that
 * are above 'goal' seconds are balanced with the emptiest, two and two, by
 * ../group.h. Objects that cannot move stay. Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status
chi_lb_polish(const struct chi_lb_problem *problem,
              const struct chi_heaps *heaps, double goal, uint32_t *to);

#endif /* CHI_LB_STRATEGIES_POLISH_H */
