/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mistakes.c - what programs in C get wrong, on one real PE.
 *
 * Goal:   a name or a callback that can be seen to name nothing, a hook that
 *         lacks its other half, and the scheduler called from inside are
 *         statuses, and neither assertions nor jobs that hang; names of other
 *         dimensions are nobody's; what fails changes nothing, and a chosen
 *         strategy stays the chosen one.
 * Method: a runtime of its own in each case, the public header only; it is
 *         included behind <complex.h>, which makes 'complex' a macro. That
 *         nothing is left of a chare that could not be made is for the address
 *         sanitizer to see.
 */
#include "config.h"

#include <complex.h>

#include <chare.h>

#include "tap/tap.h"

enum {
    ROUNDS_MAX = 10000,
    CHARES = 4,
    NOBODY = 9999,
};

struct test {
    chare_runtime *rt;
    uint32_t type;
    uint32_t entry;
    uint32_t function;
    uint32_t told;
    chare_status inside[2]; /* what the scheduler says from inside */
    chare_collection dense; /* two dimensions */
    chare_collection sparse;
    chare_collection group;
    chare_collection section;
    chare_collection synced;
    chare_collection joined;
    uint32_t asked[2]; /* strategies */
};

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    (void)call;
    *object_out = context;
    return CHARE_OK;
}

/* It joins a section, and then cannot be made. */
static chare_status
join_and_fail(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;

    (void)object_out;
    test->told += chare_section_enlist(call->runtime, call->self,
                                       test->joined) == CHARE_OK;
    chare_abort(call->runtime, 1, NULL); /* says nothing */
    return CHARE_ERR_NO_MEMORY;
}

static chare_status
pack(void *object, void *context, chare_encoder *encoder)
{
    (void)object;
    (void)context;
    chare_put_none(encoder);
    return CHARE_OK;
}

static void
nothing(void *object, const chare_call *call, void *context)
{
    (void)object;
    (void)call;
    (void)context;
}

static void
told(const chare_call *call, void *context)
{
    struct test *test = context;

    test->told++;
    if (call->argument == 1) {
        test->inside[0] = chare_run(test->rt);
        test->inside[1] = chare_progress(test->rt, 1);
    }
}

static chare_status
stay(void *context, const chare_lb_problem *problem, uint32_t *to)
{
    (void)problem;
    (void)to;
    ++*(uint32_t *)context;
    return CHARE_OK;
}

static void
progress(struct test *test)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (chare_progress(test->rt, 16) != CHARE_OK) {
            return;
        }
    }
}

static bool
open_one(struct test *test)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_type_ops ops = {.size = sizeof(ops),
                                .name = "Thing",
                                .create = create,
                                .pack = pack,
                                .unpack = create};

    memset(test, 0, sizeof(*test));
    return chare_open(&options, &test->rt) == CHARE_OK &&
           chare_type_register(test->rt, &ops, test, &test->type) ==
               CHARE_OK &&
           chare_entry_register(test->rt, test->type, "nothing", nothing, test,
                                &test->entry) == CHARE_OK &&
           chare_function_register(test->rt, "told", told, test,
                                   &test->function) == CHARE_OK;
}

static bool
make_all(struct test *test)
{
    chare_array_options options = {.size = sizeof(options),
                                   .type = test->type,
                                   .ndims = 2,
                                   .dense = true,
                                   .dims = {CHARES, 1}};
    chare_array_options sparse = {
        .size = sizeof(sparse), .type = test->type, .ndims = 1};
    chare_array_options synced = {.size = sizeof(synced),
                                  .type = test->type,
                                  .ndims = 1,
                                  .dense = true,
                                  .dims = {CHARES},
                                  .at_sync = true};
    chare_element member = {0};

    if (chare_array_create(test->rt, &options, NULL, &test->dense) !=
            CHARE_OK ||
        chare_array_create(test->rt, &sparse, NULL, &test->sparse) !=
            CHARE_OK ||
        chare_array_create(test->rt, &synced, NULL, &test->synced) !=
            CHARE_OK ||
        chare_group_create(test->rt, test->type, NULL, NULL, &test->group) !=
            CHARE_OK) {
        return false;
    }
    member = chare_element_2d(test->dense, 0, 0);
    if (chare_section_create(test->rt, &member, 1, NULL, &test->section) !=
        CHARE_OK) {
        return false;
    }
    progress(test);
    return true;
}

static bool
start_one(struct test *test)
{
    return open_one(test) && chare_start(test->rt) == CHARE_OK &&
           make_all(test);
}

/* ---- callbacks */

static void
no_such_callback(struct test *test, const chare_callback *wrong)
{
    const chare_element self = chare_element_2d(test->dense, 0, 0);
    const chare_element synced = chare_element_1d(test->synced, 0);
    const chare_send_options reply = {.size = sizeof(reply), .reply = wrong};
    const chare_slice slices[2] = {{.step = 1}, {.step = 1}};
    chare_array_options options = {.size = sizeof(options),
                                   .type = test->type,
                                   .ndims = 1,
                                   .dense = true,
                                   .created = wrong};
    const uint32_t pe = 0;
    chare_element element;
    chare_collection made;
    chare_runtime *rt = test->rt;

    CHECK_EQ(chare_single_create(rt, test->type, 0, NULL, wrong, &element),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_group_create(rt, test->type, NULL, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_group_create_on(rt, test->type, &pe, 1, NULL, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_node_group_create(rt, test->type, NULL, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_array_create(rt, &options, NULL, &made), CHARE_ERR_INVALID);
    CHECK_EQ(chare_insert_done(rt, test->sparse, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_destroy(rt, &self, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_collection_destroy(rt, test->group, wrong),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_create(rt, &self, 1, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_combine(rt, &test->dense, 1, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_slice(rt, test->dense, slices, 2, wrong, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_destroy(rt, test->section, wrong),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_broadcast(rt, test->dense, test->entry, NULL, &reply),
             CHARE_ERR_INVALID);
    if (wrong->kind != CHARE_CALLBACK_FUTURE) { /* that is its way's end */
        CHECK_EQ(chare_send(rt, &self, test->entry, NULL, &reply),
                 CHARE_ERR_INVALID);
    }
    CHECK_EQ(chare_at_sync(rt, &synced, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_quiescence(rt, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_stats_get(rt, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_stats_print(rt, wrong), CHARE_ERR_INVALID);
    CHECK_EQ(chare_callback_call(rt, wrong, NULL), CHARE_ERR_INVALID);
}

static void
callbacks_name_something(void)
{
    const chare_callback unknown = {.kind = (chare_callback_kind)99};
    const chare_future elsewhere = {.id = 1, .pe = NOBODY};
    struct test test;
    chare_element many = {0};
    chare_callback wrong;

    CHECK(start_one(&test));
    many = chare_element_2d(test.dense, 0, 0);
    many.index.ndims = 77;
    no_such_callback(&test, &unknown);
    wrong = chare_callback_function(NOBODY, 0, 0);
    no_such_callback(&test, &wrong);
    wrong = chare_callback_function(test.function, NOBODY, 0);
    no_such_callback(&test, &wrong);
    wrong = chare_callback_future(elsewhere);
    no_such_callback(&test, &wrong);
    wrong = chare_callback_element(many, test.entry);
    no_such_callback(&test, &wrong);
    wrong = chare_callback_element(chare_element_2d(test.dense, 0, 0), NOBODY);
    no_such_callback(&test, &wrong);
    wrong = chare_callback_broadcast(test.dense, 0);
    no_such_callback(&test, &wrong);
    progress(&test);
    CHECK(chare_local(test.rt, &(chare_element){test.dense, {2, 0, {0, 0}}}) !=
          NULL);
    chare_close(test.rt);
}

/* ---- names */

/* A chare's name, but for its dimensions. */
static void
not_its_name(struct test *test, const chare_element *wrong)
{
    const chare_callback callback =
        chare_callback_function(test->function, 0, 0);
    chare_runtime *rt = test->rt;
    chare_proxy proxy;
    uint32_t type;

    CHECK_EQ(chare_contribute_int(rt, wrong, CHARE_REDUCE_SUM, 1, &callback),
             CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_contribute(rt, wrong, CHARE_REDUCE_NOP, NULL, &callback),
             CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_section_contribute_int(rt, wrong, test->section,
                                          CHARE_REDUCE_SUM, 1, &callback),
             CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_section_enlist(rt, wrong, test->section),
             CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_lb_set_load(rt, wrong, 1), CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_set_migratable(rt, wrong, false), CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_migrate_retry(rt, wrong), CHARE_ERR_NOT_FOUND);
    CHECK_EQ(chare_type_of(rt, wrong, &type), CHARE_ERR_NOT_FOUND);
    CHECK(!chare_is_migratable(rt, wrong));
    if (wrong->index.ndims != 0) {
        CHECK_EQ(chare_proxy_of(rt, wrong, &proxy), CHARE_ERR_NOT_FOUND);
    }
}

static void
names_have_their_dimensions(void)
{
    struct test test;
    chare_element wrong;

    CHECK(start_one(&test));
    wrong = chare_element_1d(test.dense, 0);
    not_its_name(&test, &wrong);
    wrong.index.ndims = 0;
    not_its_name(&test, &wrong);
    wrong.index.ndims = 77;
    not_its_name(&test, &wrong);
    wrong = chare_element_2d(test.synced, 0, 0);
    CHECK_EQ(chare_at_sync(test.rt, &wrong, NULL), CHARE_ERR_NOT_FOUND);
    not_its_name(&test, &wrong);
    CHECK(chare_is_migratable(test.rt,
                              &(chare_element){test.dense, {2, 0, {0, 0}}}));
    chare_close(test.rt);
}

static void
names_are_of_this_job(void)
{
    const uint64_t creator = (uint64_t)NOBODY << 37;
    struct test test;
    chare_element foreign;
    chare_array_options bound = {.size = sizeof(bound), .ndims = 1};
    const chare_slice slice = {.step = 1};
    chare_collection array;
    chare_collection group;
    chare_collection made;

    CHECK(start_one(&test));
    /* A name as such a PE would give it. */
    array = (test.dense & (7ull << 61)) | creator | 1;
    group = (test.group & (7ull << 61)) | creator | 1;
    foreign = chare_element_1d(array, 0);
    CHECK_EQ(chare_broadcast(test.rt, array, test.entry, NULL, NULL),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_broadcast(test.rt, group, test.entry, NULL, NULL),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_send(test.rt, &foreign, test.entry, NULL, NULL),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_insert(test.rt, &foreign, 0, NULL), CHARE_ERR_INVALID);
    CHECK_EQ(chare_insert_done(test.rt, array, NULL), CHARE_ERR_INVALID);
    CHECK_EQ(chare_migrate(test.rt, &foreign, 0), CHARE_ERR_INVALID);
    CHECK_EQ(chare_destroy(test.rt, &foreign, NULL), CHARE_ERR_INVALID);
    CHECK_EQ(chare_collection_destroy(test.rt, array, NULL),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_create(test.rt, &foreign, 1, NULL, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_combine(test.rt, &array, 1, NULL, &made),
             CHARE_ERR_INVALID);
    CHECK_EQ(chare_section_slice(test.rt, array, &slice, 1, NULL, &made),
             CHARE_ERR_INVALID);
    bound.type = test.type;
    bound.bind_to = array;
    CHECK_EQ(chare_array_create(test.rt, &bound, NULL, &made),
             CHARE_ERR_INVALID);
    bound.bind_to = 0;
    bound.map_group = group;
    CHECK_EQ(chare_array_create(test.rt, &bound, NULL, &made),
             CHARE_ERR_INVALID);
    foreign.collection = group;
    CHECK_EQ(chare_send(test.rt, &foreign, test.entry, NULL, NULL),
             CHARE_ERR_INVALID);
    chare_close(test.rt);
}

/* ---- the rest */

static void
types_are_whole(void)
{
    struct test test;
    chare_type_ops ops = {.name = "Half", .create = create};
    uint32_t type;

    CHECK(open_one(&test));
    CHECK_EQ(chare_type_register(test.rt, &ops, NULL, &type),
             CHARE_ERR_INVALID); /* size is 0 */
    ops.size = sizeof(ops);
    ops.pack = pack;
    CHECK_EQ(chare_type_register(test.rt, &ops, NULL, &type),
             CHARE_ERR_INVALID);
    ops.pack = NULL;
    ops.unpack = create;
    CHECK_EQ(chare_type_register(test.rt, &ops, NULL, &type),
             CHARE_ERR_INVALID);
    ops.pack = pack;
    CHECK_EQ(chare_type_register(test.rt, &ops, NULL, &type), CHARE_OK);
    chare_close(test.rt);
}

static void
the_scheduler_runs_once(void)
{
    struct test test;
    chare_callback callback;

    CHECK(start_one(&test));
    callback = chare_callback_function(test.function, 0, 1);
    CHECK_EQ(chare_callback_call(test.rt, &callback, NULL), CHARE_OK);
    progress(&test);
    CHECK_EQ(test.told, 1);
    CHECK_EQ(test.inside[0], CHARE_ERR_STATE);
    CHECK_EQ(test.inside[1], CHARE_ERR_STATE);
    chare_exit(test.rt, 0);
    CHECK_EQ(chare_run(test.rt), CHARE_OK);
    chare_close(test.rt);
}

static void
balance(struct test *test)
{
    for (int64_t i = 0; i < CHARES; i++) {
        const chare_element self = chare_element_1d(test->synced, i);

        CHECK_EQ(chare_at_sync(test->rt, &self, NULL), CHARE_OK);
    }
    progress(test);
}

static void
strategies_stay_chosen(void)
{
    struct test test;
    chare_lb_report report = {.size = sizeof(report)};

    CHECK(start_one(&test));
    CHECK_EQ(chare_lb_register(test.rt, "one", stay, &test.asked[0]),
             CHARE_OK);
    CHECK_EQ(chare_lb_use(test.rt, "one"), CHARE_OK);
    CHECK_EQ(chare_lb_register(test.rt, "two", stay, &test.asked[1]),
             CHARE_OK);
    balance(&test);
    CHECK_EQ(test.asked[0], 1);
    CHECK_EQ(chare_lb_use(test.rt, "three"), CHARE_ERR_NOT_FOUND);
    balance(&test);
    CHECK_EQ(test.asked[0], 2);
    CHECK_EQ(test.asked[1], 0);
    chare_lb_report_get(test.rt, &report);
    CHECK_EQ(report.sessions, 2);
    CHECK(strcmp(report.strategy, "one") == 0);
    CHECK_EQ(chare_lb_register(test.rt, "greedy", stay, NULL),
             CHARE_ERR_EXISTS);
    CHECK_EQ(chare_lb_register(test.rt, "GreedyRefineLB", stay, NULL),
             CHARE_ERR_EXISTS);
    CHECK_EQ(chare_lb_register(test.rt, "auto", stay, NULL), CHARE_ERR_EXISTS);
    chare_close(test.rt);
}

static void
loads_are_numbers(void)
{
    struct test test;
    chare_element self;

    CHECK(start_one(&test));
    self = chare_element_1d(test.synced, 0);
    CHECK_EQ(chare_lb_set_load(test.rt, &self, 1e300), CHARE_ERR_INVALID);
    CHECK_EQ(chare_lb_set_load(test.rt, &self, 1e38), CHARE_OK);
    CHECK_EQ(chare_lb_set_load(test.rt, &self, -1e300), CHARE_OK);
    chare_close(test.rt);
}

static void
what_could_not_be_made_leaves_nothing(void)
{
    struct test test;
    chare_type_ops ops = {
        .size = sizeof(ops), .name = "Failing", .create = join_and_fail};
    chare_element element;
    uint32_t type;

    CHECK(open_one(&test));
    CHECK_EQ(chare_type_register(test.rt, &ops, &test, &type), CHARE_OK);
    CHECK_EQ(chare_start(test.rt), CHARE_OK);
    CHECK_EQ(chare_section_open(test.rt, 1, &test.joined), CHARE_OK);
    CHECK_EQ(chare_single_create(test.rt, type, 0, NULL, NULL, &element),
             CHARE_OK);
    CHECK_EQ(chare_run(test.rt), CHARE_ERR_STATE);
    CHECK_EQ(test.told, 1);
    chare_close(test.rt);
}

TAP_MAIN(TAP_CASE(callbacks_name_something),
         TAP_CASE(names_have_their_dimensions),
         TAP_CASE(names_are_of_this_job), TAP_CASE(types_are_whole),
         TAP_CASE(the_scheduler_runs_once), TAP_CASE(strategies_stay_chosen),
         TAP_CASE(loads_are_numbers),
         TAP_CASE(what_could_not_be_made_leaves_nothing))
