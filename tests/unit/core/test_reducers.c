/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_reducers.c - the built-in reducers on every kind of value.
 *
 * Goal: each reducer gives the right value for each kind and dtype, keeps
 * kinds, dtypes, shapes and orders, never overflows a plain int, and says what
 * is wrong with contributions that do not fit together. Method: contributions
 * and results are written as short texts (see value_text.h), encoded, combined
 * and printed again, so that a case is one line of a table; loops over all
 * dtypes compare with arithmetic in wider types; random groupings must give
 * the same as all parts at once.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "base/prng.h"
#include "coll/bigint.h"
#include "coll/kernels.h"
#include "coll/reducers.h"
#include "msg/buffer.h"
#include "msg/codec.h"
#include "tap/tap.h"
#include "unit/core/value_text.h"

enum {
    SUM = CHARE_REDUCE_SUM,
    PRODUCT = CHARE_REDUCE_PRODUCT,
    MIN = CHARE_REDUCE_MIN,
    MAX = CHARE_REDUCE_MAX,
    AND = CHARE_REDUCE_AND,
    OR = CHARE_REDUCE_OR,
    XOR = CHARE_REDUCE_XOR,
    PARTS_MAX = 200,
};

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 wide_natural;

static struct chi_msg_pool *pool;

/* ---- combining */

static chare_buffer *
value_of(const char *text)
{
    chare_encoder encoder;
    chare_buffer *buffer;

    if (chi_encoder_init(&encoder, pool, 64) != CHARE_OK) {
        abort();
    }
    value_parse(&encoder, &text);
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        abort();
    }
    return buffer;
}

static chare_part
part_of(chare_format format, chare_buffer *buffer)
{
    chare_part part = {format, NULL, 0, 0};

    part.bytes = chare_buffer_bytes(buffer, &part.len);
    return part;
}

/* Combine buffers; the result is a buffer, whatever the status. */
static chare_status
combine(uint32_t reducer, chare_buffer *const *buffers, size_t count,
        chare_buffer **out)
{
    chare_part parts[PARTS_MAX];
    chare_encoder encoder;
    chare_status status;

    if (count > PARTS_MAX ||
        chi_encoder_init(&encoder, pool, 16) != CHARE_OK) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = part_of(CHARE_FORMAT_VALUE, buffers[i]);
    }
    status = chi_reducer_combine(reducer, parts, count, &encoder);
    if (chare_encoder_take(&encoder, out) != CHARE_OK) {
        abort();
    }
    return status;
}

static void
print_buffer(struct value_text *text, chare_buffer *buffer)
{
    chare_decoder decoder;
    chare_value value;
    size_t len;
    void *bytes = chare_buffer_bytes(buffer, &len);

    text->len = 0;
    chare_decoder_init(&decoder, bytes, len);
    value_print(text, &decoder);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_END) {
        value_say(text, " AND MORE");
    }
}

struct row {
    uint32_t reducer;
    const char *parts[5]; /* up to the first NULL */
    const char *result;   /* or the error */
};

/* Whether a row comes out as written, and its status is as wanted. */
static bool
row_holds(const struct row *row, chare_status wanted)
{
    chare_buffer *buffers[5];
    chare_buffer *result;
    struct value_text text;
    chare_status status;
    size_t count = 0;
    bool holds;

    while (count < 5 && row->parts[count] != NULL) {
        buffers[count] = value_of(row->parts[count]);
        count++;
    }
    status = combine(row->reducer, buffers, count, &result);
    print_buffer(&text, result);
    holds = status == wanted && strcmp(text.at, row->result) == 0;
    if (!holds) {
        printf("# %s of %s ...: status %d, %s, want %s\n",
               chi_reducer_name(row->reducer), row->parts[0], (int)status,
               text.at, row->result);
    }
    chare_buffer_release(result);
    while (count-- > 0) {
        chare_buffer_release(buffers[count]);
    }
    return holds;
}

static void
pool_start(void)
{
    if (chi_msg_pool_create(&pool) != CHARE_OK) {
        abort();
    }
}

#define CHECK_ROWS(rows, status)                                    \
    do {                                                            \
        pool_start();                                               \
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) { \
            CHECK(row_holds(&(rows)[i], (status)));                 \
        }                                                           \
        CHECK_EQ(chi_msg_pool_live(pool), 0);                       \
        chi_msg_pool_destroy(pool);                                 \
    } while (0)

static void
plain_numbers(void)
{
    static const struct row rows[] = {
        {SUM, {"1", "2", "3"}, "6"},
        {SUM, {"7"}, "7"},
        {SUM, {"True", "False", "True"}, "2"},
        {SUM, {"True"}, "1"},
        {SUM, {"1", "2.5"}, "3.500"},
        {SUM, {"1.5", "2j"}, "1.5+2j"},
        {SUM, {"1", "2j"}, "1+2j"},
        {PRODUCT, {"3", "-4", "5"}, "-60"},
        {PRODUCT, {"2j", "2j"}, "-4+0j"},
        {PRODUCT, {"True", "3"}, "3"},
        {MIN, {"3", "-4", "5"}, "-4"},
        {MAX, {"3", "-4", "5"}, "5"},
        {MIN, {"True", "False"}, "False"},
        {MAX, {"True", "False"}, "True"},
        {MIN, {"3", "2.5"}, "2.500"},
        {MAX, {"3", "2.5"}, "3.0"},
        {MAX, {"1.0", "nan", "2.0"}, "nan"},
        {MIN, {"nan", "1.0"}, "nan"},
        {AND, {"1", "2"}, "True"},
        {AND, {"1", "0"}, "False"},
        {AND, {"5"}, "True"},
        {OR, {"0", "0.0"}, "False"},
        {OR, {"0", "2j"}, "True"},
        {XOR, {"1", "1", "1"}, "True"},
        {XOR, {"1", "#010000000000000000"}, "False"},
    };

    CHECK_ROWS(rows, CHARE_OK);
}

static void
whole_numbers_grow(void)
{
    static const struct row rows[] = {
        {SUM, {"9223372036854775807", "1"}, "#008000000000000000"},
        {SUM, {"-9223372036854775808", "-1"}, "#ff7fffffffffffffff"},
        {SUM, {"9223372036854775807", "1", "-1"}, "9223372036854775807"},
        {PRODUCT, {"4294967296", "4294967296"}, "#010000000000000000"},
        {PRODUCT, {"-4294967296", "4294967296"}, "#ff0000000000000000"},
        {PRODUCT,
         {"9223372036854775807", "9223372036854775807"},
         "#3fffffffffffffff0000000000000001"},
        {PRODUCT, {"-9223372036854775808", "-1"}, "#008000000000000000"},
        {PRODUCT, {"#010000000000000000", "0"}, "0"},
        {MIN, {"#010000000000000000", "5"}, "5"},
        {MAX, {"#010000000000000000", "5"}, "#010000000000000000"},
        {MIN, {"#ff0000000000000000", "5"}, "#ff0000000000000000"},
        {MAX,
         {"#010000000000000000", "#010000000000000001"},
         "#010000000000000001"},
        {SUM, {"#010000000000000000", "1.0"}, "18446744073709551616.0"},
        {SUM, {"#ff0000000000000000", "0.0"}, "-18446744073709551616.0"},
    };

    CHECK_ROWS(rows, CHARE_OK);
}

static void
elements_meet_plain_numbers(void)
{
    static const struct row rows[] = {
        {SUM, {"f64:1.5", "f64:2"}, "f64:3.5"},
        {SUM, {"0", "f64:2"}, "f64:2"},
        {SUM, {"f32:2", "1.5"}, "f32:3.5"},
        {SUM, {"i32:2", "3", "True"}, "i32:6"},
        {SUM, {"i32:2", "0.5"}, "2.500"},
        {SUM, {"f16:2", "1"}, "f16:3"},
        {SUM, {"c128:1+2", "1"}, "c128:2+2"},
        {SUM, {"c64:1+2", "2j"}, "c64:1+4"},
        {SUM, {"f64:1", "2j"}, "1+2j"},
        {SUM, {"u64:18446744073709551615", "0.0"}, "18446744073709551616.0"},
        {SUM, {"u64:1", "#00fffffffffffffffe"}, "u64:18446744073709551615"},
        {SUM, {"b8:1", "b8:1"}, "2"},
        {MAX, {"i8:-3", "i8:5"}, "i8:5"},
        {AND, {"i8:3", "True"}, "i8:1"},
        {AND, {"f64:3", "0"}, "f64:0"},
        {OR, {"u16:7"}, "u16:1"},
        {SUM, {"i8:127", "i8:1"}, "i8:-128"},
    };

    CHECK_ROWS(rows, CHARE_OK);
}

static void
arrays_and_containers(void)
{
    static const struct row rows[] = {
        {SUM, {"f64{1 2 3}", "f64{10 20 30}", "f64{1 1 1}"}, "f64{12 23 34}"},
        {SUM, {"i32{}", "i32{}"}, "i32{}"},
        {SUM, {"f64{1 2;3 4}", "f64{10 20;30 40}"}, "f64{11 22;33 44}"},
        {SUM, {"f64F{1 2;3 4}", "f64F{10 20;30 40}"}, "f64F{11 22;33 44}"},
        {SUM, {"f64F{1 2;3 4}", "f64{10 20;30 40}"}, "f64{11 22;33 44}"},
        {SUM, {"i8{1 2;3 4;5 6}", "i8F{1 2;3 4;5 6}"}, "i8{2 4;6 8;10 12}"},
        {MIN, {"f16F{1 5 2}", "f16F{3 4 9}"}, "f16F{1 4 2}"},
        {PRODUCT, {"c64{0+1 2}", "c64{0+1 3}"}, "c64{-1+0 6+0}"},
        {AND, {"i32{1 0 5}", "i32{3 3 0}"}, "i32{1 0 0}"},
        {AND, {"i32F{7 0;1 0}"}, "i32F{1 0;1 0}"},
        {OR, {"c128{0 1}", "c128{0 0}"}, "c128{0+0 1+0}"},
        {XOR, {"b8{1 1 0}", "b8{1 0 0}"}, "b8{0 1 0}"},
        {SUM, {"b8{1 1 0}", "b8{1 0 0}"}, "b8{1 1 0}"},
        {MAX, {"f32{1 nan}", "f32{nan 1}"}, "f32{nan nan}"},
        {SUM, {"[1 2.5]", "[True 1]"}, "[2 3.500]"},
        {SUM, {"(1 [2 f64{1}])", "(1 [2 f64{2}])"}, "(2 [4 f64{3}])"},
        {MAX, {"[]", "[]"}, "[]"},
        {MIN, {"'pear'", "'apple'", "'fig'"}, "'apple'"},
        {MAX, {"'a'", "'ab'", "''"}, "'ab'"},
        {MAX, {"'z'", "'\xc3\xa4'"}, "'\xc3\xa4'"},
    };

    CHECK_ROWS(rows, CHARE_OK);
}

static void
what_does_not_fit(void)
{
    static const struct row rows[] = {
        {SUM,
         {"f64{1 2 3}", "i32{1 2 3 4}"},
         "'ValueError' 'reduction sum: contributions differ: float64[3] and "
         "int32[4]' ''"},
        {MAX,
         {"f64{1 2;3 4}", "f64{1 2}"},
         "'ValueError' 'reduction max: contributions differ: float64[2,2] and "
         "float64[2]' ''"},
        {SUM,
         {"f64{1}", "1"},
         "'ValueError' 'reduction sum: contributions differ: float64[1] and "
         "int' ''"},
        {SUM,
         {"1", "f64{1}"},
         "'ValueError' 'reduction sum: contributions differ: int and "
         "float64[1]' ''"},
        {SUM,
         {"i32:1", "i64:1"},
         "'ValueError' 'reduction sum: contributions differ: int32 and int64' "
         "''"},
        {SUM,
         {"[1]", "[1 2]"},
         "'ValueError' 'reduction sum: contributions differ: list of 1 and "
         "list of 2' ''"},
        {SUM,
         {"[1 2]", "(1 2)"},
         "'ValueError' 'reduction sum: contributions differ: list of 2 and "
         "tuple of 2' ''"},
        {MIN,
         {"'a'", "1"},
         "'ValueError' 'reduction min: contributions differ: str and int' ''"},
        {SUM,
         {"'a'", "'b'"},
         "'TypeError' 'reduction sum: not defined for str' ''"},
        {SUM,
         {"None"},
         "'TypeError' 'reduction sum: not defined for None' ''"},
        {MIN,
         {"1j"},
         "'TypeError' 'reduction min: not defined for complex' ''"},
        {MAX,
         {"1.0", "c64:1"},
         "'TypeError' 'reduction max: not defined for complex64' ''"},
        {MAX,
         {"c128{1 2}"},
         "'TypeError' 'reduction max: not defined for complex128[2]' ''"},
        {SUM,
         {"i8:1", "128"},
         "'OverflowError' 'reduction sum: a number does not fit the other's "
         "type' ''"},
        {SUM,
         {"u8:1", "-1"},
         "'OverflowError' 'reduction sum: a number does not fit the other's "
         "type' ''"},
    };

    CHECK_ROWS(rows, CHARE_ERR_FORMAT);
}

/* Parts that are no values: bytes, nothing, garbage; and a part's error. */
static void
odd_parts(void)
{
    static const struct {
        chare_part part;
        const char *result;
    } rows[] = {
        {{CHARE_FORMAT_BYTES, "\1", 1, 0},
         "'TypeError' 'reduction sum: a contribution is bytes, not a value' "
         "''"},
        {{CHARE_FORMAT_VALUE, NULL, 0, 0},
         "'ValueError' 'reduction sum: a contribution has no value' ''"},
        {{CHARE_FORMAT_VALUE, "\4", 1, 0},
         "'ValueError' 'reduction sum: a contribution is malformed' ''"},
        {{CHARE_FORMAT_VALUE, "\x1a\1\0\0\3\0\0\0\5\0\0\0\0\0\0\0\0", 17, 0},
         "'ValueError' 'reduction sum: contributions differ: int and proxy' "
         "''"},
        {{CHARE_FORMAT_ERROR, "\26\3AeAmAd", 8, 0}, "'e' 'm' 'd'"},
    };

    pool_start();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        chare_part parts[] = {{CHARE_FORMAT_VALUE, "\xa1", 1, 0},
                              rows[i].part};
        chare_encoder encoder;
        chare_buffer *buffer;
        struct value_text text;

        CHECK_EQ(chi_encoder_init(&encoder, pool, 0), CHARE_OK);
        CHECK_EQ(chi_reducer_combine(SUM, parts, 2, &encoder),
                 CHARE_ERR_FORMAT);
        CHECK_EQ(chare_encoder_take(&encoder, &buffer), CHARE_OK);
        print_buffer(&text, buffer);
        CHECK(strcmp(text.at, rows[i].result) == 0);
        chare_buffer_release(buffer);
    }
    chi_msg_pool_destroy(pool);
}

/* What 'reducer' makes of a and b, in a type wide enough for all of them. */
static wide
model_fold(uint32_t reducer, wide a, wide b)
{
    switch (reducer) {
    case SUM:
        return a + b;
    case PRODUCT:
        return (wide)((wide_natural)a * (wide_natural)b);
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case AND:
        return a != 0 && b != 0;
    case OR:
        return a != 0 || b != 0;
    default:
        return (a != 0) != (b != 0);
    }
}

/* An element's value, for all dtypes of whole numbers. */
static wide
whole_of(chare_dtype dtype, const unsigned char *at)
{
    const unsigned bits = 8 * (unsigned)chare_dtype_bytes(dtype);
    uint64_t value = 0;

    memcpy(&value, at, bits / 8);
    return dtype >= CHARE_DTYPE_U8
               ? (wide)value
               : (wide)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

/* All pairs of border values, for each dtype of whole numbers and reducer. */
static void
whole_elements_against_a_model(void)
{
    static const int64_t borders[] = {
        0,     1,         2,         3,         127,       128,
        -1,    -2,        -128,      255,       256,       32767,
        65535, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 12345678987654321};
    enum {
        COUNT = sizeof(borders) / sizeof(borders[0])
    };

    for (int d = CHARE_DTYPE_I8; d <= CHARE_DTYPE_U64; d++) {
        const chare_dtype dtype = (chare_dtype)d;
        const size_t each = chare_dtype_bytes(dtype);

        for (uint32_t reducer = SUM; reducer <= XOR; reducer++) {
            for (int i = 0; i < COUNT * COUNT; i++) {
                _Alignas(16) unsigned char a[16] = {0};
                _Alignas(16) unsigned char b[16] = {0};
                _Alignas(16) unsigned char want[16] = {0};
                wide model;

                memcpy(a, &borders[i / COUNT], each);
                memcpy(b, &borders[i % COUNT], each);
                model = model_fold(reducer, whole_of(dtype, a),
                                   whole_of(dtype, b));
                memcpy(want, &model, each);
                chi_kernel_find(reducer, dtype)(a, b, 1);
                CHECK(memcmp(a, want, each) == 0);
            }
        }
    }
}

/* Whole blocks and what is left of them: no element is missed or touched. */
static void
arrays_of_all_lengths(void)
{
    for (size_t count = 0; count < 70; count++) {
        _Alignas(16) int32_t a[71];
        _Alignas(16) int32_t b[71];

        for (int i = 0; i < 71; i++) {
            a[i] = i;
            b[i] = 1000 * i;
        }
        chi_kernel_find(SUM, CHARE_DTYPE_I32)(a, b, count);
        for (int i = 0; i < 71; i++) {
            CHECK_EQ(a[i], i < (int)count ? 1001 * i : i);
        }
    }
}

/* Every half float is itself after a round trip, and rounding is to even. */
static void
half_floats(void)
{
    for (uint32_t half = 0; half < 65536; half++) {
        const float value = chi_float_of_half((uint16_t)half);
        const uint16_t back = chi_half_of_float(value);

        if (value != value) {
            CHECK((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
            continue;
        }
        CHECK_EQ(back, half);
        if ((half & 0x7fff) < 0x7bff) {
            const float next = chi_float_of_half((uint16_t)(half + 1));
            const float middle = (value + next) / 2;

            CHECK_EQ(chi_half_of_float(middle), (half & 1) ? half + 1 : half);
            CHECK_EQ(chi_half_of_float(nextafterf(middle, next)), half + 1);
            CHECK_EQ(chi_half_of_float(nextafterf(middle, value)), half);
        }
    }
    CHECK(chi_float_of_half(0x3c00) == 1.0f);
    CHECK(chi_float_of_half(0x0001) == 0x1p-24f);
    CHECK_EQ(chi_half_of_float(65519.0f), 0x7bff);
    CHECK_EQ(chi_half_of_float(65520.0f), 0x7c00);
    CHECK_EQ(chi_half_of_float(-INFINITY), 0xfc00);
}

static struct chi_bigint
big_of(wide value)
{
    struct chi_bigint big;

    if (chi_bigint_set_bytes(&big, &value, sizeof(value)) != CHARE_OK) {
        abort();
    }
    return big;
}

static wide
value_of_big(const struct chi_bigint *big)
{
    const bool negative = big->limbs[big->count - 1] >> 31;
    wide_natural value = negative ? ~(wide_natural)0 : 0;

    for (size_t i = big->count; i-- > 0;) {
        value = value << 32 | big->limbs[i];
    }
    return (wide)value;
}

/* Random numbers of all sizes against the compiler's 128 bits. */
static void
big_numbers_against_a_model(void)
{
    struct chi_prng prng;

    chi_prng_init(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        const wide x =
            (wide)(int64_t)chi_prng_next(&prng) >> chi_prng_below(&prng, 64);
        const wide y =
            (wide)(int64_t)chi_prng_next(&prng) >> chi_prng_below(&prng, 64);
        struct chi_bigint a = big_of(x);
        struct chi_bigint b = big_of(y);
        const int order = chi_bigint_compare(&a, &b);

        CHECK_EQ(order, x < y ? -1 : x > y);
        CHECK(chi_bigint_to_double(&a) == (double)x);
        CHECK_EQ(chi_bigint_multiply(&a, &b), CHARE_OK);
        CHECK(value_of_big(&a) == x * y);
        CHECK_EQ(chi_bigint_add(&a, &b), CHARE_OK);
        CHECK(value_of_big(&a) == x * y + y);
        CHECK(fabs(chi_bigint_to_double(&a) / (double)(x * y + y) - 1) <=
                  DBL_EPSILON ||
              x * y + y == 0);
        chi_bigint_fini(&a);
        chi_bigint_fini(&b);
    }
}

/* Any grouping of the same parts has the same result; more than one round. */
static void
grouping_does_not_matter(void)
{
    static const char *const forms[] = {
        "%d", "i32:%d", "[%d 1]", "i64{%d 2 3}", "%d.0", "f64F{%d 1;2 3}"};
    struct chi_prng prng;

    pool_start();
    chi_prng_init(&prng, 2);
    for (uint32_t i = 0; i < 7 * 6; i++) {
        const uint32_t reducer = SUM + i % 7;
        chare_buffer *buffers[PARTS_MAX];
        chare_buffer *whole;
        struct value_text texts[2];
        size_t count = PARTS_MAX;

        for (size_t k = 0; k < count; k++) {
            char text[64];

            snprintf(text, sizeof(text), forms[i / 7],
                     reducer == PRODUCT ? (k < 20 ? 2 : 1)
                                        : (int)chi_prng_below(&prng, 3));
            buffers[k] = value_of(text);
        }
        CHECK_EQ(combine(reducer, buffers, count, &whole), CHARE_OK);
        print_buffer(&texts[0], whole);
        chare_buffer_release(whole);
        while (count > 1) { /* combine a random few, and put the result back */
            const size_t from = chi_prng_below(&prng, count - 1);
            const size_t most = count - from;
            const size_t few = 2 + chi_prng_below(&prng, most - 1);
            chare_buffer *result;

            CHECK_EQ(combine(reducer, buffers + from, few, &result), CHARE_OK);
            for (size_t k = from; k < from + few; k++) {
                chare_buffer_release(buffers[k]);
            }
            buffers[from] = result;
            memmove(buffers + from + 1, buffers + from + few,
                    (count - from - few) * sizeof(buffers[0]));
            count -= few - 1;
        }
        print_buffer(&texts[1], buffers[0]);
        chare_buffer_release(buffers[0]);
        CHECK(strcmp(texts[0].at, texts[1].at) == 0);
    }
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

/* An error in an early round comes out of the last one. */
static void
errors_pass_through_rounds(void)
{
    chare_buffer *buffers[PARTS_MAX];
    chare_buffer *result;
    struct value_text text;

    pool_start();
    for (size_t i = 0; i < PARTS_MAX; i++) {
        buffers[i] = value_of(i == 3 ? "'x'" : "1");
    }
    CHECK_EQ(combine(SUM, buffers, PARTS_MAX, &result), CHARE_ERR_FORMAT);
    print_buffer(&text, result);
    CHECK(strcmp(text.at, "'ValueError' 'reduction sum: contributions "
                          "differ: int and str' ''") == 0);
    chare_buffer_release(result);
    for (size_t i = 0; i < PARTS_MAX; i++) {
        chare_buffer_release(buffers[i]);
    }
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

TAP_MAIN(TAP_CASE(plain_numbers), TAP_CASE(whole_numbers_grow),
         TAP_CASE(elements_meet_plain_numbers),
         TAP_CASE(arrays_and_containers), TAP_CASE(what_does_not_fit),
         TAP_CASE(odd_parts), TAP_CASE(whole_elements_against_a_model),
         TAP_CASE(arrays_of_all_lengths), TAP_CASE(half_floats),
         TAP_CASE(big_numbers_against_a_model),
         TAP_CASE(grouping_does_not_matter),
         TAP_CASE(errors_pass_through_rounds))
