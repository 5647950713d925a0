/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_show.c - trees as text.
 *
 * Goal:   the text shows every edge once, with the border that it crosses.
 * Method: a small machine against the text as it should be; on larger ones
 *         the number of lines.
 */
#include "config.h"

#include "topo/show.h"

#include "tap/tap.h"
#include "unit/topo/synth.h"

/* The text of a tree; the caller frees it. */
static char *
show(const struct synth *synth, uint32_t root, uint32_t lines_max)
{
    uint32_t pe_count;
    struct chi_place *places = synth_places(synth, &pe_count);
    struct chi_layout *layout;
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    if (chi_layout_create(places, pe_count, &layout) != CHARE_OK) {
        abort();
    }
    chi_tree_show(layout, root, 2, lines_max, file);
    fclose(file);
    chi_layout_destroy(layout);
    free(places);
    return text;
}

static uint32_t
line_count(const char *text)
{
    uint32_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static const struct synth small = {
    .seed = 1,
    .node_count = 4,
    .node_pes = 2,
    .levels = 1,
    .width = 2,
    .order = SYNTH_BLOCK,
    .spots = SYNTH_SPREAD,
    .packages = 2,
    .numas = 1,
    .caches = 1,
    .cores = 2,
};

static void
small_tree_is_as_drawn(void)
{
    char *text = show(&small, 3, 0);
    const bool same =
        strcmp(text, "PE 3 node n1 core 2\n"
                     "+- PE 4 node n2 core 0, from switch\n"
                     "|  +- PE 6 node n3 core 0, from node\n"
                     "|  |  `- PE 7 node n3 core 2, from package\n"
                     "|  `- PE 5 node n2 core 2, from package\n"
                     "+- PE 0 node n0 core 0, from node\n"
                     "|  `- PE 1 node n0 core 2, from package\n"
                     "`- PE 2 node n1 core 0, from package\n") == 0;

    if (!same) {
        printf("# got:\n%s", text);
    }
    free(text);
    CHECK(same);
}

static void
lines_can_be_limited(void)
{
    char *text = show(&small, 0, 3);
    const bool right =
        line_count(text) == 4 && strstr(text, "(5 more PEs)\n") != NULL;

    free(text);
    CHECK(right);
}

static void
each_pe_has_a_line(void)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const struct synth synth = synth_draw(seed, 30);
        uint32_t pe_count;
        char *text = show(&synth, 0, 0);
        uint32_t lines = line_count(text);

        free(synth_places(&synth, &pe_count));
        free(text);
        CHECK_EQ(lines, pe_count);
    }
}

TAP_MAIN(TAP_CASE(small_tree_is_as_drawn), TAP_CASE(lines_can_be_limited),
         TAP_CASE(each_pe_has_a_line))
