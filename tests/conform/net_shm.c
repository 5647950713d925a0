/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_shm.c - the shared-memory rings pass the suite of all net providers.
 *
 * Foreign input here is what a process that has mapped an inbox can put there:
 * published records of impossible lengths, and records that are no envelope.
 */
#include "config.h"

#include "conform/net_conform.h"
#include "net/shm.h"
#include "net/shm_ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The address as shm.c writes it. */
struct address {
    uint64_t nonce;
    uint64_t slot_count;
    uint64_t inode;
    uint32_t pid;
    uint32_t fd;
    uint64_t arena[3];
};

/* Publish a record that claims 'claimed' bytes in as many slots as 'len'. */
static bool
put_record(struct chi_shm_ring *ring, uint64_t len, uint64_t claimed)
{
    static const unsigned char garbage[4096] = {0xff, 0xee, 0xdd};
    uint64_t position;
    unsigned wake;

    if (chi_shm_reserve(ring, chi_shm_slots_of(len), &position, &wake) !=
        CHARE_OK) {
        return false;
    }
    chi_shm_fill(ring, position, garbage, len, sizeof(garbage));
    chi_shm_publish(ring, position, claimed);
    return true;
}

/* A net's inbox, mapped once more; NULL: it cannot be. */
static struct chi_shm_inbox *
inbox_open(struct chi_net *net, struct chi_shm_ring *ring, size_t *bytes_out)
{
    struct address address;
    struct chi_shm_inbox *inbox;
    size_t len = sizeof(address);

    if (chi_net_address(net, &address, &len) != CHARE_OK) {
        return NULL;
    }
    *bytes_out = chi_shm_inbox_bytes(address.slot_count);
    inbox = mmap(NULL, *bytes_out, PROT_READ | PROT_WRITE, MAP_SHARED,
                 (int)address.fd, 0);
    if (inbox == MAP_FAILED) {
        return NULL;
    }
    chi_shm_ring_init(ring, inbox, address.slot_count);
    return inbox;
}

static uint32_t
inject(struct chi_net *net)
{
    struct chi_shm_ring ring;
    size_t bytes;
    struct chi_shm_inbox *inbox = inbox_open(net, &ring, &bytes);
    uint32_t count = 0;

    if (inbox == NULL) {
        return 0;
    }
    count += put_record(&ring, 56, 0);
    count += put_record(&ring, 56, 1);
    count += put_record(&ring, 56, 47);
    count += put_record(&ring, 48, 48);
    count += put_record(&ring, 56, 56);
    count += put_record(&ring, 1000, 1000);
    (void)munmap(inbox, bytes);
    return count;
}

/* Nothing is behind it, so that the ring goes on after what is reserved. */
static uint32_t
inject_too_long(struct chi_net *net)
{
    uint32_t count = inject(net);
    struct chi_shm_ring ring;
    size_t bytes;
    struct chi_shm_inbox *inbox = inbox_open(net, &ring, &bytes);

    if (inbox == NULL) {
        return 0;
    }
    count += put_record(&ring, 56, (1u << CHI_SHM_LEN_BITS) - 1);
    (void)munmap(inbox, bytes);
    return count;
}

static const struct net_conform conform = {
    .ops = &chi_net_shm_ops,
    .key_unused = true, /* the kernel grants the memory to one user only */
    .inject = inject_too_long,
};

NET_CONFORM_MAIN(&conform)
