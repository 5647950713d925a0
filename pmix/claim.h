/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_CLAIM_H
#define CHI_PMIX_CLAIM_H

/*
 * claim.h - does a launcher say that this process is one of several?
 *
 * Every launcher leaves its mark in the environment, also when no server can
 * be reached. A process that is one of several must not run as a job of its
 * own: N silent jobs of one process are worse than an error.
 */

#include <stdbool.h>
#include <stdint.h>

struct chi_pmix_claim {
    uint64_t size;        /* how many processes; at least 2 if true */
    const char *variable; /* that says so */
    const char *remedy;   /* what the user can do; a whole sentence */
};

/*
 * False: nobody says that there are other processes. The innermost launcher
 * that has left a mark is believed: 'chare run', then Slurm, then others.
 */
bool chi_pmix_claim_find(struct chi_pmix_claim *out);

/*
 * True: this process was started with one PMIX_NAMESPACE and has another now,
 * as after the start of an MPI library that did not find its own launcher and
 * made a job of one process. False also where that cannot be told.
 */
bool chi_pmix_claim_replaced(void);

#endif /* CHI_PMIX_CLAIM_H */
