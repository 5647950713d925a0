/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timed.c - sessions that no chare asks for: at times, or when it is worth it.
 *
 * Invariants:
 *  T1  a timed session begins at PE 0, when no session is under way; each PE
 *      has its part in it at once, when it executes CALL, and waits for no
 *      chare;
 *  T2  its chares are those of arrays without at_sync that are on a PE then;
 *      what is on its way then stays out of it;
 *  T3  a chare is asked to move only between two executions, on the PE where
 *      it was counted, when it can move and no user wants it to;
 *  T4  when a PE is done, no wish of the balancer's is left on it;
 *  T5  a PE looks at those that have not left each CHI_LB_LOOK_NS, and waits
 *      for none that cannot go; so a session ends while others compute;
 *  T6  nobody can tell a timed session but by where chares are: none is
 *      resumed, AtSync() is neither lost nor early, quiescence and the search
 *      for deadlocks see none of its messages and timers;
 *  T7  a look (WATCH, ASK, SUM) moves nothing; one is under way at a time.
 *
 * With a strategy that is named, PE 0 begins a session in each period. An
 * automatic one looks first:
 *
 *     resting --timer: WATCH--> watching --timer: ASK--> looking
 *        ^  not worth it: rest, twice as long each time    |  SUM of all
 *        +-------------------------------------------------+
 *        |                                                 | worth it: CALL
 *        +--- the session is over: WATCH, and watching <---+
 *
 * What may be chance because it is new (noise.h, N5) is looked at again after
 * the shortest rest. PEs measure only while PE 0 watches, one period in
 * rest + 1: what is balanced costs next to nothing.
 */
#include "config.h"

#include <string.h>

#include "base/check.h"
#include "lb/history.h"
#include "lb/lb_private.h"
#include "lb/live.h"

static const double PERIOD_MIN_S = 1e-3;
static const double PERIOD_MAX_S = 1e6;
static const double PERIOD_AUTO_S = 0.1;

static void pace_fired(const chare_call *call, void *context);

static void
pace_arm(struct chi_lb *lb, uint64_t periods)
{
    struct chi_lb_pace *pace = &lb->pace;

    chi_assert(lb->pe->rank == 0 && pace->timer == 0);
    if (pace->period_ns == 0) {
        return;
    }
    if (chi_timers_add(&lb->pe->timers,
                       chi_clock_now_ns(lb->pe->options.clock) +
                           periods * pace->period_ns,
                       pace_fired, lb, &pace->timer) != CHARE_OK) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
}

static void
pace_stop(struct chi_lb *lb)
{
    if (lb->pace.timer != 0) {
        (void)chi_timers_remove(&lb->pe->timers, lb->pace.timer);
        lb->pace.timer = 0;
    }
}

uint64_t
chi_lb_timers(const struct chi_lb *lb)
{
    return (uint64_t)(lb->pace.timer != 0) +
           (lb->timed && lb->look_timer != 0) + chi_lb_history_timers(lb);
}

/* ---- PE 0 */

static void
watch(struct chi_lb *lb)
{
    const double unit_ns = chi_lb_pes_unit(lb);

    lb->pace.watching = true;
    chi_lb_root_tell(lb, CHI_LB_WATCH, &unit_ns, sizeof(unit_ns));
    pace_arm(lb, 1);
}

static void
look(struct chi_lb *lb)
{
    lb->pace.looking = true; /* T7 */
    chi_lb_root_tell(lb, CHI_LB_ASK, NULL, 0);
}

/* T1; false: a session is under way. */
static bool
begin(struct chi_lb *lb)
{
    if (lb->state != CHI_LB_RUNNING || lb->called) {
        return false;
    }
    lb->called = true;
    lb->calls_timed = true;
    lb->called_ns = chi_clock_now_ns(lb->pe->options.clock);
    chi_lb_pes_call(
        lb, (uint16_t)(CHI_LB_SPARE_TIMED | chi_lb_live_spread(lb)), NULL, 0);
    return true;
}

static void
pace_fired(const chare_call *call, void *context)
{
    struct chi_lb *lb = context;

    (void)call;
    lb->pace.timer = 0;
    if (!lb->is_automatic) {
        if (!begin(lb)) {
            pace_arm(lb, 1);
        }
    } else if (lb->pace.looking || lb->called) {
        pace_arm(lb, 1);
    } else if (lb->pace.watching) {
        look(lb);
    } else {
        watch(lb);
    }
}

/* There is nothing to win: look less often. */
static void
pace_rest(struct chi_lb *lb)
{
    struct chi_lb_pace *pace = &lb->pace;

    pace_stop(lb);
    pace_arm(lb, pace->rest);
    pace->rest =
        pace->rest < CHI_LB_REST_MAX / 2 ? 2 * pace->rest : CHI_LB_REST_MAX;
}

/* Whether it is worth a session, by the noise of these chares. */
static bool
is_promising(struct chi_lb *lb)
{
    struct chi_lb_noise *noise = &lb->noise[CHI_LOAD_FREE];
    const struct chi_lb_sum *sum = &lb->sum;
    const double mean =
        sum->speeds > 0 ? (sum->work + sum->background) / sum->speeds : 0;

    if (sum->measured == 0 && sum->count > 0) {
        chi_lb_noise_said(noise);
    } else if (sum->measured > 0 && mean > 0) {
        chi_lb_noise_see(noise, sum->most / mean);
    }
    chi_lb_auto_doubt(lb->automatic, noise);
    return chi_lb_auto_promises(lb->automatic, sum);
}

/* All have told what they have. */
static void
looked(struct chi_lb *lb)
{
    struct chi_lb_pace *pace = &lb->pace;

    chi_assert(pace->looking);
    pace->looking = false;
    pace->watching = false;
    chi_lb_sum_close(&lb->sum);
    lb->report.looks++;
    if (lb->sum.count > 0) {
        chi_lb_auto_confirm(lb->automatic, lb->sum.most);
    }
    if (pace->period_ns == 0 || (is_promising(lb) && begin(lb))) {
        return;
    }
    if (chi_lb_auto_would_promise(lb->automatic, &lb->sum)) {
        pace_stop(lb);
        pace_arm(lb, CHI_LB_REST_FIRST); /* the next look confirms it soon */
    } else {
        pace_rest(lb);
    }
}

/* What a session has cost; chares that say when they may be balanced are
 * waited for, so that tells nothing of a session of theirs. */
static void
learn(struct chi_lb *lb, bool timed)
{
    double tell_s = lb->automatic->tell_s;

    /* It began with another strategy if PE 0 has not decided. */
    if (timed && lb->moves_ns >= lb->called_ns) {
        tell_s = (double)(lb->moves_ns - lb->called_ns) / CHI_NS_PER_SEC -
                 lb->automatic->decide_s;
    }
    chi_lb_auto_learn(lb->automatic, lb->spent.count, lb->spent.seconds,
                      tell_s);
}

void
chi_lb_timed_over(struct chi_lb *lb, bool timed)
{
    if (lb->is_automatic) {
        learn(lb, timed);
    }
    if (!timed || lb->pace.period_ns == 0 || lb->pace.timer != 0 ||
        lb->pace.looking) {
        return;
    }
    if (!lb->is_automatic) {
        pace_arm(lb, 1);
    } else if (lb->has_moved) {
        lb->pace.rest = CHI_LB_REST_FIRST;
        watch(lb);
    } else {
        pace_rest(lb);
    }
}

/* Who has named no strategy gets the automatic one, on all PEs. */
static void
turn_on(struct chi_lb *lb)
{
    if (!chi_lb_is_on(lb) && chi_lb_use(lb, "auto") != CHARE_OK) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
}

static void
every(struct chi_lb *lb, const struct chi_msg *msg)
{
    const bool watched = lb->pace.watching && lb->is_automatic;
    uint64_t period_ns;

    if (msg->env.len != sizeof(period_ns)) {
        return;
    }
    memcpy(&period_ns, msg->bytes, sizeof(period_ns));
    pace_stop(lb);
    lb->pace.period_ns = period_ns;
    lb->pace.rest = CHI_LB_REST_FIRST;
    lb->pace.watching = false;
    if (period_ns == 0) {
        if (watched && !lb->pace.looking) {
            look(lb); /* so that PEs cease to measure */
        }
        return;
    }
    turn_on(lb);
    watch(lb);
}

/* ---- every PE */

static void
forget_load(void *context, const struct chi_obj_load *load)
{
    (void)context;
    (void)load;
}

static void
watched(struct chi_lb *lb, const struct chi_msg *msg)
{
    turn_on(lb);
    if (msg->env.len == sizeof(lb->speed_unit_ns)) {
        memcpy(&lb->speed_unit_ns, msg->bytes, sizeof(lb->speed_unit_ns));
    }
    chi_obj_each_load(lb->obj, CHI_LOAD_FREE, true, forget_load, NULL);
    if (!lb->pe->meter.on) {
        chi_lb_meter(lb, true);
    }
    chi_lb_since_now(lb, CHI_LOAD_FREE);
}

struct summing {
    struct chi_lb *lb;
    struct chi_lb_sum *sum;
    double ticks;
    double fixed; /* work */
    bool said;
};

static void
sum_load(void *context, const struct chi_obj_load *load)
{
    struct summing *summing = context;
    const double work = (double)chi_lb_work(summing->lb, load);

    summing->sum->work += work;
    summing->sum->count++;
    if (load->can_move && work > summing->sum->largest) {
        summing->sum->largest = work;
    }
    summing->fixed += load->can_move ? 0 : work;
    summing->ticks += (double)load->ticks;
    summing->said &= load->is_said;
}

/* The loads are kept, for a session that may follow. */
static void
sum_here(struct chi_lb *lb)
{
    struct chi_lb_sum *sum = &lb->sum;
    struct summing summing = {.lb = lb, .sum = sum, .said = true};
    double background;
    double speed;
    float period;

    chi_lb_pes_look(lb, lb->speed_unit_ns);
    speed = (double)lb->speed;
    *sum = (struct chi_lb_sum){.speeds = speed, .fastest = speed};
    chi_lb_pes_scale(lb, CHI_LOAD_FREE);
    chi_obj_each_load(lb->obj, CHI_LOAD_FREE, false, sum_load, &summing);
    background =
        (double)chi_lb_other_work(lb, CHI_LOAD_FREE, summing.ticks, &period);
    lb->here.count = (uint32_t)sum->count;
    lb->watched_background_s = (float)background;
    lb->watched_s = period;
    if (sum->count == 0) {
        sum->empty_background = background * speed;
        sum->empty_most = background;
        sum->empty_period = (double)period;
    }
    sum->measured = !summing.said;
    background = summing.said ? 0 : background;
    sum->period = summing.said ? 0 : (double)period;
    sum->background = background * speed;
    sum->most = background + (speed > 0 ? sum->work / speed : 0);
    sum->stuck = background + (speed > 0 ? summing.fixed / speed : 0);
}

static void
sum_look(struct chi_lb *lb)
{
    struct chi_msg *msg;

    if (lb->sum_missing > 0) {
        return;
    }
    if (lb->pe->rank == 0) {
        looked(lb);
        return;
    }
    msg = chi_lb_message(lb, CHI_LB_SUM, sizeof(lb->sum));
    memcpy(msg->bytes, &lb->sum, sizeof(lb->sum));
    chi_pe_send(lb->pe, chi_lb_parent(lb), msg);
}

static void
asked(struct chi_lb *lb)
{
    sum_here(lb);
    lb->sum_missing = chi_coll_edges(lb->coll, 0)->child_count;
    if (!chi_obj_has_at_sync(lb->obj)) {
        chi_obj_measure_pause(lb->obj); /* the loads stay for who asks next */
    }
    sum_look(lb);
}

static void
sum_came(struct chi_lb *lb, const struct chi_msg *msg)
{
    struct chi_lb_sum sum;

    if (msg->env.len != sizeof(sum)) {
        return;
    }
    memcpy(&sum, msg->bytes, sizeof(sum));
    chi_assert(lb->sum_missing > 0);
    chi_lb_sum_add(&lb->sum, &sum);
    lb->sum_missing--;
    sum_look(lb);
}

void
chi_lb_timed_came(struct chi_lb *lb, struct chi_msg *msg)
{
    switch ((enum chi_lb_kind)msg->env.entry) {
    case CHI_LB_EVERY:
        every(lb, msg);
        break;
    case CHI_LB_WATCH:
        chi_coll_send_down(lb->coll, 0, msg);
        watched(lb, msg);
        break;
    case CHI_LB_ASK:
        chi_coll_send_down(lb->coll, 0, msg);
        asked(lb);
        break;
    case CHI_LB_SUM:
        sum_came(lb, msg);
        break;
    default:
        break;
    }
}

void
chi_lb_start(struct chi_lb *lb)
{
    const double set_s =
        (double)lb->pe->options.settings->lb_period_ns / CHI_NS_PER_SEC;
    const double seconds =
        set_s > 0 ? set_s : (lb->is_automatic ? PERIOD_AUTO_S : 0);

    chi_lb_history_start(lb);
    if (lb->pe->rank == 0 && seconds > 0 && !lb->pe->simulated &&
        chi_lb_every(lb, seconds) != CHARE_OK) {
        chi_log_warn(lb->pe->options.log,
                     "CHARE_LB_PERIOD: at most %g seconds; nothing is "
                     "balanced by the clock",
                     PERIOD_MAX_S);
    }
}

chare_status
chi_lb_every(struct chi_lb *lb, double seconds)
{
    struct chi_msg *msg;
    uint64_t period_ns;

    if (!(seconds >= 0) || seconds > PERIOD_MAX_S) {
        return CHARE_ERR_INVALID;
    }
    seconds = seconds > 0 && seconds < PERIOD_MIN_S ? PERIOD_MIN_S : seconds;
    period_ns = (uint64_t)(seconds * (double)CHI_NS_PER_SEC);
    msg = chi_lb_message(lb, CHI_LB_EVERY, sizeof(period_ns));
    memcpy(msg->bytes, &period_ns, sizeof(period_ns));
    chi_pe_send(lb->pe, 0, msg);
    return CHARE_OK;
}
