/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_registry.c - types, entry methods, functions and maps.
 *
 * Goal:   ids count up and name what was registered; what makes no sense is
 *         refused and changes nothing; the digest tells registries apart by
 *         names and by order.
 */
#include "config.h"

#include "entry/registry.h"
#include "tap/bare.h"
#include "tap/tap.h"

static void
method(void *object, const chare_call *call, void *context)
{
    (void)object, (void)call, (void)context;
}

static void
function(const chare_call *call, void *context)
{
    (void)call, (void)context;
}

static uint32_t
map(const chare_index *index, uint32_t pe_count, void *context)
{
    (void)index, (void)context;
    return pe_count - 1;
}

static chare_type_ops
type_ops(const char *name)
{
    return (chare_type_ops){
        .size = sizeof(chare_type_ops),
        .name = name,
        .create = bare_create,
    };
}

static void
ids_name_what_was_registered(void)
{
    struct chi_registry registry;
    const chare_type_ops a = type_ops("A");
    char name[] = "first";
    uint32_t type;
    uint32_t entry;
    uint32_t id;

    chi_registry_init(&registry);
    CHECK(chi_registry_add_type(&registry, &a, NULL, &type) == CHARE_OK);
    CHECK(chi_registry_add_entry(&registry, type, name, method, &id, &entry) ==
          CHARE_OK);
    CHECK(entry != 0);
    memset(name, 'x', 4); /* it was copied */
    CHECK(strcmp(chi_registry_entry_name(&registry, entry), "A.first") == 0);
    CHECK(strcmp(chi_registry_type_name(&registry, type), "A") == 0);
    CHECK(registry.entries[entry].context == &id);
    for (uint32_t i = 1; i < 100; i++) {
        CHECK(chi_registry_add_entry(&registry, type, "more", method, NULL,
                                     &id) == CHARE_OK);
        CHECK_EQ(id, entry + i);
    }
    CHECK(chi_registry_add_function(&registry, "f", function, NULL, &id) ==
          CHARE_OK);
    CHECK(chi_registry_add_map(&registry, map, NULL, &id) == CHARE_OK);
    CHECK_EQ(id, CHI_MAP_CUSTOM_FIRST);
    CHECK(strcmp(chi_registry_entry_name(&registry, 0), "?") == 0);
    CHECK(strcmp(chi_registry_entry_name(&registry, 5000), "?") == 0);
    chi_registry_fini(&registry);
}

static void
nonsense_is_refused(void)
{
    struct chi_registry registry;
    chare_type_ops ops = type_ops("A");
    char name[CHARE_NAME_BYTES_MAX + 2];
    uint64_t digest;
    uint32_t type;
    uint32_t id;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    chi_registry_init(&registry);
    CHECK(chi_registry_add_type(&registry, &ops, NULL, &type) == CHARE_OK);
    digest = registry.digest;
    ops.name = NULL;
    CHECK(chi_registry_add_type(&registry, &ops, NULL, &id) ==
          CHARE_ERR_INVALID);
    ops.name = "";
    CHECK(chi_registry_add_type(&registry, &ops, NULL, &id) ==
          CHARE_ERR_INVALID);
    ops.name = name;
    CHECK(chi_registry_add_type(&registry, &ops, NULL, &id) ==
          CHARE_ERR_INVALID);
    ops = type_ops("B");
    ops.create = NULL;
    CHECK(chi_registry_add_type(&registry, &ops, NULL, &id) ==
          CHARE_ERR_INVALID);
    CHECK(chi_registry_add_entry(&registry, type + 1, "m", method, NULL,
                                 &id) == CHARE_ERR_INVALID);
    CHECK(chi_registry_add_entry(&registry, type, NULL, method, NULL, &id) ==
          CHARE_ERR_INVALID);
    /* Neither a function nor an invoke hook. */
    CHECK(chi_registry_add_entry(&registry, type, "m", NULL, NULL, &id) ==
          CHARE_ERR_INVALID);
    CHECK(chi_registry_add_function(&registry, "f", NULL, NULL, &id) ==
          CHARE_ERR_INVALID);
    CHECK(chi_registry_add_map(&registry, NULL, NULL, &id) ==
          CHARE_ERR_INVALID);
    CHECK(registry.digest == digest);
    chi_registry_fini(&registry);
}

/* The digest of a registry with these methods of one type, in this order. */
static uint64_t
digest_of(const char *type_name, const char *first, const char *second)
{
    struct chi_registry registry;
    const chare_type_ops ops = type_ops(type_name);
    uint64_t digest = 0;
    uint32_t type;
    uint32_t id;

    chi_registry_init(&registry);
    if (chi_registry_add_type(&registry, &ops, NULL, &type) == CHARE_OK &&
        chi_registry_add_entry(&registry, type, first, method, NULL, &id) ==
            CHARE_OK &&
        chi_registry_add_entry(&registry, type, second, method, NULL, &id) ==
            CHARE_OK) {
        digest = registry.digest;
    }
    chi_registry_fini(&registry);
    return digest;
}

static void
the_digest_tells_apart(void)
{
    const uint64_t digest = digest_of("A", "one", "two");

    CHECK(digest != 0);
    CHECK(digest == digest_of("A", "one", "two"));
    CHECK(digest != digest_of("A", "two", "one"));
    CHECK(digest != digest_of("B", "one", "two"));
    CHECK(digest != digest_of("A", "onet", "wo"));
}

TAP_MAIN(TAP_CASE(ids_name_what_was_registered), TAP_CASE(nonsense_is_refused),
         TAP_CASE(the_digest_tells_apart))
