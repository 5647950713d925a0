/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_SIM_SECTION_H
#define CHARE_TESTS_SIM_SIM_SECTION_H

/*
 * sim_section.h - the model of test_sim_section: collections and sections of
 * them, drawn from the seed, and the set of chares that each should have.
 */

#include "sim_job.h"

enum {
    SETS_MAX = 4,
    CHARES_MAX = 256,
    TARGETS_MAX = 14,
    ROUNDS = 5,
    CALLS_MAX = 24,
    TYPES = 2,
    ENLISTS_MAX = 3, /* sections opened at once */
};

enum what {
    SUM,
    GATHER,
    NOP,
    ALL_SUM,
    WHAT_COUNT
};

struct round {
    enum what what;
    uint32_t contributed;
    uint32_t told;
};

/* A collection or a section: what can be called, and contributed to. */
struct target {
    chare_collection id;
    bool section;
    bool member[CHARES_MAX];
    uint32_t count;
    uint32_t maker; /* PE */
    uint32_t type;  /* of a collection's chares */
    struct round rounds[ROUNDS];
};

struct call {
    uint32_t target;
    uint32_t pe;
    int16_t priority;
    bool wants_answer;
    bool gather;
    uint32_t executed[CHARES_MAX];
    uint32_t executed_count;
    uint32_t answered;
};

struct test;

struct chare {
    struct test *test;
    chare_element self;
    uint32_t type;
    uint32_t number;
    uint32_t pe; /* where it is, once it is */
    bool exists;
    uint32_t round[TARGETS_MAX]; /* the next to contribute to */
    uint32_t told[TARGETS_MAX];  /* the next ALL_SUM to hear of */
};

struct set {
    chare_collection id;
    uint32_t target;
    uint32_t ndims;
    bool sparse;
    bool group;
    int64_t dims[CHARE_DIMS_MAX];
};

struct test {
    struct sim_job *job;
    uint32_t type[TYPES];
    uint32_t entry_hear[TYPES];
    uint32_t entry_work[TYPES];
    uint32_t entry_told[TYPES];
    uint32_t entry_enlist[TYPES];
    uint32_t function_ended;
    uint32_t function_told;
    uint32_t function_enlisted;
    uint32_t function_created;
    uint32_t created;
    uint32_t created_want;
    uint32_t set_count;
    struct set sets[SETS_MAX];
    uint32_t chare_count;
    struct chare chares[CHARES_MAX];
    uint32_t target_count;
    struct target targets[TARGETS_MAX];
    uint32_t call_count;
    struct call calls[CALLS_MAX];
    uint32_t last[SIM_PES_MAX]; /* call + 1 that a PE executes */
    uint32_t last_chare[SIM_PES_MAX];
};

/* Whether a chare joins a section by itself. */
bool sim_enlists(uint32_t t, uint32_t chare);

struct target *sim_target_add(struct test *test, bool section);

/* Ask each member to contribute, some from everywhere. */
void sim_target_start(struct test *test, struct target *target);

/* A group or an array of any kind; a sparse one is empty. */
void sim_set_create(struct test *test);

/* Insert all chares of a sparse array, from anywhere. */
void sim_set_fill(struct test *test, const struct set *set);

/* A section, or some at once, made in any way. */
void sim_section_create(struct test *test);

/* One of named chares. */
void sim_section_named(struct test *test, struct target *target);

/* A type whose entry can be named: of a section, any. */
uint32_t sim_type_for(struct test *test, const struct target *target);

#endif /* CHARE_TESTS_SIM_SIM_SECTION_H */
