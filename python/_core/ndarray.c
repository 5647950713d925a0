/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ndarray.c - NumPy's C interface, found when it runs.
 */
#include "ndarray.h"
#include "state.h"

enum { /* places in the table */
    TABLE_VERSION = 0,
    TABLE_NEW_FROM_DESCR = 94,
    /* The versions that are known, without their last 24 bits. */
    VERSION_SHIFT = 24,
    VERSION_FIRST = 1,
    VERSION_LAST = 2,
};

typedef unsigned (*version_fn)(void);
typedef PyObject *(*new_from_descr_fn)(PyTypeObject *type, PyObject *dtype,
                                       int ndim, const Py_ssize_t *shape,
                                       const Py_ssize_t *strides, void *data,
                                       int flags, PyObject *object);

/* The table in one of NumPy's modules, if that is loaded; or NULL. */
static void **
table_in(const char *name)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), name);
    PyObject *capsule;
    void **table = NULL;

    if (module == NULL) {
        return NULL;
    }
    capsule = PyObject_GetAttrString(module, "_ARRAY_API");
    if (capsule != NULL && PyCapsule_CheckExact(capsule)) {
        table = (void **)PyCapsule_GetPointer(capsule, NULL);
    }
    Py_XDECREF(capsule);
    PyErr_Clear();
    return table;
}

static bool
version_is_known(void **table)
{
    version_fn version;
    unsigned major;

    memcpy(&version, &table[TABLE_VERSION], sizeof(version));
    major = version() >> VERSION_SHIFT;
    return major >= VERSION_FIRST && major <= VERSION_LAST;
}

PyObject *
core_ndarray_new(const struct core_numpy *numpy, PyObject *dtype, int ndim,
                 const Py_ssize_t *shape, bool fortran)
{
    new_from_descr_fn new_from_descr;

    memcpy(&new_from_descr, &numpy->interface[TABLE_NEW_FROM_DESCR],
           sizeof(new_from_descr));
    /* It takes the reference to the dtype. */
    return new_from_descr((PyTypeObject *)numpy->ndarray, Py_NewRef(dtype),
                          ndim, shape, NULL, NULL,
                          fortran ? CORE_NDARRAY_F_ORDER : 0, NULL);
}

/* Whether an array of 2 x 3 doubles looks like one. */
static bool
looks_right(const struct core_numpy *numpy, PyObject *object, bool fortran)
{
    const struct core_ndarray *array = (const struct core_ndarray *)object;
    const int order = fortran ? CORE_NDARRAY_F_ORDER : CORE_NDARRAY_C_ORDER;
    const int others = CORE_NDARRAY_C_ORDER | CORE_NDARRAY_F_ORDER |
                       CORE_NDARRAY_WRITEABLE | CORE_NDARRAY_WARN_ON_WRITE;
    Py_buffer view;
    bool right;

    if ((PyObject *)Py_TYPE(object) != numpy->ndarray ||
        PyObject_GetBuffer(object, &view, PyBUF_FULL) < 0) {
        PyErr_Clear();
        return false;
    }
    right = array->data == view.buf && array->ndim == 2 &&
            array->shape[0] == 2 && array->shape[1] == 3 &&
            array->strides[0] == view.strides[0] &&
            array->strides[1] == view.strides[1] && array->base == NULL &&
            array->dtype == numpy->dtypes[CHARE_DTYPE_F64] &&
            (array->flags & others) == (order | CORE_NDARRAY_WRITEABLE);
    PyBuffer_Release(&view);
    return right;
}

static bool
makes_arrays(const struct core_numpy *numpy, bool fortran)
{
    const Py_ssize_t shape[] = {2, 3};
    PyObject *array = core_ndarray_new(numpy, numpy->dtypes[CHARE_DTYPE_F64],
                                       2, shape, fortran);
    bool right;

    if (array == NULL) {
        PyErr_Clear();
        return false;
    }
    right = looks_right(numpy, array, fortran);
    Py_DECREF(array);
    return right;
}

/* An array that Python code makes. */
static bool
knows_arrays(const struct core_numpy *numpy)
{
    PyObject *array = PyObject_CallFunction(numpy->empty, "(ii)O", 2, 3,
                                            numpy->dtypes[CHARE_DTYPE_F64]);
    bool right;

    if (array == NULL) {
        PyErr_Clear();
        return false;
    }
    right = looks_right(numpy, array, false);
    Py_DECREF(array);
    return right;
}

void
core_ndarray_open(struct core_numpy *numpy)
{
    void **table = table_in("numpy._core._multiarray_umath");

    if (table == NULL) {
        table = table_in("numpy.core._multiarray_umath");
    }
    numpy->interface = NULL;
    if (table == NULL || !version_is_known(table) || !knows_arrays(numpy)) {
        return;
    }
    numpy->interface = table;
    if (!makes_arrays(numpy, false) || !makes_arrays(numpy, true)) {
        numpy->interface = NULL;
    }
}
