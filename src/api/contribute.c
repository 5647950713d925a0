/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * contribute.c - parts of reductions.
 */
#include "config.h"

#include "api/api.h"
#include "msg/codec.h"

chare_status
chare_contribute(chare_runtime *runtime, const chare_element *self,
                 uint32_t reducer, const chare_data *value,
                 const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_contribute(runtime->obj, self, reducer, value, callback);
}

static chare_status
contribute_number(chare_runtime *runtime, const chare_element *self,
                  uint32_t reducer, const chare_value *number,
                  const chare_callback *callback)
{
    if (!chi_api_started(runtime)) {
        return CHARE_ERR_STATE;
    }
    return chi_obj_contribute_number(runtime->obj, self, reducer, number,
                                     callback);
}

chare_status
chare_contribute_int(chare_runtime *runtime, const chare_element *self,
                     uint32_t reducer, int64_t value,
                     const chare_callback *callback)
{
    chare_value number;

    number.tag = CHARE_TAG_INT;
    number.as.integer = value;
    return contribute_number(runtime, self, reducer, &number, callback);
}

chare_status
chare_contribute_float(chare_runtime *runtime, const chare_element *self,
                       uint32_t reducer, double value,
                       const chare_callback *callback)
{
    chare_value number;

    number.tag = CHARE_TAG_FLOAT;
    number.as.real = value;
    return contribute_number(runtime, self, reducer, &number, callback);
}

chare_status
chare_contribute_array(chare_runtime *runtime, const chare_element *self,
                       uint32_t reducer, chare_dtype dtype, const void *values,
                       size_t count, const chare_callback *callback)
{
    const size_t each = chare_dtype_bytes(dtype);
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;
    chare_status status;

    if (each == 0 || (values == NULL && count > 0) ||
        count > SIZE_MAX / 4 / each) {
        return CHARE_ERR_INVALID;
    }
    status = chare_encoder_init(&encoder, runtime, 64 + count * each);
    if (status != CHARE_OK) {
        return status;
    }
    chi_value_array(&encoder, dtype, values, count);
    status = chare_encoder_take(&encoder, &buffer);
    if (status != CHARE_OK) {
        return status;
    }
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    status = chare_contribute(runtime, self, reducer, &data, callback);
    if (status != CHARE_OK) {
        chare_buffer_release(buffer);
    }
    return status;
}
