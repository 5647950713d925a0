/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_ARENA_H
#define CHI_NET_ARENA_H

/*
 * arena.h - memory for large messages that other processes of the node see.
 *
 * Each PE has an arena: a sparse, sealed memfd that all processes of the node
 * map. Its large messages are made there, so that one is *given* to another
 * process by its place alone; the array that Python sees at the other end lies
 * in it. The holder gives a block back by one store, which the owner finds
 * when it looks for room.
 *
 *             alloc                  give                 take
 *     FREE ----------> owner's own ---------> on its way ------> holder's
 *      ^                   | release              |                 | release
 *      +-------------------+----------------------+--- reclaim -----+
 *                                             (taken back or lost)
 *
 * A holder may also pass a block on, to a third process or to its owner, as
 * it is; then that one gives it back.
 *
 * Free memory is found by the buddy system (Knowlton, CACM 1965); of the block
 * that it finds, what is not needed stays free, in units of 16 KiB, or of a
 * page where pages are larger. All books are in private memory; only 'given'
 * is shared, so that a process that writes where it should not spoils data,
 * not the books.
 *
 * An arena belongs to one thread. In a forked child it is inert: it allocates
 * nothing and gives nothing back, because the parent still uses the memory.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/log.h"

enum {
    CHI_ARENA_BLOCK_BYTES_MIN = 16 * 1024, /* or a page, if that is more */
    CHI_ARENA_HEAD_BYTES = 64,             /* of a block, before its memory */
};

#define CHI_ARENA_BYTES_MIN (UINT64_C(1) << 20)
#define CHI_ARENA_BYTES_MAX (UINT64_C(1) << 40)

struct chi_arena;

/* Another process's arena, mapped here. */
struct chi_arena_view;

/* How others find an arena; part of an address. */
struct chi_arena_card {
    uint64_t inode;
    uint64_t bytes;
    uint32_t pid;
    uint32_t fd;
};

static_assert(sizeof(struct chi_arena_card) == 24, "wire format, no padding");

/*
 * 'bytes' is address space: pages are taken when they are first written, and
 * of what is free at most a quarter, and 512 MiB, is kept.
 * Errors: CHARE_ERR_INVALID (no power of two in the limits above),
 * CHARE_ERR_SYSTEM, CHARE_ERR_NO_MEMORY; the reason is logged.
 */
CHARE_MUST_CHECK chare_status chi_arena_create(const struct chi_log *log,
                                               uint64_t bytes,
                                               struct chi_arena **out);

/* The same where a page has 'page_bytes', a power of two, at least the
 * system's and at most 1 MiB; for tests. */
CHARE_MUST_CHECK chare_status chi_arena_create_paged(const struct chi_log *log,
                                                     uint64_t bytes,
                                                     size_t page_bytes,
                                                     struct chi_arena **out);

/* All blocks and views must be unused. Accepts NULL. */
void chi_arena_destroy(struct chi_arena *arena);

void chi_arena_card(const struct chi_arena *arena,
                    struct chi_arena_card *card_out);

/*
 * Map another process's arena, until this one is destroyed.
 * Errors: CHARE_ERR_SYSTEM (errno says why), CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status
chi_arena_attach(struct chi_arena *arena, const struct chi_arena_card *card,
                 const struct chi_arena_view **view_out);

/*
 * A block's memory, 64-byte aligned, of at least 'bytes'; *room_out is how
 * many. NULL: there is none now.
 */
void *chi_arena_alloc(struct chi_arena *arena, uint64_t bytes,
                      uint64_t *room_out);

/* Give up a block, one's own or one that was taken. */
void chi_arena_release(struct chi_arena *arena, void *block);

/* Whether the block is of this process's own arena. */
bool chi_arena_owns(const struct chi_arena *arena, const void *block);

/* Whether chi_arena_give() has the memory that it needs; asked before. */
bool chi_arena_can_give(struct chi_arena *arena);

/* Let go of an own block; returns its place, for chi_arena_take() or, when
 * it comes back from there, chi_arena_take_own(). */
uint64_t chi_arena_give(struct chi_arena *arena, void *block);

/* Undo the last chi_arena_give(), of this block, which nobody was told of. */
void chi_arena_take_back(struct chi_arena *arena, void *block);

/*
 * The memory of a block that its owner gave to us: 'bytes' at this place.
 * NULL: it makes no sense.
 */
void *chi_arena_take(const struct chi_arena_view *view, uint64_t place,
                     uint64_t bytes);

/* The same of a block of our own that others have passed back to us. */
void *chi_arena_take_own(const struct chi_arena *arena, uint64_t place,
                         uint64_t bytes);

/* Whether a block is of this arena of another process, and its place there: a
 * block that was taken can be passed on by it, instead of being released. */
bool chi_arena_view_place(const struct chi_arena_view *view, const void *block,
                          uint64_t *place_out);

/* Bytes in blocks that are not free, given ones included; for tests. */
uint64_t chi_arena_used_bytes(struct chi_arena *arena);

#endif /* CHI_NET_ARENA_H */
