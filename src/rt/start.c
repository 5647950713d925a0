/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - from a process that knows its rank to a PE among others.
 *
 * Each process puts all that its peers need into one blob: what must be equal
 * everywhere, its place, its addresses. One exchange carries them.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "rt/runtime.h"

enum {
    BLOB_MAGIC = 0x63686172, /* also tells the byte order */
    LOST_GRACE_NS = 10000000,
    LOST_GRACE_ROUNDS = 150, /* 1.5 s for a PE in a long entry method */
};

/* What must be the same on all PEs. */
struct blob_head {
    uint32_t magic;
    uint16_t wire_version;
    uint16_t codec_version;
    uint64_t digest;
    uint64_t job_key; /* that of rank 0 counts */
};

static void
write_address(struct chi_writer *writer, const void *bytes, size_t len)
{
    chi_write_u16(writer, (uint16_t)len);
    chi_write(writer, bytes, len);
}

static chare_status
write_net(struct chi_writer *writer, struct chi_net *net)
{
    unsigned char address[CHI_NET_ADDRESS_BYTES_MAX];
    size_t len = sizeof(address);
    chare_status status = CHARE_OK;

    if (net == NULL) {
        write_address(writer, NULL, 0);
        return CHARE_OK;
    }
    status = chi_net_address(net, address, &len);
    if (status == CHARE_OK) {
        write_address(writer, address, len);
    }
    return status;
}

chare_status
chi_rt_blob(chare_runtime *runtime, void *out, size_t *len_inout)
{
    const struct blob_head head = {
        .magic = BLOB_MAGIC,
        .wire_version = CHI_MSG_WIRE_VERSION,
        .codec_version = CHARE_CODEC_VERSION,
        .digest = runtime->registry.digest,
        .job_key = runtime->job_key,
    };
    unsigned char address[CHI_WATCH_ADDRESS_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(out, *len_inout);
    size_t len = 0;
    chare_status status;

    chi_write(&writer, &head, sizeof(head));
    chi_place_encode(&runtime->place, &writer);
    chi_cpus_encode(&runtime->cpus, &writer);
    status =
        write_net(&writer, runtime->sim != NULL ? runtime->sim : runtime->shm);
    if (status == CHARE_OK) {
        status = write_net(&writer, runtime->ofi);
    }
    if (status == CHARE_OK && runtime->watch != NULL) {
        len = sizeof(address);
        status = chi_watch_address(runtime->watch, address, &len);
    }
    if (status != CHARE_OK) {
        return status;
    }
    write_address(&writer, address, len);
    if (writer.bad) {
        return CHARE_ERR_TOO_LARGE;
    }
    *len_inout = (size_t)(writer.at - (unsigned char *)out);
    return CHARE_OK;
}

/* ---- reading all blobs */

struct peer_blob {
    struct blob_head head;
    struct chi_place place;
    const void *cpus; /* as it was encoded, like the addresses */
    size_t cpus_len;
    const void *near; /* address for the ring, or the simulated net */
    size_t near_len;
    const void *ofi;
    size_t ofi_len;
    const void *watch;
    size_t watch_len;
};

static const void *
read_address(struct chi_reader *reader, size_t *len_out)
{
    *len_out = chi_read_u16(reader);
    return chi_read_bytes(reader, *len_out);
}

static chare_status
blob_read(const void *bytes, size_t len, struct peer_blob *out)
{
    struct chi_reader reader = chi_reader_of(bytes, len);
    struct chi_cpus cpus;

    chi_read(&reader, &out->head, sizeof(out->head));
    if (reader.bad || out->head.magic != BLOB_MAGIC) {
        return CHARE_ERR_WIREUP;
    }
    if (chi_place_decode(&reader, &out->place) != CHARE_OK) {
        return CHARE_ERR_WIREUP;
    }
    out->cpus = reader.at;
    if (chi_cpus_decode(&reader, &cpus) != CHARE_OK) {
        return CHARE_ERR_WIREUP;
    }
    out->cpus_len = (size_t)(reader.at - (const unsigned char *)out->cpus);
    out->near = read_address(&reader, &out->near_len);
    out->ofi = read_address(&reader, &out->ofi_len);
    out->watch = read_address(&reader, &out->watch_len);
    return reader.bad ? CHARE_ERR_WIREUP : CHARE_OK;
}

static chare_status
blob_check(const chare_runtime *runtime, uint32_t rank,
           const struct peer_blob *blob)
{
    if (blob->head.wire_version != CHI_MSG_WIRE_VERSION ||
        blob->head.codec_version != CHARE_CODEC_VERSION) {
        chi_log_error(&runtime->log,
                      "PE %u (on %s) runs another version of chare; all "
                      "processes must use the same installation",
                      rank, blob->place.node_name);
        return CHARE_ERR_WIREUP;
    }
    if (blob->head.digest != runtime->registry.digest) {
        chi_log_error(&runtime->log,
                      "PE %u (on %s) has registered other chare types or "
                      "entry methods than this one, or in another order; all "
                      "processes must run the same program",
                      rank, blob->place.node_name);
        return CHARE_ERR_WIREUP;
    }
    return CHARE_OK;
}

static chare_status
blobs_read(chare_runtime *runtime, const struct chi_wireup_table *table,
           struct peer_blob *blobs)
{
    for (uint32_t rank = 0; rank < table->count; rank++) {
        size_t len;
        const void *bytes = chi_wireup_blob(table, rank, &len);
        chare_status status = blob_read(bytes, len, &blobs[rank]);

        if (status != CHARE_OK) {
            chi_log_error(&runtime->log,
                          "PE %u sent no proper start record; is it of "
                          "another version of chare?",
                          rank);
            return status;
        }
        status = blob_check(runtime, rank, &blobs[rank]);
        if (status != CHARE_OK) {
            return status;
        }
    }
    return CHARE_OK;
}

/* ---- connecting */

static chare_status
connect_net(chare_runtime *runtime, struct chi_net *net,
            const struct peer_blob *blobs, bool near)
{
    const uint32_t size = runtime->pe->size;
    const uint32_t me = runtime->pe->rank;
    struct chi_net_peer *peers = calloc(size, sizeof(*peers));
    uint32_t count = 0;
    chare_status status;

    if (peers == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t rank = 0; rank < size; rank++) {
        const struct peer_blob *blob = &blobs[rank];
        const bool is_near = net == runtime->sim ||
                             (runtime->shm != NULL &&
                              blob->place.node_id == runtime->place.node_id);

        if (rank != me && is_near == near) {
            peers[count++] = (struct chi_net_peer){
                .rank = rank,
                .address = near ? blob->near : blob->ofi,
                .len = near ? blob->near_len : blob->ofi_len,
            };
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (net == NULL || peers[i].len == 0) {
            chi_log_error(&runtime->log,
                          "PE %u is on another node (%s), and there is no "
                          "fabric to reach it; do not set CHARE_NET=shm, and "
                          "build with libfabric",
                          peers[i].rank, blobs[peers[i].rank].place.node_name);
            free(peers);
            return CHARE_ERR_FABRIC;
        }
    }
    status = count == 0 ? CHARE_OK
                        : chi_route_connect(runtime->route, net,
                                            runtime->job_key, peers, count);
    free(peers);
    return status;
}

static chare_status
connect_watch(chare_runtime *runtime, const struct peer_blob *blobs)
{
    const uint32_t next = (runtime->pe->rank + 1) % runtime->pe->size;

    return chi_watch_start(runtime->watch, runtime->job_key,
                           blobs[next].place.node_id == runtime->place.node_id,
                           blobs[next].watch, blobs[next].watch_len);
}

static chare_status
connect_all(chare_runtime *runtime, const struct peer_blob *blobs)
{
    chare_status status = CHARE_OK;

    if (runtime->sim != NULL) {
        status = connect_net(runtime, runtime->sim, blobs, true);
    } else {
        if (runtime->shm != NULL) {
            status = connect_net(runtime, runtime->shm, blobs, true);
        }
        if (status == CHARE_OK) {
            status = connect_net(runtime, runtime->ofi, blobs, false);
        }
    }
    if (status == CHARE_OK && runtime->watch != NULL) {
        status = connect_watch(runtime, blobs);
    }
    return status;
}

static chare_status
layout_create(chare_runtime *runtime, const struct peer_blob *blobs)
{
    const uint32_t size = runtime->pe->size;
    struct chi_place *places = calloc(size, sizeof(*places));
    chare_status status;

    if (places == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t rank = 0; rank < size; rank++) {
        places[rank] = blobs[rank].place;
    }
    status = chi_layout_create(places, size, &runtime->layout);
    free(places);
    return status;
}

static bool
on_my_node(const chare_runtime *runtime, const struct peer_blob *blob)
{
    return blob->place.node_id == runtime->place.node_id;
}

/* What the PEs of this node may use, by rank, and which of them this is. */
static struct chi_cpus *
node_cpus(const chare_runtime *runtime, const struct peer_blob *blobs,
          uint32_t *count_out, uint32_t *me_out)
{
    struct chi_cpus *cpus;
    uint32_t count = 0;

    for (uint32_t rank = 0; rank < runtime->pe->size; rank++) {
        count += on_my_node(runtime, &blobs[rank]);
    }
    cpus = calloc(count, sizeof(*cpus));
    *count_out = count;
    count = 0;
    for (uint32_t rank = 0; cpus != NULL && rank < runtime->pe->size; rank++) {
        if (on_my_node(runtime, &blobs[rank])) {
            struct chi_reader reader =
                chi_reader_of(blobs[rank].cpus, blobs[rank].cpus_len);
            const chare_status status = chi_cpus_decode(&reader, &cpus[count]);

            chi_assert(status == CHARE_OK); /* blob_read() */
            *me_out = rank == runtime->pe->rank ? count : *me_out;
            count++;
        }
    }
    return cpus;
}

/* Polling steals from the others when there are more PEs than processors; and
 * how fast they are cannot be measured then. */
static chare_status
adapt_to_crowd(chare_runtime *runtime, const struct peer_blob *blobs)
{
    struct chi_crowd crowd;
    struct chi_cpus *cpus;
    uint32_t count;
    uint32_t me = 0;
    chare_status status;

    if (chi_cpus_count(&runtime->cpus) == 0) {
        return CHARE_OK; /* nobody knows */
    }
    cpus = node_cpus(runtime, blobs, &count, &me);
    status = cpus == NULL ? CHARE_ERR_NO_MEMORY
                          : chi_crowd_find(cpus, count, me, &crowd);
    free(cpus);
    if (status != CHARE_OK) {
        return status;
    }
    chi_lb_crowd(runtime->lb, crowd.processors, crowd.pes);
    if (crowd.pes > crowd.processors) {
        runtime->pe->spin_ns = 0;
    }
    return CHARE_OK;
}

chare_status
chi_rt_join(chare_runtime *runtime, const struct chi_wireup_table *table)
{
    struct peer_blob *blobs = calloc(table->count, sizeof(*blobs));
    chare_status status;

    chi_assert(table->count == runtime->pe->size);
    if (blobs == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status = blobs_read(runtime, table, blobs);
    if (status == CHARE_OK) {
        runtime->job_key = blobs[0].head.job_key;
        status = layout_create(runtime, blobs);
    }
    if (status == CHARE_OK) {
        chi_coll_set_layout(runtime->coll, runtime->layout);
        status = adapt_to_crowd(runtime, blobs);
    }
    if (status == CHARE_OK && runtime->route != NULL) {
        status = connect_all(runtime, blobs);
    }
    if (status == CHARE_OK && runtime->route != NULL) {
        status = chi_pe_attach(runtime->pe, runtime->route);
    }
    free(blobs);
    if (status == CHARE_OK) {
        runtime->state = CHI_RT_STARTED;
        chi_lb_start(runtime->lb);
    }
    return status;
}

chare_status
chi_rt_start(chare_runtime *runtime)
{
    unsigned char blob[CHI_RT_BLOB_BYTES_MAX];
    struct chi_wireup_table table;
    size_t len = sizeof(blob);
    chare_status status;

    status = chi_rt_blob(runtime, blob, &len);
    if (status == CHARE_OK) {
        status = chi_wireup_exchange(runtime->wireup, blob, len, &table);
        if (status == CHARE_ERR_TIMEOUT || status == CHARE_ERR_WIREUP) {
            /* Processes that never came may still run: end them, too. */
            chi_wireup_abort(runtime->wireup, 1, "the job is not complete");
        }
    }
    if (status == CHARE_OK) {
        status = chi_rt_join(runtime, &table);
    }
    return status;
}

/* ---- the watcher's thread */

void
chi_rt_watch_lost(void *context, uint32_t rank)
{
    chare_runtime *runtime = context;
    const struct timespec nap = {.tv_nsec = LOST_GRACE_NS};

    chi_pe_post_lost(runtime->pe, rank);
    for (int i = 0; i < LOST_GRACE_ROUNDS; i++) {
        /* Pairs with the release in chi_rt_peer_lost() and chi_rt_exit():
         * nothing else is read after it. */
        if (atomic_load_explicit(&runtime->lost_handled,
                                 memory_order_acquire)) {
            return;
        }
        (void)nanosleep(&nap, NULL);
    }
    chi_log_error(&runtime->log,
                  "PE %u is gone, and this PE is in a long entry method: the "
                  "job ends",
                  rank);
    chi_rt_tell_lost(runtime, 1, rank);
    _exit(1);
}
