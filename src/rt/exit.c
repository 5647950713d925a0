/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exit.c - the end of a job, in order or not.
 *
 * In order, on the tree of PE 0:
 *  ASK   somebody called chare_exit(): tell PE 0;
 *  STOP  down: execute nothing more, and expect neighbours to go;
 *  TOLD  up, before DONE, from each PE to PE 0: its part of the history of
 *        balancing, where one is kept;
 *  DONE  up: this subtree has stopped;
 *  GO    down: all have stopped, so nobody misses anybody: end the loop.
 *
 * Not in order: the PE that knows of the error says it, passes ABORT down its
 * own tree, and asks the launcher to end what does not listen.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "lb/history.h"
#include "rt/runtime.h"

enum {
    PHASE_ASK,
    PHASE_STOP,
    PHASE_DONE,
    PHASE_GO,
    PHASE_TOLD,
    EXIT_CODE_MAX = 255,
    FLUSH_NS_MAX = 1000000000, /* what is left to send has this long */
};

/* Who only heard of an error waits so long to be ended by the launcher, whom
 * the one that knows of it is telling. */
#define BLAME_GRACE_S 2

/* When a PE goes while the job ends: how long the others wait for GO. */
#define GO_GRACE_NS (2 * UINT64_C(1000000000))

static struct chi_msg *
exit_msg_with(chare_runtime *runtime, enum chi_handler handler, uint16_t phase,
              const void *bytes, size_t len)
{
    struct chi_msg *msg = chi_pe_msg(runtime->pe, handler, len);

    if (len > 0) {
        memcpy(msg->bytes, bytes, len);
    }
    msg->env.flags = CHI_ENV_UNCOUNTED;
    msg->env.priority = CHARE_PRIORITY_MIN;
    msg->env.spare = phase;
    msg->env.entry = (uint32_t)runtime->exit_code;
    return msg;
}

static struct chi_msg *
exit_msg(chare_runtime *runtime, enum chi_handler handler, uint16_t phase)
{
    return exit_msg_with(runtime, handler, phase, NULL, 0);
}

static void
send_down(chare_runtime *runtime, const struct chi_msg *msg)
{
    if (runtime->route != NULL) {
        chi_coll_send_down(runtime->coll, msg->env.source_pe, msg);
    }
}

static void
expect_ends(chare_runtime *runtime)
{
    if (runtime->watch != NULL) {
        chi_watch_stop(runtime->watch);
    }
    /* Pairs with the acquire in chi_rt_watch_lost(). */
    atomic_store_explicit(&runtime->lost_handled, true, memory_order_release);
}

/* ---- in order */

static void
subtree_stopped(chare_runtime *runtime)
{
    struct chi_msg *msg;

    if (runtime->pe->rank == 0) {
        chi_rt_stats_end_print(runtime);
        chi_lb_history_write(runtime->lb);
        msg = exit_msg(runtime, CHI_HANDLER_EXIT, PHASE_GO);
        chi_pe_send(runtime->pe, 0, msg);
        return;
    }
    msg = exit_msg(runtime, CHI_HANDLER_EXIT, PHASE_DONE);
    chi_rt_stats_end_append(runtime, &msg);
    chi_pe_send(runtime->pe, chi_coll_edges(runtime->coll, 0)->parent, msg);
}

/* A PE's history goes to PE 0, which has its own already. */
static void
tell_history(chare_runtime *runtime, const void *text, size_t len)
{
    if (len > 0) {
        chi_pe_send(
            runtime->pe, chi_coll_edges(runtime->coll, 0)->parent,
            exit_msg_with(runtime, CHI_HANDLER_EXIT, PHASE_TOLD, text, len));
    }
}

static void
stop(chare_runtime *runtime, const struct chi_msg *msg)
{
    const char *history;
    size_t len;

    runtime->exit_code = (int)(msg->env.entry & EXIT_CODE_MAX);
    runtime->state = CHI_RT_CLOSING;
    runtime->pe->closing = true;
    send_down(runtime, msg);
    chi_rt_stats_end_own(runtime);
    history = chi_lb_history_end(
        runtime->lb,
        runtime->layout == NULL
            ? 0
            : chi_layout_node_of(runtime->layout, runtime->pe->rank),
        &len);
    if (runtime->pe->rank != 0) {
        tell_history(runtime, history, len);
    }
    runtime->exit_missing = chi_coll_edges(runtime->coll, 0)->child_count;
    if (runtime->exit_missing == 0) {
        subtree_stopped(runtime);
    }
}

static void
exit_execute(void *context, struct chi_msg *msg)
{
    chare_runtime *runtime = context;

    switch (msg->env.spare) {
    case PHASE_ASK:
        if (runtime->state == CHI_RT_STARTED) {
            struct chi_msg *order;

            runtime->exit_code = (int)(msg->env.entry & EXIT_CODE_MAX);
            runtime->state = CHI_RT_CLOSING;
            order = exit_msg(runtime, CHI_HANDLER_EXIT, PHASE_STOP);
            chi_pe_send(runtime->pe, 0, order);
        }
        break;
    case PHASE_STOP:
        stop(runtime, msg);
        break;
    case PHASE_TOLD:
        if (runtime->pe->rank == 0) {
            chi_lb_history_add(runtime->lb, msg->bytes, msg->env.len);
        } else {
            tell_history(runtime, msg->bytes, msg->env.len);
        }
        break;
    case PHASE_DONE:
        chi_assert(runtime->exit_missing > 0);
        chi_rt_stats_end_merge(runtime, msg);
        if (--runtime->exit_missing == 0) {
            subtree_stopped(runtime);
        }
        break;
    case PHASE_GO:
        expect_ends(runtime);
        send_down(runtime, msg);
        chi_pe_end(runtime->pe, CHARE_OK);
        break;
    }
    chi_msg_release(msg);
}

void
chi_rt_exit(chare_runtime *runtime, int code)
{
    struct chi_msg *msg;

    if (runtime->forked) {
        runtime->exit_code = code & EXIT_CODE_MAX;
    }
    if (runtime->state != CHI_RT_STARTED) {
        return;
    }
    runtime->pe->leaving = true;
    chi_pack_flush(runtime->pe); /* what was called before is on its way */
    msg = exit_msg(runtime, CHI_HANDLER_EXIT, PHASE_ASK);
    msg->env.entry = (uint32_t)(code & EXIT_CODE_MAX);
    chi_pe_send(runtime->pe, 0, msg);
}

/* ---- not in order */

static void
end_broken(chare_runtime *runtime, int code, chare_status why)
{
    runtime->exit_code = code;
    runtime->pe->closing = true;
    expect_ends(runtime);
    chi_pe_end(runtime->pe, why);
}

static void
abort_execute(void *context, struct chi_msg *msg)
{
    chare_runtime *runtime = context;

    /* Also when this PE has ended: others may hear of it only through here. */
    send_down(runtime, msg);
    if (!runtime->pe->ended) {
        end_broken(runtime, (int)(msg->env.entry & EXIT_CODE_MAX),
                   CHARE_ERR_STATE);
    }
    chi_msg_release(msg);
}

/* Tell the others, and end here. */
static void
abort_all(chare_runtime *runtime, int code, chare_status why)
{
    if (runtime->pe->ended) {
        return;
    }
    end_broken(runtime, code, why);
    runtime->aborted_here = true;
    if (runtime->state != CHI_RT_OPEN && runtime->route != NULL) {
        struct chi_msg *msg = exit_msg(runtime, CHI_HANDLER_ABORT, 0);

        msg->env.source_pe = runtime->pe->rank;
        send_down(runtime, msg);
        chi_msg_release(msg);
    }
}

void
chi_rt_abort(chare_runtime *runtime, int code, const char *text)
{
    if (code < 1 || code > EXIT_CODE_MAX) {
        code = 1;
    }
    if (text != NULL && text[0] != '\0' &&
        (!runtime->pe->ended || runtime->forked)) {
        chi_log_error(&runtime->log, "%s", text);
    }
    if (runtime->forked) {
        runtime->exit_code = code;
    }
    abort_all(runtime, code, CHARE_ERR_STATE);
}

void
chi_rt_fatal(void *context, const char *text)
{
    chi_rt_abort(context, 1, text);
}

void
chi_rt_peer_lost(void *context, uint32_t rank, chare_status why)
{
    chare_runtime *runtime = context;

    atomic_store_explicit(&runtime->lost_handled, true, memory_order_release);
    if (runtime->pe->ended || runtime->state == CHI_RT_OPEN) {
        return; /* they may go */
    }
    if (runtime->state == CHI_RT_CLOSING) {
        /* It may have been told GO, which is then on its way to here. */
        runtime->lost_rank = rank;
        runtime->pe->deadline_ns =
            chi_clock_now_ns(runtime->clock) + GO_GRACE_NS;
        return;
    }
    chi_log_error(
        &runtime->log, "PE %u (on %s) is gone (%s): the job ends", rank,
        chi_layout_node_name(runtime->layout,
                             chi_layout_node_of(runtime->layout, rank)),
        chare_status_text(why));
    runtime->lost = true;
    runtime->lost_rank = rank;
    abort_all(runtime, 1, CHARE_ERR_PEER_LOST);
}

/* A PE was lost while the job was ending, and GO did not come. */
void
chi_rt_late(void *context)
{
    chare_runtime *runtime = context;

    chi_log_error(&runtime->log,
                  "PE %u is gone, and the job did not come to its end",
                  runtime->lost_rank);
    runtime->lost = true;
    abort_all(runtime, 1, CHARE_ERR_PEER_LOST);
}

/* A message that is gone would leave somebody waiting for ever. */
void
chi_rt_message_lost(void *context, uint32_t rank)
{
    (void)rank;
    chi_rt_abort(context, 1, NULL); /* the route has said why */
}

/* ---- the last things */

static void
flush(chare_runtime *runtime)
{
    const uint64_t start_ns = chi_clock_now_ns(runtime->clock);

    while (!chi_route_drained(runtime->route) &&
           chi_clock_now_ns(runtime->clock) - start_ns < FLUSH_NS_MAX) {
        (void)chi_route_progress(runtime->route, CHI_PE_POLL_EVENTS_MAX);
    }
}

void
chi_rt_tell_lost(const chare_runtime *runtime, int code, uint32_t rank)
{
    char text[sizeof(CHI_WIREUP_LOST_FORMAT) + 16];

    if (runtime->wireup != NULL) {
        snprintf(text, sizeof(text), CHI_WIREUP_LOST_FORMAT, rank);
        chi_wireup_abort(runtime->wireup, code, text);
    }
}

void
chi_rt_finish(chare_runtime *runtime)
{
    const bool was_started = runtime->state != CHI_RT_OPEN;

    if (runtime->state == CHI_RT_OVER) {
        return;
    }
    runtime->state = CHI_RT_OVER;
    if (runtime->simulated || runtime->route == NULL) {
        return;
    }
    if (was_started) {
        flush(runtime);
    }
    if (runtime->aborted_here && runtime->lost) {
        chi_rt_tell_lost(runtime, runtime->exit_code, runtime->lost_rank);
    } else if (runtime->aborted_here && runtime->wireup != NULL) {
        chi_wireup_abort(runtime->wireup, runtime->exit_code,
                         "chare: the job was aborted");
    } else if (runtime->pe->end_status != CHARE_OK) {
        /* Who knows of the error tells the launcher first, which then blames
         * that process; this one only heard of it. */
        (void)nanosleep(&(struct timespec){.tv_sec = BLAME_GRACE_S}, NULL);
    }
}

void
chi_rt_exit_init(chare_runtime *runtime)
{
    chi_pe_set_handler(runtime->pe, CHI_HANDLER_EXIT, exit_execute, runtime);
    chi_pe_set_handler(runtime->pe, CHI_HANDLER_ABORT, abort_execute, runtime);
}

void
chi_rt_forked(chare_runtime *runtime)
{
    runtime->forked = true;
    runtime->state = CHI_RT_OVER;
    runtime->exit_code = 0;
    if (runtime->route != NULL) {
        chi_route_close_all(runtime->route);
    }
    chi_pe_end(runtime->pe, CHARE_ERR_STATE);
}
