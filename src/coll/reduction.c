/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reduction.c - the census, and reductions up a collection's tree.
 *
 * Elements move between PEs at any time, so no PE but the root counts on how
 * many there are below another. Invariants (README.md has the protocol):
 *  R1  the root delivers a reduction when as many contributions have come as
 *      the census counted, less those that left before; never before and never
 *      again; all other rules say only when parts are passed on;
 *  R2  a PE passes on one *regular* part of each reduction of the own stream
 *      while it is active, in their order: when all elements that are here
 *      have contributed, here or elsewhere, and all active children have
 *      passed theirs on. A PE is active while elements are here or children
 *      are active; its parent knows;
 *  R3  nothing is passed on before the census of the subtree is known;
 *  R4  what comes to a PE for a reduction whose regular part it has passed on,
 *      or while it is not active, is passed on at once, as an *extra* part;
 *  R5  an element that is destroyed before its contribution t is expected in
 *      all below t and in none from t on: since it is missing at t, the root
 *      has not delivered t when it hears of it.
 *  R6  of a broadcast's completion, a PE passes its regular part on when the
 *      broadcast has run here, all that it ran on here have answered, and all
 *      children that the census found elements below have passed theirs on;
 *  R7  the root delivers the completion of a broadcast only if, and after, it
 *      expects it; when a set is closed, what comes of others is dropped, and
 *      it is over when nothing is expected any more: its own reductions were
 *      all delivered then, for all elements have left.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "coll/coll_private.h"

enum {                  /* env.spare of a partial result, or-ed */
    REDUCE_EMPTY = 1,   /* no data, as opposed to empty data */
    REDUCE_EXTRA = 2,   /* R4 */
    REDUCE_UNKNOWN = 4, /* nobody has contributed: no reducer, no callback */
    REDUCE_MIXED = 8,   /* an error: reducers differed below */
};

enum {                   /* env.spare of LEAVE */
    LEAVE_DESTROYED = 0, /* entry elements leave at key, up to the root */
    LEAVE_INACTIVE = 1,  /* this child is not active any more */
    LEAVE_ACTIVE = 2,    /* it is, from key on */
};

/* ---- reductions */

static struct chi_reduction *
reduction_get(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag)
{
    struct chi_reduction *reduction = set->recent;

    if (reduction != NULL && reduction->tag == tag) {
        return reduction;
    }
    reduction = chi_map_get(&set->reductions, tag);
    if (reduction == NULL) {
        reduction = calloc(1, sizeof(*reduction));
        if (reduction == NULL ||
            chi_map_put(&set->reductions, tag, reduction) != CHARE_OK) {
            chi_pe_die(coll->pe, "out of memory for a reduction");
        }
        reduction->tag = tag;
    }
    set->recent = reduction;
    return reduction;
}

/* From now on the result is this error, which any reducer passes on. */
static void
reduction_spoil(struct chi_reduction *reduction, struct chi_msg *error)
{
    chi_msg_queue_clear(&reduction->parts);
    chi_msg_queue_push(&reduction->parts, error);
    reduction->tally.tag = CHARE_TAG_END;
    reduction->reducer = CHARE_REDUCE_SUM;
    reduction->mixed = true;
}

/* 'element' NULL: of nobody in particular. */
static void
reduction_describe(struct chi_coll *coll, struct chi_reduction *reduction,
                   uint32_t reducer, const chare_callback *callback,
                   uint32_t pe, const chare_element *element)
{
    struct chi_coll_source source;

    if (!reduction->known) {
        reduction->known = true;
        reduction->reducer = reducer;
        reduction->callback = *callback;
        reduction->source.pe = pe;
        if (element != NULL) {
            reduction->source.element = *element;
        }
        return;
    }
    /* The parts of a broadcast's completion have its callback from its
     * message. */
    if (chi_likely(reduction->reducer == reducer &&
                   (reduction->tag >= CHI_COLL_TAG_CALL ||
                    chi_callback_equal(&reduction->callback, callback)))) {
        return;
    }
    source.pe = pe;
    source.element = element != NULL ? *element : (chare_element){0};
    if (!reduction->stray &&
        !chi_callback_equal(&reduction->callback, callback) &&
        !chi_coll_targets_alike(coll, &reduction->callback, callback)) {
        reduction->stray = true;
        chi_coll_targets_differ(coll, &reduction->callback, &reduction->source,
                                callback, &source);
    } else if (reduction->reducer != reducer && !reduction->mixed &&
               !chi_coll_join(coll, &reduction->reducer, reducer)) {
        reduction_spoil(reduction,
                        chi_coll_mixed(coll, reduction->reducer,
                                       &reduction->source, reducer, &source));
    }
}

static void
reduction_add(struct chi_coll *coll, struct chi_reduction *reduction,
              struct chi_msg *part)
{
    if (part == NULL) {
        return;
    }
    if (reduction->mixed) {
        chi_msg_release(part);
        return;
    }
    if (!chi_tally_is_empty(&reduction->tally)) {
        chi_msg_queue_push(&reduction->parts,
                           chi_tally_take(&reduction->tally, coll->pe));
    }
    chi_msg_queue_push(&reduction->parts, part);
    if (reduction->parts.count >= CHI_COLL_PARTS_MAX &&
        !chi_coll_keeps_parts(coll, reduction->reducer)) {
        struct chi_msg *one =
            chi_coll_combine(coll, reduction->reducer, &reduction->parts);

        if (one != NULL) {
            chi_msg_queue_push(&reduction->parts, one);
        }
    }
}

/* Send the combined part to the parent, with what it needs to go on. */
static void
reduction_pass_up(struct chi_coll *coll, struct chi_coll_set *set,
                  const struct chi_reduction *reduction, struct chi_msg *part,
                  bool extra)
{
    const uint16_t spare = (uint16_t)((part == NULL ? REDUCE_EMPTY : 0) |
                                      (extra ? REDUCE_EXTRA : 0) |
                                      (reduction->mixed ? REDUCE_MIXED : 0) |
                                      (reduction->known ? 0 : REDUCE_UNKNOWN));
    unsigned char trailer[8 + 4 + CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));

    if (part == NULL) {
        part = chi_pe_msg(coll->pe, CHI_HANDLER_REDUCE, 0);
    }
    part->env.spare = spare;
    chi_write_u64(&writer, reduction->count);
    chi_write_u32(&writer, reduction->source.pe);
    chi_callback_write(&writer, &reduction->callback);
    chi_assert(!writer.bad);
    if (chi_msg_add_trailer(&part, trailer, (uint16_t)(writer.at - trailer)) !=
        CHARE_OK) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    part->env.handler = CHI_HANDLER_REDUCE;
    part->env.flags = 0;
    part->env.collection = set->collection;
    part->env.key = reduction->tag;
    part->env.entry = reduction->reducer;
    chi_pe_send(coll->pe, set->edges->parent, part);
}

static void
reduction_deliver(struct chi_coll *coll, struct chi_reduction *reduction,
                  struct chi_msg *part)
{
    chare_data data = {0};

    if (part != NULL || reduction->reducer == CHARE_REDUCE_GATHER) {
        part = chi_coll_finish(coll, reduction->reducer, part);
        data = chare_data_buffer((chare_format)part->env.format,
                                 (chare_buffer *)part);
    }
    chi_cb_call_or_die(coll->cb, &reduction->callback, &data);
}

/* A part of a child's alone was combined there. */
static struct chi_msg *
reduction_combine(struct chi_coll *coll, struct chi_reduction *reduction)
{
    if (!chi_tally_is_empty(&reduction->tally)) {
        chi_assert(reduction->parts.count == 0);
        return chi_tally_take(&reduction->tally, coll->pe);
    }
    if (!reduction->direct && reduction->parts.count == 1) {
        return chi_msg_queue_pop(&reduction->parts);
    }
    return chi_coll_combine(coll, reduction->reducer, &reduction->parts);
}

/* R7: at the root. */
static void
over_check(struct chi_coll *coll, struct chi_coll_set *set)
{
    if (set->closed && set->reductions.count == 0 && set->census_known &&
        set->left_count == set->subtree_count) {
        coll->ops->over(coll->ops_context, set);
    }
}

/* Pass on or deliver what is there, and forget it. */
static void
reduction_finish(struct chi_coll *coll, struct chi_coll_set *set,
                 struct chi_reduction *reduction, bool extra)
{
    struct chi_msg *part;

    chi_map_remove(&set->reductions, reduction->tag);
    set->recent = NULL;
    part = reduction_combine(coll, reduction);
    if (chi_unlikely(reduction->stray)) {
        if (part != NULL) {
            chi_msg_release(part);
        }
    } else if (set->is_root) {
        reduction_deliver(coll, reduction, part);
        over_check(coll, set);
    } else if (!extra || reduction->count > 0) {
        reduction_pass_up(coll, set, reduction, part, extra);
    }
    free(reduction);
}

static inline bool
is_own_stream(uint64_t tag)
{
    return tag < CHI_COLL_TAG_CALL;
}

/* Tell the parent whether this PE is active. */
static void
tell_active(struct chi_coll *coll, struct chi_coll_set *set)
{
    struct chi_msg *msg = chi_pe_msg(coll->pe, CHI_HANDLER_LEAVE, 0);

    chi_assert(set->census_known && !set->is_root);
    msg->env.collection = set->collection;
    msg->env.key = set->stream_next;
    msg->env.spare = set->active ? LEAVE_ACTIVE : LEAVE_INACTIVE;
    chi_pe_send(coll->pe, set->edges->parent, msg);
}

/* R1, R5: at the root, own reductions in their order. */
static void
stream_check_root(struct chi_coll *coll, struct chi_coll_set *set)
{
    for (;;) {
        const uint64_t tag = set->stream_next;
        struct chi_reduction *reduction = chi_map_get(&set->reductions, tag);

        chi_assert(set->left_count <= set->subtree_count);
        if (reduction == NULL ||
            reduction->count < set->subtree_count - set->left_count) {
            return;
        }
        chi_assert(reduction->count ==
                   set->subtree_count - set->left_count); /* R1 */
        set->stream_next++;
        set->left_count +=
            (uintptr_t)chi_map_remove(&set->leaving, set->stream_next);
        reduction_finish(coll, set, reduction, false);
    }
}

/* Not active any more: what is still here goes on as extra parts. */
static void
stream_end(struct chi_coll *coll, struct chi_coll_set *set)
{
    size_t cursor = 0;
    uint64_t tag;
    void *value;

    while (chi_map_next(&set->reductions, &cursor, &tag, &value)) {
        if (is_own_stream(tag)) {
            reduction_finish(coll, set, value, true);
            cursor = 0;
        }
    }
}

/* R2: pass on what can be. */
static void
stream_check(struct chi_coll *coll, struct chi_coll_set *set)
{
    struct chi_reduction *reduction;

    if (!set->census_known) {
        return; /* R3 */
    }
    if (set->is_root) {
        stream_check_root(coll, set);
        return;
    }
    while (set->local_count > 0 || set->children_active != 0) {
        reduction = chi_map_get(&set->reductions, set->stream_next);
        if (reduction == NULL || reduction->here < set->local_count ||
            (set->children_active & ~reduction->children_reported) != 0) {
            return;
        }
        chi_assert(reduction->here == set->local_count); /* R2 */
        set->stream_next++;
        reduction_finish(coll, set, reduction, false);
    }
    stream_end(coll, set);
    if (set->active) {
        set->active = false;
        tell_active(coll, set);
    }
}

/* R6, R1: pass the completion of a broadcast on, or deliver it. */
static void
completion_check(struct chi_coll *coll, struct chi_coll_set *set,
                 struct chi_reduction *reduction)
{
    if (!set->census_known) {
        return; /* R3 */
    }
    if (set->is_root) {
        if (reduction->expected && reduction->count >= set->subtree_count) {
            chi_assert(reduction->count == set->subtree_count); /* R1, R7 */
            reduction_finish(coll, set, reduction, false);
        }
    } else if (reduction->ran && reduction->here >= reduction->awaited &&
               (set->children_born & ~reduction->children_reported) == 0) {
        reduction_finish(coll, set, reduction, set->subtree_count == 0);
    }
}

static void
reduction_check(struct chi_coll *coll, struct chi_coll_set *set,
                struct chi_reduction *reduction)
{
    if (is_own_stream(reduction->tag)) {
        stream_check(coll, set);
    } else {
        completion_check(coll, set, reduction);
    }
}

/* R4: whether what comes for a reduction can wait for this PE's regular part
 * of it. */
static bool
is_open(const struct chi_coll_set *set, uint64_t tag)
{
    if (set->is_root || !set->census_known) {
        return true;
    }
    if (is_own_stream(tag)) {
        return tag >= set->stream_next && set->active;
    }
    return chi_map_get(&set->reductions, tag) != NULL;
}

void
chi_coll_contribute_any(struct chi_coll *coll, struct chi_coll_set *set,
                        uint64_t tag, uint32_t reducer, struct chi_msg *value,
                        const chare_value *number,
                        const chare_element *element,
                        const chare_callback *callback, bool extra)
{
    const bool waits = is_open(set, tag);
    struct chi_reduction *reduction = reduction_get(coll, set, tag);

    chi_assert(!set->is_root || !is_own_stream(tag) ||
               tag >= set->stream_next); /* R1 */
    reduction_describe(coll, reduction, reducer, callback, coll->pe->rank,
                       element);
    if (number != NULL &&
        (reduction->parts.count > 0 ||
         !chi_tally_add(&reduction->tally, reduction->reducer, number))) {
        value = chi_tally_part(coll->pe, number);
    }
    if (value != NULL) {
        value->env.source_pe = coll->pe->rank;
    }
    if (value != NULL && chi_coll_keeps_parts(coll, reduction->reducer)) {
        value = chi_coll_record(coll, element, value);
    }
    reduction_add(coll, reduction, value);
    reduction->count++;
    reduction->here += !extra;
    reduction->direct = true;
    if (waits) {
        reduction_check(coll, set, reduction);
    } else {
        reduction_finish(coll, set, reduction, true); /* R4 */
    }
}

void
chi_coll_ran(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
             uint32_t reducer, uint64_t awaited, uint64_t absent,
             const chare_callback *callback)
{
    struct chi_reduction *reduction;

    chi_assert(!is_own_stream(tag));
    if (set->is_root && absent == 0) {
        return; /* chi_coll_expect() may have delivered it */
    }
    reduction = reduction_get(coll, set, tag);
    reduction_describe(coll, reduction, reducer, callback, coll->pe->rank,
                       NULL);
    reduction->ran = true;
    reduction->awaited += awaited;
    reduction->count += absent;
    completion_check(coll, set, reduction);
}

void
chi_coll_expect(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
                uint32_t reducer, const chare_callback *callback)
{
    struct chi_reduction *reduction = reduction_get(coll, set, tag);

    chi_assert(set->is_root && !set->closed);
    reduction->expected = true;
    reduction_describe(coll, reduction, reducer, callback, coll->pe->rank,
                       NULL);
    reduction_check(coll, set, reduction);
}

/* Put a child's part to the others. */
static void
reduce_take(struct chi_coll *coll, struct chi_coll_set *set,
            struct chi_msg *msg, uint32_t child, uint64_t count,
            uint32_t source_pe, const chare_callback *callback)
{
    const uint64_t tag = msg->env.key;
    const uint16_t spare = msg->env.spare;
    const bool regular = (spare & REDUCE_EXTRA) == 0;
    const bool mixed = (spare & REDUCE_MIXED) != 0;
    /* A completion's regular part of a child waits for this PE's. */
    const bool waits = is_open(set, tag) || (regular && !is_own_stream(tag));
    struct chi_reduction *reduction = reduction_get(coll, set, tag);

    if (regular && waits) {
        chi_assert((reduction->children_reported >> child & 1) == 0); /* R2 */
        reduction->children_reported |= (uint64_t)1 << child;
    }
    if ((spare & REDUCE_UNKNOWN) == 0) {
        reduction_describe(coll, reduction,
                           mixed && reduction->known ? reduction->reducer
                                                     : msg->env.entry,
                           callback, source_pe, NULL);
    }
    reduction->count += count;
    if (spare & REDUCE_EMPTY) {
        chi_msg_release(msg);
    } else {
        msg->env.len -= msg->env.trailer_len;
        msg->env.trailer_len = 0;
        if (mixed && !reduction->mixed) {
            reduction_spoil(reduction, msg);
        } else {
            reduction_add(coll, reduction, msg);
        }
    }
    if (waits) {
        reduction_check(coll, set, reduction);
    } else {
        reduction_finish(coll, set, reduction, true); /* R4 */
    }
}

void
chi_coll_close(struct chi_coll *coll, struct chi_coll_set *set)
{
    size_t cursor = 0;
    uint64_t tag;
    void *value;

    chi_assert(set->is_root && !set->closed);
    set->closed = true;
    while (chi_map_next(&set->reductions, &cursor, &tag, &value)) {
        struct chi_reduction *reduction = value;

        if (!is_own_stream(tag) && !reduction->expected) {
            chi_map_remove(&set->reductions, tag);
            chi_msg_queue_clear(&reduction->parts);
            free(reduction);
            cursor = 0; /* a removal moves others */
        }
    }
    set->recent = NULL;
    over_check(coll, set);
}

/* R7: of a broadcast that the root has refused. */
static bool
is_refused(const struct chi_coll_set *set, uint64_t tag)
{
    return set->closed && !is_own_stream(tag) &&
           chi_map_get(&set->reductions, tag) == NULL;
}

static bool
reducer_ok(const struct chi_coll *coll, const struct chi_msg *msg)
{
    return chi_coll_has_reducer(coll, msg->env.entry) ||
           msg->env.entry == CHI_COLL_REDUCE_JOIN ||
           (msg->env.spare & REDUCE_UNKNOWN) != 0;
}

void
chi_coll_reduce_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);
    struct chi_coll_set *set;
    chare_callback callback;
    uint64_t count;
    uint32_t source_pe;
    uint32_t child;

    set = coll->ops->find(coll->ops_context, msg->env.collection, msg);
    if (set == NULL) {
        return; /* kept until the collection is known here */
    }
    count = chi_read_u64(&reader);
    source_pe = chi_read_u32(&reader);
    child = chi_coll_child(set->edges, msg->env.source_pe);
    if (!chi_callback_read(&reader, &callback) ||
        child == CHI_TREE_CHILDREN_MAX || !reducer_ok(coll, msg)) {
        chi_log_warn(coll->pe->options.log,
                     "dropped a malformed partial result from PE %u",
                     msg->env.source_pe);
        chi_msg_release(msg);
        return;
    }
    if (chi_unlikely(is_refused(set, msg->env.key))) {
        chi_msg_release(msg);
        return;
    }
    reduce_take(coll, set, msg, child, count, source_pe, &callback);
}

/* ---- elements that come and go */

/* Count elements that are here in the reductions that they have contributed
 * to, or take them out. */
static void
here_add(struct chi_coll *coll, struct chi_coll_set *set, uint64_t next,
         int64_t count)
{
    if (set->is_root) {
        return; /* R1: it counts contributions only */
    }
    for (uint64_t tag = set->stream_next; tag < next; tag++) {
        struct chi_reduction *reduction = reduction_get(coll, set, tag);

        chi_assert(count > 0 || reduction->here >= (uint64_t)-count);
        reduction->here += (uint64_t)count;
    }
}

void
chi_coll_arrive(struct chi_coll *coll, struct chi_coll_set *set, uint64_t next)
{
    const bool wakes = set->census_known && !set->is_root && !set->active;

    if (wakes && next > set->stream_next) {
        set->stream_next = next; /* nothing was asked of this PE until now */
    }
    here_add(coll, set, next, 1);
    set->local_count += set->local_known;
    if (wakes) {
        set->active = true;
        tell_active(coll, set);
    }
}

void
chi_coll_depart(struct chi_coll *coll, struct chi_coll_set *set, uint64_t next,
                uint32_t count)
{
    here_add(coll, set, next, -(int64_t)count);
    if (set->local_known) {
        chi_assert(set->local_count >= count);
        set->local_count -= count;
    }
    stream_check(coll, set);
}

/* At the root, note that some leave; elsewhere, tell the parent. */
static void
leave(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
      uint32_t count)
{
    struct chi_msg *msg;
    uint64_t before;

    if (!set->is_root) {
        msg = chi_pe_msg(coll->pe, CHI_HANDLER_LEAVE, 0);
        msg->env.collection = set->collection;
        msg->env.key = tag;
        msg->env.entry = count;
        msg->env.spare = LEAVE_DESTROYED;
        chi_pe_send(coll->pe, set->edges->parent, msg);
        return;
    }
    chi_assert(tag >= set->stream_next); /* R5 */
    if (tag == set->stream_next) {
        set->left_count += count;
    } else {
        before = (uintptr_t)chi_map_get(&set->leaving, tag);
        if (chi_map_put(&set->leaving, tag,
                        (void *)(uintptr_t)(before + count)) != CHARE_OK) {
            chi_pe_die(coll->pe, "out of memory for a reduction");
        }
    }
    stream_check(coll, set);
    over_check(coll, set); /* of one that had moved, it may be the last news */
}

void
chi_coll_leave(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
               uint32_t count)
{
    chi_assert(is_own_stream(tag) && count > 0);
    leave(coll, set, tag, count);
    chi_coll_depart(coll, set, tag, count);
}

/* A child that was not active is, from 'tag' on. */
static void
child_wakes(struct chi_coll *coll, struct chi_coll_set *set, uint32_t child,
            uint64_t tag)
{
    const bool wakes = set->census_known && !set->is_root && !set->active;

    if (wakes && tag > set->stream_next) {
        set->stream_next = tag;
    }
    chi_assert((set->children_active >> child & 1) == 0);
    set->children_active |= (uint64_t)1 << child;
    for (uint64_t at = set->stream_next; at < tag && !set->is_root; at++) {
        reduction_get(coll, set, at)->children_reported |= (uint64_t)1
                                                           << child;
    }
    if (wakes) {
        set->active = true;
        tell_active(coll, set);
    }
}

void
chi_coll_leave_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_coll_set *set;
    uint32_t child;

    set = coll->ops->find(coll->ops_context, msg->env.collection, msg);
    if (set == NULL) {
        return; /* kept until the collection is known here */
    }
    child = chi_coll_child(set->edges, msg->env.source_pe);
    if (!is_own_stream(msg->env.key) || child == CHI_TREE_CHILDREN_MAX) {
        chi_log_warn(coll->pe->options.log, "dropped a malformed departure");
    } else if (msg->env.spare == LEAVE_ACTIVE) {
        child_wakes(coll, set, child, msg->env.key);
    } else if (msg->env.spare == LEAVE_INACTIVE) {
        set->children_active &= ~((uint64_t)1 << child);
        stream_check(coll, set);
    } else if (msg->env.entry > 0) {
        leave(coll, set, msg->env.key, msg->env.entry);
    }
    chi_msg_release(msg);
}

/* ---- census */

static int
tag_compare(const void *a, const void *b)
{
    const struct chi_reduction *x = *(struct chi_reduction *const *)a;
    const struct chi_reduction *y = *(struct chi_reduction *const *)b;

    return x->tag < y->tag ? -1 : x->tag > y->tag;
}

/* Look at all reductions that wait for the census, in their order. */
static void
reductions_check(struct chi_coll *coll, struct chi_coll_set *set)
{
    struct chi_reduction **all;
    size_t count = 0;
    size_t cursor = 0;
    uint64_t tag;
    void *value;

    stream_check(coll, set); /* frees all of its own that are complete */
    if (set->reductions.count == 0) {
        return;
    }
    all = malloc(set->reductions.count * sizeof(struct chi_reduction *));
    if (all == NULL) {
        chi_pe_die(coll->pe, "out of memory for a reduction");
    }
    while (chi_map_next(&set->reductions, &cursor, &tag, &value)) {
        if (!is_own_stream(tag)) {
            all[count++] = value;
        }
    }
    qsort(all, count, sizeof(struct chi_reduction *), tag_compare);
    for (size_t i = 0; i < count; i++) {
        completion_check(coll, set, all[i]);
    }
    free(all);
}

/* All of this subtree has told: tell the parent, and look at what waited. */
static void
census_check(struct chi_coll *coll, struct chi_coll_set *set)
{
    struct chi_msg *msg;

    if (!set->local_known || set->census_missing > 0) {
        return;
    }
    chi_assert(!set->census_known);
    set->census_known = true;
    set->active = set->local_count > 0 || set->children_active != 0;
    if (set->is_root) {
        coll->ops->census_done(coll->ops_context, set);
    } else {
        msg = chi_pe_msg(coll->pe, CHI_HANDLER_CENSUS, 0);
        msg->env.collection = set->collection;
        msg->env.key = set->subtree_count;
        msg->env.spare = set->active;
        chi_pe_send(coll->pe, set->edges->parent, msg);
    }
    reductions_check(coll, set);
}

void
chi_coll_census(struct chi_coll *coll, struct chi_coll_set *set,
                uint64_t born_count, uint64_t local_count)
{
    chi_assert(!set->local_known);
    set->local_known = true;
    set->local_count = local_count;
    set->subtree_count += born_count;
    census_check(coll, set);
}

void
chi_coll_census_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_coll_set *set;
    uint32_t child;

    set = coll->ops->find(coll->ops_context, msg->env.collection, msg);
    if (set == NULL) {
        return;
    }
    child = chi_coll_child(set->edges, msg->env.source_pe);
    if (child != CHI_TREE_CHILDREN_MAX && set->census_missing > 0) {
        set->subtree_count += msg->env.key;
        if (msg->env.key > 0) {
            set->children_born |= (uint64_t)1 << child;
        }
        if (msg->env.spare != 0) {
            set->children_active |= (uint64_t)1 << child;
        }
        set->census_missing--;
        census_check(coll, set);
    }
    chi_msg_release(msg);
}
