# SPDX-License-Identifier: BSD-3-Clause
"""peer_pool.py - pools of processes and threads of the standard library.

    python peer_pool.py futures|multiprocessing|pipe WORKERS COUNT

futures and multiprocessing: trivial tasks, one at a time, and a call that is
waited for ("get"). pipe: ping-pong and flood through a multiprocessing.Pipe.
"""

import concurrent.futures
import multiprocessing
import sys
import time

from laps import LAP_FLOOD, Laps, repeat, tell


def task(x):
    return x


def timed(what, count, submit):
    began = time.perf_counter_ns()
    submit(count)
    tell(what, p50_ns=(time.perf_counter_ns() - began) / count)


def futures(workers, count):
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        list(pool.map(task, range(100)))
        repeat("get", max(count // 20, 10),
               lambda: pool.submit(task, 7).result())
        timed("pool", count, lambda n: list(pool.map(task, range(n))))


def pools(workers, count):
    with multiprocessing.Pool(workers) as pool:
        pool.map(task, range(100), chunksize=1)
        repeat("get", max(count // 20, 10), lambda: pool.apply(task, (7,)))
        timed("pool", count, lambda n: pool.map(task, range(n), chunksize=1))


def echo(end, count):
    for _ in range(count):
        end.send(end.recv())
    for _ in range(count):
        end.recv()
    end.send(None)


def pipe(_, count):
    count -= count % LAP_FLOOD
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=echo, args=(theirs, count))
    child.start()

    def once():
        mine.send(7)
        mine.recv()
    repeat("pingpong int", count, once, steps=2, warm_up=0)
    laps = Laps(count)
    for _ in range(count):
        mine.send(7)
    mine.recv()
    laps.lap()
    laps.print("flood int")
    child.join()


if __name__ == "__main__":
    {"futures": futures, "multiprocessing": pools, "pipe": pipe}[sys.argv[1]](
        int(sys.argv[2]), int(sys.argv[3]))
