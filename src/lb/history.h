/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_LB_HISTORY_H
#define CHI_LB_HISTORY_H

/*
 * history.h - how busy each PE was over time, which chares came to it, and
 * what balancing did: a text file, written at the end of the job by PE 0.
 *
 * One thing a line, words separated by blanks; '#' starts a comment:
 *
 *     chare-history 1                  first line: the format's version
 *     pes 2                            how many
 *     pe 1 node=0 clock=4711.5         its clock at its start; a node has one
 *     session 3 begin=1.20 end=1.21 strategy=greedy-refine objects=16 moves=4
 *         before=0.5 after=0.3 bound=0.29            (in one line)
 *     load 3 before 0.5 0.1            of a session: seconds of each PE
 *     load 3 after 0.3 0.3             as the strategy wanted it
 *     busy 1 0.02 1.15 1 0.5 0         PE; seconds of a bin; until when it is
 *                                      known; the busy part of each bin
 *     move 1.205 0 1 Cell[3,4]         when it came; from where; to; which
 *     unkept 1 7                       of PE 1: moves that had no room
 *
 * Times are seconds since the PE's start. They are not sorted. 'busy' is what
 * is not waiting: executing, and what the runtime needs for it.
 *
 * Each PE keeps its lines of 'busy' and 'move' in bounded memory, less where
 * there are many PEs, and sends nothing before the job ends: see rt/exit.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/lb.h"

enum {
    CHI_HISTORY_VERSION = 1,
    CHI_HISTORY_BINS = 512,                  /* then two become one */
    CHI_HISTORY_TEXT_MAX = 1024 * 1024,      /* bytes of lines, on each PE */
    CHI_HISTORY_JOB_MAX = 256 * 1024 * 1024, /* that come to PE 0, but for
                                                some lines of each PE */
};

/* How busy it was, in bins of time. */
struct chi_history_bins {
    uint64_t bin_ns;
    uint64_t seen_ns;             /* until when it is known */
    float busy[CHI_HISTORY_BINS]; /* 0 to 1 */
};

void chi_history_bins_init(struct chi_history_bins *bins, uint64_t bin_ns);

/* From seen_ns to until_ns, such a part of the time was busy. */
void chi_history_bins_add(struct chi_history_bins *bins, uint64_t until_ns,
                          double part);

/* Bytes of lines that a PE other than 0 may keep, for the job's end. */
size_t chi_history_text_max(uint32_t pes, uint64_t queue_bytes);

/*
 * Keep it from the start on, and write it to 'file' at the end; on every PE
 * alike, before the start. Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_INVALID -
 * the name is too long.
 */
CHARE_MUST_CHECK chare_status chi_lb_history_open(struct chi_lb *lb,
                                                  const char *file);
void chi_lb_history_close(struct chi_lb *lb);

/* The job has started. */
void chi_lb_history_start(struct chi_lb *lb);

/* 1: its timer is set. */
uint64_t chi_lb_history_timers(const struct chi_lb *lb);

/* A chare came here. */
void chi_lb_history_came(struct chi_lb *lb, const chare_element *element,
                         uint32_t from);

/* At PE 0: what a strategy decided; and a session is over. */
void chi_lb_history_decided(struct chi_lb *lb,
                            const struct chi_lb_problem *problem,
                            const uint32_t *to);
void chi_lb_history_over(struct chi_lb *lb);

/*
 * The job ends: the lines of this PE, which is on that node, in memory of the
 * history's; NULL where none are kept. PE 0 adds those of the others, and
 * writes the file.
 */
const char *chi_lb_history_end(struct chi_lb *lb, uint32_t node,
                               size_t *len_out);
void chi_lb_history_add(struct chi_lb *lb, const void *text, size_t len);
void chi_lb_history_write(struct chi_lb *lb);

#endif /* CHI_LB_HISTORY_H */
