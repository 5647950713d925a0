/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_CROWD_H
#define CHI_TOPO_CROWD_H

/*
 * crowd.h - PEs of a node that have fewer processors than they are.
 *
 * Give as many PEs as possible a processor each, of those that they may use. A
 * PE is *crowded* if it can be one of those that go without: it has to share,
 * whatever the kernel does. Crowded PEs that may use a processor in common, or
 * are connected by others that do, are one *group*, which shares all the
 * processors that its PEs may use:
 *
 *     may use                      groups
 *     {0} {0}                      both, 1 processor
 *     {0} {0,1} {1}                all three, 2 processors
 *     {0} {0} {0,1,2}              the first two; the third has one to itself
 *     {0,1} {1,2}                  none
 *
 * A PE of which nobody knows what it may use is never crowded.
 */

#include <stdint.h>

#include <chare.h>

#include "base/bytes.h"

enum {
    CHI_CPUS_MAX = 4096, /* numbers of processors are below it */
    CHI_CPUS_WORDS = CHI_CPUS_MAX / 64,
    CHI_CPUS_BYTES_MAX = CHI_CPUS_MAX / 8 + 4, /* encoded */
};

/* Processors, by the system's numbers; none: unknown. */
struct chi_cpus {
    uint64_t words[CHI_CPUS_WORDS];
};

static inline void
chi_cpus_add(struct chi_cpus *cpus, uint32_t cpu)
{
    cpus->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

uint32_t chi_cpus_count(const struct chi_cpus *cpus);

/* As many bytes as from the first processor to the last, and 4. */
void chi_cpus_encode(const struct chi_cpus *cpus, struct chi_writer *writer);
CHARE_MUST_CHECK chare_status chi_cpus_decode(struct chi_reader *reader,
                                              struct chi_cpus *cpus_out);

struct chi_crowd {
    uint32_t pes;        /* of the group; 1: not crowded */
    uint32_t processors; /* that it has; of one that is not crowded: 1 */
};

/*
 * The group of number 'pe' of the PEs of a node. Errors:
 * CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_crowd_find(const struct chi_cpus *cpus,
                                             uint32_t pe_count, uint32_t pe,
                                             struct chi_crowd *crowd_out);

#endif /* CHI_TOPO_CROWD_H */
