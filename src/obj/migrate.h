/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_MIGRATE_H
#define CHI_OBJ_MIGRATE_H

/*
 * migrate.h - chares that move, for the files of this room. The protocol is
 * that of src/loc/README.md.
 */

#include "obj/obj_private.h"

/* ---- migrate.c, arrive.c */

/* What goes behind a chare's packed state; a wire format. */
struct chi_luggage {
    chare_element self;
    uint64_t reduction_next;
    uint64_t casts_below;
    uint32_t cast_count;
    uint32_t member_count;
    uint32_t from;
    uint32_t flags;
    uint64_t synced; /* for who balances, see load.c */
    float work;
    uint32_t type; /* of a guest, else 0 */
};

enum {                       /* luggage.flags */
    CHI_LUGGAGE_FIXED = 1,   /* the balancer leaves it alone */
    CHI_LUGGAGE_GUEST = 2,   /* it is not of its array's type */
    CHI_LUGGAGE_AT_SYNC = 4, /* it says when it may be balanced */
};

enum {                 /* env.spare of MOVE */
    CHI_MOVE_MORE = 1, /* another one of the same step follows */
};

/* A chare that is to move; of bound ones, that which the others follow. */
struct chi_move {
    struct chi_move *next; /* in the order of the wishes: obj->move_first */
    struct chi_move **link;
    const struct chi_element *element;
    uint32_t to;
    uint32_t grants; /* that have not come */
    bool asked;
    bool alone;     /* it follows the one it is bound to */
    bool suggested; /* the balancer wants it, and no user */
};

/* The wish that a chare moves; NULL: there is none. */
struct chi_move *chi_move_find(const struct chi_obj *obj,
                               const struct chi_element *element);

/* Wish for it, or for something else; it may begin at once. */
void chi_move_start(struct chi_obj *obj, struct chi_element *element,
                    uint32_t to, bool alone, bool suggested);
void chi_move_end(struct chi_obj *obj, struct chi_move *move);

/* End the job because a chare cannot move. */
void chi_move_failed(struct chi_obj *obj, const struct chi_element *element,
                     const char *what, chare_status status);

/* The chare here that this one is bound to, or itself. */
struct chi_element *chi_move_anchor(struct chi_obj *obj,
                                    struct chi_element *element);

/* Call fn for a chare that is bound to none here, and for those that follow
 * it: they move together. */
void chi_move_each_with(struct chi_obj *obj, struct chi_element *anchor,
                        void (*fn)(void *context, struct chi_element *one),
                        void *context);

void chi_migrate_execute(void *context, struct chi_msg *msg);
void chi_move_execute(void *context, struct chi_msg *msg);

/* Whether nothing keeps a chare here just now. */
bool chi_move_can(struct chi_obj *obj, struct chi_element *element);

/* loc: a chare of this PE may leave. */
void chi_move_granted(struct chi_obj *obj, const chare_element *element);

/* Something that kept chares here is over. */
void chi_moves_retry(struct chi_obj *obj);

/* A chare ceases to exist here: it moves no more. */
void chi_move_drop(struct chi_obj *obj, const struct chi_element *element);
void chi_moves_free(struct chi_obj *obj);

/* A chare of a bound array is not where the other's is: bring it there. */
void chi_move_follow(struct chi_obj *obj, const struct chi_element *element);

/* A bound array has been populated: the same for all of it. */
void chi_move_follow_all(struct chi_obj *obj,
                         struct chi_collection *collection);

/* ---- cast.c */

/* Records that were looked at for broadcasts; tests bound it. */
uint64_t chi_casts_visits(const struct chi_collection *collection);
void chi_casts_free(struct chi_collection *collection);
void chi_cast_execute(void *context, struct chi_msg *msg);
void chi_moved_execute(void *context, struct chi_msg *msg);

enum {
    CHI_CAST_LOOSE = 0, /* no number: it may come in any order */
};

/* Send a broadcast, or a section's call or end, to one chare, as 'entry'. Its
 * number is that of the array's broadcast, or of what the section has sent to
 * the member, from 1. */
void chi_cast_send(struct chi_obj *obj, const chare_element *target,
                   const struct chi_msg *from, uint32_t entry,
                   uint64_t number);

/* That of a CAST. */
uint64_t chi_cast_number(const struct chi_msg *msg);

/* Where the answer to a CAST goes; false: malformed. */
bool chi_cast_reply(const struct chi_obj *obj, const struct chi_msg *msg,
                    chare_reply *out);

/* A CAST has come to a chare that is no more; the message stays. */
void chi_cast_lost(struct chi_obj *obj, const chare_element *target,
                   struct chi_msg *msg);

/* A chare leaves: which broadcasts it has had beside those below
 * collection->casts_below; the caller frees the numbers. */
size_t chi_casts_leave(struct chi_obj *obj, struct chi_collection *collection,
                       const struct chi_element *element,
                       uint64_t **numbers_out);

/* One arrives, which has had these. The answer to the PE it came from, with
 * room for the chare's name in front. */
struct chi_msg *chi_casts_arrive(struct chi_obj *obj,
                                 struct chi_collection *collection,
                                 struct chi_element *element, uint64_t below,
                                 const uint64_t *numbers, size_t count);
void chi_casts_destroyed(struct chi_collection *collection,
                         const struct chi_element *element);

/* ---- far.c: contributions made on another PE than they belong to */

enum chi_far {           /* env.spare of CONTRIBUTE, or-ed */
    CHI_FAR_VALUE = 1,   /* the data is a value */
    CHI_FAR_MEMBER = 2,  /* to a section, by a member that lives elsewhere */
    CHI_FAR_LEAVES = 4,  /* that member is no more */
    CHI_FAR_EXTRA = 8,   /* as chi_coll_contribute() */
    CHI_FAR_ABSENT = 16, /* nobody ran it */
};

/* Bring a contribution to reply->pe; 'value' may be NULL. */
void chi_far_contribute(struct chi_obj *obj, const chare_reply *reply,
                        uint32_t flags, struct chi_msg *value);
void chi_far_execute(void *context, struct chi_msg *msg);

/* Some chare of it comes to this PE, or leaves it: from now on what arrives
 * for a dense array is looked at (L2 of src/loc/README.md). */
static inline void
chi_collection_scatter(struct chi_obj *obj, struct chi_collection *collection)
{
    collection->scattered = true;
    obj->pe->arrival_flags |= CHI_ENV_MOVABLE;
}

/* A member of a section contributes, and lives elsewhere. */
void chi_far_member_contribute(struct chi_obj *obj, struct chi_member *member,
                               const chare_element *self, uint32_t reducer,
                               struct chi_msg *value,
                               const chare_callback *callback);

/* A chare's contribution is lost: its section is no more, and it could not
 * know (F3). */
void chi_far_member_late(struct chi_obj *obj, chare_collection section,
                         const chare_element *self);
void chi_far_member_leaves(struct chi_obj *obj,
                           const struct chi_member *member,
                           const chare_element *self);

/* A section has ended that a chare here is counted in elsewhere (F4). */
void chi_far_member_ends(struct chi_element *element,
                         chare_collection section);

/* F5: a CAST of a section has come to a chare that is counted elsewhere; true:
 * others come first, and it was kept. */
bool chi_far_member_holds(struct chi_element *element,
                          chare_collection section, uint64_t number,
                          struct chi_msg *msg);

/* Whether something is kept so, and the chare has to stay here for it. */
bool chi_far_members_hold(const struct chi_element *element);

/* The next of these, whose turn it is; NULL: it has not come. */
struct chi_msg *chi_far_member_next(struct chi_element *element,
                                    chare_collection section);

/* A member that lives elsewhere is no more one. */
void chi_far_member_free(struct chi_member *member);

/* What a chare that moves takes along of its memberships. */
struct chi_far_member { /* a wire format */
    uint64_t id;
    uint64_t reduction_next;
    uint64_t casts;
    uint32_t pe;
    uint32_t reserved;
};

/* Append them; the chare is a member no more here, but its sections know. */
void chi_members_move(struct chi_obj *obj, struct chi_element *element,
                      struct chi_far_member *out);
size_t chi_members_count(const struct chi_element *element);
void chi_members_arrive(struct chi_obj *obj, struct chi_element *element,
                        const struct chi_far_member *members, size_t count);

#endif /* CHI_OBJ_MIGRATE_H */
