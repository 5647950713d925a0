/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sim_section_end.c - sections whose members die, and that end.
 *
 * Goal:   with members, whole collections and sections destroyed at any time:
 *         a call of a section comes to members only, to each at most once,
 *         and its end is told once, with one result for each execution, or
 *         with an error if the section was destroyed; the k-th reduction of a
 *         section has exactly the contributions of those that have made a
 *         k-th one; the end of a section is told once, and its members live
 *         on; who uses it later is refused; what was destroyed is forgotten
 *         on every PE once all is quiet, also by members that have moved.
 * Method: a group and an array, and overlapping sections of them, made in all
 *         ways; calls, contributions and destructions from all PEs at random.
 *         In one case results go to the section itself: it may have ended
 *         meanwhile, which ends the job, but nothing else may. Messages that
 *         no right PE sends are dropped.
 */
#include "config.h"

#include "obj/migrate.h"
#include "obj/obj_private.h"
#include "obj/section.h"
#include "sim_section_end.h"

enum {
    SEEDS = 300
};

enum way {
    PLAIN,
    TO_SECTION, /* results of a section go to itself */
    MOVING,     /* chares move */
};

/* ---- acts */

static void
chare_add(struct test *test, uint32_t set, int64_t at)
{
    struct chare *chare = &test->chares[test->chare_count++];

    *chare = (struct chare){.set = set};
    chare->self = chare_element_1d(test->sets[set].id, at);
}

static void
create_sets(struct test *test)
{
    struct sim_job *job = test->job;
    const uint32_t count = (uint32_t)sim_below(job, 12);
    chare_array_options options = {
        .size = sizeof(options),
        .type = test->type,
        .ndims = 1,
        .dense = true,
        .dims = {count},
        .map = (uint32_t)sim_below(job, 3),
    };

    SIM_OK(job, chare_group_create(sim_any(job), test->type, NULL, NULL,
                                   &test->sets[0].id));
    for (uint32_t pe = 0; pe < job->pe_count; pe++) {
        chare_add(test, 0, pe);
    }
    SIM_OK(job, chare_array_create(sim_any(job), &options, NULL,
                                   &test->sets[1].id));
    for (uint32_t i = 0; i < count; i++) {
        chare_add(test, 1, i);
    }
}

/* Whether all that joins sections of a set's chares is known, and none of them
 * is about to die. */
static bool
is_quiet(const struct test *test, uint32_t set)
{
    for (uint32_t i = 0; i < test->chare_count; i++) {
        const struct chare *chare = &test->chares[i];

        if (chare->set == set && chare->dying && !chare->gone) {
            return false;
        }
    }
    return true;
}

static void
create_section(struct test *test)
{
    struct sim_job *job = test->job;
    const uint32_t pe = (uint32_t)sim_below(job, job->pe_count);
    const uint32_t s = test->section_count;
    const chare_callback callback =
        chare_callback_function(test->function_created, pe, s);
    struct section *section = &test->sections[s];
    const uint64_t way = sim_below(job, 3);
    const uint32_t set = (uint32_t)sim_below(job, SETS);
    const chare_collection parts[SETS] = {test->sets[0].id, test->sets[1].id};
    const chare_slice slice = {.step = 1 + (int64_t)sim_below(job, 3)};
    chare_element names[CHARES_MAX];
    size_t count = 0;

    if (s == SECTIONS_MAX || !is_quiet(test, 0) || !is_quiet(test, 1) ||
        (way > 0 && (test->sets[0].doomed || test->sets[1].doomed))) {
        return;
    }
    test->section_count++;
    *section = (struct section){0};
    for (uint32_t i = 0; i < test->chare_count; i++) {
        const struct chare *chare = &test->chares[i];

        section->member[i] =
            !chare->dying &&
            (way == 0   ? sim_below(job, 3) != 0
             : way == 1 ? chare->set == set &&
                              chare->self.index.at[0] % slice.step == 0
                        : true);
        if (section->member[i]) {
            names[count++] = chare->self;
        }
    }
    if (way == 0) {
        SIM_OK(job, chare_section_create(sim_rt(job, pe), names, count,
                                         &callback, &section->id));
    } else if (way == 1) {
        SIM_OK(job, chare_section_slice(sim_rt(job, pe), parts[set], &slice, 1,
                                        &callback, &section->id));
    } else {
        SIM_OK(job, chare_section_combine(sim_rt(job, pe), parts, SETS,
                                          &callback, &section->id));
    }
}

static void
make_cast(struct test *test, uint32_t s)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_any(job);
    const uint64_t n = test->cast_count;
    const chare_callback reply =
        chare_callback_function(test->function_cast, chare_my_pe(runtime), n);
    const chare_send_options options = {
        .size = sizeof(options),
        .gather = true,
        .priority = (int16_t)((int)sim_below(job, 3) - 1),
        .reply = &reply,
    };
    const chare_data data = chare_data_bytes(&n, sizeof(n));
    chare_status status;

    if (n == CASTS_MAX) {
        return;
    }
    test->casts[test->cast_count++] = (struct cast){.section = s};
    status = chare_broadcast(runtime, test->sections[s].id, test->entry_cast,
                             &data, &options);
    if (status == CHARE_ERR_NOT_FOUND && test->sections[s].dooms > 0) {
        test->casts[n].told++;
    } else {
        SIM_OK(job, status);
    }
}

static void
ask_contribution(struct test *test, uint32_t s, uint32_t i)
{
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback reply =
        chare_callback_function(test->function_asked, chare_my_pe(runtime), 0);
    const chare_send_options options = {.size = sizeof(options),
                                        .reply = &reply};
    const chare_data data = chare_data_bytes(&s, sizeof(s));

    if (test->sections[s].member[i] && !test->chares[i].gone) {
        test->asked++;
        SIM_OK(test->job, chare_send(runtime, &test->chares[i].self,
                                     test->entry_contribute, &data, &options));
    }
}

/* Anywhere, also while its end is under way. */
static void
move_chare(struct test *test, uint32_t i)
{
    struct sim_job *job = test->job;

    if (test->chares[i].set == 1 && !test->chares[i].dying) {
        SIM_OK(job, chare_migrate(sim_any(job), &test->chares[i].self,
                                  (uint32_t)sim_below(job, job->pe_count)));
    }
}

/* Its membership in all sections is known at their roots. */
static bool
may_die(const struct test *test, uint32_t i)
{
    for (uint32_t s = 0; s < test->section_count; s++) {
        if (!test->sections[s].created) {
            return false;
        }
    }
    return !test->chares[i].dying;
}

static void
destroy_chare(struct test *test, uint32_t i)
{
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback done =
        chare_callback_function(test->function_gone, chare_my_pe(runtime), i);

    if (may_die(test, i)) {
        test->chares[i].dying = true;
        SIM_OK(test->job,
               chare_destroy(runtime, &test->chares[i].self, &done));
    }
}

static void
destroy_set(struct test *test, uint32_t set)
{
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback done = chare_callback_function(
        test->function_set_gone, chare_my_pe(runtime), set);

    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (test->chares[i].set == set && !test->chares[i].dying &&
            !may_die(test, i)) {
            return;
        }
    }
    for (uint32_t s = 0; s < test->section_count; s++) {
        if (!test->sections[s].created) {
            return; /* it may be named as a part */
        }
    }
    if (!test->sets[set].doomed) {
        test->sets[set].doomed = true;
        for (uint32_t i = 0; i < test->chare_count; i++) {
            test->chares[i].dying |= test->chares[i].set == set;
        }
        SIM_OK(test->job,
               chare_collection_destroy(runtime, test->sets[set].id, &done));
    }
}

static void
destroy_section(struct test *test, uint32_t s)
{
    struct section *section = &test->sections[s];
    chare_runtime *runtime = sim_any(test->job);
    const chare_callback done =
        chare_callback_function(test->function_ended, chare_my_pe(runtime), s);
    const chare_status status =
        chare_collection_destroy(runtime, section->id, &done);

    if (status == CHARE_ERR_NOT_FOUND && section->dooms > 0) {
        section->refusals++;
    } else {
        SIM_OK(test->job, status);
    }
    section->dooms++;
}

static void
act(struct test *test)
{
    struct sim_job *job = test->job;
    const uint32_t i = (uint32_t)sim_below(job, test->chare_count);
    const uint32_t s = test->section_count == 0
                           ? 0
                           : (uint32_t)sim_below(job, test->section_count);

    for (uint64_t n = test->moves ? sim_below(job, 4) : 0; n > 0; n--) {
        move_chare(test, (uint32_t)sim_below(job, test->chare_count));
    }
    switch (test->section_count == 0 ? 0 : sim_below(job, 24)) {
    case 0:
    case 1:
        create_section(test);
        break;
    case 2:
        if (test->moves && sim_below(job, 2) == 0) {
            /* What it contributes may come after the news of its end (F2). */
            ask_contribution(test, s, i);
            move_chare(test, i);
        }
        destroy_chare(test, i);
        break;
    case 3:
        if (!test->to_section || sim_below(job, 8) == 0) {
            destroy_section(test, s);
        }
        break;
    case 4:
        if (sim_below(job, 8) == 0) {
            destroy_set(test, (uint32_t)sim_below(job, SETS));
        }
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        make_cast(test, s);
        break;
    default:
        for (uint32_t n = 0; n < test->chare_count; n++) {
            if (sim_below(job, 3) == 0) {
                ask_contribution(test, s, n);
            }
        }
        break;
    }
    sim_job_steps(job, sim_below(job, 40));
}

/* ---- the end of a run */

static bool
job_ended(const struct test *test)
{
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        if (test->job->pes[pe].runtime->pe->ended) {
            return true;
        }
    }
    return false;
}

/* Those that live contribute to all rounds of all that is left. */
static void
finish(struct test *test)
{
    sim_job_settle(test->job);
    for (uint32_t s = 0; s < test->section_count && !job_ended(test); s++) {
        for (uint32_t i = 0; i < test->chare_count; i++) {
            for (uint32_t k = test->chares[i].contributed[s]; k < ROUNDS;
                 k++) {
                ask_contribution(test, s, i);
            }
        }
        if (sim_below(test->job, test->to_section ? 20 : 2) == 0) {
            destroy_section(test, s);
        }
    }
    sim_job_settle(test->job);
}

static void
check_section(struct test *test, uint32_t s)
{
    const struct section *section = &test->sections[s];
    uint32_t rounds = 0;

    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (test->chares[i].contributed[s] > rounds) {
            rounds = test->chares[i].contributed[s];
        }
    }
    if (test->moves && section->dooms > 0) {
        return; /* F3: what was under way to another PE is lost */
    }
    if (section->delivered != rounds && !test->to_section) {
        SIM_WRONG(test->job, "section %u: %u reductions, %u delivered", s,
                  rounds, section->delivered);
    }
    for (uint32_t k = 0; k < section->delivered; k++) {
        int64_t sum = 0;

        for (uint32_t i = 0; i < test->chare_count; i++) {
            if (test->chares[i].contributed[s] > k) {
                sum += sim_ends_value(s, i, k);
            }
        }
        if (section->sums[k] != sum) {
            SIM_WRONG(test->job, "section %u: reduction %u is wrong", s, k);
        }
    }
    if (section->ends + section->refusals != section->dooms ||
        section->ends != (section->dooms > 0) || !section->created) {
        SIM_WRONG(test->job, "section %u: %u ends, %u refusals of %u", s,
                  section->ends, section->refusals, section->dooms);
    }
}

/* Only what lives is known, and not everywhere. */
static void
check_memory(struct test *test)
{
    uint32_t most = 0;

    for (uint32_t set = 0; set < SETS; set++) {
        most += !test->sets[set].doomed;
        if (test->sets[set].ends != test->sets[set].doomed) {
            SIM_WRONG(test->job, "set %u: the end was told %u times", set,
                      test->sets[set].ends);
        }
    }
    for (uint32_t s = 0; s < test->section_count; s++) {
        most += test->sections[s].dooms == 0;
    }
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        const struct chi_obj *obj = sim_rt(test->job, pe)->obj;

        if (obj->collections.count > most || obj->pending.count > 0 ||
            obj->kept_bytes > 0) {
            SIM_WRONG(test->job, "PE %u knows %zu collections of %u", pe,
                      obj->collections.count, most);
        }
    }
}

/* A chare is in sections that are: it takes no others along. */
static void
check_members(struct test *test)
{
    for (uint32_t i = 0; i < test->chare_count; i++) {
        const struct chare *chare = &test->chares[i];
        uint32_t count = 0;
        uint32_t most = 0;

        for (uint32_t s = 0; s < test->section_count; s++) {
            most += test->sections[s].member[i] && !test->sections[s].dooms;
        }
        for (uint32_t pe = 0; chare->exists && pe < test->job->pe_count;
             pe++) {
            const struct chi_collection *set = chi_collection_find(
                sim_rt(test->job, pe)->obj, chare->self.collection);
            const struct chi_element *element =
                set == NULL ? NULL
                            : chi_element_find_index(set, &chare->self.index);

            count +=
                element == NULL ? 0 : (uint32_t)chi_members_count(element);
        }
        if (chare->exists && count != most) {
            SIM_WRONG(test->job, "chare %u is in %u sections of %u", i, count,
                      most);
        }
    }
}

static void
check_all(struct test *test)
{
    if (test->asked != 0) {
        SIM_WRONG(test->job, "%u calls were not answered", test->asked);
    }
    for (uint32_t n = 0; n < test->cast_count; n++) {
        if (test->casts[n].told != 1) {
            SIM_WRONG(test->job, "the end of call %u told %u times", n,
                      test->casts[n].told);
        }
    }
    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (test->chares[i].exists == test->chares[i].dying) {
            SIM_WRONG(test->job, "chare %u lives, or not", i);
        }
    }
    for (uint32_t s = 0; s < test->section_count; s++) {
        check_section(test, s);
    }
    check_memory(test);
    check_members(test);
}

/* True: the job went on to the end. */
static bool
run(struct test *test, struct sim_job *job, uint64_t seed,
    const struct sim_options *options, enum way way)
{
    memset(test, 0, sizeof(*test));
    test->job = job;
    test->to_section = way == TO_SECTION;
    test->moves = way == MOVING;
    if (!sim_job_open(job, seed, options, sim_ends_register, test)) {
        return false;
    }
    create_sets(test);
    for (uint32_t i = 0; i < ACTS_MAX && job->wrong[0] == '\0'; i++) {
        act(test);
        if (job_ended(test)) {
            return false;
        }
    }
    finish(test);
    if (job_ended(test)) {
        return false;
    }
    check_all(test);
    sim_job_check_clean(job);
    return true;
}

static void
close_job(struct test *test)
{
    test->closing = true; /* those that live are destroyed, too */
    sim_job_close(test->job);
}

static struct test the_test;

static void
ends_are_exact(void)
{
    const struct sim_options options = {0};
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        const bool whole = run(&the_test, &job, seed, &options, PLAIN);

        if (!whole) {
            SIM_WRONG(&job, "the job was ended");
        }
        close_job(&the_test);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
}

/* A section calls members that live elsewhere, whose array is forgotten
 * where it keeps account of them, or where they are. */
static void
ends_are_exact_while_chares_move(void)
{
    const struct sim_options options = {.quiet = true}; /* of F3 */
    uint64_t moves = 0;
    struct sim_job job;

    SIM_EACH_SEED(seed, SEEDS)
    {
        const bool whole = run(&the_test, &job, seed, &options, MOVING);

        if (!whole) {
            SIM_WRONG(&job, "the job was ended");
        }
        moves += the_test.moved;
        close_job(&the_test);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# %" PRIu64 " moves\n", moves);
}

/* Results that are broadcast to the section cross its end. */
static void
results_cross_the_end(void)
{
    const struct sim_options options = {.quiet = true};
    uint32_t refused = 0;
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 150; seed++) {
        const bool whole = run(&the_test, &job, seed, &options, TO_SECTION);
        uint32_t doomed = 0;

        for (uint32_t s = 0; s < the_test.section_count; s++) {
            doomed += the_test.sections[s].dooms > 0;
        }
        refused += !whole;
        if (!whole && doomed == 0) {
            SIM_WRONG(&job, "the job was ended");
        }
        close_job(&the_test);
        SIM_CHECK(&job, job.wrong[0] == '\0');
    }
    printf("# refused in %u of 150\n", refused);
    CHECK(refused > 10 && refused < 140);
}

static void
planted_bugs_are_seen(void)
{
    static const enum chi_handler handlers[] = {
        CHI_HANDLER_LEAVE,     CHI_HANDLER_DESTROY, CHI_HANDLER_REDUCE,
        CHI_HANDLER_BROADCAST, CHI_HANDLER_SECTION, CHI_HANDLER_BURY};
    enum {
        BUGS = sizeof(handlers) / sizeof(handlers[0])
    };
    uint32_t done[BUGS] = {0};
    uint32_t seen[BUGS] = {0};
    struct sim_job job;

    for (uint64_t seed = 1; seed <= 30 * BUGS; seed++) {
        const uint32_t kind = (uint32_t)(seed % BUGS);
        const struct sim_options options = {
            .pe_count = 4,
            .bug = CHI_SIM_BUG_DROP,
            .bug_handler = handlers[kind],
            .bug_at = seed % 3,
            .quiet = true,
        };
        bool bug_done;
        bool whole = run(&the_test, &job, seed, &options, PLAIN);

        bug_done = chi_sim_world_bug_done(job.world);
        done[kind] += bug_done;
        seen[kind] += bug_done && (!whole || job.wrong[0] != '\0');
        close_job(&the_test);
    }
    for (uint32_t i = 0; i < BUGS; i++) {
        printf("# bug %u: %u, seen %u\n", i, done[i], seen[i]);
        CHECK(done[i] > 10);
        CHECK_EQ(seen[i], done[i]);
    }
}

/* ---- what no right PE sends */

/* From PE 1 to PE 0, where it executes. */
static void
send_bytes(struct test *test, enum chi_handler handler, chare_collection to,
           uint16_t spare, const void *bytes, size_t len, const void *trailer,
           uint16_t trailer_len)
{
    struct chi_pe *pe = sim_rt(test->job, 1)->obj->pe;
    struct chi_msg *msg = chi_pe_msg(pe, handler, len);

    memcpy(msg->bytes, bytes, len);
    if (trailer != NULL) {
        SIM_OK(test->job, chi_msg_add_trailer(&msg, trailer, trailer_len));
    }
    msg->env.collection = to;
    msg->env.spare = spare;
    (void)chi_index_pack(&(chare_index){.ndims = 1}, &msg->env.key);
    chi_pe_send(pe, 0, msg);
    sim_job_settle(test->job);
}

/* Roll calls for a chare that has moved; the format is enlist.c's. */
static void
send_bad_rolls(struct test *test, chare_collection formed)
{
    const struct {
        uint64_t first;
        uint32_t op;
        int64_t step;
    } bad[] = {{formed, 2, 0}, {0, 1, 1}, {formed, 1, 1}};
    const struct {
        uint64_t called;
        uint32_t pe;
        uint32_t handler;
    } head = {formed, 1, CHI_HANDLER_ROLL};
    uint64_t roll[22] = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        roll[0] = bad[i].first;
        roll[1] = (uint64_t)bad[i].op << 32 | 1;
        roll[2] = 1;
        for (uint32_t dim = 0; dim < CHARE_DIMS_MAX; dim++) {
            roll[16 + dim] = (uint64_t)bad[i].step;
        }
        send_bytes(test, CHI_HANDLER_CAST, test->sets[0].id, 0, roll,
                   sizeof(roll), &head, sizeof(head));
    }
}

static void
send_bad_chares(struct test *test)
{
    const uint64_t data_len = 0;
    struct chi_luggage bad[7];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bad[i] = (struct chi_luggage){
            .self = chare_element_1d(test->sets[1].id, 1000), .from = 1};
    }
    bad[0].self.index.ndims = 2;
    bad[1].casts_below = (uint64_t)1 << 60;
    bad[2].flags = CHI_LUGGAGE_GUEST;
    bad[2].type = test->type_still;
    bad[3].flags = CHI_LUGGAGE_GUEST;
    bad[3].type = UINT32_MAX;
    bad[4].from = 1000;
    bad[5].self.collection = test->sets[0].id;
    bad[6].self.collection = test->sets[0].id;
    bad[6].self.index.at[0] = 0; /* it is here */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        send_bytes(test, CHI_HANDLER_MOVE, bad[i].self.collection, 0, &bad[i],
                   sizeof(bad[i]), &data_len, sizeof(data_len));
    }
}

static void
malformed_messages_are_dropped(void)
{
    const struct sim_options options = {.pe_count = 2, .quiet = true};
    const struct chi_section_vertex part = {0, 1, 7};
    unsigned char form[sizeof(uint64_t) + sizeof(part)] = {0};
    struct test *test = &the_test;
    struct chi_obj *obj;
    chare_element names[2];
    chare_collection formed;
    chare_collection open;
    struct sim_job job;
    size_t known;

    memset(test, 0, sizeof(*test));
    test->job = &job;
    CHECK(sim_job_open(&job, 1, &options, sim_ends_register, test));
    create_sets(test);
    names[0] = test->chares[0].self;
    names[1] = test->chares[1].self;
    SIM_OK(&job,
           chare_section_create(sim_rt(&job, 0), names, 2, NULL, &formed));
    SIM_OK(&job, chare_section_open(sim_rt(&job, 1), 1, &open));
    sim_job_settle(&job);
    SIM_OK(&job, chare_section_enlist(sim_rt(&job, 0), &names[0], open));
    obj = sim_rt(&job, 0)->obj;
    known = obj->collections.count;
    send_bytes(test, CHI_HANDLER_ENLIST, test->sets[0].id, 0, &formed,
               sizeof(formed), NULL, 0);
    memcpy(form + sizeof(uint64_t), &part, sizeof(part));
    send_bytes(test, CHI_HANDLER_SECTION, open, CHI_SECTION_FORM, form,
               sizeof(form), NULL, 0);
    send_bad_rolls(test, formed);
    send_bad_chares(test);
    CHECK(!job_ended(test) && !chi_collection_find(obj, open)->populated);
    CHECK_EQ(obj->collections.count, known);
    CHECK_EQ(chi_collection_find(obj, test->sets[0].id)->count, 1);
    SIM_CHECK(&job, job.wrong[0] == '\0');
    close_job(test);
}

/* A chare cannot have missed what had run where it was when it left. */
static void
false_arrivals_are_dropped(void)
{
    const struct sim_options options = {.pe_count = 2, .quiet = true};
    const chare_array_options one = {
        .size = sizeof(one),
        .ndims = 1,
        .dense = true,
        .dims = {1},
        .map = CHARE_MAP_BLOCK,
    };
    const uint64_t number = 0;
    struct test *test = &the_test;
    chare_array_options made = one;
    struct sim_job job;
    struct chi_msg *msg;
    struct chi_obj *obj;

    memset(test, 0, sizeof(*test));
    test->job = &job;
    CHECK(sim_job_open(&job, 1, &options, sim_ends_register, test));
    made.type = test->type;
    SIM_OK(&job, chare_array_create(sim_rt(&job, 0), &made, NULL,
                                    &test->sets[1].id));
    chare_add(test, 1, 0);
    SIM_OK(&job, chare_broadcast(sim_rt(&job, 0), test->sets[1].id,
                                 test->entry_told, NULL, NULL));
    sim_job_settle(&job);
    obj = sim_rt(&job, 0)->obj;
    SIM_OK(&job, chare_migrate(sim_rt(&job, 0), &test->chares[0].self, 1));
    while (test->moved == 0 && sim_job_step(&job)) {
    }
    CHECK_EQ(test->moved, 1);
    msg = chi_pe_msg(obj->pe, CHI_HANDLER_MOVED,
                     sizeof(chare_element) + sizeof(number));
    msg->env.collection = test->sets[1].id;
    memcpy(msg->bytes, &test->chares[0].self, sizeof(chare_element));
    memcpy(msg->bytes + sizeof(chare_element), &number, sizeof(number));
    chi_moved_execute(obj, msg);
    sim_job_settle(&job); /* the right answer comes */
    CHECK(!job_ended(test));
    CHECK_EQ(chi_collection_find(obj, test->sets[1].id)->count, 0);
    SIM_CHECK(&job, job.wrong[0] == '\0');
    close_job(test);
}

TAP_MAIN(TAP_CASE(malformed_messages_are_dropped),
         TAP_CASE(false_arrivals_are_dropped), TAP_CASE(ends_are_exact),
         TAP_CASE(ends_are_exact_while_chares_move),
         TAP_CASE(results_cross_the_end), TAP_CASE(planted_bugs_are_seen))
