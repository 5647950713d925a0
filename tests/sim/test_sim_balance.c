/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_balance.c - chares are balanced while messages fly.
 *
 * Goal:   each chare that said that it may be balanced goes on exactly once in
 *         each session, when all that moves has arrived; nobody is lost; work
 *         ends where the strategy wants it; a chare that cannot move stays and
 *         holds nobody up; the strategy may change at any time, on one PE
 *         after the other.
 * Method: an array whose chares say what they cost. They send each other
 *         calls, and some are moved by the user meanwhile. Several sessions,
 *         every strategy by turns, a random order of everything.
 */
#include "config.h"

#include "lb/strategies/strategy.h"
#include "sim_balance.h"

enum {
    SEEDS = 300,
    SEED_OF_MISSED = 2849,
    CHARES_MAX = 60,
    SESSIONS = 3,
};

struct test;

struct one {
    struct test *test;
    int64_t at;
    bool follows; /* it is of the bound array */
    bool stays;   /* its movable hook says no */
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entry_go;
    uint32_t entry_call;
    uint32_t entry_resume;
    uint32_t chares;
    chare_collection array;

    /* Chare i of the bound array counts as number chares + i. */
    uint32_t bound_type;
    uint32_t bound_go;
    uint32_t bound_resume;
    chare_collection bound;
    bool meddle; /* the user moves chares, too */
    bool some_stay;
    bool binds;    /* another array to this one */
    bool counts;   /* who calls whom */
    bool switches; /* the user changes the strategy of PEs, one by one */
    uint32_t resumed[CHARES_MAX];
    uint32_t synced[CHARES_MAX];
    uint32_t here[CHARES_MAX];     /* how many objects of a chare there are */
    uint32_t talked[SESSIONS + 1]; /* calls on others, before each session */
    uint32_t calls_made;
    uint32_t calls_done;
};

static uint32_t
count_of(const struct test *test)
{
    return test->binds ? 2 * test->chares : test->chares;
}

static struct one *
one_new(struct test *test, const chare_call *call, bool follows)
{
    struct one *one = calloc(1, sizeof(*one));

    one->test = test;
    one->at = call->self->index.at[0] + (follows ? test->chares : 0);
    one->follows = follows;
    one->stays = test->some_stay && one->at % 7 == 0;
    test->here[one->at]++;
    return one;
}

static chare_status
one_create(const chare_call *call, void *context, void **object_out)
{
    *object_out = one_new(context, call, false);
    return CHARE_OK;
}

static chare_status
bound_create(const chare_call *call, void *context, void **object_out)
{
    *object_out = one_new(context, call, true);
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
    chare_put_int(encoder, one->stays);
    return encoder->status;
}

static bool
one_movable(void *object, void *context)
{
    (void)context;
    return !((const struct one *)object)->stays;
}

static void
meet(const struct one *one, const chare_call *call)
{
    struct test *test = one->test;
    const chare_callback resume = chare_callback_element(
        *call->self, one->follows ? test->bound_resume : test->entry_resume);

    test->synced[one->at]++;
    SIM_OK(test->job,
           chare_lb_set_load(call->runtime, call->self,
                             sim_balance_work(test->chares, one->at)));
    SIM_OK(test->job, chare_at_sync(call->runtime, call->self, &resume));
}

/* The user takes another strategy, some time on each PE. */
static void
use_another(struct sim_job *job)
{
    static const char *const names[] = {
        "greedy",    "greedy-refine", "rotate", "gossip", "tree",
        "diffusion", "hierarchical",  "auto",   "none",   ""};

    SIM_OK(job, chare_lb_use(
                    sim_any(job),
                    names[sim_below(job, sizeof(names) / sizeof(names[0]))]));
}

/* Some calls to others, and maybe a move of another. */
static void
stir(const struct one *one, chare_runtime *runtime)
{
    struct test *test = one->test;
    struct sim_job *job = test->job;

    for (uint64_t n = sim_below(job, 3); n > 0; n--) {
        const chare_element target = chare_element_1d(
            test->array, (int64_t)sim_below(job, test->chares));

        test->calls_made++;
        test->talked[test->resumed[one->at]] +=
            one->follows || target.index.at[0] != one->at;
        SIM_OK(job,
               chare_send(runtime, &target, test->entry_call, NULL, NULL));
    }
    if (test->meddle && sim_below(job, 4) == 0) {
        const chare_element target = chare_element_1d(
            test->array, (int64_t)sim_below(job, test->chares));

        SIM_OK(job, chare_migrate(runtime, &target,
                                  (uint32_t)sim_below(job, job->pe_count)));
    }
    if (test->switches && sim_below(job, 2) == 0) {
        use_another(job);
    }
}

static void
one_go(void *object, const chare_call *call, void *context)
{
    struct one *one = object;

    (void)context;
    stir(one, call->runtime);
    meet(one, call);
}

static void
one_call(void *object, const chare_call *call, void *context)
{
    struct one *one = object;

    (void)call;
    (void)context;
    one->test->calls_done++;
}

static void
one_resume(void *object, const chare_call *call, void *context)
{
    struct one *one = object;
    struct test *test = one->test;

    (void)context;
    /* One that the user moves is on no PE meanwhile, and is not waited for. */
    sim_balance_resumed(test->job, one->at, test->resumed, test->synced,
                        test->meddle ? 0 : count_of(test));
    stir(one, call->runtime);
    if (test->resumed[one->at] < SESSIONS) {
        meet(one, call);
    }
}

static chare_status
one_unpack(const chare_call *call, void *context, void **object_out)
{
    return one_create(call, context, object_out);
}

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

    const chare_type_ops bound = {
        .size = sizeof(bound),
        .name = "Bound",
        .create = bound_create,
        .destroy = one_destroy,
        .pack = one_pack,
        .unpack = bound_create,
        .movable = one_movable,
    };

    return chare_type_register(runtime, &bound, test, &test->bound_type) ==
               CHARE_OK &&
           chare_entry_register(runtime, test->bound_type, "go", one_go, NULL,
                                &test->bound_go) == CHARE_OK &&
           chare_entry_register(runtime, test->bound_type, "resume",
                                one_resume, NULL,
                                &test->bound_resume) == CHARE_OK &&
           chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "go", one_go, NULL,
                                &test->entry_go) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", one_call, NULL,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "resume", one_resume,
                                NULL, &test->entry_resume) == CHARE_OK;
}

static bool
start(struct test *test, struct sim_job *job, uint64_t seed,
      const struct chi_lb_strategy *strategy)
{
    const struct sim_options options = {.pes_max = 12};
    chare_array_options array = {
        .size = sizeof(array),
        .ndims = 1,
        .dense = true,
        .at_sync = true,
    };

    test->job = job;
    if (!sim_job_open(job, seed, &options, register_all, test)) {
        return false;
    }
    sim_balance_use(job, strategy->name);
    for (uint32_t pe = 0; test->counts && pe < job->pe_count; pe++) {
        SIM_OK(job, chare_lb_count_calls(sim_rt(job, pe), 1));
    }
    test->chares =
        1 + (uint32_t)sim_below(job, CHARES_MAX / (test->binds ? 2 : 1) - 1);
    array.type = test->type;
    array.dims[0] = test->chares;
    SIM_OK(job, chare_array_create(sim_any(job), &array, NULL, &test->array));
    if (test->binds) {
        test->bound =
            sim_balance_bind(job, test->bound_type, test->array, true);
        sim_job_settle(job);
    }
    return true;
}

static void
run(struct test *test, struct sim_job *job)
{
    SIM_OK(job, chare_broadcast(sim_any(job), test->array, test->entry_go,
                                NULL, NULL));
    if (test->binds) {
        SIM_OK(job, chare_broadcast(sim_any(job), test->bound, test->bound_go,
                                    NULL, NULL));
    }
    sim_job_settle(job);
    for (uint32_t i = 0; i < count_of(test); i++) {
        if (test->resumed[i] != SESSIONS || test->here[i] != 1) {
            SIM_WRONG(job, "chare %u: resumed %u times, there are %u", i,
                      test->resumed[i], test->here[i]);
        }
    }
    if (test->calls_done != test->calls_made) {
        SIM_WRONG(job, "%u of %u calls were executed", test->calls_done,
                  test->calls_made);
    }
    sim_job_check_clean(job);
}

/* The work of the PE that has most, over what it would be at best. */
static void
check_balance(struct test *test, struct sim_job *job)
{
    const double most =
        sim_balance_most(job, test->array, test->chares, false);
    double all = 0;

    for (uint32_t i = 0; i < test->chares; i++) {
        all += sim_balance_work(test->chares, i);
    }
    /* One object more than it would be at best. */
    if (most > all / job->pe_count + 4) {
        SIM_WRONG(job, "a PE has %g of %g on %u PEs", most, all,
                  job->pe_count);
    }
}

static const struct chi_lb_strategy *
strategy_of(uint64_t seed)
{
    static const struct chi_lb_strategy *const all[] = {
        &chi_lb_greedy,       &chi_lb_greedy_refine, &chi_lb_refine,
        &chi_lb_hierarchical, &chi_lb_gossip,        &chi_lb_tree,
        &chi_lb_diffusion,    &chi_lb_rotate,        &chi_lb_random,
        &chi_lb_none,
    };

    return all[seed % (sizeof(all) / sizeof(all[0]))];
}

/* Chares that are bound follow; rotate moves all of the others each time. */
static void
check_bound(struct test *test, struct sim_job *job)
{
    uint64_t arrived = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        chare_lb_report report = {.size = sizeof(report)};

        chare_lb_report_get(sim_rt(job, pe), &report);
        arrived += report.arrived;
    }
    if (arrived != (job->pe_count == 1 ? 0 : 2 * SESSIONS * test->chares)) {
        SIM_WRONG(job, "%" PRIu64 " arrivals of %u chares", arrived,
                  test->chares);
    }
}

static void
sessions_of(uint64_t seed, bool meddle, bool some_stay, bool binds,
            bool switches)
{
    const struct chi_lb_strategy *strategy = strategy_of(seed);
    struct test test = {.meddle = meddle,
                        .some_stay = some_stay,
                        .binds = binds,
                        .switches = switches};
    struct sim_job job;

    if (start(&test, &job, seed, strategy)) {
        run(&test, &job);
        if (!meddle && !some_stay && !binds && !switches && seed % 10 < 7) {
            check_balance(&test, &job);
        } else if (binds && !meddle && !switches &&
                   strategy == &chi_lb_rotate) {
            check_bound(&test, &job);
        }
    }
    sim_job_close(&job);
    SIM_CHECK(&job, job.wrong[0] == '\0');
}

/* Whatever PEs the two are on, and whoever has moved: each call is counted
 * once, in the session that comes next. */
static void
check_talk(const struct test *test, struct sim_job *job)
{
    chare_lb_report report = {.size = sizeof(report)};

    chare_lb_report_get(sim_rt(job, 0), &report);
    if (report.talk_messages != test->talked[SESSIONS - 1] ||
        report.talk_lost != 0 ||
        report.talk_bytes < 48 * report.talk_messages) {
        SIM_WRONG(job, "%g calls of %g bytes counted, %g lost; there were %u",
                  report.talk_messages, report.talk_bytes, report.talk_lost,
                  test->talked[SESSIONS - 1]);
    }
    if (report.hops_after < report.cut_after ||
        report.hops_before < report.cut_before ||
        report.cut_before > report.talk_bytes) {
        SIM_WRONG(job, "cut %g of %g, hops %g; then %g, %g", report.cut_before,
                  report.talk_bytes, report.hops_before, report.cut_after,
                  report.hops_after);
    }
}

static void
who_talks_to_whom_is_counted(void)
{
    static const struct chi_lb_strategy *const all[] = {
        &chi_lb_greedy, &chi_lb_graph, &chi_lb_scotch,
        &chi_lb_gossip, &chi_lb_tree,  &chi_lb_random,
    };

    /* All sessions are dumped, those without a central step by pieces. */
    setenv("CHARE_LB_DUMP", "/dev/null", 1);
    SIM_EACH_SEED(seed, SEEDS / 2)
    {
        const struct chi_lb_strategy *strategy =
            all[seed % (sizeof(all) / sizeof(all[0]))];
        struct test test = {.counts = true, .binds = seed % 4 == 0};
        struct sim_job job;

        if (start(&test, &job, seed, strategy)) {
            run(&test, &job);
            if (strategy->spread == CHI_LB_CENTRAL) {
                check_talk(&test, &job);
            }
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    unsetenv("CHARE_LB_DUMP");
}

static void
sessions(bool meddle, bool some_stay, bool binds, bool switches)
{
    SIM_EACH_SEED(seed, SEEDS)
    {
        sessions_of(seed, meddle, some_stay, binds, switches);
    }
}

static void
all_go_on_and_are_balanced(void)
{
    sessions(false, false, false, false);
}

static void
with_moves_of_the_user(void)
{
    sessions(true, false, false, false);
}

/* In this one a chare is on no PE when a session takes place. */
static void
a_session_is_missed(void)
{
    sessions_of(SEED_OF_MISSED, true, false, false, false);
}

static void
with_chares_that_stay(void)
{
    sessions(false, true, false, false);
}

static void
with_bound_chares(void)
{
    sessions(false, false, true, false);
}

static void
with_bound_chares_that_stay(void)
{
    sessions(true, true, true, false);
}

static void
with_strategies_that_change(void)
{
    sessions(false, false, false, true);
    sessions(true, true, true, true);
}

TAP_MAIN(TAP_CASE(who_talks_to_whom_is_counted),
         TAP_CASE(all_go_on_and_are_balanced),
         TAP_CASE(with_moves_of_the_user), TAP_CASE(a_session_is_missed),
         TAP_CASE(with_chares_that_stay), TAP_CASE(with_bound_chares),
         TAP_CASE(with_bound_chares_that_stay),
         TAP_CASE(with_strategies_that_change))
