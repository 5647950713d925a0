/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.c - memory for large messages that other processes of the node see.
 *
 * Invariants:
 *  A1 Each leaf is in exactly one block; the block's state, and its order or
 *     count of leaves, are those of its first leaf.
 *  A2 A free block has 2^order leaves and begins at a multiple of that; its
 *     buddy is not free with the same order. A used one has as many leaves as
 *     its bytes need: the rest of the free block that it was cut from is free.
 *  A3 A free block is warm by as many bytes as may still have pages, which
 *     are taken to be its first; warm_bytes is their sum, at most
 *     warm_bytes_max.
 *  A4 given[] holds the blocks that others have or will have, or that came
 *     back from them as messages; none is free before its 'given' was seen to
 *     be zero.
 *  A5 Pages are taken when they are first written. A leaf is whole pages, so
 *     that no two blocks share one that the system may take back.
 *  A6 In a forked child an arena is inert: it takes and returns no block. But
 *     what a child writes to the memory its parent sees, the messages' books
 *     too, so that a child releases no message (python/_core/memory.c).
 *
 * A process with the memory may write to a message after it was checked. Only
 * processes of the same user can; they can trace each other as well.
 */
#include "config.h"

#include "net/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

enum {
    ORDERS_MAX = 27, /* CHI_ARENA_BYTES_MAX / CHI_ARENA_BLOCK_BYTES_MIN */
    LOOKED_AT = 4,   /* given blocks that an allocation looks at */
    NO_LEAF = -1,
    WARM_BYTES_MAX = 512 * 1024 * 1024, /* that are free */
    POPULATE_BYTES_MIN = 256 * 1024,    /* fewer pages come by faults */
    MEMORY_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14; before, EINVAL */
#endif

enum leaf_state {
    LEAF_INNER, /* not the first of its block */
    LEAF_FREE,
    LEAF_USED,
};

struct leaf {
    int32_t next; /* of the free blocks of one order */
    int32_t prev;
    uint64_t warm_bytes;
    int32_t count; /* of a used block's leaves */
    uint8_t state;
    uint8_t order; /* of a free block */
    bool given;    /* it is in given[] */
};

/* Shared: what a block begins with. */
struct head {
    _Atomic uint32_t given;
};

static_assert(sizeof(struct head) <= CHI_ARENA_HEAD_BYTES, "it fits");

struct chi_arena_view {
    struct chi_arena_view *next;
    unsigned char *base;
    uint64_t bytes;
};

struct chi_arena {
    const struct chi_log *log;
    int memory;
    ino_t inode;
    uint32_t pid;
    unsigned char *base;
    uint64_t bytes;
    uint32_t *alive; /* a page that is zero in a forked child */
    size_t page_bytes;

    uint32_t leaf_shift; /* log2 of a leaf's bytes */
    uint32_t order_top;
    struct leaf *leaves;
    int32_t free[ORDERS_MAX];
    uint64_t used_bytes;
    uint64_t warm_bytes;
    uint64_t warm_bytes_max;

    int32_t *given;
    uint32_t given_count;
    uint32_t given_room;
    uint32_t given_next; /* to be looked at */
    uint32_t patience;   /* failed allocations before all are looked at */

    struct chi_arena_view *views;
};

static uint64_t
leaves_bytes(const struct chi_arena *arena, int32_t count)
{
    return (uint64_t)count << arena->leaf_shift;
}

static uint64_t
order_bytes(const struct chi_arena *arena, uint32_t order)
{
    return leaves_bytes(arena, 1) << order;
}

/* Not in a forked child. */
static bool
arena_alive(const struct chi_arena *arena)
{
    return *(const volatile uint32_t *)arena->alive != 0;
}

static struct head *
block_head(void *block)
{
    return (struct head *)(void *)((unsigned char *)block -
                                   CHI_ARENA_HEAD_BYTES);
}

static void *
leaf_block(const struct chi_arena *arena, int32_t leaf)
{
    return arena->base + leaves_bytes(arena, leaf) + CHI_ARENA_HEAD_BYTES;
}

static int32_t
block_leaf(const struct chi_arena *arena, const void *block)
{
    const uint64_t at = (uint64_t)((const unsigned char *)block -
                                   CHI_ARENA_HEAD_BYTES - arena->base);

    chi_assert(at < arena->bytes && at % leaves_bytes(arena, 1) == 0);
    return (int32_t)(at >> arena->leaf_shift);
}

/* ---- free blocks */

/* Warm blocks are found first. */
static void
free_push(struct chi_arena *arena, int32_t at, uint32_t order,
          uint64_t warm_bytes)
{
    struct leaf *leaf = &arena->leaves[at];
    const int32_t head = arena->free[order];

    leaf->state = LEAF_FREE;
    leaf->order = (uint8_t)order;
    leaf->warm_bytes = warm_bytes;
    arena->warm_bytes += warm_bytes;
    if (head == NO_LEAF) {
        leaf->next = at;
        leaf->prev = at;
        arena->free[order] = at;
        return;
    }
    leaf->next = head;
    leaf->prev = arena->leaves[head].prev;
    arena->leaves[leaf->prev].next = at;
    arena->leaves[head].prev = at;
    if (warm_bytes > 0) {
        arena->free[order] = at;
    }
}

/* Returns by how many bytes it was warm. */
static uint64_t
free_remove(struct chi_arena *arena, int32_t at)
{
    struct leaf *leaf = &arena->leaves[at];

    chi_assert(leaf->state == LEAF_FREE);
    arena->warm_bytes -= leaf->warm_bytes;
    if (leaf->next == at) {
        arena->free[leaf->order] = NO_LEAF;
    } else {
        arena->leaves[leaf->next].prev = leaf->prev;
        arena->leaves[leaf->prev].next = leaf->next;
        if (arena->free[leaf->order] == at) {
            arena->free[leaf->order] = leaf->next;
        }
    }
    leaf->state = LEAF_INNER;
    return leaf->warm_bytes;
}

/* The order of the largest block that can begin here and end by then. */
static uint32_t
piece_order(int32_t at, int32_t end)
{
    const uint32_t fits = 31u - (uint32_t)__builtin_clz((uint32_t)(end - at));
    const uint32_t starts = at == 0 ? fits : (uint32_t)__builtin_ctz(at);

    return starts < fits ? starts : fits;
}

/* What the first of two parts has of the warm bytes of both. */
static uint64_t
warm_split(uint64_t *warm_bytes_inout, uint64_t bytes)
{
    const uint64_t first =
        *warm_bytes_inout < bytes ? *warm_bytes_inout : bytes;

    *warm_bytes_inout -= first;
    return first;
}

/*
 * Take 'count' leaves out of the smallest free block that has them; how many
 * of their bytes are warm is in *warm_bytes_out.
 */
static int32_t
block_alloc(struct chi_arena *arena, int32_t count, uint64_t *warm_bytes_out)
{
    uint32_t order =
        count == 1 ? 0 : 32u - (uint32_t)__builtin_clz((uint32_t)count - 1);
    uint64_t warm_bytes;
    int32_t at;
    int32_t end;

    while (order <= arena->order_top && arena->free[order] == NO_LEAF) {
        order++;
    }
    if (order > arena->order_top) {
        return NO_LEAF;
    }
    at = arena->free[order];
    end = at + (1 << order);
    warm_bytes = free_remove(arena, at);
    *warm_bytes_out = warm_split(&warm_bytes, leaves_bytes(arena, count));
    /* No two of the pieces are buddies. */
    for (int32_t rest = at + count; rest < end;) {
        order = piece_order(rest, end);
        free_push(arena, rest, order,
                  warm_split(&warm_bytes, order_bytes(arena, order)));
        rest += 1 << order;
    }
    arena->leaves[at].state = LEAF_USED;
    arena->leaves[at].count = count;
    arena->leaves[at].given = false;
    arena->used_bytes += leaves_bytes(arena, count);
    return at;
}

/* Give the pages of some leaves back to the system. */
static bool
leaves_cool(const struct chi_arena *arena, int32_t at, int32_t count)
{
    return madvise(arena->base + leaves_bytes(arena, at),
                   leaves_bytes(arena, count), MADV_REMOVE) == 0;
}

/* Many pages at once, where they are missing, cost half of what the faults
 * for each of them cost. */
static void
leaves_heat(const struct chi_arena *arena, int32_t at, int32_t count,
            uint64_t warm_bytes)
{
    const uint64_t bytes = leaves_bytes(arena, count);

    if (bytes - warm_bytes >= POPULATE_BYTES_MIN) {
        (void)madvise(arena->base + leaves_bytes(arena, at) + warm_bytes,
                      bytes - warm_bytes, MADV_POPULATE_WRITE);
    }
}

/* A piece of a used block is free, and so may its buddy be. */
static void
piece_release(struct chi_arena *arena, int32_t at, uint32_t order,
              uint64_t warm_bytes)
{
    while (order < arena->order_top) {
        const int32_t buddy = at ^ (1 << order);
        const struct leaf *leaf = &arena->leaves[buddy];

        if (leaf->state != LEAF_FREE || leaf->order != order) {
            break;
        }
        warm_bytes += free_remove(arena, buddy);
        at &= ~(1 << order);
        order++;
    }
    free_push(arena, at, order, warm_bytes);
}

static void
block_release(struct chi_arena *arena, int32_t at)
{
    const int32_t count = arena->leaves[at].count;
    const int32_t end = at + count;
    uint64_t warm_bytes = leaves_bytes(arena, count);

    chi_assert(arena->leaves[at].state == LEAF_USED);
    chi_assert(!arena->leaves[at].given);
    arena->used_bytes -= warm_bytes;
    if (arena->warm_bytes + warm_bytes > arena->warm_bytes_max &&
        leaves_cool(arena, at, count)) {
        warm_bytes = 0;
    }
    arena->leaves[at].state = LEAF_INNER;
    while (at < end) {
        const uint32_t order = piece_order(at, end);

        piece_release(arena, at, order,
                      warm_split(&warm_bytes, order_bytes(arena, order)));
        at += 1 << order;
    }
}

/* ---- given blocks */

static bool
given_look(struct chi_arena *arena, uint32_t index)
{
    const int32_t at = arena->given[index];
    struct head *head = block_head(leaf_block(arena, at));

    /* Acquire pairs with the release in chi_arena_release(): the holder is
     * done with the memory. */
    if (atomic_load_explicit(&head->given, memory_order_acquire) != 0) {
        return false;
    }
    arena->given[index] = arena->given[--arena->given_count];
    arena->leaves[at].given = false;
    block_release(arena, at);
    return true;
}

/* Look at 'count' given blocks, in turn. */
static void
given_reclaim(struct chi_arena *arena, uint32_t count)
{
    while (count-- > 0 && arena->given_count > 0) {
        if (arena->given_next >= arena->given_count) {
            arena->given_next = 0;
        }
        if (!given_look(arena, arena->given_next)) {
            arena->given_next++;
        }
    }
}

bool
chi_arena_can_give(struct chi_arena *arena)
{
    const uint32_t room = arena->given_room == 0 ? 64 : 2 * arena->given_room;
    int32_t *given;

    if (arena->given_count < arena->given_room) {
        return true;
    }
    given = realloc(arena->given, room * sizeof(given[0]));
    if (given == NULL) {
        return false;
    }
    arena->given = given;
    arena->given_room = room;
    return true;
}

uint64_t
chi_arena_give(struct chi_arena *arena, void *block)
{
    const int32_t at = block_leaf(arena, block);
    struct leaf *leaf = &arena->leaves[at];

    chi_assert(leaf->state == LEAF_USED);
    if (!leaf->given) { /* else it was given before, and came back */
        chi_assert(arena->given_count < arena->given_room);
        arena->given[arena->given_count++] = at;
        leaf->given = true;
    }
    /* Relaxed: the message that tells of the block publishes it. */
    atomic_store_explicit(&block_head(block)->given, 1, memory_order_relaxed);
    return leaves_bytes(arena, at);
}

void
chi_arena_take_back(struct chi_arena *arena, void *block)
{
    const int32_t at = block_leaf(arena, block);

    /* One that had been given before may stay in the list. */
    chi_assert(arena->leaves[at].given);
    if (arena->given[arena->given_count - 1] == at) {
        arena->given_count--;
        arena->leaves[at].given = false;
    }
}

void *
chi_arena_take(const struct chi_arena_view *view, uint64_t place,
               uint64_t bytes)
{
    if (place % CHI_ARENA_BLOCK_BYTES_MIN != 0 || place >= view->bytes ||
        bytes > view->bytes - place - CHI_ARENA_HEAD_BYTES) {
        return NULL;
    }
    return view->base + place + CHI_ARENA_HEAD_BYTES;
}

void *
chi_arena_take_own(const struct chi_arena *arena, uint64_t place,
                   uint64_t bytes)
{
    const uint64_t at = place >> arena->leaf_shift;
    const struct leaf *leaf;

    if (place % leaves_bytes(arena, 1) != 0 || place >= arena->bytes) {
        return NULL;
    }
    leaf = &arena->leaves[at];
    if (leaf->state != LEAF_USED || !leaf->given ||
        bytes > leaves_bytes(arena, leaf->count) - CHI_ARENA_HEAD_BYTES) {
        return NULL;
    }
    return leaf_block(arena, (int32_t)at);
}

bool
chi_arena_view_place(const struct chi_arena_view *view, const void *block,
                     uint64_t *place_out)
{
    const unsigned char *at =
        (const unsigned char *)block - CHI_ARENA_HEAD_BYTES;

    if (at < view->base || at >= view->base + view->bytes) {
        return false;
    }
    *place_out = (uint64_t)(at - view->base);
    return true;
}

/* ---- blocks */

void *
chi_arena_alloc(struct chi_arena *arena, uint64_t bytes, uint64_t *room_out)
{
    uint64_t warm_bytes = 0;
    int32_t count;
    int32_t at;

    if (bytes > arena->bytes - CHI_ARENA_HEAD_BYTES || !arena_alive(arena)) {
        return NULL;
    }
    count =
        (int32_t)((bytes + CHI_ARENA_HEAD_BYTES - 1) >> arena->leaf_shift) + 1;
    given_reclaim(arena, LOOKED_AT);
    at = block_alloc(arena, count, &warm_bytes);
    if (at == NO_LEAF && arena->patience == 0) {
        given_reclaim(arena, arena->given_count);
        at = block_alloc(arena, count, &warm_bytes);
        /* Others may hold all of it for long: not all that for each. */
        arena->patience = at == NO_LEAF ? arena->given_count / LOOKED_AT : 0;
    } else if (at == NO_LEAF) {
        arena->patience--;
    }
    if (at == NO_LEAF) {
        return NULL;
    }
    leaves_heat(arena, at, count, warm_bytes);
    *room_out = leaves_bytes(arena, count) - CHI_ARENA_HEAD_BYTES;
    return leaf_block(arena, at);
}

bool
chi_arena_owns(const struct chi_arena *arena, const void *block)
{
    const unsigned char *at = block;

    return at >= arena->base && at < arena->base + arena->bytes;
}

void
chi_arena_release(struct chi_arena *arena, void *block)
{
    if (!arena_alive(arena)) {
        return;
    }
    if (chi_arena_owns(arena, block)) {
        const int32_t at = block_leaf(arena, block);

        if (!arena->leaves[at].given) {
            block_release(arena, at);
            return;
        }
    }
    /* Release pairs with the acquire in given_look(). */
    atomic_store_explicit(&block_head(block)->given, 0, memory_order_release);
}

uint64_t
chi_arena_used_bytes(struct chi_arena *arena)
{
    given_reclaim(arena, arena->given_count);
    return arena->used_bytes;
}

/* ---- life */

static chare_status
arena_failed(const struct chi_arena *arena, const char *what)
{
    chi_log_warn(arena->log,
                 "no shared memory for large messages, which are copied "
                 "piece by piece then: %s: %s; try a smaller "
                 "CHARE_ARENA_BYTES, or 0",
                 what, strerror(errno));
    return CHARE_ERR_SYSTEM;
}

static chare_status
memory_create(struct chi_arena *arena)
{
    struct stat stat;

    arena->memory =
        memfd_create("chare-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (arena->memory < 0) {
        return arena_failed(arena, "memfd_create");
    }
    if (ftruncate(arena->memory, (off_t)arena->bytes) != 0 ||
        fcntl(arena->memory, F_ADD_SEALS, MEMORY_SEALS) != 0 ||
        fstat(arena->memory, &stat) != 0) {
        return arena_failed(arena, "sizing it");
    }
    arena->inode = stat.st_ino;
    arena->pid = (uint32_t)getpid();
    arena->base = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_NORESERVE, arena->memory, 0);
    if (arena->base == MAP_FAILED) {
        arena->base = NULL;
        return arena_failed(arena, "mmap");
    }
    return CHARE_OK;
}

static chare_status
alive_create(struct chi_arena *arena)
{
    arena->alive = mmap(NULL, arena->page_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena->alive == MAP_FAILED) {
        arena->alive = NULL;
        return arena_failed(arena, "mmap");
    }
    if (madvise(arena->alive, arena->page_bytes, MADV_WIPEONFORK) != 0) {
        return arena_failed(arena, "MADV_WIPEONFORK");
    }
    *arena->alive = 1;
    return CHARE_OK;
}

static chare_status
books_create(struct chi_arena *arena)
{
    const uint64_t count = arena->bytes >> arena->leaf_shift;

    arena->leaves = calloc(count, sizeof(arena->leaves[0]));
    if (arena->leaves == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    arena->order_top = (uint32_t)__builtin_ctzll(count);
    chi_assert(arena->order_top < ORDERS_MAX);
    for (uint32_t i = 0; i < ORDERS_MAX; i++) {
        arena->free[i] = NO_LEAF;
    }
    arena->warm_bytes_max =
        arena->bytes / 4 < WARM_BYTES_MAX ? arena->bytes / 4 : WARM_BYTES_MAX;
    free_push(arena, 0, arena->order_top, 0);
    return CHARE_OK;
}

/* Powers of two, both. */
static uint64_t
leaf_bytes(uint64_t page_bytes)
{
    return page_bytes > CHI_ARENA_BLOCK_BYTES_MIN ? page_bytes
                                                  : CHI_ARENA_BLOCK_BYTES_MIN;
}

static bool
bytes_ok(uint64_t bytes)
{
    return bytes >= CHI_ARENA_BYTES_MIN && bytes <= CHI_ARENA_BYTES_MAX &&
           (bytes & (bytes - 1)) == 0;
}

chare_status
chi_arena_create(const struct chi_log *log, uint64_t bytes,
                 struct chi_arena **out)
{
    return chi_arena_create_paged(log, bytes, (size_t)sysconf(_SC_PAGESIZE),
                                  out);
}

chare_status
chi_arena_create_paged(const struct chi_log *log, uint64_t bytes,
                       size_t page_bytes, struct chi_arena **out)
{
    struct chi_arena *arena;
    chare_status status;

    if (!bytes_ok(bytes)) {
        chi_log_error(log, "CHARE_ARENA_BYTES must be 0 or a power of two "
                           "from 1m to 1024g");
        return CHARE_ERR_INVALID;
    }
    arena = calloc(1, sizeof(*arena));
    if (arena == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    arena->log = log;
    arena->bytes = bytes;
    arena->page_bytes = page_bytes;
    arena->leaf_shift = (uint32_t)__builtin_ctzll(leaf_bytes(page_bytes));
    arena->memory = -1;
    status = memory_create(arena);
    if (status == CHARE_OK) {
        status = alive_create(arena);
    }
    if (status == CHARE_OK) {
        status = books_create(arena);
    }
    if (status != CHARE_OK) {
        chi_arena_destroy(arena);
        return status;
    }
    *out = arena;
    return CHARE_OK;
}

void
chi_arena_destroy(struct chi_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    while (arena->views != NULL) {
        struct chi_arena_view *view = arena->views;

        arena->views = view->next;
        (void)munmap(view->base, view->bytes);
        free(view);
    }
    if (arena->base != NULL) {
        (void)munmap(arena->base, arena->bytes);
    }
    if (arena->alive != NULL) {
        (void)munmap(arena->alive, arena->page_bytes);
    }
    if (arena->memory >= 0) {
        (void)close(arena->memory);
    }
    free(arena->given);
    free(arena->leaves);
    free(arena);
}

/* ---- others' arenas */

void
chi_arena_card(const struct chi_arena *arena, struct chi_arena_card *card_out)
{
    *card_out = (struct chi_arena_card){
        .inode = arena->inode,
        .bytes = arena->bytes,
        .pid = arena->pid,
        .fd = (uint32_t)arena->memory,
    };
}

/* Map what the card speaks of; NULL: errno says why not. */
static unsigned char *
card_map(const struct chi_arena_card *card)
{
    void *base = MAP_FAILED;
    struct stat stat;
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%u/fd/%u", card->pid, card->fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (!bytes_ok(card->bytes) || fstat(fd, &stat) != 0 ||
        stat.st_ino != card->inode || (uint64_t)stat.st_size != card->bytes ||
        fcntl(fd, F_GET_SEALS) != MEMORY_SEALS) {
        errno = ESTALE;
    } else {
        base = mmap(NULL, card->bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    (void)close(fd);
    return base == MAP_FAILED ? NULL : base;
}

chare_status
chi_arena_attach(struct chi_arena *arena, const struct chi_arena_card *card,
                 const struct chi_arena_view **view_out)
{
    struct chi_arena_view *view = malloc(sizeof(*view));

    if (view == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    view->bytes = card->bytes;
    view->base = card_map(card);
    if (view->base == NULL) {
        const int why = errno;

        free(view);
        errno = why;
        return CHARE_ERR_SYSTEM;
    }
    /* Its owner's core file has it. */
    (void)madvise(view->base, view->bytes, MADV_DONTDUMP);
    view->next = arena->views;
    arena->views = view;
    *view_out = view;
    return CHARE_OK;
}
