/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * chare.c - the Chare type, the base of all users' classes.
 *
 * The runtime sets the name and 'flavour' before the constructor runs, so
 * that thisIndex and thisProxy work in it, and no constructor needs to call
 * that of its base.
 */
#include "create.h"
#include "migrate.h"
#include "reducer.h"
#include "section.h"
#include "state.h"

#include <structmember.h>

/*
 * The state belongs to the base type; a user's class is a subclass of it.
 * 'owner' leads there for every chare that the runtime made.
 */
static struct core_state *
chare_state(struct core_chare *self)
{
    if (self->owner == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "this chare was made by hand; create chares by "
                        "Chare(), Group() or Array()");
        return NULL;
    }
    return self->owner->state;
}

static PyTypeObject *
chare_base(PyTypeObject *type)
{
    while (type->tp_base != &PyBaseObject_Type) {
        type = type->tp_base;
    }
    return type;
}

struct core_rare *
core_chare_rare(struct core_chare *chare)
{
    if (chare->rare == NULL) {
        chare->rare = PyMem_Calloc(1, sizeof(*chare->rare));
        if (chare->rare == NULL) {
            PyErr_NoMemory();
        }
    }
    return chare->rare;
}

/* Chare(cls, args=[], onPE=-1) on the base itself creates a chare. */
static PyObject *
chare_create_single(struct core_state *state, PyObject *args,
                    PyObject *keywords)
{
    static const char *const names[] = {"cls", "args", "onPE", NULL};
    PyObject *cls;
    PyObject *init_args = NULL;
    long pe = -1;

    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|Ol:Chare",
                                     (char **)(uintptr_t)names, &cls,
                                     &init_args, &pe)) {
        return NULL;
    }
    return core_single_new(state, cls, init_args, pe, CORE_FLAVOUR_SINGLE);
}

/*
 * The object of a chare. Not by tp_alloc(): before CPython 3.13, object's own
 * makes room for attributes that share their names, a third of what a
 * dictionary takes. Later it does so only for classes without parts in C: for
 * others the first attribute would make a dictionary with room for thirty,
 * which the interpreter's quick ways to attributes do not know, either.
 */
static PyObject *
chare_alloc(PyTypeObject *type, PyObject *no_args)
{
    PyObject *op = PyBaseObject_Type.tp_new(type, no_args, NULL);

#if PY_VERSION_HEX >= 0x030d0000
    if (op != NULL && type->tp_dictoffset != 0) {
        PyObject *dict = PyDict_New();

        if (dict == NULL || PyObject_GenericSetDict(op, dict, NULL) < 0) {
            Py_CLEAR(op);
        }
        Py_XDECREF(dict);
    }
#endif
    return op;
}

static PyObject *
chare_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyTypeObject *base = chare_base(type);

    if (type == base) {
        return chare_create_single(core_state_of(base), args, keywords);
    }
    if (!core_state_of(base)->instantiating) {
        PyErr_Format(PyExc_TypeError,
                     "%s() makes no chare: Chare(%s) makes one, Group(%s) one "
                     "on each PE, Array(%s, dims) one at each index; the "
                     "constructor's arguments are args=[...]",
                     type->tp_name, type->tp_name, type->tp_name,
                     type->tp_name);
        return NULL;
    }
    return chare_alloc(type, core_state_of(base)->no_args);
}

/* Constructors of users need not call this one, and may with anything. */
static int
chare_init(PyObject *op, PyObject *args, PyObject *keywords)
{
    (void)op;
    (void)args;
    (void)keywords;
    return 0;
}

static int
chare_traverse(PyObject *op, visitproc visit, void *arg)
{
    struct core_chare *self = (struct core_chare *)op;
    int result = core_when_visit(self, visit, arg);

    Py_VISIT(Py_TYPE(op));
    if (self->rare == NULL) {
        return result;
    }
    Py_VISIT(self->rare->results);
    Py_VISIT(self->rare->section_results);
    Py_VISIT(self->rare->failure);
    Py_VISIT(self->rare->restarts);
    Py_VISIT(self->rare->adopted);
    if (result == 0) {
        result = core_build_visit(self, visit, arg);
    }
    return result != 0 ? result : core_channels_visit(self, visit, arg);
}

static int
chare_clear(PyObject *op)
{
    struct core_rare *rare = ((struct core_chare *)op)->rare;

    if (rare == NULL) {
        return 0;
    }
    Py_CLEAR(rare->results);
    Py_CLEAR(rare->section_results);
    Py_CLEAR(rare->failure);
    Py_CLEAR(rare->restarts);
    Py_CLEAR(rare->adopted);
    core_when_clear((struct core_chare *)op);
    core_build_clear((struct core_chare *)op);
    core_channels_clear((struct core_chare *)op);
    return 0;
}

static void
chare_dealloc(PyObject *op)
{
    struct core_chare *self = (struct core_chare *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)chare_clear(op);
    PyMem_Free(self->rare);
    core_chare_free_name(self);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
chare_get_index(PyObject *op, void *closure)
{
    struct core_chare *self = (struct core_chare *)op;
    chare_element name;

    (void)closure;
    if (chare_state(self) == NULL) {
        return NULL;
    }
    core_chare_name(self, &name);
    switch (self->flavour) {
    case CORE_FLAVOUR_GROUP:
        return PyLong_FromLongLong(name.index.at[0]);
    case CORE_FLAVOUR_SINGLE:
        return Py_BuildValue("(i)", 0);
    case CORE_FLAVOUR_ARRAY:
        return core_index_build(&name.index);
    default:
        PyErr_SetString(PyExc_AttributeError,
                        "the main chare has no thisIndex");
        return NULL;
    }
}

static PyObject *
chare_get_proxy(PyObject *op, void *closure)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = chare_state(self);
    struct core_class *owner = self->owner;
    chare_element whole;

    (void)closure;
    if (state == NULL) {
        return NULL;
    }
    if (self->host != 0) { /* its array's class says what can be called */
        owner = core_class_get(state, self->host - 1);
        if (owner == NULL) {
            return NULL;
        }
    }
    core_chare_name(self, &whole);
    if (self->flavour == CORE_FLAVOUR_GROUP ||
        self->flavour == CORE_FLAVOUR_ARRAY) {
        memset(&whole.index, 0, sizeof(whole.index));
    }
    return core_proxy_new(state, owner, &whole,
                          (enum core_flavour)self->flavour, self->ndims);
}

/* reduce(callback, data=None, reducer=None) */
static PyObject *
chare_reduce(PyObject *op, PyObject *const *args, Py_ssize_t arg_count,
             PyObject *kwnames)
{
    static const char *const names[] = {"callback", "data", "reducer",
                                        "section", NULL};
    struct core_state *state = chare_state((struct core_chare *)op);
    PyObject *values[] = {NULL, Py_None, Py_None, Py_None};

    if (kwnames == NULL && state != NULL && arg_count == 3) {
        return core_contribute(state, (struct core_chare *)op, args[1],
                               args[2], args[0], Py_None);
    }
    if (state == NULL ||
        core_arguments_parse("reduce", names, 1, args, arg_count, kwnames,
                             values) < 0) {
        return NULL;
    }
    return core_contribute(state, (struct core_chare *)op, values[1],
                           values[2], values[0], values[3]);
}

/* contribute(data, reducer, callback) */
static PyObject *
chare_contribute_method(PyObject *op, PyObject *const *args,
                        Py_ssize_t arg_count, PyObject *kwnames)
{
    static const char *const names[] = {"data", "reducer", "callback",
                                        "section", NULL};
    struct core_state *state = chare_state((struct core_chare *)op);
    PyObject *values[] = {NULL, NULL, NULL, Py_None};

    if (state == NULL ||
        core_arguments_parse("contribute", names, 3, args, arg_count, kwnames,
                             values) < 0) {
        return NULL;
    }
    return core_contribute(state, (struct core_chare *)op, values[0],
                           values[1], values[2], values[3]);
}

/* Where the result of an allreduce() goes: to all, or to the only one. */
static chare_callback
result_callback(const struct core_chare *self, chare_collection section)
{
    uint32_t entry = self->owner->entries[self->owner->result_index].id;
    chare_element name;

    if (section != 0) {
        return chare_callback_broadcast(section, entry);
    }
    if (self->flavour == CORE_FLAVOUR_GROUP ||
        self->flavour == CORE_FLAVOUR_ARRAY) {
        return chare_callback_broadcast(self->collection, entry);
    }
    core_chare_name(self, &name);
    return chare_callback_element(name, entry);
}

/* The futures of allreduce() under way, made if there are none; borrowed. */
static PyObject *
results_get(struct core_chare *self, chare_collection section)
{
    struct core_rare *rare = core_chare_rare(self);
    PyObject *list;
    PyObject *key;

    if (rare == NULL) {
        return NULL;
    }
    if (section == 0) {
        if (rare->results == NULL) {
            rare->results = PyList_New(0);
        }
        return rare->results;
    }
    if (rare->section_results == NULL &&
        (rare->section_results = PyDict_New()) == NULL) {
        return NULL;
    }
    key = PyLong_FromUnsignedLongLong(section);
    if (key == NULL) {
        return NULL;
    }
    list = PyDict_GetItemWithError(rare->section_results, key);
    if (list == NULL && !PyErr_Occurred() && (list = PyList_New(0)) != NULL) {
        int failed = PyDict_SetItem(rare->section_results, key, list);

        Py_DECREF(list); /* the dict keeps it */
        list = failed ? NULL : list;
    }
    Py_DECREF(key);
    return list;
}

/* Nothing is under way in a section: keep no list for it. */
static void
results_drop(struct core_chare *self, chare_collection section)
{
    PyObject *lists = core_chare_rare(self)->section_results;
    PyObject *key = PyLong_FromUnsignedLongLong(section);

    if (key == NULL || PyDict_DelItem(lists, key) < 0) {
        PyErr_Clear(); /* it is only a list that stays */
    }
    Py_XDECREF(key);
}

/*
 * allreduce(data=None, reducer=None, section=None): the result is broadcast to
 * the hidden method _chare_result(), which completes the oldest future of this
 * collection or section. The reductions of each complete in the order in which
 * its chares contribute.
 */
static PyObject *
chare_allreduce(PyObject *op, PyObject *const *args, Py_ssize_t arg_count,
                PyObject *kwnames)
{
    static const char *const names[] = {"data", "reducer", "section", NULL};
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = chare_state(self);
    PyObject *values[] = {Py_None, Py_None, Py_None};
    struct core_future *future;
    chare_collection section;
    chare_callback callback;
    PyObject *results;
    PyObject *done;

    if (state == NULL ||
        core_arguments_parse("allreduce", names, 0, args, arg_count, kwnames,
                             values) < 0 ||
        core_pe_get(state) == NULL ||
        core_section_parse(state, self, values[2], &section) < 0) {
        return NULL;
    }
    if (self->host != 0) {
        PyErr_SetString(state->Error,
                        "allreduce() is for arrays of one class in Python; "
                        "here chares in C take part: use reduce() with a "
                        "method of the array's class as the callback");
        return NULL;
    }
    results = results_get(self, section);
    if (results == NULL) {
        return NULL;
    }
    callback = result_callback(self, section);
    future = core_future_new(state->current, 1);
    if (future == NULL) {
        return NULL;
    }
    done = core_contribute_to(state, self, values[0], values[1], &callback,
                              section);
    if (done == NULL || PyList_Append(results, (PyObject *)future) < 0) {
        Py_XDECREF(done);
        core_future_cancel(future);
        Py_DECREF(future);
        return NULL;
    }
    Py_DECREF(done);
    return (PyObject *)future;
}

/* Hidden entry: the result of the oldest allreduce(). */
static PyObject *
chare_result(PyObject *op, PyObject *const *args, Py_ssize_t arg_count)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = chare_state(self);
    PyObject *value = arg_count > 0 ? args[0] : Py_None;
    chare_collection section;
    PyObject *results;
    PyObject *future;

    if (state == NULL || core_pe_get(state) == NULL) {
        return NULL;
    }
    section =
        chare_is_section(state->current->called) ? state->current->called : 0;
    results = results_get(self, section);
    if (results == NULL) {
        return NULL;
    }
    if (PyList_GET_SIZE(results) == 0) {
        PyErr_SetString(state->Error,
                        "a result of allreduce() came that nobody waits for");
        return NULL;
    }
    future = Py_NewRef(PyList_GET_ITEM(results, 0));
    if (PyList_SetSlice(results, 0, 1, NULL) < 0) {
        Py_DECREF(future);
        return NULL;
    }
    if (section != 0 && PyList_GET_SIZE(results) == 0) {
        results_drop(self, section);
    }
    core_future_deliver((struct core_future *)future, Py_NewRef(value));
    Py_DECREF(future);
    if (state->current->unmovable) {
        core_chare_retry(state->current, self);
    }
    Py_RETURN_NONE;
}

/* Hidden entry: join the sections that a function says; see _sections.py. */
static PyObject *
chare_enlist(PyObject *op, PyObject *const *args, Py_ssize_t arg_count)
{
    struct core_state *state = chare_state((struct core_chare *)op);
    PyObject *function;
    PyObject *result;

    if (state == NULL) {
        return NULL;
    }
    if (arg_count != 3) {
        PyErr_SetString(PyExc_TypeError, "_chare_enlist() has 3 arguments");
        return NULL;
    }
    function = core_support(state, "enlist");
    if (function == NULL) {
        return NULL;
    }
    result = PyObject_CallFunctionObjArgs(function, op, args[0], args[1],
                                          args[2], NULL);
    Py_DECREF(function);
    return result;
}

/* Hidden entry: does nothing, once the chare exists. */
static PyObject *
chare_ready(PyObject *op, PyObject *unused)
{
    (void)op;
    (void)unused;
    Py_RETURN_NONE;
}

/* wait(condition) */
static PyObject *
chare_wait(PyObject *op, PyObject *condition)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = chare_state(self);
    struct core_pe *pe = state != NULL ? core_pe_get(state) : NULL;

    return pe != NULL ? core_when_wait(pe, self, condition) : NULL;
}

static PyObject *
chare_flush_held(PyObject *op, PyObject *unused)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_state *state = chare_state(self);
    struct core_pe *pe = state != NULL ? core_pe_get(state) : NULL;

    (void)unused;
    if (pe == NULL) {
        return NULL;
    }
    core_when_touch(pe, self);
    Py_RETURN_NONE;
}

static PyObject *
chare_repr(PyObject *op)
{
    struct core_chare *self = (struct core_chare *)op;
    char number[CORE_ID_TEXT_BYTES];
    chare_element name;
    PyObject *index;
    PyObject *text;

    if (self->owner == NULL) {
        return PyUnicode_FromFormat("<%s made by hand>", Py_TYPE(op)->tp_name);
    }
    core_chare_name(self, &name);
    index = core_index_build(&name.index);
    if (index == NULL) {
        return NULL;
    }
    core_id_text(self->collection, number);
    text = PyUnicode_FromFormat("<chare %U%R of collection %s>",
                                self->owner->name, index, number);
    Py_DECREF(index);
    return text;
}

PyDoc_STRVAR(chare_doc, "Chare(cls, args=[], onPE=-1)\n--\n\n\
Base of all classes of chares; and, called itself, creates one chare.\n\
\n\
class Worker(Chare) makes each method of Worker an entry method, which any\n\
PE can call through a proxy. Chare(Worker, args, onPE) creates one Worker\n\
with these arguments on a PE (-1: the runtime chooses) and returns a proxy,\n\
which can be used at once.\n\
\n\
Raises TypeError when the arguments do not fit the constructor, ValueError\n\
when there is no such PE, and Error when the class is not registered.\n\
\n\
Example: worker = Chare(Worker, args=[10], onPE=charm.numPes() - 1)");

PyDoc_STRVAR(reduce_doc, "reduce($self, callback, data=None, reducer=None, \
section=None)\n--\n\n\
Contribute to the next reduction of this chare's collection, or of a section\n\
that it is a member of.\n\
\n\
callback is told the result: a Future of any PE, or a method of a proxy (of\n\
a chare or a whole collection). reducer is an attribute of Reducer, or None:\n\
no data, only that all have contributed. All chares of the collection\n\
contribute to reductions in the same order, naming the same reducer and\n\
callback; several may be under way. What does not fit together is an error\n\
to the callback: see Reducer.\n\
\n\
Example: self.reduce(future, self.count, Reducer.sum)");

PyDoc_STRVAR(contribute_doc,
             "contribute($self, data, reducer, callback, section=None)\n--\n\n\
The same as reduce(), in an older spelling.\n\
\n\
Example: self.contribute(self.count, Reducer.sum, future)");

PyDoc_STRVAR(allreduce_doc, "allreduce($self, data=None, reducer=None, \
section=None)\n--\n\n\
reduce() to all: a Future of the result, for each chare; no two share it.\n\
\n\
Without data it is a barrier: self.allreduce().get().\n\
\n\
Example: total = self.allreduce(1, Reducer.sum).get()");

PyDoc_STRVAR(wait_doc, "wait($self, condition)\n--\n\n\
Suspend this coroutine until a condition on the chare's state holds.\n\
\n\
condition is the text of a Python expression, which sees self, the globals\n\
of the module of the chare's class and the builtins, or a function without\n\
parameters. If it holds now, wait() returns at once; else it is looked at\n\
again after each entry method, and each step of a coroutine, of this chare.\n\
It holds when wait() returns. In an 'async def' method it is to be awaited.\n\
\n\
Raises NotThreadedError outside of coroutines, and Error when the condition\n\
is no expression or raises an exception.\n\
\n\
Example: self.wait(\"self.replies == 4\")");

PyDoc_STRVAR(flush_doc, "__flush_wait_queues__($self)\n--\n\n\
Look again at the conditions of what waits in this chare, @when and wait().\n\
\n\
It is done when the running method ends or suspends. Only needed with\n\
charm.options.auto_flush_wait_queues = False, or when something else than a\n\
method of this chare made a condition true.");

PyDoc_STRVAR(at_sync_doc,
             "AtSync()\n--\n\n"
             "Say that this chare may be moved now, to balance load.\n\n"
             "For chares of arrays created with useAtSync=True, or inserted "
             "so by ckInsert().\n"
             "When all have said so, and those that were to move have "
             "arrived, each chare's\n"
             "resumeFromSync() is called, if it has one. Returns at once. "
             "Raises Error when its\n"
             "array has no useAtSync, or it has said so before.\n\n"
             "Example::\n\n"
             "    def step(self):\n"
             "        self.work()\n"
             "        self.AtSync()\n\n"
             "    def resumeFromSync(self):\n"
             "        self.thisProxy[self.thisIndex].step()");

static PyMethodDef chare_methods[] = {
    {"reduce", (PyCFunction)(void (*)(void))chare_reduce,
     METH_FASTCALL | METH_KEYWORDS, reduce_doc},
    {"contribute", (PyCFunction)(void (*)(void))chare_contribute_method,
     METH_FASTCALL | METH_KEYWORDS, contribute_doc},
    {"allreduce", (PyCFunction)(void (*)(void))chare_allreduce,
     METH_FASTCALL | METH_KEYWORDS, allreduce_doc},
    {"wait", chare_wait, METH_O, wait_doc},
    {"AtSync", core_chare_at_sync, METH_NOARGS, at_sync_doc},
    {"migrate", core_chare_migrate, METH_O, core_chare_migrate_doc},
    {"setMigratable", core_chare_set_migratable, METH_O,
     core_chare_set_migratable_doc},
    {"__flush_wait_queues__", chare_flush_held, METH_NOARGS, flush_doc},
    {"_chare_result", (PyCFunction)(void (*)(void))chare_result, METH_FASTCALL,
     NULL},
    {"_chare_ready", chare_ready, METH_NOARGS, NULL},
    {"_chare_future", (PyCFunction)(void (*)(void))core_chare_future,
     METH_FASTCALL, NULL},
    {"_chare_enlist", (PyCFunction)(void (*)(void))chare_enlist, METH_FASTCALL,
     NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef chare_getset[] = {
    {"thisIndex", chare_get_index, NULL,
     PyDoc_STR("Where in its collection this chare is: in a group the PE, in "
               "an array a tuple."),
     NULL},
    {"thisProxy", chare_get_proxy, NULL,
     PyDoc_STR("The proxy of the collection that this chare belongs to."),
     NULL},
    {"migratable", core_chare_get_migratable, NULL,
     PyDoc_STR("Whether load balancing may move this chare, which must be on "
               "this PE."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef chare_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct core_chare, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot chare_slots[] = {
    {Py_tp_doc, (void *)chare_doc},
    {Py_tp_new, chare_new},
    {Py_tp_init, chare_init},
    {Py_tp_dealloc, chare_dealloc},
    {Py_tp_traverse, chare_traverse},
    {Py_tp_clear, chare_clear},
    {Py_tp_repr, chare_repr},
    {Py_tp_methods, chare_methods},
    {Py_tp_getset, chare_getset},
    {Py_tp_members, chare_members},
    {0, NULL},
};

PyType_Spec core_chare_spec = {
    .name = "chare.Chare",
    .basicsize = sizeof(struct core_chare),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = chare_slots,
};
