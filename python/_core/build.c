/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * build.c - calls that wait until the constructor of their chare has ended.
 *
 * They are in a list of the chare, with what conditions they have not yet been
 * asked for, and count as messages under way: quiescence waits for them. The
 * list is worked off in one go, from the ready queue; until it is empty, what
 * comes is put behind it.
 */
#include "migrate.h"
#include "state.h"

struct held_call {
    struct held_call *next;
    const struct core_entry *entry;
    struct core_condition *sent; /* or NULL */
    chare_reply reply;
    bool replies;
    Py_ssize_t arg_count;
    PyObject *slots[]; /* slots[0] is free for self */
};

struct core_build {
    struct held_call *first;
    struct held_call *last;
    uint64_t count;
};

static struct core_build *
build_of(const struct core_chare *chare)
{
    return chare->rare != NULL ? chare->rare->build : NULL;
}

void
core_build_begin(struct core_chare *chare, uint32_t maker)
{
    struct core_rare *rare;

    if (chare->flavour == CORE_FLAVOUR_MAIN) {
        return;
    }
    rare = core_chare_rare(chare);
    if (rare == NULL) {
        Py_FatalError("chare: out of memory for a constructor");
    }
    rare->maker = maker;
    chare->building = CORE_BUILDING;
}

/* Whether the constructor may wait for what the call brings. */
static bool
is_for_constructor(const struct core_chare *chare,
                   const struct core_entry *entry)
{
    const struct core_class *owner = chare->owner;

    return owner->result_index >= 0 &&
           entry == &owner->entries[owner->result_index];
}

bool
core_build_hold(struct core_pe *pe, const struct core_entry *entry,
                struct core_chare *chare, const chare_call *call,
                PyObject **slots, Py_ssize_t arg_count,
                struct core_condition *sent)
{
    struct core_rare *rare;
    struct core_build *build;
    struct held_call *held;

    if (is_for_constructor(chare, entry)) {
        return false;
    }
    if (chare->building == CORE_BUILD_FAILED &&
        core_failure_takes(pe, entry, chare, call)) {
        return true;
    }
    rare = core_chare_rare(chare);
    if (rare != NULL && rare->build == NULL) {
        rare->build = PyMem_Calloc(1, sizeof(*rare->build));
    }
    held = PyMem_Calloc(1, sizeof(*held) +
                               ((size_t)arg_count + 1) * sizeof(*held->slots));
    if (rare == NULL || rare->build == NULL || held == NULL) {
        Py_FatalError("chare: out of memory for a call that waits");
    }
    held->entry = entry;
    held->sent = (struct core_condition *)Py_XNewRef((PyObject *)sent);
    held->replies = call->wants_reply;
    if (call->wants_reply) {
        chare_call_take_reply(call, &held->reply);
    }
    held->arg_count = arg_count;
    for (Py_ssize_t i = 1; i <= arg_count; i++) {
        held->slots[i] = Py_NewRef(slots[i]);
    }
    build = rare->build;
    if (build->last != NULL) {
        build->last->next = held;
    } else {
        build->first = held;
    }
    build->last = held;
    build->count++;
    chare_keep_start(pe->runtime);
    return true;
}

/* The oldest; NULL: none is left. */
static struct held_call *
build_take(struct core_build *build)
{
    struct held_call *held = build != NULL ? build->first : NULL;

    if (held != NULL) {
        build->first = held->next;
        if (build->first == NULL) {
            build->last = NULL;
        }
        build->count--;
    }
    return held;
}

static void
held_free(struct held_call *held)
{
    for (Py_ssize_t i = 1; i <= held->arg_count; i++) {
        Py_DECREF(held->slots[i]);
    }
    Py_XDECREF(held->sent);
    PyMem_Free(held);
}

static void
held_run(struct core_pe *pe, struct core_chare *chare, struct held_call *held)
{
    const chare_reply *reply = held->replies ? &held->reply : NULL;

    chare_keep_stop(pe->runtime);
    if (held->entry->when != NULL || held->sent != NULL) {
        core_when_arrived(pe, held->entry, chare, reply, held->slots,
                          held->arg_count, held->sent);
    } else {
        core_execute(pe, held->entry, chare, held->slots, held->arg_count,
                     reply);
    }
    held_free(held);
}

/* By the ready queue: make the calls. */
static PyObject *
build_release(PyObject *op, PyObject *unused)
{
    struct core_chare *chare = (struct core_chare *)op;
    struct core_pe *pe = chare->owner->state->current;
    struct held_call *held;

    (void)unused;
    while (!pe->exiting && (held = build_take(build_of(chare))) != NULL) {
        held_run(pe, chare, held);
    }
    chare->building = CORE_BUILT;
    if (pe->unmovable && !pe->exiting) { /* its constructor kept it here */
        core_chare_retry(pe, chare);
    }
    Py_RETURN_NONE;
}

static PyMethodDef build_release_def = {"calls that were held", build_release,
                                        METH_NOARGS, NULL};

void
core_build_failed(struct core_pe *pe, struct core_chare *chare)
{
    struct held_call *held;

    while ((held = build_take(build_of(chare))) != NULL) {
        chare_keep_stop(pe->runtime);
        if (held->replies) {
            core_failure_answer(pe, held->entry, chare, &held->reply);
        }
        held_free(held);
    }
}

/* How many calls wait. */
static uint64_t
build_count(const struct core_chare *chare)
{
    const struct core_build *build = build_of(chare);

    return build != NULL ? build->count : 0;
}

void
core_build_end(struct core_pe *pe, struct core_chare *chare)
{
    PyObject *release;

    if (chare->building != CORE_BUILDING) {
        return; /* it was destroyed, or has failed */
    }
    if (build_count(chare) == 0) {
        chare->building = CORE_BUILT;
        return;
    }
    release = PyCFunction_New(&build_release_def, (PyObject *)chare);
    if (release == NULL) {
        Py_FatalError("chare: out of memory for calls that waited");
    }
    core_resume(pe, release);
    Py_DECREF(release);
}

void
core_build_abandon(struct core_pe *pe, struct core_chare *chare)
{
    struct held_call *held;

    if (chare->building == CORE_BUILT || pe->exiting) {
        return;
    }
    chare->building = CORE_BUILT;
    while ((held = build_take(build_of(chare))) != NULL) {
        chare_keep_stop(pe->runtime);
        PyErr_Format(pe->state->Error,
                     "%R was destroyed while a message for %U() waited for "
                     "its constructor to end",
                     (PyObject *)chare, held->entry->fullname);
        core_failed_of(pe, held->entry, chare,
                       held->replies ? &held->reply : NULL);
        held_free(held);
    }
}

bool
core_build_is_awaited(const struct core_chare *chare)
{
    const struct core_build *build = build_of(chare);
    const struct held_call *held = build != NULL ? build->first : NULL;

    while (held != NULL && !core_entry_is_ready(held->entry)) {
        held = held->next;
    }
    return held != NULL;
}

void
core_build_clear(struct core_chare *chare)
{
    struct core_build *build = build_of(chare);
    struct held_call *held;

    if (build == NULL) {
        return;
    }
    chare->rare->build = NULL;
    while ((held = build_take(build)) != NULL) {
        held_free(held);
    }
    PyMem_Free(build);
}

int
core_build_visit(struct core_chare *chare, visitproc visit, void *arg)
{
    const struct core_build *build = build_of(chare);

    for (struct held_call *held = build != NULL ? build->first : NULL;
         held != NULL; held = held->next) {
        Py_VISIT(held->sent);
        for (Py_ssize_t i = 1; i <= held->arg_count; i++) {
            Py_VISIT(held->slots[i]);
        }
    }
    return 0;
}
