/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rma.c - reading what a peer has exposed.
 *
 * A get is split into chunks, of which CHI_OFI_READS_PER_GET are under way; it
 * is reported when all have completed, also when one failed, for until then
 * the provider may still write to the memory.
 *
 * A key as it travels: u64 address, u8 length, the provider's key (8 bytes,
 * or as many as its raw key has).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "ofi/state.h"

/* ---- life */

chare_status
chi_ofi_rma_open(struct chi_ofi *ofi)
{
    if (!ofi->plan.rma) {
        return CHARE_OK;
    }
    ofi->gets = calloc(CHI_OFI_GETS_MAX, sizeof(*ofi->gets));
    if (ofi->gets == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t i = CHI_OFI_GETS_MAX; i-- > 0;) {
        ofi->gets[i].next = ofi->gets_free;
        ofi->gets_free = &ofi->gets[i];
    }
    return CHARE_OK;
}

static void
get_undo(struct chi_ofi *ofi, struct chi_ofi_get *get)
{
    if (get->mapped) {
        (void)fi_mr_unmap_key(ofi->domain, get->key);
        get->mapped = false;
    }
    if (get->mr != NULL) {
        (void)fi_close(&get->mr->fid);
        get->mr = NULL;
    }
}

static void
exposed_close(struct chi_ofi *ofi, struct chi_ofi_exposed *exposed)
{
    (void)fi_close(&exposed->mr->fid);
    if (exposed->next != NULL) {
        exposed->next->previous = exposed->previous;
    }
    if (exposed->previous != NULL) {
        exposed->previous->next = exposed->next;
    } else {
        ofi->exposed = exposed->next;
    }
    free(exposed);
}

void
chi_ofi_rma_regions_close(struct chi_ofi *ofi)
{
    while (ofi->exposed != NULL) {
        exposed_close(ofi, ofi->exposed);
    }
    for (uint32_t i = 0; ofi->gets != NULL && i < CHI_OFI_GETS_MAX; i++) {
        get_undo(ofi, &ofi->gets[i]);
    }
}

void
chi_ofi_rma_close(struct chi_ofi *ofi)
{
    free(ofi->gets);
}

/* ---- the side that is read */

static chare_status
key_write(struct chi_ofi *ofi, struct fid_mr *mr, const void *bytes,
          void *key_out, size_t *key_len_inout)
{
    struct chi_writer writer = chi_writer_of(key_out, *key_len_inout);
    unsigned char raw[CHI_OFI_RAW_KEY_BYTES_MAX];
    uint64_t base = ofi->plan.virtual_addresses ? (uintptr_t)bytes : 0;
    uint64_t key = fi_mr_key(mr);
    size_t len = sizeof(key);

    memcpy(raw, &key, sizeof(key));
    if (ofi->plan.raw_keys) {
        int rc;

        len = sizeof(raw);
        rc = fi_mr_raw_attr(mr, &base, raw, &len, 0);
        if (rc != 0) {
            chi_log_error(chi_ofi_log(ofi), "ofi: a region has no raw key: %s",
                          ofi->library.strerror(-rc));
            return CHARE_ERR_FABRIC;
        }
    } else if (key == FI_KEY_NOTAVAIL) {
        chi_log_error(chi_ofi_log(ofi), "ofi: a region has no key");
        return CHARE_ERR_FABRIC;
    }
    chi_write_u64(&writer, base);
    chi_write_u8(&writer, (uint8_t)len);
    chi_write(&writer, raw, len);
    if (writer.bad) {
        return CHARE_ERR_TOO_LARGE;
    }
    *key_len_inout = (size_t)(writer.at - (unsigned char *)key_out);
    return CHARE_OK;
}

chare_status
chi_ofi_rma_expose(struct chi_net *net, const void *bytes, uint64_t len,
                   void *key_out, size_t *key_len_inout, uint64_t *handle_out)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    struct chi_ofi_exposed *exposed;
    chare_status status;

    if (!ofi->plan.rma) {
        return CHARE_ERR_STATE;
    }
    exposed = calloc(1, sizeof(*exposed));
    if (exposed == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    status =
        chi_ofi_memory_register(ofi, bytes, len, FI_REMOTE_READ, &exposed->mr);
    if (status != CHARE_OK) {
        free(exposed);
        return status;
    }
    exposed->next = ofi->exposed;
    if (exposed->next != NULL) {
        exposed->next->previous = exposed;
    }
    ofi->exposed = exposed;
    status = key_write(ofi, exposed->mr, bytes, key_out, key_len_inout);
    if (status != CHARE_OK) {
        exposed_close(ofi, exposed);
        return status;
    }
    *handle_out = (uintptr_t)exposed;
    return CHARE_OK;
}

void
chi_ofi_rma_unexpose(struct chi_net *net, uint64_t handle)
{
    struct chi_ofi_exposed *exposed = (void *)(uintptr_t)handle;

    chi_assert(exposed != NULL);
    exposed_close(chi_ofi_of(net), exposed);
}

/* ---- the side that reads */

static chare_status
key_read(struct chi_ofi *ofi, struct chi_ofi_get *get, const void *key,
         size_t key_len)
{
    struct chi_reader reader = chi_reader_of(key, key_len);
    unsigned char raw[CHI_OFI_RAW_KEY_BYTES_MAX];
    size_t len;
    int rc;

    get->address = chi_read_u64(&reader);
    len = chi_read_u8(&reader);
    if (reader.bad || len > sizeof(raw) || len != chi_reader_left(&reader) ||
        (!ofi->plan.raw_keys && len != sizeof(get->key))) {
        chi_log_error(chi_ofi_log(ofi), "ofi: rank %u sent a broken key",
                      get->peer->rank);
        return CHARE_ERR_FABRIC;
    }
    chi_read(&reader, raw, len);
    if (!ofi->plan.raw_keys) {
        memcpy(&get->key, raw, sizeof(get->key));
        return CHARE_OK;
    }
    rc = fi_mr_map_raw(ofi->domain, get->address, raw, len, &get->key, 0);
    if (rc != 0) {
        chi_log_error(chi_ofi_log(ofi),
                      "ofi: the key of rank %u is refused: %s",
                      get->peer->rank, ofi->library.strerror(-rc));
        return CHARE_ERR_FABRIC;
    }
    get->mapped = true;
    return CHARE_OK;
}

chare_status
chi_ofi_rma_get(struct chi_net *net, uint32_t rank, const void *key,
                size_t key_len, uint64_t offset, void *into, uint64_t len,
                uint64_t token)
{
    struct chi_ofi *ofi = chi_ofi_of(net);
    struct chi_ofi_get *get = ofi->gets_free;
    chare_status status;

    if (!ofi->plan.rma) {
        return CHARE_ERR_STATE;
    }
    if (get == NULL) {
        return CHARE_ERR_AGAIN;
    }
    *get = (struct chi_ofi_get){
        .next = get->next,
        .peer = chi_ofi_peer_get(ofi, rank),
        .into = into,
        .len = len,
        .token = token,
    };
    if (get->peer == NULL || get->peer->lost) {
        return CHARE_ERR_PEER_LOST;
    }
    status = key_read(ofi, get, key, key_len);
    if (status == CHARE_OK && ofi->plan.local_mr) {
        status = chi_ofi_memory_register(ofi, into, len, FI_READ, &get->mr);
    }
    if (status != CHARE_OK) {
        get_undo(ofi, get);
        return status;
    }
    get->desc = get->mr != NULL ? fi_mr_desc(get->mr) : NULL;
    get->address += offset;
    ofi->gets_free = get->next;
    get->next = NULL;
    get->listed = true;
    if (ofi->gets_active == NULL) {
        ofi->gets_active = get;
    } else {
        ofi->gets_tail->next = get;
    }
    ofi->gets_tail = get;
    chi_ofi_rma_issue(ofi);
    return CHARE_OK;
}

/* Everything of this get that was issued has ended: report it. */
static void
get_over(struct chi_ofi *ofi, struct chi_ofi_get *get)
{
    get_undo(ofi, get);
    get->next = ofi->gets_done;
    ofi->gets_done = get;
}

/* Issue one read. Returns 0 or a negative libfabric error. */
static ssize_t
read_post(struct chi_ofi *ofi, struct chi_ofi_get *get)
{
    const uint64_t left = get->len - get->issued;
    const uint64_t len =
        left < ofi->plan.chunk_bytes ? left : ofi->plan.chunk_bytes;
    struct chi_ofi_op *op = chi_ofi_op_alloc(ofi);
    ssize_t rc;

    if (op == NULL) {
        return -FI_EAGAIN;
    }
    op->request.kind = CHI_OFI_READ;
    op->peer = get->peer;
    op->get = get;
    rc = fi_read(ofi->ep, get->into + get->issued, len, get->desc,
                 get->peer->address, get->address + get->issued, get->key,
                 &op->request.context);
    if (rc != 0) {
        chi_ofi_op_release(ofi, op);
        return rc;
    }
    get->issued += len;
    get->under_way++;
    return 0;
}

/* Issue what one get may; false: the provider takes no more for now. */
static bool
get_issue(struct chi_ofi *ofi, struct chi_ofi_get *get)
{
    if (get->peer->lost) {
        get->status = CHARE_ERR_PEER_LOST;
    } else if (get->peer->address == FI_ADDR_NOTAVAIL) {
        get->status = chi_ofi_peer_insert(ofi, get->peer);
    }
    while (get->status == CHARE_OK && get->issued < get->len &&
           get->under_way < CHI_OFI_READS_PER_GET) {
        const ssize_t rc = read_post(ofi, get);

        if (rc == -FI_EAGAIN) {
            return false;
        }
        if (rc != 0) {
            chi_log_error(chi_ofi_log(ofi),
                          "ofi: cannot read from rank %u: %s", get->peer->rank,
                          ofi->library.strerror((int)-rc));
            get->status = CHARE_ERR_FABRIC;
        }
    }
    return true;
}

void
chi_ofi_rma_issue(struct chi_ofi *ofi)
{
    struct chi_ofi_get **link = &ofi->gets_active;

    ofi->gets_tail = NULL;
    while (*link != NULL) {
        struct chi_ofi_get *get = *link;

        (void)get_issue(ofi, get);
        if (get->status == CHARE_OK && get->issued < get->len) {
            ofi->gets_tail = get;
            link = &get->next;
            continue;
        }
        /* All is issued, or never will be. */
        *link = get->next;
        get->next = NULL;
        get->listed = false;
        if (get->under_way == 0) {
            get_over(ofi, get);
        }
    }
}

void
chi_ofi_rma_stop(struct chi_ofi *ofi)
{
    while (ofi->gets_active != NULL) {
        struct chi_ofi_get *get = ofi->gets_active;

        ofi->gets_active = get->next;
        get->next = NULL;
        get->listed = false;
        get->status = CHARE_ERR_STATE;
        if (get->under_way == 0) {
            get_over(ofi, get);
        }
    }
    ofi->gets_tail = NULL;
}

uint32_t
chi_ofi_rma_under_way(const struct chi_ofi *ofi)
{
    uint32_t reads = 0;

    for (uint32_t i = 0; ofi->gets != NULL && i < CHI_OFI_GETS_MAX; i++) {
        reads += ofi->gets[i].under_way;
    }
    return reads;
}

void
chi_ofi_rma_read(struct chi_ofi *ofi, struct chi_ofi_op *op, int error)
{
    struct chi_ofi_get *get = op->get;

    chi_ofi_op_release(ofi, op);
    chi_assert(get->under_way > 0);
    get->under_way--;
    if (error != 0) {
        const bool lost = chi_ofi_means_lost(error);

        get->status = lost ? CHARE_ERR_PEER_LOST : CHARE_ERR_FABRIC;
        if (lost) {
            chi_ofi_peer_lose(ofi, get->peer, CHARE_ERR_PEER_LOST);
        }
    }
    if (get->under_way == 0 && !get->listed) {
        get_over(ofi, get);
    }
}
