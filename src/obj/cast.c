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
 *      moves on is owed nothing twice.
 */
#include "config.h"

#include <stdlib.h>

#include "msg/codec.h"
#include "obj/migrate.h"
#include "obj/section.h"

struct skip {
    uint64_t number;
    const struct chi_element *element; /* NULL: it was destroyed */
};

struct promise {
    uint64_t number;
    chare_element element;
};

struct kept {
    struct kept *next;
    struct chi_msg *msg;
};

struct chi_casts {
    uint64_t *ahead; /* have run, in any order; all >= casts_below */
    size_t ahead_count;
    size_t ahead_room;
    struct skip *skips;
    size_t skip_count;
    size_t skip_room;
    struct promise *promises; /* to be sent when they have run here */
    size_t promise_count;
    size_t promise_room;
    struct kept *kept; /* have run here since some chare left */
    uint64_t away;     /* departures whose end is not known */
};

static void
grow(struct chi_obj *obj, void *items_inout, size_t count, size_t *room_inout,
     size_t item_bytes)
{
    const size_t room = *room_inout == 0 ? 4 : *room_inout * 2;
    void *old;
    void *grown;

    if (count < *room_inout) {
        return;
    }
    memcpy(&old, items_inout, sizeof(old));
    grown = realloc(old, room * item_bytes);
    if (grown == NULL) {
        chi_pe_die(obj->pe, "out of memory for broadcasts to chares that "
                            "move");
    }
    memcpy(items_inout, &grown, sizeof(grown));
    *room_inout = room;
}

static struct chi_casts *
casts_get(struct chi_obj *obj, struct chi_collection *collection)
{
    if (collection->casts == NULL) {
        collection->casts = calloc(1, sizeof(*collection->casts));
        if (collection->casts == NULL) {
            chi_pe_die(obj->pe, "out of memory for broadcasts to chares that "
                                "move");
        }
    }
    return collection->casts;
}

static void
kept_drop(struct chi_casts *casts)
{
    while (casts->kept != NULL) {
        struct kept *kept = casts->kept;

        casts->kept = kept->next;
        chi_msg_release(kept->msg);
        free(kept);
    }
}

void
chi_casts_free(struct chi_collection *collection)
{
    struct chi_casts *casts = collection->casts;

    if (casts == NULL) {
        return;
    }
    kept_drop(casts);
    free(casts->ahead);
    free(casts->skips);
    free(casts->promises);
    free(casts);
    collection->casts = NULL;
}

/* ---- what has run here */

static bool
has_run(const struct chi_collection *collection, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;

    if (number < collection->casts_below) {
        return true;
    }
    for (size_t i = 0; casts != NULL && i < casts->ahead_count; i++) {
        if (casts->ahead[i] == number) {
            return true;
        }
    }
    return false;
}

/* Take numbers that are below by now out of the list. */
static void
ahead_clean(struct chi_collection *collection)
{
    struct chi_casts *casts = collection->casts;
    bool again = true;

    while (casts != NULL && again) {
        size_t left = 0;

        again = false;
        for (size_t i = 0; i < casts->ahead_count; i++) {
            if (casts->ahead[i] == collection->casts_below) {
                collection->casts_below++;
                again = true;
            } else {
                casts->ahead[left++] = casts->ahead[i];
            }
        }
        casts->ahead_count = left;
    }
}

static void
note_run(struct chi_obj *obj, struct chi_collection *collection,
         uint64_t number)
{
    struct chi_casts *casts;

    if (has_run(collection, number)) {
        return; /* the net has made two of it */
    }
    if (number == collection->casts_below) {
        collection->casts_below++;
        ahead_clean(collection);
        return;
    }
    casts = casts_get(obj, collection);
    grow(obj, &casts->ahead, casts->ahead_count, &casts->ahead_room,
         sizeof(*casts->ahead));
    casts->ahead[casts->ahead_count++] = number;
}

uint64_t
chi_casts_skipped(const struct chi_collection *collection, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;
    uint64_t count = 0;

    for (size_t i = 0; casts != NULL && i < casts->skip_count; i++) {
        count += casts->skips[i].number == number &&
                 casts->skips[i].element != NULL;
    }
    return count;
}

uint64_t
chi_casts_absent(const struct chi_collection *collection, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;
    uint64_t count = collection->gone;

    for (size_t i = 0; casts != NULL && i < casts->skip_count; i++) {
        count -= casts->skips[i].number == number &&
                 casts->skips[i].element == NULL;
    }
    return count;
}

bool
chi_casts_skips(const struct chi_collection *collection,
                const struct chi_element *element, uint64_t number)
{
    const struct chi_casts *casts = collection->casts;

    for (size_t i = 0; i < casts->skip_count; i++) {
        if (casts->skips[i].number == number &&
            casts->skips[i].element == element) {
            return true;
        }
    }
    return false;
}

static void
skip_add(struct chi_obj *obj, struct chi_collection *collection,
         const struct chi_element *element, uint64_t number)
{
    struct chi_casts *casts = casts_get(obj, collection);

    grow(obj, &casts->skips, casts->skip_count, &casts->skip_room,
         sizeof(*casts->skips));
    casts->skips[casts->skip_count++] = (struct skip){number, element};
}

void
chi_casts_destroyed(struct chi_collection *collection,
                    const struct chi_element *element)
{
    struct chi_casts *casts = collection->casts;

    for (size_t i = 0; casts != NULL && i < casts->skip_count; i++) {
        if (casts->skips[i].element == element) {
            casts->skips[i].element = NULL;
        }
    }
}

/* ---- a broadcast for one chare */

/* What comes before the broadcast's own trailer in that of a CAST. */
struct cast_head {
    uint64_t called; /* the array, or a section */
    uint32_t pe;     /* that sent it */
    uint32_t handler;
};

static_assert(sizeof(struct cast_head) == 16, "a wire format");

void
chi_cast_send(struct chi_obj *obj, const chare_element *target,
              const struct chi_msg *from, uint32_t entry)
{
    const uint64_t data_len = chi_msg_data_len(from);
    const struct cast_head head = {
        .called = from->env.collection,
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
    chi_write(&writer, &head, sizeof(head));
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
    chi_read(&reader, head_out, sizeof(*head_out));
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

void
chi_cast_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_element *element = chi_target_here(obj, msg);
    struct cast_head head;
    chare_element target;
    chare_reply reply;

    if (element == NULL) {
        return;
    }
    if (!cast_read(msg, &head, &reply)) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed broadcast");
        chi_msg_release(msg);
        return;
    }
    if (head.handler == CHI_HANDLER_ROLL) {
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
        chi_broadcast_run(obj, element, msg, head.called, 0);
    }
    chi_msg_release(msg);
}

/* ---- running, leaving, arriving */

static void
promises_keep(struct chi_obj *obj, struct chi_casts *casts,
              const struct chi_msg *msg)
{
    size_t left = 0;

    for (size_t i = 0; i < casts->promise_count; i++) {
        const struct promise promise = casts->promises[i];

        if (promise.number == msg->env.key) {
            chi_cast_send(obj, &promise.element, msg, msg->env.entry);
        } else {
            casts->promises[left++] = promise;
        }
    }
    casts->promise_count = left;
}

void
chi_casts_ran(struct chi_obj *obj, struct chi_collection *collection,
              struct chi_msg *msg)
{
    struct chi_casts *casts;
    size_t left = 0;

    if (collection->kind != CHI_KIND_ARRAY) {
        return;
    }
    note_run(obj, collection, msg->env.key);
    casts = collection->casts;
    if (casts == NULL) {
        return;
    }
    for (size_t i = 0; i < casts->skip_count; i++) {
        if (casts->skips[i].number != msg->env.key) {
            casts->skips[left++] = casts->skips[i];
        }
    }
    casts->skip_count = left;
    promises_keep(obj, casts, msg); /* B2 */
    if (casts->away > 0) {
        struct kept *kept = malloc(sizeof(*kept));

        if (kept == NULL) {
            chi_pe_die(obj->pe, "out of memory for a broadcast");
        }
        *kept = (struct kept){casts->kept, chi_msg_ref(msg)};
        casts->kept = kept;
    }
}

size_t
chi_casts_leave(struct chi_obj *obj, struct chi_collection *collection,
                const struct chi_element *element, uint64_t **numbers_out)
{
    struct chi_casts *casts = casts_get(obj, collection);
    const size_t room = casts->ahead_count + casts->skip_count;
    uint64_t *numbers = NULL;
    size_t count = 0;
    size_t left = 0;

    if (room > 0) {
        numbers = malloc(room * sizeof(*numbers));
        if (numbers == NULL) {
            chi_pe_die(obj->pe, "out of memory for a chare that moves");
        }
    }
    for (size_t i = 0; i < casts->ahead_count; i++) {
        numbers[count++] = casts->ahead[i];
    }
    for (size_t i = 0; i < casts->skip_count; i++) {
        if (casts->skips[i].element == element) {
            numbers[count++] = casts->skips[i].number;
        } else {
            casts->skips[left++] = casts->skips[i];
        }
    }
    casts->skip_count = left;
    casts->away++;
    *numbers_out = numbers;
    return count;
}

static bool
is_among(uint64_t number, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return true;
        }
    }
    return false;
}

struct chi_msg *
chi_casts_arrive(struct chi_obj *obj, struct chi_collection *collection,
                 const struct chi_element *element, uint64_t below,
                 const uint64_t *numbers, size_t count)
{
    const struct chi_casts *casts = collection->casts;
    uint64_t *missed = NULL;
    size_t missed_count = 0;
    size_t missed_room = 0;
    struct chi_msg *answer;

    for (uint64_t n = below; n < collection->casts_below; n++) {
        if (!is_among(n, numbers, count)) {
            grow(obj, &missed, missed_count, &missed_room, sizeof(*missed));
            missed[missed_count++] = n;
        }
    }
    for (size_t i = 0; casts != NULL && i < casts->ahead_count; i++) {
        const uint64_t n = casts->ahead[i];

        if (n >= below && !is_among(n, numbers, count)) {
            grow(obj, &missed, missed_count, &missed_room, sizeof(*missed));
            missed[missed_count++] = n;
        }
    }
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
    answer =
        chi_pe_msg(obj->pe, CHI_HANDLER_MOVED,
                   sizeof(chare_element) + missed_count * sizeof(*missed));
    if (missed_count > 0) {
        memcpy(answer->bytes + sizeof(chare_element), missed,
               missed_count * sizeof(*missed));
    }
    free(missed);
    return answer;
}

void
chi_moved_execute(void *context, struct chi_msg *msg)
{
    struct chi_obj *obj = context;
    struct chi_collection *collection =
        chi_collection_find(obj, msg->env.collection);
    struct chi_casts *casts = collection == NULL ? NULL : collection->casts;
    const uint64_t len = chi_msg_data_len(msg);
    chare_element element;

    if (collection == NULL && chi_is_buried(obj, msg->env.collection)) {
        chi_msg_release(msg);
        return;
    }
    if (casts == NULL || casts->away == 0 || len < sizeof(element) ||
        (len - sizeof(element)) % sizeof(uint64_t) != 0) {
        chi_log_warn(obj->pe->options.log, "dropped a malformed arrival");
        chi_msg_release(msg);
        return;
    }
    memcpy(&element, msg->bytes, sizeof(element));
    for (uint64_t at = sizeof(element); at < len; at += sizeof(uint64_t)) {
        const struct kept *kept = casts->kept;
        uint64_t number;

        memcpy(&number, msg->bytes + at, sizeof(number));
        while (kept != NULL && kept->msg->env.key != number) {
            kept = kept->next;
        }
        if (kept != NULL) {
            chi_cast_send(obj, &element, kept->msg, kept->msg->env.entry);
            continue;
        }
        chi_assert(!has_run(collection, number)); /* B2 */
        grow(obj, &casts->promises, casts->promise_count, &casts->promise_room,
             sizeof(*casts->promises));
        casts->promises[casts->promise_count++] =
            (struct promise){number, element};
    }
    if (--casts->away == 0) {
        kept_drop(casts);
    }
    chi_msg_release(msg);
}
