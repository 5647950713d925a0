/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * future.c - the futures of one PE.
 *
 * A value is a message to the PE that made the future, also when that is this
 * one: user code runs from the scheduler only. Ids are never used again. A
 * future that was released with 'drop' leaves a mark, so that a late value is
 * told from a wrong one; marks cost 16 bytes and are for abandoned futures
 * only.
 */
#include "config.h"

#include "future/future.h"

#include <stdio.h>
#include <stdlib.h>

struct future {
    chare_function_fn function;
    void *context;
};

struct chi_futures {
    struct chi_pe *pe;
    struct chi_cb *cb;
    void (*fatal)(void *context, const char *text);
    void *fatal_context;
    struct chi_map live; /* id -> struct future, or &dropped */
    struct future dropped;
    uint64_t id_last;
};

static chare_status
future_target(void *context, const chare_callback *callback,
              const chare_data *data)
{
    return chi_future_set(context, &callback->future, data);
}

static void
value_execute(void *context, struct chi_msg *msg)
{
    struct chi_futures *futures = context;
    struct future *future = chi_map_get(&futures->live, msg->env.key);
    chare_call call;

    if (future == NULL) {
        char text[200];

        snprintf(text, sizeof(text),
                 "a value came from PE %u for a future of PE %u that has all "
                 "its values, or was never made (id %llu)",
                 msg->env.source_pe, futures->pe->rank,
                 (unsigned long long)msg->env.key);
        futures->fatal(futures->fatal_context, text);
    } else if (future != &futures->dropped) {
        chi_cb_call_of_msg(futures->cb, msg, &call);
        call.argument = msg->env.key;
        future->function(&call, future->context);
    }
    chi_msg_release(msg);
}

chare_status
chi_futures_create(struct chi_pe *pe, struct chi_cb *cb,
                   void (*fatal)(void *context, const char *text),
                   void *fatal_context, struct chi_futures **out)
{
    struct chi_futures *futures = calloc(1, sizeof(*futures));

    if (futures == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    futures->pe = pe;
    futures->cb = cb;
    futures->fatal = fatal;
    futures->fatal_context = fatal_context;
    chi_map_init(&futures->live);
    chi_cb_set_target(cb, CHARE_CALLBACK_FUTURE, future_target, futures);
    chi_pe_set_handler(pe, CHI_HANDLER_FUTURE, value_execute, futures);
    *out = futures;
    return CHARE_OK;
}

void
chi_futures_destroy(struct chi_futures *futures)
{
    size_t cursor = 0;
    uint64_t id;
    void *future;

    if (futures == NULL) {
        return;
    }
    while (chi_map_next(&futures->live, &cursor, &id, &future)) {
        if (future != &futures->dropped) {
            free(future);
        }
    }
    chi_map_fini(&futures->live);
    free(futures);
}

chare_status
chi_future_create(struct chi_futures *futures, chare_function_fn function,
                  void *context, chare_future *future_out)
{
    struct future *future;
    chare_status status;

    if (function == NULL) {
        return CHARE_ERR_INVALID;
    }
    future = malloc(sizeof(*future));
    if (future == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    future->function = function;
    future->context = context;
    status = chi_map_put(&futures->live, futures->id_last + 1, future);
    if (status != CHARE_OK) {
        free(future);
        return status;
    }
    *future_out = (chare_future){
        .id = ++futures->id_last,
        .pe = futures->pe->rank,
    };
    return CHARE_OK;
}

chare_status
chi_future_set(struct chi_futures *futures, const chare_future *future,
               const chare_data *data)
{
    struct chi_msg *msg;
    chare_status status;

    if (future->pe >= futures->pe->size || future->id == 0) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(futures->pe, CHI_HANDLER_FUTURE, data, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.key = future->id;
    if (msg->payload_ops != NULL && future->pe != futures->pe->rank) {
        status = chi_pe_encode(futures->pe, &msg);
        if (status != CHARE_OK) {
            msg->payload_ops = NULL; /* the payload is the caller's again */
            chi_msg_release(msg);
            return status;
        }
    }
    chi_pe_send(futures->pe, future->pe, msg);
    return CHARE_OK;
}

void
chi_future_release(struct chi_futures *futures, const chare_future *future,
                   bool drop)
{
    struct future *found = chi_map_remove(&futures->live, future->id);

    chi_assert(future->pe == futures->pe->rank);
    if (found != NULL && found != &futures->dropped) {
        free(found);
    }
    if (drop) {
        /* Cannot fail: the slot of the id has just become free. */
        chare_status status =
            chi_map_put(&futures->live, future->id, &futures->dropped);

        chi_assert(status == CHARE_OK || found == NULL);
    }
}
