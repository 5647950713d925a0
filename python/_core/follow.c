/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * follow.c - futures among what a chare takes along when it moves.
 *
 * Where the chare arrives a future of its own stands for each, *adopted*: it
 * has the name of the original, completes when that does, and can be waited
 * for. The PE that the chare leaves calls its hidden method _chare_future with
 * the value when there is one, wherever it is by then, as any call finds it.
 *
 *   original: incomplete --value--> complete: a call to each chare that left
 *   adopted:  incomplete --that call--> complete
 *
 *  F1  Who writes an adopted future that is complete for another move sends
 *      its value itself; for an incomplete one a call is still to come.
 *  F2  A call for a future that the chare does not have is dropped: it is back
 *      at the original, or it was told twice.
 *  F3  An adopted future is the chare's: to others it goes by its name, and
 *      what they send goes to the original.
 *  F4  Code of users that runs while the chare is written or read may send
 *      messages: a future in those goes by its name, as in any other.
 *  F5  The chare may be destroyed before the value comes: that is no failure.
 */
#include "state.h"

enum {
    NAME_BYTES = 12, /* id and PE */
};

/* ---- where the chare left */

/* A value has reached its chare, or could not. */
static void
value_followed(const chare_call *call, void *context)
{
    struct core_pe *pe = chare_user(call->runtime);
    PyObject *answer;

    (void)context;
    core_enter(pe);
    answer = core_decode_data(pe, call);
    if (answer != NULL && PyExceptionInstance_Check(answer) &&
        !Py_IS_TYPE(answer, (PyTypeObject *)PyExc_LookupError)) { /* F5 */
        PyErr_SetObject((PyObject *)Py_TYPE(answer), answer);
        Py_CLEAR(answer);
    }
    if (answer == NULL) {
        core_failed_in(pe, "the value of a future whose chare has moved");
    }
    Py_XDECREF(answer);
    core_leave(pe);
}

int
core_follow_register(struct core_pe *pe)
{
    chare_status status =
        chare_function_register(pe->runtime, "chare.future.followed",
                                value_followed, NULL, &pe->followed);

    if (status != CHARE_OK) {
        core_raise(pe->state, status, "cannot register a function");
        return -1;
    }
    return 0;
}

/* Call _chare_future of a chare; -1 with an exception. */
static int
value_send(struct core_pe *pe, const struct core_future *future,
           const chare_element *target, uint32_t entry, PyObject *value)
{
    PyObject *args[] = {PyLong_FromUnsignedLongLong(future->name.id),
                        PyLong_FromUnsignedLong(future->name.pe), value};
    const chare_callback told =
        chare_callback_function(pe->followed, pe->rank, 0);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &told};
    chare_status status;
    chare_data data;
    int result = -1;

    if (args[0] != NULL && args[1] != NULL &&
        core_data_args(pe, false, args, 3, &data) == 0) {
        status =
            chare_send_if_alive(pe->runtime, target, entry, &data, &options);
        if (status != CHARE_OK) {
            core_data_drop(&data);
        }
        if (status == CHARE_OK || status == CHARE_ERR_NOT_FOUND) { /* F5 */
            result = 0;
        } else {
            core_raise(pe->state, status, "a future that moves");
        }
    }
    Py_XDECREF(args[0]);
    Py_XDECREF(args[1]);
    return result;
}

/* The same with its outcome, or with why that cannot be sent. */
static int
outcome_send(struct core_pe *pe, struct core_future *future,
             const chare_element *target, uint32_t entry)
{
    PyObject *error;
    PyObject *text;
    int result = -1;

    if (value_send(pe, future, target, entry, core_future_outcome(future)) ==
        0) {
        return 0;
    }
    error = core_exception_take();
    text = PyObject_Str(error);
    Py_DECREF(error);
    error = text != NULL ? PyObject_CallOneArg(pe->state->Error, text) : NULL;
    if (error != NULL) {
        result = value_send(pe, future, target, entry, error);
    }
    Py_XDECREF(text);
    Py_XDECREF(error);
    return result;
}

/* self: (future, name of the chare, entry). The future is complete. */
static PyObject *
follow_call(PyObject *self, PyObject *unused)
{
    struct core_future *future =
        (struct core_future *)PyTuple_GET_ITEM(self, 0);
    chare_element target;

    (void)unused;
    memcpy(&target, PyBytes_AS_STRING(PyTuple_GET_ITEM(self, 1)),
           sizeof(target));
    if (future->pe == NULL ||
        outcome_send(
            future->pe, future, &target,
            (uint32_t)PyLong_AsUnsignedLong(PyTuple_GET_ITEM(self, 2))) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef follow_def = {"_follow", follow_call, METH_NOARGS, NULL};

/* When it completes, its value goes to that chare. */
static int
follow_later(struct core_future *future, const chare_element *target,
             uint32_t entry)
{
    PyObject *name =
        PyBytes_FromStringAndSize((const char *)target, sizeof(*target));
    PyObject *self;
    PyObject *function;
    int result = -1;

    if (name == NULL) {
        return -1;
    }
    if (future->follower != NULL &&
        PyObject_RichCompareBool(name, future->follower, Py_EQ) == 1) {
        Py_DECREF(name);
        return 0; /* it has left before */
    }
    self = Py_BuildValue("(OOI)", future, name, (unsigned)entry);
    function = self != NULL ? PyCFunction_New(&follow_def, self) : NULL;
    if (function != NULL) {
        result = core_future_add_waiter(future, function);
    }
    Py_XDECREF(self);
    Py_XDECREF(function);
    Py_XSETREF(future->follower, name);
    return result;
}

int
core_future_send_after(struct core_pe *pe, struct core_future *future)
{
    struct core_chare *chare = pe->moving;
    const struct core_class *owner = chare->owner;
    const uint32_t entry = owner->entries[owner->future_index].id;
    chare_element target;
    chare_future name;
    int result;

    core_chare_name(chare, &target);
    if (core_future_name(pe, future, &name) < 0) {
        return -1;
    }
    if (core_future_is_complete(future)) { /* F1 */
        pe->moving = NULL; /* the value is an ordinary message */
        result = outcome_send(pe, future, &target, entry);
        pe->moving = chare;
        return result;
    }
    return future->adopted ? 0 : follow_later(future, &target, entry);
}

int
core_future_follow(struct core_pe *pe, chare_encoder *encoder,
                   struct core_future *future)
{
    unsigned char bytes[NAME_BYTES];

    if (core_future_send_after(pe, future) < 0) {
        return -1;
    }
    memcpy(bytes, &future->name.id, sizeof(uint64_t));
    memcpy(bytes + sizeof(uint64_t), &future->name.pe, sizeof(uint32_t));
    chare_put_extern(encoder, CORE_EXTERN_FUTURE, bytes, sizeof(bytes));
    return 0;
}

/* ---- where it arrives */

static PyObject *
key_of(const chare_future *name)
{
    return Py_BuildValue("(KI)", (unsigned long long)name->id,
                         (unsigned)name->pe);
}

PyObject *
core_future_adopt_name(struct core_pe *pe, const chare_future *name)
{
    struct core_rare *rare;
    PyObject *found = NULL;
    PyObject *key;

    if (pe->moving == NULL) {
        return core_raise(pe->state, CHARE_ERR_FORMAT, "a future");
    }
    if (name->pe == pe->rank) {
        found = core_future_find(pe, name->id);
        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    rare = core_chare_rare(pe->moving);
    if (rare == NULL ||
        (rare->adopted == NULL && (rare->adopted = PyDict_New()) == NULL)) {
        return NULL;
    }
    key = key_of(name);
    if (key != NULL) {
        found = Py_XNewRef(PyDict_GetItemWithError(rare->adopted, key));
    }
    if (key != NULL && found == NULL && !PyErr_Occurred()) {
        found = (PyObject *)core_future_new_adopted(pe, name);
        if (found != NULL && PyDict_SetItem(rare->adopted, key, found) < 0) {
            Py_CLEAR(found);
        }
    }
    Py_XDECREF(key);
    return found;
}

PyObject *
core_future_adopt(struct core_pe *pe, const void *bytes, size_t len)
{
    chare_future name = {0, 0, 0};

    if (len != NAME_BYTES) {
        return core_raise(pe->state, CHARE_ERR_FORMAT, "a future");
    }
    memcpy(&name.id, bytes, sizeof(uint64_t));
    memcpy(&name.pe, (const unsigned char *)bytes + sizeof(uint64_t),
           sizeof(uint32_t));
    return core_future_adopt_name(pe, &name);
}

PyObject *
core_chare_future(PyObject *op, PyObject *const *args, Py_ssize_t arg_count)
{
    const struct core_chare *self = (const struct core_chare *)op;
    PyObject *adopted = self->rare != NULL ? self->rare->adopted : NULL;
    PyObject *future = NULL;
    PyObject *key;

    if (arg_count != 3) {
        PyErr_SetString(PyExc_TypeError, "the value of a future is malformed");
        return NULL;
    }
    key = PyTuple_Pack(2, args[0], args[1]);
    if (key != NULL && adopted != NULL) {
        future = Py_XNewRef(PyDict_GetItemWithError(adopted, key));
    }
    if (future != NULL) { /* F2 */
        (void)core_future_complete((struct core_future *)future,
                                   Py_NewRef(args[2]));
        if (PyDict_DelItem(adopted, key) < 0) {
            PyErr_Clear();
        }
        Py_DECREF(future);
    }
    Py_XDECREF(key);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}
