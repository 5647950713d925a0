/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_SECTION_H
#define CHI_OBJ_SECTION_H

/*
 * section.h - sections, for the files of this room. README.md has the states
 * and the invariants.
 */

#include "obj/obj_private.h"

/* A contribution that was made before the members were known here. */
struct chi_early {
    struct chi_early *next;
    chare_element self;
    uint32_t reducer;
    uint32_t caller;       /* the entry method that made it, or 0 */
    bool asked;            /* the root was asked since */
    struct chi_msg *value; /* or NULL */
    chare_callback callback;
};

/* What the root of a section needs until it is formed. */
struct chi_former {
    struct chi_map counts; /* PE -> members there, never 0 */
    uint64_t awaited;      /* reports that are to come */
    uint32_t run;          /* sections that are formed together, from this */
    bool closed;           /* no more reports will be asked for */
    chare_callback created;
};

/* A PE in a section's tree, in preorder; the wire format of FORM. */
struct chi_section_vertex {
    uint32_t pe;
    uint32_t subtree_pes;
    uint64_t member_count;
};

static_assert(sizeof(struct chi_section_vertex) == 16, "a wire format");

/* What a PE knows of a section; hangs off its struct chi_collection. */
struct chi_section {
    /* In the order of their indices once formed; NULL: has left. */
    struct chi_member **members;
    size_t count; /* of places */
    size_t room;
    size_t left;         /* places of members that have left */
    struct chi_map away; /* key of a name -> members that live elsewhere */
    uint64_t reported;   /* of the members, to the root */
    /* Of those where members have joined since: obj->unreported. */
    struct chi_section *next_unreported;
    struct chi_section **link_unreported; /* NULL: it is not among them */
    uint64_t total;                       /* members everywhere, once formed */
    bool asked;                           /* ASK was sent */
    bool absent; /* no member is here, and none will be */
    struct chi_early *early_head;
    struct chi_early *early_tail;
    struct chi_tree_edges edges;
    struct chi_former *former; /* at the root, until formed */
};

/* The chare at a place of a section; NULL: it has left. */
static inline struct chi_element *
chi_section_element(const struct chi_section *section, size_t i)
{
    return section->members[i] == NULL ? NULL : section->members[i]->element;
}

/* The name of a member that lives elsewhere; NULL: it is here, or has left. */
static inline const chare_element *
chi_section_away(const struct chi_section *section, size_t i)
{
    return section->members[i] == NULL ? NULL : section->members[i]->away;
}

/* ---- section.c: what is on one PE */

/* Whether a name can be that of a section. */
bool chi_section_id_ok(const struct chi_obj *obj, chare_collection id);

/* A section's record, made if there is none. */
struct chi_collection *chi_section_get(struct chi_obj *obj,
                                       chare_collection id);
void chi_section_free(struct chi_obj *obj, struct chi_section *section);

/* Make a chare a member of a section that is not formed; true: it was none. */
bool chi_section_join(struct chi_obj *obj, struct chi_collection *collection,
                      struct chi_element *element);

/* The same because another PE says so, and whether it was none before; false:
 * that came too late, as no right message does (S3). */
bool chi_section_enter(struct chi_obj *obj, chare_collection id,
                       struct chi_element *element, bool *is_new_out);

/* ENLIST: one chare joins, and the root is told. */
void chi_enlist_execute(void *context, struct chi_msg *msg);

/* All that have joined here are reported. */
void chi_section_reported(struct chi_obj *obj, struct chi_section *section);

/* A chare is in a section that is not formed here yet, and must stay. */
bool chi_members_stay(const struct chi_element *element);

/* The part of a chare in a section, moved to the front; NULL: it has none. */
struct chi_member *chi_member_find(struct chi_element *element,
                                   chare_collection section);

/* A chare ceases to exist here: it is in no section any more. */
void chi_members_leave(struct chi_obj *obj, struct chi_element *element);

/* A member's place is empty; the member is the caller's. */
void chi_section_place_free(struct chi_section *section,
                            struct chi_member *member);

/* The section is destroyed: all members here leave it. */
void chi_section_end(struct chi_obj *obj, struct chi_collection *collection);

/* The tree is known: this PE's part of it in preorder, itself first. */
void chi_section_form(struct chi_obj *obj, struct chi_collection *collection,
                      uint32_t parent, uint64_t total,
                      const struct chi_section_vertex *part,
                      uint32_t part_count);

/* The same, as its parent has told; the message stays. */
void chi_section_form_execute(struct chi_obj *obj,
                              struct chi_collection *collection,
                              const struct chi_msg *msg);

/* This PE is not in the section's tree, or it is destroyed. */
void chi_section_absent(struct chi_obj *obj, struct chi_collection *collection,
                        bool is_over);

/* A section is known at its root from the start; false: it never was, and the
 * message is gone. */
bool chi_section_known(struct chi_obj *obj, struct chi_msg *msg);

/* Execute a call of this PE's members; takes the message. */
void chi_section_run(struct chi_obj *obj, struct chi_collection *collection,
                     struct chi_msg *msg);

/* The entry of a type with the method name of 'entry'; 0: there is none. */
uint32_t chi_entry_alike(struct chi_obj *obj, uint32_t entry, uint32_t type);

/* The entry that a member here runs for one that was called; 0: it has none.
 * That of a guest is found when it runs. */
uint32_t chi_entry_of_member(struct chi_obj *obj,
                             const struct chi_element *element,
                             uint32_t entry);

/* ---- early.c: contributions */

/* What becomes of those of chares that are no members here. */
enum chi_strangers {
    CHI_STRANGERS_WAIT,   /* for the root: it may be destroyed by now */
    CHI_STRANGERS_REFUSE, /* S4 */
    CHI_STRANGERS_ANSWER, /* S4: those that the root was asked about */
    CHI_STRANGERS_DROP,   /* nobody knows any more who was in it */
};

/* Look at what was contributed before members were known. */
void chi_early_run(struct chi_obj *obj, struct chi_collection *collection,
                   enum chi_strangers strangers);
void chi_early_free(struct chi_obj *obj, struct chi_section *section);

/* A chare has contributed to a section here before it was known to be a
 * member, and must stay. */
bool chi_early_has(const struct chi_obj *obj,
                   const struct chi_element *element);

/* ---- enlist.c: how members become known */

enum chi_section_op {         /* env.spare of a SECTION message */
    CHI_SECTION_ENLISTED = 1, /* to the root: key more members are here */
    CHI_SECTION_FORM = 2,     /* down the tree */
    CHI_SECTION_ASK = 3,      /* to the root: is this PE in the tree? */
    CHI_SECTION_ABSENT = 4,   /* from the root: not unless FORM says so;
                                 key 1: it is destroyed */
};

void chi_section_execute(void *context, struct chi_msg *msg);
void chi_roll_execute(void *context, struct chi_msg *msg);

/* A roll call for a chare that was inserted after it. */
void chi_roll_late(struct chi_obj *obj, struct chi_collection *collection,
                   struct chi_element *element, struct chi_msg *msg);

/* A roll call for a member of a section that lives here. */
void chi_roll_far(struct chi_obj *obj, struct chi_element *element,
                  const struct chi_msg *msg, const chare_reply *reply);

/* A registered function: the result of a roll call, at the root. */
void chi_roll_result(const chare_call *call, void *context);

#endif /* CHI_OBJ_SECTION_H */
