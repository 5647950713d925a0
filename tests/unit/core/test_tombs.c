/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tombs.c - names of destroyed collections, a bit for each.
 *
 * Goal:   the set has what was added, whatever the order, and nothing else;
 *         names that are all in it take no memory, however many.
 * Method: names of some creators, added in random order; the sizes of its
 *         tables.
 */
#include "config.h"

#include "base/prng.h"
#include "obj/obj_private.h"
#include "tap/tap.h"

enum {
    CREATORS = 3,
    NAMES = 5000
};

static chare_collection
name(uint64_t kind, uint64_t creator, uint64_t counter)
{
    return kind << CHI_COLLECTION_KIND_SHIFT |
           creator << CHI_COLLECTION_PE_SHIFT | counter;
}

static void
what_is_added_is_there(void)
{
    static bool in[CREATORS][NAMES + 1];
    struct chi_tombs tombs;
    struct chi_prng prng;
    bool right = true;

    chi_tombs_init(&tombs);
    chi_prng_init(&prng, 1);
    CHECK(!chi_tombs_has(&tombs, name(3, 0, 1)));
    for (uint32_t n = 0; n < 20000; n++) {
        const uint64_t creator = chi_prng_below(&prng, CREATORS);
        const uint64_t counter = 1 + chi_prng_below(&prng, NAMES);

        right = right &&
                chi_tombs_has(&tombs, name(5, creator, counter)) ==
                    in[creator][counter] &&
                chi_tombs_add(&tombs, name(3, creator, counter)) == CHARE_OK &&
                chi_tombs_has(&tombs, name(3, creator, counter));
        in[creator][counter] = true;
    }
    for (uint64_t creator = 0; creator < CREATORS; creator++) {
        for (uint64_t counter = 1; counter <= NAMES; counter++) {
            right =
                right && chi_tombs_has(&tombs, name(3, creator, counter)) ==
                             in[creator][counter];
        }
    }
    CHECK(right);
    chi_tombs_fini(&tombs);
}

static void
rows_take_nothing(void)
{
    struct chi_tombs tombs;
    bool right = true;

    chi_tombs_init(&tombs);
    for (uint64_t n = 1; n <= 1000000; n++) {
        right =
            right &&
            chi_tombs_add(&tombs, name(3, 7, ((n - 1) ^ 1) + 1)) == CHARE_OK;
    }
    CHECK(right);
    CHECK_EQ(tombs.words.count, 0);
    CHECK_EQ(tombs.marks.count, 1);
    CHECK(chi_tombs_has(&tombs, name(5, 7, 999999)));
    CHECK(!chi_tombs_has(&tombs, name(5, 7, 1000001)));
    CHECK(!chi_tombs_has(&tombs, name(5, 8, 1)));
    CHECK(!chi_tombs_has(&tombs, name(5, 7, 0))); /* names nothing */
    chi_tombs_fini(&tombs);
}

TAP_MAIN(TAP_CASE(what_is_added_is_there), TAP_CASE(rows_take_nothing))
