/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collection.c - creating chares.
 */
#include "config.h"

#include "api/api.h"

chare_status
chare_single_create(chare_runtime *runtime, uint32_t type, uint32_t pe,
                    const chare_data *args, const chare_callback *created,
                    chare_element *element_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_single_create(runtime->obj, type, pe, args, created,
                                 element_out);
}

chare_status
chare_group_create(chare_runtime *runtime, uint32_t type,
                   const chare_data *args, const chare_callback *created,
                   chare_collection *collection_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_group_create(runtime->obj, type, args, created,
                                collection_out);
}

chare_status
chare_group_create_on(chare_runtime *runtime, uint32_t type,
                      const uint32_t *pes, uint32_t pe_count,
                      const chare_data *args, const chare_callback *created,
                      chare_collection *collection_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_group_create_on(runtime->obj, type, pes, pe_count, args,
                                   created, collection_out);
}

chare_status
chare_node_group_create(chare_runtime *runtime, uint32_t type,
                        const chare_data *args, const chare_callback *created,
                        chare_collection *collection_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_node_group_create(runtime->obj, type, args, created,
                                     collection_out);
}

chare_status
chare_element_check(chare_runtime *runtime, const chare_element *element)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_element_check(runtime->obj, element);
}

chare_status
chare_array_create(chare_runtime *runtime, const chare_array_options *options,
                   const chare_data *args, chare_collection *collection_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (options != NULL && !chi_cb_ok(&runtime->cb, options->created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_array_create(runtime->obj, options, args, collection_out);
}

chare_status
chare_insert(chare_runtime *runtime, const chare_element *element, uint32_t pe,
             const chare_data *args)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_insert(runtime->obj, element, CHI_TYPE_OF_ARRAY, false, pe,
                          args);
}

chare_status
chare_insert_as(chare_runtime *runtime, const chare_element *element,
                uint32_t type, uint32_t pe, const chare_data *args)
{
    const bool at_sync = (type & CHARE_INSERT_AT_SYNC) != 0;

    type &= ~CHARE_INSERT_AT_SYNC;
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (type >= runtime->registry.type_count) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_insert(runtime->obj, element, type, at_sync, pe, args);
}

chare_status
chare_type_of(chare_runtime *runtime, const chare_element *element,
              uint32_t *type_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_type_of(runtime->obj, element, type_out);
}

void
chare_insert_again(chare_runtime *runtime, bool dropped)
{
    chi_obj_insert_again(runtime->obj, dropped);
}

chare_status
chare_insert_done(chare_runtime *runtime, chare_collection collection,
                  const chare_callback *done)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, done)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_insert_done(runtime->obj, collection, done);
}

void *
chare_local(const chare_runtime *runtime, const chare_element *element)
{
    return chi_obj_local(runtime->obj, element);
}

bool
chare_is_local(const chare_runtime *runtime, const chare_element *element)
{
    return chi_obj_local(runtime->obj, element) != NULL;
}

void *
chare_local_branch(const chare_runtime *runtime, chare_collection group)
{
    return chi_obj_local_branch(runtime->obj, group);
}

bool
chare_array_is_dense(const chare_runtime *runtime, chare_collection collection)
{
    return chi_obj_is_dense(runtime->obj, collection);
}

chare_status
chare_destroy(chare_runtime *runtime, const chare_element *element,
              const chare_callback *done)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, done)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_destroy_element(runtime->obj, element, done);
}

chare_status
chare_migrate(chare_runtime *runtime, const chare_element *element,
              uint32_t pe)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_migrate(runtime->obj, element, pe);
}

chare_status
chare_migrate_retry(chare_runtime *runtime, const chare_element *self)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_migrate_retry(runtime->obj, self);
}

chare_status
chare_set_migratable(chare_runtime *runtime, const chare_element *self,
                     bool migratable)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_set_migratable(runtime->obj, self, migratable);
}

bool
chare_is_migratable(const chare_runtime *runtime, const chare_element *self)
{
    return chi_obj_is_migratable(runtime->obj, self);
}

chare_status
chare_collection_destroy(chare_runtime *runtime, chare_collection collection,
                         const chare_callback *done)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, done)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_destroy_collection(runtime->obj, collection, done);
}
