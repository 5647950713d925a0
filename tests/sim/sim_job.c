/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_job.c - opening, driving and closing a simulated job.
 */
#include "config.h"

#include "sim_job.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "coll/coll.h"
#include "wireup/wireup.h"

enum {
    BLOBS_BYTES_MAX = SIM_PES_MAX * CHI_RT_BLOB_BYTES_MAX,
    CLOSE_STEPS_MAX = 2000000,
    AGGREGATION_SEED = 0x7ac4,
};

static const uint64_t AGGREGATE_BYTES[4] = {512, 700, 1024, 8192};

static uint64_t
env(const char *name, uint64_t preset)
{
    const char *text = getenv(name);

    return text == NULL ? preset : strtoull(text, NULL, 10);
}

uint64_t
sim_seeds(uint64_t preset, uint64_t *first_out)
{
    if (getenv("TEST_SEED") != NULL) {
        *first_out = env("TEST_SEED", 1);
        return 1;
    }
    *first_out = env("CHARE_TEST_FIRST_SEED", 1);
    return env("CHARE_TEST_SEEDS", preset);
}

void
sim_fill(void *bytes, uint64_t number, size_t len)
{
    memcpy(bytes, &number, sizeof(number));
    for (size_t i = sizeof(number); i < len; i++) {
        ((unsigned char *)bytes)[i] = (unsigned char)(number + i);
    }
}

bool
sim_filled(const void *bytes, uint64_t number, size_t len)
{
    if (len < sizeof(number) || memcmp(bytes, &number, sizeof(number)) != 0) {
        return false;
    }
    for (size_t i = sizeof(number); i < len; i++) {
        if (((const unsigned char *)bytes)[i] != (unsigned char)(number + i)) {
            return false;
        }
    }
    return true;
}

/* ---- standard error, where errors are expected */

static void
hush(struct sim_job *job)
{
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)fflush(stderr);
    job->stderr_fd = dup(STDERR_FILENO);
    if (nowhere >= 0) {
        (void)dup2(nowhere, STDERR_FILENO);
        (void)close(nowhere);
    }
}

static void
unhush(struct sim_job *job)
{
    if (job->stderr_fd >= 0) {
        (void)fflush(stderr);
        (void)dup2(job->stderr_fd, STDERR_FILENO);
        (void)close(job->stderr_fd);
        job->stderr_fd = -1;
    }
}

/* ---- opening */

static uint64_t
one_of(struct sim_job *job, const uint64_t *values, size_t count)
{
    return values[sim_below(job, count)];
}

#define ONE_OF(job, ...)                         \
    one_of(job, (const uint64_t[]){__VA_ARGS__}, \
           sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint32_t
draw_pe_count(struct sim_job *job)
{
    const uint32_t max =
        job->options.pes_max == 0 ? SIM_PES_MAX : job->options.pes_max;
    uint32_t count;

    if (job->options.pe_count != 0) {
        return job->options.pe_count;
    }
    /* Mostly few; sometimes one, sometimes all. */
    switch (sim_below(job, 8)) {
    case 0:
        return 1;
    case 1:
        count = 2 + (uint32_t)sim_below(job, max - 1);
        break;
    case 2:
        count = 2 + (uint32_t)sim_below(job, 20);
        break;
    default:
        count = 2 + (uint32_t)sim_below(job, 7);
    }
    return count > max ? max : count;
}

static struct chi_sim_options
draw_world(struct sim_job *job)
{
    return (struct chi_sim_options){
        .seed = chi_prng_next(&job->prng),
        .pe_count = job->pe_count,
        .delay_ns_max = ONE_OF(job, 0, 100, 5000, 5000, 100000),
        .credit = (uint32_t)ONE_OF(job, 0, 0, 2, 8, 64),
        .pair_credit = (uint32_t)ONE_OF(job, 0, 1, 2, 8),
        .eager_bytes = ONE_OF(job, 1024, 1024, 1024, 2048, 8192),
        .rma = sim_below(job, 2) == 0,
        .lose_step = job->options.lose_step,
        .lost_rank = job->options.lost_rank,
        .bug = job->options.bug,
        .bug_at = job->options.bug_at,
        .bug_handler = job->options.bug_handler,
    };
}

/* Places of all PEs: nodes in switches, and cores in nodes; any shape. */
static void
draw_places(struct sim_job *job, struct chi_place *places)
{
    const uint64_t nodes = 1 + sim_below(job, job->pe_count);
    const uint16_t levels =
        (uint16_t)sim_below(job, CHI_PLACE_SWITCH_LEVELS_MAX + 1);
    const bool shuffled = sim_below(job, 3) == 0;
    const bool cores_known = sim_below(job, 2) == 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const uint64_t node =
            shuffled ? sim_below(job, nodes) : pe * nodes / job->pe_count;
        struct chi_place *place = &places[pe];

        *place = (struct chi_place){
            .node_id = 1000 + node,
            .switch_levels = levels,
            .package = CHI_PLACE_UNKNOWN,
            .numa = CHI_PLACE_UNKNOWN,
            .cache = CHI_PLACE_UNKNOWN,
            .core = CHI_PLACE_UNKNOWN,
        };
        snprintf(place->node_name, sizeof(place->node_name), "node%u",
                 (unsigned)node);
        for (uint16_t level = 0; level < levels; level++) {
            place->switches[level] = 1 + (node >> (levels - level));
        }
        if (cores_known) {
            place->package = (uint16_t)sim_below(job, 2);
            place->numa = (uint16_t)(2 * place->package + sim_below(job, 2));
            place->cache = place->numa;
            place->core = (uint16_t)(64 * place->cache + pe);
        }
    }
}

static bool
open_runtimes(struct sim_job *job, sim_register_fn register_fn)
{
    struct chi_place places[SIM_PES_MAX];
    chare_status status;

    draw_places(job, places);
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const struct chi_rt_sim sim = {
            .rank = pe,
            .size = job->pe_count,
            .clock = chi_sim_world_clock(job->world),
            .net_ops = &chi_net_sim_ops,
            .net_options = job->world,
            .settings = &job->settings,
            .place = places[pe],
            .cpus = job->options.cpus != NULL ? &job->options.cpus[pe] : NULL,
        };

        status = chi_rt_open_sim(&sim, &job->pes[pe].runtime);
        if (status != CHARE_OK) {
            SIM_WRONG(job, "PE %u: open: %s", pe, chare_status_name(status));
            return false;
        }
        if (!register_fn(job, job->pes[pe].runtime)) {
            SIM_WRONG(job, "PE %u: registering failed", pe);
            return false;
        }
    }
    return true;
}

static bool
join(struct sim_job *job)
{
    size_t offsets[SIM_PES_MAX + 1] = {0};
    unsigned char *bytes = malloc(BLOBS_BYTES_MAX);
    const struct chi_wireup_table table = {job->pe_count, offsets, bytes};
    chare_status status = bytes == NULL ? CHARE_ERR_NO_MEMORY : CHARE_OK;

    for (uint32_t pe = 0; status == CHARE_OK && pe < job->pe_count; pe++) {
        size_t len = CHI_RT_BLOB_BYTES_MAX;

        status = chi_rt_blob(sim_rt(job, pe), bytes + offsets[pe], &len);
        offsets[pe + 1] = offsets[pe] + len;
    }
    for (uint32_t pe = 0; status == CHARE_OK && pe < job->pe_count; pe++) {
        status = chi_rt_join(sim_rt(job, pe), &table);
    }
    free(bytes);
    if (status != CHARE_OK) {
        SIM_WRONG(job, "join: %s", chare_status_name(status));
    }
    return status == CHARE_OK;
}

/*
 * Calls that travel together change nothing that a test can see, and neither
 * do statistics: in some seeds all do, in some half of the entries'. Not by
 * the job's own prng, whose draws stay the same.
 */
static bool
draw_aggregation(struct sim_job *job)
{
    struct chi_prng prng;
    uint64_t share;

    chi_prng_init(&prng, job->seed ^ AGGREGATION_SEED);
    share = chi_prng_below(&prng, 4);
    for (uint32_t pe = 0; pe < job->pe_count && share > 1; pe++) {
        chare_runtime *runtime = sim_rt(job, pe);

        chare_stats_measure(runtime, chi_prng_below(&prng, 2) == 0);
        for (uint32_t i = 1; i < runtime->registry.entry_count; i++) {
            if ((share == 2 || i % 2 == 0) &&
                chare_entry_aggregate(runtime, i, true) != CHARE_OK) {
                return false;
            }
        }
    }
    return true;
}

bool
sim_job_open(struct sim_job *job, uint64_t seed,
             const struct sim_options *options, sim_register_fn register_fn,
             void *test)
{
    struct chi_sim_options world;
    char error[256];

    memset(job, 0, sizeof(*job));
    job->seed = seed;
    job->options = *options;
    job->test = test;
    job->stderr_fd = -1;
    if (options->quiet) {
        hush(job);
    }
    chi_prng_init(&job->prng, seed);
    job->pe_count = draw_pe_count(job);
    job->batch_max = 1 + (uint32_t)sim_below(job, 8);
    if (chi_settings_read(&job->settings, error, sizeof(error)) != CHARE_OK) {
        SIM_WRONG(job, "%s", error);
        return false;
    }
    job->settings.tree_fanout = ONE_OF(job, 0, 0, 2, 3, 5);
    if (options->queue_bytes != 0) {
        job->settings.queue_bytes = options->queue_bytes;
    }
    job->settings.aggregate_bytes = AGGREGATE_BYTES[seed % 4];
    world = draw_world(job);
    if (chi_sim_world_create(&world, &job->world) != CHARE_OK) {
        SIM_WRONG(job, "no world");
        return false;
    }
    return open_runtimes(job, register_fn) &&
           (options->aggregates || options->bug != CHI_SIM_BUG_NONE ||
            draw_aggregation(job)) &&
           join(job);
}

/* ---- driving */

static bool
is_gone(const struct sim_job *job, uint32_t pe)
{
    return job->pes[pe].runtime == NULL || chi_sim_world_lost(job->world, pe);
}

/* True: it executed something. */
static bool
progress(struct sim_job *job, uint32_t pe)
{
    struct sim_pe *one = &job->pes[pe];
    chare_status status;

    if (is_gone(job, pe)) {
        return false;
    }
    status = chare_progress(one->runtime,
                            1 + (uint32_t)sim_below(job, job->batch_max));
    if (status != CHARE_OK && status != CHARE_ERR_AGAIN && !one->ended) {
        one->ended = true;
        one->end_status = status;
    } else if (one->runtime->pe->ended && !one->ended) {
        one->ended = true;
        one->end_status = one->runtime->pe->end_status;
    }
    if (one->ended && one->runtime->pe->end_status != one->end_status) {
        SIM_WRONG(job, "PE %u ended twice", pe);
    }
    if (job->watch != NULL) {
        job->watch(job);
    }
    return status == CHARE_OK && !one->ended;
}

/* Some PE that has something queued, or pe_count. */
static uint32_t
pick_busy(struct sim_job *job)
{
    uint32_t pe = (uint32_t)sim_below(job, job->pe_count);

    for (uint32_t i = 0; i < job->pe_count; i++) {
        if (job->pes[pe].runtime != NULL && !job->pes[pe].ended &&
            !chi_pe_is_idle(job->pes[pe].runtime->pe) &&
            !chi_sim_world_lost(job->world, pe)) {
            return pe;
        }
        pe = pe + 1 < job->pe_count ? pe + 1 : 0;
    }
    return job->pe_count;
}

/* When a PE does something by itself; UINT64_MAX: never. */
static uint64_t
next_alarm_ns(const struct sim_job *job)
{
    uint64_t next_ns = UINT64_MAX;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (!is_gone(job, pe) && !job->pes[pe].ended) {
            const uint64_t at_ns =
                chi_pe_next_alarm_ns(job->pes[pe].runtime->pe);

            next_ns = at_ns < next_ns ? at_ns : next_ns;
        }
    }
    return next_ns;
}

/* Let all look around; true: something came of it. */
static bool
progress_all(struct sim_job *job)
{
    const uint32_t start = (uint32_t)sim_below(job, job->pe_count);
    bool done = false;

    for (uint32_t i = 0; i < job->pe_count; i++) {
        done |= progress(job, (start + i) % job->pe_count);
    }
    return done || chi_sim_world_in_flight(job->world) > 0 ||
           pick_busy(job) < job->pe_count;
}

bool
sim_job_step(struct sim_job *job)
{
    const uint64_t choice = sim_below(job, 16);
    uint64_t alarm_ns;
    uint32_t pe;

    job->steps++;
    if (choice < 8 && chi_sim_world_step(job->world, &pe)) {
        if (choice > 0) {
            (void)progress(job, pe);
        }
        return true;
    }
    if (choice < 15) {
        pe = pick_busy(job);
        if (pe < job->pe_count) {
            (void)progress(job, pe);
            return true;
        }
        if (chi_sim_world_step(job->world, &pe)) {
            (void)progress(job, pe);
            return true;
        }
    }
    if (progress_all(job)) {
        return true;
    }
    alarm_ns = next_alarm_ns(job);
    if (alarm_ns == UINT64_MAX) {
        return false;
    }
    chi_sim_world_advance(job->world, alarm_ns);
    return true;
}

static uint64_t
steps_max(const struct sim_job *job)
{
    return job->options.bug == CHI_SIM_BUG_NONE ? SIM_STEPS_MAX
                                                : SIM_STEPS_MAX_OF_BUG;
}

void
sim_job_settle(struct sim_job *job)
{
    uint32_t nothing = 0;

    while (job->wrong[0] == '\0' && nothing < 2) {
        nothing = sim_job_step(job) ? 0 : nothing + 1;
        if (job->steps > steps_max(job)) {
            SIM_WRONG(job, "the job does not settle");
        }
    }
}

static bool
is_counted_done(const struct sim_job *job)
{
    uint64_t balance = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        balance += job->pes[pe].runtime->pe->counted_made;
        balance -= job->pes[pe].runtime->pe->counted_done;
    }
    return balance == 0;
}

void
sim_job_settle_counted(struct sim_job *job)
{
    while (job->wrong[0] == '\0' && !is_counted_done(job) &&
           sim_job_step(job)) {
        if (job->steps > steps_max(job)) {
            SIM_WRONG(job, "the job does not settle");
        }
    }
}

/* ---- the end */

uint64_t
sim_job_executed(const struct sim_job *job)
{
    uint64_t executed = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (job->pes[pe].runtime != NULL) {
            executed += job->pes[pe].runtime->pe->executed;
        }
    }
    return executed;
}

void
sim_job_check_clean(struct sim_job *job)
{
    uint64_t made = 0;
    uint64_t done = 0;

    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        const chare_runtime *runtime = job->pes[pe].runtime;

        made += runtime->pe->counted_made;
        done += runtime->pe->counted_done;
        if (chi_msg_pool_live(runtime->pool) != 0) {
            SIM_WRONG(job, "PE %u holds %" PRIu64 " messages at the end", pe,
                      chi_msg_pool_live(runtime->pool));
        }
    }
    if (made != done) {
        SIM_WRONG(job, "%" PRIu64 " messages made, %" PRIu64 " done", made,
                  done);
    }
}

static bool
all_ended(const struct sim_job *job)
{
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (!is_gone(job, pe) && !job->pes[pe].ended) {
            return false;
        }
    }
    return true;
}

static void
end(struct sim_job *job)
{
    uint32_t nothing = 0;

    if (sim_rt(job, 0)->state == CHI_RT_STARTED) {
        chare_exit(sim_any(job), 0);
    }
    for (uint64_t i = 0; i < CLOSE_STEPS_MAX && nothing < 2; i++) {
        if (all_ended(job)) {
            return;
        }
        nothing = sim_job_step(job) ? 0 : nothing + 1;
    }
    SIM_WRONG(job, "the job does not end");
}

void
sim_job_close(struct sim_job *job)
{
    bool open = job->world != NULL;

    job->watch = NULL;
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        open = open && job->pes[pe].runtime != NULL &&
               job->pes[pe].runtime->state != CHI_RT_OPEN;
    }
    if (open) {
        end(job);
    }
    job->executed = sim_job_executed(job);
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        if (job->pes[pe].runtime != NULL) {
            /* A PE that is lost, or hangs, is closed without a word. */
            chi_pe_end(job->pes[pe].runtime->pe, CHARE_ERR_STATE);
        }
        chare_close(job->pes[pe].runtime);
        job->pes[pe].runtime = NULL;
    }
    chi_sim_world_destroy(job->world);
    job->world = NULL;
    unhush(job);
}
