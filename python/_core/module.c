/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.c - the extension module: its state, its types, its life.
 */
#include "create.h"
#include "migrate.h"
#include "reducer.h"
#include "section.h"
#include "state.h"

struct core_pe *
core_pe_missing(struct core_state *state)
{
    if (state->current == NULL) {
        PyErr_SetString(state->Error,
                        "the runtime does not run: this works only after "
                        "charm.start(), in the main function or in a chare");
    } else {
        PyErr_SetString(state->Error,
                        "this is another thread: only the thread that called "
                        "charm.start() can use the runtime; others have "
                        "Future.send() and charm.call_soon_threadsafe()");
    }
    return NULL;
}

PyObject *
core_support(struct core_state *state, const char *name)
{
    if (state->support == NULL) {
        state->support = PyImport_ImportModule("chare._support");
        if (state->support == NULL) {
            return NULL;
        }
    }
    return PyObject_GetAttrString(state->support, name);
}

static PyMethodDef core_functions[] = {
    {"register_class", core_class_register, METH_VARARGS,
     PyDoc_STR("Make a class of chares known to the runtime.")},
    {"register_reducer", core_reducer_register, METH_O,
     PyDoc_STR("Make a reducer known to the runtime.")},
    {"single_create", core_single_create, METH_VARARGS,
     PyDoc_STR("Create one chare: (cls, args, pe, main).")},
    {"group_create", core_group_create, METH_VARARGS,
     PyDoc_STR("Create a chare on each PE: (cls, args, [PEs] or True for "
               "each node).")},
    {"array_create", core_array_create, METH_VARARGS,
     PyDoc_STR("Create an array: (cls, dims or None, ndims, args, map, "
               "bind_to, at_sync).")},
    {"timer_start", core_timer_start, METH_VARARGS,
     PyDoc_STR("Call later: (callable, seconds, args, as coroutine).")},
    {"timer_count", core_timer_count, METH_NOARGS,
     PyDoc_STR("Timers of this PE that have not fired, timeouts and sleeping "
               "coroutines too.")},
    {"spawn", core_spawn, METH_VARARGS,
     PyDoc_STR("Run as a coroutine: (function or coroutine, args).")},
    {"sleep", core_sleep, METH_O,
     PyDoc_STR("Suspend the coroutine for some seconds.")},
    {"quiescence", core_quiescence, METH_O,
     PyDoc_STR("Tell a callback when nothing is going on.")},
    {"_proxy_load", core_proxy_load, METH_O, PyDoc_STR("For pickle.")},
    {"_future_load", core_future_load, METH_VARARGS, PyDoc_STR("For pickle.")},
    {NULL, NULL, 0, NULL},
};

/* Make a type from its spec, keep it in the state and show it to Python. */
static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (*slot == NULL) {
        return -1;
    }
    return PyModule_AddType(module, *slot);
}

static int
add_exception(PyObject *module, const char *name, const char *doc,
              PyObject *base, PyObject **slot)
{
    char fullname[CHARE_NAME_BYTES_MAX];

    PyOS_snprintf(fullname, sizeof(fullname), "chare.%s", name);
    *slot = PyErr_NewExceptionWithDoc(fullname, doc, base, NULL);
    if (*slot == NULL) {
        return -1;
    }
    return PyModule_AddObjectRef(module, name, *slot);
}

static int
add_types(PyObject *module, struct core_state *state)
{
    if (add_type(module, &core_callback_spec, &state->CallbackType) < 0 ||
        add_type(module, &core_channel_spec, &state->ChannelType) < 0 ||
        add_type(module, &core_chare_spec, &state->ChareType) < 0 ||
        add_type(module, &core_class_spec, &state->ClassType) < 0 ||
        add_type(module, &core_condition_spec, &state->ConditionType) < 0 ||
        add_type(module, &core_coroutine_spec, &state->CoroutineType) < 0 ||
        add_type(module, &core_future_spec, &state->FutureType) < 0 ||
        add_type(module, &core_memory_spec, &state->MemoryType) < 0 ||
        add_type(module, &core_moved_spec, &state->MovedType) < 0 ||
        add_type(module, &core_method_spec, &state->MethodType) < 0 ||
        add_type(module, &core_proxy_spec, &state->ProxyType) < 0) {
        return -1;
    }
    if (add_type(module, &core_task_spec, &state->TaskType) < 0) {
        return -1;
    }
    return add_type(module, &core_reducer_spec, &state->ReducerType);
}

/* Another minor version has other structures: refuse, rather than crash. */
static int
version_check(void)
{
    char built[16];

    snprintf(built, sizeof(built), "%d.%d.", PY_MAJOR_VERSION,
             PY_MINOR_VERSION);
    if (strncmp(Py_GetVersion(), built, strlen(built)) == 0) {
        return 0;
    }
    PyErr_Format(PyExc_ImportError, "the extension is for Python %d.%d",
                 PY_MAJOR_VERSION, PY_MINOR_VERSION);
    return -1;
}

static int
core_exec(PyObject *module)
{
    struct core_state *state = core_state_get(module);

    if (version_check() < 0 || core_greenlet_import(state) < 0 ||
        core_origin_create(state) < 0) {
        return -1;
    }
    state->name_ret = PyUnicode_InternFromString("ret");
    state->name_awaitable = PyUnicode_InternFromString("awaitable");
    state->name_priority = PyUnicode_InternFromString("priority");
    state->name_when = PyUnicode_InternFromString("when");
    state->name_migrated = PyUnicode_InternFromString("migrated");
    state->name_nobody = PyUnicode_FromString("the running function");
    state->reducers = PyDict_New();
    state->no_args = PyTuple_New(0);
    state->classes = PyList_New(0);
    if (state->name_ret == NULL || state->name_awaitable == NULL ||
        state->name_priority == NULL || state->name_when == NULL ||
        state->name_migrated == NULL || state->name_nobody == NULL ||
        state->reducers == NULL || state->no_args == NULL ||
        state->classes == NULL) {
        return -1;
    }
    if (add_exception(module, "Error",
                      "The runtime cannot do what was asked of it.",
                      PyExc_RuntimeError, &state->Error) < 0 ||
        add_exception(module, "ChannelClosed",
                      "The other end of a channel sends nothing any more.",
                      state->Error, &state->ChannelClosed) < 0 ||
        add_exception(module, "NotThreadedError",
                      "Something would suspend what is not a coroutine.",
                      state->Error, &state->NotThreadedError) < 0 ||
        add_exception(module, "CancelledError",
                      "What a cancelled future raises.", state->Error,
                      &state->CancelledError) < 0 ||
        add_exception(module, "Destroyed",
                      "Raised in the coroutines of a chare that is destroyed, "
                      "so that they end.",
                      PyExc_BaseException, &state->Destroyed) < 0) {
        return -1;
    }
    if (PyModule_AddFunctions(module, core_functions) < 0 ||
        PyModule_AddFunctions(module, core_pe_functions) < 0 ||
        PyModule_AddFunctions(module, core_forkserver_functions) < 0 ||
        PyModule_AddFunctions(module, core_thread_functions) < 0 ||
        PyModule_AddFunctions(module, core_lb_functions) < 0 ||
        PyModule_AddFunctions(module, core_native_functions) < 0 ||
        PyModule_AddFunctions(module, core_query_functions) < 0 ||
        PyModule_AddFunctions(module, core_report_functions) < 0 ||
        PyModule_AddFunctions(module, core_failed_functions) < 0 ||
        PyModule_AddFunctions(module, core_section_functions) < 0 ||
        PyModule_AddFunctions(module, core_start_functions) < 0 ||
        PyModule_AddFunctions(module, core_console_functions) < 0 ||
        PyModule_AddFunctions(module, core_migrate_functions) < 0) {
        return -1;
    }
    return add_types(module, state);
}

static int
core_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct core_state *state = core_state_get(module);

    Py_VISIT(state->CallbackType);
    Py_VISIT(state->ChannelType);
    Py_VISIT(state->ChareType);
    Py_VISIT(state->ClassType);
    Py_VISIT(state->ConditionType);
    Py_VISIT(state->CoroutineType);
    Py_VISIT(state->FutureType);
    Py_VISIT(state->MemoryType);
    Py_VISIT(state->MovedType);
    Py_VISIT(state->MethodType);
    Py_VISIT(state->ProxyType);
    Py_VISIT(state->ReducerType);
    Py_VISIT(state->TaskType);
    Py_VISIT(state->CancelledError);
    Py_VISIT(state->ChannelClosed);
    Py_VISIT(state->Destroyed);
    Py_VISIT(state->Error);
    Py_VISIT(state->NotThreadedError);
    Py_VISIT(state->support);
    Py_VISIT(state->classes);
    Py_VISIT(state->shared);
    Py_VISIT(state->reducers);
    return core_numpy_visit(&state->numpy, visit, arg);
}

static int
core_clear(PyObject *module)
{
    struct core_state *state = core_state_get(module);

    /* Types go last: what is freed before looks at them. */
    Py_CLEAR(state->support);
    Py_CLEAR(state->classes);
    Py_CLEAR(state->shared);
    Py_CLEAR(state->reducers);
    core_numpy_clear(&state->numpy);
    Py_CLEAR(state->CancelledError);
    Py_CLEAR(state->ChannelClosed);
    Py_CLEAR(state->Destroyed);
    Py_CLEAR(state->Error);
    Py_CLEAR(state->NotThreadedError);
    Py_CLEAR(state->name_ret);
    Py_CLEAR(state->name_awaitable);
    Py_CLEAR(state->name_priority);
    Py_CLEAR(state->name_when);
    Py_CLEAR(state->name_migrated);
    Py_CLEAR(state->name_nobody);
    Py_CLEAR(state->no_args);
    Py_CLEAR(state->CallbackType);
    Py_CLEAR(state->ChannelType);
    Py_CLEAR(state->ChareType);
    Py_CLEAR(state->ClassType);
    Py_CLEAR(state->ConditionType);
    Py_CLEAR(state->CoroutineType);
    core_futures_free(state); /* before their type */
    Py_CLEAR(state->FutureType);
    Py_CLEAR(state->MemoryType);
    Py_CLEAR(state->MovedType);
    Py_CLEAR(state->MethodType);
    Py_CLEAR(state->ProxyType);
    Py_CLEAR(state->ReducerType);
    Py_CLEAR(state->TaskType);
    return 0;
}

static void
core_free(void *module)
{
    struct core_state *state = core_state_get((PyObject *)module);

    (void)core_clear((PyObject *)module);
    core_payloads_free(state);
    core_origin_drop(state->origin);
    state->origin = NULL;
    PyMem_Free(state->entries);
    state->entries = NULL;
    PyMem_Free(state->pe);
    state->pe = NULL;
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#if PY_VERSION_HEX >= 0x030c0000
    /* Not yet tried in more than one interpreter. */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "chare._core",
    .m_doc = PyDoc_STR("The runtime, as the chare package sees it. Private."),
    .m_size = sizeof(struct core_state),
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
