/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_SIM_SECTION_END_H
#define CHARE_TESTS_SIM_SIM_SECTION_END_H

/*
 * sim_section_end.h - the model of test_sim_section_end.
 */

#include "sim_job.h"

enum {
    SETS = 2,
    CHARES_MAX = 80,
    SECTIONS_MAX = 8,
    CASTS_MAX = 60,
    ACTS_MAX = 150,
    ROUNDS = 5,
};

struct chare {
    chare_element self;
    uint32_t set;
    bool exists;
    bool dying;
    bool gone;
    uint32_t contributed[SECTIONS_MAX];
};

struct section {
    chare_collection id;
    bool member[CHARES_MAX];
    bool created;
    uint32_t dooms; /* times that its destruction was asked for */
    uint32_t ends;  /* times that it was told */
    uint32_t refusals;
    uint32_t delivered;
    int64_t sums[ROUNDS];
};

struct set {
    chare_collection id;
    bool doomed;
    uint32_t ends;
};

struct cast {
    uint32_t section;
    bool executed[CHARES_MAX];
    uint32_t executed_count;
    uint32_t told;
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t type_still; /* its chares cannot move */
    uint32_t entry_cast;
    uint32_t entry_contribute;
    uint32_t entry_told;
    uint32_t function_cast;
    uint32_t function_asked;
    uint32_t function_sum;
    uint32_t function_gone;
    uint32_t function_set_gone;
    uint32_t function_ended;
    uint32_t function_created;
    bool closing;
    bool to_section; /* results are broadcast to the section itself */
    bool moves;      /* chares of the array do */
    uint32_t moved;
    struct set sets[SETS];
    struct chare chares[CHARES_MAX];
    uint32_t chare_count;
    struct section sections[SECTIONS_MAX];
    uint32_t section_count;
    struct cast casts[CASTS_MAX];
    uint32_t cast_count;
    uint32_t asked;
};

bool sim_ends_register(struct sim_job *job, chare_runtime *runtime);

/* What a chare contributes to reduction k of section s. */
int64_t sim_ends_value(uint32_t s, uint32_t chare, uint32_t k);

#endif /* CHARE_TESTS_SIM_SIM_SECTION_END_H */
