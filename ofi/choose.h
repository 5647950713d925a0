/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_OFI_CHOOSE_H
#define CHI_OFI_CHOOSE_H

/*
 * choose.h - which of libfabric's offers is taken, and what follows from it.
 *
 * Pure functions over fi_info: nothing is called, so that offers of hardware
 * that is not here can be judged in tests.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

#include <rdma/fabric.h>

struct chi_ofi_force;

enum {
    CHI_OFI_HEADER_BYTES = 16, /* in front of each message, see state.h */
    CHI_OFI_EAGER_BYTES_MIN = 1024,
    CHI_OFI_EAGER_BYTES_MAX = 4 << 20,
    CHI_OFI_RAW_KEY_BYTES_MAX = 40,
    CHI_OFI_ADDRESS_TEXT_MAX = 80,
};

/* What we can live with; a provider that demands more is not taken. */
#define CHI_OFI_MODES \
    (FI_CONTEXT | FI_CONTEXT2 | FI_MSG_PREFIX | FI_ASYNC_IOV | FI_RX_CQ_DATA)
#define CHI_OFI_MR_MODES                                           \
    (FI_MR_LOCAL | FI_MR_RAW | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | \
     FI_MR_PROV_KEY | FI_MR_MMU_NOTIFY | FI_MR_RMA_EVENT | FI_MR_ENDPOINT)

/* Completions in the order of requests; the name that libfabric has for it is
 * deprecated since 2.0, the bits are what providers answer with. */
#define CHI_OFI_ORDER_STRICT UINT64_C(0x1ff)

/* Why an offer can or cannot be taken. */
enum chi_ofi_verdict {
    CHI_OFI_FITS,
    CHI_OFI_OTHER_PROVIDER,  /* another one was asked for */
    CHI_OFI_OTHER_INTERFACE, /* another one was asked for */
    CHI_OFI_NOT_RDM,
    CHI_OFI_NO_MESSAGES,
    CHI_OFI_STRANGE_MODE,
    CHI_OFI_STRANGE_MR_MODE,
    CHI_OFI_TOO_SMALL,
    CHI_OFI_NO_FLOW_CONTROL,
    CHI_OFI_NODE_ONLY, /* reaches this node only, and was not asked for */
    CHI_OFI_UNKNOWN,   /* a provider we know nothing of, and not asked for */
    CHI_OFI_TRUSTING,  /* believes strangers, and was not asked for */
};

/* What the user asked for; empty strings: nothing. */
struct chi_ofi_wish {
    const char *provider;
    const char *interface; /* name, or beginning of the address */
};

/* What an offer means for us. */
struct chi_ofi_plan {
    uint64_t eager_bytes;  /* largest wire length of a message */
    uint64_t inject_bytes; /* up to here the buffer is free at once */
    uint64_t chunk_bytes;  /* of one read */
    size_t prefix_bytes;   /* in front of each send and receive buffer */
    bool bounce;           /* send from own buffers, not from the message */
    bool local_mr;         /* local buffers are registered */
    bool multi_recv;
    bool tagged; /* messages have a tag, which nobody looks at */
    bool rma;
    bool touch;         /* pages must be there before registering */
    bool endpoint_mr;   /* regions are bound to the endpoint */
    bool provider_keys; /* it, and not we, chooses the keys of regions */
    bool raw_keys;
    bool virtual_addresses;
    uint64_t key_max; /* largest key that we may choose */
    bool node_only;   /* shared memory: all peers must be on this node */
    bool loopback;    /* all peers must be in this network namespace */
    bool trusting;    /* what strangers write may be taken for messages */
    bool sticky_fd;   /* see wait.c */
};

enum chi_ofi_verdict chi_ofi_judge(const struct fi_info *info,
                                   const struct chi_ofi_wish *wish);
const char *chi_ofi_verdict_text(enum chi_ofi_verdict verdict);

/* The best offer that fits, or NULL. Of equals the first is taken. */
const struct fi_info *chi_ofi_choose(const struct fi_info *list,
                                     const struct chi_ofi_wish *wish);

/* Why an offer that fits was not chosen, 'chosen' being another one. */
const char *chi_ofi_why_not(const struct fi_info *info,
                            const struct fi_info *chosen);

/* 'eager_bytes' 0: what suits; 'force' may be NULL. */
void chi_ofi_plan_init(const struct fi_info *info, uint64_t eager_bytes,
                       const struct chi_ofi_force *force,
                       struct chi_ofi_plan *out);

/* The address as people write it, without the port. */
void chi_ofi_address_text(const struct fi_info *info, char *out, size_t room);

/* The names of all providers in the list, each once, with commas. */
void chi_ofi_provider_names(const struct fi_info *list, char *out,
                            size_t room);

#endif /* CHI_OFI_CHOOSE_H */
