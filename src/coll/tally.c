/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tally.c - sums and the like of numbers, without a message for each.
 */
#include "config.h"

#include "coll/tally.h"

#include "coll/kernels.h"
#include "msg/buffer.h"
#include "msg/codec.h"

static bool
add_int(int64_t *sum, uint32_t reducer, int64_t value)
{
    int64_t result;

    switch (reducer) {
    case CHARE_REDUCE_SUM:
        if (__builtin_add_overflow(*sum, value, &result)) {
            return false;
        }
        break;
    case CHARE_REDUCE_PRODUCT:
        if (__builtin_mul_overflow(*sum, value, &result)) {
            return false;
        }
        break;
    case CHARE_REDUCE_MIN:
        result = value < *sum ? value : *sum;
        break;
    default:
        result = value > *sum ? value : *sum;
        break;
    }
    *sum = result;
    return true;
}

static void
add_float(double *sum, uint32_t reducer, double value)
{
    if (reducer == CHARE_REDUCE_SUM) {
        *sum += value;
    } else {
        chi_kernel_find(reducer, CHARE_DTYPE_F64)(sum, &value, 1);
    }
}

bool
chi_tally_add(struct chi_tally *tally, uint32_t reducer,
              const chare_value *number)
{
    if (reducer < CHARE_REDUCE_SUM || reducer > CHARE_REDUCE_MAX ||
        (number->tag != CHARE_TAG_INT && number->tag != CHARE_TAG_FLOAT)) {
        return false;
    }
    if (tally->tag == CHARE_TAG_END) {
        tally->tag = number->tag;
        if (number->tag == CHARE_TAG_INT) {
            tally->as.integer = number->as.integer;
        } else {
            tally->as.real = number->as.real;
        }
        return true;
    }
    if (tally->tag != number->tag) {
        return false;
    }
    if (number->tag == CHARE_TAG_INT) {
        return add_int(&tally->as.integer, reducer, number->as.integer);
    }
    add_float(&tally->as.real, reducer, number->as.real);
    return true;
}

struct chi_msg *
chi_tally_part(struct chi_pe *pe, const chare_value *number)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_status status = chi_encoder_init(&encoder, pe->pool, 16);

    if (status == CHARE_OK && number->tag == CHARE_TAG_INT) {
        chare_put_int(&encoder, number->as.integer);
    } else if (status == CHARE_OK) {
        chare_put_float(&encoder, number->as.real);
    }
    if (status != CHARE_OK ||
        chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        chi_pe_die(pe, "out of memory for a reduction");
    }
    chi_msg_of_buffer(buffer)->env.format = CHARE_FORMAT_VALUE;
    chi_msg_of_buffer(buffer)->env.source_pe = pe->rank;
    return chi_msg_of_buffer(buffer);
}

struct chi_msg *
chi_tally_take(struct chi_tally *tally, struct chi_pe *pe)
{
    chare_value number = {.tag = tally->tag};

    if (tally->tag == CHARE_TAG_INT) {
        number.as.integer = tally->as.integer;
    } else {
        number.as.real = tally->as.real;
    }
    tally->tag = CHARE_TAG_END;
    return chi_tally_part(pe, &number);
}
