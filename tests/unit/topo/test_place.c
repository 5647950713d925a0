/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_place.c - places as bytes, and the names of nodes and switches.
 *
 * Goal:   what is encoded comes back; bytes that are no place are refused.
 *         Switch paths mean the same from a setting and from Slurm.
 * Method: round trips at the limits; every cut and some wrong bytes.
 */
#include "config.h"

#include "topo/layout.h"

#include "tap/tap.h"
#include "topo/identity.h"

static struct chi_place
place_largest(void)
{
    struct chi_place place = {
        .node_id = 0x0123456789abcdefull,
        .switch_levels = CHI_PLACE_SWITCH_LEVELS_MAX,
        .package = 1,
        .numa = 3,
        .cache = 17,
        .core = CHI_PLACE_UNKNOWN,
    };

    for (int i = 0; i < CHI_PLACE_SWITCH_LEVELS_MAX; i++) {
        place.switches[i] = UINT64_MAX - (uint64_t)i;
    }
    memset(place.node_name, 'x', CHI_PLACE_NODE_NAME_MAX - 1);
    return place;
}

static void
largest_place_comes_back(void)
{
    const struct chi_place place = place_largest();
    unsigned char bytes[CHI_PLACE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_reader reader;
    struct chi_place got;

    chi_place_encode(&place, &writer);
    CHECK(!writer.bad);
    reader = chi_reader_of(bytes, (size_t)(writer.at - bytes));
    CHECK_EQ(chi_place_decode(&reader, &got), CHARE_OK);
    CHECK_EQ(chi_reader_left(&reader), 0);
    CHECK(memcmp(&got, &place, sizeof(got)) == 0);
}

static void
cut_places_are_refused(void)
{
    const struct chi_place place = place_largest();
    unsigned char bytes[CHI_PLACE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_place got = {.node_id = 7};

    chi_place_encode(&place, &writer);
    for (size_t len = 0; len < (size_t)(writer.at - bytes); len++) {
        struct chi_reader reader = chi_reader_of(bytes, len);

        CHECK_EQ(chi_place_decode(&reader, &got), CHARE_ERR_FORMAT);
        CHECK_EQ(got.node_id, 7);
    }
}

static void
too_many_levels_or_too_long_a_name_are_refused(void)
{
    const struct chi_place place = place_largest();
    unsigned char bytes[512] = {0};
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_reader reader = chi_reader_of(bytes, sizeof(bytes));
    struct chi_place got;

    chi_place_encode(&place, &writer);
    bytes[16] = CHI_PLACE_SWITCH_LEVELS_MAX + 1;
    CHECK_EQ(chi_place_decode(&reader, &got), CHARE_ERR_FORMAT);
    bytes[16] = CHI_PLACE_SWITCH_LEVELS_MAX;
    bytes[17] = CHI_PLACE_NODE_NAME_MAX;
    reader = chi_reader_of(bytes, sizeof(bytes));
    CHECK_EQ(chi_place_decode(&reader, &got), CHARE_ERR_FORMAT);
}

static void
usual_place_is_small(void)
{
    struct chi_place place = {.switch_levels = 2, .node_name = "node0001"};
    unsigned char bytes[CHI_PLACE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));

    chi_place_encode(&place, &writer);
    CHECK(writer.at - bytes <= 44);
}

static bool
same_switches(const struct chi_place *a, const struct chi_place *b)
{
    return a->switch_levels == b->switch_levels &&
           memcmp(a->switches, b->switches, sizeof(a->switches)) == 0;
}

static void
slurm_and_the_setting_mean_the_same(void)
{
    struct chi_place set = {.switch_levels = 9};
    struct chi_place got = {.switch_levels = 9};

    chi_identity_switches("spine.s[0-1]", &set);
    CHECK_EQ(set.switch_levels, 2);
    CHECK(set.switches[0] != set.switches[1]);
    CHECK(set.switches[0] != 0);
    chi_identity_slurm("spine.s[0-1].n3", "switch.switch.node", &got);
    CHECK(same_switches(&set, &got));
    chi_identity_slurm("spine.s[0-1].n3", NULL, &got);
    CHECK(same_switches(&set, &got));
    chi_identity_slurm("spine.s[0-1].n3.site.org", "switch.switch.node", &got);
    CHECK(same_switches(&set, &got));
    chi_identity_slurm("spine.s2.n3", "switch.switch.node", &got);
    CHECK_EQ(set.switches[0], got.switches[0]);
    CHECK(set.switches[1] != got.switches[1]);
}

static void
no_switches_are_no_levels(void)
{
    struct chi_place place = {.switch_levels = 9};

    chi_identity_switches("", &place);
    CHECK_EQ(place.switch_levels, 0);
    chi_identity_slurm(NULL, NULL, &place);
    CHECK_EQ(place.switch_levels, 0);
    chi_identity_slurm("", "switch.node", &place);
    CHECK_EQ(place.switch_levels, 0);
    chi_identity_slurm("n3", "node", &place);
    CHECK_EQ(place.switch_levels, 0);
    chi_identity_slurm("n3.site", "node", &place);
    CHECK_EQ(place.switch_levels, 0);
    chi_identity_slurm("n3", NULL, &place);
    CHECK_EQ(place.switch_levels, 0);
}

static void
odd_paths_keep_their_levels(void)
{
    struct chi_place place;
    struct chi_place other;

    chi_identity_switches("a..b", &place);
    CHECK_EQ(place.switch_levels, 3);
    CHECK_EQ(place.switches[1], 0);
    CHECK(place.switches[2] != 0);
    chi_identity_switches("a.b.c.d.e.f.g.h", &place);
    CHECK_EQ(place.switch_levels, CHI_PLACE_SWITCH_LEVELS_MAX);
    chi_identity_switches("a.b.c.d.e.f.g.i", &other);
    CHECK_EQ(place.switches[4], other.switches[4]);
    CHECK(place.switches[5] != other.switches[5]);
}

static void
a_node_is_itself(void)
{
    CHECK_EQ(chi_identity_node("n0"), chi_identity_node("n0"));
    CHECK(chi_identity_node("n0") != chi_identity_node("n1"));
}

TAP_MAIN(TAP_CASE(largest_place_comes_back), TAP_CASE(cut_places_are_refused),
         TAP_CASE(too_many_levels_or_too_long_a_name_are_refused),
         TAP_CASE(usual_place_is_small),
         TAP_CASE(slurm_and_the_setting_mean_the_same),
         TAP_CASE(no_switches_are_no_levels),
         TAP_CASE(odd_paths_keep_their_levels), TAP_CASE(a_node_is_itself))
