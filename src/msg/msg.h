/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_MSG_MSG_H
#define CHI_MSG_MSG_H

/*
 * msg.h - a message: one envelope and its bytes, in one allocation.
 *
 *     struct chi_msg          never on the wire
 *     +----------------------+
 *     | link, pool, payload  |
 *     +----------------------+ <- chi_msg_wire(), 16-byte aligned
 *     | envelope (48 bytes)  |
 *     +----------------------+ <- bytes, 16-byte aligned
 *     | data    (data_len)   |
 *     | trailer (the rest)   |
 *     +----------------------+
 *
 * A message has one owner at any time; a queue that links it owns it. Several
 * holders of the same bytes (a broadcast to many chares of one PE) count
 * references. A message belongs to the thread of its pool.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/check.h"

enum {
    CHI_MSG_WIRE_VERSION = 1,
    CHI_MSG_TRAILER_BYTES_MAX = 144, /* fits into any message without data */
};

enum {
    CHI_MSG_SOURCE_BYTES = 8 * 1024, /* in whole: what is large */
};

/* Longer than any message; a length beyond it is out of memory at once. */
#define CHI_MSG_LEN_MAX (UINT64_C(1) << 40)

/*
 * Which function executes a message. The PE calls the handler that the owner
 * of the number has set; the bulk and sim numbers never reach the PE.
 */
enum chi_handler {
    CHI_HANDLER_NONE = 0,
    CHI_HANDLER_INVOKE,      /* obj: an entry method of one chare */
    CHI_HANDLER_CREATE,      /* obj: a collection */
    CHI_HANDLER_INSERT,      /* obj: one chare of a sparse array */
    CHI_HANDLER_INSERT_DONE, /* obj: a sparse array is complete */
    CHI_HANDLER_DESTROY,     /* obj: the end of one chare */
    CHI_HANDLER_BROADCAST,   /* obj: an entry method of all of a collection */
    CHI_HANDLER_BURY,        /* obj: forget a destroyed collection */
    CHI_HANDLER_ENLIST,      /* obj: one chare joins a section */
    CHI_HANDLER_ROLL,        /* obj: all of a collection join, or report */
    CHI_HANDLER_SECTION,     /* obj: between a section's root and others */
    CHI_HANDLER_MIGRATE,     /* obj: one chare is to move */
    CHI_HANDLER_MOVE,        /* obj: a chare that moves */
    CHI_HANDLER_MOVED,       /* obj: it has come; what it has missed */
    CHI_HANDLER_CAST,        /* obj: a broadcast, to one chare */
    CHI_HANDLER_CONTRIBUTE,  /* obj: a contribution that belongs elsewhere */
    CHI_HANDLER_CENSUS,      /* coll: elements in a subtree, up the tree */
    CHI_HANDLER_REDUCE,      /* coll: a partial result, up the tree */
    CHI_HANDLER_LEAVE,       /* coll: elements come or go, up the tree */
    CHI_HANDLER_SURVEY,      /* coll: a question to all PEs, down the tree */
    CHI_HANDLER_SURVEY_SUM,  /* coll: its answers, up the tree */
    CHI_HANDLER_LOC_UPDATE,  /* loc: where an element is */
    CHI_HANDLER_LOC_FENCE,   /* loc: the old way is empty behind this */
    CHI_HANDLER_LOC_GONE,    /* loc: an element is no more */
    CHI_HANDLER_LOC_ACK,     /* loc: the fence came through */
    CHI_HANDLER_LOC_MOVE,    /* loc: between a moving element and its home */
    CHI_HANDLER_FUTURE,      /* future: a value */
    CHI_HANDLER_FUNCTION,    /* cb: a registered function */
    CHI_HANDLER_QUIESCENCE,  /* qd: somebody wants to know */
    CHI_HANDLER_LB,          /* lb: load balancing */
    CHI_HANDLER_STATS,       /* rt: what calls cost, on all PEs */
    CHI_HANDLER_EXIT,        /* rt: the job ends, in order */
    CHI_HANDLER_ABORT,       /* rt: the job ends, with an error */
    CHI_HANDLER_PACK,        /* pe: calls that travel together */
    CHI_HANDLER_BULK,        /* net: a piece of a large message */
    CHI_HANDLER_BULK_OFFER,  /* net: a large message to be fetched by RMA */
    CHI_HANDLER_BULK_DONE,   /* net: it was fetched */
    CHI_HANDLER_BLOCK,       /* net: a message lies in shared memory */
    CHI_HANDLER_COUNT,
};

enum chi_env_flags {
    CHI_ENV_WIDE = 1,      /* trailer: the full index, key is its hash */
    CHI_ENV_REPLY = 2,     /* trailer: where the result goes */
    CHI_ENV_UNCOUNTED = 4, /* quiescence does not see it */
    CHI_ENV_ROUTED = 8,    /* may have to be forwarded: look at its arrival */
    CHI_ENV_MOVABLE = 16,  /* the same, where chares have come or gone */
    CHI_ENV_PACK = 32,     /* of CHI_HANDLER_PACK, which has it */
};

/*
 * The envelope is the wire format. Fields that a handler does not use for what
 * their name says are free for its own purpose.
 */
struct chi_envelope {
    uint64_t collection;
    uint64_t key; /* the packed index */
    uint64_t len; /* of bytes[]: data and trailer */
    uint32_t entry;
    uint32_t source_pe;
    uint32_t caller; /* the entry that was executing at the sender */
    int16_t priority;
    uint16_t hops;   /* times it was forwarded */
    uint8_t version; /* CHI_MSG_WIRE_VERSION */
    uint8_t handler; /* enum chi_handler */
    uint8_t format;  /* chare_format of the data */
    uint8_t flags;   /* enum chi_env_flags */
    uint16_t trailer_len;
    uint16_t spare; /* free for the handler */
};

static_assert(sizeof(struct chi_envelope) == 48,
              "the envelope is a wire format: 48 bytes, no padding");

struct chi_msg_pool;

struct chi_msg {
    struct chi_msg *next; /* link for whichever queue owns the message */
    struct chi_msg_pool *pool;
    const chare_payload_ops *payload_ops; /* NULL: the data is in bytes */
    void *payload;
    uint64_t sequence;   /* for the queue, FIFO among equal priorities */
    uint32_t references; /* 1 for nearly all */
    uint32_t size_class; /* which free list; the pool's own */
    uint64_t room;       /* bytes that fit in bytes[] */
    uint64_t spare;
    struct chi_envelope env;
    unsigned char bytes[];
};

static_assert(offsetof(struct chi_msg, env) % 16 == 0, "wire part aligned");
static_assert(offsetof(struct chi_msg, bytes) % 16 == 0, "bytes aligned");

/* The part that travels: the envelope and env.len bytes. */
static inline void *
chi_msg_wire(struct chi_msg *msg)
{
    return &msg->env;
}

static inline uint64_t
chi_msg_wire_len(const struct chi_msg *msg)
{
    return sizeof(struct chi_envelope) + msg->env.len;
}

/* Length of the data, without the trailer. */
static inline uint64_t
chi_msg_data_len(const struct chi_msg *msg)
{
    return msg->env.len - msg->env.trailer_len;
}

/* ---- pools: free lists by size, for large ones a source and the heap */

enum {
    CHI_MSG_LEAST_BYTES = 256, /* the smallest message, with all its parts */
    CHI_MSG_LEAST_ROOM = CHI_MSG_LEAST_BYTES - (int)sizeof(struct chi_msg),
};

/* What pools begin with: the rest is their own. */
struct chi_msg_pool_head {
    struct chi_msg *least; /* the free list of the smallest */
    uint64_t live;
};

static inline struct chi_msg_pool_head *
chi_msg_pool_head(struct chi_msg_pool *pool)
{
    return (struct chi_msg_pool_head *)(void *)pool;
}

CHARE_MUST_CHECK chare_status chi_msg_pool_create(struct chi_msg_pool **out);

/* All its messages must have been released. Accepts NULL. */
void chi_msg_pool_destroy(struct chi_msg_pool *pool);

/*
 * The owner is done with the pool: it is destroyed, or, if messages were lent
 * to a user who still has some, when the last of them is returned.
 */
void chi_msg_pool_close(struct chi_msg_pool *pool);

/* The message is a user's, who may keep it beyond the end of its pool. */
void chi_msg_lend(struct chi_msg *msg);

/* As chi_msg_release(), by a user. */
void chi_msg_return(struct chi_msg *msg);

/*
 * Where a pool takes the memory of messages above CHI_MSG_SOURCE_BYTES from
 * before it asks the heap; set before the first of them, and ended with the
 * pool. alloc() may say NULL: not now.
 */
struct chi_msg_source {
    void *context;
    void *(*alloc)(void *context, uint64_t bytes, uint64_t *room_out);
    void (*release)(void *context, void *block);
    void (*destroy)(void *context); /* or NULL */
};

void chi_msg_pool_set_source(struct chi_msg_pool *pool,
                             const struct chi_msg_source *source);

/* Messages that are allocated now. */
uint64_t chi_msg_pool_live(const struct chi_msg_pool *pool);

struct chi_msg *chi_msg_alloc_slow(struct chi_msg_pool *pool, uint64_t len);

/*
 * A message of the smallest size, whose env and bytes are undefined. NULL:
 * the free list is empty.
 */
static inline struct chi_msg *
chi_msg_take_least(struct chi_msg_pool *pool)
{
    struct chi_msg_pool_head *head = chi_msg_pool_head(pool);
    struct chi_msg *msg = head->least;

    if (chi_unlikely(msg == NULL)) {
        return NULL;
    }
    head->least = msg->next;
    head->live++;
    msg->next = NULL;
    msg->pool = pool;
    msg->payload_ops = NULL;
    msg->references = 1;
    msg->size_class = 0;
    msg->room = CHI_MSG_LEAST_ROOM;
    return msg;
}

/*
 * A message with room for at least 'len' bytes; env is zero but for
 * version and len = 'len', the bytes are undefined. NULL: out of memory.
 */
static inline struct chi_msg *
chi_msg_alloc(struct chi_msg_pool *pool, uint64_t len)
{
    struct chi_msg *msg = chi_likely(len <= CHI_MSG_LEAST_ROOM)
                              ? chi_msg_take_least(pool)
                              : NULL;

    if (chi_unlikely(msg == NULL)) {
        return chi_msg_alloc_slow(pool, len);
    }
    msg->env = (struct chi_envelope){
        .version = CHI_MSG_WIRE_VERSION,
        .len = len,
    };
    return msg;
}

/*
 * A message for what came from the wire: 'wire_len' bytes, envelope first, to
 * be copied to chi_msg_wire(). NULL: out of memory.
 */
struct chi_msg *chi_msg_alloc_wire(struct chi_msg_pool *pool,
                                   uint64_t wire_len);

/*
 * Change len; contents up to the shorter stay; the message may move. There
 * must be no other reference and no trailer.
 */
CHARE_MUST_CHECK chare_status chi_msg_resize(struct chi_msg **msg_inout,
                                             uint64_t len);

/*
 * Append to the trailer. Nothing may be appended to the data afterwards.
 * Errors: CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_msg_add_trailer(struct chi_msg **msg_inout,
                                                  const void *bytes,
                                                  uint16_t len);

/* Room for that much trailer of a message that has none, which counts from
 * now on; NULL: chi_msg_add_trailer() is needed. */
static inline unsigned char *
chi_msg_trailer_room(struct chi_msg *msg, uint16_t len)
{
    unsigned char *at = msg->bytes + msg->env.len;

    if (chi_unlikely(msg->env.trailer_len > 0 ||
                     msg->room - msg->env.len < len)) {
        return NULL;
    }
    msg->env.len += len;
    msg->env.trailer_len = len;
    return at;
}

/* Forget all but the data: what a message that is sent anew starts with. */
static inline void
chi_msg_strip(struct chi_msg *msg)
{
    msg->env = (struct chi_envelope){
        .version = CHI_MSG_WIRE_VERSION,
        .len = chi_msg_data_len(msg),
    };
}

static inline const unsigned char *
chi_msg_trailer(const struct chi_msg *msg)
{
    return msg->bytes + chi_msg_data_len(msg);
}

/*
 * The pool's source got the message's memory, and this is its only reference:
 * it can be handed to someone else as it is.
 */
bool chi_msg_can_leave(const struct chi_msg *msg);

/* Forget a message that can leave; its memory is the caller's. */
void chi_msg_leave(struct chi_msg *msg);

/*
 * Make a message of memory that the pool's source will take back: one that has
 * left, with 'room' for bytes[].
 */
struct chi_msg *chi_msg_enter(struct chi_msg_pool *pool, void *block,
                              uint64_t room);

void chi_msg_release_slow(struct chi_msg *msg);

/* Give up one reference; the last one frees, with the payload if any. */
static inline void
chi_msg_release(struct chi_msg *msg)
{
    struct chi_msg_pool_head *head = chi_msg_pool_head(msg->pool);

    if (chi_unlikely(msg->references != 1 || msg->size_class != 0)) {
        chi_msg_release_slow(msg);
        return;
    }
    msg->references = 0;
    if (msg->payload_ops != NULL) {
        msg->payload_ops->release(msg->payload);
    }
    chi_assert(head->live > 0);
    head->live--;
    msg->next = head->least;
    head->least = msg;
}

static inline struct chi_msg *
chi_msg_ref(struct chi_msg *msg)
{
    msg->references++;
    return msg;
}

/*
 * Whether an envelope from the wire, with 'wire_len' bytes in all, makes sense
 * by itself: version, handler, lengths. To be asked before anything else.
 */
bool chi_msg_wire_ok(const void *wire, uint64_t wire_len);

/* ---- a first-in first-out queue of messages */

struct chi_msg_queue {
    struct chi_msg *head;
    struct chi_msg *tail;
    uint64_t count;
};

static inline void
chi_msg_queue_push(struct chi_msg_queue *queue, struct chi_msg *msg)
{
    msg->next = NULL;
    if (queue->head == NULL) {
        queue->head = msg;
    } else {
        queue->tail->next = msg;
    }
    queue->tail = msg;
    queue->count++;
}

static inline struct chi_msg *
chi_msg_queue_pop(struct chi_msg_queue *queue)
{
    struct chi_msg *msg = queue->head;

    if (msg != NULL) {
        queue->head = msg->next;
        msg->next = NULL;
        queue->count--;
    }
    return msg;
}

/* Release all messages. */
void chi_msg_queue_clear(struct chi_msg_queue *queue);

#endif /* CHI_MSG_MSG_H */
