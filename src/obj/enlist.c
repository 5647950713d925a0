/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * enlist.c - how the members of a section become known.
 *
 * The root of a section is the PE that made it. Members join on their own PEs:
 * one by one (ENLIST, which finds its chare as a call does), by a roll call of
 * a whole collection (ROLL, a broadcast), or by themselves. The root is told
 * how many joined where: by ENLISTED, or by the reduction that ends a roll
 * call. When all reports are in, it computes a tree over the PEs that have
 * members, and itself, and sends each PE its part (FORM).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "obj/migrate.h"
#include "obj/section.h"

enum roll_op {
    ROLL_REPORT = 0, /* who has joined */
    ROLL_ALL = 1,    /* all join, then as above */
    ROLL_SLICE = 2,  /* those that a slice has join, then as above */
};

/* The wire format of ROLL. */
struct roll {
    uint64_t first; /* the sections */
    uint32_t count;
    uint32_t op;
    uint32_t ndims;
    uint32_t has_from; /* a bit for each dimension */
    uint32_t has_to;
    uint32_t reserved;
    int64_t from[CHARE_DIMS_MAX];
    int64_t to[CHARE_DIMS_MAX];
    int64_t step[CHARE_DIMS_MAX];
};

/* One item of a roll call's result. */
struct report {
    uint64_t section;
    uint64_t joined;
    uint32_t pe;
    uint32_t reserved;
};

static_assert(sizeof(struct roll) == 176, "a wire format");
static_assert(sizeof(struct report) == 24, "a wire format");

/* ---- at the root */

static void
former_report(struct chi_obj *obj, struct chi_collection *collection,
              uint32_t pe, uint64_t joined)
{
    struct chi_map *counts = &collection->section->former->counts;
    const uint64_t before = (uintptr_t)chi_map_get(counts, pe);

    if (joined > 0 &&
        chi_map_put(counts, pe, (void *)(before + joined)) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
}

static int
pe_compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The PEs that have members, and this one, in ascending order. */
static uint32_t
former_pes(const struct chi_obj *obj, const struct chi_former *former,
           uint32_t *pes)
{
    uint32_t count = 1;
    size_t cursor = 0;
    uint64_t pe;
    void *value;

    pes[0] = obj->pe->rank;
    while (chi_map_next(&former->counts, &cursor, &pe, &value)) {
        if (pe != obj->pe->rank) {
            pes[count++] = (uint32_t)pe;
        }
    }
    qsort(pes, count, sizeof(*pes), pe_compare);
    return count;
}

/* Everybody has been counted: make the tree. */
static void
form(struct chi_obj *obj, struct chi_collection *collection)
{
    const struct chi_former *former = collection->section->former;
    const size_t room = former->counts.count + 1;
    uint32_t *pes = malloc(room * sizeof(*pes));
    chare_tree_vertex *tree = malloc(room * sizeof(*tree));
    struct chi_section_vertex *vertices = malloc(room * sizeof(*vertices));
    uint64_t total = 0;
    uint32_t count;

    if (pes == NULL || tree == NULL || vertices == NULL) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
    count = former_pes(obj, former, pes);
    chi_coll_subset(obj->coll, obj->pe->rank, pes, count, tree);
    for (uint32_t i = 0; i < count; i++) {
        vertices[i] = (struct chi_section_vertex){
            .pe = tree[i].pe,
            .subtree_pes = tree[i].subtree_count,
            .member_count =
                (uintptr_t)chi_map_get(&former->counts, tree[i].pe),
        };
        total += vertices[i].member_count;
    }
    chi_section_form(obj, collection, obj->pe->rank, total, vertices, count);
    free(pes);
    free(tree);
    free(vertices);
}

/* A report came, or no more are asked for: form the sections of a run, which
 * are counted in the first. */
static void
former_check(struct chi_obj *obj, struct chi_collection *first)
{
    const struct chi_former *former = first->section->former;
    const uint32_t run = former->run;
    const chare_callback created = former->created;

    if (!former->closed || former->awaited > 0) {
        return;
    }
    for (uint32_t i = 0; i < run; i++) {
        form(obj, chi_collection_find(obj, first->spec.id + i));
    }
    chi_cb_call_or_die(obj->cb, &created, NULL);
}

static struct chi_collection *
open_run(struct chi_obj *obj, uint32_t count)
{
    const chare_collection first =
        chi_collection_new_id(obj, CHI_KIND_SECTION, count);

    for (uint32_t i = 0; i < count; i++) {
        struct chi_section *section = chi_section_get(obj, first + i)->section;

        section->former = calloc(1, sizeof(*section->former));
        if (section->former == NULL) {
            chi_pe_die(obj->pe, "out of memory for a section");
        }
        chi_map_init(&section->former->counts);
        section->former->run = i == 0 ? count : 0;
    }
    return chi_collection_find(obj, first);
}

/* No more members are asked for than have been. */
static void
close_run(struct chi_obj *obj, struct chi_collection *first,
          const chare_callback *created)
{
    struct chi_former *former = first->section->former;

    chi_assert(!former->closed);
    former->closed = true;
    if (created != NULL) {
        former->created = *created;
    }
    former_check(obj, first);
}

/* ---- one chare */

static void
enlist_send(struct chi_obj *obj, chare_collection section,
            const chare_element *element)
{
    struct chi_msg *msg;
    uint64_t key;

    msg = chi_pe_msg(obj->pe, CHI_HANDLER_ENLIST, sizeof(section));
    memcpy(msg->bytes, &section, sizeof(section));
    msg->env.collection = element->collection;
    if (!chi_index_pack(&element->index, &key)) {
        if (chi_msg_add_trailer(&msg, element->index.at,
                                sizeof(element->index.at)) != CHARE_OK) {
            chi_pe_die(obj->pe, "out of memory for a section");
        }
        msg->env.flags |= CHI_ENV_WIDE;
    }
    msg->env.key = key;
    chi_pe_count(obj->pe, msg);
    chi_dispatch_to(obj, element, msg);
}

/* ---- roll calls */

static void
roll_send(struct chi_obj *obj, chare_collection over, struct roll *roll)
{
    const chare_callback result = chare_callback_function(
        obj->roll_function, obj->pe->rank, roll->first);
    struct chi_msg *msg = chi_pe_msg(obj->pe, CHI_HANDLER_ROLL, sizeof(*roll));

    memcpy(msg->bytes, roll, sizeof(*roll));
    if (chi_broadcast_add_trailer(obj, &msg, CHI_REPLY_ROLL, &result) !=
        CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
    msg->env.collection = over;
    chi_broadcast_start(obj, msg);
}

/* Whether a slice has an index; 'extent' < 0: not known. */
static bool
slice_has(const struct roll *roll, uint32_t i, int64_t extent, int64_t at)
{
    const bool has_from = (roll->has_from >> i & 1) != 0;
    int64_t from = has_from ? roll->from[i] : 0;
    int64_t to = roll->to[i];

    if (extent >= 0) {
        from += from < 0 ? extent : 0;
        from = from < 0 ? 0 : from;
        to += to < 0 ? extent : 0;
    }
    if ((has_from && at < from) ||
        ((roll->has_to >> i & 1) != 0 && at >= to)) {
        return false;
    }
    if (at >= from) {
        return ((uint64_t)at - (uint64_t)from) % (uint64_t)roll->step[i] == 0;
    }
    return ((uint64_t)from - (uint64_t)at) % (uint64_t)roll->step[i] == 0;
}

/* Where the indices of a dimension end; -1: that is not known. */
static int64_t
extent_of(const struct chi_obj *obj, const struct chi_collection *collection,
          uint32_t i)
{
    if (collection->kind == CHI_KIND_GROUP) {
        return obj->pe->size; /* also of one on some PEs */
    }
    return collection->spec.dense ? collection->spec.dims[i] : -1;
}

static bool
roll_takes(const struct chi_obj *obj, const struct roll *roll,
           const struct chi_element *element)
{
    const struct chi_collection_spec *spec = &element->collection->spec;
    chare_element self;

    if (roll->op != ROLL_SLICE) {
        return roll->op == ROLL_ALL;
    }
    chi_element_self(element, &self);
    for (uint32_t i = 0; i < spec->ndims; i++) {
        if (!slice_has(roll, i, extent_of(obj, element->collection, i),
                       self.index.at[i])) {
            return false;
        }
    }
    return true;
}

static bool
roll_read(const struct chi_obj *obj, const struct chi_msg *msg,
          const struct chi_collection *collection, struct roll *out)
{
    if (chi_msg_data_len(msg) != sizeof(*out)) {
        return false;
    }
    memcpy(out, msg->bytes, sizeof(*out));
    for (uint32_t i = 0; i < CHARE_DIMS_MAX; i++) {
        if (out->op == ROLL_SLICE && out->step[i] < 1) {
            return false;
        }
    }
    return chi_section_id_ok(obj, out->first) &&
           chi_section_id_ok(obj, out->first + out->count) &&
           (out->op != ROLL_SLICE || out->ndims == collection->spec.ndims);
}

/* A report that is being written. */
struct reports {
    struct report *items;
    uint32_t count;
    uint32_t room;
};

/* Report who has joined a section here since the last report, if any. */
static void
report_add(struct chi_obj *obj, struct reports *reports,
           struct chi_collection *collection)
{
    struct chi_section *section =
        collection == NULL ? NULL : collection->section;

    obj->roll_visits++;
    /* A roll call over chares elsewhere may come here so late (S3). */
    if (section == NULL || collection->populated ||
        section->count == section->reported) {
        return;
    }
    if (reports->count == reports->room) {
        reports->room = reports->room == 0 ? 4 : reports->room * 2;
        reports->items =
            realloc(reports->items, reports->room * sizeof(*reports->items));
        if (reports->items == NULL) {
            chi_pe_die(obj->pe, "out of memory for a section");
        }
    }
    reports->items[reports->count++] =
        (struct report){collection->spec.id,
                        section->count - section->reported, obj->pe->rank, 0};
    chi_section_reported(obj, section);
}

/* Those of a roll call: by their names, or, if these are more, from all that
 * have something to report: a late chare costs what it has joined. */
static void
reports_make(struct chi_obj *obj, const struct roll *roll,
             struct reports *reports)
{
    struct chi_section *next;

    if (roll->count <= obj->unreported_count) {
        for (uint32_t i = 0; i < roll->count; i++) {
            report_add(obj, reports,
                       chi_map_get(&obj->collections, roll->first + i));
        }
        return;
    }
    for (struct chi_section *section = obj->unreported; section != NULL;
         section = next) {
        struct chi_collection *collection = section->members[0]->section;

        next = section->next_unreported;
        if (collection->spec.id - roll->first < roll->count) {
            report_add(obj, reports, collection);
        }
    }
}

/* What has joined here since the last report; NULL: nobody. */
static struct chi_msg *
roll_report(struct chi_obj *obj, const struct roll *roll)
{
    struct reports reports = {0};
    struct chi_msg *msg;

    reports_make(obj, roll, &reports);
    if (reports.count == 0) {
        return NULL;
    }
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_REDUCE,
                     reports.count * sizeof(*reports.items));
    memcpy(msg->bytes, reports.items, reports.count * sizeof(*reports.items));
    free(reports.items);
    return msg;
}

/* This chare's part in the end of the roll call. */
static void
roll_contribute(struct chi_obj *obj, struct chi_collection *collection,
                const chare_reply *reply, const struct chi_element *element,
                struct chi_msg *value)
{
    chare_element self;

    chi_element_self(element, &self);
    chi_coll_contribute(obj->coll, &collection->set, reply->tag,
                        CHI_COLL_REDUCE_JOIN, value, &self, &reply->callback,
                        false);
}

/* A chare joins if the roll call is for it. */
static void
roll_join(struct chi_obj *obj, const struct roll *roll,
          struct chi_element *element)
{
    bool is_new;

    /* Only a PE with members has a record of the section. */
    if (roll_takes(obj, roll, element) &&
        !chi_section_enter(obj, roll->first, element, &is_new)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed roll call");
    }
}

/* The chares of a roll call that are here; *count_out of them. */
static struct chi_element **
roll_targets(struct chi_obj *obj, struct chi_collection *collection,
             const struct chi_msg *msg, size_t *count_out)
{
    const struct chi_section *over = collection->section; /* or NULL */
    const size_t room = over != NULL ? over->count : collection->count;
    struct chi_element **targets = malloc((room + 1) * sizeof(void *));
    size_t count = 0;

    if (targets == NULL) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
    if (over == NULL) {
        (void)chi_casts_skipped(collection, msg->env.key);
    }
    for (size_t i = 0; i < room; i++) {
        struct chi_element *element = over != NULL
                                          ? chi_section_element(over, i)
                                          : collection->elements[i];

        if (element == NULL && chi_section_away(over, i) != NULL) {
            chi_cast_send(obj, chi_section_away(over, i), msg, 0,
                          CHI_CAST_LOOSE);
        } else if (element != NULL &&
                   (over != NULL || !chi_casts_skips(element))) {
            targets[count++] = element;
        }
    }
    chi_broadcast_ran(
        obj, collection, msg, over != NULL ? over->count - over->left : count,
        over != NULL ? collection->gone
                     : chi_casts_absent(collection, msg->env.key));
    *count_out = count;
    return targets;
}

static void
roll_run(struct chi_obj *obj, struct chi_collection *collection,
         const struct roll *roll, const chare_reply *reply,
         const struct chi_msg *msg)
{
    size_t count;
    struct chi_element **targets = roll_targets(obj, collection, msg, &count);
    struct chi_msg *report;

    for (size_t i = 0; i < count && roll->op != ROLL_REPORT; i++) {
        roll_join(obj, roll, targets[i]);
    }
    report = roll_report(obj, roll);
    for (size_t i = 0; i < count; i++) {
        roll_contribute(obj, collection, reply, targets[i], report);
        report = NULL;
    }
    if (report != NULL) {
        /* Nobody here can report who has joined: they are of others. */
        chi_msg_release(report);
        if (!obj->pe->ended) {
            obj->fatal(obj->fatal_context,
                       "a section was closed over a collection that does not "
                       "have all its members");
        }
    }
    free(targets);
}

void
chi_roll_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection = chi_broadcast_ready(obj, msg);
    struct roll roll;
    chare_reply reply;

    if (collection == NULL) {
        return; /* the message was kept */
    }
    if (!roll_read(obj, msg, collection, &roll) ||
        !chi_broadcast_read_trailer(msg, &reply)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed roll call");
        chi_msg_release(msg);
        return;
    }
    chi_broadcast_expect(obj, collection, msg);
    roll_run(obj, collection, &roll, &reply, msg);
    chi_casts_ran(obj, collection, msg);
    if (collection->complete) {
        chi_msg_release(msg);
    } else {
        chi_keep_for_late(obj, collection, msg);
    }
}

void
chi_roll_late(struct chi_obj *obj, struct chi_collection *collection,
              struct chi_element *element, struct chi_msg *msg)
{
    struct roll roll;
    chare_reply reply;

    if (!roll_read(obj, msg, collection, &roll) ||
        !chi_broadcast_read_trailer(msg, &reply)) {
        return; /* it was looked at before */
    }
    roll_join(obj, &roll, element);
    roll_contribute(obj, collection, &reply, element, roll_report(obj, &roll));
}

void
chi_roll_far(struct chi_obj *obj, struct chi_element *element,
             const struct chi_msg *msg, const chare_reply *reply)
{
    chare_reply answer = *reply;
    struct roll roll;

    if (!roll_read(obj, msg, element->collection, &roll)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed roll call");
        return;
    }
    roll_join(obj, &roll, element);
    chi_element_self(element, &answer.self);
    chi_far_contribute(obj, &answer, 0, roll_report(obj, &roll));
}

/* Whether they are of sections that are counted in the first. */
static bool
reports_ok(const struct chi_obj *obj, const struct chi_collection *first,
           const struct report *reports, uint64_t len)
{
    const uint32_t run = first->section->former->run;

    for (uint64_t i = 0; i < len / sizeof(*reports); i++) {
        if (reports[i].section - first->spec.id >= run ||
            reports[i].pe >= obj->pe->size) {
            return false;
        }
    }
    return len % sizeof(*reports) == 0;
}

void
chi_roll_result(const chare_call *call, void *context)
{
    struct chi_obj *obj = context;
    struct chi_collection *first = chi_collection_find(obj, call->argument);
    const struct report *reports = call->bytes;

    if (first == NULL || first->section == NULL ||
        first->section->former == NULL ||
        first->section->former->awaited == 0 ||
        !reports_ok(obj, first, reports, call->len)) {
        chi_log_warn(obj->pe->options.log,
                     "dropped the malformed result of a roll call");
        return;
    }
    for (size_t i = 0; i < call->len / sizeof(*reports); i++) {
        former_report(obj, chi_collection_find(obj, reports[i].section),
                      reports[i].pe, reports[i].joined);
    }
    first->section->former->awaited--;
    former_check(obj, first);
}

/* ---- messages between the root and others */

static void
ask_execute(struct chi_obj *obj, const struct chi_msg *msg)
{
    struct chi_msg *answer = chi_pe_msg(obj->pe, CHI_HANDLER_SECTION, 0);

    answer->env.collection = msg->env.collection;
    answer->env.spare = CHI_SECTION_ABSENT;
    answer->env.key = chi_collection_is_over(obj, msg->env.collection);
    chi_pe_send(obj->pe, msg->env.source_pe, answer);
}

void
chi_section_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);

    if (!chi_section_id_ok(obj, msg->env.collection) ||
        msg->env.source_pe >= obj->pe->size) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed message");
        chi_msg_release(msg);
        return;
    }
    switch (msg->env.spare) {
    case CHI_SECTION_ENLISTED:
        if (collection != NULL && collection->section->former != NULL &&
            collection->section->former->awaited > 0) {
            former_report(obj, collection, msg->env.source_pe, msg->env.key);
            collection->section->former->awaited--;
            former_check(obj, collection);
        }
        break;
    case CHI_SECTION_FORM:
        chi_section_form_execute(obj, collection, msg);
        break;
    case CHI_SECTION_ASK:
        if (collection != NULL && !collection->populated) {
            chi_keep_until_ready(obj, collection, msg);
            return;
        }
        ask_execute(obj, msg); /* of a section that never was, too */
        break;
    case CHI_SECTION_ABSENT:
        if (collection != NULL) {
            chi_section_absent(obj, collection, msg->env.key != 0);
        }
        break;
    default:
        chi_log_warn(obj->pe->options.log, "dropped a malformed message");
    }
    chi_msg_release(msg);
}

/* ---- the public ways */

chare_status
chi_obj_section_create(struct chi_obj *obj, const chare_element *elements,
                       size_t count, const chare_callback *created,
                       chare_collection *section_out)
{
    struct chi_collection *section;
    chare_collection id;

    if (count > 0 && elements == NULL) {
        return CHARE_ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (chi_obj_element_check(obj, &elements[i]) != CHARE_OK) {
            return CHARE_ERR_INVALID;
        }
    }
    section = open_run(obj, 1);
    id = section->spec.id;
    section->section->former->awaited = count;
    for (size_t i = 0; i < count; i++) {
        enlist_send(obj, id, &elements[i]);
    }
    close_run(obj, section, created);
    *section_out = id;
    return CHARE_OK;
}

chare_status
chi_obj_section_combine(struct chi_obj *obj, const chare_collection *parts,
                        size_t part_count, const chare_callback *created,
                        chare_collection *section_out)
{
    struct chi_collection *section;
    struct roll roll = {.count = 1, .op = ROLL_ALL};

    if (part_count > 0 && parts == NULL) {
        return CHARE_ERR_INVALID;
    }
    for (size_t i = 0; i < part_count; i++) {
        if (!chi_broadcast_ok(obj, parts[i])) {
            return CHARE_ERR_INVALID;
        }
        if (chi_collection_is_over(obj, parts[i])) {
            return CHARE_ERR_NOT_FOUND;
        }
    }
    section = open_run(obj, 1);
    roll.first = section->spec.id;
    section->section->former->awaited = part_count;
    for (size_t i = 0; i < part_count; i++) {
        roll_send(obj, parts[i], &roll);
    }
    close_run(obj, section, created);
    *section_out = roll.first;
    return CHARE_OK;
}

chare_status
chi_obj_section_slice(struct chi_obj *obj, chare_collection collection,
                      const chare_slice *slices, uint32_t ndims,
                      const chare_callback *created,
                      chare_collection *section_out)
{
    const struct chi_collection *known = chi_collection_find(obj, collection);
    const enum chi_kind kind = chi_collection_kind(collection);
    struct roll roll = {.count = 1, .op = ROLL_SLICE, .ndims = ndims};
    struct chi_collection *section;

    if ((kind != CHI_KIND_GROUP && kind != CHI_KIND_NODE_GROUP &&
         kind != CHI_KIND_ARRAY) ||
        !chi_broadcast_ok(obj, collection) || slices == NULL || ndims < 1 ||
        ndims > CHARE_DIMS_MAX || (kind != CHI_KIND_ARRAY && ndims != 1) ||
        (known != NULL && known->spec.ndims != ndims)) {
        return CHARE_ERR_INVALID;
    }
    for (uint32_t i = 0; i < CHARE_DIMS_MAX; i++) {
        roll.step[i] = i < ndims ? slices[i].step : 1;
        if (roll.step[i] < 1) {
            return CHARE_ERR_INVALID;
        }
        if (i < ndims) {
            roll.from[i] = slices[i].from;
            roll.to[i] = slices[i].to;
            roll.has_from |= (uint32_t)slices[i].has_from << i;
            roll.has_to |= (uint32_t)slices[i].has_to << i;
        }
    }
    if (chi_collection_is_over(obj, collection)) {
        return CHARE_ERR_NOT_FOUND;
    }
    section = open_run(obj, 1);
    roll.first = section->spec.id;
    section->section->former->awaited = 1;
    roll_send(obj, collection, &roll);
    close_run(obj, section, created);
    *section_out = roll.first;
    return CHARE_OK;
}

chare_status
chi_obj_section_open(struct chi_obj *obj, uint32_t count,
                     chare_collection *first_out)
{
    if (count < 1 || count > CHARE_SECTIONS_MAX) {
        return CHARE_ERR_INVALID;
    }
    *first_out = open_run(obj, count)->spec.id;
    return CHARE_OK;
}

chare_status
chi_obj_section_enlist(struct chi_obj *obj, const chare_element *self,
                       chare_collection id)
{
    struct chi_element *element = chi_element_here(obj, self);
    struct chi_collection *section;

    if (!chi_section_id_ok(obj, id)) {
        return CHARE_ERR_INVALID;
    }
    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (chi_is_buried(obj, id) || chi_tombs_has(&obj->strangers, id)) {
        return CHARE_ERR_STATE;
    }
    section = chi_section_get(obj, id);
    if (section->populated || section->section->absent) {
        return CHARE_ERR_STATE;
    }
    (void)chi_section_join(obj, section, element);
    return CHARE_OK;
}

chare_status
chi_obj_section_close(struct chi_obj *obj, chare_collection first,
                      uint32_t count, chare_collection over,
                      const chare_callback *created)
{
    struct chi_collection *collection = chi_collection_find(obj, first);
    struct roll roll = {.first = first, .count = count, .op = ROLL_REPORT};
    const struct chi_former *former;

    if (!chi_section_id_ok(obj, first) || !chi_broadcast_ok(obj, over) ||
        collection == NULL) {
        return CHARE_ERR_INVALID;
    }
    if (chi_collection_is_over(obj, over)) {
        return CHARE_ERR_NOT_FOUND;
    }
    former = collection->section->former;
    if (former == NULL || former->closed || former->run != count) {
        return CHARE_ERR_INVALID;
    }
    collection->section->former->awaited = 1;
    roll_send(obj, over, &roll);
    close_run(obj, collection, created);
    return CHARE_OK;
}
