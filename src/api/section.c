/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * section.c - sections.
 */
#include "config.h"

#include "api/api.h"

enum {
    NUMBER_BYTES_MAX = 16 /* of an encoded one, and more */
};

chare_status
chare_section_create(chare_runtime *runtime, const chare_element *elements,
                     size_t count, const chare_callback *created,
                     chare_collection *section_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_section_create(runtime->obj, elements, count, created,
                                  section_out);
}

chare_status
chare_section_combine(chare_runtime *runtime, const chare_collection *parts,
                      size_t part_count, const chare_callback *created,
                      chare_collection *section_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_section_combine(runtime->obj, parts, part_count, created,
                                   section_out);
}

chare_status
chare_section_slice(chare_runtime *runtime, chare_collection collection,
                    const chare_slice *slices, uint32_t ndims,
                    const chare_callback *created,
                    chare_collection *section_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_section_slice(runtime->obj, collection, slices, ndims,
                                 created, section_out);
}

chare_status
chare_section_open(chare_runtime *runtime, uint32_t count,
                   chare_collection *first_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_section_open(runtime->obj, count, first_out);
}

chare_status
chare_section_enlist(chare_runtime *runtime, const chare_element *member,
                     chare_collection section)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_section_enlist(runtime->obj, member, section);
}

chare_status
chare_section_close(chare_runtime *runtime, chare_collection first,
                    uint32_t count, chare_collection over,
                    const chare_callback *created)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, created)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_section_close(runtime->obj, first, count, over, created);
}

chare_status
chare_section_size(const chare_runtime *runtime, chare_collection section,
                   uint64_t *count_out)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_section_size(runtime->obj, section, count_out);
}

chare_status
chare_section_destroy(chare_runtime *runtime, chare_collection section,
                      const chare_callback *done)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (!chi_cb_ok(&runtime->cb, done)) {
        return CHARE_ERR_INVALID;
    }
    if (!chare_is_section(section)) {
        return CHARE_ERR_INVALID;
    }
    return chi_obj_destroy_collection(runtime->obj, section, done);
}

chare_status
chare_section_contribute(chare_runtime *runtime, const chare_element *self,
                         chare_collection section, uint32_t reducer,
                         const chare_data *value,
                         const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_section_contribute(runtime->obj, self, section, reducer,
                                      value, callback);
}

/* As a value: where the members are not known yet, or the chare has moved. */
static chare_status
contribute_value(chare_runtime *runtime, const chare_element *self,
                 chare_collection section, uint32_t reducer,
                 const chare_value *number, const chare_callback *callback)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;
    chare_status status;

    status = chare_encoder_init(&encoder, runtime, NUMBER_BYTES_MAX);
    if (status != CHARE_OK) {
        return status;
    }
    if (number->tag == CHARE_TAG_INT) {
        chare_put_int(&encoder, number->as.integer);
    } else {
        chare_put_float(&encoder, number->as.real);
    }
    status = chare_encoder_take(&encoder, &buffer);
    if (status != CHARE_OK) {
        return status;
    }
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    status = chare_section_contribute(runtime, self, section, reducer, &data,
                                      callback);
    if (status != CHARE_OK) {
        chare_buffer_release(buffer);
    }
    return status;
}

static chare_status
contribute_number(chare_runtime *runtime, const chare_element *self,
                  chare_collection section, uint32_t reducer,
                  const chare_value *number, const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    if (reducer < CHARE_REDUCE_SUM || reducer > CHARE_REDUCE_XOR ||
        callback == NULL) {
        return CHARE_ERR_INVALID;
    }
    if (chi_obj_section_contribute_number(runtime->obj, self, section, reducer,
                                          number, callback)) {
        return CHARE_OK;
    }
    return contribute_value(runtime, self, section, reducer, number, callback);
}

chare_status
chare_section_contribute_int(chare_runtime *runtime, const chare_element *self,
                             chare_collection section, uint32_t reducer,
                             int64_t value, const chare_callback *callback)
{
    chare_value number;

    number.tag = CHARE_TAG_INT;
    number.as.integer = value;
    return contribute_number(runtime, self, section, reducer, &number,
                             callback);
}

chare_status
chare_section_contribute_float(chare_runtime *runtime,
                               const chare_element *self,
                               chare_collection section, uint32_t reducer,
                               double value, const chare_callback *callback)
{
    chare_value number;

    number.tag = CHARE_TAG_FLOAT;
    number.as.real = value;
    return contribute_number(runtime, self, section, reducer, &number,
                             callback);
}
