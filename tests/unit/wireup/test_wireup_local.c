/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_wireup_local.c - the provider for one process alone.
 *
 * Goal:   rank 0 of 1, and the exchange gives back the own blob.
 * Method: the checked calls of wireup.h; blobs with every byte value.
 */
#include "config.h"

#include "wireup/local.h"

#include "tap/tap.h"

static struct chi_wireup *
open_local(void)
{
    static const struct chi_log log = CHI_LOG_INIT;
    static const struct chi_settings settings = {.start_timeout_ns = 1};
    struct chi_wireup *wireup = NULL;

    if (chi_wireup_open(
            &chi_wireup_local_ops,
            &(struct chi_wireup_options){.log = &log, .settings = &settings},
            &wireup) != CHARE_OK) {
        return NULL;
    }
    return wireup;
}

static void
one_process_is_rank_0_of_1(void)
{
    struct chi_wireup *wireup = open_local();

    CHECK(wireup != NULL);
    CHECK_EQ(wireup->rank, 0);
    CHECK_EQ(wireup->size, 1);
    CHECK(strcmp(wireup->launcher, "none") == 0);
    CHECK(wireup->host[0] != '\0');
    chi_wireup_close(wireup);
}

static void
blob_comes_back(void)
{
    struct chi_wireup *wireup = open_local();
    struct chi_wireup_table table;
    unsigned char blob[256];
    const void *got;
    size_t len;

    for (size_t i = 0; i < sizeof(blob); i++) {
        blob[i] = (unsigned char)i;
    }
    CHECK(wireup != NULL);
    CHECK_EQ(chi_wireup_exchange(wireup, blob, sizeof(blob), &table),
             CHARE_OK);
    CHECK_EQ(table.count, 1);
    got = chi_wireup_blob(&table, 0, &len);
    CHECK_EQ(len, sizeof(blob));
    CHECK(got != blob); /* a copy: the caller's may go */
    CHECK(memcmp(got, blob, sizeof(blob)) == 0);
    chi_wireup_abort(wireup, 1, "nobody hears this");
    chi_wireup_close(wireup);
}

static void
two_in_one_process_are_apart(void)
{
    struct chi_wireup *first = open_local();
    struct chi_wireup *second = open_local();
    struct chi_wireup_table tables[2];
    size_t len;

    CHECK(first != NULL);
    CHECK(second != NULL);
    CHECK_EQ(chi_wireup_exchange(first, "a", 1, &tables[0]), CHARE_OK);
    CHECK_EQ(chi_wireup_exchange(second, "bb", 2, &tables[1]), CHARE_OK);
    CHECK(memcmp(chi_wireup_blob(&tables[0], 0, &len), "a", 1) == 0);
    CHECK_EQ(len, 1);
    CHECK(memcmp(chi_wireup_blob(&tables[1], 0, &len), "bb", 2) == 0);
    CHECK_EQ(len, 2);
    chi_wireup_close(first);
    chi_wireup_close(second);
}

static void
close_accepts_nothing(void)
{
    chi_wireup_close(NULL);
}

TAP_MAIN(TAP_CASE(one_process_is_rank_0_of_1), TAP_CASE(blob_comes_back),
         TAP_CASE(two_in_one_process_are_apart),
         TAP_CASE(close_accepts_nothing))
