/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_PROXY_NAME_H
#define CHARE_PY_PROXY_NAME_H

/*
 * proxy_name.h - what proxies are on the wire, and in a pickle.
 */

#include <stddef.h>

#include "state.h"

/* A proxy's wire form. */
struct core_proxy_name {
    chare_element element;
    uint32_t type;
    uint8_t flavour;
    uint8_t ndims;
    uint16_t part_count; /* of a section of several classes: their types */
    uint32_t parts[CORE_SECTION_CLASSES_MAX]; /* only so many are sent */
};

static inline size_t
core_proxy_name_len(const struct core_proxy_name *name)
{
    return offsetof(struct core_proxy_name, parts) +
           name->part_count * sizeof(name->parts[0]);
}

void core_proxy_name_get(PyObject *proxy, struct core_proxy_name *name_out);
PyObject *core_proxy_of_name(struct core_state *state,
                             const struct core_proxy_name *name);

#endif /* CHARE_PY_PROXY_NAME_H */
