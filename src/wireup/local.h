/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_WIREUP_LOCAL_H
#define CHI_WIREUP_LOCAL_H

/*
 * local.h - the provider for a job of one process.
 */

#include "wireup/wireup.h"

extern const struct chi_wireup_ops chi_wireup_local_ops;

#endif /* CHI_WIREUP_LOCAL_H */
