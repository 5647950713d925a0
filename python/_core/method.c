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

static int
send_failed(struct core_pe *pe, const struct core_entry *entry,
            const struct core_proxy *proxy, PyObject *const *args,
            Py_ssize_t arg_count, chare_data *data, chare_status status)
{
    if (data != NULL) {
        core_moves_return(pe, args, arg_count, 0, data);
        core_data_drop(data);
    }
    core_raise_called(pe->state, status, proxy,
                      PyUnicode_AsUTF8(entry->fullname));
    return -1;
}

/* Send; takes the data in any case. -1 with an exception. */
static inline int
send_data(struct core_pe *pe, const struct core_entry *entry,
          const struct core_proxy *proxy, PyObject *const *args,
          Py_ssize_t arg_count, chare_data *data,
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
    return status == CHARE_OK
               ? 0
               : send_failed(pe, entry, proxy, args, arg_count, data, status);
}

/*
 * Whether the arguments may stay Python objects. A proxy that has found its
 * chare here does not look again: if the chare has left, the runtime encodes
 * the arguments, which counts, and the proxy is to look again. One that has
 * not found it encodes them for a while, which is right in any case.
 */
static inline bool
is_local(struct core_pe *pe, struct core_proxy *proxy)
{
    if (proxy->encodings == pe->encodings) {
        return true;
    }
    if (proxy->elsewhere > 0) {
        proxy->elsewhere--;
        return false;
    }
    if (!core_proxy_is_element(proxy) ||
        !chare_is_local(pe->runtime, &proxy->element)) {
        proxy->elsewhere = CORE_ELSEWHERE_CALLS;
        return false;
    }
    proxy->encodings = pe->encodings;
    return true;
}

static __attribute__((noinline)) int
send_args(struct core_pe *pe, const struct core_entry *entry,
          struct core_proxy *proxy, PyObject *const *args,
          Py_ssize_t arg_count, const chare_send_options *options)
{
    chare_data data;
    bool local;

    if (arg_count == 0) {
        return send_data(pe, entry, proxy, NULL, 0, NULL, options);
    }
    local = is_local(pe, proxy);
    if (!(local && core_data_simple(pe->state, args, arg_count, &core_args_ops,
                                    &data)) &&
        core_data_args(pe, local, args, arg_count, &data) < 0) {
        if ((entry->flags & CORE_ENTRY_NATIVE) == 0) { /* else that is said */
            core_unsendable(pe->state, entry->fullname, entry->params, args,
                            arg_count);
        }
        return -1;
    }
    return send_data(pe, entry, proxy, args, arg_count, &data, options);
}

/* What the keywords of a call ask for. */
struct call_options {
    bool ret;
    bool awaitable;
    int16_t priority;
    PyObject *when;   /* the text of a condition, borrowed; or NULL */
    Py_ssize_t count; /* how many of the keywords these were */
};

/* Call with a future for the reply. */
static PyObject *
send_awaited(struct core_pe *pe, const struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count, chare_send_options *options, bool ret)
{
    struct core_future *future = core_future_new(pe, 1);
    chare_callback reply;

    if (future == NULL) {
        return NULL;
    }
    future->discard = !ret;
    future->called = entry;
    reply.kind = CHARE_CALLBACK_FUTURE;
    reply.future = future->name; /* the rest of one is not looked at */
    options->reply = &reply;
    options->gather = ret && !core_proxy_is_element(proxy);
    future->gathers = options->gather;
    if (send_args(pe, entry, proxy, args, arg_count, options) < 0) {
        core_future_cancel(future);
        Py_DECREF(future);
        return NULL;
    }
    return (PyObject *)future;
}

/* The first of all priorities is the runtime's own; see chare_hold(). */
static int
priority_parse(PyObject *value, int16_t *priority_out)
{
    PyObject *number = PyNumber_Index(value);
    long priority;
    int overflow;

    if (number == NULL) {
        PyErr_Format(PyExc_TypeError,
                     "priority= is an integer, smaller runs sooner, not %R",
                     value);
        return -1;
    }
    priority = PyLong_AsLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (overflow != 0 || priority <= CHARE_PRIORITY_MIN ||
        priority > CHARE_PRIORITY_MAX) {
        PyErr_Format(PyExc_ValueError, "priority=%R: priorities are %d to %d",
                     value, CHARE_PRIORITY_MIN + 1, CHARE_PRIORITY_MAX);
        return -1;
    }
    *priority_out = (int16_t)priority;
    return 0;
}

static int
when_parse(PyObject *value, PyObject **when_out)
{
    if (value == Py_None) {
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "when= is the text of a condition, not %R", value);
        return -1;
    }
    *when_out = value;
    return 0;
}

static int
truth_parse(PyObject *value, bool *truth_out)
{
    int truth = PyObject_IsTrue(value);

    *truth_out = truth > 0;
    return truth < 0 ? -1 : 0;
}

/* The keywords that belong to the call; -1 with an exception. */
static int
options_parse(struct core_state *state, const struct core_entry *entry,
              PyObject *const *values, PyObject *kwnames,
              struct call_options *options)
{
    int result = 0;

    for (Py_ssize_t i = 0; result == 0 && i < PyTuple_GET_SIZE(kwnames); i++) {
        options->count++;
        switch (
            core_entry_keyword(state, entry, PyTuple_GET_ITEM(kwnames, i))) {
        case CORE_KEYWORD_RET:
            result = truth_parse(values[i], &options->ret);
            break;
        case CORE_KEYWORD_AWAITABLE:
            result = truth_parse(values[i], &options->awaitable);
            break;
        case CORE_KEYWORD_PRIORITY:
            result = priority_parse(values[i], &options->priority);
            break;
        case CORE_KEYWORD_WHEN:
            result = when_parse(values[i], &options->when);
            break;
        default:
            options->count--;
        }
    }
    return result;
}

/* Whether the number of arguments is right, and none has to be filled in. */
static inline bool
args_fit(const struct core_entry *entry, Py_ssize_t arg_count)
{
    return arg_count >= entry->args_min && arg_count <= entry->args_max &&
           (entry->flags & CORE_ENTRY_KEYWORDS) == 0;
}

static PyObject *
send_bound(struct core_pe *pe, const struct core_entry *entry,
           struct core_proxy *proxy, PyObject *const *args,
           Py_ssize_t arg_count, const struct call_options *options)
{
    chare_send_options send = {.size = sizeof(send)};

    send.priority = options->priority;
    if (options->ret || options->awaitable) {
        return send_awaited(pe, entry, proxy, args, arg_count, &send,
                            options->ret);
    }
    if (send_args(pe, entry, proxy, args, arg_count,
                  send.priority != 0 ? &send : NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/*
 * A call with a condition is one of the hidden method that takes the entry,
 * the condition and the arguments; see when.c.
 */
static PyObject *
send_conditional(struct core_pe *pe, struct core_entry *entry,
                 struct core_proxy *proxy, PyObject *const *args,
                 Py_ssize_t arg_count, const struct call_options *options)
{
    struct core_class *owner = entry->owner;
    PyObject **all;
    PyObject *result = NULL;

    /* A mistake in it is told here and not at the receiver. */
    if (core_when_sent(pe->state, entry, options->when) == NULL) {
        return NULL;
    }
    all = PyMem_Malloc(((size_t)arg_count + 2) * sizeof(*all));
    if (all == NULL) {
        return PyErr_NoMemory();
    }
    all[0] = PyLong_FromUnsignedLong(entry->id);
    all[1] = options->when;
    memcpy(all + 2, args, (size_t)arg_count * sizeof(*all));
    if (all[0] != NULL) {
        result = send_bound(pe, &owner->entries[owner->when_index], proxy, all,
                            arg_count + 2, options);
        Py_DECREF(all[0]);
    }
    PyMem_Free(all);
    return result;
}

static PyObject *
send_checked(struct core_pe *pe, struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count, const struct call_options *options)
{
    if (options->when != NULL) {
        return send_conditional(pe, entry, proxy, args, arg_count, options);
    }
    return send_bound(pe, entry, proxy, args, arg_count, options);
}

/* The call is made as its arguments are, or after binding them. */
static PyObject *
call_checked(struct core_state *state, struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames,
             const struct call_options *options)
{
    struct core_pe *pe = state->current;
    PyObject **bound;
    PyObject *result;
    Py_ssize_t count;

    if ((kwnames == NULL || options->count == PyTuple_GET_SIZE(kwnames)) &&
        args_fit(entry, arg_count)) {
        return send_checked(pe, entry, proxy, args, arg_count, options);
    }
    count = core_entry_bind(state, entry, args, arg_count, kwnames, &bound);
    if (count < 0) {
        return NULL;
    }
    result = send_checked(pe, entry, proxy, bound, count, options);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(bound[i]);
    }
    PyMem_Free(bound);
    return result;
}

/* A generator, which cannot be called, or a method in C, for which nothing is
 * pickled. */
static PyObject *
call_special(struct core_state *state, struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count, PyObject *kwnames,
             const struct call_options *options)
{
    const struct core_entry *strict = state->strict;
    PyObject *result;

    if ((entry->flags & CORE_ENTRY_GENERATOR) != 0) {
        PyErr_Format(PyExc_TypeError,
                     "%U() is a generator: called through a proxy it would "
                     "never run; return a list, or send items to a Channel",
                     entry->fullname);
        return NULL;
    }
    if (options->when != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U() is a method in C: when= is for those in Python",
                     entry->fullname);
        return NULL;
    }
    state->strict = entry;
    result =
        call_checked(state, entry, proxy, args, arg_count, kwnames, options);
    state->strict = strict;
    return result;
}

PyObject *
core_method_call(struct core_state *state, struct core_entry *entry,
                 struct core_proxy *proxy, PyObject *const *args,
                 Py_ssize_t arg_count, PyObject *kwnames)
{
    struct core_pe *pe = core_pe_get(state);
    struct call_options options = {.priority = entry->priority};

    if (pe == NULL ||
        (kwnames != NULL && options_parse(state, entry, args + arg_count,
                                          kwnames, &options) < 0)) {
        return NULL;
    }
    if ((entry->flags & (CORE_ENTRY_GENERATOR | CORE_ENTRY_NATIVE)) != 0) {
        return call_special(state, entry, proxy, args, arg_count, kwnames,
                            &options);
    }
    return call_checked(state, entry, proxy, args, arg_count, kwnames,
                        &options);
}

/* The one keyword of most awaited calls: ret=True. */
static inline bool
asks_for_result(const struct core_state *state, PyObject *kwnames,
                PyObject *value)
{
    return PyTuple_GET_SIZE(kwnames) == 1 && value == Py_True &&
           PyTuple_GET_ITEM(kwnames, 0) == state->name_ret;
}

/* The usual awaited call. */
static PyObject *
call_awaited(struct core_pe *pe, const struct core_entry *entry,
             struct core_proxy *proxy, PyObject *const *args,
             Py_ssize_t arg_count)
{
    chare_send_options send = {.size = sizeof(send)};

    return send_awaited(pe, entry, proxy, args, arg_count, &send, true);
}

/*
 * The call that most calls are: of a chare that was found on this PE, with
 * simple arguments, which stay the objects they are. 0: it was sent; -1: with
 * an exception; 1: it is none, and goes the longer way.
 */
static inline int
call_near(struct core_pe *pe, const struct core_entry *entry,
          struct core_proxy *proxy, PyObject *const *args,
          Py_ssize_t arg_count)
{
    chare_status status;
    chare_data data;

    if (arg_count == 0 || proxy->encodings != pe->encodings ||
        !core_data_simple(pe->state, args, arg_count, &core_args_ops, &data)) {
        return 1;
    }
    status = chare_send(pe->runtime, &proxy->element, entry->id, &data, NULL);
    return status == CHARE_OK
               ? 0
               : send_failed(pe, entry, proxy, args, arg_count, &data, status);
}

static PyObject *
method_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                  PyObject *kwnames)
{
    struct core_method *self = (struct core_method *)op;
    struct core_pe *pe = self->state->current;
    Py_ssize_t arg_count = PyVectorcall_NARGS(nargsf) - 1;
    struct core_proxy *proxy;
    int result;

    if (arg_count < 0 || !core_is_proxy(self->state, args[0])) {
        PyErr_Format(PyExc_TypeError, "%U() is to be called through a proxy",
                     self->entry->fullname);
        return NULL;
    }
    proxy = (struct core_proxy *)args[0];
    /* The usual calls go on here; every other takes the longer way. */
    if (pe == NULL || !core_pe_is_ours(pe) ||
        !args_fit(self->entry, arg_count) || self->entry->priority != 0) {
        return core_method_call(self->state, self->entry, proxy, args + 1,
                                arg_count, kwnames);
    }
    if (kwnames != NULL) {
        return asks_for_result(self->state, kwnames, args[arg_count + 1])
                   ? call_awaited(pe, self->entry, proxy, args + 1, arg_count)
                   : core_method_call(self->state, self->entry, proxy,
                                      args + 1, arg_count, kwnames);
    }
    result = call_near(pe, self->entry, proxy, args + 1, arg_count);
    if (result > 0) {
        result = send_args(pe, self->entry, proxy, args + 1, arg_count, NULL);
    }
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Of a class in C: arguments that are no simple ones are looked at first. */
static PyObject *
native_vectorcall(PyObject *op, PyObject *const *args, size_t nargsf,
                  PyObject *kwnames)
{
    struct core_method *self = (struct core_method *)op;
    const Py_ssize_t arg_count = PyVectorcall_NARGS(nargsf);

    for (Py_ssize_t i = 1; i < arg_count; i++) {
        if (!core_is_simple(args[i]) && core_is_proxy(self->state, args[0])) {
            return core_method_call(self->state, self->entry,
                                    (struct core_proxy *)args[0], args + 1,
                                    arg_count - 1, kwnames);
        }
    }
    return method_vectorcall(op, args, nargsf, kwnames);
}

PyObject *
core_method_new(struct core_state *state, struct core_entry *entry)
{
    struct core_method *self =
        PyObject_New(struct core_method, state->MethodType);

    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = (entry->flags & CORE_ENTRY_NATIVE) != 0
                           ? native_vectorcall
                           : method_vectorcall;
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
