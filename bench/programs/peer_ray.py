# SPDX-License-Identifier: BSD-3-Clause
"""peer_ray.py - Ray: an actor's method, awaited and not; tasks.

    python peer_ray.py COUNT
"""

import sys
import time

from laps import repeat, tell
import ray


@ray.remote
class Actor:
    def take(self, value):
        pass

    def answer(self, value):
        return value


@ray.remote
def task(x):
    return x


def timed(what, count, submit):
    began = time.perf_counter_ns()
    ray.get(submit(count))
    tell(what, p50_ns=(time.perf_counter_ns() - began) / count)


def main():
    count = int(sys.argv[1])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    actor = Actor.remote()
    ray.get(actor.answer.remote(1))
    repeat("get", max(count // 5, 10),
           lambda: ray.get(actor.answer.remote(7)))
    timed("flood int", count,
          lambda n: [actor.take.remote(7) for _ in range(n)])
    ray.get([task.remote(i) for i in range(10)])
    timed("pool", count, lambda n: [task.remote(i) for i in range(n)])
    ray.shutdown()


main()
