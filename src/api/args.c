/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * args.c - arguments of calls, as C reads and writes them.
 *
 * A local payload is read item by item where its owner can show it, and else
 * encoded once. The first error sticks, with a text that names the argument.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/args.h"
#include "msg/codec.h"

/* ---- errors */

/* The name of the i-th parameter; its length, or 0. */
static size_t
param_name(const char *params, size_t i, const char **name_out)
{
    const char *at = params == NULL ? "" : params;

    for (; i > 0 && *at != '\0'; i--) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    at += strspn(at, " ");
    *name_out = at;
    return strcspn(at, " ,=");
}

chare_status
chi_args_fail(chare_args *args, const char *kind, const char *format, ...)
{
    va_list list;

    if (args->status == CHARE_OK) {
        args->status = CHARE_ERR_INVALID;
        snprintf(args->error_kind, sizeof(args->error_kind), "%s", kind);
        va_start(list, format);
        vsnprintf(args->error, sizeof(args->error), format, list);
        va_end(list);
    }
    return CHARE_ERR_INVALID;
}

chare_status
chare_args_fail(chare_args *args, const char *kind, const char *text)
{
    return chi_args_fail(args, kind, "%s", text);
}

const char *
chare_args_error(const chare_args *args)
{
    return args->status == CHARE_OK ? "" : args->error;
}

static chare_status
fail_format(chare_args *args)
{
    (void)chi_args_fail(args, "Error", "the arguments are no values");
    args->status = CHARE_ERR_FORMAT;
    return args->status;
}

static const char *
value_words(const chare_value *value)
{
    static const char *const words[] = {
        [CHARE_TAG_NONE] = "None",
        [CHARE_TAG_FALSE] = "a bool",
        [CHARE_TAG_TRUE] = "a bool",
        [CHARE_TAG_INT] = "an int",
        [CHARE_TAG_BIGINT] = "an int beyond 64 bits",
        [CHARE_TAG_FLOAT] = "a float",
        [CHARE_TAG_COMPLEX] = "a complex",
        [CHARE_TAG_STR] = "a str",
        [CHARE_TAG_BYTES] = "bytes",
        [CHARE_TAG_BYTEARRAY] = "a bytearray",
        [CHARE_TAG_TUPLE] = "a tuple",
        [CHARE_TAG_LIST] = "a list",
        [CHARE_TAG_DICT] = "a dict",
        [CHARE_TAG_SET] = "a set",
        [CHARE_TAG_FROZENSET] = "a frozenset",
        [CHARE_TAG_ARRAY] = "an array",
        [CHARE_TAG_SCALAR] = "a NumPy scalar",
        [CHARE_TAG_EXTERN] = "a Python object that was pickled, which C "
                             "cannot read",
        [CHARE_TAG_ELEMENT] = "the name of a chare",
        [CHARE_TAG_FUTURE] = "a future",
        [CHARE_TAG_CALLBACK] = "a proxy's method",
        [CHARE_TAG_ERROR] = "an error",
        [CHARE_TAG_PROXY] = "a proxy",
    };
    const char *found = (size_t)value->tag < sizeof(words) / sizeof(*words)
                            ? words[value->tag]
                            : NULL;

    return found == NULL ? "no value" : found;
}

/* The argument that was read last is not what was asked for. */
static void
fail_kind(chare_args *args, const char *what, const char *wanted)
{
    const size_t i = args->taken == 0 ? 0 : args->taken - 1;
    const char *name;
    const int len = (int)param_name(args->params, i, &name);

    (void)chi_args_fail(args, "TypeError",
                        "argument %zu%s%.*s%s is %s, "
                        "not %s",
                        i + 1, len > 0 ? " (" : "", len, name,
                        len > 0 ? ")" : "", what, wanted);
}

static chare_status
fail_missing(chare_args *args)
{
    const char *name;
    const int len = (int)param_name(args->params, args->count, &name);

    return chi_args_fail(args, "TypeError", "argument %zu%s%.*s%s is missing",
                         args->count + 1, len > 0 ? " (" : "", len, name,
                         len > 0 ? ")" : "");
}

/* ---- opening */

/* The payload's items cannot be shown: have it encoded. */
static chare_status
encode_payload(chare_args *args)
{
    const chare_call *call = args->call;
    chare_encoder encoder;
    chare_value value;
    chare_status status;
    size_t len;

    status = chare_encoder_init(&encoder, args->runtime, 128);
    if (status == CHARE_OK) {
        status = call->payload_ops->encode(call->payload, &encoder);
        if (status == CHARE_OK) {
            status = chare_encoder_take(&encoder, &args->bytes);
        } else {
            chare_encoder_fini(&encoder);
        }
    }
    if (status != CHARE_OK) {
        (void)chi_args_fail(args, "Error",
                            "the arguments cannot be "
                            "encoded: %s",
                            chare_status_text(status));
        args->status = status;
        return status;
    }
    chare_decoder_init(&args->decoder, chare_buffer_bytes(args->bytes, NULL),
                       (chare_buffer_bytes(args->bytes, &len), len));
    if (call->format == CHARE_FORMAT_ARGS &&
        (chare_get(&args->decoder, &value) != CHARE_OK ||
         value.tag != CHARE_TAG_TUPLE)) {
        return chi_args_fail(args, "TypeError", "the arguments hold %s",
                             value_words(&value));
    }
    args->count = call->format == CHARE_FORMAT_ARGS ? value.as.count : 1;
    for (size_t i = 0; i < args->taken; i++) {
        if (chare_skip(&args->decoder) != CHARE_OK) {
            return fail_format(args);
        }
    }
    return CHARE_OK;
}

/* An error instead of a value: its kind and text are this one's. */
static chare_status
open_error(chare_args *args)
{
    chare_value head;
    chare_value kind;
    chare_value text;

    if (chare_get(&args->decoder, &head) != CHARE_OK ||
        head.tag != CHARE_TAG_ERROR ||
        chare_get(&args->decoder, &kind) != CHARE_OK ||
        kind.tag != CHARE_TAG_STR ||
        chare_get(&args->decoder, &text) != CHARE_OK ||
        text.tag != CHARE_TAG_STR) {
        return fail_format(args);
    }
    snprintf(args->error_kind, sizeof(args->error_kind), "%.*s",
             (int)(kind.as.bytes.len & 0xff), (const char *)kind.as.bytes.at);
    snprintf(args->error, sizeof(args->error), "%.*s",
             (int)(text.as.bytes.len < sizeof(args->error)
                       ? text.as.bytes.len
                       : sizeof(args->error)),
             (const char *)text.as.bytes.at);
    args->status = CHARE_ERR_STATE;
    return args->status;
}

void
chi_args_init(chare_args *args, const chare_call *call, const char *params)
{
    args->runtime = call->runtime;
    args->call = call;
    args->count = 0;
    args->taken = 0;
    args->status = CHARE_OK;
    args->nested = 0;
    args->bytes = NULL;
    args->params = params;
    args->has_result = false;
    args->error_kind[0] = '\0';
    args->error[0] = '\0';
    chare_decoder_init(&args->decoder, call->bytes, call->len);
}

chare_status
chare_args_open(chare_args *args, const chare_call *call)
{
    chare_value value;

    chi_args_init(args, call, NULL);
    if (call->payload != NULL) {
        const chare_payload_ops *ops = call->payload_ops;

        if (ops->size < sizeof(*ops) || ops->count == NULL) {
            return encode_payload(args);
        }
        args->count = ops->count(call->payload);
        return CHARE_OK;
    }
    if (call->format == CHARE_FORMAT_ERROR) {
        return open_error(args);
    }
    if (call->len == 0) {
        return CHARE_OK;
    }
    if (call->format != CHARE_FORMAT_ARGS) {
        args->count = 1;
        return CHARE_OK;
    }
    if (chare_get(&args->decoder, &value) != CHARE_OK) {
        return fail_format(args);
    }
    if (value.tag != CHARE_TAG_TUPLE) {
        return chi_args_fail(args, "TypeError", "the arguments hold %s",
                             value_words(&value));
    }
    args->count = value.as.count;
    return CHARE_OK;
}

void
chare_args_close(chare_args *args)
{
    chare_buffer_release(args->bytes);
    args->bytes = NULL;
    if (args->has_result) {
        chare_encoder_fini(&args->result);
        args->has_result = false;
    }
}

/* ---- reading */

/* What is no value, but bytes that the runtime does not look into. */
static void
get_bytes(chare_args *args, chare_value *value_out)
{
    value_out->tag = CHARE_TAG_BYTES;
    value_out->as.bytes.at = args->decoder.start;
    value_out->as.bytes.len =
        (size_t)(args->decoder.end - args->decoder.start);
    args->taken++;
}

chare_status
chare_arg(chare_args *args, chare_value *value_out)
{
    const chare_call *call = args->call;

    value_out->tag = CHARE_TAG_END;
    if (args->status != CHARE_OK) {
        return args->status;
    }
    if (args->nested == 0 && args->taken >= args->count) {
        return fail_missing(args);
    }
    if (call->payload != NULL && args->bytes == NULL) {
        if (call->payload_ops->item(call->payload, args->taken, value_out)) {
            args->taken++;
            return CHARE_OK;
        }
        if (encode_payload(args) != CHARE_OK) {
            return args->status;
        }
    }
    if (call->format == CHARE_FORMAT_BYTES) {
        get_bytes(args, value_out);
        return CHARE_OK;
    }
    if (chare_get(&args->decoder, value_out) != CHARE_OK ||
        value_out->tag == CHARE_TAG_END) {
        value_out->tag = CHARE_TAG_END;
        return fail_format(args);
    }
    if (args->nested > 0) {
        args->nested--;
    } else {
        args->taken++;
    }
    args->nested += chi_value_items(value_out);
    if (value_out->tag == CHARE_TAG_EXTERN && args->nested == 0) {
        fail_kind(args, value_words(value_out),
                  "a value that has a form in C");
    }
    return args->status;
}

/* Pass over the items of a container that was not to be one. */
static void
unexpected(chare_args *args, const chare_value *value, const char *wanted)
{
    if (args->status == CHARE_OK) {
        fail_kind(args, value_words(value), wanted);
    }
}

static bool
value_int(const chare_value *value, int64_t *out)
{
    switch (value->tag) {
    case CHARE_TAG_INT:
        *out = value->as.integer;
        return true;
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        *out = value->tag == CHARE_TAG_TRUE;
        return true;
    case CHARE_TAG_SCALAR:
        return chi_dtype_whole(value->as.bytes.dtype, value->as.bytes.at, out);
    default:
        return false;
    }
}

int64_t
chare_arg_int(chare_args *args)
{
    chare_value value;
    int64_t number = 0;

    if (chare_arg(args, &value) == CHARE_OK && !value_int(&value, &number)) {
        unexpected(args, &value, "an int of 64 bits");
        return 0;
    }
    return args->status == CHARE_OK ? number : 0;
}

double
chare_arg_float(chare_args *args)
{
    chare_value value;
    int64_t number = 0;
    double real = 0;
    float single;

    if (chare_arg(args, &value) != CHARE_OK) {
        return 0;
    }
    if (value.tag == CHARE_TAG_FLOAT) {
        return value.as.real;
    }
    if (value.tag == CHARE_TAG_SCALAR &&
        value.as.bytes.dtype == CHARE_DTYPE_F64) {
        memcpy(&real, value.as.bytes.at, sizeof(real));
        return real;
    }
    if (value.tag == CHARE_TAG_SCALAR &&
        value.as.bytes.dtype == CHARE_DTYPE_F32) {
        memcpy(&single, value.as.bytes.at, sizeof(single));
        return (double)single;
    }
    if (!value_int(&value, &number)) {
        unexpected(args, &value, "a float");
    }
    return (double)number;
}

bool
chare_arg_bool(chare_args *args)
{
    chare_value value;

    if (chare_arg(args, &value) != CHARE_OK) {
        return false;
    }
    if (value.tag != CHARE_TAG_TRUE && value.tag != CHARE_TAG_FALSE) {
        unexpected(args, &value, "a bool");
    }
    return value.tag == CHARE_TAG_TRUE;
}

static const void *
arg_blob(chare_args *args, chare_tag tag, chare_tag other, const char *wanted,
         size_t *len_out)
{
    chare_value value;

    *len_out = 0;
    if (chare_arg(args, &value) != CHARE_OK) {
        return NULL;
    }
    if (value.tag != tag && value.tag != other) {
        unexpected(args, &value, wanted);
        return NULL;
    }
    *len_out = value.as.bytes.len;
    return value.as.bytes.at;
}

const char *
chare_arg_str(chare_args *args, size_t *len_out)
{
    return arg_blob(args, CHARE_TAG_STR, CHARE_TAG_STR, "a str", len_out);
}

const void *
chare_arg_bytes(chare_args *args, size_t *len_out)
{
    return arg_blob(args, CHARE_TAG_BYTES, CHARE_TAG_BYTEARRAY, "bytes",
                    len_out);
}

static const char *
dtype_name(chare_dtype dtype)
{
    static const char *const names[] = {
        "nothing", "bool",    "int8",    "int16",     "int32",
        "int64",   "uint8",   "uint16",  "uint32",    "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    };

    return (size_t)dtype < sizeof(names) / sizeof(*names) ? names[dtype] : "?";
}

const void *
chare_arg_array(chare_args *args, chare_dtype dtype, chare_value *value_out)
{
    chare_value value;
    char what[64];
    char wanted[64];

    if (value_out != NULL) {
        *value_out = (chare_value){.tag = CHARE_TAG_END};
    }
    if (chare_arg(args, &value) != CHARE_OK) {
        return NULL;
    }
    snprintf(wanted, sizeof(wanted), "an array of %s in C order",
             dtype_name(dtype));
    if (value.tag != CHARE_TAG_ARRAY) {
        unexpected(args, &value, wanted);
        return NULL;
    }
    if (value.as.array.dtype != dtype ||
        (value.as.array.flags & CHARE_ARRAY_SWAPPED) != 0 ||
        ((value.as.array.flags & CHARE_ARRAY_FORTRAN_ORDER) != 0 &&
         value.as.array.ndims > 1)) {
        snprintf(what, sizeof(what), "an array of %s%s%s",
                 dtype_name(value.as.array.dtype),
                 value.as.array.flags & CHARE_ARRAY_FORTRAN_ORDER
                     ? " in Fortran order"
                     : "",
                 value.as.array.flags & CHARE_ARRAY_SWAPPED
                     ? " with its bytes swapped"
                     : "");
        fail_kind(args, what, wanted);
        return NULL;
    }
    if (value_out != NULL) {
        *value_out = value;
    }
    return value.as.array.data;
}

void
chare_arg_proxy(chare_args *args, chare_proxy *proxy_out)
{
    chare_value value;

    *proxy_out = (chare_proxy){.type = CHARE_NO_TYPE};
    if (chare_arg(args, &value) != CHARE_OK) {
        return;
    }
    if (value.tag == CHARE_TAG_PROXY) {
        *proxy_out = value.as.proxy;
    } else if (value.tag == CHARE_TAG_ELEMENT) {
        if (chare_proxy_of(args->runtime, &value.as.element, proxy_out) !=
            CHARE_OK) {
            *proxy_out = (chare_proxy){.element = value.as.element,
                                       .type = CHARE_NO_TYPE,
                                       .kind = CHARE_PROXY_ARRAY};
        }
    } else {
        unexpected(args, &value, "a proxy");
    }
}

void
chare_arg_callback(chare_args *args, chare_callback *callback_out)
{
    chare_value value;

    *callback_out = (chare_callback){.kind = CHARE_CALLBACK_NONE};
    if (chare_arg(args, &value) != CHARE_OK) {
        return;
    }
    if (value.tag == CHARE_TAG_CALLBACK) {
        *callback_out = value.as.callback;
    } else if (value.tag == CHARE_TAG_FUTURE) {
        *callback_out = chare_callback_future(value.as.future);
    } else if (value.tag != CHARE_TAG_NONE) {
        unexpected(args, &value, "a future or a proxy's method");
    }
}

chare_status
chare_args_end(chare_args *args)
{
    if (args->status == CHARE_OK && args->taken < args->count) {
        (void)chi_args_fail(args, "TypeError",
                            "takes %zu arguments (%zu given)", args->taken,
                            args->count);
    }
    return args->status;
}

/* ---- writing */

chare_encoder *
chare_args_result(chare_args *args)
{
    if (!args->has_result) {
        args->has_result = true;
        if (chare_encoder_init(&args->result, args->runtime, 64) != CHARE_OK) {
            args->result.status = CHARE_ERR_NO_MEMORY;
        }
    }
    return &args->result;
}

chare_status
chare_call_begin(chare_encoder *encoder, chare_runtime *runtime, size_t count)
{
    chare_status status = chare_encoder_init(encoder, runtime, 128);

    if (status == CHARE_OK) {
        chare_put_container(encoder, CHARE_TAG_TUPLE, count);
    }
    return status;
}

chare_status
chare_proxy_call(chare_runtime *runtime, const chare_proxy *proxy,
                 uint32_t entry, chare_encoder *encoder,
                 const chare_send_options *options)
{
    chare_buffer *buffer = NULL;
    chare_status status;
    chare_data data;

    if (encoder != NULL) {
        status = chare_encoder_take(encoder, &buffer);
        if (status != CHARE_OK) {
            return status;
        }
        data = chare_data_buffer(CHARE_FORMAT_ARGS, buffer);
    }
    if (proxy->element.index.ndims == 0) {
        status = chare_broadcast(runtime, proxy->element.collection, entry,
                                 encoder != NULL ? &data : NULL, options);
    } else {
        status = chare_send(runtime, &proxy->element, entry,
                            encoder != NULL ? &data : NULL, options);
    }
    if (status != CHARE_OK) {
        chare_buffer_release(buffer);
    }
    return status;
}

chare_status
chare_proxy_of(chare_runtime *runtime, const chare_element *element,
               chare_proxy *proxy_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_proxy_of(runtime->obj, element, proxy_out);
}
