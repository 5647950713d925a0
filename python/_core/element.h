/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_ELEMENT_H
#define CHARE_PY_ELEMENT_H

/*
 * element.h - names of chares as keys: of dicts in Python, and of tables.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chare.h>

static inline uint64_t
core_element_hash(const chare_element *element)
{
    uint64_t hash = element->collection * 0x9e3779b97f4a7c15u;

    for (uint32_t i = 0; i < element->index.ndims; i++) {
        hash = (hash ^ (uint64_t)element->index.at[i]) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    return hash;
}

static inline bool
core_element_equal(const chare_element *a, const chare_element *b)
{
    if (a->collection != b->collection || a->index.ndims != b->index.ndims) {
        return false;
    }
    for (uint32_t i = 0; i < a->index.ndims; i++) {
        if (a->index.at[i] != b->index.at[i]) {
            return false;
        }
    }
    return true;
}

#endif /* CHARE_PY_ELEMENT_H */
