/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_settings.c - environment variables to settings.
 *
 * Goal: defaults hold when nothing is set, each kind of value is read as
 * documented, and a value that makes no sense is refused with the variable's
 * name in the text. Method: the environment is set, read and unset; tables of
 * good and bad texts for each kind.
 */
#include "config.h"

#include "base/settings.h"
#include "tap/tap.h"

static void
environment_clear(void)
{
    struct chi_setting_info info;

    for (size_t i = 0; chi_settings_info(i, &info); i++) {
        unsetenv(info.variable);
    }
}

static void
defaults_hold(void)
{
    struct chi_settings settings;
    char error[256] = "";

    environment_clear();
    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
    CHECK(error[0] == '\0');
    CHECK(strcmp(settings.log_level, "warn") == 0);
    CHECK(strcmp(settings.net, "auto") == 0);
    CHECK(settings.ofi_provider[0] == '\0');
    CHECK_EQ(settings.ring_bytes, 256 * 1024);
    CHECK_EQ(settings.queue_bytes, 1 << 30);
    CHECK_EQ(settings.start_timeout_ns, 60000000000ll);
    CHECK_EQ(settings.spin_ns, 50000);
    CHECK_EQ(settings.poll_ns, 5000);
    CHECK_EQ(settings.tree_fanout, 0);
}

struct example {
    const char *variable;
    const char *text;
    uint64_t value; /* of the field of that variable */
};

static uint64_t
field_of(const struct chi_settings *settings, const char *variable)
{
    return strcmp(variable, "CHARE_RING_BYTES") == 0 ? settings->ring_bytes
           : strcmp(variable, "CHARE_START_TIMEOUT") == 0
               ? settings->start_timeout_ns
               : settings->tree_fanout;
}

static void
good_texts(void)
{
    static const struct example examples[] = {
        {"CHARE_RING_BYTES", "0", 0},
        {"CHARE_RING_BYTES", "65536", 65536},
        {"CHARE_RING_BYTES", "64k", 65536},
        {"CHARE_RING_BYTES", "64K", 65536},
        {"CHARE_RING_BYTES", "3m", 3 << 20},
        {"CHARE_RING_BYTES", "2g", 2ull << 30},
        {"CHARE_RING_BYTES", "18446744073709551615", UINT64_MAX},
        {"CHARE_START_TIMEOUT", "10", 10000000000ull},
        {"CHARE_START_TIMEOUT", "0.5", 500000000},
        {"CHARE_START_TIMEOUT", ".25", 250000000},
        {"CHARE_START_TIMEOUT", "0", 0},
        {"CHARE_TREE_FANOUT", "007", 7},
    };

    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct chi_settings settings;
        char error[256] = "";

        environment_clear();
        setenv(examples[i].variable, examples[i].text, 1);
        CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
        CHECK_EQ(field_of(&settings, examples[i].variable), examples[i].value);
    }
    environment_clear();
}

static void
bad_texts(void)
{
    static const struct example examples[] = {
        {"CHARE_RING_BYTES", "", 0},
        {"CHARE_RING_BYTES", "-1", 0},
        {"CHARE_RING_BYTES", " 1", 0},
        {"CHARE_RING_BYTES", "1 ", 0},
        {"CHARE_RING_BYTES", "64kb", 0},
        {"CHARE_RING_BYTES", "64x", 0},
        {"CHARE_RING_BYTES", "18446744073709551616", 0},
        {"CHARE_RING_BYTES", "17179869184g", 0},
        {"CHARE_START_TIMEOUT", "", 0},
        {"CHARE_START_TIMEOUT", "-1", 0},
        {"CHARE_START_TIMEOUT", "ten", 0},
        {"CHARE_START_TIMEOUT", "inf", 0},
        {"CHARE_START_TIMEOUT", "nan", 0},
        {"CHARE_START_TIMEOUT", "1e99", 0},
        {"CHARE_START_TIMEOUT", "1s", 0},
        {"CHARE_TREE_FANOUT", "4k", 0},
        {"CHARE_TREE_FANOUT", "+4", 0},
    };

    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct chi_settings settings;
        char error[256] = "";
        char head[256];

        environment_clear();
        setenv(examples[i].variable, examples[i].text, 1);
        CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)),
                 CHARE_ERR_INVALID);
        snprintf(head, sizeof(head), "%s=%s: ", examples[i].variable,
                 examples[i].text);
        CHECK(strncmp(error, head, strlen(head)) == 0);
    }
    environment_clear();
}

static void
what_is_no_setting_is_told_with_the_nearest(void)
{
    static const char *const examples[][2] = {
        {"CHARE_QUEUE_BYTE", "CHARE_QUEUE_BYTES"},
        {"CHARE_OFI_PROVDER", "CHARE_OFI_PROVIDER"},
        {"CHARE_NETT", "CHARE_NET"},
        {"CHARE_TREE_FANUOT", "CHARE_TREE_FANOUT"},
        {"CHARE_LB_STRATGY", "CHARE_BALANCER"},
        {"CHARE_LOGLEVEL", "CHARE_LOG"},
        {"CHARE_COLOURS_OF_MY_PLOT", NULL},
        {"CHARE_", NULL},
    };
    char name[CHI_SETTING_TEXT_MAX];
    const char *nearest = NULL;
    size_t cursor = 0;

    environment_clear();
    setenv("CHARE_NET", "shm", 1);
    setenv("CHARE_LAUNCHER", "run", 1);
    setenv("CHARE_TEST_SEEDS", "3", 1);
    setenv("CHARM_LOG", "x", 1);
    CHECK(!chi_settings_unknown(&cursor, name, &nearest));
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        setenv(examples[i][0], "1", 1);
        cursor = 0;
        CHECK(chi_settings_unknown(&cursor, name, &nearest));
        CHECK(strcmp(name, examples[i][0]) == 0);
        if (examples[i][1] == NULL) {
            CHECK(nearest == NULL);
        } else {
            CHECK(nearest != NULL && strcmp(nearest, examples[i][1]) == 0);
        }
        CHECK(!chi_settings_unknown(&cursor, name, &nearest));
        unsetenv(examples[i][0]);
    }
    unsetenv("CHARE_LAUNCHER");
    unsetenv("CHARE_TEST_SEEDS");
    unsetenv("CHARM_LOG");
    environment_clear();
}

static void
texts_are_bounded(void)
{
    char text[CHI_SETTING_TEXT_MAX + 1];
    struct chi_settings settings;
    char error[64];

    environment_clear();
    memset(text, 'x', sizeof(text));
    text[CHI_SETTING_TEXT_MAX - 1] = '\0';
    setenv("CHARE_OFI_PROVIDER", text, 1);
    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)), CHARE_OK);
    CHECK(strcmp(settings.ofi_provider, text) == 0);
    text[CHI_SETTING_TEXT_MAX - 1] = 'x';
    text[CHI_SETTING_TEXT_MAX] = '\0';
    setenv("CHARE_OFI_PROVIDER", text, 1);
    CHECK_EQ(chi_settings_read(&settings, error, sizeof(error)),
             CHARE_ERR_INVALID);
    CHECK_EQ(strlen(error), sizeof(error) - 1);
    environment_clear();
}

/* What 'chare info' lists: every variable once, with help. */
static void
every_setting_is_listed(void)
{
    struct chi_setting_info info;
    struct chi_setting_info other;
    size_t count = 0;

    environment_clear();
    setenv("CHARE_NET", "shm", 1);
    for (; chi_settings_info(count, &info); count++) {
        CHECK(strncmp(info.variable, "CHARE_", 6) == 0);
        CHECK(info.preset != NULL && info.help[0] != '\0');
        CHECK_EQ(info.value != NULL, strcmp(info.variable, "CHARE_NET") == 0);
        for (size_t i = 0; i < count; i++) {
            CHECK(chi_settings_info(i, &other));
            CHECK(strcmp(info.variable, other.variable) != 0);
        }
    }
    CHECK(count >= 10);
    CHECK(!chi_settings_info(count + 1, &info));
    environment_clear();
}

TAP_MAIN(TAP_CASE(defaults_hold), TAP_CASE(good_texts), TAP_CASE(bad_texts),
         TAP_CASE(what_is_no_setting_is_told_with_the_nearest),
         TAP_CASE(texts_are_bounded), TAP_CASE(every_setting_is_listed))
