/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec.c - what encoding and decoding values costs.
 *
 * Each row is the best of several rounds, so that other work on the machine
 * shows as little as it can. Messages are warm in the cache and come from a
 * pool, as on the message path. "Encode" is from taking a message to giving
 * it back; "values" is without that.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "msg/buffer.h"
#include "msg/codec.h"

enum {
    ROUNDS = 20,
    ARRAY_BYTES = 1 << 20,
};

struct bench {
    struct chi_msg_pool *pool;
    int64_t integer;
    double real;
    const char *text;
    const unsigned char *array;
    chare_buffer *encoded; /* what the decoders read */
    uint64_t sum;          /* keeps the compiler from dropping the work */
};

struct row {
    const char *name;
    void (*prepare)(struct bench *bench);
    void (*run)(struct bench *bench, uint32_t times);
    uint32_t times;
};

static void
check(chare_status status)
{
    if (status != CHARE_OK) {
        fprintf(stderr, "codec: %s\n", chare_status_text(status));
        exit(EXIT_FAILURE);
    }
}

static void
put_int(struct bench *bench, chare_encoder *encoder)
{
    chare_put_container(encoder, CHARE_TAG_TUPLE, 1);
    chare_put_int(encoder, bench->integer);
}

static void
put_three(struct bench *bench, chare_encoder *encoder)
{
    chare_put_container(encoder, CHARE_TAG_TUPLE, 3);
    chare_put_int(encoder, bench->integer);
    chare_put_float(encoder, bench->real);
    chare_put_str(encoder, bench->text, 5);
}

static void
put_array(struct bench *bench, chare_encoder *encoder)
{
    const int64_t shape = ARRAY_BYTES / 8;
    void *data =
        chare_put_array(encoder, CHARE_DTYPE_F64, 0, 1, &shape, ARRAY_BYTES);

    if (data != NULL) {
        memcpy(data, bench->array, ARRAY_BYTES);
    }
}

static void
prepare(struct bench *bench, void (*put)(struct bench *, chare_encoder *))
{
    chare_encoder encoder;

    chare_buffer_release(bench->encoded);
    bench->encoded = NULL;
    check(chi_encoder_init(&encoder, bench->pool, 64));
    put(bench, &encoder);
    check(chare_encoder_take(&encoder, &bench->encoded));
}

/* Encode, with the message. */
static inline void
encode(struct bench *bench, uint32_t times, size_t room,
       void (*put)(struct bench *, chare_encoder *))
{
    for (uint32_t i = 0; i < times; i++) {
        chare_encoder encoder;
        chare_buffer *buffer;

        check(chi_encoder_init(&encoder, bench->pool, room));
        put(bench, &encoder);
        check(chare_encoder_take(&encoder, &buffer));
        chare_buffer_release(buffer);
    }
}

static void
encode_int(struct bench *bench, uint32_t times)
{
    encode(bench, times, 64, put_int);
}

static void
encode_three(struct bench *bench, uint32_t times)
{
    encode(bench, times, 64, put_three);
}

static void
encode_array(struct bench *bench, uint32_t times)
{
    encode(bench, times, ARRAY_BYTES + 64, put_array);
}

/* Encode, without the message: the writers only. */
static void
write_three(struct bench *bench, uint32_t times)
{
    chare_encoder encoder;
    unsigned char *start;

    check(chi_encoder_init(&encoder, bench->pool, 64));
    start = encoder.at;
    for (uint32_t i = 0; i < times; i++) {
        encoder.at = start;
        put_three(bench, &encoder);
    }
    chare_encoder_fini(&encoder);
}

static void
decode(struct bench *bench, uint32_t times)
{
    size_t len;
    const void *bytes = chare_buffer_bytes(bench->encoded, &len);

    for (uint32_t i = 0; i < times; i++) {
        chare_decoder decoder;
        chare_value value;

        chare_decoder_init(&decoder, bytes, len);
        check(chare_get(&decoder, &value));
        for (size_t items = value.as.count; items > 0; items--) {
            check(chare_get(&decoder, &value));
            bench->sum += (uint64_t)value.as.integer;
        }
    }
}

static void
find_array(struct bench *bench, uint32_t times)
{
    size_t len;
    const void *bytes = chare_buffer_bytes(bench->encoded, &len);

    for (uint32_t i = 0; i < times; i++) {
        chare_decoder decoder;
        chare_value value;

        chare_decoder_init(&decoder, bytes, len);
        check(chare_get(&decoder, &value));
        bench->sum += value.as.array.len;
    }
}

static void
decode_array(struct bench *bench, uint32_t times)
{
    size_t len;
    const void *bytes = chare_buffer_bytes(bench->encoded, &len);
    unsigned char *copy = malloc(ARRAY_BYTES);

    if (copy == NULL) {
        check(CHARE_ERR_NO_MEMORY);
    }
    for (uint32_t i = 0; i < times; i++) {
        chare_decoder decoder;
        chare_value value;

        chare_decoder_init(&decoder, bytes, len);
        check(chare_get(&decoder, &value));
        memcpy(copy, value.as.array.data, value.as.array.len);
        bench->sum += copy[i % ARRAY_BYTES];
    }
    free(copy);
}

static void
prepare_int(struct bench *bench)
{
    prepare(bench, put_int);
}

static void
prepare_three(struct bench *bench)
{
    prepare(bench, put_three);
}

static void
prepare_array(struct bench *bench)
{
    prepare(bench, put_array);
}

static const struct row rows[] = {
    {"(int) encode", prepare_int, encode_int, 100000},
    {"(int) decode", prepare_int, decode, 100000},
    {"(int, float, str) encode", prepare_three, encode_three, 100000},
    {"(int, float, str) values", prepare_three, write_three, 100000},
    {"(int, float, str) decode", prepare_three, decode, 100000},
    {"1 MiB array encode", prepare_array, encode_array, 100},
    {"1 MiB array find", prepare_array, find_array, 100000},
    {"1 MiB array find and copy", prepare_array, decode_array, 100},
};

static double
row_ns(const struct row *row, struct bench *bench)
{
    double best = 0;

    row->prepare(bench);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t start = chi_clock_now_ns(&chi_clock_real);
        double each;

        row->run(bench, row->times);
        each =
            (double)(chi_clock_now_ns(&chi_clock_real) - start) / row->times;
        best = round == 0 || each < best ? each : best;
    }
    return best;
}

int
main(void)
{
    struct bench bench = {.integer = 1234, .real = 2.5, .text = "chare"};
    unsigned char *array = calloc(1, ARRAY_BYTES);

    if (array == NULL) {
        check(CHARE_ERR_NO_MEMORY);
    }
    bench.array = array;
    check(chi_msg_pool_create(&bench.pool));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        printf("%-28s %10.1f ns\n", rows[i].name, row_ns(&rows[i], &bench));
    }
    chare_buffer_release(bench.encoded);
    chi_msg_pool_destroy(bench.pool);
    free(array);
    return bench.sum == 1 ? EXIT_FAILURE : EXIT_SUCCESS;
}
