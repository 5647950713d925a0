/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_SIM_SIM_MIGRATE_H
#define CHARE_TESTS_SIM_SIM_MIGRATE_H

/*
 * sim_migrate.h - chares that move, and the model of all that comes to them;
 * for test_sim_migrate.c.
 */

#include "sim_job.h"

enum {
    CHARES_MAX = 12,
    SECTIONS_MAX = 3,
    CALLS_MAX = 600,
    CASTS_MAX = 60,
    ROUNDS_MAX = 80,
    STATE_MAX = 700,
    STORM_ACTS = 60,
    CALM_ACTS = 30,
    PHASES_MAX = 3,
    MOVES_MAX = 400,
};

struct call {
    uint32_t pe;
    uint32_t which;
    uint32_t phase;
    uint32_t executed;
    uint32_t answers;
    uint32_t errors;
    bool asks;
};

struct cast {
    uint32_t section; /* + 1; 0: the array */
    uint64_t wanted;  /* chares that exist: a bit for each */
    uint64_t maybe;   /* those that may be destroyed before it comes */
    uint64_t seen;
    uint32_t told;
    uint32_t source; /* the PE that made it */
    int16_t priority;
    bool asks;
};

struct chare_model {
    chare_element element;
    uint32_t lives; /* objects, on all PEs */
    uint32_t pe;    /* of the last object */
    uint32_t contributed;
    uint32_t section_contributed[SECTIONS_MAX];
    bool inserted;
    bool guest; /* it is of type_guest, not of its array's */
    bool destroyed;
    bool gone;
    bool restless;   /* a wish to move is left from the storm */
    uint32_t wished; /* PE where the user wants it now + 1; 0: any */
    uint32_t last[SIM_PES_MAX]; /* call executed + 1 */
};

struct migrate_test {
    struct sim_job *job;
    uint32_t type;
    uint32_t type_bound;
    uint32_t entry_call;
    uint32_t type_guest;
    uint32_t guest_call;  /* its own "call" */
    uint32_t guest_visit; /* a cast that the array's type lacks */
    uint32_t entry_cast;
    uint32_t entry_contribute;
    uint32_t entry_bound;
    uint32_t function_answer;
    uint32_t function_cast;
    uint32_t function_sum;
    uint32_t function_section_sum;
    uint32_t function_end;
    uint32_t function_quiet;
    chare_collection id;
    chare_collection bound;
    bool sparse;
    bool destroys;
    bool storm;
    bool willing; /* nobody says that it cannot be packed now */
    bool closed;  /* insertions are done */
    uint32_t phase;
    uint32_t count;
    struct chare_model chares[CHARES_MAX];
    chare_collection sections[SECTIONS_MAX];
    uint64_t members[SECTIONS_MAX];
    uint32_t section_count;
    struct call calls[CALLS_MAX];
    uint32_t call_count;
    struct cast casts[CASTS_MAX];
    uint32_t cast_count;
    uint32_t sums_told;
    uint32_t section_told[SECTIONS_MAX];
    uint32_t packed; /* moves that have begun, and ended */
    uint32_t unpacked;
    uint32_t arrived;
    bool bound_settled;  /* all bound ones are with theirs, and stay so */
    uint32_t looks;      /* at bound ones, that were asked for */
    uint32_t together;   /* and made */
    uint32_t ends_asked; /* of chares */
    uint32_t ends_told;
    uint32_t quiet_asked;
    uint32_t quiet_told;
    uint32_t quiet_calls; /* calls made before the last question */
    uint32_t quiet_ends;  /* the same of ends */
};

bool migrate_register_all(struct sim_job *job, chare_runtime *runtime);

/* Call a chare; call some chare; broadcast to the array, or call a section. */
void migrate_call(struct migrate_test *test, chare_runtime *runtime,
                  uint32_t which);
void migrate_make_call(struct migrate_test *test, chare_runtime *runtime);
/* All chares of a dense array: by a roll call, which is a broadcast, too. */
void migrate_make_slice(struct migrate_test *test,
                        chare_collection *section_out);

void migrate_make_cast(struct migrate_test *test, chare_runtime *runtime);

/* Those whose moves have ended are where the user wanted them last (V1). */
void migrate_check_wishes(struct migrate_test *test);

/* The job has settled: what the model says of all that was made. */
void migrate_check_calls(struct migrate_test *test);
void migrate_check_rest(struct migrate_test *test);

/* Nothing that counts is under way, so no move is (L8); some chares may still
 * want to move. */
void migrate_check_counted(struct migrate_test *test);

/* Nobody wants to move any more. */
void migrate_check_no_wish(struct migrate_test *test);

/* Send chare 0 a call and let it arrive; how many forwards that took. */
uint64_t migrate_forwards_of_call(struct migrate_test *test, uint32_t from);

#endif /* CHARE_TESTS_SIM_SIM_MIGRATE_H */
