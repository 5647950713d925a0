# SPDX-License-Identifier: BSD-3-Clause
"""A parallel map written with chares: several jobs at once, on shared PEs.

    python3 parallel_map.py [--jobs 4] [--tasks 200] [--workers 2] [--verify]
    chare run -n 4 python3 parallel_map.py --jobs 10

A manager, one chare, gives each job some workers of its own, or lets it wait
until there are any. The workers of a job ask for a task whenever they have
none, and bring the result of the last one; when there are no tasks left they
are free for the next job. So each job ends as soon as its own tasks have, and
who asked for it waits for a future. (charm.pool does all that, and more.)
"""

import argparse
import collections
import time
from typing import Any

from chare import Chare, Future, Group, charm
from ghosts import finish, positive, verdict


class Job:
    """What the manager knows of a job."""

    def __init__(self, function, tasks, worker_count, future):
        self.function = function
        self.tasks = tasks
        self.worker_count = worker_count
        self.future = future
        self.results = [None] * len(tasks)
        self.next_task = 0
        self.missing = len(tasks)
        self.workers = worker_count  # that have not left it


class Manager(Chare):
    """Hands the tasks of all jobs to the workers."""

    def __init__(self):
        self.workers = Group(Worker, args=[self.thisProxy])
        self.free = set(range(charm.numPes()))
        self.waiting: collections.deque[Job] = collections.deque()
        self.jobs = {}
        self.last_job = 0

    def map_async(self, function, worker_count, tasks, future):
        """Start a job: future gets [function(task) for task in tasks]."""
        if not tasks:
            future.send([])
            return
        worker_count = min(worker_count, len(tasks), charm.numPes())
        self.waiting.append(Job(function, tasks, worker_count, future))
        self.start_jobs()

    def start_jobs(self):
        while self.waiting and self.waiting[0].worker_count <= len(self.free):
            job = self.waiting.popleft()
            self.last_job += 1
            self.jobs[self.last_job] = job
            # The manager's own PE is taken only when there is no other.
            for pe in sorted(self.free, reverse=True)[:job.worker_count]:
                self.free.remove(pe)
                self.workers[pe].start(self.last_job, job.function)

    def get_task(self, pe, job_id, done=None, result=None):
        """A worker has done a task, and wants the next one."""
        job = self.jobs[job_id]
        if done is not None:
            job.results[done] = result
            job.missing -= 1
            if job.missing == 0:
                job.future.send(job.results)
        if job.next_task < len(job.tasks):
            number = job.next_task
            job.next_task += 1
            self.workers[pe].apply(job_id, number, job.tasks[number])
            return
        job.workers -= 1
        if job.workers == 0:
            del self.jobs[job_id]
        self.free.add(pe)
        self.start_jobs()


class Worker(Chare):
    def __init__(self, manager):
        self.manager = manager
        self.function: Any = None

    def start(self, job_id, function):
        self.function = function
        self.manager.get_task(self.thisIndex, job_id)

    def apply(self, job_id, number, task):
        result = self.function(task)
        self.manager.get_task(self.thisIndex, job_id, number, result)


def collatz(number):
    """How many steps it takes to come from a number to 1."""
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def run(options):
    manager: Any = Chare(Manager, onPE=0)
    jobs = [
        list(range(1 + 1000 * job, 1 + 1000 * job + options.tasks))
        for job in range(options.jobs)
    ]
    begin = time.monotonic()
    futures = [Future() for _ in jobs]
    for tasks, future in zip(jobs, futures):
        manager.map_async(collatz, options.workers, tasks, future)
    ready = {future: job for job, future in enumerate(futures)}
    for future in charm.iwait(futures):
        print(
            f"job {ready[future]} is done after "
            f"{time.monotonic() - begin:.3f} s, sum {sum(future.get())}"
        )
    print(
        f"{options.jobs} jobs of {options.tasks} tasks, {options.workers} "
        f"workers each, on {charm.numPes()} PEs"
    )
    if not options.verify:
        return 0
    results = [future.get() for future in futures]
    good = results == [[collatz(task) for task in tasks] for tasks in jobs]
    pool = [charm.pool.map_async(collatz, tasks) for tasks in jobs]
    good = good and results == [future.get() for future in pool]
    return verdict(good, "a serial map, and charm.pool's")


def main(args):
    parser = argparse.ArgumentParser(
        prog="parallel_map.py", description="Several parallel maps at once."
    )
    parser.add_argument("--jobs", type=positive, default=4,
                        help="jobs at once (%(default)s)")
    parser.add_argument("--tasks", type=positive, default=200,
                        help="tasks of each (%(default)s)")
    parser.add_argument("--workers", type=positive, default=2,
                        help="PEs for each job (%(default)s)")
    parser.add_argument("--verify", action="store_true",
                        help="compare with a serial map")
    finish("parallel_map.py", run, parser.parse_args(args[1:]))


charm.start(main)
