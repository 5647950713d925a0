/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * show.c - trees as text.
 */
#include "config.h"

#include "topo/show.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"

/* The walk so far: one entry for each PE from the root to the current one. */
struct step {
    struct chi_tree_edges edges;
    uint32_t pe;
    uint32_t next; /* child to visit */
};

/* The border between two PEs, as in the lines above; NULL: none. */
static const char *
tree_border(const struct chi_layout *layout, uint32_t a, uint32_t b)
{
    struct chi_place left;
    struct chi_place right;

    chi_layout_place(layout, a, &left);
    chi_layout_place(layout, b, &right);
    if (left.switch_levels != right.switch_levels ||
        memcmp(left.switches, right.switches,
               left.switch_levels * sizeof(left.switches[0])) != 0) {
        return "switch";
    }
    if (left.node_id != right.node_id) {
        return "node";
    }
    if (left.package != right.package) {
        return "package";
    }
    if (left.numa != right.numa) {
        return "numa";
    }
    if (left.cache != right.cache) {
        return "cache";
    }
    return left.core != right.core ? "core" : NULL;
}

/* "PE 3 node n1 core 2" and what the edge to it crosses. */
static void
pe_write(const struct chi_layout *layout, const struct step *step, FILE *file)
{
    struct chi_place place;
    const char *border =
        step->edges.parent == step->pe
            ? NULL
            : tree_border(layout, step->edges.parent, step->pe);

    chi_layout_place(layout, step->pe, &place);
    fprintf(file, "PE %u node %s", (unsigned)step->pe, place.node_name);
    if (place.core != CHI_PLACE_UNKNOWN) {
        fprintf(file, " core %u", (unsigned)place.core);
    }
    if (border != NULL) {
        fprintf(file, ", from %s", border);
    }
    fputc('\n', file);
}

/* The lines that lead to the current PE; 'depth' steps are above it. */
static void
branch_write(const struct step *steps, uint32_t depth, FILE *file)
{
    for (uint32_t i = 0; i < depth; i++) {
        const bool last = steps[i].next == steps[i].edges.child_count;

        if (i + 1 == depth) {
            fputs(last ? "`- " : "+- ", file);
        } else {
            fputs(last ? "   " : "|  ", file);
        }
    }
}

void
chi_tree_show(const struct chi_layout *layout, uint32_t root, uint32_t fanout,
              uint32_t lines_max, FILE *file)
{
    const uint32_t pe_count = chi_layout_pe_count(layout);
    const uint32_t lines =
        lines_max == 0 || lines_max > pe_count ? pe_count : lines_max;
    struct step steps[CHI_TREE_DEPTH_MAX + 1];
    uint32_t depth = 0;
    uint32_t pe = root;

    for (uint32_t line = 0; line < lines; line++) {
        struct step *step = &steps[depth];

        step->pe = pe;
        step->next = 0;
        chi_tree_edges(layout, root, pe, fanout, &step->edges);
        branch_write(steps, depth, file);
        pe_write(layout, step, file);
        while (depth > 0 &&
               steps[depth].next == steps[depth].edges.child_count) {
            depth--;
        }
        if (steps[depth].next < steps[depth].edges.child_count) {
            pe = steps[depth].edges.children[steps[depth].next++];
            depth++;
            chi_assert(depth <= CHI_TREE_DEPTH_MAX);
        }
    }
    if (lines < pe_count) {
        fprintf(file, "(%u more PEs)\n", (unsigned)(pe_count - lines));
    }
}
