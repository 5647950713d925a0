/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * missing.c - a question to the server about each rank, all at once.
 *
 * The server knows the blobs of the processes that have committed one. About
 * others it may answer that there is none, answer a timeout, or never answer:
 * all three count as missing. When a node's last task has ended, Slurm 22.05
 * answers nothing about other nodes at all, so that ranks which are well may
 * be out of reach, too.
 */
#include "config.h"

#include "pmix/missing.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pmix/info.h"
#include "pmix/wait.h"

enum {
    HOST_BYTES = 256,
    ANSWER_TIMEOUT_S = 1, /* that the server gives itself for one rank */
    TOTAL_TIMEOUT_S = 2,  /* that we give the server for all of them */
};

/* Arrays of full length: libpmix 3 takes them as such. */
static const pmix_key_t blob_key = CHI_PMIX_BLOB_KEY;
static const pmix_key_t host_key = PMIX_HOSTNAME;

struct question {
    struct chi_pmix_probe *probe;
    bool there; /* under the probe's mutex */
};

struct chi_pmix_probe {
    pthread_mutex_t mutex;
    struct chi_pmix_wait all_answered;
    uint32_t open_count; /* questions without an answer */
    pmix_info_t timeout;
    struct question questions[]; /* by rank */
};

static void
probe_answer(struct chi_pmix_probe *probe)
{
    bool last;

    pthread_mutex_lock(&probe->mutex);
    last = --probe->open_count == 0;
    pthread_mutex_unlock(&probe->mutex);
    if (last) {
        chi_pmix_wait_done(PMIX_SUCCESS, &probe->all_answered);
    }
}

/* A pmix_value_cbfunc_t. */
static void
answered(pmix_status_t status, pmix_value_t *value, void *argument)
{
    struct question *question = argument;

    (void)value;
    pthread_mutex_lock(&question->probe->mutex);
    question->there = status == PMIX_SUCCESS;
    pthread_mutex_unlock(&question->probe->mutex);
    probe_answer(question->probe);
}

static struct chi_pmix_probe *
probe_create(uint32_t size)
{
    struct chi_pmix_probe *probe;

    probe = calloc(1, sizeof(*probe) + size * sizeof(probe->questions[0]));
    if (probe == NULL) {
        return NULL;
    }
    pthread_mutex_init(&probe->mutex, NULL);
    chi_pmix_wait_init(&probe->all_answered);
    chi_pmix_info_int(&probe->timeout, PMIX_TIMEOUT, ANSWER_TIMEOUT_S);
    probe->open_count = size + 1; /* one is ours, until all are asked */
    return probe;
}

static void
probe_ask(struct chi_pmix_probe *probe, const pmix_proc_t *me, uint32_t size)
{
    pmix_status_t rc;

    for (uint32_t rank = 0; rank < size; rank++) {
        struct question *question = &probe->questions[rank];
        pmix_proc_t proc;

        question->probe = probe;
        chi_pmix_proc_set(&proc, me->nspace, rank);
        rc = rank == me->rank ? PMIX_OPERATION_SUCCEEDED
                              : PMIx_Get_nb(&proc, blob_key, &probe->timeout,
                                            1, answered, question);
        if (rc != PMIX_SUCCESS) {
            question->there = rc == PMIX_OPERATION_SUCCEEDED;
            probe_answer(probe);
        }
    }
    probe_answer(probe);
    (void)chi_pmix_wait_for(&probe->all_answered,
                            TOTAL_TIMEOUT_S * CHI_NS_PER_SEC, &rc);
}

static void
read_host(const pmix_proc_t *me, uint32_t rank, char *out, size_t room)
{
    pmix_proc_t proc;
    pmix_info_t optional;
    pmix_value_t *value = NULL;

    out[0] = '\0';
    chi_pmix_proc_set(&proc, me->nspace, rank);
    chi_pmix_info_bool(&optional, PMIX_OPTIONAL, true);
    if (PMIx_Get(&proc, host_key, &optional, 1, &value) != PMIX_SUCCESS) {
        return;
    }
    if (value->type == PMIX_STRING && value->data.string != NULL) {
        snprintf(out, room, "%s", value->data.string);
    }
    PMIX_VALUE_RELEASE(value);
}

/* A list under construction: "3 (n0), 64-127 (n2), ..." */
struct list {
    char *at;
    size_t room;
    bool full;
    bool empty;
};

static void
list_add(struct list *list, uint32_t first, uint32_t last, const char *host)
{
    static const char more[] = ", ...";
    const char *comma = list->empty ? "" : ", ";
    char item[HOST_BYTES + 32];
    int len;

    if (list->full) {
        return;
    }
    len = first == last
              ? snprintf(item, sizeof(item), "%s%u", comma, first)
              : snprintf(item, sizeof(item), "%s%u-%u", comma, first, last);
    if (host[0] != '\0') {
        len += snprintf(item + len, sizeof(item) - (size_t)len, " (%s)", host);
    }
    list->empty = false;
    if ((size_t)len + sizeof(more) > list->room ||
        (size_t)len >= sizeof(item)) {
        list->full = true;
        snprintf(list->at, list->room, "%s", more);
        return;
    }
    memcpy(list->at, item, (size_t)len + 1);
    list->at += len;
    list->room -= (size_t)len;
}

/* Neighbours on one node are one item. */
static uint32_t
list_missing(const pmix_proc_t *me, const bool *there, uint32_t size,
             struct list *list)
{
    char run_host[HOST_BYTES] = "";
    char host[HOST_BYTES];
    uint32_t first = 0;
    uint32_t last = 0;
    uint32_t count = 0;

    for (uint32_t rank = 0; rank < size; rank++) {
        if (there[rank]) {
            continue;
        }
        read_host(me, rank, host, sizeof(host));
        if (count > 0 && (rank != last + 1 || strcmp(host, run_host) != 0)) {
            list_add(list, first, last, run_host);
            first = rank;
        } else if (count == 0) {
            first = rank;
        }
        last = rank;
        count++;
        memcpy(run_host, host, sizeof(host));
    }
    if (count > 0) {
        list_add(list, first, last, run_host);
    }
    return count;
}

uint32_t
chi_pmix_missing_find(struct chi_pmix_missing *missing, const pmix_proc_t *me,
                      uint32_t size, char *out, size_t room)
{
    struct list list = {.at = out, .room = room, .empty = true};
    bool *there = calloc(size, sizeof(*there));
    uint32_t count;

    out[0] = '\0';
    missing->probe = probe_create(size);
    if (missing->probe == NULL || there == NULL) {
        free(there);
        return 0;
    }
    probe_ask(missing->probe, me, size);
    pthread_mutex_lock(&missing->probe->mutex);
    for (uint32_t rank = 0; rank < size; rank++) {
        there[rank] = missing->probe->questions[rank].there;
    }
    pthread_mutex_unlock(&missing->probe->mutex);
    count = list_missing(me, there, size, &list);
    free(there);
    return count;
}

void
chi_pmix_missing_fini(struct chi_pmix_missing *missing)
{
    if (missing->probe != NULL) {
        chi_pmix_wait_fini(&missing->probe->all_answered);
        pthread_mutex_destroy(&missing->probe->mutex);
        free(missing->probe);
        missing->probe = NULL;
    }
}
