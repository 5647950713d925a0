/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_PY_FAILED_H
#define CHARE_PY_FAILED_H

/*
 * failed.h - chares whose constructor failed; included by state.h.
 *
 * Such a chare stays in its place, with the exception, and only refuses calls.
 * The exception is for who waits for the chare's creation:
 *
 *   building --raises--> untold --a waiter's _chare_ready() comes--> told
 *                           |
 *                           +--nobody waits--> the job ends, with the report
 *
 * Whether somebody waits is asked on the PE whose method created the chare, by
 * a message, so that this method has had the time to say so; _creations.py.
 * Until it is told, calls are held; then who waits for their results gets an
 * Error, and those that nobody waits for were in vain. What comes later is an
 * Error for its caller, or ends the job.
 */

/* What a constructor raised is set: keep it, if it is for those who wait for
 * the chare. False: it is still set, and ends the job. */
bool core_construction_failed(struct core_pe *pe, struct core_chare *chare);

/* Answer a call of one that failed; true: done, false: it is to be held. */
bool core_failure_takes(struct core_pe *pe, const struct core_entry *entry,
                        struct core_chare *chare, const chare_call *call);

/* The same for a call that was held, and wants a reply. */
void core_failure_answer(struct core_pe *pe, const struct core_entry *entry,
                         struct core_chare *chare, const chare_reply *reply);

/* 'what', a text, is asked of a chare: -1 with an Error if it failed. */
int core_failure_check(struct core_state *state, void *object,
                       const char *what);

/* As core_failed_in(), of what the runtime calls of a chare, such as
 * migrated(). */
void core_failed_hook(struct core_pe *pe, const struct core_class *cls,
                      const char *hook, const chare_element *self);

#endif /* CHARE_PY_FAILED_H */
