/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_EDGES_H
#define CHI_LB_EDGES_H

/*
 * edges.h - who talks to whom: from what PEs have counted, by names, to the
 * edges of a problem, by numbers.
 */

#include "lb/problem.h"
#include "obj/comm.h"

/* The name of an object. */
struct chi_lb_name {
    struct chi_comm_name name;
    uint32_t object;
};

/* Of two objects, a before b. */
struct chi_lb_pair {
    uint32_t a;
    uint32_t b;
    float bytes;
    float messages;
};

struct chi_lb_edges {
    struct chi_lb_name *names;
    size_t name_count;
    size_t name_room;
    struct chi_comm_edge *counted;
    size_t counted_count;
    size_t counted_room;

    /* As in struct chi_lb_problem; after chi_lb_edges_finish(). */
    size_t *first;
    uint32_t *to;
    float *bytes;
    float *messages;
};

void chi_lb_edges_init(struct chi_lb_edges *edges);
void chi_lb_edges_fini(struct chi_lb_edges *edges);

/* Errors of all: CHARE_ERR_NO_MEMORY. */
CHARE_MUST_CHECK chare_status
chi_lb_edges_name(struct chi_lb_edges *edges, const struct chi_comm_name *name,
                  uint32_t object);
CHARE_MUST_CHECK chare_status
chi_lb_edges_add(struct chi_lb_edges *edges, const struct chi_comm_edge *edge);

/* What several PEs say of a pair, and what each of the two says, is one edge.
 * Names that are no object's are dropped: they are not balanced now. */
CHARE_MUST_CHECK chare_status chi_lb_edges_finish(struct chi_lb_edges *edges,
                                                  size_t object_count);

#endif /* CHI_LB_EDGES_H */
