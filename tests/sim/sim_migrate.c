/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_migrate.c - the chares of test_sim_migrate, what they execute, and what
 * the model says of that.
 */
#include "config.h"

#include "sim_migrate.h"

#include <stdlib.h>

#include "loc/loc.h"
#include "obj/obj_private.h"

/* An object: what moves is in 'which' and 'state'. */
struct here {
    struct migrate_test *test;
    uint32_t which;
    bool is_bound;
    uint64_t moves;
    size_t len;
    unsigned char state[STATE_MAX];
};

/* ---- objects */

static struct here *
here_new(struct migrate_test *test, const chare_call *call, bool is_bound)
{
    struct here *here = calloc(1, sizeof(*here));

    here->test = test;
    here->is_bound = is_bound;
    for (uint32_t i = 0; i < test->count; i++) {
        if (memcmp(&test->chares[i].element.index, &call->self->index,
                   sizeof(call->self->index)) == 0) {
            here->which = i;
            return here;
        }
    }
    SIM_WRONG(test->job, "a chare of no known index");
    return here;
}

static void
here_lives(struct here *here, uint32_t pe, int by)
{
    struct chare_model *model = &here->test->chares[here->which];

    if (here->is_bound) {
        return;
    }
    model->lives += (uint32_t)by;
    if (by > 0) {
        model->pe = pe;
    }
    if (model->lives > 1) {
        SIM_WRONG(here->test->job, "chare %u exists twice", here->which);
    }
}

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct migrate_test *test = context;
    struct here *here = here_new(test, call, false);

    here->len = 8 + sim_below(test->job, STATE_MAX - 8);
    sim_fill(here->state, here->which, here->len);
    here_lives(here, chare_my_pe(call->runtime), 1);
    *object_out = here;
    return CHARE_OK;
}

static chare_status
create_bound(const chare_call *call, void *context, void **object_out)
{
    *object_out = here_new(context, call, true);
    ((struct here *)*object_out)->len = 8;
    sim_fill(((struct here *)*object_out)->state,
             ((struct here *)*object_out)->which, 8);
    return CHARE_OK;
}

static void
depart(void *object, void *context)
{
    struct migrate_test *test = context;

    test->packed++;
    here_lives(object, 0, -1);
    free(object);
}

static void
destroy(void *object, void *context)
{
    struct here *here = object;

    (void)context;
    if (!here->is_bound) {
        here->test->chares[here->which].gone = true;
    }
    here_lives(here, 0, -1);
    free(here);
}

static chare_status
pack(void *object, void *context, chare_encoder *encoder)
{
    struct here *here = object;

    (void)context;
    if (!here->is_bound && !here->test->willing &&
        sim_below(here->test->job, 12) == 0) {
        return CHARE_ERR_AGAIN; /* until it is asked to move again */
    }
    chare_put_int(encoder, (int64_t)here->moves + 1);
    chare_put_bytes(encoder, here->state, here->len);
    return CHARE_OK;
}

static chare_status
unpack_as(const chare_call *call, struct migrate_test *test, bool is_bound,
          void **object_out)
{
    struct here *here = here_new(test, call, is_bound);
    chare_decoder decoder;
    chare_value moves;
    chare_value state;

    *object_out = here;
    test->unpacked++;
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &moves) != CHARE_OK ||
        chare_get(&decoder, &state) != CHARE_OK ||
        state.as.bytes.len > sizeof(here->state)) {
        return CHARE_ERR_FORMAT;
    }
    here->moves = (uint64_t)moves.as.integer;
    here->len = state.as.bytes.len;
    memcpy(here->state, state.as.bytes.at, here->len);
    if (!sim_filled(here->state, here->which, here->len)) {
        SIM_WRONG(test->job, "chare %u moved and was damaged", here->which);
    }
    here_lives(here, chare_my_pe(call->runtime), 1);
    return CHARE_OK;
}

static chare_status
unpack(const chare_call *call, void *context, void **object_out)
{
    return unpack_as(call, context, false, object_out);
}

static chare_status
unpack_bound(const chare_call *call, void *context, void **object_out)
{
    return unpack_as(call, context, true, object_out);
}

/* V3: from when one chare of a step executes, all of them are here. */
static void
check_together(struct migrate_test *test, uint32_t which)
{
    const struct chare_model *model = &test->chares[which];
    chare_element bound = model->element;

    bound.collection = test->bound;
    if (test->bound_settled &&
        !chare_is_local(sim_rt(test->job, model->pe), &bound)) {
        SIM_WRONG(test->job, "chare %u is without the bound one", which);
    }
}

static void
migrated(void *object, void *context)
{
    struct here *here = object;
    struct migrate_test *test = context;

    check_together(test, here->which);
    test->arrived++;
}

/* ---- calls */

void
migrate_call(struct migrate_test *test, chare_runtime *runtime, uint32_t which)
{
    struct sim_job *job = test->job;
    const uint32_t n = test->call_count;
    struct call *call = &test->calls[n];
    unsigned char bytes[2000];
    const size_t len = 8 + sim_below(job, sim_below(job, 8) == 0 ? 1992 : 40);
    const chare_callback reply = chare_callback_function(
        test->function_answer, chare_my_pe(runtime), n);
    chare_send_options options = {.size = sizeof(options)};
    chare_data data = chare_data_bytes(bytes, len);

    if (n == CALLS_MAX) {
        return;
    }
    test->call_count++;
    *call = (struct call){
        .pe = chare_my_pe(runtime),
        .which = which,
        .phase = test->storm || test->chares[which].restless ? 0 : test->phase,
        .asks = test->destroys || sim_below(job, 4) == 0,
    };
    options.reply = call->asks ? &reply : NULL;
    if (call->phase == 0 && sim_below(job, 5) == 0) {
        options.priority = (int16_t)sim_below(job, 5) - 2;
    }
    sim_fill(bytes, n, len);
    SIM_OK(job,
           chare_send(runtime, &test->chares[call->which].element,
                      test->entry_call, &data,
                      call->asks || options.priority != 0 ? &options : NULL));
}

void
migrate_make_call(struct migrate_test *test, chare_runtime *runtime)
{
    migrate_call(test, runtime, (uint32_t)sim_below(test->job, test->count));
}

static void
called(void *object, const chare_call *call, void *context)
{
    struct here *here = object;
    struct migrate_test *test = context;
    struct chare_model *model = &test->chares[here->which];
    struct call *record;
    uint64_t n;

    memcpy(&n, call->bytes, sizeof(n));
    if (n >= test->call_count || !sim_filled(call->bytes, n, call->len)) {
        SIM_WRONG(test->job, "a call came damaged");
        return;
    }
    record = &test->calls[n];
    if (model->guest != (call->entry == test->guest_call)) {
        SIM_WRONG(test->job, "call %" PRIu64 " executed as of another type",
                  n);
    }
    if (record->which != here->which || record->pe != call->source_pe ||
        memcmp(call->self, &model->element, sizeof(*call->self)) != 0) {
        SIM_WRONG(test->job, "call %" PRIu64 " came to a wrong chare", n);
    }
    if (record->phase != 0) {
        if (model->last[record->pe] > n) {
            SIM_WRONG(test->job, "call %" PRIu64 " came after call %u", n,
                      model->last[record->pe] - 1);
        }
        model->last[record->pe] = (uint32_t)n + 1;
    }
    record->executed++;
    check_together(test, here->which);
    if (sim_below(test->job, 2) == 0) {
        migrate_make_call(test, call->runtime);
    }
    if (test->storm && sim_below(test->job, 6) == 0) {
        SIM_OK(test->job, chare_migrate(call->runtime, call->self,
                                        (uint32_t)sim_below(
                                            test->job, test->job->pe_count)));
    }
}

static void
answered(const chare_call *call, void *context)
{
    struct migrate_test *test = context;
    struct call *record = &test->calls[call->argument];

    record->answers++;
    record->errors += call->format == CHARE_FORMAT_ERROR;
}

/* ---- broadcasts and sections */

void
migrate_make_slice(struct migrate_test *test, chare_collection *section_out)
{
    const uint32_t ndims = test->chares[0].element.index.ndims;
    chare_slice slices[CHARE_DIMS_MAX];

    for (uint32_t d = 0; d < ndims; d++) {
        slices[d] = (chare_slice){.step = 1};
    }
    SIM_OK(test->job, chare_section_slice(sim_any(test->job), test->id, slices,
                                          ndims, NULL, section_out));
}

void
migrate_make_cast(struct migrate_test *test, chare_runtime *runtime)
{
    struct sim_job *job = test->job;
    const uint32_t n = test->cast_count;
    struct cast *cast = &test->casts[n];
    const chare_callback reply =
        chare_callback_function(test->function_cast, chare_my_pe(runtime), n);
    chare_send_options options = {.size = sizeof(options)};
    const uint64_t number = n;
    chare_data data = chare_data_bytes(&number, sizeof(number));
    bool guests = true;

    if (n == CASTS_MAX) {
        return;
    }
    test->cast_count++;
    *cast = (struct cast){.asks = sim_below(job, 2) == 0};
    cast->section =
        (uint32_t)sim_below(job, (uint64_t)test->section_count + 1);
    for (uint32_t i = 0; i < test->count; i++) {
        const uint64_t bit = (uint64_t)1 << i;

        if (cast->section == 0 || (test->members[cast->section - 1] & bit)) {
            *(test->chares[i].destroyed ? &cast->maybe : &cast->wanted) |= bit;
            guests = guests && test->chares[i].guest;
        }
    }
    if (cast->section == 0 && sim_below(job, 3) == 0) {
        options.priority = (int16_t)sim_below(job, 5) - 2;
    }
    cast->source = chare_my_pe(runtime);
    cast->priority = options.priority;
    options.reply = cast->asks ? &reply : NULL;
    SIM_OK(job, chare_broadcast(runtime,
                                cast->section == 0
                                    ? test->id
                                    : test->sections[cast->section - 1],
                                cast->section > 0 && guests ? test->guest_visit
                                                            : test->entry_cast,
                                &data, &options));
}

static int64_t
value_of(uint32_t which, uint32_t round)
{
    return 1000 * (int64_t)round + (1 << which);
}

static void
section_contribute(struct migrate_test *test, const chare_call *call,
                   uint32_t which, uint32_t section)
{
    struct chare_model *model = &test->chares[which];
    const chare_callback callback =
        chare_callback_function(test->function_section_sum, 0, section);
    const int64_t value =
        value_of(which, model->section_contributed[section]++);
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;

    if (sim_below(test->job, 2) == 0) {
        SIM_OK(test->job,
               chare_section_contribute_int(
                   call->runtime, call->self, test->sections[section],
                   CHARE_REDUCE_SUM, value, &callback));
        return;
    }
    SIM_OK(test->job, chare_encoder_init(&encoder, call->runtime, 16));
    chare_put_int(&encoder, value);
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    SIM_OK(test->job, chare_section_contribute(
                          call->runtime, call->self, test->sections[section],
                          CHARE_REDUCE_SUM, &data, &callback));
}

/* Those of one PE, target and priority come in the order made, however often
 * the chare has moved. */
static void
check_cast_order(const struct migrate_test *test, uint64_t n, uint32_t which)
{
    const struct cast *cast = &test->casts[n];

    for (uint32_t m = (uint32_t)n + 1; m < test->cast_count; m++) {
        const struct cast *later = &test->casts[m];

        if (later->section == cast->section && later->source == cast->source &&
            later->priority == cast->priority && (later->seen >> which & 1)) {
            SIM_WRONG(test->job,
                      "chare %u has had broadcast %u before %" PRIu64, which,
                      m, n);
        }
    }
}

static void
cast_ran(void *object, const chare_call *call, void *context)
{
    struct here *here = object;
    struct migrate_test *test = context;
    struct cast *cast;
    uint64_t n = UINT64_MAX;

    if (call->len == sizeof(n)) {
        memcpy(&n, call->bytes, sizeof(n));
    }
    if (n >= test->cast_count) {
        SIM_WRONG(test->job, "a broadcast came damaged");
        return;
    }
    cast = &test->casts[n];
    if (cast->seen >> here->which & 1) {
        SIM_WRONG(test->job, "chare %u has had broadcast %" PRIu64 " before",
                  here->which, n);
    }
    if (((cast->wanted | cast->maybe) >> here->which & 1) == 0) {
        SIM_WRONG(test->job, "chare %u is no member", here->which);
    }
    if (cast->told > 0) {
        SIM_WRONG(test->job, "the end of broadcast %" PRIu64 " told early", n);
    }
    check_cast_order(test, n, here->which);
    cast->seen |= (uint64_t)1 << here->which;
    if (cast->section > 0) {
        section_contribute(test, call, here->which, cast->section - 1);
    }
}

static void
cast_told(const chare_call *call, void *context)
{
    struct migrate_test *test = context;
    struct cast *cast = &test->casts[call->argument];

    cast->told++;
}

static void
contribute(void *object, const chare_call *call, void *context)
{
    struct here *here = object;
    struct migrate_test *test = context;
    struct chare_model *model = &test->chares[here->which];
    const chare_callback callback =
        chare_callback_function(test->function_sum, 0, 0);
    const int64_t value = value_of(here->which, model->contributed);

    model->contributed++;
    SIM_OK(test->job,
           chare_contribute_array(call->runtime, call->self, CHARE_REDUCE_SUM,
                                  CHARE_DTYPE_I64, &value, 1, &callback));
}

static void
sum_told(const chare_call *call, void *context)
{
    struct migrate_test *test = context;
    const uint32_t round = test->sums_told++;
    chare_decoder decoder;
    chare_value value;
    int64_t sum = 0;

    for (uint32_t i = 0; i < test->count; i++) {
        if (test->chares[i].contributed > round) {
            sum += value_of(i, round);
        }
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_ARRAY || value.as.array.len != 8 ||
        *(const int64_t *)value.as.array.data != sum) {
        SIM_WRONG(test->job, "reduction %u is wrong", round);
    }
}

static void
section_sum_told(const chare_call *call, void *context)
{
    struct migrate_test *test = context;
    const uint64_t section = call->argument;
    const uint32_t round = test->section_told[section]++;
    chare_decoder decoder;
    chare_value value;
    int64_t sum = 0;

    for (uint32_t i = 0; i < test->count; i++) {
        if (test->members[section] >> i & 1) {
            sum += value_of(i, round);
        }
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_INT || value.as.integer != sum) {
        SIM_WRONG(test->job, "reduction %u of a section is wrong", round);
    }
}

static void
bound_called(void *object, const chare_call *call, void *context)
{
    struct here *here = object;
    struct migrate_test *test = context;

    test->together++;
    if (!chare_is_local(call->runtime, &test->chares[here->which].element)) {
        SIM_WRONG(test->job, "bound chare %u is alone", here->which);
    }
}

static void
end_told(const chare_call *call, void *context)
{
    (void)call;
    ((struct migrate_test *)context)->ends_told++;
}

static void
quiet(const chare_call *call, void *context)
{
    struct migrate_test *test = context;

    (void)call;
    test->quiet_told++;
    for (uint32_t n = 0; n < test->quiet_calls; n++) {
        if (test->calls[n].executed + test->calls[n].errors == 0) {
            SIM_WRONG(test->job, "quiescence told before call %u", n);
        }
    }
    if (test->packed != test->unpacked && !test->storm) {
        SIM_WRONG(test->job, "quiescence told while a chare moves");
    }
    if (test->ends_told < test->quiet_ends) {
        SIM_WRONG(test->job, "quiescence told before the end of a chare");
    }
    migrate_check_wishes(test);
}

/* ---- registering, checking */

void
migrate_check_wishes(struct migrate_test *test)
{
    for (uint32_t i = 0; i < test->count; i++) {
        const struct chare_model *model = &test->chares[i];

        if (model->wished != 0 &&
            (model->lives != 1 || model->pe != model->wished - 1)) {
            SIM_WRONG(test->job, "chare %u is on PE %u, wished on %u", i,
                      model->pe, model->wished - 1);
        }
    }
}

bool
migrate_register_all(struct sim_job *job, chare_runtime *runtime)
{
    struct migrate_test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Mover",
        .create = create,
        .destroy = destroy,
        .pack = pack,
        .unpack = unpack,
        .depart = depart,
        .migrated = migrated,
    };
    const chare_type_ops bound = {
        .size = sizeof(bound),
        .name = "Bound",
        .create = create_bound,
        .destroy = destroy,
        .pack = pack,
        .unpack = unpack_bound,
        .depart = depart,
    };

    chare_type_ops guest = ops;
    uint32_t entry;

    guest.name = "Visitor";
    return chare_type_register(runtime, &guest, test, &test->type_guest) ==
               CHARE_OK &&
           chare_entry_register(runtime, test->type_guest, "cast", cast_ran,
                                test, &entry) == CHARE_OK &&
           chare_entry_register(runtime, test->type_guest, "visit", cast_ran,
                                test, &test->guest_visit) == CHARE_OK &&
           chare_entry_register(runtime, test->type_guest, "call", called,
                                test, &test->guest_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type_guest, "contribute",
                                contribute, test, &entry) == CHARE_OK &&
           chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
           chare_type_register(runtime, &bound, test, &test->type_bound) ==
               CHARE_OK &&
           chare_entry_register(runtime, test->type, "call", called, test,
                                &test->entry_call) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "cast", cast_ran, test,
                                &test->entry_cast) == CHARE_OK &&
           chare_entry_register(runtime, test->type, "contribute", contribute,
                                test, &test->entry_contribute) == CHARE_OK &&
           chare_entry_register(runtime, test->type_bound, "look",
                                bound_called, test,
                                &test->entry_bound) == CHARE_OK &&
           chare_function_register(runtime, "answered", answered, test,
                                   &test->function_answer) == CHARE_OK &&
           chare_function_register(runtime, "cast_told", cast_told, test,
                                   &test->function_cast) == CHARE_OK &&
           chare_function_register(runtime, "sum_told", sum_told, test,
                                   &test->function_sum) == CHARE_OK &&
           chare_function_register(runtime, "section_sum", section_sum_told,
                                   test,
                                   &test->function_section_sum) == CHARE_OK &&
           chare_function_register(runtime, "end_told", end_told, test,
                                   &test->function_end) == CHARE_OK &&
           chare_function_register(runtime, "quiet", quiet, test,
                                   &test->function_quiet) == CHARE_OK;
}

void
migrate_check_calls(struct migrate_test *test)
{
    for (uint32_t n = 0; n < test->call_count && n < CALLS_MAX - 1; n++) {
        const struct call *call = &test->calls[n];

        if (call->executed + call->errors != 1 ||
            call->answers != call->asks ||
            (call->errors > 0 && !test->chares[call->which].destroyed)) {
            SIM_WRONG(test->job,
                      "call %u to %u: %u executions, %u answers, %u errors", n,
                      call->which, call->executed, call->answers,
                      call->errors);
        }
    }
    for (uint32_t n = 0; n < test->cast_count; n++) {
        const struct cast *cast = &test->casts[n];

        if ((cast->wanted & ~cast->maybe & ~cast->seen) != 0) {
            SIM_WRONG(test->job, "broadcast %u did not reach %" PRIx64, n,
                      cast->wanted & ~cast->seen);
        }
        if (cast->told != cast->asks) {
            SIM_WRONG(test->job, "the end of broadcast %u told %u times", n,
                      cast->told);
        }
    }
}

void
migrate_check_rest(struct migrate_test *test)
{
    uint32_t rounds = 0;

    for (uint32_t i = 0; i < test->count; i++) {
        const struct chare_model *model = &test->chares[i];

        rounds = model->contributed > rounds ? model->contributed : rounds;
        if (model->lives != !model->destroyed ||
            model->gone != model->destroyed) {
            SIM_WRONG(test->job, "chare %u: %u objects", i, model->lives);
        }
    }
    if (test->sums_told != rounds) {
        SIM_WRONG(test->job, "%u reductions, %u told", rounds,
                  test->sums_told);
    }
    for (uint32_t s = 0; s < test->section_count; s++) {
        uint32_t calls = 0;

        for (uint32_t n = 0; n < test->cast_count; n++) {
            calls += test->casts[n].section == s + 1;
        }
        if (test->members[s] != 0 && test->section_told[s] != calls) {
            SIM_WRONG(test->job, "%u reductions of section %u, %u told", calls,
                      s, test->section_told[s]);
        }
    }
    if (test->packed != test->unpacked) {
        SIM_WRONG(test->job, "%u chares left, %u came", test->packed,
                  test->unpacked);
    }
    if (test->quiet_asked != test->quiet_told) {
        SIM_WRONG(test->job, "quiescence told %u times", test->quiet_told);
    }
    if (test->ends_asked != test->ends_told) {
        SIM_WRONG(test->job, "%u ends, %u told", test->ends_asked,
                  test->ends_told);
    }
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        const uint32_t hops =
            chi_loc_hops_most(sim_rt(test->job, pe)->obj->loc);

        if (hops > (test->destroys ? 3 : 2)) { /* L2 */
            SIM_WRONG(test->job, "PE %u forwarded what had %u hops", pe, hops);
        }
    }
}

void
migrate_check_no_wish(struct migrate_test *test)
{
    for (uint32_t pe = 0; pe < test->job->pe_count; pe++) {
        if (sim_rt(test->job, pe)->obj->moves.count != 0) {
            SIM_WRONG(test->job, "PE %u remembers a wish", pe);
        }
    }
}

uint64_t
migrate_forwards_of_call(struct migrate_test *test, uint32_t from)
{
    struct sim_job *job = test->job;
    uint64_t sum = 0;

    for (uint32_t twice = 0; twice < 2; twice++) {
        uint64_t now = 0;

        if (twice == 1) {
            const uint64_t n = test->call_count++;
            const chare_data data = chare_data_bytes(&n, sizeof(n));

            test->calls[n] = (struct call){.pe = from};
            SIM_OK(job, chare_send(sim_rt(job, from), &test->chares[0].element,
                                   test->entry_call, &data, NULL));
            sim_job_settle(job);
        }
        for (uint32_t pe = 0; pe < job->pe_count; pe++) {
            uint64_t forwarded;
            uint64_t told;

            chi_loc_counts(sim_rt(job, pe)->obj->loc, &forwarded, &told);
            now += forwarded;
        }
        sum = now - sum;
    }
    return sum;
}

void
migrate_check_counted(struct migrate_test *test)
{
    struct sim_job *job = test->job;

    for (uint32_t i = 0; i < test->count; i++) {
        struct chare_model *model = &test->chares[i];
        struct chi_obj *obj = sim_rt(job, model->pe)->obj;
        const struct chi_element *element =
            model->lives == 0
                ? NULL
                : chi_element_find_index(chi_collection_find(obj, test->id),
                                         &model->element.index);

        model->restless = element != NULL && element->moving;
        if (element != NULL && element->asked) {
            SIM_WRONG(job, "nothing counts, and chare %u asks to leave", i);
        }
    }
    if (test->packed != test->unpacked ||
        test->ends_asked != test->ends_told) {
        SIM_WRONG(job, "nothing counts, and chares move or end"); /* L8 */
    }
}
