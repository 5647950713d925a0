/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * program.c - PATH, and Python files.
 */
#include "config.h"

#include "tools/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pmix/launch.h"

enum finding {
    FOUND,
    NOT_THERE,
    NOT_EXECUTABLE
};

static enum finding
look_at(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return errno == EACCES ? NOT_EXECUTABLE : NOT_THERE;
    }
    if (!S_ISREG(info.st_mode) || access(path, X_OK) != 0) {
        return NOT_EXECUTABLE;
    }
    return FOUND;
}

/* As a shell does: the first executable one; an empty part is ".". */
static enum finding
look_in_path(const char *name, char *path, size_t room)
{
    const char *part = getenv("PATH");
    enum finding best = NOT_THERE;

    if (part == NULL) {
        part = "/usr/local/bin:/usr/bin:/bin";
    }
    for (;;) {
        size_t len = strcspn(part, ":");

        if (snprintf(path, room, "%.*s%s%s", (int)len, part,
                     len > 0 ? "/" : "./", name) < (int)room) {
            enum finding finding = look_at(path);

            if (finding == FOUND) {
                return FOUND;
            }
            if (finding == NOT_EXECUTABLE) {
                best = NOT_EXECUTABLE;
            }
        }
        if (part[len] == '\0') {
            return best;
        }
        part += len + 1;
    }
}

static enum finding
find(const char *name, char *path, size_t room)
{
    if (strchr(name, '/') == NULL) {
        return look_in_path(name, path, room);
    }
    if (snprintf(path, room, "%s", name) >= (int)room) {
        return NOT_THERE;
    }
    return look_at(path);
}

static bool
ends_in_py(const char *name)
{
    size_t len = strlen(name);

    return len > 3 && strcmp(name + len - 3, ".py") == 0;
}

static bool
is_file(const char *name)
{
    struct stat info;

    return stat(name, &info) == 0 && S_ISREG(info.st_mode);
}

/* Where it was looked for, and what may have been meant. */
static const char *
remedy(const char *name)
{
    if (strchr(name, '/') != NULL) {
        return "";
    }
    if (is_file(name)) {
        return " in PATH; the one in this folder is ./";
    }
    return ends_in_py(name) ? " in this folder or in PATH" : " in PATH";
}

static int
failed(struct chi_program *program, const char *name, enum finding finding)
{
    const char *where = remedy(name);

    if (finding == NOT_THERE) {
        program->exit_code = CHI_EXIT_NOT_FOUND;
        snprintf(program->error, sizeof(program->error),
                 "there is no program '%s'%s%s", name, where,
                 strchr(where, '/') != NULL ? name : "");
    } else {
        program->exit_code = CHI_EXIT_NOT_EXECUTABLE;
        snprintf(program->error, sizeof(program->error),
                 "'%s' is not executable", name);
    }
    return -1;
}

static int
use_python(struct chi_program *program, char **argv)
{
    const char *python = getenv("CHARE_PYTHON");
    enum finding finding;

    if (python == NULL || python[0] == '\0') {
        python = "python3";
    }
    finding = find(python, program->path, sizeof(program->path));
    if (finding != FOUND) {
        failed(program, python, finding);
        strncat(program->error, " (to run a .py file: CHARE_PYTHON)",
                sizeof(program->error) - strlen(program->error) - 1);
        return -1;
    }
    program->argv[0] = program->path;
    for (size_t i = 0; argv[i] != NULL; i++) {
        program->argv[i + 1] = argv[i];
    }
    return 0;
}

int
chi_program_find(struct chi_program *program, char **argv)
{
    enum finding finding;
    size_t count = 0;

    while (argv[count] != NULL) {
        count++;
    }
    program->argv = calloc(count + 2, sizeof(*program->argv));
    if (program->argv == NULL) {
        program->exit_code = CHI_EXIT_FAILED;
        strcpy(program->error, "no memory");
        return -1;
    }
    finding = find(argv[0], program->path, sizeof(program->path));
    if (finding == FOUND) {
        memcpy(program->argv, argv, count * sizeof(*argv));
        return 0;
    }
    if (ends_in_py(argv[0]) && is_file(argv[0])) {
        return use_python(program, argv);
    }
    return failed(program, argv[0], finding);
}

void
chi_program_fini(struct chi_program *program)
{
    free(program->argv);
    program->argv = NULL;
}
