/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heldmove.c - messages that wait for conditions, of a chare that moves.
 *
 * Each is (number, entry, has the method's condition, text of the sent one or
 * None, where the answer goes or None, arguments). What waits by self.wait()
 * is a coroutine, with which no chare moves.
 */
#include "held.h"

bool
core_when_is_touched(const struct core_chare *chare)
{
    const struct core_held *held = core_chare_held(chare);

    return held != NULL && held->touched;
}

static PyObject *
waiting_pack(const struct waiting *waiting)
{
    PyObject *args = PyTuple_New(waiting->arg_count);

    if (args == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < waiting->arg_count; i++) {
        PyObject *arg = waiting->slots[i + 1];

        PyTuple_SET_ITEM(args, i, Py_NewRef(arg != NULL ? arg : Py_None));
    }
    return Py_BuildValue(
        "(KIOOz#N)", (unsigned long long)waiting->number, waiting->entry->id,
        waiting->own != NULL ? Py_True : Py_False,
        waiting->sent != NULL ? waiting->sent->text : Py_None,
        waiting->replies ? (const char *)&waiting->reply : NULL,
        (Py_ssize_t)sizeof(waiting->reply), args);
}

PyObject *
core_when_pack(struct core_pe *pe, struct core_chare *chare)
{
    const struct core_held *held = core_chare_held(chare);
    PyObject *list;

    (void)pe;
    if (held == NULL || held->count == 0) {
        return Py_NewRef(Py_None);
    }
    list = PyList_New(0);
    for (struct group *group = held->groups; list != NULL && group != NULL;
         group = group->next) {
        for (struct waiting *waiting = group->head;
             list != NULL && waiting != NULL; waiting = waiting->next) {
            PyObject *packed;

            if (waiting->entry == NULL &&
                core_future_is_complete(waiting->future)) {
                continue; /* nobody waits there any more */
            }
            packed = waiting->entry != NULL ? waiting_pack(waiting) : NULL;
            if (packed == NULL || PyList_Append(list, packed) < 0) {
                Py_CLEAR(list);
            }
            Py_XDECREF(packed);
        }
    }
    if (list != NULL && PyList_Sort(list) < 0) {
        Py_CLEAR(list);
    }
    if (list == NULL && !PyErr_Occurred()) {
        PyErr_SetString(pe->state->Error, "wait() cannot move");
    }
    return list;
}

static int
waiting_unpack(struct core_pe *pe, struct core_chare *chare, PyObject *packed)
{
    unsigned long long number;
    struct core_condition *condition = NULL;
    struct core_entry *entry;
    struct waiting *waiting;
    const char *reply;
    Py_ssize_t reply_len;
    PyObject *sent;
    PyObject *args;
    unsigned int id;
    int has_own;

    if (!PyArg_ParseTuple(packed, "KIpOz#O!", &number, &id, &has_own, &sent,
                          &reply, &reply_len, &PyTuple_Type, &args)) {
        return -1;
    }
    entry = id < pe->state->entry_room ? pe->state->entries[id] : NULL;
    if (entry == NULL || (reply != NULL && reply_len != sizeof(chare_reply))) {
        PyErr_SetString(pe->state->Error, "a message moved to no method");
        return -1;
    }
    if (sent != Py_None) {
        condition = core_when_sent(pe->state, entry, sent);
        if (condition == NULL) {
            return -1;
        }
    }
    waiting = core_waiting_new(chare, entry, PyTuple_GET_SIZE(args));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
        waiting->slots[i + 1] = Py_NewRef(PyTuple_GET_ITEM(args, i));
    }
    waiting->own =
        (struct core_condition *)(has_own ? Py_XNewRef(entry->when) : NULL);
    waiting->sent = (struct core_condition *)Py_XNewRef((PyObject *)condition);
    waiting->replies = reply != NULL;
    if (reply != NULL) {
        memcpy(&waiting->reply, reply, sizeof(waiting->reply));
    }
    core_waiting_append(pe, chare, waiting);
    return 0;
}

int
core_when_unpack(struct core_pe *pe, struct core_chare *chare, PyObject *list)
{
    if (list == Py_None) {
        return 0;
    }
    if (!PyList_CheckExact(list)) {
        PyErr_SetString(pe->state->Error, "a chare moved with no messages");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (waiting_unpack(pe, chare, PyList_GET_ITEM(list, i)) < 0) {
            return -1;
        }
    }
    return 0;
}
