/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_TOPO_SENSE_H
#define CHI_TOPO_SENSE_H

/*
 * sense.h - frequency, temperature and power, where the kernel shows them.
 *
 * Files below /sys are read each time, which takes some 10 us each: for
 * reports and dumps, never on the way of a message. What is missing, or may
 * not be read (power is often root's), is NAN and no error.
 */

#include <stdint.h>

#include "base/clock.h"

struct chi_sensed {
    double mhz;     /* of the processor that this thread is on, now */
    double celsius; /* the hottest sensor of the node's processors */
    double watts;   /* of the node's packages since the last time; NAN the
                       first time */
};

/* What power is computed from. */
struct chi_sense {
    double joules; /* read last; below 0: not yet, or not to be read */
    uint64_t read_ns;
};

/* Nothing was read yet. */
#define CHI_SENSE_INIT             \
    {                              \
        .joules = -1, .read_ns = 0 \
    }

/*
 * Read what there is. 'sysfs' is the folder, "/sys" but in tests; 'cpu' the
 * processor, below 0: the one that this thread is on.
 */
void chi_sense_read(struct chi_sense *sense, const char *sysfs, int cpu,
                    const struct chi_clock *clock, struct chi_sensed *out);

#endif /* CHI_TOPO_SENSE_H */
