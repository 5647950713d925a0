/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_CANCEL_H
#define CHI_PMIX_CANCEL_H

/*
 * cancel.h - end a Slurm step when its PMIx server no longer answers.
 */

#include <stdbool.h>

/*
 * Let scancel end step 'job' ("12.0"), if that is the Slurm step this process
 * belongs to; waits a few seconds at most. False: it is not, or scancel
 * failed.
 */
bool chi_pmix_cancel_step(const char *job);

#endif /* CHI_PMIX_CANCEL_H */
