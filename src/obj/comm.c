/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * comm.c - who talks to whom: the table.
 */
#include "config.h"

#include "obj/comm.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    ROOM_FIRST = 256,
    ROOM_MAX = 2 * CHI_COMM_EDGES_MAX,
    SAMPLE = 255, /* pairs whose median is taken for that of all */
};

void
chi_comm_init(struct chi_comm *comm, uint64_t seed)
{
    *comm = (struct chi_comm){.left = 1};
    chi_prng_init(&comm->prng, seed);
}

void
chi_comm_fini(struct chi_comm *comm)
{
    free(comm->slots);
    free(comm->spare);
    comm->slots = NULL;
    comm->spare = NULL;
    comm->room = 0;
    comm->count = 0;
}

void
chi_comm_set_every(struct chi_comm *comm, uint32_t every)
{
    chi_assert(every <= CHI_COMM_EVERY_MAX);
    comm->every = every;
    comm->left = 1;
    if (every > 1) {
        chi_comm_draw(comm);
    }
}

void
chi_comm_draw(struct chi_comm *comm)
{
    comm->left =
        comm->every <= 1
            ? 1
            : 1 + (uint32_t)chi_prng_below(&comm->prng, 2 * comm->every - 1);
}

static size_t
home_of(const struct chi_comm *comm, const struct chi_comm_edge *edge)
{
    const uint64_t from =
        edge->from.collection + edge->from.key * 0x9e3779b97f4a7c15u;
    const uint64_t to =
        edge->to.collection + edge->to.key * 0xbf58476d1ce4e5b9u;

    return (size_t)(((from ^ (to >> 32 | to << 32)) * 0x94d049bb133111ebu) >>
                    comm->shift);
}

static bool
same_name(const struct chi_comm_name *a, const struct chi_comm_name *b)
{
    return a->key == b->key && a->collection == b->collection;
}

/* The slot of a pair, or the free one where it belongs. */
static struct chi_comm_edge *
slot_of(const struct chi_comm *comm, const struct chi_comm_edge *edge)
{
    size_t at = home_of(comm, edge);

    while (comm->slots[at].messages != 0 &&
           !(same_name(&comm->slots[at].to, &edge->to) &&
             same_name(&comm->slots[at].from, &edge->from))) {
        at = (at + 1) & (comm->room - 1);
    }
    return &comm->slots[at];
}

/* All pairs of 'from' that have more than 'cut' bytes, less those, into the
 * empty table. */
static void
refill(struct chi_comm *comm, const struct chi_comm_edge *from, size_t room,
       uint64_t cut)
{
    comm->count = 0;
    for (size_t i = 0; i < room; i++) {
        struct chi_comm_edge edge = from[i];

        if (edge.messages == 0 || edge.bytes <= cut) {
            comm->lost_bytes += edge.messages == 0 ? 0 : edge.bytes;
            continue;
        }
        comm->lost_bytes += cut;
        edge.messages -= (uint64_t)((double)edge.messages * (double)cut /
                                    (double)edge.bytes);
        edge.messages += edge.messages == 0;
        edge.bytes -= cut;
        *slot_of(comm, &edge) = edge;
        comm->count++;
    }
}

/* False: no memory. */
static bool
grow(struct chi_comm *comm)
{
    const size_t room = comm->room == 0 ? ROOM_FIRST : 2 * comm->room;
    struct chi_comm_edge *slots = calloc(room, sizeof(*slots));
    struct chi_comm_edge *spare = NULL;
    struct chi_comm_edge *old = comm->slots;
    const size_t old_room = comm->room;

    if (slots != NULL && room == ROOM_MAX) {
        spare = malloc(room * sizeof(*spare));
    }
    if (slots == NULL || (room == ROOM_MAX && spare == NULL)) {
        free(slots);
        return false;
    }
    comm->slots = slots;
    comm->spare = spare;
    comm->room = room;
    comm->shift = 64 - (unsigned)__builtin_ctzll(room);
    refill(comm, old, old_room, 0);
    free(old);
    return true;
}

static int
by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The table is full: take the median from all pairs. */
static void
take_median(struct chi_comm *comm)
{
    struct chi_comm_edge *old = comm->slots;
    uint64_t bytes[SAMPLE];

    for (size_t i = 0; i < SAMPLE; i++) {
        size_t at = (size_t)chi_prng_below(&comm->prng, comm->room);

        while (old[at].messages == 0) {
            at = (at + 1) & (comm->room - 1);
        }
        bytes[i] = old[at].bytes;
    }
    qsort(bytes, SAMPLE, sizeof(bytes[0]), by_size);
    comm->slots = comm->spare;
    comm->spare = old;
    memset(comm->slots, 0, comm->room * sizeof(*comm->slots));
    refill(comm, old, comm->room, bytes[SAMPLE / 2]);
}

void
chi_comm_add(struct chi_comm *comm, const struct chi_comm_edge *edge)
{
    struct chi_comm_edge *slot;

    chi_assert(edge->messages > 0);
    if (comm->room == 0 && !grow(comm)) {
        return;
    }
    slot = slot_of(comm, edge);
    if (slot->messages != 0) {
        slot->messages += edge->messages;
        slot->bytes += edge->bytes;
        return;
    }
    if (2 * comm->count >= comm->room) {
        if (comm->room < ROOM_MAX) {
            if (!grow(comm)) {
                return;
            }
        } else {
            take_median(comm);
        }
        slot = slot_of(comm, edge);
    }
    *slot = *edge;
    comm->count++;
}

void
chi_comm_clear(struct chi_comm *comm)
{
    if (comm->room > 0) {
        memset(comm->slots, 0, comm->room * sizeof(*comm->slots));
    }
    comm->count = 0;
    comm->lost_bytes = 0;
}
