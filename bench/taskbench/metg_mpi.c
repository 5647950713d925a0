/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metg_mpi.c - METG(50 %) of MPI: each rank has a block of the columns.
 *
 *     metg_mpi TASK_NS
 *
 * In each step a rank posts its receives, sends the outputs of the step before
 * that other ranks need, waits for all, and runs its tasks.
 */
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

#include "sweep.h"

enum {
    COLUMNS = SWEEP_WIDTH_PER_PE,
    /* Every column with every other one on the neighbours, at most. */
    REQUESTS_MAX = 4 * COLUMNS * SWEEP_RADIUS_MAX,
};

struct output {
    uint64_t step;
    uint64_t column;
};

struct grid {
    int rank;
    int width;
    int radius;
    struct output mine[COLUMNS];
    struct output theirs[REQUESTS_MAX];
};

static int
owner(int column)
{
    return column / COLUMNS;
}

/* Post the receives (sending: sends) of a column's remote neighbours. */
static int
exchange(struct grid *grid, int column, int count, MPI_Request *requests)
{
    for (int other = column - grid->radius; other <= column + grid->radius;
         other++) {
        if (other < 0 || other >= grid->width || owner(other) == grid->rank) {
            continue;
        }
        MPI_Irecv(&grid->theirs[count], sizeof(struct output), MPI_BYTE,
                  owner(other), other * grid->width + column, MPI_COMM_WORLD,
                  &requests[count]);
        count++;
        MPI_Isend(&grid->mine[column % COLUMNS], sizeof(struct output),
                  MPI_BYTE, owner(other), column * grid->width + other,
                  MPI_COMM_WORLD, &requests[count]);
        count++;
    }
    return count;
}

static void
run(struct grid *grid, uint64_t iterations, uint64_t steps)
{
    const int first = grid->rank * COLUMNS;
    MPI_Request requests[REQUESTS_MAX];

    for (uint64_t step = 0; step < steps; step++) {
        int count = 0;

        if (step > 0) {
            for (int i = 0; i < COLUMNS; i++) {
                count = exchange(grid, first + i, count, requests);
            }
            MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
        }
        for (int i = 0; i < COLUMNS; i++) {
            kernel_run(iterations);
            grid->mine[i] = (struct output){step, (uint64_t)(first + i)};
        }
    }
}

static uint64_t
now_ns(void)
{
    return (uint64_t)(MPI_Wtime() * 1e9);
}

static void
pattern(struct grid *grid, int pes, uint64_t task_ns, const char *what)
{
    struct sweep sweep;
    uint64_t todo[2];

    if (grid->rank == 0) {
        sweep_start(&sweep, (unsigned)pes, task_ns);
    }
    for (;;) {
        uint64_t start;

        if (grid->rank == 0 && !sweep_next(&sweep, &todo[0], &todo[1])) {
            todo[0] = 0;
        }
        MPI_Bcast(todo, 2, MPI_UINT64_T, 0, MPI_COMM_WORLD);
        if (todo[0] == 0) {
            break;
        }
        start = now_ns();
        run(grid, todo[0], todo[1]);
        MPI_Barrier(MPI_COMM_WORLD);
        if (grid->rank == 0) {
            sweep_took(&sweep, now_ns() - start);
        }
    }
    if (grid->rank == 0) {
        sweep_print(&sweep, what);
    }
}

int
main(int argc, char **argv)
{
    struct grid grid = {.radius = SWEEP_STENCIL_1D};
    int pes;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &grid.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &pes);
    grid.width = pes * COLUMNS;
    if (argc > 1) {
        const uint64_t task_ns = strtoull(argv[1], NULL, 10);

        pattern(&grid, pes, task_ns, "stencil_1d");
        grid.radius = SWEEP_NEAREST_5;
        pattern(&grid, pes, task_ns, "nearest");
    }
    MPI_Finalize();
    return 0;
}
