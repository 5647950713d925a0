/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_queue.c - the queue of a PE.
 *
 * Goal:   smaller priorities first, first in first out within one; what is
 *         given back goes first within its priority, in its order.
 * Method: a random sequence of pushes, returns and pops against a model that
 *         sorts by (priority, place).
 */
#include "config.h"

#include <stdint.h>

#include "base/prng.h"
#include "pe/queue.h"
#include "tap/tap.h"

enum {
    ITEMS_MAX = 4000,
    PLACE_START = ITEMS_MAX,
};

struct model {
    struct {
        int16_t priority;
        uint32_t place;
        bool in;
    } items[ITEMS_MAX];
    uint32_t count;
    uint32_t place_next;
    uint32_t place_first;
};

static struct chi_msg *
make(struct chi_msg_pool *pool, struct model *model, int16_t priority,
     uint32_t place)
{
    struct chi_msg *msg = chi_msg_alloc(pool, 0);

    msg->env.priority = priority;
    msg->env.key = model->count;
    model->items[model->count].priority = priority;
    model->items[model->count].place = place;
    model->items[model->count++].in = true;
    return msg;
}

/* The item that has to come next; count: none. */
static uint32_t
first_of(const struct model *model)
{
    uint32_t best = model->count;

    for (uint32_t i = 0; i < model->count; i++) {
        if (model->items[i].in &&
            (best == model->count ||
             model->items[i].priority < model->items[best].priority ||
             (model->items[i].priority == model->items[best].priority &&
              model->items[i].place < model->items[best].place))) {
            best = i;
        }
    }
    return best;
}

static int16_t
draw_priority(struct chi_prng *prng)
{
    static const int16_t priorities[] = {
        0, 0, 0, -1, 1, 7, CHARE_PRIORITY_MIN, CHARE_PRIORITY_MAX};

    return priorities[chi_prng_below(prng, 8)];
}

static bool
pop_one(struct chi_queue *queue, struct model *model)
{
    const uint32_t want = first_of(model);
    struct chi_msg *msg = chi_queue_pop(queue);

    if (msg == NULL) {
        return want == model->count;
    }
    if (want == model->count || msg->env.key != want) {
        chi_msg_release(msg);
        return false;
    }
    model->items[want].in = false;
    chi_msg_release(msg);
    return true;
}

static bool
run(uint64_t seed)
{
    static struct model model;
    struct chi_msg_queue waited = {0};
    struct chi_msg_pool *pool;
    struct chi_queue queue;
    struct chi_prng prng;
    bool ok = chi_msg_pool_create(&pool) == CHARE_OK;

    memset(&model, 0, sizeof(model));
    model.place_next = PLACE_START;
    model.place_first = PLACE_START;
    chi_prng_init(&prng, seed);
    chi_queue_init(&queue);
    for (uint32_t i = 0; ok && i < 1000; i++) {
        const uint64_t choice = chi_prng_below(&prng, 10);
        const uint32_t count = (uint32_t)chi_prng_below(&prng, 4);

        if (choice < 5) {
            chi_queue_push(&queue, make(pool, &model, draw_priority(&prng),
                                        model.place_next++));
        } else if (choice == 5) {
            model.place_first -= count;
            for (uint32_t j = 0; j < count; j++) {
                chi_msg_queue_push(&waited,
                                   make(pool, &model, draw_priority(&prng),
                                        model.place_first + j));
            }
            chi_queue_return(&queue, &waited);
            ok = waited.head == NULL && waited.count == 0;
        } else {
            ok = pop_one(&queue, &model);
        }
    }
    for (uint32_t i = 0; ok && i < 100; i++) {
        ok = pop_one(&queue, &model);
    }
    chi_queue_fini(&queue);
    ok = ok && chi_msg_pool_live(pool) == 0 && chi_queue_is_empty(&queue);
    chi_msg_pool_destroy(pool);
    return ok;
}

static void
order_is_kept(void)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        CHECK(run(seed));
    }
}

static void
the_count_is_right(void)
{
    struct chi_msg_queue waited = {0};
    struct chi_msg_pool *pool;
    struct chi_queue queue;
    static struct model model;

    CHECK(chi_msg_pool_create(&pool) == CHARE_OK);
    chi_queue_init(&queue);
    CHECK(chi_queue_is_empty(&queue) && chi_queue_pop(&queue) == NULL);
    chi_queue_return(&queue, &waited); /* of nothing */
    CHECK(chi_queue_is_empty(&queue));
    chi_msg_queue_push(&waited, make(pool, &model, 0, 0));
    chi_msg_queue_push(&waited, make(pool, &model, 5, 0));
    chi_queue_return(&queue, &waited);
    chi_queue_push(&queue, make(pool, &model, 0, 0));
    CHECK_EQ(queue.ordinary.count + queue.heap_count, 3);
    for (uint64_t key = 0; key < 3; key++) {
        struct chi_msg *msg = chi_queue_pop(&queue);

        CHECK(msg != NULL);
        CHECK_EQ(msg->env.key, key == 0 ? 0 : 3 - key);
        chi_msg_release(msg);
    }
    CHECK(chi_queue_is_empty(&queue));
    chi_queue_fini(&queue);
    chi_msg_pool_destroy(pool);
}

TAP_MAIN(TAP_CASE(order_is_kept), TAP_CASE(the_count_is_right))
