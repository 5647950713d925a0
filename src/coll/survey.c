/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * survey.c - a question to all PEs, answered by sums.
 *
 * The question goes down the tree of the PE that asks, the sums come back up.
 * Survey messages do not count for quiescence, which itself is one.
 */
#include "config.h"

#include <stdlib.h>

#include "coll/coll_private.h"

static void
wave_finish(struct chi_coll *coll, struct chi_survey_wave *wave)
{
    struct chi_survey_wave **link = &coll->waves;
    struct chi_msg *msg;

    while (*link != wave) {
        link = &(*link)->next;
    }
    *link = wave->next;
    if (wave->root == coll->pe->rank) {
        struct chi_survey_state *state = &coll->surveys[wave->survey];
        chi_survey_done_fn done = state->done;

        state->done = NULL; /* it may ask again */
        done(state->done_context, wave->argument, wave->sums);
        free(wave);
        return;
    }
    msg = chi_pe_msg(coll->pe, CHI_HANDLER_SURVEY_SUM, sizeof(wave->sums));
    memcpy(msg->bytes, wave->sums, sizeof(wave->sums));
    msg->env.flags = CHI_ENV_UNCOUNTED;
    msg->env.entry = (uint32_t)wave->survey;
    msg->env.key = wave->argument;
    msg->env.collection = wave->root;
    chi_pe_send(coll->pe, chi_coll_edges(coll, wave->root)->parent, msg);
    free(wave);
}

/* Ask this PE; true when the wave was finished and is gone. */
static bool
wave_answer(struct chi_coll *coll, struct chi_survey_wave *wave)
{
    const struct chi_survey_state *state = &coll->surveys[wave->survey];
    uint64_t words[CHI_SURVEY_WORDS] = {0};

    if (!wave->answered) {
        if (!state->fn(state->context, wave->argument, words)) {
            return false;
        }
        wave->answered = true;
        for (int i = 0; i < CHI_SURVEY_WORDS; i++) {
            wave->sums[i] += words[i];
        }
    }
    if (wave->children_missing > 0) {
        return false;
    }
    wave_finish(coll, wave);
    return true;
}

static void
wave_start(struct chi_coll *coll, enum chi_survey survey, uint32_t root,
           uint64_t argument)
{
    struct chi_survey_wave *wave = calloc(1, sizeof(*wave));

    if (wave == NULL) {
        chi_pe_die(coll->pe, "out of memory for a survey");
    }
    *wave = (struct chi_survey_wave){
        .next = coll->waves,
        .survey = survey,
        .root = root,
        .argument = argument,
        .children_missing = chi_coll_edges(coll, root)->child_count,
    };
    coll->waves = wave;
    (void)wave_answer(coll, wave);
}

void
chi_coll_set_survey(struct chi_coll *coll, enum chi_survey survey,
                    chi_survey_fn fn, void *context)
{
    coll->surveys[survey].fn = fn;
    coll->surveys[survey].context = context;
}

void
chi_coll_survey(struct chi_coll *coll, enum chi_survey survey,
                uint64_t argument, chi_survey_done_fn done, void *context)
{
    struct chi_survey_state *state = &coll->surveys[survey];
    struct chi_msg *msg;

    chi_assert(state->fn != NULL);
    chi_assert(state->done == NULL);
    state->done = done;
    state->done_context = context;
    msg = chi_pe_msg(coll->pe, CHI_HANDLER_SURVEY, 0);
    msg->env.flags = CHI_ENV_UNCOUNTED;
    msg->env.entry = (uint32_t)survey;
    msg->env.key = argument;
    chi_pe_send(coll->pe, coll->pe->rank, msg);
}

void
chi_coll_survey_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    const uint32_t root = msg->env.source_pe;

    if (msg->env.entry < CHI_SURVEY_COUNT && root < coll->pe->size) {
        chi_coll_send_down(coll, root, msg);
        wave_start(coll, (enum chi_survey)msg->env.entry, root, msg->env.key);
    }
    chi_msg_release(msg);
}

void
chi_coll_survey_sum_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_survey_wave *wave = coll->waves;
    uint64_t sums[CHI_SURVEY_WORDS];

    while (wave != NULL && (wave->root != msg->env.collection ||
                            (uint32_t)wave->survey != msg->env.entry ||
                            wave->argument != msg->env.key)) {
        wave = wave->next;
    }
    if (wave != NULL && msg->env.len == sizeof(sums)) {
        chi_assert(wave->children_missing > 0);
        memcpy(sums, msg->bytes, sizeof(sums));
        for (int i = 0; i < CHI_SURVEY_WORDS; i++) {
            wave->sums[i] += sums[i];
        }
        wave->children_missing--;
        (void)wave_answer(coll, wave);
    }
    chi_msg_release(msg);
}

void
chi_coll_survey_idle(void *context)
{
    struct chi_coll *coll = context;
    struct chi_survey_wave *wave = coll->waves;

    while (wave != NULL) {
        struct chi_survey_wave *next = wave->next;

        if (!wave->answered) {
            (void)wave_answer(coll, wave);
        }
        wave = next;
    }
}
