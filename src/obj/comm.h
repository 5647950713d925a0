/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_COMM_H
#define CHI_OBJ_COMM_H

/*
 * comm.h - who talks to whom: how often, and how much, in a bounded table.
 *
 * One call in 'every' is counted, for that many; which one is left to chance
 * (an interval is drawn from 1 to 2 every - 1), so that no rhythm of the
 * program's hides a pair. With 1 all are counted.
 *
 * The table holds CHI_COMM_EDGES_MAX pairs. When another one comes, the median
 * of their bytes is taken from all, and those that have no more are let go:
 * the algorithm of J. Misra and D. Gries, "Finding repeated elements", Science
 * of Computer Programming 2(2), 1982, with weights and in batches as in D.
 * Anderson et al., "A high-performance algorithm for identifying frequent
 * items in data streams", IMC 2017. So what is kept is never counted too high,
 * nor lower by more than the bytes of all calls over half the table's size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/check.h"
#include "base/prng.h"

enum {
    CHI_COMM_EDGES_MAX = 8192,
    CHI_COMM_EVERY_MAX = 1 << 20,
};

/* A chare, as its messages name it. */
struct chi_comm_name {
    uint64_t collection;
    uint64_t key; /* the packed index, or its hash */
};

/* What one chare has called on another; a wire format. */
struct chi_comm_edge {
    struct chi_comm_name from;
    struct chi_comm_name to;
    uint64_t messages; /* 0: a free slot */
    uint64_t bytes;    /* envelopes included */
};

static_assert(sizeof(struct chi_comm_edge) == 48, "a wire format");

struct chi_comm {
    struct chi_comm_edge *slots; /* open addressing, linear probing */
    struct chi_comm_edge *spare; /* as many; of a table of full size */
    size_t room;                 /* a power of two, or 0 */
    size_t count;
    unsigned shift;      /* 64 - log2(room) */
    uint32_t every;      /* 0: nothing is counted */
    uint32_t left;       /* calls until the next that is counted */
    uint64_t lost_bytes; /* that were taken from pairs since the last clear */
    struct chi_prng prng;
};

void chi_comm_init(struct chi_comm *comm, uint64_t seed);
void chi_comm_fini(struct chi_comm *comm);

/* Count one call in 'every', at most CHI_COMM_EVERY_MAX. */
void chi_comm_set_every(struct chi_comm *comm, uint32_t every);

/* Draw when the next call is counted. */
void chi_comm_draw(struct chi_comm *comm);

/* Whether this call is to be counted, as 'every' of them. */
static inline bool
chi_comm_due(struct chi_comm *comm)
{
    if (--comm->left > 0) {
        return false;
    }
    chi_comm_draw(comm);
    return true;
}

/* Without memory nothing is counted. */
void chi_comm_add(struct chi_comm *comm, const struct chi_comm_edge *edge);

/* Forget all pairs. */
void chi_comm_clear(struct chi_comm *comm);

#endif /* CHI_OBJ_COMM_H */
