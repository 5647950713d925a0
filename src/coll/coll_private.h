/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_COLL_PRIVATE_H
#define CHI_COLL_PRIVATE_H

/*
 * coll_private.h - what the files of this room share.
 */

#include "coll/coll.h"
#include "coll/tally.h"

enum {
    CHI_COLL_REDUCER_CUSTOM_FIRST = 64
};

struct chi_survey_state {
    chi_survey_fn fn;
    void *context;
    chi_survey_done_fn done;
    void *done_context;
};

/* A survey that passes through this PE. */
struct chi_survey_wave {
    struct chi_survey_wave *next;
    enum chi_survey survey;
    uint32_t root;
    uint64_t argument;
    uint32_t children_missing;
    bool answered; /* this PE's own words are in */
    uint64_t sums[CHI_SURVEY_WORDS];
};

struct chi_coll {
    struct chi_pe *pe;
    struct chi_cb *cb;
    const struct chi_layout *layout;
    struct chi_map edges; /* root + 1 -> struct chi_tree_edges */
    const struct chi_coll_ops *ops;
    void *ops_context;
    struct chi_coll_reducer *reducers;
    uint32_t reducer_count;
    struct chi_survey_state surveys[CHI_SURVEY_COUNT];
    struct chi_survey_wave *waves;
};

/* Who contributed first; index.ndims 0: that is known on its PE only. */
struct chi_coll_source {
    uint32_t pe;
    chare_element element;
};

/* One reduction under way. */
struct chi_reduction {
    uint64_t tag;
    uint64_t count;   /* contributions in the parts, and those without data */
    uint64_t here;    /* own stream: elements here that have contributed to it,
                       wherever; else: answers of those it ran on here */
    uint64_t awaited; /* a completion: those it ran on here */
    uint64_t children_reported; /* a bit for each */
    uint32_t reducer;
    bool known;    /* reducer and callback are set */
    bool expected; /* at the root: R7 */
    bool mixed;    /* contributions named different reducers: an error */
    bool ran;      /* a completion: the broadcast has run here */
    bool direct;   /* some part is a contribution of this PE's */
    struct chi_coll_source source; /* of the reducer and the callback */
    bool stray; /* they named different targets: the job ends */
    chare_callback callback;
    struct chi_tally tally; /* what came first, while it is only numbers */
    struct chi_msg_queue parts;
};

static_assert(CHI_TREE_CHILDREN_MAX <= 64, "a bit for each child");

/* Which of this PE's children another PE is; CHI_TREE_CHILDREN_MAX: none. */
static inline uint32_t
chi_coll_child(const struct chi_tree_edges *edges, uint32_t pe)
{
    for (uint32_t i = 0; i < edges->child_count; i++) {
        if (edges->children[i] == pe) {
            return i;
        }
    }
    return CHI_TREE_CHILDREN_MAX;
}

/* reduction.c */
void chi_coll_reduce_execute(void *context, struct chi_msg *msg);
void chi_coll_census_execute(void *context, struct chi_msg *msg);
void chi_coll_leave_execute(void *context, struct chi_msg *msg);

/* survey.c */
void chi_coll_survey_execute(void *context, struct chi_msg *msg);
void chi_coll_survey_sum_execute(void *context, struct chi_msg *msg);
void chi_coll_survey_idle(void *context);

/*
 * combine.c: make one of the parts, a list of messages, which is released.
 * NULL: nothing to carry (all parts were without data).
 */
struct chi_msg *chi_coll_combine(struct chi_coll *coll, uint32_t reducer,
                                 struct chi_msg_queue *parts);

/* At the root: from the combined part to what the callback is given; NULL
 * becomes an empty list. */
struct chi_msg *chi_coll_finish(struct chi_coll *coll, uint32_t reducer,
                                struct chi_msg *part);

/*
 * Contributions to two different reducers: true, and which to use, when one
 * takes the place of the other.
 */
bool chi_coll_join(const struct chi_coll *coll, uint32_t *reducer_inout,
                   uint32_t other);

/* An error part that says that two reducers do not go together. */
struct chi_msg *chi_coll_mixed(struct chi_coll *coll, uint32_t one,
                               const struct chi_coll_source *by_one,
                               uint32_t other,
                               const struct chi_coll_source *by_other);

/* Targets that differ, and yet are one: members of a section of several
 * classes name its method each by the entry of their own class. */
bool chi_coll_targets_alike(const struct chi_coll *coll,
                            const chare_callback *a, const chare_callback *b);

/* End the job: its program names two targets for one reduction, and who waits
 * at the other would never be told. */
void chi_coll_targets_differ(struct chi_coll *coll, const chare_callback *one,
                             const struct chi_coll_source *by_one,
                             const chare_callback *other,
                             const struct chi_coll_source *by_other);

/* Whether contributions are kept apart, by index, up to the root. */
bool chi_coll_keeps_parts(const struct chi_coll *coll, uint32_t reducer);

/* Wrap one value as a record of a gathered list; takes 'value'. */
struct chi_msg *chi_coll_record(struct chi_coll *coll,
                                const chare_element *element,
                                struct chi_msg *value);

#endif /* CHI_COLL_PRIVATE_H */
