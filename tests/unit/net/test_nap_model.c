/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_nap_model.c - no wake-up is lost, in any interleaving.
 *
 * Goal:   a PE that naps in its inbox wakes for every message and for every
 *         call from another thread of its process; it never sleeps while one
 *         of them is there and all others have done their part.
 * Method: the PE, two producers and a thread with a call are machines whose
 *         steps are the functions of shm_ring.h, each with one access to the
 *         shared word; the futex is played as the kernel does it, without
 *         time-outs. All orders of their steps are gone through: a state in
 *         which nobody can go on is right only if all has been taken. Broken
 *         variants of the protocol show that a mistake would be found.
 *         Memory is sequentially consistent here; that the weaker orders of
 *         shm_ring.h are enough is said there.
 */
#include "config.h"

#include "net/shm_ring.h"

#include <stdlib.h>

#include "tap/tap.h"

enum {
    SLOTS = CHI_SHM_SLOTS_MIN,
    SLOTS_USED = 4, /* no lap is completed */
    PRODUCERS = 2,
    MESSAGES = 2, /* of each */
    CALLS = 2,
    LEN = 48,
    STATES_MAX = 1 << 20,
};

enum variant {
    RIGHT,
    DOOR_BEFORE_FLAG,    /* looks for calls only before nap_begin() */
    FLAG_WHILE_RESERVED, /* naps though somebody has reserved */
    NUDGE_KEEPS_FLAG,    /* the caller wakes, but leaves the flag */
    SLEEP_UNCOMPARED,    /* the kernel does not look at the word */
};

enum pe_at {
    PE_POLL,
    PE_NAP_BEGIN,
    PE_LOOK_AT_DOOR,
    PE_NAP,
    PE_ASLEEP,
    PE_WAIT_END,
};

enum other_at {
    OTHER_BEGIN,  /* reserve; write to the door */
    OTHER_MIDDLE, /* publish; nudge */
    OTHER_WAKE,
};

struct other {
    unsigned char at;
    unsigned char done;
    unsigned char wake;
    unsigned char position;
};

/* What is to be saved of one moment; compared as bytes. */
struct state {
    uint64_t tail;
    uint64_t stamps[SLOTS_USED];
    struct other producers[PRODUCERS];
    struct other caller;
    unsigned char position; /* of the PE */
    unsigned char pe_at;
    bool door_open; /* somebody has called, and was not seen */
    unsigned char taken;
};

struct model {
    enum variant variant;
    struct chi_shm_inbox *inbox;
    struct chi_shm_ring pe;
    struct chi_shm_ring producer;
    struct state now;
    struct state *table; /* seen; open addressing */
    unsigned char *used;
    struct state *stack;
    size_t depth;
    size_t count;
    bool full;
};

/* ---- the machines: true when the step could be made */

static void
kernel_wake(struct model *model)
{
    if (model->now.pe_at == PE_ASLEEP) {
        model->now.pe_at = PE_WAIT_END;
    }
}

static void
kernel_wait(struct model *model)
{
    const bool same =
        model->variant == FLAG_WHILE_RESERVED
            ? (model->inbox->tail & CHI_SHM_FLAG_NAP) != 0
            : *chi_shm_nap_word(model->inbox) == chi_shm_nap_value(&model->pe);

    model->now.pe_at =
        same || model->variant == SLEEP_UNCOMPARED ? PE_ASLEEP : PE_WAIT_END;
}

static void
pe_poll(struct model *model)
{
    struct state *now = &model->now;
    uint64_t len;

    if (now->door_open) {
        now->door_open = false;
    } else if (chi_shm_peek(&model->pe, &len)) {
        chi_shm_step(&model->pe, 1);
        now->taken++;
    } else {
        now->pe_at = PE_NAP_BEGIN;
    }
}

static bool
pe_step(struct model *model)
{
    struct state *now = &model->now;

    switch ((enum pe_at)now->pe_at) {
    case PE_POLL:
        pe_poll(model);
        return true;
    case PE_NAP_BEGIN:
        if (model->variant == FLAG_WHILE_RESERVED) {
            model->inbox->tail |= CHI_SHM_FLAG_NAP;
            now->pe_at = PE_LOOK_AT_DOOR;
        } else if (!chi_shm_sleep(&model->pe, CHI_SHM_FLAG_NAP)) {
            now->pe_at = PE_POLL;
        } else {
            now->pe_at =
                model->variant == DOOR_BEFORE_FLAG ? PE_NAP : PE_LOOK_AT_DOOR;
        }
        return true;
    case PE_LOOK_AT_DOOR:
        now->pe_at = now->door_open ? PE_WAIT_END : PE_NAP;
        return true;
    case PE_NAP:
        kernel_wait(model);
        return true;
    case PE_ASLEEP:
        return false;
    case PE_WAIT_END:
        (void)chi_shm_wake(&model->pe);
        now->pe_at = PE_POLL;
        return true;
    }
    return false;
}

static void
other_next(struct other *other)
{
    other->at = OTHER_BEGIN;
    other->wake = 0;
    other->done++;
}

static void
producer_reserve(struct model *model, struct other *producer)
{
    uint64_t position;
    unsigned wake;

    if (chi_shm_reserve(&model->producer, 1, &position, &wake) != CHARE_OK) {
        abort(); /* there is room */
    }
    producer->position = (unsigned char)position;
    producer->wake = wake != 0;
    producer->at = OTHER_MIDDLE;
}

static bool
producer_step(struct model *model, struct other *producer)
{
    if (producer->done == MESSAGES) {
        return false;
    }
    if (producer->at == OTHER_BEGIN) {
        producer_reserve(model, producer);
    } else if (producer->at == OTHER_MIDDLE) {
        chi_shm_publish(&model->producer, producer->position, LEN);
        producer->at = OTHER_WAKE;
        if (!producer->wake) {
            other_next(producer);
        }
    } else {
        kernel_wake(model);
        other_next(producer);
    }
    return true;
}

static bool
caller_step(struct model *model)
{
    struct other *caller = &model->now.caller;

    if (caller->done == CALLS) {
        return false;
    }
    if (caller->at == OTHER_BEGIN) {
        caller->at = OTHER_MIDDLE;
        if (model->now.door_open) {
            other_next(caller); /* who came before does the rest */
        }
        model->now.door_open = true;
    } else if (caller->at == OTHER_MIDDLE) {
        caller->wake = model->variant == NUDGE_KEEPS_FLAG
                           ? (model->inbox->tail & CHI_SHM_FLAG_NAP) != 0
                           : chi_shm_nudge(&model->pe);
        caller->at = OTHER_WAKE;
        if (!caller->wake) {
            other_next(caller);
        }
    } else {
        kernel_wake(model);
        other_next(caller);
    }
    return true;
}

/* ---- going through all orders */

static void
restore(struct model *model, const struct state *state)
{
    model->now = *state;
    model->inbox->tail = state->tail;
    for (int i = 0; i < SLOTS_USED; i++) {
        model->inbox->slots[i].stamp = state->stamps[i];
    }
    model->pe.position = state->position;
}

static void
save(struct model *model)
{
    struct state *now = &model->now;

    now->tail = model->inbox->tail;
    for (int i = 0; i < SLOTS_USED; i++) {
        now->stamps[i] = model->inbox->slots[i].stamp;
    }
    now->position = (unsigned char)model->pe.position;
}

static size_t
hash_of(const struct state *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t hash = 14695981039346656037ull;

    for (size_t i = 0; i < sizeof(*state); i++) {
        hash = (hash ^ bytes[i]) * 1099511628211ull;
    }
    return (size_t)(hash >> 20) % STATES_MAX;
}

/* Remember the state of now, and go on from it later, if it is a new one. */
static void
visit(struct model *model)
{
    size_t at;

    save(model);
    at = hash_of(&model->now);
    while (model->used[at]) {
        if (memcmp(&model->table[at], &model->now, sizeof(model->now)) == 0) {
            return;
        }
        at = (at + 1) % STATES_MAX;
    }
    if (model->count == STATES_MAX / 2) {
        model->full = true;
        return;
    }
    model->used[at] = 1;
    model->table[at] = model->now;
    model->stack[model->depth++] = model->now;
    model->count++;
}

static bool
step_of(struct model *model, int who)
{
    if (who < PRODUCERS) {
        return producer_step(model, &model->now.producers[who]);
    }
    return who == PRODUCERS ? pe_step(model) : caller_step(model);
}

/* How many states there are in which the PE sleeps for ever, wrongly. */
static uint64_t
explore(struct model *model)
{
    uint64_t lost = 0;

    visit(model);
    while (model->depth > 0) {
        const struct state state = model->stack[--model->depth];
        bool stuck = true;

        for (int who = 0; who < PRODUCERS + 2; who++) {
            restore(model, &state);
            if (step_of(model, who)) {
                stuck = false;
                visit(model);
            }
        }
        lost += stuck && (state.taken != PRODUCERS * MESSAGES ||
                          state.door_open || state.pe_at != PE_ASLEEP);
    }
    return lost;
}

static bool
model_open(struct model *model, enum variant variant)
{
    const size_t bytes = chi_shm_inbox_bytes(SLOTS);

    memset(model, 0, sizeof(*model));
    model->variant = variant;
    model->inbox = aligned_alloc(CHI_CPU_APART_BYTES, bytes);
    model->table = calloc(STATES_MAX, sizeof(*model->table));
    model->used = calloc(STATES_MAX, 1);
    model->stack = calloc(STATES_MAX / 2, sizeof(*model->stack));
    if (model->inbox == NULL || model->table == NULL || model->used == NULL ||
        model->stack == NULL) {
        return false;
    }
    memset(model->inbox, 0, bytes);
    chi_shm_ring_init(&model->pe, model->inbox, SLOTS);
    chi_shm_ring_init(&model->producer, model->inbox, SLOTS);
    return true;
}

static void
model_close(struct model *model)
{
    free(model->inbox);
    free(model->table);
    free(model->used);
    free(model->stack);
}

static void
no_wake_up_is_lost(void)
{
    struct model model;

    CHECK(model_open(&model, RIGHT));
    CHECK_EQ(explore(&model), 0);
    CHECK(!model.full);
    CHECK(model.count > 1000);
    model_close(&model);
}

static void
a_broken_protocol_is_found_out(void)
{
    for (enum variant variant = DOOR_BEFORE_FLAG; variant <= SLEEP_UNCOMPARED;
         variant++) {
        struct model model;

        CHECK(model_open(&model, variant));
        CHECK(explore(&model) > 0);
        CHECK(!model.full);
        model_close(&model);
    }
}

TAP_MAIN(TAP_CASE(no_wake_up_is_lost),
         TAP_CASE(a_broken_protocol_is_found_out))
