/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descend.c - find our children in /proc.
 *
 * A child that nobody has waited for keeps its pid, so that none is mistaken
 * for another process between the look and the signal.
 */
#include "config.h"

#include "pmix/descend.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The parent of a process, or -1. */
static pid_t
parent_of(const char *pid_text)
{
    char path[64];
    char line[512];
    FILE *file;
    const char *after = NULL;
    int parent = -1;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid_text);
    file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        after = strrchr(line, ')'); /* the name may have any character */
    }
    if (after != NULL && sscanf(after + 1, " %*c %d", &parent) != 1) {
        parent = -1;
    }
    fclose(file);
    return parent;
}

void
chi_descend_signal(int signal)
{
    DIR *dir = opendir("/proc");
    pid_t self = getpid();
    struct dirent *entry;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            parent_of(entry->d_name) == self) {
            (void)kill((pid_t)atoi(entry->d_name), signal);
        }
    }
    closedir(dir);
}
