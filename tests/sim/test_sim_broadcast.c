/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_broadcast.c - broadcasts to groups and arrays.
 *
 * Goal:   each chare executes each broadcast exactly once, those of one PE and
 *         priority in the order made; the end is told exactly once, and not
 *         before all have run; a gathered list is complete and in the order
 *         of the indices, errors in it are items; without one, an error of
 *         any chare is the result.
 * Method: collections of any size, none and fewer than PEs too, created
 *         anywhere; many broadcasts under way, some before the creation is
 *         executed; answers at once, later, or left to the runtime.
 */
#include "config.h"

#include "sim_job.h"
#include "tap/bare.h"

enum {
    SEEDS = 300,
    COLLECTIONS_MAX = 4,
    CHARES_MAX = 64,
    BROADCASTS_MAX = 30,
};

struct set {
    chare_collection id;
    uint32_t ndims;
    int64_t dims[CHARE_DIMS_MAX];
    uint32_t count;
};

struct broadcast {
    uint32_t set;
    uint32_t pe;
    int16_t priority;
    bool wants_answer; /* not with BUG_TWICE: the core would assert */
    bool gather;
    uint32_t error_of; /* this chare answers with an error; CHARES_MAX: none */
    uint32_t answer_pe;
    uint32_t executed[CHARES_MAX];
    uint32_t executed_count;
    uint32_t answered;
};

struct debt;

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry;
    uint32_t function;
    uint32_t set_count;
    struct set sets[COLLECTIONS_MAX];
    uint32_t broadcast_count;
    struct broadcast broadcasts[BROADCASTS_MAX];
    struct debt *debts;
};

/* A debt of one answer, paid by a timer. */
struct debt {
    struct debt *next;
    struct test *test;
    chare_reply reply;
    uint64_t n;
    uint32_t position;
};

/* ---- at each chare */

static void
answer(struct test *test, chare_runtime *runtime, const chare_reply *reply,
       uint64_t n, uint32_t position)
{
    const struct broadcast *broadcast = &test->broadcasts[n];
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;

    SIM_OK(test->job, chare_encoder_init(&encoder, runtime, 16));
    if (broadcast->error_of == position) {
        chare_put_error(&encoder, "ValueError", "planned", "", false);
    } else {
        chare_put_int(&encoder, (int64_t)n * 1000 + position);
    }
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data =
        chare_data_buffer(broadcast->error_of == position ? CHARE_FORMAT_ERROR
                                                          : CHARE_FORMAT_VALUE,
                          buffer);
    SIM_OK(test->job, chare_reply_send(runtime, reply, &data));
}

static void
pay(const chare_call *call, void *context)
{
    struct debt *debt = context;

    answer(debt->test, call->runtime, &debt->reply, debt->n, debt->position);
}

static void
owe(struct test *test, const chare_call *call, uint64_t n, uint32_t position)
{
    struct debt *debt = malloc(sizeof(*debt));

    if (debt == NULL) {
        SIM_WRONG(test->job, "out of memory");
        return;
    }
    *debt = (struct debt){
        .next = test->debts, .test = test, .n = n, .position = position};
    test->debts = debt;
    chare_call_take_reply(call, &debt->reply);
    SIM_OK(test->job,
           chare_timer_start(call->runtime, sim_below(test->job, 30000), pay,
                             debt, NULL));
}

static void
check_order(struct test *test, uint64_t n, uint32_t position)
{
    const struct broadcast *this = &test->broadcasts[n];

    for (uint64_t i = n + 1; i < test->broadcast_count; i++) {
        const struct broadcast *later = &test->broadcasts[i];

        if (later->set == this->set && later->pe == this->pe &&
            later->priority == this->priority &&
            later->executed[position] != 0) {
            SIM_WRONG(test->job,
                      "chare %u of set %u: broadcast %" PRIu64
                      " of PE %u after %" PRIu64,
                      position, this->set, n, this->pe, i);
        }
    }
}

static void
executed(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    struct broadcast *broadcast;
    uint32_t position;
    uint64_t n;

    (void)object;
    memcpy(&n, call->bytes, sizeof(n));
    if (n >= test->broadcast_count || !sim_filled(call->bytes, n, call->len)) {
        SIM_WRONG(test->job, "a broadcast came damaged");
        return;
    }
    broadcast = &test->broadcasts[n];
    if (call->self->collection != test->sets[broadcast->set].id ||
        call->source_pe != broadcast->pe ||
        call->wants_reply != broadcast->wants_answer) {
        SIM_WRONG(test->job, "broadcast %" PRIu64 " to a wrong place", n);
        return;
    }
    position =
        sim_position(test->sets[broadcast->set].dims, &call->self->index);
    if (++broadcast->executed[position] != 1) {
        SIM_WRONG(test->job, "chare %u executed broadcast %" PRIu64 " twice",
                  position, n);
    }
    broadcast->executed_count++;
    check_order(test, n, position);
    if (broadcast->wants_answer &&
        (broadcast->gather || broadcast->error_of == position)) {
        owe(test, call, n, position);
    } else if (broadcast->wants_answer && sim_below(test->job, 8) == 0) {
        owe(test, call, n, position);
    }
}

/* ---- at who asked */

/* The next value is an error, with its three texts. */
static bool
is_error(chare_decoder *decoder)
{
    chare_value value;

    return chare_get(decoder, &value) == CHARE_OK &&
           value.tag == CHARE_TAG_ERROR && value.as.count == 3 &&
           chare_skip(decoder) == CHARE_OK &&
           chare_skip(decoder) == CHARE_OK && chare_skip(decoder) == CHARE_OK;
}

static void
check_list(struct test *test, const chare_call *call, uint64_t n,
           uint32_t count)
{
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_LIST || value.as.count != count) {
        SIM_WRONG(test->job, "broadcast %" PRIu64 ": no list of %u", n, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const bool right = i == test->broadcasts[n].error_of
                               ? is_error(&decoder)
                               : chare_get(&decoder, &value) == CHARE_OK &&
                                     value.tag == CHARE_TAG_INT &&
                                     value.as.integer == (int64_t)n * 1000 + i;

        if (!right) {
            SIM_WRONG(test->job, "broadcast %" PRIu64 ": wrong result %u", n,
                      i);
            return;
        }
    }
}

static void
ended(const chare_call *call, void *context)
{
    struct test *test = context;
    const uint64_t n = call->argument;
    struct broadcast *broadcast = &test->broadcasts[n];
    const uint32_t count = test->sets[broadcast->set].count;

    if (++broadcast->answered != 1 ||
        chare_my_pe(call->runtime) != broadcast->answer_pe) {
        SIM_WRONG(test->job, "the end of broadcast %" PRIu64 " told wrongly",
                  n);
    }
    if (broadcast->executed_count != count) {
        SIM_WRONG(test->job, "broadcast %" PRIu64 " ended early", n);
    }
    if (broadcast->gather) {
        check_list(test, call, n, count);
    } else if (broadcast->error_of < count) {
        if (call->format != CHARE_FORMAT_ERROR) {
            SIM_WRONG(test->job, "broadcast %" PRIu64 " lost its error", n);
        }
    } else if (call->len != 0 || call->format == CHARE_FORMAT_ERROR) {
        SIM_WRONG(test->job, "broadcast %" PRIu64 " ended with data", n);
    }
}

/* ---- a run */

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Listener",
        .create = bare_create,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "hear", executed, test,
                                &test->entry) == CHARE_OK &&
           chare_function_register(runtime, "ended", ended, test,
                                   &test->function) == CHARE_OK;
}

static void
create_set(struct test *test)
{
    static const uint64_t sizes[CHARE_DIMS_MAX] = {40, 7, 4, 3, 3, 3};
    struct sim_job *job = test->job;
    struct set *set = &test->sets[test->set_count];
    chare_array_options options = {
        .size = sizeof(options),
        .type = test->type,
        .ndims = 1 + (uint32_t)sim_below(job, CHARE_DIMS_MAX),
        .dense = true,
        .map = (uint32_t)sim_below(job, 4),
    };

    if (sim_below(job, 3) == 0) {
        set->ndims = 1;
        set->count = job->pe_count;
        set->dims[0] = set->count;
        SIM_OK(job, chare_group_create(sim_any(job), test->type, NULL, NULL,
                                       &set->id));
        test->set_count++;
        return;
    }
    set->ndims = options.ndims;
    set->count = 1;
    for (uint32_t i = 0; i < set->ndims; i++) {
        const uint64_t size =
            sim_below(job, sizes[set->ndims - 1]) + (sim_below(job, 8) != 0);

        options.dims[i] = size * set->count > CHARES_MAX ? 1 : (int64_t)size;
        set->dims[i] = options.dims[i];
        set->count *= (uint32_t)options.dims[i];
    }
    SIM_OK(job, chare_array_create(sim_any(job), &options, NULL, &set->id));
    test->set_count++;
}

static void
broadcast_once(struct test *test)
{
    struct sim_job *job = test->job;
    const uint64_t n = test->broadcast_count++;
    struct broadcast *broadcast = &test->broadcasts[n];
    unsigned char bytes[4000];
    const size_t len = 8 + sim_below(job, sim_below(job, 4) == 0 ? 3990 : 60);
    const chare_data data = chare_data_bytes(bytes, len);
    chare_send_options options = {.size = sizeof(options)};
    chare_callback reply;

    *broadcast = (struct broadcast){
        .set = (uint32_t)sim_below(job, test->set_count),
        .pe = (uint32_t)sim_below(job, job->pe_count),
        .answer_pe = (uint32_t)sim_below(job, job->pe_count),
        .wants_answer =
            sim_below(job, 2) == 0 && job->options.bug != CHI_SIM_BUG_TWICE,
        .priority = (int16_t)(sim_below(job, 4) == 0 ? -1 : 0),
        .error_of = CHARES_MAX,
    };
    if (broadcast->wants_answer && sim_below(job, 5) == 0) {
        broadcast->error_of = (uint32_t)sim_below(job, CHARES_MAX);
    }
    broadcast->gather = broadcast->wants_answer && sim_below(job, 2) == 0;
    reply = chare_callback_function(test->function, broadcast->answer_pe, n);
    options.priority = broadcast->priority;
    options.gather = broadcast->gather;
    options.reply = broadcast->wants_answer ? &reply : NULL;
    sim_fill(bytes, n, len);
    SIM_OK(job, chare_broadcast(sim_rt(job, broadcast->pe),
                                test->sets[broadcast->set].id, test->entry,
                                &data, &options));
}

static void
check_end(struct test *test)
{
    for (uint32_t n = 0; n < test->broadcast_count; n++) {
        const struct broadcast *broadcast = &test->broadcasts[n];

        if (broadcast->executed_count != test->sets[broadcast->set].count) {
            SIM_WRONG(test->job, "broadcast %u executed by %u of %u chares", n,
                      broadcast->executed_count,
                      test->sets[broadcast->set].count);
        }
        if (broadcast->answered != broadcast->wants_answer) {
            SIM_WRONG(test->job, "the end of broadcast %u told %u times", n,
                      broadcast->answered);
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
    create_set(test);
    while (test->broadcast_count < BROADCASTS_MAX && job->wrong[0] == '\0') {
        if (test->set_count < COLLECTIONS_MAX && sim_below(job, 5) == 0) {
            create_set(test);
        }
        broadcast_once(test);
        sim_job_steps(job, sim_below(job, 12));
    }
    sim_job_settle(job);
    check_end(test);
    sim_job_check_clean(job);
}

static void
done(struct test *test)
{
    sim_job_close(test->job);
    while (test->debts != NULL) {
        struct debt *debt = test->debts;

        test->debts = debt->next;
        free(debt);
    }
}

static void
broadcasts_reach_all_once(void)
{
    const struct sim_options options = {0};
    struct test test;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options);
        done(&test);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
planted_bugs_are_seen(void)
{
    uint32_t happened[3] = {0};
    uint32_t seen[3] = {0};
    struct test test;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 120; seed++) {
        const uint32_t kind = (uint32_t)(seed % 3);
        const struct sim_options options = {
            .pe_count = 2,
            .bug = CHI_SIM_BUG_DROP + (enum chi_sim_bug)kind,
            .bug_handler = CHI_HANDLER_BROADCAST,
            .bug_at = seed % 7,
            .quiet = true,
        };
        bool bug_done;

        run(&test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        happened[kind] += bug_done;
        seen[kind] += bug_done && job.wrong[0] != '\0';
        done(&test);
    }
    CHECK(happened[0] > 10 &&
          seen[0] > happened[0] / 2); /* none there: no harm */
    CHECK(happened[1] > 10 && seen[1] > happened[1] / 2);
    CHECK(happened[2] > 10 && seen[2] > 2);
}

TAP_MAIN(TAP_CASE(broadcasts_reach_all_once), TAP_CASE(planted_bugs_are_seen))
