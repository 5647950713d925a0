/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c - the heap of messages with a priority.
 */
#include "config.h"

#include "pe/queue.h"

#include <stdlib.h>

/* In the middle, to count up and down from. */
#define SEQUENCE_START (UINT64_MAX / 2)

void
chi_queue_init(struct chi_queue *queue)
{
    *queue = (struct chi_queue){
        .sequence_next = SEQUENCE_START,
        .sequence_first = SEQUENCE_START,
    };
}

void
chi_queue_fini(struct chi_queue *queue)
{
    chi_msg_queue_clear(&queue->ordinary);
    for (size_t i = 0; i < queue->heap_count; i++) {
        chi_msg_release(queue->heap[i]);
    }
    free(queue->heap);
    chi_queue_init(queue);
}

static bool
runs_before(const struct chi_msg *a, const struct chi_msg *b)
{
    return a->env.priority != b->env.priority
               ? a->env.priority < b->env.priority
               : a->sequence < b->sequence;
}

static void
push_heap(struct chi_queue *queue, struct chi_msg *msg, uint64_t sequence)
{
    size_t i = queue->heap_count;

    if (i == queue->heap_room) {
        const size_t room = queue->heap_room == 0 ? 64 : queue->heap_room * 2;
        struct chi_msg **heap = realloc(queue->heap, room * sizeof(*heap));

        chi_assert(heap != NULL);
        queue->heap = heap;
        queue->heap_room = room;
    }
    msg->sequence = sequence;
    msg->spare = queue->stamp;
    queue->heap_count++;
    while (i > 0 && runs_before(msg, queue->heap[(i - 1) / 2])) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = msg;
}

void
chi_queue_push_heap(struct chi_queue *queue, struct chi_msg *msg)
{
    push_heap(queue, msg, queue->sequence_next++);
}

void
chi_queue_return(struct chi_queue *queue, struct chi_msg_queue *waited)
{
    struct chi_msg_queue ordinary = {0};
    uint64_t sequence = queue->sequence_first - waited->count;
    struct chi_msg *msg;

    queue->sequence_first = sequence;
    while ((msg = chi_msg_queue_pop(waited)) != NULL) {
        if (msg->env.priority == 0) {
            msg->spare = queue->stamp;
            chi_msg_queue_push(&ordinary, msg);
        } else {
            push_heap(queue, msg, sequence++);
        }
    }
    if (ordinary.head == NULL) {
        return;
    }
    ordinary.tail->next = queue->ordinary.head;
    if (queue->ordinary.head != NULL) {
        ordinary.tail = queue->ordinary.tail;
    }
    ordinary.count += queue->ordinary.count;
    queue->ordinary = ordinary;
}

struct chi_msg *
chi_queue_pop_heap(struct chi_queue *queue)
{
    struct chi_msg *first = queue->heap[0];
    struct chi_msg *last = queue->heap[--queue->heap_count];
    const size_t count = queue->heap_count;
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= count) {
            break;
        }
        if (child + 1 < count &&
            runs_before(queue->heap[child + 1], queue->heap[child])) {
            child++;
        }
        if (!runs_before(queue->heap[child], last)) {
            break;
        }
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = last; /* count may be 0: then it is written in vain */
    return first;
}
