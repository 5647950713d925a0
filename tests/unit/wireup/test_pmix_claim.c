/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pmix_claim.c - which environments tell of several processes?
 *
 * Goal:   a task of a step without PMIx is noticed; a batch script, an
 *         allocation's shell, or one task is not taken for one of several.
 * Method: the environments that launchers make, as far as they matter.
 */
#include "config.h"

#include "pmix/claim.h"

#include "tap/tap.h"

static const char *const variables[] = {
    "CHARE_NODE_SIZE", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",    "PMI_SIZE",      "OMPI_COMM_WORLD_SIZE",
};

/* Pairs of name and value, ended by NULL. */
static bool
claims(const char *const *pairs, struct chi_pmix_claim *out)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        unsetenv(variables[i]);
    }
    for (; *pairs != NULL; pairs += 2) {
        setenv(pairs[0], pairs[1], 1);
    }
    return chi_pmix_claim_find(out);
}

#define CLAIMS(out, ...) claims((const char *const[]){__VA_ARGS__, NULL}, out)

static void
one_process_is_no_claim(void)
{
    struct chi_pmix_claim claim;

    CHECK(!CLAIMS(&claim, "PMI_SIZE", "1"));
    CHECK(!CLAIMS(&claim, "PMI_SIZE", "no number"));
    CHECK(!CLAIMS(&claim, "SLURM_NTASKS", "8")); /* a batch script */
    CHECK(!CLAIMS(&claim, "SLURM_STEP_ID", "0", "SLURM_STEP_NUM_TASKS", "1",
                  "SLURM_NTASKS", "8"));
}

static void
several_are_a_claim(void)
{
    struct chi_pmix_claim claim;

    CHECK(CLAIMS(&claim, "SLURM_STEP_ID", "0", "SLURM_STEP_NUM_TASKS", "3"));
    CHECK_EQ(claim.size, 3);
    CHECK(strcmp(claim.variable, "SLURM_STEP_NUM_TASKS") == 0);
    CHECK(strstr(claim.remedy, "--mpi=pmix") != NULL);
    CHECK(CLAIMS(&claim, "PMI_SIZE", "5"));
    CHECK_EQ(claim.size, 5);
    CHECK(CLAIMS(&claim, "OMPI_COMM_WORLD_SIZE", "2"));
    CHECK(strstr(claim.remedy, "chare run") != NULL);
}

static void
innermost_launcher_is_believed(void)
{
    struct chi_pmix_claim claim;

    CHECK(!CLAIMS(&claim, "CHARE_NODE_SIZE", "1", "SLURM_STEP_ID", "0",
                  "SLURM_STEP_NUM_TASKS", "4"));
    CHECK(CLAIMS(&claim, "CHARE_NODE_SIZE", "2", "SLURM_STEP_ID", "0",
                 "SLURM_STEP_NUM_TASKS", "4"));
    CHECK_EQ(claim.size, 2);
}

TAP_MAIN(TAP_CASE(one_process_is_no_claim), TAP_CASE(several_are_a_claim),
         TAP_CASE(innermost_launcher_is_believed))
