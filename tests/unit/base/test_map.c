/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_map.c - the hash map against a list.
 *
 * Goal: after any sequence of puts and removes the map holds what it should.
 * Method: random operations on few keys, chosen so that many share a home
 * slot and that key 0 is among them, run side by side with a plain array of
 * pairs; everything is compared after each step. Seeds are printed.
 */
#include "config.h"

#include "base/map.h"
#include "tap/tap.h"

enum {
    SEEDS = 300,
    STEPS = 400,
    KEYS = 64
};

/* The pairs that should be there; a value is NULL where there is none. */
struct model {
    uint64_t keys[KEYS];
    void *values[KEYS];
    size_t count;
};

/*
 * Keys with the same few upper bits after hashing: the multiplier's inverse
 * turns wanted homes back into keys.
 */
static void
model_init(struct model *model, struct chi_prng *prng)
{
    uint64_t inverse = 1;

    for (int i = 0; i < 6; i++) { /* Newton: each step doubles the bits */
        inverse *= 2 - 0x9e3779b97f4a7c15ull * inverse;
    }
    *model = (struct model){0};
    for (uint64_t i = 1; i < KEYS; i++) {
        const uint64_t homes = 1 + chi_prng_below(prng, 4);
        const uint64_t hash = (chi_prng_below(prng, homes) << 58) + i;

        model->keys[i] = i % 2 == 0 ? hash * inverse : chi_prng_next(prng);
    }
}

static bool
same(const struct chi_map *map, const struct model *model)
{
    size_t cursor = 0;
    size_t walked = 0;
    uint64_t key;
    void *value;

    for (int i = 0; i < KEYS; i++) {
        if (chi_map_get(map, model->keys[i]) != model->values[i]) {
            return false;
        }
    }
    while (chi_map_next(map, &cursor, &key, &value)) {
        if (value == NULL || chi_map_get(map, key) != value) {
            return false;
        }
        walked++;
    }
    return walked == model->count && map->count == model->count;
}

static bool
step(struct chi_map *map, struct model *model, struct chi_prng *prng)
{
    const size_t i = chi_prng_below(prng, KEYS);
    const uint64_t removes = 1 + chi_prng_below(prng, 3);

    if (chi_prng_below(prng, 4) < removes) {
        void *removed = chi_map_remove(map, model->keys[i]);

        if (removed != model->values[i]) {
            return false;
        }
        model->count -= removed != NULL;
        model->values[i] = NULL;
    } else {
        void *value = &model->keys[chi_prng_below(prng, KEYS)];

        if (chi_map_put(map, model->keys[i], value) != CHARE_OK) {
            return false;
        }
        model->count += model->values[i] == NULL;
        model->values[i] = value;
    }
    return same(map, model);
}

static void
random_steps(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct chi_prng prng;
        struct model model;
        struct chi_map map;
        bool ok = true;

        chi_prng_init(&prng, seed);
        model_init(&model, &prng);
        chi_map_init(&map);
        for (int i = 0; ok && i < STEPS; i++) {
            ok = step(&map, &model, &prng);
        }
        chi_map_fini(&map);
        if (!ok) {
            printf("# seed %llu\n", (unsigned long long)seed);
        }
        CHECK(ok);
    }
}

static void
empty_maps(void)
{
    struct chi_map map;
    size_t cursor = 0;
    uint64_t key;
    void *value;

    chi_map_init(&map);
    CHECK(chi_map_get(&map, 0) == NULL);
    CHECK(chi_map_remove(&map, 0) == NULL);
    CHECK(!chi_map_next(&map, &cursor, &key, &value));
    CHECK_EQ(chi_map_put(&map, 0, &map), CHARE_OK);
    CHECK(chi_map_remove(&map, 0) == &map);
    CHECK(chi_map_get(&map, 0) == NULL);
    CHECK(!chi_map_next(&map, &cursor, &key, &value));
    chi_map_fini(&map);
    chi_map_fini(&map);
}

/* Many keys in a row, as ids are: growth, and every one is found. */
static void
many_keys(void)
{
    enum {
        COUNT = 100000
    };
    char *values = malloc(COUNT);
    struct chi_map map;

    CHECK(values != NULL);
    chi_map_init(&map);
    for (uint64_t i = 0; i < COUNT; i++) {
        CHECK_EQ(chi_map_put(&map, i, values + i), CHARE_OK);
    }
    CHECK_EQ(map.count, COUNT);
    for (uint64_t i = 0; i < COUNT; i += 2) {
        CHECK(chi_map_remove(&map, i) == values + i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        CHECK(chi_map_get(&map, i) == (i % 2 == 0 ? NULL : values + i));
    }
    CHECK(chi_map_get(&map, COUNT) == NULL);
    chi_map_fini(&map);
    free(values);
}

TAP_MAIN(TAP_CASE(random_steps), TAP_CASE(empty_maps), TAP_CASE(many_keys))
