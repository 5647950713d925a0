/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * condition.c - the Condition type: what @when, when= and wait() ask for.
 *
 * chare/_when.py compiles the text to a function that takes what the method
 * takes, so that it is called with the message's own arguments.
 */
#include "state.h"

/* Whether 'attribute == argument' of a TAG holds; 1, 0, or -1. */
static int
tag_holds(const struct core_condition *condition, PyObject *const *slots)
{
    PyObject *value = PyObject_GetAttr(slots[0], condition->attribute);
    PyObject *argument = slots[1 + condition->param];
    PyObject *equal;
    int truth;

    if (value == NULL) {
        return -1;
    }
    equal = condition->swapped ? PyObject_RichCompare(argument, value, Py_EQ)
                               : PyObject_RichCompare(value, argument, Py_EQ);
    Py_DECREF(value);
    if (equal == NULL) {
        return -1;
    }
    truth = PyObject_IsTrue(equal);
    Py_DECREF(equal);
    return truth;
}

bool
core_condition_is_given(const struct core_condition *condition,
                        const struct core_entry *entry, Py_ssize_t arg_count)
{
    bool keywords = (entry->flags & CORE_ENTRY_KEYWORDS) != 0;

    return condition->kind == CORE_CONDITION_TAG &&
           condition->param < arg_count - (keywords ? 1 : 0);
}

/* Whether it holds: 1, 0, or -1 with an exception. slots[0] is the chare. */
static int
condition_holds(const struct core_condition *condition,
                const struct core_entry *entry, PyObject **slots,
                Py_ssize_t arg_count)
{
    PyObject *result;
    int truth;

    switch (condition->kind) {
    case CORE_CONDITION_CALL:
        result = PyObject_CallNoArgs(condition->function);
        break;
    case CORE_CONDITION_STATE:
        result = PyObject_CallOneArg(condition->function, slots[0]);
        break;
    default:
        if (core_condition_is_given(condition, entry, arg_count)) {
            return tag_holds(condition, slots);
        }
        result = core_call_slots(condition->function,
                                 entry->flags & ~(unsigned)CORE_ENTRY_NO_SELF,
                                 slots, arg_count);
    }
    if (result == NULL) {
        return -1;
    }
    truth = PyObject_IsTrue(result);
    Py_DECREF(result);
    return truth;
}

/* An exception came out of a condition: say out of which one. */
static void
condition_failed(struct core_state *state,
                 const struct core_condition *condition,
                 const struct core_entry *entry)
{
    PyObject *error;
    PyObject *outer;

    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return; /* SystemExit and the like mean what they say */
    }
    error = core_exception_take();
    if (entry != NULL) {
        PyErr_Format(state->Error,
                     "the condition %R of %U() cannot be evaluated: %s: %S",
                     condition->text, entry->fullname, Py_TYPE(error)->tp_name,
                     error);
    } else {
        PyErr_Format(state->Error,
                     "the condition %R of wait() cannot be evaluated: %s: %S",
                     condition->text, Py_TYPE(error)->tp_name, error);
    }
    outer = core_exception_take();
    PyException_SetCause(outer, error);
    PyErr_SetObject((PyObject *)Py_TYPE(outer), outer);
    Py_DECREF(outer);
}

int
core_condition_both_hold(struct core_pe *pe, const struct core_condition *own,
                         const struct core_condition *sent,
                         const struct core_entry *entry, PyObject **slots,
                         Py_ssize_t arg_count)
{
    const struct core_condition *conditions[2] = {own, sent};
    const struct core_entry *running = pe->running;
    int truth = 1;

    for (int i = 0; truth == 1 && i < 2; i++) {
        if (conditions[i] == NULL) {
            continue;
        }
        /* For messages, and to keep a condition from suspending. */
        pe->running = entry;
        truth = condition_holds(conditions[i], entry, slots, arg_count);
        pe->running = running;
        if (truth < 0) {
            condition_failed(pe->state, conditions[i], entry);
        }
    }
    return truth;
}

struct core_condition *
core_condition_cached(struct core_state *state, PyObject **cache_inout,
                      const char *compiler, PyObject *text, PyObject *subject)
{
    PyObject *found = NULL;

    if (*cache_inout == NULL && (*cache_inout = PyDict_New()) == NULL) {
        return NULL;
    }
    found = PyDict_GetItemWithError(*cache_inout, text);
    if (found != NULL || PyErr_Occurred()) {
        return (struct core_condition *)found;
    }
    if (PyDict_GET_SIZE(*cache_inout) >= CORE_CONDITIONS_MAX) {
        PyDict_Clear(*cache_inout); /* what waits holds references */
    }
    found = core_support(state, compiler);
    if (found != NULL) {
        Py_SETREF(found,
                  PyObject_CallFunctionObjArgs(found, text, subject, NULL));
    }
    if (found != NULL && !Py_IS_TYPE(found, state->ConditionType)) {
        PyErr_SetString(PyExc_TypeError, "a Condition is needed");
        Py_CLEAR(found);
    }
    if (found == NULL || PyDict_SetItem(*cache_inout, text, found) < 0) {
        Py_XDECREF(found);
        return NULL;
    }
    Py_DECREF(found); /* the cache has it */
    return (struct core_condition *)found;
}

struct core_condition *
core_when_sent(struct core_state *state, struct core_entry *entry,
               PyObject *text)
{
    struct core_condition *found = NULL;
    PyObject *subject;

    if (entry->sent != NULL) {
        found = (struct core_condition *)PyDict_GetItemWithError(entry->sent,
                                                                 text);
        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    subject = Py_BuildValue(
        "(OOOO)", entry->owner->cls, entry->name, entry->function,
        (entry->flags & CORE_ENTRY_NO_SELF) != 0 ? Py_True : Py_False);
    if (subject != NULL) {
        found = core_condition_cached(state, &entry->sent, "compile_sent",
                                      text, subject);
        Py_DECREF(subject);
    }
    return found;
}

/* ---- the type */

static PyObject *
condition_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    struct core_condition *self;
    PyObject *attribute = Py_None;
    PyObject *text;
    PyObject *function;
    Py_ssize_t param = -1;
    int swapped = 0;
    int kind;

    (void)keywords;
    if (!PyArg_ParseTuple(args, "UOi|Onp", &text, &function, &kind, &attribute,
                          &param, &swapped)) {
        return NULL;
    }
    self = (struct core_condition *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->text = Py_NewRef(text);
    self->function = Py_NewRef(function);
    self->attribute = attribute != Py_None ? Py_NewRef(attribute) : NULL;
    self->param = param;
    self->kind = (enum core_condition_kind)kind;
    self->swapped = swapped != 0;
    return (PyObject *)self;
}

static int
condition_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((struct core_condition *)op)->function);
    return 0;
}

static int
condition_clear(PyObject *op)
{
    Py_CLEAR(((struct core_condition *)op)->function);
    return 0;
}

static void
condition_dealloc(PyObject *op)
{
    struct core_condition *self = (struct core_condition *)op;
    PyTypeObject *type = Py_TYPE(op);

    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->text);
    Py_CLEAR(self->function);
    Py_CLEAR(self->attribute);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
condition_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<condition %R>",
                                ((struct core_condition *)op)->text);
}

static PyObject *
condition_get_kind(PyObject *op, void *closure)
{
    (void)closure;
    return PyLong_FromLong(((struct core_condition *)op)->kind);
}

static PyGetSetDef condition_getset[] = {
    {"kind", condition_get_kind, NULL,
     PyDoc_STR("What it looks at: 0 any, 1 self, 2 also the arguments, 3 "
               "whether an attribute equals an argument."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot condition_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A compiled condition of @when, when= or "
                                  "wait().")},
    {Py_tp_new, condition_new},
    {Py_tp_dealloc, condition_dealloc},
    {Py_tp_traverse, condition_traverse},
    {Py_tp_clear, condition_clear},
    {Py_tp_repr, condition_repr},
    {Py_tp_getset, condition_getset},
    {0, NULL},
};

PyType_Spec core_condition_spec = {
    .name = "chare._core.Condition",
    .basicsize = sizeof(struct core_condition),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = condition_slots,
};
