/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * combine.c - many parts into one.
 *
 * Gathered parts, and those of ordered reducers, travel as a list of records:
 * a header with the element's name and format, and the value, padded so that
 * each record starts 16-byte aligned. The root sorts them by index, and those
 * of one index, in a section over several collections, by collection.
 * A contribution that is an error wins over all others, but in a gathered list
 * it is an item like the others.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coll/coll_private.h"
#include "coll/reducers.h"
#include "msg/buffer.h"
#include "msg/codec.h"

enum {
    SOURCE_TEXT_BYTES = CHARE_NAME_BYTES_MAX + 160,
    TARGET_TEXT_BYTES = CHARE_NAME_BYTES_MAX + 160,
};

struct record {
    int64_t at[CHARE_DIMS_MAX];
    uint64_t collection;
    uint64_t reserved;
    uint32_t ndims;
    uint32_t format;
    uint64_t len;
};

static_assert(sizeof(struct record) == 80, "a wire format");

static const struct chi_coll_reducer *
custom_of(const struct chi_coll *coll, uint32_t reducer)
{
    if (reducer < CHI_COLL_REDUCER_CUSTOM_FIRST) {
        return NULL;
    }
    chi_assert(reducer - CHI_COLL_REDUCER_CUSTOM_FIRST < coll->reducer_count);
    return &coll->reducers[reducer - CHI_COLL_REDUCER_CUSTOM_FIRST];
}

bool
chi_coll_keeps_parts(const struct chi_coll *coll, uint32_t reducer)
{
    const struct chi_coll_reducer *custom = custom_of(coll, reducer);

    return reducer == CHARE_REDUCE_GATHER ||
           (custom != NULL && custom->ordered);
}

static const char *
reducer_name(const struct chi_coll *coll, uint32_t reducer)
{
    const struct chi_coll_reducer *custom = custom_of(coll, reducer);

    return custom != NULL ? custom->name : chi_reducer_name(reducer);
}

/* Who contributed, for people. */
static void
source_text(const struct chi_coll *coll, const struct chi_coll_source *source,
            char out[SOURCE_TEXT_BYTES])
{
    char name[SOURCE_TEXT_BYTES - 32];

    if (source->element.index.ndims == 0) {
        snprintf(out, SOURCE_TEXT_BYTES, "a chare on PE %u", source->pe);
        return;
    }
    coll->ops->element_text(coll->ops_context, &source->element, name,
                            sizeof(name));
    snprintf(out, SOURCE_TEXT_BYTES, "%s on PE %u", name, source->pe);
}

/* Whether a registered reducer takes the place of a built-in one. */
static bool
stands_for(const struct chi_coll *coll, uint32_t reducer, uint32_t builtin)
{
    const struct chi_coll_reducer *custom = custom_of(coll, reducer);

    return custom != NULL && !custom->ordered && builtin >= CHARE_REDUCE_SUM &&
           builtin <= CHARE_REDUCE_XOR &&
           strcmp(custom->name, chi_reducer_name(builtin)) == 0;
}

bool
chi_coll_join(const struct chi_coll *coll, uint32_t *reducer_inout,
              uint32_t other)
{
    if (stands_for(coll, other, *reducer_inout)) {
        *reducer_inout = other;
        return true;
    }
    return stands_for(coll, *reducer_inout, other);
}

struct chi_msg *
chi_coll_mixed(struct chi_coll *coll, uint32_t one,
               const struct chi_coll_source *by_one, uint32_t other,
               const struct chi_coll_source *by_other)
{
    char sources[2][SOURCE_TEXT_BYTES];
    char text[2 * CHARE_NAME_BYTES_MAX + 2 * SOURCE_TEXT_BYTES + 128];
    chare_encoder encoder;
    chare_buffer *buffer;
    struct chi_msg *msg;

    source_text(coll, by_one, sources[0]);
    source_text(coll, by_other, sources[1]);
    snprintf(text, sizeof(text),
             "contributions to one reduction name different reducers, "
             "%s (%s) and %s (%s)",
             reducer_name(coll, one), sources[0], reducer_name(coll, other),
             sources[1]);
    if (chi_encoder_init(&encoder, coll->pe->pool, 256) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    chare_put_error(&encoder, "ValueError", text, "", false);
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    msg = chi_msg_of_buffer(buffer);
    msg->env.format = CHARE_FORMAT_ERROR;
    return msg;
}

bool
chi_coll_targets_alike(const struct chi_coll *coll, const chare_callback *a,
                       const chare_callback *b)
{
    const struct chi_registry *registry = coll->cb->registry;
    const char *names[2];

    if (a->kind != CHARE_CALLBACK_BROADCAST || b->kind != a->kind ||
        a->element.collection != b->element.collection ||
        !chare_is_section(a->element.collection)) {
        return false;
    }
    names[0] = strrchr(chi_registry_entry_name(registry, a->entry), '.');
    names[1] = strrchr(chi_registry_entry_name(registry, b->entry), '.');
    return names[0] != NULL && names[1] != NULL &&
           strcmp(names[0], names[1]) == 0;
}

void
chi_coll_targets_differ(struct chi_coll *coll, const chare_callback *one,
                        const struct chi_coll_source *by_one,
                        const chare_callback *other,
                        const struct chi_coll_source *by_other)
{
    char targets[2][TARGET_TEXT_BYTES];
    char sources[2][SOURCE_TEXT_BYTES];
    char text[2 * (TARGET_TEXT_BYTES + SOURCE_TEXT_BYTES) + 256];

    chi_callback_text(coll->cb, one, targets[0], sizeof(targets[0]));
    chi_callback_text(coll->cb, other, targets[1], sizeof(targets[1]));
    source_text(coll, by_one, sources[0]);
    source_text(coll, by_other, sources[1]);
    snprintf(text, sizeof(text),
             "contributions to one reduction name different targets: %s names "
             "%s, and %s names %s; all members of a reduction name the same "
             "one, made once and passed to all",
             sources[0], targets[0], sources[1], targets[1]);
    coll->ops->fatal(coll->ops_context, text);
}

static uint64_t
padded(uint64_t len)
{
    return (len + 15) & ~15ull;
}

struct chi_msg *
chi_coll_record(struct chi_coll *coll, const chare_element *element,
                struct chi_msg *value)
{
    const uint64_t len = chi_msg_data_len(value);
    struct chi_msg *msg = chi_pe_msg(coll->pe, CHI_HANDLER_REDUCE,
                                     sizeof(struct record) + padded(len));
    struct record record = {
        .collection = element->collection,
        .ndims = element->index.ndims,
        .format = value->env.format,
        .len = len,
    };

    memcpy(record.at, element->index.at, sizeof(record.at));
    memcpy(msg->bytes, &record, sizeof(record));
    memcpy(msg->bytes + sizeof(record), value->bytes, len);
    memset(msg->bytes + sizeof(record) + len, 0, padded(len) - len);
    chi_msg_release(value);
    return msg;
}

/* Put the bytes of all parts behind one another. */
static struct chi_msg *
concatenate(struct chi_coll *coll, struct chi_msg_queue *parts)
{
    struct chi_msg *part;
    struct chi_msg *msg;
    uint64_t len = 0;

    if (parts->count == 1) {
        return chi_msg_queue_pop(parts);
    }
    for (part = parts->head; part != NULL; part = part->next) {
        len += part->env.len;
    }
    msg = chi_pe_msg(coll->pe, CHI_HANDLER_REDUCE, len);
    len = 0;
    while ((part = chi_msg_queue_pop(parts)) != NULL) {
        memcpy(msg->bytes + len, part->bytes, part->env.len);
        len += part->env.len;
        chi_msg_release(part);
    }
    return msg;
}

/* The first part that is an error, alone; NULL: there is none. */
static struct chi_msg *
take_error(struct chi_msg_queue *parts)
{
    struct chi_msg *error = NULL;

    for (struct chi_msg *part = parts->head; part != NULL; part = part->next) {
        if (part->env.format == CHARE_FORMAT_ERROR) {
            error = chi_msg_ref(part);
            break;
        }
    }
    if (error != NULL) {
        chi_msg_queue_clear(parts);
        error->next = NULL;
    }
    return error;
}

/* What a combine function wrote, or an error that says it failed. */
static struct chi_msg *
take_combined(struct chi_coll *coll, chare_encoder *encoder,
              chare_status status, const char *name)
{
    chare_format format = CHARE_FORMAT_VALUE;
    chare_buffer *buffer;
    struct chi_msg *msg;

    if (status != CHARE_OK) {
        format = CHARE_FORMAT_ERROR;
        if (status != CHARE_ERR_FORMAT) { /* which wrote an error value */
            chare_encoder_fini(encoder);
            if (chi_encoder_init(encoder, coll->pe->pool, 128) != CHARE_OK) {
                chi_pe_die(coll->pe, "out of memory for a reduction");
            }
            chare_put_error(encoder, "ValueError", chare_status_text(status),
                            name, false);
        }
    }
    if (chare_encoder_take(encoder, &buffer) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    msg = chi_msg_of_buffer(buffer);
    msg->env.format = (uint8_t)format;
    return msg;
}

static struct chi_msg *
run_reducer(struct chi_coll *coll, uint32_t reducer, const chare_part *parts,
            size_t count)
{
    const struct chi_coll_reducer *custom = custom_of(coll, reducer);
    chare_encoder encoder;
    chare_status status;

    if (chi_encoder_init(&encoder, coll->pe->pool, 256) != CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    status = custom == NULL
                 ? chi_reducer_combine(reducer, parts, count, &encoder)
                 : custom->combine(custom->context, parts, count, &encoder);
    return take_combined(coll, &encoder, status,
                         custom == NULL ? "reduction" : custom->name);
}

struct chi_msg *
chi_coll_combine(struct chi_coll *coll, uint32_t reducer,
                 struct chi_msg_queue *queue)
{
    struct chi_msg *msg;
    chare_part *parts;
    size_t count = 0;

    if (queue->count == 0) {
        return NULL;
    }
    if (reducer == CHI_COLL_REDUCE_JOIN ||
        chi_coll_keeps_parts(coll, reducer)) {
        return concatenate(coll, queue);
    }
    msg = take_error(queue);
    if (msg != NULL) {
        return msg;
    }
    /* Reducers also see one alone: the sum of one True is 1. */
    if (reducer == CHARE_REDUCE_NOP) {
        msg = chi_msg_queue_pop(queue);
        chi_msg_queue_clear(queue);
        return msg;
    }
    parts = malloc(queue->count * sizeof(*parts));
    if (parts == NULL) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    for (msg = queue->head; msg != NULL; msg = msg->next) {
        parts[count++] = (chare_part){
            .format = (chare_format)msg->env.format,
            .bytes = msg->bytes,
            .len = msg->env.len,
            .source = msg->env.source_pe + 1,
        };
    }
    msg = run_reducer(coll, reducer, parts, count);
    msg->env.source_pe = coll->pe->rank;
    free(parts);
    chi_msg_queue_clear(queue);
    return msg;
}

/* ---- at the root */

static int
record_compare(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a;
    const struct record *y = *(const struct record *const *)b;

    for (int i = 0; i < CHARE_DIMS_MAX; i++) {
        if (x->at[i] != y->at[i]) {
            return x->at[i] < y->at[i] ? -1 : 1;
        }
    }
    if (x->collection != y->collection) {
        return x->collection < y->collection ? -1 : 1;
    }
    return 0;
}

/* Pointers to all records, sorted; their number to *count_out. */
static const struct record **
records_sorted(struct chi_coll *coll, const struct chi_msg *msg,
               size_t *count_out)
{
    const struct record **records;
    uint64_t at = 0;
    size_t count = 0;

    records = malloc((msg->env.len / sizeof(struct record) + 1) *
                     sizeof(const struct record *));
    if (records == NULL) {
        chi_pe_die(coll->pe, "out of memory for a gathered result");
    }
    while (msg->env.len - at >= sizeof(struct record)) {
        const struct record *record = (const void *)(msg->bytes + at);
        const uint64_t left = msg->env.len - at - sizeof(*record);

        chi_assert(record->len <= left && padded(record->len) <= left);
        records[count++] = record;
        at += sizeof(*record) + padded(record->len);
    }
    qsort(records, count, sizeof(const struct record *), record_compare);
    *count_out = count;
    return records;
}

/* The first record that is an error, alone; NULL: there is none. */
static struct chi_msg *
record_error(struct chi_coll *coll, const struct record **records,
             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i]->format == CHARE_FORMAT_ERROR) {
            struct chi_msg *msg =
                chi_pe_msg(coll->pe, CHI_HANDLER_REDUCE, records[i]->len);

            memcpy(msg->bytes, records[i] + 1, records[i]->len);
            msg->env.format = CHARE_FORMAT_ERROR;
            return msg;
        }
    }
    return NULL;
}

static struct chi_msg *
finish_gather(struct chi_coll *coll, const struct record **records,
              size_t count)
{
    chare_encoder encoder;

    if (chi_encoder_init(&encoder, coll->pe->pool, 64 + count * 16) !=
        CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a gathered result");
    }
    chare_put_container(&encoder, CHARE_TAG_LIST, count);
    for (size_t i = 0; i < count; i++) {
        if (records[i]->format == CHARE_FORMAT_BYTES) {
            chare_put_bytes(&encoder, records[i] + 1, records[i]->len);
        } else {
            chi_encoder_splice(&encoder, records[i] + 1, records[i]->len);
        }
    }
    return take_combined(coll, &encoder, CHARE_OK, "gather");
}

static struct chi_msg *
finish_ordered(struct chi_coll *coll, uint32_t reducer,
               const struct record **records, size_t count)
{
    chare_part *parts = malloc((count + 1) * sizeof(*parts));
    struct chi_msg *msg;

    if (parts == NULL) {
        chi_pe_die(coll->pe, "out of memory for a gathered result");
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = (chare_part){
            .format = (chare_format)records[i]->format,
            .bytes = records[i] + 1,
            .len = records[i]->len,
        };
    }
    msg = run_reducer(coll, reducer, parts, count);
    free(parts);
    return msg;
}

struct chi_msg *
chi_coll_finish(struct chi_coll *coll, uint32_t reducer, struct chi_msg *part)
{
    const struct record **records;
    struct chi_msg *msg;
    size_t count;

    if (!chi_coll_keeps_parts(coll, reducer)) {
        return part;
    }
    if (part == NULL) {
        return finish_gather(coll, NULL, 0);
    }
    records = records_sorted(coll, part, &count);
    if (reducer == CHARE_REDUCE_GATHER) {
        msg = finish_gather(coll, records, count); /* errors are items */
    } else {
        msg = record_error(coll, records, count);
        if (msg == NULL) {
            msg = finish_ordered(coll, reducer, records, count);
        }
    }
    free(records);
    chi_msg_release(part);
    return msg;
}
