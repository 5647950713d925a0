/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * callback.c - the Callback type: a proxy's method as a value.
 */
#include <stddef.h>

#include "state.h"

#include <structmember.h>

static PyObject *
callback_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                    PyObject *kwnames)
{
    struct core_callback *self = (struct core_callback *)op;

    return core_method_call(self->method->state, self->method->entry,
                            self->proxy, args, PyVectorcall_NARGS(nargsf),
                            kwnames);
}

PyObject *
core_callback_new(struct core_method *method, PyObject *proxy)
{
    struct core_callback *self;

    if (!core_is_proxy(method->state, proxy)) {
        PyErr_SetString(PyExc_TypeError, "a proxy is needed");
        return NULL;
    }
    self = PyObject_New(struct core_callback, method->state->CallbackType);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = callback_vectorcall;
    self->proxy = (struct core_proxy *)Py_NewRef(proxy);
    self->method = (struct core_method *)Py_NewRef((PyObject *)method);
    return (PyObject *)self;
}

int
core_callback_get(struct core_state *state, PyObject *object,
                  chare_callback *callback_out)
{
    const struct core_callback *self = (struct core_callback *)object;

    if (Py_IS_TYPE(object, state->FutureType)) {
        struct core_pe *pe = core_pe_get(state);
        chare_future name;

        if (pe == NULL ||
            core_future_name(pe, (struct core_future *)object, &name) < 0) {
            return -1;
        }
        *callback_out = chare_callback_future(name);
        return 0;
    }
    if (!Py_IS_TYPE(object, state->CallbackType)) {
        core_mistake(state, "(sO)", "no_callback", object);
        return -1;
    }
    if (core_proxy_is_element(self->proxy)) {
        *callback_out = chare_callback_element(self->proxy->element,
                                               self->method->entry->id);
    } else {
        *callback_out = chare_callback_broadcast(
            self->proxy->element.collection, self->method->entry->id);
    }
    return 0;
}

PyObject *
core_callback_of(struct core_pe *pe, const chare_callback *callback)
{
    struct core_state *state = pe->state;
    struct core_entry *entry = NULL;
    chare_element element = callback->element;
    PyObject *proxy;
    PyObject *result;

    if (callback->kind == CHARE_CALLBACK_NONE) {
        Py_RETURN_NONE;
    }
    if (callback->kind == CHARE_CALLBACK_FUTURE) {
        return core_future_of(pe, &callback->future);
    }
    if (callback->entry < state->entry_room) {
        entry = state->entries[callback->entry];
    }
    if (entry == NULL || (callback->kind != CHARE_CALLBACK_ELEMENT &&
                          callback->kind != CHARE_CALLBACK_BROADCAST)) {
        return core_raise(state, CHARE_ERR_FORMAT, "cannot decode a callback");
    }
    if (callback->kind == CHARE_CALLBACK_BROADCAST) {
        memset(&element.index, 0, sizeof(element.index));
    }
    proxy = core_proxy_new(state, entry->owner, &element,
                           chare_is_section(element.collection)
                               ? CORE_FLAVOUR_SECTION
                               : CORE_FLAVOUR_ARRAY,
                           element.index.ndims);
    if (proxy == NULL) {
        return NULL;
    }
    result = core_callback_new((struct core_method *)entry->method, proxy);
    Py_DECREF(proxy);
    return result;
}

static Py_hash_t
callback_hash(PyObject *op)
{
    struct core_callback *self = (struct core_callback *)op;
    Py_hash_t hash = PyObject_Hash((PyObject *)self->proxy);

    if (hash != -1) {
        hash ^= (Py_hash_t)self->method->entry->id + 1;
    }
    return hash == -1 ? -2 : hash;
}

static PyObject *
callback_richcompare(PyObject *op, PyObject *other, int operation)
{
    struct core_callback *self = (struct core_callback *)op;
    struct core_callback *that = (struct core_callback *)other;

    if ((operation != Py_EQ && operation != Py_NE) ||
        !Py_IS_TYPE(other, Py_TYPE(op))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (self->method->entry != that->method->entry) {
        return PyBool_FromLong(operation == Py_NE);
    }
    return PyObject_RichCompare((PyObject *)self->proxy,
                                (PyObject *)that->proxy, operation);
}

static PyObject *
callback_repr(PyObject *op)
{
    struct core_callback *self = (struct core_callback *)op;

    return PyUnicode_FromFormat("<entry method %U of %R>",
                                self->method->entry->fullname, self->proxy);
}

static PyObject *
callback_reduce(PyObject *op, PyObject *unused)
{
    struct core_callback *self = (struct core_callback *)op;
    PyObject *builtins = PyEval_GetBuiltins(); /* borrowed */
    PyObject *get;

    (void)unused;
    get = PyMapping_GetItemString(builtins, "getattr");
    if (get == NULL) {
        return NULL;
    }
    return Py_BuildValue("N(OO)", get, (PyObject *)self->proxy,
                         self->method->entry->name);
}

static PyObject *
callback_get_name(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef(((struct core_callback *)op)->method->entry->name);
}

static PyObject *
callback_get_proxy(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef((PyObject *)((struct core_callback *)op)->proxy);
}

static void
callback_dealloc(PyObject *op)
{
    struct core_callback *self = (struct core_callback *)op;
    PyTypeObject *type = Py_TYPE(op);

    Py_DECREF(self->proxy);
    Py_DECREF(self->method);
    PyObject_Free(op);
    Py_DECREF(type);
}

static PyMethodDef callback_methods[] = {
    {"__reduce__", callback_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef callback_getset[] = {
    {"__name__", callback_get_name, NULL, NULL, NULL},
    {"__self__", callback_get_proxy, NULL,
     PyDoc_STR("The proxy whose method this is."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef callback_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET,
     offsetof(struct core_callback, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot callback_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("An entry method of a proxy, as a value.")},
    {Py_tp_dealloc, callback_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_hash, callback_hash},
    {Py_tp_richcompare, callback_richcompare},
    {Py_tp_repr, callback_repr},
    {Py_tp_methods, callback_methods},
    {Py_tp_getset, callback_getset},
    {Py_tp_members, callback_members},
    {0, NULL},
};

PyType_Spec core_callback_spec = {
    .name = "chare._core.Callback",
    .basicsize = sizeof(struct core_callback),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = callback_slots,
};
