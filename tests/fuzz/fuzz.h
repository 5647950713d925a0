/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

/*
 * fuzz.h - what a fuzz target and what runs it have in common.
 *
 * A target is linked with driver.c for a short run in 'make check', or with
 * clang's libFuzzer for a long one by 'make fuzz'. It aborts when a property
 * does not hold; memory errors are the sanitizers' to find.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : abort())

/*
 * A copy that is 16-byte aligned, as bytes of messages are, and ends where its
 * block ends. To be freed.
 */
static inline uint8_t *
fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    FUZZ_CHECK(copy != NULL && (uintptr_t)copy % 16 == 0);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

#endif /* TESTS_FUZZ_H */
