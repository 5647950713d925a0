/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_crowd.c - PEs that have fewer processors than they are.
 *
 * Goal:   PEs that have to share processors are found, with all that they
 *         share, whether the sets that they may use are equal, overlap in part
 *         or are connected by others'; nobody else is. Sets come back from
 *         their bytes, and bytes that are none are refused.
 * Method: sets written down; then small ones drawn by seed, for which all
 *         subsets of the PEs are looked at: crowded are those of the smallest
 *         set that misses the most processors.
 */
#include "config.h"

#include "topo/crowd.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/prng.h"
#include "tap/tap.h"

enum {
    SEEDS = 3000,
    PES_MAX = 8,
    CPUS_MAX = 6, /* of the drawn ones */
    MANY = 700,
    MANY_CPUS = 256,
};

static struct chi_cpus
cpus_of(uint32_t bits)
{
    struct chi_cpus cpus = {{bits}};

    return cpus;
}

static bool
is_group(const struct chi_cpus *cpus, uint32_t pe_count, uint32_t pe,
         uint32_t processors, uint32_t pes)
{
    struct chi_crowd crowd = {0};

    return chi_crowd_find(cpus, pe_count, pe, &crowd) == CHARE_OK &&
           crowd.processors == processors && crowd.pes == pes;
}

static void
equal_sets_are_shared(void)
{
    struct chi_cpus cpus[6];

    for (uint32_t i = 0; i < 6; i++) {
        cpus[i] = cpus_of(i < 4 ? 0x3 : 0xc);
    }
    for (uint32_t i = 0; i < 6; i++) {
        CHECK(is_group(cpus, 6, i, i < 4 ? 2 : 1, i < 4 ? 4 : 1));
    }
}

static void
sets_that_overlap_are_one_group(void)
{
    const struct chi_cpus cpus[] = {cpus_of(0x1), cpus_of(0x3), cpus_of(0x2)};

    for (uint32_t i = 0; i < 3; i++) {
        CHECK(is_group(cpus, 3, i, 2, 3));
    }
    CHECK(is_group(cpus, 2, 0, 1, 1)); /* without the last: one for each */
    CHECK(is_group(cpus, 2, 1, 1, 1));
}

static void
who_can_have_one_alone_is_not_crowded(void)
{
    const struct chi_cpus cpus[] = {cpus_of(0x1), cpus_of(0x7), cpus_of(0x1)};

    CHECK(is_group(cpus, 3, 0, 1, 2));
    CHECK(is_group(cpus, 3, 1, 1, 1));
    CHECK(is_group(cpus, 3, 2, 1, 2));
}

static void
groups_that_do_not_meet_are_apart(void)
{
    struct chi_cpus cpus[6] = {{{0}}};

    cpus[0] = cpus_of(0x1);
    cpus[1] = cpus_of(0x1);
    cpus[2] = cpus_of(0x5); /* meets them, and has another */
    for (uint32_t i = 3; i < 6; i++) {
        chi_cpus_add(&cpus[i], CHI_CPUS_MAX - 1);
    }
    CHECK(is_group(cpus, 6, 0, 1, 2));
    CHECK(is_group(cpus, 6, 2, 1, 1));
    CHECK(is_group(cpus, 6, 4, 1, 3));
}

static void
what_is_unknown_is_not_crowded(void)
{
    const struct chi_cpus cpus[] = {cpus_of(0), cpus_of(0x1), cpus_of(0),
                                    cpus_of(0x1)};

    CHECK(is_group(cpus, 4, 0, 1, 1));
    CHECK(is_group(cpus, 4, 3, 1, 2));
}

static void
many_pes_on_many_processors(void)
{
    static struct chi_cpus cpus[MANY];

    for (uint32_t pe = 0; pe < MANY; pe++) {
        for (uint32_t cpu = 0; cpu < MANY_CPUS; cpu++) {
            chi_cpus_add(&cpus[pe], cpu);
        }
    }
    CHECK(is_group(cpus, MANY, 0, MANY_CPUS, MANY));
    CHECK(is_group(cpus, MANY, MANY - 1, MANY_CPUS, MANY));
    CHECK(is_group(cpus, MANY_CPUS, 0, 1, 1));
}

/* ---- drawn sets */

struct drawn {
    uint32_t pe_count;
    uint32_t bits[PES_MAX];
    struct chi_cpus cpus[PES_MAX];
};

static void
draw(struct drawn *drawn, uint64_t seed)
{
    struct chi_prng prng;
    uint32_t cpu_count;

    chi_prng_init(&prng, seed);
    drawn->pe_count = 1 + (uint32_t)chi_prng_below(&prng, PES_MAX);
    cpu_count = 1 + (uint32_t)chi_prng_below(&prng, CPUS_MAX);
    for (uint32_t pe = 0; pe < drawn->pe_count; pe++) {
        uint32_t bits = (uint32_t)chi_prng_below(&prng, 1u << cpu_count);

        bits &= (uint32_t)chi_prng_next(&prng) | 1u << pe % cpu_count;
        drawn->bits[pe] = bits;
        drawn->cpus[pe] = cpus_of(bits);
    }
}

/* What PEs may use, PEs as bits. */
static uint32_t
all_of(const struct drawn *drawn, uint32_t pes)
{
    uint32_t bits = 0;

    for (uint32_t pe = 0; pe < drawn->pe_count; pe++) {
        bits |= (pes >> pe & 1) != 0 ? drawn->bits[pe] : 0;
    }
    return bits;
}

/* The PEs, as bits, of the smallest set that misses the most processors; of
 * those that may use some. */
static uint32_t
crowded_of(const struct drawn *drawn)
{
    uint32_t best = 0;
    int missing = 0;

    for (uint32_t pes = 1; pes < 1u << drawn->pe_count; pes++) {
        int wanted = 0;
        int misses;

        for (uint32_t pe = 0; pe < drawn->pe_count; pe++) {
            wanted += (pes >> pe & 1) != 0 && drawn->bits[pe] != 0;
        }
        misses = wanted - __builtin_popcount(all_of(drawn, pes));
        if (misses > missing ||
            (misses == missing && misses > 0 &&
             __builtin_popcount(pes) < __builtin_popcount(best))) {
            best = pes;
            missing = misses;
        }
    }
    return best;
}

/* Those of them that are connected with one. */
static uint32_t
group_in(const struct drawn *drawn, uint32_t crowded, uint32_t pe)
{
    uint32_t group = 1u << pe;
    uint32_t before;

    do {
        before = group;
        for (uint32_t i = 0; i < drawn->pe_count; i++) {
            if ((crowded >> i & 1) != 0 &&
                (drawn->bits[i] & all_of(drawn, group)) != 0) {
                group |= 1u << i;
            }
        }
    } while (group != before);
    return group;
}

static void
drawn_sets(void)
{
    uint32_t crowds = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct drawn drawn;
        uint32_t crowded;

        draw(&drawn, seed);
        crowded = crowded_of(&drawn);
        crowds += crowded != 0;
        for (uint32_t pe = 0; pe < drawn.pe_count; pe++) {
            uint32_t processors = 1;
            uint32_t pes = 1;

            if ((crowded >> pe & 1) != 0) {
                const uint32_t group = group_in(&drawn, crowded, pe);

                pes = (uint32_t)__builtin_popcount(group);
                processors =
                    (uint32_t)__builtin_popcount(all_of(&drawn, group));
            }
            if (!is_group(drawn.cpus, drawn.pe_count, pe, processors, pes)) {
                printf("# seed %" PRIu64 ": PE %u: should be %u on %u\n", seed,
                       pe, pes, processors);
                CHECK(false);
                return;
            }
        }
    }
    CHECK(crowds > SEEDS / 10 && crowds < SEEDS);
}

/* ---- bytes */

static void
sets_come_back(void)
{
    static const uint32_t pairs[][2] = {
        {0, 0}, {0, CHI_CPUS_MAX - 1}, {63, 64}, {200, 200}, {8, 300}};
    unsigned char bytes[CHI_CPUS_BYTES_MAX];

    for (size_t i = 0; i <= sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
        struct chi_cpus cpus = {{0}};
        struct chi_cpus got;
        struct chi_reader reader;
        size_t len;

        if (i > 0) { /* first the empty set */
            chi_cpus_add(&cpus, pairs[i - 1][0]);
            chi_cpus_add(&cpus, pairs[i - 1][1]);
        }
        chi_cpus_encode(&cpus, &writer);
        CHECK(!writer.bad);
        len = (size_t)(writer.at - bytes);
        CHECK_EQ(len,
                 i == 0 ? 4 : 5 + pairs[i - 1][1] / 8 - pairs[i - 1][0] / 8);
        reader = chi_reader_of(bytes, len);
        CHECK_EQ(chi_cpus_decode(&reader, &got), CHARE_OK);
        CHECK_EQ(chi_reader_left(&reader), 0);
        CHECK(memcmp(&got, &cpus, sizeof(got)) == 0);
        reader = chi_reader_of(bytes, len - 1);
        CHECK_EQ(chi_cpus_decode(&reader, &got), CHARE_ERR_FORMAT);
    }
}

static void
sets_beyond_the_limit_are_refused(void)
{
    unsigned char bytes[CHI_CPUS_BYTES_MAX] = {0};
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_reader reader = chi_reader_of(bytes, sizeof(bytes));
    struct chi_cpus got;

    chi_write_u16(&writer, CHI_CPUS_MAX / 8 - 1);
    chi_write_u16(&writer, 2);
    CHECK_EQ(chi_cpus_decode(&reader, &got), CHARE_ERR_FORMAT);
    CHECK(reader.bad);
}

TAP_MAIN(TAP_CASE(equal_sets_are_shared),
         TAP_CASE(sets_that_overlap_are_one_group),
         TAP_CASE(who_can_have_one_alone_is_not_crowded),
         TAP_CASE(groups_that_do_not_meet_are_apart),
         TAP_CASE(what_is_unknown_is_not_crowded),
         TAP_CASE(many_pes_on_many_processors), TAP_CASE(drawn_sets),
         TAP_CASE(sets_come_back), TAP_CASE(sets_beyond_the_limit_are_refused))
