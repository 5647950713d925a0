/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim_section_end.c - the chares of test_sim_section_end, and what they and
 * the callbacks hold against the model.
 */
#include "config.h"

#include "sim_section_end.h"

int64_t
sim_ends_value(uint32_t s, uint32_t chare, uint32_t k)
{
    return (int64_t)(chi_mix64(((uint64_t)s * 100 + chare) * 10 + k) >> 16);
}

static uint32_t
number_of(const struct test *test, const struct chare *chare)
{
    return (uint32_t)(chare - test->chares);
}

/* ---- chares */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;

    for (uint32_t i = 0; i < test->chare_count; i++) {
        struct chare *chare = &test->chares[i];

        if (memcmp(&chare->self, call->self, sizeof(chare->self)) == 0 &&
            !chare->exists && !chare->gone) {
            chare->exists = true;
            *object_out = chare;
            return CHARE_OK;
        }
    }
    SIM_WRONG(test->job, "a chare that should not be");
    return CHARE_ERR_INVALID;
}

static void
destroy(void *object, void *context)
{
    struct test *test = context;
    struct chare *chare = object;

    if (!chare->exists || (!chare->dying && !test->closing)) {
        SIM_WRONG(test->job, "chare %u was destroyed", number_of(test, chare));
    }
    chare->exists = false;
    chare->gone = true;
}

static chare_status
pack(void *object, void *context, chare_encoder *encoder)
{
    chare_put_int(encoder, number_of(context, object));
    return encoder->status;
}

static void
depart(void *object, void *context)
{
    (void)object;
    ((struct test *)context)->moved++;
}

static chare_status
unpack(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_INT) {
        return CHARE_ERR_FORMAT;
    }
    *object_out = &test->chares[value.as.integer];
    return CHARE_OK;
}

static void
cast_executed(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    struct chare *chare = object;
    const uint32_t i = number_of(test, chare);
    struct cast *cast;
    uint64_t n;

    memcpy(&n, call->bytes, sizeof(n));
    cast = &test->casts[n];
    if (!chare->exists || !test->sections[cast->section].member[i] ||
        cast->executed[i] ||
        call->collection != test->sections[cast->section].id) {
        SIM_WRONG(test->job, "call %" PRIu64 " came to chare %u", n, i);
    }
    /* F3: the end does not wait for members that live elsewhere. */
    if (test->sections[cast->section].ends > 0 && !test->moves) {
        SIM_WRONG(test->job, "call %" PRIu64 " came after the end", n);
    }
    cast->executed[i] = true;
    cast->executed_count++;
}

static void
contribute(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    struct chare *chare = object;
    chare_callback callback;
    chare_status status;
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_data data;
    uint32_t s;

    memcpy(&s, call->bytes, sizeof(s));
    if (chare->contributed[s] == ROUNDS) {
        return;
    }
    callback =
        test->to_section
            ? chare_callback_broadcast(test->sections[s].id, test->entry_told)
            : chare_callback_function(test->function_sum, 0, s);
    SIM_OK(test->job, chare_encoder_init(&encoder, call->runtime, 16));
    chare_put_int(&encoder, sim_ends_value(s, number_of(test, chare),
                                           chare->contributed[s]));
    SIM_OK(test->job, chare_encoder_take(&encoder, &buffer));
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    status = chare_section_contribute(call->runtime, &chare->self,
                                      test->sections[s].id, CHARE_REDUCE_SUM,
                                      &data, &callback);
    if (status == CHARE_OK) {
        chare->contributed[s]++;
        return;
    }
    chare_buffer_release(buffer);
    if (status != CHARE_ERR_NOT_FOUND || test->sections[s].dooms == 0) {
        SIM_WRONG(test->job, "chare %u cannot contribute: %s",
                  number_of(test, chare), chare_status_name(status));
    }
}

static void
told(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    struct chare *chare = object;

    (void)call;
    if (!chare->exists) {
        SIM_WRONG(test->job, "a result came to a dead chare");
    }
}

/* ---- what is told */

static void
sum_told(const chare_call *call, void *context)
{
    struct test *test = context;
    struct section *section = &test->sections[call->argument];
    chare_decoder decoder;
    chare_value value;

    chare_decoder_init(&decoder, call->bytes, call->len);
    if (section->delivered == ROUNDS ||
        chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_INT) {
        SIM_WRONG(test->job, "section %u: a wrong result",
                  (unsigned)call->argument);
        return;
    }
    section->sums[section->delivered++] = value.as.integer;
}

static void
cast_told(const chare_call *call, void *context)
{
    struct test *test = context;
    struct cast *cast = &test->casts[call->argument];
    chare_decoder decoder;
    chare_value value;

    cast->told++;
    if (call->format == CHARE_FORMAT_ERROR) {
        if (test->sections[cast->section].dooms == 0) {
            SIM_WRONG(test->job, "call %u was refused",
                      (unsigned)call->argument);
        }
        return;
    }
    chare_decoder_init(&decoder, call->bytes, call->len);
    if (chare_get(&decoder, &value) != CHARE_OK ||
        value.tag != CHARE_TAG_LIST ||
        value.as.count != cast->executed_count) {
        SIM_WRONG(test->job, "call %u: %u executions, other results",
                  (unsigned)call->argument, cast->executed_count);
    }
}

static void
asked(const chare_call *call, void *context)
{
    struct test *test = context;

    (void)call;
    test->asked--;
}

static void
gone_told(const chare_call *call, void *context)
{
    struct test *test = context;
    const struct chare *chare = &test->chares[call->argument];

    if (chare->exists || (call->format == CHARE_FORMAT_ERROR &&
                          !test->sets[chare->set].doomed)) {
        SIM_WRONG(test->job, "the end of chare %u", (unsigned)call->argument);
    }
}

static void
set_gone_told(const chare_call *call, void *context)
{
    struct test *test = context;

    test->sets[call->argument].ends++;
    for (uint32_t i = 0; i < test->chare_count; i++) {
        if (test->chares[i].exists && test->chares[i].set == call->argument) {
            SIM_WRONG(test->job, "a set's end was told before chare %u's", i);
        }
    }
}

static void
section_ended(const chare_call *call, void *context)
{
    struct test *test = context;
    struct section *section = &test->sections[call->argument];

    if (call->format == CHARE_FORMAT_ERROR) {
        section->refusals++;
    } else {
        section->ends++;
    }
}

static void
created(const chare_call *call, void *context)
{
    struct test *test = context;

    test->sections[call->argument].created = true;
}

bool
sim_ends_register(struct sim_job *job, chare_runtime *runtime)
{
    struct test *test = job->test;
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Member",
        .create = create,
        .destroy = destroy,
        .pack = pack,
        .unpack = unpack,
        .depart = depart,
    };
    const chare_type_ops still = {
        .size = sizeof(still),
        .name = "Still",
        .create = create,
        .destroy = destroy,
    };
    const struct {
        const char *name;
        void (*function)(const chare_call *call, void *context);
        uint32_t *id;
    } functions[] = {
        {"cast", cast_told, &test->function_cast},
        {"asked", asked, &test->function_asked},
        {"sum", sum_told, &test->function_sum},
        {"gone", gone_told, &test->function_gone},
        {"set gone", set_gone_told, &test->function_set_gone},
        {"ended", section_ended, &test->function_ended},
        {"created", created, &test->function_created},
    };
    bool ok =
        chare_type_register(runtime, &ops, test, &test->type) == CHARE_OK &&
        chare_type_register(runtime, &still, test, &test->type_still) ==
            CHARE_OK &&
        chare_entry_register(runtime, test->type, "cast", cast_executed, test,
                             &test->entry_cast) == CHARE_OK &&
        chare_entry_register(runtime, test->type, "contribute", contribute,
                             test, &test->entry_contribute) == CHARE_OK &&
        chare_entry_register(runtime, test->type, "told", told, test,
                             &test->entry_told) == CHARE_OK;

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        ok = ok && chare_function_register(runtime, functions[i].name,
                                           functions[i].function, test,
                                           functions[i].id) == CHARE_OK;
    }
    return ok;
}
