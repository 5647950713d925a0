/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * behind.c - chares that have missed broadcasts; see behind.h.
 */
#include "config.h"

#include "obj/behind.h"

#include <stdlib.h>

#include "base/check.h"
#include "obj/obj_private.h"

/* A broadcast that a chare has yet to have. */
struct turn {
    struct turn *next;
    uint64_t number;
    struct chi_msg *msg; /* NULL: it has not come */
    bool own;
};

struct behind {
    struct chi_element *element;
    struct turn *first; /* by number; some have not come */
};

static struct behind *
behind_find(const struct chi_behinds *behinds,
            const struct chi_element *element)
{
    return chi_map_get(&behinds->chares, (uintptr_t)element);
}

/* Put a turn in its place; the same number again: that one. */
static struct turn *
turn_at(struct behind *behind, uint64_t number)
{
    struct turn **link = &behind->first;
    struct turn *turn;

    while (*link != NULL && (*link)->number < number) {
        link = &(*link)->next;
    }
    if (*link != NULL && (*link)->number == number) {
        return *link;
    }
    turn = calloc(1, sizeof(*turn));
    if (turn != NULL) {
        turn->number = number;
        turn->next = *link;
        *link = turn;
    }
    return turn;
}

chare_status
chi_behind_owe(struct chi_behinds *behinds, struct chi_element *element,
               uint64_t number)
{
    struct behind *behind = behind_find(behinds, element);

    if (behind == NULL) {
        behind = calloc(1, sizeof(*behind));
        if (behind == NULL || chi_map_put(&behinds->chares, (uintptr_t)element,
                                          behind) != CHARE_OK) {
            free(behind);
            return CHARE_ERR_NO_MEMORY;
        }
        behind->element = element;
        element->behind = true;
    }
    return turn_at(behind, number) != NULL ? CHARE_OK : CHARE_ERR_NO_MEMORY;
}

static chare_status
hold(struct behind *behind, uint64_t number, struct chi_msg *msg, bool own)
{
    struct turn *turn = turn_at(behind, number);

    if (turn == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (turn->msg == NULL) { /* else the net has made two of it */
        turn->msg = chi_msg_ref(msg);
        turn->own = own;
    }
    return CHARE_OK;
}

chare_status
chi_behind_hold(struct chi_behinds *behinds, struct chi_element *element,
                uint64_t number, struct chi_msg *msg, bool own)
{
    struct behind *behind = behind_find(behinds, element);

    chi_assert(behind != NULL);
    return hold(behind, number, msg, own);
}

chare_status
chi_behind_mark(struct chi_behinds *behinds, uint64_t number,
                struct chi_msg *msg, uint64_t *count_out)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    *count_out = 0;
    while (chi_map_next(&behinds->chares, &cursor, &key, &value)) {
        struct behind *behind = value;

        if (behind->element->skips || behind->first->number > number) {
            continue;
        }
        if (hold(behind, number, msg, true) != CHARE_OK) {
            return CHARE_ERR_NO_MEMORY;
        }
        behind->element->skips = true;
        ++*count_out;
    }
    return CHARE_OK;
}

static void
behind_end(struct chi_behinds *behinds, struct behind *behind)
{
    behind->element->behind = false;
    (void)chi_map_remove(&behinds->chares, (uintptr_t)behind->element);
    free(behind);
}

static struct chi_msg *
turn_take(struct behind *behind, bool *own_out)
{
    struct turn *turn = behind->first;
    struct chi_msg *msg = turn->msg;

    *own_out = turn->own;
    behind->first = turn->next;
    free(turn);
    return msg;
}

struct chi_msg *
chi_behind_next(struct chi_behinds *behinds, struct chi_element *element,
                bool *own_out)
{
    struct behind *behind = behind_find(behinds, element);
    struct chi_msg *msg;

    if (behind == NULL || behind->first->msg == NULL) {
        return NULL;
    }
    msg = turn_take(behind, own_out);
    if (behind->first == NULL) {
        behind_end(behinds, behind);
    }
    return msg;
}

void
chi_behinds_init(struct chi_behinds *behinds)
{
    chi_map_init(&behinds->chares);
}

void
chi_behinds_fini(struct chi_behinds *behinds)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;
    bool own;

    while (chi_map_next(&behinds->chares, &cursor, &key, &value)) {
        struct behind *behind = value;

        while (behind->first != NULL) {
            struct chi_msg *msg = turn_take(behind, &own);

            if (msg != NULL) {
                chi_msg_release(msg);
            }
        }
        free(behind);
    }
    chi_map_fini(&behinds->chares);
}
