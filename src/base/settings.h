/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_SETTINGS_H
#define CHI_BASE_SETTINGS_H

/*
 * settings.h - what a user can set by environment variables.
 *
 * settings.def is the list; reading it is the only use of getenv() for
 * settings. Values are read once, when a runtime is opened.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chare.h>

enum {
    CHI_SETTING_TEXT_MAX = 256
}; /* with the final NUL */

struct chi_settings {
#define SETTING_text       char
#define SETTING_choice     char
#define SETTING_size       uint64_t
#define SETTING_u64        uint64_t
#define SETTING_sec        uint64_t
#define SETTING_DIM_text   [CHI_SETTING_TEXT_MAX]
#define SETTING_DIM_choice [CHI_SETTING_TEXT_MAX]
#define SETTING_DIM_size
#define SETTING_DIM_u64
#define SETTING_DIM_sec
#define SETTING(kind, field, variable, preset, help) \
    SETTING_##kind field SETTING_DIM_##kind;
#include "base/settings.def"
#undef SETTING
#undef SETTING_text
#undef SETTING_choice
#undef SETTING_size
#undef SETTING_u64
#undef SETTING_sec
#undef SETTING_DIM_text
#undef SETTING_DIM_choice
#undef SETTING_DIM_size
#undef SETTING_DIM_u64
#undef SETTING_DIM_sec
};

/* One setting as 'chare info' shows it. */
struct chi_setting_info {
    const char *variable;
    const char *preset; /* the default, as text */
    const char *value;  /* from the environment; NULL: not set */
    const char *help;
};

/*
 * Read all settings. A value that makes no sense is an error whose text, with
 * the variable's name and what it may be, goes to 'error_out' (error_room
 * bytes). Errors: CHARE_ERR_INVALID.
 */
CHARE_MUST_CHECK chare_status chi_settings_read(struct chi_settings *out,
                                                char *error_out,
                                                size_t error_room);

/* The index-th setting; false past the last. */
bool chi_settings_info(size_t index, struct chi_setting_info *out);

/*
 * The next environment variable that begins like a setting and is none; false:
 * there is no more. *cursor_inout is 0 at first. *nearest_out is the setting
 * whose name, or what one may think is its name, is most like it; NULL: none.
 */
bool chi_settings_unknown(size_t *cursor_inout,
                          char name_out[CHI_SETTING_TEXT_MAX],
                          const char **nearest_out);

#endif /* CHI_BASE_SETTINGS_H */
