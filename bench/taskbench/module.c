/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * module.c - the kernel and the sweep for Python: the module "taskbench".
 *
 * An extension and not ctypes, so that calling the kernel costs some 30 ns and
 * what is measured is the runtime. One sweep for a process is enough here.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sweep.h"

static struct sweep the_sweep;

static PyObject *
run(PyObject *module, PyObject *iterations)
{
    const unsigned long long n = PyLong_AsUnsignedLongLong(iterations);

    (void)module;
    if (n == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    kernel_run(n);
    Py_RETURN_NONE;
}

static PyObject *
start(PyObject *module, PyObject *args)
{
    unsigned pes;
    unsigned long long task_ns;

    (void)module;
    if (!PyArg_ParseTuple(args, "IK", &pes, &task_ns)) {
        return NULL;
    }
    sweep_start(&the_sweep, pes, task_ns);
    Py_RETURN_NONE;
}

static PyObject *
next(PyObject *module, PyObject *unused)
{
    uint64_t iterations;
    uint64_t steps;

    (void)module;
    (void)unused;
    if (!sweep_next(&the_sweep, &iterations, &steps)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("KK", (unsigned long long)iterations,
                         (unsigned long long)steps);
}

static PyObject *
took(PyObject *module, PyObject *ns)
{
    const unsigned long long value = PyLong_AsUnsignedLongLong(ns);

    (void)module;
    if (PyErr_Occurred()) {
        return NULL;
    }
    sweep_took(&the_sweep, value);
    Py_RETURN_NONE;
}

static PyObject *
show(PyObject *module, PyObject *what)
{
    const char *text = PyUnicode_AsUTF8(what);

    (void)module;
    if (text == NULL) {
        return NULL;
    }
    sweep_print(&the_sweep, text);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"run", run, METH_O, "run(iterations): the work of a task"},
    {"start", start, METH_VARARGS, "start(pes, task_ns): begin a sweep"},
    {"next", next, METH_NOARGS, "next(): (iterations, steps), or None"},
    {"took", took, METH_O, "took(ns): how long that took"},
    {"show", show, METH_O, "show(what): print the line of JSON"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        "taskbench",
                                        NULL,
                                        -1,
                                        methods,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL};

PyMODINIT_FUNC PyInit_taskbench(void);

PyMODINIT_FUNC
PyInit_taskbench(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && PyModule_AddIntConstant(module, "WIDTH_PER_PE",
                                                  SWEEP_WIDTH_PER_PE) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
