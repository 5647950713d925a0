/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * claim.c - the marks that launchers leave in the environment.
 */
#include "config.h"

#include "pmix/claim.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mark {
    const char *variable;
    /* Only counts when this one is there too; NULL: always. Batch scripts see
     * SLURM_NTASKS as well, but they are no task of a step. */
    const char *with;
    const char *remedy;
};

/* The innermost launcher first. */
static const struct mark marks[] = {
    {"CHARE_NODE_SIZE", NULL,
     "Start it by 'chare run' of the same installation, and keep the PMIX_ "
     "variables in its environment."},
    {"SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID",
     "Add --mpi=pmix to srun (or set SLURM_MPI_TYPE=pmix)."},
    {"SLURM_NTASKS", "SLURM_STEP_ID",
     "Add --mpi=pmix to srun (or set SLURM_MPI_TYPE=pmix)."},
    {"OMPI_COMM_WORLD_SIZE", NULL,
     "Start it by 'chare run', or by a launcher with a PMIx server."},
    {"PMI_SIZE", NULL,
     "This launcher offers PMI only: use 'chare run', 'srun --mpi=pmix', or "
     "another launcher with a PMIx server."},
};

bool
chi_pmix_claim_find(struct chi_pmix_claim *out)
{
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const char *text = getenv(marks[i].variable);
        unsigned long long size;

        if (text == NULL || !isdigit((unsigned char)text[0])) {
            continue;
        }
        if (marks[i].with != NULL && getenv(marks[i].with) == NULL) {
            continue;
        }
        size = strtoull(text, NULL, 10);
        *out = (struct chi_pmix_claim){
            .size = size,
            .variable = marks[i].variable,
            .remedy = marks[i].remedy,
        };
        return size > 1;
    }
    return false;
}

bool
chi_pmix_claim_replaced(void)
{
    static const char name[] = "PMIX_NAMESPACE=";
    const char *now = getenv("PMIX_NAMESPACE");
    FILE *file = fopen("/proc/self/environ", "re");
    bool replaced = false;
    char *text = NULL;
    size_t room = 0;

    while (file != NULL && now != NULL &&
           getdelim(&text, &room, '\0', file) > 0) {
        if (strncmp(text, name, sizeof(name) - 1) == 0) {
            replaced = strcmp(text + sizeof(name) - 1, now) != 0;
        }
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
    return replaced;
}
