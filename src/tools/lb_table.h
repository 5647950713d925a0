/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOOLS_LB_TABLE_H
#define CHI_TOOLS_LB_TABLE_H

/*
 * lb_table.h - what 'chare lb' prints: for people in 80 columns, or as CSV or
 * JSON for programs.
 *
 * What the loads do not tell (bytes that chares have, who talks to whom) is
 * unknown, not 0: a dash, nothing between the commas, null.
 */

#include "lb/problem.h"

enum chi_lb_table_form {
    CHI_LB_TABLE_TEXT,
    CHI_LB_TABLE_CSV,
    CHI_LB_TABLE_JSON,
};

struct chi_lb_table {
    enum chi_lb_table_form form;
    bool knows_bytes;
    bool knows_talk;
    bool broken;
    size_t rows;
};

/* What comes before the rows. 'now': of the loads as they are. */
void chi_lb_table_begin(struct chi_lb_table *table,
                        enum chi_lb_table_form form,
                        const struct chi_lb_problem *problem,
                        const struct chi_lb_quality *now);

/* One strategy, which took so many seconds to decide. It is on its way when
 * this returns: the next one may take long. If it cannot be written, the table
 * is broken, and errno says why. */
void chi_lb_table_row(struct chi_lb_table *table, const char *name,
                      const struct chi_lb_quality *quality, double seconds);

void chi_lb_table_end(const struct chi_lb_table *table);

#endif /* CHI_TOOLS_LB_TABLE_H */
