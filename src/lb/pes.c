/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pes.c - what a PE is: its speed, what it was busy with, its sensors.
 *
 * Speeds are in units of PE 0's at its first look, so PE 0 says with each call
 * and each watch what it took then for the piece of work (speed.h).
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "lb/lb_private.h"
#include "lb/live.h"

static const struct chi_lb_pe nothing = {
    .mhz = NAN, .celsius = NAN, .watts = NAN};

double
chi_lb_pes_unit(struct chi_lb *lb)
{
    if (lb->pe->rank == 0 && lb->speed_unit_ns <= 0) {
        chi_lb_pes_look(lb, 0);
        lb->speed_unit_ns = lb->speed_of.work_ns;
    }
    return lb->speed_unit_ns;
}

void
chi_lb_pes_look(struct chi_lb *lb, double unit_ns)
{
    lb->speed_unit_ns = unit_ns;
    if (lb->speed_of.source != NULL) {
        lb->speed = (float)chi_speed_look(&lb->speed_of, lb->pe->options.clock,
                                          unit_ns);
    }
}

static bool
is_crowded(const struct chi_lb *lb)
{
    return lb->speed_of.source != NULL && lb->speed_of.crowd < 1;
}

void
chi_lb_pes_mark(struct chi_lb *lb, enum chi_load_set set)
{
    const struct chi_speed_source *source = lb->speed_of.source;
    struct chi_lb_since *since = &lb->since[set];

    since->ran_ns = 0;
    since->waited_ns = 0;
    if (is_crowded(lb)) {
        (void)source->share(source->context, &since->ran_ns,
                            &since->waited_ns);
    }
}

/* While nothing is measured, what was counts as it did. */
void
chi_lb_pes_scale(struct chi_lb *lb, enum chi_load_set set)
{
    const struct chi_speed_source *source = lb->speed_of.source;
    const struct chi_lb_since *since = &lb->since[set];
    const uint64_t all = chi_clock_ticks() - since->ticks;
    const uint64_t idle = lb->pe->meter.idle_ticks - since->idle;
    uint64_t ran_ns;
    uint64_t waited_ns;

    if (!is_crowded(lb)) {
        lb->scale = 1;
    } else if (lb->pe->meter.on &&
               source->share(source->context, &ran_ns, &waited_ns)) {
        lb->scale = (float)chi_speed_scale(
            &lb->speed_of,
            ((double)all - (double)idle) * lb->sec_per_tick * CHI_NS_PER_SEC,
            (double)(ran_ns - since->ran_ns),
            (double)(waited_ns - since->waited_ns));
    }
}

void
chi_lb_pes_sense(struct chi_lb *lb, struct chi_lb_pe *pe)
{
    struct chi_sensed sensed;

    pe->busy = lb->here.busy;
    pe->idle = lb->here.idle;
    pe->share = (float)lb->speed_of.share;
    pe->mhz = NAN;
    pe->celsius = NAN;
    pe->watts = NAN;
    if (lb->pe->options.settings->lb_dump[0] != '\0') {
        chi_sense_read(&lb->sense, lb->pe->options.settings->sysfs, -1,
                       lb->pe->options.clock, &sensed);
        pe->mhz = (float)sensed.mhz;
        pe->celsius = (float)sensed.celsius;
        pe->watts = (float)sensed.watts;
    }
}

void
chi_lb_pes_call(struct chi_lb *lb, uint16_t spare, const void *arrays,
                size_t len)
{
    const double unit_ns = chi_lb_pes_unit(lb);
    struct chi_msg *msg =
        chi_lb_message(lb, CHI_LB_CALL, sizeof(unit_ns) + len);

    memcpy(msg->bytes, &unit_ns, sizeof(unit_ns));
    if (len > 0) {
        memcpy(msg->bytes + sizeof(unit_ns), arrays, len);
    }
    if ((spare & CHI_LB_SPARE_SPREAD) != CHI_LB_CENTRAL &&
        lb->pe->options.settings->lb_dump[0] != '\0') {
        spare |= CHI_LB_SPARE_DUMPS;
    }
    msg->env.spare = spare;
    if ((spare & CHI_LB_SPARE_TIMED) != 0) {
        msg->env.flags = CHI_ENV_UNCOUNTED; /* T6 */
    }
    chi_pe_send(lb->pe, 0, msg);
}

void
chi_lb_measure_speed_by(struct chi_lb *lb,
                        const struct chi_speed_source *source)
{
    const double crowd = lb->speed_of.crowd;

    chi_speed_init(&lb->speed_of, source);
    lb->speed_of.crowd = crowd;
    lb->speed = 1;
    chi_speed_mark(&lb->speed_of, lb->pe->options.clock);
}

void
chi_lb_crowd(struct chi_lb *lb, uint32_t processors, uint32_t pes)
{
    chi_speed_crowd(&lb->speed_of, processors, pes);
}

/* ---- reports */

static void
fill(const struct chi_lb_pe *pe, chare_lb_pe *out)
{
    const chare_lb_pe filled = {
        .size = out->size,
        .chares = pe->count,
        .period = (double)pe->period,
        .busy = (double)pe->busy,
        .idle = (double)pe->idle,
        .background = (double)pe->background,
        .speed = (double)pe->speed,
        .share = (double)pe->share,
        .mhz = (double)pe->mhz,
        .celsius = (double)pe->celsius,
        .watts = (double)pe->watts,
    };

    memcpy(out, &filled,
           out->size < sizeof(filled) ? out->size : sizeof(filled));
}

chare_status
chi_lb_pe_report(struct chi_lb *lb, uint32_t pe, chare_lb_pe *out)
{
    struct chi_lb_pe here = lb->here;
    struct chi_sensed sensed;

    if (pe >= lb->pe->size) {
        return CHARE_ERR_INVALID;
    }
    if (pe != lb->pe->rank) {
        fill(lb->pes != NULL ? &lb->pes[pe] : &nothing, out);
        return lb->pes != NULL ? CHARE_OK : CHARE_ERR_NOT_FOUND;
    }
    here.speed = lb->speed;
    here.share = (float)lb->speed_of.share;
    chi_sense_read(&lb->sense, lb->pe->options.settings->sysfs, -1,
                   lb->pe->options.clock, &sensed);
    here.mhz = (float)sensed.mhz;
    here.celsius = (float)sensed.celsius;
    here.watts = (float)sensed.watts;
    fill(&here, out);
    return CHARE_OK;
}
