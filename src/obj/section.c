/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * section.c - sections on one PE: members, forming, calls.
 *
 * Invariants (README.md has the states):
 *  S1  a chare is a member of a section at most once, and its membership, with
 *      the number of its next contribution, belongs to it, not to its PE;
 *  S2  a PE has formed a section before any call to it or partial result of it
 *      is executed there;
 *  S3  when a section is formed, its root has counted as many members on this
 *      PE as have joined here; nobody joins later;
 *  S4  a PE that has members is in the tree; a contribution on any other is an
 *      error, told at once or when the root has said so.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obj/migrate.h"
#include "obj/section.h"

bool
chi_section_id_ok(const struct chi_obj *obj, chare_collection id)
{
    return chi_collection_kind(id) == CHI_KIND_SECTION &&
           chi_collection_creator(id) < obj->pe->size;
}

struct chi_collection *
chi_section_get(struct chi_obj *obj, chare_collection id)
{
    const struct chi_collection_spec spec = {.id = id, .ndims = 1};
    struct chi_collection *collection = chi_collection_find(obj, id);

    chi_assert(chi_section_id_ok(obj, id));
    if (collection != NULL) {
        return collection;
    }
    collection = chi_collection_add(obj, &spec);
    collection->section = calloc(1, sizeof(*collection->section));
    if (collection->section == NULL) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
    chi_map_init(&collection->section->away);
    return collection;
}

static void
former_free(struct chi_former *former)
{
    if (former != NULL) {
        chi_map_fini(&former->counts);
        free(former);
    }
}

/* Members have joined that are to be reported. */
static void
unreported_add(struct chi_obj *obj, struct chi_section *section)
{
    if (section->link_unreported != NULL) {
        return;
    }
    section->next_unreported = obj->unreported;
    section->link_unreported = &obj->unreported;
    if (obj->unreported != NULL) {
        obj->unreported->link_unreported = &section->next_unreported;
    }
    obj->unreported = section;
    obj->unreported_count++;
}

static void
unreported_remove(struct chi_obj *obj, struct chi_section *section)
{
    if (section->link_unreported == NULL) {
        return;
    }
    *section->link_unreported = section->next_unreported;
    if (section->next_unreported != NULL) {
        section->next_unreported->link_unreported = section->link_unreported;
    }
    section->link_unreported = NULL;
    obj->unreported_count--;
}

void
chi_section_reported(struct chi_obj *obj, struct chi_section *section)
{
    section->reported = section->count;
    unreported_remove(obj, section);
}

void
chi_section_free(struct chi_obj *obj, struct chi_section *section)
{
    if (section == NULL) {
        return;
    }
    unreported_remove(obj, section);
    chi_early_free(obj, section);
    former_free(section->former);
    for (size_t i = 0; i < section->count; i++) {
        if (chi_section_away(section, i) != NULL) {
            chi_far_member_free(section->members[i]);
        }
    }
    free(section->members);
    chi_map_fini(&section->away);
    free(section);
}

/* ---- members */

struct chi_member *
chi_member_find(struct chi_element *element, chare_collection section)
{
    struct chi_member *first = element->members;
    struct chi_member **link;
    struct chi_member *member;

    if (first == NULL || first->id == section) {
        return first;
    }
    link = &first->next;
    while (*link != NULL && (*link)->id != section) {
        link = &(*link)->next;
    }
    member = *link;
    if (member != NULL) {
        *link = member->next;
        member->next = first;
        element->members = member;
    }
    return member;
}

bool
chi_section_join(struct chi_obj *obj, struct chi_collection *collection,
                 struct chi_element *element)
{
    struct chi_section *section = collection->section;
    struct chi_member *member;

    chi_assert(!collection->populated); /* S3 */
    chi_assert(!section->absent);
    if (chi_member_find(element, collection->spec.id) != NULL) {
        return false; /* S1 */
    }
    if (section->count == section->room) {
        const size_t room = section->room == 0 ? 4 : section->room * 2;
        struct chi_member **grown =
            realloc(section->members, room * sizeof(struct chi_member *));

        if (grown == NULL) {
            chi_pe_die(obj->pe, "out of memory for a section");
        }
        section->members = grown;
        section->room = room;
    }
    member = malloc(sizeof(*member));
    if (member == NULL) {
        chi_pe_die(obj->pe, "out of memory for a section");
    }
    *member = (struct chi_member){
        .next = element->members,
        .section = collection,
        .element = element,
        .at = section->count,
        .id = collection->spec.id,
    };
    element->members = member;
    section->members[section->count++] = member;
    unreported_add(obj, section);
    return true;
}

bool
chi_section_enter(struct chi_obj *obj, chare_collection id,
                  struct chi_element *element, bool *is_new_out)
{
    struct chi_collection *collection;

    if (chi_is_buried(obj, id) || chi_tombs_has(&obj->strangers, id)) {
        return false;
    }
    collection = chi_section_get(obj, id);
    if (collection->populated || collection->section->absent) {
        return false;
    }
    *is_new_out = chi_section_join(obj, collection, element);
    return true;
}

void
chi_enlist_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_element *element = chi_target_here(obj, msg);
    struct chi_collection *collection;
    struct chi_msg *answer;
    chare_collection id = 0;
    bool is_new = false;

    if (element == NULL) {
        return;
    }
    if (chi_msg_data_len(msg) == sizeof(id)) {
        memcpy(&id, msg->bytes, sizeof(id));
    }
    chi_msg_release(msg);
    if (!chi_section_id_ok(obj, id) ||
        !chi_section_enter(obj, id, element, &is_new)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed enlistment");
        return;
    }
    collection = chi_section_get(obj, id);
    answer = chi_pe_msg(obj->pe, CHI_HANDLER_SECTION, 0);
    answer->env.collection = id;
    answer->env.spare = CHI_SECTION_ENLISTED;
    answer->env.key = is_new;
    collection->section->reported += answer->env.key;
    if (collection->section->reported == collection->section->count) {
        chi_section_reported(obj, collection->section);
    }
    chi_pe_send(obj->pe, chi_collection_creator(id), answer);
}

bool
chi_members_stay(const struct chi_element *element)
{
    for (const struct chi_member *member = element->members; member != NULL;
         member = member->next) {
        if (member->section != NULL && !member->section->populated) {
            return true; /* S3 */
        }
    }
    return false;
}

/* Close the gaps when half of the places are empty. */
static void
places_compact(struct chi_section *section)
{
    size_t count = 0;

    if (section->left * 2 < section->count) {
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        if (section->members[i] != NULL) {
            section->members[i]->at = count;
            section->members[count++] = section->members[i];
        }
    }
    section->count = count;
    section->left = 0;
}

void
chi_section_place_free(struct chi_section *section, struct chi_member *member)
{
    chi_assert(section->members[member->at] == member);
    section->members[member->at] = NULL;
    section->left++;
    places_compact(section);
}

void
chi_members_leave(struct chi_obj *obj, struct chi_element *element)
{
    while (element->members != NULL) {
        struct chi_member *member = element->members;
        struct chi_section *section;

        if (member->section == NULL) {
            chare_element self;

            chi_element_self(element, &self);
            chi_far_member_leaves(obj, member, &self);
            element->members = member->next;
            free(member);
            continue;
        }
        section = member->section->section;
        chi_section_place_free(section, member);
        member->section->gone++;
        chi_coll_leave(obj->coll, &member->section->set,
                       member->reduction_next, 1);
        element->members = member->next;
        free(member);
    }
}

void
chi_section_end(struct chi_obj *obj, struct chi_collection *collection)
{
    struct chi_section *section = collection->section;
    struct chi_msg *end = chi_pe_msg(obj->pe, CHI_HANDLER_SECTION, 0);
    uint64_t tag = 0;
    uint32_t same = 0;

    end->env.collection = collection->spec.id;
    for (size_t i = 0; i < section->count; i++) {
        struct chi_member *member = section->members[i];

        if (member == NULL) {
            continue;
        }
        if (same > 0 && member->reduction_next != tag) {
            chi_coll_leave(obj->coll, &collection->set, tag, same);
            same = 0;
        }
        tag = member->reduction_next;
        same++;
        collection->gone++;
        if (member->element != NULL) {
            (void)chi_member_find(member->element,
                                  member->id); /* comes first */
            chi_assert(member->element->members == member);
            member->element->members = member->next;
        } else {
            chi_cast_send(obj, member->away, end, 0, ++member->casts); /* F4 */
        }
        chi_far_member_free(member); /* what it has sent is dropped */
    }
    chi_msg_release(end);
    free(section->members);
    chi_map_fini(&section->away);
    section->members = NULL;
    section->count = section->room = section->left = 0;
    chi_early_run(obj, collection, CHI_STRANGERS_DROP);
    if (same > 0) {
        chi_coll_leave(obj->coll, &collection->set, tag, same);
    }
}

/* By index, then by collection: as results are gathered. */
static int
member_compare(const void *a, const void *b)
{
    chare_element x;
    chare_element y;

    chi_element_self((*(const struct chi_member *const *)a)->element, &x);
    chi_element_self((*(const struct chi_member *const *)b)->element, &y);
    for (uint32_t i = 0; i < CHARE_DIMS_MAX; i++) {
        if (x.index.at[i] != y.index.at[i]) {
            return x.index.at[i] < y.index.at[i] ? -1 : 1;
        }
    }
    return x.collection < y.collection ? -1 : x.collection > y.collection;
}

chare_status
chi_obj_section_size(const struct chi_obj *obj, chare_collection id,
                     uint64_t *count_out)
{
    const struct chi_collection *collection =
        chi_map_get(&obj->collections, id);

    if (!chi_section_id_ok(obj, id)) {
        return CHARE_ERR_INVALID;
    }
    if (chi_is_buried(obj, id) ||
        (collection != NULL && collection->destroyed)) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (collection == NULL || !collection->populated) {
        return CHARE_ERR_AGAIN;
    }
    *count_out = collection->section->total;
    return CHARE_OK;
}

/* ---- forming */

/* Tell a child of its part of the tree. */
static void
form_pass_on(struct chi_obj *obj, chare_collection id, uint64_t total,
             const struct chi_section_vertex *part, uint32_t part_count)
{
    const size_t len = part_count * sizeof(*part);
    struct chi_msg *msg =
        chi_pe_msg(obj->pe, CHI_HANDLER_SECTION, sizeof(total) + len);

    memcpy(msg->bytes, &total, sizeof(total));
    memcpy(msg->bytes + sizeof(total), part, len);
    msg->env.collection = id;
    msg->env.spare = CHI_SECTION_FORM;
    chi_pe_send(obj->pe, part[0].pe, msg);
}

void
chi_section_form(struct chi_obj *obj, struct chi_collection *collection,
                 uint32_t parent, uint64_t total,
                 const struct chi_section_vertex *part, uint32_t part_count)
{
    const chare_collection id = collection->spec.id;
    const bool is_root = chi_collection_creator(id) == obj->pe->rank;
    struct chi_section *section = collection->section;
    struct chi_tree_edges *edges = &section->edges;
    struct chi_msg_queue kept;
    uint64_t subtree_members = part[0].member_count;

    chi_assert(!collection->populated);
    chi_assert(part[0].pe == obj->pe->rank);
    chi_assert(part[0].member_count == section->count); /* S3 */
    edges->parent = parent;
    for (uint32_t i = 1; i < part_count; i++) {
        subtree_members += part[i].member_count;
    }
    for (uint32_t i = 1; i < part_count; i += part[i].subtree_pes) {
        chi_assert(edges->child_count < CHI_TREE_CHILDREN_MAX);
        edges->children[edges->child_count++] = part[i].pe;
        form_pass_on(obj, id, total, &part[i], part[i].subtree_pes);
    }
    chi_coll_set_fini(&collection->set);
    chi_coll_set_init_known(&collection->set, id, edges, is_root,
                            section->count, subtree_members);
    if (section->count > 0) {
        qsort(section->members, section->count, sizeof(struct chi_member *),
              member_compare);
    }
    for (size_t i = 0; i < section->count; i++) {
        section->members[i]->at = i;
    }
    section->total = total;
    former_free(section->former);
    section->former = NULL;
    collection->populated = true;
    collection->complete = true;
    chi_early_run(obj, collection,
                  is_root ? CHI_STRANGERS_REFUSE : CHI_STRANGERS_WAIT);
    chi_kept_for_population(obj, collection, &kept);
    chi_dispatch_kept(obj, &kept);
    chi_destroy_retry(obj);
    chi_moves_retry(obj);
}

/* Whether this is a tree in preorder whose root is here. */
static bool
part_ok(const struct chi_obj *obj, const struct chi_section_vertex *part,
        uint64_t count)
{
    uint32_t children = 0;

    if (part[0].pe != obj->pe->rank || part[0].subtree_pes != count) {
        return false;
    }
    for (uint64_t i = 1; i < count; i += part[i].subtree_pes) {
        if (part[i].pe >= obj->pe->size || part[i].subtree_pes == 0 ||
            part[i].subtree_pes > count - i ||
            ++children > CHI_TREE_CHILDREN_MAX) {
            return false;
        }
    }
    return true;
}

void
chi_section_form_execute(struct chi_obj *obj,
                         struct chi_collection *collection,
                         const struct chi_msg *msg)
{
    const struct chi_section_vertex *part;
    const uint64_t len = chi_msg_data_len(msg);
    uint64_t count;
    uint64_t total;

    count = (len - sizeof(total)) / sizeof(*part);
    part = (const void *)(msg->bytes + sizeof(total));
    if (collection == NULL || collection->populated ||
        len < sizeof(total) + sizeof(*part) ||
        (len - sizeof(total)) % sizeof(*part) != 0 ||
        collection->section->former != NULL || /* the root forms it itself */
        part[0].member_count != collection->section->count ||
        !part_ok(obj, part, count)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed section");
        return;
    }
    memcpy(&total, msg->bytes, sizeof(total));
    chi_section_form(obj, collection, msg->env.source_pe, total, part,
                     (uint32_t)count);
}

void
chi_section_absent(struct chi_obj *obj, struct chi_collection *collection,
                   bool is_over)
{
    struct chi_section *section = collection->section;

    section->asked = false;
    if ((section->count > 0 && !collection->populated) || section->absent) {
        return; /* S4: the tree comes */
    }
    chi_early_run(obj, collection,
                  is_over ? CHI_STRANGERS_DROP : CHI_STRANGERS_ANSWER);
    chi_moves_retry(obj);
    if (collection->populated || section->asked) {
        return;
    }
    section->absent = true;
    if (collection->waiting.head != NULL) {
        return; /* nothing comes here but by mistake */
    }
    if (chi_tombs_add(&obj->strangers, collection->spec.id) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for the name of a section");
    }
    chi_map_remove(&obj->collections, collection->spec.id);
    obj->recent = NULL;
    chi_collection_free(obj, collection);
}

/* ---- entries of one name */

uint32_t
chi_entry_alike(struct chi_obj *obj, uint32_t entry, uint32_t type)
{
    const uint64_t key = (uint64_t)entry << 32 | type;
    const struct chi_registry *registry = obj->registry;
    const uintptr_t known = (uintptr_t)chi_map_get(&obj->alikes, key);
    const char *type_name;
    uint32_t found;

    if (chi_likely(known != 0)) {
        return (uint32_t)(known - 1);
    }
    if (entry == 0 || entry >= registry->entry_count) {
        return 0;
    }
    type_name = registry->types[registry->entries[entry].type].ops.name;
    found = chi_registry_entry_named(
        registry, type, registry->entries[entry].name + strlen(type_name) + 1);
    if (chi_map_put(&obj->alikes, key, (void *)((uintptr_t)found + 1)) !=
        CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for an entry's name");
    }
    return found;
}

/* ---- calls */

bool
chi_section_known(struct chi_obj *obj, struct chi_msg *msg)
{
    const chare_collection id = msg->env.collection;

    if (chi_collection_find(obj, id) != NULL ||
        chi_collection_creator(id) != obj->pe->rank) {
        return true;
    }
    obj->fatal(obj->fatal_context, "a section was called that nobody made");
    chi_msg_release(msg);
    return false;
}

uint32_t
chi_entry_of_member(struct chi_obj *obj, const struct chi_element *element,
                    uint32_t entry)
{
    if (chi_unlikely(element->guest) ||
        chi_likely(chi_entry_fits(obj, element->collection, entry))) {
        return entry; /* chi_broadcast_run() finds a guest's */
    }
    return chi_entry_alike(obj, entry, element->collection->spec.type);
}

/* How many members are called here, one after the other. 0: they are not of
 * one type, and what follows is not to be promised. */
static uint64_t
members_alike(const struct chi_section *section)
{
    const struct chi_collection *first = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < section->count; i++) {
        const struct chi_element *element = chi_section_element(section, i);

        if (element == NULL) {
            continue;
        }
        if (first == NULL) {
            first = element->collection;
        }
        if (element->collection != first || first->mixed) {
            return 0;
        }
        count++;
    }
    return count;
}

void
chi_section_run(struct chi_obj *obj, struct chi_collection *collection,
                struct chi_msg *msg)
{
    const uint32_t called = msg->env.entry;
    const struct chi_section *section = collection->section;
    uint64_t left = members_alike(section);
    const uint64_t one = left > 0 ? 1 : 0;

    chi_broadcast_ran(obj, collection, msg, section->count - section->left,
                      collection->gone);
    for (size_t i = 0; i < section->count && !obj->pe->ended; i++) {
        struct chi_element *element = chi_section_element(section, i);
        const chare_element *away = chi_section_away(section, i);

        msg->env.entry = called;
        if (element == NULL) {
            if (away != NULL) {
                chi_cast_send(obj, away, msg, called,
                              ++section->members[i]->casts);
            }
            continue; /* it has left, or its PE finds its entry */
        }
        msg->env.entry = chi_entry_of_member(obj, element, called);
        if (msg->env.entry == 0) {
            chare_element self;

            chi_element_self(element, &self);
            msg->env.entry = called;
            chi_refuse_entry(obj, &self, msg);
            return;
        }
        left -= one;
        chi_broadcast_run(obj, element, msg, msg->env.collection, left);
    }
    chi_msg_release(msg);
}
