# SPDX-License-Identifier: BSD-3-Clause
"""peer_dask.py - Dask distributed: an actor's method awaited; tasks.

    python peer_dask.py COUNT
"""

import sys
import time

from dask.distributed import Client, LocalCluster
from laps import repeat, tell


class Actor:
    def answer(self, value):
        return value


def task(x):
    return x


def main():
    count = int(sys.argv[1])
    cluster = LocalCluster(n_workers=2, threads_per_worker=1,
                           dashboard_address=None)
    with cluster, Client(cluster) as client:
        actor = client.submit(Actor, actor=True).result()
        repeat("get", max(count // 10, 10),
               lambda: actor.answer(7).result())
        client.gather(client.map(task, range(10), pure=False))
        began = time.perf_counter_ns()
        client.gather(client.map(task, range(count), pure=False))
        tell("pool", p50_ns=(time.perf_counter_ns() - began) / count)


if __name__ == "__main__":
    main()
