/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_SHM_H
#define CHI_NET_SHM_H

/*
 * shm.h - the provider for processes that share a node: rings in memory.
 */

#include "net/net.h"

extern const struct chi_net_ops chi_net_shm_ops;

#endif /* CHI_NET_SHM_H */
