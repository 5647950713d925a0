/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_two_runtimes.c - several runtimes in one process know nothing of each
 * other.
 *
 * Goal:   ids, chares, calls, futures, exit codes and ends of one do not
 *         show in the other, in one thread and in two.
 * Method: two real runtimes of one PE with different registrations, their
 *         steps interleaved; and the same in a thread for each.
 */
#include "config.h"

#include <chare.h>

#include <pthread.h>

#include "tap/bare.h"
#include "tap/tap.h"

enum {
    CALLS = 2000
};

struct one {
    chare_runtime *rt;
    uint32_t type;
    uint32_t entry;
    chare_element thing;
    uint32_t calls;
    int code;
    chare_status end;
};

/* Calls itself again, so often; then ends its own job. */
static void
again(void *object, const chare_call *call, void *context)
{
    struct one *one = object;

    (void)context;
    if (++one->calls == CALLS) {
        chare_exit(call->runtime, one->code);
    } else if (chare_send(call->runtime, call->self, one->entry, NULL, NULL) !=
               CHARE_OK) {
        chare_abort(call->runtime, 99, "a call failed");
    }
}

static bool
start(struct one *one, int code, uint32_t types)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_type_ops ops = {
        .size = sizeof(ops), .name = "One", .create = bare_create};

    *one = (struct one){.code = code};
    if (chare_open(&options, &one->rt) != CHARE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < types; i++) {
        if (chare_type_register(one->rt, &ops, one, &one->type) != CHARE_OK) {
            return false;
        }
    }
    return chare_entry_register(one->rt, one->type, "again", again, NULL,
                                &one->entry) == CHARE_OK &&
           chare_start(one->rt) == CHARE_OK &&
           chare_single_create(one->rt, one->type, 0, NULL, NULL,
                               &one->thing) == CHARE_OK &&
           chare_send(one->rt, &one->thing, one->entry, NULL, NULL) ==
               CHARE_OK;
}

static void
they_take_turns(void)
{
    struct one a;
    struct one b;

    CHECK(start(&a, 11, 1));
    CHECK(start(&b, 22, 5));
    CHECK(a.type != b.type);
    for (int i = 0; i < CALLS / 4; i++) {
        CHECK(chare_progress(a.rt, 1) == CHARE_OK);
        CHECK(chare_progress(b.rt, 2) == CHARE_OK);
    }
    CHECK(a.calls < b.calls && b.calls < CALLS);
    CHECK(chare_run(b.rt) == CHARE_OK); /* and a waits */
    CHECK(b.calls == CALLS && a.calls < CALLS);
    CHECK_EQ(chare_exit_code(b.rt), 22);
    CHECK_EQ(chare_exit_code(a.rt), 0);
    chare_close(b.rt);
    CHECK(chare_run(a.rt) == CHARE_OK);
    CHECK_EQ(chare_exit_code(a.rt), 11);
    chare_close(a.rt);
}

static void *
thread_main(void *context)
{
    struct one *one = context;

    if (start(one, one->code, (uint32_t)one->code)) {
        one->end = chare_run(one->rt);
        one->code = chare_exit_code(one->rt);
        chare_close(one->rt);
    }
    return NULL;
}

static void
each_in_a_thread(void)
{
    pthread_t threads[3];
    struct one ones[3];

    for (int i = 0; i < 3; i++) {
        ones[i] = (struct one){.code = i + 1, .end = CHARE_ERR_SYSTEM};
        CHECK(pthread_create(&threads[i], NULL, thread_main, &ones[i]) == 0);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(ones[i].end == CHARE_OK);
        CHECK_EQ(ones[i].calls, CALLS);
        CHECK_EQ(ones[i].code, i + 1);
    }
}

TAP_MAIN(TAP_CASE(they_take_turns), TAP_CASE(each_in_a_thread))
