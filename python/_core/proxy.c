/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.c - the Proxy type: the name of one chare or of a whole collection.
 *
 * Each class of chares has a subtype of it with a Method for each of its
 * entry methods (class.c). A proxy is a value: it compares, hashes, pickles
 * and travels by what it names.
 */
#include "create.h"
#include "element.h"
#include "proxy_name.h"
#include "section.h"
#include "state.h"

PyObject *
core_proxy_new(struct core_state *state, struct core_class *owner,
               const chare_element *element, enum core_flavour flavour,
               uint32_t ndims)
{
    PyTypeObject *type = owner != NULL ? owner->proxy_type : state->ProxyType;
    struct core_proxy *self = (struct core_proxy *)type->tp_alloc(type, 0);

    if (self == NULL) {
        return NULL;
    }
    self->element = *element;
    self->owner = owner;
    self->flavour = (uint8_t)flavour;
    self->ndims = (uint8_t)ndims;
    return (PyObject *)self;
}

void
core_proxy_name_get(PyObject *proxy, struct core_proxy_name *name_out)
{
    struct core_proxy *self = (struct core_proxy *)proxy;

    memset(name_out, 0, sizeof(*name_out));
    name_out->element = self->element;
    name_out->type = self->owner != NULL ? self->owner->type : UINT32_MAX;
    name_out->flavour = self->flavour;
    name_out->ndims = self->ndims;
    if (self->owner != NULL && self->owner->part_count > 0) {
        name_out->part_count = (uint16_t)self->owner->part_count;
        memcpy(name_out->parts, self->owner->parts,
               self->owner->part_count * sizeof(name_out->parts[0]));
    }
}

PyObject *
core_proxy_of_name(struct core_state *state,
                   const struct core_proxy_name *name)
{
    struct core_class *owner = NULL;

    if (name->element.index.ndims > CHARE_DIMS_MAX) {
        return core_raise(state, CHARE_ERR_FORMAT, "cannot decode a proxy");
    }
    if (name->part_count > 0) {
        owner = core_class_shared(state, name->parts, name->part_count);
        if (owner == NULL) {
            return NULL;
        }
    } else if (name->type != UINT32_MAX) {
        owner = core_class_get(state, name->type);
        if (owner == NULL) {
            return NULL;
        }
    }
    return core_proxy_new(state, owner, &name->element,
                          (enum core_flavour)name->flavour, name->ndims);
}

/* A name from bytes; false: malformed. */
static bool
proxy_name_read(const void *bytes, size_t len,
                struct core_proxy_name *name_out)
{
    const size_t fixed = offsetof(struct core_proxy_name, parts);

    memset(name_out, 0, sizeof(*name_out));
    if (len < fixed || len > sizeof(*name_out)) {
        return false;
    }
    memcpy(name_out, bytes, len);
    return name_out->part_count <= CORE_SECTION_CLASSES_MAX &&
           len == core_proxy_name_len(name_out);
}

PyObject *
core_proxy_load(PyObject *module, PyObject *bytes)
{
    struct core_proxy_name name;

    if (!PyBytes_Check(bytes) ||
        !proxy_name_read(PyBytes_AS_STRING(bytes),
                         (size_t)PyBytes_GET_SIZE(bytes), &name)) {
        PyErr_SetString(PyExc_ValueError, "this is no pickled proxy");
        return NULL;
    }
    return core_proxy_of_name(core_state_get(module), &name);
}

/* ---- indices */

static int
index_parse_items(PyObject *const *items, Py_ssize_t count,
                  chare_index *index_out)
{
    if (count < 1 || count > CHARE_DIMS_MAX) {
        PyErr_Format(PyExc_IndexError,
                     "an index has 1 to %d dimensions, not %zd",
                     CHARE_DIMS_MAX, count);
        return -1;
    }
    index_out->ndims = (uint32_t)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *number = PyNumber_Index(items[i]);

        if (number == NULL) {
            return -1;
        }
        index_out->at[i] = PyLong_AsLongLong(number);
        Py_DECREF(number);
        if (index_out->at[i] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

int
core_index_parse(PyObject *object, chare_index *index_out)
{
    memset(index_out, 0, sizeof(*index_out));
    if (PyTuple_Check(object)) {
        return index_parse_items(((PyTupleObject *)object)->ob_item,
                                 PyTuple_GET_SIZE(object), index_out);
    }
    if (PyList_Check(object)) { /* __index__() could change the list itself */
        PyObject *items = PyList_AsTuple(object);
        int result = -1;

        if (items != NULL) {
            result = core_index_parse(items, index_out);
            Py_DECREF(items);
        }
        return result;
    }
    return index_parse_items(&object, 1, index_out);
}

PyObject *
core_index_build(const chare_index *index)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)index->ndims);

    for (uint32_t i = 0; tuple != NULL && i < index->ndims; i++) {
        PyObject *number = PyLong_FromLongLong(index->at[i]);

        if (number == NULL) {
            Py_CLEAR(tuple);
        } else {
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, number);
        }
    }
    return tuple;
}

/* ---- the type */

static struct core_state *
proxy_state(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    while (type->tp_base != &PyBaseObject_Type) {
        type = type->tp_base;
    }
    return core_state_of(type);
}

static bool
has_slice(PyObject *key)
{
    if (PyTuple_Check(key)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
            if (PySlice_Check(PyTuple_GET_ITEM(key, i))) {
                return true;
            }
        }
    }
    return PySlice_Check(key);
}

static PyObject *
section_of_slices(PyObject *op, PyObject *key)
{
    PyObject *function = core_support(proxy_state(op), "slice_section");
    PyObject *result = NULL;

    if (function != NULL) {
        result = PyObject_CallFunctionObjArgs(function, op, key, NULL);
        Py_DECREF(function);
    }
    return result;
}

/* proxy[i], proxy[i, j]: the proxy of one element; with slices, of some. */
static PyObject *
proxy_subscript(PyObject *op, PyObject *key)
{
    struct core_proxy *self = (struct core_proxy *)op;
    chare_element element;

    if (self->flavour == CORE_FLAVOUR_SINGLE && !PySlice_Check(key)) {
        /* A single chare is the only one: thisProxy[thisIndex] is itself. */
        if (core_index_parse(key, &element.index) < 0) {
            return NULL;
        }
        if (element.index.ndims == 1 && element.index.at[0] == 0) {
            return Py_NewRef(op);
        }
    }
    if (core_proxy_is_element(self)) {
        PyErr_SetString(PyExc_TypeError,
                        "this proxy names one chare and has no elements");
        return NULL;
    }
    if (self->flavour == CORE_FLAVOUR_SECTION) {
        PyErr_SetString(PyExc_TypeError,
                        "a section has no indices of its own: index the "
                        "collections that its chares are of");
        return NULL;
    }
    if (has_slice(key)) {
        return section_of_slices(op, key);
    }
    element.collection = self->element.collection;
    if (core_index_parse(key, &element.index) < 0) {
        return NULL;
    }
    if (self->ndims != 0 && element.index.ndims != self->ndims) {
        PyErr_Format(PyExc_IndexError,
                     "%R is no index of this collection: its indices have %d "
                     "dimension%s",
                     key, (int)self->ndims, self->ndims == 1 ? "" : "s");
        return NULL;
    }
    if (self->flavour == CORE_FLAVOUR_GROUP) {
        struct core_pe *pe = proxy_state(op)->current;

        if (pe != NULL &&
            chare_element_check(pe->runtime, &element) != CHARE_OK) {
            PyErr_Format(PyExc_IndexError,
                         "%R has no chare %R: the job has %u PEs on %u nodes, "
                         "and a group may be on some of them only",
                         op, key, (unsigned)chare_pe_count(pe->runtime),
                         (unsigned)chare_node_count(pe->runtime));
            return NULL;
        }
    }
    return core_proxy_new(proxy_state(op), self->owner, &element,
                          (enum core_flavour)self->flavour, self->ndims);
}

static int
proxy_setattr(PyObject *op, PyObject *name, PyObject *value)
{
    core_mistake(proxy_state(op), "(sOOi)", "no_attribute", op, name,
                 (int)(value == NULL));
    return -1;
}

static Py_hash_t
proxy_hash(PyObject *op)
{
    const Py_hash_t hash =
        (Py_hash_t)core_element_hash(&((struct core_proxy *)op)->element);

    return hash == -1 ? -2 : hash;
}

static PyObject *
proxy_richcompare(PyObject *op, PyObject *other, int operation)
{
    bool equal;

    if ((operation != Py_EQ && operation != Py_NE) ||
        !core_is_proxy(proxy_state(op), other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    equal = core_element_equal(&((struct core_proxy *)op)->element,
                               &((struct core_proxy *)other)->element);
    return PyBool_FromLong(equal == (operation == Py_EQ));
}

static PyObject *
proxy_repr(PyObject *op)
{
    struct core_proxy *self = (struct core_proxy *)op;
    PyObject *index = core_index_build(&self->element.index);
    char number[CORE_ID_TEXT_BYTES];
    PyObject *text;

    if (index == NULL) {
        return NULL;
    }
    core_id_text(self->element.collection, number);
    text =
        PyUnicode_FromFormat("<%s %s%R>", Py_TYPE(op)->tp_name, number, index);
    Py_DECREF(index);
    return text;
}

static PyObject *
proxy_reduce(PyObject *op, PyTypeObject *defining_class, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames)
{
    PyObject *module = PyType_GetModule(defining_class);
    struct core_proxy_name name;
    PyObject *load;

    (void)args;
    (void)arg_count;
    (void)kwnames;
    load = PyObject_GetAttrString(module, "_proxy_load");
    if (load == NULL) {
        return NULL;
    }
    core_proxy_name_get(op, &name);
    return Py_BuildValue("N(y#)", load, (const char *)&name,
                         (Py_ssize_t)core_proxy_name_len(&name));
}

static void
proxy_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
proxy_get_index(PyObject *op, void *closure)
{
    struct core_proxy *self = (struct core_proxy *)op;

    (void)closure;
    if (self->flavour == CORE_FLAVOUR_GROUP) {
        return PyLong_FromLongLong(
            core_proxy_is_element(self) ? self->element.index.at[0] : -1);
    }
    return core_index_build(&self->element.index);
}

static PyObject *
proxy_get_ndims(PyObject *op, void *closure)
{
    (void)closure;
    return PyLong_FromLong(((struct core_proxy *)op)->ndims);
}

static PyObject *
proxy_get_id(PyObject *op, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(
        ((struct core_proxy *)op)->element.collection);
}

static PyObject *
proxy_names_one(PyObject *op, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(core_proxy_is_element((struct core_proxy *)op));
}

static PyObject *
proxy_get_issec(PyObject *op, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((struct core_proxy *)op)->flavour ==
                           CORE_FLAVOUR_SECTION);
}

static PyObject *
proxy_get_section(PyObject *op, void *closure)
{
    struct core_proxy *self = (struct core_proxy *)op;

    (void)closure;
    if (self->flavour != CORE_FLAVOUR_SECTION) {
        PyErr_SetString(PyExc_AttributeError,
                        "'section' is for the proxies of sections");
        return NULL;
    }
    return Py_BuildValue("(IK)",
                         (unsigned)(self->element.collection >> 37) &
                             (CHARE_PES_MAX - 1),
                         (unsigned long long)self->element.collection);
}

/* A proxy is true, however many members a section has. */
static int
proxy_bool(PyObject *op)
{
    (void)op;
    return 1;
}

static Py_ssize_t
proxy_len(PyObject *op)
{
    return core_section_len(proxy_state(op), (struct core_proxy *)op);
}

static PyGetSetDef proxy_getset[] = {
    {"elemIdx", proxy_get_index, NULL,
     PyDoc_STR("The index of the element; -1 or () for all of them."), NULL},
    {"ndims", proxy_get_ndims, NULL,
     PyDoc_STR("Dimensions of the collection."), NULL},
    {"gid", proxy_get_id, NULL, PyDoc_STR("The collection's number."), NULL},
    {"aid", proxy_get_id, NULL, PyDoc_STR("The collection's number."), NULL},
    {"issec", proxy_get_issec, NULL,
     PyDoc_STR("Whether this is the proxy of a section."), NULL},
    {"section", proxy_get_section, NULL,
     PyDoc_STR("(PE where it was made, number); of a section only."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(insert_doc,
             "ckInsert($self, index, args=[], onPE=-1, useAtSync=False)\n"
             "--\n\n\
Add one chare to an array that was created without dimensions.\n\
\n\
index is an int or a tuple of ints, args the constructor's arguments, onPE\n\
where the chare is made (-1: the runtime chooses). Any PE may do so until\n\
ckDoneInserting(). An index that is taken ends the job with an error that\n\
names it. useAtSync=True: the array's chares are balanced, each when it has\n\
called AtSync(). That counts on each PE where a chare inserted so was made\n\
or has arrived: say it with every insertion of the array, or AtSync() of a\n\
chare without it may be refused, and chares that never call AtSync() may be\n\
waited for.\n\
\n\
Raises Error when the array has all its chares, TypeError or ValueError for\n\
arguments that are none.\n\
\n\
Example: particles.ckInsert((3, -7), args=[mass])");

PyDoc_STRVAR(destroy_doc, "ckDestroy($self, awaitable=False)\n--\n\n\
Destroy this chare, or all chares of this collection, from anywhere; or a\n\
section, whose chares live on.\n\
\n\
It goes the way of a call: calls made before by the same PE are executed\n\
first. A chare may destroy itself; its running method goes on to its end. A\n\
suspended coroutine of it ends by Destroyed, raised where it is suspended,\n\
and who waits for its result gets an Error. Later calls come back as errors.\n\
Reductions that the chare has contributed to include it, others do not wait\n\
for it. In an array that is still open, its index can be inserted again once\n\
it is gone.\n\
\n\
Calls of a collection or section that is gone raise LookupError: where they\n\
are made, if it is known there, or where the result is awaited; one that\n\
nobody awaits ends the job. A section takes memory until it is destroyed,\n\
for its proxies can be anywhere.\n\
\n\
Returns None; with awaitable=True a Future that is ready when it is gone,\n\
and raises LookupError when it was not there. Any context.\n\
\n\
Example: particles[3].ckDestroy(awaitable=True).get()");

PyDoc_STRVAR(local_doc, "ckLocal($self, /)\n--\n\n\
The object of this element, or None if it is not on this PE.\n\
\n\
For an element's proxy. The object is the chare itself: what is done to it\n\
is done at once, without a message.\n\
\n\
Example: neighbour = self.thisProxy[i].ckLocal()");

PyDoc_STRVAR(local_branch_doc, "ckLocalBranch($self, /)\n--\n\n\
The object of this group's chare on this PE, or None if there is none.\n\
\n\
For the proxy of a group. A group of nodes has a chare on the first PE of\n\
each node only.\n\
\n\
Example: cache = caches.ckLocalBranch()");

PyDoc_STRVAR(insert_done_doc, "ckDoneInserting($self)\n--\n\n\
All chares of this array have been inserted; to be called once.\n\
\n\
Until then reductions of the array and awaited broadcasts do not finish.\n\
\n\
Example: charm.waitQD(); particles.ckDoneInserting()");

static PyMethodDef proxy_methods[] = {
    {"ckInsert", (PyCFunction)(void (*)(void))core_proxy_insert,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, insert_doc},
    {"ckDoneInserting", (PyCFunction)(void (*)(void))core_proxy_insert_done,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, insert_done_doc},
    {"ckDestroy", (PyCFunction)(void (*)(void))core_proxy_destroy,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, destroy_doc},
    {"ckLocal", (PyCFunction)(void (*)(void))core_proxy_local,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, local_doc},
    {"ckLocalBranch", (PyCFunction)(void (*)(void))core_proxy_local_branch,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, local_branch_doc},
    {"_names_one", proxy_names_one, METH_NOARGS, NULL},
    {"__reduce__", (PyCFunction)(void (*)(void))proxy_reduce,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(proxy_doc, "The name of a chare, or of a whole collection.\n\n\
proxy.method(...) calls the method there, asynchronously, and returns None;\n\
with ret=True a Future of the result, with awaitable=True one of the mere\n\
end. On a collection's proxy it calls all of its chares. proxy[i] or\n\
proxy[i, j] is the proxy of one element. proxy.method itself is a value that\n\
can be sent, and called later, wherever a callback is asked for.");

static PyType_Slot proxy_slots[] = {
    {Py_tp_doc, (void *)proxy_doc},
    {Py_tp_dealloc, proxy_dealloc},
    {Py_tp_repr, proxy_repr},
    {Py_tp_hash, proxy_hash},
    {Py_tp_richcompare, proxy_richcompare},
    {Py_tp_setattro, proxy_setattr},
    {Py_mp_subscript, proxy_subscript},
    {Py_mp_length, proxy_len},
    {Py_nb_bool, proxy_bool},
    {Py_tp_methods, proxy_methods},
    {Py_tp_getset, proxy_getset},
    {0, NULL},
};

PyType_Spec core_proxy_spec = {
    .name = "chare._core.Proxy",
    .basicsize = sizeof(struct core_proxy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = proxy_slots,
};
