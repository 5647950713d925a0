/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - chares that move to another PE.
 *
 * The protocol, its states and L5 to L8 are in src/loc/README.md. What is
 * here: who may move and when, and what goes along.
 *
 *  V1  a chare moves between two executions of messages, and never while a
 *      hook of its type says that it cannot; a wish to move is kept until it
 *      can, and a later wish takes the place of an earlier one;
 *  V2  a chare that has asked its home to leave exists until it has left or
 *      has said that it stays: what would end it waits (D4);
 *  V3  chares of bound arrays move together: they leave in one step, and the
 *      last message of a step makes all of them exist;
 *  V4  it takes along: its object, the number of its next contribution, which
 *      broadcasts it has had (cast.c), its memberships (far.c).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/buffer.h"
#include "msg/codec.h"
#include "obj/migrate.h"
#include "obj/section.h"

enum {
    CLIQUE_MAX = 64, /* chares of arrays that are bound together */
};

/* Chares that move together. */
struct clique {
    struct chi_element *items[CLIQUE_MAX];
    struct chi_msg *packed[CLIQUE_MAX];
    size_t count;
};

enum migrate_kind {     /* env.spare of MIGRATE */
    MIGRATE_GO = 0,     /* a user's: to the PE in the data */
    MIGRATE_ALONE = 1,  /* the same for a bound chare, without the others */
    MIGRATE_FOLLOW = 2, /* send ALONE to the chare of this index of the array
                           in the data, unless it is here */
};

static uint64_t
move_key(const struct chi_element *element)
{
    return (uint64_t)(uintptr_t)element;
}

struct chi_move *
chi_move_find(const struct chi_obj *obj, const struct chi_element *element)
{
    return element->moving ? chi_map_get(&obj->moves, move_key(element))
                           : NULL;
}

static uint32_t
home_of(const struct chi_obj *obj, const struct chi_element *element,
        chare_element *self_out)
{
    chi_element_self(element, self_out);
    return chi_collection_home(obj, element->collection, &self_out->index);
}

void
chi_move_failed(struct chi_obj *obj, const struct chi_element *element,
                const char *what, chare_status status)
{
    char name[256];
    char text[512];
    chare_element self;

    if (obj->pe->ended || obj->pe->leaving) {
        return; /* a hook has ended the job, and said why */
    }
    chi_element_self(element, &self);
    chi_element_text(obj, &self, name, sizeof(name));
    snprintf(text, sizeof(text), "chare %s %s: %s", name, what,
             chare_status_text(status));
    obj->fatal(obj->fatal_context, text);
}

/* ---- who moves with whom */

struct chi_element *
chi_move_anchor(struct chi_obj *obj, struct chi_element *element)
{
    chare_element self;

    chi_element_self(element, &self);
    while (element->collection->spec.bound_to != 0) {
        struct chi_collection *other =
            chi_map_get(&obj->collections, element->collection->spec.bound_to);
        struct chi_element *next =
            other == NULL ? NULL : chi_element_find_index(other, &self.index);

        if (next == NULL) {
            break;
        }
        element = next;
    }
    return element;
}

/* Add the chares here that are bound to this one, after it. */
static void
clique_add(struct chi_obj *obj, struct clique *clique,
           struct chi_element *element)
{
    size_t cursor = 0;
    chare_element self;
    uint64_t id;
    void *value;

    chi_assert(clique->count < CLIQUE_MAX);
    clique->items[clique->count++] = element;
    if (obj->bound_count == 0) {
        return;
    }
    chi_element_self(element, &self);
    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        struct chi_collection *other = value;
        struct chi_element *bound;

        if (other->spec.bound_to != element->collection->spec.id) {
            continue;
        }
        bound = chi_element_find_index(other, &self.index);
        if (bound != NULL) {
            clique_add(obj, clique, bound);
        }
    }
}

static void
clique_of(struct chi_obj *obj, const struct chi_element *element,
          struct clique *clique)
{
    clique->count = 0;
    clique_add(obj, clique, (struct chi_element *)(uintptr_t)element);
}

void
chi_move_each_with(struct chi_obj *obj, struct chi_element *anchor,
                   void (*fn)(void *context, struct chi_element *one),
                   void *context)
{
    struct clique clique;

    if (obj->bound_count == 0) {
        fn(context, anchor);
        return;
    }
    clique_of(obj, anchor, &clique);
    for (size_t i = 0; i < clique.count; i++) {
        fn(context, clique.items[i]);
    }
}

/* ---- wanting to move */

static void move_go(struct chi_obj *obj, struct chi_move *move);

void
chi_move_end(struct chi_obj *obj, struct chi_move *move)
{
    obj->suggestions -= move->suggested;
    chi_map_remove(&obj->moves, move_key(move->element));
    *move->link = move->next;
    if (move->next != NULL) {
        move->next->link = move->link;
    } else {
        obj->move_last = move->link;
    }
    if (obj->move_next == move) {
        obj->move_next = move->next;
    }
    ((struct chi_element *)(uintptr_t)move->element)->moving = false;
    free(move);
}

/* Whether something that will end by itself, and is then told by
 * chi_moves_retry(), keeps a chare here: its constructor, to begin with. */
static bool
is_kept(const struct chi_obj *obj, const struct chi_element *element)
{
    return element->object == NULL || element->draining || element->behind ||
           chi_members_stay(element) || chi_far_members_hold(element) ||
           chi_early_has(obj, element);
}

/* Whether its hook lets a chare go, just now. */
static bool
is_movable(const struct chi_obj *obj, const struct chi_element *element)
{
    const struct chi_type *type = chi_element_type(obj, element);

    return type->ops.movable == NULL ||
           type->ops.movable(element->object, type->context);
}

/* Who could never go, for its type has no hooks for it; NULL: nobody. */
static const struct chi_element *
clique_unpackable(const struct chi_obj *obj, const struct clique *clique)
{
    for (size_t i = 0; i < clique->count; i++) {
        const struct chi_type *type = chi_element_type(obj, clique->items[i]);

        if (type->ops.pack == NULL || type->ops.unpack == NULL) {
            return clique->items[i];
        }
    }
    return NULL;
}

/* V1, V3 */
static bool
clique_can(const struct chi_obj *obj, const struct clique *clique)
{
    for (size_t i = 0; i < clique->count; i++) {
        if (is_kept(obj, clique->items[i]) ||
            !is_movable(obj, clique->items[i])) {
            return false;
        }
    }
    return true;
}

bool
chi_move_can(struct chi_obj *obj, struct chi_element *element)
{
    struct clique clique;

    clique_of(obj, chi_move_anchor(obj, element), &clique);
    return clique_unpackable(obj, &clique) == NULL && clique_can(obj, &clique);
}

/* The user wants somebody to move who cannot, or whom such a one follows. */
static void
cannot_pack(struct chi_obj *obj, const struct chi_element *element)
{
    chi_move_failed(obj, element,
                    "cannot move, nor can those that it is bound to: its "
                    "type has no pack and unpack hooks",
                    CHARE_ERR_INVALID);
}

/* Ask the homes, if everybody can go; else that is tried again later. */
static void
move_ask(struct chi_obj *obj, struct chi_move *move)
{
    const struct chi_element *unpackable;
    struct clique clique;

    if (move->to == obj->pe->rank) {
        chi_move_end(obj, move);
        return;
    }
    clique_of(obj, move->element, &clique);
    unpackable = clique_unpackable(obj, &clique);
    if (unpackable != NULL) { /* it was inserted since the wish */
        if (!move->suggested) {
            cannot_pack(obj, unpackable);
        }
        chi_move_end(obj, move);
        return;
    }
    if (!clique_can(obj, &clique)) {
        return;
    }
    move->asked = true;
    for (size_t i = 0; i < clique.count; i++) {
        struct chi_element *element = clique.items[i];

        if (!element->asked) {
            chare_element self;
            const uint32_t home = home_of(obj, element, &self);

            element->asked = true;
            move->grants++;
            chi_loc_ask(obj->loc, &self, home);
        }
    }
}

void
chi_move_start(struct chi_obj *obj, struct chi_element *element, uint32_t to,
               bool alone, bool suggested)
{
    const struct chi_element *unpackable;
    struct clique clique;
    struct chi_move *move;

    element = alone ? element : chi_move_anchor(obj, element);
    move = chi_move_find(obj, element);
    if (move != NULL) {
        move->to = to; /* V1 */
        obj->suggestions -= move->suggested;
        move->suggested = false;
        if (!move->asked) {
            move_ask(obj, move);
        }
        return;
    }
    if (to == obj->pe->rank) {
        return;
    }
    clique_of(obj, element, &clique);
    unpackable = clique_unpackable(obj, &clique);
    if (unpackable != NULL) {
        if (!suggested) {
            cannot_pack(obj, unpackable);
        }
        return;
    }
    move = calloc(1, sizeof(*move));
    if (move == NULL ||
        chi_map_put(&obj->moves, move_key(element), move) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare that moves");
    }
    *move = (struct chi_move){.link = obj->move_last,
                              .element = element,
                              .to = to,
                              .alone = alone,
                              .suggested = suggested};
    *obj->move_last = move;
    obj->move_last = &move->next;
    obj->suggestions += suggested;
    element->moving = true;
    move_ask(obj, move);
}

void
chi_move_drop(struct chi_obj *obj, const struct chi_element *element)
{
    struct chi_move *move = chi_move_find(obj, element);

    chi_assert(!element->asked); /* V2 */
    if (move != NULL) {
        chi_move_end(obj, move);
    }
}

void
chi_moves_retry(struct chi_obj *obj)
{
    struct chi_move *move;

    /* Any of these may end others. */
    for (move = obj->move_first; move != NULL; move = obj->move_next) {
        obj->move_next = move->next;
        if (!move->asked && move->to == obj->pe->rank) {
            chi_move_end(obj, move);
        } else if (!move->asked) {
            move_ask(obj, move);
        } else if (move->grants == 0) {
            move_go(obj, move);
        }
    }
}

void
chi_moves_free(struct chi_obj *obj)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    while (chi_map_next(&obj->moves, &cursor, &key, &value)) {
        free(value);
    }
    chi_map_fini(&obj->moves);
    chi_msg_queue_clear(&obj->moving_in);
}

chare_status
chi_obj_migrate(struct chi_obj *obj, const chare_element *target, uint32_t to)
{
    struct chi_collection *collection =
        chi_collection_find(obj, target->collection);
    struct chi_element *here;
    struct chi_msg *msg;
    chare_status status;
    chare_data data = chare_data_bytes(&to, sizeof(to));

    if (to >= obj->pe->size ||
        chi_collection_kind(target->collection) != CHI_KIND_ARRAY ||
        !chi_target_ok(obj, collection, target)) {
        return CHARE_ERR_INVALID;
    }
    if (collection != NULL) {
        const struct chi_type *type;

        here = chi_element_find_index(collection, &target->index);
        type = here != NULL ? chi_element_type(obj, here)
                            : &obj->registry->types[collection->spec.type];
        if ((type->ops.pack == NULL || type->ops.unpack == NULL) &&
            (here != NULL || collection->spec.dense)) {
            return CHARE_ERR_STATE;
        }
        if (here != NULL) {
            chi_move_start(obj, here, to, false, false);
            return CHARE_OK;
        }
    }
    status = chi_message_for(obj, target, 0, &data, NULL, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    msg->env.handler = CHI_HANDLER_MIGRATE;
    chi_pe_count(obj->pe, msg);
    chi_dispatch(obj, msg, NULL);
    return CHARE_OK;
}

chare_status
chi_obj_migrate_retry(struct chi_obj *obj, const chare_element *self)
{
    struct chi_element *element = chi_element_here(obj, self);
    struct chi_move *move;

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (obj->moves.count == 0) {
        return CHARE_ERR_STATE;
    }
    move = chi_move_find(obj, chi_move_anchor(obj, element));
    if (move == NULL) {
        move = chi_move_find(obj, element);
    }
    if (move != NULL && !move->asked) {
        move_ask(obj, move);
    }
    return CHARE_OK;
}

chare_status
chi_obj_set_migratable(struct chi_obj *obj, const chare_element *self,
                       bool migratable)
{
    struct chi_element *element = chi_element_here(obj, self);

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    element->fixed = !migratable;
    return CHARE_OK;
}

bool
chi_obj_is_migratable(const struct chi_obj *obj, const chare_element *self)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, self->collection);
    const struct chi_element *element =
        collection == NULL || collection->kind != CHI_KIND_ARRAY ||
                self->index.ndims != collection->spec.ndims
            ? NULL
            : chi_element_find_index(collection, &self->index);

    return element != NULL && !element->fixed &&
           chi_element_type(obj, element)->ops.pack != NULL;
}

void
chi_obj_set_on_move(struct chi_obj *obj, chi_on_move_fn fn, void *context)
{
    obj->on_move = fn;
    obj->on_move_context = context;
}

/* ---- leaving */

/* Give back what was granted; it is asked for again later. */
static void
move_stays(struct chi_obj *obj, struct chi_move *move,
           const struct clique *clique)
{
    for (size_t i = 0; i < clique->count; i++) {
        struct chi_element *element = clique->items[i];

        if (element->asked) {
            chare_element self;
            const uint32_t home = home_of(obj, element, &self);

            element->asked = false;
            chi_loc_stays(obj->loc, &self, home);
        }
    }
    move->asked = false;
    if (move->to == obj->pe->rank) {
        chi_move_end(obj, move);
    }
    chi_destroy_retry(obj);
}

/* Write a chare's state; NULL: it cannot go now. */
static struct chi_msg *
pack(struct chi_obj *obj, struct chi_element *element)
{
    const struct chi_type *type = chi_element_type(obj, element);
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_status status;

    if (chi_encoder_init(&encoder, obj->pe->pool, 256) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare that moves");
    }
    status = type->ops.pack(element->object, type->context, &encoder);
    if (status == CHARE_OK) {
        status = chare_encoder_take(&encoder, &buffer);
    } else {
        chare_encoder_fini(&encoder);
    }
    if (status != CHARE_OK) {
        if (status != CHARE_ERR_AGAIN) {
            chi_move_failed(obj, element, "cannot be packed to move", status);
        }
        return NULL;
    }
    return chi_msg_of_buffer(buffer);
}

/* Append bytes to the data of a message, aligned by 8. */
static void *
append(struct chi_obj *obj, struct chi_msg **msg_inout, size_t len)
{
    const uint64_t at = ((*msg_inout)->env.len + 7) / 8 * 8;

    if (chi_msg_resize(msg_inout, at + len) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare that moves");
    }
    return (*msg_inout)->bytes + at;
}

/* Put what else goes along behind a chare's packed state. */
static void
luggage_pack(struct chi_obj *obj, struct chi_element *element,
             struct chi_msg **msg_inout)
{
    struct chi_collection *collection = element->collection;
    const uint64_t data_len = (*msg_inout)->env.len;
    const size_t member_count = chi_members_count(element);
    uint64_t *numbers;
    const size_t cast_count =
        chi_casts_leave(obj, collection, element, &numbers);
    struct chi_luggage luggage = {
        .reduction_next = element->reduction_next,
        .casts_below = collection->casts_below,
        .cast_count = (uint32_t)cast_count,
        .member_count = (uint32_t)member_count,
        .from = obj->pe->rank,
        .flags = (element->fixed ? CHI_LUGGAGE_FIXED : 0) |
                 (element->guest ? CHI_LUGGAGE_GUEST : 0) |
                 (collection->spec.at_sync ? CHI_LUGGAGE_AT_SYNC : 0),
        .type = element->type,
    };
    unsigned char *at =
        append(obj, msg_inout,
               sizeof(luggage) + cast_count * sizeof(*numbers) +
                   member_count * sizeof(struct chi_far_member));

    chi_element_self(element, &luggage.self);
    chi_load_pack(obj, collection, element, &luggage.synced, &luggage.work);
    memcpy(at, &luggage, sizeof(luggage));
    at += sizeof(luggage);
    if (cast_count > 0) {
        memcpy(at, numbers, cast_count * sizeof(*numbers));
    }
    free(numbers);
    chi_members_move(
        obj, element,
        (struct chi_far_member *)(void *)(at + cast_count * sizeof(*numbers)));
    if (chi_msg_add_trailer(msg_inout, &data_len, sizeof(data_len)) !=
        CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare that moves");
    }
}

/* A packed chare is on its way: it is here no more. */
static void
element_leave(struct chi_obj *obj, struct chi_element *element, uint32_t to)
{
    struct chi_collection *collection = element->collection;
    const struct chi_type *type = chi_element_type(obj, element);
    chare_element self;
    const uint32_t home = home_of(obj, element, &self);

    chi_loc_left(obj->loc, &self, home);
    chi_collection_scatter(obj, collection);
    chi_element_unlink(collection, element);
    chi_coll_depart(obj->coll, &collection->set, element->reduction_next, 1);
    if (obj->on_move != NULL) {
        obj->on_move(obj->on_move_context, &self, obj->pe->rank, to, false);
    }
    if (type->ops.depart != NULL) {
        type->ops.depart(element->object, type->context);
    } else if (type->ops.destroy != NULL) {
        type->ops.destroy(element->object, type->context);
    }
    free(element);
}

/* Pack all of a clique; false: somebody cannot go, and nothing is packed.
 * Whose state was written is asked again whether it can go: so it hears that
 * it stays. */
static bool
clique_pack(struct chi_obj *obj, struct clique *clique)
{
    for (size_t i = 0; i < clique->count; i++) {
        struct chi_element *element = clique->items[i];

        clique->packed[i] = element->asked && !is_kept(obj, element) &&
                                    is_movable(obj, element)
                                ? pack(obj, element)
                                : NULL;
        if (clique->packed[i] == NULL) {
            while (i-- > 0) {
                chi_msg_release(clique->packed[i]);
                (void)is_movable(obj, clique->items[i]);
            }
            return false;
        }
    }
    return true;
}

/* All has been granted: leave, if that is still possible. */
static void
move_go(struct chi_obj *obj, struct chi_move *move)
{
    const uint64_t start = obj->times_moves ? chi_clock_ticks() : 0;
    const uint32_t to = move->to;
    struct clique clique;
    bool grew = false;

    clique_of(obj, move->element, &clique);
    for (size_t i = 0; i < clique.count; i++) {
        grew |= !clique.items[i]->asked; /* it was inserted meanwhile */
    }
    if (to == obj->pe->rank || !clique_pack(obj, &clique)) {
        /* A hook may have told it to stay. */
        const bool goes = move->to != obj->pe->rank;

        move_stays(obj, move, &clique);
        if (grew && goes) {
            move_ask(obj, move);
        }
        return;
    }
    chi_move_end(obj, move);
    for (size_t i = 0; i < clique.count; i++) {
        struct chi_msg *msg = clique.packed[i];

        luggage_pack(obj, clique.items[i], &msg);
        msg->env.format = CHARE_FORMAT_VALUE;
        msg->env.handler = CHI_HANDLER_MOVE;
        msg->env.collection = clique.items[i]->collection->spec.id;
        msg->env.spare = i + 1 < clique.count ? CHI_MOVE_MORE : 0; /* V3 */
        element_leave(obj, clique.items[i], to);
        chi_pe_send(obj->pe, to, msg);
    }
    if (obj->times_moves) {
        obj->move_ticks += chi_clock_ticks() - start;
        obj->move_count++;
    }
    chi_destroy_retry(obj); /* what waited for V2 follows them */
}

void
chi_move_granted(struct chi_obj *obj, const chare_element *name)
{
    struct chi_element *element = chi_element_here(obj, name);
    struct chi_move *move;

    chi_assert(element != NULL && element->asked); /* V2 */
    /* One that was asked for alone, before its anchor came here, is not asked
     * for again by the anchor's wish: the grant is its own. */
    move = chi_move_find(obj, element);
    if (move == NULL || move->grants == 0) {
        move = chi_move_find(obj, chi_move_anchor(obj, element));
    }
    chi_assert(move != NULL && move->grants > 0);
    if (--move->grants == 0) {
        move_go(obj, move);
    }
}

/* A message that makes a chare move, or (FOLLOW) be told where it is to. */
static void
migrate_send(struct chi_obj *obj, const chare_element *target,
             const void *bytes, size_t len, enum migrate_kind kind)
{
    const chare_data data = chare_data_bytes(bytes, len);
    struct chi_msg *msg;

    if (chi_message_for(obj, target, 0, &data, NULL, &msg) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a chare that moves");
    }
    msg->env.handler = CHI_HANDLER_MIGRATE;
    msg->env.spare = (uint16_t)kind;
    chi_pe_count(obj->pe, msg);
    chi_dispatch(obj, msg, NULL);
}

void
chi_move_follow(struct chi_obj *obj, const struct chi_element *element)
{
    const chare_collection id = element->collection->spec.id;
    chare_element other;

    chi_element_self(element, &other);
    other.collection = element->collection->spec.bound_to;
    migrate_send(obj, &other, &id, sizeof(id), MIGRATE_FOLLOW);
}

void
chi_move_follow_all(struct chi_obj *obj, struct chi_collection *collection)
{
    const struct chi_collection *other =
        chi_map_get(&obj->collections, collection->spec.bound_to);

    if (other == NULL || !other->scattered) {
        return;
    }
    for (size_t i = 0; i < collection->count; i++) {
        struct chi_element *element = collection->elements[i];

        if (chi_move_anchor(obj, element) == element) {
            chi_move_follow(obj, element);
        }
    }
}

/* The chare of this array with the same index is elsewhere: bring it here. */
static void
follow_here(struct chi_obj *obj, const struct chi_element *anchor,
            chare_collection id)
{
    chare_element bound;

    chi_element_self(anchor, &bound);
    bound.collection = id;
    if (chi_collection_kind(id) == CHI_KIND_ARRAY &&
        chi_obj_local(obj, &bound) == NULL) {
        migrate_send(obj, &bound, &obj->pe->rank, sizeof(obj->pe->rank),
                     MIGRATE_ALONE);
    }
}

void
chi_migrate_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_element *element = chi_target_here(obj, msg);
    chare_collection follows = 0;
    uint32_t to = UINT32_MAX;

    if (element == NULL) {
        return;
    }
    if (chi_msg_data_len(msg) == sizeof(to)) {
        memcpy(&to, msg->bytes, sizeof(to));
    } else if (chi_msg_data_len(msg) == sizeof(follows)) {
        memcpy(&follows, msg->bytes, sizeof(follows));
    }
    if (msg->env.spare == MIGRATE_FOLLOW) {
        follow_here(obj, element, follows);
    } else if (to >= obj->pe->size) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed migration");
    } else {
        chi_move_start(obj, element, to, msg->env.spare == MIGRATE_ALONE,
                       false);
    }
    chi_msg_release(msg);
}
