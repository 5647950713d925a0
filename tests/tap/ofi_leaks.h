/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHARE_TESTS_TAP_OFI_LEAKS_H
#define CHARE_TESTS_TAP_OFI_LEAKS_H

/*
 * ofi_leaks.h - tells the leak sanitizer what is libfabric's own; for one
 * file of each program.
 */

/* libfabric loses some memory of connections that end before they begin. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
    return "leak:libfabric.so";
}

#endif /* CHARE_TESTS_TAP_OFI_LEAKS_H */
