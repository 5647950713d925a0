/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coll.c - trees and reducers of the collective engine.
 */
#include "config.h"

#include "coll/coll.h"

#include <stdlib.h>
#include <string.h>

#include "coll/coll_private.h"

chare_status
chi_coll_create(struct chi_pe *pe, struct chi_cb *cb, struct chi_coll **out)
{
    struct chi_coll *coll = calloc(1, sizeof(*coll));

    if (coll == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    coll->pe = pe;
    coll->cb = cb;
    chi_map_init(&coll->edges);
    chi_pe_set_handler(pe, CHI_HANDLER_REDUCE, chi_coll_reduce_execute, coll);
    chi_pe_set_handler(pe, CHI_HANDLER_CENSUS, chi_coll_census_execute, coll);
    chi_pe_set_handler(pe, CHI_HANDLER_LEAVE, chi_coll_leave_execute, coll);
    chi_pe_set_handler(pe, CHI_HANDLER_SURVEY, chi_coll_survey_execute, coll);
    chi_pe_set_handler(pe, CHI_HANDLER_SURVEY_SUM, chi_coll_survey_sum_execute,
                       coll);
    pe->on_idle = chi_coll_survey_idle;
    pe->on_idle_context = coll;
    *out = coll;
    return CHARE_OK;
}

void
chi_coll_destroy(struct chi_coll *coll)
{
    size_t cursor = 0;
    uint64_t key;
    void *edges;

    if (coll == NULL) {
        return;
    }
    while (chi_map_next(&coll->edges, &cursor, &key, &edges)) {
        free(edges);
    }
    chi_map_fini(&coll->edges);
    while (coll->waves != NULL) {
        struct chi_survey_wave *wave = coll->waves;

        coll->waves = wave->next;
        free(wave);
    }
    for (uint32_t i = 0; i < coll->reducer_count; i++) {
        free(coll->reducers[i].name);
    }
    free(coll->reducers);
    free(coll);
}

void
chi_coll_set_layout(struct chi_coll *coll, const struct chi_layout *layout)
{
    coll->layout = layout;
}

void
chi_coll_set_ops(struct chi_coll *coll, const struct chi_coll_ops *ops,
                 void *context)
{
    coll->ops = ops;
    coll->ops_context = context;
}

chare_status
chi_coll_add_reducer(struct chi_coll *coll, const char *name,
                     chare_combine_fn combine, bool ordered, void *context,
                     uint32_t *id_out)
{
    struct chi_coll_reducer *grown;
    char *copy;

    if (name == NULL || name[0] == '\0' || combine == NULL ||
        strlen(name) > CHARE_NAME_BYTES_MAX) {
        return CHARE_ERR_INVALID;
    }
    copy = strdup(name);
    grown =
        realloc(coll->reducers, (coll->reducer_count + 1) * sizeof(*grown));
    if (grown != NULL) {
        coll->reducers = grown;
    }
    if (copy == NULL || grown == NULL) {
        free(copy);
        return CHARE_ERR_NO_MEMORY;
    }
    grown[coll->reducer_count] = (struct chi_coll_reducer){
        .name = copy,
        .combine = combine,
        .ordered = ordered,
        .context = context,
    };
    *id_out = CHI_COLL_REDUCER_CUSTOM_FIRST + coll->reducer_count++;
    return CHARE_OK;
}

bool
chi_coll_has_reducer(const struct chi_coll *coll, uint32_t reducer)
{
    return reducer <= CHARE_REDUCE_GATHER ||
           (reducer >= CHI_COLL_REDUCER_CUSTOM_FIRST &&
            reducer - CHI_COLL_REDUCER_CUSTOM_FIRST < coll->reducer_count);
}

const struct chi_layout *
chi_coll_layout(const struct chi_coll *coll)
{
    return coll->layout;
}

uint32_t
chi_coll_node_count(const struct chi_coll *coll)
{
    return coll->layout == NULL ? 1 : chi_layout_node_count(coll->layout);
}

uint32_t
chi_coll_node_first_pe(const struct chi_coll *coll, uint32_t node)
{
    return coll->layout == NULL ? 0
                                : chi_layout_node_pe(coll->layout, node, 0);
}

const struct chi_tree_edges *
chi_coll_edges(struct chi_coll *coll, uint32_t root)
{
    const uint64_t key = (uint64_t)root + 1;
    struct chi_tree_edges *edges = chi_map_get(&coll->edges, key);

    if (chi_likely(edges != NULL)) {
        return edges;
    }
    chi_assert(coll->layout != NULL);
    edges = malloc(sizeof(*edges));
    if (edges == NULL || chi_map_put(&coll->edges, key, edges) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a spanning tree");
    }
    chi_tree_edges(coll->layout, root, coll->pe->rank,
                   (uint32_t)coll->pe->options.settings->tree_fanout, edges);
    return edges;
}

void
chi_coll_subset(struct chi_coll *coll, uint32_t root, const uint32_t *pes,
                uint32_t pe_count, chare_tree_vertex *vertices_out)
{
    chi_assert(coll->layout != NULL);
    if (chi_tree_subset(coll->layout, root, pes, pe_count,
                        (uint32_t)coll->pe->options.settings->tree_fanout,
                        vertices_out) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a spanning tree");
    }
}

void
chi_coll_send_along(struct chi_coll *coll, const struct chi_tree_edges *edges,
                    const struct chi_msg *msg)
{
    chi_assert(msg->payload_ops == NULL);
    for (uint32_t i = 0; i < edges->child_count; i++) {
        struct chi_msg *copy =
            chi_pe_msg(coll->pe, msg->env.handler, msg->env.len);

        copy->env = msg->env;
        memcpy(copy->bytes, msg->bytes, msg->env.len);
        chi_pe_resend(coll->pe, edges->children[i], copy);
    }
}

void
chi_coll_send_down(struct chi_coll *coll, uint32_t root,
                   const struct chi_msg *msg)
{
    chi_coll_send_along(coll, chi_coll_edges(coll, root), msg);
}
