/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * choose.c - judging and comparing libfabric's offers.
 *
 * Offers that fit are compared by, in this order: whether other hosts can
 * reach the address at all; the provider; what kind of interface it is; IPv4
 * before IPv6; libfabric's own order.
 */
#include "config.h"

#include "ofi/choose.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "msg/msg.h"
#include "ofi/ofi.h"

#include <rdma/fi_domain.h>

enum {
    LONG_EAGER = 1, /* 64 KiB is best sent at once, see EAGER_LONG */
    NODE_ONLY = 2,
    SINGLE_RECV = 4, /* one message for each receive buffer */
    TRUSTING = 8,    /* believes what strangers write to its port */
    STICKY_FD = 16,  /* a stranger can keep its descriptor readable */
    TAGGED = 32,     /* tagged messages are the cheaper ones */
};

/*
 * Known providers, best first. Most, ofi_rxm over anything included, have a
 * rendezvous of their own above some 16 KiB, which ours makes useless.
 *
 * SINGLE_RECV: shm loses what came before a FI_MULTI_RECV buffer did; sockets
 * gives nobody else the buffer in which it waits for the rest of what a
 * stranger began, and would so give away a quarter of all room at once.
 *
 * TAGGED: over tcp, ofi_rxm copies a message behind 64 bytes of its own, but
 * sends a tagged one as it is, and receives it where it is wanted.
 */
struct known {
    const char *name;
    int flags;
};

static const struct known known_providers[] = {
    {"cxi", 0},
    {"verbs;ofi_rxm", 0},
    {"psm3", 0},
    {"psm2", 0},
    {"efa", 0},
    {"gni", 0},
    {"opx", 0},
    {"psm", 0},
    {"tcp;ofi_rxm", TAGGED},
    {"tcp", LONG_EAGER | STICKY_FD},
    {"net", LONG_EAGER | STICKY_FD},
    {"net;ofi_rxm", STICKY_FD},
    {"sockets", LONG_EAGER | SINGLE_RECV | TRUSTING | STICKY_FD},
    {"udp;ofi_rxd", TRUSTING},
    {"verbs;ofi_rxd", 0},
    {"shm", LONG_EAGER | NODE_ONLY | SINGLE_RECV},
};

enum {
    KNOWN_COUNT = sizeof(known_providers) / sizeof(known_providers[0]),

    /* The largest messages of the pool's size classes 64 and 16 KiB. */
    EAGER_LONG = 64 * 1024 - offsetof(struct chi_msg, env),
    EAGER_SHORT = 16 * 1024 - offsetof(struct chi_msg, env),

    CHUNK_BYTES = (1 << 20) + 4096, /* as one get() of the route */
};

/* How good an address is; larger is worse. */
enum reach {
    REACH_FABRIC, /* no IP address, or a global one */
    REACH_BRIDGE, /* of containers and virtual machines on this host */
    REACH_LINK,   /* link-local */
    REACH_HOST,   /* loopback */
};

static uint32_t
known_index(const struct fi_info *info)
{
    const char *name = info->fabric_attr->prov_name;
    uint32_t i;

    for (i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(name, known_providers[i].name) == 0) {
            break;
        }
    }
    return i;
}

static int
known_flags(const struct fi_info *info)
{
    const uint32_t index = known_index(info);

    return index < KNOWN_COUNT ? known_providers[index].flags : 0;
}

/* Whether 'info' is of the provider that the user calls 'name': the whole
 * name, or one part of it ("tcp" is also "tcp;ofi_rxm"). */
static bool
is_provider(const struct fi_info *info, const char *name)
{
    const char *at = info->fabric_attr->prov_name;
    const size_t len = strlen(name);

    if (len == 0) {
        return false;
    }
    if (strcmp(at, name) == 0) {
        return true;
    }
    while (at != NULL) {
        if (strncmp(at, name, len) == 0 && (at[len] == ';' || at[len] == 0)) {
            return true;
        }
        at = strchr(at, ';');
        at = at == NULL ? NULL : at + 1;
    }
    return false;
}

static bool
ip_address(const struct fi_info *info, const struct in_addr **v4_out,
           const struct in6_addr **v6_out)
{
    const struct sockaddr *any = info->src_addr;

    *v4_out = NULL;
    *v6_out = NULL;
    if (any == NULL || info->addr_format < FI_SOCKADDR ||
        info->addr_format > FI_SOCKADDR_IN6) {
        return false;
    }
    if (any->sa_family == AF_INET &&
        info->src_addrlen >= sizeof(struct sockaddr_in)) {
        *v4_out = &((const struct sockaddr_in *)info->src_addr)->sin_addr;
    } else if (any->sa_family == AF_INET6 &&
               info->src_addrlen >= sizeof(struct sockaddr_in6)) {
        *v6_out = &((const struct sockaddr_in6 *)info->src_addr)->sin6_addr;
    }
    return *v4_out != NULL || *v6_out != NULL;
}

static bool
is_bridge(const char *name)
{
    static const char *const starts[] = {"docker", "virbr",   "veth",
                                         "cni",    "flannel", "cali",
                                         "lxc",    "podman",  "br-"};

    for (size_t i = 0; name != NULL && i < sizeof(starts) / sizeof(starts[0]);
         i++) {
        if (strncmp(name, starts[i], strlen(starts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static enum reach
reach_of(const struct fi_info *info)
{
    const struct in_addr *v4;
    const struct in6_addr *v6;

    if (!ip_address(info, &v4, &v6)) {
        return REACH_FABRIC;
    }
    if (v4 != NULL ? (ntohl(v4->s_addr) >> 24) == 127
                   : IN6_IS_ADDR_LOOPBACK(v6)) {
        return REACH_HOST;
    }
    if (v4 != NULL ? (ntohl(v4->s_addr) >> 16) == 0xa9fe /* 169.254 */
                   : IN6_IS_ADDR_LINKLOCAL(v6)) {
        return REACH_LINK;
    }
    return is_bridge(info->domain_attr->name) ? REACH_BRIDGE : REACH_FABRIC;
}

void
chi_ofi_address_text(const struct fi_info *info, char *out, size_t room)
{
    const struct in_addr *v4;
    const struct in6_addr *v6;

    chi_assert(room >= INET6_ADDRSTRLEN);
    out[0] = '\0';
    if (ip_address(info, &v4, &v6)) {
        (void)inet_ntop(v4 != NULL ? AF_INET : AF_INET6,
                        v4 != NULL ? (const void *)v4 : (const void *)v6, out,
                        (socklen_t)room);
    } else if (info->src_addr != NULL && info->addr_format == FI_ADDR_STR) {
        (void)snprintf(out, room, "%.*s", (int)info->src_addrlen,
                       (const char *)info->src_addr);
    } else {
        (void)snprintf(out, room, "-");
    }
}

static bool
is_interface(const struct fi_info *info, const char *wish)
{
    char text[CHI_OFI_ADDRESS_TEXT_MAX];
    const char *domain = info->domain_attr->name;

    if (domain != NULL && strcmp(domain, wish) == 0) {
        return true;
    }
    chi_ofi_address_text(info, text, sizeof(text));
    return strncmp(text, wish, strlen(wish)) == 0;
}

static bool
is_node_only(const struct fi_info *info)
{
    if (known_index(info) < KNOWN_COUNT) {
        return (known_flags(info) & NODE_ONLY) != 0;
    }
    /* A loopback interface is also said to be local, but has an address. */
    return (info->caps & FI_LOCAL_COMM) != 0 &&
           (info->caps & FI_REMOTE_COMM) == 0 &&
           reach_of(info) == REACH_FABRIC;
}

/* Whether this provider can do what we need, whatever the wishes are. */
static enum chi_ofi_verdict
judge_ability(const struct fi_info *info)
{
    const uint64_t mode =
        info->mode | info->tx_attr->mode | info->rx_attr->mode;

    if (info->ep_attr->type != FI_EP_RDM) {
        return CHI_OFI_NOT_RDM;
    }
    if ((info->caps & FI_MSG) == 0) {
        return CHI_OFI_NO_MESSAGES;
    }
    if ((mode & ~CHI_OFI_MODES) != 0) {
        return CHI_OFI_STRANGE_MODE;
    }
    if ((info->domain_attr->mr_mode & ~CHI_OFI_MR_MODES) != 0) {
        return CHI_OFI_STRANGE_MR_MODE;
    }
    if (info->ep_attr->max_msg_size <
        CHI_OFI_EAGER_BYTES_MIN + CHI_OFI_HEADER_BYTES) {
        return CHI_OFI_TOO_SMALL;
    }
    if (info->domain_attr->resource_mgmt == FI_RM_DISABLED) {
        return CHI_OFI_NO_FLOW_CONTROL;
    }
    return CHI_OFI_FITS;
}

enum chi_ofi_verdict
chi_ofi_judge(const struct fi_info *info, const struct chi_ofi_wish *wish)
{
    const bool forced = wish->provider[0] != '\0';

    if (forced && !is_provider(info, wish->provider)) {
        return CHI_OFI_OTHER_PROVIDER;
    }
    if (wish->interface[0] != '\0' && !is_node_only(info) &&
        !is_interface(info, wish->interface)) {
        return CHI_OFI_OTHER_INTERFACE;
    }
    if (!forced && is_node_only(info)) {
        return CHI_OFI_NODE_ONLY;
    }
    if (!forced && known_index(info) == KNOWN_COUNT) {
        return CHI_OFI_UNKNOWN;
    }
    if (!forced && (known_flags(info) & TRUSTING) != 0) {
        return CHI_OFI_TRUSTING;
    }
    return judge_ability(info);
}

const char *
chi_ofi_verdict_text(enum chi_ofi_verdict verdict)
{
    switch (verdict) {
    case CHI_OFI_FITS:
        return "fits";
    case CHI_OFI_OTHER_PROVIDER:
        return "not the provider asked for";
    case CHI_OFI_OTHER_INTERFACE:
        return "not the interface asked for";
    case CHI_OFI_NOT_RDM:
        return "no reliable datagrams";
    case CHI_OFI_NO_MESSAGES:
        return "no messages";
    case CHI_OFI_STRANGE_MODE:
        return "demands a mode that is not known";
    case CHI_OFI_STRANGE_MR_MODE:
        return "demands a registration mode that is not known";
    case CHI_OFI_TOO_SMALL:
        return "messages are too small";
    case CHI_OFI_NO_FLOW_CONTROL:
        return "no flow control";
    case CHI_OFI_NODE_ONLY:
        return "reaches this node only";
    case CHI_OFI_UNKNOWN:
        return "not a known provider";
    case CHI_OFI_TRUSTING:
        return "believes strangers: only if CHARE_OFI_PROVIDER names it";
    }
    return "unknown";
}

/* One number to compare offers by; smaller is better. */
static uint32_t
cost_of(const struct fi_info *info, const struct chi_ofi_wish *wish)
{
    const enum reach reach = reach_of(info);
    const struct in_addr *v4;
    const struct in6_addr *v6;
    uint32_t provider = known_index(info);

    /* "tcp" asked for by its whole name beats "tcp;ofi_rxm". */
    if (strcmp(info->fabric_attr->prov_name, wish->provider) == 0) {
        provider = 0;
    }
    (void)ip_address(info, &v4, &v6);
    return (reach >= REACH_LINK ? 1u << 16 : 0) + (provider << 8) +
           ((uint32_t)reach << 1) + (v6 != NULL ? 1 : 0);
}

const struct fi_info *
chi_ofi_choose(const struct fi_info *list, const struct chi_ofi_wish *wish)
{
    const struct fi_info *best = NULL;
    uint32_t best_cost = UINT32_MAX;

    for (; list != NULL; list = list->next) {
        uint32_t cost;

        if (chi_ofi_judge(list, wish) != CHI_OFI_FITS) {
            continue;
        }
        cost = cost_of(list, wish);
        if (cost < best_cost) {
            best = list;
            best_cost = cost;
        }
    }
    return best;
}

const char *
chi_ofi_why_not(const struct fi_info *info, const struct fi_info *chosen)
{
    const enum reach reach = reach_of(info);

    if (reach > reach_of(chosen) && reach == REACH_HOST) {
        return "fits, but only this host reaches it";
    }
    if (reach > reach_of(chosen) && reach == REACH_LINK) {
        return "fits, but its address is link-local";
    }
    if (strcmp(info->fabric_attr->prov_name, chosen->fabric_attr->prov_name) !=
        0) {
        return "fits, but there is a better provider";
    }
    return "fits, but there is a better address";
}

static uint64_t
eager_of(const struct fi_info *info, uint64_t wanted)
{
    const uint64_t most = info->ep_attr->max_msg_size - CHI_OFI_HEADER_BYTES;

    if (wanted == 0) {
        wanted =
            (known_flags(info) & LONG_EAGER) != 0 ? EAGER_LONG : EAGER_SHORT;
    }
    wanted = wanted < most ? wanted : most;
    wanted =
        wanted < CHI_OFI_EAGER_BYTES_MAX ? wanted : CHI_OFI_EAGER_BYTES_MAX;
    return wanted > CHI_OFI_EAGER_BYTES_MIN ? wanted : CHI_OFI_EAGER_BYTES_MIN;
}

static bool
has_rma(const struct fi_info *info)
{
    const bool raw = (info->domain_attr->mr_mode & FI_MR_RAW) != 0;

    return (info->caps & FI_RMA) != 0 &&
           /* No direction named means both. */
           ((info->caps &
             (FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE)) == 0 ||
            (info->caps & (FI_READ | FI_REMOTE_READ)) ==
                (FI_READ | FI_REMOTE_READ)) &&
           info->domain_attr->mr_key_size <=
               (raw ? (size_t)CHI_OFI_RAW_KEY_BYTES_MAX : sizeof(uint64_t));
}

void
chi_ofi_plan_init(const struct fi_info *info, uint64_t eager_bytes,
                  const struct chi_ofi_force *force, struct chi_ofi_plan *out)
{
    static const struct chi_ofi_force nothing;
    const int mr_mode = info->domain_attr->mr_mode;
    const uint64_t mode =
        info->mode | info->tx_attr->mode | info->rx_attr->mode;
    const size_t key_size = info->domain_attr->mr_key_size;

    force = force != NULL ? force : &nothing;
    *out = (struct chi_ofi_plan){
        .eager_bytes = eager_of(info, eager_bytes),
        .inject_bytes = info->tx_attr->inject_size,
        .prefix_bytes =
            (mode & FI_MSG_PREFIX) != 0 ? info->ep_attr->msg_prefix_size : 0,
        .local_mr = (mr_mode & FI_MR_LOCAL) != 0 || force->local_mr,
        .rma = has_rma(info) && !force->no_rma,
        .touch = (mr_mode & (FI_MR_ALLOCATED | FI_MR_MMU_NOTIFY)) != 0 ||
                 force->touch,
        .endpoint_mr = (mr_mode & FI_MR_ENDPOINT) != 0,
        .provider_keys = (mr_mode & FI_MR_PROV_KEY) != 0,
        .raw_keys = (mr_mode & FI_MR_RAW) != 0,
        .virtual_addresses = (mr_mode & FI_MR_VIRT_ADDR) != 0,
        .key_max = key_size == 0 || key_size >= sizeof(uint64_t)
                       ? UINT64_MAX - 1
                       : (1ull << (8 * key_size)) - 1,
        .node_only = is_node_only(info),
        .loopback = reach_of(info) == REACH_HOST,
        .trusting = (known_flags(info) & TRUSTING) != 0,
        .sticky_fd = (known_flags(info) & STICKY_FD) != 0,
    };
    out->bounce = out->local_mr || out->prefix_bytes > 0 || force->bounce ||
                  info->tx_attr->iov_limit < 2;
    /*
     * A prefix in front of each message does not go with many messages in
     * one buffer. Nor does completion in any order: then ofi_rxm gives the
     * buffer back while a long message is still being written into it.
     */
    out->multi_recv =
        (info->caps & FI_MULTI_RECV) != 0 && out->prefix_bytes == 0 &&
        (info->rx_attr->comp_order & CHI_OFI_ORDER_STRICT) ==
            CHI_OFI_ORDER_STRICT &&
        (known_flags(info) & SINGLE_RECV) == 0 && !force->no_multi_recv;
    out->tagged = (known_flags(info) & TAGGED) != 0 &&
                  (info->caps & FI_TAGGED) != 0 && !out->multi_recv;
    out->chunk_bytes =
        force->chunk_bytes > 0 ? force->chunk_bytes : CHUNK_BYTES;
    if (out->chunk_bytes > info->ep_attr->max_msg_size) {
        out->chunk_bytes = info->ep_attr->max_msg_size;
    }
}

void
chi_ofi_provider_names(const struct fi_info *list, char *out, size_t room)
{
    size_t used = 0;

    chi_assert(room > 0);
    out[0] = '\0';
    for (const struct fi_info *at = list; at != NULL; at = at->next) {
        const char *name = at->fabric_attr->prov_name;
        const struct fi_info *before = list;
        int len;

        while (before != at &&
               strcmp(before->fabric_attr->prov_name, name) != 0) {
            before = before->next;
        }
        if (before != at) {
            continue;
        }
        len = snprintf(out + used, room - used, "%s%s", used > 0 ? ", " : "",
                       name);
        if (len < 0 || (size_t)len >= room - used) {
            break;
        }
        used += (size_t)len;
    }
}
