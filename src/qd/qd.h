/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_QD_QD_H
#define CHI_QD_QD_H

/*
 * qd.h - quiescence: no message is executing, queued or under way anywhere.
 */

#include "cb/callback.h"
#include "coll/coll.h"

struct chi_qd;

CHARE_MUST_CHECK chare_status chi_qd_create(struct chi_pe *pe,
                                            struct chi_cb *cb,
                                            struct chi_coll *coll,
                                            struct chi_qd **out);
void chi_qd_destroy(struct chi_qd *qd);

/* As chare_quiescence(). */
CHARE_MUST_CHECK chare_status chi_qd_ask(struct chi_qd *qd,
                                         const chare_callback *callback);

/* How many of the PE's timers are of this room. */
uint32_t chi_qd_timers(const struct chi_qd *qd);

/* Waves that PE 0 has started; for tests. */
uint64_t chi_qd_waves(const struct chi_qd *qd);

#endif /* CHI_QD_QD_H */
