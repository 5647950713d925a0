/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ofi.c - the table of the provider, its life and its progress.
 */
#include "config.h"

#include "ofi/ofi.h"

#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "ofi/state.h"

static void
ofi_limits(const struct chi_net *net, struct chi_net_limits *out)
{
    const struct chi_ofi *ofi = chi_ofi_of(net);

    out->eager_bytes = ofi->plan.eager_bytes;
    out->rma = ofi->plan.rma;
}

/* ---- progress */

static void
complete(struct chi_ofi *ofi, const struct fi_cq_data_entry *entry)
{
    struct chi_ofi_request *request = entry->op_context;

    if (request == NULL) {
        return;
    }
    switch (request->kind) {
    case CHI_OFI_RECEIVE:
        chi_ofi_receive_take(ofi, (struct chi_ofi_receive *)request, entry);
        break;
    case CHI_OFI_SEND:
        chi_ofi_eager_sent(ofi, (struct chi_ofi_op *)request, 0);
        break;
    case CHI_OFI_READ:
        chi_ofi_rma_read(ofi, (struct chi_ofi_op *)request, 0);
        break;
    }
}

/* One failed operation: told once here, unless its peer is simply gone. */
static void
complete_failed(struct chi_ofi *ofi)
{
    struct fi_cq_err_entry error = {.err_data_size = 0};
    struct chi_ofi_request *request;
    char text[128];

    if (fi_cq_readerr(ofi->cq, &error, 0) != 1) {
        return;
    }
    request = error.op_context;
    if (request != NULL && request->kind == CHI_OFI_RECEIVE) {
        chi_ofi_receive_failed(ofi, (struct chi_ofi_receive *)request, &error);
        return;
    }
    if (!chi_ofi_means_lost(error.err)) {
        chi_log_error(chi_ofi_log(ofi), "ofi: an operation failed: %s (%s)",
                      ofi->library.strerror(error.err),
                      fi_cq_strerror(ofi->cq, error.prov_errno, error.err_data,
                                     text, sizeof(text)));
    }
    if (request != NULL && request->kind == CHI_OFI_SEND) {
        chi_ofi_eager_sent(ofi, (struct chi_ofi_op *)request, error.err);
    } else if (request != NULL) {
        chi_ofi_rma_read(ofi, (struct chi_ofi_op *)request, error.err);
    }
}

/* One bounded look at the completion queue. */
static void
poll_once(struct chi_ofi *ofi)
{
    struct fi_cq_data_entry entries[CHI_OFI_CQ_BATCH];
    ssize_t count;

    if (chi_unlikely(ofi->unposted != NULL)) {
        chi_ofi_receive_post(ofi);
    }
    if (chi_unlikely(ofi->stalled != NULL)) {
        chi_ofi_eager_retry(ofi);
    }
    if (chi_unlikely(ofi->gets_active != NULL)) {
        chi_ofi_rma_issue(ofi);
    }
    count = fi_cq_read(ofi->cq, entries, CHI_OFI_CQ_BATCH);
    if (count == -FI_EAVAIL) {
        complete_failed(ofi);
        return;
    }
    for (ssize_t i = 0; i < count; i++) {
        complete(ofi, &entries[i]);
    }
}

/* Report what has happened, messages first: those of a peer come before its
 * loss. */
static uint32_t
report(struct chi_ofi *ofi, uint32_t events_max)
{
    const struct chi_net_sink *sink = &ofi->net.sink;
    uint32_t events = 0;

    while (events < events_max && ofi->arrived.head != NULL) {
        sink->arrived(sink->context, chi_msg_queue_pop(&ofi->arrived));
        events++;
    }
    while (events < events_max && ofi->gets_done != NULL) {
        struct chi_ofi_get *get = ofi->gets_done;
        const uint64_t token = get->token;
        const chare_status status = get->status;

        ofi->gets_done = get->next;
        get->next = ofi->gets_free;
        ofi->gets_free = get;
        sink->got(sink->context, token, status);
        events++;
    }
    while (events < events_max && ofi->lost != NULL) {
        struct chi_ofi_peer *peer = ofi->lost;

        ofi->lost = peer->next_lost;
        sink->peer_lost(sink->context, peer->rank, peer->why);
        events++;
    }
    return events;
}

static uint32_t
ofi_progress(struct chi_net *net, uint32_t events_max)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    uint32_t events = report(ofi, events_max);

    /* What arrives before connect() cannot be judged yet, so it waits. */
    if (events < events_max && chi_likely(ofi->connected)) {
        poll_once(ofi);
        events += report(ofi, events_max - events);
    }
    ofi->events += events;
    return events;
}

/* ---- life */

/*
 * Wait until no read is under way; false: some are, for their peers neither
 * answer nor end.
 *
 * Up to 1.17, libfabric's tcp crashes when an endpoint is closed while a read
 * is half answered: it keeps the read in two places, and frees it twice. Peers
 * that run answer, and an end of theirs ends the read, both safely.
 */
static bool
reads_end(struct chi_ofi *ofi)
{
    uint64_t end_ns;

    chi_ofi_rma_stop(ofi);
    if (chi_ofi_rma_under_way(ofi) == 0) {
        return true;
    }
    end_ns = chi_clock_now_ns(&chi_clock_real) +
             CHI_OFI_CLOSE_MS * (uint64_t)CHI_NS_PER_MS;
    do {
        poll_once(ofi);
        if (chi_ofi_rma_under_way(ofi) == 0) {
            return true;
        }
        (void)sched_yield(); /* peers may need this processor to answer */
    } while (chi_clock_now_ns(&chi_clock_real) < end_ns);
    return false;
}

static void
ofi_close(struct chi_net *net)
{
    struct chi_ofi *ofi = chi_ofi_of(net);

    /* Memory is freed when the provider has let go of it. */
    if (reads_end(ofi)) {
        chi_ofi_endpoint_close(ofi);
    } else {
        chi_log_debug(chi_ofi_log(ofi),
                      "ofi: reads are still under way, so "
                      "the endpoint is left to the end of the process");
        chi_ofi_endpoint_leave(ofi);
    }
    chi_ofi_rma_close(ofi);
    chi_ofi_receive_close(ofi);
    chi_ofi_eager_close(ofi);
    chi_ofi_peers_close(ofi);
    free(ofi);
}

static chare_status
ofi_open(const struct chi_net_options *options,
         const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct chi_ofi *ofi = calloc(1, sizeof(*ofi));
    chare_status status;

    if (ofi == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    ofi->net.ops = &chi_net_ofi_ops;
    ofi->net.sink = *sink;
    ofi->net.options = *options;
    ofi->force = options->provider_options;
    ofi->wait_fd = -1;
    ofi->doze.cq_fd = -1;
    ofi->next_key = 1;
    chi_map_init(&ofi->peers);
    status = chi_ofi_endpoint_open(ofi);
    if (status == CHARE_OK) {
        status = chi_ofi_eager_open(ofi);
    }
    if (status == CHARE_OK) {
        status = chi_ofi_receive_open(ofi);
    }
    if (status == CHARE_OK) {
        status = chi_ofi_rma_open(ofi);
    }
    if (status != CHARE_OK) {
        ofi_close(&ofi->net);
        return status;
    }
    *net_out = &ofi->net;
    return CHARE_OK;
}

static bool
ofi_drained(const struct chi_net *net)
{
    return chi_ofi_of(net)->sends == 0;
}

const struct chi_net_ops chi_net_ofi_ops = {
    .name = "ofi",
    .abi = CHI_NET_ABI,
    .open = ofi_open,
    .close = ofi_close,
    .limits = ofi_limits,
    .address = chi_ofi_peers_address,
    .connect = chi_ofi_peers_connect,
    .send = chi_ofi_eager_send,
    .progress = ofi_progress,
    .drained = ofi_drained,
    .wait_fd = chi_ofi_wait_fd,
    .wait_begin = chi_ofi_wait_begin,
    .wait_end = chi_ofi_wait_end,
    .expose = chi_ofi_rma_expose,
    .unexpose = chi_ofi_rma_unexpose,
    .get = chi_ofi_rma_get,
};
