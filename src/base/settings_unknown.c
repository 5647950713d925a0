/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings_unknown.c - variables that look like settings and are none.
 */
#include "config.h"

#include "base/settings.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"

extern char **environ;

enum {
    NAME_MAX_LEN = 64 /* of a setting; what is longer is like none */
};

static const char prefix[] = "CHARE_";

/* What the launcher, the tests and the batch scripts use among themselves;
 * those that end in '_' are the beginnings of names. */
static const char *const others[] = {
    "CHARE_LAUNCHER", "CHARE_NODE_SIZE", "CHARE_PYTHON",
    "CHARE_CHECK",    "CHARE_CHECK_",    "CHARE_TEST_",
    "CHARE_EDGES",    "CHARE_SOURCE",    "CHARE_IMPORTED_BY",
};

/* What somebody may think a setting is called. */
static const struct guess {
    const char *name;
    const char *variable;
} guesses[] = {
    {"CHARE_LB", "CHARE_BALANCER"},
    {"CHARE_LB_STRATEGY", "CHARE_BALANCER"},
    {"CHARE_LOAD_BALANCER", "CHARE_BALANCER"},
    {"CHARE_LOG_LEVEL", "CHARE_LOG"},
    {"CHARE_DEBUG", "CHARE_LOG"},
    {"CHARE_VERBOSE", "CHARE_LOG"},
    {"CHARE_PROFILING", "CHARE_STATS"},
    {"CHARE_TIMEOUT", "CHARE_START_TIMEOUT"},
    {"CHARE_DEADLOCK_TIMEOUT", "CHARE_DEADLOCK_S"},
};

static bool
is_other(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const size_t other = strlen(others[i]);

        if (strncmp(name, others[i], other) == 0 &&
            (len == other || others[i][other - 1] == '_')) {
            return true;
        }
    }
    return false;
}

/* How many letters to insert, remove or change to get from one to the other:
 * Levenshtein's, row by row. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[NAME_MAX_LEN + 1];

    chi_assert(b_len <= NAME_MAX_LEN);
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[b_len];
}

/* Take a name's variable for the nearest, if none was nearer. */
static void
take_nearer(const char *name, size_t len, const struct guess *guess,
            size_t *best_inout, const char **nearest_out)
{
    const size_t far = distance(name, len, guess->name, strlen(guess->name));

    if (far < *best_inout) {
        *best_inout = far;
        *nearest_out = guess->variable;
    }
}

/* The setting of that name, or else the one most like it in *nearest_out, or
 * NULL where half of the name would have to be another. */
static bool
is_setting(const char *name, size_t len, const char **nearest_out)
{
    const size_t own = len - (sizeof(prefix) - 1);
    struct chi_setting_info info;
    size_t best = own / 2 + 1;

    *nearest_out = NULL;
    for (size_t i = 0; chi_settings_info(i, &info); i++) {
        const struct guess itself = {info.variable, info.variable};

        take_nearer(name, len, &itself, &best, nearest_out);
        if (best == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
        take_nearer(name, len, &guesses[i], &best, nearest_out);
    }
    return false;
}

bool
chi_settings_unknown(size_t *cursor_inout, char name_out[CHI_SETTING_TEXT_MAX],
                     const char **nearest_out)
{
    while (environ != NULL && environ[*cursor_inout] != NULL) {
        const char *name = environ[(*cursor_inout)++];
        size_t len = strcspn(name, "=");

        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 ||
            is_other(name, len)) {
            continue;
        }
        if (!is_setting(name, len, nearest_out)) {
            len = len < CHI_SETTING_TEXT_MAX ? len : CHI_SETTING_TEXT_MAX - 1;
            memcpy(name_out, name, len);
            name_out[len] = '\0';
            return true;
        }
    }
    return false;
}
