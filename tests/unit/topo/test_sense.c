/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sense.c - frequency, temperature and power, where the kernel shows
 * them.
 *
 * Goal:   what is there is told in the units that the header names; what is
 *         missing, empty or nonsense is NAN; counters that begin again, and
 *         parts of packages, do not falsify power.
 * Method: a folder that the test makes, and a clock that stands still.
 */
#include "config.h"

#include "topo/sense.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap/tap.h"

struct tree {
    char root[64];
    struct chi_clock_manual clock;
};

static void
put(const struct tree *tree, const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", tree->root, name);
    for (char *at = path + strlen(tree->root) + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(path, 0700);
            *at = '/';
        }
    }
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0);
    if (file != NULL) {
        fclose(file);
    }
}

static void
begin(struct tree *tree)
{
    snprintf(tree->root, sizeof(tree->root), "/tmp/chare-sense-XXXXXX");
    CHECK(mkdtemp(tree->root) != NULL);
    chi_clock_manual_init(&tree->clock, 5 * CHI_NS_PER_SEC);
}

static void
end(const struct tree *tree)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r '%s'", tree->root);
    CHECK_EQ(system(command), 0);
}

static struct chi_sensed
read_all(const struct tree *tree, struct chi_sense *sense, int cpu)
{
    struct chi_sensed sensed;

    chi_sense_read(sense, tree->root, cpu, &tree->clock.clock, &sensed);
    return sensed;
}

static bool
is(double value, double wanted)
{
    return fabs(value - wanted) < 1e-6;
}

static void
what_is_missing_is_no_number(void)
{
    struct chi_sense sense = CHI_SENSE_INIT;
    struct tree tree;
    struct chi_sensed sensed;

    begin(&tree);
    sensed = read_all(&tree, &sense, 0);
    CHECK(isnan(sensed.mhz) && isnan(sensed.celsius) && isnan(sensed.watts));
    put(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "");
    put(&tree, "class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
    put(&tree, "class/hwmon/hwmon0/name", "coretemp\n");
    put(&tree, "class/powercap/intel-rapl:0/name", "package-0\n");
    put(&tree, "class/powercap/intel-rapl:0/energy_uj", "much\n");
    for (uint32_t i = 0; i < 2; i++) {
        sensed = read_all(&tree, &sense, -1);
        CHECK(isnan(sensed.mhz) && isnan(sensed.celsius) &&
              isnan(sensed.watts));
        tree.clock.now_ns += CHI_NS_PER_SEC;
    }
    end(&tree);
}

static void
frequency_is_of_one_processor(void)
{
    struct chi_sense sense = CHI_SENSE_INIT;
    struct tree tree;

    begin(&tree);
    put(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
        "2400000\n");
    put(&tree, "devices/system/cpu/cpu13/cpufreq/scaling_cur_freq",
        "799998\n");
    CHECK(is(read_all(&tree, &sense, 0).mhz, 2400));
    CHECK(is(read_all(&tree, &sense, 13).mhz, 799.998));
    CHECK(isnan(read_all(&tree, &sense, 1).mhz));
    end(&tree);
}

static void
temperature_is_of_processors(void)
{
    struct chi_sense sense = CHI_SENSE_INIT;
    struct tree tree;

    begin(&tree);
    put(&tree, "class/thermal/thermal_zone0/type", "iwlwifi_1\n");
    put(&tree, "class/thermal/thermal_zone0/temp", "91000\n");
    CHECK(
        is(read_all(&tree, &sense, 0).celsius, 91)); /* better than nothing */
    put(&tree, "class/thermal/thermal_zone1/type", "x86_pkg_temp\n");
    put(&tree, "class/thermal/thermal_zone1/temp", "55500\n");
    CHECK(is(read_all(&tree, &sense, 0).celsius, 55.5));
    put(&tree, "class/hwmon/hwmon3/name", "k10temp\n");
    put(&tree, "class/hwmon/hwmon3/temp1_input", "61000\n");
    put(&tree, "class/hwmon/hwmon4/name", "nvme\n");
    put(&tree, "class/hwmon/hwmon4/temp1_input", "99000\n");
    CHECK(is(read_all(&tree, &sense, 0).celsius, 61));
    put(&tree, "class/hwmon/hwmon3/temp1_input",
        "-273000\n"); /* it is broken */
    CHECK(is(read_all(&tree, &sense, 0).celsius, 55.5));
    end(&tree);
}

static void
power_is_since_the_last_time(void)
{
    struct chi_sense sense = CHI_SENSE_INIT;
    struct tree tree;

    begin(&tree);
    for (unsigned package = 0; package < 2; package++) {
        char name[96];

        snprintf(name, sizeof(name), "class/powercap/intel-rapl:%u/name",
                 package);
        put(&tree, name, package == 0 ? "package-0\n" : "package-1\n");
        snprintf(name, sizeof(name),
                 "class/powercap/intel-rapl:%u/max_energy_range_uj", package);
        put(&tree, name, "1000000000\n");
    }
    put(&tree, "class/powercap/intel-rapl:0/energy_uj", "10000000\n");
    put(&tree, "class/powercap/intel-rapl:1/energy_uj", "990000000\n");
    put(&tree, "class/powercap/intel-rapl:0:0/name", "core\n");
    put(&tree, "class/powercap/intel-rapl:0:0/energy_uj", "5000000\n");
    put(&tree, "class/powercap/intel-rapl:2/name", "psys\n");
    put(&tree, "class/powercap/intel-rapl:2/energy_uj", "7000000\n");
    CHECK(isnan(read_all(&tree, &sense, 0).watts));
    tree.clock.now_ns += 2 * CHI_NS_PER_SEC;
    put(&tree, "class/powercap/intel-rapl:0/energy_uj", "110000000\n");
    put(&tree, "class/powercap/intel-rapl:1/energy_uj", "995000000\n");
    put(&tree, "class/powercap/intel-rapl:0:0/energy_uj", "90000000\n");
    CHECK(is(read_all(&tree, &sense, 0).watts, 52.5));
    tree.clock.now_ns += CHI_NS_PER_SEC;
    put(&tree, "class/powercap/intel-rapl:0/energy_uj", "130000000\n");
    put(&tree, "class/powercap/intel-rapl:1/energy_uj", "15000000\n");
    CHECK(is(read_all(&tree, &sense, 0).watts,
             40)); /* 20, and 5 up to the end, 15 */
    end(&tree);
}

TAP_MAIN(TAP_CASE(what_is_missing_is_no_number),
         TAP_CASE(frequency_is_of_one_processor),
         TAP_CASE(temperature_is_of_processors),
         TAP_CASE(power_is_since_the_last_time))
