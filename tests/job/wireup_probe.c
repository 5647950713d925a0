/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wireup_probe.c - one process of a job: wires up, and says how it went.
 *
 * The job tests start it by 'chare run' and by srun. Options (R: a rank, or
 * "all") make ranks misbehave:
 *   --blob BYTES         size of the blob (default 64)
 *   --absent R           never open the wire-up, sleep
 *   --leave R CODE       exit with CODE before the wire-up is opened
 *   --leave-open R CODE  exit with CODE between open and exchange
 *   --kill R             SIGKILL itself between open and exchange
 *   --kill-late R        SIGKILL itself after the exchange; others sleep
 *   --abort R CODE       abort after the exchange; others sleep
 *   --witness R X SIGNAL rank R aborts because X is gone; X dies later by
 *                        SIGNAL, or exits with 0 (SIGNAL 0), or not (-1)
 *   --twice              open and exchange a second time
 *   --sleep SECONDS      after the exchange
 * A failed exchange aborts the job, as the runtime does.
 * Prints "rank R size N host H launcher L job J", then "ok" or "bad".
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pmix/client.h"
#include "wireup/local.h"

enum {
    LONG_SLEEP_S = 30,
    WITNESS_NS = 500000000 /* from a report of a death to the death */
};

struct plan {
    size_t blob_bytes;
    const char *what; /* the option that makes 'who' misbehave, or "" */
    const char *who;
    const char *victim;
    int code;
    bool twice;
    unsigned sleep_s;
};

static struct plan
plan_of(int argc, char **argv)
{
    struct plan plan = {.blob_bytes = 64, .what = "", .who = ""};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--twice") == 0) {
            plan.twice = true;
        } else if (strcmp(argv[i], "--blob") == 0) {
            plan.blob_bytes = (size_t)atol(argv[++i]);
        } else if (strcmp(argv[i], "--sleep") == 0) {
            plan.sleep_s = (unsigned)atoi(argv[++i]);
        } else {
            plan.what = argv[i];
            plan.who = argv[++i];
            if (strncmp(plan.what, "--leave", 7) == 0 ||
                strcmp(plan.what, "--abort") == 0) {
                plan.code = atoi(argv[++i]);
            } else if (strcmp(plan.what, "--witness") == 0) {
                plan.victim = argv[++i];
                plan.code = atoi(argv[++i]);
            }
        }
    }
    return plan;
}

/* Is this rank the one that does 'what'? */
static bool
mine(const struct plan *plan, const char *what, const char *rank)
{
    return strcmp(plan->what, what) == 0 && rank != NULL &&
           (strcmp(plan->who, "all") == 0 || strcmp(plan->who, rank) == 0);
}

static unsigned char
blob_byte(uint32_t rank, size_t i)
{
    return (unsigned char)(rank * 31 + i);
}

static bool
table_good(const struct chi_wireup_table *table, size_t blob_bytes)
{
    for (uint32_t rank = 0; rank < table->count; rank++) {
        size_t len;
        const unsigned char *blob = chi_wireup_blob(table, rank, &len);

        if (len != blob_bytes + rank) {
            return false;
        }
        for (size_t i = 0; i < len; i++) {
            if (blob[i] != blob_byte(rank, i)) {
                return false;
            }
        }
    }
    return true;
}

/* Ranks' blobs differ in length, too. */
static chare_status
exchange(struct chi_wireup *wireup, size_t blob_bytes)
{
    size_t len = blob_bytes + wireup->rank;
    unsigned char *blob = malloc(len);
    struct chi_wireup_table table;
    chare_status status = CHARE_ERR_NO_MEMORY;

    for (size_t i = 0; blob != NULL && i < len; i++) {
        blob[i] = blob_byte(wireup->rank, i);
    }
    if (blob != NULL) {
        status = chi_wireup_exchange(wireup, blob, len, &table);
    }
    free(blob);
    if (status == CHARE_OK && !table_good(&table, blob_bytes)) {
        status = CHARE_ERR_FORMAT;
    }
    return status;
}

/* A victim that hears SIGTERM has been too slow: the job is decided. */
static void
die_late(int signal)
{
    const struct timespec delay = {.tv_nsec = WITNESS_NS};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (signal >= 0 && sigtimedwait(&set, NULL, &delay) == SIGTERM) {
        _exit(0);
    }
    if (signal > 0) {
        raise(signal);
    }
    if (signal == 0) {
        _exit(0);
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sleep(LONG_SLEEP_S);
}

static void
witness(const struct plan *plan, struct chi_wireup *wireup, const char *rank)
{
    char text[64];

    if (strcmp(plan->victim, rank) == 0) {
        die_late(plan->code);
    } else if (strcmp(plan->who, rank) == 0) {
        snprintf(text, sizeof(text), CHI_WIREUP_LOST_FORMAT,
                 (unsigned)atoi(plan->victim));
        chi_wireup_abort(wireup, 1, text);
        _exit(1);
    } else {
        sleep(LONG_SLEEP_S);
    }
}

static void
misbehave_late(const struct plan *plan, struct chi_wireup *wireup,
               const char *rank)
{
    if (mine(plan, "--kill-late", rank)) {
        raise(SIGKILL);
    }
    if (strcmp(plan->what, "--witness") == 0) {
        witness(plan, wireup, rank);
    }
    if (mine(plan, "--abort", rank)) {
        chi_wireup_abort(wireup, plan->code, "as told");
        _exit(plan->code);
    }
    if (strcmp(plan->what, "--kill-late") == 0 ||
        strcmp(plan->what, "--abort") == 0) {
        sleep(plan->sleep_s > 0 ? plan->sleep_s : LONG_SLEEP_S);
    }
}

static int
run(const struct plan *plan, const struct chi_wireup_options *options)
{
    struct chi_wireup *wireup = NULL;
    char rank[16];
    chare_status status;

    status = chi_wireup_open(&chi_wireup_pmix_ops, options, &wireup);
    if (status == CHARE_ERR_NOT_FOUND) {
        status = chi_wireup_open(&chi_wireup_local_ops, options, &wireup);
    }
    if (status != CHARE_OK) {
        printf("open: %s\n", chare_status_name(status));
        return 1;
    }
    snprintf(rank, sizeof(rank), "%u", wireup->rank);
    printf("rank %u size %u host %s launcher %s job %s\n", wireup->rank,
           wireup->size, wireup->host, wireup->launcher, wireup->job);
    fflush(stdout);
    if (mine(plan, "--leave-open", rank)) {
        exit(plan->code);
    }
    if (mine(plan, "--kill", rank)) {
        raise(SIGKILL);
    }
    status = exchange(wireup, plan->blob_bytes);
    printf("%s\n", status == CHARE_OK ? "ok" : chare_status_name(status));
    fflush(stdout);
    if (status == CHARE_OK) {
        misbehave_late(plan, wireup, rank);
    } else {
        chi_wireup_abort(wireup, 1, "no wire-up");
    }
    chi_wireup_close(wireup);
    return status == CHARE_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
    struct plan plan = plan_of(argc, argv);
    struct chi_settings settings;
    struct chi_log log = CHI_LOG_INIT;
    struct chi_wireup_options options = {.log = &log, .settings = &settings};
    const char *rank = getenv("PMIX_RANK");
    char error[256];
    int code;

    if (chi_settings_read(&settings, error, sizeof(error)) != CHARE_OK) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    (void)chi_log_level_parse(settings.log_level, &log.level);
    if (mine(&plan, "--absent", rank)) {
        sleep(LONG_SLEEP_S);
        return 0;
    }
    if (mine(&plan, "--leave", rank)) {
        return plan.code;
    }
    code = run(&plan, &options);
    if (code == 0 && plan.twice) {
        code = run(&plan, &options);
    }
    sleep(plan.sleep_s);
    return code;
}
