/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peers.c - who can be reached, and under which address.
 *
 * An address as it travels through the wire-up:
 *
 *     u32 kind     a hash of provider, protocol and header format: both ends
 *                  must have the same
 *     u32 node     a hash of what makes this node one, where it matters
 *     ...          what fi_getname() says
 *
 * All addresses are kept, packed; a peer's state is made and its address
 * given to libfabric when the first message goes to it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "ofi/state.h"

enum {
    HEAD_BYTES = 8,
};

static uint64_t
hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = chi_mix64(hash ^ at[i]);
    }
    return hash;
}

static uint32_t
kind_hash(const struct chi_ofi *ofi)
{
    const char *name = ofi->info->fabric_attr->prov_name;
    const uint32_t protocol[] = {ofi->info->ep_attr->protocol,
                                 ofi->info->addr_format, CHI_OFI_HEADER_BYTES,
                                 ofi->plan.tagged};

    return (uint32_t)hash_bytes(hash_bytes(1, name, strlen(name)), protocol,
                                sizeof(protocol));
}

static uint64_t
hash_inode(uint64_t hash, const char *path)
{
    struct stat info;
    uint64_t pair[2] = {0, 0};

    if (stat(path, &info) == 0) {
        pair[0] = (uint64_t)info.st_dev;
        pair[1] = (uint64_t)info.st_ino;
    }
    return hash_bytes(hash, pair, sizeof(pair));
}

static uint64_t
hash_line(uint64_t hash, const char *path)
{
    char line[64] = "";
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(file);
    }
    return hash_bytes(hash, line, strlen(line));
}

/*
 * What processes must share to meet in shared memory: the running kernel,
 * /dev/shm, and the process ids that its names are made of; or to meet on
 * the loopback interface: kernel and network namespace. 0: need not share.
 */
static uint32_t
node_hash(const struct chi_ofi *ofi)
{
    uint64_t hash;

    if (!ofi->plan.node_only && !ofi->plan.loopback) {
        return 0;
    }
    hash = hash_line(2, "/proc/sys/kernel/random/boot_id");
    if (ofi->plan.loopback) {
        return (uint32_t)hash_inode(hash, "/proc/self/ns/net");
    }
    hash = hash_inode(hash, "/dev/shm");
    return (uint32_t)hash_inode(hash, "/proc/self/ns/pid");
}

chare_status
chi_ofi_peers_address(struct chi_net *net, void *out, size_t *len_inout)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    unsigned char bytes[CHI_NET_ADDRESS_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, HEAD_BYTES);
    size_t len = sizeof(bytes) - HEAD_BYTES;
    int rc;

    chi_write_u32(&writer, kind_hash(ofi));
    chi_write_u32(&writer, node_hash(ofi));
    chi_assert(!writer.bad);
    rc = fi_getname(&ofi->ep->fid, bytes + HEAD_BYTES, &len);
    if (rc != 0) {
        chi_log_error(chi_ofi_log(ofi), "ofi: cannot get the own address: %s",
                      ofi->library.strerror(-rc));
        return CHARE_ERR_TOO_LARGE;
    }
    len += HEAD_BYTES;
    if (len > *len_inout) {
        return CHARE_ERR_TOO_LARGE;
    }
    memcpy(out, bytes, len);
    *len_inout = len;
    return CHARE_OK;
}

/* ---- connecting */

static chare_status
peer_check(const struct chi_ofi *ofi, const struct chi_net_peer *peer)
{
    struct chi_reader reader = chi_reader_of(peer->address, peer->len);
    const uint32_t kind = chi_read_u32(&reader);
    const uint32_t node = chi_read_u32(&reader);

    if (reader.bad || chi_reader_left(&reader) == 0) {
        chi_log_error(chi_ofi_log(ofi), "ofi: rank %u has no address",
                      peer->rank);
        return CHARE_ERR_FABRIC;
    }
    if (kind != kind_hash(ofi)) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: rank %u uses another provider than %s here; set "
                      "CHARE_OFI_PROVIDER to one that all nodes have",
                      peer->rank, ofi->info->fabric_attr->prov_name);
        return CHARE_ERR_FABRIC;
    }
    if (node != node_hash(ofi)) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: %s reaches this node only and rank %u is on "
                      "another; choose another %s",
                      ofi->plan.loopback ? "the loopback interface"
                                         : ofi->info->fabric_attr->prov_name,
                      peer->rank,
                      ofi->plan.loopback ? "CHARE_OFI_INTERFACE"
                                         : "CHARE_OFI_PROVIDER");
        return CHARE_ERR_FABRIC;
    }
    return CHARE_OK;
}

static int
card_compare(const void *left, const void *right)
{
    const struct chi_ofi_card *a = left;
    const struct chi_ofi_card *b = right;

    return (a->rank > b->rank) - (a->rank < b->rank);
}

chare_status
chi_ofi_peers_connect(struct chi_net *net, uint64_t job_key,
                      const struct chi_net_peer *peers, uint32_t peer_count)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    size_t total = 0;
    bool sorted = true;

    chi_assert(!ofi->connected);
    for (uint32_t i = 0; i < peer_count; i++) {
        const chare_status status = peer_check(ofi, &peers[i]);

        if (status != CHARE_OK) {
            return status;
        }
        total += peers[i].len - HEAD_BYTES;
    }
    if (total > UINT32_MAX) {
        return CHARE_ERR_NO_MEMORY;
    }
    ofi->cards = calloc((size_t)peer_count + 1, sizeof(*ofi->cards));
    ofi->addresses = malloc(total + 1);
    if (ofi->cards == NULL || ofi->addresses == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    total = 0;
    for (uint32_t i = 0; i < peer_count; i++) {
        struct chi_ofi_card *card = &ofi->cards[i];

        card->rank = peers[i].rank;
        card->offset = (uint32_t)total;
        card->len = (uint32_t)(peers[i].len - HEAD_BYTES);
        memcpy(ofi->addresses + total,
               (const unsigned char *)peers[i].address + HEAD_BYTES,
               card->len);
        total += card->len;
        sorted = sorted && (i == 0 || peers[i - 1].rank < peers[i].rank);
    }
    ofi->card_count = peer_count;
    if (!sorted) {
        qsort(ofi->cards, peer_count, sizeof(*ofi->cards), card_compare);
    }
    ofi->job_key = job_key;
    ofi->connected = true;
    return CHARE_OK;
}

/* Whether no such process runs any more; it may still have to be reaped. */
static bool
is_dead(long pid)
{
    char path[64];
    char text[256] = "";
    const char *state;
    FILE *file;

    if (kill((pid_t)pid, 0) != 0) {
        return errno == ESRCH;
    }
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    if (fgets(text, sizeof(text), file) == NULL) {
        text[0] = '\0';
    }
    (void)fclose(file);
    state = strrchr(text, ')'); /* behind the name of the program */
    return state != NULL && (state[2] == 'Z' || state[2] == 'X');
}

/*
 * The provider shm names its memory after the process, which cannot remove
 * it when it is killed: the others do so as they leave.
 */
static void
shm_remove_of_dead(const struct chi_ofi *ofi)
{
    static const char prefix[] = "fi_shm://";
    char name[128];

    for (uint32_t i = 0; i < ofi->card_count; i++) {
        const struct chi_ofi_card *card = &ofi->cards[i];
        long pid;

        (void)snprintf(name, sizeof(name), "%.*s", (int)card->len,
                       (const char *)ofi->addresses + card->offset);
        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
            continue;
        }
        pid = strtol(name + sizeof(prefix) - 1, NULL, 10);
        if (pid > 0 && is_dead(pid)) {
            (void)shm_unlink(name + sizeof(prefix) - 1);
        }
    }
}

void
chi_ofi_peers_close(struct chi_ofi *ofi)
{
    size_t cursor = 0;
    uint64_t rank;
    void *peer;

    if (ofi->plan.node_only) {
        shm_remove_of_dead(ofi);
    }
    while (chi_map_next(&ofi->peers, &cursor, &rank, &peer)) {
        free(peer);
    }
    chi_map_fini(&ofi->peers);
    free(ofi->cards);
    free(ofi->addresses);
}

/* ---- one peer */

static const struct chi_ofi_card *
card_find(const struct chi_ofi *ofi, uint32_t rank)
{
    const struct chi_ofi_card key = {.rank = rank};

    if (ofi->card_count == 0) {
        return NULL;
    }
    return bsearch(&key, ofi->cards, ofi->card_count, sizeof(*ofi->cards),
                   card_compare);
}

struct chi_ofi_peer *
chi_ofi_peer_create(struct chi_ofi *ofi, uint32_t rank)
{
    struct chi_ofi_peer *peer;

    if (card_find(ofi, rank) == NULL) {
        return NULL;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->rank = rank;
    peer->address = FI_ADDR_NOTAVAIL;
    if (chi_map_put(&ofi->peers, rank, peer) != CHARE_OK) {
        free(peer);
        return NULL;
    }
    return peer;
}

chare_status
chi_ofi_peer_insert(struct chi_ofi *ofi, struct chi_ofi_peer *peer)
{
    const struct chi_ofi_card *card = card_find(ofi, peer->rank);
    fi_addr_t address = FI_ADDR_NOTAVAIL;
    const int count = fi_av_insert(ofi->av, ofi->addresses + card->offset, 1,
                                   &address, 0, NULL);

    if (count != 1) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: the address of rank %u is refused: %s", peer->rank,
                      ofi->library.strerror(count < 0 ? -count : FI_EINVAL));
        chi_ofi_peer_lose(ofi, peer, CHARE_ERR_PEER_LOST);
        return CHARE_ERR_PEER_LOST;
    }
    peer->address = address;
    return CHARE_OK;
}

void
chi_ofi_peer_lose(struct chi_ofi *ofi, struct chi_ofi_peer *peer,
                  chare_status why)
{
    if (peer->lost) {
        return;
    }
    peer->lost = true;
    peer->why = why;
    peer->next_lost = ofi->lost;
    ofi->lost = peer;
    chi_ofi_eager_forget(ofi, peer);
}
