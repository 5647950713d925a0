/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suggest.c - moves that the balancer wants, and not the user.
 *
 * A user's wish goes before: it replaces the balancer's, and is never
 * withdrawn.
 */
#include "config.h"

#include "obj/migrate.h"

/* The wish that a chare, or the one that it follows, moves; or NULL. */
static struct chi_move *
wish_find(struct chi_obj *obj, struct chi_element *element)
{
    struct chi_move *move =
        element == NULL ? NULL
                        : chi_move_find(obj, chi_move_anchor(obj, element));

    return move == NULL && element != NULL ? chi_move_find(obj, element)
                                           : move;
}

chare_status
chi_obj_suggest(struct chi_obj *obj, const chare_element *self, uint32_t to)
{
    struct chi_element *element = chi_element_here(obj, self);

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    /* One that follows another one goes where that goes. */
    if (chi_move_anchor(obj, element) != element ||
        wish_find(obj, element) != NULL) {
        return CHARE_ERR_STATE;
    }
    chi_move_start(obj, element, to, false, true);
    return CHARE_OK;
}

enum chi_wish
chi_obj_wish(struct chi_obj *obj, const chare_element *self)
{
    const struct chi_move *move = wish_find(obj, chi_element_here(obj, self));

    if (move == NULL) {
        return CHI_WISH_NONE;
    }
    if (!move->suggested) {
        return CHI_WISH_USER;
    }
    return move->asked ? CHI_WISH_GRANTED : CHI_WISH_WAITS;
}

void
chi_obj_withdraw(struct chi_obj *obj, const chare_element *self)
{
    struct chi_move *move = wish_find(obj, chi_element_here(obj, self));

    if (move == NULL || !move->suggested) {
        return;
    }
    if (move->asked) {
        move->to = obj->pe->rank; /* it stays when the homes have answered */
        move->suggested = false;
        obj->suggestions--;
    } else {
        chi_move_end(obj, move);
    }
}

uint64_t
chi_obj_suggestions(const struct chi_obj *obj)
{
    return obj->suggestions;
}

void
chi_obj_time_moves(struct chi_obj *obj)
{
    obj->times_moves = !obj->pe->simulated;
    obj->move_ticks = 0;
    obj->move_count = 0;
}

void
chi_obj_timed_moves(struct chi_obj *obj, uint64_t *count_out,
                    uint64_t *ticks_out)
{
    obj->times_moves = false;
    *count_out = obj->move_count;
    *ticks_out = obj->move_ticks;
}
