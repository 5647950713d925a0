/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stall.c - a job in which nothing can happen any more is told so, and ended.
 *
 * PE 0, once it has slept for CHARE_DEADLOCK_S, surveys all PEs: what could
 * still wake them (timers, and what the 'outside' hook counts), and how many
 * messages were made, done and kept for chares that do not exist. Twice the
 * same, with nothing to wake anybody and nothing under way, is a stall: then a
 * third survey lets each PE say what waits in its collections (obj/stall.c)
 * and who waits ('stalled' hook), and PE 0 ends the job. As in qd.c, two waves
 * are needed because one is no snapshot.
 *
 * Only embedders that set the hooks are asked: nobody else can know what comes
 * from outside.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "rt/runtime.h"

enum {
    EXIT_STALLED = 1,
    TEXT_BYTES = 512,
};

/* What a survey asks for. */
enum {
    ASK_FIRST,
    ASK_AGAIN,
    ASK_REPORT,
};

/* The words of an answer: timers and outside sources; messages made; done;
 * kept for chares that do not exist, or in a report who waits. */
#define WORD_ALIVE 0
#define WORD_MADE  1
#define WORD_DONE  2
#define WORD_KEPT  3

_Static_assert(WORD_KEPT < CHI_SURVEY_WORDS, "an answer has room for all");

/* What is sure to make this PE do something. */
static uint64_t
may_wake(const chare_runtime *runtime)
{
    return runtime->pe->timers.by_id.count - chi_qd_timers(runtime->qd) -
           chi_lb_timers(runtime->lb) + runtime->pe->outside;
}

static bool
stall_answer(void *context, uint64_t argument,
             uint64_t words_out[CHI_SURVEY_WORDS])
{
    const chare_runtime *runtime = context;
    struct chi_pe *pe = runtime->pe;
    const chare_hooks *hooks = &runtime->hooks;

    if (argument != (uint64_t)ASK_REPORT && !chi_pe_is_idle(pe)) {
        return false;
    }
    words_out[WORD_ALIVE] = may_wake(runtime);
    if (hooks->outside == NULL) {
        words_out[WORD_ALIVE]++; /* it cannot be known */
    } else {
        words_out[WORD_ALIVE] += hooks->outside(runtime->hooks_context);
    }
    words_out[WORD_MADE] = pe->counted_made;
    words_out[WORD_DONE] = pe->counted_done;
    words_out[WORD_KEPT] = chi_obj_kept_count(runtime->obj);
    if (argument == (uint64_t)ASK_REPORT) {
        chi_obj_stalled(runtime->obj);
    }
    if (argument == (uint64_t)ASK_REPORT && hooks->stalled != NULL) {
        words_out[WORD_KEPT] = hooks->stalled(runtime->hooks_context);
    }
    return true;
}

/* 'waiting': coroutines, and messages that are held for a condition. */
static void
stall_end(chare_runtime *runtime, uint64_t waiting)
{
    const uint64_t kept =
        runtime->stall.words[WORD_MADE] - runtime->stall.words[WORD_DONE];
    char text[TEXT_BYTES];
    char kept_text[TEXT_BYTES / 2] = "";

    if (kept > 0) {
        snprintf(kept_text, sizeof(kept_text),
                 "; %llu message(s) wait for chares that do not exist",
                 (unsigned long long)kept);
    }
    if (waiting > 0) {
        snprintf(text, sizeof(text),
                 "deadlock: nothing is under way, no timer or thread is left, "
                 "and %llu coroutine(s) or held call(s) wait for what cannot "
                 "come, see "
                 "above%s (CHARE_DEADLOCK_S=0 lets such a job wait)",
                 (unsigned long long)waiting, kept_text);
    } else {
        snprintf(text, sizeof(text),
                 "nothing is left to do, and nobody has ended the job: a "
                 "program ends by charm.exit(), or chare_exit()%s "
                 "(CHARE_DEADLOCK_S=0 lets such a job wait)",
                 kept_text);
    }
    chi_rt_abort(runtime, EXIT_STALLED, text);
}

static void stall_ask(chare_runtime *runtime, uint64_t what);

static void
stall_answered(void *context, uint64_t argument,
               const uint64_t sums[CHI_SURVEY_WORDS])
{
    chare_runtime *runtime = context;
    struct chi_stall *stall = &runtime->stall;

    if (argument == (uint64_t)ASK_REPORT) {
        stall_end(runtime, sums[WORD_KEPT]);
        return;
    }
    if (sums[WORD_ALIVE] == 0 &&
        sums[WORD_MADE] - sums[WORD_DONE] <= sums[WORD_KEPT]) {
        if (argument == (uint64_t)ASK_FIRST) {
            memcpy(stall->words, sums, sizeof(stall->words));
            stall_ask(runtime, ASK_AGAIN);
            return;
        }
        if (memcmp(stall->words, sums, sizeof(stall->words)) == 0) {
            stall_ask(runtime, ASK_REPORT);
            return;
        }
    }
    stall->asking = false;
    stall->since_ns = chi_clock_now_ns(runtime->clock);
}

static void
stall_ask(chare_runtime *runtime, uint64_t what)
{
    runtime->stall.asking = true;
    chi_coll_survey(runtime->coll, CHI_SURVEY_STALL, what, stall_answered,
                    runtime);
}

/* PE 0 has slept, with nothing to do. */
static void
stall_slept(void *context)
{
    chare_runtime *runtime = context;
    struct chi_stall *stall = &runtime->stall;
    const uint64_t now_ns = chi_clock_now_ns(runtime->clock);
    const uint64_t moved =
        runtime->pe->counted_made + runtime->pe->counted_done;

    if (runtime->state != CHI_RT_STARTED || stall->asking) {
        return;
    }
    if (moved != stall->moved || stall->since_ns == 0 ||
        may_wake(runtime) > 0) {
        stall->moved = moved;
        stall->since_ns = now_ns;
    } else if (now_ns - stall->since_ns >= runtime->settings.deadlock_ns) {
        stall_ask(runtime, ASK_FIRST);
    }
}

void
chi_rt_stall_init(chare_runtime *runtime)
{
    chi_coll_set_survey(runtime->coll, CHI_SURVEY_STALL, stall_answer,
                        runtime);
    if (runtime->pe->rank == 0 && runtime->settings.deadlock_ns > 0 &&
        runtime->hooks.outside != NULL) {
        runtime->pe->slept = stall_slept;
    }
}
