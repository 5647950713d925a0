/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats_text.c - the table of statistics, as people read it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rt/runtime.h"
#include "rt/stats.h"

enum {
    CELL_BYTES = 32,
    NAME_BYTES = 2 * (CHARE_NAME_BYTES_MAX + 1),
    NAME_COLUMNS_MAX = 48, /* longer names push their line to the right */
};

/* Columns behind the name, and how wide they are. */
#define HEADINGS                                                          \
    "%12s %9s %6s %9s %9s %17s %10s %9s %9s\n", "calls", "time", "share", \
        "mean", "longest", "imbalance (PE)", "bytes in", "mean wait",     \
        "longest"

void
chi_stats_row_name(const chare_runtime *runtime,
                   const struct chi_stats_row *row, char *type_out,
                   char *method_out, size_t room)
{
    const struct chi_registry *registry = &runtime->registry;
    const char *full;
    const char *dot;

    if ((row->at & CHI_STATS_MADE) != 0) {
        snprintf(type_out, room, "%s",
                 chi_registry_type_name(registry, row->at & ~CHI_STATS_MADE));
        snprintf(method_out, room, "__init__");
        return;
    }
    full = chi_registry_entry_name(registry, row->at);
    dot = strrchr(full, '.');
    snprintf(method_out, room, "%s", dot == NULL ? full : dot + 1);
    snprintf(type_out, room, "%.*s", dot == NULL ? 0 : (int)(dot - full),
             full);
}

/* Three digits and a unit. */
static void
scaled(double value, double step, const char *const *units, char *out)
{
    int decimals;

    while (value >= 999.5 && units[1] != NULL) {
        value /= step;
        units++;
    }
    decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(out, CELL_BYTES, "%.*f %s", decimals, value, units[0]);
}

static void
time_text(double ns, char *out)
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};

    if (ns < 999.5) {
        snprintf(out, CELL_BYTES, "%.0f ns", ns);
    } else {
        scaled(ns, 1000, units, out);
    }
}

static void
bytes_text(uint64_t bytes, char *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};

    if (bytes < 1000) {
        snprintf(out, CELL_BYTES, "%" PRIu64 " B", bytes);
    } else {
        scaled((double)bytes, 1024, units, out);
    }
}

/* Digits in groups of three. */
static void
count_text(uint64_t count, char *out)
{
    char digits[CELL_BYTES];
    const size_t len =
        (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            out[at++] = ',';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

static double
mean(uint64_t sum, uint64_t count)
{
    return count == 0 ? 0 : (double)sum / (double)count;
}

static void
row_print(const struct chi_stats_table *table, const struct chi_stats_row *row,
          const char *name, int width, FILE *file)
{
    char calls[CELL_BYTES];
    char total[CELL_BYTES];
    char each[CELL_BYTES];
    char longest[CELL_BYTES];
    char uneven[CELL_BYTES];
    char bytes[CELL_BYTES];
    char wait[CELL_BYTES];
    char longest_wait[CELL_BYTES];
    const double share =
        100 * mean(row->ns, table->total.ns == 0 ? 1 : table->total.ns);

    count_text(row->calls, calls);
    time_text((double)row->ns, total);
    time_text(mean(row->ns, row->calls), each);
    time_text((double)row->ns_max, longest);
    snprintf(uneven, sizeof(uneven), "%.2f (%u)",
             row->ns == 0
                 ? 1.0
                 : (double)row->ns_pe * (double)table->pes / (double)row->ns,
             row->pe_most);
    bytes_text(row->bytes, bytes);
    time_text(mean(row->wait_ns, row->calls), wait);
    time_text((double)row->wait_ns_max, longest_wait);
    fprintf(file, "  %-*s %12s %9s %5.1f%% %9s %9s %17s %10s %9s %9s\n", width,
            name, calls, total, share, each, longest, uneven, bytes, wait,
            longest_wait);
}

static void
row_title(const chare_runtime *runtime, const struct chi_stats_row *row,
          char *out)
{
    char type[CHARE_NAME_BYTES_MAX + 1];
    char method[CHARE_NAME_BYTES_MAX + 1];

    chi_stats_row_name(runtime, row, type, method, sizeof(type));
    snprintf(out, NAME_BYTES, "%s.%s", type, method);
}

static void
rows_print(const chare_runtime *runtime, const struct chi_stats_table *table,
           FILE *file)
{
    char name[NAME_BYTES];
    int width = (int)strlen("entry method");

    for (uint32_t i = 0; i < table->count; i++) {
        row_title(runtime, &table->rows[i], name);
        if ((int)strlen(name) > width) {
            width = (int)strlen(name);
        }
    }
    width = width < NAME_COLUMNS_MAX ? width : NAME_COLUMNS_MAX;
    fprintf(file, "  %-*s ", width, "entry method");
    fprintf(file, HEADINGS);
    for (uint32_t i = 0; i < table->count; i++) {
        row_title(runtime, &table->rows[i], name);
        row_print(table, &table->rows[i], name, width, file);
    }
    row_print(table, &table->total, "all", width, file);
}

/* Which methods kept how many chares from moving. */
static void
kept_print(const chare_runtime *runtime, const struct chi_stats_table *table,
           FILE *file)
{
    const char *before = "  kept from moving by suspended methods:";
    char name[NAME_BYTES];
    char count[CELL_BYTES];

    for (uint32_t i = 0; i < table->count; i++) {
        if (table->rows[i].kept > 0) {
            row_title(runtime, &table->rows[i], name);
            count_text(table->rows[i].kept, count);
            fprintf(file, "%s %s %s", before, name, count);
            before = ",";
        }
    }
    if (table->total.kept > 0) {
        fprintf(file, "\n");
    }
}

void
chi_stats_table_print(const chare_runtime *runtime,
                      struct chi_stats_table *table, FILE *file)
{
    char *text = NULL;
    size_t len = 0;
    FILE *lines = open_memstream(&text, &len);
    char sent[CELL_BYTES];
    char executed[CELL_BYTES];
    char bytes[CELL_BYTES];

    if (lines == NULL) {
        return;
    }
    count_text(table->sent, sent);
    count_text(table->executed, executed);
    bytes_text(table->bytes_sent, bytes);
    fprintf(lines,
            "chare: %" PRIu64 " PE%s: %s messages sent, %s executed, %s sent "
            "to other PEs\n",
            table->pes, table->pes == 1 ? "" : "s", sent, executed, bytes);
    if (table->pes_measured == 0) {
        fprintf(lines, "  (entry methods are measured with CHARE_STATS=1, "
                       "chare_stats_measure(), or charm.options.profiling = "
                       "True before charm.start())\n");
    } else {
        rows_print(runtime, table, lines);
    }
    kept_print(runtime, table, lines);
    fclose(lines);
    fwrite(text, 1, len, file);
    fflush(file);
    free(text);
}
