/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tombs.c - names of what is no more.
 *
 * Invariant: a word whose bits are all set is not in 'words' if all words
 * below it, of the same creator, are full: then the creator's mark is above.
 */
#include "config.h"

#include "obj/tombs.h"

#include "base/check.h"
#include "obj/obj_private.h"

enum {
    WORD_BITS = 64,
    WORDS_SHIFT = CHI_COLLECTION_PE_SHIFT - 6, /* word -> creator */
};

/* Where the bit of a name is. */
struct place {
    uint64_t creator;
    uint64_t word; /* among those of the creator */
    uint64_t bit;
};

static uint64_t
counter_of(chare_collection id)
{
    return id & (((uint64_t)1 << CHI_COLLECTION_PE_SHIFT) - 1);
}

static struct place
place_of(chare_collection id)
{
    const uint64_t at = counter_of(id) - 1;

    return (struct place){
        .creator = chi_collection_creator(id),
        .word = at / WORD_BITS,
        .bit = (uint64_t)1 << (at % WORD_BITS),
    };
}

static uint64_t
word_key(const struct place *place)
{
    return place->creator << WORDS_SHIFT | place->word;
}

static uint64_t
mark_of(const struct chi_tombs *tombs, uint64_t creator)
{
    return (uintptr_t)chi_map_get(&tombs->marks, creator + 1);
}

void
chi_tombs_init(struct chi_tombs *tombs)
{
    chi_map_init(&tombs->words);
    chi_map_init(&tombs->marks);
}

void
chi_tombs_fini(struct chi_tombs *tombs)
{
    chi_map_fini(&tombs->words);
    chi_map_fini(&tombs->marks);
}

/* The lowest words are full: keep their number only. */
static chare_status
mark_rise(struct chi_tombs *tombs, struct place place)
{
    const uint64_t creator = place.creator;
    chare_status status;

    do {
        status = chi_map_put(&tombs->marks, creator + 1,
                             (void *)(uintptr_t)(place.word + 1));
        if (status != CHARE_OK) {
            return status;
        }
        chi_map_remove(&tombs->words, word_key(&place));
        place.word++;
    } while ((uintptr_t)chi_map_get(&tombs->words, word_key(&place)) ==
             UINT64_MAX);
    return CHARE_OK;
}

chare_status
chi_tombs_add(struct chi_tombs *tombs, chare_collection id)
{
    const struct place place = place_of(id);
    const uint64_t key = word_key(&place);
    const uint64_t mark = mark_of(tombs, place.creator);
    uint64_t bits;
    chare_status status;

    chi_assert(counter_of(id) != 0);
    if (place.word < mark) {
        return CHARE_OK;
    }
    bits = (uintptr_t)chi_map_get(&tombs->words, key) | place.bit;
    status = chi_map_put(&tombs->words, key, (void *)(uintptr_t)bits);
    if (status != CHARE_OK || bits != UINT64_MAX || place.word != mark) {
        return status;
    }
    return mark_rise(tombs, place);
}

bool
chi_tombs_has(const struct chi_tombs *tombs, chare_collection id)
{
    struct place place;

    if ((tombs->words.count == 0 && tombs->marks.count == 0) ||
        counter_of(id) == 0) { /* no name at all */
        return false;
    }
    place = place_of(id);
    return place.word < mark_of(tombs, place.creator) ||
           ((uintptr_t)chi_map_get(&tombs->words, word_key(&place)) &
            place.bit) != 0;
}
