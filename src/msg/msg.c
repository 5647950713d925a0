/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msg.c - message pools.
 *
 * Size classes are powers of two of the whole allocation, from 256 bytes to
 * 8 MiB. Up to 64 KiB a class's free list is refilled by a slab of several
 * messages, so that the message path reaches malloc() only while a list still
 * grows. Larger messages come from malloc() one by one; up to KEPT_BYTES_MAX
 * of them stay in their lists, since memory fresh from the system costs a page
 * fault for each 4 KiB, several times what the copy of a message costs.
 * Messages beyond the largest class go back to malloc() at once.
 */
#include "config.h"

#include "msg/msg.h"

#include <stdlib.h>
#include <string.h>

enum {
    CLASS_SHIFT_MIN = 8, /* 256 bytes */
    CLASS_LARGE = 9,     /* the first beyond 64 KiB: not from slabs */
    CLASS_COUNT = 16,    /* up to 8 MiB */
    CLASS_SOURCED = 6,   /* the first beyond CHI_MSG_SOURCE_BYTES */
    CLASS_HEAP = CLASS_COUNT,
    CLASS_SOURCE, /* from the pool's source */
    SLAB_BYTES = 64 * 1024,
    KEPT_BYTES_MAX = 32 * 1024 * 1024,
    ALIGNMENT = 64,
};

struct slab {
    struct slab *next;
    unsigned char pad[ALIGNMENT - sizeof(struct slab *)];
};

struct chi_msg_pool {
    struct chi_msg_pool_head head;
    struct chi_msg *larger[CLASS_COUNT]; /* free lists; that of class 0 is
                                            head.least */
    struct slab *slabs;
    uint64_t kept_bytes;          /* in the lists from CLASS_LARGE on */
    struct chi_msg_source source; /* its alloc is NULL: none */
    uint32_t class_large;         /* the first that large_alloc() gets */
    bool lends;                   /* some were lent to users */
    bool closed;                  /* only users have messages of it */
};

static_assert(CHI_MSG_LEAST_BYTES == 1 << CLASS_SHIFT_MIN,
              "the smallest class");
static_assert(CHI_MSG_SOURCE_BYTES ==
                  1 << (CLASS_SHIFT_MIN + CLASS_SOURCED - 1),
              "what is sourced begins behind a whole class");

static inline struct chi_msg **
free_list(struct chi_msg_pool *pool, uint32_t size_class)
{
    return size_class == 0 ? &pool->head.least : &pool->larger[size_class];
}

chare_status
chi_msg_pool_create(struct chi_msg_pool **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    (*out)->class_large = CLASS_LARGE;
    return CHARE_OK;
}

void
chi_msg_pool_set_source(struct chi_msg_pool *pool,
                        const struct chi_msg_source *source)
{
    pool->source = *source;
    pool->class_large = CLASS_SOURCED;
}

void
chi_msg_pool_destroy(struct chi_msg_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    chi_assert(pool->head.live == 0);
    for (uint32_t i = CLASS_LARGE; i < CLASS_COUNT; i++) {
        while (pool->larger[i] != NULL) {
            struct chi_msg *msg = pool->larger[i];

            pool->larger[i] = msg->next;
            free(msg);
        }
    }
    while (pool->slabs != NULL) {
        struct slab *slab = pool->slabs;

        pool->slabs = slab->next;
        free(slab);
    }
    if (pool->source.destroy != NULL) {
        pool->source.destroy(pool->source.context);
    }
    free(pool);
}

void
chi_msg_pool_close(struct chi_msg_pool *pool)
{
    if (pool != NULL && pool->lends && pool->head.live > 0) {
        pool->closed = true;
    } else {
        chi_msg_pool_destroy(pool);
    }
}

void
chi_msg_lend(struct chi_msg *msg)
{
    msg->pool->lends = true;
}

void
chi_msg_return(struct chi_msg *msg)
{
    struct chi_msg_pool *pool = msg->pool;

    chi_msg_release(msg);
    if (pool->closed && pool->head.live == 0) {
        chi_msg_pool_destroy(pool);
    }
}

uint64_t
chi_msg_pool_live(const struct chi_msg_pool *pool)
{
    return pool->head.live;
}

/* The smallest class whose messages have 'total' bytes, or CLASS_HEAP. */
static uint32_t
class_of(uint64_t total)
{
    uint32_t shift;

    if (total <= 1u << CLASS_SHIFT_MIN) {
        return 0;
    }
    if (total > 1u << (CLASS_SHIFT_MIN + CLASS_COUNT - 1)) {
        return CLASS_HEAP;
    }
    shift = 64u - (uint32_t)__builtin_clzll(total - 1);
    return shift - CLASS_SHIFT_MIN;
}

static inline uint64_t
class_bytes(uint32_t size_class)
{
    return (uint64_t)1 << (CLASS_SHIFT_MIN + size_class);
}

static bool
class_refill(struct chi_msg_pool *pool, uint32_t size_class)
{
    const size_t each = class_bytes(size_class);
    const size_t count = each < SLAB_BYTES ? SLAB_BYTES / each : 1;
    struct slab *slab = aligned_alloc(ALIGNMENT, sizeof(*slab) + count * each);

    if (slab == NULL) {
        return false;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (size_t i = count; i-- > 0;) {
        struct chi_msg *msg =
            (void *)((unsigned char *)slab + sizeof(*slab) + i * each);

        msg->next = *free_list(pool, size_class);
        *free_list(pool, size_class) = msg;
    }
    return true;
}

static_assert(((uint64_t)1 << CLASS_SHIFT_MIN) - sizeof(struct chi_msg) >=
                  CHI_MSG_TRAILER_BYTES_MAX,
              "a message with a payload takes a trailer without moving");

/* The memory is a message now, of this class, with 'room' for bytes. */
static inline struct chi_msg *
msg_init(struct chi_msg_pool *pool, struct chi_msg *msg, uint32_t size_class,
         uint64_t room)
{
    msg->next = NULL;
    msg->pool = pool;
    msg->payload_ops = NULL;
    msg->references = 1;
    msg->size_class = size_class;
    msg->room = room;
    pool->head.live++;
    return msg;
}

/* A message from the slabs, or NULL: out of memory. */
static inline struct chi_msg *
small_alloc(struct chi_msg_pool *pool, uint32_t size_class)
{
    struct chi_msg *msg;

    if (chi_unlikely(*free_list(pool, size_class) == NULL) &&
        !class_refill(pool, size_class)) {
        return NULL;
    }
    msg = *free_list(pool, size_class);
    *free_list(pool, size_class) = msg->next;
    return msg_init(pool, msg, size_class,
                    class_bytes(size_class) - sizeof(struct chi_msg));
}

/* Memory of a class of its own, or kept; NULL: there is none. */
static struct chi_msg *
heap_alloc(struct chi_msg_pool *pool, uint32_t size_class, uint64_t total)
{
    const uint64_t rounded = (total + ALIGNMENT - 1) & ~(ALIGNMENT - 1ull);
    struct chi_msg *msg;

    if (size_class == CLASS_HEAP) {
        return rounded < total ? NULL : aligned_alloc(ALIGNMENT, rounded);
    }
    msg = *free_list(pool, size_class);
    if (msg == NULL) {
        return aligned_alloc(ALIGNMENT, class_bytes(size_class));
    }
    *free_list(pool, size_class) = msg->next;
    pool->kept_bytes -= class_bytes(size_class);
    return msg;
}

static __attribute__((noinline)) struct chi_msg *
large_alloc(struct chi_msg_pool *pool, uint32_t size_class, uint64_t total)
{
    struct chi_msg *msg;
    uint64_t bytes;

    if (pool->source.alloc != NULL) {
        msg = pool->source.alloc(pool->source.context, total, &bytes);
        if (msg != NULL) {
            return msg_init(pool, msg, CLASS_SOURCE, bytes - sizeof(*msg));
        }
    }
    if (size_class < CLASS_LARGE) {
        return small_alloc(pool, size_class);
    }
    msg = heap_alloc(pool, size_class, total);
    if (msg == NULL) {
        return NULL;
    }
    bytes = size_class == CLASS_HEAP ? total : class_bytes(size_class);
    return msg_init(pool, msg, size_class, bytes - sizeof(*msg));
}

static __attribute__((noinline)) void
large_release(struct chi_msg_pool *pool, struct chi_msg *msg)
{
    uint64_t bytes;

    if (msg->size_class == CLASS_SOURCE) {
        pool->source.release(pool->source.context, msg);
        return;
    }
    bytes = class_bytes(msg->size_class);
    if (msg->size_class == CLASS_HEAP ||
        pool->kept_bytes + bytes > KEPT_BYTES_MAX) {
        free(msg);
        return;
    }
    pool->kept_bytes += bytes;
    msg->next = pool->larger[msg->size_class];
    pool->larger[msg->size_class] = msg;
}

static inline struct chi_msg *
alloc_raw(struct chi_msg_pool *pool, uint64_t room)
{
    const uint64_t total = sizeof(struct chi_msg) + room;
    const uint32_t size_class = class_of(total);

    if (total < room) {
        return NULL;
    }
    if (chi_likely(size_class < pool->class_large)) {
        return small_alloc(pool, size_class);
    }
    return large_alloc(pool, size_class, total);
}

struct chi_msg *
chi_msg_alloc_slow(struct chi_msg_pool *pool, uint64_t len)
{
    struct chi_msg *msg;

    if (len > CHI_MSG_LEN_MAX) {
        return NULL;
    }
    /* A trailer comes with few messages; those grow when it is added. */
    msg = alloc_raw(pool, len);
    if (msg != NULL) {
        msg->env = (struct chi_envelope){
            .version = CHI_MSG_WIRE_VERSION,
            .len = len,
        };
    }
    return msg;
}

struct chi_msg *
chi_msg_alloc_wire(struct chi_msg_pool *pool, uint64_t wire_len)
{
    chi_assert(wire_len >= sizeof(struct chi_envelope));
    if (wire_len > CHI_MSG_LEN_MAX) {
        return NULL;
    }
    return alloc_raw(pool, wire_len - sizeof(struct chi_envelope));
}

chare_status
chi_msg_resize(struct chi_msg **msg_inout, uint64_t len)
{
    struct chi_msg *old = *msg_inout;
    struct chi_msg *msg;

    chi_assert(old->references == 1);
    if (len <= old->room) {
        old->env.len = len;
        return CHARE_OK;
    }
    if (len > CHI_MSG_LEN_MAX) {
        return CHARE_ERR_NO_MEMORY;
    }
    /* Grow by half again, so that repeated growth stays linear. */
    msg = alloc_raw(old->pool, len + old->room / 2);
    if (msg == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    msg->env = old->env;
    memcpy(msg->bytes, old->bytes, old->env.len < len ? old->env.len : len);
    msg->env.len = len;
    chi_assert(old->payload_ops == NULL);
    chi_msg_release(old);
    *msg_inout = msg;
    return CHARE_OK;
}

chare_status
chi_msg_add_trailer(struct chi_msg **msg_inout, const void *bytes,
                    uint16_t len)
{
    const uint64_t end = (*msg_inout)->env.len;
    chare_status status;

    chi_assert((*msg_inout)->env.trailer_len + len <=
               CHI_MSG_TRAILER_BYTES_MAX);
    status = chi_msg_resize(msg_inout, end + len);
    if (status != CHARE_OK) {
        return status;
    }
    memcpy((*msg_inout)->bytes + end, bytes, len);
    (*msg_inout)->env.trailer_len =
        (uint16_t)((*msg_inout)->env.trailer_len + len);
    return CHARE_OK;
}

bool
chi_msg_can_leave(const struct chi_msg *msg)
{
    return msg->size_class == CLASS_SOURCE && msg->references == 1;
}

void
chi_msg_leave(struct chi_msg *msg)
{
    chi_assert(chi_msg_can_leave(msg));
    chi_assert(msg->payload_ops == NULL);
    msg->pool->head.live--;
}

struct chi_msg *
chi_msg_enter(struct chi_msg_pool *pool, void *block, uint64_t room)
{
    chi_assert(pool->source.release != NULL);
    return msg_init(pool, block, CLASS_SOURCE, room);
}

void
chi_msg_release_slow(struct chi_msg *msg)
{
    struct chi_msg_pool *pool = msg->pool;

    chi_assert(msg->references > 0);
    if (--msg->references > 0) {
        return;
    }
    if (msg->payload_ops != NULL) {
        msg->payload_ops->release(msg->payload);
    }
    chi_assert(pool->head.live > 0);
    pool->head.live--;
    if (chi_unlikely(msg->size_class >= CLASS_LARGE)) {
        large_release(pool, msg);
        return;
    }
    msg->next = *free_list(pool, msg->size_class);
    *free_list(pool, msg->size_class) = msg;
}

bool
chi_msg_wire_ok(const void *wire, uint64_t wire_len)
{
    struct chi_envelope env;

    if (wire_len < sizeof(env)) {
        return false;
    }
    memcpy(&env, wire, sizeof(env));
    return env.version == CHI_MSG_WIRE_VERSION &&
           env.handler > CHI_HANDLER_NONE && env.handler < CHI_HANDLER_COUNT &&
           env.len == wire_len - sizeof(env) && env.trailer_len <= env.len &&
           env.format <= CHARE_FORMAT_ERROR;
}

void
chi_msg_queue_clear(struct chi_msg_queue *queue)
{
    struct chi_msg *msg;

    while ((msg = chi_msg_queue_pop(queue)) != NULL) {
        chi_msg_release(msg);
    }
}
