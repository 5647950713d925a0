/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_NET_H
#define CHI_NET_NET_H

/*
 * net.h - the one door to the wire.
 *
 * A provider moves messages between PEs and knows nothing of elements, entry
 * methods or Python. Providers: shm (rings in shared memory, src/net/shm.c),
 * ofi (libfabric, ofi/), sim (many PEs in one thread from one seed,
 * src/net/sim.c). All pass tests/conform/net_conform.h: that suite, not this
 * text, is the contract. route.h puts several together for one PE.
 *
 * Rules every provider keeps:
 *
 *  1. A net belongs to one thread. No call is made from any other.
 *  2. Upcalls happen only inside progress(), never inside send(): the caller
 *     of send() can never be re-entered. An upcall may call send().
 *  3. A message that send() accepted is delivered exactly once, or its peer is
 *     reported lost, or the net is closed. One that send() refused still
 *     belongs to the caller.
 *  4. Messages from one rank to another arrive in the order sent.
 *  5. What arrives was checked by chi_msg_wire_ok() and came from a process of
 *     this job (job_key); anything else is dropped and counted.
 *  6. No clock and no random number is read except through base/clock.h and
 *     base/prng.h, so that a seed replays a run exactly.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"

#define CHI_NET_ABI 2u

struct chi_arena;
struct chi_msg;
struct chi_msg_pool;
struct chi_net;

enum {
    CHI_NET_ADDRESS_BYTES_MAX = 512,
    CHI_NET_RMA_KEY_BYTES_MAX = 64,
};

/* Where a provider reports what happened. */
struct chi_net_sink {
    void *context;

    /* A message came in. The sink now owns it. */
    void (*arrived)(void *context, struct chi_msg *msg);

    /* The peer is gone for good; reported once. */
    void (*peer_lost)(void *context, uint32_t rank, chare_status why);

    /* A get() is done, or failed. */
    void (*got)(void *context, uint64_t token, chare_status status);
};

struct chi_net_options {
    const struct chi_log *log;
    const struct chi_settings *settings;
    const struct chi_clock *clock;
    struct chi_msg_pool *pool; /* arriving messages are allocated from it */
    struct chi_arena *arena;   /* the pool's source; NULL: none */
    uint32_t rank;
    uint32_t size;
    void *provider_options; /* sim: its world; else NULL */
};

/* One peer's address, as its own address() wrote it. */
struct chi_net_peer {
    uint32_t rank;
    const void *address;
    size_t len;
};

struct chi_net_limits {
    uint64_t eager_bytes; /* largest wire length that send() takes */
    bool rma;             /* expose() and get() work */
};

struct chi_net_ops {
    const char *name; /* "shm", "ofi", "sim" */
    uint32_t abi;     /* CHI_NET_ABI; checked by chi_net_open() */

    /*
     * Create a net that reports to 'sink'. Sets *net_out only on CHARE_OK.
     * Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_SYSTEM, CHARE_ERR_FABRIC,
     * CHARE_ERR_NOT_FOUND (no such hardware or provider); the reason is
     * logged.
     */
    chare_status (*open)(const struct chi_net_options *options,
                         const struct chi_net_sink *sink,
                         struct chi_net **net_out);

    /* Release everything, also with messages in flight, which are freed
     * unreported. Never fails and never calls the sink. */
    void (*close)(struct chi_net *net);

    /* Constant for the life of the net. Never fails. */
    void (*limits)(const struct chi_net *net, struct chi_net_limits *out);

    /* Write this PE's address for its peers; *len_inout is the room on entry
     * and the length on return. Errors: CHARE_ERR_TOO_LARGE. */
    chare_status (*address)(struct chi_net *net, void *out, size_t *len_inout);

    /*
     * Make these peers reachable; called once, before the first send(). May
     * put off the real work until the first message to a peer.
     * 'job_key' is the same, and secret, in all processes of the job.
     * Errors: CHARE_ERR_NO_MEMORY, CHARE_ERR_FABRIC, CHARE_ERR_SYSTEM.
     */
    chare_status (*connect)(struct chi_net *net, uint64_t job_key,
                            const struct chi_net_peer *peers,
                            uint32_t peer_count);

    /*
     * Start one message on its way. On CHARE_OK the net owns 'msg' and
     * releases it when its bytes have left; on any other status the caller
     * still does.
     * Errors: CHARE_ERR_AGAIN     - no room; try after progress().
     *         CHARE_ERR_TOO_LARGE - over limits.eager_bytes.
     *         CHARE_ERR_PEER_LOST
     */
    chare_status (*send)(struct chi_net *net, uint32_t rank,
                         struct chi_msg *msg);

    /* Report at most 'events_max' events; return how many were reported. */
    uint32_t (*progress)(struct chi_net *net, uint32_t events_max);

    /* Nothing that send() accepted still needs progress() to arrive. */
    bool (*drained)(const struct chi_net *net);

    /* A descriptor that polls readable when wait_begin() said CHARE_OK and
     * something happens then; -1: there is none, poll now and then. */
    int (*wait_fd)(const struct chi_net *net);

    /*
     * The PE is about to sleep on wait_fd(). CHARE_ERR_AGAIN: do not, there is
     * something to do; and then wait_end() must not be called.
     */
    chare_status (*wait_begin)(struct chi_net *net);

    /* The PE is awake again. */
    void (*wait_end)(struct chi_net *net);

    /*
     * For a PE that waits for nothing but this net; all four or none (NULL).
     * ready() is a look: progress() may have something to report. It changes
     * nothing and calls nobody. nap_begin() is as wait_begin(); then nap()
     * sleeps until something happens, and wait_end() ends it. nudge(), from
     * any thread between connect() and close(), ends a nap(), the one under
     * way or, if what it was called for was not seen before nap_begin(), the
     * next one: look for that between nap_begin() and nap().
     * nap() returns CHARE_OK, also for nothing, CHARE_ERR_TIMEOUT, or
     * CHARE_ERR_INTERRUPTED after a signal.
     */
    bool (*ready)(const struct chi_net *net);
    chare_status (*nap_begin)(struct chi_net *net);
    chare_status (*nap)(struct chi_net *net, uint64_t timeout_ns);
    void (*nudge)(struct chi_net *net);

    /*
     * RMA, where limits.rma says so (else CHARE_ERR_STATE). expose() lets
     * peers read 'len' bytes; its key, at most CHI_NET_RMA_KEY_BYTES_MAX long,
     * is for get() at a peer. 'handle' is for unexpose().
     */
    chare_status (*expose)(struct chi_net *net, const void *bytes,
                           uint64_t len, void *key_out, size_t *key_len_inout,
                           uint64_t *handle_out);
    void (*unexpose)(struct chi_net *net, uint64_t handle);

    /* Read into 'into'; sink.got(token) tells the end. At most
     * limits.eager_bytes need not hold: the provider splits as it must.
     * Errors: CHARE_ERR_AGAIN, CHARE_ERR_PEER_LOST, CHARE_ERR_FABRIC. */
    chare_status (*get)(struct chi_net *net, uint32_t rank, const void *key,
                        size_t key_len, uint64_t offset, void *into,
                        uint64_t len, uint64_t token);

    /*
     * Send a message of any size without copying it through the wire, where
     * the provider can: as send(). NULL, or CHARE_ERR_TOO_LARGE: it cannot,
     * or not this one. What arrives is a CHI_HANDLER_BLOCK, in order, which
     * the peer turns into the message by take_over(); that takes the arrived
     * one over, and returns NULL when it makes no sense.
     */
    chare_status (*hand_over)(struct chi_net *net, uint32_t rank,
                              struct chi_msg *msg);
    struct chi_msg *(*take_over)(struct chi_net *net, uint32_t rank,
                                 struct chi_msg *block);
};

/* First member of every provider's own state. */
struct chi_net {
    const struct chi_net_ops *ops;
    struct chi_net_sink sink;
    struct chi_net_options options;
    uint64_t foreign_dropped; /* messages that were not of this job */
};

/*
 * The checked way in: each asserts the contract on both sides of the call.
 * Nothing outside src/net/ touches 'ops'.
 */
CHARE_MUST_CHECK chare_status chi_net_open(
    const struct chi_net_ops *ops, const struct chi_net_options *options,
    const struct chi_net_sink *sink, struct chi_net **net_out);
void chi_net_close(struct chi_net *net);
void chi_net_limits(const struct chi_net *net, struct chi_net_limits *out);
CHARE_MUST_CHECK chare_status chi_net_address(struct chi_net *net, void *out,
                                              size_t *len_inout);
CHARE_MUST_CHECK chare_status chi_net_connect(struct chi_net *net,
                                              uint64_t job_key,
                                              const struct chi_net_peer *peers,
                                              uint32_t peer_count);
CHARE_MUST_CHECK chare_status chi_net_send(struct chi_net *net, uint32_t rank,
                                           struct chi_msg *msg);
uint32_t chi_net_progress(struct chi_net *net, uint32_t events_max);
bool chi_net_drained(const struct chi_net *net);
int chi_net_wait_fd(const struct chi_net *net);
CHARE_MUST_CHECK chare_status chi_net_wait_begin(struct chi_net *net);
void chi_net_wait_end(struct chi_net *net);
bool chi_net_can_nap(const struct chi_net *net);
bool chi_net_ready(const struct chi_net *net);
CHARE_MUST_CHECK chare_status chi_net_nap_begin(struct chi_net *net);
CHARE_MUST_CHECK chare_status chi_net_nap(struct chi_net *net,
                                          uint64_t timeout_ns);
void chi_net_nudge(struct chi_net *net);
CHARE_MUST_CHECK chare_status chi_net_expose(struct chi_net *net,
                                             const void *bytes, uint64_t len,
                                             void *key_out,
                                             size_t *key_len_inout,
                                             uint64_t *handle_out);
void chi_net_unexpose(struct chi_net *net, uint64_t handle);
CHARE_MUST_CHECK chare_status chi_net_get(struct chi_net *net, uint32_t rank,
                                          const void *key, size_t key_len,
                                          uint64_t offset, void *into,
                                          uint64_t len, uint64_t token);
CHARE_MUST_CHECK chare_status chi_net_hand_over(struct chi_net *net,
                                                uint32_t rank,
                                                struct chi_msg *msg);
struct chi_msg *chi_net_take_over(struct chi_net *net, uint32_t rank,
                                  struct chi_msg *block);

#endif /* CHI_NET_NET_H */
