/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sense.c - frequency, temperature and power, where the kernel shows them.
 *
 * Of thermal zones and of the chips below hwmon those count that are a
 * processor's; where none says so, all thermal zones do.
 */
#include "config.h"

#include "topo/sense.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_BYTES = 64,
};

static const char *const processors[] = {"x86_pkg_temp", "coretemp", "k10temp",
                                         "zenpower", "cpu"};

/* The first line of a file, without its end; false: there is none. */
static bool
read_text(const char *folder, const char *name, char *out)
{
    char path[PATH_MAX];
    FILE *file;
    bool good;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
        (int)sizeof(path)) {
        return false;
    }
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    good = fgets(out, NAME_BYTES, file) != NULL;
    fclose(file);
    if (good) {
        out[strcspn(out, "\n")] = '\0';
    }
    return good;
}

static double
read_number(const char *folder, const char *name)
{
    char text[NAME_BYTES];
    char *end;
    double value;

    if (!read_text(folder, name, text)) {
        return NAN;
    }
    value = strtod(text, &end);
    return end == text || *end != '\0' ? NAN : value;
}

static bool
is_processor(const char *name)
{
    for (size_t i = 0; i < sizeof(processors) / sizeof(processors[0]); i++) {
        if (strncmp(name, processors[i], strlen(processors[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Call fn for each folder below 'parent' whose name begins so. */
static void
each_folder(const char *sysfs, const char *parent, const char *prefix,
            void (*fn)(const char *folder, void *context), void *context)
{
    char path[PATH_MAX];
    char folder[PATH_MAX];
    const struct dirent *entry;
    DIR *dir;

    if (snprintf(path, sizeof(path), "%s/%s", sysfs, parent) >=
        (int)sizeof(path)) {
        return;
    }
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            snprintf(folder, sizeof(folder), "%s/%s", path, entry->d_name) <
                (int)sizeof(folder)) {
            fn(folder, context);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

/* ---- temperature */

struct heat {
    double processors; /* NAN: none said */
    double all;
};

static void
hotter(double *most, double millidegrees)
{
    /* Sensors that are broken say 0, or the cold of space. */
    if (millidegrees > 0 && millidegrees < 200e3) {
        *most = fmax(isnan(*most) ? 0 : *most, millidegrees / 1000);
    }
}

static void
zone(const char *folder, void *context)
{
    struct heat *heat = context;
    const double value = read_number(folder, "temp");
    char type[NAME_BYTES];

    hotter(&heat->all, value);
    if (read_text(folder, "type", type) && is_processor(type)) {
        hotter(&heat->processors, value);
    }
}

static void
chip(const char *folder, void *context)
{
    struct heat *heat = context;
    char name[NAME_BYTES];

    if (!read_text(folder, "name", name) || !is_processor(name)) {
        return;
    }
    for (unsigned i = 1; i <= 2; i++) { /* the package's; then cores follow */
        snprintf(name, sizeof(name), "temp%u_input", i);
        hotter(&heat->processors, read_number(folder, name));
    }
}

static double
celsius(const char *sysfs)
{
    struct heat heat = {NAN, NAN};

    each_folder(sysfs, "class/thermal", "thermal_zone", zone, &heat);
    each_folder(sysfs, "class/hwmon", "hwmon", chip, &heat);
    return isnan(heat.processors) ? heat.all : heat.processors;
}

/* ---- power */

struct energy {
    double joules;
    double range; /* where the counters begin again */
    bool known;
};

static void
package(const char *folder, void *context)
{
    struct energy *energy = context;
    const double joules = read_number(folder, "energy_uj") * 1e-6;
    const double range = read_number(folder, "max_energy_range_uj") * 1e-6;
    const char *base = strrchr(folder, '/');
    char name[NAME_BYTES];

    /* intel-rapl:0 is a package, intel-rapl:0:1 a part of it. */
    if (strchr(base, ':') != strrchr(base, ':') || isnan(joules) ||
        !read_text(folder, "name", name) || strncmp(name, "package", 7) != 0) {
        return;
    }
    energy->known = true;
    energy->joules += joules;
    energy->range = fmax(energy->range, isnan(range) ? 0 : range);
}

static double
watts(struct chi_sense *sense, const char *sysfs, uint64_t now_ns)
{
    struct energy energy = {0};
    double used;
    double result = NAN;

    each_folder(sysfs, "class/powercap", "intel-rapl:", package, &energy);
    if (!energy.known) {
        sense->joules = -1;
        return NAN;
    }
    used = energy.joules - sense->joules;
    used += used < 0 ? energy.range : 0; /* one of them began again */
    if (sense->joules >= 0 && now_ns > sense->read_ns && used >= 0) {
        result = used / ((double)(now_ns - sense->read_ns) / CHI_NS_PER_SEC);
    }
    sense->joules = energy.joules;
    sense->read_ns = now_ns;
    return result;
}

void
chi_sense_read(struct chi_sense *sense, const char *sysfs, int cpu,
               const struct chi_clock *clock, struct chi_sensed *out)
{
    char path[PATH_MAX];

    cpu = cpu < 0 ? sched_getcpu() : cpu;
    *out = (struct chi_sensed){NAN, NAN, NAN};
    if (snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%d/cpufreq",
                 sysfs, cpu) < (int)sizeof(path)) {
        out->mhz = read_number(path, "scaling_cur_freq") / 1000;
    }
    out->celsius = celsius(sysfs);
    out->watts = watts(sense, sysfs, chi_clock_now_ns(clock));
}
