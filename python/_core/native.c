/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native.c - classes of chares in C: plug-ins, and what is passed to them.
 *
 * A library that was opened stays: the runtime has its functions until the
 * process ends, and messages for them may be under way until then.
 */
#include <dlfcn.h>

#include "state.h"

static const char capsule_name[] = "chare.plugin";

bool
core_native_is(struct core_state *state, chare_runtime *runtime,
               const chare_element *name)
{
    PyObject *cls;
    uint32_t type;

    if (chare_type_of(runtime, name, &type) != CHARE_OK ||
        type >= (size_t)PyList_GET_SIZE(state->classes)) {
        return false;
    }
    cls = PyList_GET_ITEM(state->classes, (Py_ssize_t)type);
    return cls == Py_None || ((struct core_class *)cls)->native;
}

/* Say that an argument has no form in C; what was moved is named itself. */
static void
refuse_one(const struct core_entry *entry, Py_ssize_t at, PyObject *value)
{
    static const char has[] =
        "None, bool, int, float, complex, str, bytes, NumPy arrays of "
        "numbers, proxies, futures, and tuples, lists, dicts, sets of these";
    const PyTypeObject *type =
        Py_TYPE(core_moved_of(entry->owner->state, value));

    if (at < PyTuple_GET_SIZE(entry->params)) {
        PyErr_Format(PyExc_TypeError,
                     "%U(): argument '%U' is or holds something that has no "
                     "form in C (%.100s); what has: %s",
                     entry->fullname, PyTuple_GET_ITEM(entry->params, at),
                     type->tp_name, has);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "%U(): argument %zd is or holds something that has no "
                     "form in C (%.100s); what has: %s",
                     entry->fullname, at + 1, type->tp_name, has);
    }
}

int
core_native_refuse(struct core_pe *pe, chare_encoder *encoder,
                   PyObject *const *args, Py_ssize_t arg_count)
{
    const struct core_entry *entry = pe->state->strict;

    for (Py_ssize_t i = 0; i < arg_count; i++) {
        const int result = core_encode_strict(pe, encoder, args[i]);

        if (result < 0) {
            return -1;
        }
        if (result > 0) {
            continue;
        }
        refuse_one(entry, i, args[i]);
        return -1;
    }
    PyErr_Format(PyExc_TypeError, "%U(): the arguments have no form in C",
                 entry->fullname);
    return -1;
}

/* ---- plug-ins */

static PyObject *
describe_methods(const chare_method *methods)
{
    PyObject *list = PyList_New(0);

    for (; list != NULL && methods != NULL && methods->name != NULL;
         methods++) {
        PyObject *item = Py_BuildValue("(szz)", methods->name, methods->params,
                                       methods->doc);

        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *
describe_classes(const chare_class *classes)
{
    PyObject *list = PyList_New(0);

    for (; list != NULL && classes != NULL && classes->name != NULL;
         classes++) {
        PyObject *methods = describe_methods(classes->methods);
        PyObject *item =
            methods == NULL
                ? NULL
                : Py_BuildValue("(szzN)", classes->name, classes->doc,
                                classes->params, methods);

        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

/* plugin_open(path): (capsule, name, doc, classes) */
static PyObject *
native_open(PyObject *module, PyObject *args)
{
    struct core_state *state = core_state_get(module);
    const chare_plugin *plugin;
    PyObject *capsule;
    PyObject *classes;
    PyObject *path;
    void *library;

    if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    library = dlopen(PyBytes_AS_STRING(path), RTLD_NOW | RTLD_LOCAL);
    Py_DECREF(path);
    if (library == NULL) {
        PyErr_SetString(PyExc_OSError, dlerror());
        return NULL;
    }
    plugin = (const chare_plugin *)dlsym(library, CHARE_PLUGIN_SYMBOL);
    if (plugin == NULL) {
        PyErr_SetString(state->Error,
                        "it is no plug-in of chare: it exports no "
                        "CHARE_PLUGIN, see <chare.h>");
        return NULL;
    }
    if (plugin->abi != CHARE_PLUGIN_ABI) {
        PyErr_Format(state->Error,
                     "it was compiled for version %u of chare's plug-ins, and "
                     "this is version %u: compile it again, with the chare.h "
                     "of this chare",
                     (unsigned)plugin->abi, (unsigned)CHARE_PLUGIN_ABI);
        return NULL;
    }
    if (plugin->name == NULL || plugin->classes == NULL) {
        PyErr_SetString(state->Error, "its table has no name, or no classes");
        return NULL;
    }
    classes = describe_classes(plugin->classes);
    capsule = classes == NULL ? NULL
                              : PyCapsule_New((void *)(uintptr_t)plugin,
                                              capsule_name, NULL);
    if (capsule == NULL) {
        Py_XDECREF(classes);
        return NULL;
    }
    return Py_BuildValue("(NszN)", capsule, plugin->name, plugin->doc,
                         classes);
}

/* plugin_register(capsule): make its classes known to the runtime */
static PyObject *
native_register(PyObject *module, PyObject *capsule)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    const chare_plugin *plugin =
        (const chare_plugin *)PyCapsule_GetPointer(capsule, capsule_name);
    chare_status status;

    if (pe == NULL || plugin == NULL) {
        return NULL;
    }
    status = chare_plugin_register(pe->runtime, plugin);
    if (status == CHARE_ERR_EXISTS) {
        PyErr_Format(state->Error,
                     "plug-in %s: a class of the same name is there already",
                     plugin->name);
        return NULL;
    }
    if (status != CHARE_OK) {
        return core_raise(state, status, plugin->name);
    }
    Py_RETURN_NONE;
}

PyMethodDef core_native_functions[] = {
    {"plugin_open", native_open, METH_VARARGS,
     PyDoc_STR("Load a library: (path).")},
    {"plugin_register", native_register, METH_O,
     PyDoc_STR("Make the classes of a plug-in known to the runtime.")},
    {NULL, NULL, 0, NULL},
};
