/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch_socket.c - the watch's sockets: listening, finding and connecting.
 */
#include "config.h"

#include "net/watch_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/abstract.h"

enum {
    BACKLOG = 16,
    SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
};

static const char LOCAL_KIND[] = "chare-watch";

union any_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* ---- in a node */

chare_status
chi_watch_listen_local(const struct chi_log *log, uint64_t nonce, int *fd_out)
{
    struct sockaddr_un name;
    const socklen_t len = chi_abstract_name(LOCAL_KIND, nonce, &name);
    const int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&name, len) != 0 ||
        listen(fd, BACKLOG) != 0) {
        chi_log_error(log,
                      "no UNIX socket for watching the neighbours: %s; "
                      "see the limit of open files (ulimit -n)",
                      strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return CHARE_ERR_SYSTEM;
    }
    *fd_out = fd;
    return CHARE_OK;
}

chare_status
chi_watch_connect_local(const struct chi_watch_place *place,
                        uint64_t timeout_ns, int *fd_out, int *why_out)
{
    const struct timeval limit = {
        .tv_sec = (time_t)(timeout_ns / CHI_NS_PER_SEC),
        .tv_usec = (suseconds_t)(timeout_ns % CHI_NS_PER_SEC / 1000),
    };
    struct sockaddr_un name;
    const socklen_t len = chi_abstract_name(LOCAL_KIND, place->nonce, &name);
    /* Blocking, so that a full backlog is waited for, up to the limit. */
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        *why_out = errno;
        return CHARE_ERR_SYSTEM;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&name, len) != 0) {
        *why_out = errno;
        (void)close(fd);
        return CHARE_ERR_PEER_LOST;
    }
    if (!chi_watch_same_user(fd)) {
        *why_out = EPERM;
        (void)close(fd);
        return CHARE_ERR_PEER_LOST;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    *fd_out = fd;
    return CHARE_OK;
}

static bool
peer_get(int fd, struct ucred *out)
{
    socklen_t len = sizeof(*out);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out, &len) == 0;
}

bool
chi_watch_same_user(int fd)
{
    struct ucred peer;

    return peer_get(fd, &peer) && peer.uid == geteuid();
}

int
chi_watch_process_of(int fd)
{
#ifdef SYS_pidfd_open
    struct ucred peer;

    /* From another PID namespace the number reads as 0. */
    if (peer_get(fd, &peer) && peer.pid > 0) {
        return (int)syscall(SYS_pidfd_open, peer.pid, 0);
    }
#endif
    (void)fd;
    errno = ENOSYS;
    return -1;
}

/* ---- between nodes */

chare_status
chi_watch_listen_tcp(const struct chi_log *log, uint16_t *port_out,
                     int *fd_out)
{
    union any_address address = {.in6 = {.sin6_family = AF_INET6}};
    socklen_t len = sizeof(address.in6);
    const int off = 0;
    int fd = socket(AF_INET6, SOCKET_FLAGS, 0);

    if (fd < 0) {
        /* A kernel without IPv6. */
        fd = socket(AF_INET, SOCKET_FLAGS, 0);
        address = (union any_address){.in = {.sin_family = AF_INET}};
        len = sizeof(address.in);
    } else {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (fd < 0 || bind(fd, &address.any, len) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, &address.any, &len) != 0) {
        chi_log_error(log,
                      "no TCP socket for watching the neighbours: %s; see "
                      "the limit of open files (ulimit -n)",
                      strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return CHARE_ERR_SYSTEM;
    }
    *port_out =
        ntohs(address.any.sa_family == AF_INET ? address.in.sin_port
                                               : address.in6.sin6_port);
    *fd_out = fd;
    return CHARE_OK;
}

/* An interface's address with IPv4 mapped; false when it is of no use. */
static bool
place_of(const struct sockaddr *address, struct in6_addr *out)
{
    union any_address copy;

    if (address == NULL) {
        return false;
    }
    if (address->sa_family == AF_INET) {
        memcpy(&copy.in, address, sizeof(copy.in));
        memset(out, 0, sizeof(*out));
        out->s6_addr[10] = 0xff;
        out->s6_addr[11] = 0xff;
        memcpy(&out->s6_addr[12], &copy.in.sin_addr, 4);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&copy.in6, address, sizeof(copy.in6));
        *out = copy.in6.sin6_addr;
        /* Means nothing on another host without an interface's name. */
        return !IN6_IS_ADDR_LINKLOCAL(out);
    }
    return false;
}

static bool
wanted(const char *interface, const char *name, const struct in6_addr *at)
{
    char text[INET6_ADDRSTRLEN];

    if (interface[0] == '\0') {
        return false;
    }
    if (IN6_IS_ADDR_V4MAPPED(at)) {
        (void)inet_ntop(AF_INET, &at->s6_addr[12], text, sizeof(text));
    } else {
        (void)inet_ntop(AF_INET6, at, text, sizeof(text));
    }
    return strcmp(interface, name) == 0 ||
           strncmp(interface, text, strlen(interface)) == 0;
}

/* Lower is better. */
static int
place_rank(const char *interface, const struct ifaddrs *item,
           const struct in6_addr *at)
{
    int rank = IN6_IS_ADDR_V4MAPPED(at) ? 0 : 1;

    if ((item->ifa_flags & IFF_LOOPBACK) != 0) {
        rank += 2;
    }
    if (!wanted(interface, item->ifa_name, at)) {
        rank += 4;
    }
    return rank;
}

void
chi_watch_places(const char *interface, struct chi_watch_place *place)
{
    struct ifaddrs *list = NULL;

    place->count = 0;
    if (getifaddrs(&list) != 0) {
        return;
    }
    for (int rank = 0; rank < 8; rank++) {
        for (const struct ifaddrs *item = list; item != NULL;
             item = item->ifa_next) {
            struct in6_addr at;

            if (place->count < CHI_WATCH_PLACES_MAX &&
                (item->ifa_flags & IFF_UP) != 0 &&
                place_of(item->ifa_addr, &at) &&
                place_rank(interface, item, &at) == rank) {
                place->at[place->count++] = at;
            }
        }
    }
    freeifaddrs(list);
}

/* Whether 'at' is an address of this very host. */
static bool
is_own(const struct in6_addr *at)
{
    struct ifaddrs *list = NULL;
    bool own = false;

    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *item = list; item != NULL;
         item = item->ifa_next) {
        struct in6_addr mine;

        own = own || (place_of(item->ifa_addr, &mine) &&
                      memcmp(&mine, at, sizeof(mine)) == 0);
    }
    freeifaddrs(list);
    return own;
}

/* Wait for a connect() under way; 0 or the reason. */
static int
connect_wait(int fd, uint64_t timeout_ns)
{
    const uint64_t end_ns = chi_clock_now_ns(&chi_clock_real) + timeout_ns;
    int why = 0;
    socklen_t len = sizeof(why);

    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
        const uint64_t now_ns = chi_clock_now_ns(&chi_clock_real);
        int ready;

        if (now_ns >= end_ns) {
            return ETIMEDOUT;
        }
        ready = poll(&pollfd, 1, (int)((end_ns - now_ns) / CHI_NS_PER_MS) + 1);
        if (ready > 0) {
            break;
        }
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0) {
        return errno;
    }
    return why;
}

static int
connect_one(const struct in6_addr *at, uint16_t port, uint64_t timeout_ns,
            int *fd_out)
{
    union any_address address;
    socklen_t len;
    int why = 0;
    int fd;

    memset(&address, 0, sizeof(address));
    if (IN6_IS_ADDR_V4MAPPED(at)) {
        address.in.sin_family = AF_INET;
        address.in.sin_port = htons(port);
        memcpy(&address.in.sin_addr, &at->s6_addr[12], 4);
        len = sizeof(address.in);
    } else {
        address.in6.sin6_family = AF_INET6;
        address.in6.sin6_port = htons(port);
        address.in6.sin6_addr = *at;
        len = sizeof(address.in6);
    }
    fd = socket(address.any.sa_family, SOCKET_FLAGS, 0);
    if (fd < 0) {
        return errno;
    }
    if (connect(fd, &address.any, len) != 0) {
        why = errno == EINPROGRESS ? connect_wait(fd, timeout_ns) : errno;
    }
    if (why != 0) {
        (void)close(fd);
        return why;
    }
    *fd_out = fd;
    return 0;
}

chare_status
chi_watch_connect_tcp(const struct chi_watch_place *place, uint64_t timeout_ns,
                      int *fd_out, int *why_out)
{
    *why_out = EHOSTUNREACH;
    /* An address that this host has too (a bridge for containers has the same
     * on every node) is the last one to try. */
    for (int own = 0; own <= 1; own++) {
        for (uint16_t i = 0; i < place->count; i++) {
            if (is_own(&place->at[i]) != (own == 1)) {
                continue;
            }
            *why_out =
                connect_one(&place->at[i], place->port, timeout_ns, fd_out);
            if (*why_out == 0) {
                return CHARE_OK;
            }
        }
    }
    return CHARE_ERR_PEER_LOST;
}

void
chi_watch_keep_alive(int fd, uint64_t timeout_ns)
{
    const int on = 1;
    const int second = 1;
    const int seconds = (int)(timeout_ns / CHI_NS_PER_SEC);
    const int probes = seconds > 1 ? seconds : 1;
    const unsigned timeout_ms = (unsigned)(timeout_ns / CHI_NS_PER_MS);

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof(second));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &second, sizeof(second));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
                     sizeof(timeout_ms));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
chi_watch_goodbye(int fd, char byte)
{
    char rest[256];

    (void)send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    /* Closing with something unread would reset the connection. */
    for (int i = 0; i < 16; i++) {
        if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0) {
            break;
        }
    }
    (void)close(fd);
}
