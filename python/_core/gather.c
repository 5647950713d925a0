/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gather.c - the elements of an array that lies in memory with gaps, in a row.
 *
 * Axes are merged where one goes on where the next ends, so that a loop runs
 * over the longest pieces there are: a face of a cube is rows, or elements.
 * PyBuffer_ToContiguous() does the same, an element at a time.
 */
#include "gather.h"

#include <string.h>

struct axis {
    size_t count;
    Py_ssize_t stride; /* bytes */
};

struct shape {
    size_t piece; /* bytes that lie together */
    int ndim;
    struct axis axes[CHARE_ARRAY_DIMS_MAX]; /* the last is the fastest */
};

/* The fewest axes that visit the same pieces in the same order. */
static void
shape_merge(struct shape *out, int ndim, const Py_ssize_t *shape,
            const Py_ssize_t *strides, size_t item_size)
{
    struct axis *last = NULL;

    out->piece = item_size;
    out->ndim = 0;
    for (int i = 0; i < ndim; i++) {
        const struct axis axis = {(size_t)shape[i], strides[i]};

        if (axis.count == 1) {
            continue;
        }
        if (last != NULL && last->stride == shape[i] * axis.stride) {
            last->count *= axis.count;
            last->stride = axis.stride;
        } else {
            last = &out->axes[out->ndim++];
            *last = axis;
        }
    }
    if (last != NULL && last->stride == (Py_ssize_t)item_size) {
        out->piece *= last->count;
        out->ndim--;
    }
}

static inline __attribute__((always_inline)) void
copy_pieces(char *out, const char *from, struct axis axis, size_t piece)
{
    for (size_t i = 0; i < axis.count; i++) {
        memcpy(out, from, piece);
        out += piece;
        from += axis.stride;
    }
}

/* Elements in loops of their own: of a size that the compiler knows. */
static void
copy_row(char *out, const char *from, struct axis axis, size_t piece)
{
    switch (piece) {
    case 1:
        copy_pieces(out, from, axis, 1);
        break;
    case 2:
        copy_pieces(out, from, axis, 2);
        break;
    case 4:
        copy_pieces(out, from, axis, 4);
        break;
    case 8:
        copy_pieces(out, from, axis, 8);
        break;
    case 16:
        copy_pieces(out, from, axis, 16);
        break;
    default:
        copy_pieces(out, from, axis, piece);
        break;
    }
}

void
core_gather(char *out, const char *from, int ndim, const Py_ssize_t *shape,
            const Py_ssize_t *strides, size_t item_size)
{
    size_t done[CHARE_ARRAY_DIMS_MAX] = {0};
    struct shape merged;
    struct axis row = {1, 0};
    int i;

    shape_merge(&merged, ndim, shape, strides, item_size);
    if (merged.ndim > 0) {
        row = merged.axes[--merged.ndim];
    }
    do {
        copy_row(out, from, row, merged.piece);
        out += row.count * merged.piece;
        for (i = merged.ndim - 1; i >= 0; i--) {
            from += merged.axes[i].stride;
            if (++done[i] < merged.axes[i].count) {
                break;
            }
            from -= (Py_ssize_t)done[i] * merged.axes[i].stride;
            done[i] = 0;
        }
    } while (i >= 0);
}
