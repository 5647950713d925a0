/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * invoke.c - from a message to the Python method.
 *
 * core_invoke() is the entry function of all methods; its context is the
 * entry, whose function was looked up once. No Python frame lies between the
 * scheduler and the method.
 */
#include "state.h"

PyObject *
core_call_slots(PyObject *function, unsigned flags, PyObject **slots,
                Py_ssize_t arg_count)
{
    PyObject **args = slots;
    PyObject *result;
    PyObject *keywords = NULL;

    if ((flags & CORE_ENTRY_NO_SELF) == 0) {
        arg_count++;
    } else {
        args++;
    }
    if ((flags & CORE_ENTRY_KEYWORDS) == 0) {
        return PyObject_Vectorcall(function, args, (size_t)arg_count, NULL);
    }
    /* The last argument holds the keywords, when it came from a proxy. */
    if (slots + arg_count > args && (PyDict_CheckExact(args[arg_count - 1]) ||
                                     args[arg_count - 1] == Py_None)) {
        keywords = args[--arg_count];
    }
    if (keywords == Py_None) {
        keywords = NULL;
    }
    result =
        PyObject_VectorcallDict(function, args, (size_t)arg_count, keywords);
    return result;
}

void
core_reply(struct core_pe *pe, const struct core_entry *entry,
           const chare_reply *reply, PyObject *value)
{
    chare_status status;
    chare_data data;

    if (value == Py_None) {
        status = chare_reply_send(pe->runtime, reply, NULL);
    } else {
        bool local = reply->callback.kind == CHARE_CALLBACK_FUTURE &&
                     reply->callback.future.pe == pe->rank;

        if (!(local && core_data_simple(pe->state, &value, 1, &core_value_ops,
                                        &data)) &&
            core_data_value(pe, local, value, &data) < 0) {
            core_unsendable(pe->state, entry->fullname, Py_None, &value, 1);
            core_failed(pe, entry, &reply->self, reply);
            return;
        }
        status = chare_reply_send(pe->runtime, reply, &data);
        if (status != CHARE_OK) {
            core_moves_return_value(pe, value, &data);
            core_data_drop(&data);
        }
    }
    if (status != CHARE_OK) {
        core_raise(pe->state, status, "cannot send a reply");
        core_failed(pe, entry, &reply->self, NULL);
    }
}

void
core_finish(struct core_pe *pe, const struct core_entry *entry,
            struct core_chare *chare, const chare_call *call, PyObject *result)
{
    chare_reply reply;

    if (result == NULL) {
        if (call->wants_reply) {
            chare_call_take_reply(call, &reply);
            core_failed(pe, entry, call->self, &reply);
        } else {
            core_failed(pe, entry, call->self, NULL);
        }
        return;
    }
    if (PyCoro_CheckExact(result)) { /* of an 'async def' */
        if (call->wants_reply) {
            chare_call_take_reply(call, &reply);
        }
        core_task_start(pe, entry, result, chare,
                        call->wants_reply ? &reply : NULL);
    } else if (call->wants_reply && result != Py_None) {
        chare_call_take_reply(call, &reply);
        core_reply(pe, entry, &reply, result);
    }
    Py_DECREF(result);
}

/* slots[0] is free for self; the others are borrowed. */
static __attribute__((noinline)) void
run(struct core_pe *pe, const struct core_entry *entry, PyObject *object,
    const chare_call *call, PyObject **slots, Py_ssize_t arg_count)
{
    PyObject *result;
    chare_reply reply;

    if (((struct core_chare *)object)->building &&
        core_build_hold(pe, entry, (struct core_chare *)object, call, slots,
                        arg_count, NULL)) {
        return;
    }
    if (entry->when != NULL) {
        if (call->wants_reply) {
            chare_call_take_reply(call, &reply);
        }
        core_when_arrived(pe, entry, (struct core_chare *)object,
                          call->wants_reply ? &reply : NULL, slots, arg_count,
                          NULL);
        return;
    }
    if ((entry->flags & CORE_ENTRY_SUSPENDS) != 0) {
        if (call->wants_reply) {
            chare_call_take_reply(call, &reply);
        }
        if ((entry->flags & CORE_ENTRY_MOVABLE) != 0) {
            core_movable_start(pe, entry, (struct core_chare *)object, slots,
                               arg_count, call->wants_reply ? &reply : NULL);
            return;
        }
        core_coroutine_start(pe, entry, entry->function, slots + 1, arg_count,
                             object, call->wants_reply ? &reply : NULL);
        return;
    }
    slots[0] = Py_NewRef(object); /* the method may have it deleted */
    pe->running = entry;
    result = core_invoke_function(entry, slots, arg_count);
    pe->running = NULL;
    if (result != Py_None || call->wants_reply) {
        core_finish(pe, entry, (struct core_chare *)object, call, result);
    } else {
        Py_DECREF(result);
    }
    core_when_changed(pe, (struct core_chare *)object);
    Py_DECREF(object);
}

void
core_execute(struct core_pe *pe, const struct core_entry *entry,
             struct core_chare *chare, PyObject **slots, Py_ssize_t arg_count,
             const chare_reply *reply)
{
    PyObject *result;

    pe->args = slots + 1;
    pe->arg_count = arg_count;
    if ((entry->flags & CORE_ENTRY_MOVABLE) != 0) {
        core_movable_start(pe, entry, chare, slots, arg_count, reply);
        pe->arg_count = 0;
        return;
    }
    if ((entry->flags & CORE_ENTRY_COROUTINE) != 0) {
        core_coroutine_start(pe, entry, entry->function, slots + 1, arg_count,
                             (PyObject *)chare, reply);
        pe->arg_count = 0;
        return;
    }
    slots[0] = Py_NewRef((PyObject *)chare);
    pe->running = entry;
    result = core_invoke_function(entry, slots, arg_count);
    pe->running = NULL;
    if (result == NULL) {
        core_failed_of(pe, entry, chare, reply);
    } else if (PyCoro_CheckExact(result)) { /* of an 'async def' */
        core_task_start(pe, entry, result, chare, reply);
    } else if (reply != NULL) {
        core_reply(pe, entry, reply, result);
    }
    pe->arg_count = 0;
    Py_XDECREF(result);
    core_when_changed(pe, chare);
    Py_DECREF(chare);
}

/* As run(), of a plain entry and a chare that is built. */
static inline void
run_plain(struct core_pe *pe, const struct core_entry *entry, PyObject *object,
          const chare_call *call, PyObject **slots, Py_ssize_t arg_count)
{
    /* What a Python function returns needs no check. */
    const vectorcallfunc function =
        ((PyFunctionObject *)entry->function)->vectorcall;
    PyObject *result;

    slots[0] = Py_NewRef(object); /* the method may have it deleted */
    pe->running = entry;
    result = function(entry->function, slots, (size_t)arg_count + 1, NULL);
    pe->running = NULL;
    if (result != Py_None || call->wants_reply) {
        core_finish(pe, entry, (struct core_chare *)object, call, result);
    } else {
        Py_DECREF(result);
    }
    core_when_changed(pe, (struct core_chare *)object);
    Py_DECREF(object);
}

/*
 * An error instead of a result, as from a reduction: only those who wait for
 * allreduce() can be told; any other entry method fails with it.
 */
static bool
raise_error_argument(const struct core_entry *entry, const chare_call *call,
                     PyObject *argument)
{
    const Py_ssize_t waiting = entry->owner->result_index;

    if (call->format != CHARE_FORMAT_ERROR ||
        (waiting >= 0 && entry == &entry->owner->entries[waiting]) ||
        !PyExceptionInstance_Check(argument)) {
        return false;
    }
    PyErr_SetObject((PyObject *)Py_TYPE(argument), argument);
    return true;
}

/* ---- broadcasts: what nobody can change is read once for all chares here */

void
core_shared_drop(struct core_shared *shared)
{
    if (shared->bytes != NULL) {
        shared->bytes = NULL;
        for (Py_ssize_t i = 0; i < shared->count; i++) {
            Py_DECREF(shared->args[i]);
        }
    }
}

/* Keep arguments for the calls that follow, if all of them are plain. */
static void
shared_put(struct core_pe *pe, const chare_call *call, PyObject *const *args,
           Py_ssize_t count)
{
    struct core_shared *shared = &pe->shared;

    for (Py_ssize_t i = 0; i < count; i++) {
        if (!core_is_plain(pe->state, args[i], 0)) {
            return;
        }
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        shared->args[i] = Py_NewRef(args[i]);
    }
    shared->count = count;
    shared->bytes = call->bytes;
    shared->more = call->more;
}

/* What was kept at the call before this one; -1: nothing. */
static Py_ssize_t
shared_take(struct core_shared *shared, const chare_call *call,
            PyObject **args)
{
    const Py_ssize_t count = shared->count;

    if (shared->bytes != call->bytes || shared->more != call->more + 1) {
        core_shared_drop(shared);
        return -1;
    }
    shared->more = call->more;
    for (Py_ssize_t i = 0; i < count; i++) {
        args[i] = Py_NewRef(shared->args[i]);
    }
    if (call->more == 0) {
        core_shared_drop(shared);
    }
    return count;
}

/* core_decode_args(), or what the last call got. */
static Py_ssize_t
args_get(struct core_pe *pe, const chare_call *call, PyObject **inline_args,
         PyObject ***args_out)
{
    Py_ssize_t count = -1;

    if (pe->shared.bytes != NULL) {
        count = shared_take(&pe->shared, call, inline_args);
        if (count >= 0) {
            *args_out = inline_args;
            return count;
        }
    }
    count =
        core_decode_args(pe, call, inline_args, CORE_ARGS_INLINE, args_out);
    if (call->more > 0 && count > 0 && *args_out == inline_args &&
        call->format == CHARE_FORMAT_ARGS) {
        shared_put(pe, call, inline_args, count);
    }
    return count;
}

/* Arguments that came as bytes. */
static __attribute__((noinline)) void
invoke_bytes(struct core_pe *pe, const struct core_entry *entry,
             PyObject *object, const chare_call *call)
{
    PyObject *inline_slots[CORE_ARGS_INLINE + 1];
    PyObject **slots = inline_slots;
    PyObject **args;
    Py_ssize_t count = args_get(pe, call, inline_slots + 1, &args);

    if (count < 0) {
        core_finish(pe, entry, (struct core_chare *)object, call, NULL);
        return;
    }
    if (args != inline_slots + 1) {
        slots = PyMem_Malloc(((size_t)count + 1) * sizeof(*slots));
        if (slots == NULL) {
            Py_FatalError("chare: out of memory for arguments");
        }
        memcpy(slots + 1, args, (size_t)count * sizeof(*slots));
        PyMem_Free(args);
        pe->args = slots + 1;
        pe->arg_count = count;
    }
    if (count == 1 && raise_error_argument(entry, call, slots[1])) {
        core_finish(pe, entry, (struct core_chare *)object, call, NULL);
    } else if (entry->plain && !((struct core_chare *)object)->building) {
        run_plain(pe, entry, object, call, slots, count);
    } else {
        run(pe, entry, object, call, slots, count);
    }
    for (Py_ssize_t i = 1; i <= count; i++) {
        Py_DECREF(slots[i]);
    }
    pe->arg_count = 0;
    if (slots != inline_slots) {
        PyMem_Free(slots);
    }
}

static inline void
invoke(struct core_pe *pe, const struct core_entry *entry, PyObject *object,
       const chare_call *call)
{
    if (call->payload != NULL && call->payload_ops == &core_args_ops) {
        struct core_payload *payload = (struct core_payload *)call->payload;

        if (entry->plain && !((struct core_chare *)object)->building) {
            run_plain(pe, entry, object, call, payload->slots,
                      payload->arg_count);
        } else {
            run(pe, entry, object, call, payload->slots, payload->arg_count);
        }
    } else {
        invoke_bytes(pe, entry, object, call);
    }
}

void
core_invoke(void *object, const chare_call *call, void *context)
{
    const struct core_entry *entry = (const struct core_entry *)context;
    struct core_pe *pe = chare_user(call->runtime);

    core_enter(pe);
    pe->called = call->collection;
    invoke(pe, entry, (PyObject *)object, call);
    core_leave(pe);
}
