/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_CLIENT_H
#define CHI_PMIX_CLIENT_H

/*
 * client.h - wire-up through the PMIx server of whoever launched the job:
 * Slurm, chare run, PRRTE, mpirun.
 *
 * In a build without PMIx the same table exists; its open() says
 * CHARE_ERR_NOT_FOUND, or CHARE_ERR_WIREUP when the environment tells of
 * several processes.
 */

#include "wireup/wireup.h"

/* Namespaces of 'chare run' start so. */
#define CHI_PMIX_RUN_NSPACE "chare-run."

extern const struct chi_wireup_ops chi_wireup_pmix_ops;

#endif /* CHI_PMIX_CLIENT_H */
