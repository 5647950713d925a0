/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_PORT_H
#define CHI_LB_PORT_H

/*
 * port.h - what a distributed strategy is given of its PE: a way to send, a
 * place in a tree, its objects. The same code runs live and in simulation.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An object, as it is dealt with; its owner knows what it is. On the wire. */
struct chi_lb_item {
    float work;
    uint32_t owner;
    uint32_t id; /* the owner's number for it */
};

/* Ways to decide without a central step. */
enum chi_lb_spread {
    CHI_LB_CENTRAL, /* on one PE, after all */
    CHI_LB_GOSSIP,
    CHI_LB_HIERARCHICAL,
    CHI_LB_DIFFUSION,
};

struct chi_lb_port {
    uint32_t rank;
    uint32_t size;
    uint32_t parent; /* in a tree over all PEs; the root's is itself */
    uint32_t child_count;
    const uint32_t *children; /* the farthest first, if that is known */
    float speed;
    float background; /* seconds */
    bool measured;    /* of its objects, some were measured */
    bool may_count;   /* it has none: its background counts if others' objects
                         were measured, for only then is it comparable */
    uint64_t seed;    /* the same on all PEs, another one each time */
    uint64_t objects; /* of this PE, those that cannot move included */
    enum chi_lb_spread spread;

    /* The bytes are the caller's. They arrive once, in any order. */
    void (*send)(void *context, uint32_t to, const void *bytes, size_t len);
    void *context;
};

#endif /* CHI_LB_PORT_H */
