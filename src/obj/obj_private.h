/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OBJ_PRIVATE_H
#define CHI_OBJ_PRIVATE_H

/*
 * obj_private.h - what the files of this room share.
 */

#include "obj/comm.h"
#include "obj/obj.h"
#include "obj/tombs.h"

/*
 * A collection's name: kind, the PE that created it, and that PE's counter.
 * The kind is in the name so that a message to a single chare or a group can
 * be addressed before the collection is known.
 */
enum chi_kind {
    CHI_KIND_SINGLE = 1,
    CHI_KIND_GROUP = 2,
    CHI_KIND_ARRAY = 3,
    CHI_KIND_NODE_GROUP = 4,
    CHI_KIND_SECTION = 5,
};

enum {
    CHI_COLLECTION_KIND_SHIFT = 61,
    CHI_COLLECTION_PE_SHIFT = 37,
};

static inline enum chi_kind
chi_collection_kind(chare_collection id)
{
    return (enum chi_kind)(id >> CHI_COLLECTION_KIND_SHIFT);
}

static inline uint32_t
chi_collection_creator(chare_collection id)
{
    return (uint32_t)(id >> CHI_COLLECTION_PE_SHIFT) & (CHARE_PES_MAX - 1);
}

struct chi_collection;
struct chi_section;
struct chi_casts;

/*
 * One chare in one section; see far.c for those that have moved.
 */
struct chi_member {
    /* Of the same element, most recently used first; of one that lives
     * elsewhere: in its section, with the same key. */
    struct chi_member *next;
    struct chi_collection *section; /* NULL: it joined on PE 'pe' */
    struct chi_element *element;    /* NULL: it lives elsewhere */
    uint64_t reduction_next;        /* the number of its next contribution */
    size_t at;                      /* in the section's members */
    chare_collection id;
    chare_element *away;  /* the name of one that lives elsewhere */
    struct chi_msg *held; /* from there, before those that it has sent first */
    uint64_t casts;       /* sent to, or run by, one that lives elsewhere */
    uint64_t leaves_at;   /* it was destroyed there before this contribution */
    uint32_t pe;
    bool leaves;
};

enum {                       /* env.spare of INVOKE */
    CHI_INVOKE_IF_ALIVE = 1, /* dropped if there is no such chare */
};

struct chi_element {
    void *object;
    struct chi_collection *collection;
    struct chi_element *next_wide; /* with the same key, among wide ones */
    struct chi_member *members;    /* its parts in sections */
    uint64_t reduction_next;       /* the number of its next contribution */
    uint64_t key;
    uint32_t at; /* in collection->elements */
    bool wide : 1;
    bool draining : 1;   /* see chi_loc_tell_home() */
    bool dying : 1;      /* to be destroyed when it has drained */
    bool moving : 1;     /* it is in obj->moves */
    bool asked : 1;      /* its home may have said that it may leave (V2) */
    bool fixed : 1;      /* the balancer leaves it alone */
    bool skips : 1;      /* see chi_casts_skips() */
    bool behind : 1;     /* it has missed broadcasts: behind.h */
    bool guest : 1;      /* it is of 'type', and not of its array's */
    uint32_t type : 20;  /* a guest's; less than CHI_REGISTRY_ITEMS_MAX */
    chare_index index[]; /* of a wide one; the key of others says it */
};

/* Messages that wait for an element nobody knows. */
struct chi_missing {
    struct chi_missing *next; /* with the same key */
    chare_element element;
    struct chi_msg_queue waiting;
};

/*
 * What every PE knows of a collection; sent with its creation. That of a bound
 * array is filled in from the other array, on each PE that knows that one.
 */
struct chi_collection_spec {
    chare_collection id;
    chare_collection map_group; /* whose chares are the map; 0: 'map' is */
    chare_collection bound_to;  /* the array whose chares it follows; or 0 */
    uint32_t type;
    uint32_t ndims;
    uint32_t map;
    uint32_t dense;
    uint32_t pe_count; /* of a group on some PEs only; 0: on all */
    uint32_t at_sync;  /* its chares say when they may be balanced */
    int64_t dims[CHARE_DIMS_MAX];
};

struct chi_collection {
    struct chi_coll_set set; /* first */
    struct chi_load *loads;  /* of 'elements', while they are measured */
    size_t load_room;
    struct chi_collection_spec spec;
    uint32_t *pes;   /* spec.pe_count of them, rising; or NULL */
    uint32_t *homes; /* a dense array's, by position, from its map group */
    enum chi_kind kind;
    struct chi_section *section; /* what only sections have, or NULL */
    bool populated;  /* this PE's chares were created; a section is formed */
    bool populating; /* they are being created */
    bool complete;   /* no chare will be inserted any more */
    bool destroyed;  /* as a whole */
    bool doomed;     /* its destruction was asked for here */
    bool over;       /* at the root: all that was accepted is complete */
    bool buried;     /* to be forgotten when nothing depends on it */
    bool has_created;
    uint32_t dependents; /* collections here that it is the map of, or that
                            are bound to it */
    uint64_t dense_count;
    struct chi_map packed;
    struct chi_map wide;
    struct chi_element **elements;
    size_t count;
    size_t room;
    uint64_t born;           /* chares that were made here */
    uint64_t gone;           /* chares that were here and were destroyed */
    uint64_t casts_made;     /* at the creator of an array: its broadcasts */
    uint64_t casts_below;    /* all below have run here; see cast.c */
    struct chi_casts *casts; /* what else there is to know of them, or NULL */
    bool scattered;          /* some chare has moved to or from this PE */
    bool mixed;              /* some chare here is, or was, a guest */
    struct chi_map missing;  /* key -> chain of struct chi_missing */
    struct chi_msg_queue waiting;       /* for population */
    struct chi_msg_queue late;          /* broadcasts, until complete */
    chare_callback created;             /* at the root */
    uint64_t insertions_started;        /* by this PE */
    uint64_t insertions_done;           /* known to this PE as their home */
    bool surveying;                     /* at the root */
    bool in_survey;                     /* the same, and not done */
    struct chi_collection *survey_next; /* of those that wait for their turn */
};

enum {
    CHI_GRAVES = 256
};

/* What else is known of a collection that was destroyed lately. */
struct chi_grave {
    chare_collection collection;
    uint32_t type;
    uint32_t ndims;
};

/* Messages for an array that is not known here. */
struct chi_pending {
    struct chi_msg_queue waiting;
};

enum {
    CHI_LANES = 64, /* a power of two */
    CHI_LANE_SHIFT = 58,
};

/* Where calls to one chare on another PE go; see lane.c. */
struct chi_lane {
    uint64_t collection;
    uint64_t key;
    uint64_t epoch; /* it holds while this is obj->lane_epoch */
    uint32_t pe;
    uint8_t flags; /* for the message */
};

/* Who talks to whom; see talk.c. */
struct chi_talk {
    struct chi_comm comm;
    bool metered; /* the meter is on, or would be if it were no simulation */
    bool on;      /* calls are counted */
    bool has_outer;
    struct chi_comm_name self;  /* whose code runs; collection 0: no chare's */
    struct chi_comm_name outer; /* before chi_obj_begin() */
};

struct chi_obj {
    struct chi_pe *pe;
    struct chi_registry *registry;
    struct chi_cb *cb;
    struct chi_coll *coll;
    struct chi_loc *loc;
    struct chi_map collections;
    struct chi_collection *recent;
    struct chi_lane *lanes; /* CHI_LANES of them, or NULL: see lane.c */
    uint64_t lane_epoch;    /* from 1 */
    struct chi_map pending; /* collection -> struct chi_pending */
    uint64_t counter;       /* of collections created here */
    uint64_t calls;         /* broadcasts that want a reply, made here */
    uint64_t kept_bytes;    /* in all queues for missing things */
    uint64_t kept_count;    /* the same, without copies for late elements */
    uint64_t draining;      /* chares here that drain: calls are looked at */
    uint64_t calls_left;    /* until one is looked at, from 1; talk.c */
    struct chi_talk talk;
    struct chi_msg_queue destructions; /* and calls behind them, see D4 */
    struct chi_tombs tombs;            /* what was destroyed */
    struct chi_tombs strangers;        /* sections that have nobody here */
    struct chi_grave graves[CHI_GRAVES];
    struct chi_collection *survey_head; /* the array that is surveyed */
    struct chi_collection *survey_tail;
    uint32_t roll_function; /* id: the result of a roll call */
    struct chi_map alikes;  /* entry, type -> entry of that name; see below */
    bool again_dropped;     /* insertions at taken indices */
    struct chi_map moves;   /* chi_element -> struct chi_move */
    struct chi_move *move_first;
    struct chi_move **move_last;    /* where the next one goes */
    struct chi_move *move_next;     /* of chi_moves_retry() */
    struct chi_msg_queue moving_in; /* of steps that have not come whole */
    uint64_t bound_count;           /* arrays that are bound to others */
    uint64_t early_count;           /* struct chi_early in all sections */
    struct chi_section *unreported; /* see enlist.c */
    uint64_t unreported_count;
    uint64_t roll_visits; /* sections looked at for reports; tests bound it */
    uint64_t late_count;  /* contributions to destroyed sections; see far.c */
    chi_on_move_fn on_move;
    void *on_move_context;
    uint64_t sync_session; /* of chares that say when they may be balanced */
    bool sync_called;      /* those here are waited for: stall.c */
    uint64_t suggestions;  /* wishes to move that are the balancer's */
    bool times_moves;      /* what moves take is added up: */
    uint64_t move_ticks;
    uint64_t move_count;
    chi_fatal_fn fatal; /* ends the job */
    void *fatal_context;
};

/* ---- index.c: indices as keys and positions */

/* False: it does not fit, and *key_out is a hash of it. */
bool chi_index_pack(const chare_index *index, uint64_t *key_out);
void chi_index_unpack(uint64_t key, uint32_t ndims, chare_index *out);

/* Row-major position in a dense array; false: outside. */
bool chi_index_position(const struct chi_collection_spec *spec,
                        const chare_index *index, uint64_t *position_out);
void chi_index_at_position(const struct chi_collection_spec *spec,
                           uint64_t position, chare_index *out);

/* The PE of a group's chare, or the one that an array's map names (maps.c). */
uint32_t chi_collection_home(const struct chi_obj *obj,
                             const struct chi_collection *collection,
                             const chare_index *index);

/* The PE of a group's chare, known without the group. */
uint32_t chi_group_pe(const struct chi_obj *obj, chare_collection group,
                      int64_t at);

/* Whether the collections that this one depends on, its map and the array it
 * is bound to, are here; *missing_out: the first that is not. */
bool chi_spec_ready(struct chi_obj *obj,
                    const struct chi_collection_spec *spec,
                    chare_collection *missing_out);

/* Fill in what a bound array has from the other one, which is known here;
 * false: they do not fit together. */
bool chi_spec_bind(const struct chi_collection *other,
                   struct chi_collection_spec *spec);

/* Ask a dense array's map group for the homes of all its chares, once. */
void chi_collection_ask_homes(struct chi_obj *obj,
                              struct chi_collection *collection);

/* "Worker[3,4]" or so, for people. */
void chi_element_text(const struct chi_obj *obj, const chare_element *element,
                      char *out, size_t room);

/* ---- table.c: collections and elements */

static inline struct chi_collection *
chi_collection_find(struct chi_obj *obj, chare_collection id)
{
    struct chi_collection *recent = obj->recent;

    if (chi_likely(recent != NULL && recent->spec.id == id)) {
        return recent;
    }
    recent = chi_map_get(&obj->collections, id);
    if (recent != NULL) {
        obj->recent = recent;
    }
    return recent;
}

/* A collection known from its spec; what was kept for it is executed. */
struct chi_collection *
chi_collection_add(struct chi_obj *obj,
                   const struct chi_collection_spec *spec);

/* A group's PEs, if it has a list: this one is among them. */
bool chi_collection_on_pe(const struct chi_collection *collection,
                          uint32_t pe);
void chi_collection_free(struct chi_obj *obj,
                         struct chi_collection *collection);

struct chi_element *chi_element_find_slow(const struct chi_collection *from,
                                          uint64_t key,
                                          const chare_index *index);

/* The chare with this packed key (index NULL), or wide index. */
static inline struct chi_element *
chi_element_find(const struct chi_collection *collection, uint64_t key,
                 const chare_index *wide_index)
{
    if (chi_likely(wide_index == NULL)) {
        return chi_map_get(&collection->packed, key);
    }
    return chi_element_find_slow(collection, key, wide_index);
}

/* A chare's name when its index has several dimensions, or is wide. */
void chi_element_self_slow(const struct chi_element *element,
                           chare_element *out);

/* A chare's name. It is made when it is asked for: kept, it would be half of
 * what a chare takes. */
static inline void
chi_element_self(const struct chi_element *element, chare_element *out)
{
    const struct chi_collection_spec *spec = &element->collection->spec;

    if (chi_likely(spec->ndims == 1)) {
        *out = (chare_element){spec->id, {1, 0, {(int64_t)element->key}}};
    } else {
        chi_element_self_slow(element, out);
    }
}

/* Take it out of its collection's tables; it is the caller's. */
void chi_element_unlink(struct chi_collection *collection,
                        struct chi_element *element);

struct chi_element *
chi_element_find_index(const struct chi_collection *collection,
                       const chare_index *index);

/* A chare that is on this PE; else NULL. */
struct chi_element *chi_element_here(struct chi_obj *obj,
                                     const chare_element *self);

/* A chare without an object, in the tables. */
struct chi_element *chi_element_link_new(struct chi_obj *obj,
                                         struct chi_collection *collection,
                                         const chare_index *index);

/*
 * Make a chare of a type from the constructor's data in 'msg'; a home
 * elsewhere is told. NULL: its create hook failed, and the job is ending.
 */
struct chi_element *chi_element_add(struct chi_obj *obj,
                                    struct chi_collection *collection,
                                    const chare_index *index, uint32_t home,
                                    uint32_t type, struct chi_msg *msg);

/* ---- keep.c: what cannot be executed yet, or ever */

/* Keep for an array that is not known here. */
void chi_keep_for_collection(struct chi_obj *obj, struct chi_msg *msg);

/* Keep the creation of a collection until another one, 'id', is populated. */
void chi_keep_creation(struct chi_obj *obj, chare_collection id,
                       struct chi_msg *msg);
void chi_keep_for_population(struct chi_obj *obj,
                             struct chi_collection *collection,
                             struct chi_msg *msg);

/* Keep a part of a step of moves until some collection is known. */
void chi_keep_step(struct chi_obj *obj, chare_collection id,
                   struct chi_msg *msg);

/* Keep a message that is executing until its collection, which may be NULL,
 * is populated here. */
void chi_keep_until_ready(struct chi_obj *obj,
                          struct chi_collection *collection,
                          struct chi_msg *msg);

/* The collection of a message that is executing; NULL: it is not populated
 * here yet, and the message was kept. */
static inline struct chi_collection *
chi_collection_ready(struct chi_obj *obj, struct chi_msg *msg)
{
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);

    if (chi_unlikely(collection == NULL || !collection->populated)) {
        chi_keep_until_ready(obj, collection, msg);
        return NULL;
    }
    return collection;
}

/* Keep for an element that may come, or answer that it never will. */
void chi_keep_for_element(struct chi_obj *obj,
                          struct chi_collection *collection,
                          const chare_element *element, struct chi_msg *msg);

/* The target of a message that is executing is not here: keep it, answer that
 * it never will be, or send it to the target's home. */
void chi_missing(struct chi_obj *obj, struct chi_collection *collection,
                 const chare_element *target, struct chi_msg *msg);

/*
 * The chare that a message which is executing is for. NULL: the message is not
 * the caller's any more; it was kept, passed on, or was malformed.
 */
struct chi_element *chi_target_here(struct chi_obj *obj, struct chi_msg *msg);

/* Keep a broadcast that has run, for chares that are yet to be inserted. */
void chi_keep_for_late(struct chi_obj *obj, struct chi_collection *collection,
                       struct chi_msg *msg);
void chi_kept_late_drop(struct chi_obj *obj,
                        struct chi_collection *collection);

/* Give back what was kept. */
void chi_kept_for_collection(struct chi_obj *obj, chare_collection id,
                             struct chi_msg_queue *out);
void chi_kept_for_population(struct chi_obj *obj,
                             struct chi_collection *collection,
                             struct chi_msg_queue *out);
void chi_kept_for_element(struct chi_obj *obj,
                          struct chi_collection *collection,
                          const chare_element *element,
                          struct chi_msg_queue *out);

/* The array is complete: what waits for elements is undeliverable. */
void chi_kept_is_lost(struct chi_obj *obj, struct chi_collection *collection);

/* Free all, at the end. */
void chi_keep_clear(struct chi_obj *obj);
void chi_keep_clear_collection(struct chi_collection *collection);

/* Where the result of a call was to go; false: nobody asked. */
bool chi_msg_reply(const struct chi_msg *msg, chare_callback *out);

/* Answer a message whose target cannot be. Takes the message. */
void chi_undeliverable(struct chi_obj *obj, const chare_element *target,
                       struct chi_msg *msg);

/* ---- lane.c */

static inline struct chi_lane *
chi_lane_at(struct chi_lane *lanes, chare_collection collection, uint64_t key)
{
    return &lanes[((key + collection) * 0x9e3779b97f4a7c15u) >>
                  CHI_LANE_SHIFT];
}

/* It is the lane of this call, and nothing has changed since. */
static inline bool
chi_lane_holds(const struct chi_obj *obj, const struct chi_lane *lane,
               const struct chi_msg *msg)
{
    return lane->key == msg->env.key &&
           lane->collection == msg->env.collection &&
           lane->epoch == obj->lane_epoch &&
           (msg->env.flags & CHI_ENV_WIDE) == 0;
}

/* Find where a call goes, remember it, and send it there; false: it is to be
 * dispatched. */
bool chi_lane_make(struct chi_obj *obj,
                   const struct chi_collection *collection,
                   const chare_element *target, struct chi_msg *msg);

/* What is known of where some chare is has changed. */
static inline void
chi_lanes_forget(struct chi_obj *obj)
{
    obj->lane_epoch++;
}

/* Send a counted call, of a chare that is not here, where such calls go;
 * false: it is to be dispatched. */
static inline bool
chi_lane_send(struct chi_obj *obj, const struct chi_collection *collection,
              const chare_element *target, struct chi_msg *msg)
{
    const struct chi_lane *lane;

    if (chi_likely(obj->lanes != NULL)) {
        lane = chi_lane_at(obj->lanes, msg->env.collection, msg->env.key);
        if (chi_likely(chi_lane_holds(obj, lane, msg))) {
            msg->env.flags |= lane->flags;
            chi_pe_forward(obj->pe, lane->pe, msg);
            return true;
        }
    }
    return chi_lane_make(obj, collection, target, msg);
}

/* ---- invoke.c */

/*
 * Where a counted message has to go; takes it. What is to be executed here is
 * put into 'here', or, if that is NULL, at the end of the PE's queue. '_to':
 * to a chare that may be one of a group or a single that is not known here.
 */
void chi_dispatch(struct chi_obj *obj, struct chi_msg *msg,
                  struct chi_msg_queue *here);
void chi_dispatch_to(struct chi_obj *obj, const chare_element *target,
                     struct chi_msg *msg);

/* Dispatch what was kept; it goes before what came behind it. */
void chi_dispatch_kept(struct chi_obj *obj, struct chi_msg_queue *kept);

/* The target's index; *wide_out: or NULL when the key says it all. */
bool chi_msg_target(const struct chi_collection *collection,
                    const struct chi_msg *msg, chare_element *element_out,
                    const chare_index **wide_out);

/* False: the target is wrong in a way that its sender can see. */
bool chi_target_ok(const struct chi_obj *obj,
                   const struct chi_collection *collection,
                   const chare_element *target);

/* Whether an entry is one of the collection's own type. */
static inline bool
chi_entry_fits(const struct chi_obj *obj,
               const struct chi_collection *collection, uint32_t entry)
{
    return entry != 0 && entry < obj->registry->entry_count &&
           obj->registry->entries[entry].type == collection->spec.type;
}

/* ---- guest.c: chares of other types than their array's */

static inline uint32_t
chi_element_type_id(const struct chi_element *element)
{
    return chi_unlikely(element->guest) ? element->type
                                        : element->collection->spec.type;
}

static inline const struct chi_type *
chi_element_type(const struct chi_obj *obj, const struct chi_element *element)
{
    return &obj->registry->types[chi_element_type_id(element)];
}

/* Say of which type a new chare is. */
static inline void
chi_element_set_type(struct chi_element *element, uint32_t type)
{
    element->guest = type != element->collection->spec.type;
    element->collection->mixed |= element->guest;
    element->type = element->guest ? type : 0;
}

/* The entry that a chare has for one that was called; 0: none. */
uint32_t chi_element_entry(struct chi_obj *obj,
                           const struct chi_element *element, uint32_t entry);

/* Tell who waits for the answer that a chare has no such entry, or end the
 * job. */
void chi_guest_refuse(struct chi_obj *obj, const chare_call *call,
                      uint32_t entry);

/* Undo chi_cb_data_msg() for a call that failed: the data is the caller's. */
void chi_give_data_back(struct chi_msg *msg, const chare_data *data);

/* A message that calls an entry of 'target'; chare_send() has the errors. */
CHARE_MUST_CHECK chare_status
chi_message_for(struct chi_obj *obj, const chare_element *target,
                uint32_t entry, const chare_data *data,
                const chare_send_options *options, struct chi_msg **msg_out);

/* Encode the local payload of a message that goes to another PE. */
void chi_encode_or_die(struct chi_obj *obj, struct chi_msg **msg_inout);

void chi_invoke_execute(void *context, struct chi_msg *msg);
void chi_broadcast_execute(void *context, struct chi_msg *msg);

/* Run the broadcasts that an inserted chare has missed. */
void chi_broadcast_late(struct chi_obj *obj, struct chi_collection *collection,
                        struct chi_element *element);

/* Pass a broadcast on, once, and find its collection; NULL: it was kept. */
struct chi_collection *chi_broadcast_ready(struct chi_obj *obj,
                                           struct chi_msg *msg);

/* A broadcast runs on 'awaited' chares or members here; 'absent' ones that
 * were destroyed here have no part in it. Before any of them runs. */
void chi_broadcast_ran(struct chi_obj *obj, struct chi_collection *collection,
                       const struct chi_msg *msg, uint64_t awaited,
                       uint64_t absent);

/* Execute a broadcast, or a CAST, of what was called, on one chare; the
 * message stays. 'more' chares come next. */
void chi_broadcast_run(struct chi_obj *obj, struct chi_element *element,
                       struct chi_msg *msg, chare_collection called,
                       uint64_t more);

/* cast.c: a broadcast has run here; how many chares here have had it before,
 * which are marked; and how many are no more. */
void chi_casts_ran(struct chi_obj *obj, struct chi_collection *collection,
                   struct chi_msg *msg);
uint64_t chi_casts_skipped(struct chi_collection *collection, uint64_t number);
uint64_t chi_casts_absent(const struct chi_collection *collection,
                          uint64_t number);

/* Whether chi_casts_skipped(), or _held(), has just found this chare; once. */
static inline bool
chi_casts_skips(struct chi_element *element)
{
    const bool skips = element->skips;

    element->skips = false;
    return skips;
}

/* A call of another type's entry would be given the wrong object. Takes the
 * message. */
void chi_refuse_entry(struct chi_obj *obj, const chare_element *target,
                      struct chi_msg *msg);

/* At the root of the collection: a broadcast to nobody is over at once. */
void chi_broadcast_expect(struct chi_obj *obj,
                          struct chi_collection *collection,
                          const struct chi_msg *msg);

/* Whether a broadcast can be sent to a collection of this name. */
bool chi_broadcast_ok(const struct chi_obj *obj, chare_collection id);

/* It is known here that a collection is destroyed, or will be. */
bool chi_collection_is_over(struct chi_obj *obj, chare_collection id);

/* The result of a reduction goes to all of a collection. */
CHARE_MUST_CHECK chare_status
chi_obj_broadcast_result(struct chi_obj *obj, const chare_callback *callback,
                         const chare_data *data);

/* How the answers to a broadcast are combined. */
uint32_t chi_reply_reducer(const chare_reply *reply);

/* Send a broadcast to where it starts from. */
void chi_broadcast_start(struct chi_obj *obj, struct chi_msg *msg);

/*
 * What a broadcast that wants a reply carries in its trailer: the tag of the
 * reduction that says when all have run, how to combine, and the callback.
 */
enum chi_reply_kind { /* chare_reply.kind */
    CHI_REPLY_CALLBACK = 0,
    CHI_REPLY_REDUCTION = 1,
    CHI_REPLY_GATHER = 2,
    CHI_REPLY_ROLL = 3,
    CHI_REPLY_KINDS = 15,
    CHI_REPLY_EXTRA = 16, /* or-ed: see chi_coll_contribute() */
};
CHARE_MUST_CHECK chare_status chi_broadcast_add_trailer(
    struct chi_obj *obj, struct chi_msg **msg_inout, enum chi_reply_kind kind,
    const chare_callback *callback);
bool chi_broadcast_read_trailer(const struct chi_msg *msg, chare_reply *out);

/* A message that carries 'data' in bytes; NULL data gives NULL. */
CHARE_MUST_CHECK chare_status chi_value_msg(struct chi_obj *obj,
                                            const chare_data *data,
                                            struct chi_msg **msg_out);

/* ---- section.c, enlist.c: see section.h */

/* ---- load.c */

/* Whether its chares are of that set. */
bool chi_load_is_in(const struct chi_obj *obj,
                    const struct chi_collection *collection,
                    enum chi_load_set set);

/* What a chare has cost since it was last asked. */
struct chi_load {
    uint64_t ticks;
    uint64_t synced; /* the last session that it waited for, + 2; if none, and
                        it has moved, its first + 1; else 0 */
    float work;      /* what it says of itself, in seconds; below 0: nothing */
    uint32_t calls;
    uint32_t bytes; /* of its state when it moved last; 0: it never did */
};

static_assert(sizeof(struct chi_load) <= 32, "two in a cache line");

/* What of it goes along when the chare moves. */
void chi_load_pack(const struct chi_obj *obj,
                   struct chi_collection *collection,
                   const struct chi_element *element, uint64_t *synced_out,
                   float *work_out);
void chi_load_unpack(struct chi_collection *collection,
                     const struct chi_element *element, uint64_t synced,
                     float work, uint64_t bytes);

void chi_load_charge_slow(struct chi_obj *obj,
                          const struct chi_element *element);

/* The last one takes the place of one that goes. */
void chi_load_unlink(struct chi_collection *collection, uint32_t at);

/* ---- create.c, insert.c */

/* Names for new collections: this one and the count - 1 that follow. */
chare_collection chi_collection_new_id(struct chi_obj *obj, enum chi_kind kind,
                                       uint32_t count);
void chi_create_execute(void *context, struct chi_msg *msg);
void chi_insert_execute(void *context, struct chi_msg *msg);
void chi_insert_done_execute(void *context, struct chi_msg *msg);
/* True: it is to be executed here. */
bool chi_insert_dispatch(struct chi_obj *obj,
                         struct chi_collection *collection,
                         struct chi_msg *msg);
/* The chare of the other array that an insertion into a bound one follows;
 * false: malformed. */
bool chi_insert_anchor(const struct chi_collection *collection,
                       const struct chi_msg *msg, chare_element *anchor_out);
void chi_insert_fatal(struct chi_obj *obj, const chare_element *element,
                      const char *what);
void chi_insert_placed(struct chi_obj *obj, const chare_element *element,
                       uint32_t pe);
/* No more chares come: answer what waits, count, unless that has been done. */
void chi_collection_complete(struct chi_obj *obj,
                             struct chi_collection *collection);
bool chi_insert_survey(void *context, uint64_t argument,
                       uint64_t words_out[CHI_SURVEY_WORDS]);

/* ---- destroy.c */

void chi_destroy_execute(void *context, struct chi_msg *msg);

/* Execute a broadcast that destroys all; takes it. */
void chi_destroy_all_execute(struct chi_obj *obj,
                             struct chi_collection *collection,
                             struct chi_msg *msg);

/* The same for one chare. */
bool chi_destroy_waits_for(struct chi_obj *obj, struct chi_element *element,
                           struct chi_msg *msg);

/* Destroy one that need not stay. */
void chi_destroy_now(struct chi_obj *obj, struct chi_element *element);

/* Some chare has drained, or a section is formed: what waits for that may go
 * on. */
void chi_destroy_retry(struct chi_obj *obj);

/* A call that is executing has to wait for its target's end; it was kept. */
bool chi_destroy_holds(struct chi_obj *obj, const struct chi_element *element,
                       struct chi_msg *msg);

/* ---- bury.c */

/* It was here, was destroyed, and is forgotten. */
bool chi_is_buried(const struct chi_obj *obj, chare_collection id);

/* What is known of it; NULL: nothing. */
const struct chi_grave *chi_grave_find(const struct chi_obj *obj,
                                       chare_collection id);

/* "the array of Worker, number 5 of PE 0" or so, for people. */
void chi_collection_text(const struct chi_obj *obj, chare_collection id,
                         char *out, size_t room);

/* Remember that a collection was destroyed; its record goes. */
void chi_tomb_make(struct chi_obj *obj,
                   const struct chi_collection_spec *spec);

/* At the root: bury a collection everywhere, if it is time. */
void chi_bury_check(struct chi_obj *obj, struct chi_collection *collection);
/* Free a record that is buried, unless others depend on it. */
void chi_bury(struct chi_obj *obj, struct chi_collection *collection);
void chi_bury_execute(void *context, struct chi_msg *msg);

/* A broadcast is executing, for a collection that is destroyed, or not known
 * (NULL). True: it came too late, and is gone. */
bool chi_broadcast_over(struct chi_obj *obj,
                        const struct chi_collection *collection,
                        struct chi_msg *msg);

/* Take a message, which is not executing, for a collection that is buried. */
void chi_buried_take(struct chi_obj *obj, struct chi_msg *msg);

#endif /* CHI_OBJ_PRIVATE_H */
