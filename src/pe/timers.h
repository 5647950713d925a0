/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PE_TIMERS_H
#define CHI_PE_TIMERS_H

/*
 * timers.h - what is to happen on this PE at a certain time; any number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/map.h"

#define CHI_TIMERS_NONE UINT64_MAX

struct chi_timer;

struct chi_timers {
    struct chi_timer **heap; /* by due time, then id */
    size_t count;
    size_t room;
    uint64_t id_last;
    struct chi_map by_id;
    chare_runtime *runtime; /* for what is called */
};

void chi_timers_init(struct chi_timers *timers);
void chi_timers_fini(struct chi_timers *timers);

/* Errors: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_timers_add(struct chi_timers *timers,
                                             uint64_t due_ns,
                                             chare_function_fn fn,
                                             void *context, uint64_t *id_out);

/* True when it had not fired; it never will. */
bool chi_timers_remove(struct chi_timers *timers, uint64_t id);

/* When the next is due; CHI_TIMERS_NONE: there is none. */
uint64_t chi_timers_next_ns(const struct chi_timers *timers);

/* Call those that are due; returns how many. */
uint32_t chi_timers_fire(struct chi_timers *timers, uint64_t now_ns);

#endif /* CHI_PE_TIMERS_H */
