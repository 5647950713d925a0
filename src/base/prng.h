/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_PRNG_H
#define CHI_BASE_PRNG_H

/*
 * prng.h - repeatable chance: xoshiro256** seeded by splitmix64
 * (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * ACM TOMS 47(4), 2021). Not for secrets: those come from the kernel.
 */

#include <stdint.h>

struct chi_prng {
    uint64_t s[4];
};

/* One step of splitmix64; also a good 64-bit mixing function. */
static inline uint64_t
chi_mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static inline void
chi_prng_init(struct chi_prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        prng->s[i] = chi_mix64(seed + (uint64_t)i * 0x9e3779b97f4a7c15ull);
    }
}

static inline uint64_t
chi_prng_next(struct chi_prng *prng)
{
    uint64_t *s = prng->s;
    const uint64_t x = s[1] * 5;
    const uint64_t result = ((x << 7) | (x >> 57)) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* A number in [0, limit); limit must not be 0. */
static inline uint64_t
chi_prng_below(struct chi_prng *prng, uint64_t limit)
{
    __extension__ typedef unsigned __int128 wide;

    return (uint64_t)(((wide)chi_prng_next(prng) * limit) >> 64);
}

#endif /* CHI_BASE_PRNG_H */
