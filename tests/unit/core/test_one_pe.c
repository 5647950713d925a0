/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_one_pe.c - the public interface on one real PE.
 *
 * Goal:   each public function does what chare.h says, and says no to what it
 *         forbids; what cannot be delivered ends the job with a text that
 *         names target and caller.
 * Method: a runtime of its own in each case, driven by chare_progress() or
 *         chare_run(). Standard error is caught where a text matters.
 */
#include "config.h"

#include <chare.h>

#include <fcntl.h>
#include <unistd.h>

#include "tap/tap.h"

enum {
    ROUNDS_MAX = 10000,
    TEXT_MAX = 4000,
};

struct test {
    chare_runtime *rt;
    uint32_t type;
    uint32_t entry;       /* counts and keeps what came */
    uint32_t entry_ask;   /* answers with twice the number */
    uint32_t entry_bad;   /* sends to a chare that is not there */
    uint32_t entry_other; /* of another type */
    uint32_t function;
    uint32_t created;
    uint32_t destroyed;
    uint32_t calls;
    uint32_t functions;
    uint64_t argument;
    unsigned char bytes[64];
    size_t len;
    chare_format format;
    void *payload;
    uint32_t payloads_released;
    chare_buffer *taken;
    bool take;
    bool create_fails;
    chare_element missing;
    int64_t order[16];
};

/* ---- one type */

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct test *test = context;

    if (test->create_fails) {
        return CHARE_ERR_NO_MEMORY;
    }
    if (chare_call_take_buffer(call) != NULL) {
        test->created += 1000; /* not for create hooks */
    }
    test->created++;
    *object_out = test;
    return CHARE_OK;
}

static void
destroy(void *object, void *context)
{
    (void)object;
    ((struct test *)context)->destroyed++;
}

static void
keep(struct test *test, const chare_call *call)
{
    test->format = call->format;
    test->len = call->len;
    test->payload = call->payload;
    if (call->len > 0) {
        memcpy(test->bytes, call->bytes, call->len < 64 ? call->len : 64);
    }
}

static void
count_call(void *object, const chare_call *call, void *context)
{
    struct test *test = context;

    (void)object;
    if (test->calls < 16) {
        test->order[test->calls] = call->priority;
    }
    test->calls++;
    keep(test, call);
    if (test->take) {
        test->taken = chare_call_take_buffer(call);
    }
}

static void
double_it(void *object, const chare_call *call, void *context)
{
    struct test *test = context;
    unsigned char value = 0;
    chare_reply reply;
    chare_data data;

    (void)object;
    memcpy(&value, call->bytes, call->len);
    value = (unsigned char)(2 * value);
    data = chare_data_bytes(&value, 1);
    chare_call_take_reply(call, &reply);
    if (chare_reply_send(test->rt, &reply, &data) != CHARE_OK) {
        test->calls += 1000;
    }
}

static void
send_wrong(void *object, const chare_call *call, void *context)
{
    struct test *test = context;

    (void)object;
    if (chare_send(call->runtime, &test->missing, test->entry, NULL, NULL) !=
        CHARE_OK) {
        test->calls += 1000;
    }
}

static void
count_function(const chare_call *call, void *context)
{
    struct test *test = context;

    test->functions++;
    test->argument = call->argument;
    keep(test, call);
    if (call->self != NULL || chare_call_take_buffer(call) != NULL) {
        test->functions += 1000;
    }
}

static bool
open_one(struct test *test)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Thing",
        .create = create,
        .destroy = destroy,
    };

    const chare_type_ops other_ops = {
        .size = sizeof(other_ops),
        .name = "Other",
        .create = create,
    };
    uint32_t other;

    memset(test, 0, sizeof(*test));
    return chare_open(&options, &test->rt) == CHARE_OK &&
           chare_type_register(test->rt, &ops, test, &test->type) ==
               CHARE_OK &&
           chare_entry_register(test->rt, test->type, "count", count_call,
                                test, &test->entry) == CHARE_OK &&
           chare_entry_register(test->rt, test->type, "ask", double_it, test,
                                &test->entry_ask) == CHARE_OK &&
           chare_entry_register(test->rt, test->type, "wrong", send_wrong,
                                test, &test->entry_bad) == CHARE_OK &&
           chare_type_register(test->rt, &other_ops, test, &other) ==
               CHARE_OK &&
           chare_entry_register(test->rt, other, "stray", count_call, test,
                                &test->entry_other) == CHARE_OK &&
           chare_function_register(test->rt, "f", count_function, test,
                                   &test->function) == CHARE_OK;
}

static bool
start_one(struct test *test, chare_element *thing_out)
{
    return open_one(test) && chare_start(test->rt) == CHARE_OK &&
           chare_single_create(test->rt, test->type, CHARE_ANY_PE, NULL, NULL,
                               thing_out) == CHARE_OK;
}

static void
progress(struct test *test)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (chare_progress(test->rt, 16) != CHARE_OK) {
            return;
        }
    }
}

/* ---- life */

static void
life_has_its_order(void)
{
    chare_open_options options = {.size = sizeof(options), .single = true};
    chare_element thing;
    struct test test;

    options.size = 1;
    CHECK(chare_open(&options, &test.rt) == CHARE_ERR_INVALID);
    CHECK(chare_open(NULL, NULL) == CHARE_ERR_INVALID);
    CHECK(open_one(&test));
    thing = chare_element_1d(1, 0);
    CHECK(chare_run(test.rt) == CHARE_ERR_STATE);
    CHECK(chare_progress(test.rt, 1) == CHARE_ERR_STATE);
    CHECK(chare_send(test.rt, &thing, test.entry, NULL, NULL) ==
          CHARE_ERR_STATE);
    CHECK(chare_start(test.rt) == CHARE_OK);
    CHECK(chare_start(test.rt) == CHARE_ERR_STATE);
    CHECK(chare_progress(test.rt, 0) == CHARE_ERR_INVALID);
    CHECK(chare_progress(test.rt, 1) == CHARE_ERR_AGAIN);
    CHECK(chare_user(test.rt) == NULL);
    chare_set_user(test.rt, &test);
    CHECK(chare_user(test.rt) == &test);
    chare_exit(test.rt, 7);
    CHECK(chare_run(test.rt) == CHARE_OK);
    CHECK_EQ(chare_exit_code(test.rt), 7);
    chare_close(test.rt);
    chare_close(NULL);
}

static void
there_is_one_pe(void)
{
    chare_limits limits = {.size = sizeof(limits)};
    chare_element thing;
    struct test test;
    uint32_t parent;
    uint32_t count;

    CHECK(start_one(&test, &thing));
    CHECK_EQ(chare_my_pe(test.rt), 0);
    CHECK_EQ(chare_pe_count(test.rt), 1);
    CHECK_EQ(chare_node_count(test.rt), 1);
    CHECK_EQ(chare_node_of(test.rt, 0), 0);
    CHECK_EQ(chare_node_pe_count(test.rt, 0), 1);
    CHECK_EQ(chare_node_pe_count(test.rt, 1), 0);
    CHECK_EQ(chare_node_pe(test.rt, 0, 0), 0);
    CHECK(chare_node_pe(test.rt, 0, 1) == CHARE_ANY_PE);
    CHECK(chare_node_name(test.rt, 0)[0] != '\0');
    CHECK(strcmp(chare_node_name(test.rt, 1), "?") == 0);
    CHECK(chare_tree_edges(test.rt, 0, 0, &parent, NULL, 0, &count) ==
          CHARE_OK);
    CHECK(parent == 0 && count == 0);
    CHECK(chare_tree_edges(test.rt, 0, 1, &parent, NULL, 0, &count) ==
          CHARE_ERR_INVALID);
    chare_limits_get(test.rt, &limits);
    CHECK(limits.queue_bytes > 0 && limits.message_bytes > 1u << 30);
    CHECK(chare_now_ns(test.rt) > 0);
    CHECK(strcmp(chare_entry_name(test.rt, test.entry), "Thing.count") == 0);
    CHECK(strcmp(chare_status_name(CHARE_ERR_STATE), "CHARE_ERR_STATE") == 0);
    CHECK(chare_status_text((chare_status)-999) != NULL);
    chare_close(test.rt);
}

/* ---- calls */

static void
calls_carry_data(void)
{
    chare_counters before = {.size = sizeof(before)};
    chare_counters after = {.size = sizeof(after)};
    chare_buffer *buffer;
    chare_element thing;
    struct test test;
    chare_data data;

    CHECK(start_one(&test, &thing));
    progress(&test);
    CHECK_EQ(test.created, 1);
    chare_counters_get(test.rt, &before);
    CHECK(chare_send(test.rt, &thing, test.entry, NULL, NULL) == CHARE_OK);
    CHECK_EQ(test.calls, 0); /* not inside the call */
    progress(&test);
    CHECK(test.calls == 1 && test.len == 0);
    data = chare_data_bytes("hello", 5);
    CHECK(chare_send(test.rt, &thing, test.entry, &data, NULL) == CHARE_OK);
    progress(&test);
    CHECK(test.len == 5 && memcmp(test.bytes, "hello", 5) == 0);
    CHECK(test.format == CHARE_FORMAT_BYTES);

    CHECK(chare_buffer_alloc(test.rt, 3, &buffer) == CHARE_OK);
    memcpy(chare_buffer_bytes(buffer, NULL), "abc", 3);
    CHECK(chare_buffer_resize(&buffer, 100000) == CHARE_OK);
    CHECK(memcmp(chare_buffer_bytes(buffer, NULL), "abc", 3) == 0);
    CHECK(chare_buffer_resize(&buffer, 2) == CHARE_OK);
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    test.take = true;
    CHECK(chare_send(test.rt, &thing, 0, &data, NULL) == CHARE_ERR_INVALID);
    CHECK(chare_send(test.rt, &thing, test.entry, &data, NULL) == CHARE_OK);
    progress(&test);
    CHECK(test.len == 2 && memcmp(test.bytes, "ab", 2) == 0);
    CHECK(test.format == CHARE_FORMAT_VALUE && test.taken != NULL);
    CHECK(memcmp(chare_buffer_bytes(test.taken, &test.len), "ab", 2) == 0);
    chare_buffer_release(test.taken);
    chare_buffer_release(NULL);
    chare_counters_get(test.rt, &after);
    CHECK_EQ(after.messages_sent - before.messages_sent, 3);
    CHECK_EQ(after.messages_executed - before.messages_executed, 3);
    chare_close(test.rt);
    CHECK(test.created == 1 && test.destroyed == 1);
}

static void
release_payload(void *payload)
{
    ((struct test *)payload)->payloads_released++;
}

static chare_status
encode_payload(void *payload, chare_encoder *encoder)
{
    (void)payload;
    chare_put_int(encoder, 5);
    return encoder->status;
}

static chare_status
refuse_payload(void *payload, chare_encoder *encoder)
{
    (void)payload;
    (void)encoder;
    return CHARE_ERR_TOO_LARGE;
}

static void
payloads_stay_what_they_are(void)
{
    const chare_payload_ops ops = {.size = sizeof(ops),
                                   .format = CHARE_FORMAT_ARGS,
                                   .encode = encode_payload,
                                   .release = release_payload};
    const chare_payload_ops bad_ops = {.size = sizeof(bad_ops),
                                       .format = CHARE_FORMAT_ARGS,
                                       .encode = refuse_payload,
                                       .release = release_payload};
    chare_collection array;
    chare_element thing;
    struct test test;
    chare_data data;

    CHECK(start_one(&test, &thing));
    progress(&test);
    CHECK(chare_is_local(test.rt, &thing));
    CHECK(chare_local(test.rt, &thing) == &test);
    data = chare_data_payload(&test, &ops);
    CHECK(chare_send(test.rt, &thing, test.entry, &data, NULL) == CHARE_OK);
    CHECK_EQ(test.payloads_released, 0);
    progress(&test);
    CHECK(test.payload == &test && test.format == CHARE_FORMAT_ARGS);
    CHECK_EQ(test.payloads_released, 1);

    /* A broadcast encodes; what cannot be encoded stays the caller's. */
    CHECK(chare_group_create(test.rt, test.type, NULL, NULL, &array) ==
          CHARE_OK);
    CHECK(chare_broadcast(test.rt, array, test.entry, &data, NULL) ==
          CHARE_OK);
    CHECK_EQ(test.payloads_released, 2);
    data = chare_data_payload(&test, &bad_ops);
    CHECK(chare_broadcast(test.rt, array, test.entry, &data, NULL) ==
          CHARE_ERR_TOO_LARGE);
    CHECK_EQ(test.payloads_released, 2);
    progress(&test);
    CHECK(test.calls == 2 && test.payload == NULL && test.len > 0);
    CHECK(chare_send(test.rt, &thing, test.entry, &data, NULL) == CHARE_OK);
    chare_close(test.rt); /* releases what is still queued */
    CHECK_EQ(test.payloads_released, 3);
}

static void
priorities_come_first(void)
{
    static const int16_t sent[] = {5, 0, -3, 0, CHARE_PRIORITY_MIN, 5};
    static const int64_t want[] = {CHARE_PRIORITY_MIN, -3, 0, 0, 5, 5};
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    progress(&test);
    for (size_t i = 0; i < 6; i++) {
        const chare_send_options options = {.size = sizeof(options),
                                            .priority = sent[i]};

        CHECK(chare_send(test.rt, &thing, test.entry, NULL, &options) ==
              CHARE_OK);
    }
    progress(&test);
    CHECK_EQ(test.calls, 6);
    CHECK(memcmp(test.order, want, sizeof(want)) == 0);
    chare_close(test.rt);
}

static void
answers_come_to_callbacks_and_futures(void)
{
    const unsigned char value = 21;
    const chare_data data = chare_data_bytes(&value, 1);
    chare_send_options options = {.size = sizeof(options)};
    chare_callback callback;
    chare_future future;
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    CHECK(chare_future_create(test.rt, NULL, NULL, &future) ==
          CHARE_ERR_INVALID);
    CHECK(chare_future_create(test.rt, count_function, &test, &future) ==
          CHARE_OK);
    callback = chare_callback_future(future);
    options.reply = &callback;
    CHECK(chare_send(test.rt, &thing, test.entry_ask, &data, &options) ==
          CHARE_OK);
    progress(&test);
    CHECK(test.functions == 1 && test.bytes[0] == 42);
    CHECK(test.argument == future.id);
    callback = chare_callback_function(test.function, 0, 77);
    CHECK(chare_send(test.rt, &thing, test.entry_ask, &data, &options) ==
          CHARE_OK);
    progress(&test);
    CHECK(test.functions == 2 && test.argument == 77);
    callback = chare_callback_element(thing, test.entry);
    CHECK(chare_callback_call(test.rt, &callback, &data) == CHARE_OK);
    progress(&test);
    CHECK(test.calls == 1 && test.bytes[0] == 21);
    callback = chare_callback_function(9999, 0, 0);
    CHECK(chare_callback_call(test.rt, &callback, NULL) == CHARE_ERR_INVALID);
    callback = chare_callback_function(test.function, 1, 0);
    CHECK(chare_callback_call(test.rt, &callback, NULL) == CHARE_ERR_INVALID);
    CHECK(chare_future_set(test.rt, &future, &data) == CHARE_OK);
    chare_future_release(test.rt, &future, true);
    progress(&test);
    CHECK_EQ(test.functions, 2); /* dropped in silence */
    future.pe = 1;
    CHECK(chare_future_set(test.rt, &future, &data) == CHARE_ERR_INVALID);
    chare_close(test.rt);
}

static void
wrong_arguments_are_refused(void)
{
    chare_array_options array = {.size = sizeof(array), .ndims = 1};
    const chare_callback callback = {.kind = CHARE_CALLBACK_NONE};
    chare_send_options options = {.size = 1};
    chare_collection id;
    chare_element thing;
    chare_element wrong;
    struct test test;

    CHECK(start_one(&test, &thing));
    CHECK(chare_send(test.rt, &thing, test.entry, NULL, &options) ==
          CHARE_ERR_INVALID);
    CHECK(chare_send(test.rt, &thing, 9999, NULL, NULL) == CHARE_ERR_INVALID);
    wrong = thing;
    wrong.index.ndims = 7;
    CHECK(chare_send(test.rt, &wrong, test.entry, NULL, NULL) ==
          CHARE_ERR_INVALID);
    wrong = chare_element_1d(0, 0);
    CHECK(chare_send(test.rt, &wrong, test.entry, NULL, NULL) ==
          CHARE_ERR_INVALID);
    CHECK(chare_broadcast(test.rt, thing.collection, test.entry, NULL, NULL) ==
          CHARE_ERR_INVALID);
    CHECK(chare_single_create(test.rt, 9999, 0, NULL, NULL, &wrong) ==
          CHARE_ERR_INVALID);
    CHECK(chare_single_create(test.rt, test.type, 1, NULL, NULL, &wrong) ==
          CHARE_ERR_INVALID);
    CHECK(chare_array_create(test.rt, NULL, NULL, &id) == CHARE_ERR_INVALID);
    array.map = CHARE_MAP_BLOCK; /* of a sparse array */
    CHECK(chare_array_create(test.rt, &array, NULL, &id) == CHARE_ERR_INVALID);
    array.map = CHARE_MAP_DEFAULT;
    array.dense = true;
    array.dims[0] = -1;
    CHECK(chare_array_create(test.rt, &array, NULL, &id) == CHARE_ERR_INVALID);
    array.dims[0] = 2;
    CHECK(chare_array_create(test.rt, &array, NULL, &id) == CHARE_OK);
    wrong = chare_element_1d(id, 5);
    CHECK(chare_insert(test.rt, &wrong, 0, NULL) == CHARE_ERR_INVALID);
    CHECK(chare_insert_done(test.rt, id, NULL) == CHARE_ERR_INVALID);
    CHECK(chare_contribute(test.rt, &wrong, CHARE_REDUCE_NOP, NULL,
                           &callback) == CHARE_ERR_NOT_FOUND);
    progress(&test);
    wrong = chare_element_1d(id, 1);
    CHECK(chare_contribute(test.rt, &wrong, 60, NULL, &callback) ==
          CHARE_ERR_INVALID);
    CHECK(chare_contribute(test.rt, &wrong, CHARE_REDUCE_SUM, NULL,
                           &callback) == CHARE_ERR_INVALID);
    CHECK(chare_quiescence(test.rt, NULL) == CHARE_ERR_INVALID);
    CHECK(chare_timer_start(test.rt, 1, NULL, NULL, NULL) ==
          CHARE_ERR_INVALID);
    CHECK_EQ(test.created, 3);
    chare_close(test.rt);
}

/* ---- collectives, quiescence, timers */

static void
sparse_arrays_reduce_and_get_quiet(void)
{
    const chare_array_options array = {.size = sizeof(array), .ndims = 2};
    chare_callback callback;
    chare_collection id;
    chare_element thing;
    struct test test;
    const double real = 1.25;

    CHECK(start_one(&test, &thing));
    callback = chare_callback_function(test.function, 0, 1);
    CHECK(chare_array_create(test.rt, &array, NULL, &id) == CHARE_OK);
    for (int64_t i = 0; i < 3; i++) {
        const chare_element element = chare_element_2d(id, i, -i);

        CHECK(chare_insert(test.rt, &element, CHARE_ANY_PE, NULL) == CHARE_OK);
    }
    CHECK(chare_insert_done(test.rt, id, &callback) == CHARE_OK);
    progress(&test);
    CHECK(test.created == 4 && test.functions == 1);
    for (int64_t i = 0; i < 3; i++) {
        const chare_element element = chare_element_2d(id, i, -i);

        CHECK(chare_contribute_array(test.rt, &element, CHARE_REDUCE_SUM,
                                     CHARE_DTYPE_F64, &real, 1,
                                     &callback) == CHARE_OK);
        progress(&test);
        CHECK_EQ(test.functions, i == 2 ? 2 : 1);
    }
    CHECK(test.format == CHARE_FORMAT_VALUE);
    callback.future.id = 5;
    CHECK(chare_broadcast(test.rt, id, test.entry, NULL, NULL) == CHARE_OK);
    CHECK(chare_quiescence(test.rt, &callback) == CHARE_OK);
    progress(&test);
    CHECK(test.calls == 3 && test.functions == 3 && test.argument == 5);
    chare_close(test.rt);
    CHECK_EQ(test.destroyed, 4);
}

static void
end_it(const chare_call *call, void *context)
{
    count_function(call, context);
    chare_exit(call->runtime, 3);
}

static void
timers_fire(void)
{
    chare_element thing;
    struct test test;
    uint64_t start_ns;
    uint64_t never;
    uint64_t timer;

    CHECK(start_one(&test, &thing));
    start_ns = chare_now_ns(test.rt);
    CHECK(chare_timer_start(test.rt, 2000000, end_it, &test, &timer) ==
          CHARE_OK);
    CHECK(chare_timer_start(test.rt, 1, count_function, &test, &never) ==
          CHARE_OK);
    CHECK(chare_timer_stop(test.rt, never));
    CHECK(!chare_timer_stop(test.rt, never));
    CHECK(chare_run(test.rt) == CHARE_OK); /* sleeps until then */
    CHECK(chare_now_ns(test.rt) - start_ns >= 2000000);
    CHECK(test.functions == 1 && test.argument == timer);
    CHECK_EQ(chare_exit_code(test.rt), 3);
    chare_close(test.rt);
}

/* ---- the ends that nobody wants */

static int
catch_stderr(int *saved_out)
{
    char name[] = "/tmp/chare-test-XXXXXX";
    const int file = mkstemp(name);

    (void)fflush(stderr);
    *saved_out = dup(STDERR_FILENO);
    if (file >= 0) {
        (void)unlink(name);
        (void)dup2(file, STDERR_FILENO);
    }
    return file;
}

static void
caught(int file, int saved, char text[TEXT_MAX])
{
    ssize_t len;

    (void)fflush(stderr);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    len = pread(file, text, TEXT_MAX - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    (void)close(file);
}

static bool
ends_with_text(struct test *test, const char *words, const char *more)
{
    char text[TEXT_MAX];
    int saved;
    const int file = catch_stderr(&saved);
    const chare_status status = chare_run(test->rt);

    caught(file, saved, text);
    if (status != CHARE_ERR_STATE || chare_exit_code(test->rt) != 1 ||
        strstr(text, words) == NULL || strstr(text, more) == NULL) {
        printf("# %s, exit code %d, text: %s\n", chare_status_name(status),
               chare_exit_code(test->rt), text);
        return false;
    }
    return true;
}

static void
what_cannot_be_delivered_ends_the_job(void)
{
    chare_array_options array = {
        .size = sizeof(array), .ndims = 2, .dense = true, .dims = {2, 2}};
    chare_collection id;
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    CHECK(chare_array_create(test.rt, &array, NULL, &id) == CHARE_OK);
    test.missing = chare_element_2d(id, 1, 9);
    CHECK(chare_send(test.rt, &thing, test.entry_bad, NULL, NULL) == CHARE_OK);
    CHECK(ends_with_text(&test, "there is no chare Thing[1,9]",
                         "Thing.count was called on it from PE 0 (in "
                         "Thing.wrong)"));
    CHECK_EQ(test.calls, 0);
    chare_close(test.rt);
}

static void
sections_are_closed_over_their_members(void)
{
    const chare_array_options none = {
        .size = sizeof(none), .ndims = 1, .dense = true, .dims = {0}};
    chare_collection section;
    chare_collection empty;
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    progress(&test);
    CHECK(chare_array_create(test.rt, &none, NULL, &empty) == CHARE_OK);
    CHECK(chare_section_open(test.rt, 1, &section) == CHARE_OK);
    CHECK(chare_section_enlist(test.rt, &thing, section) == CHARE_OK);
    CHECK(chare_section_close(test.rt, section, 1, empty, NULL) == CHARE_OK);
    CHECK(ends_with_text(&test, "a section was closed over a collection",
                         "does not have all its members"));
    chare_close(test.rt);
}

static void
entries_of_other_types_are_refused(void)
{
    chare_collection group;
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    CHECK(chare_send(test.rt, &thing, test.entry_other, NULL, NULL) ==
          CHARE_OK);
    CHECK(ends_with_text(&test, "PE 0 called Other.stray on Thing[0]",
                         "another type"));
    chare_close(test.rt);

    CHECK(start_one(&test, &thing));
    CHECK(chare_group_create(test.rt, test.type, NULL, NULL, &group) ==
          CHARE_OK);
    CHECK(chare_broadcast(test.rt, group, test.entry_other, NULL, NULL) ==
          CHARE_OK);
    CHECK(ends_with_text(&test, "PE 0 called Other.stray on Thing",
                         "another type"));
    chare_close(test.rt);
    CHECK_EQ(test.calls, 0);
}

static void
wrong_ends_say_why(void)
{
    chare_future future;
    chare_element thing;
    struct test test;

    CHECK(start_one(&test, &thing));
    test.create_fails = true;
    CHECK(ends_with_text(&test, "chare Thing[0] could not be created",
                         chare_status_text(CHARE_ERR_NO_MEMORY)));
    chare_close(test.rt);
    CHECK(test.created == 0 && test.destroyed == 0);

    CHECK(start_one(&test, &thing));
    CHECK(chare_future_create(test.rt, count_function, &test, &future) ==
          CHARE_OK);
    chare_future_release(test.rt, &future, false);
    CHECK(chare_future_set(test.rt, &future, NULL) == CHARE_OK);
    CHECK(ends_with_text(&test, "for a future of PE 0", "from PE 0"));
    chare_close(test.rt);

    CHECK(start_one(&test, &thing));
    {
        char text[TEXT_MAX];
        int saved;
        const int file = catch_stderr(&saved);

        chare_abort(test.rt, 9, "it was planned");
        CHECK(chare_run(test.rt) == CHARE_ERR_STATE);
        caught(file, saved, text);
        CHECK(strstr(text, "it was planned") != NULL);
    }
    CHECK_EQ(chare_exit_code(test.rt), 9);
    chare_close(test.rt);
}

static bool
interrupt(void *context)
{
    return ++*(int *)context == 2;
}

/* A signal handler of an embedding program wants to be heard. */
static void
a_run_can_be_interrupted(void)
{
    const chare_hooks hooks = {.size = sizeof(hooks),
                               .interrupted = interrupt};
    int asked = 0;
    const chare_open_options options = {.size = sizeof(options),
                                        .hooks = &hooks,
                                        .hooks_context = &asked,
                                        .single = true};
    chare_runtime *rt;

    CHECK(chare_open(&options, &rt) == CHARE_OK);
    CHECK(chare_start(rt) == CHARE_OK);
    CHECK(chare_run(rt) == CHARE_ERR_INTERRUPTED);
    chare_exit(rt, 0);
    CHECK(chare_run(rt) == CHARE_OK);
    chare_close(rt);
}

TAP_MAIN(TAP_CASE(life_has_its_order), TAP_CASE(there_is_one_pe),
         TAP_CASE(calls_carry_data), TAP_CASE(payloads_stay_what_they_are),
         TAP_CASE(priorities_come_first),
         TAP_CASE(answers_come_to_callbacks_and_futures),
         TAP_CASE(wrong_arguments_are_refused),
         TAP_CASE(sparse_arrays_reduce_and_get_quiet), TAP_CASE(timers_fire),
         TAP_CASE(what_cannot_be_delivered_ends_the_job),
         TAP_CASE(sections_are_closed_over_their_members),
         TAP_CASE(entries_of_other_types_are_refused),
         TAP_CASE(wrong_ends_say_why), TAP_CASE(a_run_can_be_interrupted))
