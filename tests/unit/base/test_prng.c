/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_prng.c - repeatable chance repeats, and is chance.
 *
 * Goal: a seed always gives the same numbers, on every machine; different
 * seeds differ; numbers below a limit are, and are spread evenly. Method: the
 * first numbers of one seed are written down here; the rest is counted, with
 * bounds that a fair generator keeps with room to spare (the seed is fixed).
 */
#include "config.h"

#include "base/prng.h"
#include "tap/tap.h"

static void
known_numbers(void)
{
    /* splitmix64 of 0, as its authors publish it. */
    CHECK(chi_mix64(0) == 0xe220a8397b1dcdafull);
}

static void
same_seed_same_numbers(void)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct chi_prng a;
        struct chi_prng b;
        struct chi_prng c;
        int equal = 0;

        chi_prng_init(&a, seed);
        chi_prng_init(&b, seed);
        chi_prng_init(&c, seed + 1);
        for (int i = 0; i < 100; i++) {
            const uint64_t number = chi_prng_next(&a);

            CHECK(number == chi_prng_next(&b));
            equal += number == chi_prng_next(&c);
        }
        CHECK_EQ(equal, 0);
    }
}

/* xoshiro256** from its published description, in other words. */
static void
next_is_xoshiro(void)
{
    struct chi_prng prng = {{1, 2, 3, 4}};

    /* s1 * 5 = 10, rotated left by 7 = 1280, times 9. */
    CHECK(chi_prng_next(&prng) == 11520);
    CHECK(prng.s[0] == (1 ^ 4 ^ 2));
    CHECK(prng.s[1] == (2 ^ 3 ^ 1));
    CHECK(prng.s[2] == ((3 ^ 1) ^ (2ull << 17)));
    CHECK(prng.s[3] == (uint64_t)(4 ^ 2) << 45);
    /* s1 is 0 now: so is the second number. */
    CHECK(chi_prng_next(&prng) == 0);
}

static void
below_a_limit(void)
{
    static const uint64_t limits[] = {1,  2,    3,          7,
                                      10, 1000, 1ull << 40, UINT64_MAX};
    struct chi_prng prng;

    chi_prng_init(&prng, 3);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 1000; k++) {
            CHECK(chi_prng_below(&prng, limits[i]) < limits[i]);
        }
    }
}

static void
evenly_spread(void)
{
    enum {
        BINS = 10,
        EACH = 10000
    };
    unsigned bins[BINS] = {0};
    unsigned bits[64] = {0};
    struct chi_prng prng;

    chi_prng_init(&prng, 4);
    for (int i = 0; i < BINS * EACH; i++) {
        const uint64_t number = chi_prng_next(&prng);

        bins[chi_prng_below(&prng, BINS)]++;
        for (int bit = 0; bit < 64; bit++) {
            bits[bit] += number >> bit & 1;
        }
    }
    for (int i = 0; i < BINS; i++) { /* six standard deviations */
        CHECK(bins[i] > EACH - 570 && bins[i] < EACH + 570);
    }
    for (int bit = 0; bit < 64; bit++) {
        CHECK(bits[bit] > BINS * EACH / 2 - 950 &&
              bits[bit] < BINS * EACH / 2 + 950);
    }
}

TAP_MAIN(TAP_CASE(known_numbers), TAP_CASE(same_seed_same_numbers),
         TAP_CASE(next_is_xoshiro), TAP_CASE(below_a_limit),
         TAP_CASE(evenly_spread))
