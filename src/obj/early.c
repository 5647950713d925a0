/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * early.c - contributions to sections, also before members are known.
 *
 * Invariant (README.md has the states):
 *  S4  a PE that has members is in the tree; a contribution by a chare that is
 *      no member is an error, told at once or when the root has said so. If
 *      the section is destroyed, that is F3: the chare may have been one.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obj/migrate.h"
#include "obj/section.h"

static void
contribute(struct chi_obj *obj, struct chi_collection *collection,
           struct chi_member *member, uint32_t reducer, struct chi_msg *value,
           const chare_callback *callback)
{
    chare_element self;

    chi_element_self(member->element, &self);
    chi_coll_contribute(obj->coll, &collection->set, member->reduction_next++,
                        reducer, value, &self, callback, false);
}

static void
early_append(struct chi_section *section, struct chi_early *early)
{
    early->next = NULL;
    if (section->early_head == NULL) {
        section->early_head = early;
    } else {
        section->early_tail->next = early;
    }
    section->early_tail = early;
}

static void
early_add(struct chi_obj *obj, struct chi_section *section,
          const chare_element *self, uint32_t reducer, struct chi_msg *value,
          const chare_callback *callback)
{
    struct chi_early *early = malloc(sizeof(*early));

    if (early == NULL) {
        chi_pe_die(obj->pe, "out of memory for a contribution that waits");
    }
    *early = (struct chi_early){
        .self = *self,
        .reducer = reducer,
        .caller = obj->pe->caller,
        .value = value,
        .callback = *callback,
    };
    early_append(section, early);
    obj->early_count++;
}

bool
chi_early_has(const struct chi_obj *obj, const struct chi_element *element)
{
    size_t cursor = 0;
    chare_element self;
    uint64_t id;
    void *value;

    if (chi_likely(obj->early_count == 0)) {
        return false;
    }
    chi_element_self(element, &self);
    while (chi_map_next(&obj->collections, &cursor, &id, &value)) {
        const struct chi_section *section =
            ((const struct chi_collection *)value)->section;
        const struct chi_early *early =
            section == NULL ? NULL : section->early_head;

        for (; early != NULL; early = early->next) {
            if (memcmp(&early->self, &self, sizeof(self)) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* It was found out too late for a status. */
static void
not_a_member(struct chi_obj *obj, const struct chi_early *early,
             chare_collection section)
{
    char name[256];
    char section_name[256];
    char text[1024];

    chi_element_text(obj, &early->self, name, sizeof(name));
    chi_collection_text(obj, section, section_name, sizeof(section_name));
    snprintf(text, sizeof(text),
             "chare %s contributed to %s, that it is no member of (in %s): "
             "only members take part in a section's reductions",
             name, section_name,
             early->caller == 0
                 ? "no entry method"
                 : chi_registry_entry_name(obj->registry, early->caller));
    if (!obj->pe->ended) {
        obj->fatal(obj->fatal_context, text);
    }
}

static void
stranger_end(struct chi_obj *obj, chare_collection section,
             struct chi_early *early, enum chi_strangers what)
{
    if (what == CHI_STRANGERS_DROP) {
        chi_far_member_late(obj, section, &early->self);
    } else {
        not_a_member(obj, early, section);
    }
    if (early->value != NULL) {
        chi_msg_release(early->value);
    }
    free(early);
    obj->early_count--;
}

/*
 * Ask the root whether this PE is in the tree, once at a time. The answer says
 * nothing of who contributes later: a member that has moved here may have
 * forgotten the section by then, as it has ended (F4).
 */
static void
ask(struct chi_obj *obj, chare_collection id, struct chi_section *section)
{
    struct chi_msg *msg;

    if (section->asked) {
        return;
    }
    section->asked = true;
    for (struct chi_early *early = section->early_head; early != NULL;
         early = early->next) {
        early->asked = true;
    }
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_SECTION, 0);
    msg->env.collection = id;
    msg->env.spare = CHI_SECTION_ASK;
    chi_pe_send(obj->pe, chi_collection_creator(id), msg);
}

void
chi_early_run(struct chi_obj *obj, struct chi_collection *collection,
              enum chi_strangers strangers)
{
    struct chi_section *section = collection->section;
    struct chi_early *early = section->early_head;
    struct chi_early *next;

    section->early_head = section->early_tail = NULL;
    for (; early != NULL; early = next) {
        struct chi_element *element = chi_element_here(obj, &early->self);
        struct chi_member *member =
            element == NULL ? NULL
                            : chi_member_find(element, collection->spec.id);

        next = early->next;
        if (member != NULL) {
            contribute(obj, collection, member, early->reducer, early->value,
                       &early->callback);
            free(early);
            obj->early_count--;
        } else if (strangers == CHI_STRANGERS_WAIT ||
                   (strangers == CHI_STRANGERS_ANSWER && !early->asked)) {
            early_append(section, early);
        } else {
            stranger_end(obj, collection->spec.id, early, strangers);
        }
    }
    if (section->early_head != NULL) {
        ask(obj, collection->spec.id, section);
    }
}

void
chi_early_free(struct chi_obj *obj, struct chi_section *section)
{
    while (section->early_head != NULL) {
        struct chi_early *early = section->early_head;

        section->early_head = early->next;
        obj->early_count--;
        if (early->value != NULL) {
            chi_msg_release(early->value);
        }
        free(early);
    }
}

chare_status
chi_obj_section_contribute(struct chi_obj *obj, const chare_element *self,
                           chare_collection id, uint32_t reducer,
                           const chare_data *value,
                           const chare_callback *callback)
{
    struct chi_element *element = chi_element_here(obj, self);
    struct chi_collection *collection = chi_collection_find(obj, id);
    struct chi_member *member = NULL;
    struct chi_msg *msg;
    chare_status status;

    if (chi_tombs_has(&obj->strangers, id) || chi_is_buried(obj, id)) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (!chi_section_id_ok(obj, id) || callback == NULL ||
        !chi_coll_has_reducer(obj->coll, reducer) ||
        (value == NULL && reducer != CHARE_REDUCE_NOP) ||
        (collection == NULL && chi_collection_creator(id) == obj->pe->rank)) {
        return CHARE_ERR_INVALID;
    }
    if (element != NULL) {
        member = chi_member_find(element, id);
    }
    if (element == NULL ||
        (collection != NULL && member == NULL &&
         (collection->populated || collection->section->absent))) {
        return CHARE_ERR_NOT_FOUND;
    }
    status =
        chi_value_msg(obj, reducer == CHARE_REDUCE_NOP ? NULL : value, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (member != NULL && member->section == NULL) {
        chare_element name;

        chi_element_self(element, &name);
        chi_far_member_contribute(obj, member, &name, reducer, msg, callback);
        return CHARE_OK;
    }
    if (collection != NULL && collection->populated) {
        contribute(obj, collection, member, reducer, msg, callback);
        return CHARE_OK;
    }
    if (collection == NULL) {
        collection = chi_section_get(obj, id);
    }
    early_add(obj, collection->section, self, reducer, msg, callback);
    if (collection->section->count == 0 &&
        chi_collection_creator(id) != obj->pe->rank) {
        ask(obj, id, collection->section); /* S4 */
    }
    return CHARE_OK;
}
