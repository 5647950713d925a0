/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pieces.c - a dump of a session that decides without a central step.
 *
 * Each PE sends what it has up the tree, as it would to PE 0 for deciding, and
 * decides with the others meanwhile. PE 0 writes the dump when all pieces are
 * there; no PE is done before its piece has left, so the session is not over
 * before.
 */
#include "config.h"

#include <string.h>

#include "base/check.h"
#include "lb/lb_private.h"

/* This PE's piece is there, and those of its subtree may be. */
static void
look(struct chi_lb *lb)
{
    struct chi_msg *msg;

    if (!lb->dumps || lb->pieces_missing > 0) {
        return;
    }
    lb->dumps = false;
    if (lb->pe->rank == 0) {
        chi_lb_root_dump(lb);
    } else {
        msg = chi_lb_message(lb, CHI_LB_PIECE, lb->stats_len);
        memcpy(msg->bytes, lb->stats, lb->stats_len);
        chi_pe_send(lb->pe, chi_lb_parent(lb), msg);
    }
    lb->stats_len = 0;
    chi_lb_moves_look(lb);
}

void
chi_lb_pieces_start(struct chi_lb *lb, bool dumps)
{
    lb->dumps = dumps;
    lb->pieces_missing = chi_coll_edges(lb->coll, 0)->child_count + 1;
}

void
chi_lb_pieces_put(struct chi_lb *lb, struct chi_lb_pe *pe)
{
    if (lb->dumps) {
        chi_lb_stats_put(lb, pe);
        lb->pieces_missing--;
        look(lb);
    }
}

void
chi_lb_piece_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    chi_assert(lb->dumps && lb->pieces_missing > 0);
    chi_lb_put_stats(lb, msg->bytes, msg->env.len);
    lb->pieces_missing--;
    look(lb);
}
