/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hello.c - a group of chares, one on each PE, says hello; then a reduction
 * counts them.
 *
 *     cc hello.c $(pkg-config --cflags --libs chare) -o hello
 *     chare run -n 4 ./hello        or        srun --mpi=pmix -n 4 ./hello
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <chare.h>

struct program {
    uint32_t type;
    uint32_t greet;
    uint32_t done;
};

struct greeter {
    chare_element self;
};

static void
check(chare_status status, const char *what)
{
    if (status != CHARE_OK) {
        fprintf(stderr, "hello: %s: %s\n", what, chare_status_text(status));
        exit(1);
    }
}

static chare_status
greeter_create(const chare_call *call, void *context, void **object_out)
{
    struct greeter *greeter = malloc(sizeof(*greeter));

    (void)context;
    if (greeter == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    greeter->self = *call->self;
    *object_out = greeter;
    return CHARE_OK;
}

static void
greeter_destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

/* Entry method: say hello, and contribute 1 to a sum. */
static void
greet(void *object, const chare_call *call, void *context)
{
    const struct greeter *greeter = object;
    const struct program *program = context;
    const chare_callback done = chare_callback_function(program->done, 0, 0);
    const int64_t one = 1;
    const uint32_t pe = chare_my_pe(call->runtime);

    printf("hello from PE %" PRIu32 " of %" PRIu32 " on %s\n", pe,
           chare_pe_count(call->runtime),
           chare_node_name(call->runtime, chare_node_of(call->runtime, pe)));
    fflush(stdout);
    check(chare_contribute_array(call->runtime, &greeter->self,
                                 CHARE_REDUCE_SUM, CHARE_DTYPE_I64, &one, 1,
                                 &done),
          "contribute");
}

/* The sum has come: an array of one int64. */
static void
done(const chare_call *call, void *context)
{
    chare_decoder decoder;
    chare_value value;

    (void)context;
    chare_decoder_init(&decoder, call->bytes, call->len);
    check(chare_get(&decoder, &value), "read the sum");
    printf("%" PRId64 " chares said hello\n",
           *(const int64_t *)value.as.array.data);
    chare_exit(call->runtime, 0);
}

int
main(void)
{
    struct program program;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Greeter",
        .create = greeter_create,
        .destroy = greeter_destroy,
    };
    chare_runtime *runtime;
    chare_collection greeters;
    chare_status status;
    int code;

    check(chare_open(NULL, &runtime), "open");
    check(chare_type_register(runtime, &ops, &program, &program.type),
          "register a type");
    check(chare_entry_register(runtime, program.type, "greet", greet, &program,
                               &program.greet),
          "register an entry method");
    check(chare_function_register(runtime, "done", done, &program,
                                  &program.done),
          "register a function");
    check(chare_start(runtime), "start");
    if (chare_my_pe(runtime) == 0) {
        check(chare_group_create(runtime, program.type, NULL, NULL, &greeters),
              "create a group");
        check(chare_broadcast(runtime, greeters, program.greet, NULL, NULL),
              "broadcast");
    }
    status = chare_run(runtime);
    if (status != CHARE_OK) {
        fprintf(stderr, "hello: %s\n", chare_status_text(status));
    }
    code = chare_exit_code(runtime);
    chare_close(runtime);
    return code;
}
