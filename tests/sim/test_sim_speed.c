/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_speed.c - PEs of unequal and changing speed get work in proportion.
 *
 * Goal:   a job finds out how fast its PEs are, in units of PE 0's at first,
 *         and by each strategy gives work in proportion, also after speeds
 *         have changed; where they stay, chares cease to move. PEs that
 *         outnumber the processors that they share are alike, whatever share
 *         of them each gets in a period, also where the sets of processors
 *         that they may use overlap in part; who has one alone gets more.
 * Method: chares say that they cost the same, and AtSync several times; what
 *         a fixed piece of work takes on each PE is made up, with some noise.
 *         A job whose PEs are not asked shows that the check sees something.
 */
#include "config.h"

#include <math.h>

#include "lb/lb_private.h"
#include "sim_job.h"
#include "tap/bare.h"

enum {
    SEEDS = 150,
    PES = 8,
    CHARES_A_PE = 24,
    TRIPLE = 3,
    SYNCS = 5, /* before and after the change */
};

static const double PIECE_NS = 10000;
static const double NOISE = 0.01;

struct test;

struct pace {
    struct test *test;
    uint32_t pe;
    struct chi_speed_source source;
    double pace;
    uint64_t ran_ns;
    uint64_t waited_ns;
};

struct test {
    struct sim_job *job;
    struct pace paces[PES];
    double unit;   /* the pace of speed 1 */
    bool shares;   /* the kernel tells what share each PE gets: by chance */
    bool knows;    /* PEs know that there are too few processors */
    bool mixed;    /* only each second PE shares its processor */
    bool overlaps; /* three PEs of a node have two: {0}, {0,1}, {1} */
    bool withheld; /* nobody is told which sets those are */
    struct chi_cpus cpus[PES]; /* of which 'overlaps' is */
    uint32_t type;
    uint32_t entry_go;
    uint32_t entry_resume;
    chare_collection array;
    uint32_t chares;
    uint32_t left[PES * CHARES_A_PE]; /* times to say AtSync */
};

/* So many PEs share so many processors, this one included. */
static struct chi_crowd
crowd_of(const struct test *test, uint32_t pe)
{
    const uint64_t node = sim_rt(test->job, pe)->place.node_id;
    const uint32_t first = pe - pe % TRIPLE;
    uint32_t here = 0;

    if (!test->overlaps) {
        return (struct chi_crowd){test->mixed && pe % 2 == 0 ? 1 : 2, 1};
    }
    for (uint32_t i = first; i < first + TRIPLE && i < test->job->pe_count;
         i++) {
        here += sim_rt(test->job, i)->place.node_id == node;
    }
    return here == TRIPLE ? (struct chi_crowd){TRIPLE, TRIPLE - 1}
                          : (struct chi_crowd){1, 1};
}

static double
piece_ns(void *context)
{
    const struct pace *pace = context;
    const double shift = (double)sim_below(pace->test->job, 1001) / 500 - 1;

    return PIECE_NS / (pace->test->shares ? 1 : pace->pace) *
           (1 + NOISE * shift);
}

static bool
no_share(void *context, uint64_t *ran_ns, uint64_t *waited_ns)
{
    (void)context;
    (void)ran_ns;
    (void)waited_ns;
    return false;
}

/* Each time it is asked, much time has passed. */
static bool
any_share(void *context, uint64_t *ran_ns, uint64_t *waited_ns)
{
    struct pace *pace = context;
    const uint64_t ran_ms = crowd_of(pace->test, pace->pe).pes == 1
                                ? 1000
                                : 200 + sim_below(pace->test->job, 800);

    pace->ran_ns += ran_ms * CHI_NS_PER_MS;
    pace->waited_ns += (1000 - ran_ms) * CHI_NS_PER_MS;
    *ran_ns = pace->ran_ns;
    *waited_ns = pace->waited_ns;
    return true;
}

static void
draw_paces(struct test *test)
{
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        const struct chi_crowd crowd = crowd_of(test, pe);

        test->paces[pe].pace =
            test->shares ? (double)crowd.processors / crowd.pes
                         : 0.5 + (double)sim_below(test->job, 100) / 66;
    }
}

/* ---- chares */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;

    SIM_OK(test->job, chare_lb_set_load(call->runtime, call->self, 1));
    *object_out = test;
    return CHARE_OK;
}

static void
meet(struct test *test, const chare_call *call)
{
    const chare_callback resume =
        chare_callback_element(*call->self, test->entry_resume);

    if (test->left[call->self->index.at[0]]-- > 0) {
        SIM_OK(test->job, chare_at_sync(call->runtime, call->self, &resume));
    }
}

static void
go(void *object, const chare_call *call, void *context)
{
    struct test *test = context;

    (void)object;
    test->left[call->self->index.at[0]] = SYNCS;
    meet(test, call);
}

static void
resumed(void *object, const chare_call *call, void *context)
{
    (void)object;
    meet(context, call);
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "One",
        .create = create,
        .pack = bare_pack,
        .unpack = bare_create,
    };

    return chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "go", go, test,
                                &test->entry_go) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "resume", resumed, test,
                                &test->entry_resume) == CHARE_OK;
}

/* ---- a run */

static bool
start(struct test *test, struct sim_job *job, uint64_t seed, const char *name,
      bool asks)
{
    const struct sim_options options = {
        .pes_max = PES,
        .cpus = test->overlaps && !test->withheld ? test->cpus : NULL,
    };
    chare_array_options array = {
        .size = sizeof(array),
        .ndims = 1,
        .dense = true,
        .at_sync = true,
    };

    test->job = job;
    for (uint32_t pe = 0; pe < PES; pe++) {
        const uint32_t cpu = pe / TRIPLE * (TRIPLE - 1);

        chi_cpus_add(&test->cpus[pe], cpu + (pe % TRIPLE == 2));
        chi_cpus_add(&test->cpus[pe], cpu + (pe % TRIPLE != 0));
    }
    if (!sim_job_open(job, seed, &options, register_all, test)) {
        return false;
    }
    draw_paces(test);
    test->unit = test->knows ? 1 : test->paces[0].pace;
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        struct pace *pace = &test->paces[pe];

        pace->test = test;
        pace->pe = pe;
        pace->source = (struct chi_speed_source){
            piece_ns, test->shares ? any_share : no_share, pace};
        if (test->knows && !test->overlaps) {
            const struct chi_crowd crowd = crowd_of(test, pe);

            chi_lb_crowd(sim_rt(job, pe)->lb, crowd.processors, crowd.pes);
        }
        SIM_OK(job, chare_lb_use(sim_rt(job, pe), name));
        if (asks) {
            chi_lb_measure_speed_by(sim_rt(job, pe)->lb, &pace->source);
        }
    }
    test->chares = CHARES_A_PE * job->pe_count;
    array.type = test->type;
    array.dims[0] = test->chares;
    SIM_OK(job, chare_array_create(sim_any(job), &array, NULL, &test->array));
    sim_job_settle(job);
    return job->wrong[0] == '\0';
}

/* Seconds of a PE, and of all if they could be cut. */
static void
check_shares(struct test *test)
{
    struct sim_job *job = test->job;
    double paces = 0;
    double best;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        paces += test->paces[pe].pace;
    }
    best = test->chares / paces;
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const double pace = test->paces[pe].pace;
        const double speed = (double)sim_rt(job, pe)->lb->speed;
        uint32_t count = 0;

        for (uint32_t i = 0; i < test->chares; i++) {
            const chare_element element = chare_element_1d(test->array, i);

            count += chare_local(sim_rt(job, pe), &element) != NULL;
        }
        if (count / pace > 1.2 * best + 1 / pace) {
            SIM_WRONG(job, "PE %u of pace %g has %u: %g s, and %g at best", pe,
                      pace, count, count / pace, best);
        }
        if (fabs(speed - pace / test->unit) > 0.1 * speed) {
            SIM_WRONG(job, "PE %u of pace %g, and PE 0 of %g, has speed %g",
                      pe, pace, test->unit, speed);
        }
    }
}

static uint64_t
moves(struct test *test)
{
    chare_lb_report report = {.size = sizeof(report)};

    chare_lb_report_get(sim_rt(test->job, 0), &report);
    return report.moves;
}

static void
sync_all(struct test *test)
{
    SIM_OK(test->job, chare_broadcast(sim_any(test->job), test->array,
                                      test->entry_go, NULL, NULL));
    sim_job_settle(test->job);
}

static void
run(struct test *test, bool restless)
{
    uint64_t before;

    for (uint32_t i = 0; i < 2 && test->job->wrong[0] == '\0'; i++) {
        sync_all(test);
        check_shares(test);
        before = moves(test);
        sync_all(test); /* nothing has changed */
        check_shares(test);
        if (!restless && moves(test) - before > test->chares / 4) {
            SIM_WRONG(test->job, "%u of %u chares moved without need",
                      (unsigned)(moves(test) - before), test->chares);
        }
        draw_paces(test);
    }
}

static void
work_is_in_proportion(void)
{
    static const char *const names[] = {
        "greedy-refine", "gossip",    "refine", "tree",
        "hierarchical",  "diffusion", "auto",   "greedy"};
    const size_t count = sizeof(names) / sizeof(names[0]);

    SIM_EACH_SEED(seed, SEEDS)
    {
        struct test test = {0};
        struct sim_job job;

        if (start(&test, &job, seed, names[seed % count], true)) {
            run(&test, seed % count == count - 1);
        }
        if (job.wrong[0] != '\0') {
            printf("# %s, seed %" PRIu64 ": %s\n", names[seed % count], seed,
                   job.wrong);
        }
        sim_job_close(&job);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

static void
without_measuring_it_is_not(void)
{
    uint32_t seen = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct test test = {0};
        struct sim_job job;

        if (start(&test, &job, seed, "greedy-refine", false)) {
            run(&test, false);
        }
        seen += job.wrong[0] != '\0';
        sim_job_close(&job);
    }
    CHECK(seen >= 15);
}

static bool
has_crowd(const struct test *test)
{
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        if (crowd_of(test, pe).pes > 1) {
            return true;
        }
    }
    return false;
}

/* How often such a job is balanced, and then stays so; and in how many PEs
 * share processors. */
static uint32_t
settled_crowds(const struct test *kind, uint64_t seeds, uint32_t *crowds_out)
{
    static const char *const names[] = {"greedy-refine", "gossip", "refine",
                                        "tree", "hierarchical"};
    uint32_t good = 0;

    *crowds_out = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct test test = *kind;
        struct sim_job job;

        if (start(&test, &job, seed,
                  names[seed % (sizeof(names) / sizeof(names[0]))], true)) {
            *crowds_out += has_crowd(&test);
            run(&test, false);
        }
        if (kind->knows && !kind->withheld && job.wrong[0] != '\0') {
            printf("# seed %" PRIu64 ": %s\n", seed, job.wrong);
        }
        good += job.wrong[0] == '\0';
        sim_job_close(&job);
    }
    return good;
}

static void
who_shares_too_few_processors_is_like_the_others(void)
{
    const struct test crowd = {.shares = true, .knows = true};
    const struct test ignorant = {.shares = true};
    uint32_t crowds;

    CHECK_EQ(settled_crowds(&crowd, SEEDS / 2, &crowds), SEEDS / 2);
    CHECK(settled_crowds(&ignorant, 20, &crowds) <= 5);
}

static void
who_shares_a_processor_gets_less_than_who_does_not(void)
{
    const struct test crowd = {.shares = true, .knows = true, .mixed = true};
    uint32_t crowds;

    CHECK_EQ(settled_crowds(&crowd, SEEDS / 2, &crowds), SEEDS / 2);
}

static void
sets_of_processors_may_overlap_in_part(void)
{
    const struct test crowd = {
        .shares = true, .knows = true, .overlaps = true};
    struct test ignorant = crowd;
    uint32_t crowds;
    uint32_t good;

    CHECK_EQ(settled_crowds(&crowd, SEEDS / 2, &crowds), SEEDS / 2);
    CHECK(crowds > 10);
    ignorant.withheld = true;
    good = settled_crowds(&ignorant, SEEDS / 2, &crowds);
    printf("# %u crowds, %u not seen as such\n", crowds, SEEDS / 2 - good);
    CHECK(SEEDS / 2 - good > crowds * 3 / 4);
}

/* N4: of a session by another strategy, that of before expected nothing. */
static void
what_was_expected_goes_with_its_strategy(void)
{
    struct test test = {0};
    struct sim_job job;
    const struct chi_lb_noise *noise;

    CHECK(start(&test, &job, 1, "greedy-refine", true));
    noise = &sim_rt(&job, 0)->lb->noise[CHI_LOAD_SYNCED];
    sync_all(&test);
    CHECK(noise->expected != NULL);
    SIM_OK(&job, chare_lb_use(sim_rt(&job, 0), "greedy-refine"));
    CHECK(noise->expected != NULL);
    for (uint32_t pe = 0; pe < job.pe_count; pe++) {
        SIM_OK(&job, chare_lb_use(sim_rt(&job, pe), "gossip"));
    }
    CHECK(noise->expected == NULL);
    sync_all(&test);
    CHECK(noise->expected == NULL);
    sim_job_close(&job);
    SIM_CHECK(&job, job.wrong[0] == '\0');
}

TAP_MAIN(TAP_CASE(work_is_in_proportion),
         TAP_CASE(without_measuring_it_is_not),
         TAP_CASE(who_shares_too_few_processors_is_like_the_others),
         TAP_CASE(who_shares_a_processor_gets_less_than_who_does_not),
         TAP_CASE(sets_of_processors_may_overlap_in_part),
         TAP_CASE(what_was_expected_goes_with_its_strategy))
