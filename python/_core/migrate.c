/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * migrate.c - chares that move: what goes along, and when they cannot.
 *
 * A chare moves as a tuple
 *
 *     (flavour, luggage, state)
 *
 * whose luggage is None, or (messages that wait for conditions, channels,
 * methods to be begun again), and whose state is the attributes, or what
 * __getstate__() gives. On the other PE an object is made without calling the
 * constructor; its channels come first, for the state may refer to them: a
 * Channel in it is the name of its other end and a number.
 *
 * A chare with a suspended method that is not movable (restart.c), or a future
 * of allreduce(), stays until there is none: what is on a stack cannot be
 * written. pe->unmovable is set when one was asked to move; from then on the
 * runtime is told when a coroutine has run.
 */
#include "migrate.h"

#include "create.h"

enum {
    STATE_PLAIN = 1, /* the attributes */
    STATE_OWN = 2,   /* what __getstate__() gave */
};

enum {
    MIGRATED_TOLD = 1, /* the class has migrated() */
    MIGRATED_UNTOLD = 2,
};

/* ---- when */

/* Whether who receives from a channel can do so elsewhere. */
static bool
end_is_quiet(const struct core_chare *chare, const struct core_channel *end)
{
    const struct core_ring *ring = &end->receivers;

    for (uint32_t i = 0; i < ring->count; i++) {
        const struct core_future *future =
            (const struct core_future *)
                ring->at[(ring->first + i) & (ring->room - 1)];

        if (!core_future_is_complete(future) &&
            (future->waiter == NULL ||
             !core_restarts_allow_waiter(chare->owner->state, chare,
                                         future->waiter))) {
            return false;
        }
    }
    return end->watcher == NULL;
}

/* Whether nobody waits for what comes from a peer, who has to do it here. */
static bool
peer_is_quiet(const struct core_chare *chare, const struct core_peer *peer)
{
    for (const struct core_channel *end = peer->channels; end != NULL;
         end = end->next) {
        if (!end_is_quiet(chare, end)) {
            return false;
        }
    }
    return true;
}

static bool
rings_are_quiet(const struct core_chare *chare)
{
    const struct core_channels *channels =
        chare->rare != NULL ? chare->rare->channels : NULL;

    for (uint32_t i = 0; channels != NULL && i < channels->room; i++) {
        for (const struct core_peer *peer = channels->slots[i]; peer != NULL;
             peer = peer->next) {
            if (!peer_is_quiet(chare, peer)) {
                return false;
            }
        }
    }
    return true;
}

static bool
awaits_result(const struct core_rare *rare)
{
    PyObject *list;
    PyObject *key;
    Py_ssize_t at = 0;

    if (rare->results != NULL && PyList_GET_SIZE(rare->results) > 0) {
        return true;
    }
    while (rare->section_results != NULL &&
           PyDict_Next(rare->section_results, &at, &key, &list)) {
        if (PyList_GET_SIZE(list) > 0) {
            return true;
        }
    }
    return false;
}

bool
core_chare_movable(void *object, void *context)
{
    struct core_chare *chare = (struct core_chare *)object;
    struct core_rare *rare = chare->rare;
    struct core_pe *pe = ((struct core_class *)context)->state->pe;

    if (chare->building) {
        pe->unmovable = true;
        return false;
    }
    if (rare == NULL) {
        return true;
    }
    if (rare->restarts != NULL) { /* it was packed, and stayed */
        core_restarts_post(pe, chare);
        pe->unmovable = true;
        return false;
    }
    rare->kept = !core_restarts_allow(pe->state, chare);
    if (rare->kept) {
        core_restarts_count_kept(pe, chare);
    }
    if (rare->kept || awaits_result(rare) || !rings_are_quiet(chare)) {
        pe->unmovable = true;
        return false;
    }
    return true;
}

void
core_chare_retry(struct core_pe *pe, const struct core_chare *chare)
{
    chare_element name;
    chare_status status;

    core_chare_name(chare, &name);
    status = chare_migrate_retry(pe->runtime, &name);
    if (status == CHARE_ERR_STATE) { /* nobody is to move any more */
        pe->unmovable = false;
    }
}

/* ---- leaving */

/* Whether a class says itself what its state is. */
static bool
has_own_state(struct core_state *state, struct core_class *owner)
{
    if (owner->state_kind == 0) {
        PyObject *function = core_support(state, "has_own_state");
        PyObject *truth = function != NULL
                              ? PyObject_CallOneArg(function, owner->cls)
                              : NULL;

        owner->state_kind = truth != NULL && PyObject_IsTrue(truth) == 1
                                ? STATE_OWN
                                : STATE_PLAIN;
        if (truth == NULL) {
            PyErr_Clear();
        }
        Py_XDECREF(truth);
        Py_XDECREF(function);
    }
    return owner->state_kind == STATE_OWN;
}

static PyObject *
state_pack(struct core_pe *pe, struct core_chare *chare)
{
    if (has_own_state(pe->state, chare->owner)) {
        PyObject *function = core_support(pe->state, "get_state");
        PyObject *state =
            function != NULL ? PyObject_CallOneArg(function, (PyObject *)chare)
                             : NULL;

        Py_XDECREF(function);
        return state;
    }
    return PyObject_GenericGetDict((PyObject *)chare, NULL);
}

/* What few chares have; NULL with an exception. */
static PyObject *
luggage_pack(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *held = core_when_pack(pe, chare);
    PyObject *channels = held != NULL ? core_channels_pack(chare) : NULL;

    if (channels == NULL) {
        Py_XDECREF(held);
        return NULL;
    }
    return Py_BuildValue("(NNO)", held, channels,
                         chare->rare->restarts != NULL ? chare->rare->restarts
                                                       : Py_None);
}

/* Name what of its state cannot be sent. */
static void
explain(struct core_pe *pe, struct core_chare *chare, PyObject *state)
{
    PyObject *error = core_exception_take();

    pe->moving = NULL;
    pe->luggage = NULL;
    if (error != NULL) {
        core_mistake(pe->state, "(sOOO)", "unmovable", error, chare, state);
        Py_DECREF(error);
    }
}

/* Write all parts; -1 with an exception. */
static int
pack(struct core_pe *pe, struct core_chare *chare, chare_encoder *encoder)
{
    PyObject *state;
    PyObject *luggage;
    int result = -1;

    if (chare->rare != NULL && core_restarts_pack(pe, chare) < 0) {
        return -1;
    }
    pe->moving = chare;
    pe->luggage = encoder;
    state = state_pack(pe, chare);
    luggage = state == NULL         ? NULL
              : chare->rare != NULL ? luggage_pack(pe, chare)
                                    : Py_NewRef(Py_None);
    if (luggage != NULL) {
        chare_put_container(encoder, CHARE_TAG_TUPLE, 3);
        chare_put_int(encoder,
                      chare->flavour | (int64_t)chare->host
                                           << CORE_FLAVOUR_HOST_SHIFT);
        if (luggage == Py_None) {
            chare_put_none(encoder);
            result = 0;
        } else {
            result = core_encode(pe, encoder, luggage);
        }
        if (result == 0 && core_encode(pe, encoder, state) < 0) {
            result = -1;
            explain(pe, chare, state);
        }
    }
    pe->moving = NULL;
    pe->luggage = NULL;
    Py_XDECREF(state);
    Py_XDECREF(luggage);
    return result;
}

/* It is said; the job ends, unless it forgives or has ended already: so the
 * chare stays, and is to move no more. */
static void
failed_to_leave(struct core_pe *pe, struct core_chare *chare)
{
    chare_element name;

    core_chare_name(chare, &name);
    core_failed_hook(pe, chare->owner, "migrate", &name);
    (void)!chare_migrate(pe->runtime, &name, pe->rank);
    if (chare->rare != NULL && chare->rare->restarts != NULL) {
        core_restarts_post(pe, chare);
    }
}

chare_status
core_chare_pack(void *object, void *context, chare_encoder *encoder)
{
    struct core_class *self = (struct core_class *)context;
    struct core_pe *pe = self->state->pe;
    struct core_chare *chare = (struct core_chare *)object;
    int result;

    if (core_when_is_touched(chare)) {
        return CHARE_ERR_AGAIN; /* what it holds is to be looked at first */
    }
    core_enter(pe);
    result = pack(pe, chare, encoder);
    if (result < 0) {
        failed_to_leave(pe, chare);
    }
    core_leave(pe);
    return result < 0 ? CHARE_ERR_AGAIN : CHARE_OK;
}

void
core_chare_depart(void *object, void *context)
{
    struct core_pe *pe = ((struct core_class *)context)->state->pe;

    core_enter(pe);
    core_when_clear((struct core_chare *)object);
    core_channels_clear((struct core_chare *)object);
    Py_DECREF((PyObject *)object);
    core_leave(pe);
}

/* ---- arriving */

static int
state_unpack(struct core_pe *pe, struct core_chare *chare, PyObject *state)
{
    PyObject *key;
    PyObject *value;
    PyObject *done;
    PyObject *function;
    Py_ssize_t at = 0;

    if (!has_own_state(pe->state, chare->owner) && PyDict_CheckExact(state)) {
        while (PyDict_Next(state, &at, &key, &value)) {
            if (PyObject_GenericSetAttr((PyObject *)chare, key, value) < 0) {
                return -1;
            }
        }
        return 0;
    }
    function = core_support(pe->state, "set_state");
    if (function == NULL) {
        return -1;
    }
    done =
        PyObject_CallFunctionObjArgs(function, (PyObject *)chare, state, NULL);
    Py_DECREF(function);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* One attribute, name and value. Names are interned, as those that the code of
 * a class has: then objects share their names. */
static int
attribute_unpack(struct core_chare *chare, struct core_reader *reader)
{
    PyObject *name = core_decode(reader);
    PyObject *value = name != NULL ? core_decode(reader) : NULL;
    int result = -1;

    if (value != NULL && PyUnicode_CheckExact(name)) {
        PyUnicode_InternInPlace(&name);
        result = PyObject_GenericSetAttr((PyObject *)chare, name, value);
    }
    Py_XDECREF(name);
    Py_XDECREF(value);
    return result;
}

/* The state that follows: nearly always attributes that were written one by
 * one, and need no dict. 'refused': it could be read, but not be set. */
static int
state_read(struct core_pe *pe, struct core_chare *chare,
           struct core_reader *reader, bool *refused_out)
{
    const chare_decoder before = reader->decoder;
    chare_value value;
    PyObject *state;
    int result;

    if (!has_own_state(pe->state, chare->owner) &&
        chare_get(&reader->decoder, &value) == CHARE_OK &&
        value.tag == CHARE_TAG_DICT) {
        for (size_t i = 0; i < value.as.count; i++) {
            if (attribute_unpack(chare, reader) < 0) {
                return -1;
            }
        }
        return 0;
    }
    reader->decoder = before;
    state = core_decode(reader);
    result = state != NULL ? state_unpack(pe, chare, state) : -1;
    *refused_out = state != NULL && result < 0;
    Py_XDECREF(state);
    return result;
}

static int
restarts_unpack(struct core_chare *chare, PyObject *list)
{
    struct core_rare *rare;

    if (list == Py_None) {
        return 0;
    }
    rare = PyList_CheckExact(list) ? core_chare_rare(chare) : NULL;
    if (rare == NULL) {
        return -1;
    }
    Py_XSETREF(rare->restarts, Py_NewRef(list));
    return 0;
}

/* The value that follows; then what is in it; -1 with an exception. The state
 * comes last: its channels must be there. */
static int
unpack(struct core_pe *pe, struct core_chare *chare,
       struct core_reader *reader, bool *refused_out)
{
    PyObject *luggage = core_decode(reader);
    PyObject *held = Py_None;
    PyObject *channels = Py_None;
    PyObject *restarts = Py_None;
    int result = -1;

    if (luggage != NULL &&
        (luggage == Py_None ||
         PyArg_ParseTuple(luggage, "OOO", &held, &channels, &restarts)) &&
        core_channels_unpack(pe->state, chare, channels) == 0 &&
        state_read(pe, chare, reader, refused_out) == 0 &&
        core_when_unpack(pe, chare, held) == 0 &&
        restarts_unpack(chare, restarts) == 0) {
        result = 0;
    }
    if (result < 0 && !PyErr_Occurred()) {
        core_raise(pe->state, CHARE_ERR_FORMAT, "a chare that moves");
    }
    Py_XDECREF(luggage);
    return result;
}

/* Name the method: the class's own only where that is what failed. */
static void
failed_to_arrive(struct core_pe *pe, struct core_class *self, bool refused,
                 const chare_element *name)
{
    PyObject *type;
    PyObject *error;
    PyObject *trace;
    bool own;

    PyErr_Fetch(&type, &error, &trace);
    own = refused && PyObject_HasAttrString(self->cls, "__setstate__");
    PyErr_Restore(type, error, trace);
    core_failed_hook(pe, self, own ? "__setstate__" : "migrate", name);
}

chare_status
core_chare_unpack(const chare_call *call, void *context, void **object_out)
{
    struct core_class *self = (struct core_class *)context;
    struct core_pe *pe = chare_user(call->runtime);
    struct core_chare *chare = NULL;
    struct core_reader reader;
    chare_value value;
    bool refused = false;
    bool good = false;

    core_enter(pe);
    core_reader_init(&reader, pe, call->bytes, call->len, NULL);
    if (chare_get(&reader.decoder, &value) == CHARE_OK &&
        value.tag == CHARE_TAG_TUPLE &&
        chare_get(&reader.decoder, &value) == CHARE_OK &&
        value.tag == CHARE_TAG_INT) {
        chare = core_class_instantiate(pe, self, call, (long)value.as.integer);
    }
    if (chare != NULL) {
        pe->moving = chare;
        good = unpack(pe, chare, &reader, &refused) == 0;
        pe->moving = NULL;
    }
    core_reader_fini(&reader);
    if (!good) {
        if (!PyErr_Occurred()) {
            core_raise(pe->state, CHARE_ERR_FORMAT, "a chare that moves");
        }
        failed_to_arrive(pe, self, refused, call->self);
        Py_CLEAR(chare);
    }
    core_leave(pe);
    *object_out = chare;
    return good ? CHARE_OK : CHARE_ERR_FORMAT;
}

void
core_chare_migrated(void *object, void *context)
{
    struct core_class *self = (struct core_class *)context;
    struct core_pe *pe = self->state->pe;
    PyObject *result;
    chare_element name;

    if (self->migrated_kind == 0) {
        self->migrated_kind =
            PyObject_HasAttr(self->cls, self->state->name_migrated)
                ? MIGRATED_TOLD
                : MIGRATED_UNTOLD;
    }
    core_enter(pe);
    if (self->migrated_kind == MIGRATED_UNTOLD) {
        core_restarts_run(pe, (struct core_chare *)object);
        core_when_changed(pe, object);
        core_leave(pe);
        return;
    }
    pe->running = &self->init;
    result = PyObject_CallMethodNoArgs(object, self->state->name_migrated);
    pe->running = NULL;
    core_chare_name(object, &name);
    if (result == NULL) {
        core_failed_hook(pe, self, "migrated", &name);
    } else if (PyCoro_CheckExact(result)) { /* an 'async def' */
        core_task_start(pe, &self->init, result, object, NULL);
    }
    Py_XDECREF(result);
    core_restarts_run(pe, (struct core_chare *)object);
    core_when_changed(pe, object);
    core_leave(pe);
}

/* ---- for users */

const char core_chare_migrate_doc[] = "migrate($self, toPe)\n--\n\n\
Move this chare of an array to another PE, by number.\n\
\n\
It moves as soon as it can: after the method that runs now, and when none of\n\
its methods is suspended, but for those with @movable. Calls find it\n\
wherever it is. Its state are its attributes, or what __getstate__() gives\n\
to __setstate__(); messages held by @when, channels, futures and memberships\n\
of sections come along. The constructor is not called again; migrated() is,\n\
if there is such a method.\n\
\n\
Also a method of proxies: of a chare, or of a whole array.\n\
\n\
Raises ValueError for a PE that is not there, and Error for a chare that is\n\
not in an array.\n\
\n\
Example: self.migrate((charm.myPe() + 1) % charm.numPes())";

const char core_chare_set_migratable_doc[] =
    "setMigratable($self, migratable)\n--\n\n\
Whether load balancing may move this chare; True at first.\n\
\n\
migrate() moves it in any case.\n\
\n\
Example: self.setMigratable(False)";

/* The PE, for a chare of an array; NULL with an exception. */
static struct core_pe *
array_pe(const struct core_chare *self, const char *what)
{
    struct core_state *state = self->owner == NULL ? NULL : self->owner->state;
    struct core_pe *pe;

    if (state == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "this chare was made by hand, and is nowhere");
        return NULL;
    }
    pe = core_pe_get(state);
    if (pe != NULL && self->flavour != CORE_FLAVOUR_ARRAY) {
        PyErr_Format(
            state->Error,
            "%s: only chares of arrays can move, and %R is not in one", what,
            self);
        return NULL;
    }
    return pe;
}

PyObject *
core_chare_migrate(PyObject *op, PyObject *number)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_pe *pe = array_pe(self, "migrate()");
    long to = pe != NULL ? PyLong_AsLong(number) : -1;
    chare_element name;
    chare_status status;

    if (pe == NULL || (to == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (to < 0 || (unsigned long)to >= chare_pe_count(pe->runtime)) {
        PyErr_Format(PyExc_ValueError, "migrate(%ld): there are PEs 0 to %u",
                     to, (unsigned)chare_pe_count(pe->runtime) - 1);
        return NULL;
    }
    core_chare_name(self, &name);
    status = chare_migrate(pe->runtime, &name, (uint32_t)to);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "migrate()");
    }
    Py_RETURN_NONE;
}

PyObject *
core_chare_set_migratable(PyObject *op, PyObject *truth)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_pe *pe = array_pe(self, "setMigratable()");
    int migratable = pe != NULL ? PyObject_IsTrue(truth) : -1;
    chare_element name;
    chare_status status;

    if (migratable < 0) {
        return NULL;
    }
    core_chare_name(self, &name);
    status = chare_set_migratable(pe->runtime, &name, migratable != 0);
    if (status != CHARE_OK) {
        return core_raise(pe->state, status, "setMigratable()");
    }
    Py_RETURN_NONE;
}

PyObject *
core_chare_get_migratable(PyObject *op, void *closure)
{
    struct core_chare *self = (struct core_chare *)op;
    struct core_pe *pe =
        self->owner == NULL ? NULL : self->owner->state->current;
    chare_element name;

    (void)closure;
    if (pe == NULL) {
        Py_RETURN_FALSE;
    }
    core_chare_name(self, &name);
    return PyBool_FromLong(chare_is_migratable(pe->runtime, &name));
}
