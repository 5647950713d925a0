/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * when.c - what waits in a chare until a condition on its state holds:
 * messages of methods with @when, of calls with when=, and self.wait().
 *
 * All of it is in the chare's 'held', numbered in the order of arrival. When
 * something has run that may have changed the chare, it is *touched*: put on a
 * list of the PE. With nothing else to go on with, the scheduler takes the
 * first of the list and lets go the oldest of its waiters whose condition
 * holds, and so on until none does. So a condition is true when what waited
 * for it goes on, and waiters go on in the order in which they came.
 *
 * Waiters are in groups, that a look need not evaluate every condition:
 *
 *   STATE  one group for each condition: evaluated once for all its waiters
 *   TAG    one group for each condition "self.attribute == argument": the
 *          waiters are also in a dict by the argument, if it is of a type that
 *          is equal exactly when the dict says so; then the attribute leads
 *          to them
 *   ARGS   one group for all the others, evaluated one by one
 */
#include "held.h"

/* ---- groups */

/*
 * Whether a dict finds the value exactly when == says that it is equal: for
 * plain values, but for one that is not equal to itself.
 */
static bool
is_key(PyObject *value)
{
    const PyTypeObject *type = Py_TYPE(value);

    if (type == &PyLong_Type || type == &PyUnicode_Type ||
        type == &PyBool_Type || type == &PyBytes_Type || value == Py_None) {
        return true;
    }
    if (type == &PyFloat_Type) {
        return PyFloat_AS_DOUBLE(value) == PyFloat_AS_DOUBLE(value);
    }
    if (type != &PyTuple_Type ||
        PyTuple_GET_SIZE(value) > CORE_PAYLOAD_ARGS_MAX) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); i++) {
        PyObject *item = PyTuple_GET_ITEM(value, i);

        if (PyTuple_CheckExact(item) || !is_key(item)) {
            return false;
        }
    }
    return true;
}

static struct bucket *
bucket_find(const struct group *group, PyObject *key)
{
    PyObject *address = PyDict_GetItemWithError(group->buckets, key);

    return address != NULL ? PyLong_AsVoidPtr(address) : NULL;
}

static struct bucket *
bucket_new(struct group *group, PyObject *key)
{
    struct bucket *bucket = PyMem_Calloc(1, sizeof(*bucket));
    PyObject *address = bucket != NULL ? PyLong_FromVoidPtr(bucket) : NULL;

    if (address == NULL || PyDict_SetItem(group->buckets, key, address) < 0) {
        Py_FatalError("chare: out of memory for a message that waits");
    }
    Py_DECREF(address);
    bucket->key = Py_NewRef(key);
    return bucket;
}

static void
bucket_append(struct group *group, struct waiting *waiting, PyObject *key)
{
    struct bucket *bucket = bucket_find(group, key);

    if (bucket == NULL) {
        bucket = bucket_new(group, key);
    }
    waiting->bucket = bucket;
    waiting->same_prev = bucket->tail;
    if (bucket->tail != NULL) {
        bucket->tail->same_next = waiting;
    } else {
        bucket->head = waiting;
    }
    bucket->tail = waiting;
}

static void
bucket_remove(struct group *group, struct waiting *waiting)
{
    struct bucket *bucket = waiting->bucket;

    if (waiting->same_prev != NULL) {
        waiting->same_prev->same_next = waiting->same_next;
    } else {
        bucket->head = waiting->same_next;
    }
    if (waiting->same_next != NULL) {
        waiting->same_next->same_prev = waiting->same_prev;
    } else {
        bucket->tail = waiting->same_prev;
    }
    if (bucket->head == NULL) {
        if (PyDict_DelItem(group->buckets, bucket->key) < 0) {
            PyErr_Clear();
        }
        Py_DECREF(bucket->key);
        PyMem_Free(bucket);
    }
}

/* The group of the condition (NULL: all that are evaluated one by one). */
static struct group *
group_get(struct core_held *held, struct core_condition *condition, bool kept)
{
    struct group *group = held->groups;

    while (group != NULL && group->condition != condition) {
        group = group->next;
    }
    if (group != NULL) {
        return group;
    }
    group = PyMem_Calloc(1, sizeof(*group));
    if (group != NULL && condition != NULL &&
        condition->kind == CORE_CONDITION_TAG) {
        group->buckets = PyDict_New();
    }
    if (group == NULL || (group->buckets == NULL && condition != NULL &&
                          condition->kind == CORE_CONDITION_TAG)) {
        Py_FatalError("chare: out of memory for a message that waits");
    }
    group->condition =
        (struct core_condition *)Py_XNewRef((PyObject *)condition);
    group->kept = kept;
    group->next = held->groups;
    held->groups = group;
    return group;
}

static void
group_free(struct core_held *held, struct group *group)
{
    struct group **at = &held->groups;

    while (*at != group) {
        at = &(*at)->next;
    }
    *at = group->next;
    Py_XDECREF(group->condition);
    Py_XDECREF(group->buckets);
    PyMem_Free(group);
}

void
core_waiting_append(struct core_pe *pe, struct core_chare *chare,
                    struct waiting *waiting)
{
    struct core_held *held = core_chare_held(chare);
    struct core_condition *condition =
        waiting->own != NULL ? waiting->own : waiting->sent;
    bool grouped = (waiting->own == NULL || waiting->sent == NULL) &&
                   (condition->kind == CORE_CONDITION_STATE ||
                    (waiting->entry != NULL &&
                     core_condition_is_given(condition, waiting->entry,
                                             waiting->arg_count) &&
                     is_key(waiting->slots[1 + condition->param])));
    struct group *group = group_get(
        held, grouped ? condition : NULL,
        !grouped || (waiting->entry != NULL && waiting->own != NULL));

    waiting->number = held->next_number++;
    waiting->group = group;
    waiting->prev = group->tail;
    if (group->tail != NULL) {
        group->tail->next = waiting;
    } else {
        group->head = waiting;
    }
    group->tail = waiting;
    if (group->buckets != NULL) {
        bucket_append(group, waiting, waiting->slots[1 + condition->param]);
    }
    held->count++;
    pe->held_count++;
}

static void
waiting_remove(struct core_pe *pe, struct core_held *held,
               struct waiting *waiting)
{
    struct group *group = waiting->group;

    if (waiting->prev != NULL) {
        waiting->prev->next = waiting->next;
    } else {
        group->head = waiting->next;
    }
    if (waiting->next != NULL) {
        waiting->next->prev = waiting->prev;
    } else {
        group->tail = waiting->prev;
    }
    if (waiting->bucket != NULL) {
        bucket_remove(group, waiting);
    }
    held->count--;
    pe->held_count--;
    if (group->head == NULL && !group->kept) {
        group_free(held, group);
    }
}

void
core_waiting_free(struct waiting *waiting)
{
    for (Py_ssize_t i = 1; i <= waiting->arg_count; i++) {
        Py_XDECREF(waiting->slots[i]);
    }
    Py_XDECREF(waiting->own);
    Py_XDECREF(waiting->sent);
    Py_XDECREF(waiting->future);
    PyMem_Free(waiting);
}

struct waiting *
core_waiting_new(struct core_chare *chare, const struct core_entry *entry,
                 Py_ssize_t arg_count)
{
    struct waiting *waiting =
        PyMem_Calloc(1, sizeof(*waiting) +
                            ((size_t)arg_count + 1) * sizeof(*waiting->slots));
    struct core_rare *rare = core_chare_rare(chare);

    if (rare != NULL && rare->held == NULL) {
        rare->held = PyMem_Calloc(1, sizeof(*rare->held));
    }
    if (waiting == NULL || rare == NULL || rare->held == NULL) {
        Py_FatalError("chare: out of memory for what waits");
    }
    waiting->entry = entry;
    waiting->arg_count = arg_count;
    return waiting;
}

/* ---- looking */

/* The conditions of one waiter; an exception makes it the one to let go. */
static int
waiting_holds(struct core_pe *pe, struct core_chare *chare,
              struct waiting *waiting)
{
    waiting->slots[0] = (PyObject *)chare;
    return core_condition_both_hold(pe, waiting->own, waiting->sent,
                                    waiting->entry, waiting->slots,
                                    waiting->arg_count);
}

/* The oldest of a TAG group, if the dict can tell; else false. */
static bool
group_look_up(struct core_chare *chare, const struct group *group,
              struct waiting **found_out)
{
    PyObject *value =
        PyObject_GetAttr((PyObject *)chare, group->condition->attribute);
    struct bucket *bucket;

    if (value == NULL || !is_key(value)) {
        Py_XDECREF(value);
        PyErr_Clear(); /* it comes again, where it is told */
        return false;
    }
    bucket = bucket_find(group, value);
    Py_DECREF(value);
    *found_out = bucket != NULL ? bucket->head : NULL;
    return true;
}

/*
 * The oldest of a group whose condition holds, or that raised an exception,
 * which is set then; NULL: none that is older than 'number'.
 */
static struct waiting *
group_look(struct core_pe *pe, struct core_chare *chare, struct group *group,
           uint64_t number)
{
    struct waiting *found = NULL;

    if (group->buckets != NULL && group_look_up(chare, group, &found)) {
        return found != NULL && found->number < number ? found : NULL;
    }
    for (found = group->head; found != NULL && found->number < number;
         found = found->next) {
        int truth = waiting_holds(pe, chare, found);

        if (truth != 0) {
            return found;
        }
        if (group->condition != NULL &&
            group->condition->kind == CORE_CONDITION_STATE) {
            return NULL; /* and so for all of them */
        }
    }
    return NULL;
}

/* The oldest of all; an exception may be set. */
static struct waiting *
held_look(struct core_pe *pe, struct core_chare *chare)
{
    struct waiting *best = NULL;

    for (struct group *group = core_chare_held(chare)->groups; group != NULL;
         group = group->next) {
        struct waiting *found;

        if (group->head == NULL) {
            continue;
        }
        found = group_look(pe, chare, group,
                           best != NULL ? best->number : UINT64_MAX);
        if (found != NULL) {
            best = found;
        }
        if (PyErr_Occurred()) {
            break;
        }
    }
    return best;
}

/* ---- letting go */

/* Its turn has come, or its condition raised what is set. Takes it. */
static void
waiting_let_go(struct core_pe *pe, struct core_chare *chare,
               struct waiting *waiting)
{
    const chare_reply *reply = waiting->replies ? &waiting->reply : NULL;

    waiting_remove(pe, core_chare_held(chare), waiting);
    if (waiting->future != NULL) {
        (void)core_future_complete(waiting->future, PyErr_Occurred()
                                                        ? core_exception_take()
                                                        : Py_NewRef(Py_None));
    } else if (PyErr_Occurred()) {
        core_failed_of(pe, waiting->entry, chare, reply);
    } else {
        core_execute(pe, waiting->entry, chare, waiting->slots,
                     waiting->arg_count, reply);
    }
    core_waiting_free(waiting);
}

bool
core_when_run_one(struct core_pe *pe)
{
    struct core_chare *chare = pe->touched;
    struct waiting *found;

    while (chare != NULL) {
        found =
            core_chare_held(chare)->count > 0 ? held_look(pe, chare) : NULL;
        if (found != NULL) {
            Py_INCREF(chare);
            waiting_let_go(pe, chare, found);
            Py_DECREF(chare);
            return true;
        }
        pe->touched = core_chare_held(chare)->next_touched;
        if (pe->touched == NULL) {
            pe->touched_last = NULL;
        }
        core_chare_held(chare)->touched = false;
        Py_DECREF(chare);
        chare = pe->touched;
    }
    return false;
}

void
core_when_touch(struct core_pe *pe, struct core_chare *chare)
{
    struct core_held *held = core_chare_held(chare);

    if (held == NULL || held->touched || held->count == 0) {
        return;
    }
    held->touched = true;
    held->next_touched = NULL;
    if (pe->touched_last != NULL) {
        pe->touched_last->rare->held->next_touched = chare;
    } else {
        pe->touched = chare;
    }
    pe->touched_last = chare;
    Py_INCREF(chare);
}

/* ---- waiting */

/* Whether a message of the same method is waiting, which has to go first. */
static bool
held_has(const struct core_chare *chare, const struct core_entry *entry,
         const struct core_condition *condition)
{
    if (core_chare_held(chare) == NULL || core_chare_held(chare)->count == 0) {
        return false;
    }
    for (struct group *group = core_chare_held(chare)->groups; group != NULL;
         group = group->next) {
        if (group->head != NULL &&
            (group->condition == NULL || group->condition == condition ||
             group->head->entry == entry)) {
            return true;
        }
    }
    return false;
}

static void
message_keep(struct core_pe *pe, struct core_chare *chare,
             const struct core_entry *entry, const chare_reply *reply,
             PyObject **slots, Py_ssize_t arg_count,
             struct core_condition *sent)
{
    struct waiting *waiting = core_waiting_new(chare, entry, arg_count);

    for (Py_ssize_t i = 1; i <= arg_count; i++) {
        waiting->slots[i] = Py_NewRef(slots[i]);
    }
    waiting->own = (struct core_condition *)Py_XNewRef(entry->when);
    waiting->sent = (struct core_condition *)Py_XNewRef((PyObject *)sent);
    waiting->replies = reply != NULL;
    if (reply != NULL) {
        waiting->reply = *reply;
    }
    core_waiting_append(pe, chare, waiting);
}

void
core_when_arrived(struct core_pe *pe, const struct core_entry *entry,
                  struct core_chare *chare, const chare_reply *reply,
                  PyObject **slots, Py_ssize_t arg_count,
                  struct core_condition *sent)
{
    struct core_condition *own = (struct core_condition *)entry->when;
    int truth;

    slots[0] = (PyObject *)chare;
    truth = core_condition_both_hold(pe, own, sent, entry, slots, arg_count);
    if (truth == 1 && pe->flush_auto &&
        held_has(chare, entry, own != NULL ? own : sent)) {
        message_keep(pe, chare, entry, reply, slots, arg_count, sent);
        core_when_touch(pe, chare);
        return;
    }
    if (truth == 0) {
        message_keep(pe, chare, entry, reply, slots, arg_count, sent);
        return;
    }
    if (truth < 0) {
        core_failed_of(pe, entry, chare, reply);
        return;
    }
    core_execute(pe, entry, chare, slots, arg_count, reply);
}

/* args: the id of the entry, the condition, and the method's arguments. */
static int
arrived_sent(struct core_pe *pe, struct core_chare *chare,
             const chare_call *call, PyObject *const *args,
             Py_ssize_t arg_count)
{
    struct core_state *state = pe->state;
    PyObject *inline_slots[CORE_ARGS_INLINE + 1];
    PyObject **slots = inline_slots;
    struct core_entry *entry = NULL;
    struct core_condition *sent;
    chare_reply reply;
    unsigned long id;

    if (arg_count >= 2 && PyLong_CheckExact(args[0]) &&
        PyUnicode_CheckExact(args[1])) {
        id = PyLong_AsUnsignedLong(args[0]);
        if (id < state->entry_room && !PyErr_Occurred()) {
            entry = state->entries[id];
        }
    }
    if (entry == NULL || entry->owner != chare->owner) {
        PyErr_Clear();
        PyErr_SetString(state->Error, "a call with when= names no method");
        return -1;
    }
    sent = core_when_sent(state, entry, args[1]);
    if (sent == NULL) {
        return -1;
    }
    if (arg_count - 2 > CORE_ARGS_INLINE) {
        slots = PyMem_Malloc((size_t)arg_count * sizeof(*slots));
        if (slots == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    memcpy(slots + 1, args + 2, ((size_t)arg_count - 2) * sizeof(*slots));
    Py_INCREF(sent);
    if (!chare->building ||
        !core_build_hold(pe, entry, chare, call, slots, arg_count - 2, sent)) {
        if (call->wants_reply) {
            chare_call_take_reply(call, &reply);
        }
        core_when_arrived(pe, entry, chare, call->wants_reply ? &reply : NULL,
                          slots, arg_count - 2, sent);
    }
    Py_DECREF(sent);
    if (slots != inline_slots) {
        PyMem_Free(slots);
    }
    return 0;
}

void
core_when_invoke(void *object, const chare_call *call, void *context)
{
    const struct core_entry *hidden = (const struct core_entry *)context;
    struct core_pe *pe = chare_user(call->runtime);
    PyObject *inline_args[CORE_ARGS_INLINE];
    PyObject **args = inline_args;
    Py_ssize_t count;
    bool owned = true;

    core_enter(pe);
    if (call->payload != NULL && call->payload_ops == &core_args_ops) {
        struct core_payload *payload = (struct core_payload *)call->payload;

        args = payload->slots + 1;
        count = payload->arg_count;
        owned = false;
    } else {
        count =
            core_decode_args(pe, call, inline_args, CORE_ARGS_INLINE, &args);
    }
    if (count < 0 ||
        arrived_sent(pe, (struct core_chare *)object, call, args, count) < 0) {
        core_finish(pe, hidden, (struct core_chare *)object, call, NULL);
    }
    pe->arg_count = 0;
    for (Py_ssize_t i = 0; owned && i < count; i++) {
        Py_DECREF(args[i]);
    }
    if (owned && args != inline_args) {
        PyMem_Free(args);
    }
    core_leave(pe);
}

/* The condition of a wait: compiled text, or any callable. New reference. */
static struct core_condition *
wait_condition(struct core_pe *pe, struct core_chare *chare,
               PyObject *condition)
{
    struct core_class *owner = chare->owner;
    struct core_condition *made;

    if (PyUnicode_Check(condition)) {
        made = core_condition_cached(pe->state, &owner->waits, "compile_wait",
                                     condition, owner->cls);
        return (struct core_condition *)Py_XNewRef((PyObject *)made);
    }
    if (!PyCallable_Check(condition)) {
        PyErr_Format(PyExc_TypeError,
                     "wait() takes the text of a condition, or a function "
                     "without parameters, not %R",
                     condition);
        return NULL;
    }
    return (struct core_condition *)PyObject_CallFunction(
        (PyObject *)pe->state->ConditionType, "NOi", PyObject_Repr(condition),
        condition, CORE_CONDITION_CALL);
}

/* A constructor that waits for what only calls can change lets them in. */
static void
wait_opens(struct core_pe *pe, struct core_chare *chare)
{
    struct core_waiter *runs =
        pe->task != NULL ? pe->task : (struct core_waiter *)pe->coroutine;

    if (runs->builds && runs->chare == chare) {
        runs->builds = false;
        core_build_end(pe, chare);
    }
}

PyObject *
core_when_wait(struct core_pe *pe, struct core_chare *chare,
               PyObject *condition)
{
    struct core_condition *own = wait_condition(pe, chare, condition);
    PyObject *slots[1] = {(PyObject *)chare};
    struct core_future *future;
    struct waiting *waiting;
    int truth;

    if (own == NULL) {
        return NULL;
    }
    if (!core_can_wait(pe)) {
        Py_DECREF(own);
        core_raise_cannot_wait(pe, "wait()");
        return NULL;
    }
    truth = core_condition_both_hold(pe, own, NULL, NULL, slots, 0);
    future = truth >= 0 ? core_future_new_local(pe, "wait()") : NULL;
    if (future == NULL) {
        Py_DECREF(own);
        return NULL;
    }
    if (truth > 0) {
        Py_DECREF(own);
        (void)core_future_complete(future, Py_NewRef(Py_None));
        return core_future_await(pe, future, "wait()");
    }
    if (chare->building) {
        wait_opens(pe, chare);
    }
    waiting = core_waiting_new(chare, NULL, 0);
    waiting->own = own;
    waiting->future = (struct core_future *)Py_NewRef((PyObject *)future);
    core_waiting_append(pe, chare, waiting);
    return core_future_await(pe, future, "wait()");
}

/* ---- the end */

void
core_when_abandon(struct core_pe *pe, struct core_chare *chare)
{
    const struct core_held *held = core_chare_held(chare);
    struct group *group = held != NULL ? held->groups : NULL;

    if (pe->exiting) {
        return;
    }
    while (group != NULL) {
        struct waiting *waiting = group->head;

        if (waiting == NULL) {
            group = group->next;
            continue;
        }
        group->kept = true; /* it is freed with the chare */
        waiting_remove(pe, core_chare_held(chare), waiting);
        if (waiting->entry != NULL) {
            PyErr_Format(pe->state->Error,
                         "%R was destroyed while a message for %U() waited "
                         "for its condition",
                         chare, waiting->entry->fullname);
            core_failed_of(pe, waiting->entry, chare,
                           waiting->replies ? &waiting->reply : NULL);
        }
        core_waiting_free(waiting);
    }
}

/* [(method or None, condition or None)] of what waits in a chare. */
PyObject *
core_when_list(struct core_chare *chare)
{
    const struct core_held *held = core_chare_held(chare);
    PyObject *list = PyList_New(0);

    for (const struct group *group = held != NULL ? held->groups : NULL;
         list != NULL && group != NULL; group = group->next) {
        for (const struct waiting *waiting = group->head;
             list != NULL && waiting != NULL; waiting = waiting->next) {
            const struct core_condition *condition =
                waiting->own != NULL ? waiting->own : waiting->sent;
            PyObject *item = Py_BuildValue(
                "(OO)",
                waiting->entry != NULL ? waiting->entry->fullname : Py_None,
                condition != NULL ? condition->text : Py_None);

            if (item == NULL || PyList_Append(list, item) < 0) {
                Py_CLEAR(list);
            }
            Py_XDECREF(item);
        }
    }
    return list;
}

void
core_when_clear(struct core_chare *chare)
{
    struct core_held *held = core_chare_held(chare);

    if (held == NULL || held->touched) {
        return;
    }
    chare->rare->held = NULL;
    while (held->groups != NULL) {
        struct group *group = held->groups;

        group->kept = true;
        while (group->head != NULL) {
            struct waiting *waiting = group->head;

            waiting_remove(chare->owner->state->pe, held, waiting);
            core_waiting_free(waiting);
        }
        group_free(held, group);
    }
    PyMem_Free(held);
}

int
core_when_visit(struct core_chare *chare, visitproc visit, void *arg)
{
    const struct core_held *held = core_chare_held(chare);
    struct group *group = held != NULL ? held->groups : NULL;

    for (; group != NULL; group = group->next) {
        Py_VISIT(group->condition);
        for (struct waiting *at = group->head; at != NULL; at = at->next) {
            Py_VISIT(at->own);
            Py_VISIT(at->sent);
            Py_VISIT(at->future);
            for (Py_ssize_t i = 1; i <= at->arg_count; i++) {
                Py_VISIT(at->slots[i]);
            }
        }
    }
    return 0;
}

void
core_when_close(struct core_pe *pe)
{
    while (pe->touched != NULL) {
        struct core_chare *chare = pe->touched;

        pe->touched = core_chare_held(chare)->next_touched;
        core_chare_held(chare)->touched = false;
        Py_DECREF(chare);
    }
    pe->touched_last = NULL;
}
