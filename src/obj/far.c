/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * far.c - what belongs to another PE than the one where it is made.
 *
 * A member of a section is counted on the PE where it joined, its *account*,
 * wherever it lives: a call of the section comes to its account, which sends
 * it on (CAST), and what the member contributes goes back there (CONTRIBUTE).
 * Invariants:
 *
 *  F1  the tree of a section, and how many are counted where, never change; a
 *      member's contributions are numbered by the member, and counted in that
 *      order: what comes early from a PE where it lives now is held;
 *  F2  a member that is destroyed elsewhere leaves its section when all that
 *      it has contributed before has come;
 *  F3  a section that is destroyed does not wait for members that live
 *      elsewhere: what they have contributed and has not come is lost. They
 *      could not know, so this is no error; it is said;
 *  F4  such a member is told by name, at the account, when the section ends
 *      (CAST), and forgets it: a chare does not take along more memberships
 *      than there are sections;
 *  F5  what its account sends to a member that lives elsewhere is numbered,
 *      and executed in that order: what comes early is kept by the member,
 *      which until then stays where it is, and does not end.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "msg/codec.h"
#include "obj/migrate.h"
#include "obj/section.h"

enum {
    LATE_SAID_MAX = 10
};

/* Add a contribution to a collection whose engine is here. */
static void
add_here(struct chi_obj *obj, chare_collection id, uint64_t tag,
         uint32_t reducer, struct chi_msg *value, const chare_element *self,
         const chare_callback *callback, uint32_t flags)
{
    struct chi_collection *collection = chi_collection_find(obj, id);

    if (collection == NULL) {
        chi_log_debug(obj->pe->options.log, "a collection is no more");
        if (value != NULL) {
            chi_msg_release(value);
        }
        return;
    }
    chi_coll_contribute(obj->coll, &collection->set, tag, reducer, value, self,
                        callback, (flags & CHI_FAR_EXTRA) != 0);
}

static void
send_far(struct chi_obj *obj, uint32_t pe, chare_collection id, uint64_t tag,
         uint32_t reducer, struct chi_msg *value, const chare_element *self,
         const chare_callback *callback, uint32_t flags)
{
    unsigned char trailer[CHI_MSG_TRAILER_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));

    if (value == NULL) {
        value = chi_pe_msg(obj->pe, CHI_HANDLER_CONTRIBUTE, 0);
    } else {
        const uint8_t format = value->env.format;

        chi_msg_strip(value);
        value->env.format = format;
        flags |= CHI_FAR_VALUE;
    }
    chi_element_write(&writer, self);
    chi_callback_write(&writer, callback);
    chi_assert(!writer.bad);
    if (chi_msg_add_trailer(&value, trailer,
                            (uint16_t)(writer.at - trailer)) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a contribution");
    }
    value->env.handler = CHI_HANDLER_CONTRIBUTE;
    value->env.collection = id;
    value->env.key = tag;
    value->env.entry = reducer;
    value->env.spare = (uint16_t)flags;
    chi_pe_send(obj->pe, pe, value);
}

void
chi_far_contribute(struct chi_obj *obj, const chare_reply *reply,
                   uint32_t flags, struct chi_msg *value)
{
    if (reply->kind & CHI_REPLY_EXTRA) {
        flags |= CHI_FAR_EXTRA;
    }
    if (reply->pe == obj->pe->rank) {
        add_here(obj, reply->collection, reply->tag, chi_reply_reducer(reply),
                 value, &reply->self, &reply->callback, flags);
    } else {
        send_far(obj, reply->pe, reply->collection, reply->tag,
                 chi_reply_reducer(reply), value, &reply->self,
                 &reply->callback, flags);
    }
}

/* ---- members of sections */

void
chi_far_member_contribute(struct chi_obj *obj, struct chi_member *member,
                          const chare_element *self, uint32_t reducer,
                          struct chi_msg *value,
                          const chare_callback *callback)
{
    send_far(obj, member->pe, member->id, member->reduction_next++, reducer,
             value, self, callback, CHI_FAR_MEMBER);
}

void
chi_far_member_leaves(struct chi_obj *obj, const struct chi_member *member,
                      const chare_element *self)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};

    send_far(obj, member->pe, member->id, member->reduction_next, 0, NULL,
             self, &nobody, CHI_FAR_MEMBER | CHI_FAR_LEAVES);
}

void
chi_far_member_ends(struct chi_element *element, chare_collection section)
{
    struct chi_member *member = chi_member_find(element, section);

    if (member != NULL && member->section == NULL) {
        element->members = member->next;
        free(member);
    }
}

bool
chi_far_member_holds(struct chi_element *element, chare_collection section,
                     uint64_t number, struct chi_msg *msg)
{
    struct chi_member *member =
        number == CHI_CAST_LOOSE ? NULL : chi_member_find(element, section);

    if (member == NULL || member->section != NULL) {
        return false;
    }
    if (number > member->casts + 1) {
        msg->next = member->held;
        member->held = msg;
        return true;
    }
    member->casts += number == member->casts + 1; /* else it has waited: D4 */
    return false;
}

bool
chi_far_members_hold(const struct chi_element *element)
{
    for (const struct chi_member *member = element->members; member != NULL;
         member = member->next) {
        if (member->section == NULL && member->held != NULL) {
            return true;
        }
    }
    return false;
}

struct chi_msg *
chi_far_member_next(struct chi_element *element, chare_collection section)
{
    struct chi_member *member = chi_member_find(element, section);
    struct chi_msg **link;
    struct chi_msg *msg;

    if (member == NULL || member->section != NULL) {
        return NULL;
    }
    link = &member->held;
    while (*link != NULL && chi_cast_number(*link) != member->casts + 1) {
        link = &(*link)->next;
    }
    msg = *link;
    if (msg != NULL) {
        *link = msg->next;
        msg->next = NULL;
        member->casts++;
    }
    return msg;
}

size_t
chi_members_count(const struct chi_element *element)
{
    size_t count = 0;

    for (const struct chi_member *member = element->members; member != NULL;
         member = member->next) {
        count++;
    }
    return count;
}

/* Those that live elsewhere are found by their names, at their account; the
 * members of one key are linked. */
static uint64_t
away_key(const chare_element *name)
{
    uint64_t key;

    (void)chi_index_pack(&name->index, &key);
    return chi_mix64(key ^ name->collection);
}

static void
away_add(struct chi_obj *obj, struct chi_member *member)
{
    struct chi_map *map = &member->section->section->away;
    const uint64_t key = away_key(member->away);

    member->next = chi_map_get(map, key);
    if (chi_map_put(map, key, member) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a member of a section");
    }
}

static struct chi_member *
away_find(const struct chi_section *section, const chare_element *name)
{
    struct chi_member *member = chi_map_get(&section->away, away_key(name));

    while (member != NULL && memcmp(member->away, name, sizeof(*name)) != 0) {
        member = member->next;
    }
    return member;
}

static void
away_remove(struct chi_section *section, struct chi_member *member)
{
    const uint64_t key = away_key(member->away);
    struct chi_member *first = chi_map_remove(&section->away, key);
    struct chi_member **link = &first;

    while (*link != member) {
        link = &(*link)->next;
    }
    *link = member->next;
    if (first != NULL) {
        /* Cannot fail: the slot of the key has just become free. */
        chare_status status = chi_map_put(&section->away, key, first);

        chi_assert(status == CHARE_OK);
    }
}

void
chi_members_move(struct chi_obj *obj, struct chi_element *element,
                 struct chi_far_member *out)
{
    while (element->members != NULL) {
        struct chi_member *member = element->members;

        element->members = member->next;
        *out++ = (struct chi_far_member){
            .id = member->id,
            .reduction_next = member->reduction_next,
            .casts = member->casts,
            .pe = member->section == NULL ? member->pe : obj->pe->rank,
        };
        if (member->section == NULL) {
            free(member);
            continue;
        }
        chi_assert(member->section->populated); /* chi_members_stay() */
        member->away = malloc(sizeof(*member->away));
        if (member->away == NULL) {
            chi_pe_die(obj->pe, "out of memory for a member of a section");
        }
        chi_element_self(element, member->away);
        member->element = NULL;
        away_add(obj, member);
    }
}

void
chi_members_arrive(struct chi_obj *obj, struct chi_element *element,
                   const struct chi_far_member *members, size_t count)
{
    while (count-- > 0) {
        struct chi_member *member = calloc(1, sizeof(*member));

        if (member == NULL) {
            chi_pe_die(obj->pe, "out of memory for a member of a section");
        }
        member->next = element->members;
        member->element = element;
        member->id = members[count].id;
        member->reduction_next = members[count].reduction_next;
        member->casts = members[count].casts;
        member->pe = members[count].pe;
        element->members = member;
    }
}

void
chi_far_member_free(struct chi_member *member)
{
    while (member->held != NULL) {
        struct chi_msg *msg = member->held;

        member->held = msg->next;
        chi_msg_release(msg);
    }
    free(member->away);
    free(member);
}

/* The next contribution of a member, if it has come; it is the caller's. */
static struct chi_msg *
held_take(struct chi_member *member)
{
    struct chi_msg **link = &member->held;
    struct chi_msg *msg;

    while (*link != NULL && (*link)->env.key != member->reduction_next) {
        link = &(*link)->next;
    }
    msg = *link;
    if (msg != NULL) {
        *link = msg->next;
        msg->next = NULL;
    }
    return msg;
}

/* F2: it leaves when all it has contributed is here. */
static void
member_check(struct chi_obj *obj, struct chi_collection *collection,
             struct chi_member *member)
{
    if (!member->leaves || member->reduction_next != member->leaves_at) {
        return;
    }
    away_remove(collection->section, member);
    chi_section_place_free(collection->section, member);
    collection->gone++;
    chi_coll_leave(obj->coll, &collection->set, member->leaves_at, 1);
    chi_far_member_free(member);
}

void
chi_far_member_late(struct chi_obj *obj, chare_collection section,
                    const chare_element *self)
{
    char name[256];
    char section_name[256];

    if (obj->late_count++ >= LATE_SAID_MAX || obj->pe->ended) {
        return;
    }
    chi_element_text(obj, self, name, sizeof(name));
    chi_collection_text(obj, section, section_name, sizeof(section_name));
    chi_log_warn(obj->pe->options.log,
                 "what chare %s contributed to %s, is lost: the section was "
                 "destroyed before it came%s",
                 name, section_name,
                 obj->late_count == LATE_SAID_MAX
                     ? " (further ones are not told)"
                     : "");
}

/* A member's message has come to its account; takes 'value'. The result is
 * that one of those that were held whose turn it is, or NULL. */
static struct chi_msg *
member_execute(struct chi_obj *obj, struct chi_collection *collection,
               struct chi_member *member, const struct chi_envelope *env,
               struct chi_msg *value, const chare_element *self,
               const chare_callback *callback)
{
    struct chi_msg *next = NULL;

    if (env->spare & CHI_FAR_LEAVES) {
        member->leaves = true;
        member->leaves_at = env->key;
    } else {
        member->reduction_next++;
        next = held_take(member);
        chi_coll_contribute(obj->coll, &collection->set, env->key, env->entry,
                            value, self, callback, false);
    }
    member_check(obj, collection, member); /* not if there is a next one */
    return next;
}

/* The data of a contribution, or NULL; takes the message. */
static struct chi_msg *
value_of(struct chi_msg *msg)
{
    if ((msg->env.spare & CHI_FAR_VALUE) == 0) {
        chi_msg_release(msg);
        return NULL;
    }
    msg->env.len -= msg->env.trailer_len;
    msg->env.trailer_len = 0;
    return msg;
}

/* The result is as that of member_execute(). */
static struct chi_msg *
member_message(struct chi_obj *obj, struct chi_msg *msg,
               const chare_element *self, const chare_callback *callback)
{
    const struct chi_envelope env = msg->env;
    struct chi_collection *collection =
        chi_collection_find(obj, env.collection);
    struct chi_member *member =
        collection == NULL || collection->section == NULL
            ? NULL
            : away_find(collection->section, self);

    if (member == NULL) {
        if ((env.spare & CHI_FAR_LEAVES) == 0) {
            chi_far_member_late(obj, env.collection, self);
        }
        chi_msg_release(msg);
        return NULL;
    }
    if ((env.spare & CHI_FAR_LEAVES) == 0 &&
        env.key != member->reduction_next) {
        msg->next = member->held;
        member->held = msg; /* F1 */
        return NULL;
    }
    return member_execute(obj, collection, member, &env, value_of(msg), self,
                          callback);
}

/* The result is as that of member_execute(). */
static struct chi_msg *
contribution_execute(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);
    const struct chi_envelope env = msg->env;
    chare_callback callback;
    chare_element self;

    if (!chi_element_read(&reader, &self) ||
        !chi_callback_read(&reader, &callback) ||
        !(chi_coll_has_reducer(obj->coll, env.entry) ||
          env.entry == CHI_COLL_REDUCE_JOIN)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed contribution");
        chi_msg_release(msg);
        return NULL;
    }
    if (env.spare & CHI_FAR_MEMBER) {
        return member_message(obj, msg, &self, &callback);
    }
    add_here(obj, env.collection, env.key, env.entry, value_of(msg), &self,
             &callback, env.spare);
    return NULL;
}

void
chi_far_execute(void *context, struct chi_msg *msg)
{
    while (msg != NULL) {
        msg = contribution_execute(context, msg);
    }
}
