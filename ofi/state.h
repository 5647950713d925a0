/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OFI_STATE_H
#define CHI_OFI_STATE_H

/*
 * state.h - what one net over libfabric consists of; private to this folder.
 *
 * What travels, in one libfabric message:
 *
 *     +---------+--------------+---------------------------+
 *     | prefix  | header       | wire form of a chi_msg    |
 *     | (modes) | key rank seq | envelope, bytes           |
 *     +---------+--------------+---------------------------+
 *
 * A *request* is what libfabric knows by its context: a posted receive
 * buffer, or an *op*: a send or one read of a get. A message that send() took
 * owns an op until it has left, so that what a peer can hold is bounded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <chare.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <rdma/fi_tagged.h>

#include "base/check.h"
#include "base/map.h"
#include "msg/msg.h"
#include "net/net.h"
#include "ofi/choose.h"
#include "ofi/library.h"
#include "ofi/ofi.h"

enum {
    CHI_OFI_OPS_MAX = 1024,    /* sends and reads under way */
    CHI_OFI_PEER_OPS_MAX = 64, /* of these to one peer */
    CHI_OFI_OPS_PER_SLAB = 64,
    CHI_OFI_BOUNCE_COUNT = 32, /* send buffers, where they are needed */
    CHI_OFI_GETS_MAX = 32,
    CHI_OFI_READS_PER_GET = 4, /* chunks under way */
    CHI_OFI_HELD_MAX = 4096,   /* messages of one peer that came too early */
    CHI_OFI_CQ_BATCH = 16,     /* completions read by one progress() */
    CHI_OFI_CQ_SIZE = 2048,
    CHI_OFI_RETRIES_EACH_TIME = 64, /* then only every so many rounds */
    CHI_OFI_CLOSE_MS = 1000,        /* close() waits so long for reads */
};

struct chi_ofi_header {
    uint64_t job_key;
    uint32_t rank;     /* of the sender */
    uint32_t sequence; /* of its messages to this receiver, from 0 */
};

static_assert(sizeof(struct chi_ofi_header) == CHI_OFI_HEADER_BYTES,
              "the header is a wire format: 16 bytes, no padding");

enum chi_ofi_kind {
    CHI_OFI_RECEIVE,
    CHI_OFI_SEND,
    CHI_OFI_READ,
};

struct chi_ofi_request {
    struct fi_context2 context; /* the provider's, while it is under way */
    enum chi_ofi_kind kind;
};

struct chi_ofi_receive {
    struct chi_ofi_request request; /* first */
    struct chi_ofi_receive *next;   /* among those not posted */
    struct iovec iov;
    void *desc;
    bool foreign; /* for what has no tag where ours have one */
};

struct chi_ofi_op {
    struct chi_ofi_request request; /* first */
    struct chi_ofi_op *next;        /* free, or waiting for its peer */
    struct chi_ofi_op *older;       /* among all that are in use */
    struct chi_ofi_op *newer;
    struct chi_ofi_peer *peer;
    struct chi_msg *msg;     /* sends: NULL once its bytes are copied */
    unsigned char *bounce;   /* sends: a buffer of ours, or NULL */
    struct chi_ofi_get *get; /* reads */
    uint64_t len;            /* sends: of header and wire */
    struct chi_ofi_header header;
    struct iovec iov[2];
    void *desc[2];
};

struct chi_ofi_peer {
    uint32_t rank;
    uint32_t ops;          /* sends that are waiting or under way */
    uint64_t sequence_out; /* of the next message to it */
    uint64_t sequence_in;  /* of the next message from it */
    fi_addr_t address;     /* FI_ADDR_NOTAVAIL: not inserted yet */
    bool lost;
    chare_status why;
    struct chi_ofi_op *waiting_head; /* not taken by the provider yet */
    struct chi_ofi_op *waiting_tail;
    struct chi_ofi_peer *next_stalled;
    uint32_t retries;     /* fruitless in a row */
    struct chi_msg *held; /* too early, by sequence */
    uint32_t held_count;
    struct chi_ofi_peer *next_lost;
};

/* Where a peer's address is in the copy of what connect() got. */
struct chi_ofi_card {
    uint32_t rank;
    uint32_t offset;
    uint32_t len;
};

struct chi_ofi_get {
    struct chi_ofi_get *next;
    struct chi_ofi_peer *peer;
    struct fid_mr *mr; /* of 'into', where that is needed */
    void *desc;
    bool mapped; /* 'key' was made from a raw key */
    bool listed; /* among the active */
    uint64_t key;
    uint64_t address;
    unsigned char *into;
    uint64_t len;
    uint64_t issued;
    uint32_t under_way; /* reads */
    chare_status status;
    uint64_t token;
};

/* Memory that peers may read. */
struct chi_ofi_exposed {
    struct chi_ofi_exposed *next;
    struct chi_ofi_exposed *previous;
    struct fid_mr *mr;
};

struct chi_ofi_op_slab {
    struct chi_ofi_op_slab *next;
    struct chi_ofi_op ops[CHI_OFI_OPS_PER_SLAB];
};

/* A guard around a descriptor that strangers can keep readable: wait.c. */
struct chi_ofi_doze {
    int cq_fd;       /* the provider's, in epoll_fd; -1: no guard */
    int epoll_fd;    /* what the PE sleeps on */
    int timer_fd;    /* in epoll_fd too */
    uint32_t alarms; /* wake-ups in a row for nothing */
    uint64_t ticks;  /* of the timer since it runs */
    uint64_t events; /* of the net at the last look */
    bool stuck;      /* the timer runs */
    bool told;
};

struct chi_ofi {
    struct chi_net net; /* first */
    const struct chi_ofi_force *force;
    struct chi_ofi_library library;
    struct chi_ofi_plan plan;
    uint64_t job_key;
    bool connected;

    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *av;
    struct fid_cq *cq;
    struct fid_ep *ep;
    int wait_fd; /* -1: the provider has none */
    struct chi_ofi_doze doze;
    uint64_t events; /* reported so far */

    /* peers.c */
    struct chi_map peers; /* rank to chi_ofi_peer, those we have met */
    struct chi_ofi_card *cards;
    uint32_t card_count;
    unsigned char *addresses;

    /* eager.c: sending */
    struct chi_ofi_op_slab *slabs;
    struct chi_ofi_op *ops_free;
    struct chi_ofi_op *ops_in_use;
    uint32_t op_count;            /* that exist */
    uint32_t sends;               /* that are waiting or under way */
    struct chi_ofi_peer *stalled; /* have messages waiting */
    uint32_t rounds;              /* of progress(), for pacing retries */
    unsigned char *bounces; /* one block of CHI_OFI_BOUNCE_COUNT buffers */
    unsigned char *bounces_free; /* linked through their first bytes */
    struct fid_mr *bounces_mr;

    /* receive.c */
    struct chi_ofi_receive *receives;
    uint32_t receive_count;
    struct chi_ofi_receive *unposted;
    bool post_failed; /* was said */
    unsigned char *receive_bytes;
    struct fid_mr *receive_mr;
    struct chi_msg_queue arrived; /* to be reported */
    struct chi_ofi_peer *lost;    /* to be reported */

    /* rma.c */
    uint64_t next_key;
    struct chi_ofi_exposed *exposed;
    struct chi_ofi_get *gets; /* the pool */
    struct chi_ofi_get *gets_free;
    struct chi_ofi_get *gets_active; /* still issuing reads */
    struct chi_ofi_get *gets_tail;
    struct chi_ofi_get *gets_done; /* to be reported */
};

static inline struct chi_ofi *
chi_ofi_of(const struct chi_net *net)
{
    return (struct chi_ofi *)(uintptr_t)net;
}

static inline const struct chi_log *
chi_ofi_log(const struct chi_ofi *ofi)
{
    return ofi->net.options.log;
}

/* ---- endpoint.c */

/* Choose and open everything up to an enabled endpoint. */
CHARE_MUST_CHECK chare_status chi_ofi_endpoint_open(struct chi_ofi *ofi);
void chi_ofi_endpoint_close(struct chi_ofi *ofi);

/* Instead of close(), where that is not safe: nothing is progressed or told
 * any more; what libfabric holds ends with the process. */
void chi_ofi_endpoint_leave(struct chi_ofi *ofi);

/* Whether this error (positive) says that the peer, not the call, is bad. */
bool chi_ofi_means_lost(int error);

/* ---- memory.c */

/*
 * Register [bytes, bytes + len) with the given access and enable it. Errors:
 * CHARE_ERR_FABRIC, logged; CHARE_ERR_AGAIN.
 */
CHARE_MUST_CHECK chare_status chi_ofi_memory_register(struct chi_ofi *ofi,
                                                      const void *bytes,
                                                      uint64_t len,
                                                      uint64_t access,
                                                      struct fid_mr **mr_out);

/* ---- peers.c */

/* This endpoint's address, as net.h's address(). */
CHARE_MUST_CHECK chare_status chi_ofi_peers_address(struct chi_net *net,
                                                    void *out,
                                                    size_t *len_inout);
CHARE_MUST_CHECK chare_status
chi_ofi_peers_connect(struct chi_net *net, uint64_t job_key,
                      const struct chi_net_peer *peers, uint32_t peer_count);
void chi_ofi_peers_close(struct chi_ofi *ofi);

/* The state kept for a rank that connect() named, made at need; NULL: no such
 * rank, or no memory. */
struct chi_ofi_peer *chi_ofi_peer_create(struct chi_ofi *ofi, uint32_t rank);

static inline struct chi_ofi_peer *
chi_ofi_peer_get(struct chi_ofi *ofi, uint32_t rank)
{
    struct chi_ofi_peer *peer = chi_map_get(&ofi->peers, rank);

    return chi_likely(peer != NULL) ? peer : chi_ofi_peer_create(ofi, rank);
}

/* Make it known to libfabric. Errors: CHARE_ERR_PEER_LOST, logged. */
CHARE_MUST_CHECK chare_status chi_ofi_peer_insert(struct chi_ofi *ofi,
                                                  struct chi_ofi_peer *peer);

/* Its loss is reported by the next progress(); what waits for it is freed. */
void chi_ofi_peer_lose(struct chi_ofi *ofi, struct chi_ofi_peer *peer,
                       chare_status why);

/* ---- eager.c */

CHARE_MUST_CHECK chare_status chi_ofi_eager_open(struct chi_ofi *ofi);
void chi_ofi_eager_close(struct chi_ofi *ofi);
CHARE_MUST_CHECK chare_status chi_ofi_eager_send(struct chi_net *net,
                                                 uint32_t rank,
                                                 struct chi_msg *msg);

/* Offer what waits to the provider again. */
void chi_ofi_eager_retry(struct chi_ofi *ofi);

/* Release what waits for a peer that is lost. */
void chi_ofi_eager_forget(struct chi_ofi *ofi, struct chi_ofi_peer *peer);

/* A send is over: 'error' is 0, or why it failed (positive). */
void chi_ofi_eager_sent(struct chi_ofi *ofi, struct chi_ofi_op *op, int error);

/* An op, or NULL when there are CHI_OFI_OPS_MAX, or no memory. */
struct chi_ofi_op *chi_ofi_op_alloc(struct chi_ofi *ofi);
void chi_ofi_op_release(struct chi_ofi *ofi, struct chi_ofi_op *op);

/* ---- receive.c */

CHARE_MUST_CHECK chare_status chi_ofi_receive_open(struct chi_ofi *ofi);
void chi_ofi_receive_close(struct chi_ofi *ofi);
void chi_ofi_receive_post(struct chi_ofi *ofi);

/* A receive completed. */
void chi_ofi_receive_take(struct chi_ofi *ofi, struct chi_ofi_receive *receive,
                          const struct fi_cq_data_entry *entry);

/* A receive failed; the buffer is posted again. */
void chi_ofi_receive_failed(struct chi_ofi *ofi,
                            struct chi_ofi_receive *receive,
                            const struct fi_cq_err_entry *error);

/* ---- rma.c */

CHARE_MUST_CHECK chare_status chi_ofi_rma_open(struct chi_ofi *ofi);
void
chi_ofi_rma_regions_close(struct chi_ofi *ofi); /* while there is a domain */
void chi_ofi_rma_close(struct chi_ofi *ofi);
CHARE_MUST_CHECK chare_status chi_ofi_rma_expose(struct chi_net *net,
                                                 const void *bytes,
                                                 uint64_t len, void *key_out,
                                                 size_t *key_len_inout,
                                                 uint64_t *handle_out);
void chi_ofi_rma_unexpose(struct chi_net *net, uint64_t handle);
CHARE_MUST_CHECK chare_status chi_ofi_rma_get(struct chi_net *net,
                                              uint32_t rank, const void *key,
                                              size_t key_len, uint64_t offset,
                                              void *into, uint64_t len,
                                              uint64_t token);

/* Issue more reads of the gets under way. */
void chi_ofi_rma_issue(struct chi_ofi *ofi);

/* Issue no more reads of them; those under way go on. */
void chi_ofi_rma_stop(struct chi_ofi *ofi);

/* How many reads the provider has. */
uint32_t chi_ofi_rma_under_way(const struct chi_ofi *ofi);

/* A read is over: 'error' is 0, or why it failed (positive). */
void chi_ofi_rma_read(struct chi_ofi *ofi, struct chi_ofi_op *op, int error);

/* ---- wait.c */

void chi_ofi_doze_open(struct chi_ofi *ofi);
void chi_ofi_doze_close(struct chi_ofi *ofi);
int chi_ofi_wait_fd(const struct chi_net *net);
CHARE_MUST_CHECK chare_status chi_ofi_wait_begin(struct chi_net *net);
void chi_ofi_wait_end(struct chi_net *net);

#endif /* CHI_OFI_STATE_H */
