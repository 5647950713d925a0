/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * endpoint.c - from libfabric's offers to an enabled endpoint.
 *
 * libfabric is asked twice: first what there is, with all abilities; then
 * for the chosen offer with only those that are used, since each that is
 * enabled may cost something on the way of a message.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ofi/state.h"
#include "ofi/survey.h"

#define CHI_OFI_RMA_CAPS (FI_RMA | FI_READ | FI_REMOTE_READ)

bool
chi_ofi_means_lost(int error)
{
    switch (error) {
    case FI_ECONNREFUSED:
    case FI_ECONNRESET:
    case FI_ECONNABORTED:
    case FI_ENOTCONN:
    case FI_ESHUTDOWN:
    case FI_EHOSTUNREACH:
    case FI_EHOSTDOWN:
    case FI_ENETUNREACH:
    case FI_ENETDOWN:
    case FI_ETIMEDOUT:
    case FI_EIO:
    case FI_EREMOTEIO:
    case FI_ECANCELED: /* flushed with its connection */
    case FI_ENOENT:    /* shm: its memory is gone */
    case EPIPE:
        return true;
    default:
        return false;
    }
}

static chare_status
failed(struct chi_ofi *ofi, const char *what, int rc)
{
    chi_log_error(chi_ofi_log(ofi), "ofi: cannot open %s of %s: %s", what,
                  ofi->info->fabric_attr->prov_name,
                  ofi->library.strerror(-rc));
    return rc == -FI_ENOMEM ? CHARE_ERR_NO_MEMORY : CHARE_ERR_FABRIC;
}

/* The same offer again, with what we use of it and no more. */
static struct fi_info *
refine(struct chi_ofi *ofi, const struct fi_info *chosen)
{
    struct chi_ofi_plan plan;
    struct fi_info *hints = ofi->library.dupinfo(chosen);
    struct fi_info *list = NULL;

    if (hints == NULL) {
        return NULL;
    }
    chi_ofi_plan_init(chosen, 0, ofi->force, &plan);
    chi_ofi_survey_hints(hints);
    hints->caps = FI_MSG | FI_SEND | FI_RECV | (plan.tagged ? FI_TAGGED : 0) |
                  (plan.multi_recv ? FI_MULTI_RECV : 0) |
                  (plan.rma ? CHI_OFI_RMA_CAPS : 0) |
                  (chosen->caps & (FI_LOCAL_COMM | FI_REMOTE_COMM));
    hints->tx_attr->caps = 0;
    hints->rx_attr->caps = 0;
    hints->domain_attr->caps = 0;
    hints->tx_attr->msg_order &= FI_ORDER_SAS;
    hints->rx_attr->msg_order &= FI_ORDER_SAS;
    hints->tx_attr->comp_order = 0;
    hints->rx_attr->comp_order &= CHI_OFI_ORDER_STRICT;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    if (ofi->library.getinfo(CHI_OFI_API_VERSION, NULL, NULL, 0, hints,
                             &list) != 0) {
        list = NULL;
    }
    ofi->library.freeinfo(hints);
    return list;
}

/* Whether two offers mean the same port. */
static bool
is_same(const struct fi_info *a, const struct fi_info *b)
{
    const char *a_domain = a->domain_attr->name;
    const char *b_domain = b->domain_attr->name;

    return strcmp(a->fabric_attr->prov_name, b->fabric_attr->prov_name) == 0 &&
           (a_domain == NULL || b_domain == NULL ||
            strcmp(a_domain, b_domain) == 0) &&
           a->addr_format == b->addr_format &&
           a->src_addrlen == b->src_addrlen;
}

/* Set ofi->info to the offer to use. */
static chare_status
choose(struct chi_ofi *ofi)
{
    struct fi_info *list = NULL;
    struct fi_info *refined;
    const struct fi_info *chosen;
    const struct fi_info *use;
    chare_status status;

    status = chi_ofi_survey(&ofi->library, chi_ofi_log(ofi),
                            ofi->net.options.settings, &list, &chosen);
    if (status != CHARE_OK) {
        return status;
    }
    refined = refine(ofi, chosen);
    use = refined;
    while (use != NULL && !is_same(use, chosen)) {
        use = use->next;
    }
    ofi->info = ofi->library.dupinfo(use != NULL ? use : chosen);
    ofi->library.freeinfo(refined);
    ofi->library.freeinfo(list);
    if (ofi->info == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    chi_ofi_plan_init(ofi->info, ofi->net.options.settings->eager_bytes,
                      ofi->force, &ofi->plan);
    return CHARE_OK;
}

static int
cq_open(struct chi_ofi *ofi)
{
    struct fi_cq_attr attr = {
        .size = CHI_OFI_CQ_SIZE,
        .format = FI_CQ_FORMAT_DATA,
        .wait_obj = FI_WAIT_FD,
    };
    int rc;

    ofi->wait_fd = -1;
    if (ofi->force == NULL || !ofi->force->no_wait_fd) {
        rc = fi_cq_open(ofi->domain, &attr, &ofi->cq, NULL);
        if (rc == 0) {
            int fd = -1;

            if (fi_control(&ofi->cq->fid, FI_GETWAIT, &fd) == 0) {
                ofi->wait_fd = fd;
                chi_ofi_doze_open(ofi);
            }
            return 0;
        }
    }
    attr.wait_obj = FI_WAIT_NONE;
    return fi_cq_open(ofi->domain, &attr, &ofi->cq, NULL);
}

static chare_status
objects_open(struct chi_ofi *ofi)
{
    struct fi_av_attr av_attr = {
        .type = ofi->info->domain_attr->av_type,
        .count = ofi->net.options.size,
    };
    int rc;

    rc = ofi->library.fabric(ofi->info->fabric_attr, &ofi->fabric, NULL);
    if (rc != 0) {
        return failed(ofi, "the fabric", rc);
    }
    rc = fi_domain(ofi->fabric, ofi->info, &ofi->domain, NULL);
    if (rc != 0) {
        return failed(ofi, "the domain", rc);
    }
    rc = fi_av_open(ofi->domain, &av_attr, &ofi->av, NULL);
    if (rc != 0) {
        return failed(ofi, "the address vector", rc);
    }
    rc = cq_open(ofi);
    if (rc != 0) {
        return failed(ofi, "the completion queue", rc);
    }
    rc = fi_endpoint(ofi->domain, ofi->info, &ofi->ep, NULL);
    if (rc != 0) {
        return failed(ofi, "an endpoint", rc);
    }
    rc = fi_ep_bind(ofi->ep, &ofi->av->fid, 0);
    rc = rc != 0 ? rc
                 : fi_ep_bind(ofi->ep, &ofi->cq->fid, FI_TRANSMIT | FI_RECV);
    rc = rc != 0 ? rc : fi_enable(ofi->ep);
    return rc == 0 ? CHARE_OK : failed(ofi, "the endpoint", rc);
}

static chare_status
all_open(struct chi_ofi *ofi)
{
    chare_status status;

    status = chi_ofi_library_open(&ofi->library, chi_ofi_log(ofi));
    if (status == CHARE_OK) {
        status = choose(ofi);
    }
    if (status == CHARE_OK) {
        status = objects_open(ofi);
    }
    return status;
}

chare_status
chi_ofi_endpoint_open(struct chi_ofi *ofi)
{
    char address[CHI_OFI_ADDRESS_TEXT_MAX];
    struct chi_ofi_signals signals;
    chare_status status;

    chi_ofi_signals_save(&signals);
    status = all_open(ofi);
    chi_ofi_signals_restore(&signals);
    if (status != CHARE_OK) {
        return status;
    }
    chi_ofi_address_text(ofi->info, address, sizeof(address));
    chi_log_info(
        chi_ofi_log(ofi), "ofi: %s on %s (%s), eager up to %llu bytes%s%s%s",
        ofi->info->fabric_attr->prov_name, ofi->info->domain_attr->name,
        address, (unsigned long long)ofi->plan.eager_bytes,
        ofi->plan.rma ? ", RMA" : ", no RMA",
        ofi->plan.bounce ? ", copied" : "",
        ofi->wait_fd < 0 ? ", no descriptor to wait on" : "");
    if (ofi->plan.trusting && !ofi->plan.loopback &&
        ofi->net.options.rank == 0) {
        chi_log_warn(chi_ofi_log(ofi),
                     "ofi: %s believes whoever writes to its port on %s: use "
                     "it only where no stranger reaches that, or another "
                     "provider (CHARE_OFI_PROVIDER=tcp)",
                     ofi->info->fabric_attr->prov_name, address);
    }
    return CHARE_OK;
}

static void
part_close(struct chi_ofi *ofi, struct fid *part, const char *what)
{
    const int rc = part != NULL ? fi_close(part) : 0;

    if (rc != 0) {
        chi_log_debug(chi_ofi_log(ofi), "ofi: cannot close %s: %s", what,
                      ofi->library.strerror(-rc));
    }
}

static void
endpoint_close(struct chi_ofi *ofi)
{
    part_close(ofi, ofi->ep != NULL ? &ofi->ep->fid : NULL, "the endpoint");
    ofi->ep = NULL;
}

static void
regions_close(struct chi_ofi *ofi)
{
    chi_ofi_rma_regions_close(ofi);
    part_close(ofi, ofi->bounces_mr != NULL ? &ofi->bounces_mr->fid : NULL,
               "the send buffers");
    part_close(ofi, ofi->receive_mr != NULL ? &ofi->receive_mr->fid : NULL,
               "the receive buffers");
}

void
chi_ofi_endpoint_leave(struct chi_ofi *ofi)
{
    /* Without its regions no device writes to memory that is freed next; a
     * provider in software writes only when it is progressed. */
    regions_close(ofi);
    chi_ofi_doze_close(ofi);
    ofi->library.freeinfo(ofi->info);
}

void
chi_ofi_endpoint_close(struct chi_ofi *ofi)
{
    /* What is bound to the endpoint goes first; else the endpoint does, for
     * it may still use the regions. */
    if (ofi->plan.endpoint_mr) {
        regions_close(ofi);
        endpoint_close(ofi);
    } else {
        endpoint_close(ofi);
        regions_close(ofi);
    }
    chi_ofi_doze_close(ofi);
    part_close(ofi, ofi->cq != NULL ? &ofi->cq->fid : NULL, "the queue");
    part_close(ofi, ofi->av != NULL ? &ofi->av->fid : NULL, "the addresses");
    part_close(ofi, ofi->domain != NULL ? &ofi->domain->fid : NULL,
               "the domain");
    part_close(ofi, ofi->fabric != NULL ? &ofi->fabric->fid : NULL,
               "the fabric");
    if (ofi->info != NULL) {
        ofi->library.freeinfo(ofi->info);
    }
    chi_ofi_library_close(&ofi->library);
}
