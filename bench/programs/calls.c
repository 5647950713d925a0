/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.c - what a call from C costs: messages to array elements, through the
 * public interface and the scheduler.
 *
 *     calls local N       N calls of a chare to itself, BURST under way
 *     calls pingpong N    N round trips between the chares of PE 0 and PE 1
 *     calls flood N       N calls from PE 0 to PE 1, as fast as they are taken
 *     calls together N    the same, and they travel together
 *     calls stream N      the same with WINDOW of them under way
 *     calls give N        the same in buffers that are given away, not copied
 *     calls reduce N      N times: broadcast to a group, sum of one double
 *     calls wide N        the same with an array of 10,000 chares
 *     calls quiet N       N times quiescence
 *
 * Prints one JSON line: what, how many, seconds, ns for each on average, and
 * in the median and the worst hundredth of the laps (laps.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chare.h>

#include "laps.h"

enum {
    BURST = 1000,
    WINDOW = 8, /* as the bare loop of net_ofi.c */
    WIDE = 10000,
    BYTES_MAX = 1 << 20
};

struct bench {
    chare_runtime *runtime;
    const char *mode;
    uint64_t count;
    uint64_t done;
    struct laps laps;
    size_t bytes;
    uint32_t type;
    uint32_t step;
    uint32_t last;
    uint32_t work;
    uint32_t next;
    chare_collection array;
    chare_element peer;
    chare_element self;
};

static void
check(chare_status status, const char *what)
{
    if (status != CHARE_OK) {
        fprintf(stderr, "calls: %s: %s\n", what, chare_status_text(status));
        exit(1);
    }
}

/* All is over: 'steps' messages made one round. */
static void
finish(struct bench *bench, uint64_t count, unsigned steps)
{
    laps_print(&bench->laps, bench->mode, count, bench->bytes, steps);
    chare_exit(bench->runtime, 0);
}

static void
send_to(struct bench *bench, const chare_element *to)
{
    static const char payload[BYTES_MAX];
    chare_data data = chare_data_bytes(payload, bench->bytes);

    if (bench->mode[0] == 'g') {
        chare_buffer *buffer;

        /* What lies there goes, as in a loop that sends one buffer again and
         * again; a program would write what it computes into it. */
        check(chare_buffer_alloc(bench->runtime, bench->bytes, &buffer),
              "buffer");
        data = chare_data_buffer(CHARE_FORMAT_BYTES, buffer);
    }
    check(chare_send(bench->runtime, to, bench->step, &data, NULL), "send");
}

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    chare_element *self = malloc(sizeof(*self));

    (void)context;
    if (self == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    *self = *call->self;
    *object_out = self;
    return CHARE_OK;
}

static void
destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

static void
step_local(struct bench *bench)
{
    laps_round(&bench->laps);
    if (++bench->done == bench->count) {
        finish(bench, bench->count, 1);
    } else if (bench->done + BURST <= bench->count) {
        send_to(bench, &bench->self);
    }
}

static void
step_pingpong(struct bench *bench, const chare_call *call)
{
    const chare_element other =
        chare_element_1d(bench->array, 1 - call->self->index.at[0]);

    if (call->self->index.at[0] == 0) {
        laps_round(&bench->laps);
        if (++bench->done == bench->count) {
            finish(bench, 2 * bench->count, 2);
            return;
        }
    }
    send_to(bench, &other);
}

/* PE 1 takes the time: from the first message that came to the last. */
static void
step_flood(struct bench *bench)
{
    const chare_element zero = chare_element_1d(bench->array, 0);

    if (bench->done == 0) {
        laps_start(&bench->laps, bench->count, lap_flood(bench->count));
    }
    laps_round(&bench->laps);
    if (++bench->done == bench->count) {
        laps_print(&bench->laps, bench->mode, bench->count, bench->bytes, 1);
        check(chare_send(bench->runtime, &zero, bench->last, NULL, NULL),
              "send");
    }
}

/* PE 0 sends the next one for each that PE 1 has got. */
static void
step_stream(struct bench *bench, const chare_call *call)
{
    const chare_element zero = chare_element_1d(bench->array, 0);
    const chare_element one = chare_element_1d(bench->array, 1);

    if (call->self->index.at[0] == 1) {
        check(chare_send(bench->runtime, &zero, bench->step, NULL, NULL),
              "send");
        step_flood(bench);
    } else if (++bench->done + WINDOW <= bench->count) {
        send_to(bench, &one);
    }
}

static void
step(void *object, const chare_call *call, void *context)
{
    struct bench *bench = context;

    (void)object;
    switch (bench->mode[0]) {
    case 'l':
        step_local(bench);
        break;
    case 'p':
        step_pingpong(bench, call);
        break;
    case 's':
    case 'g':
        step_stream(bench, call);
        break;
    default:
        step_flood(bench);
        break;
    }
}

static void
last(void *object, const chare_call *call, void *context)
{
    struct bench *bench = context;

    (void)object;
    (void)call;
    chare_exit(bench->runtime, 0);
}

static void
work(void *object, const chare_call *call, void *context)
{
    struct bench *bench = context;
    const chare_callback next = chare_callback_function(bench->next, 0, 0);
    const double one = 1;

    (void)object;
    if (bench->mode[0] == 'r') {
        check(chare_contribute_array(call->runtime, call->self,
                                     CHARE_REDUCE_SUM, CHARE_DTYPE_F64, &one,
                                     1, &next),
              "contribute");
    } else {
        check(chare_contribute(call->runtime, call->self, CHARE_REDUCE_NOP,
                               NULL, &next),
              "contribute");
    }
}

static void
next(const chare_call *call, void *context)
{
    struct bench *bench = context;
    const chare_callback again = chare_callback_function(bench->next, 0, 0);

    (void)call;
    if (bench->done == 0) {
        laps_start(&bench->laps, bench->count, LAP_ROUNDS);
    } else {
        laps_round(&bench->laps);
    }
    if (bench->done++ == bench->count) {
        finish(bench, bench->count, 1);
    } else if (bench->mode[0] == 'q') {
        check(chare_quiescence(bench->runtime, &again), "quiescence");
    } else {
        check(chare_broadcast(bench->runtime, bench->array, bench->work, NULL,
                              NULL),
              "broadcast");
    }
}

/* All chares exist: begin. */
static void
begin(struct bench *bench)
{
    const uint64_t burst = bench->count < BURST ? bench->count : BURST;
    const chare_element one = chare_element_1d(bench->array, 1);

    laps_start(&bench->laps, bench->count,
               bench->mode[0] == 'p' ? LAP_ROUNDS : LAP_FLOOD);
    bench->self = chare_element_1d(bench->array, 0);
    switch (bench->mode[0]) {
    case 'l':
        for (uint64_t i = 0; i < burst; i++) {
            send_to(bench, &bench->self);
        }
        break;
    case 'p':
        send_to(bench, &one);
        break;
    case 's':
    case 'g':
        for (uint64_t i = 0; i < WINDOW && i < bench->count; i++) {
            send_to(bench, &one);
        }
        break;
    default:
        for (uint64_t i = 0; i < bench->count; i++) {
            send_to(bench, &one);
        }
        break;
    }
}

static void
created(const chare_call *call, void *context)
{
    struct bench *bench = context;

    (void)call;
    if (strchr("rwq", bench->mode[0]) != NULL) {
        next(call, context);
    } else {
        begin(bench);
    }
}

static void
make_chares(struct bench *bench, uint32_t created_id)
{
    const chare_callback ready = chare_callback_function(created_id, 0, 0);
    chare_array_options options = {
        .size = sizeof(options),
        .type = bench->type,
        .ndims = 1,
        .dense = true,
        .dims = {bench->mode[0] == 'w'   ? WIDE
                 : bench->mode[0] == 'r' ? chare_pe_count(bench->runtime)
                                         : 2},
        .created = &ready,
    };

    if (chare_my_pe(bench->runtime) == 0) {
        check(
            chare_array_create(bench->runtime, &options, NULL, &bench->array),
            "create");
    } else {
        /* The first collection of PE 0: its name is known. */
        bench->array = 0;
    }
}

static void
step_entry(void *object, const chare_call *call, void *context)
{
    struct bench *bench = context;

    bench->array = call->self->collection;
    step(object, call, context);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.bytes = 8};
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Bench",
        .create = create,
        .destroy = destroy,
    };
    uint32_t created_id;
    chare_status status;
    int code;

    if (argc < 3) {
        fprintf(stderr, "usage: calls MODE COUNT [BYTES]\n");
        return 2;
    }
    bench.mode = argv[1];
    bench.count = strtoull(argv[2], NULL, 10);
    if (argc > 3) {
        bench.bytes = strtoull(argv[3], NULL, 10);
        bench.bytes = bench.bytes > BYTES_MAX ? BYTES_MAX : bench.bytes;
    }
    check(chare_open(NULL, &bench.runtime), "open");
    check(chare_type_register(bench.runtime, &ops, NULL, &bench.type), "type");
    check(chare_entry_register(bench.runtime, bench.type, "step", step_entry,
                               &bench, &bench.step),
          "entry");
    if (bench.mode[0] == 't') {
        check(chare_entry_aggregate(bench.runtime, bench.step, true),
              "aggregate");
    }
    check(chare_entry_register(bench.runtime, bench.type, "last", last, &bench,
                               &bench.last),
          "entry");
    check(chare_entry_register(bench.runtime, bench.type, "work", work, &bench,
                               &bench.work),
          "entry");
    check(chare_function_register(bench.runtime, "next", next, &bench,
                                  &bench.next),
          "function");
    check(chare_function_register(bench.runtime, "created", created, &bench,
                                  &created_id),
          "function");
    check(chare_start(bench.runtime), "start");
    make_chares(&bench, created_id);
    status = chare_run(bench.runtime);
    if (status != CHARE_OK) {
        fprintf(stderr, "calls: %s\n", chare_status_text(status));
    }
    code = chare_exit_code(bench.runtime);
    chare_close(bench.runtime);
    return code;
}
