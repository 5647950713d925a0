/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * receive.c - posted buffers, and what arrives in them.
 *
 * Completions may come out of order although the provider keeps the order of
 * sending (a long message is matched first and finished later), so each
 * message carries its number and what came too early is held.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ofi/state.h"

enum {
    MULTI_COUNT = 4,              /* buffers for many messages */
    MULTI_BYTES_MIN = 256 * 1024, /* of each */
    MULTI_MESSAGES_MIN = 4,       /* of the largest that each must hold */
    SINGLE_BYTES_TOTAL = 2 << 20, /* of buffers for one message */
    SINGLE_COUNT_MIN = 16,
    SINGLE_COUNT_MAX = 256,
    FOREIGN_COUNT = 4,  /* buffers for what has no tag where ours have one */
    FOREIGN_BYTES = 64, /* of each: what comes is counted, not read */
};

static size_t
message_bytes(const struct chi_ofi *ofi)
{
    return ofi->plan.prefix_bytes + CHI_OFI_HEADER_BYTES +
           ofi->plan.eager_bytes;
}

static uint32_t
buffer_count(const struct chi_ofi *ofi, size_t each)
{
    size_t count = MULTI_COUNT;

    if (!ofi->plan.multi_recv) {
        count = SINGLE_BYTES_TOTAL / each;
        count = count > SINGLE_COUNT_MIN ? count : SINGLE_COUNT_MIN;
        count = count < SINGLE_COUNT_MAX ? count : SINGLE_COUNT_MAX;
    }
    if (ofi->info->rx_attr->size > 0 && count > ofi->info->rx_attr->size) {
        count = ofi->info->rx_attr->size;
    }
    return (uint32_t)count;
}

/* Where our messages are tagged, libfabric would keep those of strangers that
 * are not, until somebody asks for them. */
static uint32_t
foreign_count(const struct chi_ofi *ofi)
{
    return ofi->plan.tagged ? FOREIGN_COUNT : 0;
}

static size_t
buffer_bytes(const struct chi_ofi *ofi)
{
    size_t bytes = message_bytes(ofi);

    if (ofi->plan.multi_recv) {
        bytes *= MULTI_MESSAGES_MIN;
        bytes = bytes > MULTI_BYTES_MIN ? bytes : MULTI_BYTES_MIN;
    }
    return (bytes + 63) & ~(size_t)63;
}

/* Say how much room must be left in a buffer that is to be filled on. */
static void
multi_set(struct chi_ofi *ofi)
{
    size_t least = message_bytes(ofi);

    if (ofi->plan.multi_recv &&
        fi_setopt(&ofi->ep->fid, FI_OPT_ENDPOINT, FI_OPT_MIN_MULTI_RECV,
                  &least, sizeof(least)) != 0) {
        ofi->plan.multi_recv = false;
    }
}

static void
receive_init(struct chi_ofi *ofi, struct chi_ofi_receive *receive,
             unsigned char *bytes, size_t len, void *desc)
{
    receive->request.kind = CHI_OFI_RECEIVE;
    receive->iov = (struct iovec){bytes, len};
    receive->desc = desc;
    receive->next = ofi->unposted;
    ofi->unposted = receive;
}

chare_status
chi_ofi_receive_open(struct chi_ofi *ofi)
{
    const uint32_t foreign = foreign_count(ofi);
    size_t each;
    size_t total;
    uint32_t count;
    void *desc = NULL;

    multi_set(ofi);
    each = buffer_bytes(ofi);
    count = buffer_count(ofi, each);
    total = each * count + (size_t)foreign * FOREIGN_BYTES;

    ofi->receives = calloc(count + foreign, sizeof(*ofi->receives));
    ofi->receive_bytes = aligned_alloc(64, total);
    if (ofi->receives == NULL || ofi->receive_bytes == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (ofi->plan.local_mr) {
        chare_status status = chi_ofi_memory_register(
            ofi, ofi->receive_bytes, total, FI_RECV, &ofi->receive_mr);

        if (status != CHARE_OK) {
            return status;
        }
        desc = fi_mr_desc(ofi->receive_mr);
    }
    ofi->receive_count = count;
    for (uint32_t i = foreign; i-- > 0;) {
        ofi->receives[count + i].foreign = true;
        receive_init(ofi, &ofi->receives[count + i],
                     ofi->receive_bytes + each * count + i * FOREIGN_BYTES,
                     FOREIGN_BYTES, desc);
    }
    for (uint32_t i = count; i-- > 0;) {
        receive_init(ofi, &ofi->receives[i], ofi->receive_bytes + i * each,
                     each, desc);
    }
    chi_ofi_receive_post(ofi);
    return CHARE_OK;
}

static void
held_clear(struct chi_ofi_peer *peer)
{
    while (peer->held != NULL) {
        struct chi_msg *msg = peer->held;

        peer->held = msg->next;
        chi_msg_release(msg);
    }
    peer->held_count = 0;
}

void
chi_ofi_receive_close(struct chi_ofi *ofi)
{
    size_t cursor = 0;
    uint64_t rank;
    void *peer;

    chi_msg_queue_clear(&ofi->arrived);
    while (chi_map_next(&ofi->peers, &cursor, &rank, &peer)) {
        held_clear(peer);
    }
    free(ofi->receives);
    free(ofi->receive_bytes);
    ofi->receives = NULL;
    ofi->receive_bytes = NULL;
}

/* Give a buffer to libfabric: for any message, or any tagged one; a foreign
 * one for any that has no tag. */
static ssize_t
receive_give(struct chi_ofi *ofi, struct chi_ofi_receive *receive)
{
    const uint64_t flags =
        FI_COMPLETION | (ofi->plan.multi_recv ? FI_MULTI_RECV : 0);

    if (ofi->plan.tagged && !receive->foreign) {
        const struct fi_msg_tagged post = {
            .msg_iov = &receive->iov,
            .desc = &receive->desc,
            .iov_count = 1,
            .addr = FI_ADDR_UNSPEC,
            .ignore = UINT64_MAX,
            .context = &receive->request.context,
        };

        return fi_trecvmsg(ofi->ep, &post, flags);
    }
    return fi_recvmsg(ofi->ep,
                      &(struct fi_msg){
                          .msg_iov = &receive->iov,
                          .desc = &receive->desc,
                          .iov_count = 1,
                          .addr = FI_ADDR_UNSPEC,
                          .context = &receive->request.context,
                      },
                      flags);
}

void
chi_ofi_receive_post(struct chi_ofi *ofi)
{
    while (ofi->unposted != NULL) {
        struct chi_ofi_receive *receive = ofi->unposted;
        const ssize_t rc = receive_give(ofi, receive);

        if (rc != 0) {
            /* To be tried again; shm says -FI_ENOMEM for "no room now". */
            if (rc != -FI_EAGAIN && rc != -FI_ENOMEM && !ofi->post_failed) {
                ofi->post_failed = true; /* told once */
                chi_log_error(chi_ofi_log(ofi),
                              "ofi: cannot post a receive buffer: %s",
                              ofi->library.strerror((int)-rc));
            }
            return;
        }
        ofi->unposted = receive->next;
    }
}

static void
receive_again(struct chi_ofi *ofi, struct chi_ofi_receive *receive)
{
    receive->next = ofi->unposted;
    ofi->unposted = receive;
    chi_ofi_receive_post(ofi);
}

/* ---- what arrives */

/* A message whose turn it is: to be reported, if it makes sense. */
static void
deliver(struct chi_ofi *ofi, struct chi_ofi_peer *peer, struct chi_msg *msg)
{
    peer->sequence_in++;
    if (chi_unlikely(!chi_msg_wire_ok(chi_msg_wire(msg), msg->spare))) {
        ofi->net.foreign_dropped++;
        chi_msg_release(msg);
        return;
    }
    chi_msg_queue_push(&ofi->arrived, msg);
}

/* Keep a message that came before its turn; a second of that number is none
 * of ours. */
static void
hold(struct chi_ofi *ofi, struct chi_ofi_peer *peer, struct chi_msg *msg)
{
    struct chi_msg **link = &peer->held;

    while (*link != NULL && (*link)->sequence < msg->sequence) {
        link = &(*link)->next;
    }
    if (*link != NULL && (*link)->sequence == msg->sequence) {
        ofi->net.foreign_dropped++;
        chi_msg_release(msg);
        return;
    }
    msg->next = *link;
    *link = msg;
    if (++peer->held_count > CHI_OFI_HELD_MAX) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: message %llu from rank %u never came",
                      (unsigned long long)peer->sequence_in, peer->rank);
        held_clear(peer);
        chi_ofi_peer_lose(ofi, peer, CHARE_ERR_FABRIC);
    }
}

static void
take(struct chi_ofi *ofi, struct chi_ofi_peer *peer, uint64_t sequence,
     const unsigned char *wire, uint64_t wire_len)
{
    const uint64_t least = sizeof(struct chi_envelope);
    struct chi_msg *msg = chi_msg_alloc_wire(
        ofi->net.options.pool, wire_len > least ? wire_len : least);

    if (msg == NULL) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: no memory for %llu bytes from rank %u",
                      (unsigned long long)wire_len, peer->rank);
        chi_ofi_peer_lose(ofi, peer, CHARE_ERR_NO_MEMORY);
        return;
    }
    memcpy(chi_msg_wire(msg), wire, wire_len);
    msg->sequence = sequence;
    msg->spare = wire_len; /* to be checked when its turn comes */
    if (chi_unlikely(sequence != peer->sequence_in)) {
        hold(ofi, peer, msg);
        return;
    }
    deliver(ofi, peer, msg);
    while (peer->held != NULL && peer->held->sequence == peer->sequence_in) {
        msg = peer->held;
        peer->held = msg->next;
        peer->held_count--;
        deliver(ofi, peer, msg);
    }
}

/* Whether the bytes come from this job at all. */
static void
judge(struct chi_ofi *ofi, const unsigned char *bytes, size_t len)
{
    struct chi_ofi_header header;
    struct chi_ofi_peer *peer = NULL;
    int32_t ahead;

    if (len >= CHI_OFI_HEADER_BYTES) {
        memcpy(&header, bytes, sizeof(header));
        if (header.job_key == ofi->job_key) {
            peer = chi_ofi_peer_get(ofi, header.rank);
        }
    }
    if (peer == NULL) {
        ofi->net.foreign_dropped++;
        return;
    }
    if (peer->lost) {
        return;
    }
    /* The number on the wire is the low half of the number. */
    ahead = (int32_t)(header.sequence - (uint32_t)peer->sequence_in);
    if (ahead < 0) {
        ofi->net.foreign_dropped++;
        return;
    }
    take(ofi, peer, peer->sequence_in + (uint32_t)ahead,
         bytes + CHI_OFI_HEADER_BYTES, len - CHI_OFI_HEADER_BYTES);
}

void
chi_ofi_receive_take(struct chi_ofi *ofi, struct chi_ofi_receive *receive,
                     const struct fi_cq_data_entry *entry)
{
    const bool multi = ofi->plan.multi_recv;

    if (chi_unlikely(receive->foreign)) {
        ofi->net.foreign_dropped++;
    } else if ((entry->flags & FI_RECV) != 0) {
        const unsigned char *at = multi ? entry->buf : receive->iov.iov_base;
        const size_t prefix = ofi->plan.prefix_bytes;

        judge(ofi, at + prefix, entry->len < prefix ? 0 : entry->len - prefix);
    }
    if (!multi || (entry->flags & FI_MULTI_RECV) != 0) {
        receive_again(ofi, receive);
    }
}

void
chi_ofi_receive_failed(struct chi_ofi *ofi, struct chi_ofi_receive *receive,
                       const struct fi_cq_err_entry *error)
{
    char text[128];

    /* FI_ECANCELED: who sent it has gone; while the endpoint is being closed
     * nobody reads the queue. */
    if (error->err == FI_ETRUNC) {
        ofi->net.foreign_dropped++; /* larger than any of ours */
    } else if (!chi_ofi_means_lost(error->err)) {
        chi_log_error(chi_ofi_log(ofi), "ofi: a receive failed: %s (%s)",
                      ofi->library.strerror(error->err),
                      fi_cq_strerror(ofi->cq, error->prov_errno,
                                     error->err_data, text, sizeof(text)));
    }
    if (!ofi->plan.multi_recv || (error->flags & FI_MULTI_RECV) != 0) {
        receive_again(ofi, receive);
    }
}
