/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bulk.c - messages larger than a net takes at once.
 *
 * The receiving half of one pair:
 *
 *              piece, not the last             last piece
 *     IDLE ----------------------> STREAM ------------------> IDLE
 *       | offer               fetches < max            last get() done
 *       +--------> OFFERED ------------------> FETCH ----------> IDLE
 *     any ---- chi_bulk_in_lose() ---> LOST
 *
 * In OFFERED, and from FETCH back to it, while there is no memory for the
 * offer that is first, and what came before it was not executed: that gives
 * memory back. Only when nothing does is the message given up.
 *
 * In OFFERED and FETCH, and until the held messages are used up, everything
 * that arrives from this rank is held (invariant 5 of the README).
 */
#include "config.h"

#include "net/bulk.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* A bulk message of 'len' bytes from this rank; NULL: out of memory. */
static struct chi_msg *
bulk_alloc(struct chi_bulk *bulk, enum chi_handler handler, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(bulk->pool, len);

    if (msg != NULL) {
        msg->env.handler = (uint8_t)handler;
        msg->env.source_pe = bulk->rank;
    }
    return msg;
}

/* ---- the sending half */

void
chi_bulk_out_stream(struct chi_bulk_out *out, struct chi_msg *msg)
{
    chi_assert(chi_bulk_out_ready(out));
    out->msg = msg;
    out->at = 0;
}

chare_status
chi_bulk_out_offer(struct chi_bulk *bulk, struct chi_bulk_out *out,
                   struct chi_net *net, struct chi_msg *msg)
{
    unsigned char key[CHI_NET_RMA_KEY_BYTES_MAX];
    size_t key_len = sizeof(key);
    struct chi_bulk_open_offer *offer = &out->offers[out->offer_count];
    struct chi_bulk_offer head;
    struct chi_msg *ready;
    chare_status status;

    chi_assert(chi_bulk_out_ready(out));
    chi_assert(out->offer_count < CHI_BULK_OFFERS_MAX);
    ready =
        bulk_alloc(bulk, CHI_HANDLER_BULK_OFFER, sizeof(head) + sizeof(key));
    if (ready == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = chi_net_expose(net, chi_msg_wire(msg), chi_msg_wire_len(msg), key,
                            &key_len, &offer->handle);
    if (status != CHARE_OK) {
        chi_msg_release(ready);
        return status;
    }
    head =
        (struct chi_bulk_offer){out->sequence, chi_msg_wire_len(msg), key_len};
    memcpy(ready->bytes, &head, sizeof(head));
    memcpy(ready->bytes + sizeof(head), key, key_len);
    ready->env.len = sizeof(head) + key_len;
    offer->sequence = out->sequence++;
    offer->msg = msg;
    out->offer_count++;
    out->ready = ready;
    return CHARE_OK;
}

/* Cut the next piece off out->msg. */
static chare_status
out_cut(struct chi_bulk *bulk, struct chi_bulk_out *out, uint64_t eager_bytes)
{
    const uint64_t total = chi_msg_wire_len(out->msg);
    const uint64_t overhead =
        sizeof(struct chi_envelope) + sizeof(struct chi_bulk_piece);
    const struct chi_bulk_piece head = {out->sequence, total, out->at};
    uint64_t len = eager_bytes < CHI_BULK_PIECE_BYTES_MAX
                       ? eager_bytes
                       : CHI_BULK_PIECE_BYTES_MAX;

    chi_assert(len > overhead);
    chi_assert(out->at < total);
    len -= overhead;
    if (len > total - out->at) {
        len = total - out->at;
    }
    out->ready = bulk_alloc(bulk, CHI_HANDLER_BULK, sizeof(head) + len);
    if (out->ready == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(out->ready->bytes, &head, sizeof(head));
    memcpy(out->ready->bytes + sizeof(head),
           (const unsigned char *)chi_msg_wire(out->msg) + out->at, len);
    out->at += len;
    if (out->offer_count > 0) {
        out->behind_bytes += len + overhead;
    }
    if (out->at == total) {
        chi_msg_release(out->msg);
        out->msg = NULL;
        out->sequence++;
    }
    return CHARE_OK;
}

chare_status
chi_bulk_out_push(struct chi_bulk *bulk, struct chi_bulk_out *out,
                  struct chi_net *net, uint64_t eager_bytes, uint32_t rank)
{
    chare_status status;

    chi_assert(!chi_bulk_out_ready(out));
    if (out->ready == NULL) {
        status = out_cut(bulk, out, eager_bytes);
        if (status != CHARE_OK) {
            return status;
        }
    }
    status = chi_net_send(net, rank, out->ready);
    if (status == CHARE_OK) {
        out->ready = NULL;
    }
    return status;
}

bool
chi_bulk_out_done(struct chi_bulk *bulk, struct chi_bulk_out *out,
                  struct chi_net *net, struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    const uint64_t sequence = chi_read_u64(&reader);
    const bool bad = reader.bad || chi_reader_left(&reader) != 0;
    struct chi_bulk_open_offer *offer = out->offers;
    struct chi_bulk_open_offer *const end = offer + out->offer_count;

    chi_msg_release(msg);
    while (offer < end && (bad || offer->sequence != sequence)) {
        offer++;
    }
    if (offer == end) {
        bulk->dropped++;
        return false;
    }
    chi_net_unexpose(net, offer->handle);
    chi_msg_release(offer->msg);
    *offer = end[-1];
    out->offer_count--;
    if (out->offer_count == 0) {
        out->behind_bytes = 0;
    }
    return true;
}

void
chi_bulk_out_unexpose(struct chi_bulk_out *out, struct chi_net *net)
{
    for (uint32_t i = 0; i < out->offer_count; i++) {
        chi_net_unexpose(net, out->offers[i].handle);
    }
}

void
chi_bulk_out_clear(struct chi_bulk_out *out)
{
    for (uint32_t i = 0; i < out->offer_count; i++) {
        chi_msg_release(out->offers[i].msg);
    }
    out->offer_count = 0;
    out->behind_bytes = 0;
    if (out->msg != NULL) {
        chi_msg_release(out->msg);
        out->msg = NULL;
    }
    if (out->ready != NULL) {
        chi_msg_release(out->ready);
        out->ready = NULL;
    }
}

/* ---- the receiving half */

static void
in_list(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    if (in->listed) {
        return;
    }
    in->listed = true;
    in->next = NULL;
    if (bulk->serve_head == NULL) {
        bulk->serve_head = in;
    } else {
        bulk->serve_tail->next = in;
    }
    bulk->serve_tail = in;
}

static struct chi_bulk_in *
in_unlist_first(struct chi_bulk *bulk)
{
    struct chi_bulk_in *in = bulk->serve_head;

    chi_assert(in->listed);
    bulk->serve_head = in->next;
    in->next = NULL;
    in->listed = false;
    return in;
}

/* A message that does not make sense here. */
static void
in_reject(struct chi_bulk *bulk, struct chi_bulk_in *in, struct chi_msg *msg)
{
    if (bulk->dropped++ == 0) {
        chi_log_warn(bulk->log,
                     "PE %" PRIu32 " sent a part of a large message that "
                     "fits nowhere; it is dropped and counted",
                     in->rank);
    }
    chi_msg_release(msg);
}

/* There is no memory for a message of 'total' bytes, nor will there be. */
static void
in_give_up(struct chi_bulk *bulk, struct chi_bulk_in *in, uint64_t total)
{
    bulk->dropped++;
    chi_log_error(bulk->log,
                  "no memory for a message of %" PRIu64 " bytes from "
                  "PE %" PRIu32 ": it is lost; send it in parts, or use "
                  "nodes with more memory",
                  total, in->rank);
    bulk->sink.dropped(bulk->sink.context, in->rank);
}

/*
 * Tell the sender that its last offer was fetched; not before what was held
 * behind it is used up, for then the sender lets ordinary messages go again.
 */
static void
in_acknowledge(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    const struct chi_bulk_done head = {in->done_sequence};
    struct chi_msg *done;

    if (!in->done_due) {
        return;
    }
    in->done_due = false;
    done = bulk_alloc(bulk, CHI_HANDLER_BULK_DONE, sizeof(head));
    if (done == NULL) {
        bulk->sink.failed(bulk->sink.context, in->rank, CHARE_ERR_NO_MEMORY);
        return;
    }
    memcpy(done->bytes, &head, sizeof(head));
    bulk->sink.done(bulk->sink.context, in->rank, done);
}

/* A message of 'total' bytes is whole, or could not be (NULL). */
static void
in_deliver(struct chi_bulk *bulk, struct chi_bulk_in *in, struct chi_msg *msg,
           uint64_t total)
{
    if (msg == NULL) {
        return; /* counted when there was no memory */
    }
    if (!chi_msg_wire_ok(chi_msg_wire(msg), total) ||
        msg->env.handler >= CHI_HANDLER_BULK) {
        in_reject(bulk, in, msg);
        return;
    }
    bulk->sink.arrived(bulk->sink.context, msg);
}

/* The stream is over: on to the next. */
static void
stream_close(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    struct chi_msg *msg = in->msg;

    in->msg = NULL;
    in->state = CHI_BULK_IN_IDLE;
    in->sequence++;
    if (in->held.head != NULL) {
        in_list(bulk, in);
    } else {
        in_acknowledge(bulk, in);
    }
    in_deliver(bulk, in, msg, in->total);
}

static bool
total_ok(uint64_t total)
{
    return total >= sizeof(struct chi_envelope) && total <= CHI_BULK_BYTES_MAX;
}

/* Whether this piece is the one that comes next. */
static bool
piece_ok(const struct chi_bulk_in *in, const struct chi_bulk_piece *head,
         uint64_t len)
{
    const uint64_t at = in->state == CHI_BULK_IN_STREAM ? in->have : 0;

    return head->sequence == in->sequence && total_ok(head->total) &&
           head->offset == at && len > 0 && len <= head->total - at &&
           (at == 0 || head->total == in->total);
}

static void
in_piece(struct chi_bulk *bulk, struct chi_bulk_in *in, struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    struct chi_bulk_piece head;
    uint64_t len;

    chi_assert(in->state <= CHI_BULK_IN_STREAM);
    chi_read(&reader, &head, sizeof(head));
    len = chi_reader_left(&reader);
    if (reader.bad || !piece_ok(in, &head, len)) {
        in_reject(bulk, in, msg);
        return;
    }
    if (in->state == CHI_BULK_IN_IDLE) {
        in->state = CHI_BULK_IN_STREAM;
        in->total = head.total;
        in->have = 0;
        in->msg = chi_msg_alloc_wire(bulk->pool, head.total);
        if (in->msg == NULL) { /* its pieces would fill as much */
            in_give_up(bulk, in, head.total);
        }
    }
    if (in->msg != NULL) {
        memcpy((unsigned char *)chi_msg_wire(in->msg) + in->have, reader.at,
               len);
    }
    chi_msg_release(msg);
    in->have += len;
    if (in->have == in->total) {
        stream_close(bulk, in);
    }
}

/* The fetch that is 'at' places behind the first. */
static struct chi_bulk_fetch *
fetch_at(struct chi_bulk_in *in, uint32_t at)
{
    return &in->fetches[(in->fetch_first + at) % CHI_BULK_AHEAD_MAX];
}

/* Take an offer over, behind those that there are; false: it was rejected. */
static bool
in_offer(struct chi_bulk *bulk, struct chi_bulk_in *in, struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    struct chi_bulk_fetch *fetch = fetch_at(in, in->fetch_count);
    struct chi_bulk_offer head;

    chi_assert(in->fetch_count < CHI_BULK_AHEAD_MAX);
    chi_read(&reader, &head, sizeof(head));
    if (reader.bad || in->state == CHI_BULK_IN_STREAM ||
        head.sequence != in->sequence + in->fetch_count ||
        !total_ok(head.total) || head.key_len > sizeof(fetch->key) ||
        head.key_len != chi_reader_left(&reader)) {
        in_reject(bulk, in, msg);
        return false;
    }
    *fetch = (struct chi_bulk_fetch){
        .total = head.total,
        .key_len = (uint32_t)head.key_len,
    };
    chi_read(&reader, fetch->key, head.key_len);
    chi_msg_release(msg);
    in->fetch_count++;
    return true;
}

static void
in_take(struct chi_bulk *bulk, struct chi_bulk_in *in, struct chi_msg *msg)
{
    if (msg->env.handler == CHI_HANDLER_BULK) {
        in_piece(bulk, in, msg);
        return;
    }
    chi_assert(msg->env.handler == CHI_HANDLER_BULK_OFFER);
    if (in_offer(bulk, in, msg)) {
        in->state = CHI_BULK_IN_OFFERED;
        in_list(bulk, in);
        in_acknowledge(bulk, in); /* the one before; may lose the rank */
    }
}

/* ---- fetching */

/* Ask for more of the message, as much as may be under way. */
static void
fetch_ask(struct chi_bulk *bulk, struct chi_bulk_in *in,
          struct chi_bulk_fetch *fetch)
{
    const uint64_t token = (uint64_t)(fetch - in->fetches) << 32 | in->rank;
    unsigned char *into = fetch->msg != NULL ? chi_msg_wire(fetch->msg) : NULL;

    while (into != NULL && fetch->have < fetch->total &&
           fetch->gets < CHI_BULK_GETS_MAX) {
        uint64_t len = fetch->total - fetch->have;
        chare_status status;

        len = len < CHI_BULK_CHUNK_BYTES ? len : CHI_BULK_CHUNK_BYTES;
        status = chi_net_get(in->net, in->rank, fetch->key, fetch->key_len,
                             fetch->have, into + fetch->have, len, token);
        if (status == CHARE_ERR_AGAIN) {
            in_list(bulk, in);
            return;
        }
        if (status != CHARE_OK) {
            bulk->sink.failed(bulk->sink.context, in->rank, status);
            return;
        }
        fetch->have += len;
        fetch->gets++;
    }
}

/* Nothing of it is missing, and nothing comes any more. */
static bool
fetch_is_over(const struct chi_bulk_fetch *fetch)
{
    return fetch->msg == NULL ||
           (fetch->have == fetch->total && fetch->gets == 0);
}

/* False: there is no memory for it now. */
static bool
fetch_begin(struct chi_bulk *bulk, struct chi_bulk_in *in,
            struct chi_bulk_fetch *fetch)
{
    fetch->msg = chi_msg_alloc_wire(bulk->pool, fetch->total);
    if (fetch->msg == NULL) {
        return false;
    }
    fetch->begun = true;
    bulk->begun++;
    bulk->fetches++;
    fetch_ask(bulk, in, fetch);
    return true;
}

/* The first fetch is over: on to the next. */
static void
fetch_close(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    struct chi_bulk_fetch *fetch = fetch_at(in, 0);
    struct chi_msg *msg = fetch->msg;

    fetch->msg = NULL;
    bulk->fetches -= msg != NULL;
    in->fetch_first = (in->fetch_first + 1) % CHI_BULK_AHEAD_MAX;
    in->fetch_count--;
    in->done_due = true;
    in->done_sequence = in->sequence++;
    if (in->fetch_count == 0) {
        in->state = CHI_BULK_IN_IDLE;
    } else if (!fetch_at(in, 0)->begun) {
        in->state = CHI_BULK_IN_OFFERED;
        in_list(bulk, in);
    }
    /* While an offer is open, the sender lets nothing overtake. */
    if (in->fetch_count == 0 && in->held.head != NULL) {
        in_list(bulk, in);
    } else {
        in_acknowledge(bulk, in);
    }
    in_deliver(bulk, in, msg, fetch->total);
}

/* Begin to fetch what was offered next, as long as nothing else is before. */
static void
fetch_ahead(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    while (in->state == CHI_BULK_IN_FETCH && in->held.head != NULL &&
           in->held.head->env.handler == CHI_HANDLER_BULK_OFFER &&
           in->fetch_count < CHI_BULK_AHEAD_MAX &&
           bulk->fetches < CHI_BULK_FETCHES_AHEAD) {
        const struct chi_bulk_fetch *last = fetch_at(in, in->fetch_count - 1);

        if (!last->begun) {
            return; /* nor is there memory for what comes behind it */
        }
        if (last->msg != NULL && last->have < last->total) {
            return; /* it keeps the wire busy by itself */
        }
        if (in_offer(bulk, in, chi_msg_queue_pop(&in->held))) {
            /* Without memory it waits for its turn. */
            (void)fetch_begin(bulk, in, fetch_at(in, in->fetch_count - 1));
        }
    }
}

/* Deliver what is whole, in order, and fetch on. */
static void
fetch_on(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    while (in->state == CHI_BULK_IN_FETCH && fetch_is_over(fetch_at(in, 0))) {
        fetch_close(bulk, in);
    }
    fetch_ahead(bulk, in);
}

/* Whether memory comes back: of the messages that were being fetched when an
 * offer first found none, and of those to be executed once they were whole.
 * What comes later is not waited for, or it might be for ever. */
static bool
fetch_may_wait(struct chi_bulk *bulk, struct chi_bulk_fetch *fetch)
{
    if (!fetch->waits) {
        fetch->waits = true;
        fetch->begun_until = bulk->begun;
    }
    return bulk->begun - bulk->fetches < fetch->begun_until ||
           bulk->sink.has_backlog(bulk->sink.context, &fetch->backlog_until);
}

/* The turn of the first offer has come. */
static void
fetch_start(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    struct chi_bulk_fetch *fetch = fetch_at(in, 0);

    in->state = CHI_BULK_IN_FETCH;
    if (!fetch_begin(bulk, in, fetch)) {
        if (fetch_may_wait(bulk, fetch)) {
            in->state = CHI_BULK_IN_OFFERED;
            in_list(bulk, in);
            return;
        }
        fetch->begun = true; /* with nothing to be fetched */
        in_give_up(bulk, in, fetch->total);
    }
    fetch_on(bulk, in);
}

void
chi_bulk_in_got(struct chi_bulk *bulk, struct chi_bulk_in *in, uint64_t token,
                chare_status status)
{
    struct chi_bulk_fetch *fetch = &in->fetches[token >> 32];

    chi_assert(token >> 32 < CHI_BULK_AHEAD_MAX);
    chi_assert(fetch->gets > 0);
    fetch->gets--;
    if (in->state == CHI_BULK_IN_LOST) {
        if (fetch->gets == 0) {
            chi_msg_release(fetch->msg);
            fetch->msg = NULL;
            bulk->fetches--;
        }
        return;
    }
    chi_assert(in->state == CHI_BULK_IN_FETCH);
    if (status != CHARE_OK) {
        bulk->sink.failed(bulk->sink.context, in->rank,
                          status == CHARE_ERR_PEER_LOST ? status
                                                        : CHARE_ERR_FABRIC);
        return;
    }
    fetch_ask(bulk, in, fetch);
    fetch_on(bulk, in);
}

void
chi_bulk_in_arrived(struct chi_bulk *bulk, struct chi_bulk_in *in,
                    struct chi_msg *msg)
{
    if (in->state == CHI_BULK_IN_LOST) {
        chi_msg_release(msg);
        return;
    }
    if (in->state >= CHI_BULK_IN_OFFERED || in->held.head != NULL) {
        chi_msg_queue_push(&in->held, msg);
        fetch_ahead(bulk, in);
        return;
    }
    in_take(bulk, in, msg);
    if (in->state == CHI_BULK_IN_OFFERED &&
        bulk->fetches < CHI_BULK_FETCHES_MAX) {
        fetch_start(bulk, in);
    }
}

/* Ask for what a net had no room for. */
static void
serve_fetches(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    for (uint32_t i = 0; i < in->fetch_count && in->state == CHI_BULK_IN_FETCH;
         i++) {
        fetch_ask(bulk, in, fetch_at(in, i));
    }
    fetch_ahead(bulk, in);
}

/* One event for this rank; true: there may be more to do at once. */
static bool
serve_one(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    struct chi_msg *msg;

    switch (in->state) {
    case CHI_BULK_IN_OFFERED:
        if (bulk->fetches >= CHI_BULK_FETCHES_MAX) {
            in_list(bulk, in);
            return false;
        }
        fetch_start(bulk, in);
        return false;
    case CHI_BULK_IN_FETCH:
        serve_fetches(bulk, in);
        return false;
    case CHI_BULK_IN_LOST:
        return false;
    case CHI_BULK_IN_IDLE:
    case CHI_BULK_IN_STREAM:
        break;
    }
    msg = chi_msg_queue_pop(&in->held);
    if (msg == NULL) {
        return false;
    }
    in_take(bulk, in, msg);
    if (in->held.head == NULL) {
        in_acknowledge(bulk, in);
    }
    return true;
}

uint32_t
chi_bulk_serve(struct chi_bulk *bulk, uint32_t events_max)
{
    struct chi_bulk_in *const last = bulk->serve_tail;
    struct chi_bulk_in *in = NULL;
    uint32_t events = 0;

    /* Once round: what is listed anew meanwhile comes next time. */
    while (bulk->serve_head != NULL && in != last && events < events_max) {
        in = in_unlist_first(bulk);
        while (events < events_max && serve_one(bulk, in)) {
            events++;
        }
        if (in->held.head != NULL && in->state <= CHI_BULK_IN_STREAM) {
            in_list(bulk, in);
        }
    }
    return events;
}

void
chi_bulk_in_lose(struct chi_bulk *bulk, struct chi_bulk_in *in)
{
    chi_msg_queue_clear(&in->held);
    if (in->msg != NULL) {
        chi_msg_release(in->msg);
        in->msg = NULL;
    }
    for (uint32_t i = 0; i < CHI_BULK_AHEAD_MAX; i++) {
        struct chi_bulk_fetch *fetch = &in->fetches[i];

        if (fetch->msg != NULL && fetch->gets == 0) {
            chi_msg_release(fetch->msg);
            fetch->msg = NULL;
            bulk->fetches--;
        }
    }
    in->state = CHI_BULK_IN_LOST;
}

void
chi_bulk_in_clear(struct chi_bulk_in *in)
{
    chi_msg_queue_clear(&in->held);
    if (in->msg != NULL) {
        chi_msg_release(in->msg);
        in->msg = NULL;
    }
    for (uint32_t i = 0; i < CHI_BULK_AHEAD_MAX; i++) {
        if (in->fetches[i].msg != NULL) {
            chi_msg_release(in->fetches[i].msg);
            in->fetches[i].msg = NULL;
        }
    }
    in->state = CHI_BULK_IN_LOST;
}
