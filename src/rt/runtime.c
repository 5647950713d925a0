/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runtime.c - building a runtime and taking it down.
 */
#include "config.h"

#include "rt/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "lb/history.h"

static chare_status
settings_open(chare_runtime *runtime)
{
    char error[512];
    chare_status status =
        chi_settings_read(&runtime->settings, error, sizeof(error));

    runtime->log = (struct chi_log)CHI_LOG_INIT;
    if (status != CHARE_OK) {
        chi_log_error(&runtime->log, "%s", error);
        return status;
    }
    if (!chi_log_level_parse(runtime->settings.log_level,
                             &runtime->log.level)) {
        chi_log_error(&runtime->log,
                      "CHARE_LOG=%s: should be error, warn, info or debug",
                      runtime->settings.log_level);
        return CHARE_ERR_INVALID;
    }
    if (runtime->settings.tree_fanout == 1 ||
        runtime->settings.tree_fanout > CHI_TREE_FANOUT_MAX) {
        chi_log_error(&runtime->log,
                      "CHARE_TREE_FANOUT=%llu: should be 0 or 2 to %d",
                      (unsigned long long)runtime->settings.tree_fanout,
                      CHI_TREE_FANOUT_MAX);
        return CHARE_ERR_INVALID;
    }
    return CHARE_OK;
}

/* A misspelt setting is none at all: say so, once in a job. */
static void
settings_warn(const chare_runtime *runtime)
{
    char name[CHI_SETTING_TEXT_MAX];
    const char *nearest;
    size_t cursor = 0;

    while (runtime->wireup->rank == 0 &&
           chi_settings_unknown(&cursor, name, &nearest)) {
        chi_log_warn(&runtime->log,
                     "there is no setting %s, it is ignored; %s%s%s'chare "
                     "info' shows all",
                     name, nearest != NULL ? "is it to be " : "",
                     nearest != NULL ? nearest : "",
                     nearest != NULL ? "? " : "");
    }
}

/* Who draws the picture at the end, finds there what is to be drawn. */
static chare_status
history_open(chare_runtime *runtime)
{
    char file[CHI_SETTING_TEXT_MAX + sizeof(".history")];
    chare_status status;

    snprintf(file, sizeof(file), "%s.history", runtime->settings.lb_picture);
    status = chi_lb_history_open(runtime->lb, file);
    if (status == CHARE_ERR_INVALID) {
        chi_log_error(&runtime->log, "CHARE_LB_PICTURE: the name is too long");
    }
    return status;
}

/* The rooms above the PE, lowest first. */
static chare_status
lb_open(chare_runtime *runtime)
{
    const char *name = runtime->settings.balancer;
    chare_status status = chi_lb_create(
        runtime->pe, &runtime->cb, runtime->coll, runtime->obj, &runtime->lb);

    if (status == CHARE_OK && chi_lb_use(runtime->lb, name) != CHARE_OK) {
        chi_log_error(&runtime->log,
                      "CHARE_BALANCER=%s: there is no such strategy; see "
                      "chare lb --list",
                      name);
        status = CHARE_ERR_INVALID;
    }
    if (status == CHARE_OK && runtime->settings.lb_picture[0] != '\0') {
        status = history_open(runtime);
    }
    return status;
}

static chare_status
rooms_open(chare_runtime *runtime)
{
    struct chi_pe *pe = runtime->pe;
    chare_status status;

    chi_cb_init(&runtime->cb, pe, &runtime->registry, runtime);
    status = chi_coll_create(pe, &runtime->cb, &runtime->coll);
    if (status == CHARE_OK) {
        status =
            chi_obj_create(pe, &runtime->registry, &runtime->cb, runtime->coll,
                           chi_rt_fatal, runtime, &runtime->obj);
    }
    if (status == CHARE_OK) {
        status = chi_qd_create(pe, &runtime->cb, runtime->coll, &runtime->qd);
    }
    if (status == CHARE_OK) {
        status = chi_futures_create(pe, &runtime->cb, chi_rt_fatal, runtime,
                                    &runtime->futures);
    }
    if (status == CHARE_OK) {
        status = lb_open(runtime);
    }
    if (status == CHARE_OK) {
        chi_rt_exit_init(runtime);
        chi_rt_stall_init(runtime);
        chi_rt_stats_init(runtime);
    }
    return status;
}

static chare_status
pe_open(chare_runtime *runtime, uint32_t rank, uint32_t size)
{
    const struct chi_pe_options options = {
        .rank = rank,
        .size = size,
        .log = &runtime->log,
        .settings = &runtime->settings,
        .clock = runtime->clock,
        .pool = runtime->pool,
        .hooks = &runtime->hooks,
        .hooks_context = runtime->hooks_context,
    };
    chare_status status = chi_pe_open(&options, &runtime->pe);

    if (status != CHARE_OK) {
        return status;
    }
    runtime->pe->timers.runtime = runtime;
    runtime->pe->peer_lost = chi_rt_peer_lost;
    runtime->pe->late = chi_rt_late;
    runtime->pe->message_lost = chi_rt_message_lost;
    runtime->pe->upcall_context = runtime;
    return rooms_open(runtime);
}

static chare_status
route_open(chare_runtime *runtime, uint32_t rank, uint32_t size,
           void *provider_options)
{
    const struct chi_net_options options = {
        .log = &runtime->log,
        .settings = &runtime->settings,
        .clock = runtime->clock,
        .pool = runtime->pool,
        .arena = runtime->arena,
        .rank = rank,
        .size = size,
        .provider_options = provider_options,
    };
    const struct chi_route_sink sink = chi_pe_route_sink(runtime->pe);

    return chi_route_open(&options, &sink, &runtime->route);
}

static void *
arena_alloc(void *context, uint64_t bytes, uint64_t *room_out)
{
    return chi_arena_alloc(context, bytes, room_out);
}

static void
arena_release(void *context, void *block)
{
    chi_arena_release(context, block);
}

static void
arena_destroy(void *context)
{
    chi_arena_destroy(context);
}

/* Large messages to others of the node are made where they can be seen. */
static chare_status
arena_open(chare_runtime *runtime)
{
    const uint64_t bytes = runtime->settings.arena_bytes;
    struct chi_msg_source source = {
        .alloc = arena_alloc,
        .release = arena_release,
        .destroy = arena_destroy,
    };
    chare_status status;

    if (bytes == 0 || runtime->wireup->local_size == 1 ||
        strcmp(runtime->settings.net, "ofi") == 0) {
        return CHARE_OK;
    }
    status = chi_arena_create(&runtime->log, bytes, &runtime->arena);
    if (status == CHARE_OK) {
        source.context = runtime->arena;
        chi_msg_pool_set_source(runtime->pool, &source);
    }
    return status == CHARE_ERR_SYSTEM ? CHARE_OK : status; /* or without */
}

static chare_status
watch_open(chare_runtime *runtime)
{
    const struct chi_watch_options options = {
        .log = &runtime->log,
        .settings = &runtime->settings,
        .rank = runtime->wireup->rank,
        .size = runtime->wireup->size,
        .lost = chi_rt_watch_lost,
        .context = runtime,
    };

    return chi_watch_open(&options, &runtime->watch);
}

/* What is needed only where there are other PEs. */
static chare_status
others_open(chare_runtime *runtime)
{
    const struct chi_wireup *wireup = runtime->wireup;
    chare_status status;

    status = chi_machine_open(&runtime->log, NULL, &runtime->machine);
    if (status != CHARE_OK) {
        return status;
    }
    status = chi_machine_bind(
        runtime->machine, &runtime->settings, wireup->local_rank,
        wireup->local_size == 0 ? UINT32_MAX : wireup->local_size,
        &runtime->binding);
    if (status != CHARE_OK) {
        return status;
    }
    chi_log_info(&runtime->log, "%s", runtime->binding.text);
    chi_machine_place(runtime->machine, &runtime->settings, wireup->host,
                      &runtime->place);
    chi_machine_bound_cpus(runtime->machine, &runtime->cpus);
    status = arena_open(runtime);
    if (status == CHARE_OK) {
        status = route_open(runtime, wireup->rank, wireup->size, NULL);
    }
    if (status == CHARE_OK) {
        status = chi_rt_nets_open(runtime);
    }
    if (status == CHARE_OK) {
        status = watch_open(runtime);
    }
    return status;
}

static void
place_alone(chare_runtime *runtime)
{
    runtime->place = (struct chi_place){
        .node_id = 1,
        .package = CHI_PLACE_UNKNOWN,
        .numa = CHI_PLACE_UNKNOWN,
        .cache = CHI_PLACE_UNKNOWN,
        .core = CHI_PLACE_UNKNOWN,
    };
    snprintf(runtime->place.node_name, sizeof(runtime->place.node_name), "%s",
             runtime->wireup->host);
}

static chare_status
rt_open(chare_runtime *runtime, bool single)
{
    chare_status status = settings_open(runtime);

    if (status != CHARE_OK) {
        return status;
    }
    runtime->clock = &chi_clock_real;
    status = chi_rt_wireup_open(runtime, single);
    if (status != CHARE_OK) {
        return status;
    }
    runtime->log.pe = runtime->wireup->rank;
    settings_warn(runtime);
    if (getrandom(&runtime->job_key, sizeof(runtime->job_key), 0) !=
        (ssize_t)sizeof(runtime->job_key)) {
        chi_log_error(&runtime->log, "the kernel gives no random bytes: %s",
                      strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    status = chi_msg_pool_create(&runtime->pool);
    if (status == CHARE_OK) {
        status =
            pe_open(runtime, runtime->wireup->rank, runtime->wireup->size);
    }
    if (status == CHARE_OK && runtime->wireup->size > 1) {
        status = others_open(runtime);
    } else if (status == CHARE_OK) {
        place_alone(runtime);
    }
    return status;
}

static chare_runtime *
runtime_alloc(void)
{
    chare_runtime *runtime = calloc(1, sizeof(*runtime));

    if (runtime != NULL) {
        chi_registry_init(&runtime->registry);
    }
    return runtime;
}

chare_status
chi_rt_open(const chare_open_options *options, chare_runtime **out)
{
    chare_runtime *runtime = runtime_alloc();
    bool single = false;
    chare_status status;

    if (runtime == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (options != NULL) {
        if (options->hooks != NULL) {
            const size_t size = options->hooks->size < sizeof(runtime->hooks)
                                    ? options->hooks->size
                                    : sizeof(runtime->hooks);

            memcpy(&runtime->hooks, options->hooks, size);
        }
        runtime->hooks_context = options->hooks_context;
        single = options->single;
    }
    status = rt_open(runtime, single);
    if (status != CHARE_OK) {
        chi_rt_close(runtime);
        return status;
    }
    *out = runtime;
    return CHARE_OK;
}

chare_status
chi_rt_open_sim(const struct chi_rt_sim *sim, chare_runtime **out)
{
    chare_runtime *runtime = runtime_alloc();
    chare_status status;

    if (runtime == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    runtime->simulated = true;
    status = settings_open(runtime);
    if (sim->settings != NULL) {
        runtime->settings = *sim->settings;
    }
    runtime->clock = sim->clock;
    runtime->log.pe = sim->rank;
    runtime->place = sim->place;
    if (sim->cpus != NULL) {
        runtime->cpus = *sim->cpus;
    }
    runtime->job_key = 1;
    if (status == CHARE_OK) {
        status = chi_msg_pool_create(&runtime->pool);
    }
    if (status == CHARE_OK) {
        status = pe_open(runtime, sim->rank, sim->size);
    }
    if (status == CHARE_OK && sim->size > 1) {
        status = route_open(runtime, sim->rank, sim->size, sim->net_options);
    }
    if (status == CHARE_OK && sim->size > 1) {
        status =
            chi_route_open_net(runtime->route, sim->net_ops, &runtime->sim);
    }
    if (status != CHARE_OK) {
        chi_rt_close(runtime);
        return status;
    }
    *out = runtime;
    return CHARE_OK;
}

void
chi_rt_close(chare_runtime *runtime)
{
    if (runtime == NULL) {
        return;
    }
    chi_obj_destroy(runtime->obj); /* runs the destroy hooks first */
    chi_rt_stats_fini(runtime);
    chi_watch_close(runtime->watch);
    chi_qd_destroy(runtime->qd);
    chi_lb_destroy(runtime->lb);
    chi_futures_destroy(runtime->futures);
    chi_coll_destroy(runtime->coll);
    chi_pe_close(runtime->pe);
    chi_route_close(runtime->route);
    chi_layout_destroy(runtime->layout);
    chi_machine_close(runtime->machine);
    chi_registry_fini(&runtime->registry);
    chi_msg_pool_close(runtime->pool); /* with the arena */
    chi_wireup_close(runtime->wireup);
    free(runtime);
}
