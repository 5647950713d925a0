/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PE_PACK_H
#define CHI_PE_PACK_H

/*
 * pack.h - small calls to another PE that travel together; see pack.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

struct chi_msg;
struct chi_pe;

enum {
    CHI_PACKS_MAX = 512,      /* open at a time, for so many PEs */
    CHI_PACK_LOOKS_MAX = 16,  /* polls that a pack may stay open for */
    CHI_PACK_BYTES_MIN = 512, /* CHARE_AGGREGATE_BYTES below it counts as it */
    CHI_PACK_SHARE = 4,       /* calls above this part of a pack go alone */
};

/* What waits for one PE. */
struct chi_pack {
    struct chi_msg *msg; /* the only call, as it came, or a pack; or NULL */
    uint32_t to;
    uint32_t count;   /* calls in it */
    uint64_t bytes;   /* that they take in a pack */
    uint64_t look;    /* the number of the poll before it was opened */
    uint16_t earlier; /* of those that are open; itself: none */
    uint16_t later;
};

struct chi_packs {
    uint8_t *entries; /* 1: calls of this entry are packed; NULL: of none */
    uint32_t entry_room;
    uint32_t open_count;
    struct chi_pack *slots; /* CHI_PACKS_MAX of them, or NULL */
    uint16_t first;         /* the one that has been open for longest */
    uint16_t last;
    uint64_t bytes_max; /* of a pack */
    uint64_t looks;
    uint64_t packed; /* calls that have left in packs */
    uint64_t sent;   /* packs */
};

/* As chare_entry_aggregate(). */
CHARE_MUST_CHECK chare_status chi_pack_entry(struct chi_pe *pe, uint32_t entry,
                                             bool on);

/*
 * A message is about to leave for 'to'. True: it waits here, and belongs to
 * its pack. False: it is to be sent now, and what waited for 'to' is gone
 * before it.
 */
bool chi_pack_take(struct chi_pe *pe, uint32_t to, struct chi_msg *msg);

/* Send all that waits. */
void chi_pack_flush(struct chi_pe *pe);

/* The PE has polled: send what has waited for long enough. */
void chi_pack_look(struct chi_pe *pe);

/* A pack has come: give its calls to 'arrived', in their order. Takes it. */
void chi_pack_open(struct chi_pe *pe, struct chi_msg *pack,
                   void (*arrived)(struct chi_pe *pe, struct chi_msg *msg));

/* Release all that waits; the PE closes. */
void chi_pack_fini(struct chi_pe *pe);

#endif /* CHI_PE_PACK_H */
