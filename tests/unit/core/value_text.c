/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * value_text.c - values to short texts and back.
 */
#include "config.h"

#include "unit/core/value_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coll/kernels.h"

static const char *const dtype_names[] = {"none", "b8",  "i8",  "i16", "i32",
                                          "i64",  "u8",  "u16", "u32", "u64",
                                          "f16",  "f32", "f64", "c64", "c128"};

static void
element_parse(chare_dtype dtype, const char *text, void *out)
{
    const long long integer = strtoll(text, NULL, 10);
    const unsigned long long natural = strtoull(text, NULL, 10);
    char *end;
    const double real = strtod(text, &end);
    const double pair[2] = {real, *end == '+' ? strtod(end, NULL) : 0};
    const float floats[2] = {(float)pair[0], (float)pair[1]};
    const uint16_t half = chi_half_of_float(floats[0]);

    switch (dtype) {
    case CHARE_DTYPE_F16:
        memcpy(out, &half, 2);
        break;
    case CHARE_DTYPE_F32:
    case CHARE_DTYPE_C64:
        memcpy(out, floats, chare_dtype_bytes(dtype));
        break;
    case CHARE_DTYPE_F64:
    case CHARE_DTYPE_C128:
        memcpy(out, pair, chare_dtype_bytes(dtype));
        break;
    case CHARE_DTYPE_U64:
        memcpy(out, &natural, 8);
        break;
    default: /* little end first, as the tests' machines are */
        memcpy(out, &integer, chare_dtype_bytes(dtype));
    }
}

static chare_dtype
dtype_parse(const char **at)
{
    for (int i = CHARE_DTYPE_C128; i > 0; i--) {
        const size_t len = strlen(dtype_names[i]);

        if (strncmp(*at, dtype_names[i], len) == 0 &&
            strchr(":{F", (*at)[len]) != NULL && (*at)[len] != '\0') {
            *at += len;
            return (chare_dtype)i;
        }
    }
    return CHARE_DTYPE_NONE;
}

/* Rows of elements after '{'; put in C or Fortran order. */
static void
parse_array(chare_encoder *encoder, chare_dtype dtype, bool fortran,
            const char **at)
{
    const size_t each = chare_dtype_bytes(dtype);
    unsigned char elements[64 * 16];
    int64_t shape[2] = {1, 0};
    int64_t count = 0;
    unsigned char *data;

    while (**at != '}') {
        if (**at == ';') {
            shape[0]++;
        } else if (**at != ' ') {
            element_parse(dtype, *at, elements + (size_t)count++ * each);
            *at += strcspn(*at, " ;}");
            continue;
        }
        ++*at;
    }
    ++*at;
    shape[1] = count / shape[0];
    data = chare_put_array(
        encoder, dtype, fortran ? 1 : 0, shape[0] == 1 && !fortran ? 1 : 2,
        shape[0] == 1 && !fortran ? &shape[1] : shape, (size_t)count * each);
    for (int64_t i = 0; i < count; i++) {
        const int64_t to =
            fortran ? i % shape[1] * shape[0] + i / shape[1] : i;

        memcpy(data + (size_t)to * each, elements + (size_t)i * each, each);
    }
}

static void
parse_big(chare_encoder *encoder, const char **at)
{
    unsigned char bytes[64];
    const size_t len = strspn(*at, "0123456789abcdef") / 2;

    for (size_t i = 0; i < len; i++) {
        unsigned byte;

        if (sscanf(*at + 2 * i, "%2x", &byte) != 1) {
            abort();
        }
        bytes[len - 1 - i] = (unsigned char)byte;
    }
    *at += 2 * len;
    chare_put_bigint(encoder, bytes, len);
}

static void
parse_container(chare_encoder *encoder, const char **at)
{
    const char close = **at == '[' ? ']' : ')';
    const chare_tag tag = **at == '[' ? CHARE_TAG_LIST : CHARE_TAG_TUPLE;
    const char *ahead = ++*at;
    size_t count = 0;
    int depth = 0;
    bool inside = false;

    for (; depth > 0 || *ahead != close; ahead++) {
        depth += strchr("[({", *ahead) != NULL;
        depth -= strchr("])}", *ahead) != NULL;
        count += !inside && *ahead != ' ';
        inside = depth > 0 || *ahead != ' ';
    }
    chare_put_container(encoder, tag, count);
    for (size_t i = 0; i < count; i++) {
        value_parse(encoder, at);
    }
    *at += strspn(*at, " ") + 1;
}

static void
parse_number(chare_encoder *encoder, const char **at)
{
    const size_t len = strcspn(*at, " ])}");
    char *end;

    if ((*at)[len - 1] == 'j') {
        chare_put_complex(encoder, 0, strtod(*at, &end));
        end++;
    } else if (memchr(*at, '.', len) != NULL || isalpha((*at)[len - 1])) {
        chare_put_float(encoder, strtod(*at, &end));
    } else {
        chare_put_int(encoder, strtoll(*at, &end, 10));
    }
    *at = end;
}

static bool
parse_word(chare_encoder *encoder, const char **at)
{
    static const char *const words[] = {"None", "False", "True"};

    for (int i = 0; i < 3; i++) {
        if (strncmp(*at, words[i], strlen(words[i])) == 0) {
            *at += strlen(words[i]);
            if (i == 0) {
                chare_put_none(encoder);
            } else {
                chare_put_bool(encoder, i == 2);
            }
            return true;
        }
    }
    return false;
}

void
value_parse(chare_encoder *encoder, const char **at)
{
    unsigned char element[16];
    chare_dtype dtype;

    *at += strspn(*at, " ");
    dtype = dtype_parse(at);
    if (dtype != CHARE_DTYPE_NONE && **at == ':') {
        element_parse(dtype, *at + 1, element);
        chare_put_scalar(encoder, dtype, element);
        *at += strcspn(*at, " ])}");
    } else if (dtype != CHARE_DTYPE_NONE) {
        const bool fortran = **at == 'F';

        *at += fortran ? 2 : 1;
        parse_array(encoder, dtype, fortran, at);
    } else if (**at == '[' || **at == '(') {
        parse_container(encoder, at);
    } else if (**at == '\'') {
        const size_t len = strcspn(*at + 1, "'");

        chare_put_str(encoder, *at + 1, len);
        *at += len + 2;
    } else if (**at == '#') {
        ++*at;
        parse_big(encoder, at);
    } else if (!parse_word(encoder, at)) {
        parse_number(encoder, at);
    }
}

/* ---- values to texts */

void
value_say(struct value_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->len += (size_t)vsnprintf(text->at + text->len,
                                   VALUE_TEXT_MAX - text->len, format, args);
    va_end(args);
    if (text->len >= VALUE_TEXT_MAX) {
        abort();
    }
}

static void
print_element(struct value_text *text, chare_dtype dtype, const void *at)
{
    int64_t integer = 0;
    uint64_t natural = 0;
    double pair[2] = {0, 0};
    float floats[2] = {0, 0};
    uint16_t half;
    const size_t each = chare_dtype_bytes(dtype);

    memcpy(&natural, at, each > 8 ? 8 : each);
    if (dtype >= CHARE_DTYPE_I8 && dtype <= CHARE_DTYPE_I64) {
        integer = (int64_t)(natural << (64 - 8 * each)) >> (64 - 8 * each);
        value_say(text, "%" PRId64, integer);
    } else if (dtype <= CHARE_DTYPE_U64) {
        value_say(text, "%" PRIu64, natural);
    } else if (dtype == CHARE_DTYPE_F16) {
        memcpy(&half, at, 2);
        value_say(text, "%g", (double)chi_float_of_half(half));
    } else if (dtype == CHARE_DTYPE_F32) {
        memcpy(floats, at, 4);
        value_say(text, "%g", (double)floats[0]);
    } else if (dtype == CHARE_DTYPE_F64) {
        memcpy(pair, at, 8);
        value_say(text, "%g", pair[0]);
    } else if (dtype == CHARE_DTYPE_C64) {
        memcpy(floats, at, 8);
        value_say(text, "%g+%g", (double)floats[0], (double)floats[1]);
    } else {
        memcpy(pair, at, 16);
        value_say(text, "%g+%g", pair[0], pair[1]);
    }
}

static void
print_array(struct value_text *text, const chare_value *value)
{
    const bool fortran = (value->as.array.flags & 1) != 0;
    const int64_t *shape = value->as.array.shape;
    const bool flat = value->as.array.ndims == 1;
    const int64_t rows = flat ? 1 : shape[0];
    const int64_t columns = flat ? shape[0] : shape[1];
    const unsigned char *data = value->as.array.data;

    value_say(text, "%s%s{", dtype_names[value->as.array.dtype],
              fortran ? "F" : "");
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            const int64_t i = fortran ? c * rows + r : r * columns + c;

            value_say(text, "%s", c > 0 ? " " : r > 0 ? ";" : "");
            print_element(text, value->as.array.dtype,
                          data + (size_t)i *
                                     chare_dtype_bytes(value->as.array.dtype));
        }
    }
    value_say(text, "}");
}

static void
print_big(struct value_text *text, const chare_value *value)
{
    const unsigned char *bytes = value->as.bytes.at;
    size_t len = value->as.bytes.len;

    /* Without the bytes that only repeat the sign. */
    while (len > 1 && ((bytes[len - 1] == 0 && bytes[len - 2] < 0x80) ||
                       (bytes[len - 1] == 0xff && bytes[len - 2] >= 0x80))) {
        len--;
    }
    value_say(text, "#");
    while (len-- > 0) {
        value_say(text, "%02x", bytes[len]);
    }
}

static void
print_items(struct value_text *text, chare_decoder *decoder, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        value_say(text, "%s", i == 0 ? "" : " ");
        value_print(text, decoder);
    }
}

void
value_print(struct value_text *text, chare_decoder *decoder)
{
    chare_value value;

    if (chare_get(decoder, &value) != CHARE_OK) {
        value_say(text, "MALFORMED");
        return;
    }
    switch (value.tag) {
    case CHARE_TAG_FALSE:
    case CHARE_TAG_TRUE:
        value_say(text, "%s", value.tag == CHARE_TAG_TRUE ? "True" : "False");
        break;
    case CHARE_TAG_INT:
        value_say(text, "%" PRId64, value.as.integer);
        break;
    case CHARE_TAG_BIGINT:
        print_big(text, &value);
        break;
    case CHARE_TAG_FLOAT:
        value_say(text, "%.*f", value.as.real == floor(value.as.real) ? 1 : 3,
                  value.as.real);
        break;
    case CHARE_TAG_COMPLEX:
        value_say(text, "%g+%gj", value.as.pair.real, value.as.pair.imag);
        break;
    case CHARE_TAG_STR:
        value_say(text, "'%.*s'", (int)value.as.bytes.len,
                  (const char *)value.as.bytes.at);
        break;
    case CHARE_TAG_SCALAR:
        value_say(text, "%s:", dtype_names[value.as.bytes.dtype]);
        print_element(text, value.as.bytes.dtype, value.as.bytes.at);
        break;
    case CHARE_TAG_ARRAY:
        print_array(text, &value);
        break;
    case CHARE_TAG_LIST:
        value_say(text, "[");
        print_items(text, decoder, value.as.count);
        value_say(text, "]");
        break;
    case CHARE_TAG_TUPLE:
        value_say(text, "(");
        print_items(text, decoder, value.as.count);
        value_say(text, ")");
        break;
    case CHARE_TAG_ERROR:
        print_items(text, decoder, value.as.count);
        break;
    default:
        value_say(text, "?%d", value.tag);
    }
}
