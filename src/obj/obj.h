/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_OBJ_H
#define CHI_OBJ_OBJ_H

/*
 * obj.h - chares: collections of them, their tables, and calls to them.
 */

#include <chare.h>

#include "cb/callback.h"
#include "coll/coll.h"
#include "entry/registry.h"
#include "loc/loc.h"
#include "pe/pe.h"

struct chi_obj;

/* Of an insertion: the array's own type. */
#define CHI_TYPE_OF_ARRAY UINT32_MAX

/* End the job because of an error of the user's; 'text' says which. */
typedef void (*chi_fatal_fn)(void *context, const char *text);

CHARE_MUST_CHECK chare_status
chi_obj_create(struct chi_pe *pe, struct chi_registry *registry,
               struct chi_cb *cb, struct chi_coll *coll, chi_fatal_fn fatal,
               void *fatal_context, struct chi_obj **out);

/* Destroys all chares of this PE first. */
void chi_obj_destroy(struct chi_obj *obj);

/* As the public functions of these names; arguments are checked here. */
CHARE_MUST_CHECK chare_status chi_obj_single_create(
    struct chi_obj *obj, uint32_t type, uint32_t pe, const chare_data *args,
    const chare_callback *created, chare_element *element_out);
CHARE_MUST_CHECK chare_status chi_obj_group_create(
    struct chi_obj *obj, uint32_t type, const chare_data *args,
    const chare_callback *created, chare_collection *collection_out);
CHARE_MUST_CHECK chare_status chi_obj_group_create_on(
    struct chi_obj *obj, uint32_t type, const uint32_t *pes, uint32_t pe_count,
    const chare_data *args, const chare_callback *created,
    chare_collection *collection_out);
CHARE_MUST_CHECK chare_status chi_obj_node_group_create(
    struct chi_obj *obj, uint32_t type, const chare_data *args,
    const chare_callback *created, chare_collection *collection_out);
CHARE_MUST_CHECK chare_status
chi_obj_array_create(struct chi_obj *obj, const chare_array_options *options,
                     const chare_data *args, chare_collection *collection_out);
/* 'at_sync': its array takes part in balancing as if it had been created with
 * at_sync, on each PE where such a chare is, or was. */
CHARE_MUST_CHECK chare_status chi_obj_insert(struct chi_obj *obj,
                                             const chare_element *element,
                                             uint32_t type, bool at_sync,
                                             uint32_t pe,
                                             const chare_data *args);

/* Whether the answer to the call that executes was taken. */
bool chi_obj_reply_taken(const chare_call *call);

/* As chare_proxy_of(). */
CHARE_MUST_CHECK chare_status chi_obj_proxy_of(struct chi_obj *obj,
                                               const chare_element *element,
                                               chare_proxy *proxy_out);

/* Of which type a chare of this PE is; CHARE_ERR_NOT_FOUND. */
CHARE_MUST_CHECK chare_status chi_obj_type_of(struct chi_obj *obj,
                                              const chare_element *name,
                                              uint32_t *type_out);
void chi_obj_insert_again(struct chi_obj *obj, bool dropped);
CHARE_MUST_CHECK chare_status chi_obj_insert_done(struct chi_obj *obj,
                                                  chare_collection collection,
                                                  const chare_callback *done);
CHARE_MUST_CHECK chare_status
chi_obj_destroy_element(struct chi_obj *obj, const chare_element *target,
                        const chare_callback *done);
CHARE_MUST_CHECK chare_status
chi_obj_destroy_collection(struct chi_obj *obj, chare_collection collection,
                           const chare_callback *done);
CHARE_MUST_CHECK chare_status chi_obj_send(struct chi_obj *obj,
                                           const chare_element *target,
                                           uint32_t entry,
                                           const chare_data *data,
                                           const chare_send_options *options);
CHARE_MUST_CHECK chare_status chi_obj_broadcast(
    struct chi_obj *obj, chare_collection collection, uint32_t entry,
    const chare_data *data, const chare_send_options *options);
CHARE_MUST_CHECK chare_status chi_obj_contribute(
    struct chi_obj *obj, const chare_element *self, uint32_t reducer,
    const chare_data *value, const chare_callback *callback);
/* The same of an INT or a FLOAT and a built-in reducer. */
CHARE_MUST_CHECK chare_status chi_obj_contribute_number(
    struct chi_obj *obj, const chare_element *self, uint32_t reducer,
    const chare_value *number, const chare_callback *callback);
CHARE_MUST_CHECK chare_status chi_obj_reply(struct chi_obj *obj,
                                            const chare_reply *reply,
                                            const chare_data *data);
CHARE_MUST_CHECK chare_status
chi_obj_element_check(struct chi_obj *obj, const chare_element *element);
bool chi_obj_is_dense(const struct chi_obj *obj, chare_collection array);
void *chi_obj_local_branch(const struct chi_obj *obj, chare_collection group);
CHARE_MUST_CHECK chare_status chi_obj_section_create(
    struct chi_obj *obj, const chare_element *elements, size_t count,
    const chare_callback *created, chare_collection *section_out);
CHARE_MUST_CHECK chare_status chi_obj_section_combine(
    struct chi_obj *obj, const chare_collection *parts, size_t part_count,
    const chare_callback *created, chare_collection *section_out);
CHARE_MUST_CHECK chare_status chi_obj_section_slice(
    struct chi_obj *obj, chare_collection collection,
    const chare_slice *slices, uint32_t ndims, const chare_callback *created,
    chare_collection *section_out);
CHARE_MUST_CHECK chare_status chi_obj_section_open(
    struct chi_obj *obj, uint32_t count, chare_collection *first_out);
CHARE_MUST_CHECK chare_status chi_obj_section_enlist(struct chi_obj *obj,
                                                     const chare_element *self,
                                                     chare_collection section);
CHARE_MUST_CHECK chare_status chi_obj_section_close(
    struct chi_obj *obj, chare_collection first, uint32_t count,
    chare_collection over, const chare_callback *created);
CHARE_MUST_CHECK chare_status chi_obj_section_size(const struct chi_obj *obj,
                                                   chare_collection section,
                                                   uint64_t *count_out);
CHARE_MUST_CHECK chare_status chi_obj_section_contribute(
    struct chi_obj *obj, const chare_element *self, chare_collection section,
    uint32_t reducer, const chare_data *value, const chare_callback *callback);
/* The same of an INT or a FLOAT and a built-in reducer, without a message.
 * False: not here and now; it has to be contributed as a value. */
CHARE_MUST_CHECK bool chi_obj_section_contribute_number(
    struct chi_obj *obj, const chare_element *self, chare_collection section,
    uint32_t reducer, const chare_value *number,
    const chare_callback *callback);
void *chi_obj_local(const struct chi_obj *obj, const chare_element *element);

/* As the public functions of these names. */
CHARE_MUST_CHECK chare_status chi_obj_migrate(struct chi_obj *obj,
                                              const chare_element *target,
                                              uint32_t to);
CHARE_MUST_CHECK chare_status chi_obj_migrate_retry(struct chi_obj *obj,
                                                    const chare_element *self);
CHARE_MUST_CHECK chare_status chi_obj_set_migratable(struct chi_obj *obj,
                                                     const chare_element *self,
                                                     bool migratable);
bool chi_obj_is_migratable(const struct chi_obj *obj,
                           const chare_element *self);

/* A chare left for 'to' (UINT32_MAX: is no more), or 'came' from 'from'. */
typedef void (*chi_on_move_fn)(void *context, const chare_element *element,
                               uint32_t from, uint32_t to, bool came);
void chi_obj_set_on_move(struct chi_obj *obj, chi_on_move_fn fn,
                         void *context);

/* What people call a chare: its type and its index. */
void chi_obj_text(const struct chi_obj *obj, const chare_element *element,
                  char *out, size_t room);

/* Messages kept for collections and elements that do not exist here yet. */
uint64_t chi_obj_kept_count(const struct chi_obj *obj);

/* So many more are kept by who executes them. */
void chi_obj_kept_add(struct chi_obj *obj, int change);

/* Log what waits here for what never comes: stall.c. */
void chi_obj_stalled(struct chi_obj *obj);

/* The call must be one that this room is executing. */
void chi_obj_take_reply(const chare_call *call, chare_reply *reply_out);
chare_buffer *chi_obj_take_buffer(const chare_call *call);
chare_buffer *chi_obj_share_buffer(const chare_call *call);

/* ---- what chares cost (load.c) */

enum chi_load_set {
    CHI_LOAD_SYNCED, /* chares of arrays that say when they may be balanced */
    CHI_LOAD_FREE,   /* of other arrays whose chares can move, but for those
                        of bound ones */
};                   /* What chares of bound arrays cost is their anchors'. */

/* One chare of them. */
struct chi_obj_load {
    chare_element element;
    uint64_t ticks;    /* that it, and those that follow it, have executed,
                          see pe->meter */
    uint64_t measured; /* of those of them that do not say what they cost */
    uint64_t synced;   /* the session that it waits for, + 2; see chi_load */
    float said;        /* what the others of them say, in seconds */
    uint32_t calls;    /* that it, and those that follow it, have executed */
    uint32_t bytes;    /* of its state when it moved last; 0: it never did */
    bool is_said;      /* nothing was measured that counts */
    bool can_move;     /* now */
};

typedef void (*chi_obj_load_fn)(void *context,
                                const struct chi_obj_load *load);

/* Measure from now on, or stop. What chares have cost is kept, until who asks
 * resets it; what the PE idled is forgotten. */
void chi_obj_measure(struct chi_obj *obj, bool on);

/* Stop; all that was measured stays. */
void chi_obj_measure_pause(struct chi_obj *obj);

/* All chares here of a set. With 'reset' they count from 0 again. */
void chi_obj_each_load(struct chi_obj *obj, enum chi_load_set set, bool reset,
                       chi_obj_load_fn fn, void *context);

/* ---- who talks to whom (talk.c) */

struct chi_comm_edge;
struct chi_comm_name;

/* While costs are measured, count one call in 'every', at most
 * CHI_COMM_EVERY_MAX; 0: none. */
void chi_obj_count_calls(struct chi_obj *obj, uint32_t every);
uint32_t chi_obj_counts_calls(const struct chi_obj *obj);

/* As chare_lb_begin(). */
void chi_obj_begin(struct chi_obj *obj, const chare_element *self);

typedef void (*chi_obj_edge_fn)(void *context,
                                const struct chi_comm_edge *edge);

/* What chares of a set have called on others while they were here, since this
 * was asked last; it is forgotten. Returns the bytes that were not kept. */
uint64_t chi_obj_take_edges(struct chi_obj *obj, enum chi_load_set set,
                            chi_obj_edge_fn fn, void *context);

/* How edges name a chare; false: by a hash of its index. */
bool chi_obj_comm_name(const chare_element *element,
                       struct chi_comm_name *out);

/* Some array here has at_sync. */
bool chi_obj_has_at_sync(const struct chi_obj *obj);

/*
 * How many there are, and how many of them wait for this session. All of them
 * are looked at.
 */
void chi_obj_at_sync_count(struct chi_obj *obj, uint64_t session,
                           uint64_t *count_out, uint64_t *synced_out);

/*
 * A chare waits for this session. It stays so, wherever it goes, until it
 * waits for another one. Errors: CHARE_ERR_NOT_FOUND - not here;
 * CHARE_ERR_STATE - it does so already; CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status chi_obj_sync(struct chi_obj *obj,
                                           const chare_element *self,
                                           uint64_t session);

/* The session that is next here, or under way; 0 at first. */
void chi_obj_sync_session(struct chi_obj *obj, uint64_t session);

/* Who balances waits until all chares here have said that they may be. */
void chi_obj_sync_called(struct chi_obj *obj, bool called);

/*
 * A chare that is here waits for a session. True: it was on its way when that
 * took place, and so waits no longer: each session is counted once.
 */
bool chi_obj_sync_missed(struct chi_obj *obj, const chare_element *self);

/* Whether it does; false too when it is not here. */
bool chi_obj_is_synced(struct chi_obj *obj, const chare_element *self,
                       uint64_t session);

/* Arrays with at_sync that are known here: *count_out of them, malloc'ed. */
CHARE_MUST_CHECK chare_status chi_obj_at_sync_arrays(
    struct chi_obj *obj, chare_collection **arrays_out, size_t *count_out);

/* The chares that a collection has from its start are here. */
bool chi_obj_is_populated(struct chi_obj *obj, chare_collection collection);

/* The time since the last lap was this chare's, outside of an entry method. */
void chi_obj_charge(struct chi_obj *obj, const chare_element *self);

/*
 * What a chare says of itself: seconds of work on a PE of speed 1; below 0:
 * measure. Errors: CHARE_ERR_NOT_FOUND - not here; CHARE_ERR_INVALID - no
 * number.
 */
CHARE_MUST_CHECK chare_status chi_obj_set_load(struct chi_obj *obj,
                                               const chare_element *self,
                                               double seconds);

/* The chare is here, of an array, and can move now. */
bool chi_obj_can_move(struct chi_obj *obj, const chare_element *self);

/*
 * The balancer wants a chare that is here to move; a user's wish goes before.
 * Errors: CHARE_ERR_NOT_FOUND - not here; CHARE_ERR_STATE - there is a wish.
 */
CHARE_MUST_CHECK chare_status chi_obj_suggest(struct chi_obj *obj,
                                              const chare_element *self,
                                              uint32_t to);

enum chi_wish {
    CHI_WISH_NONE,    /* or the chare is not here */
    CHI_WISH_USER,    /* of the user's */
    CHI_WISH_WAITS,   /* of the balancer's: the chare could not go yet */
    CHI_WISH_GRANTED, /* of the balancer's: its home is asked */
};

/* Whether a chare, or the one that it follows, is to move. */
enum chi_wish chi_obj_wish(struct chi_obj *obj, const chare_element *self);

/* The balancer does not want it any more; a user's wish stays. */
void chi_obj_withdraw(struct chi_obj *obj, const chare_element *self);

/* How many of the balancer's wishes there are here. */
uint64_t chi_obj_suggestions(const struct chi_obj *obj);

/* Begin to add up what moves take here, in ticks; or end that, and say how
 * many chares left and came, and what that took. */
void chi_obj_time_moves(struct chi_obj *obj);
void chi_obj_timed_moves(struct chi_obj *obj, uint64_t *count_out,
                         uint64_t *ticks_out);

/* The array is not known here any more, or being destroyed. */
bool chi_obj_is_over(struct chi_obj *obj, chare_collection collection);

/* The array's chares say when they may be balanced. */
bool chi_obj_is_at_sync(struct chi_obj *obj, chare_collection collection);

/* Call a chare that may be no more, and without a word then. Errors as
 * chi_obj_send(). */
CHARE_MUST_CHECK chare_status chi_obj_call_if_alive(
    struct chi_obj *obj, const chare_element *target, uint32_t entry,
    const chare_data *data, const chare_send_options *options);

/* The chare is here. */
bool chi_obj_is_here(struct chi_obj *obj, const chare_element *self);

#endif /* CHI_OBJ_OBJ_H */
