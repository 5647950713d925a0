/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * class.c - the Class type: a class of chares, its entry methods and the type
 * of its proxies, as the runtime knows them.
 *
 * A Class is made for each user's class when charm.start() registers it, on
 * every PE in the same order. The state keeps all of them until the end, so
 * that entries, methods and chares may point to them without a reference.
 */
#include "migrate.h"
#include "state.h"

struct core_class *
core_class_get(struct core_state *state, uint32_t type)
{
    PyObject *item = Py_None;

    if (type < (size_t)PyList_GET_SIZE(state->classes)) {
        item = PyList_GET_ITEM(state->classes, (Py_ssize_t)type);
    }
    if (item == Py_None) {
        PyErr_Format(state->Error, "there is no class of chares number %u",
                     (unsigned)type);
        return NULL;
    }
    return (struct core_class *)item;
}

struct core_class *
core_class_find(struct core_state *state, PyObject *cls)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(state->classes); i++) {
        PyObject *item = PyList_GET_ITEM(state->classes, i);

        if (item != Py_None && ((struct core_class *)item)->cls == cls &&
            !((struct core_class *)item)->hidden) {
            return (struct core_class *)item;
        }
    }
    return NULL;
}

/* ---- hooks of the runtime */

/* The constructor of 'chare', or what comes before it, left an exception. */
static void
class_construction_failed(struct core_pe *pe, struct core_chare *chare,
                          const chare_call *call)
{
    core_build_begin(chare, call->source_pe);
    core_failed_of(pe, &chare->owner->init, chare, NULL);
}

/*
 * Run the constructor; args[0] is the flavour and makes room for self. The
 * object stays when that raises; see failed.h.
 */
static void
class_construct(struct core_pe *pe, struct core_class *self,
                struct core_chare *chare, const chare_call *call,
                PyObject **args, Py_ssize_t arg_count)
{
    struct core_entry *init = &self->init;
    PyObject *result;

    if (init->function == Py_None) {
        return;
    }
    if ((init->flags & CORE_ENTRY_COROUTINE) != 0 ||
        chare->flavour == CORE_FLAVOUR_MAIN) {
        core_build_begin(chare, call->source_pe);
        core_coroutine_start(pe, init, init->function, args + 1, arg_count,
                             (PyObject *)chare, NULL);
        core_build_began(pe->state, chare);
        return;
    }
    Py_SETREF(args[0], Py_NewRef((PyObject *)chare));
    pe->running = init;
    result = core_invoke_function(init, args, arg_count);
    pe->running = NULL;
    if (result == NULL) {
        class_construction_failed(pe, chare, call);
        return;
    }
    if (PyCoro_CheckExact(result)) { /* an 'async def' */
        core_build_begin(chare, call->source_pe);
        core_task_start(pe, init, result, chare, NULL);
        core_build_began(pe->state, chare);
    }
    Py_DECREF(result);
}

/* Give an object its name; takes it, and NULL, too. */
static struct core_chare *
class_name_object(struct core_class *self, const chare_call *call,
                  long flavour, PyObject *object)
{
    struct core_chare *chare = (struct core_chare *)object;

    if (object == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(object, self->state->ChareType)) {
        PyErr_Format(PyExc_TypeError, "%U.__new__() returned no chare",
                     self->name);
        Py_DECREF(object);
        return NULL;
    }
    if (core_chare_set_name(chare, call->self) < 0) {
        Py_DECREF(object);
        return NULL;
    }
    chare->flavour = (uint8_t)flavour;
    chare->host = (uint32_t)(flavour >> CORE_FLAVOUR_HOST_SHIFT);
    chare->owner = self;
    return chare;
}

struct core_chare *
core_class_instantiate(struct core_pe *pe, struct core_class *self,
                       const chare_call *call, long flavour)
{
    PyTypeObject *type = (PyTypeObject *)self->cls;
    PyObject *object;

    pe->state->instantiating = true;
    object = type->tp_new(type, pe->state->no_args, NULL);
    pe->state->instantiating = false;
    return class_name_object(self, call, flavour, object);
}

/* An object in the place of one that could not be made; the exception stays
 * set. NULL: with another one. */
static struct core_chare *
class_instead(struct core_class *self, const chare_call *call)
{
    PyObject *error = core_exception_take();
    PyTypeObject *type = (PyTypeObject *)self->cls;
    PyObject *object =
        PyBaseObject_Type.tp_new(type, self->state->no_args, NULL);
    struct core_chare *chare =
        class_name_object(self, call, CORE_FLAVOUR_ARRAY, object);

    if (chare != NULL && error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    }
    Py_XDECREF(error);
    return chare;
}

static chare_status
class_create(const chare_call *call, void *context, void **object_out)
{
    struct core_class *self = (struct core_class *)context;
    struct core_pe *pe = chare_user(call->runtime);
    PyObject *inline_args[CORE_ARGS_INLINE];
    PyObject **args;
    struct core_chare *chare = NULL;
    Py_ssize_t count;

    core_enter(pe);
    count = core_decode_args(pe, call, inline_args, CORE_ARGS_INLINE, &args);
    if (count == 0 || (count > 0 && !PyLong_CheckExact(args[0]))) {
        core_raise(pe->state, CHARE_ERR_FORMAT,
                   "no kind of collection before a constructor's arguments");
    } else if (count > 0) {
        chare = core_class_instantiate(pe, self, call, PyLong_AsLong(args[0]));
    }
    if (chare != NULL) {
        class_construct(pe, self, chare, call, args, count - 1);
    } else if ((chare = class_instead(self, call)) != NULL) {
        class_construction_failed(pe, chare, call);
    } else {
        core_failed(pe, &self->init, call->self, NULL);
    }
    pe->arg_count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(args[i]);
    }
    if (args != inline_args) {
        PyMem_Free(args);
    }
    core_leave(pe);
    if (chare == NULL) {
        return CHARE_ERR_INVALID;
    }
    *object_out = chare;
    return CHARE_OK;
}

static void
class_destroy(void *object, void *context)
{
    struct core_class *self = (struct core_class *)context;

    core_chare_destroyed(self->state->pe, (PyObject *)object);
}

/* ---- registration */

/* Remember an entry under the id that the runtime gave it. */
static int
state_add_entry(struct core_state *state, struct core_entry *entry)
{
    if (entry->id >= state->entry_room) {
        uint32_t room = (entry->id + 1) * 2;
        struct core_entry **entries =
            PyMem_Realloc(state->entries, room * sizeof(*entries));

        if (entries == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memset(entries + state->entry_room, 0,
               (room - state->entry_room) * sizeof(*entries));
        state->entries = entries;
        state->entry_room = room;
    }
    state->entries[entry->id] = entry;
    return 0;
}

static int
state_add_class(struct core_state *state, struct core_class *self)
{
    while ((size_t)PyList_GET_SIZE(state->classes) <= self->type) {
        if (PyList_Append(state->classes, Py_None) < 0) {
            return -1;
        }
    }
    return PyList_SetItem(state->classes, (Py_ssize_t)self->type,
                          Py_NewRef((PyObject *)self));
}

static int
class_register_type(struct core_class *self, struct core_pe *pe)
{
    chare_type_ops ops = {
        .size = sizeof(ops),
        .create = class_create,
        .destroy = class_destroy,
        .place = self->is_map ? core_place : NULL,
        .pack = core_chare_pack,
        .unpack = core_chare_unpack,
        .movable = core_chare_movable,
        .depart = core_chare_depart,
        .migrated = core_chare_migrated,
    };
    chare_status status;

    ops.name = PyUnicode_AsUTF8(self->name);
    if (ops.name == NULL) {
        return -1;
    }
    status = self->native /* its plug-in has registered it */
                 ? chare_type_find(pe->runtime, ops.name, &self->type)
                 : chare_type_register(pe->runtime, &ops, self, &self->type);
    if (status != CHARE_OK) {
        core_raise(self->state, status, ops.name);
        return -1;
    }
    return state_add_class(self->state, self);
}

static int
class_register_entry(struct core_class *self, struct core_pe *pe,
                     struct core_entry *entry, chare_entry_fn function)
{
    const char *name = PyUnicode_AsUTF8(entry->name);
    chare_status status;

    if (name == NULL) {
        return -1;
    }
    if (strcmp(name, "_chare_result") == 0) {
        name = "allreduce"; /* what reports know it by */
    } else if (strcmp(name, "_chare_ready") == 0) {
        name = "awaitCreation";
    }
    if (self->native) {
        entry->flags |= CORE_ENTRY_NATIVE;
        status = chare_entry_find(pe->runtime, self->type, name, &entry->id);
    } else {
        status = chare_entry_register(pe->runtime, self->type, name, function,
                                      entry, &entry->id);
    }
    if (status != CHARE_OK) {
        core_raise(self->state, status, name);
        return -1;
    }
    if ((entry->flags & CORE_ENTRY_AGGREGATE) != 0) {
        status = chare_entry_aggregate(pe->runtime, entry->id, true);
        if (status != CHARE_OK) {
            core_raise(self->state, status, name);
            return -1;
        }
    }
    return state_add_entry(self->state, entry);
}

/*
 * What runs an entry: core_invoke(), but for those hidden methods that are a C
 * function of their own. Remembers where the hidden ones are.
 */
static chare_entry_fn
class_entry_function(struct core_class *self, Py_ssize_t i)
{
    PyObject *name = self->entries[i].name;

    if (PyUnicode_CompareWithASCIIString(name, "_chare_ready") == 0) {
        self->ready_index = i;
    } else if (PyUnicode_CompareWithASCIIString(name, "_chare_result") == 0) {
        self->result_index = i;
    } else if (PyUnicode_CompareWithASCIIString(name, "_chare_future") == 0) {
        self->future_index = i;
    } else if (self->is_map &&
               PyUnicode_CompareWithASCIIString(name, "procNum") == 0) {
        self->place_index = i;
    } else if (PyUnicode_CompareWithASCIIString(name, "_chare_when") == 0) {
        self->when_index = i;
        return core_when_invoke;
    } else if (PyUnicode_CompareWithASCIIString(name, "_chare_channel") == 0) {
        self->channel_index = i;
        return core_channel_invoke;
    }
    return core_invoke;
}

static int
class_register_entries(struct core_class *self, struct core_pe *pe,
                       PyObject *entries)
{
    Py_ssize_t count = PyTuple_GET_SIZE(entries);

    self->entries = PyMem_Calloc((size_t)count + 1, sizeof(*self->entries));
    if (self->entries == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (core_entry_init(&self->entries[i], self,
                            PyTuple_GET_ITEM(entries, i)) < 0) {
            return -1;
        }
        self->entry_count = i + 1;
        if (class_register_entry(self, pe, &self->entries[i],
                                 class_entry_function(self, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The proxies' type: Proxy with one descriptor for each entry method. */
static int
class_make_proxy_type(struct core_class *self)
{
    PyObject *dict =
        Py_BuildValue("{s(),sN}", "__slots__", "__doc__",
                      PyUnicode_FromFormat("Proxy of %U.", self->name));
    PyObject *name = PyUnicode_FromFormat("%UProxy", self->name);

    for (Py_ssize_t i = 0; dict != NULL && i < self->entry_count; i++) {
        PyObject *method = core_method_new(self->state, &self->entries[i]);

        if (method == NULL ||
            PyDict_SetItem(dict, self->entries[i].name, method) < 0) {
            Py_CLEAR(dict);
        }
        self->entries[i].method = method;
    }
    if (dict != NULL && name != NULL) {
        self->proxy_type = (PyTypeObject *)PyObject_CallFunction(
            (PyObject *)&PyType_Type, "O(O)O", name,
            (PyObject *)self->state->ProxyType, dict);
    }
    Py_XDECREF(dict);
    Py_XDECREF(name);
    return self->proxy_type != NULL ? 0 : -1;
}

/*
 * register_class(cls, name, init description or None, entry descriptions,
 * hidden=False, native=False)
 */
PyObject *
core_class_register(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    struct core_class *self;
    PyObject *cls;
    PyObject *name;
    PyObject *init;
    PyObject *entries;
    int hidden = 0;
    int native = 0;

    if (pe == NULL ||
        !PyArg_ParseTuple(args, "O!UOO!|pp", &PyType_Type, &cls, &name, &init,
                          &PyTuple_Type, &entries, &hidden, &native)) {
        return NULL;
    }
    self = PyObject_GC_New(struct core_class, state->ClassType);
    if (self == NULL) {
        return NULL;
    }
    memset((char *)self + sizeof(PyObject), 0,
           sizeof(*self) - sizeof(PyObject));
    self->state = state;
    self->cls = Py_NewRef(cls);
    self->name = Py_NewRef(name);
    self->hidden = hidden != 0;
    self->native = native != 0;
    self->ready_index = -1;
    self->result_index = -1;
    self->place_index = -1;
    self->is_map = PyObject_HasAttrString(cls, "__chare_map__");
    self->when_index = -1;
    self->channel_index = -1;
    self->future_index = -1;
    PyObject_GC_Track(self);
    if (core_entry_init(&self->init, self, init) < 0 ||
        class_register_type(self, pe) < 0 ||
        class_register_entries(self, pe, entries) < 0 ||
        class_make_proxy_type(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* ---- the type */

static int
class_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_class *self = (struct core_class *)op;

    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->cls);
    Py_VISIT(self->proxy_type);
    Py_VISIT(self->waits);
    for (Py_ssize_t i = 0; i < self->entry_count; i++) {
        int result = core_entry_visit(&self->entries[i], visit, arg);

        if (result != 0) {
            return result;
        }
    }
    return core_entry_visit(&self->init, visit, arg);
}

static int
class_clear(PyObject *op)
{
    struct core_class *self = (struct core_class *)op;

    Py_CLEAR(self->cls);
    Py_CLEAR(self->proxy_type);
    Py_CLEAR(self->waits);
    core_entry_fini(&self->init);
    for (Py_ssize_t i = 0; i < self->entry_count; i++) {
        core_entry_fini(&self->entries[i]);
    }
    return 0;
}

static void
class_dealloc(PyObject *op)
{
    struct core_class *self = (struct core_class *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    (void)class_clear(op);
    for (Py_ssize_t i = 0; i < self->entry_count; i++) {
        if (self->entries[i].id < self->state->entry_room) {
            self->state->entries[self->entries[i].id] = NULL;
        }
    }
    Py_CLEAR(self->name);
    PyMem_Free(self->entries);
    PyObject_GC_Del(op);
    Py_DECREF(type);
}

static PyObject *
class_get_name(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef(((struct core_class *)op)->name);
}

static PyObject *
class_get_cls(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef(((struct core_class *)op)->cls);
}

static PyObject *
class_get_proxy_type(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef((PyObject *)((struct core_class *)op)->proxy_type);
}

static PyObject *
class_get_type(PyObject *op, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(((struct core_class *)op)->type);
}

static PyObject *
class_show(PyObject *op, PyObject *unused)
{
    (void)unused;
    ((struct core_class *)op)->hidden = false;
    Py_RETURN_NONE;
}

static PyMethodDef class_methods[] = {
    {"show", class_show, METH_NOARGS,
     PyDoc_STR("Every PE has it now: chares of it can be created.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef class_getset[] = {
    {"type", class_get_type, NULL, PyDoc_STR("Its number in the job."), NULL},
    {"name", class_get_name, NULL, PyDoc_STR("The name it has in the job."),
     NULL},
    {"cls", class_get_cls, NULL, PyDoc_STR("The Python class."), NULL},
    {"proxy_type", class_get_proxy_type, NULL,
     PyDoc_STR("The type of its proxies."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot class_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A registered class of chares.")},
    {Py_tp_dealloc, class_dealloc},
    {Py_tp_traverse, class_traverse},
    {Py_tp_clear, class_clear},
    {Py_tp_getset, class_getset},
    {Py_tp_methods, class_methods},
    {0, NULL},
};

PyType_Spec core_class_spec = {
    .name = "chare._core.Class",
    .basicsize = sizeof(struct core_class),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = class_slots,
};
