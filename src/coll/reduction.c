/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reduction.c - the census, and reductions up a collection's tree.
 *
 * Invariants (README.md has the protocol):
 *  R1  the root delivers a reduction when as many contributions have come as
 *      the census counted, never before and never again;
 *  R2  a PE passes a partial result on exactly once for each reduction in
 *      which its subtree has elements: when its own elements have contributed
 *      and all children whose subtree has elements have passed theirs on;
 *  R3  nothing is passed on before the census of the subtree is known;
 *  R5  own reductions are passed on in their order, and an element that is
 *      destroyed before its contribution t is expected in all below t and in
 *      none from t on: since it is missing at t, no PE above has passed t on
 *      when it hears of it;
 *  R6  the root delivers the completion of a broadcast only if, and after, it
 *      expects it; when a set is closed, what comes of others is dropped, and
 *      it is over when nothing is expected any more: its own reductions were
 *      all delivered then, for all elements have left.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "coll/coll_private.h"

struct chi_reduction {
    uint64_t tag;
    uint64_t count; /* contributions in the parts, and those without data */
    uint64_t local_count;
    uint64_t children_reported; /* a bit for each */
    uint32_t reducer;
    bool known;    /* reducer and callback are set */
    bool expected; /* at the root: R6 */
    bool mixed; /* contributions named different reducers: parts is an error */
    bool stray; /* they named different targets: the job ends */
    struct chi_coll_source source; /* of the reducer and the callback */
    chare_callback callback;
    struct chi_msg_queue parts;
};

static_assert(CHI_TREE_CHILDREN_MAX <= 64, "a bit for each child");

void
chi_coll_set_init(struct chi_coll *coll, struct chi_coll_set *set,
                  uint64_t collection, uint32_t root)
{
    *set = (struct chi_coll_set){.collection = collection};
    set->edges = chi_coll_edges(coll, root);
    set->is_root = root == coll->pe->rank;
    set->census_missing = set->edges->child_count;
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

void
chi_coll_set_init_alone(struct chi_coll_set *set, uint64_t collection)
{
    static const struct chi_tree_edges no_edges;

    *set = (struct chi_coll_set){
        .collection = collection,
        .edges = &no_edges,
        .is_root = true,
    };
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

void
chi_coll_set_init_known(struct chi_coll_set *set, uint64_t collection,
                        const struct chi_tree_edges *edges, bool is_root,
                        uint64_t local_count, uint64_t subtree_count)
{
    *set = (struct chi_coll_set){
        .collection = collection,
        .edges = edges,
        .is_root = is_root,
        .local_known = true,
        .census_known = true,
        .local_count = local_count,
        .subtree_count = subtree_count,
    };
    chi_assert(local_count <= subtree_count);
    chi_map_init(&set->leaving);
    chi_map_init(&set->reductions);
}

void
chi_coll_set_fini(struct chi_coll_set *set)
{
    size_t cursor = 0;
    uint64_t tag;
    void *value;

    while (chi_map_next(&set->reductions, &cursor, &tag, &value)) {
        struct chi_reduction *reduction = value;

        chi_msg_queue_clear(&reduction->parts);
        free(reduction);
    }
    chi_map_fini(&set->reductions);
    chi_map_fini(&set->leaving);
    set->recent = NULL;
}

static uint32_t
child_index(const struct chi_tree_edges *edges, uint32_t pe)
{
    for (uint32_t i = 0; i < edges->child_count; i++) {
        if (edges->children[i] == pe) {
            return i;
        }
    }
    return CHI_TREE_CHILDREN_MAX;
}

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

/* From now on the result is an error, which any reducer passes on. */
static void
reduction_mix(struct chi_coll *coll, struct chi_reduction *reduction,
              uint32_t other, const struct chi_coll_source *source)
{
    struct chi_msg *error = chi_coll_mixed(coll, reduction->reducer,
                                           &reduction->source, other, source);

    chi_msg_queue_clear(&reduction->parts);
    chi_msg_queue_push(&reduction->parts, error);
    reduction->reducer = CHARE_REDUCE_SUM;
    reduction->mixed = true;
}

/* Members of a section of several classes name its method each by the entry of
 * their own class. */
static bool
is_alike(const struct chi_coll *coll, const chare_callback *a,
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
        !is_alike(coll, &reduction->callback, callback)) {
        reduction->stray = true;
        chi_coll_targets_differ(coll, &reduction->callback, &reduction->source,
                                callback, &source);
    } else if (reduction->reducer != reducer && !reduction->mixed &&
               !chi_coll_join(coll, &reduction->reducer, reducer)) {
        reduction_mix(coll, reduction, reducer, &source);
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
                  struct chi_reduction *reduction, struct chi_msg *part)
{
    unsigned char trailer[8 + 4 + CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));

    if (part == NULL) {
        part = chi_pe_msg(coll->pe, CHI_HANDLER_REDUCE, 0);
        part->env.spare = 1; /* no data, as opposed to empty data */
    } else {
        part->env.spare = 0;
    }
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
    if (reduction->local_count == 0 && reduction->parts.count == 1) {
        return chi_msg_queue_pop(&reduction->parts);
    }
    return chi_coll_combine(coll, reduction->reducer, &reduction->parts);
}

/* R6: at the root. */
static void
over_check(struct chi_coll *coll, struct chi_coll_set *set)
{
    if (set->closed && set->reductions.count == 0 && set->census_known &&
        set->left_count == set->subtree_count) {
        coll->ops->over(coll->ops_context, set);
    }
}

/* Pass on or deliver; all of this subtree is in. */
static void
reduction_finish(struct chi_coll *coll, struct chi_coll_set *set,
                 struct chi_reduction *reduction)
{
    struct chi_msg *part;

    chi_assert(reduction->local_count <= set->local_count);
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
    } else {
        reduction_pass_up(coll, set, reduction, part);
    }
    free(reduction);
}

static inline bool
is_own_stream(uint64_t tag)
{
    return tag < CHI_COLL_TAG_CALL;
}

/*
 * R2, R3, R5: own reductions in their order, each when all have contributed
 * that have not left before.
 */
static void
stream_check(struct chi_coll *coll, struct chi_coll_set *set)
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
        reduction_finish(coll, set, reduction);
    }
}

/* R2, R3: pass on or deliver, when all of this subtree is in. */
static void
reduction_check(struct chi_coll *coll, struct chi_coll_set *set,
                struct chi_reduction *reduction)
{
    if (!set->census_known) {
        return;
    }
    if (is_own_stream(reduction->tag)) {
        stream_check(coll, set);
    } else if (reduction->count >= set->subtree_count &&
               (reduction->expected || !set->is_root)) {    /* R6 */
        chi_assert(reduction->count == set->subtree_count); /* R1 */
        reduction_finish(coll, set, reduction);
    }
}

void
chi_coll_contribute(struct chi_coll *coll, struct chi_coll_set *set,
                    uint64_t tag, uint32_t reducer, struct chi_msg *value,
                    const chare_element *element,
                    const chare_callback *callback)
{
    struct chi_reduction *reduction = reduction_get(coll, set, tag);

    reduction_describe(coll, reduction, reducer, callback, coll->pe->rank,
                       element);
    if (value != NULL) {
        value->env.source_pe = coll->pe->rank;
    }
    if (value != NULL && chi_coll_keeps_parts(coll, reduction->reducer)) {
        value = chi_coll_record(coll, element, value);
    }
    reduction_add(coll, reduction, value);
    reduction->count++;
    reduction->local_count++;
    reduction_check(coll, set, reduction);
}

void
chi_coll_absent(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
                uint32_t reducer, uint64_t count,
                const chare_callback *callback)
{
    struct chi_reduction *reduction;

    chi_assert(!is_own_stream(tag));
    if (count == 0) {
        return;
    }
    reduction = reduction_get(coll, set, tag);
    reduction_describe(coll, reduction, reducer, callback, coll->pe->rank,
                       NULL);
    reduction->count += count;
    reduction->local_count += count;
    reduction_check(coll, set, reduction);
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

/* R6: of a broadcast that the root has refused. */
static bool
is_refused(const struct chi_coll_set *set, uint64_t tag)
{
    return set->closed && !is_own_stream(tag) &&
           chi_map_get(&set->reductions, tag) == NULL;
}

void
chi_coll_reduce_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);
    struct chi_reduction *reduction;
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
    child = child_index(set->edges, msg->env.source_pe);
    if (!chi_callback_read(&reader, &callback) ||
        child == CHI_TREE_CHILDREN_MAX) {
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
    reduction = reduction_get(coll, set, msg->env.key);
    chi_assert((reduction->children_reported >> child & 1) == 0); /* R2 */
    reduction->children_reported |= (uint64_t)1 << child;
    reduction_describe(coll, reduction, msg->env.entry, &callback, source_pe,
                       NULL);
    reduction->count += count;
    if (msg->env.spare == 1) {
        chi_msg_release(msg);
    } else {
        msg->env.len -= msg->env.trailer_len;
        msg->env.trailer_len = 0;
        reduction_add(coll, reduction, msg);
    }
    reduction_check(coll, set, reduction);
}

bool
chi_coll_stalled(const struct chi_coll_set *set, struct chi_coll_stalled *out)
{
    const struct chi_reduction *reduction =
        chi_map_get(&set->reductions, set->stream_next);

    if (reduction == NULL) {
        return false;
    }
    *out = (struct chi_coll_stalled){
        .number = reduction->tag,
        .arrived = reduction->count,
        .expected = set->subtree_count - set->left_count,
        .children = reduction->children_reported,
    };
    return true;
}

/* ---- elements that are no more */

/* Note that some leave, and tell the parent. */
static void
leave(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
      uint32_t count)
{
    struct chi_msg *msg;
    uint64_t before;

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
    if (set->census_known) {
        stream_check(coll, set);
    }
    if (!set->is_root) {
        msg = chi_pe_msg(coll->pe, CHI_HANDLER_LEAVE, 0);
        msg->env.collection = set->collection;
        msg->env.key = tag;
        msg->env.entry = count;
        chi_pe_send(coll->pe, set->edges->parent, msg);
    }
}

void
chi_coll_leave(struct chi_coll *coll, struct chi_coll_set *set, uint64_t tag,
               uint32_t count)
{
    chi_assert(is_own_stream(tag) && count > 0);
    leave(coll, set, tag, count);
}

void
chi_coll_leave_execute(void *context, struct chi_msg *msg)
{
    struct chi_coll *coll = context;
    struct chi_coll_set *set;

    set = coll->ops->find(coll->ops_context, msg->env.collection, msg);
    if (set == NULL) {
        return; /* kept until the collection is known here */
    }
    if (is_own_stream(msg->env.key) && msg->env.entry > 0 &&
        child_index(set->edges, msg->env.source_pe) != CHI_TREE_CHILDREN_MAX) {
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
    stream_check(coll, set); /* frees all of its own that are complete */
    qsort(all, count, sizeof(struct chi_reduction *), tag_compare);
    for (size_t i = 0; i < count; i++) {
        reduction_check(coll, set, all[i]);
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
    if (set->is_root) {
        coll->ops->census_done(coll->ops_context, set);
    } else {
        msg = chi_pe_msg(coll->pe, CHI_HANDLER_CENSUS, 0);
        msg->env.collection = set->collection;
        msg->env.key = set->subtree_count;
        chi_pe_send(coll->pe, set->edges->parent, msg);
    }
    reductions_check(coll, set);
}

void
chi_coll_census(struct chi_coll *coll, struct chi_coll_set *set,
                uint64_t local_count)
{
    chi_assert(!set->local_known);
    set->local_known = true;
    set->local_count = local_count;
    set->subtree_count += local_count;
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
    child = child_index(set->edges, msg->env.source_pe);
    if (child != CHI_TREE_CHILDREN_MAX && set->census_missing > 0) {
        set->subtree_count += msg->env.key;
        set->census_missing--;
        census_check(coll, set);
    }
    chi_msg_release(msg);
}
