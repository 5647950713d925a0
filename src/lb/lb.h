/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_LB_H
#define CHI_LB_LB_H

/*
 * lb.h - balancing of a running job: when chares say so.
 *
 * README.md has the states and the messages.
 */

#include <chare.h>

#include "base/settings.h"
#include "cb/callback.h"
#include "coll/coll.h"
#include "lb/strategies/strategy.h"
#include "obj/obj.h"
#include "pe/pe.h"

struct chi_lb;
struct chi_speed_source;

CHARE_MUST_CHECK chare_status chi_lb_create(struct chi_pe *pe,
                                            struct chi_cb *cb,
                                            struct chi_coll *coll,
                                            struct chi_obj *obj,
                                            struct chi_lb **out);
void chi_lb_destroy(struct chi_lb *lb);

/*
 * Which strategy, the same on every PE; NULL or "": none. Until the first
 * balancing. Errors: CHARE_ERR_NOT_FOUND - no strategy of this name.
 */
CHARE_MUST_CHECK chare_status chi_lb_use(struct chi_lb *lb, const char *name);

/* A strategy of the user's, by its name; on PE 0 at least, where it is asked.
 * Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_EXISTS. */
CHARE_MUST_CHECK chare_status chi_lb_register(struct chi_lb *lb,
                                              const char *name, chare_lb_fn fn,
                                              void *context);

/* As chare_lb_count_calls(). */
CHARE_MUST_CHECK chare_status chi_lb_count_calls(struct chi_lb *lb,
                                                 uint32_t every);

/* As chare_at_sync(). */
CHARE_MUST_CHECK chare_status chi_lb_at_sync(struct chi_lb *lb,
                                             const chare_element *self,
                                             const chare_callback *resume);

/*
 * As chare_lb_every(). Errors: CHARE_ERR_INVALID.
 */
CHARE_MUST_CHECK chare_status chi_lb_every(struct chi_lb *lb, double seconds);

/* The job has started: balance when settings say so. */
void chi_lb_start(struct chi_lb *lb);

/* Timers of this room that are set, and wake nobody else. */
uint64_t chi_lb_timers(const struct chi_lb *lb);

/* As chare_lb_measure(): measure on this PE, or not. */
void chi_lb_measure(struct chi_lb *lb, bool on);

/* What happened so far; on PE 0 all of it. */
void chi_lb_report(const struct chi_lb *lb, chare_lb_report *out);

/* As chare_lb_pe_get(). Errors: CHARE_ERR_INVALID, CHARE_ERR_NOT_FOUND. */
CHARE_MUST_CHECK chare_status chi_lb_pe_report(struct chi_lb *lb, uint32_t pe,
                                               chare_lb_pe *out);

/* Measure speeds by this source, from now on; for tests. */
void chi_lb_measure_speed_by(struct chi_lb *lb,
                             const struct chi_speed_source *source);

/* So many PEs, this one included, share so many processors (S4). */
void chi_lb_crowd(struct chi_lb *lb, uint32_t processors, uint32_t pes);

/* A strategy was chosen. */
bool chi_lb_is_on(const struct chi_lb *lb);

#endif /* CHI_LB_LB_H */
