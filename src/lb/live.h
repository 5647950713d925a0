/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_LIVE_H
#define CHI_LB_LIVE_H

/*
 * live.h - a session in which the PEs decide among themselves: the protocol of
 * gossip.h by real messages.
 *
 * No PE hears of more than its own chares, what it borrows, and sums.
 */

#include "lb/lb_private.h"

/* How the session that PE 0 is about to call decides. */
enum chi_lb_spread chi_lb_live_spread(const struct chi_lb *lb);

/* This PE's chares are in lb->plans and lb->records. */
void chi_lb_live_start(struct chi_lb *lb, const struct chi_lb_pe *pe);

/* A message of the protocol, of this session or the next. */
void chi_lb_live_came(struct chi_lb *lb, const struct chi_msg *msg);

/* What children say when they are done, and this PE to its parent. */
void chi_lb_live_child_done(struct chi_lb *lb, const struct chi_msg *msg);
struct chi_msg *chi_lb_live_done(struct chi_lb *lb);

/* On PE 0, all are done. */
void chi_lb_live_report(struct chi_lb *lb);

void chi_lb_live_fini(struct chi_lb *lb);

#endif /* CHI_LB_LIVE_H */
