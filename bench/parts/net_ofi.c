/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_ofi.c - the libfabric net against a bare loop on the same provider.
 *
 *     net_ofi [--cpus A,B] [PROVIDER [INTERFACE [MODE]]]
 *     net_ofi [--cpus A,B] PROVIDER INTERFACE MODE WHAT COUNT
 *
 * Default: tcp;ofi_rxm lo, and the processes on the processors that they get;
 * with --cpus one stays on processor A, the other on B.
 *
 * Two processes on this host. Each round measures ours and then the bare loop
 * (fi_tsend and fi_trecv, nothing else): a ping-pong of 8 bytes, and 1 MiB
 * one way, ours by get() and in eager pieces. Rounds are short, so that some
 * pass undisturbed on a busy machine; the table shows the best and the median
 * of them, and the ratios of both. MODE "nofd": ours without a descriptor to
 * sleep on, as the bare loop; "json": lines for run.py instead of the table.
 *
 * NET_OFI_NETNS=PATH:PATH puts each process into a network namespace.
 *
 * WHAT (ping, get or eager; bare or bulk of the bare loop) and how often: only
 * this is done and nothing printed, for strace -f -c or callgrind: what two
 * COUNTs differ by is the cost of a round (of PINGS, or of BULKS).
 */
#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_tagged.h>

#include "base/check.h"
#include "base/clock.h"
#include "msg/msg.h"
#include "ofi/ofi.h"

enum {
    ROUNDS = 60,
    ROUNDS_JSON = 9,     /* run.py has rounds of its own */
    ROUNDS_PER_BULK = 4, /* bulk is measured in every so many */
    PINGS = 50,
    BULK_BYTES = 1 << 20,
    BULKS = 16,
    WINDOW = 8, /* bulk transfers under way */
    EMPTY_POLLS = 1000,
    ADDRESS_ROOM = 512,
};

struct side {
    int rank;
    int peer; /* a socket to the other process */
    const char *provider;
    const char *interface;
    struct chi_ofi_force *force;
    bool json;
    const char *only; /* one measurement, or NULL: all */
    int only_count;

    struct chi_net *net;
    struct chi_msg_pool *pool;
    struct chi_log log;
    struct chi_settings settings;
    uint64_t arrived;
    uint64_t arrived_bytes;
    uint64_t got;
    unsigned char key[CHI_NET_RMA_KEY_BYTES_MAX];
    uint64_t key_len;

    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *av;
    struct fid_cq *cq;
    struct fid_ep *ep;
    fi_addr_t other;
    struct fi_context2 contexts[2 * WINDOW];
    unsigned char *bulk;
};

static uint64_t
now_ns(void)
{
    return chi_clock_now_ns(&chi_clock_real);
}

static void
must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "net_ofi: %s failed\n", what);
        exit(1);
    }
}

/* Both sides give 'len' bytes and get the other's. */
static void
swap(struct side *side, const void *mine, void *theirs, size_t len)
{
    must(write(side->peer, mine, len) == (ssize_t)len, "write");
    must(recv(side->peer, theirs, len, MSG_WAITALL) == (ssize_t)len, "recv");
}

static void
meet(struct side *side)
{
    char byte = 0;

    swap(side, &byte, &byte, 1);
}

/* ---- ours */

static void
arrived(void *context, struct chi_msg *msg)
{
    struct side *side = context;

    side->arrived++;
    side->arrived_bytes += msg->env.len;
    chi_msg_release(msg);
}

static void
peer_lost(void *context, uint32_t rank, chare_status why)
{
    (void)context;
    (void)rank;
    (void)why;
    must(false, "the peer");
}

static void
got(void *context, uint64_t token, chare_status status)
{
    struct side *side = context;

    (void)token;
    must(status == CHARE_OK, "a get");
    side->got++;
}

static void
ours_open(struct side *side)
{
    const struct chi_net_sink sink = {side, arrived, peer_lost, got};
    struct chi_net_options options = {
        .log = &side->log,
        .settings = &side->settings,
        .clock = &chi_clock_real,
        .rank = (uint32_t)side->rank,
        .size = 2,
        .provider_options = side->force,
    };
    unsigned char mine[ADDRESS_ROOM] = {0};
    unsigned char theirs[ADDRESS_ROOM];
    struct chi_net_peer peer = {(uint32_t)(1 - side->rank), theirs, 0};
    char error[200];
    size_t len = sizeof(mine);
    uint64_t start = now_ns();
    uint64_t lens[2];

    side->log = (struct chi_log)CHI_LOG_INIT;
    must(chi_settings_read(&side->settings, error, sizeof(error)) == CHARE_OK,
         "settings");
    (void)snprintf(side->settings.ofi_provider,
                   sizeof(side->settings.ofi_provider), "%s", side->provider);
    (void)snprintf(side->settings.ofi_interface,
                   sizeof(side->settings.ofi_interface), "%s",
                   side->interface);
    must(chi_msg_pool_create(&side->pool) == CHARE_OK, "pool");
    options.pool = side->pool;
    must(chi_net_open(&chi_net_ofi_ops, &options, &sink, &side->net) ==
             CHARE_OK,
         "open");
    if (side->rank == 0) {
        fprintf(stderr, "open                  %10.1f ms\n",
                (double)(now_ns() - start) / 1e6);
    }
    must(chi_net_address(side->net, mine, &len) == CHARE_OK, "address");
    lens[0] = len;
    swap(side, &lens[0], &lens[1], sizeof(lens[0]));
    swap(side, mine, theirs, sizeof(mine));
    peer.len = lens[1];
    must(chi_net_connect(side->net, 1, &peer, 1) == CHARE_OK, "connect");
}

static void
ours_send(struct side *side, uint64_t len)
{
    struct chi_msg *msg = chi_msg_alloc(side->pool, len);
    chare_status status;

    must(msg != NULL, "memory");
    msg->env.handler = CHI_HANDLER_INVOKE;
    while ((status = chi_net_send(side->net, (uint32_t)(1 - side->rank),
                                  msg)) == CHARE_ERR_AGAIN) {
        (void)chi_net_progress(side->net, 16);
    }
    must(status == CHARE_OK, "send");
}

static void
ours_await(struct side *side, const uint64_t *counter, uint64_t until)
{
    while (*counter < until) {
        (void)chi_net_progress(side->net, 16);
    }
}

/* One way, in us. */
static double
ours_ping(struct side *side)
{
    const uint64_t start = now_ns();

    for (int i = 0; i < PINGS; i++) {
        if (side->rank == 0) {
            ours_send(side, 8);
        }
        ours_await(side, &side->arrived, side->arrived + 1);
        if (side->rank == 1) {
            ours_send(side, 8);
        }
    }
    return (double)(now_ns() - start) / 2e3 / PINGS;
}

/* Rank 1 tells rank 0 that it is through; rank 0 must make progress. */
static void
ours_end(struct side *side)
{
    if (side->rank == 1) {
        ours_send(side, 8);
        while (!chi_net_drained(side->net)) {
            (void)chi_net_progress(side->net, 16);
        }
    } else {
        ours_await(side, &side->arrived, side->arrived + 1);
    }
}

static double
rate(uint64_t bytes, uint64_t start)
{
    return (double)bytes * 1e3 / (double)(now_ns() - start); /* MB/s */
}

/* Rank 1 reads what rank 0 exposes. */
static double
ours_get(struct side *side)
{
    const uint64_t start = now_ns();
    const uint64_t first = side->got;

    if (side->rank == 1) {
        for (uint64_t i = 0; i < BULKS; i++) {
            ours_await(side, &side->got,
                       i < WINDOW ? first : first + i - WINDOW + 1);
            must(chi_net_get(side->net, 0, side->key, side->key_len, 0,
                             side->bulk, BULK_BYTES, i) == CHARE_OK,
                 "get");
        }
        ours_await(side, &side->got, first + BULKS);
    }
    ours_end(side);
    return rate((uint64_t)BULKS * BULK_BYTES, start);
}

static double
ours_eager(struct side *side)
{
    const uint64_t total = (uint64_t)BULKS * BULK_BYTES;
    const uint64_t start = now_ns();
    const uint64_t until = side->arrived_bytes + total;
    struct chi_net_limits limits;

    chi_net_limits(side->net, &limits);
    limits.eager_bytes -= sizeof(struct chi_envelope);
    if (side->rank == 0) {
        for (uint64_t at = 0; at < total; at += limits.eager_bytes) {
            ours_send(side, total - at < limits.eager_bytes
                                ? total - at
                                : limits.eager_bytes);
        }
    } else {
        ours_await(side, &side->arrived_bytes, until);
    }
    ours_end(side);
    return rate(total, start);
}

static double
ours_empty(struct side *side)
{
    const uint64_t start = now_ns();

    for (int i = 0; i < EMPTY_POLLS; i++) {
        (void)chi_net_progress(side->net, 16);
    }
    return (double)(now_ns() - start) / EMPTY_POLLS;
}

/* ---- the bare loop */

static bool
on_interface(const struct fi_info *info, const char *interface)
{
    const struct sockaddr_in *address = info->src_addr;
    char text[INET_ADDRSTRLEN] = "";

    if (info->addr_format != FI_SOCKADDR_IN) {
        return info->src_addr == NULL || info->addr_format == FI_ADDR_STR;
    }
    (void)inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
    return strcmp(info->domain_attr->name, interface) == 0 ||
           strncmp(text, interface, strlen(interface)) == 0;
}

static void
bare_choose(struct side *side)
{
    struct fi_info *hints = fi_allocinfo();
    struct fi_info *list = NULL;
    struct fi_info *at;

    must(hints != NULL, "fi_allocinfo");
    hints->ep_attr->type = FI_EP_RDM;
    hints->caps = FI_TAGGED;
    hints->mode = FI_CONTEXT | FI_CONTEXT2;
    hints->domain_attr->mr_mode =
        FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    hints->fabric_attr->prov_name = strdup(side->provider);
    must(fi_getinfo(FI_VERSION(1, 14), NULL, NULL, 0, hints, &list) == 0,
         "fi_getinfo");
    at = list;
    while (at != NULL &&
           (strcmp(at->fabric_attr->prov_name, side->provider) != 0 ||
            !on_interface(at, side->interface))) {
        at = at->next;
    }
    must(at != NULL, "the bare choice");
    side->info = fi_dupinfo(at);
    fi_freeinfo(list);
    fi_freeinfo(hints);
}

static void
bare_open(struct side *side)
{
    struct fi_cq_attr cq_attr = {.format = FI_CQ_FORMAT_CONTEXT, .size = 256};
    struct fi_av_attr av_attr = {.type = FI_AV_UNSPEC};
    unsigned char mine[ADDRESS_ROOM] = {0};
    unsigned char theirs[ADDRESS_ROOM];
    size_t len = sizeof(mine);

    bare_choose(side);
    must(fi_fabric(side->info->fabric_attr, &side->fabric, NULL) == 0 &&
             fi_domain(side->fabric, side->info, &side->domain, NULL) == 0 &&
             fi_av_open(side->domain, &av_attr, &side->av, NULL) == 0 &&
             fi_cq_open(side->domain, &cq_attr, &side->cq, NULL) == 0 &&
             fi_endpoint(side->domain, side->info, &side->ep, NULL) == 0 &&
             fi_ep_bind(side->ep, &side->av->fid, 0) == 0 &&
             fi_ep_bind(side->ep, &side->cq->fid, FI_TRANSMIT | FI_RECV) ==
                 0 &&
             fi_enable(side->ep) == 0,
         "the bare endpoint");
    must(fi_getname(&side->ep->fid, mine, &len) == 0, "fi_getname");
    swap(side, mine, theirs, sizeof(mine));
    must(fi_av_insert(side->av, theirs, 1, &side->other, 0, NULL) == 1,
         "fi_av_insert");
}

/* Completions that must come before this returns. */
static void
bare_await(struct side *side, int count)
{
    struct fi_cq_entry entries[16];

    while (count > 0) {
        const ssize_t rc =
            fi_cq_read(side->cq, entries, count < 16 ? (size_t)count : 16);

        must(rc > 0 || rc == -FI_EAGAIN, "fi_cq_read");
        count -= rc > 0 ? (int)rc : 0;
    }
}

static void
bare_send(struct side *side, size_t len, int slot)
{
    ssize_t rc;

    while ((rc = fi_tsend(side->ep, side->bulk, len, NULL, side->other, 1,
                          &side->contexts[slot])) == -FI_EAGAIN) {
        (void)fi_cq_read(side->cq, NULL, 0);
    }
    must(rc == 0, "fi_tsend");
}

static void
bare_receive(struct side *side, size_t len, int slot)
{
    must(fi_trecv(side->ep, side->bulk, len, NULL, FI_ADDR_UNSPEC, 1, 0,
                  &side->contexts[WINDOW + slot]) == 0,
         "fi_trecv");
}

static double
bare_ping(struct side *side)
{
    uint64_t start;

    bare_receive(side, 8, 0);
    meet(side);
    start = now_ns();
    for (int i = 0; i < PINGS; i++) {
        if (side->rank == 0) {
            bare_send(side, 8, 0);
        }
        bare_await(side, side->rank == 0 ? 2 : 1);
        if (i < PINGS - 1) {
            bare_receive(side, 8, 0);
        }
        if (side->rank == 1) {
            bare_send(side, 8, 0);
            bare_await(side, 1);
        }
    }
    return (double)(now_ns() - start) / 2e3 / PINGS;
}

static double
bare_bulk(struct side *side)
{
    uint64_t start;
    int begun = 0;

    for (int i = 0; side->rank == 1 && i < WINDOW; i++) {
        bare_receive(side, BULK_BYTES, i);
    }
    meet(side);
    start = now_ns();
    for (int i = 0; i < BULKS; i++) {
        if (side->rank == 0) {
            for (; begun < BULKS && begun < i + WINDOW; begun++) {
                bare_send(side, BULK_BYTES, begun % WINDOW);
            }
        }
        bare_await(side, 1);
        if (side->rank == 1 && i + WINDOW < BULKS) {
            bare_receive(side, BULK_BYTES, i % WINDOW);
        }
    }
    /* The same end as ours: a message back. */
    if (side->rank == 1) {
        bare_send(side, 8, 0);
    } else {
        bare_receive(side, 8, 0);
    }
    bare_await(side, 1);
    return rate((uint64_t)BULKS * BULK_BYTES, start);
}

/* ---- the table */

static int
compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* What all rounds of one measurement said. */
struct series {
    double values[ROUNDS];
    int count;
};

static void
series_add(struct series *series, double value)
{
    series->values[series->count++] = value;
}

static void
row(const char *name, struct series *ours, struct series *bare, bool is_rate,
    const char *unit)
{
    struct series *const both[2] = {ours, bare};
    double best[2];
    double middle[2];

    for (int i = 0; i < 2; i++) {
        const int count = both[i]->count;

        if (count == 0) {
            return;
        }
        qsort(both[i]->values, (size_t)count, sizeof(double), compare);
        best[i] = both[i]->values[is_rate ? count - 1 : 0];
        middle[i] = both[i]->values[count / 2];
    }
    printf("%-22s best %8.2f bare %8.2f x %.2f   median %8.2f bare %8.2f "
           "x %.2f  %s\n",
           name, best[0], best[1], best[0] / best[1], middle[0], middle[1],
           middle[0] / middle[1], unit);
}

/* The bare loop's median, as ns for one message. */
static void
json_row(const char *what, struct series *bare, bool is_rate)
{
    double middle;

    qsort(bare->values, (size_t)bare->count, sizeof(double), compare);
    middle = bare->values[bare->count / 2];
    printf("{\"what\": \"%s\", \"p50_ns\": %.1f}\n", what,
           is_rate ? BULK_BYTES / middle * 1e3 : middle * 1e3);
}

static double
measured(struct side *side, double (*measure)(struct side *))
{
    meet(side);
    return measure(side);
}

/* For counting: the measurement that was named, nothing else. */
static void
run_only(struct side *side)
{
    static const struct {
        const char *name;
        double (*measure)(struct side *);
    } known[] = {{"ping", ours_ping},
                 {"get", ours_get},
                 {"eager", ours_eager},
                 {"bare", bare_ping},
                 {"bulk", bare_bulk}};
    const size_t count = sizeof(known) / sizeof(known[0]);
    size_t at = 0;

    while (at < count && strcmp(known[at].name, side->only) != 0) {
        at++;
    }
    must(at < count, "the name of what to do");
    for (int i = 0; i < side->only_count; i++) {
        (void)measured(side, known[at].measure);
    }
}

static void
run(struct side *side)
{
    static struct series ping, bare_pings, by_get, by_eager, bulk, empty;
    struct chi_net_limits limits;

    chi_net_limits(side->net, &limits);
    (void)measured(side, ours_ping); /* connects */
    (void)measured(side, bare_ping);
    if (side->only != NULL) {
        run_only(side);
        return;
    }
    if (side->json) {
        for (int i = 0; i < ROUNDS_JSON; i++) {
            series_add(&bare_pings, measured(side, bare_ping));
            series_add(&bulk, measured(side, bare_bulk));
        }
        if (side->rank == 0) {
            json_row("bare 8", &bare_pings, false);
            json_row("bare 1M", &bulk, true);
        }
        return;
    }
    for (int i = 0; i < ROUNDS; i++) {
        series_add(&ping, measured(side, ours_ping));
        series_add(&bare_pings, measured(side, bare_ping));
        series_add(&empty, measured(side, ours_empty));
        if (i % ROUNDS_PER_BULK != 0) {
            continue;
        }
        if (limits.rma) {
            series_add(&by_get, measured(side, ours_get));
        }
        series_add(&bulk, measured(side, bare_bulk));
        series_add(&by_eager, measured(side, ours_eager));
    }
    if (side->rank != 0) {
        return;
    }
    row("8 B one way", &ping, &bare_pings, false, "us");
    row("1 MiB by get()", &by_get, &bulk, true, "MB/s");
    row("1 MiB in eager pieces", &by_eager, &bulk, true, "MB/s");
    row("empty progress()", &empty, &empty, false, "ns");
}

/*
 * Go into the network of this side, where NET_OFI_NETNS names two, with a
 * colon between. The sockets to the other side are of no network.
 */
static void
enter_network(int rank)
{
    const char *both = getenv("NET_OFI_NETNS");
    const char *colon = both != NULL ? strchr(both, ':') : NULL;
    char path[200];
    int fd;

    if (both == NULL) {
        return;
    }
    must(colon != NULL, "NET_OFI_NETNS");
    (void)snprintf(path, sizeof(path), "%.*s",
                   rank == 0 ? (int)(colon - both) : (int)strlen(colon + 1),
                   rank == 0 ? both : colon + 1);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && setns(fd, CLONE_NEWNET) == 0, "to enter a network");
    (void)close(fd);
}

/* Stay on the first or the second of two processors. */
static void
stay_on(int rank, const char *cpus)
{
    int two[2] = {-1, -1};
    cpu_set_t mask;

    must(sscanf(cpus, "%d,%d", &two[0], &two[1]) == 2 && two[rank] >= 0 &&
             two[rank] < CPU_SETSIZE,
         "--cpus A,B");
    CPU_ZERO(&mask);
    CPU_SET((size_t)two[rank], &mask);
    must(sched_setaffinity(0, sizeof(mask), &mask) == 0, "sched_setaffinity");
}

/* Take --cpus and its value away from the arguments; NULL: there is none. */
static const char *
take_cpus(int *argc, char ***argv)
{
    if (*argc < 3 || strcmp((*argv)[1], "--cpus") != 0) {
        return NULL;
    }
    *argc -= 2;
    *argv += 2;
    return (*argv)[0];
}

int
main(int argc, char **argv)
{
    const char *cpus = take_cpus(&argc, &argv);
    struct chi_ofi_force force = {.no_wait_fd = argc > 3 &&
                                                strcmp(argv[3], "nofd") == 0};
    struct side side = {
        .force = &force,
        .json = argc > 3 && strcmp(argv[3], "json") == 0,
        .only = argc > 5 ? argv[4] : NULL,
        .only_count = argc > 5 ? atoi(argv[5]) : 0,
        .provider = argc > 1 ? argv[1] : "tcp;ofi_rxm",
        .interface = argc > 2 ? argv[2] : "lo",
    };
    unsigned char other_key[sizeof(side.key)];
    uint64_t key_len = sizeof(side.key);
    uint64_t handle = 0;
    int fds[2];
    pid_t child;

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    side.rank = child == 0 ? 1 : 0;
    side.peer = fds[side.rank];
    (void)close(fds[1 - side.rank]);
    if (cpus != NULL) {
        stay_on(side.rank, cpus);
    }
    enter_network(side.rank);
    side.bulk = aligned_alloc(4096, BULK_BYTES);
    must(side.bulk != NULL, "memory");
    memset(side.bulk, 1, BULK_BYTES);
    ours_open(&side);
    bare_open(&side);
    if (chi_net_expose(side.net, side.bulk, BULK_BYTES, side.key, &key_len,
                       &handle) == CHARE_OK) {
        swap(&side, side.key, other_key, sizeof(side.key));
        memcpy(side.key, other_key, sizeof(side.key));
        side.key_len = key_len;
    }
    run(&side);
    meet(&side);
    chi_net_close(side.net);
    chi_msg_pool_destroy(side.pool);
    (void)fi_close(&side.ep->fid);
    (void)fi_close(&side.cq->fid);
    (void)fi_close(&side.av->fid);
    (void)fi_close(&side.domain->fid);
    (void)fi_close(&side.fabric->fid);
    fi_freeinfo(side.info);
    free(side.bulk);
    return child == 0 || waitpid(child, NULL, 0) == child ? 0 : 1;
}
