/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch_stub.c - nothing is watched until the watcher is there.
 */
#include "config.h"

#include "net/watch.h"
__attribute__((weak)) chare_status
chi_watch_open(const struct chi_watch_options *o, struct chi_watch **w)
{
    (void)o;
    *w = (void *)1;
    return 0;
}
__attribute__((weak)) chare_status
chi_watch_address(const struct chi_watch *w, void *out, size_t *l)
{
    (void)w;
    (void)out;
    *l = 1;
    return 0;
}
__attribute__((weak)) chare_status
chi_watch_start(struct chi_watch *w, uint64_t k, bool s, const void *a,
                size_t l)
{
    (void)w;
    (void)k;
    (void)s;
    (void)a;
    (void)l;
    return 0;
}
__attribute__((weak)) void
chi_watch_stop(struct chi_watch *w)
{
    (void)w;
}
__attribute__((weak)) uint64_t
chi_watch_foreign_dropped(const struct chi_watch *w)
{
    (void)w;
    return 0;
}
__attribute__((weak)) void
chi_watch_close(struct chi_watch *w)
{
    (void)w;
}
