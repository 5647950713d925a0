/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest.c - chares of other types than their array's.
 *
 * The type of an array says what can be called on its chares. One that is
 * inserted as of another type, a guest, executes the entry of its own type
 * that has the called one's name; in all else it is a chare like the others.
 */
#include "config.h"

#include <stdio.h>

#include "msg/codec.h"
#include "obj/section.h"

uint32_t
chi_element_entry(struct chi_obj *obj, const struct chi_element *element,
                  uint32_t entry)
{
    const uint32_t type = chi_element_type_id(element);

    if (entry != 0 && entry < obj->registry->entry_count &&
        obj->registry->entries[entry].type == type) {
        return entry;
    }
    return element->guest ? chi_entry_alike(obj, entry, type) : 0;
}

/* Send an error as the answer; false: that failed. */
static bool
answer_error(struct chi_obj *obj, const chare_call *call, const char *text)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_reply reply;
    chare_data data;

    if (chi_encoder_init(&encoder, obj->pe->pool, 256) != CHARE_OK) {
        return false;
    }
    chare_put_error(&encoder, "AttributeError", text, "", false);
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        return false;
    }
    data = chare_data_buffer(CHARE_FORMAT_ERROR, buffer);
    chi_obj_take_reply(call, &reply);
    if (chi_obj_reply(obj, &reply, &data) != CHARE_OK) {
        chare_buffer_release(buffer);
        return false;
    }
    return true;
}

void
chi_guest_refuse(struct chi_obj *obj, const chare_call *call, uint32_t entry)
{
    char name[256];
    char text[512];

    chi_element_text(obj, call->self, name, sizeof(name));
    snprintf(text, sizeof(text),
             "PE %u called %s on %s, whose own type has no entry method of "
             "that name",
             call->source_pe, chi_registry_entry_name(obj->registry, entry),
             name);
    if (!call->wants_reply || !answer_error(obj, call, text)) {
        obj->fatal(obj->fatal_context, text);
    }
}

chare_status
chi_obj_type_of(struct chi_obj *obj, const chare_element *name,
                uint32_t *type_out)
{
    const struct chi_element *element = chi_element_here(obj, name);

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    *type_out = chi_element_type_id(element);
    return CHARE_OK;
}

chare_status
chi_obj_proxy_of(struct chi_obj *obj, const chare_element *element,
                 chare_proxy *proxy_out)
{
    static const uint8_t kinds[] = {
        [CHI_KIND_SINGLE] = CHARE_PROXY_SINGLE,
        [CHI_KIND_GROUP] = CHARE_PROXY_GROUP,
        [CHI_KIND_ARRAY] = CHARE_PROXY_ARRAY,
        [CHI_KIND_NODE_GROUP] = CHARE_PROXY_GROUP,
    };
    const struct chi_collection *collection =
        chi_collection_find(obj, element->collection);

    if (collection == NULL || collection->kind == CHI_KIND_SECTION ||
        (element->index.ndims != 0 &&
         element->index.ndims != collection->spec.ndims)) {
        return CHARE_ERR_NOT_FOUND;
    }
    *proxy_out = (chare_proxy){
        .element = *element,
        .type = collection->spec.type,
        .kind = kinds[collection->kind],
        .ndims = (uint8_t)collection->spec.ndims,
    };
    return CHARE_OK;
}
