/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * section.c - sections: their proxies, and the functions that make them.
 *
 * The proxy of a section whose members are of several classes belongs to a
 * Class of its own, which the runtime does not know: its proxies have the
 * methods that all these classes have with one signature. The others raise
 * when they are looked up. The runtime calls, for each member, the method of
 * this name.
 */
#include "section.h"

/* ---- classes of several */

static int
type_compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static const struct core_entry *
entry_named(const struct core_class *cls, PyObject *name)
{
    for (Py_ssize_t i = 0; i < cls->entry_count; i++) {
        if (PyUnicode_Compare(cls->entries[i].name, name) == 0) {
            return &cls->entries[i];
        }
    }
    return NULL;
}

static bool
entries_agree(const struct core_entry *a, const struct core_entry *b)
{
    const unsigned mask = CORE_ENTRY_KEYWORDS;

    return a->args_min == b->args_min && a->args_max == b->args_max &&
           a->any_keyword == b->any_keyword &&
           (a->flags & mask) == (b->flags & mask) &&
           PyObject_RichCompareBool(a->params, b->params, Py_EQ) == 1 &&
           PyObject_RichCompareBool(a->keywords, b->keywords, Py_EQ) == 1;
}

/* What a name is in the proxies of several classes; new reference. If one is
 * in C, its method: for that nothing is pickled, which the others read too. */
static PyObject *
shared_method(struct core_state *state, PyObject *classes, PyObject *name)
{
    const struct core_entry *first = NULL;
    PyObject *function;
    PyObject *result;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        const struct core_class *cls =
            (struct core_class *)PyTuple_GET_ITEM(classes, i);
        const struct core_entry *entry = entry_named(cls, name);
        const bool agree =
            entry != NULL && (first == NULL || entries_agree(first, entry));

        if (agree) {
            if (first == NULL || (entry->flags & CORE_ENTRY_NATIVE) != 0) {
                first = entry;
            }
            continue;
        }
        function = core_support(state, "no_shared_method");
        if (function == NULL) {
            return NULL;
        }
        result = PyObject_CallFunctionObjArgs(
            function, name, cls->name, entry == NULL ? Py_True : Py_False,
            NULL);
        Py_DECREF(function);
        return result;
    }
    return Py_NewRef(first->method);
}

/* "Section of A, B", and the methods. */
static int
shared_proxy_type(struct core_state *state, struct core_class *self,
                  PyObject *classes)
{
    PyObject *dict = Py_BuildValue(
        "{s(),sN}", "__slots__", "__doc__",
        PyUnicode_FromFormat("Proxy of a section of %U.", self->name));

    for (Py_ssize_t i = 0; dict != NULL && i < PyTuple_GET_SIZE(classes);
         i++) {
        const struct core_class *cls =
            (struct core_class *)PyTuple_GET_ITEM(classes, i);

        for (Py_ssize_t n = 0; dict != NULL && n < cls->entry_count; n++) {
            PyObject *name = cls->entries[n].name;
            PyObject *method = PyDict_Contains(dict, name) == 1
                                   ? Py_NewRef(Py_None)
                                   : shared_method(state, classes, name);

            if (method == NULL || (method != Py_None &&
                                   PyDict_SetItem(dict, name, method) < 0)) {
                Py_CLEAR(dict);
            }
            Py_XDECREF(method);
        }
    }
    if (dict == NULL) {
        return -1;
    }
    self->proxy_type = (PyTypeObject *)PyObject_CallFunction(
        (PyObject *)&PyType_Type, "N(O)N",
        PyUnicode_FromFormat("%UProxy", self->name),
        (PyObject *)state->ProxyType, dict);
    return self->proxy_type != NULL ? 0 : -1;
}

static struct core_class *
shared_class_new(struct core_state *state, PyObject *classes,
                 const uint32_t *types, uint32_t count)
{
    struct core_class *self =
        PyObject_GC_New(struct core_class, state->ClassType);

    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->state = state;
    self->type = UINT32_MAX;
    self->part_count = count;
    memcpy(self->parts, types, count * sizeof(*types));
    self->cls = Py_NewRef(Py_None);
    self->name = PyUnicode_FromString("");
    for (uint32_t i = 0; self->name != NULL && i < count; i++) {
        const struct core_class *cls =
            (struct core_class *)PyTuple_GET_ITEM(classes, (Py_ssize_t)i);

        Py_SETREF(self->name,
                  PyUnicode_FromFormat("%U%s%U", self->name, i == 0 ? "" : "|",
                                       cls->name));
    }
    PyObject_GC_Track(self);
    if (self->name == NULL || shared_proxy_type(state, self, classes) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

struct core_class *
core_class_shared(struct core_state *state, const uint32_t *types,
                  uint32_t count)
{
    struct core_class *found = NULL;
    PyObject *classes;
    PyObject *key;

    if (count == 1) {
        return core_class_get(state, types[0]);
    }
    key = PyBytes_FromStringAndSize((const char *)types,
                                    (Py_ssize_t)(count * sizeof(*types)));
    if (key == NULL ||
        (state->shared == NULL && (state->shared = PyDict_New()) == NULL)) {
        Py_XDECREF(key);
        return NULL;
    }
    found = (struct core_class *)PyDict_GetItemWithError(state->shared, key);
    if (found != NULL || PyErr_Occurred()) {
        Py_DECREF(key);
        return found;
    }
    classes = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; classes != NULL && i < count; i++) {
        struct core_class *cls = core_class_get(state, types[i]);

        if (cls == NULL) {
            Py_CLEAR(classes);
        } else {
            PyTuple_SET_ITEM(classes, (Py_ssize_t)i, Py_NewRef(cls));
        }
    }
    if (classes != NULL) {
        found = shared_class_new(state, classes, types, count);
        Py_DECREF(classes);
    }
    if (found != NULL) {
        if (PyDict_SetItem(state->shared, key, (PyObject *)found) < 0) {
            Py_CLEAR(found);
        } else {
            Py_DECREF(found); /* the dict keeps it */
        }
    }
    Py_DECREF(key);
    return found;
}

/* Add the types of a proxy's chares to a sorted set. */
static int
types_add(struct core_state *state, const struct core_proxy *proxy,
          uint32_t types[CORE_SECTION_CLASSES_MAX], uint32_t *count_inout)
{
    const struct core_class *owner = proxy->owner;
    const uint32_t count = owner == NULL           ? 0
                           : owner->part_count > 0 ? owner->part_count
                                                   : 1;

    if (count == 0) {
        PyErr_SetString(PyExc_TypeError,
                        "a section needs proxies of Python's chares");
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t type =
            owner->part_count > 0 ? owner->parts[i] : owner->type;
        uint32_t at = 0;

        while (at < *count_inout && types[at] != type) {
            at++;
        }
        if (at == CORE_SECTION_CLASSES_MAX) {
            PyErr_Format(state->Error,
                         "a section has chares of at most %d classes",
                         CORE_SECTION_CLASSES_MAX);
            return -1;
        }
        if (at == *count_inout) {
            types[(*count_inout)++] = type;
        }
    }
    qsort(types, *count_inout, sizeof(*types), type_compare);
    return 0;
}

/* ---- functions of the module */

/* A sequence of proxies as a fast sequence; NULL with TypeError. */
static PyObject *
proxies_parse(struct core_state *state, PyObject *object)
{
    PyObject *items = PySequence_Fast(object, "a sequence of proxies");

    for (Py_ssize_t i = 0;
         items != NULL && i < PySequence_Fast_GET_SIZE(items); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(items, i);

        if (!core_is_proxy(state, item)) {
            PyErr_Format(PyExc_TypeError, "%R is no proxy", item);
            Py_CLEAR(items);
        }
    }
    return items;
}

static struct core_proxy *
proxy_at(PyObject *items, Py_ssize_t i)
{
    return (struct core_proxy *)PySequence_Fast_GET_ITEM(items, i);
}

/* section_proxy(id, proxies): the proxy of a section of their chares. */
static PyObject *
section_proxy(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    uint32_t types[CORE_SECTION_CLASSES_MAX];
    chare_element element = {0, {0, 0, {0, 0, 0, 0, 0, 0}}};
    struct core_class *owner;
    PyObject *items;
    PyObject *object;
    unsigned long long id;
    uint32_t count = 0;
    uint8_t ndims = 0;

    if (!PyArg_ParseTuple(args, "KO", &id, &object)) {
        return NULL;
    }
    items = proxies_parse(state, object);
    if (items == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); i++) {
        const struct core_proxy *proxy = proxy_at(items, i);

        if (types_add(state, proxy, types, &count) < 0) {
            Py_DECREF(items);
            return NULL;
        }
        ndims = i == 0 || ndims == proxy->ndims ? proxy->ndims : 0;
    }
    Py_DECREF(items);
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError, "a section needs a collection");
        return NULL;
    }
    owner = core_class_shared(state, types, count);
    if (owner == NULL) {
        return NULL;
    }
    element.collection = id;
    return core_proxy_new(state, owner, &element, CORE_FLAVOUR_SECTION, ndims);
}

/* A callback that may be None; -1 with an exception. */
static int
created_parse(struct core_state *state, PyObject *object,
              chare_callback *callback, const chare_callback **out)
{
    *out = object == Py_None ? NULL : callback;
    return object == Py_None ? 0 : core_callback_get(state, object, callback);
}

static PyObject *
section_id(struct core_state *state, chare_status status, const char *what,
           chare_collection id)
{
    if (status == CHARE_ERR_NOT_FOUND) {
        PyErr_Format(PyExc_LookupError, "%s: it was destroyed", what);
        return NULL;
    }
    if (status != CHARE_OK) {
        return core_raise(state, status, what);
    }
    return PyLong_FromUnsignedLongLong(id);
}

/* The names of elements that may exist; NULL with an exception. */
static chare_element *
elements_parse(struct core_pe *pe, PyObject *items)
{
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    chare_element *elements =
        PyMem_Malloc(((size_t)count + 1) * sizeof(*elements));

    if (elements == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const struct core_proxy *proxy = proxy_at(items, i);

        elements[i] = proxy->element;
        if (!core_proxy_is_element(proxy) ||
            chare_element_check(pe->runtime, &elements[i]) != CHARE_OK) {
            PyErr_Format(PyExc_IndexError, "there is no chare %R",
                         (PyObject *)proxy);
            PyMem_Free(elements);
            return NULL;
        }
    }
    return elements;
}

/* section_create(element proxies, callback or None) */
static PyObject *
section_create(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    const chare_callback *created;
    chare_callback callback;
    chare_collection id = 0;
    chare_element *elements;
    chare_status status;
    PyObject *object;
    PyObject *notify;
    PyObject *items;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO", &object, &notify) ||
        created_parse(state, notify, &callback, &created) < 0) {
        return NULL;
    }
    items = proxies_parse(state, object);
    if (items == NULL) {
        return NULL;
    }
    elements = elements_parse(pe, items);
    if (elements == NULL) {
        Py_DECREF(items);
        return NULL;
    }
    status = chare_section_create(pe->runtime, elements,
                                  (size_t)PySequence_Fast_GET_SIZE(items),
                                  created, &id);
    PyMem_Free(elements);
    Py_DECREF(items);
    return section_id(state, status, "cannot make a section", id);
}

/* section_combine(proxies, callback or None) */
static PyObject *
section_combine(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_collection *parts;
    const chare_callback *created;
    chare_callback callback;
    chare_collection id = 0;
    chare_status status;
    PyObject *object;
    PyObject *notify;
    PyObject *items;
    Py_ssize_t count;

    if (pe == NULL || !PyArg_ParseTuple(args, "OO", &object, &notify) ||
        created_parse(state, notify, &callback, &created) < 0) {
        return NULL;
    }
    items = proxies_parse(state, object);
    if (items == NULL) {
        return NULL;
    }
    count = PySequence_Fast_GET_SIZE(items);
    parts = PyMem_Malloc(((size_t)count + 1) * sizeof(*parts));
    if (parts == NULL) {
        Py_DECREF(items);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        parts[i] = proxy_at(items, i)->element.collection;
    }
    status =
        chare_section_combine(pe->runtime, parts, (size_t)count, created, &id);
    PyMem_Free(parts);
    Py_DECREF(items);
    return section_id(state, status, "cannot combine", id);
}

/* One of (from or None, to or None, step); -1 with an exception. */
static int
slice_parse(PyObject *object, chare_slice *out)
{
    PyObject *from;
    PyObject *to;
    long long step;

    memset(out, 0, sizeof(*out));
    if (!PyArg_ParseTuple(object, "OOL", &from, &to, &step)) {
        return -1;
    }
    out->step = step;
    out->has_from = from != Py_None;
    out->has_to = to != Py_None;
    if (out->has_from) {
        out->from = PyLong_AsLongLong(from);
    }
    if (out->has_to && !PyErr_Occurred()) {
        out->to = PyLong_AsLongLong(to);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* section_slice(proxy, ((from, to, step), ...), callback or None) */
static PyObject *
section_slice(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_slice slices[CHARE_DIMS_MAX];
    const chare_callback *created;
    chare_callback callback;
    chare_collection id = 0;
    chare_status status;
    PyObject *proxy;
    PyObject *tuple;
    PyObject *notify;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "OO!O", &proxy, &PyTuple_Type, &tuple,
                          &notify) ||
        created_parse(state, notify, &callback, &created) < 0) {
        return NULL;
    }
    if (!core_is_proxy(state, proxy) ||
        PyTuple_GET_SIZE(tuple) > CHARE_DIMS_MAX) {
        PyErr_SetString(PyExc_TypeError, "a proxy and slices are needed");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        if (slice_parse(PyTuple_GET_ITEM(tuple, i), &slices[i]) < 0) {
            return NULL;
        }
    }
    status = chare_section_slice(
        pe->runtime, ((struct core_proxy *)proxy)->element.collection, slices,
        (uint32_t)PyTuple_GET_SIZE(tuple), created, &id);
    return section_id(state, status, "cannot slice this", id);
}

static PyObject *
section_open(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    chare_collection id = 0;
    chare_status status;
    unsigned count;

    if (pe == NULL || !PyArg_ParseTuple(args, "I", &count)) {
        return NULL;
    }
    status = chare_section_open(pe->runtime, count, &id);
    return section_id(state, status, "cannot make so many sections", id);
}

/* section_enlist(chare, id) */
static PyObject *
section_enlist(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    struct core_chare *chare;
    unsigned long long id;
    chare_element name;
    chare_status status;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "O!K", state->ChareType, &chare, &id)) {
        return NULL;
    }
    core_chare_name(chare, &name);
    status = chare_section_enlist(pe->runtime, &name, id);
    if (status != CHARE_OK) {
        return core_raise(state, status, "cannot join a section");
    }
    Py_RETURN_NONE;
}

/* section_close(first id, count, proxy of all their chares, callback) */
static PyObject *
section_close(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    const chare_callback *created;
    chare_callback callback;
    unsigned long long first;
    chare_status status;
    unsigned count;
    PyObject *over;
    PyObject *notify;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "KIO!O", &first, &count, state->ProxyType,
                          &over, &notify) ||
        created_parse(state, notify, &callback, &created) < 0) {
        return NULL;
    }
    status = chare_section_close(
        pe->runtime, first, count,
        ((struct core_proxy *)over)->element.collection, created);
    if (status != CHARE_OK) {
        return core_raise(state, status, "cannot close sections");
    }
    Py_RETURN_NONE;
}

PyMethodDef core_section_functions[] = {
    {"section_proxy", section_proxy, METH_VARARGS,
     PyDoc_STR("The proxy of a section of some proxies' chares.")},
    {"section_create", section_create, METH_VARARGS,
     PyDoc_STR("A section of named chares; its number.")},
    {"section_combine", section_combine, METH_VARARGS,
     PyDoc_STR("A section of all chares of others; its number.")},
    {"section_slice", section_slice, METH_VARARGS,
     PyDoc_STR("A section of regular indices; its number.")},
    {"section_open", section_open, METH_VARARGS,
     PyDoc_STR("Sections that chares may join; the first number.")},
    {"section_enlist", section_enlist, METH_VARARGS,
     PyDoc_STR("A chare joins a section.")},
    {"section_close", section_close, METH_VARARGS,
     PyDoc_STR("All have joined.")},
    {NULL, NULL, 0, NULL},
};

/* ---- of proxies and chares */

Py_ssize_t
core_section_len(struct core_state *state, const struct core_proxy *proxy)
{
    struct core_pe *pe = core_pe_get(state);
    chare_status status;
    uint64_t count;

    if (pe == NULL) {
        return -1;
    }
    if (proxy->flavour != CORE_FLAVOUR_SECTION) {
        PyErr_SetString(PyExc_TypeError,
                        "len() is for the proxies of sections");
        return -1;
    }
    status =
        chare_section_size(pe->runtime, proxy->element.collection, &count);
    if (status == CHARE_ERR_NOT_FOUND) {
        core_raise_called(state, status, proxy, "len()");
        return -1;
    }
    if (status != CHARE_OK) {
        PyErr_SetString(state->Error,
                        "the size of a section is known where it was made, "
                        "once that is done, and where it has members");
        return -1;
    }
    return (Py_ssize_t)count;
}

int
core_section_parse(struct core_state *state, const struct core_chare *chare,
                   PyObject *object, chare_collection *section_out)
{
    const struct core_proxy *proxy = (struct core_proxy *)object;

    *section_out = 0;
    if (object == Py_None) {
        return 0;
    }
    if (!core_is_proxy(state, object) ||
        (proxy->flavour != CORE_FLAVOUR_SECTION &&
         (core_proxy_is_element(proxy) ||
          proxy->element.collection != chare->collection))) {
        PyErr_Format(PyExc_TypeError, "section: %R is no proxy of a section",
                     object);
        return -1;
    }
    if (proxy->flavour == CORE_FLAVOUR_SECTION) {
        *section_out = proxy->element.collection;
    }
    return 0;
}

PyObject *
core_section_refused(struct core_state *state, struct core_chare *chare,
                     chare_collection section, chare_status status)
{
    char number[CORE_ID_TEXT_BYTES];

    if (status != CHARE_ERR_NOT_FOUND) {
        return core_raise(state, status, "cannot contribute to a section");
    }
    core_id_text(section, number);
    PyErr_Format(PyExc_ValueError,
                 "%R is no member of this section %s, or it was destroyed",
                 (PyObject *)chare, number);
    return NULL;
}
