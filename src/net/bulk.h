/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_BULK_H
#define CHI_NET_BULK_H

/*
 * bulk.h - messages larger than a net takes at once.
 *
 * Two ways, both in the order sent. A *stream* cuts the wire image of a
 * message into pieces (CHI_HANDLER_BULK); the receiver puts them together. An
 * *offer* (CHI_HANDLER_BULK_OFFER) names the sender's memory; the receiver
 * reads it by RMA and says so (CHI_HANDLER_BULK_DONE), and meanwhile holds
 * every later stream and offer of that sender; but offers that come next are
 * read at the same time, so that the wire is not idle between two messages.
 *
 * An ordinary message must not overtake an offer. So while an offer is open,
 * the sender lets ordinary messages to that rank go as streams of one piece.
 * That is why the receiver never looks at an ordinary message, and needs to
 * know the sender (env.source_pe) only of the three bulk kinds, which are
 * always written by the rank that sends them.
 *
 * Each rank counts what goes this way to each other rank: the *sequence*.
 * The pieces, offers and streams of one pair arrive in exactly that order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "msg/msg.h"
#include "net/net.h"

enum {
    CHI_BULK_OFFERS_MAX = 8,   /* open to one rank at a time */
    CHI_BULK_GETS_MAX = 4,     /* under way for one message */
    CHI_BULK_FETCHES_MAX = 16, /* messages being fetched at a time */
    CHI_BULK_AHEAD_MAX = 4,    /* of these from one rank */
    /* Only while no more than so many are fetched does one rank's second
     * message come before the first is whole: the rest is for other ranks. */
    CHI_BULK_FETCHES_AHEAD = 8,
    /* Fetched by one get(): a mebibyte, and the envelope and the head of an
     * array in front of it, which would else be a get() of their own. */
    CHI_BULK_CHUNK_BYTES = (1 << 20) + 4096,
    CHI_BULK_PIECE_BYTES_MAX = 63 << 10, /* on the wire; the pools hold it */
    CHI_BULK_BEHIND_BYTES_MAX = 1 << 20, /* sent behind open offers */
};

#define CHI_BULK_BYTES_MAX (1ull << 40) /* of one message on the wire */

/* What follows the envelope; source_pe is the rank that sends it. */
struct chi_bulk_piece {
    uint64_t sequence;
    uint64_t total;  /* bytes of the whole wire image */
    uint64_t offset; /* of this piece, whose bytes follow */
};

struct chi_bulk_offer {
    uint64_t sequence;
    uint64_t total;
    uint64_t key_len; /* the key follows */
};

struct chi_bulk_done {
    uint64_t sequence; /* of the offer that was fetched */
};

static_assert(sizeof(struct chi_bulk_piece) == 24, "wire format");
static_assert(sizeof(struct chi_bulk_offer) == 24, "wire format");
static_assert(sizeof(struct chi_bulk_done) == 8, "wire format");

/* Where the receiving half reports; only from within progress(). */
struct chi_bulk_sink {
    void *context;

    /* A whole message; the sink owns it. */
    void (*arrived)(void *context, struct chi_msg *msg);

    /* Send this CHI_HANDLER_BULK_DONE, which the sink owns, to 'rank'. */
    void (*done)(void *context, uint32_t rank, struct chi_msg *msg);

    /* The rank's memory cannot be read: it counts as lost. */
    void (*failed)(void *context, uint32_t rank, chare_status why);

    /* There was no memory for a message of this rank; it was logged. */
    void (*dropped)(void *context, uint32_t rank);

    /* Whether what arrived before is still to be used up, and may give back
     * memory; as in struct chi_route_sink. */
    bool (*has_backlog)(void *context, uint64_t *until);
};

struct chi_bulk_in;

/* What all ranks of one route share. */
struct chi_bulk {
    struct chi_bulk_sink sink;
    const struct chi_log *log;
    struct chi_msg_pool *pool;
    uint32_t rank;    /* our own */
    uint32_t fetches; /* that have memory here, CHI_BULK_FETCHES_MAX */
    uint64_t begun;   /* fetches that ever had memory */
    struct chi_bulk_in *serve_head; /* have something to do in serve() */
    struct chi_bulk_in *serve_tail;
    uint64_t dropped; /* messages that made no sense, or found no memory */
};

/* An offer that the receiver has not acknowledged. */
struct chi_bulk_open_offer {
    uint64_t sequence;
    uint64_t handle; /* for unexpose() */
    struct chi_msg *msg;
};

/* The sending half, for one rank. */
struct chi_bulk_out {
    uint64_t sequence;     /* of the next stream or offer */
    struct chi_msg *msg;   /* being cut into pieces, or NULL */
    uint64_t at;           /* how much of it is cut off */
    struct chi_msg *ready; /* a piece or offer that the net refused, or NULL */
    uint64_t behind_bytes; /* streamed since offers are open */
    uint32_t offer_count;
    struct chi_bulk_open_offer offers[CHI_BULK_OFFERS_MAX];
};

enum chi_bulk_in_state {
    CHI_BULK_IN_IDLE,
    CHI_BULK_IN_STREAM,  /* pieces are missing; msg NULL: to be dropped */
    CHI_BULK_IN_OFFERED, /* a fetch waits for its turn */
    CHI_BULK_IN_FETCH,   /* get()s are under way */
    CHI_BULK_IN_LOST,    /* the rank is lost; get()s may be under way */
};

/* A message that is read from its sender's memory. */
struct chi_bulk_fetch {
    struct chi_msg *msg; /* NULL: not begun, or begun and to be dropped */
    bool begun;          /* not: there was no memory for it yet */
    bool waits;          /* for that: until so many other fetches are over, */
    uint64_t begun_until;
    uint64_t backlog_until; /* and what has_backlog() says */
    uint64_t total;
    uint64_t have; /* bytes asked for */
    uint32_t gets; /* under way */
    uint32_t key_len;
    unsigned char key[CHI_NET_RMA_KEY_BYTES_MAX];
};

/* The receiving half, for one rank. */
struct chi_bulk_in {
    struct chi_bulk_in *next; /* in the list of serve() */
    bool listed;
    enum chi_bulk_in_state state;
    struct chi_net *net;
    uint32_t rank;
    uint64_t sequence;      /* of the stream or offer that is, or comes next */
    struct chi_msg *msg;    /* a stream being put together */
    uint64_t total;         /* of the stream */
    uint64_t have;          /* bytes of it in place */
    uint64_t done_sequence; /* of the offer fetched last, if */
    bool done_due;          /* its sender has not been told yet */
    /* Offers, a ring: fetches[first] has number 'sequence', the others those
     * that follow. */
    uint32_t fetch_first;
    uint32_t fetch_count;
    struct chi_bulk_fetch fetches[CHI_BULK_AHEAD_MAX];
    struct chi_msg_queue held; /* behind the fetches */
};

/* ---- the sending half */

/* Nothing is on its way out, so that another message may start. */
static inline bool
chi_bulk_out_ready(const struct chi_bulk_out *out)
{
    return out->msg == NULL && out->ready == NULL;
}

/* Let 'msg', which 'out' then owns, go in pieces. 'out' must be ready. */
void chi_bulk_out_stream(struct chi_bulk_out *out, struct chi_msg *msg);

/*
 * Offer 'msg', which 'out' then owns; 'out' must be ready and have room for an
 * offer. Errors: CHARE_ERR_NO_MEMORY, and those of expose(), transfer nothing.
 */
CHARE_MUST_CHECK chare_status chi_bulk_out_offer(struct chi_bulk *bulk,
                                                 struct chi_bulk_out *out,
                                                 struct chi_net *net,
                                                 struct chi_msg *msg);

/*
 * Send one piece or offer; 'out' must not be ready. 'eager_bytes' is the most
 * that the net takes. Errors: as send(), and CHARE_ERR_NO_MEMORY; nothing is
 * lost by any of them.
 */
CHARE_MUST_CHECK chare_status chi_bulk_out_push(struct chi_bulk *bulk,
                                                struct chi_bulk_out *out,
                                                struct chi_net *net,
                                                uint64_t eager_bytes,
                                                uint32_t rank);

/* A CHI_HANDLER_BULK_DONE came, which is released. False: made no sense. */
bool chi_bulk_out_done(struct chi_bulk *bulk, struct chi_bulk_out *out,
                       struct chi_net *net, struct chi_msg *msg);

/* Take back all offers; the messages stay. */
void chi_bulk_out_unexpose(struct chi_bulk_out *out, struct chi_net *net);

/* Release all messages. */
void chi_bulk_out_clear(struct chi_bulk_out *out);

/* ---- the receiving half */

/* A CHI_HANDLER_BULK or _BULK_OFFER came from this rank; takes it over. */
void chi_bulk_in_arrived(struct chi_bulk *bulk, struct chi_bulk_in *in,
                         struct chi_msg *msg);

/* The rank that the token of a get() names. */
static inline uint32_t
chi_bulk_token_rank(uint64_t token)
{
    return (uint32_t)token;
}

/* One get() for this rank is done, or failed. */
void chi_bulk_in_got(struct chi_bulk *bulk, struct chi_bulk_in *in,
                     uint64_t token, chare_status status);

/* Do what did not find its turn or room; returns how many events that was. */
uint32_t chi_bulk_serve(struct chi_bulk *bulk, uint32_t events_max);

/* The rank is lost: drop all but what a get() may still write to. */
void chi_bulk_in_lose(struct chi_bulk *bulk, struct chi_bulk_in *in);

/* Release all; its net must be closed. */
void chi_bulk_in_clear(struct chi_bulk_in *in);

#endif /* CHI_NET_BULK_H */
