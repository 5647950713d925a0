/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method.c - the Method type: an entry method as an attribute of proxies.
 *
 * It is a method descriptor with a vectorcall, so that p.m(x) runs from the
 * interpreter's loop straight into method_vectorcall(), which sends. Looked
 * up as a value, p.m is a Callback.
 */
#include <stddef.h>

#include "state.h"

#include <structmember.h>

/* Send; takes the data in any case. -1 with an exception. */
static inline int
send_data(struct core_pe *pe, const struct core_entry *entry,
          const struct core_proxy *proxy, chare_data *data,
          const chare_send_options *options)
{
    chare_status status;

    if (core_proxy_is_element(proxy)) {
        status =
            chare_send(pe->runtime, &proxy->element, entry->id, data, options);
    } else {
        status = chare_broadcast(pe->runtime, proxy->element.collection,
                                 entry->id, data, options);
    }
    if (status == CHARE_OK) {
        return 0;
    }
    if (data != NULL) {
        core_data_drop(data);
    }
    core_raise(pe->state, status, PyUnicode_AsUTF8(entry->fullname));
    return -1;
}

/*
 * Whether the arguments may stay Python objects. A proxy that has found its
 * chare here does not look again: if the chare has left, the runtime encodes
 * the arguments, which counts, and the proxy is to look again.
 */
static inline bool
is_local(struct core_pe *pe, struct core_proxy *proxy)
{
    if (proxy->encodings == pe->encodings) {
        return true;
    }
    if (!core_proxy_is_element(proxy) ||
        !chare_is_local(pe->runtime, &proxy->element)) {
        return false;
    }
    proxy->encodings = pe->encodings;
    return true;
}

static inline int
send_args(struct core_pe *pe, const struct core_entry *entry,
          struct core_proxy *proxy, PyObject *const *args,
          Py_ssize_t arg_count, const chare_send_options *options)
{
    chare_data data;

    if (arg_count == 0) {
        return send_data(pe, entry, proxy, NULL, options);
    }
    if (core_data_args(pe, is_local(pe, proxy), args, arg_count, &data) < 0) {
        return -1;
    }
    return send_data(pe, entry, proxy, &data, options);
}

/* Call with a future for the reply. */
static PyObject *
send_awaited(struct core_pe *pe, const struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count, bool ret)
{
    chare_send_options options = {.size = sizeof(options)};
    struct core_future *future = core_future_new(pe, 1);
    chare_callback reply;

    if (future == NULL) {
        return NULL;
    }
    future->discard = !ret;
    reply = chare_callback_future(future->name);
    options.reply = &reply;
    options.gather = ret && !core_proxy_is_element(proxy);
    future->gathers = options.gather;
    if (send_args(pe, entry, proxy, args, arg_count, &options) < 0) {
        core_future_cancel(future);
        Py_DECREF(future);
        return NULL;
    }
    return (PyObject *)future;
}

/* What ret= and awaitable= ask for; -1 with an exception. */
static int
options_parse(struct core_state *state, PyObject *const *values,
              PyObject *kwnames, bool *ret_out, bool *awaitable_out)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        bool *option = NULL;
        int truth;

        if (name == state->name_ret ||
            PyUnicode_Compare(name, state->name_ret) == 0) {
            option = ret_out;
        } else if (name == state->name_awaitable ||
                   PyUnicode_Compare(name, state->name_awaitable) == 0) {
            option = awaitable_out;
        } else {
            continue;
        }
        truth = PyObject_IsTrue(values[i]);
        if (truth < 0) {
            return -1;
        }
        *option = truth != 0;
    }
    return 0;
}

/* Whether the arguments fit as they are. */
static inline bool
args_fit(const struct core_entry *entry, Py_ssize_t arg_count)
{
    return arg_count >= entry->args_min && arg_count <= entry->args_max &&
           (entry->flags & CORE_ENTRY_KEYWORDS) == 0;
}

static PyObject *
send_bound(struct core_pe *pe, const struct core_entry *entry,
           struct core_proxy *proxy, PyObject *const *args,
           Py_ssize_t arg_count, bool ret, bool awaitable)
{
    if (ret || awaitable) {
        return send_awaited(pe, entry, proxy, args, arg_count, ret);
    }
    if (send_args(pe, entry, proxy, args, arg_count, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
core_method_call(struct core_state *state, const struct core_entry *entry,
                 struct core_proxy *proxy, PyObject *const *args,
                 Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_pe *pe = core_pe_get(state);
    Py_ssize_t option_count;
    bool ret = false;
    bool awaitable = false;
    PyObject **bound;
    PyObject *result;
    Py_ssize_t count;

    if (pe == NULL ||
        (kwnames != NULL && options_parse(state, args + arg_count, kwnames,
                                          &ret, &awaitable) < 0)) {
        return NULL;
    }
    option_count = (ret || awaitable) && kwnames != NULL &&
                   PyTuple_GET_SIZE(kwnames) == 1;
    if ((kwnames == NULL || option_count == 1) && args_fit(entry, arg_count)) {
        return send_bound(pe, entry, proxy, args, arg_count, ret, awaitable);
    }
    count = core_entry_bind(state, entry, args, arg_count, kwnames, &bound);
    if (count < 0) {
        return NULL;
    }
    result = send_bound(pe, entry, proxy, bound, count, ret, awaitable);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(bound[i]);
    }
    PyMem_Free(bound);
    return result;
}

static PyObject *
method_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                  PyObject *kwnames)
{
    struct core_method *self = (struct core_method *)op;
    struct core_pe *pe = self->state->current;
    Py_ssize_t arg_count = PyVectorcall_NARGS(nargsf) - 1;
    struct core_proxy *proxy;

    if (arg_count < 0 || !core_is_proxy(self->state, args[0])) {
        PyErr_Format(PyExc_TypeError, "%U() is to be called through a proxy",
                     self->entry->fullname);
        return NULL;
    }
    proxy = (struct core_proxy *)args[0];
    if (kwnames != NULL || pe == NULL || !core_pe_is_ours(pe) ||
        !args_fit(self->entry, arg_count)) {
        return core_method_call(self->state, self->entry, proxy, args + 1,
                                arg_count, kwnames);
    }
    if (send_args(pe, self->entry, proxy, args + 1, arg_count, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
core_method_new(struct core_state *state, struct core_entry *entry)
{
    struct core_method *self =
        PyObject_New(struct core_method, state->MethodType);

    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = method_vectorcall;
    self->state = state;
    self->entry = entry;
    return (PyObject *)self;
}

static PyObject *
method_descr_get(PyObject *op, PyObject *object, PyObject *type)
{
    (void)type;
    if (object == NULL || object == Py_None) {
        return Py_NewRef(op);
    }
    return core_callback_new((struct core_method *)op, object);
}

static PyObject *
method_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<entry method %U>",
                                ((struct core_method *)op)->entry->fullname);
}

static PyObject *
method_get_name(PyObject *op, void *closure)
{
    (void)closure;
    return Py_NewRef(((struct core_method *)op)->entry->name);
}

static PyObject *
method_get_doc(PyObject *op, void *closure)
{
    (void)closure;
    return PyObject_GetAttrString(((struct core_method *)op)->entry->function,
                                  "__doc__");
}

static void
method_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    PyObject_Free(op);
    Py_DECREF(type);
}

static PyGetSetDef method_getset[] = {
    {"__name__", method_get_name, NULL, NULL, NULL},
    {"__doc__", method_get_doc, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET,
     offsetof(struct core_method, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot method_slots[] = {
    {Py_tp_dealloc, method_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, method_descr_get},
    {Py_tp_repr, method_repr},
    {Py_tp_getset, method_getset},
    {Py_tp_members, method_members},
    {0, NULL},
};

PyType_Spec core_method_spec = {
    .name = "chare._core.Method",
    .basicsize = sizeof(struct core_method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = method_slots,
};
