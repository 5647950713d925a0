# SPDX-License-Identifier: BSD-3-Clause
"""metg_dask.py - METG(50 %) of Dask distributed: the grid as one graph.

    python metg_dask.py TASK_NS
"""

import sys
import time

from dask.distributed import Client, LocalCluster
import taskbench

PES = 2


def task(iterations, *_):
    taskbench.run(iterations)


def graph(radius, iterations, steps):
    width = PES * taskbench.WIDTH_PER_PE
    tasks = {}
    for step in range(steps):
        for i in range(width):
            before = range(max(i - radius, 0), min(i + radius + 1, width))
            tasks[f"{step}-{i}"] = (task, iterations, *[
                f"{step - 1}-{j}" for j in before if step > 0])
    return tasks, [f"{steps - 1}-{i}" for i in range(width)]


def main():
    cluster = LocalCluster(n_workers=PES, threads_per_worker=1,
                           dashboard_address=None)
    with cluster, Client(cluster) as client:
        taskbench.start(PES, int(sys.argv[1]))
        while True:
            todo = taskbench.next()
            if todo is None:
                break
            tasks, last = graph(1, *todo)
            began = time.perf_counter_ns()
            client.get(tasks, last)
            taskbench.took(time.perf_counter_ns() - began)
        taskbench.show("stencil_1d")


if __name__ == "__main__":
    main()
