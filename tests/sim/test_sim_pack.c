/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_pack.c - calls that travel together (src/pe, K1 to K6).
 *
 * Goal:   each call is executed exactly once; all calls of one priority from
 *         one PE to one chare in the order made, whether they travel together
 *         or alone; quiescence is told once, with nothing outstanding; nothing
 *         is left over; the statistics of all PEs have each call once.
 * Method: chares of an array call each other by three entries: one whose calls
 *         travel together, one whose calls do not, and one that changes. A
 *         table of all calls says what came of each. Planted bugs take an open
 *         pack of some PE and lose, double or swap calls in it, let later
 *         calls overtake it, forget it, or do not count it; or the net does
 *         such a thing to a whole pack: the checkers see each.
 *         All other programs here run some of their seeds with all entries
 *         packed (sim_job.c): moves, sections, reductions, exits and losses.
 */
#include "config.h"

#include "sim_job.h"
#include "tap/bare.h"

#include "base/map.h"

enum {
    SEEDS = 400,
    PLANTED_SEEDS = 24, /* of each bug */
    CALLS_MAX = 600,
    CHARES_PER_PE = 2,
    BYTES_MAX = 300,
    ENTRIES = 3,
};

enum plant {
    PLANT_NONE,
    PLANT_LOSE,      /* the last call of a pack */
    PLANT_TWICE,     /* it comes twice */
    PLANT_SWAP,      /* the first call of a pack comes last */
    PLANT_OVERTAKE,  /* what is sent later does not look for the pack (K2) */
    PLANT_FORGET,    /* the pack stays (K3) */
    PLANT_UNCOUNTED, /* quiescence does not see it (K1) */
    PLANT_NET_DROP,
    PLANT_NET_TWICE,
    PLANT_NET_SWAP,
    PLANT_COUNT,
};

struct call {
    uint32_t sender_pe;
    uint32_t target;
    int16_t priority;
    uint32_t bytes;
    uint32_t executed;
};

struct test {
    struct sim_job *job;
    uint32_t type;
    uint32_t entries[ENTRIES]; /* packed, alone, changing */
    uint32_t function_quiet;
    chare_collection array;
    uint32_t chare_count;
    uint32_t call_count;
    uint32_t outstanding;
    uint32_t told;
    struct call calls[CALLS_MAX];
    struct chi_map order; /* (sender, target, priority) -> last call + 1 */
    enum plant plant;
    bool planted;
    struct chi_msg *forgotten;
};

static void make_calls(struct test *test, chare_runtime *runtime,
                       uint64_t count);

static void
check_order(struct test *test, uint64_t serial)
{
    const struct call *call = &test->calls[serial];
    const uint64_t key = (uint64_t)call->sender_pe << 40 |
                         (uint64_t)call->target << 20 |
                         (uint64_t)(call->priority + 1000);
    const uint64_t last = (uintptr_t)chi_map_get(&test->order, key);

    if (last > serial + 1) {
        SIM_WRONG(test->job,
                  "call %" PRIu64 " from PE %u to %u executed after call "
                  "%" PRIu64,
                  serial, call->sender_pe, call->target, last - 1);
    }
    if (chi_map_put(&test->order, key, (void *)(uintptr_t)(serial + 1)) !=
        CHARE_OK) {
        SIM_WRONG(test->job, "out of memory");
    }
}

static void
execute(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    struct call *record;
    uint64_t serial;

    (void)object;
    memcpy(&serial, call->bytes, sizeof(serial));
    if (serial >= test->call_count) {
        SIM_WRONG(test->job, "a call that nobody made");
        return;
    }
    record = &test->calls[serial];
    if (record->executed++ > 0) {
        SIM_WRONG(test->job, "call %" PRIu64 " executed twice", serial);
    }
    if ((uint32_t)call->self->index.at[0] != record->target ||
        call->source_pe != record->sender_pe ||
        call->priority != record->priority || call->len != record->bytes ||
        !sim_filled(call->bytes, serial, call->len)) {
        SIM_WRONG(test->job, "call %" PRIu64 " came damaged", serial);
    }
    test->outstanding--;
    check_order(test, serial);
    make_calls(test, call->runtime, sim_below(test->job, 4));
}

static void
make_calls(struct test *test, chare_runtime *runtime, uint64_t count)
{
    struct sim_job *job = test->job;
    unsigned char bytes[BYTES_MAX];

    while (count-- > 0 && test->call_count < CALLS_MAX) {
        const uint64_t serial = test->call_count++;
        struct call *call = &test->calls[serial];
        /* Few targets, so that packs fill. */
        const chare_element target = chare_element_1d(
            test->array, (int64_t)sim_below(job, test->chare_count));
        const chare_send_options options = {
            .size = sizeof(options),
            .priority = (int16_t)((int)sim_below(job, 8) / 6 *
                                  ((int)sim_below(job, 3) - 1)),
        };
        const chare_data data = chare_data_bytes(
            bytes,
            8 + sim_below(job, sim_below(job, 6) == 0 ? BYTES_MAX - 8 : 40));
        const uint64_t draw = sim_below(job, 8);
        const uint32_t entry = test->entries[draw < 6 ? 0 : draw - 5];

        *call = (struct call){
            .sender_pe = chare_my_pe(runtime),
            .target = (uint32_t)target.index.at[0],
            .priority = options.priority,
            .bytes = (uint32_t)data.len,
        };
        sim_fill(bytes, serial, data.len);
        test->outstanding++;
        SIM_OK(job, chare_send(runtime, &target, entry, &data, &options));
        if (sim_below(job, 16) == 0) {
            SIM_OK(job, chare_entry_aggregate(runtime, test->entries[2],
                                              sim_below(job, 2) == 0));
        }
        if (sim_below(job, 32) == 0) {
            chare_flush(runtime);
        }
    }
}

static void
quiet(const chare_call *call, void *context)
{
    struct test *test = context;

    (void)call;
    test->told++;
    if (test->outstanding != 0) {
        SIM_WRONG(test->job, "quiescence was told with %u outstanding",
                  test->outstanding);
    }
}

static bool
register_all(struct sim_job *job, chare_runtime *runtime)
{
    static const char *const names[ENTRIES] = {"packed", "alone", "changing"};
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Node",
        .create = bare_create,
    };
    bool ok =
        chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
        chare_function_register(runtime, "quiet", quiet, test,
                                &test->function_quiet) == CHARE_OK;

    for (int i = 0; i < ENTRIES && ok; i++) {
        ok = chare_entry_register(runtime, test->type, names[i], execute, test,
                                  &test->entries[i]) == CHARE_OK;
    }
    chare_stats_measure(runtime, true);
    return ok &&
           chare_entry_aggregate(runtime, test->entries[0], true) == CHARE_OK;
}

/* ---- planted bugs */

/* Where the last call of an open pack begins. */
static uint64_t
last_call(const struct chi_pack *pack)
{
    uint64_t at = 0;
    uint64_t last = 0;

    for (uint32_t i = 0; i < pack->count; i++) {
        struct chi_envelope env;

        last = at;
        memcpy(&env, pack->msg->bytes + at, sizeof(env));
        at += (sizeof(env) + env.len + 15) / 16 * 16;
    }
    return last;
}

/* The first call goes behind the last one. */
static void
turn(struct chi_pack *pack)
{
    unsigned char first[16384];
    struct chi_envelope env;
    uint64_t len;

    memcpy(&env, pack->msg->bytes, sizeof(env));
    len = (sizeof(env) + env.len + 15) / 16 * 16;
    memcpy(first, pack->msg->bytes, len);
    memmove(pack->msg->bytes, pack->msg->bytes + len, pack->bytes - len);
    memcpy(pack->msg->bytes + pack->bytes - len, first, len);
}

static void
plant(struct test *test, struct chi_pe *pe)
{
    struct chi_packs *packs = &pe->packs;
    struct chi_pack *pack = &packs->slots[packs->first];
    const uint64_t last = last_call(pack);
    const uint64_t len = pack->bytes - last;

    switch (test->plant) {
    case PLANT_LOSE:
        if (pack->count == 2) {
            return; /* a pack has at least two */
        }
        pack->bytes = last;
        pack->count--;
        break;
    case PLANT_TWICE:
        if (pack->bytes + len > packs->bytes_max) {
            return;
        }
        memcpy(pack->msg->bytes + pack->bytes, pack->msg->bytes + last, len);
        pack->bytes += len;
        pack->count++;
        break;
    case PLANT_SWAP:
        turn(pack);
        break;
    case PLANT_OVERTAKE:
        pe->detour = false;
        break;
    case PLANT_FORGET:
        if (packs->open_count > 1) {
            return;
        }
        test->forgotten = pack->msg;
        pack->msg = NULL;
        packs->open_count = 0;
        break;
    case PLANT_UNCOUNTED:
        pe->counted_made -= pack->count;
        break;
    default:
        return;
    }
    test->planted = true;
}

static void
watch(struct sim_job *job)
{
    struct test *test = job->test;

    for (uint32_t i = 0; i < job->pe_count && !test->planted; i++) {
        struct chi_pe *pe = sim_rt(job, i)->pe;

        if (pe->packs.open_count > 0 &&
            pe->packs.slots[pe->packs.first].count > 1 &&
            sim_below(job, 4) == 0) {
            plant(test, pe);
        }
    }
}

/* ---- one run */

/* The statistics of all PEs have each call once. */
static void
check_stats(struct test *test)
{
    uint64_t calls = 0;
    uint64_t bytes = 0;

    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        const struct chi_stats *stats = &sim_rt(test->job, pe)->pe->stats;

        for (uint32_t i = 0; i < stats->entry_room; i++) {
            calls += stats->entries[i].calls;
            bytes += stats->entries[i].bytes;
        }
    }
    for (uint32_t i = 0; i < test->call_count; i++) {
        calls -= test->calls[i].executed;
        bytes -= (uint64_t)test->calls[i].bytes * test->calls[i].executed;
    }
    if (calls != 0 || bytes != 0) {
        SIM_WRONG(test->job, "the statistics do not fit");
    }
}

static void
check_end(struct test *test)
{
    check_stats(test);
    for (uint32_t i = 0; i < test->call_count; i++) {
        if (test->calls[i].executed != 1) {
            SIM_WRONG(test->job, "call %u from PE %u to %u executed %u times",
                      i, test->calls[i].sender_pe, test->calls[i].target,
                      test->calls[i].executed);
        }
    }
    if (test->told != 1) {
        SIM_WRONG(test->job, "quiescence was told %u times", test->told);
    }
}

static void
run(struct test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options, enum plant what)
{
    const chare_callback callback = {.kind = CHARE_CALLBACK_NONE};

    memset(test, 0, sizeof(*test));
    test->job = job;
    test->plant = what;
    chi_map_init(&test->order);
    if (sim_job_open(job, seed, options, register_all, test)) {
        chare_array_options array = {
            .size = sizeof(array),
            .type = test->type,
            .ndims = 1,
            .dense = true,
            .dims = {(int64_t)job->pe_count * CHARES_PER_PE},
            .map = CHARE_MAP_ROUND_ROBIN,
        };
        chare_callback quiescent = callback;

        test->chare_count = job->pe_count * CHARES_PER_PE;
        if (what != PLANT_NONE && what < PLANT_NET_DROP) {
            job->watch = watch;
        }
        SIM_OK(job,
               chare_array_create(sim_rt(job, 0), &array, NULL, &test->array));
        for (uint32_t i = 0; i < 12; i++) {
            make_calls(test, sim_any(job), sim_below(job, 12));
            (void)sim_job_step(job);
        }
        quiescent = chare_callback_function(
            test->function_quiet, (uint32_t)sim_below(job, job->pe_count), 0);
        SIM_OK(job, chare_quiescence(sim_any(job), &quiescent));
        sim_job_settle(job);
        check_end(test);
        sim_job_check_clean(job);
    }
}

static void
done(struct test *test)
{
    sim_job_close(test->job);
    chi_map_fini(&test->order);
}

static void
calls_arrive_once_and_in_order(void)
{
    const struct sim_options options = {.pes_max = 16, .aggregates = true};
    struct test test;
    struct sim_job job;
    uint64_t packed = 0;
    uint64_t sent = 0;

    SIM_EACH_SEED(seed, SEEDS)
    {
        run(&test, &job, seed, &options, PLANT_NONE);
        for (uint32_t pe = 0; pe < job.pe_count; pe++) {
            packed += sim_rt(&job, pe)->pe->packs.packed;
            sent += sim_rt(&job, pe)->pe->packs.sent;
        }
        done(&test);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# %" PRIu64 " calls in %" PRIu64 " packs\n", packed, sent);
    CHECK(getenv("TEST_SEED") != NULL || packed > 2 * sent);
}

static void
planted_bugs_are_seen(void)
{
    static const char *const names[PLANT_COUNT] = {
        "none",   "lose",      "twice",    "swap",      "overtake",
        "forget", "uncounted", "net drop", "net twice", "net swap"};
    struct test test;
    struct sim_job job;

    for (int what = PLANT_LOSE; what < PLANT_COUNT; what++) {
        const bool orders = what == PLANT_SWAP || what == PLANT_OVERTAKE ||
                            what == PLANT_NET_SWAP;
        uint32_t planted = 0;
        uint32_t seen = 0;

        for (uint64_t seed = 1; seed <= PLANTED_SEEDS; seed++) {
            struct sim_options options = {
                .pe_count = 2, .quiet = true, .aggregates = true};

            if (what >= PLANT_NET_DROP) {
                options.bug = (enum chi_sim_bug)(CHI_SIM_BUG_DROP + what -
                                                 PLANT_NET_DROP);
                options.bug_handler = CHI_HANDLER_PACK;
                options.bug_at = 1 + seed % 5;
            }
            run(&test, &job, seed, &options, (enum plant)what);
            if (what >= PLANT_NET_DROP) {
                test.planted = chi_sim_world_bug_done(job.world);
            }
            planted += test.planted;
            seen += test.planted && job.wrong[0] != '\0';
            if (!test.planted) {
                SIM_CHECK(&job, job.wrong[0] == '\0');
            }
            if (test.forgotten != NULL) {
                chi_msg_release(test.forgotten);
            }
            done(&test);
        }
        printf("# %s: planted %u times, seen %u times\n", names[what], planted,
               seen);
        CHECK(planted > 8);
        /* Calls that change places need not be for one chare. */
        CHECK(orders ? seen > 3 : seen == planted);
    }
}

TAP_MAIN(TAP_CASE(calls_arrive_once_and_in_order),
         TAP_CASE(planted_bugs_are_seen))
