/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_WATCH_H
#define CHI_NET_WATCH_H

/*
 * watch.h - noticing that a process of the job is gone.
 *
 * The processes form a ring: each has one connection to the next rank, and so
 * one from the previous (a UNIX socket in a node, with a pidfd beside it; TCP
 * with keepalive between nodes). The kernel keeps these alive, not the PE, so
 * a long entry method is not taken for a death. An orderly end says so on the
 * connection first. A thread of its own, blocked in poll(), waits for what
 * happens there: it costs nothing, and notices a death while the PE computes.
 */

#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include "base/log.h"
#include "base/settings.h"

enum {
    CHI_WATCH_ADDRESS_BYTES_MAX = 128
};

struct chi_watch;

struct chi_watch_options {
    const struct chi_log *log;
    const struct chi_settings *settings;
    uint32_t rank;
    uint32_t size;

    /*
     * Called once for each lost neighbour, by the watcher's own thread: it may
     * only do what is safe there (set an atomic, write to an eventfd).
     */
    void (*lost)(void *context, uint32_t rank);
    void *context;
};

/* Listens; does not start the thread. Errors: CHARE_ERR_SYSTEM, _NO_MEMORY. */
CHARE_MUST_CHECK chare_status chi_watch_open(
    const struct chi_watch_options *options, struct chi_watch **watch_out);

/* What the others need to connect. Errors: CHARE_ERR_TOO_LARGE. */
CHARE_MUST_CHECK chare_status chi_watch_address(const struct chi_watch *watch,
                                                void *out, size_t *len_inout);

/*
 * Connect to the next rank ('same_node': whether it shares this node) and
 * start watching. Strangers without the job key are turned away and counted.
 * Errors: CHARE_ERR_SYSTEM, CHARE_ERR_NO_MEMORY, CHARE_ERR_PEER_LOST.
 */
CHARE_MUST_CHECK chare_status chi_watch_start(struct chi_watch *watch,
                                              uint64_t job_key, bool same_node,
                                              const void *next_address,
                                              size_t len);

/* From now on the end of a neighbour is expected and not reported. Thread
 * safe. Called when the job is ending. */
void chi_watch_stop(struct chi_watch *watch);

uint64_t chi_watch_foreign_dropped(const struct chi_watch *watch);

/* Says goodbye to the neighbours, ends the thread. Accepts NULL. */
void chi_watch_close(struct chi_watch *watch);

#endif /* CHI_NET_WATCH_H */
