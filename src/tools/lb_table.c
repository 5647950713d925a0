/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb_table.c - what 'chare lb' prints.
 */
#include "config.h"

#include "tools/lb_table.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    AMOUNT_BYTES = 32,
};

static bool
knows_bytes(const struct chi_lb_problem *problem)
{
    for (size_t i = 0; problem->bytes != NULL && i < problem->object_count;
         i++) {
        if (problem->bytes[i] != 0) {
            return true;
        }
    }
    return false;
}

static double
ratio_of(const struct chi_lb_quality *quality)
{
    return quality->bound > 0 ? quality->makespan / quality->bound : 1;
}

/* ---- for people */

/* At most 7 characters: 999, 12.34k, 1.235M. */
static const char *
amount(bool known, double value, char *text)
{
    static const char units[] = " kMGTPEZY";
    size_t unit = 0;

    if (!known) {
        return "-";
    }
    /* What would be rounded to 1000 is one of the next unit. */
    while (value >= 999.95 && units[unit + 1] != '\0') {
        value /= 1000;
        unit++;
    }
    if (unit == 0) {
        snprintf(text, AMOUNT_BYTES, "%.0f", value);
    } else {
        snprintf(text, AMOUNT_BYTES, "%.4g%c", value, units[unit]);
    }
    return text;
}

static void
print_head(const struct chi_lb_problem *problem,
           const struct chi_lb_quality *now)
{
    printf("%zu objects on %" PRIu32 " PEs; bound %.6g s, mean %.6g s\n",
           problem->object_count, problem->pe_count, now->bound, now->mean);
    if (problem->noise > 0) {
        printf("less than %.3g %% of the time to win counts as chance\n",
               100 * (double)problem->noise);
    }
    printf("\n%-13s %10s %7s %8s %8s %8s %8s %10s\n", "strategy", "time s",
           "ratio", "moves", "bytes", "cut", "hop", "decision s");
}

static void
print_row(const struct chi_lb_table *table, const char *name,
          const struct chi_lb_quality *quality, double seconds)
{
    const double ratio = ratio_of(quality);
    char bytes[AMOUNT_BYTES];
    char cut[AMOUNT_BYTES];
    char hop[AMOUNT_BYTES];

    printf("%-13s %10.5g %7.*f %8" PRIu64 " %8s %8s %8s %10.4f\n", name,
           quality->makespan, ratio < 100 ? 4 : 0, ratio, quality->moves,
           amount(table->knows_bytes, (double)quality->moved_bytes, bytes),
           amount(table->knows_talk, quality->cut_bytes, cut),
           amount(table->knows_talk, quality->hop_bytes, hop), seconds);
}

/* ---- for programs */

static void
print_json_head(const struct chi_lb_problem *problem,
                const struct chi_lb_quality *now)
{
    printf("{\"objects\": %zu, \"pes\": %" PRIu32
           ", \"bound\": %.9g, \"mean\": %.9g, \"noise\": %.9g,\n"
           " \"strategies\": [",
           problem->object_count, problem->pe_count, now->bound, now->mean,
           (double)problem->noise);
}

static void
print_json_row(const struct chi_lb_table *table, const char *name,
               const struct chi_lb_quality *quality, double seconds)
{
    printf("%s\n  {\"strategy\": \"%s\", \"makespan\": %.9g, "
           "\"ratio\": %.6f, \"moves\": %" PRIu64 ", ",
           table->rows == 0 ? "" : ",", name, quality->makespan,
           ratio_of(quality), quality->moves);
    if (table->knows_bytes) {
        printf("\"moved_bytes\": %" PRIu64 ", ", quality->moved_bytes);
    } else {
        printf("\"moved_bytes\": null, ");
    }
    if (table->knows_talk) {
        printf("\"cut_bytes\": %.9g, \"hop_bytes\": %.9g, ",
               quality->cut_bytes, quality->hop_bytes);
    } else {
        printf("\"cut_bytes\": null, \"hop_bytes\": null, ");
    }
    printf("\"decision_s\": %.6f}", seconds);
}

static void
print_csv_row(const struct chi_lb_table *table, const char *name,
              const struct chi_lb_quality *quality, double seconds)
{
    printf("%s,%.9g,%.6f,%" PRIu64 ",", name, quality->makespan,
           ratio_of(quality), quality->moves);
    if (table->knows_bytes) {
        printf("%" PRIu64, quality->moved_bytes);
    }
    if (table->knows_talk) {
        printf(",%.9g,%.9g,", quality->cut_bytes, quality->hop_bytes);
    } else {
        printf(",,,");
    }
    printf("%.6f\n", seconds);
}

/* ---- the table */

void
chi_lb_table_begin(struct chi_lb_table *table, enum chi_lb_table_form form,
                   const struct chi_lb_problem *problem,
                   const struct chi_lb_quality *now)
{
    *table = (struct chi_lb_table){
        .form = form,
        .knows_bytes = knows_bytes(problem),
        .knows_talk = problem->edge_first != NULL,
    };
    switch (form) {
    case CHI_LB_TABLE_TEXT:
        print_head(problem, now);
        break;
    case CHI_LB_TABLE_CSV:
        printf("strategy,makespan,ratio,moves,moved_bytes,cut_bytes,"
               "hop_bytes,decision_s\n");
        break;
    case CHI_LB_TABLE_JSON:
        print_json_head(problem, now);
        break;
    }
}

void
chi_lb_table_row(struct chi_lb_table *table, const char *name,
                 const struct chi_lb_quality *quality, double seconds)
{
    switch (table->form) {
    case CHI_LB_TABLE_TEXT:
        print_row(table, name, quality, seconds);
        break;
    case CHI_LB_TABLE_CSV:
        print_csv_row(table, name, quality, seconds);
        break;
    case CHI_LB_TABLE_JSON:
        print_json_row(table, name, quality, seconds);
        break;
    }
    table->rows++;
    table->broken = fflush(stdout) != 0;
}

void
chi_lb_table_end(const struct chi_lb_table *table)
{
    if (table->form == CHI_LB_TABLE_JSON && !table->broken) {
        printf("\n ]}\n");
    }
}
