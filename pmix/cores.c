/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cores.c - hardware threads, put together by core, from /sys.
 *
 * The topology room does this better, by hwloc; the launcher is to start in a
 * few milliseconds and needs no more than this.
 */
#include "config.h"

#include "pmix/cores.h"

#include <stdio.h>
#include <stdlib.h>

/* The first hardware thread of the core that has 'cpu'; 'cpu' if unknown. */
static int
core_first(int cpu)
{
    char path[128];
    FILE *file;
    int first = cpu;

    snprintf(path, sizeof(path),
             "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
             cpu);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%d", &first) != 1) {
            first = cpu;
        }
        fclose(file);
    }
    return first;
}

void
chi_cores_init(struct chi_cores *cores)
{
    int firsts[CPU_SETSIZE];
    cpu_set_t allowed;

    *cores = (struct chi_cores){.count = 0};
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        return;
    }
    cores->sets = calloc((size_t)CPU_COUNT(&allowed), sizeof(*cores->sets));
    if (cores->sets == NULL) {
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        uint32_t core = 0;

        if (!CPU_ISSET(cpu, &allowed)) {
            continue;
        }
        firsts[cores->count] = core_first(cpu);
        while (firsts[core] != firsts[cores->count]) {
            core++;
        }
        cores->count += core == cores->count;
        CPU_SET(cpu, &cores->sets[core]);
    }
}

void
chi_cores_fini(struct chi_cores *cores)
{
    free(cores->sets);
    *cores = (struct chi_cores){.count = 0};
}
