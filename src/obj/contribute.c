/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * contribute.c - contributions of the chares here to their collection's
 * reductions, in the order that each makes them.
 */
#include "config.h"

#include "obj/section.h"

chare_status
chi_value_msg(struct chi_obj *obj, const chare_data *data,
              struct chi_msg **msg_out)
{
    chare_status status;

    *msg_out = NULL;
    if (data == NULL) {
        return CHARE_OK;
    }
    status = chi_cb_data_msg(obj->pe, CHI_HANDLER_REDUCE, data, msg_out);
    if (status == CHARE_OK && (*msg_out)->payload_ops != NULL) {
        status = chi_pe_encode(obj->pe, msg_out);
        if (status != CHARE_OK) {
            chi_give_data_back(*msg_out, data);
        }
    }
    return status;
}

/* As chi_element_here(), the sooner where the index has one dimension. */
static inline struct chi_element *
element_here(struct chi_obj *obj, const chare_element *self)
{
    const struct chi_collection *collection;

    if (chi_unlikely(self->index.ndims != 1)) {
        return chi_element_here(obj, self);
    }
    collection = chi_collection_find(obj, self->collection);
    return collection == NULL || collection->spec.ndims != 1
               ? NULL
               : chi_element_find(collection, (uint64_t)self->index.at[0],
                                  NULL);
}

chare_status
chi_obj_contribute_number(struct chi_obj *obj, const chare_element *self,
                          uint32_t reducer, const chare_value *number,
                          const chare_callback *callback)
{
    struct chi_element *element = element_here(obj, self);
    chare_element name;

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (reducer < CHARE_REDUCE_SUM || reducer > CHARE_REDUCE_XOR ||
        callback == NULL) {
        return CHARE_ERR_INVALID;
    }
    chi_element_self(element, &name);
    chi_coll_contribute_number(obj->coll, &element->collection->set,
                               element->reduction_next++, reducer, number,
                               &name, callback);
    return CHARE_OK;
}

bool
chi_obj_section_contribute_number(struct chi_obj *obj,
                                  const chare_element *self,
                                  chare_collection section, uint32_t reducer,
                                  const chare_value *number,
                                  const chare_callback *callback)
{
    struct chi_element *element = element_here(obj, self);
    struct chi_member *member =
        element == NULL ? NULL : chi_member_find(element, section);
    chare_element name;

    if (member == NULL || member->section == NULL ||
        !member->section->populated) {
        return false;
    }
    chi_element_self(element, &name);
    chi_coll_contribute_number(obj->coll, &member->section->set,
                               member->reduction_next++, reducer, number,
                               &name, callback);
    return true;
}

chare_status
chi_obj_contribute(struct chi_obj *obj, const chare_element *self,
                   uint32_t reducer, const chare_data *value,
                   const chare_callback *callback)
{
    struct chi_element *element = element_here(obj, self);
    struct chi_msg *msg;
    chare_element name;
    chare_status status;

    if (element == NULL) {
        return CHARE_ERR_NOT_FOUND;
    }
    if (!chi_coll_has_reducer(obj->coll, reducer) || callback == NULL ||
        (value == NULL && reducer != CHARE_REDUCE_NOP)) {
        return CHARE_ERR_INVALID;
    }
    status =
        chi_value_msg(obj, reducer == CHARE_REDUCE_NOP ? NULL : value, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    chi_element_self(element, &name);
    chi_coll_contribute(obj->coll, &element->collection->set,
                        element->reduction_next++, reducer, msg, &name,
                        callback, false);
    return CHARE_OK;
}
