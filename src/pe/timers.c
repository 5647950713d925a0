/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timers.c - a binary heap of timers, and a map to find one by its id.
 *
 * A removed timer stays in the heap, marked, until its time has come or most
 * of the heap is such: removal costs one look-up, and the heap never needs
 * positions.
 */
#include "config.h"

#include "pe/timers.h"

#include <stdlib.h>

#include "base/check.h"

enum {
    REMOVED_MIN = 64 /* so many may always be in the heap */
};

struct chi_timer {
    uint64_t due_ns;
    uint64_t id;
    chare_function_fn fn; /* NULL: removed */
    void *context;
};

void
chi_timers_init(struct chi_timers *timers)
{
    *timers = (struct chi_timers){0};
    chi_map_init(&timers->by_id);
}

void
chi_timers_fini(struct chi_timers *timers)
{
    for (size_t i = 0; i < timers->count; i++) {
        free(timers->heap[i]);
    }
    free(timers->heap);
    chi_map_fini(&timers->by_id);
    chi_timers_init(timers);
}

static bool
fires_before(const struct chi_timer *a, const struct chi_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->id < b->id;
}

static void
heap_push(struct chi_timers *timers, struct chi_timer *timer)
{
    size_t i = timers->count++;

    while (i > 0 && fires_before(timer, timers->heap[(i - 1) / 2])) {
        timers->heap[i] = timers->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    timers->heap[i] = timer;
}

static struct chi_timer *
heap_pop(struct chi_timers *timers)
{
    struct chi_timer *first = timers->heap[0];
    struct chi_timer *last = timers->heap[--timers->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            fires_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!fires_before(timers->heap[child], last)) {
            break;
        }
        timers->heap[i] = timers->heap[child];
        i = child;
    }
    timers->heap[i] = last;
    return first;
}

chare_status
chi_timers_add(struct chi_timers *timers, uint64_t due_ns,
               chare_function_fn fn, void *context, uint64_t *id_out)
{
    struct chi_timer *timer;
    chare_status status;

    if (timers->count == timers->room) {
        const size_t room = timers->room == 0 ? 16 : timers->room * 2;
        struct chi_timer **heap =
            realloc(timers->heap, room * sizeof(struct chi_timer *));

        if (heap == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        timers->heap = heap;
        timers->room = room;
    }
    timer = malloc(sizeof(*timer));
    if (timer == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *timer = (struct chi_timer){
        .due_ns = due_ns,
        .id = timers->id_last + 1,
        .fn = fn,
        .context = context,
    };
    status = chi_map_put(&timers->by_id, timer->id, timer);
    if (status != CHARE_OK) {
        free(timer);
        return status;
    }
    heap_push(timers, timer);
    *id_out = ++timers->id_last;
    return CHARE_OK;
}

/* Free the removed timers when they are more than the others. */
static void
heap_clean(struct chi_timers *timers)
{
    const size_t count = timers->count;

    if (count < 2 * timers->by_id.count + REMOVED_MIN) {
        return;
    }
    timers->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (timers->heap[i]->fn == NULL) {
            free(timers->heap[i]);
        } else {
            heap_push(timers, timers->heap[i]);
        }
    }
}

bool
chi_timers_remove(struct chi_timers *timers, uint64_t id)
{
    struct chi_timer *timer = chi_map_remove(&timers->by_id, id);

    if (timer == NULL) {
        return false;
    }
    timer->fn = NULL;
    heap_clean(timers);
    return true;
}

/* Free the removed timers at the top, so that the top is one that counts. */
static void
drop_removed(struct chi_timers *timers)
{
    while (timers->count > 0 && timers->heap[0]->fn == NULL) {
        free(heap_pop(timers));
    }
}

uint64_t
chi_timers_next_ns(const struct chi_timers *timers)
{
    return timers->count == 0 ? CHI_TIMERS_NONE : timers->heap[0]->due_ns;
}

uint32_t
chi_timers_fire(struct chi_timers *timers, uint64_t now_ns)
{
    /* Those that are started meanwhile, even if due at once, come later. */
    const uint64_t id_last = timers->id_last;
    chare_call call = {.runtime = timers->runtime};
    uint32_t fired = 0;

    drop_removed(timers);
    while (timers->count > 0 && timers->heap[0]->due_ns <= now_ns &&
           timers->heap[0]->id <= id_last) {
        struct chi_timer *timer = heap_pop(timers);

        chi_map_remove(&timers->by_id, timer->id);
        call.argument = timer->id;
        timer->fn(&call, timer->context);
        free(timer);
        fired++;
        drop_removed(timers);
    }
    return fired;
}
