/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - libpmix's server, told about one namespace on one node.
 *
 * The upcalls come on libpmix's thread: they note what happened under the
 * mutex, ring the doorbell and return. The launcher's thread looks when it is
 * woken. libpmix itself completes a fence whose ranks are all local.
 */
#include "config.h"

#include "pmix/server.h"

#include <errno.h>
#include <pmix.h>
#include <pmix_server.h>
#include <pmix_version.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "pmix/info.h"
#include "pmix/wait.h"

enum {
    JOB_INFO_COUNT = 14, /* attributes of the job, besides its ranks */
    RANK_INFO_COUNT = 7, /* attributes of one rank */
    RANK_TEXT_BYTES = 12,
};

struct rank_state {
    struct chi_server *server;
    uint32_t rank;
    enum chi_server_stage stage; /* under the server's mutex */
};

struct chi_server {
    const struct chi_log *log;
    char nspace[PMIX_MAX_NSLEN + 1];
    uint32_t rank_count;
    int doorbell; /* eventfd */
    struct chi_pmix_wait wait;
    pthread_mutex_t mutex;
    struct chi_server_abort abort; /* under the mutex */
    struct rank_state ranks[];
};

/* ---- upcalls, on libpmix's thread ---- */

static void
ring(struct chi_server *server)
{
    uint64_t one = 1;
    ssize_t written = write(server->doorbell, &one, sizeof(one));

    (void)written; /* a full counter is as good as one more */
}

static void
stage_set(void *object, enum chi_server_stage stage)
{
    struct rank_state *state = object;

    if (state == NULL) {
        return; /* no rank of ours */
    }
    pthread_mutex_lock(&state->server->mutex);
    state->stage = stage;
    pthread_mutex_unlock(&state->server->mutex);
    ring(state->server);
}

static pmix_status_t
up_connected(const pmix_proc_t *proc, void *object, pmix_op_cbfunc_t done,
             void *data)
{
    (void)proc;
    (void)done;
    (void)data;
    stage_set(object, CHI_SERVER_CONNECTED);
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t
up_finalized(const pmix_proc_t *proc, void *object, pmix_op_cbfunc_t done,
             void *data)
{
    (void)proc;
    (void)done;
    (void)data;
    stage_set(object, CHI_SERVER_DONE);
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t
up_abort(const pmix_proc_t *proc, void *object, int code, const char text[],
         pmix_proc_t procs[], size_t proc_count, pmix_op_cbfunc_t done,
         void *data)
{
    struct rank_state *state = object;
    struct chi_server *server;

    (void)proc;
    (void)procs; /* whoever is meant: a job with a hole is ended whole */
    (void)proc_count;
    (void)done;
    (void)data;
    if (state == NULL) {
        return PMIX_ERR_NOT_FOUND;
    }
    server = state->server;
    pthread_mutex_lock(&server->mutex);
    if (!server->abort.called) {
        server->abort.called = true;
        server->abort.rank = state->rank;
        server->abort.code = code;
        snprintf(server->abort.text, sizeof(server->abort.text), "%s",
                 text != NULL ? text : "");
    }
    pthread_mutex_unlock(&server->mutex);
    ring(server);
    return PMIX_OPERATION_SUCCEEDED;
}

/*
 * All ranks are local, so what they gave is the whole result. libpmix asks
 * only when a rank has died meanwhile; those that live find out by its blob.
 */
static pmix_status_t
up_fence(const pmix_proc_t procs[], size_t proc_count,
         const pmix_info_t info[], size_t info_count, char *bytes, size_t len,
         pmix_modex_cbfunc_t done, void *data)
{
    (void)procs;
    (void)proc_count;
    (void)info;
    (void)info_count;
    if (done != NULL) {
        done(PMIX_SUCCESS, bytes, len, data, free, bytes);
    }
    return PMIX_SUCCESS;
}

static pmix_status_t
up_direct_modex(const pmix_proc_t *proc, const pmix_info_t info[],
                size_t info_count, pmix_modex_cbfunc_t done, void *data)
{
    (void)proc;
    (void)info;
    (void)info_count;
    (void)done;
    (void)data;
    return PMIX_ERR_NOT_FOUND; /* there is no other node */
}

/* Without this upcall, libpmix 4.2 can crash on a query. */
static pmix_status_t
up_query(pmix_proc_t *proc, pmix_query_t *queries, size_t query_count,
         pmix_info_cbfunc_t done, void *data)
{
    (void)proc;
    (void)queries;
    (void)query_count;
    (void)done;
    (void)data;
    return PMIX_ERR_NOT_SUPPORTED;
}

/* libpmix takes it without const, but never writes. */
static const pmix_server_module_t upcalls = {
    .client_connected = up_connected,
    .client_finalized = up_finalized,
    .abort = up_abort,
    .fence_nb = up_fence,
    .direct_modex = up_direct_modex,
    .query = up_query,
};

/* ---- start ---- */

/* hwloc is to look at the processors only, not at all devices; and not to load
 * plugins, which bring OpenCL, libxml and its tables along. */
static const struct {
    const char *name;
    const char *value;
} hwloc_variables[] = {
    {"HWLOC_COMPONENTS",
     "-pci,-linuxio,-opencl,-gl,-cuda,-nvml,-rsmi,-levelzero"},
    {"HWLOC_PLUGINS_PATH", "/dev/null"},
};

enum {
    HWLOC_VARIABLES = sizeof(hwloc_variables) / sizeof(hwloc_variables[0])
};

static pmix_status_t
library_start(const struct chi_server_options *options)
{
    pmix_server_module_t module = upcalls;
    pmix_info_t info[5];
    char *directory = strdup(options->directory);
    char *host = strdup(options->host);
    char name[] = "chare-run";
    sigset_t all;
    sigset_t before;
    bool ours[HWLOC_VARIABLES];
    pmix_status_t rc = PMIX_ERR_NOMEM;

    /* One kind of store, instead of several that also make files; the ranks
     * need the same one. What the user has set stays. */
    setenv("PMIX_MCA_gds", "hash", 0);
    for (size_t i = 0; i < HWLOC_VARIABLES; i++) {
        ours[i] = getenv(hwloc_variables[i].name) == NULL;
        if (ours[i]) {
            setenv(hwloc_variables[i].name, hwloc_variables[i].value, 1);
        }
    }
    if (directory != NULL && host != NULL) {
        chi_pmix_info_text(&info[0], PMIX_SERVER_TMPDIR, directory);
        chi_pmix_info_text(&info[1], PMIX_SYSTEM_TMPDIR, directory);
        chi_pmix_info_text(&info[2], PMIX_SERVER_NSPACE, name);
        chi_pmix_info_rank(&info[3], PMIX_SERVER_RANK, 0);
        chi_pmix_info_text(&info[4], PMIX_HOSTNAME, host);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = PMIx_server_init(&module, info, 5);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    for (size_t i = 0; i < HWLOC_VARIABLES; i++) {
        if (ours[i]) {
            unsetenv(hwloc_variables[i].name); /* ranks may look at devices */
        }
    }
    free(directory);
    free(host);
    return rc;
}

/* "0,1,2,..." */
static char *
rank_list(uint32_t rank_count)
{
    char *list = malloc((size_t)rank_count * RANK_TEXT_BYTES);
    char *at = list;

    if (list == NULL) {
        return NULL;
    }
    for (uint32_t rank = 0; rank < rank_count; rank++) {
        at += snprintf(at, RANK_TEXT_BYTES, "%s%u", rank > 0 ? "," : "", rank);
    }
    return list;
}

/* The maps from which libpmix derives who is where. */
static pmix_status_t
map_infos(pmix_info_t *info, char *host, char *ranks, char **node_map_out,
          char **rank_map_out)
{
#if PMIX_VERSION_MAJOR >= 4
    const pmix_data_type_t type = PMIX_REGEX;
#else
    const pmix_data_type_t type = PMIX_STRING;
#endif
    pmix_status_t rc = PMIx_generate_regex(host, node_map_out);

    if (rc != PMIX_SUCCESS) {
        return rc;
    }
    rc = PMIx_generate_ppn(ranks, rank_map_out);
    if (rc != PMIX_SUCCESS) {
        return rc;
    }
    chi_pmix_info_init(&info[0], PMIX_NODE_MAP, type)->data.string =
        *node_map_out;
    chi_pmix_info_init(&info[1], PMIX_PROC_MAP, type)->data.string =
        *rank_map_out;
    return PMIX_SUCCESS;
}

/* Ranks' attributes: RANK_INFO_COUNT of them for each, the rank first. */
static void
rank_infos(pmix_info_t *info, pmix_data_array_t *array, pmix_info_t *own,
           uint32_t rank, char *host)
{
    chi_pmix_info_rank(&own[0], PMIX_RANK, rank);
    chi_pmix_info_u32(&own[1], PMIX_GLOBAL_RANK, rank);
    chi_pmix_info_u32(&own[2], PMIX_APPNUM, 0);
    chi_pmix_info_u16(&own[3], PMIX_LOCAL_RANK, (uint16_t)rank);
    chi_pmix_info_u16(&own[4], PMIX_NODE_RANK, (uint16_t)rank);
    chi_pmix_info_u32(&own[5], PMIX_NODEID, 0);
    chi_pmix_info_text(&own[6], PMIX_HOSTNAME, host);
    memset(array, 0, sizeof(*array));
    array->type = PMIX_INFO;
    array->size = RANK_INFO_COUNT;
    array->array = own;
    chi_pmix_info_init(info, PMIX_PROC_DATA, PMIX_DATA_ARRAY)->data.darray =
        array;
}

static void
job_infos(pmix_info_t *info, const struct chi_server_options *options,
          char *ranks, char *job, char *directory)
{
    uint32_t count = options->rank_count;

    chi_pmix_info_u32(&info[0], PMIX_JOB_SIZE, count);
    chi_pmix_info_u32(&info[1], PMIX_UNIV_SIZE, count);
    chi_pmix_info_u32(&info[2], PMIX_MAX_PROCS, count);
    chi_pmix_info_u32(&info[3], PMIX_LOCAL_SIZE, count);
    chi_pmix_info_u32(&info[4], PMIX_NODE_SIZE, count);
    chi_pmix_info_u32(&info[5], PMIX_NUM_NODES, 1);
    chi_pmix_info_u32(&info[6], PMIX_JOB_NUM_APPS, 1);
    chi_pmix_info_text(&info[7], PMIX_LOCAL_PEERS, ranks);
    chi_pmix_info_rank(&info[8], PMIX_LOCALLDR, 0);
    chi_pmix_info_text(&info[9], PMIX_JOBID, job);
    chi_pmix_info_text(&info[10], PMIX_TMPDIR, directory);
    chi_pmix_info_text(&info[11], PMIX_NSDIR, directory);
}

static pmix_status_t
namespace_register(struct chi_server *server,
                   const struct chi_server_options *options, pmix_info_t *info,
                   char *ranks, char *host, char *directory)
{
    size_t count = options->rank_count;
    pmix_info_t *own = calloc(count * RANK_INFO_COUNT, sizeof(*own));
    pmix_data_array_t *arrays = calloc(count, sizeof(*arrays));
    char *node_map = NULL;
    char *rank_map = NULL;
    pmix_status_t rc = PMIX_ERR_NOMEM;

    if (own != NULL && arrays != NULL) {
        rc = map_infos(&info[12], host, ranks, &node_map, &rank_map);
    }
    if (rc == PMIX_SUCCESS) {
        job_infos(info, options, ranks, server->nspace, directory);
        for (uint32_t rank = 0; rank < count; rank++) {
            rank_infos(&info[JOB_INFO_COUNT + rank], &arrays[rank],
                       &own[rank * RANK_INFO_COUNT], rank, host);
        }
        rc = PMIx_server_register_nspace(server->nspace, (int)count, info,
                                         JOB_INFO_COUNT + count,
                                         chi_pmix_wait_done, &server->wait);
        rc = chi_pmix_wait_call(&server->wait, rc);
    }
    free(node_map);
    free(rank_map);
    free(arrays);
    free(own);
    return rc;
}

static pmix_status_t
job_register(struct chi_server *server,
             const struct chi_server_options *options)
{
    size_t count = options->rank_count;
    pmix_info_t *info = calloc(JOB_INFO_COUNT + count, sizeof(*info));
    char *ranks = rank_list(options->rank_count);
    char *host = strdup(options->host);
    char *directory = strdup(options->directory);
    pmix_status_t rc = PMIX_ERR_NOMEM;

    if (info != NULL && ranks != NULL && host != NULL && directory != NULL) {
        rc = namespace_register(server, options, info, ranks, host, directory);
    }
    free(directory);
    free(host);
    free(ranks);
    free(info);
    for (uint32_t rank = 0; rc == PMIX_SUCCESS && rank < count; rank++) {
        pmix_proc_t proc;

        chi_pmix_proc_set(&proc, server->nspace, rank);
        rc = PMIx_server_register_client(&proc, getuid(), getgid(),
                                         &server->ranks[rank],
                                         chi_pmix_wait_done, &server->wait);
        rc = chi_pmix_wait_call(&server->wait, rc);
    }
    return rc;
}

chare_status
chi_server_open(const struct chi_server_options *options,
                struct chi_server **out)
{
    struct chi_server *server;
    const char *call = "PMIx_server_init";
    pmix_status_t rc;

    server = calloc(1, sizeof(*server) +
                           options->rank_count * sizeof(server->ranks[0]));
    if (server == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    server->log = options->log;
    server->rank_count = options->rank_count;
    snprintf(server->nspace, sizeof(server->nspace), "%s", options->job);
    for (uint32_t rank = 0; rank < options->rank_count; rank++) {
        server->ranks[rank].server = server;
        server->ranks[rank].rank = rank;
    }
    server->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->doorbell < 0) {
        chi_log_error(options->log, "cannot make an eventfd: %s",
                      strerror(errno));
        free(server);
        return CHARE_ERR_SYSTEM;
    }
    pthread_mutex_init(&server->mutex, NULL);
    chi_pmix_wait_init(&server->wait);

    rc = library_start(options);
    if (rc != PMIX_SUCCESS) {
        goto free_server;
    }
    call = "registering the job";
    rc = job_register(server, options);
    if (rc != PMIX_SUCCESS) {
        goto stop_library;
    }
    *out = server;
    return CHARE_OK;

stop_library:
    (void)PMIx_server_finalize(); /* safe as long as nobody has connected */
free_server:
    chi_log_error(options->log, "cannot serve PMIx in %s: %s: %s",
                  options->directory, call, PMIx_Error_string(rc));
    close(server->doorbell);
    free(server);
    return CHARE_ERR_WIREUP;
}

/* ---- the launcher's questions ---- */

chare_status
chi_server_environment(struct chi_server *server, uint32_t rank,
                       char ***environment_inout)
{
    pmix_proc_t proc;
    pmix_status_t rc;

    chi_assert(rank < server->rank_count);
    chi_pmix_proc_set(&proc, server->nspace, rank);
    rc = PMIx_server_setup_fork(&proc, environment_inout);
    if (rc != PMIX_SUCCESS) {
        chi_log_error(server->log, "PMIx_server_setup_fork: %s",
                      PMIx_Error_string(rc));
        return CHARE_ERR_WIREUP;
    }
    return CHARE_OK;
}

int
chi_server_fd(const struct chi_server *server)
{
    return server->doorbell;
}

void
chi_server_heed(struct chi_server *server)
{
    uint64_t count;
    ssize_t got = read(server->doorbell, &count, sizeof(count));

    (void)got; /* nothing there is as good */
}

enum chi_server_stage
chi_server_stage_get(struct chi_server *server, uint32_t rank)
{
    enum chi_server_stage stage;

    chi_assert(rank < server->rank_count);
    pthread_mutex_lock(&server->mutex);
    stage = server->ranks[rank].stage;
    pthread_mutex_unlock(&server->mutex);
    return stage;
}

void
chi_server_abort_get(struct chi_server *server, struct chi_server_abort *out)
{
    pthread_mutex_lock(&server->mutex);
    *out = server->abort;
    pthread_mutex_unlock(&server->mutex);
}
