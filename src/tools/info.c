/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - 'chare info': what this installation is, where it runs, how it is
 * set.
 *
 * As one process it tells of this machine. Started as a job (by 'chare run' or
 * srun) its processes meet like those of any program, and PE 0 tells of the
 * job: where each PE is, and with --tree the edges that broadcasts from PE 0
 * and reductions to it use.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/settings.h"
#include "ofi/ofi.h"
#include "rt/runtime.h"
#include "tools/tools.h"
#include "topo/sense.h"
#include "topo/show.h"

enum {
    DESCRIPTION_BYTES = 2048,
    PES_SHOWN_MAX = 64, /* without --tree */
};

static const char help[] =
    "Usage: chare info [--tree]\n"
    "Show version, features, network providers and which one is chosen, this\n"
    "node, binding, and all settings. Under 'chare run' or srun: of the job.\n"
    "\n"
    "      --tree     show the spanning tree of the job's PEs, and nothing "
    "else\n"
    "  -h, --help     show this text\n";

static void
show_settings(void)
{
    struct chi_setting_info info;

    printf("\nsettings (environment variables):\n");
    for (size_t i = 0; chi_settings_info(i, &info); i++) {
        printf("  %s=%s%s\n      %s\n", info.variable,
               info.value != NULL ? info.value : info.preset,
               info.value != NULL ? " (set)" : "", info.help);
    }
}

static void
show_line(void *context, const char *text)
{
    (void)context;
    printf("  %s\n", text);
}

static void
show_nets(const chare_runtime *runtime)
{
    printf("\nnetwork: CHARE_NET=%s\n", runtime->settings.net);
    printf("  in a node: rings in shared memory, %" PRIu64
           " bytes for each PE\n",
           runtime->settings.ring_bytes);
    printf("  between nodes: libfabric %s\n", CHI_LIBFABRIC_VERSION);
#if CHI_WITH_LIBFABRIC
    /* What goes wrong is in the lines, too. */
    if (chi_ofi_report(&runtime->log, &runtime->settings, show_line, NULL) !=
        CHARE_OK) {
        printf("  no provider is of use\n");
    }
#else
    show_line(NULL, "this build has none: one node only");
#endif
}

/* Power needs two readings; nobody waits for that. */
static void
show_sensors(const chare_runtime *runtime)
{
    struct chi_sense sense = CHI_SENSE_INIT;
    struct chi_sensed sensed;

    chi_sense_read(&sense, runtime->settings.sysfs, -1, &chi_clock_real,
                   &sensed);
    if (!isnan(sensed.mhz)) {
        printf("processor clock now: %g MHz\n", sensed.mhz);
    }
    if (!isnan(sensed.celsius)) {
        printf("hottest processor sensor: %g degrees Celsius\n",
               sensed.celsius);
    }
    if (sense.joules >= 0) {
        printf("power of packages: shown in reports of load balancing\n");
    }
}

static void
show_machine(const chare_runtime *runtime)
{
    char text[DESCRIPTION_BYTES];
    struct chi_machine *machine = NULL;

    printf("\nnode %s:\n", runtime->wireup->host);
    if (chi_machine_open(&runtime->log, NULL, &machine) == CHARE_OK) {
        chi_machine_describe(machine, text, sizeof(text));
        printf("%s", text);
        printf("processors this process may use: %" PRIu32 "\n",
               chi_machine_usable_cpu_count(machine));
    }
    show_sensors(runtime);
    chi_machine_close(machine);
}

static void
show_job(const chare_runtime *runtime)
{
    const uint32_t pe_count = chare_pe_count(runtime);

    printf("\nlauncher: %s, job %s: %" PRIu32 " PE%s on %" PRIu32 " node%s\n",
           runtime->wireup->launcher, runtime->wireup->job, pe_count,
           pe_count == 1 ? "" : "s", chare_node_count(runtime),
           chare_node_count(runtime) == 1 ? "" : "s");
    if (pe_count > 1) {
        printf("PE 0: %s\n", runtime->binding.text);
    }
    for (uint32_t pe = 0; pe < pe_count && pe < PES_SHOWN_MAX; pe++) {
        printf("  PE %" PRIu32 " on %s\n", pe,
               chare_node_name(runtime, chare_node_of(runtime, pe)));
    }
    if (pe_count > PES_SHOWN_MAX) {
        printf("  ... and %" PRIu32 " more\n", pe_count - PES_SHOWN_MAX);
    }
}

static void
show(const chare_runtime *runtime, bool tree_only)
{
    if (tree_only) {
        chi_tree_show(runtime->layout, 0,
                      (uint32_t)runtime->settings.tree_fanout, 0, stdout);
        return;
    }
    printf("chare %s\n", PACKAGE_VERSION);
    printf("built with: PMIx %s, libfabric %s, hwloc %s\n", CHI_PMIX_VERSION,
           CHI_LIBFABRIC_VERSION, CHI_HWLOC_VERSION);
    show_job(runtime);
    show_machine(runtime);
    show_nets(runtime);
    show_settings();
}

/* Meet the others, if there are any, and let PE 0 speak. */
static int
info(bool tree_only)
{
    chare_runtime *runtime;
    chare_status status = chare_open(NULL, &runtime);
    int code = 1;

    if (status != CHARE_OK) {
        return code; /* the reason is on the screen */
    }
    status = chare_start(runtime);
    if (status == CHARE_OK) {
        if (chare_my_pe(runtime) == 0) {
            show(runtime, tree_only);
            fflush(stdout);
            chare_exit(runtime, 0);
        }
        status = chare_run(runtime);
        code = status == CHARE_OK ? chare_exit_code(runtime) : 1;
    }
    chare_close(runtime);
    return code;
}

int
chi_tools_info(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"tree", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    bool tree_only = false;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            fputs(help, stdout);
            return 0;
        case 't':
            tree_only = true;
            break;
        default:
            return chi_tools_misused("info", "unknown option '%s'",
                                     argv[optind - 1]);
        }
    }
    if (optind < argc) {
        return chi_tools_misused("info", "'%s' is one argument too many",
                                 argv[optind]);
    }
    return info(tree_only);
}
