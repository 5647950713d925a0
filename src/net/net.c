/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net.c - the checked calls into a provider.
 *
 * The asserts here pair with those inside each provider, so that a broken
 * rule is caught on whichever side it is first visible.
 */
#include "config.h"

#include "net/net.h"

#include "base/check.h"
#include "msg/msg.h"

chare_status
chi_net_open(const struct chi_net_ops *ops,
             const struct chi_net_options *options,
             const struct chi_net_sink *sink, struct chi_net **net_out)
{
    struct chi_net *net = NULL;
    chare_status status;

    chi_assert(ops->abi == CHI_NET_ABI);
    chi_assert((ops->nap == NULL) == (ops->nap_begin == NULL));
    chi_assert((ops->nap == NULL) == (ops->ready == NULL));
    chi_assert((ops->nap == NULL) == (ops->nudge == NULL));
    chi_assert(sink->arrived != NULL);
    chi_assert(sink->peer_lost != NULL);
    chi_assert(sink->got != NULL);
    chi_assert(options->rank < options->size);

    status = ops->open(options, sink, &net);
    if (status != CHARE_OK) {
        return status;
    }
    chi_assert(net != NULL);
    chi_assert(net->ops == ops);
    *net_out = net;
    return CHARE_OK;
}

void
chi_net_close(struct chi_net *net)
{
    if (net != NULL) {
        net->ops->close(net);
    }
}

void
chi_net_limits(const struct chi_net *net, struct chi_net_limits *out)
{
    net->ops->limits(net, out);
    chi_assert(out->eager_bytes >= 1024);
}

chare_status
chi_net_address(struct chi_net *net, void *out, size_t *len_inout)
{
    const size_t room = *len_inout;
    chare_status status;

    status = net->ops->address(net, out, len_inout);
    chi_assert(status != CHARE_OK || *len_inout <= room);
    return status;
}

chare_status
chi_net_connect(struct chi_net *net, uint64_t job_key,
                const struct chi_net_peer *peers, uint32_t peer_count)
{
    for (uint32_t i = 0; i < peer_count; i++) {
        chi_assert(peers[i].rank < net->options.size);
        chi_assert(peers[i].len > 0);
    }
    return net->ops->connect(net, job_key, peers, peer_count);
}

chare_status
chi_net_send(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    chi_assert(msg->payload_ops == NULL); /* encoded */
    chi_assert(rank < net->options.size);
    return net->ops->send(net, rank, msg);
}

uint32_t
chi_net_progress(struct chi_net *net, uint32_t events_max)
{
    uint32_t events;

    chi_assert(events_max > 0);
    events = net->ops->progress(net, events_max);
    chi_assert(events <= events_max);
    return events;
}

bool
chi_net_drained(const struct chi_net *net)
{
    return net->ops->drained(net);
}

int
chi_net_wait_fd(const struct chi_net *net)
{
    return net->ops->wait_fd(net);
}

chare_status
chi_net_wait_begin(struct chi_net *net)
{
    return net->ops->wait_begin(net);
}

void
chi_net_wait_end(struct chi_net *net)
{
    net->ops->wait_end(net);
}

bool
chi_net_can_nap(const struct chi_net *net)
{
    return net->ops->nap != NULL;
}

bool
chi_net_ready(const struct chi_net *net)
{
    return net->ops->ready(net);
}

chare_status
chi_net_nap_begin(struct chi_net *net)
{
    return net->ops->nap_begin(net);
}

chare_status
chi_net_nap(struct chi_net *net, uint64_t timeout_ns)
{
    return net->ops->nap(net, timeout_ns);
}

void
chi_net_nudge(struct chi_net *net)
{
    net->ops->nudge(net);
}

chare_status
chi_net_expose(struct chi_net *net, const void *bytes, uint64_t len,
               void *key_out, size_t *key_len_inout, uint64_t *handle_out)
{
    chare_status status =
        net->ops->expose(net, bytes, len, key_out, key_len_inout, handle_out);

    chi_assert(status != CHARE_OK ||
               *key_len_inout <= CHI_NET_RMA_KEY_BYTES_MAX);
    return status;
}

void
chi_net_unexpose(struct chi_net *net, uint64_t handle)
{
    net->ops->unexpose(net, handle);
}

chare_status
chi_net_get(struct chi_net *net, uint32_t rank, const void *key,
            size_t key_len, uint64_t offset, void *into, uint64_t len,
            uint64_t token)
{
    chi_assert(len > 0);
    return net->ops->get(net, rank, key, key_len, offset, into, len, token);
}

chare_status
chi_net_hand_over(struct chi_net *net, uint32_t rank, struct chi_msg *msg)
{
    if (net->ops->hand_over == NULL) {
        return CHARE_ERR_TOO_LARGE;
    }
    chi_assert(msg->payload_ops == NULL); /* encoded */
    chi_assert(rank < net->options.size);
    return net->ops->hand_over(net, rank, msg);
}

struct chi_msg *
chi_net_take_over(struct chi_net *net, uint32_t rank, struct chi_msg *block)
{
    chi_assert(block->env.handler == CHI_HANDLER_BLOCK);
    if (net->ops->take_over == NULL) {
        chi_msg_release(block);
        return NULL;
    }
    return net->ops->take_over(net, rank, block);
}
