/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * speed.c - how fast a PE is, while the job runs.
 *
 * The kernel tells how long a thread has waited for a processor while it could
 * have run (schedstat). Its time alone would not do: a chare that sleeps, or
 * waits for a file, takes no processor time either, and its PE is not slow.
 */
#include "config.h"

#include "lb/speed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"

enum {
    PIECE_STEPS = 2000, /* of the piece of work: some 8 us */
    PIECE_TRIES = 5,    /* the best of them counts */
};

/* A PE that wants to run for less of the time says nothing of its share, and
 * is thought to be free again, by so much of what is missing each time. */
static const double WANTED_MIN = 1.0 / 16;
static const double FORGET = 1.0 / 16;

/* ---- the real source */

static double
real_work_ns(void *context)
{
    uint64_t best_ns = UINT64_MAX;

    (void)context;
    for (uint32_t try = 0; try < PIECE_TRIES; try++) {
        const uint64_t start_ns = chi_clock_now_ns(&chi_clock_real);
        volatile uint64_t sink;
        uint64_t value = start_ns;
        uint64_t ns;

        for (uint32_t i = 0; i < PIECE_STEPS; i++) {
            value = chi_mix64(value); /* each needs the one before */
        }
        sink = value;
        (void)sink;
        ns = chi_clock_now_ns(&chi_clock_real) - start_ns;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    return (double)best_ns;
}

static bool
real_share(void *context, uint64_t *ran_ns, uint64_t *waited_ns)
{
    char text[128];
    const int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t len;

    (void)context;
    if (fd < 0) {
        return false;
    }
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    return sscanf(text, "%" SCNu64 " %" SCNu64, ran_ns, waited_ns) == 2;
}

const struct chi_speed_source chi_speed_real = {
    .work_ns = real_work_ns,
    .share = real_share,
};

/* ---- from measurements to a speed */

void
chi_speed_init(struct chi_speed *speed, const struct chi_speed_source *source)
{
    *speed = (struct chi_speed){
        .source = source, .used = 1, .share = 1, .crowd = 1};
}

void
chi_speed_crowd(struct chi_speed *speed, uint32_t processors, uint32_t pes)
{
    speed->crowd =
        processors > 0 && pes > processors ? (double)processors / pes : 1;
}

double
chi_speed_scale(const struct chi_speed *speed, double busy_ns, double ran_ns,
                double waited_ns)
{
    const double lost_ns = fmin(waited_ns, fmax(busy_ns - ran_ns, 0));

    return speed->crowd < 1 && busy_ns > 0
               ? (1 - lost_ns / busy_ns) / speed->crowd
               : 1;
}

static void
mark(struct chi_speed *speed, uint64_t now_ns, uint64_t ran_ns,
     uint64_t waited_ns)
{
    speed->has_marks = true;
    speed->mark_ns = now_ns;
    speed->ran_ns = ran_ns;
    speed->waited_ns = waited_ns;
}

void
chi_speed_mark(struct chi_speed *speed, const struct chi_clock *clock)
{
    const struct chi_speed_source *source = speed->source;
    uint64_t ran_ns;
    uint64_t waited_ns;

    if (source != NULL && !speed->has_marks &&
        source->share(source->context, &ran_ns, &waited_ns)) {
        mark(speed, chi_clock_now_ns(clock), ran_ns, waited_ns);
    }
}

/* S3 */
static void
look_at_share(struct chi_speed *speed, uint64_t now_ns)
{
    const struct chi_speed_source *source = speed->source;
    uint64_t ran_ns;
    uint64_t waited_ns;
    double wall;
    double ran;
    double wanted;

    if (!speed->has_marks ||
        !source->share(source->context, &ran_ns, &waited_ns)) {
        return;
    }
    wall = (double)(now_ns - speed->mark_ns);
    ran = (double)(ran_ns - speed->ran_ns);
    wanted = ran + (double)(waited_ns - speed->waited_ns);
    if (wanted < fmax(CHI_SPEED_WINDOW_NS, WANTED_MIN * wall)) {
        if (wall * WANTED_MIN < CHI_SPEED_WINDOW_NS) {
            return; /* go on */
        }
        speed->share += FORGET * (1 - speed->share);
    } else {
        if (!speed->knows_share && speed->crowd >= 1) {
            speed->look_count = 0; /* they knew less */
        }
        speed->knows_share = true;
        speed->share = ran / wanted;
    }
    mark(speed, now_ns, ran_ns, waited_ns);
}

/* The nearest of the speeds that are used. */
static double
class_of(double value)
{
    return pow(CHI_SPEED_STEP, round(log(value) / log(CHI_SPEED_STEP)));
}

/* S2; the first look is all three. */
static void
use(struct chi_speed *speed, double value)
{
    double *looks = speed->looks;
    double median;

    value = fmin(fmax(value, CHI_SPEED_MIN), CHI_SPEED_MAX);
    if (speed->look_count == 0) {
        looks[0] = looks[1] = looks[2] = value;
    }
    looks[speed->look_count++ % CHI_SPEED_LOOKS] = value;
    median = fmax(fmin(looks[0], looks[1]),
                  fmin(fmax(looks[0], looks[1]), looks[2]));
    if (fabs(median - speed->used) > CHI_SPEED_TREMOR * speed->used) {
        speed->used = class_of(median);
    }
}

double
chi_speed_look(struct chi_speed *speed, const struct chi_clock *clock,
               double unit_ns)
{
    const uint64_t start_ns = chi_clock_now_ns(clock);

    if (speed->source == NULL ||
        (speed->look_ns != 0 &&
         start_ns - speed->look_ns < CHI_SPEED_COST_SHARE * speed->cost_ns)) {
        return speed->used; /* S1 */
    }
    speed->work_ns = speed->source->work_ns(speed->source->context);
    look_at_share(speed, start_ns);
    unit_ns = unit_ns > 0 ? unit_ns : speed->work_ns;
    use(speed, (speed->work_ns > 0 ? unit_ns / speed->work_ns : 1) *
                   (speed->crowd < 1 ? speed->crowd : speed->share));
    speed->look_ns = start_ns + 1;
    speed->cost_ns = chi_clock_now_ns(clock) - start_ns;
    return speed->used;
}
