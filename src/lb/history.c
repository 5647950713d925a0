/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * history.c - how busy this PE was over time, and what came to it.
 *
 * A timer looks at the meter's idle time once in a bin. What a long method
 * delayed is spread over the bins that it took. When the bins are full, two
 * become one, and the timer slows down: memory and cost are bounded, and a
 * run of an hour has as many bins as one of a minute.
 */
#include "config.h"

#include "lb/history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "lb/lb_private.h"

#define BIN_FIRST_NS (10 * CHI_NS_PER_MS)

enum {
    LINE_BYTES = 384,
    LAST_LINES = 4, /* room that is kept for the end */
    LAST_BINS = 16, /* that any PE tells */
    NAME_BYTES = 256,
    LOADS_PES_MAX = 4096, /* with more PEs, 'load' lines are left out */
};

struct chi_lb_history {
    char file[CHI_SETTING_TEXT_MAX];
    uint64_t begin_ns;
    struct chi_history_bins bins; /* since begin_ns */
    uint64_t idle_seen;           /* pe->meter.idle_ticks at bins.seen_ns */
    uint64_t timer;               /* 0: none is set */
    char *text;
    size_t len;
    size_t room;
    size_t text_max; /* bytes of lines before the end */
    uint64_t unkept; /* moves without room */
    uint64_t moves;  /* at PE 0: decided before this session */
    bool started;
};

/* ---- lines */

/* Room for so many bytes more; false: none, or more than may be. */
static bool
make_room(struct chi_lb_history *history, size_t bytes, size_t limit)
{
    size_t room = history->room == 0 ? 4096 : history->room;
    char *grown;

    if (history->len + bytes > limit) {
        return false;
    }
    while (history->len + bytes > room) {
        room *= 2;
    }
    if (room == history->room) {
        return true;
    }
    grown = realloc(history->text, room);
    if (grown == NULL) {
        return false;
    }
    history->text = grown;
    history->room = room;
    return true;
}

/* False: there was no room for the line, which is left out. */
__attribute__((format(printf, 2, 3))) static bool
put_line(struct chi_lb_history *history, const char *format, ...)
{
    va_list arguments;
    int len;

    if (!make_room(history, LINE_BYTES,
                   history->text_max + LAST_LINES * LINE_BYTES)) {
        return false;
    }
    va_start(arguments, format);
    len =
        vsnprintf(history->text + history->len, LINE_BYTES, format, arguments);
    va_end(arguments);
    chi_assert(len > 0 && len < LINE_BYTES);
    history->len += (size_t)len;
    return true;
}

static double
seconds(uint64_t ns)
{
    return (double)ns / (double)CHI_NS_PER_SEC;
}

static uint64_t
now_ns(const struct chi_lb *lb)
{
    return chi_clock_now_ns(lb->pe->options.clock) - lb->history->begin_ns;
}

/* ---- bins */

void
chi_history_bins_init(struct chi_history_bins *bins, uint64_t bin_ns)
{
    chi_assert(bin_ns > 0);
    *bins = (struct chi_history_bins){.bin_ns = bin_ns};
}

static void
fold(struct chi_history_bins *bins)
{
    for (size_t i = 0; i < CHI_HISTORY_BINS / 2; i++) {
        bins->busy[i] = (bins->busy[2 * i] + bins->busy[2 * i + 1]) / 2;
    }
    memset(bins->busy + CHI_HISTORY_BINS / 2, 0, sizeof(bins->busy) / 2);
    bins->bin_ns *= 2;
}

void
chi_history_bins_add(struct chi_history_bins *bins, uint64_t until_ns,
                     double part)
{
    while (until_ns > bins->bin_ns * CHI_HISTORY_BINS) {
        fold(bins);
    }
    while (bins->seen_ns < until_ns) {
        const uint64_t bin = bins->seen_ns / bins->bin_ns;
        const uint64_t end_ns = (bin + 1) * bins->bin_ns;
        const uint64_t to_ns = end_ns < until_ns ? end_ns : until_ns;

        bins->busy[bin] += (float)(part * (double)(to_ns - bins->seen_ns) /
                                   (double)bins->bin_ns);
        bins->seen_ns = to_ns;
    }
}

static void
look(struct chi_lb *lb)
{
    struct chi_lb_history *history = lb->history;
    const struct chi_pe *pe = lb->pe;
    const uint64_t until_ns = now_ns(lb);
    uint64_t idle = pe->meter.idle_ticks;
    double idle_s;
    double all_s;

    if (pe->meter.idle) {
        idle += chi_clock_ticks() - pe->meter.last; /* until now */
    }
    if (until_ns <= history->bins.seen_ns) {
        return;
    }
    /* It counts from 0 again when someone begins to measure. */
    idle_s =
        (double)(idle - (idle < history->idle_seen ? 0 : history->idle_seen)) *
        lb->sec_per_tick;
    all_s = seconds(until_ns - history->bins.seen_ns);
    chi_history_bins_add(&history->bins, until_ns,
                         idle_s < all_s ? 1 - idle_s / all_s : 0);
    history->idle_seen = idle;
}

static void arm(struct chi_lb *lb);

static void
fired(const chare_call *call, void *context)
{
    struct chi_lb *lb = context;

    (void)call;
    lb->history->timer = 0;
    look(lb);
    arm(lb);
}

static void
arm(struct chi_lb *lb)
{
    struct chi_lb_history *history = lb->history;

    if (chi_timers_add(&lb->pe->timers,
                       chi_clock_now_ns(lb->pe->options.clock) +
                           history->bins.bin_ns,
                       fired, lb, &history->timer) != CHARE_OK) {
        chi_pe_die(lb->pe, "out of memory for the history of balancing");
    }
}

uint64_t
chi_lb_history_timers(const struct chi_lb *lb)
{
    return lb->history != NULL && lb->history->timer != 0;
}

/* ---- life */

size_t
chi_history_text_max(uint32_t pes, uint64_t queue_bytes)
{
    const uint64_t may = queue_bytes / 4; /* where others queue up, too */
    const uint64_t all = may < CHI_HISTORY_JOB_MAX ? may : CHI_HISTORY_JOB_MAX;
    const uint64_t share = all / pes;

    return share < CHI_HISTORY_TEXT_MAX ? (size_t)share : CHI_HISTORY_TEXT_MAX;
}

chare_status
chi_lb_history_open(struct chi_lb *lb, const char *file)
{
    if (strlen(file) >= sizeof(lb->history->file)) {
        return CHARE_ERR_INVALID;
    }
    if (lb->history == NULL) {
        lb->history = calloc(1, sizeof(*lb->history));
    }
    if (lb->history == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    strcpy(lb->history->file, file);
    /* PE 0's own lines, which tell of all PEs too, are sent nowhere. */
    lb->history->text_max =
        lb->pe->rank == 0
            ? CHI_HISTORY_TEXT_MAX
            : chi_history_text_max(lb->pe->size,
                                   lb->pe->options.settings->queue_bytes);
    return CHARE_OK;
}

void
chi_lb_history_close(struct chi_lb *lb)
{
    if (lb->history != NULL) {
        free(lb->history->text);
        free(lb->history);
        lb->history = NULL;
    }
}

void
chi_lb_history_start(struct chi_lb *lb)
{
    struct chi_lb_history *history = lb->history;

    if (history == NULL || lb->pe->simulated) {
        return;
    }
    if (lb->sec_per_tick <= 0) {
        lb->sec_per_tick = 1 / (double)chi_clock_ticks_of_ns(CHI_NS_PER_SEC);
    }
    history->begin_ns = chi_clock_now_ns(lb->pe->options.clock);
    chi_history_bins_init(&history->bins, BIN_FIRST_NS);
    history->started = true;
    chi_pe_watch_idling(lb->pe, true);
    history->idle_seen = lb->pe->meter.idle_ticks;
    arm(lb);
}

/* ---- what happens */

void
chi_lb_history_came(struct chi_lb *lb, const chare_element *element,
                    uint32_t from)
{
    char name[NAME_BYTES];

    if (lb->history == NULL || !lb->history->started) {
        return;
    }
    chi_obj_text(lb->obj, element, name, sizeof(name));
    if (lb->history->len > lb->history->text_max ||
        !put_line(lb->history, "move %.6f %" PRIu32 " %" PRIu32 " %s\n",
                  seconds(now_ns(lb)), from, lb->pe->rank, name)) {
        lb->history->unkept++;
    }
}

/* Seconds of each PE, in one line. */
static void
put_loads(struct chi_lb *lb, const struct chi_lb_problem *problem,
          const uint32_t *at, const char *when)
{
    struct chi_lb_history *history = lb->history;
    const size_t room = 32 + (size_t)problem->pe_count * 16;
    double *work = calloc(problem->pe_count, sizeof(*work));

    if (work == NULL || !make_room(history, room, history->text_max)) {
        free(work);
        return;
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        work[at[i]] += (double)problem->work[i];
    }
    history->len += (size_t)snprintf(history->text + history->len, room,
                                     "load %" PRIu64 " %s", lb->session, when);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        const double speed = (double)chi_lb_speed(problem, pe);

        history->len +=
            (size_t)snprintf(history->text + history->len, 16, " %.4g",
                             (double)chi_lb_background(problem, pe) +
                                 (speed > 0 ? work[pe] / speed : 0));
    }
    history->text[history->len++] = '\n';
    free(work);
}

void
chi_lb_history_decided(struct chi_lb *lb, const struct chi_lb_problem *problem,
                       const uint32_t *to)
{
    if (lb->history != NULL && lb->history->started &&
        problem->pe_count <= LOADS_PES_MAX) {
        put_loads(lb, problem, problem->from, "before");
        put_loads(lb, problem, to, "after");
    }
}

void
chi_lb_history_over(struct chi_lb *lb)
{
    struct chi_lb_history *history = lb->history;
    const chare_lb_report *report = &lb->report;

    if (history == NULL || !history->started ||
        history->len > history->text_max) {
        return;
    }
    (void)!put_line(history,
                    "session %" PRIu64 " begin=%.6f end=%.6f strategy=%s "
                    "objects=%" PRIu64 " moves=%" PRIu64
                    " before=%.6g after=%.6g bound=%.6g\n",
                    lb->session, seconds(lb->called_ns - history->begin_ns),
                    seconds(now_ns(lb)),
                    report->strategy[0] == '\0' ? "none" : report->strategy,
                    report->objects, report->moves - history->moves,
                    report->time_before, report->time_after, report->bound);
    history->moves = report->moves;
}

/* ---- the end */

static uint64_t
used_bins(const struct chi_history_bins *bins)
{
    return (bins->seen_ns + bins->bin_ns - 1) / bins->bin_ns;
}

/* Of many PEs each tells less. */
static void
put_busy(struct chi_lb *lb)
{
    struct chi_lb_history *history = lb->history;
    struct chi_history_bins *bins = &history->bins;
    uint64_t count = used_bins(bins);
    size_t room;

    while (count > LAST_BINS && count * 8 > history->text_max) {
        fold(bins);
        count = used_bins(bins);
    }
    room = 64 + (size_t)count * 8;
    if (!make_room(history, room,
                   history->text_max + LAST_LINES * LINE_BYTES + room)) {
        return;
    }
    history->len += (size_t)snprintf(
        history->text + history->len, 64, "busy %" PRIu32 " %.6g %.6f",
        lb->pe->rank, seconds(bins->bin_ns), seconds(bins->seen_ns));
    for (uint64_t i = 0; i < count; i++) {
        const double part = (double)bins->busy[i];

        history->len += (size_t)snprintf(history->text + history->len, 8,
                                         " %.3f", part < 1 ? part : 1);
    }
    history->text[history->len++] = '\n';
}

const char *
chi_lb_history_end(struct chi_lb *lb, uint32_t node, size_t *len_out)
{
    struct chi_lb_history *history = lb->history;

    if (history == NULL || !history->started) {
        *len_out = 0;
        return NULL;
    }
    look(lb);
    chi_pe_watch_idling(lb->pe, false);
    if (history->timer != 0) {
        (void)chi_timers_remove(&lb->pe->timers, history->timer);
        history->timer = 0;
    }
    if (history->unkept > 0) {
        (void)!put_line(history, "unkept %" PRIu32 " %" PRIu64 "\n",
                        lb->pe->rank, history->unkept);
    }
    (void)!put_line(history, "pe %" PRIu32 " node=%" PRIu32 " clock=%.6f\n",
                    lb->pe->rank, node, seconds(history->begin_ns));
    put_busy(lb);
    history->started = false;
    *len_out = history->len;
    return history->text;
}

void
chi_lb_history_add(struct chi_lb *lb, const void *text, size_t len)
{
    struct chi_lb_history *history = lb->history;

    if (history == NULL || len == 0) {
        return;
    }
    if (!make_room(history, len, SIZE_MAX / 4)) {
        chi_log_warn(lb->pe->options.log,
                     "%s: no memory for what a PE has told", history->file);
        return;
    }
    memcpy(history->text + history->len, text, len);
    history->len += len;
}

void
chi_lb_history_write(struct chi_lb *lb)
{
    const struct chi_lb_history *history = lb->history;
    FILE *file;
    bool good;

    if (history == NULL || history->len == 0) {
        return;
    }
    file = fopen(history->file, "w");
    good = file != NULL &&
           fprintf(file, "chare-history %d\npes %" PRIu32 "\n",
                   CHI_HISTORY_VERSION, lb->pe->size) > 0 &&
           fwrite(history->text, history->len, 1, file) == 1;
    if (file != NULL && fclose(file) != 0) {
        good = false;
    }
    if (!good) {
        chi_log_warn(lb->pe->options.log,
                     "the history of balancing, %s, cannot be written: %s",
                     history->file, strerror(errno));
    }
}
