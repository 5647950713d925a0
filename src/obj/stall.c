/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stall.c - what of this PE's collections waits for what never comes, in the
 * words of the report that ends a stuck job.
 *
 * Each PE tells what it knows by itself: of a reduction, which of its own
 * chares have not contributed, and from which PEs of the tree nothing has come
 * yet. It runs once, when nothing else does, and may walk over all chares.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "obj/obj_private.h"
#include "obj/section.h"

enum {
    LINES_MAX = 16,   /* of one PE */
    MISSING_MAX = 4,  /* chares that are named */
    NAME_BYTES = 320, /* of a chare */
    LINE_BYTES = 2048,
};

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static __attribute__((format(printf, 2, 3))) void
line_add(struct line *line, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line->text + line->len, sizeof(line->text) - line->len,
                    format, args);
    va_end(args);
    line->len += (size_t)len;
    if (line->len >= sizeof(line->text)) {
        line->len = sizeof(line->text) - 1;
    }
}

static void
line_end(struct chi_obj *obj, struct line *line, uint32_t *lines_inout)
{
    if (++*lines_inout <= LINES_MAX) {
        chi_log_error(obj->pe->options.log, "PE %u: %s", obj->pe->rank,
                      line->text);
    }
}

static const char *
type_name(const struct chi_obj *obj, const struct chi_collection *collection)
{
    return collection->kind == CHI_KIND_SECTION
               ? "a section"
               : chi_registry_type_name(obj->registry, collection->spec.type);
}

/* The chares of this PE that have not contributed to reduction 'number'. */
static uint64_t
add_late(struct chi_obj *obj, const struct chi_collection *collection,
         uint64_t number, struct line *line)
{
    const bool is_section = collection->kind == CHI_KIND_SECTION;
    const size_t count =
        is_section ? collection->section->count : collection->count;
    uint64_t late = 0;

    for (size_t i = 0; i < count; i++) {
        const struct chi_member *member =
            is_section ? collection->section->members[i] : NULL;
        const struct chi_element *element =
            is_section ? chi_section_element(collection->section, i)
                       : collection->elements[i];
        chare_element name;
        char text[NAME_BYTES];

        if ((is_section && member == NULL) ||
            (is_section ? member->reduction_next : element->reduction_next) >
                number ||
            late++ >= MISSING_MAX) {
            continue;
        }
        if (element != NULL) {
            chi_element_self(element, &name);
        } else {
            name = *member->away;
        }
        chi_element_text(obj, &name, text, sizeof(text));
        line_add(line, "%s%s", late == 1 ? "; not yet: " : ", ", text);
    }
    if (late > MISSING_MAX) {
        line_add(line, " and %llu more",
                 (unsigned long long)(late - MISSING_MAX));
    }
    if (late > 0) {
        line_add(line, " on this PE");
    }
    return late;
}

static void
report_reduction(struct chi_obj *obj, const struct chi_collection *collection,
                 uint32_t *lines_inout)
{
    const struct chi_tree_edges *edges = collection->set.edges;
    struct chi_coll_stalled stalled;
    struct line line = {.len = 0};
    uint64_t late;
    bool first = true;

    if (!chi_coll_stalled(&collection->set, &stalled)) {
        return;
    }
    line_add(&line, "reduction %llu of %s waits: ",
             (unsigned long long)stalled.number, type_name(obj, collection));
    if (!collection->set.census_known) {
        line_add(&line,
                 "%llu contribution(s) are here, and how many are to come is "
                 "not known",
                 (unsigned long long)stalled.arrived);
    } else {
        line_add(&line, "%llu of %llu have contributed",
                 (unsigned long long)stalled.arrived,
                 (unsigned long long)stalled.expected);
    }
    late = add_late(obj, collection, stalled.number, &line);
    for (uint32_t i = 0; i < edges->child_count; i++) {
        if (stalled.arrived + late >= stalled.expected ||
            (stalled.children >> i & 1) != 0) {
            continue;
        }
        line_add(&line, "%s%u", first ? "; not yet all from PE " : ", ",
                 edges->children[i]);
        first = false;
    }
    if (!first) {
        line_add(&line, " and those behind it in the tree");
    }
    line_end(obj, &line, lines_inout);
}

/* An array that is still open, if something waits for its end. */
static void
report_open(struct chi_obj *obj, const struct chi_collection *collection,
            uint32_t *lines_inout)
{
    struct line line = {.len = 0};

    if (collection->kind != CHI_KIND_ARRAY || collection->spec.dense ||
        collection->complete || collection->set.reductions.count == 0 ||
        !collection->set.is_root) {
        return;
    }
    line_add(&line,
             "array %s is still open for insertions, and %zu reduction(s) or "
             "awaited broadcast(s) of it wait for ckDoneInserting()",
             type_name(obj, collection), collection->set.reductions.count);
    line_end(obj, &line, lines_inout);
}

static bool
is_synced(const struct chi_obj *obj, const struct chi_collection *collection,
          size_t i)
{
    return i < collection->load_room &&
           collection->loads[i].synced >= obj->sync_session + 2;
}

/* Whether anybody is known here to wait for all that say AtSync(). */
static bool
somebody_syncs(const struct chi_obj *obj)
{
    size_t cursor = 0;
    uint64_t id;
    void *value;

    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        const struct chi_collection *collection = value;

        for (size_t i = 0; collection->spec.at_sync && i < collection->count;
             i++) {
            if (is_synced(obj, collection, i)) {
                return true;
            }
        }
    }
    return obj->sync_called;
}

/* Chares of this PE that are not resumed until others say AtSync(), too, and
 * those that others wait for, of whatever array. */
static void
report_at_sync(struct chi_obj *obj, const struct chi_collection *collection,
               uint32_t *lines_inout)
{
    struct line line = {.len = 0};
    size_t synced = 0;
    size_t late = 0;

    if (!collection->spec.at_sync || collection->count == 0 ||
        !somebody_syncs(obj)) {
        return;
    }
    for (size_t i = 0; i < collection->count; i++) {
        synced += is_synced(obj, collection, i);
    }
    line_add(&line,
             "balancing of %s waits: %zu of %zu chares on this PE have called "
             "AtSync()",
             type_name(obj, collection), synced, collection->count);
    for (size_t i = 0; i < collection->count; i++) {
        chare_element name;
        char text[NAME_BYTES];

        if (is_synced(obj, collection, i) || late++ >= MISSING_MAX) {
            continue;
        }
        chi_element_self(collection->elements[i], &name);
        chi_element_text(obj, &name, text, sizeof(text));
        line_add(&line, "%s%s", late == 1 ? "; not yet: " : ", ", text);
    }
    if (late > MISSING_MAX) {
        line_add(&line, " and %zu more", late - MISSING_MAX);
    } else if (late == 0) {
        line_add(&line, ", and not all others of arrays with useAtSync");
    }
    line_end(obj, &line, lines_inout);
}

/* Messages that wait for something; 'what' says for what. */
static void
report_messages(struct chi_obj *obj, const struct chi_msg_queue *queue,
                const char *what, const char *name, uint32_t *lines_inout)
{
    struct line line = {.len = 0};

    if (queue->count == 0) {
        return;
    }
    line_add(
        &line, "%zu message(s) wait for %s%s: the first is %s from PE %u",
        (size_t)queue->count, name, what,
        queue->head->env.handler == CHI_HANDLER_INVOKE ||
                queue->head->env.handler == CHI_HANDLER_BROADCAST
            ? chi_registry_entry_name(obj->registry, queue->head->env.entry)
            : "one of the runtime's own",
        queue->head->env.source_pe);
    line_end(obj, &line, lines_inout);
}

static void
report_missing(struct chi_obj *obj, const struct chi_collection *collection,
               uint32_t *lines_inout)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    while (chi_map_next(&collection->missing, &cursor, &key, &value)) {
        const struct chi_missing *missing = value;

        for (; missing != NULL; missing = missing->next) {
            char name[NAME_BYTES];

            chi_element_text(obj, &missing->element, name, sizeof(name));
            report_messages(obj, &missing->waiting,
                            ", which was never inserted", name, lines_inout);
        }
    }
}

void
chi_obj_stalled(struct chi_obj *obj)
{
    uint32_t lines = 0;
    size_t cursor = 0;
    uint64_t id;
    void *value;

    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        const struct chi_collection *collection = value;

        report_reduction(obj, collection, &lines);
        report_open(obj, collection, &lines);
        report_at_sync(obj, collection, &lines);
        report_messages(obj, &collection->waiting, ", which was not made here",
                        type_name(obj, collection), &lines);
        report_missing(obj, collection, &lines);
    }
    cursor = 0;
    while (chi_map_next(&obj->pending, &cursor, &id, &value)) {
        const struct chi_pending *pending = value;

        report_messages(obj, &pending->waiting, "",
                        "a collection that is not known here", &lines);
    }
    if (lines > LINES_MAX) {
        chi_log_error(obj->pe->options.log, "PE %u: and %u more",
                      obj->pe->rank, lines - LINES_MAX);
    }
}
