/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_SHOW_H
#define CHI_TOPO_SHOW_H

/*
 * show.h - a tree as text, for people and for tests that compare edges.
 *
 * One line for each PE, children below their parent and farther in:
 *
 *     PE 0 node n0 core 0
 *     +- PE 4 node n1 core 0, from switch
 *     |  `- PE 5 node n1 core 1, from core
 *     `- PE 1 node n0 core 1, from core
 *
 * The last words name the outermost border that the edge crosses: switch,
 * node, package, numa, cache, core; they are missing when it crosses none.
 */

#include <stdio.h>

#include "topo/tree.h"

/*
 * Write the tree below 'root'; at most 'lines_max' lines (0: all), then one
 * that tells how many PEs are not shown. Errors of 'file' stay in 'file'.
 */
void chi_tree_show(const struct chi_layout *layout, uint32_t root,
                   uint32_t fanout, uint32_t lines_max, FILE *file);

#endif /* CHI_TOPO_SHOW_H */
