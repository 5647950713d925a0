/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OFI_SURVEY_H
#define CHI_OFI_SURVEY_H

/*
 * survey.h - asking libfabric what there is.
 */

#include <chare.h>

#include <rdma/fabric.h>

#include "base/log.h"
#include "base/settings.h"
#include "ofi/choose.h"
#include "ofi/library.h"

/* Say in 'hints' what we can live with. */
void chi_ofi_survey_hints(struct fi_info *hints);

/*
 * All offers, and the best of them, which belongs to the list. The list is to
 * be freed by freeinfo(). Errors: CHARE_ERR_NOT_FOUND - none will do; the log
 * says why and what there is. CHARE_ERR_NO_MEMORY.
 */
CHARE_MUST_CHECK chare_status
chi_ofi_survey(const struct chi_ofi_library *library,
               const struct chi_log *log, const struct chi_settings *settings,
               struct fi_info **list_out, const struct fi_info **chosen_out);

#endif /* CHI_OFI_SURVEY_H */
