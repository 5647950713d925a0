/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - the Memory type: owns the bytes of a message that arrays view.
 */
#include "state.h"

struct memory {
    PyObject_HEAD
    chare_buffer *buffer;
};

PyObject *
core_memory_new(struct core_state *state, chare_buffer *buffer)
{
    struct memory *self = PyObject_New(struct memory, state->MemoryType);

    if (self == NULL) {
        chare_buffer_release(buffer);
        return NULL;
    }
    self->buffer = buffer;
    return (PyObject *)self;
}

static int
memory_getbuffer(PyObject *op, Py_buffer *view, int flags)
{
    struct memory *self = (struct memory *)op;
    size_t len;
    void *bytes = chare_buffer_bytes(self->buffer, &len);

    return PyBuffer_FillInfo(view, op, bytes, (Py_ssize_t)len, 0, flags);
}

static void
memory_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);

    chare_buffer_release(((struct memory *)op)->buffer);
    PyObject_Free(op);
    Py_DECREF(type);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The bytes of a message that was kept.")},
    {Py_tp_dealloc, memory_dealloc},
    {Py_bf_getbuffer, memory_getbuffer},
    {0, NULL},
};

PyType_Spec core_memory_spec = {
    .name = "chare._core.Memory",
    .basicsize = sizeof(struct memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = memory_slots,
};
