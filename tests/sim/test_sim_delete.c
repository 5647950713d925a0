/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_delete.c - chares that are destroyed while all else goes on.
 *
 * Goal:   a destroyed chare executes nothing more, and each call to it is
 *         executed or answered with an error, once; each destruction is told
 *         once, when the chare is gone; the k-th reduction has exactly the
 *         contributions of those that have made a k-th one, and they are
 *         delivered in their order; a gathered broadcast has exactly one
 *         result for each execution; indices of open arrays can be inserted
 *         again; a destroyed collection has no chares, refuses what comes
 *         later, and is forgotten on every PE once all is quiet.
 * Method: one array or group, dense or sparse, with calls, contributions,
 *         broadcasts, insertions and destructions from all PEs at random.
 *         Each life of a chare is one row of a table that all PEs see.
 */
#include "config.h"

#include "loc/loc.h"
#include "obj/obj_private.h"
#include "sim_job.h"

enum {
    SEEDS = 300,
    CHARES_MAX = 12,
    LIVES_MAX = 200,
    ACTS_MAX = 120,
    CALLS_MAX = 400,
    BROADCASTS_MAX = 40,
    ROUNDS_MAX = 60, /* reductions */
    REDUCTIONS = 8,  /* that those who live to the end take part in */
};

struct life {
    uint32_t which;
    uint32_t contributed;
    uint32_t first_call; /* earlier ones were for an earlier life */
    bool gone;
};

struct call {
    uint32_t pe;
    uint32_t which;
    uint32_t executed;
    uint32_t answered;
    uint32_t errors;
};

struct cast {
    uint32_t executed;
    uint32_t told;
};

struct slot { /* one index */
    chare_element element;
    struct life *life; /* NULL: nobody is there */
    bool taken;        /* inserted, or from the start */
    bool dying;        /* its destruction was asked for */
    uint32_t destructions;
    uint32_t told;
    uint32_t end_pe;            /* that has asked for the end */
    uint32_t end_call;          /* its calls from here on were made later */
    uint64_t last[SIM_PES_MAX]; /* executed call of each PE; + 1 */
};

struct delete_test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_call;
    uint32_t entry_contribute;
    uint32_t entry_cast;
    uint32_t function_answer;
    uint32_t function_asked;
    uint32_t function_sum;
    uint32_t function_cast;
    uint32_t function_gone;
    uint32_t function_all_gone;
    chare_collection id;
    bool sparse;
    bool done; /* no more insertions */
    bool destroyed;
    uint32_t all_gone;
    uint32_t count;
    struct slot slots[SIM_PES_MAX];
    struct life lives[LIVES_MAX];
    uint32_t life_count;
    struct call calls[CALLS_MAX];
    uint32_t call_count;
    struct cast casts[BROADCASTS_MAX];
    uint32_t cast_count;
    uint32_t asked;     /* for contributions, and not answered */
    uint32_t delivered; /* reductions */
    int64_t sums[ROUNDS_MAX];
};

static int64_t
value_of(const struct delete_test *test, const struct life *life, uint32_t k)
{
    return (int64_t)(chi_mix64((uint64_t)(life - test->lives) * 1000 + k) >>
                     16);
}

/* ---- chares */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct delete_test *test = context;

    for (uint32_t i = 0; i < test->count; i++) {
        struct slot *slot = &test->slots[i];

        if (memcmp(&slot->element, call->self, sizeof(*call->self)) == 0) {
            if (slot->life != NULL) {
                SIM_WRONG(test->job, "chare %u was created twice", i);
            }
            if (test->life_count == LIVES_MAX) {
                return CHARE_ERR_NO_MEMORY;
            }
            slot->life = &test->lives[test->life_count++];
            *slot->life =
                (struct life){.which = i, .first_call = test->call_count};
            memset(slot->last, 0, sizeof(slot->last));
            *object_out = slot->life;
            return CHARE_OK;
        }
    }
    return CHARE_ERR_INVALID;
}

static void
destroy(void *object, void *context)
{
    struct delete_test *test = context;
    struct life *life = object;
    struct slot *slot = &test->slots[life->which];

    if (life->gone || slot->life != life) {
        SIM_WRONG(test->job, "chare %u was destroyed twice", life->which);
    }
    life->gone = true;
    slot->life = NULL;
}

static void
check_alive(struct delete_test *test, const struct life *life)
{
    if (life->gone) {
        SIM_WRONG(test->job, "chare %u runs after its end", life->which);
    }
}

static void
contribute(void *object, const chare_call *call, void *context)
{
    struct delete_test *test = context;
    struct life *life = object;
    const chare_callback callback =
        chare_callback_function(test->function_sum, 0, 0);
    int64_t value = value_of(test, life, life->contributed);

    check_alive(test, life);
    if (life->contributed == ROUNDS_MAX) {
        return;
    }
    life->contributed++;
    SIM_OK(test->job,
           chare_contribute_array(call->runtime, call->self, CHARE_REDUCE_SUM,
                                  CHARE_DTYPE_I64, &value, 1, &callback));
}

static void
sum_told(const chare_call *call, void *context)
{
    struct delete_test *test = context;
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    if (test->delivered == ROUNDS_MAX ||
        chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_ARRAY || value.as.array.len != 8) {
        SIM_WRONG(test->job, "a wrong result");
        return;
    }
    test->sums[test->delivered++] = *(const int64_t *)value.as.array.data;
}

static void
asked(const chare_call *call, void *context)
{
    struct delete_test *test = context;

    (void)call;
    test->asked--;
}

/* ---- calls */

static void
make_call(struct delete_test *test, chare_runtime *runtime, uint32_t which)
{
    struct sim_job *job = test->job;
    const uint64_t n = test->call_count;
    const chare_callback reply = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), n);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &reply};
    const chare_data data = chare_data_bytes(&n, sizeof(n));

    if (test->call_count == CALLS_MAX) {
        return;
    }
    test->calls[test->call_count++] =
        (struct call){.pe = chare_my_pe(runtime), .which = which};
    SIM_OK(job, chare_send(runtime, &test->slots[which].element,
                           test->entry_call, &data, &options));
}

static void
executed(void *object, const chare_call *call, void *context)
{
    struct delete_test *test = context;
    struct life *life = object;
    struct slot *slot = &test->slots[life->which];
    uint64_t n;

    check_alive(test, life);
    memcpy(&n, call->bytes, sizeof(n));
    if (test->calls[n].which != life->which) {
        SIM_WRONG(test->job, "call %" PRIu64 " came to a wrong chare", n);
    }
    if (slot->dying && n >= slot->end_call &&
        call->source_pe == slot->end_pe) {
        SIM_WRONG(test->job, "call %" PRIu64 " runs before an earlier end", n);
    }
    if (n >= life->first_call) {
        if (slot->last[call->source_pe] > n) {
            SIM_WRONG(test->job, "call %" PRIu64 " came late", n);
        }
        slot->last[call->source_pe] = n + 1;
    }
    test->calls[n].executed++;
    if (sim_below(test->job, 8) == 0) {
        make_call(test, call->runtime,
                  (uint32_t)sim_below(test->job, test->count));
    }
}

static void
answered(const chare_call *call, void *context)
{
    struct delete_test *test = context;
    struct call *record = &test->calls[call->argument];

    record->answered++;
    record->errors += call->format == CHARE_FORMAT_ERROR;
}

/* ---- broadcasts */

static void
cast_executed(void *object, const chare_call *call, void *context)
{
    struct delete_test *test = context;
    uint64_t n;

    check_alive(test, object);
    memcpy(&n, call->bytes, sizeof(n));
    test->casts[n].executed++;
}

static void
cast_told(const chare_call *call, void *context)
{
    struct delete_test *test = context;
    struct cast *cast = &test->casts[call->argument];
    chare_decoder decoder;
    chare_value value;

    cast->told++;
    if (call->format == CHARE_FORMAT_ERROR) {
        if (!test->destroyed) {
            SIM_WRONG(test->job, "broadcast %u was refused",
                      (unsigned)call->argument);
        }
        return;
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_LIST || value.as.count != cast->executed) {
        SIM_WRONG(test->job, "broadcast %u: %u executions, other results",
                  (unsigned)call->argument, cast->executed);
    }
}

static void
make_cast(struct delete_test *test)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_any(job);
    const uint64_t n = test->cast_count;
    const chare_callback reply =
        chare_callback_function(test->function_cast, chare_my_pe(runtime), n);
    const chare_send_options options = {
        .size = sizeof(options), .gather = true, .reply = &reply};
    const chare_data data = chare_data_bytes(&n, sizeof(n));

    chare_status status;

    if (test->cast_count < BROADCASTS_MAX) {
        test->cast_count++;
        status = chare_broadcast(runtime, test->id, test->entry_cast, &data,
                                 &options);
        if (status == CHARE_ERR_NOT_FOUND && test->destroyed) {
            test->casts[n].told++; /* refused where it was made */
        } else {
            SIM_OK(job, status);
        }
    }
}

/* ---- destructions */

/* D3: the home has forgotten one that is gone. */
static void
check_forgotten(struct delete_test *test, const struct slot *slot)
{
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        struct chi_obj *obj = sim_rt(test->job, pe)->obj;
        struct chi_collection *collection = chi_collection_find(obj, test->id);

        if (collection != NULL && collection->kind == CHI_KIND_ARRAY &&
            chi_collection_home(obj, collection, &slot->element.index) == pe &&
            chi_loc_knows(obj->loc, &slot->element)) {
            SIM_WRONG(test->job, "the home of a chare that is gone knows it");
        }
    }
}

static void
gone_told(const chare_call *call, void *context)
{
    struct delete_test *test = context;
    struct slot *slot = &test->slots[call->argument];

    slot->told++;
    check_forgotten(test, slot);
    if (call->format == CHARE_FORMAT_ERROR) {
        SIM_WRONG(test->job, "the end of chare %u is an error",
                  (unsigned)call->argument);
    }
    if (slot->life != NULL) {
        SIM_WRONG(test->job, "the end of chare %u was told early",
                  (unsigned)call->argument);
    }
    slot->taken = false;
    slot->dying = false;
}

static void
all_gone_told(const chare_call *call, void *context)
{
    struct delete_test *test = context;

    (void)call;
    test->all_gone++;
    for (uint32_t i = 0; i < test->count; i++) {
        if (test->slots[i].life != NULL) {
            SIM_WRONG(test->job, "the end of all was told before chare %u's",
                      i);
        }
    }
}

static void
destroy_one(struct delete_test *test, uint32_t which)
{
    struct slot *slot = &test->slots[which];
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback done = chare_callback_function(
        test->function_gone, chare_my_pe(runtime), which);

    if (slot->taken && !slot->dying && !test->destroyed) {
        slot->dying = true;
        slot->end_pe = chare_my_pe(runtime);
        slot->end_call = test->call_count;
        slot->destructions++;
        SIM_OK(test->job, chare_destroy(runtime, &slot->element, &done));
    }
}

static void
destroy_all(struct delete_test *test)
{
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback done = chare_callback_function(
        test->function_all_gone, chare_my_pe(runtime), 0);

    test->destroyed = true;
    SIM_OK(test->job, chare_collection_destroy(runtime, test->id, &done));
}

/* ---- a run */

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct delete_test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Mortal",
        .create = create,
        .destroy = destroy,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", executed, test,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "contribute", contribute,
                                test, &test->entry_contribute) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "cast", cast_executed,
                                test, &test->entry_cast) == CHARE_OK &&
           chare_function_register(runtime, "answer", answered, test,
                                   &test->function_answer) == CHARE_OK &&
           chare_function_register(runtime, "asked", asked, test,
                                   &test->function_asked) == CHARE_OK &&
           chare_function_register(runtime, "sum", sum_told, test,
                                   &test->function_sum) == CHARE_OK &&
           chare_function_register(runtime, "cast", cast_told, test,
                                   &test->function_cast) == CHARE_OK &&
           chare_function_register(runtime, "gone", gone_told, test,
                                   &test->function_gone) == CHARE_OK &&
           chare_function_register(runtime, "all gone", all_gone_told, test,
                                   &test->function_all_gone) == CHARE_OK;
}

static void
create_array(struct delete_test *test, chare_runtime *runtime)
{
    struct sim_job *job = test->job;
    const bool wide = sim_below(job, 3) == 0;
    chare_array_options options = {
        .size = sizeof(options), .type = test->type, .ndims = 2};

    test->count = 1 + (uint32_t)sim_below(job, CHARES_MAX);
    test->sparse = sim_below(job, 2) == 0;
    test->done = !test->sparse;
    options.dense = !test->sparse;
    options.dims[0] = test->count;
    options.dims[1] = 1;
    SIM_OK(job, chare_array_create(runtime, &options, NULL, &test->id));
    for (uint32_t i = 0; i < test->count; i++) {
        test->slots[i].taken = !test->sparse;
        test->slots[i].element = chare_element_2d(
            test->id, i, wide && test->sparse ? INT64_MAX - i : 0);
    }
}

static void
create_group(struct delete_test *test, chare_runtime *runtime)
{
    struct sim_job *job = test->job;
    uint32_t pes[SIM_PES_MAX];
    uint32_t count = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (sim_below(job, 2) == 0) {
            pes[count++] = pe;
        }
    }
    if (count == 0) {
        pes[count++] = job->pe_count - 1;
    }
    test->done = true;
    test->count = count;
    for (uint32_t i = 0; i < count; i++) {
        test->slots[i].taken = true;
    }
    SIM_OK(job, chare_group_create_on(runtime, test->type, pes, count, NULL,
                                      NULL, &test->id));
    for (uint32_t i = 0; i < count; i++) {
        test->slots[i].element = chare_element_1d(test->id, pes[i]);
    }
}

static void
insert(struct delete_test *test, uint32_t which)
{
    struct sim_job *job = test->job;
    struct slot *slot = &test->slots[which];
    const uint64_t pe = sim_below(job, 2u * job->pe_count);

    if (!slot->taken && !test->done) {
        slot->taken = true;
        SIM_OK(job,
               chare_insert(sim_any(job), &slot->element,
                            pe < job->pe_count ? (uint32_t)pe : CHARE_ANY_PE,
                            NULL));
    }
}

/* Have a chare contribute, if it lives until then. */
static void
ask_contribution(struct delete_test *test, uint32_t which)
{
    struct slot *slot = &test->slots[which];
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback reply =
        chare_callback_function(test->function_asked, chare_my_pe(runtime), 0);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &reply};

    if (slot->taken) {
        test->asked++;
        SIM_OK(test->job, chare_send(runtime, &slot->element,
                                     test->entry_contribute, NULL, &options));
    }
}

static void
act(struct delete_test *test)
{
    struct sim_job *job = test->job;
    const uint32_t which = (uint32_t)sim_below(job, test->count);

    switch (sim_below(job, 10)) {
    case 0:
        make_cast(test);
        break;
    case 1:
        destroy_one(test, which);
        break;
    case 2:
    case 3:
        insert(test, which);
        break;
    case 4:
    case 5:
    case 6:
        if (test->sparse) {
            insert(test, which);
        } else if (test->slots[which].life != NULL &&
                   test->slots[which].life->contributed < REDUCTIONS) {
            ask_contribution(test, which);
        }
        break;
    default:
        make_call(test, sim_any(job), which);
        break;
    }
    sim_job_steps(job, sim_below(job, 20));
}

/* In how many reductions some chare has taken part. */
static uint32_t
rounds_of(const struct delete_test *test)
{
    uint32_t rounds = 0;

    for (uint32_t n = 0; n < test->life_count; n++) {
        if (test->lives[n].contributed > rounds) {
            rounds = test->lives[n].contributed;
        }
    }
    return rounds;
}

/* Let all that live to the end take part in the same reductions. */
static void
finish_reductions(struct delete_test *test)
{
    const uint32_t before = rounds_of(test);
    const uint32_t rounds = before > REDUCTIONS ? before : REDUCTIONS;

    for (uint32_t i = 0; i < test->count; i++) {
        const struct slot *slot = &test->slots[i];

        for (uint32_t k = slot->life == NULL ? rounds
                                             : slot->life->contributed;
             k < rounds; k++) {
            ask_contribution(test, i);
        }
        if (sim_below(test->job, 4) == 0) {
            destroy_one(test, i);
        }
    }
    sim_job_settle(test->job);
}

static void
check_reductions(struct delete_test *test)
{
    const uint32_t rounds = rounds_of(test);

    if (test->delivered != rounds) {
        SIM_WRONG(test->job, "%u reductions, %u delivered", rounds,
                  test->delivered);
    }
    for (uint32_t k = 0; k < test->delivered; k++) {
        uint64_t sum = 0;

        for (uint32_t n = 0; n < test->life_count; n++) {
            if (test->lives[n].contributed > k) {
                sum += (uint64_t)value_of(test, &test->lives[n], k);
            }
        }
        if ((uint64_t)test->sums[k] != sum) {
            SIM_WRONG(test->job, "reduction %u is wrong", k);
        }
    }
}

static void
check_all(struct delete_test *test)
{
    check_reductions(test);
    if (test->asked != 0) {
        SIM_WRONG(test->job, "%u calls were not answered", test->asked);
    }
    for (uint32_t n = 0; n < test->call_count; n++) {
        const struct call *call = &test->calls[n];

        if (call->answered != 1 || call->executed + call->errors != 1) {
            SIM_WRONG(test->job, "call %u: %u executions, %u answers", n,
                      call->executed, call->answered);
        }
    }
    for (uint32_t n = 0; n < test->cast_count; n++) {
        if (test->casts[n].told != 1) {
            SIM_WRONG(test->job, "the end of broadcast %u told %u times", n,
                      test->casts[n].told);
        }
    }
    for (uint32_t i = 0; i < test->count; i++) {
        const struct slot *slot = &test->slots[i];

        if (slot->told != slot->destructions ||
            (slot->life != NULL) != (slot->taken && !test->destroyed)) {
            SIM_WRONG(test->job, "chare %u: %u destructions, %u told", i,
                      slot->destructions, slot->told);
        }
    }
    for (uint32_t pe = 0; test->destroyed && pe < test->job->pe_count; pe++) {
        const struct chi_obj *obj = sim_rt(test->job, pe)->obj;

        if (obj->collections.count > 0 || obj->pending.count > 0 ||
            obj->kept_bytes > 0) {
            SIM_WRONG(test->job, "PE %u remembers what was destroyed", pe);
        }
    }
    if (test->destroyed && test->all_gone != 1) {
        SIM_WRONG(test->job, "the end of all told %u times", test->all_gone);
    }
}

static void
run(struct delete_test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return;
    }
    if (sim_below(job, 3) == 0) {
        create_group(test, sim_any(job));
    } else {
        create_array(test, sim_any(job));
    }
    for (uint32_t i = 0; i < ACTS_MAX && job->wrong[0] == '\0'; i++) {
        act(test);
    }
    if (!test->done) {
        test->done = true;
        if (sim_below(job, 3) == 0) {
            sim_job_settle(job); /* no insertion is under way */
            destroy_all(test);
        } else {
            SIM_OK(job, chare_insert_done(sim_any(job), test->id, NULL));
        }
    }
    sim_job_settle(job);
    finish_reductions(test);
    if (!test->destroyed && sim_below(job, 2) == 0) {
        make_cast(test);
        destroy_all(test);
        for (uint64_t n = sim_below(job, 4); n > 0; n--) {
            make_cast(test);
            (void)sim_job_step(job);
        }
        make_call(test, sim_any(job), 0);
    }
    sim_job_settle(job);
    check_all(test);
    sim_job_check_clean(job);
}

static void
the_dead_are_not_missed(void)
{
    const struct sim_options options = {0};
    struct delete_test test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
planted_bugs_are_seen(void)
{
    static const enum chi_handler handlers[] = {
        CHI_HANDLER_LEAVE, CHI_HANDLER_DESTROY, CHI_HANDLER_REDUCE,
        CHI_HANDLER_BROADCAST};
    uint32_t done[4] = {0};
    uint32_t seen[4] = {0};
    struct delete_test test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 120; seed++) {
        const struct sim_options options = {
            .pe_count = 4,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = handlers[seed % 4],
            .bug_at = seed % 3,
            .quiet = true,
        };
        bool bug_done;

        run(&test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        done[seed % 4] += bug_done;
        seen[seed % 4] += bug_done && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(done[i] > 3);
        CHECK_EQ(seen[i], done[i]);
    }
}

TAP_MAIN(TAP_CASE(the_dead_are_not_missed), TAP_CASE(planted_bugs_are_seen))
