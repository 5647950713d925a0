/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qd.c - quiescence detection by counting (Mattern, "Algorithms for
 * distributed termination detection", Distributed Computing 2, 1987: the four
 * counter method).
 *
 * PE 0 asks all PEs, in waves, how many messages they have made and done; a PE
 * answers when it is idle.
 *
 * Invariants:
 *  Q1  quiescence is told when two waves one after the other gave the same
 *      sums, and made was equal to done in them;
 *  Q2  both waves began after the request had arrived at PE 0;
 *  Q3  the messages of this room do not count, nor do those of balancing by
 *      the clock (lb/timed.c).
 */
#include "config.h"

#include "qd/qd.h"

#include <stdlib.h>

enum {
    PACE_NS = 1000000
};

struct request {
    struct request *next;
    chare_callback callback;
    int waves_seen; /* whole waves since it arrived; -1: it came during one */
};

struct chi_qd {
    struct chi_pe *pe;
    struct chi_cb *cb;
    struct chi_coll *coll;
    struct request *requests;
    bool running;
    bool paced; /* the next wave waits for a timer */
    uint64_t last[CHI_SURVEY_WORDS];
    uint64_t waves;
};

static bool
qd_answer(void *context, uint64_t argument,
          uint64_t words_out[CHI_SURVEY_WORDS])
{
    struct chi_qd *qd = context;

    (void)argument;
    if (!chi_pe_is_idle(qd->pe)) {
        return false;
    }
    words_out[0] = qd->pe->counted_made;
    words_out[1] = qd->pe->counted_done;
    return true;
}

static void wave_done(void *context, uint64_t argument,
                      const uint64_t sums[CHI_SURVEY_WORDS]);

static void
wave_start(struct chi_qd *qd)
{
    qd->running = true;
    chi_coll_survey(qd->coll, CHI_SURVEY_QUIESCENCE, qd->waves++, wave_done,
                    qd);
}

static void
wave_due(const chare_call *call, void *context)
{
    struct chi_qd *qd = context;

    (void)call;
    qd->paced = false;
    wave_start(qd);
}

/*
 * Nothing has moved since the last wave, and yet something is not done: it
 * waits for a chare, or is going on outside. The next wave can wait.
 */
static void
wave_start_later(struct chi_qd *qd)
{
    const uint64_t now_ns = chi_clock_now_ns(qd->pe->options.clock);
    uint64_t timer;

    qd->running = true;
    if (chi_timers_add(&qd->pe->timers, now_ns + PACE_NS, wave_due, qd,
                       &timer) == CHARE_OK) {
        qd->paced = true;
    } else {
        wave_start(qd);
    }
}

/* Tell those who have seen two waves. */
static void
tell(struct chi_qd *qd)
{
    struct request **link = &qd->requests;

    while (*link != NULL) {
        struct request *request = *link;

        if (request->waves_seen < 2) { /* Q2 */
            link = &request->next;
            continue;
        }
        *link = request->next;
        chi_cb_call_or_die(qd->cb, &request->callback, NULL);
        free(request);
    }
}

static void
wave_done(void *context, uint64_t argument,
          const uint64_t sums[CHI_SURVEY_WORDS])
{
    struct chi_qd *qd = context;
    const bool same = sums[0] == qd->last[0] && sums[1] == qd->last[1];
    const bool quiet = sums[0] == sums[1] && same;

    (void)argument;
    qd->last[0] = sums[0];
    qd->last[1] = sums[1];
    for (struct request *request = qd->requests; request != NULL;
         request = request->next) {
        request->waves_seen++;
    }
    if (quiet) {
        tell(qd); /* Q1 */
    }
    qd->running = false;
    if (qd->requests != NULL && same && !quiet) {
        wave_start_later(qd);
    } else if (qd->requests != NULL) {
        wave_start(qd);
    }
}

static void
ask_execute(void *context, struct chi_msg *msg)
{
    struct chi_qd *qd = context;
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    struct request *request = calloc(1, sizeof(*request));

    if (request == NULL) {
        chi_pe_die(qd->pe, "out of memory for a quiescence request");
    }
    if (chi_callback_read(&reader, &request->callback)) {
        request->next = qd->requests;
        qd->requests = request;
        if (qd->running) {
            request->waves_seen = -1;
        } else {
            wave_start(qd);
        }
    } else {
        free(request);
    }
    chi_msg_release(msg);
}

chare_status
chi_qd_ask(struct chi_qd *qd, const chare_callback *callback)
{
    unsigned char bytes[CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_msg *msg;

    chi_callback_write(&writer, callback);
    chi_assert(!writer.bad);
    msg = chi_pe_msg(qd->pe, CHI_HANDLER_QUIESCENCE,
                     (uint64_t)(writer.at - bytes));
    memcpy(msg->bytes, bytes, (size_t)(writer.at - bytes));
    msg->env.flags = CHI_ENV_UNCOUNTED; /* Q3 */
    chi_pe_send(qd->pe, 0, msg);
    return CHARE_OK;
}

chare_status
chi_qd_create(struct chi_pe *pe, struct chi_cb *cb, struct chi_coll *coll,
              struct chi_qd **out)
{
    struct chi_qd *qd = calloc(1, sizeof(*qd));

    if (qd == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    qd->pe = pe;
    qd->cb = cb;
    qd->coll = coll;
    qd->last[0] = UINT64_MAX;
    chi_pe_set_handler(pe, CHI_HANDLER_QUIESCENCE, ask_execute, qd);
    chi_coll_set_survey(coll, CHI_SURVEY_QUIESCENCE, qd_answer, qd);
    *out = qd;
    return CHARE_OK;
}

void
chi_qd_destroy(struct chi_qd *qd)
{
    if (qd == NULL) {
        return;
    }
    while (qd->requests != NULL) {
        struct request *request = qd->requests;

        qd->requests = request->next;
        free(request);
    }
    free(qd);
}

uint32_t
chi_qd_timers(const struct chi_qd *qd)
{
    return qd->paced;
}

uint64_t
chi_qd_waves(const struct chi_qd *qd)
{
    return qd->waves;
}
