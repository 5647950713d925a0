/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * query.c - where am I: PEs, nodes, trees, versions, counters.
 */
#include "state.h"

/* Before charm.start() a process is its own job of one PE. */
static PyObject *
query_my_pe(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    return pe != NULL ? PyLong_FromUnsignedLong(pe->rank) : NULL;
}

static PyObject *
query_pe_count(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    return pe != NULL ? PyLong_FromUnsignedLong(chare_pe_count(pe->runtime))
                      : NULL;
}

static PyObject *
query_node_count(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));

    (void)unused;
    return pe != NULL ? PyLong_FromUnsignedLong(chare_node_count(pe->runtime))
                      : NULL;
}

/* A number below a limit; false with an exception. */
static bool
number_parse(PyObject *object, uint32_t limit, const char *what,
             uint32_t *number_out)
{
    long number = PyLong_AsLong(object);

    if (number == -1 && PyErr_Occurred()) {
        return false;
    }
    if (number < 0 || number >= (long)limit) {
        PyErr_Format(PyExc_ValueError, "there is no %s %ld: there are %u",
                     what, number, (unsigned)limit);
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

static PyObject *
query_node_of(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    uint32_t number;

    if (pe == NULL ||
        !number_parse(object, chare_pe_count(pe->runtime), "PE", &number)) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(chare_node_of(pe->runtime, number));
}

static PyObject *
query_node_pes(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    uint32_t node;
    uint32_t count;
    PyObject *list;

    if (pe == NULL ||
        !number_parse(object, chare_node_count(pe->runtime), "host", &node)) {
        return NULL;
    }
    count = chare_node_pe_count(pe->runtime, node);
    list = PyList_New((Py_ssize_t)count);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *number =
            PyLong_FromUnsignedLong(chare_node_pe(pe->runtime, node, i));

        if (number == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, number);
        }
    }
    return list;
}

static PyObject *
query_node_name(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    const char *name;
    uint32_t node;

    if (pe == NULL ||
        !number_parse(object, chare_node_count(pe->runtime), "host", &node)) {
        return NULL;
    }
    name = chare_node_name(pe->runtime, node);
    return PyUnicode_FromString(name != NULL ? name : "");
}

/* (parent, [children]) of a PE in the tree of a root. */
static PyObject *
query_tree_edges(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    unsigned who;
    unsigned root;
    uint32_t parent;
    uint32_t count = 0;
    uint32_t *children;
    chare_status status;
    PyObject *list = NULL;

    if (pe == NULL || !PyArg_ParseTuple(args, "II", &who, &root)) {
        return NULL;
    }
    children = PyMem_Calloc(chare_pe_count(pe->runtime), sizeof(*children));
    if (children == NULL) {
        return PyErr_NoMemory();
    }
    status = chare_tree_edges(pe->runtime, root, who, &parent, children,
                              chare_pe_count(pe->runtime), &count);
    if (status != CHARE_OK) {
        PyMem_Free(children);
        return core_raise(state, status, "no such PE in the tree");
    }
    list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLong(children[i]);

        if (number == NULL || PyList_Append(list, number) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(number);
    }
    PyMem_Free(children);
    if (list == NULL) {
        return NULL;
    }
    if (who == root) {
        return Py_BuildValue("(ON)", Py_None, list);
    }
    return Py_BuildValue("(IN)", (unsigned)parent, list);
}

/* PEs from a tuple, in rising order; NULL with an exception. */
static uint32_t *
pes_parse(PyObject *items, uint32_t limit)
{
    const Py_ssize_t count = PyTuple_GET_SIZE(items);
    uint32_t *pes = PyMem_Malloc(((size_t)count + 1) * sizeof(*pes));

    if (pes == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; pes != NULL && i < count; i++) {
        if (!number_parse(PyTuple_GET_ITEM(items, i), limit, "PE", &pes[i])) {
            PyMem_Free(pes);
            return NULL;
        }
    }
    return pes;
}

/* tree_subset(root, [PEs in rising order], fanout or 0): the tree in preorder,
 * as a list of (PE, PEs in its subtree). */
static PyObject *
query_tree_subset(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_tree_vertex *tree = NULL;
    chare_status status;
    uint32_t *pes = NULL;
    PyObject *object;
    PyObject *items;
    PyObject *list = NULL;
    Py_ssize_t count;
    unsigned root;
    unsigned fanout;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "IOI", &root, &object, &fanout)) {
        return NULL;
    }
    items = PySequence_Tuple(object);
    if (items == NULL) {
        return NULL;
    }
    count = PyTuple_GET_SIZE(items);
    pes = pes_parse(items, chare_pe_count(pe->runtime));
    tree = PyMem_Malloc(((size_t)count + 1) * sizeof(*tree));
    if (pes == NULL) {
        goto free_tree;
    }
    if (tree == NULL) {
        PyErr_NoMemory();
        goto free_tree;
    }
    status = chare_tree_subset(pe->runtime, root, pes, (uint32_t)count, fanout,
                               tree);
    if (status != CHARE_OK) {
        core_raise(state, status, "no tree over these PEs");
        goto free_tree;
    }
    list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(II)", (unsigned)tree[i].pe,
                                       (unsigned)tree[i].subtree_count);

        if (pair == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, pair);
        }
    }
free_tree:
    PyMem_Free(tree);
    PyMem_Free(pes);
    Py_DECREF(items);
    return list;
}

static PyObject *
query_counters(PyObject *module, PyObject *unused)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    chare_counters counters = {.size = sizeof(counters)};

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    chare_counters_get(pe->runtime, &counters);
    return Py_BuildValue(
        "{sKsKsKsKsKsKsK}", "messages_sent",
        (unsigned long long)counters.messages_sent, "messages_executed",
        (unsigned long long)counters.messages_executed, "bytes_sent",
        (unsigned long long)counters.bytes_sent, "bytes_received",
        (unsigned long long)counters.bytes_received, "foreign_dropped",
        (unsigned long long)counters.foreign_dropped, "calls_aggregated",
        (unsigned long long)counters.calls_aggregated, "aggregates_sent",
        (unsigned long long)counters.aggregates_sent);
}

static PyObject *
query_version(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("(iii)", CHARE_VERSION_MAJOR, CHARE_VERSION_MINOR,
                         CHARE_VERSION_PATCH);
}

/* What a value looks like after its way through the codec; for tests. */
static PyObject *
query_round_trip(PyObject *module, PyObject *value)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    struct core_reader reader;
    chare_data data;
    PyObject *result;
    size_t len;
    void *bytes;

    if (pe == NULL || core_data_value(pe, false, value, &data) < 0) {
        return NULL;
    }
    bytes = chare_buffer_bytes(data.buffer, &len);
    core_reader_init(&reader, pe, bytes, len, NULL);
    result = core_decode(&reader);
    core_reader_fini(&reader);
    if (result != NULL) {
        result = Py_BuildValue(
            "(NN)", result, PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len));
    }
    core_data_drop(&data);
    return result;
}

/* Whether a value may be handed over as it is: nobody can change it. */
static PyObject *
query_is_plain(PyObject *module, PyObject *value)
{
    return PyBool_FromLong(core_is_plain(core_state_get(module), value, 0));
}

/* A value as bytes, which decode() reads: a copy of it that can be kept. */
static PyObject *
query_encode(PyObject *module, PyObject *value)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    chare_data data;
    PyObject *result;
    size_t len;
    void *bytes;

    if (pe == NULL || core_data_value(pe, false, value, &data) < 0) {
        return NULL;
    }
    bytes = chare_buffer_bytes(data.buffer, &len);
    result = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len);
    core_data_drop(&data);
    return result;
}

/* Decode what encode() made; tests give it what strangers may send. */
static PyObject *
query_decode(PyObject *module, PyObject *object)
{
    struct core_pe *pe = core_pe_get(core_state_get(module));
    struct core_reader reader;
    PyObject *result;

    if (pe == NULL || !PyBytes_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "bytes are needed");
        return NULL;
    }
    core_reader_init(&reader, pe, PyBytes_AS_STRING(object),
                     (size_t)PyBytes_GET_SIZE(object), NULL);
    result = core_decode(&reader);
    core_reader_fini(&reader);
    return result;
}

static PyObject *
flag_set(PyObject *flag, bool *out)
{
    const int truth = PyObject_IsTrue(flag);

    if (truth < 0) {
        return NULL;
    }
    *out = truth != 0;
    Py_RETURN_NONE;
}

/* How results of broadcasts tell of exceptions: as Charm4py does, or not. */
static PyObject *
query_error_items(PyObject *module, PyObject *flag)
{
    return flag_set(flag, &core_state_get(module)->error_items);
}

/* Whether calls reach a chare while its constructor waits; as in Charm4py. */
static PyObject *
query_open_constructors(PyObject *module, PyObject *flag)
{
    return flag_set(flag, &core_state_get(module)->open_constructors);
}

PyMethodDef core_query_functions[] = {
    {"my_pe", query_my_pe, METH_NOARGS, PyDoc_STR("This PE.")},
    {"pe_count", query_pe_count, METH_NOARGS, PyDoc_STR("PEs in the job.")},
    {"node_count", query_node_count, METH_NOARGS,
     PyDoc_STR("Hosts in the job.")},
    {"node_of", query_node_of, METH_O, PyDoc_STR("The host of a PE.")},
    {"node_pes", query_node_pes, METH_O, PyDoc_STR("The PEs of a host.")},
    {"node_name", query_node_name, METH_O, PyDoc_STR("A host's name.")},
    {"tree_edges", query_tree_edges, METH_VARARGS,
     PyDoc_STR("(parent or None, [children]) of a PE in a root's tree.")},
    {"tree_subset", query_tree_subset, METH_VARARGS,
     PyDoc_STR("A tree over some PEs, as [(PE, PEs in its subtree)].")},
    {"counters", query_counters, METH_NOARGS,
     PyDoc_STR("What this PE has sent and done.")},
    {"version", query_version, METH_NOARGS,
     PyDoc_STR("The version of <chare.h>.")},
    {"error_items", query_error_items, METH_O,
     PyDoc_STR("Whether a broadcast's exceptions are items of its result,\n"
               "as in Charm4py, instead of raised by get().")},
    {"open_constructors", query_open_constructors, METH_O,
     PyDoc_STR("Whether calls reach chares whose constructors wait.")},
    {"round_trip", query_round_trip, METH_O,
     PyDoc_STR("(value decoded, its bytes); for tests.")},
    {"is_plain", query_is_plain, METH_O,
     PyDoc_STR("Whether nobody can change a value.")},
    {"move", core_move, METH_O,
     PyDoc_STR("An array that its sender gives up; see _data.py.")},
    {"memory", core_memory_create, METH_O,
     PyDoc_STR("(Memory, offset of so many bytes in it).")},
    {"encode", query_encode, METH_O, PyDoc_STR("A value as bytes.")},
    {"decode", query_decode, METH_O,
     PyDoc_STR("The value that bytes stand for.")},
    {NULL, NULL, 0, NULL},
};
