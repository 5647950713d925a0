/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_sparse.c - sparse arrays: insertions while calls are under way.
 *
 * Goal:   what one PE calls on one chare is executed in the order called,
 *         wherever and whenever the chare was inserted (L1 of src/loc); the
 *         end of insertions is told once, when all chares are there; calls to
 *         chares that never came are answered with an error; broadcasts and
 *         reductions reach all; wrong insertions end the job.
 * Method: arrays whose chares any PE inserts anywhere, or where the map says,
 *         among calls from all PEs. Tables that all PEs see are the model.
 */
#include "config.h"

#include "sim_job.h"

enum {
    SEEDS = 300,
    ARRAYS_MAX = 3,
    CHARES_MAX = 10, /* in one array; the last ones are never inserted */
    MISSING_MAX = 2,
    CALLS_MAX = 200,
    CALLS_LATE = 20,
};

struct call {
    uint32_t pe;
    uint32_t array;
    uint32_t which;
    uint32_t executed;
    uint32_t answered;
    bool wants_answer;
    bool missing; /* the target is never inserted */
};

struct array {
    chare_collection id;
    uint32_t ndims;
    uint32_t count; /* chares that come, before those that do not */
    uint32_t inserted;
    uint32_t created[CHARES_MAX];
    uint32_t created_count;
    bool done_asked;
    uint32_t done_told;
    uint32_t broadcast_seen[CHARES_MAX];
    uint32_t reduced;
    chare_element elements[CHARES_MAX];
};

struct sparse {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_call;
    uint32_t entry_sum;
    uint32_t function_answer;
    uint32_t function_done;
    uint32_t function_sum;
    uint32_t array_count;
    struct array arrays[ARRAYS_MAX];
    struct call calls[CALLS_MAX + CALLS_LATE];
    uint32_t call_count;
    uint64_t last[SIM_PES_MAX][ARRAYS_MAX][CHARES_MAX]; /* executed; + 1 */
};

struct chare_here {
    struct sparse *test;
    struct array *array;
    uint32_t which;
};

/* ---- calls */

static void
make_call(struct sparse *test, chare_runtime *runtime)
{
    struct sim_job *job = test->job;
    const uint32_t n = test->call_count;
    struct call *call = &test->calls[n];
    struct array *array = &test->arrays[sim_below(job, test->array_count)];
    unsigned char bytes[3000];
    const size_t len = 8 + sim_below(job, sim_below(job, 5) == 0 ? 2992 : 64);
    const chare_callback reply = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), n);
    chare_send_options options = {.size = sizeof(options)};
    chare_data data = chare_data_bytes(bytes, len);

    test->call_count++;
    *call = (struct call){
        .pe = chare_my_pe(runtime),
        .array = (uint32_t)(array - test->arrays),
        .which = (uint32_t)sim_below(job, array->count + MISSING_MAX),
    };
    call->missing = call->which >= array->count;
    call->wants_answer = call->missing || sim_below(job, 4) == 0;
    options.reply = call->wants_answer ? &reply : NULL;
    sim_fill(bytes, n, len);
    SIM_OK(job, chare_send(runtime, &array->elements[call->which],
                           test->entry_call, &data, &options));
}

static void
make_calls(struct sparse *test, chare_runtime *runtime, uint64_t count)
{
    while (count-- > 0 && test->call_count < CALLS_MAX) {
        make_call(test, runtime);
    }
}

static void
executed(void *object, const chare_call *call, void *context)
{
    struct chare_here *here = object;
    struct sparse *test = context;
    struct call *record;
    uint64_t *last;
    uint64_t n;

    memcpy(&n, call->bytes, sizeof(n));
    if (n >= test->call_count || !sim_filled(call->bytes, n, call->len)) {
        SIM_WRONG(test->job, "a call came damaged");
        return;
    }
    record = &test->calls[n];
    if (&test->arrays[record->array] != here->array ||
        record->which != here->which || record->pe != call->source_pe) {
        SIM_WRONG(test->job, "call %" PRIu64 " came to a wrong chare", n);
        return;
    }
    last = &test->last[record->pe][record->array][record->which];
    if (*last > n) {
        SIM_WRONG(test->job,
                  "call %" PRIu64 " from PE %u to chare %u of array %u came "
                  "after call %" PRIu64,
                  n, record->pe, record->which, record->array, *last - 1);
    }
    *last = n + 1;
    record->executed++;
    make_calls(test, call->runtime, sim_below(test->job, 3));
}

static void
answered(const chare_call *call, void *context)
{
    struct sparse *test = context;
    struct call *record = &test->calls[call->argument];

    record->answered++;
    if ((call->format == CHARE_FORMAT_ERROR) != record->missing) {
        SIM_WRONG(test->job, "call %" PRIu64 ": %s", call->argument,
                  record->missing ? "answered, but nobody is there"
                                  : "answered with an error");
    }
    if (record->missing && !test->arrays[record->array].done_asked) {
        SIM_WRONG(test->job, "call %" PRIu64 " was given up early",
                  call->argument);
    }
}

/* ---- chares */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct sparse *test = context;
    struct chare_here *here = malloc(sizeof(*here));

    if (here == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    for (uint32_t a = 0; a < test->array_count; a++) {
        struct array *array = &test->arrays[a];

        for (uint32_t i = 0; i < array->count; i++) {
            if (memcmp(&array->elements[i], call->self, sizeof(*call->self)) ==
                0) {
                *here = (struct chare_here){test, array, i};
                array->created[i]++;
                array->created_count++;
                *object_out = here;
                make_calls(test, call->runtime, sim_below(test->job, 3));
                return CHARE_OK;
            }
        }
    }
    free(here);
    return CHARE_ERR_INVALID;
}

static void
destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

/* ---- the end of insertions */

static void
done_told(const chare_call *call, void *context)
{
    struct sparse *test = context;
    struct array *array = &test->arrays[call->argument];

    array->done_told++;
    if (array->created_count != array->count) {
        SIM_WRONG(test->job, "array %u is complete with %u of %u chares",
                  (unsigned)call->argument, array->created_count,
                  array->count);
    }
}

static void
contribute(void *object, const chare_call *call, void *context)
{
    struct chare_here *here = object;
    struct sparse *test = context;
    const uint64_t array = (uint64_t)(here->array - test->arrays);
    const int64_t value = 1000 + here->which;
    const chare_callback callback =
        chare_callback_function(test->function_sum, 0, array);

    here->array->broadcast_seen[here->which]++;
    SIM_OK(test->job,
           chare_contribute_array(call->runtime, call->self, CHARE_REDUCE_SUM,
                                  CHARE_DTYPE_I64, &value, 1, &callback));
}

static void
sum_told(const chare_call *call, void *context)
{
    struct sparse *test = context;
    struct array *array = &test->arrays[call->argument];
    const int64_t count = array->count;
    chare_decoder decoder;
    chare_value value;

    array->reduced++;
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_ARRAY || value.as.array.len != 8 ||
        *(const int64_t *)value.as.array.data !=
            1000 * count + count * (count - 1) / 2) {
        SIM_WRONG(test->job, "a wrong sum");
    }
}

/* ---- a run */

static uint32_t
map_to_one(const chare_index *index, uint32_t pe_count, void *context)
{
    (void)index;
    (void)context;
    return pe_count / 2;
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct sparse *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Sparse",
        .create = create,
        .destroy = destroy,
    };
    uint32_t map;

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", executed, test,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "sum", contribute, test,
                                &test->entry_sum) == CHARE_OK &&
           chare_function_register(runtime, "answer", answered, test,
                                   &test->function_answer) == CHARE_OK &&
           chare_function_register(runtime, "done", done_told, test,
                                   &test->function_done) == CHARE_OK &&
           chare_function_register(runtime, "sum", sum_told, test,
                                   &test->function_sum) == CHARE_OK &&
           chare_map_register(runtime, map_to_one, NULL, &map) == CHARE_OK;
}

static void
create_array(struct sparse *test, chare_runtime *runtime)
{
    struct sim_job *job = test->job;
    struct array *array = &test->arrays[test->array_count];
    const bool wide = sim_below(job, 3) == 0;
    const chare_array_options options = {
        .size = sizeof(options),
        .type = test->type,
        .ndims = 1 + (uint32_t)sim_below(job, CHARE_DIMS_MAX),
        .map =
            sim_below(job, 2) == 0 ? CHARE_MAP_DEFAULT : CHI_MAP_CUSTOM_FIRST,
    };

    SIM_OK(job, chare_array_create(runtime, &options, NULL, &array->id));
    array->ndims = options.ndims;
    array->count = (uint32_t)sim_below(job, CHARES_MAX - MISSING_MAX + 1);
    for (uint32_t i = 0; i < CHARES_MAX; i++) {
        chare_element *element = &array->elements[i];

        *element = chare_element_1d(array->id, (int64_t)i - 3);
        element->index.ndims = array->ndims;
        for (uint32_t j = 1; j < array->ndims; j++) {
            element->index.at[j] =
                wide ? (int64_t)chi_prng_next(&job->prng) : 7 - (int64_t)i;
        }
    }
    test->array_count++;
}

static void
insert_one(struct sparse *test, struct array *array)
{
    struct sim_job *job = test->job;
    const uint64_t pe = sim_below(job, 2u * job->pe_count);

    SIM_OK(job, chare_insert(sim_any(job), &array->elements[array->inserted++],
                             pe < job->pe_count ? (uint32_t)pe : CHARE_ANY_PE,
                             NULL));
}

static void
insert_done(struct sparse *test, struct array *array)
{
    struct sim_job *job = test->job;
    const chare_callback done = chare_callback_function(
        test->function_done, (uint32_t)sim_below(job, job->pe_count),
        (uint64_t)(array - test->arrays));

    array->done_asked = true;
    SIM_OK(job, chare_insert_done(sim_any(job), array->id, &done));
}

/* One random act; false: all insertions have been ended. */
static bool
act(struct sparse *test)
{
    struct sim_job *job = test->job;
    struct array *array = &test->arrays[sim_below(job, test->array_count)];
    bool all_done = true;

    make_calls(test, sim_any(job), sim_below(job, 4));
    if (array->inserted < array->count) {
        insert_one(test, array);
    } else if (!array->done_asked && sim_below(job, 3) == 0) {
        insert_done(test, array);
    }
    sim_job_steps(job, sim_below(job, 20));
    for (uint32_t a = 0; a < test->array_count; a++) {
        all_done = all_done && test->arrays[a].done_asked;
    }
    return !all_done;
}

/* Of each array one broadcast, some before it is complete. */
static void
broadcast_some(struct sparse *test, bool now)
{
    for (uint32_t a = 0; a < test->array_count; a++) {
        if ((a % 2 == 0) == now) {
            SIM_OK(test->job,
                   chare_broadcast(sim_any(test->job), test->arrays[a].id,
                                   test->entry_sum, NULL, NULL));
        }
    }
}

static void
check_arrays(struct sparse *test)
{
    for (uint32_t a = 0; a < test->array_count; a++) {
        const struct array *array = &test->arrays[a];

        if (array->done_told != 1) {
            SIM_WRONG(test->job, "the end of array %u told %u times", a,
                      array->done_told);
        }
        if (array->reduced != (array->count > 0)) {
            SIM_WRONG(test->job, "array %u reduced %u times", a,
                      array->reduced);
        }
        for (uint32_t i = 0; i < array->count; i++) {
            if (array->created[i] != 1 || array->broadcast_seen[i] != 1) {
                SIM_WRONG(test->job, "chare %u: created %u times, told %u", i,
                          array->created[i], array->broadcast_seen[i]);
            }
        }
    }
}

static void
check_calls(struct sparse *test)
{
    for (uint32_t n = 0; n < test->call_count; n++) {
        const struct call *call = &test->calls[n];

        if (call->executed != !call->missing) {
            SIM_WRONG(test->job, "call %u executed %u times", n,
                      call->executed);
        }
        if (call->answered != call->wants_answer) {
            SIM_WRONG(test->job, "call %u answered %u times", n,
                      call->answered);
        }
    }
}

static void
run(struct sparse *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    uint64_t arrays;

    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return;
    }
    arrays = 1 + sim_below(job, ARRAYS_MAX);
    for (uint64_t a = 0; a < arrays; a++) {
        create_array(test, a == 0 || sim_below(job, 2) == 0 ? sim_rt(job, 0)
                                                            : sim_any(job));
    }
    broadcast_some(test, true);
    while (job->wrong[0] == '\0' && act(test)) {
    }
    broadcast_some(test, false);
    sim_job_settle(job);
    for (uint32_t i = 0; i < CALLS_LATE; i++) {
        make_call(test, sim_any(job)); /* now that all is complete */
    }
    sim_job_settle(job);
    check_arrays(test);
    check_calls(test);
    sim_job_check_clean(job);
}

static void
calls_find_what_is_inserted(void)
{
    const struct sim_options options = {0};
    struct sparse test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* An index that is taken, or an insertion after the end, ends the job. */
static void
wrong_insertions_end_the_job(void)
{
    const struct sim_options options = {.pes_max = 8, .quiet = true};
    struct sparse test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        struct array *array = &test.arrays[0];

        memset(&test, 0, sizeof(test));
        test.job = &job;
        if (sim_job_open(&job, seed, &options, register_all, &test)) {
            create_array(&test, sim_any(&job));
            array->count = CHARES_MAX;
            test.call_count = CALLS_MAX; /* no calls */
            insert_one(&test, array);
            if (sim_below(&job, 2) == 0) {
                insert_done(&test, array);
                sim_job_settle(&job);
            } else {
                array->inserted = 0;
            }
            job.wrong[0] = '\0'; /* complete with one of them */
            insert_one(&test, array);
            sim_job_settle(&job);
        }
        for (uint32_t pe = 0; pe < job.pe_count; pe++) {
            if (!job.pes[pe].ended ||
                job.pes[pe].end_status != CHARE_ERR_STATE ||
                chare_exit_code(sim_rt(&job, pe)) == 0) {
                SIM_WRONG(&job, "PE %u goes on", pe);
            }
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
planted_bugs_are_seen(void)
{
    static const enum chi_handler handlers[] = {
        CHI_HANDLER_INVOKE, CHI_HANDLER_LOC_ACK, CHI_HANDLER_INSERT};
    uint32_t done[3] = {0};
    uint32_t seen[3] = {0};
    struct sparse test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        const struct sim_options options = {
            .pe_count = 3,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = handlers[seed % 3],
            .bug_at = seed % 5,
            .quiet = true,
        };
        bool bug_done;

        run(&test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        done[seed % 3] += bug_done;
        seen[seed % 3] += bug_done && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    CHECK(done[0] > 5 && seen[0] == done[0]);
    CHECK(done[1] > 5 && seen[1] > 0); /* nothing may have waited for it */
    CHECK(done[2] > 5 && seen[2] == done[2]);
}

TAP_MAIN(TAP_CASE(calls_find_what_is_inserted),
         TAP_CASE(wrong_insertions_end_the_job),
         TAP_CASE(planted_bugs_are_seen))
