/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_NET_ABSTRACT_H
#define CHI_NET_ABSTRACT_H

/*
 * abstract.h - names of UNIX sockets in the abstract namespace, where nothing
 * is left behind.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/check.h"

/* The name of the kind's socket with this nonce; returns its length. */
static inline socklen_t
chi_abstract_name(const char *kind, uint64_t nonce, struct sockaddr_un *out)
{
    int len;

    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    /* A NUL in front makes it one of the abstract namespace. */
    len = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "%s-%016llx",
                   kind, (unsigned long long)nonce);
    chi_assert(len > 0);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                       (size_t)len);
}

#endif /* CHI_NET_ABSTRACT_H */
