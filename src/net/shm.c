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
 * trace in the file system. Anybody may ring it; it carries nothing. It is
 * rung where the PE sleeps on other descriptors, too (shm_wait.c).
 *
 * Large messages lie in the sender's arena (arena.h), and only their place
 * goes through the inbox.
 *
 * What send() accepts is in the peer's inbox at once, so there is never
 * anything to drain, and the message is released before send() returns.
 */
#include "config.h"

#include "net/shm.h"

#include <errno.h>
#include <fcntl.h>
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
#include "base/copy.h"
#include "msg/msg.h"
#include "net/shm_private.h"

enum {
    EAGER_BYTES_DEFAULT = 8 * 1024,
    EAGER_BYTES_MIN = 1024,
};

/* ---- the doorbell */

static chare_status
doorbell_open(struct chi_shm *shm)
{
    const int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    struct sockaddr_un name;
    const socklen_t len = chi_shm_doorbell_name(shm->card.nonce, &name);

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

/* ---- opening */

static chare_status
memory_failed(const struct chi_shm *shm, const char *what)
{
    chi_log_error(shm->net.options.log,
                  "no shared memory for this process's inbox: %s: %s; try a "
                  "smaller CHARE_RING_BYTES, or CHARE_NET=ofi",
                  what, strerror(errno));
    return CHARE_ERR_SYSTEM;
}

static chare_status
inbox_create(struct chi_shm *shm)
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
sizes_set(struct chi_shm *shm)
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
    struct chi_shm *shm = chi_shm_of(net);

    if (shm->ring.inbox != NULL) {
        chi_shm_end(&shm->ring);
    }
    for (uint32_t i = 0; i < shm->peer_count; i++) {
        const struct chi_shm_peer *peer = &shm->peers[i];

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
    struct chi_shm *shm = calloc(1, sizeof(*shm));
    chare_status status;

    if (shm == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    shm->net = (struct chi_net){
        .ops = &chi_net_shm_ops,
        .sink = *sink,
        .options = *options,
    };
    if (options->arena != NULL) {
        chi_arena_card(options->arena, &shm->card.arena);
    }
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
        .eager_bytes = chi_shm_of_const(net)->eager_bytes,
        .rma = false,
    };
}

static chare_status
shm_address(struct chi_net *net, void *out, size_t *len_inout)
{
    const struct chi_shm *shm = chi_shm_of(net);

    if (*len_inout < sizeof(shm->card)) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(out, &shm->card, sizeof(shm->card));
    *len_inout = sizeof(shm->card);
    return CHARE_OK;
}

/* ---- messages */

static chare_status
shm_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct chi_shm *shm = chi_shm_of(net);
    struct chi_shm_peer *peer = chi_shm_peer_get(shm, rank);
    const uint64_t len = chi_msg_wire_len(msg);
    uint64_t position;
    unsigned wake;
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
    if (chi_unlikely(wake != 0)) {
        chi_shm_peer_wake(shm, peer, wake);
    }
    chi_msg_release(msg);
    return CHARE_OK;
}

/* ---- messages handed over: only their place goes through the ring */

/* Where a message lies; the data of a CHI_HANDLER_BLOCK. */
struct place {
    uint64_t at;
    uint64_t wire_len;
    uint64_t room;  /* for bytes[] */
    uint32_t owner; /* the rank whose arena it is */
    uint32_t zero;
};

static_assert(sizeof(struct place) == 32, "wire format, no padding");

/* The other process whose arena the message lies in, or NULL. */
static const struct chi_shm_peer *
owner_of(const struct chi_shm *shm, const struct chi_msg *msg,
         uint64_t *place_out)
{
    for (uint32_t i = 0; i < shm->peer_count; i++) {
        const struct chi_shm_peer *peer = &shm->peers[i];

        if (peer->arena != NULL &&
            chi_arena_view_place(peer->arena, msg, place_out)) {
            return peer;
        }
    }
    return NULL;
}

/*
 * A message like this one that can leave, and its place; NULL: there is no
 * room. It is the message itself if nobody else holds it and it lies in any
 * arena of the node, also in one that we took it from.
 */
static struct chi_msg *
leaving(struct chi_shm *shm, struct chi_msg *msg, struct place *place_out)
{
    struct chi_arena *arena = shm->net.options.arena;
    const uint64_t len = chi_msg_wire_len(msg);
    struct chi_msg *leaver = msg;

    *place_out = (struct place){0};
    if (!chi_msg_can_leave(msg)) {
        leaver = chi_msg_alloc_wire(shm->net.options.pool, len);
        if (leaver == NULL) {
            return NULL;
        }
        if (!chi_msg_can_leave(leaver)) {
            chi_msg_release(leaver);
            return NULL;
        }
        chi_copy_away(chi_msg_wire(leaver), chi_msg_wire(msg), len);
    }
    place_out->wire_len = len;
    place_out->room = leaver->room;
    if (chi_arena_owns(arena, leaver)) {
        place_out->owner = shm->net.options.rank;
        place_out->at = chi_arena_give(arena, leaver);
    } else {
        const struct chi_shm_peer *owner =
            owner_of(shm, leaver, &place_out->at);

        chi_assert(owner != NULL); /* what can leave came from an arena */
        place_out->owner = owner->rank;
    }
    chi_msg_leave(leaver); /* once sent, it is the peer's to write to */
    return leaver;
}

static chare_status
shm_hand_over(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    struct chi_shm *shm = chi_shm_of(net);
    struct chi_shm_peer *peer = chi_shm_peer_get(shm, rank);
    struct chi_arena *arena = net->options.arena;
    struct chi_msg *block;
    struct chi_msg *leaver;
    struct place place;
    chare_status status = CHARE_ERR_TOO_LARGE;

    if (arena == NULL || peer->arena == NULL || !chi_arena_can_give(arena)) {
        return status;
    }
    if (!chi_shm_has_room(&peer->ring)) {
        return CHARE_ERR_AGAIN; /* before anything is copied */
    }
    block = chi_msg_alloc(net->options.pool, sizeof(place));
    if (block == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    leaver = leaving(shm, msg, &place);
    if (leaver == NULL) {
        goto release_block;
    }
    memcpy(block->bytes, &place, sizeof(place));
    block->env.handler = CHI_HANDLER_BLOCK;
    block->env.source_pe = net->options.rank;
    status = shm_send(net, rank, block);
    if (status != CHARE_OK) {
        if (place.owner == net->options.rank) {
            chi_arena_take_back(arena, leaver);
        }
        (void)chi_msg_enter(net->options.pool, leaver, place.room);
        goto release_leaver;
    }
    if (leaver != msg) {
        chi_msg_release(msg);
    }
    return CHARE_OK;

release_leaver:
    if (leaver != msg) {
        chi_msg_release(leaver);
    }
release_block:
    chi_msg_release(block);
    return status;
}

/* The message at a place that somebody of the node speaks of; NULL: it makes
 * no sense. */
static struct chi_msg *
place_take(struct chi_shm *shm, const struct place *place)
{
    const struct chi_shm_peer *owner;
    uint64_t bytes;

    if (place->wire_len < sizeof(struct chi_envelope) ||
        place->wire_len > CHI_MSG_LEN_MAX || place->room > CHI_MSG_LEN_MAX ||
        place->wire_len - sizeof(struct chi_envelope) > place->room) {
        return NULL;
    }
    bytes = sizeof(struct chi_msg) + place->room;
    if (place->owner == shm->net.options.rank) {
        return chi_arena_take_own(shm->net.options.arena, place->at, bytes);
    }
    owner = chi_shm_peer_find(shm, place->owner);
    if (owner == NULL || owner->arena == NULL) {
        return NULL;
    }
    return chi_arena_take(owner->arena, place->at, bytes);
}

static struct chi_msg *
shm_take_over(struct chi_net *net, uint32_t rank, struct chi_msg *block)
{
    struct place place = {0};
    struct chi_msg *msg;

    (void)rank;
    if (block->env.len == sizeof(place) && net->options.arena != NULL) {
        memcpy(&place, block->bytes, sizeof(place));
    }
    chi_msg_release(block);
    msg = place_take(chi_shm_of(net), &place);
    if (msg == NULL || !chi_msg_wire_ok(chi_msg_wire(msg), place.wire_len) ||
        msg->env.handler >= CHI_HANDLER_BULK) {
        return NULL;
    }
    return chi_msg_enter(net->options.pool, msg, place.room);
}

/*
 * Step over a record whose length makes no sense. Its writer broke the
 * protocol, so nothing says where the next one begins: it takes what it
 * claims, but no more than is reserved.
 */
static __attribute__((noinline, cold)) void
drop_bad_length(struct chi_shm *shm, uint64_t len)
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
report_lost(struct chi_shm *shm, uint32_t events_max)
{
    uint32_t events = 0;

    for (uint32_t i = 0; i < shm->peer_count; i++) {
        struct chi_shm_peer *peer = &shm->peers[i];

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
    struct chi_shm *shm = chi_shm_of(net);
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
    .connect = chi_shm_connect,
    .send = shm_send,
    .progress = shm_progress,
    .drained = shm_drained,
    .wait_fd = chi_shm_wait_fd,
    .wait_begin = chi_shm_wait_begin,
    .wait_end = chi_shm_wait_end,
    .ready = chi_shm_ready,
    .nap_begin = chi_shm_nap_begin,
    .nap = chi_shm_nap,
    .nudge = chi_shm_nudge_self,
    .expose = shm_expose,
    .unexpose = shm_unexpose,
    .get = shm_get,
    .hand_over = shm_hand_over,
    .take_over = shm_take_over,
};
