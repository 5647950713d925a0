/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_TOMBS_H
#define CHI_OBJ_TOMBS_H

/*
 * tombs.h - a set of collections that are no more, by name.
 *
 * Names of one creator are counted from 1, by one counter for all kinds, so
 * one bit says it; and of names that are all in the set from 1 on, only their
 * number is kept.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

#include "base/map.h"

struct chi_tombs {
    struct chi_map words; /* creator, counter / 64 -> a bit for each */
    struct chi_map marks; /* creator + 1 -> words below which all are in */
};

void chi_tombs_init(struct chi_tombs *tombs);
void chi_tombs_fini(struct chi_tombs *tombs);

/* Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_tombs_add(struct chi_tombs *tombs,
                                            chare_collection id);
bool chi_tombs_has(const struct chi_tombs *tombs, chare_collection id);

#endif /* CHI_OBJ_TOMBS_H */
