/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_near.c - who talks to whom: counting, distances, placing by them.
 *
 * Goal:   the table of pairs keeps what is large within its bound, and all of
 *         it while it fits; edges from several PEs become one graph; distances
 *         are those of spots.h; strategies that partition the graph bring a
 *         shuffled stencil below a stated cut and stated hops, on a machine of
 *         switches, nodes and caches.
 * Method: made-up calls from fixed seeds, counted beside the table; a stencil
 *         of which the best cut is known; a ring of so many objects that the
         sums of their weights have to be watched.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "lb/edges.h"
#include "lb/spots.h"
#include "lb/strategies/arrange.h"
#include "lb/strategies/strategy.h"
#include "lb/synth.h"
#include "obj/comm.h"
#include "tap/tap.h"

static struct chi_comm_edge
edge_of(uint64_t from, uint64_t to, uint64_t bytes)
{
    return (struct chi_comm_edge){{7, from}, {7, to}, 1, bytes};
}

static const struct chi_comm_edge *
find(const struct chi_comm *comm, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < comm->room; i++) {
        const struct chi_comm_edge *edge = &comm->slots[i];

        if (edge->messages > 0 && edge->from.key == from &&
            edge->to.key == to) {
            return edge;
        }
    }
    return NULL;
}

/* ---- the table */

static void
what_fits_is_exact(void)
{
    struct chi_comm comm;

    chi_comm_init(&comm, 1);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < CHI_COMM_EDGES_MAX; i++) {
            const struct chi_comm_edge edge = edge_of(i, i * i, 50 + i);

            chi_comm_add(&comm, &edge);
        }
    }
    CHECK_EQ(comm.count, CHI_COMM_EDGES_MAX);
    CHECK_EQ(comm.lost_bytes, 0);
    for (uint64_t i = 0; i < CHI_COMM_EDGES_MAX; i += 97) {
        const struct chi_comm_edge *edge = find(&comm, i, i * i);

        CHECK(edge != NULL && edge->messages == 3 &&
              edge->bytes == 3 * (50 + i));
    }
    chi_comm_clear(&comm);
    CHECK(comm.count == 0 && find(&comm, 1, 1) == NULL);
    chi_comm_fini(&comm);
}

/* 64 pairs have half of all bytes, and ten times as many pairs as fit share
 * the rest: the 64 are kept, within the bound that comm.h states. */
static void
what_is_large_is_kept(void)
{
    enum {
        LARGE = 64,
        CALLS = 400000,
        BYTES = 100,
    };
    struct chi_prng prng;
    struct chi_comm comm;
    uint64_t counted[LARGE] = {0};
    uint64_t all = 0;
    uint64_t kept = 0;

    chi_comm_init(&comm, 2);
    chi_prng_init(&prng, 3);
    for (int i = 0; i < CALLS; i++) {
        const bool large = chi_prng_below(&prng, 2) == 0;
        const uint64_t pair = chi_prng_below(
            &prng, large ? LARGE : 10 * (uint64_t)CHI_COMM_EDGES_MAX);
        const struct chi_comm_edge edge =
            edge_of(pair, large ? 1000000 : 2000000, BYTES);

        chi_comm_add(&comm, &edge);
        all += BYTES;
        if (large) {
            counted[pair] += BYTES;
        }
    }
    for (uint64_t i = 0; i < LARGE; i++) {
        const struct chi_comm_edge *edge = find(&comm, i, 1000000);

        CHECK(edge != NULL && edge->bytes <= counted[i]);
        CHECK(edge != NULL &&
              edge->bytes + 2 * all / CHI_COMM_EDGES_MAX >= counted[i]);
    }
    for (size_t i = 0; i < comm.room; i++) {
        kept += comm.slots[i].messages > 0 ? comm.slots[i].bytes : 0;
    }
    CHECK_EQ(kept + comm.lost_bytes, all);
    CHECK(comm.count <= CHI_COMM_EDGES_MAX + 1 &&
          comm.room == 2 * CHI_COMM_EDGES_MAX);
    chi_comm_fini(&comm);
}

static void
one_in_so_many(void)
{
    struct chi_comm comm;

    for (uint32_t every = 1; every <= 1000; every *= 10) {
        uint64_t due = 0;

        chi_comm_init(&comm, every);
        chi_comm_set_every(&comm, every);
        for (uint32_t i = 0; i < 200 * every; i++) {
            due += chi_comm_due(&comm);
        }
        CHECK(every == 1 ? due == 200 : due > 150 && due < 250);
        chi_comm_fini(&comm);
    }
}

/* ---- edges */

static void
edges_of_several_pes_are_one(void)
{
    struct chi_lb_edges edges;
    const struct chi_comm_edge told[] = {
        edge_of(5, 6, 100), edge_of(6, 5, 30), edge_of(5, 6, 1),
        edge_of(6, 7, 50),  edge_of(7, 99, 1), edge_of(99, 5, 1),
    };

    chi_lb_edges_init(&edges);
    for (uint32_t object = 0; object < 3; object++) {
        const struct chi_comm_name name = {7, 7 - object};

        CHECK(chi_lb_edges_name(&edges, &name, object) == CHARE_OK);
    }
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        CHECK(chi_lb_edges_add(&edges, &told[i]) == CHARE_OK);
    }
    CHECK(chi_lb_edges_finish(&edges, 3) == CHARE_OK);
    /* Objects 0, 1, 2 are 7, 6, 5. */
    CHECK_EQ(edges.first[0], 0);
    CHECK_EQ(edges.first[1], 1);
    CHECK_EQ(edges.first[2], 3);
    CHECK_EQ(edges.first[3], 4);
    CHECK(edges.to[0] == 1 && edges.bytes[0] == 50 && edges.messages[0] == 1);
    CHECK(edges.to[3] == 1 && edges.bytes[3] == 131 && edges.messages[3] == 3);
    chi_lb_edges_fini(&edges);
}

/* ---- distances */

enum {
    PES = 64, /* 2 switches, 4 nodes below each, 2 caches in each, 4 PEs */
    SIDE = 64,
    OBJECTS = SIDE * SIDE,
    CROWD = 1024, /* PEs */
};

/* PEs are dealt out to the nodes in turn: near in number is far in space. */
static void
make_machine(struct chi_lb_spot *spots, uint32_t *nodes)
{
    for (uint32_t pe = 0; pe < PES; pe++) {
        const uint32_t node = pe % 8;

        nodes[pe] = node;
        spots[pe] = (struct chi_lb_spot){
            .package = 0,
            .numa = 0,
            .cache = (uint16_t)(pe / 8 % 2),
            .core = (uint16_t)(pe / 8),
            .switch_levels = 2,
            .switches = {1, 2 + node % 2},
        };
    }
}

static void
distances(void)
{
    struct chi_lb_spot spots[PES];
    uint32_t nodes[PES];
    struct chi_lb_problem problem = {
        .pe_count = PES, .nodes = nodes, .spots = spots};
    struct chi_lb_problem plain = {.pe_count = PES};

    make_machine(spots, nodes);
    CHECK_EQ(chi_lb_hops(&problem, 3, 3), 0);
    CHECK_EQ(chi_lb_hops(&problem, 0, 16), 1); /* the same cache */
    CHECK_EQ(chi_lb_hops(&problem, 0, 8), 2);
    CHECK_EQ(chi_lb_hops(&problem, 0, 2), 5); /* the same switch */
    CHECK_EQ(chi_lb_hops(&problem, 0, 1), 7);
    spots[1].switches[0] = 9;
    CHECK_EQ(chi_lb_hops(&problem, 0, 1), 9);
    spots[8].numa = 1;
    CHECK_EQ(chi_lb_hops(&problem, 0, 8), 3);
    CHECK_EQ(chi_lb_hops(&plain, 0, CHI_LB_NODE_PES - 1), 1);
    CHECK_EQ(chi_lb_hops(&plain, 0, CHI_LB_NODE_PES), CHI_LB_HOPS_NODES);
}

/* ---- a stencil */

struct stencil {
    struct chi_lb_problem problem;
    struct chi_lb_spot spots[PES];
    uint32_t nodes[PES];
    struct chi_lb_quality before;
};

/* A square of objects, each of which talks to four others, dealt out to the
 * PEs by chance, as many to each. */
static bool
stencil_init(struct stencil *self)
{
    struct chi_prng prng;
    uint32_t *from;

    if (chi_synth_make(CHI_SYNTH_UNIFORM, OBJECTS, PES, 5, &self->problem) !=
        CHARE_OK) {
        return false;
    }
    make_machine(self->spots, self->nodes);
    self->problem.spots = self->spots;
    self->problem.nodes = self->nodes;
    from = (uint32_t *)(uintptr_t)self->problem.from;
    chi_prng_init(&prng, 11);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        from[i] = i % PES;
        ((float *)(uintptr_t)self->problem.work)[i] = 1;
    }
    for (uint32_t i = OBJECTS; i-- > 1;) {
        const uint32_t j = (uint32_t)chi_prng_below(&prng, i + 1);
        const uint32_t pe = from[i];

        from[i] = from[j];
        from[j] = pe;
    }
    return chi_lb_evaluate(&self->problem, from, &self->before) == CHARE_OK;
}

static void
stencil_fini(struct stencil *self)
{
    self->problem.spots = NULL;
    self->problem.nodes = NULL;
    chi_lb_problem_free(&self->problem);
}

/*
 * 64 squares of 8 x 8 objects cut 2 * 7 * 64 edges of 2 * 63 * 64; eight of
 * them to a node and four to a cache, no better than squares and halves of
 * squares can be, cost some 2.6 hops for each cut edge.
 */
static void
check_stencil(const struct chi_lb_strategy *strategy)
{
    static uint32_t to[OBJECTS];
    const double best = 2.0 * 7 * SIDE * 1000;
    struct stencil stencil;
    struct chi_lb_quality after;
    char text[CHI_LB_TEXT_BYTES];
    chare_status status;

    CHECK(stencil_init(&stencil));
    status = chi_lb_decide(strategy, &stencil.problem, to, text);
    if (status == CHARE_ERR_NOT_FOUND) {
        stencil_fini(&stencil);
        SKIP("the library is not there");
    }
    CHECK(status == CHARE_OK);
    CHECK(chi_lb_evaluate(&stencil.problem, to, &after) == CHARE_OK);
    printf("# %s: cut %.0f, then %.0f (best %.0f); hops %.0f, then %.0f; "
           "time %.3f of the bound\n",
           strategy->name, stencil.before.cut_bytes, after.cut_bytes, best,
           stencil.before.hop_bytes, after.hop_bytes,
           after.makespan / after.bound);
    CHECK(stencil.before.cut_bytes > 0.95 * 2 * 63 * 64 * 1000);
    CHECK(after.cut_bytes < 1.35 * best);
    CHECK(after.hop_bytes < 3.2 * after.cut_bytes);
    CHECK(after.hop_bytes < 0.15 * stencil.before.hop_bytes);
    CHECK(after.makespan <= 1.1 * after.bound);
    stencil_fini(&stencil);
}

static void
metis_places_near(void)
{
    check_stencil(&chi_lb_graph);
}

static void
scotch_places_near(void)
{
    check_stencil(&chi_lb_scotch);
}

/* ---- many objects */

enum {
    MANY = 300000, /* whose weights, as of few, would not fit 32 bits */
    FEW_PES = 8,
};

/* A ring of equal objects. */
static void
check_many(const struct chi_lb_strategy *strategy)
{
    size_t *first = malloc((MANY + 1) * sizeof(*first));
    uint32_t *other = malloc(2 * MANY * sizeof(*other));
    uint32_t *from = malloc(MANY * sizeof(*from));
    uint32_t *to = malloc(MANY * sizeof(*to));
    float *bytes = malloc(2 * MANY * sizeof(*bytes));
    const struct chi_lb_problem problem = {.object_count = MANY,
                                           .pe_count = FEW_PES,
                                           .work = bytes,
                                           .from = from,
                                           .edge_first = first,
                                           .edge_to = other,
                                           .edge_bytes = bytes};
    struct chi_lb_quality after = {0};
    char text[CHI_LB_TEXT_BYTES];
    chare_status status;

    for (uint32_t i = 0; i < MANY; i++) {
        first[i] = 2 * (size_t)i;
        other[2 * i] = (i + MANY - 1) % MANY;
        other[2 * i + 1] = (i + 1) % MANY;
        bytes[2 * i] = bytes[2 * i + 1] = 100;
        from[i] = i % FEW_PES;
    }
    first[MANY] = 2 * MANY;
    status = chi_lb_decide(strategy, &problem, to, text);
    if (status == CHARE_OK) {
        CHECK(chi_lb_evaluate(&problem, to, &after) == CHARE_OK);
        printf("# %s: cut %.0f; time %.3f of the bound\n", strategy->name,
               after.cut_bytes, after.makespan / after.bound);
        CHECK(after.cut_bytes <= 100 * 100);
        CHECK(after.makespan <= 1.1 * after.bound);
    }
    free(first);
    free(other);
    free(from);
    free(to);
    free(bytes);
    if (status == CHARE_ERR_NOT_FOUND) {
        SKIP("the library is not there");
    }
    CHECK(status == CHARE_OK);
}

static void
metis_takes_many(void)
{
    check_many(&chi_lb_graph);
}

static void
scotch_takes_many(void)
{
    check_many(&chi_lb_scotch);
}

/* ---- places */

/* Squares of 8 x 8 objects, dealt out to PEs by chance: only their places can
 * be better. */
static void
parts_come_near(void)
{
    static uint32_t to[OBJECTS];
    uint64_t looks;
    uint32_t pes[PES];
    struct stencil stencil;
    struct chi_lb_quality before;
    struct chi_lb_quality after;
    struct chi_prng prng;

    CHECK(stencil_init(&stencil));
    chi_prng_init(&prng, 5);
    for (uint32_t i = 0; i < PES; i++) {
        const uint32_t j = (uint32_t)chi_prng_below(&prng, i + 1);

        pes[i] = pes[j];
        pes[j] = i;
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        to[i] = pes[i / SIDE / 8 * 8 + i % SIDE / 8];
    }
    CHECK(chi_lb_evaluate(&stencil.problem, to, &before) == CHARE_OK);
    CHECK(chi_lb_arrange(&stencil.problem, to, &looks) == CHARE_OK);
    CHECK(chi_lb_evaluate(&stencil.problem, to, &after) == CHARE_OK);
    printf("# cut %.0f, hops %.0f, then %.0f\n", after.cut_bytes,
           before.hop_bytes, after.hop_bytes);
    printf("# %.1f looks for each PE\n", (double)looks / PES);
    CHECK(after.cut_bytes == before.cut_bytes);
    CHECK(after.makespan == before.makespan);
    CHECK(after.hop_bytes < 0.6 * before.hop_bytes);
    CHECK(after.hop_bytes < 3.1 * after.cut_bytes);
    stencil_fini(&stencil);
}

/* Half of the PEs are twice as fast: parts stay on PEs of their speed. */
static void
speeds_are_kept(void)
{
    static uint32_t to[OBJECTS];
    static uint32_t first[OBJECTS];
    uint64_t looks;
    float speeds[PES];
    struct stencil stencil;

    CHECK(stencil_init(&stencil));
    for (uint32_t pe = 0; pe < PES; pe++) {
        speeds[pe] = pe < PES / 2 ? 2 : 1;
    }
    stencil.problem.speeds = speeds;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        first[i] = to[i] = i / SIDE / 8 * 8 + i % SIDE / 8;
    }
    CHECK(chi_lb_arrange(&stencil.problem, to, &looks) == CHARE_OK);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        CHECK(speeds[to[i]] == speeds[first[i]]);
    }
    stencil.problem.speeds = NULL;
    stencil_fini(&stencil);
}

/* Object i is on PE i; it talks to the first one, or to all. */
static size_t
make_talk(bool all, size_t *first, uint32_t *other, float *bytes)
{
    size_t count = 0;

    for (uint32_t i = 0; i < CROWD; i++) {
        first[i] = count;
        for (uint32_t j = 0; j < CROWD; j++) {
            if (i != j && (all || i == 0 || j == 0)) {
                bytes[count] = (float)(1 + (i ^ j));
                other[count++] = j;
            }
        }
    }
    first[CROWD] = count;
    return count;
}

/* What is looked at has a bound, also where a part talks to all others. */
static void
looks_are_bounded(void)
{
    static size_t first[CROWD + 1];
    static uint32_t from[CROWD];
    static uint32_t to[CROWD];
    static float work[CROWD];
    uint32_t *other = malloc((size_t)CROWD * CROWD * sizeof(*other));
    float *bytes = malloc((size_t)CROWD * CROWD * sizeof(*bytes));
    const struct chi_lb_problem problem = {.object_count = CROWD,
                                           .pe_count = CROWD,
                                           .work = work,
                                           .from = from,
                                           .edge_first = first,
                                           .edge_to = other,
                                           .edge_bytes = bytes};

    for (uint32_t all = 0; all < 2; all++) {
        const size_t edges = make_talk(all != 0, first, other, bytes);
        const double bound =
            2.0 * (CHI_LB_ARRANGE_LOOKS_FIRST +
                   (double)CROWD * CHI_LB_ARRANGE_LOOKS_PER_PE +
                   (double)edges * CHI_LB_ARRANGE_LOOKS_PER_EDGE);
        uint64_t looks;

        for (uint32_t i = 0; i < CROWD; i++) {
            from[i] = to[i] = i;
            work[i] = 1;
        }
        CHECK(chi_lb_arrange(&problem, to, &looks) == CHARE_OK);
        printf("# %zu edges: %.0f looks, at most %.0f\n", edges, (double)looks,
               bound);
        CHECK(looks > 0 && (double)looks <= bound);
    }
    free(other);
    free(bytes);
}

TAP_MAIN(TAP_CASE(what_fits_is_exact), TAP_CASE(what_is_large_is_kept),
         TAP_CASE(one_in_so_many), TAP_CASE(edges_of_several_pes_are_one),
         TAP_CASE(distances), TAP_CASE(parts_come_near),
         TAP_CASE(speeds_are_kept), TAP_CASE(looks_are_bounded),
         TAP_CASE(metis_places_near), TAP_CASE(scotch_places_near),
         TAP_CASE(metis_takes_many), TAP_CASE(scotch_takes_many))
