/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_WIREUP_WIREUP_H
#define CHI_WIREUP_WIREUP_H

/*
 * wireup.h - how the processes of a job find each other.
 *
 * A provider knows how many processes there are and which one this is, and
 * exchanges one blob of bytes from each of them, in one fence. It understands
 * nothing of what is in the blobs. Providers: pmix (a launcher with a PMIx
 * server: Slurm, chare run, PRRTE) and local (one process alone).
 */

#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"

#define CHI_WIREUP_ABI 1u

struct chi_wireup_options {
    const struct chi_log *log;
    const struct chi_settings *settings;
};

/* The blobs of all processes, in the order of their ranks. */
struct chi_wireup_table {
    uint32_t count;
    const size_t *offsets; /* count + 1 of them; blob i lies between two */
    const unsigned char *bytes;
};

static inline const void *
chi_wireup_blob(const struct chi_wireup_table *table, uint32_t rank,
                size_t *len_out)
{
    *len_out = table->offsets[rank + 1] - table->offsets[rank];
    return table->bytes + table->offsets[rank];
}

struct chi_wireup;

struct chi_wireup_ops {
    const char *name; /* "pmix", "local" */
    uint32_t abi;     /* CHI_WIREUP_ABI */

    /*
     * Find out rank and size. Sets *out only on CHARE_OK.
     * Errors: CHARE_ERR_NOT_FOUND - no such launcher started this process;
     *         CHARE_ERR_WIREUP    - it did, but cannot be reached; logged.
     */
    chare_status (*open)(const struct chi_wireup_options *options,
                         struct chi_wireup **out);

    /* Accepts any state, and never fails. */
    void (*close)(struct chi_wireup *wireup);

    /*
     * Give this process's blob and get all of them; blocks for at most
     * settings->start_timeout_ns. Called once. Afterwards the death of a
     * process is no matter for the launcher's server any more.
     * The table lives as long as the wireup.
     * Processes that never came may still run after a failure: the caller
     * ends them by abort().
     * Errors: CHARE_ERR_TIMEOUT - the ranks that did not come are logged;
     *         CHARE_ERR_WIREUP, CHARE_ERR_NO_MEMORY.
     */
    chare_status (*exchange)(struct chi_wireup *wireup, const void *blob,
                             size_t len, struct chi_wireup_table *out);

    /*
     * Make the launcher end all processes of the job, with 'code'; at any
     * time after open. May return: the caller exits by itself then.
     */
    void (*abort)(struct chi_wireup *wireup, int code, const char *text);
};

/* The text of an abort because a rank is gone: a launcher that knows how that
 * rank has ended blames it, and not the one that says so. */
#define CHI_WIREUP_LOST_FORMAT "chare: PE %u is gone"

/* First member of every provider's own state. */
struct chi_wireup {
    const struct chi_wireup_ops *ops;
    uint32_t rank;
    uint32_t size;
    uint32_t local_rank;  /* among the processes on this node */
    uint32_t local_size;  /* how many those are; 0: not known */
    const char *launcher; /* for people: "Slurm 22.05 (PMIx)", "chare run" */
    const char *job;      /* the job's name there, such as "12.0" */
    const char *host;     /* this node, as the launcher calls it */
};

/* The checked way in: asserts the contract on both sides of the call. */
CHARE_MUST_CHECK chare_status chi_wireup_open(
    const struct chi_wireup_ops *ops, const struct chi_wireup_options *options,
    struct chi_wireup **out);
void chi_wireup_close(struct chi_wireup *wireup);
CHARE_MUST_CHECK chare_status
chi_wireup_exchange(struct chi_wireup *wireup, const void *blob, size_t len,
                    struct chi_wireup_table *out);
void chi_wireup_abort(struct chi_wireup *wireup, int code, const char *text);

#endif /* CHI_WIREUP_WIREUP_H */
