/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_history.c - how busy a PE was, in bins of time.
 *
 * Goal:   what is put in is in the bins of its time, whole, however long it
 *         was and however often bins became one. Who kept as many moves as
 *         it may tells how busy it was all the same. Of many PEs each keeps
 *         less.
 * Method: parts whose sums are known, in steps that end within bins, over the
 *         time that the bins have at first and over many times that. One real
 *         PE, to which more moves come than have room.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "lb/history.h"
#include "rt/runtime.h"
#include "tap/tap.h"

#define BIN_NS 1000u

static bool
near(double x, double y)
{
    return x - y < 1e-3 && y - x < 1e-3;
}

static double
busy_ns(const struct chi_history_bins *bins)
{
    double sum = 0;

    for (size_t i = 0; i < CHI_HISTORY_BINS; i++) {
        sum += (double)bins->busy[i] * (double)bins->bin_ns;
    }
    return sum;
}

static void
time_is_spread_over_its_bins(void)
{
    struct chi_history_bins bins;

    chi_history_bins_init(&bins, BIN_NS);
    chi_history_bins_add(&bins, 500, 1);
    chi_history_bins_add(&bins, 3250, 0.5);
    chi_history_bins_add(&bins, 3250, 1); /* no time at all */
    CHECK(near((double)bins.busy[0], 0.75));
    CHECK(near((double)bins.busy[1], 0.5));
    CHECK(near((double)bins.busy[2], 0.5));
    CHECK(near((double)bins.busy[3], 0.125));
    CHECK(near((double)bins.busy[4], 0));
    CHECK_EQ(bins.seen_ns, 3250);
}

static void
full_bins_become_half_as_many(void)
{
    struct chi_history_bins bins;

    chi_history_bins_init(&bins, BIN_NS);
    chi_history_bins_add(&bins, (uint64_t)BIN_NS * CHI_HISTORY_BINS, 0.25);
    CHECK_EQ(bins.bin_ns, BIN_NS);
    CHECK(near((double)bins.busy[CHI_HISTORY_BINS - 1], 0.25));
    chi_history_bins_add(&bins, (uint64_t)BIN_NS * CHI_HISTORY_BINS + 1, 1);
    CHECK_EQ(bins.bin_ns, 2 * BIN_NS);
    CHECK(near((double)bins.busy[CHI_HISTORY_BINS / 2 - 1], 0.25));
    CHECK(near((double)bins.busy[CHI_HISTORY_BINS / 2], 0.0005));
    CHECK(near((double)bins.busy[CHI_HISTORY_BINS / 2 + 1], 0));
}

static void
nothing_is_lost_in_a_long_run(void)
{
    struct chi_history_bins bins;
    struct chi_prng prng;
    uint64_t now_ns = 0;
    double sum_ns = 0;

    chi_prng_init(&prng, 7);
    chi_history_bins_init(&bins, BIN_NS);
    for (int i = 0; i < 20000; i++) {
        const uint64_t step_ns = chi_prng_below(&prng, 5 * BIN_NS);
        const double part = (double)chi_prng_below(&prng, 101) / 100;

        now_ns += step_ns;
        sum_ns += part * (double)step_ns;
        chi_history_bins_add(&bins, now_ns, part);
    }
    CHECK_EQ(bins.seen_ns, now_ns);
    CHECK(near(busy_ns(&bins) / sum_ns, 1));
    for (size_t i = 0; i < CHI_HISTORY_BINS; i++) {
        CHECK(bins.busy[i] >= 0 && bins.busy[i] <= 1.001f);
    }
    chi_history_bins_add(&bins, 1000 * now_ns, 0); /* one long method */
    CHECK(near(busy_ns(&bins) / sum_ns, 1));
}

static void
who_has_many_moves_tells_how_busy_it_was(void)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const chare_element element = {.collection = 7};
    chare_runtime *rt = NULL;
    const char *text;
    char *copy;
    size_t len;

    CHECK(chare_open(&options, &rt) == CHARE_OK &&
          chare_lb_history(rt, "unwritten.history") == CHARE_OK &&
          chare_start(rt) == CHARE_OK);
    for (int i = 0; i < CHI_HISTORY_TEXT_MAX / 16; i++) {
        chi_lb_history_came(rt->lb, &element, 0);
    }
    text = chi_lb_history_end(rt->lb, 0, &len);
    CHECK(len > CHI_HISTORY_TEXT_MAX && len < CHI_HISTORY_TEXT_MAX + 8192);
    copy = strndup(text, len);
    CHECK(strstr(copy, "\nunkept 0 ") != NULL);
    CHECK(strstr(copy, "\npe 0 node=0 ") != NULL);
    CHECK(strstr(copy, "\nbusy 0 ") != NULL);
    CHECK_EQ(copy[len - 1], '\n');
    free(copy);
    chare_close(rt);
}

static void
all_pes_together_keep_no_more_than_may_be_sent(void)
{
    const uint64_t queue = UINT64_C(1) << 30;

    CHECK_EQ(chi_history_text_max(1, queue), CHI_HISTORY_TEXT_MAX);
    CHECK_EQ(chi_history_text_max(256, queue), CHI_HISTORY_TEXT_MAX);
    CHECK_EQ(chi_history_text_max(1024, queue), CHI_HISTORY_JOB_MAX / 1024);
    CHECK_EQ(chi_history_text_max(4, 4096), 256);
    CHECK_EQ(chi_history_text_max(1u << 31, queue), 0);
}

TAP_MAIN(TAP_CASE(time_is_spread_over_its_bins),
         TAP_CASE(full_bins_become_half_as_many),
         TAP_CASE(nothing_is_lost_in_a_long_run),
         TAP_CASE(who_has_many_moves_tells_how_busy_it_was),
         TAP_CASE(all_pes_together_keep_no_more_than_may_be_sent))
