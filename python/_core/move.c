/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * move.c - the Moved type: an array that its sender gives up.
 *
 * Nothing happens before it is sent. Then the array must have one owner: no
 * views of it, and no more than one variable or container. What lies alone in
 * a Memory leaves in it, without a copy; anything else is copied. When all
 * values of the message are written, the sender's array is made empty, and
 * marked, so that it is not sent again as if it had never had any elements.
 *
 *     MADE --- core_move_put() --> WRITTEN --- core_moves_end() --> SPENT
 *      ^                              | core_moves_forget()
 *      +------------------------------+
 *
 * References that the runtime holds do not count: those of the arguments of
 * the running method, which are let go.
 */
#include "state.h"

enum {
    PICKLE_IT = 1,
    OWNERS_MAX = 2,     /* this Moved, and the user's one */
    BASE_OWNERS = 2,    /* the array, and we */
    BASES_MAX = 8,      /* NumPy keeps them short */
    FRONT_BYTES = 256,  /* in front of the elements of an empty() */
    BEHIND_BYTES = 256, /* and behind: for values of the same message */
};

struct core_moved {
    PyObject_HEAD
    PyObject *array;         /* NULL: it was sent */
    PyObject *spent;         /* which was empty then */
    PyObject *memory;        /* what it lies in alone, or NULL; owned */
    struct core_moved *next; /* of the same message */
    bool written;
    bool formless; /* its elements have no form in the codec */
    chare_value value;
    int64_t shape[CHARE_ARRAY_DIMS_MAX];
};

int
core_moved_refuse(void)
{
    PyErr_SetString(PyExc_ValueError,
                    "move(): this array was moved already: it is empty, and "
                    "its receiver has what it held");
    return -1;
}

/* ---- who else has it */

static int
not_alone(PyObject *array, const char *why)
{
    PyErr_Format(PyExc_BufferError,
                 "move(): this %.100s cannot be given up: %s; del what else "
                 "refers to it, or send it without move()",
                 Py_TYPE(array)->tp_name, why);
    return -1;
}

/* References that the running method's caller holds are of no use. */
static void
arguments_forget(struct core_pe *pe, PyObject *array)
{
    for (Py_ssize_t i = 0; i < pe->arg_count; i++) {
        if (pe->args[i] == array) {
            Py_SETREF(pe->args[i], Py_NewRef(Py_None));
        }
    }
    core_coroutine_forget(pe, array);
}

/*
 * Whether nobody else can see the elements. *memory_out: the Memory that they
 * lie in, a new reference, or NULL. -1 with an exception: somebody can.
 */
static int
elements_alone(struct core_state *state, PyObject *array,
               PyObject **memory_out)
{
    PyObject *base = PyObject_GetAttrString(array, "base");

    *memory_out = NULL;
    for (int i = 0; base != NULL && base != Py_None; i++) {
        const bool is_memory = Py_IS_TYPE(base, state->MemoryType);

        if (Py_REFCNT(base) > BASE_OWNERS) {
            Py_DECREF(base);
            return not_alone(array, "other views of its memory exist");
        }
        if (is_memory) {
            *memory_out = base;
            return 0;
        }
        if (core_numpy_kind(state, base) != 'a' || i == BASES_MAX) {
            Py_DECREF(base);
            return not_alone(array, "it does not own its memory");
        }
        Py_SETREF(base, PyObject_GetAttrString(base, "base"));
    }
    if (base == NULL) {
        return -1;
    }
    Py_DECREF(base);
    return 0;
}

/* -1 with an exception: more than one variable or container has it. */
static int
check_owner(struct core_pe *pe, PyObject *array)
{
    char why[100];

    arguments_forget(pe, array);
    if (Py_REFCNT(array) <= OWNERS_MAX) {
        return 0;
    }
    PyOS_snprintf(why, sizeof(why),
                  "it has %ld references, of variables, containers or "
                  "views, where one is allowed",
                  (long)Py_REFCNT(array) - 1);
    return not_alone(array, why);
}

static int
check_alone(struct core_pe *pe, struct core_moved *self)
{
    PyObject *array = self->array;

    if (PyMemoryView_Check(array)) {
        return ((PyMemoryViewObject *)array)->exports == 0
                   ? 0
                   : not_alone(array, "others were made of it");
    }
    if (PyByteArray_CheckExact(array)) {
        return ((PyByteArrayObject *)array)->ob_exports == 0
                   ? check_owner(pe, array)
                   : not_alone(array, "views of it exist");
    }
    return check_owner(pe, array) < 0
               ? -1
               : elements_alone(pe->state, array, &self->memory);
}

/* ---- writing */

/* Whether the elements can stay where they are; then self->value is set. */
static bool
fits_in_place(struct core_moved *self)
{
    chare_value *value = &self->value;

    return self->memory != NULL &&
           core_array_describe(self->array, value, self->shape) &&
           value->as.array.len >= CORE_KEEP_BYTES_MIN &&
           core_memory_holds(self->memory, value->as.array.data,
                             value->as.array.len);
}

static int
moved_write(struct core_pe *pe, struct core_moves *moves,
            chare_encoder *encoder, size_t offset, struct core_moved *self)
{
    PyObject *array = self->array;
    int result;

    if (PyByteArray_CheckExact(array)) {
        chare_put_bytearray(encoder, PyByteArray_AS_STRING(array),
                            (size_t)PyByteArray_GET_SIZE(array));
        return 0;
    }
    if (moves->inserted == NULL && fits_in_place(self)) {
        moves->inserted = self;
        moves->behind = offset;
        return 0;
    }
    result = core_buffer_encode(pe->state, encoder, array);
    self->formless = result == PICKLE_IT;
    return result;
}

int
core_move_put(struct core_pe *pe, struct core_moves *moves,
              chare_encoder *encoder, size_t offset, PyObject *object)
{
    struct core_moved *self = (struct core_moved *)object;

    if (self->array == NULL || self->written) {
        return core_moved_refuse();
    }
    if (check_alone(pe, self) < 0) {
        return -1;
    }
    if (moves->first == NULL) {
        moves->inserted = NULL;
    }
    self->written = true;
    self->next = moves->first;
    moves->first = (struct core_moved *)Py_NewRef(object);
    return moved_write(pe, moves, encoder, offset, self);
}

PyObject *
core_moved_of(const struct core_state *state, PyObject *object)
{
    PyObject *array = Py_IS_TYPE(object, state->MovedType)
                          ? ((struct core_moved *)object)->array
                          : NULL;

    return array != NULL ? array : object;
}

void
core_moves_forget(struct core_moves *moves)
{
    while (moves->first != NULL) {
        struct core_moved *self = moves->first;

        moves->first = self->next;
        self->next = NULL;
        self->written = false;
        Py_CLEAR(self->memory);
        Py_DECREF(self);
    }
    moves->inserted = NULL;
}

/* Make the user's object empty. */
static int
moved_empty(const struct core_state *state, struct core_moved *self)
{
    PyObject *array = self->array;
    PyObject *dtype;
    PyObject *result;

    if (PyByteArray_CheckExact(array)) {
        return PyByteArray_Resize(array, 0);
    }
    if (PyMemoryView_Check(array)) {
        result = PyObject_CallMethod(array, "release", NULL);
    } else {
        dtype = PyObject_GetAttrString(array, "dtype");
        if (dtype == NULL) {
            return -1;
        }
        /* As if it were unpickled: this lets go of its memory. */
        result = PyObject_CallMethod(array, "__setstate__", "((i(i)OOy))", 1,
                                     0, dtype, Py_False, "");
        Py_DECREF(dtype);
        if (result != NULL) {
            core_array_set_spent(state, array, true);
        }
    }
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int
core_moves_end(struct core_pe *pe, struct core_moves *moves,
               chare_encoder *encoder)
{
    struct core_moved *inserted = moves->inserted;
    int result = 0;

    for (struct core_moved *at = moves->first; at != NULL && result == 0;
         at = at->next) {
        result = moved_empty(pe->state, at);
        if (result == 0) {
            at->spent = at->array;
            at->array = NULL;
        }
    }
    if (result == 0 && inserted != NULL &&
        !chare_put_array_of(encoder, moves->behind, &inserted->value,
                            core_memory_take(inserted->memory)) &&
        encoder->status != CHARE_OK) {
        core_raise(pe->state, encoder->status, "cannot move an array");
        result = -1;
    }
    core_moves_forget(moves);
    pe->state->moved_into = result == 0 ? encoder->buffer : NULL;
    return result;
}

/* What a refused message has, if arrays were moved into it; else NULL. */
static PyObject *
moves_read(struct core_pe *pe, const chare_data *data)
{
    struct core_reader reader;
    const void *bytes;
    PyObject *value;
    size_t len;

    if (data->buffer == NULL || data->buffer != pe->state->moved_into) {
        return NULL;
    }
    pe->state->moved_into = NULL;
    bytes = chare_buffer_bytes(data->buffer, &len);
    core_reader_init(&reader, pe, bytes, len, NULL);
    value = core_decode(&reader);
    core_reader_fini(&reader);
    if (value == NULL) {
        PyErr_WriteUnraisable((PyObject *)pe->state->MovedType);
    }
    return value;
}

/* Takes 'sent', which may be NULL. */
static void
moves_give_back(struct core_pe *pe, PyObject *sent, PyObject *values,
                Py_ssize_t skip)
{
    PyObject *function = core_support(pe->state, "moves_return");
    PyObject *result = NULL;

    if (sent != NULL && function != NULL) {
        result = PyObject_CallFunction(function, "OOn", sent, values, skip);
    }
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)pe->state->MovedType);
    }
    Py_XDECREF(result);
    Py_XDECREF(function);
    Py_XDECREF(sent);
}

void
core_moves_return(struct core_pe *pe, PyObject *const *args,
                  Py_ssize_t arg_count, Py_ssize_t skip,
                  const chare_data *data)
{
    PyObject *values = moves_read(pe, data);
    PyObject *sent;

    if (values == NULL) {
        return;
    }
    sent = PyTuple_New(arg_count);
    for (Py_ssize_t i = 0; sent != NULL && i < arg_count; i++) {
        PyTuple_SET_ITEM(sent, i, Py_NewRef(args[i]));
    }
    moves_give_back(pe, sent, values, skip);
    Py_DECREF(values);
}

void
core_moves_return_value(struct core_pe *pe, PyObject *value,
                        const chare_data *data)
{
    PyObject *read = moves_read(pe, data);
    PyObject *values;

    if (read == NULL) {
        return;
    }
    values = PyTuple_Pack(1, read);
    Py_DECREF(read);
    if (values == NULL) {
        PyErr_WriteUnraisable((PyObject *)pe->state->MovedType);
        return;
    }
    moves_give_back(pe, PyTuple_Pack(1, value), values, 0);
    Py_DECREF(values);
}

void
core_moves_return_init(struct core_pe *pe, PyObject *args, Py_ssize_t skip,
                       const chare_data *data)
{
    if (args != NULL &&
        (PyTuple_CheckExact(args) || PyList_CheckExact(args))) {
        core_moves_return(pe, PySequence_Fast_ITEMS(args),
                          PySequence_Fast_GET_SIZE(args), skip, data);
    }
}

void
core_moved_return(struct core_pe *pe, PyObject *moved, PyObject *value)
{
    PyObject *error = core_exception_take();
    PyObject *values = PyTuple_Pack(1, value);

    if (values != NULL) {
        moves_give_back(pe, PyTuple_Pack(1, moved), values, 0);
        Py_DECREF(values);
    } else {
        PyErr_WriteUnraisable((PyObject *)pe->state->MovedType);
    }
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

/* ---- the type */

PyObject *
core_move(PyObject *module, PyObject *object)
{
    struct core_state *state = core_state_get(module);
    const bool is_array = core_numpy_kind(state, object) == 'a';
    struct core_moved *self;

    if (is_array && core_array_is_spent(state, object)) {
        (void)core_moved_refuse();
        return NULL;
    }
    if (!is_array && !PyByteArray_CheckExact(object) &&
        !PyMemoryView_Check(object)) {
        PyErr_Format(PyExc_TypeError,
                     "move() is for NumPy arrays, bytearrays and memoryviews, "
                     "not %.200s; of another buffer, move(memoryview(x))",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    self = PyObject_New(struct core_moved, state->MovedType);
    if (self != NULL) {
        self->array = Py_NewRef(object);
        self->spent = NULL;
        self->memory = NULL;
        self->next = NULL;
        self->written = false;
        self->formless = false;
    }
    return (PyObject *)self;
}

static void
moved_dealloc(PyObject *op)
{
    struct core_moved *self = (struct core_moved *)op;
    PyTypeObject *type = Py_TYPE(op);

    Py_XDECREF(self->array);
    Py_XDECREF(self->spent);
    Py_XDECREF(self->memory);
    PyObject_Free(op);
    Py_DECREF(type);
}

static PyObject *
moved_repr(PyObject *op)
{
    const struct core_moved *self = (struct core_moved *)op;

    if (self->array == NULL) {
        return PyUnicode_FromString("<move() of what is gone>");
    }
    return PyUnicode_FromFormat("<move() of a %s>",
                                Py_TYPE(self->array)->tp_name);
}

static PyObject *
raise_formless(PyObject *array)
{
    const char *name = PyMemoryView_Check(array) ? "format" : "dtype";
    PyObject *elements = PyObject_GetAttrString(array, name);

    if (elements != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "move(): elements of %s %S have to be pickled, so send "
                     "the %.100s without move()",
                     name, elements, Py_TYPE(array)->tp_name);
        Py_DECREF(elements);
    }
    return NULL;
}

/* It is no part of a pickle. */
static PyObject *
moved_reduce(PyObject *op, PyObject *unused)
{
    const struct core_moved *self = (struct core_moved *)op;

    (void)unused;
    if (self->formless) {
        return raise_formless(self->array);
    }
    PyErr_SetString(PyExc_TypeError,
                    "move(): what is pickled cannot hold a moved array; "
                    "other arguments of this call have to be pickled, so "
                    "send the array without move()");
    return NULL;
}

/* The emptied array, which can be sent again; None if there is none. */
static PyObject *
moved_again(PyObject *op, PyObject *unused)
{
    struct core_state *state = core_state_of(Py_TYPE(op));
    struct core_moved *self = (struct core_moved *)op;

    (void)unused;
    if (self->spent == NULL) {
        Py_RETURN_NONE;
    }
    self->array = self->spent;
    self->spent = NULL;
    if (core_numpy_kind(state, self->array) == 'a') {
        core_array_set_spent(state, self->array, false);
    }
    return Py_NewRef(self->array);
}

static PyMethodDef moved_methods[] = {
    {"_again", moved_again, METH_NOARGS, NULL},
    {"__reduce__", moved_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot moved_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What move() gives, to be sent once.")},
    {Py_tp_dealloc, moved_dealloc},
    {Py_tp_repr, moved_repr},
    {Py_tp_methods, moved_methods},
    {0, NULL},
};

PyType_Spec core_moved_spec = {
    .name = "chare._core.Moved",
    .basicsize = sizeof(struct core_moved),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = moved_slots,
};

/* ---- memory for empty() */

/* (Memory, offset): room for so many bytes from that offset on. */
PyObject *
core_memory_create(PyObject *module, PyObject *bytes)
{
    struct core_state *state = core_state_get(module);
    struct core_pe *pe = core_pe_get(state);
    size_t len = PyLong_AsSize_t(bytes);
    chare_buffer *buffer;
    chare_status status;
    PyObject *memory;

    if (pe == NULL || PyErr_Occurred()) {
        return NULL;
    }
    status = len > SIZE_MAX / 2
                 ? CHARE_ERR_NO_MEMORY
                 : chare_buffer_alloc(
                       pe->runtime, FRONT_BYTES + len + BEHIND_BYTES, &buffer);
    if (status != CHARE_OK) {
        return core_raise(state, status, "cannot allocate an array");
    }
    chare_buffer_keep(buffer);
    memory = core_memory_new(state, buffer, false);
    return memory != NULL ? Py_BuildValue("(Ni)", memory, FRONT_BYTES) : NULL;
}
