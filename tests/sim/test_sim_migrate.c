/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_migrate.c - chares that move while everything flies at them.
 *
 * Goal:   each call is executed once, by its chare, wherever that is, and
 *         answered once; calls of one PE to one chare keep their order while
 *         no move is under way, although senders have not heard of the last
 *         moves; each broadcast and each call of a section runs once on each
 *         chare, and its end is told once, not before; reductions of arrays
 *         and sections are exact; destroyed chares are not missed; quiescence
 *         is not told early; bound chares are together; the state comes along;
 *         one forwarded message updates its sender.
 * Method: a dense or sparse array and one bound to it, random moves in
 *         storms, calm phases between them. Tables that all PEs see are the
 *         model. That forwards are bounded is asserted in src/loc.
 */
#include "config.h"

#include "sim_migrate.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "obj/migrate.h"

enum {
    SEEDS = 300,
    SEED_OF_GRANTS = 1004122, /* a bound chare and its anchor ask, each */
    WISH_ROUNDS = 3,
};

/* ---- the storm */

static void
move_any(struct migrate_test *test)
{
    struct sim_job *job = test->job;
    const struct chare_model *model =
        &test->chares[sim_below(job, test->count)];

    if (!model->destroyed && test->packed < MOVES_MAX) {
        SIM_OK(job, chare_migrate(sim_any(job), &model->element,
                                  (uint32_t)sim_below(job, job->pe_count)));
    }
}

static void
destroy_any(struct migrate_test *test)
{
    struct chare_model *model =
        &test->chares[sim_below(test->job, test->count)];
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback told =
        chare_callback_function(test->function_end, chare_my_pe(runtime), 0);

    if (test->destroys && !model->destroyed && model->inserted) {
        model->destroyed = true;
        for (uint32_t n = 0; n < test->cast_count; n++) {
            test->casts[n].maybe |= (uint64_t)1 << (model - test->chares);
        }
        test->ends_asked++;
        SIM_OK(test->job, chare_destroy(runtime, &model->element, &told));
    }
}

static void
insert_any(struct migrate_test *test)
{
    struct sim_job *job = test->job;

    for (uint32_t i = 0; i < test->count; i++) {
        struct chare_model *model = &test->chares[i];

        if (!model->inserted) {
            const uint32_t pe = sim_below(job, 3) == 0
                                    ? CHARE_ANY_PE
                                    : (uint32_t)sim_below(job, job->pe_count);

            model->inserted = true;
            model->guest = sim_below(job, 3) == 0;
            if (model->guest) {
                SIM_OK(job, chare_insert_as(sim_any(job), &model->element,
                                            test->type_guest, pe, NULL));
            } else {
                SIM_OK(job,
                       chare_insert(sim_any(job), &model->element, pe, NULL));
            }
            return;
        }
    }
    if (!test->closed) {
        test->closed = true;
        SIM_OK(job, chare_insert_done(sim_any(job), test->id, NULL));
    }
}

static void
make_section(struct migrate_test *test)
{
    struct sim_job *job = test->job;
    const uint32_t n = test->section_count;
    chare_element members[CHARES_MAX];
    uint32_t count = 0;
    bool guests;

    if (n == SECTIONS_MAX || test->destroys) {
        return;
    }
    guests = test->sparse && sim_below(job, 2) == 0;
    for (uint32_t i = 0; i < test->count; i++) {
        if (test->chares[i].inserted && sim_below(job, 2) == 0 &&
            (!guests || test->chares[i].guest)) {
            members[count++] = test->chares[i].element;
            test->members[n] |= (uint64_t)1 << i;
        }
    }
    if (n > 0 && sim_below(job, 3) == 0) {
        /* One of all members of another one. */
        test->members[n] = test->members[n - 1];
        SIM_OK(job, chare_section_combine(sim_any(job), &test->sections[n - 1],
                                          1, NULL, &test->sections[n]));
    } else if (!test->sparse && count % 3 == 0) {
        test->members[n] = ((uint64_t)1 << test->count) - 1;
        migrate_make_slice(test, &test->sections[n]);
    } else {
        SIM_OK(job, chare_section_create(sim_any(job), members, count, NULL,
                                         &test->sections[n]));
    }
    test->section_count++;
}

static void
ask_contribution(struct migrate_test *test, uint32_t which)
{
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback reply = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), CALLS_MAX - 1);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &reply};

    SIM_OK(test->job, chare_send(runtime, &test->chares[which].element,
                                 test->entry_contribute, NULL, &options));
}

static void
ask_quiet(struct migrate_test *test)
{
    chare_callback callback;

    if (test->quiet_asked != test->quiet_told) {
        return;
    }
    test->quiet_asked++;
    test->quiet_calls = test->call_count;
    test->quiet_ends = test->ends_asked;
    callback = chare_callback_function(test->function_quiet, 0, 0);
    SIM_OK(test->job, chare_quiescence(sim_any(test->job), &callback));
}

/* Bound chares are always with theirs, once the bound array is there. */
static void
look_at_bound(struct migrate_test *test)
{
    struct sim_job *job = test->job;
    chare_element bound = test->chares[sim_below(job, test->count)].element;

    if (!test->bound_settled) {
        return;
    }
    bound.collection = test->bound;
    if (sim_below(job, 2) == 0) {
        test->looks++;
        SIM_OK(job, chare_send(sim_any(job), &bound, test->entry_bound, NULL,
                               NULL));
    } else {
        test->looks += test->count;
        SIM_OK(job, chare_broadcast(sim_any(job), test->bound,
                                    test->entry_bound, NULL, NULL));
    }
}

/* In a settled job all of them are. */
static void
settle_bound(struct migrate_test *test)
{
    if (test->bound != 0) {
        sim_job_settle(test->job);
        test->bound_settled = true;
        test->looks += test->count;
        SIM_OK(test->job, chare_broadcast(sim_any(test->job), test->bound,
                                          test->entry_bound, NULL, NULL));
        sim_job_settle(test->job);
        if (test->together != test->looks) {
            SIM_WRONG(test->job, "%u of %u looks at bound chares",
                      test->together, test->looks);
        }
    }
}

/* Broadcasts of one PE, which their priorities put in another order, to chares
 * that leave between them. */
static void
cast_at_once(struct migrate_test *test)
{
    chare_runtime *runtime = sim_any(test->job);

    for (uint64_t n = 2 + sim_below(test->job, 3); n > 0; n--) {
        migrate_make_cast(test, runtime);
        move_any(test);
    }
}

/* Several calls of one PE to one chare, which are to keep their order. */
static void
call_at_once(struct migrate_test *test)
{
    chare_runtime *runtime = sim_any(test->job);
    const uint32_t which = (uint32_t)sim_below(test->job, test->count);

    for (uint64_t n = 1 + sim_below(test->job, 4); n > 0; n--) {
        migrate_call(test, runtime, which);
        sim_job_steps(test->job, sim_below(test->job, 4));
    }
}

static void
act(struct migrate_test *test)
{
    struct sim_job *job = test->job;

    switch (sim_below(job, 16)) {
    case 0:
    case 1:
        if (test->storm && sim_below(job, 4) == 0) {
            cast_at_once(test);
        } else {
            migrate_make_cast(test, sim_any(job));
        }
        break;
    case 2:
        if (test->storm) {
            destroy_any(test);
            look_at_bound(test);
        }
        break;
    case 3:
    case 4:
        if (test->storm && test->sparse) {
            insert_any(test);
        }
        break;
    case 5:
        /* When one is formed, chares move that have waited for that. */
        if (test->storm && sim_below(job, 4) == 0) {
            make_section(test);
        }
        break;
    case 6:
        ask_contribution(test, (uint32_t)sim_below(job, test->count));
        break;
    case 7:
        ask_quiet(test);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        if (test->storm) {
            move_any(test);
        } else {
            call_at_once(test);
        }
        break;
    default:
        migrate_make_call(test, sim_any(job));
        break;
    }
    sim_job_steps(job, sim_below(job, 20));
}

/* ---- a run */

static void
create_arrays(struct migrate_test *test)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_any(job);
    const bool wide = sim_below(job, 3) == 0;
    const uint32_t ndims = 1 + (uint32_t)sim_below(job, 2);
    chare_array_options options = {
        .size = sizeof(options), .type = test->type, .ndims = ndims};

    test->count = 1 + (uint32_t)sim_below(job, CHARES_MAX);
    test->sparse = sim_below(job, 3) == 0;
    test->destroys = sim_below(job, 3) == 0;
    options.dense = !test->sparse;
    options.dims[0] = test->count;
    options.dims[1] = 1;
    SIM_OK(job, chare_array_create(runtime, &options, NULL, &test->id));
    for (uint32_t i = 0; i < test->count; i++) {
        test->chares[i].inserted = !test->sparse;
        test->chares[i].element =
            ndims == 1
                ? chare_element_1d(test->id, i)
                : chare_element_2d(test->id, i,
                                   wide && test->sparse ? INT64_MAX - i : 0);
    }
    test->closed = !test->sparse;
    if (!test->sparse && !test->destroys && sim_below(job, 2) == 0) {
        chare_array_options bound = {.size = sizeof(bound),
                                     .type = test->type_bound,
                                     .ndims = ndims,
                                     .bind_to = test->id};

        SIM_OK(job, chare_array_create(runtime, &bound, NULL, &test->bound));
    }
}

/* The storm is over: no move is under way. In half of the cases PEs still tell
 * each other where chares are, which counts for nobody; who has not moved for
 * want of an opportunity may get one later. */
static void
calm_down(struct migrate_test *test)
{
    struct sim_job *job = test->job;

    if (sim_below(job, 2) == 0) {
        sim_job_settle(job);
    } else {
        sim_job_settle_counted(job);
    }
    migrate_check_counted(test);
    test->storm = false;
    test->phase++;
}

/* Let all that live take part in the same reductions. */
static void
finish_reductions(struct migrate_test *test)
{
    uint32_t rounds = 0;

    for (uint32_t i = 0; i < test->count; i++) {
        if (test->chares[i].contributed > rounds) {
            rounds = test->chares[i].contributed;
        }
    }
    for (uint32_t i = 0; i < test->count; i++) {
        for (uint32_t k = test->chares[i].contributed;
             k < rounds && !test->chares[i].destroyed; k++) {
            ask_contribution(test, i);
        }
    }
    sim_job_settle(test->job);
}

static void
run(struct migrate_test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    const uint32_t phases = 1 + (uint32_t)(seed % PHASES_MAX);

    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, migrate_register_all, test)) {
        return;
    }
    create_arrays(test);
    for (uint32_t p = 0; p < phases && job->wrong[0] == '\0'; p++) {
        test->storm = true;
        for (uint32_t i = 0; i < STORM_ACTS && job->wrong[0] == '\0'; i++) {
            act(test);
        }
        while (test->sparse && !test->closed) {
            insert_any(test);
        }
        calm_down(test);
        settle_bound(test);
        for (uint32_t i = 0; i < CALM_ACTS && job->wrong[0] == '\0'; i++) {
            act(test);
        }
        sim_job_settle(job);
    }
    finish_reductions(test);
    migrate_check_calls(test);
    migrate_check_rest(test);
    sim_job_check_clean(job);
}

static void
all_is_exact_while_chares_move(void)
{
    const struct sim_options options = {0};
    struct migrate_test *test = malloc(sizeof(*test));
    struct sim_job job;
    uint64_t moves = 0;

    run(test, &job, SEED_OF_GRANTS, &options);
    sim_job_close(&job);
    SIM_CHECK(&job, job.wrong[0] == '\0');
    SIM_EACH_SEED(seed, SEEDS)
    {
        run(test, &job, seed, &options);
        moves += test->unpacked;
        if (job.wrong[0] != '\0') {
            printf("# seed %" PRIu64 ": %s\n", seed, job.wrong);
            fflush(stdout); /* what is left may end in an assertion */
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# %" PRIu64 " moves\n", moves);
    free(test);
}

static void
planted_bugs_are_seen(void)
{
    static const enum chi_handler handlers[] = {
        CHI_HANDLER_MOVE,     CHI_HANDLER_MOVED,      CHI_HANDLER_LOC_MOVE,
        CHI_HANDLER_CAST,     CHI_HANDLER_CONTRIBUTE, CHI_HANDLER_REDUCE,
        CHI_HANDLER_BROADCAST};
    enum {
        KINDS = sizeof(handlers) / sizeof(handlers[0])
    };
    uint32_t done[KINDS] = {0};
    uint32_t seen[KINDS] = {0};
    struct migrate_test *test = malloc(sizeof(*test));
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 20 * KINDS; seed++) {
        const struct sim_options options = {
            .pe_count = 5,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = handlers[seed % KINDS],
            .bug_at = seed % 3,
            .quiet = true,
        };
        bool bug_done;

        /* Without the bug it does not come near the limit. */
        run(test, &job, seed, &(struct sim_options){.pe_count = 5});
        SIM_CHECK(&job, job.steps < SIM_STEPS_MAX_OF_BUG / 4);
        sim_job_close(&job);
        run(test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        done[seed % KINDS] += bug_done;
        seen[seed % KINDS] += bug_done && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    for (uint32_t i = 0; i < KINDS; i++) {
        printf("# kind %u: %u, seen %u\n", i, done[i], seen[i]);
        CHECK(done[i] > 2);
        CHECK_EQ(seen[i], done[i]);
    }
    free(test);
}

/* What a lost message about an end came to: seen by a checker or an assertion,
 * for calls chase a chare that is no more; or not seen; or none was lost. */
enum lost {
    LOST_NOTHING,
    LOST_SEEN,
    LOST_UNSEEN,
};

static enum lost
lose_one(struct migrate_test *test, uint64_t seed, enum chi_handler handler)
{
    const struct sim_options options = {
        .pe_count = 5,
        .bug = CHI_SIM_BUG_DROP,
        .bug_handler = handler,
        .bug_at = seed % 3,
        .quiet = true,
    };
    const pid_t child = fork();
    struct sim_job job;
    int status = 0;

    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        run(test, &job, seed, &options);
        _exit(!chi_sim_world_bug_done(job.world) ? LOST_NOTHING
              : job.wrong[0] != '\0'             ? LOST_SEEN
                                                 : LOST_UNSEEN);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return LOST_UNSEEN;
    }
    return WIFEXITED(status) ? (enum lost)WEXITSTATUS(status) : LOST_SEEN;
}

static void
lost_ends_are_seen(void)
{
    static const enum chi_handler handlers[] = {CHI_HANDLER_DESTROY,
                                                CHI_HANDLER_LOC_GONE};
    struct migrate_test *test = malloc(sizeof(*test));
    uint32_t count[2][3] = {{0}};

    for (uint64_t seed = 1; seed <= 80; seed++) {
        for (uint32_t i = 0; i < 2; i++) {
            count[i][lose_one(test, seed, handlers[i])]++;
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        printf("# kind %u: seen %u\n", i, count[i][LOST_SEEN]);
        CHECK(count[i][LOST_SEEN] > 2);
        CHECK_EQ(count[i][LOST_UNSEEN], 0);
    }
    free(test);
}

/* Two chares of a sparse array, of which only the first is there; or of a
 * dense one, with others that are bound to them. */
static void
open_two(struct migrate_test *test, struct sim_job *job, uint64_t seed,
         bool sparse, bool lose)
{
    const struct sim_options options = {
        .pe_count = 4,
        .quiet = true,
        .bug = lose ? CHI_SIM_BUG_DROP : CHI_SIM_BUG_NONE,
        .bug_handler = CHI_HANDLER_MIGRATE,
        .bug_at = 0,
    };
    chare_array_options array = {
        .size = sizeof(array), .ndims = 2, .dense = !sparse, .dims = {2, 1}};

    memset(test, 0, sizeof(*test));
    test->job = job;
    CHECK(sim_job_open(job, seed, &options, migrate_register_all, test));
    array.type = test->type;
    test->count = 2;
    test->sparse = sparse;
    SIM_OK(job, chare_array_create(sim_rt(job, 0), &array, NULL, &test->id));
    for (uint32_t i = 0; i < test->count; i++) {
        test->chares[i].element = chare_element_2d(test->id, i, 0);
        test->chares[i].inserted = !sparse;
    }
    if (sparse) {
        insert_any(test);
    } else {
        chare_array_options bound = {.size = sizeof(bound),
                                     .type = test->type_bound,
                                     .ndims = 2,
                                     .bind_to = test->id};

        SIM_OK(job,
               chare_array_create(sim_rt(job, 0), &bound, NULL, &test->bound));
    }
    sim_job_settle(job);
}

/* A call waits for its chare, which is yet to be inserted. A PE that counts
 * it as executed makes quiescence early. */
static void
early_quiescence_is_seen(void)
{
    struct migrate_test *test = malloc(sizeof(*test));
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        const bool planted = seed % 2 == 0;
        const uint64_t n = 0;
        const chare_data data = chare_data_bytes(&n, sizeof(n));

        open_two(test, &job, seed, true, false);
        test->calls[test->call_count++] = (struct call){.pe = 3, .which = 1};
        SIM_OK(&job, chare_send(sim_rt(&job, 3), &test->chares[1].element,
                                test->entry_call, &data, NULL));
        sim_job_settle(&job);
        if (planted) {
            sim_rt(&job, (uint32_t)sim_below(&job, 4))->pe->counted_done++;
        }
        ask_quiet(test);
        for (uint32_t i = 0; i < 2000 && job.wrong[0] == '\0'; i++) {
            (void)sim_job_step(&job);
        }
        CHECK_EQ(test->quiet_told, planted);
        CHECK((job.wrong[0] != '\0') == planted);
        if (!planted) {
            insert_any(test);
            insert_any(test); /* no more */
            sim_job_settle(&job);
            CHECK_EQ(test->quiet_told, 1);
            CHECK(job.wrong[0] == '\0');
        }
        sim_job_close(&job);
    }
    free(test);
}

/* A chare that leaves the one that it is bound to, and is not called back; in
 * another process, for an assertion may be first to see it. */
static bool
parted_is_seen(struct migrate_test *test, uint64_t seed)
{
    const pid_t child = fork();
    struct sim_job job;
    int status = 0;

    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        struct chi_element *bound;
        struct chi_obj *obj;
        chare_element name;

        (void)setrlimit(RLIMIT_CORE, &no_core);
        open_two(test, &job, seed, false, true);
        name = test->chares[0].element;
        name.collection = test->bound;
        obj = sim_rt(&job, test->chares[0].pe)->obj;
        bound = chi_element_find_index(chi_collection_find(obj, test->bound),
                                       &name.index);
        chi_move_start(obj, bound, (test->chares[0].pe + 1) % 4, true, false);
        sim_job_settle(&job);
        settle_bound(test);
        _exit(job.wrong[0] == '\0');
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           (WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static void
parted_chares_are_seen(void)
{
    struct migrate_test *test = malloc(sizeof(*test));
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        open_two(test, &job, seed, false, false);
        SIM_OK(&job,
               chare_migrate(sim_rt(&job, 1), &test->chares[0].element, 3));
        sim_job_settle(&job);
        settle_bound(test);
        CHECK(test->chares[0].pe == 3 || test->packed == 0);
        CHECK(job.wrong[0] == '\0' && test->together == test->count);
        sim_job_close(&job);
        CHECK(parted_is_seen(test, seed));
    }
    free(test);
}

/* Messages that change places: some do so across a move, which is allowed. */
static void
wrong_order_is_seen(void)
{
    struct migrate_test *test = malloc(sizeof(*test));
    uint32_t seen = 0;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 600; seed++) {
        const struct sim_options options = {
            .pe_count = 2,
            .bug = CHI_SIM_BUG_SWAP,
            .bug_handler = CHI_HANDLER_INVOKE,
            .bug_at = 30 + seed % 40,
            .quiet = true,
        };

        run(test, &job, seed, &options);
        seen += chi_sim_world_bug_done(job.world) && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    printf("# seen %u\n", seen);
    CHECK(seen > 2);
    free(test);
}

static void
one_forward_updates_a_sender(void)
{
    const struct sim_options options = {.pe_count = 4};
    struct migrate_test *test = malloc(sizeof(*test));
    chare_array_options array = {
        .size = sizeof(array), .ndims = 2, .dense = true, .dims = {1, 1}};
    struct sim_job job;

    memset(test, 0, sizeof(*test));
    test->job = &job;
    CHECK(sim_job_open(&job, 1, &options, migrate_register_all, test));
    array.type = test->type;
    test->count = 1;
    SIM_OK(&job, chare_array_create(sim_rt(&job, 0), &array, NULL, &test->id));
    test->chares[0].element = chare_element_2d(test->id, 0, 0);
    sim_job_settle(&job);
    CHECK_EQ(migrate_forwards_of_call(test, 3), 0);
    for (uint32_t to = 1; to < 3; to++) {
        while (test->chares[0].pe != to) {
            SIM_OK(&job, chare_migrate(sim_rt(&job, 3),
                                       &test->chares[0].element, to));
            sim_job_settle(&job);
        }
        CHECK_EQ(migrate_forwards_of_call(test, 3),
                 to); /* to == 2: by 1 and home */
        for (uint32_t again = 0; again < 3; again++) {
            CHECK_EQ(migrate_forwards_of_call(test, 3), 0);
        }
        CHECK_EQ(migrate_forwards_of_call(test, 0), 0); /* the home knows */
    }
    SIM_CHECK(&job, job.wrong[0] == '\0');
    sim_job_close(&job);
    free(test);
}

/* Two wishes of one PE for a chare, of which the second counts. */
static void
wish(struct migrate_test *test, uint32_t which)
{
    struct sim_job *job = test->job;
    struct chare_model *model = &test->chares[which];
    chare_runtime *runtime = sim_any(job);

    for (uint64_t n = sim_below(job, 3); n > 0; n--) {
        const uint32_t to = (uint32_t)sim_below(job, job->pe_count);

        model->wished = to + 1;
        SIM_OK(job, chare_migrate(runtime, &model->element, to));
    }
}

/* All chares are wished elsewhere, among calls. */
static void
wish_round(struct migrate_test *test, bool willing)
{
    struct sim_job *job = test->job;

    sim_job_settle(job);
    test->willing = willing;
    for (uint32_t i = 0; i < test->count; i++) {
        wish(test, i);
        migrate_make_call(test, sim_any(job));
        sim_job_steps(job, sim_below(job, 4));
    }
    if (willing) {
        ask_quiet(test);
    }
    sim_job_settle(job);
}

static void
wishes_run(struct migrate_test *test)
{
    create_arrays(test);
    while (!test->closed) {
        insert_any(test);
    }
    sim_job_settle(test->job);
    for (uint32_t i = 0; i < test->count; i++) {
        test->chares[i].wished = test->chares[i].pe + 1;
    }
    for (uint32_t round = 0; round < WISH_ROUNDS; round++) {
        /* Some cannot be packed at first, and are asked anew. */
        wish_round(test, false);
        test->willing = true;
        for (uint32_t i = 0; i < test->count; i++) {
            SIM_OK(test->job,
                   chare_migrate(sim_any(test->job), &test->chares[i].element,
                                 test->chares[i].wished - 1));
        }
        wish_round(test, true);
        migrate_check_wishes(test);
        migrate_check_no_wish(test);
    }
    settle_bound(test);
    migrate_check_calls(test);
    migrate_check_rest(test);
    sim_job_check_clean(test->job);
}

static void
wishes_are_fulfilled_when_all_is_quiet(void)
{
    const struct sim_options options = {.pes_max = 12};
    struct migrate_test *test = malloc(sizeof(*test));
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        memset(test, 0, sizeof(*test));
        test->job = &job;
        if (sim_job_open(&job, seed, &options, migrate_register_all, test)) {
            wishes_run(test);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    free(test);
}

TAP_MAIN(TAP_CASE(all_is_exact_while_chares_move),
         TAP_CASE(wishes_are_fulfilled_when_all_is_quiet),
         TAP_CASE(planted_bugs_are_seen), TAP_CASE(lost_ends_are_seen),
         TAP_CASE(early_quiescence_is_seen), TAP_CASE(parted_chares_are_seen),
         TAP_CASE(wrong_order_is_seen), TAP_CASE(one_forward_updates_a_sender))
