/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * balance.c - load balancing.
 */
#include "config.h"

#include "api/api.h"
#include "lb/history.h"

chare_status
chare_at_sync(chare_runtime *runtime, const chare_element *self,
              const chare_callback *resume)
{
    if (runtime->state != CHI_RT_STARTED) {
        return CHARE_ERR_STATE;
    }
    if (!chi_obj_is_at_sync(runtime->obj, self->collection) ||
        !chi_cb_ok(&runtime->cb, resume)) {
        return CHARE_ERR_INVALID;
    }
    return chi_lb_at_sync(runtime->lb, self, resume);
}

chare_status
chare_lb_use(chare_runtime *runtime, const char *name)
{
    return chi_lb_use(runtime->lb, name);
}

chare_status
chare_lb_register(chare_runtime *runtime, const char *name,
                  chare_lb_fn strategy, void *context)
{
    if (name == NULL || name[0] == '\0' || strategy == NULL) {
        return CHARE_ERR_INVALID;
    }
    return chi_lb_register(runtime->lb, name, strategy, context);
}

chare_status
chare_lb_set_load(chare_runtime *runtime, const chare_element *self,
                  double seconds)
{
    return chi_obj_set_load(runtime->obj, self, seconds);
}

void
chare_lb_charge(chare_runtime *runtime, const chare_element *self)
{
    chi_obj_charge(runtime->obj, self);
}

void
chare_lb_begin(chare_runtime *runtime, const chare_element *self)
{
    chi_obj_begin(runtime->obj, self);
}

chare_status
chare_lb_count_calls(chare_runtime *runtime, uint32_t every)
{
    return chi_lb_count_calls(runtime->lb, every);
}

chare_status
chare_lb_every(chare_runtime *runtime, double seconds)
{
    if (runtime->state != CHI_RT_STARTED) {
        return CHARE_ERR_STATE;
    }
    return chi_lb_every(runtime->lb, seconds);
}

chare_status
chare_lb_history(chare_runtime *runtime, const char *file)
{
    if (file == NULL || file[0] == '\0') {
        return CHARE_ERR_INVALID;
    }
    if (runtime->state != CHI_RT_OPEN) {
        return CHARE_ERR_STATE;
    }
    return chi_lb_history_open(runtime->lb, file);
}

const bool *
chare_lb_meter(const chare_runtime *runtime)
{
    return &runtime->pe->meter.on;
}

void
chare_lb_measure(chare_runtime *runtime, bool on)
{
    chi_lb_measure(runtime->lb, on);
}

void
chare_lb_report_get(const chare_runtime *runtime, chare_lb_report *out)
{
    chi_lb_report(runtime->lb, out);
}

chare_status
chare_lb_pe_get(chare_runtime *runtime, uint32_t pe, chare_lb_pe *out)
{
    return chi_lb_pe_report(runtime->lb, pe, out);
}
