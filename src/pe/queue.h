/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PE_QUEUE_H
#define CHI_PE_QUEUE_H

/*
 * queue.h - the messages that a PE will execute: by priority, first in first
 * out within one. Priority 0, which nearly all have, is a plain list; the
 * others are in a binary heap ordered by (priority, sequence).
 */

#include <stdbool.h>

#include "msg/msg.h"

struct chi_queue {
    struct chi_msg_queue ordinary;
    struct chi_msg **heap;
    size_t heap_count;
    size_t heap_room;
    uint64_t sequence_next;  /* of what comes last in its priority */
    uint64_t sequence_first; /* of what came first */
    uint64_t stamp; /* for msg->spare of what has a priority; see stats.c */
};

void chi_queue_init(struct chi_queue *queue);
void chi_queue_fini(struct chi_queue *queue); /* releases the messages */

/* Out of memory while growing the heap ends in an assertion. */
void chi_queue_push_heap(struct chi_queue *queue, struct chi_msg *msg);
struct chi_msg *chi_queue_pop_heap(struct chi_queue *queue);

/*
 * Put messages that have waited elsewhere before all others of their priority,
 * in their order: what came behind them must not overtake them.
 */
void chi_queue_return(struct chi_queue *queue, struct chi_msg_queue *waited);

static inline void
chi_queue_push(struct chi_queue *queue, struct chi_msg *msg)
{
    if (chi_likely(msg->env.priority == 0)) {
        chi_msg_queue_push(&queue->ordinary, msg);
    } else {
        chi_queue_push_heap(queue, msg);
    }
}

/* The next message, or NULL. */
static inline struct chi_msg *
chi_queue_pop(struct chi_queue *queue)
{
    if (chi_unlikely(queue->heap_count > 0) &&
        (queue->heap[0]->env.priority < 0 || queue->ordinary.head == NULL)) {
        return chi_queue_pop_heap(queue);
    }
    return chi_msg_queue_pop(&queue->ordinary);
}

static inline bool
chi_queue_is_empty(const struct chi_queue *queue)
{
    return queue->ordinary.head == NULL && queue->heap_count == 0;
}

static inline uint64_t
chi_queue_count(const struct chi_queue *queue)
{
    return queue->ordinary.count + queue->heap_count;
}

#endif /* CHI_PE_QUEUE_H */
