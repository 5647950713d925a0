/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * secret.c - a small job that tells its own secret, for a test that looks
 * whether anything else does.
 *
 * Each PE prints the job's key, in numbers of both bases and of both orders of
 * bytes, then what anybody of the machine can see of its process; PE 0 ends
 * the job when all have. The PEs share a pipe: each writes whole lines.
 */
#include "config.h"

#include <byteswap.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <chare.h>

#include "rt/runtime.h"

struct job {
    uint32_t type;
    uint32_t function_told;
    unsigned char object; /* what every chare here is */
};

static void
key_print(uint64_t key)
{
    printf("key %" PRIu64 "\nkey %" PRIx64 "\n", key, key);
}

static chare_status
teller_create(const chare_call *call, void *context, void **object_out)
{
    struct job *job = context;
    const uint64_t key = call->runtime->job_key;
    const int64_t one = 1;
    const chare_callback told =
        chare_callback_function(job->function_told, 0, 0);

    key_print(key);
    key_print(bswap_64(key));
    for (char **variable = environ; *variable != NULL; variable++) {
        printf("seen %s\n", *variable);
    }
    (void)fflush(stdout);
    *object_out = &job->object;
    return chare_contribute_array(call->runtime, call->self, CHARE_REDUCE_SUM,
                                  CHARE_DTYPE_I64, &one, 1, &told);
}

static void
all_told(const chare_call *call, void *context)
{
    (void)context;
    chare_exit(call->runtime, 0);
}

int
main(void)
{
    struct job job = {.object = 0};
    const chare_type_ops ops = {
        .size = sizeof(ops), .name = "Teller", .create = teller_create};
    chare_collection group;
    chare_runtime *rt;
    chare_status status;

    if (setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        return 2;
    }
    if (chare_open(NULL, &rt) != CHARE_OK) {
        return 2;
    }
    status = chare_type_register(rt, &ops, &job, &job.type);
    if (status == CHARE_OK) {
        status = chare_function_register(rt, "told", all_told, &job,
                                         &job.function_told);
    }
    if (status == CHARE_OK) {
        status = chare_start(rt);
    }
    if (status == CHARE_OK && chare_my_pe(rt) == 0) {
        status = chare_group_create(rt, job.type, NULL, NULL, &group);
    }
    if (status == CHARE_OK) {
        status = chare_run(rt);
    }
    chare_close(rt);
    return status == CHARE_OK ? 0 : 2;
}
