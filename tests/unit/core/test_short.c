/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_short.c - what goes a shorter way than the rest comes to the same.
 *
 * Goal: numbers that are combined as they are contributed, without messages,
 * give what their values would; futures that come and go in any order are
 * told apart. Method: one runtime, one PE.
 */
#include "config.h"

#include <chare.h>

#include "tap/bare.h"
#include "tap/tap.h"

enum {
    ROUNDS = 1000, /* of chare_progress(), more than are needed */
    CHARES = 3,
    FUTURES = 100,
    STAYS = 7, /* each so manieth future */
};

struct test {
    chare_runtime *rt;
    uint32_t type;
    uint32_t function;
    chare_collection array;
    uint32_t results;
    chare_tag tag;
    int64_t integer;
    double real;
    uint32_t told[FUTURES];
    uint64_t ids[FUTURES];
};

static void
take_result(const chare_call *call, void *context)
{
    struct test *test = context;
    chare_decoder decoder;
    chare_value value;

    test->results++;
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (call->format == CHARE_FORMAT_VALUE &&
        chare_get(&decoder, &value) == CHARE_OK) {
        test->tag = value.tag;
        test->integer = value.tag == CHARE_TAG_INT ? value.as.integer : 0;
        test->real = value.tag == CHARE_TAG_FLOAT ? value.as.real : 0;
    }
}

static void
progress(struct test *test)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (chare_progress(test->rt, 16) != CHARE_OK) {
            return;
        }
    }
}

static bool
start(struct test *test)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_type_ops ops = {
        .size = sizeof(ops), .name = "Thing", .create = bare_create};
    chare_array_options array = {
        .size = sizeof(array), .ndims = 1, .dims = {CHARES}, .dense = true};
    bool done;

    *test = (struct test){0};
    done =
        chare_open(&options, &test->rt) == CHARE_OK &&
        chare_type_register(test->rt, &ops, test, &test->type) == CHARE_OK &&
        chare_function_register(test->rt, "result", take_result, test,
                                &test->function) == CHARE_OK &&
        chare_start(test->rt) == CHARE_OK &&
        chare_array_create(test->rt, &array, NULL, &test->array) == CHARE_OK;
    if (done) {
        progress(test);
    }
    return done;
}

/* ---- numbers */

/* Contribute whole numbers, or (NULL) floats, of all chares; a reduction. */
static void
reduce(struct test *test, uint32_t reducer, const int64_t *ints,
       const double *reals)
{
    const chare_callback callback =
        chare_callback_function(test->function, 0, 0);
    const uint32_t before = test->results;

    for (int64_t i = 0; i < CHARES; i++) {
        const chare_element self = chare_element_1d(test->array, i);
        const bool whole = reals == NULL || (ints != NULL && i != 1);

        CHECK((whole
                   ? chare_contribute_int(test->rt, &self, reducer, ints[i],
                                          &callback)
                   : chare_contribute_float(test->rt, &self, reducer, reals[i],
                                            &callback)) == CHARE_OK);
    }
    progress(test);
    CHECK_EQ(test->results, before + 1);
}

static void
numbers_of_one_kind(void)
{
    static const int64_t ints[] = {2, -5, 4};
    static const double reals[] = {0.5, 2.5, -1};
    struct test test;

    CHECK(start(&test));
    reduce(&test, CHARE_REDUCE_SUM, ints, NULL);
    CHECK(test.tag == CHARE_TAG_INT && test.integer == 1);
    reduce(&test, CHARE_REDUCE_PRODUCT, ints, NULL);
    CHECK(test.tag == CHARE_TAG_INT && test.integer == -40);
    reduce(&test, CHARE_REDUCE_MIN, ints, NULL);
    CHECK(test.tag == CHARE_TAG_INT && test.integer == -5);
    reduce(&test, CHARE_REDUCE_MAX, ints, NULL);
    CHECK(test.tag == CHARE_TAG_INT && test.integer == 4);
    reduce(&test, CHARE_REDUCE_SUM, NULL, reals);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == 2);
    reduce(&test, CHARE_REDUCE_PRODUCT, NULL, reals);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == -1.25);
    reduce(&test, CHARE_REDUCE_MIN, NULL, reals);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == -1);
    reduce(&test, CHARE_REDUCE_MAX, NULL, reals);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == 2.5);
    chare_close(test.rt);
}

static void
numbers_that_do_not_fit_together(void)
{
    static const int64_t large[] = {INT64_MAX, INT64_MAX, 1};
    static const int64_t small[] = {1, 0, 3};
    static const double half[] = {0, 0.5, 0};
    const double nan = __builtin_nan("");
    const double with_nan[] = {1, nan, 2};
    struct test test;

    CHECK(start(&test));
    reduce(&test, CHARE_REDUCE_SUM, large, NULL);
    CHECK_EQ(test.tag, CHARE_TAG_BIGINT);
    reduce(&test, CHARE_REDUCE_PRODUCT, large, NULL);
    CHECK_EQ(test.tag, CHARE_TAG_BIGINT);
    reduce(&test, CHARE_REDUCE_SUM, small, half);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == 4.5);
    reduce(&test, CHARE_REDUCE_MIN, small, half);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real == 0.5);
    reduce(&test, CHARE_REDUCE_MAX, NULL, with_nan);
    CHECK(test.tag == CHARE_TAG_FLOAT && test.real != test.real);
    reduce(&test, CHARE_REDUCE_OR, small, NULL);
    CHECK_EQ(test.tag, CHARE_TAG_TRUE);
    reduce(&test, CHARE_REDUCE_AND, small, NULL);
    CHECK_EQ(test.tag, CHARE_TAG_FALSE);
    chare_close(test.rt);
}

static void
wrong_contributions_are_refused(void)
{
    struct test test;
    chare_callback callback;
    chare_element self;
    chare_element wrong;

    CHECK(start(&test));
    callback = chare_callback_function(test.function, 0, 0);
    self = chare_element_1d(test.array, 0);
    wrong = chare_element_1d(test.array, CHARES);
    CHECK(chare_contribute_int(test.rt, &wrong, CHARE_REDUCE_SUM, 1,
                               &callback) == CHARE_ERR_NOT_FOUND);
    CHECK(chare_contribute_int(test.rt, &self, CHARE_REDUCE_NOP, 1,
                               &callback) == CHARE_ERR_INVALID);
    CHECK(chare_contribute_float(test.rt, &self, CHARE_REDUCE_GATHER, 1,
                                 &callback) == CHARE_ERR_INVALID);
    CHECK(chare_contribute_float(test.rt, &self, CHARE_REDUCE_SUM, 1, NULL) ==
          CHARE_ERR_INVALID);
    chare_close(test.rt);
}

/* ---- futures */

static void
tell(const chare_call *call, void *context)
{
    struct test *test = context;

    for (uint32_t i = 0; i < FUTURES; i++) {
        test->told[i] += test->ids[i] == call->argument;
    }
}

static bool
stays(uint32_t i)
{
    return i % STAYS == 0;
}

/* Those that are released were to be sent something, too, if 'drop'. */
static bool
drops(uint32_t i)
{
    return i % 2 == 0;
}

static void
futures_are_told_apart(void)
{
    chare_future futures[FUTURES];
    struct test test;

    CHECK(start(&test));
    for (uint32_t i = 0; i < FUTURES; i++) {
        CHECK(chare_future_create(test.rt, tell, &test, &futures[i]) ==
              CHARE_OK);
        test.ids[i] = futures[i].id;
        CHECK(i == 0 || futures[i].id > futures[i - 1].id);
        if (!stays(i)) {
            chare_future_release(test.rt, &futures[i], drops(i));
        }
    }
    for (uint32_t i = 0; i < FUTURES; i++) {
        if (stays(i) || drops(i)) {
            CHECK(chare_future_set(test.rt, &futures[i], NULL) == CHARE_OK);
        }
    }
    progress(&test);
    for (uint32_t i = 0; i < FUTURES; i++) {
        CHECK_EQ(test.told[i], stays(i));
        if (stays(i)) {
            chare_future_release(test.rt, &futures[i], false);
        }
    }
    chare_close(test.rt);
}

static void
many_futures_live_at_once(void)
{
    chare_future futures[FUTURES];
    struct test test;

    CHECK(start(&test));
    for (uint32_t i = 0; i < FUTURES; i++) {
        CHECK(chare_future_create(test.rt, tell, &test, &futures[i]) ==
              CHARE_OK);
        test.ids[i] = futures[i].id;
    }
    for (uint32_t i = FUTURES; i-- > 0;) {
        CHECK(chare_future_set(test.rt, &futures[i], NULL) == CHARE_OK);
    }
    progress(&test);
    for (uint32_t i = 0; i < FUTURES; i++) {
        CHECK_EQ(test.told[i], 1);
        chare_future_release(test.rt, &futures[i], false);
    }
    chare_close(test.rt);
}

TAP_MAIN(TAP_CASE(numbers_of_one_kind),
         TAP_CASE(numbers_that_do_not_fit_together),
         TAP_CASE(wrong_contributions_are_refused),
         TAP_CASE(futures_are_told_apart), TAP_CASE(many_futures_live_at_once))
