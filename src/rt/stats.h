/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_RT_STATS_H
#define CHI_RT_STATS_H

/*
 * stats.h - what entry methods have cost, of one PE or of many.
 */

#include <stdint.h>
#include <stdio.h>

#include <chare.h>

#include "msg/msg.h"

struct chi_stats_wave;

/* Of one entry; on the wire too. */
struct chi_stats_row {
    uint32_t at;      /* the entry's id; CHI_STATS_MADE | type: chares made */
    uint32_t pe_most; /* where it has taken most */
    uint64_t calls;
    uint64_t ns;
    uint64_t ns_max; /* of one call */
    uint64_t ns_pe;  /* on pe_most */
    uint64_t bytes;
    uint64_t wait_ns;
    uint64_t wait_ns_max;
    uint64_t kept; /* calls that kept their chare from moving */
    uint64_t pes;  /* that have executed it */
};

#define CHI_STATS_MADE 0x80000000u

struct chi_stats_table {
    struct chi_stats_row total;
    uint64_t pes; /* that are in it */
    uint64_t pes_measured;
    uint64_t sent; /* messages */
    uint64_t executed;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    struct chi_stats_row *rows;
    uint32_t count;
    uint32_t room;
};

/* What a runtime has for this; stats.c. */
struct chi_rt_stats {
    struct chi_stats_wave *waves; /* that pass through here */
    struct chi_stats_wave *asked; /* here, and not begun */
    uint64_t next;
    struct chi_stats_table end; /* gathered while the job ends */
};

void chi_rt_stats_init(chare_runtime *runtime);
void chi_rt_stats_fini(chare_runtime *runtime);

/* As the public functions. */
CHARE_MUST_CHECK chare_status chi_rt_stats_get(chare_runtime *runtime,
                                               const chare_callback *callback);
CHARE_MUST_CHECK chare_status chi_rt_stats_print(chare_runtime *runtime,
                                                 const chare_callback *done);

/* While the job ends, if CHARE_STATS asks for it: this PE's part, what a
 * child's DONE brings, what this PE's DONE carries, and the report. */
void chi_rt_stats_end_own(chare_runtime *runtime);
void chi_rt_stats_end_merge(chare_runtime *runtime, const struct chi_msg *msg);
void chi_rt_stats_end_append(chare_runtime *runtime, struct chi_msg **msg);
void chi_rt_stats_end_print(chare_runtime *runtime);

/* stats_text.c: for people; rows may change places. */
void chi_stats_table_print(const chare_runtime *runtime,
                           struct chi_stats_table *table, FILE *file);
void chi_stats_row_name(const chare_runtime *runtime,
                        const struct chi_stats_row *row, char *type_out,
                        char *method_out, size_t room);

#endif /* CHI_RT_STATS_H */
