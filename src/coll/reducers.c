/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reducers.c - walking several values side by side, combining as it goes.
 *
 * One decoder stands in each part; all stand at the same place of values of
 * the same form, or the walk ends with an error. Only one item of one part is
 * held at a time, so that the number of parts costs no memory but their
 * decoders; more parts than PARTS_MAX are combined in several rounds.
 */
#include "config.h"

#include "coll/reducers.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "coll/kernels.h"
#include "coll/number.h"
#include "msg/buffer.h"
#include "msg/codec.h"

enum {
    PARTS_MAX = 64,       /* in one round */
    DEPTH_MAX = 64,       /* nesting of lists and tuples */
    FORM_BYTES_MAX = 128, /* text of one contribution's form */
    TEXT_BYTES_MAX = 2 * FORM_BYTES_MAX + 64,
    BLOCK_ELEMENTS = 64, /* gathered at a time from the other order */
};

struct walk {
    uint32_t reducer;
    uint32_t depth;
    chare_encoder *out;
    size_t count;
    const chare_part *parts;
    size_t last; /* the part that was looked at last */
    chare_decoder decoders[PARTS_MAX];
    const char *error_kind; /* with CHARE_ERR_FORMAT */
    char error_text[TEXT_BYTES_MAX];
};

const char *
chi_reducer_name(uint32_t reducer)
{
    static const char *const names[] = {
        [CHARE_REDUCE_NOP] = "nop",         [CHARE_REDUCE_SUM] = "sum",
        [CHARE_REDUCE_PRODUCT] = "product", [CHARE_REDUCE_MIN] = "min",
        [CHARE_REDUCE_MAX] = "max",         [CHARE_REDUCE_AND] = "and",
        [CHARE_REDUCE_OR] = "or",           [CHARE_REDUCE_XOR] = "xor",
        [CHARE_REDUCE_GATHER] = "gather",
    };

    return reducer <= CHARE_REDUCE_GATHER ? names[reducer] : "?";
}

/* ---- errors */

static __attribute__((format(printf, 3, 4))) chare_status
walk_fail(struct walk *walk, const char *kind, const char *format, ...)
{
    va_list args;
    int len;

    walk->error_kind = kind;
    len = snprintf(walk->error_text, sizeof(walk->error_text),
                   "reduction %s: ", chi_reducer_name(walk->reducer));
    va_start(args, format);
    vsnprintf(walk->error_text + len, sizeof(walk->error_text) - (size_t)len,
              format, args);
    va_end(args);
    return CHARE_ERR_FORMAT;
}

static chare_status
walk_malformed(struct walk *walk)
{
    return walk_fail(walk, "ValueError", "a contribution is malformed");
}

static void
array_form(const chare_value *value, char *out)
{
    size_t len;

    snprintf(out, FORM_BYTES_MAX, "%s[",
             chi_dtype_name(value->as.array.dtype));
    for (uint32_t i = 0; i < value->as.array.ndims; i++) {
        len = strlen(out);
        snprintf(out + len, FORM_BYTES_MAX - len, "%s%" PRId64,
                 i == 0 ? "" : ",", value->as.array.shape[i]);
    }
    len = strlen(out);
    snprintf(out + len, FORM_BYTES_MAX - len, "]");
}

/* What a value is, in a few words: "float64[3]", "list of 2", "int". */
static void
value_form(const chare_value *value, char *out)
{
    static const char *const names[] = {
        [CHARE_TAG_END] = "nothing",
        [CHARE_TAG_NONE] = "None",
        [CHARE_TAG_FALSE] = "bool",
        [CHARE_TAG_TRUE] = "bool",
        [CHARE_TAG_INT] = "int",
        [CHARE_TAG_BIGINT] = "int",
        [CHARE_TAG_FLOAT] = "float",
        [CHARE_TAG_COMPLEX] = "complex",
        [CHARE_TAG_STR] = "str",
        [CHARE_TAG_BYTES] = "bytes",
        [CHARE_TAG_BYTEARRAY] = "bytearray",
        [CHARE_TAG_TUPLE] = "tuple",
        [CHARE_TAG_LIST] = "list",
        [CHARE_TAG_DICT] = "dict",
        [CHARE_TAG_SET] = "set",
        [CHARE_TAG_FROZENSET] = "frozenset",
        [CHARE_TAG_EXTERN] = "object",
        [CHARE_TAG_ELEMENT] = "name of a chare",
        [CHARE_TAG_FUTURE] = "future",
        [CHARE_TAG_CALLBACK] = "callback",
        [CHARE_TAG_ERROR] = "error",
        [CHARE_TAG_PROXY] = "proxy",
    };

    switch (value->tag) {
    case CHARE_TAG_ARRAY:
        array_form(value, out);
        break;
    case CHARE_TAG_SCALAR:
        snprintf(out, FORM_BYTES_MAX, "%s",
                 chi_dtype_name(value->as.bytes.dtype));
        break;
    case CHARE_TAG_TUPLE:
    case CHARE_TAG_LIST:
        snprintf(out, FORM_BYTES_MAX, "%s of %zu", names[value->tag],
                 value->as.count);
        break;
    default:
        snprintf(out, FORM_BYTES_MAX, "%s", names[value->tag]);
        break;
    }
}

static chare_status
walk_differ(struct walk *walk, const chare_value *a, const chare_value *b)
{
    char forms[2][FORM_BYTES_MAX];

    value_form(a, forms[0]);
    value_form(b, forms[1]);
    if (walk->parts[0].source != 0 && walk->parts[walk->last].source != 0) {
        return walk_fail(walk, "ValueError",
                         "contributions differ: %s (PE %u) and %s (PE %u)",
                         forms[0], walk->parts[0].source - 1, forms[1],
                         walk->parts[walk->last].source - 1);
    }
    return walk_fail(walk, "ValueError", "contributions differ: %s and %s",
                     forms[0], forms[1]);
}

static chare_status
walk_undefined(struct walk *walk, const chare_value *value)
{
    char form[FORM_BYTES_MAX];

    value_form(value, form);
    return walk_fail(walk, "TypeError", "not defined for %s", form);
}

/* The next item of one part. */
static chare_status
walk_get(struct walk *walk, size_t part, chare_value *out)
{
    walk->last = part;
    if (chare_get(&walk->decoders[part], out) != CHARE_OK) {
        return walk_malformed(walk);
    }
    if (out->tag == CHARE_TAG_END) {
        return walk_fail(walk, "ValueError", "a contribution has no value");
    }
    return CHARE_OK;
}

static bool
wants_order(uint32_t reducer)
{
    return reducer == CHARE_REDUCE_MIN || reducer == CHARE_REDUCE_MAX;
}

/* ---- numbers */

static chare_status
fold_value(struct walk *walk, struct chi_number *sum, const chare_value *first,
           const chare_value *value)
{
    struct chi_number number;
    chare_status status = chi_number_load(&number, walk->reducer, value);

    if (status == CHARE_OK) {
        status = chi_number_fold(walk->reducer, sum, &number);
    }
    chi_number_fini(&number);
    if (status == CHARE_ERR_INVALID) {
        return walk_differ(walk, first, value);
    }
    if (status == CHARE_ERR_TOO_LARGE) {
        return walk_fail(walk, "OverflowError",
                         "a number does not fit the other's type");
    }
    return status;
}

static chare_status
number_check(struct walk *walk, const chare_value *first,
             const chare_value *value)
{
    if (!chi_number_is(value)) {
        return walk_differ(walk, first, value);
    }
    if (wants_order(walk->reducer) && chi_number_is_complex(value)) {
        return walk_undefined(walk, value);
    }
    return CHARE_OK;
}

static chare_status
combine_numbers(struct walk *walk, const chare_value *first)
{
    struct chi_number sum = {0};
    chare_status status = number_check(walk, first, first);

    if (status == CHARE_OK) {
        status = chi_number_load(&sum, walk->reducer, first);
    }
    for (size_t i = 1; status == CHARE_OK && i < walk->count; i++) {
        chare_value value;

        status = walk_get(walk, i, &value);
        if (status == CHARE_OK) {
            status = number_check(walk, first, &value);
        }
        if (status == CHARE_OK) {
            status = fold_value(walk, &sum, first, &value);
        }
    }
    if (status == CHARE_OK) {
        status = chi_number_put(&sum, walk->out);
    }
    chi_number_fini(&sum);
    return status;
}

/* ---- texts and bytes */

/* Bytewise, which for UTF-8 is the order of code points. */
static int
bytes_compare(const chare_value *a, const chare_value *b)
{
    const size_t shorter =
        a->as.bytes.len < b->as.bytes.len ? a->as.bytes.len : b->as.bytes.len;
    const int order =
        shorter == 0 ? 0 : memcmp(a->as.bytes.at, b->as.bytes.at, shorter);

    if (order != 0 || a->as.bytes.len == b->as.bytes.len) {
        return order;
    }
    return a->as.bytes.len < b->as.bytes.len ? -1 : 1;
}

static chare_status
combine_texts(struct walk *walk, const chare_value *first)
{
    chare_value best = *first;
    chare_value value;

    if (!wants_order(walk->reducer)) {
        return walk_undefined(walk, first);
    }
    for (size_t i = 1; i < walk->count; i++) {
        chare_status status = walk_get(walk, i, &value);
        int order;

        if (status != CHARE_OK) {
            return status;
        }
        if (value.tag != first->tag) {
            return walk_differ(walk, first, &value);
        }
        order = bytes_compare(&value, &best);
        if (walk->reducer == CHARE_REDUCE_MIN ? order < 0 : order > 0) {
            best = value;
        }
    }
    if (best.tag == CHARE_TAG_STR) {
        chare_put_str(walk->out, best.as.bytes.at, best.as.bytes.len);
    } else {
        chare_put_bytes(walk->out, best.as.bytes.at, best.as.bytes.len);
    }
    return CHARE_OK;
}

/* ---- arrays */

static bool
arrays_alike(const chare_value *a, const chare_value *b)
{
    return a->tag == b->tag && a->as.array.dtype == b->as.array.dtype &&
           a->as.array.ndims == b->as.array.ndims &&
           memcmp(a->as.array.shape, b->as.array.shape,
                  a->as.array.ndims * sizeof(int64_t)) == 0;
}

static bool
array_is_fortran(const chare_value *array)
{
    return (array->as.array.flags & CHARE_ARRAY_FORTRAN_ORDER) != 0;
}

/* Look ahead: whether the next items of all parts are in Fortran order. */
static bool
all_fortran(const struct walk *walk, const chare_value *first)
{
    bool fortran = array_is_fortran(first);

    for (size_t i = 1; fortran && i < walk->count; i++) {
        chare_decoder ahead = walk->decoders[i];
        chare_value value;

        fortran = chare_get(&ahead, &value) == CHARE_OK &&
                  value.tag == CHARE_TAG_ARRAY && array_is_fortran(&value);
    }
    return fortran;
}

/* A walk over an array in Fortran order, in C order. */
struct turn {
    uint32_t ndims;
    const int64_t *shape;
    size_t from;                         /* the element it stands at */
    int64_t at[CHARE_ARRAY_DIMS_MAX];    /* its index */
    size_t stride[CHARE_ARRAY_DIMS_MAX]; /* in elements */
};

static void
turn_init(struct turn *turn, const chare_value *array)
{
    size_t product = 1;

    turn->ndims = array->as.array.ndims;
    turn->shape = array->as.array.shape;
    turn->from = 0;
    for (uint32_t d = 0; d < turn->ndims; d++) {
        turn->at[d] = 0;
        turn->stride[d] = product;
        product *= (size_t)turn->shape[d];
    }
}

/* To the next element in C order: the last dimension is the fastest. */
static void
turn_step(struct turn *turn)
{
    for (uint32_t d = turn->ndims; d-- > 0;) {
        turn->from += turn->stride[d];
        if (++turn->at[d] < turn->shape[d]) {
            return;
        }
        turn->from -= turn->stride[d] * (size_t)turn->shape[d];
        turn->at[d] = 0;
    }
}

/*
 * Combine an array in Fortran order into elements in C order: block by block,
 * the elements that come next in C order are gathered and combined. 'kernel'
 * is NULL for the first part.
 */
static void
array_fold_turned(uint32_t reducer, chi_kernel_fn kernel, unsigned char *sum,
                  const chare_value *array)
{
    _Alignas(16) unsigned char block[BLOCK_ELEMENTS * 16];
    const unsigned char *data = array->as.array.data;
    const size_t each = chare_dtype_bytes(array->as.array.dtype);
    size_t left = array->as.array.len / each;
    struct turn turn;

    turn_init(&turn, array);
    while (left > 0) {
        const size_t n = left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS;

        for (size_t i = 0; i < n; i++) {
            memcpy(block + i * each, data + turn.from * each, each);
            turn_step(&turn);
        }
        if (kernel == NULL) {
            chi_kernel_start(reducer, array->as.array.dtype, sum, block, n);
        } else {
            kernel(sum, block, n);
        }
        sum += n * each;
        left -= n;
    }
}

static void
array_fold(uint32_t reducer, chi_kernel_fn kernel, unsigned char *sum,
           bool sum_is_fortran, const chare_value *array)
{
    const chare_dtype dtype = array->as.array.dtype;
    const size_t count = array->as.array.len / chare_dtype_bytes(dtype);

    if (array->as.array.ndims > 1 &&
        array_is_fortran(array) != sum_is_fortran) {
        array_fold_turned(reducer, kernel, sum, array);
    } else if (kernel == NULL) {
        chi_kernel_start(reducer, dtype, sum, array->as.array.data, count);
    } else {
        kernel(sum, array->as.array.data, count);
    }
}

static chare_status
array_check(struct walk *walk, const chare_value *first,
            const chare_value *array)
{
    if (!arrays_alike(first, array)) {
        return walk_differ(walk, first, array);
    }
    if ((array->as.array.flags & CHARE_ARRAY_SWAPPED) != 0) {
        return walk_fail(walk, "ValueError",
                         "an array is not in the machine's byte order; "
                         "convert it first");
    }
    return CHARE_OK;
}

static chare_status
combine_arrays(struct walk *walk, const chare_value *first)
{
    const chare_dtype dtype = first->as.array.dtype;
    chi_kernel_fn kernel = chi_kernel_find(walk->reducer, dtype);
    const bool fortran = all_fortran(walk, first);
    chare_status status = array_check(walk, first, first);
    unsigned char *sum;

    if (kernel == NULL) {
        return walk_undefined(walk, first);
    }
    if (status != CHARE_OK) {
        return status;
    }
    sum = chare_put_array(
        walk->out, dtype,
        fortran ? CHARE_ARRAY_FORTRAN_ORDER : CHARE_ARRAY_C_ORDER,
        first->as.array.ndims, first->as.array.shape, first->as.array.len);
    if (sum == NULL) {
        return walk->out->status;
    }
    array_fold(walk->reducer, NULL, sum, fortran, first);
    for (size_t i = 1; i < walk->count; i++) {
        chare_value value;

        status = walk_get(walk, i, &value);
        if (status == CHARE_OK) {
            status = array_check(walk, first, &value);
        }
        if (status != CHARE_OK) {
            return status;
        }
        array_fold(walk->reducer, kernel, sum, fortran, &value);
    }
    return CHARE_OK;
}

/* ---- lists and tuples */

static chare_status combine_item(struct walk *walk);

static chare_status
combine_containers(struct walk *walk, const chare_value *first)
{
    chare_status status = CHARE_OK;
    chare_value value;

    if (walk->depth == DEPTH_MAX) {
        return walk_fail(walk, "ValueError", "nested too deeply");
    }
    for (size_t i = 1; i < walk->count; i++) {
        status = walk_get(walk, i, &value);
        if (status != CHARE_OK) {
            return status;
        }
        if (value.tag != first->tag || value.as.count != first->as.count) {
            return walk_differ(walk, first, &value);
        }
    }
    chare_put_container(walk->out, first->tag, first->as.count);
    walk->depth++;
    for (size_t k = 0; status == CHARE_OK && k < first->as.count; k++) {
        status = combine_item(walk);
    }
    walk->depth--;
    return status;
}

/* The next item of all parts. */
static chare_status
combine_item(struct walk *walk)
{
    chare_value first;
    chare_status status = walk_get(walk, 0, &first);

    if (status != CHARE_OK) {
        return status;
    }
    if (chi_number_is(&first)) {
        return combine_numbers(walk, &first);
    }
    switch (first.tag) {
    case CHARE_TAG_ARRAY:
        return combine_arrays(walk, &first);
    case CHARE_TAG_STR:
    case CHARE_TAG_BYTES:
        return combine_texts(walk, &first);
    case CHARE_TAG_LIST:
    case CHARE_TAG_TUPLE:
        return combine_containers(walk, &first);
    default:
        return walk_undefined(walk, &first);
    }
}

/* ---- rounds */

/* Where writing stands, to come back to it. */
static size_t
encoder_used(const chare_encoder *encoder)
{
    const unsigned char *start = chare_buffer_bytes(encoder->buffer, NULL);

    return (size_t)(encoder->at - start);
}

static void
encoder_rewind(chare_encoder *encoder, size_t used)
{
    unsigned char *start = chare_buffer_bytes(encoder->buffer, NULL);

    encoder->at = start + used;
}

/* A part that is an error itself is the result. */
static const chare_part *
find_error(const chare_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].format == CHARE_FORMAT_ERROR) {
            return &parts[i];
        }
    }
    return NULL;
}

static chare_status
combine_round(uint32_t reducer, const chare_part *parts, size_t count,
              chare_encoder *out)
{
    const chare_part *error = find_error(parts, count);
    const size_t used = encoder_used(out);
    struct walk walk;
    chare_status status = CHARE_OK;

    if (error != NULL) {
        chi_encoder_splice(out, error->bytes, error->len);
        return out->status != CHARE_OK ? out->status : CHARE_ERR_FORMAT;
    }
    walk.reducer = reducer;
    walk.depth = 0;
    walk.out = out;
    walk.count = count;
    walk.parts = parts;
    walk.last = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].format != CHARE_FORMAT_VALUE) {
            status = walk_fail(&walk, "TypeError",
                               "a contribution is bytes, not a value");
        }
        chare_decoder_init(&walk.decoders[i], parts[i].bytes, parts[i].len);
    }
    if (status == CHARE_OK) {
        status = combine_item(&walk);
    }
    if (status == CHARE_ERR_FORMAT) {
        encoder_rewind(out, used);
        chare_put_error(out, walk.error_kind, walk.error_text, "", false);
    }
    return out->status != CHARE_OK ? out->status : status;
}

/*
 * As combine_round(), of all parts but in a message of its own, which is the
 * first part of the next round.
 */
static chare_status
combine_aside(uint32_t reducer, const chare_part *parts, size_t count,
              struct chi_msg_pool *pool, chare_buffer **buffer_out)
{
    chare_encoder encoder;
    chare_status status = chi_encoder_init(&encoder, pool, parts[0].len);
    chare_status taken;

    if (status != CHARE_OK) {
        return status;
    }
    status = combine_round(reducer, parts, count, &encoder);
    if (status != CHARE_OK && status != CHARE_ERR_FORMAT) {
        chare_encoder_fini(&encoder);
        return status;
    }
    taken = chare_encoder_take(&encoder, buffer_out);
    return taken != CHARE_OK ? taken : status;
}

static chare_status
combine_rounds(uint32_t reducer, const chare_part *parts, size_t part_count,
               chare_encoder *out)
{
    struct chi_msg_pool *pool = chi_msg_of_buffer(out->buffer)->pool;
    chare_part round[PARTS_MAX];
    chare_buffer *before = NULL; /* the result of the last round */
    chare_status status;
    size_t count = 0;
    size_t done = 0;

    for (;;) {
        chare_buffer *buffer;

        while (count < PARTS_MAX && done < part_count) {
            round[count++] = parts[done++];
        }
        if (done == part_count) {
            status = combine_round(reducer, round, count, out);
            break;
        }
        status = combine_aside(reducer, round, count, pool, &buffer);
        if (status != CHARE_OK && status != CHARE_ERR_FORMAT) {
            break;
        }
        chare_buffer_release(before);
        before = buffer;
        round[0].bytes = chare_buffer_bytes(before, &round[0].len);
        round[0].format =
            status == CHARE_OK ? CHARE_FORMAT_VALUE : CHARE_FORMAT_ERROR;
        count = 1;
    }
    chare_buffer_release(before);
    return status;
}

chare_status
chi_reducer_combine(uint32_t reducer, const chare_part *parts,
                    size_t part_count, chare_encoder *out)
{
    chi_assert(reducer >= CHARE_REDUCE_SUM && reducer <= CHARE_REDUCE_XOR);
    chi_assert(part_count > 0);
    if (out->status != CHARE_OK) {
        return out->status;
    }
    chi_assert(out->buffer != NULL);
    return part_count <= PARTS_MAX
               ? combine_round(reducer, parts, part_count, out)
               : combine_rounds(reducer, parts, part_count, out);
}
