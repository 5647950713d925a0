/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ofi_choose.c - which offer of libfabric is taken, and how it is used.
 *
 * Goal:   preference, wishes, addresses, refusals, and what each mode of
 *         hardware that is not here would mean.
 * Method: made-up offers; nothing of libfabric is called.
 */
#include "config.h"

#include "ofi/choose.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "ofi/ofi.h"
#include "tap/tap.h"

enum {
    OFFERS_MAX = 24
};

struct offer {
    struct fi_info info;
    struct fi_tx_attr tx;
    struct fi_rx_attr rx;
    struct fi_ep_attr ep;
    struct fi_domain_attr domain;
    struct fi_fabric_attr fabric;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct market {
    struct offer offers[OFFERS_MAX];
    int count;
};

static const struct chi_ofi_wish no_wish = {"", ""};

/* Add an offer that fits; it may be spoiled afterwards. */
static struct offer *
offer_add(struct market *market, const char *provider, const char *domain,
          const char *address)
{
    struct offer *offer = &market->offers[market->count];

    memset(offer, 0, sizeof(*offer));
    offer->info.caps = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ |
                       FI_REMOTE_WRITE | FI_SEND | FI_RECV | FI_MULTI_RECV |
                       FI_LOCAL_COMM | FI_REMOTE_COMM;
    offer->info.tx_attr = &offer->tx;
    offer->info.rx_attr = &offer->rx;
    offer->info.ep_attr = &offer->ep;
    offer->info.domain_attr = &offer->domain;
    offer->info.fabric_attr = &offer->fabric;
    offer->tx.iov_limit = 4;
    offer->tx.inject_size = 64;
    offer->rx.comp_order = CHI_OFI_ORDER_STRICT;
    offer->ep.type = FI_EP_RDM;
    offer->ep.max_msg_size = SIZE_MAX;
    offer->domain.mr_key_size = 8;
    offer->domain.resource_mgmt = FI_RM_ENABLED;
    offer->domain.name = (char *)(uintptr_t)domain;
    offer->fabric.prov_name = (char *)(uintptr_t)provider;
    if (address != NULL && strchr(address, ':') == NULL) {
        offer->v4.sin_family = AF_INET;
        (void)inet_pton(AF_INET, address, &offer->v4.sin_addr);
        offer->info.src_addr = &offer->v4;
        offer->info.src_addrlen = sizeof(offer->v4);
        offer->info.addr_format = FI_SOCKADDR_IN;
    } else if (address != NULL) {
        offer->v6.sin6_family = AF_INET6;
        (void)inet_pton(AF_INET6, address, &offer->v6.sin6_addr);
        offer->info.src_addr = &offer->v6;
        offer->info.src_addrlen = sizeof(offer->v6);
        offer->info.addr_format = FI_SOCKADDR_IN6;
    }
    if (market->count > 0) {
        market->offers[market->count - 1].info.next = &offer->info;
    }
    market->count++;
    return offer;
}

/* The chosen offer's provider, or "". */
static const char *
chosen_name(const struct market *market, const struct chi_ofi_wish *wish)
{
    const struct fi_info *info = chi_ofi_choose(
        market->count > 0 ? &market->offers[0].info : NULL, wish);

    return info != NULL ? info->fabric_attr->prov_name : "";
}

/* The chosen offer's address, or "". */
static const char *
chosen_address(const struct market *market, const struct chi_ofi_wish *wish)
{
    static char text[CHI_OFI_ADDRESS_TEXT_MAX];
    const struct fi_info *info = chi_ofi_choose(&market->offers[0].info, wish);

    text[0] = '\0';
    if (info != NULL) {
        chi_ofi_address_text(info, text, sizeof(text));
    }
    return text;
}

static void
providers_are_taken_in_order_of_preference(void)
{
    static const char *const order[] = {
        "cxi", "verbs;ofi_rxm", "psm3",        "psm2", "efa", "gni",
        "opx", "psm",           "tcp;ofi_rxm", "tcp",  "net", "net;ofi_rxm"};
    const int count = sizeof(order) / sizeof(order[0]);

    /* The worst first, so that libfabric's order does not decide. */
    for (int best = 0; best < count; best++) {
        struct market market = {.count = 0};

        for (int i = count - 1; i >= best; i--) {
            (void)offer_add(&market, order[i], "eth0", "10.0.0.1");
        }
        CHECK(strcmp(chosen_name(&market, &no_wish), order[best]) == 0);
    }
}

static void
who_believes_strangers_must_be_asked_for(void)
{
    static const char *const names[] = {"sockets", "udp;ofi_rxd"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct market market = {.count = 0};
        const struct chi_ofi_wish wish = {names[i], ""};
        struct offer *offer = offer_add(&market, names[i], "eth0", "10.0.0.1");
        struct chi_ofi_plan plan;

        CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_TRUSTING);
        CHECK(strcmp(chosen_name(&market, &no_wish), "") == 0);
        CHECK(strcmp(chosen_name(&market, &wish), names[i]) == 0);
        chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
        CHECK(plan.trusting);
    }
}

static void
nothing_offered_is_nothing_chosen(void)
{
    struct market market = {.count = 0};

    CHECK(strcmp(chosen_name(&market, &no_wish), "") == 0);
}

static void
addresses_that_others_reach_come_first(void)
{
    struct market market = {.count = 0};

    /* libfabric says of loopback that it reaches nobody else. */
    offer_add(&market, "tcp;ofi_rxm", "lo", "127.0.0.1")->info.caps &=
        ~FI_REMOTE_COMM;
    offer_add(&market, "tcp;ofi_rxm", "lo", "::1")->info.caps &=
        ~FI_REMOTE_COMM;
    CHECK(strcmp(chosen_address(&market, &no_wish), "127.0.0.1") == 0);
    (void)offer_add(&market, "tcp;ofi_rxm", "eth0", "fe80::1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "fe80::1") == 0);
    (void)offer_add(&market, "tcp;ofi_rxm", "docker0", "172.17.0.1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "172.17.0.1") == 0);
    (void)offer_add(&market, "tcp;ofi_rxm", "eth0", "fd00::1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "fd00::1") == 0);
    (void)offer_add(&market, "tcp;ofi_rxm", "eth0", "10.0.0.1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "10.0.0.1") == 0);
    (void)offer_add(&market, "tcp;ofi_rxm", "eth1", "10.1.0.1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "10.0.0.1") == 0);
    /* A better provider on loopback is no better. */
    (void)offer_add(&market, "verbs;ofi_rxm", "siw0", "127.0.0.1");
    CHECK(strcmp(chosen_address(&market, &no_wish), "10.0.0.1") == 0);
    (void)offer_add(&market, "psm2", "hfi1_0", NULL);
    CHECK(strcmp(chosen_name(&market, &no_wish), "psm2") == 0);
}

static void
the_loser_is_told_why(void)
{
    struct market market = {.count = 0};
    const struct fi_info *best;

    best = &offer_add(&market, "tcp;ofi_rxm", "eth0", "10.0.0.1")->info;
    (void)offer_add(&market, "tcp;ofi_rxm", "lo", "127.0.0.1");
    (void)offer_add(&market, "tcp;ofi_rxm", "eth0", "fe80::1");
    (void)offer_add(&market, "net", "eth0", "10.0.0.1");
    (void)offer_add(&market, "tcp;ofi_rxm", "eth1", "10.0.1.1");
    CHECK(chi_ofi_choose(best, &no_wish) == best);
    CHECK(strstr(chi_ofi_why_not(&market.offers[1].info, best), "host"));
    CHECK(strstr(chi_ofi_why_not(&market.offers[2].info, best), "link"));
    CHECK(strstr(chi_ofi_why_not(&market.offers[3].info, best), "provider"));
    CHECK(strstr(chi_ofi_why_not(&market.offers[4].info, best), "address"));
}

static void
wishes_are_followed(void)
{
    static const struct chi_ofi_wish tcp = {"tcp", ""};
    static const struct chi_ofi_wish rxm = {"ofi_rxm", ""};
    static const struct chi_ofi_wish net = {"net", ""};
    static const struct chi_ofi_wish part = {"tc", ""};
    static const struct chi_ofi_wish none = {"efa", ""};
    static const struct chi_ofi_wish eth1 = {"", "eth1"};
    static const struct chi_ofi_wish begin = {"", "10.77."};
    static const struct chi_ofi_wish loopback = {"tcp;ofi_rxm", "lo"};
    static const struct chi_ofi_wish absent = {"", "ib0"};
    struct market market = {.count = 0};

    (void)offer_add(&market, "cxi", "cxi0", NULL);
    (void)offer_add(&market, "tcp;ofi_rxm", "eth0", "10.0.0.1");
    (void)offer_add(&market, "tcp;ofi_rxm", "eth1", "10.77.0.1");
    (void)offer_add(&market, "tcp;ofi_rxm", "lo", "127.0.0.1");
    (void)offer_add(&market, "net;ofi_rxm", "eth0", "10.0.0.1");
    (void)offer_add(&market, "net", "eth0", "10.0.0.1");
    CHECK(strcmp(chosen_name(&market, &tcp), "tcp;ofi_rxm") == 0);
    CHECK(strcmp(chosen_name(&market, &rxm), "tcp;ofi_rxm") == 0);
    CHECK(strcmp(chosen_name(&market, &net), "net") == 0);
    CHECK(strcmp(chosen_name(&market, &part), "") == 0);
    CHECK(strcmp(chosen_name(&market, &none), "") == 0);
    CHECK(strcmp(chosen_address(&market, &eth1), "10.77.0.1") == 0);
    CHECK(strcmp(chosen_address(&market, &begin), "10.77.0.1") == 0);
    CHECK(strcmp(chosen_address(&market, &loopback), "127.0.0.1") == 0);
    CHECK(strcmp(chosen_name(&market, &absent), "") == 0);
}

static void
what_is_not_asked_for_is_not_taken(void)
{
    static const struct chi_ofi_wish shm = {"shm", "eth0"};
    static const struct chi_ofi_wish other = {"newest", ""};
    struct chi_ofi_plan plan;
    struct market market = {.count = 0};

    (void)offer_add(&market, "shm", "shm", NULL);
    (void)offer_add(&market, "newest", "eth0", "10.0.0.1");
    CHECK(strcmp(chosen_name(&market, &no_wish), "") == 0);
    CHECK_EQ(chi_ofi_judge(&market.offers[0].info, &no_wish),
             CHI_OFI_NODE_ONLY);
    CHECK_EQ(chi_ofi_judge(&market.offers[1].info, &no_wish), CHI_OFI_UNKNOWN);
    CHECK(strcmp(chosen_name(&market, &shm), "shm") == 0);
    chi_ofi_plan_init(&market.offers[0].info, 0, NULL, &plan);
    CHECK(plan.node_only && !plan.loopback);
    CHECK(strcmp(chosen_name(&market, &other), "newest") == 0);
}

static void
what_cannot_be_used_is_refused(void)
{
    struct market market = {.count = 0};
    struct offer *offer = offer_add(&market, "tcp", "eth0", "10.0.0.1");

    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_FITS);
    offer->ep.type = FI_EP_MSG;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_NOT_RDM);
    offer->ep.type = FI_EP_RDM;
    offer->info.caps &= ~FI_MSG;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_NO_MESSAGES);
    offer->info.caps |= FI_MSG;
    offer->info.mode = CHI_OFI_MODES;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_FITS);
    offer->rx.mode = UINT64_C(1) << 50; /* none that there is */
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_STRANGE_MODE);
    offer->rx.mode = 0;
    offer->domain.mr_mode = CHI_OFI_MR_MODES;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_FITS);
    offer->domain.mr_mode |= FI_MR_COLLECTIVE;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_STRANGE_MR_MODE);
    offer->domain.mr_mode = 0;
    offer->ep.max_msg_size = 1000;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_TOO_SMALL);
    offer->ep.max_msg_size = 4096;
    offer->domain.resource_mgmt = FI_RM_DISABLED;
    CHECK_EQ(chi_ofi_judge(&offer->info, &no_wish), CHI_OFI_NO_FLOW_CONTROL);
    for (int i = CHI_OFI_FITS; i <= CHI_OFI_TRUSTING; i++) {
        CHECK(strcmp(chi_ofi_verdict_text((enum chi_ofi_verdict)i),
                     "unknown") != 0);
    }
}

static void
a_plan_for_sockets(void)
{
    struct market market = {.count = 0};
    struct offer *offer = offer_add(&market, "net", "eth0", "10.0.0.1");
    struct chi_ofi_plan plan;

    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.eager_bytes > 60000 && plan.eager_bytes <= 65536);
    CHECK_EQ(plan.inject_bytes, 64);
    CHECK_EQ(plan.prefix_bytes, 0);
    CHECK(!plan.bounce && !plan.local_mr && !plan.touch);
    CHECK(plan.multi_recv && plan.rma);
    CHECK(!plan.endpoint_mr && !plan.provider_keys && !plan.raw_keys &&
          !plan.virtual_addresses && !plan.node_only && !plan.loopback);
    /* Many messages in a buffer need completions in order. */
    offer->rx.comp_order = 0;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.multi_recv);
    offer->rx.comp_order = CHI_OFI_ORDER_STRICT;
    offer->info.caps &= ~FI_MULTI_RECV;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.multi_recv);
    CHECK(!plan.tagged);
}

/* Tagged where that is cheaper, if the provider can; then each in a buffer
 * of its own. */
static void
a_plan_for_tags(void)
{
    struct market market = {.count = 0};
    struct offer *offer =
        offer_add(&market, "tcp;ofi_rxm", "eth0", "10.0.0.1");
    struct chi_ofi_plan plan;

    offer->rx.comp_order = 0;
    offer->info.caps |= FI_TAGGED;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.tagged && !plan.multi_recv);
    offer->info.caps &= ~FI_TAGGED;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.tagged);
    offer->info.caps |= FI_TAGGED;
    offer->rx.comp_order = CHI_OFI_ORDER_STRICT;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.tagged != plan.multi_recv);
}

static void
a_plan_for_each_registration_mode(void)
{
    struct market market = {.count = 0};
    struct offer *offer = offer_add(&market, "verbs;ofi_rxm", "mlx5_0", NULL);
    struct chi_ofi_plan plan;

    offer->domain.mr_mode = FI_MR_LOCAL;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.local_mr && plan.bounce && !plan.touch);
    CHECK(plan.eager_bytes > 15000 && plan.eager_bytes <= 16384);
    offer->domain.mr_mode = FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.virtual_addresses && plan.touch && plan.provider_keys);
    CHECK(!plan.local_mr && !plan.bounce);
    offer->domain.mr_mode = FI_MR_MMU_NOTIFY;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.touch && plan.rma);
    offer->domain.mr_mode = FI_MR_ENDPOINT;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.endpoint_mr && !plan.touch);
    /* Small keys must not be exceeded; large ones need FI_MR_RAW. */
    offer->domain.mr_key_size = 2;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK_EQ(plan.key_max, 65535);
    CHECK(plan.rma);
    offer->domain.mr_key_size = 16;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.rma);
    offer->domain.mr_mode = FI_MR_RAW;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(plan.rma && plan.raw_keys);
    offer->domain.mr_key_size = CHI_OFI_RAW_KEY_BYTES_MAX + 1;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.rma);
}

static void
a_plan_for_limits_and_modes(void)
{
    static const struct chi_ofi_force force = {.no_rma = true,
                                               .chunk_bytes = 100};
    struct market market = {.count = 0};
    struct offer *offer = offer_add(&market, "efa", "efa0", NULL);
    struct chi_ofi_plan plan;

    offer->info.mode = FI_MSG_PREFIX;
    offer->ep.msg_prefix_size = 40;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK_EQ(plan.prefix_bytes, 40);
    CHECK(plan.bounce && !plan.multi_recv);
    offer->info.mode = FI_CONTEXT2 | FI_ASYNC_IOV | FI_RX_CQ_DATA;
    offer->tx.iov_limit = 1;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK_EQ(plan.prefix_bytes, 0);
    CHECK(plan.bounce && plan.multi_recv);
    offer->tx.iov_limit = 2;
    offer->ep.max_msg_size = 8192;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.bounce);
    CHECK_EQ(plan.eager_bytes, 8192 - CHI_OFI_HEADER_BYTES);
    CHECK_EQ(plan.chunk_bytes, 8192);
    /* What the user sets is kept within what is possible. */
    chi_ofi_plan_init(&offer->info, 2000, NULL, &plan);
    CHECK_EQ(plan.eager_bytes, 2000);
    chi_ofi_plan_init(&offer->info, 1, NULL, &plan);
    CHECK_EQ(plan.eager_bytes, CHI_OFI_EAGER_BYTES_MIN);
    chi_ofi_plan_init(&offer->info, 1 << 30, NULL, &plan);
    CHECK_EQ(plan.eager_bytes, 8192 - CHI_OFI_HEADER_BYTES);
    /* Reading needs both directions of it. */
    offer->info.caps &= ~FI_REMOTE_READ;
    chi_ofi_plan_init(&offer->info, 0, NULL, &plan);
    CHECK(!plan.rma);
    offer->info.caps |= FI_REMOTE_READ;
    chi_ofi_plan_init(&offer->info, 0, &force, &plan);
    CHECK(!plan.rma);
    CHECK_EQ(plan.chunk_bytes, 100);
}

static void
names_are_listed_once(void)
{
    struct market market = {.count = 0};
    char text[64];

    (void)offer_add(&market, "tcp", "eth0", "10.0.0.1");
    (void)offer_add(&market, "tcp", "lo", "127.0.0.1");
    (void)offer_add(&market, "shm", "shm", NULL);
    chi_ofi_provider_names(&market.offers[0].info, text, sizeof(text));
    CHECK(strcmp(text, "tcp, shm") == 0);
    chi_ofi_provider_names(&market.offers[0].info, text, 5);
    CHECK(strlen(text) < 5);
    chi_ofi_provider_names(NULL, text, sizeof(text));
    CHECK(strcmp(text, "") == 0);
}

TAP_MAIN(TAP_CASE(providers_are_taken_in_order_of_preference),
         TAP_CASE(who_believes_strangers_must_be_asked_for),
         TAP_CASE(nothing_offered_is_nothing_chosen),
         TAP_CASE(addresses_that_others_reach_come_first),
         TAP_CASE(the_loser_is_told_why), TAP_CASE(wishes_are_followed),
         TAP_CASE(what_is_not_asked_for_is_not_taken),
         TAP_CASE(what_cannot_be_used_is_refused),
         TAP_CASE(a_plan_for_sockets), TAP_CASE(a_plan_for_tags),
         TAP_CASE(a_plan_for_each_registration_mode),
         TAP_CASE(a_plan_for_limits_and_modes),
         TAP_CASE(names_are_listed_once))
