/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic.c - a job that loads the net; its results are checked by itself.
 *
 *     traffic flood N BYTES   each PE sends N messages of so many bytes to the
 *                             next one, all from one entry method
 *     traffic big BYTES       PE 0 sends one message of so many bytes to PE 1,
 *                             and a small one behind it
 *     traffic idle SECONDS    nothing happens for so long
 *     traffic deaf N BYTES    PE 0 sends N messages to PE 1, which does not
 *                             take any for seconds
 *
 * Prints the largest resident set of each PE in KiB as "rss PE KIB", and the
 * processor time of its loop as "cpu PE MICROSECONDS".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chare.h>

struct job {
    const char *mode;
    uint64_t count;
    size_t bytes;
    uint32_t type;
    uint32_t start;
    uint32_t take;
    uint32_t done;
    chare_collection group;
    uint64_t taken;
    uint32_t finished; /* PEs that have all theirs; counted on PE 0 */
};

static void
check(chare_status status, const char *what)
{
    if (status != CHARE_OK) {
        fprintf(stderr, "traffic: %s: %s\n", what, chare_status_text(status));
        exit(1);
    }
}

static void
expect(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "traffic: wrong: %s\n", what);
        exit(1);
    }
}

static chare_status
create(const chare_call *call, void *context, void **object_out)
{
    struct job *job = context;

    job->group = call->self->collection;
    *object_out = job;
    return CHARE_OK;
}

/* Which bytes are filled and looked at: all, or some of very many. */
static size_t
stride(size_t bytes)
{
    return bytes < 1 << 24 ? 1 : 4093;
}

/* What the byte at 'i' of message 'number' must be. */
static unsigned char
pattern(uint64_t number, uint64_t i)
{
    return (unsigned char)(number * 31 + i * 7 + (i >> 16));
}

static void
send_one(chare_runtime *runtime, struct job *job, uint32_t pe, uint64_t number,
         size_t bytes)
{
    const chare_element to = chare_element_1d(job->group, pe);
    chare_buffer *buffer;
    chare_data data;
    unsigned char *at;

    check(chare_buffer_alloc(runtime, sizeof(number) + bytes, &buffer),
          "alloc");
    at = chare_buffer_bytes(buffer, NULL);
    memcpy(at, &number, sizeof(number));
    for (size_t i = 0; i < bytes; i += stride(bytes)) {
        at[sizeof(number) + i] = pattern(number, i);
    }
    data = chare_data_buffer(CHARE_FORMAT_BYTES, buffer);
    check(chare_send(runtime, &to, job->take, &data, NULL), "send");
}

/* Nothing has happened for long enough. */
static void
rested(const chare_call *call, void *context)
{
    (void)context;
    printf("all arrived\n");
    fflush(stdout);
    chare_exit(call->runtime, 0);
}

static int64_t
cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void
start(void *object, const chare_call *call, void *context)
{
    struct job *job = context;
    const uint32_t pe = chare_my_pe(call->runtime);
    const uint32_t next = (pe + 1) % chare_pe_count(call->runtime);

    (void)object;
    if (strcmp(job->mode, "flood") == 0) {
        for (uint64_t i = 0; i < job->count; i++) {
            send_one(call->runtime, job, next, i, job->bytes);
        }
    } else if (strcmp(job->mode, "deaf") == 0 && pe == 1) {
        sleep(5);
    } else if (pe == 0) {
        for (uint64_t i = 0; i < job->count; i++) {
            send_one(call->runtime, job, 1, i, job->bytes);
        }
        send_one(call->runtime, job, 1, job->count, 8);
    }
}

static void
take(void *object, const chare_call *call, void *context)
{
    struct job *job = context;
    const unsigned char *at = call->bytes;
    const bool flood = strcmp(job->mode, "flood") == 0;
    const uint64_t wanted = job->count + !flood;
    const size_t len = call->len - sizeof(uint64_t);
    const chare_callback done = chare_callback_function(job->done, 0, 0);
    uint64_t number;

    (void)object;
    memcpy(&number, at, sizeof(number));
    expect(number == job->taken, "the order");
    expect(len == (number == job->count ? 8 : job->bytes), "the length");
    for (size_t i = 0; i < len; i += stride(len)) {
        if (at[sizeof(number) + i] != pattern(number, i)) {
            expect(false, "the contents");
        }
    }
    if (++job->taken == wanted) {
        check(chare_callback_call(call->runtime, &done, NULL), "done");
    }
}

static void
done(const chare_call *call, void *context)
{
    struct job *job = context;
    const bool flood = strcmp(job->mode, "flood") == 0;

    job->finished++;
    if (job->finished == (flood ? chare_pe_count(call->runtime) : 1)) {
        printf("all arrived\n");
        fflush(stdout);
        chare_exit(call->runtime, 0);
    }
}

int
main(int argc, char **argv)
{
    const chare_type_ops ops = {
        .size = sizeof(ops),
        .name = "Traffic",
        .create = create,
    };
    struct job job = {.mode = argc > 1 ? argv[1] : "flood", .count = 1};
    struct rusage usage;
    chare_runtime *runtime;
    chare_collection group;
    chare_status status;
    int64_t before_us;
    int code;

    if (argc == 4) {
        job.count = strtoull(argv[2], NULL, 10);
    }
    job.bytes = argc > 2 ? strtoull(argv[argc - 1], NULL, 10) : 8;
    check(chare_open(NULL, &runtime), "open");
    check(chare_type_register(runtime, &ops, &job, &job.type), "type");
    check(chare_entry_register(runtime, job.type, "start", start, &job,
                               &job.start),
          "entry");
    check(
        chare_entry_register(runtime, job.type, "take", take, &job, &job.take),
        "entry");
    check(chare_function_register(runtime, "done", done, &job, &job.done),
          "function");
    check(chare_start(runtime), "start");
    if (strcmp(job.mode, "idle") == 0) {
        if (chare_my_pe(runtime) == 0) {
            check(chare_timer_start(runtime, job.bytes * 1000000000, rested,
                                    NULL, NULL),
                  "timer");
        }
    } else if (chare_my_pe(runtime) == 0) {
        check(chare_group_create(runtime, job.type, NULL, NULL, &group),
              "create");
        check(chare_broadcast(runtime, group, job.start, NULL, NULL),
              "broadcast");
    }
    before_us = cpu_us();
    status = chare_run(runtime);
    if (status != CHARE_OK) {
        fprintf(stderr, "traffic: %s\n", chare_status_text(status));
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("rss %" PRIu32 " %ld\n", chare_my_pe(runtime), usage.ru_maxrss);
    printf("cpu %" PRIu32 " %" PRId64 "\n", chare_my_pe(runtime),
           cpu_us() - before_us);
    code = chare_exit_code(runtime);
    chare_close(runtime);
    return code;
}
