/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_callback.c - callbacks on the wire.
 *
 * Goal:   what is written is read back; cut or random bytes are refused, or
 *         give a callback of a kind that exists; nothing is read or written
 *         outside the bytes.
 */
#include "config.h"

#include "base/prng.h"
#include "cb/callback.h"
#include "tap/tap.h"

static chare_callback
draw(struct chi_prng *prng)
{
    chare_callback callback = {
        .kind = (chare_callback_kind)chi_prng_below(prng, 5)};

    switch (callback.kind) {
    case CHARE_CALLBACK_NONE:
        break;
    case CHARE_CALLBACK_FUNCTION:
        callback.entry = (uint32_t)chi_prng_next(prng);
        callback.future.id = chi_prng_next(prng);
        callback.future.pe = (uint32_t)chi_prng_next(prng);
        break;
    case CHARE_CALLBACK_FUTURE:
        callback.future.id = chi_prng_next(prng);
        callback.future.pe = (uint32_t)chi_prng_next(prng);
        break;
    default:
        callback.entry = (uint32_t)chi_prng_next(prng);
        callback.element.collection = chi_prng_next(prng);
        callback.element.index.ndims =
            (uint32_t)chi_prng_below(prng, CHARE_DIMS_MAX + 1);
        for (uint32_t i = 0; i < callback.element.index.ndims; i++) {
            callback.element.index.at[i] = (int64_t)chi_prng_next(prng);
        }
    }
    return callback;
}

static void
what_is_written_is_read(void)
{
    struct chi_prng prng;

    chi_prng_init(&prng, 1);
    for (uint32_t i = 0; i < 5000; i++) {
        const chare_callback callback = draw(&prng);
        unsigned char bytes[CHI_CALLBACK_WIRE_BYTES_MAX];
        struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
        struct chi_reader reader;
        chare_callback back;
        size_t len;

        chi_callback_write(&writer, &callback);
        CHECK(!writer.bad);
        len = (size_t)(writer.at - bytes);
        reader = chi_reader_of(bytes, len);
        CHECK(chi_callback_read(&reader, &back));
        CHECK(memcmp(&back, &callback, sizeof(back)) == 0);
        for (size_t cut = 0; cut < len; cut++) {
            reader = chi_reader_of(bytes, cut);
            CHECK(!chi_callback_read(&reader, &back));
        }
    }
}

static void
random_bytes_are_safe(void)
{
    struct chi_prng prng;
    uint32_t read = 0;

    chi_prng_init(&prng, 2);
    for (uint32_t i = 0; i < 20000; i++) {
        const size_t len =
            (size_t)chi_prng_below(&prng, CHI_CALLBACK_WIRE_BYTES_MAX);
        unsigned char *bytes = malloc(len + 1); /* its end is watched */
        struct chi_reader reader = chi_reader_of(bytes, len);
        chare_callback callback;

        CHECK(bytes != NULL);
        for (size_t j = 0; j < len; j++) {
            bytes[j] = (unsigned char)chi_prng_next(&prng);
        }
        if (len > 0) {
            bytes[0] %= 8;
        }
        if (chi_callback_read(&reader, &callback)) {
            read++;
            CHECK((unsigned)callback.kind <= CHARE_CALLBACK_FUNCTION);
            CHECK(callback.element.index.ndims <= CHARE_DIMS_MAX);
        }
        free(bytes);
    }
    CHECK(read > 1000);
}

TAP_MAIN(TAP_CASE(what_is_written_is_read), TAP_CASE(random_bytes_are_safe))
