/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_MACHINE_H
#define CHI_TOPO_MACHINE_H

/*
 * machine.h - this node's hardware, through hwloc; pinning. Only topo includes
 * hwloc.
 */

#include "base/log.h"
#include "base/settings.h"
#include "topo/crowd.h"
#include "topo/layout.h"

struct chi_machine;

/* What was done about binding, for 'chare info' and the log. */
enum chi_bound_by {
    CHI_BOUND_NOT,         /* runs anywhere (and why: see text) */
    CHI_BOUND_BY_LAUNCHER, /* it came bound; left as it is */
    CHI_BOUND_BY_US,
};

struct chi_binding {
    enum chi_bound_by by;
    char cpus[128]; /* list format, such as "0-3,8"; cut if longer */
    char text[160]; /* one sentence for people */
};

/*
 * Look at this node. 'synthetic': an hwloc synthetic description instead of
 * the real machine (tests), or NULL; nothing is really pinned then. 'log' must
 * live as long as the machine. Errors: CHARE_ERR_SYSTEM, _NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_machine_open(const struct chi_log *log,
                                               const char *synthetic,
                                               struct chi_machine **out);

/* Accepts NULL. */
void chi_machine_close(struct chi_machine *machine);

/*
 * As if the affinity mask were this list, such as "0-3,8"; for synthetic
 * machines only. Returns whether the list names processors of the machine.
 */
bool chi_machine_restrict(struct chi_machine *machine, const char *cpus);

uint32_t chi_machine_core_count(const struct chi_machine *machine);

/* Processors this process might use when the machine was opened (its affinity
 * mask). */
uint32_t chi_machine_usable_cpu_count(const struct chi_machine *machine);

/* Processors it may use now, fewer than those after chi_machine_bind(); none
 * if there is one at or above CHI_CPUS_MAX. */
void chi_machine_bound_cpus(const struct chi_machine *machine,
                            struct chi_cpus *cpus_out);

/* A few lines of text on packages, NUMA nodes, caches and cores. */
void chi_machine_describe(const struct chi_machine *machine, char *out,
                          size_t room);

/*
 * Which core PE number 'local_index' of 'local_count' on this node gets, as a
 * logical index; compact within what the process may use: neighbours get
 * neighbouring cores, or share one when there are more PEs than cores. Pure.
 */
uint32_t chi_machine_core_for(const struct chi_machine *machine,
                              uint32_t local_index, uint32_t local_count);

/*
 * Pin the calling thread as the settings say (settings->bind): auto pins
 * unless the launcher has bound this process to fewer than all processors, or
 * local_count is more than the usable processors; with one PE, and where the
 * system refuses, auto does nothing; core pins in all cases; none never.
 * Errors: CHARE_ERR_INVALID - settings->bind is none of these; logged;
 *         CHARE_ERR_SYSTEM  - the system refuses, and core was asked; logged.
 */
CHARE_MUST_CHECK chare_status
chi_machine_bind(struct chi_machine *machine,
                 const struct chi_settings *settings, uint32_t local_index,
                 uint32_t local_count, struct chi_binding *binding_out);

/*
 * This process's place now: identity of the node, position of its binding, and
 * the switches above it (settings->switches, or SLURM_TOPOLOGY_ADDR with
 * SLURM_TOPOLOGY_ADDR_PATTERN in the environment).
 */
void chi_machine_place(const struct chi_machine *machine,
                       const struct chi_settings *settings, const char *host,
                       struct chi_place *place_out);

#endif /* CHI_TOPO_MACHINE_H */
