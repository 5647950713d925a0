/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * skips.c - which chares of an array skip which broadcasts.
 */
#include "config.h"

#include "obj/skips.h"

#include <stdlib.h>

#include "obj/obj_private.h"

static struct chi_skip_cast *
cast_get(struct chi_skips *skips, uint64_t number)
{
    struct chi_skip_cast *cast = chi_map_get(&skips->casts, number);

    if (cast != NULL) {
        return cast;
    }
    cast = calloc(1, sizeof(*cast));
    if (cast == NULL || chi_map_put(&skips->casts, number, cast) != CHARE_OK) {
        free(cast);
        return NULL;
    }
    cast->number = number;
    return cast;
}

static struct chi_skip_chare *
skipper_find(const struct chi_skips *skips, const struct chi_element *element)
{
    return chi_map_get(&skips->chares, (uintptr_t)element);
}

static struct chi_skip_chare *
skipper_get(struct chi_skips *skips, struct chi_element *element)
{
    struct chi_skip_chare *chare = skipper_find(skips, element);

    if (chare != NULL) {
        return chare;
    }
    chare = calloc(1, sizeof(*chare));
    if (chare == NULL ||
        chi_map_put(&skips->chares, (uintptr_t)element, chare) != CHARE_OK) {
        free(chare);
        return NULL;
    }
    chare->element = element;
    return chare;
}

chare_status
chi_skips_add(struct chi_skips *skips, struct chi_element *element,
              uint64_t number)
{
    struct chi_skip_cast *cast = cast_get(skips, number);
    struct chi_skip_chare *chare = skipper_get(skips, element);
    struct chi_skip *skip = malloc(sizeof(*skip));

    if (cast == NULL || chare == NULL || skip == NULL) {
        free(skip);
        return CHARE_ERR_NO_MEMORY;
    }
    *skip = (struct chi_skip){
        .next_cast = cast->first,
        .link_cast = &cast->first,
        .next_chare = chare->first,
        .link_chare = &chare->first,
        .cast = cast,
        .chare = chare,
    };
    if (skip->next_cast != NULL) {
        skip->next_cast->link_cast = &skip->next_cast;
    }
    if (skip->next_chare != NULL) {
        skip->next_chare->link_chare = &skip->next_chare;
    }
    cast->first = chare->first = skip;
    cast->count++;
    chare->count++;
    return CHARE_OK;
}

size_t
chi_skips_count(const struct chi_skips *skips,
                const struct chi_element *element)
{
    const struct chi_skip_chare *chare = skipper_find(skips, element);

    return chare == NULL ? 0 : chare->count;
}

/* Take a skip out of the list of its broadcast. */
static void
leave_cast(struct chi_skips *skips, struct chi_skip *skip)
{
    skips->visits++;
    *skip->link_cast = skip->next_cast;
    if (skip->next_cast != NULL) {
        skip->next_cast->link_cast = skip->link_cast;
    }
    skip->cast->count--;
}

static void
cast_free(struct chi_skips *skips, struct chi_skip_cast *cast)
{
    (void)chi_map_remove(&skips->casts, cast->number);
    free(cast);
}

static void
skipper_free(struct chi_skips *skips, struct chi_skip_chare *chare)
{
    (void)chi_map_remove(&skips->chares, (uintptr_t)chare->element);
    free(chare);
}

void
chi_skips_leave(struct chi_skips *skips, const struct chi_element *element,
                uint64_t *numbers_out)
{
    struct chi_skip_chare *chare = skipper_find(skips, element);

    if (chare == NULL) {
        return;
    }
    while (chare->first != NULL) {
        struct chi_skip *skip = chare->first;
        struct chi_skip_cast *cast = skip->cast;

        *numbers_out++ = cast->number;
        chare->first = skip->next_chare;
        leave_cast(skips, skip);
        if (cast->count == 0 && cast->destroyed == 0) {
            cast_free(skips, cast);
        }
        free(skip);
    }
    skipper_free(skips, chare);
}

void
chi_skips_destroyed(struct chi_skips *skips, const struct chi_element *element)
{
    struct chi_skip_chare *chare = skipper_find(skips, element);

    if (chare == NULL) {
        return;
    }
    while (chare->first != NULL) {
        struct chi_skip *skip = chare->first;

        chare->first = skip->next_chare;
        leave_cast(skips, skip);
        skip->cast->destroyed++;
        free(skip);
    }
    skipper_free(skips, chare);
}

uint64_t
chi_skips_mark(struct chi_skips *skips, uint64_t number)
{
    const struct chi_skip_cast *cast = chi_skips_cast(skips, number);

    for (struct chi_skip *skip = cast == NULL ? NULL : cast->first;
         skip != NULL; skip = skip->next_cast) {
        skips->visits++;
        skip->chare->element->skips = true;
    }
    return cast == NULL ? 0 : cast->count;
}

void
chi_skips_ran(struct chi_skips *skips, uint64_t number)
{
    struct chi_skip_cast *cast = chi_map_get(&skips->casts, number);

    if (cast == NULL) {
        return;
    }
    while (cast->first != NULL) {
        struct chi_skip *skip = cast->first;
        struct chi_skip_chare *chare = skip->chare;

        leave_cast(skips, skip);
        *skip->link_chare = skip->next_chare;
        if (skip->next_chare != NULL) {
            skip->next_chare->link_chare = skip->link_chare;
        }
        if (--chare->count == 0) {
            skipper_free(skips, chare);
        }
        free(skip);
    }
    cast_free(skips, cast);
}

void
chi_skips_init(struct chi_skips *skips)
{
    chi_map_init(&skips->casts);
    chi_map_init(&skips->chares);
    skips->visits = 0;
}

void
chi_skips_fini(struct chi_skips *skips)
{
    size_t cursor = 0;
    uint64_t key;
    void *value;

    while (chi_map_next(&skips->casts, &cursor, &key, &value)) {
        chi_skips_ran(skips, key);
        cursor = 0;
    }
    chi_map_fini(&skips->casts);
    chi_map_fini(&skips->chares);
}
