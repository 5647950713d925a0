/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_index.c - indices as keys, positions and homes.
 *
 * Goal:   a key holds all of an index that fits, and says which do not; keys
 *         of different indices differ; positions are row-major and onto; each
 *         map gives each index one PE that exists, block in even runs.
 * Method: all small indices, and random large ones at the borders.
 */
#include "config.h"

#include "base/prng.h"
#include "obj/obj_private.h"
#include "tap/tap.h"

static const unsigned bits[CHARE_DIMS_MAX + 1] = {0, 64, 32, 21, 16, 12, 10};

static bool
round_trip(const chare_index *index)
{
    chare_index back;
    uint64_t key;

    if (!chi_index_pack(index, &key)) {
        return false;
    }
    chi_index_unpack(key, index->ndims, &back);
    return memcmp(&back, index, sizeof(back)) == 0;
}

static void
small_indices_pack(void)
{
    for (uint32_t ndims = 1; ndims <= CHARE_DIMS_MAX; ndims++) {
        chare_index index = {.ndims = ndims};
        uint32_t total = 1;

        for (uint32_t i = 0; i < ndims; i++) {
            total *= 5;
        }
        for (uint32_t n = 0; n < total; n++) {
            for (uint32_t i = 0, rest = n; i < ndims; i++, rest /= 5) {
                index.at[i] = (int64_t)(rest % 5) - 2;
            }
            CHECK(round_trip(&index));
        }
    }
}

static void
borders_pack_and_no_further(void)
{
    struct chi_prng prng;

    chi_prng_init(&prng, 3);
    for (uint32_t ndims = 2; ndims <= CHARE_DIMS_MAX; ndims++) {
        const int64_t limit = (int64_t)1 << (bits[ndims] - 1);

        for (uint32_t n = 0; n < 2000; n++) {
            const uint32_t which = (uint32_t)chi_prng_below(&prng, ndims);
            chare_index index = {.ndims = ndims};
            uint64_t key;

            for (uint32_t i = 0; i < ndims; i++) {
                index.at[i] =
                    (int64_t)chi_prng_below(&prng, 2 * (uint64_t)limit) -
                    limit;
            }
            index.at[which] = n % 2 == 0 ? -limit : limit - 1;
            CHECK(round_trip(&index));
            index.at[which] = n % 2 == 0 ? -limit - 1 : limit;
            CHECK(!chi_index_pack(&index, &key));
        }
    }
    for (uint32_t n = 0; n < 1000; n++) {
        const chare_index index = {.ndims = 1,
                                   .at = {(int64_t)chi_prng_next(&prng)}};

        CHECK(round_trip(&index));
    }
}

static struct chi_collection
collection_of(uint32_t ndims, const int64_t *dims, uint32_t map)
{
    struct chi_collection collection = {
        .spec = {.ndims = ndims, .dense = 1, .map = map},
        .kind = CHI_KIND_ARRAY,
        .dense_count = 1,
    };

    for (uint32_t i = 0; i < ndims; i++) {
        collection.spec.dims[i] = dims[i];
        collection.dense_count *= (uint64_t)dims[i];
    }
    return collection;
}

static void
positions_are_row_major(void)
{
    static const int64_t dims[CHARE_DIMS_MAX] = {3, 1, 4, 2, 5, 2};

    for (uint32_t ndims = 1; ndims <= CHARE_DIMS_MAX; ndims++) {
        const struct chi_collection collection = collection_of(ndims, dims, 0);
        uint64_t position;
        chare_index index;

        for (uint64_t n = 0; n < collection.dense_count; n++) {
            chi_index_at_position(&collection.spec, n, &index);
            CHECK(chi_index_position(&collection.spec, &index, &position));
            CHECK(position == n);
            index.at[0] = dims[0];
            CHECK(!chi_index_position(&collection.spec, &index, &position));
            index.at[0] = -1;
            CHECK(!chi_index_position(&collection.spec, &index, &position));
        }
    }
}

/* How many chares of an array each PE gets. */
static bool
share(uint32_t pe_count, int64_t length, uint32_t map, uint32_t *share_out)
{
    struct chi_pe pe = {.size = pe_count};
    const struct chi_obj obj = {.pe = &pe};
    const int64_t dims[] = {length};
    const struct chi_collection collection = collection_of(1, dims, map);
    uint32_t last = 0;

    memset(share_out, 0, pe_count * sizeof(*share_out));
    for (int64_t i = 0; i < length; i++) {
        const chare_index index = {.ndims = 1, .at = {i}};
        const uint32_t home = chi_collection_home(&obj, &collection, &index);

        if (home >= pe_count || (map == CHARE_MAP_BLOCK && home < last) ||
            (map == CHARE_MAP_ROUND_ROBIN && home != (uint64_t)i % pe_count)) {
            return false;
        }
        last = home;
        share_out[home]++;
    }
    return true;
}

/* Each has 'few' or one more. */
static bool
even(const uint32_t *got, uint32_t pe_count, uint32_t few)
{
    for (uint32_t pe = 0; pe < pe_count; pe++) {
        if (got[pe] != few && got[pe] != few + 1) {
            return false;
        }
    }
    return true;
}

static void
maps_share_evenly(void)
{
    uint32_t got[40];

    for (uint32_t pe_count = 1; pe_count <= 40; pe_count++) {
        for (int64_t length = 0; length < 130; length += 7) {
            const uint32_t few = (uint32_t)length / pe_count;

            for (uint32_t map = 0; map <= CHARE_MAP_HASH; map++) {
                CHECK(share(pe_count, length, map, got));
                CHECK(map == CHARE_MAP_HASH || even(got, pe_count, few));
            }
        }
    }
}

TAP_MAIN(TAP_CASE(small_indices_pack), TAP_CASE(borders_pack_and_no_further),
         TAP_CASE(positions_are_row_major), TAP_CASE(maps_share_evenly))
