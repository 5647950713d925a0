/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * callback.c - where results go: callbacks and futures; quiescence, timers.
 */
#include "config.h"

#include "api/api.h"

chare_status
chare_callback_call(chare_runtime *runtime, const chare_callback *callback,
                    const chare_data *data)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_cb_call(&runtime->cb, callback, data);
}

chare_status
chare_future_create(chare_runtime *runtime, chare_function_fn function,
                    void *context, chare_future *future_out)
{
    return chi_future_create(runtime->futures, function, context, future_out);
}

chare_status
chare_future_set(chare_runtime *runtime, const chare_future *future,
                 const chare_data *data)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_future_set(runtime->futures, future, data);
}

void
chare_future_release(chare_runtime *runtime, const chare_future *future,
                     bool drop)
{
    chi_future_release(runtime->futures, future, drop);
}

chare_status
chare_quiescence(chare_runtime *runtime, const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (callback == NULL || !chi_cb_ok(&runtime->cb, callback)) {
        return CHARE_ERR_INVALID;
    }
    return chi_qd_ask(runtime->qd, callback);
}

chare_status
chare_timer_start(chare_runtime *runtime, uint64_t delay_ns,
                  chare_function_fn function, void *context,
                  uint64_t *timer_out)
{
    const uint64_t now_ns = chi_clock_now_ns(runtime->clock);
    uint64_t id;
    chare_status status;

    if (function == NULL || delay_ns > UINT64_MAX / 2) {
        return CHARE_ERR_INVALID;
    }
    status = chi_timers_add(&runtime->pe->timers, now_ns + delay_ns, function,
                            context, &id);
    if (status == CHARE_OK && timer_out != NULL) {
        *timer_out = id;
    }
    return status;
}

bool
chare_timer_stop(chare_runtime *runtime, uint64_t timer)
{
    return chi_timers_remove(&runtime->pe->timers, timer);
}
