/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer_mpi.c - the same in plain MPI, for comparison with calls.c.
 *
 *     peer_mpi pingpong N [BYTES]  N round trips between ranks 0 and 1
 *     peer_mpi flood N [BYTES]     N messages from rank 0 to rank 1
 *     peer_mpi reduce N            N times: a broadcast of 8 bytes, then the
 *                                  sum of one double to rank 0
 *     peer_mpi allreduce N         N times the sum of one double, to all
 *
 * Prints the same JSON line as calls.c. Only the peer's own waiting is used:
 * MPI_Send() and MPI_Recv(), which is what is fastest here.
 */
#include <mpi.h>
#include <stdbool.h>
#include <string.h>

#include "laps.h"

enum {
    BYTES_MAX = 1 << 20,
    WARM_UP = 1000
};

struct peer {
    const char *mode;
    uint64_t count;
    int bytes;
    int rank;
    struct laps laps;
};

static char buffer[BYTES_MAX];

static void
give(const struct peer *peer, int to)
{
    MPI_Send(buffer, peer->bytes, MPI_BYTE, to, 0, MPI_COMM_WORLD);
}

static void
take(const struct peer *peer, int from)
{
    MPI_Recv(buffer, peer->bytes, MPI_BYTE, from, 0, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
}

static void
step_pingpong(struct peer *peer)
{
    if (peer->rank == 0) {
        give(peer, 1);
        take(peer, 1);
    } else if (peer->rank == 1) {
        take(peer, 0);
        give(peer, 0);
    }
}

static void
step_flood(struct peer *peer)
{
    if (peer->rank == 0) {
        give(peer, 1);
    } else if (peer->rank == 1) {
        take(peer, 0);
    }
}

static void
step_reduce(struct peer *peer)
{
    double one = 1;
    double sum = 0;

    MPI_Bcast(buffer, peer->bytes, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Reduce(&one, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
}

static void
step_allreduce(struct peer *peer)
{
    double one = 1;
    double sum = 0;

    (void)peer;
    MPI_Allreduce(&one, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

static void
run(struct peer *peer, void (*step)(struct peer *peer))
{
    const bool flood = step == step_flood;
    const unsigned steps = step == step_pingpong ? 2 : 1;

    for (int i = 0; i < WARM_UP && !flood; i++) {
        step(peer);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    laps_start(&peer->laps, peer->count,
               flood ? lap_flood(peer->count) : LAP_ROUNDS);
    for (uint64_t i = 0; i < peer->count; i++) {
        step(peer);
        laps_round(&peer->laps);
    }
    /* Of a flood, the receiver takes the time. */
    if (peer->rank == (flood ? 1 : 0)) {
        laps_print(&peer->laps, peer->mode, steps * peer->count,
                   (size_t)peer->bytes, steps);
    }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*step)(struct peer *peer);
    } modes[] = {
        {"pingpong", step_pingpong},
        {"flood", step_flood},
        {"reduce", step_reduce},
        {"allreduce", step_allreduce},
    };
    struct peer peer = {.bytes = 8};

    if (argc < 3) {
        fprintf(stderr, "usage: peer_mpi MODE COUNT [BYTES]\n");
        return 2;
    }
    peer.mode = argv[1];
    peer.count = strtoull(argv[2], NULL, 10);
    if (argc > 3) {
        peer.bytes = atoi(argv[3]);
        peer.bytes = peer.bytes > BYTES_MAX ? BYTES_MAX : peer.bytes;
    }
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &peer.rank);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, peer.mode) == 0) {
            run(&peer, modes[i].step);
        }
    }
    MPI_Finalize();
    return 0;
}
