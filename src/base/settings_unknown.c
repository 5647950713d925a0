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

/* The setting of that name, or else the one most like it in *nearest_out. */
static bool
is_setting(const char *name, size_t len, const char **nearest_out)
{
    struct chi_setting_info info;
    size_t best = SIZE_MAX;

    for (size_t i = 0; chi_settings_info(i, &info); i++) {
        const size_t far =
            distance(name, len, info.variable, strlen(info.variable));

        if (far == 0) {
            return true;
        }
        if (far < best) {
            best = far;
            *nearest_out = info.variable;
        }
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
