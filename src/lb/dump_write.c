/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dump_write.c - writing loads as text.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "lb/dump.h"

static void
write_object(FILE *file, const struct chi_lb_problem *problem, size_t i,
             char *const *names)
{
    fprintf(file, "object %zu pe=%" PRIu32 " load=%.9g", i, problem->from[i],
            (double)problem->work[i]);
    if (problem->bytes != NULL && problem->bytes[i] != 0) {
        fprintf(file, " bytes=%" PRIu64, problem->bytes[i]);
    }
    if (problem->fixed != NULL && problem->fixed[i] != 0) {
        fputs(" fixed=1", file);
    }
    for (uint32_t dim = 0; problem->coordinates != NULL && dim < problem->dims;
         dim++) {
        fprintf(file, "%s%.9g", dim == 0 ? " at=" : ",",
                (double)problem->coordinates[i * problem->dims + dim]);
    }
    if (names != NULL) {
        fprintf(file, " name=%s", names[i]);
    }
    fputc('\n', file);
}

static void
write_sensor(FILE *file, const char *name, float value)
{
    if (!isnan(value)) {
        fprintf(file, " %s=%g", name, (double)value);
    }
}

static void
write_sensors(FILE *file, const struct chi_lb_sensors *sensors)
{
    write_sensor(file, "mhz", sensors->mhz);
    write_sensor(file, "celsius", sensors->celsius);
    write_sensor(file, "watts", sensors->watts);
}

/* What is known of where a PE is; the line goes on. */
static void
write_spot(FILE *file, const struct chi_lb_spot *spot)
{
    const struct {
        const char *key;
        uint16_t value;
    } parts[] = {
        {"package", spot->package},
        {"numa", spot->numa},
        {"cache", spot->cache},
        {"core", spot->core},
    };

    for (uint32_t i = 0; i < spot->switch_levels; i++) {
        fprintf(file, "%s%" PRIu32, i == 0 ? " switch=" : ".",
                spot->switches[i]);
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].value != CHI_LB_SPOT_UNKNOWN) {
            fprintf(file, " %s=%u", parts[i].key, parts[i].value);
        }
    }
}

static void
write_talk(FILE *file, const struct chi_lb_problem *problem, size_t i,
           size_t e)
{
    fprintf(file, "talk %zu %" PRIu32 " %.9g", i, problem->edge_to[e],
            (double)problem->edge_bytes[e]);
    if (problem->edge_messages != NULL) {
        fprintf(file, " messages=%.9g", (double)problem->edge_messages[e]);
    }
    fputc('\n', file);
}

static size_t
count_talks(const struct chi_lb_problem *problem)
{
    size_t count = 0;

    for (size_t i = 0;
         problem->edge_first != NULL && i < problem->object_count; i++) {
        for (size_t e = problem->edge_first[i]; e < problem->edge_first[i + 1];
             e++) {
            count += problem->edge_to[e] > i;
        }
    }
    return count;
}

chare_status
chi_dump_write(FILE *file, const struct chi_lb_problem *problem,
               char *const *names)
{
    fprintf(file,
            "chare-load %d\npes %" PRIu32
            " objects=%zu talks=%zu seed=%" PRIu64,
            CHI_DUMP_VERSION, problem->pe_count, problem->object_count,
            count_talks(problem), problem->seed);
    if (problem->noise > 0) {
        fprintf(file, " noise=%.9g", (double)problem->noise);
    }
    fputc('\n', file);
    for (uint32_t pe = 0; pe < problem->pe_count; pe++) {
        fprintf(
            file, "pe %" PRIu32 " node=%" PRIu32 " speed=%.9g background=%.9g",
            pe, chi_lb_node(problem, pe), (double)chi_lb_speed(problem, pe),
            (double)chi_lb_background(problem, pe));
        if (problem->sensors != NULL) {
            write_sensors(file, &problem->sensors[pe]);
        }
        if (problem->spots != NULL) {
            write_spot(file, &problem->spots[pe]);
        }
        fputc('\n', file);
    }
    for (size_t i = 0; i < problem->object_count; i++) {
        write_object(file, problem, i, names);
    }
    for (size_t i = 0;
         problem->edge_first != NULL && i < problem->object_count; i++) {
        for (size_t e = problem->edge_first[i]; e < problem->edge_first[i + 1];
             e++) {
            if (problem->edge_to[e] > i) {
                write_talk(file, problem, i, e);
            }
        }
    }
    return fflush(file) == 0 && !ferror(file) ? CHARE_OK : CHARE_ERR_SYSTEM;
}
