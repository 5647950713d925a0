/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TEST_TOPO_SYNTH_H
#define CHI_TEST_TOPO_SYNTH_H

/*
 * synth.h - places of invented machines.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "topo/layout.h"

enum synth_order {
    SYNTH_BLOCK,  /* the PEs of a node are neighbours */
    SYNTH_CYCLIC, /* neighbours are on different nodes */
    SYNTH_RANDOM,
};

enum synth_spots {
    SYNTH_UNBOUND,
    SYNTH_COMPACT, /* the first PE on the first core, and so on */
    SYNTH_SPREAD,  /* round robin over packages */
    SYNTH_SCATTER, /* any core, also the same one twice */
};

struct synth {
    uint64_t seed;
    uint32_t node_count;
    uint32_t node_pes; /* on average, where nodes differ */
    bool unequal;      /* 1 to 2 * node_pes - 1 PEs on a node */
    bool odd_switches; /* chance decides under which switch a node is */
    uint16_t levels;   /* of switches */
    uint32_t width;    /* parts of a switch */
    enum synth_order order;
    enum synth_spots spots;
    uint16_t packages; /* of a node */
    uint16_t numas;    /* of a package */
    uint16_t caches;   /* of a NUMA node */
    uint16_t cores;    /* of a cache */
};

/* A million PEs on regular nodes, below three levels of switches. */
static inline struct synth
synth_million(void)
{
    return (struct synth){
        .seed = 1,
        .node_count = 7813,
        .node_pes = 128,
        .levels = 3,
        .width = 18,
        .order = SYNTH_BLOCK,
        .spots = SYNTH_COMPACT,
        .packages = 2,
        .numas = 4,
        .caches = 2,
        .cores = 8,
    };
}

/* The node that each PE is on, as drawn; *pe_count_out of them. */
static inline uint32_t *
synth_nodes(const struct synth *synth, struct chi_prng *prng,
            uint32_t *pe_count_out)
{
    uint32_t *sizes = malloc(synth->node_count * sizeof(*sizes));
    uint32_t *nodes;
    uint32_t count = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < synth->node_count; i++) {
        sizes[i] =
            synth->unequal
                ? 1 + (uint32_t)chi_prng_below(prng, 2 * synth->node_pes - 1)
                : synth->node_pes;
        count += sizes[i];
    }
    nodes = malloc(count * sizeof(*nodes));
    for (uint32_t round = 0; synth->order == SYNTH_CYCLIC && at < count;
         round++) {
        for (uint32_t i = 0; i < synth->node_count; i++) {
            if (round < sizes[i]) {
                nodes[at++] = i;
            }
        }
    }
    for (uint32_t i = 0; i < synth->node_count && at < count; i++) {
        for (uint32_t j = 0; j < sizes[i]; j++) {
            nodes[at++] = i;
        }
    }
    for (uint32_t i = count; synth->order == SYNTH_RANDOM && i > 1; i--) {
        const uint32_t j = (uint32_t)chi_prng_below(prng, i);
        const uint32_t other = nodes[j];

        nodes[j] = nodes[i - 1];
        nodes[i - 1] = other;
    }
    free(sizes);
    *pe_count_out = count;
    return nodes;
}

static inline void
synth_spot(const struct synth *synth, struct chi_prng *prng, uint32_t slot,
           struct chi_place *place)
{
    const uint32_t in_package = synth->numas * synth->caches * synth->cores;
    const uint32_t cores = synth->packages * in_package;
    uint32_t core = slot % (cores > 0 ? cores : 1);

    if (synth->spots == SYNTH_UNBOUND) {
        place->package = CHI_PLACE_UNKNOWN;
        place->numa = CHI_PLACE_UNKNOWN;
        place->cache = CHI_PLACE_UNKNOWN;
        place->core = CHI_PLACE_UNKNOWN;
        return;
    }
    if (synth->spots == SYNTH_SPREAD) {
        core = core % synth->packages * in_package + core / synth->packages;
    } else if (synth->spots == SYNTH_SCATTER) {
        core = (uint32_t)chi_prng_below(prng, cores);
    }
    place->core = (uint16_t)core;
    place->cache = (uint16_t)(core / synth->cores);
    place->numa = (uint16_t)(place->cache / synth->caches);
    place->package = (uint16_t)(place->numa / synth->numas);
}

/* Names of switches repeat below different switches, as they may. */
static inline void
synth_switches(const struct synth *synth, uint32_t node,
               struct chi_place *place)
{
    uint64_t chance = chi_mix64(synth->seed ^ chi_mix64(node));

    place->switch_levels = synth->levels;
    for (uint32_t i = synth->levels; i-- > 0;) {
        if (synth->odd_switches) {
            place->switches[i] = 1 + chance % synth->width;
            chance = chi_mix64(chance);
        } else {
            node /= synth->width;
            place->switches[i] = chi_mix64(node + 1);
        }
    }
    if (synth->odd_switches && synth->levels > 0 && chance % 4 == 0) {
        place->switch_levels--; /* a node nearer to the top */
        place->switches[place->switch_levels] = 0;
    }
}

/* The places of all PEs; the caller frees them. */
static inline struct chi_place *
synth_places(const struct synth *synth, uint32_t *pe_count_out)
{
    struct chi_prng prng;
    uint32_t *nodes;
    uint32_t *used = calloc(synth->node_count, sizeof(*used));
    struct chi_place *places;

    chi_prng_init(&prng, synth->seed);
    nodes = synth_nodes(synth, &prng, pe_count_out);
    places = calloc(*pe_count_out, sizeof(*places));
    for (uint32_t pe = 0; pe < *pe_count_out; pe++) {
        struct chi_place *place = &places[pe];

        place->node_id = chi_mix64(synth->seed + nodes[pe]);
        snprintf(place->node_name, sizeof(place->node_name), "n%u",
                 (unsigned)nodes[pe]);
        synth_switches(synth, nodes[pe], place);
        synth_spot(synth, &prng, used[nodes[pe]]++, place);
    }
    free(nodes);
    free(used);
    return places;
}

/* Anything at all, from one seed. */
static inline struct synth
synth_draw(uint64_t seed, uint32_t nodes_max)
{
    struct chi_prng prng;

    chi_prng_init(&prng, seed);
    return (struct synth){
        .seed = seed,
        .node_count = 1 + (uint32_t)chi_prng_below(&prng, nodes_max),
        .node_pes = 1 + (uint32_t)chi_prng_below(&prng, 12),
        .unequal = chi_prng_below(&prng, 2) == 1,
        .odd_switches = chi_prng_below(&prng, 2) == 1,
        .levels = (uint16_t)chi_prng_below(&prng, 7),
        .width = 1 + (uint32_t)chi_prng_below(&prng, 9),
        .order = (enum synth_order)chi_prng_below(&prng, 3),
        .spots = (enum synth_spots)chi_prng_below(&prng, 4),
        .packages = (uint16_t)(1 + chi_prng_below(&prng, 4)),
        .numas = (uint16_t)(1 + chi_prng_below(&prng, 4)),
        .caches = (uint16_t)(1 + chi_prng_below(&prng, 3)),
        .cores = (uint16_t)(1 + chi_prng_below(&prng, 4)),
    };
}

#endif /* CHI_TEST_TOPO_SYNTH_H */
