/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metg.c - METG(50 %) of chares in C, as metg.py.
 *
 *     metg TASK_NS [block]
 *
 * One chare for each column, or (block) one for each PE, which has as many
 * columns as a process of MPI has. A chare runs its tasks of a step when the
 * outputs of others that they need have come, each by a call of its own;
 * another one is one step ahead at most, so that two counters do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <chare.h>

#include "sweep.h"

struct program {
    chare_runtime *runtime;
    uint64_t task_ns;
    struct sweep sweep;
    uint64_t start_ns;
    int radius;
    int held;                /* columns of each chare */
    chare_collection chares; /* on PE 0 */
    uint32_t type;
    uint32_t go;
    uint32_t begin;
    uint32_t take;
    uint32_t next;
};

/* What a chare is told before it begins. */
struct order {
    uint64_t iterations;
    uint64_t steps;
    int64_t radius;
    int64_t width;
};

enum {
    /* Every column with every other one on both sides, at most. */
    BORDERS_MAX = 2 * SWEEP_RADIUS_MAX * SWEEP_WIDTH_PER_PE
};

/* An output that another chare needs. */
struct border {
    chare_element neighbour;
    int64_t column;
};

/* A chare: one column, or some that lie side by side. */
struct column {
    struct order order;
    uint64_t step;
    int held;   /* columns */
    int needed; /* outputs in each step, as many as others need of it */
    int got[2]; /* outputs that came for even and for odd steps */
    struct border borders[BORDERS_MAX]; /* 'needed' of them */
};

/* A task's output: 16 bytes. */
struct output {
    uint64_t step; /* that it is needed for */
    int64_t column;
};

static void
check(chare_status status, const char *what)
{
    if (status != CHARE_OK) {
        fprintf(stderr, "metg: %s: %s\n", what, chare_status_text(status));
        exit(1);
    }
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    (void)call;
    (void)context;
    *object_out = calloc(1, sizeof(struct column));
    return *object_out == NULL ? CHARE_ERR_NO_MEMORY : CHARE_OK;
}

static void
destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

/* Find who needs the outputs of one column. */
static void
borders_add(struct column *column, chare_collection chares, int64_t mine)
{
    const struct order *order = &column->order;

    for (int64_t other = mine - order->radius; other <= mine + order->radius;
         other++) {
        if (other >= 0 && other < order->width &&
            other / column->held != mine / column->held) {
            column->borders[column->needed++] = (struct border){
                chare_element_1d(chares, other / column->held), mine};
        }
    }
}

static void
go(void *object, const chare_call *call, void *context)
{
    struct program *program = context;
    struct column *column = object;
    const chare_callback all =
        chare_callback_broadcast(call->collection, program->begin);
    const int64_t me = call->self->index.at[0];

    memcpy(&column->order, call->bytes, sizeof(column->order));
    column->step = 0;
    column->held = program->held;
    column->needed = 0;
    for (int i = 0; i < column->held; i++) {
        borders_add(column, call->self->collection, me * column->held + i);
    }
    column->got[0] = column->needed;
    column->got[1] = 0;
    check(chare_contribute(call->runtime, call->self, CHARE_REDUCE_NOP, NULL,
                           &all),
          "contribute");
}

static void
tell_neighbours(const struct program *program, const struct column *column,
                chare_runtime *runtime)
{
    for (int i = 0; i < column->needed; i++) {
        const struct border *border = &column->borders[i];
        const struct output output = {column->step, border->column};
        const chare_data data = chare_data_bytes(&output, sizeof(output));

        check(chare_send(runtime, &border->neighbour, program->take, &data,
                         NULL),
              "send");
    }
}

/* The tasks of this step, and of those for which all is here. */
static void
work(const struct program *program, struct column *column,
     const chare_call *call)
{
    const chare_callback done = chare_callback_function(program->next, 0, 0);

    do {
        column->got[column->step & 1] = 0;
        for (int i = 0; i < column->held; i++) {
            kernel_run(column->order.iterations);
        }
        if (++column->step == column->order.steps) {
            check(chare_contribute(call->runtime, call->self, CHARE_REDUCE_NOP,
                                   NULL, &done),
                  "contribute");
            return;
        }
        tell_neighbours(program, column, call->runtime);
    } while (column->got[column->step & 1] == column->needed);
}

static void
begin(void *object, const chare_call *call, void *context)
{
    work(context, object, call);
}

static void
take(void *object, const chare_call *call, void *context)
{
    struct column *column = object;
    struct output output;

    memcpy(&output, call->bytes, sizeof(output));
    if (++column->got[output.step & 1] == column->needed &&
        output.step == column->step) {
        work(context, column, call);
    }
}

/* A pattern is over: the next one, or the end. */
static void
pattern_end(struct program *program)
{
    sweep_print(&program->sweep, program->radius == SWEEP_STENCIL_1D
                                     ? "stencil_1d"
                                     : "nearest");
    if (program->radius == SWEEP_NEAREST_5) {
        chare_exit(program->runtime, 0);
        return;
    }
    program->radius = SWEEP_NEAREST_5;
    sweep_start(&program->sweep, chare_pe_count(program->runtime),
                program->task_ns);
}

/* On PE 0: all columns exist, or have run all their steps. */
static void
next(const chare_call *call, void *context)
{
    struct program *program = context;
    struct order order = {.radius = SWEEP_STENCIL_1D};
    const chare_data data = chare_data_bytes(&order, sizeof(order));

    if (program->start_ns == 0) {
        program->radius = SWEEP_STENCIL_1D;
        sweep_start(&program->sweep, chare_pe_count(call->runtime),
                    program->task_ns);
    } else {
        sweep_took(&program->sweep, now_ns() - program->start_ns);
    }
    if (!sweep_next(&program->sweep, &order.iterations, &order.steps)) {
        const bool last = program->radius == SWEEP_NEAREST_5;

        pattern_end(program);
        if (last ||
            !sweep_next(&program->sweep, &order.iterations, &order.steps)) {
            return;
        }
    }
    order.radius = program->radius;
    order.width = program->sweep.width;
    program->start_ns = now_ns();
    check(chare_broadcast(call->runtime, program->chares, program->go, &data,
                          NULL),
          "broadcast");
}

static void
register_all(struct program *program)
{
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Column",
        .create = create,
        .destroy = destroy,
    };
    chare_runtime *runtime = program->runtime;

    check(chare_type_register(runtime, &ops, NULL, &program->type), "type");
    check(chare_entry_register(runtime, program->type, "go", go, program,
                               &program->go),
          "entry");
    check(chare_entry_register(runtime, program->type, "begin", begin, program,
                               &program->begin),
          "entry");
    check(chare_entry_register(runtime, program->type, "take", take, program,
                               &program->take),
          "entry");
    check(chare_function_register(runtime, "next", next, program,
                                  &program->next),
          "function");
}

int
main(int argc, char **argv)
{
    struct program program = {
        .task_ns = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000,
        .held =
            argc > 2 && strcmp(argv[2], "block") == 0 ? SWEEP_WIDTH_PER_PE : 1,
    };
    chare_callback ready;
    chare_array_options options = {
        .size = sizeof(options), .ndims = 1, .dense = true, .created = &ready};
    int code;

    check(chare_open(NULL, &program.runtime), "open");
    register_all(&program);
    check(chare_start(program.runtime), "start");
    if (chare_my_pe(program.runtime) == 0) {
        ready = chare_callback_function(program.next, 0, 0);
        options.type = program.type;
        options.dims[0] = chare_pe_count(program.runtime) *
                          SWEEP_WIDTH_PER_PE / program.held;
        check(chare_array_create(program.runtime, &options, NULL,
                                 &program.chares),
              "create");
    }
    if (chare_run(program.runtime) != CHARE_OK) {
        fprintf(stderr, "metg: the job failed\n");
    }
    code = chare_exit_code(program.runtime);
    chare_close(program.runtime);
    return code;
}
