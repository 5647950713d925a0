/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_timed.c - chares are balanced that have not asked for it.
 *
 * Goal:   while PE 0 balances by the clock, each call is executed once;
 *         nobody is lost, or moved who cannot or may not; sessions end
 *         although some chares cannot go, are moved by the user, or cease to
 *         exist; chares that say AtSync go on exactly once for each time;
 *         quiescence is told, and not early; nothing of it stays behind (T1 to
 *         T7 of timed.c), also where the strategy changes meanwhile, on one PE
 *         after the other. An automatic one leaves alone what is balanced, and
 *         mends what is not.
 * Method: an array whose chares say what they cost, become unable to move for
 *         a while, are fixed, moved, destroyed; another one with AtSync, and
 *         one that is bound. Lost messages show that the checks see something.
 */
#include "config.h"

#include "lb/lb_private.h"
#include "sim_balance.h"
#include "tap/bare.h"

enum {
    SEEDS = 300,
    CHARES_MAX = 40,
    SYNCED_MAX = 10,
    SYNCS = 3,
    ACTS = 60,
    STEPS_OF_AUTO = 4000,
};

static const double PERIOD_S = 0.001;
static const double TELL_MAX_S = 1e6; /* no job is simulated for so long */

struct test;

struct one {
    struct test *test;
    int64_t at;
    bool stuck; /* its movable hook says no */
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t type_bound;
    uint32_t type_synced;
    uint32_t entry_call;
    uint32_t entry_go;
    uint32_t entry_resume;
    uint32_t function_answer;
    uint32_t function_quiet;
    uint32_t chares;
    uint32_t synced;
    chare_collection array;
    chare_collection bound;
    chare_collection synced_array;
    bool meddles;  /* the user moves chares, and destroys some */
    bool switches; /* the user changes the strategy of PEs, one by one */
    bool even;     /* all cost the same, and nothing happens to them */
    uint32_t here[CHARES_MAX];
    bool destroyed[CHARES_MAX];
    bool fixed[CHARES_MAX];
    bool was_moved[CHARES_MAX]; /* by the user */
    uint32_t wishes[CHARES_MAX];
    uint32_t wished[CHARES_MAX]; /* on this PE */
    uint64_t been[CHARES_MAX];   /* on these PEs since; a bit for each */
    bool was_stuck[CHARES_MAX];
    uint32_t now_on[CHARES_MAX];
    uint32_t home[CHARES_MAX]; /* PE of the first object + 1 */
    uint32_t synced_times[SYNCED_MAX];
    uint32_t resumed_times[SYNCED_MAX];
    uint32_t calls_made;
    uint32_t calls_done;
    uint32_t answers;
    uint32_t quiet_asked;
    uint32_t quiet_told;
};

static double
work_of(const struct test *test, int64_t at)
{
    return test->even ? 1 : sim_balance_work(test->chares, at);
}

/* ---- the chares that are balanced by the clock */

static struct one *
one_new(struct test *test, const chare_call *call)
{
    struct one *one = calloc(1, sizeof(*one));
    const uint32_t pe = chare_my_pe(call->runtime);

    one->test = test;
    one->at = call->self->index.at[0];
    test->now_on[one->at] = pe;
    test->been[one->at] |= (uint64_t)1 << pe;
    if (++test->here[one->at] > 1) {
        SIM_WRONG(test->job, "chare %d exists twice", (int)one->at);
    }
    if (test->home[one->at] == 0) {
        test->home[one->at] = pe + 1;
    } else if (test->fixed[one->at] && !test->was_moved[one->at] &&
               test->home[one->at] != pe + 1) {
        SIM_WRONG(test->job, "chare %d moved, which is fixed", (int)one->at);
    }
    return one;
}

static chare_status
one_create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;
    struct one *one = one_new(test, call);

    if (!test->even && sim_below(test->job, 5) == 0) {
        test->fixed[one->at] = true;
        SIM_OK(test->job,
               chare_set_migratable(call->runtime, call->self, false));
    }
    SIM_OK(test->job, chare_lb_set_load(call->runtime, call->self,
                                        work_of(test, one->at)));
    *object_out = one;
    return CHARE_OK;
}

static void
one_destroy(void *object, void *context)
{
    struct one *one = object;

    (void)context;
    one->test->here[one->at]--;
    free(one);
}

static chare_status
one_pack(void *object, void *context, chare_encoder *encoder)
{
    const struct one *one = object;

    (void)context;
    if (one->stuck) {
        SIM_WRONG(one->test->job, "chare %d is packed, and cannot move",
                  (int)one->at);
    }
    chare_put_int(encoder, one->at);
    return encoder->status;
}

static chare_status
one_unpack(const chare_call *call, void *context, void **object_out)
{
    *object_out = one_new(context, call);
    return CHARE_OK;
}

static bool
one_movable(void *object, void *context)
{
    (void)context;
    return !((const struct one *)object)->stuck;
}

static void
make_call(struct test *test, chare_runtime *runtime)
{
    const chare_element target = chare_element_1d(
        test->array, (int64_t)sim_below(test->job, test->chares));
    const chare_callback reply = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), 0);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &reply};

    test->calls_made++;
    SIM_OK(test->job,
           chare_send(runtime, &target, test->entry_call, NULL, &options));
}

/* What may happen in an entry method. */
static void
one_call(void *object, const chare_call *call, void *context)
{
    struct one *one = object;
    struct test *test = one->test;

    (void)context;
    test->calls_done++;
    if (test->even) {
        return;
    }
    if (chare_is_migratable(call->runtime, call->self) ==
        test->fixed[one->at]) {
        SIM_WRONG(test->job, "chare %d forgot whether it may be moved",
                  (int)one->at);
    }
    if (sim_below(test->job, 2) == 0 && test->calls_made < 2000) {
        make_call(test, call->runtime);
    }
    if (sim_below(test->job, 4) == 0) {
        one->stuck = !one->stuck;
        test->was_stuck[one->at] = true;
        if (!one->stuck && sim_below(test->job, 2) == 0) {
            (void)!chare_migrate_retry(call->runtime, call->self);
        }
    }
}

static void
answered(const chare_call *call, void *context)
{
    (void)call;
    ((struct test *)context)->answers++;
}

static void
quiet(const chare_call *call, void *context)
{
    struct test *test = context;

    (void)call;
    test->quiet_told++;
}

/* ---- those that say AtSync */

static void
synced_meet(struct test *test, const chare_call *call)
{
    const chare_callback resume =
        chare_callback_element(*call->self, test->entry_resume);

    test->synced_times[call->self->index.at[0]]++;
    SIM_OK(test->job, chare_at_sync(call->runtime, call->self, &resume));
}

static void
synced_go(void *object, const chare_call *call, void *context)
{
    (void)object;
    synced_meet(context, call);
}

static void
synced_resume(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    const int64_t at = call->self->index.at[0];

    (void)object;
    sim_balance_resumed(test->job, at, test->resumed_times, test->synced_times,
                        test->synced);
    if (test->resumed_times[at] < SYNCS) {
        synced_meet(test, call);
    }
}

/* ---- a run */

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "One",
        .create = one_create,
        .destroy = one_destroy,
        .pack = one_pack,
        .unpack = one_unpack,
        .movable = one_movable,
    };
    const chare_type_ops others = {
        .size = sizeof(others),
        .name = "Other",
        .create = bare_create,
        .pack = bare_pack,
        .unpack = bare_create,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_type_register(runtime, &others, test, &test->type_bound) ==
               CHARE_OK &&
           chare_type_register(runtime, &others, test, &test->type_synced) ==
               CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", one_call, test,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type_synced, "go", synced_go,
                                test, &test->entry_go) == CHARE_OK &&
           chare_entry_register(runtime, test->type_synced, "resume",
                                synced_resume, test,
                                &test->entry_resume) == CHARE_OK &&
           chare_function_register(runtime, "answered", answered, test,
                                   &test->function_answer) == CHARE_OK &&
           chare_function_register(runtime, "quiet", quiet, test,
                                   &test->function_quiet) == CHARE_OK;
}

static bool
start(struct test *test, struct sim_job *job, uint64_t seed, const char *name,
      const struct sim_options *options)
{
    chare_array_options array = {
        .size = sizeof(array),
        .ndims = 1,
        .dense = true,
    };

    test->job = job;
    if (!sim_job_open(job, seed, options, register_all, test)) {
        return false;
    }
    sim_balance_use(job, name);
    test->chares = 1 + (uint32_t)sim_below(job, CHARES_MAX - 1);
    if (test->even) {
        test->chares = (1 + (uint32_t)sim_below(job, 4)) * job->pe_count;
    }
    array.type = test->type;
    array.dims[0] = test->chares;
    SIM_OK(job, chare_array_create(sim_any(job), &array, NULL, &test->array));
    if (!test->even && sim_below(job, 3) == 0) {
        test->bound =
            sim_balance_bind(job, test->type_bound, test->array, false);
    }
    if (!test->even && sim_below(job, 2) == 0) {
        test->synced = 1 + (uint32_t)sim_below(job, SYNCED_MAX);
        array.type = test->type_synced;
        array.dims[0] = test->synced;
        array.at_sync = true;
        SIM_OK(job, chare_array_create(sim_any(job), &array, NULL,
                                       &test->synced_array));
        SIM_OK(job, chare_broadcast(sim_any(job), test->synced_array,
                                    test->entry_go, NULL, NULL));
    }
    return true;
}

static void
meddle(struct test *test)
{
    struct sim_job *job = test->job;
    const uint32_t which = (uint32_t)sim_below(job, test->chares);
    const chare_element target = chare_element_1d(test->array, which);
    chare_runtime *runtime = sim_any(job);
    const chare_callback nobody = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), 0);

    if (sim_below(job, 8) > 0) {
        test->was_moved[which] = true;
        test->wishes[which]++;
        test->wished[which] = (uint32_t)sim_below(job, job->pe_count);
        test->been[which] = (uint64_t)1 << test->now_on[which];
        SIM_OK(job, chare_migrate(runtime, &target, test->wished[which]));
    } else if (!test->destroyed[which]) {
        test->destroyed[which] = true;
        test->calls_made++; /* it is answered, like them */
        SIM_OK(job, chare_destroy(runtime, &target, &nobody));
    }
}

static void
use_another(struct sim_job *job)
{
    static const char *const names[] = {"greedy", "rotate", "gossip", "tree",
                                        "auto",   "auto",   ""};

    SIM_OK(job, chare_lb_use(
                    sim_any(job),
                    names[sim_below(job, sizeof(names) / sizeof(names[0]))]));
}

static void
act(struct test *test)
{
    struct sim_job *job = test->job;

    switch (sim_below(job, 8)) {
    case 0:
        SIM_OK(job, chare_lb_every(sim_any(job), PERIOD_S));
        break;
    case 1:
        if (test->quiet_asked == test->quiet_told) {
            const chare_callback callback =
                chare_callback_function(test->function_quiet, 0, 0);

            test->quiet_asked++;
            SIM_OK(job, chare_quiescence(sim_any(job), &callback));
        }
        break;
    case 2:
    case 3:
        if (test->meddles) {
            meddle(test);
        }
        break;
    case 4:
        if (test->switches) {
            use_another(job);
            break;
        }
        make_call(test, sim_any(job));
        break;
    default:
        make_call(test, sim_any(job));
        break;
    }
    sim_job_steps(job, sim_below(job, 60));
}

static bool
is_running(const struct sim_job *job)
{
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const chare_runtime *runtime = job->pes[pe].runtime;

        if (runtime->lb->state != CHI_LB_RUNNING ||
            chi_obj_suggestions(runtime->obj) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t
sessions(const struct sim_job *job)
{
    return job->pes[0].runtime->lb->report.sessions;
}

/* All that the clock is for is over. */
static void
check_end(struct test *test)
{
    struct sim_job *job = test->job;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        SIM_OK(job, chare_lb_every(sim_rt(job, pe), 0)); /* behind its own */
    }
    sim_job_settle(job);
    if (!is_running(job)) {
        SIM_WRONG(job, "a session has not ended");
    }
    if (sim_rt(job, 0)->lb->automatic != NULL &&
        sim_rt(job, 0)->lb->automatic->tell_s > TELL_MAX_S) {
        SIM_WRONG(job, "telling takes %g s, it has learnt",
                  sim_rt(job, 0)->lb->automatic->tell_s);
    }
    for (uint32_t i = 0; i < test->chares; i++) {
        if (test->here[i] != !test->destroyed[i]) {
            SIM_WRONG(job, "there are %u of chare %u", test->here[i], i);
        }
        if (test->wishes[i] == 1 && !test->was_stuck[i] &&
            !test->destroyed[i] &&
            (test->been[i] >> test->wished[i] & 1) == 0) {
            SIM_WRONG(job, "the user wished chare %u elsewhere, in vain", i);
        }
    }
    if (test->answers != test->calls_made) {
        SIM_WRONG(job, "%u of %u calls were answered", test->answers,
                  test->calls_made);
    }
    for (uint32_t i = 0; i < test->synced; i++) {
        if (test->resumed_times[i] != SYNCS) {
            SIM_WRONG(job, "chare %u resumed %u times", i,
                      test->resumed_times[i]);
        }
    }
    if (test->quiet_told != test->quiet_asked) {
        SIM_WRONG(job, "quiescence told %u times, asked %u", test->quiet_told,
                  test->quiet_asked);
    }
    sim_job_check_clean(job);
}

static void
run(struct test *test, struct sim_job *job)
{
    for (uint32_t i = 0; i < ACTS && job->wrong[0] == '\0'; i++) {
        act(test);
    }
    check_end(test);
}

static const char *
strategy_of(uint64_t seed)
{
    static const char *const names[] = {"greedy", "rotate", "random",
                                        "gossip", "tree",   "hierarchical",
                                        "refine", "auto"};

    return names[seed % (sizeof(names) / sizeof(names[0]))];
}

static void
all_is_exact(bool meddles, bool switches)
{
    const struct sim_options options = {.pes_max = 12};
    uint64_t all = 0;

    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {.meddles = meddles, .switches = switches};
        struct sim_job job;

        if (start(&test, &job, seed, strategy_of(seed), &options)) {
            run(&test, &job);
            all += sessions(&job);
        }
        if (job.wrong[0] != '\0') {
            printf("# seed %" PRIu64 ": %s\n", seed, job.wrong);
            fflush(stdout); /* what is left may end in an assertion */
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# %" PRIu64 " sessions\n", all);
    CHECK(all > 0 || getenv("TEST_SEED") != NULL);
}

static void
chares_move_between_two_calls(void)
{
    all_is_exact(false, false);
}

static void
with_moves_and_ends_by_the_user(void)
{
    all_is_exact(true, false);
}

static void
with_strategies_that_change(void)
{
    all_is_exact(true, true);
}

/* ---- automatic */

static void
what_is_balanced_is_left_alone(void)
{
    const struct sim_options options = {.pes_max = 8};

    SIM_EACH_SEED(seed, 30)
    {
        struct test test = {.even = true};
        struct sim_job job;
        struct chi_lb *lb;
        chare_lb_report report = {.size = sizeof(report)};

        if (start(&test, &job, seed, "auto", &options)) {
            lb = sim_rt(&job, 0)->lb;
            lb->noise[CHI_LOAD_FREE].level = 1;
            SIM_OK(&job, chare_lb_every(sim_any(&job), PERIOD_S));
            for (uint32_t i = 0; i < STEPS_OF_AUTO; i++) {
                (void)sim_job_step(&job);
            }
            chare_lb_report_get(sim_rt(&job, 0), &report);
            check_end(&test);
            if (lb->automatic->doubt > 0 ||
                lb->noise[CHI_LOAD_FREE].level > 0) {
                SIM_WRONG(&job, "costs that chares say are noisy"); /* N3 */
            }
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
        CHECK(report.looks >= 5);
        CHECK_EQ(report.sessions, 0);
        CHECK_EQ(report.moves, 0);
    }
}

static void
what_is_not_is_mended_once(void)
{
    const struct sim_options options = {.pe_count = 4};

    SIM_EACH_SEED(seed, 30)
    {
        struct test test = {.even = true};
        struct sim_job job;
        chare_lb_report report = {.size = sizeof(report)};

        if (start(&test, &job, seed, "auto", &options)) {
            sim_job_settle(&job);
            for (uint32_t i = 0; i < test.chares; i++) {
                const chare_element element = chare_element_1d(test.array, i);

                SIM_OK(&job, chare_migrate(sim_rt(&job, 0), &element, 0));
            }
            sim_job_settle(&job);
            SIM_OK(&job, chare_lb_every(sim_any(&job), PERIOD_S));
            for (uint32_t i = 0; i < STEPS_OF_AUTO; i++) {
                (void)sim_job_step(&job);
            }
            chare_lb_report_get(sim_rt(&job, 0), &report);
            check_end(&test);
            if (sim_balance_most(&job, test.array, test.chares, true) >
                test.chares / 4.0) {
                SIM_WRONG(&job, "a PE has more than its share");
            }
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
        CHECK_EQ(report.sessions, 1);
        CHECK_EQ(report.moves, test.chares * 3 / 4);
        CHECK(report.looks >= 3);
        CHECK(report.gain > report.cost);
    }
}

/* ---- planted bugs */

static void
lost_messages_are_seen(void)
{
    uint32_t done = 0;
    uint32_t seen = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        const struct sim_options options = {
            .pe_count = 4,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = CHI_HANDLER_LB,
            .bug_at = 3 + seed % 40,
            .quiet = true,
        };
        struct test test = {.meddles = true};
        struct sim_job job;
        bool bug_done;

        if (start(&test, &job, seed, "rotate", &options)) {
            run(&test, &job);
        }
        bug_done = chi_sim_world_bug_done(job.world);
        done += bug_done;
        seen += bug_done && job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    printf("# %u, seen %u\n", done, seen);
    CHECK(done > 20);
    CHECK(seen * 10 >= done * 9);
}

TAP_MAIN(TAP_CASE(chares_move_between_two_calls),
         TAP_CASE(with_moves_and_ends_by_the_user),
         TAP_CASE(with_strategies_that_change),
         TAP_CASE(what_is_balanced_is_left_alone),
         TAP_CASE(what_is_not_is_mended_once),
         TAP_CASE(lost_messages_are_seen))
