/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create.c - creating chares, groups and arrays.
 *
 * The constructor's message is a tuple: the flavour of the collection, which
 * says what thisIndex and thisProxy are, and then the arguments.
 */
#include "create.h"
#include "state.h"

/* The class to create; NULL with an exception. */
static struct core_class *
class_to_create(struct core_state *state, PyObject *cls)
{
    struct core_class *found;

    if (core_pe_get(state) == NULL) {
        return NULL;
    }
    found = core_class_find(state, cls);
    if (found == NULL) {
        core_mistake(state, "(sO)", "no_class", cls);
    }
    return found;
}

/* Whether these may be arguments, and not one that should be in a list. */
static bool
is_args(PyObject *args)
{
    return !PyUnicode_Check(args) && !PyBytes_Check(args) &&
           !PyDict_Check(args) && !PyAnySet_Check(args);
}

/* Check the arguments, and encode them behind the flavour. */
static int
args_encode(struct core_pe *pe, struct core_class *cls, PyObject *args,
            long flavour, chare_data *data_out)
{
    const struct core_entry *strict = pe->state->strict;
    const Py_ssize_t first = cls->native ? 1 : 0; /* C gets no flavour */
    PyObject *sequence = NULL;
    PyObject **bound = NULL;
    PyObject **all = NULL;
    Py_ssize_t count = -1;
    int result = -1;

    if (args == NULL || args == Py_None) {
        args = pe->state->no_args;
    }
    if (!is_args(args) || (sequence = PySequence_Fast(args, "")) == NULL) {
        PyErr_Clear();
        core_mistake(pe->state, "(sOO)", "no_arguments", cls->cls, args);
        return -1;
    }
    count =
        core_entry_bind(pe->state, &cls->init, PySequence_Fast_ITEMS(sequence),
                        PySequence_Fast_GET_SIZE(sequence), NULL, &bound);
    if (count < 0) {
        goto release_sequence;
    }
    all = PyMem_Malloc(((size_t)count + 1) * sizeof(*all));
    if (all == NULL) {
        PyErr_NoMemory();
        goto release_bound;
    }
    memcpy(all + 1, bound, (size_t)count * sizeof(*all));
    all[0] = PyLong_FromLong(flavour);
    if (all[0] != NULL) {
        pe->state->strict = cls->native ? &cls->init : NULL;
        result = core_data_args(pe, false, all + first, count + 1 - first,
                                data_out);
        pe->state->strict = strict;
        Py_DECREF(all[0]);
        if (result < 0 && !cls->native) { /* else that is said */
            core_unsendable(pe->state, cls->init.fullname, cls->init.params,
                            bound, count);
        }
    }
    PyMem_Free(all);
release_bound:
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(bound[i]);
    }
    PyMem_Free(bound);
release_sequence:
    Py_DECREF(sequence);
    return result;
}

/* A PE as users name it, -1 for any; false with an exception. */
static bool
pe_parse(struct core_pe *pe, long number, uint32_t *pe_out)
{
    if (number == -1) {
        *pe_out = CHARE_ANY_PE;
        return true;
    }
    if (number < 0 || number >= (long)chare_pe_count(pe->runtime)) {
        PyErr_Format(PyExc_ValueError, "there is no PE %ld: there are %u",
                     number, (unsigned)chare_pe_count(pe->runtime));
        return false;
    }
    *pe_out = (uint32_t)number;
    return true;
}

static bool
pe_parse_object(struct core_pe *pe, PyObject *object, uint32_t *pe_out)
{
    long number = PyLong_AsLong(object);

    if (number == -1 && PyErr_Occurred()) {
        return false;
    }
    return pe_parse(pe, number, pe_out);
}

/* Make the exception of a failed creation; gives up the data. */
static PyObject *
creation_failed(struct core_state *state, struct core_class *cls,
                PyObject *args, chare_data *data, chare_status status)
{
    core_moves_return_init(state->current, args, cls->native ? 0 : 1, data);
    core_data_drop(data);
    return core_raise(state, status, PyUnicode_AsUTF8(cls->name));
}

PyObject *
core_single_new(struct core_state *state, PyObject *cls, PyObject *args,
                long pe, enum core_flavour flavour)
{
    struct core_class *found = class_to_create(state, cls);
    chare_element element;
    chare_status status;
    chare_data data;
    uint32_t where;

    if (found == NULL || !pe_parse(state->current, pe, &where) ||
        args_encode(state->current, found, args, flavour, &data) < 0) {
        return NULL;
    }
    status = chare_single_create(state->current->runtime, found->type, where,
                                 &data, NULL, &element);
    if (status != CHARE_OK) {
        return creation_failed(state, found, args, &data, status);
    }
    return core_proxy_new(state, found, &element, flavour,
                          element.index.ndims);
}

PyObject *
core_single_create(PyObject *module, PyObject *args)
{
    PyObject *cls;
    PyObject *init_args;
    long pe;
    int is_main;

    if (!PyArg_ParseTuple(args, "OOlp", &cls, &init_args, &pe, &is_main)) {
        return NULL;
    }
    return core_single_new(core_state_get(module), cls, init_args, pe,
                           is_main ? CORE_FLAVOUR_MAIN : CORE_FLAVOUR_SINGLE);
}

/* A list of PEs from PyMem_Malloc(), of which there is one at least; NULL with
 * an exception. */
static uint32_t *
pes_parse(struct core_pe *pe, PyObject *list, uint32_t *count_out)
{
    const Py_ssize_t count = PyList_GET_SIZE(list);
    uint32_t *pes = PyMem_Malloc(((size_t)count + 1) * sizeof(*pes));

    if (pes == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        long number = PyLong_AsLong(PyList_GET_ITEM(list, i));

        if ((number == -1 && PyErr_Occurred()) || number < 0 ||
            number >= (long)chare_pe_count(pe->runtime)) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_ValueError,
                             "onPEs: there is no PE %ld: there are %u", number,
                             (unsigned)chare_pe_count(pe->runtime));
            }
            PyMem_Free(pes);
            return NULL;
        }
        pes[i] = (uint32_t)number;
    }
    *count_out = (uint32_t)count;
    return pes;
}

/* Create on 'where': None: all PEs; True: each node; or a list of PEs. */
static chare_status
group_create(struct core_pe *pe, struct core_class *cls, PyObject *where,
             const uint32_t *pes, uint32_t pe_count, chare_data *data,
             chare_collection *collection_out)
{
    if (where == Py_None) {
        return chare_group_create(pe->runtime, cls->type, data, NULL,
                                  collection_out);
    }
    if (where == Py_True) {
        return chare_node_group_create(pe->runtime, cls->type, data, NULL,
                                       collection_out);
    }
    return chare_group_create_on(pe->runtime, cls->type, pes, pe_count, data,
                                 NULL, collection_out);
}

/* group_create(cls, args, where=None) */
PyObject *
core_group_create(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_class *found;
    chare_element element = {0, {0, 0, {0, 0, 0, 0, 0, 0}}};
    chare_status status;
    chare_data data;
    PyObject *cls;
    PyObject *init_args;
    PyObject *where = Py_None;
    uint32_t *pes = NULL;
    uint32_t pe_count = 0;

    if (!PyArg_ParseTuple(args, "OO|O", &cls, &init_args, &where)) {
        return NULL;
    }
    found = class_to_create(state, cls);
    if (found == NULL ||
        (PyList_Check(where) &&
         (pes = pes_parse(state->current, where, &pe_count)) == NULL)) {
        return NULL;
    }
    if (args_encode(state->current, found, init_args, CORE_FLAVOUR_GROUP,
                    &data) < 0) {
        PyMem_Free(pes);
        return NULL;
    }
    status = group_create(state->current, found, where, pes, pe_count, &data,
                          &element.collection);
    PyMem_Free(pes);
    if (status != CHARE_OK) {
        return creation_failed(state, found, init_args, &data, status);
    }
    return core_proxy_new(state, found, &element, CORE_FLAVOUR_GROUP, 1);
}

/* Complain of more chares than a dense array can have; -1. */
static int
dims_check(struct core_state *state, PyObject *dims, const chare_index *shape)
{
    double count = 1;

    for (uint32_t i = 0; i < shape->ndims; i++) {
        if (shape->at[i] < 0) {
            core_mistake(state, "(sO)", "no_dimensions", dims);
            return -1;
        }
        count *= (double)shape->at[i];
    }
    for (uint32_t i = 0; i < shape->ndims; i++) {
        if (count > CHARE_DENSE_MAX || shape->at[i] > CHARE_DENSE_MAX) {
            char text[160];

            PyOS_snprintf(
                text, sizeof(text),
                "dims ask for %.15g chares; an array with all chares "
                "from the start has at most %d (use ndims= and "
                "ckInsert() for few chares at large indices)",
                count, (int)CHARE_DENSE_MAX);
            PyErr_SetString(PyExc_ValueError, text);
            return -1;
        }
    }
    return 0;
}

/* Understand dims and ndims; -1 with an exception. */
static int
dims_parse(struct core_state *state, PyObject *cls, PyObject *dims, int ndims,
           chare_array_options *options)
{
    chare_index shape;

    options->dense = dims != Py_None;
    if (!options->dense) {
        if (ndims < 1 || ndims > CHARE_DIMS_MAX) {
            PyErr_Format(state->Error,
                         "an array needs dims, or ndims from 1 to %d",
                         CHARE_DIMS_MAX);
            return -1;
        }
        options->ndims = (uint32_t)ndims;
        return 0;
    }
    if (core_index_parse(dims, &shape) < 0) {
        PyErr_Clear();
        core_mistake(state, "(sO)", "no_dimensions", dims);
        return -1;
    }
    if (ndims != -1 && (uint32_t)ndims != shape.ndims) {
        core_mistake(state, "(sOIi)", "ndims_differ", cls,
                     (unsigned)shape.ndims, ndims);
        return -1;
    }
    options->ndims = shape.ndims;
    memcpy(options->dims, shape.at, sizeof(options->dims));
    return dims_check(state, dims, &shape);
}

/* The map: None, a number or the proxy of a group; -1 with an exception. */
static int
map_parse(struct core_state *state, PyObject *map,
          chare_array_options *options)
{
    const struct core_proxy *proxy = (struct core_proxy *)map;

    if (map == Py_None) {
        return 0;
    }
    if (PyLong_Check(map)) {
        options->map = (uint32_t)PyLong_AsUnsignedLong(map);
        return PyErr_Occurred() ? -1 : 0;
    }
    if (!core_is_proxy(state, map) || core_proxy_is_element(proxy) ||
        proxy->flavour != CORE_FLAVOUR_GROUP || proxy->owner == NULL ||
        proxy->owner->place_index < 0) {
        PyErr_Format(PyExc_TypeError,
                     "map=%R is no map: a group of a subclass of ArrayMap is "
                     "needed, or 'block', 'round_robin', 'hash' or 'sfc'",
                     map);
        return -1;
    }
    options->map_group = proxy->element.collection;
    return 0;
}

/* The array that a new one is bound to; -1 with an exception. */
static int
bound_parse(struct core_state *state, PyObject *bind_to, PyObject *dims,
            int ndims, chare_array_options *options)
{
    const struct core_proxy *proxy = (struct core_proxy *)bind_to;

    if (!core_is_proxy(state, bind_to) || core_proxy_is_element(proxy) ||
        proxy->flavour != CORE_FLAVOUR_ARRAY) {
        PyErr_Format(PyExc_TypeError, "bind_to=%R is no proxy of an array",
                     bind_to);
        return -1;
    }
    if (dims != Py_None || (ndims != -1 && ndims != (int)proxy->ndims) ||
        options->map != 0 || options->map_group != 0) {
        PyErr_SetString(state->Error,
                        "a bound array has the dimensions and the map of the "
                        "array that bind_to= names: give none");
        return -1;
    }
    options->bind_to = proxy->element.collection;
    options->ndims = proxy->ndims;
    return 0;
}

/* Whether no arguments were given; an exception may be set, and stays. */
static bool
is_empty(PyObject *args)
{
    return args == Py_None ||
           (PyTuple_Check(args) && PyTuple_GET_SIZE(args) == 0) ||
           (PyList_Check(args) && PyList_GET_SIZE(args) == 0);
}

/*
 * The constructor's arguments: 1, or 0 without them, or -1 with an exception.
 * An empty array constructs nothing: ckInsert() brings the arguments. Whether
 * a bound array is empty may not be known here yet.
 */
static int
array_args_encode(struct core_pe *pe, struct core_class *cls, PyObject *args,
                  const chare_array_options *options, chare_data *data_out)
{
    if (!options->dense && options->bind_to == 0) {
        return 0;
    }
    if (args_encode(pe, cls, args, CORE_FLAVOUR_ARRAY, data_out) == 0) {
        return 1;
    }
    if (options->dense || !PyErr_ExceptionMatches(PyExc_TypeError) ||
        chare_array_is_dense(pe->runtime, options->bind_to) ||
        !is_empty(args)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

PyObject *
core_array_create(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    chare_array_options options = {.size = sizeof(options)};
    chare_element element = {0, {0, 0, {0, 0, 0, 0, 0, 0}}};
    struct core_class *found;
    chare_status status;
    chare_data data = chare_data_bytes(NULL, 0);
    PyObject *cls;
    PyObject *dims;
    PyObject *init_args;
    PyObject *map = Py_None;
    PyObject *bind_to = Py_None;
    int constructs;
    int at_sync = 0;
    int ndims;

    if (!PyArg_ParseTuple(args, "OOiO|OOp", &cls, &dims, &ndims, &init_args,
                          &map, &bind_to, &at_sync)) {
        return NULL;
    }
    found = class_to_create(state, cls);
    if (found == NULL || map_parse(state, map, &options) < 0 ||
        (bind_to == Py_None
             ? dims_parse(state, cls, dims, ndims, &options)
             : bound_parse(state, bind_to, dims, ndims, &options)) < 0) {
        return NULL;
    }
    constructs =
        array_args_encode(state->current, found, init_args, &options, &data);
    if (constructs < 0) {
        return NULL;
    }
    options.type = found->type;
    options.at_sync = at_sync != 0;
    status =
        chare_array_create(state->current->runtime, &options,
                           constructs ? &data : NULL, &element.collection);
    if (status != CHARE_OK) {
        return creation_failed(state, found, init_args, &data, status);
    }
    return core_proxy_new(state, found, &element, CORE_FLAVOUR_ARRAY,
                          options.ndims);
}

/* ---- methods of proxies */

/* Complain of what an array's class has and the other one has not; -1. */
static int
guest_check(const struct core_class *owner, const struct core_class *cls)
{
    for (Py_ssize_t i = 0; i < owner->entry_count; i++) {
        PyObject *name = owner->entries[i].name;
        const int has = PyObject_HasAttr((PyObject *)cls->proxy_type, name);

        if (!has) {
            PyErr_Format(PyExc_TypeError,
                         "ckInsert(): %U has no method %U(), which %U, the "
                         "class of the array, has",
                         cls->name, name, owner->name);
            return -1;
        }
    }
    return 0;
}

/* The class of a chare that is to be of another one than its array's; NULL
 * with an exception. */
static struct core_class *
guest_class(struct core_state *state, const struct core_class *owner,
            PyObject *object)
{
    struct core_class *cls = class_to_create(state, object);

    if (cls == NULL || cls == owner) {
        return cls;
    }
    if (!owner->native) {
        PyErr_Format(PyExc_TypeError,
                     "ckInsert(): cls= is for arrays of a class in C, and %U "
                     "is one in Python: create the array of the class in C, "
                     "whose methods say what all of its chares can be called",
                     owner->name);
        return NULL;
    }
    return guest_check(owner, cls) < 0 ? NULL : cls;
}

/* What the constructor is told of the collection. */
static long
flavour_in(const struct core_class *cls, const struct core_class *owner)
{
    return CORE_FLAVOUR_ARRAY |
           (cls == owner ? 0
                         : ((long)owner->type + 1) << CORE_FLAVOUR_HOST_SHIFT);
}

PyObject *
core_proxy_insert(PyObject *self, PyTypeObject *defining_class,
                  PyObject *const *args, Py_ssize_t arg_count,
                  PyObject *kwnames)
{
    static const char *const names[] = {"index",     "args", "onPE",
                                        "useAtSync", "cls",  NULL};
    struct core_state *state = core_state_of(defining_class);
    struct core_proxy *proxy = (struct core_proxy *)self;
    struct core_pe *pe = core_pe_get(state);
    PyObject *values[5] = {NULL, NULL, NULL, NULL, NULL};
    struct core_class *cls;
    chare_element element = proxy->element;
    chare_status status;
    chare_data data;
    uint32_t where = CHARE_ANY_PE;
    int at_sync;

    if (pe == NULL ||
        core_arguments_parse("ckInsert", names, 1, args, arg_count, kwnames,
                             values) < 0 ||
        core_index_parse(values[0], &element.index) < 0) {
        return NULL;
    }
    if (proxy->flavour != CORE_FLAVOUR_ARRAY || proxy->owner == NULL ||
        core_proxy_is_element(proxy)) {
        PyErr_SetString(PyExc_TypeError,
                        "ckInsert() is for the proxy of an array");
        return NULL;
    }
    if (chare_array_is_dense(pe->runtime, element.collection)) {
        PyErr_Format(state->Error,
                     "%R was created with dims and has all its chares: "
                     "ckInsert() is for arrays created with ndims%s",
                     self,
                     values[4] != NULL && values[4] != Py_None
                         ? ", which can have chares in C and in Python"
                         : "");
        return NULL;
    }
    if (values[2] != NULL && !pe_parse_object(pe, values[2], &where)) {
        return NULL;
    }
    at_sync = values[3] != NULL ? PyObject_IsTrue(values[3]) : 0;
    if (at_sync < 0) {
        return NULL;
    }
    cls = values[4] == NULL || values[4] == Py_None
              ? proxy->owner
              : guest_class(state, proxy->owner, values[4]);
    if (cls == NULL || args_encode(pe, cls, values[1],
                                   flavour_in(cls, proxy->owner), &data) < 0) {
        return NULL;
    }
    status = chare_insert_as(pe->runtime, &element,
                             cls->type | (at_sync ? CHARE_INSERT_AT_SYNC : 0),
                             where, &data);
    if (status != CHARE_OK) {
        return creation_failed(state, cls, values[1], &data, status);
    }
    Py_RETURN_NONE;
}

PyObject *
core_proxy_insert_done(PyObject *self, PyTypeObject *defining_class,
                       PyObject *const *args, Py_ssize_t arg_count,
                       PyObject *kwnames)
{
    struct core_state *state = core_state_of(defining_class);
    struct core_pe *pe = core_pe_get(state);
    chare_status status;

    (void)args;
    if (pe == NULL) {
        return NULL;
    }
    if (arg_count != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "ckDoneInserting() takes no arguments");
        return NULL;
    }
    status = chare_insert_done(
        pe->runtime, ((struct core_proxy *)self)->element.collection, NULL);
    if (status != CHARE_OK) {
        return core_raise(state, status, "ckDoneInserting()");
    }
    Py_RETURN_NONE;
}
