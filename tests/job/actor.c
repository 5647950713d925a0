/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * actor.c - a small job in C, for tests that need one to start, end or break.
 *
 * actor hello        all PEs are reached and counted; PE 0 says so
 * actor tree         each PE says its place in the spanning tree from PE 0
 * actor exit CODE    PE 0 ends the job with CODE
 * actor die RANK     that PE is killed by a signal when all have met
 * actor spin         runs until someone ends it; PE 0 says when it began
 *
 * It uses the public header only.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chare.h>

/* How often a spinning job does something. */
static const uint64_t spin_ns = 5000000;

struct job {
    const char *mode;
    uint32_t argument;
    uint32_t type;
    uint32_t entry_meet;
    uint32_t entry_spin;
    uint32_t function_met;
    chare_collection group;
    chare_runtime *runtime;
    unsigned char object; /* what every chare here is */
};

/* A failure of the runtime to do what was asked ends the job. */
static void
must(struct job *job, const char *what, chare_status status)
{
    char text[200];

    if (status != CHARE_OK) {
        snprintf(text, sizeof(text), "actor: %s: %s", what,
                 chare_status_text(status));
        chare_abort(job->runtime, 1, text);
    }
}

static chare_status
actor_create(const chare_call *call, void *context, void **object_out)
{
    struct job *job = (struct job *)context;

    (void)call;
    *object_out = &job->object;
    return CHARE_OK;
}

static void
tree_print(const struct job *job)
{
    const uint32_t pe = chare_my_pe(job->runtime);
    const char *address = getenv("SLURM_TOPOLOGY_ADDR");
    uint32_t parent = 0;
    uint32_t count = 0;

    if (chare_tree_edges(job->runtime, 0, pe, &parent, NULL, 0, &count) ==
        CHARE_OK) {
        printf("tree pe %u parent %u children %u at %s\n", pe, parent, count,
               address != NULL ? address : "-");
        fflush(stdout);
    }
}

/* Every PE is here once, when all exist. */
static void
actor_meet(void *object, const chare_call *call, void *context)
{
    struct job *job = (struct job *)context;
    const uint32_t pe = chare_my_pe(call->runtime);
    const int64_t one = 1;
    chare_callback met = chare_callback_function(job->function_met, 0, 0);

    (void)object;
    job->group = call->self->collection;
    if (strcmp(job->mode, "tree") == 0) {
        tree_print(job);
    }
    if (strcmp(job->mode, "die") == 0 && pe == job->argument) {
        raise(SIGKILL);
    }
    must(job, "contribute",
         chare_contribute_array(call->runtime, call->self, CHARE_REDUCE_SUM,
                                CHARE_DTYPE_I64, &one, 1, &met));
}

/* A message that goes round all PEs, one after the other, for ever. */
static void
spin_send(const chare_call *call, void *context)
{
    struct job *job = (struct job *)context;
    const uint32_t next =
        (chare_my_pe(call->runtime) + 1) % chare_pe_count(call->runtime);
    const chare_element target = chare_element_1d(job->group, next);

    must(job, "send",
         chare_send(call->runtime, &target, job->entry_spin, NULL, NULL));
}

static void
actor_spin(void *object, const chare_call *call, void *context)
{
    struct job *job = (struct job *)context;

    (void)object;
    must(job, "timer",
         chare_timer_start(call->runtime, spin_ns, spin_send, job, NULL));
}

/* On PE 0, when all have contributed. */
static void
actors_met(const chare_call *call, void *context)
{
    struct job *job = (struct job *)context;
    chare_decoder decoder;
    chare_value value;
    int64_t total = 0;

    chare_decoder_init(&decoder, call->bytes, call->len);
    must(job, "result", chare_get(&decoder, &value));
    if (value.tag == CHARE_TAG_ARRAY && value.as.array.len == sizeof(total)) {
        memcpy(&total, value.as.array.data, sizeof(total));
    }
    if (strcmp(job->mode, "spin") == 0) {
        printf("running\n");
        fflush(stdout);
        spin_send(call, job);
        return;
    }
    if (strcmp(job->mode, "die") == 0) {
        /* The dead one cannot have been counted. */
        chare_abort(call->runtime, 1, "actor: a dead PE contributed");
        return;
    }
    printf("hello from %lld of %u PEs on %u nodes\n", (long long)total,
           chare_pe_count(call->runtime), chare_node_count(call->runtime));
    fflush(stdout);
    chare_exit(call->runtime, (int)job->argument);
}

static void
job_register(struct job *job)
{
    const chare_type_ops ops = {
        .size = sizeof(ops), .name = "Actor", .create = actor_create};

    must(job, "type",
         chare_type_register(job->runtime, &ops, job, &job->type));
    must(job, "entry",
         chare_entry_register(job->runtime, job->type, "meet", actor_meet, job,
                              &job->entry_meet));
    must(job, "entry",
         chare_entry_register(job->runtime, job->type, "spin", actor_spin, job,
                              &job->entry_spin));
    must(job, "function",
         chare_function_register(job->runtime, "met", actors_met, job,
                                 &job->function_met));
}

static chare_status
job_run(struct job *job)
{
    chare_status status = chare_start(job->runtime);

    if (status != CHARE_OK) {
        return status;
    }
    if (chare_my_pe(job->runtime) == 0) {
        must(job, "group",
             chare_group_create(job->runtime, job->type, NULL, NULL,
                                &job->group));
        must(job, "broadcast",
             chare_broadcast(job->runtime, job->group, job->entry_meet, NULL,
                             NULL));
    }
    return chare_run(job->runtime);
}

int
main(int argc, char **argv)
{
    struct job job = {.mode = argc > 1 ? argv[1] : "hello"};
    chare_status status;
    int code;

    job.argument = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    status = chare_open(NULL, &job.runtime);
    if (status != CHARE_OK) {
        return 2;
    }
    job_register(&job);
    status = job_run(&job);
    code = chare_exit_code(job.runtime);
    chare_close(job.runtime);
    if (status != CHARE_OK && code == 0) {
        return 2;
    }
    return code;
}
