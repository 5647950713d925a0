/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_LAYOUT_H
#define CHI_TOPO_LAYOUT_H

/*
 * layout.h - where every PE is: switch, node, package, NUMA node, cache, core.
 *
 * Each process describes its own place; the wire-up carries the places to all,
 * and a layout is the sum of them. Nodes are numbered by the lowest PE on
 * them. A layout never changes once built. It takes 8 bytes for each PE, some
 * 50 and its name for each node, and 20 for each PE of one node of each shape
 * (nodes whose PEs sit on the same cores have the same shape).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/bytes.h"

enum {
    CHI_PLACE_SWITCH_LEVELS_MAX = 6,
    CHI_PLACE_NODE_NAME_MAX = 64, /* with NUL; longer names are cut */
    CHI_PLACE_BYTES_MAX = 160,    /* encoded */
    CHI_PLACE_UNKNOWN = 0xffffu,
};

/* One process's place. Same node <=> equal node_id. */
struct chi_place {
    uint64_t node_id; /* hash of all that two processes must share to share
                         memory: host name, boot id, /dev/shm's device and
                         inode, network and pid namespace */
    uint64_t switches[CHI_PLACE_SWITCH_LEVELS_MAX]; /* hashes of switch names,
                         outermost first */
    uint16_t switch_levels;
    uint16_t package; /* logical indices on the node, or UNKNOWN */
    uint16_t numa;
    uint16_t cache; /* last level */
    uint16_t core;  /* the core bound to; UNKNOWN: not bound to one */
    char node_name[CHI_PLACE_NODE_NAME_MAX];
};

void chi_place_encode(const struct chi_place *place,
                      struct chi_writer *writer);
CHARE_MUST_CHECK chare_status chi_place_decode(struct chi_reader *reader,
                                               struct chi_place *place_out);

struct chi_layout;

/*
 * Build from the places of all PEs, in the order of their ranks. Switches and
 * name of a node are those that its lowest PE gives. The places are copied.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_layout_create(const struct chi_place *places,
                                                uint32_t pe_count,
                                                struct chi_layout **out);

/* Accepts NULL. */
void chi_layout_destroy(struct chi_layout *layout);

uint32_t chi_layout_pe_count(const struct chi_layout *layout);
uint32_t chi_layout_node_count(const struct chi_layout *layout);
uint32_t chi_layout_node_of(const struct chi_layout *layout, uint32_t pe);
uint32_t chi_layout_node_pe_count(const struct chi_layout *layout,
                                  uint32_t node);

/* The PEs of a node, in ascending order. */
uint32_t chi_layout_node_pe(const struct chi_layout *layout, uint32_t node,
                            uint32_t index);

/* The PE's index among the PEs of its node. */
uint32_t chi_layout_index_on_node(const struct chi_layout *layout,
                                  uint32_t pe);
const char *chi_layout_node_name(const struct chi_layout *layout,
                                 uint32_t node);

/* The place of a PE, put together again. */
void chi_layout_place(const struct chi_layout *layout, uint32_t pe,
                      struct chi_place *place_out);

/* What the layout occupies, in bytes. */
size_t chi_layout_bytes(const struct chi_layout *layout);

#endif /* CHI_TOPO_LAYOUT_H */
