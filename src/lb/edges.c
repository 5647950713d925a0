/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * edges.c - who talks to whom, as edges of a problem.
 *
 * By sorting: names are looked up by halving, and equal pairs are neighbours.
 */
#include "config.h"

#include "lb/edges.h"

#include <stdlib.h>

enum {
    ROOM_FIRST = 256,
};

void
chi_lb_edges_init(struct chi_lb_edges *edges)
{
    *edges = (struct chi_lb_edges){0};
}

void
chi_lb_edges_fini(struct chi_lb_edges *edges)
{
    free(edges->names);
    free(edges->counted);
    free(edges->first);
    free(edges->to);
    free(edges->bytes);
    free(edges->messages);
    chi_lb_edges_init(edges);
}

/* Room for one more item; false: no memory. */
static bool
grow(void **array, size_t count, size_t *room, size_t bytes)
{
    const size_t more = *room == 0 ? ROOM_FIRST : 2 * *room;
    void *grown;

    if (count < *room) {
        return true;
    }
    grown = realloc(*array, more * bytes);
    if (grown != NULL) {
        *array = grown;
        *room = more;
    }
    return grown != NULL;
}

chare_status
chi_lb_edges_name(struct chi_lb_edges *edges, const struct chi_comm_name *name,
                  uint32_t object)
{
    if (!grow((void **)&edges->names, edges->name_count, &edges->name_room,
              sizeof(*edges->names))) {
        return CHARE_ERR_NO_MEMORY;
    }
    edges->names[edges->name_count++] = (struct chi_lb_name){*name, object};
    return CHARE_OK;
}

chare_status
chi_lb_edges_add(struct chi_lb_edges *edges, const struct chi_comm_edge *edge)
{
    if (!grow((void **)&edges->counted, edges->counted_count,
              &edges->counted_room, sizeof(*edges->counted))) {
        return CHARE_ERR_NO_MEMORY;
    }
    edges->counted[edges->counted_count++] = *edge;
    return CHARE_OK;
}

static int
by_name(const void *a, const void *b)
{
    const struct chi_comm_name *x = &((const struct chi_lb_name *)a)->name;
    const struct chi_comm_name *y = &((const struct chi_lb_name *)b)->name;

    if (x->collection != y->collection) {
        return x->collection < y->collection ? -1 : 1;
    }
    return x->key < y->key ? -1 : x->key > y->key;
}

static const struct chi_lb_name *
find(const struct chi_lb_edges *edges, const struct chi_comm_name *name)
{
    const struct chi_lb_name wanted = {.name = *name};

    return edges->name_count == 0
               ? NULL
               : bsearch(&wanted, edges->names, edges->name_count,
                         sizeof(*edges->names), by_name);
}

static int
by_ends(const void *a, const void *b)
{
    const struct chi_lb_pair *x = a;
    const struct chi_lb_pair *y = b;

    if (x->a != y->a) {
        return x->a < y->a ? -1 : 1;
    }
    return x->b < y->b ? -1 : x->b > y->b;
}

/* Fill in 'pairs', sorted and each once; returns how many. */
static size_t
make_pairs(const struct chi_lb_edges *edges, struct chi_lb_pair *pairs)
{
    size_t found = 0;
    size_t count = 0;

    for (size_t i = 0; i < edges->counted_count; i++) {
        const struct chi_comm_edge *edge = &edges->counted[i];
        const struct chi_lb_name *x = find(edges, &edge->from);
        const struct chi_lb_name *y = find(edges, &edge->to);

        if (x != NULL && y != NULL && x->object != y->object) {
            const bool rises = x->object < y->object;

            pairs[found++] = (struct chi_lb_pair){
                rises ? x->object : y->object, rises ? y->object : x->object,
                (float)edge->bytes, (float)edge->messages};
        }
    }
    qsort(pairs, found, sizeof(*pairs), by_ends);
    for (size_t i = 0; i < found; i++) {
        if (count > 0 && by_ends(&pairs[count - 1], &pairs[i]) == 0) {
            pairs[count - 1].bytes += pairs[i].bytes;
            pairs[count - 1].messages += pairs[i].messages;
        } else {
            pairs[count++] = pairs[i];
        }
    }
    return count;
}

static void
put_edge(struct chi_lb_edges *edges, uint32_t from, uint32_t to,
         const struct chi_lb_pair *pair)
{
    const size_t at = edges->first[from + 1]++;

    edges->to[at] = to;
    edges->bytes[at] = pair->bytes;
    edges->messages[at] = pair->messages;
}

/* By object, in both directions; first[i + 1] is where the next edge of i
 * goes, until all are there. */
static void
fill(struct chi_lb_edges *edges, const struct chi_lb_pair *pairs, size_t count,
     size_t objects)
{
    for (size_t i = 0; i < count; i++) {
        edges->first[pairs[i].a + 2]++;
        edges->first[pairs[i].b + 2]++;
    }
    for (size_t i = 2; i < objects + 2; i++) {
        edges->first[i] += edges->first[i - 1];
    }
    for (size_t i = 0; i < count; i++) {
        put_edge(edges, pairs[i].a, pairs[i].b, &pairs[i]);
        put_edge(edges, pairs[i].b, pairs[i].a, &pairs[i]);
    }
}

chare_status
chi_lb_edges_finish(struct chi_lb_edges *edges, size_t object_count)
{
    struct chi_lb_pair *pairs =
        malloc((edges->counted_count + 1) * sizeof(*pairs));
    chare_status status = CHARE_ERR_NO_MEMORY;
    size_t count;

    if (pairs == NULL) {
        return status;
    }
    if (edges->name_count > 0) {
        qsort(edges->names, edges->name_count, sizeof(*edges->names), by_name);
    }
    count = make_pairs(edges, pairs);
    edges->first = calloc(object_count + 2, sizeof(*edges->first));
    edges->to = malloc((2 * count + 1) * sizeof(*edges->to));
    edges->bytes = malloc((2 * count + 1) * sizeof(*edges->bytes));
    edges->messages = malloc((2 * count + 1) * sizeof(*edges->messages));
    if (edges->first != NULL && edges->to != NULL && edges->bytes != NULL &&
        edges->messages != NULL) {
        fill(edges, pairs, count, object_count);
        status = CHARE_OK;
    }
    free(pairs);
    return status;
}
