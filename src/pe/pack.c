/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pack.c - aggregation: small calls to one PE that travel as one message.
 *
 *     a pack: envelope, bytes, padding | envelope, bytes, padding | ...
 *
 * A call of an entry that asks for it is kept back where it would leave this
 * PE. The first for a PE waits as it is, so that a call that stays alone costs
 * no copy; with the second a pack is made. Everything above this room sees
 * whole messages only, on both sides; invariants K1 to K6 are in README.md.
 */
#include "config.h"

#include "pe/pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "net/route.h"
#include "pe/pe.h"

enum {
    ALIGNMENT = 16,
};

static_assert(CHI_PACKS_MAX <= UINT16_MAX, "a slot's number fits");

chare_status
chi_pack_entry(struct chi_pe *pe, uint32_t entry, bool on)
{
    struct chi_packs *packs = &pe->packs;

    if (on && entry >= packs->entry_room) {
        const uint32_t room = 2 * entry + 16;
        uint8_t *entries = realloc(packs->entries, room);

        if (entries == NULL) {
            return CHARE_ERR_NO_MEMORY;
        }
        memset(entries + packs->entry_room, 0, room - packs->entry_room);
        packs->entries = entries;
        packs->entry_room = room;
        pe->detour = true;
    }
    if (entry < packs->entry_room) {
        packs->entries[entry] = on;
    }
    return CHARE_OK;
}

static inline uint64_t
padded(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* K4: what may wait. */
static bool
waits(const struct chi_packs *packs, const struct chi_msg *msg)
{
    return msg->env.handler == CHI_HANDLER_INVOKE &&
           msg->env.entry < packs->entry_room &&
           packs->entries[msg->env.entry] != 0 && msg->env.priority >= 0 &&
           CHI_PACK_SHARE * chi_msg_wire_len(msg) <= packs->bytes_max;
}

/* The slots, at the first call that might wait. */
static void
slots_open(struct chi_pe *pe)
{
    struct chi_packs *packs = &pe->packs;
    const uint64_t eager = chi_route_eager_bytes(pe->route);
    uint64_t wire = pe->options.settings->aggregate_bytes;

    packs->slots = calloc(CHI_PACKS_MAX, sizeof(*packs->slots));
    if (packs->slots == NULL) {
        chi_pe_die(pe, "out of memory for calls that are to travel together");
    }
    if (wire != 0) {
        wire = wire < CHI_PACK_BYTES_MIN ? CHI_PACK_BYTES_MIN : wire;
        wire = wire > eager ? eager : wire;
        packs->bytes_max = wire - sizeof(struct chi_envelope);
    }
}

/* ---- the list of those that are open, in the order in which they were */

static void
slot_link(struct chi_packs *packs, uint16_t at)
{
    struct chi_pack *slot = &packs->slots[at];

    slot->earlier = packs->last;
    slot->later = at;
    if (packs->open_count++ == 0) {
        packs->first = at;
        slot->earlier = at;
    } else {
        packs->slots[packs->last].later = at;
    }
    packs->last = at;
}

static void
slot_unlink(struct chi_packs *packs, uint16_t at)
{
    const struct chi_pack *slot = &packs->slots[at];
    const bool is_first = slot->earlier == at;
    const bool is_last = slot->later == at;

    packs->open_count--;
    if (is_first) {
        packs->first = slot->later;
    } else {
        packs->slots[slot->earlier].later =
            is_last ? slot->earlier : slot->later;
    }
    if (is_last) {
        packs->last = slot->earlier;
    } else {
        packs->slots[slot->later].earlier =
            is_first ? slot->later : slot->earlier;
    }
}

/* ---- sending */

static void
slot_send(struct chi_pe *pe, uint16_t at)
{
    struct chi_packs *packs = &pe->packs;
    struct chi_pack *slot = &packs->slots[at];
    struct chi_msg *msg = slot->msg;

    slot_unlink(packs, at);
    slot->msg = NULL;
    if (slot->count > 1) {
        msg->env.len = slot->bytes;
        packs->packed += slot->count;
        packs->sent++;
    }
    chi_pe_send_now(pe, slot->to, msg);
}

/* Put a copy of a message into a pack that has room for it. */
static void
pack_put(struct chi_msg *pack, uint64_t at, struct chi_msg *msg)
{
    const uint64_t wire_len = chi_msg_wire_len(msg);

    memcpy(pack->bytes + at, chi_msg_wire(msg), wire_len);
    memset(pack->bytes + at + wire_len, 0, padded(wire_len) - wire_len);
    chi_msg_release(msg);
}

/* A pack instead of the one call that waits. */
static void
slot_begin_pack(struct chi_pe *pe, struct chi_pack *slot)
{
    struct chi_msg *pack =
        chi_pe_msg(pe, CHI_HANDLER_PACK, pe->packs.bytes_max);

    pack->env.flags = CHI_ENV_UNCOUNTED | CHI_ENV_PACK;
    pack->env.source_pe = pe->rank;
    pack_put(pack, 0, slot->msg);
    slot->msg = pack;
}

static void
slot_put(struct chi_pe *pe, uint16_t at, uint32_t to, struct chi_msg *msg)
{
    struct chi_packs *packs = &pe->packs;
    struct chi_pack *slot = &packs->slots[at];
    const uint64_t bytes = padded(chi_msg_wire_len(msg));

    if (slot->msg != NULL &&
        (slot->to != to || slot->bytes + bytes > packs->bytes_max)) {
        slot_send(pe, at); /* K3, K5 */
    }
    if (slot->msg == NULL) {
        slot->msg = msg;
        slot->to = to;
        slot->count = 1;
        slot->bytes = bytes;
        slot->look = packs->looks;
        slot_link(packs, at);
        return;
    }
    if (slot->count == 1) {
        slot_begin_pack(pe, slot);
    }
    pack_put(slot->msg, slot->bytes, msg);
    slot->count++;
    slot->bytes += bytes;
}

bool
chi_pack_take(struct chi_pe *pe, uint32_t to, struct chi_msg *msg)
{
    struct chi_packs *packs = &pe->packs;
    const uint16_t at = (uint16_t)(to % CHI_PACKS_MAX);

    if (packs->entries == NULL) {
        return false;
    }
    if (chi_unlikely(packs->slots == NULL)) {
        slots_open(pe);
    }
    if (waits(packs, msg)) {
        slot_put(pe, at, to, msg);
        return true;
    }
    if (packs->slots[at].msg != NULL && packs->slots[at].to == to) {
        slot_send(pe, at); /* K2 */
    }
    return false;
}

void
chi_pack_flush(struct chi_pe *pe)
{
    while (pe->packs.open_count > 0) {
        slot_send(pe, pe->packs.first);
    }
}

void
chi_pack_look(struct chi_pe *pe)
{
    struct chi_packs *packs = &pe->packs;

    packs->looks++;
    while (packs->open_count > 0 &&
           packs->looks - packs->slots[packs->first].look >=
               CHI_PACK_LOOKS_MAX) {
        slot_send(pe, packs->first); /* K3 */
    }
}

/* ---- arriving */

void
chi_pack_open(struct chi_pe *pe, struct chi_msg *pack,
              void (*arrived)(struct chi_pe *pe, struct chi_msg *msg))
{
    const uint64_t len = pack->env.len;
    uint64_t at = 0;

    while (at < len) {
        struct chi_envelope env;
        struct chi_msg *msg;
        uint64_t wire_len = 0;

        if (len - at >= sizeof(env)) {
            memcpy(&env, pack->bytes + at, sizeof(env));
            if (env.len <= len - at - sizeof(env)) {
                wire_len = sizeof(env) + env.len;
            }
        }
        if (!chi_msg_wire_ok(pack->bytes + at, wire_len) ||
            env.handler != CHI_HANDLER_INVOKE) {
            chi_log_warn(pe->options.log, "dropped malformed calls of PE %u",
                         pack->env.source_pe);
            break;
        }
        msg = chi_msg_alloc_wire(pe->pool, wire_len);
        if (msg == NULL) {
            chi_pe_die(pe, "out of memory for a message of %llu bytes",
                       (unsigned long long)wire_len);
        }
        memcpy(chi_msg_wire(msg), pack->bytes + at, wire_len);
        at += padded(wire_len);
        arrived(pe, msg);
    }
    chi_msg_release(pack);
}

void
chi_pack_fini(struct chi_pe *pe)
{
    struct chi_packs *packs = &pe->packs;

    while (packs->open_count > 0) {
        const uint16_t at = packs->first;

        slot_unlink(packs, at);
        chi_msg_release(packs->slots[at].msg);
    }
    free(packs->slots);
    free(packs->entries);
}
