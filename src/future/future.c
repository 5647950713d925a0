/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.c - the futures of one PE.
 *
 * A value is a message to the PE that made the future, also when that is this
 * one: user code runs from the scheduler only. Ids are never used again: they
 * count, and most futures live shortly, so that one is found in the slot that
 * the last bits of its id name. Where a future still is when that slot's turn
 * comes again, it goes to a map. A future that was released with 'drop' leaves
 * a mark there, so that a late value is told from a wrong one; marks cost 16
 * bytes and are for abandoned futures only.
 */
#include "config.h"

#include "future/future.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLOTS_MIN = 16, /* both are powers of two */
    SLOTS_MAX = 1 << 16,
    TEXT_BYTES = 512,
};

struct future {
    uint64_t id; /* 0: the slot is free */
    chare_function_fn function;
    void *context;
};

struct chi_futures {
    struct chi_pe *pe;
    struct chi_cb *cb;
    void (*fatal)(void *context, const char *text);
    void *fatal_context;
    struct future *slots;
    uint64_t mask;      /* their number - 1 */
    uint64_t count;     /* in slots */
    struct chi_map old; /* id -> struct future, or &dropped */
    struct future dropped;
    uint64_t id_last;
};

static inline struct future *
future_find(const struct chi_futures *futures, uint64_t id)
{
    struct future *slot = &futures->slots[id & futures->mask];

    if (chi_likely(slot->id == id)) {
        return id != 0 ? slot : NULL;
    }
    return chi_map_get(&futures->old, id);
}

/* More slots, so that those who have one keep one each. */
static bool
slots_grow(struct chi_futures *futures)
{
    const uint64_t count = (futures->mask + 1) * 2;
    struct future *slots = calloc(count, sizeof(*slots));

    if (slots == NULL) {
        return false;
    }
    for (uint64_t i = 0; i <= futures->mask; i++) {
        if (futures->slots[i].id != 0) {
            slots[futures->slots[i].id & (count - 1)] = futures->slots[i];
        }
    }
    free(futures->slots);
    futures->slots = slots;
    futures->mask = count - 1;
    return true;
}

/* Make a slot free: its future has been there for long. */
static chare_status
slot_clear(struct chi_futures *futures, struct future *slot)
{
    struct future *old = malloc(sizeof(*old));
    chare_status status;

    if (old == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *old = *slot;
    status = chi_map_put(&futures->old, slot->id, old);
    if (status != CHARE_OK) {
        free(old);
        return status;
    }
    slot->id = 0;
    futures->count--;
    return CHARE_OK;
}

static chare_status
future_target(void *context, const chare_callback *callback,
              const chare_data *data)
{
    return chi_future_set(context, &callback->future, data);
}

/* A value that no future waits for ends the job. */
static void
value_unexpected(const struct chi_futures *futures, const struct chi_msg *msg)
{
    char text[TEXT_BYTES];

    snprintf(
        text, sizeof(text),
        "a value came from PE %u (sent in %s) for a future of PE %u that "
        "has all its values, or was never made (id %llu): a future takes "
        "one value, unless it is made for more, as Future(n)",
        msg->env.source_pe,
        msg->env.caller == 0
            ? "no entry method"
            : chi_registry_entry_name(futures->cb->registry, msg->env.caller),
        futures->pe->rank, (unsigned long long)msg->env.key);
    futures->fatal(futures->fatal_context, text);
}

static void
value_execute(void *context, struct chi_msg *msg)
{
    struct chi_futures *futures = context;
    const struct future *future = future_find(futures, msg->env.key);
    chare_call call;

    if (future == NULL) {
        value_unexpected(futures, msg);
    } else if (future != &futures->dropped) {
        chi_cb_call_of_msg(futures->cb, msg, &call);
        call.argument = msg->env.key;
        future->function(&call, future->context);
    }
    chi_msg_release(msg);
}

chare_status
chi_futures_create(struct chi_pe *pe, struct chi_cb *cb,
                   void (*fatal)(void *context, const char *text),
                   void *fatal_context, struct chi_futures **out)
{
    struct chi_futures *futures = calloc(1, sizeof(*futures));

    if (futures == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    futures->pe = pe;
    futures->cb = cb;
    futures->fatal = fatal;
    futures->fatal_context = fatal_context;
    chi_map_init(&futures->old);
    futures->slots = calloc(SLOTS_MIN, sizeof(*futures->slots));
    futures->mask = SLOTS_MIN - 1;
    if (futures->slots == NULL) {
        free(futures);
        return CHARE_ERR_NO_MEMORY;
    }
    chi_cb_set_target(cb, CHARE_CALLBACK_FUTURE, future_target, futures);
    chi_pe_set_handler(pe, CHI_HANDLER_FUTURE, value_execute, futures);
    *out = futures;
    return CHARE_OK;
}

void
chi_futures_destroy(struct chi_futures *futures)
{
    size_t cursor = 0;
    uint64_t id;
    void *future;

    if (futures == NULL) {
        return;
    }
    while (chi_map_next(&futures->old, &cursor, &id, &future)) {
        if (future != &futures->dropped) {
            free(future);
        }
    }
    chi_map_fini(&futures->old);
    free(futures->slots);
    free(futures);
}

chare_status
chi_future_create(struct chi_futures *futures, chare_function_fn function,
                  void *context, chare_future *future_out)
{
    const uint64_t id = futures->id_last + 1;
    struct future *slot;

    if (function == NULL) {
        return CHARE_ERR_INVALID;
    }
    slot = &futures->slots[id & futures->mask];
    if (chi_unlikely(slot->id != 0)) {
        if (futures->count > futures->mask / 2 && futures->mask < SLOTS_MAX) {
            (void)slots_grow(futures);
        }
        slot = &futures->slots[id & futures->mask];
        if (slot->id != 0 && slot_clear(futures, slot) != CHARE_OK) {
            return CHARE_ERR_NO_MEMORY;
        }
    }
    *slot = (struct future){id, function, context};
    futures->count++;
    futures->id_last = id;
    *future_out = (chare_future){id, futures->pe->rank, 0};
    return CHARE_OK;
}

chare_status
chi_future_set(struct chi_futures *futures, const chare_future *future,
               const chare_data *data)
{
    struct chi_msg *msg;
    chare_status status;

    if (future->pe >= futures->pe->size || future->id == 0) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(futures->pe, CHI_HANDLER_FUTURE, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.key = future->id;
    if (msg->payload_ops != NULL && future->pe != futures->pe->rank) {
        status = chi_pe_encode(futures->pe, &msg);
        if (status != CHARE_OK) {
            msg->payload_ops = NULL; /* the payload is the caller's again */
            chi_msg_release(msg);
            return status;
        }
    }
    chi_pe_send(futures->pe, future->pe, msg);
    return CHARE_OK;
}

void
chi_future_release(struct chi_futures *futures, const chare_future *future,
                   bool drop)
{
    struct future *slot = &futures->slots[future->id & futures->mask];

    if (future->id == 0) {
        return;
    }
    if (future->pe != futures->pe->rank) {
        futures->fatal(futures->fatal_context,
                       "a future was released on another PE than its own");
        return;
    }
    if (chi_likely(slot->id == future->id)) {
        slot->id = 0;
        futures->count--;
    } else {
        struct future *found = chi_map_remove(&futures->old, future->id);

        if (found != &futures->dropped) {
            free(found);
        }
    }
    if (chi_unlikely(drop) && chi_map_put(&futures->old, future->id,
                                          &futures->dropped) != CHARE_OK) {
        chi_pe_die(futures->pe, "out of memory for a future");
    }
}
