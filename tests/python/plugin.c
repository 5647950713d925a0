/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin.c - classes of chares in C, for test_plugins.py.
 */
#include <stdlib.h>
#include <string.h>

#include <chare.h>

/* ---- Cell: a number, and what can be done with it */

struct cell {
    int64_t sum;
};

static chare_status
cell_create(chare_args *args, void **object_out)
{
    const int64_t sum = chare_arg_int(args);
    struct cell *cell;

    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    cell = malloc(sizeof(*cell));
    if (cell == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    cell->sum = sum;
    *object_out = cell;
    return CHARE_OK;
}

static chare_status
cell_pack(void *object, chare_encoder *encoder)
{
    chare_put_int(encoder, ((struct cell *)object)->sum);
    return CHARE_OK;
}

static chare_status
cell_unpack(chare_args *state, void **object_out)
{
    return cell_create(state, object_out);
}

static chare_status
cell_add(void *object, chare_args *args)
{
    struct cell *cell = object;
    const int64_t amount = chare_arg_int(args);

    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    cell->sum += amount;
    chare_put_int(chare_args_result(args), cell->sum);
    return CHARE_OK;
}

static chare_status
cell_nothing(void *object, chare_args *args)
{
    (void)object;
    return chare_args_end(args);
}

/* Contribute the number, twice as a float and thrice in an array. */
static chare_status
cell_sum_to(void *object, chare_args *args)
{
    const struct cell *cell = object;
    double values[3];
    chare_callback done;

    chare_arg_callback(args, &done);
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    for (int i = 0; i < 3; i++) {
        values[i] = (double)(cell->sum * (i + 1));
    }
    return chare_contribute_array(args->runtime, args->call->self,
                                  CHARE_REDUCE_SUM, CHARE_DTYPE_F64, values, 3,
                                  &done);
}

static chare_status
cell_count_to(void *object, chare_args *args)
{
    const struct cell *cell = object;
    chare_callback done;

    chare_arg_callback(args, &done);
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    return chare_contribute_int(args->runtime, args->call->self,
                                CHARE_REDUCE_SUM, cell->sum, &done);
}

/* A target of reductions. */
static chare_status
cell_take_total(void *object, chare_args *args)
{
    struct cell *cell = object;
    chare_value value;

    if (chare_arg(args, &value) != CHARE_OK) {
        return args->status;
    }
    if (value.tag == CHARE_TAG_INT) {
        cell->sum = value.as.integer;
    } else if (value.tag == CHARE_TAG_ARRAY) {
        cell->sum = (int64_t)((const double *)value.as.array.data)[0];
    } else {
        return chare_args_fail(args, "TypeError", "a total of no known kind");
    }
    return chare_args_end(args);
}

/* Call a method of any chare by its name, with what comes. */
static chare_status
cell_tell(void *object, chare_args *args)
{
    const struct cell *cell = object;
    char name[64] = "";
    chare_encoder encoder;
    chare_proxy proxy;
    const char *text;
    chare_status status;
    uint32_t entry;
    size_t len;

    chare_arg_proxy(args, &proxy);
    text = chare_arg_str(args, &len);
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    if (len >= sizeof(name)) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(name, text, len);
    if (chare_entry_find(args->runtime, proxy.type, name, &entry) !=
        CHARE_OK) {
        return chare_args_fail(args, "AttributeError", "no such method");
    }
    status = chare_call_begin(&encoder, args->runtime, 2);
    if (status == CHARE_OK) {
        chare_put_int(&encoder, cell->sum);
        chare_put_str(&encoder, "from C", 6);
        status =
            chare_proxy_call(args->runtime, &proxy, entry, &encoder, NULL);
    }
    return status;
}

/* The proxy of this chare's array. */
static chare_status
cell_whole(void *object, chare_args *args)
{
    chare_element whole = {.collection = args->call->self->collection};
    chare_proxy proxy;
    chare_status status = chare_proxy_of(args->runtime, &whole, &proxy);

    (void)object;
    if (status == CHARE_OK) {
        chare_put_proxy(chare_args_result(args), &proxy);
    }
    return status;
}

/* Ask a chare's 'add', and answer with what it answers. */
struct question {
    chare_reply reply;
    chare_future future;
};

static void
answered(const chare_call *call, void *context)
{
    struct question *question = context;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data = {0};
    chare_args args;
    int64_t answer;

    (void)chare_args_open(&args, call);
    answer = chare_arg_int(&args);
    if (chare_encoder_init(&encoder, call->runtime, 64) != CHARE_OK) {
        abort();
    }
    if (chare_args_end(&args) == CHARE_OK) {
        chare_put_int(&encoder, answer);
    } else {
        chare_put_error(&encoder, "LookupError", chare_args_error(&args), "",
                        false);
    }
    data.format =
        args.status == CHARE_OK ? CHARE_FORMAT_VALUE : CHARE_FORMAT_ERROR;
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        abort();
    }
    data.buffer = buffer;
    if (chare_reply_send(call->runtime, &question->reply, &data) != CHARE_OK) {
        abort();
    }
    chare_future_release(call->runtime, &question->future, true);
    free(question);
    chare_args_close(&args);
}

static chare_status
cell_ask(void *object, chare_args *args)
{
    struct question *question;
    chare_send_options options = {.size = sizeof(options)};
    chare_encoder encoder;
    chare_callback reply;
    chare_proxy proxy;
    chare_status status;
    uint32_t entry;

    (void)object;
    chare_arg_proxy(args, &proxy);
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    if (!args->call->wants_reply ||
        chare_entry_find(args->runtime, proxy.type, "add", &entry) !=
            CHARE_OK) {
        return CHARE_ERR_NOT_FOUND;
    }
    question = calloc(1, sizeof(*question));
    if (question == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = chare_future_create(args->runtime, answered, question,
                                 &question->future);
    if (status == CHARE_OK) {
        status = chare_call_begin(&encoder, args->runtime, 1);
    }
    if (status != CHARE_OK) {
        free(question);
        return status;
    }
    chare_put_int(&encoder, 1000);
    reply = chare_callback_future(question->future);
    options.reply = &reply;
    status =
        chare_proxy_call(args->runtime, &proxy, entry, &encoder, &options);
    if (status == CHARE_OK) {
        chare_call_take_reply(args->call, &question->reply);
    }
    return status;
}

/* ---- what C sees of values, and sends back */

static void echo(chare_args *args, const chare_value *value,
                 chare_encoder *out);

static void
echo_items(chare_args *args, size_t count, chare_encoder *out)
{
    for (size_t i = 0; i < count; i++) {
        chare_value item;

        if (chare_arg(args, &item) == CHARE_OK) {
            echo(args, &item, out);
        }
    }
}

static void
echo_array(const chare_value *value, chare_encoder *out)
{
    void *data = chare_put_array(out, value->as.array.dtype,
                                 value->as.array.flags, value->as.array.ndims,
                                 value->as.array.shape, value->as.array.len);

    if (data != NULL) {
        memcpy(data, value->as.array.data, value->as.array.len);
    }
}

static void
echo(chare_args *args, const chare_value *value, chare_encoder *out)
{
    const void *at = value->as.bytes.at;
    const size_t len = value->as.bytes.len;

    switch (value->tag) {
    case CHARE_TAG_NONE:
        chare_put_none(out);
        break;
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        chare_put_bool(out, value->tag == CHARE_TAG_TRUE);
        break;
    case CHARE_TAG_INT:
        chare_put_int(out, value->as.integer);
        break;
    case CHARE_TAG_BIGINT:
        chare_put_bigint(out, at, len);
        break;
    case CHARE_TAG_FLOAT:
        chare_put_float(out, value->as.real);
        break;
    case CHARE_TAG_COMPLEX:
        chare_put_complex(out, value->as.pair.real, value->as.pair.imag);
        break;
    case CHARE_TAG_STR:
        chare_put_str(out, at, len);
        break;
    case CHARE_TAG_BYTES:
        chare_put_bytes(out, at, len);
        break;
    case CHARE_TAG_BYTEARRAY:
        chare_put_bytearray(out, at, len);
        break;
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
    case CHARE_TAG_SET:
    case CHARE_TAG_FROZENSET:
        chare_put_container(out, value->tag, value->as.count);
        echo_items(args, value->as.count, out);
        break;
    case CHARE_TAG_DICT:
        chare_put_container(out, value->tag, value->as.count);
        echo_items(args, 2 * value->as.count, out);
        break;
    case CHARE_TAG_ARRAY:
        echo_array(value, out);
        break;
    case CHARE_TAG_SCALAR:
        chare_put_scalar(out, value->as.bytes.dtype, at);
        break;
    case CHARE_TAG_FUTURE:
        chare_put_future(out, &value->as.future);
        break;
    case CHARE_TAG_CALLBACK:
        chare_put_callback(out, &value->as.callback);
        break;
    case CHARE_TAG_PROXY:
        chare_put_proxy(out, &value->as.proxy);
        break;
    default:
        (void)chare_args_fail(args, "TypeError", "a value of no known kind");
        break;
    }
}

/* A tuple of all arguments. */
static chare_status
cell_echo(void *object, chare_args *args)
{
    chare_encoder *out = chare_args_result(args);

    (void)object;
    chare_put_container(out, CHARE_TAG_TUPLE, args->count);
    while (args->status == CHARE_OK && args->taken < args->count) {
        chare_value value;

        if (chare_arg(args, &value) == CHARE_OK) {
            echo(args, &value, out);
        }
    }
    return args->status;
}

/* The sum of x * y, and where the elements are modulo 16. */
static chare_status
cell_dot(void *object, chare_args *args)
{
    chare_value x;
    const double *elements = chare_arg_array(args, CHARE_DTYPE_F64, &x);
    const double factor = args->count > 1 ? chare_arg_float(args) : 1;
    double sum = 0;

    (void)object;
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    for (size_t i = 0; i < x.as.array.len / sizeof(*elements); i++) {
        sum += elements[i] * factor;
    }
    chare_put_float(chare_args_result(args), sum);
    return CHARE_OK;
}

static chare_status
cell_where(void *object, chare_args *args)
{
    (void)object;
    chare_put_int(chare_args_result(args), chare_my_pe(args->runtime));
    return chare_args_end(args);
}

/* Fail in the way that is asked for. */
static chare_status
cell_fail(void *object, chare_args *args)
{
    size_t len;
    const char *how = chare_arg_str(args, &len);

    (void)object;
    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    if (len == 5 && memcmp(how, "words", 5) == 0) {
        return chare_args_fail(args, "ValueError", "as you wish");
    }
    if (len == 6 && memcmp(how, "unread", 6) == 0) {
        (void)chare_arg_int(args); /* there is none, and nobody looks */
        return CHARE_OK;
    }
    return CHARE_ERR_NO_MEMORY;
}

static const chare_method cell_methods[] = {
    {"add", cell_add, "amount", "Add an amount; the new sum."},
    {"nothing", cell_nothing, "", NULL},
    {"sumTo", cell_sum_to, "done", NULL},
    {"countTo", cell_count_to, "done", NULL},
    {"takeTotal", cell_take_total, "total", NULL},
    {"tell", cell_tell, "target, method", NULL},
    {"whole", cell_whole, "", NULL},
    {"ask", cell_ask, "target", NULL},
    {"echo", cell_echo, NULL, "All arguments, as C sees them."},
    {"dot", cell_dot, "x, factor=", NULL},
    {"where", cell_where, "", NULL},
    {"fail", cell_fail, "how", NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- Small: as little as there can be; it cannot move */

static chare_status
small_create(chare_args *args, void **object_out)
{
    static int nothing; /* never written to */

    *object_out = &nothing;
    return chare_args_end(args);
}

static const chare_method small_methods[] = {
    {"add", cell_nothing, "amount", NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- Shy: it does not move the first times that it is packed */

struct shy {
    int64_t refusals; /* that are to come */
    int64_t asked;
};

static chare_status
shy_create(chare_args *args, void **object_out)
{
    struct shy *shy;

    if (chare_args_end(args) != CHARE_OK) {
        return args->status;
    }
    shy = calloc(1, sizeof(*shy));
    *object_out = shy;
    return shy != NULL ? CHARE_OK : CHARE_ERR_NO_MEMORY;
}

static chare_status
shy_pack(void *object, chare_encoder *encoder)
{
    struct shy *shy = object;

    shy->asked++;
    if (shy->refusals > 0) {
        shy->refusals--;
        return CHARE_ERR_AGAIN;
    }
    if (shy->refusals < 0) {
        chare_put_str(encoder, "often", 5); /* what unpack does not expect */
    } else {
        chare_put_int(encoder, shy->asked);
    }
    return CHARE_OK;
}

static chare_status
shy_unpack(chare_args *state, void **object_out)
{
    struct shy *shy = calloc(1, sizeof(*shy));

    if (shy == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    shy->asked = chare_arg_int(state);
    if (chare_args_end(state) != CHARE_OK) {
        free(shy);
        return state->status;
    }
    *object_out = shy;
    return CHARE_OK;
}

static chare_status
shy_refuse(void *object, chare_args *args)
{
    ((struct shy *)object)->refusals = chare_arg_int(args);
    return chare_args_end(args);
}

static chare_status
shy_retry(void *object, chare_args *args)
{
    chare_status status = chare_migrate_retry(args->runtime, args->call->self);

    (void)object;
    return status == CHARE_ERR_STATE ? CHARE_OK : status; /* it has moved */
}

static chare_status
shy_asked(void *object, chare_args *args)
{
    chare_put_int(chare_args_result(args), ((struct shy *)object)->asked);
    return chare_args_end(args);
}

static const chare_method shy_methods[] = {
    {"refuse", shy_refuse, "times", NULL},
    {"retry", shy_retry, "", NULL},
    {"asked", shy_asked, "", NULL},
    {"where", cell_where, "", NULL},
    {NULL, NULL, NULL, NULL},
};

static const chare_class classes[] = {
    {.name = "Cell",
     .doc = "A number.",
     .params = "sum",
     .create = cell_create,
     .destroy = free,
     .pack = cell_pack,
     .unpack = cell_unpack,
     .methods = cell_methods},
    {.name = "Small",
     .create = small_create,
     .params = "",
     .methods = small_methods},
    {.name = "Shy",
     .create = shy_create,
     .destroy = free,
     .pack = shy_pack,
     .unpack = shy_unpack,
     .params = "",
     .methods = shy_methods},
    {.name = NULL},
};

#ifndef PLUGIN_ABI
#define PLUGIN_ABI CHARE_PLUGIN_ABI
#endif

CHARE_PLUGIN = {PLUGIN_ABI, "cells", "Cells in C, for tests.", classes};
