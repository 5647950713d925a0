/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_BALANCE_H
#define BENCH_BALANCE_H

/*
 * balance.h - a peer's decision: the plain way in C++ to place the largest
 * objects first. balance.c has the loads and the clock.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The PE of each object, into 'to'. */
void peer_greedy(const float *work, size_t objects, uint32_t pes,
                 uint32_t *to);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_BALANCE_H */
