/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_calls.c - calls between chares of all kinds.
 *
 * Goal:   every call is executed exactly once; calls of one priority from one
 *         chare to another in the order made; every answer comes exactly once,
 *         to who asked, with its value; every payload is released exactly
 *         once; nothing is left over.
 * Method: a few collections, created anywhere and used at once from anywhere;
 *         each executed call makes up to two more, until the budget is spent.
 *         A table of all calls, which all PEs see, says what came of each.
 */
#include "config.h"

#include "sim_job.h"

#include "base/map.h"

enum {
    SEEDS = 250,
    CALLS_MAX = 240,
    COLLECTIONS_MAX = 7,
    SPARSE_COUNT = 6,
    ACTORS_MAX = COLLECTIONS_MAX * SIM_PES_MAX,
    OUTSIDE = 1000, /* sender number of what is called from no chare */
    BYTES_MAX = 5000,
};

enum form {
    FORM_BYTES,
    FORM_BUFFER,
    FORM_PAYLOAD,
    FORM_COUNT,
};

enum answer {
    ANSWER_NONE,
    ANSWER_FUTURE,
    ANSWER_FUNCTION,
    ANSWER_ELEMENT,
    ANSWER_COUNT,
};

struct group_of_chares { /* one collection */
    chare_collection id;
    uint32_t count;
    uint32_t first; /* number of its first chare */
    bool sparse;
    chare_element elements[SIM_PES_MAX];
};

struct call {
    uint32_t sender;
    uint32_t target;
    int16_t priority;
    uint32_t bytes;
    enum answer answer;
    uint32_t answer_pe;
    uint32_t executed;
    uint32_t answered;
    uint32_t payloads; /* made */
    uint32_t released;
    bool valued; /* the answer has a value */
    chare_future future;
};

struct calls {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_call;
    uint32_t entry_answer;
    uint32_t function_answer;
    uint32_t map;
    uint32_t collection_count;
    struct group_of_chares collections[COLLECTIONS_MAX];
    uint32_t actor_count;
    struct call calls[CALLS_MAX];
    uint32_t call_count;
    struct chi_map order; /* (sender, target, priority) -> last call + 1 */
    uint32_t created;
};

struct payload {
    struct calls *test;
    uint64_t serial;
};

struct actor {
    struct calls *test;
    uint32_t number;
    chare_reply kept; /* an answer that is owed */
    uint64_t kept_serial;
    bool has_kept;
};

static void make_calls(struct calls *test, chare_runtime *runtime,
                       uint32_t sender, uint32_t count);

/* ---- what calls carry */

static chare_status
payload_encode(void *context, chare_encoder *encoder)
{
    struct payload *payload = context;
    struct call *call = &payload->test->calls[payload->serial];

    if (chare_encoder_grow(encoder, call->bytes)) {
        sim_fill(encoder->at, payload->serial, call->bytes);
        encoder->at += call->bytes;
    }
    return encoder->status;
}

static void
payload_release(void *context)
{
    struct payload *payload = context;

    payload->test->calls[payload->serial].released++;
    free(payload);
}

static const chare_payload_ops payload_ops = {
    .size = sizeof(payload_ops),
    .format = CHARE_FORMAT_BYTES,
    .encode = payload_encode,
    .release = payload_release,
};

static bool
data_of(struct calls *test, chare_runtime *runtime, uint64_t serial,
        unsigned char *room, chare_data *out)
{
    struct call *call = &test->calls[serial];
    struct payload *payload;
    chare_buffer *buffer;

    switch ((enum form)sim_below(test->job, FORM_COUNT)) {
    case FORM_BUFFER:
        if (chare_buffer_alloc(runtime, call->bytes, &buffer) != CHARE_OK) {
            return false;
        }
        sim_fill(chare_buffer_bytes(buffer, NULL), serial, call->bytes);
        *out = chare_data_buffer(CHARE_FORMAT_BYTES, buffer);
        return true;
    case FORM_PAYLOAD:
        payload = malloc(sizeof(*payload));
        if (payload == NULL) {
            return false;
        }
        *payload = (struct payload){test, serial};
        call->payloads++;
        *out = chare_data_payload(payload, &payload_ops);
        return true;
    default:
        sim_fill(room, serial, call->bytes);
        *out = chare_data_bytes(room, call->bytes);
        return true;
    }
}

/* ---- answers */

static void
answered(struct calls *test, const chare_call *call, uint64_t serial)
{
    struct call *record;
    chare_decoder decoder;
    chare_value value;

    if (serial >= test->call_count) {
        SIM_WRONG(test->job, "an answer to call %" PRIu64, serial);
        return;
    }
    record = &test->calls[serial];
    record->answered++;
    if (record->answered > 1) {
        SIM_WRONG(test->job, "call %" PRIu64 " answered twice", serial);
    }
    if (record->executed == 0) {
        SIM_WRONG(test->job, "call %" PRIu64 " answered early", serial);
    }
    if (chare_my_pe(call->runtime) != record->answer_pe) {
        SIM_WRONG(test->job, "answer to call %" PRIu64 " on PE %u", serial,
                  chare_my_pe(call->runtime));
    }
    if (!record->valued) {
        if (call->len != 0) {
            SIM_WRONG(test->job, "an answer with unexpected data");
        }
        return;
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (call->format != CHARE_FORMAT_VALUE ||
        chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_INT ||
        value.as.integer != (int64_t)serial * 3 + 1) {
        SIM_WRONG(test->job, "call %" PRIu64 ": wrong answer", serial);
    }
}

static void
future_answered(const chare_call *call, void *context)
{
    struct calls *test = context;

    /* A future is found by where it is and its id. */
    for (uint32_t i = 0; i < test->call_count; i++) {
        const struct call *record = &test->calls[i];

        if (record->answer == ANSWER_FUTURE &&
            record->future.id == call->argument &&
            record->future.pe == chare_my_pe(call->runtime)) {
            answered(test, call, i);
            return;
        }
    }
    SIM_WRONG(test->job, "a value for an unknown future");
}

static void
function_answered(const chare_call *call, void *context)
{
    answered(context, call, call->argument);
}

static void
answer(struct actor *actor, chare_runtime *runtime, const chare_reply *reply,
       uint64_t serial)
{
    struct calls *test = actor->test;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;

    if (!test->calls[serial].valued) {
        SIM_OK(test->job, chare_reply_send(runtime, reply, NULL));
        return;
    }
    SIM_OK(test->job, chare_encoder_init(&encoder, runtime, 16));
    chare_put_int(&encoder, (int64_t)serial * 3 + 1);
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    SIM_OK(test->job, chare_reply_send(runtime, reply, &data));
}

static void
answer_kept(struct actor *actor, chare_runtime *runtime)
{
    if (actor->has_kept) {
        actor->has_kept = false;
        answer(actor, runtime, &actor->kept, actor->kept_serial);
    }
}

static void
answer_late(const chare_call *call, void *context)
{
    answer_kept(context, call->runtime);
}

/* Answer now, from a timer, or leave it to the runtime. */
static void
answer_somehow(struct actor *actor, const chare_call *call, uint64_t serial)
{
    struct calls *test = actor->test;
    chare_reply reply;

    if (!test->calls[serial].valued) {
        return;
    }
    answer_kept(actor, call->runtime);
    chare_call_take_reply(call, &reply);
    if (sim_below(test->job, 2) == 0) {
        answer(actor, call->runtime, &reply, serial);
        return;
    }
    actor->kept = reply;
    actor->kept_serial = serial;
    actor->has_kept = true;
    SIM_OK(test->job,
           chare_timer_start(call->runtime, sim_below(test->job, 20000),
                             answer_late, actor, NULL));
}

/* ---- chares */

static uint32_t
number_of(const struct calls *test, const chare_element *element)
{
    for (uint32_t i = 0; i < test->collection_count; i++) {
        const struct group_of_chares *collection = &test->collections[i];

        for (uint32_t j = 0; j < collection->count; j++) {
            if (memcmp(&collection->elements[j], element, sizeof(*element)) ==
                0) {
                return collection->first + j;
            }
        }
    }
    return UINT32_MAX;
}

static chare_status
actor_create(const chare_call *call, void *context, void **object_out)
{
    struct calls *test = context;
    struct actor *actor = calloc(1, sizeof(*actor));

    if (actor == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    actor->test = test;
    actor->number = number_of(test, call->self);
    if (actor->number == UINT32_MAX) {
        SIM_WRONG(test->job, "a chare nobody asked for");
    }
    test->created++;
    *object_out = actor;
    make_calls(test, call->runtime, actor->number, 1);
    return CHARE_OK;
}

static void
actor_destroy(void *object, void *context)
{
    (void)context;
    free(object);
}

static void
actor_answer(void *object, const chare_call *call, void *context)
{
    (void)object, (void)call, (void)context;
}

static void
check_order(struct calls *test, uint64_t serial)
{
    const struct call *call = &test->calls[serial];
    const uint64_t key = (uint64_t)call->sender << 40 |
                         (uint64_t)call->target << 20 |
                         (uint64_t)(call->priority + 1000);
    const uint64_t last = (uintptr_t)chi_map_get(&test->order, key);

    if (last > serial + 1) {
        SIM_WRONG(test->job,
                  "call %" PRIu64
                  " from %u to %u executed after call %" PRIu64,
                  serial, call->sender, call->target, last - 1);
    }
    if (chi_map_put(&test->order, key, (void *)(uintptr_t)(serial + 1)) !=
        CHARE_OK) {
        SIM_WRONG(test->job, "out of memory");
    }
}

static void
check_executed(struct actor *actor, const chare_call *call, uint64_t serial)
{
    struct calls *test = actor->test;
    struct call *record = &test->calls[serial];

    record->executed++;
    if (record->executed > 1) {
        SIM_WRONG(test->job, "call %" PRIu64 " executed twice", serial);
    }
    if (record->target != actor->number) {
        SIM_WRONG(test->job, "call %" PRIu64 " for %u executed by %u", serial,
                  record->target, actor->number);
    }
    if (record->priority != call->priority) {
        SIM_WRONG(test->job, "call %" PRIu64 " changed its priority", serial);
    }
    if (call->payload == NULL &&
        (call->len != record->bytes ||
         !sim_filled(call->bytes, serial, call->len))) {
        SIM_WRONG(test->job, "call %" PRIu64 " came damaged", serial);
    }
    if ((record->answer != ANSWER_NONE) != call->wants_reply) {
        SIM_WRONG(test->job, "call %" PRIu64 ": wants_reply", serial);
    }
    check_order(test, serial);
}

/* Keep the bytes beyond the call, and send them on as another call's. */
static void
take_bytes(struct calls *test, const chare_call *call)
{
    chare_buffer *buffer = chare_call_take_buffer(call);
    size_t len;

    if (buffer == NULL) {
        if (call->payload == NULL) {
            SIM_WRONG(test->job, "bytes that cannot be taken");
        }
        return;
    }
    if (chare_buffer_bytes(buffer, &len) != call->bytes || len != call->len) {
        SIM_WRONG(test->job, "bytes moved when they were taken");
    }
    if (sim_below(test->job, 2) == 0) {
        SIM_OK(test->job, chare_buffer_resize(&buffer, len / 2 + 300));
    }
    chare_buffer_release(buffer);
}

static void
actor_call(void *object, const chare_call *call, void *context)
{
    struct actor *actor = object;
    struct calls *test = actor->test;
    uint64_t serial;

    (void)context;
    if (call->payload != NULL) {
        serial = ((const struct payload *)call->payload)->serial;
    } else {
        memcpy(&serial, call->bytes, sizeof(serial));
    }
    if (serial >= test->call_count) {
        SIM_WRONG(test->job, "a call that nobody made");
        return;
    }
    check_executed(actor, call, serial);
    if (call->wants_reply) {
        answer_somehow(actor, call, serial);
    }
    make_calls(test, call->runtime, actor->number,
               (uint32_t)sim_below(test->job, 3));
    if (sim_below(test->job, 4) == 0) {
        take_bytes(test, call);
    }
}

/* ---- making calls */

static void
draw_answer(struct calls *test, chare_runtime *runtime, uint64_t serial,
            chare_callback *out)
{
    struct call *call = &test->calls[serial];

    call->answer = (enum answer)sim_below(test->job, ANSWER_COUNT);
    call->valued = call->answer != ANSWER_NONE &&
                   call->answer != ANSWER_ELEMENT &&
                   sim_below(test->job, 2) == 0;
    call->answer_pe = chare_my_pe(runtime);
    switch (call->answer) {
    case ANSWER_FUTURE:
        SIM_OK(test->job, chare_future_create(runtime, future_answered, test,
                                              &call->future));
        *out = chare_callback_future(call->future);
        break;
    case ANSWER_FUNCTION:
        call->answer_pe = (uint32_t)sim_below(test->job, test->job->pe_count);
        *out = chare_callback_function(test->function_answer, call->answer_pe,
                                       serial);
        break;
    case ANSWER_ELEMENT:
        *out = chare_callback_element(test->collections[0].elements[0],
                                      test->entry_answer);
        break;
    default:
        break;
    }
}

static void
make_call(struct calls *test, chare_runtime *runtime, uint32_t sender)
{
    const uint64_t serial = test->call_count;
    struct call *call = &test->calls[serial];
    struct sim_job *job = test->job;
    const struct group_of_chares *collection =
        &test->collections[sim_below(job, test->collection_count)];
    const uint64_t which =
        sim_below(job, collection->count < 4 ? collection->count : 4);
    chare_send_options options = {.size = sizeof(options)};
    chare_callback reply = {.kind = CHARE_CALLBACK_NONE};
    unsigned char room[BYTES_MAX];
    chare_data data;

    test->call_count++;
    *call = (struct call){
        .sender = sender,
        .target = collection->first + (uint32_t)which,
        .priority = (int16_t)((int)sim_below(job, 5) / 3 *
                              ((int)sim_below(job, 3) - 1)),
        .bytes = 8 + (uint32_t)sim_below(
                         job, sim_below(job, 4) == 0 ? BYTES_MAX - 8 : 100),
    };
    draw_answer(test, runtime, serial, &reply);
    options.priority = call->priority;
    options.reply = reply.kind == CHARE_CALLBACK_NONE ? NULL : &reply;
    if (!data_of(test, runtime, serial, room, &data)) {
        SIM_WRONG(job, "out of memory");
        return;
    }
    SIM_OK(job, chare_send(runtime, &collection->elements[which],
                           test->entry_call, &data, &options));
}

static void
make_calls(struct calls *test, chare_runtime *runtime, uint32_t sender,
           uint32_t count)
{
    while (count-- > 0 && test->call_count < CALLS_MAX &&
           test->collection_count > 0) {
        make_call(test, runtime, sender);
    }
}

/* ---- collections */

static uint32_t
map_to_last(const chare_index *index, uint32_t pe_count, void *context)
{
    (void)context;
    return pe_count - 1 - (uint32_t)((uint64_t)index->at[0] % pe_count);
}

static void
collection_single(struct calls *test, chare_runtime *runtime,
                  struct group_of_chares *out)
{
    const uint64_t pe = sim_below(test->job, test->job->pe_count + 1u);

    out->count = 1;
    SIM_OK(test->job,
           chare_single_create(runtime, test->type,
                               pe == test->job->pe_count ? CHARE_ANY_PE
                                                         : (uint32_t)pe,
                               NULL, NULL, &out->elements[0]));
    out->id = out->elements[0].collection;
}

static void
collection_group(struct calls *test, chare_runtime *runtime,
                 struct group_of_chares *out)
{
    SIM_OK(test->job,
           chare_group_create(runtime, test->type, NULL, NULL, &out->id));
    out->count = test->job->pe_count;
    for (uint32_t pe = 0; pe < out->count; pe++) {
        out->elements[pe] = chare_element_1d(out->id, pe);
    }
}

static void
collection_dense(struct calls *test, chare_runtime *runtime,
                 struct group_of_chares *out)
{
    static const int64_t sizes[CHARE_DIMS_MAX] = {13, 5, 3, 2, 2, 2};
    const uint32_t ndims = 1 + (uint32_t)sim_below(test->job, CHARE_DIMS_MAX);
    const uint64_t map = sim_below(test->job, 5);
    chare_array_options options = {
        .size = sizeof(options),
        .type = test->type,
        .ndims = ndims,
        .dense = true,
        .map = map == 4 ? test->map : (uint32_t)map,
    };
    chare_index index = {.ndims = ndims};

    out->count = 1;
    for (uint32_t i = 0; i < ndims; i++) {
        options.dims[i] =
            1 + (int64_t)sim_below(test->job, (uint64_t)sizes[ndims - 1]);
        out->count *= (uint32_t)options.dims[i];
    }
    SIM_OK(test->job, chare_array_create(runtime, &options, NULL, &out->id));
    for (uint32_t n = 0; n < out->count; n++) {
        uint32_t rest = n;

        for (uint32_t i = ndims; i-- > 0;) {
            index.at[i] = rest % options.dims[i];
            rest /= (uint32_t)options.dims[i];
        }
        out->elements[n] = (chare_element){out->id, index};
    }
}

static int64_t
draw_coordinate(struct sim_job *job)
{
    const int64_t low = (int64_t)sim_below(job, 7) - 3;

    switch (sim_below(job, 4)) {
    case 0:
        return (int64_t)chi_prng_next(&job->prng);
    case 1:
        return low * ((int64_t)1 << sim_below(job, 40));
    default:
        return low;
    }
}

/* Indices of any size; inserted after they are called for the first time. */
static void
collection_sparse(struct calls *test, chare_runtime *runtime,
                  struct group_of_chares *out)
{
    const uint32_t ndims = 1 + (uint32_t)sim_below(test->job, CHARE_DIMS_MAX);
    const chare_array_options options = {
        .size = sizeof(options),
        .type = test->type,
        .ndims = ndims,
        .map = sim_below(test->job, 2) == 0 ? test->map : CHARE_MAP_DEFAULT,
    };

    out->sparse = true;
    out->count = SPARSE_COUNT;
    SIM_OK(test->job, chare_array_create(runtime, &options, NULL, &out->id));
    for (uint32_t n = 0; n < out->count; n++) {
        chare_element *element = &out->elements[n];

        *element = (chare_element){.collection = out->id};
        element->index.ndims = ndims;
        element->index.at[0] = n + 1000 * (draw_coordinate(test->job) % 1000);
        for (uint32_t i = 1; i < ndims; i++) {
            element->index.at[i] = draw_coordinate(test->job);
        }
    }
}

static void
insert_all(struct calls *test, struct group_of_chares *collection)
{
    for (uint32_t n = 0; collection->sparse && n < collection->count; n++) {
        SIM_OK(test->job,
               chare_insert(sim_any(test->job), &collection->elements[n],
                            CHARE_ANY_PE, NULL));
    }
}

static void
create_all(struct calls *test)
{
    const uint32_t count =
        2 + (uint32_t)sim_below(test->job, COLLECTIONS_MAX - 1);

    for (uint32_t i = 0; i < count; i++) {
        struct group_of_chares *out =
            &test->collections[test->collection_count];
        chare_runtime *runtime = sim_any(test->job);
        const uint64_t kind = i == 0 ? 0 : sim_below(test->job, 4);

        out->first = test->actor_count;
        if (kind == 0) {
            collection_single(test, runtime, out);
        } else if (kind == 1) {
            collection_group(test, runtime, out);
        } else if (kind == 2) {
            collection_dense(test, runtime, out);
        } else {
            collection_sparse(test, runtime, out);
        }
        test->actor_count += out->count;
        test->collection_count++;
        insert_all(test, out);
    }
}

/* ---- one run */

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct calls *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Actor",
        .create = actor_create,
        .destroy = actor_destroy,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", actor_call, test,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "answer", actor_answer,
                                test, &test->entry_answer) == CHARE_OK &&
           chare_function_register(runtime, "answered", function_answered,
                                   test, &test->function_answer) == CHARE_OK &&
           chare_map_register(runtime, map_to_last, NULL, &test->map) ==
               CHARE_OK;
}

static void
check_end(struct calls *test)
{
    for (uint32_t i = 0; i < test->call_count; i++) {
        const struct call *call = &test->calls[i];
        const bool answers =
            call->answer == ANSWER_FUTURE || call->answer == ANSWER_FUNCTION;

        if (call->executed != 1) {
            SIM_WRONG(test->job, "call %u from %u to %u executed %u times", i,
                      call->sender, call->target, call->executed);
        }
        if (call->answered != answers) {
            SIM_WRONG(test->job, "call %u answered %u times", i,
                      call->answered);
        }
        if (call->payloads != call->released) {
            SIM_WRONG(test->job, "call %u: %u payloads, %u released", i,
                      call->payloads, call->released);
        }
    }
    if (test->created != test->actor_count) {
        SIM_WRONG(test->job, "%u chares were created, %u asked for",
                  test->created, test->actor_count);
    }
}

static void
run(struct calls *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    memset(test, 0, sizeof(*test));
    test->job = job;
    chi_map_init(&test->order);
    if (sim_job_open(job, seed, options, register_all, test)) {
        create_all(test);
        for (uint32_t i = 0; i < 12; i++) {
            const uint32_t pe = (uint32_t)sim_below(job, job->pe_count);

            make_calls(test, sim_rt(job, pe), OUTSIDE + pe,
                       (uint32_t)sim_below(job, 6));
            (void)sim_job_step(job);
        }
        sim_job_settle(job);
        check_end(test);
        sim_job_check_clean(job);
    }
}

static void
done(struct calls *test)
{
    sim_job_close(test->job);
    chi_map_fini(&test->order);
}

static void
calls_are_executed_once_and_in_order(void)
{
    const struct sim_options options = {0};
    struct calls test;
    struct sim_job job;
    uint64_t executed = 0;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        done(&test);
        executed += job.executed;
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# %" PRIu64 " messages executed\n", executed);
}

/* A net that breaks its promises is found out. */
static void
planted_bugs_are_seen(void)
{
    uint32_t done_count[3] = {0};
    uint32_t seen_count[3] = {0};
    struct calls test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        const uint32_t kind = (uint32_t)(seed % 3);
        const struct sim_options options = {
            .pe_count = 2,
            .bug = CHI_SIM_BUG_DROP + (enum chi_sim_bug)kind,
            .bug_handler = CHI_HANDLER_INVOKE,
            .bug_at = 3 + seed % 7,
            .quiet = true,
        };
        bool bug_done;

        run(&test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        done_count[kind] += bug_done;
        seen_count[kind] += bug_done && job.wrong[0] != '\0';
        if (!bug_done) {
            SIM_CHECK(&job, job.wrong[0] == '\0');
        }
        done(&test);
    }
    /* Two messages that change places need not be of one pair of chares. */
    CHECK(done_count[0] > 10 && seen_count[0] == done_count[0]);
    CHECK(done_count[1] > 10 && seen_count[1] == done_count[1]);
    CHECK(done_count[2] > 10 && seen_count[2] > 1);
}

TAP_MAIN(TAP_CASE(calls_are_executed_once_and_in_order),
         TAP_CASE(planted_bugs_are_seen))
