/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_RESTART_H
#define CHARE_PY_RESTART_H

/*
 * restart.h - methods that are suspended while their chare moves, and futures
 * that come along; included by state.h. restart.c and follow.c say how.
 */

/* ---- task.c */

/* As core_task_start(), for a movable method, which was called with 'args', a
 * tuple. */
void core_task_start_movable(struct core_pe *pe,
                             const struct core_entry *entry,
                             PyObject *coroutine, struct core_chare *chare,
                             const chare_reply *reply, PyObject *args);

/* What a suspended task of a movable method is to be begun again with: (id of
 * the entry, arguments, where the answer goes or None); new reference. */
PyObject *core_task_record(struct core_waiter *task);

/* End such a task: its coroutine is closed, and nobody is told; -1 with an
 * exception, of the method's own code. */
int core_task_leave(struct core_pe *pe, struct core_waiter *task);

/* ---- future.c */

/* One of our own that was sent and is back; new reference or NULL. */
PyObject *core_future_find(struct core_pe *pe, uint64_t id);

/* A future that came along with a chare; 'name' is the original's. */
struct core_future *core_future_new_adopted(struct core_pe *pe,
                                            const chare_future *name);

/* ---- restart.c */

/* Call a movable method; slots[0] is free for self, the others are borrowed.
 * 'reply' may be NULL. */
void core_movable_start(struct core_pe *pe, const struct core_entry *entry,
                        struct core_chare *chare, PyObject **slots,
                        Py_ssize_t arg_count, const chare_reply *reply);

/* Whether all that is suspended in a chare can be begun again elsewhere. */
bool core_restarts_allow(const struct core_state *state,
                         const struct core_chare *chare);

/* The same for what waits for one future; NULL: nothing does. */
bool core_restarts_allow_waiter(const struct core_state *state,
                                const struct core_chare *chare,
                                PyObject *waiter);

/* The chare leaves: end what is suspended, and note it in rare->restarts; -1
 * with an exception. */
int core_restarts_pack(struct core_pe *pe, struct core_chare *chare);

/* Begin again what is noted there. */
void core_restarts_run(struct core_pe *pe, struct core_chare *chare);

/* The chare is destroyed: who waits for one of them gets an Error. */
void core_restarts_abandon(struct core_pe *pe, struct core_chare *chare);

/* Begin them again soon, for a chare that did not leave after all: it is asked
 * whether it can move now, the first time right after it was packed. */
void core_restarts_post(struct core_pe *pe, struct core_chare *chare);

/* A chare that was to move stays: count its suspended methods that are not
 * movable, each call of them once. */
void core_restarts_count_kept(struct core_pe *pe,
                              const struct core_chare *chare);

/* ---- follow.c */

/* Make known what hears of values that were sent after a chare. */
int core_follow_register(struct core_pe *pe);

/* Whether a future is written for the chare that moves: its value follows.
 * Other messages may be written meanwhile, by code of users; follow.c, F4. */
static inline bool
core_future_comes_along(const struct core_pe *pe,
                        const struct core_future *future)
{
    return pe->moving != NULL && future->pe == pe;
}

/* See to it that its value goes to that chare, and write its name; -1 with an
 * exception. */
int core_future_follow(struct core_pe *pe, chare_encoder *encoder,
                       struct core_future *future);

/* The same without writing it. */
int core_future_send_after(struct core_pe *pe, struct core_future *future);

/* The future of what was written, of the chare that is being made; new
 * reference, NULL with an exception. */
PyObject *core_future_adopt(struct core_pe *pe, const void *bytes, size_t len);
PyObject *core_future_adopt_name(struct core_pe *pe, const chare_future *name);

/* _chare_future(id, pe, value): the value of such a future. */
PyObject *core_chare_future(PyObject *op, PyObject *const *args,
                            Py_ssize_t arg_count);

#endif /* CHARE_PY_RESTART_H */
