/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ofi_foreign.c - strangers who speak the provider's own language.
 *
 * Goal:   what a program that is not of the job sends through libfabric is
 *         taken, counted and dropped, whether or not it has a tag; and a
 *         connection that breaks in the middle of its message costs no
 *         receive buffer.
 * Method: two nets on the loopback interface, and a bare endpoint of
 *         libfabric, which sends to one of them; for the broken connections
 *         through a proxy that cuts each after some bytes.
 */
#include "config.h"

#include "ofi/ofi.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_tagged.h>

#include "conform/net_world.h"
#include "tap/ofi_leaks.h"

enum {
    SMALL = 200,     /* messages of a stranger */
    SMALL_BYTES = 8, /* of each */
    LARGE = 5,
    LARGE_BYTES = 150000, /* by rendezvous */
    OURS_BYTES = 200000,  /* our eager limit: few receive buffers */
    CUTS = 40,            /* more than there are then */
    CUT_BYTES = 10000,    /* of a message that is cut */
    CUT_AFTER = 5000,     /* bytes, those of the handshake included */
    ANSWERS = 2,          /* after which a longer one is cut */
};

static void
adjust(struct chi_settings *settings)
{
    (void)snprintf(settings->ofi_provider, sizeof(settings->ofi_provider),
                   "tcp;ofi_rxm");
    (void)snprintf(settings->ofi_interface, sizeof(settings->ofi_interface),
                   "lo");
    settings->eager_bytes = OURS_BYTES;
}

static const struct net_conform conform = {.ops = &chi_net_ofi_ops,
                                           .adjust = adjust};

/* ---- a stranger */

struct stranger {
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *av;
    struct fid_cq *cq;
    struct fid_ep *ep;
    fi_addr_t target;
    uint32_t over; /* sends, well or not */
    struct fi_context2 context;
    unsigned char bytes[LARGE_BYTES];
};

static bool
stranger_choose(struct stranger *stranger)
{
    struct fi_info *hints = fi_allocinfo();
    bool good = false;

    if (hints != NULL) {
        hints->ep_attr->type = FI_EP_RDM;
        hints->caps = FI_MSG | FI_TAGGED;
        hints->mode = FI_CONTEXT | FI_CONTEXT2;
        hints->domain_attr->mr_mode =
            FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
        hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
        hints->addr_format = FI_SOCKADDR_IN;
        hints->fabric_attr->prov_name = strdup("tcp;ofi_rxm");
        good = fi_getinfo(FI_VERSION(1, 14), "127.0.0.1", NULL, FI_SOURCE,
                          hints, &stranger->info) == 0;
        fi_freeinfo(hints);
    }
    return good;
}

static bool
stranger_open(struct stranger *stranger)
{
    struct fi_cq_attr cq_attr = {.format = FI_CQ_FORMAT_CONTEXT, .size = 256};
    struct fi_av_attr av_attr = {.type = FI_AV_UNSPEC};

    memset(stranger, 0, sizeof(*stranger));
    return stranger_choose(stranger) &&
           fi_fabric(stranger->info->fabric_attr, &stranger->fabric, NULL) ==
               0 &&
           fi_domain(stranger->fabric, stranger->info, &stranger->domain,
                     NULL) == 0 &&
           fi_av_open(stranger->domain, &av_attr, &stranger->av, NULL) == 0 &&
           fi_cq_open(stranger->domain, &cq_attr, &stranger->cq, NULL) == 0 &&
           fi_endpoint(stranger->domain, stranger->info, &stranger->ep,
                       NULL) == 0 &&
           fi_ep_bind(stranger->ep, &stranger->av->fid, 0) == 0 &&
           fi_ep_bind(stranger->ep, &stranger->cq->fid,
                      FI_TRANSMIT | FI_RECV) == 0 &&
           fi_enable(stranger->ep) == 0;
}

static void
fid_close(struct fid *fid)
{
    if (fid != NULL) {
        (void)fi_close(fid);
    }
}

static void
stranger_close(struct stranger *stranger)
{
    fid_close(stranger->ep != NULL ? &stranger->ep->fid : NULL);
    fid_close(stranger->cq != NULL ? &stranger->cq->fid : NULL);
    fid_close(stranger->av != NULL ? &stranger->av->fid : NULL);
    fid_close(stranger->domain != NULL ? &stranger->domain->fid : NULL);
    fid_close(stranger->fabric != NULL ? &stranger->fabric->fid : NULL);
    if (stranger->info != NULL) {
        fi_freeinfo(stranger->info);
    }
}

static bool
stranger_aim(struct stranger *stranger, const struct sockaddr_in *address)
{
    return fi_av_insert(stranger->av, address, 1, &stranger->target, 0,
                        NULL) == 1;
}

/* One look at its queue. */
static void
stranger_progress(struct stranger *stranger)
{
    struct fi_cq_err_entry error = {.err_data_size = 0};
    struct fi_cq_entry entry;
    const ssize_t rc = fi_cq_read(stranger->cq, &entry, 1);

    if (rc == 1 ||
        (rc == -FI_EAVAIL && fi_cq_readerr(stranger->cq, &error, 0) == 1)) {
        stranger->over++;
    }
}

/* Begin to send: 0, or why not, which may be -FI_EAGAIN. */
static ssize_t
stranger_send(struct stranger *stranger, bool tagged, size_t len)
{
    return tagged ? fi_tsend(stranger->ep, stranger->bytes, len, NULL,
                             stranger->target, 1, &stranger->context)
                  : fi_send(stranger->ep, stranger->bytes, len, NULL,
                            stranger->target, &stranger->context);
}

/* ---- both */

static struct sockaddr_in
node_address(const struct node *node)
{
    unsigned char bytes[CHI_NET_ADDRESS_BYTES_MAX];
    struct sockaddr_in address = {.sin_family = AF_UNSPEC};
    size_t len = sizeof(bytes);

    if (chi_net_address(node->net, bytes, &len) == CHARE_OK &&
        len >= sizeof(address)) {
        memcpy(&address, bytes + len - sizeof(address), sizeof(address));
    }
    return address;
}

/* Messages one after the other, each to its end. */
static bool
foreign_messages(struct world *world, struct stranger *stranger, bool tagged,
                 size_t len, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t over = stranger->over;

        world->idle = 0;
        while (stranger_send(stranger, tagged, len) == -FI_EAGAIN) {
            stranger_progress(stranger);
            if (!world_pump(world)) {
                return false;
            }
        }
        if (!WORLD_UNTIL(
                world, (stranger_progress(stranger), stranger->over > over))) {
            return false;
        }
    }
    return true;
}

static struct stranger stranger;

static void
foreign_messages_are_counted(void)
{
    const uint64_t each = SMALL + LARGE;
    struct sockaddr_in address;
    struct world world;
    const struct chi_net *net;

    if (!stranger_open(&stranger)) {
        stranger_close(&stranger);
        SKIP("there is no tcp;ofi_rxm");
    }
    CHECK(world_open(&world, &conform, 2));
    net = world.nodes[0].net;
    address = node_address(&world.nodes[0]);
    CHECK(stranger_aim(&stranger, &address));
    CHECK(world_both_talk(&world, 10));
    for (int tagged = 0; tagged < 2; tagged++) {
        CHECK(foreign_messages(&world, &stranger, tagged != 0, SMALL_BYTES,
                               SMALL));
        CHECK(foreign_messages(&world, &stranger, tagged != 0, LARGE_BYTES,
                               LARGE));
        CHECK(WORLD_UNTIL(&world, net->foreign_dropped >=
                                      each * (uint64_t)(tagged + 1)));
        CHECK_EQ(net->foreign_dropped, each * (uint64_t)(tagged + 1));
        CHECK(world_both_talk(&world, 10));
    }
    CHECK_EQ(world.nodes[0].lost + world.nodes[1].lost, 0);
    stranger_close(&stranger);
    CHECK(world_close(&world));
}

/* ---- a proxy that cuts */

struct proxy {
    struct sockaddr_in to;
    int listener;
    int in;           /* the stranger's connection, or -1 */
    int out;          /* that to the net, or -1 */
    size_t passed;    /* bytes towards the net */
    uint32_t answers; /* of the net: to the handshake, then a read */
    uint32_t cuts;
};

static bool
proxy_open(struct proxy *proxy, const struct sockaddr_in *to,
           struct sockaddr_in *address_out)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof(*address_out);

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *proxy = (struct proxy){.to = *to, .in = -1, .out = -1};
    proxy->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return proxy->listener >= 0 &&
           bind(proxy->listener, (const struct sockaddr *)&any, sizeof(any)) ==
               0 &&
           listen(proxy->listener, 8) == 0 &&
           getsockname(proxy->listener, (struct sockaddr *)address_out,
                       &len) == 0;
}

static void
fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void
proxy_cut(struct proxy *proxy)
{
    fd_close(&proxy->in);
    fd_close(&proxy->out);
}

static void
proxy_close(struct proxy *proxy)
{
    proxy_cut(proxy);
    fd_close(&proxy->listener);
}

/* Pass on what is there, at most 'room' bytes; returns how many. */
static size_t
proxy_pass(int from, int to, size_t room)
{
    unsigned char bytes[4096];
    const ssize_t len =
        recv(from, bytes, room < sizeof(bytes) ? room : sizeof(bytes),
             MSG_DONTWAIT);

    return len > 0 && send(to, bytes, (size_t)len, MSG_NOSIGNAL) == len
               ? (size_t)len
               : 0;
}

static void
proxy_progress(struct proxy *proxy)
{
    if (proxy->in < 0) {
        proxy->in = accept(proxy->listener, NULL, NULL);
        if (proxy->in < 0) {
            return;
        }
        proxy->out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        proxy->passed = 0;
        proxy->answers = 0;
        if (connect(proxy->out, (const struct sockaddr *)&proxy->to,
                    sizeof(proxy->to)) != 0) {
            proxy_cut(proxy);
            return;
        }
    }
    proxy->passed +=
        proxy_pass(proxy->in, proxy->out, CUT_AFTER - proxy->passed);
    if (proxy_pass(proxy->out, proxy->in, CUT_BYTES) > 0) {
        proxy->answers++;
    }
    if (proxy->passed == CUT_AFTER || proxy->answers == ANSWERS) {
        proxy_cut(proxy);
        proxy->cuts++;
    }
}

/* One more message that is cut; again if it finds the connection broken. Who
 * waits for a read may never hear that it is over. */
static bool
foreign_cut(struct world *world, struct proxy *proxy, size_t len)
{
    const uint32_t cuts = proxy->cuts;
    uint32_t over = stranger.over;
    bool sent = false;

    world->idle = 0;
    while (proxy->cuts == cuts) {
        if (!sent || stranger.over != over) {
            over = stranger.over;
            sent = stranger_send(&stranger, true, len) == 0;
        }
        stranger_progress(&stranger);
        proxy_progress(proxy);
        if (!world_pump(world)) {
            return false;
        }
    }
    return true;
}

static void
broken_connections_cost_no_buffer(void)
{
    struct sockaddr_in address;
    struct sockaddr_in detour;
    struct proxy proxy;
    struct world world;

    if (!stranger_open(&stranger)) {
        stranger_close(&stranger);
        SKIP("there is no tcp;ofi_rxm");
    }
    CHECK(world_open(&world, &conform, 2));
    address = node_address(&world.nodes[0]);
    CHECK(proxy_open(&proxy, &address, &detour));
    CHECK(stranger_aim(&stranger, &detour));
    CHECK(world_both_talk(&world, 10));
    for (int i = 0; i < CUTS; i++) {
        CHECK(
            foreign_cut(&world, &proxy, i % 2 == 0 ? CUT_BYTES : LARGE_BYTES));
    }
    CHECK(world_both_talk(&world, 100));
    CHECK_EQ(world.nodes[0].lost + world.nodes[1].lost, 0);
    stranger_close(&stranger);
    proxy_close(&proxy);
    CHECK(world_close(&world));
}

TAP_MAIN(TAP_CASE(foreign_messages_are_counted),
         TAP_CASE(broken_connections_cost_no_buffer))
