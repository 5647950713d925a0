/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * survey.c - asking libfabric what there is, and saying so to people.
 */
#include "config.h"

#include "ofi/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ofi/ofi.h"

#include <rdma/fi_domain.h>
#include <rdma/fi_errno.h>

enum {
    NAMES_BYTES = 512,
    LINE_BYTES = 256,
};

void
chi_ofi_survey_hints(struct fi_info *hints)
{
    hints->mode = CHI_OFI_MODES;
    hints->tx_attr->mode = 0;
    hints->rx_attr->mode = 0;
    hints->domain_attr->mode = 0;
    hints->ep_attr->type = FI_EP_RDM;
    hints->domain_attr->mr_mode = CHI_OFI_MR_MODES;
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->resource_mgmt = FI_RM_ENABLED;
}

/* All offers of one provider, or of all (provider empty); NULL: none. */
static struct fi_info *
offers(const struct chi_ofi_library *library, const char *provider)
{
    struct fi_info *hints = library->dupinfo(NULL);
    struct fi_info *list = NULL;

    if (hints == NULL) {
        return NULL;
    }
    chi_ofi_survey_hints(hints);
    if (provider[0] != '\0') {
        hints->fabric_attr->prov_name = strdup(provider);
    }
    if (library->getinfo(CHI_OFI_API_VERSION, NULL, NULL, 0, hints, &list) !=
        0) {
        list = NULL;
    }
    library->freeinfo(hints);
    return list;
}

static struct chi_ofi_wish
wish_of(const struct chi_settings *settings)
{
    return (struct chi_ofi_wish){settings->ofi_provider,
                                 settings->ofi_interface};
}

static void
say_nothing_fits(const struct chi_ofi_library *library,
                 const struct chi_log *log, const struct chi_ofi_wish *wish,
                 const struct fi_info *list)
{
    char names[NAMES_BYTES] = "";
    struct fi_info *all = offers(library, "");

    chi_ofi_provider_names(all, names, sizeof(names));
    if (all == NULL) {
        chi_log_error(log, "ofi: libfabric finds no provider");
    } else if (list == NULL) {
        chi_log_error(log,
                      "ofi: there is no provider %s (CHARE_OFI_PROVIDER); "
                      "there are: %s",
                      wish->provider, names);
    } else if (wish->interface[0] != '\0') {
        chi_log_error(log,
                      "ofi: no provider has an interface or address %s "
                      "(CHARE_OFI_INTERFACE); see chare info",
                      wish->interface);
    } else {
        chi_log_error(log,
                      "ofi: no provider is good enough of: %s; chare info "
                      "says why, and CHARE_OFI_PROVIDER=NAME insists",
                      names);
    }
    library->freeinfo(all);
}

chare_status
chi_ofi_survey(const struct chi_ofi_library *library,
               const struct chi_log *log, const struct chi_settings *settings,
               struct fi_info **list_out, const struct fi_info **chosen_out)
{
    const struct chi_ofi_wish wish = wish_of(settings);
    struct fi_info *list = offers(library, wish.provider);
    const struct fi_info *chosen = chi_ofi_choose(list, &wish);

    if (chosen == NULL) {
        say_nothing_fits(library, log, &wish, list);
        library->freeinfo(list);
        return CHARE_ERR_NOT_FOUND;
    }
    *list_out = list;
    *chosen_out = chosen;
    return CHARE_OK;
}

/* ---- for people */

struct report {
    void (*line)(void *context, const char *text);
    void *context;
};

static void
report_offer(const struct report *report, const struct fi_info *info,
             const struct chi_ofi_wish *wish, const struct fi_info *chosen)
{
    const char *domain = info->domain_attr->name;
    const enum chi_ofi_verdict verdict = chi_ofi_judge(info, wish);
    const char *why = chi_ofi_verdict_text(verdict);
    char address[CHI_OFI_ADDRESS_TEXT_MAX];
    char text[LINE_BYTES];
    struct chi_ofi_plan plan;

    if (info == chosen) {
        why = "chosen, the best that fits";
    } else if (verdict == CHI_OFI_FITS) {
        why = chi_ofi_why_not(info, chosen);
    }
    chi_ofi_address_text(info, address, sizeof(address));
    chi_ofi_plan_init(info, 0, NULL, &plan);
    (void)snprintf(text, sizeof(text), "%c %-14s %3u.%-2u %-8s %-26s %s%s: %s",
                   info == chosen ? '*' : ' ', info->fabric_attr->prov_name,
                   FI_MAJOR(info->fabric_attr->prov_version),
                   FI_MINOR(info->fabric_attr->prov_version),
                   domain != NULL ? domain : "-", address,
                   plan.rma ? "RMA" : "no RMA", plan.bounce ? ", copies" : "",
                   why);
    report->line(report->context, text);
}

/* libfabric names an offer once for each way to use it; we use one. */
static bool
seen_before(const struct fi_info *list, const struct fi_info *info)
{
    char mine[CHI_OFI_ADDRESS_TEXT_MAX];
    char other[CHI_OFI_ADDRESS_TEXT_MAX];

    chi_ofi_address_text(info, mine, sizeof(mine));
    for (; list != info; list = list->next) {
        chi_ofi_address_text(list, other, sizeof(other));
        if (strcmp(list->fabric_attr->prov_name,
                   info->fabric_attr->prov_name) == 0 &&
            strcmp(mine, other) == 0) {
            return true;
        }
    }
    return false;
}

static chare_status
report_all(const struct chi_log *log, const struct chi_settings *settings,
           const struct report *report)
{
    const struct chi_ofi_wish wish = wish_of(settings);
    struct chi_ofi_library library;
    const struct fi_info *chosen;
    struct fi_info *list;
    char text[LINE_BYTES];
    chare_status status;

    status = chi_ofi_library_open(&library, log);
    if (status != CHARE_OK) {
        report->line(report->context, "libfabric cannot be loaded");
        return status;
    }
    (void)snprintf(text, sizeof(text), "libfabric %u.%u",
                   FI_MAJOR(library.version()), FI_MINOR(library.version()));
    report->line(report->context, text);
    list = offers(&library, "");
    chosen = chi_ofi_choose(list, &wish);
    for (const struct fi_info *at = list; at != NULL; at = at->next) {
        if (at == chosen || !seen_before(list, at)) {
            report_offer(report, at, &wish, chosen);
        }
    }
    if (chosen == NULL) {
        report->line(report->context, "none of these can be used");
    }
    library.freeinfo(list);
    chi_ofi_library_close(&library);
    return chosen != NULL ? CHARE_OK : CHARE_ERR_NOT_FOUND;
}

chare_status
chi_ofi_report(const struct chi_log *log, const struct chi_settings *settings,
               void (*line)(void *context, const char *text), void *context)
{
    const struct report report = {line, context};
    struct chi_ofi_signals signals;
    chare_status status;

    chi_ofi_signals_save(&signals);
    status = report_all(log, settings, &report);
    chi_ofi_signals_restore(&signals);
    return status;
}
