/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_CORES_H
#define CHI_PMIX_CORES_H

/*
 * cores.h - the cores that this process may use, for 'chare run --bind core'.
 */

#include <sched.h>
#include <stdint.h>

struct chi_cores {
    uint32_t count;
    cpu_set_t *sets; /* of the hardware threads of each core */
};

/* Empty when the system does not say. */
void chi_cores_init(struct chi_cores *cores);
void chi_cores_fini(struct chi_cores *cores);

#endif /* CHI_PMIX_CORES_H */
