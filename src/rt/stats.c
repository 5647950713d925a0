/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats.c - the statistics of all PEs (src/pe/stats.c measures).
 *
 * ASK goes down the tree of the PE that asks, SUM up with the table of a
 * subtree; PRINT asks PE 0 to ask and to print. A request counts as something
 * outside of the runtime while it is under way, for its answer will come.
 * When the job ends, the tables go up with DONE (exit.c).
 */
#include "config.h"

#include "rt/stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "msg/buffer.h"
#include "msg/codec.h"
#include "rt/runtime.h"

enum stats_op { /* env.spare */
    OP_ASK,
    OP_SUM,
    OP_PRINT,
};

struct chi_stats_wave {
    struct chi_stats_wave *next;
    uint32_t root;
    uint32_t missing; /* children */
    uint64_t number;  /* of the root's */
    struct chi_stats_table table;
    bool print;
    uint32_t callback_count;
    chare_callback *callbacks; /* at the root: told; several print as one */
};

__attribute__((noreturn)) static void
die_of_memory(const chare_runtime *runtime)
{
    chi_pe_die(runtime->pe, "out of memory for statistics");
}

/* ---- tables */

static struct chi_stats_row *
row_of(chare_runtime *runtime, struct chi_stats_table *table, uint32_t at)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->rows[i].at == at) {
            return &table->rows[i];
        }
    }
    if (table->count == table->room) {
        table->room = 2 * table->room + 16;
        table->rows = realloc(table->rows, table->room * sizeof(*table->rows));
        if (table->rows == NULL) {
            die_of_memory(runtime);
        }
    }
    table->rows[table->count] = (struct chi_stats_row){.at = at};
    return &table->rows[table->count++];
}

static void
row_merge(struct chi_stats_row *into, const struct chi_stats_row *from)
{
    if (from->ns_pe >= into->ns_pe) {
        into->ns_pe = from->ns_pe;
        into->pe_most = from->pe_most;
    }
    into->ns_max = from->ns_max > into->ns_max ? from->ns_max : into->ns_max;
    into->wait_ns_max = from->wait_ns_max > into->wait_ns_max
                            ? from->wait_ns_max
                            : into->wait_ns_max;
    into->calls += from->calls;
    into->ns += from->ns;
    into->bytes += from->bytes;
    into->wait_ns += from->wait_ns;
    into->kept += from->kept;
    into->pes += from->pes;
}

static void
total_merge(struct chi_stats_table *into, const struct chi_stats_table *from)
{
    row_merge(&into->total, &from->total);
    into->pes += from->pes;
    into->pes_measured += from->pes_measured;
    into->sent += from->sent;
    into->executed += from->executed;
    into->bytes_sent += from->bytes_sent;
    into->bytes_received += from->bytes_received;
}

/* One PE's row into its table; sums go into the total. */
static void
row_add_own(chare_runtime *runtime, struct chi_stats_table *table, uint32_t at,
            const struct chi_stats_item *item, double ns_per_tick)
{
    struct chi_stats_row row = {
        .at = at,
        .pe_most = runtime->pe->rank,
        .calls = item->calls,
        .ns = (uint64_t)((double)item->ticks * ns_per_tick),
        .ns_max = (uint64_t)((double)item->ticks_max * ns_per_tick),
        .bytes = item->bytes,
        .wait_ns = (uint64_t)((double)item->wait * ns_per_tick),
        .wait_ns_max = (uint64_t)((double)item->wait_max * ns_per_tick),
        .kept = item->kept,
        .pes = 1,
    };

    if (item->calls == 0 && item->ticks == 0 && item->kept == 0) {
        return;
    }
    row.ns_pe = row.ns;
    row_merge(row_of(runtime, table, at), &row);
    row.ns_pe = 0;
    row.pes = 0;
    row_merge(&table->total, &row);
}

static void
table_add_own(chare_runtime *runtime, struct chi_stats_table *table)
{
    const struct chi_pe *pe = runtime->pe;
    const struct chi_stats *stats = &pe->stats;
    const double ns_per_tick = chi_stats_ns_per_tick(pe);
    struct chi_stats_table own = {.pes = 1};

    own.pes_measured = stats->since_ticks != 0;
    own.sent = pe->sent;
    own.executed = pe->executed;
    own.bytes_sent = pe->bytes_sent;
    own.bytes_received = pe->bytes_received;
    for (uint32_t i = 0; i < stats->entry_room; i++) {
        row_add_own(runtime, &own, i, &stats->entries[i], ns_per_tick);
    }
    for (uint32_t i = 0; i < stats->type_room; i++) {
        row_add_own(runtime, &own, CHI_STATS_MADE | i, &stats->types[i],
                    ns_per_tick);
    }
    own.total.ns_pe = own.total.ns;
    own.total.pe_most = pe->rank;
    own.total.pes = 1;
    for (uint32_t i = 0; i < own.count; i++) {
        row_merge(row_of(runtime, table, own.rows[i].at), &own.rows[i]);
    }
    total_merge(table, &own);
    free(own.rows);
}

/* The wire form: the table as it is, and its rows. */
static void
table_append(chare_runtime *runtime, const struct chi_stats_table *table,
             struct chi_msg **msg)
{
    const uint64_t rows = table->count * sizeof(*table->rows);
    struct chi_stats_table head = *table;

    head.rows = NULL;
    if (chi_msg_resize(msg, sizeof(head) + rows) != CHARE_OK) {
        die_of_memory(runtime);
    }
    memcpy((*msg)->bytes, &head, sizeof(head));
    if (rows > 0) {
        memcpy((*msg)->bytes + sizeof(*table), table->rows, rows);
    }
}

static void
table_merge(chare_runtime *runtime, struct chi_stats_table *table,
            const struct chi_msg *msg)
{
    struct chi_stats_table from;
    struct chi_stats_row row;

    if (msg->env.len < sizeof(from)) {
        return;
    }
    memcpy(&from, msg->bytes, sizeof(from));
    if ((msg->env.len - sizeof(from)) / sizeof(row) < from.count) {
        return;
    }
    total_merge(table, &from);
    for (uint32_t i = 0; i < from.count; i++) {
        memcpy(&row, msg->bytes + sizeof(from) + i * sizeof(row), sizeof(row));
        row_merge(row_of(runtime, table, row.at), &row);
    }
}

/* ---- the answer */

static void
put_text(chare_encoder *encoder, const char *text)
{
    chare_put_str(encoder, text, strlen(text));
}

static void
put_seconds(chare_encoder *encoder, const char *key, uint64_t ns)
{
    put_text(encoder, key);
    chare_put_float(encoder, (double)ns * 1e-9);
}

static void
put_number(chare_encoder *encoder, const char *key, uint64_t number)
{
    put_text(encoder, key);
    chare_put_int(encoder, (int64_t)number);
}

static void
put_row(const chare_runtime *runtime, chare_encoder *encoder,
        const struct chi_stats_table *table, const struct chi_stats_row *row)
{
    char type[CHARE_NAME_BYTES_MAX + 1];
    char method[CHARE_NAME_BYTES_MAX + 1];

    chi_stats_row_name(runtime, row, type, method, sizeof(type));
    chare_put_container(encoder, CHARE_TAG_DICT, 13);
    put_text(encoder, "type");
    put_text(encoder, type);
    put_text(encoder, "method");
    put_text(encoder, method);
    put_number(encoder, "calls", row->calls);
    put_seconds(encoder, "seconds", row->ns);
    put_seconds(encoder, "longest", row->ns_max);
    put_number(encoder, "bytes", row->bytes);
    put_seconds(encoder, "waited", row->wait_ns);
    put_seconds(encoder, "longest_wait", row->wait_ns_max);
    put_number(encoder, "kept", row->kept);
    put_number(encoder, "pes", row->pes);
    put_number(encoder, "busiest_pe", row->pe_most);
    put_seconds(encoder, "busiest", row->ns_pe);
    put_text(encoder, "imbalance");
    chare_put_float(encoder, row->ns == 0
                                 ? 1
                                 : (double)row->ns_pe * (double)table->pes /
                                       (double)row->ns);
}

static int
longer_first(const void *a, const void *b)
{
    const struct chi_stats_row *x = a;
    const struct chi_stats_row *y = b;

    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns)
                          : (x->at > y->at) - (x->at < y->at);
}

static void
answer(chare_runtime *runtime, struct chi_stats_wave *wave)
{
    const struct chi_stats_table *table = &wave->table;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;

    if (chi_encoder_init(&encoder, runtime->pool, 256 * table->count) !=
        CHARE_OK) {
        die_of_memory(runtime);
    }
    chare_put_container(&encoder, CHARE_TAG_LIST, table->count);
    for (uint32_t i = 0; i < table->count; i++) {
        put_row(runtime, &encoder, table, &table->rows[i]);
    }
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        die_of_memory(runtime);
    }
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    chi_cb_call_or_die(&runtime->cb, &wave->callbacks[0], &data);
}

/* ---- waves */

static void
wave_free(struct chi_stats_wave *wave)
{
    free(wave->table.rows);
    free(wave->callbacks);
    free(wave);
}

/* All have answered; the wave is in no list. */
static void
wave_finish(chare_runtime *runtime, struct chi_stats_wave *wave)
{
    struct chi_stats_table *table = &wave->table;
    struct chi_msg *msg;

    if (wave->root != runtime->pe->rank) {
        msg = chi_pe_msg(runtime->pe, CHI_HANDLER_STATS, 0);
        table_append(runtime, table, &msg);
        msg->env.flags = CHI_ENV_UNCOUNTED;
        msg->env.spare = OP_SUM;
        msg->env.key = wave->number;
        msg->env.collection = wave->root;
        chi_pe_send(runtime->pe,
                    chi_coll_edges(runtime->coll, wave->root)->parent, msg);
        wave_free(wave);
        return;
    }
    if (table->count > 0) {
        qsort(table->rows, table->count, sizeof(*table->rows), longer_first);
    }
    if (wave->print) {
        chi_stats_table_print(runtime, table, stdout);
        for (uint32_t i = 0; i < wave->callback_count; i++) {
            chi_cb_call_or_die(&runtime->cb, &wave->callbacks[i], NULL);
        }
    } else {
        answer(runtime, wave);
    }
    runtime->pe->outside--;
    runtime->pe->counted_done++;
    wave_free(wave);
}

static void
wave_look(chare_runtime *runtime, struct chi_stats_wave *wave)
{
    struct chi_stats_wave **link = &runtime->stats.waves;

    if (wave->missing > 0) {
        return;
    }
    while (*link != wave) {
        link = &(*link)->next;
    }
    *link = wave->next;
    wave_finish(runtime, wave);
}

/* The wave that is asked for by 'number', out of the list; or NULL. */
static struct chi_stats_wave *
asked_take(chare_runtime *runtime, uint64_t number)
{
    struct chi_stats_wave **link = &runtime->stats.asked;
    struct chi_stats_wave *wave;

    while (*link != NULL && (*link)->number != number) {
        link = &(*link)->next;
    }
    wave = *link;
    if (wave != NULL) {
        *link = wave->next;
    }
    return wave;
}

static void
ask_execute(chare_runtime *runtime, const struct chi_msg *msg)
{
    const uint32_t root = msg->env.source_pe;
    struct chi_stats_wave *wave;

    if (root >= runtime->pe->size) {
        return;
    }
    if (root == runtime->pe->rank) {
        wave = asked_take(runtime, msg->env.key);
    } else {
        wave = calloc(1, sizeof(*wave));
        if (wave == NULL) {
            die_of_memory(runtime);
        }
    }
    if (wave == NULL) {
        return; /* nobody asked */
    }
    chi_coll_send_down(runtime->coll, root, msg);
    wave->root = root;
    wave->number = msg->env.key;
    wave->missing = chi_coll_edges(runtime->coll, root)->child_count;
    wave->next = runtime->stats.waves;
    runtime->stats.waves = wave;
    table_add_own(runtime, &wave->table);
    wave_look(runtime, wave);
}

static void
sum_execute(chare_runtime *runtime, const struct chi_msg *msg)
{
    struct chi_stats_wave *wave = runtime->stats.waves;

    while (wave != NULL && (wave->root != msg->env.collection ||
                            wave->number != msg->env.key)) {
        wave = wave->next;
    }
    if (wave != NULL && wave->missing > 0) {
        table_merge(runtime, &wave->table, msg);
        wave->missing--;
        wave_look(runtime, wave);
    }
}

static void
callback_add(chare_runtime *runtime, struct chi_stats_wave *wave,
             const chare_callback *callback)
{
    chare_callback *grown =
        realloc(wave->callbacks,
                (wave->callback_count + 1) * sizeof(*wave->callbacks));

    if (grown == NULL) {
        die_of_memory(runtime);
    }
    grown[wave->callback_count++] = *callback;
    wave->callbacks = grown;
}

static void
ask(chare_runtime *runtime, const chare_callback *callback, bool print)
{
    struct chi_stats_wave *wave = calloc(1, sizeof(*wave));
    struct chi_msg *msg;

    if (wave == NULL) {
        die_of_memory(runtime);
    }
    wave->number = runtime->stats.next++;
    wave->print = print;
    callback_add(runtime, wave, callback);
    wave->next = runtime->stats.asked;
    runtime->stats.asked = wave;
    runtime->pe->outside++;
    runtime->pe->counted_made++;
    msg = chi_pe_msg(runtime->pe, CHI_HANDLER_STATS, 0);
    msg->env.flags = CHI_ENV_UNCOUNTED;
    msg->env.spare = OP_ASK;
    msg->env.key = wave->number;
    chi_pe_send(runtime->pe, runtime->pe->rank, msg);
}

static struct chi_stats_wave *
wave_to_print(const chare_runtime *runtime, struct chi_stats_wave *list)
{
    while (list != NULL && !(list->print && list->root == runtime->pe->rank)) {
        list = list->next;
    }
    return list;
}

/* At PE 0. Requests that come while one is under way share its table. */
static void
print_execute(chare_runtime *runtime, const struct chi_msg *msg)
{
    struct chi_reader reader = chi_reader_of(msg->bytes, msg->env.len);
    struct chi_stats_wave *wave;
    chare_callback done;

    if (!chi_callback_read(&reader, &done)) {
        return;
    }
    wave = wave_to_print(runtime, runtime->stats.asked);
    if (wave == NULL) {
        wave = wave_to_print(runtime, runtime->stats.waves);
    }
    if (wave != NULL) {
        callback_add(runtime, wave, &done);
    } else {
        ask(runtime, &done, true);
    }
}

static void
stats_execute(void *context, struct chi_msg *msg)
{
    chare_runtime *runtime = context;

    switch (msg->env.spare) {
    case OP_ASK:
        ask_execute(runtime, msg);
        break;
    case OP_SUM:
        sum_execute(runtime, msg);
        break;
    case OP_PRINT:
        print_execute(runtime, msg);
        break;
    default:
        break;
    }
    chi_msg_release(msg);
}

chare_status
chi_rt_stats_get(chare_runtime *runtime, const chare_callback *callback)
{
    ask(runtime, callback, false);
    return CHARE_OK;
}

chare_status
chi_rt_stats_print(chare_runtime *runtime, const chare_callback *done)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};
    unsigned char bytes[CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_msg *msg;

    chi_callback_write(&writer, done == NULL ? &nobody : done);
    chi_assert(!writer.bad);
    msg = chi_pe_msg(runtime->pe, CHI_HANDLER_STATS,
                     (uint64_t)(writer.at - bytes));
    memcpy(msg->bytes, bytes, (size_t)(writer.at - bytes));
    msg->env.spare = OP_PRINT;
    chi_pe_send(runtime->pe, 0, msg);
    return CHARE_OK;
}

/* ---- the end of the job */

void
chi_rt_stats_end_own(chare_runtime *runtime)
{
    if (runtime->settings.stats != 0) {
        table_add_own(runtime, &runtime->stats.end);
    }
}

void
chi_rt_stats_end_merge(chare_runtime *runtime, const struct chi_msg *msg)
{
    table_merge(runtime, &runtime->stats.end, msg);
}

void
chi_rt_stats_end_append(chare_runtime *runtime, struct chi_msg **msg)
{
    if (runtime->settings.stats != 0) {
        table_append(runtime, &runtime->stats.end, msg);
    }
}

void
chi_rt_stats_end_print(chare_runtime *runtime)
{
    struct chi_stats_table *table = &runtime->stats.end;

    if (runtime->settings.stats == 0) {
        return;
    }
    if (table->count > 0) {
        qsort(table->rows, table->count, sizeof(*table->rows), longer_first);
    }
    chi_stats_table_print(runtime, table, stderr);
}

/* ---- life */

void
chi_rt_stats_init(chare_runtime *runtime)
{
    chi_pe_set_handler(runtime->pe, CHI_HANDLER_STATS, stats_execute, runtime);
    if (runtime->settings.stats != 0) {
        chi_stats_measure(runtime->pe, true);
    }
}

static void
waves_free(struct chi_stats_wave *wave)
{
    while (wave != NULL) {
        struct chi_stats_wave *next = wave->next;

        wave_free(wave);
        wave = next;
    }
}

void
chi_rt_stats_fini(chare_runtime *runtime)
{
    waves_free(runtime->stats.waves);
    waves_free(runtime->stats.asked);
    free(runtime->stats.end.rows);
}
