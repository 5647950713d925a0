/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - one flag between libpmix's thread and ours.
 */
#include "config.h"

#include "pmix/wait.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

enum {
    CALL_TIMEOUT_S = 30
}; /* for a call that needs nobody else */

void
chi_pmix_wait_init(struct chi_pmix_wait *wait)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wait->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&wait->mutex, NULL);
    wait->done = false;
    wait->status = PMIX_SUCCESS;
}

void
chi_pmix_wait_fini(struct chi_pmix_wait *wait)
{
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->mutex);
}

void
chi_pmix_wait_done(pmix_status_t status, void *argument)
{
    struct chi_pmix_wait *wait = argument;

    pthread_mutex_lock(&wait->mutex);
    wait->status = status;
    wait->done = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
}

bool
chi_pmix_wait_for(struct chi_pmix_wait *wait, uint64_t timeout_ns,
                  pmix_status_t *status_out)
{
    uint64_t end_ns = chi_clock_now_ns(&chi_clock_real) + timeout_ns;
    struct timespec end = {
        .tv_sec = (time_t)(end_ns / CHI_NS_PER_SEC),
        .tv_nsec = (long)(end_ns % CHI_NS_PER_SEC),
    };
    int rc = 0;
    bool done;

    pthread_mutex_lock(&wait->mutex);
    while (!wait->done && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&wait->changed, &wait->mutex, &end);
    }
    done = wait->done;
    *status_out = wait->status;
    wait->done = false;
    pthread_mutex_unlock(&wait->mutex);
    return done;
}

pmix_status_t
chi_pmix_wait_call(struct chi_pmix_wait *wait, pmix_status_t rc)
{
    if (rc == PMIX_OPERATION_SUCCEEDED) {
        return PMIX_SUCCESS;
    }
    if (rc != PMIX_SUCCESS) {
        return rc;
    }
    if (!chi_pmix_wait_for(wait, CALL_TIMEOUT_S * CHI_NS_PER_SEC, &rc)) {
        return PMIX_ERR_TIMEOUT;
    }
    return rc;
}
