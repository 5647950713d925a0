/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_talk.c - what a PE tells of who talks to whom, and whether it counts.
 *
 * Goal:   of many PEs each tells the heaviest pairs, and the bytes of the
 *         others; who balances no more, or counts no more, keeps no pairs; a
 *         pause keeps the place in an interval; a strategy's name that the
 *         history could not bear is refused.
 * Method: pairs in no order; one real PE, whose table is looked at.
 */
#include "config.h"

#include <chare.h>

#include "lb/lb_private.h"
#include "obj/obj_private.h"
#include "rt/runtime.h"
#include "tap/tap.h"

enum {
    PAIRS = 100
};

static void
the_heaviest_pairs_are_told(void)
{
    struct chi_comm_edge edges[PAIRS];
    size_t count = PAIRS;

    for (uint64_t i = 0; i < PAIRS; i++) {
        edges[i] = (struct chi_comm_edge){.from = {1, i},
                                          .bytes = 1 + i * 37 % PAIRS};
    }
    CHECK_EQ(chi_lb_talk_thin(edges, &count, PAIRS), 0);
    CHECK_EQ(count, PAIRS);
    CHECK_EQ(edges[1].bytes, 38);
    CHECK_EQ(chi_lb_talk_thin(edges, &count, 10), 90 * 91 / 2);
    CHECK_EQ(count, 10);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(edges[i].bytes, PAIRS - i);
    }
}

static void
all_pes_together_tell_no_more_than_pe_0_holds(void)
{
    CHECK_EQ(chi_lb_talk_pairs_max(1), CHI_COMM_EDGES_MAX);
    CHECK_EQ(chi_lb_talk_pairs_max(512), CHI_COMM_EDGES_MAX);
    CHECK_EQ(chi_lb_talk_pairs_max(4096), 1024);
}

static void
who_balances_no_more_counts_no_more(void)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    const struct chi_comm_edge edge = {
        .from = {1, 1}, .to = {1, 2}, .messages = 1, .bytes = 1};
    chare_runtime *rt = NULL;

    CHECK_EQ(chare_open(&options, &rt), CHARE_OK);
    CHECK_EQ(chare_lb_use(rt, "graph"), CHARE_OK);
    CHECK_EQ(chi_obj_counts_calls(rt->obj), 1);
    chi_comm_add(&rt->obj->talk.comm, &edge);
    CHECK_EQ(rt->obj->talk.comm.count, 1);
    CHECK_EQ(chare_lb_use(rt, ""), CHARE_OK);
    CHECK_EQ(chi_obj_counts_calls(rt->obj), 0);
    CHECK_EQ(rt->obj->talk.comm.count, 0);

    CHECK_EQ(chare_lb_count_calls(rt, 2), CHARE_OK);
    CHECK_EQ(chare_lb_use(rt, ""), CHARE_OK); /* who said so decides */
    CHECK_EQ(chi_obj_counts_calls(rt->obj), 2);
    chare_close(rt);
}

/* Else a PE that makes fewer calls between two pauses would count none. */
static void
a_pause_of_the_meter_keeps_what_is_left(void)
{
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    chare_runtime *rt = NULL;
    uint64_t left;

    CHECK_EQ(chare_open(&options, &rt), CHARE_OK);
    CHECK_EQ(chare_lb_count_calls(rt, 1000), CHARE_OK);
    chi_obj_measure(rt->obj, true);
    left = rt->obj->calls_left;
    CHECK(left >= 1 && left < 2000);
    rt->obj->calls_left = 1 + left / 2; /* the others were made */
    chi_obj_measure_pause(rt->obj);
    CHECK_EQ(rt->obj->calls_left, UINT64_MAX);
    chi_obj_measure(rt->obj, true);
    CHECK_EQ(rt->obj->calls_left, 1 + left / 2);
    chare_close(rt);
}

static chare_status
decide(void *context, const chare_lb_problem *problem, uint32_t *to)
{
    (void)context;
    (void)problem;
    (void)to;
    return CHARE_OK;
}

static void
names_are_words(void)
{
    static const char *const wrong[] = {"",     "a b",  " a",  "a#",
                                        "a\tb", "a\nb", "\x7f"};
    const chare_open_options options = {.size = sizeof(options),
                                        .single = true};
    chare_runtime *rt = NULL;

    CHECK_EQ(chare_open(&options, &rt), CHARE_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQ(chare_lb_register(rt, wrong[i], decide, NULL),
                 CHARE_ERR_INVALID);
    }
    CHECK_EQ(chare_lb_register(rt,
                               "my-Gr\xc3\xb6\xc3\x9f"
                               "e.2",
                               decide, NULL),
             CHARE_OK);
    CHECK_EQ(chare_lb_use(rt, "my-Gr\xc3\xb6\xc3\x9f"
                              "e.2"),
             CHARE_OK);
    chare_close(rt);
}

TAP_MAIN(TAP_CASE(the_heaviest_pairs_are_told),
         TAP_CASE(all_pes_together_tell_no_more_than_pe_0_holds),
         TAP_CASE(who_balances_no_more_counts_no_more),
         TAP_CASE(a_pause_of_the_meter_keeps_what_is_left),
         TAP_CASE(names_are_words))
