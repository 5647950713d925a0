/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_pair.c - the measurements of net_shm.c with MPI, for comparison.
 *
 * Not part of the build: mpicc -O2 bench/mpi_pair.c && mpirun -n 2 ./a.out
 * Ping-pong by MPI_Send and MPI_Recv; the flood by windows of MPI_Isend and
 * MPI_Irecv, as the OSU micro-benchmarks do.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ROUNDS = 11,
    PINGS = 20000,
    FLOOD_BYTES = 64 << 20,
    FLOOD_MESSAGES_MAX = 200000,
    WINDOW = 64,
    LEN_MAX = 16384,
};

static char buffer[LEN_MAX];

static int
compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double
ping_pong(int rank, int len)
{
    const double begin = MPI_Wtime();

    for (int i = 0; i < PINGS; i++) {
        if (rank == 0) {
            MPI_Send(buffer, len, MPI_CHAR, 1, 1, MPI_COMM_WORLD);
        }
        MPI_Recv(buffer, len, MPI_CHAR, 1 - rank, 1, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        if (rank == 1) {
            MPI_Send(buffer, len, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
        }
    }
    return (MPI_Wtime() - begin) / PINGS / 2;
}

static double
flood(int rank, int len)
{
    const int most = FLOOD_BYTES / (len + 48);
    const int count = most < FLOOD_MESSAGES_MAX ? most : FLOOD_MESSAGES_MAX;
    const double begin = MPI_Wtime();
    MPI_Request requests[WINDOW];

    for (int i = 0; i < count / WINDOW; i++) {
        for (int j = 0; j < WINDOW; j++) {
            if (rank == 0) {
                MPI_Isend(buffer, len, MPI_CHAR, 1, 1, MPI_COMM_WORLD,
                          &requests[j]);
            } else {
                MPI_Irecv(buffer, len, MPI_CHAR, 0, 1, MPI_COMM_WORLD,
                          &requests[j]);
            }
        }
        MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
    }
    if (rank == 1) {
        MPI_Send(buffer, 0, MPI_CHAR, 0, 2, MPI_COMM_WORLD);
        return 0;
    }
    MPI_Recv(buffer, 0, MPI_CHAR, 1, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return count / WINDOW * WINDOW / (MPI_Wtime() - begin);
}

int
main(int argc, char **argv)
{
    static const int lens[] = {8, 64, 256, 1024, 4096, 16000};
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        double latency[ROUNDS];
        double rate[ROUNDS];

        for (int round = 0; round < ROUNDS; round++) {
            latency[round] = ping_pong(rank, lens[i]);
            rate[round] = flood(rank, lens[i]);
        }
        qsort(latency, ROUNDS, sizeof(double), compare);
        qsort(rate, ROUNDS, sizeof(double), compare);
        if (rank == 0) {
            printf("{\"what\": \"mpi\", \"bytes\": %d, "
                   "\"latency_us_best\": %.3f, \"latency_us_median\": %.3f, "
                   "\"rate_m_best\": %.2f, \"rate_m_median\": %.2f}\n",
                   lens[i], latency[0] * 1e6, latency[ROUNDS / 2] * 1e6,
                   rate[ROUNDS - 1] / 1e6, rate[ROUNDS / 2] / 1e6);
        }
    }
    MPI_Finalize();
    return 0;
}
