/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eager.c - sending messages at once.
 *
 * Each message owns an op from send() to its completion. What the provider
 * does not take (its queue is full, or the connection is being made) waits at
 * its peer, in order, at most CHI_OFI_PEER_OPS_MAX with those under way: one
 * peer that takes nothing does not stop the others.
 *
 * fi_inject() is not used: it reports no completion, so neither drained() nor
 * the bound of a peer could be kept. FI_INJECT with a completion frees a small
 * message at once all the same.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ofi/state.h"

/* ---- ops */

static bool
slab_add(struct chi_ofi *ofi)
{
    struct chi_ofi_op_slab *slab;

    if (ofi->op_count + CHI_OFI_OPS_PER_SLAB > CHI_OFI_OPS_MAX) {
        return false;
    }
    slab = calloc(1, sizeof(*slab));
    if (slab == NULL) {
        return false;
    }
    slab->next = ofi->slabs;
    ofi->slabs = slab;
    for (uint32_t i = 0; i < CHI_OFI_OPS_PER_SLAB; i++) {
        slab->ops[i].next = ofi->ops_free;
        ofi->ops_free = &slab->ops[i];
    }
    ofi->op_count += CHI_OFI_OPS_PER_SLAB;
    return true;
}

struct chi_ofi_op *
chi_ofi_op_alloc(struct chi_ofi *ofi)
{
    struct chi_ofi_op *op;

    if (chi_unlikely(ofi->ops_free == NULL) && !slab_add(ofi)) {
        return NULL;
    }
    op = ofi->ops_free;
    ofi->ops_free = op->next;
    op->next = NULL;
    op->msg = NULL;
    op->bounce = NULL;
    op->get = NULL;
    op->newer = NULL;
    op->older = ofi->ops_in_use;
    if (op->older != NULL) {
        op->older->newer = op;
    }
    ofi->ops_in_use = op;
    return op;
}

static void
bounce_release(struct chi_ofi *ofi, unsigned char *bounce)
{
    memcpy(bounce, &ofi->bounces_free, sizeof(ofi->bounces_free));
    ofi->bounces_free = bounce;
}

void
chi_ofi_op_release(struct chi_ofi *ofi, struct chi_ofi_op *op)
{
    if (op->msg != NULL) {
        chi_msg_release(op->msg);
    }
    if (op->bounce != NULL) {
        bounce_release(ofi, op->bounce);
    }
    if (op->newer != NULL) {
        op->newer->older = op->older;
    } else {
        ofi->ops_in_use = op->older;
    }
    if (op->older != NULL) {
        op->older->newer = op->newer;
    }
    op->next = ofi->ops_free;
    ofi->ops_free = op;
}

/* ---- life */

static size_t
bounce_bytes(const struct chi_ofi *ofi)
{
    const size_t bytes =
        ofi->plan.prefix_bytes + CHI_OFI_HEADER_BYTES + ofi->plan.eager_bytes;

    return (bytes + 63) & ~(size_t)63;
}

chare_status
chi_ofi_eager_open(struct chi_ofi *ofi)
{
    const size_t each = bounce_bytes(ofi);
    const size_t total = each * CHI_OFI_BOUNCE_COUNT;

    if (!slab_add(ofi)) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (!ofi->plan.bounce) {
        return CHARE_OK;
    }
    ofi->bounces = aligned_alloc(64, total);
    if (ofi->bounces == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (size_t i = CHI_OFI_BOUNCE_COUNT; i-- > 0;) {
        bounce_release(ofi, ofi->bounces + i * each);
    }
    if (!ofi->plan.local_mr) {
        return CHARE_OK;
    }
    return chi_ofi_memory_register(ofi, ofi->bounces, total, FI_SEND,
                                   &ofi->bounces_mr);
}

void
chi_ofi_eager_close(struct chi_ofi *ofi)
{
    while (ofi->ops_in_use != NULL) {
        chi_ofi_op_release(ofi, ofi->ops_in_use);
    }
    while (ofi->slabs != NULL) {
        struct chi_ofi_op_slab *slab = ofi->slabs;

        ofi->slabs = slab->next;
        free(slab);
    }
    ofi->ops_free = NULL;
    free(ofi->bounces);
    ofi->bounces = NULL;
}

/* ---- sending */

/* Copy header and message to a buffer of ours; false: none is free. */
static bool
bounce_fill(struct chi_ofi *ofi, struct chi_ofi_op *op)
{
    const uint64_t wire_len = op->len - CHI_OFI_HEADER_BYTES;
    unsigned char *at = ofi->bounces_free;

    if (at == NULL) {
        return false;
    }
    memcpy(&ofi->bounces_free, at, sizeof(ofi->bounces_free));
    op->bounce = at;
    op->iov[0] = (struct iovec){at, ofi->plan.prefix_bytes + op->len};
    op->desc[0] = ofi->bounces_mr != NULL ? fi_mr_desc(ofi->bounces_mr) : NULL;
    at += ofi->plan.prefix_bytes;
    memcpy(at, &op->header, CHI_OFI_HEADER_BYTES);
    memcpy(at + CHI_OFI_HEADER_BYTES, chi_msg_wire(op->msg), wire_len);
    chi_msg_release(op->msg);
    op->msg = NULL;
    return true;
}

/* Give an op to libfabric, as a message or as a tagged one. */
static ssize_t
op_send(struct chi_ofi *ofi, struct chi_ofi_op *op, uint64_t flags)
{
    const size_t iov_count = ofi->plan.bounce ? 1 : 2;

    if (ofi->plan.tagged) {
        const struct fi_msg_tagged post = {
            .msg_iov = op->iov,
            .desc = op->desc,
            .iov_count = iov_count,
            .addr = op->peer->address,
            .context = &op->request.context,
        };

        return fi_tsendmsg(ofi->ep, &post, flags);
    }
    return fi_sendmsg(ofi->ep,
                      &(struct fi_msg){
                          .msg_iov = op->iov,
                          .desc = op->desc,
                          .iov_count = iov_count,
                          .addr = op->peer->address,
                          .context = &op->request.context,
                      },
                      flags);
}

/* Offer an op to the provider. Returns 0 or a negative libfabric error. */
static ssize_t
op_post(struct chi_ofi *ofi, struct chi_ofi_op *op)
{
    const bool inject = op->len <= ofi->plan.inject_bytes;
    ssize_t rc;

    if (ofi->plan.bounce && op->bounce == NULL && !bounce_fill(ofi, op)) {
        return -FI_EAGAIN;
    }
    rc = op_send(ofi, op, FI_COMPLETION | (inject ? FI_INJECT : 0));
    if (rc == 0 && inject && op->msg != NULL) {
        chi_msg_release(op->msg);
        op->msg = NULL;
    }
    return rc;
}

/* The provider refuses for good: nobody can be reached by this peer's name. */
static void
post_failed(struct chi_ofi *ofi, struct chi_ofi_peer *peer, ssize_t rc)
{
    if (!chi_ofi_means_lost((int)-rc)) {
        chi_log_error(chi_ofi_log(ofi), "ofi: cannot send to rank %u: %s",
                      peer->rank, ofi->library.strerror((int)-rc));
    }
    chi_ofi_peer_lose(ofi, peer, CHARE_ERR_PEER_LOST);
}

static void
send_over(struct chi_ofi *ofi, struct chi_ofi_op *op)
{
    chi_assert(op->peer->ops > 0 && ofi->sends > 0);
    op->peer->ops--;
    ofi->sends--;
    chi_ofi_op_release(ofi, op);
}

static void
op_wait(struct chi_ofi *ofi, struct chi_ofi_op *op)
{
    struct chi_ofi_peer *peer = op->peer;

    if (peer->waiting_head == NULL) {
        peer->waiting_head = op;
        peer->retries = 0;
        peer->next_stalled = ofi->stalled;
        ofi->stalled = peer;
    } else {
        peer->waiting_tail->next = op;
    }
    peer->waiting_tail = op;
}

chare_status
chi_ofi_eager_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    const uint64_t wire_len = chi_msg_wire_len(msg);
    struct chi_ofi_peer *peer;
    struct chi_ofi_op *op;
    ssize_t rc;

    if (wire_len > ofi->plan.eager_bytes) {
        return CHARE_ERR_TOO_LARGE;
    }
    peer = chi_ofi_peer_get(ofi, rank);
    if (peer == NULL || peer->lost) {
        return CHARE_ERR_PEER_LOST;
    }
    if (chi_unlikely(peer->address == FI_ADDR_NOTAVAIL) &&
        chi_ofi_peer_insert(ofi, peer) != CHARE_OK) {
        return CHARE_ERR_PEER_LOST;
    }
    if (peer->ops >= CHI_OFI_PEER_OPS_MAX ||
        (op = chi_ofi_op_alloc(ofi)) == NULL) {
        return CHARE_ERR_AGAIN;
    }
    op->request.kind = CHI_OFI_SEND;
    op->peer = peer;
    op->len = CHI_OFI_HEADER_BYTES + wire_len;
    op->header = (struct chi_ofi_header){ofi->job_key, net->options.rank,
                                         (uint32_t)peer->sequence_out};
    op->iov[0] = (struct iovec){&op->header, CHI_OFI_HEADER_BYTES};
    op->iov[1] = (struct iovec){chi_msg_wire(msg), wire_len};
    op->desc[0] = NULL;
    op->desc[1] = NULL;
    op->msg = chi_msg_ref(msg);
    peer->ops++;
    ofi->sends++;
    rc = peer->waiting_head != NULL ? -FI_EAGAIN : op_post(ofi, op);
    if (rc == -FI_EAGAIN) {
        op_wait(ofi, op);
    } else if (rc != 0) {
        send_over(ofi, op);
        post_failed(ofi, peer, rc);
        return CHARE_ERR_PEER_LOST;
    }
    peer->sequence_out++;
    chi_msg_release(msg); /* the op has its own reference */
    return CHARE_OK;
}

/* Offer what waits for one peer; true: something still waits. */
static bool
peer_retry(struct chi_ofi *ofi, struct chi_ofi_peer *peer)
{
    while (peer->waiting_head != NULL) {
        struct chi_ofi_op *op = peer->waiting_head;
        const ssize_t rc = op_post(ofi, op);

        if (rc == -FI_EAGAIN) {
            peer->retries++;
            return true;
        }
        peer->retries = 0;
        if (rc != 0) {
            post_failed(ofi, peer, rc);
            return false;
        }
        peer->waiting_head = op->next;
        op->next = NULL;
    }
    return false;
}

void
chi_ofi_eager_retry(struct chi_ofi *ofi)
{
    struct chi_ofi_peer **link = &ofi->stalled;

    ofi->rounds++;
    while (*link != NULL) {
        struct chi_ofi_peer *peer = *link;
        /* A peer that takes nothing for long is asked less often: to ask may
         * mean to make a connection again. */
        const bool skip = peer->retries >= CHI_OFI_RETRIES_EACH_TIME &&
                          ofi->rounds % CHI_OFI_RETRIES_EACH_TIME != 0 &&
                          !peer->lost;

        if (skip || (!peer->lost && peer_retry(ofi, peer))) {
            link = &peer->next_stalled;
        } else {
            *link = peer->next_stalled;
        }
    }
}

void
chi_ofi_eager_forget(struct chi_ofi *ofi, struct chi_ofi_peer *peer)
{
    /* The peer itself leaves the list of the stalled at the next retry. */
    while (peer->waiting_head != NULL) {
        struct chi_ofi_op *op = peer->waiting_head;

        peer->waiting_head = op->next;
        send_over(ofi, op);
    }
}

void
chi_ofi_eager_sent(struct chi_ofi *ofi, struct chi_ofi_op *op, int error)
{
    struct chi_ofi_peer *peer = op->peer;

    send_over(ofi, op);
    if (error != 0) {
        chi_ofi_peer_lose(ofi, peer, CHARE_ERR_PEER_LOST);
    }
}
