/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_SHM_RING_H
#define CHI_NET_SHM_RING_H

/*
 * shm_ring.h - one PE's inbox: a ring that many processes write and one reads.
 *
 *     tail                  head
 *     +------------------+  +------------+
 *     | position | flags |  |  position  |        each on a line of its own
 *     +------------------+  +------------+
 *     slot: +-------+---------------------------+
 *           | stamp | 56 bytes of the record    |  one cache line
 *           +-------+---------------------------+
 *
 * Positions count slots since the beginning and never wrap in practice; slot i
 * serves the positions that are i modulo the number of slots. A record takes
 * as many consecutive positions as it has chunks of 56 bytes.
 *
 * A producer reserves positions by moving 'tail', writes the chunks, and
 * publishes the record by the stamp of its first slot, which holds the lap of
 * its position and the record's length. Only a first slot's stamp is ever
 * written, and a lap never comes back, so whatever else is in a slot, old
 * stamps included, is not taken for a published record.
 *
 * The consumer reads records in the order of their positions and gives slots
 * back by moving 'head', not more often than it must: producers read it only
 * when the ring looks full to them.
 *
 * Sleeping: the consumer sets a flag in 'tail', which succeeds only while
 * nothing is reserved. So the very step by which a producer reserves tells it
 * that the consumer sleeps, and no fence is needed. The producer that cleared
 * the flag wakes the consumer after it has published.
 *
 * With FLAG_SLEEP the consumer sleeps on its doorbell, among other things;
 * with FLAG_NAP on 'tail' itself (a futex, on the half that holds the flags):
 * the kernel lets it sleep only while 'tail' is still what it set. That is
 * as good as sleeping on the flag, because nobody sets it but the consumer,
 * and 'tail' cannot come back to an old value while nothing is consumed.
 *
 * A process with the memory mapped may write anything at any time: positions
 * are masked before use and lengths are read once and checked, so that the
 * worst it can do is to send garbage or to stop the ring.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <chare.h>

#include "base/check.h"
#include "base/cpu.h"

#define CHI_SHM_MAGIC 0x31304d4853454843ull /* "CHESHM01" */

enum {
    CHI_SHM_SLOT_BYTES = 64,
    CHI_SHM_CHUNK_BYTES = 56,
    CHI_SHM_LEN_BITS = 24,
    CHI_SHM_SLOTS_MIN = 256,
    CHI_SHM_SLOTS_MAX = 1 << 24,
    CHI_SHM_AHEAD_SLOTS = 8, /* prefetched, at both ends */
};

enum {
    CHI_SHM_FLAG_SLEEP = 1,  /* the consumer wants its doorbell rung */
    CHI_SHM_FLAG_CLOSED = 2, /* nobody reads any more */
    CHI_SHM_FLAG_NAP = 4,    /* the consumer sleeps on 'tail' */
    CHI_SHM_FLAGS_ASLEEP = CHI_SHM_FLAG_SLEEP | CHI_SHM_FLAG_NAP,
    CHI_SHM_FLAG_BITS = 3,
};

/* Between two looks the flags are in the half that a futex compares. */
static_assert(CHI_SHM_FLAG_BITS < 32, "the flags fit a futex");

struct chi_shm_slot {
    _Atomic uint64_t stamp; /* (lap + 1) << LEN_BITS | length */
    unsigned char bytes[CHI_SHM_CHUNK_BYTES];
};

static_assert(sizeof(struct chi_shm_slot) == CHI_SHM_SLOT_BYTES,
              "a slot is one cache line");

struct chi_shm_inbox {
    /* Written before the address is given away, then constant. */
    uint64_t magic;
    uint64_t nonce;
    uint64_t slot_count; /* a power of two */

    /* Producers' line: position << FLAG_BITS | flags. */
    _Alignas(CHI_CPU_APART_BYTES) _Atomic uint64_t tail;

    /* Consumer's line: positions below are free again. */
    _Alignas(CHI_CPU_APART_BYTES) _Atomic uint64_t head;

    _Alignas(CHI_CPU_APART_BYTES) struct chi_shm_slot slots[];
};

/* Either end's own view, in private memory. */
struct chi_shm_ring {
    struct chi_shm_inbox *inbox;
    struct chi_shm_slot *slots;
    uint64_t slot_count;
    uint64_t mask;
    unsigned shift;    /* log2(slot_count) */
    uint64_t position; /* consumer: the next to read */
    uint64_t head;     /* producer: as last read; consumer: as published */
};

static inline size_t
chi_shm_inbox_bytes(uint64_t slot_count)
{
    return sizeof(struct chi_shm_inbox) + slot_count * CHI_SHM_SLOT_BYTES;
}

/* 'slot_count' is what the address or the setting said, not the inbox. */
static inline void
chi_shm_ring_init(struct chi_shm_ring *ring, struct chi_shm_inbox *inbox,
                  uint64_t slot_count)
{
    chi_assert(slot_count >= CHI_SHM_SLOTS_MIN);
    chi_assert((slot_count & (slot_count - 1)) == 0);
    *ring = (struct chi_shm_ring){
        .inbox = inbox,
        .slots = inbox->slots,
        .slot_count = slot_count,
        .mask = slot_count - 1,
        .shift = (unsigned)__builtin_ctzll(slot_count),
    };
}

static inline uint64_t
chi_shm_slots_of(uint64_t len)
{
    return (len + CHI_SHM_CHUNK_BYTES - 1) / CHI_SHM_CHUNK_BYTES;
}

/* The stamp that publishes 'len' bytes at 'position'. */
static inline uint64_t
chi_shm_stamp(const struct chi_shm_ring *ring, uint64_t position, uint64_t len)
{
    return ((position >> ring->shift) + 1) << CHI_SHM_LEN_BITS | len;
}

/* ---- the producers' end */

/*
 * Reserve 'slots' positions. *wake_out: how the consumer sleeps, one of
 * FLAGS_ASLEEP: this call took it over to wake it, after the record is
 * published; or 0.
 * Errors: CHARE_ERR_AGAIN, CHARE_ERR_PEER_LOST (the consumer closed).
 */
CHARE_MUST_CHECK static inline chare_status
chi_shm_reserve(struct chi_shm_ring *ring, uint64_t slots,
                uint64_t *position_out, unsigned *wake_out)
{
    _Atomic uint64_t *const shared = &ring->inbox->tail;
    /* Relaxed: the value is only a guess for the exchange below. */
    uint64_t tail = atomic_load_explicit(shared, memory_order_relaxed);
    uint64_t position;

    do {
        position = tail >> CHI_SHM_FLAG_BITS;
        if (chi_unlikely((tail & CHI_SHM_FLAG_CLOSED) != 0)) {
            return CHARE_ERR_PEER_LOST;
        }
        if (chi_unlikely(position + slots - ring->head > ring->slot_count)) {
            /* Acquire pairs with the release in chi_shm_give_back(): the
             * consumer has read what this producer will overwrite. */
            ring->head =
                atomic_load_explicit(&ring->inbox->head, memory_order_acquire);
            if (position + slots - ring->head > ring->slot_count) {
                return CHARE_ERR_AGAIN;
            }
        }
        /* Relaxed: positions are shared out by the order of changes to this
         * one word, and so are the flags; the record itself is ordered by
         * its stamp. */
    } while (chi_unlikely(!atomic_compare_exchange_weak_explicit(
        shared, &tail, (position + slots) << CHI_SHM_FLAG_BITS,
        memory_order_relaxed, memory_order_relaxed)));
    *position_out = position;
    *wake_out = tail & CHI_SHM_FLAGS_ASLEEP;
    return CHARE_OK;
}

/* Whether a short record would probably find room. */
static inline bool
chi_shm_has_room(struct chi_shm_ring *ring)
{
    /* Relaxed: a guess, as in chi_shm_reserve(). */
    const uint64_t tail =
        atomic_load_explicit(&ring->inbox->tail, memory_order_relaxed);

    if ((tail >> CHI_SHM_FLAG_BITS) + CHI_SHM_AHEAD_SLOTS - ring->head <=
        ring->slot_count) {
        return true;
    }
    /* Acquire: see chi_shm_reserve(). */
    ring->head =
        atomic_load_explicit(&ring->inbox->head, memory_order_acquire);
    return (tail >> CHI_SHM_FLAG_BITS) + CHI_SHM_AHEAD_SLOTS - ring->head <=
           ring->slot_count;
}

/*
 * The slot that is written AHEAD slots from now, unless the consumer may still
 * read it: its line comes over while other work is done. Without this each
 * line is waited for by itself, because stores take effect in order.
 */
static inline void
chi_shm_ahead(const struct chi_shm_ring *ring, uint64_t position)
{
    position += CHI_SHM_AHEAD_SLOTS;
    if (chi_likely(position - ring->head < ring->slot_count)) {
        chi_cpu_prefetch_write(&ring->slots[position & ring->mask]);
    }
}

/*
 * Write a record into reserved slots. 'room' bytes at 'bytes' can be read, at
 * least one chunk: more than 'len' lets all copies have a fixed size.
 * The first slot comes last: the consumer may be polling it, and would take
 * its line away again before the stamp follows.
 */
static inline void
chi_shm_fill(struct chi_shm_ring *ring, uint64_t position,
             const unsigned char *bytes, uint64_t len, uint64_t room)
{
    const uint64_t first = position;
    const unsigned char *at = bytes;

    chi_shm_ahead(ring, position);
    while (len > CHI_SHM_CHUNK_BYTES) {
        struct chi_shm_slot *slot;

        at += CHI_SHM_CHUNK_BYTES;
        len -= CHI_SHM_CHUNK_BYTES;
        room -= CHI_SHM_CHUNK_BYTES;
        slot = &ring->slots[++position & ring->mask];
        chi_shm_ahead(ring, position);
        if (chi_likely(room >= CHI_SHM_CHUNK_BYTES)) {
            memcpy(slot->bytes, at, CHI_SHM_CHUNK_BYTES);
        } else {
            memcpy(slot->bytes, at, len);
        }
    }
    memcpy(ring->slots[first & ring->mask].bytes, bytes, CHI_SHM_CHUNK_BYTES);
}

/* Let the consumer see the record. */
static inline void
chi_shm_publish(struct chi_shm_ring *ring, uint64_t position, uint64_t len)
{
    /* Release pairs with the acquire in chi_shm_peek(): who sees the stamp
     * sees the record. */
    atomic_store_explicit(&ring->slots[position & ring->mask].stamp,
                          chi_shm_stamp(ring, position, len),
                          memory_order_release);
}

/* ---- the consumer's end */

/*
 * The length of the record at ring->position, when one is published there. It
 * is what the producer wrote: to be checked.
 */
static inline bool
chi_shm_peek(const struct chi_shm_ring *ring, uint64_t *len_out)
{
    const uint64_t want = chi_shm_stamp(ring, ring->position, 0);
    /* Acquire pairs with the release in chi_shm_publish(). */
    const uint64_t stamp = atomic_load_explicit(
        &ring->slots[ring->position & ring->mask].stamp, memory_order_acquire);

    *len_out = stamp - want;
    return (stamp ^ want) >> CHI_SHM_LEN_BITS == 0;
}

/* Copy the record at ring->position out; 'room' as in chi_shm_fill(). */
static inline void
chi_shm_take(const struct chi_shm_ring *ring, unsigned char *out, uint64_t len,
             uint64_t room)
{
    uint64_t position = ring->position;

    for (uint64_t i = 1;
         i <= CHI_SHM_AHEAD_SLOTS && i * CHI_SHM_CHUNK_BYTES < len; i++) {
        chi_cpu_prefetch_read(&ring->slots[(position + i) & ring->mask]);
    }
    memcpy(out, ring->slots[position & ring->mask].bytes, CHI_SHM_CHUNK_BYTES);
    while (len > CHI_SHM_CHUNK_BYTES) {
        const struct chi_shm_slot *slot;

        out += CHI_SHM_CHUNK_BYTES;
        len -= CHI_SHM_CHUNK_BYTES;
        room -= CHI_SHM_CHUNK_BYTES;
        slot = &ring->slots[++position & ring->mask];
        if (len > CHI_SHM_AHEAD_SLOTS * CHI_SHM_CHUNK_BYTES) {
            chi_cpu_prefetch_read(
                &ring->slots[(position + CHI_SHM_AHEAD_SLOTS) & ring->mask]);
        }
        if (chi_likely(room >= CHI_SHM_CHUNK_BYTES)) {
            memcpy(out, slot->bytes, CHI_SHM_CHUNK_BYTES);
        } else {
            memcpy(out, slot->bytes, len);
        }
    }
}

/* Let producers have the slots of all that was read. */
static inline void
chi_shm_give_back(struct chi_shm_ring *ring)
{
    ring->head = ring->position;
    /* Release pairs with the acquire in chi_shm_reserve(). */
    atomic_store_explicit(&ring->inbox->head, ring->position,
                          memory_order_release);
}

/* Step over a record of 'slots' slots; give back now and then. */
static inline void
chi_shm_step(struct chi_shm_ring *ring, uint64_t slots)
{
    ring->position += slots;
    if (chi_unlikely(ring->position - ring->head > ring->slot_count / 8)) {
        chi_shm_give_back(ring);
    }
}

/* The position up to which producers have reserved. */
static inline uint64_t
chi_shm_reserved(const struct chi_shm_ring *ring)
{
    /* Relaxed: nothing is read on the strength of it. */
    return atomic_load_explicit(&ring->inbox->tail, memory_order_relaxed) >>
           CHI_SHM_FLAG_BITS;
}

/* Ask to be woken, in one of FLAGS_ASLEEP; false when something is reserved or
 * published. */
static inline bool
chi_shm_sleep(struct chi_shm_ring *ring, unsigned how)
{
    uint64_t tail = ring->position << CHI_SHM_FLAG_BITS;

    /* Acquire pairs with the release in chi_shm_nudge(): who has nudged
     * before this is known to have. For the rest see chi_shm_reserve(). */
    return atomic_compare_exchange_strong_explicit(
        &ring->inbox->tail, &tail, tail | how, memory_order_acquire,
        memory_order_relaxed);
}

/* Awake: nobody need wake it any more. True: somebody does, or has. */
static inline bool
chi_shm_wake(struct chi_shm_ring *ring)
{
    /* Relaxed: see chi_shm_reserve(). */
    return (atomic_fetch_and_explicit(&ring->inbox->tail,
                                      ~(uint64_t)CHI_SHM_FLAGS_ASLEEP,
                                      memory_order_relaxed) &
            CHI_SHM_FLAGS_ASLEEP) == 0;
}

/* From another thread of the consumer's process: do not begin to nap. True:
 * it naps, and this call took it over to wake it. */
static inline bool
chi_shm_nudge(const struct chi_shm_ring *ring)
{
    /* Release pairs with the acquire in chi_shm_sleep(): either that comes
     * later, and then what was written before this is seen behind it, or the
     * flag is seen here. */
    return (atomic_fetch_and_explicit(&ring->inbox->tail,
                                      ~(uint64_t)CHI_SHM_FLAG_NAP,
                                      memory_order_release) &
            CHI_SHM_FLAG_NAP) != 0;
}

/* Where a napping consumer sleeps, and what it finds there. */
static inline uint32_t *
chi_shm_nap_word(const struct chi_shm_inbox *inbox)
{
    const bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

    return (uint32_t *)(uintptr_t)&inbox->tail + big_endian;
}

static inline uint32_t
chi_shm_nap_value(const struct chi_shm_ring *ring)
{
    return (uint32_t)(ring->position << CHI_SHM_FLAG_BITS | CHI_SHM_FLAG_NAP);
}

static inline void
chi_shm_end(struct chi_shm_ring *ring)
{
    /* Relaxed: see chi_shm_reserve(). */
    (void)atomic_fetch_or_explicit(&ring->inbox->tail, CHI_SHM_FLAG_CLOSED,
                                   memory_order_relaxed);
}

#endif /* CHI_NET_SHM_RING_H */
