/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_MISSING_H
#define CHI_PMIX_MISSING_H

/*
 * missing.h - who did not come to the wire-up, or is out of reach?
 */

#include <stddef.h>
#include <stdint.h>

#include <pmix.h>

enum {
    CHI_PMIX_MISSING_TEXT_BYTES = 1024
};

/* The one key that every process puts. */
#define CHI_PMIX_BLOB_KEY "chare.blob"

struct chi_pmix_probe;

/* All zeros to start with; late answers come in until PMIx_Finalize. */
struct chi_pmix_missing {
    struct chi_pmix_probe *probe;
};

/*
 * Ask the server for the blob of every rank and write those who have none as
 * "3 (n0), 64-127 (n2)". Takes a few seconds at most. Returns how many; 0 also
 * when there is no memory to find out.
 */
uint32_t chi_pmix_missing_find(struct chi_pmix_missing *missing,
                               const pmix_proc_t *me, uint32_t size, char *out,
                               size_t room);

/* After PMIx_Finalize. Accepts any state. */
void chi_pmix_missing_fini(struct chi_pmix_missing *missing);

#endif /* CHI_PMIX_MISSING_H */
