/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.c - finding libfabric at run time.
 */
#include "config.h"

#include "ofi/library.h"

#include <dlfcn.h>
#include <sched.h>
#include <string.h>

#define SONAME "libfabric.so.1"

/* Where configure found it, when that is not where the loader looks. */
#ifndef CHI_LIBFABRIC_DIR
#define CHI_LIBFABRIC_DIR ""
#endif

void
chi_ofi_signals_save(struct chi_ofi_signals *signals)
{
    for (int i = 0; i < CHI_OFI_SIGNALS; i++) {
        signals->known[i] =
            i > 0 && sigaction(i, NULL, &signals->actions[i]) == 0;
    }
}

void
chi_ofi_signals_restore(const struct chi_ofi_signals *signals)
{
    for (int i = 0; i < CHI_OFI_SIGNALS; i++) {
        if (signals->known[i] && i != SIGKILL && i != SIGSTOP) {
            (void)sigaction(i, &signals->actions[i], NULL);
        }
    }
}

static void *
open_any(void)
{
    /* It is never unloaded: providers leave threads and handlers behind. */
    const int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    void *handle = NULL;

    if (CHI_LIBFABRIC_DIR[0] != '\0') {
        handle = dlopen(CHI_LIBFABRIC_DIR "/" SONAME, flags);
    }
    return handle != NULL ? handle : dlopen(SONAME, flags);
}

/* An object pointer and a function pointer have the same form in POSIX. */
static bool
find(void *handle, const char *name, void *function_out)
{
    void *symbol = dlsym(handle, name);

    memcpy(function_out, &symbol, sizeof(symbol));
    return symbol != NULL;
}

chare_status
chi_ofi_library_open(struct chi_ofi_library *library,
                     const struct chi_log *log)
{
    cpu_set_t mask;
    int known;

    *library = (struct chi_ofi_library){.handle = NULL};
    /* A constructor of PSM moves this thread about; it must not stay there. */
    known = sched_getaffinity(0, sizeof(mask), &mask);
    library->handle = open_any();
    if (known == 0) {
        (void)sched_setaffinity(0, sizeof(mask), &mask);
    }
    if (library->handle == NULL) {
        chi_log_error(log, "ofi: cannot load libfabric: %s", dlerror());
        return CHARE_ERR_NOT_FOUND;
    }
    if (!find(library->handle, "fi_version", &library->version) ||
        !find(library->handle, "fi_getinfo", &library->getinfo) ||
        !find(library->handle, "fi_freeinfo", &library->freeinfo) ||
        !find(library->handle, "fi_dupinfo", &library->dupinfo) ||
        !find(library->handle, "fi_fabric", &library->fabric) ||
        !find(library->handle, "fi_strerror", &library->strerror)) {
        chi_log_error(log, "ofi: %s lacks a function: %s", SONAME, dlerror());
        chi_ofi_library_close(library);
        return CHARE_ERR_NOT_FOUND;
    }
    if (FI_VERSION_LT(library->version(), CHI_OFI_API_VERSION)) {
        chi_log_error(
            log, "ofi: libfabric %u.%u is too old; 1.14 or later needed",
            FI_MAJOR(library->version()), FI_MINOR(library->version()));
        chi_ofi_library_close(library);
        return CHARE_ERR_NOT_FOUND;
    }
    return CHARE_OK;
}

void
chi_ofi_library_close(struct chi_ofi_library *library)
{
    if (library->handle != NULL) {
        (void)dlclose(library->handle);
        library->handle = NULL;
    }
}
