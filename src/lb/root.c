/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * root.c - on PE 0: from the loads of all PEs to what moves.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/dump.h"
#include "lb/edges.h"
#include "lb/history.h"
#include "lb/lb_private.h"
#include "lb/spots.h"
#include "lb/synth.h"

/* ---- what was collected, as a problem */

struct gathered {
    struct chi_lb_problem problem;
    float *work;
    uint32_t *from;
    uint32_t *numbers;
    uint64_t *bytes;
    uint8_t *fixed;
    float *places;
    float *speeds;
    float *background;
    struct chi_lb_sensors *sensors;
    uint32_t *to;
    uint32_t *nodes;
    struct chi_lb_spot *spots;
    bool measured; /* not all say what they cost */
    bool has_edges;
    double lost_bytes; /* that were counted, and not kept */
    struct chi_lb_edges edges;
};

static bool
gathered_alloc(struct gathered *gathered, size_t objects, uint32_t pes)
{
    gathered->work = malloc((objects + 1) * sizeof(float));
    gathered->from = malloc((objects + 1) * sizeof(uint32_t));
    gathered->numbers = malloc((objects + 1) * sizeof(uint32_t));
    gathered->bytes = malloc((objects + 1) * sizeof(uint64_t));
    gathered->fixed = malloc(objects + 1);
    gathered->places = calloc((objects + 1) * CHI_LB_DIMS_MAX, sizeof(float));
    gathered->speeds = calloc(pes, sizeof(float));
    gathered->background = calloc(pes, sizeof(float));
    gathered->sensors = calloc(pes, sizeof(*gathered->sensors));
    gathered->to = malloc((objects + 1) * sizeof(uint32_t));
    gathered->nodes = malloc(pes * sizeof(uint32_t));
    gathered->spots = malloc(pes * sizeof(struct chi_lb_spot));
    return gathered->work != NULL && gathered->from != NULL &&
           gathered->numbers != NULL && gathered->bytes != NULL &&
           gathered->fixed != NULL && gathered->places != NULL &&
           gathered->speeds != NULL && gathered->background != NULL &&
           gathered->sensors != NULL && gathered->to != NULL &&
           gathered->nodes != NULL && gathered->spots != NULL;
}

static void
gathered_free(struct gathered *gathered)
{
    free(gathered->work);
    free(gathered->from);
    free(gathered->numbers);
    free(gathered->bytes);
    free(gathered->fixed);
    free(gathered->places);
    free(gathered->speeds);
    free(gathered->background);
    free(gathered->sensors);
    free(gathered->to);
    free(gathered->nodes);
    free(gathered->spots);
    chi_lb_edges_fini(&gathered->edges);
}

/* Names of objects from 'first' on, and what they have called; false: no
 * memory. */
static bool
read_edges(struct chi_reader *reader, const struct chi_lb_pe *pe, size_t first,
           struct gathered *out)
{
    struct chi_comm_edge edge = {0};
    chare_status status = CHARE_OK;

    for (uint32_t i = 0; i < pe->count && !reader->bad; i++) {
        struct chi_comm_name name;

        chi_read(reader, &name, sizeof(name));
        if (out != NULL && status == CHARE_OK) {
            status =
                chi_lb_edges_name(&out->edges, &name, (uint32_t)(first + i));
        }
    }
    for (uint32_t i = 0; i < pe->edges && !reader->bad; i++) {
        chi_read(reader, &edge, sizeof(edge));
        if (out != NULL && status == CHARE_OK && i + 1 < pe->edges) {
            status = chi_lb_edges_add(&out->edges, &edge);
        }
    }
    if (out != NULL) {
        out->has_edges = true;
        out->lost_bytes += (double)edge.bytes;
    }
    return status == CHARE_OK;
}

/* Call fn for each record; false: what came is malformed. */
static bool
walk(const struct chi_lb *lb, struct gathered *out, size_t *count_out)
{
    struct chi_reader reader = chi_reader_of(lb->stats, lb->stats_len);
    size_t count = 0;
    bool measured = false;

    while (chi_reader_left(&reader) > 0) {
        struct chi_lb_pe pe;

        chi_read(&reader, &pe, sizeof(pe));
        if (reader.bad || pe.rank >= lb->pe->size) {
            return false;
        }
        if (out != NULL) {
            out->speeds[pe.rank] = pe.speed;
            out->background[pe.rank] = pe.background;
            out->sensors[pe.rank] =
                (struct chi_lb_sensors){pe.mhz, pe.celsius, pe.watts};
            lb->pes[pe.rank] = pe;
        }
        measured |= pe.measured != 0;
        for (uint32_t i = 0; i < pe.count; i++, count++) {
            struct chi_lb_record record;

            chi_read(&reader, &record, sizeof(record));
            if (reader.bad) {
                return false;
            }
            if (out != NULL) {
                out->work[count] = record.work;
                out->from[count] = pe.rank;
                out->numbers[count] = record.number;
                out->bytes[count] = record.bytes;
                out->fixed[count] = record.fixed != 0;
                memcpy(out->places + count * CHI_LB_DIMS_MAX, record.at,
                       sizeof(record.at));
            }
        }
        if (pe.edges > 0 &&
            (!read_edges(&reader, &pe, count - pe.count, out) || reader.bad)) {
            return false;
        }
    }
    if (out != NULL) {
        out->measured = measured;
    }
    if (out != NULL && !measured) {
        memset(out->background, 0, lb->pe->size * sizeof(float));
    }
    *count_out = count;
    return true;
}

static void
problem_init(const struct chi_lb *lb, struct gathered *gathered, size_t count)
{
    gathered->problem = (struct chi_lb_problem){
        .object_count = count,
        .pe_count = lb->pe->size,
        .dims = CHI_LB_DIMS_MAX,
        .work = gathered->work,
        .from = gathered->from,
        .bytes = gathered->bytes,
        .coordinates = gathered->places,
        .fixed = gathered->fixed,
        .speeds = gathered->speeds,
        .background = gathered->background,
        .sensors = gathered->sensors,
        .seed = lb->session + 1,
    };
    if (chi_coll_layout(lb->coll) != NULL) {
        if (chi_lb_spots_of_layout(chi_coll_layout(lb->coll), gathered->spots,
                                   gathered->nodes) != CHARE_OK) {
            chi_pe_die(lb->pe, "out of memory for load balancing");
        }
        gathered->problem.nodes = gathered->nodes;
        gathered->problem.spots = gathered->spots;
    }
    if (gathered->has_edges) {
        if (chi_lb_edges_finish(&gathered->edges, count) != CHARE_OK) {
            chi_pe_die(lb->pe, "out of memory for load balancing");
        }
        gathered->problem.edge_first = gathered->edges.first;
        gathered->problem.edge_to = gathered->edges.to;
        gathered->problem.edge_bytes = gathered->edges.bytes;
        gathered->problem.edge_messages = gathered->edges.messages;
    }
    memcpy(gathered->to, gathered->from, count * sizeof(*gathered->to));
}

/* ---- deciding */

static struct chi_lb_noise *
noise_of(struct chi_lb *lb)
{
    return &lb->noise[lb->timed ? CHI_LOAD_FREE : CHI_LOAD_SYNCED];
}

static void
dump(struct chi_lb *lb, const struct chi_lb_problem *problem)
{
    const char *name = lb->pe->options.settings->lb_dump;
    FILE *file;

    if (name[0] == '\0') {
        return;
    }
    file = fopen(name, "w");
    if ((file == NULL || chi_dump_write(file, problem, NULL) != CHARE_OK) &&
        !lb->dump_said) {
        chi_log_warn(lb->pe->options.log,
                     "CHARE_LB_DUMP=%s: %s; it is tried again at each "
                     "balancing, and said once",
                     name, strerror(errno));
        lb->dump_said = true;
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* What a user's strategy answers has to make sense. */
static chare_status
check_answer(const struct gathered *gathered, char *text)
{
    for (size_t i = 0; i < gathered->problem.object_count; i++) {
        const uint32_t to = gathered->to[i];
        const uint32_t from = gathered->from[i];

        if (to >= gathered->problem.pe_count) {
            snprintf(text, CHI_LB_TEXT_BYTES,
                     "its answer for object %zu is no PE; they are 0 to "
                     "%" PRIu32,
                     i, gathered->problem.pe_count - 1);
            return CHARE_ERR_INVALID;
        }
        if (gathered->fixed[i] != 0 && to != from) {
            snprintf(text, CHI_LB_TEXT_BYTES,
                     "its answer moves object %zu, which cannot move, from "
                     "PE %" PRIu32 " to PE %" PRIu32,
                     i, from, to);
            return CHARE_ERR_INVALID;
        }
    }
    return CHARE_OK;
}

static chare_status
ask(struct chi_lb *lb, struct gathered *gathered, struct chi_lb_choice *choice,
    char *text)
{
    chare_status status;

    if (lb->is_automatic) {
        status = chi_lb_auto_decide(lb->automatic, &gathered->problem,
                                    lb->pe->options.clock, gathered->to,
                                    choice, text);
        lb->report.gain = choice->gain_s;
        lb->report.cost = choice->cost_s;
        return status;
    }
    if (lb->user == NULL) {
        choice->strategy = chi_lb_talk_choose(lb, &gathered->problem);
        status = choice->strategy == NULL
                     ? CHARE_OK
                     : chi_lb_decide(choice->strategy, &gathered->problem,
                                     gathered->to, text);
        if (status == CHARE_ERR_NOT_FOUND) {
            chi_lb_talk_lacks(lb, text);
            choice->strategy = chi_lb_talk_choose(lb, &gathered->problem);
            status = chi_lb_decide(choice->strategy, &gathered->problem,
                                   gathered->to, text);
        }
        return status;
    }
    status = chi_lb_problem_check(&gathered->problem, text);
    if (status == CHARE_OK) {
        const chare_lb_problem asked = {
            .size = sizeof(asked),
            .object_count = gathered->problem.object_count,
            .pe_count = gathered->problem.pe_count,
            .work = gathered->work,
            .from = gathered->from,
            .fixed = gathered->fixed,
            .speeds = gathered->speeds,
            .background = gathered->background,
            .edge_first = gathered->problem.edge_first,
            .edge_to = gathered->problem.edge_to,
            .edge_bytes = gathered->problem.edge_bytes,
            .edge_messages = gathered->problem.edge_messages,
        };

        status = lb->user->fn(lb->user->context, &asked, gathered->to);
        snprintf(text, CHI_LB_TEXT_BYTES, "it failed: %s",
                 chare_status_text(status));
    }
    if (status == CHARE_OK) {
        status = check_answer(gathered, text);
    }
    return status;
}

static const char *
name_of(const struct chi_lb *lb, const struct chi_lb_choice *choice)
{
    return lb->user != NULL           ? lb->user->name
           : choice->strategy != NULL ? choice->strategy->name
                                      : "none";
}

static void
tell_moves(struct chi_lb *lb, const struct gathered *gathered)
{
    const size_t count = gathered->problem.object_count;
    struct chi_lb_move *moves = malloc((count + 1) * sizeof(*moves));
    size_t moving = 0;

    if (moves == NULL) {
        chi_pe_die(lb->pe, "out of memory for load balancing");
    }
    for (size_t i = 0; i < count; i++) {
        if (gathered->to[i] != gathered->from[i]) {
            moves[moving++] = (struct chi_lb_move){
                gathered->from[i], gathered->numbers[i], gathered->to[i]};
        }
    }
    lb->report.moves += moving;
    lb->has_moved = moving > 0;
    lb->moves_ns = chi_clock_now_ns(lb->pe->options.clock);
    chi_lb_root_tell(lb, CHI_LB_MOVES, moves, moving * sizeof(*moves));
    free(moves);
}

/* Once: a session may follow another within a millisecond. */
static void
complain(struct chi_lb *lb, const char *name, const char *text)
{
    if (!lb->failed_said && !lb->pe->ended && !lb->pe->leaving) {
        chi_log_warn(lb->pe->options.log,
                     "load balancing by %s: %s; nothing moves, now or when it "
                     "fails again, which is not said",
                     name, text);
        lb->failed_said = true;
    }
}

static void
decide(struct chi_lb *lb, struct gathered *gathered)
{
    struct chi_lb_noise *noise = noise_of(lb);
    struct chi_lb_quality before;
    struct chi_lb_quality after;
    struct chi_lb_choice choice = {0};
    char text[CHI_LB_TEXT_BYTES] = "out of memory";
    const uint64_t start_ns = chi_clock_now_ns(&chi_clock_real);
    chare_status status;

    status = chi_lb_evaluate(&gathered->problem, gathered->from, &before);
    if (status == CHARE_OK && lb->automatic != NULL) {
        chi_lb_auto_confirm(lb->automatic, before.makespan);
        chi_lb_auto_doubt(lb->automatic, noise);
    }
    if (status == CHARE_OK) {
        status = ask(lb, gathered, &choice, text);
    }

    lb->report.decision_ns = chi_clock_now_ns(&chi_clock_real) - start_ns;
    if (status != CHARE_OK) {
        complain(lb, name_of(lb, &choice), text);
        memcpy(gathered->to, gathered->from,
               gathered->problem.object_count * sizeof(*gathered->to));
    }
    if (chi_lb_evaluate(&gathered->problem, gathered->from, &before) ==
            CHARE_OK &&
        chi_lb_evaluate(&gathered->problem, gathered->to, &after) ==
            CHARE_OK) {
        lb->report.objects = gathered->problem.object_count;
        lb->report.bound = before.bound;
        lb->report.time_before = before.makespan;
        lb->report.time_after = after.makespan;
        chi_lb_talk_report(lb, &gathered->problem, &before, &after);
        lb->report.talk_lost = gathered->lost_bytes;
    }
    chi_lb_noise_expect(noise, &gathered->problem, gathered->to);
    snprintf(lb->report.strategy, sizeof(lb->report.strategy), "%s",
             name_of(lb, &choice));
    chi_lb_history_decided(lb, &gathered->problem, gathered->to);
    chi_log_info(
        lb->pe->options.log,
        "load balancing %" PRIu64 " by %s: %zu chares, the fullest PE "
        "has %.4g s, then %.4g s; at best %.4g s",
        lb->session, name_of(lb, &choice), gathered->problem.object_count,
        lb->report.time_before, lb->report.time_after, lb->report.bound);
}

static void
gather(struct chi_lb *lb, struct gathered *gathered)
{
    size_t count = 0;
    const bool good = walk(lb, NULL, &count);

    if (lb->pes == NULL) {
        lb->pes = calloc(lb->pe->size, sizeof(*lb->pes));
    }
    if (!good || lb->pes == NULL ||
        !gathered_alloc(gathered, count, lb->pe->size)) {
        chi_pe_die(lb->pe, "load balancing: %s",
                   good ? "out of memory" : "malformed loads");
    }
    if (!walk(lb, gathered, &count)) {
        chi_pe_die(lb->pe, "load balancing: out of memory");
    }
    problem_init(lb, gathered, count);
}

void
chi_lb_root_decide(struct chi_lb *lb)
{
    struct gathered gathered = {0};
    struct chi_lb_problem dumped;

    gather(lb, &gathered);
    chi_lb_noise_look(noise_of(lb), &gathered.problem, gathered.measured);
    if (!lb->is_automatic && lb->user == NULL) {
        gathered.problem.noise = (float)chi_lb_noise_least(noise_of(lb));
    }
    dumped = gathered.problem;
    if (lb->is_automatic) { /* which is itself what doubts its attempts */
        dumped.noise = (float)chi_lb_noise_doubt(noise_of(lb));
    }
    dump(lb, &dumped);
    decide(lb, &gathered);
    tell_moves(lb, &gathered);
    gathered_free(&gathered);
}

void
chi_lb_root_dump(struct chi_lb *lb)
{
    struct gathered gathered = {0};

    gather(lb, &gathered);
    dump(lb, &gathered.problem);
    gathered_free(&gathered);
}

/* ---- which strategy, which speed */

static chare_status
use_automatic(struct chi_lb *lb)
{
    if (lb->automatic == NULL) {
        lb->automatic = malloc(sizeof(*lb->automatic));
        if (lb->automatic == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        chi_lb_auto_init(lb->automatic);
    }
    lb->is_automatic = true;
    chi_lb_talk_want(lb);
    if (!lb->pe->meter.on) {
        chi_lb_meter(lb, true);
    }
    return CHARE_OK;
}

static chare_status
use(struct chi_lb *lb, const char *name)
{
    lb->user = NULL;
    lb->strategy = NULL;
    lb->is_automatic = false;
    if (name == NULL || name[0] == '\0') {
        chi_lb_talk_want(lb);
        return CHARE_OK;
    }
    for (size_t i = 0; i < lb->user_count; i++) {
        if (strcmp(lb->users[i].name, name) == 0) {
            lb->user = &lb->users[i];
        }
    }
    if (lb->user == NULL && strcmp(name, "auto") == 0) {
        return use_automatic(lb);
    }
    lb->strategy = lb->user == NULL ? chi_lb_strategy_find(name) : NULL;
    if (lb->user == NULL && lb->strategy == NULL) {
        chi_lb_talk_want(lb);
        return CHARE_ERR_NOT_FOUND;
    }
    chi_lb_talk_want(lb);
    if (lb->strategy != &chi_lb_none && !lb->pe->meter.on) {
        chi_lb_meter(lb, true);
    }
    return CHARE_OK;
}

chare_status
chi_lb_use(struct chi_lb *lb, const char *name)
{
    const struct chi_lb_user *user = lb->user;
    const struct chi_lb_strategy *strategy = lb->strategy;
    const bool is_automatic = lb->is_automatic;
    const chare_status status = use(lb, name);

    if (status != CHARE_OK) {
        lb->user = user;
        lb->strategy = strategy;
        lb->is_automatic = is_automatic;
        chi_lb_talk_want(lb);
        return status;
    }
    /* Who asks for a dump wants to know what it costs as it is. */
    if (!lb->pe->meter.on && lb->pe->options.settings->lb_dump[0] != '\0') {
        chi_lb_meter(lb, true);
    }
    if (user != lb->user || strategy != lb->strategy ||
        is_automatic != lb->is_automatic) { /* N4 */
        chi_lb_noise_forget(&lb->noise[CHI_LOAD_SYNCED]);
        chi_lb_noise_forget(&lb->noise[CHI_LOAD_FREE]);
        lb->failed_said = false;
    }
    return status;
}

/* It is a word of the history's lines. */
static bool
is_word(const char *name)
{
    for (; *name != '\0'; name++) {
        const unsigned char byte = (unsigned char)*name;

        if (byte <= ' ' || byte == 0x7f || byte == '#') {
            return false;
        }
    }
    return true;
}

chare_status
chi_lb_register(struct chi_lb *lb, const char *name, chare_lb_fn fn,
                void *context)
{
    const ptrdiff_t used = lb->user == NULL ? -1 : lb->user - lb->users;
    struct chi_lb_user *users;
    char *copy;

    if (!is_word(name)) {
        chi_log_error(lb->pe->options.log,
                      "load balancing: \"%s\" cannot be a strategy's name: it "
                      "has a blank, a control character or '#'; use '-'",
                      name);
        return CHARE_ERR_INVALID;
    }
    for (size_t i = 0; i < lb->user_count; i++) {
        if (strcmp(lb->users[i].name, name) == 0) {
            return CHARE_ERR_EXISTS;
        }
    }
    if (strcmp(name, "auto") == 0 || chi_lb_strategy_find(name) != NULL) {
        return CHARE_ERR_EXISTS;
    }
    users = realloc(lb->users, (lb->user_count + 1) * sizeof(*users));
    copy = strdup(name);
    lb->users = users != NULL ? users : lb->users;
    lb->user = used < 0 ? NULL : &lb->users[used]; /* it may have moved */
    if (users == NULL || copy == NULL) {
        free(copy);
        return CHARE_ERR_NO_MEMORY;
    }
    users[lb->user_count++] = (struct chi_lb_user){copy, fn, context};
    return CHARE_OK;
}

void
chi_lb_set_speed(struct chi_lb *lb)
{
    const char *at = lb->pe->options.settings->lb_speeds;
    double speed = 1;

    for (uint32_t pe = 0; pe <= lb->pe->rank && *at != '\0'; pe++) {
        char *end;

        speed = strtod(at, &end);
        if (end == at || !(speed >= 0) || (*end != '\0' && *end != ',')) {
            chi_log_warn(lb->pe->options.log,
                         "CHARE_LB_SPEEDS=%s: should be numbers, separated by "
                         "commas; all PEs count as alike",
                         lb->pe->options.settings->lb_speeds);
            speed = 1;
            break;
        }
        at = *end == ',' ? end + 1 : end;
    }
    lb->speed = (float)speed;
    chi_speed_init(&lb->speed_of,
                   lb->pe->options.settings->lb_speeds[0] == '\0' &&
                           !lb->pe->simulated
                       ? &chi_speed_real
                       : NULL);
    lb->speed_of.used = (double)lb->speed;
    lb->scale = 1;
    lb->sense = (struct chi_sense)CHI_SENSE_INIT;
}
