/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identity.c - names of nodes and switches, as numbers to compare.
 */
#include "config.h"

#include "topo/identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/prng.h"

enum {
    BOOT_ID_MAX = 64
};

/* FNV-1a over the bytes, then mixed: short names differ in few bits. */
static uint64_t
hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    hash ^= 0xcbf29ce484222325ull;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3ull;
    }
    return chi_mix64(hash ^ len);
}

/* Where a file lives; zeros when there is none. */
static uint64_t
hash_file(uint64_t hash, const char *path)
{
    struct stat info;
    uint64_t where[2] = {0, 0};

    if (stat(path, &info) == 0) {
        where[0] = (uint64_t)info.st_dev;
        where[1] = (uint64_t)info.st_ino;
    }
    return hash_bytes(hash, where, sizeof(where));
}

uint64_t
chi_identity_node(const char *host)
{
    uint64_t hash = hash_bytes(0, host, strlen(host));
    char boot_id[BOOT_ID_MAX] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (file != NULL) {
        if (fgets(boot_id, sizeof(boot_id), file) == NULL) {
            boot_id[0] = '\0';
        }
        fclose(file);
    }
    hash = hash_bytes(hash, boot_id, strlen(boot_id));
    hash = hash_file(hash, "/dev/shm");
    hash = hash_file(hash, "/proc/self/ns/net");
    return hash_file(hash, "/proc/self/ns/pid");
}

/* One level more; what does not fit is mixed into the last one. */
static void
switch_push(struct chi_place *place, const char *name, size_t len)
{
    const uint64_t hash = len == 0 ? 0 : hash_bytes(0, name, len);
    uint64_t *last = &place->switches[CHI_PLACE_SWITCH_LEVELS_MAX - 1];

    if (place->switch_levels < CHI_PLACE_SWITCH_LEVELS_MAX) {
        place->switches[place->switch_levels++] = hash;
    } else {
        *last = chi_mix64(*last ^ hash);
    }
}

static void
switches_clear(struct chi_place *place)
{
    place->switch_levels = 0;
    memset(place->switches, 0, sizeof(place->switches));
}

void
chi_identity_switches(const char *path, struct chi_place *place_inout)
{
    switches_clear(place_inout);
    if (path[0] == '\0') {
        return;
    }
    for (;;) {
        const size_t len = strcspn(path, ".");

        switch_push(place_inout, path, len);
        if (path[len] == '\0') {
            return;
        }
        path += len + 1;
    }
}

/* A node's name may have dots, so the node is all that is left over. */
static bool
is_node(const char *address, const char *pattern, size_t pattern_len)
{
    if (pattern[0] == '\0') {
        return strchr(address, '.') == NULL;
    }
    return pattern_len == strlen("node") &&
           strncmp(pattern, "node", pattern_len) == 0;
}

void
chi_identity_slurm(const char *address, const char *pattern,
                   struct chi_place *place_inout)
{
    switches_clear(place_inout);
    if (address == NULL || address[0] == '\0') {
        return;
    }
    pattern = pattern != NULL ? pattern : "";
    for (;;) {
        const size_t len = strcspn(address, ".");
        const size_t pattern_len = strcspn(pattern, ".");

        if (is_node(address, pattern, pattern_len)) {
            return;
        }
        switch_push(place_inout, address, len);
        if (address[len] == '\0') {
            return;
        }
        address += len + 1;
        pattern += pattern_len + (pattern[pattern_len] == '.' ? 1 : 0);
    }
}
