/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_msg.c - message pools, resizing, queues and the envelope's check.
 *
 * Goal: messages have the room and alignment they promise, contents survive
 * growth, pools reuse what was released, queues keep order, and only envelopes
 * that make sense pass. Method: small direct cases, and a random walk of
 * allocations, resizes and releases in which each message's bytes are checked
 * against the number it was filled from.
 */
#include "config.h"

#include "base/prng.h"
#include "msg/buffer.h"
#include "msg/msg.h"
#include "tap/tap.h"

enum {
    WALK_MESSAGES = 64,
    WALK_STEPS = 20000
};

static struct chi_msg_pool *pool;

static void
pool_start(void)
{
    if (chi_msg_pool_create(&pool) != CHARE_OK) {
        abort();
    }
}

static const uint64_t lens[] = {0,    1,     15,    143,   144,    145,    400,
                                1000, 65000, 65424, 65425, 100000, 3000000};

enum {
    LEN_COUNT = sizeof(lens) / sizeof(lens[0])
};

static void
room_and_alignment(void)
{
    pool_start();
    for (int i = 0; i < LEN_COUNT; i++) {
        struct chi_msg *msg = chi_msg_alloc(pool, lens[i]);

        CHECK(msg != NULL);
        CHECK(msg->room >= lens[i]);
        CHECK_EQ(msg->env.len, lens[i]);
        CHECK_EQ(msg->env.version, CHI_MSG_WIRE_VERSION);
        CHECK_EQ(msg->env.handler, 0);
        CHECK_EQ(msg->references, 1);
        CHECK(msg->payload_ops == NULL);
        CHECK((uintptr_t)msg->bytes % 16 == 0);
        CHECK((uintptr_t)chi_msg_wire(msg) % 16 == 0);
        CHECK_EQ(chi_msg_wire_len(msg), 48 + lens[i]);
        memset(msg->bytes, 0x55, msg->room);
        CHECK_EQ(chi_msg_pool_live(pool), 1);
        chi_msg_release(msg);
        CHECK_EQ(chi_msg_pool_live(pool), 0);
    }
    chi_msg_pool_destroy(pool);
}

static void
what_cannot_be_had(void)
{
    struct chi_msg *msg;

    pool_start();
    CHECK(chi_msg_alloc(pool, UINT64_MAX) == NULL);
    CHECK(chi_msg_alloc(pool, CHI_MSG_LEN_MAX + 1) == NULL);
    msg = chi_msg_alloc(pool, 3);
    CHECK(msg != NULL);
    memcpy(msg->bytes, "abc", 3);
    CHECK_EQ(chi_msg_resize(&msg, UINT64_MAX), CHARE_ERR_NO_MEMORY);
    CHECK_EQ(chi_msg_resize(&msg, CHI_MSG_LEN_MAX + 1), CHARE_ERR_NO_MEMORY);
    CHECK_EQ(msg->env.len, 3);
    CHECK(memcmp(msg->bytes, "abc", 3) == 0);
    chi_msg_release(msg);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

/* What was released is what comes next: the pool does not grow. */
static void
released_messages_are_reused(void)
{
    struct chi_msg *first;

    pool_start();
    first = chi_msg_alloc(pool, 100);
    CHECK(first != NULL);
    chi_msg_release(first);
    for (int i = 0; i < 10; i++) {
        struct chi_msg *msg = chi_msg_alloc(pool, 50);

        CHECK(msg == first);
        chi_msg_release(msg);
    }
    chi_msg_pool_destroy(pool);
}

/* Large ones too, but not without bound; the pool frees what it kept. */
static void
large_messages_are_kept(void)
{
    enum {
        COUNT = 40
    };
    const uint64_t mega = 1 << 20;
    struct chi_msg *all[COUNT];

    pool_start();
    for (int i = 0; i < COUNT; i++) {
        all[i] = chi_msg_alloc(pool, mega);
        CHECK(all[i] != NULL && all[i]->room >= mega);
    }
    for (int i = 0; i < COUNT; i++) {
        chi_msg_release(all[i]);
    }
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    all[0] = chi_msg_alloc(pool, mega);
    chi_msg_release(all[0]);
    for (int i = 0; i < 3; i++) {
        struct chi_msg *msg = chi_msg_alloc(pool, mega + (uint64_t)i);

        CHECK(msg == all[0]);
        memset(msg->bytes, i, mega);
        chi_msg_release(msg);
    }
    all[0] = chi_msg_alloc(pool, 100 * mega); /* beyond all classes */
    CHECK(all[0] != NULL && all[0]->room >= 100 * mega);
    chi_msg_release(all[0]);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

static void
references_are_counted(void)
{
    struct chi_msg *msg;

    pool_start();
    msg = chi_msg_alloc(pool, 10);
    CHECK(msg != NULL);
    CHECK(chi_msg_ref(msg) == msg);
    chi_msg_release(msg);
    CHECK_EQ(chi_msg_pool_live(pool), 1);
    CHECK_EQ(msg->references, 1);
    chi_msg_release(msg);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

static void
count_release(void *payload)
{
    ++*(int *)payload;
}

static void
payloads_are_released_once(void)
{
    static const chare_payload_ops ops = {
        .size = sizeof(ops),
        .format = CHARE_FORMAT_VALUE,
        .release = count_release,
    };
    struct chi_msg *msg;
    int released = 0;

    pool_start();
    msg = chi_msg_alloc(pool, 0);
    CHECK(msg != NULL);
    msg->payload_ops = &ops;
    msg->payload = &released;
    chi_msg_ref(msg);
    chi_msg_release(msg);
    CHECK_EQ(released, 0);
    chi_msg_release(msg);
    CHECK_EQ(released, 1);
    msg = chi_msg_alloc(pool, 0); /* the same memory, no payload left */
    CHECK(msg != NULL && msg->payload_ops == NULL);
    chi_msg_release(msg);
    CHECK_EQ(released, 1);
    chi_msg_pool_destroy(pool);
}

/* Bytes that belong to one message at one place. */
static unsigned char
byte_at(uint64_t message, uint64_t i)
{
    return (unsigned char)chi_mix64(message << 32 ^ i);
}

static bool
bytes_hold(const struct chi_msg *msg, uint64_t message, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        if (msg->bytes[i] != byte_at(message, i)) {
            return false;
        }
    }
    return true;
}

static void
bytes_fill(struct chi_msg *msg, uint64_t message, uint64_t from)
{
    for (uint64_t i = from; i < msg->env.len; i++) {
        msg->bytes[i] = byte_at(message, i);
    }
}

/* A random walk; lengths are mostly small, sometimes beyond the classes. */
static void
contents_survive(void)
{
    struct chi_msg *msgs[WALK_MESSAGES] = {0};
    struct chi_prng prng;

    pool_start();
    chi_prng_init(&prng, 11);
    for (uint64_t step = 0; step < WALK_STEPS; step++) {
        const uint64_t k = chi_prng_below(&prng, WALK_MESSAGES);
        const uint64_t most = (uint64_t)16 << chi_prng_below(&prng, 14);
        const uint64_t len = chi_prng_below(&prng, most);

        if (msgs[k] == NULL) {
            msgs[k] = chi_msg_alloc(pool, len);
            CHECK(msgs[k] != NULL);
            bytes_fill(msgs[k], k, 0);
        } else if (chi_prng_below(&prng, 3) == 0) {
            CHECK(bytes_hold(msgs[k], k, msgs[k]->env.len));
            chi_msg_release(msgs[k]);
            msgs[k] = NULL;
        } else {
            const uint64_t before = msgs[k]->env.len;

            msgs[k]->env.entry = (uint32_t)k;
            CHECK_EQ(chi_msg_resize(&msgs[k], len), CHARE_OK);
            CHECK_EQ(msgs[k]->env.len, len);
            CHECK_EQ(msgs[k]->env.entry, k);
            CHECK(bytes_hold(msgs[k], k, before < len ? before : len));
            bytes_fill(msgs[k], k, before);
        }
    }
    for (int k = 0; k < WALK_MESSAGES; k++) {
        if (msgs[k] != NULL) {
            chi_msg_release(msgs[k]);
        }
    }
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

/* The public face of the same. */
static void
buffers_are_messages(void)
{
    chare_buffer *buffer;
    size_t len;
    char *bytes;

    pool_start();
    CHECK_EQ(chi_buffer_alloc(pool, 5, &buffer), CHARE_OK);
    bytes = chare_buffer_bytes(buffer, &len);
    CHECK_EQ(len, 5);
    memcpy(bytes, "hello", 5);
    CHECK_EQ(chare_buffer_resize(&buffer, 100000), CHARE_OK);
    bytes = chare_buffer_bytes(buffer, &len);
    CHECK_EQ(len, 100000);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    CHECK_EQ(chare_buffer_resize(&buffer, 2), CHARE_OK);
    CHECK(chare_buffer_bytes(buffer, NULL) == bytes);
    CHECK(chi_buffer_alloc(pool, SIZE_MAX, &buffer) == CHARE_ERR_NO_MEMORY);
    chare_buffer_release(buffer);
    chare_buffer_release(NULL);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

static void
queues_keep_order(void)
{
    struct chi_msg_queue queue = {0};
    struct chi_msg *msg;

    pool_start();
    CHECK(chi_msg_queue_pop(&queue) == NULL);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 10; i++) {
            msg = chi_msg_alloc(pool, 0);
            CHECK(msg != NULL);
            msg->env.entry = i;
            chi_msg_queue_push(&queue, msg);
            CHECK_EQ(queue.count, i + 1);
        }
        for (uint32_t i = 0; i < 10; i++) {
            msg = chi_msg_queue_pop(&queue);
            CHECK(msg != NULL && msg->next == NULL);
            CHECK_EQ(msg->env.entry, i);
            chi_msg_release(msg);
        }
        CHECK(chi_msg_queue_pop(&queue) == NULL);
        CHECK_EQ(queue.count, 0);
    }
    for (uint32_t i = 0; i < 5; i++) {
        chi_msg_queue_push(&queue, chi_msg_alloc(pool, 0));
    }
    chi_msg_queue_clear(&queue);
    CHECK_EQ(queue.count, 0);
    CHECK_EQ(chi_msg_pool_live(pool), 0);
    chi_msg_pool_destroy(pool);
}

/* One field at a time is made wrong. */
static void
envelopes_are_checked(void)
{
    const struct chi_envelope fine = {
        .version = CHI_MSG_WIRE_VERSION,
        .handler = CHI_HANDLER_INVOKE,
        .format = CHARE_FORMAT_ERROR,
        .len = 16,
        .trailer_len = 16,
    };
    unsigned char wire[64] = {0};
    struct chi_envelope env;

    memcpy(wire, &fine, sizeof(fine));
    CHECK(chi_msg_wire_ok(wire, 64));
    CHECK(!chi_msg_wire_ok(wire, 63));
    for (uint64_t len = 0; len < sizeof(fine); len++) {
        CHECK(!chi_msg_wire_ok(wire, len));
    }
    for (int wrong = 0; wrong < 7; wrong++) {
        env = fine;
        env.version += wrong == 0;
        env.handler = wrong == 1 ? CHI_HANDLER_NONE : env.handler;
        env.handler = wrong == 2 ? CHI_HANDLER_COUNT : env.handler;
        env.format += wrong == 3;
        env.len += wrong == 4;
        env.len = wrong == 5 ? UINT64_MAX - 31 : env.len;
        env.trailer_len += wrong == 6;
        memcpy(wire, &env, sizeof(env));
        CHECK(!chi_msg_wire_ok(wire, 64));
    }
}

/* What leaves one pool through the wire part arrives in another. */
static void
wire_parts_are_copies(void)
{
    struct chi_msg *from;
    struct chi_msg *to;

    pool_start();
    from = chi_msg_alloc(pool, 300);
    CHECK(from != NULL);
    from->env.handler = CHI_HANDLER_FUTURE;
    from->env.collection = 99;
    memset(from->bytes, 7, 300);
    CHECK(chi_msg_wire_ok(chi_msg_wire(from), chi_msg_wire_len(from)));
    to = chi_msg_alloc_wire(pool, chi_msg_wire_len(from));
    CHECK(to != NULL);
    memcpy(chi_msg_wire(to), chi_msg_wire(from), chi_msg_wire_len(from));
    CHECK_EQ(to->env.collection, 99);
    CHECK_EQ(chi_msg_data_len(to), 300);
    CHECK_EQ(to->bytes[299], 7);
    chi_msg_release(from);
    chi_msg_release(to);
    chi_msg_pool_destroy(pool);
}

TAP_MAIN(TAP_CASE(room_and_alignment), TAP_CASE(what_cannot_be_had),
         TAP_CASE(released_messages_are_reused),
         TAP_CASE(large_messages_are_kept), TAP_CASE(references_are_counted),
         TAP_CASE(payloads_are_released_once), TAP_CASE(contents_survive),
         TAP_CASE(buffers_are_messages), TAP_CASE(queues_keep_order),
         TAP_CASE(envelopes_are_checked), TAP_CASE(wire_parts_are_copies))
