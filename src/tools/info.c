/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - 'chare info': what this installation is and how it is set.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>

#include "base/settings.h"
#include "tools/tools.h"

static const char help[] =
    "Usage: chare info\n"
    "Show the version, the libraries it was built with, and all settings.\n"
    "\n"
    "  -h, --help     show this text\n";

static void
show_settings(void)
{
    struct chi_setting_info info;

    printf("settings (environment variables):\n");
    for (size_t i = 0; chi_settings_info(i, &info); i++) {
        printf("  %s=%s%s\n      %s\n", info.variable,
               info.value != NULL ? info.value : info.preset,
               info.value != NULL ? " (set)" : "", info.help);
    }
}

int
chi_tools_info(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        return chi_tools_misused("info", "unknown option '%s'",
                                 argv[optind - 1]);
    }
    if (optind < argc) {
        return chi_tools_misused("info", "'%s' is one argument too many",
                                 argv[optind]);
    }
    printf("chare %s\n", PACKAGE_VERSION);
    printf("built with: PMIx %s, libfabric %s, hwloc %s\n", CHI_PMIX_VERSION,
           CHI_LIBFABRIC_VERSION, CHI_HWLOC_VERSION);
    show_settings();
    return 0;
}
