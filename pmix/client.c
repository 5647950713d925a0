/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client.c - one PMIx session: init, put, fence, get, finalize.
 *
 * Invariants
 * 1. PMIx is connected only from open() to the end of exchange(). A launcher
 *    such as Slurm ends the whole step when a connected process dies, and
 *    libpmix keeps a thread; neither may outlive the wire-up. abort() alone
 *    connects once more.
 * 2. The fence names the whole namespace and collects the data: on Slurm
 *    nothing else is a barrier between nodes.
 * 3. Every wait has a bound of our own, for a server may never answer. What a
 *    late answer would write to lives until close(), after PMIx_Finalize.
 */
#include "config.h"

#include "pmix/client.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "pmix/cancel.h"
#include "pmix/claim.h"
#include "pmix/info.h"
#include "pmix/missing.h"
#include "pmix/wait.h"

enum {
    HOST_BYTES = 256,
    LAUNCHER_BYTES = 96,
    GET_TIMEOUT_S = 10,     /* to fetch one value that is already there */
    FENCES_MAX = 16,        /* tries, see fence() */
    ABORT_TIMEOUT_S = 5,    /* to tell the server of an abort */
    BLOB_BYTES_GUESS = 256, /* first size of the table, per process */
};

/* Arrays of full length: libpmix 3 takes them as such. */
static const pmix_key_t blob_key = CHI_PMIX_BLOB_KEY;
static const pmix_key_t size_key = PMIX_JOB_SIZE;

#define SLURM_NSPACE "slurm.pmix."

struct pmix_wireup {
    struct chi_wireup wireup; /* first */
    const struct chi_log *log;
    uint64_t timeout_ns;
    pmix_proc_t me;
    bool connected; /* PMIx_Init without PMIx_Finalize */
    char launcher[LAUNCHER_BYTES];
    char host[HOST_BYTES];
    struct chi_pmix_wait fence;
    unsigned fences; /* that were tried */
    struct chi_pmix_missing missing;
    size_t *offsets; /* size + 1 of them */
    unsigned char *bytes;
    size_t bytes_room;
};

/*
 * libpmix's thread inherits the signal mask, so with all signals blocked the
 * user's handlers keep running in the user's thread.
 */
static pmix_status_t
init_quietly(pmix_proc_t *me)
{
    sigset_t all;
    sigset_t before;
    pmix_status_t rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = PMIx_Init(me, NULL, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* An attribute of the job that the server gave at the start, or NULL. */
static pmix_value_t *
get_known(const pmix_proc_t *me, pmix_rank_t rank, const char *name)
{
    pmix_key_t key = ""; /* libpmix 3 takes an array of full length */
    pmix_proc_t proc;
    pmix_info_t optional;
    pmix_value_t *value = NULL;

    snprintf(key, sizeof(key), "%s", name);
    chi_pmix_proc_set(&proc, me->nspace, rank);
    chi_pmix_info_bool(&optional, PMIX_OPTIONAL, true);
    if (PMIx_Get(&proc, key, &optional, 1, &value) != PMIX_SUCCESS) {
        return NULL;
    }
    return value;
}

static void
value_release(pmix_value_t *value)
{
    if (value != NULL) {
        PMIX_VALUE_RELEASE(value);
    }
}

static void
read_host(struct pmix_wireup *pmix)
{
    pmix_value_t *value = get_known(&pmix->me, pmix->me.rank, PMIX_HOSTNAME);

    if (value != NULL && value->type == PMIX_STRING &&
        value->data.string != NULL) {
        snprintf(pmix->host, sizeof(pmix->host), "%s", value->data.string);
    } else if (gethostname(pmix->host, sizeof(pmix->host) - 1) != 0) {
        strcpy(pmix->host, "localhost");
    }
    value_release(value);
}

/* Where the launcher says so: the place among the processes of this node. */
static void
read_local(struct pmix_wireup *pmix)
{
    pmix_value_t *rank = get_known(&pmix->me, pmix->me.rank, PMIX_LOCAL_RANK);
    pmix_value_t *size =
        get_known(&pmix->me, PMIX_RANK_WILDCARD, PMIX_LOCAL_SIZE);

    if (rank != NULL && rank->type == PMIX_UINT16 && size != NULL &&
        size->type == PMIX_UINT32) {
        pmix->wireup.local_rank = rank->data.uint16;
        pmix->wireup.local_size = size->data.uint32;
    }
    value_release(rank);
    value_release(size);
}

/* "OpenPMIx 4.2.2 (PMIx Standard: ...)" is too long for a line of text. */
static void
read_launcher(struct pmix_wireup *pmix)
{
    const char *version = PMIx_Get_version();
    size_t skip = strcspn(version, "0123456789");
    int len = (int)strcspn(version + skip, " ,(");
    const char *name = "PMIx";

    pmix->wireup.job = pmix->me.nspace;
    if (strncmp(pmix->me.nspace, SLURM_NSPACE, strlen(SLURM_NSPACE)) == 0) {
        name = "Slurm";
        pmix->wireup.job = pmix->me.nspace + strlen(SLURM_NSPACE);
    } else if (strncmp(pmix->me.nspace, CHI_PMIX_RUN_NSPACE,
                       strlen(CHI_PMIX_RUN_NSPACE)) == 0) {
        name = "chare run";
    } else if (getenv("OMPI_COMM_WORLD_SIZE") != NULL) {
        name = "Open MPI";
    }
    snprintf(pmix->launcher, sizeof(pmix->launcher), "%s (PMIx %.*s)", name,
             len, version + skip);
}

/*
 * Every server knows the size. In a second session of one process, libpmix 4.2
 * has to ask it again.
 */
static pmix_value_t *
get_size(const pmix_proc_t *me)
{
    pmix_value_t *value = get_known(me, PMIX_RANK_WILDCARD, PMIX_JOB_SIZE);
    pmix_proc_t proc;
    pmix_info_t timeout;

    if (value != NULL) {
        return value;
    }
    chi_pmix_proc_set(&proc, me->nspace, PMIX_RANK_WILDCARD);
    chi_pmix_info_int(&timeout, PMIX_TIMEOUT, GET_TIMEOUT_S);
    if (PMIx_Get(&proc, size_key, &timeout, 1, &value) != PMIX_SUCCESS) {
        return NULL;
    }
    return value;
}

static chare_status
read_size(struct pmix_wireup *pmix, uint32_t *size_out)
{
    pmix_value_t *value = get_size(&pmix->me);
    chare_status status = CHARE_ERR_WIREUP;

    if (value != NULL && value->type == PMIX_UINT32 &&
        value->data.uint32 > pmix->me.rank &&
        value->data.uint32 <= CHARE_PES_MAX) {
        *size_out = value->data.uint32;
        status = CHARE_OK;
    } else {
        chi_log_error(pmix->log,
                      "the PMIx server of job %s does not say how many "
                      "processes there are",
                      pmix->me.nspace);
    }
    value_release(value);
    return status;
}

/* No server: is this really one process alone? */
static chare_status
no_server(const struct chi_log *log, const char *why)
{
    struct chi_pmix_claim claim;

    if (!chi_pmix_claim_find(&claim)) {
        chi_log_debug(log, "no PMIx server: %s", why);
        return CHARE_ERR_NOT_FOUND;
    }
    chi_log_error(log,
                  "this is one of %llu processes (%s), but there is no PMIx "
                  "server to find the others: %s. %s",
                  (unsigned long long)claim.size, claim.variable, why,
                  claim.remedy);
    return CHARE_ERR_WIREUP;
}

static void
disconnect(struct pmix_wireup *pmix)
{
    if (pmix->connected) {
        (void)PMIx_Finalize(NULL, 0); /* nothing can be done about it */
        pmix->connected = false;
    }
}

static void
pmix_close(struct chi_wireup *wireup)
{
    struct pmix_wireup *pmix = (struct pmix_wireup *)wireup;

    disconnect(pmix);
    chi_pmix_missing_fini(&pmix->missing);
    chi_pmix_wait_fini(&pmix->fence);
    free(pmix->offsets);
    free(pmix->bytes);
    free(pmix);
}

static chare_status
pmix_open(const struct chi_wireup_options *options, struct chi_wireup **out)
{
    struct pmix_wireup *pmix;
    chare_status status;
    pmix_status_t rc;
    uint32_t size = 0;

    /* Without its variables PMIx_Init only costs 12 ms before it says no. */
    if (getenv("PMIX_NAMESPACE") == NULL || getenv("PMIX_RANK") == NULL) {
        return no_server(options->log, "no PMIX_ variables are set");
    }
    if (chi_pmix_claim_replaced()) {
        chi_log_error(options->log,
                      "something in this process has replaced its launcher's "
                      "PMIX_ variables, as an MPI library does that cannot "
                      "use this launcher; start the job by mpirun or 'srun "
                      "--mpi=pmix', where MPI and chare go together");
        return CHARE_ERR_WIREUP;
    }
    pmix = calloc(1, sizeof(*pmix));
    if (pmix == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    pmix->log = options->log;
    pmix->timeout_ns = options->settings->start_timeout_ns;
    chi_pmix_wait_init(&pmix->fence);

    rc = init_quietly(&pmix->me);
    if (rc != PMIX_SUCCESS) {
        status = no_server(options->log, PMIx_Error_string(rc));
        goto close_pmix;
    }
    pmix->connected = true;
    status = read_size(pmix, &size);
    if (status != CHARE_OK) {
        goto close_pmix;
    }
    read_host(pmix);
    read_launcher(pmix);
    read_local(pmix);
    pmix->wireup.ops = &chi_wireup_pmix_ops;
    pmix->wireup.rank = pmix->me.rank;
    pmix->wireup.size = size;
    pmix->wireup.launcher = pmix->launcher;
    pmix->wireup.host = pmix->host;
    *out = &pmix->wireup;
    return CHARE_OK;

close_pmix:
    pmix_close(&pmix->wireup);
    return status;
}

static chare_status
failed(struct pmix_wireup *pmix, const char *call, pmix_status_t rc)
{
    chi_log_error(pmix->log, "wire-up of job %s by %s failed: %s: %s",
                  pmix->wireup.job, pmix->launcher, call,
                  PMIx_Error_string(rc));
    return CHARE_ERR_WIREUP;
}

static chare_status
put_blob(struct pmix_wireup *pmix, const void *blob, size_t len)
{
    pmix_value_t value;
    pmix_status_t rc;

    /* libpmix copies the blob, and takes it by a pointer that is not const. */
    memset(&value, 0, sizeof(value));
    value.type = PMIX_BYTE_OBJECT;
    value.data.bo.bytes = malloc(len);
    value.data.bo.size = len;
    if (value.data.bo.bytes == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(value.data.bo.bytes, blob, len);
    rc = PMIx_Put(PMIX_GLOBAL, blob_key, &value);
    free(value.data.bo.bytes);
    if (rc != PMIX_SUCCESS) {
        return failed(pmix, "PMIx_Put", rc);
    }
    rc = PMIx_Commit();
    return rc == PMIX_SUCCESS ? CHARE_OK : failed(pmix, "PMIx_Commit", rc);
}

/* Name those who did not come. */
static chare_status
name_missing(struct pmix_wireup *pmix, chare_status status)
{
    char text[CHI_PMIX_MISSING_TEXT_BYTES];
    double timeout_s = (double)pmix->timeout_ns / (double)CHI_NS_PER_SEC;
    uint32_t count;

    count = chi_pmix_missing_find(&pmix->missing, &pmix->me, pmix->wireup.size,
                                  text, sizeof(text));
    if (count == 0) {
        strcpy(text, "unknown");
    }
    if (status == CHARE_ERR_TIMEOUT) {
        chi_log_error(pmix->log,
                      "job %s is not complete after %.3g s "
                      "(CHARE_START_TIMEOUT): %u of %u processes did not come "
                      "or are out of reach: rank %s",
                      pmix->wireup.job, timeout_s, count, pmix->wireup.size,
                      text);
    } else {
        chi_log_error(pmix->log,
                      "%u of %u processes ended before job %s was wired up: "
                      "rank %s",
                      count, pmix->wireup.size, pmix->wireup.job, text);
    }
    return status;
}

/* One fence; CHARE_ERR_AGAIN when libpmix calls it partly done. */
static chare_status
fence_once(struct pmix_wireup *pmix, uint64_t timeout_ns)
{
    pmix_proc_t everyone;
    pmix_info_t collect;
    pmix_status_t rc;

    chi_pmix_proc_set(&everyone, pmix->me.nspace, PMIX_RANK_WILDCARD);
    chi_pmix_info_bool(&collect, PMIX_COLLECT_DATA, true);
    rc = PMIx_Fence_nb(&everyone, 1, &collect, 1, chi_pmix_wait_done,
                       &pmix->fence);
    if (rc == PMIX_OPERATION_SUCCEEDED) {
        return CHARE_OK;
    }
    if (rc != PMIX_SUCCESS) {
        return failed(pmix, "PMIx_Fence_nb", rc);
    }
    if (!chi_pmix_wait_for(&pmix->fence, timeout_ns, &rc) ||
        rc == PMIX_ERR_TIMEOUT) {
        return name_missing(pmix, CHARE_ERR_TIMEOUT);
    }
    if (chi_pmix_partial(rc)) {
        return CHARE_ERR_AGAIN;
    }
    return rc == PMIX_SUCCESS ? CHARE_OK : failed(pmix, "PMIx_Fence", rc);
}

/*
 * A rank that died makes the fence "partly done"; so does, in libpmix 4.2, the
 * end of a connection from an earlier session of a rank that is well. All that
 * took part are told, and fence again; the blobs show who is dead.
 */
static chare_status
fence(struct pmix_wireup *pmix)
{
    uint64_t end_ns = chi_clock_now_ns(&chi_clock_real) + pmix->timeout_ns;
    chare_status status = CHARE_ERR_AGAIN;

    for (int i = 0; i < FENCES_MAX && status == CHARE_ERR_AGAIN; i++) {
        uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);

        status = fence_once(pmix, end_ns > now_ns ? end_ns - now_ns : 0);
        pmix->fences++;
    }
    return status == CHARE_ERR_AGAIN ? name_missing(pmix, CHARE_ERR_WIREUP)
                                     : status;
}

static chare_status
table_append(struct pmix_wireup *pmix, uint32_t rank, const void *blob,
             size_t len)
{
    size_t used = pmix->offsets[rank];
    size_t room = pmix->bytes_room;
    unsigned char *bytes;

    while (room - used < len) {
        room += room;
    }
    if (room != pmix->bytes_room) {
        bytes = realloc(pmix->bytes, room);
        if (bytes == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        pmix->bytes = bytes;
        pmix->bytes_room = room;
    }
    memcpy(pmix->bytes + used, blob, len);
    pmix->offsets[rank + 1] = used + len;
    return CHARE_OK;
}

static chare_status
get_blob(struct pmix_wireup *pmix, uint32_t rank)
{
    pmix_proc_t proc;
    pmix_info_t timeout;
    pmix_value_t *value = NULL;
    pmix_status_t rc;
    chare_status status;

    chi_pmix_proc_set(&proc, pmix->me.nspace, rank);
    chi_pmix_info_int(&timeout, PMIX_TIMEOUT, GET_TIMEOUT_S);
    rc = PMIx_Get(&proc, blob_key, &timeout, 1, &value);
    if (rc != PMIX_SUCCESS) {
        chi_log_debug(pmix->log, "no blob of rank %u: %s", rank,
                      PMIx_Error_string(rc));
        return CHARE_ERR_NOT_FOUND;
    }
    if (value->type == PMIX_BYTE_OBJECT) {
        status = table_append(pmix, rank, value->data.bo.bytes,
                              value->data.bo.size);
    } else {
        status = failed(pmix, "PMIx_Get", PMIX_ERR_BAD_PARAM);
    }
    value_release(value);
    return status;
}

static chare_status
get_all(struct pmix_wireup *pmix, const void *blob, size_t len)
{
    chare_status status = CHARE_OK;
    uint32_t size = pmix->wireup.size;

    pmix->offsets = calloc((size_t)size + 1, sizeof(*pmix->offsets));
    pmix->bytes_room = (size_t)size * BLOB_BYTES_GUESS;
    pmix->bytes = malloc(pmix->bytes_room);
    if (pmix->offsets == NULL || pmix->bytes == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t rank = 0; rank < size && status == CHARE_OK; rank++) {
        status = rank == pmix->wireup.rank
                     ? table_append(pmix, rank, blob, len)
                     : get_blob(pmix, rank);
    }
    if (status == CHARE_ERR_NOT_FOUND) {
        return name_missing(pmix, CHARE_ERR_WIREUP);
    }
    return status;
}

static chare_status
pmix_exchange(struct chi_wireup *wireup, const void *blob, size_t len,
              struct chi_wireup_table *out)
{
    struct pmix_wireup *pmix = (struct pmix_wireup *)wireup;
    chare_status status;

    chi_assert(pmix->connected); /* called once */
    status = put_blob(pmix, blob, len);
    if (status == CHARE_OK) {
        status = fence(pmix);
    }
    if (status == CHARE_OK) {
        status = get_all(pmix, blob, len);
    }
    disconnect(pmix);
    if (status == CHARE_OK) {
        chi_log_debug(pmix->log,
                      "wired up: %zu bytes put, fences: %u, %zu bytes of %u "
                      "others fetched",
                      len, pmix->fences, pmix->offsets[wireup->size] - len,
                      wireup->size - 1);
        *out = (struct chi_wireup_table){
            .count = wireup->size,
            .offsets = pmix->offsets,
            .bytes = pmix->bytes,
        };
    }
    return status;
}

/* What the thread of an abort works on; left behind when it hangs. */
struct abort_call {
    struct chi_pmix_wait wait;
    bool connected;
    int code;
    char text[CHI_LOG_LINE_BYTES_MAX];
};

static void *
abort_main(void *argument)
{
    struct abort_call *call = argument;
    pmix_proc_t me;
    pmix_status_t rc = PMIX_SUCCESS;

    if (!call->connected) {
        rc = PMIx_Init(&me, NULL, 0);
    }
    if (rc == PMIX_SUCCESS) {
        rc = PMIx_Abort(call->code, call->text, NULL, 0);
    }
    chi_pmix_wait_done(rc, &call->wait);
    return NULL;
}

/* True: the server has taken the abort. */
static bool
abort_by_server(struct abort_call *call)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    pmix_status_t rc;
    int failure;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, NULL, abort_main, call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        free(call);
        return false;
    }
    if (!chi_pmix_wait_for(&call->wait, ABORT_TIMEOUT_S * CHI_NS_PER_SEC,
                           &rc)) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    chi_pmix_wait_fini(&call->wait);
    free(call);
    return rc == PMIX_SUCCESS;
}

static void
pmix_abort(struct chi_wireup *wireup, int code, const char *text)
{
    struct pmix_wireup *pmix = (struct pmix_wireup *)wireup;
    struct abort_call *call = calloc(1, sizeof(*call));

    if (call == NULL) {
        return;
    }
    chi_pmix_wait_init(&call->wait);
    call->connected = pmix->connected;
    call->code = code;
    snprintf(call->text, sizeof(call->text), "%s", text);
    if (!abort_by_server(call) && !chi_pmix_cancel_step(wireup->job)) {
        chi_log_warn(pmix->log,
                     "%s does not answer to an abort of job %s; its other "
                     "processes may go on",
                     pmix->launcher, wireup->job);
    }
}

const struct chi_wireup_ops chi_wireup_pmix_ops = {
    .name = "pmix",
    .abi = CHI_WIREUP_ABI,
    .open = pmix_open,
    .close = pmix_close,
    .exchange = pmix_exchange,
    .abort = pmix_abort,
};
