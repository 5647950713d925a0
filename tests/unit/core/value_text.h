/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_VALUE_TEXT_H
#define TESTS_VALUE_TEXT_H

/*
 * value_text.h - values of the codec as short texts, for tables of cases.
 *
 *   None True False 12 1.5 2j 'text'
 *   #0080                a big int: hex, highest byte first
 *   [1 2] (1 2)          a list, a tuple
 *   f64:1.5 c64:1+2      an element with a dtype
 *   i32{1 2}             a one-dimensional array
 *   i32F{1 2;3 4}        two rows, in Fortran order
 *
 * An error prints as its items. Bad texts abort the test.
 */

#include <stddef.h>

#include <chare.h>

enum {
    VALUE_TEXT_MAX = 4096
};

struct value_text {
    char at[VALUE_TEXT_MAX];
    size_t len;
};

/* Put the item at *at, and move behind it. */
void value_parse(chare_encoder *encoder, const char **at);

/* Add the next item to a text. */
void value_print(struct value_text *text, chare_decoder *decoder);

__attribute__((format(printf, 2, 3))) void value_say(struct value_text *text,
                                                     const char *format, ...);

#endif /* TESTS_VALUE_TEXT_H */
