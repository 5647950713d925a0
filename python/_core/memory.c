/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - the Memory type: owns the bytes of a message that arrays view,
 * until they are moved away in a message.
 *
 * It may outlive the runtime and the module's state. In a forked child it
 * releases nothing: the bytes of a large message, and the books on them, are
 * shared with the parent, who still uses them.
 */
#include "state.h"

/* Of all Memory of a module. */
struct core_origin {
    size_t references;
    bool forked; /* since it was made: this is a child */
};

struct memory {
    PyObject_HEAD
    chare_buffer *buffer;
    struct core_origin *origin;
    bool read_only;
};

int
core_origin_create(struct core_state *state)
{
    state->origin = PyMem_Calloc(1, sizeof(*state->origin));
    if (state->origin == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    state->origin->references = 1;
    return 0;
}

void
core_origin_drop(struct core_origin *origin)
{
    if (origin != NULL && --origin->references == 0) {
        PyMem_Free(origin);
    }
}

void
core_origin_forked(struct core_origin *origin)
{
    /* Where there is none yet, all that will be is this process's own. */
    origin->forked = origin->references > 1;
}

PyObject *
core_memory_new(struct core_state *state, chare_buffer *buffer, bool read_only)
{
    struct memory *self = PyObject_New(struct memory, state->MemoryType);

    if (self == NULL) {
        chare_buffer_release(buffer);
        return NULL;
    }
    self->buffer = buffer;
    self->read_only = read_only;
    self->origin = state->origin;
    self->origin->references++;
    return (PyObject *)self;
}

bool
core_memory_holds(PyObject *op, const void *at, size_t len)
{
    const struct memory *self = (struct memory *)op;
    size_t room;
    const char *bytes = chare_buffer_bytes(self->buffer, &room);

    return (const char *)at >= bytes && len <= room &&
           (size_t)((const char *)at - bytes) <= room - len;
}

chare_buffer *
core_memory_take(PyObject *op)
{
    struct memory *self = (struct memory *)op;
    chare_buffer *buffer = self->buffer;

    self->buffer = NULL;
    return buffer;
}

static int
memory_getbuffer(PyObject *op, Py_buffer *view, int flags)
{
    struct memory *self = (struct memory *)op;
    size_t len;
    void *bytes;

    if (self->buffer == NULL) {
        PyErr_SetString(PyExc_BufferError, "its bytes were moved away");
        view->obj = NULL;
        return -1;
    }
    bytes = chare_buffer_bytes(self->buffer, &len);
    return PyBuffer_FillInfo(view, op, bytes, (Py_ssize_t)len, self->read_only,
                             flags);
}

static void
memory_dealloc(PyObject *op)
{
    struct memory *self = (struct memory *)op;
    PyTypeObject *type = Py_TYPE(op);

    if (!self->origin->forked) {
        chare_buffer_release(self->buffer);
    }
    core_origin_drop(self->origin);
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
