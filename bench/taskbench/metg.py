# SPDX-License-Identifier: BSD-3-Clause
"""metg.py - METG(50 %) of chares in Python: one for each column.

    python metg.py TASK_NS

A column runs its task of a step when the outputs of its neighbours for that
step have come, each by a call of its own; a neighbour is one step ahead at
most. Runs on Charm4py too: see programs/model.py.
"""

import time

from model import Array, Chare, Future, charm
import taskbench


class Column(Chare):
    def set_up(self, radius, width, done):
        me = self.thisIndex[0]
        others = range(max(me - radius, 0), min(me + radius + 1, width))
        self.neighbours = [self.thisProxy[i] for i in others if i != me]
        self.needed = len(self.neighbours)
        self.steps = 0
        self.reduce(done)

    def go(self, iterations, steps, done):
        self.iterations = iterations
        self.steps = steps
        self.done = done
        self.step = 0
        self.got = [self.needed, 0]
        # A neighbour may have begun before.
        self.reduce(self.thisProxy.begin)

    def begin(self, _=None):
        self.work()

    def take(self, step, column):
        got = self.got
        got[step & 1] += 1
        if step == self.step and got[step & 1] == self.needed:
            self.work()

    def work(self):
        """The task of this step, and of those for which all is here."""
        while True:
            step = self.step
            self.got[step & 1] = 0
            taskbench.run(self.iterations)
            self.step = step = step + 1
            if step == self.steps:
                self.reduce(self.done)
                return
            me = self.thisIndex[0]
            for neighbour in self.neighbours:
                neighbour.take(step, me)
            if self.got[step & 1] < self.needed:
                return


def pattern(columns, radius, task_ns, what):
    pes = charm.numPes()
    done = Future()
    columns.set_up(radius, pes * taskbench.WIDTH_PER_PE, done)
    done.get()
    taskbench.start(pes, task_ns)
    while True:
        todo = taskbench.next()
        if todo is None:
            break
        done = Future()
        began = time.perf_counter_ns()
        columns.go(*todo, done)
        done.get()
        taskbench.took(time.perf_counter_ns() - began)
    taskbench.show(what)


def main(args):
    columns = Array(Column, charm.numPes() * taskbench.WIDTH_PER_PE)
    charm.awaitCreation(columns)
    pattern(columns, 1, int(args[1]), "stencil_1d")
    pattern(columns, 2, int(args[1]), "nearest")
    charm.exit()


charm.start(main)
