/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create.c - new collections, on all PEs.
 *
 * The creator knows its collection at once, and calls to it may be made in the
 * next statement; chares are made when the creation message is executed, on
 * the creator too, for no user code runs inside a call.
 */
#include "config.h"

#include "msg/buffer.h"
#include "obj/obj_private.h"

enum {
    DENSE_COUNT_MAX = 1 << 30
};

static chare_collection
new_id(struct chi_obj *obj, enum chi_kind kind)
{
    obj->counter++;
    chi_assert(obj->counter < 1ull << CHI_COLLECTION_PE_SHIFT);
    return (uint64_t)kind << CHI_COLLECTION_KIND_SHIFT |
           (uint64_t)obj->pe->rank << CHI_COLLECTION_PE_SHIFT | obj->counter;
}

/*
 * The message that makes a collection: the constructor's data, and in the
 * trailer the spec and who is to be told.
 */
static chare_status
creation_msg(struct chi_obj *obj, const struct chi_collection_spec *spec,
             const chare_data *args, const chare_callback *created,
             struct chi_msg **msg_out)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};
    unsigned char trailer[CHI_MSG_TRAILER_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));
    struct chi_msg *msg;
    chare_status status;

    if (spec->type >= obj->registry->type_count) {
        return CHARE_ERR_INVALID;
    }
    status = chi_cb_data_msg(obj->pe, CHI_HANDLER_CREATE, args, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (msg->payload_ops != NULL) {
        status = chi_pe_encode(obj->pe, &msg);
    }
    if (status == CHARE_OK) {
        chi_write(&writer, spec, offsetof(struct chi_collection_spec, dims));
        for (uint32_t i = 0; i < spec->ndims; i++) {
            chi_write_i64(&writer, spec->dims[i]);
        }
        chi_callback_write(&writer, created == NULL ? &nobody : created);
        chi_assert(!writer.bad);
        status = chi_msg_add_trailer(&msg, trailer,
                                     (uint16_t)(writer.at - trailer));
    }
    if (status != CHARE_OK) {
        if (args == NULL || args->buffer == NULL) {
            msg->payload_ops = NULL;
            chi_msg_release(msg);
        }
        return status;
    }
    msg->env.collection = spec->id;
    *msg_out = msg;
    return CHARE_OK;
}

static bool
read_creation(const struct chi_msg *msg, struct chi_collection_spec *spec_out,
              chare_callback *created_out)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);

    memset(spec_out, 0, sizeof(*spec_out));
    chi_read(&reader, spec_out, offsetof(struct chi_collection_spec, dims));
    if (spec_out->ndims < 1 || spec_out->ndims > CHARE_DIMS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < spec_out->ndims; i++) {
        spec_out->dims[i] = chi_read_i64(&reader);
    }
    return chi_callback_read(&reader, created_out);
}

/* ---- the public ways */

chare_status
chi_obj_single_create(struct chi_obj *obj, uint32_t type, uint32_t pe,
                      const chare_data *args, const chare_callback *created,
                      chare_element *element_out)
{
    struct chi_collection_spec spec = {.type = type, .ndims = 1, .dense = 1};
    struct chi_msg *msg;
    chare_status status;

    if (pe == CHARE_ANY_PE) {
        pe = (uint32_t)(obj->counter % obj->pe->size);
    }
    if (pe >= obj->pe->size) {
        return CHARE_ERR_INVALID;
    }
    spec.id = new_id(obj, CHI_KIND_SINGLE);
    spec.dims[0] = 1;
    status = creation_msg(obj, &spec, args, created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    chi_pe_send(obj->pe, pe, msg);
    *element_out = chare_element_1d(spec.id, (int64_t)pe);
    return CHARE_OK;
}

chare_status
chi_obj_group_create(struct chi_obj *obj, uint32_t type,
                     const chare_data *args, const chare_callback *created,
                     chare_collection *collection_out)
{
    struct chi_collection_spec spec = {.type = type, .ndims = 1, .dense = 1};
    struct chi_msg *msg;
    chare_status status;

    spec.id = new_id(obj, CHI_KIND_GROUP);
    spec.dims[0] = obj->pe->size;
    status = creation_msg(obj, &spec, args, created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    chi_pe_send(obj->pe, obj->pe->rank, msg);
    *collection_out = spec.id;
    return CHARE_OK;
}

static bool
array_options_ok(const struct chi_obj *obj, const chare_array_options *options)
{
    uint64_t count = 1;

    if (options == NULL || options->size < sizeof(*options) ||
        options->ndims < 1 || options->ndims > CHARE_DIMS_MAX) {
        return false;
    }
    if (options->map >= CHI_MAP_CUSTOM_FIRST
            ? options->map - CHI_MAP_CUSTOM_FIRST >= obj->registry->map_count
            : options->map > CHARE_MAP_HASH) {
        return false;
    }
    if (!options->dense) {
        return options->map == CHARE_MAP_DEFAULT ||
               options->map >= CHARE_MAP_HASH;
    }
    for (uint32_t i = 0; i < options->ndims; i++) {
        if (options->dims[i] < 0 || options->dims[i] > DENSE_COUNT_MAX) {
            return false;
        }
        count *= (uint64_t)options->dims[i];
        if (count > DENSE_COUNT_MAX) {
            return false;
        }
    }
    return true;
}

chare_status
chi_obj_array_create(struct chi_obj *obj, const chare_array_options *options,
                     const chare_data *args, chare_collection *collection_out)
{
    struct chi_collection_spec spec = {0};
    struct chi_msg *msg;
    chare_status status;

    if (!array_options_ok(obj, options)) {
        return CHARE_ERR_INVALID;
    }
    spec.type = options->type;
    spec.ndims = options->ndims;
    spec.dense = options->dense;
    spec.map = options->map;
    for (uint32_t i = 0; i < spec.ndims && spec.dense; i++) {
        spec.dims[i] = options->dims[i];
    }
    spec.id = new_id(obj, CHI_KIND_ARRAY);
    status = creation_msg(obj, &spec, args, options->created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    (void)chi_collection_add(obj, &spec);
    chi_pe_send(obj->pe, obj->pe->rank, msg);
    *collection_out = spec.id;
    return CHARE_OK;
}

/* ---- on each PE */

/* Make this PE's chares of a dense array. */
static bool
populate_dense(struct chi_obj *obj, struct chi_collection *collection,
               struct chi_msg *msg)
{
    const struct chi_collection_spec *spec = &collection->spec;
    const uint32_t pe_count = obj->pe->size;
    const uint64_t count = collection->dense_count;
    uint64_t first = 0;
    uint64_t end = count;
    uint64_t step = 1;

    if (spec->map == CHARE_MAP_BLOCK || spec->map == CHARE_MAP_DEFAULT) {
        const uint64_t few = count / pe_count;
        const uint64_t longer = count % pe_count;
        const uint64_t rank = obj->pe->rank;

        first = rank * few + (rank < longer ? rank : longer);
        end = first + few + (rank < longer);
    } else if (spec->map == CHARE_MAP_ROUND_ROBIN) {
        first = obj->pe->rank;
        step = pe_count;
    }
    for (uint64_t position = first; position < end; position += step) {
        chare_index index;

        chi_index_at_position(spec, position, &index);
        if (chi_collection_home(obj, collection, &index) == obj->pe->rank &&
            chi_element_add(obj, collection, &index, obj->pe->rank, msg) ==
                NULL) {
            return false;
        }
    }
    return true;
}

static bool
populate(struct chi_obj *obj, struct chi_collection *collection,
         struct chi_msg *msg)
{
    if (collection->kind != CHI_KIND_ARRAY) {
        const chare_index index = {.ndims = 1, .at = {obj->pe->rank}};

        return chi_element_add(obj, collection, &index, obj->pe->rank, msg) !=
               NULL;
    }
    return !collection->spec.dense || populate_dense(obj, collection, msg);
}

void
chi_create_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection_spec spec;
    struct chi_collection *collection;
    struct chi_msg_queue kept;
    chare_callback created;

    if (!read_creation(msg, &spec, &created) ||
        spec.type >= obj->registry->type_count) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed creation");
        chi_msg_release(msg);
        return;
    }
    collection = chi_collection_find(obj, spec.id);
    if (collection == NULL) {
        collection = chi_collection_add(obj, &spec);
    }
    if (collection->kind != CHI_KIND_SINGLE) {
        chi_coll_send_down(obj->coll, msg->env.source_pe, msg);
    }
    chi_assert(!collection->populated);
    collection->has_created =
        collection->set.is_root && created.kind != CHARE_CALLBACK_NONE;
    collection->created = created;
    if (!populate(obj, collection, msg)) {
        chi_msg_release(msg);
        return; /* the job is ending */
    }
    chi_msg_release(msg);
    collection->populated = true;
    if (collection->complete) {
        chi_coll_census(obj->coll, &collection->set, collection->count);
    }
    chi_kept_for_population(obj, collection, &kept);
    chi_dispatch_kept(obj, &kept);
    chi_kept_for_collection(obj, spec.id, &kept);
    chi_dispatch_kept(obj, &kept);
}
