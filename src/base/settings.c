/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.c - environment variables to struct chi_settings.
 */
#include "config.h"

#include "base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Each parser returns NULL, or what the value should have been. */

static const char *
parse_text(const char *text, char *field)
{
    if (strlen(text) >= CHI_SETTING_TEXT_MAX) {
        return "a shorter text";
    }
    strcpy(field, text);
    return NULL;
}

static const char *
parse_choice(const char *text, char *field)
{
    return parse_text(text, field);
}

/* Digits only: strtoull() alone would take "-1" and " 1". */
static const char *
parse_digits(const char *text, uint64_t *out, const char **rest_out)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) {
        return "a whole number, not negative";
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno != 0) {
        return "a smaller number";
    }
    *rest_out = end;
    return NULL;
}

static const char *
parse_u64(const char *text, uint64_t *field)
{
    const char *rest;
    const char *wanted = parse_digits(text, field, &rest);

    if (wanted == NULL && *rest != '\0') {
        wanted = "a whole number, not negative";
    }
    return wanted;
}

static const char *
parse_size(const char *text, uint64_t *field)
{
    const char *rest;
    const char *wanted = parse_digits(text, field, &rest);
    unsigned shift = 0;

    if (wanted != NULL) {
        return wanted;
    }
    switch (tolower((unsigned char)*rest)) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    case '\0':
        return NULL;
    default:
        return "a number of bytes, such as 65536, 64k, 1m or 2g";
    }
    if (rest[1] != '\0' || (*field << shift) >> shift != *field) {
        return "a number of bytes, such as 65536, 64k, 1m or 2g";
    }
    *field <<= shift;
    return NULL;
}

static const char *
parse_sec(const char *text, uint64_t *field)
{
    char *end;
    double sec;

    if (!isdigit((unsigned char)text[0]) && text[0] != '.') {
        return "a number of seconds, such as 10 or 0.5";
    }
    sec = strtod(text, &end);
    if (*end != '\0' || !(sec >= 0 && sec <= 1e9)) {
        return "a number of seconds, such as 10 or 0.5";
    }
    *field = (uint64_t)(sec * (double)CHI_NS_PER_SEC);
    return NULL;
}

chare_status
chi_settings_read(struct chi_settings *out, char *error_out, size_t error_room)
{
    const char *text;
    const char *wanted;

#define SETTING(kind, field, variable, preset, help)                          \
    text = getenv(variable);                                                  \
    wanted = parse_##kind(text != NULL ? text : preset,                       \
                          SETTING_REF_##kind out->field);                     \
    if (wanted != NULL) {                                                     \
        snprintf(error_out, error_room, "%s=%s: should be %s (%s)", variable, \
                 text, wanted, help);                                         \
        return CHARE_ERR_INVALID;                                             \
    }
#define SETTING_REF_text
#define SETTING_REF_choice
#define SETTING_REF_u64  &
#define SETTING_REF_size &
#define SETTING_REF_sec  &
#include "base/settings.def"
#undef SETTING
    return CHARE_OK;
}

bool
chi_settings_info(size_t index, struct chi_setting_info *out)
{
    static const struct chi_setting_info table[] = {
#define SETTING(kind, field, variable_, preset_, help_) \
    {.variable = variable_, .preset = preset_, .help = help_},
#include "base/settings.def"
#undef SETTING
    };

    if (index >= sizeof(table) / sizeof(table[0])) {
        return false;
    }
    *out = table[index];
    out->value = getenv(out->variable);
    return true;
}
