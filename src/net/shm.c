/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.c - the provider for processes that share a node.
 *
 * Each PE owns one inbox (shm_ring.h) in a memfd, which never has a name in
 * /dev/shm: when the last process that maps it ends, however it ends, it is
 * gone. Peers reach it through /proc/PID/fd/FD, which the kernel grants to
 * the same user only; a random nonce in the inbox tells a recycled PID. The
 * size is sealed, so that no peer can make another fault.
 *
 * The doorbell is a datagram socket in the abstract namespace, also without a
 * trace in the file system. Anybody may ring it; it carries nothing.
 *
 * What send() accepts is in the peer's inbox at once, so there is never
 * anything to drain, and the message is released before send() returns.
 */
#include "config.h"

#include "net/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "msg/msg.h"
#include "net/shm_ring.h"

enum {
    EAGER_BYTES_DEFAULT = 16 * 1024,
    EAGER_BYTES_MIN = 1024,
    RINGS_DRAINED_MAX = 64, /* datagrams read by one wait_end() */
    NO_PEER = -1,
};

/* How to find an inbox; the provider's address. */
struct card {
    uint64_t nonce;
    uint64_t slot_count;
    uint64_t inode;
    uint32_t pid;
    uint32_t fd;
};

static_assert(sizeof(struct card) == 32, "the address has no padding");

struct peer {
    struct chi_shm_ring ring;
    struct card card;
    uint32_t rank;
    bool own;       /* this PE's own inbox: not mapped again */
    bool refuses;   /* its doorbell is gone */
    bool told_lost; /* reported to the sink */
};

struct shm {
    struct chi_net net; /* first: a chi_net * is a shm * */
    struct chi_shm_ring ring;
    uint64_t eager_bytes;
    bool asleep;
    bool lost_pending; /* some peer refuses and was not reported */
    struct card card;
    int memory;
    int doorbell; /* bound; readable when somebody rang */
    int bell;     /* not bound; rings the others' */

    struct peer *peers;
    uint32_t peer_count;
    int32_t *peer_of; /* by rank - rank_min; NO_PEER: none */
    uint32_t rank_min;
    uint32_t rank_max;
};

static struct shm *
shm_of(struct chi_net *net)
{
    return (struct shm *)(void *)net;
}

static const struct shm *
shm_of_const(const struct chi_net *net)
{
    return (const struct shm *)(const void *)net;
}

/* ---- the doorbell */

/* The abstract name of an inbox's doorbell; returns the address length. */
static socklen_t
doorbell_name(uint64_t nonce, struct sockaddr_un *out)
{
    int len;

    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    len = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1,
                   "chare-%016llx", (unsigned long long)nonce);
    chi_assert(len > 0);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                       (size_t)len);
}

/* Wake the owner of 'card'; 0, or the reason why it cannot be. */
static int
doorbell_ring(const struct shm *shm, const struct card *card)
{
    struct sockaddr_un name;
    const socklen_t len = doorbell_name(card->nonce, &name);

    if (sendto(shm->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&name, len) >= 0 ||
        errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        return 0; /* a full queue is readable already */
    }
    return errno;
}

static chare_status
doorbell_open(struct shm *shm)
{
    const int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    struct sockaddr_un name;
    const socklen_t len = doorbell_name(shm->card.nonce, &name);

    shm->doorbell = socket(AF_UNIX, type, 0);
    shm->bell = socket(AF_UNIX, type, 0);
    if (shm->doorbell < 0 || shm->bell < 0 ||
        bind(shm->doorbell, (const struct sockaddr *)&name, len) != 0) {
        chi_log_error(shm->net.options.log,
                      "no socket to wake this process by: %s; "
                      "CHARE_NET=ofi works without it",
                      strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    return CHARE_OK;
}

static void
doorbell_drain(const struct shm *shm)
{
    char byte;

    for (int i = 0; i < RINGS_DRAINED_MAX; i++) {
        if (recv(shm->doorbell, &byte, 1, MSG_DONTWAIT) < 0) {
            break;
        }
    }
}

/* ---- opening */

static chare_status
memory_failed(const struct shm *shm, const char *what)
{
    chi_log_error(shm->net.options.log,
                  "no shared memory for this process's inbox: %s: %s; try a "
                  "smaller CHARE_RING_BYTES, or CHARE_NET=ofi",
                  what, strerror(errno));
    return CHARE_ERR_SYSTEM;
}

static chare_status
inbox_create(struct shm *shm)
{
    const size_t bytes = chi_shm_inbox_bytes(shm->card.slot_count);
    struct chi_shm_inbox *inbox;
    struct stat stat;

    shm->memory = memfd_create("chare-inbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (shm->memory < 0) {
        return memory_failed(shm, "memfd_create");
    }
    /* Reserving the pages now turns a full node into an error here, instead
     * of a fault on the first message. */
    if (posix_fallocate(shm->memory, 0, (off_t)bytes) != 0 ||
        fcntl(shm->memory, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        fstat(shm->memory, &stat) != 0) {
        return memory_failed(shm, "sizing it");
    }
    inbox = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_POPULATE, shm->memory, 0);
    if (inbox == MAP_FAILED) {
        return memory_failed(shm, "mmap");
    }
    inbox->magic = CHI_SHM_MAGIC;
    inbox->nonce = shm->card.nonce;
    inbox->slot_count = shm->card.slot_count;
    shm->card.inode = stat.st_ino;
    shm->card.pid = (uint32_t)getpid();
    shm->card.fd = (uint32_t)shm->memory;
    chi_shm_ring_init(&shm->ring, inbox, shm->card.slot_count);
    return CHARE_OK;
}

/* Take over the settings; they are the user's. */
static chare_status
sizes_set(struct shm *shm)
{
    const struct chi_settings *settings = shm->net.options.settings;
    const uint64_t slots = settings->ring_bytes / CHI_SHM_SLOT_BYTES;
    const uint64_t most = slots / 8 * CHI_SHM_CHUNK_BYTES;
    uint64_t eager = settings->eager_bytes;

    if (slots * CHI_SHM_SLOT_BYTES != settings->ring_bytes ||
        (slots & (slots - 1)) != 0 || slots < CHI_SHM_SLOTS_MIN ||
        slots > CHI_SHM_SLOTS_MAX) {
        chi_log_error(shm->net.options.log,
                      "CHARE_RING_BYTES must be a power of two from %uk to "
                      "%um",
                      CHI_SHM_SLOTS_MIN * CHI_SHM_SLOT_BYTES >> 10,
                      (unsigned)CHI_SHM_SLOTS_MAX / (1u << 20) *
                          CHI_SHM_SLOT_BYTES);
        return CHARE_ERR_INVALID;
    }
    shm->card.slot_count = slots;
    if (eager == 0) {
        eager = EAGER_BYTES_DEFAULT;
    }
    eager = eager < EAGER_BYTES_MIN ? EAGER_BYTES_MIN : eager;
    eager = eager > most ? most : eager;
    if (eager >= 1u << CHI_SHM_LEN_BITS) {
        eager = (1u << CHI_SHM_LEN_BITS) - 1;
    }
    shm->eager_bytes = eager;
    return CHARE_OK;
}

static void
shm_close(struct chi_net *net)
{
    struct shm *shm = shm_of(net);

    if (shm->ring.inbox != NULL) {
        chi_shm_end(&shm->ring);
    }
    for (uint32_t i = 0; i < shm->peer_count; i++) {
        const struct peer *peer = &shm->peers[i];

        if (peer->ring.inbox != NULL && !peer->own) {
            (void)munmap(peer->ring.inbox,
                         chi_shm_inbox_bytes(peer->card.slot_count));
        }
    }
    if (shm->ring.inbox != NULL) {
        (void)munmap(shm->ring.inbox,
                     chi_shm_inbox_bytes(shm->card.slot_count));
    }
    if (shm->memory >= 0) {
        (void)close(shm->memory);
    }
    if (shm->doorbell >= 0) {
        (void)close(shm->doorbell);
    }
    if (shm->bell >= 0) {
        (void)close(shm->bell);
    }
    free(shm->peer_of);
    free(shm->peers);
    free(shm);
}

static chare_status
shm_open_net(const struct chi_net_options *options,
             const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct shm *shm = calloc(1, sizeof(*shm));
    chare_status status;

    if (shm == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    shm->net = (struct chi_net){
        .ops = &chi_net_shm_ops,
        .sink = *sink,
        .options = *options,
    };
    shm->memory = -1;
    shm->doorbell = -1;
    shm->bell = -1;
    if (getrandom(&shm->card.nonce, sizeof(shm->card.nonce), 0) !=
        (ssize_t)sizeof(shm->card.nonce)) {
        status = memory_failed(shm, "getrandom");
        goto close;
    }
    status = sizes_set(shm);
    if (status != CHARE_OK) {
        goto close;
    }
    status = inbox_create(shm);
    if (status != CHARE_OK) {
        goto close;
    }
    status = doorbell_open(shm);
    if (status != CHARE_OK) {
        goto close;
    }
    *net_out = &shm->net;
    return CHARE_OK;

close:
    shm_close(&shm->net);
    return status;
}

static void
shm_limits(const struct chi_net *net, struct chi_net_limits *out)
{
    *out = (struct chi_net_limits){
        .eager_bytes = shm_of_const(net)->eager_bytes,
        .rma = false,
    };
}

static chare_status
shm_address(struct chi_net *net, void *out, size_t *len_inout)
{
    const struct shm *shm = shm_of(net);

    if (*len_inout < sizeof(shm->card)) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(out, &shm->card, sizeof(shm->card));
    *len_inout = sizeof(shm->card);
    return CHARE_OK;
}

/* ---- peers */

static chare_status
peer_failed(const struct shm *shm, const struct peer *peer, const char *what,
            int why)
{
    chi_log_error(shm->net.options.log,
                  "cannot reach PE %u (process %u) through shared memory: "
                  "%s: %s; CHARE_NET=ofi works without it",
                  peer->rank, peer->card.pid, what, strerror(why));
    return CHARE_ERR_SYSTEM;
}

/* Whether 'fd' is the very memory that the card speaks of. */
static bool
memory_is(int fd, const struct card *card)
{
    const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct stat stat;

    return fstat(fd, &stat) == 0 && stat.st_ino == card->inode &&
           (uint64_t)stat.st_size == chi_shm_inbox_bytes(card->slot_count) &&
           fcntl(fd, F_GET_SEALS) == want;
}

static chare_status
peer_map(const struct shm *shm, struct peer *peer)
{
    const struct card *card = &peer->card;
    const size_t bytes = chi_shm_inbox_bytes(card->slot_count);
    struct chi_shm_inbox *inbox;
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%u/fd/%u", card->pid, card->fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return peer_failed(shm, peer, path, errno);
    }
    if (!memory_is(fd, card)) {
        (void)close(fd);
        return peer_failed(shm, peer, path, ESTALE);
    }
    inbox = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (inbox == MAP_FAILED) {
        return peer_failed(shm, peer, "mmap", errno);
    }
    if (inbox->magic != CHI_SHM_MAGIC || inbox->nonce != card->nonce ||
        inbox->slot_count != card->slot_count) {
        (void)munmap(inbox, bytes);
        return peer_failed(shm, peer, path, ESTALE);
    }
    chi_shm_ring_init(&peer->ring, inbox, card->slot_count);
    return CHARE_OK;
}

static chare_status
peer_init(const struct shm *shm, struct peer *peer,
          const struct chi_net_peer *from)
{
    const struct card *card = &peer->card;
    int why;

    peer->rank = from->rank;
    if (from->len != sizeof(peer->card)) {
        return peer_failed(shm, peer, "its address", EINVAL);
    }
    memcpy(&peer->card, from->address, sizeof(peer->card));
    if (card->slot_count < CHI_SHM_SLOTS_MIN ||
        card->slot_count > CHI_SHM_SLOTS_MAX ||
        (card->slot_count & (card->slot_count - 1)) != 0) {
        return peer_failed(shm, peer, "its address", EINVAL);
    }
    if (card->nonce == shm->card.nonce) {
        peer->own = true;
        chi_shm_ring_init(&peer->ring, shm->ring.inbox, card->slot_count);
        return CHARE_OK;
    }
    /* One ring now shows whether waking it works at all: it does not from
     * one network namespace to another. */
    why = doorbell_ring(shm, card);
    if (why != 0) {
        return peer_failed(shm, peer, "its doorbell", why);
    }
    return peer_map(shm, peer);
}

static chare_status
index_create(struct shm *shm, const struct chi_net_peer *peers,
             uint32_t peer_count)
{
    uint32_t span;

    shm->rank_min = peers[0].rank;
    shm->rank_max = peers[0].rank;
    for (uint32_t i = 1; i < peer_count; i++) {
        if (peers[i].rank < shm->rank_min) {
            shm->rank_min = peers[i].rank;
        }
        if (peers[i].rank > shm->rank_max) {
            shm->rank_max = peers[i].rank;
        }
    }
    span = shm->rank_max - shm->rank_min + 1;
    shm->peer_of = malloc(span * sizeof(shm->peer_of[0]));
    shm->peers = calloc(peer_count, sizeof(shm->peers[0]));
    if (shm->peer_of == NULL || shm->peers == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < span; i++) {
        shm->peer_of[i] = NO_PEER;
    }
    for (uint32_t i = 0; i < peer_count; i++) {
        shm->peer_of[peers[i].rank - shm->rank_min] = (int32_t)i;
    }
    return CHARE_OK;
}

static chare_status
shm_connect(struct chi_net *net, uint64_t job_key,
            const struct chi_net_peer *peers, uint32_t peer_count)
{
    struct shm *shm = shm_of(net);
    chare_status status;

    (void)job_key; /* the kernel keeps strangers out of the memory */
    chi_assert(shm->peers == NULL);
    if (peer_count == 0) {
        return CHARE_OK;
    }
    status = index_create(shm, peers, peer_count);
    if (status != CHARE_OK) {
        return status;
    }
    shm->peer_count = peer_count;
    for (uint32_t i = 0; i < peer_count; i++) {
        status = peer_init(shm, &shm->peers[i], &peers[i]);
        if (status != CHARE_OK) {
            return status;
        }
    }
    return CHARE_OK;
}

static struct peer *
peer_get(struct shm *shm, uint32_t rank)
{
    int32_t index;

    chi_assert(shm->peers != NULL && rank >= shm->rank_min &&
               rank <= shm->rank_max);
    index = shm->peer_of[rank - shm->rank_min];
    chi_assert(index != NO_PEER);
    return &shm->peers[index];
}

/* ---- messages */

static __attribute__((noinline, cold)) void
peer_wake(struct shm *shm, struct peer *peer)
{
    const int why = doorbell_ring(shm, &peer->card);

    if (why == ECONNREFUSED && !peer->refuses) {
        peer->refuses = true;
        shm->lost_pending = true;
    } else if (why != 0 && !peer->refuses) {
        peer->refuses = true;
        shm->lost_pending = true;
        (void)peer_failed(shm, peer, "its doorbell", why);
    }
}

static chare_status
shm_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct shm *shm = shm_of(net);
    struct peer *peer = peer_get(shm, rank);
    const uint64_t len = chi_msg_wire_len(msg);
    uint64_t position;
    bool wake;
    chare_status status;

    if (chi_unlikely(len > shm->eager_bytes)) {
        return CHARE_ERR_TOO_LARGE;
    }
    if (chi_unlikely(peer->refuses)) {
        return CHARE_ERR_PEER_LOST;
    }
    status =
        chi_shm_reserve(&peer->ring, chi_shm_slots_of(len), &position, &wake);
    if (chi_unlikely(status != CHARE_OK)) {
        return status;
    }
    chi_shm_fill(&peer->ring, position, chi_msg_wire(msg), len,
                 sizeof(struct chi_envelope) + msg->room);
    chi_shm_publish(&peer->ring, position, len);
    if (chi_unlikely(wake)) {
        peer_wake(shm, peer);
    }
    chi_msg_release(msg);
    return CHARE_OK;
}

/*
 * Step over a record whose length makes no sense. Its writer broke the
 * protocol, so nothing says where the next one begins: it takes what it
 * claims, but no more than is reserved.
 */
static __attribute__((noinline, cold)) void
drop_bad_length(struct shm *shm, uint64_t len)
{
    struct chi_shm_ring *ring = &shm->ring;
    const uint64_t slots = len == 0 ? 1 : chi_shm_slots_of(len);
    const uint64_t reserved = chi_shm_reserved(ring) - ring->position;

    shm->net.foreign_dropped++;
    if (reserved == 0) {
        /* Written without asking: take it away, or it is seen forever.
         * Relaxed: no producer reads stamps. */
        atomic_store_explicit(&ring->slots[ring->position & ring->mask].stamp,
                              0, memory_order_relaxed);
    } else {
        chi_shm_step(ring, slots < reserved ? slots : reserved);
    }
}

static uint32_t
report_lost(struct shm *shm, uint32_t events_max)
{
    uint32_t events = 0;

    for (uint32_t i = 0; i < shm->peer_count; i++) {
        struct peer *peer = &shm->peers[i];

        if (peer->refuses && !peer->told_lost && events < events_max) {
            peer->told_lost = true;
            events++;
            shm->net.sink.peer_lost(shm->net.sink.context, peer->rank,
                                    CHARE_ERR_PEER_LOST);
        }
    }
    shm->lost_pending = events == events_max;
    return events;
}

static uint32_t
shm_progress(struct chi_net *net, uint32_t events_max)
{
    struct shm *shm = shm_of(net);
    struct chi_shm_ring *ring = &shm->ring;
    uint32_t events = 0;
    uint64_t len;

    /* What is dropped counts as a turn too, so that a flood of garbage does
     * not hold the PE here. */
    for (uint32_t turn = 0; turn < events_max && chi_shm_peek(ring, &len);
         turn++) {
        struct chi_msg *msg;

        if (chi_unlikely(len < sizeof(struct chi_envelope) ||
                         len > shm->eager_bytes)) {
            drop_bad_length(shm, len);
            continue;
        }
        msg = chi_msg_alloc_wire(net->options.pool, len);
        if (chi_unlikely(msg == NULL)) {
            break; /* it stays in the ring, and its sender is held back */
        }
        chi_shm_take(ring, chi_msg_wire(msg), len,
                     sizeof(struct chi_envelope) + msg->room);
        chi_shm_step(ring, chi_shm_slots_of(len));
        if (chi_unlikely(!chi_msg_wire_ok(chi_msg_wire(msg), len))) {
            net->foreign_dropped++;
            chi_msg_release(msg);
            continue;
        }
        events++;
        net->sink.arrived(net->sink.context, msg);
    }
    if (events < events_max) {
        if (ring->head != ring->position) {
            chi_shm_give_back(ring);
        }
        if (chi_unlikely(shm->lost_pending)) {
            events += report_lost(shm, events_max - events);
        }
    }
    return events;
}

static bool
shm_drained(const struct chi_net *net)
{
    (void)net;
    return true;
}

/* ---- waiting */

static int
shm_wait_fd(const struct chi_net *net)
{
    return shm_of_const(net)->doorbell;
}

static chare_status
shm_wait_begin(struct chi_net *net)
{
    struct shm *shm = shm_of(net);
    uint64_t len;

    chi_assert(!shm->asleep);
    if (shm->lost_pending) {
        return CHARE_ERR_AGAIN;
    }
    if (shm->ring.head != shm->ring.position) {
        chi_shm_give_back(&shm->ring);
    }
    if (!chi_shm_sleep(&shm->ring)) {
        /* Reserved but not there yet: its producer may need this processor
         * to go on. */
        if (!chi_shm_peek(&shm->ring, &len)) {
            (void)sched_yield();
        }
        return CHARE_ERR_AGAIN;
    }
    shm->asleep = true;
    return CHARE_OK;
}

static void
shm_wait_end(struct chi_net *net)
{
    struct shm *shm = shm_of(net);

    chi_assert(shm->asleep);
    shm->asleep = false;
    chi_shm_wake(&shm->ring);
    /* A producer that cleared the flag may ring only after this: a wake-up
     * for nothing, later, and harmless. */
    doorbell_drain(shm);
}

/* ---- no remote memory access */

static chare_status
shm_expose(struct chi_net *net, const void *bytes, uint64_t len, void *key_out,
           size_t *key_len_inout, uint64_t *handle_out)
{
    (void)net;
    (void)bytes;
    (void)len;
    (void)key_out;
    (void)key_len_inout;
    (void)handle_out;
    return CHARE_ERR_STATE;
}

static void
shm_unexpose(struct chi_net *net, uint64_t handle)
{
    (void)net;
    (void)handle;
    chi_assert(!"nothing was exposed");
}

static chare_status
shm_get(struct chi_net *net, uint32_t rank, const void *key, size_t key_len,
        uint64_t offset, void *into, uint64_t len, uint64_t token)
{
    (void)net;
    (void)rank;
    (void)key;
    (void)key_len;
    (void)offset;
    (void)into;
    (void)len;
    (void)token;
    return CHARE_ERR_STATE;
}

const struct chi_net_ops chi_net_shm_ops = {
    .name = "shm",
    .abi = CHI_NET_ABI,
    .open = shm_open_net,
    .close = shm_close,
    .limits = shm_limits,
    .address = shm_address,
    .connect = shm_connect,
    .send = shm_send,
    .progress = shm_progress,
    .drained = shm_drained,
    .wait_fd = shm_wait_fd,
    .wait_begin = shm_wait_begin,
    .wait_end = shm_wait_end,
    .expose = shm_expose,
    .unexpose = shm_unexpose,
    .get = shm_get,
};
