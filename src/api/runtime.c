/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runtime.c - the life of a runtime.
 */
#include "config.h"

#include "api/api.h"
#include "base/check.h"

chare_status
chare_open(const chare_open_options *options, chare_runtime **runtime_out)
{
    if (runtime_out == NULL ||
        (options != NULL && options->size < sizeof(*options))) {
        return CHARE_ERR_INVALID;
    }
    return chi_rt_open(options, runtime_out);
}

chare_status
chare_start(chare_runtime *runtime)
{
    if (runtime->state != CHI_RT_OPEN) {
        return CHARE_ERR_STATE;
    }
    return chi_rt_start(runtime);
}

chare_status
chare_run(chare_runtime *runtime)
{
    chare_status status;

    if (runtime->state == CHI_RT_OPEN || runtime->running) {
        return CHARE_ERR_STATE;
    }
    runtime->running = true;
    status = chi_pe_run(runtime->pe);
    runtime->running = false;
    if (status != CHARE_ERR_INTERRUPTED) {
        chi_rt_finish(runtime);
    }
    return status;
}

chare_status
chare_progress(chare_runtime *runtime, uint32_t messages_max)
{
    uint32_t done;

    if (runtime->state == CHI_RT_OPEN || runtime->running) {
        return CHARE_ERR_STATE;
    }
    if (messages_max == 0) {
        return CHARE_ERR_INVALID;
    }
    runtime->running = true;
    done = chi_pe_progress(runtime->pe, messages_max);
    runtime->running = false;
    if (runtime->pe->ended) {
        chi_rt_finish(runtime);
        return runtime->pe->end_status;
    }
    return done > 0 ? CHARE_OK : CHARE_ERR_AGAIN;
}

void
chare_hold(chare_runtime *runtime, bool hold)
{
    chi_pe_hold_out(runtime->pe, hold);
}

void
chare_flush(chare_runtime *runtime)
{
    chi_pack_flush(runtime->pe);
}

void
chare_post(chare_runtime *runtime)
{
    chi_pe_post(runtime->pe);
}

void
chare_outside_start(chare_runtime *runtime)
{
    runtime->pe->outside++;
    runtime->pe->counted_made++;
}

void
chare_outside_stop(chare_runtime *runtime)
{
    chi_assert(runtime->pe->outside > 0);
    runtime->pe->outside--;
    runtime->pe->counted_done++;
}

void
chare_keep_start(chare_runtime *runtime)
{
    runtime->pe->counted_done--;
    chi_obj_kept_add(runtime->obj, 1);
}

void
chare_keep_stop(chare_runtime *runtime)
{
    runtime->pe->counted_done++;
    chi_obj_kept_add(runtime->obj, -1);
}

void
chare_exit(chare_runtime *runtime, int code)
{
    chi_rt_exit(runtime, code);
}

void
chare_abort(chare_runtime *runtime, int code, const char *text)
{
    chi_rt_abort(runtime, code, text);
}

void
chare_forked(chare_runtime *runtime)
{
    chi_rt_forked(runtime);
}

int
chare_exit_code(const chare_runtime *runtime)
{
    return runtime->exit_code;
}

void
chare_close(chare_runtime *runtime)
{
    if (runtime != NULL && runtime->running) {
        chi_rt_abort(runtime, 1, "chare_close() from inside an entry method");
        return; /* the scheduler still needs it */
    }
    if (runtime != NULL && chi_api_started(runtime) && runtime->pe->size > 1 &&
        !runtime->pe->ended) {
        chi_rt_abort(runtime, 1, "chare_close() before the job has ended");
    }
    if (runtime != NULL &&
        (runtime->state != CHI_RT_OPEN || runtime->aborted_here)) {
        chi_rt_finish(runtime);
    }
    chi_rt_close(runtime);
}

void
chare_limits_get(const chare_runtime *runtime, chare_limits *out)
{
    chi_assert(out->size >= sizeof(*out));
    *out = (chare_limits){
        .size = sizeof(*out),
        .message_bytes = UINT64_MAX / 4,
        .queue_bytes = runtime->settings.queue_bytes,
        .eager_bytes = runtime->route == NULL
                           ? 0
                           : (uint32_t)chi_route_eager_bytes(runtime->route),
    };
}

void
chare_counters_get(const chare_runtime *runtime, chare_counters *out)
{
    const struct chi_pe *pe = runtime->pe;

    chi_assert(out->size >= sizeof(*out));
    *out = (chare_counters){
        .size = sizeof(*out),
        .messages_sent = pe->sent,
        .messages_executed = pe->executed,
        .bytes_sent = pe->bytes_sent,
        .bytes_received = pe->bytes_received,
        .calls_aggregated = pe->packs.packed,
        .aggregates_sent = pe->packs.sent,
    };
    if (runtime->route != NULL) {
        out->foreign_dropped = chi_route_foreign_dropped(runtime->route);
    }
    if (runtime->watch != NULL) {
        out->foreign_dropped += chi_watch_foreign_dropped(runtime->watch);
    }
}

uint64_t
chare_now_ns(const chare_runtime *runtime)
{
    return chi_clock_now_ns(runtime->clock);
}

void
chare_set_user(chare_runtime *runtime, void *user)
{
    runtime->user = user;
}

void *
chare_user(const chare_runtime *runtime)
{
    return runtime->user;
}
