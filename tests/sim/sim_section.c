/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_section.c - making collections and sections, for test_sim_section.
 */
#include "config.h"

#include "sim_section.h"

bool
sim_enlists(uint32_t t, uint32_t chare)
{
    return chi_mix64((uint64_t)t * 1000 + chare) % 3 == 0;
}

struct target *
sim_target_add(struct test *test, bool section)
{
    struct target *target = &test->targets[test->target_count++];

    target->section = section;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        target->rounds[r].what = (enum what)sim_below(test->job, WHAT_COUNT);
    }
    return target;
}

void
sim_target_start(struct test *test, struct target *target)
{
    const uint32_t t = (uint32_t)(target - test->targets);
    const chare_data data = chare_data_bytes(&t, sizeof(t));

    target->count = 0;
    for (uint32_t i = 0; i < test->chare_count; i++) {
        const struct chare *chare = &test->chares[i];

        if (target->member[i]) {
            target->count++;
            SIM_OK(test->job,
                   chare_send(sim_any(test->job), &chare->self,
                              test->entry_work[chare->type], &data, NULL));
        }
    }
}

static struct chare *
chare_add(struct test *test, const struct set *set, uint32_t type)
{
    struct chare *chare = &test->chares[test->chare_count];

    *chare = (struct chare){
        .test = test, .type = type, .number = test->chare_count};
    chare->self.collection = set->id;
    chare->self.index.ndims = set->ndims;
    test->targets[set->target].member[test->chare_count++] = true;
    return chare;
}

/* A sparse array, filled from anywhere; some indices are wide. */
static void
fill_sparse(struct test *test, const struct set *set, uint32_t type)
{
    struct sim_job *job = test->job;
    const uint64_t count = sim_below(job, 20);

    for (uint64_t i = 0; i < count; i++) {
        struct chare *chare = chare_add(test, set, type);

        chare->self.index.at[0] =
            ((int64_t)i - 5) * (sim_below(job, 4) == 0 ? 1ll << 40 : 3);
        chare->self.index.at[set->ndims - 1] += (int64_t)i * 3 - 9;
    }
}

void
sim_set_fill(struct test *test, const struct set *set)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_any(job);

    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (test->chares[i].self.collection == set->id) {
            SIM_OK(job,
                   chare_insert(runtime, &test->chares[i].self,
                                sim_below(job, 2) == 0
                                    ? CHARE_ANY_PE
                                    : (uint32_t)sim_below(job, job->pe_count),
                                NULL));
        }
    }
    SIM_OK(job, chare_insert_done(runtime, set->id, NULL));
}

void
sim_set_create(struct test *test)
{
    static const uint64_t sizes[CHARE_DIMS_MAX] = {30, 6, 3, 2, 2, 2};
    struct sim_job *job = test->job;
    const uint32_t type = (uint32_t)sim_below(job, TYPES);
    struct set *set = &test->sets[test->set_count++];
    struct target *target = sim_target_add(test, false);
    uint32_t count = 1;
    chare_array_options options = {
        .size = sizeof(options),
        .type = test->type[type],
        .ndims = 1 + (uint32_t)sim_below(job, CHARE_DIMS_MAX),
        .dense = sim_below(job, 3) != 0,
        .map = (uint32_t)sim_below(job, 4),
    };

    target->type = type;
    set->target = (uint32_t)(target - test->targets);
    set->group = sim_below(job, 3) == 0;
    set->sparse = !set->group && !options.dense;
    set->ndims = set->group ? 1 : options.ndims;
    if (set->group) {
        set->dims[0] = job->pe_count;
        count = job->pe_count;
        SIM_OK(job, chare_group_create(sim_any(job), test->type[type], NULL,
                                       NULL, &set->id));
    } else {
        options.map = set->sparse ? CHARE_MAP_HASH : options.map;
        for (uint32_t i = 0; options.dense && i < set->ndims; i++) {
            options.dims[i] =
                1 + (int64_t)sim_below(job, sizes[set->ndims - 1]);
            set->dims[i] = options.dims[i];
            count *= (uint32_t)options.dims[i];
        }
        SIM_OK(job,
               chare_array_create(sim_any(job), &options, NULL, &set->id));
    }
    target->id = set->id;
    if (set->sparse) {
        fill_sparse(test, set, type);
        return;
    }
    for (uint32_t n = 0; n < count; n++) {
        struct chare *chare = chare_add(test, set, type);
        uint32_t rest = n;

        for (uint32_t i = set->ndims; i-- > 0;) {
            chare->self.index.at[i] = rest % set->dims[i];
            rest /= (uint32_t)set->dims[i];
        }
    }
}

/* ---- sections, in all ways */

static chare_callback
created_callback(struct test *test, uint32_t pe, uint32_t t)
{
    test->created_want++;
    return chare_callback_function(test->function_created, pe, t);
}

void
sim_section_named(struct test *test, struct target *target)
{
    struct sim_job *job = test->job;
    const uint32_t t = (uint32_t)(target - test->targets);
    const chare_callback callback = created_callback(test, target->maker, t);
    const uint64_t share = 1 + sim_below(job, 6);
    chare_element names[2 * CHARES_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (sim_below(job, share) == 0 && test->chare_count > 0) {
            target->member[i] = true;
            for (uint64_t n = 1 + (sim_below(job, 8) == 0); n > 0; n--) {
                names[count++] = test->chares[i].self;
            }
        }
    }
    SIM_OK(job, chare_section_create(sim_rt(job, target->maker), names, count,
                                     &callback, &target->id));
}

static void
make_slice(struct test *test, struct target *target)
{
    struct sim_job *job = test->job;
    const uint32_t t = (uint32_t)(target - test->targets);
    const struct set *set = &test->sets[sim_below(job, test->set_count)];
    const chare_callback callback = created_callback(test, target->maker, t);
    chare_slice slices[CHARE_DIMS_MAX];

    for (uint32_t i = 0; i < set->ndims; i++) {
        slices[i] = (chare_slice){
            .from = (int64_t)sim_below(job, 8) - 3,
            .to = (int64_t)sim_below(job, 40) - 3,
            .step = 1 + (int64_t)sim_below(job, 3),
            .has_from = sim_below(job, 2) == 0,
            .has_to = sim_below(job, 2) == 0,
        };
    }
    for (uint32_t i = 0; i < test->chare_count; i++) {
        const chare_element *self = &test->chares[i].self;

        target->member[i] = self->collection == set->id;
        for (uint32_t d = 0; target->member[i] && d < set->ndims; d++) {
            const chare_slice *slice = &slices[d];
            int64_t from = slice->has_from ? slice->from : 0;
            int64_t to = slice->has_to ? slice->to : INT64_MAX;
            int64_t off;

            if (!set->sparse) { /* as Python has it */
                from = from < 0 ? from + set->dims[d] : from;
                from = from < 0 ? 0 : from;
                to = to < 0 ? to + set->dims[d] : to;
            }
            off = self->index.at[d] - from;
            target->member[i] = (off >= 0 || !slice->has_from) &&
                                self->index.at[d] < to &&
                                off % slice->step == 0;
        }
    }
    SIM_OK(job,
           chare_section_slice(sim_rt(job, target->maker), set->id, slices,
                               set->ndims, &callback, &target->id));
}

static void
make_combined(struct test *test, struct target *target)
{
    struct sim_job *job = test->job;
    const uint32_t t = (uint32_t)(target - test->targets);
    const chare_callback callback = created_callback(test, target->maker, t);
    chare_collection parts[4];
    const size_t count = sim_below(job, 4);

    for (size_t i = 0; i < count; i++) {
        const struct target *part = &test->targets[sim_below(job, t)];

        parts[i] = part->id;
        for (uint32_t c = 0; c < test->chare_count; c++) {
            target->member[c] |= part->member[c];
        }
    }
    SIM_OK(job, chare_section_combine(sim_rt(job, target->maker), parts, count,
                                      &callback, &target->id));
}

uint32_t
sim_type_for(struct test *test, const struct target *target)
{
    return target->section ? (uint32_t)sim_below(test->job, TYPES)
                           : target->type;
}

/* One or more sections at once; their members say so themselves. */
static void
make_enlisted(struct test *test, struct target *first)
{
    struct sim_job *job = test->job;
    chare_runtime *runtime = sim_rt(job, first->maker);
    const uint32_t t = (uint32_t)(first - test->targets);
    const uint32_t parent = (uint32_t)sim_below(job, t);
    uint32_t count = 1 + (uint32_t)sim_below(job, ENLISTS_MAX);
    uint32_t range[2] = {t, count};
    chare_callback over;
    chare_data data = chare_data_bytes(range, sizeof(range));
    chare_send_options options = {.size = sizeof(options), .reply = &over};

    if (t + count > TARGETS_MAX) {
        count = TARGETS_MAX - t;
        range[1] = count;
    }
    SIM_OK(job, chare_section_open(runtime, count, &first->id));
    for (uint32_t i = 0; i < count; i++) {
        struct target *target = i == 0 ? first : sim_target_add(test, true);

        target->maker = first->maker;
        target->id = first->id + i;
        for (uint32_t c = 0; c < test->chare_count; c++) {
            target->member[c] =
                test->targets[parent].member[c] && sim_enlists(t + i, c);
        }
    }
    test->created_want++;
    over = chare_callback_function(test->function_enlisted, first->maker,
                                   parent * 10000ull + t * 100 + count);
    SIM_OK(job,
           chare_broadcast(
               runtime, test->targets[parent].id,
               test->entry_enlist[sim_type_for(test, &test->targets[parent])],
               &data, &options));
}

void
sim_section_create(struct test *test)
{
    static void (*const ways[])(struct test *, struct target *) = {
        sim_section_named, make_slice, make_combined, make_enlisted};
    const uint32_t t = test->target_count;
    struct target *target = sim_target_add(test, true);

    target->maker = (uint32_t)sim_below(test->job, test->job->pe_count);
    ways[sim_below(test->job, 4)](test, target);
    for (uint32_t i = t; i < test->target_count; i++) {
        sim_target_start(test, &test->targets[i]);
    }
}
