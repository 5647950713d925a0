/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_WAIT_H
#define CHI_PMIX_WAIT_H

/*
 * wait.h - wait, for a bounded time, for libpmix's thread to call back.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pmix.h>

/* May be freed only when the call back has come, or never can any more. */
struct chi_pmix_wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    pmix_status_t status;
};

void chi_pmix_wait_init(struct chi_pmix_wait *wait);
void chi_pmix_wait_fini(struct chi_pmix_wait *wait);

/* A pmix_op_cbfunc_t; 'wait' is its cbdata. */
void chi_pmix_wait_done(pmix_status_t status, void *wait);

/* False when the time is up before it was done. */
bool chi_pmix_wait_for(struct chi_pmix_wait *wait, uint64_t timeout_ns,
                       pmix_status_t *status_out);

/* The same for what 'rc', returned by the call itself, says. */
pmix_status_t chi_pmix_wait_call(struct chi_pmix_wait *wait, pmix_status_t rc);

#endif /* CHI_PMIX_WAIT_H */
