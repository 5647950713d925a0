/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name.c - the names of chares, packed.
 *
 * An index takes 64 / ndims bits for each dimension, two's complement, so that
 * nearly all fit into one word; what does not is kept beside the chare.
 */
#include "state.h"

void
core_chare_name(const struct core_chare *chare, chare_element *out)
{
    const uint32_t ndims = chare->ndims;
    uint64_t packed = chare->at.packed;

    if (chare->is_wide) {
        *out = (chare_element){chare->collection, *chare->at.wide};
        return;
    }
    *out = (chare_element){.collection = chare->collection,
                           .index = {.ndims = ndims}};
    if (ndims <= 1) {
        out->index.at[0] = (int64_t)packed;
        return;
    }
    for (uint32_t i = 0; i < ndims; i++) {
        const unsigned bits = 64 / ndims;

        out->index.at[i] = (int64_t)(packed << (64 - bits)) >> (64 - bits);
        packed >>= bits;
    }
}

/* False: it does not fit. */
static bool
pack(const chare_index *index, uint64_t *packed_out)
{
    const unsigned bits = index->ndims > 1 ? 64 / index->ndims : 64;
    uint64_t packed = 0;

    if (bits == 64) {
        *packed_out = (uint64_t)index->at[0];
        return true;
    }
    for (uint32_t i = index->ndims; i-- > 0;) {
        const int64_t limit = (int64_t)1 << (bits - 1);

        if (index->at[i] < -limit || index->at[i] >= limit) {
            return false;
        }
        packed =
            packed << bits | ((uint64_t)index->at[i] & ((1ull << bits) - 1));
    }
    *packed_out = packed;
    return true;
}

int
core_chare_set_name(struct core_chare *chare, const chare_element *name)
{
    chare->collection = name->collection;
    chare->ndims = (uint8_t)name->index.ndims;
    if (pack(&name->index, &chare->at.packed)) {
        return 0;
    }
    chare->at.wide = PyMem_Malloc(sizeof(*chare->at.wide));
    if (chare->at.wide == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *chare->at.wide = name->index;
    chare->is_wide = true;
    return 0;
}

void
core_chare_free_name(struct core_chare *chare)
{
    if (chare->is_wide) {
        PyMem_Free(chare->at.wide);
        chare->is_wide = false;
    }
}
