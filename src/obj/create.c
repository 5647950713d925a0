/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create.c - new collections, on all PEs.
 *
 * The creator knows its collection at once, and calls to it may be made in the
 * next statement; chares are made when the creation message is executed, on
 * the creator too, for no user code runs inside a call. A creation waits until
 * the collections that it depends on, its map and the array that it is bound
 * to, are populated here; meanwhile its own collection is unknown here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/buffer.h"
#include "obj/migrate.h"

enum {
    SPEC_BYTES_MAX = sizeof(struct chi_collection_spec),
};

chare_collection
chi_collection_new_id(struct chi_obj *obj, enum chi_kind kind, uint32_t count)
{
    const uint64_t first = obj->counter + 1;

    chi_assert(count > 0);
    obj->counter += count;
    chi_assert(obj->counter < 1ull << CHI_COLLECTION_PE_SHIFT);
    return (uint64_t)kind << CHI_COLLECTION_KIND_SHIFT |
           (uint64_t)obj->pe->rank << CHI_COLLECTION_PE_SHIFT | first;
}

/* Put the PEs of a group behind the constructor's data. */
static void
append_pes(struct chi_obj *obj, struct chi_msg **msg_inout,
           const uint32_t *pes, uint32_t pe_count)
{
    const uint64_t len = (*msg_inout)->env.len;
    const size_t more = pe_count * sizeof(*pes);

    if (pe_count == 0) {
        return;
    }
    if (chi_msg_resize(msg_inout, len + more) != CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for the PEs of a group");
    }
    memcpy((*msg_inout)->bytes + len, pes, more);
}

/*
 * The message that makes a collection: the constructor's data and the PEs of a
 * group on some, and in the trailer the spec and who is to be told.
 */
static chare_status
creation_msg(struct chi_obj *obj, const struct chi_collection_spec *spec,
             const uint32_t *pes, const chare_data *args,
             const chare_callback *created, struct chi_msg **msg_out)
{
    const chare_callback nobody = {.kind = CHARE_CALLBACK_NONE};
    unsigned char trailer[SPEC_BYTES_MAX + CHI_CALLBACK_WIRE_BYTES_MAX];
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
        append_pes(obj, &msg, pes, spec->pe_count);
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
    return spec_out->pe_count <= chi_msg_data_len(msg) / sizeof(uint32_t) &&
           chi_callback_read(&reader, created_out);
}

/* The collection of a spec whose needs are here; NULL: the job is ending. */
static struct chi_collection *
collection_known(struct chi_obj *obj, struct chi_collection_spec *spec)
{
    struct chi_collection *collection = chi_collection_find(obj, spec->id);

    if (collection != NULL) {
        return collection;
    }
    if (spec->bound_to != 0 &&
        !chi_spec_bind(chi_collection_find(obj, spec->bound_to), spec)) {
        obj->fatal(obj->fatal_context,
                   "an array was bound to one of other dimensions");
        return NULL;
    }
    return chi_collection_add(obj, spec);
}

/* The PEs of a group, which are behind the constructor's data, or not. */
static void
take_pes(struct chi_obj *obj, struct chi_collection *collection,
         struct chi_msg *msg)
{
    const size_t len = collection->spec.pe_count * sizeof(*collection->pes);

    msg->env.len -= msg->env.trailer_len;
    msg->env.trailer_len = 0;
    if (len == 0) {
        return;
    }
    chi_assert(len <= msg->env.len);
    msg->env.len -= len;
    collection->pes = malloc(len);
    if (collection->pes == NULL) {
        chi_pe_die(obj->pe, "out of memory for the PEs of a group");
    }
    memcpy(collection->pes, msg->bytes + msg->env.len, len);
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
    spec.id = chi_collection_new_id(obj, CHI_KIND_SINGLE, 1);
    spec.dims[0] = 1;
    status = creation_msg(obj, &spec, NULL, args, created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    chi_pe_send(obj->pe, pe, msg);
    *element_out = chare_element_1d(spec.id, (int64_t)pe);
    return CHARE_OK;
}

/* A group of either kind, of 'count' chares; pes NULL: on all PEs or nodes. */
static chare_status
group_create(struct chi_obj *obj, enum chi_kind kind, uint32_t type,
             const uint32_t *pes, uint32_t count, const chare_data *args,
             const chare_callback *created, chare_collection *collection_out)
{
    struct chi_collection_spec spec = {.type = type, .ndims = 1, .dense = 1};
    struct chi_msg *msg;
    chare_status status;

    spec.id = chi_collection_new_id(obj, kind, 1);
    spec.dims[0] = count;
    spec.pe_count = pes == NULL ? 0 : count;
    status = creation_msg(obj, &spec, pes, args, created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    chi_pe_send(obj->pe, obj->pe->rank, msg);
    *collection_out = spec.id;
    return CHARE_OK;
}

chare_status
chi_obj_group_create(struct chi_obj *obj, uint32_t type,
                     const chare_data *args, const chare_callback *created,
                     chare_collection *collection_out)
{
    return group_create(obj, CHI_KIND_GROUP, type, NULL, obj->pe->size, args,
                        created, collection_out);
}

static int
compare_pes(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return (*x > *y) - (*x < *y);
}

chare_status
chi_obj_group_create_on(struct chi_obj *obj, uint32_t type,
                        const uint32_t *pes, uint32_t pe_count,
                        const chare_data *args, const chare_callback *created,
                        chare_collection *collection_out)
{
    chare_status status = CHARE_ERR_INVALID;
    uint32_t *sorted;

    if (pes == NULL || pe_count < 1 || pe_count > obj->pe->size) {
        return CHARE_ERR_INVALID;
    }
    sorted = malloc(pe_count * sizeof(*sorted));
    if (sorted == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    memcpy(sorted, pes, pe_count * sizeof(*sorted));
    qsort(sorted, pe_count, sizeof(*sorted), compare_pes);
    for (uint32_t i = 1; i < pe_count; i++) {
        if (sorted[i] == sorted[i - 1]) {
            goto free_sorted;
        }
    }
    if (sorted[pe_count - 1] < obj->pe->size) {
        status = group_create(obj, CHI_KIND_GROUP, type, sorted, pe_count,
                              args, created, collection_out);
    }
free_sorted:
    free(sorted);
    return status;
}

chare_status
chi_obj_node_group_create(struct chi_obj *obj, uint32_t type,
                          const chare_data *args,
                          const chare_callback *created,
                          chare_collection *collection_out)
{
    return group_create(obj, CHI_KIND_NODE_GROUP, type, NULL,
                        chi_coll_node_count(obj->coll), args, created,
                        collection_out);
}

static bool
array_options_ok(const struct chi_obj *obj, const chare_array_options *options)
{
    uint64_t count = 1;

    if (options == NULL || options->size < sizeof(*options) ||
        options->ndims < 1 || options->ndims > CHARE_DIMS_MAX) {
        return false;
    }
    if (options->map_group != 0 &&
        (options->map != CHARE_MAP_DEFAULT ||
         chi_collection_kind(options->map_group) != CHI_KIND_GROUP ||
         !chi_broadcast_ok(obj, options->map_group))) {
        return false;
    }
    if (options->map >= CHI_MAP_CUSTOM_FIRST
            ? options->map - CHI_MAP_CUSTOM_FIRST >= obj->registry->map_count
            : options->map > CHARE_MAP_CURVE) {
        return false;
    }
    if (!options->dense) {
        return options->map == CHARE_MAP_DEFAULT ||
               options->map == CHARE_MAP_HASH ||
               options->map >= CHI_MAP_CUSTOM_FIRST;
    }
    for (uint32_t i = 0; i < options->ndims; i++) {
        if (options->dims[i] < 0 || options->dims[i] > CHARE_DENSE_MAX) {
            return false;
        }
        count *= (uint64_t)options->dims[i];
        if (count > CHARE_DENSE_MAX) {
            return false;
        }
    }
    return true;
}

/* What a bound array is known to be before the other one is known here. */
static bool
bound_options_ok(struct chi_obj *obj, const chare_array_options *options)
{
    const struct chi_collection *other =
        chi_collection_find(obj, options->bind_to);

    return options->size >= sizeof(*options) &&
           chi_collection_kind(options->bind_to) == CHI_KIND_ARRAY &&
           chi_broadcast_ok(obj, options->bind_to) && options->ndims >= 1 &&
           options->ndims <= CHARE_DIMS_MAX &&
           options->map == CHARE_MAP_DEFAULT && options->map_group == 0 &&
           (other == NULL || other->spec.ndims == options->ndims);
}

chare_status
chi_obj_array_create(struct chi_obj *obj, const chare_array_options *options,
                     const chare_data *args, chare_collection *collection_out)
{
    struct chi_collection_spec spec = {0};
    chare_collection missing;
    struct chi_msg *msg;
    chare_status status;

    if (options != NULL && options->bind_to != 0
            ? !bound_options_ok(obj, options)
            : !array_options_ok(obj, options)) {
        return CHARE_ERR_INVALID;
    }
    spec.type = options->type;
    spec.ndims = options->ndims;
    spec.dense = options->bind_to == 0 && options->dense;
    spec.map = options->map;
    spec.map_group = options->map_group;
    spec.bound_to = options->bind_to;
    spec.at_sync = options->at_sync;
    for (uint32_t i = 0; i < spec.ndims && spec.dense; i++) {
        spec.dims[i] = options->dims[i];
    }
    if (chi_is_buried(obj, spec.map_group) ||
        chi_is_buried(obj, spec.bound_to)) {
        return CHARE_ERR_NOT_FOUND;
    }
    spec.id = chi_collection_new_id(obj, CHI_KIND_ARRAY, 1);
    status = creation_msg(obj, &spec, NULL, args, options->created, &msg);
    if (status != CHARE_OK) {
        return status;
    }
    if (chi_spec_ready(obj, &spec, &missing)) {
        (void)collection_known(obj, &spec);
    }
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

    if (spec->map_group != 0) {
        chi_collection_ask_homes(obj, collection);
    } else if (spec->map == CHARE_MAP_BLOCK ||
               spec->map == CHARE_MAP_DEFAULT) {
        const uint64_t few = count / pe_count;
        const uint64_t longer = count % pe_count;
        const uint64_t rank = obj->pe->rank;

        first = rank * few + (rank < longer ? rank : longer);
        end = first + few + (rank < longer);
    } else if (spec->map == CHARE_MAP_ROUND_ROBIN) {
        first = obj->pe->rank;
        step = pe_count;
    }
    for (uint64_t position = first; position < end && !obj->pe->ended;
         position += step) {
        chare_index index;

        chi_index_at_position(spec, position, &index);
        if (chi_collection_home(obj, collection, &index) == obj->pe->rank &&
            chi_element_add(obj, collection, &index, obj->pe->rank, spec->type,
                            msg) == NULL) {
            return false;
        }
    }
    return !obj->pe->ended; /* by one of their constructors */
}

/* Whether this PE is the lowest of its node, and which node that is. */
static bool
node_of_first_pe(const struct chi_obj *obj, int64_t *node_out)
{
    for (uint32_t n = 0; n < chi_coll_node_count(obj->coll); n++) {
        if (chi_coll_node_first_pe(obj->coll, n) == obj->pe->rank) {
            *node_out = n;
            return true;
        }
    }
    return false;
}

static bool
populate(struct chi_obj *obj, struct chi_collection *collection,
         struct chi_msg *msg)
{
    chare_index index = {.ndims = 1, .at = {obj->pe->rank}};
    bool here = true;

    switch (collection->kind) {
    case CHI_KIND_SINGLE:
        break;
    case CHI_KIND_GROUP:
        here = chi_collection_on_pe(collection, obj->pe->rank);
        break;
    case CHI_KIND_NODE_GROUP:
        here = node_of_first_pe(obj, &index.at[0]);
        break;
    case CHI_KIND_SECTION:
        here = false; /* it has no chares of its own */
        break;
    case CHI_KIND_ARRAY:
        return !collection->spec.dense || populate_dense(obj, collection, msg);
    }
    return !here || chi_element_add(obj, collection, &index, obj->pe->rank,
                                    collection->spec.type, msg) != NULL;
}

static void
needs_the_dead(struct chi_obj *obj, const struct chi_collection_spec *spec,
               chare_collection missing)
{
    char name[256];
    char text[512];

    chi_collection_text(obj, missing, name, sizeof(name));
    snprintf(text, sizeof(text),
             "an array of %s cannot be made: %s, which it was to follow, was "
             "destroyed",
             chi_registry_type_name(obj->registry, spec->type), name);
    if (!obj->pe->ended) {
        obj->fatal(obj->fatal_context, text);
    }
}

void
chi_create_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection_spec spec;
    struct chi_collection *collection;
    struct chi_msg_queue kept;
    chare_collection missing;
    chare_callback created;

    if (!read_creation(msg, &spec, &created) ||
        spec.type >= obj->registry->type_count) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed creation");
        chi_msg_release(msg);
        return;
    }
    if (chi_collection_kind(spec.id) != CHI_KIND_SINGLE &&
        msg->env.spare == 0) {
        chi_coll_send_down(obj->coll, msg->env.source_pe, msg);
        msg->env.spare = 1; /* passed on: it may have to wait here */
    }
    if (!chi_spec_ready(obj, &spec, &missing)) {
        if (!chi_is_buried(obj, missing)) {
            chi_keep_creation(obj, missing, msg);
            return;
        }
        needs_the_dead(obj, &spec, missing);
        chi_msg_release(msg);
        return;
    }
    collection = collection_known(obj, &spec);
    if (collection == NULL) {
        chi_msg_release(msg);
        return; /* the job is ending */
    }
    chi_assert(!collection->populated);
    take_pes(obj, collection, msg);
    collection->has_created =
        collection->set.is_root && created.kind != CHARE_CALLBACK_NONE;
    collection->created = created;
    collection->populating = true;
    if (!populate(obj, collection, msg)) {
        chi_msg_release(msg);
        return; /* the job is ending */
    }
    collection->populating = false;
    chi_msg_release(msg);
    collection->populated = true;
    if (collection->complete) {
        chi_coll_census(obj->coll, &collection->set, collection->born,
                        collection->count);
    }
    chi_kept_for_population(obj, collection, &kept);
    chi_dispatch_kept(obj, &kept);
    chi_kept_for_collection(obj, spec.id, &kept);
    chi_dispatch_kept(obj, &kept);
    if (spec.bound_to != 0) {
        chi_move_follow_all(obj, collection);
    }
}
