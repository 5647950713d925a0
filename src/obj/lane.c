/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lane.c - where calls to chares on other PEs go, remembered.
 *
 * Which PE a call is sent to depends on the index and the array's map, which
 * never change, and on what is known of where the chare is, which seldom does:
 * whenever that changes, all that is remembered is forgotten. What would have
 * to wait, or be looked at here, has no lane.
 */
#include "config.h"

#include <stdlib.h>

#include "obj/obj_private.h"

/* Where a call goes, and its flags; false: not simply to another PE. */
static bool
lane_find(struct chi_obj *obj, const struct chi_collection *collection,
          const chare_element *target, uint32_t *pe_out, uint8_t *flags_out)
{
    const uint32_t home = chi_collection_home(obj, collection, &target->index);

    *pe_out = home;
    *flags_out = 0;
    if (collection->kind == CHI_KIND_ARRAY) {
        *flags_out = collection->spec.dense ? CHI_ENV_MOVABLE : CHI_ENV_ROUTED;
        if (chi_loc_knows(obj->loc, target)) {
            return chi_loc_where(obj->loc, target, pe_out);
        }
    }
    return home != obj->pe->rank;
}

/* Where calls to this chare go; NULL: no lane, or the longer way does as well
 * when there is no memory. */
static struct chi_lane *
lane_of(struct chi_obj *obj, const struct chi_msg *msg)
{
    if (obj->lanes == NULL) {
        obj->lanes = calloc(CHI_LANES, sizeof(*obj->lanes));
    }
    return obj->lanes == NULL
               ? NULL
               : chi_lane_at(obj->lanes, msg->env.collection, msg->env.key);
}

bool
chi_lane_make(struct chi_obj *obj, const struct chi_collection *collection,
              const chare_element *target, struct chi_msg *msg)
{
    struct chi_lane *lane;
    uint32_t pe;
    uint8_t flags;

    if ((msg->env.flags & CHI_ENV_WIDE) != 0) {
        return false;
    }
    lane = lane_of(obj, msg);
    if (lane == NULL) {
        return false;
    }
    if (!chi_lane_holds(obj, lane, msg)) {
        if (!lane_find(obj, collection, target, &pe, &flags)) {
            return false;
        }
        *lane = (struct chi_lane){
            .collection = msg->env.collection,
            .key = msg->env.key,
            .epoch = obj->lane_epoch,
            .pe = pe,
            .flags = flags,
        };
    }
    msg->env.flags |= lane->flags;
    chi_pe_forward(obj->pe, lane->pe, msg);
    return true;
}
