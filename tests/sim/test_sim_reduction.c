/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_reduction.c - reductions of many collections at once.
 *
 * Goal:   each reduction has exactly one result, made of exactly one
 *         contribution of each chare: sums and maxima of numbers and arrays
 *         are exact, a gathered list is complete and in the order of the
 *         indices, an ordered reducer sees all contributions in that order on
 *         any number of PEs, an error is the result; each kind of callback is
 *         told.
 * Method: each chare of a collection contributes to a row of reductions, each
 *         at its own pace, so that many are under way, among broadcasts that
 *         are awaited. The result of each is computed by the model.
 */
#include "config.h"

#include "sim_job.h"

enum {
    SEEDS = 200,
    SETS_MAX = 4,
    CHARES_MAX = 64,
    ROUNDS = 10,
    ARRAY_LEN = 40,
};

/* What is reduced in a round, the same for all chares of a set. */
enum what {
    SUM_INT,
    MAX_ARRAY,
    SUM_FLOAT,
    GATHER,
    NOP,
    COMMUTATIVE,
    ORDERED,
    ERROR,
    WHAT_COUNT,
};

enum where {
    TO_FUNCTION,
    TO_FUTURE,
    TO_ELEMENT,
    TO_BROADCAST,
    WHERE_COUNT,
};

struct round {
    enum what what;
    enum where where;
    uint32_t pe; /* of the function or future */
    chare_future future;
    uint32_t contributed;
    uint32_t told;
};

struct set {
    chare_collection id;
    uint32_t ndims;
    int64_t dims[CHARE_DIMS_MAX];
    uint32_t count;
    uint32_t awaited; /* broadcasts that are over */
    struct round rounds[ROUNDS];
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_next;
    uint32_t entry_told;
    uint32_t function_told;
    uint32_t function_over;
    uint32_t reducer;
    uint32_t reducer_ordered;
    uint32_t set_count;
    struct set sets[SETS_MAX];
};

struct worker {
    struct test *test;
    struct set *set;
    uint32_t position;
    uint32_t round;
    chare_element self;
};

/* ---- the reducers of the test */

/* The exclusive or of 8 bytes. */
static chare_status
combine_xor(void *context, const chare_part *parts, size_t count,
            chare_encoder *encoder)
{
    uint64_t sum = 0;

    (void)context;
    for (size_t i = 0; i < count; i++) {
        uint64_t part;

        if (parts[i].len != sizeof(part)) {
            return CHARE_ERR_INVALID;
        }
        memcpy(&part, parts[i].bytes, sizeof(part));
        sum ^= part;
    }
    if (chare_encoder_grow(encoder, sizeof(sum))) {
        memcpy(encoder->at, &sum, sizeof(sum));
        encoder->at += sizeof(sum);
    }
    return encoder->status;
}

/* A polynomial, whose value depends on the order of its coefficients. */
static chare_status
combine_ordered(void *context, const chare_part *parts, size_t count,
                chare_encoder *encoder)
{
    double value = 1.5;

    (void)context;
    for (size_t i = 0; i < count; i++) {
        double part;

        if (parts[i].len != sizeof(part)) {
            return CHARE_ERR_INVALID;
        }
        memcpy(&part, parts[i].bytes, sizeof(part));
        value = value * 0.7 + part;
    }
    if (chare_encoder_grow(encoder, sizeof(value))) {
        memcpy(encoder->at, &value, sizeof(value));
        encoder->at += sizeof(value);
    }
    return encoder->status;
}

/* ---- contributions */

static uint64_t
number_of(uint32_t round, uint32_t position)
{
    return chi_mix64(round * 1000u + position) >> 20;
}

static chare_callback
callback_of(struct test *test, const struct set *set, uint32_t r)
{
    const uint64_t number = (uint64_t)(set - test->sets) * ROUNDS + r;
    const struct round *round = &set->rounds[r];
    chare_element first = {.collection = set->id};

    switch (round->where) {
    case TO_FUTURE:
        return chare_callback_future(round->future);
    case TO_ELEMENT:
        first.index.ndims = set->ndims;
        return chare_callback_element(first, test->entry_told);
    case TO_BROADCAST:
        return chare_callback_broadcast(set->id, test->entry_told);
    default:
        return chare_callback_function(test->function_told, round->pe, number);
    }
}

static void
contribute_value(struct worker *worker, chare_runtime *runtime,
                 const chare_callback *callback)
{
    struct test *test = worker->test;
    const enum what what = worker->set->rounds[worker->round].what;
    const uint64_t number = number_of(worker->round, worker->position);
    const bool wrong = what == ERROR && worker->position == 0;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;

    SIM_OK(test->job, chare_encoder_init(&encoder, runtime, 16));
    if (wrong) {
        chare_put_error(&encoder, "ValueError", "planned", "", false);
    } else if (what == SUM_FLOAT) {
        chare_put_float(&encoder, (double)(number % 1024) / 8);
    } else {
        chare_put_int(&encoder, (int64_t)number);
    }
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(wrong ? CHARE_FORMAT_ERROR : CHARE_FORMAT_VALUE,
                             buffer);
    SIM_OK(test->job, chare_contribute(runtime, &worker->self,
                                       what == GATHER ? CHARE_REDUCE_GATHER
                                                      : CHARE_REDUCE_SUM,
                                       &data, callback));
}

static void
contribute_bytes(struct worker *worker, chare_runtime *runtime,
                 const chare_callback *callback)
{
    struct test *test = worker->test;
    const uint64_t number = number_of(worker->round, worker->position);
    const bool ordered = worker->set->rounds[worker->round].what == ORDERED;
    const double real = (double)number / 3;
    const chare_data data = ordered
                                ? chare_data_bytes(&real, sizeof(real))
                                : chare_data_bytes(&number, sizeof(number));

    SIM_OK(test->job,
           chare_contribute(runtime, &worker->self,
                            ordered ? test->reducer_ordered : test->reducer,
                            &data, callback));
}

static void
contribute(struct worker *worker, chare_runtime *runtime)
{
    struct test *test = worker->test;
    const chare_callback callback =
        callback_of(test, worker->set, worker->round);
    int32_t array[ARRAY_LEN];

    worker->set->rounds[worker->round].contributed++;
    switch (worker->set->rounds[worker->round].what) {
    case MAX_ARRAY:
        for (uint32_t i = 0; i < ARRAY_LEN; i++) {
            array[i] = (int32_t)number_of(worker->round, worker->position + i);
        }
        SIM_OK(test->job, chare_contribute_array(
                              runtime, &worker->self, CHARE_REDUCE_MAX,
                              CHARE_DTYPE_I32, array, ARRAY_LEN, &callback));
        break;
    case NOP:
        SIM_OK(test->job, chare_contribute(runtime, &worker->self,
                                           CHARE_REDUCE_NOP, NULL, &callback));
        break;
    case COMMUTATIVE:
    case ORDERED:
        contribute_bytes(worker, runtime, &callback);
        break;
    default:
        contribute_value(worker, runtime, &callback);
    }
    worker->round++;
}

/* Contribute to some more rounds, and come again. */
static void
work(struct worker *worker, chare_runtime *runtime)
{
    struct test *test = worker->test;
    uint64_t count = sim_below(test->job, 4);

    while (count-- > 0 && worker->round < ROUNDS) {
        contribute(worker, runtime);
    }
    if (worker->round < ROUNDS) {
        SIM_OK(test->job, chare_send(runtime, &worker->self, test->entry_next,
                                     NULL, NULL));
    }
}

static void
next(void *object, const chare_call *call, void *context)
{
    (void)context;
    work(object, call->runtime);
}

/* ---- results */

static bool
result_ok(const struct set *set, uint32_t r, const chare_call *call)
{
    const enum what what = set->rounds[r].what;
    uint64_t sum = 0;
    uint64_t mix = 0;
    double real = 0;
    double ordered = 1.5;
    chare_decoder decoder;
    chare_value value = {.tag = CHARE_TAG_END};

    for (uint32_t i = 0; i < set->count; i++) {
        const uint64_t number = number_of(r, i);

        sum += number;
        mix ^= number;
        real += (double)(number % 1024) / 8;
        ordered = ordered * 0.7 + (double)number / 3;
    }
    if (what == ERROR) {
        return call->format == CHARE_FORMAT_ERROR;
    }
    if (what == NOP) {
        return call->len == 0;
    }
    if (what == COMMUTATIVE) {
        return call->len == 8 && memcmp(call->bytes, &mix, 8) == 0;
    }
    if (what == ORDERED) {
        return call->len == 8 && memcmp(call->bytes, &ordered, 8) == 0;
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK) {
        return false;
    }
    if (what == SUM_INT) {
        return value.tag == CHARE_TAG_INT && value.as.integer == (int64_t)sum;
    }
    if (what == SUM_FLOAT) { /* eighths are exact in any order */
        return value.tag == CHARE_TAG_FLOAT &&
               memcmp(&value.as.real, &real, sizeof(real)) == 0;
    }
    if (what == GATHER) {
        bool ok = value.tag == CHARE_TAG_LIST && value.as.count == set->count;

        for (uint32_t i = 0; ok && i < set->count; i++) {
            ok = chare_get(&decoder, &value) == CHARE_OK &&
                 value.tag == CHARE_TAG_INT &&
                 value.as.integer == (int64_t)number_of(r, i);
        }
        return ok;
    }
    if (value.tag != CHARE_TAG_ARRAY ||
        value.as.array.len != ARRAY_LEN * sizeof(int32_t)) {
        return false;
    }
    for (uint32_t i = 0; i < ARRAY_LEN; i++) {
        int32_t max = INT32_MIN;

        for (uint32_t j = 0; j < set->count; j++) {
            const int32_t number = (int32_t)number_of(r, j + i);

            max = number > max ? number : max;
        }
        if (((const int32_t *)value.as.array.data)[i] != max) {
            return false;
        }
    }
    return true;
}

static void
told(struct test *test, struct set *set, uint32_t r, const chare_call *call)
{
    struct round *round = &set->rounds[r];

    round->told++;
    if (round->contributed != set->count) {
        SIM_WRONG(test->job, "round %u told with %u of %u contributions", r,
                  round->contributed, set->count);
    }
    if (!result_ok(set, r, call)) {
        SIM_WRONG(test->job, "round %u (%d) of %u chares: a wrong result", r,
                  (int)round->what, set->count);
    }
    if ((round->where == TO_FUNCTION || round->where == TO_FUTURE) &&
        chare_my_pe(call->runtime) != round->pe) {
        SIM_WRONG(test->job, "round %u told on a wrong PE", r);
    }
}

static void
function_told(const chare_call *call, void *context)
{
    struct test *test = context;

    told(test, &test->sets[call->argument / ROUNDS],
         (uint32_t)(call->argument % ROUNDS), call);
}

static void
future_told(const chare_call *call, void *context)
{
    struct test *test = context;

    for (uint32_t s = 0; s < test->set_count; s++) {
        for (uint32_t r = 0; r < ROUNDS; r++) {
            const struct round *round = &test->sets[s].rounds[r];

            if (round->where == TO_FUTURE &&
                round->pe == chare_my_pe(call->runtime) &&
                round->future.id == call->argument) {
                told(test, &test->sets[s], r, call);
                return;
            }
        }
    }
    SIM_WRONG(test->job, "an unknown future");
}

/* To an element or all of them: the result does not say of which round; it is
 * that of one round of this kind. */
static void
element_told(void *object, const chare_call *call, void *context)
{
    struct worker *worker = object;
    struct test *test = context;

    for (uint32_t r = 0; r < ROUNDS; r++) {
        struct round *round = &worker->set->rounds[r];
        const bool one = round->where == TO_ELEMENT;
        const uint32_t want = one ? 1 : worker->set->count;

        if ((one || round->where == TO_BROADCAST) && round->told < want &&
            round->contributed == worker->set->count &&
            result_ok(worker->set, r, call)) {
            told(test, worker->set, r, call);
            return;
        }
    }
    SIM_WRONG(test->job, "a result that belongs to no round");
}

static void
broadcast_over(const chare_call *call, void *context)
{
    struct test *test = context;

    test->sets[call->argument].awaited++;
}

/* ---- a run */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;
    struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    worker->test = test;
    worker->self = *call->self;
    for (uint32_t s = 0; s < test->set_count; s++) {
        if (test->sets[s].id == call->self->collection) {
            worker->set = &test->sets[s];
        }
    }
    worker->position = sim_position(worker->set->dims, &call->self->index);
    *object_out = worker;
    work(worker, call->runtime);
    return CHARE_OK;
}

static void
destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Worker",
        .create = create,
        .destroy = destroy,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "next", next, test,
                                &test->entry_next) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "told", element_told,
                                test, &test->entry_told) == CHARE_OK &&
           chare_function_register(runtime, "told", function_told, test,
                                   &test->function_told) == CHARE_OK &&
           chare_function_register(runtime, "over", broadcast_over, test,
                                   &test->function_over) == CHARE_OK &&
           chare_reducer_register(runtime, "xor", combine_xor, false, NULL,
                                  &test->reducer) == CHARE_OK &&
           chare_reducer_register(runtime, "polynomial", combine_ordered, true,
                                  NULL, &test->reducer_ordered) == CHARE_OK;
}

static void
draw_rounds(struct test *test, struct set *set)
{
    struct sim_job *job = test->job;

    for (uint32_t r = 0; r < ROUNDS; r++) {
        struct round *round = &set->rounds[r];

        round->what = (enum what)sim_below(job, WHAT_COUNT);
        round->where = (enum where)sim_below(job, WHERE_COUNT);
        round->pe = (uint32_t)sim_below(job, job->pe_count);
        if (round->where == TO_FUTURE) {
            SIM_OK(job,
                   chare_future_create(sim_rt(job, round->pe), future_told,
                                       test, &round->future));
        }
    }
}

static void
create_set(struct test *test)
{
    static const uint64_t sizes[CHARE_DIMS_MAX] = {50, 7, 4, 2, 2, 2};
    struct sim_job *job = test->job;
    struct set *set = &test->sets[test->set_count++];
    chare_array_options options = {
        .size = sizeof(options),
        .ndims = 1 + (uint32_t)sim_below(job, CHARE_DIMS_MAX),
        .dense = true,
        .map = (uint32_t)sim_below(job, 4),
    };

    draw_rounds(test, set);
    set->ndims = 1;
    set->count = 1;
    if (sim_below(job, 3) == 0) {
        set->count = job->pe_count;
        set->dims[0] = set->count;
        SIM_OK(job, chare_group_create(sim_any(job), test->type, NULL, NULL,
                                       &set->id));
        return;
    }
    set->ndims = options.ndims;
    for (uint32_t i = 0; i < set->ndims; i++) {
        options.dims[i] = 1 + (int64_t)sim_below(job, sizes[set->ndims - 1]);
        set->dims[i] = options.dims[i];
        set->count *= (uint32_t)options.dims[i];
    }
    SIM_OK(job, chare_array_create(sim_any(job), &options, NULL, &set->id));
}

static void
check_end(struct test *test)
{
    for (uint32_t s = 0; s < test->set_count; s++) {
        const struct set *set = &test->sets[s];

        if (set->awaited != 2) {
            SIM_WRONG(test->job, "%u of 2 broadcasts are over", set->awaited);
        }
        for (uint32_t r = 0; r < ROUNDS; r++) {
            const struct round *round = &set->rounds[r];
            const uint32_t want =
                round->where == TO_BROADCAST ? set->count : 1;

            if (round->told != want) {
                SIM_WRONG(test->job, "round %u (%d) told %u of %u times", r,
                          (int)round->what, round->told, want);
            }
        }
    }
}

static void
run(struct test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return;
    }
    for (uint64_t n = 1 + sim_below(job, SETS_MAX); n > 0; n--) {
        const uint32_t s = test->set_count;
        const chare_callback over = chare_callback_function(
            test->function_over, (uint32_t)sim_below(job, job->pe_count), s);
        const chare_send_options awaited = {.size = sizeof(awaited),
                                            .reply = &over};

        create_set(test);
        for (int i = 0; i < 2; i++) {
            SIM_OK(job, chare_broadcast(sim_any(job), test->sets[s].id,
                                        test->entry_next, NULL, &awaited));
        }
        sim_job_steps(job, sim_below(job, 30));
    }
    sim_job_settle(job);
    check_end(test);
    sim_job_check_clean(job);
}

static void
reductions_are_exact(void)
{
    const struct sim_options options = {0};
    struct test test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* A partial result that vanishes. */
static void
planted_bugs_are_seen(void)
{
    uint32_t done = 0;
    uint32_t seen = 0;
    struct test test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        const struct sim_options options = {
            .pe_count = 4,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = CHI_HANDLER_REDUCE,
            .bug_at = seed % 11,
            .quiet = true,
        };

        run(&test, &job, seed, &options);
        done += chi_sim_world_bug_done(job.world);
        seen += chi_sim_world_bug_done(job.world) && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    CHECK(done > 20 && seen == done);
}

/* The model itself is wrong about one chare: every sum is. */
static void
wrong_results_are_seen(void)
{
    const struct sim_options options = {.pe_count = 3, .quiet = true};
    uint32_t seen = 0;
    struct test test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        memset(&test, 0, sizeof(test));
        test.job = &job;
        if (sim_job_open(&job, seed, &options, register_all, &test)) {
            create_set(&test);
            test.sets[0].count++;
            sim_job_settle(&job);
            check_end(&test);
        }
        seen += job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    CHECK_EQ(seen, 10);
}

TAP_MAIN(TAP_CASE(reductions_are_exact), TAP_CASE(planted_bugs_are_seen),
         TAP_CASE(wrong_results_are_seen))
