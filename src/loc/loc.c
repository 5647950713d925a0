/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loc.c - the location cache, the way through the home, and the home's part
 * in moves.
 *
 * The invariants L1 to L8, the states and the messages are in README.md.
 */
#include "config.h"

#include "loc/loc.h"

#include <stdlib.h>

#include "base/check.h"

enum loc_state {
    LOC_DRAINING, /* the fence is under way; messages wait here */
    LOC_KNOWN,    /* messages go to 'pe', another PE */
    LOC_MOVING,   /* at the home: it may be leaving 'pe'; messages wait here */
};

enum move_op {        /* env.spare of LOC_MOVE */
    MOVE_ASK = 1,     /* to the home: the element wants to leave */
    MOVE_MAY = 2,     /* from the home: it may, when this executes */
    MOVE_STAYS = 3,   /* to the home: it has not left */
    MOVE_ARRIVED = 4, /* to the home: it is on the sender now */
};

struct loc_entry {
    struct loc_entry *next; /* with the same hash */
    chare_element element;
    enum loc_state state;
    uint32_t pe;
    bool again;     /* when drained, drain once more, through the home */
    uint64_t fence; /* the number of the fence that is under way */
    struct chi_msg_queue waiting;
};

enum {
    /* env.spare of a fence of the PE where the element was inserted: it waits
     * at the home for the element. One of a sender does not, for the home has
     * known the element: if it is unknown now, it is gone. */
    FENCE_OF_INSERTION = 1,
};

struct chi_loc {
    struct chi_pe *pe;
    const struct chi_loc_ops *ops;
    void *context;
    struct chi_map entries; /* hash -> chain of struct loc_entry */
    uint64_t fence_last;
    uint64_t forwarded; /* messages, at their arrival; without fences */
    uint64_t told;      /* senders, where an element is */
    uint32_t hops_most; /* of a message that was forwarded */
};

static uint64_t
element_hash(const chare_element *element)
{
    uint64_t hash = chi_mix64(element->collection);

    for (uint32_t i = 0; i < element->index.ndims; i++) {
        hash = chi_mix64(hash ^ (uint64_t)element->index.at[i]);
    }
    return hash;
}

static bool
element_equal(const chare_element *a, const chare_element *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static struct loc_entry *
entry_find(const struct chi_loc *loc, const chare_element *element)
{
    struct loc_entry *entry =
        loc->entries.count == 0
            ? NULL
            : chi_map_get(&loc->entries, element_hash(element));

    while (entry != NULL && !element_equal(&entry->element, element)) {
        entry = entry->next;
    }
    return entry;
}

/* Messages to some element go another way from now on. */
static void
changed(struct chi_loc *loc)
{
    loc->ops->changed(loc->context);
}

static struct loc_entry *
entry_add(struct chi_loc *loc, const chare_element *element,
          enum loc_state state, uint32_t pe)
{
    const uint64_t hash = element_hash(element);
    struct loc_entry *entry = malloc(sizeof(*entry));

    if (entry == NULL) {
        chi_pe_die(loc->pe, "out of memory for the location of an element");
    }
    *entry = (struct loc_entry){
        .next = chi_map_get(&loc->entries, hash),
        .element = *element,
        .state = state,
        .pe = pe,
    };
    if (chi_map_put(&loc->entries, hash, entry) != CHARE_OK) {
        chi_pe_die(loc->pe, "out of memory for the location of an element");
    }
    changed(loc);
    return entry;
}

/* ---- sending */

void
chi_loc_send(struct chi_loc *loc, const chare_element *element, uint32_t home,
             struct chi_msg *msg)
{
    struct loc_entry *entry = entry_find(loc, element);

    if ((msg->env.flags & CHI_ENV_MOVABLE) == 0) {
        msg->env.flags |= CHI_ENV_ROUTED;
    }
    if (entry == NULL && home == loc->pe->rank) {
        loc->ops->keep(loc->context, element, msg); /* L3 */
    } else if (entry == NULL) {
        chi_pe_forward(loc->pe, home, msg);
    } else if (entry->state == LOC_KNOWN) {
        chi_pe_forward(loc->pe, entry->pe, msg);
    } else {
        chi_msg_queue_push(&entry->waiting, msg); /* L1, L5 */
    }
}

bool
chi_loc_reroute(struct chi_loc *loc, const chare_element *element,
                uint32_t home, struct chi_msg *msg)
{
    if (home == loc->pe->rank && entry_find(loc, element) == NULL) {
        return false;
    }
    /* It has waited in a queue: the count starts anew (L2). */
    msg->env.hops = 1;
    if (home == loc->pe->rank) {
        chi_loc_send(loc, element, home, msg);
    } else {
        msg->env.flags |= CHI_ENV_ROUTED;
        chi_pe_forward(loc->pe, home, msg);
    }
    return true;
}

static struct chi_msg *
loc_msg(struct chi_loc *loc, enum chi_handler handler,
        const chare_element *element)
{
    struct chi_msg *msg = chi_pe_msg(loc->pe, handler, sizeof(*element));

    memcpy(msg->bytes, element, sizeof(*element));
    msg->env.collection = element->collection;
    msg->env.flags = CHI_ENV_UNCOUNTED;
    return msg;
}

/* Send a fence by the old way. */
static void
fence_send(struct chi_loc *loc, struct loc_entry *entry, uint32_t to,
           uint16_t spare)
{
    struct chi_msg *fence =
        loc_msg(loc, CHI_HANDLER_LOC_FENCE, &entry->element);

    entry->fence = ++loc->fence_last;
    fence->env.key = entry->fence;

    fence->env.flags |= CHI_ENV_ROUTED;
    fence->env.spare = spare;
    chi_pe_send(loc->pe, to, fence);
}

/* The element that a message of this room is about; false: malformed. */
static bool
loc_msg_element(const struct chi_msg *msg, chare_element *out)
{
    if (msg->env.len != sizeof(*out)) {
        return false;
    }
    memcpy(out, msg->bytes, sizeof(*out));
    return out->index.ndims >= 1 && out->index.ndims <= CHARE_DIMS_MAX;
}

void
chi_loc_tell_home(struct chi_loc *loc, const chare_element *element,
                  uint32_t home)
{
    struct chi_msg *msg = loc_msg(loc, CHI_HANDLER_LOC_UPDATE, element);
    struct loc_entry *entry = entry_find(loc, element);
    uint32_t old_way = home;

    chi_assert(home != loc->pe->rank);
    msg->env.entry = home;
    chi_pe_send(loc->pe, home, msg);
    changed(loc);
    if (entry == NULL) {
        entry = entry_add(loc, element, LOC_DRAINING, loc->pe->rank);
    } else if (entry->state == LOC_KNOWN) {
        /* One of this name was elsewhere: what was sent there comes back. */
        old_way = entry->pe;
        entry->state = LOC_DRAINING;
        entry->pe = loc->pe->rank;
    } else {
        entry->pe = loc->pe->rank;
        entry->again = true;
        return; /* a fence for the old element is under way */
    }
    fence_send(loc, entry, old_way, FENCE_OF_INSERTION); /* L1 */
}

void
chi_loc_gone(struct chi_loc *loc, const chare_element *element, uint32_t home,
             const chare_callback *done)
{
    unsigned char bytes[CHI_CALLBACK_WIRE_BYTES_MAX];
    struct chi_writer writer = chi_writer_of(bytes, sizeof(bytes));
    struct chi_msg *msg;

    chi_assert(home != loc->pe->rank);
    chi_callback_write(&writer, done);
    chi_assert(!writer.bad);
    msg = loc_msg(loc, CHI_HANDLER_LOC_GONE, element);
    /* Looked at when it arrives, so that no message which this PE sends back
     * to the home overtakes it. It counts, for it brings an answer. */
    msg->env.flags = CHI_ENV_ROUTED;
    if (chi_msg_add_trailer(&msg, bytes, (uint16_t)(writer.at - bytes)) !=
        CHARE_OK) {
        chi_pe_die(loc->pe, "out of memory for the location of an element");
    }
    chi_pe_send(loc->pe, home, msg);
}

bool
chi_loc_knows(const struct chi_loc *loc, const chare_element *element)
{
    return entry_find(loc, element) != NULL;
}

/* ---- arriving */

/* Tell the sender of a message, which came through the home, that its element
 * is here. The home itself knows. */
static void
tell_sender(struct chi_loc *loc, const chare_element *element,
            const struct chi_msg *msg)
{
    const uint32_t home = loc->ops->home(loc->context, element);
    const uint32_t sender = msg->env.source_pe;
    struct chi_msg *update;

    if (msg->env.hops > 0 && msg->env.handler != CHI_HANDLER_LOC_FENCE &&
        sender != loc->pe->rank && sender != home) {
        update = loc_msg(loc, CHI_HANDLER_LOC_UPDATE, element);
        update->env.entry = home;
        loc->told++;
        chi_pe_send(loc->pe, sender, update);
    }
}

static void entry_remove(struct chi_loc *loc, struct loc_entry *entry);

/* At the home: an element is no more. */
static void
gone_arrived(struct chi_loc *loc, struct chi_msg *msg)
{
    struct chi_reader reader =
        chi_reader_of(chi_msg_trailer(msg), msg->env.trailer_len);
    struct loc_entry *entry = NULL;
    chare_callback done;
    chare_element element;

    msg->env.len -= msg->env.trailer_len;
    if (loc_msg_element(msg, &element) && chi_callback_read(&reader, &done)) {
        entry = entry_find(loc, &element);
    }
    if (entry == NULL || entry->pe != msg->env.source_pe) {
        chi_log_warn(loc->pe->options.log, "dropped a malformed location");
    } else {
        entry_remove(loc, entry);
        loc->ops->gone(loc->context, &done);
    }
    loc->pe->counted_done++;
    msg->env.trailer_len = 0;
    chi_msg_release(msg);
}

/* ---- moves: the home's part */

static void
move_send(struct chi_loc *loc, const chare_element *element, uint32_t to,
          enum move_op op)
{
    struct chi_msg *msg = loc_msg(loc, CHI_HANDLER_LOC_MOVE, element);

    /* To the home: looked at when it arrives, so that all that the home hears
     * of an element comes in order. These count: a move is under way. */
    msg->env.flags = op == MOVE_MAY ? 0 : CHI_ENV_ROUTED;
    msg->env.spare = (uint16_t)op;
    chi_pe_send(loc->pe, to, msg);
}

/* What has waited while the element was moving may go on. */
static void
entry_settle(struct chi_loc *loc, struct loc_entry *entry, uint32_t pe)
{
    struct chi_msg *msg;

    chi_assert(entry->state == LOC_MOVING); /* L5 */
    entry->state = LOC_KNOWN;
    entry->pe = pe;
    changed(loc);
    while ((msg = chi_msg_queue_pop(&entry->waiting)) != NULL) {
        chi_pe_forward(loc->pe, pe, msg);
    }
    if (pe == loc->pe->rank) {
        entry_remove(loc, entry);
    }
}

/* At the home: an element wants to move, or has moved. */
static void
move_arrived(struct chi_loc *loc, struct chi_msg *msg)
{
    const uint32_t pe = msg->env.source_pe;
    struct loc_entry *entry = NULL;
    chare_element element;

    if (loc_msg_element(msg, &element)) {
        entry = entry_find(loc, &element);
    }
    if (entry == NULL || (msg->env.spare == MOVE_ASK) !=
                             (entry->state == LOC_KNOWN && entry->pe == pe)) {
        /* L6: who asks is here, who stays or arrives has asked. */
        chi_log_warn(loc->pe->options.log, "dropped a malformed location");
    } else if (msg->env.spare == MOVE_ASK) {
        entry->state = LOC_MOVING;
        changed(loc);
        move_send(loc, &element, pe, MOVE_MAY);
    } else {
        entry_settle(loc, entry, pe);
    }
    loc->pe->counted_done++;
    chi_msg_release(msg);
}

/* The home has said that an element may leave: all that came through the home
 * before has been executed, or is behind this (L7). */
static void
may_execute(void *context, struct chi_msg *msg)
{
    struct chi_loc *loc = context;
    chare_element element;

    if (loc_msg_element(msg, &element)) {
        loc->ops->granted(loc->context, &element);
    }
    chi_msg_release(msg);
}

void
chi_loc_ask(struct chi_loc *loc, const chare_element *element, uint32_t home)
{
    if (home == loc->pe->rank) {
        move_send(loc, element, home, MOVE_MAY);
    } else {
        move_send(loc, element, home, MOVE_ASK);
    }
}

void
chi_loc_stays(struct chi_loc *loc, const chare_element *element, uint32_t home)
{
    if (home != loc->pe->rank) {
        move_send(loc, element, home, MOVE_STAYS);
    }
}

void
chi_loc_left(struct chi_loc *loc, const chare_element *element, uint32_t home)
{
    if (home == loc->pe->rank) {
        chi_assert(entry_find(loc, element) == NULL); /* L6 */
        entry_add(loc, element, LOC_MOVING, home);
    }
}

void
chi_loc_came(struct chi_loc *loc, const chare_element *element, uint32_t home)
{
    struct loc_entry *entry = entry_find(loc, element);
    struct chi_msg *msg;

    if (home == loc->pe->rank) {
        chi_assert(entry != NULL); /* L6 */
        entry_settle(loc, entry, home);
        return;
    }
    move_send(loc, element, home, MOVE_ARRIVED);
    if (entry == NULL) {
        return;
    }
    /* This PE was a sender: what has waited for the way has arrived. */
    while ((msg = chi_msg_queue_pop(&entry->waiting)) != NULL) {
        chi_pe_enqueue(loc->pe, msg);
    }
    entry_remove(loc, entry);
}

bool
chi_loc_where(const struct chi_loc *loc, const chare_element *element,
              uint32_t *pe_out)
{
    const struct loc_entry *entry = entry_find(loc, element);

    if (entry == NULL || entry->state != LOC_KNOWN) {
        return false;
    }
    *pe_out = entry->pe;
    return true;
}

void
chi_loc_counts(const struct chi_loc *loc, uint64_t *forwarded_out,
               uint64_t *told_out)
{
    *forwarded_out = loc->forwarded;
    *told_out = loc->told;
}

uint32_t
chi_loc_hops_most(const struct chi_loc *loc)
{
    return loc->hops_most;
}

/*
 * For an element that is not here: the home forwards it or keeps it, all
 * others, where it may have been, send it to the home. False: execute it.
 */
static bool
arrived_elsewhere(struct chi_loc *loc, const chare_element *element,
                  struct chi_msg *msg)
{
    const uint32_t home = loc->ops->home(loc->context, element);
    struct loc_entry *entry = entry_find(loc, element);
    uint32_t to = home;

    if (home == loc->pe->rank) {
        if (entry == NULL && msg->env.handler == CHI_HANDLER_LOC_FENCE &&
            msg->env.spare != FENCE_OF_INSERTION) {
            return false; /* it is gone; the fence is answered here */
        }
        if (entry == NULL) {
            loc->ops->keep(loc->context, element, msg); /* L3 */
            return true;
        }
        to = entry->pe;
    }
    chi_assert(msg->env.hops < CHI_LOC_HOPS_MAX); /* L2 */
    msg->env.hops++;
    loc->hops_most =
        msg->env.hops > loc->hops_most ? msg->env.hops : loc->hops_most;
    loc->forwarded += msg->env.handler != CHI_HANDLER_LOC_FENCE;
    if (home == loc->pe->rank && entry->state == LOC_MOVING) {
        chi_msg_queue_push(&entry->waiting, msg); /* L5 */
    } else {
        chi_pe_forward(loc->pe, to, msg);
    }
    return true;
}

bool
chi_loc_arrived(struct chi_loc *loc, struct chi_msg *msg)
{
    chare_element element;

    enum chi_loc_look look = CHI_LOC_LOOK;

    if (msg->env.handler == CHI_HANDLER_LOC_GONE) {
        gone_arrived(loc, msg);
        return true;
    }
    if (msg->env.handler == CHI_HANDLER_LOC_MOVE) {
        move_arrived(loc, msg);
        return true;
    }
    if (msg->env.handler == CHI_HANDLER_LOC_FENCE) {
        if (!loc_msg_element(msg, &element)) {
            chi_msg_release(msg);
            return true;
        }
        if (!loc->ops->known(loc->context, msg)) {
            return true;
        }
        if (loc->ops->over(loc->context, &element)) {
            return false; /* nothing is under way any more */
        }
    } else {
        look = loc->ops->target(loc->context, msg, &element);
    }
    if (look != CHI_LOC_LOOK) {
        return look == CHI_LOC_TAKEN;
    }
    if (loc->ops->is_here(loc->context, &element)) {
        tell_sender(loc, &element, msg);
        return false;
    }
    return arrived_elsewhere(loc, &element, msg);
}

static bool
msg_arrived(void *context, struct chi_msg *msg)
{
    return chi_loc_arrived(context, msg);
}

/* ---- executing this room's messages */

static void
entry_remove(struct chi_loc *loc, struct loc_entry *entry)
{
    const uint64_t hash = element_hash(&entry->element);
    struct loc_entry *chain = chi_map_remove(&loc->entries, hash);
    struct loc_entry **link = &chain;

    changed(loc);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    if (chain != NULL) {
        /* Cannot fail: the slot of the hash has just become free. */
        chare_status status = chi_map_put(&loc->entries, hash, chain);

        chi_assert(status == CHARE_OK);
    }
    free(entry);
}

/* The old way is empty: what waited may take the new one. */
static void
entry_flush(struct chi_loc *loc, struct loc_entry *entry)
{
    struct chi_msg *msg;

    if (entry->again) {
        entry->again = false;
        fence_send(loc, entry, loc->ops->home(loc->context, &entry->element),
                   FENCE_OF_INSERTION);
        return;
    }
    entry->state = LOC_KNOWN;
    changed(loc);
    while ((msg = chi_msg_queue_pop(&entry->waiting)) != NULL) {
        chi_pe_forward(loc->pe, entry->pe, msg);
    }
    if (entry->pe == loc->pe->rank) {
        loc->ops->drained(loc->context, &entry->element);
        entry_remove(loc, entry);
    }
}

static void
update_at_home(struct chi_loc *loc, const chare_element *element, uint32_t pe)
{
    if (chi_loc_knows(loc, element) ||
        loc->ops->is_here(loc->context, element)) {
        loc->ops->placed_twice(loc->context, element);
    } else {
        entry_add(loc, element, LOC_KNOWN, pe);
        loc->ops->placed(loc->context, element, pe);
    }
}

/* A sender learns where an element is; it may have heard of it before. */
static void
update_at_sender(struct chi_loc *loc, const chare_element *element,
                 uint32_t home, uint32_t pe)
{
    struct loc_entry *entry = entry_find(loc, element);
    uint32_t old_way = home;

    changed(loc);
    if (entry == NULL) {
        entry = entry_add(loc, element, LOC_DRAINING, pe);
    } else if (entry->state == LOC_KNOWN && entry->pe != pe) {
        old_way = entry->pe;
        entry->state = LOC_DRAINING;
        entry->pe = pe;
    } else {
        entry->pe = pe; /* the fence that is under way serves this, too */
        return;
    }
    fence_send(loc, entry, old_way, 0); /* L1 */
}

static void
update_execute(void *context, struct chi_msg *msg)
{
    struct chi_loc *loc = context;
    const uint32_t home = msg->env.entry;
    const uint32_t pe = msg->env.source_pe;
    chare_element element;

    if (!loc_msg_element(msg, &element) || home >= loc->pe->size) {
        chi_log_warn(loc->pe->options.log, "dropped a malformed location");
    } else if (!loc->ops->known(loc->context, msg)) {
        return; /* executed again later */
    } else if (loc->ops->over(loc->context, &element)) {
        chi_log_debug(loc->pe->options.log, "an array is no more");
    } else if (home == loc->pe->rank) {
        update_at_home(loc, &element, pe);
    } else if (!loc->ops->is_here(loc->context, &element)) {
        update_at_sender(loc, &element, home, pe);
    }
    chi_msg_release(msg);
}

/* The fence is here: all that was sent before it on the old way is, too. */
static void
fence_execute(void *context, struct chi_msg *msg)
{
    struct chi_loc *loc = context;
    chare_element element;

    if (loc_msg_element(msg, &element)) {
        struct chi_msg *ack = loc_msg(loc, CHI_HANDLER_LOC_ACK, &element);

        ack->env.key = msg->env.key;
        chi_pe_send(loc->pe, msg->env.source_pe, ack);
    }
    chi_msg_release(msg);
}

static void
ack_execute(void *context, struct chi_msg *msg)
{
    struct chi_loc *loc = context;
    chare_element element;

    if (loc_msg_element(msg, &element)) {
        struct loc_entry *entry = entry_find(loc, &element);

        if (entry != NULL && entry->state == LOC_DRAINING &&
            entry->fence == msg->env.key) {
            entry_flush(loc, entry);
        }
    }
    chi_msg_release(msg);
}

/* ---- life */

chare_status
chi_loc_create(struct chi_pe *pe, const struct chi_loc_ops *ops, void *context,
               struct chi_loc **out)
{
    struct chi_loc *loc = calloc(1, sizeof(*loc));

    if (loc == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    loc->pe = pe;
    loc->ops = ops;
    loc->context = context;
    chi_map_init(&loc->entries);
    pe->arrival = msg_arrived;
    pe->arrival_flags |= CHI_ENV_ROUTED;
    pe->arrival_context = loc;
    chi_pe_set_handler(pe, CHI_HANDLER_LOC_UPDATE, update_execute, loc);
    chi_pe_set_handler(pe, CHI_HANDLER_LOC_FENCE, fence_execute, loc);
    chi_pe_set_handler(pe, CHI_HANDLER_LOC_ACK, ack_execute, loc);
    chi_pe_set_handler(pe, CHI_HANDLER_LOC_MOVE, may_execute, loc);
    *out = loc;
    return CHARE_OK;
}

void
chi_loc_destroy(struct chi_loc *loc)
{
    size_t cursor = 0;
    uint64_t hash;
    void *value;

    if (loc == NULL) {
        return;
    }
    while (chi_map_next(&loc->entries, &cursor, &hash, &value)) {
        struct loc_entry *entry = value;

        while (entry != NULL) {
            struct loc_entry *next = entry->next;

            chi_msg_queue_clear(&entry->waiting);
            free(entry);
            entry = next;
        }
    }
    chi_map_fini(&loc->entries);
    free(loc);
}
