/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_proxy.c - proxies as values.
 *
 * Goal:   they round trip, and what is cut or changed is refused or read
 *         within its bytes.
 * Method: each prefix, and each byte changed to each value.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "msg/codec.h"
#include "tap/tap.h"

enum {
    BYTES_MAX = 256
};

struct image {
    struct chi_msg_pool *pool;
    chare_buffer *buffer;
    unsigned char *bytes;
    size_t len;
};

static void
image_of(const chare_proxy *proxy, struct image *out)
{
    chare_encoder encoder;

    if (chi_msg_pool_create(&out->pool) != CHARE_OK ||
        chi_encoder_init(&encoder, out->pool, 0) != CHARE_OK) {
        abort();
    }
    chare_put_proxy(&encoder, proxy);
    if (chare_encoder_take(&encoder, &out->buffer) != CHARE_OK) {
        abort();
    }
    out->bytes = chare_buffer_bytes(out->buffer, &out->len);
}

static void
image_free(struct image *image)
{
    chare_buffer_release(image->buffer);
    chi_msg_pool_destroy(image->pool);
}

static const uint32_t types[2] = {7, 9};
static const chare_proxy one = {
    .element = {5, {2, 0, {-1, 1 << 20, 0, 0, 0, 0}}},
    .type = 3,
    .kind = CHARE_PROXY_ARRAY,
    .ndims = 2,
};
static const chare_proxy all = {
    .element = {6, {0, 0, {0, 0, 0, 0, 0, 0}}},
    .type = CHARE_NO_TYPE,
    .kind = CHARE_PROXY_SECTION,
    .part_count = 2,
    .parts = types,
};

static void
proxies_round_trip(void)
{
    const chare_proxy *const proxies[] = {&one, &all};

    for (int i = 0; i < 2; i++) {
        const chare_proxy *proxy = proxies[i];
        chare_decoder decoder;
        struct image image;
        chare_value value;

        image_of(proxy, &image);
        chare_decoder_init(&decoder, image.bytes, image.len);
        CHECK_EQ(chare_get(&decoder, &value), CHARE_OK);
        CHECK_EQ(value.tag, CHARE_TAG_PROXY);
        CHECK(memcmp(&value.as.proxy.element, &proxy->element,
                     sizeof(proxy->element)) == 0);
        CHECK_EQ(value.as.proxy.type, proxy->type);
        CHECK_EQ(value.as.proxy.kind, proxy->kind);
        CHECK_EQ(value.as.proxy.ndims, proxy->ndims);
        CHECK_EQ(value.as.proxy.part_count, proxy->part_count);
        CHECK(proxy->part_count == 0 ||
              memcmp(value.as.proxy.parts, types, sizeof(types)) == 0);
        CHECK(decoder.at == decoder.end);
        image_free(&image);
    }
}

static void
what_is_damaged_stays_within_its_bytes(void)
{
    unsigned char copy[BYTES_MAX];
    chare_decoder decoder;
    struct image image;
    chare_value value;

    image_of(&all, &image);
    for (size_t len = 1; len < image.len; len++) {
        chare_decoder_init(&decoder, image.bytes, len);
        CHECK_EQ(chare_get(&decoder, &value), CHARE_ERR_FORMAT);
    }
    for (size_t at = 1; at < image.len && image.len <= sizeof(copy); at++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(copy, image.bytes, image.len);
            copy[at] = (unsigned char)byte;
            chare_decoder_init(&decoder, copy, image.len);
            if (chare_get(&decoder, &value) == CHARE_OK) {
                CHECK(decoder.at <= decoder.end);
                CHECK(value.as.proxy.part_count <= CHARE_PROXY_PARTS_MAX);
                CHECK(value.as.proxy.element.index.ndims <= CHARE_DIMS_MAX);
            }
        }
    }
    image_free(&image);
}

static void
proxies_that_cannot_be(void)
{
    struct chi_msg_pool *pool;
    chare_encoder encoder;
    chare_proxy bad = all;

    CHECK_EQ(chi_msg_pool_create(&pool), CHARE_OK);
    bad.part_count = CHARE_PROXY_PARTS_MAX + 1;
    CHECK_EQ(chi_encoder_init(&encoder, pool, 0), CHARE_OK);
    chare_put_proxy(&encoder, &bad);
    CHECK_EQ(encoder.status, CHARE_ERR_INVALID);
    chare_encoder_fini(&encoder);
    bad = one;
    bad.element.index.ndims = CHARE_DIMS_MAX + 1;
    CHECK_EQ(chi_encoder_init(&encoder, pool, 0), CHARE_OK);
    chare_put_proxy(&encoder, &bad);
    CHECK_EQ(encoder.status, CHARE_ERR_INVALID);
    chare_encoder_fini(&encoder);
    chi_msg_pool_destroy(pool);
}

TAP_MAIN(TAP_CASE(proxies_round_trip),
         TAP_CASE(what_is_damaged_stays_within_its_bytes),
         TAP_CASE(proxies_that_cannot_be))
