/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_IDENTITY_H
#define CHI_TOPO_IDENTITY_H

/*
 * identity.h - names of nodes and switches, as numbers to compare.
 */

#include "topo/layout.h"

/*
 * Equal in two processes that can share memory and see each other's pids, and
 * different in others: from 'host', the kernel's boot id, the file system at
 * /dev/shm, the network namespace and the pid namespace.
 */
uint64_t chi_identity_node(const char *host);

/*
 * The switches of a path such as "spine.leaf3", outermost first. An empty part
 * stands for a level without a switch and becomes 0. Past the last level that
 * a place can hold, the rest of the path counts as one switch.
 */
void chi_identity_switches(const char *path, struct chi_place *place_inout);

/*
 * The same from what Slurm's topology plugin says: 'address' such as
 * "spine.s[0-1].n3", 'pattern' such as "switch.switch.node". Parts that the
 * pattern calls "node" are no switches; a NULL or empty pattern means that the
 * last part is the node. A NULL or empty address: no switches.
 */
void chi_identity_slurm(const char *address, const char *pattern,
                        struct chi_place *place_inout);

#endif /* CHI_TOPO_IDENTITY_H */
