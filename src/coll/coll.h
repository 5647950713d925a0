/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_COLL_H
#define CHI_COLL_COLL_H

/*
 * coll.h - collective operations over PEs: trees, the census, reductions,
 * surveys. README.md states the protocol and its invariants.
 *
 * The engine knows no elements: the room above says how many there are on
 * this PE, and feeds contributions.
 */

#include <chare.h>

#include "base/map.h"
#include "cb/callback.h"
#include "pe/pe.h"
#include "topo/tree.h"

enum {
    CHI_COLL_PARTS_MAX = 1024, /* combined early when there are more */
    CHI_SURVEY_WORDS = 4,
    /* Beside CHARE_REDUCE_*: put the bytes of all parts behind one another, in
     * any order. */
    CHI_COLL_REDUCE_JOIN = 32,
};

/*
 * What a reduction is named by within its set: the stream of the collection's
 * own reductions counts 0, 1, 2, ...; others have a tag of the PE that began
 * them.
 */
#define CHI_COLL_TAG_CALL     (1ull << 62) /* completion of a broadcast */
#define CHI_COLL_TAG_PE_SHIFT 38

struct chi_coll;
struct chi_reduction;

/* One collection, as this PE's engine sees it; embedded in its owner. */
struct chi_coll_set {
    uint64_t collection;
    const struct chi_tree_edges *edges; /* of the tree to the root */
    bool is_root;
    bool local_known;          /* this PE's part of the census is in */
    bool census_known;         /* the whole subtree's is */
    bool closed;               /* at the root: see chi_coll_close() */
    uint32_t census_missing;   /* children that have not told */
    bool active;               /* as the parent knows it, see R2 */
    uint64_t local_count;      /* elements here now, from local_known on */
    uint64_t subtree_count;    /* by the census, in this PE's subtree */
    uint64_t children_active;  /* a bit for each, as they have told */
    uint64_t children_born;    /* those that the census found some below */
    uint64_t stream_next;      /* own reductions below are passed on */
    uint64_t left_count;       /* root: left with tags up to stream_next */
    struct chi_map leaving;    /* root: later tag -> how many leave there */
    struct chi_map reductions; /* tag -> struct chi_reduction */
    struct chi_reduction *recent;
};

struct chi_coll_reducer {
    char *name;
    chare_combine_fn combine;
    bool ordered;
    void *context;
};

/* What the engine needs of the rooms that own sets. */
struct chi_coll_ops {
    /* The set of a collection, or NULL when it is not known here yet; then the
     * callee keeps 'msg' and executes it again later. */
    struct chi_coll_set *(*find)(void *context, uint64_t collection,
                                 struct chi_msg *msg);

    /* At the root: all PEs have told how many elements they have. */
    void (*census_done)(void *context, struct chi_coll_set *set);

    /* At the root: a closed set has delivered its last reduction, and all
     * elements have left; once or more. The engine still uses the set when
     * this returns. */
    void (*over)(void *context, struct chi_coll_set *set);

    /* An element's name, for people. */
    void (*element_text)(void *context, const chare_element *element,
                         char *out, size_t room);

    /* End the job because of a mistake of its program, with this text. */
    void (*fatal)(void *context, const char *text);
};

/* A question to all PEs: write this PE's words and return true, or false when
 * it has no answer before it is idle. */
typedef bool (*chi_survey_fn)(void *context, uint64_t argument,
                              uint64_t words_out[CHI_SURVEY_WORDS]);

/* At the PE that asked: the sums over all PEs. */
typedef void (*chi_survey_done_fn)(void *context, uint64_t argument,
                                   const uint64_t sums[CHI_SURVEY_WORDS]);

enum chi_survey {
    CHI_SURVEY_QUIESCENCE,
    CHI_SURVEY_INSERTIONS,
    CHI_SURVEY_STALL,
    CHI_SURVEY_COUNT,
};

CHARE_MUST_CHECK chare_status chi_coll_create(struct chi_pe *pe,
                                              struct chi_cb *cb,
                                              struct chi_coll **out);
void chi_coll_destroy(struct chi_coll *coll);

/* Trees exist from now on. */
void chi_coll_set_layout(struct chi_coll *coll,
                         const struct chi_layout *layout);
void chi_coll_set_ops(struct chi_coll *coll, const struct chi_coll_ops *ops,
                      void *context);

/* As chare_reducer_register(). */
CHARE_MUST_CHECK chare_status chi_coll_add_reducer(struct chi_coll *coll,
                                                   const char *name,
                                                   chare_combine_fn combine,
                                                   bool ordered, void *context,
                                                   uint32_t *id_out);
bool chi_coll_has_reducer(const struct chi_coll *coll, uint32_t reducer);

/* The layout; NULL: not yet, or this PE is alone. */
const struct chi_layout *chi_coll_layout(const struct chi_coll *coll);

/* Nodes in the job, and the lowest PE of one. */
uint32_t chi_coll_node_count(const struct chi_coll *coll);
uint32_t chi_coll_node_first_pe(const struct chi_coll *coll, uint32_t node);

/* This PE's place in the tree of a root; made once, kept. */
const struct chi_tree_edges *chi_coll_edges(struct chi_coll *coll,
                                            uint32_t root);

/* The tree from 'root' over some PEs, in preorder; see chi_tree_subset(). */
void chi_coll_subset(struct chi_coll *coll, uint32_t root, const uint32_t *pes,
                     uint32_t pe_count, chare_tree_vertex *vertices_out);

/*
 * Pass a message down the tree of 'root' to this PE's children; it stays the
 * caller's. Its data must be encoded.
 */
void chi_coll_send_down(struct chi_coll *coll, uint32_t root,
                        const struct chi_msg *msg);

/* The same along given edges, for a tree that is not over all PEs. */
void chi_coll_send_along(struct chi_coll *coll,
                         const struct chi_tree_edges *edges,
                         const struct chi_msg *msg);

void chi_coll_set_init(struct chi_coll *coll, struct chi_coll_set *set,
                       uint64_t collection, uint32_t root);
/* A set whose elements are all on this PE: there is no tree. */
void chi_coll_set_init_alone(struct chi_coll_set *set, uint64_t collection);
/*
 * A set whose tree and whose census are known: this PE's place in the tree,
 * which stays the caller's, and how many elements are here and below.
 */
void chi_coll_set_init_known(struct chi_coll_set *set, uint64_t collection,
                             const struct chi_tree_edges *edges, bool is_root,
                             uint64_t local_count, uint64_t subtree_count);
void chi_coll_set_fini(struct chi_coll_set *set);

/* All elements of this PE have been made: so many, of which some may be gone
 * by now, and others have come. Once for each set. */
void chi_coll_census(struct chi_coll *coll, struct chi_coll_set *set,
                     uint64_t born_count, uint64_t local_count);

/* Both of the following; 'number' NULL: 'value' is contributed. */
void chi_coll_contribute_any(struct chi_coll *coll, struct chi_coll_set *set,
                             uint64_t tag, uint32_t reducer,
                             struct chi_msg *value, const chare_value *number,
                             const chare_element *element,
                             const chare_callback *callback, bool extra);

/*
 * One element's part in reduction 'tag'. 'value' is a message whose data is
 * the value (taken over), or NULL. 'element' says which one where order
 * matters (gather, ordered reducers): by index, then by collection. 'extra':
 * of a broadcast's completion, and not among those that chi_coll_ran() counts.
 */
static inline void
chi_coll_contribute(struct chi_coll *coll, struct chi_coll_set *set,
                    uint64_t tag, uint32_t reducer, struct chi_msg *value,
                    const chare_element *element,
                    const chare_callback *callback, bool extra)
{
    chi_coll_contribute_any(coll, set, tag, reducer, value, NULL, element,
                            callback, extra);
}

/* The same, in the own stream, of an INT or a FLOAT and a built-in reducer. */
static inline void
chi_coll_contribute_number(struct chi_coll *coll, struct chi_coll_set *set,
                           uint64_t tag, uint32_t reducer,
                           const chare_value *number,
                           const chare_element *element,
                           const chare_callback *callback)
{
    chi_coll_contribute_any(coll, set, tag, reducer, NULL, number, element,
                            callback, false);
}

/*
 * A broadcast with completion 'tag' runs on 'awaited' elements here, which
 * contribute to it; 'absent' ones that were destroyed here have no part in it.
 */
void chi_coll_ran(struct chi_coll *coll, struct chi_coll_set *set,
                  uint64_t tag, uint32_t reducer, uint64_t awaited,
                  uint64_t absent, const chare_callback *callback);

/*
 * An element has come to this PE, or some have gone to others. They have
 * contributed to all own reductions below 'next'.
 */
void chi_coll_arrive(struct chi_coll *coll, struct chi_coll_set *set,
                     uint64_t next);
void chi_coll_depart(struct chi_coll *coll, struct chi_coll_set *set,
                     uint64_t next, uint32_t count);

/*
 * So many elements of this PE are no more: they have contributed to all own
 * reductions below 'tag', and will to none from there on. The census goes on
 * counting them.
 */
void chi_coll_leave(struct chi_coll *coll, struct chi_coll_set *set,
                    uint64_t tag, uint32_t count);

/*
 * At the root: the completion 'tag' of a broadcast, which the root executes,
 * will come. It is not delivered before.
 */
void chi_coll_expect(struct chi_coll *coll, struct chi_coll_set *set,
                     uint64_t tag, uint32_t reducer,
                     const chare_callback *callback);

/*
 * At the root: all elements are to leave, and no more completions are expected
 * than have been; what comes of others is dropped (R6). ops->over() is called
 * once, when the last of those has been delivered.
 */
void chi_coll_close(struct chi_coll *coll, struct chi_coll_set *set);

/* An own reduction that has begun here and is not complete. */
struct chi_coll_stalled {
    uint64_t number;   /* the collection's first is 0 */
    uint64_t arrived;  /* contributions that are in */
    uint64_t expected; /* of this PE's subtree, once the census is known */
    uint64_t children; /* a bit for each that has passed its own on */
};

/* The oldest one; false: there is none. */
bool chi_coll_stalled(const struct chi_coll_set *set,
                      struct chi_coll_stalled *out);

/* Ask all PEs; 'done' runs on this PE. One survey of a kind at a time. */
void chi_coll_survey(struct chi_coll *coll, enum chi_survey survey,
                     uint64_t argument, chi_survey_done_fn done,
                     void *context);
void chi_coll_set_survey(struct chi_coll *coll, enum chi_survey survey,
                         chi_survey_fn fn, void *context);

#endif /* CHI_COLL_COLL_H */
