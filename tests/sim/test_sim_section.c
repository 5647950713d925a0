/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_section.c - sections that overlap, among their collections.
 *
 * Goal:   a call of a section is executed exactly once by each member and by
 *         nobody else, those of one PE and priority in the order made, on one
 *         PE in the order of the indices; its end is told once and not early,
 *         a gathered list is in the order of the indices; each reduction of a
 *         section or a collection has one exact result of one contribution of
 *         each member; results that are broadcast to a section arrive in the
 *         order of its reductions; a contribution of a chare that is no
 *         member ends the job.
 * Method: groups, dense and sparse arrays of two types, and sections of them
 *         made in all ways on any PE: of named chares (some twice, some not
 *         inserted yet), by slices, combined of collections and sections, and
 *         of chares that enlist themselves. All are used at once, from any PE,
 *         also before their members are known; the model keeps the sets.
 */
#include "config.h"

#include "sim_section.h"

enum {
    SEEDS = 400
};

static uint64_t
number_of(uint32_t target, uint32_t round, uint32_t chare)
{
    return chi_mix64(((uint64_t)target * 100 + round) * 1000 + chare) >> 24;
}

static struct chare *
chare_find(struct test *test, const chare_element *element)
{
    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (memcmp(&test->chares[i].self, element, sizeof(*element)) == 0) {
            return &test->chares[i];
        }
    }
    return NULL;
}

/* By index, then by collection. */
static bool
goes_before(const struct chare *a, const struct chare *b)
{
    for (uint32_t i = 0; i < CHARE_DIMS_MAX; i++) {
        if (a->self.index.at[i] != b->self.index.at[i]) {
            return a->self.index.at[i] < b->self.index.at[i];
        }
    }
    return a->self.collection < b->self.collection;
}

/* The members in their order; returns how many. */
static uint32_t
members_sorted(struct test *test, const struct target *target,
               const struct chare *out[CHARES_MAX])
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < test->chare_count; i++) {
        uint32_t at = count;

        if (!target->member[i]) {
            continue;
        }
        while (at > 0 && goes_before(&test->chares[i], out[at - 1])) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = &test->chares[i];
        count++;
    }
    return count;
}

/* ---- at each chare: calls */

static void
check_order(struct test *test, uint32_t n, uint32_t chare)
{
    const struct call *this = &test->calls[n];

    for (uint32_t i = n + 1; i < test->call_count; i++) {
        const struct call *later = &test->calls[i];

        if (later->target == this->target && later->pe == this->pe &&
            later->priority == this->priority && later->executed[chare] != 0) {
            SIM_WRONG(test->job, "chare %u: call %u of PE %u after %u", chare,
                      n, this->pe, i);
        }
    }
}

/* Members on one PE go in the order of their indices. */
static void
check_turn(struct test *test, uint32_t pe, uint32_t n,
           const struct chare *chare)
{
    const struct target *target = &test->targets[test->calls[n].target];

    if (target->section && test->last[pe] == n + 1 &&
        !goes_before(&test->chares[test->last_chare[pe]], chare)) {
        SIM_WRONG(test->job, "chare %u out of turn", chare->number);
    }
    test->last[pe] = n + 1;
    test->last_chare[pe] = chare->number;
}

static void
hear(void *object, const chare_call *call, void *context)
{
    struct chare *chare = object;
    struct test *test = context;
    struct target *target;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_reply reply;
    chare_data data;
    uint64_t n;

    memcpy(&n, call->bytes, sizeof(n));
    if (n >= test->call_count || !sim_filled(call->bytes, n, call->len)) {
        SIM_WRONG(test->job, "a call came damaged");
        return;
    }
    target = &test->targets[test->calls[n].target];
    if (!target->member[chare->number] || call->collection != target->id) {
        SIM_WRONG(test->job, "call %" PRIu64 " came to chare %u", n,
                  chare->number);
    }
    if (++test->calls[n].executed[chare->number] != 1) {
        SIM_WRONG(test->job, "call %" PRIu64 " came twice", n);
    }
    test->calls[n].executed_count++;
    check_order(test, (uint32_t)n, chare->number);
    check_turn(test, chare_my_pe(call->runtime), (uint32_t)n, chare);
    if (!test->calls[n].gather) {
        return;
    }
    chare_call_take_reply(call, &reply);
    SIM_OK(test->job, chare_encoder_init(&encoder, call->runtime, 16));
    chare_put_int(&encoder, chare->number);
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    SIM_OK(test->job, chare_reply_send(call->runtime, &reply, &data));
}

/* Whether the data is a list with one int for each member, in order. */
static bool
list_ok(struct test *test, const struct target *target, const chare_call *call,
        int round)
{
    const struct chare *members[CHARES_MAX];
    const uint32_t count = members_sorted(test, target, members);
    const uint32_t t = (uint32_t)(target - test->targets);
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_LIST || value.as.count != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int64_t want =
            round < 0
                ? (int64_t)members[i]->number
                : (int64_t)number_of(t, (uint32_t)round, members[i]->number);

        if (chare_get(&decoder, &value) != CHARE_OK ||
            value.tag != CHARE_TAG_INT || value.as.integer != want) {
            return false;
        }
    }
    return true;
}

static void
ended(const chare_call *call, void *context)
{
    struct test *test = context;
    struct call *one = &test->calls[call->argument];
    const struct target *target = &test->targets[one->target];

    if (++one->answered != 1 || one->executed_count != target->count) {
        SIM_WRONG(test->job, "call %" PRIu64 " ended with %u of %u",
                  call->argument, one->executed_count, target->count);
    }
    if (one->gather ? !list_ok(test, target, call, -1) : call->len != 0) {
        SIM_WRONG(test->job, "call %" PRIu64 " ended with wrong data",
                  call->argument);
    }
}

/* ---- at each chare: reductions */

static void
contribute(struct chare *chare, chare_runtime *runtime, uint32_t t)
{
    struct test *test = chare->test;
    struct target *target = &test->targets[t];
    const uint32_t r = chare->round[t]++;
    struct round *round = &target->rounds[r];
    uint32_t reducer = CHARE_REDUCE_SUM;
    chare_callback callback = chare_callback_function(
        test->function_told, (t * 7 + r) % test->job->pe_count,
        (uint64_t)t * ROUNDS + r);
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;
    chare_status status;

    round->contributed++;
    if (round->what == ALL_SUM) {
        /* An entry of any type stands for those of all. */
        callback = chare_callback_broadcast(target->id,
                                            test->entry_told[chare->type]);
    }
    if (target->section && round->what != GATHER && round->what != NOP &&
        sim_below(test->job, 2) == 0) {
        SIM_OK(test->job,
               chare_section_contribute_int(
                   runtime, &chare->self, target->id, reducer,
                   (int64_t)number_of(t, r, chare->number), &callback));
        return;
    }
    SIM_OK(test->job, chare_encoder_init(&encoder, runtime, 16));
    chare_put_int(&encoder, (int64_t)number_of(t, r, chare->number));
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    if (round->what == GATHER) {
        reducer = CHARE_REDUCE_GATHER;
    } else if (round->what == NOP) {
        reducer = CHARE_REDUCE_NOP;
        chare_buffer_release(buffer);
    }
    status =
        target->section
            ? chare_section_contribute(
                  runtime, &chare->self, target->id, reducer,
                  round->what == NOP ? NULL : &data, &callback)
            : chare_contribute(runtime, &chare->self, reducer,
                               round->what == NOP ? NULL : &data, &callback);
    if (status != CHARE_OK) {
        SIM_WRONG(test->job, "chare %u cannot contribute to target %u: %s",
                  chare->number, t, chare_status_name(status));
        if (round->what != NOP) {
            chare_buffer_release(buffer);
        }
    }
}

/* Contribute to some more rounds of a target, and come again. */
static void
work(void *object, const chare_call *call, void *context)
{
    struct chare *chare = object;
    struct test *test = context;
    const chare_data again = chare_data_bytes(call->bytes, call->len);
    uint64_t count = sim_below(test->job, 4);
    uint32_t t;

    memcpy(&t, call->bytes, sizeof(t));
    while (count-- > 0 && chare->round[t] < ROUNDS) {
        contribute(chare, call->runtime, t);
    }
    if (chare->round[t] < ROUNDS) {
        SIM_OK(test->job,
               chare_send(call->runtime, &chare->self,
                          test->entry_work[chare->type], &again, NULL));
    }
}

static uint64_t
sum_of(const struct test *test, uint32_t t, uint32_t r)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < test->chare_count; i++) {
        sum += test->targets[t].member[i] ? number_of(t, r, i) : 0;
    }
    return sum;
}

static bool
int_ok(const chare_call *call, uint64_t want)
{
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    return chare_get(&decoder, &value) == CHARE_OK &&
           value.tag == CHARE_TAG_INT && (uint64_t)value.as.integer == want;
}

static void
check_round(struct test *test, uint32_t t, uint32_t r, const chare_call *call)
{
    struct target *target = &test->targets[t];
    struct round *round = &target->rounds[r];
    bool ok = true;

    round->told++;
    if (round->contributed != target->count) {
        SIM_WRONG(test->job, "round %u of target %u: %u of %u contributions",
                  r, t, round->contributed, target->count);
    }
    switch (round->what) {
    case SUM:
    case ALL_SUM:
        ok = int_ok(call, sum_of(test, t, r));
        break;
    case GATHER:
        ok = list_ok(test, target, call, (int)r);
        break;
    default:
        ok = call->len == 0;
    }
    if (!ok) {
        SIM_WRONG(test->job, "round %u (%d) of target %u: a wrong result", r,
                  (int)round->what, t);
    }
}

static void
function_told(const chare_call *call, void *context)
{
    check_round(context, (uint32_t)(call->argument / ROUNDS),
                (uint32_t)(call->argument % ROUNDS), call);
}

/* The result of the next ALL_SUM of the target that was called. */
static void
told(void *object, const chare_call *call, void *context)
{
    struct chare *chare = object;
    struct test *test = context;
    uint32_t t = 0;
    uint32_t r;

    while (t < test->target_count && test->targets[t].id != call->collection) {
        t++;
    }
    if (t == test->target_count || !test->targets[t].member[chare->number]) {
        SIM_WRONG(test->job, "a result came to chare %u", chare->number);
        return;
    }
    r = chare->told[t];
    while (r < ROUNDS && test->targets[t].rounds[r].what != ALL_SUM) {
        r++;
    }
    if (r == ROUNDS) {
        SIM_WRONG(test->job, "a result too many");
        return;
    }
    chare->told[t] = r + 1;
    check_round(test, t, r, call);
}

/* ---- life of chares */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;
    struct chare *chare = chare_find(test, call->self);

    if (chare == NULL || chare->exists) {
        SIM_WRONG(test->job, "a chare that should not be");
        return CHARE_ERR_INVALID;
    }
    chare->exists = true;
    chare->pe = chare_my_pe(call->runtime);
    *object_out = chare;
    return CHARE_OK;
}

/* ---- chares that enlist themselves */

static void
enlist(void *object, const chare_call *call, void *context)
{
    struct chare *chare = object;
    struct test *test = context;
    uint32_t range[2]; /* of targets */

    memcpy(range, call->bytes, sizeof(range));
    for (uint32_t t = range[0]; t < range[0] + range[1]; t++) {
        if (sim_enlists(t, chare->number)) {
            for (uint64_t i = 1 + sim_below(test->job, 2); i > 0; i--) {
                SIM_OK(test->job,
                       chare_section_enlist(call->runtime, &chare->self,
                                            test->targets[t].id));
            }
        }
    }
}

static void
created(const chare_call *call, void *context)
{
    struct test *test = context;
    const struct target *target = &test->targets[call->argument];
    uint64_t size = 0;

    SIM_OK(test->job, chare_section_size(call->runtime, target->id, &size));
    if (size != target->count) {
        SIM_WRONG(test->job, "a section of %" PRIu64 " instead of %u", size,
                  target->count);
    }
    test->created++;
}

/* All have enlisted: argument is the parent and the first and their number. */
static void
enlisted(const chare_call *call, void *context)
{
    struct test *test = context;
    const uint32_t parent = (uint32_t)(call->argument / 10000);
    const uint32_t first = (uint32_t)(call->argument / 100 % 100);
    const uint32_t count = (uint32_t)(call->argument % 100);
    const chare_callback callback = chare_callback_function(
        test->function_created, chare_my_pe(call->runtime), first);

    SIM_OK(test->job,
           chare_section_close(call->runtime, test->targets[first].id, count,
                               test->targets[parent].id, &callback));
}

/* ---- making things */

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    static const char *const names[TYPES] = {"Left", "RightHand"};
    struct test *test = job->test;
    bool ok = true;

    for (uint32_t i = 0; i < TYPES; i++) {
        const chare_type_ops ops = {
            .size = sizeof(ops), .name = names[i], .create = create};

        ok = ok &&
             chare_type_register(runtime, &ops, test, &test->type[i]) ==
                 CHARE_OK &&
             chare_entry_register(runtime, test->type[i], "hear", hear, test,
                                  &test->entry_hear[i]) == CHARE_OK &&
             chare_entry_register(runtime, test->type[i], "work", work, test,
                                  &test->entry_work[i]) == CHARE_OK &&
             chare_entry_register(runtime, test->type[i], "told", told, test,
                                  &test->entry_told[i]) == CHARE_OK &&
             chare_entry_register(runtime, test->type[i], "enlist", enlist,
                                  test, &test->entry_enlist[i]) == CHARE_OK;
    }
    return ok &&
           chare_function_register(runtime, "ended", ended, test,
                                   &test->function_ended) == CHARE_OK &&
           chare_function_register(runtime, "told", function_told, test,
                                   &test->function_told) == CHARE_OK &&
           chare_function_register(runtime, "enlisted", enlisted, test,
                                   &test->function_enlisted) == CHARE_OK &&
           chare_function_register(runtime, "created", created, test,
                                   &test->function_created) == CHARE_OK;
}

/* ---- calls */

static void
call_once(struct test *test)
{
    struct sim_job *job = test->job;
    const uint32_t t = (uint32_t)sim_below(job, test->target_count);
    const uint32_t type = sim_type_for(test, &test->targets[t]);
    const uint64_t n = test->call_count;
    struct call *call = &test->calls[n];
    unsigned char bytes[3000];
    const size_t len = 8 + sim_below(job, sim_below(job, 4) == 0 ? 2990 : 60);
    const chare_data data = chare_data_bytes(bytes, len);
    chare_send_options options = {.size = sizeof(options)};
    chare_callback reply;

    test->call_count++;
    *call = (struct call){
        .target = t,
        .pe = (uint32_t)sim_below(job, job->pe_count),
        .priority = (int16_t)(sim_below(job, 4) == 0 ? -1 : 0),
        .wants_answer = sim_below(job, 2) == 0,
    };
    call->gather = call->wants_answer && sim_below(job, 2) == 0;
    reply = chare_callback_function(
        test->function_ended, (uint32_t)sim_below(job, job->pe_count), n);
    options.priority = call->priority;
    options.gather = call->gather;
    options.reply = call->wants_answer ? &reply : NULL;
    sim_fill(bytes, n, len);
    SIM_OK(job, chare_broadcast(sim_rt(job, call->pe), test->targets[t].id,
                                test->entry_hear[type], &data, &options));
}

/* ---- a run */

static void
check_end(struct test *test)
{
    for (uint32_t n = 0; n < test->call_count; n++) {
        const struct call *call = &test->calls[n];

        if (call->executed_count != test->targets[call->target].count ||
            call->answered != call->wants_answer) {
            SIM_WRONG(test->job, "call %u of target %u: %u of %u, told %u", n,
                      call->target, call->executed_count,
                      test->targets[call->target].count, call->answered);
        }
    }
    for (uint32_t t = 0; t < test->target_count; t++) {
        const struct target *target = &test->targets[t];

        for (uint32_t r = 0; r < ROUNDS; r++) {
            const uint32_t want = target->count == 0 ? 0
                                  : target->rounds[r].what == ALL_SUM
                                      ? target->count
                                      : 1;

            if (target->rounds[r].told != want) {
                SIM_WRONG(test->job, "round %u of target %u told %u of %u", r,
                          t, target->rounds[r].told, want);
            }
        }
    }
    if (test->created != test->created_want) {
        SIM_WRONG(test->job, "%u of %u sections were made", test->created,
                  test->created_want);
    }
}

static void
steps(struct sim_job *job, uint64_t max)
{
    sim_job_steps(job, sim_below(job, max));
}

static bool
start(struct test *test, struct sim_job *job, uint64_t seed,
      const struct sim_options *options)
{
    memset(test, 0, sizeof(*test));
    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return false;
    }
    for (uint64_t n = 1 + sim_below(job, SETS_MAX); n > 0; n--) {
        sim_set_create(test);
        steps(job, 20);
    }
    return true;
}

static void
run(struct test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options)
{
    uint32_t sparse_next = 0;

    if (!start(test, job, seed, options)) {
        return;
    }
    for (uint32_t i = 0; i < test->set_count; i++) {
        sim_target_start(test, &test->targets[i]);
    }
    while (job->wrong[0] == '\0' &&
           (test->call_count < CALLS_MAX || sparse_next < test->set_count)) {
        if (test->target_count < TARGETS_MAX && sim_below(job, 3) == 0) {
            sim_section_create(test);
        }
        if (sparse_next < test->set_count && sim_below(job, 4) == 0) {
            if (test->sets[sparse_next].sparse) {
                sim_set_fill(test, &test->sets[sparse_next]);
            }
            sparse_next++;
        }
        if (test->call_count < CALLS_MAX) {
            call_once(test);
        }
        steps(job, 12);
    }
    sim_job_settle(job);
    check_end(test);
    sim_job_check_clean(job);
}

static struct test the_test;

static void
sections_are_exact(void)
{
    const struct sim_options options = {0};
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&the_test, &job, seed, &options);
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* A section of one chare, made on any PE in one of two ways. */
static void
section_of_one(struct test *test, const struct chare *chare,
               chare_collection *section_out)
{
    const chare_index *index = &chare->self.index;
    chare_slice slices[CHARE_DIMS_MAX];

    if (sim_below(test->job, 2) == 0) {
        SIM_OK(test->job,
               chare_section_create(sim_any(test->job), &chare->self, 1, NULL,
                                    section_out));
        return;
    }
    for (uint32_t i = 0; i < index->ndims; i++) {
        slices[i] = (chare_slice){
            .from = index->at[i],
            .to = index->at[i] + 1,
            .step = 1,
            .has_from = true,
            .has_to = true,
        };
    }
    SIM_OK(test->job,
           chare_section_slice(sim_any(test->job), chare->self.collection,
                               slices, index->ndims, NULL, section_out));
}

/* A chare contributes to a section, made on a random PE, that it is not in. */
static void
strangers_are_refused(void)
{
    const struct sim_options options = {.pes_max = 8, .quiet = true};
    uint32_t refused_at_once = 0;
    uint32_t refused_later = 0;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        const chare_callback nowhere = {.kind = CHARE_CALLBACK_NONE};
        const struct chare *chare = &the_test.chares[0];
        chare_collection section;
        chare_status status;

        if (start(&the_test, &job, seed, &options) &&
            the_test.chare_count > 1) {
            sim_job_settle(&job);
        }
        if (chare[0].exists && chare[1].exists) {
            section_of_one(&the_test, &chare[1], &section);
            steps(&job, 30);
            status = chare_section_contribute(
                sim_rt(&job, chare->pe), &chare->self, section,
                CHARE_REDUCE_NOP, NULL, &nowhere);
            sim_job_settle(&job);
            CHECK(status == CHARE_OK || status == CHARE_ERR_NOT_FOUND);
            refused_at_once += status != CHARE_OK;
            refused_later +=
                status == CHARE_OK && sim_rt(&job, chare->pe)->pe->ended;
            CHECK_EQ(status == CHARE_OK, sim_rt(&job, chare->pe)->pe->ended);
        }
        sim_job_close(&job);
    }
    CHECK(refused_at_once > 5 && refused_later > 5);
}

static void
planted_bugs_are_seen(void)
{
    static const struct {
        enum chi_sim_bug bug;
        enum chi_handler handler;
    } bugs[] = {
        {CHI_SIM_BUG_DROP, CHI_HANDLER_ENLIST},
        {CHI_SIM_BUG_DROP, CHI_HANDLER_ROLL},
        {CHI_SIM_BUG_DROP, CHI_HANDLER_SECTION},
        {CHI_SIM_BUG_DROP, CHI_HANDLER_REDUCE},
        {CHI_SIM_BUG_DROP, CHI_HANDLER_BROADCAST},
        {CHI_SIM_BUG_SWAP, CHI_HANDLER_BROADCAST},
    };
    enum {
        BUGS = sizeof(bugs) / sizeof(bugs[0])
    };
    uint32_t happened[BUGS] = {0};
    uint32_t seen[BUGS] = {0};
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 40 * BUGS; seed++) {
        const uint32_t kind = (uint32_t)(seed % BUGS);
        const struct sim_options options = {
            .pe_count = 3,
            .bug = bugs[kind].bug,
            .bug_handler = bugs[kind].handler,
            .bug_at = seed % 5,
            .quiet = true,
        };
        bool bug_done;

        run(&the_test, &job, seed, &options);
        bug_done = chi_sim_world_bug_done(job.world);
        happened[kind] += bug_done;
        seen[kind] += bug_done && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    for (uint32_t i = 0; i < BUGS; i++) {
        printf("# bug %u: %u, seen %u\n", i, happened[i], seen[i]);
        CHECK(happened[i] > 10);
        CHECK(bugs[i].bug == CHI_SIM_BUG_DROP ? seen[i] == happened[i]
                                              : seen[i] > 2);
    }
}

/* The model itself is wrong about one member. */
static void
wrong_members_are_seen(void)
{
    const struct sim_options options = {.pe_count = 4, .quiet = true};
    uint32_t tried = 0;
    uint32_t seen = 0;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        if (start(&the_test, &job, seed, &options) &&
            the_test.chare_count > 1 && !the_test.sets[0].sparse) {
            struct target *target = sim_target_add(&the_test, true);

            sim_section_named(&the_test, target);
            target->member[0] = !target->member[0];
            sim_target_start(&the_test, target);
            sim_job_settle(&job);
            check_end(&the_test);
            tried++;
            seen += job.wrong[0] != '\0';
        }
        sim_job_close(&job);
    }
    CHECK(tried > 10 && seen == tried);
}

TAP_MAIN(TAP_CASE(sections_are_exact), TAP_CASE(strangers_are_refused),
         TAP_CASE(planted_bugs_are_seen), TAP_CASE(wrong_members_are_seen))
