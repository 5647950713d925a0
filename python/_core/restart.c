/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * restart.c - methods that are suspended while their chare moves.
 *
 * What is on the stack of a coroutine cannot be written. A method with
 * @movable says that it can be begun again: when its chare leaves, and it is
 * suspended, its coroutine is closed, with its 'finally' blocks, before the
 * attributes are written; on the other PE the method is called again with the
 * same arguments. Who waits for its result waits for that of the second call.
 *
 *   running --await--> suspended --its chare leaves--> noted --arrived-->
 *                        |   ^                           |        running
 *                        +---+ it goes on                +--it stayed: here
 *
 *  M1  It is closed only while what it awaits has not come: a value that has
 *      come is seen by the method first, here. So nothing that an await has
 *      given is lost, and nothing behind it is done twice.
 *  M2  What it took from nobody stays where it is: a channel's next message
 *      is for the next recv(); a future among the attributes comes along
 *      (follow.c).
 *  M3  Methods of a chare are begun again in the order in which they were
 *      first suspended, before anything else that comes for the chare there.
 *  M4  What is made for one wait, by recv(), wait() or sleep(), ends with it.
 *      While others refer to it, an attribute for example, the chare stays.
 */
#include "migrate.h"

void
core_movable_start(struct core_pe *pe, const struct core_entry *entry,
                   struct core_chare *chare, PyObject **slots,
                   Py_ssize_t arg_count, const chare_reply *reply)
{
    PyObject *args = PyTuple_New(arg_count);
    PyObject *result = NULL;

    Py_INCREF(chare);
    for (Py_ssize_t i = 0; args != NULL && i < arg_count; i++) {
        PyTuple_SET_ITEM(args, i, Py_NewRef(slots[i + 1]));
    }
    if (args != NULL) {
        slots[0] = (PyObject *)chare;
        pe->running = entry;
        result = core_invoke_function(entry, slots, arg_count);
        pe->running = NULL;
    }
    if (result == NULL) {
        core_failed_of(pe, entry, chare, reply);
    } else {
        core_task_start_movable(pe, entry, result, chare, reply, args);
    }
    Py_XDECREF(result);
    Py_XDECREF(args);
    core_when_changed(pe, chare);
    Py_DECREF(chare);
}

struct count {
    const PyObject *what;
    Py_ssize_t times;
};

static int
count_visit(PyObject *object, void *context)
{
    struct count *count = context;

    count->times += object == count->what;
    return 0;
}

/* What a coroutine or generator awaits; new reference or NULL. */
static PyObject *
awaited_by(PyObject *object)
{
    PyObject *inner = NULL;

    if (PyCoro_CheckExact(object)) {
        inner = PyObject_GetAttrString(object, "cr_await");
    } else if (PyGen_CheckExact(object)) {
        inner = PyObject_GetAttrString(object, "gi_yieldfrom");
    }
    PyErr_Clear();
    return inner;
}

/* How often the frames of a suspended coroutine refer to something. */
static Py_ssize_t
frames_count(PyObject *coroutine, const PyObject *what)
{
    struct count count = {what, 0};
    PyObject *at = Py_NewRef(coroutine);

    while (at != NULL && at != Py_None && at != what) {
        PyObject *inner = awaited_by(at);

        if (inner != NULL) {
            (void)Py_TYPE(at)->tp_traverse(at, count_visit, &count);
        }
        Py_SETREF(at, inner);
    }
    Py_XDECREF(at);
    return count.times + (coroutine == what);
}

/* M4: besides the wait, and who is to complete it: a channel, a timer, what
 * waits for a condition, the source of a view. */
static bool
is_kept_elsewhere(const struct core_waiter *waiter)
{
    const struct core_future *future =
        (const struct core_future *)waiter->awaited;
    Py_ssize_t known = 2; /* the waiter, and one of these */

    if (future == NULL || !core_future_is_for_one(future) ||
        core_future_is_complete(future)) {
        return false;
    }
    known += future->timer != NULL;
    known += frames_count(core_task_coroutine((PyObject *)(uintptr_t)waiter),
                          waiter->awaited);
    return Py_REFCNT(waiter->awaited) > known;
}

/* M1 */
static bool
can_leave(const struct core_state *state, const struct core_waiter *waiter)
{
    return Py_IS_TYPE((PyObject *)waiter, state->TaskType) &&
           waiter->entry != NULL &&
           (waiter->entry->flags & CORE_ENTRY_MOVABLE) != 0 &&
           waiter->suspended && !waiter->ready &&
           waiter->interrupted == NULL && !is_kept_elsewhere(waiter);
}

bool
core_restarts_allow(const struct core_state *state,
                    const struct core_chare *chare)
{
    const struct core_waiter *waiter = chare->rare->waiters;

    while (waiter != NULL && can_leave(state, waiter)) {
        waiter = waiter->same_next;
    }
    return waiter == NULL;
}

void
core_restarts_count_kept(struct core_pe *pe, const struct core_chare *chare)
{
    for (struct core_waiter *waiter = chare->rare->waiters; waiter != NULL;
         waiter = waiter->same_next) {
        if (waiter->listed != CORE_LISTED_KEPT && waiter->entry != NULL &&
            (waiter->entry->flags & CORE_ENTRY_MOVABLE) == 0) {
            waiter->listed = CORE_LISTED_KEPT;
            chare_stats_keep(pe->runtime, waiter->entry->id);
        }
    }
}

bool
core_restarts_allow_waiter(const struct core_state *state,
                           const struct core_chare *chare, PyObject *waiter)
{
    return waiter == NULL ||
           (Py_IS_TYPE(waiter, state->TaskType) &&
            ((const struct core_waiter *)waiter)->chare == chare &&
            can_leave(state, (const struct core_waiter *)waiter));
}

/* Where the answer of a noted method goes; false: nobody wants one. */
static bool
record_parse(PyObject *record, unsigned *id_out, PyObject **args_out,
             chare_reply *reply_out)
{
    const char *reply = NULL;
    Py_ssize_t reply_len = 0;

    if (!PyArg_ParseTuple(record, "IO!y#", id_out, &PyTuple_Type, args_out,
                          &reply, &reply_len)) {
        return false;
    }
    if (reply_len == sizeof(*reply_out)) {
        memcpy(reply_out, reply, sizeof(*reply_out));
    }
    return reply_len == sizeof(*reply_out);
}

/* Its own code failed when it was closed: that is its result. */
static void
leaving_failed(struct core_pe *pe, struct core_chare *chare,
               const struct core_entry *entry, PyObject *record)
{
    PyObject *error = core_exception_take();
    chare_reply reply;
    PyObject *args;
    unsigned id;
    const bool replies = record_parse(record, &id, &args, &reply);

    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    core_failed_of(pe, entry, chare, replies ? &reply : NULL);
}

/* -1 with an exception. */
static int
leave_one(struct core_pe *pe, struct core_chare *chare,
          struct core_waiter *waiter)
{
    const struct core_entry *entry = waiter->entry;
    PyObject *record = core_task_record(waiter);
    int result;

    if (record == NULL) {
        return -1;
    }
    if (core_task_leave(pe, waiter) < 0) {
        leaving_failed(pe, chare, entry, record);
        result = 0;
    } else {
        result = PyList_Append(chare->rare->restarts, record);
    }
    Py_DECREF(record);
    return result;
}

int
core_restarts_pack(struct core_pe *pe, struct core_chare *chare)
{
    struct core_rare *rare = chare->rare;
    struct core_waiter *waiter = rare != NULL ? rare->waiters : NULL;

    if (waiter == NULL) {
        return 0;
    }
    if (rare->restarts == NULL) {
        rare->restarts = PyList_New(0);
        if (rare->restarts == NULL) {
            return -1;
        }
    }
    while (waiter->same_next != NULL) { /* the oldest is last */
        waiter = waiter->same_next;
    }
    while (waiter != NULL) {
        struct core_waiter *younger = waiter->same_prev;

        if (leave_one(pe, chare, waiter) < 0) {
            return -1;
        }
        waiter = younger;
    }
    return 0;
}

static void
begin_again(struct core_pe *pe, struct core_chare *chare, PyObject *record)
{
    struct core_entry *entry = NULL;
    PyObject *inline_slots[CORE_ARGS_INLINE + 1];
    PyObject **slots = inline_slots;
    PyObject *args = NULL;
    chare_reply reply;
    Py_ssize_t count;
    unsigned id = 0;
    const bool replies = record_parse(record, &id, &args, &reply);

    if (!PyErr_Occurred() && id < pe->state->entry_room) {
        entry = pe->state->entries[id];
    }
    if (entry == NULL || entry->owner != chare->owner) {
        if (!PyErr_Occurred()) {
            core_raise(pe->state, CHARE_ERR_FORMAT, "a method that moves");
        }
        core_failed_of(pe, &chare->owner->init, chare, NULL);
        return;
    }
    count = PyTuple_GET_SIZE(args);
    if (count > CORE_ARGS_INLINE) {
        slots = PyMem_Malloc(((size_t)count + 1) * sizeof(*slots));
        if (slots == NULL) {
            Py_FatalError("chare: out of memory for arguments");
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        slots[i + 1] = PyTuple_GET_ITEM(args, i);
    }
    core_movable_start(pe, entry, chare, slots, count,
                       replies ? &reply : NULL);
    if (slots != inline_slots) {
        PyMem_Free(slots);
    }
}

void
core_restarts_run(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *list = chare->rare != NULL ? chare->rare->restarts : NULL;

    if (list == NULL) {
        return;
    }
    chare->rare->restarts = NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        begin_again(pe, chare, PyList_GET_ITEM(list, i)); /* M3 */
    }
    Py_DECREF(list);
}

void
core_restarts_abandon(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *list = chare->rare != NULL ? chare->rare->restarts : NULL;

    if (list == NULL) {
        return;
    }
    chare->rare->restarts = NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        chare_reply reply;
        PyObject *args;
        unsigned id;

        if (record_parse(PyList_GET_ITEM(list, i), &id, &args, &reply)) {
            PyErr_Format(pe->state->Destroyed, "%R was destroyed",
                         (PyObject *)chare);
            core_failed_of(pe, &chare->owner->init, chare, &reply);
        }
        PyErr_Clear();
    }
    Py_DECREF(list);
}

static PyObject *
restarts_call(PyObject *op, PyObject *unused)
{
    struct core_chare *chare = (struct core_chare *)op;
    struct core_pe *pe = chare->owner->state->current;
    const bool asked_again = chare->rare->stays == CORE_STAYS_ASKED;

    (void)unused;
    chare->rare->stays = CORE_STAYS_NOT;
    if (pe != NULL) {
        core_restarts_run(pe, chare);
        if (asked_again) {
            core_chare_retry(pe, chare);
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef restarts_def = {"_begin_again", restarts_call, METH_NOARGS,
                                   NULL};

void
core_restarts_post(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *function;

    if (chare->rare->stays != CORE_STAYS_NOT) {
        chare->rare->stays = CORE_STAYS_ASKED; /* and was told to wait */
        return;
    }
    chare->rare->stays = CORE_STAYS_POSTED;
    function = PyCFunction_New(&restarts_def, (PyObject *)chare);
    if (function == NULL ||
        core_post(pe->state, function, pe->state->no_args) < 0) {
        core_failed_in(pe, "a chare that did not move");
    }
    Py_XDECREF(function);
}
