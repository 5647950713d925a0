/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_WATCH_SOCKET_H
#define CHI_NET_WATCH_SOCKET_H

/*
 * watch_socket.h - the watch's sockets: listening, finding and connecting.
 *
 * All descriptors are close-on-exec and not blocking.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include <chare.h>

#include "base/log.h"
#include "base/settings.h"

enum {
    CHI_WATCH_PLACES_MAX = 7
};

/* Where a watch listens: its address on the wire. */
struct chi_watch_place {
    uint64_t nonce; /* names the UNIX socket */
    uint16_t port;  /* TCP, in the machine's byte order */
    uint16_t count; /* of 'at', the best first */
    uint32_t reserved;
    struct in6_addr at[CHI_WATCH_PLACES_MAX]; /* IPv4 is mapped */
};

/* Both listen() and set *fd_out. Errors: CHARE_ERR_SYSTEM, logged. */
CHARE_MUST_CHECK chare_status chi_watch_listen_local(const struct chi_log *log,
                                                     uint64_t nonce,
                                                     int *fd_out);
CHARE_MUST_CHECK chare_status chi_watch_listen_tcp(const struct chi_log *log,
                                                   uint16_t *port_out,
                                                   int *fd_out);

/*
 * Fill in this host's addresses: those that 'interface' names (an interface or
 * the beginning of an address) first, then IPv4 before IPv6, loopback last.
 */
void chi_watch_places(const char *interface, struct chi_watch_place *place);

/*
 * Connect to the process that listens at 'place'. Errors: CHARE_ERR_PEER_LOST
 * (nobody there), CHARE_ERR_SYSTEM; *why_out is the system's reason for both.
 */
CHARE_MUST_CHECK chare_status
chi_watch_connect_local(const struct chi_watch_place *place,
                        uint64_t timeout_ns, int *fd_out, int *why_out);
CHARE_MUST_CHECK chare_status
chi_watch_connect_tcp(const struct chi_watch_place *place, uint64_t timeout_ns,
                      int *fd_out, int *why_out);

/* Let the kernel notice a silent peer on TCP within about 'timeout_ns'. */
void chi_watch_keep_alive(int fd, uint64_t timeout_ns);

/* Whether the other end of a UNIX socket has this process's user. */
bool chi_watch_same_user(int fd);

/* A descriptor that is readable once the other end's process is gone; -1:
 * errno says why, ESRCH that it is gone already. */
int chi_watch_process_of(int fd);

/* Send what fits, say that no more comes, and close. */
void chi_watch_goodbye(int fd, char byte);

#endif /* CHI_NET_WATCH_SOCKET_H */
