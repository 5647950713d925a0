/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * local.c - chares that are on this PE, without a message; and maps of arrays,
 * which are asked that way.
 */
#include "state.h"

/* The proxy's PE, if no arguments were given and its chares are Python's. */
static struct core_pe *
pe_of_call(PyTypeObject *defining_class, const struct core_proxy *proxy,
           Py_ssize_t arg_count, PyObject *kwnames, const char *name)
{
    if (arg_count != 0 || kwnames != NULL) {
        PyErr_Format(PyExc_TypeError, "%s() takes no arguments", name);
        return NULL;
    }
    if (proxy->owner == NULL) {
        PyErr_Format(PyExc_TypeError, "%s(): this chare is not of Python",
                     name);
        return NULL;
    }
    return core_pe_get(core_state_of(defining_class));
}

static PyObject *
object_or_none(const struct core_pe *pe, void *object, const char *name)
{
    if (core_failure_check(pe->state, object, name) < 0) {
        return NULL;
    }
    return Py_NewRef(object != NULL ? (PyObject *)object : Py_None);
}

static PyObject *
no_object(const struct core_pe *pe, PyObject *proxy)
{
    PyErr_Format(pe->state->Error,
                 "%R is of a class in C: it has no object in Python", proxy);
    return NULL;
}

PyObject *
core_proxy_local(PyObject *self, PyTypeObject *defining_class,
                 PyObject *const *args, Py_ssize_t arg_count,
                 PyObject *kwnames)
{
    struct core_proxy *proxy = (struct core_proxy *)self;
    struct core_pe *pe =
        pe_of_call(defining_class, proxy, arg_count, kwnames, "ckLocal");

    (void)args;
    if (pe == NULL) {
        return NULL;
    }
    if (!core_proxy_is_element(proxy)) {
        PyErr_SetString(PyExc_TypeError,
                        "ckLocal() is for the proxy of one chare: proxy[i]");
        return NULL;
    }
    if (proxy->owner->native &&
        core_native_is(pe->state, pe->runtime, &proxy->element)) {
        return no_object(pe, self);
    }
    return object_or_none(pe, chare_local(pe->runtime, &proxy->element),
                          "ckLocal");
}

PyObject *
core_proxy_local_branch(PyObject *self, PyTypeObject *defining_class,
                        PyObject *const *args, Py_ssize_t arg_count,
                        PyObject *kwnames)
{
    struct core_proxy *proxy = (struct core_proxy *)self;
    struct core_pe *pe =
        pe_of_call(defining_class, proxy, arg_count, kwnames, "ckLocalBranch");

    (void)args;
    if (pe == NULL) {
        return NULL;
    }
    if (core_proxy_is_element(proxy) || proxy->flavour != CORE_FLAVOUR_GROUP) {
        PyErr_SetString(PyExc_TypeError,
                        "ckLocalBranch() is for the proxy of a group");
        return NULL;
    }
    if (proxy->owner->native) {
        return no_object(pe, self);
    }
    return object_or_none(
        pe, chare_local_branch(pe->runtime, proxy->element.collection),
        "ckLocalBranch");
}

/* ---- maps */

/* The PE that procNum() gave; -1 with an exception. */
static int
place_parse(struct core_pe *pe, struct core_class *cls, PyObject *result,
            PyObject *index, uint32_t *pe_out)
{
    const uint32_t count = chare_pe_count(pe->runtime);
    long number = PyLong_AsLong(result);

    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 0 || number >= (long)count) {
        PyErr_Format(PyExc_ValueError,
                     "%U.procNum(%R) is %ld, but the PEs are 0 to %u",
                     cls->name, index, number, (unsigned)count - 1);
        return -1;
    }
    *pe_out = (uint32_t)number;
    return 0;
}

chare_status
core_place(void *object, const chare_index *index, void *context,
           uint32_t *pe_out)
{
    struct core_class *cls = (struct core_class *)context;
    struct core_pe *pe = cls->state->pe;
    PyObject *tuple = core_index_build(index);
    PyObject *result = NULL;
    chare_element self = {0, *index};
    chare_status status = CHARE_ERR_INVALID;

    if (tuple != NULL &&
        core_failure_check(cls->state, object, "procNum") == 0) {
        result =
            PyObject_CallMethod((PyObject *)object, "procNum", "(O)", tuple);
    }
    if (result != NULL && place_parse(pe, cls, result, tuple, pe_out) == 0) {
        status = CHARE_OK;
    } else {
        core_failed(pe, &cls->entries[cls->place_index], &self, NULL);
    }
    Py_XDECREF(result);
    Py_XDECREF(tuple);
    return status;
}
