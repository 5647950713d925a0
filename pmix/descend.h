/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_PMIX_DESCEND_H
#define CHI_PMIX_DESCEND_H

/*
 * descend.h - reach the descendants that have left their rank's process group.
 */

/* Send 'signal' to every child of this process, adopted ones included. */
void chi_descend_signal(int signal);

#endif /* CHI_PMIX_DESCEND_H */
