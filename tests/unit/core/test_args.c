/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_args.c - reading the arguments of calls in C.
 *
 * Goal:   each kind is read as what it is, and anything else is an error that
 *         names the argument and sticks; whatever bytes come, nothing outside
 *         of them is read.
 * Method: calls made by hand, around a runtime of one PE.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <chare.h>

#include "base/prng.h"
#include "tap/tap.h"

static chare_runtime *
runtime_open(void)
{
    chare_open_options options = {.size = sizeof(options), .single = true};
    chare_runtime *runtime;

    if (chare_open(&options, &runtime) != CHARE_OK ||
        chare_start(runtime) != CHARE_OK) {
        abort();
    }
    return runtime;
}

static chare_call
call_of(chare_runtime *runtime, chare_encoder *encoder, chare_format format,
        chare_buffer **buffer_out)
{
    chare_call call = {.runtime = runtime, .format = format};

    if (chare_encoder_take(encoder, buffer_out) != CHARE_OK) {
        abort();
    }
    call.bytes = chare_buffer_bytes(*buffer_out, &call.len);
    return call;
}

static void
all_kinds_are_read(void)
{
    static const double numbers[4] = {1, 2, 3, 4};
    const int64_t shape[2] = {2, 2};
    const chare_future future = {77, 0, 0};
    const float single = 1.5f;
    chare_runtime *runtime = runtime_open();
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_callback callback;
    chare_value value;
    chare_call call;
    chare_args args;
    size_t len;
    void *room;

    CHECK_EQ(chare_call_begin(&encoder, runtime, 9), CHARE_OK);
    chare_put_int(&encoder, -5);
    chare_put_int(&encoder, 6);
    chare_put_scalar(&encoder, CHARE_DTYPE_F32, &single);
    chare_put_bool(&encoder, true);
    chare_put_str(&encoder, "text", 4);
    chare_put_container(&encoder, CHARE_TAG_LIST, 2);
    chare_put_int(&encoder, 1);
    chare_put_container(&encoder, CHARE_TAG_TUPLE, 0);
    room = chare_put_array(&encoder, CHARE_DTYPE_F64, 0, 2, shape,
                           sizeof(numbers));
    memcpy(room, numbers, sizeof(numbers));
    chare_put_future(&encoder, &future);
    chare_put_none(&encoder);
    call = call_of(runtime, &encoder, CHARE_FORMAT_ARGS, &buffer);
    CHECK_EQ(chare_args_open(&args, &call), CHARE_OK);
    CHECK_EQ(args.count, 9);
    CHECK_EQ(chare_arg_int(&args), -5);
    CHECK(chare_arg_float(&args) == 6.0);
    CHECK(chare_arg_float(&args) == 1.5);
    CHECK(chare_arg_bool(&args));
    CHECK(memcmp(chare_arg_str(&args, &len), "text", 4) == 0 && len == 4);
    CHECK_EQ(chare_arg(&args, &value), CHARE_OK);
    CHECK_EQ(value.tag, CHARE_TAG_LIST);
    CHECK_EQ(chare_arg(&args, &value), CHARE_OK);
    CHECK_EQ(chare_arg(&args, &value), CHARE_OK);
    CHECK_EQ(args.taken, 6);
    CHECK(memcmp(chare_arg_array(&args, CHARE_DTYPE_F64, &value), numbers,
                 sizeof(numbers)) == 0);
    CHECK_EQ(value.as.array.shape[1], 2);
    chare_arg_callback(&args, &callback);
    CHECK_EQ(callback.kind, CHARE_CALLBACK_FUTURE);
    CHECK_EQ(callback.future.id, 77);
    chare_arg_callback(&args, &callback);
    CHECK_EQ(callback.kind, CHARE_CALLBACK_NONE);
    CHECK_EQ(chare_args_end(&args), CHARE_OK);
    (void)chare_arg_int(&args);
    CHECK_EQ(args.status, CHARE_ERR_INVALID);
    CHECK(strcmp(chare_args_error(&args), "argument 10 is missing") == 0);
    chare_args_close(&args);
    chare_buffer_release(buffer);
    chare_close(runtime);
}

static void
what_is_wrong_is_named_and_sticks(void)
{
    chare_runtime *runtime = runtime_open();
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_call call;
    chare_args args;

    CHECK_EQ(chare_call_begin(&encoder, runtime, 3), CHARE_OK);
    chare_put_int(&encoder, 1);
    chare_put_extern(&encoder, 1, "pickle", 6);
    chare_put_int(&encoder, 3);
    call = call_of(runtime, &encoder, CHARE_FORMAT_ARGS, &buffer);
    CHECK_EQ(chare_args_open(&args, &call), CHARE_OK);
    CHECK_EQ(chare_arg_int(&args), 1);
    CHECK_EQ(chare_arg_int(&args), 0);
    CHECK(strstr(chare_args_error(&args), "argument 2 is a Python object") !=
          NULL);
    CHECK_EQ(chare_arg_int(&args), 0);
    CHECK_EQ(chare_args_end(&args), CHARE_ERR_INVALID);
    CHECK(strstr(chare_args_error(&args), "argument 2") != NULL);
    chare_args_close(&args);
    CHECK_EQ(chare_args_open(&args, &call), CHARE_OK);
    CHECK_EQ(chare_arg_int(&args), 1);
    CHECK_EQ(chare_args_end(&args), CHARE_ERR_INVALID);
    CHECK(strcmp(chare_args_error(&args), "takes 1 arguments (3 given)") == 0);
    chare_args_close(&args);
    chare_buffer_release(buffer);
    chare_close(runtime);
}

static void
results_and_errors_are_read(void)
{
    chare_runtime *runtime = runtime_open();
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_value value;
    chare_call call = {.runtime = runtime,
                       .format = CHARE_FORMAT_BYTES,
                       .bytes = "bytes",
                       .len = 5};
    chare_args args;

    CHECK_EQ(chare_args_open(&args, &call), CHARE_OK);
    CHECK_EQ(chare_arg(&args, &value), CHARE_OK);
    CHECK(value.tag == CHARE_TAG_BYTES && value.as.bytes.len == 5);
    CHECK_EQ(chare_args_end(&args), CHARE_OK);
    chare_args_close(&args);
    CHECK_EQ(chare_encoder_init(&encoder, runtime, 0), CHARE_OK);
    chare_put_int(&encoder, 12);
    call = call_of(runtime, &encoder, CHARE_FORMAT_VALUE, &buffer);
    CHECK_EQ(chare_args_open(&args, &call), CHARE_OK);
    CHECK_EQ(chare_arg_int(&args), 12);
    CHECK_EQ(chare_args_end(&args), CHARE_OK);
    chare_args_close(&args);
    chare_buffer_release(buffer);
    CHECK_EQ(chare_encoder_init(&encoder, runtime, 0), CHARE_OK);
    chare_put_error(&encoder, "ValueError", "so it is", "", false);
    call = call_of(runtime, &encoder, CHARE_FORMAT_ERROR, &buffer);
    CHECK_EQ(chare_args_open(&args, &call), CHARE_ERR_STATE);
    CHECK(strcmp(chare_args_error(&args), "so it is") == 0);
    CHECK_EQ(chare_arg_int(&args), 0);
    chare_args_close(&args);
    chare_buffer_release(buffer);
    chare_close(runtime);
}

/* Read whatever is there, by the function that chance says. */
static void
read_any(chare_args *args, struct chi_prng *prng)
{
    chare_callback callback;
    chare_proxy proxy;
    chare_value value;
    size_t len;

    for (int i = 0; i < 20; i++) {
        switch (chi_prng_below(prng, 8)) {
        case 0:
            (void)chare_arg_int(args);
            break;
        case 1:
            (void)chare_arg_float(args);
            break;
        case 2:
            (void)chare_arg_str(args, &len);
            break;
        case 3:
            (void)chare_arg_bytes(args, &len);
            break;
        case 4:
            (void)chare_arg_array(args, CHARE_DTYPE_F64, &value);
            break;
        case 5:
            chare_arg_proxy(args, &proxy);
            break;
        case 6:
            chare_arg_callback(args, &callback);
            break;
        default:
            (void)chare_arg(args, &value);
            break;
        }
    }
    CHECK(chare_args_end(args) <= CHARE_OK);
}

static void
any_bytes_are_safe(void)
{
    static const chare_format formats[] = {
        CHARE_FORMAT_ARGS, CHARE_FORMAT_VALUE, CHARE_FORMAT_ERROR};
    chare_runtime *runtime = runtime_open();
    struct chi_prng prng;

    chi_prng_init(&prng, 4711);
    for (int n = 0; n < 3000; n++) {
        const size_t len = 1 + chi_prng_below(&prng, 40);
        unsigned char *bytes = aligned_alloc(16, 48);
        chare_call call = {.runtime = runtime,
                           .format = formats[n % 3],
                           .bytes = bytes,
                           .len = len};
        chare_args args;

        if (bytes == NULL) {
            abort();
        }
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (unsigned char)(chi_prng_below(&prng, 2) == 0
                                           ? chi_prng_below(&prng, 32)
                                           : chi_prng_below(&prng, 256));
        }
        (void)chare_args_open(&args, &call);
        read_any(&args, &prng);
        chare_args_close(&args);
        free(bytes);
    }
    CHECK(true);
    chare_close(runtime);
}

static chare_status
nothing_made(chare_args *args, void **object_out)
{
    *object_out = args;
    return CHARE_OK;
}

static void
tables_are_checked(void)
{
    static const chare_method bad_methods[] = {{"run", NULL, "", NULL},
                                               {NULL, NULL, NULL, NULL}};
    const chare_class good[] = {{.name = "A", .create = nothing_made},
                                {.name = NULL}};
    const chare_class no_create[] = {{.name = "B"}, {.name = NULL}};
    const chare_class no_function[] = {
        {.name = "C", .create = nothing_made, .methods = bad_methods},
        {.name = NULL}};
    const chare_plugin plugins[] = {
        {CHARE_PLUGIN_ABI, "p", NULL, good},
        {CHARE_PLUGIN_ABI + 1, "q", NULL, good},
        {CHARE_PLUGIN_ABI, "r", NULL, no_create},
        {CHARE_PLUGIN_ABI, "s", NULL, no_function},
        {CHARE_PLUGIN_ABI, NULL, NULL, good},
    };
    chare_runtime *runtime;
    uint32_t entry;
    uint32_t type;

    CHECK_EQ(chare_open(NULL, &runtime), CHARE_OK);
    CHECK_EQ(chare_plugin_register(runtime, &plugins[0]), CHARE_OK);
    CHECK_EQ(chare_plugin_register(runtime, &plugins[0]), CHARE_ERR_EXISTS);
    for (int i = 1; i < 5; i++) {
        CHECK_EQ(chare_plugin_register(runtime, &plugins[i]),
                 CHARE_ERR_INVALID);
    }
    CHECK_EQ(chare_type_find(runtime, "p.A", &type), CHARE_OK);
    CHECK_EQ(chare_type_find(runtime, "A", &type), CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_entry_find(runtime, type, "migrate", &entry), CHARE_OK);
    CHECK(strcmp(chare_entry_name(runtime, entry), "p.A.migrate") == 0);
    CHECK_EQ(chare_entry_find(runtime, type, "run", &entry),
             CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_entry_find(runtime, 9999, "run", &entry),
             CHARE_ERR_NOT_FOUND);
    chare_close(runtime);
}

TAP_MAIN(TAP_CASE(all_kinds_are_read),
         TAP_CASE(what_is_wrong_is_named_and_sticks),
         TAP_CASE(results_and_errors_are_read), TAP_CASE(any_bytes_are_safe),
         TAP_CASE(tables_are_checked))
