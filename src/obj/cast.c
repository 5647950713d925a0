/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cast.c - broadcasts to chares that move.
 *
 * The creator of an array numbers its broadcasts, and each PE notes which have
 * run there. A chare has had those that have run on its PE; one that moved
 * here may have had others before (it *skips* them when they run here), and
 * may have missed some. Invariants:
 *
 *  B1  a chare has each broadcast exactly once: it runs on the PE where the
 *      chare is when it runs there, unless the chare had it before it came;
 *  B2  what had run on the new PE before the chare came, and not on the old
 *      one before it left, is sent to the chare by the old PE (CAST, which
 *      goes the way of a call): the old PE has yet to run it, or has run it
 *      since the chare left and keeps it until the new PE has told what the
 *      chare missed;
 *  B3  a CAST counts as had from when the old PE is told, so a chare that
 *      moves on is owed nothing twice;
 *  B4  a chare that moves has all in the order of their numbers, whatever
 *      their priority: until what it has missed has come, it stays, neither
 *      leaves nor ends, and later ones are held (behind.c).
 */
#include "config.h"

#include <stdlib.h>

#include "msg/codec.h"
#include "obj/behind.h"
#include "obj/migrate.h"
#include "obj/section.h"
#include "obj/skips.h"

struct promise {
    struct promise *next; /* of the same broadcast */
    chare_element element;
};

struct chi_casts {
    struct chi_map ahead; /* numbers that have run, all >= casts_below */
    struct chi_skips skips;
    struct chi_behinds behinds;
    struct chi_map promises; /* number -> to whom it goes when it has run */
    struct chi_map kept;     /* number -> message, that has run here since
                                some chare left */
    uint64_t away;           /* departures whose end is not known */
};

static void
no_memory(struct chi_obj *obj)
{
    chi_pe_die(obj->pe, "out of memory for broadcasts to chares that move");
}

static void
number_put(struct chi_obj *obj, struct chi_map *map, uint64_t number,
           void *value)
{
    if (chi_map_put(map, number, value) != CHARE_OK) {
        no_memory(obj);
    }
}

static struct chi_casts *
casts_get(struct chi_obj *obj, struct chi_collection *collection)
{
    struct chi_casts *casts = collection->casts;

    if (casts == NULL) {
        casts = collection->casts = malloc(sizeof(*casts));
        if (casts == NULL) {
            no_memory(obj);
        }
        chi_map_init(&casts->ahead);
        chi_skips_init(&casts->skips);
        chi_behinds_init(&casts->behinds);
        chi_map_init(&casts->promises);
        chi_map_init(&casts->kept);
        casts->away = 0;
    }
    return casts;
}

static void
kept_drop(struct chi_casts *casts)
{
    size_t cursor = 0;
    uint64_t number;
    void *msg;

    while (chi_map_next(&casts->kept, &cursor, &number, &msg)) {
        chi_msg_release(msg);
    }
    chi_map_fini(&casts->kept);
}

static void
promises_drop(struct chi_casts *casts)
{
    size_t cursor = 0;
    uint64_t number;
    void *value;

    while (chi_map_next(&casts->promises, &cursor, &number, &value)) {
        for (struct promise *promise = value; promise != NULL;) {
            struct promise *next = promise->next;

            free(promise);
            promise = next;
        }
    }
    chi_map_fini(&casts->promises);
}

void
chi_casts_free(struct chi_collection *collection)
{
    struct chi_casts *casts = collection->casts;

    if (casts == NULL) {
        return;
    }
    kept_drop(casts);
    promises_drop(casts);
    chi_skips_fini(&casts->skips);
    chi_behinds_fini(&casts->behinds);
    chi_map_fini(&casts->ahead);
    free(casts);
    collection->casts = NULL;
}

/* ---- what has run here */

static bool
has_run(const struct chi_collection *collection, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;

    return number < collection->casts_below ||
           (casts != NULL && chi_map_get(&casts->ahead, number) != NULL);
}

static void
note_run(struct chi_obj *obj, struct chi_collection *collection,
         uint64_t number)
{
    struct chi_casts *casts;

    if (has_run(collection, number)) {
        return; /* the net has made two of it */
    }
    if (number != collection->casts_below) {
        casts = casts_get(obj, collection);
        number_put(obj, &casts->ahead, number, casts);
        return;
    }
    casts = collection->casts;
    do {
        collection->casts_below++;
    } while (casts != NULL &&
             chi_map_remove(&casts->ahead, collection->casts_below) != NULL);
}

uint64_t
chi_casts_skipped(struct chi_collection *collection, uint64_t number)
{
    struct chi_casts *casts = collection->casts;

    return casts == NULL ? 0 : chi_skips_mark(&casts->skips, number);
}

uint64_t
chi_casts_held(struct chi_obj *obj, struct chi_collection *collection,
               struct chi_msg *msg)
{
    struct chi_casts *casts = collection->casts;
    uint64_t count = 0;

    if (casts != NULL && chi_behind_mark(&casts->behinds, msg->env.key, msg,
                                         &count) != CHARE_OK) {
        no_memory(obj);
    }
    return count;
}

uint64_t
chi_casts_absent(const struct chi_collection *collection, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;
    const struct chi_skip_cast *cast =
        casts == NULL ? NULL : chi_skips_cast(&casts->skips, number);

    return collection->gone - (cast == NULL ? 0 : cast->destroyed);
}

static void
skip_add(struct chi_obj *obj, struct chi_collection *collection,
         struct chi_element *element, uint64_t number)
{
    if (chi_skips_add(&casts_get(obj, collection)->skips, element, number) !=
        CHARE_OK) {
        no_memory(obj);
    }
}

void
chi_casts_destroyed(struct chi_collection *collection,
                    const struct chi_element *element)
{
    if (collection->casts != NULL) {
        chi_skips_destroyed(&collection->casts->skips, element);
    }
}

uint64_t
chi_casts_visits(const struct chi_collection *collection)
{
    return collection->casts == NULL ? 0 : collection->casts->skips.visits;
}

/* ---- a broadcast for one chare */

/* What comes before the broadcast's own trailer in that of a CAST. */
struct cast_head {
    uint64_t called; /* the array, or a section */
    uint64_t number; /* of the array's broadcasts, or the member's CASTs */
    uint32_t pe;     /* that sent it */
    uint8_t handler;
};

enum {
    CAST_HEAD_BYTES = 20, /* the handler goes with the number */
    REPLY_BYTES_MAX =
        sizeof(uint64_t) + sizeof(uint32_t) + CHI_CALLBACK_BYTES_MAX,
    CAST_TRAILER_BYTES_MAX =
        sizeof(int64_t) * CHARE_DIMS_MAX + CAST_HEAD_BYTES + REPLY_BYTES_MAX,
};

static_assert((int)CAST_TRAILER_BYTES_MAX <= (int)CHI_MSG_TRAILER_BYTES_MAX,
              "the longest of a CAST has room");

static void
head_write(struct chi_writer *writer, const struct cast_head *head)
{
    chi_write_u64(writer, head->called);
    chi_write_u64(writer, head->number << 8 | head->handler);
    chi_write_u32(writer, head->pe);
}

static void
head_read(struct chi_reader *reader, struct cast_head *head_out)
{
    head_out->called = chi_read_u64(reader);
    head_out->number = chi_read_u64(reader);
    head_out->handler = (uint8_t)head_out->number;
    head_out->number >>= 8;
    head_out->pe = chi_read_u32(reader);
}

void
chi_cast_send(struct chi_obj *obj, const chare_element *target,
              const struct chi_msg *from, uint32_t entry, uint64_t number)
{
    const uint64_t data_len = chi_msg_data_len(from);
    const struct cast_head head = {
        .called = from->env.collection,
        .number = number,
        .pe = obj->pe->rank,
        .handler = from->env.handler,
    };
    unsigned char trailer[CHI_MSG_TRAILER_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(trailer, sizeof(trailer));
    struct chi_msg *msg = chi_pe_msg(obj->pe, CHI_HANDLER_CAST, data_len);

    memcpy(msg->bytes, from->bytes, data_len);
    msg->env.collection = target->collection;
    msg->env.entry = entry;
    msg->env.format = from->env.format;
    msg->env.priority = from->env.priority;
    msg->env.flags = from->env.flags & CHI_ENV_REPLY;
    if (!chi_index_pack(&target->index, &msg->env.key)) {
        msg->env.flags |= CHI_ENV_WIDE;
        chi_write(&writer, target->index.at, sizeof(target->index.at));
    }
    head_write(&writer, &head);
    chi_write(&writer, chi_msg_trailer(from), from->env.trailer_len);
    chi_assert(!writer.bad);
    if (chi_msg_add_trailer(&msg, trailer, (uint16_t)(writer.at - trailer)) !=
        CHARE_OK) {
        chi_pe_die(obj->pe, "out of memory for a broadcast to %llu",
                   (unsigned long long)target->collection);
    }
    chi_pe_count(obj->pe, msg);
    msg->env.caller = from->env.caller;
    chi_dispatch(obj, msg, NULL);
}

/* What a CAST says of itself; false: malformed. */
static bool
cast_read(const struct chi_msg *msg, struct cast_head *head_out,
          chare_reply *reply_out)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);

    if (msg->env.flags & CHI_ENV_WIDE) {
        (void)chi_read_bytes(&reader, sizeof(int64_t) * CHARE_DIMS_MAX);
    }
    head_read(&reader, head_out);
    if (reader.bad) {
        return false;
    }
    *reply_out = (chare_reply){
        .pe = head_out->pe,
        .collection = head_out->called,
    };
    if ((msg->env.flags & CHI_ENV_REPLY) == 0) {
        return true;
    }
    reply_out->tag = chi_read_u64(&reader);
    reply_out->kind = chi_read_u32(&reader);
    return chi_callback_read(&reader, &reply_out->callback);
}

bool
chi_cast_reply(const struct chi_obj *obj, const struct chi_msg *msg,
               chare_reply *out)
{
    struct cast_head head;

    if (!cast_read(msg, &head, out)) {
        return false;
    }
    if (head.called == msg->env.collection) {
        out->pe = obj->pe->rank; /* R4 of coll: any PE will do */
        out->kind |= CHI_REPLY_EXTRA;
    }
    return true;
}

uint64_t
chi_cast_number(const struct chi_msg *msg)
{
    struct cast_head head;
    chare_reply reply;
    const bool good = cast_read(msg, &head, &reply);

    chi_assert(good); /* it was read when it came */
    return head.number;
}

/* Nobody has it: its part in the completion is nothing. */
static void
cast_absent(struct chi_obj *obj, const chare_element *target,
            const struct chi_msg *msg)
{
    chare_reply reply;

    if ((msg->env.flags & CHI_ENV_REPLY) && chi_cast_reply(obj, msg, &reply)) {
        reply.self = *target;
        chi_far_contribute(obj, &reply, CHI_FAR_ABSENT, NULL);
    }
}

void
chi_cast_lost(struct chi_obj *obj, const chare_element *target,
              struct chi_msg *msg)
{
    cast_absent(obj, target, msg);
}

/* Takes the message. */
static void
cast_run(struct chi_obj *obj, struct chi_element *element, struct chi_msg *msg,
         chare_collection called)
{
    const uint32_t entry = chi_entry_of_member(obj, element, msg->env.entry);
    chare_element self;

    if (chi_unlikely(entry == 0)) {
        chi_element_self(element, &self);
        chi_refuse_entry(obj, &self, msg);
        return;
    }
    msg->env.entry = entry;
    chi_broadcast_run(obj, element, msg, called, 0);
    chi_msg_release(msg);
}

/* It is its turn. Takes the message. */
static void
cast_execute(struct chi_obj *obj, struct chi_element *element,
             struct chi_msg *msg)
{
    struct cast_head head;
    chare_element target;
    chare_reply reply;
    const bool good = cast_read(msg, &head, &reply);

    chi_assert(good);
    if (head.handler == CHI_HANDLER_SECTION) {
        chi_far_member_ends(element, head.called); /* F4 */
    } else if (head.handler == CHI_HANDLER_ROLL) {
        (void)chi_cast_reply(obj, msg, &reply);
        chi_roll_far(obj, element, msg, &reply);
    } else if (msg->env.entry == 0) {
        if (chi_destroy_waits_for(obj, element, msg)) {
            return;
        }
        chi_element_self(element, &target);
        cast_absent(obj, &target, msg);
        chi_destroy_now(obj, element);
    } else {
        cast_run(obj, element, msg, head.called);
        return;
    }
    chi_msg_release(msg);
}

/* What waited for turns of some chare can go on: moves, also of those that it
 * is bound to, and ends. */
static void
turns_over(struct chi_obj *obj)
{
    if (obj->moves.count > 0) {
        chi_moves_retry(obj);
    }
    if (obj->destructions.count > 0) {
        chi_destroy_retry(obj); /* D4 */
    }
}

/* One that runs here for all, and was held for this chare. */
static void
held_run(struct chi_obj *obj, struct chi_element *element, struct chi_msg *msg)
{
    chi_broadcast_run(obj, element, msg, msg->env.collection, 0);
    chi_msg_release(msg);
}

/* Run what a chare may have now; it may be no more after each. */
static void
turns_run(struct chi_obj *obj, const chare_element *self)
{
    struct chi_element *element;
    struct chi_msg *msg;
    bool own;

    while (!obj->pe->ended &&
           (element = chi_element_here(obj, self)) != NULL &&
           element->behind &&
           (msg = chi_behind_next(&element->collection->casts->behinds,
                                  element, &own)) != NULL) {
        if (own) {
            held_run(obj, element, msg);
        } else {
            cast_execute(obj, element, msg);
        }
    }
    turns_over(obj);
}

/* Run what has come to a member of a section, one after the other. */
static void
members_run(struct chi_obj *obj, const chare_element *self,
            chare_collection section)
{
    struct chi_element *element;
    struct chi_msg *msg;
    bool held = false;

    while (!obj->pe->ended &&
           (element = chi_element_here(obj, self)) != NULL &&
           (msg = chi_far_member_next(element, section)) != NULL) {
        cast_execute(obj, element, msg);
        held = true;
    }
    if (held) {
        turns_over(obj);
    }
}

/* A broadcast that the chare has missed; takes the message. */
static void
turn_come(struct chi_obj *obj, struct chi_element *element,
          struct chi_msg *msg, uint64_t number)
{
    chare_element self;

    chi_element_self(element, &self);
    if (chi_behind_hold(&element->collection->casts->behinds, element, number,
                        msg, false) != CHARE_OK) {
        no_memory(obj);
    }
    chi_msg_release(msg);
    turns_run(obj, &self);
}

void
chi_cast_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_element *element = chi_target_here(obj, msg);
    struct cast_head head;
    chare_reply reply;

    if (element == NULL) {
        return;
    }
    if (!cast_read(msg, &head, &reply)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed broadcast");
        chi_msg_release(msg);
    } else if (element->behind && head.called == msg->env.collection) {
        turn_come(obj, element, msg, head.number);
    } else if (head.called != msg->env.collection &&
               chi_far_member_holds(element, head.called, head.number, msg)) {
        return;
    } else {
        chare_element self;

        chi_element_self(element, &self);
        cast_execute(obj, element, msg);
        if (head.called != self.collection) {
            members_run(obj, &self, head.called);
        }
    }
}

/* ---- running, leaving, arriving */

static void
promises_keep(struct chi_obj *obj, struct chi_casts *casts,
              const struct chi_msg *msg)
{
    struct promise *promise = chi_map_remove(&casts->promises, msg->env.key);

    while (promise != NULL) {
        struct promise *next = promise->next;

        chi_cast_send(obj, &promise->element, msg, msg->env.entry,
                      msg->env.key);
        free(promise);
        promise = next;
    }
}

void
chi_casts_ran(struct chi_obj *obj, struct chi_collection *collection,
              struct chi_msg *msg)
{
    struct chi_casts *casts;

    if (collection->kind != CHI_KIND_ARRAY) {
        return;
    }
    note_run(obj, collection, msg->env.key);
    casts = collection->casts;
    if (casts == NULL) {
        return;
    }
    chi_skips_ran(&casts->skips, msg->env.key);
    promises_keep(obj, casts, msg); /* B2 */
    if (casts->away > 0 && chi_map_get(&casts->kept, msg->env.key) == NULL) {
        number_put(obj, &casts->kept, msg->env.key, chi_msg_ref(msg));
    }
}

size_t
chi_casts_leave(struct chi_obj *obj, struct chi_collection *collection,
                const struct chi_element *element, uint64_t **numbers_out)
{
    struct chi_casts *casts = casts_get(obj, collection);
    const size_t room =
        casts->ahead.count + chi_skips_count(&casts->skips, element);
    uint64_t *numbers = NULL;
    size_t count = 0;
    size_t cursor = 0;
    uint64_t number;
    void *value;

    chi_assert(!element->behind); /* B4 */
    if (room > 0) {
        numbers = malloc(room * sizeof(*numbers));
        if (numbers == NULL) {
            no_memory(obj);
        }
        while (chi_map_next(&casts->ahead, &cursor, &number, &value)) {
            numbers[count++] = number;
        }
        chi_skips_leave(&casts->skips, element, numbers + count);
    }
    casts->away++;
    *numbers_out = numbers;
    return room;
}

/* Broadcasts that a chare has missed. */
struct missed {
    uint64_t *numbers;
    size_t count;
    size_t room;
};

static void
missed_add(struct chi_obj *obj, struct missed *missed, uint64_t number)
{
    if (missed->count == missed->room) {
        missed->room = missed->room == 0 ? 4 : missed->room * 2;
        missed->numbers =
            realloc(missed->numbers, missed->room * sizeof(*missed->numbers));
        if (missed->numbers == NULL) {
            no_memory(obj);
        }
    }
    missed->numbers[missed->count++] = number;
}

/* What has run here, but for what is in 'had' and below 'below'. */
static void
missed_find(struct chi_obj *obj, const struct chi_collection *collection,
            uint64_t below, const struct chi_map *had, struct missed *missed)
{
    const struct chi_casts *casts = collection->casts;
    size_t cursor = 0;
    uint64_t number;
    void *value;

    for (uint64_t n = below; n < collection->casts_below; n++) {
        if (chi_map_get(had, n) == NULL) {
            missed_add(obj, missed, n);
        }
    }
    while (casts != NULL &&
           chi_map_next(&casts->ahead, &cursor, &number, &value)) {
        if (number >= below && chi_map_get(had, number) == NULL) {
            missed_add(obj, missed, number);
        }
    }
}

struct chi_msg *
chi_casts_arrive(struct chi_obj *obj, struct chi_collection *collection,
                 struct chi_element *element, uint64_t below,
                 const uint64_t *numbers, size_t count)
{
    struct missed missed = {0};
    struct chi_map had;
    struct chi_msg *answer;

    chi_map_init(&had);
    for (size_t i = 0; i < count; i++) {
        number_put(obj, &had, numbers[i], &had);
    }
    missed_find(obj, collection, below, &had, &missed);
    chi_map_fini(&had);
    for (uint64_t n = collection->casts_below; n < below; n++) {
        if (!has_run(collection, n)) {
            skip_add(obj, collection, element, n);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!has_run(collection, numbers[i])) {
            skip_add(obj, collection, element, numbers[i]);
        }
    }
    for (size_t i = 0; i < missed.count; i++) { /* B4 */
        if (chi_behind_owe(&casts_get(obj, collection)->behinds, element,
                           missed.numbers[i]) != CHARE_OK) {
            no_memory(obj);
        }
    }
    answer = chi_pe_msg(obj->pe, CHI_HANDLER_MOVED,
                        sizeof(chare_element) +
                            missed.count * sizeof(*missed.numbers));
    if (missed.count > 0) {
        memcpy(answer->bytes + sizeof(chare_element), missed.numbers,
               missed.count * sizeof(*missed.numbers));
    }
    free(missed.numbers);
    return answer;
}

/* Whether a chare that left can have missed it: it has run here since, and was
 * kept, or it is to run (B2). */
static bool
can_be_missed(const struct chi_collection *collection, uint64_t number)
{
    return chi_map_get(&collection->casts->kept, number) != NULL ||
           !has_run(collection, number);
}

/* Send one of the broadcasts that a chare missed, or promise to. */
static void
missed_execute(struct chi_obj *obj, struct chi_collection *collection,
               const chare_element *element, uint64_t number)
{
    struct chi_casts *casts = collection->casts;
    const struct chi_msg *kept = chi_map_get(&casts->kept, number);
    struct promise *promise;

    if (kept != NULL) {
        chi_cast_send(obj, element, kept, kept->env.entry, number);
        return;
    }
    promise = malloc(sizeof(*promise));
    if (promise == NULL) {
        no_memory(obj);
    }
    *promise =
        (struct promise){chi_map_get(&casts->promises, number), *element};
    number_put(obj, &casts->promises, number, promise);
}

/* Whether it can be the answer of a PE that a chare has come to. */
static bool
moved_ok(const struct chi_collection *collection, const struct chi_msg *msg)
{
    const uint64_t len = chi_msg_data_len(msg);

    if (collection == NULL || collection->casts == NULL ||
        collection->casts->away == 0 || len < sizeof(chare_element) ||
        (len - sizeof(chare_element)) % sizeof(uint64_t) != 0) {
        return false;
    }
    for (uint64_t at = sizeof(chare_element); at < len;
         at += sizeof(uint64_t)) {
        uint64_t number;

        memcpy(&number, msg->bytes + at, sizeof(number));
        if (!can_be_missed(collection, number)) {
            return false;
        }
    }
    return true;
}

void
chi_moved_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);
    const uint64_t len = chi_msg_data_len(msg);
    struct chi_casts *casts;
    chare_element element;

    if (collection == NULL && chi_is_buried(obj, msg->env.collection)) {
        chi_msg_release(msg);
        return;
    }
    if (!moved_ok(collection, msg)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed arrival");
        chi_msg_release(msg);
        return;
    }
    casts = collection->casts;
    memcpy(&element, msg->bytes, sizeof(element));
    for (uint64_t at = sizeof(element); at < len; at += sizeof(uint64_t)) {
        uint64_t number;

        memcpy(&number, msg->bytes + at, sizeof(number));
        missed_execute(obj, collection, &element, number);
    }
    if (--casts->away == 0) {
        kept_drop(casts);
    }
    chi_msg_release(msg);
}
