/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_BUILD_H
#define CHARE_PY_BUILD_H

/*
 * build.h - calls that wait for a constructor; included by state.h.
 *
 * A constructor that suspends, 'async def' or @coro, leaves a chare of which
 * only a part is there. Until it has ended, calls to the chare are held, and
 * then made in the order in which they came. Not held are what the constructor
 * itself may wait for: results of allreduce(), and messages of channels; and
 * from its first wait() on, which only calls can make true, nothing is.
 *
 * A main chare is the program, and other chares call it back: nothing waits
 * for its constructor.
 */

/* The constructor, asked for by PE 'maker', begins, and may suspend;
 * core_waiter_runs() sees to it that its end is noticed. */
void core_build_begin(struct core_chare *chare, uint32_t maker);

/* It has suspended, or ended, for the first time. */
static inline void
core_build_began(const struct core_state *state, struct core_chare *chare)
{
    if (state->open_constructors && chare->building == CORE_BUILDING) {
        chare->building = CORE_BUILT;
    }
}

/* Keep a call to a chare that is building; false: it is to be made now.
 * slots[0] is free for self; 'sent' is the call's own condition, or NULL. */
bool core_build_hold(struct core_pe *pe, const struct core_entry *entry,
                     struct core_chare *chare, const chare_call *call,
                     PyObject **slots, Py_ssize_t arg_count,
                     struct core_condition *sent);

/* The constructor has ended: let the calls go on when the scheduler has
 * control. One that failed keeps them, unless that was told; failed.h. */
void core_build_end(struct core_pe *pe, struct core_chare *chare);

/* The chare is destroyed: what its held calls wanted is answered by an Error;
 * one that nobody waits for ends the job. */
void core_build_abandon(struct core_pe *pe, struct core_chare *chare);

/* Whether one of them asks for the end of the constructor. */
bool core_build_is_awaited(const struct core_chare *chare);

/* The constructor has failed, and somebody is told: who waits for the results
 * of held calls gets an error, too; the others were in vain. */
void core_build_failed(struct core_pe *pe, struct core_chare *chare);

void core_build_clear(struct core_chare *chare);
int core_build_visit(struct core_chare *chare, visitproc visit, void *arg);

#endif /* CHARE_PY_BUILD_H */
